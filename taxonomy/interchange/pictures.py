"""Reading a folder of pictures as an image set."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"}
# Beyond this a small file may unpack to gigabytes (a decompression bomb); the largest ImageNet picture has 33 MP.
LARGEST = 64_000_000


class FolderError(ValueError):
    """The folder gives no image set; the message says why and what to do."""


@dataclass(frozen=True)
class Picture:
    name: str
    sha256: str
    width: int
    height: int
    parameters: dict[str, Any]


@dataclass(frozen=True)
class Folder:
    """``digest`` covers names and bytes of the readable pictures; ``left_out`` is ``[{"name", "reason"}]``."""

    pictures: list[Picture]
    left_out: list[dict[str, str]]
    digest: str


def read_folder(folder: Path, progress: Callable[[int, int], None] = lambda done, total: None) -> Folder:
    """Decode every picture once, in order of name. ``pictures.json`` beside them, a list of ``{"name", ...}``, gives
    the parameters of generated pictures.

    Raises:
        FolderError: when the folder is not there, or nothing in it is a readable picture.
    """
    if not folder.is_dir():
        raise FolderError(f"{folder} is not a folder. Name a folder of pictures (JPEG, PNG, WebP, ...).")
    parameters = _parameters(folder / "pictures.json")
    files = sorted(file for file in folder.rglob("*") if file.suffix.lower() in SUFFIXES and file.is_file())
    pictures: list[Picture] = []
    left_out: list[dict[str, str]] = []
    for done, file in enumerate(files):
        name = file.relative_to(folder).as_posix()
        data = file.read_bytes()
        try:
            width, height = measure(file)
        except FolderError as error:
            left_out.append({"name": name, "reason": str(error)})
        else:
            pictures.append(
                Picture(name, hashlib.sha256(data).hexdigest(), width, height, parameters.get(name, {}))
            )
        progress(done + 1, len(files))
    if not pictures:
        seen = f"none of its {len(files)} pictures can be read" if files else "there is no picture in it"
        first = f" ({left_out[0]['name']}: {left_out[0]['reason']})" if left_out else ""
        raise FolderError(f"{folder} gives no image set: {seen}{first}.")
    whole = hashlib.sha256()
    for picture in pictures:
        whole.update(f"{picture.name}\0{picture.sha256}\n".encode())
    return Folder(pictures, left_out, whole.hexdigest())


def measure(file: Path) -> tuple[int, int]:
    """Width and height of a picture that can be decoded whole.

    Raises:
        FolderError: when it cannot.
    """
    try:
        with Image.open(file) as image:
            width, height = image.size
            if width * height > LARGEST:
                raise FolderError(f"{width} x {height} pixels is more than the {LARGEST // 1_000_000} million allowed")
            image.load()
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
        if isinstance(error, FolderError):
            raise
        raise FolderError(f"not a readable picture ({error})".replace(str(file), file.name)) from error
    return width, height


def _parameters(file: Path) -> dict[str, dict[str, Any]]:
    if not file.exists():
        return {}
    try:
        rows = json.loads(file.read_text())
        return {row["name"]: {key: row[key] for key in row if key != "name"} for row in rows}
    except (ValueError, TypeError, KeyError) as error:
        raise FolderError(f"{file} is not a list of objects with a name each ({error}). Mend it or take it away.") from error
