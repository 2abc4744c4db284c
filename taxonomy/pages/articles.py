"""A version of a note as an article to read: its figures filled with evidence, and what came of what it names.

``{% include "notes/_article.html" with article=article %}`` shows one; ``css/note.css`` is how it looks.
"""

from dataclasses import dataclass, field

from django.utils.safestring import SafeString

from taxonomy.models import NoteVersion
from taxonomy.permissions import Person
from taxonomy.rendering import notes
from taxonomy.rendering.markdown import References, render
from taxonomy.rendering.notes import Heading, Problem, Source


@dataclass
class Article:
    """``notices`` say what became of what it names since it was written, in sentences that are safe HTML."""

    abstract: SafeString
    body: SafeString
    selection: SafeString
    sources: list[Source] = field(default_factory=list)
    contents: list[Heading] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    notices: list[SafeString] = field(default_factory=list)


def article(version: NoteVersion, user: Person, references: References) -> Article:
    """The article of a version, which may be one that is not saved yet (for the preview).

    Args:
        version: with its ``note``, and the note's network.
        references: of the note's network; the discussion's texts may share it.
    """
    body = notes.render(version.body, references)
    return Article(
        render(version.abstract, references),
        body.html,
        render(version.selection, references),
        body.sources,
        body.contents,
    )
