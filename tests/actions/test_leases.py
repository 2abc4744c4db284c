"""The queue: who is handed which neuron, and never more of them than it asks for."""

import datetime
import uuid
from collections import Counter

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone

from taxonomy.actions import gold, labels, leases, overlaps, reviews
from taxonomy.models import Event, Evidence, Family, Label, Layer, Lease, Need, Neuron, Outcome, Role, Standing, User
from taxonomy.permissions import Refused, hidden_from
from tests.factory import make_agreed, make_family, make_label, make_network, make_pictured, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def layer() -> Layer:
    found = make_network().layers.get(name="mixed3b")
    make_pictured(found.neurons.all())
    return found


@pytest.fixture
def curves(layer: Layer) -> Family:
    return make_family(layer, "Curves")


@pytest.fixture
def always_gold(monkeypatch) -> None:
    monkeypatch.setattr(leases.secrets, "randbelow", lambda below: 0)


def at(layer: Layer, index: int) -> Neuron:
    return layer.neurons.select_related("layer__network").get(index=index)


def indices(taken: list[Lease]) -> list[int]:
    return [lease.neuron.index for lease in taken]


def run_out(*taken: Lease) -> None:
    """As if twenty minutes had passed."""
    Lease.objects.filter(pk__in=[lease.pk for lease in taken]).update(expires_at=timezone.now())


def read(user: User, lease: Lease, family: Family, **more) -> Label:
    return labels.add(user, lease.neuron, verdict="family", family=family, lease=lease.token, **more)


def make_gold(layer: Layer, index: int, family: Family) -> Neuron:
    neuron = at(layer, index)
    make_agreed(neuron, family)
    reviews.accept(make_user(role=Role.REVIEWER), neuron)
    gold.mark(make_user(role=Role.EDITOR), neuron, "Beyond doubt.")
    return at(layer, index)


# What is handed out


def test_the_nearest_to_its_readings_comes_first(layer: Layer, curves: Family) -> None:
    make_agreed(at(layer, 5), curves, people=2)
    make_label(at(layer, 3), family=curves)
    taken = leases.take(make_user(), count=4)
    assert indices(taken) == [5, 3, 0, 1]
    assert all(datetime.timedelta(minutes=19) < lease.expires_at - timezone.now() for lease in taken)


def test_only_a_network_or_a_layer_if_asked(layer: Layer) -> None:
    other = make_network("othernet", layers={"conv1": 2})
    make_pictured(other.layers.get().neurons.all())
    first = layer.network.layers.get(name="conv1")
    make_pictured(first.neurons.all())
    for user, scope, where in (
        (make_user(), {"network": other}, other.layers.get()),
        (make_user(), {"layer": first}, first),
        (make_user(), {"network": layer.network}, first),
    ):
        assert leases.take(user, **scope)[0].neuron.layer == where


def test_what_has_no_picture_or_was_read_or_settled_is_left_out(layer: Layer, curves: Family) -> None:
    user = make_user()
    make_label(at(layer, 0), user, curves)
    Neuron.objects.filter(layer=layer, index=1).update(standing=Standing.ACCEPTED)
    Evidence.objects.filter(neuron__layer=layer, neuron__index=2).update(status=Outcome.FAILED)
    assert indices(leases.take(user, count=10)) == [3, 4, 5, 6, 7]


def test_one_who_took_a_label_back_is_asked_again(layer: Layer, curves: Family) -> None:
    user = make_user()
    labels.undo(user, make_label(at(layer, 0), user, curves))
    assert indices(leases.take(user)) == [0]


def test_one_s_own_come_first_and_their_time_begins_again(layer: Layer) -> None:
    user = make_user()
    first = leases.take(user, count=2)
    Lease.objects.update(expires_at=timezone.now() + datetime.timedelta(minutes=1))
    again = leases.take(user, count=3)
    assert [lease.pk for lease in again[:2]] == [lease.pk for lease in first]
    assert indices(again) == [0, 1, 2]
    assert Lease.objects.filter(expires_at__gt=timezone.now() + datetime.timedelta(minutes=19)).count() == 3


def test_skipping_passes_over_one_s_own_too(layer: Layer) -> None:
    user = make_user()
    (own,) = leases.take(user)
    assert indices(leases.take(user, skipping=frozenset({own.neuron_id}))) == [1]


def test_labels_and_leases_are_never_more_than_asked(layer: Layer, curves: Family) -> None:
    neuron = at(layer, 0)
    make_label(neuron, family=curves)
    holders = [make_user() for _ in range(5)]
    taken = [leases.take(user)[0] for user in holders]
    assert [lease.neuron.index for lease in taken] == [0, 0, 1, 1, 1]


def test_an_open_neuron_asks_for_one_more_at_a_time(layer: Layer, curves: Family) -> None:
    lines, dots = make_family(layer, "Lines"), make_family(layer, "Dots")
    for family in (curves, lines, dots):
        make_label(at(layer, 0), family=family)
    first, second = make_user(), make_user()
    assert indices(leases.take(first)) == [0]
    assert indices(leases.take(second)) == [1]
    read(first, leases.take(first)[0], curves)
    assert at(layer, 0).asks == 5
    assert indices(leases.take(make_user())) == [0]


def test_what_a_person_gave_back_goes_to_others(layer: Layer) -> None:
    user, other = make_user(), make_user()
    Neuron.objects.filter(layer=layer, index=0).update(asks=1)
    (own,) = leases.take(user)
    assert indices(leases.take(other)) == [1]
    leases.give_back(other, own.token)  # nobody gives back for another
    assert Lease.objects.get(pk=own.pk).is_live
    leases.give_back(user, own.token)
    leases.give_back(user, own.token)
    assert indices(leases.take(make_user())) == [0]


def test_what_ran_out_goes_to_others_with_no_cleaner(layer: Layer) -> None:
    Neuron.objects.filter(layer=layer, index=0).update(asks=1)
    (own,) = leases.take(make_user())
    run_out(own)
    assert indices(leases.take(make_user())) == [0]


@pytest.mark.parametrize("fields", [{"role": Role.ADMIN}, {"is_active": False}])
def test_who_may_not_label_is_handed_nothing(layer: Layer, fields: dict) -> None:
    with pytest.raises(Refused):
        leases.take(make_user(**fields))
    assert not Lease.objects.exists()


def test_nothing_left_is_an_empty_list(layer: Layer) -> None:
    layer.neurons.update(asks=0)
    assert leases.take(make_user(), count=3) == []


def test_the_next_in_few_queries(layer: Layer, django_assert_max_num_queries) -> None:
    user = make_user()
    with django_assert_max_num_queries(8):
        leases.take(user, layer=layer)


# Reading under a lease


def test_a_label_ends_the_lease(layer: Layer, curves: Family) -> None:
    user = make_user()
    (lease,) = leases.take(user)
    label = read(user, lease, curves)
    lease.refresh_from_db()
    assert (lease.label, lease.is_live, label.blind) == (label, False, True)
    assert indices(leases.take(user)) == [1]


def test_a_label_without_its_token_ends_the_lease_as_well(layer: Layer, curves: Family) -> None:
    user = make_user()
    (lease,) = leases.take(user)
    label = make_label(lease.neuron, user, curves)
    assert Lease.objects.get().label == label


def test_late_but_there_is_room(layer: Layer, curves: Family) -> None:
    user = make_user()
    (lease,) = leases.take(user)
    run_out(lease)
    label = read(user, lease, curves)
    assert (label.blind, Lease.objects.get().label) == (True, label)


def test_late_and_others_have_it(layer: Layer, curves: Family) -> None:
    user = make_user()
    (lease,) = leases.take(user)
    run_out(lease)
    for _ in range(3):
        leases.take(make_user())
    with pytest.raises(Refused, match="on the neuron's own page"):
        read(user, lease, curves)
    assert not Label.objects.exists()
    assert make_label(lease.neuron, user, curves).blind  # as the sentence says


def test_a_token_of_somebody_else_and_a_made_up_one(layer: Layer, curves: Family) -> None:
    user = make_user()
    (lease,) = leases.take(make_user())
    for token in (lease.token, uuid.uuid4()):
        with pytest.raises(Refused, match="not handed to you"):
            labels.add(user, lease.neuron, verdict="family", family=curves, lease=token)
        with pytest.raises(Refused, match="not handed to you"):
            labels.add(user, at(layer, 7), verdict="family", family=curves, lease=token)
    assert not Label.objects.exists()
    with pytest.raises(Refused, match="not handed to you"):
        leases.neuron_of(uuid.uuid4())


def test_given_back_it_is_not_read_under_its_lease(layer: Layer, curves: Family) -> None:
    user = make_user()
    (lease,) = leases.take(user)
    leases.give_back(user, lease.token)
    with pytest.raises(Refused, match="given it back"):
        read(user, lease, curves)


def test_settled_while_somebody_looked_at_it_their_reading_is_independent(layer: Layer, curves: Family) -> None:
    user = make_user()
    (lease,) = leases.take(user)
    make_agreed(lease.neuron, curves)
    reviews.accept(make_user(role=Role.REVIEWER), lease.neuron)
    assert lease.neuron_id in hidden_from(user)
    label = read(user, lease, curves)
    assert (label.blind, label.gold) == (True, False)
    assert at(layer, 0).standing == Standing.ACCEPTED


@pytest.mark.parametrize("why", ["it ran out", "they looked"])
def test_settled_and_no_more_hidden_their_reading_is_not_blind(layer: Layer, curves: Family, why: str) -> None:
    user = make_user()
    (lease,) = leases.take(user)
    make_agreed(lease.neuron, curves)
    reviews.accept(make_user(role=Role.REVIEWER), lease.neuron)
    if why == "it ran out":
        run_out(lease)
        with pytest.raises(Refused):
            read(user, lease, curves)
    else:
        labels.reveal(user, lease.neuron)
    assert not make_label(lease.neuron, user, curves).blind


def test_a_neuron_settled_meanwhile_is_not_handed_out_again(layer: Layer, curves: Family) -> None:
    user = make_user()
    (lease,) = leases.take(user)
    make_agreed(lease.neuron, curves)
    reviews.accept(make_user(role=Role.REVIEWER), lease.neuron)
    assert indices(leases.take(user)) == [1]


def test_a_label_and_the_next_neuron_in_one_step(layer: Layer, curves: Family) -> None:
    user, key = make_user(), uuid.uuid4()
    (lease,) = leases.take(user)
    given = {"verdict": "family", "family": curves, "submission": key, "lease": lease.token, "layer": layer}
    label, (onwards,) = labels.add_and_take(user, lease.neuron, **given)
    assert onwards.neuron.index == 1
    again, (same,) = labels.add_and_take(user, lease.neuron, **given)
    assert (again, same.pk) == (label, onwards.pk)
    assert (Label.objects.count(), Lease.objects.count()) == (1, 2)


# Gold


def test_gold_is_mixed_in_and_never_twice_in_a_row(layer: Layer, curves: Family, always_gold) -> None:
    golden = {make_gold(layer, index, curves).pk for index in (0, 1, 2)}
    user = make_user()
    for place in range(5):
        (lease,) = leases.take(user)
        assert (lease.neuron_id in golden) == lease.gold == (place % 2 == 0)
        read(user, lease, curves)


def test_gold_comes_about_once_in_ten() -> None:
    chances = Counter(leases.secrets.randbelow(leases.GOLD_CHANCE) == 0 for _ in range(9_000))
    assert 800 < chances[True] < 1_200  # one after nine others: one in ten of all


def test_gold_is_of_what_was_asked_for(layer: Layer, curves: Family, always_gold) -> None:
    make_gold(layer, 0, curves)
    conv = layer.network.layers.get(name="conv1")
    make_pictured(conv.neurons.all())
    assert not leases.take(make_user(), layer=conv)[0].gold
    assert leases.take(make_user(), layer=layer)[0].gold


def test_gold_that_is_known_is_not_gold(layer: Layer, curves: Family, always_gold) -> None:
    neuron = make_gold(layer, 0, curves)
    author = neuron.labels.first().author
    looked, skipped, reviewer = make_user(), make_user(), make_user(role=Role.REVIEWER)
    labels.reveal(looked, neuron)
    leases.give_back(skipped, leases.take(skipped)[0].token)
    for user in (author, looked, skipped, reviewer):
        assert not leases.take(user)[0].gold
    assert leases.take(make_user())[0].gold


def test_no_gold_alone(layer: Layer, curves: Family, always_gold) -> None:
    make_gold(layer, 0, curves)
    layer.neurons.exclude(index=0).update(asks=0)
    assert leases.take(make_user()) == []


def test_gold_opened_again_meanwhile_is_an_ordinary_reading(layer: Layer, curves: Family, always_gold) -> None:
    neuron, user = make_gold(layer, 0, curves), make_user()
    (lease,) = leases.take(user)
    assert lease.gold
    Neuron.objects.filter(pk=neuron.pk).update(standing=Standing.AGREED)
    label = read(user, lease, curves)
    assert (label.gold, label.blind) == (False, True)


# How many readings are asked for


def test_overlap_raised_and_lowered(layer: Layer, curves: Family) -> None:
    editor, lines = make_user(role=Role.EDITOR), make_family(layer, "Lines")
    make_agreed(at(layer, 0), curves)
    make_agreed(at(layer, 1), curves, people=2)
    for family in (curves, lines, curves):
        make_label(at(layer, 2), family=family)
    make_agreed(at(layer, 3), curves)
    reviews.accept(make_user(role=Role.REVIEWER), at(layer, 3))
    before = [neuron.asks for neuron in layer.neurons.all()]
    assert before[:5] == [3, 3, 4, 0, 3]
    overlaps.change(editor, layer, 5)
    assert [neuron.asks for neuron in layer.neurons.all()][:5] == [3, 5, 5, 0, 5]
    held = [leases.take(make_user(), layer=layer)[0] for _ in range(5)]
    overlaps.change(editor, layer, 3)
    assert [neuron.asks for neuron in layer.neurons.all()] == before
    assert Label.objects.count() == 11
    for lease in held:  # what is in somebody's hands may still be read
        read(lease.person, lease, curves)
    event = Event.objects.filter(verb="overlap.changed").first()
    assert (event.layer, event.data) == (layer, {"from": 5, "to": 3})


def test_overlap_counts_answered_cannot_tell_as_spent(layer: Layer) -> None:
    neuron = at(layer, 0)
    make_label(neuron, verdict="cannot tell", missing_evidence="weights")
    Need.objects.create(neuron=neuron, kind="weights", met_at=timezone.now())
    labels.retally(make_user(), labels.locked(neuron))
    assert at(layer, 0).asks == 4
    overlaps.change(make_user(role=Role.EDITOR), layer, 4)
    assert at(layer, 0).asks == 5


def test_a_label_given_later_asks_by_the_new_overlap(layer: Layer, curves: Family) -> None:
    stale = at(layer, 0)
    overlaps.change(make_user(role=Role.EDITOR), layer, 6)
    make_label(stale, family=curves)
    assert at(layer, 0).asks == 6


@pytest.mark.parametrize("overlap", [2, 10, 0, -3])
def test_overlap_is_three_to_nine(layer: Layer, overlap: int) -> None:
    with pytest.raises(ValidationError, match="3 to 9"):
        overlaps.change(make_user(role=Role.EDITOR), layer, overlap)


def test_the_same_overlap_is_no_event(layer: Layer) -> None:
    overlaps.change(make_user(role=Role.EDITOR), layer, 3)
    assert not Event.objects.exists()


@pytest.mark.parametrize("role", [Role.CONTRIBUTOR, Role.REVIEWER, Role.ADMIN])
def test_editors_alone_set_the_overlap(layer: Layer, role: str) -> None:
    with pytest.raises(Refused):
        overlaps.change(make_user(role=role), layer, 4)
    layer.refresh_from_db()
    assert layer.overlap == 3
