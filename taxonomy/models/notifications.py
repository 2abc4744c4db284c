"""Notifications: what happened that somebody wants to know of, why they are told, and what they muted."""

from django.db import models

from taxonomy.models.discussions import Discussion
from taxonomy.models.events import Event
from taxonomy.models.people import User


class Why(models.TextChoices):
    """Why a person is told. A mention and what is done to one's own work come through a muted discussion, too."""

    MENTIONED = "mentioned", "you were mentioned"
    REPLIED = "replied", "somebody replied to you"
    COMMENTED = "commented", "you commented there"
    SUBSCRIBED = "subscribed", "you subscribed to it"
    LABELLED = "labelled", "you labelled the neuron"
    PROPOSED = "proposed", "it is your proposal"
    OBJECTED = "objected", "you objected"
    MISSED = "missed", "you said that this evidence was missing"
    WROTE = "wrote", "you are one of its authors"
    STATED = "stated", "it is your claim"
    ROLE = "role", "it is about your role"


class SubscriptionQuerySet(models.QuerySet["Subscription"]):
    def listed(self) -> "SubscriptionQuerySet":
        """Without those of notes and claims that a moderator hid."""
        stated = {"discussion__claim__hidden_at": None, "discussion__claim__note__hidden_at": None}
        return self.filter(discussion__note__hidden_at=None, **stated)


class Subscription(models.Model):
    """A person follows a discussion, or has muted it. By taking part one subscribes; muting is never undone by that."""

    person = models.ForeignKey(User, models.PROTECT, related_name="subscriptions")
    discussion = models.ForeignKey(Discussion, models.PROTECT, related_name="subscriptions")
    why = models.CharField(max_length=12, choices=Why, default=Why.SUBSCRIBED)
    muted = models.BooleanField(default=False)
    at = models.DateTimeField(auto_now_add=True)

    objects = SubscriptionQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["person", "discussion"], name="subscription_is_one_a_discussion")
        ]

    def __str__(self) -> str:
        return f"{self.person} {'muted' if self.muted else 'follows'} {self.discussion_id}"


class Notification(models.Model):
    """One event for one person, with the reason for telling it."""

    person = models.ForeignKey(User, models.PROTECT, related_name="notifications")
    event = models.ForeignKey(Event, models.PROTECT, related_name="notifications")
    why = models.CharField(max_length=12, choices=Why)
    at = models.DateTimeField(auto_now_add=True)
    read_at = models.DateTimeField(null=True, blank=True)
    mailed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["person", "event"], name="notification_is_one_an_event"),
        ]
        indexes = [
            models.Index(fields=["person"], condition=models.Q(read_at=None), name="notification_unread"),
        ]

    def __str__(self) -> str:
        return f"{self.event} for {self.person}"
