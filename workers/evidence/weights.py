"""The weights between a neuron and every neuron of an earlier or a later layer."""

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from workers.evidence import Failure, Finding, Target, nothing
from workers.linearize import kernels
from workers.network import Network

# Kernels in the data, fewer where they are large; the array holds them all.
STRONGEST, FEWEST, NUMBERS = 50, 9, 20_000
STRONG = 0.3  # of the largest magnitude: what "Curve Circuits" counts as a strong connection


def weights(
    network: Network,
    targets: Sequence[Target],
    *,
    layer: str,
    direction: str = "in",
    batch: int | None = None,
    device: torch.device | str = "cpu",
    tick: Callable[[], None] = nothing,
) -> Iterator[Finding | Failure]:
    """Weights from the earlier `layer` ("in") or to the later one ("out"), as `workers.linearize` has them.

    Data: {"layer", "direction", "linearised": whether any of them is more than the kernel of a single convolution,
    "scale": the largest magnitude, "channels": how many neurons `layer` has, "strong": how many of them reach 30 % of
    the scale, "strongest": up to 50 of {"neuron": index in `layer`, "value": the kernel's entry of largest magnitude,
    "linearised", "kernel": rows of numbers}, by magnitude (ties: lower index first)}. Array `kernels`: (channels, k, k)
    for every neuron of `layer`, smaller kernels amid zeros.

    `batch` units are pulled back at a time. ValueError for another direction, and for a layer that does not lie on
    that side.
    """
    if direction not in ("in", "out"):
        raise ValueError(f"A direction of weights is one of in, out, not {direction!r}.")
    for name, group in groupby(targets, key=lambda target: target[0]):
        channels = [channel for _, channel in group]
        for channel, found in zip(
            channels, _found(network, name, layer, direction, channels, batch, device, tick), strict=True
        ):
            if not all(bool(kernel.isfinite().all()) for kernel, _ in found):
                yield Failure(name, channel, "Its weights are not finite numbers.")
                continue
            data = {"layer": layer, "direction": direction, **_ranked(found)}
            yield Finding(name, channel, data, arrays={"kernels": _together([kernel for kernel, _ in found])})


def _found(
    network: Network,
    name: str,
    layer: str,
    direction: str,
    channels: Sequence[int],
    batch: int | None,
    device: torch.device | str,
    tick: Callable[[], None],
) -> Iterator[list[tuple[Tensor, bool]]]:
    """For each of `channels` the kernel of every neuron of `layer`, and whether it is linearised."""
    if direction == "in":
        for kernel in kernels(network, layer, name, channels, batch=batch, device=device, tick=tick):
            yield [(values, kernel.linearised) for values in kernel.values]
    else:
        # Only the rows of these channels are kept: all kernels between two wide layers would be gigabytes.
        everyone = range(network.layer(layer).channels)
        behind = [
            (kernel.values[list(channels)], kernel.linearised)
            for kernel in kernels(network, name, layer, everyone, batch=batch, device=device, tick=tick)
        ]
        for index in range(len(channels)):
            yield [(values[index], linearised) for values, linearised in behind]


def _ranked(found: Sequence[tuple[Tensor, bool]]) -> dict[str, Any]:
    values = [float(kernel.flatten()[kernel.abs().argmax()]) for kernel, _ in found]
    scale = max(map(abs, values))
    order = sorted(range(len(found)), key=lambda index: -abs(values[index]))  # a stable sort: ties keep their order
    return {
        "linearised": any(linearised for _, linearised in found),
        "scale": scale,
        "channels": len(found),
        "strong": sum(abs(value) >= STRONG * scale for value in values) if scale else 0,
        "strongest": [
            {
                "neuron": index,
                "value": values[index],
                "linearised": found[index][1],
                "kernel": found[index][0].tolist(),
            }
            for index in order[: max(FEWEST, min(STRONGEST, NUMBERS // max(kernel.numel() for kernel, _ in found)))]
        ],
    }


def _together(kernels: Sequence[Tensor]) -> NDArray[np.float32]:
    size = max(max(kernel.shape) for kernel in kernels)
    array = np.zeros((len(kernels), size, size), dtype=np.float32)
    for place, kernel in zip(array, kernels, strict=True):
        rows, columns = kernel.shape
        top, left = (size - rows) // 2, (size - columns) // 2
        place[top : top + rows, left : left + columns] = kernel.numpy()
    return array
