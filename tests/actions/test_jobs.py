"""A shard has one worker at a time, whatever happens to workers; a job counts what was made."""

import datetime
import uuid
from pathlib import Path

import pytest
from django.utils import timezone

from taxonomy import dispatch, recipes, storage
from taxonomy.actions import evidence, jobs, sprites
from taxonomy.models import Evidence, EvidenceVersion, Job, Layer, Network, Outcome, Photograph, Role, Shard, User
from taxonomy.permissions import Refused
from tests.factory import make_evidence, make_image_set, make_network, make_user, picture

pytestmark = pytest.mark.django_db


@pytest.fixture
def network() -> Network:
    return make_network(layers={"conv1": 4, "mixed3b": 8})


@pytest.fixture
def user() -> User:
    return make_user()


def ask(user: User, network: Network, **more) -> evidence.Requested:
    """Two pieces for each neuron, by weights and by rotation: those by activation need images."""
    return evidence.request(user, network, **{"kinds": ["neighbours"], **more})


def made() -> list[evidence.Made]:
    return [evidence.Made("data", storage.put(b"{}"), ".json", 2)]


def complete(row: Evidence, token: uuid.UUID) -> None:
    evidence.complete(row.pk, token, made(), environment={"device": "cpu"}, wall_seconds=0.5)


def expire(shard: Shard) -> None:
    past = timezone.now() - datetime.timedelta(minutes=5)
    Shard.objects.filter(pk=shard.pk).update(lease_expires_at=past, rung_at=past)


def do(claim: jobs.Claim | None) -> None:
    assert claim is not None
    for row in claim.targets:
        complete(row, claim.token)
    jobs.finish(claim.shard.pk, claim.token)


def test_a_request_makes_one_row_for_each_neuron_and_variant(user, network) -> None:
    requested = ask(user, network)
    assert len(requested.evidence) == 12 * 2
    assert requested.job is not None
    assert requested.job.total == 24
    assert requested.job.shards.count() == 4  # two layers, two variants


def test_asking_twice_asks_once(user, network) -> None:
    first, second = ask(user, network), ask(make_user(), network)
    assert second.job is None
    assert second.evidence == first.evidence
    assert Evidence.objects.count() == 24


def test_the_network_s_own_answer_decides_which_kinds_apply(user, network) -> None:
    ask(user, network, kinds=[])
    kinds = set(Evidence.objects.values_list("layer__name", "kind", "parameters__direction"))
    assert ("conv1", "kernels", None) in kinds
    assert ("mixed3b", "kernels", None) not in kinds
    assert ("conv1", "weights", "in") not in kinds
    assert ("mixed3b", "weights", "out") not in kinds
    assert not Evidence.objects.filter(kind__in=["dataset_examples", "facets"]).exists(), "there are no images"


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"kinds": ["dreams"]}, "no kind of evidence 'dreams'"),
        ({"kinds": ["imported_picture"]}, "no kind of evidence 'imported_picture'"),
        ({"kinds": ["dataset_examples"]}, "needs an image set"),
        ({"neurons": [8]}, "No neuron 8"),
        ({"neurons": []}, "counted from 0"),
    ],
)
def test_a_request_that_means_nothing_is_refused_in_words(user, network, more, sentence) -> None:
    with pytest.raises(recipes.RecipeError, match=sentence):
        ask(user, network, **more)
    assert not Evidence.objects.exists()
    assert not Job.objects.exists()


def test_a_catalogue_without_weights_has_nothing_to_compute(user) -> None:
    with pytest.raises(Refused, match="catalogue without weights"):
        ask(user, make_network("catalogue", weights_digest=""))


def test_a_claimed_shard_is_nobody_else_s(user, network) -> None:
    ask(user, network)
    claimed = [jobs.claim(f"worker {number}") for number in range(4)]
    assert {claim.shard.pk for claim in claimed} == set(Shard.objects.values_list("pk", flat=True))
    assert jobs.claim("worker 5") is None


def test_a_lost_worker_s_shard_goes_on_where_it_was(user, network) -> None:
    ask(user, network)
    shard = Shard.objects.first()
    lost = jobs.claim("lost")
    complete(lost.targets[0], lost.token)
    expire(shard)
    assert jobs.reap() == 1
    heir = jobs.claim("heir")
    assert lost.targets[0] not in heir.targets
    assert len(heir.targets) == len(lost.targets) - 1
    with pytest.raises(evidence.LeaseLost):
        complete(lost.targets[1], lost.token)  # the lost worker comes back, too late
    with pytest.raises(evidence.LeaseLost):
        jobs.renew(shard.pk, lost.token)
    do(heir)
    assert EvidenceVersion.objects.filter(evidence__shard=shard).count() == len(lost.targets)


def test_completing_twice_records_once(user, network) -> None:
    ask(user, network)
    claim = jobs.claim("one")
    complete(claim.targets[0], claim.token)
    complete(claim.targets[0], claim.token)
    assert claim.targets[0].versions.count() == 1
    assert Job.objects.get().done == 1


def test_a_job_is_done_when_its_last_shard_is(user, network) -> None:
    job = ask(user, network).job
    for _ in Shard.objects.all():
        assert Job.objects.get().status in jobs.LIVE
        do(jobs.claim("one"))
    job.refresh_from_db()
    assert (job.status, job.done, job.failed) == (Outcome.DONE, 24, 0)
    assert job.events.filter(verb="job.finished").count() == 1


def test_a_failure_has_its_reason_and_can_be_retried(user, network) -> None:
    job = ask(user, network).job
    first, *others = Shard.objects.all()
    claim = jobs.claim("one")
    evidence.fail(claim.targets[0].pk, claim.token, "This neuron is dead.")
    for row in claim.targets[1:]:
        complete(row, claim.token)
    jobs.finish(first.pk, claim.token)
    for _ in others:
        do(jobs.claim("one"))
    job.refresh_from_db()
    assert (job.status, job.failed) == (Outcome.FAILED, 1)
    failed = Evidence.objects.get(status=Outcome.FAILED)
    assert (failed.reason, failed.current) == ("This neuron is dead.", None)
    jobs.retry(user, job)
    again = jobs.claim("two")
    assert [row.pk for row in again.targets] == [failed.pk]
    do(again)
    job.refresh_from_db()
    assert (job.status, job.done, job.failed) == (Outcome.DONE, 24, 0)


def test_a_shard_that_kills_its_workers_is_given_up(user, network) -> None:
    ask(user, network)
    shard = Shard.objects.first()
    for _ in range(Shard.MAX_ATTEMPTS):
        assert jobs.claim("doomed") is not None
        expire(shard)
    spared = jobs.claim("spared")
    assert spared is not None
    assert spared.shard != shard
    shard.refresh_from_db()
    assert shard.status == Outcome.FAILED
    assert "lost 5 times" in shard.evidence.first().reason


def test_cancelling_keeps_what_is_done(user, network) -> None:
    job = ask(user, network).job
    claim = jobs.claim("one")
    complete(claim.targets[0], claim.token)
    jobs.cancel(user, job)
    with pytest.raises(evidence.LeaseLost):
        jobs.renew(claim.shard.pk, claim.token)
    with pytest.raises(evidence.LeaseLost):
        complete(claim.targets[1], claim.token)
    assert Evidence.objects.filter(status=Outcome.DONE).count() == 1
    assert Evidence.objects.filter(status=Outcome.CANCELLED).count() == 23
    with pytest.raises(Refused, match="already cancelled"):
        jobs.cancel(user, job)
    assert jobs.claim("one") is None


def test_cancelled_evidence_can_be_asked_for_again(user, network) -> None:
    jobs.cancel(user, ask(user, network).job)
    again = ask(user, network)
    assert again.job is not None
    assert again.job.total == 24
    for _ in again.job.shards.all():
        do(jobs.claim("one"))
    again.job.refresh_from_db()
    assert again.job.status == Outcome.DONE


@pytest.mark.parametrize(
    ("role", "allowed"), [(Role.CONTRIBUTOR, False), (Role.REVIEWER, False), (Role.EDITOR, True), (Role.ADMIN, True)]
)
def test_who_may_cancel_a_job_of_somebody_else(user, network, role, allowed) -> None:
    job = ask(user, network).job
    other = make_user(role=role)
    if allowed:
        assert jobs.cancel(other, job).status == Outcome.CANCELLED
    else:
        with pytest.raises(Refused, match="Only the person who asked"):
            jobs.cancel(other, job)


def test_a_waiting_shard_is_rung_for_only_when_no_bell_is_left(user, network, monkeypatch) -> None:
    ask(user, network)
    Shard.objects.update(rung_at=timezone.now() - datetime.timedelta(minutes=5))
    monkeypatch.setattr(dispatch, "waiting", lambda queue: 3)
    assert jobs.reap() == 0
    monkeypatch.setattr(dispatch, "waiting", lambda queue: None)
    assert jobs.reap() == 0
    monkeypatch.setattr(dispatch, "waiting", lambda queue: 0)
    assert jobs.reap() == 4
    assert jobs.reap() == 0, "once rung for, they are left alone for a while"


def test_the_key_changes_with_everything_that_decides_the_picture() -> None:
    base = {
        "version": 1, "weights_digest": "a", "image_set_digest": "", "subject": "n/l:1",
        "parameters": {"direction": "in"},
    }  # fmt: skip
    changes = [
        {"version": 2}, {"weights_digest": "b"}, {"image_set_digest": "c"}, {"subject": "n/l:2"},
        {"parameters": {"direction": "out"}},
    ]  # fmt: skip
    keys = {recipes.key("weights", **base), recipes.key("kernels", **base)}
    keys |= {recipes.key("weights", **(base | change)) for change in changes}
    assert len(keys) == 7
    assert recipes.key("weights", **dict(reversed(base.items()))) in keys


def test_a_layer_s_sprite_shows_the_faces_that_there_are(user, network) -> None:
    layer = Layer.objects.get(name="mixed3b")
    assert sprites.build_sprite(layer) is None
    make_evidence(layer.neurons.get(index=3), pictures=["image"])
    sprite = sprites.build_sprite(layer)
    assert sprite.shown == [3]
    before = sprite.made_at
    assert sprites.build_sprite(layer).made_at == before, "nothing changed, so nothing is made again"


@pytest.mark.parametrize("harm", [Path.unlink, lambda file: file.write_bytes(file.read_bytes()[:40])])
def test_a_sprite_is_made_of_what_is_left_in_the_store(user, harm) -> None:
    network = make_network(preprocessing={"resize": 9, "size": 8})
    layer, images = Layer.objects.get(name="mixed3b"), make_image_set(count=4)
    for image in images.images.all():
        data = picture(8 + image.index)
        Photograph.objects.create(image=image, resize=9, size=8, sha256=storage.put(data))
    for index in range(4):
        data = {"top": [{"image": index, "box": [0, 0, 4, 4]}]}
        make_evidence(layer.neurons.get(index=index), "dataset_examples", data=data, image_set=images)
    first, second, third, _ = Evidence.objects.order_by("pk")
    assert sprites.build_sprite(layer).shown == [0, 1, 2, 3]
    harm(storage.path(first.current.artifacts.get(name="data").sha256))
    harm(storage.path(Photograph.objects.get(image__index=1).sha256))
    Photograph.objects.get(image__index=2).delete()
    assert sprites.build_sprite(layer).shown == [3], (second, third, network)


def test_a_renewed_lease_runs_longer(user, network) -> None:
    ask(user, network)
    claim = jobs.claim("one")
    before = Shard.objects.get(pk=claim.shard.pk).lease_expires_at
    jobs.renew(claim.shard.pk, claim.token)
    assert Shard.objects.get(pk=claim.shard.pk).lease_expires_at > before


def test_giving_up_keeps_what_is_done_and_says_why_of_the_rest(user, network) -> None:
    job = ask(user, network, layers=[network.layers.get(name="conv1")]).job
    for shard in job.shards.all():
        claim = jobs.claim("one")
        complete(claim.targets[0], claim.token)
        jobs.give_up(shard.pk, claim.token, "The disk is full.")
        rest = Evidence.objects.filter(shard=shard).exclude(pk=claim.targets[0].pk)
        assert set(rest.values_list("status", "reason")) == {(Outcome.FAILED, "The disk is full.")}
    job.refresh_from_db()
    assert (job.status, job.done, job.failed) == (Outcome.FAILED, 2, 6)
    assert jobs.retry(user, job).failed == 0
