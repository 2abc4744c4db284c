"""What the database refuses reaches people as a sentence, in pages and in the API."""

import pytest
from django.db import IntegrityError, OperationalError

from taxonomy import middleware
from taxonomy.actions import proposals
from taxonomy.models import Layer
from tests.factory import make_evidence, make_network, make_user

pytestmark = pytest.mark.django_db


class Deadlock(Exception):
    pgcode = "40P01"


def deadlock() -> OperationalError:
    error = OperationalError("deadlock detected")
    error.__cause__ = Deadlock()
    return error


@pytest.fixture
def layer() -> Layer:
    return make_network().layers.get(name="mixed3b")


@pytest.mark.parametrize(
    ("error", "status", "sentence"),
    [
        (IntegrityError("duplicate key"), 409, middleware.MEANWHILE),
        (deadlock(), 409, middleware.MEANWHILE),
        (OperationalError("server closed the connection"), 503, middleware.SENTENCE),
    ],
)
def test_page_and_api_say_the_same(client, monkeypatch, layer, error, status, sentence) -> None:
    def fail(*args: object, **named: object) -> None:
        raise error

    monkeypatch.setattr(proposals, "create", fail)
    client.force_login(make_user())
    said = {"name": "Curves", "remark": "Bent.", "kind": "natural", "confidence": "medium", "symmetry": "none"}
    page = client.post(f"{layer.get_absolute_url()}propose/", said)
    assert page.status_code == status
    assert sentence in page.content.decode().replace("&#x27;", "'")
    body = {"network": layer.network.name, "layer": layer.name, "name": "Curves", "remark": "Bent."}
    answer = client.post("/api/v1/proposals/", body, content_type="application/json")
    assert (answer.status_code, answer.json()) == (status, {"detail": sentence})


@pytest.mark.parametrize("asked", ["HX-Request", "X-Background"])
def test_a_piece_of_a_page_is_not_kept_as_the_page(client, layer, asked) -> None:
    for address in ("/", "/jobs/", f"/networks/{layer.network.name}/weights/walk/?neuron=3b:4", "/nowhere/"):
        for headers in ({}, {asked: "true"}):
            assert asked in client.get(address, headers=headers)["Vary"].split(", "), address


def test_files_are_the_same_for_all_who_ask(client, layer) -> None:
    (file,) = make_evidence(layer.neurons.get(index=0), pictures=["image"]).current.artifacts.all()
    answer = client.get(f"/artifacts/{file.sha256}.webp")
    assert answer.status_code == 200
    assert "HX-Request" not in answer.get("Vary", "")
