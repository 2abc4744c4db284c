"""Experiments: a network as it is, changed, and changed as much elsewhere; what that does, and what it says.

A plan says what is changed, shown, measured and expected (`taxonomy.plans` is its schema, and has checked it). To
`carry_out` one, every stimulus is shown to the network as it is, to the one that is changed, and to 20 controls, in
which as much is changed of the same layers, drawn by a seed. What comes before the first change is computed once for
all of them. The effect is the mean of what the change did to each pair of before and after; its interval is a
bootstrap's (Efron 1979), whose draws are of neurons first where there are several; of shares of pictures it is
Wilson's, of differences of shares no narrower than Bonett and Price's, for where few pictures change a bootstrap is too
sure.

The controls make an answer of chance: a change like any other of its size has the largest effect of 21 once in 21
times. So at most 4.8 % of the claims that something rises or falls where nothing depends on it are supported. A control
that is weaker than what the plan changes counts for how strong it is.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from workers import scan
from workers.interventions import CannotTest, Condition, Design, Planner, count, neurons_measured
from workers.network import Network
from workers.responses import ORIENTED, View, measures, views
from workers.ruling import between, intervals, of_difference, of_share, verdict

__all__ = ["CannotTest", "carry_out", "screen"]

Array = NDArray[np.float64]
Indices = NDArray[np.int64]
Plan = Mapping[str, Any]

LEAST_PAIRS, LEAST_NEURONS = 5, 5  # fewer say nothing
MOST_PAIRS, MOST_NEURONS, MOST_FLIPS = 2000, 24, 48  # that are told of one by one

SHARES = ("prediction", "top1", "top5")  # of pictures: of each the measure is 0 or 1
FROM_ZERO = ("peak", "prediction")  # they are changes themselves
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
        cells, row = seen(network, view, design.start)
        for part, before in drawn(view, each, design.start):
            for condition, answer in zip(design.conditions, answers, strict=True):
                tick()
                after = condition.through(network, before[..., cells, cells], design.start, of["layer"])
                answer[part] = after[: len(part), view.channels, row, row].cpu().numpy()
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


def seen(network: Network, view: View, layer: str) -> tuple[slice, int]:
    """The rows (and columns) of the earlier `layer` that the units of the view see, and the units' row if there were
    no others: what lies beside need not be computed."""
    later, earlier = network.layer(view.layer).fields, network.layer(layer).fields
    boxes = [later[channel].box(view.row, view.row) for channel in view.channels]
    begin, end = min(box[0] for box in boxes), max(box[2] for box in boxes)
    stride = earlier[0].stride
    first = min(-((field.start - begin) // stride) for field in earlier)
    last = max((end - field.size - field.start) // stride for field in earlier)
    steps = later[0].stride // stride  # cells of the earlier layer to one of the later
    skipped = max(first, 0) // steps
    return slice(skipped * steps, last + 1), view.row - skipped


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


def _shown(
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
    of = neurons_measured(plan)
    end = of["layer"] if of else last
    if of is None and network.head is None:
        raise CannotTest("This network tells no classes apart: measure the response of neurons.")
    mean = _Mean()
    if planner.matched:
        passing = scan.activations(network, planner.matched, images, chosen, batch=batch, device=device, tick=tick)
        for _, layers in passing:
            for layer, values in layers.items():
                mean.add(layer, values)
    design = planner.design(mean.found())
    found = np.zeros((len(design.conditions), len(chosen)))
    said = [_Predictions(labels), _Predictions(labels)]
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
            tick()
            after = condition.through(network, before, design.start, end)
            logits = None
            if network.head is not None and (number < 2 or of is None):
                final = after if end == last else condition.through(network, before, design.start, last)
                logits = network.head(final)[: len(part)]
                _finite(logits)
                top = logits.argmax(1) if top is None else top
                if number < 2:
                    said[number].add(logits)
            if of:
                own = after[: len(part), of["channels"]].amax(dim=(2, 3)).clamp(min=0)
                _finite(own)
                found[number, here] = own.double().mean(1).cpu().numpy()
            else:
                assert logits is not None
                assert top is not None
                found[number, here] = _judged(measure, logits, top, labels[here])
    told = {"images": _told(said, chosen)}
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
    elif what == "class_probability" and measure["class"] not in ("label", "top"):
        found = logits.softmax(1)[:, measure["class"]]
    elif what == "class_probability":
        wanted = top if measure["class"] == "top" else _known(labels, logits)
        found = logits.softmax(1).gather(1, wanted[:, None])[:, 0]
    else:
        wanted = _known(labels, logits)[:, None]
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


def _told(said: Sequence[_Predictions], chosen: Sequence[int]) -> dict[str, Any]:
    """The predictions before and after, as data."""
    told: dict[str, Any] = {"count": len(chosen), "top1": None, "top5": None, "flips": [], "flipped": 0}
    before, after = said
    labels = before.labels
    if not before.classes:
        return told
    if None not in labels:
        for name in ("top1", "top5"):
            right = np.array([each.right[name] for each in said], dtype=float)
            shares = right.mean(axis=1)
            told[name] = {
                side: dict(zip(("share", "low", "high"), (float(share), *of_share(share, len(chosen))), strict=True))
                for side, share in zip(("before", "after"), shares, strict=True)
            }
    probable = [np.concatenate(each.probabilities) for each in said]
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
                for side, each, p in zip(("before", "after"), said, probable, strict=True)
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
            design, measured = _shown(network, plan, planner, images, batch=batch, device=device, tick=tick)
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
    clusters = measured.clusters[there]
    means, drawn = intervals(values[:2], clusters, plan["seed"])
    effect, draws = means[1] - means[0], drawn[:, 1] - drawn[:, 0]
    if relative:
        with np.errstate(divide="ignore", invalid="ignore"):
            effect, draws = effect / means[0], draws / drawn[:, 0]
        draws = draws[np.isfinite(draws)]
    low, high = between(draws)
    sides = [between(column) for column in drawn.T]
    if what in SHARES:
        sides = [of_share(float(mean), n) for mean in means]
        low, high = sides[1] if what in FROM_ZERO else _wider((low, high), values, float(means[0]) if relative else 1.0)
    controls = [_effect(values[0], control, relative) for control in values[2:]]
    ruling, because = verdict(expect, effect, low, high, controls, design.strengths)
    if n < LEAST_PAIRS:
        ruling, because = "inconclusive", f"fewer than {LEAST_PAIRS} say nothing: show more variants, or more pictures"
    elif len(np.unique(measured.clusters)) > 1 and len(np.unique(clusters)) < LEAST_NEURONS:
        ruling = "inconclusive"
        because = f"fewer than {LEAST_NEURONS} neurons say nothing of neurons like them: measure more, or one alone"
    data: dict[str, Any] = {
        "ruling": {"verdict": ruling, "effect": float(effect), "low": low, "high": high, "n": n},
        "reason": _reason(plan, float(effect), low, high, n, because),
        "unit": UNITS.get(what, ""),
        "relative": relative,
        **{
            side: dict(zip(("mean", "low", "high"), (float(means[row]), *sides[row]), strict=True))
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


def _wider(drawn: tuple[float, float], values: Array, whole: float) -> tuple[float, float]:
    """The interval of a difference of shares, itself in shares of `whole`; no narrower than what the bootstrap drew,
    which knows how uncertain the whole is, and not how few pictures changed."""
    low, high = (edge / whole for edge in of_difference(*values[:2]))
    return min(low, drawn[0]), max(high, drawn[1])


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

    what = plan["measure"]["what"]
    does = f"is {written(effect)}" if what in FROM_ZERO else f"changes by {written(effect, '+')}"
    unit = "" if expect.get("relative") else UNITS.get(what, "")
    after = f" {unit}" if unit else ""
    pairs = count(n, "picture" if plan["show"]["kind"] == "images" else "pair")
    if plan["show"]["kind"] == "sweep" and len(plan["measure"]["of"]["channels"]) == 1:
        pairs = f"{count(n, 'variant')} of this neuron alone"
    return (
        f"The {CALLED[what]} {does}{after} on average over {pairs} "
        f"(95 % interval {written(low)} to {written(high)}, margin {written(expect['margin'])}): {because}."
    )


def _numbers(curves: Array) -> list[list[float]]:
    return [[float(f"{value:.7g}") for value in curve] for curve in curves]


@dataclass(frozen=True)
class Screened:
    """A neuron that predictions may rest on. `expected` and `changed` are pictures whose prediction should change
    without it, as far as gradients tell, and does."""

    channel: int
    expected: tuple[int, ...]
    changed: tuple[int, ...]


def screen(
    network: Network,
    layer: str,
    images: scan.Pictures,
    indices: Sequence[int] | None = None,
    *,
    most: int = 20,
    batch: int = 32,
    device: torch.device | str = "cpu",
    tick: Callable[[], None] = lambda: None,
) -> list[Screened]:
    """The neurons of a layer whose loss changes most predictions, most first: what is worth a claim.

    Gradient x activation says what each gives the largest logit of a picture; where that is more than what the largest
    is ahead by, the prediction should change. The `most` neurons of which that holds most often are then dropped, one
    at a time. A claim about these pictures was chosen for what it says; one about others was not.

    ValueError for a network without a head; KeyError for an unknown layer.
    """
    if network.head is None:
        raise ValueError(f"{network.architecture} has no head that classifies.")
    chosen = range(len(images)) if indices is None else indices
    last = network.layers[-1].name
    expected: list[tuple[int, NDArray[np.bool_]]] = []
    given = torch.zeros(network.layer(layer).channels)
    for part, found in scan.activations(network, [layer], images, chosen, batch=batch, device=device, tick=tick):
        values = found[layer].clone().requires_grad_()
        best = network.head(network.between(values, layer, last)).topk(2, dim=1).values
        (gradient,) = torch.autograd.grad(best[:, 0].sum(), values)
        gives = (gradient * values.detach()).sum(dim=(2, 3))
        given += gives.sum(0).cpu()
        ahead = (best[:, :1] - best[:, 1:]).detach()
        expected += zip(part, (gives > ahead).cpu().numpy(), strict=True)
    often = np.sum([those for _, those in expected], axis=0)
    channels = np.lexsort((-given.numpy(), -often))[:most].tolist()  # equally often: what gives more on the whole
    conditions = [Condition(silent={layer: [torch.tensor([channel], device=device)]}) for channel in channels]
    changed: list[list[int]] = [[] for _ in channels]
    with torch.inference_mode():
        for part, found in scan.activations(network, [layer], images, chosen, batch=batch, device=device, tick=tick):
            said, *without = (
                network.head(condition.through(network, found[layer], layer, last)).argmax(1).cpu()
                for condition in [Condition(), *conditions]
            )
            for those, now in zip(changed, without, strict=True):
                those += [index for index, other in zip(part, (now != said).tolist(), strict=True) if other]
    screened = [
        Screened(channel, tuple(index for index, those in expected if those[channel]), tuple(those))
        for channel, those in zip(channels, changed, strict=True)
    ]
    return sorted(screened, key=lambda each: -len(each.changed))
