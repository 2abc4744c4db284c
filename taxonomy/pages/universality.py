"""Which families of two networks are alike, and linking them as analogues."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.contrib.postgres.aggregates import ArrayAgg
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from taxonomy.actions import families, labels, universality
from taxonomy.models import Family, FamilyLink, Layer, LinkKind, Network, Neuron, User, shown_members
from taxonomy.pages.people import asking
from taxonomy.permissions import can_link_families, hidden_from, require

PAGE = 20  # families of the first network
CANDIDATES = 3  # for each of them
FACES = 3


@dataclass
class Pair:
    """A family of the other network, and how alike it is."""

    family: Family
    faces: list[int]
    tuning: float | None
    pictures: float | None
    linked: bool
    query: str


@dataclass
class Entry:
    """A family of the first network, and those of the second that are most like it."""

    family: Family
    faces: list[int]
    pairs: list[Pair]


@require_safe
def page(request: HttpRequest) -> HttpResponse:
    networks = list(Network.objects.order_by("pk"))
    context: dict[str, Any] = {"networks": networks, "may_link": can_link_families(request.user)}
    if len(networks) < 2:
        return render(request, "universality/universality.html", context)
    named = {network.name: network for network in networks}
    first = chosen(request.GET.get("first", ""), named) or networks[0]
    second = chosen(request.GET.get("second", ""), named) or next(one for one in networks if one != first)
    context |= {"first": first, "second": second, "sample": universality.SAMPLE}
    if first == second:
        context["problem"] = "Choose two different networks: families of one network are compared on their own pages."
        return render(request, "universality/universality.html", context, status=422)
    return render(request, "universality/universality.html", context | beside(request, first, second))


def chosen(name: str, named: dict[str, Network]) -> Network | None:
    if name and name not in named:
        raise Http404(f"There is no network “{name[:60]}” here.")
    return named.get(name)


def beside(request: HttpRequest, first: Network, second: Network) -> dict[str, Any]:
    """Families of the first, a page of them, each beside the most alike of the second. Six queries."""
    hidden = hidden_from(request.user)
    own = {first.pk: first, second.pk: second}
    layers = {layer.pk: layer for layer in Layer.objects.filter(network__in=own).select_related("sprite")}
    for layer in layers.values():
        layer.network = own[layer.network_id]
    members = ArrayAgg(
        "memberships__neuron__index",
        filter=shown_members(hidden, "memberships__"),
        order_by="memberships__id",
        default=[],
    )
    every = Family.objects.filter(layer__in=layers, retired_at=None).annotate(indices=members)
    found = {family.pk: family for family in every.order_by("layer__order", "order", "pk")}
    for family in found.values():
        family.layer = layers[family.layer_id]
    linked = set(
        FamilyLink.objects.filter(
            kind=LinkKind.ANALOGUE, source__layer__network=first, target__layer__network=second
        ).values_list("source", "target")
    )
    alike: dict[int, list[universality.Alike]] = {}
    compared: set[int] = set()
    for pair in universality.alike(first, second, hidden):
        compared |= {pair.source, pair.target}
        kin = alike.setdefault(pair.source, [])
        if len(kin) < CANDIDATES or (pair.source, pair.target) in linked:
            kin.append(pair)
    page = Paginator([family for family in found.values() if family.pk in alike], PAGE).get_page(
        request.GET.get("page")
    )
    entries = [
        Entry(family, faces_of(family), [_pair(family, one, found[one.target], linked) for one in alike[family.pk]])
        for family in page
    ]
    if isinstance(request.user, User):
        _reveal(request.user, entries)
    rest = [family for family in found.values() if family.pk not in compared and family.indices]
    return {"entries": entries, "page": page, "rest": rest}


def faces_of(family: Family) -> list[int]:
    indices: list[int] = family.indices  # type: ignore[attr-defined]
    return indices[:FACES]


def _reveal(user: User, shown: Sequence[Entry]) -> None:
    """Whose family is told by a face that stands beside its name. Two queries."""
    families = [family for entry in shown for family in (entry.family, *(pair.family for pair in entry.pairs))]
    faces = {(family.layer_id, index) for family in families for index in faces_of(family)}
    neurons = Neuron.objects.filter(layer__in={layer for layer, _ in faces}, index__in={index for _, index in faces})
    labels.reveal(user, *(neuron for neuron in neurons if (neuron.layer_id, neuron.index) in faces))


def _pair(family: Family, one: universality.Alike, target: Family, linked: set[tuple[int, int]]) -> Pair:
    query = urlencode([("with", address(family)), ("with", address(target))])
    return Pair(target, faces_of(target), one.tuning, one.pictures, (family.pk, target.pk) in linked, query)


def address(family: Family) -> str:
    """As ``/compare/`` takes it."""
    return f"{family.layer.network.name}/{family.layer.name}/{family.name}"


@require_POST
def analogue(request: HttpRequest) -> HttpResponse:
    """Link two families of different networks."""
    require(can_link_families(request.user))
    names = {key: request.POST.get(key, "") for key in ("first", "second")}
    back = f"{reverse('universality')}?{urlencode(names)}"
    ends = [_family(request.POST.get(key, "")) for key in ("source", "target")]
    try:
        families.link(asking(request), ends[0], ends[1], LinkKind.ANALOGUE)
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
    else:
        messages.success(request, f"{ends[0].name} and {ends[1].name} are linked as analogues.")
    return redirect(back)


def _family(public_id: str) -> Family:
    try:
        return Family.objects.select_related("layer__network").get(public_id=public_id, retired_at=None)
    except (Family.DoesNotExist, ValidationError) as error:
        raise Http404("There is no such family. It may have been retired: reload the page.") from error
