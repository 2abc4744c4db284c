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
from torch import Tensor, nn
from torch.func import functional_call

from workers.linearize import Between
from workers.network import Network

Array = NDArray[np.float64]
Indices = NDArray[np.int64]
Change = Mapping[str, Any]

NEAREST = 21  # a control is drawn among so many of the nearest magnitudes
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
    magnitudes: Mapping[str, Array]  # of the neurons of a layer: their mean response
    named: Mapping[str, set[int]]
    taken: dict[str, set[int]]

    def among(self, layer: str, pool: Indices, sizes: Array, like: Array, own: Indices) -> Indices:
        """As many of the pool as `own` (which is `like` so large) has, of about the same sizes.

        Where the pool is too small, the rest are some of `own`: a control that changed less would prove too little.
        """
        taken = self.taken.setdefault(layer, set())
        free = ~np.isin(pool, list(taken))
        others = pool[free][nearest(like, sizes[free], self.random)]
        rest = self.random.choice(own, len(own) - len(others), replace=False)
        taken.update(others.tolist())
        return np.sort(np.concatenate([others, rest]))

    def alike(self, layer: str, channels: Indices) -> Indices:
        """As many other neurons of the layer, that respond at all, and about as much."""
        sizes = self.magnitudes[layer]
        pool = np.flatnonzero(sizes > 0)
        return self.among(layer, pool, sizes[pool], sizes[channels], channels)


def nearest(like: Array, sizes: Array, random: np.random.Generator) -> Indices:
    """Places in `sizes`, one for each of `like`, each once, drawn among the NEAREST in size; all if they are too few.

    Where many of `like` ask for the same ones, they are given others to both sides.
    """
    order = np.argsort(sizes, kind="stable")
    count, steps = len(sizes), np.arange(len(like))
    if len(like) >= count:
        return order
    window = min(NEAREST, count)
    first = np.clip(np.searchsorted(sizes[order], np.sort(like)) - window // 2, 0, count - window)
    wanted = np.sort(first + random.integers(window, size=len(like))) - steps
    upward, downward = np.maximum.accumulate(wanted), np.minimum.accumulate(wanted[::-1])[::-1]
    up, down = (np.clip(each, 0, count - len(like)) + steps for each in (upward, downward))
    return order[(up + down) // 2]


class _Edit(ABC):
    """A change of a plan, and what controls do in its place: the same, from or to other neurons of the layer `start`.

    `planned` are the neurons that the plan names there, as far as anything is changed for them.
    """

    kind: str
    alike: str  # what the neurons of controls have in common with them, in words
    start: str
    planned: Indices

    def size(self, neurons: Indices) -> int:
        """How much is changed where it is done to these neurons."""
        return len(neurons)

    def draw(self, draw: Draw) -> Indices:
        """The neurons that a control takes instead."""
        return draw.alike(self.start, self.planned)

    def magnitude(self, neurons: Indices, magnitudes: Mapping[str, Array]) -> float | None:
        """The mean over these neurons of that by which controls are matched; None where they are not."""
        return float(magnitudes[self.start][neurons].mean())

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
    """Weights across one convolution. Controls: the same weights from other neurons, of about as much weight."""

    kind = "weights"
    alike = ", of about as much weight,"

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
        self._sizes: Array = np.sum(sizes, axis=0)  # for each neuron of `start`, the weight that would be changed
        named = np.array(change["from"]["channels"])
        self.planned = named[self._sizes[named] > 0]
        if not len(self.planned):
            raise CannotTest(
                f"There is no {self.sort}weight from these neurons of {self.start} to those of {self.layer}, so this "
                "changes nothing. Name others."
            )

    def size(self, neurons: Indices) -> int:
        return int(sum(chosen[neurons].sum() for _, _, chosen in self._rows))

    def draw(self, draw: Draw) -> Indices:
        pool = np.flatnonzero(self._sizes > 0)
        return draw.among(self.start, pool, self._sizes[pool], self._sizes[self.planned], self.planned)

    def magnitude(self, neurons: Indices, magnitudes: Mapping[str, Array]) -> float | None:
        return float(self._sizes[neurons].mean())

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
    """Weights across several convolutions: what neurons give. Controls: what others give, that respond as much."""

    kind = "neurons"
    alike = ", that respond about as much on average,"

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
        self.planned = np.array(source["channels"])
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
    """Neurons whose values are zero. Controls: others, that respond about as much."""

    kind = "neurons"
    alike = ", that respond about as much on average,"

    def __init__(self, network: Network, change: Change) -> None:
        self.start = change["at"]["layer"]
        self.planned = np.array(change["at"]["channels"])
        self._device = network.mean.device

    def put(self, condition: Condition, neurons: Indices) -> None:
        condition.silent.setdefault(self.start, []).append(torch.from_numpy(neurons).to(self._device))

    def told(self, others: str, several: bool) -> str:
        return f"{others} {'are' if several else 'is'} silenced"


class _Transplant(_Edit):
    """Neurons that get the incoming weights of others. Controls: those of yet others, drawn from the whole layer."""

    kind = "transplants"
    alike = ", drawn at random"

    def __init__(self, network: Network, change: Change) -> None:
        self.start = change["at"]["layer"]
        self.at, self.planned = np.array(change["at"]["channels"]), np.array(change["with"]["channels"])
        order = network.layer(self.start).order
        before = network.layers[order - 1].channels if order else 3
        between = Between([network.stages[self.start]], before)
        self._biases = np.array([_bias(between, channel) for channel in range(network.layer(self.start).channels)])
        if np.isnan(self._biases[np.concatenate([self.at, self.planned])]).any():
            raise CannotTest(
                f"What these neurons of {self.start} compute is a sum of several convolutions, and not weights of "
                "their own: there is nothing to transplant. Drop neurons instead."
            )
        self._device = network.mean.device

    def draw(self, draw: Draw) -> Indices:
        pool = np.setdiff1d(np.flatnonzero(~np.isnan(self._biases)), list(draw.named[self.start]))
        if len(pool):
            return draw.random.choice(pool, len(self.at), replace=len(pool) < len(self.at))
        return self.planned

    def magnitude(self, neurons: Indices, magnitudes: Mapping[str, Array]) -> float | None:
        return None

    def put(self, condition: Condition, neurons: Indices) -> None:
        more = self._biases[neurons] - self._biases[self.at]
        condition.given.setdefault(self.start, []).append(
            (
                torch.from_numpy(self.at).to(self._device),
                torch.from_numpy(neurons).to(self._device),
                torch.tensor(more, dtype=torch.float32, device=self._device),
            )
        )

    def told(self, others: str, several: bool) -> str:
        return f"the neurons get the weights of {others}"


def _bias(between: Between, channel: int) -> float:
    """That of the convolution which gives the channel; NaN where none does."""
    branch, offset = between.branch(channel)
    module = between.modules.get(str(branch.target)) if branch.op == "call_module" else None
    if not isinstance(module, nn.Conv2d):
        return np.nan
    return 0.0 if module.bias is None else float(module.bias[channel - offset])


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
        self.edits = [_edit(network, change) for change in plan["do"]]
        starts = [network.layer(edit.start).order for edit in self.edits]
        self.start = network.layers[min(starts)].name
        self.named = _by_layer(change[name] for change in plan["do"] for name in SETS[change["do"]])

    @property
    def matched(self) -> list[str]:
        """The layers among whose neurons controls are drawn: their magnitudes are needed."""
        return list(dict.fromkeys(edit.start for edit in self.edits if edit.kind == "neurons"))

    def design(self, magnitudes: Mapping[str, Array]) -> Design:
        """`magnitudes` are the mean responses of the neurons of the layers `matched`, over the stimuli.

        CannotTest where there is nothing that a control could change.
        """
        drawn: dict[str, Condition] = {}
        controls: list[Condition] = []
        choices: list[list[Indices]] = []
        for number in range(self.plan["controls"]):
            random = np.random.default_rng([self.plan["seed"], 1, number])
            for _ in range(TRIES):
                draw = Draw(random, magnitudes, self.named, self._closed())
                chosen = [edit.draw(draw) for edit in self.edits]
                mark = repr([each.tolist() for each in chosen])
                if mark not in drawn:
                    break
            if mark not in drawn:
                drawn[mark] = self._condition(chosen)
            controls.append(drawn[mark])
            choices.append(chosen)
        changes = [
            _compared(edit, [each[place] for each in choices], magnitudes) for place, edit in enumerate(self.edits)
        ]
        strengths = [self._strength(each, magnitudes) for each in choices]
        strength = sum(strengths) / len(strengths)
        words = self._in_words(choices[-1], changes, len(drawn))
        if strength < SIMILAR:
            words += f" On average what they change is {strength:.0%} as large as what the plan changes."
        reached = _by_layer(change["to" if change["do"] in WEIGHTS else "at"] for change in self.plan["do"])
        return Design(
            start=self.start,
            conditions=[Condition(), self._condition([edit.planned for edit in self.edits]), *controls],
            control={"words": words, "changes": changes, "strength": strength},
            strengths=strengths,
            changed={
                "weights": sum(edit.size(edit.planned) for edit in self.edits if edit.kind == "weights"),
                "neurons": sum(map(len, reached.values())),
            },
        )

    def _strength(self, chosen: Sequence[Indices], magnitudes: Mapping[str, Array]) -> float:
        """How large what a control changes is beside what the plan changes: of several changes the weakest, 1 at
        most."""
        found = [1.0]
        for edit, neurons in zip(self.edits, chosen, strict=True):
            plan, control = edit.magnitude(edit.planned, magnitudes), edit.magnitude(neurons, magnitudes)
            if plan and control is not None:
                found.append(control / plan)
        return min(found)

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

    def _in_words(self, chosen: Sequence[Indices], changes: Sequence[Change], different: int) -> str:
        """What a control does. CannotTest where one can do no other than the plan."""
        told = []
        for edit, neurons, change in zip(self.edits, chosen, changes, strict=True):
            shared = len(np.intersect1d(neurons, edit.planned))
            if shared == len(edit.planned):
                raise CannotTest(
                    f"There is no other neuron of {edit.start} with which the same could be done, and so nothing to "
                    "compare with. Change fewer."
                )
            others = f"{count(len(neurons) - shared, 'other neuron')} of {edit.start}"
            if shared:
                others += f" (there are no more) and {shared:,} of those that the plan names"
            else:
                others += edit.alike if _similar(change) else ", the nearest that there are,"
            told.append(edit.told(others, len(neurons) > 1))
        words = f"In each control {'; and '.join(told)}."
        if different < self.plan["controls"]:
            words += f" Only {different:,} of the controls {'differs' if different == 1 else 'differ'} from each other."
        return words


def _similar(change: Change) -> bool:
    """Whether controls are about as large as what the plan changes, as far as they are matched."""
    plan, controls = change["plan"], change["controls"]
    return plan is None or SIMILAR * plan <= controls <= plan / SIMILAR


def _compared(edit: _Edit, chosen: Sequence[Indices], magnitudes: Mapping[str, Array]) -> dict[str, Any]:
    """What one change of a plan is, and what controls do in its place on average."""
    found = [edit.magnitude(neurons, magnitudes) for neurons in chosen]
    known = [magnitude for magnitude in found if magnitude is not None]
    return {
        "kind": edit.kind,
        "changed": edit.size(edit.planned),
        "size": round(sum(edit.size(neurons) for neurons in chosen) / len(chosen)),
        "plan": edit.magnitude(edit.planned, magnitudes),
        "controls": sum(known) / len(known) if known else None,
    }


def _by_layer(sets: Iterable[Mapping[str, Any]]) -> dict[str, set[int]]:
    found: dict[str, set[int]] = {}
    for of in sets:
        found.setdefault(of["layer"], set()).update(of["channels"])
    return found


def _edit(network: Network, change: Change) -> _Edit:
    if change["do"] in WEIGHTS:
        try:
            return _Weights(network, change)
        except ValueError:
            return _Through(network, change)
    return _Drop(network, change) if change["do"] == "drop" else _Transplant(network, change)


def count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
