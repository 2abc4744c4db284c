"""A family: its members in order, what it is, and its kin in other layers."""

from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from taxonomy.models import Event, Family, LinkKind, Membership, Symmetry
from taxonomy.pages.events import told
from taxonomy.pages.evidence import done
from taxonomy.pages.networks import layer_of
from taxonomy.rendering.chips import face
from taxonomy.rendering.markdown import References
from taxonomy.rendering.plots import Tuning, joint

# Links without a way back of their own.
ONE_WAY = (LinkKind.UNION_OF, LinkKind.OPPOSES)


# A drawing of more tuning curves than these shows nothing.
MOST_CURVES = 72


def tunings(members: list[Membership]) -> tuple[str, list[Tuning]]:
    """The members' tuning curves to the stimulus that drives the family most, in order of their peaks."""
    neurons = [member.neuron for member in members]
    if not 1 < len(neurons) <= MOST_CURVES:
        return "", []
    found = done(neurons, kinds=["tuning_curves"])
    drive: dict[str, float] = {}
    for exhibit in (exhibit for own in found.values() for exhibit in own.values()):
        drive[exhibit.variant] = drive.get(exhibit.variant, 0.0) + max(exhibit.strongest, 0.0)
    if not any(drive.values()):
        return "", []
    stimulus = max(drive, key=lambda variant: drive[variant])
    curves = []
    for neuron in neurons:
        shown = found[neuron.pk].get(f"tuning-curves-{stimulus}")
        if shown and shown.data and shown.data.get("peak") is not None:
            data = shown.data
            curves.append(
                Tuning(
                    *(neuron.address, neuron.get_absolute_url(), data["angles"], data["responses"], data["peak"]),
                    face(neuron.layer, neuron.index),
                )
            )
    return stimulus, sorted(curves, key=lambda curve: curve.peak)


@require_safe
def family(request: HttpRequest, name: str, layer_name: str, pk: int) -> HttpResponse:
    here, _ = layer_of(name, layer_name)
    found = Family.objects.filter(pk=pk, layer=here).select_related("parent", "proposal__author").first()
    if found is None:
        raise Http404(f"{here} has no such family. The families of {here.name} are on its page.")
    found.layer = here
    members = list(Membership.objects.current().filter(family=found).select_related("neuron", "made_by").order_by("pk"))
    members.sort(key=lambda member: (member.parameter is None, member.parameter or 0.0))
    for member in members:
        member.neuron.layer = here
    stimulus, curves = tunings(members) if found.symmetry == Symmetry.ROTATION else ("", [])
    children = list(found.children.filter(retired_at=None))
    for child in children:
        child.layer = here
    context: dict[str, Any] = {
        "network": here.network,
        "layer": here,
        "family": found,
        "members": members,
        "placed": any(member.parameter is not None for member in members),
        "joint": joint(curves, stimulus=stimulus) if len(curves) > 1 else "",
        "stimulus": stimulus,
        "curves": curves,
        "children": children,
        "links": found.links.select_related("target__layer__network"),
        "linked_from": found.linked_from.filter(kind__in=ONE_WAY).select_related("source__layer__network"),
        "events": told(Event.objects.visible_to(request.user).filter(family=found), 15),
        "references": References(here.network),
    }
    return render(request, "families/family.html", context)
