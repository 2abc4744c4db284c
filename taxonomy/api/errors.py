"""Every refusal in one form: ``{"detail": a sentence}``, and ``"fields"`` beside it when it belongs to some."""

from collections.abc import Iterator
from typing import Any

from django.core.exceptions import ObjectDoesNotExist, RequestDataTooBig
from django.core.exceptions import ValidationError as ActionError
from django.http import HttpRequest, JsonResponse
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import exception_handler

from taxonomy.actions.notes import Overtaken
from taxonomy.interchange.distill import FormError
from taxonomy.permissions import Refused, Removed
from taxonomy.plans import PlanError
from taxonomy.recipes import RecipeError


class TooLarge(exceptions.APIException):
    status_code = 413


class Conflict(exceptions.APIException):
    status_code = 409


def handle(error: Exception, context: dict[str, Any]) -> Response | None:
    """DRF's handler, for the actions' refusals too. What the database refuses is the middleware's to answer."""
    response = exception_handler(_translated(error, context), context)
    if response is not None:
        response.data = _one_form(response.data)
    return response


def _translated(error: Exception, context: dict[str, Any]) -> Exception:
    if isinstance(error, Removed):
        return exceptions.NotFound(str(error))
    if isinstance(error, Refused):
        if context["request"].user.is_authenticated:
            return exceptions.PermissionDenied(str(error))
        missing = exceptions.NotAuthenticated(str(error))
        missing.auth_header = context["view"].get_authenticate_header(context["request"])
        return missing
    if isinstance(error, ActionError):
        fields = getattr(error, "error_dict", None)
        return exceptions.ValidationError(error.message_dict if fields else error.messages)
    if isinstance(error, PlanError):
        return exceptions.ValidationError({error.part: [str(error)]})
    if isinstance(error, Overtaken):
        return Conflict(str(error))
    if isinstance(error, (RecipeError, FormError)):
        return exceptions.ValidationError(str(error))
    if isinstance(error, ObjectDoesNotExist):  # raised by the record's questions, with a sentence
        return exceptions.NotFound(str(error))
    if isinstance(error, exceptions.ParseError):
        why = str(error.detail).removeprefix("JSON parse error - ").rstrip(".")
        return exceptions.ParseError(f"The request's body cannot be read as JSON ({why}). Nothing was saved.")
    if isinstance(error, RequestDataTooBig):
        return TooLarge("That is too much text. Nothing was saved. Shorten it and send it again.")
    return error


def _one_form(data: Any) -> dict[str, Any]:
    if isinstance(data, dict) and "detail" in data and not isinstance(data["detail"], (list, dict)):
        return data
    if isinstance(data, dict):
        fields = {("" if name in ("non_field_errors", "__all__") else name): value for name, value in data.items()}
        sentences = [f"{name}: {text}" if name else text for name, value in fields.items() for text in _texts(value)]
        named = {name: list(_texts(value)) for name, value in fields.items() if name}
        return {"detail": " ".join(sentences), **({"fields": named} if named else {})}
    return {"detail": " ".join(_texts(data))}


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)
    else:
        yield str(value)


def nothing_here(request: HttpRequest, path: str = "") -> JsonResponse:
    """For every other path below the API."""
    slash = "" if request.path.endswith("/") else " Paths of this API end with a slash."
    return JsonResponse({"detail": f"There is nothing at {request.path}.{slash} See /api/v1/docs/."}, status=404)
