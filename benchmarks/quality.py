"""How good feature visualizations are, on real pictures and real weights."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks import peers
from workers import scan
from workers.evidence import Finding
from workers.evidence.feature_visualization import feature_visualization
from workers.network import Network
from workers.optimize import centred
from workers.receptive_field import canvas
from workers.transforms import FILL

PEER_BATCH = 16  # pictures that the peer makes at once


@dataclass(frozen=True)
class Responses:
    """What the image set does to the channels of a layer, pre-ReLU, over all positions."""

    strongest: Tensor  # (channels,)
    mean: Tensor
    sd: Tensor


def responses(network: Network, layers: Sequence[str], images: scan.Pictures) -> dict[str, Responses]:
    strongest: dict[str, Tensor] = {}
    sums: dict[str, Tensor] = {}
    for _, pictures in scan.batches(images, network.preprocessing, 16):
        with torch.inference_mode():
            found = network.activations(scan.to_input(pictures), layers)
        for layer, values in found.items():
            peaks, flat = values.amax((0, 2, 3)), values.double().movedim(1, 0).flatten(1)
            strongest[layer] = torch.maximum(strongest.get(layer, peaks), peaks)
            moments = torch.stack([torch.full(peaks.shape, flat.shape[1]), flat.sum(1), (flat**2).sum(1)])
            sums[layer] = sums.get(layer, torch.zeros_like(moments)) + moments
    answer = {}
    for layer, (count, first, second) in sums.items():
        mean = first / count
        sd = (second / count - mean**2).clamp_min(0).sqrt()
        answer[layer] = Responses(strongest[layer], mean.float(), sd.float())
    return answer


def measure(
    network: Network,
    layers: Sequence[str],
    images: scan.Pictures,
    *,
    steps: int = 512,
    peer_steps: int = 512,
    every: int = 1,
    dtype: str = "float32",
    with_peer: bool = True,
    say: Callable[[str], None] = print,
) -> dict[str, Any]:
    """Of each layer's live neurons (some image drives them above zero), or of every few of them:

    "beats": the share whose picture drives them above their strongest response to any image; "among_first_3": the share
    that is among the 3 most excited channels of its layer at the picture (z-scores over the image set); "extremes": the
    median share of a picture's pixels with a colour within 1 % of black or full; "objective": the mean value reached;
    and the mean that torch-lucent reaches at the same input size, with its transforms as shipped ("peer") and with the
    best that they can be for one unit ("peer_cropped": see `peers.cropped`).
    """
    answer: dict[str, Any] = {}
    for layer, seen in responses(network, layers, images).items():
        live = [channel for channel in range(len(seen.strongest)) if seen.strongest[channel] > 0][::every]
        rows = ours(network, layer, live, seen, steps=steps, dtype=dtype)
        figures: dict[str, Any] = {
            "neurons": len(live),
            "beats": float(np.mean([row.beats for row in rows])),
            "among_first_3": float(np.mean([row.rank < 3 for row in rows])),
            "extremes": float(np.median([row.extremes for row in rows])),
            "objective": float(np.mean([row.value for row in rows])),
        }
        if with_peer:
            figures["peer"] = float(np.mean(theirs(network, layer, live, steps=peer_steps, crop=False)))
            figures["peer_cropped"] = float(np.mean(theirs(network, layer, live, steps=peer_steps, crop=True)))
        say(f"{layer}: {figures}")
        answer[layer] = {**figures, "each": [asdict(row) for row in rows]}
    return answer


@dataclass(frozen=True)
class Row:
    """A neuron's picture."""

    channel: int
    value: float
    beats: bool
    rank: int  # 0: no channel of the layer is more excited
    extremes: float


def ours(
    network: Network, layer: str, channels: Sequence[int], seen: Responses, *, steps: int, dtype: str
) -> list[Row]:
    """A neuron that no picture was found for counts as beaten, and as last of its layer."""
    widest = max(network.layer(layer).fields, key=lambda field: field.size)
    rows = []
    targets = [(layer, channel) for channel in channels]
    for outcome in feature_visualization(network, targets, steps=steps, dtype=dtype):
        channel = outcome.channel
        assert isinstance(channel, int)
        if not (isinstance(outcome, Finding) and isinstance(outcome.data, dict)):
            rows.append(Row(channel, float("nan"), False, len(seen.mean), 1.0))
            continue
        picture = torch.from_numpy(outcome.pictures["image"]).movedim(2, 0)[None] / 255
        margin = widest.size - picture.shape[-1]
        whole = F.pad(picture, (margin // 2, margin - margin // 2) * 2, value=FILL)
        z = (centred(network, layer, widest, whole)[0] - seen.mean) / seen.sd
        rank = int((z > z[channel]).sum())
        image = outcome.pictures["image"]
        extremes = float(((image <= 2) | (image >= 253)).any(axis=2).mean())
        rows.append(
            Row(channel, outcome.data["value"], outcome.data["value"] > float(seen.strongest[channel]), rank, extremes)
        )
    return rows


def theirs(network: Network, layer: str, channels: Sequence[int], *, steps: int, crop: bool) -> list[float]:
    """The values that torch-lucent's last pictures reach, measured as ours are."""
    model = peers.plain_model(network, layer)
    groups: dict[Any, list[int]] = {}
    for channel in channels:
        groups.setdefault(network.layer(layer).fields[channel], []).append(channel)
    values = []
    for field, members in groups.items():
        size, row = canvas(field)
        for first in range(0, len(members), PEER_BATCH):
            part = members[first : first + PEER_BATCH]
            transforms = peers.cropped(size) if crop else None
            pictures = peers.neurons(model, layer, part, size, row, steps=steps, transforms=transforms)
            with torch.no_grad():
                found = network.between(pictures, None, layer)[:, :, row, row]
            values += [float(found[entry, channel]) for entry, channel in enumerate(part)]
    return values
