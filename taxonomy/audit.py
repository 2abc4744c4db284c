"""Notes, claims and runs as they are stored, held to events and to the rows and files that are never changed."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from taxonomy import storage
from taxonomy.models import Artifact, Claim, Event, Network, Run


@dataclass(frozen=True)
class Difference:
    """Something stored that the record does not bear out: of what, where, in words."""

    what: str
    where: str
    sentence: str

    def __str__(self) -> str:
        return f"{self.where}: {self.sentence}"


def claims(network: Network, counts: Counter[str]) -> Iterator[Difference]:
    """Every claim says what it said when it was stated, and every run what its worker found. Five queries."""
    rows = (
        Claim.objects.filter(network=network)
        .select_related("image_set")
        .prefetch_related("runs__evidence")
        .order_by("pk")
    )
    events: dict[int, list[Event]] = {}
    for event in Event.objects.filter(claim__network=network, verb__startswith="claim.").order_by("pk"):
        events.setdefault(event.claim_id or 0, []).append(event)
    found = _findings(network)
    for claim in rows:
        runs = sorted(claim.runs.all(), key=lambda run: run.number)
        counts["claims"] += 1
        counts["runs"] += len(runs)
        told = events.get(claim.pk, [])
        where = f"claim {claim.public_id}"
        for sentence in _claim(claim, told):
            yield Difference("claims", where, sentence)
        for number, run in enumerate(runs, 1):
            for sentence in _run(claim, run, number, told, found.get(run.evidence_id)):
                yield Difference("runs", f"{where}, run {run.number}", sentence)


def _claim(claim: Claim, told: list[Event]) -> Iterator[str]:
    stated = [event for event in told if event.verb == "claim.stated"]
    if [event.actor_id for event in stated] != [claim.author_id]:
        yield "is not told by one event of its author."
    elif stated[0].data.get("digest") != claim.digest:
        yield "is not what was stated: its sentence, kind, pictures or plan were changed since."
    if (claim.withdrawn_at is not None) != any(event.verb == "claim.withdrawn" for event in told):
        yield f"is stored as {'withdrawn' if claim.withdrawn_at else 'standing'}, and the events say otherwise."


def _run(claim: Claim, run: Run, number: int, told: list[Event], artifact: Artifact | None) -> Iterator[str]:
    if run.number != number:
        yield f"stands where run {number} should."
    of_it = [event for event in told if event.data.get("run") == run.number]
    if [event.actor_id for event in of_it if event.verb == "claim.run"] != [run.requested_by_id]:
        yield "is not told by one event of who asked for it."
    if run.evidence.claim_id != claim.pk or run.evidence.parameters.get("plan") != claim.plan:
        yield "tested another plan than the claim's."
    ruled = [event.verb for event in of_it if event.verb != "claim.run"]
    if ruled != ([f"claim.{run.ruling}"] if run.ruling else []):
        yield f"is stored as {run.ruling or 'without a ruling'}, and the events say otherwise."
    if run.ruling:
        yield from _found(run, artifact)


def _found(run: Run, artifact: Artifact | None) -> Iterator[str]:
    """Whether the first version of its evidence, which the worker ruled with, bears the ruling out."""
    try:
        made = json.loads(storage.read(artifact.sha256))["ruling"] if artifact is not None else {}
    except FileNotFoundError:
        yield "the file with its numbers is not there."
        return
    for name, stored in (
        ("verdict", run.ruling),
        ("effect", run.effect),
        ("low", run.low),
        ("high", run.high),
        ("n", run.n),
    ):
        if made.get(name) != stored:
            yield f"{name} is stored as {stored}, and its evidence says {made.get(name)}."


def _findings(network: Network) -> dict[int, Artifact]:
    """The numbers that each experiment gave first, by its evidence."""
    first = Artifact.objects.filter(
        name="data", version__number=1, version__evidence__network=network, version__evidence__claim__isnull=False
    )
    return {artifact.version.evidence_id: artifact for artifact in first.select_related("version")}
