"""What every request passes through."""

import logging
from collections.abc import Callable

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.template.loader import render_to_string
from django.utils.cache import patch_vary_headers

from taxonomy.permissions import Refused, Removed

logger = logging.getLogger(__name__)

SENTENCE = (
    "The database does not answer, so nothing can be shown or saved just now. Nothing was half-saved. "
    "Try again in a minute; if you run this site, see './run services status' or the database's log."
)

MEANWHILE = (
    "Somebody changed the same thing at this moment, and nothing of yours was saved. "
    "Look at it again, then try once more."
)
# Postgres ended one of two transactions that waited for each other, or that could not both be true.
GAVE_WAY = ("40001", "40P01")


def tell(request: HttpRequest, sentence: str, status: int, *, alone: bool = False) -> HttpResponse:
    """The sentence, as the API says it or as a page does; a page that stands alone asks nothing of the database."""
    if request.path.startswith("/api/"):
        return JsonResponse({"detail": sentence}, status=status)
    text = render_to_string(f"{status}.html", {"sentence": sentence}, request=None if alone else request)
    return HttpResponse(text, status=status)


class Unreachable:
    """Postgres out of reach gives a 503 with a sentence, in the page and in the API, instead of a traceback."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        try:
            return self.get_response(request)
        except (OperationalError, InterfaceError) as error:
            return self.answer(request, error)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        if isinstance(exception, (OperationalError, InterfaceError)):
            return self.answer(request, exception)
        return None

    def answer(self, request: HttpRequest, error: Exception) -> HttpResponse:
        logger.error("Postgres does not answer: %s", error)
        response = tell(request, SENTENCE, 503, alone=True)
        response["Retry-After"] = "60"
        return response


class Bounded:
    """A request that carries more than any form here needs is answered before it is read."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        try:
            size = int(request.META.get("CONTENT_LENGTH") or 0)
        except ValueError:
            size = 0
        if size <= settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
            return self.get_response(request)
        limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE // 1024
        sentence = (
            f"That is too much text: {size // 1024:,} kB were sent, and at most {limit} kB are taken. "
            "Nothing was saved. Shorten it and send it again."
        )
        return tell(request, sentence, 413, alone=True)


class Varied:
    """A page's script is answered with a piece of the page, or with a sentence, at the page's own address.

    What keeps answers, a browser or a cache before the site, keeps these apart. Files are the same for all who ask.
    """

    ASKED_BY = ("HX-Request", "X-Background")

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if "public" not in response.get("Cache-Control", ""):
            patch_vary_headers(response, self.ASKED_BY)
        return response


class Refusals:
    """An action's refusal, wherever a page lets it through, is a 403 that gives the reason; of what is hidden, a 404.

    What the database refuses, because two people wrote the same at the same moment, is a 409 in the page and the API.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        if isinstance(exception, Removed):
            raise Http404(str(exception)) from exception
        if isinstance(exception, Refused):
            raise PermissionDenied(str(exception)) from exception
        if not gave_way(exception):
            return None
        logger.error("Two wrote the same at once: %s", exception)
        return tell(request, MEANWHILE, 409)


def gave_way(error: Exception) -> bool:
    """Whether the database let somebody else through first."""
    return isinstance(error, IntegrityError) or (
        isinstance(error, OperationalError) and getattr(error.__cause__, "pgcode", None) in GAVE_WAY
    )
