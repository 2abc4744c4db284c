"""Reading a folder of pictures as an image set."""

import csv
import hashlib
import io
import re
import struct
import warnings
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from PIL import Image, UnidentifiedImageError

from taxonomy.interchange import files

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"}
# Only these decoders see the bytes, whatever the suffix says: others (EPS) start programs.
FORMS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")
# Beyond this a small file may unpack to gigabytes (a decompression bomb); the largest ImageNet picture has 33 MP.
LARGEST = 64_000_000
LARGEST_FILE = 200_000_000
LONGEST_NAME = 300


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
    found = sorted(file for file in folder.rglob("*") if file.suffix.lower() in SUFFIXES and not file.is_dir())
    pictures: list[Picture] = []
    left_out: list[dict[str, str]] = []

    def look(file: Path) -> tuple[str, int, int] | str:
        try:
            return _look(file, folder)
        except FolderError as error:
            return str(error)

    with warnings.catch_warnings(), ThreadPoolExecutor() as threads:
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # too large is refused below
        for done, (file, seen) in enumerate(zip(found, threads.map(look, found), strict=True), start=1):
            name = file.relative_to(folder).as_posix()
            if isinstance(seen, str):
                left_out.append({"name": name.encode(errors="replace").decode()[:LONGEST_NAME], "reason": seen})
            else:
                pictures.append(Picture(name, *seen, parameters.get(name, {})))
            progress(done, len(found))
    if not pictures:
        none = f"none of its {len(found)} pictures can be read" if found else "there is no picture in it"
        first = f" ({left_out[0]['name']}: {left_out[0]['reason']})" if left_out else ""
        raise FolderError(f"{folder} gives no image set: {none}{first}.")
    whole = hashlib.sha256()
    for picture in pictures:
        whole.update(f"{picture.name}\0{picture.sha256}\n".encode())
    return Folder(pictures, left_out, whole.hexdigest())


SORTED = "sorted"


def with_classes(found: Folder, classes: str) -> Folder:
    """The same pictures, each with its class (an index of a network's classes) as the parameter ``class``.

    Args:
        classes: "sorted", where the n-th file by name (those that were left out counted too) is of class n, from 0 on;
            or the path of a CSV file of name and class, in which pictures without a class need not stand.

    Raises:
        FolderError: when the file does not say so, with the line.
    """
    if classes == SORTED:
        names = sorted([*(each.name for each in found.pictures), *(each["name"] for each in found.left_out)], key=Path)
        known = {name: place for place, name in enumerate(names)}
    else:
        known = _classes(Path(classes).expanduser(), {picture.name for picture in found.pictures})
    pictures = [
        replace(picture, parameters=picture.parameters | {"class": known[picture.name]})
        if picture.name in known
        else picture
        for picture in found.pictures
    ]
    return replace(found, pictures=pictures)


def _classes(file: Path, names: set[str]) -> dict[str, int]:
    try:
        rows = list(csv.reader(file.read_text(encoding="utf-8-sig").splitlines()))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise FolderError(
            f"{file} cannot be read as CSV ({error}). Give one of name and class, or 'sorted'."
        ) from error
    known: dict[str, int] = {}
    for line, row in enumerate(rows, start=1):
        if not row or (line == 1 and [cell.strip() for cell in row] == ["name", "class"]):
            continue
        if len(row) != 2 or not re.fullmatch(r"\d{1,9}", row[1].strip(), re.ASCII):
            raise FolderError(
                f"{file}, line {line}: it should be a picture's name and its class, a whole number from 0."
            )
        name = row[0].strip()
        if name not in names:
            raise FolderError(f"{file}, line {line}: there is no picture '{name[:LONGEST_NAME]}' that can be read.")
        if name in known:
            raise FolderError(f"{file}, line {line}: '{name}' stands there twice. Give it one class.")
        known[name] = int(row[1])
    if not known:
        raise FolderError(f"{file} gives no picture a class. Give lines of name and class, or 'sorted'.")
    return known


def _look(file: Path, folder: Path) -> tuple[str, int, int]:
    """Digest, width and height of a picture in the folder."""
    name = file.relative_to(folder).as_posix()
    if len(name) > LONGEST_NAME:
        raise FolderError(f"its name is longer than {LONGEST_NAME} characters")
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise FolderError("its name is not UTF-8") from error
    data = read_picture(inside(file, folder))
    width, height = measure(data)
    return hashlib.sha256(data).hexdigest(), width, height


def inside(file: Path, folder: Path) -> Path:
    """The file itself, where links may have led to it.

    Raises:
        FolderError: when it lies elsewhere than in the folder.
    """
    try:
        real = file.resolve(strict=True)
    except (OSError, RuntimeError) as error:  # RuntimeError: a link that leads to itself
        raise FolderError("a link that leads nowhere") from error
    if not real.is_relative_to(folder.resolve()):
        raise FolderError("a link that leads out of the folder")
    return real


def read_picture(file: Path) -> bytes:
    """The bytes of a file that may be a picture.

    Raises:
        FolderError: when it cannot be read, or no picture is so large.
    """
    try:
        if not file.is_file():
            raise FolderError("not a file")
        if file.stat().st_size > LARGEST_FILE:
            raise FolderError(f"larger than {LARGEST_FILE // 1_000_000} MB")
        return file.read_bytes()
    except OSError as error:
        raise FolderError(f"cannot be read ({error.strerror})") from error


def measure(data: bytes) -> tuple[int, int]:
    """Width and height of a picture that can be decoded whole.

    Raises:
        FolderError: when it cannot.
    """
    try:
        with Image.open(io.BytesIO(data), formats=FORMS) as image:
            width, height = image.size
            if width * height > LARGEST:
                raise FolderError(f"{width} x {height} pixels is more than the {LARGEST // 1_000_000} million allowed")
            image.load()
    except FolderError:
        raise
    except Image.DecompressionBombError as error:
        raise FolderError(f"more pixels than the {LARGEST // 1_000_000} million allowed") from error
    except UnidentifiedImageError as error:
        raise FolderError("not a picture" if data else "empty") from error
    except (
        *(OSError, SyntaxError, ValueError, EOFError),
        # What the decoders let through for broken headers.
        *(struct.error, zlib.error, IndexError, KeyError, TypeError, ArithmeticError, MemoryError),
    ) as error:
        raise FolderError(f"not a readable picture ({error})") from error
    return width, height


def _parameters(file: Path) -> dict[str, dict[str, Any]]:
    if not file.exists():
        return {}
    try:
        rows = files.parse_json(file.read_text(encoding="utf-8"))
        return {row["name"]: {key: row[key] for key in row if key != "name"} for row in rows}
    except (OSError, ValueError, TypeError, KeyError) as error:
        what = f"{file} is not a list of objects with a name each ({error})"
        raise FolderError(f"{what}. Mend it or take it away.") from error
