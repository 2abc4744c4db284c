"""Registering image sets."""

from pathlib import Path

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from taxonomy import events
from taxonomy.interchange.pictures import Folder
from taxonomy.models import Image, ImageSet, User
from taxonomy.permissions import can_keep_catalogue, require


@transaction.atomic
def add(user: User, *, name: str, folder: Path, found: Folder, licence: str = "", source: str = "") -> ImageSet:
    """Write an image set with its pictures; the files stay where they are.

    Raises:
        Refused: when the user keeps no catalogue.
        ValidationError: when the name is taken or is no name.
    """
    require(can_keep_catalogue(user))
    taken = ValidationError(f"There is an image set '{name}' already. Choose another name.")
    if ImageSet.objects.filter(name=name).exists():
        raise taken
    image_set = ImageSet(
        name=name,
        folder=str(folder.resolve()),
        digest=found.digest,
        licence=licence,
        source=source,
        count=len(found.pictures),
        left_out=found.left_out,
    )
    image_set.full_clean()
    try:
        with transaction.atomic():
            image_set.save()
    except IntegrityError as error:  # somebody added it a moment ago
        raise taken from error
    Image.objects.bulk_create(
        (
            Image(
                image_set=image_set,
                index=index,
                name=picture.name,
                sha256=picture.sha256,
                width=picture.width,
                height=picture.height,
                parameters=picture.parameters,
            )
            for index, picture in enumerate(found.pictures)
        ),
        batch_size=2000,
    )
    data = {"count": image_set.count, "left_out": len(found.left_out)}
    events.record(user, "image_set.added", image_set=image_set, data=data)
    return image_set
