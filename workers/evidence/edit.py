"""An experiment: a network as it is, changed as a claim says, and changed elsewhere; what that does, and its ruling."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch

from workers import experiment
from workers.evidence import Failure, Finding, Members, nothing
from workers.network import Network
from workers.scan import Pictures


def edit(
    network: Network,
    targets: Sequence[Members],
    *,
    plan: Mapping[str, Any],
    images: Pictures | None = None,
    batch: int = 32,
    device: torch.device | str = "cpu",
    tick: Callable[[], None] = nothing,
) -> Iterator[Finding | Failure]:
    """What the experiment of `plan` finds (see `workers.experiment`); the targets say only where it is kept.

    Data: {"ruling": {"verdict": "supported", "refuted" or "inconclusive", "effect": the mean change, "low", "high": its
    95 % interval, "n": pairs}, "reason": a sentence, "unit", "relative": whether the effect is a share of what was,
    "before", "after": {"mean", "low", "high"} of the measure, "pairs": up to 2,000 of [before, after, neuron or
    picture, variant], "controls": the effect of each control, no two of which are alike, 20 at most (None: it left more
    than a tenth of the pairs without a measure), "control": {"words", "changes": of each change of the plan {"kind":
    what is changed, "changed": how many of these, "size": how many controls change, "plan", "controls": how large these
    are on average (mean response x weight that leads on), None where they are not matched}, "strength": how large what
    controls change is beside what the plan changes, the mean of all}, "left_out": {"count", "reason"} of pairs without
    a measure, or without a response on either side, "changed": {"weights", "neurons"}}.

    Of a sweep also "variants": [{"radius", "stroke"}] in pixels, "sweep": {"stimulus", "axis": degrees, "period",
    "variant", "neurons": up to 24, "before", "after", "control": of each the curve, pre-ReLU, the last under the
    control of median effect}. Of pictures "images": {"count", "top1", "top5": {"before", "after": {"share", "low",
    "high"}}, None where pictures have no class, "flipped": how many are taken for another class, "flips": up to 48 of
    them, those first whose class lost most, as {"image", "before", "after": {"class", "probability"}, "label"}}.

    A peak's measure is how far it moves from where it was, so that before is 0. `batch` stimuli are shown at a time. An
    experiment that cannot be made, or measures nothing, is a Failure. KeyError for an unknown layer.
    """
    for layer, members in targets:
        network.layer(layer)
        try:
            data = experiment.carry_out(network, plan, images=images, batch=batch, device=device, tick=tick)
        except experiment.CannotTest as error:
            yield Failure(layer, members, str(error))
            continue
        shown = frozenset(flip["image"] for flip in data["images"]["flips"]) if "images" in data else frozenset()
        yield Finding(layer, members, data, images=shown)
