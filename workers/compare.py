"""In what two runs of one recipe differ, from their files."""

import io
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workers.figures import decode

# The largest difference; None where the two cannot be compared by numbers: another size, a text, one is not there.
Difference = float | None


def differences(
    before: Mapping[str, bytes], after: Mapping[str, bytes], suffixes: Mapping[str, str]
) -> tuple[dict[str, Difference], dict[str, Difference]]:
    """For each picture (".webp") the largest difference of a colour, in steps of 255; and what differs of the numbers.

    Numbers of a JSON file go by their path in it, entries of a list together ("strongest[].value"), arrays (".npy") by
    their file's name. Those that are equal are left out.
    """
    pixels: dict[str, Difference] = {}
    numbers: dict[str, Difference] = {}
    for name in sorted(before.keys() | after.keys()):
        if name not in before or name not in after:
            (pixels if suffixes[name] == ".webp" else numbers)[name] = None
        elif suffixes[name] == ".webp":
            pixels[name] = _largest(decode(before[name]), decode(after[name]))
        elif suffixes[name] == ".npy":
            found = _largest(*(np.load(io.BytesIO(data), allow_pickle=False) for data in (before[name], after[name])))
            if found != 0:
                numbers[name] = found
        else:
            _walk(json.loads(before[name]), json.loads(after[name]), "", numbers)
    return pixels, numbers


def _largest(before: NDArray[Any], after: NDArray[Any]) -> Difference:
    if before.shape != after.shape:
        return None
    return float(np.abs(before.astype(np.float64) - after.astype(np.float64)).max(initial=0))


def _walk(before: Any, after: Any, path: str, found: dict[str, Difference]) -> None:
    if isinstance(before, dict) and isinstance(after, dict):
        for name in before.keys() | after.keys():
            below = f"{path}.{name}" if path else name
            _walk(before.get(name), after.get(name), below, found)
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for one, other in zip(before, after, strict=True):
            _walk(one, other, f"{path}[]", found)
    elif before != after:
        known = found.get(path, 0.0)
        numbers = all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in (before, after))
        found[path] = max(known, abs(before - after)) if numbers and known is not None else None
