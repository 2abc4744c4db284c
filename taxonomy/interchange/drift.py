"""How far two makings of one kind of evidence lie apart: by the kind's tolerance, from their files."""

import io
import json
from collections.abc import Iterator, Mapping
from typing import Any

from PIL import Image, ImageChops, ImageStat, UnidentifiedImageError

from taxonomy.recipes import Tolerance

PICTURES = (".webp", ".png", ".jpg")
# A file by its name among the version's artifacts: its bytes and suffix.
Files = Mapping[str, tuple[bytes, str]]


def measure(tolerance: Tolerance, seen: Files, newer: Files) -> tuple[bool, str]:
    """Whether the newer files differ from those seen beyond the tolerance, and in what most, in words.

    What the newer ones have beside is no difference: a recipe may tell more than before. Arrays are not compared; the
    numbers drawn from them are.
    """
    found = sorted(_differences(tolerance, seen, newer), key=lambda one: -one[0])
    if not found:
        return False, "nothing of it differs"
    over, words = found[0]
    return over > 1, words


def _differences(tolerance: Tolerance, seen: Files, newer: Files) -> Iterator[tuple[float, str]]:
    """Each difference as a multiple of what is tolerated, and in words."""
    for name, (data, suffix) in seen.items():
        if tolerance.leaves_out(name) or suffix not in (".json", *PICTURES):
            continue
        if name not in newer:
            yield float("inf"), f"“{name}” is not there any more"
        elif suffix == ".json":
            yield from _of_numbers(tolerance, json.loads(data), json.loads(newer[name][0]))
        else:
            yield _of_pictures(tolerance, name, data, newer[name][0])


def _of_pictures(tolerance: Tolerance, name: str, seen: bytes, newer: bytes) -> tuple[float, str]:
    try:
        one, other = (Image.open(io.BytesIO(data)).convert("RGB") for data in (seen, newer))
    except (UnidentifiedImageError, OSError, Image.DecompressionBombError):
        return float("inf"), f"the picture “{name}” cannot be read"
    if one.size != other.size:
        return float("inf"), f"the picture “{name}” has another size"
    bands = ImageStat.Stat(ImageChops.difference(one, other)).mean
    mean = sum(bands) / len(bands)
    words = f"the picture “{name}” differs by {mean:.3g} of 255 in the mean ({tolerance.pixels:g} are tolerated)"
    return _over(mean, tolerance.pixels), words


def _of_numbers(tolerance: Tolerance, seen: Any, newer: Any) -> Iterator[tuple[float, str]]:
    pairs: dict[str, list[tuple[Any, Any]]] = {}
    _pair(tolerance, seen, newer, "", pairs)
    for path, values in pairs.items():
        numbers = [(a, b) for a, b in values if _is_number(a) and _is_number(b)]
        if path.rpartition(".")[2].removesuffix("[]") in tolerance.names:
            numbers = []
        words = [(a, b) for a, b in values if (a, b) not in numbers]
        if numbers:
            largest = max(max(abs(a), abs(b)) for a, b in numbers)
            mean = sum(abs(a - b) for a, b in numbers) / len(numbers)
            share = mean / largest if largest and mean > tolerance.absolute else 0.0
            told = f"“{path}” differs by {share:.1%} of its largest value in the mean"
            yield _over(share, tolerance.numbers), f"{told} ({tolerance.numbers:.1%} is tolerated)"
        if words:
            other = sum(a != b for a, b in words)
            told = f"{other} of {len(words)} in “{path}” are others ({tolerance.named:.0%} may be)"
            yield _over(other / len(words), tolerance.named), told


def _pair(tolerance: Tolerance, seen: Any, newer: Any, path: str, pairs: dict[str, list[tuple[Any, Any]]]) -> None:
    """Put the values that stand in the same place together, by their path; entries of a list share one."""
    if isinstance(seen, dict) and isinstance(newer, dict):
        for name, value in seen.items():
            if not tolerance.leaves_out(name):
                _pair(tolerance, value, newer.get(name), f"{path}.{name}" if path else name, pairs)
    elif isinstance(seen, list) and isinstance(newer, list) and len(seen) == len(newer):
        for one, other in zip(seen, newer, strict=True):
            _pair(tolerance, one, other, f"{path}[]", pairs)
    else:
        pairs.setdefault(path, []).append((seen, newer))


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _over(found: float, tolerated: float) -> float:
    return found / tolerated if tolerated else (float("inf") if found else 0.0)
