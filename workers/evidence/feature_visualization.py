"""The picture that excites a neuron most."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import torch
from torch import Tensor

from workers.evidence import Failure, Finding, Target, nothing
from workers.figures import to_uint8
from workers.network import Network
from workers.objectives import OBJECTIVES, Objective
from workers.optimize import centred, climb, is_grey, own_seed
from workers.receptive_field import Field

# Pixels of all pictures that are worked on at once: enough to keep a processor busy, not more than its caches like.
BATCH_PIXELS = 2**16


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
            seeds = [own_seed(seed, f"{layer}:{channel}") for channel in padded]
            climbed = climb(goal, seeds, field.size, steps=steps, grey=is_grey(network), device=device, tick=tick)
            reached, plain = climbed.reached, climbed.plain
            for entry, channel in enumerate(part):
                if not reached[entry].isfinite():
                    yield Failure(layer, channel, "This neuron's value is not a finite number.")
                elif reached[entry] <= plain[entry]:
                    reason = "No picture was found that moves this neuron beyond what plain grey does: it may be dead."
                    yield Failure(layer, channel, reason)
                else:
                    value = float(reached[entry]) * (-1 if objective == "negative" else 1)
                    data = {"value": value, "steps": steps, "canvas": field.size}
                    yield Finding(layer, channel, data, {"image": to_uint8(climbed.pictures[entry])})


def _goal(
    network: Network, layer: str, field: Field, objective: Objective, channels: Tensor, pictures: Tensor
) -> Tensor:
    """The objective of each picture's channel at the one unit that sees exactly the picture: (N,)."""
    return objective(centred(network, layer, field, pictures), channels)
