"""Notifications as people read them: grouped by what they tell of, on the site and in the mail."""

import datetime
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string
from django.urls import reverse

from taxonomy.events import told
from taxonomy.models import Claim, Event, Family, Neuron, Note, Notification, User
from taxonomy.models.discussions import Subject
from taxonomy.rendering.sentences import plain, quoted, sentence, squeezed, url


@dataclass(frozen=True)
class Group:
    """What one is told of one subject; of oneself where there is none."""

    subject: Subject | None
    notifications: list[Notification]

    @property
    def events(self) -> list[tuple[Notification, str]]:
        """Each with the beginning of what was said, if anything was."""
        return [(each, quoted(each.event)) for each in self.notifications]

    @property
    def key(self) -> str:
        return key_of(self.subject) if self.subject is not None else ""

    @property
    def title(self) -> str:
        return titled(self.subject) if self.subject is not None else "About you"


def titled(subject: Subject) -> str:
    """A neuron's whole address, or a name with where it belongs; of what is hidden not the name."""
    if isinstance(subject, (Note, Claim)) and subject.hidden_at is not None:
        return f"a {'circuit note' if isinstance(subject, Note) else 'claim'} that a moderator hid"
    if isinstance(subject, Neuron):
        return str(subject)
    if isinstance(subject, Claim):
        return (
            f"“{subject.sentence}”, a claim about {subject.network}"
            if not subject.withheld
            else f"a claim {subject.told}"
        )
    if isinstance(subject, Note):
        return f"{subject.title}, {'a commentary' if subject.about_id else 'a circuit note'} on {subject.network}"
    return f"{subject.name}, {'family of' if isinstance(subject, Family) else 'proposed for'} {subject.layer}"


def key_of(subject: Subject) -> str:
    """Names a subject in a form, such as ``family:12``."""
    kind = type(subject).__name__.lower()
    return f"{kind}:{subject.pk if isinstance(subject, Family) else subject.public_id}"


def with_events(notifications: Iterable[Notification]) -> list[Notification]:
    """These, each with its event and all that its sentence names."""
    found = list(notifications)
    events = told(
        Event.objects.filter(pk__in=[each.event_id for each in found]),
        len(found),
        said=True,
        reader=found[0].person if found else None,
    )
    known = {event.pk: event for event in events}
    for each in found:
        each.event = known[each.event_id]
    return found


def grouped(notifications: Iterable[Notification]) -> list[Group]:
    """By subject, in the order in which each is first told of. Give them ``with_events``."""
    groups: dict[Subject | None, Group] = {}
    for each in notifications:
        groups.setdefault(each.event.subject, Group(each.event.subject, [])).notifications.append(each)
    return list(groups.values())


@dataclass(frozen=True)
class Item:
    """A notification in the mail."""

    notification: Notification
    html: str
    text: str
    quoted: str
    url: str
    mute: str


def digest(
    person: User,
    address: str,
    notifications: list[Notification],
    *,
    more: int,
    slot: datetime.datetime,
    mutes: Mapping[int, str],
    stop: str,
) -> EmailMultiAlternatives:
    """The mail that tells a person of these.

    Args:
        notifications: ``with_events``.
        more: how many there are beside them.
        slot: the time for which it is sent; with the person it names the mail, so that a mail program that gets it
            twice can tell.
        mutes: for each notification that can be muted, the token that does it.
        stop: the token that stops the digest.
    """
    groups = [
        (
            group.title,
            url(group.subject.get_absolute_url()) if group.subject is not None else "",
            [_item(each, mutes) for each in group.notifications],
        )
        for group in grouped(notifications)
    ]
    stop = url(reverse("stop_digest", args=[stop]))
    context = {
        "person": person,
        "groups": groups,
        "more": more,
        "stop": stop,
        "every": url(reverse("notifications")),
        "account": url(reverse("me")),
    }
    count = len(notifications) + more
    title = squeezed(groups[0][0])
    others = f" and {len(groups) - 1} more" if len(groups) > 1 else ""
    return EmailMultiAlternatives(
        subject=f"{settings.ACCOUNT_EMAIL_SUBJECT_PREFIX}{count} new: {title}{others}",
        body=render_to_string("notifications/digest.txt", context),
        to=[address],
        alternatives=[(render_to_string("notifications/digest.html", context), "text/html")],
        headers={
            "Message-ID": f"<{slot:%Y%m%d%H}.{person.public_id.hex}@{urlsplit(settings.SITE_URL).hostname}>",
            "List-Unsubscribe": f"<{stop}>",
            "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
            "Auto-Submitted": "auto-generated",
        },
    )


def _item(notification: Notification, mutes: Mapping[int, str]) -> Item:
    html = sentence(notification.event)
    token = mutes.get(notification.pk)
    return Item(
        notification,
        html,
        plain(html),
        quoted(notification.event),
        url(notification.event.get_absolute_url()),
        url(reverse("mute_told", args=[token])) if token else "",
    )
