"""Everything that the site holds of one person, for that person to take along."""

from typing import Any

from allauth.account.models import EmailAddress

from taxonomy.models import (
    Authorship,
    Claim,
    Comment,
    Event,
    Gold,
    Job,
    Label,
    Lease,
    NoteReview,
    NoteVersion,
    Proposal,
    Reveal,
    Review,
    Run,
    Subscription,
    User,
)
from taxonomy.permissions import notifications_of

WHERE = ("neuron__layer__network__name", "neuron__layer__name", "neuron__index")


def everything_of(person: User) -> dict[str, Any]:
    """As plain values for JSON; times in ISO 8601, in UTC."""
    return {
        "account": _account(person),
        "labels": [_label(label) for label in _labels(person)],
        "reviews": list(Review.objects.filter(reviewer=person).values("at", "decision", "comment", *WHERE)),
        "proposals": list(
            Proposal.objects.filter(author=person).values(
                "public_id", "created_at", "state", "name", "remark", "layer__network__name", "layer__name"
            )
        ),
        "comments": [
            {
                "id": comment.public_id,
                "at": comment.created_at,
                "text": comment.text,
                "wordings": [{"at": wording.at, "text": wording.text} for wording in comment.wordings.all()],
            }
            for comment in Comment.objects.filter(author=person).prefetch_related("wordings")
        ],
        "authorships": list(
            Authorship.objects.filter(person=person).values(
                "note__public_id", "contribution", "order", "added_at", "agreed_at", "ended_at"
            )
        ),
        "note versions": list(
            NoteVersion.objects.filter(saved_by=person).values(
                *("public_id", "note__public_id", "number", "saved_at", "title", "abstract", "body", "selection"),
                *("bibliography", "subgraph", "motifs", "summary"),
            )
        ),
        "note reviews": list(
            NoteReview.objects.filter(reviewer=person).values("version__public_id", "at", "decision", "comment")
        ),
        "claims": list(
            Claim.objects.filter(author=person).values(
                *("public_id", "network__name", "stated_at", "kind", "sentence", "rationale", "plan"),
                *("withdrawn_at", "withdrawn_reason", "hidden_at", "hidden_reason"),
            )
        ),
        "runs": list(
            Run.objects.filter(requested_by=person).values("claim__public_id", "number", "requested_at", "ruling")
        ),
        "jobs": list(Job.objects.filter(requested_by=person).values("public_id", "title", "created_at", "status")),
        "subscriptions": list(Subscription.objects.filter(person=person).values("discussion", "why", "muted", "at")),
        "notifications": list(notifications_of(person).values("at", "why", "event__verb", "read_at", "mailed_at")),
        "looks": list(Reveal.objects.filter(person=person).values("at", *WHERE)),
        "handed out": list(Lease.objects.filter(person=person).values("taken_at", "ended_at", *WHERE)),
        "gold marks": list(Gold.objects.filter(marked_by=person).values("at", "ended_at", "reason", *WHERE)),
        "roles": list(person.appointments.values("at", "before", "role", "way", "reason", "by__username")),
        "blocks": list(person.blocks.values("at", "reason", "ended_at", "ended_reason")),
        "events": list(Event.objects.filter(actor=person).values("at", "verb")),
    }


def _account(person: User) -> dict[str, Any]:
    return {
        "user name": person.username,
        "role": person.role,
        "affiliation": person.affiliation,
        "here since": person.date_joined,
        "credited under a pseudonym": person.pseudonymous,
        "single letters act on pages": person.shortcuts,
        "mail digest": person.digest,
        "terms": {"version": person.terms_version, "accepted": person.terms_accepted_at},
        "mail addresses": list(EmailAddress.objects.filter(user=person).values("email", "verified", "primary")),
        "linked accounts": list(person.socialaccount_set.values("provider", "uid", "extra_data", "date_joined")),
    }


def _labels(person: User) -> Any:
    found = Label.objects.filter(author=person).select_related("neuron__layer__network", "family")
    return found.prefetch_related("further")


def _label(label: Label) -> dict[str, Any]:
    return {
        "id": label.public_id,
        "at": label.created_at,
        "neuron": str(label.neuron),
        "verdict": label.verdict,
        "family": label.family.name if label.family else None,
        "no finer": label.no_finer,
        "further families": [family.name for family in label.further.all()],
        "missing evidence": label.missing_evidence,
        "suggested name": label.suggested_name,
        "confidence": label.confidence,
        "note": label.note,
        "blind": label.blind,
        "superseded": label.superseded_at,
        "taken back": label.undone_at,
    }
