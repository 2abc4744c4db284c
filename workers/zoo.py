"""The networks that are known, and how their weights are read.

`python -m workers.zoo ARCHITECTURE [--weights FILE]` prints `describe(...)` as one JSON object on standard output. A
refusal prints {"error": "a sentence"} there instead and exits with 2. The site asks in this way, since it must never
import torch itself.
"""

import argparse
import hashlib
import json
import pickle
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from workers import curve_network
from workers.network import Layer, Network, Preprocessing

__all__ = ["ARCHITECTURES", "Layer", "Network", "Preprocessing", "ZooError", "describe", "digest", "load"]


class ZooError(Exception):
    """A refusal: one sentence that says what is wrong and what to do."""


# A published weights file names its tensors in its own way: prefix there -> module here.
Published = dict[str, nn.Module]


class Fire(nn.Module):
    """The module of Iandola et al., "SqueezeNet" (2016), without its last ReLU: a squeeze, then two expansions."""

    def __init__(self, inputs: int, squeeze: int, expand: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(inputs, squeeze, 1)
        self.relu = nn.ReLU()
        self.expand1x1 = nn.Conv2d(squeeze, expand, 1)
        self.expand3x3 = nn.Conv2d(squeeze, expand, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        squeezed = self.relu(self.squeeze(x))
        return torch.cat([self.expand1x1(squeezed), self.expand3x3(squeezed)], dim=1)


def squeezenet1_0() -> tuple[Network, Published]:
    """SqueezeNet 1.0 (Iandola et al. 2016), its tensors named as in torchvision."""

    def pool() -> nn.Module:
        return nn.MaxPool2d(3, stride=2, ceil_mode=True)

    conv1 = nn.Conv2d(3, 96, 7, stride=2)
    published: Published = {"features.0": conv1}
    stages: dict[str, nn.Module] = {"conv1": conv1}
    branches = {}
    inputs = 96
    indices = (3, 4, 5, 7, 8, 9, 10, 12)  # of the fire modules in torchvision's `features`
    widths = (16, 16, 32, 32, 48, 48, 64, 64)  # of their squeezes: an expansion is four times as wide
    for number, (index, squeeze) in enumerate(zip(indices, widths, strict=True), start=2):
        expand = 4 * squeeze
        name, fire = f"fire{number}", Fire(inputs, squeeze, expand)
        published |= {f"features.{index}.{part}": getattr(fire, part) for part in ("squeeze", "expand1x1", "expand3x3")}
        # Pools lie before fire2, fire5 and fire9.
        stages[name] = nn.Sequential(nn.ReLU(), *([pool()] if number in (2, 5, 9) else []), fire)
        branches[name] = [("expand1x1", expand), ("expand3x3", expand)]
        inputs = 2 * expand
    classifier = nn.Conv2d(inputs, 1000, 1)
    published["classifier.1"] = classifier
    network = Network(
        "squeezenet1_0",
        stages,
        Preprocessing(resize=256, size=227, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)),
        head=nn.Sequential(nn.ReLU(), classifier, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()),
        branches=branches,
    )
    return network, published


class Mixed(nn.Module):
    """The inception module of Szegedy et al., "Going Deeper with Convolutions" (2014), without its last ReLU."""

    def __init__(self, inputs: int, plan: tuple[int, int, int, int, int, int]) -> None:
        """`plan`: channels of 1x1, 3x3's bottleneck, 3x3, 5x5's bottleneck, 5x5 and the pool's reduction."""
        super().__init__()
        one, bottleneck3, three, bottleneck5, five, reduced = plan
        self.relu = nn.ReLU()
        self.one = nn.Conv2d(inputs, one, 1)
        self.bottleneck3 = nn.Conv2d(inputs, bottleneck3, 1)
        self.three = nn.Conv2d(bottleneck3, three, 3, padding=1)
        self.bottleneck5 = nn.Conv2d(inputs, bottleneck5, 1)
        self.five = nn.Conv2d(bottleneck5, five, 5, padding=2)
        self.pool = nn.MaxPool2d(3, stride=1, padding=1)
        self.reduce = nn.Conv2d(inputs, reduced, 1)
        self.branches = [("1x1", one), ("3x3", three), ("5x5", five), ("pool", reduced)]

    def forward(self, x: Tensor) -> Tensor:
        three = self.three(self.relu(self.bottleneck3(x)))
        five = self.five(self.relu(self.bottleneck5(x)))
        return torch.cat([self.one(x), three, five, self.reduce(self.pool(x))], dim=1)

    def published(self, layer: str) -> Published:
        return {
            f"{layer}_1x1_pre_relu_conv": self.one,
            f"{layer}_3x3_bottleneck_pre_relu_conv": self.bottleneck3,
            f"{layer}_3x3_pre_relu_conv": self.three,
            f"{layer}_5x5_bottleneck_pre_relu_conv": self.bottleneck5,
            f"{layer}_5x5_pre_relu_conv": self.five,
            f"{layer}_pool_reduce_pre_relu_conv": self.reduce,
        }


def inceptionv1() -> tuple[Network, Published]:
    """InceptionV1 (Szegedy et al. 2014) as the Circuits thread studies it: the network that was published for
    TensorFlow, with 5x5 branches and without batch norm. Its tensors are named as in torch-lucent.
    """

    def normalise() -> nn.Module:
        return nn.LocalResponseNorm(9, alpha=1e-4, beta=0.5, k=1)

    def pool() -> nn.Module:
        return nn.MaxPool2d(3, stride=2, ceil_mode=True)

    conv0, conv1, conv2 = nn.Conv2d(3, 64, 7, stride=2), nn.Conv2d(64, 64, 1), nn.Conv2d(64, 192, 3, padding=1)
    # TensorFlow pads an even size by 2 before and 3 after.
    stages: dict[str, nn.Module] = {
        "conv2d0": nn.Sequential(nn.ZeroPad2d((2, 3, 2, 3)), conv0),
        "conv2d1": nn.Sequential(nn.ReLU(), pool(), normalise(), conv1),
        "conv2d2": nn.Sequential(nn.ReLU(), conv2),
    }
    published: Published = {f"conv2d{i}_pre_relu_conv": conv for i, conv in enumerate((conv0, conv1, conv2))}
    before: dict[str, list[nn.Module]] = {"3a": [normalise(), pool()], "4a": [pool()], "5a": [pool()]}
    branches = {}
    inputs = 192
    for name, plan in {
        "3a": (64, 96, 128, 16, 32, 32),
        "3b": (128, 128, 192, 32, 96, 64),
        "4a": (192, 96, 204, 16, 48, 64),
        "4b": (160, 112, 224, 24, 64, 64),
        "4c": (128, 128, 256, 24, 64, 64),
        "4d": (112, 144, 288, 32, 64, 64),
        "4e": (256, 160, 320, 32, 128, 128),
        "5a": (256, 160, 320, 48, 128, 128),
        "5b": (384, 192, 384, 48, 128, 128),
    }.items():
        layer, mixed = f"mixed{name}", Mixed(inputs, plan)
        stages[layer] = nn.Sequential(nn.ReLU(), *before.get(name, []), mixed)
        published |= mixed.published(layer)
        branches[layer] = mixed.branches
        inputs = sum(count for _, count in mixed.branches)
    classifier = nn.Linear(inputs, 1008)
    published["softmax2_pre_activation_matmul"] = classifier
    network = Network(
        "inceptionv1",
        stages,
        Preprocessing(resize=224, size=224, mean=(117 / 255,) * 3, std=(1 / 255,) * 3),
        head=nn.Sequential(nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), classifier),
        branches=branches,
    )
    return network, published


def _curve_network() -> tuple[Network, Published]:
    return curve_network.build(), {}


# A builder gives the network and what its weights file calls its modules; nothing where the program writes the weights.
ARCHITECTURES: dict[str, Callable[[], tuple[Network, Published]]] = {
    "curve_network": _curve_network,
    "squeezenet1_0": squeezenet1_0,
    "inceptionv1": inceptionv1,
}


def describe(architecture: str, weights: Path | None = None) -> dict[str, Any]:
    """What the site needs to know about a network, ready for JSON; ZooError for anything that cannot be loaded.

    `fields` holds, for each branch of a layer, the receptive field: sizes, strides and starts in pixels of an input
    of `input_size` x `input_size`. `weights_digest` is None when no weights are given and the program has none itself.
    """
    if weights is None and architecture in ARCHITECTURES and architecture != "curve_network":
        with torch.device("meta"):  # the structure alone: no memory, no random numbers
            network, _ = ARCHITECTURES[architecture]()
        weights_digest = None
    else:
        network, weights_digest = _load(architecture, weights)
    description: dict[str, Any] = {
        "architecture": architecture,
        "input_size": network.preprocessing.size,
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "weights_digest": weights_digest,
        "layers": [
            {
                "name": layer.name,
                "order": layer.order,
                "channels": layer.channels,
                "branches": [[branch, count] for branch, count, _ in layer.runs],
                "fields": [{"size": f.size, "stride": f.stride, "start": f.start} for _, _, f in layer.runs],
            }
            for layer in network.layers
        ],
        "preprocessing": {
            "resize": network.preprocessing.resize,
            "size": network.preprocessing.size,
            "mean": list(network.preprocessing.mean),
            "std": list(network.preprocessing.std),
        },
        "class_names": list(network.class_names),
    }
    if architecture == "curve_network":
        description["families"] = curve_network.families()
    return description


def load(architecture: str, weights: Path | None = None, *, suffix: str = "", expected: str = "") -> Network:
    """The network with its weights (.safetensors, or a state dict that torch.save wrote).

    `suffix` says what the file is where its own name does not; `expected` is the digest that its content must have.
    ZooError where any of that fails.
    """
    network, found = _load(architecture, weights, suffix)
    if expected and found != expected:
        raise ZooError(
            f"The weights of {architecture} are not those that were registered (digest {found[:12]}, registered "
            f"{expected[:12]}). Register the network again under a new name."
        )
    return network


def digest(state: Mapping[str, Tensor]) -> str:
    """SHA-256 (hex) of a state dict's content: names in order, dtypes, shapes and bytes, whatever file it came in."""
    found = hashlib.sha256()
    for name in sorted(state):
        tensor = state[name].detach().cpu().contiguous()
        found.update(json.dumps([name, str(tensor.dtype), list(tensor.shape)]).encode())
        found.update(tensor.flatten().view(torch.uint8).numpy().tobytes())
    return found.hexdigest()


def _load(architecture: str, weights: Path | None, suffix: str = "") -> tuple[Network, str]:
    if architecture not in ARCHITECTURES:
        raise ZooError(f"There is no architecture {architecture!r}: choose one of {', '.join(ARCHITECTURES)}.")
    if architecture == "curve_network":
        if weights is not None:
            raise ZooError("curve_network takes no weights: the program writes them itself. Leave out --weights.")
        network = curve_network.build()
        return network, digest(network.state_dict())
    if weights is None:
        raise ZooError(f"{architecture} is a catalogue only: give --weights with a state dict to load it.")
    state = _read(weights, suffix or weights.suffix)
    with torch.device("meta"):
        network, published = ARCHITECTURES[architecture]()
    _check(state, published, architecture, weights)
    for prefix, module in published.items():
        module.load_state_dict(
            {name: state[f"{prefix}.{name}"].float() for name in module.state_dict()},
            assign=True,  # the modules are empty shells on the meta device: the file's tensors take their place
        )
    return network.requires_grad_(False), digest(state)


def _read(path: Path, suffix: str) -> dict[str, Tensor]:
    """A state dict from a file, without ever running what the file might hold."""
    if not path.is_file():
        raise ZooError(f"There is no weights file at {path}.")
    damaged = (
        f"{path.name} cannot be read as a weights file: it is damaged, cut short or of another format. Get it again."
    )
    if suffix == ".safetensors":
        try:
            return safetensors.torch.load_file(path)
        except safetensors.SafetensorError as error:
            raise ZooError(damaged) from error
    try:
        state = torch.load(path, weights_only=True, map_location="cpu")
    except pickle.UnpicklingError as error:
        # torch reads pickles of protocol 2 alone: it cannot say what one of a later protocol, from elsewhere, wants.
        if "Unsupported global" in str(error) or path.read_bytes()[:1] == pickle.PROTO:
            raise ZooError(
                f"{path.name} holds more than tensors: it wants to run code when opened, and was refused. "
                "Save its state dict as .safetensors instead."
            ) from error
        raise ZooError(damaged) from error
    except (RuntimeError, EOFError, OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise ZooError(damaged) from error  # all of these were seen to come out of torch.load for broken files
    if not isinstance(state, Mapping) or not all(isinstance(value, Tensor) for value in state.values()):
        raise ZooError(f"{path.name} is not a state dict: save model.state_dict(), names to tensors, and nothing else.")
    return dict(state)


def _check(state: Mapping[str, Tensor], published: Published, architecture: str, path: Path) -> None:
    """ZooError, naming the first tensor that is amiss, unless `state` is exactly what the architecture needs."""
    expected = {
        f"{prefix}.{name}": tuple(parameter.shape)
        for prefix, module in published.items()
        for name, parameter in module.state_dict().items()
    }
    ask = f"Is it a file for {architecture}?"
    for name, shape in expected.items():
        if name not in state:
            raise ZooError(f"{path.name} lacks the tensor {name!r} of {architecture}. {ask}")
        if tuple(state[name].shape) != shape:
            found = list(state[name].shape)
            raise ZooError(
                f"{path.name} holds {name!r} in the shape {found}, and {architecture} needs {list(shape)}. {ask}"
            )
        if not state[name].is_floating_point() or not bool(torch.isfinite(state[name]).all()):
            raise ZooError(f"{path.name} holds values in {name!r} that are not finite numbers. Get an undamaged file.")
    for name in state:
        if name not in expected:
            raise ZooError(f"{path.name} holds the tensor {name!r}, which {architecture} does not have. {ask}")


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m workers.zoo", description="Describe a network as JSON.")
    parser.add_argument("architecture")
    parser.add_argument("--weights", type=Path)
    options = parser.parse_args(arguments)
    try:
        description = describe(options.architecture, options.weights)
    except ZooError as error:
        print(json.dumps({"error": str(error)}))
        return 2
    print(json.dumps(description))
    return 0


if __name__ == "__main__":
    sys.exit(main())
