"""One form for every refusal."""

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, OperationalError

from taxonomy.api import errors
from taxonomy.recipes import RecipeError


@pytest.mark.parametrize(
    ("error", "status", "answer"),
    [
        (ValidationError("One."), 400, {"detail": "One."}),
        (ValidationError(["One.", "Two."]), 400, {"detail": "One. Two."}),
        (ValidationError({"name": "One."}), 400, {"detail": "name: One.", "fields": {"name": ["One."]}}),
        (ValidationError({"__all__": "One."}), 400, {"detail": "One."}),
        (RecipeError("One."), 400, {"detail": "One."}),
        (IntegrityError("duplicate key"), 409, {"detail": errors.Meanwhile.default_detail}),
    ],
)
def test_the_form(error: Exception, status: int, answer: dict) -> None:
    response = errors.handle(error, {})
    assert response is not None
    assert (response.status_code, response.data) == (status, answer)


def test_postgres_out_of_reach_passes_through() -> None:
    assert errors.handle(OperationalError("gone"), {}) is None


def test_and_is_answered_with_a_sentence(client, monkeypatch) -> None:
    from taxonomy.api.networks import NetworkViewSet

    def gone(self: object) -> None:
        raise OperationalError("server closed the connection")

    monkeypatch.setattr(NetworkViewSet, "get_queryset", gone)
    response = client.get("/api/v1/networks/")
    assert response.status_code == 503
    assert response.json()["detail"].startswith("The database does not answer")
