"""The labelling queue: neurons handed to people, a few at a time, never to more of them than are asked for."""

import datetime
import secrets
import uuid
from collections import Counter
from collections.abc import Collection, Iterable

from django.db import transaction
from django.db.models import Count, Exists, F, IntegerField, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.utils import timezone

from taxonomy.models import (
    SETTLED,
    Evidence,
    Gold,
    Label,
    Layer,
    Lease,
    Network,
    Neuron,
    Outcome,
    Reveal,
    Role,
    Sheet,
    Standing,
    User,
)
from taxonomy.permissions import Refused, can_label, require

# Time to look at a neuron, to follow its weights, to come back from lunch.
LEASE = datetime.timedelta(minutes=20)
# A gold neuron that a person gave back does not come to them again for so long.
SKIPPED = datetime.timedelta(days=30)
# After an ordinary neuron a gold one comes with this chance, and never after a gold one: one in ten of all.
GOLD_CHANCE = 9


def wanted_by(user: User, *, network: Network | None = None, layer: Layer | None = None) -> QuerySet[Neuron]:
    """Unsettled neurons with room for this person's reading that are not in their hands, the neediest first.

    First the nearest to the readings they ask for, so that neurons settle one after the other. Held by others counts as
    read; what has no picture yet is left out.
    """
    here = Lease.objects.live().filter(neuron=OuterRef("pk")).order_by()
    held = here.values("neuron").annotate(count=Count("pk")).values("count")
    neurons = (
        Neuron.objects.filter(asks__gt=F("readings"))
        .exclude(standing__in=SETTLED)
        .filter(~Exists(Label.objects.current().filter(neuron=OuterRef("pk"), author=user)))
        .filter(~Exists(here.filter(person=user)))
        .filter(asks__gt=F("readings") + Coalesce(Subquery(held, output_field=IntegerField()), 0))
        .filter(Exists(Evidence.objects.filter(neuron=OuterRef("pk"), status=Outcome.DONE)))
    )
    return _within(neurons, network, layer).order_by("-readings", "layer_id", "index")


def _within(neurons: QuerySet[Neuron], network: Network | None, layer: Layer | None) -> QuerySet[Neuron]:
    if layer is not None:
        return neurons.filter(layer=layer)
    return neurons if network is None else neurons.filter(layer__network=network)


@transaction.atomic
def take(
    user: User,
    *,
    network: Network | None = None,
    layer: Layer | None = None,
    skipping: frozenset[int] = frozenset(),
    count: int = 1,
) -> list[Lease]:
    """Hand this person the next neurons; those that they hold already come first, with their time renewed.

    Now and then a gold neuron stands in for an ordinary one.

    Args:
        skipping: neurons to pass over, by primary key.

    Raises:
        Refused: when the user may not label.
    """
    return next_for(user, network=network, layer=layer, skipping=skipping, count=count)


def next_for(
    user: User,
    *,
    network: Network | None = None,
    layer: Layer | None = None,
    skipping: frozenset[int] = frozenset(),
    count: int = 1,
) -> list[Lease]:
    """What ``take`` does, inside another action's transaction.

    No lock is waited for: who holds a neuron already may take the next one.
    """
    require(can_label(user))
    taken = in_hand(user, network=network, layer=layer, skipping=skipping)[:count]
    if taken:
        renew(taken)
    passed = {*skipping, *(lease.neuron_id for lease in taken)}
    while len(taken) < count:
        wanted = wanted_by(user, network=network, layer=layer).exclude(pk__in=passed)
        free = wanted.select_related("layer__network")
        found = list(free.select_for_update(of=["self"], no_key=True, skip_locked=True)[: count - len(taken)])
        if not found:
            break
        passed |= {neuron.pk for neuron in found}
        room, lapsed = with_room(user, found)
        for neuron in room:
            stand_in = _gold_for(user, taken, passed, network, layer)
            if stand_in is not None:
                taken.append(lend(user, stand_in, gold=True, lapsed=False))
            else:
                taken.append(lend(user, neuron, lapsed=neuron.pk in lapsed))
            passed.add(taken[-1].neuron_id)
    return taken


def in_hand(
    user: User,
    *,
    network: Network | None = None,
    layer: Layer | None = None,
    skipping: Collection[int] = (),
) -> list[Lease]:
    """What the queue handed to this person and they have not answered yet. The neurons of a sheet are the sheet's."""
    own = Lease.objects.live().filter(person=user, sheet=None).exclude(neuron__in=skipping)
    # Settled meanwhile, it asks for no reading any more; what is already on somebody's screen may still be answered.
    own = own.filter(Q(gold=True) | ~Q(neuron__standing__in=SETTLED)).select_related("neuron__layer__network")
    if layer is not None:
        own = own.filter(neuron__layer=layer)
    elif network is not None:
        own = own.filter(neuron__layer__network=network)
    return list(own.order_by("pk"))


def renew(taken: Iterable[Lease]) -> None:
    """Give live leases their full time again. One that runs out at this moment stays as it is."""
    until = timezone.now() + LEASE
    keys = [lease.pk for lease in taken]
    # Under the neuron's lock, as all that gives out room; a neuron that is being changed just now is not waited for.
    neurons = Neuron.objects.filter(leases__in=keys).order_by("pk")
    locked = list(neurons.select_for_update(of=["self"], no_key=True, skip_locked=True).values_list("pk", flat=True))
    Lease.objects.live().filter(pk__in=keys, neuron__in=locked).update(expires_at=until)


def with_room(user: User, neurons: Collection[Neuron]) -> tuple[list[Neuron], set[int]]:
    """Of these locked neurons, those that ask for more than is read and held by others.

    And of which of them this person has a lease that is not ended.
    """
    # A lease that somebody got between a query's first look and its lock is seen only now.
    now, held, own = timezone.now(), Counter[int](), set()
    open_ = Lease.objects.filter(neuron__in=[neuron.pk for neuron in neurons], ended_at=None).order_by()
    for neuron_id, person_id, expires_at in open_.values_list("neuron_id", "person_id", "expires_at"):
        if person_id == user.pk:
            own.add(neuron_id)
        elif expires_at > now:
            held[neuron_id] += 1
    return [neuron for neuron in neurons if neuron.readings + held[neuron.pk] < neuron.asks], own


def has_room(user: User, neuron: Neuron) -> bool:
    return bool(with_room(user, [neuron])[0])


def lend(user: User, neuron: Neuron, *, sheet: Sheet | None = None, gold: bool = False, lapsed: bool = True) -> Lease:
    """A lease on a neuron that is locked and has room.

    Args:
        lapsed: whether the person may have one that ran out; it ends with its time.
    """
    if lapsed:
        Lease.objects.filter(neuron=neuron, person=user, ended_at=None).update(ended_at=F("expires_at"))
    return Lease.objects.create(neuron=neuron, person=user, sheet=sheet, gold=gold, expires_at=timezone.now() + LEASE)


def _gold_for(
    user: User, taken: list[Lease], passed: Collection[int], network: Network | None, layer: Layer | None
) -> Neuron | None:
    """By chance a gold neuron, locked, of which this person knows nothing yet; never the second in a row.

    Contributors alone meet them: the answers of settled neurons stand open to reviewers.
    """
    if user.role != Role.CONTRIBUTOR or secrets.randbelow(GOLD_CHANCE):
        return None
    before = taken[-1] if taken else Lease.objects.filter(person=user, sheet=None).order_by("-pk").first()
    if before is not None and before.gold:
        return None
    here = OuterRef("pk")
    lately = Q(ended_at=None) | Q(ended_at__gt=timezone.now() - SKIPPED)
    fresh = (
        Neuron.objects.filter(Exists(Gold.objects.current().filter(neuron=here)), standing=Standing.ACCEPTED)
        .filter(~Exists(Label.objects.filter(neuron=here, author=user)))
        .filter(~Exists(Reveal.objects.filter(neuron=here, person=user)))
        .filter(~Exists(Lease.objects.filter(lately, neuron=here, person=user)))
        .filter(Exists(Evidence.objects.filter(neuron=here, status=Outcome.DONE)))
        .exclude(pk__in=passed)
    )
    chosen = _within(fresh, network, layer).select_related("layer__network").order_by("?")
    neuron = chosen.select_for_update(of=["self"], no_key=True, skip_locked=True).first()
    # A lease that this person got in another tab, between the query's first look and its lock, is seen only now.
    return None if neuron is None or with_room(user, [neuron])[1] else neuron


NOT_HANDED = (
    "This neuron was not handed to you, or you have given it back: open it on its own page to read it, "
    "or take the next one."
)


def neuron_of(token: uuid.UUID) -> Neuron:
    """The neuron that was handed out with this token, to whom and when ever.

    Raises:
        Refused: when none was.
    """
    neuron = Neuron.objects.filter(leases__token=token).select_related("layer__network").first()
    if neuron is None:
        raise Refused(NOT_HANDED)
    return neuron


def held(user: User, neuron: Neuron, token: uuid.UUID | None) -> Lease | None:
    """The lease that this person has on the locked neuron; one that ran out still holds while there is room.

    Raises:
        Refused: when ``token`` names none that holds.
    """
    lease = Lease.objects.filter(neuron=neuron, person=user, ended_at=None).first()
    if token is None:
        return lease
    if lease is None:
        raise Refused(NOT_HANDED)
    # Another token of the same person is of another tab: what counts is that the neuron is in their hands.
    if not lease.gold and not lease.is_live and not has_room(user, neuron):
        raise Refused(
            "You held this neuron for longer than 20 minutes, and others have read it meanwhile. Nothing is lost: "
            "give your reading on the neuron's own page."
        )
    return lease


def end(lease: Lease | None, label: Label | None = None) -> None:
    """The neuron leaves the person's hands, with the label that came of it."""
    if lease is not None:
        lease.label, lease.ended_at = label, timezone.now()
        lease.save(update_fields=["label", "ended_at"])


@transaction.atomic
def give_back(user: User, token: uuid.UUID) -> None:
    """Skip a neuron: it goes back to the queue. Giving it back twice changes nothing."""
    Lease.objects.filter(person=user, token=token, ended_at=None).update(ended_at=timezone.now())
