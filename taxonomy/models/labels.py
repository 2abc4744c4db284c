"""Labels: one contributor's reading of one neuron, kept for ever; and what was revealed to whom."""

import datetime
import uuid

import pgtrigger
from django.db import models
from django.utils import timezone

from taxonomy.models.evidence import EvidenceVersion
from taxonomy.models.families import Confidence, Family
from taxonomy.models.fields import Line, Prose
from taxonomy.models.networks import Neuron, Standing
from taxonomy.models.people import User


class Verdict(models.TextChoices):
    FAMILY = "family"
    CANNOT_TELL = "cannot tell"
    NONE_OF_THESE = "none of these"


# So long a label can be taken back; from then on, or from a reveal asked for before, it counts as given.
UNDO = datetime.timedelta(minutes=1)


class LabelQuerySet(models.QuerySet["Label"]):
    def current(self) -> "LabelQuerySet":
        return self.filter(superseded_at=None)

    def with_rows(self) -> "LabelQuerySet":
        """With all that a label is told with."""
        return self.select_related("neuron__layer__network", "author", "family").prefetch_related("further")

    def given_by(self, user: User) -> "LabelQuerySet":
        """This person's that can no longer be taken back: a minute old, or followed by a look at what others read."""
        # A look from before the reading, at what was settled then, does not end the minute.
        looks = Reveal.objects.filter(neuron=models.OuterRef("neuron"), person=user)
        since = models.Exists(looks.filter(at__gte=models.OuterRef("created_at")))
        return self.filter(
            models.Q(created_at__lte=timezone.now() - UNDO) | models.Q(since), author=user, undone_at=None
        )


@pgtrigger.register(
    pgtrigger.Protect(name="labels_are_kept", operation=pgtrigger.Delete),
    pgtrigger.ReadOnly(name="labels_are_only_superseded", exclude=["superseded_at", "undone_at"]),
)
class Label(models.Model):
    """A family, or 'cannot tell from this evidence', or 'none of these'. One current label a person and neuron."""

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    neuron = models.ForeignKey(Neuron, models.PROTECT, related_name="labels")
    author = models.ForeignKey(User, models.PROTECT, related_name="labels")
    verdict = models.CharField(max_length=16, choices=Verdict)
    family = models.ForeignKey(Family, models.PROTECT, null=True, blank=True, related_name="labels")
    no_finer = models.BooleanField(default=False, help_text="this family and no finer than it")
    missing_evidence = models.CharField(max_length=40, blank=True, help_text="the kind that 'cannot tell' asks for")
    suggested_name = Line(max_length=120, blank=True, help_text="what 'none of these' would call it")
    further = models.ManyToManyField(Family, blank=True, related_name="+", help_text="a polysemantic neuron's others")
    polysemantic = models.BooleanField(default=False)
    confidence = models.CharField(max_length=8, choices=Confidence, default=Confidence.MEDIUM)
    note = Prose(blank=True)
    blind = models.BooleanField(help_text="nothing about this neuron was settled, or had been revealed to its author")
    seen = models.ManyToManyField(EvidenceVersion, blank=True, related_name="+")
    submission = models.UUIDField(null=True, blank=True, help_text="the sender's own key: sent twice, taken once")
    gold = models.BooleanField(default=False, help_text="given on a gold neuron whose answer was hidden")
    follows = models.ForeignKey(
        "self", models.PROTECT, null=True, blank=True, related_name="+", help_text="the label that this one carries on"
    )
    created_at = models.DateTimeField(auto_now_add=True)
    superseded_at = models.DateTimeField(null=True, blank=True)
    undone_at = models.DateTimeField(null=True, blank=True)

    objects = LabelQuerySet.as_manager()

    class Meta:
        ordering = ["created_at", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["neuron", "author"], condition=models.Q(superseded_at=None), name="label_is_current_once"
            ),
            models.UniqueConstraint(
                fields=["author", "submission", "neuron"],
                condition=models.Q(submission__isnull=False),
                name="label_is_submitted_once",
            ),
            models.CheckConstraint(
                condition=models.Q(undone_at=None) | models.Q(superseded_at__isnull=False), name="label_undone_is_over"
            ),
            models.CheckConstraint(
                condition=(
                    models.Q(verdict="family", family__isnull=False, missing_evidence="", suggested_name="")
                    | models.Q(
                        verdict="cannot tell", family=None, no_finer=False, suggested_name="", polysemantic=False
                    )
                    | models.Q(verdict="none of these", family=None, no_finer=False, missing_evidence="")
                ),
                name="label_says_one_thing",
            ),
        ]
        indexes = [models.Index(fields=["author", "superseded_at"], name="label_by_author")]

    def __str__(self) -> str:
        return f"{self.author} on {self.neuron}: {self.family.name if self.family else self.verdict}"

    @property
    def others(self) -> list[Family]:
        """The further families; only a polysemantic neuron's label has some."""
        return list(self.further.all()) if self.polysemantic else []

    @property
    def said(self) -> str:
        """In a word: the family's name, "cannot tell" or "none of these"."""
        return self.family.name if self.family else self.verdict

    @property
    def seconds_left(self) -> int:
        """For how long its author may still take it back, as far as time decides it."""
        return max(0, round((self.created_at + UNDO - timezone.now()).total_seconds()))


# What belongs to a label is written in the transaction that writes the label, and stays: a row that this transaction,
# or a savepoint of it, wrote is not older than the transaction.
WITH_ITS_LABEL = """
    IF NOT EXISTS (SELECT FROM taxonomy_label WHERE id = NEW.label_id AND age(xmin) <= 0) THEN
        RAISE EXCEPTION 'A label keeps what it was given with: nothing is added to it afterwards.'
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
"""


class LabelFurther(Label.further.through):  # type: ignore[name-defined]
    """The further families of a label, as they were given."""

    class Meta:
        proxy = True
        triggers = [
            pgtrigger.Protect(name="further_are_kept", operation=pgtrigger.Update | pgtrigger.Delete),
            pgtrigger.Trigger(
                name="further_come_with_the_label",
                operation=pgtrigger.Insert,
                when=pgtrigger.Before,
                func=WITH_ITS_LABEL,
            ),
        ]


class LabelSeen(Label.seen.through):  # type: ignore[name-defined]
    """The evidence versions that a label's author had before them."""

    class Meta:
        proxy = True
        triggers = [
            pgtrigger.Protect(name="seen_are_kept", operation=pgtrigger.Update | pgtrigger.Delete),
            pgtrigger.Trigger(
                name="seen_come_with_the_label", operation=pgtrigger.Insert, when=pgtrigger.Before, func=WITH_ITS_LABEL
            ),
        ]


class Reveal(models.Model):
    """The first moment at which others' readings of a neuron were shown to a person."""

    neuron = models.ForeignKey(Neuron, models.PROTECT, related_name="reveals")
    person = models.ForeignKey(User, models.PROTECT, related_name="reveals")
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["neuron", "person"], name="reveal_is_recorded_once")]

    def __str__(self) -> str:
        return f"{self.neuron} to {self.person}"


@pgtrigger.register(
    pgtrigger.Protect(name="tallies_are_kept", operation=pgtrigger.Update | pgtrigger.Delete),
)
class Tally(models.Model):
    """A computed standing with the rule's version and its inputs (label ids), each time it changed."""

    neuron = models.ForeignKey(Neuron, models.PROTECT, related_name="tallies")
    standing = models.CharField(max_length=16, choices=Standing)
    family = models.ForeignKey(Family, models.PROTECT, null=True, blank=True, related_name="+")
    rule_version = models.PositiveIntegerField()
    inputs = models.JSONField(default=list, blank=True)
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["id"]
        verbose_name_plural = "tallies"

    def __str__(self) -> str:
        return f"{self.neuron}: {self.standing}"
