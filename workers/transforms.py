"""Small random changes of a picture between the steps of an optimisation, so that it does not hang on single pixels.

"Feature Visualization" (Olah, Mordvintsev, Schubert 2017) pads a picture with grey, crops it at random within 8
pixels, scales it by 0.9 to 1.1, turns it by up to 10 degrees and crops it again within 4 pixels. All of that is one
affine map, so it is done here as one resampling that keeps the picture's size, with a draw of its own for every
picture; what comes in from outside is grey.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

JITTER = (8, 4)  # pixels from end to end: how far the picture moves before and after scaling and turning
SCALE = (0.9, 1.1)
ROTATION = 10.0  # degrees, either way
FILL = 0.5
# Pictures smaller than this, in pixels, are shifted less, in proportion: those of the article are larger, and 8 pixels
# would throw a picture of 7 pixels out of its own frame.
FULL_SIZE = 128

DRAWS = 6  # uniform numbers that one transform takes


def draw(generator: torch.Generator, steps: int) -> Tensor:
    """The chances of all steps of one picture: (steps, DRAWS), uniform in [0, 1), on the CPU."""
    return torch.rand(steps, DRAWS, generator=generator)


def affine(draws: Tensor, size: int, strength: Tensor | float = 1.0) -> Tensor:
    """Draws (N, DRAWS) to affine maps (N, 2, 3) from places in the result to places in a picture of `size` pixels.

    Places are in units of half the picture, as `torch.nn.functional.affine_grid` wants them. `strength` shrinks every
    range: at 1 they are those above, at 0 the map changes nothing.
    """
    swing = strength * (draws - 0.5)  # within half the strength, either way
    reach = min(1.0, size / FULL_SIZE)
    before, after = JITTER[0] * reach * swing[:, 0:2], JITTER[1] * reach * swing[:, 2:4]
    scale = 1 + (SCALE[1] - SCALE[0]) * swing[:, 4]
    angle = math.radians(2 * ROTATION) * swing[:, 5]
    cosine, sine = angle.cos() / scale, angle.sin() / scale
    turn = torch.stack([torch.stack([cosine, -sine], -1), torch.stack([sine, cosine], -1)], -2)
    shift = (before + (turn @ after[:, :, None])[:, :, 0]) * 2 / size
    return torch.cat([turn, shift[:, :, None]], -1)


def apply(pictures: Tensor, draws: Tensor, strength: Tensor | float = 1.0) -> Tensor:
    """Pictures (N, 3, size, size) moved, scaled and turned, each by its own row of draws (N, DRAWS)."""
    grid = F.affine_grid(affine(draws, pictures.shape[-1], strength), list(pictures.shape), align_corners=False)
    return F.grid_sample(pictures - FILL, grid, mode="bilinear", padding_mode="zeros", align_corners=False) + FILL
