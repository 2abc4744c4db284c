"""The picture that excites a neuron most, or several that do so in different ways.

Pictures made in bfloat16 differ from those made in float32 as those of another seed do: small differences early in a
climb lead to another of many equally good pictures. The value that belongs to a picture is always taken in float32.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from workers.evidence import Failure, Finding, Target, nothing
from workers.figures import Picture, to_uint8
from workers.network import Network
from workers.objectives import OBJECTIVES, Objective, alikeness
from workers.optimize import Climbed, Sight, climb, is_grey, own_seed, quick, sight
from workers.receptive_field import Field

# Pixels of all pictures that are worked on at once: enough to keep a processor busy, not more than its caches like.
BATCH_PIXELS = 2**16
BATCH = (8, 64)
BATCH_CUDA = 128

SNAPSHOTS = (0, 4, 48)  # steps before which the picture is kept too

# How much of its value a picture may give up so as not to resemble its neuron's others at all.
DIVERSITY = 0.5
# Units on each side of the objective's that belong to a picture's texture. If all did, pictures would differ in what
# they show around the neuron's own subject.
AROUND = 1

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def feature_visualization(
    network: Network,
    targets: Sequence[Target],
    *,
    steps: int = 512,
    seed: int = 0,
    objective: str = "neuron",
    diversity: int = 1,
    dtype: str = "float32",
    batch: int | None = None,
    device: torch.device | str = "cpu",
    tick: Callable[[], None] = nothing,
) -> Iterator[Finding | Failure]:
    """A picture for each target that maximises its pre-ReLU value, or `diversity` different ones.

    The method is that of "Feature Visualization" (Olah, Mordvintsev, Schubert 2017): see `workers.parameterization`,
    `workers.transforms` and `workers.optimize` for the recipe and its constants. The objective is "neuron" (the value
    of one unit), "negative" (its opposite), or "channel" (the mean of 5 x 5 neighbouring units). The picture is as
    large as what these units see, so for "channel" 4 strides of the layer larger than the receptive field, but never
    larger than the network's own input. The network runs only as far as the target's layer. Pictures have luminance
    only where the network cannot tell colours apart.

    Several pictures of a neuron are kept apart by the article's diversity term: each loses as much of its value as its
    texture (Gram matrix of the layer's rectified values) is like that of the others, in cosine. They come strongest
    first. `dtype` is what the network computes in while climbing; see above.

    Data: {"value": the objective's, pre-ReLU (of "negative" the unit's own), at the picture as shown, without
    transforms, in float32, "values": that of each picture, "plain": that of plain grey, "steps", "canvas": side in
    pixels, "objective", "diversity", "dtype"}. Pictures `image`, `image_2`, ..., and `step_0`, `step_4`, `step_48`:
    what became the first one, before those steps. A neuron whose value is not finite, or that is not moved beyond
    what plain grey gives, is a Failure. ValueError for an objective, dtype or diversity there is not.

    Neurons of one layer and branch are optimised `batch` pictures at a time (by default as `at_once` says, and never
    fewer than one neuron's), the last batch padded, each from a seed of its own: which others are in the batch makes no
    difference.
    """
    if objective not in OBJECTIVES:
        raise ValueError(f"An objective is one of {', '.join(OBJECTIVES)}, not {objective!r}.")
    if dtype not in DTYPES:
        raise ValueError(f"A dtype is one of {', '.join(DTYPES)}, not {dtype!r}.")
    if diversity < 1:
        raise ValueError("It takes at least one picture.")
    groups: dict[tuple[str, str, Field], list[int]] = {}
    for layer, channel in targets:
        known = network.layer(layer)
        groups.setdefault((layer, known.branches[channel], known.fields[channel]), []).append(channel)
    for (layer, branch, field), channels in groups.items():
        branches = network.layer(layer).branches
        # Textures, which only matter to several pictures, are those of the whole layer.
        part = (branches.index(branch), branches.count(branch)) if diversity == 1 else (0, len(branches))
        values = quick(network, layer, DTYPES[dtype], part)
        aim = Aim(network, layer, field, OBJECTIVES[objective], diversity, values, part[0])
        together = max((batch or at_once(aim.sight.size, device)) // diversity, 1)
        for first in range(0, len(channels), together):
            some = channels[first : first + together]
            padded = some + some[-1:] * (together - len(some))
            climbed = aim.climb(padded, steps=steps, seed=seed, device=device, tick=tick)
            for entry, channel in enumerate(some):
                own = slice(entry * diversity, (entry + 1) * diversity)
                asked = {"steps": steps, "objective": objective, "diversity": diversity, "dtype": dtype}
                yield _outcome(aim, channel, climbed, own, asked)


def at_once(size: int, device: torch.device | str) -> int:
    """How many pictures with sides of so many pixels are best worked on together."""
    return BATCH_CUDA if torch.device(device).type == "cuda" else min(max(BATCH_PIXELS // size**2, BATCH[0]), BATCH[1])


@dataclass(frozen=True)
class Aim:
    """What is climbed for channels of one layer and field."""

    network: Network
    layer: str
    field: Field
    objective: Objective
    diversity: int
    values: Callable[[Tensor], Tensor]  # of the layer, quickly, from its channel `first`
    first: int

    @property
    def sight(self) -> Sight:
        return sight(self.network, self.field, self.objective.units)

    def climb(
        self,
        channels: Sequence[int],
        *,
        steps: int,
        seed: int,
        device: torch.device | str,
        tick: Callable[[], None],
    ) -> Climbed:
        """`diversity` pictures in a row for each channel."""
        own = torch.tensor(channels, device=device).repeat_interleave(self.diversity)
        view = self.sight

        def units(values: Tensor, around: int = 0) -> Tensor:
            """Those of the objective, and so many more on each side."""
            extent = slice(max(view.row - around, 0), view.row + self.objective.units + around)
            return values[:, :, extent, extent]

        def exact(pictures: Tensor) -> Tensor:
            return self.objective(units(self.network.between(view.frame(pictures), None, self.layer)), own)

        def draft(pictures: Tensor) -> Tensor:
            found = self.values(view.frame(pictures))
            reached = self.objective(units(found), own - self.first)
            if self.diversity == 1:
                return reached
            near = units(found, AROUND)
            return reached - DIVERSITY * reached.abs().detach() * alikeness(near, self.diversity)

        return climb(
            exact,
            [own_seed(seed, self._subject(channel, copy)) for channel in channels for copy in range(self.diversity)],
            view.size,
            steps=steps,
            draft=draft,
            grey=is_grey(self.network),
            snapshots=SNAPSHOTS,
            device=device,
            tick=tick,
        )

    def _subject(self, channel: int, copy: int) -> str:
        return f"{self.layer}:{channel}" + (f" {copy + 1}" if copy else "")


def _outcome(aim: Aim, channel: int, climbed: Climbed, own: slice, asked: dict[str, Any]) -> Finding | Failure:
    reached, plain = climbed.reached[own], float(climbed.plain[own][0])
    if not reached.isfinite().all():
        return Failure(aim.layer, channel, "This neuron's value is not a finite number.")
    order = reached.argsort(descending=True, stable=True)
    if reached[order[0]] <= plain:
        reason = "No picture was found that moves this neuron beyond what plain grey does: it may be dead."
        return Failure(aim.layer, channel, reason)
    values = [aim.objective.sign * float(reached[index]) for index in order]
    data = {
        "value": values[0],
        "values": values,
        "plain": aim.objective.sign * plain,
        "canvas": aim.sight.size,
        **asked,
    }
    pictures: dict[str, Picture] = {}
    for number, index in enumerate(order, start=1):
        pictures["image" if number == 1 else f"image_{number}"] = to_uint8(climbed.pictures[own][index])
    for step, before in climbed.snapshots.items():
        pictures[f"step_{step}"] = to_uint8(before[own][order[0]])
    return Finding(aim.layer, channel, data, pictures)
