"""Discussions: a subject's own, all that is new, what was said in which words, and keeping house."""

from collections.abc import Iterable
from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import Prefetch, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST, require_safe

from taxonomy.actions import claims, discussions, labels
from taxonomy.models import Claim, Comment, Discussion, Family, Network, Neuron, Note, Proposal, User
from taxonomy.models.discussions import Subject, network_of
from taxonomy.pages.claims import claim_at
from taxonomy.pages.networks import layer_of
from taxonomy.pages.neurons import neuron_of
from taxonomy.pages.numbers import whole
from taxonomy.pages.people import asking
from taxonomy.pages.proposals import add_errors
from taxonomy.pages.talk import EXCHANGES, CommentForm, Talk, address_of
from taxonomy.permissions import (
    Person,
    Refused,
    can_edit_comment,
    can_moderate,
    can_read_comment,
    can_see_discussion,
    comments_visible_to,
    discussions_visible_to,
    require,
    sees_all_readings,
)
from taxonomy.rendering import differences
from taxonomy.rendering.markdown import References, tidy
from taxonomy.rendering.markdown import render as markdown

PAGE = 40


def of_neuron(request: HttpRequest, name: str, layer_name: str, index: int) -> HttpResponse:
    neuron, _ = neuron_of(name, layer_name, index)
    return discussion(request, neuron)


def of_family(request: HttpRequest, name: str, layer_name: str, pk: int) -> HttpResponse:
    here, _ = layer_of(name, layer_name)
    family = Family.objects.filter(pk=pk, layer=here).select_related("proposal").first()
    if family is None:
        raise Http404(f"{here} has no such family. The families of {here.name} are on its page.")
    family.layer = here
    return discussion(request, family)


def of_proposal(request: HttpRequest, public_id: str) -> HttpResponse:
    found = Proposal.objects.select_related("layer__network", "layer__sprite")
    return discussion(request, get_object_or_404(found, public_id=public_id))


def of_note(request: HttpRequest, public_id: str) -> HttpResponse:
    note = get_object_or_404(Note.objects.titled().select_related("network"), public_id=public_id)
    require(can_see_discussion(request.user, note))
    return discussion(request, note)


def of_claim(request: HttpRequest, public_id: str) -> HttpResponse:
    return discussion(request, claim_at(request, public_id))


def discussion(request: HttpRequest, subject: Subject) -> HttpResponse:
    """All that was said about a subject; say something more, or see how it would look."""
    form, preview, status = None, "", 200
    if request.method == "POST":
        form = CommentForm(request.POST)
        if request.POST.get("do") == "preview":
            preview = _preview(request, form)
            if request.headers.get("HX-Request"):
                context = {"preview": preview, "form": form, "references": References(network_of(subject))}
                return render(request, "discussions/_preview.html", context)
        else:
            said, status = _say(request, subject, form)
            if said is not None:
                return redirect(said)
    before = request.GET.get("before", "")
    before = before if whole(before) is not None else ""
    talk = Talk(request.user, subject, before=int(before) if before else None, form=form, preview=preview)
    if talk.may_see:
        _note_reveals(request, [subject])
    context = {
        "network": talk.network,
        "layer": None if isinstance(subject, Note) else subject.layer,
        "subject": subject,
        "talk": talk,
        "before": before,
        "references": References(talk.network, texts=talk.texts),
    }
    return render(request, "discussions/discussion.html", context, status=status)


def _preview(request: HttpRequest, form: CommentForm) -> str:
    """The text as it was typed, if it is short enough to be rendered."""
    form.is_valid()
    text: str = form.cleaned_data.get("text", "")
    if len(text) > discussions.LONGEST:
        form.add_error("text", f"A comment has at most {discussions.LONGEST:,} characters; this one has {len(text):,}.")
        return ""
    return text


def _say(request: HttpRequest, subject: Subject, form: CommentForm) -> tuple[Comment | None, int]:
    """The comment that was made; or none, the reason beside the text, and the answer's status."""
    if not form.is_valid():
        return None, 422
    sent = form.cleaned_data
    try:
        parent = None
        if sent["parent"] is not None:
            parent = Comment.objects.filter(public_id=sent["parent"]).first()
            if parent is None:
                raise ValidationError("The comment that this replies to is not there.")
        user = asking(request)
        return discussions.add(user, subject, sent["text"], parent=parent, submission=sent["submission"]), 302
    except ValidationError as error:
        add_errors(form, error)
        return None, 422
    except Refused as refusal:
        form.add_error(None, str(refusal))
        return None, 403


def _note_reveals(request: HttpRequest, subjects: Iterable[Subject]) -> None:
    """Who reads what others say about a neuron, or a claim on it, has been shown how they read it."""
    if isinstance(request.user, User):
        every = list(subjects)
        labels.reveal(request.user, *(one for one in every if isinstance(one, Neuron)))
        stated = [one for one in every if isinstance(one, Claim)]
        if stated:
            claims.look(request.user, stated)


def comments() -> QuerySet[Comment]:
    """Comments with all that is told of where they stand."""
    places = "discussion__network", "discussion__layer__sprite"
    subjects = "discussion__neuron", "discussion__family", "discussion__proposal"
    people = "author", "hidden_by", "resolved_by"
    notes = Prefetch("discussion__note", Note.objects.titled())
    stated = Prefetch("discussion__claim", Claim.objects.select_related("note", "family__layer", "neuron__layer"))
    return Comment.objects.select_related(*places, *subjects, *people).prefetch_related(notes, stated)


def _placed(comment: Comment) -> Comment:
    comment.discussion.placed()
    return comment


def comment_of(request: HttpRequest, public_id: str) -> Comment:
    """The comment of this id, if it is for this person.

    Raises:
        Http404: where there is none.
        Refused: with the reason, where it is not.
    """
    found = _placed(get_object_or_404(comments().select_related("parent"), public_id=public_id))
    require(can_read_comment(request.user, found))
    return found


def place_of(user: Person, comment: Comment) -> str:
    """Where a comment stands: on its subject's page while it is among the newest, on the discussion's own after."""
    subject = comment.discussion.subject
    first = comment.parent_id or comment.pk
    newer = Comment.objects.filter(discussion=comment.discussion_id, parent=None, pk__gt=first)
    count = newer.count()
    if count < EXCHANGES:
        address = subject.get_absolute_url()
        if isinstance(subject, Neuron) and not subject.is_settled and sees_all_readings(user):
            address += "?readings"  # they looked, or would not have come here: the page shows it when asked
    else:
        last = newer.order_by("pk").values_list("pk", flat=True)[count % EXCHANGES]
        address = f"{address_of(subject)}?before={last}"
    return f"{address}#comment-{comment.public_id}"


@require_safe
def comment(request: HttpRequest, public_id: str) -> HttpResponse:
    """A comment's permalink: to its place. Where a moderator hid that, who wrote it finds their wordings."""
    found = comment_of(request, public_id)
    if not can_see_discussion(request.user, found.discussion.subject):
        return redirect("comment_wordings", found.public_id)
    return redirect(place_of(request.user, found))


class EditForm(forms.Form):
    text = forms.CharField(required=False, strip=False)


def edit(request: HttpRequest, public_id: str) -> HttpResponse:
    """Change what one said."""
    found = comment_of(request, public_id)
    require(can_see_discussion(request.user, found.discussion.subject))
    require(can_edit_comment(request.user, found))
    form, status = EditForm(request.POST or None, initial={"text": found.text}), 200
    if request.method == "POST" and form.is_valid():
        try:
            discussions.edit(asking(request), found, form.cleaned_data["text"])
            return redirect(found)
        except ValidationError as error:
            add_errors(form, error)
            status = 422
        except Refused as refusal:
            form.add_error(None, str(refusal))
            status = 403
    context = {"comment": found, "form": form, **_around(found)}
    template = "discussions/_edit.html" if request.headers.get("HX-Request") else "discussions/edit.html"
    return render(request, template, context, status=status)


def _around(comment: Comment) -> dict[str, Any]:
    place = comment.discussion
    return {
        "network": place.network,
        "layer": place.layer,
        "subject": place.subject,
        "references": References(place.network),
    }


@require_safe
def wordings(request: HttpRequest, public_id: str) -> HttpResponse:
    """All wordings of a comment, each with what it changed."""
    found = comment_of(request, public_id)
    if found.hidden_at is not None and not can_moderate(request.user):
        raise PermissionDenied("This comment is hidden, and its wordings with it.")
    told: list[dict[str, Any]] = []
    before = ""
    for wording in found.wordings.all():
        changes = differences.words(before, wording.text) if told else tidy(wording.text)
        told.append({"wording": wording, "changes": changes})
        before = wording.text
    context = {"comment": found, "wordings": told[::-1], **_around(found)}
    context["place"] = can_see_discussion(request.user, found.discussion.subject)
    return render(request, "discussions/wordings.html", context)


class ReasonForm(forms.Form):
    reason = forms.CharField(required=False)


@require_POST
def resolve(request: HttpRequest, public_id: str, verb: str) -> HttpResponse:
    """Resolve what a comment began, or take it up again."""
    found = comment_of(request, public_id)
    changed = getattr(discussions, verb)(asking(request), found)
    place = place_of(request.user, found)
    if changed.resolved_at is None:
        messages.success(request, "Open again.")
        return redirect(place)
    messages.success(request, "Resolved.")
    return redirect(f"{place.partition('#')[0]}#discussion")  # at its own place it would unfold


@require_POST
def hide(request: HttpRequest, public_id: str, verb: str) -> HttpResponse:
    """Hide a comment, with a reason, or show it again."""
    require(can_moderate(request.user))
    found = _placed(get_object_or_404(comments(), public_id=public_id))
    form = ReasonForm(request.POST)
    if verb == "unhide":
        discussions.unhide(asking(request), found)
        messages.success(request, "Shown again.")
        return redirect("moderation")
    try:
        form.full_clean()
        discussions.hide(asking(request), found, form.cleaned_data.get("reason", ""))
    except ValidationError as error:
        add_errors(form, error)
        return _moderation(request, [found], form=form, status=422)
    messages.success(request, "Hidden. Its place stays, with your name and the reason.")
    return redirect("moderation")


@require_safe
def moderation(request: HttpRequest) -> HttpResponse:
    """For admins: what is hidden, and what was said lately."""
    require(can_moderate(request.user))
    said = comments().order_by("-pk")
    chosen = "all" if request.GET.get("show") == "all" else "hidden"
    if chosen == "hidden":
        said = said.filter(hidden_at__isnull=False)
    before = request.GET.get("before", "")
    if (oldest := whole(before)) is not None:
        said = said.filter(pk__lt=oldest)
    found = list(said[: PAGE + 1])
    older = found[PAGE - 1].pk if len(found) > PAGE else None
    context: dict[str, Any] = {"chosen": chosen, "older": older, "before": before}
    return _moderation(request, found[:PAGE], look=request.GET.get("look", ""), **context)


def _moderation(
    request: HttpRequest,
    found: list[Comment],
    *,
    form: ReasonForm | None = None,
    look: str = "",
    status: int = 200,
    **more: Any,
) -> HttpResponse:
    """Comments to decide about. What tells how a neuron is read, before it is settled, is shown when asked for.

    That is noted as a reveal. What is on a draft is not shown.
    """
    open_to = set(
        discussions_visible_to(request.user, Discussion.objects.filter(comments__in=found)).values_list("pk", flat=True)
    )
    rows: list[dict[str, Any]] = []
    references = References(texts=[one.text for one in found])
    for one in map(_placed, found):
        about = one.discussion.subject
        shown = one.discussion_id in open_to or _is_hidden(about)
        if not shown and str(one.public_id) == look and (isinstance(about, Neuron) or _on_neurons(about)):
            _note_reveals(request, [about])
            shown = True
        references.network = one.discussion.network
        words = markdown(one.text, references) if shown else ""
        drafted = not (isinstance(about, Neuron) or _on_neurons(about))
        rows.append({"comment": one, "words": words, "withheld": not shown, "drafted": drafted})
    context = {"rows": rows, "form": form, **more}
    return render(request, "discussions/moderation.html", context, status=status)


def _on_neurons(subject: Subject) -> bool:
    """Whether it is a claim that others wait for because of neurons, and not because it is on a draft."""
    return isinstance(subject, Claim) and (subject.note is None or subject.note.opened_at is not None)


def _is_hidden(subject: Subject) -> bool:
    """Whether what is said about it is withheld for nothing but that a moderator hid it."""
    waits = isinstance(subject, Claim) and subject.neuron is not None and not subject.neuron.is_settled
    return _is_gone(subject) and not waits


def _is_gone(subject: Subject) -> bool:
    """Whether a moderator hid it, or the note that it is on."""
    if isinstance(subject, Claim) and subject.note is not None and subject.note.hidden_at is not None:
        return True
    return isinstance(subject, (Note, Claim)) and subject.hidden_at is not None


@require_safe
def discussion_list(request: HttpRequest) -> HttpResponse:
    """The newest of what is said anywhere, as far as this person may read it."""
    said = comments_visible_to(request.user, comments()).filter(hidden_at=None)
    networks = list(Network.objects.all())
    named = request.GET.get("network") if len(networks) > 1 else networks[0].name if networks else None
    network = next((one for one in networks if one.name == named), None)
    layers = list(network.layers.all()) if network else []
    layer = next((one for one in layers if one.name == request.GET.get("layer")), None)
    state = request.GET.get("state", "")
    if layer is not None:
        said = said.filter(discussion__layer=layer)
    elif network is not None:
        said = said.filter(discussion__network=network)
    if state in ("open", "resolved"):
        said = said.filter(parent=None, resolved_at__isnull=state == "open")
    before = request.GET.get("before", "")
    before = before if whole(before) is not None else ""
    if before:
        said = said.filter(pk__lt=int(before))
    found = [_placed(one) for one in said.order_by("-pk")[: PAGE + 1]]
    shown = found[:PAGE]
    _note_reveals(request, (subject for one in shown if not _is_gone(subject := one.discussion.subject)))
    context: dict[str, Any] = {
        "comments": shown,
        "older": found[PAGE - 1].pk if len(found) > PAGE else None,
        "before": before,
        "networks": networks,
        "layers": layers,
        "chosen": network,
        "chosen_layer": layer,
        "state": state,
        "where": f"network={network.name}&{f'layer={layer.name}&' if layer else ''}" if network else "",
    }
    return render(request, "discussions/list.html", context)
