"""Weights between two layers: the kernel itself across one convolution, expanded weights further apart.

Expanded weights are those of "Visualizing Weights" (Voss et al., Distill 2021, doi 10.23915/distill.00024.007): the
gradient of a unit with respect to an earlier layer, in the network whose ReLUs are made the identity and whose max
pools are made average pools. That network is linear, so the gradient is the same whatever the picture.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

from workers.network import Network
from workers.receptive_field import PIXEL, Field, propagate

# Functions and modules that a linearised network leaves out. Local response normalization divides by a number near
# a constant wherever the network is quiet.
LEFT_OUT_MODULES = (nn.ReLU, nn.LocalResponseNorm, nn.Dropout)
LEFT_OUT_FUNCTIONS = (torch.relu, F.relu)


@dataclass(frozen=True)
class Kernel:
    """The weights from every channel of an earlier layer to one channel of a later one.

    `values` is (channels of the earlier layer, k, k), float32: rows and columns are cells of the earlier layer, or,
    for a kernel that is not linearised, cells of what its convolution reads (behind a pool, if one lies between).
    """

    channel: int
    values: Tensor
    linearised: bool


def kernels(
    network: Network,
    start: str,
    end: str,
    channels: Sequence[int],
    *,
    batch: int = 64,
    device: torch.device | str = "cpu",
    tick: Callable[[], None] = lambda: None,
) -> Iterator[Kernel]:
    """The weights from layer `start` to each of `channels` of the later layer `end`, in the order of `channels`.

    Where exactly one convolution lies between, on the branch that a channel comes from, its kernel as it is
    stored; otherwise the expanded weights, cut to the extent that the convolutions and pools between can reach.
    ValueError where `start` does not come before `end`.
    """
    first, last = network.layer(start).order, network.layer(end).order
    if first >= last:
        raise ValueError(f"Layer {start} does not come before layer {end}.")
    stages = [network.stages[layer.name] for layer in network.layers[first + 1 : last + 1]]
    direct = only_convolutions(stages[0]) if len(stages) == 1 else {}
    expanded = iter(
        _expanded(stages, network.layers[first].channels, [c for c in channels if c not in direct], batch, device, tick)
    )
    for channel in channels:
        yield Kernel(channel, direct[channel], False) if channel in direct else next(expanded)


def only_convolutions(stage: nn.Module) -> dict[int, Tensor]:
    """For each output channel of `stage` that lies exactly one convolution behind its input: that kernel, (C, k, k)."""
    traced = fx.symbolic_trace(stage)
    modules = dict(traced.named_modules())
    output = next(node for node in traced.graph.nodes if node.op == "output").args[0]
    joined = output.op == "call_function" and output.target is torch.cat
    found: dict[int, Tensor] = {}
    channel = 0
    for branch in output.args[0] if joined else [output]:
        convolutions = _convolutions_behind(branch, modules)
        if convolutions is None:
            break  # the channels of this branch, and so the places of those after it, cannot be counted
        for weight in convolutions[0].weight.detach():
            if len(convolutions) == 1 and convolutions[0].groups == 1:
                found[channel] = weight
            channel += 1
    return found


def _convolutions_behind(node: fx.Node, modules: dict[str, nn.Module]) -> list[nn.Conv2d] | None:
    """The convolutions from `node` back to the stage's input, last first; None if they do not form a single chain."""
    convolutions = []
    while node.op != "placeholder":
        if len(node.all_input_nodes) != 1:
            return None
        module = modules.get(str(node.target)) if node.op == "call_module" else None
        if isinstance(module, nn.Conv2d):
            convolutions.append(module)
        node = node.all_input_nodes[0]
    return convolutions or None


def linearised(stage: nn.Module) -> nn.Module:
    """A copy of `stage`, on the same weights, with ReLU and its like left out and max pools made average pools."""
    traced = fx.symbolic_trace(stage)
    modules = dict(traced.named_modules())
    for node in list(traced.graph.nodes):
        module = modules.get(str(node.target)) if node.op == "call_module" else None
        if isinstance(module, LEFT_OUT_MODULES) or (node.op == "call_function" and node.target in LEFT_OUT_FUNCTIONS):
            node.replace_all_uses_with(node.args[0])
            traced.graph.erase_node(node)
        elif isinstance(module, nn.MaxPool2d):
            average = nn.AvgPool2d(module.kernel_size, module.stride, module.padding, module.ceil_mode)
            traced.set_submodule(str(node.target), average)
    traced.recompile()
    return traced


def _expanded(
    stages: Sequence[nn.Module],
    inputs: int,
    channels: Sequence[int],
    batch: int,
    device: torch.device | str,
    tick: Callable[[], None],
) -> Iterator[Kernel]:
    """Expanded weights of `channels` behind `stages`, `batch` of them with one backward pass."""
    fields: tuple[Field, ...] = (PIXEL,) * inputs  # in cells of the earlier layer, as those are the pixels here
    for stage in stages:
        fields = propagate(stage, fields)
    linear = nn.Sequential(*map(linearised, stages)).to(device)
    # A canvas that holds the field of one unit of every channel: no padding lies in between, and so no border counts.
    row = max(-(field.start // field.stride) for field in fields)
    size = max(field.start + field.stride * row + field.size for field in fields)
    for first in range(0, len(channels), batch):
        tick()
        part = list(channels[first : first + batch])
        values = torch.zeros(len(part), inputs, size, size, device=device, requires_grad=True)
        units = linear(values)[range(len(part)), part, row, row]
        (gradients,) = torch.autograd.grad(units.sum(), values)
        for channel, gradient in zip(part, gradients.cpu(), strict=True):
            left, top, right, bottom = fields[channel].box(row, row)
            yield Kernel(channel, gradient[:, top:bottom, left:right], True)
