"""The seam: ids in, evidence recorded. The only module here that imports the site.

Loaded by ``celery -A taxonomy.celery worker -I workers.tasks -Q evidence --pool solo``.
"""

import errno
import functools
import gc
import hashlib
import importlib
import inspect
import io
import json
import logging
import os
import platform
import socket
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy
import PIL
import torch
import torchvision
from celery import shared_task
from celery.signals import celeryd_after_setup
from django.conf import settings
from django.db import InterfaceError, OperationalError

from taxonomy import recipes, storage
from taxonomy.actions import evidence as actions
from taxonomy.actions import jobs, shards, surveys
from taxonomy.actions.shards import LeaseLost
from taxonomy.interchange import pictures
from taxonomy.models import Comparison, Evidence, ImageSet, Network, Shard
from workers import figures, scan, zoo
from workers.compare import differences
from workers.evidence import Channel, Failure, Finding
from workers.network import Preprocessing
from workers.scan import PictureError, Pictures

logger = logging.getLogger(__name__)

DEVICE = os.environ.get("WORKER_DEVICE") or ("cuda" if torch.cuda.is_available() else "cpu")
ON_GPU = DEVICE.startswith("cuda")
if os.environ.get("WORKER_THREADS"):
    torch.set_num_threads(int(os.environ["WORKER_THREADS"]))
# A float32 is a float32: left to itself, cuDNN convolves with 10 bits of mantissa (TF32), by a method chosen in a race.
torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
torch.backends.cudnn.deterministic = True


class CannotCompute(Exception):
    """The whole shard fails for one reason; the message is the sentence shown on the jobs page."""


@celeryd_after_setup.connect
def _listen(instance: Any, **_: Any) -> None:
    """A worker with a GPU hears what is rung for one, and the other bells too."""
    if ON_GPU:
        instance.app.amqp.queues.select_add(shards.GPU_QUEUE)


@shared_task(name="evidence.compute")
def compute() -> None:
    """Claim the most urgent shard, do what is left of it under a lease, and return; at once when there is none."""
    claim = jobs.claim(f"{socket.gethostname()}:{os.getpid()}", heavy=ON_GPU or not settings.GPU_WORKERS)
    if claim is None:
        return
    shard, token = claim.shard, claim.token
    try:
        _work(claim, _heartbeat(shard.pk, token))
        jobs.finish(shard.pk, token)
    except LeaseLost as lost:
        logger.info("%s Its work stops here.", lost)
    except (CannotCompute, zoo.ZooError, PictureError) as error:
        _give_up(shard.pk, token, str(error))
    except (OperationalError, InterfaceError) as error:
        # No fault of the shard's: its lease runs out, and the reaper rings again.
        logger.warning("Shard %s is left as it is, the database does not answer: %s", shard.pk, error)
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        what = (
            "The disk that holds the artifacts is full. Make room, then retry." if full else f"A file failed: {error}."
        )
        _give_up(shard.pk, token, what)
    except Exception as error:
        logger.exception("Shard %s failed.", shard.pk)
        _give_up(shard.pk, token, f"An unexpected error in the worker ({type(error).__name__}: {error}). See its log.")


def _give_up(shard_id: int, token: uuid.UUID, reason: str) -> None:
    try:
        jobs.give_up(shard_id, token, reason)
    except LeaseLost as lost:
        logger.info("%s Its failure is not recorded: %s", lost, reason)


def _heartbeat(shard_id: int, token: uuid.UUID) -> Callable[[], None]:
    """A tick that renews the lease a few times while it lasts, and raises LeaseLost once it is gone."""
    last = time.monotonic()

    def tick() -> None:
        nonlocal last
        if time.monotonic() - last > min(5.0, settings.LEASE_SECONDS / 6):
            jobs.renew(shard_id, token)
            last = time.monotonic()

    return tick


def _work(claim: jobs.Claim, tick: Callable[[], None]) -> None:
    network = _load(claim.shard.job.network)
    tick()
    if claim.shard.kind == surveys.KIND:
        _survey(claim, network, tick)
    elif claim.comparison is not None:
        _reproduce(claim, claim.comparison, network, tick)
    else:
        _make(claim, network, tick)


class Effort:
    """What a shard may ask of the machine: batches that fit into its memory, and one more try after a passing fault.

    `batch` is how many things are worked on at a time, None as long as the kind decides; `halved` how often it had to
    be halved.
    """

    def __init__(self, function: Callable[..., Any], batch: int | None = None, dtype: str = "float32") -> None:
        parameter = inspect.signature(function).parameters.get("batch")
        self.batch = batch or (None if parameter is None else parameter.default)
        self.dtype = dtype
        self.halved = 0
        self._takes_batch = parameter is not None
        self._again = True

    @property
    def arguments(self) -> dict[str, int]:
        return {} if self.batch is None or not self._takes_batch else {"batch": self.batch}

    @property
    def environment(self) -> dict[str, Any]:
        return (
            _environment() | {"dtype": self.dtype} | self.arguments | ({"halved": self.halved} if self.halved else {})
        )

    def through(self, work: Callable[[], None]) -> None:
        """Work, and again what is left of it, until it is through. ``work`` reads ``arguments`` each time."""
        while True:
            try:
                return work()
            except (MemoryError, RuntimeError, OSError) as error:
                self._mend(error)
            # Only here, where the error and with it the frames that hold tensors are gone, memory is free again.
            gc.collect()
            if ON_GPU:
                torch.cuda.empty_cache()

    def _mend(self, error: Exception) -> None:
        if out_of_memory(error):
            if not self._takes_batch or self.batch == 1:
                at_a_time = "even for one thing at a time" if self._takes_batch else "and this cannot be made in steps"
                raise CannotCompute(
                    f"The {DEVICE} device ran out of memory, {at_a_time}. Retry with fewer other jobs running."
                ) from error
            self.batch = (self.batch or LARGEST_BATCH) // 2
            self.halved += 1
            logger.warning("Out of memory: %s at a time from here on.", self.batch)
        elif isinstance(error, OSError) and error.errno in PASSING and self._again:
            self._again = False
            logger.warning("Once more after a passing fault: %s", error)
            time.sleep(1)
        else:
            raise error


# Where a kind decides for itself how many things it works on at a time, it is no more than about so many.
LARGEST_BATCH = 64

# Faults of a disk or a network file system that may be over a second later.
PASSING = {errno.EIO, errno.EAGAIN, errno.EINTR, errno.EBUSY, errno.ESTALE, errno.ETIMEDOUT, errno.ECONNRESET}


def out_of_memory(error: Exception) -> bool:
    """Whether this error says that memory ran out: torch has no type of its own for it on the CPU."""
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or (
        type(error) is RuntimeError and "DefaultCPUAllocator: can't allocate memory" in str(error)
    )


def _kind(name: str) -> Callable[..., Iterator[Finding | Failure]]:
    kind: Callable[..., Iterator[Finding | Failure]] = getattr(
        importlib.import_module(f"workers.evidence.{name}"), name
    )
    return kind


def _target(evidence: Evidence) -> tuple[str, Channel]:
    if evidence.neuron is not None:
        return evidence.layer.name, evidence.neuron.index
    return evidence.layer.name, tuple(evidence.parameters.get("members", ()))


def _arguments(shard: Shard, evidence: Evidence) -> dict[str, Any]:
    """What the kind is given. What an experiment tests is what was stated, whatever the shard says.

    Raises:
        CannotCompute: when the claim was withdrawn since, or something else was asked for than it states.
    """
    arguments = dict(shard.parameters)
    if shard.kind != "edit":
        return arguments
    stated = evidence.claim
    if stated is None or not all(stated.is_tested_by(asked) for asked in (evidence, shard)):
        raise CannotCompute("This asks for another plan than was stated, so it is not tested. Ask for the claim's run.")
    if stated.withdrawn_at is not None:
        raise CannotCompute("This claim was withdrawn: state it anew to test it.")
    return arguments | {"plan": stated.plan}


def _make(claim: jobs.Claim, network: zoo.Network, tick: Callable[[], None]) -> None:
    shard, token = claim.shard, claim.token
    version = recipes.KINDS[shard.kind].version
    for evidence in claim.targets:
        if evidence.recipe_version != version:  # asked for before an upgrade: what is made now is something else
            actions.fail(evidence.pk, token, f"The recipe of {shard.kind} has changed since. Ask for it anew.")
    left = {_target(evidence): evidence for evidence in claim.targets if evidence.recipe_version == version}
    if not left:
        return
    arguments, together = _arguments(shard, claim.targets[0]), len(left)
    if shard.image_set is not None:
        arguments["images"] = _pictures(shard.image_set)
        photographs = Photographs(shard.image_set, arguments["images"], network.preprocessing)
        if recipes.KINDS[shard.kind].surveyed:
            layers = {evidence.layer.name: evidence.layer for evidence in left.values()}
            arguments["surveys"] = {
                name: _surveyed(*(part.sha256 for part in surveys.parts_of(layer, shard.image_set)))
                for name, layer in layers.items()
            }
    kind = _kind(shard.kind)
    effort = Effort(kind, dtype=shard.parameters.get("dtype", "float32"))
    began = time.monotonic()

    def work() -> None:
        for outcome in kind(network, list(left), device=DEVICE, tick=tick, **arguments, **effort.arguments):
            target = outcome.layer, outcome.channel
            evidence = left[target]
            if isinstance(outcome, Failure):
                actions.fail(evidence.pk, token, outcome.reason)
            else:
                made = [_put(*file) for file in _files(outcome)]
                if outcome.images:
                    photographs.keep(outcome.images)
                actions.complete(
                    evidence.pk,
                    token,
                    made,
                    environment=effort.environment | {"made_together": together},
                    # Made together with others: the time up to this result, never its own.
                    wall_seconds=time.monotonic() - began,
                    vector=dict(outcome.data)["vector"] if shard.kind == "neighbours" else None,
                    ruling=actions.Ruled(**dict(outcome.data)["ruling"]) if shard.kind == "edit" else None,
                )
            del left[target]
            tick()

    effort.through(work)
    if left:
        raise CannotCompute(f"The worker gave no result for {len(left)} of them. This is a defect; please report it.")


def _survey(claim: jobs.Claim, network: zoo.Network, tick: Callable[[], None]) -> None:
    """One part of a pass over the images, for all layers that lack it."""
    shard = claim.shard
    assert shard.image_set is not None
    images = _pictures(shard.image_set)
    effort = Effort(scan.survey)

    def work() -> None:
        asked: dict[str, Any] = shard.parameters | effort.arguments
        found = scan.survey(network, images=images, device=DEVICE, tick=tick, **asked)
        parts = []
        for layer, gathered in found.items():
            data = gathered.to_bytes()
            parts.append(surveys.Part(layer, storage.put(data), len(data)))
            tick()
        surveys.record(shard.pk, claim.token, parts, effort.environment)

    effort.through(work)


@functools.lru_cache(maxsize=2)
def _surveyed(*files: str) -> scan.Survey:
    """A layer's survey, from its parts. Several kinds are made of one, one after the other."""
    return scan.Survey.merge(scan.Survey.from_bytes(storage.read(sha256)) for sha256 in files)


def _reproduce(claim: jobs.Claim, comparison: Comparison, network: zoo.Network, tick: Callable[[], None]) -> None:
    """Run a version's recipe again, from the pictures on: what others gathered of them is not used."""
    shard, version = claim.shard, comparison.version
    arguments = _arguments(shard, claim.targets[0])
    if shard.image_set is not None:
        arguments["images"] = _pictures(shard.image_set)
    kind = _kind(shard.kind)
    effort = Effort(kind, version.environment.get("batch"), dtype=shard.parameters.get("dtype", "float32"))
    target = _target(claim.targets[0])

    def work() -> None:
        asked = arguments | effort.arguments
        outcome = next(iter(kind(network, [target], device=DEVICE, tick=tick, **asked)), None)
        if not isinstance(outcome, Finding):
            reason = outcome.reason if outcome else "the worker gave no result."
            raise CannotCompute(f"This time it failed: {reason}")
        before = {artifact.name: artifact for artifact in version.artifacts.all()}
        after = {name: (suffix, data) for name, suffix, data in _files(outcome)}
        suffixes = {name: artifact.suffix for name, artifact in before.items()}
        suffixes |= {name: suffix for name, (suffix, _) in after.items()}
        first = {name: storage.read(artifact.sha256) for name, artifact in before.items()}
        second = {name: data for name, (_, data) in after.items()}
        pixels, metrics = differences(first, second, suffixes)
        actions.compare(
            comparison.pk,
            claim.token,
            identical=first == second,
            pixels=pixels,
            metrics=metrics,
            made=[_put(name, *file) for name, file in after.items() if file[0] == ".webp"],
            environment=effort.environment,
        )

    effort.through(work)


def _files(finding: Finding) -> Iterator[tuple[str, str, bytes]]:
    """The numbers (``data``), then each picture and array: name, suffix, bytes."""
    yield "data", ".json", json.dumps(_short(finding.data), separators=(",", ":"), allow_nan=False).encode()
    for name, picture in sorted(finding.pictures.items()):
        yield name, ".webp", figures.encode(picture)
    for name, array in sorted(finding.arrays.items()):
        buffer = io.BytesIO()
        exact = numpy.int8 if array.dtype == numpy.int8 else numpy.float32
        numpy.save(buffer, numpy.ascontiguousarray(array, dtype=exact), allow_pickle=False)
        yield name, ".npy", buffer.getvalue()


def _put(name: str, suffix: str, data: bytes) -> actions.Made:
    return actions.Made(name, storage.put(data), suffix, len(data))


class Photographs:
    """The pictures that findings speak of, kept as a network sees them: once each, however many neurons share them."""

    def __init__(self, image_set: ImageSet, images: Pictures, preprocessing: Preprocessing) -> None:
        self.image_set, self.images, self.preprocessing = image_set, images, preprocessing
        self._sizes = {"resize": preprocessing.resize, "size": preprocessing.size}
        self._kept: set[int] = set()

    def keep(self, indices: Iterable[int]) -> None:
        wanted = set(indices) - self._kept
        files = {}
        for image in actions.photographs_lacking(self.image_set, wanted, **self._sizes):
            picture = scan.read(self.images, image.index, self.preprocessing)
            files[image] = storage.put(figures.encode(picture, lossless=False))
        actions.keep_photographs(files, **self._sizes)
        self._kept |= wanted


def _short(data: Any) -> Any:
    """The data with nine digits a number: as many as tell every float32 from its neighbours, and half the bytes."""
    if isinstance(data, float):
        return float(f"{data:.9g}")
    if isinstance(data, list):
        return [_short(item) for item in data]
    if isinstance(data, dict):
        return {key: _short(value) for key, value in data.items()}
    return data


def _load(network: Network) -> zoo.Network:
    own = {"preprocessing": network.preprocessing, "class_names": network.class_names}
    return _load_once(
        network.architecture,
        network.weights_file,
        network.weights_suffix,
        network.weights_digest,
        json.dumps(network.definition | own) if network.definition else "",
    )


@functools.lru_cache(maxsize=2)
def _load_once(architecture: str, file: str, suffix: str, digest: str, own: str) -> zoo.Network:
    weights = _stored(file, "weights file") if file else None
    definition = None
    if own:
        data = json.loads(own)
        definition = zoo.Definition.read(data | {"sha256": data["file"]}, _stored(data["file"], "Python file"))
    return zoo.load(architecture, weights, suffix=suffix, expected=digest, definition=definition).to(DEVICE)


def _stored(sha256: str, what: str) -> Path:
    path = storage.path(sha256)
    if not path.exists():
        raise CannotCompute(f"The {what} {sha256[:12]}… is not in this worker's storage. Check ARTIFACTS.")
    return path


def _pictures(image_set: ImageSet) -> Pictures:
    folder = Path(image_set.folder)
    if not folder.is_dir():
        raise CannotCompute(
            f"The folder of the image set {image_set.name} is not there: {folder}. Bring it back, then retry."
        )
    registered = list(image_set.images.order_by("index").values_list("name", "sha256", "parameters__class"))

    def opened(index: int) -> io.BytesIO:
        """The picture's bytes, if they are still those that the image set's digest covers."""
        name, sha256, _ = registered[index]
        mend = f"Bring it back as it was in {image_set.name} and retry, or register the folder under another name."
        try:
            data = pictures.read_picture(folder / name)
        except pictures.FolderError as error:
            raise PictureError(name, f"{error}. {mend}") from error
        if hashlib.sha256(data).hexdigest() != sha256:
            raise PictureError(name, f"it changed since it was registered. {mend}")
        return io.BytesIO(data)

    labels = [label if isinstance(label, int) else None for _, _, label in registered]
    return Pictures([name for name, _, _ in registered], opened, labels)


def _environment() -> dict[str, Any]:
    """What beside the recipe decides the bytes."""
    return {
        "device": DEVICE,
        "processor": torch.cuda.get_device_name(DEVICE) if ON_GPU else _processor(),
        **({"cuda": torch.version.cuda, "cudnn": torch.backends.cudnn.version()} if ON_GPU else {}),
        "threads": torch.get_num_threads(),
        "tf32": torch.backends.cudnn.allow_tf32,
        "torch": torch.__version__,
        "torchvision": torchvision.__version__,
        "numpy": numpy.__version__,
        "pillow": PIL.__version__,
        "python": platform.python_version(),
    }


@functools.cache
def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())
