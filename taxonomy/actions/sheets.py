"""The sorting sheet: similar neurons of one layer, handed out together and read together."""

import datetime
import uuid
from collections.abc import Collection, Iterable
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Exists, OuterRef
from django.utils import timezone

from taxonomy.actions import labels, leases
from taxonomy.models import Label, Layer, Lease, Likeness, Neuron, Sheet, User, Vector
from taxonomy.permissions import Answer, Denied, Refused, can_label, require

ON_A_SHEET = 24
# The neurons of a sheet that a person put down do not come to them again for so long, while there are others.
PUT_DOWN = datetime.timedelta(hours=1)
# What a sheet is alike in, by what there is: what excites the neurons first.
LIKE = (Likeness.ACTIVATION, Likeness.ROTATION, Likeness.WEIGHTS)


@transaction.atomic
def take(user: User, layer: Layer) -> Sheet | None:
    """This person's open sheet of the layer, with the time of its neurons renewed; or a new one.

    ``leases_of`` tells its neurons. None when no neuron of the layer asks for this person's reading.

    Raises:
        Refused: when the user may not label.
    """
    require(can_label(user))
    sheet, made = Sheet.objects.get_or_create(person=user, layer=layer, ended_at=None)
    sheet = _locked(sheet)
    if sheet.ended_at is not None:  # by another window of theirs, which held it until now
        return take(user, layer)
    if not made:
        if _renew(user, sheet):
            return sheet
        _end(sheet)
        sheet = Sheet.objects.create(person=user, layer=layer)
    for neuron in _similar(user, layer):
        leases.lend(user, neuron, sheet=sheet)
    if not sheet.leases.exists():
        sheet.delete()
        return None
    return sheet


def leases_of(sheet: Sheet) -> list[Lease]:
    """What is still to be read on the sheet, in its order, with the neurons."""
    if sheet.ended_at is not None:
        return []
    waiting = sheet.leases.filter(ended_at=None).order_by("pk")
    return list(waiting.select_related("neuron__layer__network", "neuron__layer__sprite"))


def _locked(sheet: Sheet) -> Sheet:
    return Sheet.objects.select_for_update(of=["self"], no_key=True).select_related("layer__network").get(pk=sheet.pk)


def _renew(user: User, sheet: Sheet) -> bool:
    """Renew the leases that hold; the others end. Whether any is left."""
    waiting = {lease.neuron_id: lease for lease in sheet.leases.filter(ended_at=None).select_related("neuron")}
    neurons = labels.locked_in_order(lease.neuron for lease in waiting.values())
    unsettled = [neuron for neuron in neurons if not neuron.is_settled]
    room = {neuron.pk for neuron in leases.with_room(user, unsettled)[0]}
    now = timezone.now()
    kept = [waiting[neuron.pk].pk for neuron in unsettled if neuron.pk in room or waiting[neuron.pk].expires_at > now]
    sheet.leases.filter(ended_at=None).exclude(pk__in=kept).update(ended_at=now)
    sheet.leases.filter(pk__in=kept).update(expires_at=now + leases.LEASE)
    return bool(kept)


def _similar(user: User, layer: Layer) -> list[Neuron]:
    """Neurons of the layer, locked, with room: the neediest, then those most like it."""
    wanted = leases.wanted_by(user, layer=layer)
    put_down = Lease.objects.filter(
        person=user, sheet__isnull=False, label=None, ended_at__gt=timezone.now() - PUT_DOWN
    )
    fresh = wanted.filter(~Exists(put_down.filter(neuron=OuterRef("pk"))))
    order = _by_likeness(list((fresh if fresh.exists() else wanted).values_list("pk", flat=True)))
    found = wanted.filter(pk__in=order[: 2 * ON_A_SHEET]).order_by("pk")
    locked = {neuron.pk: neuron for neuron in found.select_for_update(of=["self"], no_key=True, skip_locked=True)}
    room = {neuron.pk for neuron in leases.with_room(user, list(locked.values()))[0]}
    return [locked[pk] for pk in order if pk in room][:ON_A_SHEET]


def _by_likeness(neurons: list[int]) -> list[int]:
    """The first neuron, then the others: by their likeness to it, and what cannot be compared by index."""
    if not neurons:
        return []
    first, *rest = neurons
    order = {first: None}
    points = {point.likeness: point for point in Vector.objects.filter(neuron=first).order_by("pk")}
    point = next((points[likeness] for likeness in LIKE if likeness in points), None)
    if point is not None:
        near = Vector.objects.near(point).filter(neuron__in=rest)
        order |= dict.fromkeys(near.values_list("neuron", flat=True)[: 4 * ON_A_SHEET])
    return list(order | dict.fromkeys(sorted(rest)))


@transaction.atomic
def submit(
    user: User, sheet: Sheet, neurons: Iterable[Neuron], *, submission: uuid.UUID, **reading: Any
) -> list[Label]:
    """Read these neurons of the sheet alike: one label each, all of them or none. The same submission again is known.

    Raises:
        Refused: when the user may not label, the sheet is somebody else's, or a neuron is not on it any more.
        ValidationError: when no neuron is chosen, or the reading says nothing or two things.
    """
    require(can_label(user))
    sheet = _own(user, sheet)
    known = Label.objects.filter(author=user, submission=submission).order_by("pk")
    if known:
        return list(known)
    chosen = labels.locked_in_order(neurons)
    if not chosen:
        raise ValidationError("Choose at least one neuron.")
    said = labels.Said(**reading)
    waiting = {lease.neuron_id: lease for lease in sheet.leases.filter(ended_at=None)}
    _refuse([one for one in chosen if one.pk not in waiting], "not on this sheet, or you have read or given back {it}")
    room = {neuron.pk for neuron in leases.with_room(user, chosen)[0]}
    late = [one for one in chosen if one.pk not in room and not waiting[one.pk].is_live]
    _refuse(late, "with others by now, as you held {it} for longer than 20 minutes")
    given = labels.give(user, chosen, said, every=labels.labels_of(chosen), held=waiting, submission=submission)
    if not sheet.leases.filter(ended_at=None).exists():
        _end(sheet)
    return given


def _refuse(neurons: Collection[Neuron], why: str) -> None:
    if neurons:
        names = ", ".join(neuron.address for neuron in neurons)
        are, it = ("is", "it") if len(neurons) == 1 else ("are", "them")
        advice = f"Nothing was saved: take {it} out of the choice, and send the rest again."
        raise Refused(f"{names} {are} {why.format(it=it)}. {advice}")


@transaction.atomic
def give_back(user: User, sheet: Sheet) -> None:
    """Put the whole sheet down: its neurons go back to the queue. Giving it back twice changes nothing."""
    _end(_own(user, sheet))


@transaction.atomic
def undo(user: User, sheet: Sheet, submission: uuid.UUID) -> list[Label]:
    """Take back within the minute what was read together, all of it or none; its neurons come back to the sheet.

    Raises:
        Refused: when nothing was read under this key, or one of the labels can no longer be taken back.
    """
    sheet = _own(user, sheet)
    given = list(Label.objects.filter(author=user, submission=submission, lease__sheet=sheet).select_related("neuron"))
    if not given:
        raise Refused("Nothing on this sheet was read by you under that key.")
    labels.locked_in_order(label.neuron for label in given)
    for label in given:
        labels.undo(user, label)
    if sheet.ended_at is not None and not Sheet.objects.filter(person=user, layer=sheet.layer, ended_at=None).exists():
        sheet.ended_at = None
        sheet.save(update_fields=["ended_at"])
    if sheet.ended_at is None:
        back = Lease.objects.live().filter(person=user, neuron__in=[label.neuron_id for label in given])
        back.update(sheet=sheet)
    return given


def can_sort(user: User, sheet: Sheet) -> Answer:
    answer = can_label(user)
    if answer and sheet.person_id != user.pk:
        return Denied("This sheet is in somebody else's hands. Take one of your own.")
    return answer


def _own(user: User, sheet: Sheet) -> Sheet:
    require(can_sort(user, sheet))
    return _locked(sheet)


def _end(sheet: Sheet) -> None:
    if sheet.ended_at is None:
        sheet.ended_at = timezone.now()
        sheet.save(update_fields=["ended_at"])
        sheet.leases.filter(ended_at=None).update(ended_at=sheet.ended_at)
