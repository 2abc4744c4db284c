"""Weights between two layers: the kernel itself across one convolution, expanded weights further apart.

Expanded weights are those of "Visualizing Weights" (Voss et al., Distill 2021, doi 10.23915/distill.00024.007): the
gradient of a unit with respect to an earlier layer, in the network whose ReLUs are made the identity and whose max
pools are made average pools. That network is linear, so the gradient is the same whatever the picture, and no picture
is needed: a unit begins as one number in one cell, and every layer on the way back spreads it over the cells and
channels that it reads. Many units are pulled back at once, each step is a product of matrices, and no step is larger
than what the units see there.
"""

import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

from workers.network import Network

# What a linearised network leaves out. Local response normalization divides by a number near a constant wherever the
# network is quiet.
LEFT_OUT = (nn.ReLU, nn.ReLU6, nn.LocalResponseNorm, nn.Dropout, nn.Identity)
LEFT_OUT_CALLS = (torch.relu, F.relu, F.relu_, F.dropout, "relu", "relu_", "contiguous")
ADDITIONS = (operator.add, operator.iadd, torch.add, "add", "add_")
POOLS = (F.max_pool2d, F.avg_pool2d, torch.max_pool2d)

# Numbers in the largest tensor of one batch, about: 64 MB.
BATCH_NUMBERS = 2**24


@dataclass(frozen=True)
class Kernel:
    """The weights from every channel of an earlier layer to one channel of a later one.

    `values` is (channels of the earlier layer, rows, columns), float32, on the CPU: cells of the earlier layer, or, for
    a kernel that is not linearised, cells of what its convolution reads (behind a pool, if one lies between).
    """

    channel: int
    values: Tensor
    linearised: bool


@dataclass(frozen=True)
class Reach:
    """Linear functions of a node's values, one for each unit that was pulled back to it.

    `weights` is (units, rows, columns, channels): its first row and column are cell (`top`, `left`) of the node, where
    the units themselves are in cell (0, 0) of their layer. Outside it the weights are 0.
    """

    weights: Tensor
    top: int = 0
    left: int = 0


def kernels(
    network: Network,
    start: str | None,
    end: str,
    channels: Sequence[int],
    *,
    batch: int | None = None,
    device: torch.device | str = "cpu",
    tick: Callable[[], None] = lambda: None,
) -> Iterator[Kernel]:
    """The weights from layer `start` to each of `channels` of the later layer `end`, in the order of `channels`.

    From the normalised image where `start` is None. Where exactly one convolution lies between, on the branch that a
    channel comes from, its kernel as it is stored (times the scale of a batch norm that follows it); otherwise the
    expanded weights, cut to the extent that the convolutions and pools between can reach. `batch` is how many units
    are pulled back at once; `network` must be on `device`.

    ValueError where `start` does not come before `end`, and for a module that has no linear counterpart here.
    """
    first = -1 if start is None else network.layer(start).order
    last = network.layer(end).order
    if first >= last:
        raise ValueError(f"Layer {start} does not come before layer {end}.")
    stages = [network.stages[layer.name] for layer in network.layers[first + 1 : last + 1]]
    between = Between(stages, 3 if start is None else network.layers[first].channels)
    size = batch or max(1, BATCH_NUMBERS // _largest(network, first, last))
    position = 0
    while position < len(channels):
        branch, offset = between.branch(channels[position])
        width = between.channels[branch]
        part: list[int] = []  # units of one branch that follow each other
        while position < len(channels) and len(part) < size and 0 <= channels[position] - offset < width:
            part.append(channels[position])
            position += 1
        tick()
        kernel = between.kernel(branch)
        units = torch.tensor(part) - offset
        if kernel is None:
            eye = torch.eye(width, device=device)[units.to(device)]
            found = between.pull(branch, Reach(eye[:, None, None]), tick).weights.movedim(3, 1)
        else:
            found = kernel[units.to(kernel.device)]
        for channel, values in zip(part, found.cpu(), strict=True):
            yield Kernel(channel, values, kernel is None)


def _largest(network: Network, first: int, last: int) -> int:
    """About how many numbers one unit of layer `last` has in the widest layer on its way back to `first`."""
    seen = max(field.size for field in network.layers[last].fields)
    numbers = [1]
    for layer in network.layers[max(first, 0) : last]:
        cells = (seen - min(field.size for field in layer.fields)) // layer.fields[0].stride + 1
        numbers.append(cells**2 * layer.channels)
    return max(numbers) if first >= 0 else max(*numbers, 3 * seen**2)


class Between:
    """What lies between two layers, as a graph of convolutions, pools and joints that units are pulled back through."""

    def __init__(self, stages: Sequence[nn.Module], inputs: int) -> None:
        """`inputs` is how many channels go into the first stage."""
        traced = fx.symbolic_trace(nn.Sequential(*stages))
        self.modules: Mapping[str, nn.Module] = dict(traced.named_modules())
        self.nodes = list(traced.graph.nodes)
        self.channels: dict[fx.Node, int] = {}
        for node in self.nodes[:-1]:
            module = self._module(node)
            if node.op == "placeholder":
                self.channels[node] = inputs
            elif isinstance(module, nn.Conv2d):
                self.channels[node] = module.out_channels
            elif parts := _joined(node):
                self.channels[node] = sum(self.channels[part] for part in parts)
            else:
                self.channels[node] = self.channels[node.all_input_nodes[0]]
        self.output = self.nodes[-1].all_input_nodes[0]

    def branch(self, channel: int) -> tuple[fx.Node, int]:
        """The branch of the last layer that this channel comes from, and the channel that is the branch's first."""
        node, offset = self.output, 0
        while parts := _joined(node):
            for node in parts:
                if channel < offset + self.channels[node]:
                    break
                offset += self.channels[node]
        return node, offset

    def kernel(self, branch: fx.Node) -> Tensor | None:
        """(channels, C, rows, columns): the kernels of the one convolution behind this branch; None if it has more."""
        found = self.convolution(branch)
        if found is None:
            return None
        name, scale = found
        weight = cast(nn.Conv2d, self.modules[name]).weight.detach()
        return weight if scale is None else weight * scale[:, None, None, None]

    def convolution(self, branch: fx.Node) -> tuple[str, Tensor | None] | None:
        """The name of the one convolution behind this branch, and by what a batch norm multiplies what it gives.

        Names begin with the place of the stage, as in an `nn.Sequential` of them. None if it has more than one.
        """
        scale: Tensor | None = None
        found: str | None = None
        node = branch
        while node.op != "placeholder":
            module = self._module(node)
            if len(node.all_input_nodes) != 1:
                return None
            if isinstance(module, nn.Conv2d):
                if found is not None or module.groups > 1:
                    return None
                found = str(node.target)
            elif isinstance(module, nn.BatchNorm2d):
                if found is not None or scale is not None:
                    return None
                scale = _scale(module)
            elif found is None and not _left_out(node, module):
                return None  # a pool behind the convolution
            node = node.all_input_nodes[0]
        return None if found is None else (found, scale)

    def pull(self, node: fx.Node, reach: Reach, tick: Callable[[], None] = lambda: None) -> Reach:
        """What linear functions of this node's values are as functions of the values that go into the first stage."""
        waiting = {node: reach}
        for current in reversed(self.nodes):
            arrived = waiting.pop(current, None)
            if arrived is None:
                continue
            if current.op == "placeholder":
                return arrived
            tick()
            for source, part in self._back(current, arrived):
                waiting[source] = _sum(waiting[source], part) if source in waiting else part
        raise ValueError("No path leads back to the earlier layer.")

    def _back(self, node: fx.Node, reach: Reach) -> Iterator[tuple[fx.Node, Reach]]:
        """The nodes that this one reads, with what it makes of the reach; a node may come twice."""
        module = self._module(node)
        sources = node.all_input_nodes
        if parts := _joined(node):
            first = 0
            for source in parts:
                part = reach.weights[..., first : first + self.channels[source]]
                yield source, Reach(part, reach.top, reach.left)
                first += self.channels[source]
        elif node.target in ADDITIONS and node.op != "call_module":
            for operand in node.args:
                if isinstance(operand, fx.Node):
                    yield operand, reach
        elif _left_out(node, module):
            yield sources[0], reach
        elif isinstance(module, nn.BatchNorm2d):
            yield sources[0], Reach(reach.weights * _scale(module), reach.top, reach.left)
        elif isinstance(module, nn.ConstantPad2d):
            left, _, top, _ = module.padding
            yield sources[0], Reach(reach.weights, reach.top - top, reach.left - left)
        elif isinstance(module, nn.Conv2d) and not isinstance(module.padding, str):
            yield sources[0], _through_convolution(module, reach)
        elif isinstance(module, nn.MaxPool2d | nn.AvgPool2d):
            dilation = getattr(module, "dilation", 1)
            yield sources[0], _through_pool(module.kernel_size, module.stride, module.padding, dilation, reach)
        elif node.target in POOLS and node.op == "call_function":
            named = ("input", "kernel_size", "stride", "padding")
            values: dict[str, Any] = dict(zip(named, node.args, strict=False)) | dict(node.kwargs)
            size = values["kernel_size"]
            yield sources[0], _through_pool(size, values.get("stride") or size, values.get("padding", 0), 1, reach)
        else:
            raise ValueError(f"The weights through {module if module is not None else node.target} are not known.")

    def _module(self, node: fx.Node) -> nn.Module | None:
        return self.modules[str(node.target)] if node.op == "call_module" else None


def _joined(node: fx.Node) -> list[fx.Node]:
    """The nodes whose channels this one concatenates, none where it does something else."""
    if node.op != "call_function" or node.target not in (torch.cat, torch.concat):
        return []
    if node.kwargs.get("dim", node.args[1] if len(node.args) > 1 else 0) != 1:
        return []
    return list(cast(Sequence[fx.Node], node.args[0]))


def _left_out(node: fx.Node, module: nn.Module | None) -> bool:
    return isinstance(module, LEFT_OUT) or (node.op != "call_module" and node.target in LEFT_OUT_CALLS)


def _scale(module: nn.BatchNorm2d) -> Tensor:
    """What a batch norm at rest multiplies each channel by."""
    assert module.running_var is not None
    scale = (module.running_var + module.eps).rsqrt()
    return scale * module.weight.detach() if module.affine else scale


def _through_convolution(module: nn.Conv2d, reach: Reach) -> Reach:
    """Onto what a convolution reads: its transpose."""
    groups = module.groups
    outputs, inputs, *_ = module.weight.shape
    # (rows, columns, groups, outputs, inputs), the last two of one group: what each of the kernel's cells multiplies by
    taps = module.weight.detach().reshape(groups, outputs // groups, inputs, *module.weight.shape[2:])
    taps = taps.permute(3, 4, 0, 1, 2).contiguous()
    units, rows, columns, _ = reach.weights.shape
    flat = reach.weights.reshape(-1, groups, outputs // groups).movedim(1, 0)

    def tap(row: int, column: int) -> Tensor:
        return (flat @ taps[row, column]).movedim(0, 1).reshape(units, rows, columns, groups * inputs)

    padding = cast(tuple[int, ...], module.padding)  # a padding by name is refused before
    return _spread(reach, tap, module.kernel_size, module.stride, padding, module.dilation)


def _through_pool(
    size: int | tuple[int, int],
    stride: int | tuple[int, int],
    padding: int | tuple[int, int],
    dilation: int | tuple[int, int],
    reach: Reach,
) -> Reach:
    """Onto what an average pool reads, and a max pool made one: along the rows, then along the columns."""
    for axis in range(2):

        def along(value: int | tuple[int, int], across: int, axis: int = axis) -> tuple[int, int]:
            own = _pair(value)[axis]
            return (own, across) if axis == 0 else (across, own)

        share = _everywhere(reach.weights / _pair(size)[axis])
        reach = _spread(reach, share, along(size, 1), along(stride, 1), along(padding, 0), along(dilation, 1))
    return reach


def _everywhere(values: Tensor) -> Callable[[int, int], Tensor]:
    return lambda row, column: values


def _spread(
    reach: Reach,
    tap: Callable[[int, int], Tensor],
    window: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
) -> Reach:
    """A window at each cell of `reach`, whose own cell (row, column) bears `tap(row, column)`; added up."""
    top, left = reach.top * stride[0] - padding[0], reach.left * stride[1] - padding[1]
    if max(*window, *stride) == 1:
        return Reach(tap(0, 0), top, left)
    units, rows, columns, _ = reach.weights.shape
    spans = [stride[0] * (rows - 1) + 1, stride[1] * (columns - 1) + 1]
    total: Tensor | None = None
    for row, column in product(range(window[0]), range(window[1])):
        values = tap(row, column)
        if total is None:
            extents = [span + gap * (cells - 1) for span, gap, cells in zip(spans, dilation, window, strict=True)]
            total = values.new_zeros(units, *extents, values.shape[3])
        at_row, at_column = row * dilation[0], column * dilation[1]
        total[:, at_row : at_row + spans[0] : stride[0], at_column : at_column + spans[1] : stride[1]] += values
    assert total is not None
    return Reach(total, top, left)


def _sum(one: Reach, other: Reach) -> Reach:
    """Both, on the smallest rectangle that holds them."""
    if (one.top, one.left, one.weights.shape) == (other.top, other.left, other.weights.shape):
        return Reach(one.weights + other.weights, one.top, one.left)
    both = (one, other)
    top, left = min(reach.top for reach in both), min(reach.left for reach in both)
    bottom = max(reach.top + reach.weights.shape[1] for reach in both)
    right = max(reach.left + reach.weights.shape[2] for reach in both)
    units, _, _, channels = one.weights.shape
    total = one.weights.new_zeros(units, bottom - top, right - left, channels)
    for reach in both:
        _, rows, columns, _ = reach.weights.shape
        total[:, reach.top - top :][:, :rows, reach.left - left :][:, :, :columns] += reach.weights
    return Reach(total, top, left)


def _pair(value: int | tuple[int, int]) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else value
