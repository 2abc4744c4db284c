"""A note's circuit as a Python file: who gets it, for which circuits, and what it does not tell."""

import ast
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from taxonomy.models import Network, Note, NoteVersion, Reveal, User
from tests.factory import make_family, make_network, make_user, neuron_at

pytestmark = pytest.mark.django_db


@pytest.fixture
def network() -> Network:
    network = make_network("curve_network", layers={"conv2d2": 4, "mixed3a": 4, "mixed3b": 4})
    for (layer, name), units in {
        ("conv2d2", "Lines"): [0],
        ("mixed3a", "Early Curves"): [0, 1],
        ("mixed3a", "Lines"): [2],
        ("mixed3b", "Curves"): [0, 1],
    }.items():
        make_family(network.layers.get(name=layer), name, units=units)
    return network


def make_note(network: Network, *nodes: str, edges: Any = (), author: User | None = None, opened: bool = True) -> Note:
    """A note whose circuit has these neurons, or families as ``layer/name``."""
    author = author or make_user()
    when = {"opened_at": timezone.now(), "opened_with": 1} if opened else {}
    note = Note.objects.create(network=network, created_by=author, **when)
    found: list[Any] = []
    for name in nodes:
        layer, _, family = name.partition("/")
        kin = str(network.layers.get(name=layer).families.get(name=family).public_id) if family else ""
        found.append({"id": name, "neuron": "" if family else name, "family": kin, "x": 0, "y": 0})
    drawn = [{"source": source, "target": target, "weight": w, "evidence": ""} for source, target, w in edges]
    graph = {"nodes": found, "edges": drawn, "threshold": 0.3} if found else {}
    NoteVersion.objects.create(note=note, number=1, title='Curves "by" hand', subgraph=graph, saved_by=author)
    return note


def circuit_of(text: str) -> Any:
    return next(
        ast.literal_eval(one.value)
        for one in ast.parse(text).body
        if isinstance(one, ast.Assign) and one.targets[0].id == "CIRCUIT"  # type: ignore[attr-defined]
    )


def address(note: Note) -> str:
    return f"/notes/{note.public_id}/artificial.py"


def test_it_is_a_file_of_python_with_the_notes_circuit(client: Client, network: Network):
    edges = [("mixed3a/Early Curves", "mixed3b:1", 0.5), ("mixed3a:2", "mixed3b:1", -0.1)]
    note = make_note(network, "mixed3a/Early Curves", "mixed3a:2", "mixed3b:1", edges=edges)
    answer = client.get(address(note))
    assert answer.status_code == 200
    assert answer["Content-Type"].startswith("text/x-python")
    assert answer["Content-Disposition"] == f'attachment; filename="artificial_note_{str(note.public_id)[:8]}.py"'
    text = answer.content.decode()
    assert circuit_of(text)["mixed3b"] == {"Curves": {"Early Curves": 1.0, "Lines": 0.2}}
    assert f"/notes/{note.public_id}/" in text


def test_an_earlier_version_is_built_as_it_was(client: Client, network: Network):
    note = make_note(network, "mixed3a/Early Curves", "mixed3b:1", edges=[("mixed3a/Early Curves", "mixed3b:1", 0.5)])
    first = note.latest
    said = {"title": "Lines", "subgraph": {}, "saved_by": first.saved_by}
    later = NoteVersion.objects.create(note=note, number=2, **said)
    Note.objects.filter(pk=note.pk).update(submitted=later)
    assert client.get(address(note)).status_code == 422, "the version that its page shows has no circuit"
    text = client.get(f"{address(note)}?version=1").content.decode()
    assert circuit_of(text)["mixed3b"]
    assert f"{first.get_absolute_url()}" in text
    assert client.get(f"{address(note)}?version=3").status_code == 404


def test_what_cannot_be_built_is_answered_in_words(client: Client, network: Network):
    for note, words in (
        (make_note(network), "draws no circuit yet"),
        (make_note(network, "mixed3b:3"), "mixed3b:3 is in no family"),
        (make_note(make_network("othernet", layers={"mixed3b": 2})), "this note is about othernet"),
    ):
        answer = client.get(address(note))
        assert answer.status_code == 422
        assert words in answer.content.decode()


def test_a_draft_is_its_authors(client: Client, network: Network):
    author = make_user()
    note = make_note(network, "mixed3b/Curves", author=author, opened=False)
    note.authorships.create(person=author, added_by=author, agreed_at=timezone.now())
    assert client.get(address(note)).status_code == 403
    client.force_login(author)
    assert client.get(address(note)).status_code == 200


def test_whose_family_one_is_to_find_out_is_not_told(client: Client, network: Network):
    neuron, person = neuron_at("3b:1", network), make_user()
    neuron.golds.create(marked_by=make_user(role="editor"), reason="Plain.")
    note = make_note(network, "mixed3b:1")
    client.force_login(person)
    answer = client.get(address(note))
    assert answer.status_code == 403
    assert "give your own reading first" in answer.content.decode()
    assert not Reveal.objects.exists()


def test_what_it_tells_is_recorded(client: Client, network: Network):
    person, neuron = make_user(), neuron_at("3b:1", network)
    client.force_login(person)
    assert client.get(address(make_note(network, "mixed3b:1", "mixed3a/Lines"))).status_code == 200
    assert list(Reveal.objects.values_list("neuron", "person")) == [(neuron.pk, person.pk)]
