"""What whoever asks is told, and what they follow and muted."""

from collections.abc import Iterable
from typing import Any

from django.db.models import Prefetch, QuerySet
from django.urls import reverse
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, serializers
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from taxonomy.actions import notifications
from taxonomy.api.discussions import subject_in
from taxonomy.api.resources import Address, Body, NetworkName, NoBody, Resource, choice
from taxonomy.models import Claim, Digest, Discussion, Family, Neuron, Note, Notification, Proposal, Subscription
from taxonomy.models.discussions import Subject
from taxonomy.models.notifications import SubscriptionQuerySet
from taxonomy.permissions import can_follow, can_see_discussion, notifications_of, require
from taxonomy.rendering.notices import titled, with_events
from taxonomy.rendering.sentences import plain, sentence, url


class SubjectSerializer(serializers.Serializer):
    """A neuron, a family, a proposal, a note or a claim; the others are null."""

    title = serializers.SerializerMethodField()
    url = serializers.SerializerMethodField()
    neuron = serializers.SerializerMethodField(help_text="its whole address: network/layer:index")
    family = serializers.SerializerMethodField(help_text="its id")
    proposal = serializers.SerializerMethodField(help_text="its id")
    note = serializers.SerializerMethodField(help_text="its id")
    claim = serializers.SerializerMethodField(help_text="its id")

    def get_title(self, subject: Subject) -> str:
        return titled(subject)

    def get_url(self, subject: Subject) -> str:
        return url(subject.get_absolute_url())

    def get_neuron(self, subject: Subject) -> str | None:
        return str(subject) if isinstance(subject, Neuron) else None

    def get_family(self, subject: Subject) -> int | None:
        return subject.pk if isinstance(subject, Family) else None

    def get_proposal(self, subject: Subject) -> str | None:
        return str(subject.public_id) if isinstance(subject, Proposal) else None

    def get_note(self, subject: Subject) -> str | None:
        return str(subject.public_id) if isinstance(subject, Note) else None

    def get_claim(self, subject: Subject) -> str | None:
        return str(subject.public_id) if isinstance(subject, Claim) else None


class NotificationSerializer(serializers.ModelSerializer):
    verb = serializers.CharField(source="event.verb")
    actor = serializers.CharField(source="event.actor.username")
    what = serializers.SerializerMethodField(help_text="the event as a sentence")
    url = serializers.SerializerMethodField(help_text="where it is to be seen")
    about = SubjectSerializer(source="event.subject", allow_null=True, help_text="null where it is about yourself")
    because = serializers.CharField(source="get_why_display", help_text="the reason in words")

    class Meta:
        model = Notification
        fields = ["id", "at", "verb", "actor", "what", "url", "about", "why", "because", "read_at", "mailed_at"]

    def get_what(self, notification: Notification) -> str:
        return plain(sentence(notification.event))

    def get_url(self, notification: Notification) -> str:
        return url(notification.event.get_absolute_url())


class SubscriptionSerializer(serializers.ModelSerializer):
    id = serializers.UUIDField(source="discussion.public_id", help_text="that of the discussion")
    about = SubjectSerializer(source="discussion.subject")
    because = serializers.CharField(source="get_why_display", help_text="the reason in words")

    class Meta:
        model = Subscription
        fields = ["id", "about", "why", "because", "muted", "at"]


class SubjectBody(Body):
    """``neuron`` (with its network), or ``family``, ``proposal``, ``note`` or ``claim``."""

    network = NetworkName(required=False, help_text="of the neuron")
    neuron = Address(required=False, help_text="layer:index, such as mixed3b:379")
    family = serializers.IntegerField(required=False, min_value=1, max_value=2**63 - 1, help_text="a family's id")
    proposal = serializers.UUIDField(required=False, help_text="a proposal's id")
    note = serializers.UUIDField(required=False, help_text="a circuit note's id")
    claim = serializers.UUIDField(required=False, help_text="a claim's id")


class ReadBody(Body):
    until = serializers.IntegerField(
        required=False, min_value=1, max_value=2**63 - 1, help_text="the id of the last one to mark; all if not given"
    )


class ReadSerializer(serializers.Serializer):
    read = serializers.IntegerField(help_text="how many were unread")


class DigestBody(Body):
    digest = choice(Digest, help_text="how often unread notifications are mailed")


class FeedSerializer(serializers.Serializer):
    url = serializers.URLField(help_text="opens without signing in: keep it to yourself")


class NotificationFilter(filters.FilterSet):
    unread = filters.BooleanFilter(
        field_name="read_at", lookup_expr="isnull", help_text="those not read, or those read"
    )


class OnesOwn(Resource):
    """Nobody sees or changes anybody else's."""

    gate = staticmethod(can_follow)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        require(can_follow(request.user))


class NotificationViewSet(mixins.ListModelMixin, OnesOwn):
    """What you are told, the newest first. What would tell how a neuron is read waits until you gave your reading."""

    serializer_class = NotificationSerializer
    filterset_class = NotificationFilter

    def get_queryset(self) -> QuerySet[Notification]:
        return notifications_of(self.request.user).order_by("-pk")

    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        page = self.paginate_queryset(self.filter_queryset(self.get_queryset()))
        assert page is not None
        return self.get_paginated_response(self.shown(page))

    def shown(self, page: Iterable[Notification]) -> Any:
        found = with_events(page)
        notifications.reveal(self.request.user, found)
        return self.get_serializer(found, many=True).data

    @extend_schema(request=None, responses=NotificationSerializer)
    def read(self, request: Request, pk: int) -> Response:
        """Mark one as read."""
        self.checked(request, NoBody)
        found = self.get_queryset().filter(pk=pk).first()
        if found is None:
            raise NotFound("You are told of no such thing.")
        return Response(self.shown([notifications.read(request.user, found)])[0])

    @extend_schema(request=ReadBody, responses=ReadSerializer)
    def read_all(self, request: Request) -> Response:
        """Mark all as read, at most up to one of them."""
        return Response({"read": notifications.read_all(request.user, self.checked(request, ReadBody).get("until"))})

    @extend_schema(responses=DigestBody)
    def digest(self, request: Request) -> Response:
        """How often they are mailed to you."""
        return Response({"digest": request.user.digest})

    @extend_schema(request=DigestBody, responses=DigestBody)
    def set_digest(self, request: Request) -> Response:
        """Choose how often they are mailed to you."""
        person = notifications.set_digest(request.user, self.checked(request, DigestBody)["digest"])
        return Response({"digest": person.digest})

    @extend_schema(request=None, responses=FeedSerializer)
    def feed(self, request: Request) -> Response:
        """A new address of your own Atom feed; the one before it stops working."""
        self.checked(request, NoBody)
        key = notifications.renew_feed_key(request.user)
        return Response({"url": url(reverse("feed_of_person", args=[key]))})


class SubscriptionViewSet(mixins.ListModelMixin, OnesOwn):
    """What you follow and muted."""

    serializer_class = SubscriptionSerializer

    def get_queryset(self) -> QuerySet[Subscription]:
        return self.every().listed()

    def every(self) -> SubscriptionQuerySet:
        subjects = (f"discussion__{name}__layer__network" for name in ("neuron", "family", "proposal"))
        found = Subscription.objects.filter(person=self.request.user.pk).select_related(
            *subjects, "discussion__network", "discussion__claim__network"
        )
        return found.prefetch_related(Prefetch("discussion__note", Note.objects.titled())).order_by("-pk")

    def discussion(self) -> Discussion:
        """The one in the address, which needs not be followed yet."""
        found = Discussion.objects.filter(public_id=self.kwargs["public_id"]).first()
        if found is None:
            raise NotFound("There is no such discussion here.")
        return found

    def told(self, subscription: Subscription, status: int = 200) -> Response:
        return Response(self.get_serializer(self.every().get(pk=subscription.pk)).data, status=status)

    @extend_schema(request=SubjectBody, responses={201: SubscriptionSerializer})
    def create(self, request: Request) -> Response:
        """Follow a neuron, a family, a proposal, a note or a claim. What is muted stays muted."""
        subject = subject_in(self.checked(request, SubjectBody))
        if isinstance(subject, (Note, Claim)):
            require(can_see_discussion(request.user, subject))
        discussion = Discussion.objects.of(subject)
        return self.told(notifications.subscribe(request.user, discussion), 201)

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, public_id: Any) -> Response:
        """Follow it no longer. What is muted stays muted."""
        notifications.unsubscribe(request.user, self.discussion())
        return Response(status=204)

    @extend_schema(request=None, responses=SubscriptionSerializer)
    def mute(self, request: Request, public_id: Any) -> Response:
        """Hear no more of it, unless somebody mentions you."""
        self.checked(request, NoBody)
        return self.told(notifications.mute(request.user, self.discussion()))

    @extend_schema(request=None, responses=SubscriptionSerializer)
    def unmute(self, request: Request, public_id: Any) -> Response:
        """Be told of it again."""
        self.checked(request, NoBody)
        return self.told(notifications.unmute(request.user, self.discussion()))
