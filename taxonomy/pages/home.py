"""The first page: what this is, what there is, where help counts."""

from typing import Any

from django.contrib.auth.models import AnonymousUser
from django.db.models import Count, Exists, F, OuterRef, QuerySet, Value
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from taxonomy.models import SETTLED, Event, Evidence, Family, Label, Layer, Network, Neuron, Note, Outcome, User
from taxonomy.pages.events import told_to
from taxonomy.pages.networks import Coverage, faces_of
from taxonomy.permissions import hidden_from


def with_something_to_see(neurons: QuerySet[Neuron]) -> QuerySet[Neuron]:
    """Nobody can read a neuron of which there is no picture yet."""
    return neurons.filter(Exists(Evidence.objects.filter(neuron=OuterRef("pk"), status=Outcome.DONE)))


def help_wanted(user: User | AnonymousUser) -> QuerySet[Neuron]:
    """Neurons that ask for readings and that this person has not read, those nearest to what is asked first.

    Only such as everybody knows to ask for more: that a neuron with three readings is still open would tell of them.
    """
    neurons: QuerySet[Neuron] = Neuron.objects.exclude(standing__in=SETTLED).filter(readings__lt=F("layer__overlap"))
    if isinstance(user, User):
        neurons = neurons.exclude(Exists(Label.objects.current().filter(neuron=OuterRef("pk"), author=user)))
    pictured = with_something_to_see(neurons.order_by("-readings", "layer_id", "index"))
    return pictured.select_related("layer__network", "layer__sprite")


def counted() -> dict[tuple[int, str], int]:
    """How many families and published notes each network has. One query."""
    families = Family.objects.filter(retired_at=None).order_by().values_list("layer__network", Value("families"))
    notes = Note.objects.in_thread().order_by().values_list("network", Value("notes"))
    rows = families.annotate(count=Count("pk")).union(notes.annotate(count=Count("pk")))
    return {(network, what): count for network, what, count in rows}


MOSAIC = 6  # rows of faces beside the first words


def home(request: HttpRequest) -> HttpResponse:
    networks = list(Network.objects.all())
    hidden = hidden_from(request.user)
    coverage = Coverage.of_networks(networks, hidden)
    counts = counted()
    layers: dict[int, list[Layer]] = {}
    for layer in Layer.objects.select_related("network", "sprite").order_by("network_id", "order"):
        layers.setdefault(layer.network_id, []).append(layer)
    shown: list[dict[str, Any]] = [
        {
            "network": network,
            "layers": [(layer, faces_of(layer, 12)) for layer in pictured],
            "depth": len(layers.get(network.pk, [])),
            "families": counts.get((network.pk, "families"), 0),
            "notes": counts.get((network.pk, "notes"), 0),
            "coverage": coverage[network.pk],
        }
        for network in networks
        for pictured in [[layer for layer in layers.get(network.pk, []) if hasattr(layer, "sprite")]]
    ]
    rows = [
        [(layer, index) for index in faces[1:9]] for entry in shown for layer, faces in entry["layers"][::-1][:MOSAIC]
    ]
    # Later layers first, the networks in turn.
    depth = max((len(entry["layers"][:MOSAIC]) for entry in shown), default=1)
    turns = sorted(range(len(rows)), key=lambda row: row % depth)
    banner = [cell for row in turns[:MOSAIC] for cell in rows[row]]
    context = {
        "networks": shown,
        "banner": banner,
        "wanted": help_wanted(request.user)[:8],
        # An import has one event for each family beside its own.
        "events": told_to(
            request.user, Event.objects.visible_to(request.user, hidden).exclude(verb="family.imported"), 10
        ),
    }
    return render(request, "home/home.html", context)
