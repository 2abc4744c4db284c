"""The weights from one family of neurons to another, both in order of the angle that they prefer.

As in "Visualizing Weights" (Voss et al. 2021, doi 10.23915/distill.00024.007) and "Naturally Occurring Equivariance in
Neural Networks" (Olah et al. 2020, doi 10.23915/distill.00024.004): where two families are each one thing, turned in
steps, the weights between them depend on the angle between two members alone, and the matrix shows a band.
"""

from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction

import numpy as np
import torch
from numpy.typing import NDArray

from workers import figures
from workers.evidence import Failure, Finding, Members, nothing
from workers.figures import Picture
from workers.linearize import kernels
from workers.network import Network
from workers.responses import Preference, preferred

CELL = 8  # pixels of the picture for one weight, at least, and
KERNEL = 40  # for one kernel; but
LARGEST = 8192  # for the whole picture's longer side at most, as some formats and browsers take no more than twice that
LINE = (0.86, 0.86, 0.84)  # the colour of the gaps between kernels


def family_weights(
    network: Network,
    targets: Sequence[Members],
    *,
    source_layer: str,
    source: Sequence[int],
    batch: int | None = None,
    device: torch.device | str = "cpu",
    tick: Callable[[], None] = nothing,
) -> Iterator[Finding | Failure]:
    """Weights from the family `source` of the earlier `source_layer` to the members of each target family.

    See `workers.linearize` for the weights, and `workers.responses.preferred` for the angles: both families are put in
    their order, from 0 degrees on, with those that have no angle at the end, by index.

    Data: {"layer", "members": indices in that order, "angles": degrees or None, "stimulus": what the angles are of,
    "source_layer", "source", "source_angles", "source_stimulus", "k": side of a kernel, "scale": largest magnitude,
    "linearised": whether they are more than the kernels of a single convolution, "strengths": for each member and
    source the kernel's entry of largest magnitude, "equivariance": the correlation of the strengths with themselves
    after both families are turned by the least angle that is a whole number of steps for both, None where there is
    none, an angle is missing or the strengths are all alike}. Array `kernels`: (members, source, k, k). Picture
    `matrix`: all of them, members down and source across, red where they excite and blue where they inhibit.

    `batch` units are pulled back at a time. Weights that are not finite, or all 0, are a Failure. ValueError for an
    empty family.
    """
    if not source or any(not members for _, members in targets):
        raise ValueError("A family has at least one member.")
    from_source: Preference | None = None
    for layer, members in targets:
        found = [
            (kernel.values[list(source)].numpy(), kernel.linearised)
            for kernel in kernels(network, source_layer, layer, members, batch=batch, device=device, tick=tick)
        ]
        weights = _square([values for values, _ in found])
        if not np.isfinite(weights).all():
            yield Failure(layer, members, "Some of its weights are not finite numbers.")
            continue
        if not weights.any():
            yield Failure(layer, members, f"There are no weights from these neurons of {source_layer} to it.")
            continue
        facing = preferred(network, layer, members, device=device, tick=tick)
        from_source = from_source or preferred(network, source_layer, source, device=device, tick=tick)
        down, across = _order(members, facing), _order(source, from_source)
        weights = np.ascontiguousarray(weights[down][:, across])
        strengths = _strengths(weights)
        data = {
            "layer": layer,
            "members": [members[index] for index in down],
            "angles": [facing.angles[index] for index in down],
            "stimulus": facing.stimulus,
            "source_layer": source_layer,
            "source": [source[index] for index in across],
            "source_angles": [from_source.angles[index] for index in across],
            "source_stimulus": from_source.stimulus,
            "k": weights.shape[-1],
            "scale": float(np.abs(weights).max()),
            "linearised": any(linearised for _, linearised in found),
            "strengths": strengths.tolist(),
            "equivariance": _equivariance(strengths, facing, from_source),
        }
        yield Finding(layer, members, data, {"matrix": _matrix(weights)}, {"kernels": weights})


def _order(channels: Sequence[int], facing: Preference) -> list[int]:
    """Places in `channels`, by angle. An angle less than half a step below a full turn counts as one just below 0."""
    half = facing.period / len(channels) / 2

    def key(place: int) -> tuple[bool, float, int]:
        angle = facing.angles[place]
        return angle is None, 0.0 if angle is None else (angle + half) % facing.period, channels[place]

    return sorted(range(len(channels)), key=key)


def _square(kernels: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """One array (members, source, k, k), smaller kernels amid zeros."""
    size = max(max(kernel.shape[1:]) for kernel in kernels)
    array = np.zeros((len(kernels), kernels[0].shape[0], size, size), dtype=np.float32)
    for place, kernel in zip(array, kernels, strict=True):
        _, rows, columns = kernel.shape
        top, left = (size - rows) // 2, (size - columns) // 2
        place[:, top : top + rows, left : left + columns] = kernel
    return array


def _strengths(weights: NDArray[np.float32]) -> NDArray[np.float32]:
    flat = weights.reshape(*weights.shape[:2], -1)
    return np.take_along_axis(flat, np.abs(flat).argmax(axis=-1)[..., None], axis=-1)[..., 0]


def _equivariance(strengths: NDArray[np.float32], members: Preference, source: Preference) -> float | None:
    """See `family_weights`."""
    if None in members.angles or None in source.angles or strengths.std() == 0:
        return None
    steps = [Fraction(round(side.period), len(side.angles)) for side in (members, source)]
    # The least angle that both step sizes divide; it must be less than a turn of each, or it turns nothing.
    turn = Fraction(
        int(np.lcm(steps[0].numerator * steps[1].denominator, steps[1].numerator * steps[0].denominator)),
        steps[0].denominator * steps[1].denominator,
    )
    if turn >= min(members.period, source.period):
        return None
    turned = np.roll(strengths, (int(turn / steps[0]), int(turn / steps[1])), axis=(0, 1))
    return float(np.corrcoef(strengths.ravel(), turned.ravel())[0, 1])


def _matrix(weights: NDArray[np.float32]) -> Picture:
    members, source, size, _ = weights.shape
    cell = max(1, min(max(CELL, -(-KERNEL // size)), LARGEST // (size * max(members, source))))
    side = size * cell
    drawn = np.empty((members * (side + 1) + 1, source * (side + 1) + 1, 3), dtype=np.uint8)
    drawn[:] = figures.to_uint8(np.full((1, 1, 3), LINE))
    scale = float(np.abs(weights).max())
    for row in range(members):
        for column in range(source):
            kernel = figures.enlarge(figures.diverging(weights[row, column], scale), cell)
            top, left = row * (side + 1) + 1, column * (side + 1) + 1
            drawn[top : top + side, left : left + side] = kernel
    return drawn
