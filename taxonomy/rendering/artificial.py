"""A note's circuit as a Python file that anybody can run: the same families, their weights written by hand.

As Cammarata et al. did for curves ("Curve Circuits", Distill 2021: "an artificial artificial network"): who says that a
circuit is understood, can build it. The file is ``templates/artificial/network.py``, which runs as it is, with the
circuit of the note in the place of its own. Its rules are those of the hand-written curve network's families, and it
needs nothing of Neurotaxa.
"""

import ast
import pprint
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from django.conf import settings

from taxonomy.models.notes import Subgraph

ARCHITECTURE = "curve_network"
FILLED = ("NOTE", "ADDED", "CIRCUIT")  # what stands in the file by these names is put there
End = tuple[str, str]  # a layer and a family's name
Circuit = dict[str, dict[str, dict[str, float]]]  # layer -> family -> {family of the layer below: strength}


class Unbuildable(ValueError):
    """Why a circuit cannot be built by hand, in sentences that say what to do."""


def build(note: str, subgraph: Subgraph, ends: Mapping[str, End]) -> str:
    """The file's text. Raises ``Unbuildable``.

    Args:
        note: what the circuit is from, in a line; it stands in the file, and the file prints it.
        ends: for each node of the subgraph, by its id, the layer and the name of its family.
    """
    circuit, added = planned(subgraph, ends)
    values = {"NOTE": note, "ADDED": added, "CIRCUIT": circuit}
    source, places = _template()
    lines = source.splitlines()
    for name in sorted(places, key=lambda name: -places[name][0]):
        first, last = places[name]
        written = pprint.pformat(values[name], width=110, sort_dicts=False)
        lines[first - 1 : last] = f"{name} = {written}".splitlines()
    return "\n".join(lines) + "\n"


def planned(subgraph: Subgraph, ends: Mapping[str, End]) -> tuple[Circuit, list[str]]:
    """The circuit as the file has it, layer by layer, and what stands in it that is not drawn. Raises ``Unbuildable``.

    A family that is drawn with inputs reads from these alone, each as strong as the strongest weight drawn from it.
    One without gets those of the whole network, down to the pixels, so that the circuit sees something.
    """
    whole = whole_circuit()
    order = list(whole)
    if not subgraph["nodes"]:
        raise Unbuildable("This note draws no circuit yet, so there is nothing to build.")
    drawn = {ends[node["id"]] for node in subgraph["nodes"]}
    for layer, name in sorted(drawn):
        if name not in whole.get(layer, {}):
            known = "; ".join(f"{', '.join(families)} in {one}" for one, families in whole.items())
            raise Unbuildable(
                f"There is no rule to build {name} of {layer} by hand. There are rules for {known}. Draw these alone."
            )
    inputs: dict[End, dict[End, float]] = {}
    for edge in subgraph["edges"]:
        source, target = ends[edge["source"]], ends[edge["target"]]
        if order.index(target[0]) - order.index(source[0]) != 1:
            raise Unbuildable(
                f"{_told(source)} to {_told(target)} goes over several layers, and weights are written from one layer "
                "to the next. Draw what lies between them, or leave this edge out."
            )
        if source[1] not in whole[target[0]][target[1]]:
            raise Unbuildable(
                f"There is no rule for weights from {_told(source)} to {_told(target)}: in the network that this note "
                "is about they are zero. Leave this edge out."
            )
        found = inputs.setdefault(target, {})
        found[source] = max(found.get(source, 0.0), abs(edge["weight"]))
    built: Circuit = {}
    added: list[str] = []
    wanted: set[str] = set()  # by what was built above
    for layer in reversed(order[: 1 + max(order.index(layer) for layer, _ in drawn)]):
        built[layer] = {}
        for name, usual in whole[layer].items():
            end = layer, name
            if end not in drawn and name not in wanted:
                continue
            if end not in drawn:
                added.append(_told(end))
            built[layer][name] = _strengths(inputs[end]) if end in inputs else usual
        wanted = {source for strengths in built[layer].values() for source in strengths}
    return dict(reversed(built.items())), added


def _strengths(weights: Mapping[End, float]) -> dict[str, float]:
    """Over the largest. Who drew edges without weights said only that they are there."""
    largest = max(weights.values())
    return {name: round(weight / largest, 2) if largest else 1.0 for (_, name), weight in weights.items()}


def whole_circuit() -> Circuit:
    """All families that can be built, by layer, and what each reads from, as strong as it usually does."""
    circuit: Circuit = _assigned(_template()[0])["CIRCUIT"][0]
    return circuit


def _told(end: End) -> str:
    return f"{end[1]} ({end[0]})"


@cache
def _template() -> tuple[str, dict[str, tuple[int, int]]]:
    """The file, and the first and last line of each value in it that depends on the note."""
    source = (Path(settings.BASE_DIR) / "templates" / "artificial" / "network.py").read_text(encoding="utf-8")
    return source, {name: place for name, (_, place) in _assigned(source).items()}


def _assigned(source: str) -> dict[str, tuple[Any, tuple[int, int]]]:
    found = {}
    for statement in ast.parse(source).body:
        name = statement.targets[0] if isinstance(statement, ast.Assign) else None
        if isinstance(statement, ast.Assign) and isinstance(name, ast.Name) and name.id in FILLED:
            value = ast.literal_eval(statement.value)
            found[name.id] = value, (statement.lineno, statement.end_lineno or statement.lineno)
    return found
