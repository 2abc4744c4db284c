"""Notes, claims and runs as they are stored, held to events and to the rows and files that are never changed."""

import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from taxonomy import storage
from taxonomy.models import Artifact, Authorship, Claim, Event, Layer, Network, Note, NoteDecision, NoteReview, Run
from taxonomy.models.claims import named_in


@dataclass(frozen=True)
class Difference:
    """Something stored that the record does not bear out: of what, where, in words."""

    what: str
    where: str
    sentence: str

    def __str__(self) -> str:
        return f"{self.where}: {self.sentence}"


def claims(network: Network, counts: Counter[str]) -> Iterator[Difference]:
    """Every claim says what it said when it was stated, and every run what its worker found. Eight queries."""
    rows = (
        Claim.objects.filter(network=network)
        .select_related("image_set", "neuron")
        .prefetch_related("runs__evidence__shard", "neurons")
        .order_by("pk")
    )
    events: dict[int, list[Event]] = {}
    for event in Event.objects.filter(claim__network=network, verb__startswith="claim.").order_by("pk"):
        events.setdefault(event.claim_id or 0, []).append(event)
    found = _findings(network)
    layers = {layer.pk: layer for layer in network.layers.all()}
    for claim in rows:
        runs = sorted(claim.runs.all(), key=lambda run: run.number)
        counts["claims"] += 1
        counts["runs"] += len(runs)
        told = events.get(claim.pk, [])
        where = f"claim {claim.public_id}"
        for sentence in (*_claim(claim, told), *_about(claim, layers)):
            yield Difference("claims", where, sentence)
        for number, run in enumerate(runs, 1):
            for sentence in _run(claim, run, number, told, found.get(run.evidence_id)):
                yield Difference("runs", f"{where}, run {run.number}", sentence)


def _claim(claim: Claim, told: list[Event]) -> Iterator[str]:
    stated = [event for event in told if event.verb == "claim.stated"]
    if [event.actor_id for event in stated] != [claim.author_id]:
        yield "is not told by one event of its author."
    elif stated[0].data.get("digest") != claim.digest:
        yield "is not what was stated: its words, subject, pictures or plan were changed since."
    if (claim.withdrawn_at is not None) != any(event.verb == "claim.withdrawn" for event in told):
        yield f"is stored as {'withdrawn' if claim.withdrawn_at else 'standing'}, and the events say otherwise."
    moderated = [event.verb for event in told if event.verb in ("claim.hidden", "claim.shown")]
    if (claim.hidden_at is not None) != (moderated[-1:] == ["claim.hidden"]):
        yield f"is stored as {'hidden' if claim.hidden_at else 'shown'}, and the events say otherwise."


def _about(claim: Claim, layers: Mapping[int, Layer]) -> Iterator[str]:
    """Whether the neurons that it is about are its own and those that its plan names."""
    try:
        named = named_in(claim.plan, {layer.name: layer.channels for layer in layers.values()})
    except (KeyError, TypeError):
        return  # no plan that could have been stated: what it was is told above
    kept, own = (
        {(layers[neuron.layer_id].name if neuron.layer_id in layers else "", neuron.index) for neuron in found}
        for found in (claim.neurons.all(), [claim.neuron] if claim.neuron is not None else [])
    )
    if kept != named | own:
        yield "is kept as being about other neurons than its own and those that its plan names."


def _run(claim: Claim, run: Run, number: int, told: list[Event], artifact: Artifact | None) -> Iterator[str]:
    if run.number != number:
        yield f"stands where run {number} should."
    of_it = [event for event in told if event.data.get("run") == run.number]
    if [event.actor_id for event in of_it if event.verb == "claim.run"] != [run.requested_by_id]:
        yield "is not told by one event of who asked for it."
    asked = [one for one in (run.evidence, run.evidence.shard) if one is not None]
    if run.evidence.claim_id != claim.pk or not all(claim.is_tested_by(one) for one in asked):
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
        if not _same(made.get(name), stored):
            yield f"{name} is stored as {stored}, and its evidence says {made.get(name)}."


def _same(made: Any, stored: Any) -> bool:
    """Files keep nine digits of a number."""
    if isinstance(made, (int, float)) and isinstance(stored, (int, float)):
        return math.isclose(made, stored, rel_tol=1e-8)
    return bool(made == stored)


def _findings(network: Network) -> dict[int, Artifact]:
    """The numbers that each experiment gave first, by its evidence."""
    first = Artifact.objects.filter(
        name="data", version__number=1, version__evidence__network=network, version__evidence__claim__isnull=False
    )
    return {artifact.version.evidence_id: artifact for artifact in first.select_related("version")}


@dataclass
class Told:
    """What a note is by its events. Versions are numbers, people keys; of each decision its version and editor."""

    versions: list[int] = field(default_factory=list)
    opened_with: int | None = None
    submitted: int | None = None
    published: int | None = None
    number: int | None = None
    corrected: bool = False
    withdrawn: bool = False
    hidden: bool = False
    superseded_by: str | None = None
    doi: str = ""
    asked: set[int] = field(default_factory=set)
    authors: list[int] = field(default_factory=list)  # in the order in which they are named
    approved: list[tuple[int, int]] = field(default_factory=list)
    sent_back: list[tuple[int, int]] = field(default_factory=list)

    def add(self, event: Event) -> None:
        version, person = event.data.get("version"), event.person_id or event.actor_id
        what = event.verb.removeprefix("note.")
        if what in ("drafted", "saved"):
            self.versions.append(1 if what == "drafted" else version)
        if what == "submitted":
            self.submitted = version
            self.opened_with = self.opened_with or version
        elif what in ("retracted", "changes_requested", "published", "corrected", "withdrawn", "superseded"):
            self.submitted = None
        if what in ("published", "corrected"):
            self.published, self.corrected = version, what == "corrected"
            self.number = event.data.get("number", self.number)
            self.approved.append((version, event.actor_id))
        elif what == "changes_requested":
            self.sent_back.append((version, event.actor_id))
        elif what == "superseded":
            self.superseded_by = event.data["by"]
        elif what == "doi_given":
            self.doi = event.data["doi"]
        elif what in ("hidden", "shown"):
            self.hidden = what == "hidden"
        self.withdrawn |= what == "withdrawn"
        self._people(what, person, event.data.get("place", len(self.authors) + 1))

    def _people(self, what: str, person: int, place: int) -> None:
        if what in ("author_moved", "author_left") and person in self.authors:
            self.authors.remove(person)
        if what in ("drafted", "author_agreed", "author_moved"):
            self.authors.insert(place - 1, person)
        elif what == "author_asked":
            self.asked.add(person)
        if what in ("author_agreed", "author_unasked", "author_left"):
            self.asked.discard(person)


def notes(network: Network, counts: Counter[str]) -> Iterator[Difference]:
    """Every note is what its events and reviews make it, and the thread's numbers have no gap. Six queries."""
    told: dict[int, Told] = {}
    events = Event.objects.filter(note__network=network, verb__startswith="note.").order_by("pk")
    numbers = [event.data["number"] for event in events if event.verb == "note.published"]
    for event in events:
        told.setdefault(event.note_id or 0, Told()).add(event)
    if numbers != list(range(1, len(numbers) + 1)):
        yield Difference("notes", str(network), f"its thread was numbered {', '.join(map(str, numbers))}.")
    rows = Note.objects.filter(network=network).select_related("submitted", "published", "superseded_by").order_by("pk")
    for note in rows.prefetch_related("versions__reviews", "authorships__person"):
        counts["notes"] += 1
        counts["note versions"] += len(note.versions.all())
        for sentence in _note(note, told.get(note.pk, Told())):
            yield Difference("notes", f"note {note.public_id}", sentence)


def _note(note: Note, told: Told) -> Iterator[str]:
    versions = sorted(note.versions.all(), key=lambda version: version.number)
    for name, stored, expected in (
        ("versions", [version.number for version in versions], told.versions),
        ("readable to all", note.opened_at is not None, told.opened_with is not None),
        ("first version that all may read", note.opened_with, told.opened_with),
        ("version in review", note.submitted and note.submitted.number, told.submitted),
        ("published version", note.published and note.published.number, told.published),
        ("number", note.number, told.number),
        ("corrected", note.corrected_at is not None, told.corrected),
        ("withdrawn", note.withdrawn_at is not None, told.withdrawn),
        ("hidden", note.hidden_at is not None, told.hidden),
        ("superseded by", note.superseded_by and str(note.superseded_by.public_id), told.superseded_by),
        ("DOI", note.doi, told.doi),
    ):
        if stored != expected:
            yield f"{name} is stored as {stored}, and the events make it {expected}."
    reviews = sorted((one for version in versions for one in version.reviews.all()), key=lambda review: review.pk)
    places = {version.pk: version.number for version in versions}
    for decision, events in ((NoteDecision.APPROVE, told.approved), (NoteDecision.REQUEST_CHANGES, told.sent_back)):
        made = [(places[one.version_id], one.reviewer_id) for one in reviews if one.decision == decision]
        if made != events:
            yield f"its decisions “{decision}” are not those that the events tell."
    yield from _authors(note.authorships.all(), reviews, told)


def _authors(authorships: Iterable[Authorship], reviews: Iterable[NoteReview], told: Told) -> Iterator[str]:
    current = sorted((one for one in authorships if one.ended_at is None), key=lambda one: (one.order, one.pk))
    left = {one.person_id for one in authorships if one.person.erased_at is not None}  # is asked no more
    named = [one.person_id for one in current if one.agreed_at is not None]
    asked = {one.person_id for one in current if one.agreed_at is None}
    if named != told.authors:
        yield "its authors are not those who agreed, in the order that the events tell."
    if asked != told.asked - left:
        yield "those who are asked to be an author are not those that the events tell."
    if {review.reviewer_id for review in reviews} & {*named, *asked}:
        yield "one of its authors decided on it."
