"""Tuning curves of several subjects over each other, each over its own maximum: their shapes can be compared."""

import bisect
import math
from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from taxonomy.rendering.curves import STIMULI, Curve

STEP = 3.0  # degrees: finer is not seen
POINTS = 60  # of an axis that does not come round
MARKS = ("first", "second", "third", "fourth")  # the classes of the subjects' lines, in their order
WIDE, HIGH = 320.0, 150.0


@dataclass(frozen=True)
class Shape:
    """A tuning curve over its own maximum, at ``places`` that several shapes share; what lies below zero is zero."""

    name: str
    places: Sequence[float]
    shares: Sequence[float]


def shape(name: str, curve: Curve, *, turned: bool = False) -> Shape | None:
    """A curve's shape; None where it never responds. ``turned``: its peak comes to 0, and the axis goes both ways."""
    top = max(curve.responses, default=0.0)
    if top <= 0 or (turned and (curve.peak is None or curve.period is None)):
        return None
    points = sorted(zip(curve.places, (max(value, 0.0) / top for value in curve.responses), strict=True))
    if curve.period is None:
        first, last = points[0][0], points[-1][0]
        places = [first + (last - first) * i / POINTS for i in range(POINTS + 1)]
        return Shape(name, places, [_between(points, place) for place in places])
    (low, low_share), (high, high_share) = points[0], points[-1]
    points = [(high - curve.period, high_share), *points, (low + curve.period, low_share)]
    count = round(curve.period / STEP)
    start, shift = (-count // 2 * STEP, curve.peak or 0.0) if turned else (0.0, 0.0)
    places = [start + i * STEP for i in range(count)]
    return Shape(name, places, [_between(points, (place + shift) % curve.period) for place in places])


def mean(name: str, shapes: Sequence[Shape]) -> Shape:
    """The mean of shapes over the same places."""
    shares = [sum(column) / len(shapes) for column in zip(*(one.shares for one in shapes), strict=True)]
    return Shape(name, shapes[0].places, shares)


def likeness(one: Shape, other: Shape) -> float | None:
    """Pearson's correlation of two shapes over the same places; None where one of them is flat."""
    if list(one.places) != list(other.places):
        return None
    size = len(one.places)
    first, second = ([share - sum(each.shares) / size for share in each.shares] for each in (one, other))
    norm = math.sqrt(sum(a * a for a in first) * sum(b * b for b in second))
    return sum(a * b for a, b in zip(first, second, strict=True)) / norm if norm > 0 else None


def over_each_other(
    shapes: Sequence[tuple[str, Shape]], *, stimulus: str, axis: str, unit: str, key: str
) -> SafeString:
    """The shapes on one pair of axes.

    Args:
        shapes: each with its mark, one of ``MARKS``.
        axis: what lies along the bottom, for the description.
        key: tells this drawing's ids from those of others on the page.
    """
    places = [place for _, one in shapes for place in one.places]
    first, last = min(places), max(places)
    spread = last - first or 1.0

    def line(one: Shape) -> str:
        return "M" + "L".join(
            f"{(place - first) / spread * WIDE:.1f} {HIGH * (1 - share):.1f}"
            for place, share in zip(one.places, one.shares, strict=True)
        )

    zero = f"{-first / spread * WIDE:.1f}" if first < 0 < last else None
    return format_html(
        '<svg class="linear beside" viewBox="-2 -6 {} {}" role="img" aria-labelledby="{}-t {}-d">'
        '<title id="{}-t">Responses to {} by {}, each over its own maximum</title>'
        '<desc id="{}-d">{} curves over {} from {} to {} {}: {}. The numbers are in the table beside.</desc>'
        '<path class="grid" d="M0 0H{}M0 {}H{}"/><path class="zero" d="M0 {}H{}{}"/>{}</svg>',
        *(WIDE + 4, HIGH + 12, key, key),
        *(key, STIMULI.get(stimulus, stimulus), axis),
        *(key, len(shapes), axis, f"{first:g}", f"{last:g}", unit, ", ".join(one.name for _, one in shapes)),
        *(WIDE, HIGH / 2, WIDE, HIGH, WIDE, f"M{zero} 0V{HIGH}" if zero else ""),
        format_html_join(
            "",
            '<path class="laid {}" d="{}"><title>{}</title></path>',
            ((mark, line(one), one.name) for mark, one in shapes),
        ),
    )


def swatch(mark: str) -> SafeString:
    """The line that stands for a subject, for the legend."""
    return format_html(
        '<svg class="swatch" viewBox="0 0 32 12" width="32" height="12" aria-hidden="true" focusable="false">'
        '<path class="laid {}" d="M1 6H31"/></svg>',
        mark,
    )


def _between(points: Sequence[tuple[float, float]], place: float) -> float:
    """Linear between the two points about a place."""
    after = min(max(bisect.bisect_right(points, (place, math.inf)), 1), len(points) - 1)
    (start, low), (end, high) = points[after - 1], points[after]
    return low + (high - low) * (place - start) / (end - start) if end > start else low
