"""Evidence: what the workers found out, with its whole recipe."""

import json
import logging
from collections.abc import Sequence
from typing import Any

from django.db.models import Q, QuerySet
from django.urls import reverse
from django_filters import rest_framework as filters
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import mixins, serializers
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from taxonomy import recipes, storage
from taxonomy.actions import claims
from taxonomy.actions import evidence as actions
from taxonomy.api.pagination import HeavyPages
from taxonomy.api.resources import NeuronFilter, NoBody, Resource, RevealingList, choice_filter
from taxonomy.models import Artifact, Claim, Comparison, Evidence, EvidenceVersion, Neuron, Outcome, User
from taxonomy.permissions import (
    can_request_evidence,
    can_see_claim,
    can_see_members,
    claims_visible_to,
    hidden_from,
    require,
)


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


class ComparisonSerializer(serializers.ModelSerializer):
    """A recipe run again. ``metrics`` and ``pixels`` say in what it differs; null where no number can say it."""

    id = serializers.UUIDField(source="public_id")
    version = serializers.UUIDField(source="version.public_id")
    requested_by = serializers.CharField(source="requested_by.username")
    pixels = serializers.DictField(help_text="for each picture, the largest difference of a colour in steps of 255")
    metrics = serializers.DictField(help_text="for each number that differs, its largest difference")
    environment = serializers.DictField()
    files = serializers.SerializerMethodField(help_text="the pictures of the second run")

    class Meta:
        model = Comparison
        fields = [
            *("id", "version", "requested_by", "status", "reason", "identical", "pixels", "metrics", "files"),
            *("environment", "created_at", "finished_at"),
        ]

    @extend_schema_field({"type": "object", "additionalProperties": {"type": "string", "format": "uri"}})
    def get_files(self, comparison: Comparison) -> dict[str, str]:
        build = self.context["request"].build_absolute_uri
        return {name: build(reverse("comparison_file", args=[comparison.public_id, name])) for name in comparison.files}


class EvidenceSerializer(serializers.ModelSerializer):
    subject = serializers.CharField(help_text="network/layer:index, or families by their names")
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
    path = "layer"  # not all evidence is of a neuron

    kind = choice_filter(tuple(recipes.KINDS), help_text="a kind of evidence")
    status = choice_filter(Outcome, help_text="how far it is")
    job = filters.UUIDFilter(field_name="shard__job__public_id", help_text="the id of the job that makes or made it")

    def of_index(self, queryset: QuerySet[Any], name: str, value: int) -> QuerySet[Any]:
        return queryset.filter(neuron__index=value)


class EvidenceViewSet(mixins.RetrieveModelMixin, RevealingList):
    """One kind, for one neuron, by one recipe. ``data`` holds the numbers, ``artifacts`` the pictures.

    An experiment says what its claim says of neurons: that it was read is recorded.
    """

    serializer_class = EvidenceSerializer
    filterset_class = EvidenceFilter
    pagination_class = HeavyPages

    def get_queryset(self) -> QuerySet[Evidence]:
        return (
            (
                Evidence.objects.select_related(
                    *("network", "image_set", "current", "neuron__layer__network", "layer__network"),
                    *("family__layer__network", "other__layer__network", "claim"),
                )
                .prefetch_related("current__artifacts")
                .order_by("network_id", "layer__order", "neuron__index", "id")
            )
            .exclude(pk__in=self.untold())
            .filter(Q(claim=None) | Q(claim__in=self.claims()))
        )

    def untold(self) -> list[int]:
        """What is about families of which a neuron is a member that this person is to read first."""
        hidden = Neuron.objects.with_layers(hidden_from(self.request.user))
        made = Evidence.objects.filter(family__isnull=False) if hidden else Evidence.objects.none()
        return [row.pk for row in made.only("layer_id", "network_id", "parameters") if row.names(hidden)]

    def claims(self) -> QuerySet[Claim]:
        """Those whose experiments this person may see."""
        return claims_visible_to(self.request.user, Claim.objects.all())

    def reveal(self, page: Sequence[Any]) -> None:
        tested = [row.claim for row in page if row.claim is not None]
        if tested and isinstance(self.request.user, User):
            claims.look(self.request.user, tested)

    def retrieve(self, request: Request, pk: int) -> Response:
        found = self.get_queryset().filter(pk=pk).first()
        if found is None:
            raise NotFound(f"There is no evidence {pk} here.")
        self.reveal([found])
        return Response(self.get_serializer(found).data)


class ComparisonViewSet(Resource):
    """A version's recipe, run again to see whether it gives the same."""

    serializer_class = ComparisonSerializer
    gate = staticmethod(can_request_evidence)

    @extend_schema(request=None, responses={201: ComparisonSerializer})
    def create(self, request: Request, public_id: Any) -> Response:
        """Run it again. The answer is to be asked for until its status is done."""
        self.checked(request, NoBody)
        versions = EvidenceVersion.objects.select_related(
            "evidence__network", "evidence__neuron__layer__network", "evidence__family__layer__network"
        )
        version = versions.filter(public_id=public_id).first()
        if version is None:
            raise NotFound("There is no such version of evidence here.")
        return Response(self.get_serializer(actions.reproduce(request.user, version)).data, status=201)

    def retrieve(self, request: Request, public_id: Any) -> Response:
        found = (
            Comparison.objects.select_related("version__evidence__claim__note", "requested_by")
            .filter(public_id=public_id)
            .first()
        )
        if found is None:
            raise NotFound("There is no such comparison here.")
        row = found.version.evidence
        if row.claim is not None:
            require(can_see_claim(request.user, row.claim))
        hidden = hidden_from(request.user) if row.family_id else ()
        require(can_see_members(row.names(Neuron.objects.with_layers(hidden))))
        return Response(self.get_serializer(found).data)
