"""People's roles and terms."""

from allauth.account.models import EmailAddress
from django.conf import settings
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone
from rest_framework.authtoken.models import Token

from taxonomy import events
from taxonomy.models import Role, User
from taxonomy.permissions import can_appoint, require


@transaction.atomic
def appoint(user: User, person: User, role: str, *, reason: str) -> User:
    """Give a person another role.

    Raises:
        Refused: unless an admin appoints, or an editor a reviewer.
        ValidationError: for an unknown role or an empty reason.
    """
    person = User.objects.select_for_update(no_key=True).get(pk=person.pk)
    require(can_appoint(user, person, role))
    if role not in Role.values:
        raise ValidationError(f"There is no role '{role}'. Roles: {', '.join(Role.values)}.")
    if not reason.strip():
        raise ValidationError("Say why: appointments are recorded with their reason.")
    before, person.role = person.role, role
    person.save(update_fields=["role"])
    events.record(user, "person.appointed", person=person, data={"from": before, "to": role, "reason": reason[:500]})
    return person


@transaction.atomic
def join(person: User) -> User:
    """Record that a new person accepted the current terms."""
    person.terms_version, person.terms_accepted_at = settings.TERMS_VERSION, timezone.now()
    person.save(update_fields=["terms_version", "terms_accepted_at"])
    events.record(person, "person.joined", person=person, data={"terms": settings.TERMS_VERSION})
    return person


@transaction.atomic
def create_admin(user: User, *, username: str, email: str = "", password: str) -> User:
    """Make an admin's account, for whoever runs the site; its address counts as verified.

    Raises:
        Refused: unless an admin (or the system user, on the command line) does it.
        ValidationError: when the name is taken, the address none, or the password weak.
    """
    person = User(username=User.normalize_username(username), email=User.objects.normalize_email(email))
    require(can_appoint(user, person, Role.ADMIN))
    person.role = Role.ADMIN
    person.full_clean(exclude=["password"])
    if User.objects.filter(username__iexact=person.username).exists():
        raise ValidationError(f"There is somebody called “{person.username}” already: appoint gives another role.")
    if email and EmailAddress.objects.filter(email__iexact=person.email).exists():
        raise ValidationError(f"Somebody signs in with {person.email} already.")
    if not email and settings.ACCOUNT_EMAIL_VERIFICATION == "mandatory":
        raise ValidationError("This site sends mail and lets nobody in without an address: give one.")
    validate_password(password, person)
    person.set_password(password)
    person.save()
    if email:
        EmailAddress.objects.create(user=person, email=person.email, verified=True, primary=True)
    data = {"from": "", "to": Role.ADMIN, "reason": "made on the command line"}
    events.record(user, "person.appointed", person=person, data=data)
    return person


@transaction.atomic
def issue_token(person: User) -> str:
    """A new key for the API; the one before it stops working."""
    person = User.objects.select_for_update(no_key=True).get(pk=person.pk)
    Token.objects.filter(user=person).delete()
    key: str = Token.objects.create(user=person).key
    return key


def revoke_token(person: User) -> None:
    Token.objects.filter(user=person).delete()
