"""Many small pictures in one file."""

import io
import math
from collections.abc import Mapping
from dataclasses import dataclass

from PIL import Image

from taxonomy import storage

CELL = 72
COLUMNS = 16


Box = tuple[int, int, int, int]  # left, top, right, bottom, in pixels


@dataclass(frozen=True)
class Composed:
    data: bytes
    cell: int
    columns: int
    shown: set[int]


def cut(sha256: str, cell: int, columns: int, index: int) -> bytes:
    """The face of one neuron on a sheet, as a PNG, which every mail program shows.

    Raises:
        OSError: when the sheet is gone from the store.
    """
    left, top = index % columns * cell, index // columns * cell
    buffer = io.BytesIO()
    with storage.open(sha256) as file, Image.open(file) as sheet:
        sheet.crop((left, top, left + cell, top + cell)).convert("RGB").save(buffer, "PNG")
    return buffer.getvalue()


def compose(count: int, faces: Mapping[int, tuple[str, Box | None]]) -> Composed:
    """A WebP sheet with neuron ``i`` in column ``i % 16`` and row ``i // 16``; cells without a face stay transparent.

    Args:
        count: how many cells there are.
        faces: for an index, the digest of the picture in ``storage``, and the part of it to show (None: all).
    """
    columns = min(COLUMNS, count)
    sheet = Image.new("RGBA", (columns * CELL, math.ceil(count / columns) * CELL))
    shown = set()
    for index, (sha256, box) in faces.items():
        try:
            with storage.open(sha256) as file, Image.open(file) as whole:
                picture = whole.convert("RGB").crop(box)
        except OSError:  # gone from the store, or spoilt there: the others are still to be seen
            continue
        # Small pictures (a 7-pixel kernel) keep their hard pixels, large ones are smoothed down.
        how = Image.Resampling.NEAREST if max(picture.size) < CELL else Image.Resampling.LANCZOS
        cell = picture.resize((CELL, CELL), how)
        sheet.paste(cell, (index % columns * CELL, index // columns * CELL))
        shown.add(index)
    buffer = io.BytesIO()
    sheet.save(buffer, "WEBP", quality=88, method=4)
    return Composed(buffer.getvalue(), CELL, columns, shown)
