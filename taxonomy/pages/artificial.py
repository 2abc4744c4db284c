"""A note's circuit as a Python file that builds it by hand."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from taxonomy.actions import labels
from taxonomy.models import Family, Layer, Membership, Network, Neuron, User
from taxonomy.models.notes import Subgraph
from taxonomy.pages.notes import asked_of, note_of
from taxonomy.permissions import Person, can_see_members, hidden_from, require
from taxonomy.rendering.artificial import ARCHITECTURE, End, Unbuildable, build

EMPTY: Subgraph = {"nodes": [], "edges": [], "threshold": 0.3}


@require_safe
def artificial(request: HttpRequest, public_id: str) -> HttpResponse:
    """The file for the version that the note's page shows, or ``?version=`` names; or a sentence: why there is none."""
    note = note_of(request, public_id)
    version = asked_of(request, note)
    subgraph: Subgraph = version.subgraph or EMPTY
    address = request.build_absolute_uri(version.get_absolute_url())
    try:
        if note.network.architecture != ARCHITECTURE:
            raise Unbuildable(
                f"Only circuits of the hand-written curve network can be built by hand: the rules are those of its "
                f"families, and this note is about {note.network.name}."
            )
        ends = ends_of(request.user, note.network, subgraph)
        text = build(f"{version.title} (version {version.number}), {address}", subgraph, ends)
    except Unbuildable as error:
        return render(request, "artificial/refused.html", {"sentence": str(error), "note": note}, status=422)
    response = HttpResponse(text, content_type="text/x-python; charset=utf-8")
    stem = f"note_{note.number}" if note.number else f"note_{str(note.public_id)[:8]}"
    response["Content-Disposition"] = f'attachment; filename="artificial_{stem}.py"'
    return response


def ends_of(user: Person, network: Network, subgraph: Subgraph) -> dict[str, End]:
    """For each node of the subgraph the layer and the name of its family. Four queries at most.

    Raises:
        Refused: while the file would tell the family of a neuron that this person is to read first.
        Unbuildable: for a neuron without a family.
    """
    layers = {layer.name: layer for layer in Layer.objects.filter(network=network)}
    wanted = {node["family"] for node in subgraph["nodes"] if node["family"]}
    families = {
        str(family.public_id): family
        for family in Family.objects.filter(layer__network=network, public_id__in=wanted).select_related("layer")
    }
    addresses = {node["neuron"] for node in subgraph["nodes"] if node["neuron"]}
    neurons = {}
    if addresses:
        asked = Neuron.objects.filter(
            layer__in=layers.values(), index__in={int(address.partition(":")[2]) for address in addresses}
        )
        neurons = {one.address: one for one in asked.select_related("layer") if one.address in addresses}
    hidden = hidden_from(user) if neurons else frozenset()
    require(can_see_members(any(neuron.pk in hidden for neuron in neurons.values())))
    members = Membership.objects.shown(hidden).filter(neuron__in=neurons.values(), primary=True)
    kin = {member.neuron_id: member.family for member in members.select_related("family")} if neurons else {}
    if isinstance(user, User):
        labels.reveal(user, *neurons.values())
    found: dict[str, End] = {}
    for node in subgraph["nodes"]:
        if node["neuron"]:
            neuron = neurons.get(node["neuron"])
            family = kin.get(neuron.pk) if neuron is not None else None
            if neuron is None or family is None:
                raise Unbuildable(
                    f"{node['neuron']} is in no family, and what it is to be built as would be a guess. Draw a family "
                    "in its place, or leave it out."
                )
            found[node["id"]] = neuron.layer.name, family.name
        else:
            known = families.get(node["family"])
            if known is None:
                raise Unbuildable("A family of this circuit is not there any more. Draw another one in its place.")
            found[node["id"]] = known.layer.name, known.name
    return found
