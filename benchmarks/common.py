"""What several benchmarks do alike."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Lines whose columns begin below each other."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)


@contextmanager
def database(**environment: str) -> Iterator[None]:
    """The site with an empty database of this run alone, beside its own; dropped in the end.

    `environment` is set before the settings are read.
    """
    import dj_database_url
    import django
    import psycopg2

    from taxonomy import embedded

    root = Path(__file__).resolve().parent.parent
    home = Path(os.environ.get("NEUROTAXA_HOME") or root / "var").expanduser().resolve()
    url = os.environ.get("DATABASE_URL") or embedded.start_postgres(home)
    name = f"bench_{os.getpid()}"
    at = dj_database_url.parse(url)
    more = at.get("OPTIONS", {})
    server = psycopg2.connect(
        dbname="postgres",
        user=at["USER"],
        password=at["PASSWORD"] or None,
        host=more.get("host") or at["HOST"] or None,
        port=at["PORT"] or None,
    )
    server.autocommit = True
    with server.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name}")
    os.environ["DATABASE_URL"] = urlsplit(url)._replace(path=f"/{name}").geturl()
    os.environ |= {"DJANGO_SETTINGS_MODULE": "taxonomy.settings", **environment}
    try:
        django.setup()
        from django.core.management import call_command

        call_command("migrate", verbosity=0)
        yield
    finally:
        from django.db import connections

        connections.close_all()
        with server.cursor() as cursor:
            cursor.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        server.close()
