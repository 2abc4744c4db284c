"""Experiments: a network as it is, changed, and changed as much elsewhere; what that does, and what it says.

A plan says what is changed, shown, measured and expected (`taxonomy.plans` is its schema, and has checked it). To
`carry_out` one, every stimulus is shown to the network as it is, to the one that is changed, and to 20 controls, in
which as much is changed of the same layers, drawn by a seed. What comes before the first change is computed once for
all of them. The effect is the mean of what the change did to each pair of before and after; its interval is a
bootstrap's (Efron 1979), whose draws are of neurons first where there are several.

The controls make an answer of chance: a change like any other of its size has the largest effect of 21 once in 21
times. So at most 4.8 % of the claims that something rises or falls where nothing depends on it are supported.
"""

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from itertools import product
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.func import functional_call

from workers import scan
from workers.linearize import Between
from workers.network import Network
from workers.responses import ORIENTED, View, measures, views

Array = NDArray[np.float64]
Indices = NDArray[np.int64]
Plan = Mapping[str, Any]
Change = Mapping[str, Any]

RESAMPLES = 2000  # of the bootstrap
SURE = 95.0  # per cent: how often such intervals hold what they estimate
LEAST_PAIRS = 5  # fewer say nothing
NEAREST = 21  # a control is drawn among so many of the nearest magnitudes
TRIES = 100  # to draw a control that is not there yet
DRAWS = 2**22  # numbers that the bootstrap draws at a time
MOST_PAIRS, MOST_NEURONS, MOST_FLIPS = 2000, 24, 48  # that are told of one by one

WEIGHTS = ("zero", "scale", "keep_positive", "keep_negative")
GOES = {"keep_positive": -1, "keep_negative": 1}  # the sign of the weights that are set to zero
UNITS = {"response": "activation", "peak": "degrees", "width": "degrees"}  # the others are shares
CALLED = {
    "response": "response",
    "peak": "shift of the peak",
    "width": "tuning width",
    "echo": "echo",
    "class_probability": "class probability",
    "prediction": "share of changed predictions",
    "top1": "top-1 accuracy",
    "top5": "top-5 accuracy",
}


class CannotTest(Exception):
    """Why an experiment says nothing; the message is a sentence."""


# What is changed.


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
            before, stage = values, network.stages[layer.name]
            weights = self.weights.get(layer.name)
            values = functional_call(stage, dict(weights), (before,)) if weights else stage(before)
            for channels, factors in self._fed.get(layer.name, ()):
                values[:, channels] = stage(before * factors[:, None, None])[:, channels]
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
    """One draw of a control: nothing that the plan names (`closed`), and nothing twice (`taken`)."""

    random: np.random.Generator
    magnitudes: Mapping[str, Array]  # of the neurons of a layer: their mean response
    closed: Mapping[Hashable, set[int]]
    taken: dict[Hashable, set[int]]

    def among(self, where: Hashable, pool: Indices, sizes: Array, like: Array, own: Indices) -> Indices:
        """As many of the pool as `own` (which is `like` so large) has, of about the same sizes.

        Where the pool is too small, the rest are some of `own`: a control that changed less would prove too little.
        """
        taken = self.taken.setdefault(where, set())
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


class _Edit:
    """A change of a plan, and what controls do in its place.

    `start` is the layer from which on the network differs, `planned` what is changed, in parts; `noun`, `whose`,
    `alike` and `done` say it in words, of the others that controls change.
    """

    kind: str
    noun: str
    whose: str
    alike: str
    done: str
    layer: str
    start: str
    planned: list[Indices]

    @property
    def changed(self) -> int:
        return sum(map(len, self.planned))

    def shared(self, chosen: Sequence[Indices]) -> int:
        """How many of what a control changes the plan changes too."""
        return sum(len(np.intersect1d(*both)) for both in zip(chosen, self.planned, strict=True))

    def named(self) -> Iterator[tuple[Hashable, Iterable[int]]]:
        """What controls leave alone, and where."""
        return iter(())

    def draw(self, draw: Draw) -> list[Indices]:
        """What a control changes instead."""
        raise NotImplementedError

    def put(self, condition: Condition, chosen: Sequence[Indices]) -> None:
        """Change `chosen` in the condition."""
        raise NotImplementedError


class _Weights(_Edit):
    """Weights across one convolution. Controls: other weights of the same neurons, of the same sign and about as
    large."""

    kind, noun = "weights", "weight"
    alike = ", of the same sign and of about the same magnitude"

    def __init__(self, network: Network, change: Change) -> None:
        """ValueError where more than one convolution lies between."""
        self.layer, self.start = change["to"]["layer"], change["from"]["layer"]
        self.factor = float(change.get("factor", 0))
        self.done = f"multiplied by {self.factor:g}" if change["do"] == "scale" else "set to zero"
        self.whose = f"of the same neurons of {self.layer}"
        self.rows: list[tuple[str, int]] = []  # of each target: the parameter, and its row there
        self._weights: dict[str, Tensor] = {}
        self._signed: dict[str, Array] = {}  # (rows, channels before, cells of the kernel)
        stage = network.stages[self.layer]
        between = Between([stage], network.layer(self.start).channels)
        for channel in change["to"]["channels"]:
            branch, offset = between.branch(channel)
            found = between.convolution(branch)
            if found is None:
                raise ValueError("More than one convolution lies between.")
            path, scale = found[0].removeprefix("0").removeprefix("."), found[1]
            name = f"{path}.weight" if path else "weight"
            if name not in self._weights:
                weight = self._weights[name] = stage.get_parameter(name).detach()
                signed = weight if scale is None else weight * scale[:, None, None, None]
                self._signed[name] = signed.flatten(2).cpu().double().numpy()
            self.rows.append((name, channel - offset))
        self.planned = [self._chosen(self._signed[name][row], change) for name, row in self.rows]
        if not self.changed:
            sort = {"keep_positive": "negative ", "keep_negative": "positive "}.get(change["do"], "")
            raise CannotTest(
                f"There is no {sort}weight from these neurons of {self.start} to those of {self.layer}, so this "
                "changes nothing. Name others."
            )

    def _chosen(self, values: Array, change: Change) -> Indices:
        chosen = np.zeros(values.shape, dtype=bool)
        part = values[change["from"]["channels"]]
        chosen[change["from"]["channels"]] = np.sign(part) == GOES[change["do"]] if change["do"] in GOES else part != 0
        return np.flatnonzero(chosen)

    def named(self) -> Iterator[tuple[Hashable, Iterable[int]]]:
        for (name, row), planned in zip(self.rows, self.planned, strict=True):
            yield (self.layer, name, row), planned.tolist()

    def draw(self, draw: Draw) -> list[Indices]:
        found = []
        for (name, row), planned in zip(self.rows, self.planned, strict=True):
            values = self._signed[name][row].copy()
            signs, like = np.sign(values).ravel(), np.abs(values).ravel()
            signs.reshape(values.shape)[sorted(draw.closed.get(self.start, ()))] = 0  # weights of what is silenced
            part = []
            for sign in (-1, 1):
                own = planned[values.ravel()[planned] * sign > 0]
                pool = np.flatnonzero(signs == sign)
                part.append(draw.among((self.layer, name, row), pool, like[pool], like[own], own))
            found.append(np.concatenate(part))
        return found

    def put(self, condition: Condition, chosen: Sequence[Indices]) -> None:
        held = condition.weights.setdefault(self.layer, {})
        for (name, row), places in zip(self.rows, chosen, strict=True):
            if name not in held:
                held[name] = self._weights[name].clone()
            held[name][row].view(-1)[torch.from_numpy(places)] *= self.factor


class _Through(_Edit):
    """Weights across several convolutions: what the source neurons give. Controls: other neurons of their layer, that
    respond about as much."""

    kind, noun = "neurons", "neuron"
    alike = ", that respond about as much on average"

    def __init__(self, network: Network, change: Change) -> None:
        source, target = change["from"], change["to"]
        between = f"between {source['layer']} and {target['layer']}"
        if change["do"] in GOES:
            raise CannotTest(
                f"More than one convolution lies {between}, so that no weight there has a sign. Set the weights to "
                "zero, scale them, or drop neurons."
            )
        self.factor = float(change.get("factor", 0))
        if self.factor < 0:
            raise CannotTest(
                f"More than one convolution lies {between}: weights can be made smaller or larger there, but not be "
                "turned round. Scale them by 0 or more."
            )
        self.layer, self.start = target["layer"], source["layer"]
        self.done = f"multiplied by {self.factor:g} on the way to {self.layer}"
        self.whose = f"of {self.start}"
        self.planned = [np.array(source["channels"])]
        self._targets = torch.tensor(target["channels"], device=network.mean.device)
        self._shape = network.layer(self.layer).channels, network.layer(self.start).channels

    def named(self) -> Iterator[tuple[Hashable, Iterable[int]]]:
        yield self.start, self.planned[0].tolist()

    def draw(self, draw: Draw) -> list[Indices]:
        return [draw.alike(self.start, self.planned[0])]

    def put(self, condition: Condition, chosen: Sequence[Indices]) -> None:
        device = self._targets.device
        factors = condition.factors.setdefault(self.layer, torch.ones(self._shape, device=device))
        factors[self._targets[:, None], torch.from_numpy(chosen[0]).to(device)] *= self.factor


class _Drop(_Edit):
    """Neurons whose values are zero. Controls: others of the layer, that respond about as much."""

    kind, noun, done = "neurons", "neuron", "silenced"
    alike = ", that respond about as much on average"

    def __init__(self, network: Network, change: Change) -> None:
        self.layer = self.start = change["at"]["layer"]
        self.whose = f"of {self.layer}"
        self.planned = [np.array(change["at"]["channels"])]
        self._device = network.mean.device

    def named(self) -> Iterator[tuple[Hashable, Iterable[int]]]:
        yield self.layer, self.planned[0].tolist()

    def draw(self, draw: Draw) -> list[Indices]:
        return [draw.alike(self.layer, self.planned[0])]

    def put(self, condition: Condition, chosen: Sequence[Indices]) -> None:
        condition.silent.setdefault(self.layer, []).append(torch.from_numpy(chosen[0]).to(self._device))


class _Transplant(_Edit):
    """Neurons that get the incoming weights of others. Controls: those of yet others, drawn from the whole layer."""

    kind, noun, alike = "transplants", "neuron", ", drawn at random"
    done = "the donors"

    def __init__(self, network: Network, change: Change) -> None:
        self.layer = self.start = change["at"]["layer"]
        self.whose = f"of {self.layer}"
        self.at, self.planned = np.array(change["at"]["channels"]), [np.array(change["with"]["channels"])]
        order = network.layer(self.layer).order
        before = network.layers[order - 1].channels if order else 3
        between = Between([network.stages[self.layer]], before)
        self._biases = np.array([_bias(between, channel) for channel in range(network.layer(self.layer).channels)])
        if np.isnan(self._biases[np.concatenate([self.at, *self.planned])]).any():
            raise CannotTest(
                f"What these neurons of {self.layer} compute is a sum of several convolutions, and not weights of "
                "their own: there is nothing to transplant. Drop neurons instead."
            )
        self._device = network.mean.device

    def named(self) -> Iterator[tuple[Hashable, Iterable[int]]]:
        return iter(())

    def draw(self, draw: Draw) -> list[Indices]:
        own = np.concatenate([self.at, *self.planned])
        pool = np.setdiff1d(np.flatnonzero(~np.isnan(self._biases)), own)
        if not len(pool):
            return self.planned
        return [draw.random.choice(pool, len(self.at), replace=len(pool) < len(self.at))]

    def put(self, condition: Condition, chosen: Sequence[Indices]) -> None:
        more = self._biases[chosen[0]] - self._biases[self.at]
        condition.given.setdefault(self.layer, []).append(
            (
                torch.from_numpy(self.at).to(self._device),
                torch.from_numpy(chosen[0]).to(self._device),
                torch.tensor(more, dtype=torch.float32, device=self._device),
            )
        )


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

    `conditions` are the network as it is, as planned, and the controls; `control` says what these are. What comes
    before layer `start`, and itself, is the same for all of them until something is done to it.
    """

    start: str
    conditions: list[Condition]
    control: dict[str, Any]
    changed: dict[str, int]


class Planner:
    """Makes the conditions of a plan."""

    def __init__(self, network: Network, plan: Plan) -> None:
        """KeyError for a layer that there is not; CannotTest where a change cannot be made, or changes nothing."""
        self.network, self.plan = network, plan
        self.edits = [_edit(network, change) for change in plan["do"]]
        starts = [network.layer(edit.start).order for edit in self.edits]
        self.start = network.layers[min(starts)].name
        self.closed: dict[Hashable, set[int]] = {}
        for edit in self.edits:
            for where, what in edit.named():
                self.closed.setdefault(where, set()).update(what)
        of = plan["measure"].get("of")
        if of:
            self.closed.setdefault(of["layer"], set()).update(of["channels"])

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
        own: list[int] = []
        for number in range(self.plan["controls"]):
            random = np.random.default_rng([self.plan["seed"], 1, number])
            for _ in range(TRIES):
                taken = {where: set(what) for where, what in self.closed.items()}
                draw = Draw(random, magnitudes, self.closed, taken)
                chosen = [edit.draw(draw) for edit in self.edits]
                mark = repr([[each.tolist() for each in part] for part in chosen])
                if mark not in drawn:
                    break
            own = [edit.shared(part) for edit, part in zip(self.edits, chosen, strict=True)]
            for edit, shared in zip(self.edits, own, strict=True):
                if shared == edit.changed:
                    raise CannotTest(
                        f"There is no other {edit.noun} {edit.whose} that a control could change, and so nothing "
                        "to compare with. Change fewer."
                    )
            if mark not in drawn:
                drawn[mark] = self._condition(chosen)
            controls.append(drawn[mark])
        neurons = {
            (change[name]["layer"], channel)
            for change in self.plan["do"]
            for name in ("to", "at")
            if name in change
            for channel in change[name]["channels"]
        }
        return Design(
            start=self.start,
            conditions=[Condition(), self._condition([edit.planned for edit in self.edits]), *controls],
            control={
                "kind": self.edits[0].kind,
                "size": sum(edit.changed for edit in self.edits) - sum(own),
                "changed": sum(edit.changed for edit in self.edits),
                "words": self._in_words(own, len(drawn)),
            },
            changed={
                "weights": sum(edit.changed for edit in self.edits if edit.kind == "weights"),
                "neurons": len(neurons),
            },
        )

    def _condition(self, chosen: Sequence[Sequence[Indices]]) -> Condition:
        condition = Condition()
        for edit, part in zip(self.edits, chosen, strict=True):
            edit.put(condition, part)
        return condition

    def _in_words(self, own: Sequence[int], different: int) -> str:
        told = []
        for edit, shared in zip(self.edits, own, strict=True):
            words = f"{_count(edit.changed - shared, f'other {edit.noun}')} {edit.whose}{edit.alike}"
            if shared:
                words += f" (there are no more), and {shared:,} of those that the plan changes,"
            told.append(f"{words} {'is' if edit.changed == 1 else 'are'} {edit.done}")
        words = f"In each control {'; and '.join(told)}."
        if different < self.plan["controls"]:
            words += f" Only {different:,} of the controls {'differs' if different == 1 else 'differ'} from each other."
        return words


def _edit(network: Network, change: Change) -> _Edit:
    if change["do"] in WEIGHTS:
        try:
            return _Weights(network, change)
        except ValueError:
            return _Through(network, change)
    return _Drop(network, change) if change["do"] == "drop" else _Transplant(network, change)


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


# What is measured.


@dataclass(frozen=True)
class Measured:
    """What was measured of each pair in each condition: the values (conditions, pairs), NaN where there is none.

    `clusters` says which pairs go together, those of a neuron; `where` of each pair the neuron (or picture) and the
    variant. `told` is what else is kept: curves, or predictions.
    """

    values: Array
    clusters: Indices
    where: list[tuple[int, int]]
    told: dict[str, Any]


def _swept(
    network: Network, plan: Plan, planner: Planner, *, batch: int, device: torch.device | str, tick: Callable[[], None]
) -> tuple[Design, Measured]:
    show, of = plan["show"], plan["measure"]["of"]
    draw, period = ORIENTED[show["stimulus"]]
    angles = np.arange(round(period / show["step"])) * float(show["step"])
    radii = show["radii"] if show["stimulus"] == "curve" else [None]
    variants = [{"radius": radius, "stroke": stroke} for radius, stroke in product(radii, show["strokes"])]
    draws = [
        partial(draw, **{name: float(value) for name, value in variant.items() if value is not None})
        for variant in variants
    ]
    found = views(network, [(of["layer"], channel) for channel in of["channels"]])

    def drawn(view: View, draw: Callable[..., NDArray[np.float32]], stop: str) -> Iterator[tuple[Indices, Tensor]]:
        """Angles, and the values that the network as it is has at them in layer `stop`; padded to a whole batch."""
        for first in range(0, len(angles), batch):
            tick()
            part = np.arange(first, min(first + batch, len(angles)))
            padded = np.pad(part, (0, batch - len(part)), mode="edge")  # values depend a little on the batch's size
            pictures = torch.from_numpy(draw(angles[padded], view.size, middle=(view.middle,) * 2)).to(device)
            yield part, network.between(pictures[:, None].expand(-1, 3, -1, -1), None, stop)

    mean = _Mean()
    for layer in planner.matched:
        for view, each in product(found, draws):
            for part, values in drawn(view, each, layer):
                mean.add(layer, values[: len(part)])
    design = planner.design(mean.found())
    middle = _middle(variants)
    kept = of["channels"][:MOST_NEURONS]
    place = {channel: index for index, channel in enumerate(of["channels"])}
    curves = np.zeros((len(design.conditions), len(kept), len(angles)))
    measured = np.full((len(design.conditions), len(of["channels"]), len(variants)), np.nan)
    for view, (number, each) in product(found, enumerate(draws)):
        answers = np.zeros((len(design.conditions), len(angles), len(view.channels)))
        for part, before in drawn(view, each, design.start):
            for condition, answer in zip(design.conditions, answers, strict=True):
                after = condition.through(network, before, design.start, of["layer"])
                answer[part] = after[: len(part), view.channels, view.row, view.row].cpu().numpy()
        if not np.isfinite(answers).all():
            raise CannotTest("Some responses are not finite numbers, with the change or without it.")
        for column, channel in enumerate(view.channels):
            own = answers[:, :, column]
            measured[:, place[channel], number] = _read(plan["measure"]["what"], angles, own, period)
            if number == middle and channel in kept:
                curves[:, kept.index(channel)] = own
    told = {
        "variants": variants,
        "sweep": {
            "stimulus": show["stimulus"],
            "axis": angles.tolist(),
            "period": period,
            "variant": variants[middle],
            "neurons": kept,
        },
        "curves": curves,
    }
    where = list(product(of["channels"], range(len(variants))))
    clusters = np.repeat(np.arange(len(of["channels"])), len(variants))
    return design, Measured(measured.reshape(len(measured), -1), clusters, where, told)


def _middle(variants: Sequence[Mapping[str, float | None]]) -> int:
    """The variant nearest the middle of each of its sizes."""
    sizes = [(variant["radius"] or 0.0, variant["stroke"] or 0.0) for variant in variants]
    ranks = [sorted(set(each)) for each in zip(*sizes, strict=True)]
    return sizes.index((ranks[0][(len(ranks[0]) - 1) // 2], ranks[1][(len(ranks[1]) - 1) // 2]))


def _read(what: str, angles: Array, curves: Array, period: float) -> Array:
    """The measure of a neuron's curve in each condition (conditions, angles); NaN where it has none."""
    if what == "response":
        return np.maximum(curves, 0).max(axis=1)
    found = np.array([measures(angles, curve, period)[what] for curve in curves], dtype=float)
    if what == "peak":  # how far it moves: from 0 on
        return np.abs((found - found[0] + period / 2) % period - period / 2)
    return found


class _Mean:
    """Mean responses of neurons, over all places of all stimuli."""

    def __init__(self) -> None:
        self._sums: dict[str, tuple[Tensor, int]] = {}

    def add(self, layer: str, values: Tensor) -> None:
        total, count = self._sums.get(layer, (0, 0))
        responses = values.clamp(min=0).double().sum(dim=(0, 2, 3)).cpu()
        self._sums[layer] = total + responses, count + values[:, 0].numel()

    def found(self) -> dict[str, Array]:
        return {layer: (total / count).numpy() for layer, (total, count) in self._sums.items()}


# What it says.


@dataclass(frozen=True)
class Interval:
    mean: float
    low: float
    high: float

    @property
    def data(self) -> dict[str, float]:
        return {"mean": self.mean, "low": self.low, "high": self.high}


def intervals(values: Array, clusters: Indices, seed: int) -> tuple[Array, Array]:
    """Means of the rows of `values` (rows, pairs), and as many of them as the bootstrap draws: (draws, rows).

    Each draw is of as many clusters as there are, and in each of as many pairs as it has.
    """
    random = np.random.default_rng([seed, 2])
    names, counts = np.unique(clusters, return_counts=True)
    by_cluster = np.argsort(clusters, kind="stable")
    firsts = np.cumsum(counts) - counts
    widest = int(counts.max())
    several = max(1, DRAWS // (len(names) * widest))
    found = []
    for begin in range(0, RESAMPLES, several):
        draws = min(several, RESAMPLES - begin)
        which = random.integers(len(names), size=(draws, len(names)))
        places = (random.random((draws, len(names), widest)) * counts[which][..., None]).astype(np.int64)
        inside = np.arange(widest) < counts[which][..., None]
        pairs = by_cluster[firsts[which][..., None] + np.where(inside, places, 0)]
        total = inside.sum(axis=(1, 2))
        found.append(np.stack([(row[pairs] * inside).sum(axis=(1, 2)) / total for row in values], axis=1))
    return values.mean(axis=1), np.concatenate(found)


def _between(drawn: Array) -> tuple[float, float]:
    low, high = np.percentile(drawn, [(100 - SURE) / 2, (100 + SURE) / 2])
    return float(low), float(high)


def verdict(
    expect: Mapping[str, Any], effect: float, low: float, high: float, controls: Sequence[float | None]
) -> tuple[str, str]:
    """What the effect, its interval and those of the controls say of the prediction; and why, in a few words.

    A control that leaves nothing to measure (None) is as large as any.
    """
    margin = float(expect["margin"])
    if expect["change"] == "unchanged":
        if -margin <= low and high <= margin:
            return "supported", "all of it within the margin"
        if low > margin or high < -margin:
            return "refuted", "all of it beyond the margin"
        return "inconclusive", "part of it within the margin and part of it beyond"
    sign = 1 if expect["change"] == "rises" else -1
    near, far = (low, high) if sign == 1 else (-high, -low)
    if far <= margin:
        opposite = far < 0
        return "refuted", "of the opposite sign" if opposite else "none of it beyond the margin"
    if near <= margin:
        return "inconclusive", "part of it beyond the margin and part of it not"
    lost = sum(control is None for control in controls)
    if lost:
        return (
            "inconclusive",
            f"all of it beyond the margin, but under {lost} of the controls nothing could be measured",
        )
    larger = sum(sign * control >= sign * effect for control in controls if control is not None)
    if larger:
        return (
            "inconclusive",
            f"all of it beyond the margin, but {larger} of the {len(controls)} controls did as much",
        )
    return "supported", f"all of it beyond the margin, and more than any of the {len(controls)} controls did"


def _seen(
    network: Network,
    plan: Plan,
    planner: Planner,
    images: scan.Pictures,
    *,
    batch: int,
    device: torch.device | str,
    tick: Callable[[], None],
) -> tuple[Design, Measured]:
    chosen, measure = plan["show"]["indices"], plan["measure"]
    labels = [images.labels[index] if images.labels else None for index in chosen]
    last = network.layers[-1].name
    end = measure["of"]["layer"] if "of" in measure else last
    if "of" not in measure and network.head is None:
        raise CannotTest("This network tells no classes apart: measure the response of neurons.")
    mean = _Mean()
    if planner.matched:
        passing = scan.activations(network, planner.matched, images, chosen, batch=batch, device=device, tick=tick)
        for _, layers in passing:
            for layer, values in layers.items():
                mean.add(layer, values)
    design = planner.design(mean.found())
    found = np.zeros((len(design.conditions), len(chosen)))
    seen = [_Predictions(labels), _Predictions(labels)]
    done = 0
    passing = scan.activations(network, [design.start], images, chosen, batch=batch, device=device, tick=tick)
    for part, layers in passing:
        here = slice(done, done + len(part))
        done += len(part)
        before = layers[design.start]
        # Padded again: values depend a little on the batch's size.
        before = torch.cat([before, before[-1:].expand(batch - len(before), -1, -1, -1)])
        top: Tensor | None = None
        for number, condition in enumerate(design.conditions):
            after = condition.through(network, before, design.start, end)
            logits = None
            if network.head is not None and (number < 2 or "of" not in measure):
                final = after if end == last else condition.through(network, before, design.start, last)
                logits = network.head(final)[: len(part)]
                _finite(logits)
                top = logits.argmax(1) if top is None else top
                if number < 2:
                    seen[number].add(logits)
            if "of" in measure:
                own = after[: len(part), measure["of"]["channels"]].amax(dim=(2, 3)).clamp(min=0)
                _finite(own)
                found[number, here] = own.double().mean(1).cpu().numpy()
            else:
                assert logits is not None
                assert top is not None
                found[number, here] = _judged(measure, logits, top, labels[here])
    told = {"images": _told(design, seen, labels, chosen, plan["seed"])}
    where = [(index, 0) for index in chosen]
    return design, Measured(found, np.zeros(len(chosen), dtype=np.int64), where, told)


def _finite(values: Tensor) -> None:
    if not values.isfinite().all():
        raise CannotTest("Some values are not finite numbers, with the change or without it.")


def _judged(measure: Mapping[str, Any], logits: Tensor, top: Tensor, labels: Sequence[int | None]) -> Array:
    """The measure of each picture, of whose logits `top` was the largest before."""
    what = measure["what"]
    found: Tensor
    if what == "prediction":
        found = logits.argmax(1) != top
    elif measure.get("class") == "top":
        found = logits.softmax(1).gather(1, top[:, None])[:, 0]
    elif what == "class_probability" and measure["class"] != "label":
        found = logits.softmax(1)[:, measure["class"]]
    else:
        wanted = _known(labels, logits)[:, None]
        if what == "class_probability":
            found = logits.softmax(1).gather(1, wanted)[:, 0]
        else:
            found = (logits.topk(min(5 if what == "top5" else 1, logits.shape[1]), dim=1).indices == wanted).any(1)
    return found.double().cpu().numpy()


def _known(labels: Sequence[int | None], logits: Tensor) -> Tensor:
    wrong = [label for label in labels if label is None or not 0 <= label < logits.shape[1]]
    if wrong:
        raise CannotTest(
            "Some of these pictures have no class, or one that the network does not tell apart: choose others, or "
            "measure changed predictions."
        )
    return torch.tensor([label or 0 for label in labels], device=logits.device)


class _Predictions:
    """What a network says of pictures: of each the most probable class, its probability, and whether it is right."""

    def __init__(self, labels: Sequence[int | None]) -> None:
        self.labels = labels
        self.classes: list[int] = []
        self.probabilities: list[Array] = []
        self.right: dict[str, list[bool]] = {"top1": [], "top5": []}

    def add(self, logits: Tensor) -> None:
        labels = self.labels[len(self.classes) :][: len(logits)]
        ranked = logits.topk(min(5, logits.shape[1]), dim=1).indices.cpu().tolist()
        self.right["top1"] += [label == row[0] for label, row in zip(labels, ranked, strict=True)]
        self.right["top5"] += [label in row for label, row in zip(labels, ranked, strict=True)]
        self.classes += [row[0] for row in ranked]
        self.probabilities.append(logits.softmax(1).double().cpu().numpy())


def _told(
    design: Design, seen: Sequence[_Predictions], labels: Sequence[int | None], chosen: Sequence[int], seed: int
) -> dict[str, Any]:
    """The predictions before and after, as data."""
    told: dict[str, Any] = {"count": len(chosen), "top1": None, "top5": None, "flips": [], "flipped": 0}
    before, after = seen
    if not before.classes:
        return told
    if None not in labels:
        for name in ("top1", "top5"):
            right = np.array([each.right[name] for each in seen], dtype=float)
            means, drawn = intervals(right, np.zeros(len(chosen), dtype=np.int64), seed)
            told[name] = {
                side: dict(zip(("share", "low", "high"), (float(mean), *_between(column)), strict=True))
                for side, mean, column in zip(("before", "after"), means, drawn.T, strict=True)
            }
    probable = [np.concatenate(each.probabilities) for each in seen]
    flipped = [place for place in range(len(chosen)) if before.classes[place] != after.classes[place]]
    flipped.sort(
        key=lambda place: probable[1][place, before.classes[place]] - probable[0][place, before.classes[place]]
    )
    told["flipped"] = len(flipped)
    told["flips"] = [
        {
            "image": chosen[place],
            **{
                side: {"class": each.classes[place], "probability": float(p[place, each.classes[place]])}
                for side, each, p in zip(("before", "after"), seen, probable, strict=True)
            },
            "label": labels[place],
        }
        for place in flipped[:MOST_FLIPS]
    ]
    return told


def carry_out(
    network: Network,
    plan: Plan,
    *,
    images: scan.Pictures | None = None,
    batch: int = 32,
    device: torch.device | str = "cpu",
    tick: Callable[[], None] = lambda: None,
) -> dict[str, Any]:
    """What the plan's experiment finds, as plain data.

    Raises:
        CannotTest: when it says nothing; the message says why, and what to do.
        KeyError: for a layer that there is not.
    """
    planner = Planner(network, plan)
    with torch.inference_mode():
        if plan["show"]["kind"] == "sweep":
            design, measured = _swept(network, plan, planner, batch=batch, device=device, tick=tick)
        else:
            if images is None or not plan["show"]["indices"]:
                raise CannotTest("No picture is shown: name an image set and pictures of it.")
            design, measured = _seen(network, plan, planner, images, batch=batch, device=device, tick=tick)
    tick()
    return _ruled(plan, design, measured)


def _ruled(plan: Plan, design: Design, measured: Measured) -> dict[str, Any]:
    what, expect, values = plan["measure"]["what"], plan["expect"], measured.values
    there = np.logical_and(*np.isfinite(values[:2]))
    n, lost = int(there.sum()), int((~there).sum())
    why = f"the {CALLED[what]} is not defined for a neuron that does not respond, or always alike" if lost else ""
    if lost > n:
        raise CannotTest(
            f"For {lost:,} of {len(there):,} pairs {why}, before the change or after it. Change less, or measure the "
            "response."
        )
    values = values[:, there]
    relative = bool(expect.get("relative"))
    if relative and values[0].mean() <= 0:
        raise CannotTest(f"The {CALLED[what]} is 0 before the change, and has no share: state the margin as it is.")
    means, drawn = intervals(values[:2], measured.clusters[there], plan["seed"])
    effect, draws = means[1] - means[0], drawn[:, 1] - drawn[:, 0]
    if relative:
        with np.errstate(divide="ignore", invalid="ignore"):
            effect, draws = effect / means[0], draws / drawn[:, 0]
        draws = draws[np.isfinite(draws)]
    low, high = _between(draws)
    controls = [_effect(values[0], control, relative) for control in values[2:]]
    ruling, because = verdict(expect, effect, low, high, controls)
    if n < LEAST_PAIRS:
        ruling, because = "inconclusive", f"fewer than {LEAST_PAIRS} say nothing: show more variants, or more pictures"
    data: dict[str, Any] = {
        "ruling": {"verdict": ruling, "effect": float(effect), "low": low, "high": high, "n": n},
        "reason": _reason(plan, float(effect), low, high, n, because),
        "unit": UNITS.get(what, ""),
        "relative": relative,
        **{
            side: Interval(float(means[row]), *_between(drawn[:, row])).data
            for row, side in enumerate(("before", "after"))
        },
        "pairs": [
            [*map(float, pair), *where]
            for pair, where in zip(
                values[:2].T, (w for w, t in zip(measured.where, there, strict=True) if t), strict=True
            )
        ][:MOST_PAIRS],
        "controls": controls,
        "control": design.control,
        "left_out": {"count": lost, "reason": why},
        "changed": design.changed,
    }
    if "sweep" in measured.told:
        curves = measured.told["curves"]
        typical = sorted(range(len(controls)), key=lambda place: (controls[place] is None, controls[place] or 0.0))
        data["variants"] = measured.told["variants"]
        data["sweep"] = measured.told["sweep"] | {
            name: _numbers(curves[row])
            for name, row in (("before", 0), ("after", 1), ("control", 2 + typical[len(typical) // 2]))
        }
    else:
        data["images"] = measured.told["images"]
    return data


def _effect(before: Array, after: Array, relative: bool) -> float | None:
    """None where half of the pairs, or more, have no measure."""
    there = ~np.isnan(after)
    if 2 * there.sum() <= len(there):
        return None
    change, base = float((after - before)[there].mean()), float(before[there].mean())
    if not relative:
        return change
    return change / base if base > 0 else None


def _reason(plan: Plan, effect: float, low: float, high: float, n: int, because: str) -> str:
    expect = plan["expect"]

    def written(value: float, sign: str = "") -> str:
        return f"{value:{sign}.1%}" if expect.get("relative") else f"{value:{sign}.3g}"

    unit = "" if expect.get("relative") else UNITS.get(plan["measure"]["what"], "")
    after = f" {unit}" if unit else ""
    pairs = _count(n, "picture" if plan["show"]["kind"] == "images" else "pair")
    return (
        f"The {CALLED[plan['measure']['what']]} changes by {written(effect, '+')}{after} on average over {pairs} "
        f"(95 % interval {written(low)} to {written(high)}, margin {written(expect['margin'])}): {because}."
    )


def _numbers(curves: Array) -> list[list[float]]:
    return [[float(f"{value:.7g}") for value in curve] for curve in curves]
