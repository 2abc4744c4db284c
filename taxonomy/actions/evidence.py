"""Asking for evidence, and recording what the workers found."""

import json
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.models import F, Max, QuerySet

from taxonomy import dispatch, events, recipes, storage
from taxonomy.models import (
    Artifact,
    Evidence,
    EvidenceVersion,
    ImageSet,
    Job,
    Layer,
    Network,
    Neuron,
    Outcome,
    Shard,
    Sprite,
    User,
)
from taxonomy.permissions import can_request_evidence, require
from taxonomy.rendering.sprites import Box, compose


@dataclass(frozen=True)
class Requested:
    """``job`` is None when everything asked for is there already, or under way for somebody else."""

    job: Job | None
    evidence: list[int]
    done_before: int


@dataclass(frozen=True)
class Made:
    """A file that a worker stored: its name among the version's artifacts, its digest, suffix and size in bytes."""

    name: str
    sha256: str
    suffix: str
    size: int


class LeaseLost(Exception):
    """The shard was cancelled or given to another worker: whatever is still computed is not wanted."""


@transaction.atomic
def request(
    user: User,
    network: Network,
    *,
    layers: Sequence[Layer] | None = None,
    neurons: Iterable[int] | None = None,
    kinds: Iterable[str] = (),
    image_set: ImageSet | None = None,
    parameters: Mapping[str, Mapping[str, Any]] | None = None,
) -> Requested:
    """Ask for evidence of neurons, as one job. What is there or under way is not asked for twice.

    Args:
        layers: all when None or empty.
        neurons: indices within each layer; all when None.
        kinds: all that apply when empty; ``dataset_examples`` is then left out if there is no image set.
        parameters: for a kind, what differs from its recipe, e.g. ``{"feature_visualization": {"steps": 128}}``.

    Raises:
        Refused: when the user may not, or the network has no weights.
        RecipeError: for an unknown kind or parameter, an index that no layer has, or images that are missing.
    """
    require(can_request_evidence(user, network))
    # One request at a time for a network: two that make the same rows would wait for each other for ever.
    Network.objects.select_for_update(no_key=True).get(pk=network.pk)
    kinds = list(kinds)
    every_layer = list(network.layers.all())
    chosen = sorted(set(layers), key=lambda layer: layer.order) if layers else every_layer
    indices = None if neurons is None else sorted(set(neurons))
    if indices is not None:
        most = max(layer.channels for layer in chosen)
        wrong = [index for index in indices if not 0 <= index < most]
        if wrong or not indices:
            names = ", ".join(f"{layer.name} has {layer.channels}" for layer in chosen)
            which = f"No neuron {wrong[0]} there" if wrong else "Name at least one neuron"
            raise recipes.RecipeError(f"{which}: {names}, counted from 0.")
    members = _members(chosen, indices)
    groups: list[tuple[recipes.Kind, dict[str, Any], list[Neuron]]] = []
    for name in recipes.check_kinds(kinds):
        kind = recipes.KINDS[name]
        if kind.needs_images and image_set is None:
            if name in kinds:
                names = (
                    ", ".join(ImageSet.objects.values_list("name", flat=True)) or "none yet (add_image_set adds one)"
                )
                raise recipes.RecipeError(f"{name} needs an image set. Name one: {names}.")
            continue
        changes = dict((parameters or {}).get(name, {}))
        kind.check(changes)
        groups += _groups(kind, members, len(every_layer), changes)
    if not groups:
        raise recipes.RecipeError("Nothing to make: none of these kinds applies to these layers.")

    keys = [_make_rows(network, kind, values, together, image_set) for kind, values, together in groups]
    there = {row.key: row for row in locked(Evidence.objects.filter(key__in=[key for own in keys for key in own]))}
    wanted: list[tuple[recipes.Kind, dict[str, Any], list[Evidence]]] = []
    evidence_ids: list[int] = []
    done_before = 0
    for (kind, values, _), own in zip(groups, keys, strict=True):
        rows = [there[key] for key in own]
        evidence_ids += [row.pk for row in rows]
        done_before += sum(row.status == Outcome.DONE for row in rows)
        idle = (Outcome.FAILED, Outcome.CANCELLED)
        missing = [row for row in rows if row.status in idle or (row.shard_id is None and row.status != Outcome.DONE)]
        size = kind.batch or len(missing) or 1
        wanted += [(kind, values, missing[start : start + size]) for start in range(0, len(missing), size)]
    if not wanted:
        return Requested(None, evidence_ids, done_before)

    titles = ", ".join(dict.fromkeys(kind.title.lower() for kind, *_ in wanted))
    where = network.name if not layers else ", ".join(str(layer) for layer in chosen)
    job = Job.objects.create(
        title=f"{titles} of {where}"[:200],
        network=network,
        requested_by=user,
        total=sum(len(rows) for *_, rows in wanted),
    )
    for order, (kind, values, rows) in enumerate(wanted):
        shard = Shard.objects.create(
            job=job,
            order=order,
            kind=kind.name,
            parameters=values,
            image_set=image_set if kind.needs_images else None,
        )
        Evidence.objects.filter(pk__in=[row.pk for row in rows]).update(shard=shard, status=Outcome.QUEUED, reason="")
        dispatch.enqueue("evidence.compute", shard.pk)
    events.record(user, "job.requested", network=network, job=job, data={"total": job.total})
    return Requested(job, evidence_ids, done_before)


def _members(layers: list[Layer], indices: list[int] | None) -> dict[Layer, list[Neuron]]:
    """The layers' neurons in order, or those of them that have these indices."""
    by_pk = {layer.pk: layer for layer in layers}
    members: dict[Layer, list[Neuron]] = {layer: [] for layer in layers}
    found = Neuron.objects.filter(layer__in=layers).order_by("index")
    for neuron in found if indices is None else found.filter(index__in=indices):
        neuron.layer = by_pk[neuron.layer_id]
        members[neuron.layer].append(neuron)
    return members


def _groups(
    kind: recipes.Kind, members: Mapping[Layer, list[Neuron]], depth: int, changes: dict[str, Any]
) -> list[tuple[recipes.Kind, dict[str, Any], list[Neuron]]]:
    """For each parameter set of the kind, the neurons that one worker should take together."""
    found: dict[str, tuple[dict[str, Any], list[list[Neuron]]]] = {}
    for layer, neurons in members.items():
        for variant in kind.variants_for(layer.order, depth):
            values = variant | changes
            found.setdefault(repr(sorted(values.items())), (values, []))[1].append(neurons)
    if kind.batch is None:  # one pass over the images serves every layer
        return [(kind, values, [neuron for part in parts for neuron in part]) for values, parts in found.values()]
    return [(kind, values, part) for values, parts in found.values() for part in parts]


def locked(evidence: QuerySet[Evidence]) -> list[Evidence]:
    """These rows, locked in the order in which everything locks them: a job, its shards, then evidence by id.

    An UPDATE of many rows locks them in whatever order it meets them, and two such may each hold what the other wants.
    """
    return list(evidence.order_by("pk").select_for_update(of=["self"], no_key=True))


def _make_rows(
    network: Network,
    kind: recipes.Kind,
    parameters: dict[str, Any],
    neurons: list[Neuron],
    image_set: ImageSet | None,
) -> list[str]:
    """Make the evidence rows of these neurons by this recipe where they are missing; returns the keys of all."""
    used = image_set if kind.needs_images else None
    rows = [_row(network, kind, parameters, neuron, used) for neuron in neurons]
    Evidence.objects.bulk_create(rows, ignore_conflicts=True, batch_size=2000)
    return [row.key for row in rows]


def _row(
    network: Network, kind: recipes.Kind, parameters: dict[str, Any], neuron: Neuron, image_set: ImageSet | None = None
) -> Evidence:
    """What this recipe makes of the neuron, not saved yet."""
    return Evidence(
        key=recipes.key(
            kind.name,
            version=kind.version,
            weights_digest=network.weights_digest,
            image_set_digest=image_set.digest if image_set else "",
            subject=str(neuron),
            parameters=parameters,
        ),
        kind=kind.name,
        recipe_version=kind.version,
        network=network,
        layer=neuron.layer,
        neuron=neuron,
        image_set=image_set,
        parameters=parameters,
    )


@transaction.atomic
def complete(
    evidence_id: int, token: uuid.UUID, made: Sequence[Made], *, environment: Mapping[str, Any], wall_seconds: float
) -> None:
    """Record a finding as the evidence's next version. Doing it twice under one lease records it once.

    Raises:
        LeaseLost: when ``token`` no longer holds the shard.
    """
    job, evidence = _held(evidence_id, token)
    if evidence.status == Outcome.DONE:
        return
    version = _add_version(evidence, made, environment, wall_seconds)
    evidence.current, evidence.status, evidence.reason = version, Outcome.DONE, ""
    evidence.save(update_fields=["current", "status", "reason"])
    Job.objects.filter(pk=job.pk).update(done=F("done") + 1)


@transaction.atomic
def fail(evidence_id: int, token: uuid.UUID, reason: str) -> None:
    """Record that this evidence could not be made, and why.

    Raises:
        LeaseLost: when ``token`` no longer holds the shard.
    """
    job, evidence = _held(evidence_id, token)
    if evidence.status in (Outcome.DONE, Outcome.FAILED):
        return
    evidence.status, evidence.reason = Outcome.FAILED, reason[:2000]
    evidence.save(update_fields=["status", "reason"])
    Job.objects.filter(pk=job.pk).update(failed=F("failed") + 1)


def hold(shard_id: int, token: uuid.UUID) -> tuple[Job, Shard]:
    """A job and the shard of it that ``token`` holds, locked in the order in which everything here locks.

    Raises:
        LeaseLost: when it no longer does.
    """
    job_id = Shard.objects.values_list("job_id", flat=True).get(pk=shard_id)
    job = Job.objects.select_for_update(no_key=True).get(pk=job_id)
    held = Shard.objects.select_for_update(no_key=True).filter(pk=shard_id, lease_token=token)
    shard = held.filter(status=Outcome.RUNNING).first()
    if shard is None:
        raise LeaseLost(f"The lease on shard {shard_id} is gone.")
    return job, shard


def _held(evidence_id: int, token: uuid.UUID) -> tuple[Job, Evidence]:
    """The evidence that ``token`` is to make, locked after its shard."""
    job, shard = hold(Evidence.objects.values_list("shard_id", flat=True).get(pk=evidence_id), token)
    held = locked(shard.evidence.filter(pk=evidence_id))
    if not held:
        raise LeaseLost(f"Evidence {evidence_id} went to another shard.")
    return job, held[0]


def _add_version(
    evidence: Evidence, made: Sequence[Made], environment: Mapping[str, Any], wall_seconds: float
) -> EvidenceVersion:
    last = evidence.versions.aggregate(last=Max("number"))["last"] or 0
    version = EvidenceVersion.objects.create(
        evidence=evidence, number=last + 1, environment=dict(environment), wall_seconds=wall_seconds
    )
    Artifact.objects.bulk_create(
        Artifact(version=version, name=file.name, sha256=file.sha256, suffix=file.suffix, size=file.size)
        for file in made
    )
    return version


@transaction.atomic
def record_imported_pictures(
    user: User, network: Network, pictures: Mapping[Neuron, tuple[bytes, str]], *, source: str
) -> int:
    """Keep pictures that came with a taxonomy as evidence of kind ``imported_picture``; returns how many are new.

    Args:
        pictures: for a neuron, the file's bytes and suffix (".png").
    """
    kind = recipes.KINDS["imported_picture"]
    wanted: dict[str, tuple[Evidence, str, int]] = {}
    for neuron, (data, suffix) in pictures.items():
        evidence = _row(network, kind, {"source": source, "sha256": storage.put(data)}, neuron)
        wanted[evidence.key] = evidence, suffix, len(data)
    there = set(Evidence.objects.filter(key__in=wanted).values_list("key", flat=True))
    new = {key: found for key, found in wanted.items() if key not in there}
    # In bulk: a network brings thousands of pictures, and a query for each would take minutes.
    rows = Evidence.objects.bulk_create(evidence for evidence, *_ in new.values())
    versions = EvidenceVersion.objects.bulk_create(
        EvidenceVersion(evidence=evidence, number=1, environment={"source": source}) for evidence in rows
    )
    Artifact.objects.bulk_create(
        Artifact(version=version, name="image", sha256=evidence.parameters["sha256"], suffix=suffix, size=size)
        for version, (evidence, suffix, size) in zip(versions, new.values(), strict=True)
    )
    for version, evidence in zip(versions, rows, strict=True):
        evidence.current, evidence.status = version, Outcome.DONE
    Evidence.objects.bulk_update(rows, ["current", "status"], batch_size=1000)
    for layer_id in {neuron.layer_id for neuron in pictures}:
        dispatch.enqueue("site.sprite", layer_id)
    return len(new)


# Which picture stands for a neuron: the first of these that it has (kind, artifact's name).
FACES = (
    ("kernels", "kernel"),
    ("feature_visualization", "image"),
    ("imported_picture", "image"),
    ("dataset_examples", "top_1"),
)


def build_sprite(layer: Layer) -> Sprite | None:
    """Compose the layer's faces into one picture, if they changed since the last time."""
    faces: dict[int, tuple[str, Box | None]] = {}
    for kind, name in FACES:
        current = Artifact.objects.filter(
            version__evidence__layer=layer, version__evidence__kind=kind, version=F("version__evidence__current")
        ).order_by("version__evidence__neuron__index", "version_id")
        places = current.filter(name=name).values_list("version__evidence__neuron__index", "sha256", "version_id")
        missing = [place for place in places if place[0] not in faces]
        boxes = _boxes(current, [version for *_, version in missing]) if kind == "dataset_examples" else {}
        for index, sha256, version in missing:
            faces.setdefault(index, (sha256, boxes.get(version)))
    if not faces:
        return None
    digest = recipes.digest(sorted(faces.items()))
    known = Sprite.objects.filter(layer=layer).first()
    if known is not None and known.digest == digest:
        return known
    sprite = compose(layer.channels, faces)
    values = {
        "sha256": storage.put(sprite.data),
        "cell": sprite.cell,
        "columns": sprite.columns,
        "shown": sorted(sprite.shown),
        "digest": digest,
    }
    return Sprite.objects.update_or_create(layer=layer, defaults=values)[0]


def _boxes(artifacts: QuerySet[Artifact], versions: Sequence[int]) -> dict[int, Box]:
    """For versions of dataset examples, what the neuron sees of its best picture."""
    numbers = artifacts.filter(name="data", version__in=versions).values_list("version_id", "sha256")
    boxes: dict[int, Box] = {}
    for version, sha256 in numbers:
        try:
            boxes[version] = tuple(json.loads(storage.read(sha256))[0]["box"])
        except (OSError, ValueError):  # gone from the store, or spoilt there: the whole picture is shown
            continue
    return boxes
