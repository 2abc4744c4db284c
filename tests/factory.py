"""Plain functions that make rows for tests. Rules are tested through the actions, so these write what they are told."""

import datetime
import io
import itertools
import json
import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pgtrigger
from django.conf import settings
from django.db.models import F
from PIL import Image as Picture

from taxonomy import recipes, storage
from taxonomy.actions import claims, jobs, labels, notes
from taxonomy.actions import evidence as evidence_actions
from taxonomy.models import (
    UNDO,
    Artifact,
    Claim,
    Evidence,
    EvidenceVersion,
    Family,
    Image,
    ImageSet,
    Job,
    Label,
    Layer,
    Membership,
    Network,
    Neuron,
    Note,
    Outcome,
    Proposal,
    Role,
    Run,
    Shard,
    Standing,
    User,
)

numbers = itertools.count(1)


def make_user(username: str = "", *, role: str = Role.CONTRIBUTOR, password: str = "", **fields: Any) -> User:
    username = username or f"{role}{next(numbers)}"
    fields.setdefault("terms_version", settings.TERMS_VERSION)
    email = fields.pop("email", f"{username}@example.org")
    return User.objects.create_user(username, email, password or None, role=role, **fields)


def make_network(
    name: str = "tinynet", *, layers: Mapping[str, int] | None = None, weights_digest: str = "w" * 64, **fields: Any
) -> Network:
    """A network with these layers, in order, and their neurons. An empty ``weights_digest`` makes it a catalogue."""
    network = Network.objects.create(
        name=name, title=fields.pop("title", name), architecture=name, weights_digest=weights_digest, **fields
    )
    for order, (layer_name, channels) in enumerate((layers or {"conv1": 4, "mixed3b": 8}).items()):
        field = {"branch": "", "channels": channels, "size": 7 + 8 * order, "stride": 2, "start": 0}
        layer = Layer.objects.create(network=network, name=layer_name, order=order, channels=channels, fields=[field])
        Neuron.objects.bulk_create(Neuron(layer=layer, index=index) for index in range(channels))
    return network


def neuron_at(address: str, network: Network | str = "tinynet") -> Neuron:
    return Neuron.objects.at(str(network), address)


def make_layer(name: str = "mixed3b", channels: int = 8) -> Layer:
    """A layer of a network of its own."""
    return make_network(f"net{next(numbers)}", layers={name: channels}).layers.get()


def make_family(
    layer: Layer, name: str = "Curves", *, units: Sequence[int] = (), by: User | None = None, **fields: Any
) -> Family:
    """A family; ``units`` are made its accepted members."""
    family = Family.objects.create(layer=layer, name=name, **fields)
    if units:
        by = by or User.objects.system()
        neurons = {neuron.index: neuron for neuron in layer.neurons.filter(index__in=units)}
        Membership.objects.bulk_create(Membership(family=family, neuron=neurons[unit], made_by=by) for unit in units)
        layer.neurons.filter(index__in=units).update(standing=Standing.ACCEPTED)
    return family


def make_label(neuron: Neuron, author: User | None = None, family: Family | None = None, **reading: Any) -> Label:
    """A label through the action: a family, or give ``verdict`` and what belongs to it."""
    reading.setdefault("verdict", "family")
    return labels.add(author or make_user(), neuron, family=family, **reading)


def make_older(label: Label, by: datetime.timedelta = UNDO) -> Label:
    """As if it had been given so much earlier, which the record itself refuses."""
    with pgtrigger.ignore("taxonomy.Label:labels_are_only_superseded"):
        Label.objects.filter(pk=label.pk).update(created_at=F("created_at") - by)
    label.refresh_from_db()
    return label


def make_agreed(neuron: Neuron, family: Family, people: int = 3) -> list[User]:
    """So many new people label the neuron with the family; returns them."""
    authors = [make_user() for _ in range(people)]
    for author in authors:
        make_label(neuron, author, family)
    return authors


def make_proposal(layer: Layer, author: User | None = None, name: str = "Boundaries", **fields: Any) -> Proposal:
    fields.setdefault("remark", "Edges of several cues.")
    return Proposal.objects.create(layer=layer, author=author or make_user(), name=name, **fields)


def make_image_set(
    name: str = "pictures",
    *,
    count: int = 2,
    folder: str = "/nowhere",
    digest: str = "i" * 64,
    classes: Mapping[int, int] | None = None,
) -> ImageSet:
    """An image set; ``classes`` says of which class the pictures at these indices are."""
    known = {index: {"class": number} for index, number in (classes or {}).items()}
    image_set = ImageSet.objects.create(name=name, folder=folder, digest=digest, count=count)
    Image.objects.bulk_create(
        Image(
            image_set=image_set,
            index=index,
            name=f"{index}.png",
            sha256="0" * 64,
            width=8,
            height=8,
            parameters=known.get(index, {}),
        )
        for index in range(count)
    )
    return image_set


def make_job(network: Network, requested_by: User | None = None, *, total: int = 1, **fields: Any) -> Job:
    return Job.objects.create(
        title="feature visualization", network=network, requested_by=requested_by or make_user(), total=total, **fields
    )


def make_shard(job: Job, evidence: Iterable[Evidence] = (), *, order: int = 0, **fields: Any) -> Shard:
    shard = Shard.objects.create(job=job, order=order, kind=fields.pop("kind", "feature_visualization"), **fields)
    Evidence.objects.filter(pk__in=[found.pk for found in evidence]).update(shard=shard)
    return shard


def picture(size: int = 8, colour: tuple[int, int, int] = (200, 80, 40), form: str = "WEBP") -> bytes:
    buffer = io.BytesIO()
    Picture.new("RGB", (size, size), colour).save(buffer, form)
    return buffer.getvalue()


def make_evidence(
    neuron: Neuron,
    kind: str = "feature_visualization",
    *,
    data: Any = None,
    pictures: Mapping[str, bytes] | Sequence[str] = (),
    parameters: Mapping[str, Any] | None = None,
    image_set: ImageSet | None = None,
    status: str = Outcome.DONE,
    reason: str = "",
) -> Evidence:
    """Evidence of a neuron; when done, with a version that has the numbers (``data``) and the pictures.

    ``pictures`` maps names to WebP bytes, or only names them. The parameters are those of the kind's first recipe.
    """
    recipe = recipes.KINDS[kind]
    values = dict(recipe.variants[0] if parameters is None else parameters)
    network = neuron.layer.network
    evidence = Evidence.objects.create(
        key=recipes.key(
            kind,
            version=recipe.version,
            weights_digest=network.weights_digest,
            image_set_digest=image_set.digest if image_set else "",
            subject=str(neuron),
            parameters=values,
        ),
        kind=kind,
        recipe_version=recipe.version,
        network=network,
        layer=neuron.layer,
        neuron=neuron,
        image_set=image_set,
        parameters=values,
        status=Outcome.QUEUED if status == Outcome.DONE else status,
        reason=reason,
    )
    if status == Outcome.DONE:
        named = pictures if isinstance(pictures, Mapping) else {name: picture() for name in pictures}
        files = [(name, bytes_, ".webp") for name, bytes_ in named.items()]
        if data is not None:
            files.append(("data", json.dumps(data).encode(), ".json"))
        add_version(evidence, files)
    return evidence


def make_pictured(neurons: Iterable[Neuron], kind: str = "feature_visualization") -> None:
    """Something to see of each of these neurons, so that the queue hands them out; made in few statements."""
    rows = [
        Evidence(
            key=f"{kind} of {neuron.pk}",
            kind=kind,
            recipe_version=1,
            network_id=neuron.layer.network_id,
            layer_id=neuron.layer_id,
            neuron=neuron,
        )
        for neuron in neurons
    ]
    Evidence.objects.bulk_create(rows)
    versions = EvidenceVersion.objects.bulk_create(EvidenceVersion(evidence=row, number=1) for row in rows)
    for row, version in zip(rows, versions, strict=True):
        row.current, row.status = version, Outcome.DONE
    Evidence.objects.bulk_update(rows, ["current", "status"])


def add_version(evidence: Evidence, files: Iterable[tuple[str, bytes, str]]) -> EvidenceVersion:
    """Another version of the evidence, made its current one. ``files`` are (name, bytes, suffix)."""
    version = EvidenceVersion.objects.create(
        evidence=evidence, number=evidence.versions.count() + 1, environment={"device": "cpu"}, wall_seconds=0.5
    )
    for name, data, suffix in files:
        Artifact.objects.create(version=version, name=name, sha256=storage.put(data), suffix=suffix, size=len(data))
    evidence.current, evidence.status = version, Outcome.DONE
    evidence.save(update_fields=["current", "status"])
    return version


def make_note(network: Network, *authors: User, published: bool = False, **said: Any) -> Note:
    """A note by these people through the actions: a draft, or one that an editor published."""
    first, *others = authors or (make_user(),)
    content = {"title": "Curves", "abstract": "Lines make curves.", "body": "As one sees."} | said
    note = notes.create(first, network, **content)
    for person in others:
        notes.ask(first, note, person)
        notes.agree(person, note)
    if published:
        submit_note(first, note)
        notes.decide(make_user(role=Role.EDITOR), note, version=1, decision="approve")
    return Note.objects.get(pk=note.pk)


def submit_note(user: User, note: Note) -> Note:
    """Its latest version, as who read that one does."""
    return notes.submit(user, note, version=note.latest.number)


def make_plan(units: Sequence[int] = (0, 1), **parts: Any) -> dict[str, Any]:
    """What can be carried out on ``make_network()``, about these neurons of mixed3b."""
    source = {"layer": "conv1", "channels": [0, 1], "named": ""}
    target = {"layer": "mixed3b", "channels": list(units), "named": ""}
    return {
        "do": [{"do": "keep_positive", "from": source, "to": target}],
        "show": {"kind": "sweep", "stimulus": "curve", "step": 15, "radii": [16], "strokes": [2, 3, 4]},
        "measure": {"what": "response", "of": target},
        "expect": {"change": "rises", "margin": 0.1, "relative": True},
        "controls": 20,
        "seed": 0,
    } | parts


def make_claim(
    subject: Note | Family | Neuron, author: User | None = None, sentence: str = "Negative weights matter.", **said: Any
) -> Claim:
    """A claim through the action, on its subject where that lies in mixed3b."""
    units: Sequence[int] = (0, 1)
    if isinstance(subject, Neuron):
        units = [subject.index]
    elif isinstance(subject, Family):
        units = claims.family_set(subject)["channels"] or units
    stated = {"kind": "causality", "plan": make_plan(units)} | said
    return claims.state(author or make_user(), subject, sentence=sentence, **stated)


def make_run(claim: Claim, ruling: str = "", *, by: User | None = None, data: Mapping[str, Any] | None = None) -> Run:
    """A run asked for by a reviewer; with a ruling, one that a worker has done, whose ``data`` is added to."""
    if by is None:
        by = make_user(role=Role.REVIEWER)
        if claim.note is not None and claim.note.opened_at is None:  # only its authors read a draft
            claim.note.authorships.create(person=by, added_by=claim.author)
            claim = Claim.objects.get(pk=claim.pk)
        elif claim.neuron is not None and not claim.neuron.is_settled:  # who reviews asks to look
            labels.reveal(by, claim.neuron)
    run = claims.run(by, claim)
    if ruling:
        figures: dict[str, Any] = {"effect": 0.3, "low": 0.2, "high": 0.4, "n": 6}
        content = json.dumps({"ruling": {"verdict": ruling, **figures}, **(data or {})}).encode()
        token = uuid.uuid4()
        Shard.objects.filter(evidence=run.evidence).update(status=Outcome.RUNNING, lease_token=token)
        evidence_actions.complete(
            run.evidence_id,
            token,
            [evidence_actions.Made("data", storage.put(content), ".json", len(content))],
            environment={"device": "cpu"},
            wall_seconds=0.5,
            ruling=evidence_actions.Ruled(verdict=ruling, **figures),
        )
        jobs.finish(run.evidence.shard_id, token)
        run = Run.objects.select_related("claim", "evidence").get(pk=run.pk)
    return run
