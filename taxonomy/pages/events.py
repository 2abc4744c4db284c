"""Activity: every change with its author, in words."""

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from taxonomy.models import Event, Network

PAGE = 50


def told(events: QuerySet[Event], count: int) -> list[Event]:
    """The newest of these events, with all that their sentences name.

    One query, and one for each kind of subject that hardly any event has: with a join for each, Postgres would plan for
    longer than it reads.
    """
    found = list(
        events.select_related("actor", "network", "layer__sprite", "neuron", "family").prefetch_related(
            "image_set", "proposal", "job", "person"
        )[:count]
    )
    for event in found:  # ``events.record`` brings layer and network along with what lies in them
        if event.layer is not None and event.network is not None:
            event.layer.network = event.network
            for subject in (event.neuron, event.family, event.proposal):
                if subject is not None:
                    subject.layer = event.layer
    return found


def activity(request: HttpRequest) -> HttpResponse:
    events = Event.objects.visible_to(request.user)
    networks = list(Network.objects.values_list("name", flat=True))
    chosen = request.GET.get("network", "")
    if chosen in networks:
        events = events.filter(network__name=chosen)
    # From an event on, not by a page's number: the hundredth page is found as fast as the first, and stays the same.
    before = request.GET.get("before", "")
    before = before if before.isascii() and before.isdigit() and len(before) < 16 else ""
    if before:
        events = events.filter(pk__lt=int(before))
    found = told(events, PAGE + 1)
    context = {
        "events": found[:PAGE],
        "older": found[PAGE - 1].pk if len(found) > PAGE else None,
        "before": before,
        "networks": networks,
        "chosen": chosen if chosen in networks else "",
    }
    return render(request, "events/activity.html", context)
