"""Register a network: its layers and neurons, and its weights where it has any.

register_network curve_network
register_network squeezenet1_0 --weights squeezenet1_0.safetensors
register_network inceptionv1                                        (a catalogue: neurons to name, nothing to compute)
register_network mine --module mine.py:make --weights mine.safetensors --input-size 64

A module of your own is a Python file with a function that takes nothing and returns an nn.Module. Whoever registers it
runs it, and so does every worker: register only what you would run yourself. docs/add-network.md says more.
"""

import json
import subprocess
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError
from django.db import transaction

from taxonomy import storage
from taxonomy.actions import networks
from taxonomy.management.command import ActingCommand
from taxonomy.models import User
from taxonomy.permissions import can_keep_catalogue, require


class Command(ActingCommand):
    help = __doc__

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "architecture", metavar="ARCH", help="such as curve_network, squeezenet1_0; with --module the name it gets"
        )
        parser.add_argument("--name", help="the network's name here; the architecture's when not given")
        parser.add_argument("--weights", metavar="FILE", type=Path, help="a state dict: .safetensors, .pt or .pth")
        parser.add_argument("--title", default="", help="a name for people, such as “SqueezeNet 1.0”")
        parser.add_argument("--about", default="", help="a sentence or two for its page")
        parser.add_argument("--source", default="", help="where the weights come from")
        parser.add_argument("--licence", default="", help="the licence of the weights")
        own = parser.add_argument_group("a module of your own")
        own.add_argument("--module", metavar="FILE.py:FUNCTION", help="what makes the module")
        own.add_argument(
            "--layer",
            action="append",
            default=[],
            metavar="[NAME=]SUBMODULE",
            help="a layer, by the submodule whose output it is; again for each; found by themselves when not given",
        )
        own.add_argument("--input-size", type=int, metavar="N", help="pixels a side of the network's input (224)")
        own.add_argument(
            "--resize", type=int, metavar="N", help="pixels of a picture's short side before it is cropped"
        )
        own.add_argument("--mean", type=float, nargs=3, metavar="X", help="of red, green, blue in 0 to 1 (0 0 0)")
        own.add_argument("--std", type=float, nargs=3, metavar="X", help="of red, green, blue (1 1 1)")
        own.add_argument(
            "--class-names", type=Path, metavar="FILE", help="one name a line, in the order of the outputs"
        )

    def act(self, user: User, **options: Any) -> None:
        require(can_keep_catalogue(user))
        architecture, weights = options["architecture"], options["weights"]
        weights = weights.expanduser().resolve() if weights else None
        module, definition = own_module(options)
        found = describe(architecture if module is None else module.name, weights, definition)
        try:
            # The row first, the file second: a disk that is full takes the row back.
            with transaction.atomic():
                network = networks.register(
                    user,
                    name=options["name"] or architecture,
                    description=found,
                    title=options["title"],
                    about=options["about"],
                    source=options["source"],
                    licence=options["licence"],
                    weights_file=storage.digest_of(weights) if weights else "",
                    weights_suffix=weights.suffix if weights else "",
                    definition=stored_definition(module, definition),
                )
                for file in filter(None, (weights, module)):
                    storage.put_file(file)
        except OSError as error:
            raise CommandError(f"The weights could not be stored ({error}). Nothing was registered.") from error
        layers = found["layers"]
        neurons = sum(layer["channels"] for layer in layers)
        kind = "with weights" if network.runs else "a catalogue (give --weights to compute with it)"
        self.stdout.write(f"Registered {network.name}: {len(layers)} layers, {neurons:,} neurons, {kind}.")


OWN = ("layer", "input_size", "resize", "mean", "std", "class_names")


def own_module(options: dict[str, Any]) -> tuple[Path | None, dict[str, Any] | None]:
    """The Python file and what ``workers.definition`` is told of it; nothing for an architecture that is known."""
    if options["module"] is None:
        if stray := [name for name in OWN if options[name]]:
            raise CommandError(
                f"--{stray[0].replace('_', '-')} is for a module of your own: give --module FILE.py:FUNCTION."
            )
        return None, None
    path, _, factory = options["module"].rpartition(":")
    if not path:
        raise CommandError("Name the function too: --module FILE.py:FUNCTION.")
    file = Path(path).expanduser().resolve()
    size = options["input_size"] or 224
    try:
        names = options["class_names"].read_text().splitlines() if options["class_names"] else []
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"The class names cannot be read ({error}).") from error
    return file, {
        "file": str(file),
        "factory": factory,
        "layers": options["layer"],
        "preprocessing": {
            "size": size,
            "resize": options["resize"] or size,
            "mean": options["mean"] or [0.0] * 3,
            "std": options["std"] or [1.0] * 3,
        },
        "class_names": names,
    }


def stored_definition(file: Path | None, definition: dict[str, Any] | None) -> dict[str, Any]:
    """As ``Network.definition`` keeps it: by the content of the file, and without what the network has beside it."""
    if file is None or definition is None:
        return {}
    return {"file": storage.digest_of(file), "factory": definition["factory"], "layers": definition["layers"]}


def describe(architecture: str, weights: Path | None, definition: dict[str, Any] | None = None) -> dict[str, Any]:
    """What the laboratory says of the network. A process of its own, because the site never imports torch."""
    command = [
        sys.executable,
        "-m",
        "workers.zoo",
        *(["--weights", str(weights)] if weights else []),
        *(["--definition", json.dumps(definition)] if definition else []),
        "--",
        architecture,
    ]
    answer = subprocess.run(command, cwd=settings.BASE_DIR, capture_output=True, text=True)
    try:
        found = json.loads(answer.stdout)
    except ValueError:
        found = None
    if isinstance(found, dict) and "error" in found:
        raise CommandError(found["error"])
    if answer.returncode or not isinstance(found, dict):
        last = (answer.stderr.strip().splitlines() or [f"it ended with status {answer.returncode}"])[-1]
        raise CommandError(
            f"The laboratory (workers/) does not run here: {last}. Register networks where PyTorch is installed "
            "(requirements.txt), against the same database."
        )
    return found
