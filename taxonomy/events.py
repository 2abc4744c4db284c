"""The only writer of Event."""

from typing import Any

from taxonomy.models import Event, User


def record(actor: User, verb: str, *, data: dict[str, Any] | None = None, **subjects: Any) -> Event:
    """Record that ``actor`` did ``verb``; a neuron, family or layer brings the rows above it along.

    Call inside the action's transaction, so that a change and its event stand or fall together.
    """
    for lower, upper in (("neuron", "layer"), ("family", "layer"), ("proposal", "layer"), ("layer", "network")):
        if subjects.get(lower) is not None and subjects.get(upper) is None:
            subjects[upper] = getattr(subjects[lower], upper)
    return Event.objects.create(actor=actor, verb=verb, data=data or {}, **subjects)
