"""Register a folder of pictures as an image set. The files stay where they are.

add_image_set imagenet ~/pictures/imagenet-samples --licence "ImageNet terms" --source "ILSVRC 2012, one of each class"
"""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from taxonomy.actions import images
from taxonomy.interchange import pictures
from taxonomy.management.command import ActingCommand, Progress
from taxonomy.models import User
from taxonomy.permissions import can_keep_catalogue, require

NAMED = 20


class Command(ActingCommand):
    help = __doc__

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("name", help="the set's name here, such as imagenet")
        parser.add_argument("folder", metavar="DIR", type=Path)
        parser.add_argument("--licence", default="")
        parser.add_argument("--source", default="")

    def act(self, user: User, **options: Any) -> None:
        require(can_keep_catalogue(user))
        folder = options["folder"].expanduser()
        progress = Progress(self.stdout, every=0.25)
        try:
            found = pictures.read_folder(folder, progress.show)
        finally:
            progress.end()
        made = images.add(
            user,
            name=options["name"],
            folder=folder,
            found=found,
            licence=options["licence"],
            source=options["source"],
        )
        for file in found.left_out[:NAMED]:
            self.stdout.write(f"Left out {file['name']}: {file['reason']}.")
        if len(found.left_out) > NAMED:
            self.stdout.write(f"... and {len(found.left_out) - NAMED:,} more.")
        left_out = f", {len(found.left_out):,} left out" if found.left_out else ""
        self.stdout.write(f"Added {made.name}: {made.count:,} pictures{left_out}.")
