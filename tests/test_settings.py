"""A site that is set up wrongly says so at once, naming the variable."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
OURS = (
    *("DEBUG", "SECRET_KEY", "ALLOWED_HOSTS", "SITE_URL", "DATABASE_URL", "REDIS_URL", "NEUROTAXA_HOME", "ARTIFACTS"),
    *("ORCID_CLIENT_ID", "ORCID_SECRET", "GITHUB_CLIENT_ID", "GITHUB_SECRET"),
    *("CSRF_TRUSTED_ORIGINS", "BEHIND_PROXY", "EMAIL_HOST", "EMAIL_PORT", "EMAIL_USE_TLS", "LOG_LEVEL"),
)
PRODUCTION = {"DEBUG": "0", "SECRET_KEY": "s" * 50, "ALLOWED_HOSTS": "neurotaxa.example.org"}


def start(program: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """A fresh process with these of our variables and no others."""
    kept = {name: value for name, value in os.environ.items() if name not in OURS}
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        cwd=ROOT,
        env={**kept, "DJANGO_SETTINGS_MODULE": "taxonomy.settings", **environment},
        capture_output=True,
        text=True,
    )


def settings(*names: str, **environment: str) -> dict[str, Any]:
    read = f"{{name: getattr(settings, name, None) for name in {names}}}"
    done = start(f"import json; from django.conf import settings; print(json.dumps({read}, default=str))", environment)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("name", ["SECRET_KEY", "ALLOWED_HOSTS"])
@pytest.mark.parametrize("value", [None, ""])
def test_a_missing_secret_is_a_refusal_to_start_that_names_it(name: str, value: str | None) -> None:
    environment = {key: word for key, word in PRODUCTION.items() if key != name}
    if value is not None:
        environment[name] = value
    done = start("import taxonomy.wsgi", environment)
    assert done.returncode != 0
    last = done.stderr.splitlines()[-1]
    assert last.endswith(f"{name} is not set. Set it in the environment, or set DEBUG=1 for development.")


def test_production_starts_with_what_it_needs() -> None:
    done = start("import taxonomy.wsgi", PRODUCTION)
    assert done.returncode == 0, done.stderr


def test_the_defaults_run_as_they_are() -> None:
    found = settings("DEBUG", "SECRET_KEY", "REDIS_URL", "DATABASES")
    assert found["DEBUG"] is True
    assert found["SECRET_KEY"]
    assert found["REDIS_URL"] == f"redis+socket://{ROOT}/var/redis/redis.sock"
    assert found["DATABASES"]["default"]["HOST"] == f"{ROOT}/var/pg"


def test_a_database_s_own_wishes_are_kept() -> None:
    url = "postgresql://curie:secret@db.example.org:5433/neurons?sslmode=require&options=-c%20work_mem=9MB"
    found = settings("DATABASES", DATABASE_URL=url)["DATABASES"]["default"]
    assert (found["HOST"], found["PORT"], found["NAME"]) == ("db.example.org", 5433, "neurons")
    options = found["OPTIONS"].pop("options")
    assert options.startswith("-c work_mem=9MB -c hnsw.")
    assert found["OPTIONS"] == {"sslmode": "require", "connect_timeout": 5}


def test_set_to_nothing_is_not_set() -> None:
    """docker compose passes a variable that nobody set as an empty one."""
    names = ("EMAIL_PORT", "EMAIL_USE_TLS", "LEASE_SECONDS", "SITE_URL", "DEBUG")
    found = settings(*names, EMAIL_HOST="mail.example.org", **dict.fromkeys(names, ""))
    assert found == {
        "EMAIL_PORT": 587,
        "EMAIL_USE_TLS": True,
        "LEASE_SECONDS": 60.0,
        "SITE_URL": "http://127.0.0.1:8000",
        "DEBUG": True,
    }


@pytest.mark.parametrize(("address", "secure"), [("https://neurons.example.org", True), ("http://localhost", False)])
def test_cookies_are_secure_where_the_site_is(address: str, secure: bool) -> None:
    names = ("SESSION_COOKIE_SECURE", "CSRF_COOKIE_SECURE", "SECURE_HSTS_SECONDS")
    found = settings(*names, SITE_URL=address, **PRODUCTION)
    assert found["SESSION_COOKIE_SECURE"] is found["CSRF_COOKIE_SECURE"] is secure
    assert bool(found["SECURE_HSTS_SECONDS"]) is secure


def test_a_proxy_s_word_counts_only_where_it_is_said_to() -> None:
    assert settings("SECURE_PROXY_SSL_HEADER", **PRODUCTION)["SECURE_PROXY_SSL_HEADER"] is None
    found = settings("SECURE_PROXY_SSL_HEADER", BEHIND_PROXY="1", **PRODUCTION)
    assert found["SECURE_PROXY_SSL_HEADER"] == ["HTTP_X_FORWARDED_PROTO", "https"]


@pytest.mark.parametrize(
    ("given", "missing"),
    [("ORCID_CLIENT_ID", "ORCID_SECRET"), ("ORCID_SECRET", "ORCID_CLIENT_ID"), ("GITHUB_CLIENT_ID", "GITHUB_SECRET")],
)
def test_half_of_a_sign_in_is_a_refusal_to_start_that_names_the_other_half(given: str, missing: str) -> None:
    done = start("import taxonomy.wsgi", {given: "x"})
    assert done.returncode != 0
    assert f"{missing} is not set: " in done.stderr.splitlines()[-1]


def test_forms_lead_to_where_people_sign_in_and_nowhere_else() -> None:
    found = settings("CONTENT_SECURITY_POLICY", "SOCIALACCOUNT_PROVIDERS")
    assert found["CONTENT_SECURITY_POLICY"]["DIRECTIVES"]["form-action"] == ["'self'"]
    assert found["SOCIALACCOUNT_PROVIDERS"] == {"orcid": {"APPS": []}, "github": {"APPS": []}}
    found = settings("CONTENT_SECURITY_POLICY", "SOCIALACCOUNT_PROVIDERS", ORCID_CLIENT_ID="APP-1", ORCID_SECRET="s")
    assert found["CONTENT_SECURITY_POLICY"]["DIRECTIVES"]["form-action"] == ["'self'", "https://orcid.org"]
    app = {"name": "ORCID", "client_id": "APP-1", "secret": "s"}
    assert found["SOCIALACCOUNT_PROVIDERS"] == {"orcid": {"APPS": [app]}, "github": {"APPS": []}}


def test_without_a_mail_server_nobody_waits_for_mail() -> None:
    names = ("ACCOUNT_EMAIL_VERIFICATION", "EMAIL_BACKEND")
    assert settings(*names)["ACCOUNT_EMAIL_VERIFICATION"] == "optional"
    assert settings(*names, EMAIL_HOST="mail.example.org")["ACCOUNT_EMAIL_VERIFICATION"] == "mandatory"
