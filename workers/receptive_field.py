"""Which pixels a unit can see, found by propagating intervals through the modules themselves.

Every unit of a convolutional network sees a rectangle of its input whose size does not depend on where the unit is,
and which moves by a fixed stride from one unit to the next. Araujo, Norris and Sim, "Computing Receptive Fields of
Convolutional Neural Networks" (Distill 2019), derive the recurrence used here. It is applied for each channel,
because in a network with branches the channels of one layer see squares of different sizes.
"""

import operator
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import fx, nn
from torch.nn import functional as F

POINTWISE_MODULES = (nn.ReLU, nn.ReLU6, nn.Identity, nn.Dropout, nn.Dropout2d, nn.BatchNorm2d)
POINTWISE_FUNCTIONS = (torch.relu, F.relu)


@dataclass(frozen=True)
class Field:
    """The unit in row r sees pixel rows start + stride * r to start + stride * r + size - 1 of the network's input.

    The same holds for columns. `start` is negative where a convolution pads. All in pixels.
    """

    size: int
    stride: int
    start: int

    def box(self, row: int, column: int) -> tuple[int, int, int, int]:
        """(left, top, right, bottom) in pixels of what unit (row, column) sees: not clipped, ends excluded."""
        left, top = self.start + self.stride * column, self.start + self.stride * row
        return left, top, left + self.size, top + self.size


PIXEL = Field(size=1, stride=1, start=0)


def canvas(field: Field) -> tuple[int, int]:
    """The smallest square input, in pixels, that holds the whole field of some unit, and that unit's row (and column).

    No padding reaches this unit: a padded cell inside the network stands for pixels outside the input, and the unit
    sees none of those. `field.box(row, row)` is the field's place in the canvas: up to stride - 1 pixels at the left
    and top may lie outside it.
    """
    row = -(field.start // field.stride)  # the first unit whose field does not begin left of the canvas
    return field.start + field.stride * row + field.size, row


def propagate(module: nn.Module, fields: Sequence[Field]) -> tuple[Field, ...]:
    """The field of each output channel of `module`, given those of its input channels.

    Understands convolutions, pools, concatenation over channels, addition and pointwise functions; what it does not
    understand raises ValueError naming it. Kernels need not be square: rows and columns are followed apart, and where
    they differ at the end (a 1x3 convolution that ends a branch) the field is the smallest one that holds both, a
    square of which the unit sees a part. Strides of rows and columns that differ at the end raise ValueError.
    """
    traced = fx.symbolic_trace(nn.Sequential(module))  # wrapped: a lone convolution would be taken apart
    modules = dict(traced.named_modules())
    known: dict[fx.Node, Fields] = {}
    result: Fields = ()
    for node in traced.graph.nodes:
        if node.op == "placeholder":
            known[node] = tuple((field, field) for field in fields)
        elif node.op == "call_module":
            known[node] = _through(modules[node.target], known[node.args[0]])
        elif node.op == "call_function" and node.target in POINTWISE_FUNCTIONS:
            known[node] = known[node.args[0]]
        elif node.op == "call_function" and node.target is torch.cat and _concatenates_channels(node):
            known[node] = tuple(field for part in node.args[0] for field in known[part])
        elif node.op == "call_function" and node.target is operator.add and len(node.all_input_nodes) == 2:
            known[node] = tuple(_union(pair) for pair in zip(*map(known.__getitem__, node.args), strict=True))
        elif node.op == "output":
            result = known[node.args[0]]
        else:
            raise ValueError(f"The receptive field through {node.target!r} is not known.")
    squares = {both: _meeting(both) for both in _distinct(result)}
    return tuple(squares[both] for both in result)


Both = tuple[Field, Field]  # along rows, along columns
Fields = tuple[Both, ...]  # of each channel


def _through(module: nn.Module, fields: Fields) -> Fields:
    if isinstance(module, POINTWISE_MODULES):
        return fields
    if isinstance(module, nn.LocalResponseNorm):
        return (_union(fields),) * len(fields)
    if isinstance(module, nn.ConstantPad2d):
        left, _, top, _ = module.padding
        padded = {both: (_shifted(both[0], top), _shifted(both[1], left)) for both in _distinct(fields)}
        return tuple(padded[both] for both in fields)
    if isinstance(module, nn.MaxPool2d | nn.AvgPool2d):
        seen = {both: _window(module, both) for both in _distinct(fields)}
        return tuple(seen[both] for both in fields)
    if isinstance(module, nn.Conv2d):
        inputs, outputs = module.in_channels // module.groups, module.out_channels // module.groups
        groups = [_union(fields[first : first + inputs]) for first in range(0, module.in_channels, inputs)]
        return tuple(both for group in groups for both in (_window(module, group),) * outputs)
    raise ValueError(f"The receptive field through {module} is not known.")


def _window(module: nn.MaxPool2d | nn.AvgPool2d | nn.Conv2d, seen: Both) -> Both:
    """The field of a unit that looks through the window of a convolution or pool at units with the given field."""
    along = []
    for axis, field in enumerate(seen):
        spread = _extent(getattr(module, "dilation", 1), axis) * (_extent(module.kernel_size, axis) - 1)
        if isinstance(module.padding, str):
            padding = spread // 2 if module.padding == "same" else 0
        else:
            padding = _extent(module.padding, axis)
        start = field.start - field.stride * padding
        along.append(Field(field.size + field.stride * spread, field.stride * _extent(module.stride, axis), start))
    return along[0], along[1]


def _shifted(field: Field, cells: int) -> Field:
    return Field(field.size, field.stride, field.start - field.stride * cells)


def _union(fields: Sequence[Both]) -> Both:
    distinct = _distinct(fields)
    return _meeting([rows for rows, _ in distinct]), _meeting([columns for _, columns in distinct])


def _distinct(fields: Sequence[Both]) -> list[Both]:
    """Each of them once. By identity first: a thousand channels nearly always share one."""
    return list(dict.fromkeys({id(both): both for both in fields}.values()))


def _meeting(fields: Sequence[Field]) -> Field:
    """The smallest field that holds all of these."""
    if len({field.stride for field in fields}) != 1:
        raise ValueError("Channels, or rows and columns, of different strides meet in one unit.")
    start = min(field.start for field in fields)
    end = max(field.start + field.size for field in fields)
    return Field(size=end - start, stride=fields[0].stride, start=start)


def _extent(value: int | Sequence[int], axis: int) -> int:
    """Along rows (0) or columns (1), of what torch lets one write as one number or as two."""
    return value if isinstance(value, int) else value[axis]


def _concatenates_channels(node: fx.Node) -> bool:
    return bool(node.kwargs.get("dim", node.args[1] if len(node.args) > 1 else 0) == 1)
