"""Numbers in addresses and forms."""


def whole(text: str | None) -> int | None:
    """The whole number that an address or a field names; None for anything else.

    Only digits from 0 to 9 count, and no more of them than any row's number has.
    """
    return int(text) if text and text.isascii() and text.isdecimal() and len(text) < 16 else None
