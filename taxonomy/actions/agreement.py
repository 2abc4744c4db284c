"""Measuring how far people agree: in a network, in its layers, and about its families."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from django.db import transaction

from taxonomy import consensus
from taxonomy.models import Agreement, Family, Label, Layer, Membership, Network, Verdict

Tree = dict[int, int | None]


@transaction.atomic
def measure(network: Network) -> int:
    """Take the network's figures again, and keep those that are new; returns how many.

    What goes in is each person's last blind label of a neuron: those taken back are left out, those superseded since by
    a label that was not blind still count, and "cannot tell" is a missing value. Readings of gold neurons are left out:
    these check people, and were chosen because their answer is clear. An imported membership is not a reading either.

    It has no user: it decides nothing, and whoever takes the same labels finds the same figures.
    """
    network = Network.objects.select_for_update(no_key=True).get(pk=network.pk)
    layers = {layer.pk: layer for layer in network.layers.order_by("order")}
    trees, living = _trees(network)
    units = units_of(network)
    known = {(row.layer_id, row.family_id): row for row in Agreement.objects.newest().filter(network=network)}
    made: list[Agreement] = []
    for layer_id in [*layers, None]:
        tree = trees.get(layer_id, {}) if layer_id else {node: up for own in trees.values() for node, up in own.items()}
        own = [unit for unit in units if layer_id in (None, unit.layer)]
        families = living.get(layer_id, []) if layer_id else []
        inputs = _inputs(own, tree, families)
        before = known.get((layer_id, None))
        if not own and before is None:
            continue
        if before and (before.rule_version, before.inputs) == (consensus.AGREEMENT_VERSION, inputs):
            continue
        made.append(_row(network, layers.get(layer_id or 0), None, inputs, consensus.agreement(own, tree)))
        for family, figures in consensus.agreement_in_families(own, families, tree).items():
            row = _row(network, layers[layer_id or 0], family, inputs, figures)
            last = known.get((layer_id, family))
            if last is None or (last.rule_version, last.figures) != (row.rule_version, row.figures):
                made.append(row)
    Agreement.objects.bulk_create(made)
    return len(made)


def measure_all() -> None:
    for network in Network.objects.all():
        measure(network)


def _trees(network: Network) -> tuple[dict[int, Tree], dict[int, list[int]]]:
    """For each layer its tree of families, and those that are not retired."""
    trees: dict[int, Tree] = {}
    living: dict[int, list[int]] = {}
    families = Family.objects.filter(layer__network=network).order_by("pk")
    for pk, parent, layer, retired in families.values_list("pk", "parent_id", "layer_id", "retired_at"):
        trees.setdefault(layer, {})[pk] = parent
        if retired is None:
            living.setdefault(layer, []).append(pk)
    return trees, living


def units_of(network: Network) -> list[consensus.Unit]:
    """The network's neurons that anybody has read blind, in order. Three queries."""
    counted = Label.objects.filter(neuron__layer__network=network, blind=True, gold=False, undone_at=None)
    further: dict[int, set[int]] = {}
    through = Label.further.through.objects.filter(label__in=counted.filter(polysemantic=True))
    for label, family in through.values_list("label_id", "family_id"):
        further.setdefault(label, set()).add(family)
    said: dict[int, dict[int, consensus.Said | None]] = {}
    layers: dict[int, int] = {}
    rows = counted.order_by("pk").values_list(
        "pk", "neuron_id", "neuron__layer_id", "author_id", "verdict", "family_id", "no_finer"
    )
    for pk, neuron, layer, author, verdict, family, no_finer in rows:
        layers[neuron] = layer
        reading = consensus.Said(author, family or consensus.NONE_OF_THESE, no_finer, frozenset(further.get(pk, ())))
        said.setdefault(neuron, {})[author] = None if verdict == Verdict.CANNOT_TELL else reading
    members: dict[int, set[int]] = {}
    decided = Membership.objects.current().filter(neuron__in=said, review__isnull=False)
    for neuron, family in decided.values_list("neuron_id", "family_id"):
        members.setdefault(neuron, set()).add(family)
    return [
        consensus.Unit(
            neuron,
            layers[neuron],
            tuple(reading for _, reading in sorted(own.items()) if reading is not None),
            frozenset(members.get(neuron, ())),
        )
        for neuron, own in sorted(said.items())
    ]


def _inputs(units: Sequence[consensus.Unit], tree: Mapping[int, int | None], families: Sequence[int]) -> dict[str, Any]:
    """What the figures were taken from, told by its digest and its size."""
    said = [
        [
            unit.neuron,
            sorted(unit.members),
            [[one.person, one.family, one.no_finer, sorted(one.further)] for one in unit.said],
        ]
        for unit in units
    ]
    told = json.dumps([said, sorted(tree.items()), list(families)], separators=(",", ":"))
    return {
        "digest": hashlib.sha256(told.encode()).hexdigest(),
        "neurons": len(units),
        "readings": sum(len(unit.said) for unit in units),
    }


def _row(
    network: Network, layer: Layer | None, family: int | None, inputs: dict[str, Any], figures: consensus.Figures
) -> Agreement:
    return Agreement(
        network=network,
        layer=layer,
        family_id=family,
        rule_version=consensus.AGREEMENT_VERSION,
        inputs=inputs,
        figures=_rounded(asdict(figures)),
        flagged=family is not None and figures.flagged,
    )


def _rounded(value: Any) -> Any:
    """As JSON gives it back: figures to six decimals, lists for tuples."""
    if isinstance(value, float):
        return round(value, 6)
    if isinstance(value, dict):
        return {name: _rounded(one) for name, one in value.items()}
    return [_rounded(one) for one in value] if isinstance(value, (list, tuple)) else value
