"""Register a network: its layers and neurons, and its weights where it has any.

register_network curve_network
register_network squeezenet1_0 --weights squeezenet1_0.safetensors
register_network inceptionv1                                        (a catalogue: neurons to name, nothing to compute)
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
        parser.add_argument("architecture", metavar="ARCH", help="such as curve_network, squeezenet1_0, inceptionv1")
        parser.add_argument("--name", help="the network's name here; the architecture's when not given")
        parser.add_argument("--weights", metavar="FILE", type=Path, help="a state dict: .safetensors, .pt or .pth")
        parser.add_argument("--title", default="", help="a name for people, such as “SqueezeNet 1.0”")
        parser.add_argument("--about", default="", help="a sentence or two for its page")
        parser.add_argument("--source", default="", help="where the weights come from")
        parser.add_argument("--licence", default="", help="the licence of the weights")

    def act(self, user: User, **options: Any) -> None:
        require(can_keep_catalogue(user))
        architecture, weights = options["architecture"], options["weights"]
        weights = weights.expanduser().resolve() if weights else None
        found = describe(architecture, weights)
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
                )
                if weights:
                    storage.put_file(weights)
        except OSError as error:
            raise CommandError(f"The weights could not be stored ({error}). Nothing was registered.") from error
        layers = found["layers"]
        neurons = sum(layer["channels"] for layer in layers)
        kind = "with weights" if network.runs else "a catalogue (give --weights to compute with it)"
        self.stdout.write(f"Registered {network.name}: {len(layers)} layers, {neurons:,} neurons, {kind}.")


def describe(architecture: str, weights: Path | None) -> dict[str, Any]:
    """What the laboratory says of the network. A process of its own, because the site never imports torch."""
    command = [
        sys.executable,
        "-m",
        "workers.zoo",
        *(["--weights", str(weights)] if weights else []),
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
