import difflib
from collections import Counter

import pytest

from taxonomy.models import Note, NoteVersion
from taxonomy.rendering import differences
from taxonomy.rendering.differences import changes, words
from tests.factory import make_family, make_network, make_user


def test_words_that_went_and_came():
    assert words("a <b", "a <c") == "a <del>&lt;b</del><ins>&lt;c</ins>"
    assert "\u202e" not in words("\u202ea", "b\u202e")


def test_texts_that_take_long_to_compare_are_shown_whole():
    old, new = "one " * 2_000 + "end", "two " * 2_000 + "end"
    assert words(old, new) == f"<del>{'one ' * 1_999}one</del><ins>{'two ' * 1_999}two</ins> end"


def lines(before: str, after: str) -> str:
    """The body's change, as ``changes`` tells it; "" for none."""
    told = changes(NoteVersion(body=before), NoteVersion(body=after))
    return told[0].html if told else ""


@pytest.mark.parametrize("piece", ["a\n", "a ", "ab\n\n", "\n", " "])
def test_a_hundred_thousand_characters_of_the_same_are_compared(piece):
    whole = piece * (100_000 // len(piece))
    assert "<ins>" in lines(whole, whole[:50_000] + "new\n" + whole[50_000:])
    assert lines(whole, whole) == ""


def test_of_a_long_text_the_lines_around_a_change_are_shown():
    before = "".join(f"Line {number}.\n\n" for number in range(40))
    html = lines(before, before.replace("Line 20.", "Line twenty <b>."))
    assert "<del>20.</del><ins>twenty &lt;b&gt;.</ins>" in html
    assert "Line 18." in html
    assert "Line 17." not in html
    assert html.count('class="skipped"') == 2


def test_of_all_places_of_a_text_together_only_so_much_is_compared(versions, monkeypatch):
    def lines_of(side: str) -> str:
        return "\n".join(
            f"keep{line}\n" + " ".join(f"k{word % 11} {side}{word}" for word in range(740)) for line in range(12)
        )

    compared = 0

    class Counted(difflib.SequenceMatcher):
        def __init__(self, junk, one, other, autojunk):
            nonlocal compared
            there = Counter(other)
            compared += sum(there[piece] for piece in one)
            super().__init__(junk, one, other, autojunk=autojunk)

    monkeypatch.setattr(difflib, "SequenceMatcher", Counted)
    before, after = lines_of("x"), lines_of("y")
    html = lines(before, after)
    assert 0 < compared <= differences.MOST_PAIRS
    assert html.count("<del>") == html.count("<ins>") == 12, "each line was replaced whole"

    compared = 0
    first, second = versions
    for field in differences.FIELDS:
        setattr(first, field, " ".join(f"k{word % 5} x{word}" for word in range(60)))
        setattr(second, field, " ".join(f"k{word % 5} y{word}" for word in range(60)))
    assert {change.field for change in changes(first, second)} >= set(differences.FIELDS)
    assert 0 < compared <= differences.MOST_PAIRS, "all fields of a version share it"


@pytest.fixture
def versions(db) -> tuple[NoteVersion, NoteVersion]:
    network = make_network()
    family = make_family(network.layers.get(name="mixed3b"), "Curves")
    note = Note.objects.create(network=network, created_by=make_user("ada"))
    nodes = [
        {"id": "a", "neuron": "conv1:1", "family": "", "x": 0.0, "y": 0.0},
        {"id": "b", "neuron": "mixed3b:2", "family": "", "x": 0.0, "y": 0.0},
        {"id": "c", "neuron": "", "family": str(family.public_id), "x": 0.0, "y": 0.0},
    ]
    edges = [{"source": "a", "target": "b", "weight": 0.5, "evidence": ""}]
    graph = {"nodes": nodes, "edges": edges, "threshold": 0.3}
    later = {
        "nodes": [nodes[0] | {"id": "other", "x": 9.0}, nodes[2]],
        "edges": [{"source": "other", "target": "c", "weight": -0.25, "evidence": ""}],
        "threshold": 0.2,
    }
    first = NoteVersion(note=note, number=1, title="One", body="Same.", subgraph=graph, saved_by=note.created_by)
    second = NoteVersion(
        note=note, number=2, title="Two", body="Same.", subgraph=later, motifs=["invariance"], saved_by=note.created_by
    )
    return first, second


def test_two_versions_of_a_note_differ_field_by_field(versions):
    found = {change.field: change.html for change in changes(*versions)}
    assert list(found) == ["title", "motifs", "subgraph"]
    assert found["title"] == "<del>One</del><ins>Two</ins>"
    assert found["motifs"] == "<ins>invariance</ins>"
    assert changes(versions[0], versions[0]) == []


def test_of_a_circuit_is_told_what_came_and_went_and_not_where_it_lies(versions):
    circuit = next(change.html for change in changes(*versions) if change.field == "subgraph")
    gone, come = circuit.count("<li><del>"), circuit.count("<li><ins>")
    assert (gone, come) == (2, 1), "mixed3b:2 and its edge went, an edge to the family came"
    assert "−0.25" in circuit
    assert "<span>Curves</span>" in circuit
    assert "Threshold <del>30%</del><ins>20%</ins>" in circuit


def test_an_edge_with_another_weight_is_one_change(versions):
    first, second = versions
    second.subgraph = first.subgraph | {"edges": [first.subgraph["edges"][0] | {"weight": 0.75}]}
    circuit = next(change.html for change in changes(first, second) if change.field == "subgraph")
    assert "<del>+0.5</del><ins>+0.75</ins>" in circuit
    assert circuit.count("<li>") == 1
