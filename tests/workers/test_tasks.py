"""The seam with real workers in processes of their own: kills and an emptied Redis lose nothing and double nothing."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import torch
from django.conf import settings as django_settings
from django.db import OperationalError, connection
from django.utils import timezone

from taxonomy import dispatch, embedded
from taxonomy.actions import evidence, images, jobs, networks
from taxonomy.celery import app
from taxonomy.interchange.pictures import read_folder
from taxonomy.models import Artifact, Evidence, EvidenceVersion, ImageSet, Network, Outcome, Shard, SurveyPart, User
from tests.factory import picture
from workers import zoo
from workers.tasks import _environment, _short, compute

LEASE_SECONDS = "3"


class Workers:
    """Evidence workers against the test's database and a Redis of their own."""

    def __init__(self, home: Path, artifacts: Path) -> None:
        self.home, self.artifacts = home, artifacts
        self.processes: list[subprocess.Popen[bytes]] = []

    def start(self) -> subprocess.Popen[bytes]:
        name = connection.settings_dict["NAME"]
        environment = {
            **os.environ,
            "DATABASE_URL": f"postgresql://postgres@/{name}?host={connection.settings_dict['HOST']}",
            "REDIS_URL": embedded.redis_url(self.home),
            "ARTIFACTS": str(self.artifacts),
            "LEASE_SECONDS": LEASE_SECONDS,
            "WORKER_THREADS": "1",
            "WORKER_DEVICE": "cpu",
        }
        command = [sys.executable, "-m", "celery", "-A", "taxonomy.celery", "worker", "-I", "workers.tasks"]
        command += ["-Q", "evidence", "--pool", "solo", "-n", f"test-{len(self.processes)}@%h", "--loglevel", "warning"]
        log = (self.home / "worker.log").open("ab")
        process = subprocess.Popen(command, cwd=django_settings.BASE_DIR, env=environment, stdout=log, stderr=log)
        self.processes.append(process)
        return process

    def stop(self) -> None:
        for process in self.processes:
            process.kill()
            process.wait()

    def log(self) -> str:
        return (self.home / "worker.log").read_text()[-3000:]


@pytest.fixture
def workers(tmp_path_factory, settings, transactional_db) -> Iterator[Workers]:
    home = tmp_path_factory.mktemp("seam")
    embedded.start_redis(home)
    before = app.conf.broker_url
    app.conf.broker_url = embedded.redis_url(home)
    app._after_fork()  # forgets the connections to the broker before
    settings.LEASE_SECONDS, settings.RING_AGAIN_SECONDS = float(LEASE_SECONDS), 1.0
    found = Workers(home, Path(settings.ARTIFACTS))
    yield found
    found.stop()
    embedded.stop_redis(home)
    app.conf.broker_url = before
    app._after_fork()  # forgets the connections to the broker before


@pytest.fixture
def network(transactional_db) -> Network:
    description = zoo.describe("curve_network")
    return networks.register(User.objects.system(), name="curve_network", description=description)


def wait(until: Callable[[], bool], workers: Workers, seconds: float = 90) -> None:
    """Wait, with the reaper at work as the beat process would have it."""
    deadline = time.monotonic() + seconds
    while not until():
        jobs.reap()
        assert time.monotonic() < deadline, f"still waiting after {seconds} s; the workers' log ends:\n{workers.log()}"
        time.sleep(0.25)


def ask(network: Network, *, layer: str = "mixed3b", kind: str = "feature_visualization", **more: Any):
    if kind == "feature_visualization":
        more["parameters"] = {kind: {"objective": "neuron", "steps": more.pop("steps", 300)}}
    return evidence.request(
        User.objects.system(), network, layers=[network.layers.get(name=layer)], kinds=[kind], **more
    )


def assert_complete(requested: evidence.Requested) -> None:
    """Everything done, one version each, artifacts readable, and the job counts it so."""
    rows = Evidence.objects.filter(pk__in=requested.evidence)
    assert list(rows.exclude(status=Outcome.DONE).values_list("status", "reason")) == []
    assert EvidenceVersion.objects.filter(evidence__in=rows).count() == len(requested.evidence)
    assert all(evidence.storage.path(sha256).exists() for sha256 in Artifact.objects.values_list("sha256", flat=True))
    assert requested.job is not None
    requested.job.refresh_from_db()
    assert (requested.job.status, requested.job.done, requested.job.failed) == (Outcome.DONE, len(rows), 0)


def test_a_worker_makes_what_was_asked_for(workers: Workers, network: Network) -> None:
    workers.start()
    requested = ask(network, kind="weights")
    wait(lambda: not network.jobs.filter(status__in=jobs.LIVE).exists(), workers)
    assert_complete(requested)


@pytest.mark.slow
def test_a_killed_worker_loses_nothing_and_doubles_nothing(workers: Workers, network: Network) -> None:
    first = workers.start()
    requested = ask(network, layer="mixed3a", steps=200)
    wait(lambda: Shard.objects.filter(status=Outcome.RUNNING).exists(), workers)
    time.sleep(1.5)
    first.send_signal(signal.SIGKILL)
    first.wait()
    left = Evidence.objects.filter(pk__in=requested.evidence).exclude(status=Outcome.DONE).count()
    assert left, "the worker was to be killed in the middle of its work"
    workers.start()
    wait(lambda: not network.jobs.filter(status__in=jobs.LIVE).exists(), workers)
    assert_complete(requested)
    assert Shard.objects.filter(attempts__gt=1).exists()


@pytest.mark.slow
def test_a_redis_restarted_empty_loses_nothing(workers: Workers, network: Network) -> None:
    requested = ask(network, layer="conv2d2", steps=60)
    assert dispatch.waiting("evidence") == 1
    embedded.stop_redis(workers.home)
    assert dispatch.waiting("evidence") is None
    embedded.start_redis(workers.home)
    assert dispatch.waiting("evidence") == 0, "Redis is to come back empty"
    workers.start()
    wait(lambda: not network.jobs.filter(status__in=jobs.LIVE).exists(), workers)
    assert_complete(requested)


def test_asking_while_redis_is_down_is_no_error_and_is_made_up_for(workers: Workers, network: Network) -> None:
    embedded.stop_redis(workers.home)
    requested = ask(network, kind="weights", layer="mixed3a")
    assert requested.job is not None
    assert requested.job.status == Outcome.QUEUED
    embedded.start_redis(workers.home)
    workers.start()
    wait(lambda: not network.jobs.filter(status__in=jobs.LIVE).exists(), workers)
    assert_complete(requested)


@pytest.mark.slow
def test_cancelling_stops_the_worker_and_retrying_finishes(workers: Workers, network: Network) -> None:
    workers.start()
    requested = ask(network, steps=2000)
    wait(lambda: Shard.objects.filter(status=Outcome.RUNNING).exists(), workers)
    assert requested.job is not None
    jobs.cancel(User.objects.system(), requested.job)
    statuses = set(Evidence.objects.filter(pk__in=requested.evidence).values_list("status", flat=True))
    assert statuses <= {Outcome.CANCELLED, Outcome.DONE}
    again = ask(network, kind="weights")  # the worker is free again, long before 2,000 steps are over
    wait(
        lambda: again.job is not None and not type(again.job).objects.filter(pk=again.job.pk, status__in=jobs.LIVE),
        workers,
    )
    assert_complete(again)


@pytest.fixture
def photographs(tmp_path: Path) -> ImageSet:
    folder = tmp_path / "photographs"
    folder.mkdir()
    for name, colour in (("a.png", (250, 0, 0)), ("b.png", (0, 250, 0))):
        (folder / name).write_bytes(picture(96, colour, "PNG"))
    return images.add(User.objects.system(), name="photographs", folder=folder, found=read_folder(folder))


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda file: file.write_bytes(picture(96, (0, 0, 250), "PNG")), "b.png: it changed since it was registered"),
        (lambda file: file.write_bytes(b"no picture"), "b.png: it changed since it was registered"),
        (lambda file: file.unlink(), "b.png: not a file"),
    ],
)
def test_a_picture_that_changed_is_named(network: Network, photographs: ImageSet, spoil, sentence) -> None:
    spoil(Path(photographs.folder) / "b.png")
    layer = network.layers.get(name="conv2d0")
    requested = evidence.request(
        User.objects.system(), network, layers=[layer], neurons=[0], kinds=["dataset_examples"], image_set=photographs
    )
    compute()
    row = Evidence.objects.get(pk__in=requested.evidence)
    for failed in (row, *Shard.objects.filter(job=requested.job)):
        assert failed.status == Outcome.FAILED
        assert sentence in failed.reason
        assert "retry" in failed.reason
    assert not EvidenceVersion.objects.exists()
    assert not SurveyPart.objects.exists()


def test_a_database_that_goes_away_is_no_failure_of_the_shard(network: Network, monkeypatch) -> None:
    ask(network, kind="weights", layer="mixed3a", parameters={"weights": {"direction": "in"}})
    shard = Shard.objects.first()
    assert shard is not None

    def gone(*args: object, **named: object) -> None:
        raise OperationalError("server closed the connection unexpectedly")

    with monkeypatch.context() as patch:
        patch.setattr(evidence, "complete", gone)
        compute()
    shard.refresh_from_db()
    assert (shard.status, shard.reason) == (Outcome.RUNNING, "")
    Shard.objects.update(lease_expires_at=timezone.now() - timedelta(seconds=1))
    compute()
    shard.refresh_from_db()
    assert (shard.status, shard.attempts) == (Outcome.DONE, 2)


def test_nine_digits_give_back_every_float32() -> None:
    values = torch.randn(10_000, generator=torch.Generator().manual_seed(0)) * torch.logspace(-30, 30, 10_000)
    stored = json.loads(json.dumps(_short({"kernel": [values.tolist()], "neuron": "a:1", "linearised": False})))
    assert torch.equal(torch.tensor(stored["kernel"][0]), values)
    assert (stored["neuron"], stored["linearised"]) == ("a:1", False)


def test_a_version_says_that_it_was_computed_in_full_precision():
    assert torch.backends.cuda.matmul.allow_tf32 is False
    assert torch.backends.cudnn.conv.fp32_precision != "tf32"
    environment = _environment()
    assert environment["dtype"] == "float32"
    assert environment["tf32"] is False
    assert environment["threads"] == torch.get_num_threads()
