"""Register a folder of pictures as an image set. The files stay where they are.

add_image_set imagenet ~/pictures/imagenet-samples --licence "ImageNet terms" --source "ILSVRC 2012, one of each class"

With --classes each picture has the class that it shows, for experiments that ask what a network takes it for.
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
        parser.add_argument(
            "--classes",
            default="",
            metavar="CSV",
            help="a CSV file of name and class (counted from 0 as the network counts them), or 'sorted': the n-th file "
            "by name is of class n",
        )

    def act(self, user: User, **options: Any) -> None:
        require(can_keep_catalogue(user))
        folder = options["folder"].expanduser()
        progress = Progress(self.stdout, every=0.25)
        try:
            found = pictures.read_folder(folder, progress.show)
        finally:
            progress.end()
        if options["classes"]:
            found = pictures.with_classes(found, options["classes"])
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
        known = sum("class" in picture.parameters for picture in found.pictures)
        classes = f", {known:,} with their class" if known else ""
        self.stdout.write(f"Added {made.name}: {made.count:,} pictures{left_out}{classes}.")
