"""The networks that are known, and how their weights are read.

`python -m workers.zoo ARCHITECTURE [--weights FILE] [--definition JSON]` prints `describe(...)` as one JSON object on
standard output. A refusal prints {"error": "a sentence"} there instead and exits with 2. The site asks in this way,
since it must never import torch itself. The JSON is what `Definition.read` takes, with the file's path as "file".
"""

import argparse
import contextlib
import functools
import hashlib
import json
import pickle
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn
from torchvision import models

from workers import curve_network
from workers.cut import cut, layer_name
from workers.definition import Definition, DefinitionError
from workers.network import Layer, Network, Preprocessing

__all__ = ["ARCHITECTURES", "Definition", "Layer", "Network", "Preprocessing", "ZooError", "describe", "digest", "load"]


class ZooError(Exception):
    """A refusal: one sentence that says what is wrong and what to do."""


# Tensors that evaluation does not read, and that older files lack.
UNREAD = "num_batches_tracked"


@dataclass(frozen=True)
class Architecture:
    """A module under the names of its published weights, and how it is cut."""

    factory: Callable[[], nn.Module]
    layers: Mapping[str, str]  # for each layer the submodule whose output, before any ReLU, it is
    preprocessing: Preprocessing
    class_names: tuple[str, ...] = ()
    branches: tuple[str, ...] = ()  # of each layer that concatenates, where they are not called after submodules
    unused: tuple[str, ...] = ()  # prefixes of tensors that weights files hold too: heads that only training needs

    def network(self, name: str, module: nn.Module) -> Network:
        """`module`, made by the factory, cut at the layers."""
        chain = cut(module, self.layers)
        branches = chain.branches
        if self.branches:
            counts = {layer: [count for _, count in parts] for layer, parts in branches.items()}
            branches = {layer: list(zip(self.branches, parts, strict=True)) for layer, parts in counts.items()}
        return Network(
            name,
            chain.stages,
            self.preprocessing,
            head=chain.head,
            class_names=self.class_names,
            branches=branches,
        )


def _torchvision(
    name: str, layers: Mapping[str, str], *, size: int | None = None, unused: tuple[str, ...] = ()
) -> Architecture:
    """An architecture of torchvision, prepared as for its first published weights (or for another `size`)."""
    weights = models.get_model_weights(name)["IMAGENET1K_V1"]
    prepared = weights.transforms.keywords
    # The weights of the networks with heads for training were made by others, who normalised in their own way. Where
    # torchvision goes from the usual way to theirs (`transform_input`), here theirs is taken at once.
    mean, std = ((0.5,) * 3, (0.5,) * 3) if unused else ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    lean = {"aux_logits": False, "init_weights": False} if unused else {}
    return Architecture(
        factory=functools.partial(models.get_model, name, weights=None, **lean),
        layers=layers,
        preprocessing=Preprocessing(prepared.get("resize_size", 256), size or prepared["crop_size"], mean, std),
        class_names=tuple(weights.meta["categories"]),
        unused=unused,
    )


def _numbered(name: str, first: int, features: Iterable[int]) -> dict[str, str]:
    """Layers name1, name2, ... from `first`, and the places that they have in torchvision's `features`."""
    return {f"{name}{number}": f"features.{index}" for number, index in enumerate(features, start=first)}


def _called(*paths: str) -> dict[str, str]:
    """Layers called as torchvision calls them."""
    return {layer_name(path): path for path in paths}


class Join(nn.Module):
    """Concatenates over channels."""

    def forward(self, *parts: Tensor) -> Tensor:
        return torch.cat(parts, dim=1)


class InceptionV1(nn.Module):
    """InceptionV1 (Szegedy et al., "Going Deeper with Convolutions", 2014) as the Circuits thread studies it: the
    network that was published for TensorFlow, with 5x5 branches and without batch norm. Tensors are named as in
    torch-lucent; it gives 1008 logits.
    """

    # Channels of 1x1, 3x3's bottleneck, 3x3, 5x5's bottleneck, 5x5 and the pool's reduction.
    MIXED = {
        "mixed3a": (64, 96, 128, 16, 32, 32),
        "mixed3b": (128, 128, 192, 32, 96, 64),
        "mixed4a": (192, 96, 204, 16, 48, 64),
        "mixed4b": (160, 112, 224, 24, 64, 64),
        "mixed4c": (128, 128, 256, 24, 64, 64),
        "mixed4d": (112, 144, 288, 32, 64, 64),
        "mixed4e": (256, 160, 320, 32, 128, 128),
        "mixed5a": (256, 160, 320, 48, 128, 128),
        "mixed5b": (384, 192, 384, 48, 128, 128),
    }
    BRANCHES = ("1x1", "3x3", "5x5", "pool")

    def __init__(self) -> None:
        super().__init__()
        self.pad = nn.ZeroPad2d((2, 3, 2, 3))  # TensorFlow pads an even size by 2 before and 3 after
        self.relu = nn.ReLU()
        self.normalise = nn.LocalResponseNorm(9, alpha=1e-4, beta=0.5, k=1)
        self.shrink = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.pool = nn.MaxPool2d(3, stride=1, padding=1)
        self.conv2d0_pre_relu_conv = nn.Conv2d(3, 64, 7, stride=2)
        self.conv2d1_pre_relu_conv = nn.Conv2d(64, 64, 1)
        self.conv2d2_pre_relu_conv = nn.Conv2d(64, 192, 3, padding=1)
        inputs = 192
        for layer, (one, bottleneck3, three, bottleneck5, five, reduced) in self.MIXED.items():
            for part, convolution in {
                "1x1": nn.Conv2d(inputs, one, 1),
                "3x3_bottleneck": nn.Conv2d(inputs, bottleneck3, 1),
                "3x3": nn.Conv2d(bottleneck3, three, 3, padding=1),
                "5x5_bottleneck": nn.Conv2d(inputs, bottleneck5, 1),
                "5x5": nn.Conv2d(bottleneck5, five, 5, padding=2),
                "pool_reduce": nn.Conv2d(inputs, reduced, 1),
            }.items():
                self.add_module(f"{layer}_{part}_pre_relu_conv", convolution)
            self.add_module(layer, Join())
            inputs = one + three + five + reduced
        self.average = nn.AdaptiveAvgPool2d(1)
        self.softmax2_pre_activation_matmul = nn.Linear(inputs, 1008)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.conv2d0_pre_relu_conv(self.pad(x)))
        x = self.relu(self.conv2d1_pre_relu_conv(self.normalise(self.shrink(x))))
        x = self.shrink(self.normalise(self.relu(self.conv2d2_pre_relu_conv(x))))
        for layer in self.MIXED:
            if layer in ("mixed4a", "mixed5a"):
                x = self.shrink(x)
            x = self._mixed(layer, x)
        return self.softmax2_pre_activation_matmul(self.average(x).flatten(1))

    def _mixed(self, layer: str, x: Tensor) -> Tensor:
        def through(part: str, x: Tensor) -> Tensor:
            return self.relu(self.get_submodule(f"{layer}_{part}_pre_relu_conv")(x))

        three = through("3x3", through("3x3_bottleneck", x))
        five = through("5x5", through("5x5_bottleneck", x))
        return self.get_submodule(layer)(through("1x1", x), three, five, through("pool_reduce", self.pool(x)))


ARCHITECTURES: dict[str, Architecture] = {
    "alexnet": _torchvision("alexnet", _numbered("conv", 1, (0, 3, 6, 8, 10))),
    # 548 MB of weights, nine tenths of them in the head. Loading takes that much memory, and no second copy.
    "vgg19": _torchvision(
        "vgg19",
        _numbered("conv1_", 1, (0, 2))
        | _numbered("conv2_", 1, (5, 7))
        | _numbered("conv3_", 1, (10, 12, 14, 16))
        | _numbered("conv4_", 1, (19, 21, 23, 25))
        | _numbered("conv5_", 1, (28, 30, 32, 34)),
    ),
    "squeezenet1_0": _torchvision(
        "squeezenet1_0",
        {"conv1": "features.0"} | _numbered("fire", 2, (3, 4, 5, 7, 8, 9, 10, 12)),
        size=227,  # as its authors had it
    ),
    "squeezenet1_1": _torchvision(
        "squeezenet1_1", {"conv1": "features.0"} | _numbered("fire", 2, (3, 4, 6, 7, 9, 10, 11, 12))
    ),
    "googlenet": _torchvision(
        "googlenet",
        _called("conv1", "conv2", "conv3")
        | _called(*(f"inception{block}" for block in ("3a", "3b", "4a", "4b", "4c", "4d", "4e", "5a", "5b"))),
        unused=("aux1.", "aux2."),
    ),
    "inception_v3": _torchvision(
        "inception_v3",
        _called(*(f"Conv2d_{part}" for part in ("1a_3x3", "2a_3x3", "2b_3x3", "3b_1x1", "4a_3x3")))
        | _called(*(f"Mixed_{part}" for part in ("5b", "5c", "5d", "6a", "6b", "6c", "6d", "6e", "7a", "7b", "7c"))),
        unused=("AuxLogits.",),
    ),
    "resnet50": _torchvision(
        "resnet50",
        _called("conv1", *(f"layer{i}.{j}" for i, blocks in enumerate((3, 4, 6, 3), start=1) for j in range(blocks))),
    ),
    "inceptionv1": Architecture(
        InceptionV1,
        {f"conv2d{i}": f"conv2d{i}_pre_relu_conv" for i in range(3)} | _called(*InceptionV1.MIXED),
        Preprocessing(resize=224, size=224, mean=(117 / 255,) * 3, std=(1 / 255,) * 3),
        branches=InceptionV1.BRANCHES,
    ),
}
NAMES = ("curve_network", *ARCHITECTURES)


class Loaded(NamedTuple):
    network: Network
    parameters: int  # as published: folding batch norm leaves fewer
    digest: str | None  # of the weights, and of the definition where there is one


def describe(architecture: str, weights: Path | None = None, definition: Definition | None = None) -> dict[str, Any]:
    """What the site needs to know about a network, ready for JSON; ZooError for anything that cannot be loaded.

    `fields` holds, for each branch of a layer, the receptive field: sizes, strides and starts in pixels of an input
    of `input_size` x `input_size`. `weights_digest` is None when no weights are given and the program has none itself.
    With a `definition` of an operator's own, `architecture` is only what it is to be called.
    """
    if definition is not None:
        network, parameters, found = _load_own(architecture, weights, definition, check=True)
    elif weights is None and architecture in ARCHITECTURES:
        known = ARCHITECTURES[architecture]
        with torch.device("meta"):  # the structure alone: no memory, no random numbers
            module = known.factory().eval()
        network, parameters, found = known.network(architecture, module), _parameters(module), None
    else:
        network, parameters, found = _load(architecture, weights)
    description: dict[str, Any] = {
        "architecture": architecture,
        "input_size": network.preprocessing.size,
        "parameters": parameters,
        "weights_digest": found,
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
    if architecture == "curve_network" and definition is None:
        description["families"] = curve_network.families()
    return description


def load(
    architecture: str,
    weights: Path | None = None,
    *,
    suffix: str = "",
    expected: str = "",
    definition: Definition | None = None,
) -> Network:
    """The network with its weights (.safetensors, or a state dict that torch.save wrote).

    `suffix` says what the file is where its own name does not; `expected` is the digest that its content (and the
    definition, if there is one) must have. Batch norm is folded into the convolutions before it: values are those of
    the published module up to rounding. ZooError where any of that fails.
    """
    if definition is not None:
        network, _, found = _load_own(architecture, weights, definition, suffix=suffix)
    else:
        network, _, found = _load(architecture, weights, suffix)
    if expected and found != expected:
        raise ZooError(
            f"The weights of {architecture} are not those that were registered (digest {str(found)[:12]}, registered "
            f"{expected[:12]}). Register the network again under a new name."
        )
    return network


def digest(state: Mapping[str, Tensor]) -> str:
    """SHA-256 (hex) of a state dict's content: names in order, dtypes, shapes and bytes, whatever file it came in."""
    found = hashlib.sha256()
    for name in sorted(state):
        tensor = state[name].detach().cpu().contiguous()
        found.update(json.dumps([name, str(tensor.dtype), list(tensor.shape)]).encode())
        found.update(tensor.flatten().view(torch.uint8).numpy().data)  # in place: no copy of large ones
    return found.hexdigest()


def _load(architecture: str, weights: Path | None, suffix: str = "") -> Loaded:
    if architecture not in NAMES:
        raise ZooError(f"There is no architecture {architecture!r}: choose one of {', '.join(NAMES)}.")
    if architecture == "curve_network":
        if weights is not None:
            raise ZooError("curve_network takes no weights: the program writes them itself. Leave out --weights.")
        network = curve_network.build()
        return Loaded(network, _parameters(network), digest(network.state_dict()))
    if weights is None:
        raise ZooError(f"{architecture} is a catalogue only: give --weights with a state dict to load it.")
    known, state = ARCHITECTURES[architecture], _read(weights, suffix or weights.suffix)
    with torch.device("meta"):
        module = known.factory().eval()
    used = {name: tensor for name, tensor in state.items() if not name.startswith(known.unused or "\0")}
    # Made on the meta device, the module is an empty shell: the file's tensors take their place.
    _fill(module, used, architecture, weights, assign=True)
    return Loaded(known.network(architecture, module), _parameters(module), digest(state))


def _load_own(
    name: str, weights: Path | None, definition: Definition, *, suffix: str = "", check: bool = False
) -> Loaded:
    if weights is None:
        raise ZooError("A network of your own needs its state dict: give --weights.")
    state = _read(weights, suffix or weights.suffix)
    try:
        module = definition.module()
        _fill(module, state, name, weights, assign=False)
        network = definition.network(name, module)
        if check:
            definition.check(module, network)
    except DefinitionError as error:
        raise ZooError(str(error)) from error
    return Loaded(network, _parameters(module), definition.digest(digest(state), network))


def _parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def _fill(module: nn.Module, state: Mapping[str, Tensor], name: str, file: Path, *, assign: bool) -> None:
    """Put the weights into the module, all of them as float32; ZooError, naming the first tensor that is amiss, unless
    `state` holds exactly what the module needs."""
    _check(state, module.state_dict(), name, file)
    module.load_state_dict(
        {key: tensor.float() if tensor.is_floating_point() else tensor for key, tensor in state.items()},
        strict=False,  # for the counts of batches
        assign=assign,
    )


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


def _check(state: Mapping[str, Tensor], needed: Mapping[str, Tensor], architecture: str, path: Path) -> None:
    ask = f"Is it a file for {architecture}?"
    for name, tensor in needed.items():
        if name not in state:
            if name.endswith(UNREAD):
                continue
            raise ZooError(f"{path.name} lacks the tensor {name!r} of {architecture}. {ask}")
        shape = list(tensor.shape)
        if list(state[name].shape) != shape:
            found = list(state[name].shape)
            raise ZooError(f"{path.name} holds {name!r} in the shape {found}, and {architecture} needs {shape}. {ask}")
        if tensor.is_floating_point() and not _is_finite(state[name]):
            raise ZooError(f"{path.name} holds values in {name!r} that are not finite numbers. Get an undamaged file.")
    for name in state:
        if name not in needed:
            raise ZooError(f"{path.name} holds the tensor {name!r}, which {architecture} does not have. {ask}")


def _is_finite(tensor: Tensor) -> bool:
    if not tensor.is_floating_point():
        return False
    return tensor.numel() == 0 or all(bool(extreme.isfinite()) for extreme in tensor.aminmax())  # no copy of it


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m workers.zoo", description="Describe a network as JSON.")
    parser.add_argument("architecture")
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--definition", type=json.loads, metavar="JSON", help="of a network of one's own")
    options = parser.parse_args(arguments)
    try:
        own = options.definition
        definition = Definition.read(own, Path(own["file"])) if own else None
        with contextlib.redirect_stdout(sys.stderr):  # one's own code may print
            description = describe(options.architecture, options.weights, definition)
    except (ZooError, DefinitionError) as error:
        print(json.dumps({"error": str(error)}))
        return 2
    print(json.dumps(description))
    return 0


if __name__ == "__main__":
    sys.exit(main())
