"""Jobs: requests for evidence, and how far the workers are."""

from typing import Any

from django.db.models import QuerySet
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, serializers
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from taxonomy import recipes
from taxonomy.actions import evidence, jobs
from taxonomy.api.resources import (
    Body,
    FamilyReference,
    NetworkName,
    NoBody,
    Resource,
    choice,
    choice_filter,
    image_set_called,
    layer_called,
    network_called,
)
from taxonomy.models import Job, Outcome
from taxonomy.permissions import can_request_evidence


class JobSerializer(serializers.ModelSerializer):
    id = serializers.UUIDField(source="public_id")
    network = serializers.CharField(source="network.name")
    requested_by = serializers.CharField(source="requested_by.username")
    rate = serializers.FloatField(allow_null=True, help_text="pieces of evidence a second")
    seconds_left = serializers.FloatField(allow_null=True)

    class Meta:
        model = Job
        fields = [
            *("id", "title", "network", "requested_by", "status", "urgent"),
            *("total", "done", "failed", "rate", "seconds_left"),
            *("created_at", "started_at", "finished_at"),
        ]


class JobBody(Body):
    network = NetworkName()
    layers = serializers.ListField(child=serializers.CharField(max_length=60), default=list, max_length=200)
    neurons = serializers.ListField(
        child=serializers.IntegerField(min_value=0, max_value=2**31 - 1),
        required=False,
        max_length=10_000,
        help_text="indices within each layer; all when not given",
    )
    families = serializers.ListField(
        child=FamilyReference(), default=list, max_length=200, help_text="instead of neurons: ids, or names"
    )
    other = FamilyReference(
        required=False, help_text="for weights between two families, the earlier one; all that are near when not given"
    )
    kinds = serializers.ListField(child=choice((*recipes.COMPUTED, recipes.EVERY)), default=list, max_length=20)
    images = serializers.CharField(required=False, max_length=60, help_text="an image set's name")
    parameters = serializers.DictField(
        child=serializers.DictField(),
        default=dict,
        help_text='for a kind, what differs from its recipe: {"feature_visualization": {"steps": 128}}',
    )
    steps = serializers.IntegerField(required=False, help_text="of feature visualization")


class RequestedSerializer(serializers.Serializer):
    """``job`` is null when everything asked for is there already, or under way for somebody else."""

    job = JobSerializer(allow_null=True)
    evidence = serializers.IntegerField(help_text="how many pieces were asked for")
    done_before = serializers.IntegerField(help_text="how many of them were there already")


class JobFilter(filters.FilterSet):
    network = filters.CharFilter(method="of_network", help_text="a network's name")
    status = choice_filter(Outcome, help_text="how far it is")

    def of_network(self, queryset: QuerySet[Job], name: str, value: str) -> QuerySet[Job]:
        return queryset.filter(network=network_called(value))


class JobViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, Resource):
    """What the workers do. The evidence of a job, with each failure's reason, is ``/evidence/?job=``."""

    serializer_class = JobSerializer
    filterset_class = JobFilter
    gate = staticmethod(can_request_evidence)

    def get_queryset(self) -> QuerySet[Job]:
        return Job.objects.select_related("network", "requested_by").order_by("-id")

    def get_object(self) -> Any:
        found = self.get_queryset().filter(public_id=self.kwargs["public_id"]).first()
        if found is None:
            raise NotFound("There is no such job here.")
        return found

    @extend_schema(request=JobBody, responses={200: RequestedSerializer, 201: RequestedSerializer})
    def create(self, request: Request) -> Response:
        """Ask for evidence. What is there, or under way, is not made twice."""
        values = self.checked(request, JobBody)
        network = network_called(values["network"])
        layers = [layer_called(network, name) for name in values["layers"]]
        parameters = values["parameters"]
        if "steps" in values:
            parameters.setdefault("feature_visualization", {})["steps"] = values["steps"]
        other = values.get("other")
        requested = evidence.request(
            request.user,
            network,
            layers=layers,
            neurons=values.get("neurons"),
            families=[evidence.family_called(network, each, layers) for each in values["families"]],
            other=None if other is None else evidence.family_called(network, other),
            kinds=values["kinds"],
            image_set=image_set_called(values["images"]) if "images" in values else None,
            parameters=parameters,
        )
        answer = {
            "job": requested.job and self.get_serializer(requested.job).data,
            "evidence": len(requested.evidence),
            "done_before": requested.done_before,
        }
        return Response(answer, status=201 if requested.job else 200)

    @extend_schema(request=None, responses=JobSerializer)
    def cancel(self, request: Request, public_id: Any) -> Response:
        """Stop what is not done."""
        self.checked(request, NoBody)
        jobs.cancel(request.user, self.get_object())
        return self.retrieve(request)

    @extend_schema(request=None, responses=JobSerializer)
    def retry(self, request: Request, public_id: Any) -> Response:
        """Queue again what failed or was cancelled."""
        self.checked(request, NoBody)
        jobs.retry(request.user, self.get_object())
        return self.retrieve(request)
