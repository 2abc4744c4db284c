"""How a family answers to the pictures that its members like best, while these are turned.

The joint tuning of Cammarata et al., "Curve Detectors" (Distill 2020, doi 10.23915/distill.00024.003): what somebody
draws might miss what a neuron looks for, and what the neuron itself picked out of many pictures does not.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import groupby

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from workers.evidence import Failure, Finding, Members, nothing
from workers.network import Network
from workers.responses import preferred, respond, views
from workers.scan import Pictures, Survey, read, survey, to_input

KEPT = 64  # pictures at hand: one is often among the best of several members
Place = tuple[int, float, float]  # index of a picture, and x and y in it


def joint_tuning(
    network: Network,
    targets: Sequence[Members],
    *,
    images: Pictures,
    top: int = 4,
    step: int = 15,
    surveys: Mapping[str, Survey] | None = None,
    batch: int = 16,
    device: torch.device | str = "cpu",
    tick: Callable[[], None] = nothing,
) -> Iterator[Finding | Failure]:
    """Rectified responses of every member to the `top` pictures (at most 9) of every member, turned all the way.

    A picture is turned clockwise about the middle of what its unit saw, every `step` degrees, bilinearly, and cut so
    that this middle is that of the units that answer. What lies beyond the picture's border is its mirror image, so
    that no border is turned into what they see. How a picture is oriented to a member is how its own unit faces, plus
    the turn, less how the member faces (see `workers.responses.preferred`); between the turns, linearly interpolated.
    `surveys`, by layer, are of all these images; without them, one is made.

    Data: {"members": those that face anywhere, "left_out": those that do not, or are dead, "stimulus": "curve" or
    "line", what they are faced by, "peaks": how each faces (degrees), "angles": orientations to the member, from -180
    degrees on, "responses": for each member, the mean over the pictures at these angles, over its largest, "mean": over
    the members, "examples": pictures of each member}. Of lines, which face the same way after 180 degrees, there are
    two peaks in a turn.

    A family of which no member faces anywhere is a Failure. ValueError for a step that does not divide 360 degrees,
    `top` below 1, and an empty family; PictureError (see `workers.scan`) for a picture that cannot be used.
    """
    if top < 1:
        raise ValueError("At least one picture of each member is needed.")
    if step < 1 or 360 % step:
        raise ValueError(f"A step of {step} degrees does not divide 360 degrees.")
    if not all(members for _, members in targets):
        raise ValueError("A family has at least one member.")
    if surveys is None:
        layers = list(dict.fromkeys(layer for layer, _ in targets))
        surveys = survey(network, layers, images, batch=batch, device=device, tick=tick)
    turns = np.arange(0, 360, step)
    for layer, everybody in targets:
        found = surveys[layer]
        facing = preferred(network, layer, everybody, device=device, tick=tick)
        angle = dict(zip(everybody, facing.angles, strict=True))
        peaks = {c: a for c, a in angle.items() if a is not None and not found.failure(c)}
        if not peaks:
            yield Failure(
                layer, everybody, "None of its members answers to a drawn curve or line, so none has a front."
            )
            continue
        members = list(peaks)
        places = [place for channel in members for place in _places(network, layer, channel, found, top)]
        answers = _answers(network, layer, members, places, images, turns, device, tick)
        if not np.isfinite(answers).all():
            yield Failure(layer, everybody, "Some responses of its members are not finite numbers.")
            continue
        examples = len(places) // len(members)
        shifts = np.subtract.outer(list(peaks.values()), list(peaks.values())).repeat(examples, axis=0)
        curves = _aligned(np.maximum(answers, 0), shifts, step).mean(axis=1)
        largest = curves.max(axis=0)
        curves = curves / np.where(largest > 0, largest, 1)
        yield Finding(
            layer,
            everybody,
            {
                "members": members,
                "left_out": [channel for channel in everybody if channel not in peaks],
                "stimulus": facing.stimulus,
                "peaks": list(peaks.values()),
                "angles": _orientations(step).tolist(),
                "responses": [[float(f"{value:.7g}") for value in curve] for curve in curves.T],
                "mean": [float(f"{value:.7g}") for value in curves.mean(axis=1)],
                "examples": examples,
            },
        )


def _places(network: Network, layer: str, channel: int, found: Survey, top: int) -> list[Place]:
    """Where in which pictures the channel is highest: the middle of what its unit there sees."""
    field = network.layer(layer).fields[channel]
    places = []
    for image, position in zip(
        found.images[channel, :top].tolist(), found.positions[channel, :top].tolist(), strict=True
    ):
        left, upper, right, lower = field.box(*divmod(position, found.columns))
        places.append((image, (left + right - 1) / 2, (upper + lower - 1) / 2))
    return places


def _answers(
    network: Network,
    layer: str,
    members: Sequence[int],
    places: Sequence[Place],
    images: Pictures,
    turns: NDArray[np.integer],
    device: torch.device | str,
    tick: Callable[[], None],
) -> NDArray[np.float32]:
    """(turns, places, members)."""

    @lru_cache(KEPT)
    def picture(image: int) -> Tensor:
        return to_input([read(images, image, network.preprocessing)])

    def draw(values: NDArray[np.integer], size: int, *, middle: tuple[float, float]) -> NDArray[np.float32]:
        """Values number the turns of the first place, then those of the second, ..."""
        drawn = []
        for at, group in groupby(values, key=lambda value: value // len(turns)):
            image, x, y = places[at]
            angles = turns[np.array(list(group)) % len(turns)]
            drawn.append(turned(angles, size, middle=middle, picture=picture(image), about=(x, y)))
        return np.concatenate(drawn)

    answers = np.zeros((len(places) * len(turns), network.layer(layer).channels), dtype=np.float32)
    for view in views(network, [(layer, channel) for channel in members]):
        answers[:, view.channels] = respond(network, view, draw, np.arange(len(answers)), device=device, tick=tick)
    return answers[:, members].reshape(len(places), len(turns), -1).swapaxes(0, 1)


def turned(
    angles: Sequence[float] | NDArray[np.number],
    size: int,
    *,
    middle: tuple[float, float],
    picture: Tensor,
    about: tuple[float, float],
) -> NDArray[np.float32]:
    """The picture (1, 3, rows, columns) turned clockwise by each angle (degrees) about the point `about`, (x, y) in its
    pixels, which comes to lie at `middle` of (angles, 3, size, size). Bilinear; mirrored beyond the border."""
    radians = torch.deg2rad(torch.as_tensor(np.asarray(angles, dtype=np.float64)))[:, None, None]
    pixels = torch.arange(size, dtype=torch.float64)
    x, y = pixels[None, :] - middle[0], pixels[:, None] - middle[1]
    from_x = about[0] + radians.cos() * x + radians.sin() * y
    from_y = about[1] - radians.sin() * x + radians.cos() * y
    rows, columns = picture.shape[2:]
    grid = torch.stack([2 * from_x / max(columns - 1, 1) - 1, 2 * from_y / max(rows - 1, 1) - 1], dim=3)
    everywhere = picture.expand(len(grid), -1, -1, -1)
    return F.grid_sample(
        everywhere, grid.float(), mode="bilinear", padding_mode="reflection", align_corners=True
    ).numpy()


def _orientations(step: int) -> NDArray[np.integer]:
    """A whole turn, with 0 in the middle."""
    count = 360 // step
    return (np.arange(count) - count // 2) * step


def _aligned(answers: NDArray[np.floating], shifts: NDArray[np.floating], step: int) -> NDArray[np.floating]:
    """Answers (turns, places, members), by turn, as (orientations, places, members), by orientation to the member.

    `shifts` (places, members) is the orientation of a picture that is not turned.
    """
    count = len(answers)
    wanted = ((_orientations(step)[:, None, None] - shifts[None]) / step) % count
    lower = np.floor(wanted).astype(int)
    share = wanted - lower
    before = np.take_along_axis(answers, lower % count, axis=0)
    after = np.take_along_axis(answers, (lower + 1) % count, axis=0)
    return before + share * (after - before)
