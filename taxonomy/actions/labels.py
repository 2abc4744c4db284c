"""Labelling a neuron, and what follows for its standing."""

import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import EmptyResultSet, ValidationError
from django.db import connection, transaction
from django.db.models import Exists, OuterRef, QuerySet, Subquery, prefetch_related_objects
from django.db.models.functions import JSONObject
from django.utils import timezone

from taxonomy import consensus, dispatch, events, recipes
from taxonomy.actions import leases
from taxonomy.history import challenge, reading_of
from taxonomy.models import (
    Confidence,
    Decision,
    EvidenceVersion,
    Family,
    Label,
    Layer,
    Lease,
    Need,
    Network,
    Neuron,
    Reveal,
    Review,
    Standing,
    Tally,
    User,
    Verdict,
)
from taxonomy.permissions import Refused, can_label, can_see_readings, can_undo_label, hidden_from, require


@dataclass(frozen=True)
class Said:
    """A reading as a person gives it: of one neuron, or the same of several on a sheet.

    ``seen`` are evidence versions that were on the page; each neuron's label keeps those that are of the neuron.
    """

    verdict: str
    family: Family | None = None
    no_finer: bool = False
    further: Iterable[Family] = ()
    polysemantic: bool = False
    missing_evidence: str = ""
    suggested_name: str = ""
    confidence: str = Confidence.MEDIUM
    note: str = ""
    seen: Iterable[EvidenceVersion] = ()

    @property
    def others(self) -> list[Family]:
        return [other for other in dict.fromkeys(self.further) if other != self.family]

    def of(self, neuron: Neuron, author: User, **fields: Any) -> Label:
        return Label(
            neuron=neuron,
            author=author,
            verdict=self.verdict,
            family=self.family,
            no_finer=self.no_finer,
            polysemantic=self.polysemantic,
            missing_evidence=self.missing_evidence,
            suggested_name=" ".join(self.suggested_name.split()),
            confidence=self.confidence,
            note=self.note.strip(),
            **fields,
        )

    def check(self, layer: Layer, tree: "Tree") -> None:
        """Whether it says one thing, of families that the layer has.

        Raises:
            ValidationError: with the sentence that says what to mend.
        """
        if self.verdict not in Verdict.values or (self.verdict == Verdict.FAMILY and self.family is None):
            raise ValidationError("Choose a family, or say “cannot tell” or “none of these”.")
        if self.verdict != Verdict.FAMILY and self.family is not None:
            raise ValidationError("Choose a family or “cannot tell” or “none of these”, not both.")
        if self.verdict == Verdict.CANNOT_TELL and self.missing_evidence not in recipes.KINDS:
            raise ValidationError("“Cannot tell” names the evidence that is missing, so that it can be made.")
        if self.verdict != Verdict.FAMILY and self.no_finer:
            raise ValidationError("“No finer than this” belongs to a family.")
        if self.verdict != Verdict.CANNOT_TELL and self.missing_evidence:
            raise ValidationError("Missing evidence belongs to “cannot tell”.")
        if self.verdict != Verdict.NONE_OF_THESE and self.suggested_name.strip():
            raise ValidationError("A suggested name belongs to “none of these”.")
        if self.verdict == Verdict.CANNOT_TELL and self.polysemantic:
            raise ValidationError("Who cannot tell what a neuron is cannot tell that it is polysemantic.")
        if self.others and not (self.polysemantic and self.verdict == Verdict.FAMILY):
            raise ValidationError("Further families belong to a neuron marked polysemantic, beside its first family.")
        for family in filter(None, [self.family, *self.others]):
            if family.layer_id != layer.pk:
                raise ValidationError(f"“{family.name}” is a family of {family.layer.name}, not of {layer.name}.")
            if family.pk in tree.retired:
                raise ValidationError(f"The family “{family.name}” is retired. Choose another.")


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
    said = Said(
        verdict=verdict,
        family=family,
        no_finer=no_finer,
        further=tuple(further),
        polysemantic=polysemantic,
        missing_evidence=missing_evidence,
        suggested_name=suggested_name,
        confidence=confidence,
        note=note,
        seen=tuple(seen),
    )
    return _add(user, neuron, said, submission, lease)


@transaction.atomic
def add_and_take(
    user: User,
    neuron: Neuron,
    *,
    submission: uuid.UUID | None = None,
    lease: uuid.UUID | None = None,
    network: Network | None = None,
    layer: Layer | None = None,
    skipping: frozenset[int] = frozenset(),
    count: int = 1,
    **reading: Any,
) -> tuple[Label, list[Lease]]:
    """``add`` and ``leases.take`` in one: both are done, or neither. Sent again, it gives what it gave."""
    said = Said(**reading)
    label = _add(user, neuron, said, submission, lease)
    return label, leases.next_for(user, network=network, layer=layer, skipping=skipping, count=count)


def _add(user: User, neuron: Neuron, said: Said, submission: uuid.UUID | None, lease: uuid.UUID | None) -> Label:
    require(can_label(user, neuron))
    neuron = locked(neuron)
    every = labels_of([neuron])
    if submission is not None:
        for label in every[neuron.pk]:
            if label.author_id == user.pk and label.submission == submission:
                return label
    held = leases.held(user, neuron, lease)
    (label,) = give(user, [neuron], said, every=every, held={neuron.pk: held}, submission=submission)
    return label


def labels_of(neurons: Collection[Neuron]) -> dict[int, list[Label]]:
    """All that anybody ever read in these neurons, oldest first."""
    rows = list(Label.objects.filter(neuron__in=[neuron.pk for neuron in neurons]).order_by("pk"))
    prefetch_related_objects([label for label in rows if label.polysemantic], "further")
    found: dict[int, list[Label]] = {neuron.pk: [] for neuron in neurons}
    for label in rows:
        found[label.neuron_id].append(label)
    return found


def give(
    user: User,
    neurons: Sequence[Neuron],
    said: Said,
    *,
    every: Mapping[int, list[Label]],
    held: Mapping[int, Lease | None],
    submission: uuid.UUID | None,
) -> list[Label]:
    """One label for each of these neurons of one layer, which are locked; those already read so keep what they have.

    Args:
        every: as ``labels_of`` tells.
        held: the leases under which they are read.
    """
    tree = Tree.of(neurons[0].layer)
    said.check(neurons[0].layer, tree)
    known = Known.of(neurons, user)
    given, new, superseded, golds = [], [], [], []
    for neuron in neurons:
        lease = held[neuron.pk]
        own = [label for label in every[neuron.pk] if label.author_id == user.pk]
        before = next((label for label in own if label.superseded_at is None), None)
        # A settled answer stands in the open, but not for whoever holds the neuron: as a gold one, or because it was
        # settled while they looked at it.
        hidden = lease is not None and lease.is_live
        gold = lease is not None and lease.gold and neuron.standing == Standing.ACCEPTED
        gold = gold and all(label.undone_at for label in own) and not known[neuron.pk].revealed
        blind = (gold or hidden or not neuron.is_settled) and not known[neuron.pk].revealed
        label = said.of(neuron, user, submission=submission, gold=gold, blind=blind)
        if before is not None and _says_the_same(before, label, said.others):
            leases.end(lease, before)
            given.append(before)
            continue
        if before is not None:
            superseded.append(before)
        if gold:
            golds.append(neuron)
        given.append(label)
        new.append(label)
    if superseded:
        Label.objects.filter(pk__in=[label.pk for label in superseded]).update(superseded_at=timezone.now())
    if not new:
        return given
    new[0].clean_fields(exclude=["neuron", "author", "family", "follows"])  # those are rows, found before
    Label.objects.bulk_create(new)
    _attach(new, said)
    changed = {label.neuron_id for label in superseded}
    for label in new:
        leases.end(held[label.neuron_id], label)
        events.record(
            user, "label.changed" if label.neuron_id in changed else "label.added", neuron=label.neuron, label=label
        )
    if golds:  # the answer comes at once, to this person alone
        reveal(user, *golds)
    over = {label.pk for label in superseded}
    current = {
        label.neuron_id: [
            *(one for one in every[label.neuron_id] if one.superseded_at is None and one.pk not in over),
            label,
        ]
        for label in new
    }
    _retally(user, [label.neuron for label in new], current, known, tree)
    return given


def _attach(new: Sequence[Label], said: Said) -> None:
    """The further families, and what was seen of each label's own neuron."""
    Further, Seen = Label.further.through, Label.seen.through
    if said.others:
        Further.objects.bulk_create(Further(label=label, family=family) for label in new for family in said.others)
    seen = list(said.seen)
    if seen:
        Seen.objects.bulk_create(
            Seen(label=label, evidenceversion=version)
            for label in new
            for version in dict.fromkeys(seen)
            if version.evidence.neuron_id == label.neuron_id
        )


@transaction.atomic
def undo(user: User, label: Label) -> Label:
    """Take back a label within its first minute, before the others' readings were shown; an earlier one counts again.

    The queue hands the neuron to the same person again, if nobody has taken its place meanwhile.

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
        carry_on(before, blind=before.blind)
    retally(user, neuron)
    if before is None and can_label(user, neuron) and leases.has_room(user, neuron):
        leases.lend(user, neuron)
    return label


@transaction.atomic
def show_others(user: User, neuron: Neuron) -> None:
    """Show this person now how others read the neuron. Recorded; their label can no longer be taken back.

    Raises:
        Refused: to who has not read the neuron and does not review, and while its settled answer is hidden from them.
    """
    neuron = locked(neuron)
    has_read = neuron.labels.current().filter(author=user).exists()
    require(can_see_readings(user, neuron, has_given=has_read, is_hidden=neuron.pk in hidden_from(user)))
    reveal(user, neuron)
    # An earlier look, at what was settled then, does not stand for this one: it is this that ends the minute.
    Reveal.objects.filter(neuron=neuron, person=user).update(at=timezone.now())


def carry_on(label: Label, *, blind: bool, **changes: Any) -> Label:
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
    return locked_in_order([neuron])[0]


def locked_in_order(neurons: Iterable[Neuron]) -> list[Neuron]:
    """The same for several: in the order of their keys, as everybody who holds more than one has to."""
    given = {neuron.pk: neuron for neuron in neurons}
    found = Neuron.objects.filter(pk__in=sorted(given)).order_by("pk")
    layer = Neuron._meta.get_field("layer")
    if not all(layer.is_cached(neuron) for neuron in given.values()):
        return list(found.select_related("layer__network").select_for_update(of=["self"], no_key=True))
    locked = list(found.select_for_update(of=["self"], no_key=True))
    for neuron in locked:  # what names it does not change
        neuron.layer = given[neuron.pk].layer
    return locked


@dataclass(frozen=True)
class Tree:
    """A layer's families as they are now, and how many readings its neurons ask for."""

    layer: int
    parents: Mapping[int, int | None]
    retired: frozenset[int]
    overlap: int

    @classmethod
    def of(cls, layer: Layer) -> "Tree":
        # Read anew: what came along with a lock that was waited for may be older than the lock.
        families = ("overlap", "families__pk", "families__parent", "families__retired_at")
        rows = list(Layer.objects.filter(pk=layer.pk).order_by().values_list(*families))
        return cls(
            layer=layer.pk,
            parents={pk: parent for _, pk, parent, _ in rows if pk},
            retired=frozenset(pk for _, pk, _, retired_at in rows if retired_at),
            overlap=rows[0][0],
        )


SAID = ("verdict", "family_id", "no_finer", "polysemantic", "missing_evidence", "suggested_name", "confidence", "note")


def _says_the_same(before: Label, label: Label, others: list[Family]) -> bool:
    return all(getattr(before, name) == getattr(label, name) for name in SAID) and set(before.further.all()) == set(
        others
    )


def needs_of(neurons: Collection[Neuron]) -> dict[int, list[Need]]:
    found: dict[int, list[Need]] = {neuron.pk: [] for neuron in neurons}
    for need in Need.objects.filter(neuron__in=neurons).order_by("pk"):
        found[need.neuron_id].append(need)
    return found


def readings_by_neuron(
    neurons: Collection[Neuron], needs: Mapping[int, Sequence[Need]]
) -> dict[int, list[consensus.Reading]]:
    """The current labels of each of these neurons as the rule reads them."""
    return {pk: readings_of(rows, needs[pk]) for pk, rows in current_labels(neurons).items()}


def current_labels(neurons: Collection[Neuron]) -> dict[int, list[Label]]:
    return {pk: [label for label in rows if label.superseded_at is None] for pk, rows in labels_of(neurons).items()}


def readings_of(found: Iterable[Label], needs: Iterable[Need]) -> list[consensus.Reading]:
    """Labels of one neuron as the rule reads them; a need that was met answers the labels before it that missed it."""
    met = [(need.kind, need.met_at) for need in needs if need.met_at is not None]
    return [reading_of(label, met) for label in found]


def tally(neuron: Neuron, found: list[consensus.Reading], result: consensus.Result) -> Tally:
    return Tally.objects.create(
        neuron=neuron,
        standing=result.standing,
        family_id=result.family,
        rule_version=consensus.RULE_VERSION,
        inputs=[reading.label for reading in found],
    )


def retally(user: User, *neurons: Neuron, review: Review | None = None) -> None:
    """Derive the standing again from labels, needs and objections. Labels do not undo a decision (accepted, contested).

    Call with the neurons locked.

    Args:
        review: the decision after which the standing is derived again, where it is one.
    """
    _retally(user, neurons, current_labels(neurons), Known.of(neurons, user), None, review)


def _retally(
    user: User,
    neurons: Collection[Neuron],
    current: Mapping[int, list[Label]],
    known: Mapping[int, "Known"],
    tree: Tree | None,
    review: Review | None = None,
) -> None:
    needs = needs_of([neuron for neuron in neurons if known[neuron.pk].needs])
    trees = {tree.layer: tree} if tree is not None else {}
    for neuron in neurons:
        if neuron.layer_id not in trees:
            trees[neuron.layer_id] = Tree.of(neuron.layer)
        own = needs.get(neuron.pk, [])
        found = readings_of(current[neuron.pk], own)
        _settle(user, neuron, found, own, known[neuron.pk], trees[neuron.layer_id], review)


@dataclass(frozen=True)
class Known:
    """What else is known of a neuron, read under its lock: whether there are needs and reviews, and its last tally."""

    needs: bool
    reviews: bool
    revealed: bool  # to the person who acts
    tally: tuple[str, int | None] | None

    @classmethod
    def of(cls, neurons: Collection[Neuron], user: User) -> dict[int, "Known"]:
        here = OuterRef("pk")
        last = Tally.objects.filter(neuron=here).order_by("-pk")
        rows = (
            Neuron.objects.filter(pk__in=[neuron.pk for neuron in neurons])
            .order_by()
            .values_list(
                "pk",
                Exists(Need.objects.filter(neuron=here)),
                Exists(Review.objects.filter(neuron=here)),
                Exists(Reveal.objects.filter(neuron=here, person=user)),
                Subquery(last.values(told=JSONObject(standing="standing", family="family_id"))[:1]),
            )
        )
        return {
            pk: cls(needs, reviews, revealed, (tally["standing"], tally["family"]) if tally else None)
            for pk, needs, reviews, revealed, tally in rows
        }


def _settle(
    user: User,
    neuron: Neuron,
    found: list[consensus.Reading],
    needs: Sequence[Need],
    known: Known,
    tree: Tree,
    review: Review | None,
) -> None:
    neuron.readings = len(found)
    if not neuron.is_settled:
        against = challenge(neuron.reviews.all(), timezone.now()) if known.reviews else None
        result = consensus.standing(
            found,
            tree.parents,
            awaits_evidence=any(need.review_id and not need.met_at and not need.withdrawn_at for need in needs),
            objected=against is not None and against.decision == Decision.OBJECT,
            reopened=against is not None and against.decision == Decision.REOPEN,
        )
        if review is None and against is not None and result.standing == Standing.DISPUTED:
            review = against
        if known.tally != (result.standing, result.family):
            tally(neuron, found, result)
        if result.standing != neuron.standing and result.standing in TOLD:
            events.record(user, f"neuron.{result.standing.replace(' ', '_')}", neuron=neuron, review=review)
        if result.standing == Standing.NEEDS_EVIDENCE:
            _note_needs(neuron, found, needs)
        neuron.standing = result.standing
    neuron.asks = consensus.asked(found, neuron.standing, tree.overlap)
    neuron.save(update_fields=["readings", "standing", "asks"])


# Standings that are told as events; the others say no more than how many have read the neuron.
TOLD = (Standing.AGREED, Standing.DISPUTED, Standing.NEEDS_EVIDENCE, Standing.NEEDS_FAMILY)


def _note_needs(neuron: Neuron, found: Sequence[consensus.Reading], needs: Sequence[Need]) -> None:
    """What labels miss is noted as needed; ``actions/needs.tend`` asks the workers for it."""
    missed = {reading.label for reading in found if reading.cannot_tell and not reading.answered}
    known = {need.kind for need in needs if need.met_at is None and need.withdrawn_at is None}
    kinds = set(Label.objects.filter(pk__in=missed).values_list("missing_evidence", flat=True)) - known
    for kind in sorted(kinds):
        Need.objects.create(neuron=neuron, kind=kind)
    if kinds:
        dispatch.enqueue("site.tend")


def reveal(user: User, *neurons: Neuron) -> None:
    """Record that others' readings, or the settled answer, are being shown to this person. One query."""
    if neurons:
        reveal_those(user, Neuron.objects.filter(pk__in=[neuron.pk for neuron in neurons]))


def reveal_those(user: User, neurons: QuerySet[Neuron]) -> None:
    """``reveal`` for neurons that nobody has asked for yet, in the same one query."""
    try:
        those, values = neurons.order_by().values("pk").query.sql_with_params()
    except EmptyResultSet:
        return
    # In one order: the same person's other request, revealing some of them too, must not wait for this one in a circle.
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            INSERT INTO taxonomy_reveal (neuron_id, person_id, at)
            SELECT DISTINCT shown.pk, %s::bigint, %s::timestamptz FROM ({those}) AS shown(pk)
            WHERE NOT EXISTS (SELECT FROM taxonomy_reveal WHERE neuron_id = shown.pk AND person_id = %s)
            ORDER BY 1
            ON CONFLICT DO NOTHING
            """,
            [user.pk, timezone.now(), *values, user.pk],
        )
