"""Labelling: one current reading a person, and the standing that follows."""

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.utils import InternalError

from taxonomy.actions import labels, reviews
from taxonomy.models import Event, Family, Label, Neuron, Role, Standing, Tally
from taxonomy.permissions import Refused
from tests.factory import make_agreed, make_evidence, make_family, make_label, make_user, neuron_at

pytestmark = pytest.mark.django_db


def test_a_first_label_is_blind_and_counted(neuron: Neuron, curves: Family) -> None:
    user = make_user()
    label = labels.add(user, neuron, verdict="family", family=curves, note="  bends  ")
    neuron.refresh_from_db()
    assert (label.blind, label.note) == (True, "bends")
    assert (neuron.standing, neuron.readings) == (Standing.SINGLE, 1)
    event = Event.objects.get(verb="label.added")
    assert (event.actor, event.neuron, event.layer, event.network) == (user, neuron, neuron.layer, neuron.layer.network)
    assert "note" not in event.data


def test_a_label_after_a_reveal_is_not_blind(neuron: Neuron, curves: Family) -> None:
    user = make_user()
    labels.reveal(user, neuron)
    labels.reveal(user, neuron)
    assert not make_label(neuron, user, curves).blind


def test_changing_ones_mind_keeps_the_earlier_label(neuron: Neuron, curves: Family) -> None:
    user, lines = make_user(), make_family(neuron.layer, "Lines")
    first = make_label(neuron, user, curves)
    second = make_label(neuron, user, lines)
    first.refresh_from_db()
    neuron.refresh_from_db()
    assert first.superseded_at is not None
    assert list(Label.objects.current()) == [second]
    assert neuron.readings == 1
    assert Event.objects.filter(verb="label.changed").count() == 1


def test_sending_the_same_again_changes_nothing(neuron: Neuron, curves: Family) -> None:
    user, lines = make_user(), make_family(neuron.layer, "Lines")
    same = {"verdict": "family", "family": curves, "polysemantic": True, "further": [lines], "note": "both"}
    assert labels.add(user, neuron, **same) == labels.add(user, neuron, **same)
    assert Label.objects.count() == 1
    assert Event.objects.filter(verb__startswith="label.").count() == 1


def test_three_people_make_it_agreed_with_an_event_and_a_tally(neuron: Neuron, curves: Family) -> None:
    make_agreed(neuron, curves)
    neuron.refresh_from_db()
    assert neuron.standing == Standing.AGREED
    assert Event.objects.filter(verb="neuron.agreed", neuron=neuron).count() == 1
    tally = Tally.objects.latest("pk")
    assert (tally.standing, tally.family) == ("agreed", curves)
    assert tally.inputs == list(Label.objects.order_by("pk").values_list("pk", flat=True))


def test_agreement_can_be_lost_again(neuron: Neuron, curves: Family) -> None:
    authors = make_agreed(neuron, curves)
    make_label(neuron, authors[0], make_family(neuron.layer, "Lines"))
    neuron.refresh_from_db()
    assert neuron.standing == Standing.OPEN


def test_labels_do_not_undo_a_decision(neuron: Neuron, curves: Family) -> None:
    Neuron.objects.filter(pk=neuron.pk).update(standing=Standing.ACCEPTED)
    make_label(neuron, family=curves)
    neuron.refresh_from_db()
    assert (neuron.standing, neuron.readings) == (Standing.ACCEPTED, 1)


def test_only_evidence_of_this_neuron_was_seen(neuron: Neuron, curves: Family) -> None:
    mine, other = make_evidence(neuron), make_evidence(neuron_at("mixed3b:4"))
    label = make_label(neuron, family=curves, seen=[mine.current, other.current])
    assert list(label.seen.all()) == [mine.current]


@pytest.mark.parametrize(
    ("reading", "sentence"),
    [
        ({"verdict": "maybe"}, "Choose a family"),
        ({"verdict": "family"}, "Choose a family"),
        ({"verdict": "cannot tell"}, "names the evidence"),
        ({"verdict": "cannot tell", "missing_evidence": "x-rays"}, "names the evidence"),
        ({"verdict": "none of these", "suggested_name": "x" * 121}, "at most 120"),
        ({"verdict": "none of these", "suggested_name": "a\0b"}, "Null characters"),
        ({"verdict": "none of these", "note": "x" * 5001}, "at most 5000"),
        ({"verdict": "none of these", "confidence": "total"}, "not a valid choice"),
        ({"verdict": "none of these", "no_finer": True}, "family"),
        ({"verdict": "none of these", "missing_evidence": "weights"}, "cannot tell"),
        ({"verdict": "cannot tell", "missing_evidence": "weights", "suggested_name": "Arcs"}, "none of these"),
        ({"verdict": "cannot tell", "missing_evidence": "weights", "polysemantic": True}, "polysemantic"),
    ],
)
def test_readings_that_say_nothing_or_two_things(neuron: Neuron, reading: dict, sentence: str) -> None:
    with pytest.raises(ValidationError) as caught:
        labels.add(make_user(), neuron, **reading)
    assert sentence.lower() in " ".join(caught.value.messages).lower()
    assert not Label.objects.exists()
    assert not Event.objects.exists()


def test_a_family_of_another_layer_a_retired_one_and_not_both(neuron: Neuron, curves: Family) -> None:
    elsewhere = make_family(neuron.layer.network.layers.get(name="conv1"), "Gabor")
    retired = make_family(neuron.layer, "Old", retired_at="2026-01-01T00:00Z")
    for reading, sentence in (
        ({"verdict": "family", "family": elsewhere}, "family of conv1"),
        ({"verdict": "family", "family": retired}, "retired"),
        ({"verdict": "none of these", "family": curves}, "not both"),
        ({"verdict": "family", "family": curves, "further": [retired]}, "polysemantic"),
        ({"verdict": "family", "family": curves, "further": [elsewhere], "polysemantic": True}, "family of conv1"),
    ):
        with pytest.raises(ValidationError, match=sentence):
            labels.add(make_user(), neuron, **reading)


@pytest.mark.parametrize("fields", [{"role": Role.ADMIN}, {"is_active": False}])
def test_admins_and_blocked_people_do_not_label(neuron: Neuron, curves: Family, fields: dict) -> None:
    with pytest.raises(Refused):
        labels.add(make_user(**fields), neuron, verdict="family", family=curves)
    assert not Label.objects.exists()


def test_the_database_itself_keeps_labels(neuron: Neuron, curves: Family) -> None:
    label = make_label(neuron, family=curves)
    for change in (
        lambda: Label.objects.filter(pk=label.pk).update(note="other"),
        lambda: Label.objects.filter(pk=label.pk)._raw_delete("default"),
        lambda: Event.objects.update(verb="x"),
        lambda: Label.objects.create(neuron=neuron, author=label.author, verdict="family", family=curves, blind=True),
    ):
        with pytest.raises((InternalError, IntegrityError, Exception)), transaction.atomic():
            change()
    label.refresh_from_db()
    assert label.note == ""


def test_a_label_on_a_settled_neuron_is_not_blind(neuron: Neuron, curves: Family) -> None:
    make_agreed(neuron, curves)
    reviews.accept(make_user(role=Role.REVIEWER), neuron)
    assert not make_label(neuron, make_user(), curves).blind
