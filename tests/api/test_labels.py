"""Labelling over the API: the same action, the same sentences."""

import uuid

import pytest

from taxonomy.models import Label, Neuron
from tests.api.conftest import Client
from tests.factory import make_evidence, make_family, make_network, make_user, neuron_at

pytestmark = pytest.mark.django_db


@pytest.fixture
def neuron() -> Neuron:
    make_network()
    make_family(neuron_at("mixed3b:3").layer, "Curves")
    return neuron_at("mixed3b:3")


@pytest.fixture
def client(api: Client) -> Client:
    return api.as_(make_user("ada"))


def label(client: Client, **body):
    return client.send("labels/", **{"network": "tinynet", "neuron": "mixed3b:3"} | body)


def test_a_family_by_name_by_id_and_by_short_address(client: Client, neuron: Neuron) -> None:
    lines = make_family(neuron.layer, "Lines")
    evidence = make_evidence(neuron)
    answer = label(client, family="curves", note="bends", seen=[str(evidence.current.public_id), str(uuid.uuid4())])
    assert answer.status_code == 201
    said = answer.json()
    assert (said["network"], said["neuron"], said["author"]) == ("tinynet", "mixed3b:3", "ada")
    assert (said["verdict"], said["family"]["name"], said["blind"]) == ("family", "Curves", True)
    assert list(Label.objects.get().seen.all()) == [evidence.current]
    again = label(client, neuron="3b:3", family=lines.pk, polysemantic=True, further=["Curves"]).json()
    assert again["family"] == {"id": lines.pk, "name": "Lines"}
    assert [family["name"] for family in again["further"]] == ["Curves"]
    assert client.read("labels/", current="true").json()["count"] == 1
    assert client.read("labels/", current="false").json()["results"][0]["id"] == said["id"]
    assert client.read(f"labels/{said['id']}/").json()["superseded_at"]


def test_the_other_verdicts(client: Client, neuron: Neuron) -> None:
    assert label(client, verdict="cannot tell", missing_evidence="tuning_curves").status_code == 201
    assert label(client, verdict="none of these", suggested_name="Boomerangs").json()["suggested_name"] == "Boomerangs"


def test_the_same_again_is_one_label(client: Client, neuron: Neuron) -> None:
    assert label(client, family="Curves").json() == label(client, family="Curves").json()
    assert Label.objects.count() == 1


@pytest.mark.parametrize(
    ("body", "status", "sentence"),
    [
        ({}, 400, "Choose a family"),
        ({"family": "Bats"}, 404, "tinynet/mixed3b has no family 'Bats'. Its families are: Curves."),
        ({"family": 10**30}, 404, "has no family"),
        ({"family": True}, 400, "Give a family's id"),
        ({"family": ["Curves"]}, 400, "Give a family's id"),
        ({"family": "a\0b"}, 400, "Null characters"),
        ({"family": "Curves", "note": "a\0b"}, 400, "Null characters"),
        ({"family": "Curves", "note": "x" * 5001}, 400, "no more than 5000"),
        ({"family": "Curves", "network": "nonet"}, 404, "There is no network 'nonet' here. Networks: tinynet."),
        ({"family": "Curves", "neuron": "mixed3b"}, 404, "not a neuron's address"),
        ({"family": "Curves", "neuron": "mixed3b:8"}, 404, "numbered 0 to 7"),
        ({"family": "Curves", "neuron": "mixed9z:1"}, 404, "Its layers are conv1, mixed3b"),
        ({"family": "Curves", "verdict": "maybe"}, 400, "Choose one of: family, cannot tell, none of these"),
        ({"family": "Curves", "confidence": 3}, 400, "Choose one of: high, medium, low"),
        ({"family": "Curves", "author": "bob"}, 400, "There is no field 'author'"),
        ({"family": "Curves", "further": ["Curves"] * 21}, 400, "no more than 20"),
        ({"family": "Curves", "further": "Curves"}, 400, "list"),
        ({"family": "Curves", "seen": ["x"]}, 400, "UUID"),
        ({"verdict": "cannot tell"}, 400, "names the evidence"),
        ({"verdict": "cannot tell", "family": "Curves"}, 400, "not both"),
    ],
)
def test_bad_bodies(client: Client, neuron: Neuron, body: dict, status: int, sentence: str) -> None:
    response = label(client, **body)
    assert (response.status_code, sentence in response.json()["detail"]) == (status, True), response.json()
    assert not Label.objects.exists()


def test_a_family_of_another_layer_by_id(client: Client, neuron: Neuron) -> None:
    gabor = make_family(neuron.layer.network.layers.get(name="conv1"), "Gabor")
    response = label(client, family=gabor.pk)
    assert (response.status_code, response.json()["detail"]) == (400, "“Gabor” is a family of conv1, not of mixed3b.")


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"{", "application/json", 400),
        (b"[1]", "application/json", 400),
        (b'"x"', "application/json", 400),
        (b"null", "application/json", 400),
        (b"", "application/json", 400),
        (b"\xff\xfe", "application/json", 400),
        (b'{"neuron": NaN}', "application/json", 400),
        (b'{"network": "tinynet", "neuron": "3b:3", "family": "Curves", "note": "\\ud800"}', "application/json", 400),
        (b"[" * 100_000, "application/json", 400),
        (b"network=tinynet", "application/x-www-form-urlencoded", 415),
        (b"x" * (1 << 20), "application/json", 413),
        (b"x" * (1 << 20), "application/x-www-form-urlencoded", 413),
    ],
    ids=[
        "half",
        "list",
        "text",
        "null",
        "empty",
        "no utf-8",
        "nan",
        "half a character",
        "deep",
        "form",
        "large",
        "large form",
    ],
)
def test_bodies_that_are_no_label(client: Client, neuron: Neuron, body: bytes, kind: str, status: int) -> None:
    response = client.generic("POST", "/api/v1/labels/", body, content_type=kind)
    assert response.status_code == status, response.content
    assert isinstance(response.json()["detail"], str)
    assert len(response.json()["detail"]) > 10
