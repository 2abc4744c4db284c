"""Text from people: bounded, and without what a page or Postgres cannot hold."""

import unicodedata
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import MaxLengthValidator, ProhibitNullCharactersValidator
from django.db import models

# Turn the direction in which their neighbours are read, or cannot be seen. Joiners (U+200C, U+200D) are spelling.
HIDDEN = frozenset("\u061c\u200b\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\u2066\u2067\u2068\u2069\ufeff")


def one_plain_line(text: str) -> None:
    """Refuses line breaks, control characters, and characters that hide or turn others.

    Raises:
        ValidationError: with the character's number.
    """
    for one in text:
        if one != "\0" and (one in HIDDEN or unicodedata.category(one) in ("Cc", "Zl", "Zp", "Cs")):
            raise ValidationError(f"There is a character that cannot be seen (U+{ord(one):04X}): take it out.")


def refuse_null(text: str, field: str) -> None:
    """Of a text that no form or model checks.

    Raises:
        ValidationError: of this field, for a character that Postgres cannot keep (NUL).
    """
    try:
        ProhibitNullCharactersValidator()(text)
    except ValidationError as error:
        raise ValidationError({field: error.messages}) from error


class Line(models.CharField):
    """A short text on one line."""

    default_validators = [ProhibitNullCharactersValidator(), one_plain_line]


class Prose(models.TextField):
    """A longer text; unlike Django's TextField, its ``max_length`` is checked by ``full_clean`` as well."""

    default_validators = [ProhibitNullCharactersValidator()]

    def __init__(self, verbose_name: str | None = None, *, max_length: int = 5_000, **kwargs: Any) -> None:
        super().__init__(verbose_name, max_length=max_length, **kwargs)
        self.validators.append(MaxLengthValidator(max_length))
