"""The catalogue: networks, their layers, their neurons."""

import re
import uuid
from collections.abc import Collection
from functools import reduce
from operator import or_
from typing import Self

from django.core.validators import RegexValidator
from django.db import models
from django.urls import reverse

NETWORK_NAME = r"[a-z0-9][a-z0-9_.-]*"


class Network(models.Model):
    """A trained model. Without a weights file it is a catalogue: neurons to name, no evidence to make here."""

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    name = models.CharField(max_length=60, unique=True, validators=[RegexValidator(rf"^{NETWORK_NAME}\Z")])
    title = models.CharField(max_length=120)
    architecture = models.CharField(max_length=60)
    description = models.TextField(blank=True)
    source = models.CharField(max_length=300, blank=True)
    licence = models.CharField(max_length=120, blank=True)
    weights_digest = models.CharField(max_length=64, blank=True)
    weights_file = models.CharField(max_length=64, blank=True, help_text="SHA-256 of the stored weights file")
    weights_suffix = models.CharField(max_length=16, blank=True)
    definition = models.JSONField(
        default=dict,
        blank=True,
        help_text='an operator\'s own module: {"file": SHA-256 of the stored Python file, "factory", "layers"}',
    )
    preprocessing = models.JSONField(default=dict, blank=True)
    class_names = models.JSONField(default=list, blank=True)
    parameters = models.PositiveBigIntegerField(default=0)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["created_at", "id"]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("network", args=[self.name])

    @property
    def runs(self) -> bool:
        """Whether the workers can compute with it."""
        return bool(self.weights_digest)


class Layer(models.Model):
    """A named activation point. ``fields`` gives, for each branch in channel order, its channels and receptive field:
    ``[{"branch": "expand3x3", "channels": 128, "size": 47, "stride": 8, "start": -4}]``, in input pixels."""

    network = models.ForeignKey(Network, models.PROTECT, related_name="layers")
    name = models.CharField(max_length=60)
    order = models.PositiveIntegerField()
    channels = models.PositiveIntegerField()
    fields = models.JSONField(default=list, blank=True)
    overlap = models.PositiveSmallIntegerField(default=3, help_text="how many readings each of its neurons asks for")

    class Meta:
        ordering = ["order"]
        constraints = [
            models.UniqueConstraint(fields=["network", "name"], name="layer_name_is_unique_in_network"),
            models.UniqueConstraint(fields=["network", "order"], name="layer_order_is_unique_in_network"),
            models.CheckConstraint(
                condition=models.Q(overlap__gte=3, overlap__lte=9), name="layer_overlap_is_three_to_nine"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.network.name}/{self.name}"

    def get_absolute_url(self) -> str:
        return reverse("layer", args=[self.network.name, self.name])

    @property
    def short(self) -> str:
        """What people type for it: ``3b`` for mixed3b."""
        return re.sub(r"^[a-z]+", "", self.name)


class Standing(models.TextChoices):
    """Where a neuron stands (``consensus.py`` and ``actions/`` decide; the words are those of docs/vocabulary.md)."""

    UNLABELLED = "unlabelled"
    SINGLE = "single"
    OPEN = "open"
    AGREED = "agreed"
    NEEDS_EVIDENCE = "needs evidence"
    NEEDS_FAMILY = "needs family"
    DISPUTED = "disputed"
    ACCEPTED = "accepted"
    CONTESTED = "contested"
    STALE = "stale"


# A person decided, and everybody may know: a stale answer was accepted before it has to be confirmed again.
SETTLED = (Standing.ACCEPTED, Standing.CONTESTED, Standing.STALE)


def _parts(address: str) -> tuple[str, int]:
    """The layer's name, or its short form, and the index that an address is made of."""
    match = re.fullmatch(r"\s*([\w.-]{1,60}):(\d{1,9})\s*", address)
    if match is None:
        raise Neuron.DoesNotExist(
            f"'{address[:80]}' is not a neuron's address. Write layer:index, such as mixed3b:379."
        )
    return match[1], int(match[2])


def _require_channel(layer: Layer, index: int) -> None:
    if index >= layer.channels:
        raise Neuron.DoesNotExist(
            f"{layer} has {layer.channels} neurons, numbered 0 to {layer.channels - 1}: there is no {index}."
        )


class NeuronQuerySet(models.QuerySet["Neuron"]):
    def at(self, network: str, address: str) -> "Neuron":
        """The neuron at ``layer:index``; the short form ``3b:379`` finds ``mixed3b:379``.

        Raises:
            Neuron.DoesNotExist: with a sentence that says which part is not there.
        """
        return self.each_at(network, [address])[0]

    def each_at(self, network: str, addresses: Collection[str]) -> list["Neuron"]:
        """The neurons at these addresses, in their order; two queries however many, and none for none.

        Raises:
            Neuron.DoesNotExist: as ``at``, for the first that is not there.
        """
        if not addresses:
            return []
        written = [_parts(address) for address in addresses]
        layers = list(Layer.objects.filter(network__name=network).select_related("network"))
        if not layers:
            raise Neuron.DoesNotExist(f"There is no network '{network}' here.")
        named = {layer.short: layer for layer in reversed(layers)} | {layer.name: layer for layer in layers}
        asked: dict[int, set[int]] = {}
        for name, index in written:
            if name not in named:
                names = ", ".join(layer.name for layer in layers)
                raise Neuron.DoesNotExist(f"{network} has no layer '{name}'. Its layers are {names}.")
            _require_channel(named[name], index)
            asked.setdefault(named[name].pk, set()).add(index)
        rows = self.filter(reduce(or_, (models.Q(layer=pk, index__in=indices) for pk, indices in asked.items())))
        found = {(neuron.layer_id, neuron.index): neuron for neuron in rows}
        neurons: list[Neuron] = []
        for name, index in written:
            layer = named[name]
            if (layer.pk, index) not in found:
                raise Neuron.DoesNotExist(f"There is no neuron {name}:{index} here.")
            neurons.append(found[layer.pk, index])
            neurons[-1].layer = layer
        return neurons

    def of(self, layer: Layer, index: int) -> "Neuron":
        """The layer's neuron of this index.

        Raises:
            Neuron.DoesNotExist: with a sentence that says which there are.
        """
        _require_channel(layer, index)
        neuron = self.get(layer=layer, index=index)
        neuron.layer = layer
        return neuron

    def with_layers(self, pks: Collection[int]) -> list["Neuron"]:
        """The neurons of these ids; one query, and none for none."""
        return list(self.filter(pk__in=pks).select_related("layer")) if pks else []

    def settled(self, hidden: Collection[int] = ()) -> Self:
        """Those whose answer everybody is shown, but not who is to read the ``hidden`` ones first."""
        return self.filter(settled_neurons(hidden))


def settled_neurons(hidden: Collection[int] = (), path: str = "") -> models.Q:
    """The condition of ``NeuronQuerySet.settled``, for counting neurons over ``path`` (such as ``"neurons__"``).

    Args:
        hidden: settled neurons whose answer is hidden from whoever asks (``permissions.hidden_from``).
    """
    found = models.Q(**{f"{path}standing__in": SETTLED})
    return found & ~models.Q(**{f"{path}pk__in": hidden}) if hidden else found


class Neuron(models.Model):
    """One channel of one layer, shared over all positions."""

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    layer = models.ForeignKey(Layer, models.PROTECT, related_name="neurons")
    index = models.PositiveIntegerField()
    # Derived from the current labels and decisions by actions/, kept here so that a map of 10,000 is one query.
    standing = models.CharField(max_length=16, choices=Standing, default=Standing.UNLABELLED)
    readings = models.PositiveIntegerField(default=0, help_text="how many people have a current label on it")
    asks = models.PositiveSmallIntegerField(default=3, help_text="how many readings it asks for by now")

    objects = NeuronQuerySet.as_manager()

    class Meta:
        ordering = ["layer_id", "index"]
        constraints = [
            models.UniqueConstraint(fields=["layer", "index"], name="neuron_index_is_unique_in_layer"),
            models.CheckConstraint(condition=models.Q(standing__in=Standing.values), name="neuron_standing_is_known"),
        ]
        indexes = [
            models.Index(fields=["standing", "readings"], name="neuron_by_standing"),
            models.Index(
                fields=["layer", "-readings", "index"],
                condition=models.Q(asks__gt=models.F("readings")),
                name="neuron_that_asks",
            ),
            models.Index(
                fields=["-readings", "layer", "index"],
                condition=models.Q(asks__gt=models.F("readings")),
                name="neuron_that_asks_anywhere",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.layer.network.name}/{self.address}"

    def get_absolute_url(self) -> str:
        return reverse("neuron", args=[self.layer.network.name, self.layer.name, self.index])

    @property
    def address(self) -> str:
        return f"{self.layer.name}:{self.index}"

    @property
    def is_settled(self) -> bool:
        return self.standing in SETTLED

    @property
    def progress(self) -> str:
        """What everybody may know of an unsettled neuron: "2 of 3 readings".

        Of as many as its layer asks for, not of ``asks``: that grows while the readings do not agree, and would tell.
        """
        if self.readings > self.layer.overlap:
            return f"{self.readings} readings, of {self.layer.overlap} asked for"
        return f"{self.readings} of {self.layer.overlap} readings"
