"""Labelling a neuron, and what follows for its standing."""

import datetime
import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from taxonomy import consensus, dispatch, events, recipes
from taxonomy.actions import leases
from taxonomy.models import (
    Confidence,
    Decision,
    EvidenceVersion,
    Family,
    Label,
    Layer,
    Need,
    Neuron,
    Reveal,
    Standing,
    Tally,
    User,
    Verdict,
)
from taxonomy.permissions import Refused, can_label, can_undo_label, require


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
    submission: uuid.UUID | None = None,
    lease: uuid.UUID | None = None,
) -> Label:
    """Give this person's reading of a neuron; an earlier one is superseded and kept. The same again changes nothing.

    Args:
        verdict: "family", "cannot tell" or "none of these".
        further: other families of a polysemantic neuron.
        seen: the evidence versions that were on the page.
        submission: the sender's own key; sent again, it gives the label that it made, and nothing changes.
        lease: the token under which the queue handed the neuron out. Without, a reading is given beyond what is asked.

    Raises:
        Refused: when the user may not label, or the lease ran out and others have the neuron by now.
        ValidationError: when the reading says nothing or two things, or names a family of another layer.
    """
    require(can_label(user, neuron))
    neuron = locked(neuron)
    if submission is not None:
        known = Label.objects.filter(author=user, submission=submission, neuron=neuron).first()
        if known is not None:
            return known
    held = leases.held(user, neuron, lease)
    # A settled neuron stands in the open, except for whoever holds it in the queue as a gold one.
    hidden = held is not None and held.gold and not neuron.labels.filter(author=user, undone_at=None).exists()
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
        submission=submission,
        gold=hidden,
        blind=(hidden or not neuron.is_settled) and not Reveal.objects.filter(neuron=neuron, person=user).exists(),
    )
    others = [other for other in dict.fromkeys(further) if other != family]
    _check(label, others)
    before = neuron.labels.current().filter(author=user).prefetch_related("further").first()
    if before is not None:
        if _says_the_same(before, label, others):
            leases.end(held, before)
            return before
        before.superseded_at = timezone.now()
        before.save(update_fields=["superseded_at"])
    label.clean_fields()
    label.save()
    if others:
        label.further.set(others)
    label.seen.set(version for version in seen if version.evidence.neuron_id == neuron.pk)
    leases.end(held, label)
    events.record(user, "label.changed" if before else "label.added", neuron=neuron, label=label)
    if hidden:  # the answer comes at once, to this person alone
        reveal(user, neuron)
    retally(user, neuron)
    return label


@transaction.atomic
def undo(user: User, label: Label) -> Label:
    """Take back a label within its first minute, before the others' readings were shown; an earlier one counts again.

    Raises:
        Refused: to anyone but its author, after the minute, after a reveal, and once the neuron is settled.
    """
    neuron = locked(label.neuron)
    label = Label.objects.select_for_update(of=["self"], no_key=True).get(pk=label.pk)
    require(can_undo_label(user, label))
    if neuron.is_settled:
        raise Refused(f"This neuron is {neuron.standing} by now: your label is part of what was decided.")
    if Reveal.objects.filter(neuron=neuron, person=user, at__gte=label.created_at).exists():
        raise Refused("You have been shown how others read this neuron since: change your reading instead.")
    label.superseded_at = label.undone_at = timezone.now()
    label.save(update_fields=["superseded_at", "undone_at"])
    events.record(user, "label.undone", neuron=neuron, label=label)
    before = neuron.labels.filter(author=user, undone_at=None).prefetch_related("further").order_by("-pk").first()
    if before is not None:
        _carry_on(before, blind=before.blind)
    retally(user, neuron)
    return label


def _carry_on(label: Label, *, blind: bool, **changes: Any) -> Label:
    """A new row that says what an earlier one of the same person said, with these changes."""
    said = {name: getattr(label, name) for name in SAID} | changes
    label.superseded_at = label.superseded_at or timezone.now()
    label.save(update_fields=["superseded_at"])
    again = Label(neuron=label.neuron, author=label.author, follows=label, blind=blind, gold=label.gold, **said)
    again.save()
    again.further.set(label.further.all())
    again.seen.set(label.seen.all())
    return again


def locked(neuron: Neuron) -> Neuron:
    """The neuron, held against everybody else who changes what is known of it."""
    neurons = Neuron.objects.select_for_update(of=["self"], no_key=True)
    return neurons.select_related("layer__network").get(pk=neuron.pk)


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
    return readings_of(neuron.labels.current().order_by("pk").prefetch_related("further"), neuron.needs.all())


def readings_of(found: Iterable[Label], needs: Iterable[Need]) -> list[consensus.Reading]:
    """Labels of one neuron as the rule reads them; a need that was met answers the labels before it that missed it."""
    met = [(need.kind, need.met_at) for need in needs if need.met_at is not None]
    return [
        consensus.Reading(
            label=label.pk,
            author=label.author_id,
            family=label.family_id,
            no_finer=label.no_finer,
            cannot_tell=label.verdict == Verdict.CANNOT_TELL,
            answered=any(kind == label.missing_evidence and at >= label.created_at for kind, at in met),
            further=frozenset(family.pk for family in label.further.all()) if label.polysemantic else frozenset(),
        )
        for label in found
    ]


def result_of(found: Iterable[Label], tree: Mapping[int, int | None]) -> consensus.Result:
    """Where these current labels of one neuron put it, by themselves."""
    return consensus.standing(readings_of(found, ()), tree)


def tally(neuron: Neuron, found: list[consensus.Reading], result: consensus.Result) -> Tally:
    return Tally.objects.create(
        neuron=neuron,
        standing=result.standing,
        family_id=result.family,
        rule_version=consensus.RULE_VERSION,
        inputs=[reading.label for reading in found],
    )


def retally(user: User, neuron: Neuron) -> None:
    """Derive the standing again from labels, needs and objections. Labels do not undo a decision (accepted, contested).

    Call with the neuron locked.
    """
    needs = list(neuron.needs.all())
    found = readings_of(neuron.labels.current().order_by("pk").prefetch_related("further"), needs)
    neuron.readings = len(found)
    if not neuron.is_settled:
        result = consensus.standing(
            found,
            parents(neuron.layer),
            awaits_evidence=any(need.review_id and not need.met_at and not need.withdrawn_at for need in needs),
            objected=objected(neuron),
        )
        last = neuron.tallies.order_by("-pk").first()
        if last is None or (last.standing, last.family_id) != (result.standing, result.family):
            tally(neuron, found, result)
        if result.standing != neuron.standing and result.standing in TOLD:
            events.record(user, f"neuron.{result.standing.replace(' ', '_')}", neuron=neuron)
        if result.standing == Standing.NEEDS_EVIDENCE:
            _note_needs(neuron, found, needs)
        neuron.standing = result.standing
    neuron.asks = consensus.asked(found, neuron.standing, neuron.layer.overlap)
    neuron.save(update_fields=["readings", "standing", "asks"])


# Standings that are told as events; the others say no more than how many have read the neuron.
TOLD = (Standing.AGREED, Standing.DISPUTED, Standing.NEEDS_EVIDENCE, Standing.NEEDS_FAMILY)
OBJECTION = datetime.timedelta(hours=72)


def objected(neuron: Neuron) -> bool:
    """Whether a reviewer's objection stands that was not withdrawn within 72 hours."""
    old = neuron.reviews.filter(decision=Decision.OBJECT, at__lte=timezone.now() - OBJECTION)
    return old.filter(answered_by=None).exists()


def _note_needs(neuron: Neuron, found: Sequence[consensus.Reading], needs: Sequence[Need]) -> None:
    """What labels miss is noted as needed; ``actions/reviews.tend`` asks the workers for it."""
    missed = {reading.label for reading in found if reading.cannot_tell and not reading.answered}
    known = {need.kind for need in needs if need.met_at is None and need.withdrawn_at is None}
    kinds = set(Label.objects.filter(pk__in=missed).values_list("missing_evidence", flat=True)) - known
    for kind in sorted(kinds):
        Need.objects.create(neuron=neuron, kind=kind)
    if kinds:
        dispatch.enqueue("site.tend")


def reveal(user: User, *neurons: Neuron) -> None:
    """Record that others' readings, or the settled answer, are being shown to this person."""
    # In one order: the same person's other request, revealing some of them too, must not wait for this one in a circle.
    shown = sorted({neuron.pk for neuron in neurons})
    Reveal.objects.bulk_create([Reveal(neuron_id=pk, person=user) for pk in shown], ignore_conflicts=True)
