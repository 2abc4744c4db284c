"""All figures of a network's agreement on one page."""

from dataclasses import dataclass, field

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from taxonomy.consensus import NEURONS_FOR_KAPPA
from taxonomy.models import Agreement, Family, Layer, User
from taxonomy.pages.figures import Panel
from taxonomy.pages.networks import layers_of
from taxonomy.permissions import Person, sees_all_readings


@dataclass
class Pair:
    """Cohen's kappa of two people."""

    one: User
    other: User
    neurons: int
    value: float | None
    same: float


def pairs_of(user: Person, row: Agreement | None) -> list[Pair]:
    """Who agrees with whom, as far as this person is told: reviewers of everybody, others of their own pairs."""
    found = row.figures["kappas"] if row else []
    if not sees_all_readings(user):
        found = [pair for pair in found if user.pk in pair["people"]]
    people = User.objects.in_bulk({pk for pair in found for pk in pair["people"]})
    pairs = []
    for pair in found:
        one, other = (people[pk] for pk in pair["people"])
        pairs.append(Pair(one, other, pair["neurons"], pair["value"], pair["same"]))
    return sorted(pairs, key=lambda pair: (pair.value is None, pair.value or 0.0))


@dataclass
class Part:
    """A layer on the page of a network's agreement, with its families, those flagged first."""

    layer: Layer
    whole: Panel | None = None
    families: list[tuple[Family, Panel]] = field(default_factory=list)


@require_safe
def network_agreement(request: HttpRequest, name: str) -> HttpResponse:
    layers = layers_of(name)
    network = layers[0].network
    rows = list(Agreement.objects.newest().filter(network=network))
    families = {family.pk: family for family in Family.objects.filter(layer__in=layers).defer("remark")}
    own = {layer.pk: layer for layer in layers}
    for family in families.values():
        family.layer = own[family.layer_id]
    parts = {layer.pk: Part(layer) for layer in layers}
    whole = None
    for row in rows:
        if row.layer_id is None:
            whole = Panel(row, families)
        elif row.family_id is None:
            parts[row.layer_id].whole = Panel(row, families)
        elif families[row.family_id].retired_at is None:
            parts[row.layer_id].families.append((families[row.family_id], Panel(row, families)))
    for part in parts.values():
        part.families.sort(key=lambda pair: (not pair[1].row.flagged, pair[1].too_few, pair[0].name.casefold()))
    context = {
        "network": network,
        "agreement": whole,
        "parts": [part for part in parts.values() if part.whole],
        "unread": [part.layer for part in parts.values() if not part.whole],
        "pairs": pairs_of(request.user, whole.row if whole else None),
        "every_pair": len(whole.figures["kappas"]) if whole else 0,
        "all_pairs": sees_all_readings(request.user),
        "shared": NEURONS_FOR_KAPPA,
    }
    return render(request, "agreement/network.html", context)
