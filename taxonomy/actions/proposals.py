"""Proposing a family, and deciding the proposal."""

from collections import Counter
from collections.abc import Iterable

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from taxonomy import events
from taxonomy.actions import labels, notifications
from taxonomy.models import (
    Confidence,
    Family,
    FamilyKind,
    Label,
    Layer,
    Neuron,
    Proposal,
    ProposalState,
    Symmetry,
    User,
    Verdict,
    Why,
)
from taxonomy.permissions import (
    can_decide_proposal,
    can_propose,
    can_withdraw_proposal,
    labels_visible_to,
    require,
)


def asking(user: User, neurons: Iterable[Neuron]) -> list[Label]:
    """The current "none of these" of these neurons, as far as this person may see them: who asks for a family."""
    found = Label.objects.current().filter(neuron__in=neurons, verdict=Verdict.NONE_OF_THESE)
    return list(labels_visible_to(user, found).select_related("neuron", "author").order_by("pk"))


def names_of(found: Iterable[Label]) -> list[tuple[str, int]]:
    """The names that these labels suggest, each as it is written most, with how many people suggest it."""
    written = Counter(label.suggested_name for label in found if label.suggested_name)
    together: dict[str, Counter[str]] = {}
    for name, count in written.items():
        together.setdefault(name.casefold(), Counter())[name] += count
    return sorted(
        ((spelt.most_common(1)[0][0], spelt.total()) for spelt in together.values()), key=lambda one: (-one[1], one[0])
    )


def _check_name(layer: Layer, name: str) -> None:
    """Whether the layer has room for the name, held against everybody else who wants it now."""
    Layer.objects.select_for_update(no_key=True).get(pk=layer.pk)
    if Family.objects.filter(layer=layer, name__iexact=name, retired_at=None).exists():
        raise ValidationError({"name": f"{layer.name} has a family “{name}” already."})


@transaction.atomic
def create(
    user: User,
    layer: Layer,
    *,
    name: str,
    remark: str,
    parent: Family | None = None,
    kind: str = FamilyKind.NATURAL,
    confidence: str = Confidence.MEDIUM,
    symmetry: str = Symmetry.NONE,
    neurons: Iterable[Neuron] = (),
) -> Proposal:
    """Propose a new family of a layer.

    Args:
        neurons: of the layer, that need the family: who said "none of these" there reads it so once it is accepted.

    Raises:
        Refused: when the user may not propose.
        ValidationError: when the name is taken or proposed already, or a text is empty or too long.
    """
    require(can_propose(user))
    proposal = Proposal(
        layer=layer,
        author=user,
        name=" ".join(name.split()),
        remark=remark.strip(),
        parent=parent,
        family_kind=kind,
        confidence=confidence,
        symmetry=symmetry,
    )
    if parent is not None and parent.layer_id != layer.pk:
        raise ValidationError({"parent": f"“{parent.name}” is a family of another layer."})
    if parent is not None and parent.retired_at is not None:
        raise ValidationError({"parent": f"The family “{parent.name}” is retired. Choose another, or none."})
    proposal.full_clean()
    _check_name(layer, proposal.name)
    if Proposal.objects.filter(layer=layer, name__iexact=proposal.name, state=ProposalState.OPEN).exists():
        raise ValidationError(
            {"name": f"A family “{proposal.name}” is proposed for {layer.name} already: see its proposal."}
        )
    needing = list(neurons)
    if any(neuron.layer_id != layer.pk for neuron in needing):
        raise ValidationError({"neurons": f"Name neurons of {layer.name} alone."})
    proposal.save()
    proposal.asked_by.set(asking(user, needing))
    events.record(user, "proposal.made", proposal=proposal)
    return proposal


def _locked(proposal: Proposal) -> Proposal:
    return (
        Proposal.objects.select_for_update(of=["self"], no_key=True)
        .select_related("layer__network", "author", "parent")
        .get(pk=proposal.pk)
    )


def _decide(user: User, proposal: Proposal, state: ProposalState, comment: str) -> None:
    proposal.state, proposal.comment = state, comment.strip()
    proposal.decided_by, proposal.decided_at = user, timezone.now()
    proposal.full_clean()
    proposal.save()


@transaction.atomic
def accept(user: User, proposal: Proposal, *, comment: str = "") -> Family:
    """Make the proposed family.

    Raises:
        Refused: to its author, to anyone who is no reviewer, and once it is decided.
        ValidationError: when the name was taken meanwhile.
    """
    proposal = _locked(proposal)
    require(can_decide_proposal(user, proposal))
    _check_name(proposal.layer, proposal.name)
    proposal.family = Family.objects.create(
        layer=proposal.layer,
        name=proposal.name,
        remark=proposal.remark,
        parent=proposal.parent,
        kind=proposal.family_kind,
        confidence=proposal.confidence,
        symmetry=proposal.symmetry,
    )
    _decide(user, proposal, ProposalState.ACCEPTED, comment)
    event = events.record(user, "proposal.accepted", proposal=proposal, family=proposal.family)
    notifications.tell(event, {proposal.author_id: Why.PROPOSED})
    _follow(user, proposal, proposal.family)
    return proposal.family


def _follow(user: User, proposal: Proposal, family: Family) -> None:
    """The labels that asked for the family read it now, each by a new row of the same author; the neurons follow.

    A label that its author changed meanwhile stays as it was changed.
    """
    asked = proposal.asked_by.current().filter(verdict=Verdict.NONE_OF_THESE)
    for neuron in labels.locked_in_order(Neuron.objects.filter(labels__in=asked)):
        for label in asked.filter(neuron=neuron).prefetch_related("further", "seen").order_by("pk"):
            again = labels.carry_on(label, blind=False, verdict=Verdict.FAMILY, family_id=family.pk, suggested_name="")
            event = events.record(
                user, "neuron.followed", neuron=neuron, family=family, label=again, person=label.author
            )
            notifications.tell(event, {label.author_id: Why.LABELLED})
        labels.retally(user, neuron)


@transaction.atomic
def reject(user: User, proposal: Proposal, *, comment: str) -> Proposal:
    """Turn a proposal down, with a reason.

    Raises:
        Refused: as for ``accept``.
        ValidationError: when no reason is given.
    """
    proposal = _locked(proposal)
    require(can_decide_proposal(user, proposal))
    if not comment.strip():
        raise ValidationError({"comment": "Say why, so that its author can do better."})
    _decide(user, proposal, ProposalState.REJECTED, comment)
    event = events.record(user, "proposal.rejected", proposal=proposal)
    notifications.tell(event, {proposal.author_id: Why.PROPOSED})
    return proposal


@transaction.atomic
def withdraw(user: User, proposal: Proposal) -> Proposal:
    """Take back one's own proposal.

    Raises:
        Refused: to anyone but its author, and once it is decided.
    """
    proposal = _locked(proposal)
    require(can_withdraw_proposal(user, proposal))
    _decide(user, proposal, ProposalState.WITHDRAWN, "")
    events.record(user, "proposal.withdrawn", proposal=proposal)
    return proposal
