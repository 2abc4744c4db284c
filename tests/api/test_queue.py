"""The queue over the API: take, read and take the next in one step, give back, take a label back, the overlap."""

import uuid

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from taxonomy.actions import gold, leases, reviews
from taxonomy.models import Label, Layer, Lease, Neuron, Reveal, Role
from tests.api.conftest import Client
from tests.factory import make_agreed, make_family, make_label, make_network, make_pictured, make_user

pytestmark = pytest.mark.django_db

# A key that nothing has.
NOBODYS = "00000000-0000-4000-8000-000000000000"


@pytest.fixture
def layer() -> Layer:
    found = make_network().layers.get(name="mixed3b")
    make_pictured(found.neurons.all())
    make_family(found, "Curves")
    return found


@pytest.fixture
def client(api: Client) -> Client:
    return api.as_(make_user("ada"))


def take(client: Client, **body) -> list[dict]:
    answer = client.send("queue/", **body)
    assert answer.status_code == 200, answer.json()
    return answer.json()["leases"]


def test_take_read_and_go_on(client: Client, layer: Layer) -> None:
    (first,) = take(client)
    assert (first["network"], first["neuron"]) == ("tinynet", "mixed3b:0")
    assert set(first) == {"token", "network", "neuron", "expires_at"}  # and nothing that tells gold from the rest
    answer = client.send("labels/", lease=first["token"], family="Curves", submission=str(uuid.uuid4()), next={})
    assert answer.status_code == 201
    said = answer.json()
    assert (said["neuron"], said["blind"], said["feedback"]) == ("mixed3b:0", True, None)
    assert [lease["neuron"] for lease in said["next"]] == ["mixed3b:1"]
    assert take(client) == said["next"] or take(client)[0]["token"] == said["next"][0]["token"]


def test_several_of_a_layer_without_some(client: Client, layer: Layer) -> None:
    found = take(client, network="tinynet", layer="mixed3b", skipping=["3b:0", "mixed3b:2"], count=3)
    assert [lease["neuron"] for lease in found] == ["mixed3b:1", "mixed3b:3", "mixed3b:4"]
    assert take(client, network="tinynet", layer="conv1") == []


def test_passing_over_many_costs_no_more_than_one(
    client: Client, layer: Layer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases.secrets, "randbelow", lambda below: 1)  # looking for gold is one query more
    costs = []
    for skipping in (["3b:0"], [f"3b:{index % 7}" for index in range(200)]):
        with CaptureQueriesContext(connection) as queries:
            take(client, network="tinynet", skipping=skipping)
        costs.append(len(queries))
    assert costs[1] == costs[0]


def test_sent_again_it_is_one_label_and_the_same_next(client: Client, layer: Layer) -> None:
    (first,) = take(client)
    body = {"lease": first["token"], "family": "Curves", "submission": str(uuid.uuid4()), "next": {"count": 2}}
    one, two = client.send("labels/", **body).json(), client.send("labels/", **body).json()
    assert one["id"] == two["id"]
    assert [lease["token"] for lease in one["next"]] == [lease["token"] for lease in two["next"]]
    assert (Label.objects.count(), Lease.objects.count()) == (1, 3)


def test_give_back(client: Client, api: Client, layer: Layer) -> None:
    (first,) = take(client)
    path = f"queue/{first['token']}/give-back/"
    assert api.as_(make_user()).send(path).status_code == 204  # somebody else's token gives nothing back
    assert Lease.objects.get().is_live
    for _ in range(2):
        assert client.send(path).status_code == 204
    assert not Lease.objects.get().is_live
    refused = client.send("labels/", lease=first["token"], family="Curves")
    assert (refused.status_code, "given it back" in refused.json()["detail"]) == (403, True)


def test_undo_and_the_neuron_comes_back(client: Client, layer: Layer) -> None:
    (first,) = take(client)
    label = client.send("labels/", lease=first["token"], family="Curves").json()
    answer = client.send(f"labels/{label['id']}/undo/")
    assert (answer.status_code, answer.json()["superseded_at"] is not None) == (200, True)
    assert [lease["neuron"] for lease in answer.json()["next"]] == ["mixed3b:0"]
    again = client.send(f"labels/{label['id']}/undo/")
    assert (again.status_code, again.json()["detail"]) == (403, "This label was taken back already.")


def test_nobody_undoes_for_another(client: Client, layer: Layer) -> None:
    label = make_label(layer.neurons.get(index=0), family=layer.families.get())
    for key in (label.public_id, uuid.uuid4()):
        answer = client.send(f"labels/{key}/undo/")
        assert (answer.status_code, answer.json()["detail"]) == (404, "You gave no such label.")


def test_others_are_shown_now(client: Client, layer: Layer) -> None:
    make_agreed(layer.neurons.get(index=0), layer.families.get(), people=2)
    where = {"network": "tinynet", "neuron": "3b:0"}
    refused = client.send("labels/others/", **where)
    assert (refused.status_code, "after you have given yours" in refused.json()["detail"]) == (403, True)
    label = client.send("labels/", **where, family="Curves").json()
    assert client.read("labels/").json()["count"] == 1
    shown = client.send("labels/others/", **where)
    assert (shown.status_code, len(shown.json())) == (200, 3)
    assert Reveal.objects.get().person.username == "ada"
    assert "been shown" in client.send(f"labels/{label['id']}/undo/").json()["detail"]


def test_feedback_on_gold_is_private_and_at_once(client: Client, layer: Layer, monkeypatch) -> None:
    monkeypatch.setattr(leases.secrets, "randbelow", lambda below: 0)
    neuron, curves = layer.neurons.get(index=5), layer.families.get()
    make_agreed(neuron, curves)
    reviews.accept(make_user(role=Role.REVIEWER), neuron)
    gold.mark(make_user(role=Role.EDITOR), Neuron.objects.get(pk=neuron.pk), "Clear.")
    (lease,) = take(client)
    assert lease["neuron"] == "mixed3b:5"
    body = {"lease": lease["token"], "verdict": "none of these", "submission": str(uuid.uuid4())}
    for _ in range(2):
        told = client.send("labels/", **body).json()["feedback"]
        assert told == {"outcome": "wrong", "families": [{"id": curves.pk, "name": "Curves"}]}
    listed = client.read("labels/", network="tinynet", index=5).json()["results"][0]
    assert "feedback" not in listed
    assert "gold" not in listed
    assert client.read("gold/record/").json() == {"answered": 1, "right": 0}


@pytest.mark.parametrize(
    ("body", "status", "sentence"),
    [
        ({"network": "nonet"}, 404, "There is no network 'nonet' here"),
        ({"network": "tinynet", "layer": "mixed9z"}, 404, "Its layers are conv1, mixed3b"),
        ({"layer": "mixed3b"}, 400, "Say which network"),
        ({"skipping": ["3b:0"]}, 400, "Say which network"),
        ({"network": "tinynet", "skipping": ["3b:99"]}, 404, "numbered 0 to 7"),
        ({"network": "tinynet", "skipping": "3b:1"}, 400, "list"),
        ({"network": "tinynet", "skipping": ["3b:1"] * 201}, 400, "no more than 200"),
        ({"count": 0}, 400, "greater than or equal to 1"),
        ({"count": 11}, 400, "less than or equal to 10"),
        ({"count": "many"}, 400, "integer"),
        ({"network": "a\0b"}, 400, "Null characters"),
        ({"person": "bob"}, 400, "There is no field 'person'"),
    ],
)
def test_bad_bodies(client: Client, layer: Layer, body: dict, status: int, sentence: str) -> None:
    for path, whole in (("queue/", body), ("labels/", {"network": "tinynet", "neuron": "3b:1", "next": body})):
        answer = client.send(path, **whole, **({"family": "Curves"} if path == "labels/" else {}))
        assert (answer.status_code, sentence in answer.json()["detail"]) == (status, True), answer.json()
    assert not Lease.objects.exists()
    assert not Label.objects.exists()


@pytest.mark.parametrize(
    ("body", "status", "sentence"),
    [
        ({"lease": "x"}, 400, "UUID"),
        ({"lease": str(uuid.uuid4())}, 403, "not handed to you"),
        ({"submission": 7}, 400, "Say which neuron"),
        ({"network": "tinynet"}, 400, "Say which neuron"),
        ({"neuron": "3b:1"}, 400, "Say which neuron"),
        ({"network": "tinynet", "neuron": "3b:1", "submission": "again"}, 400, "UUID"),
        ({"network": "tinynet", "neuron": "3b:1", "next": []}, 400, "Invalid data"),
    ],
)
def test_readings_of_no_neuron(client: Client, layer: Layer, body: dict, status: int, sentence: str) -> None:
    answer = client.send("labels/", family="Curves", **body)
    assert (answer.status_code, sentence in answer.json()["detail"]) == (status, True), answer.json()


def test_a_lease_and_another_neuron(client: Client, layer: Layer) -> None:
    (first,) = take(client)
    answer = client.send("labels/", lease=first["token"], network="tinynet", neuron="3b:7", family="Curves")
    assert (answer.status_code, "not handed to you" in answer.json()["detail"]) == (403, True)


# The overlap


def test_an_editor_sets_the_overlap(api: Client, layer: Layer) -> None:
    editor = api.as_(make_user(role=Role.EDITOR))
    answer = editor.send("layers/tinynet/mixed3b/overlap/", overlap=5)
    assert (answer.status_code, answer.json()) == (200, {"network": "tinynet", "layer": "mixed3b", "overlap": 5})
    assert set(layer.neurons.values_list("asks", flat=True)) == {5}


@pytest.mark.parametrize(
    ("path", "body", "status", "sentence"),
    [
        ("tinynet/mixed3b", {"overlap": 2}, 400, "3 to 9"),
        ("tinynet/mixed3b", {"overlap": 10**12}, 400, "3 to 9"),
        ("tinynet/mixed3b", {"overlap": "five"}, 400, "integer"),
        ("tinynet/mixed3b", {}, 400, "required"),
        ("tinynet/mixed9z", {"overlap": 4}, 404, "Its layers are"),
        ("nonet/mixed3b", {"overlap": 4}, 404, "no network"),
    ],
)
def test_overlaps_that_are_none(api: Client, layer: Layer, path: str, body: dict, status: int, sentence: str) -> None:
    answer = api.as_(make_user(role=Role.EDITOR)).send(f"layers/{path}/overlap/", **body)
    assert (answer.status_code, sentence in answer.json()["detail"]) == (status, True), answer.json()


# Who may


@pytest.mark.parametrize(
    ("path", "body", "told"),
    [
        ("queue/", {}, "Sign in to label neurons."),
        (f"queue/{NOBODYS}/give-back/", {}, "Sign in to label neurons."),
        ("labels/others/", {"network": "tinynet", "neuron": "3b:1"}, "Sign in to label neurons."),
        (f"labels/{NOBODYS}/undo/", {}, "Sign in to label neurons."),
        ("sheets/", {"network": "tinynet", "layer": "mixed3b"}, "Sign in to label neurons."),
        (f"sheets/{NOBODYS}/submit/", {}, "Sign in to label neurons."),
        (f"sheets/{NOBODYS}/give-back/", {}, "Sign in to label neurons."),
        ("layers/tinynet/mixed3b/overlap/", {"overlap": 4}, "Sign in to mark gold"),
        ("gold/", {}, "Sign in to mark gold"),
        ("gold/tinynet/3b:1/unmark/", {}, "Sign in to mark gold"),
    ],
)
def test_visitors_sign_in_first(api: Client, layer: Layer, path: str, body: dict, told: str) -> None:
    answer = api.send(path, **body)
    assert (answer.status_code, told in answer.json()["detail"]) == (401, True), answer.json()


@pytest.mark.parametrize(("path", "body"), [("queue/", {}), ("sheets/", {"network": "tinynet", "layer": "mixed3b"})])
def test_admins_take_nothing(api: Client, layer: Layer, path: str, body: dict) -> None:
    answer = api.as_(make_user(role=Role.ADMIN)).send(path, **body)
    assert (answer.status_code, "Admins keep house" in answer.json()["detail"]) == (403, True)
