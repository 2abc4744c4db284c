"""Reviews: what a reviewer decided on a neuron."""

import pgtrigger
from django.db import models

from taxonomy.models.families import Family
from taxonomy.models.fields import Prose
from taxonomy.models.labels import Tally
from taxonomy.models.networks import Neuron
from taxonomy.models.people import User


class Decision(models.TextChoices):
    ACCEPT = "accept"


@pgtrigger.register(
    pgtrigger.Protect(name="reviews_are_kept", operation=pgtrigger.Update | pgtrigger.Delete),
)
class Review(models.Model):
    """A decision, with the tally it rests on (taken without the reviewer's own label)."""

    neuron = models.ForeignKey(Neuron, models.PROTECT, related_name="reviews")
    reviewer = models.ForeignKey(User, models.PROTECT, related_name="given_reviews")
    decision = models.CharField(max_length=16, choices=Decision)
    family = models.ForeignKey(Family, models.PROTECT, null=True, blank=True, related_name="reviews")
    tally = models.ForeignKey(Tally, models.PROTECT, related_name="reviews")
    comment = Prose(blank=True)
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{self.reviewer} {self.decision} {self.neuron}"
