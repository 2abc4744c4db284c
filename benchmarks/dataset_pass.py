"""How fast the pass over an image set is, beside a plain forward pass of torchvision's model over the same pictures.

The plain pass is the limit of any such pass: the same loader, batches, weights and threads, and nothing is kept of it.
Ours ends at the last layer and leaves the classifier out, but looks at every value of every layer on the way.
"""

import copy
import dataclasses
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import safetensors.torch
import torch
import torchvision
from PIL import Image
from torch import nn

from tests.shared import DATA
from workers import scan, zoo
from workers.network import Network

WEIGHTS = DATA / "squeezenet1_0" / "squeezenet1_0.safetensors"
TARGET = 0.85  # of the plain rate


def measure(device: str = "cpu", *, part: int = 128, repeats: int = 7, batch: int = 16) -> dict[str, Any]:
    """Pictures a second of both passes over parts of `part` real pictures, in turn, the median of `repeats` each.

    {"ours_rate", "plain_rate", "ratio", "cpu_ratio", "target"} with opening and decoding the pictures, and under
    "forward" the same without, from pictures decoded before. A ratio is the median of those of neighbouring runs;
    "cpu_ratio" is that of the processor time that they took (of all threads, the decoding ones too), which a busy
    machine disturbs less. "memory": bytes that the surveys of all layers hold, by number of pictures. In every repeat
    it is another part of the set.
    """
    network = zoo.load("squeezenet1_0", WEIGHTS).to(device)
    model = torchvision.models.squeezenet1_0()
    model.load_state_dict(safetensors.torch.load_file(WEIGHTS))
    model = model.eval().to(device)
    files = sorted((DATA / "imagenet-samples").glob("*.jpg"))
    images = scan.Pictures([file.name for file in files], lambda index: files[index])
    decoded, network_of_decoded = _decoded(network, images, part)
    found = _compare(network, model, images, part, repeats, batch, device)
    found["forward"] = _compare(network_of_decoded, model, decoded, part, repeats, batch, device)
    found["memory"] = _memory(network_of_decoded, decoded, (part // 4, part // 2, part), batch, device)
    return found


def _compare(
    network: Network, model: nn.Module, images: scan.Pictures, part: int, repeats: int, batch: int, device: str
) -> dict[str, Any]:
    layers = [layer.name for layer in network.layers]
    ours: list[tuple[float, float]] = []
    plain: list[tuple[float, float]] = []
    for repeat in range(repeats + 1):
        first = repeat * part % (len(images) - part + 1)

        def survey(first: int = first) -> None:
            scan.survey(network, layers, images, first=first, last=first + part, batch=batch, device=device)

        def forward(first: int = first) -> None:
            chosen = range(first, first + part)
            for _, pictures in scan.batches(images, network.preprocessing, batch, chosen):
                with torch.inference_mode():
                    model(network.normalise(scan.to_input(pictures, device)))

        both = [(ours, survey), (plain, forward)]
        for times, work in both if repeat % 2 else reversed(both):
            times.append(_timed(work, device))
    ours, plain = ours[1:], plain[1:]  # the first warms up
    return {
        "ours_rate": part / statistics.median(wall for wall, _ in ours),
        "plain_rate": part / statistics.median(wall for wall, _ in plain),
        "ratio": statistics.median(b / a for (a, _), (b, _) in zip(ours, plain, strict=True)),
        "cpu_ratio": statistics.median(b / a for (_, a), (_, b) in zip(ours, plain, strict=True)),
        "target": TARGET,
    }


def _timed(work: Callable[[], None], device: str) -> tuple[float, float]:
    """Seconds of the clock, and of this process's processors."""
    if device.startswith("cuda"):
        torch.cuda.synchronize()
    wall, processor = time.perf_counter(), time.process_time()
    work()
    if device.startswith("cuda"):
        torch.cuda.synchronize()
    return time.perf_counter() - wall, time.process_time() - processor


def _decoded(network: Network, images: scan.Pictures, count: int) -> tuple[scan.Pictures, Network]:
    """The first pictures as they go into the network, held in memory, and the network for them."""
    ready = [Image.fromarray(scan.read(images, index, network.preprocessing)) for index in range(count)]

    class Ready(scan.Pictures):
        def open(self, index: int) -> Image.Image:
            return ready[index]

    size = network.preprocessing.size
    same = copy.copy(network)
    same.preprocessing = dataclasses.replace(network.preprocessing, resize=size)
    return Ready(images.names[:count], lambda index: NotImplemented), same


def _memory(
    network: Network, images: scan.Pictures, counts: tuple[int, ...], batch: int, device: str
) -> dict[int, int]:
    found = {}
    for count in counts:
        surveys = scan.survey(
            network, [each.name for each in network.layers], images, last=count, batch=batch, device=device
        )
        tensors = [
            value for each in surveys.values() for value in vars(each).values() if isinstance(value, torch.Tensor)
        ]
        found[count] = int(np.sum([tensor.nbytes for tensor in tensors]))
    return found
