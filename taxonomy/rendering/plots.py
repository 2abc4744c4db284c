"""Plots as SVG: each with a title and a description; colours come from the stylesheet, so that both themes hold."""

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


def interval(value: float, low: float, high: float, limit: float) -> SafeString:
    """A figure of at most 1 on a scale from 0 (or from where its interval begins), with its interval and a limit."""
    start = min(0.0, math.floor(low * 10) / 10)

    def x(figure: float) -> str:
        return f"{(figure - start) / (1 - start) * 100:.2f}"

    told = f"{value:.2f}, 95 % interval from {low:.2f} to {high:.2f}; the limit is {limit:.3f}"
    return format_html(
        '<svg class="interval{}" viewBox="-2 0 104 10" preserveAspectRatio="xMinYMid" role="img"><title>{}</title>'
        '<path class="axis" d="M0 5h100"/><path class="limit" d="M{} 0v10"/>'
        '<path class="range" d="M{} 5H{}"/><circle cx="{}" cy="5" r="2.4"/></svg>',
        *(" low" if value < limit else "", told.replace("-", "\u2212"), x(limit), x(low), x(high), x(value)),
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


def place(href: str, size: int, box: Sequence[float], overlay: SafeString | str = "") -> SafeString:
    """The whole picture with the box drawn in it; beside it once more under an ``overlay``, if there is one."""
    left, top, right, bottom = box
    part = format_html(
        '<rect class="part" x="{}" y="{}" width="{}" height="{}"/>', left, top, right - left, bottom - top
    )
    picture = format_html('<image href="{}" width="{}" height="{}"/>', href, size, size)
    beside = SafeString("")
    if overlay:
        beside = format_html(
            '<svg x="{}" width="{}" height="{}" viewBox="0 0 {} {}"><g class="dim">{}</g>{}{}</svg>',
            *(size + 6, size, size, size, size, picture, overlay, part),
        )
    return format_html(
        '<svg class="place{}" viewBox="-1 -1 {} {}" aria-hidden="true">{}{}{}</svg>',
        *(" double" if overlay else "", (2 * size + 8) if overlay else size + 2, size + 2, picture, part, beside),
    )


def map_over(strip: str, number: int, shape: tuple[int, int, int], cells: tuple[float, float]) -> SafeString:
    """One activation map of a strip of several, laid over the picture that it is of.

    Args:
        shape: how many maps the strip holds, and the rows and columns of each.
        cells: where the first cell begins in the picture and how wide a cell is, in its pixels.
    """
    count, rows, columns = shape
    start, stride = cells
    return format_html(
        '<svg class="map-over" x="{0}" y="{0}" width="{1}" height="{2}" viewBox="{3} 0 {4} {5}" '
        'preserveAspectRatio="none"><image href="{6}" width="{7}" height="{5}" preserveAspectRatio="none"/></svg>',
        *(f"{start:g}", f"{columns * stride:g}", f"{rows * stride:g}", number * columns, columns, rows),
        *(strip, count * columns),
    )


def grid_mark(rows: int, columns: int, row: int, column: int) -> SafeString:
    """A frame around one cell of a grid of pictures, to lie over it."""
    return format_html(
        '<svg class="grid-mark" viewBox="0 0 {} {}" aria-hidden="true">'
        '<rect x="{}" y="{}" width="1" height="1"/></svg>',
        *(columns, rows, column, row),
    )


def signed_bar(excites: float, inhibits: float) -> SafeString:
    """Two shares of a whole, away from a common middle: what excites to the right, what inhibits to the left."""
    return format_html(
        '<svg class="signed" viewBox="-100 0 200 1" preserveAspectRatio="none" aria-hidden="true">'
        '<rect class="ground" x="-100" width="200" height="1"/>'
        '<rect class="i" x="{}" width="{}" height="1"/><rect class="e" x="0" width="{}" height="1"/></svg>',
        *(f"{-100 * min(inhibits, 1):.1f}", f"{100 * min(inhibits, 1):.1f}", f"{100 * min(excites, 1):.1f}"),
    )


CELL = 46  # pixels that a kernel takes at most


def matrix(
    href: str, rows: Sequence[tuple[str, str, SafeString]], columns: Sequence[tuple[str, str, SafeString]], title: str
) -> SafeString:
    """A picture of kernels, members by source, with the neurons at its ends.

    Args:
        rows: for each, its page's address, its name and its face; ``columns`` the same.
    """
    wide, high = len(columns), len(rows)
    gap = 0.12
    ends = [(end, -1 - gap, at) for at, end in enumerate(rows)] + [
        (end, at, -1 - gap) for at, end in enumerate(columns)
    ]
    faces = (
        (address, name, f"{x + 0.04:.2f}", f"{y + 0.04:.2f}", 0.92, 0.92, face) for (address, name, face), x, y in ends
    )
    return format_html(
        '<svg class="matrix" viewBox="{} {} {} {}" width="{}" role="group" aria-label="{}">'
        '<rect class="ground" width="{}" height="{}"/>'
        '<image href="{}" width="{}" height="{}" preserveAspectRatio="none"/>{}</svg>',
        *(-1 - gap, -1 - gap, wide + 1 + gap, high + 1 + gap, (wide + 1) * CELL, title, wide, high, href, wide, high),
        format_html_join(
            "",
            '<a href="{}" aria-label="{}"><title>{}</title><svg x="{}" y="{}" width="{}" height="{}">{}</svg></a>',
            ((address, name, name, *rest) for address, name, *rest in faces),
        ),
    )


def loom(
    kernels: Sequence[Sequence[Kernel]],
    scale: float,
    rows: Sequence[tuple[str, str, SafeString]],
    columns: Sequence[tuple[str, str, SafeString]],
    title: str,
) -> SafeString:
    """A matrix of kernels drawn weight by weight, as ``matrix`` shows one that is a picture already.

    Args:
        kernels: for each row and column, all of one size.
        rows: for each, its address, its name and its face; ``columns`` the same.
    """
    k = len(kernels[0][0])
    cells: dict[tuple[str, int], list[str]] = {}
    for down, line in enumerate(kernels):
        for across, kernel in enumerate(line):
            for y, values in enumerate(kernel):
                for x, value in enumerate(values):
                    step = min(STEPS, round(abs(value) / scale * STEPS)) if scale else 0
                    if step:
                        at = f"M{across * (k + 1) + x} {down * (k + 1) + y}h1v1h-1z"
                        cells.setdefault(("e" if value > 0 else "i", step), []).append(at)
    wide, high, side = len(columns) * (k + 1) - 1, len(rows) * (k + 1) - 1, k + 1
    ends = [(end, -side, at * side) for at, end in enumerate(rows)] + [
        (end, at * side, -side) for at, end in enumerate(columns)
    ]
    return format_html(
        '<svg class="loom kernel" viewBox="{0} {0} {1} {2}" width="{3}" role="group" aria-label="{4}">'
        '<path class="ground" d="{5}"/><g shape-rendering="crispEdges">{6}</g>{7}</svg>',
        *(-side, wide + side, high + side, (len(columns) + 1) * CELL, title),
        "".join(
            f"M{across * side} {down * side}h{k}v{k}h-{k}z"
            for down in range(len(rows))
            for across in range(len(columns))
        ),
        format_html_join(
            "",
            '<path class="{}" fill-opacity="{}" d="{}"/>',
            ((sign, f"{step / STEPS:.2f}", "".join(parts)) for (sign, step), parts in sorted(cells.items())),
        ),
        format_html_join(
            "",
            '<a href="{}" aria-label="{}"><title>{}</title><svg x="{}" y="{}" width="{}" height="{}">{}</svg></a>',
            ((address, name, name, x, y, k, k, face) for (address, name, face), x, y in ends),
        ),
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
