"""A network cut at its layers, so that every reading, truncation and restart is plain function composition."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

import torch
from torch import Tensor, nn

from workers.receptive_field import PIXEL, Field, propagate


@dataclass(frozen=True)
class Preprocessing:
    """From a picture to the network's input: short side to `resize` pixels (bilinear with antialias), the central
    `size` x `size` pixels, RGB in [0, 1], then minus `mean` and over `std`."""

    resize: int
    size: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


@dataclass(frozen=True)
class Layer:
    """A named point of the network, before the ReLU that follows it."""

    name: str
    order: int  # 0 is the first
    branches: tuple[str, ...]  # for each channel the branch it comes from, "" where there is only one
    fields: tuple[Field, ...]  # for each channel what its units see

    @property
    def channels(self) -> int:
        return len(self.fields)

    @property
    def runs(self) -> list[tuple[str, int, Field]]:
        """(branch, number of channels, field) of each branch, in channel order."""
        runs = groupby(zip(self.branches, self.fields, strict=True))
        return [(branch, len(list(group)), field) for (branch, field), group in runs]


class Network(nn.Module):
    """A chain of stages, always frozen and in evaluation mode.

    Each stage takes the pre-ReLU values of the layer before it (the first: the normalised image) to the pre-ReLU
    values of its own layer, so a stage begins with the ReLU and the pooling that lie between. Pre-ReLU values are
    read because a unit that is off still has a gradient and a left side of its histogram. Needing no hooks, reading
    them leaves nothing behind.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        architecture: str,
        stages: Mapping[str, nn.Module],
        preprocessing: Preprocessing,
        *,
        head: nn.Module | None = None,
        class_names: Sequence[str] = (),
        branches: Mapping[str, Sequence[tuple[str, int]]] | None = None,
    ) -> None:
        """`branches` names, for each branchy layer, its branches and their channel counts in channel order.

        ValueError where a stage's receptive field is not known, or the branches do not add up to its channels.
        """
        super().__init__()
        self.architecture = architecture
        self.preprocessing = preprocessing
        self.class_names = tuple(class_names)
        self.stages = nn.ModuleDict(stages)
        self.head = head
        # Not persistent: how a picture is normalised is no part of the weights and of their digest.
        self.register_buffer("mean", _per_channel(preprocessing.mean), persistent=False)
        self.register_buffer("std", _per_channel(preprocessing.std), persistent=False)
        self.layers = _layers(stages, branches or {})
        self.requires_grad_(False)
        self.eval()

    def train(self, mode: bool = True) -> "Network":
        """A network under study is never trained: its mode stays `eval` whatever is asked."""
        return super().train(False)

    def normalise(self, x: Tensor) -> Tensor:
        """RGB in [0, 1], (N, 3, H, W), to the input that the first stage takes."""
        return (x - self.mean) / self.std

    def layer(self, name: str) -> Layer:
        """KeyError, naming the layers there are, for a name that is none of them."""
        for layer in self.layers:
            if layer.name == name:
                return layer
        there_are = ", ".join(layer.name for layer in self.layers)
        raise KeyError(f"{self.architecture} has no layer {name!r}: its layers are {there_are}.")

    def activations(self, x: Tensor, layers: Iterable[str]) -> dict[str, Tensor]:
        """Pre-ReLU values (N, channels, rows, columns) of the layers asked for, from RGB in [0, 1] (N, 3, H, W).

        One forward pass that ends at the deepest of them.
        """
        wanted = {name: self.layer(name).order for name in layers}
        found: dict[str, Tensor] = {}
        values = self.normalise(x)
        for layer in self.layers[: max(wanted.values(), default=-1) + 1]:
            values = self.stages[layer.name](values)
            if layer.name in wanted:
                found[layer.name] = values
        return found

    def between(self, values: Tensor, start: str | None, end: str) -> Tensor:
        """Pre-ReLU values of layer `end` from those of the earlier layer `start`, or from RGB in [0, 1] when None."""
        if start is None:
            values, first = self.normalise(values), 0
        else:
            first = self.layer(start).order + 1
        last = self.layer(end).order
        if first > last + 1:
            raise ValueError(f"{start} comes after {end}.")
        for layer in self.layers[first : last + 1]:
            values = self.stages[layer.name](values)
        return values

    def logits(self, x: Tensor) -> Tensor:
        """(N, classes) from RGB in [0, 1] (N, 3, H, W); ValueError for a network without a head."""
        if self.head is None:
            raise ValueError(f"{self.architecture} has no head that classifies.")
        return self.head(self.between(x, None, self.layers[-1].name))


def _per_channel(values: tuple[float, float, float]) -> Tensor:
    # On the CPU even while the modules are made on the meta device: these are known, unlike the weights.
    return torch.tensor(values, dtype=torch.float32, device="cpu").reshape(1, 3, 1, 1)


def _layers(stages: Mapping[str, nn.Module], branches: Mapping[str, Sequence[tuple[str, int]]]) -> tuple[Layer, ...]:
    layers = []
    fields: tuple[Field, ...] = (PIXEL,) * 3
    for order, (name, stage) in enumerate(stages.items()):
        try:
            fields = propagate(stage, fields)
        except ValueError as error:
            raise ValueError(f"Layer {name}: {error}") from error
        names = tuple(branch for branch, count in branches.get(name, [("", len(fields))]) for _ in range(count))
        if len(names) != len(fields):
            raise ValueError(f"The branches of {name} name {len(names)} channels, and it has {len(fields)}.")
        layers.append(Layer(name, order, names, fields))
    return tuple(layers)
