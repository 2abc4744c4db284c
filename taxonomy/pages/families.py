"""A family: its members in order, what it is, and its kin in other layers."""

from collections.abc import Collection
from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db.models import Case, JSONField, Q, When
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from taxonomy import recipes
from taxonomy.actions import labels
from taxonomy.events import told
from taxonomy.models import (
    Event,
    Evidence,
    Family,
    FamilyLink,
    ImageSet,
    Layer,
    LinkKind,
    Membership,
    Neuron,
    Symmetry,
    User,
)
from taxonomy.pages import claims, figures, history, links, panels
from taxonomy.pages.events import telling
from taxonomy.pages.exhibits import Exhibit, Shelf, done, put, rows_of
from taxonomy.pages.networks import layer_of
from taxonomy.pages.talk import Talk
from taxonomy.permissions import Person, can_request_evidence, hidden_from
from taxonomy.rendering.chips import face
from taxonomy.rendering.curves import ORIENTED, Tuning, joint
from taxonomy.rendering.markdown import References

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
    curves = {
        (pk, exhibit.variant): curve
        for pk, own in found.items()
        for exhibit in own.values()
        if exhibit.variant in ORIENTED and (curve := panels.safe_curve(exhibit)) is not None
    }
    drive: dict[str, float] = {}
    for (_, stimulus), curve in curves.items():
        drive[stimulus] = drive.get(stimulus, 0.0) + max(0.0, *curve.responses)
    if not any(drive.values()):
        return "", []
    stimulus = max(drive, key=lambda variant: drive[variant])
    tuned = []
    for neuron in neurons:
        curve = curves.get((neuron.pk, stimulus))
        if curve is not None and curve.peak is not None:
            picture = face(neuron.layer, neuron.index)
            what = neuron.address, neuron.get_absolute_url(), curve.places, curve.responses, curve.peak
            tuned.append(Tuning(*what, picture))
    return stimulus, sorted(tuned, key=lambda curve: curve.peak)


def exhibits_of(family: Family, layers: list[Layer], hidden: Collection[int]) -> list[Exhibit]:
    """What was made of the family, or asked for: its joint tuning, its weights from and to others. Two queries.

    One more where neurons are ``hidden``: what names one of them as a member is left out.
    """
    shelf = Shelf.of(family.layer.network, layers)
    own = {layer.pk: layer for layer in layers}
    found: dict[tuple[str, int | None, int | None], Exhibit] = {}
    rows = Evidence.objects.filter(Q(family=family) | Q(other=family)).select_related("family", "other")
    untold = Neuron.objects.with_layers(hidden)
    for row in rows_of(rows):
        if row.names(untold):
            continue
        for end in filter(None, (row.family, row.other)):
            end.layer = own[end.layer_id]
        blank = Exhibit(recipes.KINDS[row.kind], "", row.parameters, shelf, None, row.family, row.other)
        put(found.setdefault((row.kind, row.family_id, row.other_id), blank), row)
    shown = [exhibit for exhibit in found.values() if not exhibit.absent]
    for exhibit in shown:
        if exhibit.kind.name == "family_weights" and exhibit.family and exhibit.other:
            exhibit.variant = f"{exhibit.other.pk}-{exhibit.family.pk}"
    panels.fill(shown)
    return shown


def known(user: Person, layers: list[Layer], pk: int, hidden: Collection[int]) -> dict[int, Family]:
    """The network's families; of the one of this page the newest figures too, as ``measured``, as ``noted`` the notes
    that name it, and as ``claimed`` the claims on it. One query."""
    every = Family.objects.filter(layer__in=layers).select_related("parent", "proposal__author")
    measured = Case(When(pk=pk, then=figures.newest_of_family("pk")), default=None, output_field=JSONField())
    noted = Case(When(pk=pk, then=links.column(user, Family)), default=None, output_field=ArrayField(JSONField()))
    claimed = Case(When(pk=pk, then=claims.column(Family, hidden)), default=None, output_field=ArrayField(JSONField()))
    every = every.annotate(measured=measured, noted=noted, claimed=claimed)
    families: dict[int, Family] = {one.pk: one for one in every.order_by("layer__order", "name")}
    own = {layer.pk: layer for layer in layers}
    for one in families.values():
        one.layer = own[one.layer_id]
    return families


@require_safe
def family(request: HttpRequest, name: str, layer_name: str, pk: int) -> HttpResponse:
    if "at" in request.GET:
        return history.family(request, name, layer_name, pk)
    here, layers = layer_of(name, layer_name)
    hidden = hidden_from(request.user)
    families = known(request.user, layers, pk, hidden)
    found = families.get(pk)
    if found is None or found.layer != here:
        raise Http404(f"{here} has no such family. The families of {here.name} are on its page.")
    current = Membership.objects.shown(hidden).filter(family=found)
    members = list(current.select_related("neuron", "made_by").order_by("pk"))
    happened = told(Event.objects.visible_to(request.user, hidden).filter(family=found), 15, passing=False)
    if isinstance(request.user, User):
        labels.reveal(request.user, *{member.neuron for member in members}, *telling(happened))
    members.sort(key=lambda member: (member.parameter is None, member.parameter or 0.0))
    for member in members:
        member.neuron.layer = here
    stimulus, curves = tunings(members) if found.symmetry == Symmetry.ROTATION else ("", [])
    made = exhibits_of(found, layers, hidden)
    weights = [exhibit for exhibit in made if exhibit.kind.name == "family_weights"]
    living = [other for other in families.values() if other.retired_at is None]
    kin = FamilyLink.objects.filter(Q(source=found) | Q(target=found, kind__in=ONE_WAY))
    linked = list(kin.select_related("source__layer__network", "target__layer__network"))
    talk = Talk(request.user, found)
    context: dict[str, Any] = {
        "network": here.network,
        "joint_tuning": next((exhibit for exhibit in made if exhibit.kind.name == "joint_tuning"), None),
        "weights": weights,
        "others": [other for other in living if other.layer_id != here.pk],
        "may_request": can_request_evidence(request.user, here.network),
        "image_sets": ImageSet.objects.all(),
        "layer": here,
        "last_layer": here == layers[-1],
        "family": found,
        "members": members,
        "placed": any(member.parameter is not None for member in members),
        "joint": joint(curves, stimulus=stimulus) if len(curves) > 1 else "",
        "stimulus": stimulus,
        "curves": curves,
        "children": [child for child in living if child.parent_id == found.pk],
        "links": [link for link in linked if link.source_id == found.pk],
        "linked_from": [link for link in linked if link.source_id != found.pk],
        "events": happened,
        **claims.panel(found, hidden),
        "agreement": figures.of_family(request.user, found, families, hidden),
        "noted": links.links_to(request.user, found),
        "talk": talk,
        "references": References(here.network, layers, living, talk.texts),
    }
    return render(request, "families/family.html", context)
