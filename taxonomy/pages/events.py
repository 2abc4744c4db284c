"""Activity: every change with its author, in words."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from taxonomy.events import told
from taxonomy.models import Event, Network

PAGE = 50


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
