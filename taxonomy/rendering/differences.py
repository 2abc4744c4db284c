"""What changed from one text to another, and from one version of a note to another."""

import difflib
import re
from dataclasses import dataclass

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from taxonomy.models import NoteVersion
from taxonomy.rendering.markdown import tidy

# Beyond so many words two texts are shown side by side as they are: to compare them would take longer than to read.
MOST_WORDS = 2_000


@dataclass(frozen=True)
class Change:
    """A field that is not the same in both versions, with what was taken out and put in."""

    field: str
    title: str
    html: SafeString


def words(before: str, after: str) -> SafeString:
    """The later text with what was taken out and put in, word by word."""
    old, new = (re.findall(r"\s+|[^\s]+", tidy(text)) for text in (before, after))
    if len(old) + len(new) > MOST_WORDS:
        return format_html("<del>{}</del>\n\n<ins>{}</ins>", "".join(old), "".join(new))
    parts: list[tuple[SafeString]] = []
    for what, i1, i2, j1, j2 in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if what == "equal":
            parts.append((format_html("{}", "".join(new[j1:j2])),))
            continue
        if i2 > i1:
            parts.append((format_html("<del>{}</del>", "".join(old[i1:i2])),))
        if j2 > j1:
            parts.append((format_html("<ins>{}</ins>", "".join(new[j1:j2])),))
    return format_html_join("", "{}", parts)


FIELDS = {
    "title": "Title",
    "abstract": "Abstract",
    "body": "Body",
    "selection": "How its neurons were chosen",
    "bibliography": "Bibliography",
}


def changes(before: NoteVersion, after: NoteVersion) -> list[Change]:
    """What ``after`` changed of ``before``, field by field; fields that are the same are left out."""
    return [
        Change(field, title, words(getattr(before, field), getattr(after, field)))
        for field, title in FIELDS.items()
        if getattr(before, field) != getattr(after, field)
    ]
