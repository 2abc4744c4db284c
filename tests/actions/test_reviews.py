"""Accepting an agreed neuron, which must be agreed without the reviewer."""

import pytest
from django.core.exceptions import ValidationError

from taxonomy.actions import reviews
from taxonomy.models import Decision, Event, Family, Label, Membership, Neuron, Review, Role, Standing
from taxonomy.permissions import Refused
from tests.factory import make_agreed, make_family, make_label, make_user, neuron_at

pytestmark = pytest.mark.django_db


def accepted(neuron: Neuron) -> bool:
    neuron.refresh_from_db()
    return neuron.standing == Standing.ACCEPTED


def test_a_reviewer_accepts(neuron: Neuron, curves: Family) -> None:
    make_agreed(neuron, curves)
    reviewer = make_user(role=Role.REVIEWER)
    review = reviews.accept(reviewer, neuron, comment=" clear ")
    assert accepted(neuron)
    membership = Membership.objects.get()
    assert (membership.family, membership.neuron, membership.primary) == (curves, neuron, True)
    assert (membership.review, membership.made_by) == (review, reviewer)
    assert review.comment == "clear"
    assert review.tally.inputs == list(Label.objects.order_by("pk").values_list("pk", flat=True))
    assert Event.objects.get(verb="review.accepted").family == curves


def test_the_reviewers_own_label_must_not_decide(neuron: Neuron, curves: Family) -> None:
    reviewer = make_user(role=Role.REVIEWER)
    make_agreed(neuron, curves, people=2)
    make_label(neuron, reviewer, curves)
    neuron.refresh_from_db()
    assert neuron.standing == Standing.AGREED
    with pytest.raises(Refused, match="Your own reading decides"):
        reviews.accept(reviewer, neuron)
    assert not Membership.objects.exists()
    reviews.accept(make_user(role=Role.EDITOR), neuron)
    assert accepted(neuron)


def test_a_reviewer_among_four_may_accept_and_is_left_out_of_the_tally(neuron: Neuron, curves: Family) -> None:
    reviewer = make_user(role=Role.REVIEWER)
    make_agreed(neuron, curves)
    own = make_label(neuron, reviewer, curves)
    review = reviews.accept(reviewer, neuron)
    assert own.pk not in review.tally.inputs
    assert len(review.tally.inputs) == 3


def test_the_agreed_node_counts_even_when_a_deeper_one_would_without_the_reviewer(
    neuron: Neuron, curves: Family
) -> None:
    arches = make_family(neuron.layer, "Arches", parent=curves)
    smiles = make_family(neuron.layer, "Smiles", parent=curves)
    reviewer = make_user(role=Role.REVIEWER)
    make_agreed(neuron, arches)
    make_label(neuron, family=smiles)
    make_label(neuron, reviewer, smiles)
    review = reviews.accept(reviewer, neuron)  # curves by all five; by the four others too, though arches as well
    assert review.family == curves


def test_only_reviewers_only_agreed_only_once(neuron: Neuron, curves: Family) -> None:
    reviewer = make_user(role=Role.REVIEWER)
    with pytest.raises(Refused, match="Only an agreed neuron"):
        reviews.accept(reviewer, neuron)
    authors = make_agreed(neuron, curves)
    for user in (authors[0], make_user(role=Role.ADMIN), make_user(role=Role.REVIEWER, is_active=False)):
        with pytest.raises(Refused):
            reviews.accept(user, neuron)
    reviews.accept(reviewer, neuron)
    with pytest.raises(Refused, match="already accepted"):
        reviews.accept(make_user(role=Role.REVIEWER), neuron)
    assert Review.objects.count() == Membership.objects.count() == 1


def test_a_stale_page_cannot_accept_what_is_no_longer_agreed(neuron: Neuron, curves: Family) -> None:
    authors = make_agreed(neuron, curves)
    stale = neuron_at("mixed3b:3")
    assert stale.standing == Standing.AGREED
    make_label(neuron, authors[0], make_family(neuron.layer, "Lines"))
    with pytest.raises(Refused, match="Only an agreed neuron"):
        reviews.accept(make_user(role=Role.REVIEWER), stale)


def test_a_comment_that_is_too_long_leaves_nothing(neuron: Neuron, curves: Family) -> None:
    make_agreed(neuron, curves)
    with pytest.raises(ValidationError):
        reviews.accept(make_user(role=Role.REVIEWER), neuron, comment="x" * 5001)
    assert not accepted(neuron)
    assert not Review.objects.exists()


def test_many_at_once_are_asked_in_few_queries(neuron: Neuron, curves: Family, django_assert_max_num_queries) -> None:
    reviewer = make_user(role=Role.REVIEWER)
    neurons = list(Neuron.objects.filter(layer=neuron.layer).select_related("layer__network"))
    for one in neurons[:4]:
        make_agreed(one, curves)
    neurons = list(Neuron.objects.filter(layer=neuron.layer).select_related("layer__network"))
    with django_assert_max_num_queries(6):
        answers = reviews.can_each(reviewer, reviews.cases(reviewer, neurons))
    assert [bool(answers[one.pk][Decision.ACCEPT]) for one in neurons] == [True] * 4 + [False] * 4
