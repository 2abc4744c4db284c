"""Hiding a note or a claim: who may, who is told, what everybody else still sees, and that nothing is lost."""

from collections import Counter

import pytest
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import ValidationError

from taxonomy import audit
from taxonomy.actions import claims, moderation, notes, people, reviews
from taxonomy.models import Claim, Event, Label, Network, Note, Role, Standing, User, Why
from taxonomy.permissions import (
    Refused,
    Removed,
    can_edit_note,
    can_moderate,
    can_read_note,
    can_review_note,
    can_run_claim,
    can_see_claim,
    can_state_claim,
    claims_visible_to,
    notifications_of,
    require,
)
from tests.factory import (
    make_claim,
    make_family,
    make_network,
    make_note,
    make_run,
    make_user,
    neuron_at,
    submit_note,
)

pytestmark = pytest.mark.django_db

VISITOR = AnonymousUser()


@pytest.fixture
def network() -> Network:
    return make_network()


@pytest.fixture
def admin() -> User:
    return make_user("adam", role=Role.ADMIN)


@pytest.fixture
def author() -> User:
    return make_user("ada")


@pytest.fixture
def note(network: Network, author: User) -> Note:
    return make_note(network, author, published=True)


@pytest.fixture
def claim(network: Network, author: User) -> Claim:
    return make_claim(make_family(network.layers.get(name="mixed3b"), units=[0, 1]), author)


def told(user: User) -> list[tuple[str, str]]:
    return list(notifications_of(user).order_by("pk").values_list("event__verb", "why"))


@pytest.mark.parametrize(("what", "why"), [("note", Why.WROTE), ("claim", Why.STATED)])
def test_hide_and_show_again(request: pytest.FixtureRequest, admin: User, author: User, what: str, why: str) -> None:
    one = request.getfixturevalue(what)
    before = len(told(author))
    for reason, sentence in (("  ", f"stands in the {what}'s place"), ("x" * 501, "at most 500"), ("a\0b", "Null")):
        with pytest.raises(ValidationError, match=sentence):
            moderation.hide(admin, one, reason)
    one = moderation.hide(admin, one, " spam\n")
    assert (one.hidden_by, one.hidden_reason, one.hidden_at is not None) == (admin, "spam", True)
    assert told(author)[-1] == (f"{what}.hidden", why)
    with pytest.raises(Refused, match=f"This {what} is hidden already"):
        moderation.hide(admin, one, "again")
    one = moderation.unhide(admin, one)
    assert (one.hidden_at, one.hidden_by, one.hidden_reason) == (None, None, "")
    assert [verb for verb, _ in told(author)][before:] == [f"{what}.hidden", f"{what}.shown"]
    with pytest.raises(Refused, match="not hidden"):
        moderation.unhide(admin, one)


@pytest.mark.parametrize("role", [role for role in Role.values if role != Role.ADMIN])
def test_only_admins_hide(note: Note, claim: Claim, role: str) -> None:
    user = make_user(role=role)
    for one in (note, claim):
        for refused in (lambda one: moderation.hide(user, one, "spam"), lambda one: moderation.unhide(user, one)):
            with pytest.raises(Refused, match="Only admins hide"):
                refused(one)
    assert not can_moderate(note.authors[0].person)
    assert not Event.objects.filter(verb__in=["note.hidden", "claim.hidden"]).exists()


def test_a_draft_is_not_hidden(network: Network, admin: User, author: User) -> None:
    draft = make_note(network, author)
    for one in (draft, make_claim(draft, author)):
        with pytest.raises(Refused, match="draft"):
            moderation.hide(admin, one, "spam")


def test_who_reads_what_is_hidden(network: Network, note: Note, claim: Claim, admin: User, author: User) -> None:
    noted = make_claim(note, author)
    for one in (note, claim):
        moderation.hide(admin, one, "spam")
    note, claim, noted = Note.objects.get(pk=note.pk), Claim.objects.get(pk=claim.pk), Claim.objects.get(pk=noted.pk)
    for user in (admin, author):
        assert can_read_note(user, note)
        assert can_see_claim(user, claim)
        assert can_see_claim(user, noted)
    for user in (VISITOR, make_user(), make_user(role=Role.REVIEWER), make_user(role=Role.EDITOR)):
        for answer in (can_read_note(user, note), can_see_claim(user, claim), can_see_claim(user, noted)):
            with pytest.raises(Removed, match=r"was hidden by a moderator on .*“spam”"):
                require(answer)
    for user in (VISITOR, admin, author):  # in passing it is told to nobody
        assert not Note.objects.readable_by(user).exists()
        assert not claims_visible_to(user, Claim.objects.all()).exists()
    assert not Note.objects.in_thread().exists()


def test_what_is_hidden_stays_as_it_is(network: Network, note: Note, claim: Claim, admin: User, author: User) -> None:
    submit_note(author, notes.save(author, note, began_from=1, body="Buy.", summary="Better.").note)
    for one in (note, claim):
        moderation.hide(admin, one, "spam")
    note, claim = Note.objects.get(pk=note.pk), Claim.objects.get(pk=claim.pk)
    editor, reviewer = make_user(role=Role.EDITOR), make_user(role=Role.REVIEWER)
    assert "write to an admin" in can_edit_note(author, note).reason
    assert not can_review_note(editor, note)
    assert not can_state_claim(author, note)
    assert not can_run_claim(reviewer, claim)
    assert not Note.objects.in_review().exists()
    with pytest.raises(Refused, match="hidden"):
        notes.decide(editor, note, version=2, decision="approve")
    with pytest.raises(Refused, match="hidden"):
        claims.withdraw(author, claim, reason="So.")
    with pytest.raises(ValidationError, match="thread"):
        notes.create(author, network, about=note, title="On it")
    moderation.unhide(admin, note)
    assert Note.objects.in_review().get() == note


def test_a_published_number_stays_used(network: Network, note: Note, admin: User) -> None:
    moderation.hide(admin, note, "spam")
    assert make_note(network, published=True).number == 2


def test_no_neuron_is_disputed_by_what_is_hidden(network: Network, admin: User, author: User) -> None:
    neuron = neuron_at("3b:3")
    make_family(neuron.layer, units=[3])
    neuron.refresh_from_db()
    assert neuron.standing == Standing.ACCEPTED
    claim = make_claim(neuron, author, kind="purity")
    make_run(claim, "refuted")
    moderation.hide(admin, claim, "spam")
    assert reviews.tend() == 0
    moderation.unhide(admin, claim)
    assert reviews.tend() == 1
    moderation.hide(admin, claim, "spam")
    neuron.refresh_from_db()
    assert neuron.standing == Standing.DISPUTED  # an editor settles it, as any dispute
    assert claim.runs.get().ruling == "refuted"


def test_others_are_told_that_something_was_hidden_and_not_what(note: Note, claim: Claim, admin: User) -> None:
    before = set(Event.objects.visible_to(VISITOR).values_list("verb", flat=True))
    assert {"note.published", "claim.stated"} <= before
    for one in (note, claim):
        moderation.hide(admin, one, "spam")
    seen = Event.objects.visible_to(VISITOR).filter(verb__regex="^(note|claim)")
    assert set(seen.values_list("verb", flat=True)) == {"note.hidden", "claim.hidden"}
    for one in (note, claim):
        moderation.unhide(admin, one)
    shown = {"note.shown", "claim.shown", "note.published", "claim.stated"}
    assert shown <= set(Event.objects.visible_to(VISITOR).values_list("verb", flat=True))


def test_nobody_is_credited_with_what_is_hidden(note: Note, claim: Claim, admin: User, author: User) -> None:
    (credit,) = people.credits_of(author)
    assert (credit.notes, credit.claims) == (1, 1)
    for one in (note, claim):
        moderation.hide(admin, one, "spam")
    assert people.credits_of(author) == []
    assert not Label.objects.filter(author=author).exists()


def test_the_record_holds(network: Network, note: Note, claim: Claim, admin: User) -> None:
    for one in (note, claim):
        moderation.hide(admin, one, "spam")
    assert not differences(network)
    moderation.unhide(admin, note)
    assert not differences(network)
    Note.objects.filter(pk=note.pk).update(hidden_at=claim.stated_at)
    Claim.objects.filter(pk=claim.pk).update(hidden_at=None)
    note_is, claim_is = differences(network)
    assert "hidden is stored as True, and the events make it False" in note_is
    assert "is stored as shown, and the events say otherwise" in claim_is


def differences(network: Network) -> list[str]:
    return [str(one) for found in (audit.notes, audit.claims) for one in found(network, Counter())]
