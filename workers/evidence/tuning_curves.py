"""How a neuron's response changes as a drawn stimulus turns, grows or changes its colour.

The radial tuning curves of Cammarata et al., "Curve Detectors" (Distill 2020, doi 10.23915/distill.00024.003): the same
stimulus at every orientation, and the value of the one unit that it is centred on. Fine beside coarse patterns after
Schubert et al., "High-Low Frequency Detectors" (Distill 2021, doi 10.23915/distill.00024.005).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from workers import stimuli
from workers.evidence import Failure, Finding, Target, nothing
from workers.figures import to_uint8
from workers.network import Network
from workers.responses import Draw, measures, respond, views

Array = NDArray[np.floating]

STEPS = {"curve": 0.5, "line": 0.5, "grating": 5.0, "high_low": 5.0, "hue": 5.0}  # degrees
COARSER = 5  # how many times the step, at most, where a further parameter is varied
RADII = (0.6, 0.8, 1.5, 2.0)  # of other curves, in radii of the curve
PERIODS = tuple(round(2.5 * 2 ** (k / 2), 2) for k in range(8))  # of gratings: 2.5 to 28.28 pixels
PHASES = (0.0, 90.0, 180.0, 270.0)  # degrees
FINE_PERIOD = 5.0  # of the fine pattern beside a coarse one, in pixels
RATIOS = (1.5, 2.0, 3.0, 5.0)  # periods of the coarse pattern, in those of the fine one
DISCS = (1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0, 24.0, 32.0, 48.0)  # radii in pixels
WHITE, BLACK, GREY = (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), (0.5, 0.5, 0.5)
RED, CYAN, YELLOW, BLUE = (tuple(map(float, colour)) for colour in stimuli.hues((0, 180, 60, 240)))
PAIRS = {
    "white on black": (WHITE, BLACK),
    "black on white": (BLACK, WHITE),
    "red on cyan": (RED, CYAN),
    "cyan on red": (CYAN, RED),
    "yellow on blue": (YELLOW, BLUE),
    "blue on yellow": (BLUE, YELLOW),
}


@dataclass(frozen=True)
class Sweep:
    """One stimulus along the axis. Of several `draws`, its phases, the mean of the rectified responses counts."""

    name: str
    unit: str
    value: float | str
    values: Array
    draws: tuple[Draw, ...]


@dataclass(frozen=True)
class Stimulus:
    """An axis, and the sweeps along it: the main one first, or the one that drives a neuron most where `best`."""

    axis: str
    unit: str
    period: float | None
    sweeps: tuple[Sweep, ...]
    best: bool = False
    at: dict[str, float] = field(default_factory=dict)  # what all sweeps have in common


def tuning_curves(
    network: Network,
    targets: Sequence[Target],
    *,
    stimulus: str = "curve",
    radius: float = 40.0,
    stroke: float = 3.0,
    step: float | None = None,
    device: torch.device | str = "cpu",
    tick: Callable[[], None] = nothing,
) -> Iterator[Finding | Failure]:
    """Responses to a drawn stimulus in the middle of the unit's receptive field, along an axis in steps of `step`.

    - "curve": arcs of `radius` and `stroke` (width), white on black, by the direction they bulge to, clockwise from
      +x with y down; others have other radii.
    - "line": endless lines, white on black, clockwise from vertical.
    - "grating": sinusoidal stripes by orientation, as lines; others have other periods. The mean over four phases.
    - "high_low": a fine pattern beside a coarse one, by the direction in which the fine one lies; others have other
      ratios of the two periods. The mean over four phases.
    - "centre_surround": a disc by its radius; others have other colours of disc and surround.
    - "hue": one colour all over, by its hue (0 red, 120 green, 240 blue) at equal R + G + B; others show it as a disc
      on grey, as a grey disc on it, or as a line on grey.

    Angles in degrees, lengths in pixels. `step`, .5 or 5 degrees when not given, must divide the period; "others" may
    be coarser. Where the responses of several phases are averaged, each is first rectified: those of a linear filter
    would cancel. The main curve of gratings, high_low and centre_surround is the one, of those in "others", that drives
    the neuron most. Edges are drawn by distance, so no random numbers are needed. A field larger than the network's
    pictures is stimulated on such a picture.

    data: "stimulus", "unit" ("activation"), "axis" {"name", "unit", "period" (null: it does not wrap), "values"},
    "responses" along it (pre-ReLU values, or means over phases), "at" (what they were taken at), "others" [{"name",
    "unit", "value", "values", "responses"}], and from the rectified responses "peak" (a value of the axis), and on an
    axis that wraps "width" (between the half maxima about the peak) and, over a whole turn, "echo" (the largest
    response within 30 degrees of the opposite, over the maximum); null for a neuron that never responds, or always
    alike. Where there are phases, "phase_modulation": the largest minus the smallest rectified response of the phases
    at the peak, over the largest. picture: `peak`, what the unit sees at the peak (at its best phase).

    ValueError for an unknown stimulus or a step that does not divide the period; KeyError for an unknown layer.
    """
    plan = _plan(stimulus, radius, stroke, step)
    for view in views(network, targets):
        answers = [
            np.stack([respond(network, view, draw, sweep.values, device=device, tick=tick) for draw in sweep.draws])
            for sweep in plan.sweeps
        ]
        curves = [phases[0] if len(phases) == 1 else np.maximum(phases, 0).mean(axis=0) for phases in answers]
        for place, channel in enumerate(view.channels):
            own = [curve[:, place] for curve in curves]
            if not all(np.isfinite(phases[..., place]).all() for phases in answers):
                yield Failure(view.layer, channel, "Its responses are not finite numbers.")
                continue
            main = int(np.argmax([curve.max() for curve in own])) if plan.best else 0
            sweep = plan.sweeps[main]
            found = measures(sweep.values, own[main], plan.period)
            phases = np.maximum(answers[main][:, int(own[main].argmax()), place], 0)
            pictures = {}
            if found["peak"] is not None:
                left, top, right, bottom = view.box(network, channel)
                draw = sweep.draws[int(phases.argmax())]
                drawn = draw(np.array([found["peak"]]), view.size, middle=(view.middle,) * 2)[0]
                drawn = drawn[..., top:bottom, left:right]
                pictures["peak"] = to_uint8(drawn if drawn.ndim == 2 else drawn.transpose(1, 2, 0))
            yield Finding(
                view.layer,
                channel,
                {
                    "stimulus": stimulus,
                    "unit": "activation",
                    "axis": {
                        "name": plan.axis,
                        "unit": plan.unit,
                        "period": plan.period,
                        "values": sweep.values.tolist(),
                    },
                    "responses": _numbers(own[main]),
                    **found,
                    **(_modulation(phases, found["peak"]) if len(phases) > 1 else {}),
                    "at": plan.at | ({sweep.name: sweep.value} if sweep.name else {}),
                    "others": [
                        {
                            "name": other.name,
                            "unit": other.unit,
                            "value": other.value,
                            "values": other.values.tolist(),
                            "responses": _numbers(curve),
                        }
                        for other, curve in list(zip(plan.sweeps, own, strict=True))[0 if plan.best else 1 :]
                    ],
                },
                pictures,
            )


def _modulation(phases: Array, peak: float | None) -> dict[str, float | None]:
    return {"phase_modulation": None if peak is None else float(np.ptp(phases) / phases.max())}


def _numbers(values: Array) -> list[float]:
    return [float(f"{value:.7g}") for value in values]


def _plan(name: str, radius: float, stroke: float, step: float | None) -> Stimulus:
    """What is drawn for the stimulus of this name."""
    if name == "centre_surround":
        pairs = (
            Sweep("pair", "", pair, np.array(DISCS), (partial(_disc_of_radius, colours=colours),))
            for pair, colours in PAIRS.items()
        )
        return Stimulus("radius", "px", None, tuple(pairs), best=True)
    if name not in STEPS:
        raise ValueError(f"There is no stimulus {name!r}: choose one of {', '.join([*STEPS, 'centre_surround'])}.")
    period = 180.0 if name in ("line", "grating") else 360.0
    angles, coarse = _angles(period, STEPS[name] if step is None else step)
    around = partial(Stimulus, "hue" if name == "hue" else "angle", "degrees", period)
    if name == "curve":
        radii = ((share * radius, angles if share == 1 else coarse) for share in (1.0, *RADII))
        arcs = (Sweep("radius", "px", r, at, (partial(stimuli.arcs, radius=r, stroke=stroke),)) for r, at in radii)
        return around(tuple(arcs), at={"stroke": stroke})
    if name == "line":
        return around((Sweep("stroke", "px", stroke, angles, (partial(stimuli.lines, stroke=stroke),)),))
    if name == "grating":
        gratings = (
            Sweep(
                "period", "px", p, angles, tuple(partial(stimuli.gratings, period=p, phase=phase) for phase in PHASES)
            )
            for p in PERIODS
        )
        return around(tuple(gratings), best=True)
    if name == "high_low":
        beside = partial(stimuli.high_low, period=FINE_PERIOD)
        edges = (
            Sweep("ratio", "", ratio, angles, tuple(partial(beside, ratio=ratio, phase=phase) for phase in PHASES))
            for ratio in RATIOS
        )
        return around(tuple(edges), best=True, at={"period": FINE_PERIOD})
    forms = [
        *(Sweep("disc", "px", r, coarse, (partial(_hued, cover=partial(stimuli.discs, [r])),)) for r in (4.0, 12.0)),
        Sweep("surround", "px", 4.0, coarse, (partial(_hued, cover=partial(_around_disc, radius=4.0)),)),
        *(
            Sweep("line", "degrees", a, coarse, (partial(_hued, cover=partial(stimuli.lines, [a])),))
            for a in (0.0, 90.0)
        ),
    ]
    return around((Sweep("", "", "", angles, (partial(_hued, cover=_everywhere),)), *forms))


def _phases(draw: Callable[..., NDArray[np.float32]], **more: float) -> tuple[Draw, ...]:
    return tuple(partial(draw, phase=phase, **more) for phase in PHASES)


def _angles(period: float, step: float) -> tuple[Array, Array]:
    """Every `step` degrees of the period, and the same up to `COARSER` times as far apart."""
    count = round(period / step) if step > 0 else 0
    if count < 1 or abs(count * step - period) > 1e-9:
        raise ValueError(f"A step of {step} degrees does not divide {period:.0f} degrees.")
    angles = np.arange(count) * step
    return angles, angles[:: max(times for times in range(1, COARSER + 1) if count % times == 0)]


def _disc_of_radius(
    radii: Array, size: int, *, middle: tuple[float, float], colours: tuple[tuple[float, ...], tuple[float, ...]]
) -> NDArray[np.float32]:
    disc, surround = colours
    return stimuli.coloured(stimuli.discs(radii, size, middle=middle), np.array([disc]), np.array([surround]))


def _hued(angles: Array, size: int, *, middle: tuple[float, float], cover: Callable[..., Array]) -> NDArray[np.float32]:
    """Every hue where `cover` is 1, on grey."""
    return stimuli.coloured(cover(size, middle=middle), stimuli.hues(angles), np.array([GREY]))


def _everywhere(size: int, *, middle: tuple[float, float]) -> NDArray[np.float32]:
    return np.ones((1, size, size), dtype=np.float32)


def _around_disc(size: int, *, middle: tuple[float, float], radius: float) -> NDArray[np.float32]:
    return 1 - stimuli.discs([radius], size, middle=middle)
