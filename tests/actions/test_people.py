"""Appointments and the first admin."""

import pytest
from allauth.account.models import EmailAddress
from django.core.exceptions import ValidationError

from taxonomy.actions import people
from taxonomy.models import Event, Role, User
from taxonomy.permissions import Refused
from tests.factory import make_user

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
