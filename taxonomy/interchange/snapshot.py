"""A network's taxonomy as it stands now, read from the record into plain data for the writers of files."""

from collections import Counter, defaultdict
from dataclasses import dataclass

from taxonomy.interchange.distill import FamilyRecord, LayerRecord
from taxonomy.models import Family, Membership, Network, Neuron


@dataclass(frozen=True)
class NeuronRow:
    """``standing`` is empty until the neuron is settled: a file is read by everybody, whoever writes it."""

    layer: str
    unit: int
    standing: str
    readings: int


@dataclass(frozen=True)
class MembershipRow:
    """``reviewer`` is who accepted it; empty for an imported membership, which cites its ``source``."""

    layer: str
    unit: int
    family: str
    primary: bool
    parameter: float | None
    source: str
    reviewer: str
    since: str


@dataclass(frozen=True)
class Snapshot:
    network: str
    layers: list[LayerRecord]
    memberships: list[MembershipRow]
    neurons: list[NeuronRow]


def take(network: Network) -> Snapshot:
    """Families with current members, in the order in which they were made.

    In that order the first family that names a neuron is its primary one, as ``import_taxonomy`` reads it back.
    """
    members: dict[int, list[Membership]] = defaultdict(list)
    found = Membership.objects.current().filter(family__layer__network=network, family__retired_at=None)
    for membership in found.select_related("neuron", "review__reviewer").order_by("pk"):
        members[membership.family_id].append(membership)
    families: dict[int, list[Family]] = defaultdict(list)
    standing = Family.objects.filter(layer__network=network, retired_at=None)
    for family in standing.select_related("parent").order_by("pk"):
        families[family.layer_id].append(family)
    layers, rows = [], []
    for layer in network.layers.all():
        every = families[layer.pk]
        source = Counter(family.source for family in every).most_common(1)[0][0] if every else ""
        records = [_family(family, members[family.pk], source) for family in every]
        layers.append(LayerRecord(f"{layer.name}.json", layer.name, records, source, network.name, layer.channels))
        rows += [_membership(layer.name, family, member) for family in every for member in members[family.pk]]
    neurons = [
        NeuronRow(neuron.layer.name, neuron.index, neuron.standing if neuron.is_settled else "", neuron.readings)
        for neuron in Neuron.objects.filter(layer__network=network)
        .select_related("layer")
        .order_by("layer__order", "index")
    ]
    return Snapshot(network.name, layers, rows, neurons)


def _family(family: Family, members: list[Membership], source: str) -> FamilyRecord:
    return FamilyRecord(
        family.name,
        [member.neuron.index for member in members],
        family.remark,
        kind=family.kind,
        symmetry=family.symmetry,
        parameters={member.neuron.index: member.parameter for member in members if member.parameter is not None},
        confidence=family.confidence,
        parent=family.parent.name if family.parent and family.parent.retired_at is None else "",
        source=family.source,
    )


def _membership(layer: str, family: Family, member: Membership) -> MembershipRow:
    return MembershipRow(
        layer,
        member.neuron.index,
        family.name,
        member.primary,
        member.parameter,
        member.source,
        member.review.reviewer.username if member.review else "",
        member.made_at.isoformat(timespec="seconds"),
    )
