"""Proposals of new families."""

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, serializers
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from taxonomy.actions import proposals
from taxonomy.api.resources import (
    Address,
    Body,
    CatalogueFilter,
    Comment,
    FamilyReference,
    NetworkName,
    NoBody,
    Resource,
    choice,
    choice_filter,
    family_in,
    layer_called,
    network_called,
)
from taxonomy.models import Confidence, FamilyKind, Neuron, Proposal, ProposalState, Symmetry
from taxonomy.permissions import can_propose


class ProposalSerializer(serializers.ModelSerializer):
    id = serializers.UUIDField(source="public_id")
    network = serializers.CharField(source="layer.network.name")
    layer = serializers.CharField(source="layer.name")
    author = serializers.CharField(source="author.username")
    decided_by = serializers.CharField(source="decided_by.username", allow_null=True, default=None)
    parent = serializers.IntegerField(source="parent_id", allow_null=True)
    family = serializers.IntegerField(source="family_id", allow_null=True, help_text="the family it became")

    class Meta:
        model = Proposal
        fields = [
            *("id", "state", "network", "layer", "author", "name", "remark", "parent", "family_kind", "confidence"),
            *("symmetry", "created_at", "decided_by", "decided_at", "comment", "family"),
        ]


class ProposalBody(Body):
    network = NetworkName()
    layer = serializers.CharField(max_length=60)
    name = serializers.CharField(max_length=120)
    remark = serializers.CharField(max_length=20_000, help_text="Markdown")
    parent = FamilyReference(required=False, allow_null=True, default=None, help_text="a family's id or name")
    family_kind = choice(FamilyKind, default=FamilyKind.NATURAL)
    confidence = choice(Confidence, default=Confidence.MEDIUM)
    symmetry = choice(Symmetry, default=Symmetry.NONE)
    neurons = serializers.ListField(
        child=Address(),
        default=list,
        max_length=100,
        help_text="addresses of neurons that need it: who says “none of these” there reads it so once it is accepted",
    )


class ProposalFilter(CatalogueFilter):
    state = choice_filter(ProposalState, help_text="where it stands")


class ProposalViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, Resource):
    """New families, named and described, each decided by a reviewer who is not its author."""

    serializer_class = ProposalSerializer
    filterset_class = ProposalFilter
    gate = staticmethod(can_propose)

    def get_queryset(self) -> QuerySet[Proposal]:
        return Proposal.objects.select_related("layer__network", "author", "decided_by").order_by("-id")

    def get_object(self) -> Any:
        found = self.get_queryset().filter(public_id=self.kwargs["public_id"]).first()
        if found is None:
            raise NotFound("There is no such proposal here.")
        return found

    @extend_schema(request=ProposalBody, responses={201: ProposalSerializer})
    def create(self, request: Request) -> Response:
        """Propose a new family of a layer."""
        values = self.checked(request, ProposalBody)
        layer = layer_called(network_called(values.pop("network")), values.pop("layer"))
        values["parent"] = family_in(layer, values["parent"])
        values["kind"] = values.pop("family_kind")
        values["neurons"] = Neuron.objects.each_at(layer.network.name, values["neurons"])
        proposal = proposals.create(request.user, layer, **values)
        return Response(self.get_serializer(proposal).data, status=201)

    @extend_schema(request=Comment, responses=ProposalSerializer)
    def accept(self, request: Request, public_id: Any) -> Response:
        """Make the proposed family."""
        proposals.accept(request.user, self.get_object(), **self.checked(request, Comment))
        return self.retrieve(request)

    @extend_schema(request=Comment, responses=ProposalSerializer)
    def reject(self, request: Request, public_id: Any) -> Response:
        """Turn it down; the comment says why."""
        proposals.reject(request.user, self.get_object(), **self.checked(request, Comment))
        return self.retrieve(request)

    @extend_schema(request=None, responses=ProposalSerializer)
    def withdraw(self, request: Request, public_id: Any) -> Response:
        """Take back one's own proposal."""
        self.checked(request, NoBody)
        proposals.withdraw(request.user, self.get_object())
        return self.retrieve(request)
