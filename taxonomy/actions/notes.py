"""Circuit notes: writing them together, having them reviewed and published, correcting and withdrawing them."""

import datetime
import re
from collections.abc import Iterable, Mapping
from typing import Any, TypedDict, Unpack

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import F, Max
from django.utils import timezone

from taxonomy import events
from taxonomy.actions import circuits, labels, notifications
from taxonomy.models import (
    Authorship,
    Comment,
    Discussion,
    Event,
    Family,
    Motif,
    Network,
    Neuron,
    Note,
    NoteDecision,
    NoteReview,
    NoteVersion,
    Notification,
    Role,
    User,
    Why,
)
from taxonomy.permissions import (
    Person,
    Refused,
    can_change_authors,
    can_edit_note,
    can_leave_note,
    can_read_note,
    can_review_note,
    can_write_note,
    hidden_from,
    require,
)
from taxonomy.rendering.notes import named

MOST_AUTHORS = 50
MOST_ASKED = 20  # people, to be authors of a note, in a day
DOI = re.compile(r"10\.\d{4,9}/[^\s\"<>{}\\%\x00-\x1f\x7f-\x9f]{1,180}")
ADDRESS = re.compile(r"/notes/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})/", re.IGNORECASE)
PROSE = ("abstract", "body", "selection", "bibliography")
# What of a version no list tells: up to 100 kB each.
LONG = ("body", "bibliography", "selection", "subgraph")


Names = tuple[list[Neuron], list[Family]]


class Content(TypedDict, total=False):
    """What a version says. Saving leaves as it was what is not given."""

    title: str
    abstract: str
    body: str
    selection: str
    bibliography: str
    subgraph: Mapping[str, Any]
    motifs: Iterable[str]


class Overtaken(Exception):
    """Somebody else saved the note meanwhile; ``latest`` is what they saved, ``base`` what this one began from."""

    def __init__(self, base: NoteVersion | None, latest: NoteVersion) -> None:
        self.base, self.latest = base, latest
        super().__init__(
            f"{latest.saved_by.username} saved version {latest.number} while you were writing. Nothing of yours is "
            f"lost: compare the two, and save yours on top of version {latest.number}."
        )


@transaction.atomic
def create(
    user: User,
    network: Network,
    *,
    about: Note | None = None,
    contribution: str = "",
    summary: str = "",
    **content: Unpack[Content],
) -> Note:
    """Begin a note: a draft, which its authors alone read until they submit it.

    Args:
        about: the published note on which this one is a commentary.
        contribution: what its first author does for it.

    Raises:
        Refused: when the user may not write notes.
        ValidationError: for a text that is missing or too long, and for a circuit that is not one.
    """
    require(can_write_note(user))
    if about is not None:
        require(can_read_note(user, about))
        if about.number is None or about.hidden_at is not None or about.network_id != network.pk:
            raise ValidationError({"about": f"A commentary is about a note that {network.title}'s thread holds."})
    note = Note(network=network, about=about, created_by=user)
    version = _version(NoteVersion(note=note, number=1), user, summary, content)
    author = Authorship(
        note=note, person=user, contribution=_line(contribution), added_by=user, agreed_at=timezone.now()
    )
    author.full_clean(exclude=["note"])
    note.save()
    author.note = version.note = note
    author.save()
    version.save()
    _name(note, version)
    notifications.subscribe(user, Discussion.objects.of(note), Why.WROTE)
    events.record(user, "note.drafted", note=note)
    return note


@transaction.atomic
def save(user: User, note: Note, *, began_from: int, summary: str = "", **content: Unpack[Content]) -> NoteVersion:
    """Save what an author wrote, as the note's next version. Where nothing was changed, the latest one is given.

    Args:
        began_from: the number of the version that the author had before them.
        summary: what was changed. A correction of what is published needs one.

    Raises:
        Refused: to anyone but its authors, and once it is withdrawn or superseded.
        Overtaken: when somebody else saved meanwhile.
        ValidationError: as for ``create``.
    """
    note = _locked(note)
    require(can_edit_note(user, note))
    latest = note.versions.select_related("saved_by").order_by("-number")[0]
    if latest.number != began_from:
        raise Overtaken(note.versions.filter(number=began_from).first(), latest)
    version = _version(_after(latest), user, summary, content)
    if not version.summary and all(getattr(version, name) == getattr(latest, name) for name in SAID):
        return latest
    version.save()
    _name(note, version)
    events.record(user, "note.saved", note=note, data={"version": version.number})
    return version


@transaction.atomic
def submit(user: User, note: Note, *, version: int) -> Note:
    """Ask for a review of the latest version. From then on everybody reads the note.

    Where one of its versions was published, this is a correction of it.

    Args:
        version: the number of the version that the author had before them.

    Raises:
        Refused: to anyone but its authors, when somebody saved meanwhile, and when there is nothing new to review.
        ValidationError: while it has no abstract or no body, or a correction does not say what it corrects.
    """
    note = _locked(note)
    require(can_edit_note(user, note))
    latest = note.latest
    if latest.number != version:
        raise Refused(
            f"{latest.saved_by.username} saved version {latest.number} meanwhile: read that one, and submit it."
        )
    if note.submitted_id == latest.pk:
        raise Refused("This version is in review already.")
    if note.published_id == latest.pk:
        raise Refused("Nothing was changed since it was published. Save a correction first.")
    for name in ("abstract", "body"):
        if not getattr(latest, name):
            raise ValidationError({name: f"Write its {name} before you submit it."})
    if note.published is not None:
        since = note.versions.filter(number__gt=note.published.number)
        if not since.exclude(summary="").exists():
            raise ValidationError({"summary": "Say in a line what is corrected, and save it so."})
    if note.opened_at is None:
        note.opened_at, note.opened_with = timezone.now(), latest.number
    note.submitted = latest
    note.save(update_fields=["submitted", "opened_at", "opened_with"])
    _name(note, latest)
    _tell(events.record(user, "note.submitted", note=note, data={"version": latest.number}))
    return note


@transaction.atomic
def retract(user: User, note: Note) -> Note:
    """Take a version back from review. It stays readable.

    Raises:
        Refused: to anyone but its authors, and when nothing is in review.
    """
    note = _locked(note)
    require(can_edit_note(user, note))
    if note.submitted is None:
        raise Refused("Nothing of this note is in review.")
    number, note.submitted = note.submitted.number, None
    note.save(update_fields=["submitted"])
    _name(note, note.latest)
    _tell(events.record(user, "note.retracted", note=note, data={"version": number}))
    return note


@transaction.atomic
def decide(user: User, note: Note, *, version: int, decision: str, comment: str = "") -> NoteReview:
    """Approve the version that was submitted, which publishes it, or ask for changes.

    The first time, the note gets its number in the network's thread. A version approved later is a correction.

    Args:
        version: the number of the version that the editor read.

    Raises:
        Refused: to anyone but an editor who is none of its authors, and when another version was submitted meanwhile.
        ValidationError: when changes are asked for without saying which.
    """
    require(can_review_note(user, Note.objects.get(pk=note.pk)))
    submitted = note.versions.filter(number=version).first()
    found = None
    if decision == NoteDecision.APPROVE:
        # A long text takes a while to read: that is done before anybody has to wait.
        found = names_of(note.network, submitted) if submitted is not None else None
        # Who publishes waits for whoever else does, so that a thread's numbers have no gap.
        Network.objects.select_for_update(no_key=True).get(pk=note.network_id)
    note = _locked(note)
    require(can_review_note(user, note))
    assert note.submitted is not None  # by can_review_note
    if submitted is None or submitted.pk != note.submitted_id:
        raise Refused(f"Version {note.submitted.number} was submitted meanwhile: read that one, and decide on it.")
    if decision == NoteDecision.REQUEST_CHANGES and not comment.strip():
        raise ValidationError({"comment": "Say what is to be changed, so that its authors can."})
    review = NoteReview(version=submitted, reviewer=user, decision=decision, comment=_prose(comment))
    review.full_clean()
    review.save()
    if decision == NoteDecision.APPROVE:
        _publish(user, note, submitted, found)
        return review
    note.submitted = None
    note.save(update_fields=["submitted"])
    _name(note, note.latest)
    _tell(events.record(user, "note.changes_requested", note=note, data={"version": submitted.number}))
    return review


def _publish(user: User, note: Note, version: NoteVersion, found: Names | None) -> None:
    note.submitted, note.published = None, version
    _name(note, version, found)
    if note.number is not None:
        note.corrected_at = timezone.now()
        note.save(update_fields=["submitted", "published", "corrected_at"])
        _tell(events.record(user, "note.corrected", note=note, data={"version": version.number}))
        return
    last = Note.objects.filter(network=note.network_id).aggregate(last=Max("number"))["last"] or 0
    note.number, note.published_at = last + 1, timezone.now()
    note.save(update_fields=["submitted", "published", "number", "published_at"])
    data = {"version": version.number, "number": note.number}
    _tell(events.record(user, "note.published", note=note, data=data))
    if note.about is not None:
        data = {"commentary": str(note.public_id)}
        _tell(events.record(user, "note.commented", note=note.about, data=data))


@transaction.atomic
def withdraw(user: User, note: Note, *, reason: str) -> Note:
    """Take a note back for good. What was submitted once stays readable, with the reason.

    Raises:
        Refused: to anyone but its authors, and when it is withdrawn or superseded.
        ValidationError: without a reason, or with too long a one.
    """
    note = _locked(note)
    require(can_edit_note(user, note))
    if not reason.strip():
        raise ValidationError({"reason": "Say why, so that who cited it knows what became of it."})
    note.withdrawn_at, note.withdrawn_reason, note.submitted = timezone.now(), _prose(reason), None
    note.clean_fields(exclude=["submitted"])
    note.save(update_fields=["withdrawn_at", "withdrawn_reason", "submitted"])
    _name(note, note.latest)
    _ask_no_more(user, note)
    _tell(events.record(user, "note.withdrawn", note=note))
    return note


@transaction.atomic
def supersede(user: User, note: Note, by: Note) -> Note:
    """Say that another published note takes the place of this one.

    Raises:
        Refused: to anyone but an author of both, and when it is withdrawn or superseded.
        ValidationError: unless both stand in the network's thread, and the other one holds.
    """
    # In one order, so that two notes that supersede each other at once do not wait in a circle.
    for pk in sorted({note.pk, by.pk}):
        Note.objects.select_for_update(no_key=True).get(pk=pk)
    note, by = _locked(note), _locked(by)
    require(can_edit_note(user, note))
    require(can_edit_note(user, by))
    if note.number is None:
        raise ValidationError({"by": "A note that is not published is not cited yet: change it instead."})
    if by.pk == note.pk or by.number is None or by.network_id != note.network_id:
        raise ValidationError({"by": f"Name another published note of {note.network.title}'s thread."})
    note.superseded_by, note.submitted = by, None
    note.save(update_fields=["superseded_by", "submitted"])
    _ask_no_more(user, note)
    _tell(events.record(user, "note.superseded", note=note, data={"by": str(by.public_id)}))
    return note


@transaction.atomic
def give_doi(user: User, note: Note, doi: str) -> Note:
    """Record under which DOI a published note was deposited; "" for none.

    Raises:
        Refused: to anyone but its authors.
        ValidationError: for what is no DOI, and before it is published.
    """
    note = _locked(note)
    require(can_edit_note(user, note))
    doi = _line(doi).removeprefix("https://doi.org/").removeprefix("doi:")
    if note.number is None:
        raise ValidationError({"doi": "A DOI names what is published: have it reviewed first."})
    if doi and DOI.fullmatch(doi) is None:
        raise ValidationError({"doi": "A DOI looks like 10.23915/distill.00024: the part after https://doi.org/."})
    if doi != note.doi:
        note.doi = doi
        note.save(update_fields=["doi"])
        events.record(user, "note.doi_given", note=note, data={"doi": doi})
    return note


@transaction.atomic
def ask(user: User, note: Note, person: User, *, contribution: str = "") -> Authorship:
    """Ask somebody to be an author. They read the draft from then on, and are named once they agree.

    Raises:
        Refused: to anyone but its authors.
        ValidationError: for who cannot be one, is asked already or declined, and when too many are asked.
    """
    note = _locked(note)
    require(can_edit_note(user, note))
    current = note.authorships.current()
    if not person.is_active or person.is_system or person.role == Role.ADMIN:
        raise ValidationError({"person": f"{person.username} cannot be an author: name somebody who takes part here."})
    if current.filter(person=person).exists():
        raise ValidationError({"person": f"{person.username} is an author, or asked to be one, already."})
    if NoteReview.objects.filter(version__note=note, reviewer=person).exists():
        raise ValidationError({"person": f"{person.username} decided on this note, and cannot be one of its authors."})
    if current.count() >= MOST_AUTHORS:
        raise ValidationError({"person": f"A note has at most {MOST_AUTHORS} authors."})
    if not _asks_to_be_asked(note, person):
        told = f"{person.username} declined to be an author. Who wants to be named after all says so"
        when = "" if note.opened_at else ", which it has once it is submitted"  # nobody else comments on a draft
        raise ValidationError({"person": f"{told} in the note’s discussion{when}: then ask them again."})
    today = note.authorships.filter(added_at__gt=timezone.now() - datetime.timedelta(days=1))
    if today.exclude(person=F("added_by")).count() >= MOST_ASKED:
        raise ValidationError(
            {"person": f"{MOST_ASKED} people were asked within a day: ask {person.username} tomorrow."}
        )
    last = note.authorships.aggregate(last=Max("order"))["last"] or 0
    authorship = Authorship(note=note, person=person, contribution=_line(contribution), order=last + 1, added_by=user)
    authorship.full_clean()
    authorship.save()
    before = {"person": person, "read_at": None, "event__note": note, "event__verb": "note.author_asked"}
    known = Notification.objects.filter(**before).exists()
    event = events.record(user, "note.author_asked", note=note, person=person)
    if not known:  # who is asked, and asked again, and has not looked yet is told once
        notifications.tell(event, {person.pk: Why.MENTIONED})
    return authorship


def _asks_to_be_asked(note: Note, person: User) -> bool:
    """Whether this person never declined; or wrote below the note since, which nobody does for them."""
    left = Event.objects.filter(note=note, person=person, verb="note.author_left", data__declined=True)
    last = left.aggregate(last=Max("at"))["last"]
    return last is None or Comment.objects.filter(discussion__note=note, author=person, created_at__gt=last).exists()


@transaction.atomic
def unask(user: User, note: Note, person: User) -> None:
    """Take back that somebody was asked, as long as they did not agree. They can be asked again.

    Raises:
        Refused: to anyone but its authors, and once that person agreed.
    """
    note = _locked(note)
    require(can_edit_note(user, note))
    asked = note.authorships.current().filter(person=person).first()
    if asked is None:
        raise Refused(f"{person.username} is not asked to be an author of this note.")
    if asked.agreed_at is not None:
        raise Refused(f"{person.username} is an author: only they can leave.")
    _unask(user, asked)


@transaction.atomic
def agree(user: User, note: Note, *, contribution: str | None = None) -> Authorship:
    """Agree to be named as an author, and say what one contributed.

    Raises:
        Refused: to who was not asked, or may not write notes; once it is withdrawn or superseded.
        ValidationError: for too long a contribution.
    """
    require(can_write_note(user))
    note = _locked(note)
    asked = note.authorships.current().filter(person=user, agreed_at=None).first()
    if asked is None:
        raise Refused("You are not asked to be an author of this note.")
    require(can_change_authors(note))
    asked.agreed_at = timezone.now()
    if contribution is not None:
        asked.contribution = _line(contribution)
    asked.full_clean()
    asked.save()
    notifications.subscribe(user, Discussion.objects.of(note), Why.WROTE)
    place = _named(note).index(user) + 1
    _tell(events.record(user, "note.author_agreed", note=note, person=user, data={"place": place}))
    return asked


@transaction.atomic
def leave(user: User, note: Note) -> None:
    """Be an author no longer, or decline to be one.

    Raises:
        Refused: to who is none, and to a note's only author; once it is withdrawn or superseded.
    """
    note = _locked(note)
    require(can_leave_note(user, note))
    own = note.authorships.current().get(person=user)
    _end(own)
    data = {"declined": own.agreed_at is None}
    event = events.record(user, "note.author_left", note=note, person=user, data=data)
    if data["declined"]:
        _tell_authors(event)
    else:
        _tell(event)


@transaction.atomic
def arrange(user: User, note: Note, people: Iterable[User]) -> None:
    """Put the authors in this order; those who are not given follow in the order that they have.

    Each who was put before others is told of by an event, with the place; those who are only asked are not.

    Raises:
        Refused: to anyone but its authors.
    """
    note = _locked(note)
    require(can_edit_note(user, note))
    before = _named(note)
    wanted = {person.pk: index for index, person in enumerate(people)}
    every = sorted(note.authorships.current().order_by("order", "pk"), key=lambda one: wanted.get(one.person_id, 1_000))
    changed = [one for index, one in enumerate(every, start=1) if one.order != index]
    for index, one in enumerate(every, start=1):
        one.order = index
    Authorship.objects.bulk_update(changed, ["order"])
    for index, person in enumerate(_named(note)):
        if before[index] != person:
            before.remove(person)
            before.insert(index, person)
            events.record(user, "note.author_moved", note=note, person=person, data={"place": index + 1})


def _named(note: Note) -> list[User]:
    """Its authors, in the order in which they are named."""
    return [one.person for one in note.authorships.named().select_related("person")]


@transaction.atomic
def contribute(user: User, note: Note, contribution: str) -> Authorship:
    """Say what one contributed oneself; an event tells that it was changed.

    Raises:
        Refused: to anyone but its authors.
        ValidationError: for too long a text.
    """
    note = _locked(note)
    require(can_edit_note(user, note))
    own = note.authorships.current().get(person=user)
    contribution = _line(contribution)
    if contribution != own.contribution:
        own.contribution = contribution
        own.full_clean()
        own.save(update_fields=["contribution"])
        events.record(user, "note.contribution_changed", note=note)
    return own


# What makes a version another one than that before it.
SAID = ("title", *PROSE, "subgraph", "motifs")


def _after(latest: NoteVersion) -> NoteVersion:
    """The version after this one, saying the same."""
    said = {name: getattr(latest, name) for name in SAID}
    return NoteVersion(note_id=latest.note_id, number=latest.number + 1, **said)


def _version(version: NoteVersion, user: User, summary: str, content: Content) -> NoteVersion:
    """The version with what was given of its content, checked.

    Raises:
        ValidationError: with a sentence for each field that cannot be taken.
    """
    version.saved_by, version.summary = user, _line(summary)
    prose: Mapping[str, Any] = {name: text for name, text in content.items() if name in PROSE}
    for name, text in prose.items():
        setattr(version, name, _prose(text))
    if "title" in content:
        version.title = _line(content["title"])
    if "motifs" in content:
        chosen = set(content["motifs"])
        if unknown := sorted(chosen - set(Motif.values)):
            raise ValidationError({"motifs": f"There is no motif “{unknown[0][:60]}”: {', '.join(Motif.values)}."})
        version.motifs = [motif for motif in Motif.values if motif in chosen]
    if not version.title:
        raise ValidationError({"title": "Give it a title."})
    version.full_clean(exclude=["note", "subgraph", "motifs"], validate_constraints=False)
    if "subgraph" in content:
        drawn = circuits.check(version.note.network, content["subgraph"], version.subgraph, hidden_from(user))
        version.subgraph = dict(drawn) if drawn["nodes"] else {}
    return version


def names_of(network: Network, *versions: NoteVersion) -> Names:
    """The neurons and families that versions of a note name: in their texts and in their circuits."""
    texts = [getattr(version, name) for version in versions for name in ("title", "abstract", "body", "selection")]
    written = named(network, *texts)
    nodes = [node for version in versions for node in version.subgraph.get("nodes", [])]
    drawn = Neuron.objects.each_at(network.name, [node["neuron"] for node in nodes if node["neuron"]])
    neurons = {neuron.pk: neuron for neuron in (*written.neurons, *drawn)}
    families = {family.pk: family for family in written.families}
    ids = [node["family"] for node in nodes if node["family"]]
    families |= {family.pk: family for family in Family.objects.filter(public_id__in=ids)} if ids else {}
    return list(neurons.values()), list(families.values())


def reveal_named(user: Person, network: Network, *texts: str) -> None:
    """Whoever reads texts that name neurons, or show figures of them, has been told what their authors think of these.

    That is recorded of people. No query for texts that name nothing.
    """
    if isinstance(user, User) and any("[[" in text or "/evidence/" in text.lower() for text in texts):
        labels.reveal(user, *named(network, *texts).neurons)


def _name(note: Note, version: NoteVersion, found: Names | None = None) -> None:
    """Keep what the version names, for "what links here", where it is the one that readers are shown.

    Args:
        found: that, where it is known already.
    """
    if version.pk != note.shown.pk:
        return
    neurons, families = found or names_of(note.network, version)
    note.neurons.set(neurons)
    note.families.set(families)
    texts = version.abstract, version.body, version.selection
    addresses = {found.lower() for text in texts for found in ADDRESS.findall(text)}
    note.notes.set(Note.objects.filter(public_id__in=addresses).exclude(pk=note.pk))


def without_texts(*paths: str, also: Iterable[str] = ()) -> list[str]:
    """What a query need not bring of the versions at these paths (``published``), as ``defer`` names it.

    Args:
        also: other fields that are not told, such as the abstract where a title will do.
    """
    return [f"{path}__{name}" for path in paths for name in (*LONG, *also)]


def _locked(note: Note) -> Note:
    """The note, for nobody else to change. Of its versions nothing but who they are: their texts are long."""
    rows = Note.objects.select_for_update(of=["self"], no_key=True)
    rows = rows.select_related("network", "about__network", "submitted", "published")
    return rows.defer(*without_texts("submitted", "published", also=["abstract"])).get(pk=note.pk)


def _ask_no_more(user: User, note: Note) -> None:
    for asked in note.authorships.current().filter(agreed_at=None).select_related("note__network", "person"):
        _unask(user, asked)


def _unask(user: User, asked: Authorship) -> None:
    _end(asked)
    events.record(user, "note.author_unasked", note=asked.note, person=asked.person)


def _end(authorship: Authorship) -> None:
    authorship.ended_at = timezone.now()
    authorship.save(update_fields=["ended_at"])


def _tell(event: Event) -> None:
    """Tell its authors and who follows it."""
    note = event.note
    assert note is not None
    people = notifications.subscribers(Discussion.objects.of(note))
    notifications.tell(event, people | notifications.authors(note.pk))


def _tell_authors(event: Event) -> None:
    """Tell its authors alone."""
    notifications.tell(event, notifications.authors(event.note_id))


def _line(text: str) -> str:
    return " ".join(text.split())


def _prose(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n").strip()
