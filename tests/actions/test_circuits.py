"""What a circuit may hold, and how it grows from a neuron's weights."""

import json
import math

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone
from hypothesis import given, settings
from hypothesis import strategies as st

from taxonomy.actions import circuits
from taxonomy.models import Membership, Motif
from tests.factory import add_version, make_evidence, make_family, make_network, make_user, neuron_at
from tests.pages.material import make_family_evidence

pytestmark = pytest.mark.django_db


@pytest.fixture
def network():
    return make_network(layers={"conv1": 8, "mixed3a": 8, "mixed3b": 8})


def node(key, neuron="", family="", **place):
    return {"id": key, "neuron": neuron, "family": family, "x": 0, "y": 0, **place}


def edge(source, target, weight=1.0, evidence=""):
    return {"source": source, "target": target, "weight": weight, "evidence": evidence}


def refusals(network, subgraph):
    with pytest.raises(ValidationError) as caught:
        circuits.check(network, subgraph)
    return caught.value.message_dict["subgraph"]


def test_an_empty_circuit_is_a_note_without_one(network):
    assert circuits.check(network, {}) == circuits.empty()


def test_addresses_are_written_out_and_nothing_else_is_kept(network):
    family = make_family(network.layers.get(name="mixed3b"))
    nodes = [node("a", "3a:1", colour="red"), node("f", family=str(family.public_id).upper())]
    found = circuits.check(network, {"nodes": nodes, "edges": [edge("a", "f", 1)], "threshold": 1, "more": 1})
    assert found == {
        "nodes": [
            {"id": "a", "neuron": "mixed3a:1", "family": "", "x": 0.0, "y": 0.0},
            {"id": "f", "neuron": "", "family": str(family.public_id), "x": 0.0, "y": 0.0},
        ],
        "edges": [{"source": "a", "target": "f", "weight": 1.0, "evidence": ""}],
        "threshold": 1.0,
    }
    assert circuits.check(network, found) == found


A, B, C = node("a", "conv1:0"), node("b", "mixed3a:0"), node("c", "mixed3b:0")


@pytest.mark.parametrize(
    ("subgraph", "said"),
    [
        ([], "is an object"),
        ("x", "is an object"),
        ({"nodes": {}}, "are lists"),
        ({"nodes": [node(str(i), f"conv1:{i}") for i in range(5000)]}, "at most 200 nodes; this one has 5,000"),
        ({"nodes": [A, B], "edges": [edge("a", "b")] * 1001}, "at most 1,000 edges; this one has 1,001"),
        ({"nodes": [A], "threshold": 0}, "above 0 and at most 1"),
        ({"nodes": [A], "threshold": float("nan")}, "above 0 and at most 1"),
        ({"nodes": [A], "threshold": True}, "above 0 and at most 1"),
        ({"nodes": [A, "b"]}, "Node 2 is no object"),
        ({"nodes": [node("<b>", "conv1:0")]}, "needs an id"),
        ({"nodes": [A, node("a", "conv1:1")]}, "Two nodes have the id 'a'"),
        ({"nodes": [A, node("b", "conv1:0")]}, "conv1:0 is in the circuit twice"),
        ({"nodes": [node("a")]}, "either a neuron or a family"),
        ({"nodes": [node("a", "conv1:0", family="x")]}, "either a neuron or a family"),
        ({"nodes": [node("a", "conv1:8")]}, "has 8 neurons, numbered 0 to 7"),
        ({"nodes": [node("a", "conv9:1")]}, "has no layer 'conv9'"),
        ({"nodes": [node("a", "curves")]}, "is not a neuron's address"),
        ({"nodes": [node("a", family="curves")]}, "names no family"),
        ({"nodes": [node("a", family="00000000-0000-4000-8000-000000000000")]}, "does not have"),
        ({"nodes": [node("a", "conv1:0", x=float("inf"))]}, "stands nowhere"),
        ({"nodes": [node("a", "conv1:0", y=10**400)]}, "stands nowhere"),
        ({"nodes": [A, B], "edges": [edge("a", "z")]}, "ends at 'z'"),
        ({"nodes": [A, B], "edges": [edge("a", ["b"])]}, "which is no node"),
        ({"nodes": [A, B], "edges": [edge("a", "\ud800")]}, "ends at '?'"),
        ({"nodes": [A, B], "edges": [edge("a", "b"), edge("a", "b", 2)]}, "is there twice"),
        ({"nodes": [A, B], "edges": [edge("b", "a")]}, "edges go from an earlier layer to a later one"),
        ({"nodes": [A, B, C], "edges": [edge("a", "b"), edge("b", "c"), edge("c", "a")]}, "which lies before it"),
        ({"nodes": [A, node("b", "conv1:1")], "edges": [edge("a", "b")]}, "in the same layer"),
        ({"nodes": [A, B], "edges": [edge("a", "a")]}, "in the same layer"),
        ({"nodes": [A, B], "edges": [edge("a", "b", 0)]}, "a number other than 0"),
        ({"nodes": [A, B], "edges": [edge("a", "b", "1")]}, "a number other than 0"),
        ({"nodes": [A, B], "edges": [edge("a", "b", 10**400)]}, "a number other than 0"),
        ({"nodes": [A, B], "edges": [edge("a", "b", 1, "not evidence")]}, "names no evidence"),
        ({"nodes": [A, B], "edges": [4]}, "Edge 1 is no object"),
        ({"nodes": [A], "grown": {"neuron": 4}}, "grow it again"),
    ],
)
def test_what_is_wrong_is_told_in_words(network, subgraph, said):
    assert any(said in sentence for sentence in refusals(network, subgraph)), refusals(network, subgraph)


def test_a_family_of_another_network_is_no_part_of_the_circuit(network):
    other = make_family(make_network("other").layers.get(name="conv1"))
    assert "does not have" in refusals(network, {"nodes": [node("a", family=str(other.public_id))]})[0]


def test_a_hundred_mistakes_are_told_by_the_first_few(network):
    told = refusals(network, {"nodes": [node("a", "conv1:0"), *({"id": 4} for _ in range(100))]})
    assert len(told) == circuits.MOST_TOLD + 1
    assert told[-1] == "And 80 more."


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=12) | st.sampled_from(["conv1:0", "a"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["nodes", "edges", "threshold", "grown", "id", "neuron", "family", "source", "target", "weight"]
            ),
            inner,
            max_size=6,
        )
    ),
    max_leaves=25,
)


@settings(max_examples=150)
@given(sent=JSON)
def test_whatever_is_sent_is_a_circuit_or_refused_in_words(network, sent):
    try:
        found = circuits.check(network, sent)
    except ValidationError as error:
        refused = error.message_dict["subgraph"]
    else:
        refused = ["It is taken, and is the same when it is sent again."]
        assert circuits.check(network, found) == found
        assert json.dumps(found, allow_nan=False)
    assert all(sentence.encode() for sentence in refused)


def test_checking_asks_the_same_few_questions_whatever_the_size(network, django_assert_max_num_queries):
    nodes = [node(f"{layer}{i}", f"{layer}:{i}") for layer in ("conv1", "mixed3a", "mixed3b") for i in range(8)]
    edges = [edge(f"conv1{i}", f"mixed3a{j}") for i in range(8) for j in range(8)]
    with django_assert_max_num_queries(4):
        circuits.check(network, {"nodes": nodes, "edges": edges})


# Growing from evidence


def weights(address, layer, values, *, scale=None, strong=None, channels=8):
    """The ``weights`` evidence of a neuron: ``values`` are those of an earlier layer's neurons, by index."""
    rows = [{"neuron": i, "value": v, "linearised": False, "kernel": [[v]]} for i, v in values.items()]
    rows.sort(key=lambda row: -abs(row["value"]))
    scale = scale or max(map(abs, values.values()))
    data = {
        "layer": layer,
        "direction": "in",
        "linearised": False,
        "scale": scale,
        "channels": channels,
        "strong": strong or sum(abs(value) >= 0.3 * scale for value in values.values()),
        "strongest": rows,
    }
    return make_evidence(neuron_at(address), "weights", data=data, parameters={"direction": "in", "layer": layer})


def joins(subgraph):
    return {(edge["source"], edge["target"]): edge["weight"] for edge in subgraph["edges"]}


def test_it_grows_by_the_rule_two_layers_deep(network):
    top = weights("mixed3b:0", "mixed3a", {0: 1.0, 1: -0.3, 2: 0.29, 3: 0.5})
    weights("mixed3a:0", "conv1", {4: -2.0, 5: 0.7})
    weights("mixed3a:1", "conv1", {4: 1.0})
    found = circuits.grow(network, neuron_at("mixed3b:0"))
    assert joins(found) == {
        ("mixed3a:0", "mixed3b:0"): 1.0,
        ("mixed3a:3", "mixed3b:0"): 0.5,
        ("mixed3a:1", "mixed3b:0"): -0.3,
        ("conv1:4", "mixed3a:0"): -2.0,
        ("conv1:5", "mixed3a:0"): 0.7,
        ("conv1:4", "mixed3a:1"): 1.0,
    }
    assert found["edges"][0]["evidence"] == str(top.current.public_id)
    assert [node["id"] for node in found["nodes"]].count("conv1:4") == 1
    assert found["grown"]["unknown"] == ["mixed3a:3"]
    assert circuits.check(network, found) == found


def test_depth_and_threshold_are_the_readers_choice(network):
    weights("mixed3b:0", "mixed3a", {0: 1.0, 1: -0.3, 2: 0.2})
    weights("mixed3a:0", "conv1", {4: -2.0})
    assert len(circuits.grow(network, neuron_at("mixed3b:0"), depth=1)["nodes"]) == 3
    assert len(circuits.grow(network, neuron_at("mixed3b:0"), 0.1, 1)["nodes"]) == 4
    assert len(circuits.grow(network, neuron_at("mixed3b:0"), 1.0, 2)["nodes"]) == 3
    for threshold, depth in ((0, 2), (1.5, 2), (0.3, 0), (0.3, 5), (float("nan"), 1)):
        with pytest.raises(ValidationError):
            circuits.grow(network, neuron_at("mixed3b:0"), threshold, depth)


def test_the_nearest_layer_counts_where_weights_were_made_from_several(network):
    weights("mixed3b:0", "conv1", {7: 9.0})
    weights("mixed3b:0", "mixed3a", {0: 1.0})
    assert joins(circuits.grow(network, neuron_at("mixed3b:0"), depth=1)) == {("mixed3a:0", "mixed3b:0"): 1.0}


def test_without_weights_nothing_grows(network):
    with pytest.raises(ValidationError, match="request them on its page"):
        circuits.grow(network, neuron_at("mixed3b:0"))
    assert joins(circuits.grow(network, neuron_at("conv1:0"))) == {}  # nothing lies before the first layer


def test_what_is_too_much_is_left_out_and_counted(monkeypatch, network):
    monkeypatch.setattr(circuits, "MOST_NODES", 4)
    weights("mixed3b:0", "mixed3a", {0: 1.0, 1: -0.9, 2: 0.8, 3: 0.7, 4: 0.6}, strong=9)
    found = circuits.grow(network, neuron_at("mixed3b:0"))
    assert [node["id"] for node in found["nodes"]] == ["mixed3b:0", "mixed3a:0", "mixed3a:1", "mixed3a:2"]
    assert found["grown"]["left"] == 2 + 4
    assert "6 more inputs would reach that" in circuits.selection(found)


@pytest.mark.parametrize(
    ("threshold", "strong", "left", "may_be_more"),
    [
        (0.3, 60, 10, False),  # the evidence counts those that reach 30 %
        (0.2, 60, 0, True),
        (0.4, 60, 0, True),
        (0.4, 50, 0, False),  # none beyond the fifty reaches 30 %
        (0.9, 60, 0, False),  # some of the fifty fall short
        (0.2, 50, 0, True),
    ],
)
def test_what_no_evidence_lists_is_counted_where_it_is_known(threshold, strong, left, may_be_more):
    network = make_network(layers={"mixed3a": 256, "mixed3b": 1})
    values = {0: 1.0} | dict.fromkeys(range(1, 50), 0.5)
    weights("mixed3b:0", "mixed3a", values, strong=strong, channels=256)
    found = circuits.grow(network, neuron_at("mixed3b:0"), threshold, 1)
    told = circuits.selection(found)
    assert found["grown"]["left"] == left
    assert (f"{left} more inputs would reach that" in told) == bool(left)
    assert ("Of mixed3b:0 the evidence lists the strongest inputs alone" in told) == may_be_more
    assert circuits.check(network, found) == found


def test_growing_asks_a_few_questions_a_layer(network, django_assert_max_num_queries):
    weights("mixed3b:0", "mixed3a", dict.fromkeys(range(8), 1.0))
    for i in range(8):
        weights(f"mixed3a:{i}", "conv1", dict.fromkeys(range(8), 1.0))
    neuron = neuron_at("mixed3b:0")
    with django_assert_max_num_queries(1 + 2 * 4):
        assert len(circuits.grow(network, neuron)["edges"]) == 8 + 64


def test_an_edge_has_the_weight_that_its_evidence_has(network):
    weights("mixed3b:0", "mixed3a", {0: 1.0, 1: -0.5})
    weights("mixed3b:1", "mixed3a", {0: 0.25})
    found = circuits.grow(network, neuron_at("mixed3b:0"))
    found["edges"][0]["weight"] = 99.0
    assert joins(circuits.check(network, found))["mixed3a:0", "mixed3b:0"] == 1.0
    found["edges"][0]["evidence"] = str(neuron_at("mixed3b:1").evidence.get().current.public_id)
    assert "does not show that weight" in refusals(network, found)[0]
    found["edges"][0]["evidence"] = "00000000-0000-4000-8000-000000000000"
    assert "does not show that weight" in refusals(network, found)[0]


def test_what_it_was_grown_by_is_applied_again_and_not_believed(network):
    weights("mixed3b:0", "mixed3a", {0: 1.0, 1: -0.5})
    found = circuits.grow(network, neuron_at("mixed3b:0"))
    found["grown"]["neurons"] = ["mixed3b:0", "conv1:7"]
    assert circuits.check(network, found)["grown"]["neurons"] == ["mixed3b:0", "mixed3a:0", "mixed3a:1"]
    found["grown"]["neuron"] = "mixed3b:7"
    assert "were not made yet" in refusals(network, found)[0]


# By hand


def test_a_node_that_is_added_is_joined_by_what_evidence_says(network):
    weights("mixed3b:0", "mixed3a", {0: 1.0, 1: -0.5, 2: 0.1})
    weights("mixed3a:1", "conv1", {3: 1.0})
    found = circuits.add(network, circuits.empty(), "3b:0")
    for name in ("3a:1", "3a:2", "conv1:3"):
        found = circuits.add(network, found, name)
    assert joins(found) == {("mixed3a:1", "mixed3b:0"): -0.5, ("conv1:3", "mixed3a:1"): 1.0}
    assert circuits.check(network, found) == found
    without = circuits.remove(found, "mixed3a:1")
    assert joins(without) == {}
    assert joins(circuits.cut(found, "conv1:3", "mixed3a:1")) == {("mixed3a:1", "mixed3b:0"): -0.5}


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("3b:0", "in the circuit already"),
        ("3b:99", "numbered 0 to 7"),
        ("curves", "is not a neuron's address"),
        ("family:3b/curves", "There is no family 'curves' in 3b"),
        ("family:conv1/Lines", "There is no family"),
    ],
)
def test_what_cannot_be_added_is_told(network, name, said):
    make_family(network.layers.get(name="mixed3a"), "Lines")
    with pytest.raises(ValidationError, match=said):
        circuits.add(network, circuits.add(network, circuits.empty(), "3b:0"), name)


def test_a_family_is_joined_by_its_members_weights_or_by_its_own_evidence(network):
    lines = make_family(network.layers.get(name="mixed3a"), "Lines", units=[0, 1])
    curves = make_family(network.layers.get(name="mixed3b"), "Curves", units=[0, 1])
    weights("mixed3b:0", "mixed3a", {0: 0.5, 5: 1.0})
    weights("mixed3b:1", "mixed3a", {1: -0.8})
    found = circuits.add(network, circuits.add(network, circuits.empty(), "family:3a/lines"), "family:3b/curves")
    assert [edge["weight"] for edge in found["edges"]] == [-0.8]
    assert circuits.check(network, found) == found
    hidden = [neuron_at("mixed3b:1").pk]
    assert [e["weight"] for e in circuits.connect(network, found, hidden)["edges"]] == [0.5]
    data = {"layer": "mixed3b", "source_layer": "mixed3a", "strengths": [[0.1, -2.0], [0.3, 0.2]]}
    row = make_family_evidence(curves, "family_weights", data, {}, other=lines)
    joined = circuits.connect(network, found)
    assert [(edge["weight"], edge["evidence"]) for edge in joined["edges"]] == [(-2.0, str(row.current.public_id))]
    assert circuits.check(network, joined) == joined
    joined["edges"][0]["weight"] = -1.0
    assert "does not show that weight" in refusals(network, joined)[0]
    assert Membership.objects.count() == 4


def test_of_a_large_family_some_members_are_read_and_that_is_told(monkeypatch):
    network = make_network(layers={"conv1": 4, "mixed3a": 4, "mixed3b": 40})
    curves = make_family(network.layers.get(name="mixed3b"), "Curves", units=range(40))
    lines = make_family(network.layers.get(name="conv1"), "Lines", units=[0])
    for index in range(40):
        weights(f"mixed3b:{index}", "conv1", {1: 0.5})
        weights(f"mixed3b:{index}", "mixed3a", {1: 0.5})
    read = []
    whole = circuits.read_data
    monkeypatch.setattr(circuits, "read_data", lambda version: read.append(version) or whole(version))
    told = []
    found = circuits.add(network, circuits.add(network, circuits.empty(), "family:3b/curves"), "conv1:1", told=told)
    assert joins(found) == {("conv1:1", found["nodes"][0]["id"]): 0.5}
    assert len(read) == circuits.SAMPLED, "and of the layer that is in the circuit alone"
    assert {version.evidence.neuron.index < 20 for version in read} == {True, False}, "evenly"
    (sentence,) = told
    assert sentence.startswith("Of Curves (mixed3b) the weights into 24 of 40 members were read")
    assert "request its weights" in sentence
    assert circuits.refreshed(network, found)[1] == told
    del read[:], told[:]
    monkeypatch.setattr(circuits, "MOST_READ", 10)
    circuits.connect(network, found, told=told)
    assert len(read) == 10
    data = {"layer": "mixed3b", "source_layer": "conv1", "strengths": [[0.1]]}
    make_family_evidence(curves, "family_weights", data, {}, other=lines)
    two = circuits.add(network, circuits.add(network, circuits.empty(), "family:3b/curves"), "family:conv1/lines")
    del read[:], told[:]
    assert len(circuits.connect(network, two, told=told)["edges"]) == 1
    assert (len(read), told) == (1, []), "what the families' own evidence tells needs no member"


def test_what_is_added_gets_an_id_of_its_own(network):
    family = make_family(network.layers.get(name="mixed3a"), "Lines")
    named = {
        "3b:1": node("mixed3b:1", "mixed3b:0"),
        "family:3a/lines": node(f"family-{str(family.public_id)[:8]}", "3b:2"),
    }
    for name, taken in named.items():
        sent = circuits.check(network, {"nodes": [taken, node(f"{taken['id']}-2", "conv1:0")]})
        found = circuits.add(network, sent, name)
        assert [one["id"] for one in found["nodes"]] == [taken["id"], f"{taken['id']}-2", f"{taken['id']}-3"]
        assert circuits.check(network, found) == found


def test_an_edge_drawn_by_hand_says_so_and_stays(network):
    found = circuits.add(network, circuits.add(network, circuits.empty(), "3b:0"), "3a:1")
    found = circuits.tie(network, found, "mixed3a:1", "mixed3b:0", 0.75)
    assert joins(circuits.connect(network, found)) == {("mixed3a:1", "mixed3b:0"): 0.75}
    assert "1 connection drawn by hand, without evidence." in circuits.selection(found)
    with pytest.raises(ValidationError, match="later one"):
        circuits.tie(network, found, "mixed3b:0", "mixed3a:1", 0.75)


@pytest.mark.parametrize("side", ["target", "source"])
def test_evidence_of_a_neuron_that_is_no_member_does_not_speak_for_the_family(network, side):
    layer = network.layers.get(name="mixed3b" if side == "target" else "mixed3a")
    family, of = make_family(layer, units=[0]), node("n", "mixed3a:0" if side == "target" else "mixed3b:1")
    version = str(weights("mixed3b:1", "mixed3a", {0: 0.5, 1: 1.0}).current.public_id)
    nodes = [of, node("f", family=str(family.public_id))]
    ends, weight = (("n", "f"), 0.5) if side == "target" else (("f", "n"), 1.0)
    sent = {"nodes": nodes, "edges": [edge(*ends, weight, version)]}
    (found,) = circuits.check(network, sent)["edges"]
    assert (found["weight"], found["evidence"]) == (weight, "")
    assert "1 connection drawn by hand" in circuits.selection(circuits.check(network, sent))
    member = Membership.objects.create(family=family, neuron=neuron_at(f"{layer.name}:1"), made_by=make_user())
    told = circuits.check(network, sent)
    assert told["edges"][0]["evidence"] == version
    # To whom a member is hidden, it is as one that is none; what stood there stays.
    assert circuits.check(network, sent, hidden=[member.neuron_id])["edges"][0]["evidence"] == ""
    blank = {"nodes": nodes, "edges": [edge(*ends, weight)]}
    assert circuits.check(network, blank, told, [member.neuron_id])["edges"] == told["edges"]
    Membership.objects.filter(pk=member.pk).update(ended_at=timezone.now())
    assert circuits.check(network, sent)["edges"][0]["evidence"] == version


def test_connections_that_do_not_reach_the_threshold_are_told(network):
    weights("mixed3b:0", "mixed3a", {0: 1.0, 1: 0.25})
    version = str(neuron_at("mixed3b:0").evidence.get().current.public_id)
    nodes = [node("a", "mixed3a:0"), node("b", "mixed3a:1"), node("c", "mixed3b:0")]
    sent = {"nodes": nodes, "edges": [edge("a", "c", 1.0, version), edge("b", "c", 0.25, version)]}
    reach, whatever = "Connections are weights that reach", "Taken from evidence whatever their share of the largest: "
    assert f"{whatever}1 connection." in circuits.selection(circuits.check(network, sent))
    assert whatever not in circuits.selection(circuits.check(network, sent | {"threshold": 0.25}))
    assert reach not in circuits.selection(circuits.check(network, sent | {"edges": sent["edges"][1:]}))
    found, _ = circuits.refreshed(network, circuits.check(network, sent))
    assert found == circuits.check(network, sent) | {"edges": found["edges"]}
    assert f"{whatever}1 connection." in circuits.selection(found)


def test_newer_evidence_changes_weights_in_words(network):
    row = weights("mixed3b:0", "mixed3a", {0: 1.0, 1: -0.5, 2: 0.4})
    found = circuits.grow(network, neuron_at("mixed3b:0"))
    assert circuits.refreshed(network, found) == (found, [])
    data = {"layer": "mixed3a", "scale": 1.0, "strong": 2, "channels": 8}
    data["strongest"] = [{"neuron": 0, "value": 1.0}, {"neuron": 1, "value": 0.7}]
    newer = add_version(row, [("data", json.dumps(data).encode(), ".json")])
    fresh, told = circuits.refreshed(network, found)
    assert told == [
        "The weight from mixed3a:1 to mixed3b:0 was -0.5 and is +0.7.",
        "No evidence lists the weight from mixed3a:2 to mixed3b:0 any more: it stays at +0.4.",
    ]
    assert [edge["evidence"] == str(newer.public_id) for edge in fresh["edges"]] == [True, True, False]


def test_the_selection_is_told_as_it_is(network):
    make_family(network.layers.get(name="mixed3a"), "Lines", units=[0, 1])
    weights("mixed3b:0", "mixed3a", {0: 1.0, 1: -0.5})
    found = circuits.grow(network, neuron_at("mixed3b:0"))
    assert circuits.selection(found) == (
        "Grown from mixed3b:0, two layers deep: of each neuron those inputs whose strongest weight reaches 30 % of "
        "its largest, which gives 3 neurons. Not followed further, as their own weights were not made: mixed3a:0, "
        "mixed3a:1."
    )
    found = circuits.add(network, circuits.remove(found, "mixed3a:1"), "conv1:4")
    assert circuits.selection(found).endswith("Added by hand: conv1:4. Left out by hand: mixed3a:1.")
    by_hand = circuits.add(network, circuits.add(network, circuits.empty(), "3b:0"), "family:3a/lines")
    assert circuits.selection(by_hand).startswith("Chosen by hand: 1 neuron and 1 family. Connections are weights")
    assert circuits.selection(circuits.empty()) == ""


# Motifs


def turning(members, sources, strength, stimulus="curve", source_stimulus="curve", equivariance=0.98):
    """``family_weights`` in which the weight is a function of the angle between the two members."""
    period = {"curve": 360.0, "line": 180.0}
    angles = [i * period[stimulus] / members for i in range(members)]
    source_angles = [i * period[source_stimulus] / sources for i in range(sources)]
    return {
        "layer": "mixed3b",
        "members": list(range(members)),
        "angles": angles,
        "stimulus": stimulus,
        "source_layer": "mixed3a",
        "source": list(range(sources)),
        "source_angles": source_angles,
        "source_stimulus": source_stimulus,
        "scale": 1.0,
        "strengths": [[strength(a - b) for b in source_angles] for a in angles],
        "equivariance": equivariance,
    }


@pytest.fixture
def families():
    network = make_network(layers={"mixed3a": 48, "mixed3b": 24})
    earlier = make_family(network.layers.get(name="mixed3a"), "Early Curves", units=range(24))
    lines = make_family(network.layers.get(name="mixed3a"), "Lines", units=range(24, 42))
    curves = make_family(network.layers.get(name="mixed3b"), "Curves", units=range(24))
    return network, earlier, lines, curves


def motifs(network, *names):
    found = circuits.empty()
    for name in names:
        found = circuits.add(network, found, name)
    return circuits.suggest_motifs(network, found)


def test_weights_that_turn_with_both_families_suggest_equivariance_and_opposition(families):
    network, earlier, _, curves = families
    data = turning(24, 24, lambda apart: math.cos(math.radians(apart)))
    row = make_family_evidence(curves, "family_weights", data, {}, other=earlier)
    for names in (("family:3a/early curves", "family:3b/curves"), ("3a:0", "3b:0")):
        found = motifs(network, *names)
        assert [one.motif for one in found] == [Motif.EQUIVARIANCE, Motif.OPPOSITION]
        assert "correlation 0.98" in found[0].sentence
        assert "within 15° of their own orientation (mean weight +0.98 of at most 1)" in found[1].sentence
        assert "(\u22120.98)" in found[1].sentence
        assert {one.evidence for one in found} == {str(row.current.public_id)}


@pytest.mark.parametrize(
    ("angles", "source_angles", "suggested"),
    [
        ([0.0, 90.0, 180.0, 270.0], [10.0, 100.0, 190.0, 280.0], True),
        ([350.0, 80.0, 200.0, 265.0], [0.0, 90.0, 180.0, 270.0], True),  # each within half a step
        ([0.0, 5.0, 10.0, 15.0], [0.0, 90.0, 180.0, 270.0], False),
        ([0.0, 90.0, 180.0, 270.0], [0.0, 5.0, 10.0, 15.0], False),
        ([0.0, 3.0], [0.0, 3.0], False),
        ([0.0, 120.0, 240.0], [0.0, 90.0, 180.0, 270.0], False),
        ([0.0, 90.0, 180.0, None], [0.0, 90.0, 180.0, 270.0], False),
    ],
)
def test_only_families_that_stand_around_a_turn_are_said_to_turn(families, angles, source_angles, suggested):
    network, earlier, _, curves = families
    data = turning(len(angles), len(source_angles), lambda apart: 0.01)
    make_family_evidence(
        curves, "family_weights", data | {"angles": angles, "source_angles": source_angles}, {}, other=earlier
    )
    found = motifs(network, "family:3a/early curves", "family:3b/curves")
    assert [one.motif for one in found] == [Motif.EQUIVARIANCE] * suggested


def test_a_curve_is_excited_by_the_line_along_its_tangent(families):
    network, _, lines, curves = families
    data = turning(24, 18, lambda apart: math.cos(2 * math.radians(apart)), source_stimulus="line", equivariance=0.5)
    make_family_evidence(curves, "family_weights", data, {}, other=lines)
    (found,) = motifs(network, "family:3a/lines", "family:3b/curves")
    assert found.motif == Motif.OPPOSITION
    assert "within 7.5°" in found.sentence


@pytest.mark.parametrize("strength", [lambda apart: 1.0, lambda apart: -math.cos(math.radians(apart)), lambda a: 0.01])
def test_weights_without_an_opposition_suggest_none(families, strength):
    network, earlier, _, curves = families
    data = turning(24, 24, strength, equivariance=None)
    make_family_evidence(curves, "family_weights", data, {}, other=earlier)
    assert motifs(network, "family:3a/early curves", "family:3b/curves") == []


def test_several_families_that_excite_one_suggest_a_union(families):
    network, earlier, lines, curves = families
    for source, count, strength in ((earlier, 24, 0.5), (lines, 18, 0.25)):
        data = turning(24, count, lambda apart, strength=strength: strength, equivariance=None)
        make_family_evidence(curves, "family_weights", data, {}, other=source)
    found = motifs(network, "family:3a/early curves", "family:3a/lines", "family:3b/curves")
    assert [one.motif for one in found] == [Motif.UNION]
    assert found[0].sentence == (
        "Curves (mixed3b) is excited by 2 families of mixed3a: Early Curves (100 % of its weight excites), "
        "Lines (100 % of its weight excites)."
    )


def test_a_family_that_inhibits_as_much_is_no_case(families):
    network, earlier, lines, curves = families
    make_family_evidence(curves, "family_weights", turning(24, 24, lambda a: 0.5, equivariance=None), {}, other=earlier)
    data = turning(24, 18, lambda apart: 0.5 if apart % 20 else -1.0, source_stimulus="line")
    make_family_evidence(
        curves, "family_weights", data | {"equivariance": None, "angles": [None] * 24}, {}, other=lines
    )
    assert motifs(network, "family:3a/early curves", "family:3a/lines", "family:3b/curves") == []


def test_a_hidden_membership_suggests_nothing(families):
    network, earlier, _, curves = families
    data = turning(24, 24, lambda apart: math.cos(math.radians(apart)))
    make_family_evidence(curves, "family_weights", data, {}, other=earlier)
    found = circuits.add(network, circuits.add(network, circuits.empty(), "3a:0"), "3b:0")
    hidden = [neuron_at("3b:0").pk]
    assert circuits.suggest_motifs(network, found)
    assert circuits.suggest_motifs(network, found, hidden) == []
