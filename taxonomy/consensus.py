"""From labels to a standing, and how far people agree: pure functions, no database.

The rule (docs/vocabulary.md, "standing"): for a node n of the layer's family tree, over current labels,
C = labels on n or below it; D = labels neither on n, nor below, nor above it, and "none of these"; A = labels
"no finer than" a proper ancestor of n. n qualifies with C >= 3 different people and C / (C + D + A) > 2/3; the deepest
qualifying node wins. "Cannot tell" counts nowhere.
"""

import random
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import combinations
from typing import Any

RULE_VERSION = 2
PEOPLE_TO_AGREE = 3
SHARE_TO_AGREE = Fraction(2, 3)
LABELS_TO_DISPUTE = 5
CANNOT_TELL_FOR_EVIDENCE = 2
NONE_FOR_FAMILY = 3


@dataclass(frozen=True)
class Reading:
    """One current label. ``family`` is a node's id, or None for "none of these" and "cannot tell".

    ``further`` are a polysemantic neuron's other families; ``answered`` says that the evidence which "cannot tell"
    missed has been made since, so that it asks for nothing any more.
    """

    label: int
    author: int
    family: int | None = None
    no_finer: bool = False
    cannot_tell: bool = False
    answered: bool = False
    further: frozenset[int] = field(default_factory=frozenset)


@dataclass(frozen=True)
class Result:
    """``standing`` is a word of ``models.Standing``; ``family`` the node that qualifies, if one does."""

    standing: str
    family: int | None = None


def lineage(family: int, parents: Mapping[int, int | None]) -> list[int]:
    """The node and its ancestors, nearest first."""
    path: list[int] = []
    node: int | None = family
    while node is not None and node not in path:
        path.append(node)
        node = parents.get(node)
    return path


def qualifying(readings: Sequence[Reading], parents: Mapping[int, int | None]) -> int | None:
    """The deepest node that qualifies, or None. Two nodes cannot qualify side by side: each needs over two thirds."""
    nodes = {node for reading in readings if reading.family is not None for node in lineage(reading.family, parents)}
    found = [node for node in nodes if qualifies(node, readings, parents)]
    return max(found, key=lambda node: (len(lineage(node, parents)), node), default=None)


@dataclass(frozen=True)
class Count:
    """What the rule counts for a node: ``on`` or below it (C), ``elsewhere`` (D), ``coarser`` and no finer (A)."""

    on: int
    elsewhere: int
    coarser: int

    @property
    def of(self) -> int:
        return self.on + self.elsewhere + self.coarser

    @property
    def qualifies(self) -> bool:
        return self.on >= PEOPLE_TO_AGREE and Fraction(self.on, self.of) > SHARE_TO_AGREE


def count(node: int, readings: Sequence[Reading], parents: Mapping[int, int | None]) -> Count:
    """How many people put the neuron on this node or below it, and how many speak against it."""
    ancestors = lineage(node, parents)[1:]
    people: set[int] = set()
    elsewhere = coarser = 0
    for reading in readings:
        if reading.cannot_tell:
            continue
        if reading.family is None:
            elsewhere += 1
        elif node in lineage(reading.family, parents):
            people.add(reading.author)
        elif reading.family in ancestors:
            coarser += reading.no_finer
        else:
            elsewhere += 1
    return Count(len(people), elsewhere, coarser)


def qualifies(node: int, readings: Sequence[Reading], parents: Mapping[int, int | None]) -> bool:
    """Whether enough people, and enough of them, put the neuron on this node or below it."""
    return count(node, readings, parents).qualifies


def leading(readings: Sequence[Reading], parents: Mapping[int, int | None]) -> int | None:
    """The node that qualifies, or else the one that comes nearest to it; None when nobody names a family."""
    found = qualifying(readings, parents)
    if found is not None:
        return found
    nodes = {node for reading in readings if reading.family is not None for node in lineage(reading.family, parents)}
    counts = {node: count(node, readings, parents) for node in nodes}
    depth = {node: len(lineage(node, parents)) for node in nodes}
    return max(
        nodes,
        key=lambda node: (Fraction(counts[node].on, counts[node].of), counts[node].on, depth[node], node),
        default=None,
    )


def standing(
    readings: Sequence[Reading],
    parents: Mapping[int, int | None],
    *,
    awaits_evidence: bool = False,
    objected: bool = False,
    reopened: bool = False,
) -> Result:
    """Where a neuron stands by its current labels; decisions (accepted, contested, stale) are not labels.

    Args:
        readings: one for each person, in any order.
        parents: for each family of the layer, its parent or None.
        awaits_evidence: whether a reviewer asked for evidence that is not there yet.
        objected: whether a reviewer's objection was not withdrawn in time.
        reopened: whether a contested neuron was taken up again, and no editor has decided on it since.
    """
    node = qualifying(readings, parents)
    if awaits_evidence:
        return Result("needs evidence", node)
    if reopened:
        return Result("disputed", node)
    if node is not None:
        return Result("disputed" if objected else "agreed", node)
    if sum(reading.cannot_tell and not reading.answered for reading in readings) >= CANNOT_TELL_FOR_EVIDENCE:
        return Result("needs evidence")
    counted = [reading for reading in readings if not reading.cannot_tell]
    if sum(reading.family is None for reading in counted) >= NONE_FOR_FAMILY:
        return Result("needs family")
    if len(counted) >= LABELS_TO_DISPUTE:
        return Result("disputed")
    return Result(("unlabelled", "single")[len(readings)] if len(readings) < 2 else "open")


def further(readings: Sequence[Reading], parents: Mapping[int, int | None], first: int) -> list[int]:
    """The further families of a polysemantic neuron that qualify by the same rule, beside ``first``.

    For a node n neither above, on nor below ``first``, C are the people who put the neuron on n or below it, first or
    further, and everybody else who told a family or "none of these" is against.
    """
    apart = {*lineage(first, parents)}
    counted = [reading for reading in readings if not reading.cannot_tell]
    nodes = {node for reading in counted for own in _named(reading) for node in lineage(own, parents)}
    found = []
    for node in sorted(nodes - apart):
        if first in lineage(node, parents):
            continue
        people = {
            reading.author for reading in counted if any(node in lineage(own, parents) for own in _named(reading))
        }
        if len(people) >= PEOPLE_TO_AGREE and Fraction(len(people), len(counted)) > SHARE_TO_AGREE:
            found.append(node)
    # The deepest of each line alone, as for the first.
    return [node for node in found if not any(node in lineage(other, parents)[1:] for other in found)]


def _named(reading: Reading) -> set[int]:
    return {*reading.further, *([reading.family] if reading.family is not None else [])}


def asked(readings: Sequence[Reading], standing: str, overlap: int = PEOPLE_TO_AGREE) -> int:
    """How many readings a neuron asks for by now: ``overlap``, and while it is open one more at a time, up to five.

    "Cannot tell" whose evidence has come since leaves its place to another reading.
    """
    given = len(readings)
    if standing in ("accepted", "contested", "stale"):
        return 0
    if standing not in ("unlabelled", "single", "open"):
        return given
    spent = sum(reading.cannot_tell and reading.answered for reading in readings)
    wanted = max(overlap, min(given - spent + 1, max(overlap, LABELS_TO_DISPUTE)))
    return wanted + spent


# Agreement: how well people's first, blind readings bear each other out. Nobody's standing depends on it.

AGREEMENT_VERSION = 1
NEURONS_FOR_AGREEMENT = 30  # read by two people or more; under it chance alone moves the figure too far
NEURONS_FOR_FAMILY = 10
NEURONS_FOR_KAPPA = 30  # that both have read
FLAGGED_BELOW = 0.667  # Krippendorff 2004, p. 241: below it not even tentative conclusions
RESAMPLES = 1_000
NONE_OF_THESE = 0  # stands for "none of these" among the families' ids, which begin at one

Value = Hashable
Distance = Callable[[Any, Any], float]


def nominal(one: Value, other: Value) -> float:
    """Two answers are the same, or they are not."""
    return float(one != other)


def tree_distance(parents: Mapping[int, int | None]) -> Distance:
    """Edges between two families in the tree under its implicit root, over the most that are possible: 0 to 1.

    "None of these" hangs from the root like a family of its own, as it counts in the rule of standings: so in a tree
    without finer families this is the nominal distance. Krippendorff's formula takes the distance as it is, in the
    place of his squared difference: lengths of paths in a tree are themselves squares of distances between points
    (they are of negative type; Schoenberg 1938), and one edge more costs the same wherever it lies.
    """
    lines = {node: frozenset(lineage(node, parents)) for node in parents} | {NONE_OF_THESE: frozenset([NONE_OF_THESE])}

    def edges(one: int, other: int) -> int:
        return len(lines[one] ^ lines[other])

    longest = max((edges(one, other) for one, other in combinations(lines, 2)), default=1)
    return lambda one, other: edges(one, other) / longest


@dataclass(frozen=True)
class Said:
    """One person's first reading of a neuron: a family, or ``NONE_OF_THESE``; "cannot tell" is a missing value."""

    person: int
    family: int
    no_finer: bool = False
    further: frozenset[int] = field(default_factory=frozenset)


@dataclass(frozen=True)
class Unit:
    """A neuron with what people said of it. ``layer``: people choose among its families; ``members``: its families."""

    neuron: int
    layer: int
    said: tuple[Said, ...]
    members: frozenset[int] = field(default_factory=frozenset)


@dataclass(frozen=True)
class Interval:
    """A figure with the bootstrap's 95 % interval."""

    value: float
    low: float
    high: float


class Alpha:
    """Krippendorff's alpha of some values for each unit, made ready to be taken of many samples of the units.

    alpha = 1 - D_o / D_e (Krippendorff, "Computing Krippendorff's Alpha-Reliability", 2011): the disagreement within
    units over what pairs drawn from all answers would show. Units with one value tell nothing and are left out. Where
    units are of several ``groups`` that do not share their values (a network's layers), chance is reckoned within each:
    nobody could have chosen a family of another layer.
    """

    def __init__(
        self,
        units: Sequence[Sequence[Value]],
        *distances: Distance,
        groups: Sequence[Hashable] | None = None,
    ) -> None:
        """Alpha by each of the ``distances``, of samples of these units."""
        self.distances = len(distances)
        # For each unit how often which value was given (by its place in the totals), and what lies within the unit.
        self.units: list[tuple[list[tuple[int, int]], list[float]]] = []
        places: dict[Hashable, dict[Value, int]] = {}
        size = 0
        for number, values in enumerate(units):
            counts = Counter(values if len(values) > 1 else ())
            own = places.setdefault(groups[number] if groups else None, {})
            for value in counts:
                if value not in own:
                    own[value], size = size, size + 1
            pairs = list(combinations(sorted(counts, key=repr), 2))
            within = [
                sum(2 * distance(a, b) * counts[a] * counts[b] for a, b in pairs) / (len(values) - 1)
                for distance in distances
                if pairs
            ]
            self.units.append(([(own[value], count) for value, count in counts.items()], within))
        self.size = size
        self.groups = [
            (
                list(own.values()),
                [
                    (own[a], own[b], [2 * distance(a, b) for distance in distances])
                    for a, b in combinations(sorted(own, key=repr), 2)
                ],
            )
            for own in places.values()
        ]

    def of(self, drawn: Mapping[int, int]) -> list[float | None]:
        """Alphas of a sample, in which unit number u is ``drawn[u]`` times; None when all its values are the same."""
        totals = [0] * self.size
        observed, expected = [0.0] * self.distances, [0.0] * self.distances
        for number, times in drawn.items():
            counts, within = self.units[number]
            for place, count in counts:
                totals[place] += times * count
            for which, apart in enumerate(within):
                observed[which] += times * apart
        for places, pairs in self.groups:
            size = sum(totals[place] for place in places)
            for one, other, across in pairs:
                both = totals[one] * totals[other]
                if both:
                    for which, apart in enumerate(across):
                        expected[which] += both * apart / (size - 1)
        return [1 - seen / chance if chance else None for seen, chance in zip(observed, expected, strict=True)]


class InOut:
    """Alpha of "in this family or not" over a layer's units; what most units say, "not in it", is taken together."""

    def __init__(self, units: Sequence[Sequence[bool | None]], sizes: Sequence[int]) -> None:
        """``units`` hold True, False, or None for a missing value; ``sizes`` are how many values each would have."""
        self.rows: list[tuple[int, int, int, float]] = []
        for number, values in enumerate(units):
            inside, outside = values.count(True), values.count(False)
            size = inside + outside if inside + outside > 1 else 0
            if inside or size != sizes[number]:
                within = 2 * inside * outside / (size - 1) if size else 0.0
                self.rows.append((number, inside if size else 0, sizes[number] - size, within))

    def of(self, drawn: Mapping[int, int], size: int) -> float | None:
        """As ``Alpha.of``; ``size`` is how many values the sample would have with none missing."""
        inside, observed = 0, 0.0
        for number, count, missing, within in self.rows:
            times = drawn.get(number, 0)
            if times:
                inside += times * count
                observed += times * within
                size -= times * missing
        expected = 2 * inside * (size - inside) / (size - 1) if size > 1 else 0.0
        return 1 - observed / expected if expected else None


def alpha(units: Iterable[Sequence[Value]], distance: Distance = nominal) -> float | None:
    """Krippendorff's alpha of the values that each unit was given; None when they are all the same, or no two."""
    found = list(units)
    return Alpha(found, distance).of(dict.fromkeys(range(len(found)), 1))[0]


def kappa(pairs: Sequence[tuple[Value, Value]], groups: Sequence[Hashable] | None = None) -> float | None:
    """Cohen's kappa of two people's values for the same units; None when both say one and the same throughout.

    kappa = (p_o - p_e) / (1 - p_e) (Cohen, "A coefficient of agreement for nominal scales", 1960). Chance is reckoned
    within each of the ``groups``, as for ``Alpha``.
    """
    by_group: dict[Hashable, list[tuple[Value, Value]]] = {}
    for number, pair in enumerate(pairs):
        by_group.setdefault(groups[number] if groups else None, []).append(pair)
    same = sum(one == other for one, other in pairs)
    chance = Fraction(0)
    for own in by_group.values():
        ones, others = Counter(one for one, _ in own), Counter(other for _, other in own)
        chance += Fraction(sum(count * others[value] for value, count in ones.items()), len(own))
    return float((same - chance) / (len(pairs) - chance)) if chance != len(pairs) else None


def samples(kinds: Sequence[int], seed: int = 0) -> Iterator[Counter[int]]:
    """``RESAMPLES`` samples of the neurons, with replacement: how many of each kind. The same for the same seed."""
    dice = random.Random(seed)
    for _ in range(RESAMPLES):
        yield Counter(dice.choices(kinds, k=len(kinds)))


def interval(value: float | None, resampled: Iterable[float | None]) -> Interval | None:
    """The middle 95 % of a figure's resamples (Efron's percentiles); those of one value throughout say nothing."""
    if value is None:
        return None
    found = sorted(one for one in resampled if one is not None) or [value]
    tail = len(found) * 25 // 1000
    return Interval(value, found[tail], found[-1 - tail])


def inside(said: Said, family: int, parents: Mapping[int, int | None]) -> bool | None:
    """Whether a reading puts the neuron in the family; None where it leaves it open: a plain reading of an ancestor."""
    if any(family in lineage(own, parents) for own in (said.family, *said.further)):
        return True
    above = said.family in lineage(family, parents)
    return None if above and not said.no_finer else False


@dataclass(frozen=True)
class Confusion:
    """Two families, of which neither lies above the other, that people read in the same neurons."""

    one: int
    other: int
    neurons: int
    pairs: int


@dataclass(frozen=True)
class Kappa:
    people: tuple[int, int]
    neurons: int
    value: float | None
    same: float


@dataclass(frozen=True)
class Figures:
    """Agreement about some neurons; ``neurons`` are those that two people or more have read, ``people`` who they are.

    ``nominal`` and ``tree`` are None where too few were read (``too_few``), or where everybody said the same of all.
    ``same`` is the share of pairs of readings of one neuron that say the same. ``splits`` are the neurons that people
    read most differently, first.
    """

    neurons: int
    people: int
    readings: int
    needed: int
    nominal: Interval | None = None
    tree: Interval | None = None
    same: float | None = None
    confusions: tuple[Confusion, ...] = ()
    kappas: tuple[Kappa, ...] = ()
    splits: tuple[int, ...] = ()

    @property
    def too_few(self) -> bool:
        return self.neurons < self.needed

    @property
    def flagged(self) -> bool:
        return self.nominal is not None and self.nominal.value < FLAGGED_BELOW


MOST_CONFUSIONS = 8
MOST_SPLITS = 24


def agreement(units: Sequence[Unit], parents: Mapping[int, int | None]) -> Figures:
    """Agreement in a layer, or a network of several."""
    doubly = _doubly(units)
    figures = Figures(*_counts(doubly), NEURONS_FOR_AGREEMENT)
    if figures.too_few:
        return figures
    kinds, distinct = _kinds(doubly)
    values = [[said.family for said in unit.said] for unit in distinct]
    groups = [unit.layer for unit in distinct]
    both = Alpha(values, nominal, tree_distance(parents), groups=groups)
    drawn = [both.of(sample) for sample in samples(kinds)]
    by_name, by_tree = both.of(Counter(kinds))
    return replace(
        figures,
        nominal=interval(by_name, (one for one, _ in drawn)),
        tree=interval(by_tree, (other for _, other in drawn)),
        same=_same([[said.family for said in unit.said] for unit in doubly]),
        confusions=confusions(doubly, parents),
        kappas=kappas(doubly),
        splits=_splits((unit.neuron, [said.family for said in unit.said]) for unit in doubly),
    )


def agreement_in_families(
    units: Sequence[Unit], families: Iterable[int], parents: Mapping[int, int | None]
) -> dict[int, Figures]:
    """Agreement on whether neurons of one layer are in each of its families.

    The neurons that count (``neurons``, ``same``, ``splits``) are those that any reading or membership puts in the
    family or below it. What chance would do is reckoned over all of the layer's readings: among the neurons that
    somebody put there nearly everybody says "in", and alpha over them alone would fall to nothing by one slip.
    """
    doubly = _doubly(units)
    kinds, distinct = _kinds(doubly)
    sizes = [len(unit.said) for unit in distinct]
    found: dict[int, Figures] = {}
    ready: dict[int, InOut] = {}
    for family in families:
        put = [
            (unit, values)
            for unit in doubly
            if len(values := _in_out(unit, family, parents)) > 1
            and (True in values or any(family in lineage(own, parents) for own in unit.members))
        ]
        figures = Figures(*_counts([unit for unit, _ in put]), NEURONS_FOR_FAMILY)
        if not figures.too_few:
            ready[family] = InOut([_in_out(unit, family, parents) for unit in distinct], sizes)
            figures = replace(
                figures,
                same=_same([values for _, values in put]),
                confusions=confusions([unit for unit, _ in put], parents, about=family),
                splits=_splits((unit.neuron, values) for unit, values in put),
            )
        found[family] = figures
    drawn: dict[int, list[float | None]] = {family: [] for family in ready}
    for sample in samples(kinds) if ready else ():
        size = sum(times * sizes[kind] for kind, times in sample.items())
        for family, one in ready.items():
            drawn[family].append(one.of(sample, size))
    whole = Counter(kinds)
    for family, one in ready.items():
        value = one.of(whole, sum(times * sizes[kind] for kind, times in whole.items()))
        found[family] = replace(found[family], nominal=interval(value, drawn[family]))
    return found


def _in_out(unit: Unit, family: int, parents: Mapping[int, int | None]) -> list[bool]:
    return [value for said in unit.said if (value := inside(said, family, parents)) is not None]


def _doubly(units: Iterable[Unit]) -> list[Unit]:
    """Those that two people or more have read, in order, so that sums do not depend on how they came."""
    return sorted((unit for unit in units if len(unit.said) > 1), key=lambda unit: unit.neuron)


def _counts(units: Sequence[Unit]) -> tuple[int, int, int]:
    people = {said.person for unit in units for said in unit.said}
    return len(units), len(people), sum(len(unit.said) for unit in units)


def _kinds(units: Sequence[Unit]) -> tuple[list[int], list[Unit]]:
    """For each unit its kind, and one unit of each kind: whoever said it, the same said of a layer is one kind."""
    numbers: dict[Hashable, int] = {}
    distinct: list[Unit] = []
    kinds = []
    for unit in units:
        said = sorted((said.family, said.no_finer, tuple(sorted(said.further))) for said in unit.said)
        kind = numbers.setdefault((unit.layer, tuple(said)), len(distinct))
        if kind == len(distinct):
            distinct.append(unit)
        kinds.append(kind)
    return kinds, distinct


def _same(units: Sequence[Sequence[Value]]) -> float:
    """Of pairs of values of one unit the share that are the same, each unit by its number of values, as in alpha."""
    whole = sum(len(values) for values in units)
    return 1 - sum(len(values) * _apart(values) for values in units) / whole


def _apart(values: Sequence[Value]) -> float:
    """Of pairs of a unit's values the share that differ."""
    counts, size = Counter(values), len(values)
    return 1 - sum(count * (count - 1) for count in counts.values()) / (size * (size - 1))


def _splits(units: Iterable[tuple[int, Sequence[Value]]]) -> tuple[int, ...]:
    split = sorted((-_apart(values), neuron) for neuron, values in units)
    return tuple(neuron for apart, neuron in split if apart)[:MOST_SPLITS]


def confusions(
    units: Iterable[Unit], parents: Mapping[int, int | None], about: int | None = None
) -> tuple[Confusion, ...]:
    """Which two families people mix most. ``about``: only pairs with one on or below this family, the other not."""
    neurons: Counter[tuple[int, int]] = Counter()
    pairs: Counter[tuple[int, int]] = Counter()
    lines = {NONE_OF_THESE: [NONE_OF_THESE], **{family: lineage(family, parents) for family in parents}}
    for unit in units:
        counts = Counter(said.family for said in unit.said)
        for one, other in combinations(sorted(counts), 2):
            if one in lines[other] or other in lines[one]:
                continue  # the one is coarser than the other, and not against it
            if about is None or (about in lines[one]) != (about in lines[other]):
                neurons[one, other] += 1
                pairs[one, other] += counts[one] * counts[other]
    found = [Confusion(one, other, count, pairs[one, other]) for (one, other), count in neurons.items()]
    return tuple(sorted(found, key=lambda c: (-c.neurons, -c.pairs, c.one, c.other))[:MOST_CONFUSIONS])


def kappas(units: Iterable[Unit]) -> tuple[Kappa, ...]:
    """Cohen's kappa of every two people who have read at least ``NEURONS_FOR_KAPPA`` of the same neurons."""
    shared: dict[tuple[int, int], list[tuple[int, int]]] = {}
    layers: dict[tuple[int, int], list[int]] = {}
    for unit in units:
        for one, other in combinations(sorted(unit.said, key=lambda said: said.person), 2):
            shared.setdefault((one.person, other.person), []).append((one.family, other.family))
            layers.setdefault((one.person, other.person), []).append(unit.layer)
    return tuple(
        Kappa(people, len(pairs), kappa(pairs, layers[people]), sum(a == b for a, b in pairs) / len(pairs))
        for people, pairs in sorted(shared.items())
        if len(pairs) >= NEURONS_FOR_KAPPA
    )
