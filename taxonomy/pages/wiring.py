"""The two ends of the weights between layers: whose they are, in which order they stand, and what was found."""

import heapq
import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from django.http import Http404

from taxonomy import storage
from taxonomy.interchange.arrays import Array
from taxonomy.models import EvidenceVersion, Family, Layer, Membership, Neuron
from taxonomy.pages.exhibits import href
from taxonomy.pages.panels import STRONG, Channel
from taxonomy.rendering.chips import sheet

LISTED = 50  # connections in a list
STEPS = 127  # of a kernel's byte, each side of zero (see ``workers.evidence.layer_weights``)
ORDERS = {"family": "family and angle", "angle": "angle", "number": "number"}


@dataclass
class End:
    """The neurons at one end of the weights: a layer's, or those of one of its families."""

    layer: Layer
    family: Family | None = None
    order: list[int] = field(default_factory=list)  # indices of the neurons, as they stand side by side
    bands: list["Band"] = field(default_factory=list)

    @property
    def value(self) -> str:
        return self.layer.name if self.family is None else f"{self.layer.name}/{self.family.pk}"

    @property
    def name(self) -> str:
        return self.layer.name if self.family is None else f"{self.family.name} ({self.layer.name})"

    def told(self) -> dict[str, Any]:
        """What the canvas is told of it."""
        faces = sheet(self.layer)
        return {
            "layer": self.layer.name,
            "url": faces.url,
            "order": self.order,
            "bands": [{"name": band.name, "start": band.start, "count": band.count} for band in self.bands],
            "faces": {"href": faces.href, "cell": faces.cell, "columns": faces.columns, "shown": sorted(faces.shown)},
        }


@dataclass(frozen=True)
class Band:
    """Neurons of one family that stand side by side."""

    name: str
    start: int
    count: int


@dataclass
class Taxonomy:
    """The families of a network that have members to show, and who those are."""

    families: list[Family]
    members: dict[int, list[tuple[int, float | None]]]  # by family: index, and place in the family's symmetry
    neurons: dict[int, list[Neuron]]  # by family

    @classmethod
    def of(cls, layers: Sequence[Layer], hidden: Collection[int]) -> "Taxonomy":
        """Two queries. Neurons whose family is ``hidden`` from whoever looks are in none."""
        own = {layer.pk: layer for layer in layers}
        families = list(Family.objects.filter(layer__in=own, retired_at=None).order_by("layer__order", "order", "pk"))
        found = cls(families, {}, {})
        for family in families:
            family.layer = own[family.layer_id]
        shown = Membership.objects.shown(hidden).filter(primary=True, family__in=families)
        rows = shown.order_by("pk").values_list("family", "neuron", "neuron__index", "parameter")
        for family_id, pk, index, parameter in rows:
            found.members.setdefault(family_id, []).append((index, parameter))
            found.neurons.setdefault(family_id, []).append(Neuron(pk=pk, index=index))
        found.families = [family for family in families if family.pk in found.members]
        return found

    def end(self, layers: Sequence[Layer], value: str) -> End:
        """The end that is called ``mixed3b``, or ``mixed3b/12`` for the family 12 there.

        Raises:
            Http404: with a sentence, when there is none.
        """
        name, _, family = value.partition("/")
        layer = next((layer for layer in layers if layer.name == name), None)
        if layer is None:
            names = ", ".join(layer.name for layer in layers)
            raise Http404(f"{layers[0].network.name} has no layer “{name[:60]}”. Its layers are {names}.")
        if not family:
            return End(layer)
        for one in self.families:
            if str(one.pk) == family and one.layer_id == layer.pk:
                return End(layer, one)
        raise Http404(f"{layer} has no such family with members. The families of {layer.name} are on its page.")

    def arrange(self, end: End, order: str, angles: Sequence[float | None]) -> list[Neuron]:
        """Put the end's neurons in order; returns those whose family that tells.

        Args:
            order: one of ``ORDERS``; the neurons of one family always stand in order of it.
            angles: of each neuron of the layer, degrees that it prefers; none where they are not known.
        """
        facing = dict(enumerate(angles))

        def by_angle(index: int) -> tuple[bool, float, int]:
            angle = facing.get(index)
            return angle is None, angle or 0.0, index

        own = [family for family in self.families if family.layer_id == end.layer.pk]
        if end.family is not None:
            own, banded, rest = [end.family], True, []
        elif order == "family":
            banded = True
            placed = {index for family in own for index, _ in self.members[family.pk]}
            rest = [index for index in range(end.layer.channels) if index not in placed]
        else:
            own, banded, rest = [], False, list(range(end.layer.channels))
        own.sort(key=lambda family: family.kind != "natural")
        for family in own:
            members = dict(self.members[family.pk])
            placed_ones = sorted(
                members, key=lambda index: (members[index] is None, members[index] or 0.0, by_angle(index))
            )
            if order == "number":
                placed_ones.sort()
            end.bands.append(Band(family.name, len(end.order), len(placed_ones)))
            end.order += placed_ones
        if banded and own and rest:
            end.bands.append(Band("in no family", len(end.order), len(rest)))
        end.order += sorted(rest) if order == "number" else sorted(rest, key=by_angle)
        return [neuron for family in own for neuron in self.neurons[family.pk]]


class Weights:
    """What the workers found between two layers, read from its files."""

    def __init__(self, version: EvidenceVersion, source: Layer, target: Layer) -> None:
        """Raises ValueError, KeyError or OSError where its files are spoilt or gone."""
        self.version, self.source, self.target = version, source, target
        files = {file.name: file for file in version.artifacts.all()}
        self.data: dict[str, Any] = json.loads(storage.read(files["data"].sha256))
        rows, columns, k = (int(self.data[name]) for name in ("rows", "columns", "k"))
        if (rows, columns) != (target.channels, source.channels):
            raise ValueError("Another number of neurons than the layers have.")
        self.strengths_href, self.kernels_href = href(files["strengths"]), href(files["kernels"])
        self.k, self.scale = k, float(self.data["scale"])
        self._strengths = Array(files["strengths"].sha256, (rows, columns))
        self._kernels = Array(files["kernels"].sha256, (rows, columns, k, k))

    @cached_property
    def strengths(self) -> list[list[float]]:
        return self._strengths.parts([(row,) for row in range(self.target.channels)])

    def kernels(self, places: Sequence[tuple[int, int]]) -> list[list[list[float]]]:
        found = []
        for (row, column), steps in zip(places, self._kernels.parts(places), strict=True):
            unit = abs(self.strengths[row][column]) / STEPS
            found.append([[step * unit for step in steps[at : at + self.k]] for at in range(0, self.k**2, self.k)])
        return found

    def strongest(self, rows: Collection[int], columns: Collection[int]) -> list[dict[str, Any]]:
        """The strongest connections between these neurons, by magnitude."""
        if len(rows) * len(columns) == self.target.channels * self.source.channels:
            places = [(int(row), int(column)) for row, column, _ in self.data["strongest"][:LISTED]]
        else:
            pairs = ((row, column) for row in rows for column in columns)
            places = heapq.nsmallest(LISTED, pairs, key=lambda at: (-abs(self.strengths[at[0]][at[1]]), at))
        places = [at for at in places if self.strengths[at[0]][at[1]]]
        return [
            {"row": row, "column": column, "value": self.strengths[row][column], "kernel": kernel}
            for (row, column), kernel in zip(places, self.kernels(places), strict=True)
        ]

    def of(self, layer: Layer, index: int) -> dict[str, Any]:
        """One neuron's weights in, or out, as the panel of its ``weights`` has them."""
        into = layer.pk == self.target.pk
        values = self.strengths[index] if into else [row[index] for row in self.strengths]
        scale = max(map(abs, values))
        order = sorted((other for other, value in enumerate(values) if value), key=lambda other: -abs(values[other]))
        places = [(index, other) if into else (other, index) for other in order[:LISTED]]
        linearised = self.data["linearised"]
        rows = [
            Channel(
                self.source if into else self.target,
                other,
                values[other],
                kernel,
                strong=abs(values[other]) >= STRONG * scale,
                linearised=bool(linearised[row]),
            )
            for other, (row, _), kernel in zip(order, places, self.kernels(places), strict=False)
        ]
        return {
            "strong": [row for row in rows if row.strong],
            "rest": [row for row in rows if not row.strong],
            "scale": scale,
            "strong_count": sum(abs(value) >= STRONG * scale for value in values) if scale else 0,
            "channels": len(values),
            "linearised": any(row.linearised for row in rows),
        }
