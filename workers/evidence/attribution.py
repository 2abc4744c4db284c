"""Where in a picture a neuron's value comes from, and which earlier neurons carried it.

Across one convolution the contributions are weight times what it reads, and add up exactly. Further back they are
gradient times activation (Shrikumar et al. 2016), which in a network of convolutions, ReLUs and max pools also add up,
together with what its biases give: it is linear as long as the same units stay on.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby

import numpy as np
import torch
from torch import nn

from workers import directions, figures, scan
from workers.evidence import Failure, Finding, Target, nothing
from workers.linearize import Between
from workers.network import Network

NEURONS = 30  # that are named


def attribution(
    network: Network,
    targets: Sequence[Target],
    *,
    images: scan.Pictures,
    image: int,
    row: int,
    column: int,
    layer: str,
    device: torch.device | str = "cpu",
    tick: Callable[[], None] = nothing,
) -> Iterator[Finding | Failure]:
    """What the earlier `layer` gives the unit (`row`, `column`) of each target, on picture `image` of `images`.

    Contributions are the gradient of the unit times the pre-ReLU values of `layer`: the value of a rectified unit that
    is off counts nothing, and a max pool passes on what its largest unit gave it.

    Data: {"image", "row", "column", "value": the unit's, pre-ReLU, "layer", "method": "exact" where exactly one
    convolution lies between, else "gradient x activation", "map": rows of numbers, for each cell of `layer` the sum
    over its channels, "origin": {"start", "stride", "size"}: cell r sees pixels start + stride * r to start +
    stride * r + size - 1 of the preprocessed picture, "neurons": up to 30 of [index in `layer`, the sum over the
    cells], by magnitude, "bias": what the unit would be if `layer` were 0 (exact), else what of the value is left,
    "sum": of all contributions}; exact, sum and bias add up to the value to 1e-4 of the largest. Picture `map`.

    A unit whose value is not finite, one that is not there, and one that the picture gives nothing, is a Failure.
    ValueError for a layer that does not come before a target's, and a picture that is not in the set.
    """
    if not 0 <= image < len(images):
        raise ValueError(f"There are {len(images)} pictures, and so no picture {image}.")
    photograph = scan.read(images, image, network.preprocessing)
    with torch.no_grad():
        values = network.between(scan.to_input([photograph], device), None, layer)
    seen = directions.field(network, layer)
    origin = {"start": seen.start, "stride": seen.stride, "size": seen.size}
    order = network.layer(layer).order
    for name, group in groupby(targets, key=lambda target: target[0]):
        if network.layer(name).order <= order:
            raise ValueError(f"Layer {layer} does not come before layer {name}.")
        stages = [network.stages[each.name] for each in network.layers[order + 1 : network.layer(name).order + 1]]
        between = Between(stages, values.shape[1])
        divides = any(isinstance(module, nn.LocalResponseNorm) for stage in stages for module in stage.modules())
        source = values.clone().requires_grad_()
        result = network.between(source, layer, name)
        without = network.between(torch.zeros_like(values), layer, name)
        for _, channel in group:
            tick()
            if row >= result.shape[2] or column >= result.shape[3]:
                there = f"{result.shape[2]} rows and {result.shape[3]} columns"
                yield Failure(name, channel, f"There is no unit in row {row}, column {column}: {name} has {there}.")
                continue
            unit = result[0, channel, row, column]
            (gradient,) = torch.autograd.grad(unit, source, retain_graph=True)
            given = (gradient * values)[0].double().cpu().numpy()
            if not unit.isfinite() or not np.isfinite(given).all():
                yield Failure(name, channel, "This neuron's value is not a finite number.")
                continue
            if not given.any():
                yield Failure(name, channel, f"Nothing that {layer} holds of this picture reaches this unit.")
                continue
            exact = not divides and between.kernel(between.branch(channel)[0]) is not None
            total = float(given.sum())
            cells, neurons = given.sum(axis=0), given.sum(axis=(1, 2))
            strongest = [index for index in np.argsort(-np.abs(neurons), kind="stable")[:NEURONS] if neurons[index]]
            data = {
                "image": image,
                "row": row,
                "column": column,
                "value": unit.item(),
                "layer": layer,
                "method": "exact" if exact else "gradient x activation",
                "map": cells.tolist(),
                "origin": origin,
                "neurons": [[int(index), float(neurons[index])] for index in strongest],
                "bias": float(without[0, channel, row, column]) if exact else unit.item() - total,
                "sum": total,
            }
            middle = seen.start + (seen.size - 1) / 2
            drawn = figures.heat(photograph, cells, start=middle, stride=seen.stride)
            yield Finding(name, channel, data, {"map": drawn}, images=frozenset({image}))
