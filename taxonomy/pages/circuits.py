"""A note's circuit: building it from weights and by hand, as a picture of its own, and the kernel behind an edge."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_safe
from django_htmx.http import HttpResponseClientRedirect

from taxonomy.actions import circuits, labels, notes
from taxonomy.models import Layer, Motif, Neuron, Note, NoteVersion, Subgraph, User
from taxonomy.pages.evidence import shown_alone
from taxonomy.pages.networks import layers_of
from taxonomy.pages.notes import asked_of, note_of
from taxonomy.pages.numbers import whole
from taxonomy.pages.people import asking
from taxonomy.permissions import can_edit_note, can_see_members, hidden_from, require
from taxonomy.rendering.circuits import Circuit, circuit, picture, without_members

MOST_TEXT = 400_000  # characters of a subgraph as it is sent


@dataclass
class Table:
    """What lies on the table: the circuit as it was changed so far, and what there is to say about it."""

    note: Note
    latest: NoteVersion
    hidden: frozenset[int]
    subgraph: Subgraph
    motifs: list[str]
    began_from: int
    told: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    changed: bool = False
    theirs: NoteVersion | None = None  # what somebody else saved meanwhile

    def take(self, error: ValidationError) -> None:
        self.problems += error.messages


def subgraph_of(version: NoteVersion) -> Subgraph:
    found: Subgraph = version.subgraph or circuits.empty()
    return found


@require_http_methods(["GET", "HEAD", "POST"])
def edit(request: HttpRequest, public_id: str) -> HttpResponse:
    """Build the circuit. Each step comes back changed and unsaved; *Save* makes it the note's next version."""
    note = note_of(request, public_id)
    require(can_edit_note(request.user, note))
    latest = note.latest
    hidden = hidden_from(request.user)
    table = Table(note, latest, hidden, subgraph_of(latest), list(latest.motifs), latest.number)
    if request.method == "POST":
        try:
            _read(request, table)
            response = _step(request, table)
        except ValidationError as error:
            table.take(error)
            response = None
        if response is not None:
            return response
    return _show(request, table)


def _read(request: HttpRequest, table: Table) -> None:
    """What lay on the table when the form was sent.

    Raises:
        ValidationError: where it is no circuit.
    """
    text = request.POST.get("subgraph", "")
    try:
        if len(text) > MOST_TEXT:
            raise ValueError
        sent = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValidationError("The circuit that was sent does not read. What was saved last is shown.") from error
    table.began_from = whole(request.POST.get("began_from")) or 0
    table.motifs = [motif for motif in request.POST.getlist("motifs") if motif in Motif.values]
    table.subgraph = circuits.check(table.note.network, sent, subgraph_of(table.latest), table.hidden)
    table.changed = table.subgraph != subgraph_of(table.latest) or table.motifs != list(table.latest.motifs)


def _step(request: HttpRequest, table: Table) -> HttpResponse | None:
    """Do what the pressed button says. The answer, where it leads to another page."""
    name, _, of = request.POST.get("do", "").partition(" ")
    if not name:  # Enter in a field
        name = "add" if request.POST.get("name", "").strip() else "grow" if request.POST.get("start") else "save"
    if name == "save":
        return _save(request, table)
    step = STEPS.get(name)
    if step is not None:
        table.subgraph = step(request, table, of)
        table.changed = table.subgraph != subgraph_of(table.latest) or table.changed
    return None


def _number(request: HttpRequest, name: str, default: float) -> float:
    try:
        return float(request.POST.get(name, "").strip().removesuffix("%").replace(",", ".") or default)
    except ValueError as error:
        raise ValidationError(f"The {name} is a number, such as {default:g}.") from error


def _grow(request: HttpRequest, table: Table, of: str) -> Subgraph:
    network = table.note.network
    try:
        neuron = Neuron.objects.at(network.name, request.POST.get("start", ""))
    except Neuron.DoesNotExist as error:
        raise ValidationError(str(error)) from error
    depth = request.POST.get("depth", "2")
    threshold = _number(request, "threshold", 30) / 100
    grown = circuits.grow(network, neuron, threshold, int(depth) if depth in set("1234") else 0)
    table.told.append(f"Grown from {neuron.address}: it takes the place of what was there.")
    return grown


def _add(request: HttpRequest, table: Table, of: str) -> Subgraph:
    return circuits.add(table.note.network, table.subgraph, request.POST.get("name", ""), table.hidden, table.told)


def _remove(request: HttpRequest, table: Table, of: str) -> Subgraph:
    return circuits.remove(table.subgraph, of or request.POST.get("node", ""))


def _cut(request: HttpRequest, table: Table, of: str) -> Subgraph:
    source, _, target = of.partition(" ")
    return circuits.cut(table.subgraph, source, target)


def _tie(request: HttpRequest, table: Table, of: str) -> Subgraph:
    ends = request.POST.get("source", ""), request.POST.get("target", "")
    return circuits.tie(table.note.network, table.subgraph, *ends, _number(request, "weight", 0))


def _connect(request: HttpRequest, table: Table, of: str) -> Subgraph:
    return circuits.connect(table.note.network, table.subgraph, table.hidden, table.told)


def _refresh(request: HttpRequest, table: Table, of: str) -> Subgraph:
    found, told = circuits.refreshed(table.note.network, table.subgraph, table.hidden)
    table.told += told or ["Every weight is what the newest evidence says."]
    return found


def _arrange(request: HttpRequest, table: Table, of: str) -> Subgraph:
    """Every node where the drawing puts it by itself."""
    return {**table.subgraph, "nodes": [{**node, "x": 0.0, "y": 0.0} for node in table.subgraph["nodes"]]}


def _clear(request: HttpRequest, table: Table, of: str) -> Subgraph:
    return circuits.empty()


def _redraw(request: HttpRequest, table: Table, of: str) -> Subgraph:
    return table.subgraph


STEPS: dict[str, Callable[[HttpRequest, Table, str], Subgraph]] = {
    "grow": _grow,
    "add": _add,
    "remove": _remove,
    "cut": _cut,
    "tie": _tie,
    "connect": _connect,
    "refresh": _refresh,
    "arrange": _arrange,
    "clear": _clear,
    "redraw": _redraw,
}


def _save(request: HttpRequest, table: Table) -> HttpResponse | None:
    try:
        saved = notes.save(
            asking(request),
            table.note,
            began_from=table.began_from,
            summary=request.POST.get("summary", ""),
            subgraph=table.subgraph,
            motifs=table.motifs,
        )
    except notes.Overtaken as error:
        table.problems.append(str(error))
        table.theirs, table.began_from, table.changed = error.latest, error.latest.number, True
        return None
    same = saved.number == table.latest.number
    messages.success(request, "Nothing was changed." if same else f"Saved as version {saved.number}.")
    address = redirect("note_latest", table.note.public_id).url
    return HttpResponseClientRedirect(address) if request.headers.get("HX-Request") else redirect(address)


def _show(request: HttpRequest, table: Table) -> HttpResponse:
    network = table.note.network
    layers = layers_of(network.name)
    drawn = circuit(network, table.subgraph, hidden=table.hidden, layers=layers)
    reveal(request, drawn)
    knots = sorted(drawn.knots.values(), key=lambda knot: (knot.layer.order, knot.y))
    grown = table.subgraph.get("grown")
    context: dict[str, Any] = {
        "network": network,
        "note": table.note,
        "latest": table.latest,
        "table": table,
        "circuit": drawn,
        "knots": knots,
        "text": json.dumps(without_members(table.subgraph, table.hidden)),
        "selection": circuits.selection(table.subgraph),
        "suggestions": circuits.suggest_motifs(network, table.subgraph, table.hidden, drawn.families),
        "motifs": [(value, value in table.motifs) for value in Motif.values],
        "theirs": _drawn(table.theirs, table.hidden, layers) if table.theirs else None,
        "start": request.POST.get("start") or (grown["neuron"] if grown else ""),
        "depth": grown["depth"] if grown else 2,
        "percent": f"{table.subgraph['threshold'] * 100:g}",
        "summary": request.POST.get("summary", ""),
        "limits": {"nodes": circuits.MOST_NODES, "edges": circuits.MOST_EDGES, "depth": circuits.DEEPEST},
    }
    template = "circuits/_editor.html" if request.headers.get("HX-Request") else "circuits/edit.html"
    # htmx shows what came with a 200 alone.
    wrong = 409 if table.theirs is not None else 422 if table.problems else 200
    return render(request, template, context, status=200 if request.headers.get("HX-Request") else wrong)


def _drawn(version: NoteVersion, hidden: frozenset[int], layers: list[Layer]) -> Circuit:
    return circuit(version.note.network, subgraph_of(version), hidden=hidden, layers=layers)


def reveal(request: HttpRequest, drawn: Circuit) -> None:
    """Who sees neurons in a circuit has been told what its authors think of them."""
    if not isinstance(request.user, User):
        return
    shown = Q(pk__in=[])
    for knot in drawn.knots.values():
        shown |= Q(layer=knot.layer, index__in=knot.members if knot.index is None else [knot.index])
    labels.reveal(request.user, *Neuron.objects.filter(shown))


@require_safe
def svg(request: HttpRequest, public_id: str) -> HttpResponse:
    """The circuit as a file that needs nothing else, for slides, mails and exports; of ``?version=`` that is named."""
    note = note_of(request, public_id)
    version = asked_of(request, note)
    hidden = hidden_from(request.user)
    layers = layers_of(note.network.name)
    drawn = circuit(note.network, subgraph_of(version), hidden=hidden, layers=layers)
    if not drawn.knots:
        raise Http404("This note has no circuit.")
    reveal(request, drawn)
    response = HttpResponse(picture(drawn, alone=True), content_type="image/svg+xml; charset=utf-8")
    response["Content-Disposition"] = f'inline; filename="circuit-{version.number}.svg"'
    return response


@require_safe
def kernel(request: HttpRequest, public_id: str) -> HttpResponse:
    """The kernel between two nodes, from the evidence that an edge names: ``of`` is the neuron at the edge's start.

    Raises:
        Refused: while it would tell whoever asks the family of a neuron that they are to read first.
    """
    exhibit, version, _ = shown_alone(request, public_id)
    if exhibit.kind.name not in ("weights", "family_weights"):
        raise Http404("This evidence is not about weights.")
    context: dict[str, Any] = {"network": exhibit.shelf.network, "exhibit": exhibit, "version": version}
    if exhibit.panel is not None and exhibit.neuron is not None:
        row = _row(exhibit.panel, request.GET.get("of", ""), request.GET.get("weight", ""))
        if row is None:
            raise Http404("This evidence lists no such weight.")
        if not request.GET.get("of"):
            by_hidden = Neuron.objects.filter(pk__in=hidden_from(request.user), layer=row.layer, index=row.index)
            require(can_see_members(by_hidden.exists()))
        context |= {"row": row, "neuron": exhibit.neuron, "inward": exhibit.values.get("direction") == "in"}
    elif exhibit.panel is not None:
        strengths = [float(value) for row in exhibit.panel["rows"] for value in row["strengths"]]
        context |= {"lowest": min(strengths, default=0.0), "highest": max(strengths, default=0.0)}
    template = "circuits/_kernel.html" if request.headers.get("HX-Request") else "circuits/kernel.html"
    return render(request, template, context)


def _row(panel: dict[str, Any], of: str, weight: str) -> Any:
    """The listed weight that is meant: that of the neuron, or else the one of this value."""
    rows = [*panel["strong"], *panel["rest"]]
    if of:
        return next((row for row in rows if f"{row.layer.name}:{row.index}" == of), None)
    try:
        value = float(weight)
    except ValueError:
        return None
    return min(rows, key=lambda row: abs(row.value - value), default=None)
