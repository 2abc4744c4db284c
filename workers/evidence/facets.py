"""The different things that excite one neuron: its best pictures in groups, by what an earlier layer made of them.

After "Multifaceted Feature Visualization" (Nguyen, Yosinski, Clune 2016, arXiv 1602.03616), which makes one picture for
each cluster of a neuron's best pictures; the groups here are non-negative factors, as in "The Building Blocks of
Interpretability" (Olah et al. 2018, doi 10.23915/distill.00010).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from workers.evidence import Failure, Finding, Target, nothing
from workers.factorize import one_sided
from workers.figures import Picture, to_uint8
from workers.network import Network
from workers.optimize import climb, framed, is_grey, own_seed, quick
from workers.receptive_field import PIXEL, canvas, propagate
from workers.scan import Pictures, Survey, activations, example, survey

PICTURES = 64  # the best, that are grouped
EXAMPLES = 9  # of a facet, that are shown
CHANNELS = 12  # of a facet, that are named

# How much of its value a picture may give up to have the facet's channels active, and no others.
LIKENESS = 2.0
LEAK = 0.01  # of what is off, so that a channel that a facet needs can be found while it is off


def facets(
    network: Network,
    targets: Sequence[Target],
    *,
    images: Pictures,
    layer: str,
    facets: int = 3,
    steps: int = 256,
    seed: int = 0,
    surveys: Mapping[str, Survey] | None = None,
    batch: int = 16,
    device: torch.device | str = "cpu",
    tick: Callable[[], None] = nothing,
) -> Iterator[Finding | Failure]:
    """The target's best pictures in up to `facets` groups, by the rectified values of the earlier `layer`.

    Of each of the up to 64 pictures with the highest peaks above zero, what counts is the mean of each channel of
    `layer` over the window that the unit at the peak reads, scaled to unit length. These are factorized
    (`workers.factorize.one_sided`) into as many directions; each picture belongs to the one that it has most of. A
    facet's feature visualization maximises the neuron's value, less twice as much (at least its best picture's) as
    the window's channels differ from the facet's direction (1 - cosine).

    Data: {"layer", "pictures": how many were grouped, "facets": [{"share" of the pictures, "value": the neuron's at
    the feature visualization, None where no picture moves it, "examples": up to 9, best first (see
    `workers.scan.example`), "channels": up to 12 of [index, weight], of a direction of unit length}, ...]}, largest
    first. Pictures `facet_1`, ...: the feature visualization of each facet that has one. Pictures of the set that the
    data speaks of: `images`.
    A neuron that is never above zero, or that reads nothing of `layer` in its best pictures, is a Failure. ValueError
    for a layer that does not come before a target's, and for an empty image set; PictureError for a picture that
    cannot be used. `surveys`, by the targets' layers, are of all these images; without them, one is made.
    """
    for name, _ in targets:
        if network.layer(layer).order >= network.layer(name).order:
            raise ValueError(f"Layer {layer} does not come before layer {name}.")
    if surveys is None:
        names = list(dict.fromkeys(name for name, _ in targets))
        surveys = survey(network, names, images, batch=batch, device=device, tick=tick)
    values = quick(network, layer)
    for name, channel in targets:
        reason = surveys[name].failure(channel)
        if not reason and surveys[name].maximum[channel] <= 0:
            reason = "This neuron is never above zero, so nothing can be said of what excites it."
        if reason:
            yield Failure(name, channel, reason)
            continue
        reader = Reader.of(network, layer, name, channel)
        best = reader.best(surveys[name], images, batch=batch, device=device, tick=tick)
        if not best.read.any():
            yield Failure(name, channel, f"Its best pictures leave all that it reads of {layer} off.")
            continue
        groups = _grouped(best.read, facets, seed)
        subjects = [f"{name}:{channel} facet {number}" for number in range(1, facets + 1)]
        found = reader.visualize(
            values,
            torch.from_numpy(np.stack([direction for direction, _ in groups])).float(),
            [own_seed(seed, subject) for subject in subjects],
            float(surveys[name].maximum[channel]),
            steps=steps,
            device=device,
            tick=tick,
        )
        shown: list[dict[str, Any]] = []
        pictures: dict[str, Picture] = {}
        for number, ((direction, members), (picture, value)) in enumerate(zip(groups, found, strict=True), start=1):
            strongest = [
                int(index) for index in np.argsort(-direction, kind="stable")[:CHANNELS] if direction[index] > 0
            ]
            shown.append(
                {
                    "share": len(members) / len(best.read),
                    "value": value,
                    "examples": [
                        example(network, (name, channel), images, *best.places[i]) for i in members[:EXAMPLES]
                    ],
                    "channels": [[index, float(direction[index])] for index in strongest],
                }
            )
            if picture is not None:
                pictures[f"facet_{number}"] = picture
        named = frozenset(each["image"] for facet in shown for each in facet["examples"])
        data = {"layer": layer, "pictures": len(best.read), "facets": shown}
        yield Finding(name, channel, data, pictures, images=named)


@dataclass(frozen=True)
class Best:
    """A neuron's best pictures, best first: (image, row, column, value) of each, and what it reads there, (n, channels
    of the earlier layer), of unit length or 0."""

    places: list[tuple[int, int, int, float]]
    read: NDArray[np.float64]


@dataclass(frozen=True)
class Reader:
    """A neuron that reads an earlier layer: unit (row, column) the cells start + stride * row ... + size - 1 of it."""

    network: Network
    layer: str
    name: str
    channel: int
    start: int
    stride: int
    size: int

    @classmethod
    def of(cls, network: Network, layer: str, name: str, channel: int) -> "Reader":
        earlier = network.layer(layer)
        between = network.layers[earlier.order + 1 : network.layer(name).order + 1]
        stages = nn.Sequential(*(network.stages[each.name] for each in between))
        seen = propagate(stages, (PIXEL,) * earlier.channels)[channel]
        return cls(network, layer, name, channel, seen.start, seen.stride, seen.size)

    def window(self, values: Tensor, row: int, column: int, leak: float = 0.0) -> Tensor:
        """From the earlier layer's pre-ReLU values (n, channels, rows, columns) the mean of each rectified channel over
        what the unit reads: (n, channels). Of negative values so much is left as `leak` says."""
        top, left = (self.start + self.stride * each for each in (row, column))
        cells = values[:, :, max(top, 0) : top + self.size, max(left, 0) : left + self.size]
        return F.leaky_relu(cells, leak).mean((2, 3))

    def best(
        self,
        found: Survey,
        images: Pictures,
        *,
        batch: int,
        device: torch.device | str,
        tick: Callable[[], None],
    ) -> Best:
        """One pass over the pictures with the highest peaks."""
        peaks = found.peaks[:, self.channel]
        order = peaks.argsort(descending=True, stable=True)[:PICTURES]
        chosen = found.kept[order[peaks[order] > 0]].tolist()
        places, read = [], []
        layers = [self.layer, self.name]
        for part, values in activations(self.network, layers, images, chosen, batch=batch, device=device, tick=tick):
            for entry, image in enumerate(part):
                plane = values[self.name][entry, self.channel]
                row, column = divmod(int(plane.argmax()), plane.shape[1])
                places.append((image, row, column, float(plane[row, column])))
                cells = self.window(values[self.layer][entry : entry + 1], row, column)
                read.append(F.normalize(cells.double(), dim=1)[0].cpu().numpy())
        return Best(places, np.stack(read))

    def visualize(
        self,
        values: Callable[[Tensor], Tensor],
        directions: Tensor,
        seeds: Sequence[int],
        strongest: float,
        *,
        steps: int,
        device: torch.device | str,
        tick: Callable[[], None],
    ) -> list[tuple[Picture | None, float | None]]:
        """For each of `directions` (n, channels of the earlier layer) the picture and the neuron's value there.

        `values` gives the earlier layer's, quickly; `strongest` is the neuron's value in its best picture. There are at
        least as many seeds as directions: that many pictures are made at once, so that none depends on how many others
        there are.
        """
        field = self.network.layer(self.name).fields[self.channel]
        row = canvas(field)[1]
        padded = torch.cat([directions, directions[-1:].expand(len(seeds) - len(directions), -1)]).to(device)

        def unit(earlier: Tensor) -> Tensor:
            return self.network.between(earlier, self.layer, self.name)[:, self.channel, row, row]

        def exact(pictures: Tensor) -> Tensor:
            return unit(self.network.between(framed(field, pictures), None, self.layer))

        def draft(pictures: Tensor) -> Tensor:
            earlier = values(framed(field, pictures))
            reached = unit(earlier)
            alike = F.cosine_similarity(self.window(earlier, row, row, leak=LEAK), padded, dim=1)
            return reached - LIKENESS * reached.abs().detach().clamp_min(strongest) * (1 - alike)

        climbed = climb(
            exact, seeds, field.size, steps=steps, draft=draft, grey=is_grey(self.network), device=device, tick=tick
        )
        found: list[tuple[Picture | None, float | None]] = []
        for picture, reached, plain in zip(climbed.pictures, climbed.reached, climbed.plain, strict=True):
            found.append((to_uint8(picture), float(reached)) if reached > plain else (None, None))
        return found[: len(directions)]


def _grouped(read: NDArray[np.float64], count: int, seed: int) -> list[tuple[NDArray[np.float64], list[int]]]:
    """(direction of unit length, its pictures in their order) of up to `count` groups of the pictures' (n, channels).

    The largest group first; of equally large ones that with the earlier picture.
    """
    factors = one_sided(read.T, count, seed=seed)
    belongs = factors.rows.argmax(axis=0)
    groups: list[tuple[NDArray[np.float64], list[int]]] = []
    for index, direction in enumerate(factors.columns.T):
        if members := np.flatnonzero(belongs == index).tolist():
            groups.append((direction, members))
    return sorted(groups, key=lambda group: (-len(group[1]), group[1][0]))
