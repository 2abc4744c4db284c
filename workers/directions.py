"""Feature visualizations of directions: of many channels of a layer at once, each with a weight of its own."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from workers.network import Network
from workers.optimize import Sight, climb, is_grey, own_seed, quick, sight
from workers.receptive_field import Field

# How much a unit that is off counts while climbing. What the next layer reads of it is nothing, and a picture that had
# to silence further what is silent would show little of what excites; but with no slope at all, units that are off at
# grey could not be found.
SLOPE = 0.1

# Pixels of all pictures that are worked on at once, as for single neurons.
BATCH_PIXELS = 2**16


@dataclass(frozen=True)
class Seen:
    """The picture of one direction: (3, size, size), RGB in [0, 1] in 8 bits a colour, and the value it reaches.

    The value is what the next layer reads in this direction, of unit length, of the unit in the middle of the picture:
    the layer's rectified values times the weights. At plain grey it is `plain`.
    """

    picture: Tensor
    value: float
    plain: float

    @property
    def found(self) -> bool:
        """Whether the picture drives the direction at all: it does not where the units behind it are dead."""
        return self.value > self.plain


def field(network: Network, layer: str) -> Field:
    """The smallest square that holds what a unit of any channel of this layer sees, so that all can be seen at once."""
    fields = set(network.layer(layer).fields)
    start = min(field.start for field in fields)
    end = max(field.start + field.size for field in fields)
    return Field(end - start, next(iter(fields)).stride, start)


def place(network: Network, layer: str) -> Sight:
    """Where one unit of every channel sees the pictures of this layer's directions."""
    return sight(network, field(network, layer))


def at_once(network: Network, layer: str) -> int:
    """How many pictures are made at a time, when nothing else is said."""
    return min(max(BATCH_PIXELS // place(network, layer).size ** 2, 8), 64)


def visualize(
    network: Network,
    layer: str,
    directions: Tensor,
    subjects: Sequence[str],
    *,
    steps: int,
    seed: int = 0,
    batch: int | None = None,
    device: torch.device | str = "cpu",
    tick: Callable[[], None] = lambda: None,
) -> Iterator[Seen]:
    """A picture for each of `directions` (N, channels of the layer), as large as `place(network, layer)` says.

    It maximises the sum of the rectified values of one unit of every channel, each times its weight: the direction's
    length makes no difference. `subjects` names each of them, and decides its seed. `batch` pictures are made at a
    time, the last batch padded: its company makes no difference.
    """
    at = place(network, layer)
    together = batch or at_once(network, layer)
    values = quick(network, layer)
    unit = F.normalize(directions, dim=1)
    for first in range(0, len(unit), together):
        part = list(range(first, min(first + together, len(unit))))
        padded = part + part[-1:] * (together - len(part))
        own = unit[padded].to(device)

        def exact(pictures: Tensor, own: Tensor = own) -> Tensor:
            found = network.between(at.frame(pictures), None, layer)
            return (F.relu(found[:, :, at.row, at.row]) * own).sum(1)

        def draft(pictures: Tensor, own: Tensor = own) -> Tensor:
            return (F.leaky_relu(values(at.frame(pictures))[:, :, at.row, at.row], SLOPE) * own).sum(1)

        climbed = climb(
            exact,
            [own_seed(seed, subjects[index]) for index in padded],
            at.size,
            steps=steps,
            draft=draft,
            grey=is_grey(network),
            device=device,
            tick=tick,
        )
        for entry in range(len(part)):
            yield Seen(climbed.pictures[entry], float(climbed.reached[entry]), float(climbed.plain[entry]))
