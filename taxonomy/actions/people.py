"""People's roles and terms."""

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

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
    person = User.objects.select_for_update().get(pk=person.pk)
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
