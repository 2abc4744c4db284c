"""The weights explorer: any two layers or families as a matrix of kernels, and a walk along the strongest weights."""

import json
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.safestring import SafeString
from django.views.decorators.http import require_POST, require_safe

from taxonomy import recipes
from taxonomy.actions import evidence as actions
from taxonomy.actions import labels
from taxonomy.models import Evidence, Layer, Network, Neuron, Outcome, User
from taxonomy.pages import panels
from taxonomy.pages.exhibits import Exhibit, Shelf, rows_of
from taxonomy.pages.networks import layers_of
from taxonomy.pages.people import asking
from taxonomy.pages.wiring import ORDERS, End, Taxonomy, Weights
from taxonomy.permissions import can_request_evidence, hidden_from
from taxonomy.rendering.chips import face
from taxonomy.rendering.plots import loom

logger = logging.getLogger(__name__)

DRAWN = 15_000  # weights of a matrix that the page draws itself, for who has no canvas
KIND = "layer_weights"


@dataclass
class Side:
    """A neuron's strongest weights on one side: its panel, or why there is none."""

    way: str  # in, out
    layer: Layer
    earlier: End
    later: End
    href: str  # of the matrix that they are part of
    panel: dict[str, Any] | None = None
    source: str = ""  # the permalink of what it was read from
    waiting: Evidence | None = None


@dataclass
class View:
    """What an address of the explorer asks for."""

    network: Network
    layers: list[Layer]
    taxonomy: Taxonomy
    source: End  # the earlier end, across
    target: End  # the later end, down
    order: str
    at: tuple[Layer, int] | None  # the neuron that the walk has come to

    def address(self, name: str = "weights_explorer", **changes: Any) -> str:
        values = {"from": self.source.value, "to": self.target.value, "order": self.order} | changes
        return f"{reverse(name, args=[self.network.name])}?{urlencode(values, safe='/:')}"

    @property
    def step(self) -> str:
        """The address of the walk's next neuron, but for the neuron."""
        return self.address(neuron="")

    @cached_property
    def rows(self) -> list[Evidence]:
        """The evidence that the page shows: between the two ends, and on both sides of the walk's neuron."""
        between = Q(kind=KIND, layer=self.target.layer, parameters__layer=self.source.layer.name)
        if self.at is not None:
            here, index = self.at
            for way, layer in self.ways():
                earlier, later = (layer, here) if way == "in" else (here, layer)
                between |= Q(kind=KIND, layer=later, parameters__layer=earlier.name)
            between |= Q(kind="weights", neuron__layer=here, neuron__index=index)
        return rows_of(Evidence.objects.filter(between, network=self.network))

    def ways(self) -> list[tuple[str, Layer]]:
        """The layers to both sides of the walk's neuron: the matrix's other end, or else the next one."""
        assert self.at is not None
        here, _ = self.at
        found = []
        for way, step in (("in", -1), ("out", 1)):
            near, far = (self.target, self.source) if way == "in" else (self.source, self.target)
            if here.pk == near.layer.pk:
                found.append((way, far.layer))
            elif 0 <= here.order + step < len(self.layers):
                found.append((way, self.layers[here.order + step]))
        return found

    def between(self, source: Layer, target: Layer) -> list[Evidence]:
        """What there is of the weights between two layers, the newest last."""
        return [
            row
            for row in self.rows
            if row.kind == KIND and row.layer_id == target.pk and row.parameters["layer"] == source.name
        ]


def view_of(request: HttpRequest, name: str) -> tuple[View, str]:
    """What the address asks for, and a sentence where that is not possible and something else is shown.

    Raises:
        Http404: with a sentence, for a network, layer, family or neuron that there is not.
    """
    layers = layers_of(name)
    network = layers[0].network
    taxonomy = Taxonomy.of(layers, hidden_from(request.user))
    first, last = (request.GET.get(field, "") for field in ("from", "to"))
    at = walked_to(network, layers, request.GET.get("neuron", "").strip())
    if not first and not last and at is not None:
        first, last = ("", at[0].name) if at[0].order else (at[0].name, "")
    elif not first and not last:
        made = Evidence.objects.filter(network=network, kind=KIND, status=Outcome.DONE).order_by("-pk")
        first, last = made.values_list("parameters__layer", "layer__name").first() or ("", layers[-1].name)
    known = taxonomy.end(layers, first or last)
    near = End(layers[min(max(known.layer.order + (1 if first else -1), 0), len(layers) - 1)])
    source = known if first else near
    target = taxonomy.end(layers, last) if first and last else near if first else known
    problem = ""
    if len(layers) == 1:
        problem = f"{network.name} has a single layer: there are no weights between layers."
    elif source.layer.pk == target.layer.pk:
        problem = f"Both ends lie in {source.layer.name}: choose two layers, as weights go from one to a later one."
    elif source.layer.order > target.layer.order:
        source, target = target, source
    order = request.GET.get("order", "family")
    return View(network, layers, taxonomy, source, target, order if order in ORDERS else "family", at), problem


def walked_to(network: Network, layers: Sequence[Layer], address: str) -> tuple[Layer, int] | None:
    """The neuron at an address such as ``mixed3b:12`` or ``3b:12``.

    Raises:
        Http404: with a sentence that says what is not there.
    """
    if not address:
        return None
    try:
        neuron = Neuron.objects.at(network.name, address)
    except (Neuron.DoesNotExist, ValueError) as error:
        raise Http404(str(error)) from error
    return next(layer for layer in layers if layer.pk == neuron.layer_id), neuron.index


def read(row: Evidence, source: Layer, target: Layer) -> Weights | None:
    """None where the files are gone from the store, or spoilt there."""
    assert row.current is not None
    try:
        return Weights(row.current, source, target)
    except (OSError, ValueError, KeyError, TypeError):
        logger.warning("Version %s does not read as %s.", row.current, KIND, exc_info=True)
        return None


def found_in(rows: Iterable[Evidence], source: Layer, target: Layer) -> tuple[Weights | None, Evidence | None]:
    """The newest that is made, and what is under way, failed or spoilt of it."""
    waiting = None
    for row in reversed(list(rows)):
        if row.status == Outcome.DONE:
            weights = read(row, source, target)
            if weights is not None:
                return weights, waiting
        waiting = waiting or row
    return None, waiting


@require_safe
def explorer(request: HttpRequest, name: str) -> HttpResponse:
    view, problem = view_of(request, name)
    source, target = view.source, view.target
    weights, waiting = (
        (None, None) if problem else found_in(view.between(source.layer, target.layer), source.layer, target.layer)
    )
    angles = (weights.data["source_angles"], weights.data["angles"]) if weights else ([], [])
    told = [
        neuron
        for end, facing in zip((source, target), angles, strict=True)
        for neuron in view.taxonomy.arrange(end, view.order, facing)
    ]
    if isinstance(request.user, User):
        labels.reveal(request.user, *told)
    context = {
        "network": view.network,
        "view": view,
        "problem": problem,
        "layers": view.layers,
        "ends": [
            (layer, [End(layer), *(End(layer, one) for one in view.taxonomy.families if one.layer_id == layer.pk)])
            for layer in view.layers
        ],
        "orders": ORDERS,
        "weights": weights,
        "waiting": waiting,
        "pending": waiting is not None and waiting.status in (Outcome.QUEUED, Outcome.RUNNING),
        "may_request": can_request_evidence(request.user, view.network),
        **(shown(view, weights) if weights else {}),
        **(walk_of(view) if view.at else {}),
    }
    return render(request, "weights/explorer.html", context, status=422 if problem else 200)


def shown(view: View, weights: Weights) -> dict[str, Any]:
    """The matrix for the canvas; and for who has none the strongest of it, and all of a small one."""
    source, target = view.source, view.target
    matrix = {
        "rows": target.told(),
        "columns": source.told(),
        "k": weights.k,
        "strengths": weights.strengths_href,
        "kernels": weights.kernels_href,
        "linearised": [int(one) for one in weights.data["linearised"]],
        "shape": [target.layer.channels, source.layer.channels],
        "step": view.step,
    }
    strongest = weights.strongest(target.order, source.order)
    scale = abs(strongest[0]["value"]) if strongest else weights.scale
    small = len(target.order) * len(source.order) * weights.k**2 <= DRAWN
    return {
        "matrix": json.dumps(matrix, separators=(",", ":")),
        "strongest": strongest,
        "scale": scale,
        "drawn": drawn(view, weights, scale) if small else "",
        "rows": len(target.order),
        "columns": len(source.order),
        "facts": weights.data,
        "linearised": sum(weights.data["linearised"]),
    }


def drawn(view: View, weights: Weights, scale: float) -> SafeString:
    """All of a small matrix."""
    rows, columns = view.target.order, view.source.order
    flat = weights.kernels([(row, column) for row in rows for column in columns])
    kernels = [flat[at : at + len(columns)] for at in range(0, len(flat), len(columns))]
    down, across = (
        [
            (f"{view.step}{end.layer.name}:{index}#walk", f"{end.layer.name}:{index}", face(end.layer, index))
            for index in end.order
        ]
        for end in (view.target, view.source)
    )
    return loom(kernels, scale, down, across, f"Weights from {view.source.name} to {view.target.name}")


@require_safe
def walk(request: HttpRequest, name: str) -> HttpResponse:
    """The walk's neuron alone, for the page to put in the place of the one before."""
    view, _ = view_of(request, name)
    if not request.headers.get("X-Background"):
        return redirect(view.address(**({"neuron": f"{view.at[0].name}:{view.at[1]}"} if view.at else {})))
    if view.at is None:
        raise Http404("Name the neuron to walk to.")
    context = {
        "network": view.network,
        "view": view,
        "may_request": can_request_evidence(request.user, view.network),
        **walk_of(view),
    }
    return render(request, "weights/_walk.html", context)


def walk_of(view: View) -> dict[str, Any]:
    """The neuron that the walk has come to, with its strongest weights on both sides."""
    assert view.at is not None
    here, index = view.at
    sides = []
    for way, layer in view.ways():
        earlier, later = (layer, here) if way == "in" else (here, layer)
        matrix = view.address(**{"from": earlier.name, "to": later.name, "neuron": f"{here.name}:{index}"})
        side = Side(way, layer, End(earlier), End(later), matrix)
        weights, side.waiting = found_in(view.between(earlier, later), earlier, later)
        if weights is not None:
            side.panel, side.source = weights.of(here, index), weights.version.get_absolute_url()
        else:
            own_weights(view, side)
        sides.append(side)
    return {"here": here, "index": index, "sides": sides}


def own_weights(view: View, side: Side) -> None:
    """Read a side from the neuron's own evidence, where it is made."""
    asked = {"direction": side.way, "layer": side.layer.name}
    own = [row for row in view.rows if row.kind == "weights" and asked.items() <= row.parameters.items()]
    for row in reversed(own):
        if row.status == Outcome.DONE and row.current is not None:
            shelf = Shelf.of(view.network, view.layers)
            exhibit = Exhibit(recipes.KINDS["weights"], "", row.parameters, shelf, version=row.current)
            panels.fill([exhibit])
            side.panel, side.source = exhibit.panel, row.current.get_absolute_url()
            return


@require_POST
def request_weights(request: HttpRequest, name: str) -> HttpResponse:
    """Ask for the weights between two layers."""
    layers = {layer.name: layer for layer in layers_of(name)}
    ends = [request.POST.get(field, "").partition("/")[0] for field in ("from", "to")]
    missing = [value for value in ends if value not in layers]
    if missing:
        raise Http404(f"{name} has no layer “{missing[0][:60]}”. Its layers are {', '.join(layers)}.")
    source, target = (layers[value] for value in ends)
    try:
        evidence = actions.request_of_layer(asking(request), target, source)
    except (recipes.RecipeError, ValidationError) as error:
        messages.error(request, str(error))
    else:
        if evidence.status == Outcome.DONE:
            messages.info(request, "They are there already.")
        else:
            messages.success(request, f"Asked for: weights from {source.name} to {target.name}.")
    back = {
        field: request.POST.get(field, "") for field in ("from", "to", "order", "neuron") if request.POST.get(field)
    }
    return redirect(f"{reverse('weights_explorer', args=[name])}?{urlencode(back, safe='/:')}")
