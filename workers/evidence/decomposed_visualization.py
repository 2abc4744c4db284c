"""What a neuron looks for, place by place.

As in "Visualizing Weights" (Voss et al. 2021, doi 10.23915/distill.00024.007): at each position of its expanded weights
an earlier layer's neurons are weighted in another way, and the picture of that mixture is what the neuron looks for
there.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import Any

import numpy as np
import torch
from torch import Tensor

from workers import directions
from workers.evidence import Failure, Finding, Target, nothing
from workers.figures import Picture, to_uint8
from workers.linearize import kernels
from workers.network import Network

CONTRIBUTIONS = 50  # at the strongest position
FEW = 5  # at each position
FAINT = 0.02  # of the largest magnitude: where there is less, no picture could be seen, and none is made
GREY = 0.5


def decomposed_visualization(
    network: Network,
    targets: Sequence[Target],
    *,
    layer: str,
    steps: int = 128,
    seed: int = 0,
    batch: int | None = None,
    device: torch.device | str = "cpu",
    tick: Callable[[], None] = nothing,
) -> Iterator[Finding | Failure]:
    """A grid over the positions of the weights from the earlier `layer` (see `workers.linearize`) to each target.

    Each cell is a feature visualization of the weights at this position: it maximises the rectified values of one
    unit of every channel of `layer`, each times its weight (see `workers.directions`). Where weights are weak the cell
    fades to mid grey, in proportion to their norm.

    Data: {"layer", "rows", "columns", "cell": side of a cell in pixels, "steps", "magnitudes": rows of the norms,
    "strongest": [row, column], "contributions": at the strongest position up to 50 of [index in `layer`, share], by
    magnitude, and "cells": the first 5 of these for every position, rows of lists. A share is a weight over the sum of
    the magnitudes at its position: it is negative where the neuron inhibits. Picture `grid`.

    A neuron without weights from the layer, with some that are not finite, or for which no picture is found at any
    position, is a Failure.
    """
    cell = directions.place(network, layer).size
    for name, group in groupby(targets, key=lambda target: target[0]):
        for kernel in kernels(network, layer, name, [channel for _, channel in group], device=device, tick=tick):
            if not kernel.values.isfinite().all():
                yield Failure(name, kernel.channel, "Its weights are not finite numbers.")
                continue
            if not kernel.values.any():
                yield Failure(name, kernel.channel, f"It has no weights from {layer}.")
                continue
            places = _visible(kernel.values)
            # Batches of one size, so that little of the last is padding; of this neuron alone, whoever else is asked.
            batches = math.ceil(len(places) / (batch or directions.at_once(network, layer)))
            seen = directions.visualize(
                network,
                layer,
                torch.stack([kernel.values[:, row, column] for row, column in places]),
                [f"{name}:{kernel.channel} from {layer} at {row}, {column}" for row, column in places],
                steps=steps,
                seed=seed,
                batch=math.ceil(len(places) / batches),
                device=device,
                tick=tick,
            )
            pictures = {place: each.picture for place, each in zip(places, seen, strict=True) if each.found}
            if not pictures:
                reason = f"No picture was found that moves what {layer} gives it: those neurons may be dead."
                yield Failure(name, kernel.channel, reason)
                continue
            data = {"layer": layer, "cell": cell, "steps": steps, **_numbers(kernel.values)}
            yield Finding(name, kernel.channel, data, {"grid": _grid(kernel.values, pictures, cell)})


def _visible(values: Tensor) -> list[tuple[int, int]]:
    """The positions whose weights are strong enough to be pictured, row by row."""
    norms = values.norm(dim=0)
    return [(row, column) for row, column in (norms >= FAINT * norms.max()).nonzero().tolist()]


def _numbers(values: Tensor) -> dict[str, Any]:
    _, rows, columns = values.shape
    norms = values.double().norm(dim=0)
    strongest = divmod(int(norms.argmax()), columns)
    return {
        "rows": rows,
        "columns": columns,
        "magnitudes": norms.tolist(),
        "strongest": list(strongest),
        "contributions": _contributions(values[:, strongest[0], strongest[1]])[:CONTRIBUTIONS],
        "cells": [[_contributions(values[:, row, column])[:FEW] for column in range(columns)] for row in range(rows)],
    }


def _contributions(weights: Tensor) -> list[list[float]]:
    """[index, share] of every weight but 0, by magnitude (ties: lower index first)."""
    shares = weights.double().numpy() / max(float(weights.double().abs().sum()), np.finfo(float).tiny)
    order = np.argsort(-np.abs(shares), kind="stable")
    return [[int(index), float(shares[index])] for index in order if shares[index]]


def _grid(values: Tensor, pictures: dict[tuple[int, int], Tensor], cell: int) -> Picture:
    norms = values.norm(dim=0)
    opacity = norms / norms.max()
    rows, columns = norms.shape
    grid = torch.full((3, rows * cell, columns * cell), GREY)
    for (row, column), picture in pictures.items():
        part = grid[:, row * cell : (row + 1) * cell, column * cell : (column + 1) * cell]
        part += (picture.cpu() - GREY) * opacity[row, column]
    return to_uint8(grid)
