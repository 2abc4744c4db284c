"""Activity: every change with its author, in words."""

from collections.abc import Iterable

from django.contrib.auth.models import AnonymousUser
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from taxonomy.actions import labels
from taxonomy.events import told
from taxonomy.models import Event, Network, Neuron, User
from taxonomy.pages.numbers import whole
from taxonomy.permissions import hidden_from

PAGE = 50


def told_to(user: User | AnonymousUser, events: QuerySet[Event], count: int, *, passing: bool = True) -> list[Event]:
    """``events.told`` on a page for this person; of which neurons it tells them more than a count is recorded."""
    found = told(events, count, reader=user, passing=passing)
    if isinstance(user, User):
        labels.reveal(user, *telling(found))
    return found


def telling(events: Iterable[Event]) -> set[Neuron]:
    """The neurons of which these tell more than a count."""
    return {event.neuron for event in events if event.neuron is not None and event.is_telling}


def activity(request: HttpRequest) -> HttpResponse:
    events = Event.objects.visible_to(request.user, hidden_from(request.user))
    networks = list(Network.objects.values_list("name", flat=True))
    chosen = request.GET.get("network", "")
    if chosen in networks:
        events = events.filter(network__name=chosen)
    # From an event on, not by a page's number: the hundredth page is found as fast as the first, and stays the same.
    before = request.GET.get("before", "")
    before = before if whole(before) is not None else ""
    if before:
        events = events.filter(pk__lt=int(before))
    found = told_to(request.user, events, PAGE + 1)
    context = {
        "events": found[:PAGE],
        "older": found[PAGE - 1].pk if len(found) > PAGE else None,
        "before": before,
        "networks": networks,
        "chosen": chosen if chosen in networks else "",
    }
    return render(request, "events/activity.html", context)
