"""The jump box: an address, a layer or a network, typed from any page."""

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render

from taxonomy.models import Layer, Network, Neuron


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
