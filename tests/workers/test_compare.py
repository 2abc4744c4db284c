"""In what two runs differ, by arithmetic."""

import io
import json
from typing import Any

import numpy as np
import pytest

from workers.compare import differences
from workers.figures import encode


def text(data: Any) -> bytes:
    return json.dumps(data).encode()


def array(*values: float) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.array(values, dtype=np.float32))
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("before", "after", "found"),
    [
        ({"value": 1.5, "name": "a"}, {"value": 1.5, "name": "a"}, {}),
        ({"value": 1.5}, {"value": 1.0}, {"value": 0.5}),
        ({"list": [{"v": 1}, {"v": 5}, {"v": 0}]}, {"list": [{"v": 2}, {"v": 2}, {"v": 0}]}, {"list[].v": 3}),
        ({"kernel": [[1, 2], [3, 4]]}, {"kernel": [[1, 2], [3, 4.25]]}, {"kernel[][]": 0.25}),
        ({"list": [1, 2]}, {"list": [1]}, {"list": None}),
        ({"list": ["a", 1, 2]}, {"list": ["b", 3, 2]}, {"list[]": None}),
        ({"value": 1}, {"value": None}, {"value": None}),
        ({"linearised": True}, {"linearised": False}, {"linearised": None}),
        ({"value": 1}, {}, {"value": None}),
        ({}, {"a": {"b": 1}}, {"a": None}),
    ],
)
def test_numbers_by_their_path(before: Any, after: Any, found: dict[str, float | None]) -> None:
    assert differences({"data": text(before)}, {"data": text(after)}, {"data": ".json"}) == ({}, found)


def test_arrays_by_their_name() -> None:
    suffixes = dict.fromkeys(("same", "other", "longer"), ".npy")
    before = {"same": array(1, 2), "other": array(1, 2), "longer": array(1)}
    after = {"same": array(1, 2), "other": array(1.5, 0), "longer": array(1, 2)}
    assert differences(before, after, suffixes) == ({}, {"other": 2.0, "longer": None})


def test_pictures_in_steps_of_255() -> None:
    black = np.zeros((2, 2, 3), dtype=np.uint8)
    grey = black.copy()
    grey[1, 0, 2] = 7
    before = {"same": encode(black), "other": encode(black), "larger": encode(black), "gone": encode(black)}
    after = {"same": encode(black), "other": encode(grey), "larger": encode(np.tile(black, (2, 1, 1)))}
    suffixes = dict.fromkeys(before, ".webp")
    assert differences(before, after, suffixes) == ({"same": 0, "other": 7, "larger": None, "gone": None}, {})
