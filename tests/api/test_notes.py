"""A circuit note from draft to correction, over the API alone."""

import pytest

from taxonomy.actions import gold
from taxonomy.models import Reveal, Role
from taxonomy.rendering.circuits import circuit
from tests.api.conftest import Client
from tests.factory import make_evidence, make_family, make_label, make_network, make_note, make_user, neuron_at

pytestmark = pytest.mark.django_db
DRAFT = {
    "network": "tinynet",
    "title": "Curves from lines",
    "abstract": "Curves are made of lines.",
    "body": "As [[3b:2]] shows.",
}


def test_the_whole_circle(api: Client) -> None:
    make_network()
    ada, bob, edith = (api.as_(user) for user in (make_user("ada"), make_user("bob"), make_user("e", role=Role.EDITOR)))
    made = ada.send("notes/", **DRAFT, motifs=["union over cases"], contribution="Wrote it.")
    assert made.status_code == 201, made.json()
    note = made.json()
    assert (note["state"], note["number"], note["published"]) == ("draft", None, None)
    assert note["authors"] == [{"person": "ada", "contribution": "Wrote it.", "agreed": True}]
    here = f"notes/{note['id']}/"
    assert bob.read(here).status_code == 403
    assert bob.read("notes/").json()["count"] == 0
    ada.send(f"{here}authors/", person="bob")
    assert [author["agreed"] for author in bob.read(here).json()["authors"]] == [True, False]
    assert bob.send(f"{here}authors/agree/", contribution="Measured.").status_code == 200
    saved = bob.send(f"{here}versions/", began_from=1, body="As [[3b:2]] and [[3b:3]] show.")
    assert (saved.status_code, saved.json()["number"], saved.json()["motifs"]) == (201, 2, ["union over cases"])
    late = ada.send(f"{here}versions/", began_from=1, body="Otherwise.")
    assert (late.status_code, "bob saved version 2" in late.json()["detail"]) == (409, True)
    assert ada.send(f"{here}submit/", version=2).json()["submitted"] == 2
    assert api.read(here).json()["state"] == "in review"
    assert edith.read("notes/", in_review="true", network="tinynet").json()["count"] == 1
    old = edith.send(f"{here}decide/", version=1, decision="approve")
    assert (old.status_code, "Version 2 was submitted" in old.json()["detail"]) == (403, True)
    published = edith.send(f"{here}decide/", version=2, decision="approve", comment="Good.").json()
    assert (published["state"], published["number"], published["published"]) == ("published", 1, 2)
    versions = {who: who.read(f"{here}versions/").json()["results"] for who in (api, ada)}
    told = [(one["number"], [review["decision"] for review in one["reviews"]]) for one in versions[ada]]
    assert told == [(1, []), (2, ["approve"])]
    assert [one["number"] for one in versions[api]] == [2]  # the first one was never submitted
    assert ada.read(f"{here}versions/1/").json()["body"] == DRAFT["body"]
    for who, status in ((api, 401), (edith, 403)):
        refused = who.read(f"{here}versions/1/")
        assert (refused.status_code, "only its authors read it" in refused.json()["detail"]) == (status, True)
    assert api.read(f"{here}versions/2/").json()["body"] == saved.json()["body"]
    cited = api.read(f"{here}cite/").json()
    assert "Curves from lines" in cited["bibtex"]
    assert cited["csl"]["title"] == "Curves from lines"
    assert ada.send(f"{here}doi/", doi="10.5281/zenodo.1").json()["doi"] == "10.5281/zenodo.1"
    commentary = bob.send("notes/", **DRAFT | {"title": "Not quite"}, about=note["id"]).json()
    assert commentary["about"] == note["id"]
    withdrawn = ada.send(f"{here}withdraw/", reason="The sweep was wrong.").json()
    assert (withdrawn["state"], withdrawn["withdrawn_reason"]) == ("withdrawn", "The sweep was wrong.")
    assert api.read("notes/", author="bob").json()["count"] == 1
    assert bob.read("notes/", author="bob").json()["count"] == 2


def test_who_declines_a_draft_reads_it_no_more(api: Client) -> None:
    make_network()
    ada, bob = api.as_(make_user("ada")), api.as_(make_user("bob"))
    here = f"notes/{ada.send('notes/', **DRAFT).json()['id']}/"
    ada.send(f"{here}authors/", person="BOB")
    assert bob.send(f"{here}authors/leave/").status_code == 204
    assert bob.read(here).status_code == 403


@pytest.mark.parametrize(
    ("change", "status", "sentence"),
    [
        ({"network": "nowhere"}, 404, "There is no network 'nowhere' here"),
        ({"title": ""}, 400, "may not be blank"),
        ({"motifs": ["magic"]}, 400, "Choose one of"),
        ({"subgraph": {"nodes": [{"id": "a", "neuron": "mixed3b:99"}]}}, 400, "mixed3b"),
        ({"subgraph": []}, 400, "A circuit is an object"),
        ({"body": "x" * 100_001}, 400, "at most 100000"),
        ({"state": "published"}, 400, "There is no field 'state'"),
        ({"about": "00000000-0000-0000-0000-000000000000"}, 404, "There is no such note here"),
    ],
)
def test_what_cannot_be_taken_is_told(api: Client, change: dict, status: int, sentence: str) -> None:
    make_network()
    answer = api.as_(make_user()).send("notes/", **DRAFT | change)
    assert (answer.status_code, sentence in answer.json()["detail"]) == (status, True), answer.json()


def test_visitors_write_nothing(api: Client) -> None:
    make_network()
    assert api.send("notes/", **DRAFT).status_code == 401


def test_reading_a_version_that_names_a_neuron_is_a_look(api: Client) -> None:
    note, reader = make_note(make_network(), published=True, body="[[3b:2]] is a curve."), make_user()
    assert api.as_(reader).read(f"notes/{note.public_id}/").status_code == 200
    assert not Reveal.objects.exists(), "a title tells nothing"
    api.as_(reader).read(f"notes/{note.public_id}/versions/1/")
    assert Reveal.objects.filter(neuron=neuron_at("3b:2"), person=reader).exists()
    assert not make_label(neuron_at("3b:2"), reader, make_family(note.network.layers.get(name="mixed3b"))).blind


@pytest.mark.parametrize(("direction", "ends"), [("in", ("n", "f")), ("out", ("f", "n"))])
def test_a_familys_edge_does_not_tell_who_its_hidden_member_is(api: Client, direction: str, ends: tuple) -> None:
    network = make_network()
    layers = list(network.layers.order_by("order"))
    of, other = (layers[-1], layers[0]) if direction == "in" else (layers[0], layers[-1])
    family, member = make_family(of, units=[0]), neuron_at(f"{of.name}:0")
    data = {"layer": other.name, "direction": direction, "scale": 1.0, "strong": 1, "channels": 8}
    data["strongest"] = [{"neuron": 1, "value": 0.5}]
    row = make_evidence(member, "weights", data=data, parameters={"direction": direction, "layer": other.name})
    version = str(row.current.public_id)
    nodes = [
        {"id": "n", "neuron": f"{other.name}:1", "family": "", "x": 0, "y": 0},
        {"id": "f", "neuron": "", "family": str(family.public_id), "x": 0, "y": 0},
    ]
    edge = dict(zip(("source", "target"), ends, strict=True)) | {"weight": 0.5, "evidence": version}
    subgraph = {"nodes": nodes, "edges": [edge], "threshold": 0.3}
    note = make_note(network, published=True, subgraph=subgraph)
    gold.mark(make_user(role=Role.EDITOR), member, "Plain to see.")
    here, reader = f"notes/{note.public_id}/versions/1/", api.as_(make_user())
    for who, told in ((reader, ""), (api.as_(make_user(role=Role.REVIEWER)), version)):
        [shown] = who.read(here).json()["subgraph"]["edges"]
        assert (shown["weight"], shown["evidence"]) == (0.5, told)
    assert [wire.kernel for wire in circuit(network, subgraph, hidden=[member.pk]).wires] == [""]
    assert version in circuit(network, subgraph).wires[0].kernel


def test_queries_do_not_grow(api: Client, django_assert_max_num_queries) -> None:
    network = make_network()
    for _ in range(8):
        make_note(network, make_user(), make_user(), published=True)
    with django_assert_max_num_queries(4):
        assert api.read("notes/").json()["count"] == 8
