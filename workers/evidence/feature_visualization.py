"""The picture that excites a neuron most."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from workers.evidence import Failure, Finding, Target, nothing
from workers.figures import to_uint8
from workers.network import Network
from workers.objectives import OBJECTIVES, Objective
from workers.optimize import maximise, quantised
from workers.receptive_field import Field, canvas
from workers.transforms import FILL

# Pixels of all pictures that are worked on at once: enough to keep a processor busy, not more than its caches like.
BATCH_PIXELS = 2**16

LOUD = 100.0  # the contrast of the second try's first picture, over that of the first's


def feature_visualization(
    network: Network,
    targets: Sequence[Target],
    *,
    steps: int = 512,
    seed: int = 0,
    objective: str = "neuron",
    batch: int | None = None,
    device: torch.device | str = "cpu",
    tick: Callable[[], None] = nothing,
) -> Iterator[Finding | Failure]:
    """A picture for each target, as large as what the neuron sees, that maximises its pre-ReLU value.

    The method is that of "Feature Visualization" (Olah, Mordvintsev, Schubert 2017): see `workers.parameterization`,
    `workers.transforms` and `workers.optimize` for the recipe and its constants. The network runs only as far as
    the target's layer, on a canvas just large enough for one unit; what the unit does not see is not drawn.
    The objective is "neuron" (the unit's value) or "negative" (its opposite). Pictures have luminance only where
    the network cannot tell colours apart.

    Data: {"value": pre-ReLU value at the picture as shown, without transforms, "steps", "canvas": its side in pixels}.
    Picture `image`. A neuron whose value is not finite, or that is not moved beyond what plain grey gives, is a
    Failure. ValueError for an objective there is not.

    Neurons of one layer and branch are optimised `batch` at a time (by default 8 to 64, fewer of larger pictures), the
    last batch padded, each from a seed of its own: which others are in the batch makes no difference.
    """
    if objective not in OBJECTIVES:
        raise ValueError(f"An objective is one of {', '.join(OBJECTIVES)}, not {objective!r}.")
    groups: dict[tuple[str, Field], list[int]] = {}
    for layer, channel in targets:
        groups.setdefault((layer, network.layer(layer).fields[channel]), []).append(channel)
    for (layer, field), channels in groups.items():
        together = batch or min(max(BATCH_PIXELS // field.size**2, 8), 64)
        for first in range(0, len(channels), together):
            part = channels[first : first + together]
            padded = part + part[-1:] * (together - len(part))
            goal = partial(_goal, network, layer, field, OBJECTIVES[objective], torch.tensor(padded, device=device))
            seeds = [neuron_seed(seed, layer, channel) for channel in padded]
            pictures, reached, plain = _climb(
                goal, seeds, field.size, steps=steps, grey=is_grey(network), device=device, tick=tick
            )
            for entry, channel in enumerate(part):
                if not reached[entry].isfinite():
                    yield Failure(layer, channel, "This neuron's value is not a finite number.")
                elif reached[entry] <= plain[entry]:
                    reason = "No picture was found that moves this neuron beyond what plain grey does: it may be dead."
                    yield Failure(layer, channel, reason)
                else:
                    value = float(reached[entry]) * (-1 if objective == "negative" else 1)
                    data = {"value": value, "steps": steps, "canvas": field.size}
                    yield Finding(layer, channel, data, {"image": to_uint8(pictures[entry])})


def _climb(
    goal: Callable[[Tensor], Tensor],
    seeds: Sequence[int],
    size: int,
    *,
    steps: int,
    grey: bool,
    device: torch.device | str,
    tick: Callable[[], None],
) -> tuple[Tensor, Tensor, Tensor]:
    """Pictures (N, 3, size, size) as they will be shown, the goal that each reaches, and what plain grey gives: (N,).

    Among many units that are off, the climb from near grey can end below grey: those pictures are tried once more, from
    the same seeds and a louder start.
    """
    with torch.no_grad():
        plain = goal(torch.full((len(seeds), 3, size, size), FILL, device=device))
    pictures, reached = torch.empty(0), torch.full_like(plain, torch.nan)
    for contrast in (1.0, LOUD):
        generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        found = quantised(
            maximise(goal, generators, size, steps=steps, grey=grey, contrast=contrast, device=device, tick=tick)
        )
        lost = ~(reached > plain)
        pictures = found if lost.all() else torch.where(lost[:, None, None, None], found, pictures)
        with torch.no_grad():
            reached = goal(pictures)
        if (reached > plain).all():
            break
    return pictures, reached, plain


def _goal(
    network: Network, layer: str, field: Field, objective: Objective, channels: Tensor, pictures: Tensor
) -> Tensor:
    """The objective of each picture's channel at the one unit that sees exactly the picture: (N,)."""
    size, row = canvas(field)
    margin = size - field.size  # at the left and top, for the grid of strides; the unit does not see it
    framed = F.pad(pictures, (margin, 0, margin, 0), value=FILL).contiguous(memory_format=torch.channels_last)
    return objective(network.between(framed, None, layer), channels, row)


def neuron_seed(seed: int, layer: str, channel: int) -> int:
    """A seed of this neuron's own."""
    digest = hashlib.sha256(f"{seed} {layer}:{channel}".encode()).digest()
    return int.from_bytes(digest[:8], "big", signed=True)


def is_grey(network: Network) -> bool:
    """Whether the network gives equal weights to red, green and blue, and so cannot tell colours apart."""
    first = network.stages[network.layers[0].name]
    weights = [module.weight for module in first.modules() if isinstance(module, nn.Conv2d)]
    weight = weights[0] / network.std.reshape(1, 3, 1, 1) if weights else torch.eye(3)
    return all(torch.equal(weight[:, 0], weight[:, colour]) for colour in (1, 2))
