"""Leases: neurons that the queue handed to a person; sheets: many at once; gold: what readings are checked by."""

import uuid

import pgtrigger
from django.db import models
from django.urls import reverse
from django.utils import timezone

from taxonomy.models.fields import Prose
from taxonomy.models.labels import Label
from taxonomy.models.networks import Layer, Neuron
from taxonomy.models.people import User


class Sheet(models.Model):
    """A lease on similar unsettled neurons of one layer, to be sorted like cards on a table."""

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    person = models.ForeignKey(User, models.PROTECT, related_name="sheets")
    layer = models.ForeignKey(Layer, models.PROTECT, related_name="sheets")
    taken_at = models.DateTimeField(auto_now_add=True)
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["person", "layer"], condition=models.Q(ended_at=None), name="sheet_is_one_a_layer"
            )
        ]

    def __str__(self) -> str:
        return f"{self.person}'s sheet of {self.layer}"

    def get_absolute_url(self) -> str:
        return reverse("sheet", args=[self.public_id])


class LeaseQuerySet(models.QuerySet["Lease"]):
    def live(self) -> "LeaseQuerySet":
        return self.filter(ended_at=None, expires_at__gt=timezone.now())


class Lease(models.Model):
    """A neuron in one person's hands until ``expires_at``; ended by the label, by skipping it, or by time."""

    token = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    neuron = models.ForeignKey(Neuron, models.PROTECT, related_name="leases")
    person = models.ForeignKey(User, models.PROTECT, related_name="leases")
    sheet = models.ForeignKey(Sheet, models.PROTECT, null=True, blank=True, related_name="leases")
    gold = models.BooleanField(default=False, help_text="a settled neuron, mixed in to check readings by")
    label = models.OneToOneField(Label, models.PROTECT, null=True, blank=True, related_name="lease")
    taken_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)

    objects = LeaseQuerySet.as_manager()

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(
                fields=["neuron", "person"], condition=models.Q(ended_at=None), name="lease_is_one_a_person"
            )
        ]
        indexes = [
            models.Index(fields=["person", "ended_at"], name="lease_by_person"),
            models.Index(fields=["neuron"], condition=models.Q(ended_at=None), name="lease_that_lives"),
        ]

    def __str__(self) -> str:
        return f"{self.neuron} with {self.person}"

    @property
    def is_live(self) -> bool:
        return self.ended_at is None and self.expires_at > timezone.now()


class GoldQuerySet(models.QuerySet["Gold"]):
    def current(self) -> "GoldQuerySet":
        return self.filter(ended_at=None)


@pgtrigger.register(
    pgtrigger.Protect(name="golds_are_kept", operation=pgtrigger.Delete),
    pgtrigger.ReadOnly(name="golds_only_end", exclude=["ended_at"]),
)
class Gold(models.Model):
    """An accepted neuron that an editor marked: what contributors read in it is held to its accepted family."""

    neuron = models.ForeignKey(Neuron, models.PROTECT, related_name="golds")
    marked_by = models.ForeignKey(User, models.PROTECT, related_name="+")
    reason = Prose()
    at = models.DateTimeField(auto_now_add=True)
    ended_at = models.DateTimeField(null=True, blank=True)

    objects = GoldQuerySet.as_manager()

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["neuron"], condition=models.Q(ended_at=None), name="gold_is_marked_once")
        ]

    def __str__(self) -> str:
        return f"{self.neuron} is gold"
