"""What is said about a subject, as the discussion stands on a page."""

import uuid
from dataclasses import dataclass, field
from functools import cached_property

from django import forms
from django.db.models import Q
from django.urls import reverse

from taxonomy.models import Claim, Comment, Discussion, Family, Layer, Network, Neuron, Note, User
from taxonomy.models.discussions import Subject, network_of
from taxonomy.permissions import (
    UNREAD,
    Allowed,
    Answer,
    Person,
    can_comment,
    can_edit_comment,
    can_moderate,
    can_resolve,
    can_see_discussion,
)

# So many of the newest first comments stand on the subject's own page, with what was replied to them; those before them
# are on the discussion's own.
EXCHANGES = 20
REPLIES = 200


class CommentForm(forms.Form):
    """What is sent from a composer. What a text may be is the action's to say, so that nothing typed is lost."""

    text = forms.CharField(required=False, strip=False)
    parent = forms.UUIDField(required=False)
    submission = forms.UUIDField(required=False)


@dataclass
class Said:
    """A comment with what this person may do about it."""

    comment: Comment
    may_edit: bool
    withheld: bool


@dataclass
class Exchange:
    """A first comment, and the replies to it in the order of their time."""

    first: Said
    may_resolve: bool
    replies: list[Said] = field(default_factory=list)
    submission: uuid.UUID = field(default_factory=uuid.uuid4)


class Talk:
    """The discussion of a subject, for this person. One query.

    Args:
        shown: whether it is, where the page knows already; else that is asked, in two queries more for a neuron.
        before: a first comment's id; only those before it are shown.
        form: what was sent and could not be taken, to be shown again.
        preview: a text to be shown as it would stand.
    """

    def __init__(
        self,
        user: Person,
        subject: Subject,
        *,
        shown: bool | None = None,
        before: int | None = None,
        form: CommentForm | None = None,
        preview: str = "",
    ) -> None:
        self.user, self.subject, self.form, self.preview = user, subject, form, preview
        self.may_see: Answer = UNREAD
        if shown is not False:
            self.may_see = Allowed() if shown else can_see_discussion(user, subject)
        self.may_comment = can_comment(user)
        self.may_moderate = can_moderate(user)
        self.action = address_of(subject)
        self.submission = uuid.uuid4()
        self.name = str(subject._meta.model_name)
        self.discussion: Discussion | None = None
        self.exchanges: list[Exchange] = []
        self.older: int | None = None
        self.texts = [preview]
        if self.may_see:
            self._read(before)

    def _read(self, before: int | None) -> None:
        here = Comment.objects.filter(**{f"discussion__{self.name}": self.subject})
        newest = here.filter(parent=None, **({"pk__lt": before} if before else {})).order_by("-pk")[: EXCHANGES + 1]
        said = here.filter(Q(pk__in=newest.values("pk")) | Q(parent__in=newest.values("pk")))
        # Replies come last, so that of very many only the newest are read.
        rows = said.annotate(is_reply=Q(parent__isnull=False)).order_by("is_reply", "-pk")[: EXCHANGES + 1 + REPLIES]
        found = list(rows.select_related("author", "discussion", "resolved_by", "hidden_by"))
        firsts = [comment for comment in found if comment.parent_id is None]
        replies = [comment for comment in found if comment.parent_id is not None][:REPLIES]
        if len(firsts) > EXCHANGES:
            firsts = firsts[:EXCHANGES]
            self.older = firsts[-1].pk
        exchanges = {comment.pk: self._exchange(comment) for comment in reversed(firsts)}
        for reply in reversed(replies):
            if reply.parent_id in exchanges:
                exchanges[reply.parent_id].replies.append(self._said(reply))
        self.exchanges = list(exchanges.values())

    def _said(self, comment: Comment) -> Said:
        setattr(comment.discussion, self.name, self.subject)
        self.discussion = comment.discussion
        self.texts.append(comment.text)
        withheld = comment.hidden_at is not None and not self.may_moderate
        return Said(comment, bool(can_edit_comment(self.user, comment)), withheld)

    def _exchange(self, comment: Comment) -> Exchange:
        first = self._said(comment)
        return Exchange(first, comment.hidden_at is None and bool(can_resolve(self.user, comment)))

    @property
    def network(self) -> Network:
        return network_of(self.subject)

    @cached_property
    def layer(self) -> Layer:
        """Where the subject is, or the network's last layer, to show how a neuron is written."""
        own = None if isinstance(self.subject, Note) else self.subject.layer
        return own or self.network.layers.order_by("-order")[0]

    @property
    def title(self) -> str:
        if isinstance(self.subject, Note):
            return self.subject.title
        if isinstance(self.subject, Claim):
            return self.subject.sentence
        return self.subject.address if isinstance(self.subject, Neuron) else self.subject.name

    @property
    def here(self) -> str:
        """Where the discussion stands."""
        return f"{self.subject.get_absolute_url()}#discussion"

    @property
    def example(self) -> str:
        """How a neuron is written here."""
        return f"{self.layer.short or self.layer.name}:{self.subject.index if isinstance(self.subject, Neuron) else 0}"

    @property
    def draft(self) -> str:
        """Under which name the browser keeps what is being written here."""
        person = self.user.username if isinstance(self.user, User) else ""
        return f"{person} {self.action}"

    @property
    def answered(self) -> str:
        """The comment on this page to which the form that was sent replies; empty for a comment of its own."""
        parent = str(self.form["parent"].value() or "") if self.form else ""
        return parent if any(str(exchange.first.comment.public_id) == parent for exchange in self.exchanges) else ""


def address_of(subject: Subject) -> str:
    """The page of the discussion on a subject, to which what is written goes."""
    if isinstance(subject, Neuron):
        return reverse("neuron_discussion", args=[subject.layer.network.name, subject.layer.name, subject.index])
    if isinstance(subject, Family):
        return reverse("family_discussion", args=[subject.layer.network.name, subject.layer.name, subject.pk])
    return reverse(f"{subject._meta.model_name}_discussion", args=[subject.public_id])
