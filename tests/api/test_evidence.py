"""Evidence as the API tells it."""

import hashlib
import json
from pathlib import Path

import pytest
from django.conf import settings

from taxonomy import storage
from taxonomy.actions import evidence, jobs
from taxonomy.models import Evidence, Network
from tests.api.conftest import Client
from tests.factory import (
    add_version,
    make_evidence,
    make_image_set,
    make_job,
    make_network,
    make_shard,
    make_user,
    neuron_at,
    picture,
)

pytestmark = pytest.mark.django_db

EXAMPLES = [{"image": "0.png", "value": 1.5, "row": 2, "column": 3, "box": [0, 0, 7, 7], "clipped": False}]


@pytest.fixture
def network() -> Network:
    return make_network()


def only(api: Client, **query) -> dict:
    answer = api.read("evidence/", **query).json()
    assert answer["count"] == 1, answer
    return answer["results"][0]


def test_the_whole_answer(api: Client, network: Network) -> None:
    images = make_image_set("some")
    top = picture()
    row = make_evidence(neuron_at("3b:3"), "dataset_examples", data=EXAMPLES, pictures={"top_1": top}, image_set=images)
    answer = only(api, network="tinynet", layer="mixed3b", index=3, kind="dataset_examples", status="done")
    sha256 = hashlib.sha256(top).hexdigest()
    assert (answer["kind"], answer["subject"], answer["status"]) == ("dataset_examples", "tinynet/mixed3b:3", "done")
    assert answer["data"] == EXAMPLES
    assert answer["recipe"] == {
        "version": row.recipe_version,
        "parameters": {"top": 9},
        "image_set": "some",
        "image_set_digest": "i" * 64,
        "weights_digest": "w" * 64,
        "key": row.key,
    }
    files = {file["name"]: file for file in answer["artifacts"]}
    assert set(files) == {"data", "top_1"}
    assert files["top_1"]["sha256"] == sha256
    assert files["top_1"]["url"] == f"http://testserver/artifacts/{sha256}.webp"
    assert answer["version"]["id"] == str(row.current.public_id)
    assert answer["version"]["environment"] == {"device": "cpu"}
    assert api.read(f"evidence/{row.pk}/").json() == answer
    assert api.get(files["top_1"]["url"]).status_code == 200
    assert b"".join(api.get(files["data"]["url"])) == json.dumps(EXAMPLES).encode()


def test_what_is_not_done_has_no_data_but_its_reason(api: Client, network: Network) -> None:
    make_evidence(neuron_at("3b:3"), status="failed", reason="This neuron is dead.")
    answer = only(api)
    assert (answer["status"], answer["reason"]) == ("failed", "This neuron is dead.")
    assert (answer["data"], answer["artifacts"], answer["version"]) == (None, [], None)
    assert answer["recipe"]["image_set"] is None


def test_the_current_version_is_told(api: Client, network: Network) -> None:
    row = make_evidence(neuron_at("3b:3"), data={"value": 1})
    add_version(row, [("data", b'{"value": 2}', ".json")])
    answer = only(api)
    assert (answer["data"], answer["version"]["number"]) == ({"value": 2}, 2)


def test_pictures_alone_have_no_numbers(api: Client, network: Network) -> None:
    make_evidence(neuron_at("3b:3"), "imported_picture", pictures=["image"], parameters={"source": "x"})
    assert only(api)["data"] is None


@pytest.mark.parametrize("harm", [Path.unlink, lambda file: file.write_bytes(b'[{"val')])
def test_a_lost_or_spoilt_file_does_not_take_the_list_with_it(api: Client, network: Network, harm) -> None:
    lost = make_evidence(neuron_at("3b:3"), data={"value": 1})
    make_evidence(neuron_at("3b:4"), data={"value": 4})
    harm(storage.path(lost.current.artifacts.get().sha256))
    first, second = api.read("evidence/").json()["results"]
    assert (first["data"], second["data"]) == (None, {"value": 4})
    assert first["status"] == "done"


def test_the_evidence_of_a_job(api: Client, network: Network) -> None:
    mine = make_evidence(neuron_at("3b:3"))
    make_evidence(neuron_at("3b:4"))
    job = make_job(network)
    make_shard(job, [mine])
    assert only(api, job=str(job.public_id))["id"] == mine.pk


@pytest.mark.parametrize("path", ["evidence/", "neurons/", "families/", "labels/", "layers/", "jobs/", "proposals/"])
def test_a_page_takes_the_same_queries_however_many_rows(api: Client, path: str, django_assert_max_num_queries) -> None:
    from tests.factory import make_agreed, make_family, make_proposal, make_user

    network = make_network(layers={"conv1": 12, "mixed3b": 12})
    for index in range(12):
        make_evidence(neuron_at(f"3b:{index}"), data={"value": index}, pictures=["image"])
    layer = network.layers.get(name="mixed3b")
    for name in "abcdef":
        make_family(layer, name, units=["abcdef".index(name)])
        make_proposal(layer, name=f"new {name}")
        make_job(network)
    for index in range(6, 12):
        make_agreed(neuron_at(f"3b:{index}"), layer.families.first())
    client = api.as_(make_user(role="reviewer"))
    with django_assert_max_num_queries(7):
        answer = client.read(path)
    assert answer.json()["count"] >= 2


def test_a_version_is_run_again_and_compared(api: Client, network: Network) -> None:
    version = make_evidence(neuron_at("3b:3"), "kernels", pictures=["kernel"]).current
    path = f"evidence/versions/{version.public_id}/reproduce/"
    assert api.send(path).json()["detail"] == "Sign in to request evidence."
    client = api.as_(make_user("ada"))
    answer = client.send(path)
    assert answer.status_code == 201
    found = answer.json()
    assert (found["version"], found["status"], found["requested_by"]) == (str(version.public_id), "queued", "ada")
    assert (found["identical"], found["pixels"], found["files"]) == (None, {}, {})
    claim = jobs.claim("one")
    evidence.compare(
        claim.comparison.pk,
        claim.token,
        identical=False,
        pixels={"kernel": 1.0},
        metrics={"kernel[][][]": 0.25, "more": None},
        made=[evidence.Made("kernel", storage.put(b"x"), ".webp", 1)],
        environment={"device": "cpu"},
    )
    found = api.read(f"comparisons/{found['id']}/").json()
    assert (found["status"], found["identical"], found["pixels"]) == ("done", False, {"kernel": 1.0})
    assert found["metrics"] == {"kernel[][][]": 0.25, "more": None}
    assert b"".join(api.get(found["files"]["kernel"])) == b"x"
    missing = "00000000-0000-0000-0000-000000000000"
    assert client.send(f"evidence/versions/{missing}/reproduce/").status_code == 404
    assert api.read(f"comparisons/{missing}/").json()["detail"] == "There is no such comparison here."
    Evidence.objects.update(recipe_version=0)
    assert "has changed since" in client.send(path).json()["detail"]


@pytest.mark.parametrize(
    ("query", "status", "sentence"),
    [
        ({"kind": "x"}, 400, "Choose one of: kernels, feature_visualization"),
        ({"status": "x"}, 400, "Choose one of: queued, running, done, failed, cancelled"),
        ({"network": "x"}, 404, "There is no network 'x' here. Networks: tinynet."),
        ({"network": "tinynet", "layer": "x"}, 404, "tinynet has no layer 'x'. Its layers are conv1, mixed3b."),
        ({"layer": "x"}, 404, "No network here has a layer 'x'"),
        ({"layer": "a\0b"}, 400, "Null characters"),
        ({"index": "x"}, 400, "whole number"),
        ({"index": "-1"}, 400, "greater than or equal to 0"),
        ({"index": "9" * 5000}, 400, "index"),
        ({"index": "1e400000"}, 400, "whole number"),
        ({"neuron": "1"}, 400, "There are: network, layer, index, kind, status, job, page, page_size."),
        ({"page": "9"}, 404, "There is no page 9 here."),
        ({"page": "last\0"}, 404, "whole number"),
        ({"page_size": "0"}, 400, "from 1 to 100"),
        ({"page_size": "1000"}, 400, "from 1 to 100"),
        ({"job": "x"}, 400, "UUID"),
    ],
)
def test_queries_that_ask_for_nothing_there_is(
    api: Client, network: Network, query: dict, status: int, sentence: str
) -> None:
    response = api.read("evidence/", **query)
    assert (response.status_code, sentence in response.json()["detail"]) == (status, True), response.json()


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("evidence/7/", "There is no evidence 7 here."),
        ("evidence/" + "9" * 40 + "/", "There is no evidence"),
        ("families/7/", "There is no family 7 here."),
        ("networks/x/", "Networks: tinynet"),
        ("networks/a%00b/", "Networks: tinynet"),
        ("layers/tinynet/x/", "Its layers are conv1, mixed3b"),
        ("neurons/tinynet/mixed3b:8/", "numbered 0 to 7"),
        ("neurons/tinynet/3b%00:1/", "not a neuron's address"),
        ("image-sets/x/", "Image sets: none yet"),
        ("jobs/00000000-0000-0000-0000-000000000000/", "no such job"),
        ("proposals/00000000-0000-0000-0000-000000000000/", "no such proposal"),
        ("labels/00000000-0000-0000-0000-000000000000/", "no such label"),
        ("evidence/x/", "There is nothing at /api/v1/evidence/x/"),
        ("evidence", "end with a slash"),
    ],
)
def test_what_is_not_there(api: Client, network: Network, path: str, sentence: str) -> None:
    response = api.get(f"/api/v1/{path}")
    assert (response.status_code, sentence in response.json()["detail"]) == (404, True), response.json()


def test_the_schema_is_whole_and_the_docs_obey_the_policy(api: Client) -> None:
    schema = api.get("/api/v1/schema/", HTTP_ACCEPT="application/vnd.oai.openapi+json").json()
    assert "/api/v1/evidence/" in schema["paths"]
    docs = api.get("/api/v1/docs/")
    page = docs.content.decode()
    assert "<script>" not in page
    assert "<style>" not in page
    nonce = page.split('nonce="')[1].split('"')[0]
    assert f"'nonce-{nonce}'" in docs["Content-Security-Policy"]
    assert api.get("/api/v1/docs/?script=").status_code == 200
    assert settings.SPECTACULAR_SETTINGS["SWAGGER_UI_DIST"] == "SIDECAR"
