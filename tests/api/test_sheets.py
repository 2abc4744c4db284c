"""Sorting sheets over the API."""

import uuid

import pytest

from taxonomy.models import Label, Layer, Lease
from tests.api.conftest import Client
from tests.factory import make_family, make_network, make_pictured, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def layer() -> Layer:
    found = make_network().layers.get(name="mixed3b")
    make_pictured(found.neurons.all())
    make_family(found, "Curves")
    return found


@pytest.fixture
def client(api: Client) -> Client:
    return api.as_(make_user("ada"))


def take(client: Client) -> dict:
    answer = client.send("sheets/", network="tinynet", layer="mixed3b")
    assert answer.status_code == 200, answer.json()
    return answer.json()


def submit(client: Client, sheet: dict, neurons: list, **body):
    return client.send(
        f"sheets/{sheet['id']}/submit/",
        **{"neurons": neurons, "submission": str(uuid.uuid4()), "family": "Curves"} | body,
    )


def test_take_sort_and_take_again(client: Client, layer: Layer) -> None:
    sheet = take(client)
    assert (sheet["network"], sheet["layer"]) == ("tinynet", "mixed3b")
    assert [lease["neuron"] for lease in sheet["leases"]] == [f"mixed3b:{index}" for index in range(8)]
    answer = submit(client, sheet, ["mixed3b:1", "3b:4"])
    assert answer.status_code == 201
    assert [(one["neuron"], one["family"]["name"], one["blind"]) for one in answer.json()["labels"]] == [
        ("mixed3b:1", "Curves", True),
        ("mixed3b:4", "Curves", True),
    ]
    again = take(client)
    assert (again["id"], len(again["leases"])) == (sheet["id"], 6)


def test_the_same_submission_is_taken_once(client: Client, layer: Layer) -> None:
    sheet, key = take(client), str(uuid.uuid4())
    one = submit(client, sheet, ["3b:1"], submission=key).json()
    assert submit(client, sheet, ["3b:1"], submission=key).json() == one
    assert Label.objects.count() == 1


def test_put_down(client: Client, layer: Layer) -> None:
    sheet = take(client)
    for _ in range(2):
        assert client.send(f"sheets/{sheet['id']}/give-back/").status_code == 204
    assert not Lease.objects.live().exists()


def test_nothing_left(client: Client, layer: Layer) -> None:
    layer.neurons.update(asks=0)
    answer = client.send("sheets/", network="tinynet", layer="mixed3b")
    assert (answer.status_code, "No neuron of tinynet/mixed3b asks" in answer.json()["detail"]) == (404, True)


@pytest.mark.parametrize(
    ("body", "status", "sentence"),
    [
        ({}, 400, "required"),
        ({"network": "tinynet"}, 400, "required"),
        ({"network": "nonet", "layer": "mixed3b"}, 404, "no network"),
        ({"network": "tinynet", "layer": "mixed9z"}, 404, "Its layers are"),
        ({"network": "tinynet", "layer": "mixed3b", "size": 48}, 400, "There is no field 'size'"),
    ],
)
def test_sheets_of_nothing(client: Client, layer: Layer, body: dict, status: int, sentence: str) -> None:
    answer = client.send("sheets/", **body)
    assert (answer.status_code, sentence in answer.json()["detail"]) == (status, True), answer.json()


@pytest.mark.parametrize(
    ("body", "status", "sentence"),
    [
        ({"neurons": []}, 400, "at least 1"),
        ({"neurons": ["3b:1"] * 25}, 400, "no more than 24"),
        ({"neurons": "3b:1"}, 400, "list"),
        ({"neurons": ["3b"]}, 404, "not a neuron's address"),
        ({"neurons": ["3b:8"]}, 404, "numbered 0 to 7"),
        ({"neurons": ["conv1:1"]}, 403, "conv1:1 is not on this sheet"),
        ({"submission": None}, 400, "null"),
        ({"submission": "x"}, 400, "UUID"),
        ({"family": "Bats"}, 404, "has no family 'Bats'"),
        ({"verdict": "cannot tell", "family": None}, 400, "names the evidence"),
        ({"lease": str(uuid.uuid4())}, 400, "There is no field 'lease'"),
        ({"note": "x" * 5_001}, 400, "no more than 5000"),
    ],
)
def test_bad_sortings_save_nothing(client: Client, layer: Layer, body: dict, status: int, sentence: str) -> None:
    sheet = take(client)
    answer = submit(client, sheet, ["3b:1", "3b:2"], **body) if "neurons" not in body else submit(client, sheet, **body)
    assert (answer.status_code, sentence in answer.json()["detail"]) == (status, True), answer.json()
    assert not Label.objects.exists()


def test_somebody_else_s_sheet_and_none(client: Client, api: Client, layer: Layer) -> None:
    sheet, other = take(client), api.as_(make_user())
    for answer in (
        submit(other, sheet, ["3b:1"]),
        other.send(f"sheets/{sheet['id']}/give-back/"),
        submit(client, {"id": uuid.uuid4()}, ["3b:1"]),
    ):
        assert (answer.status_code, "no such sheet" in answer.json()["detail"]) == (404, True)
    assert Lease.objects.live().count() == 8
