"""For admins: the circuit notes and claims that were written lately, and those that are hidden; hiding them.

Comments are hidden on the first of these pages (``pages.discussions``).
"""

from collections.abc import Iterable
from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST, require_safe

from taxonomy.actions import claims, moderation, notes
from taxonomy.models import Claim, Network, Note
from taxonomy.models.claims import ClaimQuerySet
from taxonomy.models.notes import NoteQuerySet
from taxonomy.pages.claims import CLAIMS
from taxonomy.pages.discussions import PAGE, ReasonForm
from taxonomy.pages.notes import listed
from taxonomy.pages.people import asking
from taxonomy.pages.proposals import add_errors
from taxonomy.permissions import can_moderate, require


@require_safe
def note_list(request: HttpRequest) -> HttpResponse:
    """Notes that were submitted once: those that are hidden, or all, the newest first. Drafts are nobody's to judge."""
    require(can_moderate(request.user))
    return _notes(request, *_asked_for(request, _every_note()))


@require_safe
def claim_list(request: HttpRequest) -> HttpResponse:
    """Claims, but for those on drafts: those that are hidden, or all, the newest first."""
    require(can_moderate(request.user))
    return _claims(request, *_asked_for(request, _every_claim()))


@require_POST
def note(request: HttpRequest, public_id: str, verb: str) -> HttpResponse:
    """Hide a note, with a reason, or show it again."""
    require(can_moderate(request.user))
    found = get_object_or_404(Note, public_id=public_id)
    form = _done(request, found, verb)
    if form is None:
        return redirect("moderation_notes")
    return _notes(request, list(_every_note().filter(pk=found.pk)), {"form": form}, status=422)


@require_POST
def claim(request: HttpRequest, public_id: str, verb: str) -> HttpResponse:
    """Hide a claim, with a reason, or show it again."""
    require(can_moderate(request.user))
    found = get_object_or_404(Claim, public_id=public_id)
    form = _done(request, found, verb)
    if form is None:
        return redirect("moderation_claims")
    return _claims(request, list(_every_claim().filter(pk=found.pk)), {"form": form}, status=422)


def _done(request: HttpRequest, one: Note | Claim, verb: str) -> ReasonForm | None:
    """The form with what is missing; none where it is done, which is told."""
    if verb == "unhide":
        moderation.unhide(asking(request), one)
        messages.success(request, "Shown again.")
        return None
    form = ReasonForm(request.POST)
    form.full_clean()
    try:
        moderation.hide(asking(request), one, form.cleaned_data.get("reason", ""))
    except ValidationError as error:
        add_errors(form, error)
        return form
    messages.success(request, "Hidden. Its page stays, with the day and the reason.")
    return None


def _every_note() -> NoteQuerySet:
    every = Note.objects.filter(opened_at__isnull=False).select_related("network", "hidden_by").titled()
    return listed(every).order_by("-pk")


def _every_claim() -> ClaimQuerySet:
    on_no_draft = Q(note=None) | Q(note__opened_at__isnull=False)
    return CLAIMS.filter(on_no_draft).select_related("hidden_by").order_by("-pk")


def _asked_for(request: HttpRequest, every: QuerySet[Any]) -> tuple[list[Any], dict[str, Any]]:
    """A page of what is hidden, or of all with ``?show=all``; and what the template tells of it."""
    chosen = "all" if request.GET.get("show") == "all" else "hidden"
    if chosen == "hidden":
        every = every.filter(hidden_at__isnull=False)
    page = Paginator(every, PAGE).get_page(request.GET.get("page"))
    return list(page.object_list), {"chosen": chosen, "page": page}


def _notes(request: HttpRequest, found: Iterable[Note], more: dict[str, Any], status: int = 200) -> HttpResponse:
    """Whoever sees what a note says of neurons has been told how its authors read them; that is recorded."""
    rows = [(note, note.published or note.submitted) for note in found]
    texts: dict[Network, list[str]] = {}
    for note, version in rows:
        if version is not None:
            texts.setdefault(note.network, []).append(version.abstract)
    for network, said in texts.items():
        notes.reveal_named(request.user, network, *said)
    return render(request, "moderation/notes.html", {"rows": rows, **more}, status=status)


def _claims(request: HttpRequest, found: Iterable[Claim], more: dict[str, Any], status: int = 200) -> HttpResponse:
    """What tells how a neuron is read, before it is settled, is shown when asked for. Each look is recorded."""
    look = request.GET.get("look", "")
    rows = [(claim, _waits(claim) and str(claim.public_id) != look) for claim in found]
    claims.look(asking(request), [claim for claim, withheld in rows if not withheld])
    return render(request, "moderation/claims.html", {"rows": rows, **more}, status=status)


def _waits(claim: Claim) -> bool:
    return claim.neuron is not None and not claim.neuron.is_settled
