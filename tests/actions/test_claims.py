"""Stating claims, having them tested, withdrawing them: what is frozen, what is refused, who is told."""

import json
import tracemalloc
from collections.abc import Mapping
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import ValidationError
from django.db import Error, transaction
from django.utils import timezone

from taxonomy import events, storage
from taxonomy.actions import claims, evidence, jobs, labels
from taxonomy.models import (
    Claim,
    Event,
    Evidence,
    Gold,
    Job,
    Membership,
    Network,
    Neuron,
    Notification,
    Outcome,
    Reveal,
    Role,
    Run,
    Standing,
    Why,
)
from taxonomy.permissions import Refused, can_see_claim, claims_visible_to, hidden_from, notifications_of
from taxonomy.plans import PlanError
from taxonomy.rendering import sentences
from tests.factory import (
    make_claim,
    make_evidence,
    make_family,
    make_image_set,
    make_label,
    make_network,
    make_note,
    make_plan,
    make_run,
    make_user,
    neuron_at,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def network() -> Network:
    return make_network(class_names=["cat", "sea lion", "sea urchin"])


@pytest.fixture
def curves(network):
    return make_family(network.layers.get(name="mixed3b"), "Curves", units=[0, 1, 2])


def told_to(person) -> list[str]:
    return list(Notification.objects.filter(person=person).values_list("event__verb", flat=True))


@pytest.mark.parametrize(
    ("words", "channels"),
    [
        ("Curves", [0, 1, 2]),
        ("  mixed3b/curves ", [0, 1, 2]),
        ("3b/CURVES", [0, 1, 2]),
        ("3b:6", [6]),
        ("mixed3b:6, 3b:7", [6, 7]),
        ("3b:0-2, 7", [0, 1, 2, 7]),
        ("3b:1,1, 0-1", [1, 0]),
        ("mixed3b", list(range(8))),
    ],
)
def test_neurons_as_people_write_them(network, curves, words, channels) -> None:
    found = claims.set_called(network, words, "do")
    assert (found["layer"], found["channels"]) == ("mixed3b", channels)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("", "Name neurons, or a family."),
        ("Curlicues", "“Curlicues” is neither a family of tinynet nor neurons."),
        ("3b:0, conv1:1", "several layers"),
        ("mixed9:1", "no layer 'mixed9'"),
        ("3b:0-99999", "mixed3b has 8 neurons, counted from 0: there is no 99999."),
        ("3b:99999", "mixed3b has 8 neurons, counted from 0: there is no 99999."),
        ("Lines", "several families “Lines”: write “conv1/Lines” or “mixed3b/Lines”"),
    ],
)
def test_words_that_name_no_neurons_say_what_to_write(network, curves, words, sentence) -> None:
    for layer in network.layers.all():
        make_family(layer, "Lines")
    with pytest.raises(PlanError) as caught:
        claims.set_called(network, words, "do")
    assert sentence in str(caught.value)


def test_a_family_stands_in_a_claim_with_the_members_that_it_had(network, curves) -> None:
    said = {"layer": "conv1", "channels": [9], "named": "Everything", "family": str(curves.public_id)}
    claim = make_claim(curves, plan=make_plan(measure={"what": "response", "of": said}))
    assert claim.plan["measure"]["of"] == {
        "layer": "mixed3b",
        "channels": [0, 1, 2],
        "named": "Curves",
        "family": str(curves.public_id),
    }
    Membership.objects.create(family=curves, neuron=neuron_at("3b:5"), made_by=make_user())
    assert claims.family_set(curves)["channels"] == [0, 1, 2, 5]
    assert Claim.objects.get().plan == claim.plan


def test_names_are_those_of_families_and_not_what_somebody_says(network, curves) -> None:
    said = {"layer": "mixed3b", "channels": [0], "named": "All curves there are"}
    claim = make_claim(curves, plan=make_plan(measure={"what": "response", "of": said}))
    assert claim.plan["measure"]["of"]["named"] == ""


@pytest.mark.parametrize(
    ("parts", "part", "sentence"),
    [
        ({"do": [{"do": "drop", "at": "3b:0", "why": "because"}]}, "do", "There is no “why” here."),
        ({"measure": {"what": "response", "of": "3b:1", "note": "x" * 9}}, "measure", "There is no “note” here."),
        ({"show": {"kind": "sweep", "secret": 1}}, "show", "There is no “secret” here."),
        ({"expect": {"change": "rises", "margin": 1, "or": 2}}, "expect", "There is no “or” here."),
        ({"measure": {"what": "response", "of": {"family": "x"}}}, "measure", "There is no family x in tinynet."),
        ({"do": "everything"}, "do", "Say what is changed"),
        ({"show": None}, "show", "Say what is shown"),
        ({"extra": 1}, "do", "A plan has no part “extra”"),
        ({"do": [{"do": "drop", "at": "mixed3b"}], "measure": {"what": "top1"}}, "do", "all of mixed3b"),
    ],
)
def test_plans_that_say_more_or_less_are_refused_by_their_part(network, curves, parts, part, sentence) -> None:
    with pytest.raises(PlanError) as caught:
        make_claim(curves, plan=make_plan(**parts))
    assert caught.value.part == part
    assert sentence in str(caught.value)
    assert not Claim.objects.exists()


def pictures_plan(**show):
    return make_plan(
        do=[{"do": "drop", "at": "conv1:0"}],
        show={"kind": "images"} | show,
        measure={"what": "prediction"},
        expect={"change": "rises", "margin": 0.1},
    )


def test_which_pictures_are_shown(network, curves) -> None:
    images = make_image_set(count=40, classes={3: 1, 5: 1})

    def indices(**show) -> list[int]:
        return claims.completed(network, pictures_plan(**show), images)["show"]["indices"]

    assert indices(pictures="all") == list(range(40))
    assert indices(pictures="class", **{"class": 1}) == [3, 5]
    assert indices(indices=[7]) == [7]
    drawn = indices(pictures="random", most=10)
    assert len(set(drawn)) == 10
    assert drawn == indices(pictures="random", most=10)
    top = [{"image": image, "value": float(value)} for value, image in enumerate([4, 9, 2, 9])]
    make_evidence(neuron_at("3b:1"), "dataset_examples", data={"top": top}, image_set=images)
    assert indices(pictures="examples", of="3b:1") == [9, 2, 4]
    for show, sentence in {
        ("examples", "3b:2"): "has no dataset examples of pictures yet",
        ("examples", None): "Say whose dataset examples",
        ("some", None): "The pictures are",
    }.items():
        with pytest.raises(PlanError, match=sentence):
            indices(pictures=show[0], of=show[1])
    with pytest.raises(PlanError, match="whole number"):
        indices(most=0)
    for of in (5, {}, {"layer": "mixed3b", "channels": ["x"]}, {"channels": [1]}, {"layer": ["x"], "channels": [1]}):
        with pytest.raises(PlanError, match="Say whose dataset examples are shown"):
            indices(pictures="examples", of=of)
    for odd in (5, "all", {"0": 1}, None, []):
        with pytest.raises(PlanError, match="selects no picture"):
            claims.preview(make_user(), curves, pictures_plan(indices=odd), images)
    for odd in ([10**30], [-1], [True], ["x"], [[0]]):
        with pytest.raises(PlanError, match="The set has 40 pictures"):
            claims.preview(make_user(), curves, pictures_plan(indices=odd), images)
    with pytest.raises(PlanError, match="selects no picture"):
        claims.preview(make_user(), curves, pictures_plan(pictures="class", **{"class": 2}), images)
    for odd in ("cat", None, -1, 10**30):
        with pytest.raises(PlanError, match="Say of which “class” the pictures are: its number"):
            indices(pictures="class", **{"class": odd})
    with pytest.raises(PlanError, match="Name an image set"):
        claims.preview(make_user(), curves, pictures_plan(), None)


@pytest.mark.parametrize(
    ("show", "sentence"),
    [
        ({"picturs": "all"}, "There is no “picturs” here. There are: kind, image_set, indices, pictures"),
        ({"indices": [1], "seed": 3}, "There is no “seed” here."),
        ({"indices": [1], "pictures": "all"}, "“indices” say which pictures are shown, and “pictures” too"),
        ({"indices": [1], "most": 5}, "“indices” say which pictures are shown, and “most” too: leave one out."),
        ({"pictures": "all", "most": 5}, "“most” says nothing of pictures that are “all”: that takes no more."),
        ({"class": 1}, "“class” says nothing of pictures that are “random”: that takes “most”. Leave it out."),
        ({"pictures": "class", "class": 1, "of": "3b:1"}, "“of” says nothing of pictures that are “class”"),
        ({"pictures": "examples", "of": "3b:1", "class": 1}, "that takes “of” and “most”"),
        ({"pictures": ["all"]}, "The pictures are “all”"),
    ],
)
def test_what_is_said_of_pictures_is_not_passed_over(network, curves, show, sentence) -> None:
    images = make_image_set(count=40)
    for given in (images, None):
        with pytest.raises(PlanError) as caught:
            make_claim(curves, plan=pictures_plan(**show), image_set=given)
        assert caught.value.part == "show"
        assert sentence in str(caught.value)
    assert not Claim.objects.exists()


@pytest.mark.parametrize("odd", [3, -1, "cat", None])
def test_pictures_of_a_class_that_the_network_does_not_tell_apart_are_no_test(network, curves, odd) -> None:
    images = make_image_set(count=6, classes={0: 2, 1: odd, 2: 0})
    change = {"do": [{"do": "drop", "at": "3b:0"}]}
    top1, own = {"what": "top1"}, {"what": "class_probability", "class": "label"}
    for measure in (change | {"measure": top1}, change | {"measure": own}):
        with pytest.raises(PlanError) as caught:
            make_claim(curves, plan=pictures_plan(indices=[0, 1, 2]) | measure, image_set=images)
        assert caught.value.part == "measure"
        assert f"Picture 1 is of class {odd}, and tinynet tells apart those from 0 to 2: choose" in str(caught.value)
        make_claim(curves, plan=pictures_plan(indices=[0, 2]) | measure, image_set=images)
    make_claim(curves, plan=pictures_plan(indices=[0, 1, 2]) | change, image_set=images)


def test_weights_across_several_convolutions_have_no_sign_where_that_was_measured(network, curves) -> None:
    layer = curves.layer
    for parameters, linearised in (({"layer": "conv0"}, [True] * 8), ({"layer": "conv1"}, [False] * 3 + [True] * 5)):
        make_evidence(neuron_at("3b:0"), "layer_weights", data={"linearised": linearised}, parameters=parameters)
    source = {"layer": layer.name, "channels": [0, 3]}

    def changed(do: str, to: list[int], **more) -> dict:
        return make_plan([*to, 0], do=[{"do": do, "from": "conv1:0", "to": source | {"channels": to}} | more])

    for plan in (
        changed("keep_positive", [1, 3]),
        changed("keep_negative", [3]),
        changed("scale", [4, 5], factor=-1),
    ):
        with pytest.raises(PlanError) as caught:
            make_claim(curves, plan=plan)
        assert caught.value.part == "do"
        assert "More than one convolution lies between conv1 and mixed3b:" in str(caught.value)
    for plan in (changed("keep_positive", [1, 2]), changed("zero", [3]), changed("scale", [3], factor=0.5)):
        assert make_claim(curves, plan=plan)


def test_what_a_plan_names_is_read_once_however_often(network, curves, django_assert_max_num_queries) -> None:
    change = {"do": "zero", "to": "mixed3b/Curves"}
    plan = make_plan(
        do=[change | {"from": f"conv1:{index}"} for index in range(3)],
        measure={"what": "response", "of": "mixed3b/Curves"},
    )
    with django_assert_max_num_queries(4):
        whole = claims.completed(Network.objects.get(), plan, None)
    assert whole["do"][2]["to"] == whole["measure"]["of"] == claims.family_set(curves)


def test_a_spoilt_file_stops_nobody(network, curves) -> None:
    layers = make_evidence(
        neuron_at("3b:0"), "layer_weights", data={"linearised": [True]}, parameters={"layer": "conv1"}
    )
    images = make_image_set(count=4)
    examples = make_evidence(neuron_at("3b:1"), "dataset_examples", data={"top": []}, image_set=images)
    for row in (layers, examples):
        storage.path(row.current.artifacts.get().sha256).write_bytes(b"spoilt")
    assert make_claim(curves)
    with pytest.raises(PlanError, match="has no dataset examples"):
        make_claim(curves, plan=pictures_plan(pictures="examples", of="3b:1"), image_set=images)


def test_nobody_changes_a_claim_through_any_door(network, curves) -> None:
    claim = make_claim(curves)
    for change in ({"plan": make_plan(seed=1)}, {"sentence": "Other"}, {"author": make_user()}, {"network": None}):
        with pytest.raises(Error), transaction.atomic():
            Claim.objects.filter(pk=claim.pk).update(**change)
    with pytest.raises(Error), transaction.atomic():
        claim.delete()
    run = make_run(claim, "refuted")
    for change in ({"ruling": "supported"}, {"effect": 9.0}, {"number": 7}, {"evidence": None}):
        with pytest.raises(Error), transaction.atomic():
            Run.objects.filter(pk=run.pk).update(**change)
    with pytest.raises(Error), transaction.atomic():
        run.delete()


def test_stating_the_same_twice_is_refused(network, curves) -> None:
    author = make_user()
    make_claim(curves, author)
    with pytest.raises(ValidationError, match="stated just this already"):
        make_claim(curves, author)
    make_claim(curves, author, "In other words.")
    make_claim(curves, make_user())
    assert Claim.objects.count() == 3


def test_who_states_runs_and_withdraws(network, curves) -> None:
    author, other = make_user(), make_user()
    claim = make_claim(curves, author)
    for person, reason in {
        author: "a reviewer or an editor starts them",
        make_user(role=Role.ADMIN): "Admins keep house",
    }.items():
        with pytest.raises(Refused, match=reason):
            claims.run(person, claim)
    with pytest.raises(Refused, match="Only who stated"):
        claims.withdraw(other, claim, reason="No.")
    with pytest.raises(ValidationError, match="Say why"):
        claims.withdraw(author, claim, reason="  ")
    claims.withdraw(author, claim, reason="A slip of the pen.")
    with pytest.raises(Refused, match="was withdrawn"):
        claims.run(make_user(role=Role.REVIEWER), claim)
    catalogue = make_network("paper", weights_digest="")
    paper = make_claim(make_family(catalogue.layers.get(name="mixed3b"), units=[0]))
    with pytest.raises(Refused, match="catalogue without weights"):
        claims.run(make_user(role=Role.REVIEWER), paper)


def test_a_run_is_made_once_and_again_when_the_weights_or_the_recipe_change(network, curves, monkeypatch) -> None:
    reviewer, claim = make_user(role=Role.REVIEWER), make_claim(curves)
    assert claims.asks_for_another_run(claim)
    first = claims.run(reviewer, claim)
    assert claims.run(make_user(role=Role.EDITOR), claim) == first
    assert Job.objects.count() == 1
    assert not claims.asks_for_another_run(claim)
    first = make_run(claim, "supported")
    Network.objects.filter(pk=network.pk).update(weights_digest="v" * 64)
    claim = Claim.objects.get()
    assert claims.asks_for_another_run(claim)
    second = make_run(claim, "refuted")
    assert (first.number, second.number) == (1, 2)
    assert Claim.objects.with_rulings().get().ruling == "refuted"
    assert claim.plan["show"] == second.evidence.parameters["plan"]["show"]


def test_a_run_that_failed_or_was_cancelled_starts_again_as_the_same_run(network, curves) -> None:
    reviewer, claim = make_user(role=Role.REVIEWER), make_claim(curves)
    run = claims.run(reviewer, claim)
    jobs.cancel(reviewer, Job.objects.get())
    assert Claim.objects.with_rulings().get().status == "cancelled"
    assert claims.run(reviewer, claim) == run
    claimed = jobs.claim("test")
    evidence.fail(run.evidence_id, claimed.token, "Too few neurons.")
    jobs.finish(claimed.shard.pk, claimed.token)
    assert Claim.objects.with_rulings().get().status == "failed"
    assert claims.run(reviewer, claim) == run
    assert Run.objects.count() == 1
    assert Claim.objects.with_rulings().get().status == "queued"


@pytest.mark.parametrize("part", ["from", "at", "of"])
def test_nothing_tells_of_a_claim_that_names_a_hidden_neuron(network, curves, part) -> None:
    editor, bob = make_user(role=Role.EDITOR), make_user()
    hidden = neuron_at("3b:1") if part == "of" else neuron_at("conv1:1")
    Neuron.objects.filter(pk=hidden.pk).update(standing="accepted")
    Gold.objects.create(neuron=hidden, marked_by=editor, reason="Clear.")
    change = {"do": "keep_positive", "from": "conv1:1", "to": "3b:0"}
    if part != "from":
        change = {"do": "drop", "at": "conv1:1" if part == "at" else "conv1:0"}
    measure = {"what": "response", "of": "3b:1" if part == "of" else "3b:0"}
    told = make_claim(curves, editor, plan=make_plan(do=[change], measure=measure))
    change = {"do": "drop", "at": "conv1:0"}
    other = make_claim(curves, editor, plan=make_plan(do=[change], measure={"what": "response", "of": "3b:0"}))
    for event in Event.objects.filter(claim__in=[told, other]):
        for person in (bob, editor):
            Notification.objects.create(person=person, event=event, why=Why.SUBSCRIBED)
    for person, known in ((bob, [other.pk]), (editor, [told.pk, other.pk])):
        seen = Event.objects.visible_to(person, hidden_from(person)).filter(claim__isnull=False)
        assert sorted(set(seen.values_list("claim", flat=True))) == known
        noted = notifications_of(person).filter(event__claim__isnull=False)
        assert sorted(set(noted.values_list("event__claim", flat=True))) == known


def test_a_claim_stands_on_what_it_is_about(network, curves) -> None:
    lines = make_family(curves.layer, "Lines", units=[7])
    for subject, called in ((lines, "mixed3b/Lines"), (neuron_at("3b:7"), "mixed3b:7")):
        with pytest.raises(PlanError, match=f"stand on {called}, and nothing of it is changed or measured: write"):
            claims.state(
                make_user(role=Role.REVIEWER), subject, kind="causality", sentence="It bends.", plan=make_plan([0, 1])
            )
        assert make_claim(subject, make_user(role=Role.REVIEWER), plan=make_plan([1, 7]))
    lines.retired_at = timezone.now()
    lines.save()
    with pytest.raises(Refused, match="Lines is retired"):
        make_claim(lines, plan=make_plan([1, 7]))


def test_who_may_not_run_a_claim_retries_no_experiment(network, curves) -> None:
    author, reviewer = make_user(), make_user(role=Role.REVIEWER)
    job = claims.run(reviewer, make_claim(curves, author)).evidence.shard.job
    jobs.cancel(reviewer, job)
    with pytest.raises(Refused, match="Admins keep house"):
        jobs.retry(make_user(role=Role.ADMIN), job)
    reviewer.role = Role.CONTRIBUTOR
    with pytest.raises(Refused, match="a reviewer or an editor starts them"):
        jobs.retry(reviewer, job)
    reviewer.role = Role.EDITOR
    assert jobs.retry(reviewer, job).status == Outcome.QUEUED
    jobs.cancel(reviewer, job)
    claims.withdraw(author, Claim.objects.get(), reason="A slip.")
    with pytest.raises(Refused, match="was withdrawn"):
        jobs.retry(reviewer, job)
    job.refresh_from_db()
    assert job.status == Outcome.CANCELLED


def test_who_is_told(network, curves) -> None:
    ada, bela = make_user(), make_user()
    reviewer = make_user(role=Role.REVIEWER)
    note = make_note(network, ada, bela, published=True)
    Notification.objects.all().delete()
    claim = make_claim(note, make_user("chidi"))
    assert told_to(ada) == told_to(bela) == ["claim.stated"]
    make_run(claim, "refuted", by=reviewer)
    assert sorted(told_to(claim.author)) == ["claim.refuted", "claim.run"]
    assert sorted(told_to(ada)) == ["claim.refuted", "claim.stated"]
    assert told_to(reviewer) == ["claim.refuted"]
    claims.withdraw(claim.author, claim, reason="So be it.")
    assert told_to(bela)[0] == "claim.withdrawn"


def test_a_job_does_not_tell_what_is_claimed(network, curves) -> None:
    secret = make_claim(make_note(network, ada := make_user()), ada, "A secret of the draft.")
    run = make_run(secret, "supported")
    evidence.reproduce(make_reading_reviewer(secret), run.evidence.current)
    assert not Job.objects.filter(title__icontains="secret").exists()


def make_reading_reviewer(claim: Claim):
    """A reviewer who may read the draft that the claim is on: one of its authors."""
    reviewer = make_user(role=Role.REVIEWER)
    claim.note.authorships.create(person=reviewer, added_by=claim.author)
    return reviewer


def test_experiments_are_reproduced_by_who_may_start_them(network, curves) -> None:
    version = make_run(make_claim(curves), "supported").evidence.current
    with pytest.raises(Refused, match="a reviewer or an editor starts them"):
        evidence.reproduce(make_user(), version)
    hidden = make_run(make_claim(make_note(network, ada := make_user()), ada), "supported").evidence.current
    with pytest.raises(Refused, match="draft"):
        evidence.reproduce(make_user(role=Role.REVIEWER), hidden)


def test_a_claim_on_an_unsettled_neuron_waits_for_ones_own_reading(network, curves) -> None:
    neuron = neuron_at("3b:7")
    author, other = make_user(), make_user()
    with pytest.raises(Refused, match="after you have given your own reading"):
        make_claim(neuron, author)
    for person in (author, other):
        make_label(neuron, person, curves)
    labels.show_others(author, neuron)
    claim = make_claim(neuron, author)
    visitor = make_user()
    assert not can_see_claim(visitor, claim)
    assert list(claims_visible_to(visitor, Claim.objects.all())) == []
    assert list(claims_visible_to(author, Claim.objects.all())) == [claim]


def test_a_claim_that_names_a_neuron_under_check_is_not_shown_to_who_is_checked(network, curves) -> None:
    claim = make_claim(curves)
    person, editor = make_user(), make_user(role=Role.EDITOR)
    assert can_see_claim(person, claim)
    Gold.objects.create(neuron=neuron_at("3b:0"), marked_by=editor)
    assert not can_see_claim(person, claim)
    assert list(claims_visible_to(person, Claim.objects.all())) == []
    assert can_see_claim(make_user(role=Role.REVIEWER), claim)
    with pytest.raises(Refused, match="give your own reading first"):
        claims.preview(person, curves, make_plan(), None)


def test_reading_a_claim_is_a_look_at_the_neurons_that_it_names(network, curves) -> None:
    claim = make_claim(curves, plan=make_plan(measure={"what": "response", "of": "mixed3b"}))
    reader = make_user()
    claims.look(reader, [claim])
    seen = Reveal.objects.filter(person=reader).values_list("neuron__layer__name", "neuron__index")
    # The whole layer names nobody in particular.
    assert sorted(seen) == [("conv1", 0), ("conv1", 1), ("mixed3b", 0), ("mixed3b", 1)]


def test_how_long_it_should_take_is_told_from_the_last_one(network, curves) -> None:
    plan = make_plan()
    assert claims.preview(make_user(), curves, plan, None).seconds is None
    make_run(make_claim(curves), "supported")
    twice = make_plan(show=plan["show"] | {"radii": [16, 20]})
    assert claims.preview(make_user(), curves, twice, None).seconds == pytest.approx(1.0)
    assert json.loads(storage.read(Evidence.objects.get().current.artifacts.get().sha256))


def test_a_claim_restates_one_about_the_same_network(network, curves) -> None:
    first = make_claim(curves)
    second = make_claim(curves, sentence="Better put.", restates=first)
    assert list(first.restated.all()) == [second]
    secret = make_claim(make_note(network, ada := make_user()), ada, "A secret.")
    with pytest.raises(Refused, match="draft"):
        make_claim(curves, restates=secret)
    other = make_family(make_network("other").layers.get(name="mixed3b"), "Curves", units=[0])
    with pytest.raises(ValidationError, match="the same network"):
        make_claim(other, restates=first)


def test_what_happened_says_nothing_of_neurons_that_are_still_to_be_read(network, curves) -> None:
    ada, bob = make_user(), make_user()
    change = {"do": "zero", "from": "conv1:0", "to": "3b:5"}
    waits = make_claim(curves, ada, "Five bends.", plan=make_plan([1, 5], do=[change]))
    Neuron.objects.filter(layer__name="conv1", index=0).update(standing="accepted")

    def told_to(reader: object) -> list[str]:
        found = events.told(Event.objects.filter(claim=waits), 9, reader=reader)
        return [event.claim.told for event in found]

    withheld = ["about neurons that are not settled yet"]
    assert told_to(None) == told_to(bob) == withheld
    assert "Five bends" not in sentences.sentence(events.told(Event.objects.filter(claim=waits), 1)[0])
    assert told_to(ada) == ["Five bends."]
    claims.look(bob, [waits])
    assert told_to(bob) == ["Five bends."]
    assert told_to(AnonymousUser()) == withheld
    Neuron.objects.filter(pk=neuron_at("3b:5").pk).update(standing="accepted")
    assert told_to(None) == ["Five bends."]


def make_unread_gold(address: str) -> Neuron:
    """An accepted neuron of which contributors are to give their own reading first."""
    neuron = neuron_at(address)
    Neuron.objects.filter(pk=neuron.pk).update(standing=Standing.ACCEPTED)
    Gold.objects.create(neuron=neuron, marked_by=make_user(role=Role.EDITOR), reason="Clear.")
    return neuron


def make_whole(*dropped: int, of: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """A plan that drops neurons of conv1 and measures the whole of mixed3b, or another set of it."""
    drop = {"do": "drop", "at": {"layer": "conv1", "channels": list(dropped), "named": ""}}
    every = {"layer": "mixed3b", "channels": list(range(8)), "named": ""}
    return make_plan(do=[drop], measure={"what": "response", "of": of or every})


def test_a_claim_keeps_which_neurons_it_is_about(network) -> None:
    def kept(claim: Claim) -> list[str]:
        return [neuron.address for neuron in claim.neurons.order_by("layer__order", "index")]

    note = make_note(network, published=True)
    assert kept(make_claim(note)) == ["conv1:0", "conv1:1", "mixed3b:0", "mixed3b:1"]
    assert kept(make_claim(note, plan=make_whole(1, 2))) == ["conv1:1", "conv1:2"]  # a whole layer: none in particular
    Neuron.objects.filter(layer__name="mixed3b").update(standing=Standing.ACCEPTED)
    assert kept(make_claim(neuron_at("3b:5"), plan=make_whole(1))) == ["conv1:1", "mixed3b:5"]
    all_of_them = make_family(network.layers.get(name="mixed3b"), "Everything", units=range(8))
    measured = make_whole(1, of=claims.family_set(all_of_them))
    names = [f"mixed3b:{index}" for index in range(8)]
    assert kept(make_claim(note, plan=measured)) == ["conv1:1", *names]


def test_a_claim_over_a_whole_layer_tells_nobody_that_the_layer_has_a_check(network, curves) -> None:
    author, reader = make_user(), make_user()
    note = make_note(network, reader, published=True)
    everything = make_claim(note, author, plan=make_whole(1))
    particular = make_claim(note, author, plan=make_plan((6, 7)), sentence="Two of them.")
    make_unread_gold("3b:7")
    shown = Event.objects.visible_to(reader, hidden_from(reader)).filter(verb="claim.stated")
    assert can_see_claim(reader, everything)
    assert not can_see_claim(reader, particular)
    assert list(claims_visible_to(reader, Claim.objects.all())) == [everything]
    assert [event.claim for event in shown] == [everything]
    assert [told.event.claim for told in notifications_of(reader).filter(event__verb="claim.stated")] == [everything]
    assert claims.preview(reader, note, make_whole(1), None)
    with pytest.raises(Refused, match="your own reading first"):
        claims.preview(reader, note, make_plan((7,)), None)


def test_what_is_withheld_of_a_claim_does_not_depend_on_what_stands_beside_it(network, curves) -> None:
    note = make_note(network, published=True)
    Neuron.objects.filter(layer__name="conv1").update(standing=Standing.ACCEPTED)
    everything = make_claim(note, plan=make_whole(1))
    particular = make_claim(note, plan=make_plan((6, 7)), sentence="Two of them.")
    stated = Event.objects.filter(verb="claim.stated")
    for shown in ([everything], [everything, particular]):
        told = events.told(stated.filter(claim__in=shown), 9)
        assert {event.claim.pk: event.claim.withheld for event in told} == {
            claim.pk: claim == particular for claim in shown
        }


def test_a_thousand_claims_are_not_read_to_hide_one(network, curves, django_assert_num_queries) -> None:
    note, reader = make_note(network, published=True), make_user()
    for number in range(4):
        make_claim(note, sentence=f"Claim {number}.")
    make_unread_gold("3b:0")
    with django_assert_num_queries(2):  # what is hidden, and what is left
        assert list(claims_visible_to(reader, Claim.objects.all())) == []
    with django_assert_num_queries(2):
        assert not Event.objects.visible_to(reader, hidden_from(reader)).filter(verb="claim.stated").exists()


@pytest.mark.parametrize(
    ("changed", "part", "sentence"),
    [
        ({"do": [{"do": "drop", "at": "3b:0"}] * 6}, "do", "At most 5 changes"),
        ({"do": [{"do": "drop", "at": "mixed3b/\0"}]}, "do", "no text has (NUL)"),
        ({"show": {"kind": "images", "pictures": "examples", "of": {"layer": "\0", "channels": [0]}}}, "show", "NUL"),
        ({"show": {"kind": "images", "pictures": "class", "class": "\0"}}, "show", "NUL"),
        ({"seed": 10**400}, "seed", "from 0 to 2,147,483,647"),
    ],
)
def test_what_no_plan_may_hold_is_refused_in_words(curves, changed, part, sentence) -> None:
    images = make_image_set(count=2)
    with pytest.raises(PlanError) as caught:
        claims.preview(make_user(), curves, make_plan(**changed), images)
    assert (caught.value.part, sentence in str(caught.value)) == (part, True)


def test_many_spans_take_no_more_memory_than_the_layer_has_neurons(network) -> None:
    tracemalloc.start()
    with pytest.raises(PlanError, match="mixed3b has 8 neurons"):
        claims.set_called(network, f"3b:{','.join(['0-7'] * 300)},0-9999", "do")
    assert claims.set_called(network, f"3b:{','.join(['0-7'] * 300)}", "do")["channels"] == list(range(8))
    assert tracemalloc.get_traced_memory()[1] < 2e6
    tracemalloc.stop()


def test_who_may_not_read_a_draft_does_not_run_its_claim(network) -> None:
    claim = make_claim(make_note(network, author := make_user()), author)
    with pytest.raises(Refused):
        claims.run(make_user(role=Role.REVIEWER), claim)
    assert not Run.objects.exists()
