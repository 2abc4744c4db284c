"""Text from people: bounded, and without the NUL bytes that Postgres cannot hold."""

from typing import Any

from django.core.validators import MaxLengthValidator, ProhibitNullCharactersValidator
from django.db import models


class Line(models.CharField):
    """A short text on one line."""

    default_validators = [ProhibitNullCharactersValidator()]


class Prose(models.TextField):
    """A longer text; unlike Django's TextField, its ``max_length`` is checked by ``full_clean`` as well."""

    default_validators = [ProhibitNullCharactersValidator()]

    def __init__(self, verbose_name: str | None = None, *, max_length: int = 5_000, **kwargs: Any) -> None:
        super().__init__(verbose_name, max_length=max_length, **kwargs)
        self.validators.append(MaxLengthValidator(max_length))
