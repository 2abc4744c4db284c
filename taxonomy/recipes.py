"""Kinds of evidence: their parameters, their versions, and the key that makes asking twice the same.

Standard library only: the site and the laboratory both read it.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Kind:
    """A kind of evidence.

    Attributes:
        version: raised whenever the kind's output changes; ``test_output_belongs_to_version_1`` holds the two together.
        variants: the parameter sets that one request makes, each a piece of evidence of its own.
        needs_images: whether an image set goes into it.
        computed: False for what comes with an import.
        batch: neurons for one shard (aim: under a minute on two cores); None for all that were asked for together,
            whatever their layer, because one pass over the images serves them all.
        limits: what a request may change in a variant, each between two whole numbers.
    """

    name: str
    title: str
    version: int
    variants: tuple[Mapping[str, Any], ...] = ({},)
    needs_images: bool = False
    computed: bool = True
    batch: int | None = 64
    limits: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    first_layer_only: bool = False

    def variants_for(self, order: int, layers: int) -> list[dict[str, Any]]:
        """The parameter sets that apply to the layer of this ``order`` among ``layers``; none if the kind does not."""
        if self.first_layer_only and order > 0:
            return []
        return [
            dict(variant)
            for variant in self.variants
            if not (variant.get("direction") == "in" and order == 0)
            and not (variant.get("direction") == "out" and order == layers - 1)
        ]

    def check(self, changes: Mapping[str, Any]) -> None:
        """Whether a request may change these parameters of the recipe, and to these values.

        Raises:
            RecipeError: when not, with what may be.
        """
        for name, value in changes.items():
            if name not in self.limits:
                free = ", ".join(self.limits) or "none"
                raise RecipeError(f"{self.name} has no parameter '{name}' to choose freely (there are: {free}).")
            least, most = self.limits[name]
            if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
                raise RecipeError(f"'{name}' of {self.name} is a whole number from {least} to {most}.")


FEATURE_VISUALIZATION_STEPS = 512

KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("kernels", "Kernel", version=1, first_layer_only=True, batch=256),
        Kind(
            "feature_visualization",
            "Feature visualization",
            version=1,
            variants=({"objective": "neuron", "steps": FEATURE_VISUALIZATION_STEPS, "seed": 0},),
            limits={"steps": (1, 4096), "seed": (0, 2**31 - 1)},
            batch=48,
        ),
        Kind("dataset_examples", "Dataset examples", version=1, variants=({"top": 9},), needs_images=True, batch=None),
        Kind(
            "tuning_curves",
            "Tuning curve",
            version=1,
            variants=(
                {"stimulus": "curve", "radius": 40, "stroke": 3, "step": 0.5},
                {"stimulus": "line", "stroke": 3, "step": 0.5},
            ),
            batch=256,
        ),
        Kind("weights", "Weights", version=1, variants=({"direction": "in"}, {"direction": "out"}), batch=256),
        Kind("imported_picture", "Imported picture", version=1, computed=False),
    )
}
COMPUTED = tuple(name for name, kind in KINDS.items() if kind.computed)


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


class RecipeError(ValueError):
    """A request that no recipe answers; the message says what there is."""


def check_kinds(kinds: Iterable[str]) -> list[str]:
    """The kinds, in their standing order; all computed ones when none is named."""
    wanted = set(kinds)
    unknown = sorted(wanted - set(COMPUTED))
    if unknown:
        raise RecipeError(f"There is no kind of evidence '{unknown[0]}' to compute. Kinds: {', '.join(COMPUTED)}.")
    return [kind for kind in COMPUTED if kind in wanted or not wanted]
