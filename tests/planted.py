"""Claims of which it is known what should come of them: on small networks with random weights, and no effect or one
that was planted there."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import nn

from tests import tiny
from workers.network import Network

PARTS, WHOLES = 60, 6  # neurons of the two layers
PLANTED = 0  # the neuron of the first layer in which an effect may be planted
SHOW = {"kind": "sweep", "stimulus": "curve", "step": 30, "radii": [3, 5, 8], "strokes": [1, 2]}


def network(seed: int, *, effect: float = 0.0, spread: float = 0.1) -> Network:
    """`parts` (3x3) and `whole` (3x3), of random weights. The wholes respond by about 1.

    Neuron PLANTED of the parts always responds by 1, and gives each of the wholes `effect`, a fifth more or less; any
    other gives them about 0, with a standard deviation of about `spread`.
    """
    random = np.random.default_rng(seed)
    parts = random.normal(0, 0.3, (PARTS, 3, 3, 3))
    biases = random.uniform(0.4, 1.6, PARTS)
    parts[PLANTED], biases[PLANTED] = 0, 1
    whole = random.normal(0, spread / 3, (WHOLES, PARTS, 3, 3))
    whole[:, PLANTED] = 0
    whole[:, PLANTED, 1, 1] = effect * random.normal(1, 0.2, WHOLES)
    # Whatever the stimulus, the middle of what the wholes respond is 1: each weight against the mean of what it reads.
    usual = np.maximum(biases, 0)
    offsets = 1 - (whole.sum(axis=(2, 3)) * usual).sum(axis=1)
    stages = {
        "parts": tiny.conv(torch.from_numpy(parts), biases.tolist()),
        "whole": nn.Sequential(nn.ReLU(), tiny.conv(torch.from_numpy(whole), offsets.tolist())),
    }
    return Network("planted", stages, tiny.preprocessing(9))


def _plan(change: dict[str, Any], seed: int, expect: str, margin: float) -> dict[str, Any]:
    measured = {"layer": "whole", "channels": list(range(WHOLES)), "named": "the wholes"}
    return {
        "do": [change],
        "show": SHOW,
        "measure": {"what": "response", "of": measured},
        "expect": {"change": expect, "margin": margin, "relative": False},
        "controls": 20,
        "seed": seed,
    }


def _set(layer: str, channels: Any) -> dict[str, Any]:
    return {"layer": layer, "channels": [int(channel) for channel in channels], "named": ""}


NOTHING = ("drop", "zero", "scale", "keep_positive", "transplant", "irrelevant", "strongest")
STRONGER = (1.0, 1.5, 2.5, 4.0)


def _strongest(net: Network, times: float, *, responds: bool) -> int:
    """The neuron of the parts that responds most, or whose weights are largest, made so many times as strong.

    Each part gives all wholes the same, so that no interval can tell chance from an effect.
    """
    parts, whole = net.stages["parts"], net.stages["whole"].get_submodule("1")
    with torch.no_grad():
        weight, biases = whole.get_parameter("weight"), parts.get_parameter("bias")
        weight[:] = weight[:1].clone()
        sizes = biases if responds else weight.abs().sum(dim=(0, 2, 3))
        chosen = int(sizes[1:].argmax()) + 1
        if responds:
            biases[chosen] *= times
            parts.get_parameter("weight")[chosen] *= times
        else:
            weight[:, chosen] *= times
        whole.get_parameter("bias")[:] = 1 - (weight.sum(dim=(2, 3)) * biases.clamp(min=0)).sum(dim=1)
    return chosen


def claims_of_nothing(count: int) -> Iterator[tuple[str, Network, dict[str, Any]]]:
    """Claims that something rises or falls where the change is one like any other, or changes nothing that is measured,
    or is of the strongest neuron, which does no more than its strength makes of chance: what is changed, the network
    and the plan."""
    for number in range(count):
        random = np.random.default_rng([7, number])
        kind = NOTHING[number % len(NOTHING)]
        some = random.choice(np.arange(1, PARTS), int(random.choice([1, 2, 4])), replace=False)
        sources, targets = _set("parts", some), _set("whole", range(WHOLES))
        net = network(number, spread=0.1)
        if kind == "strongest":
            responds = random.random() < 0.5
            some = np.array([_strongest(net, float(random.choice(STRONGER)), responds=responds)])
            sources = _set("parts", some)
        change: dict[str, Any] = {"do": "zero" if kind == "strongest" else kind, "from": sources, "to": targets}
        if kind == "scale":
            change["factor"] = float(random.choice([0.5, 2.0]))
        elif kind == "transplant":
            donors = random.choice(np.setdiff1d(np.arange(1, PARTS), some), len(some), replace=False)
            change = {"do": kind, "at": sources, "with": _set("parts", donors)}
        elif kind in ("drop", "irrelevant") or (kind == "strongest" and responds):
            change = {"do": "drop", "at": sources}
        if kind == "irrelevant":
            with torch.no_grad():
                net.stages["whole"].get_parameter("1.weight")[:, some] = 0
        yield kind, net, _plan(change, number, str(random.choice(["rises", "falls"])), 0)


def claims_of_an_effect(count: int, size: float, spread: float = 0.1) -> Iterator[tuple[Network, dict[str, Any]]]:
    """Claims that a neuron is what makes the wholes respond more, or less, where it is.

    Without it they respond by `size` less (or more), and the claim is that it is by more than half of that; without
    any other neuron, by about 0, with a standard deviation of about `spread`.
    """
    for number in range(count):
        random = np.random.default_rng([8, number])
        falls = random.random() < 0.5
        planted = _set("parts", [PLANTED])
        change = {"do": "drop", "at": planted}
        if random.random() < 0.5:
            change = {"do": "zero", "from": planted, "to": _set("whole", range(WHOLES))}
        net = network(10_000 + number, effect=size if falls else -size, spread=spread)
        yield net, _plan(change, number, "falls" if falls else "rises", size / 2)
