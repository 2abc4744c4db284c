"""Discussions: what people say to each other about a neuron, family, proposal, note or claim; every wording is kept."""

import uuid
from typing import ClassVar

import pgtrigger
from django.db import models
from django.urls import reverse

from taxonomy.models.claims import Claim
from taxonomy.models.families import Family
from taxonomy.models.fields import Prose
from taxonomy.models.networks import Layer, Network, Neuron
from taxonomy.models.notes import Note
from taxonomy.models.people import User
from taxonomy.models.proposals import Proposal

Subject = Neuron | Family | Proposal | Note | Claim


class DiscussionManager(models.Manager["Discussion"]):
    def about(self, subject: Subject) -> models.QuerySet["Discussion"]:
        """The one on this subject, or none."""
        return self.filter(**_named(subject))

    def of(self, subject: Subject) -> "Discussion":
        """The one on this subject, made if there is none."""
        return self.get_or_create(**_named(subject), defaults=_place(subject))[0]


def _named(subject: Subject) -> dict[str, Subject]:
    return {type(subject).__name__.lower(): subject}


def _place(subject: Subject) -> dict[str, int | None]:
    layer = None if isinstance(subject, Note) else subject.layer
    if isinstance(subject, (Note, Claim)):
        return {"network_id": subject.network_id, "layer_id": layer.pk if layer is not None else None}
    return {"network_id": subject.layer.network_id, "layer_id": subject.layer_id}


def network_of(subject: Subject) -> Network:
    return subject.network if isinstance(subject, (Note, Claim)) else subject.layer.network


class Discussion(models.Model):
    """All comments on one subject. Made with the first of them, or when somebody subscribes."""

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    network = models.ForeignKey(Network, models.PROTECT, related_name="discussions")
    layer = models.ForeignKey(
        Layer, models.PROTECT, null=True, blank=True, related_name="discussions", help_text="where its subject is"
    )
    neuron = models.OneToOneField(Neuron, models.PROTECT, null=True, blank=True, related_name="discussion")
    family = models.OneToOneField(Family, models.PROTECT, null=True, blank=True, related_name="discussion")
    proposal = models.OneToOneField(Proposal, models.PROTECT, null=True, blank=True, related_name="discussion")
    note = models.OneToOneField(Note, models.PROTECT, null=True, blank=True, related_name="discussion")
    claim = models.OneToOneField(Claim, models.PROTECT, null=True, blank=True, related_name="discussion")
    created_at = models.DateTimeField(auto_now_add=True)

    objects: ClassVar[DiscussionManager] = DiscussionManager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=(
                    models.Q(neuron__isnull=False, family=None, proposal=None, note=None, claim=None)
                    | models.Q(neuron=None, family__isnull=False, proposal=None, note=None, claim=None)
                    | models.Q(neuron=None, family=None, proposal__isnull=False, note=None, claim=None)
                    | models.Q(neuron=None, family=None, proposal=None, note__isnull=False, claim=None)
                    | models.Q(neuron=None, family=None, proposal=None, note=None, claim__isnull=False)
                ),
                name="discussion_has_one_subject",
            )
        ]

    def __str__(self) -> str:
        return f"On {self.subject}"

    def get_absolute_url(self) -> str:
        return f"{self.subject.get_absolute_url()}#discussion"

    @property
    def subject(self) -> Subject:
        found = self.neuron or self.family or self.proposal or self.note or self.claim
        assert found is not None  # by the constraint
        return found

    def placed(self) -> Subject:
        """The subject, with the layer or the network that was read with the discussion."""
        subject = self.subject
        if isinstance(subject, (Note, Claim)):
            subject.network = self.network
        elif self.layer is not None:
            self.layer.network = self.network
            subject.layer = self.layer
        return subject


class Comment(models.Model):
    """What somebody said; ``text`` is its latest wording. A first comment (without ``parent``) can be resolved."""

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    discussion = models.ForeignKey(Discussion, models.PROTECT, related_name="comments")
    author = models.ForeignKey(User, models.PROTECT, related_name="comments")
    parent = models.ForeignKey("self", models.PROTECT, null=True, blank=True, related_name="replies")
    text = Prose(max_length=20_000)
    submission = models.UUIDField(null=True, blank=True, help_text="the sender's own key: sent twice, taken once")
    created_at = models.DateTimeField(auto_now_add=True)
    edited_at = models.DateTimeField(null=True, blank=True)
    resolved_at = models.DateTimeField(null=True, blank=True)
    resolved_by = models.ForeignKey(User, models.PROTECT, null=True, blank=True, related_name="+")
    hidden_at = models.DateTimeField(null=True, blank=True)
    hidden_by = models.ForeignKey(User, models.PROTECT, null=True, blank=True, related_name="+")
    hidden_reason = models.CharField(max_length=500, blank=True)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(
                fields=["author", "submission"],
                condition=models.Q(submission__isnull=False),
                name="comment_is_submitted_once",
            ),
            models.CheckConstraint(
                condition=models.Q(resolved_at=None) | models.Q(parent=None), name="comment_resolved_is_a_first_one"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.author}: {self.text[:60]}"

    def get_absolute_url(self) -> str:
        return reverse("comment", args=[self.public_id])


@pgtrigger.register(
    pgtrigger.Protect(name="wordings_are_kept", operation=pgtrigger.Update | pgtrigger.Delete),
)
class Wording(models.Model):
    """One wording of a comment, the first and each edit."""

    comment = models.ForeignKey(Comment, models.PROTECT, related_name="wordings")
    number = models.PositiveIntegerField()
    text = Prose(max_length=20_000)
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["number"]
        constraints = [
            models.UniqueConstraint(fields=["comment", "number"], name="wording_number_is_unique_in_comment")
        ]

    def __str__(self) -> str:
        return f"{self.comment_id} in its wording {self.number}"
