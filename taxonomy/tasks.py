"""The site's own tasks: light, without torch."""

from celery import shared_task

from taxonomy.actions import agreement, jobs, sprites
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
