"""What people say to each other: who may, what is kept, who is told, and what is withheld."""

import datetime
import uuid

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone

from taxonomy.actions import discussions, labels, notifications
from taxonomy.models import (
    Comment,
    Discussion,
    Event,
    Family,
    Label,
    Neuron,
    Notification,
    Proposal,
    Role,
    Standing,
    Subscription,
    User,
    Why,
    Wording,
)
from taxonomy.permissions import Refused, discussions_visible_to, notifications_of
from tests.factory import make_label, make_proposal, make_user, neuron_at

pytestmark = pytest.mark.django_db


@pytest.fixture
def settled(neuron: Neuron) -> Neuron:
    Neuron.objects.filter(pk=neuron.pk).update(standing=Standing.ACCEPTED)
    return neuron_at("mixed3b:3")


@pytest.fixture
def proposal(neuron: Neuron) -> Proposal:
    return make_proposal(neuron.layer)


def reader_of(neuron: Neuron, family: Family, **fields) -> User:
    """Somebody whose reading is more than a minute old."""
    user = make_user(**fields)
    label = make_label(neuron, user, family)
    age(label)
    return user


def age(label: Label) -> None:
    # Labels are only superseded, the database says; a moment ago becomes two minutes by the clock of the test.
    label.neuron.reveals.get_or_create(person=label.author)


def say(subject, text: str = "It **bends**.", by: User | None = None, **rest) -> Comment:
    return discussions.add(by or make_user(), subject, text, **rest)


def told(user: User) -> list[tuple[str, str]]:
    return list(notifications_of(user).order_by("pk").values_list("event__verb", "why"))


@pytest.mark.parametrize("what", ["settled", "curves", "proposal"])
def test_a_comment_on_each_subject(request: pytest.FixtureRequest, what: str) -> None:
    subject, user = request.getfixturevalue(what), make_user()
    comment = say(subject, "  It **bends**.\r\nTwice. ", user)
    assert comment.text == "It **bends**.\nTwice."
    assert comment.discussion.subject == subject
    assert comment.discussion.layer == subject.layer
    assert [(one.number, one.text) for one in comment.wordings.all()] == [(1, comment.text)]
    event = Event.objects.get(verb="comment.added")
    assert event.comment == comment
    assert event.subject == subject
    assert event.data == {}
    assert Subscription.objects.get(person=user).why == Why.COMMENTED


def test_replies_stand_one_level_deep(curves: Family) -> None:
    first = say(curves)
    reply = say(curves, "Does it?", parent=first)
    assert say(curves, "It does.", parent=reply).parent == first


def test_a_reply_belongs_to_the_same_subject(curves: Family, proposal: Proposal) -> None:
    with pytest.raises(ValidationError, match="about something else"):
        say(proposal, parent=say(curves))
    assert Comment.objects.count() == 1


@pytest.mark.parametrize("text", ["", " \n\t "])
def test_nothing_is_no_comment(curves: Family, text: str) -> None:
    with pytest.raises(ValidationError, match="write something"):
        say(curves, text)


def test_too_long_a_text_is_told_in_numbers(curves: Family) -> None:
    with pytest.raises(ValidationError, match=r"at most 20,000 characters; this one has 1,000,000\."):
        say(curves, "x" * 1_000_000)
    assert not Discussion.objects.exists()


def test_what_postgres_cannot_hold_is_refused_in_words(curves: Family) -> None:
    with pytest.raises(ValidationError, match="Null characters"):
        say(curves, "a\0b")
    with pytest.raises(ValidationError, match="Null characters"):
        discussions.hide(make_user(role=Role.ADMIN), say(curves), "a\0b")


def test_sent_twice_taken_once(curves: Family) -> None:
    user, key = make_user(), uuid.uuid4()
    first = say(curves, by=user, submission=key)
    assert say(curves, by=user, submission=key) == first
    with pytest.raises(ValidationError, match="with other words"):
        say(curves, "Something else by now", user, submission=key)
    assert say(curves, by=user) == first  # the same words again
    assert (Comment.objects.count(), Event.objects.filter(verb="comment.added").count()) == (1, 1)
    assert say(curves, by=make_user(), submission=key) != first
    assert say(curves, by=user, parent=first) != first
    Comment.objects.filter(pk=first.pk).update(created_at=timezone.now() - datetime.timedelta(minutes=2))
    assert say(curves, by=user) != first


def test_so_much_within_a_minute(curves: Family, settings) -> None:
    settings.COMMENTS_A_MINUTE = 3
    user = make_user()
    comment = say(curves, "1", user)
    say(curves, "2", user)
    discussions.edit(user, comment, "one")
    with pytest.raises(Refused, match="You wrote 3 times within a minute"):
        say(curves, "3", user)
    with pytest.raises(Refused, match="Wait a little"):
        discussions.edit(user, comment, "once more")
    say(curves, "3", make_user())
    assert Comment.objects.count() == 3


# Independence


def test_an_unsettled_neuron_is_discussed_by_those_who_read_it(neuron: Neuron, curves: Family) -> None:
    for person in (make_user(), make_user(role=Role.REVIEWER)):
        with pytest.raises(Refused, match="after you have given your own reading"):
            say(neuron, by=person)
    fresh = make_user()
    make_label(neuron, fresh, curves)
    with pytest.raises(Refused, match="after you have given"):
        say(neuron, by=fresh)  # it can still be taken back
    labels.reveal(fresh, neuron)
    say(neuron, by=fresh)


def test_who_may_read_what_is_said(neuron: Neuron, curves: Family, proposal: Proposal) -> None:
    reader = reader_of(neuron, curves)
    for subject in (neuron, curves, proposal):
        say(subject, by=reader)
    looked = make_user(role=Role.REVIEWER)
    labels.reveal(looked, neuron)
    every = Discussion.objects.all()
    for person, count in (
        (reader, 3),
        (looked, 3),
        (make_user(), 2),
        (make_user(role=Role.EDITOR), 2),
        (make_user(role=Role.ADMIN), 2),
    ):
        assert discussions_visible_to(person, every).count() == count
    Neuron.objects.filter(pk=neuron.pk).update(standing=Standing.CONTESTED)
    assert discussions_visible_to(make_user(), every).count() == 3


def test_a_mention_waits_until_the_neuron_was_read(neuron: Neuron, curves: Family) -> None:
    reader, other = reader_of(neuron, curves), make_user("other")
    say(neuron, "What do you see, @other?", reader)
    assert told(other) == []
    age(make_label(neuron, other, curves))
    assert told(other) == [("comment.added", Why.MENTIONED)]


# Who is told


def test_mentions_replies_and_followers(curves: Family) -> None:
    ada, bela, chidi, dunya = (make_user(name) for name in ("ada", "bela", "chidi", "dunya"))
    first = say(curves, "Curves?", ada)
    say(curves, "Yes, as @chidi said, not `@dunya`.", bela, parent=first)
    assert told(ada) == [("comment.added", Why.REPLIED)]
    assert told(bela) == []
    assert told(chidi) == [("comment.added", Why.MENTIONED)]
    assert told(dunya) == []
    say(curves, "Another thing", ada)
    assert told(bela) == [("comment.added", Why.COMMENTED)]


def test_a_proposals_author_is_told(proposal: Proposal) -> None:
    say(proposal)
    assert told(proposal.author) == [("comment.added", Why.PROPOSED)]


def test_who_muted_it_hears_only_what_is_said_to_them(curves: Family) -> None:
    ada = make_user("ada")
    comment = say(curves, by=ada)
    notifications.mute(ada, comment.discussion)
    say(curves, "A reply", parent=comment)
    assert told(ada) == []
    say(curves, "Ada, I mean you: @ada", parent=comment)
    assert told(ada) == [("comment.added", Why.MENTIONED)]
    say(curves, "And again", ada)
    assert Subscription.objects.get(person=ada).muted


def test_an_edit_tells_whom_it_newly_mentions(curves: Family) -> None:
    ada, bela = make_user("ada"), make_user("bela")
    author = make_user()
    comment = say(curves, "See @ada.", author)
    discussions.edit(author, comment, "See @ada and @bela.")
    assert told(ada) == [("comment.added", Why.MENTIONED)]
    assert told(bela) == [("comment.edited", Why.MENTIONED)]


def test_nobody_calls_everybody(curves: Family) -> None:
    for number in range(21):
        make_user(f"person{number}")
    with pytest.raises(ValidationError, match="at most 20 people; this one 21"):
        say(curves, " ".join(f"@person{number}" for number in range(21)))
    assert not Notification.objects.exists()


# Wordings


def test_every_wording_is_kept(curves: Family) -> None:
    user = make_user()
    comment = say(curves, "One", user)
    assert comment.edited_at is None
    comment = discussions.edit(user, comment, "Two")
    discussions.edit(user, comment, " Two\n")
    discussions.edit(user, comment, "One")
    comment.refresh_from_db()
    assert comment.text == "One"
    assert comment.edited_at
    assert [one.text for one in comment.wordings.all()] == ["One", "Two", "One"]
    assert Event.objects.filter(verb="comment.edited").count() == 2


def test_only_its_author_edits_a_comment(curves: Family) -> None:
    comment = say(curves)
    for role in Role.values:
        with pytest.raises(Refused, match="Only its author"):
            discussions.edit(make_user(role=role), comment, "Mine")
    assert Wording.objects.count() == 1


def test_a_hidden_comment_stays_as_it_is(curves: Family) -> None:
    user, admin = make_user(), make_user(role=Role.ADMIN)
    comment = say(curves, by=user)
    discussions.hide(admin, comment, "spam")
    with pytest.raises(Refused, match="hidden"):
        discussions.edit(user, comment, "Not spam")
    with pytest.raises(ValidationError, match="takes no more replies"):
        say(curves, "Why?", parent=comment)


# Resolving


def test_resolve_and_take_up_again(curves: Family) -> None:
    author, other, reviewer = make_user(), make_user(), make_user(role=Role.REVIEWER)
    first = say(curves, by=author)
    reply = say(curves, "Yes", other, parent=first)
    with pytest.raises(Refused, match="Only who began it"):
        discussions.resolve(other, first)
    with pytest.raises(Refused, match="A reply is resolved with"):
        discussions.resolve(other, reply)
    with pytest.raises(Refused, match="open already"):
        discussions.reopen(author, first)
    first = discussions.resolve(author, first)
    assert (first.resolved_by, told(other)) == (author, [("comment.resolved", Why.COMMENTED)])
    with pytest.raises(Refused, match="resolved already"):
        discussions.resolve(reviewer, first)
    assert discussions.reopen(reviewer, first).resolved_at is None
    assert list(Event.objects.filter(verb__startswith="comment.re").order_by("pk").values_list("verb", flat=True)) == [
        "comment.resolved",
        "comment.reopened",
    ]


def test_who_proposed_it_resolves_too(proposal: Proposal) -> None:
    assert discussions.resolve(proposal.author, say(proposal)).resolved_at


def test_admins_neither_comment_nor_resolve(curves: Family) -> None:
    admin = make_user(role=Role.ADMIN)
    for refused in (lambda: say(curves, by=admin), lambda: discussions.resolve(admin, say(curves))):
        with pytest.raises(Refused, match="no scientific vote"):
            refused()


# Hiding


def test_hide_and_show_again(curves: Family) -> None:
    admin, author = make_user(role=Role.ADMIN), make_user()
    comment = say(curves, by=author)
    with pytest.raises(ValidationError, match="Say why"):
        discussions.hide(admin, comment, "  ")
    with pytest.raises(ValidationError, match="at most 500"):
        discussions.hide(admin, comment, "x" * 501)
    comment = discussions.hide(admin, comment, " spam\n")
    assert (comment.hidden_by, comment.hidden_reason) == (admin, "spam")
    assert told(author) == [("comment.hidden", Why.COMMENTED)]
    with pytest.raises(Refused, match="hidden already"):
        discussions.hide(admin, comment, "again")
    comment = discussions.unhide(admin, comment)
    assert (comment.hidden_at, comment.hidden_by, comment.hidden_reason) == (None, None, "")
    with pytest.raises(Refused, match="not hidden"):
        discussions.unhide(admin, comment)
    assert Event.objects.filter(verb__in=["comment.hidden", "comment.unhidden"]).count() == 2


@pytest.mark.parametrize("role", [Role.CONTRIBUTOR, Role.REVIEWER, Role.EDITOR])
def test_only_admins_hide(curves: Family, role: str) -> None:
    comment = say(curves)
    for refused in (discussions.hide, lambda user, comment, _: discussions.unhide(user, comment)):
        with pytest.raises(Refused, match="Only admins"):
            refused(make_user(role=role), comment, "spam")
    assert not Event.objects.filter(verb="comment.hidden").exists()
