"""How to cite a version of a circuit note: as BibTeX, as CSL-JSON and as text."""

import re
from typing import Any

from django.utils.text import slugify

from taxonomy.models import Note, NoteVersion, User
from taxonomy.rendering.sentences import url

# What BibTeX would read as a command.
TEX = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
}


def bibtex(version: NoteVersion) -> str:
    """The version as an entry of BibTeX. One query for its authors."""
    people = [f"{{{_tex(name)}}}" for name in _authors(version.note)]  # in braces: a name here is not taken apart
    date = version.saved_at
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
    """The version as an item of CSL-JSON (schema 1.0). One query for its authors."""
    date = version.saved_at
    found = {
        "id": key(version),
        "type": "article",
        "title": version.title,
        "author": [{"literal": name} for name in _authors(version.note)],
        "issued": {"date-parts": [[date.year, date.month, date.day]]},
        "container-title": f"Neurotaxa, circuits of {version.note.network.title}",
        "publisher": "Neurotaxa",
        "number": str(version.note.number) if version.note.number else "",
        "version": str(version.number),
        "status": str(version.note.state),
        "DOI": version.note.doi,
        "URL": address(version),
        "abstract": version.abstract,
        "license": version.note.licence,
    }
    return {name: value for name, value in found.items() if value}


def text(version: NoteVersion) -> str:
    """The version as a reference to read, in one line. One query for its authors."""
    people = _authors(version.note)
    by = " and ".join(filter(None, [", ".join(people[:-1]), *people[-1:]]))
    title = version.title if version.title.endswith((".", "?", "!")) else f"{version.title}."
    doi = f" https://doi.org/{version.note.doi}" if version.note.doi else ""
    place = f"Neurotaxa, circuits of {version.note.network.title}"
    return f"{by} ({version.saved_at:%Y}). {title} {place}. {_numbered(version)}.{doi} {address(version)}"


def key(version: NoteVersion) -> str:
    """What it is cited by: its first author, year and the first words of its title."""
    person = re.sub(r"[^a-z0-9]", "", slugify((_authors(version.note) or ["note"])[0]))
    words = [word for word in slugify(version.title).split("-") if len(word) > 3][:2]
    return "".join([person or "note", str(version.saved_at.year), *words])


def address(version: NoteVersion) -> str:
    """The version's own, which shows the same for ever."""
    return url(version.get_absolute_url())


def _numbered(version: NoteVersion) -> str:
    """What it is, and how far: nobody should take a draft, or what was withdrawn, for what is published."""
    note = version.note
    kind = "Commentary" if note.about_id is not None else "Circuit note"
    state = "" if note.state in ("published", "corrected") else f", {note.state}"
    if note.number and version.number > (note.published.number if note.published else 0):
        state = ", not published"
    return f"{kind}{f' {note.number}' if note.number else ''}, version {version.number}{state}"


def _authors(note: Note) -> list[str]:
    """The names under which its authors are known here."""
    return [_name(one.person) for one in note.authors]


def _name(person: User) -> str:
    return "former contributor" if person.erased_at is not None else person.username


def _tex(text: str) -> str:
    return "".join(TEX.get(one, one) for one in " ".join(text.split()))
