"""Circuit notes: what people wrote about how neurons work together, in numbered versions that are never changed."""

import datetime
import uuid
from typing import NotRequired, TypedDict

import pgtrigger
from django.contrib.auth.models import AnonymousUser
from django.db import models
from django.db.models.functions import Coalesce
from django.urls import reverse
from django.utils.functional import cached_property

from taxonomy.models.families import Family
from taxonomy.models.fields import Line, Prose
from taxonomy.models.networks import Network, Neuron
from taxonomy.models.people import Role, User


class Node(TypedDict):
    """A neuron or a family in a subgraph: one of ``neuron`` (layer:index) and ``family`` (its public id).

    ``x`` and ``y`` are where it was put by hand, in units of the drawing; both 0 until then. It keeps to its layer's
    column: of ``x`` counts where it stands beside others of its layer.
    """

    id: str
    neuron: str
    family: str
    x: float
    y: float


class Edge(TypedDict):
    """``weight`` is the entry of largest magnitude of the kernel between two nodes, of opposite sign where it
    inhibits; ``evidence`` the public id of the version that it was read from, empty for one that was drawn by hand.
    ``unheld`` is True where that evidence does not show that it reaches the circuit's threshold."""

    source: str
    target: str
    weight: float
    evidence: str
    unheld: NotRequired[bool]


class Grown(TypedDict):
    """What the rule gave that a subgraph began with: the strongest inputs of ``neuron``, and theirs, ``depth`` layers
    deep. ``neurons`` are all that it gave, ``unknown`` those of them that were not followed further because their own
    weights were not made yet; ``left`` counts the inputs that are known to be too many, and ``unlisted`` are those
    whose evidence lists no input that falls short: more than it lists may reach the threshold."""

    neuron: str
    depth: int
    neurons: list[str]
    unknown: list[str]
    left: int
    unlisted: NotRequired[list[str]]


class Subgraph(TypedDict):
    nodes: list[Node]
    edges: list[Edge]
    threshold: float
    grown: NotRequired[Grown]


class Motif(models.TextChoices):
    """What circuits have been found to do again and again (Olah et al., "Zoom In", Distill 2020)."""

    EQUIVARIANCE = "equivariance"
    UNION = "union over cases"
    INVARIANCE = "invariance"
    OPPOSITION = "excitation and inhibition by orientation"


class NoteState(models.TextChoices):
    DRAFT = "draft"
    IN_REVIEW = "in review"
    PUBLISHED = "published"
    CORRECTED = "corrected"
    SUPERSEDED = "superseded"
    WITHDRAWN = "withdrawn"


class NoteQuerySet(models.QuerySet["Note"]):
    def readable_by(self, user: User | AnonymousUser) -> "NoteQuerySet":
        """What was submitted once is everybody's to read, until it is hidden; a draft is its authors'.

        What is hidden, its page alone tells, to its authors and admins (``permissions.can_read_note``).
        """
        return self.filter(readable_notes(user))

    def titled(self) -> "NoteQuerySet":
        """With their titles, where many are named."""
        newest = NoteVersion.objects.filter(note=models.OuterRef("pk")).order_by("-number")
        title = Coalesce("published__title", "submitted__title", models.Subquery(newest.values("title")[:1]))
        return self.annotate(title=title)

    def in_review(self) -> "NoteQuerySet":
        """Those of which a version waits for an editor, the one that waits longest first."""
        return self.filter(submitted__isnull=False, withdrawn_at=None, hidden_at=None).order_by("submitted")

    def in_thread(self) -> "NoteQuerySet":
        """What was published, in the order of its numbers. The number of one that is hidden is not given again."""
        return self.filter(number__isnull=False, hidden_at=None).order_by("number")


def readable_notes(user: User | AnonymousUser, path: str = "") -> models.Q:
    """The condition of ``NoteQuerySet.readable_by``, for rows that lead to a note over ``path`` (``"note__"``)."""
    found = models.Q((f"{path}opened_at__isnull", False))
    if isinstance(user, User):
        own = Authorship.objects.current().filter(note=models.OuterRef(f"{path}pk"), person=user)
        found |= models.Q(models.Exists(own))
    return found & models.Q((f"{path}hidden_at", None))


class Note(models.Model):
    """A circuit note, or a commentary (a note ``about`` a note). What it says stands in its versions.

    Its state follows from what happened to it. Once submitted it stays readable to everybody, whatever comes of it.
    """

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    network = models.ForeignKey(Network, models.PROTECT, related_name="notes")
    about = models.ForeignKey("self", models.PROTECT, null=True, blank=True, related_name="commentaries")
    number = models.PositiveIntegerField(null=True, blank=True, help_text="its place in the network's thread")
    created_by = models.ForeignKey(User, models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    opened_at = models.DateTimeField(null=True, blank=True, help_text="when it was first submitted")
    opened_with = models.PositiveIntegerField(
        null=True, blank=True, help_text="the number of the version that was submitted first"
    )
    submitted = models.ForeignKey("NoteVersion", models.PROTECT, null=True, blank=True, related_name="+")
    published = models.ForeignKey("NoteVersion", models.PROTECT, null=True, blank=True, related_name="+")
    published_at = models.DateTimeField(null=True, blank=True, help_text="when it was first published")
    corrected_at = models.DateTimeField(null=True, blank=True, help_text="when its latest correction was published")
    superseded_by = models.ForeignKey("self", models.PROTECT, null=True, blank=True, related_name="supersedes")
    withdrawn_at = models.DateTimeField(null=True, blank=True)
    withdrawn_reason = Prose(blank=True, max_length=2_000)
    hidden_at = models.DateTimeField(null=True, blank=True, help_text="when a moderator took it from view")
    hidden_by = models.ForeignKey(User, models.PROTECT, null=True, blank=True, related_name="+")
    hidden_reason = models.CharField(max_length=500, blank=True)
    licence = models.CharField(max_length=40, default="CC-BY 4.0")
    doi = Line(max_length=200, blank=True)
    # What the version names that its page shows (``shown``), for "what links here".
    neurons: "models.ManyToManyField[Neuron, models.Model]" = models.ManyToManyField(
        Neuron, blank=True, related_name="notes"
    )
    families: "models.ManyToManyField[Family, models.Model]" = models.ManyToManyField(
        Family, blank=True, related_name="notes"
    )
    notes: "models.ManyToManyField[Note, models.Model]" = models.ManyToManyField(
        "self", symmetrical=False, blank=True, related_name="noted_by"
    )

    objects = NoteQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["network", "number"], name="note_number_is_unique_in_network"),
            models.CheckConstraint(
                condition=models.Q(number=None, published=None, published_at=None)
                | models.Q(number__isnull=False, published__isnull=False, published_at__isnull=False),
                name="note_published_has_a_number",
            ),
            models.CheckConstraint(
                condition=models.Q(submitted=None, published=None) | models.Q(opened_at__isnull=False),
                name="note_in_review_is_open",
            ),
            models.CheckConstraint(
                condition=models.Q(opened_at=None, opened_with=None)
                | models.Q(opened_at__isnull=False, opened_with__isnull=False),
                name="note_opens_with_a_version",
            ),
            models.CheckConstraint(condition=~models.Q(about=models.F("id")), name="note_is_not_about_itself"),
            models.CheckConstraint(
                condition=~models.Q(superseded_by=models.F("id")), name="note_does_not_supersede_itself"
            ),
        ]

    def __str__(self) -> str:
        return f"Note {self.number} of {self.network}" if self.number else f"Note of {self.network}"

    def get_absolute_url(self) -> str:
        return reverse("note", args=[self.public_id])

    @property
    def state(self) -> NoteState:
        if self.withdrawn_at is not None:
            return NoteState.WITHDRAWN
        if self.superseded_by_id is not None:
            return NoteState.SUPERSEDED
        if self.published_id is not None:
            return NoteState.CORRECTED if self.corrected_at is not None else NoteState.PUBLISHED
        return NoteState.IN_REVIEW if self.submitted_id is not None else NoteState.DRAFT

    @cached_property
    def people(self) -> "list[Authorship]":
        """Everybody who was ever asked to be an author, in the order in which they are named. Read once."""
        return list(self.authorships.select_related("person").order_by("order", "pk"))

    @property
    def authors(self) -> "list[Authorship]":
        """Those who agreed to be named."""
        return [one for one in self.people if one.ended_at is None and one.agreed_at is not None]

    @property
    def written_by(self) -> frozenset[int]:
        """Its authors by primary key."""
        return frozenset(one.person_id for one in self.authors)

    @cached_property
    def title(self) -> str:
        """What its page is called (``NoteQuerySet.titled``)."""
        return self.shown.title

    @property
    def latest(self) -> "NoteVersion":
        """The last one that was saved."""
        return self.versions.order_by("-number")[0]

    @property
    def shown(self) -> "NoteVersion":
        """What its page shows: what was published, or else what is in review, or else the last one saved."""
        return self.published or self.submitted or self.latest


@pgtrigger.register(
    pgtrigger.Protect(name="note_versions_are_kept", operation=pgtrigger.Update | pgtrigger.Delete),
)
class NoteVersion(models.Model):
    """What a note said at one time: every time it was saved. Never changed."""

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    note = models.ForeignKey(Note, models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    title = Line(max_length=200)
    abstract = Prose(blank=True, max_length=3_000)
    body = Prose(blank=True, max_length=100_000)
    selection = Prose(blank=True, max_length=3_000, help_text="how its neurons were chosen, in words")
    bibliography = Prose(blank=True, max_length=100_000, help_text="BibTeX")
    subgraph = models.JSONField(default=dict, blank=True)
    motifs = models.JSONField(default=list, blank=True)
    summary = Line(max_length=300, blank=True, help_text="what was changed, or corrected")
    saved_by = models.ForeignKey(User, models.PROTECT, related_name="+")
    saved_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["note_id", "number"]
        constraints = [models.UniqueConstraint(fields=["note", "number"], name="note_version_number_is_unique")]

    def __str__(self) -> str:
        return f"{self.title} (version {self.number})"

    def get_absolute_url(self) -> str:
        return reverse("note_version", args=[self.note.public_id, self.number])

    @cached_property
    def approved_at(self) -> datetime.datetime | None:
        """When an editor approved it, which published it. Read once."""
        if self.pk == self.note.published_id:  # its note knows
            return self.note.corrected_at or self.note.published_at
        approved = self.reviews.filter(decision=NoteDecision.APPROVE)
        return approved.order_by("pk").values_list("at", flat=True).first()


class AuthorshipQuerySet(models.QuerySet["Authorship"]):
    def current(self) -> "AuthorshipQuerySet":
        """Those who may write. Who was asked may read the draft, and is named once they agreed."""
        return self.filter(ended_at=None)

    def told_to(self, user: User | AnonymousUser) -> "AuthorshipQuerySet":
        """``permissions.can_see_asked`` for a list: nobody is named to others without having agreed."""
        told = models.Q(agreed_at__isnull=False)
        if isinstance(user, User):
            told |= models.Q(person=user) | models.Q(note__in=Authorship.objects.written_by(user))
            if user.role == Role.EDITOR:
                own = Authorship.objects.filter(person=user, note=models.OuterRef("note"))
                own = own.filter(models.Q(agreed_at__isnull=False) | models.Q(ended_at=None))
                told |= models.Q(note__submitted__isnull=False) & ~models.Q(models.Exists(own))
        return self.filter(told)

    def written_by(self, user: User) -> "models.QuerySet[Authorship, int]":
        """The notes of which this person is an author, by primary key."""
        return self.named().filter(person=user).order_by().values_list("note", flat=True)

    def named(self) -> "AuthorshipQuerySet":
        return self.current().filter(agreed_at__isnull=False).order_by("order", "pk")


class Authorship(models.Model):
    """A person as an author of a note, and what they contributed. Nobody is named without having agreed."""

    note = models.ForeignKey(Note, models.PROTECT, related_name="authorships")
    person = models.ForeignKey(User, models.PROTECT, related_name="authorships")
    contribution = Line(max_length=300, blank=True)
    order = models.PositiveSmallIntegerField(default=0)
    added_by = models.ForeignKey(User, models.PROTECT, related_name="+")
    added_at = models.DateTimeField(auto_now_add=True)
    agreed_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)

    objects = AuthorshipQuerySet.as_manager()

    class Meta:
        ordering = ["note_id", "order", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["note", "person"], condition=models.Q(ended_at=None), name="authorship_is_current_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.person} of {self.note}"


class NoteDecision(models.TextChoices):
    APPROVE = "approve"
    REQUEST_CHANGES = "request changes"


@pgtrigger.register(
    pgtrigger.Protect(name="note_reviews_are_kept", operation=pgtrigger.Update | pgtrigger.Delete),
)
class NoteReview(models.Model):
    """What an editor decided on a version that was submitted."""

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    version = models.ForeignKey(NoteVersion, models.PROTECT, related_name="reviews")
    reviewer = models.ForeignKey(User, models.PROTECT, related_name="note_reviews")
    decision = models.CharField(max_length=16, choices=NoteDecision)
    comment = Prose(blank=True)
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(decision__in=NoteDecision.values), name="note_review_decision_is_known"
            )
        ]

    def __str__(self) -> str:
        return f"{self.decision} on {self.version}"
