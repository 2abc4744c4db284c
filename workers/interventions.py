"""What an experiment changes in a network, and what is changed as much elsewhere: its controls.

A network with other weights, or without some neurons, is a `Condition`: it says at which layers something is different,
and the network that is studied stays as it is. `Planner` makes those of a plan: the network itself, what the plan asks
for, and its controls.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, fx, nn
from torch.func import functional_call

from workers.linearize import Between
from workers.network import Network

Array = NDArray[np.float64]
Indices = NDArray[np.int64]
Change = Mapping[str, Any]

NEAREST = 21  # a control is drawn among so many of the nearest in size
SIMILAR = 0.8  # or more of the plan's (and as much less) is about as much
TRIES = 100  # to draw a control that is not there yet

WEIGHTS = ("zero", "scale", "keep_positive", "keep_negative")
# The sets of neurons that a change names.
SETS = dict.fromkeys(WEIGHTS, ("from", "to")) | {"drop": ("at",), "transplant": ("at", "with")}
OF_NEURONS = ("response", "peak", "width", "echo")  # measures of neurons; the others are of what a network says
GOES = {"keep_positive": -1, "keep_negative": 1}  # the sign of the weights that are set to zero


class CannotTest(Exception):
    """Why an experiment says nothing; the message is a sentence."""


@dataclass
class Condition:
    """How a network differs from the one that is studied, by the layers whose values it changes.

    `weights` are parameters of a layer's stage. `factors` (channels, channels of the layer before) make a channel what
    it would be if those before it were multiplied by them. `given` makes channels what they would be with the weights
    of others, whose biases are larger by so much. `silent` channels are 0.
    """

    weights: dict[str, dict[str, Tensor]] = field(default_factory=dict)
    factors: dict[str, Tensor] = field(default_factory=dict)
    given: dict[str, list[tuple[Tensor, Tensor, Tensor]]] = field(default_factory=dict)
    silent: dict[str, list[Tensor]] = field(default_factory=dict)

    def through(self, network: Network, values: Tensor, start: str, end: str) -> Tensor:
        """Values of layer `end`, from those that the network as it is has in layer `start`."""
        values = self._behind(start, values)
        for layer in network.layers[network.layer(start).order + 1 : network.layer(end).order + 1]:
            before, stage, weights = values, network.stages[layer.name], dict(self.weights.get(layer.name, {}))
            values = functional_call(stage, weights, (before,))
            for channels, factors in self._fed.get(layer.name, ()):
                fed = functional_call(stage, weights, (before * factors[:, None, None],))
                values[:, channels] = fed[:, channels]
            values = self._behind(layer.name, values)
        return values

    @cached_property
    def _fed(self) -> dict[str, list[tuple[Tensor, Tensor]]]:
        """For each layer the channels that have the same factors, with these."""
        found: dict[str, list[tuple[Tensor, Tensor]]] = {}
        for layer, factors in self.factors.items():
            kinds, which = torch.unique(factors, dim=0, return_inverse=True)
            for number, kind in enumerate(kinds):
                if (kind != 1).any():
                    found.setdefault(layer, []).append(((which == number).nonzero()[:, 0], kind))
        return found

    def _behind(self, layer: str, values: Tensor) -> Tensor:
        for channels, donors, more in self.given.get(layer, ()):
            values = values.index_copy(1, channels, values[:, donors] - more[:, None, None])
        for channels in self.silent.get(layer, ()):
            values = values.index_fill(1, channels, 0.0)
        return values


@dataclass(frozen=True)
class Draw:
    """One draw of a control: of each layer no neuron that is `named` in a change, and none twice (`taken`)."""

    random: np.random.Generator
    responses: Mapping[str, Array]  # of the neurons of a layer: their means
    named: Mapping[str, set[int]]
    taken: dict[str, set[int]]

    def among(self, layer: str, sizes: Array, own: Indices) -> Indices:
        """As many other neurons of the layer as `own`, of about the same sizes, and none of size 0.

        Where there are too few, the rest are some of `own`: a control that changed less would prove too little.
        """
        taken = self.taken.setdefault(layer, set())
        pool = np.setdiff1d(np.flatnonzero(sizes > 0), list(taken))
        others = pool[nearest(sizes[own], sizes[pool], self.random)]
        rest = self.random.choice(own, len(own) - len(others), replace=False)
        taken.update(others.tolist())
        return np.sort(np.concatenate([others, rest]))


def nearest(like: Array, sizes: Array, random: np.random.Generator) -> Indices:
    """Places in `sizes`, one for each of `like`, each once, drawn among the NEAREST in size; all if they are too few.

    Where many of `like` ask for the same ones, they are given others to both sides.
    """
    order = np.argsort(sizes, kind="stable")
    there, steps = len(sizes), np.arange(len(like))
    if len(like) >= there:
        return order
    window = min(NEAREST, there)
    first = np.clip(np.searchsorted(sizes[order], np.sort(like)) - window // 2, 0, there - window)
    wanted = np.sort(first + random.integers(window, size=len(like))) - steps
    upward, downward = np.maximum.accumulate(wanted), np.minimum.accumulate(wanted[::-1])[::-1]
    up, down = (np.clip(each, 0, there - len(like)) + steps for each in (upward, downward))
    return order[(up + down) // 2]


class _Edit(ABC):
    """A change of a plan, and what controls do in its place: the same, from or to other neurons of the layer `start`.

    `named` are the neurons that the plan names there. `leads` says of every neuron of the layer how much weight that
    matters leads on from it; None where controls are not matched. What a neuron changes is as large as that weight
    times its mean response: neither alone says what hangs on it.
    """

    kind: str
    alike = ", about as strong,"  # what the neurons of controls have in common with the planned ones, in words
    start: str
    named: Indices
    leads: Array | None

    def size(self, neurons: Indices) -> int:
        """How much is changed where it is done to these neurons."""
        return len(neurons)

    def sizes(self, responses: Mapping[str, Array]) -> Array | None:
        """How large what each neuron of the layer changes is, in the unit of its layer times that of weights."""
        return None if self.leads is None else self.leads * responses[self.start]

    def planned(self, responses: Mapping[str, Array]) -> Indices:
        """Those of `named` with which anything is changed, which is what controls are matched with.

        CannotTest without any.
        """
        sizes = self.sizes(responses)
        found = self.named if sizes is None else self.named[sizes[self.named] > 0]
        if not len(found):
            raise CannotTest(
                f"The neurons of {self.start} that this changes do not respond to what is shown, or nothing reads "
                "them: whatever is done to them changes nothing. Show something else, or name others."
            )
        return found

    def draw(self, draw: Draw) -> Indices:
        """The neurons that a control takes instead."""
        sizes = self.sizes(draw.responses)
        assert sizes is not None
        return draw.among(self.start, sizes, self.planned(draw.responses))

    @abstractmethod
    def put(self, condition: Condition, neurons: Indices) -> None:
        """Do it in the condition, with these neurons."""

    @abstractmethod
    def told(self, others: str, several: bool) -> str:
        """What is done to `others`, in words."""


def _factor(change: Change) -> float:
    """By which weights are multiplied."""
    return float(change["factor"]) if change["do"] == "scale" else 0.0


def neurons_measured(plan: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The neurons that a plan measures, if it is of neurons."""
    return plan["measure"]["of"] if plan["measure"]["what"] in OF_NEURONS else None


class _Weights(_Edit):
    """Weights across one convolution. Controls: the same weights from other neurons."""

    kind = "weights"

    def __init__(self, network: Network, change: Change) -> None:
        """ValueError where more than one convolution lies between."""
        self.layer, self.start = change["to"]["layer"], change["from"]["layer"]
        self.factor = _factor(change)
        self.sort = {"keep_positive": "negative ", "keep_negative": "positive "}.get(change["do"], "")
        self._weights: dict[str, Tensor] = {}  # parameters of the stage
        self._rows: list[tuple[str, int, NDArray[np.bool_]]] = []  # of each target: the parameter, its row, and which
        stage = network.stages[self.layer]
        between = Between([stage], network.layer(self.start).channels)
        sizes = []
        for channel in change["to"]["channels"]:
            branch, offset = between.branch(channel)
            found = between.convolution(branch)
            if found is None:
                raise ValueError("More than one convolution lies between.")
            path, scale = found[0].removeprefix("0").removeprefix("."), found[1]
            name, row = f"{path}.weight" if path else "weight", channel - offset
            weight = self._weights.setdefault(name, stage.get_parameter(name).detach())
            signed = (weight[row] if scale is None else weight[row] * scale[row]).cpu().double().numpy()
            chosen = np.sign(signed) == GOES[change["do"]] if change["do"] in GOES else signed != 0
            self._rows.append((name, row, chosen))
            sizes.append((np.abs(signed) * chosen).sum(axis=(1, 2)))
        self.leads = np.sum(sizes, axis=0)  # no more than what would be changed
        self.named = np.array(change["from"]["channels"])
        if not self.leads[self.named].any():
            raise CannotTest(
                f"There is no {self.sort}weight from these neurons of {self.start} to those of {self.layer}, so this "
                "changes nothing. Name others."
            )

    def size(self, neurons: Indices) -> int:
        return int(sum(chosen[neurons].sum() for _, _, chosen in self._rows))

    def put(self, condition: Condition, neurons: Indices) -> None:
        held = condition.weights.setdefault(self.layer, {})
        for name, row, chosen in self._rows:
            if name not in held:
                held[name] = self._weights[name].clone()
            mask = np.zeros_like(chosen)
            mask[neurons] = chosen[neurons]
            held[name][row][torch.from_numpy(mask)] *= self.factor

    def told(self, others: str, several: bool) -> str:
        done = f"multiplied by {self.factor:g}" if self.factor else "set to zero"
        return f"the {self.sort}weights from {others} to the same neurons of {self.layer} are {done}"


class _Through(_Edit):
    """Weights across several convolutions: what neurons give. Controls: what others give."""

    kind = "neurons"

    def __init__(self, network: Network, change: Change) -> None:
        source, target = change["from"], change["to"]
        between = f"between {source['layer']} and {target['layer']}"
        if change["do"] in GOES:
            raise CannotTest(
                f"More than one convolution lies {between}, so that no weight there has a sign. Set the weights to "
                "zero, scale them, or drop neurons."
            )
        self.factor = _factor(change)
        if self.factor < 0:
            raise CannotTest(
                f"More than one convolution lies {between}: weights can be made smaller or larger there, but not be "
                "turned round. Scale them by 0 or more."
            )
        self.layer, self.start = target["layer"], source["layer"]
        self.named = np.array(source["channels"])
        self.leads = _leads(network, self.start, target["channels"])
        self._targets = torch.tensor(target["channels"], device=network.mean.device)
        self._shape = network.layer(self.layer).channels, network.layer(self.start).channels

    def put(self, condition: Condition, neurons: Indices) -> None:
        device = self._targets.device
        factors = condition.factors.setdefault(self.layer, torch.ones(self._shape, device=device))
        factors[self._targets[:, None], torch.from_numpy(neurons).to(device)] *= self.factor

    def told(self, others: str, several: bool) -> str:
        done = f"multiplied by {self.factor:g}" if self.factor else "set to zero"
        return f"what {others} {'give' if several else 'gives'} the same neurons of {self.layer} is {done}"


class _Drop(_Edit):
    """Neurons whose values are zero. Controls: others."""

    kind = "neurons"

    def __init__(self, network: Network, change: Change, of: Mapping[str, Any] | None) -> None:
        """`of` are the neurons that are measured, if it is of neurons."""
        self.start = change["at"]["layer"]
        self.named = np.array(change["at"]["channels"])
        order = network.layer(self.start).order
        nearby = of is not None and network.layer(of["layer"]).order == order + 1
        self.leads = _leads(network, self.start, of["channels"] if of and nearby else None)
        self._device = network.mean.device

    def put(self, condition: Condition, neurons: Indices) -> None:
        condition.silent.setdefault(self.start, []).append(torch.from_numpy(neurons).to(self._device))

    def told(self, others: str, several: bool) -> str:
        return f"{others} {'are' if several else 'is'} silenced"


class _Transplant(_Edit):
    """Neurons that get the incoming weights of others. Controls: those of yet others, drawn from the whole layer."""

    kind = "transplants"
    alike = ", drawn at random"
    leads = None

    def __init__(self, network: Network, change: Change) -> None:
        self.start = change["at"]["layer"]
        self.at, self.named = np.array(change["at"]["channels"]), np.array(change["with"]["channels"])
        order = network.layer(self.start).order
        before = network.layers[order - 1].channels if order else 3
        between = Between([network.stages[self.start]], before)
        self._shifts = np.array([_shift(between, channel) for channel in range(network.layer(self.start).channels)])
        if np.isnan(self._shifts[np.concatenate([self.at, self.named])]).any():
            raise CannotTest(
                f"What these neurons of {self.start} compute is a sum of several convolutions, and not weights of "
                "their own: there is nothing to transplant. Drop neurons instead."
            )
        self._device = network.mean.device

    def draw(self, draw: Draw) -> Indices:
        pool = np.setdiff1d(np.flatnonzero(~np.isnan(self._shifts)), list(draw.named[self.start]))
        if len(pool):
            return draw.random.choice(pool, len(self.at), replace=len(pool) < len(self.at))
        return self.named

    def put(self, condition: Condition, neurons: Indices) -> None:
        more = self._shifts[neurons] - self._shifts[self.at]
        condition.given.setdefault(self.start, []).append(
            (
                torch.from_numpy(self.at).to(self._device),
                torch.from_numpy(neurons).to(self._device),
                torch.tensor(more, dtype=torch.float32, device=self._device),
            )
        )

    def told(self, others: str, several: bool) -> str:
        return f"the neurons get the weights of {others}"


def _shift(between: Between, channel: int) -> float:
    """What a channel is where its convolution gives 0: its bias, as a batch norm behind it leaves it; NaN where no
    convolution gives the channel."""
    node, offset = between.branch(channel)
    norm: nn.Module = nn.Identity()
    module = between.modules.get(str(node.target)) if node.op == "call_module" else None
    if isinstance(module, nn.BatchNorm2d):
        norm, (node,) = module, node.all_input_nodes
        module = between.modules.get(str(node.target)) if node.op == "call_module" else None
    if not isinstance(module, nn.Conv2d):
        return np.nan
    biases = torch.zeros_like(module.weight[:, 0, 0, 0]) if module.bias is None else module.bias
    return float(norm(biases.detach()[None, :, None, None])[0, channel - offset])


def _leads(network: Network, layer: str, channels: Sequence[int] | None = None) -> Array:
    """How much weight leads from each neuron of a layer to these channels of the next one (all where None): the sum of
    its sizes, in the convolution between; where there are several, or only the head is left, in the first.

    1 for each where no convolution reads them.
    """
    order, own = network.layer(layer).order, network.layer(layer).channels
    found = []
    if order + 1 == len(network.layers):
        heads = () if network.head is None else network.head.modules()
        found = [sizes for sizes in (_by_input(module, own) for module in heads) if sizes is not None][:1]
    else:
        following = network.layers[order + 1]
        between = Between([network.stages[following.name]], own)
        rows: dict[fx.Node, list[int]] = {}  # of each branch
        for channel in range(following.channels) if channels is None else channels:
            branch, offset = between.branch(channel)
            rows.setdefault(branch, []).append(channel - offset)
        firsts: set[str] = set()
        for branch, those in rows.items():
            kernel = between.kernel(branch)
            if kernel is None:
                firsts |= _firsts(between, branch)
            else:
                found.append(kernel[those].abs().double().sum(dim=(0, 2, 3)).cpu().numpy())
        read = (_by_input(between.modules[name], own) for name in sorted(firsts))
        found += [sizes for sizes in read if sizes is not None]
    return np.sum(found, axis=0) if found else np.ones(own)


def _firsts(between: Between, branch: fx.Node) -> set[str]:
    """The names of the convolutions that read the earlier layer on the way to this branch."""
    unread: set[fx.Node] = set()  # the earlier layer, as no convolution has read it yet
    for node in between.nodes:
        if node.op == "placeholder" or (not _convolves(between, node) and unread & set(node.all_input_nodes)):
            unread.add(node)
    found, waiting, seen = set(), [branch], set()
    while waiting:
        node = waiting.pop()
        if node in seen:
            continue
        seen.add(node)
        if _convolves(between, node) and unread & set(node.all_input_nodes):
            found.add(str(node.target))
        waiting += node.all_input_nodes
    return found


def _convolves(between: Between, node: fx.Node) -> bool:
    return node.op == "call_module" and isinstance(between.modules[str(node.target)], nn.Conv2d)


def _by_input(module: nn.Module, inputs: int) -> Array | None:
    """The sum of the sizes of a module's weights from each channel that it reads; None where it reads no such ones."""
    if isinstance(module, nn.Conv2d) and module.in_channels == inputs:
        groups = module.groups
    elif isinstance(module, nn.Linear) and module.in_features % inputs == 0:
        groups = 1
    else:
        return None
    sizes = module.weight.detach().abs().double()
    return sizes.reshape(groups, len(sizes) // groups, inputs // groups, -1).sum(dim=(1, 3)).flatten().cpu().numpy()


@dataclass(frozen=True)
class Design:
    """The conditions of an experiment, and what they change.

    `conditions` are the network as it is, as planned, and the controls; `control` says what these are, and `strengths`
    how large what each of them changes is beside what the plan changes, 1 at most. What comes before layer `start`, and
    itself, is the same for all of them until something is done to it.
    """

    start: str
    conditions: list[Condition]
    control: dict[str, Any]
    strengths: list[float]
    changed: dict[str, int]


class Planner:
    """Makes the conditions of a plan."""

    def __init__(self, network: Network, plan: Mapping[str, Any]) -> None:
        """KeyError for a layer that there is not; CannotTest where a change cannot be made, or changes nothing."""
        self.network, self.plan = network, plan
        of = neurons_measured(plan)
        self.edits = [_edit(network, change, of) for change in plan["do"]]
        starts = [network.layer(edit.start).order for edit in self.edits]
        self.start = network.layers[min(starts)].name
        self.named = _by_layer(change[name] for change in plan["do"] for name in SETS[change["do"]])

    @property
    def matched(self) -> list[str]:
        """The layers among whose neurons controls are matched: their mean responses are needed."""
        return list(dict.fromkeys(edit.start for edit in self.edits if edit.leads is not None))

    @property
    def mixed(self) -> set[str]:
        """The layers where neurons get the weights of others, which may see more than they do."""
        return {edit.start for edit in self.edits if edit.kind == "transplants"}

    def design(self, responses: Mapping[str, Array]) -> Design:
        """`responses` are the means of the neurons of the layers `matched`, over the stimuli.

        CannotTest where nothing is changed, and where there is nothing that a control could change.
        """
        planned = [edit.planned(responses) for edit in self.edits]
        drawn: dict[str, list[Indices]] = {}  # no two alike
        for number in range(self.plan["controls"]):
            random = np.random.default_rng([self.plan["seed"], 1, number])
            for _ in range(TRIES):
                draw = Draw(random, responses, self.named, self._closed())
                chosen = [edit.draw(draw) for edit in self.edits]
                mark = repr([each.tolist() for each in chosen])
                if mark not in drawn:
                    drawn[mark] = chosen
                    break
        choices = list(drawn.values())
        of_each = list(zip(self.edits, planned, zip(*choices, strict=True), strict=True))
        changes = [_compared(edit, own, others, responses) for edit, own, others in of_each]
        strengths = [
            min(
                _strength(edit, own, others, responses)
                for edit, own, others in zip(self.edits, planned, each, strict=True)
            )
            for each in choices
        ]
        strength = sum(strengths) / len(strengths)
        told = [_in_words(*each, change) for each, change in zip(of_each, changes, strict=True)]
        words = f"In each control {'; and '.join(told)}."
        if len(choices) < self.plan["controls"]:
            words += f" There are no more than {count(len(choices), 'such control')}."
        if strength < SIMILAR:
            words += f" On average what they change is {strength:.0%} as large as what the plan changes."
        silent = sum(len(edit.named) - len(own) for edit, own in zip(self.edits, planned, strict=True))
        if silent:
            words += f" {count(silent, 'neuron')} that the plan names, with which nothing changes, count for nothing."
        reached = _by_layer(change["to" if change["do"] in WEIGHTS else "at"] for change in self.plan["do"])
        return Design(
            start=self.start,
            conditions=[
                Condition(),
                self._condition([edit.named for edit in self.edits]),
                *(self._condition(chosen) for chosen in choices),
            ],
            control={"words": words, "changes": changes, "strength": strength},
            strengths=strengths,
            changed={
                "weights": sum(edit.size(edit.named) for edit in self.edits if edit.kind == "weights"),
                "neurons": sum(map(len, reached.values())),
            },
        )

    def _closed(self) -> dict[str, set[int]]:
        """The neurons to which no control does anything: those that the plan names, in a change or as measured."""
        of = neurons_measured(self.plan)
        closed = {layer: set(channels) for layer, channels in self.named.items()}
        if of:
            closed.setdefault(of["layer"], set()).update(of["channels"])
        return closed

    def _condition(self, chosen: Sequence[Indices]) -> Condition:
        condition = Condition()
        for edit, neurons in zip(self.edits, chosen, strict=True):
            edit.put(condition, neurons)
        return condition


def _strength(edit: _Edit, planned: Indices, chosen: Indices, responses: Mapping[str, Array]) -> float:
    """How large what a control changes is beside what the plan changes, 1 at most.

    By the sum of sizes, or by the root of the sum of their squares, whichever is less: weak neurons beside a strong one
    hide it from the sum, and add little to what it does.
    """
    sizes = edit.sizes(responses)
    if sizes is None:
        return 1.0
    ratios = (
        sizes[chosen].sum() / sizes[planned].sum(),
        np.linalg.norm(sizes[chosen]) / np.linalg.norm(sizes[planned]),
    )
    return min(1.0, *map(float, ratios))


def _in_words(edit: _Edit, planned: Indices, choices: Sequence[Indices], change: Change) -> str:
    """What controls do in place of one change. CannotTest where one can do no other than the plan."""
    shared = max(len(np.intersect1d(neurons, planned)) for neurons in choices)
    if shared == len(planned):
        raise CannotTest(
            f"There is no other neuron of {edit.start} with which the same could be done, and so nothing to "
            "compare with. Change fewer."
        )
    others = f"{count(len(planned) - shared, 'other neuron')} of {edit.start}"
    if shared:
        others += f" (there are no more) and {shared:,} of those that the plan names"
    else:
        others += edit.alike if _similar(change) else ", the nearest that there are,"
    return edit.told(others, len(planned) > 1)


def _similar(change: Change) -> bool:
    """Whether controls are about as large as what the plan changes, as far as they are matched."""
    plan, controls = change["plan"], change["controls"]
    return plan is None or SIMILAR * plan <= controls <= plan / SIMILAR


def _compared(
    edit: _Edit, planned: Indices, choices: Sequence[Indices], responses: Mapping[str, Array]
) -> dict[str, Any]:
    """What one change of a plan is, and what controls do in its place on average."""
    sizes = edit.sizes(responses)
    return {
        "kind": edit.kind,
        "changed": edit.size(planned),
        "size": round(sum(map(edit.size, choices)) / len(choices)),
        "plan": None if sizes is None else float(sizes[planned].mean()),
        "controls": None if sizes is None else float(np.mean([sizes[neurons].mean() for neurons in choices])),
    }


def _by_layer(sets: Iterable[Mapping[str, Any]]) -> dict[str, set[int]]:
    found: dict[str, set[int]] = {}
    for of in sets:
        found.setdefault(of["layer"], set()).update(of["channels"])
    return found


def _edit(network: Network, change: Change, of: Mapping[str, Any] | None) -> _Edit:
    if change["do"] in WEIGHTS:
        try:
            return _Weights(network, change)
        except ValueError:
            return _Through(network, change)
    return _Drop(network, change, of) if change["do"] == "drop" else _Transplant(network, change)


def count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
