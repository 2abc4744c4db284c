"""Who is told of what, why, and when it is shown; following, muting, reading."""

import pytest
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import ValidationError

from taxonomy import events
from taxonomy.actions import labels, notifications
from taxonomy.models import (
    Discussion,
    Event,
    Gold,
    Neuron,
    Notification,
    Role,
    Standing,
    Subscription,
    User,
    Why,
)
from taxonomy.permissions import Refused, notifications_of
from tests.factory import make_label, make_older, make_proposal, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def ada() -> User:
    return make_user("ada")


@pytest.fixture
def discussion(neuron: Neuron) -> Discussion:
    return Discussion.objects.of(neuron)


def happen(neuron: Neuron, verb: str = "label.added") -> Event:
    return events.record(make_user(), verb, neuron=neuron)


def test_everybody_is_told_with_their_reason_but_the_actor_and_those_who_are_gone(ada, neuron):
    event = happen(neuron)
    gone, system = make_user(is_active=False), User.objects.system()
    told = {ada.pk: Why.SUBSCRIBED, event.actor_id: Why.COMMENTED, gone.pk: Why.REPLIED, system.pk: Why.REPLIED}
    notifications.tell(event, told)
    notifications.tell(event, {ada.pk: Why.MENTIONED})
    assert list(Notification.objects.values_list("person", "why")) == [(ada.pk, "subscribed")]


def test_who_muted_hears_only_what_is_personal(ada, neuron, discussion):
    notifications.mute(ada, discussion)
    assert notifications.subscribers(discussion) == {}
    notifications.tell(happen(neuron), {ada.pk: Why.SUBSCRIBED}, discussion)
    notifications.tell(happen(neuron), {ada.pk: Why.LABELLED})
    assert not Notification.objects.exists()
    notifications.tell(happen(neuron), {ada.pk: Why.MENTIONED}, discussion)
    assert Notification.objects.get().why == Why.MENTIONED


def test_taking_part_never_unmutes(ada, discussion):
    assert notifications.subscribe(ada, discussion, Why.COMMENTED).why == Why.COMMENTED
    notifications.subscribe(ada, discussion)
    assert notifications.subscribers(discussion) == {ada.pk: Why.COMMENTED}
    notifications.mute(ada, discussion)
    assert notifications.subscribe(ada, discussion).muted
    notifications.unsubscribe(ada, discussion)
    assert Subscription.objects.get().muted
    notifications.unmute(ada, discussion)
    assert notifications.subscribers(discussion) == {ada.pk: Why.COMMENTED}
    notifications.unsubscribe(ada, discussion)
    assert not Subscription.objects.exists()


def test_muting_reads_what_was_told_there_and_nothing_else(ada, neuron, discussion):
    proposal = make_proposal(neuron.layer)
    for subject in ({"neuron": neuron}, {"proposal": proposal}):
        notifications.tell(events.record(make_user(), "test.done", **subject), {ada.pk: Why.SUBSCRIBED})
    notifications.mute(ada, discussion)
    unread = notifications_of(ada).get(read_at=None)
    assert unread.event.subject == proposal


def test_only_its_own_person_reads_a_notification(ada, neuron):
    notifications.tell(happen(neuron), {ada.pk: Why.SUBSCRIBED})
    told = Notification.objects.get()
    with pytest.raises(Refused, match="somebody else"):
        notifications.read(make_user(role=Role.ADMIN), told)
    first = notifications.read(ada, told).read_at
    assert first is not None
    assert notifications.read(ada, told).read_at == first


def test_blocked_people_follow_nothing(discussion):
    gone = make_user(is_active=False)
    for act in (notifications.subscribe, notifications.mute, notifications.unmute, notifications.unsubscribe):
        with pytest.raises(Refused, match="blocked"):
            act(gone, discussion)
    with pytest.raises(Refused, match="blocked"):
        notifications.read_all(gone)


class TestIndependence:
    def test_what_tells_of_an_unsettled_neuron_waits_until_a_reading_is_given(self, ada, neuron, curves):
        notifications.tell(happen(neuron, "comment.added"), {ada.pk: Why.MENTIONED})
        notifications.tell(happen(neuron, "label.added"), {ada.pk: Why.SUBSCRIBED})
        assert [told.event.verb for told in notifications_of(ada)] == ["label.added"]
        assert notifications.read_all(ada) == 1
        label = make_label(neuron, ada, curves)
        assert notifications_of(ada).filter(read_at=None).count() == 0  # it can still be taken back
        make_older(label)
        assert notifications_of(ada).get(read_at=None).event.verb == "comment.added"

    def test_a_reveal_shows_them_at_once(self, ada, neuron, curves):
        notifications.tell(happen(neuron, "comment.added"), {ada.pk: Why.MENTIONED})
        make_label(neuron, ada, curves)
        labels.reveal(ada, neuron)
        assert notifications_of(ada).count() == 1

    def test_reviewers_hear_of_it_once_they_looked(self, neuron):
        rita = make_user(role=Role.REVIEWER)
        notifications.tell(happen(neuron, "comment.added"), {rita.pk: Why.MENTIONED})
        assert notifications_of(rita).count() == 0
        labels.reveal(rita, neuron)
        assert notifications_of(rita).count() == 1

    def test_a_reading_taken_back_is_none(self, ada, neuron, curves):
        notifications.tell(happen(neuron, "comment.added"), {ada.pk: Why.MENTIONED})
        make_older(labels.undo(ada, make_label(neuron, ada, curves)))
        assert notifications_of(ada).count() == 0

    def test_what_is_settled_is_told(self, ada, neuron):
        notifications.tell(happen(neuron, "review.accepted"), {ada.pk: Why.LABELLED})
        Neuron.objects.update(standing=Standing.ACCEPTED)
        assert notifications_of(ada).count() == 1

    def test_the_answer_of_a_gold_neuron_is_not_told_before_it_is_read(self, ada, neuron):
        Neuron.objects.update(standing=Standing.ACCEPTED)
        Gold.objects.create(neuron=neuron, marked_by=make_user(role=Role.EDITOR), reason="Clear.")
        notifications.tell(happen(neuron, "review.accepted"), {ada.pk: Why.SUBSCRIBED})
        assert notifications_of(ada).count() == 0

    def test_it_is_one_query_of_a_visitor_none(self, ada, neuron, django_assert_num_queries):
        with django_assert_num_queries(1):
            notifications_of(ada).count()
        with django_assert_num_queries(0):
            assert list(notifications_of(AnonymousUser())) == []


def test_how_often_mail_comes_is_chosen(ada):
    assert notifications.set_digest(ada, "weekly").digest == "weekly"
    with pytest.raises(ValidationError, match="daily, weekly or not at all"):
        notifications.set_digest(ada, "hourly")


def test_a_feeds_key_is_replaced(ada):
    first = notifications.renew_feed_key(ada)
    assert notifications.renew_feed_key(ada) != first
