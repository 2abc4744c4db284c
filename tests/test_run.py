"""The one script, as far as it goes without setting anything up."""

import importlib.util
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType

import pytest

from taxonomy import embedded

ROOT = Path(__file__).resolve().parent.parent


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, ROOT / "run", *arguments], capture_output=True, text=True)


@pytest.fixture
def home() -> Iterator[Path]:
    home = Path(tempfile.mkdtemp(prefix="nt-"))
    yield home
    shutil.rmtree(home, ignore_errors=True)


def load() -> ModuleType:
    """The script as a module."""
    loader = SourceFileLoader("run", str(ROOT / "run"))
    spec = importlib.util.spec_from_loader("run", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


@pytest.fixture
def script(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The script with a home of its own, the embedded services, and nothing to install."""
    monkeypatch.setenv("NEUROTAXA_HOME", str(home))
    monkeypatch.delenv("DATABASE_URL", raising=False)
    monkeypatch.delenv("REDIS_URL", raising=False)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    module = load()
    monkeypatch.setattr(module, "PYTHON", Path(sys.executable))
    monkeypatch.setattr(module, "setup", lambda *, development: None)
    yield module
    embedded.stop_redis(home)
    embedded.stop_postgres(home)


def call(script: ModuleType, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", ["./run", *arguments])
    script.main()


@pytest.mark.parametrize("arguments", [(), ("help",), ("--help",), ("-h",)])
def test_it_says_what_it_can_do(arguments: tuple[str, ...]) -> None:
    done = run(*arguments)
    assert done.returncode == 0
    for command in ("demo", "test", "check", "web", "worker", "beat", "services", "manage", "setup"):
        assert f"./run {command}" in done.stdout


def test_a_command_that_is_not_there_is_named() -> None:
    done = run("serve")
    assert done.returncode == 1
    assert done.stderr.startswith("There is no './run serve'.")
    assert "./run demo" in done.stderr


def test_services_start_and_stop_and_say_so(script, monkeypatch, capfd) -> None:
    call(script, monkeypatch, "services", "status")
    assert capfd.readouterr().out.split() == ["PostgreSQL:", "stopped", "Redis:", "stopped"]
    call(script, monkeypatch, "services", "start")
    call(script, monkeypatch, "services", "status")
    assert capfd.readouterr().out.split() == ["PostgreSQL:", "running", "Redis:", "running"]
    call(script, monkeypatch, "services", "stop")
    assert capfd.readouterr().out.split() == ["PostgreSQL:", "stopped", "Redis:", "stopped"]


def test_services_of_one_s_own_are_left_alone(script, monkeypatch, capfd, home: Path) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://db.example.org/neurotaxa")
    monkeypatch.setenv("REDIS_URL", "redis://redis.example.org")
    for what in ("start", "status"):
        call(script, monkeypatch, "services", what)
    assert capfd.readouterr().out.split() == ["PostgreSQL:", "DATABASE_URL", "Redis:", "REDIS_URL"]
    assert not list(home.iterdir())


@pytest.mark.parametrize("arguments", [[], ["restart"], ["start", "stop"]])
def test_services_take_one_word_of_three(script, monkeypatch, capfd, arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        call(script, monkeypatch, "services", *arguments)
    assert ended.value.code == 1
    assert "Say ./run services start, stop or status." in capfd.readouterr().err


def test_a_home_too_deep_for_a_socket_is_one_sentence(script, monkeypatch, capfd) -> None:
    monkeypatch.setattr(script, "HOME", Path("/tmp") / ("deep" * 25))
    with pytest.raises(SystemExit) as ended:
        call(script, monkeypatch, "services", "start")
    assert ended.value.code == 1
    error = capfd.readouterr().err
    assert "has too long a path for a Unix socket" in error
    assert "NEUROTAXA_HOME" in error
    assert "Traceback" not in error


def test_a_venv_that_cannot_be_made_is_one_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    script = load()
    monkeypatch.setattr(script, "VENV", tmp_path / ".venv")
    monkeypatch.setattr(script, "PYTHON", tmp_path / ".venv" / "bin" / "python")
    monkeypatch.setattr(subprocess, "run", lambda command: subprocess.CompletedProcess(command, 1))
    with pytest.raises(SystemExit):
        script.setup(development=False)
    assert "apt install python3-venv" in capsys.readouterr().err
    assert not (tmp_path / ".venv").exists()


def test_only_requirements_that_changed_are_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    script = load()
    venv = tmp_path / ".venv"
    venv.mkdir()
    monkeypatch.setattr(script, "ROOT", tmp_path)
    monkeypatch.setattr(script, "VENV", venv)
    monkeypatch.setattr(script, "PYTHON", venv)
    for name in ("requirements.txt", "requirements-dev.txt", "requirements-peers.txt"):
        (tmp_path / name).write_text(f"of-{name}==1\n")
    installed: list[list[str]] = []

    def pip(command: list[str], **options: object) -> subprocess.CompletedProcess[str]:
        installed.append([Path(word).name for word in command if word.endswith(".txt") or word == "--no-deps"])
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(subprocess, "run", pip)
    for development in (False, False, True, True):
        script.setup(development=development)
    assert installed == [["requirements.txt"], ["requirements-dev.txt"], ["--no-deps", "requirements-peers.txt"]]
    (tmp_path / "requirements.txt").write_text("another==1\n")
    script.setup(development=True)
    assert installed[3:] == [["requirements.txt"]]
