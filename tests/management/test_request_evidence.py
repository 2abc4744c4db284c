"""Asking for evidence from the command line, and waiting for it."""

import io

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from taxonomy import dispatch, recipes
from taxonomy.actions import evidence, jobs
from taxonomy.management.commands import request_evidence
from taxonomy.models import Evidence, Job, Network, User
from tests.factory import make_evidence, make_family, make_image_set, make_network, neuron_at

pytestmark = pytest.mark.django_db

PICK = "feature_visualization.objective=neuron"
FIRST = recipes.KINDS["feature_visualization"].variants[0]


@pytest.fixture
def network() -> Network:
    return make_network()


def run(*words: object, **options: object) -> str:
    out = io.StringIO()
    call_command("request_evidence", *map(str, words), stdout=out, stderr=out, **options)
    return out.getvalue()


def work(monkeypatch, step) -> None:
    """``step`` happens whenever the command would sleep."""
    monkeypatch.setattr(request_evidence.time, "sleep", lambda seconds: step())


def do_a_shard(failing: str = "") -> None:
    claim = jobs.claim("test")
    for found in claim.targets:
        if failing:
            evidence.fail(found.pk, claim.token, failing)
        else:
            evidence.complete(found.pk, claim.token, [], environment={}, wall_seconds=0.1)
    jobs.finish(claim.shard.pk, claim.token)


def test_a_request(network: Network) -> None:
    said = run(
        "tinynet", "--layer", "mixed3b", "--neurons", "0-2,5", "--kind", "feature_visualization", "--steps", "64"
    )
    assert "Requested 8 of 8 pieces of evidence (0 were there already)" in said
    assert sorted(Evidence.objects.values_list("neuron__index", flat=True)) == [0, 0, 1, 1, 2, 2, 5, 5]
    assert {found.parameters["steps"] for found in Evidence.objects.all()} == {64}
    assert Job.objects.get().requested_by == User.objects.system()
    assert "the others are under way already" in run(
        "tinynet", "--layer", "mixed3b", "--neurons", "0-2,5", "--kind", "feature_visualization", "--steps", "64"
    )


def test_all_kinds_that_apply(network: Network) -> None:
    make_image_set("some")
    run("tinynet", images="some")
    assert set(Evidence.objects.values_list("kind", flat=True)) == set(recipes.BY_DEFAULT)
    run("tinynet", "--kind", "all", images="some")
    made = set(Evidence.objects.values_list("kind", flat=True))
    assert made == {*recipes.OF_NEURONS} - {"attribution"}
    assert not Evidence.objects.filter(kind="kernels").exclude(layer__name="conv1").exists()


def test_recipes_are_changed_by_name(network: Network) -> None:
    words = "tinynet --layer mixed3b --neurons 0 --kind weights --set weights.direction=in --set weights.layer=conv1"
    assert "Requested 1 of 1" in run(*words.split())
    assert Evidence.objects.get().parameters == {"direction": "in", "layer": "conv1"}
    words = "tinynet --layer mixed3b --kind layer_weights --set layer_weights.layer=conv1"
    assert "Requested 1 of 1" in run(*words.split())
    assert Evidence.objects.get(kind="layer_weights").parameters == {"layer": "conv1"}


def test_a_family_by_its_name(network: Network) -> None:
    make_image_set("some")
    named = [("Edges", "conv1"), ("Curves", "mixed3b"), ("Spots", "conv1"), ("Spots", "mixed3b")]
    for unit, (name, layer) in enumerate(named):
        make_family(network.layers.get(name=layer), name, units=[unit])
    run("tinynet", "--family", "curves", "--other", "Edges", "--kind", "family_weights")
    row = Evidence.objects.get()
    assert (row.family.name, row.other.name) == ("Curves", "Edges")
    with pytest.raises(CommandError, match="in several layers: conv1"):
        run("tinynet", "--family", "Spots")
    run("tinynet", "--family", "Spots", "--layer", "conv1", images="some")
    assert Evidence.objects.get(kind="joint_tuning").family.layer.name == "conv1"


def test_passes_over_the_images_are_told(network: Network) -> None:
    make_image_set("some", count=300)
    run("tinynet", "--kind", "dataset_examples", images="some")
    ids = list(Evidence.objects.values_list("pk", flat=True))
    assert request_evidence.Command().passes(ids) == ", 0 of 3 passes over the images"


def test_waiting_until_all_is_done(network: Network, monkeypatch) -> None:
    work(monkeypatch, do_a_shard)
    said = run("tinynet", "--kind", "weights", "--kind", "kernels", "--wait")
    assert "16 of 16" in said
    assert said.endswith("All 16 are done.\n")
    assert "All 16 pieces of evidence are there already." in run("tinynet", "--kind", "weights", "kernels", "--wait")


def test_waiting_for_what_another_job_makes(network: Network, monkeypatch) -> None:
    run("tinynet", "--kind", "kernels")
    work(monkeypatch, do_a_shard)
    assert "All 4 are done." in run("tinynet", "--kind", "kernels", "--wait")
    assert Job.objects.count() == 1


def test_failures_are_named_and_the_command_fails(network: Network, monkeypatch) -> None:
    make_evidence(neuron_at("3b:0"), parameters=FIRST)
    work(monkeypatch, lambda: do_a_shard("This neuron is dead."))
    with pytest.raises(CommandError) as caught:
        run(*["tinynet", "--layer", "mixed3b", "--kind", "feature_visualization", "--set"], PICK, "--wait")
    said = str(caught.value).splitlines()
    assert said[0] == "1 of 8 are done, 7 failed."
    assert said[1] == "  feature_visualization of tinynet/mixed3b:1: This neuron is dead."
    assert len(said) == 7
    assert "and 2 more" in said[-1]


def test_a_cancelled_job_ends_the_waiting(network: Network, monkeypatch) -> None:
    work(monkeypatch, lambda: jobs.cancel(User.objects.system(), Job.objects.get()))
    with pytest.raises(CommandError, match="0 of 4 are done, 4 were cancelled"):
        run("tinynet", "--kind", "kernels", "--wait")


def test_no_worker_is_said_once(network: Network, monkeypatch) -> None:
    monkeypatch.setattr(request_evidence, "SILENCE_SECONDS", -1.0)
    steps = iter([lambda: None, lambda: None, do_a_shard])
    work(monkeypatch, lambda: next(steps)())
    said = run("tinynet", "--kind", "kernels", "--wait")
    assert said.count("no worker seems to be taking work") == 1
    assert "All 4 are done." in said


def test_ctrl_c_leaves_the_job_running(network: Network, monkeypatch) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    work(monkeypatch, interrupt)
    with pytest.raises(CommandError, match=r"cancel the job at http://127\.0\.0\.1:8000/jobs/") as caught:
        run("tinynet", "--kind", "kernels", "--wait")
    assert caught.value.returncode == 130
    assert Job.objects.get().status == "queued"


def test_redis_that_does_not_answer_is_said(network: Network, monkeypatch) -> None:
    monkeypatch.setattr(dispatch.app.conf, "broker_url", "redis+socket:///nowhere/redis.sock")
    said = run("tinynet", "--kind", "kernels")
    assert "Redis does not answer" in said
    assert Job.objects.count() == 1


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["x"], "There is no network 'x' here. Networks: tinynet."),
        (["tinynet", "--layer", "x"], "tinynet has no layer 'x'. Its layers are conv1, mixed3b."),
        (["tinynet", "--kind", "x"], "There is no kind of evidence 'x' to compute. Kinds: kernels"),
        (["tinynet", "--kind", "imported_picture"], "no kind of evidence 'imported_picture' to compute"),
        (["tinynet", "--kind", "dataset_examples"], "needs an image set. Name one: none yet"),
        (["tinynet", "--images", "x"], "There is no image set 'x' here. Image sets: none yet"),
        (["tinynet", "--neurons", "8"], "No neuron 8 there"),
        (["tinynet", "--neurons", "3-"], "'3-' is no neuron and no range"),
        (["tinynet", "--neurons", "5-3"], "Name at least one neuron"),
        (["tinynet", "--neurons", "0-99999999"], "no neuron and no range"),
        (["tinynet", "--steps", "0"], "whole number from 1 to 4096"),
        (["tinynet", "--steps", "x"], "invalid int value"),
        (["tinynet", "--set", "weights"], "Write KIND.PARAMETER=VALUE"),
        (["tinynet", "--set", "weights.colour=red"], "weights has no parameter 'colour'"),
        (["tinynet", "--set", "kernel.k=1"], "There are parameters for 'kernel', and that is not asked for."),
        (["tinynet", "--family", "Curves"], "tinynet has no family 'Curves'. Its families are: none yet."),
        (["tinynet", "--layer", "mixed3b", "--kind", "kernels"], "Nothing to make"),
    ],
)
def test_requests_that_no_recipe_answers(network: Network, words: list[str], sentence: str) -> None:
    with pytest.raises(CommandError) as caught:
        run(*words)
    assert sentence in str(caught.value)
    assert not Job.objects.exists()


@pytest.mark.parametrize(
    ("made", "seconds", "left", "said"),
    [(0, 9, 5, ""), (3, 0.5, 5, ""), (10, 5, 300, ", 2.0 a second, 2 min 30 s left"), (10, 5, 0, ", 2.0 a second")],
)
def test_the_pace(made: int, seconds: float, left: int, said: str) -> None:
    assert request_evidence.pace(made, seconds, left) == said
