"""A claim about what an accepted neuron is, refuted by a run: the neuron is disputed, and editors decide."""

import pytest

from taxonomy import history
from taxonomy.actions import claims, discussions, labels, reviews
from taxonomy.models import Event, Family, Membership, Neuron, Notification, Review, Role, Run, Standing, User
from taxonomy.permissions import Refused
from tests.factory import make_agreed, make_claim, make_evidence, make_plan, make_run, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def accepted(neuron: Neuron, curves: Family) -> Neuron:
    make_agreed(neuron, curves)
    reviews.accept(make_user(role=Role.REVIEWER), neuron)
    return Neuron.objects.get(pk=neuron.pk)


def refute(neuron: Neuron, kind: str = "purity", ruling: str = "refuted", author: User | None = None) -> Run:
    return make_run(make_claim(neuron, author, kind=kind, plan=make_plan([neuron.index])), ruling)


def standing_of(neuron: Neuron) -> str:
    return Neuron.objects.get(pk=neuron.pk).standing


@pytest.mark.parametrize("kind", ["purity", "family"])
def test_it_is_disputed_once_with_the_claim_as_the_reason(accepted: Neuron, curves: Family, kind: str) -> None:
    author = make_user("ada")
    run = refute(accepted, kind, author=author)
    assert (reviews.tend(), reviews.tend()) == (1, 0)
    assert standing_of(accepted) == Standing.DISPUTED
    assert Membership.objects.current().get(neuron=accepted).family == curves
    decided = Review.objects.latest("pk")
    assert (decided.reviewer, list(decided.cites.all())) == (User.objects.system(), [run.evidence.current])
    assert f"[[claim:{run.claim.public_id}]]" in decided.comment
    event = Event.objects.get(verb="review.reopened")
    assert (event.claim, event.subject, event.review) == (run.claim, accepted, decided)
    assert not Event.objects.filter(verb="neuron.disputed").exists()
    told = set(Notification.objects.filter(event=event).values_list("person", flat=True))
    assert told == {author.pk, *accepted.labels.values_list("author", flat=True)}
    assert not history.verify(accepted.layer.network).differences


@pytest.mark.parametrize(
    ("kind", "ruling"), [("causality", "refuted"), ("purity", "supported"), ("purity", "inconclusive")]
)
def test_nothing_else_that_a_run_says_disputes_it(accepted: Neuron, kind: str, ruling: str) -> None:
    refute(accepted, kind, ruling)
    assert reviews.tend() == 0
    assert standing_of(accepted) == Standing.ACCEPTED


def test_not_by_a_claim_on_its_family_nor_by_a_withdrawn_one(accepted: Neuron, curves: Family) -> None:
    make_run(make_claim(curves, kind="family", plan=make_plan([accepted.index])), "refuted")
    claims.withdraw((run := refute(accepted)).claim.author, run.claim, reason="Another network was meant.")
    assert reviews.tend() == 0
    assert standing_of(accepted) == Standing.ACCEPTED


def test_not_by_what_was_known_when_it_was_accepted(neuron: Neuron, curves: Family) -> None:
    reader = make_agreed(neuron, curves)[0]
    labels.reveal(reader, neuron)
    refute(neuron, author=reader)
    reviews.accept(make_user(role=Role.REVIEWER), neuron)
    assert reviews.tend() == 0
    assert standing_of(neuron) == Standing.ACCEPTED


def test_an_editor_who_took_no_part_settles_it_and_that_stands(accepted: Neuron, curves: Family) -> None:
    stated, talked = make_user(role=Role.EDITOR), make_user(role=Role.EDITOR)
    run = refute(accepted, author=stated)
    discussions.add(talked, run.claim, "The margin was too wide.")
    reviews.tend()
    version = make_evidence(accepted, data={"value": 1.0}).current
    assert version is not None
    for involved in (stated, talked):
        with pytest.raises(Refused, match="You have commented on or made a claim about this neuron yourself"):
            reviews.settle(involved, accepted, family=curves, comment="It is one.", cites=[version])
    reviews.settle(make_user(role=Role.EDITOR), accepted, family=curves, comment="It is one.", cites=[version])
    assert reviews.tend() == 0
    assert standing_of(accepted) == Standing.ACCEPTED
    assert not history.verify(accepted.layer.network).differences
    refute(accepted, "family")
    assert reviews.tend() == 1
    assert standing_of(accepted) == Standing.DISPUTED
