"""One file for each kind of evidence: arrays out of a network, nothing stored.

Every kind is a generator of the same form, named after its file:

    kind(network, targets, *, <parameters>, device="cpu", tick=nothing) -> Iterator[Finding | Failure]

It yields one outcome for each target as soon as it is known, gives the same bytes whenever it is called with the
same arguments, and calls `tick` about once a second: whatever `tick` raises ends the work and passes through.
"""

from dataclasses import dataclass, field
from typing import Any

from workers.figures import Picture

Target = tuple[str, int]  # layer name, channel


@dataclass(frozen=True)
class Finding:
    """What was found out about one neuron."""

    layer: str
    channel: int
    data: dict[str, Any] | list[Any]  # plain numbers, strings, lists and dicts: it must survive JSON
    pictures: dict[str, Picture] = field(default_factory=dict)  # drawn here: kept without loss
    photographs: dict[str, Picture] = field(default_factory=dict)  # of the image set, and shared by many neurons


@dataclass(frozen=True)
class Failure:
    """Why nothing could be found out about one neuron. Never shown as a picture or counted as a score."""

    layer: str
    channel: int
    reason: str  # a sentence


def nothing() -> None:
    """The tick of a caller that does not want to be told."""
