"""Neurons or families side by side, also of different networks: the same evidence of each, aligned."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from taxonomy.actions import compare as actions
from taxonomy.actions.compare import FORMS, MOST, Beside, Laid, Side
from taxonomy.models import EvidenceVersion
from taxonomy.pages import panels
from taxonomy.pages.exhibits import STIMULUS_TITLES, Exhibit, Photographs, Shelf
from taxonomy.rendering.side_by_side import over_each_other


@dataclass
class Column:
    """A neuron and what is shown of it."""

    side: Side
    portrait: Exhibit | None
    weights: list[Exhibit]
    examples: Exhibit | None


@require_safe
def compare(request: HttpRequest) -> HttpResponse:
    sides = actions.found(actions.named(request.GET.getlist("with"))[:MOST])
    context: dict[str, Any] = {
        "sides": sides,
        "fields": [*sides, *([None] * max(1, 2 - len(sides)) if len(sides) < MOST else [])],
        "forms": FORMS,
        "mixed": "",
    }
    wrong = any(side.problem for side in sides)
    if sides and not wrong:
        try:
            beside = actions.lay(request.user, sides)
            context |= of_families(beside) if sides[0].family is not None else of_neurons(beside)
        except ValidationError as error:
            context["mixed"], wrong = " ".join(error.messages), True
    return render(request, "compare/compare.html", context, status=422 if wrong else 200)


def shelves(sides: Sequence[Side]) -> list[Shelf]:
    """One for each side; those of a network look pictures up together."""
    photographs = {side.place.network.pk: Photographs(side.place.network) for side in sides}
    return [Shelf(side.place.network, side.layers, photographs[side.place.network.pk], sd=side.sd) for side in sides]


def of_neurons(beside: Beside) -> dict[str, Any]:
    columns = []
    for side, shelf in zip(beside.sides, shelves(beside.sides), strict=True):
        inward = [Exhibit.of(version, shelf) for version in side.weights]
        columns.append(Column(side, _shown(side.portrait, shelf), inward, _shown(side.examples, shelf)))
    panels.fill(one for column in columns for one in (column.portrait, column.examples, *column.weights) if one)
    for column in columns:
        column.weights = [one for one in column.weights if one.panel][:1]
    together = [laid for laid in beside.laid if len(laid.shapes) > 1]
    alone = [laid for laid in beside.laid if len(laid.shapes) < 2 and len(beside.sides) > 1]
    return {
        "columns": columns,
        "laid": [_drawn(laid, f"tuning-curves-{laid.stimulus.replace('_', '-')}") for laid in together],
        "alone": [(STIMULUS_TITLES[laid.stimulus], row.side) for laid in alone for row in laid.rows],
        "neurons": True,
    }


def _shown(version: EvidenceVersion | None, shelf: Shelf) -> Exhibit | None:
    return Exhibit.of(version, shelf) if version is not None else None


def _drawn(laid: Laid, key: str) -> dict[str, Any]:
    """Tuning to one stimulus, over each other."""
    curve = laid.curve
    assert curve is not None
    degrees = curve.unit.startswith(("deg", "°"))
    places = curve.places
    return {
        "stimulus": laid.stimulus,
        "title": STIMULUS_TITLES[laid.stimulus],
        "plot": over_each_other(
            [(side.mark, shape) for side, shape in laid.shapes],
            stimulus=laid.stimulus,
            axis=curve.axis,
            unit=curve.unit,
            key=key,
        ),
        "rows": laid.rows,
        "axis": curve.axis if degrees else f"{curve.axis}, {curve.unit}",
        "unit": curve.unit,
        "first": min(places),
        "last": curve.period or max(places),
        "degrees": degrees,
    }


def of_families(beside: Beside) -> dict[str, Any]:
    sides = beside.sides
    wired = {
        side.written: [Exhibit.of(version, shelf) for version in side.wired]
        for side, shelf in zip(sides, shelves(sides), strict=True)
    }
    panels.fill(one for matrices in wired.values() for one in matrices)
    names = Counter(one.other.name for matrices in wired.values() for one in matrices if one.other is not None)
    return {
        "joint": _joint(beside.laid[0]) if beside.laid else None,
        "aligned": beside.aligned,
        "wired": [
            (name, [(side, _from(wired[side.written], name)) for side in sides])
            for name in sorted(names, key=lambda name: (-names[name], name))
        ],
        "neurons": False,
    }


def _joint(laid: Laid) -> dict[str, Any]:
    """The mean tuning of each family's members, each turned to its own peak."""
    assert laid.curve is not None
    half = (laid.curve.period or 360.0) / 2
    drawn = _drawn(replace(laid, curve=replace(laid.curve, axis=f"{laid.curve.axis} from each member's peak")), "joint")
    return drawn | {"axis": "from the peak", "first": -half, "last": half, "degrees": True}


def _from(matrices: Sequence[Exhibit], name: str) -> Exhibit | None:
    """The weights from the family of this name, of the latest layer that has one."""
    found = [one for one in matrices if one.panel and one.other is not None and one.other.name == name]
    return max(found, key=lambda one: one.other.layer.order if one.other else 0, default=None)
