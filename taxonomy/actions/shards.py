"""What asking for work and doing it share: the bell, the lease, and the order in which everything locks.

That order is: the network (only to make or let go passes over its images), a job, its shards, then evidence by id.
"""

import uuid

from django.conf import settings
from django.db.models import QuerySet

from taxonomy import dispatch
from taxonomy.models import Evidence, Job, Network, Outcome, Shard

LIVE = (Outcome.QUEUED, Outcome.RUNNING)

QUEUE, GPU_QUEUE = "evidence", "evidence-gpu"


class LeaseLost(Exception):
    """The shard was cancelled or given to another worker: whatever is still computed is not wanted."""


def ring(*, heavy: bool) -> None:
    """There is a shard to claim. Which one, the worker that hears it finds out."""
    dispatch.enqueue("evidence.compute", queue=GPU_QUEUE if heavy and settings.GPU_WORKERS else QUEUE)


def queues() -> dict[str, tuple[bool, ...]]:
    """The queues that are rung on, each with whether it is for heavy shards, light ones, or both."""
    return {QUEUE: (False,), GPU_QUEUE: (True,)} if settings.GPU_WORKERS else {QUEUE: (False, True)}


def locked_network(pk: int) -> Network:
    return Network.objects.select_for_update(no_key=True).get(pk=pk)


def locked_job(pk: int) -> Job:
    return Job.objects.select_for_update(of=["self"], no_key=True).select_related("network").get(pk=pk)


def locked(evidence: QuerySet[Evidence]) -> list[Evidence]:
    """These rows, locked by id.

    An UPDATE of many rows locks them in whatever order it meets them, and two such may each hold what the other wants.
    """
    return list(evidence.order_by("pk").select_for_update(of=["self"], no_key=True))


def hold(shard_id: int, token: uuid.UUID) -> tuple[Job, Shard]:
    """A job and the shard of it that ``token`` holds, both locked.

    Raises:
        LeaseLost: when it no longer does.
    """
    job = locked_job(Shard.objects.values_list("job_id", flat=True).get(pk=shard_id))
    held = Shard.objects.select_for_update(no_key=True).filter(pk=shard_id, lease_token=token)
    shard = held.filter(status=Outcome.RUNNING).first()
    if shard is None:
        raise LeaseLost(f"The lease on shard {shard_id} is gone.")
    return job, shard
