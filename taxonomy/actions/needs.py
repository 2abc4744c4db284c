"""What evidence neurons wait for: the workers are asked for it, and a success lets the labels count again."""

from collections.abc import Iterable

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from taxonomy import events, recipes
from taxonomy.actions import evidence, notifications
from taxonomy.actions.labels import locked, retally
from taxonomy.models import (
    Evidence,
    EvidenceVersion,
    ImageSet,
    Layer,
    Need,
    Neuron,
    Outcome,
    Shard,
    User,
    Verdict,
    Why,
)
from taxonomy.permissions import Allowed, Answer, Denied, Refused

LIVE = (Outcome.QUEUED, Outcome.RUNNING)


def kinds_for(layer: Layer, names: Iterable[str]) -> list[recipes.Kind]:
    """The kinds that can be made of this layer's neurons without being told more.

    Args:
        names: of the network's layers, in their order.
    """
    every = list(names)
    return [
        kind
        for kind in recipes.KINDS.values()
        if kind.computed
        and kind.subject == "neuron"
        and not kind.required
        and kind.variants_for(every.index(layer.name), every)
    ]


def can_need(layer: Layer) -> Answer:
    """Whether anything can be made of this layer's neurons at all."""
    if not layer.network.runs:
        return Denied(f"{layer.network.name} is a catalogue without weights: no evidence can be made of it here.")
    return Allowed()


def why_not(neuron: Neuron, kind: str) -> str:
    """Why this kind of evidence cannot be waited for, in a sentence; "" when it can."""
    layers = list(
        Layer.objects.filter(network=neuron.layer.network_id).order_by("order").values_list("name", flat=True)
    )
    able = kinds_for(neuron.layer, layers)
    if kind not in {one.name for one in able}:
        return f"Choose a kind of evidence that can be made of {neuron.address}: {', '.join(one.name for one in able)}."
    recipe = recipes.KINDS[kind]
    own = Evidence.objects.filter(neuron=neuron, kind=kind, recipe_version=recipe.version)
    if own.filter(status=Outcome.DONE).exists() and not own.exclude(status=Outcome.DONE).exists():
        return f"There is {recipe.title.lower()} evidence of {neuron.address} already: look at it on the neuron's page."
    return ""


def tend() -> int:
    """Ask for what is needed, meet what has come, tell what failed; how many needs were met.

    Safe when run twice at once, and after any time without a bell: what is to do is read from the record.
    """
    met = _meet(_come()) + _meet(Need.objects.open().filter(pk__in=_ask()))
    _tell_failures()
    return met


def _ask() -> list[int]:
    """Ask the workers for needs that they were not asked for yet, those of a layer and kind together.

    Returns those of which everything that can be made is there already.
    """
    complete: list[int] = []
    waiting = Need.objects.open().filter(asked_at=None)
    groups = waiting.order_by("neuron__layer", "kind").values_list("neuron__layer", "kind").distinct()
    for layer_id, kind in list(groups):
        with transaction.atomic():
            own = waiting.filter(neuron__layer=layer_id, kind=kind).select_related("neuron")
            needs = list(own.select_for_update(of=["self"], no_key=True, skip_locked=True).order_by("pk"))
            if needs:
                complete += _ask_together(Layer.objects.select_related("network").get(pk=layer_id), kind, needs)
    return complete


def _ask_together(layer: Layer, kind: str, needs: list[Need]) -> list[int]:
    try:
        with transaction.atomic():
            requested = evidence.request(
                User.objects.system(),
                layer.network,
                layers=[layer],
                neurons=[need.neuron.index for need in needs],
                kinds=[_askable(layer, kind)],
                image_set=_image_set(layer),
            )
    except (recipes.RecipeError, Refused) as error:
        for need in needs:
            _tell_problem(need, str(error))
        return []
    makers = Shard.objects.filter(evidence__in=requested.evidence).values_list("evidence__neuron", "job")
    jobs = {neuron: job for neuron, job in makers if job is not None}
    under_way = Evidence.objects.filter(pk__in=requested.evidence).exclude(status=Outcome.DONE)
    lacking = set(under_way.values_list("neuron", flat=True))
    for need in needs:
        if need.neuron_id in lacking:
            need.asked_at, need.problem, need.job_id = timezone.now(), "", jobs.get(need.neuron_id)
            need.save(update_fields=["asked_at", "problem", "job"])
    return [need.pk for need in needs if need.neuron_id not in lacking]


def _askable(layer: Layer, kind: str) -> str:
    """The kind, if it can be asked for without being told more.

    Raises:
        RecipeError: when a person has to ask for it, or it cannot be made here.
    """
    names = list(layer.network.layers.order_by("order").values_list("name", flat=True))
    if kind not in {one.name for one in kinds_for(layer, names)}:
        title = recipes.KINDS[kind].title if kind in recipes.KINDS else kind
        raise recipes.RecipeError(f"{title} cannot be asked for by itself here: ask for it on the neuron's page.")
    return kind


def _image_set(layer: Layer) -> ImageSet | None:
    """The image set with which most was made of this layer lately, or else the first that there is."""
    last = Evidence.objects.filter(layer=layer, image_set__isnull=False).order_by("-pk").first()
    return last.image_set if last is not None else ImageSet.objects.order_by("pk").first()


def _come() -> QuerySet[Need]:
    """Open needs whose evidence is there, and of whose evidence nothing is being made any more.

    What labels miss may have been there already; what a reviewer demands has to be newer than the demand.
    """
    own = Evidence.objects.filter(neuron=OuterRef("neuron"), kind=OuterRef("kind"))
    newer = EvidenceVersion.objects.filter(
        evidence__neuron=OuterRef("neuron"), evidence__kind=OuterRef("kind"), made_at__gt=OuterRef("at")
    )
    there = Q(Exists(newer)) | Q(Exists(own.filter(status=Outcome.DONE)), review=None)
    return Need.objects.open().filter(there).exclude(Exists(own.filter(status__in=LIVE)))


def _meet(come: QuerySet[Need]) -> int:
    met = 0
    for pk, neuron in list(come.order_by("neuron", "pk").values_list("pk", "neuron")):
        with transaction.atomic():
            free = Neuron.objects.select_for_update(of=["self"], no_key=True, skip_locked=True)
            if not free.filter(pk=neuron).exists():
                continue  # somebody labels or decides just now: the next time
            need = Need.objects.open().select_for_update(of=["self"], no_key=True).filter(pk=pk).first()
            if need is not None:
                _meet_one(need)
                met += 1
    return met


def _meet_one(need: Need) -> None:
    """The evidence is there: the neuron's labels count again, and those who missed it are told."""
    system, neuron = User.objects.system(), locked(need.neuron)
    need.met_at, need.problem = timezone.now(), ""
    need.save(update_fields=["met_at", "problem"])
    data = {"kind": need.kind}
    event = events.record(system, "need.met", neuron=neuron, review=need.review, job=need.job, data=data)
    notifications.tell(event, _who_missed(need))
    retally(system, neuron, review=need.review)


def _who_missed(need: Need) -> dict[int, Why]:
    missed = need.neuron.labels.current().filter(verdict=Verdict.CANNOT_TELL, missing_evidence=need.kind)
    people = dict.fromkeys(missed.values_list("author", flat=True), Why.MISSED)
    if need.review is not None:
        people[need.review.reviewer_id] = Why.MISSED
    return people


def _tell_failures() -> None:
    """What could not be made is told once; it stays needed, and a retry of its job that succeeds meets it."""
    own = Evidence.objects.filter(neuron=OuterRef("neuron"), kind=OuterRef("kind"))
    failed = Need.objects.open().filter(Exists(own.filter(status=Outcome.FAILED)), asked_at__isnull=False, problem="")
    for pk in list(failed.exclude(Exists(own.filter(status__in=LIVE))).values_list("pk", flat=True)):
        with transaction.atomic():
            again = Need.objects.open().select_for_update(of=["self"], no_key=True, skip_locked=True)
            need = again.filter(pk=pk, problem="").select_related("neuron", "review").first()
            if need is None:
                continue
            reasons = Evidence.objects.filter(neuron=need.neuron, kind=need.kind, status=Outcome.FAILED)
            _tell_problem(need, reasons.order_by("-pk").values_list("reason", flat=True)[0] or "It could not be made.")


def _tell_problem(need: Need, problem: str) -> None:
    if need.problem == problem[:500]:
        return
    need.problem = problem[:500]
    need.save(update_fields=["problem"])
    data = {"kind": need.kind}
    neuron = Neuron.objects.select_related("layer__network").get(pk=need.neuron_id)
    event = events.record(User.objects.system(), "need.failed", neuron=neuron, review=need.review, data=data)
    notifications.tell(event, _who_missed(need))
