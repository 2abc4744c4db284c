"""Registering networks."""

from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from taxonomy import events
from taxonomy.models import Layer, Network, Neuron, User
from taxonomy.permissions import can_keep_catalogue, require


@transaction.atomic
def register(
    user: User,
    *,
    name: str,
    description: dict[str, Any],
    title: str = "",
    about: str = "",
    source: str = "",
    licence: str = "",
    weights_file: str = "",
    weights_suffix: str = "",
    definition: dict[str, Any] | None = None,
) -> Network:
    """Write a network with its layers and neurons.

    Args:
        description: what ``workers.zoo.describe`` found: architecture, layers, preprocessing, weights digest...
        weights_file: SHA-256 of the weights in ``storage``; empty for a generated or catalogued network.
        definition: of an operator's own module, as ``Network.definition``; the file is in ``storage`` too.

    Raises:
        Refused: when the user keeps no catalogue.
        ValidationError: when the name is taken or is no name.
    """
    require(can_keep_catalogue(user))
    network = Network(
        name=name,
        title=title or name,
        architecture=description["architecture"],
        description=about,
        source=source,
        licence=licence,
        weights_digest=description["weights_digest"] or "",
        weights_file=weights_file,
        weights_suffix=weights_suffix,
        definition=definition or {},
        preprocessing=description["preprocessing"],
        class_names=description["class_names"],
        parameters=description.get("parameters") or 0,
    )
    taken = ValidationError(f"There is a network '{name}' already. Choose another with --name.")
    if Network.objects.filter(name=name).exists():
        raise taken
    network.full_clean()
    try:
        with transaction.atomic():
            network.save()
    except IntegrityError as error:  # somebody registered it a moment ago
        raise taken from error
    for found in description["layers"]:
        layer = Layer.objects.create(
            network=network,
            name=found["name"],
            order=found["order"],
            channels=found["channels"],
            fields=[
                {"branch": branch, "channels": count, **field}
                for (branch, count), field in zip(found["branches"], found["fields"], strict=True)
            ],
        )
        Neuron.objects.bulk_create(Neuron(layer=layer, index=index) for index in range(layer.channels))
    events.record(user, "network.registered", network=network, data={"architecture": network.architecture})
    return network
