"""When the evidence that people saw has changed since: accepted neurons that rest on it become stale."""

import logging
from collections.abc import Iterable

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from taxonomy import recipes, storage
from taxonomy.actions import reviews
from taxonomy.interchange import drift
from taxonomy.models import Drift, Evidence, EvidenceVersion, Label, Membership, Neuron, Outcome, Standing

logger = logging.getLogger(__name__)

# So many neurons at a time, so that a new recipe over a whole network keeps nobody waiting.
AT_A_TIME = 500


def tend() -> int:
    """Compare newer evidence with what people saw of accepted neurons, each pair once; how many became stale.

    Safe when run twice at once: a pair is measured once, and a neuron made stale once for each newer version.
    """
    found = _superseding().values_list("neuron", flat=True).order_by("neuron").distinct()
    return sum(_weigh(neuron) for neuron in list(found[:AT_A_TIME]))


def _superseding() -> QuerySet[Evidence]:
    """Later evidence of an accepted neuron, of the same kind and variant as some that a label saw, not measured yet.

    A later recipe, the same recipe over an image set added later, or with other weights. A recipe may have got further
    parameters since.
    """
    images = Q(evidenceversion__evidence__image_set=None)
    images |= Q(evidenceversion__evidence__image_set__lte=OuterRef("image_set"))
    seen = Label.seen.through.objects.filter(
        images,
        label__neuron=OuterRef("neuron"),
        label__undone_at=None,
        evidenceversion__evidence__kind=OuterRef("kind"),
        evidenceversion__evidence__lt=OuterRef("pk"),
        evidenceversion__evidence__recipe_version__lte=OuterRef("recipe_version"),
        evidenceversion__evidence__parameters__contained_by=OuterRef("parameters"),
    )
    unmeasured = seen.exclude(
        Exists(Drift.objects.filter(seen=OuterRef("evidenceversion"), newer=OuterRef(OuterRef("current"))))
    )
    return Evidence.objects.filter(Exists(unmeasured), neuron__standing=Standing.ACCEPTED, status=Outcome.DONE)


def _weigh(neuron_id: int) -> bool:
    """Measure what is new of this neuron; whether it became stale."""
    later = list(_superseding().filter(neuron=neuron_id).select_related("current", "image_set").order_by("pk"))
    looked = Label.seen.through.objects.filter(label__neuron=neuron_id, label__undone_at=None)
    seen = list(
        EvidenceVersion.objects.filter(pk__in=looked.values("evidenceversion")).select_related("evidence__image_set")
    )
    known = set(Drift.objects.filter(newer__evidence__neuron=neuron_id).values_list("seen", "newer"))
    pairs = [
        (old, new)
        for new in later
        for old in seen
        if new.current is not None and (old.pk, new.current_id) not in known and _follows(new, old.evidence)
    ]
    measured = [found for old, new in pairs if (found := _measure(old, new)) is not None]
    with transaction.atomic():
        free = Neuron.objects.select_for_update(of=["self"], no_key=True, skip_locked=True)
        neuron = free.select_related("layer__network").filter(pk=neuron_id, standing=Standing.ACCEPTED).first()
        if neuron is None:
            return False  # somebody decides on it just now: the next time
        Drift.objects.bulk_create(measured, ignore_conflicts=True)
        rests_on = _rests_on(neuron)
        beyond = [found for found in measured if found.beyond and found.seen_id in rests_on]
        told = {version for found in beyond for version in (found.seen, found.newer)}
        if not beyond:
            return False
        return (
            reviews.mark_stale(
                neuron,
                kind=beyond[0].newer.evidence.kind,
                comment=_words(beyond),
                cites=sorted(told, key=lambda v: v.pk),
            )
            is not None
        )


def _follows(new: Evidence, old: Evidence) -> bool:
    return (
        new.kind == old.kind
        and new.pk > old.pk
        and new.recipe_version >= old.recipe_version
        and (new.image_set_id or 0) >= (old.image_set_id or 0)
        and old.parameters.items() <= new.parameters.items()
    )


def _rests_on(neuron: Neuron) -> set[int]:
    """The versions seen by the labels on which the neuron's acceptance rests; none for an import."""
    member = Membership.objects.current().filter(neuron=neuron, primary=True).select_related("review__tally").first()
    if member is None or member.review is None or member.review.tally is None:
        return set()
    inputs = member.review.tally.inputs
    return set(Label.seen.through.objects.filter(label__in=inputs).values_list("evidenceversion", flat=True))


def _measure(old: EvidenceVersion, new: Evidence) -> Drift | None:
    """How far the newer evidence lies from what was seen; None where a file is out of reach, until it is back."""
    newer = new.current
    assert newer is not None  # it is done
    try:
        beyond, words = drift.measure(recipes.KINDS[new.kind].tolerance, _files(old), _files(newer))
    except OSError as error:
        logger.warning("%s cannot be compared with %s: %s", newer, old, error)
        return None
    return Drift(seen=old, newer=newer, beyond=beyond, measure=words[:300])


def _files(version: EvidenceVersion) -> drift.Files:
    return {
        artifact.name: (storage.read(artifact.sha256), artifact.suffix)
        for artifact in version.artifacts.all()
        if artifact.suffix in (".json", *drift.PICTURES)
    }


def _words(found: Iterable[Drift]) -> str:
    """The kind, what it was made by before and is made by now, and in what it differs."""
    sentences = []
    for one in found:
        old, new = one.seen.evidence, one.newer.evidence
        title = recipes.KINDS[new.kind].title
        if new.recipe_version > old.recipe_version:
            why = f"recipe {new.recipe_version} after recipe {old.recipe_version}"
        elif new.image_set_id != old.image_set_id:
            why = f"over {new.image_set} after {old.image_set}"
        else:
            why = "with other weights"
        sentences.append(f"{title}, {why}: {one.measure}.")
    return " ".join(sentences)
