"""A small vision network whose weights are written by this file, not learned, so that every neuron's job is known.

It detects curves in the way that Cammarata et al., "Curve Circuits" (Distill 2021, doi 10.23915/distill.00024.006)
describe for InceptionV1 and for the network they wrote by hand: Gabor filters, complex Gabors, lines, early curves,
curves, each tiled along the tangent of what it is part of. The numbers here are our own; the published kernels from
mixed3a to mixed3b gave the shape of the last rule.

Angles are in degrees. A curve's angle is the direction its arc bulges to, clockwise from +x with y pointing down: 0 is
`)` and 90 is `U`. A line's angle is clockwise from vertical, so the tangent in the middle of a curve of angle a is the
line of angle a modulo 180. Pictures are grey: equal weights on the three colours.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from workers.network import Network, Preprocessing

Angles = NDArray[np.float64]
Tuning = Callable[[NDArray[np.float64]], NDArray[np.float64]]  # of the distance between two angles, in degrees

# With valid convolutions and pools of odd extent, any input of 16 n + 19 pixels has a unit exactly in its middle.
SIZE = 179
RADIUS = 40.0  # pixels: the arcs that the network looks for
FINE = np.arange(0.0, 180.0, 5.0)  # the 36 orientations up to conv2d2
CURVES = np.arange(0.0, 360.0, 15.0)  # the 24 curves of mixed3a and mixed3b
LINES = np.arange(0.0, 180.0, 10.0)  # the 18 lines of mixed3a and mixed3b
PHASES = np.arange(0.0, 360.0, 90.0)  # even, odd and the same with the other sign

WAVELENGTH, SIGMA = 3.50, 2.41  # pixels: as fitted to the published Gabor filters

CLASS_NAMES = (*(f"largest curve faces {angle:.0f}°" for angle in CURVES), "no curve")


def build() -> Network:
    """The network with its weights: 3 x 179 x 179 in, 25 classes out."""
    gabors, complex_gabors = _convolution(_gabors(), GABOR_BIAS, stride=2), _convolution(_over_phases())
    lines, early = _convolution(_lines(), padding=1), _convolution(_early_curves(), EARLY_BIAS, padding=1)
    curves = _convolution(_curves(), CURVE_BIAS, padding=2)
    stages = {
        "conv2d0": gabors,
        "conv2d1": nn.Sequential(nn.ReLU(), complex_gabors),
        "conv2d2": nn.Sequential(nn.ReLU(), nn.MaxPool2d(3, stride=2), lines),
        "mixed3a": nn.Sequential(nn.ReLU(), nn.MaxPool2d(3, stride=2), early),
        "mixed3b": nn.Sequential(nn.ReLU(), curves),
    }
    half = (0.5, 0.5, 0.5)
    preprocessing = Preprocessing(resize=SIZE, size=SIZE, mean=half, std=half)
    return Network("curve_network", stages, preprocessing, head=_read_out(), class_names=CLASS_NAMES)


def families() -> dict[str, list[dict[str, Any]]]:
    """The true taxonomy: the families of each layer, with their units and the units' angles (unit as text: degrees)."""

    def family(name: str, first: int, angles: Angles, remark: str) -> dict[str, Any]:
        parameters = {str(first + i): float(angle) for i, angle in enumerate(angles)}
        units = [int(unit) for unit in parameters]
        return {"name": name, "units": units, "parameters": parameters, "remark": remark, "symmetry": "rotation"}

    bulges = f"Arcs of radius {RADIUS:.0f} px; the angle is the direction the arc bulges to."
    early = f"{bulges} Still confused with the opposite arc."
    late = f"{bulges} Without an echo at the opposite angle."
    line = "Straight lines; the angle is clockwise from vertical."
    gabor = "Four phases (even, odd, both with the other sign) of each orientation, which is clockwise from vertical."
    shift = "One for each orientation, whatever its phase, so that small shifts do not matter."
    return {
        "conv2d0": [family("Gabor Filters", 0, FINE.repeat(len(PHASES)), gabor)],
        "conv2d1": [family("Complex Gabor", 0, FINE, shift)],
        "conv2d2": [family("Lines", 0, FINE, line)],
        "mixed3a": [family("Early Curves", 0, CURVES, early), family("Lines", len(CURVES), LINES, line)],
        "mixed3b": [family("Curves", 0, CURVES, late), family("Lines", len(CURVES), LINES, line)],
    }


READ_OUT_GAIN = 10_000.0  # logits for a mean of 1 over all positions
READ_OUT_THRESHOLD = 2.0  # logits
LINES_AGAINST_CURVES = 0.02  # a long straight line excites curves a little all along it

# The rules. Weights are (out, in, rows, columns); every rule gives each unit positive weights that add up to 1, so that
# a layer's values stay in the range of the layer before.

GABOR_BIAS = np.full(len(FINE) * len(PHASES), -0.1)  # silences faint noise, which would inhibit every line
EARLY_BIAS = np.full(len(CURVES) + len(LINES), -0.05)  # silences what is only faintly a line
CURVE_BIAS = np.full(len(CURVES) + len(LINES), -0.02)  # the rest of the echo vanishes below this


def _gabors() -> NDArray[np.float64]:
    """conv2d0: isotropic Gabor filters, unit 4 i + j of orientation 5 i and phase 90 j; blind to even brightness."""
    x, y = _offsets(7, 1.0)
    normal = np.deg2rad(FINE.repeat(len(PHASES)))[:, None, None]
    phase = np.deg2rad(np.tile(PHASES, len(FINE)))[:, None, None]
    across = x * np.cos(normal) + y * np.sin(normal)
    filters = np.cos(2 * np.pi / WAVELENGTH * across + phase) * _bell(np.hypot(x, y), SIGMA)
    filters -= filters.mean(axis=(1, 2), keepdims=True)
    filters /= np.linalg.norm(filters, axis=(1, 2), keepdims=True)
    return np.repeat(filters[:, None], 3, axis=1) / 3


def _over_phases() -> NDArray[np.float64]:
    """conv2d1: the sum over the phases of one orientation. Two of the four are on at a time, hence the half."""
    return np.kron(np.eye(len(FINE)), np.full(len(PHASES), 0.5))[:, :, None, None]


def _lines() -> NDArray[np.float64]:
    """conv2d2: complex Gabors of one orientation along the tangent, and other orientations against it."""
    tuning = _excite_and_inhibit(excite=8.0, inhibit=20.0, strength=0.2)
    return _balanced(_tiled(3, 4.0, np.inf, FINE, FINE, 180.0, tuning, ridge=2.5))


def _early_curves() -> NDArray[np.float64]:
    """mixed3a: lines along the arc, and along the straight line."""
    tuning = _excite_and_inhibit(excite=8.0, inhibit=25.0, strength=0.4)
    curves = _tiled(3, 8.0, RADIUS, CURVES, FINE, 180.0, tuning, ridge=5.0)
    lines = _tiled(3, 8.0, np.inf, LINES, FINE, 180.0, tuning, ridge=5.0)
    return _balanced(np.concatenate([curves, lines]))


def _curves() -> NDArray[np.float64]:
    """mixed3b: early curves and lines along the arc, lines along the line, nothing from early curves to lines.

    Early curves facing the other way inhibit: this is what removes the echo.
    """
    from_curves = _interpolated(np.arange(0, 181, 15), [1, 0.75, 0.4, 0.13, 0, 0, 0, 0, -0.03, -0.125, -0.4, -0.9, -1])
    line_share = 0.3  # a straight line excites the middle of a curve too: with more of it, it would drive the curve
    from_lines = _interpolated(
        [0, 10, 20, 30, 40, 50, 60, 90], [line_share * w for w in (1, 0.75, 0.2, -0.15, -0.8, -0.45, -0.1, 0)]
    )
    line_from_lines = _interpolated([0, 10, 20, 70, 80, 90], [1, 0.2, 0, -0.1, -0.3, -0.6])
    weights = np.zeros((len(CURVES) + len(LINES),) * 2 + (5, 5))
    curves, lines = slice(0, len(CURVES)), slice(len(CURVES), None)
    weights[curves, curves] = _tiled(5, 8.0, RADIUS, CURVES, CURVES, 360.0, from_curves, ridge=5.0)
    weights[curves, curves] -= _beside_the_arc()
    weights[curves, lines] = _tiled(5, 8.0, RADIUS, CURVES, LINES, 180.0, from_lines, ridge=5.0)
    weights[lines, lines] = _tiled(5, 8.0, np.inf, LINES, LINES, 180.0, line_from_lines, ridge=5.0)
    return _balanced(weights)


def _read_out() -> nn.Module:
    """How much of each curve is seen, over all positions; against it a threshold, and how much of lines is seen."""
    weights = np.zeros((len(CLASS_NAMES), len(CURVES) + len(LINES)))
    weights[: len(CURVES), : len(CURVES)] = READ_OUT_GAIN * np.eye(len(CURVES))
    weights[-1, len(CURVES) :] = READ_OUT_GAIN * LINES_AGAINST_CURVES
    bias = np.zeros(len(CLASS_NAMES))
    bias[-1] = READ_OUT_THRESHOLD
    linear = nn.Linear(weights.shape[1], weights.shape[0], device="meta")
    return nn.Sequential(nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), _written(linear, weights, bias))


def _beside_the_arc() -> NDArray[np.float64]:
    """Curves of about the same orientation that lie off the arc inhibit a little."""
    distance, _ = _along(5, 8.0, RADIUS, CURVES)
    off_the_arc = 1 - _bell(distance, 5.0)
    apart = _apart(CURVES[None, :], CURVES[:, None], 360.0)
    return 0.1 * _bell(apart, 30.0)[:, :, None, None] * off_the_arc[:, None]


def _tiled(
    cells: int, pitch: float, radius: float, outs: Angles, ins: Angles, period: float, tuning: Tuning, ridge: float
) -> NDArray[np.float64]:
    """Weights (outs, ins, cells, cells): inputs tuned to the local tangent, on a ridge along the arc or line.

    `pitch` is the distance between cells, `radius` that of the arc (infinite for a line), `ridge` the standard
    deviation of the ridge, all in pixels; `ins` repeat after `period` degrees.
    """
    distance, tangent = _along(cells, pitch, radius, outs)
    tuned = tuning(_apart(ins[None, :, None, None], tangent[:, None], period))
    return tuned * _bell(distance, ridge)[:, None]


def _along(cells: int, pitch: float, radius: float, outs: Angles) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """For each unit and cell the distance from its arc (pixels), and the angle that the arc has there (degrees)."""
    x, y = _offsets(cells, pitch)
    angle = np.deg2rad(outs)[:, None, None]
    if np.isinf(radius):
        return x * np.cos(angle) + y * np.sin(angle), np.broadcast_to(outs[:, None, None], (len(outs), cells, cells))
    from_centre_x, from_centre_y = x + radius * np.cos(angle), y + radius * np.sin(angle)
    distance = np.hypot(from_centre_x, from_centre_y) - radius
    return distance, np.rad2deg(np.arctan2(from_centre_y, from_centre_x))


def _bell(distance: NDArray[np.float64], deviation: float) -> NDArray[np.float64]:
    return np.exp(-(distance**2) / (2 * deviation**2))


def _offsets(cells: int, pitch: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """x and y of each cell from the middle one, in pixels."""
    middle = (np.arange(cells) - cells // 2) * pitch
    x, y = np.meshgrid(middle, middle)
    return x, y


def _apart(a: NDArray[np.float64], b: NDArray[np.float64], period: float) -> NDArray[np.float64]:
    """The distance between two angles, in degrees."""
    return np.abs((a - b + period / 2) % period - period / 2)


def _excite_and_inhibit(excite: float, inhibit: float, strength: float) -> Tuning:
    """1 for equal angles, down with standard deviation `excite`; beyond about `inhibit` down to -strength."""

    def tuning(apart: NDArray[np.float64]) -> NDArray[np.float64]:
        return _bell(apart, excite) - strength * (1 - _bell(apart, inhibit))

    return tuning


def _interpolated(angles: Any, values: Any) -> Tuning:
    """Symmetric, linear between the given points."""
    return lambda apart: np.interp(apart, angles, values)


def _balanced(weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Each unit's positive weights add up to 1."""
    return weights / np.maximum(weights, 0).sum(axis=(1, 2, 3), keepdims=True)


def _convolution(
    weights: NDArray[np.float64], bias: NDArray[np.float64] | None = None, *, stride: int = 1, padding: int = 0
) -> nn.Module:
    outputs, inputs, kernel, _ = weights.shape
    convolution = nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=padding, device="meta")
    return _written(convolution, weights, np.zeros(outputs) if bias is None else bias)


def _written(module: nn.Module, weights: NDArray[np.float64], bias: NDArray[np.float64]) -> nn.Module:
    """`module` with these weights, rounded: the last bits of sines and exponentials differ between machines, and the
    digest of the weights must not."""
    for name, values in (("weight", weights), ("bias", bias)):
        setattr(module, name, nn.Parameter(torch.from_numpy(values.round(6)).float(), requires_grad=False))
    return module
