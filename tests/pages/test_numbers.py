"""What an address may name a number by."""

import pytest

from taxonomy.pages.numbers import whole


@pytest.mark.parametrize("text", [None, "", " 1", "-1", "1.0", "٣", "²", "1_0", "9" * 16, "x"])
def test_what_is_no_number_is_none(text):
    assert whole(text) is None


def test_digits_are_a_number():
    assert (whole("0"), whole("007"), whole("9" * 15)) == (0, 7, 999_999_999_999_999)
