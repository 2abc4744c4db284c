"""Expanded weights between two layers for all channels, against the loop that a person would write.

`measure` takes SqueezeNet's real weights. The loop linearises the network, gives autograd an input of the size that the
earlier layer has in the network, runs it forward once, and asks for one unit's gradient after the other. A second loop
is told how small the input may be. Both are timed on every tenth unit, and their times multiplied.
"""

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, fx, nn

from workers import linearize, zoo
from workers.network import Network

TARGET = 10.0
PAIRS = (("fire4", "fire5"), ("fire8", "fire9"), ("fire3", "fire5"), ("fire5", "fire8"), ("conv1", "fire4"))
EVERY = 10  # one unit in so many is timed, and compared, in the loops
LEFT_OUT = (nn.ReLU, nn.LocalResponseNorm, nn.Dropout, nn.Identity)


def linearised(stages: Sequence[nn.Module]) -> nn.Module:
    """A copy of a chain of stages, on the same weights, without its ReLUs and with average for max pools."""
    traced = fx.symbolic_trace(nn.Sequential(*stages))
    modules = dict(traced.named_modules())
    for node in list(traced.graph.nodes):
        module = modules.get(str(node.target)) if node.op == "call_module" else None
        if isinstance(module, LEFT_OUT) or node.target in (torch.relu, nn.functional.relu):
            node.replace_all_uses_with(node.args[0])
            traced.graph.erase_node(node)
        elif isinstance(module, nn.MaxPool2d):
            average = nn.AvgPool2d(module.kernel_size, module.stride, module.padding, module.ceil_mode)
            traced.set_submodule(str(node.target), average)
    traced.recompile()
    return traced


def loop(
    network: Network, start: str | None, end: str, channels: Sequence[int], size: int | None = None
) -> list[Tensor]:
    """The gradient of the unit in the middle of layer `end`, one channel after the other, cut to where it is not zero.

    On an input of `size` cells, by default as many as layer `start` has in the network.
    """
    first = -1 if start is None else network.layer(start).order
    linear = linearised(
        [network.stages[layer.name] for layer in network.layers[first + 1 : network.layer(end).order + 1]]
    )
    if size is None:
        whole = torch.zeros(1, 3, network.preprocessing.size, network.preprocessing.size, device=network.mean.device)
        size = network.between(whole, None, start).shape[-1] if start else whole.shape[-1]
    inputs = 3 if start is None else network.layer(start).channels
    values = torch.zeros(1, inputs, size, size, device=network.mean.device, requires_grad=True)
    result = linear(values)
    middle = result.shape[-1] // 2
    found = []
    for channel in channels:
        (gradient,) = torch.autograd.grad(result[0, channel, middle, middle], values, retain_graph=True)
        reach = gradient[0].abs().sum(0).nonzero()
        (top, left), (bottom, right) = reach.amin(0).tolist(), reach.amax(0).tolist()
        found.append(gradient[0, :, top : bottom + 1, left : right + 1].cpu())
    return found


def smallest(network: Network, start: str, end: str) -> int:
    """The least input of odd extent, in cells of `start`, in whose middle a unit of `end` sees no padding."""
    near, far = network.layer(start), network.layer(end)
    seen = max(field.size for field in far.fields) - min(field.size for field in near.fields)
    steps = 2 * far.fields[0].stride // near.fields[0].stride
    return seen // near.fields[0].stride + 1 + steps


def measure(device: str = "cpu", weights: Any = None) -> dict[str, Any]:
    """Seconds, summed over PAIRS, and the loop's over ours; `pairs` holds each of them.

    `ratio` is that over the loop, `ratio_smallest` that over the loop on the smallest input.
    """
    from tests.shared import DATA

    network = zoo.load("squeezenet1_0", weights or DATA / "squeezenet1_0" / "squeezenet1_0.safetensors").to(device)
    pairs: list[dict[str, Any]] = []
    for start, end in PAIRS:
        count = network.layer(end).channels
        some = range(0, count, EVERY)
        scale = count / len(some)
        ours, found = _timed(partial(_ours, network, start, end, range(count), device), device, times=3)
        plain, expected = _timed(partial(loop, network, start, end, some), device, times=3)
        small, same = _timed(partial(loop, network, start, end, some, smallest(network, start, end)), device, times=3)
        pairs.append(
            {
                "pair": f"{start} -> {end}",
                "channels": count,
                "ours_seconds": ours,
                "loop_seconds": plain * scale,
                "ratio": plain * scale / ours,
                "smallest_loop_seconds": small * scale,
                "ratio_smallest": small * scale / ours,
                "max_relative_difference": max(
                    float((found[channel].values - values).abs().max() / values.abs().max())
                    for gradients in (expected, same)
                    for channel, values in zip(some, gradients, strict=True)
                ),
            }
        )
    total = {
        name: sum(pair[name] for pair in pairs) for name in ("ours_seconds", "loop_seconds", "smallest_loop_seconds")
    }
    return {
        **total,
        "ratio": total["loop_seconds"] / total["ours_seconds"],
        "ratio_smallest": total["smallest_loop_seconds"] / total["ours_seconds"],
        "target": TARGET,
        "max_relative_difference": max(pair["max_relative_difference"] for pair in pairs),
        "pairs": pairs,
    }


def _ours(network: Network, start: str, end: str, channels: Sequence[int], device: str) -> list[linearize.Kernel]:
    return list(linearize.kernels(network, start, end, channels, device=device))


def _timed(work: Callable[[], Any], device: str, times: int) -> tuple[float, Any]:
    """The least seconds of `times`, and the result; a GPU's first call, which loads its kernels, is not counted."""
    if device.startswith("cuda"):
        work()
        torch.cuda.synchronize()
    seconds = []
    for _ in range(times):
        began = time.perf_counter()
        result = work()
        if device.startswith("cuda"):
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - began)
    return min(seconds), result


if __name__ == "__main__":
    found = measure()
    for pair in found.pop("pairs"):
        print(pair)
    print(found)
