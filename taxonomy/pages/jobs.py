"""What the workers do: progress, rate, time left, failures with their reasons; stopping it, and going on."""

from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import Count, Max, Min
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST, require_safe

from taxonomy import dispatch
from taxonomy.actions import jobs as actions
from taxonomy.models import Comparison, Evidence, EvidenceVersion, Job, Outcome
from taxonomy.pages.people import asking
from taxonomy.permissions import can_cancel_job, can_retry_job

PAGE = 20
PARTS = 200  # shown of a job, those first that are not done
JOBS = Job.objects.select_related("network", "requested_by")


@require_safe
def job_list(request: HttpRequest) -> HttpResponse:
    page = Paginator(JOBS.all(), PAGE).get_page(request.GET.get("page"))
    live = any(job.is_live for job in page)
    template = "jobs/_list.html" if request.headers.get("HX-Request") else "jobs/list.html"
    waiting = dispatch.waiting("evidence") if live else 0
    return render(request, template, {"page": page, "live": live, "silent": waiting is None})


def _context(request: HttpRequest, job: Job) -> dict[str, Any]:
    failures = (
        Evidence.objects.filter(shard__job=job, status=Outcome.FAILED)
        .values("kind", "reason", "layer__name", "family__name")
        .annotate(count=Count("pk"), first=Min("neuron__index"), last=Max("neuron__index"))
        .order_by("-count")
    )
    shards = list(job.shards.order_by("stage", "order"))
    passes = [shard for shard in shards if shard.kind == "survey"]
    halved = EvidenceVersion.objects.filter(evidence__shard__job=job, environment__halved__gt=0)
    return {
        "job": job,
        "network": job.network,
        "shards": sorted(shards, key=lambda shard: shard.status == Outcome.DONE)[:PARTS],
        "parts": len(shards),
        "passes": len(passes),
        "passed": sum(shard.status == Outcome.DONE for shard in passes),
        "waiting": any(shard.waiting and shard.status == Outcome.QUEUED for shard in shards),
        "halved": 0 if job.is_live else halved.count(),
        "comparison": Comparison.objects.filter(shard__job=job).first() if shards else None,
        "failures": failures[:30],
        "may_cancel": can_cancel_job(request.user, job),
        "may_retry": can_retry_job(request.user, job),
    }


@require_safe
def job(request: HttpRequest, public_id: str) -> HttpResponse:
    found = get_object_or_404(JOBS, public_id=public_id)
    template = "jobs/_job.html" if request.headers.get("HX-Request") else "jobs/job.html"
    return render(request, template, _context(request, found))


@require_POST
def control(request: HttpRequest, public_id: str, verb: str) -> HttpResponse:
    """Cancel or retry."""
    found = get_object_or_404(JOBS, public_id=public_id)
    if verb == "cancel":
        actions.cancel(asking(request), found)
        messages.success(request, "Stopped. What was done stays.")
    else:
        goes_on = found.status == Outcome.CANCELLED
        actions.retry(asking(request), found)
        messages.success(request, "It goes on where it was." if goes_on else "What failed is queued again.")
    return redirect(found)
