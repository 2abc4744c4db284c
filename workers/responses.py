"""What the units of a layer answer to pictures that are drawn, or cut, around their centre."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from workers import stimuli
from workers.network import Network
from workers.receptive_field import canvas

BATCH_PIXELS = 2**19  # well under a second of work on one core for the networks known here
FLAT = 1e-4  # a curve that varies by less than this share of its maximum has no peak
ROUNDING = 1e-6  # a value above zero by no more than this is none: rounding leaves it where everything cancels


class Draw(Protocol):
    """Pictures for some values of whatever is varied, around the point `middle`, (x, y) in pixels.

    Grey (values, size, size) or RGB (values, 3, size, size), in [0, 1].
    """

    def __call__(self, values: Any, size: int, /, *, middle: tuple[float, float]) -> NDArray[np.float32]: ...


@dataclass(frozen=True)
class View:
    """Channels of one layer whose units see squares around the same point, on a canvas of `size` x `size` pixels.

    `row` is the unit's row and column, and `middle` the x and y of that point.
    """

    layer: str
    channels: tuple[int, ...]
    size: int
    row: int
    middle: float

    def box(self, network: Network, channel: int) -> tuple[int, int, int, int]:
        """(left, top, right, bottom): what the unit of this channel sees of the canvas, ends excluded."""
        first, _, last, _ = network.layer(self.layer).fields[channel].box(self.row, self.row)
        first, last = max(first, 0), min(last, self.size)
        return first, first, last, last


def views(network: Network, targets: Sequence[tuple[str, int]]) -> list[View]:
    """The targets, sorted into views, from the first layer to the last.

    The canvas just holds the largest square that any unit of the layer sees around the point, whichever channels are
    targets: a response does not depend on the company. Where that is more than the pictures that the network is made
    for, the canvas is such a picture, and the unit the one nearest to its middle.
    """

    def place(target: tuple[str, int]) -> tuple[int, int]:
        layer = network.layer(target[0])
        field = layer.fields[target[1]]
        return layer.order, 2 * field.start + field.size - 1

    found = []
    for (order, twice), group in groupby(sorted(targets, key=place), key=place):
        layer = network.layers[order]
        around = [field for field in set(layer.fields) if 2 * field.start + field.size - 1 == twice]
        field = max(around, key=lambda field: field.size)
        size, row = canvas(field)
        if size > network.preprocessing.size:
            size = network.preprocessing.size
            row = round(((size - 1) - twice) / 2 / field.stride)
        channels = tuple(dict.fromkeys(channel for _, channel in group))
        found.append(View(layer.name, channels, size, row, field.stride * row + twice / 2))
    return found


def respond(
    network: Network,
    view: View,
    draw: Draw,
    values: Sequence[Any] | NDArray[Any],
    *,
    device: torch.device | str = "cpu",
    tick: Callable[[], None] = lambda: None,
) -> NDArray[np.float32]:
    """(values, channels of the view): pre-ReLU values of the unit in the middle of what is drawn for each value."""
    batch = max(1, min(64, BATCH_PIXELS // view.size**2))
    channels = torch.tensor(view.channels, device=device)
    places = np.arange(len(values))
    found = []
    with torch.inference_mode():
        for start in range(0, len(values), batch):
            tick()
            part = places[start : start + batch]
            padded = np.pad(part, (0, batch - len(part)), mode="edge")  # values depend a little on the batch's size
            drawn = torch.from_numpy(draw(np.asarray(values)[padded], view.size, middle=(view.middle,) * 2)).to(device)
            pictures = drawn[:, None].expand(-1, 3, -1, -1) if drawn.ndim == 3 else drawn
            layer = network.activations(pictures, [view.layer])[view.layer]
            found.append(layer[: len(part), channels, view.row, view.row].cpu().numpy())
    return np.concatenate(found)


# What tells orientations apart, and after how many degrees it is the same again.
ORIENTED: dict[str, tuple[Callable[..., NDArray[np.float32]], float]] = {
    "curve": (stimuli.arcs, 360.0),
    "line": (stimuli.lines, 180.0),
}


@dataclass(frozen=True)
class Preference:
    """The angle at which each of some channels of a layer responds most, in the order they were asked for.

    Degrees, as `workers.stimuli` counts them; None for a channel that never responds, or whose responses are no
    numbers.
    """

    stimulus: str  # "curve" or "line"
    period: float  # degrees after which the stimulus is the same again
    angles: tuple[float | None, ...]


def preferred(
    network: Network,
    layer: str,
    channels: Sequence[int],
    *,
    step: float = 2.5,
    device: torch.device | str = "cpu",
    tick: Callable[[], None] = lambda: None,
) -> Preference:
    """Which way the members of a family face: their peaks to curves or to lines, whichever drives more of them more.

    Arcs of radius 40 px and endless lines, in strokes of 3 px, white on black, every `step` degrees. One stimulus for
    all of them, so that their angles can be compared.
    """
    of_each: dict[str, NDArray[np.float32]] = {}
    for name, (draw, period) in ORIENTED.items():
        angles = np.arange(round(period / step)) * step
        answers = np.zeros((len(angles), network.layer(layer).channels), dtype=np.float32)
        for view in views(network, [(layer, channel) for channel in channels]):
            answers[:, view.channels] = respond(network, view, draw, angles, device=device, tick=tick)
        of_each[name] = np.maximum(np.nan_to_num(answers[:, channels], nan=0, posinf=0, neginf=0), 0)
    strongest = {name: answers.max(axis=0) for name, answers in of_each.items()}
    by_curves = int((strongest["curve"] > strongest["line"]).sum())
    by_lines = int((strongest["line"] > strongest["curve"]).sum())
    stimulus = "curve" if by_curves > by_lines else "line"
    peaks = of_each[stimulus].argmax(axis=0) * step
    responds = strongest[stimulus] > ROUNDING
    return Preference(
        stimulus,
        ORIENTED[stimulus][1],
        tuple(float(peak) if able else None for peak, able in zip(peaks, responds, strict=True)),
    )


def measures(
    values: NDArray[np.floating], responses: NDArray[np.floating], period: float | None
) -> dict[str, float | None]:
    """Peak, half-maximum width and echo of one tuning curve, each None where there is none."""
    rectified = np.maximum(responses, 0)
    best = int(rectified.argmax())
    found: dict[str, float | None] = dict.fromkeys(("peak", "width", "echo"))
    if np.ptp(rectified) <= max(FLAT * rectified[best], ROUNDING):
        return found
    found["peak"] = float(values[best])
    if period is not None:
        found["width"] = _half_maximum_width(np.roll(rectified, -best) / rectified[best], period)
    if period == 360:
        opposite = np.abs((values - values[best]) % 360 - 180) <= 30
        if opposite.any():
            found["echo"] = float(rectified[opposite].max() / rectified[best])
    return found


def _half_maximum_width(shares: NDArray[np.floating], period: float) -> float:
    """From a curve that begins at its peak of 1 and wraps around: crossings are interpolated between samples."""
    step = period / len(shares)
    if (shares >= 0.5).all():
        return period
    width = 0.0
    for side in (shares, np.roll(shares[::-1], 1)):
        below = int((side < 0.5).argmax())
        width += step * (below - 1 + (side[below - 1] - 0.5) / (side[below - 1] - side[below]))
    return round(float(width), 3)
