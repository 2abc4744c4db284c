"""Networks, layers, neurons."""

from collections.abc import Sequence
from typing import Any

from django.db.models import Count, OuterRef, Prefetch, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, serializers
from rest_framework.request import Request
from rest_framework.response import Response

from taxonomy.actions import labels
from taxonomy.api.resources import NeuronFilter, Resource, RevealingList, layer_called, network_called
from taxonomy.models import Family, Layer, Membership, Network, Neuron, settled_neurons
from taxonomy.permissions import hidden_from, told_in_passing


class NetworkSerializer(serializers.ModelSerializer):
    layers = serializers.SerializerMethodField()
    neurons = serializers.IntegerField(source="neuron_count")
    settled = serializers.IntegerField(source="settled_count", help_text="neurons with an accepted or contested family")
    runs = serializers.BooleanField(help_text="whether evidence can be made here; a catalogue has no weights")

    class Meta:
        model = Network
        fields = [
            *("name", "title", "architecture", "description", "source", "licence", "runs", "weights_digest"),
            *("parameters", "preprocessing", "class_names", "layers", "neurons", "settled", "created_at"),
        ]

    def get_layers(self, network: Network) -> list[str]:
        return [layer.name for layer in network.layers.all()]


class NetworkViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, Resource):
    """Trained models."""

    serializer_class = NetworkSerializer
    lookup_field = "name"

    def get_queryset(self) -> QuerySet[Network]:
        settled = Count("layers__neurons", filter=settled_neurons(hidden_from(self.request.user), "layers__neurons__"))
        return (
            Network.objects.annotate(neuron_count=Count("layers__neurons"), settled_count=settled)
            .prefetch_related("layers")
            .order_by("created_at", "id")
        )

    def get_object(self) -> Any:
        return self.get_queryset().get(pk=network_called(self.kwargs["name"]).pk)


class FieldSerializer(serializers.Serializer):
    """The channels of one branch, in order, and what each of their units sees of the picture."""

    branch = serializers.CharField()
    channels = serializers.IntegerField()
    size = serializers.IntegerField()
    stride = serializers.IntegerField()
    start = serializers.IntegerField()


class LayerSerializer(serializers.ModelSerializer):
    network = serializers.CharField(source="network.name")
    receptive_fields = FieldSerializer(source="fields", many=True, help_text="in pixels of the network's input")
    families = serializers.IntegerField(source="family_count")
    settled = serializers.IntegerField(source="settled_count", help_text="neurons with an accepted or contested family")

    class Meta:
        model = Layer
        fields = ["network", "name", "order", "channels", "receptive_fields", "families", "settled"]


class LayerFilter(filters.FilterSet):
    network = filters.CharFilter(method="of_network", help_text="a network's name")

    def of_network(self, queryset: QuerySet[Layer], name: str, value: str) -> QuerySet[Layer]:
        return queryset.filter(network=network_called(value))


def _how_many(rows: QuerySet[Any]) -> Coalesce:
    """How many of these a layer has. One join each for two kinds of rows would multiply them."""
    counted = rows.filter(layer=OuterRef("pk")).order_by().values("layer").annotate(count=Count("pk"))
    return Coalesce(Subquery(counted.values("count")), 0)


class LayerViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, Resource):
    """Named activation points of networks."""

    serializer_class = LayerSerializer
    filterset_class = LayerFilter

    def get_queryset(self) -> QuerySet[Layer]:
        families = Family.objects.filter(retired_at=None)
        settled = Neuron.objects.settled(hidden_from(self.request.user))
        return (
            Layer.objects.select_related("network")
            .annotate(family_count=_how_many(families), settled_count=_how_many(settled))
            .order_by("network__created_at", "network_id", "order")
        )

    def get_object(self) -> Any:
        layer = layer_called(network_called(self.kwargs["network"]), self.kwargs["layer"])
        return self.get_queryset().get(pk=layer.pk)


class MemberOfSerializer(serializers.ModelSerializer):
    """A family that a neuron was accepted into."""

    id = serializers.IntegerField(source="family_id")
    name = serializers.CharField(source="family.name")

    class Meta:
        model = Membership
        fields = ["id", "name", "primary", "parameter"]


class NeuronSerializer(serializers.ModelSerializer):
    subject = serializers.SerializerMethodField(help_text="network/layer:index, as evidence names it")
    network = serializers.CharField(source="layer.network.name")
    layer = serializers.CharField(source="layer.name")
    standing = serializers.SerializerMethodField(
        help_text="null while the neuron is unsettled and you have not given your own reading (or, reviewing, asked "
        "for its labels), and while you are to read a settled one first"
    )
    readings = serializers.IntegerField(help_text="how many people have read it")
    families = MemberOfSerializer(source="current_memberships", many=True)

    class Meta:
        model = Neuron
        fields = ["subject", "network", "layer", "index", "address", "standing", "readings", "families"]

    def get_subject(self, neuron: Neuron) -> str:
        return str(neuron)

    def get_standing(self, neuron: Neuron) -> str | None:
        return neuron.standing if standing_is_shown(self.context["request"], neuron) else None


def standing_is_shown(request: Request, neuron: Any) -> bool:
    """Whether a list tells it: of a settled neuron to everybody, of others to who knows its readings already."""
    return bool(neuron.is_shown_settled or neuron.is_told)


class NeuronsFilter(NeuronFilter):
    path = "layer"
    settled = filters.BooleanFilter(method="of_settled", help_text="true: accepted or contested; false: the others")

    def of_settled(self, queryset: QuerySet[Neuron], name: str, value: bool) -> QuerySet[Neuron]:
        settled = settled_neurons(hidden_from(self.request.user))
        return queryset.filter(settled) if value else queryset.exclude(settled)


class NeuronViewSet(mixins.RetrieveModelMixin, RevealingList):
    """Channels of layers. There is no filter by standing beyond *settled*: it would tell what is hidden."""

    serializer_class = NeuronSerializer
    filterset_class = NeuronsFilter

    def get_queryset(self) -> QuerySet[Neuron]:
        user = self.request.user
        hidden = hidden_from(user)
        current = Membership.objects.shown(hidden).select_related("family").order_by("-primary", "pk")
        return (
            Neuron.objects.select_related("layer__network")
            .annotate(is_shown_settled=settled_neurons(hidden), is_told=told_in_passing(user) & ~Q(pk__in=hidden))
            .prefetch_related(Prefetch("memberships", queryset=current, to_attr="current_memberships"))
            .order_by("layer__network_id", "layer__order", "index")
        )

    @extend_schema(parameters=[])
    def retrieve(self, request: Request, network: str, address: str) -> Response:
        found = Neuron.objects.at(network_called(network).name, address)
        neuron = self.get_queryset().get(pk=found.pk)
        self.reveal([neuron])
        return Response(self.get_serializer(neuron).data)

    def reveal(self, neurons: Sequence[Neuron]) -> None:
        """What an answer shows of other people's readings is recorded, as a page's would be."""
        if self.request.user.is_authenticated:
            told: list[Any] = [neuron for neuron in neurons if neuron.readings or neuron.is_settled]
            labels.reveal(self.request.user, *[neuron for neuron in told if standing_is_shown(self.request, neuron)])
