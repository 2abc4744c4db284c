"""The jump box: an address, a layer or a network, typed from any page; and what a name begun in a text could become."""

from collections.abc import Iterator
from dataclasses import dataclass

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.utils.safestring import SafeString
from django.views.decorators.http import require_safe

from taxonomy.actions import claims
from taxonomy.models import Claim, Family, Layer, Network, Neuron, User
from taxonomy.permissions import Person, claims_visible_to
from taxonomy.rendering.chips import face

MOST = 8  # completions


def go(request: HttpRequest) -> HttpResponse:
    """Jump to ``layer:index``, ``3b:379``, ``network/layer:index``, a layer or a network; the network at hand first."""
    asked = request.GET.get("q", "").replace("\0", "").strip()[:160]
    here = request.GET.get("network", "").replace("\0", "")
    names = list(Network.objects.values_list("name", flat=True))
    names.sort(key=lambda name: name != here)
    prefix, _, address = asked.rpartition("/")
    wanted = [prefix] if prefix in names else names
    found: list[Neuron] = []
    sentence = ""
    if asked and not names:
        sentence = "No network is registered here yet, so there is no neuron to go to."
    elif ":" in address:
        for name in wanted:
            try:
                found.append(Neuron.objects.at(name, address))
            except Neuron.DoesNotExist as error:
                sentence = sentence or str(error)
    elif asked:
        if asked in names:
            return redirect("network", asked)
        for layer in Layer.objects.filter(network__name__in=wanted).select_related("network"):
            if address.lower() in (layer.name.lower(), layer.short):
                return HttpResponseRedirect(layer.get_absolute_url())
        sentence = f"“{asked}” is no neuron, layer or network here. Write layer:index, such as mixed3b:12."
    if found and (len(found) == 1 or found[0].layer.network.name == here):
        return HttpResponseRedirect(found[0].get_absolute_url())
    context = {"asked": asked, "found": found, "sentence": "" if found else sentence, "networks": names}
    return render(request, "search/go.html", context, status=200 if found or not asked else 404)


@dataclass(frozen=True)
class Completion:
    """What ``[[`` could go on with; ``open`` where more is to be typed behind it."""

    insert: str
    words: str
    kind: str
    face: SafeString | None = None
    open: bool = False


@require_safe
def complete(request: HttpRequest) -> HttpResponse:
    """What a reference begun by ``[[`` in a text about a network could become, as options of a list."""
    asked = " ".join(request.GET.get("q", "").replace("\0", "").split())[:80]
    name = request.GET.get("network", "").replace("\0", "")
    layers = list(Layer.objects.filter(network__name=name).select_related("network", "sprite").order_by("order"))
    begun = asked.casefold()
    if begun.startswith("claim:"):
        found = list(_claims(request.user, layers, begun.removeprefix("claim:").strip()))
    elif begun.startswith("family:"):
        found = list(_families(layers, begun.removeprefix("family:").strip()))
    else:
        found = [*_neurons(layers, begun), *(_families(layers, begun) if begun else [])]
    return render(request, "search/_completions.html", {"completions": found[:MOST]})


def _neurons(layers: list[Layer], begun: str) -> Iterator[Completion]:
    """Layers by what their name begins with or holds; behind the colon, a layer's neurons."""
    name, colon, number = begun.partition(":")
    if not colon:
        for layer in sorted(layers, key=lambda one: not one.short.startswith(name)):
            if name in layer.name.casefold():
                words = f"{layer.name}:0 to {layer.channels - 1}"
                written = layer.short if layer.short.startswith(name) else layer.name
                yield Completion(f"{written}:", words, "layer", open=True)
        return
    found = next((one for one in layers if name in (one.name.casefold(), one.short)), None)
    if found is None or not (number == "" or (number.isascii() and number.isdigit())):
        return
    written = found.short if name == found.short else found.name
    for index in range(found.channels):
        if str(index).startswith(number):
            yield Completion(f"{written}:{index}", f"{found.name}:{index}", "neuron", face(found, index))


def _families(layers: list[Layer], begun: str) -> Iterator[Completion]:
    """By what their name holds, or ``layer/name``. One query."""
    place, _, name = begun.rpartition("/")
    here = {one.pk: one for one in layers if not place or place in (one.name.casefold(), one.short)}
    rows = Family.objects.filter(layer__in=here, retired_at=None, name__icontains=name).order_by("name")
    for family in rows.defer("remark")[:MOST]:
        layer = here[family.layer_id]
        yield Completion(f"family:{layer.short}/{family.name}", f"{family.name} ({layer.name})", "family")


def _claims(user: Person, layers: list[Layer], begun: str) -> Iterator[Completion]:
    """By what their sentence holds, as far as this person may read them; that they did is recorded."""
    if not layers:
        return
    stated = Claim.objects.filter(network=layers[0].network, sentence__icontains=begun, withdrawn_at=None)
    found = list(claims_visible_to(user, stated).order_by("-pk")[:MOST])
    if isinstance(user, User):
        claims.look(user, found)
    for claim in found:
        yield Completion(f"claim:{claim.public_id}", claim.sentence, "claim")
