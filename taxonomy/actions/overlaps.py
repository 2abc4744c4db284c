"""How many readings the neurons of a layer ask for."""

from django.core.exceptions import ValidationError
from django.db import transaction

from taxonomy import consensus, events
from taxonomy.actions import labels
from taxonomy.models import SETTLED, Layer, Neuron, User
from taxonomy.permissions import can_steer_queue, require

LARGEST_OVERLAP = 9


@transaction.atomic
def change(user: User, layer: Layer, overlap: int) -> Layer:
    """Set how many readings each neuron of a layer asks for; what its unsettled neurons ask for follows at once.

    Lowered, no label and no lease is lost: what is in somebody's hands may still be answered.

    Raises:
        Refused: to anyone but editors.
        ValidationError: when ``overlap`` is not 3 to 9.
    """
    require(can_steer_queue(user))
    if overlap not in range(consensus.PEOPLE_TO_AGREE, LARGEST_OVERLAP + 1):
        raise ValidationError(f"A neuron asks for {consensus.PEOPLE_TO_AGREE} to {LARGEST_OVERLAP} readings.")
    layer = Layer.objects.select_for_update(of=["self"], no_key=True).select_related("network").get(pk=layer.pk)
    if layer.overlap == overlap:
        return layer
    before, layer.overlap = layer.overlap, overlap
    layer.save(update_fields=["overlap"])
    _ask(layer)
    events.record(user, "overlap.changed", layer=layer, data={"from": before, "to": overlap})
    return layer


def _ask(layer: Layer) -> None:
    """Derive again what the layer's unsettled neurons ask for."""
    unsettled = layer.neurons.exclude(standing__in=SETTLED).order_by("pk")
    neurons = list(unsettled.select_for_update(of=["self"], no_key=True))
    found = labels.readings_by_neuron(neurons, labels.needs_of(neurons))
    for neuron in neurons:
        neuron.asks = consensus.asked(found[neuron.pk], neuron.standing, layer.overlap)
    Neuron.objects.bulk_update(neurons, ["asks"])
