"""Gold neurons: marked by editors, met by contributors unawares."""

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, serializers
from rest_framework.request import Request
from rest_framework.response import Response

from taxonomy.actions import gold
from taxonomy.api.resources import Address, Body, NetworkName, NeuronFilter, NoBody, Resource, network_called
from taxonomy.models import Gold, Neuron
from taxonomy.permissions import can_label, can_steer_queue, require


class GoldSerializer(serializers.ModelSerializer):
    network = serializers.CharField(source="neuron.layer.network.name")
    neuron = serializers.CharField(source="neuron.address")
    marked_by = serializers.CharField(source="marked_by.username")

    class Meta:
        model = Gold
        fields = ["network", "neuron", "marked_by", "reason", "at", "ended_at"]


class GoldBody(Body):
    network = NetworkName()
    neuron = Address(help_text="layer:index")
    reason = serializers.CharField(max_length=5_000, help_text="why its accepted family is beyond doubt")


class RecordSerializer(serializers.Serializer):
    answered = serializers.IntegerField(help_text="gold neurons that you have read")
    right = serializers.IntegerField(help_text="of these, so many within the accepted family")


class GoldViewSet(mixins.ListModelMixin, Resource):
    """Which neurons are gold is for editors alone; how well one's own readings held, for oneself."""

    serializer_class = GoldSerializer
    filterset_class = NeuronFilter
    gate = staticmethod(can_steer_queue)

    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        require(can_steer_queue(request.user))
        return super().list(request, *args, **kwargs)

    def get_queryset(self) -> QuerySet[Gold]:
        return Gold.objects.current().select_related("neuron__layer__network", "marked_by").order_by("-id")

    @extend_schema(request=GoldBody, responses={201: GoldSerializer})
    def create(self, request: Request) -> Response:
        """Mark an accepted neuron as gold."""
        values = self.checked(request, GoldBody)
        neuron = Neuron.objects.at(network_called(values["network"]).name, values["neuron"])
        return Response(GoldSerializer(gold.mark(request.user, neuron, values["reason"])).data, status=201)

    @extend_schema(request=None, responses=GoldSerializer)
    def unmark(self, request: Request, network: str, address: str) -> Response:
        """The neuron is gold no more."""
        self.checked(request, NoBody)
        neuron = Neuron.objects.at(network_called(network).name, address)
        return Response(GoldSerializer(gold.unmark(request.user, neuron)).data)


class RecordViewSet(Resource):
    gate = staticmethod(can_label)

    @extend_schema(responses=RecordSerializer)
    def retrieve(self, request: Request) -> Response:
        """How many gold neurons you have read, and how many of them right."""
        require(can_label(request.user))
        answered, right = gold.record_of(request.user)
        return Response({"answered": answered, "right": right})
