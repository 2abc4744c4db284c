"""Families from elsewhere, and the links between families."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from taxonomy import events
from taxonomy.actions.evidence import record_imported_pictures
from taxonomy.interchange.distill import FamilyRecord, LayerRecord
from taxonomy.models import (
    Family,
    FamilyLink,
    Layer,
    LinkKind,
    Membership,
    Network,
    Neuron,
    Standing,
    User,
)
from taxonomy.permissions import can_import_taxonomy, can_link_families, require


@dataclass
class Imported:
    """What an import did. ``repeats`` are sentences about units that a family names twice."""

    families: int = 0
    memberships: int = 0
    pictures: int = 0
    repeats: list[str] = field(default_factory=list)


@transaction.atomic
def import_taxonomy(
    user: User,
    network: Network,
    records: Sequence[LayerRecord],
    *,
    icons: Mapping[tuple[str, int], tuple[bytes, str]] | None = None,
) -> Imported:
    """Write published families and their members, all of them or none.

    A neuron's first family in the file is its primary one; a unit that its family repeats is taken once and reported.

    Args:
        icons: for (layer, unit) a picture's bytes and suffix, kept as ``imported_picture``.

    Raises:
        Refused: unless the user is an editor or admin.
        ValidationError: with every unknown layer, unknown unit and existing family, each named with its file.
    """
    require(can_import_taxonomy(user))
    layers = {layer.name: layer for layer in network.layers.select_for_update(no_key=True)}
    _check(network, layers, records)
    imported = Imported()
    for record in records:
        layer = layers[record.layer]
        neurons = {neuron.index: neuron for neuron in layer.neurons.select_for_update(no_key=True).order_by("index")}
        placed = set(Membership.objects.current().filter(neuron__layer=layer).values_list("neuron__index", flat=True))
        for order, found in enumerate(record.families, start=1):
            source = found.source or record.source
            family = Family.objects.create(
                layer=layer,
                name=found.name,
                remark=found.comment,
                kind=found.kind,
                confidence=found.confidence,
                symmetry=found.symmetry,
                source=source,
                order=order,
            )
            imported.families += 1
            imported.repeats += _repeats(record, found)
            units = list(dict.fromkeys(found.units))
            Membership.objects.bulk_create(
                Membership(
                    family=family,
                    neuron=neurons[unit],
                    primary=unit not in placed,
                    parameter=found.parameters.get(unit),
                    source=source,
                    made_by=user,
                )
                for unit in units
            )
            placed.update(units)
            imported.memberships += len(units)
            events.record(user, "family.imported", family=family, data={"neurons": len(units), "source": source})
        _set_parents(layer, record)
        layer.neurons.filter(index__in=placed).update(standing=Standing.ACCEPTED, asks=0)
    if icons:
        wanted = {(neuron.layer.name, neuron.index): neuron for neuron in _neurons(network)}
        pictures = {wanted[place]: picture for place, picture in icons.items() if place in wanted}
        source = next((record.source for record in records if record.source), "imported")
        imported.pictures = record_imported_pictures(user, network, pictures, source=source)
    data = {"families": imported.families, "memberships": imported.memberships, "pictures": imported.pictures}
    events.record(user, "taxonomy.imported", network=network, data=data)
    return imported


def _set_parents(layer: Layer, record: LayerRecord) -> None:
    """After all of a file's families are there, since a parent may stand below its child."""
    families = {family.name.lower(): family for family in layer.families.filter(retired_at=None)}
    for found in record.families:
        if not found.parent:
            continue
        family, parent = families[found.name.lower()], families.get(found.parent.lower())
        above = parent
        while above is not None and above != family:
            above = families[above.parent.name.lower()] if above.parent else None
        if parent is None or above is not None:
            problem = "which is not there" if parent is None else "which lies below it"
            raise ValidationError(
                f"{record.file}: family '{found.name}' names '{found.parent}' as its parent, {problem}."
            )
        family.parent = parent
        family.save(update_fields=["parent"])


def _neurons(network: Network) -> list[Neuron]:
    return list(Neuron.objects.filter(layer__network=network).select_related("layer__network"))


def _check(network: Network, layers: Mapping[str, Layer], records: Sequence[LayerRecord]) -> None:
    problems = []
    for record in records:
        layer = layers.get(record.layer)
        if layer is None:
            problems.append(
                f"{record.file}: {network.name} has no layer '{record.layer}' (it has {', '.join(layers)})."
            )
            continue
        taken = {name.lower() for name in layer.families.filter(retired_at=None).values_list("name", flat=True)}
        for found in record.families:
            if found.name.lower() in taken:
                problems.append(f"{record.file}: {layer.name} has a family '{found.name}' already.")
            taken.add(found.name.lower())
            for unit in found.units:
                if not 0 <= unit < layer.channels:
                    problems.append(
                        f"{record.file}: family '{found.name}' names unit {unit}, but {layer.name} has "
                        f"{layer.channels} units, numbered 0 to {layer.channels - 1}."
                    )
    if problems:
        more = [f"And {len(problems) - 50:,} more."] if len(problems) > 50 else []
        raise ValidationError(problems[:50] + more)


def _repeats(record: LayerRecord, found: FamilyRecord) -> list[str]:
    repeated = sorted(unit for unit, count in Counter(found.units).items() if count > 1)
    return [f"{record.file}: family '{found.name}' repeats unit {unit}; taken once." for unit in repeated]


OPPOSITE = {LinkKind.EARLIER: LinkKind.LATER, LinkKind.LATER: LinkKind.EARLIER, LinkKind.ANALOGUE: LinkKind.ANALOGUE}


@transaction.atomic
def link(user: User, source: Family, target: Family, kind: str) -> FamilyLink:
    """Say that ``target`` is the earlier, later, ... kin of ``source``; the way back is written with it.

    Raises:
        Refused: unless the user is a reviewer or editor.
        ValidationError: when the link does not fit the layers' order, or is there already.
    """
    require(can_link_families(user))
    if kind not in LinkKind.values:
        raise ValidationError(f"There is no kind of link '{kind}'. Kinds: {', '.join(LinkKind.values)}.")
    same_network = source.layer.network_id == target.layer.network_id
    if kind in (LinkKind.EARLIER, LinkKind.LATER):
        step = target.layer.order - source.layer.order
        if not same_network or (step >= 0 if kind == LinkKind.EARLIER else step <= 0):
            raise ValidationError(f"{target} does not lie {kind} than {source} in the same network.")
    if kind == LinkKind.ANALOGUE and same_network:
        raise ValidationError("An analogue is a family of another network.")
    try:
        with transaction.atomic():
            made = FamilyLink.objects.create(source=source, target=target, kind=kind, created_by=user)
            if kind in OPPOSITE:
                FamilyLink.objects.create(source=target, target=source, kind=OPPOSITE[LinkKind(kind)], created_by=user)
    except IntegrityError as error:
        raise ValidationError("These families are linked so already.") from error
    events.record(user, "family.linked", family=source, data={"to": target.pk, "kind": kind})
    return made
