"""A neuron or a family as it was on a day: replayed from the record, and no more of it than may be seen now."""

from collections.abc import Mapping
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render

from taxonomy import history
from taxonomy.actions import labels
from taxonomy.models import Agreement, EvidenceVersion, Family, Layer, Neuron, User
from taxonomy.pages.figures import Panel
from taxonomy.pages.networks import layer_of
from taxonomy.permissions import hidden_from, told_now
from taxonomy.rendering.markdown import References


def _asked(request: HttpRequest, layer: Layer, subject: Neuron | Family) -> dict[str, Any]:
    """What both pages show first: the moment that was asked for (``at``), or what is wrong with it (``problem``)."""
    context: dict[str, Any] = {"network": layer.network, "layer": layer, "subject": subject, "at": None}
    try:
        context["at"] = history.moment(request.GET["at"])
    except ValueError as error:
        context["problem"] = str(error)
    return context


def neuron(request: HttpRequest, name: str, layer_name: str, index: int) -> HttpResponse:
    here, layers = layer_of(name, layer_name)
    try:
        found = Neuron.objects.of(here, index)
    except Neuron.DoesNotExist as error:
        raise Http404(str(error)) from error
    context = _asked(request, here, found) | {"neuron": found}
    at = context["at"]
    if at is None:
        return render(request, "history/neuron.html", context, status=422)
    families = {family.pk: family for family in here.families.all()}
    for family in families.values():
        family.layer = here
    state = history.record_of(found).at({pk: family.parent_id for pk, family in families.items()}, at)
    shown = told_now(request.user, Neuron.objects.filter(pk=found.pk), hidden_from(request.user)).exists()
    context |= {"state": state, "shown": shown, "existed": at >= here.network.created_at}
    if shown:
        if isinstance(request.user, User):
            labels.reveal(request.user, found)
        _attach(state, families)
        context |= {"agreed": families.get(state.family or 0), "references": References(here.network, layers)}
    return render(request, "history/neuron.html", context)


def _attach(state: history.State, families: Mapping[int, Family]) -> None:
    """The families and evidence versions that readings, decisions and memberships name. One query at most."""
    rows: list[Any] = [*state.labels, *state.reviews]
    keys = {pk for row in rows for pk in row.versions}
    versions = EvidenceVersion.objects.select_related("evidence").in_bulk(keys) if keys else {}
    for row in rows:
        row.shown_versions = [versions[pk] for pk in row.versions]
    for row in [*rows, *state.members]:
        row.family = families.get(row.family_id)


def family(request: HttpRequest, name: str, layer_name: str, pk: int) -> HttpResponse:
    here, layers = layer_of(name, layer_name)
    found = Family.objects.filter(pk=pk, layer=here).select_related("parent", "proposal__author").first()
    if found is None:
        raise Http404(f"{here} has no such family. The families of {here.name} are on its page.")
    found.layer = here
    context = _asked(request, here, found) | {"family": found}
    at = context["at"]
    if at is None:
        return render(request, "history/family.html", context, status=422)
    hidden = hidden_from(request.user)
    every = [member for member in history.members_of(found, at) if member.neuron_id not in hidden]
    told = told_now(request.user, Neuron.objects.filter(pk__in=[member.neuron_id for member in every]), hidden)
    neurons = {one.pk: one for one in told}
    members = [member for member in every if member.neuron_id in neurons]
    for member in members:
        member.neuron = neurons[member.neuron_id]
        member.neuron.layer = here
    if isinstance(request.user, User):
        labels.reveal(request.user, *neurons.values())
    measured = Agreement.objects.filter(family=found, at__lte=at).first()
    context |= {
        "existed": at >= found.created_at,
        "members": members,
        "untold": len(every) - len(members),
        "agreement": Panel(measured, {one.pk: one for one in here.families.all()}) if measured else None,
        "references": References(here.network, layers),
    }
    return render(request, "history/family.html", context)
