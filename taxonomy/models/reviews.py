"""Reviews: what reviewers and editors decided on a neuron, and what evidence it waits for."""

import pgtrigger
from django.db import models

from taxonomy.models.evidence import EvidenceVersion
from taxonomy.models.families import Family
from taxonomy.models.fields import Prose
from taxonomy.models.jobs import Job
from taxonomy.models.labels import Tally
from taxonomy.models.networks import Neuron
from taxonomy.models.people import User


class Decision(models.TextChoices):
    """One step of the state table (docs/vocabulary.md, "standing") that a person, or the system, takes."""

    ACCEPT = "accept"  # agreed -> accepted
    OBJECT = "object"  # on an agreed neuron; disputed after 72 hours
    WITHDRAW = "withdraw"  # one's own objection, or one's own demand for evidence
    NEED_EVIDENCE = "need evidence"  # open, agreed -> needs evidence
    UNDO = "undo"  # accepted -> open
    STALE = "stale"  # accepted -> stale, by the system
    RECONFIRM = "reconfirm"  # stale -> accepted
    DECLINE = "decline"  # stale -> open
    SETTLE = "settle"  # disputed -> accepted, by an uninvolved editor
    CONTEST = "contest"  # disputed -> contested, by an uninvolved editor
    REOPEN = "reopen"  # contested -> disputed, on new evidence


# The database itself lets nobody accept by their own label, nor settle a dispute in which they gave one.
NOT_ONES_OWN = """
    IF NEW.decision = 'accept' THEN
        IF NOT EXISTS (
            SELECT FROM taxonomy_tally tally WHERE tally.id = NEW.tally_id AND tally.neuron_id = NEW.neuron_id
        ) THEN
            RAISE EXCEPTION 'An acceptance rests on a tally of its neuron.' USING ERRCODE = 'check_violation';
        END IF;
        IF EXISTS (
            SELECT FROM taxonomy_tally tally JOIN taxonomy_label label ON tally.inputs @> to_jsonb(label.id)
            WHERE tally.id = NEW.tally_id AND label.neuron_id = NEW.neuron_id AND label.author_id = NEW.reviewer_id
        ) THEN
            RAISE EXCEPTION 'Nobody accepts by their own label.' USING ERRCODE = 'check_violation';
        END IF;
    END IF;
    IF NEW.decision IN ('settle', 'contest') AND EXISTS (
        SELECT FROM taxonomy_label label
        WHERE label.neuron_id = NEW.neuron_id AND label.author_id = NEW.reviewer_id AND label.undone_at IS NULL
    ) THEN
        RAISE EXCEPTION 'Nobody decides a dispute in which they gave a label.' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
"""


@pgtrigger.register(
    pgtrigger.Protect(name="reviews_are_kept", operation=pgtrigger.Update | pgtrigger.Delete),
    pgtrigger.Trigger(
        name="review_is_not_of_ones_own", operation=pgtrigger.Insert, when=pgtrigger.Before, func=NOT_ONES_OWN
    ),
)
class Review(models.Model):
    """A decision, with the tally it rests on (taken without the reviewer's own label)."""

    neuron = models.ForeignKey(Neuron, models.PROTECT, related_name="reviews")
    reviewer = models.ForeignKey(User, models.PROTECT, related_name="given_reviews")
    decision = models.CharField(max_length=16, choices=Decision)
    family = models.ForeignKey(Family, models.PROTECT, null=True, blank=True, related_name="reviews")
    tally = models.ForeignKey(Tally, models.PROTECT, null=True, blank=True, related_name="reviews")
    answers = models.ForeignKey(
        "self",
        models.PROTECT,
        null=True,
        blank=True,
        related_name="answered_by",
        help_text="the one it withdraws or undoes",
    )
    kind = models.CharField(max_length=40, blank=True, help_text="the kind of evidence it asks for, or that changed")
    cites = models.ManyToManyField(EvidenceVersion, blank=True, related_name="cited_by")
    comment = Prose(blank=True)
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.CheckConstraint(condition=models.Q(decision__in=Decision.values), name="review_decision_is_known"),
            models.CheckConstraint(
                condition=~models.Q(decision="need evidence") | ~models.Q(kind=""), name="review_names_the_evidence"
            ),
            models.UniqueConstraint(
                fields=["answers"], condition=models.Q(answers__isnull=False), name="review_is_answered_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.reviewer} {self.decision} {self.neuron}"


class NeedQuerySet(models.QuerySet["Need"]):
    def open(self) -> "NeedQuerySet":
        return self.filter(met_at=None, withdrawn_at=None)


@pgtrigger.register(
    pgtrigger.Protect(name="needs_are_kept", operation=pgtrigger.Delete),
    pgtrigger.ReadOnly(name="needs_only_end", exclude=["met_at", "withdrawn_at", "job", "asked_at", "problem"]),
)
class Need(models.Model):
    """Evidence that a neuron waits for: two labels miss it, or a reviewer asked (``review``). A success ends it."""

    neuron = models.ForeignKey(Neuron, models.PROTECT, related_name="needs")
    kind = models.CharField(max_length=40)
    review = models.OneToOneField(Review, models.PROTECT, null=True, blank=True, related_name="need")
    job = models.ForeignKey(Job, models.SET_NULL, null=True, blank=True, related_name="needs")
    at = models.DateTimeField(auto_now_add=True)
    asked_at = models.DateTimeField(null=True, blank=True, help_text="when the workers were asked for it")
    problem = models.CharField(max_length=500, blank=True, help_text="why the workers could not be asked")
    met_at = models.DateTimeField(null=True, blank=True)
    withdrawn_at = models.DateTimeField(null=True, blank=True)

    objects = NeedQuerySet.as_manager()

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(
                fields=["neuron", "kind"],
                condition=models.Q(met_at=None, withdrawn_at=None, review=None),
                name="need_of_labels_is_open_once",
            ),
        ]
        indexes = [
            models.Index(
                fields=["neuron"], condition=models.Q(met_at=None, withdrawn_at=None), name="need_that_is_open"
            )
        ]

    def __str__(self) -> str:
        return f"{self.kind} of {self.neuron}"
