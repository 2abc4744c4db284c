"""The site's own tasks: light, without torch."""

from celery import shared_task

from taxonomy.actions import agreement, drifts, jobs, needs, notifications, reviews, sprites
from taxonomy.models import Layer


@shared_task(name="site.reap")
def reap() -> None:
    jobs.reap()


@shared_task(name="site.sprite")
def sprite(layer_id: int) -> None:
    sprites.build_sprite(Layer.objects.get(pk=layer_id))


@shared_task(name="site.measure")
def measure() -> None:
    agreement.measure_all()


@shared_task(name="site.digest")
def digest() -> None:
    """Every hour: who was told of something by mail already is left alone until their next time."""
    notifications.digest()


@shared_task(name="site.tend")
def tend() -> None:
    """What waits for evidence, and objections that have stood for their time."""
    needs.tend()
    reviews.tend()


@shared_task(name="site.weigh")
def weigh() -> None:
    """Accepted neurons whose evidence has changed since."""
    drifts.tend()
