"""Agreement: figures over blind labels, kept with the rule's version and what went in."""

import pgtrigger
from django.db import models

from taxonomy.models.families import Family
from taxonomy.models.networks import Layer, Network


class AgreementQuerySet(models.QuerySet["Agreement"]):
    def newest(self) -> "AgreementQuerySet":
        """The one of each subject that holds."""
        subject = "network_id", "layer_id", "family_id"
        return self.order_by(*subject, "-id").distinct(*subject)


@pgtrigger.register(
    pgtrigger.Protect(name="agreements_are_kept", operation=pgtrigger.Update | pgtrigger.Delete),
)
class Agreement(models.Model):
    """Agreement in a network, a layer or about a family, as computed at one moment. The newest of a subject holds."""

    network = models.ForeignKey(Network, models.PROTECT, related_name="agreements")
    layer = models.ForeignKey(Layer, models.PROTECT, null=True, blank=True, related_name="agreements")
    family = models.ForeignKey(Family, models.PROTECT, null=True, blank=True, related_name="agreements")
    rule_version = models.PositiveIntegerField()
    inputs = models.JSONField(help_text="digest of the labels that went in, and how many they are")
    figures = models.JSONField()
    flagged = models.BooleanField(default=False, help_text="a family's definition, when its alpha is below 0.667")
    at = models.DateTimeField(auto_now_add=True)

    objects = AgreementQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["network", "layer", "family", "-id"], name="agreement_newest")]

    def __str__(self) -> str:
        return f"Agreement in {self.family or self.layer or self.network}"
