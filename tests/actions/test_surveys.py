"""Who takes what, and when: clicks overtake sweeps, evidence waits for passes over images, GPUs take what is heavy."""

import datetime
import uuid

import pytest
from django.utils import timezone

from taxonomy import dispatch, recipes
from taxonomy.actions import evidence, jobs, surveys
from taxonomy.models import Evidence, ImageSet, Job, Network, Outcome, Shard, SurveyPart, User
from tests.factory import make_image_set, make_network, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def network() -> Network:
    return make_network(layers={"conv1": 40, "mixed3b": 40})


@pytest.fixture
def user() -> User:
    return make_user()


@pytest.fixture
def images() -> ImageSet:
    return make_image_set(count=300)


@pytest.fixture
def bells(monkeypatch) -> list[str | None]:
    rung: list[str | None] = []
    monkeypatch.setattr(dispatch, "enqueue", lambda name, *ids, queue=None: rung.append(queue) if not ids else None)
    return rung


def do(claim: jobs.Claim | None) -> Shard:
    """The claimed shard, done."""
    assert claim is not None
    if claim.shard.kind == "survey":
        record(claim)
    for row in claim.targets:
        evidence.complete(row.pk, claim.token, [], environment={}, wall_seconds=0)
    jobs.finish(claim.shard.pk, claim.token)
    return claim.shard


def record(claim: jobs.Claim, token: uuid.UUID | None = None) -> None:
    parts = [surveys.Part(layer, "0" * 64, 1) for layer in claim.shard.parameters["layers"]]
    surveys.record(claim.shard.pk, token or claim.token, parts, {})


def do_all() -> list[Shard]:
    done = []
    while (claim := jobs.claim("one")) is not None:
        done.append(do(claim))
    return done


def expire(shard: Shard) -> None:
    past = timezone.now() - datetime.timedelta(minutes=5)
    Shard.objects.filter(pk=shard.pk).update(lease_expires_at=past, rung_at=past)


def test_a_click_overtakes_a_sweep_and_the_oldest_sweep_comes_first(user, network) -> None:
    sweep = evidence.request(user, network, kinds=["weights", "neighbours"]).job
    other = evidence.request(user, network, kinds=["tuning_curves"]).job
    click = evidence.request(user, network, kinds=["feature_visualization"], neurons=[3]).job
    assert [job.urgent for job in (sweep, other, click)] == [False, False, True]
    order = [shard.job for shard in do_all()]
    assert order == sorted(order, key=[click, sweep, other].index)
    assert set(Job.objects.values_list("status", flat=True)) == {Outcome.DONE}


def test_a_click_waits_for_a_sweep_s_passes_and_for_nothing_else_of_it(user, network, images) -> None:
    kinds = ["feature_visualization", "dataset_examples"]
    sweep = evidence.request(user, network, kinds=kinds, image_set=images).job
    click = evidence.request(user, network, kinds=["activation_histogram"], neurons=[3], image_set=images).job
    assert not click.shards.filter(kind="survey").exists()
    order = [(shard.job, shard.kind) for shard in do_all()]
    assert order[:3] == [(sweep, "survey")] * 3
    assert order[3:5] == [(click, "activation_histogram")] * 2


def test_evidence_waits_for_all_parts_of_its_layer_s_pass(user, network, images, bells) -> None:
    kinds = ["dataset_examples", "activation_histogram", "kernels"]
    job = evidence.request(user, network, kinds=kinds, image_set=images).job
    passes = job.shards.filter(kind="survey")
    spans = [(shard.parameters["first"], shard.parameters["last"]) for shard in passes]
    assert spans == [(0, 128), (128, 256), (256, 300)]
    assert {tuple(shard.parameters["layers"]) for shard in passes} == {("conv1", "mixed3b")}
    assert len(bells) == 4, "for the passes and the kernels"
    kinds_in_order = [shard.kind for shard in do_all()]
    assert kinds_in_order == [*["survey"] * 3, "kernels", *["dataset_examples"] * 2, *["activation_histogram"] * 2]
    assert len(bells) == 8
    assert SurveyPart.objects.count() == 6
    job.refresh_from_db()
    assert (job.status, job.done, job.total) == (Outcome.DONE, 200, 200)


def test_recording_a_part_twice_records_it_once_and_takes_the_lease(user, network, images) -> None:
    evidence.request(user, network, kinds=["activation_histogram"], image_set=images)
    claim = jobs.claim("one")
    record(claim)
    record(claim)
    assert SurveyPart.objects.count() == 2
    expire(claim.shard)
    heir = jobs.claim("heir")
    assert heir.shard == claim.shard
    with pytest.raises(evidence.LeaseLost):
        record(claim)
    record(heir)
    assert SurveyPart.objects.count() == 2


def test_what_is_made_of_no_images_waits_for_none(user, network, images) -> None:
    job = evidence.request(user, network, kinds=["neighbours"], image_set=images).job
    assert set(job.shards.filter(waiting=True).values_list("parameters__by", flat=True)) == {"activation"}
    assert set(Evidence.objects.filter(image_set=None).values_list("parameters__by", flat=True)) == {
        *("weights", "rotation")
    }


def test_a_pass_of_a_cancelled_job_is_made_by_who_waits_for_it(user, network, images) -> None:
    first = evidence.request(user, network, kinds=["activation_histogram"], image_set=images).job
    second = evidence.request(user, network, kinds=["dataset_examples"], image_set=images).job
    held = jobs.claim("one")
    assert not second.shards.filter(kind="survey").exists()
    jobs.cancel(user, first)
    with pytest.raises(evidence.LeaseLost):
        record(held)
    assert second.shards.filter(kind="survey").count() == 3
    assert surveys.tend() == 0
    do_all()
    second.refresh_from_db()
    assert second.status == Outcome.DONE
    jobs.retry(user, first)
    assert first.shards.filter(kind="survey", status=Outcome.QUEUED).count() == 0, "the parts are all there"
    do_all()
    first.refresh_from_db()
    assert first.status == Outcome.DONE


def test_a_pass_that_fails_fails_what_waits_and_is_tried_again(user, network, images) -> None:
    first = evidence.request(user, network, kinds=["activation_histogram"], image_set=images).job
    second = evidence.request(user, network, kinds=["dataset_examples"], image_set=images).job
    do(jobs.claim("one"))
    claim = jobs.claim("one")
    jobs.give_up(claim.shard.pk, claim.token, "b.png: it changed.")
    assert set(Evidence.objects.values_list("status", "reason")) == {(Outcome.FAILED, "b.png: it changed.")}
    do_all()
    for job in (first, second):
        job.refresh_from_db()
        assert (job.status, job.failed) == (Outcome.FAILED, 80)
    jobs.retry(user, first)
    assert first.shards.filter(kind="survey").count() == 3, "no shard more than at first"
    assert len(do_all()) == 1 + 2
    first.refresh_from_db()
    assert first.status == Outcome.DONE


def test_a_pass_that_kills_its_workers_fails_what_waits(user, network, images) -> None:
    job = evidence.request(user, network, kinds=["activation_histogram"], image_set=images).job
    survey = job.shards.get(kind="survey", parameters__first=0)
    for _ in range(Shard.MAX_ATTEMPTS):
        assert jobs.claim("doomed").shard == survey
        expire(survey)
    do_all()
    job.refresh_from_db()
    assert (job.status, job.failed) == (Outcome.FAILED, 80)
    assert "lost 5 times" in Evidence.objects.first().reason


def test_another_version_of_the_survey_is_made_anew(user, network, images, monkeypatch) -> None:
    evidence.request(user, network, kinds=["activation_histogram"], image_set=images)
    do_all()
    monkeypatch.setattr(recipes, "SURVEY_VERSION", recipes.SURVEY_VERSION + 1)
    job = evidence.request(user, network, kinds=["dataset_examples"], image_set=images).job
    assert job.shards.filter(kind="survey").count() == 3


def test_a_long_pass_for_one_neuron_overtakes_nobody(user, network) -> None:
    short = make_image_set("short", count=300)
    long = ImageSet.objects.create(name="long", folder="/nowhere", digest="l" * 64, count=128 * 64)
    for images, urgent in ((short, True), (long, False)):
        job = evidence.request(user, network, kinds=["dataset_examples"], neurons=[0], image_set=images).job
        assert job.urgent == urgent


def test_what_is_heavy_waits_for_a_gpu_where_there_is_one(user, network, settings, bells, monkeypatch) -> None:
    monkeypatch.setattr(dispatch, "waiting", lambda queue: 0)
    settings.GPU_WORKERS = True
    evidence.request(user, network, kinds=["feature_visualization", "weights"])
    assert bells == ["evidence-gpu"] * 4 + ["evidence"] * 2
    light = [jobs.claim("cpu", heavy=False).shard for _ in range(1)]
    assert {shard.kind for shard in light} == {"weights"}
    assert jobs.claim("gpu").shard.heavy, "heavy shards come first for a worker that takes them"
    assert jobs.claim("cpu", heavy=False).shard.kind == "weights"
    assert jobs.claim("cpu", heavy=False) is None
    assert bells[6:] == ["evidence-gpu"], "who cannot do what waits rings for those who can"
    Shard.objects.update(rung_at=timezone.now() - datetime.timedelta(minutes=5))
    assert jobs.reap() == 3
    assert bells[7:] == ["evidence-gpu"] * 3
    settings.GPU_WORKERS = False
    assert jobs.claim("cpu", heavy=True).shard.heavy


def test_without_gpu_workers_everything_rings_on_one_queue(user, network, bells) -> None:
    evidence.request(user, network, kinds=["feature_visualization", "weights"])
    assert set(bells) == {"evidence"}
    assert [jobs.claim("cpu").shard.heavy for _ in range(6)] == [True] * 4 + [False] * 2


def test_what_waits_for_a_pass_is_not_rung_for_again(user, network, images, monkeypatch) -> None:
    evidence.request(user, network, kinds=["activation_histogram"], image_set=images)
    Shard.objects.update(rung_at=timezone.now() - datetime.timedelta(minutes=5))
    monkeypatch.setattr(dispatch, "waiting", lambda queue: 0)
    assert jobs.reap() == 3
