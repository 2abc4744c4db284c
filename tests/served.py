"""The site as `./run web` serves it, over a database that is named: for proofs and benchmarks over real HTTP."""

import http.client
import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import time
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any

from django.db import connection

ROOT = Path(__file__).resolve().parent.parent


def script() -> ModuleType:
    """`./run` as a module."""
    loader = SourceFileLoader("run", str(ROOT / "run"))
    spec = importlib.util.spec_from_loader("run", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    kept, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        loader.exec_module(module)
    finally:
        sys.dont_write_bytecode = kept
    return module


def database_url() -> str:
    """The database that this process is connected to, for another process."""
    at = connection.settings_dict
    host = at["HOST"]
    where = f"?host={host}" if host.startswith("/") else ""
    name = f"{at['USER']}{':' + at['PASSWORD'] if at['PASSWORD'] else ''}"
    server = "" if where else f"{host}{':' + str(at['PORT']) if at['PORT'] else ''}"
    return f"postgresql://{name}@{server}/{at['NAME']}{where}"


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


class Site:
    """gunicorn in a process group of its own; ended with the ``with``."""

    def __init__(self, log: Path, **environment: str) -> None:
        self.port, self.log = free_port(), log
        self.environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "DJANGO_SETTINGS_MODULE": "taxonomy.settings",
            "DEBUG": "0",
            "SECRET_KEY": "of-this-run-alone-and-of-no-other-anywhere-0123456789",
            "ALLOWED_HOSTS": "127.0.0.1",
            "DATABASE_URL": database_url(),
            "LOG_LEVEL": "WARNING",
            **environment,
        }

    def __enter__(self) -> "Site":
        command = script().web_command(self.port)
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, *command[1:]],
                cwd=ROOT,
                env=self.environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        until = time.monotonic() + 60
        while not self.answers():
            if self.process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"The site did not come up: {self.log.read_text()[-2000:]}")
            time.sleep(0.1)
        return self

    def answers(self) -> bool:
        try:
            call = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
            call.request("GET", "/healthz")
            return call.getresponse().status == 200
        except OSError:
            return False

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        os.killpg(self.process.pid, signal.SIGTERM)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    @property
    def workers(self) -> list[int]:
        """The process ids of gunicorn's workers."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return [int(pid) for pid in children.split()]


class Caller:
    """One person's program: a connection that is kept, and the person's token."""

    def __init__(self, port: int, token: str, timeout: float = 30) -> None:
        self.port, self.timeout = port, timeout
        self.headers = {"Authorization": f"Token {token}", "Content-Type": "application/json"}
        self.connection: http.client.HTTPConnection | None = None

    def post(self, path: str, body: dict[str, Any] | None = None) -> tuple[int, Any]:
        """The status and the answer.

        Raises:
            OSError, http.client.HTTPException: when the connection broke, before or after the request was taken.
        """
        if self.connection is None:
            self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=self.timeout)
        try:
            self.connection.request("POST", f"/api/v1/{path}", json.dumps(body or {}), self.headers)
            answer = self.connection.getresponse()
            text = answer.read()
        except (OSError, http.client.HTTPException):
            self.connection.close()
            self.connection = None
            raise
        if answer.will_close:
            self.connection.close()
            self.connection = None
        return answer.status, json.loads(text) if text else None
