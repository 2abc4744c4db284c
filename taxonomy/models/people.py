"""People: everyone who reads signed in, and the named system user that machine work runs as."""

import uuid
from typing import ClassVar

from django.contrib.auth.models import AbstractUser, UserManager
from django.db import models


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
    affiliation = models.CharField(max_length=200, blank=True)
    is_system = models.BooleanField(default=False)
    terms_version = models.CharField(max_length=20, blank=True)
    terms_accepted_at = models.DateTimeField(null=True, blank=True)
    pseudonymous = models.BooleanField(default=False, help_text="credited in releases under a pseudonym")
    digest = models.CharField(max_length=8, choices=Digest, default=Digest.DAILY)
    digested_at = models.DateTimeField(null=True, blank=True, help_text="when the last digest was sent")
    feed_key = models.UUIDField(null=True, unique=True, editable=False, help_text="opens the person's own Atom feed")
    shortcuts = models.BooleanField(default=True, help_text="whether single letters act on pages")

    objects: ClassVar[PeopleManager] = PeopleManager()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=models.Q(role__in=Role.values), name="user_role_is_known"),
            models.CheckConstraint(condition=models.Q(digest__in=Digest.values), name="user_digest_is_known"),
        ]

    def __str__(self) -> str:
        return self.username

    @property
    def reviews(self) -> bool:
        """Whether this person may approve others' work."""
        return self.role in (Role.REVIEWER, Role.EDITOR)
