"""Evidence: what the workers found out about a subject, by one recipe, in immutable versions."""

import uuid
from collections.abc import Iterable

import pgtrigger
from django.db import models
from django.urls import reverse
from pgvector.django import CosineDistance, HnswIndex, VectorField

from taxonomy import recipes
from taxonomy.models.families import Family
from taxonomy.models.images import ImageSet
from taxonomy.models.networks import Layer, Network, Neuron
from taxonomy.models.people import User


class Outcome(models.TextChoices):
    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


@pgtrigger.register(
    pgtrigger.ReadOnly(
        name="evidence_keeps_its_recipe",
        fields=["key", "kind", "network", "layer", "neuron", "family", "other", "claim", "image_set", "parameters"],
    ),
)
class Evidence(models.Model):
    """One kind, for one subject, by one recipe. ``key`` (see ``recipes.key``) makes asking twice the same row.

    The subject is a neuron; or a family as it was when it was asked for: its members are in ``parameters``; or a claim;
    or else the layer. ``other`` is the family at the other end, where the kind joins two. What was asked for never
    changes, only how far it is.
    """

    key = models.CharField(max_length=64, unique=True)
    kind = models.CharField(max_length=40)
    recipe_version = models.PositiveIntegerField()
    network = models.ForeignKey(Network, models.PROTECT, related_name="evidence")
    layer = models.ForeignKey(Layer, models.PROTECT, related_name="evidence")
    neuron = models.ForeignKey(Neuron, models.PROTECT, null=True, blank=True, related_name="evidence")
    family = models.ForeignKey(Family, models.PROTECT, null=True, blank=True, related_name="evidence")
    other = models.ForeignKey(Family, models.PROTECT, null=True, blank=True, related_name="+")
    claim = models.ForeignKey("Claim", models.PROTECT, null=True, blank=True, related_name="evidence")
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
            models.CheckConstraint(
                condition=models.Q(neuron=None, family=None)
                | models.Q(neuron=None, claim=None)
                | models.Q(family=None, claim=None),
                name="evidence_has_one_subject",
            ),
        ]
        indexes = [
            models.Index(fields=["neuron", "kind"], name="evidence_by_neuron"),
            models.Index(fields=["family", "kind"], name="evidence_by_family"),
            models.Index(fields=["layer", "kind", "status"], name="evidence_by_layer"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} of {self.subject}"

    @property
    def subject(self) -> str:
        if self.neuron is not None:
            return str(self.neuron)
        if self.family is not None:
            return f"{self.family} from {self.other}" if self.other else str(self.family)
        return f"“{self.claim}”" if self.claim is not None else str(self.layer)

    def names(self, neurons: Iterable[Neuron]) -> bool:
        """Whether it tells that any of these neurons (with their layers) is a member of its families.

        Of an experiment, whether its claim is about any of them.
        """
        if self.claim is not None:
            return self.claim.names(neurons)
        members, source = (set(self.parameters.get(name) or ()) for name in ("members", "source"))
        return any(
            (neuron.layer_id == self.layer_id and neuron.index in members)
            or (
                neuron.layer.network_id == self.network_id
                and neuron.layer.name == self.parameters.get("source_layer")
                and neuron.index in source
            )
            for neuron in neurons
        )


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

    def newer(self) -> "EvidenceVersion | None":
        """What took its place: what a later version of the recipe made of the same, or else a later run of this one."""
        return newer_than([self]).get(self.pk)


def newer_than(versions: Iterable[EvidenceVersion]) -> dict[int, EvidenceVersion]:
    """What took the place of each of these that is superseded, by id. One query, if they have their evidence
    and a recipe has a later version; else none.

    A recipe may have got further parameters since: what has all of these is the same.
    """
    alike = models.Q(pk__in=())
    subject = ("kind", "neuron_id", "family_id", "other_id", "claim_id", "layer_id", "image_set_id")
    every = list(versions)
    for version in every:
        same = {name: getattr(version.evidence, name) for name in subject}
        if version.evidence.recipe_version < recipes.KINDS[version.evidence.kind].version:
            alike |= models.Q(**same, recipe_version__gt=version.evidence.recipe_version)
    later = list(
        Evidence.objects.filter(alike, status=Outcome.DONE).select_related("current").order_by("-recipe_version", "pk")
    )
    found = {}
    for version in every:
        own = version.evidence
        newest = next(
            (
                row.current
                for row in later
                if row.recipe_version > own.recipe_version
                and all(getattr(row, name) == getattr(own, name) for name in subject)
                and all(row.parameters.get(name) == value for name, value in own.parameters.items())
            ),
            own.current,
        )
        if newest is not None and newest.pk != version.pk:
            found[version.pk] = newest
    return found


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


class Comparison(models.Model):
    """A recipe run again to see whether it gives the same. It never becomes a version of its own.

    ``metrics`` gives for each number of the data that differs its largest difference; ``pixels`` for each picture the
    largest difference of a colour, in steps of 255. ``files`` are the pictures of the second run:
    ``{name: {"sha256", "suffix", "size"}}``.
    """

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    version = models.ForeignKey(EvidenceVersion, models.PROTECT, related_name="comparisons")
    requested_by = models.ForeignKey(User, models.PROTECT, related_name="comparisons")
    shard = models.OneToOneField("Shard", models.PROTECT, null=True, blank=True, related_name="comparison")
    status = models.CharField(max_length=10, choices=Outcome, default=Outcome.QUEUED)
    reason = models.TextField(blank=True)
    identical = models.BooleanField(null=True)
    pixels = models.JSONField(default=dict, blank=True)
    metrics = models.JSONField(default=dict, blank=True)
    files = models.JSONField(default=dict, blank=True)
    environment = models.JSONField(default=dict, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(condition=models.Q(status__in=Outcome.values), name="comparison_status_is_known")
        ]

    def __str__(self) -> str:
        return f"{self.version} again"

    def get_absolute_url(self) -> str:
        return reverse("comparison", args=[self.public_id])

    @property
    def same_environment(self) -> bool:
        """Whether all that decides the bytes beside the recipe is the same. How many were made together does not."""
        beside = ("made_together", "halved")  # the batch that memory allowed in the end is compared
        first, second = (
            {name: value for name, value in made.items() if name not in beside}
            for made in (self.version.environment, self.environment)
        )
        return first == second


@pgtrigger.register(
    pgtrigger.Protect(name="survey_parts_are_kept", operation=pgtrigger.Update | pgtrigger.Delete),
)
class SurveyPart(models.Model):
    """What one pass over the images ``first`` to ``last`` (exclusive) gathered of a layer.

    Dataset examples, histograms and neighbours are made by merging a layer's parts, however many workers made them.
    """

    layer = models.ForeignKey(Layer, models.PROTECT, related_name="survey_parts")
    image_set = models.ForeignKey(ImageSet, models.PROTECT, related_name="survey_parts")
    recipe_version = models.PositiveIntegerField()
    first = models.PositiveIntegerField()
    last = models.PositiveIntegerField()
    sha256 = models.CharField(max_length=64, db_index=True)
    size = models.PositiveBigIntegerField()
    environment = models.JSONField(default=dict, blank=True)
    made_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["layer_id", "image_set_id", "first"]
        constraints = [
            models.UniqueConstraint(
                fields=["layer", "image_set", "recipe_version", "first"], name="survey_part_is_made_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.layer} over {self.image_set} from {self.first}"


class Likeness(models.TextChoices):
    """In what two neurons are like each other."""

    ACTIVATION = "activation"
    WEIGHTS = "weights"
    ROTATION = "rotation"


class VectorQuerySet(models.QuerySet["Vector"]):
    def near(self, vector: "Vector") -> "VectorQuerySet":
        """Vectors of other neurons that may be compared with it, the most alike first; ``distance`` is 1 - cosine."""
        alike = self.filter(likeness=vector.likeness)
        if vector.likeness == Likeness.ACTIVATION:  # over other images the numbers mean something else
            alike = alike.filter(image_set=vector.image_set_id)
        alike = alike.exclude(neuron=vector.neuron_id)
        return alike.annotate(distance=CosineDistance("values", vector.values)).order_by("distance")


class Vector(models.Model):
    """A neuron as a point: those near it (by cosine) are like it. One for each piece of ``neighbours`` evidence."""

    DIMENSIONS = 1024

    evidence = models.OneToOneField(Evidence, models.PROTECT, related_name="vector")
    neuron = models.ForeignKey(Neuron, models.PROTECT, related_name="vectors")
    likeness = models.CharField(max_length=10, choices=Likeness)
    image_set = models.ForeignKey(ImageSet, models.PROTECT, null=True, blank=True, related_name="vectors")
    values = VectorField(dimensions=DIMENSIONS)

    objects = VectorQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=models.Q(likeness__in=Likeness.values), name="vector_likeness_is_known")
        ]
        indexes = [
            models.Index(fields=["neuron", "likeness"], name="vector_by_neuron"),
            *(
                HnswIndex(
                    name=f"vector_near_{likeness}",
                    fields=["values"],
                    opclasses=["vector_cosine_ops"],
                    condition=models.Q(likeness=likeness),
                )
                for likeness in ("activation", "weights", "rotation")
            ),
        ]

    def __str__(self) -> str:
        return f"{self.neuron} by {self.likeness}"


@pgtrigger.register(
    pgtrigger.Protect(name="drifts_are_kept", operation=pgtrigger.Update | pgtrigger.Delete),
)
class Drift(models.Model):
    """How far newer evidence lies from a version that people saw, by the kind's tolerance: compared once, and kept."""

    seen = models.ForeignKey(EvidenceVersion, models.PROTECT, related_name="drifts")
    newer = models.ForeignKey(EvidenceVersion, models.PROTECT, related_name="+")
    beyond = models.BooleanField(help_text="whether it differs beyond the tolerance")
    measure = models.CharField(max_length=300, help_text="in what, and how far, in words")
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["id"]
        constraints = [models.UniqueConstraint(fields=["seen", "newer"], name="drift_is_measured_once")]

    def __str__(self) -> str:
        return f"{self.newer} against {self.seen}: {self.measure}"
