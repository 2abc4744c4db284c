"""The first layer's weights as pictures."""

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import nn

from workers.evidence import Failure, Finding, Target, nothing
from workers.figures import enlarge, signed_to_uint8
from workers.network import Network

PICTURE = 56  # pixels: about how large a kernel is drawn


def kernels(
    network: Network,
    targets: Sequence[Target],
    *,
    device: torch.device | str = "cpu",
    tick: Callable[[], None] = nothing,
) -> Iterator[Finding | Failure]:
    """The kernel of each target, a channel of the first layer, exactly as it is stored.

    Data: {"kernel": 3 x k x k numbers, "scale": the largest magnitude in the whole layer}. Picture `kernel`: mid grey
    is 0 and each colour reaches its end at the scale, so that the pictures of a layer can be compared.
    ValueError for a target in another layer, and for a first layer that is not a single convolution.
    """
    first = network.layers[0].name
    if any(layer != first for layer, _ in targets):
        raise ValueError(f"Kernels are pictures for the first layer alone, which is {first}.")
    convolutions = [module for module in network.stages[first].modules() if isinstance(module, nn.Conv2d)]
    if len(convolutions) != 1:
        raise ValueError(f"{first} is not a single convolution, so its neurons have no kernel.")
    weight = convolutions[0].weight.detach().cpu()
    scale = float(weight.abs().max())
    factor = max(1, round(PICTURE / weight.shape[-1]))
    for _, channel in targets:
        tick()
        kernel = weight[channel]
        if not kernel.any():
            yield Failure(first, channel, "This neuron is dead: every weight of its kernel is zero.")
            continue
        picture = enlarge(signed_to_uint8(kernel, scale), factor)
        yield Finding(first, channel, {"kernel": kernel.tolist(), "scale": scale}, {"kernel": picture})
