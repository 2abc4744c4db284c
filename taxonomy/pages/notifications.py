"""What a person is told: reading it, muting it, and what they follow; the links that mails and feeds carry."""

from collections.abc import Callable
from typing import Any, cast

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.db.models import Case, Prefetch, QuerySet, Value, When
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from taxonomy.actions import notifications
from taxonomy.models import Claim, Discussion, Family, Neuron, Note, Proposal, Subscription, User
from taxonomy.models.discussions import Subject
from taxonomy.pages.numbers import whole
from taxonomy.pages.people import asking
from taxonomy.permissions import can_follow, can_see_discussion, notifications_of, require
from taxonomy.rendering.notices import grouped, key_of, titled, with_events

PAGE = 30


@login_required
def notification_list(request: HttpRequest) -> HttpResponse:
    """What one is told, what one has not read first."""
    user = asking(request)
    if request.method == "POST":
        return _read(request, user)
    unread_first = Case(When(read_at=None, then=Value(0)), default=Value(1))
    page = Paginator(notifications_of(user).order_by(unread_first, "-pk"), PAGE).get_page(request.GET.get("page"))
    found = with_events(page.object_list)
    notifications.reveal(user, found)
    unread = [each for each in found if each.read_at is None]
    before = [each for each in found if each.read_at is not None]
    context = {
        "page": page,
        "sections": [(title, grouped(part)) for title, part in (("Unread", unread), ("Read before", before)) if part],
        "newest": max((each.pk for each in unread), default=None),
        "muted": _muted(user),
    }
    return render(request, "notifications/list.html", context)


def _muted(user: User) -> set[str]:
    """The subjects whose discussions this person muted, by key."""
    found = Subscription.objects.filter(person=user, muted=True).select_related(*SUBJECTS)
    return {key_of(subscription.discussion.subject) for subscription in found}


SUBJECTS = [f"discussion__{kind}" for kind in ("neuron", "family", "proposal", "note", "claim")]


def _read(request: HttpRequest, user: User) -> HttpResponse:
    """Mark as read what the button that was pressed says."""
    one, until = whole(request.POST.get("read")), whole(request.POST.get("until"))
    if one is not None:
        told = notifications_of(user).filter(pk=one).first()
        if told is None:
            raise Http404("You are told of no such thing.")
        notifications.read(user, told)
    else:
        count = notifications.read_all(user, until)
        messages.success(request, f"Marked {count} as read." if count else "There was nothing unread.")
    return back(request, "notifications")


def back(request: HttpRequest, otherwise: str) -> HttpResponse:
    """To the page of ours that the form was on."""
    there = request.POST.get("next", "")
    if url_has_allowed_host_and_scheme(there, allowed_hosts={request.get_host()}, require_https=request.is_secure()):
        return redirect(there)
    return redirect(otherwise)


@login_required
@require_safe
def following(request: HttpRequest) -> HttpResponse:
    """What one follows, what one muted, and why."""
    found = (
        Subscription.objects.listed()
        .filter(person=asking(request))
        .select_related(
            "discussion__neuron__layer__network",
            "discussion__neuron__layer__sprite",
            "discussion__family__layer__network",
            "discussion__proposal__layer__network",
            "discussion__network",
            "discussion__claim__network",
        )
        .prefetch_related(Prefetch("discussion__note", Note.objects.titled()))
    )
    page = Paginator(found.order_by("muted", "-pk"), PAGE).get_page(request.GET.get("page"))
    rows = [(each, subject, titled(subject)) for each in page.object_list for subject in [_followed(each)]]
    return render(request, "notifications/following.html", {"page": page, "rows": rows})


def _followed(subscription: Subscription) -> Subject:
    note = subscription.discussion.note
    if note is None:
        return subscription.discussion.subject
    note.network = subscription.discussion.network
    return note


class FollowForm(forms.Form):
    """``subject`` as ``notices.key_of`` writes it."""

    do = forms.ChoiceField(choices=[(verb, verb) for verb in ("subscribe", "unsubscribe", "mute", "unmute")])
    subject = forms.RegexField(r"^(neuron|family|proposal|note|claim):[0-9a-f-]{1,36}\Z")

    def clean_subject(self) -> Subject:
        kind, key = self.cleaned_data["subject"].split(":")
        rows: QuerySet[Any] = {
            "neuron": Neuron.objects.select_related("layer__network"),
            "family": Family.objects.select_related("layer__network"),
            "proposal": Proposal.objects.select_related("layer__network"),
            "note": Note.objects.titled().select_related("network"),
            "claim": Claim.objects.select_related("network", "note", "family__layer", "neuron__layer"),
        }[kind]
        try:
            found = rows.filter(**{"pk" if kind == "family" else "public_id": key}).first()
        except (ValueError, ValidationError):  # no number, or no UUID
            found = None
        if found is None:
            raise ValidationError("There is no such neuron, family, proposal, note or claim.")
        return cast(Subject, found)


@require_POST
def follow(request: HttpRequest) -> HttpResponse:
    """Subscribe to what a button stands beside, or mute it; and back."""
    user = asking(request)
    require(can_follow(user))
    form = FollowForm(request.POST)
    if not form.is_valid():
        raise Http404("There is nothing like that to follow here.")
    subject, verb = form.cleaned_data["subject"], form.cleaned_data["do"]
    if isinstance(subject, (Note, Claim)):
        require(can_see_discussion(user, subject))
    discussion = Discussion.objects.of(subject)
    ways: dict[str, tuple[Callable[[User, Discussion], object], str]] = {
        "subscribe": (notifications.subscribe, "You are told what happens with {}."),
        "unsubscribe": (notifications.unsubscribe, "You follow {} no longer."),
        "mute": (notifications.mute, "Muted: you hear no more of {}, unless somebody mentions you."),
        "unmute": (notifications.unmute, "You are told again what happens with {}."),
    }
    act, sentence = ways[verb]
    act(user, discussion)
    messages.success(request, sentence.format(titled(subject)))
    return back(request, "following")


@login_required
@require_POST
def notification_settings(request: HttpRequest) -> HttpResponse:
    """How often mail comes, and the address of one's own feed."""
    user = asking(request)
    if "feed" in request.POST:
        notifications.renew_feed_key(user)
        messages.success(request, "Your feed has a new address. An old one stopped working.")
    else:
        try:
            notifications.set_digest(user, request.POST.get("digest", ""))
        except ValidationError as error:
            messages.error(request, error.messages[0])
        else:
            messages.success(request, "Saved.")
    return redirect(f"{reverse('me')}#notifications")


@csrf_exempt  # its authority is the signed token, whoever sends it
@require_http_methods(["GET", "HEAD", "POST"])
def mute_told(request: HttpRequest, token: str) -> HttpResponse:
    """A mail's or feed's link for muting: a button, which needs no signing in."""
    told = notifications.told_by(token)
    subject = told.event.subject
    done = request.method == "POST" and subject is not None
    if done:
        notifications.mute_told(told.person, told)
    title = titled(subject) if subject else ""
    if isinstance(subject, Claim) and not can_see_discussion(told.person, subject):
        title = "this claim"  # they were told of it, and it is to be read first again
    context = {"title": title, "done": done}
    return render(
        request, "notifications/mute_told.html", context, status=422 if request.method == "POST" and not done else 200
    )


@csrf_exempt  # RFC 8058: mail programs send the POST by themselves, without cookies
@require_http_methods(["GET", "HEAD", "POST"])
def stop_digest(request: HttpRequest, token: str) -> HttpResponse:
    """A mail's link for stopping the digest."""
    person = notifications.mailed_by(token)
    if request.method == "POST":
        notifications.set_digest(person, "off")
    return render(request, "notifications/stop_digest.html", {"person": person, "done": request.method == "POST"})
