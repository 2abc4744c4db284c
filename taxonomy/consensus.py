"""From labels to a standing: pure functions, no database.

The rule (docs/vocabulary.md, "standing"): for a node n of the layer's family tree, over current labels,
C = labels on n or below it; D = labels neither on n, nor below, nor above it, and "none of these"; A = labels
"no finer than" a proper ancestor of n. n qualifies with C >= 3 different people and C / (C + D + A) > 2/3; the deepest
qualifying node wins. "Cannot tell" counts nowhere.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

RULE_VERSION = 1
PEOPLE_TO_AGREE = 3
SHARE_TO_AGREE = Fraction(2, 3)
LABELS_TO_DISPUTE = 5
CANNOT_TELL_FOR_EVIDENCE = 2
NONE_FOR_FAMILY = 3


@dataclass(frozen=True)
class Reading:
    """One current label. ``family`` is a node's id, or None for "none of these" and "cannot tell"."""

    label: int
    author: int
    family: int | None = None
    no_finer: bool = False
    cannot_tell: bool = False


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


def standing(readings: Sequence[Reading], parents: Mapping[int, int | None]) -> Result:
    """Where a neuron stands by its current labels alone; decisions (accepted, contested) are not labels.

    Args:
        readings: one for each person, in any order.
        parents: for each family of the layer, its parent or None.
    """
    node = qualifying(readings, parents)
    if node is not None:
        return Result("agreed", node)
    if sum(reading.cannot_tell for reading in readings) >= CANNOT_TELL_FOR_EVIDENCE:
        return Result("needs evidence")
    counted = [reading for reading in readings if not reading.cannot_tell]
    if sum(reading.family is None for reading in counted) >= NONE_FOR_FAMILY:
        return Result("needs family")
    if len(counted) >= LABELS_TO_DISPUTE:
        return Result("disputed")
    return Result(("unlabelled", "single")[len(readings)] if len(readings) < 2 else "open")
