"""Labelling: one current reading a person, and the standing that follows."""

import uuid

import pytest
from django.core.exceptions import ValidationError
from django.db import DatabaseError, IntegrityError, transaction
from django.db.utils import InternalError

from taxonomy.actions import labels, leases, reviews
from taxonomy.models import Event, Family, Label, Neuron, Reveal, Role, Standing, Tally, User
from taxonomy.permissions import Refused, labels_visible_to
from tests.factory import make_agreed, make_evidence, make_family, make_label, make_older, make_user, neuron_at

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
        ({"verdict": "none of these", "suggested_name": "Curves\u202egnp"}, "cannot be seen (U+202E)"),
        ({"verdict": "none of these", "suggested_name": "Cur\u200bves"}, "cannot be seen (U+200B)"),
        ({"verdict": "none of these", "suggested_name": "Cur\x1bves"}, "cannot be seen (U+001B)"),
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


def test_a_submission_is_taken_once(neuron: Neuron, curves: Family) -> None:
    user, lines, key = make_user(), make_family(neuron.layer, "Lines"), uuid.uuid4()
    first = make_label(neuron, user, curves, submission=key)
    assert make_label(neuron, user, curves, submission=key) == first
    assert make_label(neuron, user, lines, submission=key) == first  # the same key is the same sending
    curves.retired_at = first.created_at
    curves.save()
    assert make_label(neuron, user, curves, submission=key) == first  # even if it could not be given any more
    assert Label.objects.count() == Event.objects.filter(verb="label.added").count() == 1
    assert make_label(neuron, make_user(), lines, submission=key) != first  # somebody else's key is another


def test_a_submission_that_was_taken_back_stays_so(neuron: Neuron, curves: Family) -> None:
    user, key = make_user(), uuid.uuid4()
    first = make_label(neuron, user, curves, submission=key)
    labels.undo(user, first)
    assert make_label(neuron, user, curves, submission=key) == first
    assert not Label.objects.current().exists()


def test_a_family_retired_between_page_and_post(neuron: Neuron, curves: Family) -> None:
    Family.objects.filter(pk=curves.pk).update(retired_at="2026-01-01T00:00Z")
    with pytest.raises(ValidationError, match="retired"):
        make_label(neuron, family=curves)


def test_a_label_in_few_queries(neuron: Neuron, curves: Family, django_assert_max_num_queries) -> None:
    user = make_user()
    with django_assert_max_num_queries(17):
        make_label(neuron, user, curves, submission=uuid.uuid4())


# Taking it back


def test_undo_leaves_the_neuron_as_it_was(neuron: Neuron, curves: Family) -> None:
    user = make_user()
    make_agreed(neuron, curves, people=2)
    label = make_label(neuron, user, curves)
    labels.undo(user, label)
    neuron.refresh_from_db()
    label.refresh_from_db()
    assert (neuron.standing, neuron.readings, neuron.asks) == (Standing.OPEN, 2, 3)
    assert label.undone_at == label.superseded_at is not None
    assert Event.objects.get(verb="label.undone").label == label


def test_undo_of_a_change_brings_the_earlier_reading_back(neuron: Neuron, curves: Family) -> None:
    user, lines, dots = make_user(), make_family(neuron.layer, "Lines"), make_family(neuron.layer, "Dots")
    first = make_label(neuron, user, curves, polysemantic=True, further=[dots], note="both")
    labels.undo(user, make_label(neuron, user, lines))
    again = Label.objects.current().get()
    assert (again.follows, again.family, again.note, again.blind) == (first, curves, "both", True)
    assert list(again.further.all()) == [dots]
    labels.undo(user, again)  # and that one, too, while its minute lasts
    assert Label.objects.current().get().follows == first


def test_undo_hands_the_neuron_back_while_there_is_room(neuron: Neuron, curves: Family) -> None:
    user = make_user()
    labels.undo(user, make_label(neuron, user, curves))
    assert neuron.leases.get().is_live
    other = make_user()
    label = make_label(neuron, other, curves)
    for _ in range(2):
        leases.lend(make_user(), neuron)
    labels.undo(other, label)
    assert not neuron.leases.filter(person=other).exists()


@pytest.mark.parametrize(
    ("why", "sentence"),
    [
        ("somebody else", "Only its author"),
        ("late", "for a minute"),
        ("revealed", "been shown"),
        ("twice", "taken back already"),
        ("changed", "read this neuron anew"),
        ("settled", "part of what was decided"),
        ("blocked", "blocked"),
    ],
)
def test_what_is_not_taken_back(neuron: Neuron, curves: Family, why: str, sentence: str) -> None:
    user = make_user()
    make_agreed(neuron, curves)
    label = make_label(neuron, user, curves)
    who = user
    if why == "somebody else":
        who = make_user(role=Role.EDITOR)
    elif why == "late":
        make_older(label)
    elif why == "revealed":
        labels.show_others(user, neuron)
    elif why == "twice":
        labels.undo(user, label)
    elif why == "changed":
        make_label(neuron, user, make_family(neuron.layer, "Lines"))
    elif why == "settled":
        reviews.accept(make_user(role=Role.REVIEWER), neuron)
    elif why == "blocked":
        user.is_active = False
    with pytest.raises(Refused, match=sentence):
        labels.undo(who, label)
    assert Event.objects.filter(verb="label.undone").count() == (1 if why == "twice" else 0)


# Showing the others now


def others_seen(user: User, neuron: Neuron) -> int:
    return labels_visible_to(user, neuron.labels.exclude(author=user)).count()


def test_the_others_are_shown_when_asked_for_and_after_the_minute(neuron: Neuron, curves: Family) -> None:
    make_agreed(neuron, curves, people=2)
    eager, patient = make_user(), make_user()
    make_label(neuron, eager, curves)
    assert others_seen(eager, neuron) == 0
    labels.show_others(eager, neuron)
    labels.show_others(eager, neuron)
    assert others_seen(eager, neuron) == 2
    assert Reveal.objects.get().person == eager
    label = make_label(neuron, patient, curves)
    assert others_seen(patient, neuron) == 0
    make_older(label)
    assert others_seen(patient, neuron) == 3


def test_the_others_are_not_shown_to_who_has_not_read_it(neuron: Neuron, curves: Family) -> None:
    make_agreed(neuron, curves, people=2)
    changed = make_user()
    labels.undo(changed, make_label(neuron, changed, curves))
    for user in (make_user(), make_user(role=Role.ADMIN), changed):
        with pytest.raises(Refused, match="after you have given yours"):
            labels.show_others(user, neuron)
    assert not Reveal.objects.exists()


def test_who_reviews_looks_and_is_not_blind_after_it(neuron: Neuron, curves: Family) -> None:
    reviewer = make_user(role=Role.REVIEWER)
    make_agreed(neuron, curves, people=2)
    labels.show_others(reviewer, neuron)
    assert not make_label(neuron, reviewer, curves).blind


def test_what_belongs_to_a_label_comes_with_it_and_stays(neuron: Neuron, curves: Family, transactional_db) -> None:
    dots, lines = make_family(neuron.layer, "Dots"), make_family(neuron.layer, "Lines")
    version = make_evidence(neuron).current
    label = make_label(neuron, family=curves, polysemantic=True, further=[dots], seen=[version])
    other = make_evidence(neuron, "weights").current
    for change in (
        lambda: label.further.add(lines),
        lambda: label.further.remove(dots),
        lambda: label.seen.add(other),
        lambda: label.seen.clear(),
        lambda: Label.seen.through.objects.update(evidenceversion=other),
        lambda: Label.further.through.objects.update(family=lines),
    ):
        with pytest.raises(DatabaseError), transaction.atomic():
            change()
    assert (list(label.further.all()), list(label.seen.all())) == ([dots], [version])
