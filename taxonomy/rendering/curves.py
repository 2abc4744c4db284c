"""Curves as SVG: what a neuron is tuned to, and how often it has which value. Each has a title and a description."""

import bisect
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

OUTER = 112.0
INNER = 0.3 * OUTER  # as in "Curve Detectors": a circle of .3 r stands for no response
GLYPHS = 131.0
FACE = 24.0
WEDGE = 3  # degrees of one hue


@dataclass(frozen=True)
class Curve:
    """Responses along an axis. ``others`` are the same for other values of a further parameter: drawn faintly."""

    stimulus: str
    axis: str
    unit: str
    period: float | None
    places: Sequence[float]
    responses: Sequence[float]
    peak: float | None = None
    others: Sequence[tuple[Sequence[float], Sequence[float]]] = ()

    @property
    def strongest(self) -> float:
        """The largest response that is drawn; 0 where there is none."""
        return max([0.0, *self.responses, *(value for _, responses in self.others for value in responses)])


def read(data: Any, sd: float | None = None) -> Curve:
    """The tuning curve that the numbers of ``tuning_curves`` tell, in the neuron's sd where that is known.

    Raises:
        KeyError, TypeError, ValueError, AttributeError: where they do not read as that.
    """
    scale, axis = 1.0 / sd if sd else 1.0, data["axis"]

    def scaled(values: Sequence[float]) -> list[float]:
        return [float(value) * scale for value in values]

    return Curve(
        *(str(data["stimulus"]), str(axis["name"]), str(axis.get("unit") or ""), axis.get("period")),
        axis["values"],
        scaled(data["responses"]),
        data.get("peak"),
        [(other.get("values") or axis["values"], scaled(other["responses"])) for other in data.get("others") or []],
    )


# How the page speaks of the stimuli.
STIMULI = {
    "curve": "curves",
    "line": "lines",
    "grating": "gratings",
    "high_low": "edges between high and low frequencies",
    "centre_surround": "spots on a surround",
    "hue": "hues",
}
# Angles that are clockwise from the vertical, and mean the same half a turn on.
UPRIGHT = ("line", "grating")
# Stimuli whose tuning curves go round, so that those of a family lie over each other.
ORIENTED = ("curve", *UPRIGHT)


def drawn_round(curve: Curve) -> bool:
    return curve.stimulus in (*ORIENTED, "hue") and curve.period is not None


def tuning(curve: Curve, name: str, *, face: str = "", full: float = 0.0, unit: str = "") -> SafeString:
    """The curve around a circle or along a line, as suits its stimulus; see ``radial`` and ``linear``."""
    drawn = radial if drawn_round(curve) else linear
    return drawn(curve, name, face=face, full=full, unit=unit)


def _at(angle: float, radius: float) -> str:
    turned = math.radians(angle)
    return f"{radius * math.cos(turned):.1f} {radius * math.sin(turned):.1f}"


def radial(curve: Curve, name: str, *, face: str = "", full: float = 0.0, unit: str = "") -> SafeString:
    """A tuning curve wrapped around a circle: the further out, the stronger the response to that orientation.

    Args:
        curve: angles in degrees; of curves the direction they bulge to, clockwise from +x (y down), over a whole turn;
            of lines and gratings clockwise from the vertical, over half a turn, which is drawn twice. What lies below
            zero is drawn as zero.
        name: the neuron's address, for the title.
        face: the address of the neuron's picture, drawn at the peak.
        full: the response that reaches the outer circle, where that is more than the curve's own largest: of several
            plots to one scale, a weak response looks weak.
        unit: of the responses, for the description.
    """
    upright = curve.stimulus in UPRIGHT
    turn, shift = curve.period or 360.0, 90.0 if upright else 0.0
    top = curve.strongest
    full = max(full, top)

    def edge_of(places: Sequence[float], responses: Sequence[float], step: float) -> list[str]:
        shares = _shares(places, responses, turn, shift, full, step)
        return [_at(i * step, INNER + share * (OUTER - INNER)) for i, share in enumerate(shares)]

    shares = _shares(curve.places, curve.responses, turn, shift, full) if top > 0 else []
    edge = [_at(i / 2, INNER + share * (OUTER - INNER)) for i, share in enumerate(shares)]
    outline = "M" + "L".join(edge) + "Z" if edge else ""
    faint = "".join("M" + "L".join(edge_of(*other, 2.0)) + "Z" for other in curve.others if top > 0 and other[0])
    wedges: list[tuple[str, str]] = []
    per = 2 * WEDGE
    for i in range(0, len(edge), per):
        if max(shares[i : i + per]) > 0.004:
            middle = (i + per / 2) / 2
            hue = (middle + shift) * 360.0 / turn % 360
            rim = [*edge[i : i + per], edge[(i + per) % len(edge)]]
            inner = _at((i + per) / 2, INNER), _at(i / 2, INNER)
            wedges.append((_colour(hue), "M" + "L".join([*rim, *inner]) + "Z"))
    facing = (
        None if curve.peak is None or top <= 0 else (curve.peak * 360.0 / turn if not upright else curve.peak) - shift
    )
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
            *(f"clip-{curve.stimulus}", face, f"clip-{curve.stimulus}"),
        )
    said = f"peak at {curve.peak:g}°" if curve.peak is not None else "it does not respond to any"
    return format_html(
        '<svg class="radial" viewBox="-160 -160 320 320" role="img" aria-labelledby="radial-{0}-t radial-{0}-d">'
        '<title id="radial-{0}-t">Response of {1} to {2} by {3}</title>'
        '<desc id="radial-{0}-d">A polar plot: {4}. The inner circle stands for no response, the outer one for a '
        "response of {5}. The numbers are in the table below.</desc>"
        '<g class="grid"><circle r="{6}"/><circle class="half" r="{7}"/><path d="M-{6} 0H{6}M0 -{6}V{6}"/></g>'
        '<g class="wedges">{8}</g><path class="faint" d="{9}"/><path class="outline" d="{10}"/>'
        '<circle class="core" r="{11}"/>{12}{13}</svg>',
        curve.stimulus,
        name,
        STIMULI.get(curve.stimulus, curve.stimulus),
        "orientation" if curve.axis == "angle" else curve.axis,
        said,
        f"{full:.3g} {unit}".strip(),
        OUTER,
        (OUTER + INNER) / 2,
        format_html_join("", '<path fill="{0}" stroke="{0}" d="{1}"/>', wedges),
        faint,
        outline,
        INNER,
        _ring(curve.stimulus, facing if face else None),
        picture,
    )


def _colour(hue: float) -> str:
    return f"hsl({hue:.0f} 70% 55%)"


def _ring(stimulus: str, facing: float | None) -> SafeString:
    """What is shown at each place of the circle: small stimuli, or the hues themselves; none behind the picture."""
    if stimulus == "hue":
        arcs = [
            (_colour(hue + 3), f"M{_at(hue, GLYPHS)}A{GLYPHS:g} {GLYPHS:g} 0 0 1 {_at(hue + 6.5, GLYPHS)}")
            for hue in range(0, 360, 6)
        ]
        return format_html('<g class="hues">{}</g>', format_html_join("", '<path stroke="{}" d="{}"/>', arcs))
    drawn = {"line": _line_glyph, "grating": _grating_glyph}.get(stimulus, _curve_glyph)
    step = 30 if stimulus == "grating" else 15
    glyphs = [
        drawn(direction)
        for direction in range(0, 360, step)
        if facing is None or abs((direction - facing + 180) % 360 - 180) > 16
    ]
    return format_html('<g class="glyphs"><path d="{}"/></g>', "".join(glyphs))


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


def _grating_glyph(direction: float) -> str:
    """Three short stripes along ``direction``."""
    x, y = (float(part) for part in _at(direction, 4.5).split())
    found = []
    for side in (-1, 0, 1):
        ends = (_at(direction, GLYPHS + reach).split() for reach in (-7, 7))
        found.append("L".join(f"{float(a) - side * y:.1f} {float(b) + side * x:.1f}" for a, b in ends))
    return "".join(f"M{stripe}" for stripe in found)


WIDE, HIGH = 320.0, 200.0


def linear(curve: Curve, name: str, *, face: str = "", full: float = 0.0, unit: str = "") -> SafeString:
    """A tuning curve along its axis, the response upwards, with zero marked; arguments as for ``radial``."""
    del face  # the peak is marked on the axis
    every = [*curve.responses, *(value for _, responses in curve.others for value in responses)]
    top = max(full, curve.strongest) or 1.0
    bottom = max(min([0.0, *every]), -0.35 * top)  # an inhibited neuron is not to squeeze what excites it
    first, last = min(curve.places), max(curve.places)
    spread = last - first or 1.0

    def line(places: Sequence[float], responses: Sequence[float]) -> str:
        points = (
            f"{(place - first) / spread * WIDE:.1f} {height(response):.1f}"
            for place, response in zip(places, responses, strict=True)
        )
        return "M" + "L".join(points)

    def height(response: float) -> float:
        return HIGH - (max(response, bottom) - bottom) / (top - bottom) * HIGH

    zero = height(0.0)
    main = line(curve.places, curve.responses)
    peak = SafeString("")
    if curve.peak is not None and curve.strongest > 0:
        x = (curve.peak - first) / spread * WIDE
        peak = format_html('<path class="peak" d="M{0} 0V{1}"/>', f"{x:.1f}", f"{zero:.1f}")
    said = f"peak at {curve.peak:g} {curve.unit}" if curve.peak is not None else "it does not respond to any"
    return format_html(
        '<svg class="linear" viewBox="-2 -6 {} {}" role="img" aria-labelledby="linear-{}-t linear-{}-d">'
        '<title id="linear-{}-t">Response of {} to {} by {}</title>'
        '<desc id="linear-{}-d">A plot with the {} from {} to {} {} along the bottom: {}. Its height stands for a '
        "response of {}. The numbers are in the table below.</desc>"
        '<path class="grid" d="M0 0H{}M0 {}H{}"/><path class="zero" d="M0 {}H{}"/>'
        '<path class="area" d="{}"/><path class="faint" d="{}"/><path class="outline" d="{}"/>{}</svg>',
        *(WIDE + 4, HIGH + 12, curve.stimulus, curve.stimulus),
        *(curve.stimulus, name, STIMULI.get(curve.stimulus, curve.stimulus), curve.axis),
        *(curve.stimulus, curve.axis, f"{first:g}", f"{last:g}", curve.unit, said, f"{top:.3g} {unit}".strip()),
        *(WIDE, f"{(zero) / 2:.1f}", WIDE, f"{zero:.1f}", WIDE),
        f"{main}V{zero:.1f}H0Z",
        "".join(line(*other) for other in curve.others if other[0]),
        main,
        peak,
    )


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
    lines = stimulus in UPRIGHT
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


def turned(
    name: str, angles: Sequence[float], members: Sequence[tuple[float | None, Sequence[float]]], mean: Sequence[float]
) -> SafeString:
    """The members' responses to examples that are turned away from the orientation each prefers, and their mean.

    Args:
        angles: from each member's preferred orientation, in degrees.
        members: for each, the orientation it prefers, which gives its hue, and its responses over its own maximum.
    """
    order = sorted(range(len(angles)), key=lambda i: (angles[i] + 180) % 360)
    places = [(angles[i] + 180) % 360 - 180 for i in order]
    first, last = places[0], places[-1]
    spread = last - first or 1.0

    def line(responses: Sequence[float]) -> str:
        heights = (HIGH - max(0.0, min(1.05, responses[i])) * (HIGH - 10) for i in order)
        return "M" + "L".join(
            f"{(place - first) / spread * WIDE:.1f} {height:.1f}" for place, height in zip(places, heights, strict=True)
        )

    hues = [(f"hsl({peak or 0:.0f} 65% 52%)", line(responses)) for peak, responses in members]
    return format_html(
        '<svg class="linear turned" viewBox="-2 -6 {} {}" role="img" aria-labelledby="turned-t turned-d">'
        '<title id="turned-t">Responses of the members of {} to examples that are turned</title>'
        '<desc id="turned-d">{} curves, each over its own maximum, by the angle from the orientation that the member '
        "prefers, and their mean. The numbers are in the table below.</desc>"
        '<path class="grid" d="M{} 0V{}M0 {}H{}"/><g class="members">{}</g><path class="outline" d="{}"/></svg>',
        *(WIDE + 4, HIGH + 12, name, len(members)),
        *(f"{-first / spread * WIDE:.1f}", HIGH, HIGH, WIDE),
        format_html_join("", '<path stroke="{}" d="{}"/>', hues),
        line(mean),
    )


PLOT, UPPER, LOWER = 720.0, 150.0, 104.0


def histogram(name: str, edges: Sequence[float], counts: Sequence[int], mean: float) -> SafeString:
    """How often a neuron has which value, and below it what each value adds to the expected one: x p(x).

    Args:
        edges: of the bins, of equal width, rising; one more than ``counts``.
        mean: is marked in both.
    """
    total = sum(counts) or 1
    left, right = edges[0], edges[-1]
    spread = right - left or 1.0

    def x(value: float) -> float:
        return (value - left) / spread * PLOT

    # The lowest decade that is drawn is that of a single sample: what is empty is empty.
    decades = max(1.0, math.log10(total))
    bars, adds = [], []
    shares = [count / total for count in counts]
    middles = [(start + end) / 2 for start, end in itertools.pairwise(edges)]
    # Only what is above zero passes a ReLU, and it is mostly little: each side has a scale of its own.
    most = {True: 0.0, False: 0.0}
    for middle, share in zip(middles, shares, strict=True):
        most[middle >= 0] = max(most[middle >= 0], abs(middle * share))
    axis = UPPER + 26 + (LOWER - 26) * (0.6 if most[True] and most[False] else 1.0 if most[True] else 0.0)
    room = {True: axis - UPPER - 26, False: UPPER + LOWER - axis}
    for start, end, middle, share, count in zip(edges, edges[1:], middles, shares, counts, strict=False):
        if not count:
            continue
        wide = max(x(end) - x(start) - 0.8, 0.5)
        high = max((math.log10(share) + decades) / decades, 0.0) * (UPPER - 8) + 4
        bars.append(f"M{x(start):.1f} {UPPER:.0f}h{wide:.1f}v-{high:.1f}h-{wide:.1f}z")
        side = middle >= 0
        add = middle * share / (most[side] or 1.0) * room[side]
        adds.append(("excite" if side else "inhibit", f"M{x(start):.1f} {axis:.1f}h{wide:.1f}v{-add:.2f}h-{wide:.1f}z"))
    zero = SafeString("")
    if left <= 0 <= right:
        zero = format_html(
            '<path class="zero" d="M{0} 0V{1}"/><text class="tick" x="{0}" y="{2}" text-anchor="{3}">0</text>',
            *(f"{x(0.0):.1f}", UPPER + LOWER, UPPER + 17, _anchor(x(0.0))),
        )
    ticks = [
        (f"{x(value):.1f}", UPPER + 17, _anchor(x(value)), words)
        for value, words in ((left, _short(left)), (right, _short(right)))
        if abs(x(value) - x(0.0)) > 30
    ]
    grid = "".join(
        f"M0 {UPPER - 4 - (UPPER - 8) * (1 - decade / decades):.1f}H{PLOT:g}" for decade in range(1, math.ceil(decades))
    )
    return format_html(
        '<svg class="histogram" viewBox="-2 -4 {} {}" role="img" aria-labelledby="histogram-t histogram-d">'
        '<title id="histogram-t">How often {} has which value</title>'
        '<desc id="histogram-d">Above, the share of samples in {} bins from {} to {}, on a logarithmic axis, ten times '
        "more from one line to the next. Below, what each bin adds to the expected value, above the line where it "
        "raises it and under the line where it lowers it, each to its own scale. The numbers are in the table below."
        "</desc>"
        '<path class="grid" d="{}"/><path class="bars" d="{}"/>{}<path class="axis" d="M0 {}H{}M0 {}H{}"/>'
        '<path class="mean" d="M{} 0V{}M{} {}V{}"/>{}{}</svg>',
        *(PLOT + 4, UPPER + LOWER + 8, name, len(counts), _short(left), _short(right)),
        grid,
        "".join(bars),
        format_html_join("", '<path class="{}" d="{}"/>', _joined(adds)),
        *(UPPER, PLOT, f"{axis:.1f}", PLOT),
        *(f"{x(mean):.1f}", UPPER, f"{x(mean):.1f}", UPPER + 22, UPPER + LOWER),
        format_html_join("", '<text class="tick" x="{}" y="{}" text-anchor="{}">{}</text>', ticks),
        zero,
    )


def _joined(parts: Sequence[tuple[str, str]]) -> list[tuple[str, SafeString]]:
    """One path for each class."""
    return [(name, mark_safe("".join(path for one, path in parts if one == name))) for name in ("excite", "inhibit")]


def _anchor(x: float) -> str:
    return "start" if x < 20 else "end" if x > PLOT - 20 else "middle"


def _short(value: float) -> str:
    return f"{value:.3g}".replace("-", "−")
