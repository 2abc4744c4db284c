"""`./run demo` for real, in a home of its own: it fills the world, answers, exports, and leaves nothing running."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from django.conf import settings

pytestmark = [pytest.mark.slow, pytest.mark.alone]


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="neurotaxa-"))  # a short path: its sockets' names have to fit
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def start(home: Path, *options: str) -> subprocess.Popen[str]:
    own = {name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "REDIS_URL", "ARTIFACTS")}
    own |= {"NEUROTAXA_HOME": str(home)}
    command = ["./run", "demo", *options]
    return subprocess.Popen(
        command, cwd=settings.BASE_DIR, env=own, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def left_running(home: Path) -> list[list[str]]:
    """Whatever still runs with this home in its command line or environment."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        try:
            if str(home) in " ".join(process.info["cmdline"] or []) or str(home) in process.environ().values():
                found.append(process.info["cmdline"])
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


def test_the_demo_world_is_made_answers_and_can_be_exported(home: Path) -> None:
    process = start(home, "--once", "--port", str(free_port()))
    said, _ = process.communicate(timeout=900)
    assert process.returncode == 0, said[-3000:]
    assert "All 4,089 are done." in said
    assert "the evidence is there, and the taxonomy was exported" in said
    assert left_running(home) == []


def test_the_demo_stays_up_and_ends_what_it_started(home: Path) -> None:
    port = free_port()
    process = start(home, "--port", str(port))
    deadline = time.monotonic() + 90
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5) as answer:
                assert answer.status == 200
            break
        except OSError:
            assert process.poll() is None, process.communicate()[0][-3000:]
            assert time.monotonic() < deadline
            time.sleep(0.5)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert left_running(home) == []
