"""Telling people of what happened, each with the reason why; following, muting, and reading what one was told."""

import datetime
import logging
import re
import uuid
from collections.abc import Iterable, Mapping
from smtplib import SMTPException, SMTPRecipientsRefused, SMTPResponseException
from typing import Any

from allauth.account.models import EmailAddress
from django.conf import settings
from django.core import mail, signing
from django.core.exceptions import ValidationError
from django.core.mail.backends.base import BaseEmailBackend
from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from taxonomy import dispatch
from taxonomy.actions import labels
from taxonomy.models import Authorship, Claim, Digest, Discussion, Event, Notification, Subscription, User, Why
from taxonomy.models.discussions import Subject
from taxonomy.models.events import TELLING
from taxonomy.permissions import Refused, can_follow, can_read_notification, notifications_of, require
from taxonomy.rendering import notices

logger = logging.getLogger(__name__)

# What comes through a discussion that one has muted: it is said to oneself, or about oneself.
PERSONAL = (Why.MENTIONED, Why.ROLE)
# What links in mails and feeds are signed with, and for how long they work.
MUTE, STOP = "notifications.mute", "notifications.stop"
LINKS_LAST = datetime.timedelta(days=90)
# A mail lists so many and counts the others; so many mails are sent before other tasks have their turn.
MOST_MAILED = 50
BATCH = 20
SPOILT = "This link is not whole, or not ours. Open it from the mail again, or sign in and choose there."
SUBJECTS = (
    *(f"event__{name}__layer__network" for name in ("proposal", "neuron", "family")),
    *(f"event__{name}__network" for name in ("note", "claim")),
)


def tell(event: Event, people: Mapping[int, Why], discussion: Discussion | None = None) -> None:
    """Tell these people (by primary key) of an event, in its transaction. Nobody is told of what they did themselves.

    What would tell somebody, before they gave their own reading, how a neuron is read by others waits until they gave
    it (``permissions.notifications_of``).

    Args:
        people: for each, the reason that they read with it.
        discussion: where it happened; who muted it hears only what is personal. The one on the event's subject if
            not given. Who muted what a claim is on hears nothing of the claim either.
    """
    where = Discussion.objects.filter(pk__in=[discussion.pk] if discussion is not None else [])
    if discussion is None and event.subject is not None:
        where = Discussion.objects.about(event.subject)
    if isinstance(event.subject, Claim):
        where |= Discussion.objects.about(event.subject.subject)
    quiet = Subscription.objects.filter(discussion__in=where, muted=True, person__in=people)
    muted = set(quiet.values_list("person", flat=True))
    told = {pk: why for pk, why in people.items() if pk != event.actor_id and (pk not in muted or why in PERSONAL)}
    there = User.objects.filter(pk__in=told, is_active=True, is_system=False).values_list("pk", flat=True)
    Notification.objects.bulk_create(
        [Notification(person_id=pk, event=event, why=told[pk]) for pk in there], ignore_conflicts=True
    )


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
    # What waits until they may know of it goes on waiting.
    known = notifications_of(user).filter(read_at=None, event__in=Event.objects.of(discussion))
    Notification.objects.filter(pk__in=list(known.values_list("pk", flat=True))).update(read_at=timezone.now())
    return subscription


@transaction.atomic
def mute_told(user: User, notification: Notification) -> Discussion:
    """``mute`` what a notification tells of.

    Raises:
        Refused: to anyone but the person whom it tells.
        ValidationError: when it tells of no neuron, family, proposal, note or claim.
    """
    require(can_read_notification(user, notification))
    if notification.event.subject is None:
        raise ValidationError("This is about yourself, and comes whatever you mute.")
    discussion = Discussion.objects.of(notification.event.subject)
    mute(user, discussion)
    return discussion


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


def followers(subject: Subject) -> dict[int, Why]:
    """``subscribers`` of the discussion on a subject, if there is one."""
    discussion = Discussion.objects.about(subject).first()
    return subscribers(discussion) if discussion is not None else {}


def authors(note_id: int | None) -> dict[int, Why]:
    """Those of a note, and why they are told of it; nobody without one."""
    named = Authorship.objects.named().filter(note=note_id)
    return dict.fromkeys(named.values_list("person", flat=True), Why.WROTE)


def mute_token(notification: Notification) -> str:
    """Lets whoever holds it mute what a notification tells of, in the name of its person, without signing in."""
    return signing.dumps(notification.pk, salt=MUTE)


def stop_token(user: User) -> str:
    """Lets whoever holds it stop this person's digest, without signing in."""
    return signing.dumps(str(user.public_id), salt=STOP)


def told_by(token: str) -> Notification:
    """The notification that a token for muting came with.

    Raises:
        Refused: for a token that is forged, spoilt or old.
    """
    found = Notification.objects.select_related("person", *SUBJECTS).filter(pk=_signed(token, MUTE)).first()
    if found is None:
        raise Refused(SPOILT)
    return found


def mailed_by(token: str) -> User:
    """Whose digest a token for stopping it came with.

    Raises:
        Refused: for a token that is forged, spoilt or old.
    """
    found = User.objects.filter(public_id=_signed(token, STOP), is_active=True).first()
    if found is None:
        raise Refused(SPOILT)
    return found


def _signed(token: str, salt: str) -> Any:
    try:
        return signing.loads(token, salt=salt, max_age=LINKS_LAST)
    except signing.SignatureExpired as error:
        sentence = f"This link is older than {LINKS_LAST.days} days. Sign in, and choose on your notifications’ page."
        raise Refused(sentence) from error
    except signing.BadSignature as error:
        raise Refused(SPOILT) from error


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


def slots(now: datetime.datetime) -> dict[str, datetime.datetime]:
    """For each way of getting the digest, the last time for which it is sent: a morning, a Monday's morning."""
    morning = now.replace(hour=settings.DIGEST_HOUR, minute=0, second=0, microsecond=0)
    if morning > now:
        morning -= datetime.timedelta(days=1)
    return {Digest.DAILY: morning, Digest.WEEKLY: morning - datetime.timedelta(days=morning.weekday())}


def digest() -> int:
    """Mail what people have not read to those whose time has come, one mail for each time; how many were sent.

    A mail that could not be sent, or a server that is out of reach, changes nothing: the next round tries again. Called
    by two at once it sends each mail once. Sends a batch and rings for the next, so that other tasks have their turn.
    """
    last = slots(timezone.now())
    waiting = _due(last).values_list("pk", flat=True)
    sent = 0
    if not waiting:
        return sent
    try:
        with mail.get_connection() as connection:
            for pk in waiting:
                try:
                    sent += _mail(pk, last, connection)
                except (SMTPRecipientsRefused, SMTPResponseException) as error:
                    logger.warning("The digest for person %s was refused, and is tried again: %s", pk, error)
                if sent == BATCH:
                    dispatch.enqueue("site.digest")
                    break
    except (SMTPException, OSError) as error:
        logger.warning("The mail server does not answer (%s); digests wait for the next round.", error)
    return sent


def _due(last: Mapping[str, datetime.datetime]) -> QuerySet[User]:
    """Those who have not had the digest of their last time, and something that may be told in it."""
    due = Q(pk=None)
    for way, slot in last.items():
        unsent = Notification.objects.filter(person=OuterRef("pk"), read_at=None, mailed_at=None, at__lte=slot)
        due |= Q(digest=way) & (Q(digested_at=None) | Q(digested_at__lt=slot)) & Q(Exists(unsent))
    return User.objects.filter(due, is_active=True, is_system=False).order_by("pk")


@transaction.atomic
def _mail(pk: int, last: Mapping[str, datetime.datetime], connection: BaseEmailBackend) -> bool:
    """Send one person's digest; whether there was one to send.

    Their row is held until the mail is sent and what it told is marked, so that nobody else sends it meanwhile.
    """
    person = _due(last).select_for_update(of=["self"], no_key=True, skip_locked=True).filter(pk=pk).first()
    address = _address(person) if person is not None else ""
    if person is None or not address:
        return False
    slot = last[person.digest]
    waiting = notifications_of(person).filter(read_at=None, mailed_at=None, at__lte=slot).order_by("-pk")
    every = list(waiting.values_list("pk", flat=True))
    if not every:  # what waits for a reading is sent with a later one
        return False
    found = notices.with_events(Notification.objects.filter(pk__in=every[:MOST_MAILED]))
    message = notices.digest(
        person,
        address,
        found,
        more=len(every) - len(found),
        slot=slot,
        mutes={each.pk: mute_token(each) for each in found if each.event.subject is not None},
        stop=stop_token(person),
    )
    connection.send_messages([message])
    reveal(person, found)
    Notification.objects.filter(pk__in=every).update(mailed_at=timezone.now())
    person.digested_at = timezone.now()
    person.save(update_fields=["digested_at"])
    return True


def _address(person: User) -> str:
    """Where this person's mail goes; "" if there is no address, or none that they verified where that is asked for."""
    verified = EmailAddress.objects.filter(user=person, verified=True).order_by("-primary").first()
    if verified is not None:
        return str(verified.email)
    return "" if settings.ACCOUNT_EMAIL_VERIFICATION == "mandatory" else person.email


def reveal(user: User, found: Iterable[Notification]) -> None:
    """Record of which neurons these tell this person what others read in them."""
    telling = {each.event.neuron for each in found if re.match(TELLING, each.event.verb)}
    labels.reveal(user, *(neuron for neuron in telling if neuron is not None))
