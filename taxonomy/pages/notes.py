"""Circuit notes: a network's thread, a note to read, writing it with others, reviewing it, its versions, citing it."""

import datetime
import json
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.postgres.expressions import ArraySubquery
from django.core.exceptions import ValidationError
from django.core.paginator import Page, Paginator
from django.db.models import Count, OuterRef, Prefetch, Q, Value, prefetch_related_objects
from django.db.models.functions import JSONObject
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from taxonomy import events
from taxonomy.actions import circuits, labels, notes
from taxonomy.models import (
    Authorship,
    Claim,
    Event,
    Motif,
    Network,
    Neuron,
    Note,
    NoteReview,
    NoteVersion,
    Subgraph,
    User,
)
from taxonomy.models.notes import NoteQuerySet
from taxonomy.pages import claims
from taxonomy.pages.articles import article
from taxonomy.pages.links import column, links_to
from taxonomy.pages.networks import layers_of
from taxonomy.pages.numbers import whole
from taxonomy.pages.people import asking
from taxonomy.pages.proposals import add_errors
from taxonomy.pages.talk import Talk
from taxonomy.permissions import (
    Person,
    can_edit_note,
    can_leave_note,
    can_moderate,
    can_read_note,
    can_read_version,
    can_review_note,
    can_see_asked,
    can_write_note,
    claims_visible_to,
    hidden_from,
    readable_from,
    require,
)
from taxonomy.rendering import citations, differences
from taxonomy.rendering.circuits import Circuit, circuit, picture
from taxonomy.rendering.markdown import References
from taxonomy.rendering.notes import CITATION

PAGE = 30
CORRECTIONS = 20  # that a note's page tells; its versions tell of all


def found(name: str) -> Network:
    """The network of this name.

    Raises:
        Http404: with a sentence.
    """
    network = Network.objects.filter(name=name).first()
    if network is None:
        raise Http404(f"There is no network “{name}” here.")
    return network


def note_of(request: HttpRequest, public_id: str, hidden: Collection[int] | None = None) -> Note:
    """The note of this id, with what its page shows.

    Args:
        hidden: from whoever asks; with the notes that lead to it and the claims on it (``column``), to show them.

    Raises:
        Http404: where there is none.
        Refused: to others than its authors, while it is a draft.
    """
    others = "about__published", "superseded_by__published"
    rows = Note.objects.select_related("network", *others, "published__saved_by", "submitted__saved_by")
    rows = rows.defer(*notes.without_texts(*others, also=["abstract"]))
    rows = rows.annotate(asked=_ASKED, saved=_SAVED, corrected=_CORRECTED)
    if hidden is not None:
        rows = rows.annotate(noted=column(request.user, Note), claimed=claims.column(Note, hidden))
    note = rows.filter(public_id=public_id).first()
    if note is None:
        raise Http404("There is no such note here.")
    for row in note.asked:
        for name in ("agreed_at", "ended_at"):
            row[name] = row[name] and datetime.datetime.fromisoformat(row[name])
    for version in (note.published, note.submitted):
        if version is not None:
            version.note = note
    note.people = [Authorship(person=User(**row.pop("person")), **row) for row in note.asked]
    require(can_read_note(request.user, note))
    return note


# Whom a note's page names, and what was saved of it, as columns of the note: read in one query with it.
_PERSON = JSONObject(
    id="person_id",
    username="person__username",
    affiliation="person__affiliation",
    is_active="person__is_active",
)
_ASKED = ArraySubquery(
    Authorship.objects.filter(note=OuterRef("pk"))
    .order_by("order", "pk")
    .values(told=JSONObject(person=_PERSON, contribution="contribution", agreed_at="agreed_at", ended_at="ended_at"))
)
_VERSIONS = (
    NoteVersion.objects.filter(note=OuterRef("pk"))
    .order_by("-number")
    .values(told=JSONObject(id="pk", number="number", summary="summary", saved_at="saved_at"))
)
_SAVED = ArraySubquery(_VERSIONS[:1])
_CORRECTING = _VERSIONS.filter(number__gt=OuterRef("opened_with"), number__lte=OuterRef("published__number"))
# One more than are shown tells whether there are others.
_CORRECTED = ArraySubquery(_CORRECTING.exclude(summary="")[: CORRECTIONS + 1])


def _versions(rows: list[dict[str, Any]]) -> list[NoteVersion]:
    """Versions without their texts."""
    return [NoteVersion(**row | {"saved_at": datetime.datetime.fromisoformat(row["saved_at"])}) for row in rows]


def latest_of(note: Note) -> NoteVersion:
    """The last version that was saved, without its texts."""
    (found,) = _versions(note.saved)  # type: ignore[attr-defined]
    return found


def corrections_of(note: Note) -> list[NoteVersion]:
    """The versions up to the published one that say what they corrected, the latest first: at most so many, and one."""
    return _versions(note.corrected)  # type: ignore[attr-defined]


def version_of(request: HttpRequest, note: Note, number: int) -> NoteVersion:
    require(can_read_version(request.user, note, number))
    version = note.versions.select_related("saved_by").filter(number=number).first()
    if version is None:
        raise Http404(f"This note has no version {number}.")
    version.note = note
    return version


def asked_of(request: HttpRequest, note: Note) -> NoteVersion:
    """The version that ``?version=`` names, or else the one that the note's page shows."""
    number = whole(request.GET.get("version"))
    version = note.shown if number is None else version_of(request, note, number)
    version.note = note
    return version


# The thread


def listed(every: NoteQuerySet) -> NoteQuerySet:
    """With what a list tells of them: their people, in one query for all, and their versions without the long texts."""
    rows = every.select_related("published", "submitted", "about__published")
    rows = rows.defer(*notes.without_texts("published", "submitted"))
    rows = rows.defer(*notes.without_texts("about__published", also=["abstract"]))
    return rows.prefetch_related(_people())


def _people() -> Prefetch:
    return Prefetch("authorships", Authorship.objects.select_related("person").order_by("order", "pk"), "people")


def paginated(*lists: NoteQuerySet) -> list[Paginator]:
    """The lists in pages, counted in one query."""
    first, *others = (
        rows.order_by().values_list(Value(number)).annotate(count=Count("pk")) for number, rows in enumerate(lists)
    )
    counts = dict(first.union(*others))
    pages = [Paginator(rows, PAGE) for rows in lists]
    for number, one in enumerate(pages):
        one.count = counts.get(number, 0)  # else each would ask
    return pages


@require_safe
def thread(request: HttpRequest, name: str) -> HttpResponse:
    """A network's published notes in the order of their numbers; what is in review; and one's own drafts."""
    network = found(name)
    every = listed(Note.objects.filter(network=network, hidden_at=None)).prefetch_related(None)
    mine = every.none()
    if isinstance(request.user, User):
        own = Authorship.objects.current().filter(person=request.user)
        mine = every.filter(authorships__in=own, number=None, submitted=None, withdrawn_at=None)
    lists = (every.in_thread(), every.in_review().filter(number=None), mine.titled().order_by("-pk"))
    published, submitted, begun = paginated(*lists)
    page = published.get_page(request.GET.get("page") or published.num_pages)
    queue = submitted.get_page(request.GET.get("waiting"))
    drafts = begun.get_page(request.GET.get("drafts"))
    shown, waiting = list(page.object_list), list(queue.object_list)
    every_one = [*shown, *waiting, *drafts.object_list]
    prefetch_related_objects(every_one, _people())  # of the three lists together
    for note in every_one:
        note.network = network
    notes.reveal_named(
        request.user, network, *(version.abstract for note in (*shown, *waiting) if (version := _said(note)))
    )
    rulings = rulings_of(request.user, [*shown, *waiting])
    context = {
        "network": network,
        "page": page,
        "entries": [(note, _said(note), rulings.get(note.pk, "")) for note in shown],
        "waiting": [(note, _said(note), rulings.get(note.pk, "")) for note in waiting],
        "queue": queue,
        "drafts": drafts,
        "may_write": can_write_note(request.user),
    }
    return render(request, "notes/thread.html", context)


def in_review(request: HttpRequest) -> tuple[Page, list[tuple[Note, NoteVersion]]]:
    """The notes of all networks of which a version waits for an editor, a page of them, each with that version."""
    rows = listed(Note.objects.in_review().select_related("network"))
    page = Paginator(rows, PAGE).get_page(request.GET.get("page"))
    found = [(note, note.submitted) for note in page.object_list if note.submitted is not None]
    texts: dict[int, list[str]] = {}
    for note, version in found:
        texts.setdefault(note.network_id, []).append(version.abstract)
    for network in {note.network for note, _ in found}:
        notes.reveal_named(request.user, network, *texts[network.pk])
    return page, found


def _said(note: Note) -> NoteVersion | None:
    return note.published or note.submitted


def rulings_of(user: Person, notes: Iterable[Note]) -> dict[int, str]:
    """What the claims of each note came to, in words, by the note's primary key."""
    stated = claims_visible_to(user, Claim.objects.filter(note__in=list(notes), withdrawn_at=None))
    counts: dict[int, Counter[str]] = {}
    for claim in stated.with_rulings():
        assert claim.note_id is not None  # by the filter
        counts.setdefault(claim.note_id, Counter())[claim.ruling or "not tested yet"] += 1
    return {
        pk: f"{found.total()} claim{'' if found.total() == 1 else 's'}: "
        + ", ".join(f"{count} {ruling}" for ruling, count in found.most_common())
        for pk, found in counts.items()
    }


# Reading


@require_safe
def note(request: HttpRequest, public_id: str) -> HttpResponse:
    hidden = hidden_from(request.user)
    return page_of(request, note_of(request, public_id, hidden), hidden=hidden)


@require_safe
def version(request: HttpRequest, public_id: str, number: int) -> HttpResponse:
    """One version for ever, whatever came after it."""
    hidden = hidden_from(request.user)
    found = note_of(request, public_id, hidden)
    return page_of(request, found, version_of(request, found, number), hidden=hidden)


def page_of(
    request: HttpRequest,
    note: Note,
    version: NoteVersion | None = None,
    *,
    hidden: Collection[int] | None = None,
    problems: Iterable[str] = (),
    form: forms.Form | None = None,
    status: int = 200,
) -> HttpResponse:
    """A note as an article.

    Args:
        version: another one than the page shows by itself.
        problems: why what was asked for could not be done.
        form: that was sent and could not be taken.
    """
    user = request.user
    shown = version or note.shown
    shown.note = note
    layers = layers_of(note.network.name)
    hidden = hidden_from(user) if hidden is None else hidden
    drawn = circuit(note.network, _subgraph(shown), hidden=hidden, layers=layers)
    latest, corrections = latest_of(note), corrections_of(note)
    old = shown.pk != (note.published_id or note.submitted_id or latest.pk)
    talk = Talk(user, note, shown=True)
    talk.layer = layers[-1]
    # A key that is cited looks like somebody who is mentioned.
    texts = [*talk.texts, *(CITATION.sub("", text) for text in (shown.abstract, shown.body, shown.selection))]
    kin = [family for family in drawn.families if family.retired_at is None]
    references = References(note.network, layers, kin, texts, user)
    known = [one.person.username for one in note.authors if one.person.is_active]
    references.people |= {name.casefold(): name for name in known}
    stated = claims.panel(note, hidden)
    references.know(stated["claims"])
    references.claims |= dict.fromkeys(stated["untold"])  # nobody need look for them again where the text cites them
    asked = [one for one in note.people if one.ended_at is None and one.agreed_at is None]
    noted = links_to(user, note) if note.number is not None else []
    context: dict[str, Any] = {
        "network": note.network,
        "note": note,
        "version": shown,
        "old": old,
        "latest": latest,
        "unpublished": note.published is not None and latest.number > note.published.number,
        "corrections": corrections[:CORRECTIONS],
        "more_corrections": len(corrections) > CORRECTIONS,
        "authors": note.authors,
        "asked": asked,
        "asked_me": next((one for one in asked if one.person_id == user.pk), None),
        "own": user.pk in note.written_by,
        "article": article(shown, user, references, hidden=hidden, beside=_told(shown, drawn, old)),
        "circuit": drawn,
        "diagram": picture(drawn),
        "motifs": shown.motifs,
        "commentaries": [one for one in noted if one.about_id == note.pk],
        "cited": citations.authors(shown),
        "issued": citations.issued(shown),
        "citation": citations.text(shown),
        "bibtex": citations.bibtex(shown),
        "may_edit": can_edit_note(user, note),
        "may_review": can_review_note(user, note),
        "may_write": can_write_note(user),
        "may_moderate": can_moderate(user),
        "first": readable_from(user, note),
        "noted": [one for one in noted if one.about_id != note.pk],
        **stated,
        "problems": list(problems),
        "form": form,
        "talk": talk,
        "references": references,
    }
    return render(request, "notes/note.html", context, status=status)


def _subgraph(version: NoteVersion) -> Subgraph:
    found: Subgraph = version.subgraph
    return found


def _told(version: NoteVersion, drawn: Circuit, old: bool) -> Q:
    """Who reads what a note says of a neuron, or sees it in a family's picture, has been shown how others read it."""
    seen = Q(pk__in=[])
    for knot in drawn.knots.values():
        seen |= Q(layer=knot.layer, index__in=knot.members)
    if not old:
        return seen | Q(notes=version.note)
    return seen | Q(pk__in=[neuron.pk for neuron in notes.names_of(version.note.network, version)[0]])


# Writing


class NoteForm(forms.Form):
    """What a version says. What a text may be is the action's to say, so that nothing typed is lost."""

    title = forms.CharField(required=False, strip=False)
    abstract = forms.CharField(
        required=False,
        strip=False,
        widget=forms.Textarea(attrs={"rows": 4}),
        help_text="What you found, in a few sentences. The thread shows it.",
    )
    body = forms.CharField(required=False, strip=False, widget=forms.Textarea(attrs={"rows": 24}))
    selection = forms.CharField(
        required=False,
        strip=False,
        label="How its neurons were chosen",
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="Readers want to know what you left out: “all curves of the layer, no other was looked at”.",
    )
    motifs = forms.MultipleChoiceField(
        required=False,
        choices=[(value, value.capitalize()) for value in Motif.values],
        widget=forms.CheckboxSelectMultiple,
    )
    bibliography = forms.CharField(
        required=False,
        strip=False,
        widget=forms.Textarea(attrs={"rows": 6, "spellcheck": "false"}),
        help_text="BibTeX. Cite an entry by its key: [@cammarata2021curve].",
    )
    summary = forms.CharField(
        required=False,
        label="What you changed",
        help_text="In a line. A correction of what is published has to say it.",
    )
    began_from = forms.IntegerField(required=False, min_value=0, max_value=2**31 - 1, widget=forms.HiddenInput)

    TEXTS = ("title", "abstract", "body", "selection", "bibliography")

    def content(self) -> notes.Content:
        said = self.cleaned_data
        return {
            "title": said["title"],
            "abstract": said["abstract"],
            "body": said["body"],
            "selection": said["selection"],
            "bibliography": said["bibliography"],
            "motifs": said["motifs"],
        }

    def drafted(self, note: Note, user: User, subgraph: dict[str, Any]) -> NoteVersion:
        """What was typed as a version that is not saved, however little there is yet."""
        said = {name: str(self.cleaned_data.get(name, ""))[:100_000] for name in self.TEXTS}
        return NoteVersion(note=note, number=0, saved_by=user, subgraph=subgraph, **said)


def new(request: HttpRequest, name: str) -> HttpResponse:
    """Begin a note: a commentary on the one that ``?about=`` names, or with the circuit that ``?grow=`` asks for."""
    network = found(name)
    may = can_write_note(request.user)
    about = _about(request, network)
    grown, refused = _grown(request, network)
    form = NoteForm(request.POST or None)
    note = Note(network=network, about=about)
    if request.method == "POST":
        require(may)
        if request.POST.get("do") == "preview":
            return _preview(request, note, form)
        if form.is_valid():
            try:
                begun = form.content() | ({"subgraph": grown} if grown else {})
                made = notes.create(asking(request), network, about=about, **begun)
            except ValidationError as error:
                add_errors(form, error)
            else:
                messages.success(request, "Saved as a draft. You read it, and whom you ask to be an author.")
                return redirect("note_edit", made.public_id)
    context: dict[str, Any] = {"network": network, "note": note, "about": about, "form": form, "may": may}
    context |= {"grown": grown, "refused": refused}
    return render(request, "notes/edit.html", context, status=422 if form.errors else 200)


def _grown(request: HttpRequest, network: Network) -> tuple[Subgraph | None, list[str]]:
    """The circuit behind the neuron that the address names, or why none grows; neither for what is no neuron."""
    if "grow" not in request.GET:
        return None, []
    try:
        return circuits.grow(network, Neuron.objects.at(network.name, request.GET["grow"])), []
    except Neuron.DoesNotExist:
        return None, []
    except ValidationError as error:
        return None, error.messages


def _about(request: HttpRequest, network: Network) -> Note | None:
    """The published note that the address names; none for what is no such note."""
    named = request.GET.get("about", "")
    if not named:
        return None
    try:
        return Note.objects.in_thread().titled().filter(network=network, public_id=named).first()
    except ValidationError:  # no UUID
        return None


def edit(request: HttpRequest, public_id: str) -> HttpResponse:
    """Write: the text, and beside it how it reads."""
    note = note_of(request, public_id)
    may = can_edit_note(request.user, note)
    require(may)
    latest = note.latest
    overtaken: notes.Overtaken | None = None
    status = 200
    if request.method == "POST":
        form = NoteForm(request.POST)
        if form.is_valid():
            said = form.cleaned_data
            try:
                saved = notes.save(
                    asking(request),
                    note,
                    began_from=said["began_from"] or 0,
                    summary=said["summary"],
                    **form.content(),
                )
            except notes.Overtaken as error:
                overtaken, status = error, 409
                latest = error.latest
                sent = request.POST.copy()
                sent["began_from"] = str(latest.number)
                form = NoteForm(sent)
            except ValidationError as error:
                add_errors(form, error)
            else:
                same = saved.pk == latest.pk
                messages.success(request, "Nothing was changed." if same else f"Saved as version {saved.number}.")
                return redirect("note_edit" if "stay" in request.POST else "note_latest", note.public_id)
        if form.errors:
            status = 422
    else:
        said = {name: getattr(latest, name) for name in (*NoteForm.TEXTS, "motifs")}
        form = NoteForm(initial=said | {"began_from": latest.number})
    context = {
        "network": note.network,
        "note": note,
        "about": note.about,
        "latest": latest,
        "form": form,
        "may": may,
        "overtaken": overtaken,
        "theirs": differences.changes(overtaken.base, latest) if overtaken and overtaken.base else [],
        "mine": differences.changes(latest, form.drafted(note, asking(request), latest.subgraph)) if overtaken else [],
    }
    return render(request, "notes/edit.html", context, status=status)


@require_POST
def preview(request: HttpRequest, public_id: str) -> HttpResponse:
    """How what is being written reads. Nothing is saved."""
    note = note_of(request, public_id)
    require(can_edit_note(request.user, note))
    return _preview(request, note, NoteForm(request.POST))


def _preview(request: HttpRequest, note: Note, form: NoteForm) -> HttpResponse:
    form.is_valid()
    written = form.drafted(note, asking(request), {})
    texts = [written.abstract, written.body, written.selection]
    references = References(note.network, texts=texts, user=request.user)
    context = {
        "network": note.network,
        "note": note,
        "version": written,
        "article": article(written, request.user, references),
        "form": form,
    }
    template = "notes/_preview.html" if request.headers.get("HX-Request") else "notes/preview.html"
    return render(request, template, context)


# What is done with a note


def _act(request: HttpRequest, note: Note, act: Callable[[], object], told: str, *, to: str = "note") -> HttpResponse:
    """Do it, and tell; or show the note again with why not."""
    try:
        act()
    except ValidationError as error:
        return page_of(request, note, problems=error.messages, status=422)
    messages.success(request, told)
    return redirect(to, note.public_id)


@require_POST
def submit(request: HttpRequest, public_id: str) -> HttpResponse:
    note = note_of(request, public_id)
    told = "Submitted. An editor who is none of its authors reads it; from now on everybody can."
    version = whole(request.POST.get("version")) or 0
    return _act(request, note, lambda: notes.submit(asking(request), note, version=version), told)


@require_POST
def retract(request: HttpRequest, public_id: str) -> HttpResponse:
    note = note_of(request, public_id)
    return _act(request, note, lambda: notes.retract(asking(request), note), "Taken back from review.")


class ReviewForm(forms.Form):
    version = forms.IntegerField(min_value=1, max_value=2**31 - 1)
    decision = forms.ChoiceField(
        choices=[("approve", "Approve"), ("request changes", "Ask for changes")],
        error_messages={"required": "Press one of the buttons.", "invalid_choice": "Press one of the buttons."},
    )
    comment = forms.CharField(required=False)


@require_POST
def decide(request: HttpRequest, public_id: str) -> HttpResponse:
    note = note_of(request, public_id)
    require(can_review_note(request.user, note))
    form = ReviewForm(request.POST)
    if not form.is_valid():
        return page_of(request, note, problems=_sentences(form), form=form, status=422)
    said = form.cleaned_data
    try:
        notes.decide(asking(request), note, **said)
    except ValidationError as error:
        return page_of(request, note, note.submitted, problems=error.messages, form=form, status=422)
    approved = said["decision"] == "approve"
    messages.success(request, "Published." if approved else "Its authors are told what to change.")
    return redirect("note", note.public_id)


def _sentences(form: forms.Form) -> list[str]:
    return [str(error) for errors in form.errors.values() for error in errors]


@require_POST
def withdraw(request: HttpRequest, public_id: str) -> HttpResponse:
    note = note_of(request, public_id)
    reason = request.POST.get("reason", "")
    told = "Withdrawn. It stays readable for those who were allowed to, with your reason."
    return _act(request, note, lambda: notes.withdraw(asking(request), note, reason=reason), told)


@require_POST
def supersede(request: HttpRequest, public_id: str) -> HttpResponse:
    """Put another published note in the place of this one, by its number in the thread."""
    note = note_of(request, public_id)
    named = whole(request.POST.get("by", "").strip().removeprefix("#"))
    by = Note.objects.filter(network=note.network_id, number=named).first() if named is not None else None
    if by is None:
        told = f"Name the other note by its number in {note.network.title}’s thread."
        return page_of(request, note, problems=[told], status=422)
    return _act(request, note, lambda: notes.supersede(asking(request), note, by), "Superseded.")


@require_POST
def doi(request: HttpRequest, public_id: str) -> HttpResponse:
    note = note_of(request, public_id)
    return _act(request, note, lambda: notes.give_doi(asking(request), note, request.POST.get("doi", "")), "Saved.")


# Authors

# What happened to who is named, and for what; with the newest so many of that, the page is long enough.
AUTHORING = Q(verb__startswith="note.author_") | Q(verb="note.contribution_changed")
MOST_EVENTS = 50


class AuthorForm(forms.Form):
    person = forms.CharField(required=False, label="Name")
    contribution = forms.CharField(required=False)


def authors(request: HttpRequest, public_id: str) -> HttpResponse:
    """Who writes it, who is asked to, what each contributed, and how that came about."""
    note = note_of(request, public_id)
    form = AuthorForm(request.POST or None)
    status = 200
    if request.method == "POST" and form.is_valid():
        try:
            told = _change_authors(request, note, form)
        except ValidationError as error:
            add_errors(form, error)
            status = 422
        else:
            messages.success(request, told)
            if not can_read_note(request.user, Note.objects.get(pk=note.pk)):  # who left a draft
                return redirect("thread", note.network.name)
            return redirect("note_authors", note.public_id)
    every = list(note.authorships.current().select_related("person", "added_by").order_by("order", "pk"))
    may_see = can_see_asked(request.user, note)
    seen = Event.objects.visible_to(request.user, hidden_from(request.user))
    named = [one for one in every if one.agreed_at is not None]
    context = {
        "network": note.network,
        "note": note,
        "named": named,
        "asked": [one for one in every if one.agreed_at is None and (may_see or one.person_id == request.user.pk)],
        "own": next((one for one in every if one.person_id == request.user.pk), None),
        "form": form,
        "may_edit": can_edit_note(request.user, note),
        "may_leave": can_leave_note(request.user, note),
        "events": events.told(seen.filter(AUTHORING, note=note), MOST_EVENTS),
    }
    return render(request, "notes/authors.html", context, status=status)


def _change_authors(request: HttpRequest, note: Note, form: AuthorForm) -> str:
    """Do what the button that was pressed says; what to tell of it."""
    user, said = asking(request), form.cleaned_data
    match request.POST.get("do"):
        case "agree":
            notes.agree(user, note, contribution=said["contribution"])
            return "You are one of its authors."
        case "leave":
            notes.leave(user, note)
            return "You are not among its authors any more."
        case "contribute":
            notes.contribute(user, note, said["contribution"])
            return "Saved."
        case "ask":
            notes.ask(user, note, _person(said["person"]), contribution=said["contribution"])
            return f"Asked. {said['person'].strip()} is named once they agree."
        case "unask":
            notes.unask(user, note, _person(said["person"]))
            return f"{said['person'].strip()} is not asked any more."
        case "up":
            named = [one.person for one in note.authorships.named().select_related("person")]
            moved = _person(said["person"])
            if moved in named[1:]:
                place = named.index(moved)
                named[place - 1], named[place] = named[place], named[place - 1]
                notes.arrange(user, note, named)
            return "Saved."
    raise ValidationError("Press one of the buttons.")


def _person(name: str) -> User:
    wanted = name.strip().removeprefix("@").replace("\0", "")
    person = User.objects.filter(username__iexact=wanted).first() if wanted else None
    if person is None:
        raise ValidationError({"person": f"Nobody is called “{wanted}” here." if wanted else "Name somebody."})
    return person


# Versions


@require_safe
def versions(request: HttpRequest, public_id: str) -> HttpResponse:
    """Every version that this person may read, who saved it, and what was decided on it."""
    note = note_of(request, public_id)
    first = readable_from(request.user, note)
    reviews = NoteReview.objects.select_related("reviewer")
    saved = note.versions.filter(number__gte=first).select_related("saved_by")
    saved = saved.defer("abstract", "motifs", *notes.LONG)
    page = Paginator(saved.order_by("-number").prefetch_related(Prefetch("reviews", reviews)), 60)
    shown = page.get_page(request.GET.get("page"))
    said = [review.comment for version in shown for review in version.reviews.all()]
    notes.reveal_named(request.user, note.network, *said)
    context = {
        "network": note.network,
        "note": note,
        "page": shown,
        "first": first,
        "references": References(note.network),
    }
    return render(request, "notes/versions.html", context)


@require_safe
def diff(request: HttpRequest, public_id: str, number: int) -> HttpResponse:
    """What a version changed of the one that ``?with=`` names, or of the one before it."""
    note = note_of(request, public_id)
    after, first = version_of(request, note, number), readable_from(request.user, note)
    other = whole(request.GET.get("with"))
    before = version_of(request, note, other if other is not None else max(first, number - 1))
    if before.number > after.number:
        before, after = after, before
    if isinstance(request.user, User):
        labels.reveal(request.user, *notes.names_of(note.network, before, after)[0])
    context = {
        "network": note.network,
        "note": note,
        "before": before,
        "after": after,
        "changes": differences.changes(before, after),
        "first": first,
        "latest": latest_of(note),
    }
    return render(request, "notes/diff.html", context)


@require_safe
def latest(request: HttpRequest, public_id: str) -> HttpResponse:
    """The last version that was saved: where its author goes on from."""
    note = note_of(request, public_id)
    newest = note.latest
    return redirect(note if newest.pk == note.shown.pk else newest)


# Citing

CITED: dict[str, tuple[Callable[[NoteVersion], str], str]] = {
    ".bib": (citations.bibtex, "application/x-bibtex; charset=utf-8"),
    ".json": (
        lambda version: json.dumps(citations.csl(version), indent=2, ensure_ascii=False) + "\n",
        "application/vnd.citationstyles.csl+json",
    ),
    ".txt": (lambda version: citations.text(version) + "\n", "text/plain; charset=utf-8"),
}


@require_safe
def cite(request: HttpRequest, public_id: str, suffix: str) -> HttpResponse:
    """The note as others cite it; ``?version=`` names another one than its page shows."""
    note = note_of(request, public_id)
    if suffix not in CITED:
        raise Http404(f"A note is cited as {', '.join(CITED)}.")
    version = asked_of(request, note)
    write, kind = CITED[suffix]
    if suffix == ".json":
        notes.reveal_named(request.user, note.network, version.abstract)
    response = HttpResponse(write(version), content_type=kind)
    name = f"{note.network.name}-{note.number or 'draft'}-v{version.number}{suffix}"
    response["Content-Disposition"] = f'inline; filename="{name}"'
    return response
