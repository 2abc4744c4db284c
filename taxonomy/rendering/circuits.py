"""A circuit as a layered diagram: pictures of neurons in the columns of their layers, joined by signed edges.

Layers stand from left to right, in the order in which the network has them, so that every edge goes to the right.
Within a column nodes are put near what they are joined to (the barycentre heuristic of Sugiyama, Tagawa and Toda,
1981), or where the authors moved them. Red edges with an arrow excite, blue ones with a bar inhibit.
"""

import base64
import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import urlencode

from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

from taxonomy.models import Edge, EvidenceVersion, Family, Layer, Membership, Network, Subgraph
from taxonomy.rendering.chips import face, sheet
from taxonomy.rendering.sprites import cut

# Units of the drawing: pixels, where there is room.
FACE, NAME, GAP = 52.0, 18.0, 12.0
CARD, CARD_HIGH, SMALL = 172.0, 66.0, 28.0
HEAD, BETWEEN, CLIMB, BESIDE = 30.0, 120.0, 7.0, 22.0
DEEPEST = 16  # nodes below each other, before a layer takes a second column
SWEEPS = 7  # the last one goes from the outputs back
ASIDE = 0.3  # of a place in the target's column
SHOWN = 5  # members of a family
THINNEST, THICKEST = 1.2, 7.0
FAINTER = 80  # edges, from which on each is drawn fainter
MINUS = "\u2212"


@dataclass
class Knot:
    """A node as it is drawn."""

    id: str
    layer: Layer
    name: str
    href: str
    index: int | None = None
    members: list[int] = field(default_factory=list)  # indices, of a family; those that are shown
    count: int = 0
    retired: bool = False
    x: float = 0.0
    y: float = 0.0
    placed: bool = False  # by hand

    @property
    def is_family(self) -> bool:
        return self.index is None

    @property
    def width(self) -> float:
        return CARD if self.is_family else FACE

    @property
    def height(self) -> float:
        return CARD_HIGH if self.is_family else FACE + NAME

    @property
    def middle(self) -> float:
        """Where edges arrive: at the height of a neuron's picture."""
        return self.y + (CARD_HIGH if self.is_family else FACE) / 2

    @property
    def title(self) -> str:
        if not self.is_family:
            return self.name
        return f"{self.name} ({self.layer.name}), {self.count} neurons{', retired' if self.retired else ''}"


@dataclass
class Wire:
    """An edge as it is drawn and listed."""

    source: Knot
    target: Knot
    weight: float
    kernel: str  # the address of its kernel; "" where it was drawn by hand, or the kernel would tell too much
    outdated: bool  # its evidence was made anew since
    start: float = 0.0  # the heights at which it leaves and arrives
    end: float = 0.0

    @property
    def excites(self) -> bool:
        return self.weight > 0


@dataclass
class Circuit:
    """A subgraph with what is needed to draw it. What is not there any more is left out, with its edges."""

    knots: dict[str, Knot]
    wires: list[Wire]
    subgraph: Subgraph
    families: list[Family]  # those among its nodes, with their layers
    width: float = 0.0
    height: float = 0.0
    columns: list[tuple[str, float]] = field(default_factory=list)  # a layer's name, and where its column begins

    @cached_property
    def scale(self) -> float:
        return max((abs(wire.weight) for wire in self.wires), default=0.0)

    @property
    def excite(self) -> int:
        return sum(wire.excites for wire in self.wires)

    @property
    def inhibit(self) -> int:
        return len(self.wires) - self.excite

    @property
    def thinned(self) -> float:
        """Of many edges each is drawn fainter, so that their number does not hide where they go."""
        return max(0.3, min(1.0, math.sqrt(FAINTER / max(len(self.wires), 1))))

    @property
    def outdated(self) -> int:
        return sum(wire.outdated for wire in self.wires)

    @property
    def listed(self) -> list[Wire]:
        """By target, the strongest first: as a table has them."""
        knots = list(self.knots.values())
        place = {knot.id: (-knot.layer.order, knot.y, number) for number, knot in enumerate(knots)}
        return sorted(self.wires, key=lambda wire: (place[wire.target.id], -abs(wire.weight)))

    @property
    def rows(self) -> SafeString:
        """The edges as the rows of a table."""
        return table(self)

    @property
    def rows_to_edit(self) -> SafeString:
        return table(self, editing=True)

    @property
    def svg(self) -> SafeString:
        return picture(self)

    @property
    def title(self) -> str:
        return titled(self)

    @property
    def elements(self) -> dict[str, Any]:
        """What the script draws: places in units of the drawing, and of each picture where it lies on its sheet."""
        return {
            "width": self.width,
            "height": self.height,
            "scale": self.scale,
            "thinned": round(self.thinned, 2),
            "columns": [{"name": name, "x": left} for name, left in self.columns],
            "nodes": [_element(knot) for knot in self.knots.values()],
            "edges": [
                {
                    "source": wire.source.id,
                    "target": wire.target.id,
                    "weight": wire.weight,
                    "kernel": wire.kernel,
                    "said": said(wire),
                    "start": round(wire.start - wire.source.middle, 1),
                    "end": round(wire.end - wire.target.middle, 1),
                }
                for wire in self.wires
            ],
        }


def circuit(
    network: Network, subgraph: Subgraph, *, hidden: Collection[int] = (), layers: Iterable[Layer] = ()
) -> Circuit:
    """Look up what the subgraph names, and put it in its places. Three queries at most where the page has the
    layers, one more where a family has no members.

    Args:
        hidden: neurons whose family is not told to whoever looks: they are no members of the families drawn.
        layers: the network's, selected with ``network`` and ``sprite``.
    """
    nodes = subgraph.get("nodes") or []
    here = {layer.name: layer for layer in layers}
    if nodes and not here:
        here = {layer.name: layer for layer in network.layers.select_related("network", "sprite")}
    families = _families(network, [node["family"] for node in nodes if node["family"]], hidden)
    by_pk = {layer.pk: layer for layer in here.values()}
    knots: dict[str, Knot] = {}
    kin: list[Family] = []
    for node in nodes:
        if node["neuron"]:
            name, _, index = node["neuron"].rpartition(":")
            layer = here.get(name)
            if layer is not None and index.isdigit() and int(index) < layer.channels:
                href = f"{sheet(layer).url}{index}/"
                knots[node["id"]] = Knot(node["id"], layer, node["neuron"], href, int(index))
        elif node["family"] in families:
            family, members = families[node["family"]]
            family.layer = by_pk[family.layer_id]
            kin.append(family)
            knots[node["id"]] = Knot(
                *(node["id"], family.layer, family.name, family.get_absolute_url()),
                members=members[:SHOWN],
                count=len(members),
                retired=family.retired_at is not None,
            )
        if node["id"] in knots:
            knot = knots[node["id"]]
            knot.x, knot.y, knot.placed = node["x"], node["y"], bool(node["x"] or node["y"])
    found = Circuit(knots, _wires(subgraph.get("edges") or [], knots, hidden), subgraph, kin)
    _arrange(found)
    for wire, start, end in zip(found.wires, _ends(found.wires, "source"), _ends(found.wires, "target"), strict=True):
        wire.start, wire.end = start, end
    return found


def _wires(edges: Iterable[Edge], knots: Mapping[str, Knot], hidden: Collection[int]) -> list[Wire]:
    """The edges whose ends are there. One query, if any names evidence.

    A family's edge may lead to the weights of one of its members: who that is, is not told everybody.
    """
    edges = [edge for edge in edges if edge["source"] in knots and edge["target"] in knots]
    named = {edge["evidence"] for edge in edges if edge["evidence"]}
    rows = EvidenceVersion.objects.filter(public_id__in=named).values_list(
        *("public_id", "pk", "evidence__current", "evidence__neuron", "evidence__parameters__direction")
    )
    versions = {str(public_id): rest for public_id, *rest in (rows if named else ())}
    # One address is looked up, and not a thousand.
    nowhere = "00000000-0000-0000-0000-000000000000"
    address = reverse("evidence_kernel", args=[nowhere])
    wires = []
    for edge in edges:
        source, target = knots[edge["source"]], knots[edge["target"]]
        version, current, neuron, direction = versions.get(edge["evidence"], (None, None, None, ""))
        kernel = ""
        if version is not None and not (neuron in hidden and (target if direction == "in" else source).is_family):
            asked = {"weight": f"{edge['weight']:.9g}"} | ({} if source.is_family else {"of": source.name})
            kernel = f"{address.replace(nowhere, edge['evidence'])}?{urlencode(asked)}"
        wires.append(Wire(source, target, edge["weight"], kernel, version != current))
    return wires


def without_members(subgraph: Subgraph, hidden: Collection[int]) -> Subgraph:
    """The subgraph as whoever asks is told it: a family's edge may name the evidence of one of its members, and who
    that is, is not told everybody. One query, if any edge names evidence and any neuron is hidden."""
    edges = subgraph.get("edges") or []
    named = {edge["evidence"] for edge in edges if edge["evidence"]}
    if not named or not hidden:
        return subgraph
    rows = EvidenceVersion.objects.filter(public_id__in=named, evidence__neuron__in=hidden)
    own = {str(name): direction for name, direction in rows.values_list("public_id", "evidence__parameters__direction")}
    families = {node["id"] for node in subgraph["nodes"] if node["family"]}

    def tells(edge: Edge) -> bool:
        direction = own.get(edge["evidence"])
        return direction is not None and edge["target" if direction == "in" else "source"] in families

    return {**subgraph, "edges": [{**edge, "evidence": ""} if tells(edge) else edge for edge in edges]}


def _families(
    network: Network, wanted: Collection[str], hidden: Collection[int]
) -> dict[str, tuple[Family, list[int]]]:
    """Families by public id, with their members in order of the angle (or other parameter) that each has.

    One query; another one where a family has no members.
    """
    if not wanted:
        return {}
    families: dict[str, Family] = {}
    members: dict[str, list[tuple[bool, float, int]]] = {}
    current = Membership.objects.shown(hidden).filter(family__public_id__in=wanted, family__layer__network=network)
    for one in current.select_related("family", "neuron"):
        key = str(one.family.public_id)
        families[key] = one.family
        members.setdefault(key, []).append((one.parameter is None, one.parameter or 0.0, one.neuron.index))
    empty = [key for key in wanted if key not in families]
    if empty:
        rows = Family.objects.filter(public_id__in=empty, layer__network=network)
        families |= {str(family.public_id): family for family in rows}
    return {
        key: (family, _spread([index for *_, index in sorted(members.get(key, []))]))
        for key, family in families.items()
    }


def _spread(indices: list[int]) -> list[int]:
    """All of them, those first that stand evenly over the whole range: a few of a rotating family show it turn."""
    if len(indices) <= SHOWN:
        return indices
    chosen = [indices[round(i * len(indices) / SHOWN)] for i in range(SHOWN)]
    return [*chosen, *(index for index in indices if index not in chosen)]


def _arrange(circuit: Circuit) -> None:
    """Give every node its place, and the drawing its size."""
    by_layer: dict[int, list[Knot]] = {}
    for knot in circuit.knots.values():
        by_layer.setdefault(knot.layer.order, []).append(knot)
    columns = [by_layer[order] for order in sorted(by_layer)]
    by_hand = any(knot.placed for knot in circuit.knots.values())
    if not by_hand:
        _order(columns, circuit.wires)
    # The higher the drawing, the more room edges get to climb in.
    rows = max((min(len(column), DEEPEST) for column in columns), default=0)
    between = BETWEEN + CLIMB * max(rows - 6, 0)
    left = 0.0
    for column in columns:
        pitch = max(knot.width for knot in column) + BESIDE
        beside = (_keep if by_hand else _stack)(column, left, pitch)
        circuit.columns.append((column[0].layer.name, left))
        left += pitch * beside - BESIDE + between
        circuit.height = max(circuit.height, *(knot.y + knot.height for knot in column))
    circuit.width = max(left - between, 0.0)
    if not by_hand:
        for column in columns:  # shorter columns stand in the middle
            spare = (circuit.height - max(knot.y + knot.height for knot in column)) / 2
            for knot in column:
                knot.y += spare


def _stack(column: Sequence[Knot], left: float, pitch: float) -> int:
    """Place a layer's nodes in their order, row by row; returns how many stand beside each other."""
    beside, top = math.ceil(len(column) / DEEPEST), HEAD
    for start in range(0, len(column), beside):
        row = column[start : start + beside]
        for place, knot in enumerate(row):
            knot.x = left + place * pitch
            # Each a little lower than the one before it, so that edges pass between those of the next row.
            knot.y = top + place * (knot.height + GAP) / beside
        top += max(knot.height for knot in row) + GAP
    return beside


def _keep(column: Sequence[Knot], left: float, pitch: float) -> int:
    """Leave a layer's nodes where somebody put them, but for what would overlap; new ones come last."""
    first = min((knot.x for knot in column if knot.placed), default=0.0)
    stacks: dict[int, list[Knot]] = {}
    for knot in column:
        stacks.setdefault(min(max(round((knot.x - first) / pitch), 0), DEEPEST) if knot.placed else 0, []).append(knot)
    for place, stack in stacks.items():
        top = HEAD
        for knot in sorted(stack, key=lambda knot: (not knot.placed, knot.y)):
            knot.x, knot.y = left + place * pitch, max(knot.y, top)
            top = knot.y + knot.height + GAP
    return max(stacks) + 1


def _order(columns: Sequence[list[Knot]], wires: Sequence[Wire]) -> None:
    """Sort each column by the mean place of what its nodes are joined to, there and back a few times.

    Places are shares of a column's height, and each edge counts by its weight, so that edges over several layers and
    columns of unequal length do no harm. Ties keep their order: what excites most comes first.
    """
    strength: dict[str, float] = {}
    joined: dict[str, list[tuple[str, float]]] = {}
    for wire in wires:
        joined.setdefault(wire.source.id, []).append((wire.target.id, wire.weight))
        joined.setdefault(wire.target.id, []).append((wire.source.id, wire.weight))
        strength[wire.source.id] = strength.get(wire.source.id, 0.0) + wire.weight
    for column in columns:
        column.sort(key=lambda knot: -strength.get(knot.id, 0.0))
    place = {knot.id: (i + 0.5) / len(column) for column in columns for i, knot in enumerate(column)}
    level = {knot.id: number for number, column in enumerate(columns) for knot in column}
    for sweep in range(SWEEPS):
        forth = sweep % 2 == 1
        for number in range(len(columns)) if forth else reversed(range(len(columns))):
            for knot in (column := columns[number]):
                near = [one for one in joined.get(knot.id, ()) if (level[one[0]] < number) == forth]
                if near:
                    # Read from what it leads to, what excites stands above what inhibits.
                    place[knot.id] = sum(
                        (place[other] - (0 if forth else math.copysign(ASIDE / len(columns[level[other]]), weight)))
                        * abs(weight)
                        for other, weight in near
                    ) / sum(abs(weight) for _, weight in near)
            column.sort(key=lambda knot: place[knot.id])
            for i, knot in enumerate(column):
                place[knot.id] = (i + 0.5) / len(column)


# A picture that stands alone has its colours with it; on a page they come from the stylesheet, and suit the theme.
COLOURS = {
    "e": ' stroke="#c1272d"',
    "i": ' stroke="#2065b5"',
    "text": ' fill="#22211d"',
    "soft": ' fill="#66635a"',
    "card": ' fill="#ffffff" stroke="#e3e0d7"',
    "rule": ' stroke="#e3e0d7"',
}
FONT = "'Source Sans 3', 'Helvetica Neue', Arial, sans-serif"


def picture(circuit: Circuit, *, name: str = "circuit", alone: bool = False) -> SafeString:
    """The diagram as an SVG, with a title and a description.

    Args:
        name: tells its ids from those of others on a page.
        alone: as a file of its own, for mails and exports: with its colours and its neurons' pictures in it, and
            without links.
    """
    if not circuit.knots:
        return SafeString("")
    look = {key: mark_safe(words) if alone else SafeString("") for key, words in COLOURS.items()}
    pad = 16.0
    box = f"{-pad:g} {-pad:g} {circuit.width + 2 * pad:.1f} {circuit.height + 2 * pad:.1f}"
    heads = format_html_join(
        "",
        '<text class="layer" x="{}" y="12"{}>{}</text>',
        ((f"{left:.1f}", look["soft"], layer) for layer, left in circuit.columns),
    )
    return format_html(
        '<svg{} class="circuit" viewBox="{}" width="{}" height="{}" role="{}" '
        'aria-labelledby="{}-t {}-d"{}><title id="{}-t">{}</title><desc id="{}-d">{}</desc>{}'
        '<g class="edges" fill="none" stroke-linecap="round">{}</g>{}{}</svg>',
        SafeString(' xmlns="http://www.w3.org/2000/svg"') if alone else "",
        *(box, *_px(circuit.width + 2 * pad, circuit.height + 2 * pad), "img" if alone else "group", name, name),
        format_html(' font-family="{}" font-size="13"', FONT) if alone else "",
        *(name, titled(circuit), name, described(circuit)),
        SafeString(f'<rect x="{-pad:g}" y="{-pad:g}" width="100%" height="100%" fill="#fcfbf8"/>') if alone else "",
        _edges(circuit, look),
        heads,
        format_html_join("", "{}", ((_knot(knot, look, alone),) for knot in circuit.knots.values())),
    )


def _px(*values: float) -> list[str]:
    return [f"{value:.1f}".removesuffix(".0") for value in values]


def titled(circuit: Circuit) -> str:
    layers = len(circuit.columns)
    nodes, edges = len(circuit.knots), len(circuit.wires)
    return (
        f"Circuit of {nodes} node{'' if nodes == 1 else 's'} in {layers} layer{'' if layers == 1 else 's'}, "
        f"with {edges} connection{'' if edges == 1 else 's'}"
    )


def described(circuit: Circuit) -> str:
    layers = ", ".join(layer for layer, _ in circuit.columns)
    return (
        f"Layers from left to right: {layers}. Connections that excite (red, with an arrow): {circuit.excite}; that "
        f"inhibit (blue, with a bar): {circuit.inhibit}. The wider, the stronger, up to {circuit.scale:.3g}."
    )


def said(wire: Wire) -> str:
    words = "excites" if wire.excites else "inhibits"
    return f"{wire.source.name} {words} {wire.target.name}: {'+' if wire.excites else MINUS}{abs(wire.weight):.3g}"


def _edges(circuit: Circuit, look: Mapping[str, SafeString]) -> SafeString:
    """Weak edges first, so that strong ones lie above them."""
    drawn = []
    for wire in sorted(circuit.wires, key=lambda wire: abs(wire.weight)):
        share = abs(wire.weight) / circuit.scale
        width = THINNEST + (THICKEST - THINNEST) * share
        sign, head = "e" if wire.excites else "i", 4 + width
        x1, y1, x2, y2 = wire.source.x + wire.source.width + 3, wire.start, wire.target.x - 4, wire.end
        bend = max((x2 - x1) * 0.5, 30.0)
        path = f"M{x1:.1f} {y1:.1f}C{x1 + bend:.1f} {y1:.1f} {x2 - bend - head:.1f} {y2:.1f} {x2 - head:.1f} {y2:.1f}"
        tip = (
            f"M{x2 - head:.1f} {y2 - head / 2:.1f}L{x2 - width / 2:.1f} {y2:.1f}L{x2 - head:.1f} {y2 + head / 2:.1f}Z"
            if wire.excites
            else f"M{x2 - head:.1f} {y2:.1f}H{x2 - 2:.1f}M{x2 - 2:.1f} {y2 - head / 2 - 1:.1f}v{head + 2:.1f}"
        )
        opacity = f"{(0.35 + 0.55 * share) * circuit.thinned:.2f}"
        ends = wire.source.id, wire.target.id
        fill = SafeString(str(look[sign]).replace("stroke", "fill")) if wire.excites else ""
        drawn.append((sign, *ends, opacity, f"{width:.1f}", look[sign], said(wire), path, fill, tip))
    return format_html_join(
        "",
        '<g class="{}" data-source="{}" data-target="{}" opacity="{}" stroke-width="{}"{}>'
        '<title>{}</title><path d="{}"/><path class="tip"{} stroke-linejoin="round" d="{}"/></g>',
        drawn,
    )


def table(circuit: Circuit, *, editing: bool = False) -> SafeString:
    """Rows of: from, to, weight, kernel; and to be edited, a button that removes the edge.

    A template would take a second for a thousand of them.
    """
    rows = []
    for wire in circuit.listed:
        between = format_html('<span class="sr"> from {} to {}</span>', wire.source.name, wire.target.name)
        kernel = SafeString('<span class="facts">by hand</span>')
        if wire.kernel:
            older = SafeString(' <span class="facts">older</span>') if wire.outdated else ""
            kernel = format_html('<a href="{}">kernel{}</a>{}', wire.kernel, between, older)
        removal: SafeString | str = ""
        if editing:
            removal = format_html(
                '<td><button class="plain" name="do" value="cut {} {}">Remove{}</button></td>',
                *(wire.source.id, wire.target.id, between),
            )
        ends = (_linked(wire.source), _linked(wire.target)) if not editing else (wire.source.name, wire.target.name)
        sign = "excites" if wire.excites else "inhibits"
        weight = f"{'+' if wire.excites else MINUS}{abs(wire.weight):.3g}"
        rows.append((*ends, sign, weight, kernel, removal))
    return format_html_join("", '<tr><td>{}</td><td>{}</td><td class="value {}">{}</td><td>{}</td>{}</tr>', rows)


def _linked(knot: Knot) -> SafeString:
    return format_html('<a href="{}">{}</a>', knot.href, knot.name)


def _ends(wires: Sequence[Wire], side: str) -> list[float]:
    """The height at which each edge leaves or meets its node (``side``), in the order of what is at the other end."""
    other = "target" if side == "source" else "source"
    by_knot: dict[str, list[int]] = {}
    for number, wire in enumerate(wires):
        by_knot.setdefault(getattr(wire, side).id, []).append(number)
    found = [0.0] * len(wires)
    for numbers in by_knot.values():
        knot = getattr(wires[numbers[0]], side)
        numbers.sort(key=lambda number: getattr(wires[number], other).middle)
        room = (CARD_HIGH if knot.is_family else FACE) * 0.76
        step = min(room / max(len(numbers) - 1, 1), 9.0)
        for place, number in enumerate(numbers):
            found[number] = knot.middle + (place - (len(numbers) - 1) / 2) * step
    return found


def _element(knot: Knot) -> dict[str, Any]:
    shown = sheet(knot.layer)
    faces = [knot.index] if knot.index is not None else knot.members
    return {
        "id": knot.id,
        "x": round(knot.x, 1),
        "y": round(knot.y, 1),
        "width": knot.width,
        "height": FACE if not knot.is_family else CARD_HIGH,
        "name": knot.name if knot.is_family else f"{knot.layer.short}:{knot.index}",
        "title": knot.title,
        "href": knot.href,
        "family": knot.is_family,
        "count": "retired" if knot.retired else str(knot.count),
        "sheet": shown.href,
        "cell": shown.cell,
        "faces": [
            [index % shown.columns * shown.cell, index // shown.columns * shown.cell] if index in shown.shown else None
            for index in faces
        ],
    }


def _knot(knot: Knot, look: Mapping[str, SafeString], alone: bool) -> SafeString:
    drawn = _family(knot, look, alone) if knot.is_family else _neuron(knot, look, alone)
    if alone:
        return format_html("<g><title>{}</title>{}</g>", knot.title, drawn)
    return format_html('<a href="{}" data-id="{}"><title>{}</title>{}</a>', knot.href, knot.id, knot.title, drawn)


def _neuron(knot: Knot, look: Mapping[str, SafeString], alone: bool) -> SafeString:
    assert knot.index is not None
    return format_html(
        '{}<text class="name" x="{}" y="{}" text-anchor="middle"{}>{}</text>',
        _face(knot.layer, knot.index, (knot.x, knot.y, FACE), alone),
        *(*_px(knot.x + FACE / 2, knot.y + FACE + 13), look["text"], f"{knot.layer.short}:{knot.index}"),
    )


def _family(knot: Knot, look: Mapping[str, SafeString], alone: bool) -> SafeString:
    name = knot.name if len(knot.name) <= 18 else knot.name[:17] + "…"
    faces = [
        _face(knot.layer, index, (knot.x + 8 + place * (SMALL + 4), knot.y + 30, SMALL), alone)
        for place, index in enumerate(knot.members)
    ]
    return format_html(
        '<rect class="card" x="{}" y="{}" width="{}" height="{}" rx="6"{}/>'
        '<text class="family" x="{}" y="{}" font-weight="600"{}>{}</text>'
        '<text class="count" x="{}" y="{}" text-anchor="end"{}>{}</text>{}',
        *(*_px(knot.x, knot.y, CARD, CARD_HIGH), look["card"], *_px(knot.x + 9, knot.y + 20), look["text"], name),
        *(*_px(knot.x + CARD - 9, knot.y + 20), look["soft"], "retired" if knot.retired else knot.count),
        SafeString("".join(faces)),
    )


def _face(layer: Layer, index: int, place: tuple[float, float, float], alone: bool) -> SafeString:
    x, y, side = place
    if not alone:
        return format_html(
            '<svg x="{}" y="{}" width="{}" height="{}">{}</svg>', *_px(x, y, side, side), face(layer, index)
        )
    href = _embedded(layer, index)
    if href:
        return format_html('<image x="{}" y="{}" width="{}" height="{}" href="{}"/>', *_px(x, y, side, side), href)
    return format_html(
        '<rect x="{}" y="{}" width="{}" height="{}" rx="4" fill="#f3f1ec"/>'
        '<circle cx="{}" cy="{}" r="{}" fill="none" stroke="#8b877b"/>',
        *_px(x, y, side, side, x + side / 2, y + side / 2, side / 4),
    )


def _embedded(layer: Layer, index: int) -> str:
    """The neuron's picture as a data address; "" where there is none."""
    sprite = getattr(layer, "sprite", None)
    if sprite is None or index not in sprite.shown:
        return ""
    try:
        data = cut(sprite.sha256, sprite.cell, sprite.columns, index)
    except OSError:  # gone from the store: the others are still to be seen
        return ""
    return f"data:image/png;base64,{base64.b64encode(data).decode()}"
