"""One settings module, read from the environment; the defaults run as they are on a developer's machine.

Every variable is described in ``.env.example`` and ``docs/deploy.md``.
"""

import os
import sys
from pathlib import Path
from typing import Any

import dj_database_url
from celery.schedules import crontab
from csp.constants import NONCE, NONE, SELF
from django.core.exceptions import ImproperlyConfigured
from redis.exceptions import RedisError

from taxonomy import embedded

BASE_DIR = Path(__file__).resolve().parent.parent
HOME = Path(os.environ.get("NEUROTAXA_HOME") or BASE_DIR / "var").expanduser().resolve()


def flag(name: str, default: bool) -> bool:
    return (os.environ.get(name) or str(default)).strip().lower() in ("1", "true", "yes", "on")


def required_in_production(name: str, development: str) -> str:
    value = os.environ.get(name)
    if value:
        return value
    if DEBUG:
        return development
    raise ImproperlyConfigured(f"{name} is not set. Set it in the environment, or set DEBUG=1 for development.")


def credentials(name: str, client: str, secret: str) -> dict[str, str]:
    """Of this site, at a place that people may sign in with; nothing where the operator gives none."""
    if bool(client) != bool(secret):
        missing = f"{name}_SECRET" if client else f"{name}_CLIENT_ID"
        raise ImproperlyConfigured(f"{missing} is not set: {name}_CLIENT_ID and {name}_SECRET belong together.")
    return {"client_id": client, "secret": secret} if client else {}


DEBUG = flag("DEBUG", True)
SECRET_KEY = required_in_production("SECRET_KEY", "for-development-only")
SITE_URL = os.environ.get("SITE_URL") or "http://127.0.0.1:8000"
ALLOWED_HOSTS = required_in_production("ALLOWED_HOSTS", "127.0.0.1,localhost,[::1],testserver").split(",")
CSRF_TRUSTED_ORIGINS = [origin for origin in os.environ.get("CSRF_TRUSTED_ORIGINS", "").split(",") if origin]

INSTALLED_APPS = [
    "taxonomy",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.postgres",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "allauth",
    "allauth.account",
    "allauth.socialaccount",
    "allauth.socialaccount.providers.github",
    "allauth.socialaccount.providers.orcid",
    "csp",
    "django_htmx",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "pgtrigger",
    "rest_framework",
    "rest_framework.authtoken",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "taxonomy.middleware.Unreachable",
    "csp.middleware.CSPMiddleware",
    "taxonomy.middleware.Bounded",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "taxonomy.middleware.Varied",
    "taxonomy.middleware.Refusals",
]
ROOT_URLCONF = "taxonomy.urls"
WSGI_APPLICATION = "taxonomy.wsgi.application"
TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "csp.context_processors.nonce",
            ],
        },
    }
]

# Postgres is the truth. Unset: the embedded server under HOME.
DATABASE_URL = os.environ.get("DATABASE_URL") or embedded.postgres_url(HOME)
DATABASES = {"default": dj_database_url.parse(DATABASE_URL, conn_max_age=60, conn_health_checks=True)}
OPTIONS = DATABASES["default"].setdefault("OPTIONS", {})  # what stands in the URL's query, such as sslmode
OPTIONS.setdefault("connect_timeout", 5)
if "host" in OPTIONS:  # the folder of a Unix socket
    DATABASES["default"]["HOST"] = OPTIONS.pop("host")
# The search for near vectors (pgvector) looks at this many candidates, and at more when a condition leaves too few.
NEAR = "-c hnsw.ef_search=200 -c hnsw.iterative_scan=strict_order"
# What a page reads has up to a dozen joins, by keys, in an order that is good as it is written. Where Postgres tries
# the orders of 8 at a time it plans for 26 ms what it then reads in 1; of 4, for 3 (`./run bench site`).
JOINS = "-c join_collapse_limit=4 -c from_collapse_limit=4"
OPTIONS["options"] = f"{OPTIONS.get('options', '')} {NEAR} {JOINS}".strip()
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# Redis is only a bell: it carries "there is work", never which, and never a result.
REDIS_URL = os.environ.get("REDIS_URL") or embedded.redis_url(HOME)
CELERY_BROKER_URL = REDIS_URL
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_TRANSPORT_OPTIONS = {"visibility_timeout": 6 * 3600, "socket_connect_timeout": 3, "socket_timeout": 30}
CELERY_TASK_DEFAULT_QUEUE = "site"
CELERY_TASK_ROUTES = {"evidence.*": {"queue": "evidence"}}
# Whether workers with a GPU take what is heavy. Without, any worker takes everything.
GPU_WORKERS = flag("GPU_WORKERS", False)
# With the broker down a request must not hang: one quick retry, then the reaper rings later.
CELERY_TASK_PUBLISH_RETRY = True
CELERY_TASK_PUBLISH_RETRY_POLICY = {
    "max_retries": 1,
    "interval_start": 0,
    "interval_step": 0.1,
    "retry_errors": (RedisError, OSError),
}
CELERY_TIMEZONE = "UTC"
LEASE_SECONDS = float(os.environ.get("LEASE_SECONDS") or "60")
REAP_SECONDS = float(os.environ.get("REAP_SECONDS") or "15")
RING_AGAIN_SECONDS = float(os.environ.get("RING_AGAIN_SECONDS") or "20")
CELERY_BEAT_SCHEDULE_FILENAME = str(HOME / "beat")
MEASURE_SECONDS = float(os.environ.get("MEASURE_SECONDS") or "600")
TEND_SECONDS = float(os.environ.get("TEND_SECONDS") or "15")
WEIGH_SECONDS = float(os.environ.get("WEIGH_SECONDS") or "300")
# From which hour on (UTC) the digest is mailed, each day or on Mondays.
DIGEST_HOUR = int(os.environ.get("DIGEST_HOUR") or "6")
if not 0 <= DIGEST_HOUR <= 23:
    raise ImproperlyConfigured(f"DIGEST_HOUR is {DIGEST_HOUR}. Give an hour of the day in UTC, from 0 to 23.")
CELERY_BEAT_SCHEDULE = {
    "digest": {"task": "site.digest", "schedule": crontab(minute=5), "options": {"expires": 3600}},
    "tend": {"task": "site.tend", "schedule": TEND_SECONDS, "options": {"expires": TEND_SECONDS}},
    "weigh": {"task": "site.weigh", "schedule": WEIGH_SECONDS, "options": {"expires": WEIGH_SECONDS}},
    "reap": {"task": "site.reap", "schedule": REAP_SECONDS, "options": {"expires": REAP_SECONDS}},
    "measure": {"task": "site.measure", "schedule": MEASURE_SECONDS, "options": {"expires": MEASURE_SECONDS}},
}

# Artifacts: files named by the SHA-256 of their bytes.
ARTIFACTS = Path(os.environ.get("ARTIFACTS") or HOME / "artifacts")

# What throttles count, in Postgres: for all processes together, and whether or not Redis is there. So many that nobody
# pushes a counter out by filling others.
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.db.DatabaseCache",
        "LOCATION": "taxonomy_counters",
        "OPTIONS": {"MAX_ENTRIES": 100_000},
    }
}

AUTH_USER_MODEL = "taxonomy.User"
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "home"
ACCOUNT_LOGIN_METHODS = {"username", "email"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "email*", "password1*"]
ACCOUNT_FORMS = {"signup": "taxonomy.pages.people.SignupForm"}
ACCOUNT_USERNAME_BLACKLIST = ["neurotaxa", "admin", "me", "system", "candidates"]
ACCOUNT_EMAIL_SUBJECT_PREFIX = "[Neurotaxa] "
ACCOUNT_LOGOUT_ON_GET = False
ACCOUNT_SESSION_REMEMBER = True
COMMENTS_A_MINUTE = int(os.environ.get("COMMENTS_A_MINUTE") or "10")  # of one person, with what they change
TERMS_VERSION = "2026-11"

# Signing in with ORCID and GitHub, each where the operator registered this site there.
ORCID = credentials("ORCID", os.environ.get("ORCID_CLIENT_ID", ""), os.environ.get("ORCID_SECRET", ""))
GITHUB = credentials("GITHUB", os.environ.get("GITHUB_CLIENT_ID", ""), os.environ.get("GITHUB_SECRET", ""))
SOCIALACCOUNT_PROVIDERS = {
    "orcid": {"APPS": [{"name": "ORCID", **ORCID}] if ORCID else []},
    "github": {"APPS": [{"name": "GitHub", **GITHUB}] if GITHUB else []},
}
SOCIALACCOUNT_FORMS = {"signup": "taxonomy.pages.people.SocialSignupForm"}
SOCIALACCOUNT_ADAPTER = "taxonomy.pages.people.SocialAdapter"
SOCIALACCOUNT_AUTO_SIGNUP = False  # everybody chooses a name, and accepts the terms
SOCIALACCOUNT_EMAIL_AUTHENTICATION = False  # an address that another site vouches for opens nobody's account here
SOCIALACCOUNT_STORE_TOKENS = False

# Mail: without a server, mail is written under HOME and sign-up does not wait for it.
EMAIL_HOST = os.environ.get("EMAIL_HOST", "")
if EMAIL_HOST:
    EMAIL_PORT = int(os.environ.get("EMAIL_PORT") or "587")
    EMAIL_HOST_USER = os.environ.get("EMAIL_HOST_USER", "")
    EMAIL_HOST_PASSWORD = os.environ.get("EMAIL_HOST_PASSWORD", "")
    EMAIL_USE_TLS = flag("EMAIL_USE_TLS", True)
    ACCOUNT_EMAIL_VERIFICATION = "mandatory"
else:
    EMAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
    EMAIL_FILE_PATH = HOME / "mail"
    ACCOUNT_EMAIL_VERIFICATION = "optional"
EMAIL_TIMEOUT = 20  # seconds; whoever a digest is being sent to waits so long, at most, to sign in
DEFAULT_FROM_EMAIL = os.environ.get("DEFAULT_FROM_EMAIL") or "Neurotaxa <neurotaxa@localhost>"

LANGUAGE_CODE = "en-gb"
USE_I18N = False
TIME_ZONE = "UTC"
USE_TZ = True
USE_THOUSAND_SEPARATOR = True

STATIC_URL = "static/"
STATIC_ROOT = Path(os.environ.get("STATIC_ROOT") or HOME / "static")
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"
        if not DEBUG
        else "django.contrib.staticfiles.storage.StaticFilesStorage"
    },
}

# A form holds a label's note or a family's remark: nothing needs more.
DATA_UPLOAD_MAX_MEMORY_SIZE = 512 * 1024
DATA_UPLOAD_MAX_NUMBER_FIELDS = 500

SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SITE_URL.startswith("https://")
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_HSTS_SECONDS = 31536000 if SITE_URL.startswith("https://") else 0
SECURE_SSL_REDIRECT = False  # the proxy in front does it
if flag("BEHIND_PROXY", False):
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
CSRF_FAILURE_VIEW = "taxonomy.pages.errors.csrf"
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF, NONCE],
        "style-src": [SELF, NONCE],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "form-action": [
            SELF,
            # Browsers hold the redirects of a form to this as well.
            *(["https://orcid.org"] if ORCID else []),
            *(["https://github.com"] if GITHUB else []),
        ],
        "frame-ancestors": [NONE],
        "base-uri": [NONE],
    }
}

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "taxonomy.api.authentication.TokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["taxonomy.api.authentication.Gate"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["taxonomy.api.parsers.Json"],
    "DEFAULT_PAGINATION_CLASS": "taxonomy.api.pagination.Pages",
    "PAGE_SIZE": 50,
    "DEFAULT_FILTER_BACKENDS": ["django_filters.rest_framework.DjangoFilterBackend"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "taxonomy.api.errors.handle",
    "DEFAULT_THROTTLE_RATES": {"token": "10/minute"},
    # Whose address counts for a throttle: the peer's, or what the one proxy in front says; never a visitor's header.
    "NUM_PROXIES": 1 if flag("BEHIND_PROXY", False) else 0,
    "URL_FORMAT_OVERRIDE": None,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Neurotaxa API",
    "DESCRIPTION": "Networks, neurons, families and the evidence for them; labels by the same rules as the pages.",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    "ENUM_NAME_OVERRIDES": {
        name: f"taxonomy.models.{name}"
        for name in ("Confidence", "FamilyKind", "LinkKind", "Outcome", "ProposalState", "Symmetry", "Verdict")
    },
}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line", "stream": sys.stderr}},
    "root": {"handlers": ["console"], "level": os.environ.get("LOG_LEVEL") or ("WARNING" if DEBUG else "INFO")},
    "loggers": {"taxonomy": {"level": "INFO"}, "workers": {"level": "INFO"}},
}
