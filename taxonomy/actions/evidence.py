"""Asking for evidence, recording what the workers found, and running a recipe again."""

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import transaction
from django.db.models import F, Max, Q
from django.utils import timezone

from taxonomy import dispatch, events, recipes, storage
from taxonomy.actions import notifications, shards, surveys
from taxonomy.actions.shards import LeaseLost, hold, locked, locked_network
from taxonomy.models import (
    Artifact,
    Claim,
    Comparison,
    Evidence,
    EvidenceVersion,
    Family,
    Image,
    ImageSet,
    Job,
    Layer,
    Membership,
    Network,
    Neuron,
    Outcome,
    Photograph,
    Ruling,
    Run,
    Shard,
    User,
    Vector,
    Why,
)
from taxonomy.permissions import can_request_evidence, can_run_claim, can_see_claim, require

# So many pieces are what a person waits for: they overtake sweeps.
URGENT_PIECES = 64


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


@dataclass(frozen=True)
class Ruled:
    """What an experiment says of its claim (``workers.experiment``): ``effect`` is the mean change of ``n`` pairs."""

    verdict: str
    effect: float | None
    low: float | None
    high: float | None
    n: int


@dataclass
class _Together:
    """What one worker should take together: evidence of one kind, layer and recipe, not saved yet."""

    kind: recipes.Kind
    layer: Layer
    parameters: dict[str, Any]  # those that all of it shares
    image_set: ImageSet | None
    rows: list[Evidence] = field(default_factory=list)

    @property
    def surveyed(self) -> bool:
        return self.kind.surveyed and self.image_set is not None


@transaction.atomic
def request(
    user: User,
    network: Network,
    *,
    layers: Sequence[Layer] | None = None,
    neurons: Iterable[int] | None = None,
    families: Sequence[Family] = (),
    other: Family | None = None,
    kinds: Iterable[str] = (),
    image_set: ImageSet | None = None,
    parameters: Mapping[str, Mapping[str, Any]] | None = None,
) -> Requested:
    """Ask for evidence of neurons, families or whole layers, as one job. What is there or under way is not asked twice.

    Args:
        layers: all when None or empty.
        neurons: indices within each layer; all when None.
        families: instead of neurons, with the members that they have now.
        other: the earlier family, for a kind that joins two; when None, each that is linked, or one layer earlier.
        kinds: those made by default when empty, all with ``recipes.EVERY``; what needs images is left out if there is
            no image set and it was not named.
        parameters: for a kind, what differs from its recipe, e.g. ``{"feature_visualization": {"steps": 128}}``.

    Raises:
        Refused: when the user may not, or the network has no weights.
        RecipeError: for an unknown kind or parameter, an index that no layer has, images that are missing, or a family
            without members.
    """
    require(can_request_evidence(user, network))
    # One request at a time for a network: two that make the same rows would wait for each other for ever.
    locked_network(network.pk)
    every_layer = list(network.layers.all())
    for layer in every_layer:
        layer.network = network
    named = set(kinds)
    whole = bool(named) and not families and named <= recipes.OF_LAYERS
    wanted = [
        (recipes.KINDS[name], dict((parameters or {}).get(name, {})))
        for name in recipes.check_kinds(named, "family" if families else "layer" if whole else "neuron")
    ]
    stray = sorted(set(parameters or {}) - {kind.name for kind, _ in wanted})
    if stray:
        raise recipes.RecipeError(f"There are parameters for '{stray[0][:60]}', and that is not asked for.")
    for kind, changes in wanted:
        _check(kind, changes, every_layer, image_set)
    own = {layer.pk: layer for layer in every_layer}
    subjects: Mapping[Layer, Sequence[Neuron | Family | Layer]]
    if whole and neurons is not None:
        raise recipes.RecipeError(f"{wanted[0][0].name} is made of whole layers: name layers, and no neurons.")
    if families:
        subjects = _families(own, families)
        where = ", ".join(str(family) for family in families)
    else:
        chosen = sorted((own[layer.pk] for layer in set(layers)), key=lambda at: at.order) if layers else every_layer
        subjects = {layer: [layer] for layer in chosen} if whole else _neurons(chosen, neurons)
        where = ", ".join(str(layer) for layer in chosen) if layers else network.name
    names = [layer.name for layer in every_layer]
    groups: list[_Together] = []
    for kind, changes in wanted:
        variants = [(layer, values) for layer in subjects for values in kind.variants_for(layer.order, names, changes)]
        usable = [each for each in variants if image_set is not None or not kind.takes_images(each[1])]
        if kind.name in named and variants and not usable:
            there = ", ".join(ImageSet.objects.values_list("name", flat=True)) or "none yet (add_image_set adds one)"
            raise recipes.RecipeError(f"{kind.name} needs an image set. Name one: {there}.")
        if "layer" in changes and not variants:
            raise recipes.RecipeError(_wrong_side(kind, changes, list(subjects), every_layer))
        for layer, values in usable:
            used = image_set if kind.takes_images(values) else None
            if kind.subject == "family":
                groups += _of_families(kind, layer, values, subjects[layer], other, used)
            elif subjects[layer]:
                rows = [_row(kind, neuron, values, used) for neuron in subjects[layer]]
                groups.append(_Together(kind, layer, values, used, rows))
    if not groups:
        raise recipes.RecipeError("Nothing to make: none of these kinds applies to these layers.")

    Evidence.objects.bulk_create(
        (row for group in groups for row in group.rows), ignore_conflicts=True, batch_size=2000
    )
    keys = [row.key for group in groups for row in group.rows]
    found = {row.key: row for row in locked(Evidence.objects.filter(key__in=keys))}
    missing: list[tuple[_Together, list[Evidence]]] = []
    for group in groups:
        idle = (Outcome.FAILED, Outcome.CANCELLED)
        asked = [found[row.key] for row in group.rows]
        left = [row for row in asked if row.status in idle or (row.shard_id is None and row.status != Outcome.DONE)]
        size = group.kind.batch
        missing += [(group, left[start : start + size]) for start in range(0, len(left), size)]
    evidence_ids = [found[key].pk for key in keys]
    done_before = sum(found[key].status == Outcome.DONE for key in keys)
    if not missing:
        return Requested(None, evidence_ids, done_before)

    titles = list(dict.fromkeys(group.kind.title.lower() for group, _ in missing))
    what = ", ".join(titles) if len(titles) <= 5 else f"{len(titles)} kinds of evidence"
    total = sum(len(rows) for _, rows in missing)
    job = Job.objects.create(title=f"{what} of {where}"[:200], network=network, requested_by=user, total=total)
    for order, (group, rows) in enumerate(missing):
        shard = Shard.objects.create(
            job=job,
            order=order,
            stage=int(group.surveyed),
            waiting=group.surveyed,
            heavy=group.kind.heavy,
            kind=group.kind.name,
            parameters=group.parameters,
            image_set=group.image_set,
        )
        Evidence.objects.filter(pk__in=[row.pk for row in rows]).update(shard=shard, status=Outcome.QUEUED, reason="")
        if not shard.waiting:
            shards.ring(heavy=shard.heavy)
    job.urgent = total + surveys.prepare(job) <= URGENT_PIECES
    job.save(update_fields=["urgent"])
    events.record(user, "job.requested", network=network, job=job, data={"total": job.total})
    return Requested(job, evidence_ids, done_before)


def _check(kind: recipes.Kind, changes: Mapping[str, Any], layers: Sequence[Layer], image_set: ImageSet | None) -> None:
    """Whether the recipe allows these changes, here.

    Raises:
        RecipeError: when not, with what there is.
    """
    kind.check(changes)
    names = [layer.name for layer in layers]
    if "layer" in changes and changes["layer"] not in names:
        raise recipes.RecipeError(
            f"{layers[0].network.name} has no layer '{str(changes['layer'])[:60]}'. Its layers are {', '.join(names)}."
        )
    if image_set is not None and changes.get("image", 0) >= image_set.count:
        raise recipes.RecipeError(f"{image_set.name} has {image_set.count:,} images, counted from 0.")


def _wrong_side(
    kind: recipes.Kind, changes: Mapping[str, Any], chosen: Sequence[Layer], layers: Sequence[Layer]
) -> str:
    """Why the layer that was named is none for any of the chosen ones, in a sentence."""
    ways = {"in": "before", "out": "after"}.get(changes.get("direction", "in" if kind.layer == "before" else ""), "")
    fit = [
        layer.name
        for layer in layers
        if (ways != "after" and layer.order < chosen[-1].order) or (ways != "before" and layer.order > chosen[0].order)
    ]
    return (
        f"{changes['layer']} does not lie {ways or 'before or after'} {', '.join(layer.name for layer in chosen)}. "
        f"Layers that do: {', '.join(fit) or 'none'}."
    )


def _neurons(layers: Sequence[Layer], indices: Iterable[int] | None) -> dict[Layer, list[Neuron]]:
    """The layers' neurons in order, or those of them that have these indices."""
    wanted = None if indices is None else sorted(set(indices))
    if wanted is not None:
        most = max(layer.channels for layer in layers)
        wrong = [index for index in wanted if not 0 <= index < most]
        if wrong or not wanted:
            names = ", ".join(f"{layer.name} has {layer.channels}" for layer in layers)
            which = f"No neuron {wrong[0]} there" if wrong else "Name at least one neuron"
            raise recipes.RecipeError(f"{which}: {names}, counted from 0.")
    by_pk = {layer.pk: layer for layer in layers}
    found: dict[Layer, list[Neuron]] = {layer: [] for layer in layers}
    there = Neuron.objects.filter(layer__in=layers).order_by("index")
    for neuron in there if wanted is None else there.filter(index__in=wanted):
        neuron.layer = by_pk[neuron.layer_id]
        found[neuron.layer].append(neuron)
    return found


def family_called(network: Network, reference: int | str, layers: Sequence[Layer] = ()) -> Family:
    """A family of the network by its id, or by its name in these layers (in any, if none are given).

    Raises:
        RecipeError: when there is none, or there are several, with where they are.
    """
    there = Family.objects.filter(layer__network=network, retired_at=None).select_related("layer__network")
    if isinstance(reference, int):
        found = list(there.filter(pk=reference))
    else:
        named = there.filter(name__iexact=reference)
        found = list(named.filter(layer__in=layers) if layers else named)
    if len(found) == 1:
        return found[0]
    where = ", ".join(layer.name for layer in layers) or network.name
    if found:
        places = ", ".join(f"{family.layer.name} (id {family.pk})" for family in found)
        raise recipes.RecipeError(f"There are families '{reference}' in several layers: {places}. Say which.")
    names = there.filter(layer__in=layers) if layers else there
    known = ", ".join(list(names.values_list("name", flat=True)[:50])) or "none yet"
    raise recipes.RecipeError(f"{where} has no family '{reference}'. Its families are: {known}.")


def _families(layers: Mapping[int, Layer], families: Iterable[Family]) -> dict[Layer, list[Family]]:
    """The families of each layer, in the layers' order."""
    found: dict[Layer, list[Family]] = {layer: [] for layer in layers.values()}
    for family in dict.fromkeys(families):
        if family.layer_id not in layers:
            raise recipes.RecipeError(f"{family} is a family of another network.")
        found[layers[family.layer_id]].append(family)
    return {layer: own for layer, own in found.items() if own}


def _of_families(
    kind: recipes.Kind,
    layer: Layer,
    values: Mapping[str, Any],
    families: Sequence[Neuron | Family | Layer],
    other: Family | None,
    image_set: ImageSet | None,
) -> list[_Together]:
    """What this recipe makes of each family, or of it with each family at the other end.

    The members are those of now, and part of the recipe: when they change, asking again makes new evidence.
    """
    groups = []
    for family in families:
        assert isinstance(family, Family)
        ends: list[Family | None] = list(_earlier(family, layer, other)) if kind.joins else [None]
        members = _members([family, *filter(None, ends)])
        if not members[family]:
            raise recipes.RecipeError(f"{family} has no members yet: there is nothing to make of it.")
        if other is not None and kind.joins and not members[other]:
            raise recipes.RecipeError(f"{other} has no members yet: there is nothing to make of it.")
        for end in ends:
            shared = dict(values)
            if end is not None:
                if not members[end]:
                    continue
                shared |= {"source_layer": end.layer.name, "source": members[end]}
            row = _row(kind, family, shared | {"members": members[family]}, image_set, other=end)
            groups.append(_Together(kind, layer, shared, image_set, [row]))
    return groups


def _earlier(family: Family, layer: Layer, other: Family | None) -> Iterable[Family]:
    """The families whose weights to this one are asked for: ``other``, or all that are linked or one layer earlier."""
    if other is not None:
        if other.layer.network_id != layer.network_id or other.layer.order >= layer.order:
            raise recipes.RecipeError(f"{other} does not lie in a layer before that of {family}.")
        return [other]
    near = Q(links__target=family) | Q(linked_from__source=family) | Q(layer__order=layer.order - 1)
    earlier = Family.objects.filter(near, layer__network=layer.network_id, layer__order__lt=layer.order)
    return earlier.filter(retired_at=None).select_related("layer__network").distinct()


def _members(families: Iterable[Family]) -> dict[Family, list[int]]:
    """The indices of the neurons that are members now."""
    found: dict[Family, list[int]] = {family: [] for family in families}
    by_pk = {family.pk: family for family in found}
    current = Membership.objects.current().filter(family__in=found).order_by("neuron__index")
    for pk, index in current.values_list("family", "neuron__index"):
        found[by_pk[pk]].append(index)
    return found


def _row(
    kind: recipes.Kind,
    subject: Neuron | Family | Layer | Claim,
    parameters: Mapping[str, Any],
    image_set: ImageSet | None = None,
    *,
    other: Family | None = None,
) -> Evidence:
    """What this recipe makes of the subject, not saved yet."""
    own: dict[str, Any]
    if isinstance(subject, Family):  # names change; who the members are is in the parameters
        layer, own = subject.layer, {"family": subject, "other": other}
        text = f"{layer.network}/{layer.name} family {subject.public_id}"
        text += f" from {other.public_id}" if other else ""
    elif isinstance(subject, Claim):
        layer, own = measured_at(subject), {"claim": subject}
        text = f"claim {subject.public_id}"
    elif isinstance(subject, Layer):
        layer, own, text = subject, {}, str(subject)
    else:
        layer, own, text = subject.layer, {"neuron": subject}, str(subject)
    network = layer.network
    return Evidence(
        key=recipes.key(
            kind.name,
            version=kind.version,
            weights_digest=network.weights_digest,
            image_set_digest=image_set.digest if image_set else "",
            subject=text,
            parameters=parameters,
        ),
        kind=kind.name,
        recipe_version=kind.version,
        network=network,
        layer=layer,
        image_set=image_set,
        parameters=dict(parameters),
        **own,
    )


def measured_at(claim: Claim) -> Layer:
    """The layer whose neurons a claim measures; the last one, where it measures what the network predicts."""
    of = claim.plan["measure"].get("of")
    layers = sorted(claim.network.layers.all(), key=lambda layer: layer.order)
    return next((layer for layer in layers if of and layer.name == of["layer"]), layers[-1])


@transaction.atomic
def request_of_claim(user: User, claim: Claim) -> Evidence:
    """Ask for the experiment that a claim's plan describes. By the same recipe it is made once.

    Raises:
        Refused: when the user may not ask for evidence of the network.
    """
    # Jobs are everybody's to see, what is claimed on a draft or of an unsettled neuron is not.
    return _request_one(user, _experiment(claim), f"experiment on {claim.network.name}")


def key_of_claim(claim: Claim) -> str:
    """The key of what a run would make now."""
    return _experiment(claim).key


def _experiment(claim: Claim) -> Evidence:
    return _row(recipes.KINDS["edit"], claim, {"plan": claim.plan}, claim.image_set)


@transaction.atomic
def request_of_layer(user: User, layer: Layer, source: Layer) -> Evidence:
    """Ask for the weights from every neuron of the earlier layer ``source`` to every one of ``layer``.

    Raises:
        Refused: when the user may not ask for evidence of the network.
        RecipeError: when ``source`` does not lie before ``layer`` in the same network.
    """
    if source.network_id != layer.network_id or source.order >= layer.order:
        raise recipes.RecipeError(f"{source.name} does not lie before {layer.name}: choose an earlier layer.")
    kind = recipes.KINDS["layer_weights"]
    row = _row(kind, layer, {"layer": source.name})
    return _request_one(user, row, f"weights from {source} to {layer.name}")


def _request_one(user: User, row: Evidence, title: str) -> Evidence:
    """Ask for one piece that a person waits for; one that is there or under way is given as it is."""
    require(can_request_evidence(user, row.network))
    locked_network(row.network_id)
    Evidence.objects.bulk_create([row], ignore_conflicts=True)
    evidence = locked(Evidence.objects.filter(key=row.key))[0]
    if evidence.status == Outcome.DONE or (evidence.status in shards.LIVE and evidence.shard_id is not None):
        return evidence
    kind = recipes.KINDS[evidence.kind]
    job = Job.objects.create(title=title[:200], network=row.network, requested_by=user, total=1, urgent=True)
    evidence.shard = Shard.objects.create(
        job=job, order=0, heavy=kind.heavy, kind=kind.name, parameters=evidence.parameters, image_set=row.image_set
    )
    evidence.status, evidence.reason = Outcome.QUEUED, ""
    evidence.save(update_fields=["shard", "status", "reason"])
    shards.ring(heavy=kind.heavy)
    events.record(user, "job.requested", network=row.network, job=job, data={"total": 1})
    return evidence


@transaction.atomic
def complete(
    evidence_id: int,
    token: uuid.UUID,
    made: Sequence[Made],
    *,
    environment: Mapping[str, Any],
    wall_seconds: float,
    vector: Sequence[float] | None = None,
    ruling: Ruled | None = None,
) -> None:
    """Record a finding as the evidence's next version. Doing it twice under one lease records it once.

    Args:
        vector: of evidence that says what is like it, the neuron as a point.
        ruling: of an experiment, what it says of its claim.

    Raises:
        LeaseLost: when ``token`` no longer holds the shard.
        ValueError: for an experiment without a ruling.
        Run.DoesNotExist: when no run waits for the ruling.
    """
    job, evidence = _held(evidence_id, token)
    if evidence.status == Outcome.DONE:
        return
    if (ruling is None) != (evidence.claim_id is None):
        raise ValueError("A ruling comes with an experiment on a claim, and with nothing else.")
    version = _add_version(evidence, made, environment, wall_seconds)
    evidence.current, evidence.status, evidence.reason = version, Outcome.DONE, ""
    evidence.save(update_fields=["current", "status", "reason"])
    if vector is not None:
        values = {
            "neuron_id": evidence.neuron_id,
            "likeness": evidence.parameters["by"],
            "image_set_id": evidence.image_set_id,
            "values": [*vector, *[0.0] * (Vector.DIMENSIONS - len(vector))],  # zeros change no cosine
        }
        Vector.objects.update_or_create(evidence=evidence, defaults=values)
    if ruling is not None:
        _rule(evidence, ruling)
    Job.objects.filter(pk=job.pk).update(done=F("done") + 1)


def _rule(evidence: Evidence, ruling: Ruled) -> None:
    """The run has its ruling, once and for all; who stated the claim, and the note's authors, are told.

    Raises:
        Run.DoesNotExist: when none waits for it, as none does that somebody ruled past the rules.
    """
    run = Run.objects.select_for_update(of=["self"]).get(evidence=evidence, ruling="")
    run.ruling, run.effect, run.low, run.high, run.n = ruling.verdict, ruling.effect, ruling.low, ruling.high, ruling.n
    run.ruled_at = timezone.now()
    run.save()
    claim = run.claim
    event = events.record(
        User.objects.system(),
        f"claim.{ruling.verdict}",
        claim=claim,
        evidence=evidence,
        data={"run": run.number},
    )
    told = notifications.authors(claim.note_id) | {claim.author_id: Why.STATED, run.requested_by_id: Why.STATED}
    notifications.tell(event, notifications.followers(claim) | told)
    if claim.neuron_id and run.ruling == Ruling.REFUTED:
        dispatch.enqueue("site.tend")  # what is accepted may be disputed by it


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


def newest(neurons: Iterable[Neuron], kinds: Iterable[str]) -> dict[int, dict[tuple[str, str], EvidenceVersion]]:
    """For each neuron (by id) what was made last of these kinds, by kind and variant. Two queries."""
    by_pk = {neuron.pk: neuron for neuron in neurons}
    found: dict[int, dict[tuple[str, str], EvidenceVersion]] = {pk: {} for pk in by_pk}
    rows = Evidence.objects.filter(neuron__in=by_pk, kind__in=kinds, status=Outcome.DONE).order_by("pk")
    for row in rows.select_related("current", "image_set").prefetch_related("current__artifacts"):
        assert row.current is not None
        row.neuron = by_pk[row.neuron_id or 0]
        row.current.evidence = row
        found[row.neuron.pk][row.kind, recipes.variant_of(row.kind, row.parameters)] = row.current
    return found


def photographs_lacking(image_set: ImageSet, indices: Iterable[int], *, resize: int, size: int) -> list[Image]:
    """Those of the set's images that are not kept yet as a network with this preprocessing sees them."""
    kept = Photograph.objects.filter(resize=resize, size=size).values("image")
    return list(image_set.images.filter(index__in=indices).exclude(pk__in=kept))


def keep_photographs(files: Mapping[Image, str], *, resize: int, size: int) -> None:
    """Keep files (SHA-256) as what a network sees of images. Whoever was first, all made the same."""
    rows = [Photograph(image=image, resize=resize, size=size, sha256=sha256) for image, sha256 in files.items()]
    Photograph.objects.bulk_create(rows, ignore_conflicts=True)


@transaction.atomic
def reproduce(user: User, version: EvidenceVersion) -> Comparison:
    """Run a version's recipe again, to see whether it gives the same. It never becomes a version of its own.

    While it is being run again, asking once more gives the same comparison.

    Raises:
        Refused: when the user may not.
        RecipeError: when the recipe has changed since, or nothing was computed.
    """
    evidence = version.evidence
    kind, network = recipes.KINDS[evidence.kind], evidence.network
    if evidence.claim is not None:
        require(can_see_claim(user, evidence.claim))
        require(can_run_claim(user, evidence.claim))
    require(can_request_evidence(user, network))
    if not kind.computed:
        raise recipes.RecipeError("This came with an import: there is no recipe to run again.")
    if evidence.recipe_version != kind.version:
        raise recipes.RecipeError(
            f"The recipe of {kind.name} has changed since: this was made by version {evidence.recipe_version}, and "
            f"there is version {kind.version} now. Ask for the evidence anew to compare the two."
        )
    Network.objects.select_for_update(no_key=True).get(pk=network.pk)  # one request at a time, as for new evidence
    running = version.comparisons.filter(status__in=(Outcome.QUEUED, Outcome.RUNNING)).first()
    if running is not None:
        return running
    what = network.name if evidence.claim_id else evidence.subject
    job = Job.objects.create(
        title=f"{kind.title.lower()} {'on' if evidence.claim_id else 'of'} {what} again"[:200],
        network=network,
        requested_by=user,
        urgent=True,
        total=1,
    )
    shard = Shard.objects.create(
        job=job,
        order=0,
        heavy=kind.heavy,
        kind=kind.name,
        parameters={name: value for name, value in evidence.parameters.items() if name != "members"},
        image_set=evidence.image_set,
    )
    shards.ring(heavy=shard.heavy)
    events.record(user, "evidence.reproduced", evidence=evidence, network=network, job=job)
    return Comparison.objects.create(version=version, requested_by=user, shard=shard)


@transaction.atomic
def compare(
    comparison_id: int,
    token: uuid.UUID,
    *,
    identical: bool,
    pixels: Mapping[str, float | None],
    metrics: Mapping[str, float | None],
    made: Sequence[Made],
    environment: Mapping[str, Any],
) -> None:
    """Record in what the second run differs; ``made`` are its pictures.

    Raises:
        LeaseLost: when ``token`` no longer holds the shard.
    """
    shard_id = Comparison.objects.values_list("shard", flat=True).get(pk=comparison_id)
    job, _ = hold(shard_id, token)
    comparison = Comparison.objects.select_for_update(of=["self"], no_key=True).get(pk=comparison_id)
    comparison.status, comparison.reason, comparison.finished_at = Outcome.DONE, "", timezone.now()
    comparison.identical, comparison.pixels, comparison.metrics = identical, dict(pixels), dict(metrics)
    comparison.files = {file.name: {"sha256": file.sha256, "suffix": file.suffix, "size": file.size} for file in made}
    comparison.environment = dict(environment)
    comparison.save()
    Job.objects.filter(pk=job.pk).update(done=1)


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
        evidence = _row(kind, neuron, {"source": source, "sha256": storage.put(data)})
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
