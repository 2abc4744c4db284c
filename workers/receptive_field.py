"""Which pixels a unit can see, found by propagating intervals through the modules themselves.

Every unit of a convolutional network sees a square of its input whose size does not depend on where the unit is,
and which moves by a fixed stride from one unit to the next. Araujo, Norris and Sim, "Computing Receptive Fields of
Convolutional Neural Networks" (Distill 2019), derive the recurrence used here. It is applied for each channel,
because in a network with branches the channels of one layer see squares of different sizes.
"""

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import torch
from torch import fx, nn
from torch.nn import functional as F

POINTWISE_MODULES = (nn.ReLU, nn.Identity, nn.Dropout, nn.BatchNorm2d)
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

    Understands convolutions and pools with square kernels, concatenation over channels, addition and pointwise
    functions. Anything else raises ValueError naming it.
    """
    traced = fx.symbolic_trace(nn.Sequential(module))  # wrapped: a lone convolution would be taken apart
    modules = dict(traced.named_modules())
    known: dict[fx.Node, tuple[Field, ...]] = {}
    result: tuple[Field, ...] = ()
    for node in traced.graph.nodes:
        if node.op == "placeholder":
            known[node] = tuple(fields)
        elif node.op == "call_module":
            known[node] = _through(modules[node.target], known[node.args[0]])
        elif node.op == "call_function" and node.target in POINTWISE_FUNCTIONS:
            known[node] = known[node.args[0]]
        elif node.op == "call_function" and node.target is torch.cat and _concatenates_channels(node):
            known[node] = tuple(field for part in node.args[0] for field in known[part])
        elif node.op == "call_function" and node.target is operator.add:
            known[node] = tuple(_union(pair) for pair in zip(known[node.args[0]], known[node.args[1]], strict=True))
        elif node.op == "output":
            result = known[node.args[0]]
        else:
            raise ValueError(f"The receptive field through {node.target!r} is not known.")
    return result


def _through(module: nn.Module, fields: tuple[Field, ...]) -> tuple[Field, ...]:
    if isinstance(module, POINTWISE_MODULES):
        return fields
    if isinstance(module, nn.LocalResponseNorm):
        return (_union(fields),) * len(fields)
    if isinstance(module, nn.ConstantPad2d):
        return tuple(
            Field(field.size, field.stride, field.start - module.padding[0] * field.stride) for field in fields
        )
    if isinstance(module, nn.MaxPool2d | nn.AvgPool2d):
        dilation = _square(getattr(module, "dilation", 1))
        return tuple(
            _window(field, _square(module.kernel_size), _square(module.stride), _square(module.padding), dilation)
            for field in fields
        )
    if isinstance(module, nn.Conv2d) and not isinstance(module.padding, str):
        inputs, outputs = module.in_channels // module.groups, module.out_channels // module.groups
        seen = [
            _window(
                _union(fields[group * inputs : (group + 1) * inputs]),
                _square(module.kernel_size),
                _square(module.stride),
                _square(module.padding),
                _square(module.dilation),
            )
            for group in range(module.groups)
        ]
        return tuple(field for field in seen for _ in range(outputs))
    raise ValueError(f"The receptive field through {module} is not known.")


def _window(field: Field, kernel: int, stride: int, padding: int, dilation: int) -> Field:
    """The field of a unit that looks at `kernel` neighbours with the given field."""
    return Field(
        size=field.size + field.stride * dilation * (kernel - 1),
        stride=field.stride * stride,
        start=field.start - field.stride * padding,
    )


def _union(fields: Sequence[Field]) -> Field:
    distinct = [field for field, _ in groupby(fields)]  # runs only, so that this is fast for a thousand channels
    if len({field.stride for field in distinct}) != 1:
        raise ValueError("Channels of different strides meet in one unit.")
    start = min(field.start for field in distinct)
    end = max(field.start + field.size for field in distinct)
    return Field(size=end - start, stride=distinct[0].stride, start=start)


def _square(value: int | tuple[int, ...]) -> int:
    """The one number of an extent that is the same for rows and columns."""
    if isinstance(value, int):
        return value
    if len(set(value)) != 1:
        raise ValueError(f"Only square extents are known, not {value}.")
    return value[0]


def _concatenates_channels(node: fx.Node) -> bool:
    return bool(node.kwargs.get("dim", node.args[1] if len(node.args) > 1 else 0) == 1)
