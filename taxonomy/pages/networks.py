"""A network at a glance, and a layer as the cards of its families."""

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Count, Min, Q, Value
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.functional import cached_property

from taxonomy import recipes
from taxonomy.actions import labels
from taxonomy.models import (
    SETTLED,
    Family,
    FamilyLink,
    ImageSet,
    Layer,
    Membership,
    Network,
    Neuron,
    Proposal,
    ProposalState,
    Standing,
    User,
    shown_members,
)
from taxonomy.pages import figures
from taxonomy.pages.exhibits import applicable
from taxonomy.permissions import can_label, can_propose, can_request_evidence, can_steer_queue, hidden_from
from taxonomy.rendering.chips import EMPTY, face
from taxonomy.rendering.markdown import References
from taxonomy.rendering.plots import STATES, Node, coverage_map, flow

READ = ("unread", "one", "two", "three")


def state(standing: str, readings: int, *, hidden: bool = False, shown: bool = False) -> str:
    """A neuron's cell, as in the coverage map: what was decided, or how many have read it.

    Args:
        hidden: whether its settled answer is hidden from whoever looks.
        shown: whether its readings are open to whoever looks, so that an unsettled standing may be told.
    """
    if standing in SETTLED and not hidden:
        return standing
    if shown and standing not in (*SETTLED, Standing.UNLABELLED, Standing.SINGLE, Standing.OPEN):
        return standing.replace(" ", "-")
    return READ[min(readings, 3)]


@dataclass
class Coverage:
    """How many neurons are in which state."""

    states: Counter[str] = field(default_factory=Counter)

    @property
    def total(self) -> int:
        return self.states.total()

    @property
    def settled(self) -> int:
        return sum(self.states[standing] for standing in SETTLED)

    @property
    def read(self) -> int:
        return self.total - self.states["unread"] - self.settled

    @classmethod
    def of_networks(cls, networks: Iterable[Network], hidden: Collection[int]) -> dict[int, "Coverage"]:
        """One query."""
        found: dict[int, Coverage] = {network.pk: cls() for network in networks}
        rows = (
            Neuron.objects.order_by()
            .values_list("layer__network", "standing", "readings")
            .annotate(unknown=Q(pk__in=hidden) if hidden else Value(False), count=Count("pk"))
        )
        for network, standing, readings, unknown, count in rows:
            found[network].states[state(standing, readings, hidden=unknown)] += count
        return found


def layers_of(name: str) -> list[Layer]:
    """A network's layers in order, with their sprites.

    Raises:
        Http404: with a sentence, when there is no such network.
    """
    layers = list(Layer.objects.filter(network__name=name).select_related("network", "sprite").order_by("order"))
    if not layers:
        raise Http404(f"There is no network “{name}” here.")
    for layer in layers:
        layer.network = layers[0].network
    return layers


def layer_of(network: str, name: str) -> tuple[Layer, list[Layer]]:
    """The layer, and all of its network in order.

    Raises:
        Http404: with a sentence, when there is no such network or layer.
    """
    layers = layers_of(network)
    for layer in layers:
        if layer.name == name:
            return layer, layers
    raise Http404(f"{network} has no layer “{name}”. Its layers are {', '.join(layer.name for layer in layers)}.")


def network(request: HttpRequest, name: str) -> HttpResponse:
    layers = layers_of(name)
    hidden = hidden_from(request.user)
    states: dict[int, list[str]] = {layer.pk: [] for layer in layers}
    rows = Neuron.objects.filter(layer__in=layers).order_by("layer_id", "index")
    for pk, layer_id, standing, readings in rows.values_list("pk", "layer_id", "standing", "readings"):
        states[layer_id].append(state(standing, readings, hidden=pk in hidden))
    families: dict[int, list[Family]] = {layer.pk: [] for layer in layers}
    own = {layer.pk: layer for layer in layers}
    shown_ones = shown_members(hidden, "memberships__")
    for family in (
        Family.objects.filter(layer__in=layers, retired_at=None)
        .annotate(
            members=Count("memberships", filter=shown_ones),
            first=Min("memberships__neuron__index", filter=shown_ones),
        )
        .order_by("-members", "name")
    ):
        family.layer = own[family.layer_id]
        families[family.layer_id].append(family)
    shown = [
        {
            "layer": layer,
            "map": coverage_map(layer.name, layer.get_absolute_url(), states[layer.pk]),
            "coverage": Coverage(Counter(states[layer.pk])),
            "families": families[layer.pk],
            "faces": faces_of(layer, 16),
            "receptive": receptive(layer),
        }
        for layer in layers
    ]
    links = list(
        FamilyLink.objects.filter(source__layer__in=layers, target__layer__in=layers, kind="later").values_list(
            "source_id", "target_id"
        )
    )
    total = Coverage(sum((entry["coverage"].states for entry in shown), Counter()))  # type: ignore[attr-defined]
    here = layers[0].network
    context = {
        "network": here,
        "notes": list(here.notes.in_thread().titled().reverse()[:3]),
        "layers": shown,
        "coverage": total,
        "legend": [(name, words) for name, words in STATES.items() if total.states[name]],
        "flow": flow([(layer.name, nodes_of(layer, families[layer.pk])) for layer in layers], links) if links else "",
        "references": References(layers[0].network, layers),
        "may_request": can_request_evidence(request.user, layers[0].network),
        "kinds": WHOLE,
        "image_sets": ImageSet.objects.all(),
        "agreement": figures.of_network(
            layers[0].network, {one.pk: one for those in families.values() for one in those}
        ),
    }
    return render(request, "networks/network.html", context)


# What may be made of every neuron of a network.
WHOLE = [kind for kind in recipes.KINDS.values() if kind.computed and kind.subject == "neuron" and not kind.required]


def nodes_of(layer: Layer, families: list[Family]) -> list[Node]:
    """The families as the diagram of the network shows them, each by the face of its first member."""
    return [
        Node(
            family.pk,
            reverse("family", args=[layer.network.name, layer.name, family.pk]),
            family.name,
            family.members,  # type: ignore[attr-defined]
            face(layer, family.first) if family.first is not None else EMPTY,  # type: ignore[attr-defined]
        )
        for family in families
    ]


def faces_of(layer: Layer, count: int) -> list[int]:
    """Some neurons spread over the layer that have a picture."""
    shown: list[int] = layer.sprite.shown if hasattr(layer, "sprite") else []
    return shown[:: max(1, len(shown) // count)][:count]


def receptive(layer: Layer) -> str:
    sizes = sorted({found["size"] for found in layer.fields if found.get("size")})
    return "–".join(str(size) for size in dict.fromkeys((sizes[0], sizes[-1]))) if sizes else ""


@dataclass
class Card:
    """A family with its members in order, as a layer's page shows it."""

    family: Family
    members: list[Membership] = field(default_factory=list)
    links: list[FamilyLink] = field(default_factory=list)

    FIRST = 12

    @cached_property
    def ordered(self) -> list[Membership]:
        """By their place in the family's symmetry; as published where they have none."""
        return sorted(self.members, key=lambda member: (member.parameter is None, member.parameter or 0.0))

    @property
    def first(self) -> list[Membership]:
        return self.ordered[: self.FIRST]

    @property
    def rest(self) -> list[Membership]:
        return self.ordered[self.FIRST :]


SORTS = {"size": "size", "name": "name", "published": "published order"}


def layer(request: HttpRequest, name: str, layer_name: str) -> HttpResponse:
    here, layers = layer_of(name, layer_name)
    hidden = hidden_from(request.user)
    cards = cards_of(here, hidden)
    sort = request.GET.get("sort", "")
    sort = sort if sort in SORTS else "size"
    order: dict[str, Any] = {
        "size": lambda card: (card.family.kind != "natural", -len(card.members)),
        "name": lambda card: card.family.name.casefold(),
        "published": lambda card: (card.family.order, card.family.pk),
    }
    neurons = list(here.neurons.order_by("index"))
    members = [member.neuron for card in cards for member in card.members]
    placed = {neuron.pk for neuron in members}
    if isinstance(request.user, User):
        labels.reveal(request.user, *members)
    for neuron in neurons:
        neuron.layer = here
    position = layers.index(here)
    agreement, flagged = figures.of_layer(request.user, here, {card.family.pk: card.family for card in cards}, hidden)
    context = {
        "network": here.network,
        "layer": here,
        "layers": layers,
        "earlier": layers[position - 1] if position else None,
        "later": layers[position + 1] if position + 1 < len(layers) else None,
        "cards": sorted(cards, key=order[sort]),
        "sort": sort,
        "sorts": SORTS,
        "unsorted": [neuron for neuron in neurons if neuron.pk not in placed],
        "coverage": Coverage(Counter(state(one.standing, one.readings, hidden=one.pk in hidden) for one in neurons)),
        "proposals": here.proposals.filter(state=ProposalState.OPEN).select_related("author"),
        "references": References(here.network, layers),
        "receptive": receptive(here),
        "may_propose": can_propose(request.user),
        "may_label": can_label(request.user),
        "may_steer": can_steer_queue(request.user),
        "overlaps": range(3, 10),
        "may_request": can_request_evidence(request.user, here.network),
        "kinds": applicable(here, layers),
        "image_sets": ImageSet.objects.all(),
        "agreement": agreement,
        "flagged": flagged,
    }
    return render(request, "networks/layer.html", context)


def cards_of(layer: Layer, hidden: Collection[int]) -> list[Card]:
    """A layer's families with the members that are not ``hidden``, and links, in three queries."""
    cards = {
        family.pk: Card(family)
        for family in layer.families.filter(retired_at=None).select_related("parent").order_by("order", "pk")
    }
    for family in (card.family for card in cards.values()):
        family.layer = layer
    for member in Membership.objects.shown(hidden).filter(family__in=cards).select_related("neuron").order_by("pk"):
        member.neuron.layer = layer
        cards[member.family_id].members.append(member)
    for link in FamilyLink.objects.filter(source__in=cards).select_related("target__layer__network"):
        cards[link.source_id].links.append(link)
    return list(cards.values())


def open_proposals() -> Any:
    return Proposal.objects.filter(state=ProposalState.OPEN).select_related("layer__network", "author")
