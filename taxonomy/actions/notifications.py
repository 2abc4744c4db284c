"""Telling people of what happened, each with the reason why; following, muting, and reading what one was told."""

import uuid
from collections.abc import Mapping

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from taxonomy.models import Digest, Discussion, Event, Notification, Subscription, User, Why
from taxonomy.permissions import can_follow, can_read_notification, notifications_of, require

# What comes through a discussion that one has muted: it is said to oneself, or about oneself.
PERSONAL = (Why.MENTIONED, Why.ROLE)


def tell(event: Event, people: Mapping[int, Why], discussion: Discussion | None = None) -> None:
    """Tell these people (by primary key) of an event, in its transaction. Nobody is told of what they did themselves.

    What would tell somebody, before they gave their own reading, how a neuron is read by others waits until they gave
    it (``permissions.notifications_of``).

    Args:
        people: for each, the reason that they read with it.
        discussion: where it happened; who muted it hears only what is personal. The one on the event's proposal,
            neuron or family if not given.
    """
    if discussion is None:
        discussion = discussion_of(event)
    muted = set()
    if discussion is not None:
        quiet = Subscription.objects.filter(discussion=discussion, muted=True, person__in=people)
        muted = set(quiet.values_list("person", flat=True))
    told = {pk: why for pk, why in people.items() if pk != event.actor_id and (pk not in muted or why in PERSONAL)}
    there = User.objects.filter(pk__in=told, is_active=True, is_system=False).values_list("pk", flat=True)
    Notification.objects.bulk_create(
        [Notification(person_id=pk, event=event, why=told[pk]) for pk in there], ignore_conflicts=True
    )


def discussion_of(event: Event) -> Discussion | None:
    """The discussion in which an event happened, or on what it happened to."""
    if event.comment is not None:
        return event.comment.discussion
    subject = event.subject
    return None if subject is None else Discussion.objects.about(subject).first()


@transaction.atomic
def subscribe(user: User, discussion: Discussion, why: str = Why.SUBSCRIBED) -> Subscription:
    """Follow a discussion, for this reason; the first reason stays. What is muted stays muted.

    Raises:
        Refused: to visitors and blocked people.
    """
    require(can_follow(user))
    return Subscription.objects.get_or_create(person=user, discussion=discussion, defaults={"why": why})[0]


@transaction.atomic
def unsubscribe(user: User, discussion: Discussion) -> None:
    """Follow it no longer, until one takes part again. What is muted stays muted."""
    require(can_follow(user))
    Subscription.objects.filter(person=user, discussion=discussion, muted=False).delete()


@transaction.atomic
def mute(user: User, discussion: Discussion) -> Subscription:
    """Hear no more of it, whoever takes part, but when one is mentioned. What it told so far counts as read."""
    require(can_follow(user))
    subscription, _ = Subscription.objects.update_or_create(
        person=user, discussion=discussion, defaults={"muted": True}
    )
    user.notifications.filter(read_at=None, event__in=Event.objects.of(discussion)).update(read_at=timezone.now())
    return subscription


@transaction.atomic
def unmute(user: User, discussion: Discussion) -> Subscription:
    """Follow again what one muted."""
    require(can_follow(user))
    subscription, _ = Subscription.objects.update_or_create(
        person=user, discussion=discussion, defaults={"muted": False}
    )
    return subscription


def subscribers(discussion: Discussion) -> dict[int, Why]:
    """Who follows a discussion (by primary key), with the reason; without those who muted it."""
    found = Subscription.objects.filter(discussion=discussion, muted=False).values_list("person", "why")
    return {pk: Why(why) for pk, why in found}


@transaction.atomic
def read(user: User, notification: Notification) -> Notification:
    """Mark as read; again changes nothing.

    Raises:
        Refused: to anyone but the person whom it tells.
    """
    require(can_read_notification(user, notification))
    Notification.objects.filter(pk=notification.pk, read_at=None).update(read_at=timezone.now())
    notification.refresh_from_db(fields=["read_at"])
    return notification


@transaction.atomic
def read_all(user: User, until: int | None = None) -> int:
    """Mark as read all that one is told by now, at most up to a notification's id; how many that were.

    What waits unseen is not read.
    """
    require(can_follow(user))
    shown = notifications_of(user).filter(read_at=None)
    if until is not None:
        shown = shown.filter(pk__lte=until)
    return Notification.objects.filter(pk__in=shown.values("pk")).update(read_at=timezone.now())


@transaction.atomic
def set_digest(user: User, digest: str) -> User:
    """Choose how often notifications come by mail.

    Raises:
        Refused: to visitors and blocked people.
        ValidationError: for what is no choice.
    """
    require(can_follow(user))
    if digest not in Digest.values:
        raise ValidationError(f"Mail comes {', '.join(Digest.values[1:])} or not at all: choose one of these.")
    user.digest = digest
    user.save(update_fields=["digest"])
    return user


@transaction.atomic
def renew_feed_key(user: User) -> uuid.UUID:
    """A new key for one's own feed; the address with the one before it stops working."""
    require(can_follow(user))
    user.feed_key = uuid.uuid4()
    user.save(update_fields=["feed_key"])
    return user.feed_key
