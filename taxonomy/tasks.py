"""The site's own tasks: light, without torch."""

from celery import shared_task

from taxonomy.actions import jobs, sprites
from taxonomy.models import Layer


@shared_task(name="site.reap")
def reap() -> None:
    jobs.reap()


@shared_task(name="site.sprite")
def sprite(layer_id: int) -> None:
    sprites.build_sprite(Layer.objects.get(pk=layer_id))
