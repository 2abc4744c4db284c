"""Labelling a neuron, and what follows for its standing."""

from collections.abc import Iterable, Mapping

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from taxonomy import consensus, events, recipes
from taxonomy.models import (
    Confidence,
    EvidenceVersion,
    Family,
    Label,
    Layer,
    Neuron,
    Reveal,
    Standing,
    Tally,
    User,
    Verdict,
)
from taxonomy.permissions import can_label, require


@transaction.atomic
def add(
    user: User,
    neuron: Neuron,
    *,
    verdict: str,
    family: Family | None = None,
    no_finer: bool = False,
    further: Iterable[Family] = (),
    polysemantic: bool = False,
    missing_evidence: str = "",
    suggested_name: str = "",
    confidence: str = Confidence.MEDIUM,
    note: str = "",
    seen: Iterable[EvidenceVersion] = (),
) -> Label:
    """Give this person's reading of a neuron; an earlier one is superseded and kept. The same again changes nothing.

    Args:
        verdict: "family", "cannot tell" or "none of these".
        further: other families of a polysemantic neuron.
        seen: the evidence versions that were on the page.

    Raises:
        Refused: when the user may not label.
        ValidationError: when the reading says nothing or two things, or names a family of another layer.
    """
    require(can_label(user, neuron))
    neurons = Neuron.objects.select_for_update(of=["self"], no_key=True)
    neuron = neurons.select_related("layer__network").get(pk=neuron.pk)
    label = Label(
        neuron=neuron,
        author=user,
        verdict=verdict,
        family=family,
        no_finer=no_finer,
        polysemantic=polysemantic,
        missing_evidence=missing_evidence,
        suggested_name=" ".join(suggested_name.split()),
        confidence=confidence,
        note=note.strip(),
        # What is settled stands in the open, whether or not this person is known to have looked.
        blind=not neuron.is_settled and not Reveal.objects.filter(neuron=neuron, person=user).exists(),
    )
    others = [other for other in dict.fromkeys(further) if other != family]
    _check(label, others)
    before = neuron.labels.current().filter(author=user).prefetch_related("further").first()
    if before is not None:
        if _says_the_same(before, label, others):
            return before
        before.superseded_at = timezone.now()
        before.save(update_fields=["superseded_at"])
    label.full_clean(exclude=["further", "seen"])
    label.save()
    label.further.set(others)
    label.seen.set(version for version in seen if version.evidence.neuron_id == neuron.pk)
    events.record(user, "label.changed" if before else "label.added", neuron=neuron, label=label)
    retally(user, neuron)
    return label


def _check(label: Label, others: list[Family]) -> None:
    if label.verdict not in Verdict.values:
        raise ValidationError("Choose a family, “cannot tell” or “none of these”.")
    if label.verdict == Verdict.FAMILY and label.family is None:
        raise ValidationError("Choose a family, or say “cannot tell” or “none of these”.")
    if label.verdict != Verdict.FAMILY and label.family is not None:
        raise ValidationError("Choose a family or “cannot tell” or “none of these”, not both.")
    if label.verdict == Verdict.CANNOT_TELL and label.missing_evidence not in recipes.KINDS:
        raise ValidationError("“Cannot tell” names the evidence that is missing, so that it can be made.")
    if label.verdict != Verdict.FAMILY and label.no_finer:
        raise ValidationError("“No finer than this” belongs to a family.")
    if label.verdict != Verdict.CANNOT_TELL and label.missing_evidence:
        raise ValidationError("Missing evidence belongs to “cannot tell”.")
    if label.verdict != Verdict.NONE_OF_THESE and label.suggested_name:
        raise ValidationError("A suggested name belongs to “none of these”.")
    if label.verdict == Verdict.CANNOT_TELL and label.polysemantic:
        raise ValidationError("Who cannot tell what a neuron is cannot tell that it is polysemantic.")
    if others and not (label.polysemantic and label.verdict == Verdict.FAMILY):
        raise ValidationError("Further families belong to a neuron marked polysemantic, beside its first family.")
    for family in [label.family, *others]:
        if family is None:
            continue
        if family.layer_id != label.neuron.layer_id:
            raise ValidationError(
                f"“{family.name}” is a family of {family.layer.name}, not of {label.neuron.layer.name}."
            )
        if family.retired_at is not None:
            raise ValidationError(f"The family “{family.name}” is retired. Choose another.")


SAID = ("verdict", "family_id", "no_finer", "polysemantic", "missing_evidence", "suggested_name", "confidence", "note")


def _says_the_same(before: Label, label: Label, others: list[Family]) -> bool:
    return all(getattr(before, name) == getattr(label, name) for name in SAID) and set(before.further.all()) == set(
        others
    )


def parents(layer: Layer) -> dict[int, int | None]:
    return dict(Family.objects.filter(layer=layer).values_list("pk", "parent_id"))


def readings(neuron: Neuron) -> list[consensus.Reading]:
    """The neuron's current labels as the rule reads them."""
    return [reading(label) for label in neuron.labels.current().order_by("pk")]


def reading(label: Label) -> consensus.Reading:
    """A label as the rule reads it."""
    return consensus.Reading(
        label=label.pk,
        author=label.author_id,
        family=label.family_id,
        no_finer=label.no_finer,
        cannot_tell=label.verdict == Verdict.CANNOT_TELL,
    )


def result_of(found: Iterable[Label], tree: Mapping[int, int | None]) -> consensus.Result:
    """Where these current labels of one neuron put it."""
    return consensus.standing([reading(label) for label in found], tree)


def tally(neuron: Neuron, found: list[consensus.Reading], result: consensus.Result) -> Tally:
    return Tally.objects.create(
        neuron=neuron,
        standing=result.standing,
        family_id=result.family,
        rule_version=consensus.RULE_VERSION,
        inputs=[reading.label for reading in found],
    )


def retally(user: User, neuron: Neuron) -> None:
    """Derive the standing again from the current labels. A decision (accepted, contested) is not undone by labels."""
    found = readings(neuron)
    neuron.readings = len(found)
    if not neuron.is_settled:
        result = consensus.standing(found, parents(neuron.layer))
        last = neuron.tallies.order_by("-pk").first()
        if last is None or (last.standing, last.family_id) != (result.standing, result.family):
            tally(neuron, found, result)
        if result.standing == Standing.AGREED != neuron.standing:
            events.record(user, "neuron.agreed", neuron=neuron)
        neuron.standing = result.standing
    neuron.save(update_fields=["readings", "standing"])


def reveal(user: User, *neurons: Neuron) -> None:
    """Record that others' readings, or the settled answer, are being shown to this person."""
    # In one order: the same person's other request, revealing some of them too, must not wait for this one in a circle.
    shown = sorted({neuron.pk for neuron in neurons})
    Reveal.objects.bulk_create([Reveal(neuron_id=pk, person=user) for pk in shown], ignore_conflicts=True)
