"""Experiments: a network as it is, changed, and changed as much elsewhere; what that does, and what it says.

A plan says what is changed, shown, measured and expected (`taxonomy.plans` is its schema, and has checked it). To
`carry_out` one, every stimulus is shown to the network as it is, to the one that is changed, and to 20 controls, in
which as much is changed of the same layers, drawn by a seed. What comes before the first change is computed once for
all of them. The effect is the mean of what the change did to each pair of before and after; its interval is a
bootstrap's (Efron 1979), whose draws are of neurons first where there are several; of shares of pictures it is
Wilson's, of differences of shares no narrower than Bonett and Price's, for where few pictures change a bootstrap is too
sure.

The controls make an answer of chance: a change like any other of its size has a larger effect than 20 controls that
differ from each other once in 21 times, and than 19 once in 20. With fewer nothing is supported, and so at most 5 % of
the claims that something rises or falls where nothing depends on it are. A control that is weaker than what the plan
changes counts for how strong it is.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from workers import scan
from workers.interventions import CannotTest, Design, Planner, count, neurons_measured
from workers.network import Network
from workers.receptive_field import Field, propagate
from workers.responses import ORIENTED, ROUNDING, View, measures, views
from workers.ruling import between, intervals, of_difference, of_share, verdict

__all__ = ["CannotTest", "carry_out"]

Array = NDArray[np.float64]
Indices = NDArray[np.int64]
Plan = Mapping[str, Any]

LEAST_PAIRS, LEAST_NEURONS = 5, 5  # fewer say nothing
MOST_PAIRS, MOST_NEURONS, MOST_FLIPS = 2000, 24, 48  # that are told of one by one
MOST_LOST = 0.1  # of the pairs: a change that leaves more without a measure may do most to just these
STILL = 30  # of so many that stand still at most one in ten moves (the rule of three, at 95 %)

SHARES = ("prediction", "top1", "top5")  # of pictures: of each the measure is 0 or 1
FROM_ZERO = ("peak", "prediction")  # they are changes themselves
SHAPES = ("peak", "width", "echo")  # read from a curve, in steps, so that they may stand still
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
    fields = fields_of(network, of["layer"], planner.mixed)
    found = [
        _with_room(network, view, fields)
        for view in views(network, [(of["layer"], channel) for channel in of["channels"]])
    ]

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
        cells, row = seen(network, view, design.start, fields)
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


def fields_of(network: Network, end: str, mixed: Collection[str]) -> tuple[Field, ...]:
    """What the channels of layer `end` see where those of the layers `mixed` may get the weights of any other there."""
    layers = network.layers[: network.layer(end).order + 1]
    first = next((layer for layer in layers if layer.name in mixed), layers[-1])
    fields = first.fields
    for layer in layers[first.order :]:
        if layer is not first:
            fields = propagate(network.stages[layer.name], fields)
        if layer.name in mixed:
            begin, stop = min(field.start for field in fields), max(field.start + field.size for field in fields)
            fields = (Field(stop - begin, fields[0].stride, begin),) * len(fields)
    return fields


def _with_room(network: Network, view: View, fields: Sequence[Field]) -> View:
    """The view on a canvas that holds these fields too, unless that is more than the network's pictures."""
    stride = fields[0].stride
    boxes = [fields[channel].box(view.row, view.row) for channel in view.channels]
    before = max(0, -(min(box[0] for box in boxes) // stride))  # in strides, so that the same units are there
    after = max(0, max(box[2] for box in boxes) - view.size)
    size = view.size + stride * before + after
    if size > network.preprocessing.size:
        return view
    return replace(view, size=size, row=view.row + before, middle=view.middle + stride * before)


def seen(network: Network, view: View, layer: str, fields: Sequence[Field]) -> tuple[slice, int]:
    """The rows (and columns) of the earlier `layer` that the units of the view see, and the units' row if there were
    no others: what lies beside need not be computed. `fields` are those of the channels of the view's layer."""
    earlier = network.layer(layer).fields
    boxes = [fields[channel].box(view.row, view.row) for channel in view.channels]
    begin, end = min(box[0] for box in boxes), max(box[2] for box in boxes)
    stride = earlier[0].stride
    first = min(-((field.start - begin) // stride) for field in earlier)
    last = max((end - field.size - field.start) // stride for field in earlier)
    steps = fields[0].stride // stride  # cells of the earlier layer to one of the later
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
        total, places = self._sums.get(layer, (0, 0))
        responses = values.clamp(min=0).double().sum(dim=(0, 2, 3)).cpu()
        _finite(responses)
        self._sums[layer] = total + responses, places + values[:, 0].numel()

    def found(self) -> dict[str, Array]:
        return {layer: (total / places).numpy() for layer, (total, places) in self._sums.items()}


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
                    said[number].add(logits, top)
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
        best = logits.topk(min(5, logits.shape[1]), dim=1).indices if what == "top5" else logits.argmax(1)[:, None]
        found = (best == wanted).any(1)
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
    """What a network says of pictures: of each the most probable class with its probability, that of the class which
    was the most probable before the change, and whether it is right."""

    def __init__(self, labels: Sequence[int | None]) -> None:
        self.labels = labels
        self.classes: list[int] = []
        self.probabilities: list[float] = []
        self.kept: list[float] = []
        self.right: dict[str, list[bool]] = {"top1": [], "top5": []}

    def add(self, logits: Tensor, before: Tensor) -> None:
        """Of the next pictures the logits (pictures, classes), and the most probable class before the change."""
        labels = self.labels[len(self.classes) :][: len(logits)]
        classes, ranked = logits.argmax(1), logits.topk(min(5, logits.shape[1]), dim=1).indices.cpu().tolist()
        probable = logits.softmax(1).double()
        self.right["top1"] += [label == own for label, own in zip(labels, classes.tolist(), strict=True)]
        self.right["top5"] += [label in row for label, row in zip(labels, ranked, strict=True)]
        self.classes += classes.tolist()
        self.probabilities += probable.gather(1, classes[:, None])[:, 0].tolist()
        self.kept += probable.gather(1, before[:, None])[:, 0].tolist()


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
    flipped = [place for place in range(len(chosen)) if before.classes[place] != after.classes[place]]
    flipped.sort(key=lambda place: after.kept[place] - before.kept[place])
    told["flipped"] = len(flipped)
    told["flips"] = [
        {
            "image": chosen[place],
            **{
                side: {"class": each.classes[place], "probability": each.probabilities[place]}
                for side, each in zip(("before", "after"), said, strict=True)
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
    known = np.logical_and(*np.isfinite(values[:2]))
    there = np.logical_and(known, values[:2].max(axis=0) > ROUNDING) if what == "response" else known
    n, left_out = int(there.sum()), int((~there).sum())
    why = ""
    if left_out:
        why = (
            "no neuron that is measured responds, before the change or after it"
            if what == "response"
            else f"the {CALLED[what]} is not defined for a neuron that does not respond, or always alike"
        )
    if not n or 2 * known.sum() < len(known):
        raise CannotTest(
            f"For {left_out:,} of {len(there):,} pairs {why}. Show something else, change less, or measure "
            f"{'others' if what == 'response' else 'the response'}."
        )
    # Where nothing responds on either side, nothing changes: these pairs count for controls, to which they may matter.
    effect, *controls = (_effect(values[:, known], row, n) for row in range(1, len(values)))
    assert effect is not None  # by the plan none of these is lost
    lost = int((np.isfinite(values[0]) & ~known).sum())
    values, clusters = values[:, there], measured.clusters[there]
    means, drawn = intervals(values[:2], clusters, plan["seed"])
    draws = drawn[:, 1] - drawn[:, 0]
    relative = bool(expect.get("relative"))
    if relative:
        if drawn[:, 0].min() <= 0:
            raise CannotTest(
                f"The {CALLED[what]} is 0 before the change, or in so many pairs that it might be, and has no share: "
                "state the margin as it is."
            )
        base = float(means[0])
        effect, draws = effect / base, draws / drawn[:, 0]
        controls = [None if control is None else control / base for control in controls]
    low, high = between(draws)
    sides = [between(column) for column in drawn.T]
    if what in SHARES:
        sides = [of_share(float(mean), n) for mean in means]
        low, high = sides[1] if what in FROM_ZERO else _wider((low, high), values, float(means[0]) if relative else 1.0)
    ruling, because = verdict(expect, effect, low, high, controls, design.strengths)
    if nothing := _nothing(plan, values, clusters, lost):
        ruling, because = "inconclusive", nothing
    data: dict[str, Any] = {
        "ruling": {"verdict": ruling, "effect": effect, "low": low, "high": high, "n": n},
        "reason": _reason(plan, effect, low, high, n, because),
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
        "left_out": {"count": left_out, "reason": why},
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


def _effect(values: Array, row: int, n: int) -> float | None:
    """The sum of what the condition in this row of `values` does to all pairs, over n of them.

    A pair that a control leaves without a measure counts as if it had done what the plan does; None where these are too
    many.
    """
    before, planned, changed = values[[0, 1, row]]
    lost = np.isnan(changed)
    if lost.sum() > MOST_LOST * len(lost):
        return None
    return float((np.where(lost, planned, changed) - before).sum() / n)


def _nothing(plan: Plan, values: Array, clusters: Indices, lost: int) -> str:
    """Why nothing follows from these pairs (before and after in the first two rows of `values`), of which the change
    left `lost` others without a measure; "" where something may."""
    what, of = plan["measure"]["what"], neurons_measured(plan)
    n, asked = values.shape[1], len(of["channels"]) if of else 0
    neurons = len(np.unique(clusters)) if plan["show"]["kind"] == "sweep" else asked
    if n < LEAST_PAIRS:
        return f"fewer than {LEAST_PAIRS} say nothing: show more variants, or more pictures"
    if asked > 1 and neurons < LEAST_NEURONS:
        return f"fewer than {LEAST_NEURONS} neurons say nothing of neurons like them: measure more, or one alone"
    if lost > MOST_LOST * (n + lost):
        return f"the change leaves {lost:,} of {n + lost:,} without a measure, and nobody knows what it does to them"
    alike = neurons if asked > 1 else n
    if what in SHAPES and alike < STILL and not (values[1] - values[0]).any():
        return f"all stand still, and fewer than {STILL} {'neurons' if asked > 1 else 'variants'} leave room for others"
    return ""


def _reason(plan: Plan, effect: float, low: float, high: float, n: int, because: str) -> str:
    expect = plan["expect"]

    def written(value: float, sign: str = "") -> str:
        return f"{value:{sign}.1%}" if expect.get("relative") else f"{value:{sign}.3g}"

    what = plan["measure"]["what"]
    does = f"is {written(effect)}" if what in FROM_ZERO else f"changes by {written(effect, '+')}"
    unit = "" if expect.get("relative") else UNITS.get(what, "")
    after = f" {unit}" if unit else ""
    of, pictures = neurons_measured(plan), plan["show"]["kind"] == "images"
    pairs = count(n, "picture" if pictures else "pair")
    if of and len(of["channels"]) == 1:
        pairs = f"{count(n, 'picture' if pictures else 'variant')} {'for' if pictures else 'of'} this neuron alone"
    elif of and pictures:  # which are drawn anew, and neurons are not
        pairs += f" for these {len(of['channels']):,} neurons alone"
    return (
        f"The {CALLED[what]} {does}{after} on average over {pairs} "
        f"(95 % interval {written(low)} to {written(high)}, margin {written(expect['margin'])}): {because}."
    )


def _numbers(curves: Array) -> list[list[float]]:
    return [[float(f"{value:.7g}") for value in curve] for curve in curves]
