"""What went wrong and what to do, in a sentence; these pages need no database."""

from django.core.exceptions import RequestDataTooBig, TooManyFieldsSent
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.csrf import requires_csrf_token


def _sentence(exception: Exception | None, otherwise: str) -> str:
    """An exception's own sentence, unless it is Django's technical text or none."""
    technical = "matches the given query."
    said = str(exception.args[0]) if exception is not None and exception.args else ""
    return said if said.endswith((".", "”")) and not said.endswith(technical) else otherwise


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    if isinstance(exception, (RequestDataTooBig, TooManyFieldsSent)):
        sentence = "That is more than any form here needs. Nothing was saved. Shorten it and send it again."
        return render(request, "413.html", {"sentence": sentence}, status=413)
    sentence = "The request could not be understood, and nothing was changed. Go back, reload the page and try again."
    return render(request, "400.html", {"sentence": sentence}, status=400)


@requires_csrf_token
def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    sentence = _sentence(exception, "This is not allowed with your account.")
    return render(request, "403.html", {"sentence": sentence, "offer_sign_in": True}, status=403)


def csrf(request: HttpRequest, reason: str = "") -> HttpResponse:
    sentence = (
        "The form was open for too long, or cookies are off. Nothing was saved. Reload the page and send it again."
    )
    return render(request, "403.html", {"sentence": sentence}, status=403)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    sentence = _sentence(exception, "There is no page at this address.")
    return render(request, "404.html", {"sentence": sentence}, status=404)


def broken(request: HttpRequest) -> HttpResponse:
    return render(request, "500.html", status=500)
