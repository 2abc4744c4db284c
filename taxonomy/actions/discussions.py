"""Talking about a neuron, a family, a proposal, a note or a claim: comments, their wordings, resolving, hiding."""

import datetime
import uuid
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from taxonomy import events
from taxonomy.actions import moderation, notifications
from taxonomy.models import Claim, Comment, Discussion, Event, Note, Proposal, User, Why, Wording
from taxonomy.models.discussions import Subject
from taxonomy.models.fields import refuse_null
from taxonomy.permissions import (
    Refused,
    can_comment,
    can_edit_comment,
    can_moderate,
    can_resolve,
    can_see_discussion,
    require,
)
from taxonomy.rendering.markdown import mentioned

# The same words by the same person on the same subject within this time are a button that was pressed twice.
AGAIN = datetime.timedelta(minutes=1)
MOST_MENTIONS = 20
LONGEST = 20_000


@transaction.atomic
def add(
    user: User,
    subject: Subject,
    text: str,
    *,
    parent: Comment | None = None,
    submission: uuid.UUID | None = None,
) -> Comment:
    """Say something about a subject. Who comments follows the discussion from then on.

    Args:
        parent: the comment that this replies to. There is one level of replies: one to a reply stands beside it.
        submission: the sender's own key; sent again with the same words, it gives the comment that it made. So do the
            same words again within a minute.

    Raises:
        Refused: when the user may not comment, has not read the neuron yet, or wrote too much within a minute.
        ValidationError: for no text or too long a one, when ``parent`` is on something else, or hidden, and when other
            words were sent under the same key.
    """
    require(can_comment(user))
    user = _one_at_a_time(user)
    require(can_comment(user, subject))
    text = _cleaned(text)
    discussion = Discussion.objects.of(subject)
    if submission is not None:
        known = Comment.objects.filter(author=user, submission=submission).first()
        if known is not None:
            return _sent_before(known, discussion, text)
    if parent is not None:
        parent = _answered(discussion, parent)
    same = Comment.objects.filter(author=user, discussion=discussion, parent=parent, text=text)
    known = same.filter(created_at__gte=timezone.now() - AGAIN).first()
    if known is not None:
        return known
    _not_too_much(user)
    comment = Comment(discussion=discussion, author=user, parent=parent, text=text, submission=submission)
    named = _mentioned(text)
    comment.save()
    Wording.objects.create(comment=comment, number=1, text=text)
    event = _record(user, "comment.added", comment)
    people = notifications.subscribers(discussion)
    if isinstance(subject, Proposal):
        people[subject.author_id] = Why.PROPOSED
    if isinstance(subject, Note):
        people |= dict.fromkeys(subject.authorships.current().values_list("person", flat=True), Why.WROTE)
    if isinstance(subject, Claim):
        people[subject.author_id] = Why.STATED
    if parent is not None:
        people[parent.author_id] = Why.REPLIED
    notifications.tell(event, people | dict.fromkeys(named, Why.MENTIONED), discussion)
    notifications.subscribe(user, discussion, Why.COMMENTED)
    return comment


@transaction.atomic
def edit(user: User, comment: Comment, text: str) -> Comment:
    """Say it better; the wordings before it are kept, and shown to whoever asks. The same words change nothing.

    Raises:
        Refused: to anyone but its author, once it is hidden, and when too much was written within a minute.
        ValidationError: for no text, or too long a one.
    """
    require(can_edit_comment(user, comment))
    user = _one_at_a_time(user)
    comment = _locked(comment)
    require(can_edit_comment(user, comment))
    require(can_see_discussion(user, comment.discussion.subject))
    text = _cleaned(text)
    if text == comment.text:
        return comment
    _not_too_much(user)
    before = _mentioned(comment.text)
    comment.text, comment.edited_at = text, timezone.now()
    named = _mentioned(text) - before
    comment.save(update_fields=["text", "edited_at"])
    Wording.objects.create(comment=comment, number=comment.wordings.count() + 1, text=text)
    event = _record(user, "comment.edited", comment)
    notifications.tell(event, dict.fromkeys(named, Why.MENTIONED), comment.discussion)
    return comment


@transaction.atomic
def resolve(user: User, comment: Comment) -> Comment:
    """Say that what this comment began is settled. Who took part in it is told.

    Raises:
        Refused: to others than its author, reviewers, and who proposed, wrote or stated the subject; for replies; when
            it is resolved.
    """
    comment = _locked(comment)
    require(can_resolve(user, comment))
    require(can_see_discussion(user, comment.discussion.subject))
    if comment.resolved_at is not None:
        raise Refused("This is resolved already.")
    comment.resolved_at, comment.resolved_by = timezone.now(), user
    comment.save(update_fields=["resolved_at", "resolved_by"])
    _tell_those_who_took_part(_record(user, "comment.resolved", comment), comment)
    return comment


@transaction.atomic
def reopen(user: User, comment: Comment) -> Comment:
    """Take up again what was resolved.

    Raises:
        Refused: as for ``resolve``, and when it is open.
    """
    comment = _locked(comment)
    require(can_resolve(user, comment))
    require(can_see_discussion(user, comment.discussion.subject))
    if comment.resolved_at is None:
        raise Refused("This is open already.")
    comment.resolved_at = comment.resolved_by = None
    comment.save(update_fields=["resolved_at", "resolved_by"])
    _tell_those_who_took_part(_record(user, "comment.reopened", comment), comment)
    return comment


@transaction.atomic
def hide(user: User, comment: Comment, reason: str) -> Comment:
    """Withhold a comment's text from everybody but admins. Its place stays, with who hid it and why.

    Raises:
        Refused: to everybody but admins, and when it is hidden.
        ValidationError: without a reason, or with too long a one.
    """
    comment = _locked(comment)
    require(can_moderate(user))
    if comment.hidden_at is not None:
        raise Refused("This comment is hidden already.")
    comment.hidden_at, comment.hidden_by = timezone.now(), user
    comment.hidden_reason = moderation.reason_of(reason, "comment")
    comment.save(update_fields=["hidden_at", "hidden_by", "hidden_reason"])
    notifications.tell(_record(user, "comment.hidden", comment), {comment.author_id: Why.COMMENTED}, comment.discussion)
    return comment


@transaction.atomic
def unhide(user: User, comment: Comment) -> Comment:
    """Show a hidden comment again.

    Raises:
        Refused: to everybody but admins, and when it is not hidden.
    """
    comment = _locked(comment)
    require(can_moderate(user))
    if comment.hidden_at is None:
        raise Refused("This comment is not hidden.")
    comment.hidden_at, comment.hidden_by, comment.hidden_reason = None, None, ""
    comment.save(update_fields=["hidden_at", "hidden_by", "hidden_reason"])
    notifications.tell(
        _record(user, "comment.unhidden", comment), {comment.author_id: Why.COMMENTED}, comment.discussion
    )
    return comment


def _sent_before(known: Comment, discussion: Discussion, text: str) -> Comment:
    """What this key made; other words under it are somebody who went back and wrote on, and must not be lost."""
    if known.discussion_id != discussion.pk or known.wordings.get(number=1).text != text:
        raise ValidationError("This was sent before, with other words. Send it once more to say this, too.")
    return known


def _cleaned(text: str) -> str:
    """The text without blanks around it, its lines ended alike."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").strip()
    if not text:
        raise ValidationError({"text": "There is nothing to say yet: write something."})
    if len(text) > LONGEST:
        raise ValidationError({"text": f"A comment has at most {LONGEST:,} characters; this one has {len(text):,}."})
    refuse_null(text, "text")
    return text


def _answered(discussion: Discussion, parent: Comment) -> Comment:
    """The first comment under which a reply to ``parent`` stands."""
    if parent.discussion_id != discussion.pk:
        raise ValidationError({"parent": "That comment is about something else: reply where it stands."})
    # As it stands now: whoever replies may have read it a while ago.
    first = Comment.objects.get(pk=parent.parent_id or parent.pk)
    if first.hidden_at is not None:
        raise ValidationError({"parent": "That comment is hidden, and takes no more replies."})
    return first


def _one_at_a_time(user: User) -> User:
    """The person, held: so what they write is counted, and a button pressed twice gives one comment."""
    return User.objects.select_for_update(no_key=True).get(pk=user.pk)


def _not_too_much(user: User) -> None:
    """Whether this person may write now. Counted in the record, for all processes alike."""
    lately = Wording.objects.filter(comment__author=user, at__gt=timezone.now() - datetime.timedelta(minutes=1))
    if lately.count() >= settings.COMMENTS_A_MINUTE:
        raise Refused(
            f"You wrote {settings.COMMENTS_A_MINUTE} times within a minute. Wait a little, then send it again."
        )


def _mentioned(text: str) -> set[int]:
    """Whom the text mentions, by primary key."""
    names = mentioned(text)
    if len(names) > MOST_MENTIONS:
        raise ValidationError({"text": f"A comment mentions at most {MOST_MENTIONS} people; this one {len(names)}."})
    return set(User.objects.filter(username__in=names).values_list("pk", flat=True))


def _locked(comment: Comment) -> Comment:
    comments = Comment.objects.select_for_update(of=["self"], no_key=True)
    places = "discussion__network", "discussion__layer"
    subjects = "discussion__neuron", "discussion__family__proposal", "discussion__proposal", "discussion__note"
    claim = "discussion__claim__note", "discussion__claim__family__layer", "discussion__claim__neuron__layer"
    found = comments.select_related(*places, *subjects, *claim).get(pk=comment.pk)
    found.discussion.placed()
    return found


def _record(user: User, verb: str, comment: Comment) -> Event:
    """The event, with the subject: who may not see what is said about it is not told of this either."""
    subject = comment.discussion.subject
    about: dict[str, Any] = {str(subject._meta.model_name): subject}
    return events.record(user, verb, comment=comment, **about)


def _tell_those_who_took_part(event: Event, first: Comment) -> None:
    authors = {first.author_id, *first.replies.values_list("author", flat=True)}
    notifications.tell(event, dict.fromkeys(authors, Why.COMMENTED), first.discussion)
