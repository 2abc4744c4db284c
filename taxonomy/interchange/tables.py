"""A taxonomy as CSV: ``families.csv``, ``memberships.csv`` and ``neurons.csv``.

Names and remarks are anybody's text, and a spreadsheet runs a cell that begins with = + - @ as a formula. Such a text
gets a leading apostrophe, which spreadsheets take for "this is text"; columns of numbers stay as they are.
"""

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

from taxonomy.interchange import files
from taxonomy.interchange.snapshot import Snapshot

Cell = str | int | float | bool | None

FAMILIES = ("network", "layer", "family", "parent", "kind", "confidence", "symmetry", "neurons", "source", "remark")
MEMBERSHIPS = ("network", "layer", "unit", "family", "primary", "parameter", "source", "reviewer", "since")
NEURONS = ("network", "layer", "unit", "standing", "readings")


def write(folder: Path, snapshot: Snapshot) -> list[Path]:
    """Write the three tables; returns their paths."""
    name = snapshot.network
    families = [
        (
            name,
            layer.layer,
            family.name,
            family.parent,
            family.kind,
            family.confidence,
            family.symmetry,
            len(family.units),
            family.source,
            family.comment,
        )
        for layer in snapshot.layers
        for family in layer.families
    ]
    memberships = [
        (name, row.layer, row.unit, row.family, row.primary, row.parameter, row.source, row.reviewer, row.since)
        for row in snapshot.memberships
    ]
    neurons = [(name, row.layer, row.unit, row.standing, row.readings) for row in snapshot.neurons]
    written = []
    for file, header, rows in (
        ("families.csv", FAMILIES, families),
        ("memberships.csv", MEMBERSHIPS, memberships),
        ("neurons.csv", NEURONS, neurons),
    ):
        written.append(folder / file)
        files.write(written[-1], text(header, rows))
    return written


def text(header: Sequence[str], rows: Iterable[Sequence[Cell]]) -> str:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([_safe(cell) for cell in row] for row in rows)
    return buffer.getvalue()


def _safe(cell: Cell) -> Cell:
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, str) and cell.startswith(("=", "+", "-", "@", "\t", "\r")):
        return f"'{cell}"
    return cell
