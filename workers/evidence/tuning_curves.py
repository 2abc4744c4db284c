"""How a neuron's response changes as a drawn curve or line turns.

The radial tuning curves of Cammarata et al., "Curve Detectors" (Distill 2020, doi 10.23915/distill.00024.003): the same
stimulus at every orientation, and the value of the one unit that it is centred on.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby

import numpy as np
import torch
from numpy.typing import NDArray

from workers import stimuli
from workers.evidence import Failure, Finding, Target, nothing
from workers.figures import Picture, to_uint8
from workers.network import Network
from workers.receptive_field import Field, canvas

PERIODS = {"curve": 360.0, "line": 180.0}  # degrees
BATCH_PIXELS = 2**19  # well under a second of work on one core for the networks known here


def tuning_curves(
    network: Network,
    targets: Sequence[Target],
    *,
    stimulus: str = "curve",
    radius: float = 40.0,
    stroke: float = 3.0,
    step: float = 0.5,
    device: torch.device | str = "cpu",
    tick: Callable[[], None] = nothing,
) -> Iterator[Finding | Failure]:
    """Responses to an arc ("curve") or endless line ("line"), white on black, at every `step` degrees.

    The middle of the arc or line lies at the centre of the unit's receptive field, on a canvas that just holds this
    field. A curve's angle is the direction it bulges to, clockwise from +x with y down, 0 to 360; a line's is clockwise
    from vertical, 0 to 180. `radius` (of the arc) and `stroke` (width) are in pixels. `step` must divide the period.
    The drawing is exact, so no random numbers are needed.

    data: "stimulus", "angles" (degrees), "responses" (pre-ReLU values), "unit" ("activation"), and from the rectified
    responses "peak" (degrees), "width" (degrees between the half maxima about the peak) and, for curves, "echo" (the
    largest response within 30 degrees of the opposite angle, over the maximum); these three are None for a neuron that
    never responds. picture: `peak`, the receptive field with the stimulus that the neuron responds to most.

    ValueError for an unknown stimulus or a step that does not divide the period; KeyError for an unknown layer.
    """
    if stimulus not in PERIODS:
        raise ValueError(f"There is no stimulus {stimulus!r}: choose one of {', '.join(PERIODS)}.")
    count = round(PERIODS[stimulus] / step) if step > 0 else 0
    if count < 1 or abs(count * step - PERIODS[stimulus]) > 1e-9:
        raise ValueError(f"A step of {step} degrees does not divide {PERIODS[stimulus]:.0f} degrees.")
    angles = np.arange(count) * step

    def draw(field: Field, angles: NDArray[np.floating]) -> NDArray[np.float32]:
        size, row = canvas(field)
        centre = field.box(row, row)[0] + (field.size - 1) / 2
        if stimulus == "line":
            return stimuli.lines(angles, size, stroke=stroke, middle=(centre, centre))
        return stimuli.arcs(angles, size, radius=radius, stroke=stroke, middle=(centre, centre))

    def group(target: Target) -> tuple[int, int, int, int]:
        layer = network.layer(target[0])
        field = layer.fields[target[1]]
        return layer.order, field.size, field.stride, field.start

    for _, members in groupby(sorted(targets, key=group), key=group):
        together = list(members)
        layer = network.layer(together[0][0])
        field = layer.fields[together[0][1]]
        responses = _responses(network, layer.name, field, angles, draw, device, tick)
        for name, channel in together:
            own = responses[:, channel]
            if not np.isfinite(own).all():
                yield Failure(name, channel, "Its responses are not finite numbers.")
                continue
            yield Finding(
                name,
                channel,
                {
                    "stimulus": stimulus,
                    "angles": angles.tolist(),
                    "responses": [float(f"{value:.7g}") for value in own],
                    "unit": "activation",
                    **measures(angles, own, PERIODS[stimulus]),
                },
                _peak(field, angles, own, draw),
            )


def measures(angles: NDArray[np.floating], responses: NDArray[np.floating], period: float) -> dict[str, float | None]:
    """Peak, half-maximum width and echo (whole turns only) of one tuning curve, as `tuning_curves` gives them."""
    rectified = np.maximum(responses, 0)
    best = int(rectified.argmax())
    found: dict[str, float | None] = dict.fromkeys(("peak", "width", "echo"))
    if rectified[best] <= 0:
        return found
    found["peak"] = float(angles[best])
    found["width"] = _half_maximum_width(np.roll(rectified, -best) / rectified[best], period)
    if period == 360:
        opposite = np.abs((angles - angles[best]) % 360 - 180) <= 30
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


def _responses(
    network: Network,
    layer: str,
    field: Field,
    angles: NDArray[np.floating],
    draw: Callable[[Field, NDArray[np.floating]], NDArray[np.float32]],
    device: torch.device | str,
    tick: Callable[[], None],
) -> NDArray[np.float32]:
    """(angles, channels): the layer's values at the unit that each drawing is centred on."""
    size, row = canvas(field)
    batch = max(1, min(64, BATCH_PIXELS // size**2))
    found = []
    with torch.inference_mode():
        for start in range(0, len(angles), batch):
            tick()
            part = angles[start : start + batch]
            padded = np.pad(part, (0, batch - len(part)), mode="edge")  # values depend a little on the batch's size
            pictures = torch.from_numpy(draw(field, padded)).to(device)[:, None].expand(-1, 3, -1, -1)
            values = network.activations(pictures, [layer])[layer]
            found.append(values[: len(part), :, row, row].cpu().numpy())
    return np.concatenate(found)


def _peak(
    field: Field,
    angles: NDArray[np.floating],
    responses: NDArray[np.floating],
    draw: Callable[[Field, NDArray[np.floating]], NDArray[np.float32]],
) -> dict[str, Picture]:
    best = int(responses.argmax())
    if responses[best] <= 0:
        return {}
    _, row = canvas(field)
    left, top, right, bottom = field.box(row, row)
    return {"peak": to_uint8(draw(field, angles[best : best + 1])[0, top:bottom, left:right])}
