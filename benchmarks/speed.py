"""How fast feature visualizations are made, beside torch-lucent 0.1.8.

All take a few steps of a climb in turn, so that whatever else the machine does falls on each, and the median of the
repeats counts. A picture is taken to cost STEPS times the median step: what a climb does besides, three forward passes,
is less than two steps. Weights are drawn at random, as they make no difference to the time.
"""

import copy
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks import peers
from workers import optimize, zoo
from workers.evidence.feature_visualization import DTYPES, at_once, feature_visualization
from workers.network import Network
from workers.optimize import Sight, sight

STEPS = 512
SHIPPED = 224  # the input that torch-lucent gives to a network, unless told otherwise


@dataclass(frozen=True)
class Setting:
    """What is measured on, and how thoroughly: `steps` are those of one measurement."""

    network: Network
    module: nn.Module  # the whole of it, as its makers publish it
    middle: str  # a layer in the middle, called the same in both
    small: str  # the last layer with a receptive field of at most 64 pixels
    steps: int = 6
    repeats: int = 5
    device: str = "cpu"


def googlenet(*, steps: int = 6, repeats: int = 5, device: str = "cpu") -> Setting:
    return _setting("googlenet", "inception4c", "inception3b", steps, repeats, device)


def squeezenet(*, steps: int = 6, repeats: int = 5, device: str = "cpu") -> Setting:
    return _setting("squeezenet1_0", "fire8", "fire5", steps, repeats, device)


def _setting(name: str, middle: str, small: str, steps: int, repeats: int, device: str) -> Setting:
    architecture = zoo.ARCHITECTURES[name]
    torch.manual_seed(0)
    module = architecture.factory().eval().to(device)
    network = architecture.network(name, module).to(device)
    return Setting(network, module, middle, small, steps, repeats, device)


def in_turn(work: Mapping[str, Callable[[], float]], repeats: int) -> dict[str, float]:
    """The median of what each gives, called in turn so many times, after one call that does not count."""
    found: dict[str, list[float]] = {name: [] for name in work}
    for time_around in range(repeats + 1):
        for name, measured in work.items():
            value = measured()
            if time_around:
                found[name].append(value)
    return {name: statistics.median(values) for name, values in found.items()}


def shipped(setting: Setting) -> float:
    """Seconds for a step of one picture by torch-lucent as shipped: all defaults, on the module as published."""
    package = peers.lucent()
    model = copy.deepcopy(setting.module)  # it leaves its hooks on the model, and would be slower every time
    objective = package.objectives.neuron(_published(setting, setting.middle), 0)
    return _seconds(setting, partial(_render, package, model, objective, setting.steps)) / setting.steps


def tuned(setting: Setting, layer: str, size: int) -> float:
    """The same by a careful user of torch-lucent: a frozen network that ends at the layer, with batch norm folded into
    its convolutions, and an input of `size` pixels, one picture at a time."""
    package = peers.lucent()
    model = copy.deepcopy(peers.plain_model(setting.network, layer))
    objective = package.objectives.neuron(layer, 0)
    picture = partial(package.param.image, size)
    render = partial(_render, package, model, objective, setting.steps, picture, fixed_image_size=size)
    return _seconds(setting, render) / setting.steps


def ours(setting: Setting, layer: str, branch: str, view: Sight, dtype: str) -> float:
    """Seconds for a step of one picture by ours, of a neuron of this branch, in a batch of the usual size."""
    branches = setting.network.layer(layer).branches
    part = branches.index(branch), branches.count(branch)
    values = optimize.quick(setting.network, layer, DTYPES[dtype], part)
    batch = at_once(view.size, setting.device)
    generators = [torch.Generator().manual_seed(seed) for seed in range(batch)]

    def goal(pictures: Tensor) -> Tensor:
        return values(view.frame(pictures))[:, 0, view.row, view.row]

    climb = partial(optimize.maximise, goal, generators, view.size, steps=setting.steps, device=setting.device)
    return _seconds(setting, climb) / setting.steps / batch


def measure(setting: Setting) -> dict[str, Any]:
    """Seconds a step of one picture, and how many times those of ours the others are."""
    middle, small = setting.network.layer(setting.middle), setting.network.layer(setting.small)
    first, stride = middle.branches[0], middle.fields[0].stride
    branch, _, field = max(small.runs, key=lambda run: run[2].size)
    views = {
        "144": (middle.name, first, Sight(144, 0, 144 // stride // 2)),
        "224": (middle.name, first, Sight(SHIPPED, 0, SHIPPED // stride // 2)),
        "64": (small.name, branch, sight(setting.network, field)),
    }
    work: dict[str, Callable[[], float]] = {"torch-lucent": partial(shipped, setting)}
    for name, (layer, branch, view) in views.items():
        work |= {f"{name} {dtype}": partial(ours, setting, layer, branch, view, dtype) for dtype in DTYPES}
        work[f"{name} torch-lucent, tuned"] = partial(tuned, setting, layer, view.size)
    seconds = in_turn(work, setting.repeats)
    return {
        "network": setting.network.architecture,
        "middle": setting.middle,
        "small": setting.small,
        "views": {
            name: {"layer": layer, "branch": branch, **asdict(view)} for name, (layer, branch, view) in views.items()
        },
        "seconds": seconds,
        "ratios": {name: seconds["torch-lucent"] / value for name, value in seconds.items()},
        "over_tuned": {
            name: seconds[f"{name.split()[0]} torch-lucent, tuned"] / seconds[name]
            for name in seconds
            if not name.endswith(("lucent", "tuned"))
        },
        "threads": torch.get_num_threads(),
    }


def whole_network(setting: Setting, dtype: str) -> dict[str, Any]:
    """Seconds for a picture of STEPS steps of every neuron, by ours and by torch-lucent as shipped.

    Estimated: for each branch of each layer the step of one batch is measured, and counts for all its neurons.
    torch-lucent runs the whole network on the same input whatever the layer.
    """
    counts = {
        (layer.name, branch, sight(setting.network, field)): count
        for layer in setting.network.layers
        for branch, count, field in layer.runs
    }
    names = {place: " ".join(map(str, place)) for place in counts}
    work: dict[str, Callable[[], float]] = {names[place]: partial(ours, setting, *place, dtype) for place in counts}
    seconds = in_turn({"torch-lucent": partial(shipped, setting), **work}, setting.repeats)
    neurons = sum(counts.values())
    own = STEPS * sum(count * seconds[names[place]] for place, count in counts.items())
    theirs = STEPS * neurons * seconds["torch-lucent"]
    return {"neurons": neurons, "dtype": dtype, "ours": own, "torch-lucent": theirs, "ratio": theirs / own}


def linearity(setting: Setting, counts: tuple[int, ...] = (1, 2, 4)) -> dict[str, Any]:
    """Seconds for so many batches of neurons of a layer, and how far the last is from proportional to the first.

    The same neurons in every batch: with others, some climbs of a few steps would have to be tried a second time.
    """
    layer = setting.network.layer(setting.small)
    first = layer.fields[0]
    channels = [channel for channel, field in enumerate(layer.fields) if field == first]
    batch = 8

    def make(count: int) -> None:
        targets = [(layer.name, channel) for channel in channels[:batch]] * count
        for _ in feature_visualization(
            setting.network, targets, steps=setting.steps, batch=batch, device=setting.device
        ):
            pass

    work = {str(count): partial(_seconds, setting, partial(make, count)) for count in counts}
    seconds = in_turn(work, setting.repeats)
    found = {count * batch: seconds[str(count)] for count in counts}
    least, most = min(found), max(found)
    return {"seconds": found, "growth": found[most] / found[least] / (most / least)}


def _render(package: Any, model: nn.Module, objective: Any, steps: int, picture: Any = None, **more: Any) -> None:
    package.render.render_vis(model, objective, picture, thresholds=(steps,), show_image=False, progress=False, **more)


def _published(setting: Setting, layer: str) -> str:
    """The layer's name in the published module, written as torch-lucent does."""
    return zoo.ARCHITECTURES[setting.network.architecture].layers[layer].replace(".", "_")


def _seconds(setting: Setting, work: Callable[[], Any]) -> float:
    if setting.device != "cpu":
        torch.cuda.synchronize()
    began = time.perf_counter()
    work()
    if setting.device != "cpu":
        torch.cuda.synchronize()
    return time.perf_counter() - began
