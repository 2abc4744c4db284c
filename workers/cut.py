"""Any module that torch.fx can trace, cut at its layers into the chain of stages that `workers.network` runs.

What was traced is first brought to one form, which computes the same in evaluation mode, so that nothing above has to
know how a module was written:

- a ReLU, a pool, a sum, a concatenation looks the same whether it was a module, a function or a method; nothing
  overwrites its input; dropout is left out;
- batch norm behind a convolution is folded into its weights, in double precision: exact up to rounding;
- where all that is concatenated was rectified before, it is rectified after, which is the same, so that the
  concatenated values can be read before the ReLU. A max pool between a ReLU and the concatenation changes places with
  the ReLU for that, which is the same too.

A layer must be a cut point: every path from the input to the output goes through it.
"""

import copy
import operator
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import fx, nn
from torch.nn import functional as F

RELUS = (torch.relu, torch.relu_, F.relu, F.relu_, "relu", "relu_")
SUMS = (operator.add, operator.iadd, torch.add, "add", "add_")
JOINS = (torch.cat, torch.concat, torch.concatenate)
LEFT_OUT = (nn.Identity, nn.Dropout, nn.Dropout2d)
POOLS = {
    F.max_pool2d: (nn.MaxPool2d, ("kernel_size", "stride", "padding", "dilation", "ceil_mode")),
    F.avg_pool2d: (
        nn.AvgPool2d,
        ("kernel_size", "stride", "padding", "ceil_mode", "count_include_pad", "divisor_override"),
    ),
}
# Layers are looked for up to the first cut point after one that is something else, such as a global average.
SPATIAL = (
    *(nn.Conv2d, nn.ReLU, nn.ReLU6, nn.MaxPool2d, nn.AvgPool2d),
    *(nn.BatchNorm2d, nn.LocalResponseNorm, nn.ConstantPad2d),
)


class CutError(ValueError):
    """Why a module cannot be cut, in sentences that say what to do."""


@dataclass(frozen=True)
class Chain:
    """Stages by the name of the layer that each ends with, what follows the last of them, and for each layer that
    concatenates branches their (name, channels) in channel order."""

    stages: dict[str, nn.Module]
    head: nn.Module | None
    branches: dict[str, list[tuple[str, int]]]


def cut(module: nn.Module, layers: Mapping[str, str] | None = None) -> Chain:
    """`module`, in evaluation mode and left as it is, as a chain of stages on the same weights.

    `layers` gives, for the name of each layer, the submodule whose output it is (as in `named_modules`), or the name
    under which it would be found. Where a ReLU makes that output, the layer
    is the value before the ReLU. Without `layers` they are found: the convolutions, sums and concatenations that
    everything passes through, named after their submodules with `_` for what an address cannot hold.

    CutError for a module that cannot be traced or cut so; whatever the module itself raises passes through.
    """
    graph = _Graph(module)
    points = {name: graph.point(path) for name, path in layers.items()} if layers else graph.detected()
    if not points:
        raise CutError("Nothing in it is a convolution, sum or concatenation that everything passes through.")
    points = dict(sorted(points.items(), key=lambda item: graph.order[item[1]]))
    if len(set(points.values())) < len(points):
        raise CutError(f"Two of {', '.join(points)} are the same point of the network. Name each point once.")
    starts = [graph.input, *points.values()]
    return Chain(
        stages={name: graph.stage(start, point) for start, (name, point) in zip(starts, points.items(), strict=False)},
        head=graph.stage(starts[-1], graph.output) if starts[-1] is not graph.output else None,
        branches={name: found for name, point in points.items() if (found := graph.branches(point))},
    )


def layer_name(path: str) -> str:
    """What a layer is called that is the output of submodule `path`: an address holds letters, digits, `_` and `-`."""
    return re.sub(r"[^\w-]", "_", path)


class _Graph:
    """The traced module, in the form described above."""

    def __init__(self, module: nn.Module) -> None:
        self.traced = fx.symbolic_trace(module)
        self.modules = dict(self.traced.named_modules())
        takes = [node for node in self.traced.graph.nodes if node.op == "placeholder" and not node.args]
        gives = _last(self.traced.graph).args[0]
        if len(takes) != 1:
            raise CutError("Its forward must take the pictures alone, any other argument having a default.")
        if not isinstance(gives, fx.Node):
            raise CutError("Its forward must return one tensor. Wrap it in a module that returns the one that counts.")
        self.input = takes[0]
        self._refuse_overwriting()
        self.ends = self._ends()
        self.became: dict[fx.Node, fx.Node] = {}  # from a ReLU, and from what was left out, to what it read
        for rewrite in (self._unify, self._fold, self._rectify_late):
            for node in list(self.traced.graph.nodes):
                rewrite(node)
        self.became |= {node: node.all_input_nodes[0] for node in self.traced.graph.nodes if self._calls(node, nn.ReLU)}
        self.traced.graph.eliminate_dead_code()
        self.order = {node: index for index, node in enumerate(self.traced.graph.nodes)}
        self.output = _last(self.traced.graph).all_input_nodes[0]

    def point(self, path: str) -> fx.Node:
        """The node that is the layer `path`; CutError where there is none, or not everything passes through it."""
        node = self._value(path) if path in self.ends else self.detected().get(path)
        if node is not None and node in self._cuts():
            return node
        if path not in self.ends:
            wrong = f"It has no submodule {path!r} that its forward calls."
        elif node is None:
            wrong = f"{path} is called, or gives a value, more than once, so it is no one layer."
        else:
            wrong = (
                f"{path} cannot be a layer: something in the network goes around it. Name a point that everything "
                "passes through, such as the block that it lies in."
            )
        raise CutError(f"{wrong} Layers that are found by themselves: {', '.join(self.detected()) or 'none'}.")

    def detected(self) -> dict[str, fx.Node]:
        """The layers that are found, each named after the largest submodule that ends with it and holds no other layer,
        or after the smallest that ends with it."""
        points = []
        for node in self._cuts():
            if _is_sum(node) or _is_join(node) or self._calls(node, nn.Conv2d):
                points.append(node)
            elif points and not self._calls(node, SPATIAL):
                break
        found: dict[str, fx.Node] = {}
        for node in points:
            ending = [path for path in _containers(node) if self._value(path) is node]
            alone = [path for path in ending if sum(path in _containers(point) for point in points) == 1]
            name = layer_name((alone or ending[-1:] or [node.name])[0])
            found[node.name if name in found else name] = node
        return found

    def stage(self, start: fx.Node, end: fx.Node) -> nn.Module:
        """What takes the value of `start` to that of `end`."""
        needed: set[fx.Node] = set()
        waiting = [end]
        while waiting:
            node = waiting.pop()
            if node is not start and node not in needed:
                needed.add(node)
                waiting += node.all_input_nodes
        graph = fx.Graph()
        copied = {start: graph.placeholder("x")}
        for node in self.order:
            if node in needed:
                copied[node] = graph.node_copy(node, copied.__getitem__)
        graph.output(copied[end])
        return fx.GraphModule(self.traced, graph)

    def branches(self, point: fx.Node) -> list[tuple[str, int]]:
        """(name, channels) of what is concatenated at `point`; nothing where it is no concatenation."""
        if not _is_join(point):
            return []
        block = f"{containers[-1]}." if (containers := _containers(point)) else ""
        return [
            (
                str(part.target).removeprefix(block).split(".")[0] if part.op == "call_module" else part.name,
                self._channels(part),
            )
            for part in _parts(point)
        ]

    def _value(self, path: str) -> fx.Node | None:
        """The node that has, before any ReLU, the one value that leaves submodule `path`; None if it is not one."""
        ends = self.ends.get(path, [])
        return self._before_relu(ends[0]) if len(ends) == 1 else None

    def _cuts(self) -> list[fx.Node]:
        """The nodes that every path from the input to the output goes through, in their order."""
        flowing = {self.input}  # depends on the input; what does not is a constant, which any stage may have
        found = []
        read = 0  # the last place where anything from before is read
        for node, place in self.order.items():
            if not flowing.isdisjoint(node.all_input_nodes) and node.op != "output":
                flowing.add(node)
                if place >= read:
                    found.append(node)
            if node in flowing:
                read = max(read, *(self.order[user] for user in node.users))
        return found

    def _calls(self, node: fx.Node, kinds: type[nn.Module] | tuple[type[nn.Module], ...]) -> bool:
        return node.op == "call_module" and isinstance(self.modules[str(node.target)], kinds)

    def _before_relu(self, node: fx.Node) -> fx.Node:
        while node in self.became:
            node = self.became[node]
        return node

    def _channels(self, node: fx.Node) -> int:
        if self._calls(node, nn.Conv2d):
            return int(self.modules[str(node.target)].out_channels)
        if _is_join(node):
            return sum(self._channels(part) for part in _parts(node))
        return 3 if node is self.input else self._channels(node.all_input_nodes[0])

    # How the graph comes to its form.

    def _refuse_overwriting(self) -> None:
        """CutError where something overwrites a value that is read again afterwards, as that is not traced."""
        order = {node: place for place, node in enumerate(self.traced.graph.nodes)}
        for node in order:
            overwrites = bool(node.kwargs.get("inplace")) or node.target in (torch.relu_, F.relu_)
            if node.op == "call_module":
                overwrites = getattr(self.modules[str(node.target)], "inplace", False)
            elif node.op == "call_method":
                overwrites = str(node.target).endswith("_") and not str(node.target).endswith("__")
            again = (
                [user.name for user in node.all_input_nodes[0].users if order[user] > order[node]] if overwrites else []
            )
            if again:
                raise CutError(
                    f"{node.name} overwrites its input, which {', '.join(again)} reads afterwards. Write it without "
                    "inplace=True (and pass on what it returns), so that what is read where is plain."
                )

    def _ends(self) -> dict[str, list[fx.Node]]:
        """For each submodule, the nodes whose value leaves it."""
        calls: dict[tuple[str, str], set[fx.Node]] = {}
        for node in self.traced.graph.nodes:
            for call, (path, _) in (node.meta.get("nn_module_stack") or {}).items():
                calls.setdefault((path, call), set()).add(node)
        ends: dict[str, list[fx.Node]] = {}
        for (path, _), inside in calls.items():
            ends.setdefault(path, []).extend(node for node in inside if not inside.issuperset(node.users))
        return {path: nodes for path, nodes in ends.items() if nodes}

    def _unify(self, node: fx.Node) -> None:
        if node.op == "call_module":
            module = self.modules[str(node.target)]
            if list(node.kwargs) == ["input"]:
                node.args, node.kwargs = (node.kwargs["input"],), {}
            if isinstance(module, LEFT_OUT):
                self._leave_out(node)
            elif getattr(module, "inplace", False):
                module = copy.copy(module)
                module.inplace = False
                self._set(str(node.target), module)
            elif isinstance(module, nn.Conv2d) and isinstance(module.padding, str):
                self._set(str(node.target), _padded_by_number(module))
        elif node.target is F.dropout:
            self._leave_out(node)
        elif node.target in RELUS:
            self._call(node, nn.ReLU(), "relu")
        elif node.target in POOLS:
            kind, names = POOLS[node.target]
            given: dict[str, Any] = dict(zip(names, node.args[1:], strict=False)) | node.kwargs
            self._call(node, kind(**{name: given[name] for name in names if name in given}), "pool")
        elif node.target in SUMS and len(operands := (*node.args, *node.kwargs.values())) == 2:
            node.op, node.target, node.args, node.kwargs = "call_function", operator.add, operands, {}
        elif node.target in JOINS:
            joined: dict[str, Any] = dict(zip(("tensors", "dim"), node.args, strict=False)) | node.kwargs
            dim = 1 if joined.get("dim") == -3 else joined.get("dim", 0)
            node.target, node.args, node.kwargs = torch.cat, (list(joined["tensors"]), dim), {}

    def _fold(self, node: fx.Node) -> None:
        if not self._calls(node, nn.BatchNorm2d):
            return
        norm = self.modules[str(node.target)]
        if norm.running_mean is None:
            raise CutError(
                f"{node.target} normalises by the statistics of the batch, so a picture's values depend on its "
                "neighbours. Make it track running statistics."
            )
        before = node.all_input_nodes[0]
        calls = [other for other in self.traced.graph.nodes if other.target == before.target]
        if self._calls(before, nn.Conv2d) and len(before.users) == len(calls) == 1:
            self._set(str(before.target), _folded(self.modules[str(before.target)], norm))
            self._leave_out(node)

    def _rectify_late(self, node: fx.Node) -> None:
        if not _is_join(node):
            return
        parts = []
        for part in _parts(node):
            before = self._unrectified(part)
            if before is None:
                return
            nested = _is_join(before) and len(before.users) == len(part.users) == 1
            parts += _parts(before) if nested else [before]
        node.args = (parts, 1)
        after = self._insert_after(node)
        node.replace_all_uses_with(after, delete_user_cb=lambda user: user is not after)

    def _unrectified(self, node: fx.Node) -> fx.Node | None:
        """The node of which `node` is the ReLU, if there is one."""
        if self._calls(node, nn.ReLU):
            return node.all_input_nodes[0]
        if self._calls(node, nn.MaxPool2d) and self._calls(node.all_input_nodes[0], nn.ReLU):
            with self.traced.graph.inserting_after(node):
                return self.traced.graph.node_copy(node, lambda before: before.all_input_nodes[0])
        return None

    def _insert_after(self, node: fx.Node) -> fx.Node:
        """A ReLU of `node`, in the submodule that `node` lies in."""
        with self.traced.graph.inserting_after(node):
            relu = self.traced.graph.call_function(F.relu, (node,))
        relu.meta = dict(node.meta)
        self._call(relu, nn.ReLU(), "relu")
        return relu

    def _leave_out(self, node: fx.Node) -> None:
        before = node.all_input_nodes[0]
        self.became[node] = before
        node.replace_all_uses_with(before)
        self.traced.graph.erase_node(node)

    def _call(self, node: fx.Node, module: nn.Module, name: str) -> None:
        """Make `node` a call of `module`, which gets a name in the submodule that `node` lies in."""
        path = ".".join([*_containers(node)[-1:], name])
        while path in self.modules:
            path += "_"
        self._set(path, module)
        node.op, node.target, node.args, node.kwargs = "call_module", path, (node.all_input_nodes[0],), {}

    def _set(self, path: str, module: nn.Module) -> None:
        # The containers of what is traced are its own: the module that was given keeps its parts.
        self.traced.add_submodule(path, module)
        self.modules[path] = module


def _padded_by_number(convolution: nn.Conv2d) -> nn.Conv2d:
    """The same convolution, its padding ("same" or "valid") written in cells where it is the same on both sides."""
    spread = [gap * (cells - 1) for gap, cells in zip(convolution.dilation, convolution.kernel_size, strict=True)]
    if convolution.padding == "same" and any(cells % 2 for cells in spread):
        return convolution
    numbered = copy.copy(convolution)
    rows, columns = (cells // 2 if convolution.padding == "same" else 0 for cells in spread)
    numbered.padding = (rows, columns)
    return numbered


def _folded(convolution: nn.Conv2d, norm: Any) -> nn.Conv2d:
    """One convolution that does what both do, one after the other."""
    scale = (norm.running_var.double() + norm.eps).rsqrt()
    if norm.weight is not None:
        scale = scale * norm.weight.double()
    shift = -norm.running_mean.double()
    if convolution.bias is not None:
        shift = shift + convolution.bias.double()
    bias = shift * scale
    if norm.bias is not None:
        bias = bias + norm.bias.double()
    folded = copy.copy(convolution)
    folded._parameters = {
        "weight": nn.Parameter((convolution.weight.double() * scale[:, None, None, None]).float(), requires_grad=False),
        "bias": nn.Parameter(bias.float(), requires_grad=False),
    }
    return folded


def _containers(node: fx.Node) -> list[str]:
    """The submodules that a node lies in, from the outermost; last the one that it calls itself, if it calls one."""
    return [path for path, _ in (node.meta.get("nn_module_stack") or {}).values()]


def _parts(join: Any) -> list[fx.Node]:
    return list(join.args[0])


def _is_sum(node: fx.Node) -> bool:
    return node.op == "call_function" and node.target is operator.add and len(node.all_input_nodes) == 2


def _is_join(node: fx.Node) -> bool:
    return node.op == "call_function" and node.target is torch.cat and node.args[1:] == (1,)


def _last(graph: fx.Graph) -> fx.Node:
    return next(iter(reversed(graph.nodes)))
