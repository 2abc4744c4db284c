"""Circuit notes: a thread's, and one's own drafts; writing, submitting, deciding, and citing them."""

import uuid
from typing import Any

from django.db.models import Prefetch, QuerySet
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import mixins, serializers
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from taxonomy.actions import labels, notes
from taxonomy.api.resources import Body, Comment, NetworkName, NoBody, Resource, choice, network_called
from taxonomy.models import Authorship, Motif, Note, NoteDecision, NoteReview, NoteVersion, User
from taxonomy.models.notes import NoteQuerySet
from taxonomy.permissions import (
    can_read_note,
    can_read_version,
    can_write_note,
    hidden_from,
    readable_from,
    require,
)
from taxonomy.rendering import citations
from taxonomy.rendering.circuits import without_members


class AuthorSerializer(serializers.ModelSerializer):
    person = serializers.CharField(source="person.username")
    agreed = serializers.SerializerMethodField(help_text="whether they are named; else they are asked")

    class Meta:
        model = Authorship
        fields = ["person", "contribution", "agreed"]

    def get_agreed(self, authorship: Authorship) -> bool:
        return authorship.agreed_at is not None


class NoteSerializer(serializers.ModelSerializer):
    """A note; what it says stands in its versions."""

    id = serializers.UUIDField(source="public_id")
    network = serializers.CharField(source="network.name")
    title = serializers.CharField()
    state = serializers.CharField()
    authors = AuthorSerializer(source="people", many=True)
    about = serializers.UUIDField(source="about.public_id", allow_null=True, default=None, help_text="if a commentary")
    superseded_by = serializers.UUIDField(source="superseded_by.public_id", allow_null=True, default=None)
    published = serializers.IntegerField(
        source="published.number", allow_null=True, default=None, help_text="the number of the version"
    )
    submitted = serializers.IntegerField(
        source="submitted.number", allow_null=True, default=None, help_text="the number of the version in review"
    )

    class Meta:
        model = Note
        fields = [
            *("id", "network", "number", "title", "state", "authors", "about", "published", "submitted", "created_at"),
            *("opened_at", "published_at", "corrected_at", "superseded_by", "withdrawn_at", "withdrawn_reason"),
            *("licence", "doi", "hidden_at", "hidden_reason"),
        ]


class NoteReviewSerializer(serializers.ModelSerializer):
    id = serializers.UUIDField(source="public_id")
    reviewer = serializers.CharField(source="reviewer.username")

    class Meta:
        model = NoteReview
        fields = ["id", "reviewer", "decision", "comment", "at"]


@extend_schema_field({"type": "object"})
class Subgraph(serializers.JSONField):
    """Nodes, edges and the threshold of a circuit; {} for none."""


class SavedSerializer(serializers.ModelSerializer):
    """A version without its text."""

    id = serializers.UUIDField(source="public_id")
    saved_by = serializers.CharField(source="saved_by.username")
    reviews = NoteReviewSerializer(many=True)

    class Meta:
        model = NoteVersion
        fields = ["id", "number", "title", "summary", "saved_by", "saved_at", "reviews"]


class NoteVersionSerializer(SavedSerializer):
    subgraph = serializers.SerializerMethodField()
    motifs = serializers.ListField(child=serializers.CharField())

    class Meta(SavedSerializer.Meta):
        fields = [
            *SavedSerializer.Meta.fields,
            *("abstract", "body", "selection", "bibliography", "subgraph", "motifs"),
        ]

    @extend_schema_field({"type": "object"})
    def get_subgraph(self, version: NoteVersion) -> Any:
        """Nodes, edges and the threshold of a circuit; {} for none."""
        return without_members(version.subgraph, hidden_from(self.context["request"].user))


def _prose(text: str) -> Any:
    return serializers.CharField(required=False, allow_blank=True, trim_whitespace=False, help_text=text)


class ContentBody(Body):
    abstract = _prose("Markdown")
    body = _prose("Markdown with [[layer:index]], $formulas$, [@citations] and figures")
    selection = _prose("how its neurons were chosen, in words")
    bibliography = _prose("BibTeX")
    subgraph = Subgraph(required=False)
    motifs = serializers.ListField(child=choice(Motif), required=False, max_length=len(Motif.values))
    summary = serializers.CharField(required=False, allow_blank=True, help_text="what was changed, in a line")


class NoteBody(ContentBody):
    network = NetworkName()
    title = serializers.CharField(max_length=200)
    about = serializers.UUIDField(
        required=False, allow_null=True, default=None, help_text="the published note that this is a commentary on"
    )
    contribution = serializers.CharField(required=False, allow_blank=True, default="", max_length=300)


class VersionBody(ContentBody):
    title = serializers.CharField(required=False, max_length=200)
    began_from = serializers.IntegerField(
        min_value=1, max_value=2**31 - 1, help_text="the number of the version that you had before you"
    )


class NoteDecisionBody(Comment):
    version = serializers.IntegerField(
        min_value=1, max_value=2**31 - 1, help_text="the number of the version that you read"
    )
    decision = choice(NoteDecision)


class SubmissionBody(Body):
    version = serializers.IntegerField(
        min_value=1, max_value=2**31 - 1, help_text="the number of the version that you had before you"
    )


class WithdrawalBody(Body):
    reason = serializers.CharField(allow_blank=True, max_length=2_000)


class SupersessionBody(Body):
    by = serializers.UUIDField(help_text="the id of the note that takes its place")


class DoiBody(Body):
    doi = serializers.CharField(allow_blank=True, max_length=200)


class AuthorBody(Body):
    person = serializers.CharField(max_length=150, help_text="a username")
    contribution = serializers.CharField(required=False, allow_blank=True, default="", max_length=300)


class PersonBody(Body):
    person = serializers.CharField(max_length=150, help_text="a username")


class ContributionBody(Body):
    contribution = serializers.CharField(required=False, allow_blank=True, default="", max_length=300)


class CitationSerializer(serializers.Serializer):
    bibtex = serializers.CharField()
    csl = serializers.DictField(help_text="an item of CSL-JSON")
    text = serializers.CharField()


class NoteFilter(filters.FilterSet):
    network = filters.CharFilter(method="of_network", help_text="a network's name")
    published = filters.BooleanFilter(
        field_name="number", lookup_expr="isnull", exclude=True, help_text="those of the threads, or those not in one"
    )
    in_review = filters.BooleanFilter(
        field_name="submitted", lookup_expr="isnull", exclude=True, help_text="those of which a version waits"
    )
    author = filters.CharFilter(method="of_author", help_text="a username")
    about = filters.UUIDFilter(field_name="about__public_id", help_text="the commentaries on this note")

    def of_network(self, queryset: QuerySet[Note], name: str, value: str) -> QuerySet[Note]:
        return queryset.filter(network=network_called(value))

    def of_author(self, queryset: QuerySet[Note], name: str, value: str) -> QuerySet[Note]:
        named = Authorship.objects.named().filter(person__username=value.replace("\0", ""))
        return queryset.filter(pk__in=named.order_by().values("note"))


class NoteViewSet(mixins.ListModelMixin, Resource):
    """Circuit notes: all that were submitted once, and your own drafts."""

    serializer_class = NoteSerializer
    filterset_class = NoteFilter
    gate = staticmethod(can_write_note)

    def query_parameters(self) -> list[str]:
        return ["page", "page_size"] if self.action == "versions" else super().query_parameters()

    def get_queryset(self) -> QuerySet[Note]:
        return self.every().readable_by(self.request.user)

    def every(self) -> NoteQuerySet:
        told = Authorship.objects.current().told_to(self.request.user)
        people = told.select_related("person").order_by("order", "pk")
        rows = Note.objects.titled().order_by("-id")
        related = "network", "about", "superseded_by", "published", "submitted"
        rows = rows.defer(*notes.without_texts("published", "submitted", also=["abstract"]))
        return rows.select_related(*related).prefetch_related(Prefetch("authorships", people, to_attr="people"))  # type: ignore[no-redef]

    def get_object(self) -> Note:
        return self.called(self.kwargs["public_id"])

    def called(self, public_id: uuid.UUID) -> Note:
        found = Note.objects.select_related("network").filter(public_id=public_id).first()
        if found is None:
            raise NotFound("There is no such note here.")
        require(can_read_note(self.request.user, found))
        return found

    def told(self, note: Note, status: int = 200) -> Response:
        """The note; to who is no author of the draft any more, nothing."""
        found = self.every().get(pk=note.pk)
        if not can_read_note(self.request.user, found):
            return Response(status=204)
        return Response(self.get_serializer(found).data, status=status)

    def retrieve(self, request: Request, public_id: Any) -> Response:
        return self.told(self.get_object())

    @extend_schema(request=NoteBody, responses={201: NoteSerializer})
    def create(self, request: Request) -> Response:
        """Begin a note, or a commentary on one: a draft."""
        values = self.checked(request, NoteBody)
        network = network_called(values.pop("network"))
        about = values.pop("about")
        made = notes.create(request.user, network, about=self.called(about) if about else None, **values)
        return self.told(made, 201)

    @extend_schema(responses=SavedSerializer(many=True), filters=False)
    def versions(self, request: Request, public_id: Any) -> Response:
        """Every version that you may read, the first one first, with what was decided on it; their texts one by one."""
        note = self.get_object()
        saved = note.versions.filter(number__gte=readable_from(request.user, note)).select_related("saved_by")
        saved = saved.defer("abstract", "motifs", *notes.LONG)
        reviews = Prefetch("reviews", NoteReview.objects.select_related("reviewer"))
        found = self.paginate_queryset(saved.prefetch_related(reviews).order_by("number"))
        assert found is not None
        said = [review.comment for version in found for review in version.reviews.all()]
        notes.reveal_named(request.user, note.network, *said)
        return self.get_paginated_response(SavedSerializer(found, many=True).data)

    @extend_schema(responses=NoteVersionSerializer)
    def version(self, request: Request, public_id: Any, number: int) -> Response:
        """What one version says. Whoever reads it has been shown how its authors read the neurons that it names.

        403 for what was saved before the first submission, to all but its authors.
        """
        note = self.get_object()
        require(can_read_version(request.user, note, number))
        found = note.versions.select_related("saved_by").filter(number=number).first()
        if found is None:
            raise NotFound(f"This note has no version {number}.")
        if isinstance(request.user, User):
            labels.reveal(request.user, *notes.names_of(note.network, found)[0])
        return Response(NoteVersionSerializer(found, context={"request": request}).data)

    @extend_schema(request=VersionBody, responses={201: NoteVersionSerializer})
    def save(self, request: Request, public_id: Any) -> Response:
        """Save a new version. What is not given stays as it is. 409 when somebody else saved meanwhile."""
        values = self.checked(request, VersionBody)
        saved = notes.save(request.user, self.get_object(), **values)
        return Response(NoteVersionSerializer(saved, context={"request": request}).data, status=201)

    @extend_schema(request=SubmissionBody, responses=NoteSerializer)
    def submit(self, request: Request, public_id: Any) -> Response:
        """Ask for a review of the latest version. From then on everybody reads the note."""
        said = self.checked(request, SubmissionBody)
        return self.told(notes.submit(request.user, self.get_object(), **said))

    @extend_schema(request=None, responses=NoteSerializer)
    def retract(self, request: Request, public_id: Any) -> Response:
        """Take a version back from review."""
        self.checked(request, NoBody)
        return self.told(notes.retract(request.user, self.get_object()))

    @extend_schema(request=NoteDecisionBody, responses=NoteSerializer)
    def decide(self, request: Request, public_id: Any) -> Response:
        """Publish the version in review, or ask for changes."""
        note = self.get_object()
        notes.decide(request.user, note, **self.checked(request, NoteDecisionBody))
        return self.told(note)

    @extend_schema(request=WithdrawalBody, responses=NoteSerializer)
    def withdraw(self, request: Request, public_id: Any) -> Response:
        """Take a note back for good, with the reason."""
        return self.told(notes.withdraw(request.user, self.get_object(), **self.checked(request, WithdrawalBody)))

    @extend_schema(request=SupersessionBody, responses=NoteSerializer)
    def supersede(self, request: Request, public_id: Any) -> Response:
        """Put another published note in its place."""
        by = self.called(self.checked(request, SupersessionBody)["by"])
        return self.told(notes.supersede(request.user, self.get_object(), by))

    @extend_schema(request=DoiBody, responses=NoteSerializer)
    def doi(self, request: Request, public_id: Any) -> Response:
        """Record under which DOI it was deposited."""
        return self.told(notes.give_doi(request.user, self.get_object(), self.checked(request, DoiBody)["doi"]))

    @extend_schema(request=AuthorBody, responses=NoteSerializer)
    def ask(self, request: Request, public_id: Any) -> Response:
        """Ask somebody to be an author."""
        values = self.checked(request, AuthorBody)
        note = self.get_object()
        notes.ask(request.user, note, person_called(values["person"]), contribution=values["contribution"])
        return self.told(note)

    @extend_schema(request=PersonBody, responses=NoteSerializer)
    def unask(self, request: Request, public_id: Any) -> Response:
        """Take back that somebody was asked."""
        note = self.get_object()
        notes.unask(request.user, note, person_called(self.checked(request, PersonBody)["person"]))
        return self.told(note)

    @extend_schema(request=ContributionBody, responses=NoteSerializer)
    def agree(self, request: Request, public_id: Any) -> Response:
        """Agree to be named as an author."""
        note = self.get_object()
        notes.agree(request.user, note, **self.checked(request, ContributionBody))
        return self.told(note)

    @extend_schema(request=None, responses={200: NoteSerializer, 204: None})
    def leave(self, request: Request, public_id: Any) -> Response:
        """Be an author no longer, or decline to be one."""
        self.checked(request, NoBody)
        note = self.get_object()
        notes.leave(request.user, note)
        return self.told(note)

    @extend_schema(responses=CitationSerializer)
    def cite(self, request: Request, public_id: Any) -> Response:
        """The version that its page shows, as BibTeX, CSL-JSON and text."""
        note = self.get_object()
        shown = note.shown
        shown.note = note
        notes.reveal_named(request.user, note.network, shown.abstract)
        found = {"bibtex": citations.bibtex(shown), "csl": citations.csl(shown), "text": citations.text(shown)}
        return Response(found)


def person_called(name: str) -> User:
    found = User.objects.filter(username__iexact=name.replace("\0", "")).first()
    if found is None:
        raise NotFound(f"Nobody is called '{name[:150]}' here.")
    return found
