"""What a neuron is compared by with others: a vector of unit length, so that the likeness of two is their cosine."""

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from workers import stimuli
from workers.evidence import Failure, Finding, Target, nothing
from workers.linearize import kernels
from workers.network import Network
from workers.responses import ROUNDING, Draw, respond, views
from workers.scan import Pictures, Survey, survey

Vectors = Iterator[tuple[str, int, NDArray[np.floating] | str]]  # layer, channel, and the vector or why there is none

LONGEST = 1024  # numbers in a vector
CELLS = 18  # rows and columns that expanded weights are brought to
SHAKEN = 1e-5  # by this share of itself, at random, is a weight changed to see what of the expanded weights stays

RADII = (24.0, 40.0, 60.0)  # of arcs, in pixels
PERIODS = (2.5, 3.5, 5.0, 7.0, 10.0, 14.0, 20.0)  # of gratings, in pixels
FINE_PERIOD, RATIOS = 5.0, (2.0, 4.0)  # of fine beside coarse patterns
PHASES = (0.0, 90.0, 180.0, 270.0)
TURN = 7.5  # degrees
WAVES = 9  # Fourier coefficients of each tuning curve: the mean, and up to 8 waves in its period


def neighbours(
    network: Network,
    targets: Sequence[Target],
    *,
    by: str = "activation",
    images: Pictures | None = None,
    surveys: Mapping[str, Survey] | None = None,
    batch: int = 16,
    device: torch.device | str = "cpu",
    tick: Callable[[], None] = nothing,
) -> Iterator[Finding | Failure]:
    """A vector of at most 1,024 numbers and unit length for each target. Neurons are alike where the cosine is near 1.

    - "activation": the highest value in each picture, less its mean over the pictures and over its norm, so that the
      cosine is Pearson's correlation. More than 1,024 pictures are projected onto 1,024 directions by a matrix of
      random signs, the same for every network: the cosine of a pair is then off by about (1 - cosine^2) / 32. To be
      compared between networks where the set of pictures is the same.
    - "weights": the expanded weights of the unit to the picture (RGB; see `workers.linearize`), 18 x 18 areas of equal
      size of whatever it sees, signed. Blind to scale, and to what only a ReLU or a max pool brings about: a neuron
      whose weights cancel once these are linear, as a complex cell's do, has none. In fields of many pixels an area is
      the mean of a fine pattern, and hardly shows it.
    - "rotation": how much of each wave is in the neuron's tuning curves over orientation, which is the same in whatever
      direction the neuron points, and for its mirror image: magnitudes of Fourier coefficients 0 to 8 of the rectified
      responses to arcs of three radii and to lines, white on black and black on white, and to gratings of seven
      periods and fine beside coarse patterns of two ratios (means over four phases). Those of one stimulus have
      unit length, times the largest response to it.

    data: "by" and "vector". ValueError for another `by`, and for "activation" without `images` or `surveys`; KeyError
    for an unknown layer; PictureError (see `workers.scan`) for a picture that cannot be used.
    """
    if by == "activation":
        found = _by_activation(network, targets, images, surveys, batch, device, tick)
    elif by == "weights":
        found = _by_weights(network, targets, device, tick)
    elif by == "rotation":
        found = _by_rotation(network, targets, device, tick)
    else:
        raise ValueError(f"Neighbours are found by activation, weights or rotation, not by {by!r}.")
    for layer, channel, vector in found:
        if isinstance(vector, str):
            yield Failure(layer, channel, vector)
        elif not np.isfinite(vector).all():
            yield Failure(layer, channel, "What it is compared by are not finite numbers.")
        else:
            unit = vector / np.linalg.norm(vector)
            yield Finding(layer, channel, {"by": by, "vector": [float(f"{value:.7g}") for value in unit]})


def _by_activation(
    network: Network,
    targets: Sequence[Target],
    images: Pictures | None,
    surveys: Mapping[str, Survey] | None,
    batch: int,
    device: torch.device | str,
    tick: Callable[[], None],
) -> Vectors:
    layers = list(dict.fromkeys(layer for layer, _ in targets))
    if surveys is None:
        if images is None:
            raise ValueError("Neighbours by activation need images.")
        surveys = survey(network, layers, images, batch=batch, device=device, tick=tick)
    for layer in layers:
        network.layer(layer)
        found = surveys[layer]
        for _, channel in (target for target in targets if target[0] == layer):
            peaks = found.peaks[:, channel].numpy().astype(np.float64)
            if reason := found.failure(channel):
                yield layer, channel, reason
            elif np.ptp(peaks) == 0:
                yield layer, channel, "Its highest value is the same in every image, so there is nothing to correlate."
            else:
                yield layer, channel, _shortened(peaks - peaks.mean())


def _shortened(vector: NDArray[np.float64]) -> NDArray[np.float64]:
    """Projected onto directions that depend on its length alone, where it is too long.

    Achlioptas, "Database-friendly random projections" (2003): cosines are kept, on the average.
    """
    if len(vector) <= LONGEST:
        return vector
    random = np.random.default_rng(0)
    shorter = np.zeros(LONGEST)
    for part in np.split(vector, range(LONGEST, len(vector), LONGEST)):  # so that the matrix is never there whole
        signs = random.integers(0, 2, (len(part), LONGEST), dtype=np.int8)
        shorter += part @ (2.0 * signs - 1)
    return shorter


def _by_weights(
    network: Network, targets: Sequence[Target], device: torch.device | str, tick: Callable[[], None]
) -> Vectors:
    shaken = copy.deepcopy(network)
    random = torch.Generator().manual_seed(0)
    for weights in shaken.parameters():
        weights.mul_(1 + SHAKEN * torch.randn(weights.shape, generator=random).to(weights.device))
    for layer in dict.fromkeys(layer for layer, _ in targets):
        channels = [channel for name, channel in targets if name == layer]
        both = (kernels(each, None, layer, channels, device=device, tick=tick) for each in (network, shaken))
        for kernel, other in zip(*both, strict=True):
            vector, moved = (_resampled(each.values, network) for each in (kernel, other))
            if np.linalg.norm(moved - vector) >= 0.1 * np.linalg.norm(vector):
                yield layer, kernel.channel, "Its weights to the image cancel once ReLUs and max pools are made linear."
            else:
                yield layer, kernel.channel, vector


def _resampled(values: Tensor, network: Network) -> NDArray[np.float64]:
    """(3, rows, columns) of the normalised picture, as the same number of areas of the picture."""
    per_colour = values.double() / network.std.cpu()[0]
    return F.interpolate(per_colour[None], (CELLS, CELLS), mode="area").flatten().numpy()


def _by_rotation(
    network: Network, targets: Sequence[Target], device: torch.device | str, tick: Callable[[], None]
) -> Vectors:
    turn = np.arange(0, 360, TURN)
    half = turn[: len(turn) // 2]
    drawn: list[tuple[NDArray[np.floating], Sequence[Draw]]] = [
        *((turn, [draw]) for radius in RADII for draw in _both(partial(stimuli.arcs, radius=radius))),
        *((half, [draw]) for draw in _both(stimuli.lines)),
        *((half, [partial(stimuli.gratings, period=p, phase=phase) for phase in PHASES]) for p in PERIODS),
        *(
            (turn, [partial(stimuli.high_low, period=FINE_PERIOD, ratio=ratio, phase=phase) for phase in PHASES])
            for ratio in RATIOS
        ),
    ]
    for view in views(network, targets):
        parts = []
        for angles, draws in drawn:
            answers = [respond(network, view, draw, angles, device=device, tick=tick) for draw in draws]
            rectified = np.where(np.array(answers) <= ROUNDING, 0, answers)  # what is not a number shows
            parts.append(_waves(rectified.mean(axis=0, dtype=np.float64)))
        vectors = np.concatenate(parts, axis=1)
        for channel, vector in zip(view.channels, vectors, strict=True):
            if vector.any():
                yield view.layer, channel, vector
            else:
                yield view.layer, channel, "It answers to none of the drawn stimuli that are turned."


def _waves(responses: NDArray[np.float64]) -> NDArray[np.float64]:
    """(channels, waves) of responses (angles, channels) over one period: the magnitudes, of unit length, times the
    largest response."""
    magnitudes = np.abs(np.fft.rfft(responses, axis=0)[:WAVES])
    norms = np.linalg.norm(magnitudes, axis=0)
    return (magnitudes / np.where(norms == 0, 1, norms) * responses.max(axis=0)).T


def _both(draw: Draw) -> tuple[Draw, Draw]:
    """White on black, and black on white."""

    def inverted(values: NDArray[np.floating], size: int, *, middle: tuple[float, float]) -> NDArray[np.float32]:
        return 1 - draw(values, size, middle=middle)

    return draw, inverted
