"""Whether the site can do its work, for whoever watches it."""

from django.db import DatabaseError, connection
from django.http import HttpRequest, JsonResponse

from taxonomy import dispatch


def healthz(request: HttpRequest) -> JsonResponse:
    """503 without Postgres. Without Redis pages and labels still work; evidence waits, and that is said."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        database = "ok"
    except DatabaseError:
        database = "unreachable"
    waiting = dispatch.waiting("evidence")
    broker = "unreachable" if waiting is None else "ok"
    answer = {"database": database, "redis": broker, "evidence_tasks_waiting": waiting}
    return JsonResponse(answer, status=200 if database == "ok" else 503)
