"""The subgraph of a circuit note: grown from a neuron's weights, checked, brought up to date, told in words.

Nothing here is written: a note's version keeps the subgraph that it was saved with (``actions.notes``).
"""

import math
import re
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeGuard

from django.core.exceptions import ValidationError

from taxonomy.models import Edge, Family, Grown, Layer, Network, Neuron, Node, Subgraph

THRESHOLD = 0.3  # of the largest magnitude: what "Curve Circuits" counts as a strong connection
MOST_NODES, MOST_EDGES, DEEPEST = 200, 1_000, 4
MOST_FAR = 100_000.0  # units of the drawing
ID = re.compile(r"[A-Za-z0-9_.:-]{1,80}")
MOST_TOLD = 20


def empty() -> Subgraph:
    return {"nodes": [], "edges": [], "threshold": THRESHOLD}


@dataclass
class Place:
    """What a node stands for: a neuron, or a family of its layer."""

    layer: Layer
    neuron: Neuron | None = None
    family: Family | None = None

    @property
    def name(self) -> str:
        if self.neuron is not None:
            return f"{self.layer.name}:{self.neuron.index}"
        assert self.family is not None
        return f"{self.family.name} ({self.layer.name})"


@dataclass
class Checking:
    """What was found wrong so far, as sentences; the first few are told."""

    problems: list[str] = field(default_factory=list)

    def __call__(self, sentence: str) -> None:
        self.problems.append(sentence)

    def stop(self) -> None:
        if self.problems:
            more = len(self.problems) - MOST_TOLD
            told = [*self.problems[:MOST_TOLD], *([f"And {more:,} more."] if more > 0 else [])]
            raise ValidationError({"subgraph": told})


def check(network: Network, subgraph: object) -> Subgraph:
    """The subgraph in its canonical form: whole addresses, numbers as numbers, nothing else beside them.

    Four queries at most. An empty one (``{}``) is a note without a circuit.

    Raises:
        ValidationError: for the field "subgraph", with a sentence for each thing that is wrong.
    """
    wrong = Checking()
    nodes, edges, threshold, grown = _parts(subgraph, wrong)
    found = _nodes(nodes, wrong)
    wrong.stop()
    known = places(network, found, wrong)
    wrong.stop()
    joined = _edges(edges, known, wrong)
    wrong.stop()
    for node in found:
        neuron, family = known[node["id"]].neuron, known[node["id"]].family
        node["neuron"] = known[node["id"]].name if neuron is not None else ""
        node["family"] = str(family.public_id) if family is not None else ""
    checked: Subgraph = {"nodes": found, "edges": joined, "threshold": threshold}
    if grown is not None:
        checked["grown"] = grown
    return checked


def _parts(subgraph: object, wrong: Checking) -> tuple[list[Any], list[Any], float, Grown | None]:
    if not isinstance(subgraph, Mapping):
        wrong("A circuit is an object with nodes, edges and a threshold.")
        wrong.stop()
        raise AssertionError
    nodes, edges = subgraph.get("nodes", []), subgraph.get("edges", [])
    threshold = subgraph.get("threshold", THRESHOLD)
    if not isinstance(nodes, list) or not isinstance(edges, list):
        wrong("A circuit's nodes and its edges are lists.")
    else:
        if len(nodes) > MOST_NODES:
            wrong(f"A circuit has at most {MOST_NODES} nodes; this one has {len(nodes):,}. Show families instead.")
        if len(edges) > MOST_EDGES:
            wrong(f"A circuit has at most {MOST_EDGES:,} edges; this one has {len(edges):,}. Raise the threshold.")
    if not _is_number(threshold) or not 0 < threshold <= 1:
        wrong("The threshold is a share of the strongest weight, above 0 and at most 1, such as 0.3.")
    wrong.stop()
    return nodes, edges, float(threshold), _grown(subgraph.get("grown"), wrong)


def _grown(grown: object, wrong: Checking) -> Grown | None:
    if grown is None:
        return None
    ok = (
        isinstance(grown, Mapping)
        and isinstance(grown.get("neuron"), str)
        and type(grown.get("depth")) is int
        and 1 <= grown["depth"] <= DEEPEST
        and all(
            isinstance(grown.get(name), list)
            and len(grown[name]) <= MOST_NODES
            and all(isinstance(one, str) and len(one) <= 80 for one in grown[name])
            for name in ("neurons", "unknown")
        )
        and len(grown["neuron"]) <= 80
    )
    if not ok:
        wrong("What the circuit was grown from does not read: grow it again, or leave that out.")
        return None
    assert isinstance(grown, Mapping)
    return {
        "neuron": grown["neuron"],
        "depth": grown["depth"],
        "neurons": list(grown["neurons"]),
        "unknown": list(grown["unknown"]),
    }


def _is_number(value: object) -> TypeGuard[float]:
    return type(value) is int or (isinstance(value, float) and math.isfinite(value))


def _nodes(rows: list[Any], wrong: Checking) -> list[Node]:
    found: list[Node] = []
    taken: set[str] = set()
    for number, row in enumerate(rows, start=1):
        if not isinstance(row, Mapping):
            wrong(f"Node {number} is no object.")
            continue
        key, neuron, family = row.get("id"), row.get("neuron", ""), row.get("family", "")
        x, y = row.get("x", 0), row.get("y", 0)
        if not isinstance(key, str) or not ID.fullmatch(key):
            wrong(f"Node {number} needs an id: up to 80 letters, digits, or one of . : _ -")
        elif key in taken:
            wrong(f"Two nodes have the id '{key}': each needs its own.")
        elif not isinstance(neuron, str) or not isinstance(family, str) or bool(neuron) == bool(family):
            wrong(f"Node '{key}' is either a neuron or a family: name one of them.")
        elif not _is_number(x) or not _is_number(y) or max(abs(x), abs(y)) > MOST_FAR:
            wrong(f"Node '{key}' stands nowhere: x and y are numbers up to {MOST_FAR:,.0f}.")
        else:
            found.append({"id": key, "neuron": neuron, "family": family, "x": float(x), "y": float(y)})
        if isinstance(key, str):
            taken.add(key)
    return found


def places(network: Network, nodes: Iterable[Node], wrong: Checking) -> dict[str, Place]:
    """What each node stands for. Three queries at most; what is not there, or there twice, is told to ``wrong``."""
    found: dict[str, Place] = {}
    addressed: dict[str, str] = {}
    for node in nodes:
        if node["neuron"]:
            addressed[node["id"]] = node["neuron"]
    for key, neuron in _neurons(network, addressed, wrong).items():
        found[key] = Place(neuron.layer, neuron=neuron)
    for key, family in _families(network, nodes, wrong).items():
        found[key] = Place(family.layer, family=family)
    seen: dict[tuple[int, int], str] = {}
    for key, place in found.items():
        what = (place.neuron.pk, 0) if place.neuron is not None else (0, place.family.pk if place.family else 0)
        if what in seen:
            wrong(f"{place.name} is in the circuit twice, as '{seen[what]}' and as '{key}': leave one out.")
        seen.setdefault(what, key)
    return found


def _neurons(network: Network, addressed: Mapping[str, str], wrong: Checking) -> dict[str, Neuron]:
    try:
        neurons = Neuron.objects.each_at(network.name, list(addressed.values()))
    except Neuron.DoesNotExist as error:
        wrong(str(error))
        return {}
    return dict(zip(addressed, neurons, strict=True))


def _families(network: Network, nodes: Iterable[Node], wrong: Checking) -> dict[str, Family]:
    named: dict[str, uuid.UUID] = {}
    for node in nodes:
        if node["family"]:
            try:
                named[node["id"]] = uuid.UUID(node["family"])
            except ValueError:
                wrong(f"Node '{node['id']}' names no family: a family goes by its public id.")
    if not named:
        return {}
    rows = Family.objects.filter(public_id__in=named.values(), layer__network=network)
    families = {family.public_id: family for family in rows.select_related("layer__network")}
    for key, public_id in named.items():
        if public_id not in families:
            wrong(f"Node '{key}' names a family that {network.name} does not have.")
    return {key: families[public_id] for key, public_id in named.items() if public_id in families}


def _edges(rows: list[Any], known: Mapping[str, Place], wrong: Checking) -> list[Edge]:
    found: list[Edge] = []
    seen: set[tuple[str, str]] = set()
    for number, row in enumerate(rows, start=1):
        if not isinstance(row, Mapping):
            wrong(f"Edge {number} is no object.")
            continue
        source, target = row.get("source"), row.get("target")
        weight, evidence = row.get("weight"), row.get("evidence", "")
        ends = [known.get(end) if isinstance(end, str) else None for end in (source, target)]
        missing = next((end for end, place in zip((source, target), ends, strict=True) if place is None), None)
        if ends[0] is None or ends[1] is None:
            wrong(f"Edge {number} ends at '{str(missing)[:80]}', which is no node of the circuit.")
            continue
        start, end = ends[0], ends[1]
        assert isinstance(source, str)
        assert isinstance(target, str)
        if start.layer.order >= end.layer.order:
            why = "which lies before it" if start.layer.order > end.layer.order else "in the same layer"
            wrong(f"An edge from {start.name} to {end.name}, {why}: edges go from an earlier layer to a later one.")
        elif (source, target) in seen:
            wrong(f"The edge from {start.name} to {end.name} is there twice: leave one out.")
        elif not _is_number(weight) or not weight or abs(weight) > 1e9:
            wrong(f"The edge from {start.name} to {end.name} needs a weight: a number other than 0.")
        elif not isinstance(evidence, str) or (evidence and not _is_uuid(evidence)):
            wrong(
                f"The edge from {start.name} to {end.name} names no evidence: give a version's public id, or nothing."
            )
        else:
            found.append({"source": source, "target": target, "weight": float(weight), "evidence": evidence})
        seen.add((source, target))
    return found


def _is_uuid(text: str) -> bool:
    try:
        return str(uuid.UUID(text)) == text.lower()
    except ValueError:
        return False
