"""The per-layer JSON of the Circuits thread: ``{"layer", "families": [{"name", "units", "comment"}], ...}``.

The form is that of the data published with "An Overview of Early Vision in InceptionV1" (Olah et al., Distill 2020);
``model``, ``layer_size`` and ``source`` may stand beside. Neurotaxa adds, and reads, optional keys on a family, written
only where they say something: ``kind``, ``confidence``, ``symmetry``, ``parameters`` (a unit's place in the symmetry,
such as an angle), ``parent`` (a family's name) and ``source`` (where it differs from the layer's).
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from taxonomy.interchange import files
from taxonomy.models import Confidence, FamilyKind, Symmetry

LARGEST_FILE = 20_000_000


class FormError(ValueError):
    """The file is not in the form; the message names it, the place, and what was expected."""


@dataclass(frozen=True)
class FamilyRecord:
    name: str
    units: list[int]
    comment: str = ""
    kind: str = FamilyKind.NATURAL
    symmetry: str = Symmetry.NONE
    parameters: Mapping[int, float] = field(default_factory=dict)
    confidence: str = Confidence.MEDIUM
    parent: str = ""
    source: str = ""


@dataclass(frozen=True)
class LayerRecord:
    """``source`` holds for every family that names none of its own."""

    file: str
    layer: str
    families: list[FamilyRecord]
    source: str = ""
    model: str = ""
    layer_size: int = 0


def read(file: Path) -> LayerRecord:
    """Read one layer's file.

    Raises:
        FormError: when it is missing, too large, not JSON, or not of the form.
    """
    try:
        if file.stat().st_size > LARGEST_FILE:
            raise FormError(f"{file.name}: larger than {LARGEST_FILE // 1_000_000} MB, which no layer's families need.")
        document = files.parse_json(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise FormError(f"{file}: cannot be read ({error.strerror}).") from error
    except FormError:
        raise
    except ValueError as error:
        raise FormError(f"{file.name}: is not JSON ({error}).") from error
    return parse(document, file.name)


def parse(document: Any, file: str) -> LayerRecord:
    """As ``read``, for a document that is in memory already."""
    layer = _text(document, "layer", file, longest=60)
    families = document.get("families")
    if not isinstance(families, list):
        raise FormError(f"{file}: 'families' must be a list.")
    source = _optional_text(document, "source", file, longest=500)
    model = _optional_text(document, "model", file, longest=60)
    return LayerRecord(file, layer, [_family(found, file) for found in families], source, model)


def _text(document: Any, key: str, where: str, longest: int = 120) -> str:
    value = document.get(key) if isinstance(document, dict) else None
    if not isinstance(value, str) or not value.strip() or len(value) > longest or "\0" in value:
        raise FormError(f"{where}: '{key}' must be a text of at most {longest} characters.")
    return value.strip()


def _optional_text(document: Mapping[str, Any], key: str, where: str, longest: int) -> str:
    return _text(document, key, where, longest) if document.get(key) not in (None, "") else ""


def _choice(found: Mapping[str, Any], key: str, default: str, choices: list[str], where: str) -> str:
    value = found.get(key, default)
    if value not in choices:
        raise FormError(f"{where}: '{key}' must be one of {', '.join(choices)}.")
    return str(value)


def default_kind(name: str) -> str:
    """Published files have no kinds, but their catch-alls are called 'Other Units' and the like."""
    return FamilyKind.CATCH_ALL if name.lower().startswith("other") else FamilyKind.NATURAL


def _family(found: Any, file: str) -> FamilyRecord:
    name = _text(found, "name", f"{file}: a family")
    where = f"{file}: family '{name}'"
    units = found.get("units")
    if not isinstance(units, list) or not all(isinstance(unit, int) and not isinstance(unit, bool) for unit in units):
        raise FormError(f"{where}: 'units' must be a list of whole numbers.")
    comment = found.get("comment") or ""
    if not isinstance(comment, str) or len(comment) > 20_000 or "\0" in comment:
        raise FormError(f"{where}: 'comment' must be a text of at most 20,000 characters.")
    try:
        parameters = {int(unit): float(value) for unit, value in (found.get("parameters") or {}).items()}
    except (AttributeError, TypeError, ValueError, OverflowError) as error:
        raise FormError(f"{where}: 'parameters' must map units to numbers.") from error
    if not all(math.isfinite(value) for value in parameters.values()):
        raise FormError(f"{where}: 'parameters' must map units to finite numbers.")
    return FamilyRecord(
        name,
        units,
        comment.strip(),
        kind=_choice(found, "kind", default_kind(name), FamilyKind.values, where),
        symmetry=_choice(found, "symmetry", Symmetry.NONE, Symmetry.values, where),
        parameters=parameters,
        confidence=_choice(found, "confidence", Confidence.MEDIUM, Confidence.values, where),
        parent=_optional_text(found, "parent", where, longest=120),
        source=_optional_text(found, "source", where, longest=500),
    )


def write(folder: Path, layers: list[LayerRecord]) -> list[Path]:
    """One file for each layer; returns their paths. What ``read`` gives of them says the same again."""
    written = []
    for layer in layers:
        written.append(folder / f"{quote(layer.layer, safe='')}.json")
        files.write(written[-1], text(layer))
    return written


def text(layer: LayerRecord) -> str:
    """The layer's file, with a line for each family, so that a change shows where it was made."""
    head = {"model": layer.model, "layer": layer.layer, "layer_size": layer.layer_size, "source": layer.source}
    families = ",\n".join(
        "  " + json.dumps(_document(family, layer), ensure_ascii=False, allow_nan=False) for family in layer.families
    )
    return f'{json.dumps(head, ensure_ascii=False, indent=1)[:-2]},\n "families": [\n{families}\n ]\n}}\n'


def _document(family: FamilyRecord, layer: LayerRecord) -> dict[str, Any]:
    document: dict[str, Any] = {"name": family.name, "units": family.units}
    said = {
        "comment": (family.comment, ""),
        "kind": (family.kind, default_kind(family.name)),
        "confidence": (family.confidence, Confidence.MEDIUM),
        "symmetry": (family.symmetry, Symmetry.NONE),
        "parent": (family.parent, ""),
        "source": (family.source, layer.source),
        "parameters": ({str(unit): value for unit, value in family.parameters.items()}, {}),
    }
    return document | {key: value for key, (value, default) in said.items() if value != default}
