"""Reviewing: what people decide on a neuron that others have read, one verb for each step of the state table."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Exists, OuterRef, prefetch_related_objects
from django.utils import timezone
from django.utils.functional import cached_property

from taxonomy import consensus, dispatch, events
from taxonomy.actions import notifications
from taxonomy.actions.labels import locked, readings_of, retally, tally
from taxonomy.actions.needs import can_need, why_not
from taxonomy.history import DECIDED, OBJECTION, standing_reviews
from taxonomy.models import (
    Claim,
    ClaimKind,
    Comment,
    Decision,
    Event,
    EvidenceVersion,
    Family,
    Gold,
    Label,
    Lease,
    Membership,
    Need,
    Neuron,
    Review,
    Ruling,
    Run,
    Standing,
    User,
    Verdict,
    Why,
)
from taxonomy.permissions import (
    Allowed,
    Answer,
    Denied,
    Person,
    Refused,
    can_arbitrate,
    can_reopen,
    can_review,
    given,
    require,
)

# The event that each decision is told by.
VERBS = {
    Decision.ACCEPT: "review.accepted",
    Decision.OBJECT: "review.objected",
    Decision.WITHDRAW: "review.withdrawn",
    Decision.NEED_EVIDENCE: "review.evidence_needed",
    Decision.UNDO: "review.undone",
    Decision.STALE: "review.outdated",
    Decision.RECONFIRM: "review.reconfirmed",
    Decision.DECLINE: "review.declined",
    Decision.SETTLE: "review.settled",
    Decision.CONTEST: "review.contested",
    Decision.REOPEN: "review.reopened",
}


@dataclass
class Case:
    """A neuron as whoever decides on it must know it: what was read, decided, needed and said there.

    ``tree`` gives for each family of the layer its parent.
    """

    neuron: Neuron
    tree: Mapping[int, int | None]
    labels: list[Label] = field(default_factory=list)  # all that were not taken back, superseded ones too
    reviews: list[Review] = field(default_factory=list)
    needs: list[Need] = field(default_factory=list)
    commented: bool = False  # whether the person who asks said something there, or stated a claim on it

    @cached_property
    def current(self) -> list[Label]:
        return [label for label in self.labels if label.superseded_at is None]

    @cached_property
    def readings(self) -> list[consensus.Reading]:
        return readings_of(self.current, self.needs)

    def readings_without(self, user: Person) -> list[consensus.Reading]:
        return [reading for reading in self.readings if reading.author != user.pk]

    @cached_property
    def agreed(self) -> int | None:
        """The family that the current labels qualify for."""
        return consensus.qualifying(self.readings, self.tree)

    @cached_property
    def standing_reviews(self) -> list[Review]:
        return standing_reviews(self.reviews)

    @property
    def objections(self) -> list[Review]:
        return [review for review in self.standing_reviews if review.decision == Decision.OBJECT]

    @property
    def may_need(self) -> bool:
        """Whether evidence was ever missed here: by a label, or by a reviewer."""
        missed = any(label.verdict == Verdict.CANNOT_TELL for label in self.labels)
        return missed or self.last(Decision.NEED_EVIDENCE) is not None

    @property
    def open_needs(self) -> list[Need]:
        return [need for need in self.needs if need.met_at is None and need.withdrawn_at is None]

    def last(self, *decisions: str) -> Review | None:
        """The newest of these decisions."""
        return next((review for review in reversed(self.reviews) if review.decision in decisions), None)

    @property
    def state(self) -> str:
        """What a page showed, so that a decision made on it can tell whether it still is so."""
        decided = self.reviews[-1].pk if self.reviews else 0
        return f"{self.neuron.standing}:{self.agreed or 0}:{decided}".replace(" ", "-")

    @cached_property
    def parties(self) -> dict[int, User]:
        """Who labelled or reviewed here."""
        found = {label.author_id: label.author for label in self.labels}
        found |= {review.reviewer_id: review.reviewer for review in self.reviews if not review.reviewer.is_system}
        return found


def cases(
    user: Person,
    neurons: Sequence[Neuron],
    tree: Mapping[int, int | None] | None = None,
    labels: Iterable[Label] | None = None,
) -> dict[int, Case]:
    """The case of each neuron, in as many queries for many as for one.

    Args:
        tree: for each family of the neurons' layers its parent, where they are known already.
        labels: all of theirs that were not taken back, as ``labels_for`` finds them, where they are known already.
    """
    if tree is None:
        layers = {neuron.layer_id for neuron in neurons}
        tree = dict(Family.objects.filter(layer__in=layers).values_list("pk", "parent_id"))
    found = {neuron.pk: Case(neuron, tree) for neuron in neurons}
    for label in labels_for(neurons) if labels is None else labels:
        found[label.neuron_id].labels.append(label)
    for review in Review.objects.filter(neuron__in=found).select_related("reviewer", "family").order_by("pk"):
        found[review.neuron_id].reviews.append(review)
    needing = [case.neuron.pk for case in found.values() if case.may_need]
    if needing:
        for need in Need.objects.filter(neuron__in=needing).select_related("job", "review__reviewer").order_by("pk"):
            found[need.neuron_id].needs.append(need)
    if can_arbitrate(user) and any(neuron.standing == Standing.DISPUTED for neuron in neurons):
        said = Comment.objects.filter(author=user.pk).order_by()
        there = said.filter(discussion__neuron__in=found).values_list("discussion__neuron")
        there = there.union(
            said.filter(discussion__claim__neuron__in=found).values_list("discussion__claim__neuron"),
            Claim.objects.filter(author=user.pk, neuron__in=found).order_by().values_list("neuron"),
        )
        for (pk,) in there:
            found[pk].commented = True
    return found


def labels_for(neurons: Sequence[Neuron]) -> list[Label]:
    """All labels of these neurons that were not taken back, superseded ones too, the oldest first."""
    found = Label.objects.filter(neuron__in=neurons, undone_at=None).select_related("author", "family").order_by("pk")
    labels = list(found)
    prefetch_related_objects([label for label in labels if label.polysemantic], "further")
    return labels


def _already(case: Case) -> Denied:
    return Denied(f"This neuron is already {case.neuron.standing}.")


def _may_accept(user: Person, case: Case) -> Answer:
    answer = can_review(user, case.neuron)
    if not answer:
        return answer
    standing = case.neuron.standing
    if case.neuron.is_settled:
        return _already(case)
    if standing == Standing.NEEDS_EVIDENCE:
        return Denied("It waits for evidence: accept it when that has come and it is agreed, or withdraw the demand.")
    if standing == Standing.DISPUTED:
        return Denied("A disputed neuron is settled by an editor who took no part in it.")
    if standing != Standing.AGREED or case.agreed is None:
        return Denied("Only an agreed neuron can be accepted: over two thirds, at least three people, for one family.")
    if case.objections:
        by = case.objections[0].reviewer
        return Denied(f"The objection of {by} stands: nobody accepts it before that is withdrawn or settled.")
    if not consensus.qualifies(case.agreed, case.readings_without(user), case.tree):
        return Denied("Your own reading decides this one: without it the others do not agree. Another reviewer has to.")
    return Allowed()


def _may_object(user: Person, case: Case) -> Answer:
    answer = can_review(user, case.neuron)
    if not answer:
        return answer
    if case.neuron.standing == Standing.ACCEPTED:
        return Denied("This neuron is already accepted: undo that, with your reason, instead of objecting.")
    if case.neuron.is_settled:
        return _already(case)
    if case.neuron.standing != Standing.AGREED:
        return Denied("Only to an agreed neuron can be objected: elsewhere give your own reading, or comment.")
    if any(review.reviewer_id == user.pk for review in case.objections):
        return Denied("Your objection stands already.")
    return Allowed()


def _withdrawable(user: Person, case: Case) -> Review | None:
    """The person's own demand for evidence that is not met, or own objection that stands: what holds it up now."""
    demands = [need.review for need in case.open_needs if need.review and need.review.reviewer_id == user.pk]
    objections = [review for review in case.objections if review.reviewer_id == user.pk]
    found = demands + objections if case.neuron.standing == Standing.NEEDS_EVIDENCE else objections + demands
    return next(iter(found), None)


def _may_withdraw(user: Person, case: Case) -> Answer:
    if not isinstance(user, User):
        return Denied("Sign in to withdraw an objection.")
    if not user.is_active:
        return Denied("This account is blocked.")
    if case.neuron.is_settled or _withdrawable(user, case) is None:
        return Denied("No objection of yours stands here, and no demand of yours for evidence.")
    return Allowed()


def _may_need_evidence(user: Person, case: Case) -> Answer:
    disputed = case.neuron.standing == Standing.DISPUTED
    answer = _may_arbitrate(user, case) if disputed else can_review(user, case.neuron)
    if not answer or disputed:
        return answer
    if case.neuron.is_settled:
        return _already(case)
    if case.neuron.standing == Standing.NEEDS_EVIDENCE:
        return Denied("It waits for evidence already.")
    if case.neuron.standing not in (Standing.OPEN, Standing.AGREED):
        return Denied("Evidence is demanded for an open or an agreed neuron: others have to read this one first.")
    return can_need(case.neuron.layer)


def _may_undo(user: Person, case: Case) -> Answer:
    answer = can_review(user, case.neuron)
    if answer and case.neuron.standing == Standing.STALE:
        return Denied("A stale neuron is reconfirmed or declined.")
    if answer and case.neuron.standing != Standing.ACCEPTED:
        return Denied("Only an accepted neuron can be undone.")
    return answer


def _may_decline(user: Person, case: Case) -> Answer:
    answer = can_review(user, case.neuron)
    if answer and case.neuron.standing != Standing.STALE:
        return Denied("Only a stale neuron is reconfirmed or declined: one whose evidence has changed since.")
    return answer


def _may_reconfirm(user: Person, case: Case) -> Answer:
    answer = _may_decline(user, case)
    if not answer:
        return answer
    family = case.last(Decision.ACCEPT, Decision.SETTLE)
    own = any(label.author_id == user.pk for label in case.current)
    if own and not (
        family is not None
        and family.family_id is not None
        and consensus.qualifies(family.family_id, case.readings_without(user), case.tree)
    ):
        return Denied("Your own reading decides this one: without it the others do not agree. Another reviewer has to.")
    return Allowed()


def _may_arbitrate(user: Person, case: Case) -> Answer:
    answer = can_arbitrate(user)
    if not answer:
        return answer
    if case.neuron.is_settled:
        return _already(case)
    if case.neuron.standing != Standing.DISPUTED:
        return Denied("Only a disputed neuron is settled by an editor.")
    return uninvolved(user, case)


def uninvolved(user: Person, case: Case) -> Answer:
    """Whether this editor took no part: neither labelled, reviewed, commented nor shares an affiliation with who did.

    Affiliations are compared as declared, without case and outer blanks.
    """
    assert isinstance(user, User)  # editors are asked
    for took, what in (
        (any(label.author_id == user.pk for label in case.labels), "labelled"),
        (any(review.reviewer_id == user.pk for review in case.reviews), "reviewed"),
        (case.commented, "commented on or made a claim about"),
    ):
        if took:
            return Denied(f"You have {what} this neuron yourself: an editor who took no part has to decide.")
    own = _affiliation(user)
    for party in case.parties.values():
        if own and _affiliation(party) == own:
            return Denied(
                f"You declare the same affiliation as {party}, who took part: an editor from elsewhere has to decide."
            )
    return Allowed()


def _affiliation(user: User) -> str:
    return " ".join(user.affiliation.split()).casefold()


def _may_reopen(user: Person, case: Case) -> Answer:
    answer = can_reopen(user)
    if answer and case.neuron.standing != Standing.CONTESTED:
        return Denied("Only a contested neuron is reopened, on evidence that is newer than the decision.")
    return answer


def _may_not(user: Person, case: Case) -> Answer:
    return Denied("A neuron becomes stale by itself, when the evidence that people saw has changed.")


# Who may decide what, asked of a case.
RULES: Mapping[str, Callable[[Person, Case], Answer]] = {
    Decision.ACCEPT: _may_accept,
    Decision.OBJECT: _may_object,
    Decision.WITHDRAW: _may_withdraw,
    Decision.NEED_EVIDENCE: _may_need_evidence,
    Decision.UNDO: _may_undo,
    Decision.STALE: _may_not,
    Decision.RECONFIRM: _may_reconfirm,
    Decision.DECLINE: _may_decline,
    Decision.SETTLE: _may_arbitrate,
    Decision.CONTEST: _may_arbitrate,
    Decision.REOPEN: _may_reopen,
}


def can(user: Person, neuron: Neuron, decision: str) -> Answer:
    """Whether this person may decide so on this neuron now."""
    return RULES[decision](user, cases(user, [neuron])[neuron.pk])


def can_each(user: Person, found: Mapping[int, Case]) -> dict[int, dict[str, Answer]]:
    """For each case the answer to every decision."""
    return {pk: {decision: rule(user, case) for decision, rule in RULES.items()} for pk, case in found.items()}


def can_accept(user: Person, neuron: Neuron) -> Answer:
    """Whether this reviewer may accept this neuron now: it must still be agreed with their own label left out."""
    return can(user, neuron, Decision.ACCEPT)


def _opened(user: User, neuron: Neuron, decision: Decision, state: str = "") -> Case:
    """The neuron's case, locked, in which this person may decide so.

    Args:
        state: ``Case.state`` as the page showed it.

    Raises:
        Refused: when the person may not, or the neuron has changed since.
    """
    neuron = locked(neuron)
    case = cases(user, [neuron])[neuron.pk]
    answer = RULES[decision](user, case)
    if state and state != case.state and may_act(user, decision) and _may_know(user, neuron):
        raise Refused(
            f"{neuron.address} has changed since you opened the page: it is {neuron.standing} now. Nothing was "
            "decided. Look at it again."
        )
    require(answer)
    return case


def _may_know(user: User, neuron: Neuron) -> bool:
    """Whether a refusal may say where it stands; others are told why they may not decide so."""
    if neuron.is_settled or can_review(user):
        return True
    return Neuron.objects.filter(given(user, "pk"), pk=neuron.pk).exists()


def may_act(user: Person, decision: Decision) -> bool:
    """Whether a person with this role may ever decide so."""
    if decision in (Decision.SETTLE, Decision.CONTEST):
        return bool(can_arbitrate(user))
    if decision in (Decision.REOPEN, Decision.WITHDRAW):
        return bool(can_reopen(user))
    return bool(can_review(user))


def _reason(comment: str) -> str:
    if not comment.strip():
        raise ValidationError({"comment": "Say why: the reason stays with the decision."})
    return comment.strip()


def _cited(neuron: Neuron, cites: Iterable[EvidenceVersion]) -> list[EvidenceVersion]:
    """The evidence versions that a rationale rests on, all of this neuron.

    Raises:
        ValidationError: when there are none, or one is of something else.
    """
    found = list(dict.fromkeys(cites))
    if not found:
        raise ValidationError(
            {"cites": "Cite evidence of this neuron, one piece at least: your rationale rests on it."}
        )
    for version in found:
        if version.evidence.neuron_id != neuron.pk:
            raise ValidationError({"cites": f"{version} is not evidence of {neuron.address}."})
    return found


def _write(
    user: User, case: Case, decision: Decision, *, cites: Iterable[EvidenceVersion] = (), **fields: Any
) -> Review:
    review = Review(neuron=case.neuron, reviewer=user, decision=decision, **fields)
    review.full_clean()
    review.save()
    review.cites.set(cites)
    return review


def _told(
    user: User, case: Case, review: Review, people: Mapping[int, Why] | None = None, claim: Claim | None = None
) -> Event:
    """The decision's event, told to who labelled the neuron, and to who objected.

    Args:
        claim: on which the decision rests.
    """
    event = events.record(
        user,
        VERBS[Decision(review.decision)],
        neuron=case.neuron,
        family=review.family,
        review=review,
        claim=claim,
        data={"kind": review.kind} if review.kind else None,
    )
    concerned = {label.author_id: Why.LABELLED for label in case.current}
    concerned |= {objection.reviewer_id: Why.OBJECTED for objection in case.objections}
    notifications.tell(event, concerned | dict(people or {}))
    return event


def _settle_as(case: Case, standing: Standing) -> None:
    case.neuron.standing, case.neuron.asks = standing, 0
    case.neuron.save(update_fields=["standing", "asks"])


def _join(user: User, case: Case, review: Review, families: Sequence[Family]) -> None:
    """Make the neuron a member of these families, the first as its primary one; what it was a member of ends."""
    case.neuron.memberships.current().update(ended_at=timezone.now())
    Membership.objects.bulk_create(
        Membership(family=family, neuron=case.neuron, primary=not place, review=review, made_by=user)
        for place, family in enumerate(families)
    )


@transaction.atomic
def accept(user: User, neuron: Neuron, *, comment: str = "", family: Family | None = None, state: str = "") -> Review:
    """Accept an agreed neuron into the family that its labels agree on, and into further ones that qualify as well.

    Args:
        family: the one that the reviewer means, where they say so.

    Raises:
        Refused: when the user is no reviewer, or the neuron is not agreed without the user's own label.
        ValidationError: when the comment is too long.
    """
    case = _opened(user, neuron, Decision.ACCEPT, state)
    others = case.readings_without(user)
    assert case.agreed is not None  # the rule saw to it, and the neuron is locked
    agreed = Family.objects.get(pk=case.agreed)
    if family is not None and family != agreed:
        raise Refused(
            f"{case.neuron.address} is agreed on {agreed.name} by now, not on {family.name}. Look at it again."
        )
    also = Family.objects.in_bulk(consensus.further(others, case.tree, agreed.pk))
    review = _write(
        user,
        case,
        Decision.ACCEPT,
        family=agreed,
        tally=tally(case.neuron, others, consensus.Result(Standing.AGREED, agreed.pk)),
        comment=comment.strip(),
    )
    _join(user, case, review, [agreed, *(also[pk] for pk in sorted(also))])
    _settle_as(case, Standing.ACCEPTED)
    _told(user, case, review)
    return review


@dataclass(frozen=True)
class Answered:
    """What came of one neuron among many: its review, or why there is none."""

    neuron: Neuron
    review: Review | None = None
    reason: str = ""


def accept_many(
    user: User, neurons: Iterable[Neuron], *, comment: str = "", states: Mapping[int, str] | None = None
) -> list[Answered]:
    """Accept each of these neurons that may be accepted; each is checked by itself, and stands or falls alone.

    Every acceptance is a transaction of its own, so that nobody waits for the whole of it.

    Args:
        states: for neurons, by primary key, ``Case.state`` as the page showed it.

    Raises:
        Refused: when the user reviews nothing at all.
        ValidationError: when the comment is too long; nothing is accepted then.
    """
    require(can_review(user))
    found = []
    for neuron in sorted({neuron.pk: neuron for neuron in neurons}.values(), key=lambda one: one.pk):
        try:
            state = (states or {}).get(neuron.pk, "")
            found.append(Answered(neuron, review=accept(user, neuron, comment=comment, state=state)))
        except Refused as refusal:
            found.append(Answered(neuron, reason=str(refusal)))
    return found


@transaction.atomic
def object_to(user: User, neuron: Neuron, *, comment: str, state: str = "") -> Review:
    """Object to what people agree on. Nobody accepts the neuron meanwhile; after 72 hours it is disputed.

    Raises:
        Refused: unless a reviewer objects to an agreed neuron, once.
        ValidationError: without a reason.
    """
    case = _opened(user, neuron, Decision.OBJECT, state)
    review = _write(user, case, Decision.OBJECT, comment=_reason(comment), family_id=case.agreed)
    _told(user, case, review)
    return review


@transaction.atomic
def withdraw(user: User, neuron: Neuron, *, comment: str = "", state: str = "") -> Review:
    """Take back one's own objection, or one's own demand for evidence.

    Raises:
        Refused: when nothing of this person's stands there.
    """
    case = _opened(user, neuron, Decision.WITHDRAW, state)
    earlier = _withdrawable(user, case)
    review = _write(user, case, Decision.WITHDRAW, answers=earlier, comment=comment.strip())
    Need.objects.open().filter(review=earlier).update(withdrawn_at=timezone.now())
    _told(user, case, review)
    retally(user, case.neuron, review=review)
    return review


@transaction.atomic
def need_evidence(
    user: User,
    neuron: Neuron,
    *,
    kind: str,
    comment: str,
    cites: Iterable[EvidenceVersion] = (),
    state: str = "",
) -> Review:
    """Demand a kind of evidence before anybody decides; its success opens the neuron again.

    Raises:
        Refused: unless a reviewer asks for an open or agreed neuron, or an uninvolved editor for a disputed one.
        ValidationError: without a reason, for a kind that cannot be made of it or is there, or from an editor who
            cites nothing.
    """
    case = _opened(user, neuron, Decision.NEED_EVIDENCE, state)
    disputed = case.neuron.standing == Standing.DISPUTED
    reason = _reason(comment)
    cited = _cited(case.neuron, cites) if disputed else []
    why = why_not(case.neuron, kind)
    if why:
        raise ValidationError({"kind": why})
    review = _write(user, case, Decision.NEED_EVIDENCE, kind=kind, comment=reason, cites=cited)
    Need.objects.create(neuron=case.neuron, kind=kind, review=review)
    _told(user, case, review)
    retally(user, case.neuron, review=review)
    dispatch.enqueue("site.tend")
    return review


@transaction.atomic
def undo(user: User, neuron: Neuron, *, comment: str, state: str = "") -> Review:
    """Undo an acceptance, whoever made it, an import too: memberships end, and the labels count again.

    Raises:
        Refused: unless a reviewer undoes an accepted neuron.
        ValidationError: without a reason.
    """
    return _leave(user, neuron, Decision.UNDO, comment, state)


def _leave(user: User, neuron: Neuron, decision: Decision, comment: str, state: str) -> Review:
    """The neuron leaves its families, and its labels say again where it stands."""
    case = _opened(user, neuron, decision, state)
    review = _write(user, case, decision, comment=_reason(comment), answers=_accepting(case))
    _told(user, case, review)
    neuron.memberships.current().update(ended_at=timezone.now())
    _no_longer_gold(neuron)
    case.neuron.standing = Standing.OPEN
    retally(user, case.neuron, review=review)
    return review


def _no_longer_gold(neuron: Neuron) -> None:
    """What is not settled checks nobody."""
    now = timezone.now()
    Gold.objects.current().filter(neuron=neuron).update(ended_at=now)
    Lease.objects.filter(neuron=neuron, gold=True, ended_at=None).update(ended_at=now)


def _accepting(case: Case) -> Review | None:
    """The decision by which the neuron is a member now; None for an import."""
    member = case.neuron.memberships.current().filter(primary=True).select_related("review").first()
    return member.review if member else None


@transaction.atomic
def mark_stale(neuron: Neuron, *, kind: str, comment: str, cites: Iterable[EvidenceVersion]) -> Review | None:
    """Note that evidence on which the acceptance rests has changed; None when the neuron is not accepted any more.

    Args:
        kind: of the evidence.
        comment: in what it differs.
        cites: the version that people saw and the newer one.
    """
    system = User.objects.system()
    neuron = locked(neuron)
    if neuron.standing != Standing.ACCEPTED:
        return None
    case = cases(system, [neuron])[neuron.pk]
    review = _write(system, case, Decision.STALE, kind=kind, comment=comment[:5_000], cites=cites)
    _settle_as(case, Standing.STALE)
    _told(system, case, review)
    return review


@transaction.atomic
def reconfirm(user: User, neuron: Neuron, *, comment: str = "", state: str = "") -> Review:
    """The neuron belongs where it is, after its evidence changed as well.

    Raises:
        Refused: unless a reviewer reconfirms a stale neuron that their own label does not decide.
    """
    case = _opened(user, neuron, Decision.RECONFIRM, state)
    review = _write(user, case, Decision.RECONFIRM, answers=case.last(Decision.STALE), comment=comment.strip())
    _settle_as(case, Standing.ACCEPTED)
    _told(user, case, review)
    return review


@transaction.atomic
def decline(user: User, neuron: Neuron, *, comment: str, state: str = "") -> Review:
    """A stale neuron does not belong there any more: memberships end, and the labels count again.

    Raises:
        Refused: unless a reviewer declines a stale neuron.
        ValidationError: without a reason.
    """
    return _leave(user, neuron, Decision.DECLINE, comment, state)


@transaction.atomic
def settle(
    user: User,
    neuron: Neuron,
    *,
    family: Family | None,
    comment: str,
    cites: Iterable[EvidenceVersion],
    state: str = "",
) -> Review:
    """Settle a dispute: the neuron is accepted into this family.

    Raises:
        Refused: unless an editor who took no part settles a disputed neuron.
        ValidationError: without a rationale that cites evidence, or for a family that there is not in the layer.
    """
    case = _opened(user, neuron, Decision.SETTLE, state)
    if family is None:
        raise ValidationError({"family": "Name the family into which it is settled."})
    if family.layer_id != case.neuron.layer_id or family.retired_at is not None:
        raise ValidationError({"family": f"“{family.name}” is no family of {case.neuron.layer.name}: choose another."})
    reason, cited = _reason(comment), _cited(case.neuron, cites)
    rests_on = tally(case.neuron, case.readings, consensus.Result(Standing.DISPUTED, case.agreed))
    review = _write(user, case, Decision.SETTLE, family=family, tally=rests_on, comment=reason, cites=cited)
    _join(user, case, review, [family])
    _settle_as(case, Standing.ACCEPTED)
    _told(user, case, review)
    return review


@transaction.atomic
def contest(user: User, neuron: Neuron, *, comment: str, cites: Iterable[EvidenceVersion], state: str = "") -> Review:
    """Record that the evidence does not settle a dispute: the neuron is contested, with both readings kept.

    Raises:
        Refused: unless an editor who took no part decides on a disputed neuron.
        ValidationError: without a rationale that cites evidence.
    """
    case = _opened(user, neuron, Decision.CONTEST, state)
    reason, cited = _reason(comment), _cited(case.neuron, cites)
    rests_on = tally(case.neuron, case.readings, consensus.Result(Standing.DISPUTED, case.agreed))
    review = _write(user, case, Decision.CONTEST, tally=rests_on, comment=reason, cites=cited)
    _settle_as(case, Standing.CONTESTED)
    _told(user, case, review)
    return review


@transaction.atomic
def reopen(user: User, neuron: Neuron, *, comment: str, cites: Iterable[EvidenceVersion], state: str = "") -> Review:
    """Take a contested neuron up again, on evidence that is newer than the decision; labels and members stay.

    Raises:
        Refused: unless somebody who takes part reopens a contested neuron, on a version that did not reopen it before.
        ValidationError: without a reason, or without evidence of this neuron.
    """
    case = _opened(user, neuron, Decision.REOPEN, state)
    reason, cited = _reason(comment), _cited(case.neuron, cites)
    decided = case.last(Decision.CONTEST)
    if decided is None or all(version.made_at <= decided.at for version in cited):
        raise Refused("Cite evidence that is newer than the decision: what was there before has been weighed.")
    spent = {
        version.pk for review in case.reviews if review.decision == Decision.REOPEN for version in review.cites.all()
    }
    if all(version.pk in spent for version in cited if version.made_at > decided.at):
        raise Refused("This evidence has reopened the neuron once already: newer evidence is needed.")
    review = _write(user, case, Decision.REOPEN, answers=decided, comment=reason, cites=cited)
    _told(user, case, review)
    case.neuron.standing = Standing.OPEN
    retally(user, case.neuron, review=review)
    return review


def decide(
    user: User,
    neuron: Neuron,
    decision: str,
    *,
    comment: str = "",
    kind: str = "",
    cites: Sequence[EvidenceVersion] = (),
    family: Family | None = None,
    state: str = "",
) -> Review:
    """The decision of this name, with what belongs to it; what does not belong to it is an error.

    Raises:
        Refused: as the decision's own function does, and for what only the system decides.
        ValidationError: as the decision's own function does.
    """
    takes = TAKES.get(decision, ())
    for name, value in (("kind", kind), ("cites", cites), ("family", family)):
        if value and name not in takes:
            raise ValidationError({name: f"“{decision}” takes no {name}."})
    match decision:
        case Decision.ACCEPT:
            return accept(user, neuron, comment=comment, family=family, state=state)
        case Decision.OBJECT:
            return object_to(user, neuron, comment=comment, state=state)
        case Decision.WITHDRAW:
            return withdraw(user, neuron, comment=comment, state=state)
        case Decision.NEED_EVIDENCE:
            return need_evidence(user, neuron, kind=kind, comment=comment, cites=cites, state=state)
        case Decision.UNDO:
            return undo(user, neuron, comment=comment, state=state)
        case Decision.RECONFIRM:
            return reconfirm(user, neuron, comment=comment, state=state)
        case Decision.DECLINE:
            return decline(user, neuron, comment=comment, state=state)
        case Decision.SETTLE:
            return settle(user, neuron, family=family, comment=comment, cites=cites, state=state)
        case Decision.CONTEST:
            return contest(user, neuron, comment=comment, cites=cites, state=state)
        case Decision.REOPEN:
            return reopen(user, neuron, comment=comment, cites=cites, state=state)
        case Decision.STALE:
            raise Refused("A neuron becomes stale by itself, when the evidence that people saw has changed.")
    raise ValidationError({"decision": f"There is no decision “{decision}”."})


TAKES: Mapping[str, tuple[str, ...]] = {
    Decision.ACCEPT: ("family",),
    Decision.NEED_EVIDENCE: ("kind", "cites"),
    Decision.SETTLE: ("cites", "family"),
    Decision.CONTEST: ("cites",),
    Decision.REOPEN: ("cites",),
}


def tend() -> int:
    """Make neurons disputed whose objection has stood for 72 hours, or whose membership a run speaks against; how many.

    Safe when run twice at once, and at any time: a label given after the 72 hours disputes the neuron as well.
    """
    return _tend_objections() + _tend_refuted()


# Claims of these kinds say what a neuron is.
OF_WHAT_IT_IS = (ClaimKind.PURITY, ClaimKind.FAMILY)


def _tend_refuted() -> int:
    """Dispute those accepted neurons of which a claim on what they are was refuted since they were accepted."""
    later = Review.objects.filter(neuron=OuterRef("claim__neuron"), at__gte=OuterRef("ruled_at"), decision__in=DECIDED)
    member = Membership.objects.current().filter(neuron=OuterRef("claim__neuron"), made_at__lt=OuterRef("ruled_at"))
    refuted = Run.objects.filter(
        Exists(member),
        ~Exists(later),
        ruling=Ruling.REFUTED,
        claim__kind__in=OF_WHAT_IT_IS,
        claim__withdrawn_at=None,
        claim__hidden_at=None,
        claim__neuron__standing=Standing.ACCEPTED,
    )
    disputed = 0
    for pk, neuron in list(refuted.order_by("claim__neuron", "pk").values_list("pk", "claim__neuron")):
        with transaction.atomic():
            free = Neuron.objects.select_for_update(of=["self"], no_key=True, skip_locked=True)
            there = free.select_related("layer__network").filter(pk=neuron).first()
            run = refuted.select_related("claim", "evidence__current").filter(pk=pk).first()  # as it is under the lock
            if there is not None and run is not None:
                _dispute(there, run)
                disputed += 1
    return disputed


def _dispute(neuron: Neuron, run: Run) -> None:
    """An accepted neuron is taken up again: a run refuted what somebody claimed it to be. Members and labels stay."""
    system, claim = User.objects.system(), run.claim
    case = cases(system, [neuron])[neuron.pk]
    comment = f"Run {run.number} refuted a claim about what it is: [[claim:{claim.public_id}]]."
    cites = [run.evidence.current] if run.evidence.current else []
    review = _write(system, case, Decision.REOPEN, comment=comment, cites=cites)
    _no_longer_gold(neuron)
    neuron.standing = Standing.DISPUTED  # the decision's own event tells of it
    _told(system, case, review, {claim.author_id: Why.STATED}, claim)
    retally(system, neuron, review=review)


def _tend_objections() -> int:
    """Dispute those agreed neurons whose objection has stood for 72 hours."""
    system, disputed = User.objects.system(), 0
    ripe = Review.objects.filter(decision=Decision.OBJECT, at__lte=timezone.now() - OBJECTION, answered_by=None)
    agreed = Neuron.objects.filter(standing=Standing.AGREED)
    for pk in agreed.filter(reviews__in=ripe).distinct().order_by("pk").values_list("pk", flat=True):
        with transaction.atomic():
            free = agreed.select_for_update(of=["self"], no_key=True, skip_locked=True)
            neuron = free.select_related("layer__network").filter(pk=pk).first()
            if neuron is None:
                continue
            retally(system, neuron)
            if neuron.standing != Standing.DISPUTED:  # an editor has overruled the objection
                continue
            disputed += 1
            case = cases(system, [neuron])[pk]
            people = {label.author_id: Why.LABELLED for label in case.current}
            people |= {objection.reviewer_id: Why.OBJECTED for objection in case.objections}
            event = Event.objects.filter(neuron=neuron, verb="neuron.disputed").latest("pk")
            notifications.tell(event, people)
    return disputed
