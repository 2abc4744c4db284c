"""People: everyone who reads signed in, and the named system user that machine work runs as."""

import re
import unicodedata
import uuid
from typing import Any, ClassVar

import pgtrigger
from django.conf import settings
from django.contrib.auth.models import AbstractUser, UserManager
from django.db import models
from django.db.models.functions import Lower

from taxonomy.models.fields import Line, Prose


class Role(models.TextChoices):
    CONTRIBUTOR = "contributor"
    REVIEWER = "reviewer"
    EDITOR = "editor"
    ADMIN = "admin"


class Digest(models.TextChoices):
    """How often notifications come by mail."""

    OFF = "off"
    DAILY = "daily"
    WEEKLY = "weekly"


# New names are plain ASCII, so that none is written in letters that pass for others. Older names stay as they are.
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,39}")
# What an erased person's row is called, with its number.
FORMER = "former-contributor"
# Greek and Cyrillic letters of older names that look like Latin ones, and ASCII that does.
_LOOKS = str.maketrans(
    "\u0430\u0435\u043e\u0440\u0441\u0443\u0445\u0456\u0458\u0455\u04bb\u0501\u051b\u051d\u043c\u0442\u043d\u0432\u043a"
    "\u03b1\u03b5\u03bf\u03c1\u03c3\u03c5\u03c7\u03b9\u03ba\u03bd\u03c4\u03b2\u03b7\u0131"
    "01i",
    "aeopcyxljshdqwmthbkaeopoyxlkvtbnloll",
)


def look(name: str) -> str:
    """The same for names that look alike: without case, accents, dots, dashes and letters that pass for others."""
    plain = "".join(one for one in unicodedata.normalize("NFKD", name).casefold() if not unicodedata.combining(one))
    return re.sub(r"[._-]", "", plain.translate(_LOOKS).replace("rn", "m").replace("vv", "w"))


class PeopleManager(UserManager["User"]):
    def system(self) -> "User":
        """The user that machine work (imports from the command line, the reaper) is recorded under."""
        user, created = self.get_or_create(
            username="neurotaxa", defaults={"role": Role.ADMIN, "is_system": True, "email": ""}
        )
        if created:
            user.set_unusable_password()
            user.save(update_fields=["password"])
        return user


class User(AbstractUser):
    """A role decides what a person may do (``permissions.py``); Django's staff flags give no scientific vote."""

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    role = models.CharField(max_length=16, choices=Role, default=Role.CONTRIBUTOR)
    affiliation = Line(max_length=200, blank=True)
    is_system = models.BooleanField(default=False)
    terms_version = models.CharField(max_length=20, blank=True)
    terms_accepted_at = models.DateTimeField(null=True, blank=True)
    pseudonymous = models.BooleanField(default=False, help_text="credited in releases under a pseudonym")
    digest = models.CharField(max_length=8, choices=Digest, default=Digest.DAILY)
    digested_at = models.DateTimeField(null=True, blank=True, help_text="when the last digest was sent")
    feed_key = models.UUIDField(null=True, unique=True, editable=False, help_text="opens the person's own Atom feed")
    shortcuts = models.BooleanField(default=True, help_text="whether single letters act on pages")
    erased_at = models.DateTimeField(null=True, blank=True, editable=False)

    objects: ClassVar[PeopleManager] = PeopleManager()
    socialaccount_set: Any  # allauth's: what is linked of ORCID and GitHub

    class Meta:
        constraints = [
            models.CheckConstraint(condition=models.Q(role__in=Role.values), name="user_role_is_known"),
            models.CheckConstraint(condition=models.Q(digest__in=Digest.values), name="user_digest_is_known"),
            models.CheckConstraint(
                condition=models.Q(erased_at=None) | models.Q(is_active=False, email="", affiliation=""),
                name="user_erased_is_blank",
            ),
            models.UniqueConstraint(
                Lower("username"),
                name="user_name_is_taken_once",
                violation_error_message="There is somebody of this name already.",
            ),
        ]

    def __str__(self) -> str:
        return self.username

    @property
    def reviews(self) -> bool:
        """Whether this person may approve others' work."""
        return self.role in (Role.REVIEWER, Role.EDITOR)

    @property
    def has_accepted_terms(self) -> bool:
        """Whether this person accepted the terms in their present version; machine work needs none."""
        return self.is_system or self.terms_version == settings.TERMS_VERSION

    @property
    def orcid(self) -> str:
        """The iD that ORCID itself vouched for, or nothing. Of many people: prefetch ``socialaccount_set``."""
        return next((linked.uid for linked in self.socialaccount_set.all() if linked.provider == "orcid"), "")


class Way(models.TextChoices):
    """How a role was come by."""

    APPOINTED = "appointed"
    EARNED = "earned"


@pgtrigger.register(
    pgtrigger.Protect(name="appointments_are_kept", operation=pgtrigger.Delete),
    # The reason is about a person, and goes when the person is erased.
    pgtrigger.ReadOnly(name="appointments_are_not_changed", exclude=["reason"]),
)
class Appointment(models.Model):
    """A role given or taken, by whom and why. Its event names the roles alone."""

    person = models.ForeignKey(User, models.PROTECT, related_name="appointments")
    by = models.ForeignKey(User, models.PROTECT, related_name="+")
    before = models.CharField(max_length=16, choices=Role, blank=True)
    role = models.CharField(max_length=16, choices=Role)
    way = models.CharField(max_length=12, choices=Way, default=Way.APPOINTED)
    reason = Prose(blank=True, max_length=500)
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(condition=~models.Q(person=models.F("by")), name="appointment_is_by_somebody_else")
        ]

    def __str__(self) -> str:
        return f"{self.person} {self.way} {self.role}"


@pgtrigger.register(
    pgtrigger.Protect(name="blocks_are_kept", operation=pgtrigger.Delete),
    pgtrigger.ReadOnly(name="blocks_only_end", exclude=["reason", "ended_at", "ended_by", "ended_reason"]),
)
class Block(models.Model):
    """An account that an admin closed, by whom and why, until it was opened again."""

    person = models.ForeignKey(User, models.PROTECT, related_name="blocks")
    by = models.ForeignKey(User, models.PROTECT, related_name="+")
    reason = Prose(blank=True, max_length=500)
    at = models.DateTimeField(auto_now_add=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    ended_by = models.ForeignKey(User, models.PROTECT, null=True, blank=True, related_name="+")
    ended_reason = Prose(blank=True, max_length=500)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["person"], condition=models.Q(ended_at=None), name="block_is_one_at_a_time"
            ),
            models.CheckConstraint(condition=~models.Q(person=models.F("by")), name="block_is_by_somebody_else"),
        ]

    def __str__(self) -> str:
        return f"{self.person} is blocked"
