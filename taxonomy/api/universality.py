"""Which families of two networks are alike, and linking families."""

from collections.abc import Mapping
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from taxonomy.actions import families, universality
from taxonomy.api.families import LinkSerializer
from taxonomy.api.resources import Body, Resource, choice, network_called
from taxonomy.models import Family, LinkKind
from taxonomy.permissions import can_link_families, hidden_from

ENDS = ("first", "second")


class EndSerializer(serializers.ModelSerializer):
    network = serializers.CharField(source="layer.network.name")
    layer = serializers.CharField(source="layer.name")

    class Meta:
        model = Family
        fields = ["id", "network", "layer", "name"]


class AlikeSerializer(serializers.Serializer):
    """Cosines of the families' mean vectors, null where one of them was not measured so: ``tuning`` by how their
    members answer to drawn stimuli, in whatever direction; ``pictures`` by which pictures of the same set excite
    them, the mean over the image sets that both were measured on."""

    first = EndSerializer()
    second = EndSerializer()
    tuning = serializers.FloatField(allow_null=True)
    pictures = serializers.FloatField(allow_null=True)


class LinkBody(Body):
    kind = choice(LinkKind, help_text="what the target is to this family")
    target = serializers.IntegerField(min_value=1, max_value=2**62, help_text="a family's id")


def family_of(pk: int) -> Family:
    found = Family.objects.filter(pk=pk, retired_at=None).select_related("layer__network").first()
    if found is None:
        raise NotFound(f"There is no family {pk} here.")
    return found


class UniversalityViewSet(Resource):
    gate = staticmethod(can_link_families)
    serializer_class = AlikeSerializer

    def query_parameters(self) -> list[str]:
        return [*ENDS, "page", "page_size"] if self.action == "list" else []

    @extend_schema(
        parameters=[OpenApiParameter(name, OpenApiTypes.STR, required=True, description="a network") for name in ENDS]
    )
    def list(self, request: Request) -> Response:
        """Families of two networks, the most alike first."""
        missing = [name for name in ENDS if not request.query_params.get(name)]
        if missing:
            raise ValidationError({missing[0]: "Name two networks: ?first=...&second=..."})
        first, second = (network_called(request.query_params[name]) for name in ENDS)
        if first == second:
            raise ValidationError({"second": "Name two different networks."})
        page = self.paginate_queryset(universality.alike(first, second, hidden_from(request.user)))
        assert page is not None
        pks = {pk for pair in page for pk in (pair.source, pair.target)}
        known: Mapping[int, Family] = Family.objects.select_related("layer__network").in_bulk(pks)
        told: Any = [
            {"first": known[one.source], "second": known[one.target], "tuning": one.tuning, "pictures": one.pictures}
            for one in page
        ]
        return self.get_paginated_response(AlikeSerializer(told, many=True).data)

    @extend_schema(request=LinkBody, responses={201: LinkSerializer})
    def link(self, request: Request, pk: int) -> Response:
        """Say which kin of a family another one is: earlier, later, analogue (of another network)..."""
        values = self.checked(request, LinkBody)
        made = families.link(request.user, family_of(pk), family_of(values["target"]), values["kind"])
        return Response(LinkSerializer(made).data, status=201)
