"""Arrays of numbers as the workers keep them (NumPy's ``.npy``), read in parts and without NumPy."""

import ast
import math
import struct
from collections.abc import Sequence

from taxonomy import storage

# For the type that a file names: the same for ``struct``, and its bytes.
TYPES = {"<f4": ("f", 4), "|i1": ("b", 1)}
MAGIC = b"\x93NUMPY\x01\x00"


class ArrayError(ValueError):
    """The file is none of the arrays that the workers write."""


class Array:
    """A stored array, whose numbers are read when they are asked for: it may be larger than what a page should hold."""

    def __init__(self, sha256: str, shape: Sequence[int]) -> None:
        """``shape`` is what it must have; -1 for a side of any length.

        Raises:
            ArrayError: when it has another shape, or is no array of the known types.
            OSError: when the file is gone from the store.
        """
        self._sha256 = sha256
        with storage.open(sha256) as file:
            head = file.read(10)
            if head[:8] != MAGIC or len(head) < 10:
                raise ArrayError("This is no array.")
            (length,) = struct.unpack("<H", head[8:])
            try:
                told = ast.literal_eval(file.read(length).decode("latin-1").strip())
                self._code, self._bytes = TYPES[told["descr"]]
                self.shape = tuple(int(side) for side in told["shape"])
            except (SyntaxError, ValueError, KeyError, TypeError) as error:
                raise ArrayError("This is an array of another type.") from error
            self._start = 10 + length
            size = file.seek(0, 2) - self._start
        matches = len(self.shape) == len(shape) and all(
            asked in (-1, own) for asked, own in zip(shape, self.shape, strict=True)
        )
        if not matches or told["fortran_order"] or size != math.prod(self.shape) * self._bytes:
            raise ArrayError(f"This is an array of {self.shape}, not of {tuple(shape)}.")

    def parts(self, places: Sequence[Sequence[int]]) -> list[list[float]]:
        """For each place, indices of the first axes, the numbers of the remaining ones in a row.

        Raises:
            OSError: when the file is gone from the store meanwhile.
        """
        found = []
        with storage.open(self._sha256) as file:
            for place in places:
                count = math.prod(self.shape[len(place) :])
                first = 0
                for index, side in zip(place, self.shape, strict=False):
                    first = first * side + index
                file.seek(self._start + first * count * self._bytes)
                found.append(list(struct.unpack(f"<{count}{self._code}", file.read(count * self._bytes))))
        return found
