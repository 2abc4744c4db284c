"""Import published families and their members, from one JSON file for each layer, all of them or none.

import_taxonomy inceptionv1 early-vision/*.json --as edda --icons early-vision/icons
"""

from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError

from taxonomy.actions import families
from taxonomy.interchange import distill, pictures
from taxonomy.interchange.distill import LayerRecord
from taxonomy.management.command import ActingCommand
from taxonomy.models import Network, User
from taxonomy.permissions import can_import_taxonomy, require

ICON_SUFFIXES = (".png", ".jpg")


class Command(ActingCommand):
    help = __doc__
    as_required = True

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("network", metavar="NETWORK")
        parser.add_argument("files", metavar="FILE", nargs="+", type=Path, help="a layer's families")
        parser.add_argument(
            "--icons", metavar="DIR", type=Path, help="pictures of the neurons, as LAYER_UNIT.png or .jpg"
        )

    def act(self, user: User, **options: Any) -> None:
        network = self.network(options["network"])
        require(can_import_taxonomy(user))
        records = [distill.read(file.expanduser()) for file in options["files"]]
        icons = self.icons(options["icons"].expanduser(), network, records) if options["icons"] else None
        imported = families.import_taxonomy(user, network, records, icons=icons)
        for repeat in imported.repeats:
            self.stdout.write(repeat)
        self.stdout.write(
            f"Imported into {network.name}: {imported.families:,} families, {imported.memberships:,} memberships, "
            f"{imported.pictures:,} pictures; {len(imported.repeats):,} repeats taken once."
        )

    def icons(
        self, folder: Path, network: Network, records: Sequence[LayerRecord]
    ) -> dict[tuple[str, int], tuple[bytes, str]]:
        """The readable pictures of the files' layers; any other is named and left out."""
        if not folder.is_dir():
            raise CommandError(f"{folder} is not a folder. --icons names the folder of LAYER_UNIT.png and .jpg files.")
        channels = dict(network.layers.values_list("name", "channels"))
        wanted = {record.layer for record in records}
        found: dict[tuple[str, int], tuple[bytes, str]] = {}
        for file in sorted(folder.iterdir()):
            layer, _, unit = file.stem.rpartition("_")
            if file.suffix.lower() not in ICON_SUFFIXES or layer not in wanted or not unit.isdecimal():
                continue
            try:
                if len(unit) > 6 or int(unit) >= channels.get(layer, 0):
                    raise pictures.FolderError(f"{network.name} has no such unit")
                if (layer, int(unit)) in found:
                    raise pictures.FolderError("this unit has a picture already")
                data = pictures.read_picture(pictures.inside(file, folder))
                pictures.measure(data)
            except pictures.FolderError as error:
                self.stdout.write(f"Left out {file.name}: {error}.")
            else:
                found[layer, int(unit)] = data, file.suffix.lower()
        return found
