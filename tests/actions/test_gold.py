"""Gold: accepted neurons that readings are held to, told to nobody but the reader."""

import pytest
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import ValidationError

from taxonomy.actions import gold, labels, leases, reviews
from taxonomy.actions.gold import Closeness
from taxonomy.models import Event, Family, Gold, Label, Membership, Neuron, Reveal, Role, Standing, User
from taxonomy.permissions import Refused, hidden_from
from tests.factory import make_agreed, make_family, make_label, make_pictured, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def always_gold(monkeypatch) -> None:
    monkeypatch.setattr(leases.secrets, "randbelow", lambda below: 0)


@pytest.fixture
def accepted(neuron: Neuron, curves: Family) -> Neuron:
    make_pictured(neuron.layer.neurons.all())
    make_agreed(neuron, curves)
    reviews.accept(make_user(role=Role.REVIEWER), neuron)
    neuron.refresh_from_db()
    return neuron


@pytest.fixture
def golden(accepted: Neuron) -> Neuron:
    gold.mark(make_user(role=Role.EDITOR), accepted, " Beyond doubt. ")
    return accepted


def read(user: User, **reading) -> Label:
    (lease,) = leases.take(user)
    assert lease.gold
    reading.setdefault("verdict", "family")
    return labels.add(user, lease.neuron, lease=lease.token, **reading)


def test_an_editor_marks_with_a_reason(golden: Neuron) -> None:
    mark = Gold.objects.get()
    assert (mark.neuron, mark.reason, mark.marked_by.role) == (golden, "Beyond doubt.", Role.EDITOR)
    event = Event.objects.get(verb="gold.marked")
    assert (event.neuron, event.data) == (golden, {})


def test_which_neurons_are_gold_is_told_to_editors_alone(golden: Neuron) -> None:
    told = Event.objects.filter(verb="gold.marked")
    readers = [AnonymousUser(), *(make_user(role=role) for role in Role.values)]
    assert [bool(told.visible_to(reader)) for reader in readers] == [False, False, False, True, False]


@pytest.mark.parametrize("reason", ["", "  ", "x" * 5_001, "a\0b"])
def test_a_reason_that_is_none(accepted: Neuron, reason: str) -> None:
    with pytest.raises(ValidationError):
        gold.mark(make_user(role=Role.EDITOR), accepted, reason)
    assert not Gold.objects.exists()


@pytest.mark.parametrize("standing", [one for one in Standing.values if one != Standing.ACCEPTED])
def test_only_accepted_neurons_are_gold(accepted: Neuron, standing: str) -> None:
    Neuron.objects.filter(pk=accepted.pk).update(standing=standing)
    with pytest.raises(Refused, match="nly accepted neurons"):
        gold.mark(make_user(role=Role.EDITOR), accepted, "Clear.")


def test_marked_once_and_again_after_it_ended(golden: Neuron) -> None:
    editor = make_user(role=Role.EDITOR)
    with pytest.raises(Refused, match="gold already"):
        gold.mark(editor, golden, "Again.")
    gold.unmark(editor, golden)
    assert Event.objects.filter(verb="gold.unmarked", neuron=golden).count() == 1
    assert golden.pk not in hidden_from(make_user())
    with pytest.raises(Refused, match="not gold"):
        gold.unmark(editor, golden)
    gold.mark(editor, golden, "Again.")
    assert Gold.objects.count() == 2


@pytest.mark.parametrize("role", [Role.CONTRIBUTOR, Role.REVIEWER, Role.ADMIN])
def test_editors_alone_mark(golden: Neuron, role: str) -> None:
    with pytest.raises(Refused):
        gold.mark(make_user(role=role), golden, "Clear.")
    with pytest.raises(Refused):
        gold.unmark(make_user(role=role), golden)
    assert Gold.objects.current().count() == 1


def test_a_reading_is_blind_and_compared_at_once(golden: Neuron, curves: Family) -> None:
    user = make_user()
    assert golden.pk in hidden_from(user)
    label = read(user, family=curves)
    assert (label.gold, label.blind, gold.outcome(label)) == (True, True, Closeness.RIGHT)
    assert Reveal.objects.filter(neuron=golden, person=user).exists()
    assert golden.pk not in hidden_from(user)
    golden.refresh_from_db()
    assert (golden.standing, golden.readings, golden.asks) == (Standing.ACCEPTED, 4, 0)


def test_it_is_not_taken_back(golden: Neuron, curves: Family) -> None:
    user = make_user()
    label = read(user, family=curves)
    with pytest.raises(Refused):
        labels.undo(user, label)


def test_right_near_and_wrong(golden: Neuron, curves: Family) -> None:
    layer = golden.layer
    shapes, lines = make_family(layer, "Shapes"), make_family(layer, "Lines")
    arches = make_family(layer, "Arches", parent=curves)
    Family.objects.filter(pk=curves.pk).update(parent=shapes)
    dots = make_family(layer, "Dots")
    Membership.objects.create(family=dots, neuron=golden, primary=False, made_by=golden.labels.first().author)
    for reading, expected in (
        ({"family": curves}, Closeness.RIGHT),
        ({"family": arches}, Closeness.RIGHT),
        ({"family": shapes}, Closeness.NEAR),
        ({"family": shapes, "no_finer": True}, Closeness.NEAR),
        ({"family": dots}, Closeness.NEAR),
        ({"family": lines}, Closeness.WRONG),
        ({"verdict": "none of these", "suggested_name": "Curves"}, Closeness.WRONG),
        ({"verdict": "cannot tell", "missing_evidence": "weights"}, Closeness.WRONG),
    ):
        assert gold.outcome(read(make_user(), **reading)) == expected


def test_no_outcome_of_other_labels(golden: Neuron, curves: Family) -> None:
    for label in golden.labels.all():
        assert gold.outcome(label) is None
    assert gold.outcome(make_label(golden, make_user(), curves)) is None  # on its own page, not from the queue


def test_the_record_counts_each_neuron_once(golden: Neuron, curves: Family) -> None:
    user, lines = make_user(), make_family(golden.layer, "Lines")
    assert gold.record_of(user) == (0, 0)
    read(user, family=lines)
    make_label(golden, user, curves)  # corrected after the answer was shown
    assert gold.record_of(user) == (1, 0)
    other = make_user()
    read(other, family=curves)
    make_label(golden, other, lines)
    assert gold.record_of(other) == (1, 1)


def test_the_record_is_of_what_was_accepted_then(golden: Neuron, curves: Family) -> None:
    user, lines = make_user(), make_family(golden.layer, "Lines")
    label = read(user, family=curves)
    now = Label.objects.get(pk=label.pk).created_at
    Membership.objects.update(ended_at=now.replace(year=now.year + 1))
    Membership.objects.create(family=lines, neuron=golden, made_by=label.author)
    assert gold.record_of(user) == (1, 1)


def test_a_record_in_few_queries(golden: Neuron, curves: Family, django_assert_max_num_queries) -> None:
    user = make_user()
    read(user, family=curves)
    with django_assert_max_num_queries(3):
        gold.record_of(user)
