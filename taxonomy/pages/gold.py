"""Gold neurons: which there are and how people do on them, for editors; for everybody their own record."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from taxonomy.actions import gold
from taxonomy.models import Gold, Label, Membership, Neuron, User
from taxonomy.pages.people import asking
from taxonomy.permissions import can_steer_queue


def panel(user: Any, neuron: Neuron) -> dict[str, Any]:
    """For a settled neuron's page: whether it is gold, and what its reader may do about that."""
    if not neuron.is_settled or not can_steer_queue(user):
        return {}
    current = neuron.golds.current().select_related("marked_by").first()
    return {"gold": current, "may_mark": gold.can_mark(user, neuron, is_gold=current is not None)}


@require_safe
@login_required
def gold_list(request: HttpRequest) -> HttpResponse:
    """One's own record; for editors every gold neuron and how everybody does."""
    user = asking(request)
    read, right = gold.record_of(user)
    context: dict[str, Any] = {"read": read, "right": right, "steers": bool(can_steer_queue(user))}
    if context["steers"]:
        golds = list(
            Gold.objects.current().select_related("neuron__layer__network", "neuron__layer__sprite", "marked_by")
        )
        labels = list(Label.objects.filter(gold=True, undone_at=None, follows=None).select_related("author"))
        outcomes = gold.outcomes(labels)
        members = Membership.objects.current().filter(neuron__in=[one.neuron_id for one in golds], primary=True)
        families = {member.neuron_id: member.family for member in members.select_related("family__layer__network")}
        by_neuron = tally((label.neuron_id, outcomes[label.pk]) for label in labels)
        by_person = tally((label.author_id, outcomes[label.pk]) for label in labels)
        people = {label.author_id: label.author for label in labels}
        context |= {
            "golds": [
                {"gold": one, "family": families.get(one.neuron_id), **shares(by_neuron.get(one.neuron_id))}
                for one in golds
            ],
            "people": [
                {"person": person, **shares(by_person[person.pk])}
                for person in sorted(people.values(), key=lambda one: (-by_person[one.pk].total(), one.username))
            ],
        }
    return render(request, "gold/list.html", context)


def tally(found: Iterable[tuple[int, gold.Closeness]]) -> dict[int, Counter[str]]:
    counts: dict[int, Counter[str]] = {}
    for key, outcome in found:
        counts.setdefault(key, Counter())[outcome] += 1
    return counts


def shares(counts: Counter[str] | None) -> dict[str, int]:
    counts = counts or Counter()
    return {"read": counts.total(), "right": counts[gold.Closeness.RIGHT], "near": counts[gold.Closeness.NEAR]}


@require_POST
def mark(request: HttpRequest, name: str, layer_name: str, index: int) -> HttpResponse:
    """Mark an accepted neuron as gold, or unmark it."""
    neuron = Neuron.objects.at(name, f"{layer_name}:{index}")
    user: User = asking(request)
    try:
        if "unmark" in request.POST:
            gold.unmark(user, neuron)
            messages.success(request, f"{neuron.address} is gold no more.")
        else:
            gold.mark(user, neuron, request.POST.get("reason", ""))
            messages.success(request, f"{neuron.address} is gold: contributors meet it in the queue.")
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
    return redirect(f"{neuron.get_absolute_url()}#gold")
