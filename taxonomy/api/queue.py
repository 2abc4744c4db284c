"""The labelling queue: what it hands out, what goes back, and how many readings it asks for."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from taxonomy.actions import leases, overlaps
from taxonomy.api.resources import Address, Body, NetworkName, NoBody, Resource, layer_called, network_called
from taxonomy.models import Layer, Lease, Neuron
from taxonomy.permissions import can_label, can_steer_queue

AT_ONCE = 10
# So many addresses are passed over at once.
PASSED_OVER = 200


class LeaseSerializer(serializers.Serializer):
    """A neuron in your hands. Send the token along with the label, or give it back."""

    token = serializers.UUIDField()
    network = serializers.CharField(source="neuron.layer.network.name")
    neuron = serializers.CharField(source="neuron.address")
    expires_at = serializers.DateTimeField(help_text="until then nobody else is asked in your place")

    def to_representation(self, lease: Lease) -> dict[str, Any]:
        # By hand: it stands in the answer to every label.
        return {
            "token": str(lease.token),
            "network": lease.neuron.layer.network.name,
            "neuron": lease.neuron.address,
            "expires_at": lease.expires_at.isoformat().replace("+00:00", "Z"),
        }


class LeasesSerializer(serializers.Serializer):
    leases = LeaseSerializer(many=True, help_text="empty when nothing here asks for your reading")


class QueueBody(Body):
    """Where the next neuron is to come from: anywhere, a network, or a layer of it."""

    network = NetworkName(required=False, allow_null=True, default=None)
    layer = serializers.CharField(required=False, allow_null=True, default=None, max_length=60)
    skipping = serializers.ListField(
        child=Address(), default=list, max_length=PASSED_OVER, help_text="addresses in the network to pass over"
    )
    count = serializers.IntegerField(default=1, min_value=1, max_value=AT_ONCE)

    def validate(self, values: dict[str, Any]) -> dict[str, Any]:
        if values["network"] is None and (values["layer"] or values["skipping"]):
            raise serializers.ValidationError("Say which network: a layer or an address is one of a network.")
        return values


def where(values: dict[str, Any]) -> dict[str, Any]:
    """What a checked ``QueueBody`` says, as ``leases.take`` takes it."""
    network = network_called(values["network"]) if values["network"] is not None else None
    skipped = Neuron.objects.each_at(network.name, values["skipping"]) if network else []
    return {
        "network": network,
        "layer": layer_called(network, values["layer"]) if network and values["layer"] else None,
        "skipping": frozenset(neuron.pk for neuron in skipped),
        "count": values["count"],
    }


class OverlapBody(Body):
    overlap = serializers.IntegerField(help_text="3 to 9")


class OverlapSerializer(serializers.ModelSerializer):
    network = serializers.CharField(source="network.name")
    layer = serializers.CharField(source="name")

    class Meta:
        model = Layer
        fields = ["network", "layer", "overlap"]


class QueueViewSet(Resource):
    """Neurons that ask for readings, handed out to no more people than they ask for."""

    gate = staticmethod(can_label)

    @extend_schema(request=QueueBody, responses=LeasesSerializer)
    def create(self, request: Request) -> Response:
        """Take the next neurons. Those that you hold already come first."""
        taken = leases.take(request.user, **where(self.checked(request, QueueBody)))
        return Response({"leases": LeaseSerializer(taken, many=True).data})

    @extend_schema(request=None, responses={204: None})
    def give_back(self, request: Request, token: Any) -> Response:
        """Skip a neuron: it goes to others. Giving it back twice changes nothing."""
        self.checked(request, NoBody)
        leases.give_back(request.user, token)
        return Response(status=204)


class OverlapViewSet(Resource):
    gate = staticmethod(can_steer_queue)

    @extend_schema(request=OverlapBody, responses=OverlapSerializer)
    def create(self, request: Request, network: str, layer: str) -> Response:
        """Set how many readings each neuron of a layer asks for. Editors alone."""
        values = self.checked(request, OverlapBody)
        changed = overlaps.change(request.user, layer_called(network_called(network), layer), values["overlap"])
        return Response(OverlapSerializer(changed).data)
