"""Telling people of what happened, each with the reason why; and muting."""

from collections.abc import Mapping

from taxonomy.models import Discussion, Event, Notification, Subscription, User, Why

# What comes through a discussion that one has muted: it is said to oneself, or about oneself.
PERSONAL = (Why.MENTIONED, Why.ROLE)


def tell(event: Event, people: Mapping[int, Why], discussion: Discussion | None = None) -> None:
    """Tell these people (by primary key) of an event, in its transaction. Nobody is told of what they did themselves.

    Args:
        people: for each, the reason that they read with it.
        discussion: where it happened; who muted it hears only what is personal.
    """
    muted = set()
    if discussion is not None:
        quiet = Subscription.objects.filter(discussion=discussion, muted=True, person__in=people)
        muted = set(quiet.values_list("person", flat=True))
    told = {pk: why for pk, why in people.items() if pk != event.actor_id and (pk not in muted or why in PERSONAL)}
    there = User.objects.filter(pk__in=told, is_active=True, is_system=False).values_list("pk", flat=True)
    Notification.objects.bulk_create(
        [Notification(person_id=pk, event=event, why=told[pk]) for pk in there], ignore_conflicts=True
    )
