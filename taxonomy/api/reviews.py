"""Reviews: what is decided on neurons that people have read."""

from collections.abc import Sequence

from django.db.models import Q, QuerySet
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from taxonomy import recipes
from taxonomy.actions import labels, reviews
from taxonomy.api.resources import (
    Address,
    Body,
    FamilyReference,
    NetworkName,
    NeuronFilter,
    RevealingList,
    choice,
    choice_filter,
    family_in,
    network_called,
)
from taxonomy.models import SETTLED, Decision, EvidenceVersion, Neuron, Review
from taxonomy.permissions import can_review, hidden_from, sees_all_readings, told_in_passing


class ReviewSerializer(serializers.ModelSerializer):
    network = serializers.CharField(source="neuron.layer.network.name")
    neuron = serializers.CharField(source="neuron.address")
    reviewer = serializers.CharField(source="reviewer.username")
    family = serializers.IntegerField(source="family_id", allow_null=True)
    family_name = serializers.CharField(source="family.name", allow_null=True, default=None)
    answers = serializers.IntegerField(source="answers_id", allow_null=True, help_text="the review that it ends")
    cites = serializers.SlugRelatedField("public_id", many=True, read_only=True, help_text="evidence versions")

    class Meta:
        model = Review
        fields = [
            *("id", "network", "neuron", "reviewer", "decision", "family", "family_name", "kind", "answers", "cites"),
            *("comment", "at"),
        ]


def _cites() -> serializers.ListField:
    return serializers.ListField(
        child=serializers.UUIDField(), default=list, max_length=100, help_text="ids of the evidence versions relied on"
    )


class ReviewBody(Body):
    network = NetworkName()
    neuron = Address(help_text="layer:index")
    decision = choice(Decision, default=Decision.ACCEPT)
    comment = serializers.CharField(default="", allow_blank=True, max_length=5_000, help_text="the reason")
    kind = choice(recipes.OF_NEURONS, default="", allow_blank=True, help_text="of the evidence that is needed")
    cites = _cites()
    family = FamilyReference(
        required=False,
        allow_null=True,
        default=None,
        help_text="its id or name: into which it is settled, or which one means to accept it into",
    )


class ManyBody(Body):
    network = NetworkName()
    neurons = serializers.ListField(child=Address(), min_length=1, max_length=200, help_text="addresses, layer:index")
    comment = serializers.CharField(default="", allow_blank=True, max_length=5_000)


class AnsweredSerializer(serializers.Serializer):
    neuron = serializers.CharField(source="neuron.address")
    accepted = serializers.SerializerMethodField()
    reason = serializers.CharField(help_text="why it was not accepted")
    review = ReviewSerializer(allow_null=True)

    def get_accepted(self, answered: reviews.Answered) -> bool:
        return answered.review is not None


class ReviewFilter(NeuronFilter):
    decision = choice_filter(Decision, help_text="what was decided")
    reviewer = filters.CharFilter(field_name="reviewer__username", help_text="a username")


class ReviewViewSet(RevealingList):
    """Decisions: on settled neurons for everybody, on others for who gave a reading there, or looked as a reviewer."""

    serializer_class = ReviewSerializer
    filterset_class = ReviewFilter
    gate = staticmethod(can_review)

    def get_queryset(self) -> QuerySet[Review]:
        user = self.request.user
        visible = Q(neuron__standing__in=SETTLED) | told_in_passing(user, "neuron")
        found = Review.objects.filter(visible).exclude(neuron__in=hidden_from(user))
        found = found.select_related("neuron__layer__network", "reviewer", "family").prefetch_related("cites")
        return found.order_by("-id")

    def reveal(self, shown: Sequence[Review]) -> None:
        if self.request.user.is_authenticated:
            labels.reveal(self.request.user, *{review.neuron for review in shown})

    @extend_schema(request=ReviewBody, responses={201: ReviewSerializer})
    def create(self, request: Request) -> Response:
        """Decide on a neuron: accept, object, withdraw, ask for evidence, undo, reconfirm, decline, settle, contest or
        reopen; which of them, and by whom, depends on where it stands."""
        values = self.checked(request, ReviewBody)
        neuron = Neuron.objects.at(network_called(values.pop("network")).name, values.pop("neuron"))
        values["family"] = family_in(neuron.layer, values["family"])
        cited = EvidenceVersion.objects.filter(public_id__in=values["cites"]).select_related("evidence")
        found = {version.public_id: version for version in cited}
        unknown = [str(public_id) for public_id in values["cites"] if public_id not in found]
        if unknown:
            raise serializers.ValidationError({"cites": [f"There is no evidence version {unknown[0]}."]})
        values["cites"] = [found[public_id] for public_id in values["cites"]]
        if sees_all_readings(request.user):  # deciding is looking, whatever comes of it
            labels.reveal(request.user, neuron)
        review = reviews.decide(request.user, neuron, values.pop("decision"), **values)
        return Response(self.get_serializer(review).data, status=201)

    @extend_schema(request=ManyBody, responses=AnsweredSerializer(many=True))
    def accept_many(self, request: Request) -> Response:
        """Accept each of these neurons that may be accepted. Every one is checked by itself, and answered."""
        values = self.checked(request, ManyBody)
        network = network_called(values["network"])
        neurons = Neuron.objects.each_at(network.name, values["neurons"])
        if sees_all_readings(request.user):
            labels.reveal(request.user, *neurons)
        answered = reviews.accept_many(request.user, neurons, comment=values["comment"])
        return Response(AnsweredSerializer(answered, many=True, context=self.get_serializer_context()).data)
