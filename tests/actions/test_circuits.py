"""What a circuit may hold, and how it grows from a neuron's weights."""

import pytest
from django.core.exceptions import ValidationError

from taxonomy.actions import circuits
from tests.factory import make_family, make_network

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


def test_checking_asks_the_same_few_questions_whatever_the_size(network, django_assert_max_num_queries):
    nodes = [node(f"{layer}{i}", f"{layer}:{i}") for layer in ("conv1", "mixed3a", "mixed3b") for i in range(8)]
    edges = [edge(f"conv1{i}", f"mixed3a{j}") for i in range(8) for j in range(8)]
    with django_assert_max_num_queries(4):
        circuits.check(network, {"nodes": nodes, "edges": edges})
