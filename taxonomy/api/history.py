"""Neurons and families as they were at any moment."""

import datetime
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from taxonomy import history
from taxonomy.actions import labels
from taxonomy.api.resources import Resource, network_called
from taxonomy.models import Family, Neuron
from taxonomy.permissions import hidden_from, told_now

AT = OpenApiParameter(
    "at",
    OpenApiTypes.STR,
    description="a date (its end counts), or a time such as 2026-11-20T10:00Z; now when left out",
)


class ReadingThenSerializer(serializers.Serializer):
    author = serializers.CharField(source="author.username")
    verdict = serializers.CharField()
    family = serializers.IntegerField(source="family_id", allow_null=True)
    no_finer = serializers.BooleanField()
    blind = serializers.BooleanField()
    created_at = serializers.DateTimeField()
    evidence_versions = serializers.ListField(
        child=serializers.IntegerField(), source="versions", help_text="that its author saw"
    )


class DecisionThenSerializer(serializers.Serializer):
    reviewer = serializers.CharField(source="reviewer.username")
    decision = serializers.CharField()
    family = serializers.IntegerField(source="family_id", allow_null=True)
    comment = serializers.CharField()
    at = serializers.DateTimeField()
    evidence_versions = serializers.ListField(
        child=serializers.IntegerField(), source="versions", help_text="that it cites"
    )


class MembershipThenSerializer(serializers.Serializer):
    neuron = serializers.CharField(source="neuron.address")
    family = serializers.IntegerField(source="family_id")
    primary = serializers.BooleanField()
    source = serializers.CharField()
    made_by = serializers.CharField(source="made_by.username")
    made_at = serializers.DateTimeField()


class NeuronThenSerializer(serializers.Serializer):
    """Beyond ``readings`` it is null while how others read the neuron is not told to whoever asks."""

    network = serializers.CharField()
    neuron = serializers.CharField()
    at = serializers.DateTimeField()
    readings = serializers.IntegerField()
    standing = serializers.CharField(allow_null=True)
    family = serializers.IntegerField(allow_null=True, help_text="that its labels qualify for")
    members = MembershipThenSerializer(many=True, allow_null=True)
    labels = ReadingThenSerializer(many=True, allow_null=True)
    decisions = DecisionThenSerializer(many=True, allow_null=True)


class FamilyThenSerializer(serializers.Serializer):
    network = serializers.CharField()
    layer = serializers.CharField()
    family = serializers.IntegerField()
    name = serializers.CharField()
    at = serializers.DateTimeField()
    existed = serializers.BooleanField()
    members = MembershipThenSerializer(many=True)
    untold = serializers.IntegerField(help_text="members that are being read anew, and so are not told")


class HistoryViewSet(Resource):
    """What was when, replayed from the record; of what is unsettled now it tells no more than may be seen now."""

    def query_parameters(self) -> list[str]:
        return ["at"]

    def moment(self, request: Request) -> datetime.datetime:
        try:
            return history.moment(request.query_params.get("at", str(datetime.datetime.now(datetime.UTC).date())))
        except ValueError as error:
            raise ValidationError({"at": [str(error)]}) from error

    @extend_schema(parameters=[AT], responses=NeuronThenSerializer)
    def neuron(self, request: Request, network: str, address: str) -> Response:
        neuron = Neuron.objects.at(network_called(network).name, address)
        at = self.moment(request)
        tree = dict(neuron.layer.families.values_list("pk", "parent_id"))
        state = history.record_of(neuron).at(tree, at)
        shown = told_now(request.user, Neuron.objects.filter(pk=neuron.pk), hidden_from(request.user)).exists()
        if shown and request.user.is_authenticated:
            labels.reveal(request.user, neuron)
        for member in state.members:
            member.neuron = neuron
        found: dict[str, Any] = {
            "network": neuron.layer.network.name,
            "neuron": neuron.address,
            "at": at,
            "readings": len(state.labels),
            "standing": state.standing if shown else None,
            "family": state.family if shown else None,
            "members": state.members if shown else None,
            "labels": state.labels if shown else None,
            "decisions": state.reviews if shown else None,
        }
        return Response(NeuronThenSerializer(found).data)

    @extend_schema(parameters=[AT], responses=FamilyThenSerializer)
    def family(self, request: Request, pk: int) -> Response:
        family = Family.objects.filter(pk=pk).select_related("layer__network").first()
        if family is None:
            raise NotFound(f"There is no family {pk} here.")
        at = self.moment(request)
        every = history.members_of(family, at)
        told = told_now(
            request.user, Neuron.objects.filter(pk__in=[one.neuron_id for one in every]), hidden_from(request.user)
        )
        neurons = {one.pk: one for one in told}
        members = [member for member in every if member.neuron_id in neurons]
        for member in members:
            member.neuron = neurons[member.neuron_id]
            member.neuron.layer = family.layer
        if request.user.is_authenticated:
            labels.reveal(request.user, *neurons.values())
        found = {
            "network": family.layer.network.name,
            "layer": family.layer.name,
            "family": family.pk,
            "name": family.name,
            "at": at,
            "existed": at >= family.created_at,
            "members": members,
            "untold": len(every) - len(members),
        }
        return Response(FamilyThenSerializer(found).data)
