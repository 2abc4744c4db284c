"""Jobs: what was asked of the workers, cut into shards that a lease protects."""

import datetime
import uuid

import pgtrigger
from django.conf import settings
from django.db import models
from django.urls import reverse
from django.utils import timezone

from taxonomy.models.evidence import Evidence, Outcome
from taxonomy.models.images import ImageSet
from taxonomy.models.networks import Network
from taxonomy.models.people import User


class Job(models.Model):
    """One request for evidence. Its progress is counted from its shards."""

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    title = models.CharField(max_length=200)
    network = models.ForeignKey(Network, models.PROTECT, related_name="jobs")
    requested_by = models.ForeignKey(User, models.PROTECT, related_name="jobs")
    status = models.CharField(max_length=10, choices=Outcome, default=Outcome.QUEUED)
    urgent = models.BooleanField(default=False, help_text="a person waits for it: it overtakes sweeps")
    total = models.PositiveIntegerField(default=0)
    done = models.PositiveIntegerField(default=0)
    failed = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(condition=models.Q(status__in=Outcome.values), name="job_status_is_known")
        ]

    def __str__(self) -> str:
        return self.title

    def get_absolute_url(self) -> str:
        return reverse("job", args=[self.public_id])

    @property
    def is_live(self) -> bool:
        return self.status in (Outcome.QUEUED, Outcome.RUNNING)

    def unfinished(self) -> models.QuerySet[Evidence]:
        """What failed or was cancelled: what a retry makes."""
        return Evidence.objects.filter(shard__job=self, status__in=(Outcome.FAILED, Outcome.CANCELLED))

    @property
    def settled(self) -> int:
        return self.done + self.failed

    @property
    def seconds(self) -> float:
        if self.started_at is None:
            return 0.0
        return ((self.finished_at or timezone.now()) - self.started_at).total_seconds()

    @property
    def rate(self) -> float | None:
        """Neurons' evidence a second, once there is something to measure."""
        return self.settled / self.seconds if self.settled and self.seconds > 0.5 else None

    @property
    def seconds_left(self) -> float | None:
        return (self.total - self.settled) / self.rate if self.rate and self.is_live else None


class ShardQuerySet(models.QuerySet["Shard"]):
    def claimable(self, *, heavy: bool) -> "ShardQuerySet":
        """What a worker may take up now, the most urgent first. ``heavy``: also what is for a GPU, and that first.

        Passes over images come before what else is as urgent: somebody else's click may wait for them.
        """
        free = models.Q(status=Outcome.QUEUED, waiting=False) | models.Q(
            status=Outcome.RUNNING, lease_expires_at__lt=timezone.now()
        )
        found = self.filter(free)
        if settings.GPU_WORKERS and not heavy:
            found = found.filter(heavy=False)
        passes = models.Case(models.When(kind="survey", then=0), default=1)
        gpu = ["-heavy"] if settings.GPU_WORKERS else []
        return found.order_by("-job__urgent", *gpu, passes, "job_id", "stage", "order")

    def orphaned(self) -> "ShardQuerySet":
        """Shards whose worker has gone silent."""
        return self._not_just_rung().filter(status=Outcome.RUNNING, lease_expires_at__lt=timezone.now())

    def unheard(self) -> "ShardQuerySet":
        """Shards that nobody has started, and that wait for nothing."""
        return self._not_just_rung().filter(status=Outcome.QUEUED, waiting=False)

    def _not_just_rung(self) -> "ShardQuerySet":
        return self.filter(rung_at__lt=timezone.now() - datetime.timedelta(seconds=settings.RING_AGAIN_SECONDS))


@pgtrigger.register(
    pgtrigger.ReadOnly(name="shards_keep_their_kind", fields=["kind", "image_set"]),
    pgtrigger.Protect(
        name="shards_keep_their_recipe",
        operation=pgtrigger.Update,
        condition=~pgtrigger.Q(old__kind="survey") & pgtrigger.Q(old__parameters__df=pgtrigger.F("new__parameters")),
    ),
)
class Shard(models.Model):
    """A part of a job that one worker does under a lease: several neurons' evidence of one kind and recipe.

    A shard of kind ``survey`` is a pass over some of the images (``SurveyPart``). Those of the later ``stage`` are made
    of such passes, and are ``waiting`` until every part of them is there, whichever job makes it. ``heavy`` ones are
    for a GPU, where there is one. What evidence it is to make never changes;
    a pass that is tried again leaves out the layers that another made.
    """

    MAX_ATTEMPTS = 5

    job = models.ForeignKey(Job, models.PROTECT, related_name="shards")
    order = models.PositiveIntegerField()
    stage = models.PositiveSmallIntegerField(default=0)
    waiting = models.BooleanField(default=False, help_text="for passes over the images")
    heavy = models.BooleanField(default=False)
    kind = models.CharField(max_length=40)
    parameters = models.JSONField(default=dict, blank=True)
    image_set = models.ForeignKey(ImageSet, models.PROTECT, null=True, blank=True)
    status = models.CharField(max_length=10, choices=Outcome, default=Outcome.QUEUED)
    reason = models.TextField(blank=True)
    attempts = models.PositiveIntegerField(default=0)
    lease_token = models.UUIDField(null=True, blank=True)
    lease_expires_at = models.DateTimeField(null=True, blank=True)
    worker = models.CharField(max_length=200, blank=True)
    rung_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    objects = ShardQuerySet.as_manager()

    class Meta:
        ordering = ["job_id", "order"]
        constraints = [
            models.UniqueConstraint(fields=["job", "order"], name="shard_order_is_unique_in_job"),
            models.CheckConstraint(condition=models.Q(status__in=Outcome.values), name="shard_status_is_known"),
        ]
        indexes = [models.Index(fields=["status", "lease_expires_at"], name="shard_by_lease")]

    def __str__(self) -> str:
        return f"{self.job} #{self.order}"
