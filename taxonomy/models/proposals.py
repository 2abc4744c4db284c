"""Proposals: the one way in which people change the taxonomy's structure."""

import uuid

from django.db import models
from django.urls import reverse

from taxonomy.models.families import Confidence, Family, FamilyKind, Symmetry
from taxonomy.models.fields import Line, Prose
from taxonomy.models.labels import Label
from taxonomy.models.networks import Layer
from taxonomy.models.people import User


class ProposalKind(models.TextChoices):
    CREATE = "create"


class ProposalState(models.TextChoices):
    OPEN = "open"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"


class Proposal(models.Model):
    """A new family, named and described, awaiting a reviewer who is not its author."""

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    kind = models.CharField(max_length=12, choices=ProposalKind, default=ProposalKind.CREATE)
    state = models.CharField(max_length=12, choices=ProposalState, default=ProposalState.OPEN)
    layer = models.ForeignKey(Layer, models.PROTECT, related_name="proposals")
    author = models.ForeignKey(User, models.PROTECT, related_name="proposals")
    name = Line(max_length=120)
    remark = Prose(max_length=20_000)
    parent = models.ForeignKey(Family, models.PROTECT, null=True, blank=True, related_name="+")
    family_kind = models.CharField(max_length=16, choices=FamilyKind, default=FamilyKind.NATURAL)
    confidence = models.CharField(max_length=8, choices=Confidence, default=Confidence.MEDIUM)
    symmetry = models.CharField(max_length=12, choices=Symmetry, default=Symmetry.NONE)
    asked_by: "models.ManyToManyField[Label, models.Model]" = models.ManyToManyField(
        "Label",
        blank=True,
        related_name="+",
        help_text="“none of these” that ask for it, and follow it",
    )
    created_at = models.DateTimeField(auto_now_add=True)
    decided_by = models.ForeignKey(User, models.PROTECT, null=True, blank=True, related_name="decided_proposals")
    decided_at = models.DateTimeField(null=True, blank=True)
    comment = Prose(blank=True)
    family = models.OneToOneField(Family, models.PROTECT, null=True, blank=True, related_name="proposal")

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(
                condition=~models.Q(state="accepted") | ~models.Q(decided_by=models.F("author")),
                name="proposal_is_not_accepted_by_its_author",
            ),
            models.CheckConstraint(
                condition=models.Q(state="accepted", family__isnull=False)
                | (~models.Q(state="accepted") & models.Q(family=None)),
                name="proposal_accepted_has_its_family",
            ),
        ]

    def __str__(self) -> str:
        return f"New family “{self.name}” in {self.layer}"

    def get_absolute_url(self) -> str:
        return reverse("proposal", args=[self.public_id])
