"""Reviewers, editors, labels and the clock at the same instant, over the same few neurons."""

import datetime
import random
import time
from collections import Counter
from collections.abc import Callable
from unittest import mock

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone

from taxonomy import history
from taxonomy.actions import labels, needs, reviews
from taxonomy.models import (
    Decision,
    Evidence,
    Layer,
    Membership,
    Need,
    Neuron,
    Outcome,
    Review,
    Role,
    Standing,
)
from taxonomy.permissions import Refused
from tests.actions.test_at_once import at_once, wins_once
from tests.factory import add_version, make_agreed, make_evidence, make_family, make_label, make_network, make_user

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def layer(db) -> Layer:
    return make_network().layers.get(name="mixed3b")


def test_one_accepts_while_another_objects(layer: Layer) -> None:
    family = make_family(layer)
    for neuron in layer.neurons.all():
        make_agreed(neuron, family)
        first, second = make_user(role=Role.REVIEWER), make_user(role=Role.REVIEWER)
        found = at_once(
            lambda neuron=neuron, user=first: reviews.accept(user, neuron),
            lambda neuron=neuron, user=second: reviews.object_to(user, neuron, comment="No."),
        )
        wins_once(found, "", Refused)
        decided = Review.objects.get(neuron=neuron).decision
        accepted = Neuron.objects.get(pk=neuron.pk).standing == Standing.ACCEPTED
        assert accepted == (decided == Decision.ACCEPT) == Membership.objects.filter(neuron=neuron).exists()


def test_two_accept_the_same_sheet(layer: Layer) -> None:
    family, neurons = make_family(layer), list(layer.neurons.all())
    for neuron in neurons:
        make_agreed(neuron, family)
    found = at_once(
        lambda: reviews.accept_many(make_user(role=Role.REVIEWER), neurons),
        lambda: reviews.accept_many(make_user(role=Role.REVIEWER), neurons[::-1]),
    )
    assert sum(one.review is not None for answered in found for one in answered) == len(neurons)
    assert Membership.objects.count() == Review.objects.count() == len(neurons)


def test_an_objection_comes_of_age_once(layer: Layer) -> None:
    family = make_family(layer)
    for neuron in layer.neurons.all():
        make_agreed(neuron, family)
        reviews.object_to(make_user(role=Role.REVIEWER), neuron, comment="No.")
    with mock.patch("django.utils.timezone.now", return_value=timezone.now() + datetime.timedelta(hours=73)):
        found = at_once(*[reviews.tend] * 4)
    assert sum(found) == layer.channels
    assert set(layer.neurons.values_list("standing", flat=True)) == {Standing.DISPUTED}


def test_a_need_is_asked_and_met_once(layer: Layer) -> None:
    for neuron in layer.neurons.all()[:3]:
        for _ in range(2):
            make_label(neuron, verdict="cannot tell", missing_evidence="tuning_curves")
    assert at_once(*[needs.tend] * 4) == [0] * 4
    assert Need.objects.exclude(asked_at=None).count() == 3
    assert Need.objects.values("job").distinct().count() == 1
    for made in Evidence.objects.filter(kind="tuning_curves"):
        add_version(made, [])
    assert sum(at_once(*[needs.tend] * 4)) <= 3
    needs.tend()  # what was held just then
    assert not Need.objects.open().exists()


@pytest.mark.slow
def test_everything_at_once_neither_deadlocks_nor_contradicts_the_record(layer: Layer) -> None:
    """Some seconds of every decision, labels and the clock; afterwards the record gives the same standings."""
    curves, lines = make_family(layer), make_family(layer, "Lines")
    neurons = list(layer.neurons.select_related("layer__network")[:4])
    versions = {neuron.pk: make_evidence(neuron, data={}).current for neuron in neurons}
    until = time.monotonic() + 5

    def label(chance: random.Random) -> None:
        reading = chance.choice(
            [
                {"family": curves},
                {"family": curves},
                {"family": curves},
                {"family": lines},
                {"verdict": "cannot tell", "missing_evidence": "tuning_curves"},
            ]
        )
        make_label(chance.choice(neurons), chance.choice(readers), **reading)

    def decide(chance: random.Random) -> None:
        neuron, decision = chance.choice(neurons), chance.choice(Decision.values)
        cites = [versions[neuron.pk]] if "cites" in reviews.TAKES.get(decision, ()) else []
        kind = "tuning_curves" if decision == Decision.NEED_EVIDENCE else ""
        family = curves if decision == Decision.SETTLE else None
        who = make_user(role=chance.choice([Role.REVIEWER, Role.EDITOR]))
        reviews.decide(who, neuron, decision, comment="So.", kind=kind, cites=cites, family=family)

    def tend(chance: random.Random) -> None:
        needs.tend()
        reviews.tend()
        for made in Evidence.objects.filter(kind="tuning_curves").exclude(status=Outcome.DONE)[:2]:
            add_version(made, [])

    def keep(act: Callable[[random.Random], None], seed: int) -> Counter[str]:
        chance, seen = random.Random(seed), Counter[str]()
        while time.monotonic() < until:
            try:
                act(chance)
                seen["done"] += 1
            except (Refused, ValidationError) as error:
                seen[type(error).__name__] += 1
        return seen

    readers = [make_user() for _ in range(6)]
    acts = (label, label, decide, decide, decide, tend)
    found = at_once(*(lambda act=act, seed=seed: keep(act, seed) for seed, act in enumerate(acts)))
    assert all(isinstance(seen, Counter) and seen["done"] for seen in found), found
    tree = labels.Tree.of(layer).parents
    for neuron in neurons:
        kept = Neuron.objects.get(pk=neuron.pk)
        assert history.record_of(neuron).at(tree).standing == kept.standing
        current = neuron.memberships.current().filter(primary=True).count()
        assert current == (kept.standing in (Standing.ACCEPTED, Standing.STALE))
