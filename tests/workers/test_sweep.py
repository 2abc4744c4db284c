"""A sweep of every kind over a real network, while workers are killed and Redis is restarted empty."""

import time
from collections import Counter

import pytest
from django.core.management import call_command
from django.db.models import Count

from taxonomy import embedded, recipes
from taxonomy.actions import evidence
from taxonomy.models import (
    Artifact,
    Evidence,
    EvidenceVersion,
    ImageSet,
    Network,
    Outcome,
    SurveyPart,
    User,
    Vector,
)
from tests.shared import DATA, needs_data
from tests.workers.test_tasks import Workers, wait
from tests.workers.test_tasks import workers as workers

KILLS = 3
# What climbs to a picture takes few steps here: how good it gets is proven elsewhere.
STEPS = 2
NEURONS = range(2)


@needs_data
@pytest.mark.slow
@pytest.mark.alone
def test_a_sweep_survives_kills_and_an_emptied_redis(workers: Workers) -> None:
    call_command("register_network", "squeezenet1_0", "--weights", DATA / "squeezenet1_0" / "squeezenet1_0.safetensors")
    call_command("add_image_set", "imagenet", DATA / "imagenet-samples")
    network, pictures = Network.objects.get(), ImageSet.objects.get()
    every = [
        name
        for name in recipes.COMPUTED
        if recipes.KINDS[name].subject == "neuron" and not recipes.KINDS[name].required
    ]
    requested = evidence.request(
        User.objects.system(),
        network,
        neurons=NEURONS,
        kinds=every,
        image_set=pictures,
        parameters={name: {"steps": STEPS} for name in every if "steps" in recipes.KINDS[name].limits},
    )
    job = requested.job
    assert job is not None
    running = [workers.start(), workers.start()]
    for kill in range(KILLS):
        settled = job.settled

        def further(settled: int = settled) -> bool:
            job.refresh_from_db()
            return job.settled > settled or SurveyPart.objects.count() > 0

        wait(further, workers, seconds=300)
        time.sleep(2.0)  # into the middle of what they do now
        victim = running.pop(0)
        victim.kill()
        victim.wait()
        running.append(workers.start())
        if kill == 1:
            embedded.stop_redis(workers.home)
            embedded.start_redis(workers.home)

    def over() -> bool:
        job.refresh_from_db()
        return not job.is_live

    wait(over, workers, seconds=1500)

    rows = Evidence.objects.filter(pk__in=requested.evidence)
    settled = Counter(rows.values_list("status", flat=True))
    failed = rows.filter(status=Outcome.FAILED).values_list("kind", "neuron__layer__name", "neuron__index", "reason")
    # A neuron may have nothing to show of a kind, and then says so itself: nothing is lost to the worker's end.
    assert all("worker" not in reason and "unexpected" not in reason for *_, reason in failed), list(failed)
    assert settled[Outcome.DONE] + settled[Outcome.FAILED] == len(requested.evidence)
    assert settled[Outcome.FAILED] <= 0.02 * len(requested.evidence), list(failed)
    assert (job.done, job.failed) == (settled[Outcome.DONE], settled[Outcome.FAILED])
    # No doubles: one version a piece, one pass over each part of the pictures, one vector a piece.
    done = rows.filter(status=Outcome.DONE)
    assert EvidenceVersion.objects.filter(evidence__in=rows).count() == done.count()
    parts = SurveyPart.objects.values("layer", "first").annotate(times=Count("pk"))
    assert all(part["times"] == 1 for part in parts)
    assert len(parts) == network.layers.count() * -(-pictures.count // recipes.SURVEY_PART)
    assert Vector.objects.count() == done.filter(kind="neighbours").count()
    assert all(evidence.storage.path(sha256).exists() for sha256 in Artifact.objects.values_list("sha256", flat=True))
    assert {row["kind"] for row in done.values("kind").distinct()} == set(every)
