"""Discussions and comments on neurons, families, proposals, notes and claims, as far as independence shows them."""

from collections.abc import Callable, Iterable
from typing import Any

from django.db.models import Count, QuerySet
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema, extend_schema_serializer
from rest_framework import mixins, serializers
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from taxonomy.actions import claims, discussions, labels
from taxonomy.api.resources import (
    Address,
    Body,
    CatalogueFilter,
    IndexFilter,
    NetworkName,
    NoBody,
    Resource,
    RevealingList,
    network_called,
)
from taxonomy.models import Claim, Comment, Discussion, Family, Neuron, Note, Proposal, Wording
from taxonomy.models.discussions import Subject
from taxonomy.permissions import (
    Answer,
    Person,
    can_comment,
    can_moderate,
    can_read_comment,
    comments_visible_to,
    discussions_visible_to,
)

SUBJECT = "neuron", "family", "proposal", "note", "claim"


def _address(discussion: Discussion) -> str | None:
    if discussion.neuron is None or discussion.layer is None:
        return None
    return f"{discussion.layer.name}:{discussion.neuron.index}"


class DiscussionSerializer(serializers.ModelSerializer):
    id = serializers.UUIDField(source="public_id")
    network = serializers.CharField(source="network.name")
    layer = serializers.CharField(
        source="layer.name", allow_null=True, default=None, help_text="null for a note, and a claim on one"
    )
    neuron = serializers.SerializerMethodField(help_text="its address, if it is about a neuron")
    family = serializers.IntegerField(source="family_id", allow_null=True, help_text="its id, if it is about a family")
    proposal = serializers.UUIDField(source="proposal.public_id", allow_null=True, default=None)
    note = serializers.UUIDField(source="note.public_id", allow_null=True, default=None)
    claim = serializers.UUIDField(source="claim.public_id", allow_null=True, default=None)
    comments = serializers.IntegerField(source="count", help_text="how many")

    class Meta:
        model = Discussion
        fields = ["id", "network", "layer", "neuron", "family", "proposal", "note", "claim", "comments", "created_at"]

    def get_neuron(self, discussion: Discussion) -> str | None:
        return _address(discussion)


@extend_schema_serializer(component_name="DiscussionComment")
class CommentSerializer(serializers.ModelSerializer):
    id = serializers.UUIDField(source="public_id")
    discussion = serializers.UUIDField(source="discussion.public_id")
    network = serializers.CharField(source="discussion.network.name")
    layer = serializers.CharField(
        source="discussion.layer.name", allow_null=True, default=None, help_text="null for a note, and a claim on one"
    )
    neuron = serializers.SerializerMethodField(help_text="its address, if it is about a neuron")
    family = serializers.IntegerField(source="discussion.family_id", allow_null=True)
    proposal = serializers.UUIDField(source="discussion.proposal.public_id", allow_null=True, default=None)
    note = serializers.UUIDField(source="discussion.note.public_id", allow_null=True, default=None)
    claim = serializers.UUIDField(source="discussion.claim.public_id", allow_null=True, default=None)
    author = serializers.CharField(source="author.username")
    parent = serializers.UUIDField(source="parent.public_id", allow_null=True, default=None)
    text = serializers.SerializerMethodField(help_text="Markdown, as it was written; null where it is hidden")
    resolved_by = serializers.CharField(source="resolved_by.username", allow_null=True, default=None)
    hidden_by = serializers.CharField(source="hidden_by.username", allow_null=True, default=None)

    class Meta:
        model = Comment
        fields = [
            *(
                "id",
                "discussion",
                "network",
                "layer",
                "neuron",
                "family",
                "proposal",
                "note",
                "claim",
                "author",
                "parent",
                "text",
            ),
            *("created_at", "edited_at", "resolved_at", "resolved_by", "hidden_at", "hidden_by", "hidden_reason"),
        ]

    def get_neuron(self, comment: Comment) -> str | None:
        return _address(comment.discussion)

    def get_text(self, comment: Comment) -> str | None:
        withheld = comment.hidden_at is not None and not can_moderate(self.context["request"].user)
        return None if withheld else comment.text


class WordingSerializer(serializers.ModelSerializer):
    class Meta:
        model = Wording
        fields = ["number", "text", "at"]


class CommentBody(Body):
    """``neuron``, ``family``, ``proposal``, ``note`` or ``claim`` says what it is about."""

    network = NetworkName(required=False, help_text="of the neuron")
    neuron = Address(required=False, help_text="layer:index, such as mixed3b:379")
    family = serializers.IntegerField(required=False, min_value=1, max_value=2**63 - 1, help_text="a family's id")
    proposal = serializers.UUIDField(required=False, help_text="a proposal's id")
    note = serializers.UUIDField(required=False, help_text="a circuit note's id")
    claim = serializers.UUIDField(required=False, help_text="a claim's id")
    text = serializers.CharField(trim_whitespace=False, help_text="Markdown")
    parent = serializers.UUIDField(required=False, allow_null=True, default=None, help_text="the comment it replies to")
    submission = serializers.UUIDField(
        required=False, allow_null=True, default=None, help_text="a key of yours: sent again, nothing is said twice"
    )


class TextBody(Body):
    text = serializers.CharField(trim_whitespace=False, help_text="Markdown")


class HidingBody(Body):
    reason = serializers.CharField(allow_blank=True, max_length=500, help_text="stands in its place")


class DiscussionFilter(CatalogueFilter):
    network = filters.CharFilter(method="of_place", help_text="a network's name")
    index = IndexFilter(field_name="neuron__index", min_value=0, max_value=2**31 - 1, help_text="a neuron's index")
    family = IndexFilter(field_name="family", min_value=1, max_value=2**31 - 1, help_text="a family's id")
    proposal = filters.UUIDFilter(field_name="proposal__public_id", help_text="a proposal's id")
    note = filters.UUIDFilter(field_name="note__public_id", help_text="a circuit note's id")
    claim = filters.UUIDFilter(field_name="claim__public_id", help_text="a claim's id")

    def of_place(self, queryset: QuerySet[Discussion], name: str, value: str) -> QuerySet[Discussion]:
        return queryset.filter(network=network_called(value))


class CommentFilter(CatalogueFilter):
    path = "discussion__layer"
    network = filters.CharFilter(method="of_place", help_text="a network's name")
    index = IndexFilter(
        field_name="discussion__neuron__index", min_value=0, max_value=2**31 - 1, help_text="a neuron's index"
    )
    family = IndexFilter(field_name="discussion__family", min_value=1, max_value=2**31 - 1, help_text="a family's id")
    proposal = filters.UUIDFilter(field_name="discussion__proposal__public_id", help_text="a proposal's id")
    note = filters.UUIDFilter(field_name="discussion__note__public_id", help_text="a circuit note's id")
    claim = filters.UUIDFilter(field_name="discussion__claim__public_id", help_text="a claim's id")
    discussion = filters.UUIDFilter(field_name="discussion__public_id", help_text="a discussion's id")
    author = filters.CharFilter(field_name="author__username", help_text="a username")
    parent = filters.UUIDFilter(field_name="parent__public_id", help_text="the replies to this comment")
    resolved = filters.BooleanFilter(method="of_state", help_text="first comments that are resolved, or open")

    def of_place(self, queryset: QuerySet[Comment], name: str, value: str) -> QuerySet[Comment]:
        return queryset.filter(discussion__network=network_called(value))

    def of_state(self, queryset: QuerySet[Comment], name: str, value: bool) -> QuerySet[Comment]:
        return queryset.filter(parent=None, resolved_at__isnull=not value)


class DiscussionViewSet(mixins.ListModelMixin, Resource):
    """Where something was said. Of unsettled neurons, to people who gave their reading, and reviewers who looked."""

    serializer_class = DiscussionSerializer
    filterset_class = DiscussionFilter

    def get_queryset(self) -> QuerySet[Discussion]:
        visible = discussions_visible_to(self.request.user, Discussion.objects.all())
        found = visible.select_related("network", "layer", "neuron", "proposal", "note", "claim")
        return found.annotate(count=Count("comments")).order_by("-id")


class CommentViewSet(RevealingList):
    """What was said, the newest first. The text of a hidden comment is null, but for admins.

    Of what a moderator hid, lists give your own comments alone.
    """

    serializer_class = CommentSerializer
    filterset_class = CommentFilter
    gate: Callable[[Person], Answer] = staticmethod(can_comment)

    def get_queryset(self) -> QuerySet[Comment]:
        return comments_visible_to(self.request.user, self.every()).order_by("-id")

    def every(self) -> QuerySet[Comment]:
        subjects = *(f"discussion__{name}" for name in SUBJECT), "discussion__claim__network"
        people = "author", "parent", "resolved_by", "hidden_by"
        return Comment.objects.select_related("discussion__network", "discussion__layer", *subjects, *people)

    def get_object(self) -> Comment:
        found = self.every().filter(public_id=self.kwargs["public_id"]).first()
        if found is None or not self.may_read(found):
            raise NotFound("There is no such comment, or it is not shown before you have given your own reading.")
        return found

    def may_read(self, comment: Comment) -> bool:
        return bool(can_read_comment(self.request.user, comment))

    def reveal(self, shown: Iterable[Comment]) -> None:
        user = self.request.user
        neurons = {one.discussion.neuron for one in shown if one.discussion.neuron and one.author_id != user.pk}
        stated = {one.discussion.claim for one in shown if one.discussion.claim and one.author_id != user.pk}
        if user.is_authenticated and neurons:
            labels.reveal(user, *neurons)
        if user.is_authenticated and stated:
            claims.look(user, stated)

    def retrieve(self, request: Request, public_id: Any) -> Response:
        found = self.get_object()
        self.reveal([found])
        return Response(self.get_serializer(found).data)

    @extend_schema(request=CommentBody, responses={201: CommentSerializer})
    def create(self, request: Request) -> Response:
        """Say something about a neuron, a family, a proposal, a note or a claim."""
        values = self.checked(request, CommentBody)
        parent = values["parent"]
        if parent is not None:
            parent = self.get_queryset().filter(public_id=parent).first()
            if parent is None:
                raise ValidationError({"parent": "The comment that this replies to is not there."})
        subject = subject_in(values)
        made = discussions.add(request.user, subject, values["text"], parent=parent, submission=values["submission"])
        return Response(self.get_serializer(self.every().get(pk=made.pk)).data, status=201)

    @extend_schema(request=TextBody, responses=CommentSerializer)
    def partial_update(self, request: Request, public_id: Any) -> Response:
        """Change what you said; the wordings before it are kept."""
        text = self.checked(request, TextBody)["text"]
        discussions.edit(request.user, self.get_object(), text)
        return self.retrieve(request, public_id)

    @extend_schema(responses=WordingSerializer(many=True))
    def wordings(self, request: Request, public_id: Any) -> Response:
        """Every wording of a comment, the first one first."""
        found = self.get_object()
        if found.hidden_at is not None and not can_moderate(request.user):
            raise NotFound("This comment is hidden, and its wordings with it.")
        self.reveal([found])
        return Response(WordingSerializer(found.wordings.all(), many=True).data)

    @extend_schema(request=None, responses=CommentSerializer)
    def resolve(self, request: Request, public_id: Any) -> Response:
        """Say that what this comment began is settled."""
        self.checked(request, NoBody)
        discussions.resolve(request.user, self.get_object())
        return self.retrieve(request, public_id)

    @extend_schema(request=None, responses=CommentSerializer)
    def reopen(self, request: Request, public_id: Any) -> Response:
        """Take up again what was resolved."""
        self.checked(request, NoBody)
        discussions.reopen(request.user, self.get_object())
        return self.retrieve(request, public_id)


class ModerationViewSet(CommentViewSet):
    """Hiding what does not belong here: admins reach every comment, whether they may read it or not."""

    gate = staticmethod(can_moderate)

    def get_queryset(self) -> QuerySet[Comment]:
        return self.every()

    def may_read(self, comment: Comment) -> bool:
        return True

    @extend_schema(request=HidingBody, responses=CommentSerializer)
    def hide(self, request: Request, public_id: Any) -> Response:
        """Withhold a comment's text from everybody but admins."""
        reason = self.checked(request, HidingBody)["reason"]
        return self.told(discussions.hide(request.user, self.get_object(), reason))

    @extend_schema(request=None, responses=CommentSerializer)
    def unhide(self, request: Request, public_id: Any) -> Response:
        """Show a hidden comment again."""
        self.checked(request, NoBody)
        return self.told(discussions.unhide(request.user, self.get_object()))

    def told(self, comment: Comment) -> Response:
        """The comment; its text only to those who may read it."""
        visible = discussions_visible_to(self.request.user, Discussion.objects.filter(pk=comment.discussion_id))
        data = self.get_serializer(self.every().get(pk=comment.pk)).data
        return Response(data if visible.exists() else data | {"text": None})


def subject_in(values: dict[str, Any]) -> Subject:
    """What a body is about.

    Raises:
        ValidationError: unless it says one thing.
        NotFound, Neuron.DoesNotExist: with a sentence, where that is not there.
    """
    said = [name for name in SUBJECT if name in values]
    if len(said) != 1:
        sentence = "a neuron with its network, a family, a proposal, a note or a claim; one of them."
        raise ValidationError(f"Say what it is about: {sentence}")
    if "neuron" in values:
        if "network" not in values:
            raise ValidationError({"network": "Say of which network the neuron is."})
        return Neuron.objects.at(network_called(values["network"]).name, values["neuron"])
    if "network" in values:
        raise ValidationError({"network": "A network belongs to a neuron; all else is named by its id."})
    found: Subject | None
    if "family" in values:
        found = Family.objects.select_related("layer__network").filter(pk=values["family"]).first()
    elif "proposal" in values:
        found = Proposal.objects.select_related("layer__network").filter(public_id=values["proposal"]).first()
    elif "claim" in values:
        places = "network", "note", "family__layer__network", "neuron__layer__network"
        found = Claim.objects.select_related(*places).filter(public_id=values["claim"]).first()
    else:
        found = Note.objects.titled().select_related("network").filter(public_id=values["note"]).first()
    if found is None:
        raise NotFound(f"There is no such {said[0]} here.")
    return found
