"""The diagram of a circuit: layers in order, signed edges, few crossings, nothing taken on trust."""

import re

import pytest

from taxonomy.models import Layer
from taxonomy.rendering import circuits
from tests.factory import make_evidence, make_family, make_network

pytestmark = pytest.mark.django_db


def node(key, neuron="", family="", y=0.0):
    return {"id": key, "neuron": neuron, "family": family, "x": 0.0, "y": y}


def edge(source, target, weight=1.0):
    return {"source": source, "target": target, "weight": weight, "evidence": ""}


@pytest.fixture
def network():
    return make_network(layers={"conv1": 8, "mixed3a": 8, "mixed3b": 8})


def graph(nodes, edges=()):
    return {"nodes": list(nodes), "edges": list(edges), "threshold": 0.3}


def drawn(network, subgraph, *, hidden=(), layers=(), alone=False):
    return circuits.picture(circuits.circuit(network, subgraph, hidden=hidden, layers=layers), alone=alone)


def test_layers_stand_from_left_to_right_whatever_the_order_of_the_nodes(network):
    nodes = [node("c", "mixed3b:1"), node("a", "conv1:2"), node("b", "mixed3a:3")]
    found = circuits.circuit(network, graph(nodes, [edge("a", "b"), edge("b", "c", -0.5)]))
    assert [name for name, _ in found.columns] == ["conv1", "mixed3a", "mixed3b"]
    assert found.knots["a"].x < found.knots["b"].x < found.knots["c"].x
    assert (found.excite, found.inhibit, found.scale) == (1, 1, 1.0)


def test_edges_do_not_cross_where_they_need_not(network):
    nodes = [node(f"a{i}", f"conv1:{i}") for i in range(6)] + [node(f"b{i}", f"mixed3a:{i}") for i in range(6)]
    found = circuits.circuit(network, graph(nodes, [edge(f"a{i}", f"b{5 - i}") for i in range(6)]))
    order = sorted(range(6), key=lambda i: found.knots[f"a{i}"].y)
    assert order == sorted(range(6), key=lambda i: found.knots[f"b{5 - i}"].y)


def test_an_edge_tells_its_sign_by_colour_and_by_its_end(network):
    nodes = [node("a", "conv1:0"), node("b", "mixed3a:0"), node("c", "mixed3a:1")]
    svg = drawn(network, graph(nodes, [edge("a", "b", 0.8), edge("a", "c", -0.4)]))
    assert "conv1:0 excites mixed3a:0: +0.8" in svg
    assert "conv1:0 inhibits mixed3a:1: −0.4" in svg
    assert svg.count('<g class="e"') == svg.count('<g class="i"') == 1
    assert "that excite (red, with an arrow): 1; that inhibit (blue, with a bar): 1" in svg
    widths = [float(width) for width in re.findall(r'stroke-width="([\d.]+)"', svg)]
    assert widths[1] == circuits.THICKEST > widths[0] > circuits.THINNEST
    assert "style=" not in svg


def test_where_authors_moved_nodes_their_order_stays_and_nothing_overlaps(network):
    nodes = [node("a", "conv1:0", y=300.0), node("b", "conv1:1", y=40.0), node("c", "conv1:2", y=50.0)]
    knots = circuits.circuit(network, graph(nodes)).knots
    assert knots["b"].y == 40.0
    assert knots["c"].y == 40.0 + knots["b"].height + circuits.GAP
    assert knots["a"].y == 300.0


def test_moving_one_of_many_leaves_the_others_where_they_are():
    network = make_network(layers={"conv1": 60, "mixed3a": 2})
    nodes = [node(f"a{i}", f"conv1:{i}") for i in range(50)] + [node("b", "mixed3a:0")]
    edges = [edge(f"a{i}", "b") for i in range(50)]
    before = circuits.circuit(network, graph(nodes, edges)).knots
    kept = [one | {"x": before[one["id"]].x, "y": before[one["id"]].y} for one in nodes]
    kept[3]["y"] += 5_000.0
    new = node("new", "conv1:59")
    after = circuits.circuit(network, graph([*kept, new], edges)).knots
    assert after["a3"].y == before["a3"].y + 5_000.0
    for key in before.keys() - {"a3"}:
        assert (after[key].x, after[key].y) == pytest.approx((before[key].x, before[key].y))
    assert after["new"].y > max(knot.y for key, knot in after.items() if key not in ("a3", "new") and knot.x == 0)


def test_many_nodes_of_a_layer_stand_in_several_columns():
    network = make_network(layers={"conv1": 60, "mixed3a": 2})
    nodes = [node(f"a{i}", f"conv1:{i}") for i in range(60)] + [node("b", "mixed3a:0")]
    found = circuits.circuit(network, graph(nodes, [edge(f"a{i}", "b") for i in range(60)]))
    places = {(knot.x, knot.y) for knot in found.knots.values()}
    assert len(places) == 61
    assert len({x for x, _ in places}) == 5
    assert found.height < 17 * 90
    assert found.knots["b"].x > max(found.knots[f"a{i}"].x for i in range(60))


def test_a_family_is_a_card_with_a_few_of_its_members_turning(network):
    layer = network.layers.get(name="mixed3a")
    family = make_family(layer, "Curves & <lines>", units=range(8))
    svg = drawn(network, graph([node("f", family=str(family.public_id))]))
    assert "Curves &amp; &lt;lines&gt;" in svg
    assert ">8</text>" in svg
    assert svg.count('class="face empty"') == circuits.SHOWN
    hidden = list(layer.neurons.values_list("pk", flat=True)[:6])
    assert ">2</text>" in drawn(network, graph([node("f", family=str(family.public_id))]), hidden=hidden)


def test_a_file_of_its_own_needs_nothing_from_elsewhere(network):
    from taxonomy.actions.sprites import build_sprite

    layer = network.layers.get(name="mixed3a")
    make_evidence(layer.neurons.get(index=3), pictures=["image"])
    build_sprite(layer)
    svg = drawn(network, graph([node("a", "conv1:0"), node("b", "mixed3a:3")], [edge("a", "b", -2.0)]), alone=True)
    assert svg.startswith('<svg xmlns="http://www.w3.org/2000/svg"')
    assert set(re.findall(r'href="([^;"]+)', svg)) == {"data:image/png"}
    assert 'stroke="#2065b5"' in svg
    assert 'class="face' not in svg


def test_what_is_not_there_any_more_is_left_out_with_its_edges(network):
    nodes = [node("a", "conv1:0"), node("b", "gone:1"), node("c", "conv1:99"), node("d", family="0" * 8)]
    nodes[3]["family"] = "00000000-0000-4000-8000-000000000000"
    found = circuits.circuit(network, graph(nodes, [edge("a", "b"), edge("a", "d")]))
    assert list(found.knots) == ["a"]
    assert found.wires == []


def test_an_empty_circuit_is_nothing(network):
    assert drawn(network, {}) == ""


def test_it_asks_twice(network, django_assert_num_queries):
    family = make_family(network.layers.get(name="mixed3b"), units=[1, 2])
    nodes = [node(f"n{i}", f"conv1:{i}") for i in range(8)] + [node("f", family=str(family.public_id))]
    with django_assert_num_queries(2):
        drawn(network, graph(nodes))
    layers = list(Layer.objects.filter(network=network).select_related("network", "sprite"))
    with django_assert_num_queries(1):
        drawn(network, graph(nodes), layers=layers)
