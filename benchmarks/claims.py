"""What the rulings of experiments are worth: `./run bench claims`.

- nothing: of 1,000 claims that something rises or falls where the change is like any other, how many are supported.
- planted: of claims of an effect of known size, how many are found.
- echo: the published ablation of curve detectors (`negative-weight-ablation.json`), and the same on the curve network.
- photographs: on SqueezeNet and real pictures, neurons whose loss changes predictions, claimed of the pictures of which
  gradients say so, and of others; and accuracy with and without a family.

See README.md.
"""

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from benchmarks.evidence import processor
from tests import planted
from tests.shared import DATA
from workers import curve_network, scan, stimuli, zoo
from workers.experiment import carry_out
from workers.interventions import Condition
from workers.network import Network
from workers.responses import measures, respond, views

SIZES = (0.05, 0.1, 0.2, 0.3, 0.5)  # of planted effects, in what the neurons respond (1 to 2)
STATED = 0.3  # the size that is asked for
MOST_SUPPORTED, LEAST_FOUND = 0.05, 0.95
ANGLES = np.arange(0.0, 181.0, 15.0)  # degrees from the peak, of mean curves
CONDITIONS = {
    "unedited": "as it is",
    "early_curves_only": "early curves only",
    "early_curves_positive_weights": "early curves, positive weights only",
}
COLOURFUL = 0.5  # share of a kernel's energy that is not grey


def nothing(count: int) -> dict[str, Any]:
    found: dict[str, Counter[str]] = {}
    for kind, network, plan in planted.claims_of_nothing(count):
        found.setdefault(kind, Counter())[planted.ruling(network, plan)] += 1
    supported = sum(counts["supported"] for counts in found.values()) / count
    return {"claims": count, "supported": supported, "kinds": {kind: dict(counts) for kind, counts in found.items()}}


def effects(count: int) -> list[dict[str, Any]]:
    rows = []
    for size in SIZES:
        results = [carry_out(network, plan) for network, plan in planted.claims_of_an_effect(count, size)]
        verdicts = Counter(result["ruling"]["verdict"] for result in results)
        rows.append(
            {
                "size": size,
                "claims": count,
                "found": verdicts["supported"] / count,
                "refuted": verdicts["refuted"] / count,
                "controls": float(np.mean([np.std(result["controls"]) for result in results])),
                "before": float(np.mean([result["before"]["mean"] for result in results])),
            }
        )
    return rows


def echo() -> dict[str, Any]:
    """Of both networks, for each condition: the echo of each unit, and the mean curve about the peaks, where each
    unit's largest response as it is counts 1."""
    published = json.loads((DATA / "curve-detectors" / "negative-weight-ablation.json").read_text())
    natural = {
        name: np.array([published["conditions"][name]["activations"][str(unit)] for unit in published["units"]])
        for name in CONDITIONS
    }
    return {"natural": _echoes(natural), "by hand": _echoes(_by_hand())}


def _by_hand() -> dict[str, NDArray[np.float64]]:
    early, lines, curves = slice(0, 24), slice(24, 42), range(24)
    found = {}
    for name in CONDITIONS:
        network = curve_network.build()
        weight = network.stages["mixed3b"].get_parameter("1.weight")
        if name != "unedited":
            weight[:, lines] = 0
        if name == "early_curves_positive_weights":
            weight[:, early].clamp_(min=0)
        (view,) = views(network, [("mixed3b", unit) for unit in curves])
        found[name] = respond(network, view, stimuli.arcs, np.arange(720) / 2).T.astype(float)
    return found


def _echoes(curves: dict[str, NDArray[np.float64]]) -> dict[str, Any]:
    axis = np.arange(curves["unedited"].shape[1]) * 360 / curves["unedited"].shape[1]
    whole = np.maximum(curves["unedited"], 0)
    peaks, largest = whole.argmax(axis=1), whole.max(axis=1)
    told = {}
    for name in CONDITIONS:
        responses = np.maximum(curves[name], 0)
        about = np.stack(
            [np.roll(row, -peak) / most for row, peak, most in zip(responses, peaks, largest, strict=True)]
        )
        both = (about + np.roll(about[:, ::-1], 1, axis=1)) / 2  # to either side
        told[name] = {
            "echo": [measures(axis, row, 360)["echo"] for row in responses],
            "curve": [float(value) for value in both.mean(axis=0)[(ANGLES * len(axis) / 360).astype(int)]],
        }
    return told


@dataclass(frozen=True)
class Screened:
    """A neuron that predictions may rest on. `expected` and `changed` are pictures whose prediction should change
    without it, as far as gradients tell, and does."""

    channel: int
    expected: tuple[int, ...]
    changed: tuple[int, ...]


def screen(
    network: Network,
    layer: str,
    images: scan.Pictures,
    indices: Sequence[int] | None = None,
    *,
    most: int = 20,
    batch: int = 32,
) -> list[Screened]:
    """The neurons of a layer whose loss changes most predictions, most first: what is worth a claim.

    Gradient x activation says what each gives the largest logit of a picture; where that is more than what the largest
    is ahead by, the prediction should change. The `most` neurons of which that holds most often are then dropped, one
    at a time. A claim about these pictures was chosen for what it says; one about others was not.

    ValueError for a network without a head; KeyError for an unknown layer.
    """
    if network.head is None:
        raise ValueError(f"{network.architecture} has no head that classifies.")
    chosen = range(len(images)) if indices is None else indices
    last = network.layers[-1].name
    expected: list[tuple[int, NDArray[np.bool_]]] = []
    given = torch.zeros(network.layer(layer).channels)
    for part, found in scan.activations(network, [layer], images, chosen, batch=batch):
        values = found[layer].clone().requires_grad_()
        best = network.head(network.between(values, layer, last)).topk(2, dim=1).values
        (gradient,) = torch.autograd.grad(best[:, 0].sum(), values)
        gives = (gradient * values.detach()).sum(dim=(2, 3))
        given += gives.sum(0).cpu()
        ahead = (best[:, :1] - best[:, 1:]).detach()
        expected += zip(part, (gives > ahead).cpu().numpy(), strict=True)
    often = np.sum([those for _, those in expected], axis=0)
    channels = np.lexsort((-given.numpy(), -often))[:most].tolist()  # equally often: what gives more on the whole
    conditions = [Condition(silent={layer: [torch.tensor([channel])]}) for channel in channels]
    changed: list[list[int]] = [[] for _ in channels]
    with torch.inference_mode():
        for part, found in scan.activations(network, [layer], images, chosen, batch=batch):
            said, *without = (
                network.head(condition.through(network, found[layer], layer, last)).argmax(1).cpu()
                for condition in [Condition(), *conditions]
            )
            for those, now in zip(changed, without, strict=True):
                those += [index for index, other in zip(part, (now != said).tolist(), strict=True) if other]
    screened = [
        Screened(channel, tuple(index for index, those in expected if those[channel]), tuple(those))
        for channel, those in zip(channels, changed, strict=True)
    ]
    return sorted(screened, key=lambda each: -len(each.changed))


def photographs(every: int, layer: str) -> dict[str, Any]:
    network = zoo.load("squeezenet1_0", DATA / "squeezenet1_0" / "squeezenet1_0.safetensors")
    files = sorted((DATA / "imagenet-samples").glob("*.jpg"))
    pictures = scan.Pictures([file.name for file in files], lambda index: files[index], list(range(len(files))))
    chosen = range(0, len(files), every)
    searched, claimed = chosen[::2], chosen[1::2]
    screened = screen(network, layer, pictures, searched)
    claims = []
    for each in screened[:3]:
        # Those of which gradients say so, before anything was dropped; and pictures that were not looked at.
        for which, shown, margin in (("expected", each.expected, 0.2), ("others", claimed, 0.02)):
            plan = pictured(layer, [each.channel], shown, "prediction", "rises", margin)
            data = carry_out(network, plan, images=pictures)
            claims.append(_short(data) | {"neuron": f"{layer}:{each.channel}", "pictures": which})
    families = {
        f"the 10 of {layer} that were found": (layer, [each.channel for each in screened[:10]], claimed),
        "what sees colour in conv1": ("conv1", _colourful(network), chosen),
    }
    accuracy = []
    for name, (where, channels, shown) in families.items():
        data = carry_out(network, pictured(where, channels, shown, "top1", "falls", 0.05), images=pictures)
        accuracy.append(
            _short(data)
            | {"family": name, "neurons": len(channels), "top1": data["images"]["top1"], "top5": data["images"]["top5"]}
        )
    return {"searched": len(searched), "claims": claims, "accuracy": accuracy}


def pictured(
    layer: str, channels: Sequence[int], shown: Sequence[int], what: str, change: str, margin: float
) -> dict[str, Any]:
    return {
        "do": [{"do": "drop", "at": {"layer": layer, "channels": list(channels)}}],
        "show": {"kind": "images", "image_set": "imagenet", "indices": list(shown)},
        "measure": {"what": what},
        "expect": {"change": change, "margin": margin},
        "controls": 20,
        "seed": 0,
    }


def _colourful(network: Network) -> list[int]:
    (weight,) = (module.weight for module in network.stages["conv1"].modules() if isinstance(module, nn.Conv2d))
    grey = weight.mean(dim=1, keepdim=True)
    share = (weight - grey).square().sum(dim=(1, 2, 3)) / weight.square().sum(dim=(1, 2, 3))
    return [int(channel) for channel in (share > COLOURFUL).nonzero()[:, 0]]


def _short(data: dict[str, Any]) -> dict[str, Any]:
    controls = [value for value in data["controls"] if value is not None]
    return {**data["ruling"], "controls": [min(controls), max(controls)]}


def _reached(value: bool) -> str:
    return "reached" if value else "missed"


def told(part: str, found: Any) -> list[str]:
    """A part's figures, in lines."""
    if part == "nothing":
        lines = [f"  {kind:<18} {counts}" for kind, counts in found["kinds"].items()]
        return [
            f"of {found['claims']:,} claims of nothing {found['supported']:.1%} are supported "
            f"(at most {MOST_SUPPORTED:.0%}: {_reached(found['supported'] <= MOST_SUPPORTED)})",
            *lines,
        ]
    if part == "planted":
        return [
            f"an effect of {row['size']:g} of {row['before']:.2f} ({row['size'] / row['controls']:.1f} times that of "
            f"others): {row['found']:.1%} of {row['claims']} found, {row['refuted']:.1%} refuted"
            + (
                f" (at least {LEAST_FOUND:.0%}: {_reached(row['found'] >= LEAST_FOUND)})"
                if row["size"] == STATED
                else ""
            )
            for row in found
        ]
    if part == "echo":
        lines = [f"{'echo (least, median, largest)':<38} InceptionV1 (10 units)   by hand (24 units)"]
        for name, called in CONDITIONS.items():
            both = [np.array(found[side][name]["echo"], dtype=float) for side in ("natural", "by hand")]
            cells = ["  ".join(f"{value:.3f}" for value in (e.min(), np.median(e), e.max())) for e in both]
            lines.append(f"  {called:<36} {cells[0]:<24} {cells[1]}")
        lines.append("mean response by degrees from the peak, of the largest as it is")
        lines.append(f"  {'':<48}" + " ".join(f"{angle:5.0f}" for angle in ANGLES))
        for name, called in CONDITIONS.items():
            for side in ("natural", "by hand"):
                values = " ".join(f"{value:5.2f}" for value in found[side][name]["curve"])
                lines.append(f"  {called:<36} {side:<11}{values}")
        return lines
    lines = [
        f"{each['neuron']}: without it {each['effect']:.1%} of {each['n']} pictures ({each['pictures']}) are taken for "
        f"something else ({each['low']:.1%} to {each['high']:.1%}; controls {each['controls'][0]:.1%} to "
        f"{each['controls'][1]:.1%}): {each['verdict']}"
        for each in found["claims"]
    ]
    for each in found["accuracy"]:
        shares = ", ".join(
            f"{name} "
            + " -> ".join(
                f"{each[name][side]['share']:.1%} ({each[name][side]['low']:.1%} to {each[name][side]['high']:.1%})"
                for side in ("before", "after")
            )
            for name in ("top1", "top5")
        )
        lines.append(
            f"without {each['family']} ({each['neurons']} neurons), {each['n']} pictures: {shares}; top-1 by controls "
            f"{each['controls'][0]:+.1%} to {each['controls'][1]:+.1%}: {each['verdict']}"
        )
    return lines


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="./run bench claims", description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything that was measured there")
    parser.add_argument("--claims", type=int, default=1000, help="of nothing; a fifth as many of each effect (1000)")
    parser.add_argument("--every", type=int, default=2, help="one of so many of the 1,000 pictures (2)")
    parser.add_argument("--layer", default="fire8", help="of SqueezeNet, whose neurons are searched (fire8)")
    parser.add_argument("--threads", type=int, default=1, help="of the processor (1)")
    names = ("nothing", "planted", "echo", "photographs")
    parser.add_argument("--only", nargs="+", choices=names, default=names, help="parts to measure (all)")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    parts: dict[str, Callable[[], Any]] = {
        "nothing": lambda: nothing(options.claims),
        "planted": lambda: effects(max(1, options.claims // 5)),
        "echo": echo,
        "photographs": lambda: photographs(options.every, options.layer),
    }
    print(f"{processor('cpu')}, {options.threads} thread(s), torch {torch.__version__}", flush=True)
    measured = {}
    for part in options.only:
        began = time.perf_counter()
        measured[part] = parts[part]()
        print(f"\n{part} ({time.perf_counter() - began:.0f} s)", *told(part, measured[part]), sep="\n", flush=True)
    if options.json:
        options.json.write_text(json.dumps(measured, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
