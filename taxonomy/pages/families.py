"""A family: its members in order, what it is, and its kin in other layers."""

from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from taxonomy.models import Event, Family, LinkKind, Membership
from taxonomy.pages.events import SUBJECTS
from taxonomy.pages.networks import layer_of
from taxonomy.rendering.markdown import References

# Links without a way back of their own.
ONE_WAY = (LinkKind.UNION_OF, LinkKind.OPPOSES)


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
    children = list(found.children.filter(retired_at=None))
    for child in children:
        child.layer = here
    context: dict[str, Any] = {
        "network": here.network,
        "layer": here,
        "family": found,
        "members": members,
        "placed": any(member.parameter is not None for member in members),
        "children": children,
        "links": found.links.select_related("target__layer__network"),
        "linked_from": found.linked_from.filter(kind__in=ONE_WAY).select_related("source__layer__network"),
        "events": Event.objects.visible_to(request.user).filter(family=found).select_related(*SUBJECTS)[:15],
        "references": References(here.network),
    }
    return render(request, "families/family.html", context)
