"""What was when: a neuron at any moment, replayed from events and the immutable rows that they name.

Nothing here reads what is only kept for speed (a neuron's standing, readings and asks, the ends of labels, memberships
and needs): so ``verify`` can hold these to the record.
"""

import datetime
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import OuterRef, Q, QuerySet, prefetch_related_objects
from django.utils import timezone
from django.utils.dateparse import parse_date, parse_datetime

from taxonomy import audit, consensus
from taxonomy.audit import Difference
from taxonomy.models import (
    Decision,
    Event,
    Family,
    Label,
    Layer,
    Membership,
    Need,
    Network,
    Neuron,
    Proposal,
    Review,
    Standing,
    Verdict,
)

OBJECTION = datetime.timedelta(hours=72)
# What decides where a neuron stands, until the next such decision.
DECIDED = {
    Decision.ACCEPT: Standing.ACCEPTED,
    Decision.SETTLE: Standing.ACCEPTED,
    Decision.RECONFIRM: Standing.ACCEPTED,
    Decision.STALE: Standing.STALE,
    Decision.CONTEST: Standing.CONTESTED,
    Decision.UNDO: None,
    Decision.DECLINE: None,
    Decision.REOPEN: None,
}
# After these a neuron's standing may be another.
TELLING = Q(verb__startswith="label.") | Q(verb__startswith="review.") | Q(verb__startswith="neuron.")
TELLING |= Q(verb="need.met")

Moment = datetime.datetime
Tree = Mapping[int, int | None]


@dataclass
class State:
    """A neuron at a moment. ``family`` is the node that its labels qualify for; the first of ``members`` is primary."""

    standing: str
    family: int | None
    labels: list[Label]
    members: list[Membership]
    reviews: list[Review]
    readings: list[consensus.Reading]


@dataclass
class Record:
    """All that ever happened to a neuron: its rows by key, and the events that tell of them."""

    labels: list[Label] = field(default_factory=list)
    reviews: list[Review] = field(default_factory=list)
    members: list[Membership] = field(default_factory=list)
    needs: list[Need] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)

    def at(self, tree: Tree, moment: Moment | None = None, *, ripe_by: Moment | None = None) -> State:
        """The neuron at the end of this moment, or now.

        Args:
            tree: for each family of the layer its parent. It is that of any moment: families keep their parents.
            ripe_by: objections 72 hours old by then count; the moment itself, where it is not said.
        """
        labels = self._labels(moment)
        reviews = [review for review in self.reviews if _by(review.at, moment)]
        standing, members = self._decided(reviews, moment)
        readings = self._readings(labels, moment)
        family = consensus.qualifying(readings, tree)
        if standing is None:
            against = challenge(reviews, ripe_by or moment or timezone.now())
            result = consensus.standing(
                readings,
                tree,
                awaits_evidence=any(self._awaits(review, reviews, moment) for review in reviews),
                objected=against is not None and against.decision == Decision.OBJECT,
                reopened=against is not None and against.decision == Decision.REOPEN,
            )
            standing, family = result.standing, result.family
        return State(standing, family, labels, members, reviews, readings)

    def _labels(self, moment: Moment | None) -> list[Label]:
        """Each person's newest label by then that was not taken back by then."""
        taken_back = self.taken_back(moment)
        current = {
            label.author_id: label
            for label in self.labels
            if _by(label.created_at, moment) and label.pk not in taken_back
        }
        return sorted(current.values(), key=lambda label: label.pk)

    def taken_back(self, moment: Moment | None = None) -> set[int | None]:
        return {event.label_id for event in self.events if event.verb == "label.undone" and _by(event.at, moment)}

    def _decided(self, reviews: Sequence[Review], moment: Moment | None) -> tuple[str | None, list[Membership]]:
        """What people, or an import, decided last, and what the neuron is a member of by that."""
        imported = [member for member in self.members if member.review_id is None and _by(member.made_at, moment)]
        steps: list[Review | Membership] = sorted([*reviews, *imported], key=_time)
        standing: str | None = None
        members: list[Membership] = []
        for step in steps:
            if isinstance(step, Membership):
                standing, members = Standing.ACCEPTED, [*members, step]
            elif step.decision in DECIDED:
                standing = DECIDED[Decision(step.decision)]
                if step.decision in (Decision.ACCEPT, Decision.SETTLE):
                    members = [member for member in self.members if member.review_id == step.pk]
                elif step.decision in (Decision.UNDO, Decision.DECLINE):
                    members = []
        return standing, sorted(members, key=lambda member: (not member.primary, member.pk))

    def _readings(self, labels: Iterable[Label], moment: Moment | None) -> list[consensus.Reading]:
        met = [
            (event.data["kind"], event.at)
            for event in self.events
            if event.verb == "need.met" and _by(event.at, moment)
        ]
        return [reading_of(label, met) for label in labels]

    def _awaits(self, demand: Review, reviews: Sequence[Review], moment: Moment | None) -> bool:
        """Whether a reviewer's demand for evidence stands: it was neither met nor withdrawn by then."""
        if demand.decision != Decision.NEED_EVIDENCE:
            return False
        met = any(
            event.verb == "need.met" and event.review_id == demand.pk and _by(event.at, moment) for event in self.events
        )
        return not met and all(review.answers_id != demand.pk for review in reviews)

    def members_at(self, moment: Moment | None) -> list[Membership]:
        """What the neuron was a member of at the end of this moment, its primary family first."""
        return self._decided([review for review in self.reviews if _by(review.at, moment)], moment)[1]


def _by(at: Moment, moment: Moment | None) -> bool:
    return moment is None or at <= moment


def _time(step: Review | Membership) -> Moment:
    return step.at if isinstance(step, Review) else step.made_at


def reading_of(label: Label, met: Iterable[tuple[str, Moment]]) -> consensus.Reading:
    """A label as the rule reads it; evidence that came (kind, when) answers the labels before it that missed it."""
    return consensus.Reading(
        label=label.pk,
        author=label.author_id,
        family=label.family_id,
        no_finer=label.no_finer,
        cannot_tell=label.verdict == Verdict.CANNOT_TELL,
        answered=any(kind == label.missing_evidence and at >= label.created_at for kind, at in met),
        further=frozenset(family.pk for family in label.further.all()) if label.polysemantic else frozenset(),
    )


def standing_reviews(reviews: Iterable[Review]) -> list[Review]:
    """A neuron's objections and reopenings that stand, the oldest first.

    What was withdrawn does not stand, nor what came before an editor's decision, unless that was taken back itself.
    """
    rows = sorted(reviews, key=lambda review: review.pk)
    answered = {review.answers_id for review in rows}
    found: list[Review] = []
    for review in rows:
        if review.pk in answered:
            continue
        if review.decision in (Decision.SETTLE, Decision.CONTEST):
            found = []
        elif review.decision in (Decision.OBJECT, Decision.REOPEN):
            found.append(review)
    return found


def challenge(reviews: Iterable[Review], now: Moment) -> Review | None:
    """What makes the neuron disputed beside its labels: its reopening, or an objection that has stood for 72 hours."""
    stand = standing_reviews(reviews)
    reopened = [review for review in stand if review.decision == Decision.REOPEN]
    ripe = [review for review in stand if review.decision == Decision.OBJECT and review.at <= now - OBJECTION]
    return next(iter(reopened + ripe), None)


def records(neurons: QuerySet[Neuron]) -> dict[int, Record]:
    """The record of each of these neurons, in seven queries for many as for one."""
    found = {pk: Record() for pk in neurons.order_by().values_list("pk", flat=True)}
    own = Q(neuron__in=neurons.order_by().values("pk"))
    labels = Label.objects.filter(own).defer("note", "suggested_name", "confidence", "submission")
    _fill(found, own, labels)
    for need in Need.objects.filter(own).order_by("pk"):
        found[need.neuron_id].needs.append(need)
    return found


def record_of(neuron: Neuron) -> Record:
    """A neuron's record as a page tells it: with people, and the keys of what evidence they saw or cited. Five queries.

    Each label and decision has these keys as ``versions``.
    """
    seen = Label.seen.through.objects.filter(label=OuterRef("pk")).order_by("pk").values("evidenceversion")
    cited = Review.cites.through.objects.filter(review=OuterRef("pk")).order_by("pk").values("evidenceversion")
    found = {neuron.pk: Record()}
    own = Q(neuron=neuron)
    labels = Label.objects.filter(own).select_related("author", "family").annotate(versions=ArraySubquery(seen))
    reviews = Review.objects.filter(own).select_related("reviewer", "family", "tally")
    _fill(found, own, labels, reviews.annotate(versions=ArraySubquery(cited)))
    return found[neuron.pk]


def _fill(
    found: Mapping[int, Record], own: Q, labels: QuerySet[Label], reviews: QuerySet[Review] | None = None
) -> None:
    for label in labels.order_by("pk"):
        found[label.neuron_id].labels.append(label)
    prefetch_related_objects([one for record in found.values() for one in record.labels if one.polysemantic], "further")
    _fill_decisions(found, own, reviews if reviews is not None else Review.objects.filter(own).select_related("tally"))
    for event in Event.objects.filter(own & TELLING).order_by("pk"):
        assert event.neuron_id is not None
        found[event.neuron_id].events.append(event)


def _fill_decisions(found: Mapping[int, Record], own: Q, reviews: QuerySet[Review]) -> None:
    for review in reviews.order_by("pk"):
        found[review.neuron_id].reviews.append(review)
    for member in Membership.objects.filter(own).select_related("family", "made_by").order_by("pk"):
        found[member.neuron_id].members.append(member)


def members_of(family: Family, moment: Moment) -> list[Membership]:
    """Who was in the family at the end of this moment, in the order of their coming. Three queries."""
    ever = Membership.objects.filter(family=family)
    found = {pk: Record() for pk in ever.values_list("neuron", flat=True)}
    own = Q(neuron__in=found)
    _fill_decisions(found, own, Review.objects.filter(own).select_related("reviewer"))
    members = [member for record in found.values() for member in record.members_at(moment)]
    deciders = {review.pk: review for record in found.values() for review in record.reviews}
    for member in members:
        member.review = deciders.get(member.review_id or 0)
    return sorted((member for member in members if member.family_id == family.pk), key=lambda member: member.pk)


def moment(text: str) -> Moment:
    """A moment in words of a computer: a date stands for its end, or for now while it lasts; times are in UTC.

    Raises:
        ValueError: with a sentence, for what is no date and for what has not come yet.
    """
    now = timezone.now()
    text = text.replace("\0", "").strip()
    try:
        day = parse_date(text)
        when = datetime.datetime.combine(day, datetime.time.max) if day else parse_datetime(text)
        if when is not None:
            when = when.replace(tzinfo=datetime.UTC) if timezone.is_naive(when) else when.astimezone(datetime.UTC)
    except (ValueError, OverflowError):
        when = day = None
    if when is None:
        raise ValueError(f"“{text[:40]}” is no date. Write it as {now:%Y-%m-%d}.")
    if when > now and (day is None or day > now.date()):
        raise ValueError(f"{when:%-d %B %Y} has not come yet. Choose a day up to {now:%Y-%m-%d}.")
    return min(when, now)


@dataclass
class Verified:
    """How much was derived again, and what differed."""

    counts: Counter[str] = field(default_factory=Counter)
    differences: list[Difference] = field(default_factory=list)


def verify(network: Network) -> Verified:
    """Derive everything about the network's neurons again, and hold what is stored to it; its notes and claims too.

    Ten queries a layer, and ten.
    """
    found = Verified()
    for layer in network.layers.order_by("order"):
        found.counts["layers"] += 1
        layer.network = network
        _verify_layer(layer, found)
    found.differences += audit.notes(network, found.counts)
    found.differences += audit.claims(network, found.counts)
    return found


def _verify_layer(layer: Layer, found: Verified) -> None:
    families = {family.pk: family for family in layer.families.all()}
    tree = {pk: family.parent_id for pk, family in families.items()}
    neurons = layer.neurons.order_by("index")
    every = records(neurons)
    following = _following(layer)
    for neuron in neurons:
        neuron.layer = layer
        record = every[neuron.pk]
        for name, rows in (
            ("neurons", 1),
            ("labels", len(record.labels)),
            ("decisions", len(record.reviews)),
            ("memberships", len(record.members)),
            ("events", len(record.events)),
        ):
            found.counts[name] += rows
        check = Check(neuron, record, tree, families, following)
        found.differences += [Difference(what, str(neuron), sentence) for what, sentence in check.differences()]
    found.differences += _imports(layer, families, every.values())


def _following(layer: Layer) -> set[tuple[int, int]]:
    """(label, family): labels that asked for a family which was accepted, and so may be followed by one in it."""
    accepted = Proposal.objects.filter(layer=layer, family__isnull=False, events__verb="proposal.accepted")
    return set(accepted.filter(asked_by__isnull=False).values_list("asked_by", "family"))


def _imports(layer: Layer, families: Mapping[int, Family], every: Iterable[Record]) -> Iterator[Difference]:
    """Each import tells how many neurons it put into a family."""
    told: Counter[int | None] = Counter()
    for event in Event.objects.filter(layer=layer, verb="family.imported"):
        told[event.family_id] += event.data["neurons"]
    there = Counter(member.family_id for record in every for member in record.members if member.review_id is None)
    for pk in sorted(set(there) | {pk for pk in told if pk is not None}):
        if there[pk] != told[pk]:
            name = families[pk].name if pk in families else f"family {pk}"
            yield Difference(
                "memberships",
                f"{layer}, {name}",
                f"{there[pk]} neurons were put into it by no decision, and its imports tell of {told[pk]}.",
            )


@dataclass
class Check:
    """What is stored of one neuron, against its record."""

    neuron: Neuron
    record: Record
    tree: Tree
    families: Mapping[int, Family]
    following: set[tuple[int, int]]

    def differences(self) -> Iterator[tuple[str, str]]:
        yield from self._events()
        yield from self._labels()
        last = self.record.events[-1].at if self.record.events else None
        state = self.record.at(self.tree, ripe_by=last)
        yield from self._members(state)
        yield from self._needs()
        neuron = self.neuron
        asks = consensus.asked(state.readings, state.standing, neuron.layer.overlap)
        for what, stored, expected in (
            ("standing", neuron.standing, state.standing),
            ("readings", neuron.readings, len(state.labels)),
            ("asks", neuron.asks, asks),
        ):
            if stored != expected:
                yield what, f"{what} is stored as {stored}, and the record makes it {expected}."

    def _events(self) -> Iterator[tuple[str, str]]:
        """Every decision is told by an event, and an acceptance rests on labels that bear it out."""
        told = {event.review_id for event in self.record.events if event.verb.startswith("review.")}
        for review in self.record.reviews:
            if review.pk not in told:
                yield "events", f"decision {review.pk} ({review.decision}) is told by no event."
            if review.decision == Decision.ACCEPT and not self._borne_out(review):
                yield (
                    "decisions",
                    f"decision {review.pk} accepts a family for which the labels of its tally do not qualify.",
                )

    def _of_tally(self, review: Review) -> list[consensus.Reading]:
        inputs = set(review.tally.inputs) if review.tally else set()
        return [reading_of(label, ()) for label in self.record.labels if label.pk in inputs]

    def _borne_out(self, review: Review) -> bool:
        return review.family_id is not None and consensus.qualifies(review.family_id, self._of_tally(review), self.tree)

    def _labels(self) -> Iterator[tuple[str, str]]:
        told = {event.label_id for event in self.record.events if event.verb in ("label.added", "label.changed")}
        taken_back = self.record.taken_back()
        current = {label.pk for label in self.record.at(self.tree).labels}
        for label in self.record.labels:
            if label.pk not in told and not self._follows(label, taken_back):
                yield "labels", f"label {label.pk} is told by no event."
            if (label.undone_at is not None) != (label.pk in taken_back):
                stored = "taken back" if label.undone_at else "not taken back"
                yield "labels", f"label {label.pk} is stored as {stored}, and the events say otherwise."
            if (label.superseded_at is None) != (label.pk in current):
                stored = "current" if label.superseded_at is None else "superseded"
                expected = "current" if label.pk in current else "superseded"
                yield "labels", f"label {label.pk} is stored as {stored}, and the record makes it {expected}."

    def _follows(self, label: Label, taken_back: set[int | None]) -> bool:
        """Whether it carries an earlier one on, for a reason that is told: a later one undone, or a family made."""
        if label.follows_id is None:
            return False
        undone = any(
            other.author_id == label.author_id and other.pk in taken_back and label.follows_id < other.pk < label.pk
            for other in self.record.labels
        )
        return undone or (label.family_id is not None and (label.follows_id, label.family_id) in self.following)

    def _members(self, state: State) -> Iterator[tuple[str, str]]:
        expected = {member.pk for member in state.members}
        for member in self.record.members:
            name = self._name(member.family_id)
            if (member.ended_at is None) != (member.pk in expected):
                stored = "current" if member.ended_at is None else "ended"
                made = "current" if member.pk in expected else "ended"
                yield (
                    "memberships",
                    f"membership {member.pk} in {name} is stored as {stored}, and the record makes it {made}.",
                )
        for review in self.record.reviews:
            wanted = self._wanted(review)
            if sorted(wanted) != sorted(one.family_id for one in self.record.members if one.review_id == review.pk):
                names = " and ".join(self._name(pk) for pk in wanted) or "no family"
                yield (
                    "memberships",
                    f"decision {review.pk} ({review.decision}) puts it into {names}, its memberships differ.",
                )

    def _wanted(self, review: Review) -> list[int]:
        """The families that a decision makes the neuron a member of."""
        if review.decision not in (Decision.ACCEPT, Decision.SETTLE) or review.family_id is None:
            return []
        also = review.decision == Decision.ACCEPT
        further = consensus.further(self._of_tally(review), self.tree, review.family_id) if also else []
        return [review.family_id, *further]

    def _name(self, family: int) -> str:
        return self.families[family].name if family in self.families else f"family {family} of another layer"

    def _needs(self) -> Iterator[tuple[str, str]]:
        met = Counter(event.data["kind"] for event in self.record.events if event.verb == "need.met")
        stored = Counter(need.kind for need in self.record.needs if need.met_at is not None)
        for kind in sorted(met | stored):
            if met[kind] != stored[kind]:
                yield "needs", f"{stored[kind]} needs of {kind} are stored as met, and the events tell of {met[kind]}."
        answered = {review.answers_id for review in self.record.reviews if review.decision == Decision.WITHDRAW}
        for need in self.record.needs:
            if (need.withdrawn_at is not None) != (need.review_id is not None and need.review_id in answered):
                stored_as = "withdrawn" if need.withdrawn_at else "not withdrawn"
                yield (
                    "needs",
                    f"need {need.pk} of {need.kind} is stored as {stored_as}, and the decisions say otherwise.",
                )
