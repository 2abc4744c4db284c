"""How to cite a version of a circuit note: as BibTeX, as CSL-JSON and as text.

Once a version is published its citation stays as it is: its authors are those that it had then, its date is that of its
approval. What is added later is a DOI, and that the note was superseded or withdrawn.
"""

import datetime
import re
from typing import Any

from django.utils.text import slugify

from taxonomy.models import Authorship, NoteState, NoteVersion
from taxonomy.rendering.sentences import url

# What BibTeX would read as a command. A brace counts for it even after a backslash, so it is written by name.
TEX = {
    "\\": r"\textbackslash{}",
    "{": r"\textbraceleft{}",
    "}": r"\textbraceright{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
}


def bibtex(version: NoteVersion) -> str:
    """The version as an entry of BibTeX. Two queries, for its authors and its approval."""
    people = [f"{{{_tex(name)}}}" for name in _names(version)]  # in braces: a name here is not taken apart
    date = issued(version)
    fields = {
        "author": " and ".join(people),
        "title": _tex(version.title),
        "year": str(date.year),
        "month": f"{date:%b}".lower(),
        "howpublished": f"Neurotaxa, circuits of {_tex(version.note.network.title)}",
        "note": _tex(_numbered(version)),
        "doi": version.note.doi,
        "url": address(version),
    }
    bare = ("month",)
    lines = [f"  {name:<12} = {value if name in bare else f'{{{value}}}'}," for name, value in fields.items() if value]
    return "\n".join([f"@misc{{{key(version)},", *lines, "}"]) + "\n"


def csl(version: NoteVersion) -> dict[str, Any]:
    """The version as an item of CSL-JSON (schema 1.0). Two queries, as for ``bibtex``."""
    date = issued(version)
    found = {
        "id": key(version),
        "type": "article",
        "title": version.title,
        "author": [{"literal": name} for name in _names(version)],
        "issued": {"date-parts": [[date.year, date.month, date.day]]},
        "container-title": f"Neurotaxa, circuits of {version.note.network.title}",
        "publisher": "Neurotaxa",
        "number": str(version.note.number) if version.note.number else "",
        "version": str(version.number),
        "status": _state(version),
        "DOI": version.note.doi,
        "URL": address(version),
        "abstract": version.abstract,
        "license": version.note.licence,
    }
    return {name: value for name, value in found.items() if value}


def text(version: NoteVersion) -> str:
    """The version as a reference to read, in one line. Two queries, as for ``bibtex``."""
    people = _names(version)
    by = " and ".join(filter(None, [", ".join(people[:-1]), *people[-1:]]))
    title = version.title if version.title.endswith((".", "?", "!")) else f"{version.title}."
    doi = f" https://doi.org/{version.note.doi}" if version.note.doi else ""
    place = f"Neurotaxa, circuits of {version.note.network.title}"
    return f"{by} ({issued(version):%Y}). {title} {place}. {_numbered(version)}.{doi} {address(version)}"


def authors(version: NoteVersion) -> list[Authorship]:
    """Those who were its authors when it was approved, whoever came or left since; else those of today."""
    at = version.approved_at
    if at is None:
        return version.note.authors
    agreed = [one for one in version.note.people if one.agreed_at is not None and one.agreed_at <= at]
    return [one for one in agreed if one.ended_at is None or one.ended_at > at]


def issued(version: NoteVersion) -> datetime.datetime:
    """When it was published; else when it was saved."""
    return version.approved_at or version.saved_at


def key(version: NoteVersion) -> str:
    """What it is cited by: its first author, year and the first words of its title."""
    person = re.sub(r"[^a-z0-9]", "", slugify((_names(version) or ["note"])[0]))
    words = [word for word in slugify(version.title).split("-") if len(word) > 3][:2]
    return "".join([person or "note", str(issued(version).year), *words])


def address(version: NoteVersion) -> str:
    """The version's own, which shows the same for ever."""
    return url(version.get_absolute_url())


def _numbered(version: NoteVersion) -> str:
    """What it is, and how far: nobody should take a draft, or what was withdrawn, for what is published."""
    note = version.note
    kind = "Commentary" if note.about_id is not None else "Circuit note"
    state = _state(version)
    told = "" if state == NoteState.PUBLISHED else f", {state}"
    return f"{kind}{f' {note.number}' if note.number else ''}, version {version.number}{told}"


def _state(version: NoteVersion) -> str:
    """How far it is. A correction that is published later changes nothing of what it corrects."""
    note = version.note
    if note.number is not None and version.approved_at is None:
        return "not published"
    return str(NoteState.PUBLISHED if note.state == NoteState.CORRECTED else note.state)


def _names(version: NoteVersion) -> list[str]:
    return [one.person.username for one in authors(version)]


def _tex(text: str) -> str:
    return "".join(TEX.get(one, one) for one in " ".join(text.split()))
