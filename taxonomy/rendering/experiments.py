"""Experiments as SVG: the same before and after on one scale, and the effect beside what chance does to it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

WIDE = 440.0
SIDE = 14.0  # left and right of the axis, so that labels at its ends are whole
CONTROL_ROW, ROW = 34.0, 26.0


@dataclass(frozen=True)
class Axis:
    """Numbers along a line from ``low`` to ``high``, drawn ``WIDE`` units wide."""

    low: float
    high: float

    @classmethod
    def over(cls, values: Sequence[float]) -> "Axis":
        """One on which all of these lie, with some room."""
        low, high = min(values), max(values)
        room = 0.06 * ((high - low) or abs(high) or 1.0)
        return cls(low - room, high + room)

    def x(self, value: float) -> float:
        return SIDE + (value - self.low) / (self.high - self.low) * (WIDE - 2 * SIDE)

    @property
    def ticks(self) -> list[float]:
        """Five round numbers or so."""
        rough = (self.high - self.low) / 5
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * 0.999)
        first = math.ceil(self.low / step)
        return [step * number for number in range(first, math.floor(self.high / step + 1e-9) + 1)]


def told(value: float, *, percent: bool = False, sign: bool = False) -> str:
    """A figure with a true minus sign."""
    text = f"{100 * value:.3g} %" if percent else f"{value:.3g}"
    return ("+" if sign and value > 0 else "") + text.replace("-", "−")


def _axis(axis: Axis, top: float, bottom: float, percent: bool) -> SafeString:
    lines = "".join(f"M{axis.x(tick):.1f} {top:.0f}V{bottom:.0f}" for tick in axis.ticks)
    ticks = ((f"{axis.x(tick):.1f}", bottom + 17, told(tick, percent=percent)) for tick in axis.ticks)
    return format_html(
        '<path class="grid" d="{}"/>{}',
        lines,
        format_html_join("", '<text class="tick" x="{}" y="{}" text-anchor="middle">{}</text>', ticks),
    )


def effect(
    value: float,
    low: float,
    high: float,
    controls: Sequence[float],
    *,
    change: str,
    margin: float,
    percent: bool = False,
    unit: str = "",
) -> SafeString:
    """The effect with its 95 % interval above what the same does to the controls, and where the claim would hold.

    Args:
        change: "rises", "falls" or "unchanged", by more than (or within) the ``margin``.
        percent: whether the figures are shares of what there was before.
        unit: of the figures, for the description.
    """
    edges = [-margin, margin] if change == "unchanged" else [margin if change == "rises" else -margin]
    axis = Axis.over([0.0, value, low, high, *controls, *edges])
    start = axis.low if change == "falls" else edges[0]
    end = axis.high if change == "rises" else edges[-1]
    rows = _stacked(axis, controls)
    height = max([row for _, row in rows], default=0) * 7.0
    middle, below = ROW, ROW + CONTROL_ROW + height
    bottom = below + 14
    said = (
        f"An axis. The effect is {told(value, percent=percent, sign=True)} {unit}".strip()
        + f", with a 95 % interval from {told(low, percent=percent)} to {told(high, percent=percent)}. "
        + (
            f"The {len(controls)} controls lie from {told(min(controls), percent=percent)} "
            f"to {told(max(controls), percent=percent)}. "
            if controls
            else ""
        )
        + f"The claim holds from {told(start, percent=percent)} to {told(end, percent=percent)}, which is shaded."
    )
    return format_html(
        '<svg class="experiment effect" viewBox="0 0 {} {}" role="img" aria-labelledby="effect-t effect-d">'
        '<title id="effect-t">The effect and its controls</title><desc id="effect-d">{}</desc>'
        '<rect class="holds" x="{}" width="{}" height="{}"/>{}<path class="zero" d="M{} 0V{}"/>'
        '<path class="margin" d="{}"/><path class="range" d="M{} {}H{}"/><circle class="mean" cx="{}" cy="{}" r="6"/>'
        '<g class="controls">{}</g></svg>',
        *(f"{WIDE:g}", f"{bottom + 22:.0f}", said),
        *(f"{axis.x(start):.1f}", f"{axis.x(end) - axis.x(start):.1f}", f"{bottom:.0f}"),
        _axis(axis, 0, bottom, percent),
        *(f"{axis.x(0):.1f}", f"{bottom:.0f}"),
        "".join(f"M{axis.x(edge):.1f} 0V{bottom:.0f}" for edge in edges),
        *(f"{axis.x(low):.1f}", f"{middle:g}", f"{axis.x(high):.1f}", f"{axis.x(value):.1f}", f"{middle:g}"),
        format_html_join(
            "", '<circle cx="{}" cy="{}" r="3.6"/>', ((f"{x:.1f}", f"{below - row * 7:.1f}") for x, row in rows)
        ),
    )


def _stacked(axis: Axis, values: Sequence[float]) -> list[tuple[float, int]]:
    """Where each lies, and above how many others that it would cover."""
    found: list[tuple[float, int]] = []
    for x in sorted(axis.x(value) for value in values):
        taken = {row for other, row in found if x - other < 7.5}
        found.append((x, next(row for row in range(len(values) + 1) if row not in taken)))
    return found


def ranges(rows: Sequence[tuple[str, float, float, float]], title: str, *, percent: bool = False) -> SafeString:
    """Figures with their 95 % intervals under each other, on one scale.

    Args:
        rows: a name ("before"), which is its class too, the figure, and its interval from and to.
    """
    axis = Axis.over([end for _, _, low, high in rows for end in (low, high)])
    bottom = 14 + ROW * len(rows)
    said = "; ".join(
        f"{name} {told(value, percent=percent)}, from {told(low, percent=percent)} to {told(high, percent=percent)}"
        for name, value, low, high in rows
    )
    drawn = (
        (name, f"{axis.x(low):.1f}", f"{14 + ROW * at:.0f}", f"{axis.x(high):.1f}", f"{axis.x(value):.1f}")
        for at, (name, value, low, high) in enumerate(rows)
    )
    return format_html(
        '<svg class="experiment ranges" viewBox="0 0 {} {}" role="img"><title>{}: {}</title>{}{}</svg>',
        *(f"{WIDE:g}", f"{bottom + 22:.0f}", title, said, _axis(axis, 0, bottom, percent)),
        format_html_join(
            "",
            '<g class="{0}"><path class="range" d="M{1} {2}H{3}"/><circle class="mean" cx="{4}" cy="{2}" r="5"/></g>',
            drawn,
        ),
    )


PLOT, MOST_POINTS = 240.0, 1_000


def pairs(found: Sequence[tuple[float, float]], unit: str) -> SafeString:
    """Each pair as a point, its value before to the right and after upwards: what did not change lies on the line."""
    every = [value for pair in found for value in pair]
    axis = Axis.over(every)
    step = max(1, math.ceil(len(found) / MOST_POINTS))

    def at(value: float) -> float:
        return (value - axis.low) / (axis.high - axis.low) * PLOT

    points = "".join(f"M{at(before):.1f} {PLOT - at(after):.1f}h0" for before, after in found[::step])
    up = sum(after > before for before, after in found)
    down = sum(after < before for before, after in found)
    return format_html(
        '<svg class="experiment pairs" viewBox="-2 -2 {} {}" role="img"><title>Before and after, for {} pairs</title>'
        "<desc>A square with the value before to the right and the value after upwards, both from {} to {} {}. {} lie "
        "above the diagonal, {} below it.</desc>"
        '<rect class="frame" width="{}" height="{}"/><path class="same" d="M0 {}L{} 0"/>'
        '<path class="points" d="{}"/></svg>',
        *(PLOT + 4, PLOT + 4, len(found), told(min(every)), told(max(every)), unit, up, down),
        *(PLOT, PLOT, PLOT, PLOT, points),
    )


@dataclass(frozen=True)
class Tuned:
    """One neuron's responses to a sweep, before a change, after it, and after one of its controls."""

    name: str
    before: Sequence[float]
    after: Sequence[float]
    control: Sequence[float]

    @property
    def strongest(self) -> float:
        return max([0.0, *self.before, *self.after, *self.control])


SMALL, HIGH, MOST_PLACES = 200.0, 110.0, 120


def tuned(neuron: Tuned, axis: Sequence[float], period: float, full: float) -> SafeString:
    """Its tuning curves over each other, from the angle at which it peaked before; ``full`` reaches the top.

    A quarter of the turn lies to the left of that peak, so that what faces away from it, an echo, is not cut in two.
    """
    peak = axis[max(range(len(axis)), key=lambda at: neuron.before[at])] if max(neuron.before) > 0 else axis[0]
    quarter = period / 4
    order = sorted(range(len(axis)), key=lambda at: (axis[at] - peak + quarter) % period)
    order = order[:: max(1, math.ceil(len(order) / MOST_PLACES))]
    bottom = min([0.0, *neuron.before, *neuron.after, *neuron.control])
    bottom = max(bottom, -0.25 * full)
    scale = (full - bottom) or 1.0

    def line(values: Sequence[float]) -> str:
        return "M" + "L".join(
            f"{(axis[at] - peak + quarter) % period / period * SMALL:.1f} "
            f"{HIGH - (max(values[at], bottom) - bottom) / scale * HIGH:.1f}"
            for at in order
        )

    zero = HIGH + bottom / scale * HIGH
    said = f"largest response {told(max(neuron.before))} before and {told(max(neuron.after))} after"
    return format_html(
        '<svg class="experiment tuned" viewBox="-2 -4 {} {}" role="img"><title>{}: {}</title>'
        '<path class="grid" d="M{} 0V{}M{} 0V{}"/><path class="zero" d="M0 {}H{}"/>'
        '<path class="control" d="{}"/><path class="before" d="{}"/><path class="after" d="{}"/></svg>',
        *(SMALL + 4, HIGH + 8, neuron.name, said),
        *(SMALL / 4, HIGH, SMALL * 3 / 4, HIGH, f"{zero:.1f}", SMALL),
        *(line(neuron.control) if neuron.control else "", line(neuron.before), line(neuron.after)),
    )
