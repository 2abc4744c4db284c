"""The door for gunicorn."""

import gc
import os

from django.core.wsgi import get_wsgi_application
from django.urls import get_resolver

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "taxonomy.settings")
application = get_wsgi_application()

# All of the site is loaded here, and stays: the garbage collector would go through it again for every larger page.
get_resolver().url_patterns  # noqa: B018
gc.collect()
gc.freeze()
