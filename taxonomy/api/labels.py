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
from taxonomy.actions import gold, labels, leases
from taxonomy.actions.gold import Closeness
from taxonomy.api.queue import LeaseSerializer, QueueBody, where
from taxonomy.api.resources import (
    Address,
    Body,
    FamilyReference,
    NetworkName,
    NeuronFilter,
    NoBody,
    RevealingList,
    built,
    choice,
    choice_filter,
    family_in,
    network_called,
)
from taxonomy.models import Confidence, EvidenceVersion, Label, Layer, Lease, Membership, Neuron, Verdict
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
    further = LabelFamilySerializer(many=True, source="others")

    class Meta:
        model = Label
        fields = [
            *("id", "network", "neuron", "author", "verdict", "family", "no_finer", "polysemantic", "further"),
            *("missing_evidence", "suggested_name", "confidence", "note", "blind", "created_at", "superseded_at"),
        ]


class ReadingBody(Body):
    """What is said of a neuron."""

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


class NeuronBody(Body):
    network = NetworkName()
    neuron = Address(help_text="layer:index, such as mixed3b:379")


class LabelBody(ReadingBody):
    network = NetworkName(required=False, help_text="needed without a lease")
    neuron = Address(required=False, help_text="layer:index, such as mixed3b:379; needed without a lease")
    submission = serializers.UUIDField(
        required=False, allow_null=True, default=None, help_text="your own key: sent twice, it is taken once"
    )
    lease = serializers.UUIDField(
        required=False, allow_null=True, default=None, help_text="the token with which the queue handed you the neuron"
    )
    next = QueueBody(required=False, allow_null=True, default=None, help_text="take the next neurons in the same step")

    def validate(self, values: dict[str, Any]) -> dict[str, Any]:
        named = [name for name in ("network", "neuron") if name in values]
        if len(named) == 1 or (not named and values["lease"] is None):
            raise serializers.ValidationError("Say which neuron: by network and neuron, or by lease.")
        return values


class AcceptedSerializer(serializers.Serializer):
    outcome = serializers.ChoiceField(choices=[one.value for one in Closeness])
    families = LabelFamilySerializer(many=True, help_text="what the neuron is accepted in")


class GivenSerializer(LabelSerializer):
    """Your own label, and what is told to nobody else."""

    feedback = AcceptedSerializer(allow_null=True, help_text="how it compares, where the neuron was settled unawares")
    next = LeaseSerializer(many=True, help_text="the neurons that you asked for in the same step")

    class Meta(LabelSerializer.Meta):
        fields = [*LabelSerializer.Meta.fields, "feedback", "next"]


def reading_of(layer: Layer, values: dict[str, Any]) -> dict[str, Any]:
    """What a checked ``ReadingBody`` says of a neuron of this layer, as the actions take it."""
    seen = values["seen"]
    return values | {
        "family": family_in(layer, values["family"]),
        "further": [family_in(layer, reference) for reference in values["further"]],
        "seen": EvidenceVersion.objects.filter(public_id__in=seen).select_related("evidence") if seen else (),
    }


def read_by(values: dict[str, Any]) -> Neuron:
    """The neuron that a checked ``LabelBody`` names."""
    if "neuron" in values:
        return Neuron.objects.at(network_called(values.pop("network")).name, values.pop("neuron"))
    return leases.neuron_of(values["lease"])


def feedback_on(label: Label) -> dict[str, Any] | None:
    outcome = gold.outcome(label)
    if outcome is None:
        return None
    members = Membership.objects.current().filter(neuron=label.neuron_id).select_related("family")
    families = [{"id": member.family_id, "name": member.family.name} for member in members.order_by("-primary", "pk")]
    return {"outcome": outcome.value, "families": families}


class LabelFilter(NeuronFilter):
    author = filters.CharFilter(field_name="author__username", help_text="a username")
    verdict = choice_filter(Verdict, help_text="what the label says")
    current = filters.BooleanFilter(
        field_name="superseded_at", lookup_expr="isnull", help_text="false: superseded ones"
    )


class LabelViewSet(mixins.RetrieveModelMixin, RevealingList):
    """Readings. Those of an unsettled neuron are listed for people who gave theirs, and for reviewers."""

    serializer_class = LabelSerializer
    filterset_class = LabelFilter
    gate = staticmethod(can_label)

    def get_queryset(self) -> QuerySet[Label]:
        return labels_visible_to(self.request.user, Label.objects.with_rows()).order_by("-id")

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

    def given(self, label: Label, next: Sequence[Lease] = ()) -> dict[str, Any]:
        """What its author is told of their own label."""
        told = built(LabelSerializer).to_representation(label)
        onwards = [built(LeaseSerializer).to_representation(lease) for lease in next]
        return {**told, "feedback": feedback_on(label), "next": onwards}

    @extend_schema(request=LabelBody, responses={201: GivenSerializer})
    def create(self, request: Request) -> Response:
        """Give your reading of a neuron. An earlier one is superseded and kept; the same again changes nothing."""
        values = self.checked(request, LabelBody)
        neuron, onwards = read_by(values), values.pop("next")
        reading = reading_of(neuron.layer, values)
        if onwards is None:
            return Response(self.given(labels.add(request.user, neuron, **reading)), status=201)
        label, taken = labels.add_and_take(request.user, neuron, **where(onwards), **reading)
        return Response(self.given(label, taken), status=201)

    @extend_schema(request=None, responses=GivenSerializer)
    def undo(self, request: Request, public_id: Any) -> Response:
        """Take back your label within its first minute. The neuron is handed to you again, if nobody took its place."""
        self.checked(request, NoBody)
        found = Label.objects.filter(public_id=public_id, author=request.user).select_related("neuron__layer__network")
        label = found.first()
        if label is None:
            raise NotFound("You gave no such label.")
        label = labels.undo(request.user, label)
        again = Lease.objects.live().filter(person=request.user, neuron=label.neuron_id)
        return Response(self.given(label, list(again.select_related("neuron__layer__network"))))

    @extend_schema(request=NeuronBody, responses=LabelSerializer(many=True))
    def show_others(self, request: Request) -> Response:
        """Show how others read a neuron, now: you have read it, or you review. Your label cannot be undone after it."""
        values = self.checked(request, NeuronBody)
        neuron = Neuron.objects.at(network_called(values["network"]).name, values["neuron"])
        labels.show_others(request.user, neuron)
        shown = self.get_queryset().filter(neuron=neuron, superseded_at=None)
        return Response(LabelSerializer(shown, many=True).data)
