"""Both tables of standings: every step that is allowed, and the refusal of every other one."""

import datetime
import itertools
from collections.abc import Callable
from types import SimpleNamespace
from unittest import mock

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone

from taxonomy import recipes
from taxonomy.actions import needs, reviews
from taxonomy.actions.proposals import accept as accept_proposal
from taxonomy.actions.proposals import create as propose
from taxonomy.actions.proposals import names_of
from taxonomy.models import (
    Decision,
    Event,
    Evidence,
    EvidenceVersion,
    Family,
    Label,
    Membership,
    Need,
    Neuron,
    Notification,
    Outcome,
    Review,
    Role,
    Standing,
    Tally,
    User,
    Why,
)
from taxonomy.permissions import Refused
from tests.factory import (
    add_version,
    make_agreed,
    make_evidence,
    make_family,
    make_label,
    make_user,
    neuron_at,
)

pytestmark = pytest.mark.django_db

OLD = datetime.timedelta(hours=73)


def standing_of(neuron: Neuron) -> str:
    return Neuron.objects.get(pk=neuron.pk).standing


def later(by: datetime.timedelta) -> object:
    """The clock, so much later."""
    return mock.patch("django.utils.timezone.now", return_value=timezone.now() + by)


@pytest.fixture
def lines(neuron: Neuron, curves: Family) -> Family:
    return make_family(neuron.layer, "Lines")


@pytest.fixture
def reviewer(db) -> User:
    return make_user("rita", role=Role.REVIEWER)


@pytest.fixture
def editor(db) -> User:
    return make_user("edith", role=Role.EDITOR)


@pytest.fixture
def evidence(neuron: Neuron) -> EvidenceVersion:
    version = make_evidence(neuron, data={"value": 1.0}).current
    assert version is not None
    return version


def dispute(neuron: Neuron, curves: Family, lines: Family) -> None:
    for family in (curves, curves, lines, lines, lines):
        make_label(neuron, family=family)


def cannot_tell(neuron: Neuron, kind: str = "tuning_curves") -> Label:
    return make_label(neuron, verdict="cannot tell", missing_evidence=kind)


def bring(neuron: Neuron, standing: str, curves: Family, lines: Family, evidence: EvidenceVersion) -> None:
    """Put the neuron into a standing, by the steps that lead there."""
    reviewer, editor = make_user(role=Role.REVIEWER), make_user(role=Role.EDITOR)
    match standing:
        case Standing.UNLABELLED:
            pass
        case Standing.SINGLE:
            make_label(neuron, family=curves)
        case Standing.OPEN:
            make_label(neuron, family=curves)
            make_label(neuron, family=lines)
        case Standing.AGREED:
            make_agreed(neuron, curves)
        case Standing.NEEDS_EVIDENCE:
            cannot_tell(neuron)
            cannot_tell(neuron)
        case Standing.NEEDS_FAMILY:
            for _ in range(3):
                make_label(neuron, verdict="none of these", suggested_name="Spirals")
        case Standing.DISPUTED:
            dispute(neuron, curves, lines)
        case Standing.ACCEPTED:
            make_agreed(neuron, curves)
            reviews.accept(reviewer, neuron)
        case Standing.STALE:
            make_agreed(neuron, curves)
            reviews.accept(reviewer, neuron)
            reviews.mark_stale(neuron, kind=evidence.evidence.kind, comment="It changed.", cites=[evidence])
        case Standing.CONTESTED:
            dispute(neuron, curves, lines)
            reviews.contest(editor, neuron, comment="It bends, and it does not.", cites=[evidence])
    neuron.refresh_from_db()
    assert neuron.standing == standing


# decision: from which standings, by which roles, and where it leads from there.
DERIVED = "as the labels say"
REVIEWERS = {Role.REVIEWER, Role.EDITOR}
PARTICIPANTS = REVIEWERS | {Role.CONTRIBUTOR}
ALLOWED: dict[tuple[str, str], tuple[set[str], str]] = {
    (Standing.AGREED, Decision.ACCEPT): (REVIEWERS, Standing.ACCEPTED),
    (Standing.AGREED, Decision.OBJECT): (REVIEWERS, Standing.AGREED),
    (Standing.AGREED, Decision.NEED_EVIDENCE): (REVIEWERS, Standing.NEEDS_EVIDENCE),
    (Standing.OPEN, Decision.NEED_EVIDENCE): (REVIEWERS, Standing.NEEDS_EVIDENCE),
    (Standing.DISPUTED, Decision.NEED_EVIDENCE): ({Role.EDITOR}, Standing.NEEDS_EVIDENCE),
    (Standing.DISPUTED, Decision.SETTLE): ({Role.EDITOR}, Standing.ACCEPTED),
    (Standing.DISPUTED, Decision.CONTEST): ({Role.EDITOR}, Standing.CONTESTED),
    (Standing.CONTESTED, Decision.REOPEN): (PARTICIPANTS, Standing.DISPUTED),
    (Standing.STALE, Decision.RECONFIRM): (REVIEWERS, Standing.ACCEPTED),
    (Standing.STALE, Decision.DECLINE): (REVIEWERS, Standing.AGREED),
    (Standing.ACCEPTED, Decision.UNDO): (REVIEWERS, Standing.AGREED),
}
BODY = {"comment": "For this reason.", "kind": "", "cites": (), "family": None}


def body(decision: str, neuron: Neuron, lines: Family) -> dict:
    said = dict(BODY)
    if decision == Decision.NEED_EVIDENCE:
        said["kind"] = "tuning_curves"
    if decision in (Decision.SETTLE, Decision.CONTEST, Decision.NEED_EVIDENCE, Decision.REOPEN):
        made = Evidence.objects.filter(neuron=neuron).first()
        said["cites"] = [add_version(made, [])]  # newer than any decision so far
    if decision == Decision.SETTLE:
        said["family"] = lines
    return said


EVERY = list(itertools.product(Standing.values, Decision.values))


@pytest.mark.parametrize(("standing", "decision"), EVERY, ids=[f"{one}, {other}" for one, other in EVERY])
def test_every_standing_and_every_decision(
    neuron: Neuron, curves: Family, lines: Family, evidence: EvidenceVersion, standing: str, decision: str
) -> None:
    bring(neuron, standing, curves, lines, evidence)
    roles, to = ALLOWED.get((standing, decision), (set(), ""))
    said = body(decision, neuron, lines)
    before = (Review.objects.count(), Event.objects.count(), Membership.objects.count())
    for role in Role.values:
        user = make_user(role=role)
        answer = reviews.can(user, neuron, decision)
        if role in roles:
            assert answer, f"{role}: {answer}"
            continue
        assert not answer, f"{role} may {decision} on what is {standing}"
        assert answer.reason.endswith(".")
        with pytest.raises(Refused) as refusal:
            reviews.decide(user, neuron, decision, **said)
        assert str(refusal.value).endswith(".")
        assert standing_of(neuron) == standing
        assert (Review.objects.count(), Event.objects.count(), Membership.objects.count()) == before
    for stranger in (make_user(role=Role.EDITOR, is_active=False),):
        with pytest.raises(Refused, match="blocked"):
            reviews.decide(stranger, neuron, decision, **said) if decision != Decision.STALE else _blocked(stranger)
    if roles:
        role = Role.EDITOR if Role.EDITOR in roles else sorted(roles)[0]
        user = make_user(role=role)
        review = reviews.decide(user, neuron, decision, **said)
        assert standing_of(neuron) == to
        assert (review.neuron, review.reviewer, review.decision) == (neuron, user, decision)
        event = Event.objects.get(review=review, verb__startswith="review.")
        assert (event.actor, event.neuron, event.verb) == (user, neuron, reviews.VERBS[Decision(decision)])


def _blocked(user: User) -> None:
    raise Refused("This account is blocked.")


class TestAccepting:
    def test_further_families_of_a_polysemantic_neuron(
        self, neuron: Neuron, curves: Family, lines: Family, reviewer: User
    ) -> None:
        for _ in range(3):
            make_label(neuron, family=curves, polysemantic=True, further=[lines])
        review = reviews.accept(reviewer, neuron)
        found = Membership.objects.current().filter(neuron=neuron).order_by("-primary")
        assert [(one.family, one.primary, one.review) for one in found] == [
            (curves, True, review),
            (lines, False, review),
        ]

    def test_the_reviewer_does_not_decide_further_families_either(
        self, neuron: Neuron, curves: Family, lines: Family, reviewer: User
    ) -> None:
        make_label(neuron, reviewer, curves, polysemantic=True, further=[lines])
        for further in ([lines], [lines], []):
            make_label(neuron, family=curves, polysemantic=bool(further), further=further)
        reviews.accept(reviewer, neuron)
        assert [one.family for one in Membership.objects.current().filter(neuron=neuron)] == [curves]

    def test_not_while_an_objection_stands(self, neuron: Neuron, curves: Family, reviewer: User, editor: User) -> None:
        make_agreed(neuron, curves)
        reviews.object_to(editor, neuron, comment="It looks like a line to me.")
        with pytest.raises(Refused, match="objection of edith stands"):
            reviews.accept(reviewer, neuron)
        reviews.withdraw(editor, neuron)
        reviews.accept(reviewer, neuron)
        assert standing_of(neuron) == Standing.ACCEPTED

    def test_the_page_showed_another_family(
        self, neuron: Neuron, curves: Family, lines: Family, reviewer: User
    ) -> None:
        make_agreed(neuron, curves)
        with pytest.raises(Refused, match="agreed on Curves by now, not on Lines"):
            reviews.accept(reviewer, neuron, family=lines)

    def test_a_form_on_a_neuron_that_has_changed(self, neuron: Neuron, curves: Family, reviewer: User) -> None:
        make_agreed(neuron, curves)
        shown = reviews.cases(reviewer, [neuron_at("mixed3b:3")])[neuron.pk].state
        reviews.object_to(make_user(role=Role.REVIEWER), neuron, comment="Wait.")
        for decide in (
            lambda: reviews.accept(reviewer, neuron, state=shown),
            lambda: reviews.object_to(reviewer, neuron, comment="No.", state=shown),
        ):
            with pytest.raises(Refused, match="has changed since you opened the page"):
                decide()
        assert Review.objects.count() == 1

    def test_a_role_taken_away_meanwhile_is_the_reason(self, neuron: Neuron, curves: Family, reviewer: User) -> None:
        make_agreed(neuron, curves)
        shown = reviews.cases(reviewer, [neuron_at("mixed3b:3")])[neuron.pk].state
        reviewer.role = Role.CONTRIBUTOR
        reviewer.save()
        with pytest.raises(Refused, match="Only reviewers"):
            reviews.accept(reviewer, neuron, state=shown)

    def test_many_each_checked_and_answered(self, neuron: Neuron, curves: Family, reviewer: User) -> None:
        good, own, unread, objected, done = (neuron_at(f"mixed3b:{index}") for index in range(5))
        for one in (good, objected, done):
            make_agreed(one, curves)
        make_agreed(own, curves, people=2)
        make_label(own, reviewer, curves)
        reviews.object_to(make_user("bob", role=Role.REVIEWER), objected, comment="No.")
        reviews.accept(make_user(role=Role.REVIEWER), done)
        answered = reviews.accept_many(reviewer, [done, objected, unread, own, good, good], comment="A sheet.")
        assert [one.neuron for one in answered] == [good, own, unread, objected, done]  # in one order, each once
        assert [one.review is not None for one in answered] == [True, False, False, False, False]
        for one, reason in zip(
            answered[1:],
            ("Your own reading decides", "Only an agreed neuron", "objection of bob", "already accepted"),
            strict=True,
        ):
            assert reason in one.reason
        assert Review.objects.get(reviewer=reviewer).comment == "A sheet."
        assert standing_of(good) == Standing.ACCEPTED
        assert {standing_of(one) for one in (own, objected)} == {Standing.AGREED}

    def test_many_by_somebody_who_reviews_nothing(self, neuron: Neuron, curves: Family) -> None:
        (author, *_) = make_agreed(neuron, curves)
        with pytest.raises(Refused, match="Only reviewers"):
            reviews.accept_many(author, [neuron])
        assert not Review.objects.exists()

    def test_those_who_labelled_it_are_told(self, neuron: Neuron, curves: Family, reviewer: User) -> None:
        authors = make_agreed(neuron, curves)
        reviews.accept(reviewer, neuron)
        told = Notification.objects.filter(event__verb="review.accepted")
        assert {(one.person, one.why) for one in told} == {(author, Why.LABELLED) for author in authors}


class TestObjecting:
    def test_a_reason_is_given(self, neuron: Neuron, curves: Family, reviewer: User) -> None:
        make_agreed(neuron, curves)
        with pytest.raises(ValidationError, match="Say why"):
            reviews.object_to(reviewer, neuron, comment="  ")
        assert not Review.objects.exists()

    def test_once_a_person(self, neuron: Neuron, curves: Family, reviewer: User) -> None:
        make_agreed(neuron, curves)
        reviews.object_to(reviewer, neuron, comment="No.")
        with pytest.raises(Refused, match="stands already"):
            reviews.object_to(reviewer, neuron, comment="No!")

    def test_disputed_after_72_hours_and_not_before(
        self, neuron: Neuron, curves: Family, reviewer: User, editor: User
    ) -> None:
        authors = make_agreed(neuron, curves)
        review = reviews.object_to(reviewer, neuron, comment="No.")
        with later(datetime.timedelta(hours=71)):
            assert reviews.tend() == 0
        assert standing_of(neuron) == Standing.AGREED
        with later(OLD):
            assert reviews.tend() == 1
            assert reviews.tend() == 0  # a second time changes nothing
        assert standing_of(neuron) == Standing.DISPUTED
        event = Event.objects.get(verb="neuron.disputed")
        assert (event.actor.is_system, event.review) == (True, review)
        told = {(one.person, one.why) for one in event.notifications.all()}
        assert told == {(reviewer, Why.OBJECTED), *((author, Why.LABELLED) for author in authors)}

    def test_withdrawn_it_is_agreed_again(self, neuron: Neuron, curves: Family, reviewer: User) -> None:
        make_agreed(neuron, curves)
        objection = reviews.object_to(reviewer, neuron, comment="No.")
        with later(OLD):
            reviews.tend()
            with pytest.raises(Refused, match="No objection of yours"):
                reviews.withdraw(make_user(role=Role.REVIEWER), neuron)
            withdrawn = reviews.withdraw(reviewer, neuron, comment="I see it now.")
            assert reviews.tend() == 0
        assert withdrawn.answers == objection
        assert standing_of(neuron) == Standing.AGREED
        assert Event.objects.filter(verb="neuron.agreed", review=withdrawn).exists()
        with pytest.raises(Refused, match="No objection of yours"):
            reviews.withdraw(reviewer, neuron)

    def test_who_lost_the_role_withdraws_still(self, neuron: Neuron, curves: Family, reviewer: User) -> None:
        make_agreed(neuron, curves)
        reviews.object_to(reviewer, neuron, comment="No.")
        reviewer.role = Role.CONTRIBUTOR
        reviewer.save()
        reviews.withdraw(reviewer, neuron)
        assert standing_of(neuron) == Standing.AGREED

    def test_one_of_two_objections_still_holds_it_up(self, neuron: Neuron, curves: Family, reviewer: User) -> None:
        make_agreed(neuron, curves)
        other = make_user(role=Role.REVIEWER)
        for one in (reviewer, other):
            reviews.object_to(one, neuron, comment="No.")
        reviews.withdraw(reviewer, neuron)
        with pytest.raises(Refused, match="objection of"):
            reviews.accept(reviewer, neuron)
        with later(OLD):
            assert reviews.tend() == 1

    def test_a_label_after_72_hours_disputes_it_without_waiting_for_the_clock(
        self, neuron: Neuron, curves: Family, reviewer: User
    ) -> None:
        make_agreed(neuron, curves)
        review = reviews.object_to(reviewer, neuron, comment="No.")
        with later(OLD):
            make_label(neuron, family=curves)
        assert standing_of(neuron) == Standing.DISPUTED
        assert Event.objects.get(verb="neuron.disputed").review == review

    def test_labels_that_agree_no_more_open_it(
        self, neuron: Neuron, curves: Family, lines: Family, reviewer: User
    ) -> None:
        authors = make_agreed(neuron, curves)
        reviews.object_to(reviewer, neuron, comment="No.")
        with later(OLD):
            reviews.tend()
            make_label(neuron, authors[0], lines)
        assert standing_of(neuron) == Standing.OPEN


class TestArbitrating:
    @pytest.fixture
    def disputed(self, neuron: Neuron, curves: Family, lines: Family) -> Neuron:
        dispute(neuron, curves, lines)
        return neuron

    def test_settled_into_the_named_family(
        self, disputed: Neuron, lines: Family, editor: User, evidence: EvidenceVersion
    ) -> None:
        review = reviews.settle(editor, disputed, family=lines, comment="Its tuning is flat.", cites=[evidence])
        member = Membership.objects.current().get(neuron=disputed)
        assert (member.family, member.primary, member.review) == (lines, True, review)
        assert (list(review.cites.all()), review.family) == ([evidence], lines)
        assert review.tally.inputs == list(Label.objects.order_by("pk").values_list("pk", flat=True))

    @pytest.mark.parametrize("took", ["labelled", "superseded", "reviewed", "commented", "affiliation"])
    def test_by_nobody_who_took_part(
        self, disputed: Neuron, curves: Family, lines: Family, editor: User, evidence: EvidenceVersion, took: str
    ) -> None:
        author = disputed.labels.first().author
        match took:
            case "labelled":
                make_label(disputed, editor, lines)
            case "superseded":
                make_label(disputed, editor, lines)
                make_label(disputed, editor, curves)
            case "reviewed":
                reviews.need_evidence(editor, disputed, kind="tuning_curves", comment="Is it tuned?", cites=[evidence])
                make_evidence(disputed, "tuning_curves", data={})
                needs.tend()
            case "commented":
                from taxonomy.models import Comment, Discussion

                where = Discussion.objects.of(disputed)
                Comment.objects.create(discussion=where, author=editor, text="Hm.")
            case "affiliation":
                User.objects.filter(pk=author.pk).update(affiliation="  Institute of  Curves ")
                User.objects.filter(pk=editor.pk).update(affiliation="institute of curves")
                editor.refresh_from_db()
        assert standing_of(disputed) == Standing.DISPUTED
        for decide in (
            lambda: reviews.settle(editor, disputed, family=lines, comment="So.", cites=[evidence]),
            lambda: reviews.contest(editor, disputed, comment="So.", cites=[evidence]),
            lambda: reviews.need_evidence(editor, disputed, kind="neighbours", comment="So.", cites=[evidence]),
        ):
            with pytest.raises(Refused, match=r"yourself|same affiliation"):
                decide()
        reviews.settle(make_user(role=Role.EDITOR), disputed, family=lines, comment="So.", cites=[evidence])

    def test_an_empty_affiliation_is_shared_with_nobody(
        self, disputed: Neuron, editor: User, evidence: EvidenceVersion
    ) -> None:
        User.objects.update(affiliation="  ")
        editor.refresh_from_db()
        reviews.contest(editor, disputed, comment="Both.", cites=[evidence])

    @pytest.mark.parametrize("decision", [Decision.SETTLE, Decision.CONTEST, Decision.NEED_EVIDENCE])
    def test_with_a_rationale_that_cites_evidence_of_this_neuron(
        self, disputed: Neuron, lines: Family, editor: User, evidence: EvidenceVersion, decision: str
    ) -> None:
        other = make_evidence(neuron_at("mixed3b:5")).current
        said = body(decision, disputed, lines)
        for wrong, sentence in (
            ({"comment": " "}, "Say why"),
            ({"cites": []}, "Cite evidence"),
            ({"cites": [other]}, "is not evidence of mixed3b:3"),
            ({"cites": [evidence, other]}, "is not evidence of mixed3b:3"),
        ):
            with pytest.raises(ValidationError, match=sentence):
                reviews.decide(editor, neuron_at("mixed3b:3"), decision, **said | wrong)
        assert standing_of(disputed) == Standing.DISPUTED
        assert not Review.objects.exists()

    def test_into_a_family_of_the_layer(self, disputed: Neuron, editor: User, evidence: EvidenceVersion) -> None:
        elsewhere = make_family(disputed.layer.network.layers.get(name="conv1"), "Gabor")
        retired = make_family(disputed.layer, "Old", retired_at="2026-01-01T00:00Z")
        for family in (elsewhere, retired):
            with pytest.raises(ValidationError, match="no family of mixed3b"):
                reviews.settle(editor, disputed, family=family, comment="So.", cites=[evidence])
        with pytest.raises(ValidationError, match="Name the family"):
            reviews.decide(editor, disputed, Decision.SETTLE, comment="So.", cites=[evidence])

    def test_settled_an_objection_is_overruled_and_undone_it_stands_again(
        self, neuron: Neuron, curves: Family, reviewer: User, editor: User, evidence: EvidenceVersion
    ) -> None:
        make_agreed(neuron, curves)
        reviews.object_to(reviewer, neuron, comment="No.")
        with later(OLD):
            reviews.tend()
            settled = reviews.settle(editor, neuron, family=curves, comment="It is.", cites=[evidence])
            make_label(neuron, family=curves)
            assert standing_of(neuron) == Standing.ACCEPTED
            undone = reviews.undo(reviewer, neuron, comment="The picture was misread.")
        assert undone.answers == settled
        assert standing_of(neuron) == Standing.DISPUTED
        assert Notification.objects.filter(person=reviewer, why=Why.OBJECTED, event__review=settled).exists()


class TestReopening:
    @pytest.fixture
    def contested(self, neuron: Neuron, curves: Family, lines: Family, evidence: EvidenceVersion) -> Neuron:
        bring(neuron, Standing.CONTESTED, curves, lines, evidence)
        return neuron

    def test_on_newer_evidence_alone(self, contested: Neuron, evidence: EvidenceVersion) -> None:
        contributor = make_user()
        with pytest.raises(Refused, match="newer than the decision"):
            reviews.reopen(contributor, contested, comment="Look again.", cites=[evidence])
        with pytest.raises(ValidationError, match="Cite evidence"):
            reviews.reopen(contributor, contested, comment="Look again.", cites=[])
        newer = add_version(evidence.evidence, [])
        review = reviews.reopen(contributor, contested, comment="Look again.", cites=[newer])
        assert standing_of(contested) == Standing.DISPUTED
        assert review.answers.decision == Decision.CONTEST

    def test_once_for_each_version(self, contested: Neuron, evidence: EvidenceVersion) -> None:
        newer = add_version(evidence.evidence, [])
        reviews.reopen(make_user(), contested, comment="Look again.", cites=[newer])
        reviews.contest(make_user(role=Role.EDITOR), contested, comment="Still both.", cites=[newer])
        with pytest.raises(Refused, match="newer than the decision"):
            reviews.reopen(make_user(), contested, comment="Again.", cites=[newer])
        reviews.reopen(make_user(), contested, comment="Again.", cites=[add_version(evidence.evidence, [])])
        assert standing_of(contested) == Standing.DISPUTED

    def test_it_stays_disputed_whatever_is_labelled_until_an_editor_decides(
        self, neuron: Neuron, curves: Family, reviewer: User, editor: User, evidence: EvidenceVersion
    ) -> None:
        make_agreed(neuron, curves)
        reviews.object_to(reviewer, neuron, comment="No.")
        with later(OLD):
            reviews.tend()
            reviews.contest(editor, neuron, comment="Both.", cites=[evidence])
        with later(OLD * 2):
            newer = add_version(evidence.evidence, [])
            reviews.reopen(make_user(), neuron, comment="Look.", cites=[newer])
            make_label(neuron, family=curves)
            assert standing_of(neuron) == Standing.DISPUTED
            reviews.settle(make_user(role=Role.EDITOR), neuron, family=curves, comment="It is.", cites=[newer])
            make_label(neuron, family=curves)
        assert standing_of(neuron) == Standing.ACCEPTED


class TestUndoing:
    def test_members_leave_and_labels_count_again(self, neuron: Neuron, curves: Family, reviewer: User) -> None:
        make_agreed(neuron, curves)
        accepted = reviews.accept(reviewer, neuron)
        with pytest.raises(ValidationError, match="Say why"):
            reviews.undo(reviewer, neuron, comment="")
        review = reviews.undo(reviewer, neuron, comment="Too soon.")
        assert review.answers == accepted
        assert standing_of(neuron) == Standing.AGREED
        assert not Membership.objects.current().exists()
        reviews.accept(reviewer, neuron)
        assert Membership.objects.count() == 2

    def test_an_import_is_undone_like_others(self, neuron: Neuron, reviewer: User) -> None:
        make_family(neuron.layer, "Imported", units=[neuron.index])
        review = reviews.undo(reviewer, neuron, comment="The import misread it.")
        assert review.answers is None
        neuron.refresh_from_db()
        assert (neuron.standing, neuron.asks) == (Standing.UNLABELLED, 3)
        assert not Membership.objects.current().filter(neuron=neuron).exists()

    def test_gold_ends_with_the_acceptance(self, neuron: Neuron, curves: Family, editor: User) -> None:
        from taxonomy.models import Gold

        make_agreed(neuron, curves)
        reviews.accept(editor, neuron)
        Gold.objects.create(neuron=neuron, marked_by=editor, reason="Clear.")
        reviews.undo(editor, neuron, comment="Not so clear.")
        assert not Gold.objects.current().exists()


class TestNeeds:
    def test_two_who_cannot_tell_have_it_made(self, neuron: Neuron, curves: Family) -> None:
        first = cannot_tell(neuron)
        assert not Need.objects.exists()
        cannot_tell(neuron)
        assert standing_of(neuron) == Standing.NEEDS_EVIDENCE
        needs.tend()
        need = Need.objects.get()
        assert (need.kind, need.problem, need.met_at) == ("tuning_curves", "", None)
        assert need.job is not None
        assert need.job.requested_by.is_system
        jobs = Evidence.objects.filter(neuron=neuron).count()
        needs.tend()
        assert Evidence.objects.filter(neuron=neuron).count() == jobs
        for made in Evidence.objects.filter(neuron=neuron, kind="tuning_curves"):
            assert Need.objects.open().exists()  # not before all of it is there
            add_version(made, [])
        assert needs.tend() == 1
        assert needs.tend() == 0
        assert standing_of(neuron) == Standing.OPEN
        event = Event.objects.get(verb="need.met")
        assert event.data == {"kind": "tuning_curves"}
        assert Notification.objects.get(event=event, person=first.author).why == Why.MISSED

    def test_what_was_there_already_answers(self, neuron: Neuron) -> None:
        make_evidence(neuron, "tuning_curves", data={})
        cannot_tell(neuron)
        cannot_tell(neuron)
        assert needs.tend() == 1
        assert standing_of(neuron) == Standing.OPEN

    def test_a_failure_never_counts_and_is_told_once(self, neuron: Neuron, curves: Family, reviewer: User) -> None:
        make_agreed(neuron, curves)
        reviews.need_evidence(reviewer, neuron, kind="tuning_curves", comment="Is it tuned?")
        needs.tend()
        Evidence.objects.update(status=Outcome.FAILED, reason="It may be dead.")
        assert needs.tend() == 0
        assert needs.tend() == 0
        need = Need.objects.get()
        assert (need.problem, need.met_at) == ("It may be dead.", None)
        assert Event.objects.filter(verb="need.failed").count() == 1
        assert Notification.objects.filter(person=reviewer, why=Why.MISSED).count() == 1
        assert standing_of(neuron) == Standing.NEEDS_EVIDENCE
        for made in Evidence.objects.all():  # somebody retried the job
            add_version(made, [])
        assert needs.tend() == 1
        assert standing_of(neuron) == Standing.AGREED

    def test_a_demand_asks_for_something_new(self, neuron: Neuron, curves: Family, reviewer: User) -> None:
        make_agreed(neuron, curves)
        make_evidence(neuron, "activation_histogram", data={})
        for kind, sentence in (
            ("activation_histogram", "already"),
            ("kernels", "that can be made of mixed3b:3"),  # of the first layer alone
            ("attribution", "that can be made of mixed3b:3"),  # needs a place in a picture
            ("family_weights", "that can be made of mixed3b:3"),
            ("imported_picture", "that can be made of mixed3b:3"),
            ("x-rays", "that can be made of mixed3b:3"),
            ("", "that can be made of mixed3b:3"),
        ):
            with pytest.raises(ValidationError, match=sentence):
                reviews.need_evidence(reviewer, neuron, kind=kind, comment="Please.")
        with pytest.raises(ValidationError, match="Say why"):
            reviews.need_evidence(reviewer, neuron, kind="tuning_curves", comment="")
        assert not Review.objects.exists()

    def test_a_demand_is_not_met_by_what_was_there(self, neuron: Neuron, curves: Family, reviewer: User) -> None:
        make_agreed(neuron, curves)
        make_evidence(neuron, "tuning_curves", data={})
        make_evidence(neuron, "tuning_curves", parameters={"stimulus": "line"}, status=Outcome.FAILED)
        reviews.need_evidence(reviewer, neuron, kind="tuning_curves", comment="All of them.")
        assert needs.tend() == 0
        assert Need.objects.open().exists()

    def test_the_demand_is_withdrawn(self, neuron: Neuron, curves: Family, reviewer: User) -> None:
        make_agreed(neuron, curves)
        demand = reviews.need_evidence(reviewer, neuron, kind="tuning_curves", comment="Please.")
        with pytest.raises(Refused):
            reviews.withdraw(make_user(role=Role.REVIEWER), neuron)
        assert reviews.withdraw(reviewer, neuron).answers == demand
        assert standing_of(neuron) == Standing.AGREED
        assert not Need.objects.open().exists()

    def test_without_images_the_problem_is_told_and_asked_again_later(self, neuron: Neuron) -> None:
        for _ in range(2):
            cannot_tell(neuron, "dataset_examples")
        needs.tend()
        assert "needs an image set" in Need.objects.get().problem
        from tests.factory import make_image_set

        make_image_set(count=9)
        needs.tend()
        need = Need.objects.get()
        assert (need.problem, need.job is not None) == ("", True)

    def test_what_only_a_person_can_ask_for(self, neuron: Neuron) -> None:
        for _ in range(2):
            cannot_tell(neuron, "attribution")
        needs.tend()
        assert "ask for it on the neuron's page" in Need.objects.get().problem

    def test_a_catalogue_has_nothing_to_compute_with(self, neuron: Neuron, curves: Family, reviewer: User) -> None:
        neuron.layer.network.weights_digest = ""
        neuron.layer.network.save()
        neuron = neuron_at("mixed3b:3")
        make_agreed(neuron, curves)
        neuron.refresh_from_db()
        answer = reviews.can(reviewer, neuron, Decision.NEED_EVIDENCE)
        assert "catalogue without weights" in answer.reason
        two = neuron_at("mixed3b:4")
        for _ in range(2):
            cannot_tell(two)
        needs.tend()
        assert "catalogue without weights" in Need.objects.get().problem

    def test_many_of_a_layer_are_one_job(self, neuron: Neuron) -> None:
        for index in (0, 1, 2):
            for _ in range(2):
                cannot_tell(neuron_at(f"mixed3b:{index}"))
        needs.tend()
        assert len(set(Need.objects.values_list("job", flat=True))) == 1

    def test_an_editor_asks_in_a_dispute(
        self, neuron: Neuron, curves: Family, lines: Family, editor: User, evidence: EvidenceVersion
    ) -> None:
        dispute(neuron, curves, lines)
        reviews.need_evidence(editor, neuron, kind="tuning_curves", comment="Is it tuned?", cites=[evidence])
        assert standing_of(neuron) == Standing.NEEDS_EVIDENCE
        needs.tend()
        for made in Evidence.objects.filter(kind="tuning_curves"):
            add_version(made, [])
        needs.tend()
        assert standing_of(neuron) == Standing.DISPUTED  # five labels disagree as before


class TestFamilies:
    def test_three_who_find_none_get_theirs(self, neuron: Neuron, curves: Family, reviewer: User) -> None:
        names = ["Spirals", "spirals", "Spirals", "Whorls"]
        authors = [make_user() for _ in names]
        for author, name in zip(authors, names, strict=True):
            make_label(neuron, author, verdict="none of these", suggested_name=name)
        assert standing_of(neuron) == Standing.NEEDS_FAMILY
        asking = Label.objects.current().filter(neuron=neuron)
        assert names_of(asking) == [("Spirals", 3), ("Whorls", 1)]
        make_label(neuron, authors[3], curves)  # changed their mind before the family is there
        with later(datetime.timedelta(minutes=2)):
            proposal = propose(authors[0], neuron.layer, name="Spirals", remark="They wind.", neurons=[neuron])
        assert proposal.asked_by.count() == 3
        with pytest.raises(Refused, match="of their own"):
            accept_proposal(authors[0], proposal)
        family = accept_proposal(reviewer, proposal)
        assert standing_of(neuron) == Standing.AGREED
        for author in authors[:3]:
            label = Label.objects.current().get(neuron=neuron, author=author)
            assert (label.family, label.blind, label.follows.verdict) == (family, False, "none of these")
        assert Label.objects.current().get(neuron=neuron, author=authors[3]).family == curves
        told = Notification.objects.filter(event__verb="neuron.followed")
        assert {one.person for one in told} == set(authors[:3])

    def test_a_neuron_of_another_layer(self, neuron: Neuron) -> None:
        elsewhere = neuron_at("conv1:0")
        with pytest.raises(ValidationError, match="mixed3b alone"):
            propose(make_user(), neuron.layer, name="Spirals", remark="They wind.", neurons=[elsewhere])

    def test_who_may_not_see_the_readings_gathers_none(self, neuron: Neuron) -> None:
        for _ in range(3):
            make_label(neuron, verdict="none of these", suggested_name="Spirals")
        proposal = propose(make_user(), neuron.layer, name="Spirals", remark="They wind.", neurons=[neuron])
        assert not proposal.asked_by.exists()


class TestTheDatabaseItself:
    """What no action does, tried past all actions."""

    def write(self, **fields) -> None:
        with pytest.raises(IntegrityError), transaction.atomic():
            Review.objects.create(**fields)

    def test_nobody_accepts_by_their_own_label(self, neuron: Neuron, curves: Family, reviewer: User) -> None:
        make_agreed(neuron, curves, people=2)
        own = make_label(neuron, reviewer, curves)
        rests_on = Tally.objects.create(
            neuron=neuron,
            standing="agreed",
            family=curves,
            rule_version=1,
            inputs=list(Label.objects.order_by("pk").values_list("pk", flat=True)),
        )
        assert own.pk in rests_on.inputs
        said = {"neuron": neuron, "decision": "accept", "family": curves}
        self.write(reviewer=reviewer, tally=rests_on, **said)
        self.write(reviewer=reviewer, tally=None, **said)
        other = Tally.objects.create(neuron=neuron_at("mixed3b:4"), standing="agreed", rule_version=1, inputs=[])
        self.write(reviewer=reviewer, tally=other, **said)
        Review.objects.create(reviewer=make_user(role=Role.REVIEWER), tally=rests_on, **said)

    @pytest.mark.parametrize("decision", ["settle", "contest"])
    def test_nobody_decides_their_own_dispute(
        self, neuron: Neuron, curves: Family, lines: Family, editor: User, decision: str
    ) -> None:
        make_label(neuron, editor, curves)
        make_label(neuron, editor, lines)
        self.write(neuron=neuron, reviewer=editor, decision=decision, family=curves)
        Review.objects.create(neuron=neuron, reviewer=make_user(role=Role.EDITOR), decision=decision, family=curves)


def test_asking_about_many_takes_as_many_queries_as_about_one(
    neuron: Neuron, curves: Family, django_assert_num_queries: Callable
) -> None:
    neurons = list(Neuron.objects.filter(layer=neuron.layer).select_related("layer__network"))
    for one in neurons:
        make_agreed(one, curves)
        reviews.object_to(make_user(role=Role.REVIEWER), one, comment="No.")
    for user in (make_user(role=Role.REVIEWER), make_user(role=Role.EDITOR)):
        from django.db import connection
        from django.test.utils import CaptureQueriesContext

        counts = SimpleNamespace(one=0, many=0)
        for name, some in (("one", neurons[:1]), ("many", neurons)):
            with CaptureQueriesContext(connection) as asked:
                reviews.can_each(user, reviews.cases(user, some))
            setattr(counts, name, len(asked))
        assert counts.many == counts.one <= 8
    assert recipes.COMPUTED
