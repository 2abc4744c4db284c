"""The sorting sheet: similar neurons of a layer as cards, to be picked out and named together."""

import uuid
from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from taxonomy.actions import sheets
from taxonomy.models import Label, Layer, Lease, Sheet, User
from taxonomy.pages import panels
from taxonomy.pages.exhibits import done, exhibits
from taxonomy.pages.labels import (
    QUICK,
    LabelForm,
    background,
    choices_of,
    labelling,
    numbers,
    own_label,
    sentence,
    spoken,
)
from taxonomy.pages.networks import layer_of, layers_of
from taxonomy.pages.people import asking
from taxonomy.pages.stand import FACES, Stand
from taxonomy.permissions import Refused, can_undo_label, require

# What a card shows, and what its reader sees of it when they look closer.
ON_A_CARD = ("feature_visualization", "kernels", "imported_picture", "dataset_examples")
CROPS = 3


def cards_of(leases: list[Lease]) -> list[dict[str, Any]]:
    """Each neuron's picture and a few examples. Three queries."""
    found = done([lease.neuron for lease in leases], kinds=ON_A_CARD)
    examples = {pk: slugs["dataset-examples"] for pk, slugs in found.items() if "dataset-examples" in slugs}
    panels.fill(examples.values())
    cards = []
    for lease in leases:
        here = found[lease.neuron_id]
        face = next((here[slug] for slug in FACES if slug in here), None)
        shown = examples.get(lease.neuron_id)
        cards.append(
            {
                "neuron": lease.neuron,
                "lease": lease,
                "seconds": round((lease.expires_at - timezone.now()).total_seconds()),
                "face": face.face() if face else "",
                "pixels": face is not None and face.kind.name == "kernels",
                "crops": [one.crop for one in shown.panel["top"][:CROPS]] if shown and shown.panel else [],
                "seen": [one.version.pk for one in (face, shown) if one is not None and one.version is not None],
            }
        )
    return cards


def own_sheet(user: User, public_id: uuid.UUID) -> Sheet:
    """The person's sheet.

    Raises:
        Http404: when there is none at this address.
        Refused: when it is in somebody else's hands.
    """
    sheet = get_object_or_404(Sheet.objects.select_related("layer__network"), public_id=public_id)
    require(sheets.can_sort(user, sheet))
    return sheet


@require_POST
@labelling
def sheet_take(request: HttpRequest, name: str, layer_name: str) -> HttpResponse:
    """Take a sheet of the layer; the one that is open already comes back."""
    layer, _ = layer_of(name, layer_name)
    sheet = sheets.take(asking(request), layer)
    if sheet is None:
        return redirect(f"{reverse('label_next')}?network={layer.network.name}&layer={layer.name}")
    return redirect(sheet)


@labelling
def sheet(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    """The cards that are still to be sorted; or take a reading of those that were picked out."""
    user = asking(request)
    found = own_sheet(user, public_id)
    if request.method == "POST":
        return sort(request, found)
    return table(request, found)


def table(
    request: HttpRequest,
    sheet: Sheet,
    form: LabelForm | None = None,
    chosen: frozenset[int] = frozenset(),
    status: int = 200,
) -> HttpResponse:
    """The whole page."""
    user = asking(request)
    layers = layers_of(sheet.layer.network.name)
    layer = next(layer for layer in layers if layer.pk == sheet.layer_id)
    leases = sheets.leases_of(sheet)
    for lease in leases:
        lease.neuron.layer = layer
    if form is None:
        families, exemplars = choices_of(user, layer)
        form = LabelForm(layer=layer, families=families, exemplars=exemplars)
    cards = cards_of(leases)
    given = own_label(user, request.GET.get("told", ""))
    context = {
        "sheet": sheet,
        "layer": layer,
        "network": layer.network,
        "cards": cards,
        "chosen": chosen,
        "form": form,
        "seen": [pk for card in cards for pk in card["seen"]],
    }
    return render(request, "sheets/sheet.html", context | (told(user, sheet, given) if given else {}), status=status)


def told(user: User, sheet: Sheet, label: Label) -> dict[str, Any]:
    """What is said of the readings that were given together with this one."""
    group = Label.objects.filter(author=user, submission=label.submission, lease__sheet=sheet, undone_at=None)
    return {"label": label, "count": group.count(), "may_undo": can_undo_label(user, label)}


def sort(request: HttpRequest, sheet: Sheet) -> HttpResponse:
    """Read the chosen neurons alike: all of them or none."""
    user, said = asking(request), spoken(request.POST)
    layer = next(layer for layer in layers_of(sheet.layer.network.name) if layer.pk == sheet.layer_id)
    chosen = numbers(".".join(request.POST.getlist("neuron")))
    families, exemplars = choices_of(user, layer)
    form = LabelForm(said, layer=layer, families=families, exemplars=exemplars)
    if form.is_valid():
        key = form.cleaned_data["submission"] or uuid.uuid4()
        neurons = list(layer.neurons.filter(pk__in=chosen))
        try:
            given = sheets.submit(user, sheet, neurons, submission=key, **form.reading())
        except ValidationError as error:
            form.add_error(None, ValidationError(error.messages))
        except Refused as error:
            if background(request):
                return sentence(str(error), 403)
            form.add_error(None, str(error))
            return table(request, sheet, form, chosen, status=403)
        else:
            if background(request):
                return render(request, "sheets/_told.html", {"sheet": sheet} | told(user, sheet, given[0]))
            return redirect(f"{sheet.get_absolute_url()}?told={given[0].public_id}")
    if background(request):
        return sentence(" ".join(form.sentences), 422)
    return table(request, sheet, form, chosen, status=422)


@require_safe
@labelling
def sheet_look(request: HttpRequest, public_id: uuid.UUID, pk: int) -> HttpResponse:
    """A card looked at closer: the neuron's main evidence, as a piece of the page."""
    sheet = own_sheet(asking(request), public_id)
    layers = layers_of(sheet.layer.network.name)
    lease = sheet.leases.filter(neuron=pk).select_related("neuron").first()
    if lease is None:
        raise Http404("This neuron is not on the sheet.")
    neuron = lease.neuron
    neuron.layer = next(layer for layer in layers if layer.pk == sheet.layer_id)
    stand = Stand(neuron, exhibits(neuron, layers, kinds=QUICK), {})
    return render(request, "sheets/_look.html", {"neuron": neuron, "layer": neuron.layer, "stand": stand})


@require_POST
@labelling
def sheet_undo(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    """Take back what was read together, within its minute; the cards come back."""
    user = asking(request)
    sheet = own_sheet(user, public_id)
    label = own_label(user, request.POST.get("label", ""))
    if label is None or label.submission is None:
        raise Http404("You gave no such reading.")
    try:
        count = len(sheets.undo(user, sheet, label.submission))
    except Refused as error:
        if background(request):
            return sentence(str(error), 403)
        messages.error(request, str(error))
    else:
        if background(request):
            return HttpResponse(status=204)
        messages.success(request, f"{count} reading{'s are' if count > 1 else ' is'} taken back.")
    return redirect(sheet)


@require_POST
@labelling
def sheet_give_back(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    """Put the sheet down: what was not sorted goes back to the queue."""
    user = asking(request)
    sheet = own_sheet(user, public_id)
    sheets.give_back(user, sheet)
    messages.success(request, "The rest of the sheet is back in the queue. What you sorted is kept.")
    return redirect(sheet.layer)


@require_POST
@labelling
def sheet_anew(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    """Give the rest back and take another sheet of the layer."""
    user = asking(request)
    sheet = own_sheet(user, public_id)
    layer: Layer = sheet.layer
    sheets.give_back(user, sheet)
    return sheet_take(request, layer.network.name, layer.name)
