"""From labels to a standing: pure functions, no database.

The rule (docs/vocabulary.md, "standing"): for a node n of the layer's family tree, over current labels,
C = labels on n or below it; D = labels neither on n, nor below, nor above it, and "none of these"; A = labels
"no finer than" a proper ancestor of n. n qualifies with C >= 3 different people and C / (C + D + A) > 2/3; the deepest
qualifying node wins. "Cannot tell" counts nowhere.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

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


def qualifies(node: int, readings: Sequence[Reading], parents: Mapping[int, int | None]) -> bool:
    """Whether enough people, and enough of them, put the neuron on this node or below it."""
    ancestors = lineage(node, parents)[1:]
    people: set[int] = set()
    against = 0
    for reading in readings:
        if reading.cannot_tell:
            continue
        if reading.family is None:
            against += 1
        elif node in lineage(reading.family, parents):
            people.add(reading.author)
        elif reading.family in ancestors:
            against += reading.no_finer
        else:
            against += 1
    return len(people) >= PEOPLE_TO_AGREE and Fraction(len(people), len(people) + against) > SHARE_TO_AGREE


def standing(
    readings: Sequence[Reading],
    parents: Mapping[int, int | None],
    *,
    awaits_evidence: bool = False,
    objected: bool = False,
) -> Result:
    """Where a neuron stands by its current labels; decisions (accepted, contested, stale) are not labels.

    Args:
        readings: one for each person, in any order.
        parents: for each family of the layer, its parent or None.
        awaits_evidence: whether a reviewer asked for evidence that is not there yet.
        objected: whether a reviewer's objection was not withdrawn in time.
    """
    node = qualifying(readings, parents)
    if awaits_evidence:
        return Result("needs evidence", node)
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
