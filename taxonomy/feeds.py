"""Atom feeds: what happens here, to one thing or to all, as a visitor may know it; and what one person is told."""

import datetime
import hashlib
import uuid
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.contrib.syndication.views import Feed
from django.db.models import Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.feedgenerator import Atom1Feed
from django.utils.html import format_html
from django.utils.safestring import mark_safe
from django.views.decorators.http import conditional_page, require_safe

from taxonomy.actions import notifications
from taxonomy.events import told
from taxonomy.models import Claim, Event, Family, Layer, Network, Neuron, Note, Notification, Proposal, User
from taxonomy.models.discussions import Subject
from taxonomy.models.events import EventQuerySet
from taxonomy.permissions import can_see_claim, hidden_from, notifications_of, require
from taxonomy.rendering.notices import titled, with_events
from taxonomy.rendering.sentences import plain, quoted, sentence, url

Row = TypeVar("Row", bound=Model)

ENTRIES = 50
# Of a feed in which nothing has happened yet: it must have a time, and the same one whenever it is asked for.
NEVER = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


class Atom(Atom1Feed):
    def latest_post_date(self) -> datetime.datetime:
        return super().latest_post_date() if self.items else NEVER


def tag(at: datetime.datetime, path: str) -> str:
    """A name for ever, which is no address (RFC 4151)."""
    return f"tag:{urlsplit(settings.SITE_URL).hostname},{at:%Y-%m-%d}:{path}"


@dataclass(frozen=True)
class Entry:
    """One thing that happened."""

    name: str
    event: Event
    html: str
    note: str = ""

    @property
    def quote(self) -> str:
        said = quoted(self.event)
        return format_html('<blockquote dir="auto">{}</blockquote>', said) if said else ""


@dataclass(frozen=True)
class Source:
    """What a feed tells, of the page at this path."""

    title: str
    page: str
    address: str
    entries: list[Entry]


class Entries(Feed):
    feed_type = Atom

    def get_object(self, request: HttpRequest, source: Source) -> Source:
        return source

    def title(self, source: Source) -> str:
        return f"{source.title} · Neurotaxa"

    def link(self, source: Source) -> str:
        return url(source.page)

    def feed_url(self, source: Source) -> str:
        return url(source.address)

    def feed_guid(self, source: Source) -> str:
        return tag(NEVER, source.address)

    def items(self, source: Source) -> list[Entry]:
        return source.entries

    def item_title(self, item: Entry) -> str:
        return plain(item.html)

    def item_description(self, item: Entry) -> str:
        return f"<p>{item.html}</p>{item.quote}{item.note}"

    def item_link(self, item: Entry) -> str:
        return url(item.event.get_absolute_url())

    def item_guid(self, item: Entry) -> str:
        return item.name

    def item_pubdate(self, item: Entry) -> datetime.datetime:
        return item.event.at

    def item_updateddate(self, item: Entry) -> datetime.datetime:
        return item.event.at

    def item_author_name(self, item: Entry) -> str:
        return "Neurotaxa" if item.event.actor.is_system else item.event.actor.username


def public(request: HttpRequest, title: str, page: str, events: EventQuerySet, *, passing: bool = True) -> HttpResponse:
    """The newest of these events that a visitor may know of: none tells how an unsettled neuron is read.

    To a browser that is signed in also none of a settled neuron that its person is to read first. A claim's own feed
    is not ``passing``: who asks for it asks for the claim.
    """
    hidden = hidden_from(request.user)
    entries = [
        Entry(tag(event.at, f"/events/{event.pk}"), event, sentence(event))
        for event in told(events.visible_to(AnonymousUser(), hidden), ENTRIES, said=True, passing=passing)
    ]
    response = Entries()(request, source=Source(title, page, request.path, entries))
    response["Cache-Control"] = "private, no-cache" if request.user.is_authenticated else "public, max-age=300"
    return response


def found(rows: QuerySet[Row], **which: Any) -> Row:
    row = rows.filter(**which).first()
    if row is None:
        raise Http404("There is no feed at this address.")
    return row


@require_safe
@conditional_page
def activity(request: HttpRequest) -> HttpResponse:
    return public(request, "Activity", reverse("activity"), Event.objects.all())


@require_safe
@conditional_page
def network(request: HttpRequest, name: str) -> HttpResponse:
    here = found(Network.objects.all(), name=name)
    return public(request, here.title, here.get_absolute_url(), Event.objects.filter(network=here))


# What brings a note into a thread, or changes what stands there.
PUBLISHING = ("note.published", "note.corrected", "note.superseded", "note.withdrawn")


@require_safe
@conditional_page
def thread(request: HttpRequest, name: str) -> HttpResponse:
    """The network's published notes, their corrections, and what became of them."""
    here = found(Network.objects.all(), name=name)
    events = Event.objects.filter(network=here, note__number__isnull=False, verb__in=PUBLISHING)
    return public(request, f"Circuits of {here.title}", reverse("thread", args=[name]), events)


@require_safe
@conditional_page
def layer(request: HttpRequest, name: str, layer_name: str) -> HttpResponse:
    here = found(Layer.objects.select_related("network"), network__name=name, name=layer_name)
    return public(request, str(here), here.get_absolute_url(), Event.objects.filter(layer=here))


@require_safe
@conditional_page
def subject(request: HttpRequest, kind: str, **which: Any) -> HttpResponse:
    """What happens to a neuron, a family, a proposal, a note or a claim."""
    here = subject_at(request, kind, which)
    events = Event.objects.filter(**{kind: here})
    return public(request, titled(here), here.get_absolute_url(), events, passing=kind != "claim")


@require_safe
@conditional_page
def discussion(request: HttpRequest, kind: str, **which: Any) -> HttpResponse:
    """What is said about it alone."""
    here = subject_at(request, kind, which)
    events = Event.objects.filter(**{kind: here}, comment__isnull=False)
    if kind != "claim":  # what is said about a claim on it stands with the claim
        events = events.filter(claim=None)
    return public(
        request,
        f"Discussion of {titled(here)}",
        f"{here.get_absolute_url()}#discussion",
        events,
        passing=kind != "claim",
    )


def subject_at(request: HttpRequest, kind: str, which: dict[str, Any]) -> Subject:
    rows, fields = SUBJECTS[kind]
    here: Subject = found(rows, **{fields[key]: value for key, value in which.items()})
    if isinstance(here, Claim):  # its sentence is the feed's title
        require(can_see_claim(request.user, here))
    return here


PLACE = {"name": "layer__network__name", "layer_name": "layer__name"}
SUBJECTS: dict[str, tuple[QuerySet[Any], dict[str, str]]] = {
    "neuron": (Neuron.objects.select_related("layer__network"), PLACE | {"index": "index"}),
    "family": (Family.objects.select_related("layer__network"), PLACE | {"pk": "pk"}),
    "proposal": (Proposal.objects.select_related("layer__network"), {"public_id": "public_id"}),
    # Feeds are a visitor's: a draft has none.
    "note": (Note.objects.readable_by(AnonymousUser()).titled().select_related("network"), {"public_id": "public_id"}),
    "claim": (
        Claim.objects.readable_by(AnonymousUser()).select_related("network", "note", "family__layer", "neuron__layer"),
        {"public_id": "public_id"},
    ),
}


@require_safe
@conditional_page
def person(request: HttpRequest, key: uuid.UUID) -> HttpResponse:
    """What one person is told, at an address that only they know. A blocked person's is closed."""
    reader = found(User.objects.filter(is_active=True), feed_key=key)
    shown = with_events(notifications_of(reader).order_by("-pk")[:ENTRIES])
    notifications.reveal(reader, shown)
    entries = [
        Entry(tag(each.at, f"/notifications/{each.pk}"), each.event, sentence(each.event), note(each)) for each in shown
    ]
    source = Source(f"Notifications of {reader.username}", reverse("notifications"), request.path, entries)
    response = Entries()(request, source=source)
    del response["Last-Modified"]  # what waited for a reading appears below what was told since
    # Of what is told alone: the links for muting are signed with the time, and new each time.
    told_so_far = "".join(f"{entry.name} {entry.html}" for entry in entries)
    response["ETag"] = f'"{hashlib.sha256(told_so_far.encode()).hexdigest()}"'
    response["Cache-Control"] = "private, no-cache"
    return response


def note(notification: Notification) -> str:
    """Why one is told, and how to hear no more of it."""
    why = format_html("<p>You are told because {}.", notification.get_why_display())
    if notification.event.subject is None:
        return why + mark_safe("</p>")
    mute = url(reverse("mute_told", args=[notifications.mute_token(notification)]))
    return why + format_html(' <a href="{}">Mute</a></p>', mute)
