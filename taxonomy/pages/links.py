"""What links here: the circuit notes that name a neuron, a family or another note."""

from typing import Any

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import OuterRef, Q
from django.db.models.functions import JSONObject

from taxonomy.models import Family, Neuron, Note
from taxonomy.models.notes import NoteQuerySet
from taxonomy.permissions import Person

LINKS = 20
# What a note's state follows from, and what a link to it shows.
COLUMNS = ("public_id", "number", "superseded_by_id", "published_id", "submitted_id", "corrected_at", "title")


def _readable(user: Person) -> NoteQuerySet:
    """Those that this person may read and that hold, the published ones first."""
    return Note.objects.readable_by(user).filter(withdrawn_at=None).titled().order_by("number", "pk")


def links_to(user: Person, subject: Neuron | Family | Note) -> list[Note]:
    """The notes that name it, as far as this person may read them. One query, unless it was read with its ``column``.

    To a note those lead whose published texts have its address, of whatever network, and its commentaries.
    """
    if hasattr(subject, "noted"):
        return [_note(**row) for row in subject.noted or ()]
    every = _readable(user)
    if isinstance(subject, Note):
        leading = Q(about=subject) | Q(pk__in=subject.noted_by.values("pk"))
        found = every.filter(leading, number__isnull=False)
    else:
        found = every.filter(**{_path(type(subject)): subject})
    return list(found[:LINKS])


def column(user: Person, of: type[Neuron] | type[Family]) -> ArraySubquery:
    """``links_to`` as a column ``noted`` of a neuron or a family, for a page that reads it anyway."""
    found = _readable(user).filter(**{_path(of): OuterRef("pk")})[:LINKS]
    return ArraySubquery(found.values(told=JSONObject(**{name: name for name in COLUMNS})))


def _path(of: type[Neuron] | type[Family]) -> str:
    return "neurons" if of is Neuron else "families"


def _note(title: str, **columns: Any) -> Note:
    note = Note(**columns)
    note.title = title
    return note
