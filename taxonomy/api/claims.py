"""Claims: stating one, what it would do, having it tested, and what became of it."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.core.exceptions import ValidationError as ActionError
from django.db.models import QuerySet
from django_filters import rest_framework as filters
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from taxonomy import plans
from taxonomy.actions import claims, evidence
from taxonomy.api.resources import (
    Address,
    Body,
    FamilyReference,
    NetworkName,
    NoBody,
    RevealingList,
    choice,
    choice_filter,
    image_set_called,
    network_called,
)
from taxonomy.models import Claim, ClaimKind, Family, ImageSet, Neuron, Note, Ruling, Run, User
from taxonomy.permissions import (
    Answer,
    Person,
    can_run_claim,
    can_see_claim,
    can_state_claim,
    can_withdraw_claim,
    claims_visible_to,
    require,
)


class RunSerializer(serializers.ModelSerializer):
    """A test by a worker. ``evidence`` is the id of the version that it made; its ``data`` is among the evidence."""

    id = serializers.UUIDField(source="public_id")
    status = serializers.CharField(source="evidence.status")
    reason = serializers.CharField(source="evidence.reason", help_text="why it failed, in a sentence")
    evidence = serializers.UUIDField(source="evidence.current.public_id", allow_null=True, default=None)
    job = serializers.UUIDField(source="evidence.shard.job.public_id", allow_null=True, default=None)
    requested_by = serializers.CharField(source="requested_by.username")

    class Meta:
        model = Run
        fields = [
            *("id", "number", "status", "reason", "ruling", "effect", "low", "high", "n", "ruled_at"),
            *("evidence", "job", "requested_by", "requested_at"),
        ]


class ClaimSerializer(serializers.ModelSerializer):
    id = serializers.UUIDField(source="public_id")
    network = serializers.CharField(source="network.name")
    note = serializers.UUIDField(source="note.public_id", allow_null=True, default=None)
    family = serializers.IntegerField(source="family_id", allow_null=True)
    neuron = serializers.CharField(source="neuron.address", allow_null=True, default=None)
    author = serializers.CharField(source="author.username")
    image_set = serializers.CharField(source="image_set.name", allow_null=True, default=None)
    restates = serializers.UUIDField(source="restates.public_id", allow_null=True, default=None)
    plan = serializers.DictField(help_text="what is changed, shown, measured and predicted; frozen")
    words = serializers.SerializerMethodField(help_text="the plan as a sentence")
    ruling = serializers.CharField(help_text="of its latest run that is done; empty before there is one")
    runs = RunSerializer(many=True)

    class Meta:
        model = Claim
        fields = [
            *("id", "network", "note", "family", "neuron", "kind", "sentence", "rationale", "author", "stated_at"),
            *("plan", "words", "image_set", "restates", "withdrawn_at", "withdrawn_reason"),
            *("hidden_at", "hidden_reason", "ruling", "runs"),
        ]

    @extend_schema_field(OpenApiTypes.STR)
    def get_words(self, claim: Claim) -> str:
        return plans.in_words(claim.plan, claim.network.class_names)


class PlanBody(Body):
    """What the claim is about (one of note, family and neuron), and the experiment that tests it."""

    network = NetworkName()
    note = serializers.UUIDField(required=False, allow_null=True, default=None, help_text="a note's id")
    family = FamilyReference(required=False, allow_null=True, default=None, help_text="a family's id or name")
    neuron = Address(required=False, allow_null=True, default=None)
    plan = serializers.DictField(
        help_text="do, show, measure and expect, as docs/circuits.md says. Sets of neurons may be given in words, such "
        "as “mixed3b/Curves” or “3b:6, 9, 12-15”; of pictures “pictures” may say which instead of “indices”"
    )


class ClaimBody(PlanBody):
    kind = choice(ClaimKind)
    sentence = serializers.CharField(max_length=400)
    rationale = serializers.CharField(required=False, allow_blank=True, default="", max_length=5_000)
    restates = serializers.UUIDField(required=False, allow_null=True, default=None, help_text="an earlier claim's id")


class PreviewSerializer(serializers.Serializer):
    plan = serializers.DictField(help_text="the whole plan, as it would be frozen")
    words = serializers.CharField()
    kernels = serializers.IntegerField(source="size.kernels", help_text="pairs of neurons whose weights change")
    neurons = serializers.IntegerField(source="size.neurons", help_text="silenced, or given other weights")
    measured = serializers.IntegerField(source="size.measured", help_text="neurons; 0 where predictions are measured")
    pairs = serializers.IntegerField(source="size.pairs", help_text="n, before any is left out")
    passes = serializers.IntegerField(source="size.passes", help_text="how often a picture goes through the network")
    cautions = serializers.ListField(child=serializers.CharField(), help_text="what to mind, in sentences")
    seconds = serializers.FloatField(allow_null=True, help_text="as the last experiment took; null before there is one")


class WithdrawBody(Body):
    reason = serializers.CharField(max_length=500, allow_blank=True)


class ClaimFilter(filters.FilterSet):
    network = filters.CharFilter(method="of_network", help_text="a network's name")
    kind = choice_filter(ClaimKind, help_text="a kind of claim")
    ruling = choice_filter((*Ruling.values, "untested"), method="of_ruling", help_text="what became of it")

    def of_network(self, queryset: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        return queryset.filter(network=network_called(value))

    def of_ruling(self, queryset: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        return queryset.filter(ruling="" if value == "untested" else value)


CLAIMS = Claim.objects.select_related(
    *("network", "note", "author", "image_set", "restates", "neuron__layer__network", "family__layer__network")
).prefetch_related("runs__evidence__current", "runs__evidence__shard__job", "runs__requested_by")


class ClaimViewSet(RevealingList):
    """Falsifiable sentences. From the moment that one is stated, nobody can change it."""

    serializer_class = ClaimSerializer
    filterset_class = ClaimFilter

    def gate(self, user: Person) -> Answer:
        rules = {"run": can_run_claim, "withdraw": can_withdraw_claim}
        return rules[self.action](user, Claim()) if self.action in rules else can_state_claim(user)

    def get_queryset(self) -> QuerySet[Any]:
        return claims_visible_to(self.request.user, CLAIMS).with_rulings().order_by("-id")

    def reveal(self, page: Sequence[Any]) -> None:
        if isinstance(self.request.user, User):
            claims.look(self.request.user, page)

    def get_object(self) -> Any:
        found = CLAIMS.with_rulings().filter(public_id=self.kwargs["public_id"]).first()
        if found is None:
            raise NotFound("There is no such claim here.")
        require(can_see_claim(self.request.user, found))
        return found

    def retrieve(self, request: Request, public_id: Any) -> Response:
        found = self.get_object()
        self.reveal([found])
        return Response(self.get_serializer(found).data)

    @extend_schema(request=ClaimBody, responses={201: ClaimSerializer})
    def create(self, request: Request) -> Response:
        """State a claim. Nobody can change it afterwards: who was wrong states another that restates it."""
        values = self.checked(request, ClaimBody)
        subject = subject_in(values)
        earlier = None
        if values["restates"] is not None:
            earlier = Claim.objects.filter(public_id=values["restates"]).first()
            if earlier is None:
                raise NotFound("There is no such claim here to restate.")
        made = claims.state(
            request.user,
            subject,
            kind=values["kind"],
            sentence=values["sentence"],
            rationale=values["rationale"],
            plan=values["plan"],
            image_set=image_set_of(values["plan"]),
            restates=earlier,
        )
        self.kwargs["public_id"] = made.public_id
        return Response(self.get_serializer(self.get_object()).data, status=201)

    @extend_schema(request=PlanBody, responses=PreviewSerializer)
    def preview(self, request: Request) -> Response:
        """What an experiment would do. Nothing is stated."""
        values = self.checked(request, PlanBody)
        found = claims.preview(request.user, subject_in(values), values["plan"], image_set_of(values["plan"]))
        return Response(PreviewSerializer(found).data)

    @extend_schema(request=None, responses={201: ClaimSerializer})
    def run(self, request: Request, public_id: Any) -> Response:
        """Have a worker test it. By the same recipe and weights that is done once."""
        self.checked(request, NoBody)
        claims.run(request.user, self.get_object())
        return Response(self.get_serializer(self.get_object()).data, status=201)

    @extend_schema(request=WithdrawBody, responses=ClaimSerializer)
    def withdraw(self, request: Request, public_id: Any) -> Response:
        """Take back one's own claim, with the reason. It stays readable."""
        claims.withdraw(request.user, self.get_object(), **self.checked(request, WithdrawBody))
        return Response(self.get_serializer(self.get_object()).data)


def subject_in(values: dict[str, Any]) -> Note | Family | Neuron:
    """What a body says that the claim is about.

    Raises:
        ValidationError: when it names none, or several.
        NotFound: when there is no such thing.
    """
    network = network_called(values["network"])
    named = [name for name in ("note", "family", "neuron") if values[name] is not None]
    if len(named) != 1:
        raise ActionError("Say what the claim is about: one of note, family and neuron.")
    if named == ["neuron"]:
        return Neuron.objects.at(network.name, values["neuron"])
    if named == ["family"]:
        return evidence.family_called(network, values["family"])
    note = Note.objects.select_related("network").filter(public_id=values["note"], network=network).first()
    if note is None:
        raise NotFound(f"There is no such note on {network.name}.")
    return note


def image_set_of(plan: Mapping[str, Any]) -> ImageSet | None:
    """The image set that a plan names, if any.

    Raises:
        NotFound: when there is none of the name.
    """
    named = claims.image_set_named(plan)
    return image_set_called(named) if named else None
