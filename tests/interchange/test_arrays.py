"""Arrays that the workers kept, read without NumPy."""

import io

import numpy as np
import pytest

from taxonomy import storage
from taxonomy.interchange.arrays import Array, ArrayError


def kept(array: np.ndarray, **how: int) -> str:
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, array, **how)
    return storage.put(buffer.getvalue())


@pytest.mark.parametrize("dtype", [np.float32, np.int8])
def test_parts_are_what_was_kept(dtype):
    array = np.random.default_rng(0).normal(scale=50, size=(3, 4, 2, 2)).astype(dtype)
    found = Array(kept(array), (3, 4, -1, -1))
    assert found.shape == (3, 4, 2, 2)
    assert found.parts([(0, 0), (2, 3), (1, 2)]) == [
        array[place].ravel().tolist() for place in [(0, 0), (2, 3), (1, 2)]
    ]
    assert found.parts([(2,)]) == [array[2].ravel().tolist()]
    assert found.parts([()]) == [array.ravel().tolist()]


@pytest.mark.parametrize(
    "file",
    [
        b"",
        b"\x93NUMPY",
        b"not an array at all, whatever its name says",
        b"\x93NUMPY\x01\x00\x10\x00__import__('os')",
        b"\x93NUMPY\x01\x00\x08\x00[[[[[[[[",
    ],
)
def test_what_is_no_array_is_refused(file: bytes):
    with pytest.raises(ArrayError):
        Array(storage.put(file), (1,))


def test_another_type_shape_order_or_length_is_refused():
    for array, shape in (
        (np.zeros((2, 3), dtype=np.float64), (2, 3)),
        (np.zeros((2, 3), dtype=object), (2, 3)),
        (np.zeros((2, 3), dtype=np.float32), (3, 2)),
        (np.zeros((2, 3), dtype=np.float32), (2, 3, 1)),
        (np.asfortranarray(np.ones((2, 3), dtype=np.float32)), (2, 3)),
    ):
        with pytest.raises(ArrayError):
            Array(kept(array), shape)
    whole = storage.read(kept(np.ones((2, 3), dtype=np.float32)))
    with pytest.raises(ArrayError):
        Array(storage.put(whole[:-1]), (2, 3))


def test_a_file_that_is_gone_is_an_error_of_the_store():
    with pytest.raises(OSError, match="No such file"):
        Array("0" * 64, (1,))
