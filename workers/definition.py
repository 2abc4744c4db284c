"""An operator's own network: a Python file with a function that makes the module, and which of its parts are layers.

Whoever defines a network runs code on the machine that loads it, which is why only an operator can, from the command
line. Nothing here ever runs what was uploaded.
"""

import hashlib
import importlib.util
import json
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from workers.cut import CutError, cut, layer_name
from workers.network import Network, Preprocessing


class DefinitionError(Exception):
    """Why a definition gives no network, in sentences that say what to do."""


@dataclass(frozen=True)
class Definition:
    """What makes the network. `layers` are as `workers.cut` takes them; where there are none, it finds them."""

    file: Path
    factory: str  # the name of a function in `file` that takes nothing and returns an nn.Module
    layers: Mapping[str, str]
    preprocessing: Preprocessing
    class_names: tuple[str, ...] = ()
    sha256: str = ""  # that the file must have to be run, once it is registered

    @classmethod
    def read(cls, data: Mapping[str, Any], file: Path) -> "Definition":
        """From {"factory", "layers": ["submodule" or "name=submodule"], "preprocessing", "class_names", "sha256"}, the
        last two optional.

        DefinitionError for what cannot be meant.
        """
        named = [str(entry).partition("=") for entry in data["layers"]]
        layers = [(name, path) if equals else (layer_name(name), name) for name, equals, path in named]
        for name, _ in layers:
            if re.fullmatch(r"[\w-]{1,60}", name) is None or hasattr(nn.ModuleDict(), name):
                raise DefinitionError(
                    f"A layer cannot be called {name!r}: a name has up to 60 letters, digits, _ and -, and is none "
                    "that torch uses. Give it another with --layer NAME=SUBMODULE."
                )
        if len(dict(layers)) < len(layers):
            raise DefinitionError("Two layers have the same name. Give one another with --layer NAME=SUBMODULE.")
        given = data["preprocessing"]
        red, green, blue = map(float, given["mean"])
        spread = r, g, b = tuple(map(float, given["std"]))
        if given["size"] < 1 or given["resize"] < given["size"] or min(spread) <= 0:
            raise DefinitionError("Pictures need a size above 0, a resize no smaller than it, and --std above 0.")
        prepared = Preprocessing(int(given["resize"]), int(given["size"]), (red, green, blue), (r, g, b))
        return cls(
            file, data["factory"], dict(layers), prepared, tuple(data.get("class_names", ())), data.get("sha256", "")
        )

    def module(self) -> nn.Module:
        """What the factory makes, in evaluation mode; the same each time, even where it draws random numbers."""
        if not self.file.is_file():
            raise DefinitionError(f"There is no file {self.file}.")
        source = self.file.read_bytes()
        sha256 = hashlib.sha256(source).hexdigest()
        if self.sha256 and self.sha256 != sha256:
            raise DefinitionError("The Python file is not the one that was registered, and was not run. Bring it back.")
        name = f"own_module_{sha256[:16]}"
        spec = importlib.util.spec_from_loader(name, loader=None)
        assert spec is not None
        file = importlib.util.module_from_spec(spec)
        sys.modules[name] = file  # dataclasses and the like look up the module that they are written in
        with _foreign(f"{self.file.name} does not run. It must need nothing beside it but what is installed here"):
            exec(compile(source, str(self.file), "exec"), file.__dict__)
        factory = getattr(file, self.factory, None)
        if not callable(factory):
            raise DefinitionError(f"{self.file.name} has no function {self.factory!r}. Name it as FILE.py:FUNCTION.")
        with _foreign(f"{self.factory}() fails. It must make the module without arguments"), torch.random.fork_rng([]):
            torch.manual_seed(0)
            made = factory()
        if not isinstance(made, nn.Module):
            raise DefinitionError(f"{self.factory}() returns a {type(made).__name__}. It must return an nn.Module.")
        return made.float().eval().requires_grad_(False)

    def network(self, name: str, module: nn.Module) -> Network:
        """`module` cut at the layers; DefinitionError where it cannot be."""
        with _foreign(
            "Its forward cannot be followed. It must be the same whatever the picture: no `if`, `for` or `assert` that "
            "depends on values or sizes"
        ):
            chain = cut(module, self.layers)
        unfit = next((name for name in chain.stages if len(name) > 60 or hasattr(nn.ModuleDict(), name)), None)
        if unfit is not None:
            raise DefinitionError(f"Layer {unfit} needs another name: --layer NAME=SUBMODULE, for each layer.")
        try:
            return Network(
                name,
                chain.stages,
                self.preprocessing,
                head=chain.head,
                class_names=self.class_names,
                branches=chain.branches,
            )
        except ValueError as error:
            raise DefinitionError(
                f"{error} Layers may have convolutions, pools, sums, concatenations, batch norm and ReLU before them: "
                "name those that do, with --layer, and leave the rest to what follows the last."
            ) from error

    def check(self, module: nn.Module, network: Network) -> None:
        """DefinitionError unless the network cut from `module` gives what `module` gives, for noise of its size."""
        size = self.preprocessing.size
        x = torch.rand(2, 3, size, size, generator=torch.Generator().manual_seed(0))
        with (
            _foreign(f"It does not take pictures of 3 x {size} x {size}. Give the right --input-size"),
            torch.no_grad(),
        ):
            expected = module(network.normalise(x))
            values = network.activations(x, [layer.name for layer in network.layers])
        for layer in network.layers:
            shape = tuple(values[layer.name].shape)
            if shape[1:2] != (layer.channels,) or len(shape) != 4:
                raise DefinitionError(
                    f"{layer.name} gives values of shape {list(shape)}, not pictures x {layer.channels} channels x "
                    "rows x columns. Choose other layers."
                )
        found = values[network.layers[-1].name]
        found = found if network.head is None else network.head(found)
        rounding = 1e-4 * float(expected.abs().max())
        if found.shape != expected.shape or not torch.allclose(found, expected, rtol=0, atol=rounding):
            raise DefinitionError(
                "Cut into layers it does not give what it gives as a whole: something in its forward is not seen when "
                "it is traced, such as a value that is changed in place. Write it without."
            )
        if self.class_names and (found.dim() != 2 or found.shape[1] != len(self.class_names)):
            raise DefinitionError(
                f"There are {len(self.class_names)} class names, and it gives {list(found.shape[1:])} numbers."
            )

    def digest(self, weights: str, network: Network) -> str:
        """SHA-256 (hex) of all that the network's behaviour depends on: the weights' digest, the file, the layers..."""
        layers = [(layer.name, self.layers.get(layer.name)) for layer in network.layers]
        file = hashlib.sha256(self.file.read_bytes()).hexdigest()
        what = json.dumps([weights, file, self.factory, layers, asdict(self.preprocessing)])
        return hashlib.sha256(what.encode()).hexdigest()


@contextmanager
def _foreign(refusal: str) -> Iterator[None]:
    """Around code of the operator's own, which may raise anything: it becomes a refusal that tells what it was."""
    try:
        yield
    except (CutError, DefinitionError) as error:
        raise DefinitionError(str(error)) from error
    except (Exception, SystemExit) as error:
        raise DefinitionError(f"{refusal} ({type(error).__name__}: {str(error).strip().split(chr(10))[0]}).") from error
