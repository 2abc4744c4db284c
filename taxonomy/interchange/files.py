"""Files in and out: JSON that the database can hold, and files that are there whole or not at all."""

import json
from pathlib import Path
from typing import Any, NoReturn

from taxonomy import storage


def parse_json(text: str) -> Any:
    """As ``json.loads``, but refusing what Postgres cannot hold: NaN, infinities, NUL and unpaired surrogates.

    Raises:
        ValueError: with what is wrong.
    """
    try:
        document = json.loads(text, parse_constant=_refuse)
        # Written out again, an escape such as \\u0000 or \\ud800 can no longer hide.
        written = json.dumps(document, ensure_ascii=False)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if "\\u0000" in written.replace("\\\\", ""):
        raise ValueError("it holds a NUL character")
    try:
        written.encode()
    except UnicodeEncodeError as error:
        raise ValueError("it holds half a character (an unpaired surrogate)") from error
    return document


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no number that JSON knows")


def write(file: Path, text: str) -> None:
    """Write a file so that a reader, or a crash, never meets half of it."""
    with storage.whole(file) as new:
        new.write(text.encode())
