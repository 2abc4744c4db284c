"""Plots as SVG: each with a title and a description; colours come from the stylesheet, so that both themes hold."""

import bisect
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

Kernel = Sequence[Sequence[float]]

# How many steps of strength a kernel's cells are drawn in, between nothing and the strongest weight on the page.
STEPS = 12


def largest(kernel: Kernel) -> float:
    """The weight of largest magnitude, with its sign."""
    return max((value for row in kernel for value in row), key=abs, default=0.0)


def kernel_grid(kernel: Kernel, scale: float) -> SafeString:
    """A kernel as small squares: red excites, blue inhibits, full colour at ``scale`` (symmetric around zero)."""
    cells: dict[tuple[str, int], list[str]] = {}
    for row, values in enumerate(kernel):
        for column, value in enumerate(values):
            step = min(STEPS, round(abs(value) / scale * STEPS)) if scale else 0
            if step:
                cells.setdefault(("e" if value > 0 else "i", step), []).append(f"M{column} {row}h1v1h-1z")
    columns = len(kernel[0]) if kernel else 1
    paths = format_html_join(
        "",
        '<path class="{}" fill-opacity="{}" d="{}"/>',
        ((sign, f"{step / STEPS:.2f}", "".join(parts)) for (sign, step), parts in sorted(cells.items())),
    )
    strongest = largest(kernel)
    return format_html(
        '<svg class="kernel" viewBox="0 0 {} {}" shape-rendering="crispEdges" role="img">'
        "<title>{} by {} kernel, strongest weight {}</title>"
        '<rect class="ground" width="{}" height="{}"/>{}</svg>',
        *(columns, len(kernel) or 1, len(kernel), columns, f"{strongest:+.3g}"),
        *(columns, len(kernel) or 1, paths),
    )


def _at(angle: float, radius: float) -> str:
    turned = math.radians(angle)
    return f"{radius * math.cos(turned):.1f} {radius * math.sin(turned):.1f}"


OUTER = 112.0
INNER = 0.3 * OUTER  # as in "Curve Detectors": a circle of .3 r stands for no response
GLYPHS = 131.0
FACE = 24.0
WEDGE = 3  # degrees of one hue


def radial(
    name: str,
    angles: Sequence[float],
    responses: Sequence[float],
    *,
    stimulus: str,
    peak: float | None,
    face: str = "",
    full: float = 0.0,
) -> SafeString:
    """A tuning curve wrapped around a circle: the further out, the stronger the response to that orientation.

    Args:
        name: the neuron's address, for the title.
        angles: in degrees; of curves the direction they bulge to, clockwise from +x (y down), over a whole turn;
            of lines clockwise from the vertical, over half a turn, which is drawn twice.
        responses: pre-ReLU values; what lies below zero is drawn as zero.
        face: the address of the neuron's picture, drawn at the peak.
        full: the response that reaches the outer circle, where that is more than the curve's own largest: of two plots
            to one scale, a weak response looks weak.
    """
    lines = stimulus == "line"
    top = max([*responses, 0.0])
    full = max(full, top)
    turn = 180.0 if lines else 360.0
    shares = _shares(angles, responses, turn, 90.0 if lines else 0.0, full) if top > 0 else []
    edge = [_at(i / 2, INNER + share * (OUTER - INNER)) for i, share in enumerate(shares)]
    outline = "M" + "L".join(edge) + "Z" if edge else ""
    wedges: list[tuple[str, str]] = []
    per = 2 * WEDGE
    for i in range(0, len(edge), per):
        if max(shares[i : i + per]) > 0.004:
            middle = (i + per / 2) / 2
            hue = ((middle + 90.0) * 2 if lines else middle) % 360
            rim = [*edge[i : i + per], edge[(i + per) % len(edge)]]
            inner = _at((i + per) / 2, INNER), _at(i / 2, INNER)
            wedges.append((f"hsl({hue:.0f} 70% 55%)", "M" + "L".join([*rim, *inner]) + "Z"))
    facing = None if peak is None or top <= 0 else (peak - 90.0 if lines else peak)
    glyphs = [
        _line_glyph(direction) if lines else _curve_glyph(direction)
        for direction in range(0, 360, 15)
        if facing is None or not face or abs((direction - facing + 180) % 360 - 180) > 16
    ]
    picture = SafeString("")
    if facing is not None and face:
        x, y = _at(facing, GLYPHS + 4).split()
        picture = format_html(
            '<svg x="{}" y="{}" width="{}" height="{}" viewBox="-1 -1 2 2">'
            '<clipPath id="{}"><circle r="1"/></clipPath>'
            '<image href="{}" x="-1" y="-1" width="2" height="2" preserveAspectRatio="xMidYMid slice" '
            'clip-path="url(#{})"/>'
            '<circle class="rim" r=".97"/></svg>',
            *(float(x) - FACE, float(y) - FACE, 2 * FACE, 2 * FACE),
            *(f"clip-{stimulus}", face, f"clip-{stimulus}"),
        )
    said = f"peak at {peak:g}°" if peak is not None else "it does not respond to any"
    return format_html(
        '<svg class="radial" viewBox="-160 -160 320 320" role="img" aria-labelledby="radial-{0}-t radial-{0}-d">'
        '<title id="radial-{0}-t">Response of {1} to {0}s by orientation</title>'
        '<desc id="radial-{0}-d">A polar plot: {2}. The inner circle stands for no response, the outer one for a '
        "response of {3}. The numbers are in the table below.</desc>"
        '<g class="grid"><circle r="{4}"/><circle class="half" r="{5}"/><path d="M-{4} 0H{4}M0 -{4}V{4}"/></g>'
        '<g class="wedges">{6}</g><path class="outline" d="{7}"/><circle class="core" r="{8}"/>'
        '<g class="glyphs"><path d="{9}"/></g>{10}</svg>',
        stimulus,
        name,
        said,
        f"{full:.3g}",
        OUTER,
        (OUTER + INNER) / 2,
        format_html_join("", '<path fill="{0}" stroke="{0}" d="{1}"/>', wedges),
        outline,
        INNER,
        "".join(glyphs),
        picture,
    )


def _shares(
    angles: Sequence[float], responses: Sequence[float], turn: float, shift: float, full: float, step: float = 0.5
) -> list[float]:
    """The share of ``full``, every ``step`` degrees of a turn clockwise from +x, where the angle is ``shift``."""
    points = sorted((angle % turn, max(response, 0.0)) for angle, response in zip(angles, responses, strict=True))
    points = [(points[-1][0] - turn, points[-1][1]), *points, (points[0][0] + turn, points[0][1])]
    places = [place for place, _ in points]
    found = []
    for i in range(round(360 / step)):
        asked = (i * step + shift) % turn
        after = bisect.bisect_right(places, asked)
        (start, low), (end, high) = points[after - 1], points[min(after, len(points) - 1)]
        found.append((low + (high - low) * (asked - start) / (end - start) if end > start else low) / full)
    return found


def _curve_glyph(direction: float) -> str:
    """A small arc that bulges to ``direction``, on the ring where that orientation is drawn."""
    x, y = (float(part) for part in _at(direction, GLYPHS - 8).split())
    start, end = (_at(direction + turn, 9).split() for turn in (-60, 60))
    begin = f"{x + float(start[0]):.1f} {y + float(start[1]):.1f}"
    return f"M{begin}A9 9 0 0 1 {x + float(end[0]):.1f} {y + float(end[1]):.1f}"


def _line_glyph(direction: float) -> str:
    return f"M{_at(direction, GLYPHS - 6)}L{_at(direction, GLYPHS + 6)}"


@dataclass(frozen=True)
class Tuning:
    """One member's tuning curve in the plot of its family."""

    name: str
    href: str
    angles: Sequence[float]
    responses: Sequence[float]
    peak: float
    face: SafeString


RING, SMALL = 145.0, 10.0


def joint(curves: Sequence[Tuning], *, stimulus: str) -> SafeString:
    """The tuning curves of a family over each other, each to its own maximum and in the hue of its own peak."""
    lines = stimulus == "line"
    turn, shift = (180.0, 90.0) if lines else (360.0, 0.0)
    shapes, faces = [], []
    for curve in curves:
        own = max(curve.responses)
        shares = _shares(curve.angles, curve.responses, turn, shift, own, step=2.0)  # finer is not seen at this size
        edge = [_at(2.0 * i, INNER + share * (OUTER - INNER)) for i, share in enumerate(shares)]
        colour = f"hsl({curve.peak * 360 / turn:.0f} 65% 52%)"
        shapes.append((colour, "M" + "L".join(edge) + "Z", curve.name, f"{curve.peak:g}"))
        x, y = (float(part) for part in _at(curve.peak - shift, RING).split())
        place = (x - SMALL, y - SMALL, 2 * SMALL, 2 * SMALL)
        faces.append((curve.href, curve.name, f"{curve.peak:g}", *(f"{part:.1f}" for part in place), curve.face))
    return format_html(
        '<svg class="radial joint" viewBox="-160 -160 320 320" role="group" aria-labelledby="joint-t joint-d">'
        '<title id="joint-t">Responses of the members to {}s by orientation</title>'
        '<desc id="joint-d">A polar plot of {} tuning curves, each to its own maximum, with the neurons around '
        "it where they peak.</desc>"
        '<g class="grid"><circle r="{}"/></g><g class="shapes">{}</g><circle class="core" r="{}"/>{}</svg>',
        *(stimulus, len(curves), OUTER),
        format_html_join("", '<path fill="{0}" stroke="{0}" d="{1}"><title>{2}, peak {3}°</title></path>', shapes),
        INNER,
        format_html_join(
            "",
            '<a href="{}"><title>{}, peak {}°</title><svg x="{}" y="{}" width="{}" height="{}">{}</svg></a>',
            faces,
        ),
    )


# How a neuron's standing looks in a coverage map; the order is that of legends. Visitors are told that it is settled or
# how often it was read (independence); reviewers see the rest.
STATES: Mapping[str, str] = {
    "accepted": "accepted into a family",
    "contested": "contested",
    "stale": "accepted, to be looked at again",
    "agreed": "agreed, awaiting a reviewer",
    "disputed": "disputed",
    "needs-evidence": "needs evidence",
    "needs-family": "needs a family",
    "three": "three readings or more",
    "two": "two readings",
    "one": "one reading",
    "unread": "nobody has read it",
}
_GLYPHS: Mapping[str, str] = {
    "contested": "M{x} {y}l.84 .84m0 -.84l-.84 .84",
    "disputed": "M{x} {y}l.84 .84m0 -.84l-.84 .84",
    "agreed": "M{x} {y}h.84v.84h-.84zm.24 .24v.36h.36v-.36z",
    "needs-evidence": "M{x} {y}h.84v.84h-.84zm.14 .14v.56h.56v-.56z",
    "needs-family": "M{x} {y}h.84l-.84 .84z",
}
MAP_COLUMNS = 24


def state_cell(state: str) -> SafeString:
    """One cell of the coverage map, for its legend."""
    return mark_safe(
        f'<svg class="map cell" viewBox="-.1 -.1 1.04 1.04" aria-hidden="true">{_states({state: [0]}, 1)}</svg>'
    )


def _states(places: Mapping[str, Sequence[int]], columns: int) -> str:
    paths = []
    for state in STATES:
        if state in places:
            glyph = _GLYPHS.get(state, "M{x} {y}h.84v.84h-.84z")
            path = "".join(glyph.format(x=index % columns, y=index // columns) for index in places[state])
            paths.append(f'<path class="s-{state}" d="{path}"/>')
    return "".join(paths)


def coverage_map(layer: str, href: str, states: Sequence[str]) -> SafeString:
    """Every neuron of a layer as a cell coloured by its state: one path a state, whatever the number of neurons.

    Args:
        states: for each neuron in order, one of ``STATES``.
    """
    places: dict[str, list[int]] = {}
    for index, state in enumerate(states):
        places.setdefault(state, []).append(index)
    columns = min(MAP_COLUMNS, max(len(states), 1))
    told = ", ".join(f"{len(places[state])} {words}" for state, words in STATES.items() if state in places)
    return format_html(
        '<svg class="map" viewBox="-.1 -.1 {} {}" width="{}" role="img" data-columns="{}" data-count="{}" '
        'data-href="{}" data-layer="{}"><title>{}: {}</title>{}</svg>',
        *(f"{columns + 0.04:g}", f"{math.ceil(len(states) / columns) + 0.04:g}", columns * 14, columns, len(states)),
        *(href, layer, layer, told, mark_safe(_states(places, columns))),
    )


def coverage_bar(states: Mapping[str, int]) -> SafeString:
    """How many neurons are in which state, as one bar of parts."""
    total = sum(states.values()) or 1
    x = 0.0
    parts = []
    for state in STATES:
        if states.get(state):
            width = states[state] / total * 100
            parts.append((state, f"{x:.2f}", f"{width:.2f}", STATES[state], states[state]))
            x += width
    return format_html(
        '<svg class="bar" viewBox="0 0 100 1" preserveAspectRatio="none" role="img"><title>{}</title>{}</svg>',
        ", ".join(f"{states[state]} {STATES[state]}" for state in STATES if states.get(state)) or "no neurons",
        format_html_join("", '<rect class="s-{}" x="{}" width="{}" height="1"><title>{}: {}</title></rect>', parts),
    )


def crop(href: str, size: int, box: Sequence[float], label: str) -> SafeString:
    """The part of a square picture, ``size`` pixels wide, that lies in the box (left, top, right, bottom)."""
    left, top, right, bottom = box
    width, height = right - left, bottom - top
    side = max(width, height)  # a box that the picture's border cuts is not square: the inner svg clips to it
    return format_html(
        '<svg class="crop" role="img" aria-label="{}" viewBox="0 0 {} {}"><svg x="{}" y="{}" width="{}" height="{}" '
        'viewBox="{} {} {} {}"><image href="{}" width="{}" height="{}"/></svg></svg>',
        *(label, side, side, (side - width) / 2, (side - height) / 2, width, height),
        *(left, top, width, height, href, size, size),
    )


def place(href: str, size: int, box: Sequence[float]) -> SafeString:
    """The whole picture, with the box drawn in it."""
    left, top, right, bottom = box
    return format_html(
        '<svg class="place" viewBox="-1 -1 {} {}" aria-hidden="true"><image href="{}" width="{}" height="{}"/>'
        '<rect class="part" x="{}" y="{}" width="{}" height="{}"/></svg>',
        *(size + 2, size + 2, href, size, size, left, top, right - left, bottom - top),
    )


@dataclass(frozen=True)
class Node:
    """A family in the diagram of a network; ``face`` is its first neuron's."""

    key: int
    href: str
    name: str
    count: int
    face: SafeString


COLUMN, ROW, PICTURE = 190, 40, 30


def flow(columns: Sequence[tuple[str, Sequence[Node]]], links: Sequence[tuple[int, int]]) -> SafeString:
    """Families as nodes, layers as columns, links between families of different layers as curves.

    Args:
        columns: a layer's name and its families, in the order of the layers.
        links: pairs of node keys, from the earlier family to the later one.
    """
    deepest = max((len(nodes) for _, nodes in columns), default=0)
    height = 30 + deepest * ROW
    places: dict[int, tuple[float, float]] = {}
    drawn = []
    for number, (layer, nodes) in enumerate(columns):
        x = number * COLUMN
        drawn.append(format_html('<text class="layer" x="{}" y="14">{}</text>', x, layer))
        for row, node in enumerate(nodes):
            y = 30 + row * ROW
            places[node.key] = (x, y + PICTURE / 2)
            name = node.name if len(node.name) <= 20 else node.name[:19] + "…"
            drawn.append(
                format_html(
                    '<a href="{}"><title>{}: {}</title><svg x="{}" y="{}" width="{}" height="{}">{}</svg>'
                    '<text x="{}" y="{}">{}</text><text class="count" x="{}" y="{}">{}</text></a>',
                    *(node.href, layer, node.name, x, y, PICTURE, PICTURE, node.face),
                    *(x + PICTURE + 7, y + 13, name, x + PICTURE + 7, y + 28, node.count),
                )
            )
    curves = []
    for start, end in links:
        if start in places and end in places and places[start][0] < places[end][0]:
            (x1, y1), (x2, y2) = places[start], places[end]
            x1 += COLUMN - 42
            curves.append((f"M{x1} {y1:.0f}C{x1 + 22} {y1:.0f} {x2 - 26} {y2:.0f} {x2 - 4} {y2:.0f}",))
    return format_html(
        '<svg class="flow" viewBox="0 0 {0} {1}" width="{0}" height="{1}" role="group" '
        'aria-label="Families through the layers"><g class="links">{2}</g>{3}</svg>',
        *(len(columns) * COLUMN - 10, height),
        format_html_join("", '<path d="{}"/>', curves),
        SafeString("".join(drawn)),
    )
