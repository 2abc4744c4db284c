"""The taxonomy: families of a layer's neurons, how they are linked, who belongs where."""

import uuid
from collections.abc import Collection

import pgtrigger
from django.db import models
from django.db.models.functions import Lower
from django.urls import reverse

from taxonomy.models.fields import Line, Prose
from taxonomy.models.networks import Layer, Neuron
from taxonomy.models.people import User


class FamilyKind(models.TextChoices):
    NATURAL = "natural"
    CATCH_ALL = "catch-all"
    ORGANISATIONAL = "organisational"


class Confidence(models.TextChoices):
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


class Symmetry(models.TextChoices):
    NONE = "none"
    ROTATION = "rotation"
    SCALE = "scale"
    HUE = "hue"
    REFLECTION = "reflection"


class Family(models.Model):
    """A group of neurons of one layer, with a name and a remark (Markdown)."""

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    layer = models.ForeignKey(Layer, models.PROTECT, related_name="families")
    name = Line(max_length=120)
    remark = Prose(blank=True, max_length=20_000)
    parent = models.ForeignKey("self", models.PROTECT, null=True, blank=True, related_name="children")
    kind = models.CharField(max_length=16, choices=FamilyKind, default=FamilyKind.NATURAL)
    confidence = models.CharField(max_length=8, choices=Confidence, default=Confidence.MEDIUM)
    symmetry = models.CharField(max_length=12, choices=Symmetry, default=Symmetry.NONE)
    source = models.CharField(max_length=500, blank=True, help_text="where an imported family comes from")
    order = models.PositiveIntegerField(default=0, help_text="order in its source; 0 when made here")
    created_at = models.DateTimeField(auto_now_add=True)
    retired_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["layer_id", "order", "id"]
        verbose_name_plural = "families"
        constraints = [
            models.UniqueConstraint(
                "layer", Lower("name"), condition=models.Q(retired_at=None), name="family_name_is_unique_in_layer"
            ),
            models.CheckConstraint(condition=~models.Q(parent=models.F("id")), name="family_is_not_its_own_parent"),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.layer})"

    def get_absolute_url(self) -> str:
        return reverse("family", args=[self.layer.network.name, self.layer.name, self.pk])


class LinkKind(models.TextChoices):
    EARLIER = "earlier"
    LATER = "later"
    ANALOGUE = "analogue"
    UNION_OF = "union of"
    OPPOSES = "opposes"


class FamilyLink(models.Model):
    """'Compare to earlier ...', 'Compare to later ...': ``target`` is the earlier, later, ... kin of ``source``."""

    source = models.ForeignKey(Family, models.PROTECT, related_name="links")
    target = models.ForeignKey(Family, models.PROTECT, related_name="linked_from")
    kind = models.CharField(max_length=12, choices=LinkKind)
    created_by = models.ForeignKey(User, models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["kind", "id"]
        constraints = [
            models.UniqueConstraint(fields=["source", "target", "kind"], name="family_link_is_unique"),
            models.CheckConstraint(condition=~models.Q(source=models.F("target")), name="family_link_is_not_to_itself"),
        ]

    def __str__(self) -> str:
        return f"{self.source} {self.kind} {self.target}"


class MembershipQuerySet(models.QuerySet["Membership"]):
    def current(self) -> "MembershipQuerySet":
        return self.filter(ended_at=None)

    def shown(self, hidden: Collection[int]) -> "MembershipQuerySet":
        """The current ones as a person is shown them, from whom these neurons are hidden."""
        return self.filter(shown_members(hidden))


def shown_members(hidden: Collection[int], path: str = "") -> models.Q:
    """The condition of ``MembershipQuerySet.shown``, for counting memberships over ``path`` (``"memberships__"``).

    Args:
        hidden: settled neurons whose answer is hidden from whoever asks (``permissions.hidden_from``).
    """
    found = models.Q(**{f"{path}ended_at": None})
    return found & ~models.Q(**{f"{path}neuron__in": hidden}) if hidden else found


@pgtrigger.register(
    pgtrigger.Protect(name="memberships_are_kept", operation=pgtrigger.Delete),
    pgtrigger.ReadOnly(name="memberships_only_end", exclude=["ended_at"]),
)
class Membership(models.Model):
    """A neuron in a family: one primary, more for a polysemantic neuron. Ended, never deleted."""

    family = models.ForeignKey(Family, models.PROTECT, related_name="memberships")
    neuron = models.ForeignKey(Neuron, models.PROTECT, related_name="memberships")
    primary = models.BooleanField(default=True)
    parameter = models.FloatField(
        null=True, blank=True, help_text="its place in the family's symmetry, such as an angle"
    )
    review = models.ForeignKey("Review", models.PROTECT, null=True, blank=True, related_name="memberships")
    source = models.CharField(max_length=500, blank=True, help_text="what an import cites")
    made_by = models.ForeignKey(User, models.PROTECT, related_name="+")
    made_at = models.DateTimeField(auto_now_add=True)
    ended_at = models.DateTimeField(null=True, blank=True)

    objects = MembershipQuerySet.as_manager()

    class Meta:
        ordering = ["family_id", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["family", "neuron"], condition=models.Q(ended_at=None), name="membership_is_current_once"
            ),
            models.UniqueConstraint(
                fields=["neuron"],
                condition=models.Q(ended_at=None, primary=True),
                name="membership_has_one_primary_a_neuron",
            ),
        ]
        indexes = [models.Index(fields=["neuron", "ended_at"], name="membership_by_neuron")]

    def __str__(self) -> str:
        return f"{self.neuron} in {self.family}"
