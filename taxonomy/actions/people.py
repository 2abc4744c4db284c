"""People: joining, roles and both ways to them, profiles, terms, blocking, erasing."""

import unicodedata
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from allauth.account.models import EmailAddress
from allauth.socialaccount.models import SocialAccount
from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.contrib.auth.models import AnonymousUser
from django.contrib.auth.password_validation import validate_password
from django.contrib.sessions.models import Session
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Count, Q, QuerySet, Value
from django.utils import timezone
from rest_framework.authtoken.models import Token

from taxonomy import events
from taxonomy.actions import gold, notifications
from taxonomy.models import (
    SETTLED,
    Appointment,
    Authorship,
    Block,
    Claim,
    Comment,
    Label,
    Lease,
    Network,
    Notification,
    Proposal,
    Review,
    Role,
    Sheet,
    Subscription,
    User,
    Verdict,
    Way,
    Why,
)
from taxonomy.models.people import FORMER, NAME, look
from taxonomy.permissions import (
    Refused,
    can_appoint,
    can_block,
    can_confirm_reviewer,
    can_erase,
    can_keep_profile,
    can_see_candidates,
    require,
)

# What earns a reviewer's role: so many gold neurons read, that share of them rightly, and so many other first readings
# of neurons that have settled since. Whether these agree with what was settled is not asked: it would reward guessing
# what others will say, and gold already tells who reads well (docs/decisions/0016-a-role-earned.md).
GOLD_NEURONS = 50
GOLD_SHARE = 0.80
SETTLED_READINGS = 20


def _locked(*people: User) -> list[User]:
    """These people as the database has them now, held until the action is done; and every admin, in one order.

    So two admins who demote each other at the same instant do so one after the other, and the second finds that they
    may not any more.
    """
    rows = User.objects.select_for_update(no_key=True).order_by("pk")
    found = {row.pk: row for row in rows.filter(Q(pk__in=[one.pk for one in people]) | Q(role=Role.ADMIN))}
    return [found.get(one.pk, one) for one in people]  # a visitor has no row, and is refused next


def _reason(text: str, otherwise: str) -> str:
    text = text.strip()
    if not text:
        raise ValidationError(otherwise)
    if len(text) > 500:
        raise ValidationError(f"A reason has at most 500 characters: this one has {len(text)}.")
    if "\0" in text:
        raise ValidationError("Null characters are not allowed.")
    return text


@transaction.atomic
def appoint(user: User, person: User, role: str, *, reason: str) -> User:
    """Give a person another role.

    Raises:
        Refused: unless an admin appoints, or an editor a reviewer.
        ValidationError: for an unknown role, the one they have, or an empty reason.
    """
    user, person = _locked(user, person)
    require(can_appoint(user, person, role))
    if role not in Role.values:
        raise ValidationError(f"There is no role '{role}'. Roles: {', '.join(Role.values)}.")
    reason = _reason(reason, "Say why: appointments are recorded with their reason.")
    if role == person.role:
        raise ValidationError(f"{person.username} is {role} already.")
    return _give(user, person, role, Way.APPOINTED, reason)


def _give(user: User, person: User, role: str, way: str, reason: str) -> User:
    before, person.role = person.role, role
    person.save(update_fields=["role"])
    Appointment.objects.create(person=person, by=user, before=before, role=role, way=way, reason=reason)
    data = {"from": before, "to": role, "way": way}
    event = events.record(user, "person.appointed", person=person, data=data)
    notifications.tell(event, {person.pk: Why.ROLE})
    return person


@dataclass(frozen=True)
class Progress:
    """How far somebody is on the way to being a reviewer by what they read.

    Args:
        answered: gold neurons that they read.
        right: of these, read as they were accepted.
        settled: other neurons that they read first and blind, and that have settled since.
    """

    answered: int
    right: int
    settled: int

    @property
    def percent(self) -> int:
        """The share in whole percent, rounded down, so that 80 % is never shown for less."""
        return 100 * self.right // self.answered if self.answered else 0

    @property
    def missing(self) -> list[str]:
        """What is missing, in words; nothing when the role is earned."""
        said = []
        if self.answered < GOLD_NEURONS:
            said.append(f"{GOLD_NEURONS - self.answered} more gold neurons: the queue mixes them in.")
        if self.answered and self.right < GOLD_SHARE * self.answered:
            said.append(
                f"More of the gold neurons read rightly: {self.right} of {self.answered} are, "
                f"and {GOLD_SHARE:.0%} are asked for."
            )
        if self.settled < SETTLED_READINGS:
            more = SETTLED_READINGS - self.settled
            said.append(f"{more} more of your first readings on neurons that settle afterwards.")
        return said

    @property
    def is_enough(self) -> bool:
        return not self.missing


def progress(person: User) -> Progress:
    return _progress_of([person])[person.pk]


def _progress_of(people: Collection[User]) -> dict[int, Progress]:
    """For many at once, in the same number of queries as for one."""
    labels = list(gold.labels_of(people))
    found = gold.outcomes(labels)
    answered = Counter(label.author_id for label in labels)
    right = Counter(label.author_id for label in labels if found[label.pk] == gold.Closeness.RIGHT)
    settled = dict(_settled_readings().filter(author__in=people).values_list("author", "count"))
    return {one.pk: Progress(answered[one.pk], right[one.pk], settled.get(one.pk, 0)) for one in people}


def _settled_readings() -> QuerySet[Any, Any]:
    """For each author, the neurons that they read blind before they settled. "Cannot tell" says nothing of a neuron."""
    first = Label.objects.filter(blind=True, gold=False, undone_at=None, neuron__standing__in=SETTLED)
    first = first.exclude(verdict=Verdict.CANNOT_TELL)
    return first.order_by().values("author").annotate(count=Count("neuron", distinct=True))


def candidates(user: User) -> list[tuple[User, Progress]]:
    """Contributors who have earned to be reviewers and wait for an editor; those with the most gold neurons first.

    Raises:
        Refused: unless an editor asks.
    """
    require(can_see_candidates(user))
    enough = _settled_readings().filter(count__gte=SETTLED_READINGS).values("author")
    people = User.objects.filter(role=Role.CONTRIBUTOR, is_active=True, is_system=False, pk__in=enough)
    found = _progress_of(people)
    ready = [(one, found[one.pk]) for one in people if found[one.pk].is_enough]
    return sorted(ready, key=lambda pair: (-pair[1].answered, pair[0].username))


@transaction.atomic
def confirm_reviewer(user: User, person: User) -> User:
    """Make a contributor who earned it a reviewer. The numbers are counted again here.

    Raises:
        Refused: unless an editor does it, for somebody else, who has earned it.
    """
    user, person = _locked(user, person)
    require(can_confirm_reviewer(user, person))
    earned = progress(person)
    if not earned.is_enough:
        raise Refused(f"{person.username} has not earned it yet. Missing: {' '.join(earned.missing)}")
    reason = f"Read {earned.right} of {earned.answered} gold neurons rightly, and {earned.settled} that settled since."
    return _give(user, person, Role.REVIEWER, Way.EARNED, reason)


@dataclass(frozen=True)
class Credit:
    """What somebody did for one network: neurons read (and how many of them blind), decisions, proposals, comments,
    published notes, claims."""

    network: Network
    labels: int = 0
    blind: int = 0
    reviews: int = 0
    proposals: int = 0
    comments: int = 0
    notes: int = 0
    claims: int = 0


def credits_of(person: User) -> list[Credit]:
    """By network, in order of their names; networks for which they did nothing are left out."""
    found: dict[int, dict[str, int]] = {}
    labels = Label.objects.filter(author=person, undone_at=None)
    published = Authorship.objects.named().filter(person=person, note__number__isnull=False, note__hidden_at=None)
    nobody = AnonymousUser()  # what everybody may read counts
    counted: list[QuerySet[Any, Any]] = [
        rows.order_by().values_list(path, Value(name)).annotate(count=Count(what, distinct=True))
        for name, rows, path, what in (
            ("labels", labels, "neuron__layer__network", "neuron"),
            ("blind", labels.filter(blind=True), "neuron__layer__network", "neuron"),
            ("reviews", Review.objects.filter(reviewer=person), "neuron__layer__network", "pk"),
            ("proposals", Proposal.objects.filter(author=person), "layer__network", "pk"),
            ("comments", Comment.objects.filter(author=person, hidden_at=None), "discussion__network", "pk"),
            ("notes", published, "note__network", "pk"),
            ("claims", Claim.objects.filter(author=person).readable_by(nobody), "network", "pk"),
        )
    ]
    for pk, name, count in counted[0].union(*counted[1:], all=True):
        found.setdefault(pk, {})[name] = count
    return [Credit(network, **found[network.pk]) for network in Network.objects.filter(pk__in=found).order_by("name")]


def plain_name(name: str) -> None:
    """A new user name is of plain letters and digits; full-width and other compatible forms count as plain.

    Raises:
        ValidationError: when it is not.
    """
    if not NAME.fullmatch(unicodedata.normalize("NFKC", name)):
        raise ValidationError(
            "A user name has 2 to 40 letters (a to z), digits, dots, dashes and underscores, "
            "and begins with a letter or digit."
        )


def check_name(name: str) -> str:
    """A new user name, checked, in compatibility form.

    Raises:
        ValidationError: when it is not plain, or looks like a name that somebody has.
    """
    plain_name(name)
    name = unicodedata.normalize("NFKC", name)
    if look(name).startswith(look(FORMER)):
        raise ValidationError("Names like this one stand for people who left. Choose another.")
    alike = look(name)
    for other in User.objects.values_list("username", flat=True).iterator():
        if look(other) == alike:
            taken = "There is somebody called" if other.lower() == name.lower() else "This name looks like that of"
            raise ValidationError(f"{taken} “{other}” already. Choose another.")
    return name


@transaction.atomic
def join(person: User) -> User:
    """Record that a new person accepted the present terms."""
    person.terms_version, person.terms_accepted_at = settings.TERMS_VERSION, timezone.now()
    person.save(update_fields=["terms_version", "terms_accepted_at"])
    events.record(person, "person.joined", person=person, data={"terms": settings.TERMS_VERSION})
    return person


@transaction.atomic
def accept_terms(user: User, version: str) -> User:
    """Accept the terms in the version that was read. Accepting them twice changes nothing.

    Raises:
        ValidationError: when they have changed since.
    """
    require(can_keep_profile(user))
    if version != settings.TERMS_VERSION:
        raise ValidationError(f"The terms have changed: these are those of {settings.TERMS_VERSION}. Read them first.")
    person = User.objects.select_for_update(no_key=True).get(pk=user.pk)
    if not person.has_accepted_terms:
        person.terms_version, person.terms_accepted_at = version, timezone.now()
        person.save(update_fields=["terms_version", "terms_accepted_at"])
        events.record(person, "terms.accepted", person=person, data={"terms": version})
    return person


@transaction.atomic
def change_profile(
    user: User, *, affiliation: str | None = None, pseudonymous: bool | None = None, shortcuts: bool | None = None
) -> User:
    """Change what is given. A changed affiliation is an event, for it decides who is uninvolved; its text is not in it.

    Raises:
        ValidationError: when the affiliation is too long, or holds characters that cannot be seen.
    """
    require(can_keep_profile(user))
    person = User.objects.select_for_update(no_key=True).get(pk=user.pk)
    before = person.affiliation
    if affiliation is not None:
        person.affiliation = " ".join(unicodedata.normalize("NFC", affiliation).split(" ")).strip()
    if pseudonymous is not None:
        person.pseudonymous = pseudonymous
    if shortcuts is not None:
        person.shortcuts = shortcuts
    person.clean_fields(exclude=[field.name for field in User._meta.fields if field.name != "affiliation"])
    person.save(update_fields=["affiliation", "pseudonymous", "shortcuts"])
    if person.affiliation != before:
        events.record(person, "affiliation.changed", person=person)
    return person


@transaction.atomic
def create_admin(user: User, *, username: str, email: str = "", password: str) -> User:
    """Make an admin's account, for whoever runs the site; its address counts as verified, its terms as accepted.

    Raises:
        Refused: unless an admin (or the system user, on the command line) does it.
        ValidationError: when the name is taken, the address none, or the password weak.
    """
    person = User(username=User.normalize_username(username), email=User.objects.normalize_email(email))
    require(can_appoint(user, person, Role.ADMIN))
    person.role = Role.ADMIN
    person.terms_version, person.terms_accepted_at = settings.TERMS_VERSION, timezone.now()
    person.full_clean(exclude=["password"])
    if User.objects.filter(username__iexact=person.username).exists():
        raise ValidationError(f"There is somebody called “{person.username}” already: appoint gives another role.")
    person.username = check_name(person.username)
    if email and EmailAddress.objects.filter(email__iexact=person.email).exists():
        raise ValidationError(f"Somebody signs in with {person.email} already.")
    if not email and settings.ACCOUNT_EMAIL_VERIFICATION == "mandatory":
        raise ValidationError("This site sends mail and lets nobody in without an address: give one.")
    validate_password(password, person)
    person.set_password(password)
    person.save()
    if email:
        EmailAddress.objects.create(user=person, email=person.email, verified=True, primary=True)
    reason = "Made on the command line."
    Appointment.objects.create(person=person, by=user, role=Role.ADMIN, reason=reason)
    data = {"from": "", "to": Role.ADMIN, "way": Way.APPOINTED}
    events.record(user, "person.appointed", person=person, data=data)
    return person


@transaction.atomic
def issue_token(person: User) -> str:
    """A new key for the API; the one before it stops working."""
    person = User.objects.select_for_update(no_key=True).get(pk=person.pk)
    require(can_keep_profile(person))
    Token.objects.filter(user=person).delete()
    key: str = Token.objects.create(user=person).key
    return key


def revoke_token(person: User) -> None:
    Token.objects.filter(user=person).delete()


@transaction.atomic
def block(user: User, person: User, *, reason: str) -> User:
    """Close an account. Its sessions and token stop working at once; what the person wrote stays.

    Raises:
        Refused: unless an admin blocks somebody else.
        ValidationError: without a reason, or when it is blocked already.
    """
    user, person = _locked(user, person)
    require(can_block(user, person))
    reason = _reason(reason, "Say why: blocking is recorded with its reason.")
    if not person.is_active:
        raise ValidationError(f"{person.username} is blocked already.")
    Block.objects.create(person=person, by=user, reason=reason)
    _close(person)
    events.record(user, "person.blocked", person=person)
    return person


@transaction.atomic
def unblock(user: User, person: User, *, reason: str) -> User:
    """Open an account again. Its owner signs in anew, and makes a new token.

    Raises:
        Refused: unless an admin does it.
        ValidationError: without a reason, or when it is not blocked.
    """
    user, person = _locked(user, person)
    require(can_block(user, person))
    reason = _reason(reason, "Say why: unblocking is recorded with its reason.")
    if person.is_active:
        raise ValidationError(f"{person.username} is not blocked.")
    now = timezone.now()
    Block.objects.filter(person=person, ended_at=None).update(ended_at=now, ended_by=user, ended_reason=reason)
    person.is_active = True
    person.save(update_fields=["is_active"])
    events.record(user, "person.unblocked", person=person)
    return person


def _close(person: User) -> None:
    """Nobody acts as this person any more, and what they held in the queue goes back to it."""
    person.is_active = False
    person.save(update_fields=["is_active"])
    Token.objects.filter(user=person).delete()
    for session in Session.objects.filter(expire_date__gt=timezone.now()).iterator():
        if session.get_decoded().get(SESSION_KEY) == str(person.pk):
            session.delete()
    # The sheets before their leases, as everybody else locks them.
    Sheet.objects.filter(person=person, ended_at=None).update(ended_at=timezone.now())
    Lease.objects.filter(person=person, ended_at=None).update(ended_at=timezone.now())


@transaction.atomic
def erase(user: User, person: User, *, proof: str) -> User:
    """Blank a person's row for good. What they wrote and decided stays, and leads to "former contributor".

    Notes that asked them to be an author, and to which they have not agreed, ask no more.

    Args:
        proof: one's own password; for others, and where there is no password, the user name.

    Raises:
        Refused: unless it is one's own account, or an admin does it.
        ValidationError: when the proof is wrong.
    """
    user, person = _locked(user, person)
    require(can_erase(user, person))
    _check_proof(user, person, proof)
    _close(person)
    EmailAddress.objects.filter(user=person).delete()
    SocialAccount.objects.filter(user=person).delete()
    Notification.objects.filter(person=person).delete()
    Subscription.objects.filter(person=person).delete()
    Authorship.objects.current().filter(person=person, agreed_at=None).update(ended_at=timezone.now())
    Appointment.objects.filter(person=person).update(reason="")
    Block.objects.filter(person=person).update(reason="", ended_reason="")
    person.username, person.role = f"{FORMER}-{person.pk}", Role.CONTRIBUTOR
    person.email = person.affiliation = person.first_name = person.last_name = ""
    person.is_staff = person.is_superuser = False
    person.feed_key = person.last_login = None
    person.erased_at = timezone.now()
    person.set_unusable_password()
    person.save()
    events.record(person if user.pk == person.pk else user, "person.erased", person=person)
    return person


def _check_proof(user: User, person: User, proof: str) -> None:
    if user.pk == person.pk and person.has_usable_password():
        if not person.check_password(proof):
            raise ValidationError("This is not your password. Nothing was erased.")
    elif proof.strip() != person.username:
        raise ValidationError(f"Type the user name, {person.username}, to show that it is meant. Nothing was erased.")
