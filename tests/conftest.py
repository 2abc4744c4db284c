"""What every test stands on: artifacts in a folder of its own, and a bell that nobody else hears."""

from pathlib import Path

import pytest

from taxonomy.celery import app

# Nothing that a test rings for may reach the workers of this machine.
app.conf.broker_url = "memory://"


@pytest.fixture(autouse=True)
def _own_folders(settings, tmp_path: Path) -> None:
    settings.ARTIFACTS = tmp_path / "artifacts"
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture(autouse=True)
def _no_memory_of_other_tests() -> None:
    from django.core.cache import cache

    cache.clear()
