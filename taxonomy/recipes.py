"""Kinds of evidence: their parameters, their versions, and the key that makes asking twice the same.

Standard library only: the site and the laboratory both read it.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any


@dataclass(frozen=True)
class Tolerance:
    """How far newer evidence may lie from what people saw before a neuron that was accepted on it is stale.

    Attributes:
        numbers: for each field of ``data.json`` (entries of a list together) the mean absolute difference, as a share
            of the field's largest magnitude.
        absolute: a mean difference up to this, in the field's own unit, is none: noise around zero.
        pixels: for each picture the mean absolute difference of a colour's values, in steps of 255.
        named: for each field that names something (a word, or one of ``names``), the share that may be another.
        names: the fields whose numbers name something, such as an image.
        without: fields and pictures that are not compared, by how their names begin: samples, and steps on the way.
    """

    numbers: float = 0.05
    absolute: float = 1e-6
    pixels: float = 4.0
    named: float = 0.0
    names: tuple[str, ...] = ("image", "neuron")
    without: tuple[str, ...] = ()

    def leaves_out(self, name: str) -> bool:
        return name.startswith(self.without) if self.without else False


@dataclass(frozen=True)
class Kind:
    """A kind of evidence.

    Attributes:
        version: raised whenever the kind's output changes; ``test_output_belongs_to_version_N`` holds the two together.
        variants: the parameter sets that one request makes, each a piece of evidence of its own.
        subject: "neuron"; or "family": then its members, and those of the family at the other end, are parameters; or
            "layer", or "claim".
        needs_images: whether an image set goes into it; ``images_where`` names a parameter's value that needs one.
        surveyed: whether it is made of what a pass over the images gathered (see ``SURVEY_VERSION``).
        computed: False for what comes with an import.
        by_default: whether a request that names no kinds makes it; the others are made when they are asked for.
        heavy: whether it is for a GPU, where there is one.
        batch: subjects for one shard (aim: under a minute on two cores).
        limits: what a request may change in a variant, each between two whole numbers.
        choices: what it may change to one of a few values.
        layer: where the parameter ``layer`` begins when a request does not name it: the layer before the neuron's
            ("before"), or that on the side of ``direction`` ("direction"); "" for a kind without one.
        joins: whether the family is joined with another, of an earlier layer.
        required: parameters that have no default, and must be given.
        tolerance: how far a newer recipe, weights or image set may move it before what rests on it is stale.
    """

    name: str
    title: str
    version: int
    variants: tuple[Mapping[str, Any], ...] = ({},)
    subject: str = "neuron"
    needs_images: bool = False
    images_where: tuple[str, str] | None = None
    surveyed: bool = False
    computed: bool = True
    by_default: bool = True
    heavy: bool = False
    batch: int = 64
    limits: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    choices: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    layer: str = ""
    required: tuple[str, ...] = ()
    joins: bool = False
    first_layer_only: bool = False
    tolerance: Tolerance = Tolerance()

    def variants_for(
        self, order: int, layers: Sequence[str], changes: Mapping[str, Any] = MappingProxyType({})
    ) -> list[dict[str, Any]]:
        """The parameter sets that apply to the layer of this ``order`` among ``layers``; none if the kind does not.

        A change to a value by which variants differ picks those that have it (``{"by": "weights"}``); any other is
        made in all of them. A ``layer`` leaves those on whose side it lies.
        """
        if self.first_layer_only and order > 0:
            return []
        chosen = [
            variant
            for variant in self.variants
            if all(variant.get(name) == value for name, value in changes.items() if value in self.picks.get(name, ()))
        ]
        found: list[dict[str, Any]] = []
        for variant in chosen:
            values = dict(variant)
            if self.layer:
                side = 1 if values.get("direction") == "out" else -1
                other = layers.index(changes["layer"]) if "layer" in changes else order + side
                if not 0 <= other < len(layers) or (other - order) * side <= 0:
                    continue
                values["layer"] = layers[other]
            values |= changes
            if values not in found:
                found.append(values)
        return found

    @property
    def picks(self) -> dict[str, tuple[str, ...]]:
        """The parameters by whose value, a word, the variants differ: ``{"direction": ("in", "out")}``."""
        words: dict[str, list[str]] = {}
        for variant in self.variants:
            for name, value in variant.items():
                if isinstance(value, str) and value not in words.setdefault(name, []):
                    words[name].append(value)
        return {name: tuple(values) for name, values in words.items() if len(values) > 1}

    def takes_images(self, values: Mapping[str, Any]) -> bool:
        """Whether the variant with these values needs an image set."""
        return self.needs_images or (self.images_where is not None and self.images_where in values.items())

    def check(self, changes: Mapping[str, Any]) -> None:
        """Whether a request may change these parameters of the recipe, and to these values.

        A ``layer`` is checked by who knows the network.

        Raises:
            RecipeError: when not, with what may be.
        """
        choices = {**self.picks, **self.choices}
        for name, value in changes.items():
            if name == "layer" and self.layer:
                continue
            if name in choices:
                if value not in choices[name]:
                    raise RecipeError(f"'{name}' of {self.name} is one of {', '.join(choices[name])}.")
                continue
            if name not in self.limits:
                free = ", ".join([*self.limits, *choices, *(["layer"] if self.layer else [])]) or "none"
                raise RecipeError(f"{self.name} has no parameter '{name}' to choose freely (there are: {free}).")
            least, most = self.limits[name]
            if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
                raise RecipeError(f"'{name}' of {self.name} is a whole number from {least} to {most}.")
        missing = [name for name in self.required if name not in changes]
        if missing:
            raise RecipeError(f"{self.name} needs '{missing[0]}': it has no default.")


FEATURE_VISUALIZATION_STEPS = 512
STEPS = (1, 4096)
SEED = (0, 2**31 - 1)

# What one pass over the images gathers of every neuron (see ``workers.scan``), and in parts of how many pictures.
SURVEY_VERSION = 1
SURVEY_PART = 128

KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind(
            "kernels",
            "Kernel",
            version=1,
            first_layer_only=True,
            batch=256,
            tolerance=Tolerance(numbers=0.001, pixels=1.0),  # arithmetic: the same up to rounding
        ),
        Kind(
            "feature_visualization",
            "Feature visualization",
            version=2,
            variants=tuple(
                {
                    "objective": objective,
                    "steps": FEATURE_VISUALIZATION_STEPS,
                    "seed": 0,
                    "diversity": 1,
                    "dtype": "float32",
                }
                for objective in ("neuron", "negative")
            ),
            limits={"steps": STEPS, "seed": SEED, "diversity": (1, 8)},
            choices={"objective": ("neuron", "negative", "channel"), "dtype": ("float32", "bfloat16")},
            heavy=True,
            batch=48,
            # Two climbs to one summit differ in their details; beyond a tenth of the range they show something else.
            tolerance=Tolerance(numbers=0.1, pixels=24.0, without=("step_", "canvas", "plain")),
        ),
        Kind(
            "dataset_examples",
            "Dataset examples",
            version=2,
            variants=({"top": 9},),
            needs_images=True,
            surveyed=True,
            heavy=True,
            batch=1024,
            # Three of nine best examples may be others; the rest of the range is a sample.
            tolerance=Tolerance(
                numbers=0.1, named=0.34, without=("bins", "lowest", "row", "column", "box", "clipped", "map", "images")
            ),
        ),
        Kind(
            "activation_histogram",
            "Activations",
            version=1,
            needs_images=True,
            surveyed=True,
            batch=1024,
            # The shape of the distribution; where its bins lie, and how much was drawn, follow from other numbers.
            tolerance=Tolerance(numbers=0.1, without=("edges", "counts", "samples", "images", "minimum", "maximum")),
        ),
        Kind(
            "tuning_curves",
            "Tuning curve",
            version=2,
            variants=(
                {"stimulus": "curve", "radius": 40, "stroke": 3, "step": 0.5},
                {"stimulus": "line", "stroke": 3, "step": 0.5},
                {"stimulus": "grating", "step": 5},
                {"stimulus": "high_low", "step": 5},
                {"stimulus": "centre_surround"},
                {"stimulus": "hue", "step": 5},
            ),
            batch=256,
        ),
        Kind(
            "weights",
            "Weights",
            version=2,
            variants=({"direction": "in"}, {"direction": "out"}),
            layer="direction",
            batch=256,
            tolerance=Tolerance(numbers=0.01, named=0.1),  # of fifty strongest, five may have changed places
        ),
        Kind(
            "neighbours",
            "Neighbours",
            version=1,
            variants=({"by": "activation"}, {"by": "weights"}, {"by": "rotation"}),
            images_where=("by", "activation"),
            surveyed=True,
            batch=1024,
            tolerance=Tolerance(numbers=0.1),
        ),
        Kind(
            "weight_factors",
            "Weight factors",
            version=1,
            variants=({"factors": 3, "steps": 256, "seed": 0},),
            limits={"factors": (1, 6), "steps": STEPS, "seed": SEED},
            layer="before",
            by_default=False,
            heavy=True,
            batch=16,
        ),
        Kind(
            "decomposed_visualization",
            "Decomposed over positions",
            version=1,
            variants=({"steps": 128, "seed": 0},),
            limits={"steps": STEPS, "seed": SEED},
            layer="before",
            by_default=False,
            heavy=True,
            batch=4,
        ),
        Kind(
            "facets",
            "Facets",
            version=1,
            variants=({"facets": 3, "steps": 256, "seed": 0},),
            limits={"facets": (2, 6), "steps": STEPS, "seed": SEED},
            layer="before",
            needs_images=True,
            surveyed=True,
            by_default=False,
            heavy=True,
            batch=4,
        ),
        Kind(
            "attribution",
            "Attribution",
            version=1,
            limits=dict.fromkeys(("image", "row", "column"), (0, 2**31 - 1)),
            required=("image", "row", "column"),
            layer="before",
            needs_images=True,
            by_default=False,
        ),
        Kind("family_weights", "Family weights", version=1, subject="family", joins=True, by_default=False),
        Kind(
            "joint_tuning",
            "Joint tuning",
            version=1,
            variants=({"top": 4, "step": 15},),
            limits={"top": (1, 9)},
            subject="family",
            needs_images=True,
            surveyed=True,
            by_default=False,
            heavy=True,
        ),
        Kind("layer_weights", "Weights between layers", version=1, subject="layer", layer="before", by_default=False),
        # Asked for with a claim, whose plan is its only parameter.
        Kind("edit", "Experiment", version=2, subject="claim", by_default=False, heavy=True),
        Kind("imported_picture", "Imported picture", version=1, computed=False),
    )
}
COMPUTED = tuple(name for name, kind in KINDS.items() if kind.computed)
OF_NEURONS = tuple(name for name in COMPUTED if KINDS[name].subject == "neuron")
OF_LAYERS = frozenset(name for name in COMPUTED if KINDS[name].subject == "layer")
BY_DEFAULT = tuple(name for name in COMPUTED if KINDS[name].by_default)


def key(
    kind: str, *, version: int, weights_digest: str, image_set_digest: str, subject: str, parameters: Mapping[str, Any]
) -> str:
    """The SHA-256 (hex) of everything that decides what a piece of evidence shows."""
    recipe = {
        "kind": kind,
        "version": version,
        "weights": weights_digest,
        "images": image_set_digest,
        "subject": subject,
        "parameters": dict(parameters),
    }
    return digest(recipe)


def digest(value: Any) -> str:
    """The SHA-256 (hex) of a JSON-able value in canonical form."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def variant_of(kind: str, parameters: Mapping[str, Any]) -> str:
    """What tells apart several pieces of evidence of one kind and subject; of those that it does not tell apart, the
    newest is shown."""
    if kind == "feature_visualization":
        return "" if parameters.get("objective", "neuron") == "neuron" else str(parameters["objective"])
    if kind == "attribution":
        names: Sequence[str] = ("image", "row", "column", "layer")
    else:
        names = {
            "tuning_curves": ("stimulus",),
            "weights": ("direction", "layer"),
            "neighbours": ("by",),
            "facets": ("facets",),
            "decomposed_visualization": ("layer",),
            "weight_factors": ("layer",),
        }.get(kind, ())
    return "-".join(str(parameters[name]) for name in names if name in parameters)


class RecipeError(ValueError):
    """A request that no recipe answers; the message says what there is."""


EVERY = "all"  # in the place of a kind's name: every kind that is made without being told more


def check_kinds(kinds: Iterable[str], subject: str = "neuron") -> list[str]:
    """The kinds for this subject, in their standing order; those that are made by default when none is named.

    Raises:
        RecipeError: for a kind that there is not, or that is made of something else.
    """
    wanted = set(kinds)
    unknown = sorted(wanted - {*COMPUTED, EVERY})
    if unknown:
        raise RecipeError(f"There is no kind of evidence '{unknown[0]}' to compute. Kinds: {', '.join(COMPUTED)}.")
    own = [kind for kind in COMPUTED if KINDS[kind].subject == subject]
    others = [kind for kind in COMPUTED if kind in wanted and kind not in own]
    if others:
        what = {"neuron": "neurons", "family": "families", "layer": "whole layers", "claim": "claims"}
        raise RecipeError(f"{others[0]} is made of {what[KINDS[others[0]].subject]}, not of {what[subject]}.")
    if EVERY in wanted or (subject == "family" and not wanted):
        wanted |= {kind for kind in own if not KINDS[kind].required}
    return [kind for kind in own if kind in wanted] or list(BY_DEFAULT)
