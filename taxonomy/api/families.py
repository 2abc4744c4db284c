"""Families: groups of a layer's neurons."""

from typing import Any

from django.db.models import Count, Prefetch, QuerySet
from rest_framework import mixins, serializers
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from taxonomy.actions import labels
from taxonomy.api.resources import CatalogueFilter, Resource
from taxonomy.models import Family, FamilyLink, Membership, shown_members
from taxonomy.permissions import hidden_from


class MemberSerializer(serializers.ModelSerializer):
    neuron = serializers.CharField(source="neuron.address")
    index = serializers.IntegerField(source="neuron.index")

    class Meta:
        model = Membership
        fields = ["neuron", "index", "primary", "parameter", "made_at"]


class LinkSerializer(serializers.ModelSerializer):
    """ "Compare to earlier ...", "Compare to later ..."."""

    family = serializers.IntegerField(source="target_id")
    layer = serializers.CharField(source="target.layer.name")
    network = serializers.CharField(source="target.layer.network.name")
    name = serializers.CharField(source="target.name")

    class Meta:
        model = FamilyLink
        fields = ["kind", "family", "network", "layer", "name"]


class FamilySerializer(serializers.ModelSerializer):
    network = serializers.CharField(source="layer.network.name")
    layer = serializers.CharField(source="layer.name")
    parent = serializers.IntegerField(source="parent_id", allow_null=True)
    neurons = serializers.IntegerField(source="neuron_count")
    share = serializers.SerializerMethodField(help_text="of the layer's neurons, from 0 to 1")

    class Meta:
        model = Family
        fields = [
            *("id", "network", "layer", "name", "remark", "parent", "kind", "confidence", "symmetry", "source"),
            *("neurons", "share", "created_at", "retired_at"),
        ]

    def get_share(self, family: Any) -> float:
        return round(family.neuron_count / family.layer.channels, 6)


class FamilyDetailSerializer(FamilySerializer):
    members = MemberSerializer(source="current_memberships", many=True)
    links = LinkSerializer(many=True)

    class Meta(FamilySerializer.Meta):
        fields = [*FamilySerializer.Meta.fields, "members", "links"]


class FamilyViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, Resource):
    """The taxonomy. One family brings its members and its links to other families."""

    filterset_class = CatalogueFilter

    def get_serializer_class(self) -> type[FamilySerializer]:
        return FamilyDetailSerializer if self.action == "retrieve" else FamilySerializer

    def get_queryset(self) -> QuerySet[Family]:
        hidden = hidden_from(self.request.user)
        count = Count("memberships", filter=shown_members(hidden, "memberships__"))
        found = Family.objects.select_related("layer__network").annotate(neuron_count=count)
        if self.action == "list":
            return found.filter(retired_at=None).order_by("layer__network_id", "layer__order", "order", "id")
        members = Membership.objects.shown(hidden).select_related("neuron__layer").order_by("pk")
        return found.prefetch_related(
            Prefetch("memberships", queryset=members, to_attr="current_memberships"),
            Prefetch("links", queryset=FamilyLink.objects.select_related("target__layer__network")),
        )

    def retrieve(self, request: Request, pk: int) -> Response:
        family: Any = self.get_queryset().filter(pk=pk).first()
        if family is None:
            raise NotFound(f"There is no family {pk} here.")
        if request.user.is_authenticated:
            labels.reveal(request.user, *[member.neuron for member in family.current_memberships])
        return Response(self.get_serializer(family).data)
