"""Passes over an image set, in parts: made once for all the evidence that stands on them, whoever asked first."""

import uuid
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.models import Max, QuerySet

from taxonomy import recipes
from taxonomy.actions import shards
from taxonomy.actions.shards import LIVE, hold, locked_job, locked_network
from taxonomy.models import Evidence, ImageSet, Job, Layer, Network, Outcome, Shard, SurveyPart

KIND = "survey"


@dataclass(frozen=True)
class Part:
    """A file that a worker stored: what a pass gathered of one layer."""

    layer: str
    sha256: str
    size: int


def spans(image_set: ImageSet) -> list[tuple[int, int]]:
    """The image set cut into parts: the first image of each, and the one after its last."""
    starts = range(0, image_set.count, recipes.SURVEY_PART)
    return [(first, min(first + recipes.SURVEY_PART, image_set.count)) for first in starts]


def prepare(job: Job) -> int:
    """Make the passes that the job's evidence waits for and that nobody makes; how many they are.

    Shards whose parts are all there are let go. To be called with the network and the job locked.
    """
    made = 0
    for image_set, layers in _awaited(job.shards.filter(waiting=True, status=Outcome.QUEUED)).items():
        there = set(_parts(image_set, layers).values_list("layer__name", "first"))
        live = Shard.objects.filter(kind=KIND, image_set=image_set, status__in=LIVE, job__network=job.network)
        there |= {
            (name, span["first"]) for span in live.values_list("parameters", flat=True) for name in span["layers"]
        }
        # What this job had tried before is tried again as the same shard.
        own = job.shards.filter(kind=KIND, image_set=image_set).exclude(status__in=[*LIVE, Outcome.DONE])
        again = {shard.parameters["first"]: shard for shard in own.select_for_update(no_key=True)}
        order = job.shards.aggregate(last=Max("order"))["last"]
        for first, last in spans(image_set):
            lacking = [layer.name for layer in layers if (layer.name, first) not in there]
            if not lacking:
                continue
            made += 1
            shard = again.get(first) or Shard(job=job, order=order + made, kind=KIND, image_set=image_set, heavy=True)
            shard.parameters = {"layers": lacking, "first": first, "last": last}
            shard.status, shard.reason, shard.attempts, shard.finished_at = Outcome.QUEUED, "", 0, None
            shard.save()
            shards.ring(heavy=True)
        _let_go(job.network, image_set)
    return made


def _awaited(waiting: QuerySet[Shard]) -> dict[ImageSet, list[Layer]]:
    """Of which layers the waiting shards need passes, for each image set."""
    pairs = Evidence.objects.filter(shard__in=waiting).order_by().values_list("shard__image_set", "layer").distinct()
    layers = Layer.objects.in_bulk({layer for _, layer in pairs})
    found: dict[int, list[Layer]] = defaultdict(list)
    for image_set, layer in pairs:
        found[image_set].append(layers[layer])
    sets = ImageSet.objects.in_bulk(found)
    return {sets[pk]: sorted(found[pk], key=lambda layer: layer.order) for pk in sorted(found)}


def _parts(image_set: ImageSet, layers: Iterable[Layer | int]) -> QuerySet[SurveyPart]:
    return SurveyPart.objects.filter(
        image_set=image_set, layer__in=layers, recipe_version=recipes.SURVEY_VERSION
    ).order_by("first")


def parts_of(layer: Layer, image_set: ImageSet) -> list[SurveyPart]:
    """What there is of a layer's pass, in order."""
    return list(_parts(image_set, [layer]))


def _let_go(network: Network, image_set: ImageSet) -> None:
    """Shards that waited for parts that are all there can be claimed. To be called with the network locked."""
    waiting = Shard.objects.filter(waiting=True, status=Outcome.QUEUED, image_set=image_set, job__network=network)
    needed: dict[int, set[int]] = defaultdict(set)
    for shard, layer in Evidence.objects.filter(shard__in=waiting).order_by().values_list("shard", "layer").distinct():
        needed[shard].add(layer)
    firsts = {first for first, _ in spans(image_set)}
    seen: dict[int, set[int]] = defaultdict(set)
    for layer, first in _parts(image_set, set().union(*needed.values())).values_list("layer", "first"):
        seen[layer].add(first)
    whole = {layer for layer in seen if seen[layer] >= firsts}
    ready = [pk for pk, layers in needed.items() if layers <= whole]
    for pk, heavy in waiting.filter(pk__in=ready).order_by("pk").values_list("pk", "heavy"):
        if Shard.objects.filter(pk=pk, status=Outcome.QUEUED, waiting=True).update(waiting=False):
            shards.ring(heavy=heavy)


@transaction.atomic
def record(shard_id: int, token: uuid.UUID, parts: list[Part], environment: Mapping[str, Any]) -> None:
    """Keep what a pass gathered of each of its layers. What is there already stays.

    Raises:
        LeaseLost: when ``token`` no longer holds the shard.
    """
    network = locked_network(Shard.objects.values_list("job__network", flat=True).get(pk=shard_id))
    _, shard = hold(shard_id, token)
    assert shard.image_set is not None
    layers = {layer.name: layer for layer in network.layers.all()}
    SurveyPart.objects.bulk_create(
        [
            SurveyPart(
                layer=layers[part.layer],
                image_set=shard.image_set,
                recipe_version=recipes.SURVEY_VERSION,
                first=shard.parameters["first"],
                last=shard.parameters["last"],
                sha256=part.sha256,
                size=part.size,
                environment=dict(environment),
            )
            for part in parts
        ],
        ignore_conflicts=True,
    )
    _let_go(network, shard.image_set)


def waiting_for(shard: Shard) -> QuerySet[Shard]:
    """The evidence, of any job, that waits for what this pass was to gather."""
    own = Evidence.objects.filter(layer__network=shard.job.network_id, layer__name__in=shard.parameters["layers"])
    found = Shard.objects.filter(waiting=True, status=Outcome.QUEUED, image_set=shard.image_set_id)
    return found.filter(pk__in=own.values("shard")).order_by("pk")


def tend() -> int:
    """Make what evidence waits for and nobody makes any more (the job that began it was cancelled); how many passes."""
    made = 0
    waiting = Shard.objects.filter(waiting=True, status=Outcome.QUEUED).order_by("job")
    for job_id, network_id in waiting.values_list("job", "job__network").distinct():
        with transaction.atomic():
            locked_network(network_id)
            job = locked_job(job_id)
            made += prepare(job) if job.is_live else 0
    return made
