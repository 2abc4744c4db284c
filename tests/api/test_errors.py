"""One form for every refusal."""

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, OperationalError

from taxonomy.api import errors
from taxonomy.recipes import RecipeError
from tests.factory import make_user


@pytest.mark.parametrize(
    ("error", "status", "answer"),
    [
        (ValidationError("One."), 400, {"detail": "One."}),
        (ValidationError(["One.", "Two."]), 400, {"detail": "One. Two."}),
        (ValidationError({"name": "One."}), 400, {"detail": "name: One.", "fields": {"name": ["One."]}}),
        (ValidationError({"__all__": "One."}), 400, {"detail": "One."}),
        (RecipeError("One."), 400, {"detail": "One."}),
    ],
)
def test_the_form(error: Exception, status: int, answer: dict) -> None:
    response = errors.handle(error, {})
    assert response is not None
    assert (response.status_code, response.data) == (status, answer)


@pytest.mark.parametrize("error", [OperationalError("gone"), IntegrityError("duplicate key")])
def test_what_the_database_refuses_passes_through(error: Exception) -> None:
    assert errors.handle(error, {}) is None


@pytest.mark.django_db
@pytest.mark.parametrize("body", [r'{"\ud800": 1}', r'{"network": "n", "neuron": "a:1", "verdict": "\ud800"}'])
def test_half_a_character_is_refused(client, body: str) -> None:
    client.force_login(make_user())
    response = client.post("/api/v1/labels/", body, content_type="application/json")
    assert response.status_code == 400
    assert "half a character" in response.json()["detail"]


def test_and_is_answered_with_a_sentence(client, monkeypatch) -> None:
    from taxonomy.api.networks import NetworkViewSet

    def gone(self: object) -> None:
        raise OperationalError("server closed the connection")

    monkeypatch.setattr(NetworkViewSet, "get_queryset", gone)
    response = client.get("/api/v1/networks/")
    assert response.status_code == 503
    assert response.json()["detail"].startswith("The database does not answer")
