# Two images from one file:
#   web     the site and its own tasks, without the laboratory's packages (torch weighs gigabytes)
#   worker  the same with the laboratory
#
#   docker build --target web -t neurotaxa-web .
#   docker build --target worker -t neurotaxa-worker .

FROM python:3.11-slim-bookworm AS web
ENV PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    DJANGO_SETTINGS_MODULE=taxonomy.settings \
    DEBUG=0 \
    NEUROTAXA_HOME=/data \
    STATIC_ROOT=/app/static
# Volumes take over the owner of the folders that they are mounted on.
RUN useradd --uid 10001 --no-create-home --home-dir /data neurotaxa \
    && mkdir -p /app /data/artifacts /data/pictures /data/mail \
    && chown -R neurotaxa:neurotaxa /data
WORKDIR /app
COPY requirements.txt .
RUN grep -vE '# (lab|embedded)$' requirements.txt > web.txt \
    && pip install -r web.txt \
    && rm web.txt
COPY manage.py ./
COPY taxonomy taxonomy
COPY templates templates
# A key for this one command: collecting files signs nothing, and the key is not kept in the image.
RUN SECRET_KEY=only-to-collect-files ALLOWED_HOSTS=localhost \
    python manage.py collectstatic --noinput --verbosity 0
USER neurotaxa
EXPOSE 8000
# Asked for by a name that the site answers to.
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s --retries=3 CMD ["python", "-c", "import os; from urllib.request import Request, urlopen; host = os.environ['ALLOWED_HOSTS'].split(',')[0].lstrip('.*') or 'localhost'; urlopen(Request('http://127.0.0.1:8000/healthz', headers={'Host': host}), timeout=4)"]
CMD ["python", "-m", "gunicorn", "taxonomy.wsgi", "--bind", "0.0.0.0:8000", "--no-control-socket", "--worker-class", "gthread", "--workers", "2", "--threads", "4", "--log-level", "warning"]

FROM web AS worker
USER root
RUN grep -E '# lab$' requirements.txt > lab.txt \
    && pip install -r lab.txt \
    && rm lab.txt
COPY workers workers
USER neurotaxa
# A worker that computes answers no ping, so health means that it reaches what it needs. One that dies ends its
# container, and one that hangs loses its lease.
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s --retries=3 CMD ["python", "-c", "import os, psycopg2, redis; psycopg2.connect(os.environ['DATABASE_URL'], connect_timeout=4).close(); redis.Redis.from_url(os.environ['REDIS_URL'], socket_timeout=4).ping()"]
CMD ["python", "-m", "celery", "-A", "taxonomy.celery", "worker", "-I", "workers.tasks", "-Q", "evidence", "--pool", "solo", "-n", "evidence@%h", "--loglevel", "warning"]
