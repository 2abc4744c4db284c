"""The subgraph of a circuit note: grown from a neuron's weights, checked, brought up to date, told in words.

Nothing here is written: a note's version keeps the subgraph that it was saved with (``actions.notes``).
"""

import json
import logging
import math
import re
import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from itertools import count
from operator import or_
from typing import Any, TypeGuard, TypeVar

from django.core.exceptions import ValidationError
from django.db.models import Q

from taxonomy import storage
from taxonomy.models import (
    Edge,
    Evidence,
    EvidenceVersion,
    Family,
    Grown,
    Layer,
    Membership,
    Motif,
    Network,
    Neuron,
    Node,
    Outcome,
    Subgraph,
)
from taxonomy.rendering.markdown import FAMILY

logger = logging.getLogger(__name__)

T = TypeVar("T")

THRESHOLD = 0.3  # of the largest magnitude: what "Curve Circuits" counts as a strong connection
DEPTH = 2
MOST_NODES, MOST_EDGES, DEEPEST = 200, 1_000, 4
NO_SHARE = "The threshold is a share of the strongest weight: above 0, at most 1."
NO_DEPTH = f"A circuit grows 1 to {DEEPEST} layers deep."
MOST_FAR = 100_000.0  # units of the drawing
ID = re.compile(r"[A-Za-z0-9_.:-]{1,80}")
MOST_TOLD = 20
# Of a family so many members are read, of all families of a circuit together so many: each is a file in the store.
SAMPLED, MOST_READ = 24, 240


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
        # Half a character of what was sent could not be told at all.
        self.problems.append(sentence.encode(errors="replace").decode())

    def stop(self) -> None:
        if self.problems:
            more = len(self.problems) - MOST_TOLD
            told = [*self.problems[:MOST_TOLD], *([f"And {more:,} more."] if more > 0 else [])]
            raise ValidationError({"subgraph": told})


def check(
    network: Network, subgraph: object, before: Mapping[str, Any] | None = None, hidden: Collection[int] = ()
) -> Subgraph:
    """The subgraph in its canonical form: whole addresses, numbers as numbers, nothing else beside them.

    An edge that names evidence has the weight that stands there, and what a circuit was grown by is applied again: so
    what a note discloses about its selection is so. An edge of a family whose evidence is of no neuron that is or was
    its member counts as drawn by hand. An empty subgraph (``{}``) is a note without a circuit.

    Three queries, and as many again where edges name evidence.

    Args:
        before: the subgraph that was changed. An edge that stood there so has the evidence that it had, also where who
            changed it was not told which (``rendering.circuits.without_members``).
        hidden: neurons whose family is not told to whoever asks: they count as members of none.

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
    new = _new(joined, found, before or {})
    read = _evidence_of(network, joined)
    _hold_to_evidence(joined, known, read, wrong)
    wrong.stop()
    _hold_to_members(new, known, read, hidden)
    for edge in joined:
        if edge["evidence"] and not read[edge["evidence"]].reaches(edge["weight"], threshold):
            edge["unheld"] = True
    checked: Subgraph = {"nodes": found, "edges": joined, "threshold": threshold}
    if grown is not None:
        checked["grown"] = _grown_again(network, grown, threshold, wrong)
        wrong.stop()
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
    """Of what it was grown from only the rule is believed; what the rule gives is found again (``check``)."""
    if grown is None:
        return None
    neuron, depth = (grown.get("neuron"), grown.get("depth")) if isinstance(grown, Mapping) else (None, None)
    if not isinstance(neuron, str) or type(depth) is not int or not 1 <= depth <= DEEPEST:
        wrong("What the circuit was grown from does not read: grow it again, or leave that out.")
        return None
    return {"neuron": neuron, "depth": depth, "neurons": [], "unknown": [], "left": 0}


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
            found.append({"source": source, "target": target, "weight": float(weight), "evidence": evidence.lower()})
        seen.add((source, target))
    return found


def _is_uuid(text: str) -> bool:
    try:
        return str(uuid.UUID(text)) == text.lower()
    except ValueError:
        return False


# What evidence says about weights


@dataclass(frozen=True)
class Weight:
    """The entry of largest magnitude of the kernel between two nodes, and the version that has it."""

    value: float
    version: EvidenceVersion
    scale: float = 0.0  # the largest into the same neuron, where that is known


@dataclass
class Inputs:
    """What a neuron's ``weights`` evidence tells of one earlier layer: its strongest inputs there."""

    version: EvidenceVersion
    layer: str
    scale: float
    strong: int
    values: dict[int, float]  # by index in that layer; at most the fifty strongest
    channels: int  # of that layer

    def over(self, threshold: float) -> dict[int, float]:
        """Those that reach this share of the largest magnitude, the strongest first."""
        return {index: value for index, value in self.values.items() if abs(value) >= threshold * self.scale > 0}

    def left(self, threshold: float) -> int | None:
        """How many that reach it are not listed; None where that is not known. It counts those that reach 30 %."""
        if len(self.over(threshold)) < len(self.values) or len(self.values) >= self.channels:
            return 0
        beyond = max(self.strong - len(self.values), 0)
        return beyond if threshold == THRESHOLD or (threshold > THRESHOLD and not beyond) else None


def read_data(version: EvidenceVersion) -> Any:
    """The version's numbers; None where their file is gone or spoilt."""
    file = next((file for file in version.artifacts.all() if file.name == "data"), None)
    try:
        return json.loads(storage.read(file.sha256)) if file is not None else None
    except (OSError, ValueError):
        logger.warning("The numbers of %s cannot be read.", version)
        return None


def inputs_of(neurons: Collection[int], layers: Collection[str] | None = None) -> dict[int, list[Inputs]]:
    """By neuron, what is known of its inputs: one entry a layer, of these ``layers`` or of all. Two queries."""
    rows = Evidence.objects.filter(neuron__in=neurons, kind="weights", status=Outcome.DONE)
    rows = rows.filter(parameters__direction="in").select_related("current", "layer")
    if layers is not None:
        rows = rows.filter(parameters__layer__in=list(layers))
    newest: dict[tuple[int, str], Evidence] = {}
    for row in rows.prefetch_related("current__artifacts").order_by("recipe_version", "pk"):
        newest[row.neuron_id or 0, str(row.parameters.get("layer"))] = row
    found: dict[int, list[Inputs]] = {}
    for (neuron, layer), row in newest.items():
        assert row.current is not None
        row.current.evidence = row
        inputs = _inputs(row.current, layer)
        if inputs is not None:
            found.setdefault(neuron, []).append(inputs)
    return found


def _inputs(version: EvidenceVersion, layer: str) -> Inputs | None:
    data = read_data(version)
    try:
        rows = [(int(row["neuron"]), float(row["value"])) for row in data["strongest"]]
        values = {index: value for index, value in rows if value and math.isfinite(value)}
        return Inputs(version, layer, float(data["scale"]), int(data["strong"]), values, int(data["channels"]))
    except (KeyError, TypeError, ValueError):
        return None


def grow(network: Network, neuron: Neuron, threshold: float = THRESHOLD, depth: int = DEPTH) -> Subgraph:
    """The circuit behind a neuron by rule: those inputs whose strongest weight reaches ``threshold`` of the neuron's
    largest, and theirs, ``depth`` layers deep. Of each neuron the nearest layer counts that its weights were made from.

    Where they would be more than a circuit may have, those that are strongest beside the largest are taken; ``grown``
    says how many are left out, and whose weights were not made. Three queries for each layer.

    Raises:
        ValidationError: for a threshold that is no share, a depth that is not 1 to 4, and where the neuron's own
            weights were not made yet.
    """
    if not 0 < threshold <= 1:
        raise ValidationError({"threshold": NO_SHARE})
    if not 1 <= depth <= DEEPEST:
        raise ValidationError({"depth": NO_DEPTH})
    layers = {layer.name: layer for layer in network.layers.all()}
    neurons: dict[str, Neuron] = {neuron.address: neuron}
    edges: list[Edge] = []
    unknown: list[str] = []
    unlisted: list[str] = []
    left = 0
    front = [neuron]
    for _ in range(depth):
        known = inputs_of([one.pk for one in front])
        reached: list[tuple[float, str, str, float, str]] = []  # share, source, target, weight, evidence
        for one in front:
            inputs = _nearest(known.get(one.pk, ()), layers)
            if inputs is None:
                unknown += [one.address] if one.layer.order else []
                continue
            strong = inputs.over(threshold)
            beyond = inputs.left(threshold)
            left += beyond or 0
            unlisted += [one.address] if beyond is None else []
            for index, value in strong.items():
                source = f"{inputs.layer}:{index}"
                evidence = str(inputs.version.public_id)
                reached.append((abs(value) / inputs.scale, source, one.address, value, evidence))
        wanted: list[str] = []
        for _, source, target, value, evidence in sorted(reached, key=lambda row: -row[0]):
            is_new = source not in neurons and source not in wanted
            if len(edges) >= MOST_EDGES or (is_new and len(neurons) + len(wanted) >= MOST_NODES):
                left += 1
                continue
            wanted += [source] if is_new else []
            edges.append({"source": source, "target": target, "weight": value, "evidence": evidence})
        front = Neuron.objects.each_at(network.name, wanted)
        neurons |= {one.address: one for one in front}
    if not edges and neuron.address in unknown:
        raise ValidationError({"neuron": _without_weights(network, neuron)})
    nodes: list[Node] = [{"id": key, "neuron": key, "family": "", "x": 0.0, "y": 0.0} for key in neurons]
    grown: Grown = {
        "neuron": neuron.address,
        "depth": depth,
        "neurons": list(neurons),
        "unknown": unknown,
        "left": left,
        "unlisted": unlisted,
    }
    return {"nodes": nodes, "edges": edges, "threshold": threshold, "grown": grown}


def _nearest(inputs: Iterable[Inputs], layers: Mapping[str, Layer]) -> Inputs | None:
    known = [one for one in inputs if one.layer in layers]
    return max(known, key=lambda one: layers[one.layer].order, default=None)


def _without_weights(network: Network, neuron: Neuron) -> str:
    if not network.runs:
        return f"{network.name} is a catalogue without weights: build its circuits by hand."
    return f"The weights into {neuron.address} were not made yet: request them on its page, then grow the circuit."


def _grown_again(network: Network, grown: Grown, threshold: float, wrong: Checking) -> Grown:
    try:
        return grow(network, Neuron.objects.at(network.name, grown["neuron"]), threshold, grown["depth"])["grown"]
    except (Neuron.DoesNotExist, ValidationError) as error:
        wrong(" ".join(getattr(error, "messages", [str(error)])))
        return grown


def _new(edges: Iterable[Edge], nodes: Iterable[Node], before: Mapping[str, Any]) -> list[Edge]:
    """Those that did not stand in the circuit before. The others name the evidence that they named there."""
    now = {node["id"]: (node["neuron"], node["family"]) for node in nodes}
    then = {node["id"]: (node["neuron"], node["family"]) for node in before.get("nodes", [])}
    stood = {(then[edge["source"]], then[edge["target"]]): edge for edge in before.get("edges", [])}
    new = []
    for edge in edges:
        was = stood.get((now[edge["source"]], now[edge["target"]]))
        if (
            was is None
            or not math.isclose(was["weight"], edge["weight"])
            or edge["evidence"] not in ("", was["evidence"])
        ):
            new.append(edge)
        else:
            edge["evidence"] = was["evidence"]
    return new


def _evidence_of(network: Network, edges: Iterable[Edge]) -> dict[str, "_Read"]:
    """By public id the evidence that edges name, as far as it is of weights. Two queries, if any names some."""
    named = {edge["evidence"] for edge in edges if edge["evidence"]}
    if not named:
        return {}
    rows = EvidenceVersion.objects.filter(public_id__in=named, evidence__network=network)
    rows = rows.filter(evidence__kind__in=("weights", "family_weights"))
    versions = rows.select_related("evidence__neuron", "evidence__layer").prefetch_related("artifacts")
    return {str(version.public_id): _Read(version) for version in versions}


def _hold_to_evidence(
    edges: Iterable[Edge], known: Mapping[str, Place], read: Mapping[str, "_Read"], wrong: Checking
) -> None:
    """Give each edge that names evidence the weight that stands there."""
    for edge in edges:
        if edge["evidence"]:
            start, end = known[edge["source"]], known[edge["target"]]
            found = read.get(edge["evidence"])
            value = found.between(start, end, edge["weight"]) if found is not None else None
            if value is None:
                wrong(
                    f"The evidence of the edge from {start.name} to {end.name} does not show that weight: refresh it."
                )
            else:
                edge["weight"] = value


def _hold_to_members(
    edges: Iterable[Edge], known: Mapping[str, Place], read: Mapping[str, "_Read"], hidden: Collection[int]
) -> None:
    """Leave to its author's hand what names evidence of neurons that never were in the family. One query, if any does.

    Were such evidence refused for hidden members alone, whoever tries would learn who they are.
    """
    edges = [edge for edge in edges if edge["evidence"] and read[edge["evidence"]].evidence.kind == "weights"]
    families = {place.family.pk for edge in edges for place in _ends(edge, known) if place.family is not None}
    members: dict[int, dict[int, int]] = {pk: {} for pk in families}
    if families:
        rows = Membership.objects.filter(family__in=families).exclude(neuron__in=hidden)
        for family, neuron, index in rows.values_list("family", "neuron", "neuron__index"):
            members[family][neuron] = index
    for edge in edges:
        if not read[edge["evidence"]].is_of(*_ends(edge, known), edge["weight"], members):
            edge["evidence"] = ""


def _ends(edge: Edge, known: Mapping[str, Place]) -> tuple[Place, Place]:
    return known[edge["source"]], known[edge["target"]]


class _Read:
    """A version of ``weights`` or ``family_weights``, and which weights stand in it."""

    def __init__(self, version: EvidenceVersion) -> None:
        self.evidence = version.evidence
        self.inward = version.evidence.parameters.get("direction") == "in"
        self.layers = "", ""  # of the source and of the target
        self.values: dict[int, float] = {}  # of a neuron, by index in the other layer
        self.strengths: list[float] = []  # between families
        self.scale = 0.0  # the largest of all weights into a neuron; 0 where that is not what is told
        data = read_data(version)
        try:
            if version.evidence.kind == "weights":
                self.values = {int(row["neuron"]): float(row["value"]) for row in data["strongest"]}
                ends = str(data["layer"]), version.evidence.layer.name
                self.layers = ends if self.inward else ends[::-1]
                self.scale = float(data["scale"]) if self.inward else 0.0
            else:
                self.strengths = [float(value) for row in data["strengths"] for value in row]
                self.layers = str(data["source_layer"]), str(data["layer"])
        except (KeyError, TypeError, ValueError):
            self.layers = "", ""

    def between(self, start: Place, end: Place, weight: float) -> float | None:
        """The weight between two nodes, where this evidence is of them.

        Whom a family had as members then is not known: of a family any weight that stands there may be meant.
        """
        if (start.layer.name, end.layer.name) != self.layers:
            return None
        if self.evidence.kind == "family_weights":
            ends = start.family and start.family.pk, end.family and end.family.pk
            return (
                self._close(self.strengths, weight)
                if ends == (self.evidence.other_id, self.evidence.family_id)
                else None
            )
        own, other = (end, start) if self.inward else (start, end)
        if own.neuron is not None and own.neuron.pk != self.evidence.neuron_id:
            return None
        if other.neuron is not None:
            return self.values.get(other.neuron.index) or None
        return self._close(self.values.values(), weight)

    def is_of(self, start: Place, end: Place, weight: float, members: Mapping[int, Mapping[int, int]]) -> bool:
        """Whether a neuron's evidence, and the weight in it, are of neurons that stand among their family's members."""
        own, other = (end, start) if self.inward else (start, end)
        if own.family is not None and self.evidence.neuron_id not in members[own.family.pk]:
            return False
        if other.family is None:
            return True
        theirs = (self.values.get(index, 0.0) for index in members[other.family.pk].values())
        return self._close(theirs, weight) is not None

    def reaches(self, weight: float, threshold: float) -> bool:
        """Whether it shows that the weight is at least this share of the largest into the same neuron."""
        return abs(weight) >= threshold * self.scale > 0

    @staticmethod
    def _close(values: Iterable[float], weight: float) -> float | None:
        return next((value for value in values if value and math.isclose(value, weight, rel_tol=1e-6)), None)


# Changing a circuit by hand


def _members(found: Mapping[str, Place], hidden: Collection[int]) -> dict[int, dict[int, int]]:
    """The members of the families among the nodes: by family the index of each, by neuron. One query, if there are."""
    families: dict[int, dict[int, int]] = {place.family.pk: {} for place in found.values() if place.family is not None}
    if families:
        current = Membership.objects.shown(hidden).filter(family__in=families)
        for family, neuron, index in current.values_list("family", "neuron", "neuron__index"):
            families[family][neuron] = index
    return families


def edges_of(
    network: Network,
    found: Mapping[str, Place],
    threshold: float,
    hidden: Collection[int] = (),
    least: float | None = None,
    told: list[str] | None = None,
) -> list[Edge]:
    """What evidence says of the weights between these nodes, as far as they reach ``threshold`` of the largest; or
    another share, ``least``.

    Of a family that has no evidence of its own with another, its members' weights count: the strongest of them, beside
    the largest of any of them. Of a large one some members alone are read, evenly over the family.

    Args:
        told: where a sentence is added for each family of which not every member was read.
    """
    members = _members(found, hidden)
    indices: dict[str, dict[int, int]] = {}
    for key, place in found.items():
        if place.neuron is not None:
            indices[key] = {place.neuron.pk: place.neuron.index}
        elif place.family is not None:
            indices[key] = members[place.family.pk]
    between = _between_families(found)
    targets = {
        key: sorted(indices[key], key=indices[key].__getitem__)
        for key, place in found.items()
        if any(one.layer.order < place.layer.order and (source, key) not in between for source, one in found.items())
    }
    _sample(targets, found, told)
    inputs = inputs_of({pk for pks in targets.values() for pk in pks}, {place.layer.name for place in found.values()})
    edges = []
    for target in found:
        own = [one for pk in targets.get(target, ()) for one in inputs.get(pk, ())]
        for source, place in found.items():
            weight = between.get((source, target)) or _strongest(
                [one for one in own if one.layer == place.layer.name], set(indices[source].values()), least or threshold
            )
            if place.layer.order < found[target].layer.order and weight is not None:
                evidence = str(weight.version.public_id)
                edge = Edge(source=source, target=target, weight=weight.value, evidence=evidence)
                edges.append(edge if abs(weight.value) >= threshold * weight.scale > 0 else {**edge, "unheld": True})
    edges.sort(key=lambda edge: -abs(edge["weight"]))
    return edges[:MOST_EDGES]


def evenly(members: Sequence[T], most: int) -> list[T]:
    """So many of them at most, evenly over all."""
    return [members[i * len(members) // most] for i in range(most)] if len(members) > most else list(members)


def _sample(targets: dict[str, list[int]], found: Mapping[str, Place], told: list[str] | None) -> None:
    """Leave of each family's members as many as are read, evenly over the family."""
    families = [key for key in targets if found[key].family is not None]
    most = max(min(SAMPLED, MOST_READ // max(len(families), 1)), 1)
    for key in families:
        members = targets[key]
        if len(members) > most:
            targets[key] = evenly(members, most)
            if told is not None:
                told.append(
                    f"Of {found[key].name} the weights into {most} of {len(members):,} members were read, evenly over "
                    "the family. To have all of them speak, request its weights from the other family on its page, "
                    "then connect again."
                )


def _strongest(inputs: Sequence[Inputs], indices: Collection[int], threshold: float) -> Weight | None:
    largest = max((one.scale for one in inputs), default=0.0)
    weights = [
        Weight(value, one.version, one.scale)
        for one in inputs
        for index, value in one.values.items()
        if index in indices
    ]
    found = max(weights, key=lambda weight: abs(weight.value), default=None)
    return found if found is not None and abs(found.value) >= threshold * largest else None


def _families_joined(
    families: Collection[int],
) -> list[tuple[Evidence, EvidenceVersion, dict[str, Any]]]:
    """The newest ``family_weights`` between any two of these families, with their numbers. Two queries."""
    rows = Evidence.objects.filter(
        kind="family_weights", status=Outcome.DONE, family__in=families, other__in=families
    ).select_related("current", "family__layer", "other__layer")
    newest = {
        (row.family_id, row.other_id): row
        for row in rows.prefetch_related("current__artifacts").order_by("recipe_version", "pk")
    }
    found = []
    for row in newest.values():
        assert row.current is not None
        row.current.evidence = row
        data = read_data(row.current)
        if isinstance(data, dict):
            found.append((row, row.current, data))
    return found


def _between_families(found: Mapping[str, Place]) -> dict[tuple[str, str], Weight]:
    keys = {place.family.pk: key for key, place in found.items() if place.family is not None}
    weights = {}
    for row, version, data in _families_joined(keys) if len(keys) > 1 else []:
        try:
            strongest = max((float(value) for line in data["strengths"] for value in line), key=abs)
        except (KeyError, TypeError, ValueError):
            continue
        if strongest:
            weights[keys[row.other_id or 0], keys[row.family_id or 0]] = Weight(strongest, version)
    return weights


def _places_of(network: Network, subgraph: Subgraph) -> dict[str, Place]:
    wrong = Checking()
    found = places(network, subgraph["nodes"], wrong)
    wrong.stop()
    return found


def add(
    network: Network, subgraph: Subgraph, name: str, hidden: Collection[int] = (), told: list[str] | None = None
) -> Subgraph:
    """With the neuron at an address, or the family that ``family:3b/curves`` names, joined by what evidence says.

    ``told`` as for ``edges_of``.

    Raises:
        ValidationError: when there is no such neuron or family, it is there already, or there is no room.
    """
    node = _node_named(network, name.strip())
    taken = {one["id"] for one in subgraph["nodes"]}
    if node["id"] in taken:  # ids are whatever the circuit's authors called them
        node["id"] = next(free for i in count(2) if (free := f"{node['id'][:70]}-{i}") not in taken)
    wider: Subgraph = {**subgraph, "nodes": [*subgraph["nodes"], node]}
    if len(wider["nodes"]) > MOST_NODES:
        raise ValidationError({"name": f"A circuit has at most {MOST_NODES} nodes: remove one first."})
    present = {(one["neuron"], one["family"]) for one in subgraph["nodes"]}
    if (node["neuron"], node["family"]) in present:
        raise ValidationError({"name": f"{name} is in the circuit already."})
    edges = edges_of(network, _places_of(network, wider), wider["threshold"], hidden, told=told)
    own = [edge for edge in edges if node["id"] in (edge["source"], edge["target"])]
    wider["edges"] = [*subgraph["edges"], *own][:MOST_EDGES]
    return wider


def _node_named(network: Network, name: str) -> Node:
    family = FAMILY.fullmatch(name.replace("\0", ""))
    if family is None:
        try:
            neuron = Neuron.objects.at(network.name, name)
        except Neuron.DoesNotExist as error:
            raise ValidationError({"name": str(error)}) from error
        return {"id": neuron.address, "neuron": neuron.address, "family": "", "x": 0.0, "y": 0.0}
    rows = Family.objects.filter(layer__network=network, name__iexact=family["name"].strip(), retired_at=None)
    for found in rows.select_related("layer"):
        if family["layer"] in (found.layer.name, found.layer.short):
            public_id = str(found.public_id)
            return {"id": f"family-{public_id[:8]}", "neuron": "", "family": public_id, "x": 0.0, "y": 0.0}
    raise ValidationError({"name": f"There is no family '{family['name'].strip()}' in {family['layer']}."})


def remove(subgraph: Subgraph, key: str) -> Subgraph:
    """Without a node, and without its edges."""
    return {
        **subgraph,
        "nodes": [node for node in subgraph["nodes"] if node["id"] != key],
        "edges": [edge for edge in subgraph["edges"] if key not in (edge["source"], edge["target"])],
    }


def cut(subgraph: Subgraph, source: str, target: str) -> Subgraph:
    """Without the edge between two nodes."""
    edges = [edge for edge in subgraph["edges"] if (edge["source"], edge["target"]) != (source, target)]
    return {**subgraph, "edges": edges}


def tie(network: Network, subgraph: Subgraph, source: str, target: str, weight: float) -> Subgraph:
    """With an edge that was drawn by hand, without evidence.

    Raises:
        ValidationError: as ``check``.
    """
    edge = Edge(source=source, target=target, weight=weight, evidence="")
    return check(network, {**subgraph, "edges": [*subgraph["edges"], edge]}, before=subgraph)


def connect(
    network: Network, subgraph: Subgraph, hidden: Collection[int] = (), told: list[str] | None = None
) -> Subgraph:
    """With every edge that evidence gives at the circuit's threshold; those drawn by hand stay where it gives none.

    ``told`` as for ``edges_of``.
    """
    edges = edges_of(network, _places_of(network, subgraph), subgraph["threshold"], hidden, told=told)
    given = {(edge["source"], edge["target"]) for edge in edges}
    by_hand = [e for e in subgraph["edges"] if not e["evidence"] and (e["source"], e["target"]) not in given]
    return {**subgraph, "edges": [*by_hand, *edges][:MOST_EDGES]}


def refreshed(network: Network, subgraph: Subgraph, hidden: Collection[int] = ()) -> tuple[Subgraph, list[str]]:
    """The same edges with the weights of the newest evidence, and what changed, in words.

    An edge that no evidence speaks of any more keeps the weight that it had.
    """
    found = _places_of(network, subgraph)
    told: list[str] = []
    given = edges_of(network, found, subgraph["threshold"], hidden, least=1e-9, told=told)
    newest = {(e["source"], e["target"]): e for e in given}
    edges = []
    for edge in subgraph["edges"]:
        now = newest.get((edge["source"], edge["target"]))
        between = f"{found[edge['source']].name} to {found[edge['target']].name}"
        if not edge["evidence"]:
            now = edge
        elif now is None:
            told.append(f"No evidence lists the weight from {between} any more: it stays at {edge['weight']:+.3g}.")
        elif not math.isclose(now["weight"], edge["weight"], rel_tol=1e-3):
            told.append(f"The weight from {between} was {edge['weight']:+.3g} and is {now['weight']:+.3g}.")
        edges.append(now or edge)
    return {**subgraph, "edges": edges}, told


# What the reader is told of how it was chosen

NUMBERS = ("no", "one", "two", "three", "four")
MOST_NAMED = 12


def selection(subgraph: Subgraph) -> str:
    """How the circuit's neurons and edges were chosen, in words; "" for a circuit without any.

    It follows from the subgraph alone: what the rule gives, and what its authors added, removed or drew beside it.
    """
    nodes, edges = subgraph.get("nodes") or [], subgraph.get("edges") or []
    if not nodes:
        return ""
    share = f"{subgraph['threshold'] * 100:.3g} %"
    neurons = [node["neuron"] for node in nodes if node["neuron"]]
    families = len(nodes) - len(neurons)
    grown, told = subgraph.get("grown"), []
    if grown is not None:
        deep = NUMBERS[grown["depth"]] + (" layer" if grown["depth"] == 1 else " layers")
        told.append(
            f"Grown from {grown['neuron']}, {deep} deep: of each neuron those inputs whose strongest weight reaches "
            f"{share} of its largest, which gives {_counted(len(grown['neurons']), 'neuron')}."
        )
        if grown["left"]:
            told.append(f"{_counted(grown['left'], 'more input')} would reach that, and had no room.")
        if grown.get("unlisted"):
            told.append(
                f"Of {_listed(grown['unlisted'])} the evidence lists the strongest inputs alone, at most fifty; "
                f"more may reach that."
            )
        if grown["unknown"]:
            told.append(f"Not followed further, as their own weights were not made: {_listed(grown['unknown'])}.")
        added = [one for one in neurons if one not in grown["neurons"]]
        removed = [one for one in grown["neurons"] if one not in neurons]
        told += [f"Added by hand: {_listed(added)}."] if added else []
        told += [f"Left out by hand: {_listed(removed)}."] if removed else []
        told += [f"Added by hand: {_counted(families, 'family', 'families')}."] if families else []
    else:
        what = [_counted(len(neurons), "neuron")] if neurons else []
        what += [_counted(families, "family", "families")] if families else []
        told.append(f"Chosen by hand: {' and '.join(what)}.")
        if any(edge["evidence"] and not edge.get("unheld") for edge in edges):
            told.append(f"Connections are weights that reach {share} of the largest into the same target.")
    unheld = sum(bool(edge["evidence"] and edge.get("unheld")) for edge in edges)
    if unheld:
        told.append(f"Taken from evidence whatever their share of the largest: {_counted(unheld, 'connection')}.")
    drawn = sum(not edge["evidence"] for edge in edges)
    if drawn:
        told.append(f"{_counted(drawn, 'connection')} drawn by hand, without evidence.")
    return " ".join(told)


def _counted(count: int, one: str, many: str = "") -> str:
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def _listed(names: Sequence[str]) -> str:
    more = len(names) - MOST_NAMED
    return ", ".join(names[:MOST_NAMED]) + (f" and {more:,} more" if more > 0 else "")


# What circuits have been found to do again and again, where the weights show it

# A family's weights turned with both families: from this correlation on they count as the same.
SAME = 0.9
# Of what a family adds up to, this share excites where it is one of several cases.
MOSTLY = 2 / 3
# Weights between units that face the same way, and opposite ways, beside the largest.
CLEAR = 0.1
# So few members may stand evenly by chance.
FEWEST_TURNING = 4


@dataclass(frozen=True)
class Suggestion:
    """A motif that the weights show, the figures that speak for it, and the evidence that they stand in."""

    motif: Motif
    sentence: str
    evidence: str = ""  # the public id of a version


def suggest_motifs(
    network: Network,
    subgraph: Subgraph,
    hidden: Collection[int] = (),
    families: Iterable[Family] | None = None,
) -> list[Suggestion]:
    """Which motifs the weights between the circuit's families show: its own, and those that its neurons belong to.

    Equivariance and excitation by orientation are read off ``family_weights``; a union where several families of one
    layer excite the same target, and hardly anything in them inhibits it. Four queries at most.

    Args:
        hidden: neurons whose family is not told to whoever asks.
        families: those among the nodes, with their layers, where whoever asks has them already.
    """
    kin = _kin(network, subgraph["nodes"], hidden, families)
    suggestions: list[Suggestion] = []
    joined = _families_joined({one.pk for one in kin.values()}) if kin else []
    for row, version, data in joined:
        try:
            suggestions += [*_equivariance(row, version, data), *_opposition(row, version, data)]
        except (KeyError, IndexError, TypeError, ValueError, ZeroDivisionError):
            logger.warning("Version %s does not read as family weights.", version)
    return [*suggestions, *_unions(subgraph, kin, joined)]


def _kin(
    network: Network, nodes: Iterable[Node], hidden: Collection[int], known: Iterable[Family] | None
) -> dict[str, Family]:
    """For each node its family: itself, or the primary one of its neuron. Two queries at most."""
    named: dict[str, str] = {}
    places: dict[str, dict[int, str]] = {}
    for node in nodes:
        if node["family"]:
            named[node["family"]] = node["id"]
        else:
            layer, _, index = node["neuron"].rpartition(":")
            places.setdefault(layer, {})[int(index)] = node["id"]
    kin: dict[str, Family] = {}
    if named:
        rows = Family.objects.filter(layer__network=network, public_id__in=named).select_related("layer")
        kin = {named[str(family.public_id)]: family for family in (rows if known is None else known)}
    if places:
        at = [Q(neuron__layer__name=layer, neuron__index__in=indices) for layer, indices in places.items()]
        members = Membership.objects.shown(hidden).filter(reduce(or_, at), primary=True, family__layer__network=network)
        for member in members.select_related("family__layer", "neuron"):
            kin[places[member.family.layer.name][member.neuron.index]] = member.family
    return kin


def both_rotate(data: Mapping[str, Any]) -> bool:
    """Whether both families of ``family_weights`` stand evenly around their turn: else turning them means nothing."""
    sides = (("stimulus", "angles"), ("source_stimulus", "source_angles"))
    return all(_rotates(data.get(stimulus), data.get(angles) or []) for stimulus, angles in sides)


def _rotates(stimulus: object, angles: Sequence[float | None]) -> bool:
    """Whether each angle lies within half a step of an even grid, wherever that begins; of four members at least."""
    period = PERIODS.get(str(stimulus))
    known = [angle for angle in angles if angle is not None]
    if period is None or len(known) < max(FEWEST_TURNING, len(angles)):
        return False
    step = period / len(known)
    off = [angle - place * step for place, angle in enumerate(sorted(angle % period for angle in known))]
    return max(off) - min(off) <= step * (1 + 1e-9)


def _equivariance(row: Evidence, version: EvidenceVersion, data: Mapping[str, Any]) -> list[Suggestion]:
    figure = data.get("equivariance")
    if not isinstance(figure, float) or figure < SAME or not both_rotate(data):
        return []
    sentence = (
        f"Turned together, {_ends_of(row)} keep the same weights (correlation {figure:.2f} after the least turn that "
        f"fits both)."
    )
    return [Suggestion(Motif.EQUIVARIANCE, sentence, str(version.public_id))]


def _ends_of(row: Evidence) -> str:
    assert row.family is not None
    assert row.other is not None
    return f"{row.other.name} ({row.other.layer.name}) and {row.family.name} ({row.family.layer.name})"


PERIODS = {"curve": 360.0, "line": 180.0, "grating": 180.0}


def _opposition(row: Evidence, version: EvidenceVersion, data: Mapping[str, Any]) -> list[Suggestion]:
    """Whether units that face the same way excite each other, and opposite ones inhibit.

    A curve that bulges to an angle has its tangent along the line of the same angle, clockwise from the vertical: so
    curves and lines are compared over half a turn.
    """
    periods = [PERIODS[str(data[side])] for side in ("stimulus", "source_stimulus") if str(data[side]) in PERIODS]
    if len(periods) < 2:
        return []
    period = min(periods)
    near, far = [], []
    for angle, line in zip(data["angles"], data["strengths"], strict=True):
        for other, strength in zip(data["source_angles"], line, strict=True):
            if angle is None or other is None:
                continue
            apart = abs((angle - other + period / 2) % period - period / 2)
            if apart <= period / 24:
                near.append(float(strength))
            elif apart >= period / 2 - period / 24:
                far.append(float(strength))
    if not near or not far:
        return []
    scale = float(data["scale"])
    alike, opposed = sum(near) / len(near), sum(far) / len(far)
    if alike < CLEAR * scale or opposed > -CLEAR * scale:
        return []
    assert row.family is not None
    assert row.other is not None
    within = f"{period / 24:.3g}°"
    sentence = (
        f"{row.family.name} ({row.family.layer.name}) are excited by those of {row.other.name} "
        f"({row.other.layer.name}) within {within} of their own orientation (mean weight {alike:+.2g} of at most "
        f"{scale:.2g}) and inhibited by those within {within} of the opposing one ({opposed:+.2g})."
    )
    return [Suggestion(Motif.OPPOSITION, sentence.replace("-", "\u2212"), str(version.public_id))]


def _unions(
    subgraph: Subgraph,
    kin: Mapping[str, Family],
    joined: Iterable[tuple[Evidence, EvidenceVersion, dict[str, Any]]],
) -> list[Suggestion]:
    """Targets that several families of one layer excite, with hardly anything in them that inhibits."""
    names = {
        node["id"]: node["neuron"] or (f"{kin[node['id']].name} ({kin[node['id']].layer.name})")
        for node in subgraph["nodes"]
        if node["neuron"] or node["id"] in kin
    }
    weights: dict[tuple[str, int], list[float]] = {}
    families = {family.pk: family for family in kin.values()}
    for edge in subgraph["edges"]:
        family = kin.get(edge["source"])
        if family is not None:
            weights.setdefault((names[edge["target"]], family.pk), []).append(edge["weight"])
    for row, _, data in joined:
        # All of a family's weights tell more than the strongest of them, which is what its edge shows.
        assert row.family is not None
        name = f"{row.family.name} ({row.family.layer.name})"
        if (name, row.other_id) in weights:
            weights[name, row.other_id or 0] = [float(value) for line in data["strengths"] for value in line]
    cases: dict[tuple[str, str], list[tuple[str, float]]] = {}
    for (target, pk), values in weights.items():
        excite = sum(value for value in values if value > 0) / (sum(map(abs, values)) or 1.0)
        if excite >= MOSTLY:
            cases.setdefault((target, families[pk].layer.name), []).append((families[pk].name, excite))
    return [
        Suggestion(
            Motif.UNION,
            f"{target} is excited by {len(found)} families of {layer}: "
            + ", ".join(f"{name} ({excite * 100:.0f} % of its weight excites)" for name, excite in sorted(found))
            + ".",
        )
        for (target, layer), found in sorted(cases.items())
        if len(found) > 1
    ]
