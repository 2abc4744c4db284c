"""Claims: falsifiable sentences with a prediction that is frozen before a worker tests it, and the runs that did."""

import hashlib
import json
import uuid
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import pgtrigger
from django.contrib.auth.models import AnonymousUser
from django.db import models
from django.db.models.functions import Coalesce
from django.urls import reverse

from taxonomy import plans
from taxonomy.models.evidence import Evidence, Outcome
from taxonomy.models.families import Family
from taxonomy.models.fields import Line, Prose
from taxonomy.models.images import ImageSet
from taxonomy.models.jobs import Shard
from taxonomy.models.networks import Layer, Network, Neuron
from taxonomy.models.notes import Note, readable_notes
from taxonomy.models.people import User


class ClaimKind(models.TextChoices):
    CAUSALITY = "causality"
    GENERALITY = "generality"
    PURITY = "purity"
    FAMILY = "family"
    CIRCUIT = "circuit"
    UNIVERSALITY = "universality"


class Ruling(models.TextChoices):
    """What a run says of its claim (``workers.experiment`` decides)."""

    SUPPORTED = "supported"
    REFUTED = "refuted"
    INCONCLUSIVE = "inconclusive"


class ClaimQuerySet(models.QuerySet["Claim"]):
    def readable_by(self, user: User | AnonymousUser) -> "ClaimQuerySet":
        """Without what is hidden, by itself or with its note. Those on drafts are for who may read the draft."""
        return self.filter(models.Q(note=None) | readable_notes(user, "note__"), hidden_at=None)

    def naming(self, neurons: Collection[int] | models.QuerySet[Any]) -> "ClaimQuerySet":
        """Those that are about any of these neurons, which are given by primary key."""
        return self.filter(pk__in=ClaimNeuron.objects.filter(neuron__in=neurons).values("claim"))

    def with_rulings(self) -> "models.QuerySet[Any]":
        """With ``ruling``, that of the latest run that is done, and ``status``, how far the latest run is.

        Both are "" before there is one.
        """
        runs = Run.objects.filter(claim=models.OuterRef("pk")).order_by("-number")
        done = runs.exclude(ruling="")
        return self.annotate(
            ruling=Coalesce(models.Subquery(done.values("ruling")[:1]), models.Value("")),
            status=Coalesce(models.Subquery(runs.values("evidence__status")[:1]), models.Value("")),
        )


@pgtrigger.register(
    pgtrigger.Protect(name="claims_are_kept", operation=pgtrigger.Delete),
    pgtrigger.ReadOnly(
        name="claims_are_frozen",
        exclude=["withdrawn_at", "withdrawn_reason", "hidden_at", "hidden_by", "hidden_reason"],
    ),
)
class Claim(models.Model):
    """A sentence of one kind, on a note, a family or a neuron. From the moment it is stated, nobody can change it.

    ``plan`` is everything that a worker needs to test it (``taxonomy.plans`` says of what it is made): what is changed,
    what is shown, what is measured, and what is predicted. Families stand in it with the members they had then.
    ``neurons`` are those that it is about: its own, and those that its plan names (``named_in``).
    """

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    network = models.ForeignKey(Network, models.PROTECT, related_name="claims")
    note = models.ForeignKey(Note, models.PROTECT, null=True, blank=True, related_name="claims")
    family = models.ForeignKey(Family, models.PROTECT, null=True, blank=True, related_name="claims")
    neuron = models.ForeignKey(Neuron, models.PROTECT, null=True, blank=True, related_name="claims")
    neurons: "models.ManyToManyField[Neuron, models.Model]" = models.ManyToManyField(
        Neuron, blank=True, related_name="named_by"
    )
    kind = models.CharField(max_length=12, choices=ClaimKind)
    sentence = Line(max_length=400)
    rationale = Prose(blank=True, max_length=5_000)
    plan = models.JSONField()
    image_set = models.ForeignKey(ImageSet, models.PROTECT, null=True, blank=True, related_name="claims")
    restates = models.ForeignKey("self", models.PROTECT, null=True, blank=True, related_name="restated")
    author = models.ForeignKey(User, models.PROTECT, related_name="claims")
    stated_at = models.DateTimeField(auto_now_add=True)
    withdrawn_at = models.DateTimeField(null=True, blank=True)
    withdrawn_reason = Line(max_length=500, blank=True)
    hidden_at = models.DateTimeField(null=True, blank=True, help_text="when a moderator took it from view")
    hidden_by = models.ForeignKey(User, models.PROTECT, null=True, blank=True, related_name="+")
    hidden_reason = models.CharField(max_length=500, blank=True)

    objects = ClaimQuerySet.as_manager()
    withheld = False  # from this reader, in passing: it is about neurons that they have not read yet

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(
                condition=(
                    models.Q(note__isnull=False, family=None, neuron=None)
                    | models.Q(note=None, family__isnull=False, neuron=None)
                    | models.Q(note=None, family=None, neuron__isnull=False)
                ),
                name="claim_has_one_subject",
            ),
            models.CheckConstraint(condition=models.Q(kind__in=ClaimKind.values), name="claim_kind_is_known"),
        ]

    def __str__(self) -> str:
        return self.sentence

    def get_absolute_url(self) -> str:
        return reverse("claim", args=[self.public_id])

    @property
    def digest(self) -> str:
        """Of all that was stated: who says what of what, and why; what is predicted, by which test.

        Its event keeps it, so that a change past the rules is found.
        """
        said = {
            "network": self.network_id,
            "subject": [self.note_id, self.family_id, self.neuron_id],
            "author": self.author_id,
            "restates": self.restates_id,
            "kind": self.kind,
            "sentence": self.sentence,
            "rationale": self.rationale,
            "plan": self.plan,
            "image_set": self.image_set.digest if self.image_set else "",
        }
        return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()

    @property
    def told(self) -> str:
        """What lists of what happened call it."""
        return "about neurons that are not settled yet" if self.withheld else self.sentence

    @property
    def subject(self) -> Note | Family | Neuron:
        found = self.note or self.family or self.neuron
        assert found is not None  # by the constraint
        return found

    @property
    def layer(self) -> Layer | None:
        """Where its subject is; a note is about the whole network."""
        subject = self.family or self.neuron
        return subject.layer if subject is not None else None

    def is_tested_by(self, asked: Evidence | Shard) -> bool:
        """Whether what was asked for is what was stated: its plan, shown those pictures."""
        return asked.parameters.get("plan") == self.plan and asked.image_set_id == self.image_set_id

    def names(self, neurons: Iterable[Neuron]) -> bool:
        """Whether it is about any of these neurons. One query, none for no neuron."""
        return self.neurons.filter(pk__in=[neuron.pk for neuron in neurons]).exists()


def moderated(path: str = "") -> models.Q:
    """Whether a moderator hid the claim at this path, or the note that it is on."""
    return models.Q((f"{path}hidden_at__isnull", False)) | models.Q((f"{path}note__hidden_at__isnull", False))


def named_in(plan: Mapping[str, Any], channels: Mapping[str, int]) -> set[tuple[str, int]]:
    """The neurons that a plan names, each by its layer's name and its index.

    Those of each of its sets; but a set that is a whole layer, and no family, names none of them in particular.

    Args:
        channels: how many neurons each layer of the network has.
    """
    return {
        (of["layer"], channel)
        for of in plans.every_set(plan)
        if of.get("family") or len(of["channels"]) < channels[of["layer"]]
        for channel in of["channels"]
    }


def named_by(claims: Iterable[Claim]) -> models.Q:
    """The neurons that these claims are about."""
    return models.Q(pk__in=ClaimNeuron.objects.filter(claim__in=[claim.pk for claim in claims]).values("neuron"))


class ClaimNeuron(Claim.neurons.through):  # type: ignore[name-defined]
    """The neurons that a claim is about, written with it and kept."""

    class Meta:
        proxy = True
        triggers = [
            pgtrigger.Protect(name="claimed_neurons_are_kept", operation=pgtrigger.Update | pgtrigger.Delete),
            # A row that this transaction, or a savepoint of it, wrote is not older than the transaction.
            pgtrigger.Trigger(
                name="claimed_neurons_come_with_the_claim",
                operation=pgtrigger.Insert,
                when=pgtrigger.Before,
                func="""
                    IF NOT EXISTS (SELECT FROM taxonomy_claim WHERE id = NEW.claim_id AND age(xmin) <= 0) THEN
                        RAISE EXCEPTION 'A claim is about what it was stated about: no neuron is added to it.'
                            USING ERRCODE = 'check_violation';
                    END IF;
                    RETURN NEW;
                """,
            ),
        ]


@pgtrigger.register(
    pgtrigger.Protect(name="runs_are_kept", operation=pgtrigger.Delete),
    pgtrigger.ReadOnly(name="runs_only_get_a_ruling", exclude=["ruling", "effect", "low", "high", "n", "ruled_at"]),
    pgtrigger.Protect(name="rulings_are_kept", operation=pgtrigger.Update, condition=pgtrigger.Q(old__ruling__gt="")),
    pgtrigger.Trigger(
        name="rulings_come_with_evidence",
        when=pgtrigger.Before,
        operation=pgtrigger.Insert | pgtrigger.Update,
        condition=(
            pgtrigger.Q(new__ruling__gt="") | pgtrigger.Q(new__effect__isnull=False) | pgtrigger.Q(new__n__isnull=False)
        ),
        func="""
            IF NOT EXISTS (SELECT FROM taxonomy_evidence WHERE id = NEW.evidence_id AND status = 'done') THEN
                RAISE EXCEPTION 'pgtrigger: Cannot rule in % table before the evidence is done', TG_TABLE_NAME;
            END IF;
            RETURN NEW;
        """,
    ),
)
class Run(models.Model):
    """A test of a claim by a worker: the evidence that it made, and in short what that says once it is done.

    ``effect`` is the mean change over ``n`` pairs of before and after, from ``low`` to ``high`` with 95 % confidence.
    """

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    claim = models.ForeignKey(Claim, models.PROTECT, related_name="runs")
    number = models.PositiveIntegerField()
    evidence = models.OneToOneField(Evidence, models.PROTECT, related_name="run")
    requested_by = models.ForeignKey(User, models.PROTECT, related_name="+")
    requested_at = models.DateTimeField(auto_now_add=True)
    ruling = models.CharField(max_length=12, choices=Ruling, blank=True)
    effect = models.FloatField(null=True, blank=True)
    low = models.FloatField(null=True, blank=True)
    high = models.FloatField(null=True, blank=True)
    n = models.PositiveIntegerField(null=True, blank=True)
    ruled_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["claim_id", "number"]
        constraints = [
            models.UniqueConstraint(fields=["claim", "number"], name="run_number_is_unique_in_claim"),
            models.CheckConstraint(condition=models.Q(ruling__in=["", *Ruling.values]), name="run_ruling_is_known"),
        ]

    def __str__(self) -> str:
        return f"Run {self.number} of “{self.claim}”"

    @property
    def is_live(self) -> bool:
        return self.evidence.status in (Outcome.QUEUED, Outcome.RUNNING)
