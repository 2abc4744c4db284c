"""The pictures of an image set that excite a neuron most, and how those look that excite it less, down to the least."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from workers.evidence import Failure, Finding, Target, nothing
from workers.figures import Picture
from workers.network import Network
from workers.scan import SEED, TOP, Pictures, Survey, activations, example, survey

BINS = 18  # of equal width, from the lowest value to the highest
IN_BIN = 6  # examples of each


def dataset_examples(
    network: Network,
    targets: Sequence[Target],
    *,
    images: Pictures,
    top: int = TOP,
    surveys: Mapping[str, Survey] | None = None,
    batch: int = 16,
    device: torch.device | str = "cpu",
    tick: Callable[[], None] = nothing,
) -> Iterator[Finding | Failure]:
    """The `top` pictures (at most 9) with the highest pre-ReLU value anywhere in them, best first, and examples of
    every height of the value: the "quilt" of "Curve Detectors" (Cammarata et al. 2020, doi 10.23915/distill.00024.003).

    Each picture counts once, in `top` with its best position (ties: the earlier picture, the first position in reading
    order), in the quilt with one position drawn with a seed. `surveys`, by layer, are of all these images; without
    them, one is made. A second pass over only the best pictures of all targets draws the activation maps.

    Data: {"top": [example, ...], "lowest": example, where the neuron is lowest in the whole set, "bins": [{"from",
    "to", "count", "examples"}, ...], 18 of equal width over the whole range, highest first, each with the number of
    drawn values in it and up to 6 of them, drawn once more, highest first, "minimum", "maximum", "images": how many
    there are, "map": {"rows", "columns"}}; an example is what `workers.scan.example` says. The quilt is of at most
    16,384 pictures (see `workers.scan.Survey`).
    Picture `maps`: the neuron's activation maps in `top`, side by side in their order, (rows, columns x as many), from
    black (zero, or less) to white (the maximum). Pictures that the examples are in: `images`.

    ValueError for an empty image set, or `top` above 9; PictureError for a picture that cannot be used.
    """
    if not 1 <= top <= TOP:
        raise ValueError(f"A survey keeps the {TOP} best pictures: top is from 1 to {TOP}, not {top}.")
    if surveys is None:
        layers = list(dict.fromkeys(layer for layer, _ in targets))
        surveys = survey(network, layers, images, batch=batch, device=device, tick=tick)
    failures = {target: surveys[target[0]].failure(target[1]) for target in targets}
    alive = [target for target in targets if not failures[target]]
    maps = _maps(network, alive, surveys, images, top, batch=batch, device=device, tick=tick)
    for target in targets:
        layer, channel = target
        tick()
        if failures[target]:
            yield Failure(layer, channel, failures[target])
            continue
        data = _data(network, target, surveys[layer], images, top)
        of_bins = [each for each_bin in data["bins"] for each in each_bin["examples"]]
        named = frozenset(each["image"] for each in [*data["top"], data["lowest"], *of_bins])
        yield Finding(layer, channel, data, {"maps": maps[target]}, images=named)


def _data(network: Network, target: Target, found: Survey, images: Pictures, top: int) -> dict[str, Any]:
    _, channel = target

    def show(image: int, position: int, value: float) -> dict[str, Any]:
        row, column = divmod(position, found.columns)
        return example(network, target, images, image, row, column, value)

    best = zip(*(part[channel, :top].tolist() for part in (found.images, found.positions, found.values)), strict=True)
    minimum, maximum = float(found.minimum[channel]), float(found.maximum[channel])
    lowest = show(int(found.minimum_image[channel]), int(found.minimum_position[channel]), minimum)
    drawn = found.drawn[:, channel].double().numpy()
    edges = np.linspace(minimum, maximum, BINS + 1)
    bins = np.clip(np.searchsorted(edges, drawn, side="right") - 1, 0, BINS - 1)
    # Which of a bin's pictures are shown must not be the first ones: a set is often sorted by what it shows.
    shuffled = np.random.default_rng(SEED).permutation(len(drawn))
    quilt = []
    for each in reversed(range(BINS)):
        members = shuffled[bins[shuffled] == each]
        shown = sorted(members[:IN_BIN], key=lambda entry: (-drawn[entry], entry))
        examples = [show(int(found.kept[entry]), int(found.places[entry]), float(drawn[entry])) for entry in shown]
        limits = {"from": float(edges[each]), "to": float(edges[each + 1])}
        quilt.append({**limits, "count": len(members), "examples": examples})
    return {
        "top": [show(*place) for place in best],
        "lowest": lowest,
        "bins": quilt,
        "minimum": minimum,
        "maximum": maximum,
        "images": len(images),
        "map": {"rows": found.rows, "columns": found.columns},
    }


def _maps(
    network: Network,
    targets: Sequence[Target],
    surveys: Mapping[str, Survey],
    images: Pictures,
    top: int,
    *,
    batch: int,
    device: torch.device | str,
    tick: Callable[[], None],
) -> dict[Target, Picture]:
    """Each target's activation maps in its best pictures, as one strip: from one pass over these pictures for all."""
    strips: dict[Target, Picture] = {}
    wanted: dict[int, dict[str, list[tuple[int, int]]]] = {}  # by picture and layer: channel, rank
    for layer, channel in targets:
        found = surveys[layer]
        best = found.images[channel, :top].tolist()
        strips[layer, channel] = np.zeros((found.rows, len(best) * found.columns, 3), dtype=np.uint8)
        for rank, image in enumerate(best):
            wanted.setdefault(image, {}).setdefault(layer, []).append((channel, rank))
    layers = list(dict.fromkeys(layer for layer, _ in targets))
    passed = activations(network, layers, images, sorted(wanted), batch=batch, device=device, tick=tick)
    for part, values in passed:
        for entry, image in enumerate(part):
            for layer, places in wanted[image].items():
                found = surveys[layer]
                channels = torch.tensor([channel for channel, _ in places])
                # A channel that is never above zero stays black.
                scale = 255 / found.maximum[channels].clamp_min(torch.finfo(torch.float32).tiny)
                above = values[layer][entry, channels.to(device)].cpu().clamp_min(0)
                grey = (above * scale[:, None, None]).round().clamp_max(255).byte().numpy()
                for (channel, rank), plane in zip(places, grey, strict=True):
                    left = rank * found.columns
                    strips[layer, channel][:, left : left + found.columns] = plane[:, :, None]
    return strips
