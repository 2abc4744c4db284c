"""Evidence: what the workers found out about a subject, by one recipe, in immutable versions."""

import uuid

import pgtrigger
from django.db import models
from django.urls import reverse

from taxonomy.models.images import ImageSet
from taxonomy.models.networks import Layer, Network, Neuron


class Outcome(models.TextChoices):
    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Evidence(models.Model):
    """One kind, for one subject, by one recipe. ``key`` (see ``recipes.key``) makes asking twice the same row."""

    key = models.CharField(max_length=64, unique=True)
    kind = models.CharField(max_length=40)
    recipe_version = models.PositiveIntegerField()
    network = models.ForeignKey(Network, models.PROTECT, related_name="evidence")
    layer = models.ForeignKey(Layer, models.PROTECT, related_name="evidence")
    neuron = models.ForeignKey(Neuron, models.PROTECT, related_name="evidence")
    image_set = models.ForeignKey(ImageSet, models.PROTECT, null=True, blank=True, related_name="evidence")
    parameters = models.JSONField(default=dict, blank=True)
    status = models.CharField(max_length=10, choices=Outcome, default=Outcome.QUEUED)
    reason = models.TextField(blank=True, help_text="why it failed, in a sentence")
    current = models.ForeignKey("EvidenceVersion", models.PROTECT, null=True, blank=True, related_name="+")
    shard = models.ForeignKey("Shard", models.PROTECT, null=True, blank=True, related_name="evidence")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["id"]
        verbose_name_plural = "evidence"
        constraints = [
            models.CheckConstraint(condition=models.Q(status__in=Outcome.values), name="evidence_status_is_known"),
            models.CheckConstraint(
                condition=models.Q(status="done", current__isnull=False) | ~models.Q(status="done"),
                name="evidence_done_has_a_version",
            ),
        ]
        indexes = [
            models.Index(fields=["neuron", "kind"], name="evidence_by_neuron"),
            models.Index(fields=["layer", "kind", "status"], name="evidence_by_layer"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} of {self.subject}"

    @property
    def subject(self) -> str:
        return str(self.neuron)


@pgtrigger.register(
    pgtrigger.Protect(name="versions_are_kept", operation=pgtrigger.Update | pgtrigger.Delete),
)
class EvidenceVersion(models.Model):
    """What one run of a recipe gave. Never changed: a permalink always shows the same."""

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    evidence = models.ForeignKey(Evidence, models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    environment = models.JSONField(default=dict, blank=True)
    wall_seconds = models.FloatField(default=0, help_text="of the batch it was made in, up to this result")
    made_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["evidence_id", "number"]
        constraints = [models.UniqueConstraint(fields=["evidence", "number"], name="version_number_is_unique")]

    def __str__(self) -> str:
        return f"{self.evidence} v{self.number}"

    def get_absolute_url(self) -> str:
        return reverse("evidence_version", args=[self.public_id])


@pgtrigger.register(
    pgtrigger.Protect(name="artifacts_are_kept", operation=pgtrigger.Update | pgtrigger.Delete),
)
class Artifact(models.Model):
    """A file that belongs to a version: ``data.json`` (the numbers) or a picture. Its bytes are in ``storage``."""

    version = models.ForeignKey(EvidenceVersion, models.PROTECT, related_name="artifacts")
    name = models.CharField(max_length=60)
    sha256 = models.CharField(max_length=64, db_index=True)
    suffix = models.CharField(max_length=8)
    size = models.PositiveBigIntegerField()

    class Meta:
        ordering = ["version_id", "name"]
        constraints = [models.UniqueConstraint(fields=["version", "name"], name="artifact_name_is_unique")]

    def __str__(self) -> str:
        return f"{self.name} of {self.version}"


class Sprite(models.Model):
    """The faces of a layer's neurons in one picture, so that a page of 256 neurons asks for one file.

    Neuron ``i`` is the cell in column ``i % columns`` and row ``i // columns``; ``shown`` lists the neurons that have
    a face in it.
    """

    layer = models.OneToOneField(Layer, models.PROTECT, related_name="sprite")
    sha256 = models.CharField(max_length=64, db_index=True)
    cell = models.PositiveIntegerField()
    columns = models.PositiveIntegerField()
    shown = models.JSONField(default=list, blank=True)
    digest = models.CharField(max_length=64, help_text="of the artifacts it was made from")
    made_at = models.DateTimeField(auto_now=True)

    def __str__(self) -> str:
        return f"sprite of {self.layer}"
