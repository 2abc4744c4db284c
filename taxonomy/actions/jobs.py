"""A job's life: shards are claimed under a lease, renewed, finished; cancelled, retried; rung for again when lost."""

import datetime
import uuid
from collections.abc import Iterable
from dataclasses import dataclass

from django.conf import settings
from django.db import transaction
from django.db.models import Case, Count, Q, QuerySet, When
from django.utils import timezone

from taxonomy import dispatch, events
from taxonomy.actions import surveys
from taxonomy.actions.shards import (
    GPU_QUEUE,
    LIVE,
    LeaseLost,
    hold,
    locked,
    locked_job,
    locked_network,
    queues,
    ring,
)
from taxonomy.models import Comparison, Evidence, Job, Outcome, Shard, User
from taxonomy.permissions import can_cancel_job, can_retry_job, require


@dataclass(frozen=True)
class Claim:
    """A shard in one worker's hands. ``targets`` are what is still to do."""

    shard: Shard
    token: uuid.UUID
    targets: list[Evidence]
    comparison: Comparison | None = None  # what the shard is for, where it is no new evidence


def _lease_end() -> datetime.datetime:
    return timezone.now() + datetime.timedelta(seconds=settings.LEASE_SECONDS)


def claim(worker: str, *, heavy: bool = True) -> Claim | None:
    """Take up the most urgent shard that nobody works on; None when there is none.

    Args:
        heavy: whether this worker takes what is for a GPU.
    """
    for _ in range(20):  # others may be quicker, again and again
        found = Shard.objects.claimable(heavy=heavy).values_list("job", flat=True).first()
        if found is None:
            break
        claimed = _claim(found, worker, heavy=heavy)
        if isinstance(claimed, Claim):
            return claimed
        if claimed is not None:
            _fail_waiting(claimed)
    if not heavy and Shard.objects.claimable(heavy=True).exists() and dispatch.waiting(GPU_QUEUE) == 0:
        ring(heavy=True)  # the bell that this worker heard was meant for the others
    return None


@transaction.atomic
def _claim(job_id: int, worker: str, *, heavy: bool) -> Claim | Shard | None:
    """Take up a shard of this job, under the job's lock; the shard itself where it lost too many workers already."""
    job = locked_job(job_id)
    free = job.shards.claimable(heavy=heavy).select_related("job__network", "image_set")
    shard = free.select_for_update(of=["self"], no_key=True, skip_locked=True).first()
    if shard is None:
        return None
    if shard.attempts >= Shard.MAX_ATTEMPTS:
        _give_up(
            job, shard, f"The worker was lost {shard.attempts} times while making this. Retry the job to try again."
        )
        return shard
    now = timezone.now()
    shard.status, shard.worker, shard.attempts = Outcome.RUNNING, worker[:200], shard.attempts + 1
    shard.lease_token, shard.lease_expires_at = uuid.uuid4(), _lease_end()
    shard.started_at = shard.started_at or now
    shard.save()
    if job.started_at is None:
        job.started_at = now
    job.status = Outcome.RUNNING
    job.save(update_fields=["started_at", "status"])
    _set(shard.evidence.filter(status__in=LIVE), status=Outcome.RUNNING)
    targets = shard.evidence.filter(status=Outcome.RUNNING)
    comparison = Comparison.objects.select_related("version__evidence").filter(shard=shard).first()
    if comparison is not None:
        Comparison.objects.filter(pk=comparison.pk).update(status=Outcome.RUNNING)
        targets = Evidence.objects.filter(pk=comparison.version.evidence_id)
    targets = targets.select_related("layer", "neuron__layer__network").order_by("layer__order", "neuron__index", "pk")
    return Claim(shard, shard.lease_token, list(targets), comparison)


def _set(evidence: QuerySet[Evidence], **values: str) -> None:
    Evidence.objects.filter(pk__in=[row.pk for row in locked(evidence)]).update(**values)


def renew(shard_id: int, token: uuid.UUID) -> None:
    """The worker is alive.

    Raises:
        LeaseLost: when the shard was cancelled or went to another worker.
    """
    held = Shard.objects.filter(pk=shard_id, lease_token=token, status=Outcome.RUNNING)
    if not held.update(lease_expires_at=_lease_end()):
        raise LeaseLost(f"The lease on shard {shard_id} is gone.")


@transaction.atomic
def finish(shard_id: int, token: uuid.UUID) -> None:
    """Everything in the shard is done or failed.

    Raises:
        LeaseLost: when ``token`` no longer holds it.
    """
    job, shard = hold(shard_id, token)
    shard.status = Outcome.FAILED if shard.evidence.filter(status=Outcome.FAILED).exists() else Outcome.DONE
    _close(job, shard)


def give_up(shard_id: int, token: uuid.UUID, reason: str) -> None:
    """What is not done in the shard failed, for one reason (weights that cannot be read, a full disk).

    What waits for a pass over images that failed fails with it, and for the same reason.

    Raises:
        LeaseLost: when ``token`` no longer holds it.
    """
    with transaction.atomic():
        job, shard = hold(shard_id, token)
        _give_up(job, shard, reason)
    _fail_waiting(shard)


def _give_up(job: Job, shard: Shard, reason: str) -> None:
    _set(shard.evidence.filter(status__in=LIVE), status=Outcome.FAILED, reason=reason[:2000])
    _settle([shard], Outcome.FAILED, reason[:2000])
    shard.status, shard.reason = Outcome.FAILED, reason[:2000]
    _close(job, shard)


def _fail_waiting(shard: Shard) -> None:
    """The evidence of any job that waited for this pass over images, which failed, fails with its reason."""
    if shard.kind != surveys.KIND:
        return
    for job_id in sorted(set(surveys.waiting_for(shard).values_list("job", flat=True))):
        with transaction.atomic():
            job = locked_job(job_id)
            for waiting in surveys.waiting_for(shard).filter(job=job).select_for_update(of=["self"], no_key=True):
                _give_up(job, waiting, shard.reason)


def _settle(shards: Iterable[Shard], status: str, reason: str = "") -> None:
    """The comparisons that these shards were for are over, without one."""
    unsettled = Comparison.objects.filter(shard__in=shards, status__in=LIVE)
    unsettled.update(status=status, reason=reason, finished_at=timezone.now())


def _close(job: Job, shard: Shard) -> None:
    shard.lease_token = shard.lease_expires_at = None
    shard.finished_at = timezone.now()
    shard.save()
    for layer_id in shard.evidence.order_by().values_list("layer_id", flat=True).distinct():
        dispatch.enqueue("site.sprite", layer_id)
    _count(job)
    if not job.shards.filter(status__in=LIVE).exists():
        job.status = Outcome.FAILED if job.failed else Outcome.DONE
        job.finished_at = timezone.now()
        job.save(update_fields=["status", "finished_at"])
        data = {"done": job.done, "failed": job.failed}
        events.record(User.objects.system(), "job.finished", network=job.network, job=job, data=data)


def _count(job: Job) -> None:
    done, failed = Count("pk", filter=Q(status=Outcome.DONE)), Count("pk", filter=Q(status=Outcome.FAILED))
    made = Evidence.objects.filter(shard__job=job).aggregate(done=done, failed=failed)
    compared = Comparison.objects.filter(shard__job=job).aggregate(done=done, failed=failed)
    job.done, job.failed = made["done"] + compared["done"], made["failed"] + compared["failed"]
    job.save(update_fields=["done", "failed"])


def cancel(user: User, job: Job) -> Job:
    """Stop what is not done; what is done stays. A pass over images that other jobs wait for becomes one of theirs.

    Raises:
        Refused: when the user may not, or the job is over.
    """
    with transaction.atomic():
        job = locked_job(job.pk)
        require(can_cancel_job(user, job))
        shards = list(job.shards.select_for_update(no_key=True).filter(status__in=LIVE).order_by("pk"))
        now = timezone.now()
        job.shards.filter(pk__in=[shard.pk for shard in shards]).update(
            status=Outcome.CANCELLED, lease_token=None, lease_expires_at=None, finished_at=now
        )
        _set(Evidence.objects.filter(shard__in=shards, status__in=LIVE), status=Outcome.CANCELLED)
        _settle(shards, Outcome.CANCELLED)
        job.status, job.finished_at = Outcome.CANCELLED, now
        job.save(update_fields=["status", "finished_at"])
        events.record(user, "job.cancelled", network=job.network, job=job, data={"done": job.done})
    surveys.tend()
    return job


@transaction.atomic
def retry(user: User, job: Job) -> Job:
    """Queue again what failed or was cancelled.

    Raises:
        Refused: when the user may not, or nothing failed.
    """
    locked_network(job.network_id)
    job = locked_job(job.pk)
    require(can_retry_job(user, job))
    shards = list(job.shards.select_for_update(no_key=True).filter(pk__in=job.unfinished().values("shard")))
    _set(job.unfinished().filter(shard__in=shards), status=Outcome.QUEUED, reason="")
    job.shards.filter(pk__in=[shard.pk for shard in shards]).update(
        status=Outcome.QUEUED,
        waiting=Case(When(stage__gt=0, then=True), default=False),
        reason="",
        attempts=0,
        rung_at=timezone.now(),
        finished_at=None,
    )
    for shard in shards:
        if not shard.stage:
            ring(heavy=shard.heavy)
    surveys.prepare(job)
    _count(job)
    job.status, job.finished_at = Outcome.QUEUED, None
    job.save(update_fields=["status", "finished_at"])
    events.record(user, "job.retried", network=job.network, job=job, data={"shards": len(shards)})
    return job


def reap() -> int:
    """Ring again for shards that nobody works on although somebody should; returns how many.

    A shard that waits to be started is rung for only when no bell is left in its queue (Redis was emptied, or could
    not be reached when the shard was made): a long queue is no reason to ring twice.
    """
    surveys.tend()
    return _ring_again()


@transaction.atomic
def _ring_again() -> int:
    lost = Shard.objects.orphaned()
    for queue, heavy in queues().items():
        if dispatch.waiting(queue) == 0:
            lost = lost | Shard.objects.unheard().filter(heavy__in=heavy)
    shards = list(lost.select_for_update(skip_locked=True, no_key=True))
    for shard in shards:
        ring(heavy=shard.heavy)
    Shard.objects.filter(pk__in=[shard.pk for shard in shards]).update(rung_at=timezone.now())
    return len(shards)
