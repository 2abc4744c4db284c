"""The labelling queue: neurons handed to people, a few at a time, never to more of them than are asked for."""

import datetime
import uuid

from django.db import transaction
from django.db.models import Case, Count, Exists, F, IntegerField, OuterRef, QuerySet, Subquery, Value, When
from django.db.models.functions import Coalesce
from django.utils import timezone

from taxonomy.models import SETTLED, Evidence, Label, Layer, Lease, Network, Neuron, Outcome, User
from taxonomy.permissions import Refused, can_label, require

# Time to look at a neuron, to follow its weights, to come back from lunch.
LEASE = datetime.timedelta(minutes=20)


def wanted_by(user: User, *, network: Network | None = None, layer: Layer | None = None) -> QuerySet[Neuron]:
    """Unsettled neurons with room for this person's reading, those first on which it counts most.

    First the nearest to the readings they ask for, so that neurons settle one after the other. Held by others counts as
    read; what has no picture yet is left out.
    """
    others = Lease.objects.live().filter(neuron=OuterRef("pk")).exclude(person=user)
    held = others.order_by().values("neuron").annotate(count=Count("pk")).values("count")
    neurons = (
        Neuron.objects.filter(asks__gt=F("readings"))
        .exclude(standing__in=SETTLED)
        .exclude(Exists(Label.objects.current().filter(neuron=OuterRef("pk"), author=user)))
        .annotate(held=Coalesce(Subquery(held, output_field=IntegerField()), 0))
        .filter(asks__gt=F("readings") + F("held"))
        .filter(Exists(Evidence.objects.filter(neuron=OuterRef("pk"), status=Outcome.DONE)))
    )
    if layer is not None:
        neurons = neurons.filter(layer=layer)
    elif network is not None:
        neurons = neurons.filter(layer__network=network)
    own = Lease.objects.live().filter(neuron=OuterRef("pk"), person=user)
    first = Case(When(Exists(own), then=Value(0)), default=Value(1))
    return neurons.order_by(first, "-readings", "layer_id", "index")


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

    Args:
        skipping: neurons to pass over, by primary key.

    Raises:
        Refused: when the user may not label.
    """
    require(can_label(user))
    taken: list[Lease] = []
    passed = set(skipping)
    while len(taken) < count:
        free = wanted_by(user, network=network, layer=layer).exclude(pk__in=passed)
        found = list(free.select_for_update(of=["self"], no_key=True, skip_locked=True)[: count - len(taken)])
        if not found:
            break
        passed |= {neuron.pk for neuron in found}
        # A lease that somebody got between this query's first look and its lock is seen only now.
        others = Lease.objects.live().filter(neuron__in=found).exclude(person=user).order_by().values_list("neuron")
        held = dict(others.annotate(count=Count("pk")))
        taken += [lend(user, neuron) for neuron in found if neuron.readings + held.get(neuron.pk, 0) < neuron.asks]
    return taken


def lend(user: User, neuron: Neuron, **fields: object) -> Lease:
    """A lease on a neuron that is locked and has room; the person's own is renewed, whether or not it ran out."""
    until = timezone.now() + LEASE
    lease, _ = Lease.objects.update_or_create(
        neuron=neuron, person=user, ended_at=None, defaults={"expires_at": until, **fields}
    )
    lease.neuron = neuron
    return lease


def held(user: User, neuron: Neuron, token: uuid.UUID | None) -> Lease | None:
    """The lease that this person has on the locked neuron; one that ran out still holds while there is room.

    Raises:
        Refused: when ``token`` names none that holds.
    """
    lease = Lease.objects.filter(neuron=neuron, person=user, ended_at=None).first()
    if token is None:
        return lease
    if lease is None or lease.token != token:
        raise Refused(
            "This neuron was not handed to you, or you have given it back: open it on its own page to read it, "
            "or take the next one."
        )
    if not lease.gold and lease.expires_at <= timezone.now():
        others = Lease.objects.live().filter(neuron=neuron).exclude(person=user).count()
        if neuron.readings + others >= neuron.asks:
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
