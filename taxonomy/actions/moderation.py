"""Hiding a circuit note or a claim that does not belong here, and showing it again. Nothing is deleted.

Comments are hidden in ``actions.discussions``, by the same rule.
"""

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from taxonomy import events
from taxonomy.actions import notifications
from taxonomy.models import Claim, Note, User, Why
from taxonomy.models.fields import refuse_null
from taxonomy.permissions import Refused, can_moderate, require

Hideable = Note | Claim

LONGEST_REASON = 500


@transaction.atomic
def hide(user: User, one: Hideable, reason: str) -> Hideable:
    """Take a note or a claim from view. Its page keeps its place, and says when it was hidden, and why.

    Its authors and admins still read it there. What it names, its runs and its number in the thread stay as they are.

    Raises:
        Refused: to everybody but admins, when it is hidden, and while it is a draft.
        ValidationError: without a reason, or with too long a one.
    """
    require(can_moderate(user))
    one = _locked(one)
    if one.hidden_at is not None:
        raise Refused(f"This {_noun(one)} is hidden already.")
    note = one if isinstance(one, Note) else one.note
    if note is not None and note.opened_at is None:
        raise Refused("This is on a draft, which only its authors read until they submit it: there is nothing to hide.")
    one.hidden_at, one.hidden_by, one.hidden_reason = timezone.now(), user, reason_of(reason, _noun(one))
    return _saved(user, one, "hidden")


@transaction.atomic
def unhide(user: User, one: Hideable) -> Hideable:
    """Show a hidden note or claim again, as it was.

    Raises:
        Refused: to everybody but admins, and when it is not hidden.
    """
    require(can_moderate(user))
    one = _locked(one)
    if one.hidden_at is None:
        raise Refused(f"This {_noun(one)} is not hidden.")
    one.hidden_at, one.hidden_by, one.hidden_reason = None, None, ""
    return _saved(user, one, "shown")


def reason_of(reason: str, noun: str) -> str:
    """The reason in one line.

    Raises:
        ValidationError: for none, or too long a one.
    """
    reason = " ".join(reason.split())
    if not reason:
        raise ValidationError({"reason": f"Say why: it stands in the {noun}'s place."})
    if len(reason) > LONGEST_REASON:
        raise ValidationError({"reason": f"A reason has at most {LONGEST_REASON} characters."})
    refuse_null(reason, "reason")
    return reason


def _noun(one: Hideable) -> str:
    return "note" if isinstance(one, Note) else "claim"


def _locked(one: Hideable) -> Hideable:
    """As it stands now, held until the end of the transaction."""
    if isinstance(one, Note):
        return Note.objects.select_for_update(of=("self",), no_key=True).select_related("network").get(pk=one.pk)
    claims = Claim.objects.select_for_update(of=("self",), no_key=True)
    return claims.select_related("network", "note", "family__layer", "neuron__layer").get(pk=one.pk)


def _saved(user: User, one: Hideable, verb: str) -> Hideable:
    """Keep it so, with the event; who wrote or stated it is told."""
    one.save(update_fields=["hidden_at", "hidden_by", "hidden_reason"])
    if isinstance(one, Note):
        notifications.tell(events.record(user, f"note.{verb}", note=one), notifications.authors(one.pk))
    else:
        notifications.tell(events.record(user, f"claim.{verb}", claim=one), {one.author_id: Why.STATED})
    return one
