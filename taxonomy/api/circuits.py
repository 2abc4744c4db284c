"""Growing a circuit from a neuron's weights, for a program that writes a note."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from taxonomy.actions import circuits
from taxonomy.api.notes import Subgraph
from taxonomy.api.resources import Resource, network_called
from taxonomy.models import Neuron
from taxonomy.permissions import can_write_note, require


class GrowthQuery(serializers.Serializer):
    threshold = serializers.FloatField(
        default=circuits.THRESHOLD,
        error_messages={"invalid": circuits.NO_SHARE},
        help_text="the share of a neuron's strongest weight that an input reaches: above 0, at most 1",
    )
    depth = serializers.IntegerField(
        default=circuits.DEPTH,
        error_messages={"invalid": circuits.NO_DEPTH},
        help_text=f"how many layers deep: 1 to {circuits.DEEPEST}",
    )


class GrownSerializer(serializers.Serializer):
    subgraph = Subgraph(help_text="as a note's version takes it: change it, and send it with the note")
    selection = serializers.CharField(
        help_text="how its neurons were chosen, in words that follow from the subgraph; the note's page says them too"
    )


class CircuitViewSet(Resource):
    """The circuit behind a neuron, by rule. Nothing is saved."""

    def query_parameters(self) -> list[str]:
        return ["threshold", "depth"]

    @extend_schema(parameters=[GrowthQuery], responses=GrownSerializer)
    def grow(self, request: Request, network: str, address: str) -> Response:
        """Those inputs whose strongest weight reaches ``threshold`` of the neuron's largest, and theirs, ``depth``
        layers deep. Where a circuit has no room for all of them the strongest are taken, and the rest is counted.

        For who may write notes. It tells of weights alone, so nobody counts as having seen how the neurons are read.
        """
        require(can_write_note(request.user))
        neuron = Neuron.objects.at(network_called(network).name, address)
        query = GrowthQuery(data=request.query_params)
        query.is_valid(raise_exception=True)
        subgraph = circuits.grow(neuron.layer.network, neuron, **query.validated_data)
        told: dict[str, Any] = {"subgraph": subgraph, "selection": circuits.selection(subgraph)}
        return Response(GrownSerializer(told).data)
