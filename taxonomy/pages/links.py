"""What links here: the circuit notes that name a neuron, a family or another note."""

from typing import Any

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import OuterRef, Q
from django.db.models.functions import JSONObject

from taxonomy.models import Family, Neuron, Note
from taxonomy.models.notes import NoteQuerySet
from taxonomy.permissions import Person

LINKS = 20
Subject = Neuron | Family | Note
# What a note's state follows from, and what a link to it shows.
COLUMNS = (
    *("public_id", "number", "about_id", "superseded_by_id", "published_id", "submitted_id", "corrected_at", "title"),
)


def _readable(user: Person) -> NoteQuerySet:
    """Those that this person may read and that hold, the published ones first."""
    return Note.objects.readable_by(user).filter(withdrawn_at=None).titled().order_by("number", "pk")


def links_to(user: Person, subject: Subject) -> list[Note]:
    """The notes that name it, as far as this person may read them. One query, unless it was read with its ``column``.

    To a note those lead whose published texts have its address, of whatever network, and its commentaries.
    """
    if hasattr(subject, "noted"):
        return [_note(**row) for row in subject.noted or ()]
    return list(_leading(user, type(subject), subject.pk, subject.pk)[:LINKS])


def column(user: Person, of: type[Subject]) -> ArraySubquery:
    """``links_to`` as a column ``noted`` of its subject, for a page that reads it anyway."""
    found = _leading(user, of, OuterRef("pk"), OuterRef(OuterRef("pk")))[:LINKS]
    return ArraySubquery(found.values(told=JSONObject(**{name: name for name in COLUMNS})))


def _leading(user: Person, of: type[Subject], pk: int | OuterRef, nested: int | OuterRef) -> NoteQuerySet:
    """Those that lead to the subject of this id, which is ``nested`` in a query within theirs."""
    if of is Note:
        naming = Note.notes.through._default_manager.filter(to_note=nested)
        return _readable(user).filter(Q(about=pk) | Q(pk__in=naming.values("from_note")), number__isnull=False)
    return _readable(user).filter(**{"neurons" if of is Neuron else "families": pk})


def _note(title: str, **columns: Any) -> Note:
    note = Note(**columns)
    note.title = title
    return note
