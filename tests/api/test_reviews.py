"""Decisions over the API: the same verbs and sentences as on the pages."""

import pytest

from taxonomy.actions import reviews
from taxonomy.models import Family, Neuron, Reveal, Review, Role, Standing, User
from tests.api.conftest import Client
from tests.factory import make_agreed, make_evidence, make_family, make_label, make_network, make_user, neuron_at

pytestmark = pytest.mark.django_db
HERE = {"network": "tinynet", "neuron": "3b:0"}


@pytest.fixture
def curves(db) -> Family:
    return make_family(make_network().layers.get(name="mixed3b"))


@pytest.fixture
def agreed(curves: Family) -> Neuron:
    make_agreed(neuron_at("mixed3b:0"), curves)
    return neuron_at("mixed3b:0")


@pytest.fixture
def reviewer(db) -> User:
    return make_user("rita", role=Role.REVIEWER)


def standing() -> str:
    return neuron_at("mixed3b:0").standing


def test_every_decision_by_its_name(api: Client, agreed: Neuron, curves: Family, reviewer: User) -> None:
    lines = make_family(curves.layer, "Lines")
    version = make_evidence(agreed, data={}).current
    assert version is not None
    editor = api.as_(make_user(role=Role.EDITOR))
    rita = api.as_(reviewer)
    for client, body, leads_to in (
        (rita, {"decision": "object", "comment": "It echoes."}, Standing.AGREED),
        (rita, {"decision": "withdraw"}, Standing.AGREED),
        (rita, {"decision": "need evidence", "kind": "tuning_curves", "comment": "Tuned?"}, Standing.NEEDS_EVIDENCE),
        (rita, {"decision": "withdraw"}, Standing.AGREED),
        (rita, {"decision": "accept", "family": "Curves", "comment": "Clear."}, Standing.ACCEPTED),
        (rita, {"decision": "undo", "comment": "Too soon."}, Standing.AGREED),
    ):
        answer = client.send("reviews/", **HERE, **body)
        assert answer.status_code == 201, answer.json()
        assert answer.json()["decision"] == body["decision"]
        assert standing() == leads_to, body
    for _ in range(4):
        make_label(agreed, family=lines)
    assert standing() == Standing.DISPUTED
    body = {"decision": "settle", "family": "Lines", "comment": "It is straight.", "cites": [str(version.public_id)]}
    assert rita.send("reviews/", **HERE, **body).status_code == 403
    made = editor.send("reviews/", **HERE, **body).json()
    assert (made["family_name"], made["cites"]) == ("Lines", [str(version.public_id)])
    assert standing() == Standing.ACCEPTED


@pytest.mark.parametrize(
    ("body", "status", "sentence"),
    [
        ({"decision": "object"}, 400, "Say why"),
        ({"decision": "object", "comment": "No.", "kind": "weights"}, 400, "takes no kind"),
        ({"decision": "accept", "cites": []}, 201, ""),
        ({"decision": "accept", "family": "Lines"}, 403, "agreed on Curves by now, not on Lines"),
        ({"decision": "accept", "family": "Nothing"}, 404, "has no family"),
        ({"decision": "need evidence", "comment": "Please."}, 400, "Choose a kind of evidence"),
        ({"decision": "need evidence", "comment": "Please.", "kind": "x-rays"}, 400, "Choose one of"),
        ({"decision": "settle", "comment": "So."}, 403, "Only editors settle"),
        ({"decision": "stale"}, 403, "becomes stale by itself"),
        ({"decision": "burn"}, 400, "Choose one of"),
        ({"decision": "reopen", "cites": ["00000000-0000-0000-0000-000000000000"]}, 400, "no evidence version"),
        ({"decision": "accept", "state": "x"}, 400, "There is no field 'state'"),
    ],
)
def test_bad_bodies(
    api: Client, agreed: Neuron, curves: Family, reviewer: User, body: dict, status: int, sentence: str
) -> None:
    make_family(curves.layer, "Lines")
    answer = api.as_(reviewer).send("reviews/", **HERE, **body)
    assert (answer.status_code, sentence in str(answer.json())) == (status, True), answer.json()
    assert Review.objects.count() == (status == 201)


def test_many_with_an_answer_for_each(api: Client, agreed: Neuron, curves: Family, reviewer: User) -> None:
    make_agreed(neuron_at("mixed3b:1"), curves, people=2)
    make_label(neuron_at("mixed3b:1"), reviewer, curves)
    answer = api.as_(reviewer).send(
        "reviews/many/", network="tinynet", neurons=["3b:2", "3b:1", "3b:0", "3b:0"], comment="A sheet."
    )
    assert answer.status_code == 200, answer.json()
    assert [(one["neuron"], one["accepted"]) for one in answer.json()] == [
        ("mixed3b:0", True),
        ("mixed3b:1", False),
        ("mixed3b:2", False),
    ]
    assert "Your own reading decides" in answer.json()[1]["reason"]
    assert answer.json()[0]["review"]["comment"] == "A sheet."
    assert api.as_(reviewer).send("reviews/many/", network="tinynet", neurons=[]).status_code == 400
    assert api.as_(make_user()).send("reviews/many/", network="tinynet", neurons=["3b:0"]).status_code == 403


def test_what_is_unsettled_is_listed_for_who_gave_or_looked(
    api: Client, agreed: Neuron, curves: Family, reviewer: User
) -> None:
    objecting = make_user(role=Role.REVIEWER)
    reviews.object_to(objecting, agreed, comment="It echoes.")
    for user in (None, make_user(), reviewer):
        client = api.as_(user) if user else api
        assert client.read("reviews/").json()["results"] == []
    Reveal.objects.create(neuron=agreed, person=reviewer)
    (found,) = api.as_(reviewer).read("reviews/", decision="object").json()["results"]
    assert found["comment"] == "It echoes."
    reviews.withdraw(objecting, agreed)
    reviews.accept(reviewer, agreed)
    assert len(api.read("reviews/").json()["results"]) == 3  # settled: the whole of it is public
    assert len(api.read("reviews/", reviewer="rita").json()["results"]) == 1


def test_a_refused_decision_was_a_look(api: Client, agreed: Neuron, reviewer: User) -> None:
    assert api.as_(reviewer).send("reviews/", **HERE, decision="undo", comment="No.").status_code == 403
    assert Reveal.objects.filter(person=reviewer, neuron=agreed).exists()
