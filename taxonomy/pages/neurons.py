"""A neuron: what it could be, what it is in practice, what it is wired to, and what people read in it."""

from collections.abc import Collection
from typing import Any

from django.contrib import messages
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_safe

from taxonomy.actions import labels
from taxonomy.actions.reviews import Case, cases
from taxonomy.models import Event, EvidenceVersion, Family, ImageSet, Label, Layer, Membership, Neuron, User
from taxonomy.pages import history, near, panels
from taxonomy.pages.decisions import DecisionForm, box_of
from taxonomy.pages.events import told_to
from taxonomy.pages.exhibits import applicable, exhibits
from taxonomy.pages.gold import panel as golden
from taxonomy.pages.labels import LabelForm, initial_of
from taxonomy.pages.networks import layer_of, state
from taxonomy.pages.people import asking
from taxonomy.pages.stand import Stand
from taxonomy.pages.talk import Talk
from taxonomy.permissions import can_label, can_request_evidence, can_see_readings, given, hidden_from, require
from taxonomy.rendering.markdown import References


def neuron_of(network: str, layer_name: str, index: int) -> tuple[Neuron, list[Layer]]:
    """The neuron at an address, and its network's layers.

    Raises:
        Http404: with a sentence that says which part is not there.
    """
    here, layers = layer_of(network, layer_name)
    try:
        return Neuron.objects.of(here, index), layers
    except Neuron.DoesNotExist as error:
        raise Http404(str(error)) from error


@require_safe
def neuron(request: HttpRequest, name: str, layer_name: str, index: int) -> HttpResponse:
    if "at" in request.GET:
        return history.neuron(request, name, layer_name, index)
    return page(request, *neuron_of(name, layer_name, index))


def page(
    request: HttpRequest,
    neuron: Neuron,
    layers: list[Layer],
    *,
    form: LabelForm | None = None,
    decision: DecisionForm | None = None,
    status: int = 200,
) -> HttpResponse:
    """The neuron's page; ``form`` is a label, or ``decision`` one, that was sent and could not be taken."""
    user = request.user
    hidden = hidden_from(user)
    is_hidden, has = neuron.pk in hidden, has_given(user, neuron)
    settled = neuron.is_settled and not is_hidden
    may_see = can_see_readings(user, neuron, has_given=has, is_hidden=is_hidden)
    # A reviewer who has not read it yet may still read it blind: the others' readings come when asked for.
    offered = bool(may_see) and not has and not settled
    shown = bool(may_see) and (not offered or "readings" in request.GET or decision is not None)
    families, exemplars, memberships, kin = families_of(neuron, hidden)
    case = cases(user, [neuron], tree_of(neuron.layer))[neuron.pk] if shown else None
    own = own_label(user, neuron, case)
    if isinstance(user, User):
        labels.reveal(user, *([neuron] if shown else []), *kin)
    stand = Stand(neuron, exhibits(neuron, layers, hidden=hidden), request.GET)
    context: dict[str, Any] = {
        "network": neuron.layer.network,
        "layer": neuron.layer,
        "neuron": neuron,
        "cell": state(neuron.standing, neuron.readings, hidden=is_hidden, shown=shown),
        "settled": settled,
        "previous": neuron.index - 1 if neuron.index else None,
        "next": neuron.index + 1 if neuron.index + 1 < neuron.layer.channels else None,
        "stand": stand,
        "memberships": memberships,
        "kin": exemplars.get(memberships[0].family_id, [])[:KIN] if memberships else [],
        "own": own,
        "readings": sorted(case.current, key=lambda label: label.created_at) if case else [],
        "shown": shown,
        "offered": offered and not shown,
        "may_see": may_see,
        "form": form or LabelForm(layer=neuron.layer, families=families, exemplars=exemplars, initial=initial_of(own)),
        "may_label": can_label(user, neuron),
        "golden": golden(user, neuron) if settled else {},
        "seen": [exhibit.version.pk for exhibit in stand.shown if exhibit.version],
        "box": box_of(user, case, families, [one.name for one in layers], citable(stand), decision) if case else None,
        "agreed": next((one for one in families if case and case.agreed == one.pk), None) if shown else None,
        "may_request": can_request_evidence(user, neuron.layer.network),
        "kinds": applicable(neuron.layer, layers),
        "image_sets": list(ImageSet.objects.all()),
        "events": told_to(user, Event.objects.visible_to(user, hidden).filter(neuron=neuron), 12),
        "talk": Talk(user, neuron, shown=shown),
        "references": References(neuron.layer.network, layers),
    }
    return render(request, "neurons/neuron.html", context, status=status)


@require_safe
def neighbours(request: HttpRequest, name: str, layer_name: str, index: int) -> HttpResponse:
    """The neurons most like it: a page, of which the neuron's own page fetches the middle when it comes into sight."""
    neuron, layers = neuron_of(name, layer_name, index)
    found = [one for one in exhibits(neuron, layers, kinds=["neighbours"]) if not one.absent]
    near.find(found)
    panels.fill(found)
    context = {
        "network": neuron.layer.network,
        "layer": neuron.layer,
        "neuron": neuron,
        "exhibits": found,
        "may_request": can_request_evidence(request.user, neuron.layer.network),
    }
    template = "neurons/_neighbours.html" if request.headers.get("HX-Request") else "neurons/neighbours.html"
    return render(request, template, context)


def has_given(user: User | AnonymousUser, neuron: Neuron) -> bool:
    return isinstance(user, User) and Neuron.objects.filter(given(user, "pk"), pk=neuron.pk).exists()


KIN = 24  # so many other members of its family stand on its page
FACES = 3  # and so many beside each family to choose from


def families_of(
    neuron: Neuron, hidden: Collection[int]
) -> tuple[list[Family], dict[int, list[int]], list[Membership], list[Neuron]]:
    """The layer's families, the indices of the other members of each, the neuron's own memberships. Two queries.

    Without neurons that are ``hidden`` from whoever looks. Last, the others that stand on the page in their families.
    """
    families = list(neuron.layer.families.filter(retired_at=None).select_related("parent"))
    exemplars: dict[int, list[int]] = {}
    own = []
    members = Membership.objects.shown(hidden).filter(family__in=families).select_related("neuron").order_by("pk")
    others: dict[int, list[Neuron]] = {}
    by_pk = {family.pk: family for family in families}
    for family in families:
        family.layer = neuron.layer
    for member in members:
        if member.neuron_id == neuron.pk:
            member.family = by_pk[member.family_id]
            own.append(member)
        else:
            exemplars.setdefault(member.family_id, []).append(member.neuron.index)
            others.setdefault(member.family_id, []).append(member.neuron)
    own.sort(key=lambda member: not member.primary)
    mine = own[0].family_id if own else None
    told = [one for family, found in others.items() for one in found[: KIN if family == mine else FACES]]
    return families, exemplars, own, told


def tree_of(layer: Layer) -> dict[int, int | None]:
    """For each family of the layer, retired ones too, its parent."""
    return dict(Family.objects.filter(layer=layer).values_list("pk", "parent_id"))


def own_label(user: User | AnonymousUser, neuron: Neuron, case: Case | None) -> Label | None:
    """The person's own current label."""
    if not isinstance(user, User):
        return None
    if case is not None:
        return next((label for label in case.current if label.author_id == user.pk), None)
    found = neuron.labels.current().filter(author=user).select_related("author", "family")
    return found.prefetch_related("further").first()


def citable(stand: Stand) -> list[tuple[str, EvidenceVersion]]:
    """The neuron's evidence as it is now, one version of each, with its title."""
    return [(exhibit.title, exhibit.version) for exhibit in stand.every if exhibit.version is not None]


def label(request: HttpRequest, name: str, layer_name: str, index: int) -> HttpResponse:
    """Take a reading, and answer with the page on which its author sees the others'."""
    neuron, layers = neuron_of(name, layer_name, index)
    if request.method != "POST":
        return redirect(neuron)
    require(can_label(request.user, neuron))
    families, exemplars, *_ = families_of(neuron, hidden_from(request.user))
    form = LabelForm(request.POST, layer=neuron.layer, families=families, exemplars=exemplars)
    if form.is_valid():
        try:
            labels.add(asking(request), neuron, submission=form.cleaned_data["submission"], **form.reading())
        except ValidationError as error:
            form.add_error(None, ValidationError(error.messages))
        else:
            messages.success(request, f"Your reading of {neuron.address} is recorded.")
            return redirect(f"{neuron.get_absolute_url()}?labelled#label")
    return page(request, neuron, layers, form=form, status=422)
