"""Activity: every change with its author, in words."""

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from taxonomy.models import Event, Network

# What an event's sentence names, so that a page of events stays one query.
SUBJECTS = (
    *("actor", "network", "layer__network", "neuron__layer__network", "neuron__layer__sprite"),
    *("family__layer__network", "image_set", "proposal__layer__network", "job", "person"),
)
PAGE = 50


def activity(request: HttpRequest) -> HttpResponse:
    events = Event.objects.visible_to(request.user).select_related(*SUBJECTS)
    networks = list(Network.objects.values_list("name", flat=True))
    chosen = request.GET.get("network", "")
    if chosen in networks:
        events = events.filter(network__name=chosen)
    page = Paginator(events, PAGE).get_page(request.GET.get("page"))
    context = {"page": page, "networks": networks, "chosen": chosen if chosen in networks else ""}
    return render(request, "events/activity.html", context)
