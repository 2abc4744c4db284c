"""Where a neuron stands, why, and what this person may decide on it: for its own page and the review queue."""

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib.auth.models import AnonymousUser
from django.db.models import Prefetch, prefetch_related_objects
from django.utils import timezone

from taxonomy import consensus, recipes
from taxonomy.actions.needs import kinds_for
from taxonomy.actions.proposals import names_of
from taxonomy.actions.reviews import Case, can_each
from taxonomy.history import OBJECTION
from taxonomy.models import Decision, EvidenceVersion, Family, Need, Neuron, Review, Standing, User, Verdict
from taxonomy.pages.proposals import FamilyField
from taxonomy.permissions import Answer, Denied

# What a reviewer or an editor may do from each standing, the likeliest first.
STEPS: Mapping[str, tuple[str, ...]] = {
    Standing.OPEN: (Decision.NEED_EVIDENCE,),
    Standing.AGREED: (Decision.ACCEPT, Decision.OBJECT, Decision.NEED_EVIDENCE),
    Standing.DISPUTED: (Decision.SETTLE, Decision.CONTEST, Decision.NEED_EVIDENCE),
    Standing.ACCEPTED: (Decision.UNDO,),
    Standing.STALE: (Decision.RECONFIRM, Decision.DECLINE),
    Standing.CONTESTED: (Decision.REOPEN,),
}
TITLES = {
    Decision.ACCEPT: "Accept",
    Decision.OBJECT: "Object",
    Decision.WITHDRAW: "Withdraw",
    Decision.NEED_EVIDENCE: "Ask for evidence",
    Decision.UNDO: "Undo the acceptance",
    Decision.RECONFIRM: "Reconfirm",
    Decision.DECLINE: "Decline",
    Decision.SETTLE: "Settle",
    Decision.CONTEST: "Leave contested",
    Decision.REOPEN: "Reopen on new evidence",
}
# What happens then.
HELP = {
    Decision.OBJECT: "Nobody accepts it while your objection stands. If you do not withdraw it within 72 hours, the "
    "neuron is disputed, and an editor who took no part decides.",
    Decision.NEED_EVIDENCE: "The workers are asked for it at once. Nobody decides before it is there; then the "
    "readings count again.",
    Decision.UNDO: "It leaves the family, and its readings say again where it stands.",
    Decision.RECONFIRM: "It stays where it is: what changed in its evidence speaks for the same family.",
    Decision.DECLINE: "It leaves the family, and its readings say again where it stands.",
    Decision.SETTLE: "Your rationale and what it cites stay with the decision, beside the readings that differ.",
    Decision.CONTEST: "The evidence does not settle it: both readings stand, until newer evidence reopens it.",
    Decision.REOPEN: "It is disputed again, for another editor to decide. Labels and members stay as they are.",
}
# What each says of its comment.
REASONS = {
    Decision.ACCEPT: "Comment",
    Decision.WITHDRAW: "Comment",
    Decision.RECONFIRM: "Comment",
    Decision.SETTLE: "Rationale",
    Decision.CONTEST: "Rationale",
}
DONE = {
    Decision.ACCEPT: "accepted it into",
    Decision.OBJECT: "objected",
    Decision.WITHDRAW: "withdrew",
    Decision.NEED_EVIDENCE: "asked for",
    Decision.UNDO: "undid the acceptance",
    Decision.STALE: "found it stale",
    Decision.RECONFIRM: "reconfirmed it",
    Decision.DECLINE: "declined to reconfirm it",
    Decision.SETTLE: "settled it as",
    Decision.CONTEST: "left it contested",
    Decision.REOPEN: "reopened it",
}


NO_EVIDENCE = "That is no evidence of this neuron. Choose from the list."


class Ids(forms.MultipleChoiceField):
    """Public ids, of which the form looks up what they name."""

    def valid_value(self, value: str) -> bool:
        try:
            return str(uuid.UUID(value)) == value.lower()
        except ValueError:
            return False


class DecisionForm(forms.Form):
    """One decision, with what belongs to it; the action checks what it needs."""

    decision = forms.ChoiceField(
        choices=[(value, value) for value in Decision.values],
        error_messages={"required": "Press one of the buttons.", "invalid_choice": "There is no such decision."},
    )
    comment = forms.CharField(required=False, max_length=5_000)
    kind = forms.ChoiceField(
        required=False,
        choices=[(name, recipes.KINDS[name].title) for name in recipes.OF_NEURONS],
        error_messages={"invalid_choice": "There is no such kind of evidence. Choose one from the list."},
    )
    family = FamilyField(
        Family.objects.none(),
        required=False,
        error_messages={"invalid_choice": "That is no family of this layer. Choose one from the list."},
    )
    cites = Ids(required=False, error_messages={"invalid_choice": NO_EVIDENCE})
    state = forms.CharField(required=False, max_length=80)

    def __init__(self, *args: Any, neuron: Neuron, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.neuron = neuron
        families = self.fields["family"]
        assert isinstance(families, forms.ModelChoiceField)
        families.queryset = neuron.layer.families.filter(retired_at=None)

    def clean_cites(self) -> list[EvidenceVersion]:
        chosen = set(self.cleaned_data["cites"])
        own = EvidenceVersion.objects.filter(evidence__neuron=self.neuron, public_id__in=chosen)
        found = list(own.select_related("evidence").order_by("pk"))
        if len(found) < len(chosen):
            raise forms.ValidationError(NO_EVIDENCE)
        return found


@dataclass(frozen=True)
class Step:
    """One thing that this person may decide now, or may not and why."""

    decision: str
    answer: Answer
    title: str
    help: str
    reason: str
    required: bool  # whether it needs its reason
    citable: Sequence[tuple[str, EvidenceVersion]] = ()  # what it may rest on, where it has to cite evidence

    @property
    def slug(self) -> str:
        return self.decision.replace(" ", "-")

    @property
    def names_kind(self) -> bool:
        return self.decision == Decision.NEED_EVIDENCE

    @property
    def names_family(self) -> bool:
        return self.decision == Decision.SETTLE


@dataclass(frozen=True)
class Done:
    """A decision as the record tells it."""

    review: Review
    words: str


@dataclass
class Box:
    """What the standing of a neuron is told by; made only for who may see it."""

    case: Case
    why: str
    leading: Family | None
    steps: list[Step]
    kinds: list[recipes.Kind]
    families: list[Family]
    form: DecisionForm | None = None
    undoable: int | None = None

    @property
    def objections(self) -> list[dict[str, Any]]:
        now = timezone.now()
        return [
            {"review": one, "left": max(0.0, (one.at + OBJECTION - now).total_seconds())}
            for one in self.case.objections
            if not self.case.neuron.is_settled
        ]

    @property
    def reopened(self) -> list[Review]:
        """What a disputed neuron was taken up again for."""
        disputed = self.case.neuron.standing == Standing.DISPUTED
        return [one for one in self.case.standing_reviews if disputed and one.decision == Decision.REOPEN]

    @property
    def needs(self) -> list[Need]:
        return [] if self.case.neuron.is_settled else self.case.open_needs

    @property
    def names(self) -> list[tuple[str, int]]:
        """What those who find no family would call it, with how many would."""
        return names_of(label for label in self.case.current if label.verdict == Verdict.NONE_OF_THESE)

    @property
    def decided(self) -> list[Done]:
        """Newest first."""
        return [Done(one, DONE[Decision(one.decision)]) for one in reversed(self.case.reviews)]

    @property
    def by(self) -> Review | None:
        """The decision that holds now."""
        settled = (Decision.ACCEPT, Decision.SETTLE, Decision.CONTEST, Decision.STALE, Decision.RECONFIRM)
        return self.case.last(*settled) if self.case.neuron.is_settled else None


def look_up_cites(cases: Iterable[Case]) -> None:
    """What the decisions on all of these rest on. One query."""
    cited = Prefetch("cites", EvidenceVersion.objects.select_related("evidence"))
    prefetch_related_objects([review for case in cases for review in case.reviews], cited)


def box_of(
    user: User | AnonymousUser,
    case: Case,
    families: Iterable[Family],
    layers: Sequence[str],
    citable: Sequence[tuple[str, EvidenceVersion]],
    form: DecisionForm | None = None,
) -> Box:
    """The box of a neuron, after ``look_up_cites``.

    Args:
        families: of its layer.
        layers: the names of the network's layers, in their order.
        citable: the neuron's current evidence, with titles.
        form: a decision that was sent and could not be taken.
    """
    by_pk = {family.pk: family for family in families}
    leading = by_pk.get(consensus.leading(case.readings, case.tree) or 0)
    answers = can_each(user, {case.neuron.pk: case})[case.neuron.pk]
    steps = steps_of(user, case, answers, citable)
    accepted = case.last(Decision.ACCEPT, Decision.SETTLE)
    return Box(
        case=case,
        why=why(case, leading),
        leading=leading,
        steps=steps,
        kinds=kinds_for(case.neuron.layer, layers) if any(step.names_kind for step in steps) else [],
        families=sorted(by_pk.values(), key=lambda family: family.name.casefold()),
        form=form,
        undoable=accepted.pk if accepted and answers[Decision.UNDO] else None,
    )


def steps_of(
    user: User | AnonymousUser,
    case: Case,
    answers: Mapping[str, Answer],
    citable: Sequence[tuple[str, EvidenceVersion]] = (),
) -> list[Step]:
    """What to show this person: what they may do, and to reviewers also what they may not, with the reason."""
    offered = list(STEPS.get(case.neuron.standing, ()))
    if not (isinstance(user, User) and user.reviews):
        offered = [decision for decision in offered if answers[decision]]
    if answers[Decision.WITHDRAW]:
        offered.append(Decision.WITHDRAW)
    disputed, contest = case.neuron.standing == Standing.DISPUTED, case.last(Decision.CONTEST)
    steps = []
    for decision in offered:
        cites = list(citable) if disputed and decision != Decision.WITHDRAW else []
        answer = answers[decision]
        if decision == Decision.REOPEN and contest is not None:
            cites = [(title, version) for title, version in citable if version.made_at > contest.at]
            if answer and not cites:
                answer = Denied("All of its evidence was there when this was decided: newer evidence is needed.")
        steps.append(
            Step(
                decision=decision,
                answer=answer,
                title=TITLES[Decision(decision)],
                help=HELP.get(Decision(decision), ""),
                reason=REASONS.get(Decision(decision), "Reason"),
                required=decision not in (Decision.ACCEPT, Decision.WITHDRAW, Decision.RECONFIRM),
                citable=cites,
            )
        )
    return steps


def why(case: Case, leading: Family | None) -> str:
    """The rule's numbers for the family that comes nearest, in words."""
    if leading is None:
        return ""
    found = consensus.count(leading.pk, case.readings, case.tree)
    share = round(100 * found.on / found.of)
    below = " or below it" if leading.pk in case.tree.values() else ""
    told = f"{found.on} of {found.of} put it on {leading.name}{below} ({share} %)"
    if found.coarser:
        told += f", {found.coarser} of them on no finer family than one above it"
    unsure = sum(reading.cannot_tell for reading in case.readings)
    if unsure:
        told += f"; {unsure} cannot tell"
    rule = "three people at least, and over two thirds"
    return f"{told}. " + (f"That agrees: it takes {rule}." if found.qualifies else f"To agree it takes {rule}.")
