"""What a picture is made to maximise: a number for each picture of a batch, from the values of one layer.

The objectives and the diversity term are those of "Feature Visualization" (Olah, Mordvintsev, Schubert 2017).
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Objective:
    """The mean of a channel over a square of units, or its opposite."""

    units: int  # side of the square
    sign: int

    def __call__(self, values: Tensor, channels: Tensor) -> Tensor:
        """From pre-ReLU values (N, channels, units, units), for each picture's own channel (N,): (N,)."""
        return self.sign * values[torch.arange(len(values), device=values.device), channels].mean((1, 2))


# A channel's mean is over the units that see nothing but the picture; 5 x 5 are enough for a texture to repeat.
OBJECTIVES = {"neuron": Objective(1, 1), "negative": Objective(1, -1), "channel": Objective(5, 1)}


def alikeness(values: Tensor, together: int) -> Tensor:
    """How alike each picture's texture is to those of the others that belong with it: (N,), between 0 and 1.

    `values` (N, channels, rows, columns) are those of one layer; each `together` pictures in a row, two or more,
    belong together. A texture is the Gram matrix of the rectified values, which channels are active in the same
    places (Gatys, Ecker, Bethge 2015); alikeness is the cosine between two of these, averaged over the others.
    """
    active = F.relu(values).flatten(2)
    textures = F.normalize((active @ active.mT).flatten(1), dim=1).unflatten(0, (-1, together))
    return ((textures @ textures.mT).sum(2) - (textures * textures).sum(2)).flatten() / (together - 1)
