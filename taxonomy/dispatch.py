"""The only sender of tasks: after commit, ids alone, and a broker that is down never breaks a request."""

import logging
import time

from django.db import transaction
from kombu.exceptions import ChannelError, OperationalError

from taxonomy.celery import app

logger = logging.getLogger(__name__)

# A job of a thousand shards must not wait for a broker that is out of reach a thousand times.
SILENCE_SECONDS = 5.0
_silent_until = 0.0


def enqueue(name: str, *ids: int, queue: str | None = None) -> None:
    """Ring for a task once the transaction has committed, on the queue of its kind if none is given.

    Postgres already holds the work, so a bell that cannot be rung (Redis down) is only logged: the reaper rings again.
    """
    transaction.on_commit(lambda: _send(name, ids, queue))


def _send(name: str, ids: tuple[int, ...], queue: str | None = None) -> None:
    global _silent_until
    if time.monotonic() < _silent_until:
        return
    try:
        app.send_task(name, args=ids, queue=queue, ignore_result=True)
    except (OperationalError, OSError) as error:
        _silent_until = time.monotonic() + SILENCE_SECONDS
        logger.warning("%s%s was not rung, Redis does not answer (%s); the reaper will ring again.", name, ids, error)


def waiting(queue: str) -> int | None:
    """How many tasks wait in the queue; None when Redis does not answer."""
    try:
        with app.connection_for_write(connect_timeout=3) as connection:
            connection.ensure_connection(max_retries=1, interval_start=0)  # else it tries again for six seconds
            try:
                return int(connection.default_channel.queue_declare(queue, passive=True).message_count)
            except ChannelError:  # how the transport says that an empty queue does not exist
                return 0
    except (OperationalError, OSError):
        return None
