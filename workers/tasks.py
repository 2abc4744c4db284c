"""The seam: ids in, evidence recorded. The only module here that imports the site.

Loaded by ``celery -A taxonomy.celery worker -I workers.tasks -Q evidence --pool solo``.
"""

import errno
import functools
import hashlib
import importlib
import io
import json
import logging
import os
import platform
import socket
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
import PIL
import torch
import torchvision
from celery import shared_task
from django.conf import settings
from django.db import InterfaceError, OperationalError

from taxonomy import storage
from taxonomy.actions import evidence as actions
from taxonomy.actions import jobs
from taxonomy.interchange import pictures
from taxonomy.models import Evidence, ImageSet, Network, Outcome
from workers import figures, zoo
from workers.evidence import Failure, Finding
from workers.scan import PictureError, Pictures

logger = logging.getLogger(__name__)

DEVICE = os.environ.get("WORKER_DEVICE") or ("cuda" if torch.cuda.is_available() else "cpu")
if os.environ.get("WORKER_THREADS"):
    torch.set_num_threads(int(os.environ["WORKER_THREADS"]))
# A float32 is a float32: left to itself, cuDNN convolves with 10 bits of mantissa (TF32), by a method chosen in a race.
torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
torch.backends.cudnn.deterministic = True


class CannotCompute(Exception):
    """The whole shard fails for one reason; the message is the sentence shown on the jobs page."""


@shared_task(name="evidence.compute")
def compute(shard_id: int) -> None:
    """Do what is left of a shard, under a lease; return at once when it is done, cancelled or another worker's."""
    claim = jobs.claim(shard_id, f"{socket.gethostname()}:{os.getpid()}")
    if claim is None:
        return
    shard, token = claim.shard, claim.token
    try:
        _work(claim, _heartbeat(shard.pk, token))
        jobs.finish(shard.pk, token)
    except actions.LeaseLost as lost:
        logger.info("%s Its work stops here.", lost)
    except (CannotCompute, zoo.ZooError, PictureError) as error:
        _give_up(shard.pk, token, str(error))
    except (OperationalError, InterfaceError) as error:
        # No fault of the shard's: its lease runs out, and the reaper rings again.
        logger.warning("Shard %s is left as it is, the database does not answer: %s", shard.pk, error)
    except torch.OutOfMemoryError:
        _give_up(shard.pk, token, f"The {DEVICE} device ran out of memory. Retry with fewer other jobs running.")
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
    except actions.LeaseLost as lost:
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
    shard, token = claim.shard, claim.token
    network = _load(shard.job.network)
    by_target = {(target.layer.name, target.neuron.index): target for target in claim.targets}
    environment = _environment() | {"made_together": len(by_target)}
    tick()
    kind = getattr(importlib.import_module(f"workers.evidence.{shard.kind}"), shard.kind)
    parameters = dict(shard.parameters)
    if shard.image_set is not None:
        parameters["images"] = _pictures(shard.image_set)
    began = time.monotonic()
    for outcome in kind(network, list(by_target), device=DEVICE, tick=tick, **parameters):
        target = by_target[outcome.layer, outcome.channel]
        if isinstance(outcome, Failure):
            actions.fail(target.pk, token, outcome.reason)
        else:
            made = _store(outcome)
            # Neurons are computed together, so the time is that of the batch up to this result, never a neuron's own.
            actions.complete(target.pk, token, made, environment=environment, wall_seconds=time.monotonic() - began)
        tick()
    left = Evidence.objects.filter(shard=shard, status=Outcome.RUNNING).count()
    if left:
        raise CannotCompute(f"The worker gave no result for {left} neurons. This is a defect; please report it.")


def _store(finding: Finding) -> list[actions.Made]:
    """Put the numbers (``data``) and each picture into storage."""
    numbers = json.dumps(_short(finding.data), separators=(",", ":"), allow_nan=False).encode()
    made = [actions.Made("data", storage.put(numbers), ".json", len(numbers))]
    for name, picture in sorted(finding.pictures.items()):
        data = figures.encode(picture)
        made.append(actions.Made(name, storage.put(data), ".webp", len(data)))
    for name, photograph in sorted(finding.photographs.items()):
        sha256, size = _put_photograph(photograph.shape, photograph.tobytes())
        made.append(actions.Made(name, sha256, ".webp", size))
    return made


def _short(data: Any) -> Any:
    """The data with nine digits a number: as many as tell every float32 from its neighbours, and half the bytes."""
    if isinstance(data, float):
        return float(f"{data:.9g}")
    if isinstance(data, list):
        return [_short(item) for item in data]
    if isinstance(data, dict):
        return {key: _short(value) for key, value in data.items()}
    return data


# A thousand pictures are the best examples of a thousand neurons nine times over: each is encoded and stored once.
@functools.lru_cache(maxsize=1024)
def _put_photograph(shape: tuple[int, ...], pixels: bytes) -> tuple[str, int]:
    data = figures.encode(numpy.frombuffer(pixels, dtype=numpy.uint8).reshape(shape), lossless=False)
    return storage.put(data), len(data)


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
    registered = list(image_set.images.order_by("index").values_list("name", "sha256"))

    def opened(index: int) -> io.BytesIO:
        """The picture's bytes, if they are still those that the image set's digest covers."""
        name, sha256 = registered[index]
        mend = f"Bring it back as it was in {image_set.name} and retry, or register the folder under another name."
        try:
            data = pictures.read_picture(folder / name)
        except pictures.FolderError as error:
            raise PictureError(name, f"{error}. {mend}") from error
        if hashlib.sha256(data).hexdigest() != sha256:
            raise PictureError(name, f"it changed since it was registered. {mend}")
        return io.BytesIO(data)

    return Pictures([name for name, _ in registered], opened)


def _environment() -> dict[str, Any]:
    """What beside the recipe decides the bytes."""
    gpu = DEVICE.startswith("cuda")
    return {
        "device": DEVICE,
        "processor": torch.cuda.get_device_name(DEVICE) if gpu else _processor(),
        **({"cuda": torch.version.cuda, "cudnn": torch.backends.cudnn.version()} if gpu else {}),
        "threads": torch.get_num_threads(),
        "dtype": "float32",
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
