"""Neurons or families side by side, also of different networks: the same evidence of each, and how alike it is.

Nothing here is written but that who is told the members of families has looked at them.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from operator import or_
from statistics import median
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import Q

from taxonomy.actions import labels
from taxonomy.actions.circuits import evenly, read_data
from taxonomy.actions.evidence import newest
from taxonomy.models import Evidence, EvidenceVersion, Family, Layer, Membership, Neuron, Outcome, User
from taxonomy.permissions import Person, hidden_from
from taxonomy.rendering import curves
from taxonomy.rendering.curves import ORIENTED, STIMULI, Curve
from taxonomy.rendering.side_by_side import MARKS, Shape, likeness, mean, shape

MOST = len(MARKS)
ADDRESS = re.compile(r"(?P<network>[\w.-]{1,60})/(?P<layer>[\w.-]{1,60})(?::(?P<index>\d{1,9})|/(?P<family>.{1,120}))")
FORMS = "Write network/layer:index for a neuron, such as curve_network/mixed3b:0, or network/layer/family."
MIXED = "Compare neurons with neurons, or families with families: they have different evidence."
KINDS = (
    *("feature_visualization", "kernels", "imported_picture"),
    *("tuning_curves", "activation_histogram", "weights", "dataset_examples"),
)
# What may stand for a neuron, the first that there is.
PORTRAITS = ("feature_visualization", "kernels", "imported_picture")
# So many members stand for a family's tuning; each is a file to read.
SAMPLED = 24
ASKED = 3  # and so many say to which stimulus a family is tuned


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
class Side:
    """One subject and what is known of it, or the sentence that says why it cannot be found."""

    written: str
    mark: str = ""
    layers: Mapping[str, Layer] = field(default_factory=dict)  # of its network
    layer: Layer | None = None
    neuron: Neuron | None = None
    family: Family | None = None
    problem: str = ""
    missing: bool = False  # the address reads well, and nothing is there
    made: Mapping[tuple[str, str], EvidenceVersion] = field(default_factory=dict)  # of a neuron, by kind and variant
    sd: float | None = None  # of a neuron's values over an image set
    members: list[Member] = field(default_factory=list)  # of a family
    wired: list[EvidenceVersion] = field(default_factory=list)  # of a family: its weights from others

    @property
    def name(self) -> str:
        subject = (
            self.neuron.address if self.neuron else f"{self.family.name} ({self.place.name})" if self.family else ""
        )
        return f"{self.place.network.name}/{subject}"

    @property
    def address(self) -> str:
        """As ``found`` reads it."""
        subject = self.neuron.address if self.neuron else f"{self.place.name}/{self.family.name if self.family else ''}"
        return f"{self.place.network.name}/{subject}"

    @property
    def place(self) -> Layer:
        assert self.layer is not None
        return self.layer

    @property
    def portrait(self) -> EvidenceVersion | None:
        return next((self.made[kind, ""] for kind in PORTRAITS if (kind, "") in self.made), None)

    @property
    def examples(self) -> EvidenceVersion | None:
        return self.made.get(("dataset_examples", ""))

    @property
    def weights(self) -> list[EvidenceVersion]:
        """What comes in first, from the nearest layer; then what goes out, to the nearest."""

        def order(version: EvidenceVersion) -> tuple[bool, int]:
            values = version.evidence.parameters
            other = self.layers.get(str(values.get("layer")))
            away = abs(other.order - self.place.order) if other is not None else len(self.layers)
            return values.get("direction") != "in", away

        return sorted((version for (kind, _), version in self.made.items() if kind == "weights"), key=order)


@dataclass
class Row:
    """What one subject has of a stimulus; ``like`` is how much its shape is like the first one's, as it is and turned
    to the peaks. Of a family the members' medians."""

    side: Side
    stimulus: str
    versions: list[EvidenceVersion] = field(default_factory=list)
    peak: float | None = None
    width: float | None = None
    echo: float | None = None
    strongest: float | None = None
    like: float | None = None
    turned: float | None = None
    count: int | None = None  # of a family: the members that respond


@dataclass
class Laid:
    """Tuning to one stimulus of those that it was measured of, and the shapes of those that respond."""

    stimulus: str
    rows: list[Row]
    shapes: list[tuple[Side, Shape]]
    curve: Curve | None  # one of them: they share an axis


@dataclass
class Beside:
    """Subjects side by side."""

    sides: list[Side]
    laid: list[Laid]
    aligned: list[list[Member | None]]  # families: the first one's members, and beside each those of the others


def named(texts: Iterable[str]) -> list[str]:
    """What was written, tidied, each once."""
    written = [" ".join(text.replace("\0", "").split())[:250] for text in texts]
    return list(dict.fromkeys(text for text in written if text))


def found(written: Sequence[str]) -> list[Side]:
    """What is meant by each text; what is not found says why. Three queries at most."""
    sides = [Side(text, mark) for text, mark in zip(written, MARKS, strict=False)]
    read = {side.written: ADDRESS.fullmatch(side.written.removeprefix("family:")) for side in sides}
    names = {match["network"] for match in read.values() if match}
    layers = list(Layer.objects.filter(network__name__in=names).select_related("network", "sprite")) if names else []
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
        side.missing = match is not None and bool(side.problem)
        side.layer, side.layers = here, {layer.name: layer for layer in own}
    matched = [(side, match) for side in sides if not side.problem and (match := read[side.written])]
    wanted_neurons = [Q(layer=side.layer, index=int(match["index"])) for side, match in matched if match["index"]]
    wanted_families = [Q(layer=side.layer, name__iexact=match["family"]) for side, match in matched if match["family"]]
    neurons = list(Neuron.objects.filter(reduce(or_, wanted_neurons))) if wanted_neurons else []
    families = list(Family.objects.filter(reduce(or_, wanted_families), retired_at=None)) if wanted_families else []
    for side, match in matched:
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
                side.missing = True
            else:
                side.family.layer = side.place
    return sides


def lay(user: Person, sides: list[Side]) -> Beside:
    """Subjects that were all found, side by side.

    Raises:
        ValidationError: for neurons beside families.
    """
    if any(side.family is not None for side in sides) and any(side.neuron is not None for side in sides):
        raise ValidationError({"with": MIXED})
    return _families(user, sides) if sides and sides[0].family is not None else _neurons(sides)


def _neurons(sides: list[Side]) -> Beside:
    """Of each neuron the same evidence: its picture, its tuning, its weights, what excites it. Two queries."""
    made = newest([side.neuron for side in sides if side.neuron], KINDS)
    for side in sides:
        assert side.neuron is not None
        side.made = made[side.neuron.pk]
        histogram = side.made.get(("activation_histogram", ""))
        side.sd = _number(numbers_of(histogram), "sd") if histogram is not None else None
        side.sd = side.sd if side.sd and side.sd > 0 else None
    laid = []
    for stimulus in STIMULI:
        measured = [side for side in sides if ("tuning_curves", stimulus) in side.made]
        if measured:
            laid.append(_laid(stimulus, measured))
    return Beside(sides, laid, [])


def _laid(stimulus: str, sides: Sequence[Side]) -> Laid:
    shapes: list[tuple[Side, Shape]] = []
    first: tuple[Shape, Shape | None] | None = None
    rows: list[Row] = []
    sample: Curve | None = None
    for side in sides:
        version = side.made["tuning_curves", stimulus]
        numbers = numbers_of(version)
        row = Row(side, stimulus, [version])
        row.peak, row.width, row.echo = (_number(numbers, name) for name in ("peak", "width", "echo"))
        rows.append(row)
        curve = _curve(numbers, side.sd)
        if curve is None:
            continue
        sample, row.strongest = sample or curve, curve.strongest
        drawn, turned = shape(side.name, curve), shape(side.name, curve, turned=True)
        if drawn is None:
            continue
        shapes.append((side, drawn))
        if first is None:
            first = drawn, turned
            continue
        row.like = likeness(first[0], drawn)
        if first[1] is not None and turned is not None:
            row.turned = likeness(first[1], turned)
    return Laid(stimulus, rows, shapes, sample)


def _families(user: Person, sides: list[Side]) -> Beside:
    """Of each family its members, how they are tuned on the whole, and what they are wired to.

    Of members that this person is to read first nothing is told.
    """
    hidden = hidden_from(user)
    families = {side.family.pk: side for side in sides if side.family}
    for member in Membership.objects.shown(hidden).filter(family__in=families).select_related("neuron").order_by("pk"):
        side = families[member.family_id]
        member.neuron.layer = side.place
        side.members.append(Member(member.neuron, member.parameter))
    if isinstance(user, User):
        labels.reveal(user, *(member.neuron for side in sides for member in side.members))
    rows = Evidence.objects.filter(family__in=families, kind="family_weights", status=Outcome.DONE)
    rows = rows.select_related("current", "family", "other__layer").prefetch_related("current__artifacts")
    untold = Neuron.objects.with_layers(hidden)
    wired: dict[tuple[int, int, str], EvidenceVersion] = {}
    for row in rows.order_by("current__made_at", "pk"):
        if row.names(untold) or row.family is None or row.other is None or row.current is None:
            continue
        side = families[row.family.pk]
        row.family.layer, row.other.layer = side.place, side.layers[row.other.layer.name]
        row.current.evidence = row
        wired[row.family.pk, row.other.layer.order, row.other.name] = row.current
    for (pk, *_), version in wired.items():
        families[pk].wired.append(version)
    joint = _joint(sides)
    return Beside(sides, [joint] if joint is not None else [], _aligned(sides, joint))


def _joint(sides: Sequence[Side]) -> Laid | None:
    """The mean tuning of each family's members, each turned to its own peak; the members keep their curves."""
    sampled = {side.written: evenly(side.members, SAMPLED) for side in sides}
    made = newest([member.neuron for members in sampled.values() for member in members], ["tuning_curves"])
    votes: Counter[str] = Counter()
    for members in sampled.values():
        for member in members[:ASKED]:
            drive = {}
            for stimulus in ORIENTED:
                version = made[member.neuron.pk].get(("tuning_curves", stimulus))
                curve = _curve(numbers_of(version)) if version is not None else None
                if curve is not None:
                    drive[stimulus] = curve.strongest
            if drive:
                votes[max(drive, key=lambda name: drive[name])] += 1
    if not votes:
        return None
    stimulus = votes.most_common(1)[0][0]
    means: list[tuple[Side, Shape]] = []
    rows: list[Row] = []
    sample: Curve | None = None
    for side in sides:
        shapes = []
        row = Row(side, stimulus)
        for member in sampled[side.written]:
            version = made[member.neuron.pk].get(("tuning_curves", stimulus))
            numbers = numbers_of(version) if version is not None else {}
            member.curve = _curve(numbers)
            if version is None or member.curve is None:
                continue
            member.numbers, sample = numbers, sample or member.curve
            row.versions.append(version)
            if (drawn := shape(side.name, member.curve, turned=True)) is not None:
                shapes.append(drawn)
        row.width, row.echo = (_middle(sampled[side.written], name) for name in ("width", "echo"))
        row.count = len(shapes)
        rows.append(row)
        if shapes:
            means.append((side, mean(side.name, shapes)))
            row.turned = likeness(means[0][1], means[-1][1]) if len(means) > 1 else None
    return Laid(stimulus, rows, means, sample) if means else None


def _middle(members: Iterable[Member], name: str) -> float | None:
    """The median of what was measured."""
    values = [value for member in members if (value := _number(member.numbers, name)) is not None]
    return median(values) if values else None


def _aligned(sides: Sequence[Side], joint: Laid | None) -> list[list[Member | None]]:
    """The first family's members in order of their angles, and beside each the others' nearest.

    Where angles are not known, members stand in the order in which they came.
    """
    period = 180.0 if joint is not None and joint.stimulus != "curve" else 360.0
    first, *others = sides
    if all(member.angle is None for member in first.members):
        longest = max((len(side.members) for side in sides), default=0)
        return [[side.members[i] if i < len(side.members) else None for side in sides] for i in range(longest)]
    rows: list[list[Member | None]] = []
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
        rows.append(beside)
    return rows


def _apart(one: float, other: float, period: float) -> float:
    return abs((one - other + period / 2) % period - period / 2)


def numbers_of(version: EvidenceVersion) -> Mapping[str, Any]:
    """The version's numbers by name; none where their file is gone or spoilt."""
    data = read_data(version)
    return data if isinstance(data, dict) else {}


def _number(numbers: Mapping[str, Any], name: str) -> float | None:
    value = numbers.get(name)
    return float(value) if isinstance(value, (int, float)) else None


def _curve(numbers: Mapping[str, Any], sd: float | None = None) -> Curve | None:
    try:
        return curves.read(numbers, sd)
    except (KeyError, TypeError, ValueError, AttributeError):
        return None
