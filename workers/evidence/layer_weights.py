"""The weights from every neuron of an earlier layer to every neuron of a later one, small enough for a browser."""

import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from workers.evidence import Failure, Finding, Members, nothing
from workers.linearize import kernels
from workers.network import Network
from workers.responses import preferred

# Bytes that the array of kernels takes at most, one for each weight: kernels are cut to their middle until it does.
ROOM = 2**24
STEPS = 127  # each side of zero, from nothing to the kernel's entry of largest magnitude
STRONGEST = 200


def layer_weights(
    network: Network,
    targets: Sequence[Members],
    *,
    layer: str,
    batch: int | None = None,
    device: torch.device | str = "cpu",
    tick: Callable[[], None] = nothing,
) -> Iterator[Finding | Failure]:
    """Weights from the earlier `layer` to the target layers, as `workers.linearize` has them; targets name no members.

    Data: {"layer", "rows", "columns": how many neurons the target and `layer` have, "k": side of the kernels in the
    array, "size": side of the largest before they were cut, "kept": the share of the weights' squares that the cut
    leaves, "scale": the largest magnitude, "error": the largest difference of a weight from what its byte stands for,
    "linearised": for each row whether it is more than the kernel of a single convolution, "angles", "stimulus" and
    "source_angles", "source_stimulus": which way the rows' and the columns' neurons face
    (`workers.responses.preferred`), "strongest": up to 200 of [row, column, weight], by magnitude}.

    Array `strengths` (rows, columns), float32: of each whole kernel the entry of largest magnitude. Array `kernels`
    (rows, columns, k, k), int8: each kernel in 127ths of the magnitude of its strength, cut to its middle or amid
    zeros.

    `batch` units are pulled back at a time. Weights that are not finite, or all 0, are a Failure. ValueError where
    `layer` does not come before a target.
    """
    for name, members in targets:
        rows, columns = network.layer(name).channels, network.layer(layer).channels
        room = math.isqrt(ROOM // (rows * columns))
        limit = max(1, room - 1 + room % 2)  # an odd number has a middle
        strengths = np.zeros((rows, columns), dtype=np.float32)
        small, linearised = [], []
        size, squares, kept, error = 1, 0.0, 0.0, 0.0
        for row, kernel in enumerate(kernels(network, layer, name, range(rows), batch=batch, device=device, tick=tick)):
            values = kernel.values.numpy()
            if not np.isfinite(values).all():
                strengths[row] = np.nan
                break
            strengths[row] = _strongest(values)
            middle = _cut(values, limit)
            unit = np.abs(strengths[row])[:, None, None] / STEPS
            steps = np.rint(np.divide(middle, unit, out=np.zeros_like(middle), where=unit > 0)).astype(np.int8)
            small.append(steps)
            linearised.append(kernel.linearised)
            size = max(size, *values.shape[1:])
            squares += float(np.square(values, dtype=np.float64).sum())
            kept += float(np.square(middle, dtype=np.float64).sum())
            error = max(error, float(np.abs(middle - steps * unit).max()))
        if not np.isfinite(strengths).all():
            yield Failure(name, members, "Some of the weights are not finite numbers.")
            continue
        if not strengths.any():
            yield Failure(name, members, f"There are no weights from {layer} to {name}: all of them are 0.")
            continue
        facing = preferred(network, name, range(rows), device=device, tick=tick)
        source = preferred(network, layer, range(columns), device=device, tick=tick)
        array = _together(small)
        data = {
            "layer": layer,
            "rows": rows,
            "columns": columns,
            "k": array.shape[-1],
            "size": size,
            "kept": kept / squares,
            "scale": float(np.abs(strengths).max()),
            "error": error,
            "linearised": linearised,
            "angles": list(facing.angles),
            "stimulus": facing.stimulus,
            "source_angles": list(source.angles),
            "source_stimulus": source.stimulus,
            "strongest": _ranked(strengths),
        }
        yield Finding(name, members, data, arrays={"strengths": strengths, "kernels": array})


def _strongest(kernels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Of each of these kernels the entry of largest magnitude."""
    flat = kernels.reshape(len(kernels), -1)
    return np.take_along_axis(flat, np.abs(flat).argmax(axis=1)[:, None], axis=1)[:, 0]


def _cut(kernels: NDArray[np.float32], limit: int) -> NDArray[np.float32]:
    """The middle of kernels that are larger than this."""
    _, rows, columns = kernels.shape
    top, left = max(0, rows - limit) // 2, max(0, columns - limit) // 2
    return kernels[:, top : top + limit, left : left + limit]


def _together(kernels: Sequence[NDArray[np.int8]]) -> NDArray[np.int8]:
    size = max(max(kernel.shape[1:]) for kernel in kernels)
    array = np.zeros((len(kernels), len(kernels[0]), size, size), dtype=np.int8)
    for place, kernel in zip(array, kernels, strict=True):
        _, rows, columns = kernel.shape
        top, left = (size - rows) // 2, (size - columns) // 2
        place[:, top : top + rows, left : left + columns] = kernel
    return array


def _ranked(strengths: NDArray[np.float32]) -> list[list[int | float]]:
    order = np.argsort(-np.abs(strengths), axis=None, kind="stable")[:STRONGEST]
    places = np.unravel_index(order, strengths.shape)
    found = zip(*(axis.tolist() for axis in places), strengths[places].tolist(), strict=True)
    return [[row, column, value] for row, column, value in found if value]
