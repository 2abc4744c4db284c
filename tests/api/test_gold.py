"""Gold over the API: editors mark and list, everybody else reads their own record."""

import pytest

from taxonomy.actions import reviews
from taxonomy.models import Gold, Neuron, Role
from tests.api.conftest import Client
from tests.factory import make_agreed, make_family, make_network, make_user, neuron_at

pytestmark = pytest.mark.django_db
WHERE = {"network": "tinynet", "neuron": "3b:3"}


@pytest.fixture
def accepted() -> Neuron:
    make_network()
    neuron = neuron_at("mixed3b:3")
    make_agreed(neuron, make_family(neuron.layer, "Curves"))
    reviews.accept(make_user(role=Role.REVIEWER), neuron)
    return neuron


@pytest.fixture
def editor(api: Client) -> Client:
    return api.as_(make_user("edda", role=Role.EDITOR))


def test_mark_list_and_unmark(editor: Client, accepted: Neuron) -> None:
    marked = editor.send("gold/", **WHERE, reason="Clear in every picture.")
    assert (marked.status_code, marked.json()["neuron"], marked.json()["marked_by"]) == (201, "mixed3b:3", "edda")
    assert editor.read("gold/", network="tinynet").json()["results"][0]["reason"] == "Clear in every picture."
    again = editor.send("gold/", **WHERE, reason="Again.")
    assert (again.status_code, again.json()["detail"]) == (403, "This neuron is gold already.")
    ended = editor.send("gold/tinynet/3b:3/unmark/")
    assert (ended.status_code, ended.json()["ended_at"] is not None) == (200, True)
    assert editor.read("gold/").json()["count"] == 0
    assert editor.send("gold/tinynet/3b:3/unmark/").json()["detail"] == "This neuron is not gold."


@pytest.mark.parametrize(
    ("body", "status", "sentence"),
    [
        ({**WHERE}, 400, "required"),
        ({**WHERE, "reason": " "}, 400, "blank"),
        ({**WHERE, "reason": "x" * 5_001}, 400, "no more than 5000"),
        ({**WHERE, "neuron": "3b:1", "reason": "Clear."}, 403, "nly accepted neurons"),
        ({**WHERE, "neuron": "3b:99", "reason": "Clear."}, 404, "numbered 0 to 7"),
        ({**WHERE, "network": "nonet", "reason": "Clear."}, 404, "no network"),
        ({**WHERE, "reason": "Clear.", "family": 1}, 400, "There is no field 'family'"),
    ],
)
def test_bad_bodies(editor: Client, accepted: Neuron, body: dict, status: int, sentence: str) -> None:
    answer = editor.send("gold/", **body)
    assert (answer.status_code, sentence in answer.json()["detail"]) == (status, True), answer.json()
    assert not Gold.objects.exists()


@pytest.mark.parametrize("role", [Role.CONTRIBUTOR, Role.REVIEWER, Role.ADMIN])
def test_editors_alone(api: Client, editor: Client, accepted: Neuron, role: str) -> None:
    editor.send("gold/", **WHERE, reason="Clear.")
    other = api.as_(make_user(role=role))
    for answer in (
        other.read("gold/"),
        other.send("gold/", **WHERE, reason="Mine."),
        other.send("gold/tinynet/3b:3/unmark/"),
    ):
        assert answer.status_code == 403
    assert api.read("gold/").status_code == 401
    assert Gold.objects.current().count() == 1


def test_one_s_own_record(api: Client, accepted: Neuron) -> None:
    assert api.as_(make_user()).read("gold/record/").json() == {"answered": 0, "right": 0}
    assert api.read("gold/record/").status_code == 401
