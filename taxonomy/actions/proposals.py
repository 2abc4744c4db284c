"""Proposing a family, and deciding the proposal."""

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from taxonomy import events
from taxonomy.models import Confidence, Family, FamilyKind, Layer, Proposal, ProposalState, Symmetry, User
from taxonomy.permissions import can_decide_proposal, can_propose, can_withdraw_proposal, require


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
) -> Proposal:
    """Propose a new family of a layer.

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
    proposal.save()
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
    events.record(user, "proposal.accepted", proposal=proposal, family=proposal.family)
    return proposal.family


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
    events.record(user, "proposal.rejected", proposal=proposal)
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
