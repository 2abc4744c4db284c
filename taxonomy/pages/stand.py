"""How a neuron's exhibits stand on its page: which is shown where, and what was not made yet."""

from collections.abc import Mapping
from typing import Any

from taxonomy.models import Layer, Neuron
from taxonomy.pages import panels
from taxonomy.pages.exhibits import ABOUT, Exhibit

# What may stand for a neuron, the first that there is.
FACES = ("feature-visualization", "kernels", "imported-picture")


class Stand:
    """The exhibits of a neuron in their places.

    ``chosen`` is what the reader asked for in the address: ``in`` and ``out`` name the other layer of the weights,
    ``facets`` says how many, ``example`` is a place in a picture (``image-row-column``).
    """

    def __init__(self, neuron: Neuron, exhibits: list[Exhibit], chosen: Mapping[str, Any]) -> None:
        self.neuron = neuron
        self.every = exhibits
        self.parts = {exhibit.slug: exhibit for exhibit in exhibits}
        self.portraits = [self.parts[slug] for slug in FACES if self._there(slug)]
        self.negative = self._there("feature-visualization-negative")
        self.examples = self._there("dataset-examples")
        self.histogram = self._there("activation-histogram")
        self.tuning = self._of("tuning_curves")
        self.weights = [found for side in ("in", "out") if (found := self._weights(side, str(chosen.get(side, ""))))]
        self.factors = self._of("weight_factors")
        self.decomposed = self._of("decomposed_visualization")
        self.neighbours = self._of("neighbours")
        facets = self._of("facets")
        self.facets_made = {str(one.values.get("facets")): one for one in facets}
        self.facets = self.facets_made.get(str(chosen.get("facets", ""))) or newest(facets)
        self.place = place_of(str(chosen.get("example", "")))
        self.attributions = [one for one in self._of("attribution") if place_of(one.variant) == self.place]
        self.channel = self._there("feature-visualization-channel")
        self._draw()
        self.example = None
        if self.place is not None and self.examples is not None and self.examples.version is not None:
            self.example = panels.find_example(self.examples, *self.place)

    def _there(self, slug: str) -> Exhibit | None:
        exhibit = self.parts.get(slug)
        return exhibit if exhibit is not None and not exhibit.absent else None

    def _of(self, kind: str) -> list[Exhibit]:
        return [exhibit for exhibit in self.every if exhibit.kind.name == kind and not exhibit.absent]

    def _weights(self, side: str, layer: str) -> Exhibit | None:
        every = [one for one in self._of("weights") if one.values.get("direction") == side]
        return next((one for one in every if one.values.get("layer") == layer), None) or next(iter(every), None)

    @property
    def shown(self) -> list[Exhibit]:
        """What the reader of the page sees."""
        single = [self.negative, self.channel, self.examples, self.histogram, self.facets]
        many = [self.portraits, self.tuning, self.weights, self.factors, self.decomposed]
        return [*(one for one in single if one), *(one for part in many for one in part), *self.attributions]

    def _draw(self) -> None:
        shelf = self.every[0].shelf if self.every else None
        if shelf is None:
            return
        face = next((one for one in self.portraits if one.version is not None), None)
        shelf.face = face.face() if face else ""
        if self.histogram is not None and isinstance(self.histogram.data, dict):
            sd = self.histogram.data.get("sd")
            shelf.sd = float(sd) if isinstance(sd, (int, float)) and sd > 0 else None
        made = [one for one in self.tuning if one.version is not None]
        shelf.full = panels.full_of(made) if len(made) > 1 else 0.0
        self.full, self.unit = shelf.full, "sd" if shelf.sd else ""
        panels.fill(self.shown)

    full, unit = 0.0, ""

    @property
    def missing(self) -> list[dict[str, Any]]:
        """The kinds of which something was not made: with a line that says what each is for."""
        found: dict[str, list[str]] = {}
        whole: set[str] = set()
        for exhibit in self.every:
            name = exhibit.kind.name
            if not exhibit.kind.computed or name == "attribution":
                continue
            if exhibit.absent:
                found.setdefault(name, []).append(exhibit.title)
            else:
                whole.add(name)
        kinds = {exhibit.kind.name: exhibit.kind for exhibit in self.every}
        return [
            {"kind": kinds[name], "about": ABOUT[name], "rest": titles if name in whole else []}
            for name, titles in found.items()
            if name != "facets" or name not in whole
        ]

    @property
    def sources(self) -> list[Layer]:
        """The layers to which the chosen example was not traced back yet, the nearest first."""
        traced = {str(one.values.get("layer")) for one in self.attributions}
        layers = list(self.every[0].shelf.layers.values()) if self.every else []
        return [one for one in reversed(layers) if one.order < self.neuron.layer.order and one.name not in traced]

    @property
    def others(self) -> dict[str, list[dict[str, Any]]]:
        """For each side of the weights the layers that may lie at their other end, and whether they are made."""
        order = self.neuron.layer.order
        layers: list[Layer] = list(self.every[0].shelf.layers.values()) if self.every else []
        made = {(one.values.get("direction"), one.values.get("layer")) for one in self._of("weights") if one.version}
        sides = {
            "in": [layer for layer in reversed(layers) if layer.order < order],
            "out": [layer for layer in layers if layer.order > order],
        }
        return {
            side: [{"layer": layer, "made": (side, layer.name) in made} for layer in found]
            for side, found in sides.items()
        }


def place_of(text: str) -> tuple[int, int, int] | None:
    """A place in a picture, from ``image-row-column`` (and what follows it)."""
    parts = text.split("-")[:3]
    if len(parts) == 3 and all(part.isascii() and part.isdigit() and len(part) < 10 for part in parts):
        image, row, column = map(int, parts)
        return image, row, column
    return None


def newest(exhibits: list[Exhibit]) -> Exhibit | None:
    made = [one for one in exhibits if one.version is not None]
    return max(made, key=lambda one: one.version.made_at, default=None) or next(iter(exhibits), None)  # type: ignore[union-attr]
