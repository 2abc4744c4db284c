"""Appointments and the first admin; a role earned; names, profiles, terms; accounts blocked and erased."""

import datetime
import threading
import uuid

import pytest
from allauth.account.models import EmailAddress
from allauth.socialaccount.models import SocialAccount
from django.conf import settings
from django.contrib.sessions.models import Session
from django.core.exceptions import ValidationError
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.test import Client
from django.utils import timezone
from rest_framework.authtoken.models import Token

from taxonomy.actions import gold, labels, leases, people
from taxonomy.interchange.person import everything_of
from taxonomy.models import (
    Appointment,
    Authorship,
    Block,
    Claim,
    Discussion,
    Event,
    Family,
    Label,
    Lease,
    Neuron,
    Notification,
    Role,
    Standing,
    Subscription,
    User,
    Way,
    Why,
)
from taxonomy.permissions import Refused
from tests.factory import (
    make_claim,
    make_evidence,
    make_family,
    make_label,
    make_layer,
    make_network,
    make_note,
    make_user,
)

pytestmark = pytest.mark.django_db


def test_an_appointment_is_an_event_with_its_reason() -> None:
    admin, person = make_user(role=Role.ADMIN), make_user()
    assert people.appoint(admin, person, Role.EDITOR, reason=" knows curves ").role == Role.EDITOR
    event = Event.objects.get(verb="person.appointed")
    assert (event.actor, event.person) == (admin, person)
    assert (event.data["from"], event.data["to"]) == (Role.CONTRIBUTOR, Role.EDITOR)


def test_no_reason_no_role_no_right() -> None:
    admin, person = make_user(role=Role.ADMIN), make_user()
    with pytest.raises(ValidationError, match="Say why"):
        people.appoint(admin, person, Role.EDITOR, reason=" ")
    with pytest.raises(ValidationError, match="no role"):
        people.appoint(admin, person, "king", reason="because")
    with pytest.raises(Refused):
        people.appoint(make_user(role=Role.EDITOR), person, Role.EDITOR, reason="because")
    person.refresh_from_db()
    assert person.role == Role.CONTRIBUTOR


def test_the_first_admin() -> None:
    system = User.objects.system()
    person = people.create_admin(system, username="alice", email="Alice@Example.org", password="correct horse")
    assert (person.role, person.is_superuser, person.is_staff) == (Role.ADMIN, False, False)
    assert person.check_password("correct horse")
    assert EmailAddress.objects.get(user=person).verified
    assert Event.objects.get().person == person


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"username": "bob"}, "already"),
        ({"username": "BOB"}, "already"),
        ({"username": "a b"}, "valid username"),
        ({"email": "nobody"}, "valid email"),
        ({"email": "bob@example.org"}, "signs in with"),
        ({"password": "short"}, "too short"),
        ({"password": "password123"}, "too common"),
    ],
)
def test_admins_that_cannot_be_made(fields: dict, sentence: str) -> None:
    bob = make_user("bob")
    EmailAddress.objects.create(user=bob, email=bob.email, verified=True)
    with pytest.raises(ValidationError) as caught:
        people.create_admin(User.objects.system(), **{"username": "al", "password": "correct horse"} | fields)
    assert sentence in " ".join(caught.value.messages)
    assert not User.objects.filter(role=Role.ADMIN, is_system=False).exists()


def test_only_admins_make_admins() -> None:
    with pytest.raises(Refused):
        people.create_admin(make_user(role=Role.EDITOR), username="al", password="correct horse")


def test_reasons_about_people_stay_out_of_the_events() -> None:
    admin, person = make_user(role=Role.ADMIN), make_user()
    people.appoint(admin, person, Role.EDITOR, reason=" knows curves ")
    row = Appointment.objects.get()
    assert (row.person, row.by, row.before, row.role, row.way, row.reason) == (
        *(person, admin, Role.CONTRIBUTOR, Role.EDITOR, Way.APPOINTED, "knows curves"),
    )
    assert Event.objects.get(verb="person.appointed").data == {
        "from": "contributor",
        "to": "editor",
        "way": "appointed",
    }
    told = Notification.objects.get()
    assert (told.person, told.why) == (person, Why.ROLE)


def test_the_same_role_again_is_nothing() -> None:
    admin, person = make_user(role=Role.ADMIN), make_user()
    with pytest.raises(ValidationError, match="is contributor already"):
        people.appoint(admin, person, Role.CONTRIBUTOR, reason="again")
    assert not Appointment.objects.exists()


def test_a_role_taken_away_meanwhile_appoints_nobody() -> None:
    """The action reads the role from the database, however old the object is that it is given."""
    editor, person = make_user(role=Role.EDITOR), make_user()
    User.objects.filter(pk=editor.pk).update(role=Role.CONTRIBUTOR)
    assert editor.role == Role.EDITOR
    with pytest.raises(Refused, match="editors appoint reviewers"):
        people.appoint(editor, person, Role.REVIEWER, reason="reads well")


# --- a role earned ---


@pytest.fixture
def easy(monkeypatch) -> None:
    """Two gold neurons and one other reading are enough, so that what counts can be seen."""
    monkeypatch.setattr(people, "GOLD_NEURONS", 2)
    monkeypatch.setattr(people, "SETTLED_READINGS", 1)


@pytest.fixture
def curves(db) -> Family:
    return make_family(make_layer(channels=12), "Curves", units=[0, 1, 2, 3])


def read_gold(person: User, family: Family, index: int, *, rightly: bool = True) -> None:
    """As the queue does it: the neuron is gold, its answer hidden, and the reading is given under a lease."""
    neuron = family.layer.neurons.get(index=index)
    if not neuron.golds.current().exists():
        gold.mark(make_user(role=Role.EDITOR), neuron, "Clear.")
    lease = leases.lend(person, neuron, gold=True)
    said = family if rightly else Family.objects.get_or_create(layer=family.layer, name="Lines")[0]
    label = labels.add(person, neuron, verdict="family", family=said, lease=lease.token, submission=uuid.uuid4())
    assert label.gold


def read_first(person: User, family: Family, index: int, *, settles: bool = True) -> None:
    neuron = family.layer.neurons.get(index=index)
    make_label(neuron, person, family)
    if settles:
        Neuron.objects.filter(pk=neuron.pk).update(standing=Standing.ACCEPTED)


def test_progress_counts_gold_and_what_settled_since(easy, curves) -> None:
    ada = make_user("ada")
    assert people.progress(ada) == people.Progress(0, 0, 0)
    read_gold(ada, curves, 0)
    read_gold(ada, curves, 1, rightly=False)
    lines = Family.objects.get(name="Lines")
    read_first(ada, curves, 5)
    read_first(ada, lines, 6)  # whether it agrees with what was settled is not asked
    read_first(ada, curves, 7, settles=False)
    unsure = curves.layer.neurons.get(index=8)
    make_label(unsure, ada, verdict="cannot tell", missing_evidence="tuning_curves")
    Neuron.objects.filter(pk=unsure.pk).update(standing=Standing.ACCEPTED)
    make_label(curves.layer.neurons.get(index=3), ada, curves)  # settled before it was read
    found = people.progress(ada)
    assert (found.answered, found.right, found.settled, found.percent) == (2, 1, 2, 50)
    assert found.missing == ["More of the gold neurons read rightly: 1 of 2 are, and 80% are asked for."]
    assert not found.is_enough
    assert (found.answered, found.right) == gold.record_of(ada)


def test_readings_taken_back_do_not_count(easy, curves) -> None:
    ada = make_user("ada")
    neuron = curves.layer.neurons.get(index=5)
    labels.undo(ada, make_label(neuron, ada, curves))
    Neuron.objects.filter(pk=neuron.pk).update(standing=Standing.ACCEPTED)
    assert people.progress(ada).settled == 0


@pytest.mark.parametrize(
    ("answered", "right", "settled", "enough"),
    [(50, 40, 20, True), (50, 39, 20, False), (49, 49, 20, False), (50, 50, 19, False), (60, 48, 20, True)],
)
def test_what_is_enough(answered: int, right: int, settled: int, enough: bool) -> None:
    found = people.Progress(answered, right, settled)
    assert found.is_enough == enough
    assert found.percent == 100 * right // answered
    assert len(found.missing) == (0 if enough else 1)


def test_an_editor_confirms_who_earned_it(easy, curves) -> None:
    ada, editor = make_user("ada"), make_user(role=Role.EDITOR)
    with pytest.raises(Refused, match=r"ada has not earned it yet\. Missing: 2 more gold neurons"):
        people.confirm_reviewer(editor, ada)
    for index in (0, 1):
        read_gold(ada, curves, index)
    read_first(ada, curves, 5)
    make_user("bela")
    assert [(one.username, how.right) for one, how in people.candidates(editor)] == [("ada", 2)]
    for other in (make_user(role=Role.ADMIN), make_user(role=Role.REVIEWER), ada):
        with pytest.raises(Refused):
            people.confirm_reviewer(other, ada)
    assert people.confirm_reviewer(editor, ada).role == Role.REVIEWER
    row = Appointment.objects.get()
    assert (row.way, row.reason) == (Way.EARNED, "Read 2 of 2 gold neurons rightly, and 1 that settled since.")
    assert Event.objects.get(verb="person.appointed").data["way"] == "earned"
    with pytest.raises(Refused, match="ada is reviewer already"):
        people.confirm_reviewer(editor, ada)
    assert people.candidates(editor) == []


def test_an_editor_who_lost_the_role_confirms_nobody(easy, curves) -> None:
    ada, editor = make_user("ada"), make_user(role=Role.EDITOR)
    for index in (0, 1):
        read_gold(ada, curves, index)
    read_first(ada, curves, 5)
    User.objects.filter(pk=editor.pk).update(role=Role.CONTRIBUTOR)
    with pytest.raises(Refused, match="Only editors confirm reviewers"):
        people.confirm_reviewer(editor, ada)


def test_candidates_cost_the_same_however_many_there_are(easy, curves, django_assert_max_num_queries) -> None:
    editor = make_user(role=Role.EDITOR)
    for _ in range(6):
        person = make_user()
        read_first(person, curves, 5, settles=False)
        for index in (0, 1):
            read_gold(person, curves, index)
    Neuron.objects.filter(layer=curves.layer, index=5).update(standing=Standing.ACCEPTED)
    with django_assert_max_num_queries(8):
        assert len(people.candidates(editor)) == 6


# --- names ---


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("\u0430da", "2 to 40 letters"),  # Cyrillic a
        ("gr\u00e4ce", "2 to 40 letters"),
        ("x", "2 to 40 letters"),
        (".dot", "2 to 40 letters"),
        ("a\u200bda", "2 to 40 letters"),
        ("ADA", "There is somebody called “ada”"),
        ("\uff41\uff44\uff41", "There is somebody called “ada”"),  # full width
        ("a.d-a", "looks like that of “ada”"),
        ("B1LL", "looks like that of “bill”"),
        ("j0hn", "looks like that of “john”"),
        ("tirn", "looks like that of “tim”"),
        ("olga", "looks like that of “\u043elga”"),
        ("Former-Contributor-9", "people who left"),
    ],
)
def test_names_that_are_not_taken(name: str, sentence: str) -> None:
    for other in ("ada", "bill", "john", "tim", "\u043elga"):
        make_user(other)
    with pytest.raises(ValidationError) as caught:
        people.check_name(name)
    assert sentence in caught.value.messages[0]


def test_names_that_are() -> None:
    make_user("ada")
    assert [people.check_name(name) for name in ("adam", "Grace.Hopper", "x_2", "\uff47race")] == [
        *("adam", "Grace.Hopper", "x_2", "grace"),
    ]


def test_the_database_takes_a_name_once_in_whatever_case() -> None:
    make_user("ada")
    with pytest.raises(IntegrityError, match="user_name_is_taken_once"), transaction.atomic():
        make_user("ADA")


# --- profile and terms ---


def test_a_profile_changes_and_only_the_affiliation_is_told() -> None:
    ada = make_user("ada")
    people.change_profile(ada, affiliation="  Institute of Curves ", pseudonymous=True, shortcuts=False)
    ada.refresh_from_db()
    assert (ada.affiliation, ada.pseudonymous, ada.shortcuts) == ("Institute of Curves", True, False)
    event = Event.objects.get()
    assert (event.verb, event.data) == ("affiliation.changed", {})
    people.change_profile(ada, affiliation="Institute of Curves", shortcuts=True)
    assert Event.objects.count() == 1
    for text in ("a\nb", "a\u202eb", "a\0b", "\u200b", "x" * 201):
        with pytest.raises(ValidationError):
            people.change_profile(ada, affiliation=text)
    ada.refresh_from_db()
    assert ada.affiliation == "Institute of Curves"


def test_terms_are_accepted_in_the_version_that_was_read() -> None:
    ada = make_user("ada", terms_version="2001-01")
    neuron = make_layer().neurons.first()
    with pytest.raises(Refused, match="read and accept the terms of"):
        make_label(neuron, ada, make_family(neuron.layer))
    with pytest.raises(ValidationError, match="have changed"):
        people.accept_terms(ada, "2001-01")
    assert people.accept_terms(ada, settings.TERMS_VERSION).has_accepted_terms
    people.accept_terms(ada, settings.TERMS_VERSION)
    assert [event.data for event in Event.objects.filter(verb="terms.accepted")] == [{"terms": settings.TERMS_VERSION}]
    make_label(neuron, User.objects.get(pk=ada.pk), Family.objects.get())


def test_who_makes_an_admin_accepts_for_them() -> None:
    person = people.create_admin(User.objects.system(), username="alice", password="correct horse")
    assert person.has_accepted_terms
    assert User.objects.system().has_accepted_terms


# --- blocked and erased ---


def signed_in(person: User) -> Client:
    client = Client()
    client.force_login(person, "allauth.account.auth_backends.AuthenticationBackend")
    return client


def test_a_block_ends_everything_at_once_and_deletes_nothing(curves) -> None:
    admin, ada = make_user(role=Role.ADMIN), make_user("ada")
    make_label(curves.layer.neurons.get(index=5), ada, curves)
    make_evidence(curves.layer.neurons.get(index=6), pictures=["image"])
    assert leases.take(ada)
    key, client, other = people.issue_token(ada), signed_in(ada), signed_in(make_user())
    people.block(admin, ada, reason="Spam.")
    assert not Token.objects.filter(key=key).exists()
    assert client.get("/me/").status_code == 302
    assert other.get("/me/").status_code == 200
    assert not Lease.objects.live().exists()
    assert Label.objects.filter(author=ada).count() == 1
    with pytest.raises(Refused, match="blocked"):
        make_label(curves.layer.neurons.get(index=6), User.objects.get(pk=ada.pk), curves)
    assert [event.verb for event in Event.objects.filter(person=ada)] == ["person.blocked"]
    assert Event.objects.get(verb="person.blocked").data == {}
    people.unblock(admin, ada, reason="A mistake.")
    assert client.get("/me/").status_code == 302, "whoever sat there signs in anew"
    row = Block.objects.get()
    assert (row.reason, row.ended_by, row.ended_reason) == ("Spam.", admin, "A mistake.")
    assert User.objects.get(pk=ada.pk).is_active


def test_who_is_not_blocked() -> None:
    admin, ada, system = make_user(role=Role.ADMIN), make_user("ada"), User.objects.system()
    for user, person, sentence in (
        (admin, admin, "Nobody blocks themselves"),
        (admin, system, "system user"),
        (make_user(role=Role.EDITOR), ada, "Only admins"),
        (system, admin, "is the last admin"),
    ):
        with pytest.raises(Refused, match=sentence):
            people.block(user, person, reason="Spam.")
    with pytest.raises(ValidationError, match="Say why"):
        people.block(admin, ada, reason=" ")
    with pytest.raises(ValidationError, match="not blocked"):
        people.unblock(admin, ada, reason="x")
    people.block(admin, ada, reason="Spam.")
    with pytest.raises(ValidationError, match="blocked already"):
        people.block(admin, ada, reason="Spam.")
    assert Block.objects.count() == 1


def test_somebody_is_left_who_appoints() -> None:
    system, admin = User.objects.system(), make_user("adam", role=Role.ADMIN, password="brass-lantern-42")
    with pytest.raises(Refused, match="adam is the last admin"):
        people.appoint(system, admin, Role.EDITOR, reason="x")
    with pytest.raises(Refused, match="adam is the last admin"):
        people.erase(admin, admin, proof="brass-lantern-42")
    second = make_user(role=Role.ADMIN)
    people.appoint(second, admin, Role.EDITOR, reason="x")
    with pytest.raises(Refused, match="is the last admin"):
        people.block(system, second, reason="x")


@pytest.mark.django_db(transaction=True)
def test_two_admins_who_demote_each_other_at_once() -> None:
    admins = [make_user(role=Role.ADMIN), make_user(role=Role.ADMIN)]
    start, outcomes = threading.Barrier(2), []

    def demote(one: User, other: User) -> None:
        start.wait()
        try:
            people.appoint(one, other, Role.CONTRIBUTOR, reason="x")
            outcomes.append("done")
        except Refused:
            outcomes.append("refused")
        finally:
            connection.close()

    threads = [threading.Thread(target=demote, args=pair) for pair in (admins, admins[::-1])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["done", "refused"]
    assert User.objects.filter(role=Role.ADMIN).count() == 1


@pytest.fixture
def ada(curves) -> User:
    """Somebody with everything that erasing has to find."""
    ada = make_user(
        "ada", password="brass-lantern-42", affiliation="Institute", first_name="Ada", feed_key=uuid.uuid4()
    )
    EmailAddress.objects.create(user=ada, email=ada.email, verified=True, primary=True)
    SocialAccount.objects.create(user=ada, provider="orcid", uid="0000-0002-1825-0097")
    people.issue_token(ada)
    people.appoint(make_user(role=Role.ADMIN), ada, Role.REVIEWER, reason="Ada Lovelace reads well.")
    neuron = curves.layer.neurons.get(index=5)
    make_label(neuron, ada, curves, note="Like an arch.")
    network = make_network("deep")
    make_claim(make_note(network, ada, title="How it bends"), ada, "It bends.")
    asked = make_note(network)
    Authorship.objects.create(note=asked, person=ada, added_by=asked.created_by)
    Subscription.objects.create(person=ada, discussion=Discussion.objects.of(neuron))
    return ada


@pytest.mark.parametrize("by_admin", [False, True])
def test_erasing_blanks_the_person_and_keeps_the_work(ada: User, curves, by_admin: bool) -> None:
    client = signed_in(ada)
    events = list(Event.objects.order_by("pk").values())
    user, proof = (User.objects.get(role=Role.ADMIN, is_system=False), "ada") if by_admin else (ada, "brass-lantern-42")
    gone = people.erase(user, ada, proof=proof)
    assert gone.username == f"former-contributor-{ada.pk}"
    row = User.objects.values().get(pk=ada.pk)
    assert not any(word in str(row) for word in ("ada@", "Ada", "Institute"))
    assert (row["is_active"], row["role"], row["feed_key"]) == (False, Role.CONTRIBUTOR, None)
    for model, owner in (
        *((EmailAddress, "user"), (SocialAccount, "user"), (Token, "user")),
        *((Notification, "person"), (Subscription, "person")),
    ):
        assert not model.objects.filter(**{owner: ada}).exists(), model
    assert not Session.objects.exists()
    assert client.get("/me/").status_code == 302
    assert Appointment.objects.get(person=ada).reason == ""
    label = Label.objects.get(author=ada)
    assert (label.note, label.author.username) == ("Like an arch.", gone.username)
    assert [one.note.latest.title for one in Authorship.objects.current().filter(person=ada)] == ["How it bends"]
    assert Claim.objects.get(author=ada).author.username == gone.username
    kept = Event.objects.order_by("pk").values()
    assert list(kept[: len(events)]) == events
    assert Event.objects.latest("pk").verb == "person.erased"
    with pytest.raises(Refused, match="erased already"):
        people.erase(User.objects.get(role=Role.ADMIN, is_system=False), gone, proof=gone.username)
    with pytest.raises(Refused, match="erased"):
        people.unblock(User.objects.get(role=Role.ADMIN, is_system=False), gone, reason="x")


def test_erasing_asks_twice(ada: User) -> None:
    for user, proof, refusal in (
        (ada, "wrong", ValidationError),
        (ada, "ada", ValidationError),
        (User.objects.get(role=Role.ADMIN, is_system=False), "Ada", ValidationError),
        (make_user(role=Role.EDITOR), "ada", Refused),
    ):
        with pytest.raises(refusal):
            people.erase(user, ada, proof=proof)
    ada.set_unusable_password()
    ada.save()
    people.erase(ada, ada, proof="ada")


def test_an_erased_row_stays_blank(ada: User) -> None:
    people.erase(ada, ada, proof="brass-lantern-42")
    with pytest.raises(IntegrityError, match="user_erased_is_blank"), transaction.atomic():
        User.objects.filter(pk=ada.pk).update(email="ada@example.org")
    with pytest.raises(DatabaseError, match="pgtrigger"), transaction.atomic():
        Appointment.objects.filter(person=ada).update(role=Role.EDITOR)
    with pytest.raises(DatabaseError, match="pgtrigger"), transaction.atomic():
        Appointment.objects.filter(person=ada)._raw_delete("default")


def test_one_s_own_data_is_all_there(ada: User) -> None:
    found = everything_of(ada)
    assert found["account"]["mail addresses"] == [{"email": "ada@example.org", "verified": True, "primary": True}]
    assert found["account"]["linked accounts"][0]["uid"] == "0000-0002-1825-0097"
    assert [label["note"] for label in found["labels"]] == ["Like an arch."]
    assert [version["title"] for version in found["note versions"]] == ["How it bends"]
    assert [one["agreed_at"] is None for one in found["authorships"]] == [False, True]
    assert [claim["sentence"] for claim in found["claims"]] == ["It bends."]
    assert (found["note reviews"], found["runs"]) == ([], [])
    assert found["roles"][0]["reason"] == "Ada Lovelace reads well."
    assert timezone.now() - found["labels"][0]["at"] < datetime.timedelta(minutes=1)
    assert set(everything_of(make_user())) == set(found)
