"""The panel that tells how far people agree, on the pages of families, layers and networks.

Nothing is computed here: the newest figures are read (``actions/agreement.measure`` takes them now and then).
"""

import datetime
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.db.models import OuterRef, Subquery
from django.db.models.functions import JSONObject

from taxonomy.actions import labels
from taxonomy.consensus import FLAGGED_BELOW, NONE_OF_THESE
from taxonomy.models import Agreement, Family, Layer, Network, Neuron, User
from taxonomy.permissions import Person, told_now
from taxonomy.rendering.plots import interval


@dataclass
class Mixed:
    """Two families (None for "none of these") that people read in the same neurons."""

    one: Family | None
    other: Family | None
    neurons: int


@dataclass
class Panel:
    """The newest figures of a network, a layer or a family, and which neurons they rest on most.

    ``split`` are those that this person may know to be read differently.
    """

    row: Agreement
    families: Mapping[int, Family]
    split: list[Neuron] = field(default_factory=list)

    limit = FLAGGED_BELOW

    @property
    def figures(self) -> dict[str, Any]:
        figures: dict[str, Any] = self.row.figures
        return figures

    @property
    def too_few(self) -> bool:
        return bool(self.figures["neurons"] < self.figures["needed"])

    @property
    def plots(self) -> list[tuple[str, dict[str, float], Any]]:
        """Each alpha with its interval: what it is called, its figures, the drawing."""
        found = []
        words = "in it or not" if self.row.family_id else "same family or not"
        for name, key in ((words, "nominal"), ("by distance in the tree", "tree")):
            figure = self.figures[key]
            if figure is not None:
                drawn = interval(figure["value"], figure["low"], figure["high"], FLAGGED_BELOW)
                found.append((name, figure, drawn))
        return found

    @property
    def mixed(self) -> list[Mixed]:
        return [
            Mixed(self.families.get(pair["one"]), self.families.get(pair["other"]), pair["neurons"])
            for pair in self.figures["confusions"]
            if all(pk == NONE_OF_THESE or pk in self.families for pk in (pair["one"], pair["other"]))
        ]

    @property
    def rival(self) -> Family | None:
        """The family that this one is mixed with most."""
        for pair in self.mixed:
            for family in (pair.one, pair.other):
                if family is not None and family.pk != self.row.family_id:
                    return family
        return None

    @property
    def unseen(self) -> int:
        """How many more neurons are read differently than this person is told."""
        return len(self.figures["splits"]) - len(self.split)


def of_network(network: Network, families: Mapping[int, Family]) -> Panel | None:
    """The network's own figures; ``families`` are those that they may speak of. One query."""
    row = Agreement.objects.newest().filter(network=network, layer=None).first()
    return Panel(row, families) if row else None


def of_layer(
    user: Person, layer: Layer, families: Mapping[int, Family], hidden: Collection[int]
) -> tuple[Panel | None, set[int]]:
    """The layer's figures, and which of its families have a definition that is flagged. Two queries."""
    rows = list(Agreement.objects.newest().filter(layer=layer))
    flagged = {row.family_id for row in rows if row.family_id and row.flagged}
    own = next((row for row in rows if row.family_id is None), None)
    return Panel(own, families, split_of(user, own, layer, hidden)) if own else None, flagged


def of_family(user: Person, family: Family, families: Mapping[int, Family], hidden: Collection[int]) -> Panel | None:
    """The figures that ``newest_of_family`` found for a family. One query at most."""
    measured = family.measured  # type: ignore[attr-defined]
    if measured is None:
        return None
    row = Agreement(family=family, layer=family.layer, network=family.layer.network, **measured)
    row.at = datetime.datetime.fromisoformat(measured["at"])
    return Panel(row, families, split_of(user, row, family.layer, hidden))


def newest_of_family(path: str) -> Subquery:
    """The newest figures of the family at ``path``, for the query that finds the family."""
    found = Agreement.objects.filter(family=OuterRef(path)).order_by("-id")
    return Subquery(found.values(found=JSONObject(figures="figures", flagged="flagged", at="at"))[:1])


def split_of(user: Person, row: Agreement, layer: Layer, hidden: Collection[int]) -> list[Neuron]:
    """Of the neurons that split people, those of which this person is told how others read them; that is recorded."""
    order = row.figures["splits"]
    if not order:
        return []
    neurons = list(told_now(user, Neuron.objects.filter(pk__in=order), hidden))
    for neuron in neurons:
        neuron.layer = layer
    if isinstance(user, User):
        labels.reveal(user, *neurons)
    return sorted(neurons, key=lambda neuron: order.index(neuron.pk))
