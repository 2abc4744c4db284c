"""Numbers, shares and lengths of time as a reader meets them."""

import pytest

from taxonomy.templatetags import site


@pytest.mark.parametrize(
    ("value", "words"),
    [(0.23634, "0.236"), (-0.0094, "−0.0094"), (8724.3, "8,724"), (-2590.0, "−2,590"), (12, "12"), (None, "")],
)
def test_measurements(value: float | None, words: str) -> None:
    assert site.number(value) == words


@pytest.mark.parametrize(
    ("value", "words"), [(0.126, "13 %"), (0.996, "100 %"), (1.0, "100 %"), (4.266, "427 %"), (1e-7, "1e\u221205 %")]
)
def test_percent(value: float, words: str) -> None:
    assert site.percent(value) == words


@pytest.mark.parametrize(
    ("part", "whole", "words"),
    [(65, 256, "25 %"), (30, 256, "12 %"), (15, 256, "6 %"), (1, 512, "0.1 %"), (3, 512, "0.5 %"), (0, 0, "0 %")],
)
def test_shares_are_rounded_half_up_and_have_a_decimal_when_tiny(part: int, whole: int, words: str) -> None:
    assert site.share(part, whole) == words


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.2, "under a second"), (8, "8 seconds"), (200, "3 min 20 s"), (7500, "2 h 5 min")]
)
def test_lengths_of_time(seconds: float, words: str) -> None:
    assert site.duration(seconds) == words
