"""The seam with real workers in processes of their own: kills and an emptied Redis lose nothing and double nothing."""

import errno
import functools
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from django.conf import settings as django_settings
from django.db import OperationalError, connection
from django.test import Client
from django.utils import timezone
from PIL import Image, ImageDraw

from taxonomy import dispatch, embedded, recipes, storage
from taxonomy.actions import claims, evidence, images, jobs, networks
from taxonomy.celery import app
from taxonomy.interchange.pictures import read_folder
from taxonomy.models import (
    Artifact,
    Comparison,
    Evidence,
    EvidenceVersion,
    ImageSet,
    Network,
    Outcome,
    Photograph,
    Role,
    Run,
    Shard,
    SurveyPart,
    User,
    Vector,
)
from taxonomy.pages.wiring import Weights
from tests.factory import make_family, make_user, picture
from workers import figures, tasks, zoo
from workers.evidence import Failure, Finding
from workers.tasks import _environment, _short, compute

LEASE_SECONDS = "3"


class Workers:
    """Evidence workers against the test's database and a Redis of their own."""

    def __init__(self, home: Path, artifacts: Path) -> None:
        self.home, self.artifacts = home, artifacts
        self.processes: list[subprocess.Popen[bytes]] = []

    def start(self, **more: str) -> subprocess.Popen[bytes]:
        name = connection.settings_dict["NAME"]
        environment = {
            **os.environ,
            "DATABASE_URL": f"postgresql://postgres@/{name}?host={connection.settings_dict['HOST']}",
            "REDIS_URL": embedded.redis_url(self.home),
            "ARTIFACTS": str(self.artifacts),
            "LEASE_SECONDS": LEASE_SECONDS,
            "WORKER_THREADS": "1",
            "WORKER_DEVICE": "cpu",
            **more,
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
@pytest.mark.alone
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
@pytest.mark.alone
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
@pytest.mark.alone
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
    ring = Image.new("L", (96, 96), 255)
    ImageDraw.Draw(ring).ellipse((8, 8, 88, 88), outline=0, width=3)
    ring.save(folder / "c.png")
    classes = [{"name": "b.png", "class": 24}, {"name": "c.png", "class": 0}]
    (folder / "pictures.json").write_text(json.dumps(classes))
    return images.add(User.objects.system(), name="photographs", folder=folder, found=read_folder(folder))


def experiment(network: Network, photographs: ImageSet) -> Run:
    """Asked for: that nothing and a ring are still known for what they are without one weight."""
    source, target = ({"layer": layer, "channels": [0], "named": ""} for layer in ("mixed3a", "mixed3b"))
    plan = {
        "do": [{"do": "zero", "from": source, "to": target}],
        "show": {"kind": "images", "image_set": "photographs", "indices": [1, 2]},
        "measure": {"what": "top1"},
        "expect": {"change": "unchanged", "margin": 0.5, "relative": False},
        "controls": 20,
        "seed": 0,
    }
    rosa = make_user("rosa", role=Role.REVIEWER)
    family = make_family(network.layers.get(name="mixed3b"), "Alone", units=[0])
    claim = claims.state(rosa, family, kind="causality", sentence="It is alone.", plan=plan, image_set=photographs)
    return claims.run(rosa, claim)


def test_experiments_know_the_class_of_each_picture(network: Network, photographs: ImageSet) -> None:
    run = experiment(network, photographs)
    compute()
    run.refresh_from_db()
    assert (run.ruling, run.n, run.effect) == ("inconclusive", 2, 0.0), run.evidence.reason  # two pictures say nothing
    data = json.loads(storage.read(run.evidence.versions.get().artifacts.get(name="data").sha256))
    assert data["images"]["top1"]["before"]["share"] == 0.5  # an even green is no curve, and a ring not this one


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


@pytest.mark.parametrize(
    ("table", "change"),
    [
        ("shard", "parameters = jsonb_set(parameters, '{plan,expect,change}', '\"falls\"')"),
        ("shard", "image_set_id = NULL"),
        ("evidence", "parameters = jsonb_set(parameters, '{plan,seed}', '1')"),
        ("evidence", "claim_id = NULL"),
    ],
)
def test_only_what_was_stated_is_tested(network: Network, photographs: ImageSet, table: str, change: str) -> None:
    run = experiment(network, photographs)
    pk = run.evidence_id if table == "evidence" else run.evidence.shard_id
    with connection.cursor() as cursor:  # past the triggers, as only who owns the database can
        cursor.execute("SET session_replication_role = replica")
        cursor.execute(f"UPDATE taxonomy_{table} SET {change} WHERE id = {pk}")
        cursor.execute("SET session_replication_role = DEFAULT")
    compute()
    run = Run.objects.get(pk=run.pk)
    assert (run.ruling, run.evidence.status) == ("", Outcome.FAILED)
    assert "asks for another plan than was stated" in run.evidence.reason


def test_what_was_withdrawn_is_not_tested(network: Network, photographs: ImageSet) -> None:
    run = experiment(network, photographs)
    claims.withdraw(run.claim.author, run.claim, reason="A slip.")
    compute()
    assert Run.objects.get(pk=run.pk).evidence.reason == "This claim was withdrawn: state it anew to test it."


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


def work(most: int = 100) -> int:
    """Hear bells until there is nothing to claim; how many shards were worked on."""
    for done in range(most):
        if not Shard.objects.claimable(heavy=True).exists():
            return done
        compute()
    raise AssertionError(f"there is still work after {most} shards")


def states(requested: evidence.Requested) -> set[tuple[str, str]]:
    return set(Evidence.objects.filter(pk__in=requested.evidence).values_list("status", "reason"))


DONE = {(Outcome.DONE, "")}


@pytest.fixture
def many(tmp_path: Path) -> ImageSet:
    """Pictures for two passes and a bit."""
    folder = tmp_path / "many"
    folder.mkdir()
    generator = np.random.default_rng(0)
    for index in range(37):
        pixels = generator.integers(0, 256, (6, 6, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((72, 72), Image.Resampling.BICUBIC).save(folder / f"{index:02}.png")
    return images.add(User.objects.system(), name="many", folder=folder, found=read_folder(folder))


def surveyed(network: Network, image_set: ImageSet, *, layers: Sequence[str] = ("conv2d0",), **more: Any):
    named = [network.layers.get(name=name) for name in layers]
    return evidence.request(
        User.objects.system(),
        network,
        **{"layers": named, "neurons": range(4), "kinds": SURVEYED, "image_set": image_set, **more},
    )


SURVEYED = ("dataset_examples", "activation_histogram", "neighbours")


def test_evidence_of_many_pictures_is_made_of_passes_that_are_made_once(
    network: Network, many: ImageSet, monkeypatch
) -> None:
    monkeypatch.setattr(recipes, "SURVEY_PART", 16)
    first = surveyed(network, many, layers=("conv2d0",))
    passes = Shard.objects.filter(kind="survey")
    assert [shard.parameters for shard in passes] == [
        {"layers": ["conv2d0"], "first": first, "last": last} for first, last in ((0, 16), (16, 32), (32, 37))
    ]
    second = surveyed(network, many, layers=("conv2d0", "conv2d1"), kinds=("dataset_examples",))
    assert [shard.parameters["layers"] for shard in passes.filter(job=second.job)] == [["conv2d1"]] * 3
    waiting = Shard.objects.filter(waiting=True)
    assert set(waiting.values_list("kind", "image_set")) == {(kind, many.pk) for kind in SURVEYED}
    compute()
    assert waiting.count() == 4, "what needs three parts waits for all of them"
    work()
    assert states(first) | states(second) == DONE
    assert SurveyPart.objects.count() == 2 * 3
    assert not waiting.exists()
    third = surveyed(network, many, layers=("conv2d1",), kinds=("activation_histogram",))
    assert not passes.filter(job=third.job).exists()
    work()
    assert states(third) == DONE


def test_one_pass_or_several_give_the_same_bytes(network: Network, many: ImageSet, monkeypatch) -> None:
    files = []
    for part in (16, 128):
        monkeypatch.setattr(recipes, "SURVEY_PART", part)
        monkeypatch.setattr(recipes, "SURVEY_VERSION", part)
        requested = surveyed(network, many)
        work()
        assert states(requested) == DONE
        found = EvidenceVersion.objects.filter(evidence__in=requested.evidence).order_by("evidence", "-number")
        last = {version.evidence_id: version for version in reversed(found)}
        files.append({pk: set(version.artifacts.values_list("name", "sha256")) for pk, version in last.items()})
        Evidence.objects.update(status=Outcome.CANCELLED)
    assert EvidenceVersion.objects.count() == 2 * len(files[0])
    assert files[0] == files[1]


def test_photographs_are_kept_once_and_vectors_with_their_version(network: Network, many: ImageSet) -> None:
    surveyed(network, many, layers=("conv2d0", "conv2d1"))
    work()
    failed = Evidence.objects.filter(status=Outcome.FAILED)  # the weights of some cancel when made linear
    assert not failed.exclude(kind="neighbours", parameters__by__in=["weights", "rotation"]).exists()
    assert Vector.objects.count() == Evidence.objects.filter(kind="neighbours", status=Outcome.DONE).count()
    size = network.preprocessing["size"]
    kept = {photograph.image.index: photograph for photograph in Photograph.objects.select_related("image")}
    named = set()
    for artifact in Artifact.objects.filter(version__evidence__kind="dataset_examples", name="data"):
        data = json.loads(storage.read(artifact.sha256))
        named |= {example["image"] for each in data["bins"] for example in each["examples"]}
        named |= {example["image"] for example in (*data["top"], data["lowest"])}
    assert named <= set(kept)
    assert Photograph.objects.count() == len(kept)
    for photograph in kept.values():
        assert figures.decode(storage.read(photograph.sha256)).shape == (size, size, 3)
    assert set(Vector.objects.values_list("likeness", flat=True)) == {"activation", "weights", "rotation"}
    for vector in Vector.objects.select_related("evidence"):
        assert (vector.image_set_id == many.pk) == (vector.likeness == "activation")
        assert vector.evidence.status == Outcome.DONE
        assert np.linalg.norm(vector.values) == pytest.approx(1, abs=1e-5)


def test_a_pass_that_fails_fails_what_waits_for_it_in_every_job(network: Network, many: ImageSet, monkeypatch) -> None:
    first, second = surveyed(network, many), surveyed(network, many, neurons=[5])
    spoilt = Path(many.folder) / "05.png"
    kept = spoilt.read_bytes()
    spoilt.write_bytes(b"no picture")
    work()
    assert {status for status, _ in states(second)} == {Outcome.DONE, Outcome.FAILED}, "weights need no pictures"
    for requested in (first, second):
        failed = Evidence.objects.filter(pk__in=requested.evidence, status=Outcome.FAILED)
        assert failed.exists()
        assert all("05.png: it changed since it was registered" in row.reason for row in failed)
        requested.job.refresh_from_db()
        assert requested.job.status == Outcome.FAILED
    spoilt.write_bytes(kept)
    for requested in (second, first):
        jobs.retry(User.objects.system(), requested.job)
        work()
        assert states(requested) == DONE
    assert SurveyPart.objects.count() == 1


def test_a_pass_that_another_job_waits_for_outlives_its_own(network: Network, many: ImageSet) -> None:
    first, second = surveyed(network, many), surveyed(network, many, neurons=[5])
    assert not Shard.objects.filter(job=second.job, kind="survey").exists()
    jobs.cancel(User.objects.system(), first.job)
    work()
    assert states(second) == DONE
    assert {status for status, _ in states(first)} == {Outcome.CANCELLED}


def test_families_are_made_whole(network: Network, photographs: ImageSet) -> None:
    earlier = make_family(network.layers.get(name="conv2d0"), "Edges", units=[3, 1, 2])
    later = make_family(network.layers.get(name="conv2d1"), "Lines", units=[0, 2])
    make_family(network.layers.get(name="conv2d0"), "Nobody yet")
    requested = evidence.request(User.objects.system(), network, families=[later], kinds=["family_weights"])
    work()
    row = Evidence.objects.get(pk__in=requested.evidence)
    assert (row.status, row.reason, row.family, row.other) == (Outcome.DONE, "", later, earlier)
    assert row.parameters == {"members": [0, 2], "source_layer": "conv2d0", "source": [1, 2, 3]}
    assert row.current.artifacts.filter(suffix=".npy", name="kernels").exists()


def halving(monkeypatch, error: Exception, until: int, kind: str = "feature_visualization") -> list[int | None]:
    """A machine on which the kind runs out of memory with more than ``until`` at a time; its batches."""
    real = tasks._kind(kind)
    asked: list[int | None] = []

    @functools.wraps(real)
    def small(*arguments: Any, batch: int | None = None, **more: Any) -> Iterator[Any]:
        asked.append(batch)
        for number, outcome in enumerate(real(*arguments, batch=batch, **more)):
            if number and (batch or 64) > until:
                raise error
            yield outcome

    monkeypatch.setattr(tasks, "_kind", lambda name: small)
    return asked


CPU = "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to allocate"


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA"), MemoryError(), RuntimeError(CPU)])
def test_what_does_not_fit_into_memory_is_made_in_smaller_batches(network: Network, monkeypatch, error) -> None:
    asked = halving(monkeypatch, error, until=8)
    requested = ask(network, layer="conv2d0", steps=2, neurons=range(6))
    work()
    assert asked == [None, 32, 16, 8]
    assert states(requested) == DONE
    made = EvidenceVersion.objects.order_by("evidence__neuron__index")
    environments = [(version.environment.get("batch"), version.environment.get("halved")) for version in made]
    assert environments == [(None, None), (32, 1), (16, 2), (8, 3), (8, 3), (8, 3)]


def test_what_never_fits_fails_with_a_sentence(network: Network, monkeypatch) -> None:
    asked = halving(monkeypatch, torch.OutOfMemoryError("CUDA"), until=0)
    requested = ask(network, layer="conv2d0", steps=2, neurons=range(9))
    work()
    assert asked[-1] == 1
    done, failed = Outcome.DONE, Outcome.FAILED
    counts = Counter(Evidence.objects.filter(pk__in=requested.evidence).values_list("status", flat=True))
    assert counts == {done: 7, failed: 2}
    assert "ran out of memory, even for one thing at a time" in Evidence.objects.filter(status=failed)[0].reason


def test_torch_says_it_so_when_memory_runs_out() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60, dtype=torch.uint8)
    assert tasks.out_of_memory(caught.value)
    assert not tasks.out_of_memory(RuntimeError("shape '[2]' is invalid"))


@pytest.mark.parametrize(("times", "number", "ends"), [(1, errno.EIO, Outcome.DONE), (2, errno.EIO, Outcome.FAILED)])
def test_a_passing_fault_is_tried_once_more(network: Network, monkeypatch, times, number, ends) -> None:
    real, faults = storage.put, iter([OSError(number, "Input/output error")] * times)

    def put(data: bytes) -> str:
        fault = next(faults, None)
        if fault is not None:
            raise fault
        return real(data)

    monkeypatch.setattr(storage, "put", put)
    monkeypatch.setattr(tasks.time, "sleep", lambda seconds: None)
    requested = ask(network, layer="conv2d0", kind="kernels", neurons=[0, 1])
    work()
    assert {status for status, _ in states(requested)} == {ends}
    if ends == Outcome.FAILED:
        assert not EvidenceVersion.objects.exists()


def test_a_full_disk_stores_nothing_by_halves(network: Network, many: ImageSet, monkeypatch) -> None:
    def full(data: bytes) -> str:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(storage, "put", full)
        requested = surveyed(network, many)
        work()
    assert {status for status, _ in states(requested)} == {Outcome.FAILED}
    assert all(reason.startswith("The disk that holds the artifacts is full") for _, reason in states(requested))
    assert not EvidenceVersion.objects.exists() | SurveyPart.objects.exists() | Photograph.objects.exists()
    jobs.retry(User.objects.system(), requested.job)
    work()
    assert states(requested) == DONE


def again(version: EvidenceVersion) -> Comparison:
    comparison = evidence.reproduce(make_user(role=Role.REVIEWER), version)
    work()
    comparison.refresh_from_db()
    return comparison


@pytest.mark.slow
def test_a_recipe_run_again_gives_the_same(network: Network, many: ImageSet) -> None:
    """Every kind there is, small."""
    later = make_family(network.layers.get(name="conv2d2"), "Lines", units=[0, 2])
    make_family(network.layers.get(name="conv2d1"), "Edges", units=[0, 1])
    system, layer = User.objects.system(), network.layers.get(name="conv2d2")
    there = {kind for kind in recipes.COMPUTED if find_spec(f"workers.evidence.{kind}")}

    def make(kinds: set[str], **what: Any) -> None:
        changes = {kind: {"steps": 4} for kind in kinds if "steps" in recipes.KINDS[kind].limits}
        evidence.request(
            system, network, **{"kinds": kinds, "image_set": many, "neurons": [0], "parameters": changes, **what}
        )
        work()

    def of(subject: str) -> set[str]:
        return {kind for kind in there if recipes.KINDS[kind].subject == subject}

    make({"kernels"}, layers=[network.layers.get(name="conv2d0")], neurons=[3])
    make(of("neuron") - {"kernels", "attribution"}, layers=[layer])
    make(of("family"), families=[later])
    make(of("layer"), layers=[layer], neurons=None)
    measured = {"layer": "conv2d2", "channels": [0, 2], "named": ""}
    plan = {
        "do": [{"do": "zero", "from": {"layer": "conv2d1", "channels": [0, 1], "named": ""}, "to": measured}],
        "show": {"kind": "sweep", "stimulus": "line", "step": 15, "strokes": [2, 3, 4]},
        "measure": {"what": "response", "of": measured},
        "expect": {"change": "falls", "margin": 0, "relative": False},
        "controls": 20,
        "seed": 0,
    }
    stated = claims.state(make_user(), later, kind="causality", sentence="They are what lines are made of.", plan=plan)
    claims.run(make_user(role=Role.REVIEWER), stated)
    work()
    best = Artifact.objects.get(version__evidence__kind="dataset_examples", name="data")
    example = json.loads(storage.read(best.sha256))["top"][0]
    place = {name: example[name] for name in ("image", "row", "column")}
    make({"attribution"}, layers=[layer], parameters={"attribution": place})
    failed = Evidence.objects.filter(status=Outcome.FAILED)
    assert set(Evidence.objects.filter(status=Outcome.DONE).values_list("kind", flat=True)) == there, list(
        failed.values_list("kind", "parameters", "reason")
    )
    versions = list(EvidenceVersion.objects.all())
    for version in versions:
        found = again(version)
        assert (found.status, found.reason) == (Outcome.DONE, ""), str(version)
        assert (found.identical, found.metrics, set(found.pixels.values()) <= {0}) == (True, {}, True), str(version)
        assert set(found.files) == {file.name for file in version.artifacts.filter(suffix=".webp")}
        assert found.environment["torch"] == torch.__version__
    assert EvidenceVersion.objects.count() == len(versions)


def test_what_differs_is_told(network: Network, monkeypatch) -> None:
    ask(network, layer="conv2d0", kind="kernels", neurons=[0])
    work()
    real = tasks._kind("kernels")

    def other(*arguments: Any, **more: Any) -> Iterator[Finding]:
        for found in real(*arguments, **more):
            data = found.data | {"scale": found.data["scale"] + 0.5, "more": "text"}
            yield replace(found, data=data, pictures={"kernel": 255 - found.pictures["kernel"]})

    monkeypatch.setattr(tasks, "_kind", lambda name: other)
    found = again(EvidenceVersion.objects.get())
    assert (found.status, found.identical) == (Outcome.DONE, False)
    assert found.metrics == {"scale": pytest.approx(0.5), "more": None}
    assert 0 < found.pixels["kernel"] <= 255
    monkeypatch.setattr(
        tasks, "_kind", lambda name: lambda network, targets, **more: iter([Failure("", 0, "It died.")])
    )
    found = again(EvidenceVersion.objects.get())
    assert (found.status, found.reason) == (Outcome.FAILED, "This time it failed: It died.")
    assert found.shard.job.failed == 1


@pytest.mark.slow
@pytest.mark.alone
def test_a_worker_killed_in_the_middle_of_a_pass(workers: Workers, network: Network, many: ImageSet) -> None:
    first = workers.start()
    requested = surveyed(network, many, layers=("conv2d1", "conv2d2"), kinds=SURVEYED[:2])
    survey = Shard.objects.filter(kind="survey")
    wait(lambda: survey.filter(status=Outcome.RUNNING).exists(), workers)
    first.send_signal(signal.SIGKILL)
    first.wait()
    assert survey.get().status == Outcome.RUNNING, "the worker was to be killed in the middle of the pass"
    assert not SurveyPart.objects.exists()
    workers.start()
    workers.start()
    wait(lambda: not network.jobs.filter(status__in=jobs.LIVE).exists(), workers)
    assert_complete(requested)
    assert survey.get().attempts == 2
    assert SurveyPart.objects.count() == 2


@pytest.mark.slow
@pytest.mark.alone
@pytest.mark.skipif(torch.cuda.is_available(), reason="shows that a worker tried to use a GPU by its having none")
def test_what_is_heavy_is_rung_for_and_taken_where_a_gpu_is_said_to_be(
    workers: Workers, network: Network, settings
) -> None:
    settings.GPU_WORKERS = True
    heavy, light = ask(network, layer="conv2d2", steps=2), ask(network, layer="conv2d2", kind="weights")
    assert (dispatch.waiting("evidence-gpu"), dispatch.waiting("evidence")) == (1, 2)
    workers.start(GPU_WORKERS="1")
    wait(lambda: states(light) == DONE, workers)
    assert states(heavy) == {(Outcome.QUEUED, "")}
    assert dispatch.waiting("evidence-gpu") == 1
    workers.start(GPU_WORKERS="1", WORKER_DEVICE="cuda")
    wait(lambda: not network.jobs.filter(status__in=jobs.LIVE).exists(), workers)
    ((status, reason),) = states(heavy)
    assert status == Outcome.FAILED
    assert "NVIDIA" in reason or "CUDA" in reason


@pytest.mark.slow
@pytest.mark.alone
def test_a_redis_emptied_between_pass_and_evidence(workers: Workers, network: Network, many: ImageSet) -> None:
    requested = surveyed(network, many, layers=("conv2d1",), kinds=SURVEYED[:2])
    compute()
    assert SurveyPart.objects.exists()
    embedded.stop_redis(workers.home)
    embedded.start_redis(workers.home)
    assert dispatch.waiting("evidence") == 0
    workers.start()
    wait(lambda: not network.jobs.filter(status__in=jobs.LIVE).exists(), workers)
    assert_complete(requested)


def test_what_was_asked_for_before_an_upgrade_is_not_made_by_the_new_recipe(network: Network) -> None:
    requested = ask(network, layer="conv2d2", steps=2, neurons=[0])
    Evidence.objects.filter(pk__in=requested.evidence).update(recipe_version=1)
    work()
    row = Evidence.objects.get(pk__in=requested.evidence)
    assert (row.status, row.current) == (Outcome.FAILED, None)
    assert row.reason == "The recipe of feature_visualization has changed since. Ask for it anew."


def test_nine_digits_give_back_every_float32() -> None:
    values = torch.randn(10_000, generator=torch.Generator().manual_seed(0)) * torch.logspace(-30, 30, 10_000)
    stored = json.loads(json.dumps(_short({"kernel": [values.tolist()], "neuron": "a:1", "linearised": False})))
    assert torch.equal(torch.tensor(stored["kernel"][0]), values)
    assert (stored["neuron"], stored["linearised"]) == ("a:1", False)


def test_a_version_says_that_it_was_computed_in_full_precision():
    assert torch.backends.cuda.matmul.allow_tf32 is False
    assert torch.backends.cudnn.conv.fp32_precision != "tf32"
    environment = _environment()
    assert environment["tf32"] is False
    assert environment["threads"] == torch.get_num_threads()


def test_weights_between_layers_from_the_worker_to_the_explorer(client: Client, network: Network) -> None:
    source, target = network.layers.get(name="mixed3a"), network.layers.get(name="mixed3b")
    row = evidence.request_of_layer(User.objects.system(), target, source)
    compute()
    row.refresh_from_db()
    assert (row.status, row.reason) == (Outcome.DONE, "")
    assert row.current is not None
    files = {file.name: np.load(storage.path(file.sha256)) for file in row.current.artifacts.filter(suffix=".npy")}
    assert {name: array.dtype for name, array in files.items()} == {"strengths": np.float32, "kernels": np.int8}
    weight = zoo.load("curve_network").stages["mixed3b"][1].weight.numpy()
    near = Weights(row.current, source, target).kernels([(3, 5), (41, 0)])
    assert np.allclose(near, weight[[3, 41], [5, 0]], atol=np.abs(weight).max() / 254)
    page = client.get("/networks/curve_network/weights/?neuron=3b:3").content.decode()
    assert "data-explorer=" in page
    strongest = np.abs(weight[3]).reshape(len(weight[3]), -1).max(axis=1).argmax()
    inputs = page.split("Strongest inputs, from mixed3a")[1]
    assert inputs.split('class="addr">')[1].split("<")[0] == f"mixed3a:{strongest}"
    again = evidence.reproduce(User.objects.system(), row.current)
    compute()
    again.refresh_from_db()
    assert again.identical
