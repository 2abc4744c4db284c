"""Neurons or families side by side, also of different networks: the same evidence of each, aligned."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from operator import or_
from statistics import median
from typing import Any

from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.safestring import SafeString
from django.views.decorators.http import require_safe

from taxonomy import recipes
from taxonomy.actions import circuits, labels
from taxonomy.models import Evidence, Family, Layer, Membership, Neuron, User
from taxonomy.pages import panels
from taxonomy.pages.exhibits import STIMULUS_TITLES, Exhibit, Photographs, Shelf, done, put, rows_of
from taxonomy.pages.families import ORIENTED
from taxonomy.permissions import hidden_from
from taxonomy.rendering.curves import Curve
from taxonomy.rendering.side_by_side import MARKS, Shape, likeness, mean, over_each_other, shape, swatch

MOST = len(MARKS)
ADDRESS = re.compile(r"(?P<network>[\w.-]{1,60})/(?P<layer>[\w.-]{1,60})(?::(?P<index>\d{1,9})|/(?P<family>.{1,120}))")
FORMS = "Write network/layer:index for a neuron, such as curve_network/mixed3b:0, or network/layer/family."
KINDS = (
    *("feature_visualization", "kernels", "imported_picture"),
    *("tuning_curves", "activation_histogram", "weights", "dataset_examples"),
)
# What may stand for a neuron, the first that there is.
PORTRAITS = ("feature-visualization", "kernels", "imported-picture")
# So many members stand for a family's tuning; each is a file to read.
SAMPLED = 24
ASKED = 3  # and so many say to which stimulus a family is tuned


@dataclass
class Side:
    """One subject and what is shown of it, or the sentence that says why it cannot be found."""

    written: str
    mark: str = ""
    layer: Layer | None = None
    neuron: Neuron | None = None
    family: Family | None = None
    problem: str = ""
    exhibits: dict[str, Exhibit] = field(default_factory=dict)
    members: list["Member"] = field(default_factory=list)

    @property
    def name(self) -> str:
        subject = (
            self.neuron.address if self.neuron else f"{self.family.name} ({self.place.name})" if self.family else ""
        )
        return f"{self.place.network.name}/{subject}"

    @property
    def place(self) -> Layer:
        assert self.layer is not None
        return self.layer

    @property
    def swatch(self) -> SafeString:
        return swatch(self.mark)

    @property
    def portrait(self) -> Exhibit | None:
        return next((self.exhibits[slug] for slug in PORTRAITS if slug in self.exhibits), None)

    @property
    def examples(self) -> Exhibit | None:
        return self.exhibits.get("dataset-examples")

    @property
    def weights(self) -> list[Exhibit]:
        """What comes in first, from the nearest layer; then what goes out, to the nearest."""
        found = [one for one in self.exhibits.values() if one.kind.name == "weights" and one.panel]
        order = self.place.order
        return sorted(
            found,
            key=lambda one: (one.values.get("direction") != "in", abs((one.panel or {})["layer"].order - order)),
        )[:1]


@dataclass
class Member:
    neuron: Neuron
    parameter: float | None
    curve: Curve | None = None
    numbers: Mapping[str, Any] = field(default_factory=dict)

    @property
    def angle(self) -> float | None:
        """Where its tuning peaks, or else what its membership says."""
        return self.curve.peak if self.curve is not None and self.curve.peak is not None else self.parameter


@dataclass
class Row:
    """What one subject has of a stimulus; ``like`` is how much its shape is like the first one's."""

    side: Side
    numbers: Mapping[str, Any]
    strongest: float | None = None
    unit: str = ""
    like: float | None = None
    turned: float | None = None
    count: int = 0


@dataclass
class Laid:
    """Tuning to one stimulus, over each other."""

    stimulus: str
    title: str
    plot: SafeString
    rows: list[Row]
    axis: str
    first: float
    last: float
    degrees: bool


@require_safe
def compare(request: HttpRequest) -> HttpResponse:
    written = [" ".join(text.replace("\0", "").split())[:250] for text in request.GET.getlist("with")]
    written = list(dict.fromkeys(text for text in written if text))[:MOST]
    sides = found(written)
    problems = [side for side in sides if side.problem]
    kinds = {side.family is not None for side in sides}
    context: dict[str, Any] = {
        "sides": sides,
        "fields": [*sides, *([None] * max(1, 2 - len(sides)) if len(sides) < MOST else [])],
        "forms": FORMS,
        "mixed": "",
    }
    if problems:
        return render(request, "compare/compare.html", context, status=422)
    if len(kinds) > 1:
        context["mixed"] = "Compare neurons with neurons, or families with families: they have different evidence."
        return render(request, "compare/compare.html", context, status=422)
    if sides:
        context |= of_families(request, sides) if kinds == {True} else of_neurons(sides)
    return render(request, "compare/compare.html", context)


def found(written: Sequence[str]) -> list[Side]:
    """What is meant by each text; what is not found says why. Three queries at most."""
    sides = [Side(text, mark) for text, mark in zip(written, MARKS, strict=False)]
    read = {side.written: ADDRESS.fullmatch(side.written.removeprefix("family:")) for side in sides}
    named = {match["network"] for match in read.values() if match}
    layers = list(Layer.objects.filter(network__name__in=named).select_related("network", "sprite")) if named else []
    networks = {layer.network.name: layer.network for layer in layers}
    for layer in layers:
        layer.network = networks[layer.network.name]
    for side in sides:
        match = read[side.written]
        own = [layer for layer in layers if match and layer.network.name == match["network"]]
        here = next((layer for layer in own if match and match["layer"] in (layer.name, layer.short)), None)
        if match is None:
            side.problem = f"“{side.written[:80]}” is no address. {FORMS}"
        elif not own:
            side.problem = f"There is no network “{match['network']}” here."
        elif here is None:
            side.problem = (
                f"{match['network']} has no layer “{match['layer']}”. Its layers are "
                f"{', '.join(layer.name for layer in own)}."
            )
        elif match["index"] and int(match["index"]) >= here.channels:
            side.problem = f"{here} has {here.channels} neurons, numbered 0 to {here.channels - 1}."
        side.layer = here
    matched = [(side, read[side.written]) for side in sides if not side.problem]
    wanted_neurons = [Q(layer=side.layer, index=int(m["index"])) for side, m in matched if m and m["index"]]
    wanted_families = [Q(layer=side.layer, name__iexact=m["family"]) for side, m in matched if m and m["family"]]
    neurons = list(Neuron.objects.filter(reduce(or_, wanted_neurons))) if wanted_neurons else []
    families = list(Family.objects.filter(reduce(or_, wanted_families), retired_at=None)) if wanted_families else []
    for side, match in matched:
        assert match is not None
        if match["index"]:
            index = int(match["index"])
            side.neuron = next(one for one in neurons if (one.layer_id, one.index) == (side.place.pk, index))
            side.neuron.layer = side.place
        else:
            name = match["family"].casefold()
            kin = [one for one in families if (one.layer_id, one.name.casefold()) == (side.place.pk, name)]
            side.family = kin[0] if kin else None
            if side.family is None:
                side.problem = f"{side.place} has no family “{match['family']}”. Its families are on its page."
            else:
                side.family.layer = side.place
    return sides


def shelves(sides: Sequence[Side], layers: Sequence[Layer]) -> list[Shelf]:
    """One for each side; those of a network look pictures up together."""
    photographs = {side.place.network.pk: Photographs(side.place.network) for side in sides}
    return [
        Shelf(
            side.place.network,
            {layer.name: layer for layer in layers if layer.network_id == side.place.network_id},
            photographs[side.place.network.pk],
        )
        for side in sides
    ]


def layers_beside(sides: Sequence[Side]) -> list[Layer]:
    """All layers of the sides' networks, with what draws their neurons. One query."""
    own = {side.place.network.pk: side.place.network for side in sides}
    layers = list(Layer.objects.filter(network__in=own).select_related("sprite").order_by("network", "order"))
    for layer in layers:
        layer.network = own[layer.network_id]
    return layers


def of_neurons(sides: Sequence[Side]) -> dict[str, Any]:
    """Of each neuron the same evidence: its picture, its tuning, its weights, what excites it."""
    made = done([side.neuron for side in sides if side.neuron], kinds=KINDS)
    for side, shelf in zip(sides, shelves(sides, layers_beside(sides)), strict=True):
        assert side.neuron is not None
        side.exhibits = made[side.neuron.pk]
        for exhibit in side.exhibits.values():
            exhibit.shelf = shelf
        histogram = side.exhibits.get("activation-histogram")
        sd = histogram.data.get("sd") if histogram is not None and isinstance(histogram.data, dict) else None
        shelf.sd = float(sd) if isinstance(sd, (int, float)) and sd > 0 else None
    shown = [one for side in sides for one in side.exhibits.values() if one.kind.name not in ("tuning_curves",)]
    panels.fill(one for one in shown if one.kind.name != "activation_histogram")
    laid, alone = [], []
    for stimulus, title in STIMULUS_TITLES.items():
        slug = f"tuning-curves-{stimulus.replace('_', '-')}"
        measured = [side for side in sides if slug in side.exhibits]
        pair = {side.written: panels.safe_curve(side.exhibits[slug]) for side in measured}
        if len(measured) < 2 or not (drawn := _laid(stimulus, title, measured, pair, slug)):
            alone += [(title, side) for side in measured if len(sides) > 1]
        else:
            laid.append(drawn)
    return {"laid": laid, "alone": alone, "neurons": True}


def _laid(stimulus: str, title: str, sides: Sequence[Side], pair: Mapping[str, Curve | None], slug: str) -> Laid | None:
    """The tuning curves of neurons, where at least two of them respond."""
    shapes: dict[str, Shape] = {}
    turned: dict[str, Shape] = {}
    for side in sides:
        curve = pair[side.written]
        if curve is not None and (drawn := shape(side.name, curve)) is not None:
            shapes[side.written] = drawn
            if (about := shape(side.name, curve, turned=True)) is not None:
                turned[side.written] = about
    if len(shapes) < 2:
        return None
    first = next(iter(shapes))
    rows = []
    for side in sides:
        curve, exhibit = pair[side.written], side.exhibits[slug]
        row = Row(side, exhibit.data or {}, curve.strongest if curve else None, "sd" if exhibit.shelf.sd else "")
        if side.written in shapes and side.written != first:
            row.like = likeness(shapes[first], shapes[side.written])
            if first in turned and side.written in turned:
                row.turned = likeness(turned[first], turned[side.written])
        rows.append(row)
    sample = next(curve for curve in pair.values() if curve is not None)
    plot = over_each_other(
        [(side.mark, shapes[side.written]) for side in sides if side.written in shapes],
        stimulus=stimulus,
        axis=sample.axis,
        unit=sample.unit,
        key=slug,
    )
    degrees = sample.unit.startswith(("deg", "°"))
    axis = sample.axis if degrees else f"{sample.axis}, {sample.unit}"
    low, high = min(sample.places), sample.period or max(sample.places)
    return Laid(stimulus, title, plot, rows, axis, low, high, degrees)


def of_families(request: HttpRequest, sides: Sequence[Side]) -> dict[str, Any]:
    """Of each family its members, how they are tuned on the whole, and what they are wired to."""
    hidden = hidden_from(request.user)
    families = {side.family.pk: side for side in sides if side.family}
    for member in Membership.objects.shown(hidden).filter(family__in=families).select_related("neuron").order_by("pk"):
        side = families[member.family_id]
        member.neuron.layer = side.place
        side.members.append(Member(member.neuron, member.parameter))
    if isinstance(request.user, User):
        labels.reveal(request.user, *(member.neuron for side in sides for member in side.members))
    shelf_of = dict(zip(families, shelves(sides, layers_beside(sides)), strict=True))
    rows = Evidence.objects.filter(family__in=families, kind="family_weights").select_related("family", "other__layer")
    untold = Neuron.objects.with_layers(hidden)
    for row in rows_of(rows):
        if row.names(untold) or row.family_id is None or row.other is None:
            continue
        side, shelf = families[row.family_id], shelf_of[row.family_id]
        row.other.layer = shelf.layers[row.other.layer.name]
        blank = Exhibit(recipes.KINDS[row.kind], "", row.parameters, shelf, None, side.family, row.other)
        put(side.exhibits.setdefault(f"{row.other.layer.order} {row.other.name}", blank), row)
    matrices = [one for side in sides for one in side.exhibits.values() if one.version is not None]
    panels.fill(matrices)
    joint = _joint(sides)
    wired = Counter(one.other.name for one in matrices if one.other is not None)
    return {
        "joint": joint,
        "aligned": _aligned(sides, joint),
        "wired": [
            (name, [(side, _from(side, name)) for side in sides])
            for name in sorted(wired, key=lambda name: (-wired[name], name))
        ],
        "neurons": False,
    }


def _from(side: Side, name: str) -> Exhibit | None:
    """Its weights from the family of this name, of the latest layer that has one."""
    found = [one for one in side.exhibits.values() if one.panel and one.other is not None and one.other.name == name]
    return max(found, key=lambda one: one.other.layer.order if one.other else 0, default=None)


def _joint(sides: Sequence[Side]) -> Laid | None:
    """The mean tuning of each family's members, each turned to its own peak; the members keep their curves."""
    sampled = {side.written: circuits.evenly(side.members, SAMPLED) for side in sides}
    every = [member for members in sampled.values() for member in members]
    made = done([member.neuron for member in every], kinds=["tuning_curves"])
    votes: Counter[str] = Counter()
    for members in sampled.values():
        for member in members[:ASKED]:
            drive = {
                exhibit.variant: curve.strongest
                for exhibit in made[member.neuron.pk].values()
                if exhibit.variant in ORIENTED and (curve := panels.safe_curve(exhibit)) is not None
            }
            if drive:
                votes[max(drive, key=lambda name: drive[name])] += 1
    if not votes:
        return None
    stimulus = votes.most_common(1)[0][0]
    means: dict[str, Shape] = {}
    rows = []
    sample: Curve | None = None
    for side in sides:
        shapes = []
        for member in sampled[side.written]:
            exhibit = made[member.neuron.pk].get(f"tuning-curves-{stimulus}")
            member.curve = panels.safe_curve(exhibit) if exhibit is not None else None
            if exhibit is None or member.curve is None:
                continue
            member.numbers = exhibit.data
            sample = sample or member.curve
            if (drawn := shape(side.name, member.curve, turned=True)) is not None:
                shapes.append(drawn)
        if shapes:
            means[side.written] = mean(side.name, shapes)
        rows.append(Row(side, _middle(sampled[side.written]), count=len(shapes)))
    if not means or sample is None:
        return None
    first = next(iter(means))
    for row in rows:
        if row.side.written in means and row.side.written != first:
            row.turned = likeness(means[first], means[row.side.written])
    plot = over_each_other(
        [(side.mark, means[side.written]) for side in sides if side.written in means],
        stimulus=stimulus,
        axis=f"{sample.axis} from each member's peak",
        unit=sample.unit,
        key="joint",
    )
    half = (sample.period or 360.0) / 2
    return Laid(stimulus, STIMULUS_TITLES[stimulus], plot, rows, "from the peak", -half, half, True)


def _middle(members: Sequence[Member]) -> dict[str, float]:
    """The medians of what was measured."""
    found = {}
    for name in ("width", "echo"):
        values = [float(m.numbers[name]) for m in members if isinstance(m.numbers.get(name), (int, float))]
        if values:
            found[name] = median(values)
    return found


def _aligned(sides: Sequence[Side], joint: Laid | None) -> list[tuple[float | None, list[Member | None]]]:
    """The first family's members in order of their angles, and beside each the others' nearest.

    Where angles are not known, members stand in the order in which they came.
    """
    period = 180.0 if joint is not None and joint.stimulus != "curve" else 360.0
    first, *others = sides
    if all(member.angle is None for member in first.members):
        longest = max((len(side.members) for side in sides), default=0)
        return [(None, [side.members[i] if i < len(side.members) else None for side in sides]) for i in range(longest)]
    rows: list[tuple[float | None, list[Member | None]]] = []
    # What peaks a little before the whole turn belongs to the beginning.
    slack = period / (2 * len(first.members))
    for member in sorted(first.members, key=lambda one: (one.angle is None, ((one.angle or 0.0) + slack) % period)):
        beside: list[Member | None] = [member]
        for side in others:
            placed = [one for one in side.members if one.angle is not None]
            near = member.angle is not None and placed
            beside.append(
                min(placed, key=lambda one: _apart(one.angle or 0.0, member.angle or 0.0, period)) if near else None
            )
        rows.append((member.angle, beside))
    return rows


def _apart(one: float, other: float, period: float) -> float:
    return abs((one - other + period / 2) % period - period / 2)
