"""Events: one row for each change, written once. Activity, history and credits all read it."""

import re
from collections.abc import Collection, Sequence
from typing import Any

import pgtrigger
from django.contrib.auth.models import AnonymousUser
from django.db import models
from django.urls import reverse

from taxonomy.models.claims import Claim, ClaimNeuron
from taxonomy.models.discussions import Comment, Discussion, Subject
from taxonomy.models.evidence import Evidence
from taxonomy.models.families import Family
from taxonomy.models.images import ImageSet
from taxonomy.models.jobs import Job
from taxonomy.models.labels import Label, Reveal
from taxonomy.models.networks import SETTLED, Layer, Network, Neuron
from taxonomy.models.notes import Authorship, Note, readable_notes
from taxonomy.models.people import Role, User
from taxonomy.models.proposals import Proposal
from taxonomy.models.reviews import Review

# What these tell of a neuron goes beyond "n of 3 readings": what was decided, agreed or said there.
TELLING = r"^(neuron|review|need|comment|gold|claim)\."
# What happens to a claim itself; other events that name one happen to what it is on.
OF_CLAIMS = "claim.", "comment."
CLAIMED = models.Q(verb__startswith=OF_CLAIMS[0]) | models.Q(verb__startswith=OF_CLAIMS[1])

# Of what was hidden these say no more than that.
HIDING = "note.hidden", "claim.hidden"

# What names somebody who did not agree to be named.
ASKING, LEFT = ("note.author_asked", "note.author_unasked"), "note.author_left"

Hidden = Collection[int] | Sequence[models.QuerySet[Any]]


def told(user: User | AnonymousUser, hidden: Hidden = (), path: str = "") -> models.Q:
    """What keeps of events what this person may know (``EventQuerySet.visible_to``).

    Args:
        hidden: settled neurons whose answer is hidden from this person; or the rows of which each hides its neuron.
        path: to the event, for rows that lead to one, such as ``event__``.
    """
    telling = models.Q((f"{path}verb__regex", TELLING), (f"{path}neuron__isnull", False))
    unread = ~models.Q((f"{path}neuron__standing__in", SETTLED))
    if isinstance(user, User):
        neuron = models.OuterRef(f"{path}neuron")
        unread &= ~models.Q(models.Exists(Label.objects.given_by(user).filter(neuron=neuron)))
        if user.reviews:  # who reviews may look without having read, and the look is recorded
            unread &= ~models.Q(models.Exists(Reveal.objects.filter(person=user, neuron=neuron)))
    kept = ~(telling & (unread | _hidden(hidden, f"{path}neuron")))
    if hidden:
        named = ClaimNeuron.objects.filter(_hidden(hidden, "neuron"), claim=models.OuterRef(f"{path}claim"))
        kept &= ~models.Q(models.Exists(named))
    # That something was hidden is everybody's to know, and what it was nobody's.
    hiding = models.Q((f"{path}verb__in", HIDING))
    kept &= models.Q((f"{path}note", None)) | readable_notes(user, f"{path}note__") | hiding
    of_claims = models.Q(*((f"{path}verb__startswith", verb) for verb in OF_CLAIMS), _connector=models.Q.OR)
    kept &= models.Q((f"{path}claim__hidden_at", None)) | ~of_claims | hiding
    asking = models.Q((f"{path}verb__in", ASKING))
    asking |= models.Q((f"{path}verb", LEFT), (f"{path}data__contains", {"declined": True}))
    if isinstance(user, User):
        asking &= ~models.Q((f"{path}person", user)) & ~models.Q(
            (f"{path}note__in", Authorship.objects.written_by(user))
        )
    kept &= ~asking
    if not (isinstance(user, User) and user.role == Role.EDITOR):
        # Which neurons are gold is for those who mark them: whoever knows is no longer checked by them.
        kept &= ~models.Q((f"{path}verb__startswith", "gold."))
    return kept


def _hidden(hidden: Hidden, path: str) -> models.Q:
    """Whether the neuron at ``path`` is hidden.

    Rows are asked of each neuron by itself: by a list of all that they hide, Postgres would look through every event
    for a few notifications.
    """
    is_hidden = models.Q((f"{path}__in", [found for found in hidden if isinstance(found, int)]))
    for found in hidden:
        if not isinstance(found, int):
            is_hidden |= models.Q(models.Exists(found.filter(neuron=models.OuterRef(path))))
    return is_hidden


class EventQuerySet(models.QuerySet["Event"]):
    def visible_to(self, user: User | AnonymousUser, hidden: Hidden = ()) -> "EventQuerySet":
        """Without what would tell this person, before they gave their own reading, how a neuron is read by others.

        Args:
            hidden: settled neurons whose answer is hidden from this person (``permissions.hidden_from``).
        """
        return self.filter(told(user, hidden))

    def of(self, discussion: Discussion) -> "EventQuerySet":
        """What happened to its subject (``Event.subject``), what is said about it included."""
        if discussion.proposal_id:
            return self.filter(proposal=discussion.proposal_id)
        if discussion.claim_id:
            return self.filter(CLAIMED, claim=discussion.claim_id)
        found = self.exclude(CLAIMED, claim__isnull=False)
        if discussion.note_id:
            return found.filter(note=discussion.note_id)
        if discussion.neuron_id:
            return found.filter(proposal=None, neuron=discussion.neuron_id)
        return found.filter(proposal=None, neuron=None, family=discussion.family_id)


@pgtrigger.register(
    pgtrigger.Protect(name="events_are_kept", operation=pgtrigger.Update | pgtrigger.Delete),
)
class Event(models.Model):
    """Who did what (a dotted verb such as ``label.added``), to which rows. Holds no personal text."""

    at = models.DateTimeField(auto_now_add=True, db_index=True)
    actor = models.ForeignKey(User, models.PROTECT, related_name="events")
    verb = models.CharField(max_length=40)
    network = models.ForeignKey(Network, models.PROTECT, null=True, related_name="events")
    layer = models.ForeignKey(Layer, models.PROTECT, null=True, related_name="events")
    neuron = models.ForeignKey(Neuron, models.PROTECT, null=True, related_name="events")
    family = models.ForeignKey(Family, models.PROTECT, null=True, related_name="events")
    image_set = models.ForeignKey(ImageSet, models.PROTECT, null=True, related_name="events")
    label = models.ForeignKey(Label, models.PROTECT, null=True, related_name="events")
    review = models.ForeignKey(Review, models.PROTECT, null=True, related_name="events")
    proposal = models.ForeignKey(Proposal, models.PROTECT, null=True, related_name="events")
    evidence = models.ForeignKey(Evidence, models.PROTECT, null=True, related_name="events")
    job = models.ForeignKey(Job, models.PROTECT, null=True, related_name="events")
    comment = models.ForeignKey(Comment, models.PROTECT, null=True, related_name="events")
    note = models.ForeignKey(Note, models.PROTECT, null=True, related_name="events")
    claim = models.ForeignKey(Claim, models.PROTECT, null=True, related_name="events")
    person = models.ForeignKey(User, models.PROTECT, null=True, related_name="events_about")
    data = models.JSONField(default=dict, blank=True)

    objects = EventQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.actor} {self.verb}"

    def get_absolute_url(self) -> str:
        """Where what happened is to be seen."""
        seen = self.comment or self.subject or self.job or self.layer or self.network
        if seen is not None:
            return seen.get_absolute_url()
        return reverse("person", args=[self.person.username]) if self.person else reverse("activity")

    @property
    def is_telling(self) -> bool:
        """Whether it says more of a neuron than how many have read it."""
        return self.family_id is not None or re.match(TELLING, self.verb) is not None

    @property
    def subject(self) -> Subject | None:
        """What it happened to and people talk about, if anything."""
        if self.claim is not None and self.verb.startswith(OF_CLAIMS):
            return self.claim
        return self.proposal or self.note or self.neuron or self.family
