"""A neuron's weights as a few factors: groups of earlier neurons, each at work in places of its own.

As in "Visualizing Weights" (Voss et al. 2021, doi 10.23915/distill.00024.007) and "High-Low Frequency Detectors"
(Schubert et al. 2021, doi 10.23915/distill.00024.005): one-sided non-negative factorization, in which what a factor
is made of (its channels) is never negative, and where it is at work may take either sign.
"""

import colorsys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from workers import directions, figures
from workers.evidence import Failure, Finding, Target, nothing
from workers.factorize import Factors, one_sided
from workers.figures import Picture
from workers.linearize import kernels
from workers.network import Network

CHANNELS = 12  # of a factor, that are named
MAP = 120  # pixels: about the side of the map of where the factors are at work

SIGNS = {"excitatory": 1, "inhibitory": -1}


@dataclass(frozen=True)
class Taken:
    """A neuron's weights taken apart, by sign."""

    channel: int
    parts: dict[str, Factors]
    shape: tuple[int, int]  # rows and columns of its kernel
    total: float  # of the squares of its weights


def weight_factors(
    network: Network,
    targets: Sequence[Target],
    *,
    layer: str,
    factors: int = 3,
    steps: int = 256,
    seed: int = 0,
    batch: int | None = None,
    device: torch.device | str = "cpu",
    tick: Callable[[], None] = nothing,
) -> Iterator[Finding | Failure]:
    """The weights from the earlier `layer` (see `workers.linearize`) in up to `factors` factors of either sign.

    Weights are a matrix, channels by positions. What excites (its positive part) and what inhibits (its negative part,
    turned positive) are factorized apart, by `workers.factorize.one_sided`.

    Data: {"layer", "excitatory", "inhibitory", "explained": share of the squared weights that all factors explain};
    the two are lists, largest first, of {"share": the factor's squares over the squared weights, "channels": up to 12
    of [index, weight], a whole factor's weights having length 1, "spatial": rows of numbers, in which its size lies,
    "value": what the factor's picture reaches in its direction, or None where no picture moves it}. Pictures
    `excitatory_1`, ..., `inhibitory_1`, ...: the feature visualization of each factor that has one; `map` and
    `map_inhibitory`: where each is at work, in red, green and blue for three.

    A neuron without weights from the layer, or with some that are not finite, is a Failure.
    """
    for name, group in groupby(targets, key=lambda target: target[0]):
        channels = [channel for _, channel in group]
        taken: list[Taken] = []
        for kernel in kernels(network, layer, name, channels, device=device, tick=tick):
            if not kernel.values.isfinite().all():
                yield Failure(name, kernel.channel, "Its weights are not finite numbers.")
            elif not kernel.values.any():
                yield Failure(name, kernel.channel, f"It has no weights from {layer}.")
            else:
                taken.append(_taken_apart(kernel.channel, kernel.values, factors, seed))
        of_factors = [
            (torch.from_numpy(column), f"{name}:{each.channel} from {layer}, {sign} {number}")
            for each in taken
            for sign, part in each.parts.items()
            for number, column in enumerate(part.columns.T, start=1)
        ]
        if not of_factors:
            continue
        columns, subjects = zip(*of_factors, strict=True)
        seen = directions.visualize(
            network,
            layer,
            torch.stack(columns).float(),
            subjects,
            steps=steps,
            seed=seed,
            batch=batch,
            device=device,
            tick=tick,
        )
        for each in taken:
            yield _finding(name, layer, each, seen)


def _taken_apart(channel: int, values: Tensor, factors: int, seed: int) -> Taken:
    matrix = values.flatten(1).double().numpy()
    parts = {sign: one_sided(np.maximum(turn * matrix, 0), factors, seed=seed) for sign, turn in SIGNS.items()}
    return Taken(channel, parts, (values.shape[1], values.shape[2]), float((matrix**2).sum()))


def _finding(name: str, layer: str, taken: Taken, seen: Iterator[directions.Seen]) -> Finding:
    data: dict[str, Any] = {"layer": layer}
    pictures: dict[str, Picture] = {}
    error = taken.total
    for sign, part in taken.parts.items():
        data[sign] = []
        spatial = part.rows.reshape(-1, *taken.shape)
        for number, (column, where, size) in enumerate(zip(part.columns.T, spatial, part.sizes, strict=True), start=1):
            found = next(seen)
            strongest = [index for index in np.argsort(-column, kind="stable")[:CHANNELS] if column[index] > 0]
            data[sign].append(
                {
                    "share": float(size / taken.total),
                    "channels": [[int(index), float(column[index])] for index in strongest],
                    "spatial": where.tolist(),
                    "value": found.value if found.found else None,
                }
            )
            if found.found:
                pictures[f"{sign}_{number}"] = figures.to_uint8(found.picture)
        if len(spatial):
            pictures["map" if sign == "excitatory" else "map_inhibitory"] = _map(spatial)
        error -= part.captured
    data["explained"] = float(1 - error / taken.total)
    return Finding(name, taken.channel, data, pictures)


def _map(spatial: NDArray[np.float64]) -> Picture:
    """Where each factor is at work, each in a colour of its own, on black: (F, rows, columns) to a picture."""
    colours = np.array([colorsys.hsv_to_rgb(index / max(len(spatial), 3), 1, 1) for index in range(len(spatial))])
    strength = np.maximum(spatial, 0)
    lit = np.einsum("frc,fk->rck", strength / strength.max(), colours)
    return figures.enlarge(figures.to_uint8(lit), max(1, MAP // max(spatial.shape[1:])))
