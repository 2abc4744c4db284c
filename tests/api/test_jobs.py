"""Asking for evidence over the API."""

import pytest

from taxonomy.models import Evidence, Job, Network
from tests.api.conftest import Client
from tests.factory import make_evidence, make_family, make_image_set, make_network, make_user, neuron_at

pytestmark = pytest.mark.django_db


@pytest.fixture
def network() -> Network:
    return make_network()


@pytest.fixture
def client(api: Client) -> Client:
    return api.as_(make_user("ada"))


def test_request_cancel_retry(client: Client, network: Network) -> None:
    body = {
        "network": "tinynet",
        "layers": ["mixed3b"],
        "neurons": [0, 5],
        "kinds": ["feature_visualization"],
        "parameters": {"feature_visualization": {"objective": "channel"}},
        "steps": 64,
    }
    answer = client.send("jobs/", **body)
    assert answer.status_code == 201
    job = answer.json()["job"]
    assert (answer.json()["evidence"], answer.json()["done_before"], job["total"]) == (2, 0, 2)
    assert {evidence.parameters["steps"] for evidence in Evidence.objects.all()} == {64}
    again = client.send("jobs/", **body)
    assert (again.status_code, again.json()) == (200, {"job": None, "evidence": 2, "done_before": 0})
    assert client.send(f"jobs/{job['id']}/cancel/").json()["status"] == "cancelled"
    assert client.send(f"jobs/{job['id']}/cancel/").json() == {"detail": "This job is already cancelled."}
    assert client.send(f"jobs/{job['id']}/retry/").json()["status"] == "queued"
    assert client.read("jobs/", network="tinynet", status="queued").json()["count"] == 1
    assert client.read(f"jobs/{job['id']}/").json()["requested_by"] == "ada"


def test_what_is_there_is_not_made_twice(client: Client, network: Network) -> None:
    make_evidence(neuron_at("3b:0"), "neighbours", parameters={"by": "weights"})
    body = {"network": "tinynet", "layers": ["mixed3b"], "neurons": [0], "kinds": ["neighbours"]}
    body |= {"parameters": {"neighbours": {"by": "weights"}}}
    assert client.send("jobs/", **body).json() == {"job": None, "evidence": 1, "done_before": 1}


def test_a_layer_named_twice_is_one(client: Client, network: Network) -> None:
    answer = client.send("jobs/", network="tinynet", layers=["conv1", "conv1"], kinds=["kernels"]).json()
    assert (answer["evidence"], answer["job"]["total"]) == (4, 4)


@pytest.mark.parametrize(
    ("body", "status", "sentence"),
    [
        ({"network": "x"}, 404, "Networks: "),
        ({"layers": ["x"]}, 404, "Its layers are"),
        ({"kinds": ["x"]}, 400, "Choose one of: kernels"),
        ({"kinds": ["imported_picture"]}, 400, "Choose one of: kernels"),
        ({"kinds": ["dataset_examples"]}, 400, "needs an image set. Name one: pictures."),
        ({"kinds": ["dataset_examples"], "images": "x"}, 404, "Image sets: pictures"),
        ({"kinds": ["kernels"], "layers": ["mixed3b"]}, 400, "Nothing to make"),
        ({"neurons": [8]}, 400, "No neuron 8 there: conv1 has 4, mixed3b has 8, counted from 0."),
        ({"neurons": []}, 400, "Name at least one neuron"),
        ({"neurons": [-1]}, 400, "greater than or equal to 0"),
        ({"neurons": ["x"]}, 400, "integer"),
        ({"kinds": ["weights"], "parameters": {"weights": {"layer": "x"}}}, 400, "Its layers are conv1, mixed3b."),
        ({"kinds": ["weights"], "parameters": {"weights": ["x"]}}, 400, "dictionary"),
        ({"kinds": ["weights"], "parameters": {"kernels": {}}}, 400, "that is not asked for"),
        ({"kinds": ["attribution"], "images": "pictures"}, 400, "attribution needs 'image'"),
        ({"families": ["x"]}, 400, "tinynet has no family 'x'"),
        ({"families": [10**30]}, 400, "tinynet has no family"),
        ({"kinds": ["joint_tuning"]}, 400, "joint_tuning is made of families, not of neurons."),
        ({"urgent": True}, 400, "There is no field 'urgent'"),
        ({"steps": 0}, 400, "whole number from 1 to 4096"),
        ({"steps": 10**9}, 400, "whole number from 1 to 4096"),
        ({"colour": "red"}, 400, "There is no field 'colour'"),
        ({"network": "catalogue"}, 403, "catalogue without weights"),
    ],
)
def test_requests_that_no_recipe_answers(
    client: Client, network: Network, body: dict, status: int, sentence: str
) -> None:
    make_network("catalogue", weights_digest="")
    make_image_set()
    response = client.send("jobs/", **{"network": "tinynet"} | body)
    assert (response.status_code, sentence in response.json()["detail"]) == (status, True), response.json()
    assert not Job.objects.exists()
    assert not Evidence.objects.exists()


def test_other_peoples_jobs_and_bodies_that_are_not_read(api: Client, client: Client, network: Network) -> None:
    job = client.send("jobs/", network="tinynet", kinds=["weights"]).json()["job"]
    refused = api.as_(make_user()).send(f"jobs/{job['id']}/cancel/")
    assert refused.status_code == 403
    assert refused.json()["detail"].startswith("Only the person who asked")
    assert client.send(f"jobs/{job['id']}/cancel/", force=True).status_code == 400


def test_families_by_name_and_id(client: Client, network: Network) -> None:
    earlier, later = (make_family(layer, units=[0, 1]) for layer in network.layers.all())
    body = {"network": "tinynet", "families": ["Curves"], "kinds": ["family_weights"]}
    assert "several layers: conv1 (id" in client.send("jobs/", **body).json()["detail"]
    answer = client.send("jobs/", **body | {"layers": ["mixed3b"], "other": earlier.pk}).json()
    assert (answer["evidence"], answer["job"]["urgent"]) == (1, True)
    row = Evidence.objects.get()
    assert (row.family, row.other, row.neuron) == (later, earlier, None)
    told = client.read("evidence/").json()["results"][0]
    assert told["subject"] == "Curves (tinynet/mixed3b) from Curves (tinynet/conv1)"
    assert told["recipe"]["parameters"] == {"members": [0, 1], "source_layer": "conv1", "source": [0, 1]}
