"""The mail that tells people what they have not read: when, to whom, what it says, and that it comes once."""

import datetime
import email
import re
from email.message import EmailMessage
from smtplib import SMTPRecipientsRefused, SMTPServerDisconnected

import pytest
from allauth.account.models import EmailAddress
from django.core import mail
from django.core.mail.backends.locmem import EmailBackend
from django.test import Client
from django.utils import timezone

from taxonomy import events
from taxonomy.actions import discussions, labels, notifications
from taxonomy.actions.sprites import build_sprite
from taxonomy.models import Digest, Discussion, Neuron, Notification, Standing, User, Why
from tests.actions.test_at_once import at_once
from tests.factory import make_evidence, make_label, make_proposal, make_user

pytestmark = pytest.mark.django_db

DAY = datetime.timedelta(days=1)


@pytest.fixture
def ada() -> User:
    return make_user("ada")


def tell(
    person: User, verb: str = "test.done", why: Why = Why.SUBSCRIBED, /, *, ago=8 * DAY, **subjects
) -> Notification:
    event = events.record(make_user(), verb, **subjects)
    notifications.tell(event, {person.pk: why})
    Notification.objects.filter(event=event).update(at=timezone.now() - ago)
    return Notification.objects.get(event=event, person=person)


def sent() -> EmailMessage:
    """The only mail that was sent, as a mail program reads it."""
    assert len(mail.outbox) == 1
    found = email.message_from_bytes(mail.outbox[0].message().as_bytes(), policy=email.policy.default)
    assert isinstance(found, EmailMessage)
    return found


def text_of(message: EmailMessage, kind: str) -> str:
    part = message.get_body((kind,))
    assert part is not None
    return part.get_content()


def test_it_says_what_when_why_and_how_to_stop(ada, neuron, curves, settings):
    settings.SITE_URL = "https://neurons.example"
    make_evidence(neuron, pictures=["image"])
    build_sprite(neuron.layer)
    curves.name = "Curves & <Lines>"
    curves.save()
    Neuron.objects.filter(pk=neuron.pk).update(standing=Standing.ACCEPTED)
    tell(ada, "review.accepted", Why.LABELLED, neuron=neuron, family=curves)
    assert notifications.digest() == 1
    message = sent()
    text, html = text_of(message, "plain"), text_of(message, "html")
    assert message["To"] == "ada@example.org"
    assert message["Subject"] == "[Neurotaxa] 1 new: tinynet/mixed3b:3"
    assert "accepted mixed3b:3 into Curves & <Lines>\n" in text
    assert "You are told because you labelled the neuron." in text
    assert "&amp;" not in text
    assert "Curves &amp; &lt;Lines&gt;" in html
    assert '<img src="https://neurons.example/networks/tinynet/mixed3b/3/face.png"' in html
    assert not re.search(r'(href|src)="(?!https://neurons\.example/)', html)
    mute = re.search(r"Mute: https://neurons\.example(\S+)", text)
    assert mute is not None
    assert mute[1] in html
    assert Client().post(mute[1]).status_code == 200
    assert notifications.subscribers(neuron.discussion) == {}
    stop = re.fullmatch(r"<https://neurons\.example(\S+)>", message["List-Unsubscribe"].strip())
    assert stop is not None
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert f"Stop this mail: https://neurons.example{stop[1]}" in text
    Client().post(stop[1])
    ada.refresh_from_db()
    assert ada.digest == Digest.OFF


def test_what_was_said_is_quoted_as_it_was_typed(ada, curves):
    notifications.subscribe(ada, Discussion.objects.of(curves))
    discussions.add(make_user("rita"), curves, "Bent & “thin”,\nas I'd say.")
    Notification.objects.update(at=timezone.now() - DAY)
    notifications.digest()
    message = sent()
    assert "- rita commented on the family Curves:\n  “Bent & “thin”, as I'd say.”\n" in text_of(message, "plain")
    assert "Bent &amp; “thin”" in text_of(message, "html")


def test_a_name_with_a_line_break_does_not_break_the_subject(ada, neuron):
    proposal = make_proposal(neuron.layer, name="Arcs\r\nBcc: eve@example.org")
    tell(ada, proposal=proposal)
    notifications.digest()
    assert "\n" not in mail.outbox[0].subject
    assert sent()["Bcc"] is None


def test_it_comes_once_a_morning_or_monday(ada, neuron):
    now = datetime.datetime(2026, 11, 18, 9, 30, tzinfo=datetime.UTC)  # a Wednesday
    assert notifications.slots(now) == {
        Digest.DAILY: datetime.datetime(2026, 11, 18, 6, tzinfo=datetime.UTC),
        Digest.WEEKLY: datetime.datetime(2026, 11, 16, 6, tzinfo=datetime.UTC),
    }
    assert notifications.slots(now.replace(day=16, hour=5)) == {
        Digest.DAILY: datetime.datetime(2026, 11, 15, 6, tzinfo=datetime.UTC),
        Digest.WEEKLY: datetime.datetime(2026, 11, 9, 6, tzinfo=datetime.UTC),
    }
    tell(ada, neuron=neuron)
    assert (notifications.digest(), notifications.digest()) == (1, 0)
    tell(ada, neuron=neuron)
    assert notifications.digest() == 0  # this morning's was sent
    User.objects.update(digested_at=timezone.now() - 2 * DAY)
    assert notifications.digest() == 1
    assert [len(re.findall("^- ", message.body, re.MULTILINE)) for message in mail.outbox] == [1, 1]


@pytest.mark.parametrize("way", Digest.values)
def test_each_gets_it_as_they_chose(ada, neuron, way):
    notifications.set_digest(ada, way)
    tell(ada, neuron=neuron)
    notifications.digest()
    assert len(mail.outbox) == (way != Digest.OFF)
    User.objects.update(digested_at=timezone.now() - 8 * DAY)
    tell(ada, neuron=neuron, ago=datetime.timedelta(0))
    assert notifications.digest() == 0  # it came after the last time for which digests are sent


def test_what_was_read_on_the_site_is_not_mailed(ada, neuron):
    notifications.read(ada, tell(ada, neuron=neuron))
    assert notifications.digest() == 0
    assert mail.outbox == []


def test_many_are_listed_in_part_and_counted(ada, neuron):
    for _ in range(notifications.MOST_MAILED + 5):
        tell(ada, neuron=neuron)
    notifications.digest()
    assert "And 5 more: " in mail.outbox[0].body
    assert not Notification.objects.filter(mailed_at=None).exists()


def test_what_tells_of_an_unsettled_neuron_is_mailed_only_after_a_reading(ada, neuron, curves):
    tell(ada, "comment.added", Why.MENTIONED, neuron=neuron)
    assert notifications.digest() == 0
    assert Notification.objects.get().mailed_at is None
    make_label(neuron, ada, curves)
    labels.reveal(ada, neuron)
    assert notifications.digest() == 1


def test_a_settled_answer_that_is_mailed_is_recorded_as_shown(ada, neuron, curves):
    Neuron.objects.filter(pk=neuron.pk).update(standing=Standing.ACCEPTED)
    tell(ada, "review.accepted", neuron=neuron, family=curves)
    notifications.digest()
    assert neuron.reveals.get().person == ada


def test_only_verified_addresses_where_they_are_asked_for(ada, neuron, settings):
    settings.ACCOUNT_EMAIL_VERIFICATION = "mandatory"
    EmailAddress.objects.create(user=ada, email="ada@old.example", verified=False, primary=True)
    tell(ada, neuron=neuron)
    assert notifications.digest() == 0
    EmailAddress.objects.create(user=ada, email="ada@new.example", verified=True, primary=False)
    assert notifications.digest() == 1
    assert mail.outbox[0].to == ["ada@new.example"]


def test_blocked_people_get_none(ada, neuron):
    tell(ada, neuron=neuron)
    User.objects.filter(pk=ada.pk).update(is_active=False)
    assert notifications.digest() == 0


class Refusing(EmailBackend):
    """A mail server that takes no mail for ada."""

    def send_messages(self, messages):
        if "ada@example.org" in messages[0].to:
            raise SMTPRecipientsRefused({"ada@example.org": (550, b"unknown")})
        return super().send_messages(messages)


class Leaving(EmailBackend):
    """A mail server that goes away after the first mail."""

    def send_messages(self, messages):
        if mail.outbox:
            raise SMTPServerDisconnected("gone")
        return super().send_messages(messages)


class TestFaults:
    def test_one_refused_address_keeps_no_other_waiting(self, ada, neuron, settings):
        settings.EMAIL_BACKEND = f"{__name__}.Refusing"
        told, bob = tell(ada, neuron=neuron), make_user("bob")
        tell(bob, neuron=neuron)
        assert notifications.digest() == 1
        assert mail.outbox[0].to == ["bob@example.org"]
        told.refresh_from_db()
        assert told.mailed_at is None
        ada.refresh_from_db()
        assert ada.digested_at is None

    def test_a_server_that_goes_away_loses_and_doubles_nothing(self, ada, neuron, settings):
        people = [ada, make_user("bob"), make_user("eve")]
        for person in people:
            tell(person, neuron=neuron)
        settings.EMAIL_BACKEND = f"{__name__}.Leaving"
        assert notifications.digest() == 1
        settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
        assert notifications.digest() == 2
        assert sorted(message.to[0] for message in mail.outbox) == [
            f"{person.username}@example.org" for person in people
        ]

    def test_a_server_out_of_reach_changes_nothing(self, ada, neuron, settings):
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 9
        tell(ada, neuron=neuron)
        assert notifications.digest() == 0
        assert Notification.objects.get().mailed_at is None

    def test_a_batch_rings_for_the_next(self, neuron, monkeypatch, django_capture_on_commit_callbacks):
        monkeypatch.setattr(notifications, "BATCH", 2)
        rung = []
        monkeypatch.setattr("taxonomy.dispatch._send", lambda name, ids, queue=None: rung.append(name))
        for _ in range(3):
            tell(make_user(), neuron=neuron)
        with django_capture_on_commit_callbacks(execute=True):
            assert notifications.digest() == 2
        assert rung == ["site.digest"]
        assert notifications.digest() == 1


@pytest.mark.django_db(transaction=True)
def test_called_by_many_at_once_it_is_sent_once(neuron):
    people = [make_user() for _ in range(6)]
    for person in people:
        tell(person, neuron=neuron)
    found = at_once(*[notifications.digest] * 4)
    assert sum(found) == len(mail.outbox) == 6
    assert len({message.to[0] for message in mail.outbox}) == 6
    assert notifications.digest() == 0
