"""The Celery application. Evidence workers add ``-I workers.tasks``; the site's own tasks need no torch."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "taxonomy.settings")

app = Celery("neurotaxa")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["taxonomy"])
