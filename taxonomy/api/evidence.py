"""Evidence: what the workers found out, with its whole recipe."""

import json
import logging
from typing import Any

from django.db.models import QuerySet
from django.urls import reverse
from django_filters import rest_framework as filters
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import mixins, serializers
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from taxonomy import recipes, storage
from taxonomy.api.pagination import HeavyPages
from taxonomy.api.resources import NeuronFilter, Resource, choice_filter
from taxonomy.models import Artifact, Evidence, EvidenceVersion, Outcome


class RecipeSerializer(serializers.ModelSerializer):
    """Everything that decides what a piece of evidence shows; ``key`` is its digest."""

    version = serializers.IntegerField(source="recipe_version")
    image_set = serializers.CharField(source="image_set.name", allow_null=True, default=None)
    image_set_digest = serializers.CharField(source="image_set.digest", allow_null=True, default=None)
    weights_digest = serializers.CharField(source="network.weights_digest")
    parameters = serializers.DictField()

    class Meta:
        model = Evidence
        fields = ["version", "parameters", "image_set", "image_set_digest", "weights_digest", "key"]


class ArtifactSerializer(serializers.ModelSerializer):
    url = serializers.SerializerMethodField()

    class Meta:
        model = Artifact
        fields = ["name", "sha256", "size", "url"]

    def get_url(self, artifact: Artifact) -> str:
        address: str = self.context["request"].build_absolute_uri(
            reverse("artifact", args=[artifact.sha256, artifact.suffix])
        )
        return address


class VersionSerializer(serializers.ModelSerializer):
    id = serializers.UUIDField(source="public_id")
    environment = serializers.DictField()

    class Meta:
        model = EvidenceVersion
        fields = ["id", "number", "environment", "wall_seconds", "made_at"]


class EvidenceSerializer(serializers.ModelSerializer):
    subject = serializers.CharField(help_text="network/layer:index")
    recipe = RecipeSerializer(source="*")
    data = serializers.SerializerMethodField(help_text="the numbers; their form depends on the kind; null unless done")
    artifacts = ArtifactSerializer(source="current.artifacts", many=True, default=())
    version = VersionSerializer(source="current", allow_null=True)

    class Meta:
        model = Evidence
        fields = ["id", "kind", "subject", "status", "reason", "recipe", "data", "artifacts", "version"]

    @extend_schema_field(OpenApiTypes.ANY)
    def get_data(self, evidence: Evidence) -> Any:
        if evidence.current is None:
            return None
        for artifact in evidence.current.artifacts.all():
            if artifact.name == "data" and artifact.suffix == ".json":
                try:
                    return json.loads(storage.read(artifact.sha256))
                except (OSError, ValueError):
                    logger.exception("An artifact of %s is gone from the store, or spoilt.", evidence)
        return None


logger = logging.getLogger(__name__)


class EvidenceFilter(NeuronFilter):
    kind = choice_filter(tuple(recipes.KINDS), help_text="a kind of evidence")
    status = choice_filter(Outcome, help_text="how far it is")
    job = filters.UUIDFilter(field_name="shard__job__public_id", help_text="the id of the job that makes or made it")


class EvidenceViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, Resource):
    """One kind, for one neuron, by one recipe. ``data`` holds the numbers, ``artifacts`` the pictures."""

    serializer_class = EvidenceSerializer
    filterset_class = EvidenceFilter
    pagination_class = HeavyPages

    def get_queryset(self) -> QuerySet[Evidence]:
        return (
            Evidence.objects.select_related("network", "image_set", "current", "neuron__layer__network")
            .prefetch_related("current__artifacts")
            .order_by("network_id", "layer__order", "neuron__index", "id")
        )

    def retrieve(self, request: Request, pk: int) -> Response:
        found = self.get_queryset().filter(pk=pk).first()
        if found is None:
            raise NotFound(f"There is no evidence {pk} here.")
        return Response(self.get_serializer(found).data)
