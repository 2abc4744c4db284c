"""The only writer of Event, and what its rows are told with."""

from typing import Any

from django.contrib.auth.models import AnonymousUser
from django.db.models import Exists, OuterRef, Prefetch, QuerySet

from taxonomy.models import SETTLED, Claim, Event, Label, Note, Reveal, User
from taxonomy.models.claims import ClaimNeuron


def record(actor: User, verb: str, *, data: dict[str, Any] | None = None, **subjects: Any) -> Event:
    """Record that ``actor`` did ``verb``; a neuron, family or layer brings the rows above it along, and a claim what it
    is on: who may not see how that is read is not told of the claim either.

    Call inside the action's transaction, so that a change and its event stand or fall together.
    """
    for lower, upper in (
        ("claim", "note"),
        ("claim", "family"),
        ("claim", "neuron"),
        ("claim", "network"),
        ("neuron", "layer"),
        ("family", "layer"),
        ("proposal", "layer"),
        ("layer", "network"),
        ("note", "network"),
    ):
        if subjects.get(lower) is not None and subjects.get(upper) is None:
            subjects[upper] = getattr(subjects[lower], upper)
    return Event.objects.create(actor=actor, verb=verb, data=data or {}, **subjects)


def told(
    events: QuerySet[Event],
    count: int,
    *,
    said: bool = False,
    reader: User | AnonymousUser | None = None,
    passing: bool = True,
) -> list[Event]:
    """The newest of these events, with all that their sentences name.

    One query, and one more each for proposals, notes and comments, which are long and which hardly any event has.

    Args:
        said: with the comments that they tell of, for whoever quotes or links them.
        reader: who is told, a visitor if nobody is given: what claims say of neurons that they are still to read is
            left to the claims' pages, where a look is recorded. One query, where claims are told of.
        passing: whether they are told in passing, and not beside the claims themselves.
    """
    found = list(
        events.select_related(
            *("actor", "network", "layer__sprite", "neuron", "family"),
            *("image_set", "job", "person", "claim"),
        ).prefetch_related("proposal", Prefetch("note", Note.objects.titled()), *(["comment"] if said else []))[:count]
    )
    for event in found:  # ``events.record`` brings layer and network along with what lies in them
        if event.layer is not None and event.network is not None:
            event.layer.network = event.network
            for subject in (event.neuron, event.family, event.proposal):
                if subject is not None:
                    subject.layer = event.layer
        for about in (event.note, event.claim):
            if about is not None and event.network is not None:
                about.network = event.network
    if passing:
        _withhold([event.claim for event in found if event.claim is not None], reader)
    return found


def _withhold(claims: list[Claim], reader: User | AnonymousUser | None) -> None:
    """Mark those that say something of unsettled neurons which the reader neither read nor looked at."""
    others = [claim for claim in claims if not isinstance(reader, User) or claim.author_id != reader.pk]
    if not others:
        return
    unread = ClaimNeuron.objects.filter(claim__in=others).exclude(neuron__standing__in=SETTLED)
    if isinstance(reader, User):
        own = Label.objects.given_by(reader).filter(neuron=OuterRef("neuron"))
        seen = Reveal.objects.filter(person=reader, neuron=OuterRef("neuron"))
        unread = unread.exclude(Exists(own) | Exists(seen))
    waiting = set(unread.values_list("claim", flat=True))
    for claim in others:
        claim.withheld = claim.pk in waiting
