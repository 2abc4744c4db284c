"""The record: one file for each noun."""

from taxonomy.models.agreement import Agreement
from taxonomy.models.discussions import Comment, Discussion, Wording
from taxonomy.models.events import Event
from taxonomy.models.evidence import (
    Artifact,
    Comparison,
    Drift,
    Evidence,
    EvidenceVersion,
    Likeness,
    Outcome,
    Sprite,
    SurveyPart,
    Vector,
)
from taxonomy.models.families import (
    Confidence,
    Family,
    FamilyKind,
    FamilyLink,
    LinkKind,
    Membership,
    Symmetry,
    shown_members,
)
from taxonomy.models.images import Image, ImageSet, Photograph
from taxonomy.models.jobs import Job, Shard
from taxonomy.models.labels import UNDO, Label, Reveal, Tally, Verdict
from taxonomy.models.leases import Gold, Lease, Sheet
from taxonomy.models.networks import SETTLED, Layer, Network, Neuron, Standing, settled_neurons
from taxonomy.models.notifications import Notification, Subscription, Why
from taxonomy.models.people import Appointment, Block, Digest, Role, User, Way
from taxonomy.models.proposals import Proposal, ProposalKind, ProposalState
from taxonomy.models.reviews import Decision, Need, Review

__all__ = [
    "SETTLED",
    "UNDO",
    "Agreement",
    "Appointment",
    "Artifact",
    "Block",
    "Comment",
    "Comparison",
    "Confidence",
    "Decision",
    "Digest",
    "Discussion",
    "Drift",
    "Event",
    "Evidence",
    "EvidenceVersion",
    "Family",
    "FamilyKind",
    "FamilyLink",
    "Gold",
    "Image",
    "ImageSet",
    "Job",
    "Label",
    "Layer",
    "Lease",
    "Likeness",
    "LinkKind",
    "Membership",
    "Need",
    "Network",
    "Neuron",
    "Notification",
    "Outcome",
    "Photograph",
    "Proposal",
    "ProposalKind",
    "ProposalState",
    "Reveal",
    "Review",
    "Role",
    "Shard",
    "Sheet",
    "Sprite",
    "Standing",
    "Subscription",
    "SurveyPart",
    "Symmetry",
    "Tally",
    "User",
    "Vector",
    "Verdict",
    "Way",
    "Why",
    "Wording",
    "settled_neurons",
    "shown_members",
]
