"""Drawn pictures whose content is known: stimuli for tuning curves, and a labelled set of pictures.

`python -m workers.stimuli DIRECTORY [--count 1000] [--seed 0]` writes the set as PNG files beside `pictures.json`, a
list with each picture's file name, label, class and everything it was generated from.

Shapes are drawn by distance: a pixel is covered by a stroke as far as the stroke's edge is beyond its middle, which
is exact antialiasing for straight edges and needs no random numbers. Gratings are sinusoids of more than two pixels,
which need none. Angles are in degrees. A curve's angle is the direction its arc bulges to, clockwise from +x with y
pointing down: 0 is `)` and 90 is `U`. A line's angle is clockwise from vertical.
"""

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from workers.curve_network import CURVES, SIZE

Array = NDArray[np.floating]
Parameters = dict[str, Any]


def arcs(
    angles: Sequence[float] | Array,
    size: int,
    *,
    radius: float = 40.0,
    stroke: float = 3.0,
    half_span: float = 60.0,
    middle: tuple[float, float] | None = None,
) -> NDArray[np.float32]:
    """How far an arc of each angle covers each pixel, in [0, 1]: (angles, size, size).

    The middle of the arc lies at `middle`, (x, y) in pixels with the first pixel's centre at 0 (None: the centre of the
    picture). It has the given radius and stroke width in pixels, reaches `half_span` degrees to either side, and has
    round ends.
    """
    x, y = _grid(size, middle)
    angle = np.deg2rad(np.asarray(angles, dtype=np.float32))[:, None, None]
    # Turned so that every arc bulges to +x, with the centre of its circle at the origin and its lower half mirrored.
    out, along = _turned(x, y, angle)
    out += np.float32(radius)
    along = np.abs(along)
    reach = np.deg2rad(half_span)
    to_end = np.hypot(out - np.float32(radius * np.cos(reach)), along - np.float32(radius * np.sin(reach)))
    on_the_arc = np.arctan2(along, out) <= reach
    return _covered(np.where(on_the_arc, np.abs(np.hypot(out, along) - np.float32(radius)), to_end), stroke)


def lines(
    angles: Sequence[float] | Array,
    size: int,
    *,
    stroke: float = 3.0,
    half_length: float = np.inf,
    middle: tuple[float, float] | None = None,
) -> NDArray[np.float32]:
    """How far a line of each angle through `middle` covers each pixel, in [0, 1]: (angles, size, size).

    Lengths in pixels; an endless line where `half_length` is not given. See `arcs` for `middle`.
    """
    x, y = _grid(size, middle)
    across, along = _turned(x, y, np.deg2rad(np.asarray(angles, dtype=np.float32))[:, None, None])
    beyond = np.maximum(np.abs(along) - np.float32(half_length), 0)
    return _covered(np.hypot(across, beyond), stroke)


def gratings(
    angles: Sequence[float] | Array,
    size: int,
    *,
    period: float,
    phase: float = 0.0,
    middle: tuple[float, float] | None = None,
) -> NDArray[np.float32]:
    """Endless stripes in [0, 1], sinusoidal, which run along each angle as a line does: (angles, size, size).

    `period` in pixels. At phase 0 (degrees) the middle of a bright stripe lies at `middle`, and with growing phase the
    stripes move against the direction that is `angle` clockwise from +x.
    """
    across, _ = _turned(*_grid(size, middle), np.deg2rad(np.asarray(angles, dtype=np.float32))[:, None, None])
    return np.float32(0.5) + np.float32(0.5) * _wave(across, period, phase)


def high_low(
    angles: Sequence[float] | Array,
    size: int,
    *,
    period: float,
    ratio: float,
    phase: float = 0.0,
    middle: tuple[float, float] | None = None,
) -> NDArray[np.float32]:
    """A fine pattern beside a coarse one, in [0, 1], of the same mean brightness: (angles, size, size).

    The edge between them goes through `middle`; the fine pattern lies on the side of `angle`, clockwise from +x. Both
    are products of two sinusoids, across the edge (where `phase`, in degrees, moves it) and along it, as those of
    Schubert et al., "High-Low Frequency Detectors" (Distill 2021, doi 10.23915/distill.00024.005): of `period` pixels,
    and of `ratio` times as many.
    """
    across, along = _turned(*_grid(size, middle), np.deg2rad(np.asarray(angles, dtype=np.float32))[:, None, None])
    fine, coarse = (_wave(across, p, phase) * _wave(along, p, 0.0) for p in (period, period * ratio))
    share = np.clip(across + np.float32(0.5), 0, 1)
    return (share * fine + (1 - share) * coarse) / 2 + np.float32(0.5)


def discs(
    radii: Sequence[float] | Array, size: int, *, middle: tuple[float, float] | None = None
) -> NDArray[np.float32]:
    """How far a disc of each radius (pixels) covers each pixel, in [0, 1]: (radii, size, size)."""
    distance = np.hypot(*_grid(size, middle))
    return np.clip(np.asarray(radii, dtype=np.float32)[:, None, None] + np.float32(0.5) - distance, 0, 1)


def hues(angles: Sequence[float] | Array) -> NDArray[np.float32]:
    """Colours of every hue: (angles, RGB). 0 degrees is red, 120 green and 240 blue.

    They lie on a circle about mid grey on which R + G + B stays the same, so that who weighs the three equally, as a
    grey network does, cannot tell them apart.
    """
    turned = np.deg2rad(np.asarray(angles, dtype=np.float64)[:, None] - (0.0, 120.0, 240.0))
    return (0.5 + 0.5 * np.cos(turned)).astype(np.float32)


def coloured(cover: Array, colours: Array, ground: Array) -> NDArray[np.float32]:
    """RGB (n, 3, size, size): `colours` (n or 1, 3) where `cover` (n or 1, size, size) is 1, `ground` (the same)
    where it is 0."""
    top, below = np.asarray(colours)[:, :, None, None], np.asarray(ground)[:, :, None, None]
    return (below + np.asarray(cover)[:, None] * (top - below)).astype(np.float32, copy=False)


@dataclass(frozen=True)
class Shape:
    """What a label stands for: the parameters it has, each drawn between two bounds, and how they are drawn."""

    bounds: dict[str, tuple[float, float]]  # angles in degrees, lengths in pixels
    cover: Callable[[Parameters, int], Array]  # -> how far it covers each pixel, in [0, 1]: (size, size)


def _curve(p: Parameters, size: int) -> Array:
    return arcs([p["angle"]], size, radius=p["radius"], stroke=p["width"], half_span=p["half_span"], middle=_at(p))[0]


def _line(p: Parameters, size: int) -> Array:
    return lines([p["angle"]], size, stroke=p["width"], half_length=p["length"] / 2, middle=_at(p))[0]


def _corner(p: Parameters, size: int) -> Array:
    """Two arms that meet at (x, y); the tip points to `angle`, as a curve bulges."""
    arms = []
    for side in (-1, 1):
        towards = p["angle"] + 180 + side * p["opening"] / 2
        half = p["length"] / 2
        middle = p["x"] + half * np.cos(np.deg2rad(towards)), p["y"] + half * np.sin(np.deg2rad(towards))
        arms.append(lines([towards + 90], size, stroke=p["width"], half_length=half, middle=middle)[0])
    return np.maximum(*arms)


def _ring(p: Parameters, size: int) -> Array:
    """Centred on (x, y)."""
    right = (p["x"] + p["radius"], p["y"])
    return arcs([0.0], size, radius=p["radius"], stroke=p["width"], half_span=180.0, middle=right)[0]


def _grating(p: Parameters, size: int) -> Array:
    """A round patch of parallel stripes, which run along `angle` as a line does."""
    across, along = _turned(*_grid(size, _at(p)), np.deg2rad(p["angle"]))
    stripes = 0.5 + 0.5 * np.cos(2 * np.pi * across / p["period"] + np.deg2rad(p["phase"]))
    return stripes * np.clip(0.5 + p["radius"] - np.hypot(across, along), 0, 1)


def _blob(p: Parameters, size: int) -> Array:
    distance = np.hypot(*_grid(size, _at(p)))
    return np.clip(0.5 + (p["radius"] - distance) / p["softness"], 0, 1)


def _texture(p: Parameters, size: int) -> Array:
    """Noise without a direction, whose grain is about `scale` pixels wide."""
    white = np.random.default_rng([p["pixel_seed"], 1]).standard_normal((size, size), dtype=np.float32)
    frequency = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None, :])
    band = np.exp(-2 * (np.pi * p["scale"] * frequency) ** 2) * (frequency > 0)
    smooth = np.fft.irfft2(np.fft.rfft2(white) * band, (size, size))
    return np.clip(0.5 + smooth / (4 * smooth.std()), 0, 1)


SHAPES = {
    "curve": Shape({"angle": (0, 360), "radius": (24, 60), "half_span": (45, 75), "width": (1.5, 5)}, _curve),
    "line": Shape({"angle": (0, 180), "length": (60, 240), "width": (1.5, 5)}, _line),
    "corner": Shape({"angle": (0, 360), "opening": (50, 110), "length": (30, 60), "width": (1.5, 5)}, _corner),
    "ring": Shape({"radius": (12, 60), "width": (1.5, 5)}, _ring),
    "grating": Shape({"angle": (0, 180), "period": (4, 24), "phase": (0, 360), "radius": (30, 80)}, _grating),
    "blob": Shape({"radius": (5, 45), "softness": (1, 10)}, _blob),
    "texture": Shape({"scale": (1, 8)}, _texture),
}


def describe(index: int, seed: int = 0, size: int = SIZE) -> tuple[str, Parameters]:
    """Label and parameters of the index-th picture of a set: the labels in turn, everything else drawn at random.

    A picture depends on the seed and its own index alone, so a longer set begins with the shorter one.
    """
    random = np.random.default_rng([seed, index])
    label = list(SHAPES)[index % len(SHAPES)]

    def between(low: float, high: float) -> float:
        return round(float(random.uniform(low, high)), 2)  # what is kept is what is drawn

    background = between(0.05, 0.95)
    away = (1 if background < 0.5 else 0) - background  # to white on dark, to black on light
    return label, {
        "background": background,
        "contrast": round(away * between(0.5, 1), 2),
        "noise": max(between(-0.04, 0.08), 0.0),  # a third of the pictures have none
        "pixel_seed": int(random.integers(2**31)),
        "x": between(0.35 * size, 0.65 * size),
        "y": between(0.35 * size, 0.65 * size),
        **{name: between(*bounds) for name, bounds in SHAPES[label].bounds.items()},
    }


def draw(label: str, parameters: Parameters, size: int = SIZE) -> NDArray[np.uint8]:
    """The picture, (size, size) grey, that `describe` tells of: brightness from 0 to 1 as `background`, plus `contrast`
    where the shape is, plus normal noise of standard deviation `noise`. A shape lies at (x, y), in pixels.
    """
    picture = parameters["background"] + parameters["contrast"] * SHAPES[label].cover(parameters, size)
    if parameters["noise"]:
        noise = np.random.default_rng(parameters["pixel_seed"]).standard_normal((size, size), dtype=np.float32)
        picture = picture + parameters["noise"] * noise
    return np.rint(np.clip(picture, 0, 1) * 255).astype(np.uint8)


def class_of(label: str, parameters: Parameters) -> int | None:
    """The class, of those that the curve network tells apart, of the picture that `describe` tells of: which of its 24
    ways a curve faces, or no curve. None for a ring, which faces all ways.
    """
    if label == "ring":
        return None
    return round(parameters["angle"] * len(CURVES) / 360) % len(CURVES) if label == "curve" else len(CURVES)


def write(directory: Path, count: int = 1000, seed: int = 0, size: int = SIZE) -> None:
    """Write `count` pictures as PNG, and `pictures.json` beside them."""
    directory.mkdir(parents=True, exist_ok=True)
    pictures = []
    for index in range(count):
        label, parameters = describe(index, seed, size)
        name = f"{index:05d}_{label}.png"
        Image.fromarray(draw(label, parameters, size)).save(directory / name, compress_level=1)
        known = class_of(label, parameters)
        kept = {} if known is None else {"class": known}
        pictures.append({"name": name, "label": label, **kept, "seed": seed, **parameters})
    (directory / "pictures.json").write_text(json.dumps(pictures, indent=1) + "\n", encoding="utf-8")


def _at(parameters: Parameters) -> tuple[float, float]:
    return parameters["x"], parameters["y"]


def _grid(size: int, middle: tuple[float, float] | None) -> tuple[Array, Array]:
    """x and y of each pixel from `middle`."""
    at_x, at_y = ((size - 1) / 2,) * 2 if middle is None else middle
    pixels = np.arange(size, dtype=np.float32)
    return pixels[None, :] - np.float32(at_x), pixels[:, None] - np.float32(at_y)


def _turned(x: Array, y: Array, angle: Array) -> tuple[Array, Array]:
    """Coordinates along the direction `angle` (radians, clockwise from +x), and at right angles to it."""
    return x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)


def _wave(places: Array, period: float, phase: float) -> NDArray[np.float32]:
    return np.cos(places * np.float32(2 * np.pi / period) + np.float32(np.deg2rad(phase)))


def _covered(distance: Array, stroke: float) -> NDArray[np.float32]:
    return np.clip(np.float32(0.5 + stroke / 2) - distance, 0, 1).astype(np.float32, copy=False)


def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m workers.stimuli", description="Draw a labelled set of pictures.")
    parser.add_argument("directory", type=Path)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    write(options.directory, options.count, options.seed)


if __name__ == "__main__":
    main()
