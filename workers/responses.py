"""What the units of a layer answer to pictures that are drawn, or cut, around their centre."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from workers.network import Network
from workers.receptive_field import canvas

BATCH_PIXELS = 2**19  # well under a second of work on one core for the networks known here


class Draw(Protocol):
    """Pictures for some values of whatever is varied, around the point `middle`, (x, y) in pixels.

    Grey (values, size, size) or RGB (values, 3, size, size), in [0, 1].
    """

    def __call__(self, values: Any, size: int, *, middle: tuple[float, float]) -> NDArray[np.float32]: ...


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
