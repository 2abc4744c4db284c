"""Reviews: accepting agreed neurons into their families."""

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, serializers
from rest_framework.request import Request
from rest_framework.response import Response

from taxonomy.actions import labels, reviews
from taxonomy.api.resources import Address, Body, NetworkName, NeuronFilter, Resource, choice, network_called
from taxonomy.models import Decision, Neuron, Review, settled_neurons
from taxonomy.permissions import can_review, hidden_from


class ReviewSerializer(serializers.ModelSerializer):
    network = serializers.CharField(source="neuron.layer.network.name")
    neuron = serializers.CharField(source="neuron.address")
    reviewer = serializers.CharField(source="reviewer.username")
    family = serializers.IntegerField(source="family_id", allow_null=True)
    family_name = serializers.CharField(source="family.name", allow_null=True, default=None)

    class Meta:
        model = Review
        fields = ["id", "network", "neuron", "reviewer", "decision", "family", "family_name", "comment", "at"]


class ReviewBody(Body):
    network = NetworkName()
    neuron = Address(help_text="layer:index")
    decision = choice(Decision, default=Decision.ACCEPT)
    comment = serializers.CharField(default="", allow_blank=True, max_length=5_000)


class ReviewViewSet(mixins.ListModelMixin, Resource):
    """Decisions on settled neurons."""

    serializer_class = ReviewSerializer
    filterset_class = NeuronFilter
    gate = staticmethod(can_review)

    def get_queryset(self) -> QuerySet[Review]:
        settled = Review.objects.filter(settled_neurons(hidden_from(self.request.user), "neuron__"))
        return settled.select_related("neuron__layer__network", "reviewer", "family").order_by("-id")

    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        page = self.paginate_queryset(self.filter_queryset(self.get_queryset()))
        assert page is not None
        if request.user.is_authenticated:
            labels.reveal(request.user, *{review.neuron for review in page})
        return self.get_paginated_response(self.get_serializer(page, many=True).data)

    @extend_schema(request=ReviewBody, responses={201: ReviewSerializer})
    def create(self, request: Request) -> Response:
        """Accept an agreed neuron into the family that its labels agree on."""
        values = self.checked(request, ReviewBody)
        neuron = Neuron.objects.at(network_called(values["network"]).name, values["neuron"])
        review = reviews.accept(request.user, neuron, comment=values["comment"])
        return Response(self.get_serializer(review).data, status=201)
