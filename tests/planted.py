"""Claims of which it is known what should come of them: on small networks with random weights, and no effect or one
that was planted there."""

import io
from collections.abc import Iterator
from math import comb
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn

from tests import tiny
from workers import scan
from workers.experiment import CannotTest, carry_out
from workers.network import Network

PARTS, WHOLES, CLASSES = 60, 6, 3  # neurons of the two layers, and classes of a head
PLANTED = 0  # the neuron of the first layer in which an effect may be planted
SHOW = {"kind": "sweep", "stimulus": "curve", "step": 30, "radii": [3, 5, 8], "strokes": [1, 2]}
SIZE, PICTURES = 9, 12  # pixels, and how many pictures there are


def network(seed: int, *, effect: float = 0.0, spread: float = 0.1, classifies: bool = False) -> Network:
    """`parts` (3x3) and `whole` (3x3), of random weights. The wholes respond by about 1; a head may tell classes apart.

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
    stages = {
        "parts": tiny.conv(torch.from_numpy(parts), biases.tolist()),
        "whole": nn.Sequential(nn.ReLU(), tiny.conv(torch.from_numpy(whole))),
    }
    head, names = None, [f"class {number}" for number in range(CLASSES if classifies else 0)]
    if classifies:
        linear = nn.Linear(WHOLES, CLASSES)
        with torch.no_grad():
            linear.weight.copy_(torch.from_numpy(random.normal(size=(CLASSES, WHOLES))))
            linear.bias.zero_()
        head = nn.Sequential(nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), linear)
    made = Network("planted", stages, tiny.preprocessing(SIZE), head=head, class_names=names)
    _settle(made)
    return made


def _settle(net: Network) -> None:
    """Whatever the stimulus, the middle of what the wholes respond is 1: each weight against the mean of what it
    reads."""
    biases, whole = net.stages["parts"].get_parameter("bias"), net.stages["whole"].get_submodule("1")
    with torch.no_grad():
        gives = whole.get_parameter("weight").double().sum(dim=(2, 3)) * biases.double().clamp(min=0)
        whole.get_parameter("bias")[:] = 1 - gives.sum(dim=1)


def pictures() -> scan.Pictures:
    """Noise."""
    random = np.random.default_rng(9)
    drawn = [random.integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8) for _ in range(PICTURES)]

    def opened(index: int) -> io.BytesIO:
        file = io.BytesIO()
        Image.fromarray(drawn[index]).save(file, "PNG")
        file.seek(0)
        return file

    return scan.Pictures([f"{index}.png" for index in range(PICTURES)], opened)


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


# What is changed where nothing depends on it, and how the layer is.
NOTHING = (
    "drop",
    "zero",
    "scale",
    "keep_positive",
    "transplant",
    "strongest dropped",  # the one neuron that responds most
    "strongest zeroed",
    "heaviest dropped",  # the one with the largest weights
    "heaviest zeroed",
    "padded",  # the one that responds most, among some that respond hardly, or not at all
    "mostly silent",  # a layer in which few respond
    "pictures",  # shown instead of a sweep
)
STRONGER = (1.0, 1.5, 2.5, 4.0)
HARDLY, SILENT = 0.01, 0.6  # how much weak neurons respond, and the share of a layer that does not


def _all_alike(net: Network) -> None:
    """Each part gives all wholes the same, so that no interval can tell chance from an effect."""
    weight = net.stages["whole"].get_parameter("1.weight")
    with torch.no_grad():
        weight[:] = weight[:1].clone()
    _settle(net)


def _respond(net: Network, channels: Any, times: float) -> None:
    """The parts respond so many times as much; not at all where that is 0."""
    parts = net.stages["parts"]
    with torch.no_grad():
        for name in ("weight", "bias"):
            parts.get_parameter(name)[channels] *= times
        if not times:
            parts.get_parameter("bias")[channels] = -1
    _settle(net)


def _strongest(net: Network, times: float, *, by: str) -> int:
    """The neuron of the parts that responds most, or whose weights are largest, made so many times as strong."""
    weight = net.stages["whole"].get_parameter("1.weight")
    sizes = net.stages["parts"].get_parameter("bias") if by == "response" else weight.abs().sum(dim=(0, 2, 3))
    chosen = int(sizes[1:].argmax()) + 1
    if by == "response":
        _respond(net, [chosen], times)
    else:
        with torch.no_grad():
            weight[:, chosen] *= times
        _settle(net)
    return chosen


def claims_of_nothing(count: int) -> Iterator[tuple[str, Network, dict[str, Any]]]:
    """Claims that something rises or falls where the change is one like any other, or is of the strongest neuron, which
    does no more than its strength makes of chance: what is changed, the network and the plan. Pictures are those of
    `pictures`."""
    for number in range(count):
        random = np.random.default_rng([7, number])
        kind = NOTHING[number % len(NOTHING)]
        net = network(number, classifies=kind == "pictures")
        some = random.choice(np.arange(1, PARTS), int(random.choice([1, 2, 4])), replace=False)
        do, times = kind, float(random.choice(STRONGER))
        if kind.split()[0] in ("strongest", "heaviest", "padded", "mostly"):
            _all_alike(net)
            do = str(random.choice(["drop", "zero"]))
        if kind.endswith(("dropped", "zeroed")):
            some = np.array([_strongest(net, times, by="response" if "strongest" in kind else "weights")])
            do = "drop" if kind.endswith("dropped") else "zero"
        elif kind == "padded":
            chosen = _strongest(net, times, by="response")
            others = random.choice(np.setdiff1d(np.arange(1, PARTS), [chosen]), PARTS // 4, replace=False)
            _respond(net, others, float(random.choice([0, HARDLY])))
            some = np.array([chosen, *others[: int(random.choice([3, len(others)]))]])
        elif kind == "mostly silent":
            quiet = random.choice(np.arange(PARTS), round(SILENT * PARTS), replace=False)
            _respond(net, quiet, 0)
            some = random.choice(np.setdiff1d(np.arange(1, PARTS), quiet), len(some), replace=False)
        plan = _plan(_change(do, some, random), number, str(random.choice(["rises", "falls"])), 0)
        if kind == "pictures":
            plan["show"] = {"kind": "images", "image_set": "noise", "indices": list(range(PICTURES))}
            plan["measure"] = {"what": "class_probability", "class": 0}
        yield kind, net, plan


def _change(do: str, channels: Any, random: np.random.Generator) -> dict[str, Any]:
    """Done to these parts, in what leads to the wholes where it is of weights."""
    if do in ("drop", "pictures"):
        return {"do": "drop", "at": _set("parts", channels)}
    if do == "transplant":
        donors = random.choice(np.setdiff1d(np.arange(1, PARTS), channels), len(channels), replace=False)
        return {"do": do, "at": _set("parts", channels), "with": _set("parts", donors)}
    change = {"do": do, "from": _set("parts", channels), "to": _set("whole", range(WHOLES))}
    return change | ({"factor": float(random.choice([0.5, 2.0]))} if do == "scale" else {})


def ruling(network: Network, plan: dict[str, Any]) -> str:
    """What an experiment on one of these networks says; "refused" where it cannot be made."""
    try:
        verdict: str = carry_out(network, plan, images=pictures())["ruling"]["verdict"]
    except CannotTest:
        return "refused"
    return verdict


def most_by_chance(count: int, share: float = 0.05, sure: float = 0.99) -> int:
    """As many of `count` claims as are supported at most, so surely, where each is with a probability of `share`."""
    total = 0.0
    for supported in range(count + 1):
        total += comb(count, supported) * share**supported * (1 - share) ** (count - supported)
        if total >= sure:
            return supported
    return count


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


def shown(network: Network, *values: float) -> scan.Pictures:
    """Pictures of one grey each, of the network's size, the n-th of class n modulo 3."""
    size = network.preprocessing.size

    def opened(index: int) -> io.BytesIO:
        file = io.BytesIO()
        Image.new("RGB", (size, size), (round(255 * values[index]),) * 3).save(file, "PNG")
        file.seek(0)
        return file

    return scan.Pictures([f"{i}.png" for i in range(len(values))], opened, [i % 3 for i in range(len(values))])


def grey_network() -> Network:
    """Three classes: 0 when it is bright, 1 when it is dark, 2 when it is neither; with four more neurons to spare."""
    weight = torch.zeros(7, 3, 1, 1)
    weight[0], weight[1] = 1 / 3, -1 / 3
    weight[3:] = 0.1
    linear = nn.Linear(7, 3)
    with torch.no_grad():
        linear.weight.copy_(torch.cat([10 * torch.eye(3), torch.zeros(3, 4)], dim=1))
        assert linear.bias is not None
        linear.bias.copy_(torch.tensor([0.0, 0.0, 1.0]))
    head = nn.Sequential(nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), linear)
    stages = {"grey": tiny.conv(weight, [-0.5, 0.5, 0.3, 0, 0, 0, 0])}
    return Network("grey", stages, tiny.preprocessing(5), head=head, class_names=("bright", "dark", "neither"))
