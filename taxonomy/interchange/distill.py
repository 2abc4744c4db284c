"""The per-layer JSON of the Circuits thread: ``{"layer", "families": [{"name", "units", "comment"}], ...}``.

The form is that of the data published with "An Overview of Early Vision in InceptionV1" (Olah et al., Distill 2020);
``layer_size``, ``model`` and ``source`` may stand beside. Neurotaxa adds, and reads, optional keys on a family: ``kind``,
``symmetry`` and ``parameters`` (a unit's place in the symmetry, such as an angle).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

LARGEST_FILE = 20_000_000


class FormError(ValueError):
    """The file is not in the form; the message names it, the place, and what was expected."""


@dataclass(frozen=True)
class FamilyRecord:
    name: str
    units: list[int]
    comment: str = ""
    kind: str = "natural"
    symmetry: str = "none"
    parameters: Mapping[int, float] = field(default_factory=dict)


@dataclass(frozen=True)
class LayerRecord:
    file: str
    layer: str
    families: list[FamilyRecord]
    source: str = ""


def read(file: Path) -> LayerRecord:
    """Read one layer's file.

    Raises:
        FormError: when it is missing, too large, not JSON, or not of the form.
    """
    try:
        if file.stat().st_size > LARGEST_FILE:
            raise FormError(f"{file.name}: larger than {LARGEST_FILE // 1_000_000} MB, which no layer's families need.")
        document = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise FormError(f"{file}: cannot be read ({error.strerror}).") from error
    except ValueError as error:
        raise FormError(f"{file.name}: is not JSON ({error}).") from error
    return parse(document, file.name)


def parse(document: Any, file: str) -> LayerRecord:
    """As ``read``, for a document that is in memory already."""
    layer = _text(document, "layer", file)
    families = document.get("families")
    if not isinstance(families, list):
        raise FormError(f"{file}: 'families' must be a list.")
    source = document.get("source") or ""
    return LayerRecord(file, layer, [_family(found, file) for found in families], str(source)[:500])


def _text(document: Any, key: str, where: str, longest: int = 120) -> str:
    value = document.get(key) if isinstance(document, dict) else None
    if not isinstance(value, str) or not value.strip() or len(value) > longest or "\0" in value:
        raise FormError(f"{where}: '{key}' must be a text of at most {longest} characters.")
    return value.strip()


def _family(found: Any, file: str) -> FamilyRecord:
    name = _text(found, "name", f"{file}: a family")
    where = f"{file}: family '{name}'"
    units = found.get("units")
    if not isinstance(units, list) or not all(isinstance(unit, int) and not isinstance(unit, bool) for unit in units):
        raise FormError(f"{where}: 'units' must be a list of whole numbers.")
    comment = found.get("comment") or ""
    if not isinstance(comment, str) or len(comment) > 20_000 or "\0" in comment:
        raise FormError(f"{where}: 'comment' must be a text of at most 20,000 characters.")
    kind = found.get("kind", "catch-all" if name.lower().startswith("other") else "natural")
    if kind not in ("natural", "catch-all", "organisational"):
        raise FormError(f"{where}: 'kind' must be natural, catch-all or organisational.")
    symmetry = found.get("symmetry", "none")
    if symmetry not in ("none", "rotation", "scale", "hue", "reflection"):
        raise FormError(f"{where}: 'symmetry' must be none, rotation, scale, hue or reflection.")
    try:
        parameters = {int(unit): float(value) for unit, value in (found.get("parameters") or {}).items()}
    except (AttributeError, TypeError, ValueError) as error:
        raise FormError(f"{where}: 'parameters' must map units to numbers.") from error
    return FamilyRecord(name, units, comment.strip(), kind, symmetry, parameters)
