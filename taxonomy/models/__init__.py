"""The record: one file for each noun."""

from taxonomy.models.events import Event
from taxonomy.models.evidence import (
    Artifact,
    Comparison,
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
)
from taxonomy.models.images import Image, ImageSet, Photograph
from taxonomy.models.jobs import Job, Shard
from taxonomy.models.labels import Label, Reveal, Tally, Verdict
from taxonomy.models.networks import SETTLED, Layer, Network, Neuron, Standing
from taxonomy.models.people import Role, User
from taxonomy.models.proposals import Proposal, ProposalKind, ProposalState
from taxonomy.models.reviews import Decision, Review

__all__ = [
    "SETTLED",
    "Artifact",
    "Comparison",
    "Confidence",
    "Decision",
    "Event",
    "Evidence",
    "EvidenceVersion",
    "Family",
    "FamilyKind",
    "FamilyLink",
    "Image",
    "ImageSet",
    "Job",
    "Label",
    "Layer",
    "Likeness",
    "LinkKind",
    "Membership",
    "Network",
    "Neuron",
    "Outcome",
    "Photograph",
    "Proposal",
    "ProposalKind",
    "ProposalState",
    "Reveal",
    "Review",
    "Role",
    "Shard",
    "Sprite",
    "Standing",
    "SurveyPart",
    "Symmetry",
    "Tally",
    "User",
    "Vector",
    "Verdict",
]
