"""The pictures of an image set that excite a neuron most, and where in them."""

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Any

import torch

from workers.evidence import Failure, Finding, Target, nothing
from workers.figures import Picture
from workers.network import Network
from workers.scan import Pictures, Top, activations, read

# Bytes of preprocessed pictures kept at hand while the examples are gathered: one picture is often among the best of
# many neurons, and is opened again only once if it is still there.
KEPT = 256 * 2**20


def dataset_examples(
    network: Network,
    targets: Sequence[Target],
    *,
    images: Pictures,
    top: int = 9,
    batch: int = 16,
    device: torch.device | str = "cpu",
    tick: Callable[[], None] = nothing,
) -> Iterator[Finding | Failure]:
    """The `top` images with the highest pre-ReLU value anywhere in them, best first (ties: the earlier image).

    One pass over the images serves all targets of all layers; memory does not grow with the number of images. Each
    image counts once, with its best position (ties: the first in reading order).

    Data, for each: {"image": its name, "value", "row" and "column" of the unit, "box": [left, top, right, bottom],
    what that unit sees in pixels of the preprocessed picture (right and bottom exclusive), cut at the picture's border,
    "clipped": whether it was}. Photographs `top_1`, `top_2`, ...: the whole preprocessed pictures. A reader crops them
    by the box: a picture that is among the best of a hundred neurons is then one file, and the crop keeps its
    surroundings.
    ValueError for an empty image set; PictureError (see `workers.scan`) for a picture that cannot be used.
    """
    if not len(images):
        raise ValueError("There are no images to look for examples in.")
    channels: dict[str, list[int]] = {}
    for layer, channel in targets:
        channels.setdefault(layer, []).append(channel)
    best = {layer: Top(of_layer, top, device) for layer, of_layer in channels.items()}
    for first, values in activations(network, list(channels), images, batch=batch, device=device, tick=tick):
        for layer in channels:
            best[layer].add(first, values[layer])

    size = network.preprocessing.size

    @lru_cache(maxsize=max(1, KEPT // (3 * size**2)))
    def picture(index: int) -> Picture:
        tick()
        return read(images, index, network.preprocessing)

    for layer, of_layer in channels.items():
        found, fields = best[layer], network.layer(layer).fields
        for entry, channel in enumerate(of_layer):
            if not found.sound[entry]:
                yield Failure(layer, channel, "This neuron's value is not a finite number for some image.")
                continue
            if not found.varied[entry]:
                yield Failure(layer, channel, "This neuron is dead: its value is the same everywhere in every image.")
                continue
            data: list[dict[str, Any]] = []
            photographs: dict[str, Picture] = {}
            ranked = zip(*(part[entry].tolist() for part in (found.values, found.images, found.positions)), strict=True)
            for rank, (value, image, position) in enumerate(ranked, start=1):
                row, column = divmod(position, found.columns)
                whole = fields[channel].box(row, column)
                box = [min(max(edge, 0), size) for edge in whole]
                data.append(
                    {
                        "image": images.names[image],
                        "value": value,
                        "row": row,
                        "column": column,
                        "box": box,
                        "clipped": box != list(whole),
                    }
                )
                photographs[f"top_{rank}"] = picture(image)
            yield Finding(layer, channel, data, photographs=photographs)
