"""The weights from a neuron to every neuron of the layer before it, or of the layer after it."""

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import Any

import torch
from torch import Tensor

from workers.evidence import Failure, Finding, Target, nothing
from workers.linearize import kernels
from workers.network import Network

DIRECTIONS = ("in", "out")


def weights(
    network: Network,
    targets: Sequence[Target],
    *,
    direction: str = "in",
    device: torch.device | str = "cpu",
    tick: Callable[[], None] = nothing,
) -> Iterator[Finding | Failure]:
    """Weights from the layer before ("in") or to the layer after ("out") each target, as `workers.linearize` has them.

    Data: for every neuron of that layer, by largest magnitude (ties: lower index first), {"neuron": "layer:index",
    "kernel": k x k numbers, "linearised": whether it is more than the kernel of a single convolution}.
    ValueError for another direction, and for a layer with no layer on that side.
    """
    if direction not in DIRECTIONS:
        raise ValueError(f"A direction of weights is one of {', '.join(DIRECTIONS)}, not {direction!r}.")
    for layer, group in groupby(targets, key=lambda target: target[0]):
        channels = [channel for _, channel in group]
        order = network.layer(layer).order + (1 if direction == "out" else -1)
        if not 0 <= order < len(network.layers):
            raise ValueError(f"{layer} has no layer {'after' if direction == 'out' else 'before'} it.")
        neighbour = network.layers[order]
        if direction == "in":
            for channel, kernel in zip(
                channels, kernels(network, neighbour.name, layer, channels, device=device, tick=tick), strict=True
            ):
                found = [(kernel.values[index], kernel.linearised) for index in range(neighbour.channels)]
                yield Finding(layer, channel, _ranked(neighbour.name, found), {})
        else:
            everyone = range(neighbour.channels)
            behind = list(kernels(network, layer, neighbour.name, everyone, device=device, tick=tick))
            for channel in channels:
                found = [(kernel.values[channel], kernel.linearised) for kernel in behind]
                yield Finding(layer, channel, _ranked(neighbour.name, found), {})


def _ranked(layer: str, found: Sequence[tuple[Tensor, bool]]) -> list[dict[str, Any]]:
    magnitudes = [float(values.abs().max()) for values, _ in found]
    order = sorted(range(len(found)), key=lambda index: -magnitudes[index])  # a stable sort: ties keep their order
    return [
        {"neuron": f"{layer}:{index}", "kernel": found[index][0].tolist(), "linearised": found[index][1]}
        for index in order
    ]
