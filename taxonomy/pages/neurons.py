"""A neuron: what it could be, what it is in practice, what it is wired to, and what people read in it."""

from collections.abc import Collection, Iterable
from typing import Any

from django.contrib import messages
from django.contrib.auth.models import AnonymousUser
from django.contrib.postgres.expressions import ArraySubquery
from django.core.exceptions import ValidationError
from django.db.models import OuterRef
from django.db.models.functions import JSONObject
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_safe

from taxonomy.actions import labels
from taxonomy.actions.reviews import cases, labels_for
from taxonomy.events import told
from taxonomy.models import (
    UNDO,
    Event,
    EvidenceVersion,
    Family,
    ImageSet,
    Label,
    Layer,
    Membership,
    Neuron,
    Reveal,
    Standing,
    User,
)
from taxonomy.pages import claims, history, near, panels
from taxonomy.pages.decisions import DecisionForm, box_of, look_up_cites
from taxonomy.pages.exhibits import applicable, exhibits
from taxonomy.pages.gold import panel as golden
from taxonomy.pages.labels import LabelForm, initial_of
from taxonomy.pages.links import column, links_to
from taxonomy.pages.networks import layer_of, state
from taxonomy.pages.people import asking
from taxonomy.pages.stand import Stand
from taxonomy.pages.talk import Talk
from taxonomy.permissions import Person, can_label, can_request_evidence, can_see_readings, hidden_from, require
from taxonomy.rendering.markdown import References


def neuron_of(
    network: str, layer_name: str, index: int, reader: Person | None = None, hidden: Collection[int] = ()
) -> tuple[Neuron, list[Layer]]:
    """The neuron at an address, and its network's layers.

    Args:
        reader: with the notes that name it, as far as this person may read them, and the claims on it (``column``), and
            the image sets from which evidence of it may be asked for.
        hidden: from this person.

    Raises:
        Http404: with a sentence that says which part is not there.
    """
    here, layers = layer_of(network, layer_name)
    try:
        rows = Neuron.objects.all()
        if reader is not None:
            sets = ImageSet.objects.values(told=JSONObject(name="name", count="count"))
            told_beside = {"noted": column(reader, Neuron), "claimed": claims.column(Neuron, hidden)}
            rows = rows.annotate(**told_beside, image_sets=ArraySubquery(sets))
        return rows.of(here, index), layers
    except Neuron.DoesNotExist as error:
        raise Http404(str(error)) from error


@require_safe
def neuron(request: HttpRequest, name: str, layer_name: str, index: int) -> HttpResponse:
    if "at" in request.GET:
        return history.neuron(request, name, layer_name, index)
    hidden = hidden_from(request.user)
    return page(request, *neuron_of(name, layer_name, index, request.user, hidden), hidden=hidden)


def page(
    request: HttpRequest,
    neuron: Neuron,
    layers: list[Layer],
    *,
    hidden: Collection[int] | None = None,
    form: LabelForm | None = None,
    decision: DecisionForm | None = None,
    status: int = 200,
) -> HttpResponse:
    """The neuron's page; ``form`` is a label, or ``decision`` one, that was sent and could not be taken."""
    user = request.user
    hidden = hidden_from(user) if hidden is None else hidden
    every = labels_for([neuron])
    is_hidden, has = neuron.pk in hidden, has_given(user, every)
    settled = neuron.is_settled and not is_hidden
    may_see = can_see_readings(user, neuron, has_given=has, is_hidden=is_hidden)
    # A reviewer who has not read it yet may still read it blind: the others' readings come when asked for.
    offered = bool(may_see) and not has and not settled
    shown = bool(may_see) and (not offered or "readings" in request.GET or decision is not None)
    families, exemplars, memberships, kin = families_of(neuron, hidden)
    tree = {family.pk: family.parent_id for family in families}
    families = [family for family in families if family.retired_at is None]
    case = cases(user, [neuron], tree, every)[neuron.pk] if shown else None
    own = next((label for label in every if label.author_id == user.pk and label.superseded_at is None), None)
    if isinstance(user, User):
        labels.reveal(user, *([neuron] if shown else []), *kin)
    stand = Stand(neuron, exhibits(neuron, layers, hidden=hidden), request.GET)
    names = [one.name for one in layers]
    look_up_cites([case] if case else [])
    box = box_of(user, case, families, names, citable(stand), decision) if case else None
    readings = sorted(case.current, key=lambda label: label.created_at) if case else []
    talk = Talk(user, neuron, shown=shown)
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
        "readings": readings,
        "shown": shown,
        "offered": offered and not shown,
        "may_see": may_see,
        "form": form or LabelForm(layer=neuron.layer, families=families, exemplars=exemplars, initial=initial_of(own)),
        "may_label": can_label(user, neuron),
        "golden": golden(user, neuron) if settled else {},
        "seen": [exhibit.version.pk for exhibit in stand.shown if exhibit.version],
        "box": box,
        "agreed": box.leading if box and neuron.standing == Standing.AGREED else None,
        "undoable": box.undoable if box else None,
        "may_request": can_request_evidence(user, neuron.layer.network),
        "kinds": applicable(neuron.layer, layers),
        "image_sets": neuron.image_sets if hasattr(neuron, "image_sets") else ImageSet.objects.all(),
        "events": told(Event.objects.visible_to(user, hidden).filter(neuron=neuron), 12, passing=False),
        "noted": links_to(user, neuron) if shown else [],
        "talk": talk,
        **(claims.panel(neuron, hidden) if shown or settled else {}),
        "references": References(
            neuron.layer.network, layers, texts=[*talk.texts, *(label.note for label in readings)]
        ),
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


def has_given(user: User | AnonymousUser, every: Iterable[Label]) -> bool:
    """``permissions.given`` for all labels of one neuron, which asks the record only within the minute."""
    own = [label for label in every if label.author_id == user.pk]
    if not own or own[0].created_at <= timezone.now() - UNDO:
        return bool(own)
    looks = Reveal.objects.filter(neuron=own[0].neuron_id, person=user.pk)
    return looks.filter(at__gte=own[0].created_at).exists()


KIN = 24  # so many other members of its family stand on its page
FACES = 3  # and so many beside each family to choose from


def families_of(
    neuron: Neuron, hidden: Collection[int]
) -> tuple[list[Family], dict[int, list[int]], list[Membership], list[Neuron]]:
    """The layer's families (retired ones too), the indices of each one's other members, the neuron's own memberships.

    Without neurons that are ``hidden`` from whoever looks. Last, the others that stand on the page in their families.
    One query.
    """
    members = Membership.objects.shown(hidden).filter(family=OuterRef("pk")).order_by("pk")
    told = JSONObject(
        id="pk", neuron_id="neuron", index="neuron__index", primary="primary", parameter="parameter", source="source"
    )
    every = neuron.layer.families.select_related("parent").annotate(shown=ArraySubquery(members.values(told=told)))
    families: list[Family] = list(every)
    exemplars: dict[int, list[int]] = {}
    own = []
    others: dict[int, list[Neuron]] = {}
    for family in families:
        family.layer = neuron.layer
        for row in family.shown if family.retired_at is None else ():  # type: ignore[attr-defined]
            index = row.pop("index")
            if row["neuron_id"] == neuron.pk:
                own.append(Membership(family=family, **row))
            else:
                exemplars.setdefault(family.pk, []).append(index)
                others.setdefault(family.pk, []).append(Neuron(pk=row["neuron_id"], layer=neuron.layer, index=index))
    own.sort(key=lambda member: not member.primary)
    mine = own[0].family_id if own else None
    kin = [one for family, found in others.items() for one in found[: KIN if family == mine else FACES]]
    return families, exemplars, own, kin


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
    families = [family for family in families if family.retired_at is None]
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
