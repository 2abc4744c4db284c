"""Figures of agreement: what goes in, when they are kept, and what is told of them."""

import pytest

from taxonomy.actions import agreement, labels, reviews
from taxonomy.models import Agreement, Family, Label, Layer, Network, Neuron, Role, User
from taxonomy.tasks import measure
from tests.factory import make_family, make_label, make_network, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def layer() -> Layer:
    return make_network(layers={"mixed3b": 60}).layers.get()


@pytest.fixture
def network(layer: Layer) -> Network:
    return layer.network


@pytest.fixture
def curves(layer: Layer) -> Family:
    return make_family(layer, "Curves")


@pytest.fixture
def lines(layer: Layer) -> Family:
    return make_family(layer, "Lines")


@pytest.fixture
def people() -> list[User]:
    return [make_user() for _ in range(3)]


def read(layer: Layer, people: list[User], said: list[tuple[Family, ...]]) -> None:
    """Neuron by neuron, what the people say in turn."""
    for neuron, families in zip(layer.neurons.order_by("index"), said, strict=False):
        for person, family in zip(people, families, strict=False):
            make_label(neuron, person, family)


def newest(network: Network, layer: Layer | None = None, family: Family | None = None) -> Agreement:
    return Agreement.objects.newest().get(network=network, layer=layer, family=family)


def test_the_mixed_family_is_flagged_and_the_clear_one_is_not(network, layer, curves, lines, people) -> None:
    clear = make_family(layer, "Spots")
    mixed = [(curves, lines), (lines, curves), (curves, curves), (lines, lines)]
    read(layer, people, [(clear, clear)] * 20 + mixed * 5)
    assert agreement.measure(network) == 5  # network, layer, three families
    whole = newest(network, layer)
    assert whole.figures["neurons"] == 40
    assert whole.figures["people"] == 2
    assert whole.figures["same"] == 0.75
    assert whole.figures["nominal"]["low"] < whole.figures["nominal"]["value"] < whole.figures["nominal"]["high"]
    assert newest(network).figures == whole.figures
    flagged = {family: newest(network, layer, family).flagged for family in (curves, lines, clear)}
    assert flagged == {curves: True, lines: True, clear: False}
    [confusion] = newest(network, layer, curves).figures["confusions"]
    assert {confusion["one"], confusion["other"]} == {curves.pk, lines.pk}
    split = newest(network, layer, curves).figures["splits"]
    assert set(split) <= set(layer.neurons.filter(index__gte=20).values_list("pk", flat=True))
    assert len(split) == 10


def test_figures_are_kept_only_when_something_went_in(network, layer, curves, people) -> None:
    assert agreement.measure(network) == 0
    read(layer, people, [(curves, curves)] * 3)
    assert agreement.measure(network) == 3
    assert newest(network, layer).inputs["readings"] == 6
    assert newest(network, layer).figures["nominal"] is None
    assert agreement.measure(network) == 0
    make_label(layer.neurons.get(index=5), people[0], curves)
    assert agreement.measure(network) == 2  # nothing new about the family: one reading alone tells nothing
    assert agreement.measure(network) == 0


def test_labels_that_were_not_blind_were_taken_back_or_check_a_person_stay_out(network, layer, curves, people) -> None:
    first = layer.neurons.get(index=0)
    make_label(first, people[0], curves)
    labels.reveal(people[1], first)
    make_label(first, people[1], curves)
    labels.undo(people[2], make_label(first, people[2], curves))
    agreement.measure(network)
    assert newest(network, layer).inputs["readings"] == 1
    Label.objects.bulk_create(
        [Label(neuron=first, author=make_user(), verdict="family", family=curves, blind=True, gold=True)]
    )
    assert agreement.measure(network) == 0


def test_the_last_blind_label_counts_and_what_came_after_the_reveal_does_not(
    network, layer, curves, lines, people
) -> None:
    first = layer.neurons.get(index=0)
    make_label(first, people[0], curves)
    make_label(first, people[0], lines)
    labels.reveal(people[0], first)
    make_label(first, people[0], curves)
    [unit] = agreement.units_of(network)
    assert [said.family for said in unit.said] == [lines.pk]


def test_cannot_tell_is_a_missing_value_and_further_families_count(network, layer, curves, lines, people) -> None:
    first = layer.neurons.get(index=0)
    make_label(first, people[0], verdict="cannot tell", missing_evidence="tuning_curves")
    make_label(first, people[1], curves, polysemantic=True, further=[lines])
    make_label(first, people[2], verdict="none of these", suggested_name="Eyes")
    [unit] = agreement.units_of(network)
    assert [(said.family, said.further) for said in unit.said] == [(curves.pk, {lines.pk}), (0, frozenset())]


def test_an_accepted_membership_counts_and_an_imported_one_does_not(network, layer, curves, people) -> None:
    first, second = layer.neurons.filter(index__lt=2)
    read(layer, people, [(curves, curves, curves)])
    reviews.accept(make_user(role=Role.REVIEWER), Neuron.objects.get(pk=first.pk))
    for person in people[:2]:
        make_label(second, person, curves)
    make_family(layer, "Imported", units=[1])
    assert [unit.members for unit in agreement.units_of(network)] == [{curves.pk}, frozenset()]


def test_a_few_queries_whatever_the_number_of_labels(
    network, layer, curves, lines, people, django_assert_max_num_queries
) -> None:
    read(layer, people, [(curves, lines, curves), (lines, lines, lines)] * 30)
    with django_assert_max_num_queries(12):
        agreement.measure(network)


def test_the_task_measures_every_network(network, layer, curves, people) -> None:
    read(layer, people, [(curves, curves)])
    measure()
    assert newest(network, layer, curves).figures["neurons"] == 1
