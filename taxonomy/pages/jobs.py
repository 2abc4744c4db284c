"""What the workers do: progress, rate, time left, failures with their reasons, cancel and retry."""

from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import Count, Max, Min
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST, require_safe

from taxonomy import dispatch
from taxonomy.actions import jobs as actions
from taxonomy.models import Evidence, Job, Outcome
from taxonomy.pages.people import asking
from taxonomy.permissions import can_cancel_job, can_retry_job

PAGE = 20
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
        .values("kind", "reason", "layer__name")
        .annotate(count=Count("pk"), first=Min("neuron__index"), last=Max("neuron__index"))
        .order_by("-count")
    )
    return {
        "job": job,
        "network": job.network,
        "shards": job.shards.order_by("order"),
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
        messages.success(request, "Cancelled. What was done stays.")
    else:
        actions.retry(asking(request), found)
        messages.success(request, "What failed is queued again.")
    return redirect(found)
