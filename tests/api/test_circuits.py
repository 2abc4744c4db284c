"""A circuit grown, edited and saved in a note by a program."""

from types import SimpleNamespace

import pytest

from taxonomy.actions import circuits
from taxonomy.models import Reveal
from tests.api.conftest import Client
from tests.factory import make_evidence, make_network, make_user, neuron_at
from tests.pages.test_circuits import desk as desk
from tests.pages.test_circuits import weights

pytestmark = pytest.mark.django_db
ADDRESS = "neurons/tinynet/{}/circuit/"


def joins(subgraph) -> dict[tuple[str, str], float]:
    return {(edge["source"], edge["target"]): edge["weight"] for edge in subgraph["edges"]}


def test_it_grows_as_on_the_page_and_says_how(api: Client, desk: SimpleNamespace):
    answer = api.as_(desk.author).read(ADDRESS.format("3b:0"))
    assert answer.status_code == 200
    grown = answer.json()
    assert joins(grown["subgraph"]) == {
        ("mixed3a:0", "mixed3b:0"): 1.0,
        ("mixed3a:1", "mixed3b:0"): -0.5,
        ("conv1:4", "mixed3a:0"): -2.0,
        ("conv1:5", "mixed3a:0"): 0.7,
        ("conv1:4", "mixed3a:1"): 1.0,
    }
    assert grown["selection"] == (
        "Grown from mixed3b:0, two layers deep: of each neuron those inputs whose strongest weight reaches 30 % of its "
        "largest, which gives 5 neurons."
    )
    one_deep = api.as_(desk.author).read(ADDRESS.format("mixed3b:0"), threshold="0.05", depth="1").json()
    assert set(joins(one_deep["subgraph"])) == {(f"mixed3a:{i}", "mixed3b:0") for i in range(3)}
    assert one_deep["selection"].startswith("Grown from mixed3b:0, one layer deep: of each neuron")
    assert not Reveal.objects.exists()


def test_what_was_grown_and_edited_is_saved_with_a_note(api: Client, desk: SimpleNamespace):
    program = api.as_(desk.author)
    subgraph = program.read(ADDRESS.format("3b:0")).json()["subgraph"]
    edited = circuits.remove(subgraph, "conv1:5")
    where = f"notes/{desk.note.public_id}/versions/"
    saved = program.send(where, subgraph=edited, began_from=1)
    assert saved.status_code == 201
    assert program.read(f"{where}2/").json()["subgraph"] == edited
    assert "Left out by hand: conv1:5." in circuits.selection(desk.note.versions.get(number=2).subgraph)


@pytest.mark.parametrize(
    ("address", "query", "status", "said"),
    [
        ("3b:1", {}, 400, "The weights into mixed3b:1 were not made yet: request them on its page"),
        ("3b:99", {}, 404, "numbered 0 to 7"),
        ("mixed9:1", {}, 404, "tinynet has no layer 'mixed9'"),
        ("nonsense", {}, 404, "is not a neuron's address"),
        ("3b:0", {"threshold": "0"}, 400, circuits.NO_SHARE),
        ("3b:0", {"threshold": "30"}, 400, circuits.NO_SHARE),
        ("3b:0", {"threshold": "nan"}, 400, circuits.NO_SHARE),
        ("3b:0", {"threshold": "lots"}, 400, circuits.NO_SHARE),
        ("3b:0", {"depth": "0"}, 400, circuits.NO_DEPTH),
        ("3b:0", {"depth": "9"}, 400, circuits.NO_DEPTH),
        ("3b:0", {"depth": "deep"}, 400, circuits.NO_DEPTH),
        ("3b:0", {"share": "0.3"}, 400, "There is no query parameter 'share'. There are: threshold, depth."),
    ],
)
def test_what_does_not_grow_is_answered_in_words(
    api: Client, desk: SimpleNamespace, address: str, query: dict[str, str], status: int, said: str
):
    answer = api.as_(desk.author).read(ADDRESS.format(address), **query)
    assert answer.status_code == status
    assert said in answer.json()["detail"]


def test_a_catalogue_grows_nothing(api: Client, desk: SimpleNamespace):
    make_network("catalogue", weights_digest="")
    answer = api.as_(desk.author).read("neurons/catalogue/mixed3b:0/circuit/")
    assert answer.status_code == 400
    assert "catalogue is a catalogue without weights" in answer.json()["detail"]


def test_what_has_no_room_is_counted_and_the_note_still_takes_it(api: Client, desk: SimpleNamespace):
    wide = make_network("wide", layers={"conv1": 300, "mixed3a": 8})
    rows = [{"neuron": i, "value": 1.0 - i / 1000, "linearised": False, "kernel": [[1.0]]} for i in range(300)]
    data = {"layer": "conv1", "direction": "in", "linearised": False, "scale": 1.0, "channels": 300, "strong": 300}
    parameters = {"direction": "in", "layer": "conv1"}
    make_evidence(neuron_at("3a:0", wide), "weights", data=data | {"strongest": rows}, parameters=parameters)
    program = api.as_(desk.author)
    grown = program.read("neurons/wide/3a:0/circuit/").json()
    assert len(grown["subgraph"]["nodes"]) == circuits.MOST_NODES
    assert "101 more inputs would reach that, and had no room." in grown["selection"]
    made = program.send("notes/", network="wide", title="Wide", subgraph=grown["subgraph"])
    assert made.status_code == 201


def test_who_may_write_notes_grows_circuits(api: Client, desk: SimpleNamespace):
    weights("mixed3b:2", "mixed3a", {0: 1.0})
    visited = api.read(ADDRESS.format("3b:2"))
    assert visited.status_code == 401
    assert "write circuit notes" in visited.json()["detail"]
    assert api.as_(make_user(terms_version="")).read(ADDRESS.format("3b:2")).status_code == 403
    assert api.as_(make_user()).read(ADDRESS.format("3b:2")).status_code == 200
