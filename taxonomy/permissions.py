"""Who may do what, in one place. Each answer is Allowed, or Denied with the reason that page, API and command show."""

from collections.abc import Collection
from dataclasses import dataclass

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from taxonomy.models import (
    SETTLED,
    UNDO,
    Claim,
    Comment,
    Discussion,
    Family,
    Gold,
    Job,
    Label,
    Lease,
    Network,
    Neuron,
    Note,
    NoteState,
    Notification,
    Proposal,
    ProposalState,
    Reveal,
    Role,
    User,
    readable_notes,
)
from taxonomy.models.claims import ClaimQuerySet, moderated
from taxonomy.models.discussions import Subject
from taxonomy.models.events import told

Person = User | AnonymousUser


@dataclass(frozen=True)
class Allowed:
    def __bool__(self) -> bool:
        return True


@dataclass(frozen=True)
class Denied:
    reason: str

    def __bool__(self) -> bool:
        return False


@dataclass(frozen=True)
class Gone(Denied):
    """What a moderator hid, for all but its authors and admins."""


Answer = Allowed | Denied


class Refused(Exception):
    """An action that the rules do not allow; the message is the reason."""


class Removed(Refused):
    """What was asked for is hidden by a moderator: it is not found, and the message says why."""


def require(answer: Answer) -> None:
    if isinstance(answer, Gone):
        raise Removed(answer.reason)
    if isinstance(answer, Denied):
        raise Refused(answer.reason)


def _signed_in(user: Person, to: str) -> Answer:
    if not user.is_authenticated:
        return Denied(f"Sign in to {to}.")
    if not user.is_active:
        return Denied("This account is blocked.")
    return Allowed()


def _takes_part(user: Person, to: str) -> Answer:
    """Contributors, reviewers and editors who accepted the terms; admins keep house and have no scientific vote."""
    answer = _signed_in(user, to)
    if answer and isinstance(user, User) and user.role == Role.ADMIN:
        return Denied(f"Admins keep house and have no scientific vote: they do not {to}. Use a contributor's account.")
    if answer and isinstance(user, User) and not user.has_accepted_terms:
        return Denied(f"Before you {to}, read and accept the terms of {settings.TERMS_VERSION}: they are at /terms/.")
    return answer


def can_label(user: Person, neuron: Neuron | None = None) -> Answer:
    return _takes_part(user, "label neurons")


def can_undo_label(user: Person, label: Label) -> Answer:
    answer = _signed_in(user, "take a label back")
    if not answer:
        return answer
    if label.author_id != user.pk:
        return Denied("Only its author takes a label back.")
    if label.undone_at is not None:
        return Denied("This label was taken back already.")
    if label.superseded_at is not None:
        return Denied("You have read this neuron anew since: change that reading instead.")
    if label.gold:
        return Denied("You were shown how others read this neuron: a label is taken back before that, or changed.")
    if timezone.now() > label.created_at + UNDO:
        return Denied("A label can be taken back for a minute. Change it on the neuron's page instead.")
    return Allowed()


def can_steer_queue(user: Person) -> Answer:
    """Set how many readings a layer's neurons ask for, and mark gold neurons."""
    answer = _takes_part(user, "mark gold neurons or set how many readings are asked for")
    if answer and isinstance(user, User) and user.role != Role.EDITOR:
        return Denied("Only editors mark gold neurons and set how many readings are asked for.")
    return answer


def sees_all_readings(user: Person) -> bool:
    """Reviewers and editors may look at every reading; each look is recorded, and their own is not blind after it."""
    return isinstance(user, User) and user.reviews and user.is_active


def hidden_from(user: Person) -> frozenset[int]:
    """Settled neurons whose answer this person is not shown: they hold it in the queue, or it is gold and unanswered.

    Reviewers know the settled neurons: from them only what they hold is hidden. One query.
    """
    if not isinstance(user, User):
        return frozenset()
    held, gold = (found.order_by().values_list("neuron", flat=True) for found in _hidden_from(user))
    return frozenset(held.union(gold) if user.role == Role.CONTRIBUTOR else held)


def _hidden_from(user: User) -> tuple[QuerySet[Lease], QuerySet[Gold]]:
    """By which leases, and for contributors by which golds, neurons are hidden from this person."""
    answered = Label.objects.filter(neuron=OuterRef("neuron"), author=user, undone_at=None)
    held = Lease.objects.live().filter(person=user, neuron__standing__in=SETTLED)
    return held, Gold.objects.current().filter(~Exists(answered))


def notifications_of(user: Person) -> QuerySet[Notification]:
    """What this person is told by now; what would tell them how others read a neuron waits until they gave a reading.

    As ``Event.visible_to``, in one query; it goes out from this person's notifications and not from all events.
    """
    if not isinstance(user, User) or not user.is_active:
        return Notification.objects.none()
    held, gold = _hidden_from(user)
    hidden = (held, gold) if user.role == Role.CONTRIBUTOR else (held,)
    return user.notifications.filter(told(user, hidden, "event__"))


def given(user: User, path: str = "neuron") -> Exists:
    """Whether this person gave a reading of the neuron at ``path`` that can no longer be taken back.

    After the minute for that, or from the moment at which they asked to see the others' readings.
    """
    return Exists(Label.objects.given_by(user).filter(neuron=OuterRef(path)))


def told_in_passing(user: Person, path: str = "pk") -> Q:
    """Whether lists, too, tell this person where the unsettled neuron at ``path`` stands.

    To who gave a reading of it; and to who reviews, once they asked to look at it. Everybody else is told how many
    have read it (``Neuron.progress``), wherever they did not open its readings.
    """
    if not isinstance(user, User):
        return Q(pk__in=())
    told = Q(given(user, path))
    if sees_all_readings(user):
        told |= Q(Exists(Reveal.objects.filter(neuron=OuterRef(path), person=user)))
    return told


def told_now(user: Person, neurons: QuerySet[Neuron], hidden: Collection[int]) -> QuerySet[Neuron]:
    """Of these neurons, those of which lists tell this person how others read them; ``hidden`` are ``hidden_from``."""
    return neurons.filter(Q(standing__in=SETTLED) | told_in_passing(user)).exclude(pk__in=hidden)


def can_see_readings(user: Person, neuron: Neuron, *, has_given: bool, is_hidden: bool = False) -> Answer:
    """Independence: until a neuron is settled, others' readings are for those who gave theirs, and for reviewers.

    Args:
        has_given: as ``given`` says.
        is_hidden: whether the neuron is among ``hidden_from(user)``.
    """
    # The same sentence for both: else it would tell which neurons are settled, and a check.
    if not is_hidden and (neuron.is_settled or has_given or sees_all_readings(user)):
        return Allowed()
    return Denied("Others' readings are shown after you have given yours, so that first readings stay independent.")


def can_see_members(is_hidden: bool) -> Answer:
    """Evidence of a family; ``is_hidden`` is whether a neuron that is hidden from this person is a member of it."""
    if is_hidden:
        return Denied("This names a neuron of which you are to give your own reading first: it is shown after that.")
    return Allowed()


def labels_visible_to(user: Person, labels: QuerySet[Label]) -> QuerySet[Label]:
    """``can_see_readings`` for a list: of these labels, those whose neuron's readings this person may see."""
    hidden = hidden_from(user)
    if hidden:
        labels = labels.exclude(~Q(author_id=user.pk), neuron__in=hidden)
    if sees_all_readings(user):
        return labels
    visible = Q(neuron__standing__in=SETTLED)
    if isinstance(user, User):
        visible |= Q(author=user) | Q(given(user))
    return labels.filter(visible)


def discussions_visible_to(user: Person, discussions: QuerySet[Discussion]) -> QuerySet[Discussion]:
    """Of these, those that this person may read: what is said of a neuron tells how it is read.

    Two queries with it.
    """
    visible = Q(neuron=None) | Q(neuron__standing__in=SETTLED) | told_in_passing(user, "neuron")
    visible &= Q(note=None) | readable_notes(user, "note__")
    hidden = hidden_from(user)
    discussed = Claim.objects.filter(discussion__isnull=False)
    visible &= Q(claim=None) | Q(claim__in=claims_visible_to(user, discussed, hidden).order_by().values("pk"))
    return discussions.filter(visible).exclude(neuron__in=hidden)


def comments_visible_to(user: Person, comments: QuerySet[Comment]) -> QuerySet[Comment]:
    """``can_read_comment`` for a list, which tells in passing: of what a moderator hid, everybody their own alone."""
    visible = Q(discussion__in=discussions_visible_to(user, Discussion.objects.all()))
    if isinstance(user, User):
        hidden = Q(discussion__note__hidden_at__isnull=False) | moderated("discussion__claim__")
        visible |= Q(author=user) & hidden
    return comments.filter(visible)


UNREAD = Denied("What is said about this neuron is shown after you have given your own reading of it.")


def can_see_discussion(user: Person, subject: Subject, hidden: Collection[int] | None = None) -> Answer:
    """Of a family or a proposal everybody; of a note or claim who may read it; of a neuron who may see how it is read.

    At most two queries, and three of a claim; one fewer where it is known what is ``hidden_from`` this person.
    """
    if isinstance(subject, Claim):
        return can_see_claim(user, subject, hidden)
    if isinstance(subject, Note):
        return can_read_note(user, subject)
    if not isinstance(subject, Neuron):
        return Allowed()
    if subject.pk not in (hidden_from(user) if hidden is None else hidden):
        told = Q(standing__in=SETTLED) | told_in_passing(user)
        if Neuron.objects.filter(told, pk=subject.pk).exists():
            return Allowed()
    return UNREAD


def can_comment(user: Person, subject: Subject | None = None) -> Answer:
    answer = _takes_part(user, "comment")
    return can_see_discussion(user, subject) if answer and subject is not None else answer


def can_read_comment(user: Person, comment: Comment) -> Answer:
    """Who may see the discussion; and of what a moderator hid, who wrote the comment. As many queries as for that."""
    answer = can_see_discussion(user, comment.discussion.subject)
    return Allowed() if isinstance(answer, Gone) and comment.author_id == user.pk else answer


def can_edit_comment(user: Person, comment: Comment) -> Answer:
    answer = _signed_in(user, "change a comment")
    if answer and comment.author_id != user.pk:
        return Denied("Only its author changes a comment.")
    if answer and comment.hidden_at is not None:
        return Denied("This comment is hidden: write to an admin if you think that it should not be.")
    return answer


def can_resolve(user: Person, comment: Comment) -> Answer:
    """Resolve what somebody began to discuss, or take it up again: its author, the subject's proposer, reviewers."""
    answer = _takes_part(user, "resolve discussions")
    if not answer:
        return answer
    if comment.parent_id is not None:
        return Denied("A reply is resolved with the comment that it replies to.")
    proposal = comment.discussion.proposal or getattr(comment.discussion.family, "proposal", None)
    note, claim = comment.discussion.note, comment.discussion.claim
    own = {one.author_id for one in (comment, proposal, claim) if one is not None}
    involved = own | (note.written_by if note else frozenset())
    if user.pk not in involved and not sees_all_readings(user):
        return Denied(
            "Only who began it, who proposed, wrote or stated what it is about, or a reviewer resolves a discussion."
        )
    return answer


def can_moderate(user: Person) -> Answer:
    """Hide comments, circuit notes and claims that do not belong here, and show them again."""
    answer = _signed_in(user, "hide what people wrote")
    if answer and isinstance(user, User) and user.role != Role.ADMIN:
        return Denied("Only admins hide what people wrote.")
    return answer


STAYS_HIDDEN = "This {} is hidden: write to an admin if you think that it should not be."


def _gone(what: str, one: Note | Claim) -> Gone:
    assert one.hidden_at is not None
    return Gone(f"This {what} was hidden by a moderator on {one.hidden_at:%-d %B %Y}: “{one.hidden_reason}”")


def can_follow(user: Person) -> Answer:
    """Subscribe, mute, be told, and say how."""
    return _signed_in(user, "follow discussions and be told what happens")


def can_read_notification(user: Person, notification: Notification) -> Answer:
    answer = can_follow(user)
    if answer and notification.person_id != user.pk:
        return Denied("This was told to somebody else: only they mark it as read.")
    return answer


def can_review(user: Person, neuron: Neuron | None = None) -> Answer:
    answer = _takes_part(user, "review")
    if answer and isinstance(user, User) and not user.reviews:
        return Denied("Only reviewers and editors accept neurons into families.")
    return answer


def can_arbitrate(user: Person) -> Answer:
    """Decide disputes; ``actions/reviews.py`` asks further that the editor took no part in them."""
    answer = _takes_part(user, "settle disputes")
    if answer and isinstance(user, User) and user.role != Role.EDITOR:
        return Denied("Only editors settle disputes: one who took no part.")
    return answer


def can_reopen(user: Person) -> Answer:
    """Bring new evidence to a contested neuron."""
    return _takes_part(user, "reopen contested neurons")


def can_propose(user: Person) -> Answer:
    return _takes_part(user, "propose families")


def can_decide_proposal(user: Person, proposal: Proposal) -> Answer:
    answer = _takes_part(user, "decide proposals")
    if not answer:
        return answer
    assert isinstance(user, User)
    if proposal.state != ProposalState.OPEN:
        return Denied(f"This proposal is already {proposal.state}.")
    if proposal.author_id == user.pk:
        return Denied("Nobody decides a proposal of their own: another reviewer has to.")
    if not user.reviews:
        return Denied("Only reviewers and editors decide proposals.")
    return Allowed()


def can_withdraw_proposal(user: Person, proposal: Proposal) -> Answer:
    answer = _signed_in(user, "withdraw a proposal")
    if answer and proposal.author_id != user.pk:
        return Denied("Only its author can withdraw a proposal.")
    if answer and proposal.state != ProposalState.OPEN:
        return Denied(f"This proposal is already {proposal.state}.")
    return answer


def can_write_note(user: Person) -> Answer:
    return _takes_part(user, "write circuit notes")


def is_author(user: Person, note: Note) -> bool:
    """Whether this person is named as one, or was asked to be."""
    return any(one.person_id == user.pk and one.ended_at is None for one in note.people)


def can_read_note(user: Person, note: Note) -> Answer:
    """What was submitted once is everybody's to read; what was hidden since, its authors' and admins'."""
    if note.hidden_at is not None and not (is_author(user, note) or can_moderate(user)):
        return _gone("note", note)
    if note.opened_at is not None or is_author(user, note):
        return Allowed()
    return Denied("This note is a draft: only its authors read it until they submit it.")


def readable_from(user: Person, note: Note) -> int:
    """The number of the first version that this person may read, of a note that they may: all later ones, too.

    What was saved before the note was first submitted stays its authors'.
    """
    return 1 if note.opened_with is None or is_author(user, note) else note.opened_with


def can_read_version(user: Person, note: Note, number: int) -> Answer:
    """Of a note that this person may read."""
    if number < 1 or number >= readable_from(user, note):  # there is none below 1, as looking for it tells
        return Allowed()
    return Denied(f"Version {number} was saved before this note was first submitted: only its authors read it.")


def can_edit_note(user: Person, note: Note) -> Answer:
    """Save a version, submit it, take it back, ask others to be authors."""
    answer = can_write_note(user)
    if not answer:
        return answer
    assert isinstance(user, User)
    if user.pk not in note.written_by:
        return Denied("Only its authors change a note. Comment on it, or write a commentary.")
    if note.hidden_at is not None:
        return Denied(STAYS_HIDDEN.format("note"))
    if note.state in (NoteState.WITHDRAWN, NoteState.SUPERSEDED):
        return Denied(f"This note is {note.state}: it stays as it is.")
    return answer


def can_leave_note(user: Person, note: Note) -> Answer:
    """Be an author no longer, or decline to be one; somebody has to answer for a note."""
    answer = _signed_in(user, "leave the authors of a note")
    if not answer:
        return answer
    if not is_author(user, note):
        return Denied("You are not among the authors of this note.")
    answer = can_change_authors(note)
    if answer and note.written_by == {user.pk}:
        return Denied("You are its only author: withdraw the note instead, or ask somebody else first.")
    return answer


def can_change_authors(note: Note) -> Answer:
    """Agree to be one, or leave: of what was withdrawn or superseded, those who answered for it are told for ever."""
    if note.state in (NoteState.WITHDRAWN, NoteState.SUPERSEDED):
        return Denied(f"This note is {note.state}: its authors stay who they are.")
    return Allowed()


def can_review_note(user: Person, note: Note) -> Answer:
    """Approve what was submitted, or ask for changes: an editor who never was an author, and is not asked to be.

    Who was asked and is not any more may decide: else its authors could choose who does not.
    """
    answer = _takes_part(user, "review circuit notes")
    if not answer:
        return answer
    assert isinstance(user, User)
    if user.role != Role.EDITOR:
        return Denied("Only editors decide on circuit notes.")
    if any(one.person_id == user.pk and (one.agreed_at or not one.ended_at) for one in note.people):
        return Denied("Nobody decides on a note of their own: another editor has to.")
    if note.submitted_id is None or note.withdrawn_at is not None:
        return Denied("Nothing of this note is in review.")
    if note.hidden_at is not None:
        return _gone("note", note)
    return answer


def can_see_asked(user: Person, note: Note) -> Answer:
    """Who is asked to be an author, and did not agree: nobody is named without having agreed. All see themselves."""
    if user.pk in note.written_by or can_review_note(user, note):
        return Allowed()
    return Denied("Who is only asked is not named.")


def can_state_claim(user: Person, subject: Note | Family | Neuron | None = None) -> Answer:
    answer = _takes_part(user, "state claims")
    if answer and isinstance(subject, Note):
        answer = can_read_note(user, subject)
        if answer and subject.hidden_at is not None:
            return Denied(STAYS_HIDDEN.format("note"))
        if answer and subject.withdrawn_at is not None:
            return Denied("This note was withdrawn: state the claim on a family or a neuron.")
    elif answer and isinstance(subject, Family) and subject.retired_at is not None:
        return Denied(f"{subject.name} is retired: state the claim on a family that stands, or on a neuron.")
    elif answer and subject is not None:
        answer = can_see_discussion(user, subject)
    return answer


def can_see_claim(user: Person, claim: Claim, hidden: Collection[int] | None = None) -> Answer:
    """One on a draft is for its authors; one on an unsettled neuron waits for this person's own reading of it.

    So does one that names a neuron whose answer is hidden from them. What a moderator hid is for who stated it, and
    for admins. At most three queries; two where it is known what is ``hidden_from`` them.
    """
    if claim.hidden_at is not None and claim.author_id != user.pk and not can_moderate(user):
        return _gone("claim", claim)
    hidden = hidden_from(user) if hidden is None else hidden
    answer = can_see_discussion(user, claim.subject, hidden)
    return can_see_members(claim.neurons.filter(pk__in=hidden).exists()) if answer else answer


def claims_visible_to(user: Person, claims: ClaimQuerySet, hidden: Collection[int] | None = None) -> ClaimQuerySet:
    """``can_see_claim`` for a list. Two queries; one where it is known what is ``hidden_from`` them."""
    visible = Q(neuron=None) | Q(neuron__standing__in=SETTLED) | told_in_passing(user, "neuron")
    found = claims.readable_by(user).filter(visible)
    hidden = hidden_from(user) if hidden is None else hidden
    return found.exclude(pk__in=Claim.objects.naming(hidden)) if hidden else found


def can_run_claim(user: Person, claim: Claim) -> Answer:
    """Experiments cost the workers' time: reviewers and editors start them."""
    answer = _takes_part(user, "run experiments")
    if answer and isinstance(user, User) and not user.reviews:
        return Denied("Experiments cost the workers' time: a reviewer or an editor starts them.")
    note = claim.note if answer else None
    if answer and (claim.hidden_at is not None or (note is not None and note.hidden_at is not None)):
        return Denied(STAYS_HIDDEN.format("claim"))
    if answer and claim.withdrawn_at is not None:
        return Denied("This claim was withdrawn: state it anew to test it.")
    return can_request_evidence(user, claim.network) if answer else answer


def can_withdraw_claim(user: Person, claim: Claim) -> Answer:
    answer = _signed_in(user, "withdraw a claim")
    if answer and claim.author_id != user.pk:
        return Denied("Only who stated a claim withdraws it.")
    if answer and claim.hidden_at is not None:
        return Denied(STAYS_HIDDEN.format("claim"))
    if answer and claim.withdrawn_at is not None:
        return Denied("This claim was withdrawn already.")
    return answer


def can_request_evidence(user: Person, network: Network | None = None) -> Answer:
    answer = _signed_in(user, "request evidence")
    if answer and network is not None and not network.runs:
        return Denied(f"{network.name} is a catalogue without weights: there is nothing to compute with.")
    return answer


def can_control_job(user: Person, job: Job) -> Answer:
    """Cancel or retry: whoever asked for it, editors and admins."""
    answer = _signed_in(user, "cancel or retry jobs")
    if (
        answer
        and isinstance(user, User)
        and job.requested_by_id != user.pk
        and user.role not in (Role.EDITOR, Role.ADMIN)
    ):
        return Denied("Only the person who asked for a job, an editor or an admin can cancel or retry it.")
    return answer


def can_cancel_job(user: Person, job: Job) -> Answer:
    return can_control_job(user, job) if job.is_live else Denied(f"This job is already {job.status}.")


def can_retry_job(user: Person, job: Job) -> Answer:
    """What failed or was cancelled; an experiment only for who may run its claim."""
    if job.is_live:
        return Denied("This job is still running: cancel it first, or wait.")
    if job.shards.filter(comparison__isnull=False).exists():
        return Denied("This was a recipe run again: run it again from the page of its version.")
    if not job.unfinished().exists():
        return Denied("Everything in this job is done: there is nothing to retry.")
    answer = can_control_job(user, job)
    tested = Claim.objects.filter(evidence__in=job.unfinished()).select_related("network").first() if answer else None
    return can_run_claim(user, tested) if tested is not None else answer


def can_keep_catalogue(user: Person) -> Answer:
    """Register networks and image sets."""
    answer = _signed_in(user, "change the catalogue")
    if answer and isinstance(user, User) and user.role != Role.ADMIN:
        return Denied("Only admins register networks and image sets.")
    return answer


def can_import_taxonomy(user: Person) -> Answer:
    answer = _signed_in(user, "import a taxonomy")
    if answer and isinstance(user, User) and user.role not in (Role.EDITOR, Role.ADMIN):
        return Denied("Only editors and admins import a taxonomy.")
    return answer


def can_link_families(user: Person) -> Answer:
    answer = _takes_part(user, "link families")
    if answer and isinstance(user, User) and not user.reviews:
        return Denied("Only reviewers and editors link families.")
    return answer


def can_appoint(user: Person, person: User, role: str) -> Answer:
    """Admins appoint editors (and admins), editors appoint reviewers; nobody changes their own role."""
    answer = _signed_in(user, "appoint")
    if not answer:
        return answer
    assert isinstance(user, User)
    if person.pk == user.pk:
        return Denied("Nobody changes their own role.")
    if person.is_system:
        return Denied("The system user keeps its role.")
    if person.erased_at is not None:
        return Denied("This account was erased: nobody is there to take a role.")
    if user.role == Role.ADMIN:
        return _spared(person) if role != Role.ADMIN else Allowed()
    if user.role == Role.EDITOR and {person.role, role} <= {Role.CONTRIBUTOR, Role.REVIEWER}:
        return Allowed()
    return Denied("Admins appoint editors and admins; editors appoint reviewers.")


def _spared(person: User) -> Answer:
    """Somebody must be left who can appoint others."""
    if person.role == Role.ADMIN and person.is_active:
        admins = User.objects.filter(role=Role.ADMIN, is_active=True, is_system=False)
        if not admins.exclude(pk=person.pk).exists():
            return Denied(f"{person.username} is the last admin: appoint another one first.")
    return Allowed()


def can_see_candidates(user: Person) -> Answer:
    """See who has earned to be a reviewer."""
    answer = _takes_part(user, "confirm reviewers")
    if answer and isinstance(user, User) and user.role != Role.EDITOR:
        return Denied("Only editors confirm reviewers.")
    return answer


def can_confirm_reviewer(user: Person, person: User) -> Answer:
    """An editor confirms a contributor who earned it; whether they did is the action's to count."""
    answer = can_see_candidates(user)
    if not answer:
        return answer
    if person.pk == user.pk:
        return Denied("Nobody changes their own role.")
    if not person.is_active:
        return Denied("This account is closed.")
    if person.role != Role.CONTRIBUTOR:
        return Denied(f"{person.username} is {person.role} already.")
    return Allowed()


def can_block(user: Person, person: User) -> Answer:
    """Close an account, or open it again."""
    answer = _signed_in(user, "block accounts")
    if not answer:
        return answer
    if isinstance(user, User) and user.role != Role.ADMIN:
        return Denied("Only admins block accounts.")
    if person.pk == user.pk:
        return Denied("Nobody blocks themselves.")
    if person.is_system:
        return Denied("The system user cannot be blocked.")
    if person.erased_at is not None:
        return Denied("This account was erased already.")
    return _spared(person)


def can_erase(user: Person, person: User) -> Answer:
    """Everybody may erase themselves, and an admin others."""
    answer = _signed_in(user, "erase an account")
    if not answer:
        return answer
    if person.pk != user.pk and isinstance(user, User) and user.role != Role.ADMIN:
        return Denied("Only its owner, or an admin, erases an account.")
    if person.is_system:
        return Denied("The system user cannot be erased.")
    if person.erased_at is not None:
        return Denied("This account was erased already.")
    return _spared(person)


def can_keep_profile(user: Person) -> Answer:
    """See and change one's own page."""
    return _signed_in(user, "see and change your own page")
