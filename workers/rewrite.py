"""The same computation in less time: rewrites of a frozen network, for gradients to its input. Exact up to rounding."""

import copy

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn


def rewritten(module: nn.Module, part: tuple[int, int] | None = None) -> nn.Module:
    """A copy in which what costs time for no reason is put differently.

    Where only some channels are wanted, `part` (the first, and how many), they are all that it gives; if it ends in a
    concatenation of convolutions, branches that lead to others are not run.

    - A ReLU before a max pool, and nothing else, comes after it: there is less left to rectify.
    - A convolution with stride that reads the input itself becomes one without stride on finer-grained channels:
      the gradient to three channels wastes most of what a processor can do at once.
    - A 1x1 convolution is the product of two matrices, and is computed as that.
    """
    traced = fx.symbolic_trace(nn.Sequential(copy.deepcopy(module)))  # wrapped: a lone convolution would be taken apart
    modules = dict(traced.named_modules())
    if part is not None:
        _keep(traced, modules, *part)
    for node in list(traced.graph.nodes):
        if node.op != "call_module":
            continue
        called, before = modules[node.target], node.args[0]
        if isinstance(called, nn.MaxPool2d) and _is_lone_relu(before, modules):
            node.replace_input_with(before, before.args[0])
            with traced.graph.inserting_after(node):
                after = traced.graph.call_module(before.target, (node,))
            node.replace_all_uses_with(after, delete_user_cb=lambda user, after=after: user is not after)
            traced.graph.erase_node(before)
        elif isinstance(called, nn.Conv2d) and called.groups == 1 and called.padding_mode == "zeros":
            plain = called.dilation == (1, 1) and not isinstance(called.padding, str)
            if before.op == "placeholder" and plain and called.stride in ((2, 2), (4, 4)):
                _put(traced, str(node.target), Unshuffled(called))
            elif called.kernel_size == (1, 1) and called.stride == (1, 1) and called.padding == (0, 0):
                _put(traced, str(node.target), Pointwise(called))
    traced.recompile()
    return traced.requires_grad_(False).eval()


class Pointwise(nn.Module):
    """A 1x1 convolution as a product of matrices: with channels last, no value has to move for it."""

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(conv.weight.flatten(1)), conv.bias

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x.movedim(1, -1), self.weight, self.bias).movedim(-1, 1)


class Unshuffled(nn.Module):
    """A convolution of stride s as one of stride 1, on s x s neighbouring pixels as so many channels."""

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        self.stride, self.size, self.padding = conv.stride[0], conv.kernel_size, conv.padding
        more = [-extent % self.stride for extent in self.size]
        self.weight = nn.Parameter(F.pixel_unshuffle(F.pad(conv.weight, (0, more[1], 0, more[0])), self.stride))
        self.bias = conv.bias

    def forward(self, x: Tensor) -> Tensor:
        pads: list[int] = []
        for axis in (1, 0):
            before, extent, kernel = int(self.padding[axis]), x.shape[2 + axis], self.size[axis]
            units = (extent + 2 * before - kernel) // self.stride + 1
            pads += [before, self.stride * (units + self.weight.shape[2 + axis] - 1) - extent - before]
        return F.conv2d(F.pixel_unshuffle(F.pad(x, pads), self.stride), self.weight, self.bias)


def _keep(traced: fx.GraphModule, modules: dict[str, nn.Module], first: int, count: int) -> None:
    """Let a graph give some of its channels only, and leave out what leads to others where that can be known."""
    (output,) = (node for node in traced.graph.nodes if node.op == "output")
    whole = output.args[0]
    if whole.op == "call_function" and whole.target is torch.cat:
        passed = 0
        for node in whole.args[0]:
            conv = modules.get(str(node.target)) if node.op == "call_module" else None
            if not isinstance(conv, nn.Conv2d):
                break
            if (passed, conv.out_channels) == (first, count):
                output.args = (node,)
                traced.graph.eliminate_dead_code()
                return
            passed += conv.out_channels
    with traced.graph.inserting_before(output):
        output.args = (traced.graph.call_function(torch.narrow, (whole, 1, first, count)),)


def _is_lone_relu(node: fx.Node, modules: dict[str, nn.Module]) -> bool:
    return node.op == "call_module" and isinstance(modules[str(node.target)], nn.ReLU) and len(node.users) == 1


def _put(module: nn.Module, path: str, new: nn.Module) -> None:
    parent, _, name = path.rpartition(".")
    setattr(module.get_submodule(parent), name, new)
