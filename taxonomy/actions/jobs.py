"""A job's life: shards are claimed under a lease, renewed, finished; cancelled, retried; rung for again when lost."""

import datetime
import uuid
from dataclasses import dataclass

from django.conf import settings
from django.db import transaction
from django.db.models import Count, Q, QuerySet
from django.utils import timezone

from taxonomy import dispatch, events
from taxonomy.actions.evidence import LeaseLost, hold, locked
from taxonomy.models import Evidence, Job, Outcome, Shard, User
from taxonomy.permissions import can_cancel_job, can_retry_job, require

LIVE = (Outcome.QUEUED, Outcome.RUNNING)


@dataclass(frozen=True)
class Claim:
    """A shard in one worker's hands. ``targets`` are what is still to do."""

    shard: Shard
    token: uuid.UUID
    targets: list[Evidence]


def _lease_end() -> datetime.datetime:
    return timezone.now() + datetime.timedelta(seconds=settings.LEASE_SECONDS)


@transaction.atomic
def claim(shard_id: int, worker: str) -> Claim | None:
    """Take the shard, or None: it is done, cancelled, or another worker holds it."""
    found = Shard.objects.filter(pk=shard_id).values_list("job_id", flat=True).first()
    if found is None:
        return None
    job = Job.objects.select_for_update(no_key=True).get(pk=found)
    shards = Shard.objects.select_for_update(of=["self"], no_key=True)
    shard = shards.select_related("job__network", "image_set").get(pk=shard_id)
    now = timezone.now()
    if shard.status not in LIVE or (shard.lease_expires_at is not None and shard.lease_expires_at > now):
        return None
    if shard.attempts >= Shard.MAX_ATTEMPTS:
        _give_up(
            job, shard, f"The worker was lost {shard.attempts} times while making this. Retry the job to try again."
        )
        return None
    shard.status, shard.worker, shard.attempts = Outcome.RUNNING, worker[:200], shard.attempts + 1
    shard.lease_token, shard.lease_expires_at = uuid.uuid4(), _lease_end()
    shard.started_at = shard.started_at or now
    shard.save()
    if job.started_at is None:
        job.started_at = now
    job.status = Outcome.RUNNING
    job.save(update_fields=["started_at", "status"])
    waiting = shard.evidence.filter(status__in=LIVE)
    _set(waiting, status=Outcome.RUNNING)
    targets = waiting.select_related("layer", "neuron__layer__network").order_by("layer__order", "neuron__index")
    return Claim(shard, shard.lease_token, list(targets))


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


@transaction.atomic
def give_up(shard_id: int, token: uuid.UUID, reason: str) -> None:
    """What is not done in the shard failed, for one reason (weights that cannot be read, a full disk).

    Raises:
        LeaseLost: when ``token`` no longer holds it.
    """
    _give_up(*hold(shard_id, token), reason)


def _give_up(job: Job, shard: Shard, reason: str) -> None:
    _set(shard.evidence.filter(status__in=LIVE), status=Outcome.FAILED, reason=reason[:2000])
    shard.status, shard.reason = Outcome.FAILED, reason[:2000]
    _close(job, shard)


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
    counts = Evidence.objects.filter(shard__job=job).aggregate(
        done=Count("pk", filter=Q(status=Outcome.DONE)), failed=Count("pk", filter=Q(status=Outcome.FAILED))
    )
    job.done, job.failed = counts["done"], counts["failed"]
    job.save(update_fields=["done", "failed"])


@transaction.atomic
def cancel(user: User, job: Job) -> Job:
    """Stop what is not done; what is done stays.

    Raises:
        Refused: when the user may not, or the job is over.
    """
    job = Job.objects.select_for_update(of=["self"], no_key=True).select_related("network").get(pk=job.pk)
    require(can_cancel_job(user, job))
    shards = list(job.shards.select_for_update(no_key=True).filter(status__in=LIVE))
    now = timezone.now()
    job.shards.filter(pk__in=[shard.pk for shard in shards]).update(
        status=Outcome.CANCELLED, lease_token=None, lease_expires_at=None, finished_at=now
    )
    _set(Evidence.objects.filter(shard__in=shards, status__in=LIVE), status=Outcome.CANCELLED)
    job.status, job.finished_at = Outcome.CANCELLED, now
    job.save(update_fields=["status", "finished_at"])
    events.record(user, "job.cancelled", network=job.network, job=job, data={"done": job.done})
    return job


@transaction.atomic
def retry(user: User, job: Job) -> Job:
    """Queue again what failed or was cancelled.

    Raises:
        Refused: when the user may not, or nothing failed.
    """
    job = Job.objects.select_for_update(of=["self"], no_key=True).select_related("network").get(pk=job.pk)
    require(can_retry_job(user, job))
    shards = list(job.shards.select_for_update(no_key=True).filter(pk__in=job.unfinished().values("shard")))
    _set(job.unfinished().filter(shard__in=shards), status=Outcome.QUEUED, reason="")
    for shard in shards:
        shard.status, shard.reason, shard.attempts = Outcome.QUEUED, "", 0
        shard.rung_at, shard.finished_at = timezone.now(), None
        shard.save()
        dispatch.enqueue("evidence.compute", shard.pk)
    _count(job)
    job.status, job.finished_at = Outcome.QUEUED, None
    job.save(update_fields=["status", "finished_at"])
    events.record(user, "job.retried", network=job.network, job=job, data={"shards": len(shards)})
    return job


@transaction.atomic
def reap() -> int:
    """Ring again for shards that nobody works on although somebody should; returns how many.

    A shard that waits is rung for only when no bell is left in the queue (Redis was emptied, or could not be reached
    when the shard was made): a long queue is no reason to ring twice.
    """
    lost = Shard.objects.orphaned()
    if dispatch.waiting("evidence") == 0:
        lost = lost | Shard.objects.unheard()
    shards = list(lost.select_for_update(skip_locked=True, no_key=True))
    for shard in shards:
        dispatch.enqueue("evidence.compute", shard.pk)
    Shard.objects.filter(pk__in=[shard.pk for shard in shards]).update(rung_at=timezone.now())
    return len(shards)
