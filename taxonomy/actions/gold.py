"""Gold neurons: accepted ones that contributors meet in the queue unawares, to see how well readings hold."""

import enum
from collections.abc import Collection, Mapping

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from taxonomy import consensus, events
from taxonomy.actions.labels import locked
from taxonomy.models import Family, Gold, Label, Membership, Neuron, Standing, User, Verdict
from taxonomy.permissions import Answer, Denied, Refused, can_steer_queue, require


class Closeness(enum.StrEnum):
    """How a reading of a gold neuron compares with its accepted family."""

    RIGHT = "right"  # the family, or one below it
    NEAR = "near"  # one above it, or another that the neuron is accepted in as well
    WRONG = "wrong"


def can_mark(user: User, neuron: Neuron, *, is_gold: bool) -> Answer:
    answer = can_steer_queue(user)
    if answer and neuron.standing != Standing.ACCEPTED:
        stands = f"This neuron is {neuron.standing}: only" if neuron.is_settled else "Only"
        return Denied(f"{stands} accepted neurons are marked as gold.")
    if answer and is_gold:
        return Denied("This neuron is gold already.")
    return answer


@transaction.atomic
def mark(user: User, neuron: Neuron, reason: str) -> Gold:
    """Mark an accepted neuron as gold: the queue mixes it in, and readings of it are held to its accepted family.

    Raises:
        Refused: to anyone but editors, and for a neuron that is not accepted or is gold already.
        ValidationError: when no reason is given, or it is too long.
    """
    require(can_steer_queue(user))
    neuron = locked(neuron)
    require(can_mark(user, neuron, is_gold=neuron.golds.current().exists()))
    gold = Gold(neuron=neuron, marked_by=user, reason=reason.strip())
    gold.clean_fields(exclude=["neuron", "marked_by"])
    gold.save()
    events.record(user, "gold.marked", neuron=neuron)
    return gold


@transaction.atomic
def unmark(user: User, neuron: Neuron) -> Gold:
    """The neuron is gold no more. What people read in it stays in their records.

    Raises:
        Refused: to anyone but editors, and for a neuron that is not gold.
    """
    require(can_steer_queue(user))
    neuron = locked(neuron)
    gold = neuron.golds.current().first()
    if gold is None:
        raise Refused("This neuron is not gold.")
    gold.ended_at = timezone.now()
    gold.save(update_fields=["ended_at"])
    events.record(user, "gold.unmarked", neuron=neuron)
    return gold


def outcome(label: Label) -> Closeness | None:
    """How a reading of a gold neuron compares with the accepted family; None for a label on any other neuron."""
    return outcomes([label]).get(label.pk)


def outcomes(labels: Collection[Label]) -> dict[int, Closeness]:
    """The same for several, by the label's key. Each is held to what was accepted at the time it was given."""
    labels = [label for label in labels if label.gold]
    if not labels:
        return {}
    read = {label.neuron_id for label in labels}
    members = list(Membership.objects.filter(neuron__in=read).select_related("family").order_by("-primary", "pk"))
    accepted: dict[int, list[Membership]] = {}
    for member in members:
        accepted.setdefault(member.neuron_id, []).append(member)
    layers = {member.family.layer_id for member in members}
    parents = dict(Family.objects.filter(layer__in=layers).values_list("pk", "parent_id"))
    return {label.pk: _compare(label, accepted.get(label.neuron_id, []), parents) for label in labels}


def _compare(label: Label, members: list[Membership], parents: Mapping[int, int | None]) -> Closeness:
    then = [
        member.family_id
        for member in members
        if member.made_at <= label.created_at and (member.ended_at is None or member.ended_at > label.created_at)
    ]
    if label.verdict != Verdict.FAMILY or label.family_id is None or not then:
        return Closeness.WRONG
    said, first = consensus.lineage(label.family_id, parents), then[0]
    if first in said:
        return Closeness.RIGHT
    above = label.family_id in consensus.lineage(first, parents)
    return Closeness.NEAR if above or any(other in said for other in then[1:]) else Closeness.WRONG


def labels_of(people: Collection[User]) -> QuerySet[Label]:
    """What these people read in gold neurons: the first reading of each, whose answer was hidden."""
    return Label.objects.filter(author__in=people, gold=True, undone_at=None, follows=None)


def record_of(user: User) -> tuple[int, int]:
    """How many gold neurons this person read, and how many of them right."""
    found = outcomes(labels_of([user]))
    return len(found), sum(one == Closeness.RIGHT for one in found.values())
