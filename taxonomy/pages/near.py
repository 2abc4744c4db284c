"""The neurons most like one, by what the vectors of its evidence say."""

from collections.abc import Sequence
from dataclasses import dataclass

from taxonomy.models import Neuron, Vector
from taxonomy.pages.exhibits import Exhibit

SHOWN = 8
SEARCHED = 3 * SHOWN  # a neuron may have several vectors, of several recipes


@dataclass
class Alike:
    neuron: Neuron
    similarity: float  # the cosine: 1 is the same, 0 is unrelated


def find(exhibits: Sequence[Exhibit]) -> None:
    """Tell exhibits of one neuron, of kind ``neighbours``, who is near, here and in other networks. Three queries."""
    versions = {one.version.evidence_id for one in exhibits if one.version is not None}
    vectors = {vector.likeness: vector for vector in Vector.objects.filter(evidence__in=versions)}
    if not vectors:
        return
    shelf = exhibits[0].shelf
    searches = []
    for vector in vectors.values():
        near = Vector.objects.near(vector).values_list("likeness", "neuron", "distance")  # type: ignore[misc]
        own = {"neuron__layer__network": shelf.network}
        searches += [near.filter(**own)[:SEARCHED], near.exclude(**own)[:SEARCHED]]
    rows = sorted(searches[0].union(*searches[1:], all=True), key=lambda row: row[2])
    neurons = Neuron.objects.select_related("layer__network", "layer__sprite").in_bulk({row[1] for row in rows})
    for likeness in vectors:
        here: dict[int, Alike] = {}
        elsewhere: dict[int, Alike] = {}
        for one, pk, distance in rows:
            if one == likeness:
                neuron = neurons[pk]
                side = here if neuron.layer.network_id == shelf.network.pk else elsewhere
                side.setdefault(pk, Alike(neuron, 1.0 - float(distance)))
        shelf.near[likeness] = list(here.values())[:SHOWN], list(elsewhere.values())[:SHOWN]
