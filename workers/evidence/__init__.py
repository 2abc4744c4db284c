"""One file for each kind of evidence: arrays out of a network, nothing stored.

Every kind is a generator of the same form, named after its file:

    kind(network, targets, *, <parameters>, device="cpu", tick=nothing) -> Iterator[Finding | Failure]

It yields one outcome for each target as soon as it is known, gives the same bytes whenever it is called with the
same arguments, and calls `tick` about once a second: whatever `tick` raises ends the work and passes through. One that
works on several things at a time takes `batch`, how many: a caller that runs out of memory tries again with fewer.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workers.figures import Picture

Channel = int | tuple[int, ...]  # of a neuron, or of the members of a family
Target = tuple[str, int]  # layer name, channel
Members = tuple[str, tuple[int, ...]]  # layer name, channels: the target of a kind whose subject is a family


@dataclass(frozen=True)
class Finding:
    """What was found out about one target.

    `images` are the indices of the pictures of the image set that the data speaks of: whoever keeps the finding
    keeps those pictures too, as the network sees them, once for all findings.
    """

    layer: str
    channel: Channel
    data: dict[str, Any] | list[Any]  # plain numbers, strings, lists and dicts: it must survive JSON
    pictures: dict[str, Picture] = field(default_factory=dict)  # drawn here: kept without loss
    # Too many numbers for JSON: kept as float32, or as int8 where a kind says what its steps stand for.
    arrays: Mapping[str, NDArray[np.floating] | NDArray[np.int8]] = field(default_factory=dict)
    images: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Failure:
    """Why nothing could be found out about one target. Never shown as a picture or counted as a score."""

    layer: str
    channel: Channel
    reason: str  # a sentence


def nothing() -> None:
    """The tick of a caller that does not want to be told."""
