"""Sorting sheets: similar neurons, read together."""

from typing import Any

from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from taxonomy.actions import sheets
from taxonomy.api.labels import LabelSerializer, ReadingBody, reading_of
from taxonomy.api.queue import LeaseSerializer
from taxonomy.api.resources import Address, Body, NetworkName, NoBody, Resource, layer_called, network_called
from taxonomy.models import Label, Neuron, Sheet
from taxonomy.permissions import can_label


class SheetSerializer(serializers.ModelSerializer):
    id = serializers.UUIDField(source="public_id")
    network = serializers.CharField(source="layer.network.name")
    layer = serializers.CharField(source="layer.name")
    leases = serializers.SerializerMethodField(help_text="what is still to be read, the most alike beside each other")

    class Meta:
        model = Sheet
        fields = ["id", "network", "layer", "leases"]

    @extend_schema_field(LeaseSerializer(many=True))
    def get_leases(self, sheet: Sheet) -> Any:
        return LeaseSerializer(sheets.leases_of(sheet), many=True).data


class SheetBody(Body):
    network = NetworkName()
    layer = serializers.CharField(max_length=60)


class SortBody(ReadingBody):
    neurons = serializers.ListField(
        child=Address(), min_length=1, max_length=sheets.ON_A_SHEET, help_text="addresses of neurons on the sheet"
    )
    submission = serializers.UUIDField(help_text="your own key: sent twice, it is taken once")


class LabelsSerializer(serializers.Serializer):
    labels = LabelSerializer(many=True)


class SheetViewSet(Resource):
    """Twenty-four similar neurons of a layer in your hands."""

    gate = staticmethod(can_label)

    def get_object(self) -> Any:
        """One's own sheet; of others' there is nothing to say."""
        found = Sheet.objects.filter(public_id=self.kwargs["public_id"], person=self.request.user)
        sheet = found.select_related("layer__network").first()
        if sheet is None:
            raise NotFound("You have no such sheet. Take one of a layer at /api/v1/sheets/.")
        return sheet

    @extend_schema(request=SheetBody, responses=SheetSerializer)
    def create(self, request: Request) -> Response:
        """Take a sheet of a layer: the one that you have open, or a new one."""
        values = self.checked(request, SheetBody)
        layer = layer_called(network_called(values["network"]), values["layer"])
        sheet = sheets.take(request.user, layer)
        if sheet is None:
            raise NotFound(f"No neuron of {layer} asks for your reading just now. Try another layer.")
        return Response(SheetSerializer(sheet).data)

    @extend_schema(request=SortBody, responses={201: LabelsSerializer})
    def submit(self, request: Request, public_id: Any) -> Response:
        """Read some neurons of the sheet alike: one label each, all of them or none."""
        sheet, values = self.get_object(), self.checked(request, SortBody)
        addresses, submission = values.pop("neurons"), values.pop("submission")
        chosen = Neuron.objects.each_at(sheet.layer.network.name, addresses)
        reading = reading_of(sheet.layer, values)
        given = sheets.submit(request.user, sheet, chosen, submission=submission, **reading)
        shown = Label.objects.with_rows().filter(pk__in=[label.pk for label in given]).order_by("pk")
        return Response({"labels": LabelSerializer(shown, many=True).data}, status=201)

    @extend_schema(request=None, responses={204: None})
    def give_back(self, request: Request, public_id: Any) -> Response:
        """Put the sheet down: its neurons go to others."""
        self.checked(request, NoBody)
        sheets.give_back(request.user, self.get_object())
        return Response(status=204)
