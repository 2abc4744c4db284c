"""Write a network's families and members to files.

export_taxonomy inceptionv1 out --form distill      one JSON file for each layer, which import_taxonomy reads back
export_taxonomy inceptionv1 out --form csv          families.csv, memberships.csv, neurons.csv
"""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError

from taxonomy.interchange import distill, snapshot, tables
from taxonomy.management.command import ActingCommand
from taxonomy.models import User


class Command(ActingCommand):
    help = __doc__

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("network", metavar="NETWORK")
        parser.add_argument("folder", metavar="DIR", type=Path)
        parser.add_argument("--form", choices=("distill", "csv"), required=True)
        parser.set_defaults(as_user=None)

    def act(self, user: User, **options: Any) -> None:
        taken = snapshot.take(self.network(options["network"]))
        layers = [layer for layer in taken.layers if layer.families]
        if not layers:
            raise CommandError(f"{taken.network} has no families yet: there is nothing to export.")
        folder = options["folder"].expanduser()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            written = distill.write(folder, layers) if options["form"] == "distill" else tables.write(folder, taken)
        except OSError as error:
            raise CommandError(f"{folder} cannot be written to ({error.strerror}).") from error
        for file in written:
            self.stdout.write(str(file))
        families = sum(len(layer.families) for layer in layers)
        self.stdout.write(
            f"Exported from {taken.network}: {families:,} families, {len(taken.memberships):,} memberships "
            f"in {len(layers)} layers."
        )
