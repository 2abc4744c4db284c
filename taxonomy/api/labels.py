"""Labels: people's readings of neurons, as far as independence shows them."""

from collections.abc import Sequence
from typing import Any

from django.db.models import QuerySet
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, serializers
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from taxonomy import recipes
from taxonomy.actions import labels
from taxonomy.api.resources import (
    Address,
    Body,
    FamilyReference,
    NetworkName,
    NeuronFilter,
    Resource,
    choice,
    choice_filter,
    family_in,
    network_called,
)
from taxonomy.models import Confidence, EvidenceVersion, Label, Neuron, Verdict
from taxonomy.permissions import can_label, labels_visible_to


class LabelFamilySerializer(serializers.Serializer):
    id = serializers.IntegerField()
    name = serializers.CharField()


class LabelSerializer(serializers.ModelSerializer):
    id = serializers.UUIDField(source="public_id")
    network = serializers.CharField(source="neuron.layer.network.name")
    neuron = serializers.CharField(source="neuron.address")
    author = serializers.CharField(source="author.username")
    family = LabelFamilySerializer(allow_null=True)
    further = LabelFamilySerializer(many=True)

    class Meta:
        model = Label
        fields = [
            *("id", "network", "neuron", "author", "verdict", "family", "no_finer", "polysemantic", "further"),
            *("missing_evidence", "suggested_name", "confidence", "note", "blind", "created_at", "superseded_at"),
        ]


class LabelBody(Body):
    network = NetworkName()
    neuron = Address(help_text="layer:index, such as mixed3b:379")
    verdict = choice(Verdict, default=Verdict.FAMILY)
    family = FamilyReference(required=False, allow_null=True, default=None, help_text="its id or name")
    no_finer = serializers.BooleanField(default=False, help_text="this family and no finer than it")
    polysemantic = serializers.BooleanField(default=False)
    further = serializers.ListField(child=FamilyReference(), default=list, max_length=20)
    missing_evidence = choice(tuple(recipes.KINDS), default="", allow_blank=True)
    suggested_name = serializers.CharField(default="", allow_blank=True, max_length=120)
    confidence = choice(Confidence, default=Confidence.MEDIUM)
    note = serializers.CharField(default="", allow_blank=True, max_length=5_000)
    seen = serializers.ListField(
        child=serializers.UUIDField(), default=list, max_length=100, help_text="ids of the evidence versions looked at"
    )


class LabelFilter(NeuronFilter):
    author = filters.CharFilter(field_name="author__username", help_text="a username")
    verdict = choice_filter(Verdict, help_text="what the label says")
    current = filters.BooleanFilter(
        field_name="superseded_at", lookup_expr="isnull", help_text="false: superseded ones"
    )


class LabelViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, Resource):
    """Readings. Those of an unsettled neuron are listed for people who gave theirs, and for reviewers."""

    serializer_class = LabelSerializer
    filterset_class = LabelFilter
    gate = staticmethod(can_label)

    def get_queryset(self) -> QuerySet[Label]:
        found = Label.objects.select_related("neuron__layer__network", "author", "family").prefetch_related("further")
        return labels_visible_to(self.request.user, found).order_by("-id")

    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        page = self.paginate_queryset(self.filter_queryset(self.get_queryset()))
        assert page is not None
        self.reveal(page)
        return self.get_paginated_response(self.get_serializer(page, many=True).data)

    def retrieve(self, request: Request, public_id: Any) -> Response:
        found = self.get_queryset().filter(public_id=public_id).first()
        if found is None:
            raise NotFound("There is no such label, or it is not shown before you have given your own reading.")
        self.reveal([found])
        return Response(self.get_serializer(found).data)

    def reveal(self, shown: Sequence[Label]) -> None:
        user = self.request.user
        if user.is_authenticated:
            labels.reveal(user, *{label.neuron for label in shown if label.author_id != user.pk})

    @extend_schema(request=LabelBody, responses={201: LabelSerializer})
    def create(self, request: Request) -> Response:
        """Give your reading of a neuron. An earlier one is superseded and kept; the same again changes nothing."""
        values = self.checked(request, LabelBody)
        neuron = Neuron.objects.at(network_called(values.pop("network")).name, values.pop("neuron"))
        values["family"] = family_in(neuron.layer, values["family"])
        values["further"] = [family_in(neuron.layer, reference) for reference in values["further"]]
        values["seen"] = EvidenceVersion.objects.filter(public_id__in=values["seen"]).select_related("evidence")
        label = labels.add(request.user, neuron, **values)
        return Response(self.get_serializer(label).data, status=201)
