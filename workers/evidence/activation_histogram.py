"""How a neuron's values are distributed over an image set."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from workers.evidence import Failure, Finding, Target, nothing
from workers.network import Network
from workers.scan import Pictures, Survey, survey

BINS = 80  # over the range from minimum to maximum; up to two more, so that zero is an edge
QUANTILES = ("0.001", "0.01", "0.05", "0.25", "0.5", "0.75", "0.95", "0.99", "0.999")


def activation_histogram(
    network: Network,
    targets: Sequence[Target],
    *,
    images: Pictures,
    surveys: Mapping[str, Survey] | None = None,
    batch: int = 16,
    device: torch.device | str = "cpu",
    tick: Callable[[], None] = nothing,
) -> Iterator[Finding | Failure]:
    """The distribution of a neuron's pre-ReLU value over all positions of all images.

    Data: {"edges", of 80 to 82 bins of equal width from the minimum to the maximum, zero (or a whole number of widths
    from it) an edge, "counts", "mean", "sd", "share_above_zero", "quantiles": {"0.001": value, ...}, "minimum",
    "maximum", "samples", "images"}.
    `minimum` and `maximum` are exact, over every position. All else is estimated from `samples` values, 64 positions of
    each image drawn with a seed: the mean, the deviation and the share above zero are exact for these; quantiles are
    off by at most 1/32 of themselves, and a count by the values that lie within 1/32 of its bin's edges (see
    `workers.scan.Survey`). Positions of one image are not independent: 64 of them tell less than as many images would.

    `surveys`, by layer, are of all these images; without them, one is made. ValueError for an empty image set;
    PictureError for a picture that cannot be used.
    """
    if surveys is None:
        layers = list(dict.fromkeys(layer for layer, _ in targets))
        surveys = survey(network, layers, images, batch=batch, device=device, tick=tick)
    for layer, channel in targets:
        tick()
        if reason := surveys[layer].failure(channel):
            yield Failure(layer, channel, reason)
        else:
            yield Finding(layer, channel, _data(surveys[layer], channel, len(images)))


def _data(found: Survey, channel: int, images: int) -> dict[str, Any]:
    minimum, maximum = float(found.minimum[channel]), float(found.maximum[channel])
    width = (maximum - minimum) / BINS
    edges = width * np.arange(np.floor(minimum / width), np.ceil(maximum / width) + 1)
    below = np.interp(edges, *found.cumulative(channel))
    below[0], below[-1] = 0, found.samples
    # Rounded where bins meet, not in each bin, so that the counts add up.
    counts = np.diff(np.rint(below).astype(int))
    return {
        "edges": edges.tolist(),
        "counts": counts.tolist(),
        "mean": float(found.mean[channel]),
        "sd": float(found.sd[channel]),
        "share_above_zero": int(found.above[channel]) / found.samples,
        "quantiles": dict(zip(QUANTILES, found.quantiles(channel, [float(share) for share in QUANTILES]), strict=True)),
        "minimum": minimum,
        "maximum": maximum,
        "samples": found.samples,
        "images": images,
    }
