"""A contact sheet of real neurons: what a visitor would see of each, side by side.

`python -m benchmarks.contact_sheet DIRECTORY [--steps 512] [--neurons 32]` writes one PNG for each of SqueezeNet's
layers fire5 and fire8, and `contact-sheet.json` with the numbers, made of the real weights and pictures (see
tests/shared.py).
"""

import argparse
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from workers import scan, zoo
from workers.evidence import Finding, Target
from workers.evidence.activation_histogram import activation_histogram
from workers.evidence.dataset_examples import dataset_examples
from workers.evidence.feature_visualization import feature_visualization
from workers.evidence.weights import weights
from workers.network import Network

LAYERS = ("fire5", "fire8")

PAPER, INK, FAINT, RULE = (252, 251, 248), (34, 34, 34), (120, 117, 110), (226, 223, 216)
EXCITES, INHIBITS = (200, 60, 40), (40, 90, 170)
PORTRAIT, EXAMPLE, PLOT, KERNEL, GAP = 150, 62, 150, 42, 6
INPUT = 2 * KERNEL + 3 * GAP  # what an earlier neuron looks for, and its kernel
STRONGEST = 6  # inputs shown, in three rows as the examples are


def gather(network: Network, images: scan.Pictures, layer: str, channels: Sequence[int], steps: int) -> dict[str, Any]:
    """The findings of each kind, by channel; a neuron that a kind fails for is left out there."""
    targets: list[Target] = [(layer, channel) for channel in channels]
    before = network.layers[network.layer(layer).order - 1].name
    surveys = scan.survey(network, [before, layer], images)
    made = {
        "picture": feature_visualization(network, targets, steps=steps),
        "examples": dataset_examples(network, targets, images=images, surveys=surveys),
        "histogram": activation_histogram(network, targets, images=images, surveys=surveys),
        "weights": weights(network, targets, direction="in", layer=before),
    }
    found: dict[str, dict[Any, Any]] = {
        name: {outcome.channel: outcome for outcome in outcomes if isinstance(outcome, Finding)}
        for name, outcomes in made.items()
    }
    shown = {row["neuron"] for one in found["weights"].values() for row in one.data["strongest"][:STRONGEST]}
    inputs = dataset_examples(network, [(before, channel) for channel in sorted(shown)], images=images, surveys=surveys)
    return found | {"inputs": {one.channel: one for one in inputs if isinstance(one, Finding)}}


def sheet(network: Network, images: scan.Pictures, layer: str, found: dict[str, Any]) -> Image.Image:
    """The layer's neurons in two columns: feature visualization, top 9, histogram, strongest weights in."""
    channels = sorted(found["picture"])
    block = 3 * (EXAMPLE + 2)
    width = PORTRAIT + GAP + block + GAP + PLOT + GAP + 2 * INPUT + 2 * GAP
    height = block + 34
    rows = math.ceil(len(channels) / 2)
    page = Image.new("RGB", (2 * width + 3 * GAP, rows * height + 46), PAPER)
    draw = ImageDraw.Draw(page)
    title = (
        f"{network.architecture}, {layer}: feature visualization, dataset examples, activations (log density), "
        "strongest weights in (red excites, blue inhibits)"
    )
    draw.text((GAP * 2, 12), title, INK, _font(15))
    for place, channel in enumerate(channels):
        left, top = 2 * GAP + (place % 2) * (width + GAP), 44 + (place // 2) * height
        draw.line((left, top - 4, left + width - 3 * GAP, top - 4), RULE)
        _neuron(page, draw, (left, top), network, images, layer, channel, found)
    return page


def _neuron(
    page: Image.Image,
    draw: ImageDraw.ImageDraw,
    at: tuple[int, int],
    network: Network,
    images: scan.Pictures,
    layer: str,
    channel: int,
    found: dict[str, Any],
) -> None:
    left, top = at
    draw.text((left, top), f"{layer}:{channel}", INK, _font(13))
    top += 20
    picture = found["picture"][channel]
    page.paste(
        Image.fromarray(picture.pictures["image"]).resize((PORTRAIT,) * 2, Image.Resampling.LANCZOS), (left, top)
    )
    draw.text((left, top + PORTRAIT + 4), f"value {picture.data['value']:.0f}", FAINT, _font(12))
    left += PORTRAIT + GAP
    if channel in found["examples"]:
        top_examples = found["examples"][channel].data["top"]
        best = f"best picture {top_examples[0]['value']:.0f}"
        draw.text((left - PORTRAIT - GAP, top + PORTRAIT + 20), best, FAINT, _font(12))
        for rank, example in enumerate(top_examples):
            crop = _crop(network, images, example, EXAMPLE)
            page.paste(crop, (left + rank % 3 * (EXAMPLE + 2), top + rank // 3 * (EXAMPLE + 2)))
    left += 3 * (EXAMPLE + 2) + GAP
    if channel in found["histogram"]:
        _histogram(draw, (left, top), found["histogram"][channel].data)
    left += PLOT + GAP
    if channel in found["weights"]:
        data = found["weights"][channel].data
        for rank, row in enumerate(data["strongest"][:STRONGEST]):
            x, y = left + rank % 2 * INPUT, top + rank // 2 * (EXAMPLE + 2)
            if row["neuron"] in found["inputs"]:
                page.paste(_crop(network, images, found["inputs"][row["neuron"]].data["top"][0], KERNEL), (x, y))
            kernel = _signed(np.asarray(row["kernel"]) / (data["scale"] or 1))
            page.paste(Image.fromarray(kernel).resize((KERNEL,) * 2, Image.Resampling.NEAREST), (x + KERNEL + 2, y))
            draw.text((x, y + KERNEL + 2), f"{row['neuron']}  {row['value']:+.2g}", FAINT, _font(11))


def _crop(network: Network, images: scan.Pictures, example: dict[str, Any], side: int) -> Image.Image:
    """What the neuron saw of the picture, `side` pixels wide and high."""
    whole = Image.fromarray(scan.read(images, example["image"], network.preprocessing))
    return whole.crop(example["box"]).resize((side, side), Image.Resampling.LANCZOS)


def _histogram(draw: ImageDraw.ImageDraw, at: tuple[int, int], data: dict[str, Any]) -> None:
    left, top = at
    height = 3 * EXAMPLE - 34
    edges, counts = np.asarray(data["edges"]), np.asarray(data["counts"], dtype=float)
    share = np.log10(np.maximum(counts, 0.5) / max(counts.sum(), 1))
    floor = np.log10(0.5 / max(counts.sum(), 1))
    tall = (share - floor) / max(share.max() - floor, 1e-9) * height
    across = (edges - edges[0]) / (edges[-1] - edges[0]) * (PLOT - 12)
    for lower, upper, bar, middle in zip(across, across[1:], tall, (edges[1:] + edges[:-1]) / 2, strict=False):
        if bar > 0:
            colour = EXCITES if middle > 0 else INHIBITS
            draw.rectangle((left + lower, top + height - bar, left + max(upper - 1, lower), top + height), colour)
    zero = left + np.interp(0, edges, across)
    draw.line((zero, top, zero, top + height + 4), INK)
    draw.text((left, top + height + 6), f"{edges[0]:.0f}", FAINT, _font(11))
    draw.text((left + PLOT - 40, top + height + 6), f"{edges[-1]:.0f}", FAINT, _font(11))
    draw.text((left, top + height + 20), f"above 0: {100 * data['share_above_zero']:.0f} %", FAINT, _font(11))


def _signed(values: np.ndarray) -> np.ndarray:
    """Red for 1, white for 0, blue for -1: (rows, columns) to (rows, columns, 3)."""
    values = np.clip(values, -1, 1)[..., None]
    colour = np.where(values > 0, np.array(EXCITES), np.array(INHIBITS))
    return np.rint(255 + (colour - 255) * np.abs(values)).astype(np.uint8)


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def make(directory: Path, *, steps: int = 512, neurons: int = 32) -> dict[str, Any]:
    """Write the sheets; returns the numbers that a reader of them would ask for, by layer and neuron."""
    from tests.shared import DATA

    network = zoo.load("squeezenet1_0", next((DATA / "squeezenet1_0").glob("*.safetensors")))
    files = sorted((DATA / "imagenet-samples").glob("*.jpg"))
    images = scan.Pictures([file.name for file in files], lambda index: files[index])
    directory.mkdir(parents=True, exist_ok=True)
    told: dict[str, Any] = {}
    for layer in LAYERS:
        # Both branches of a fire module: the first half of the channels sees 1 x 1 cells, the second 3 x 3.
        halves = network.layer(layer).channels // 2
        channels = [*range(math.ceil(neurons / 2)), *range(halves, halves + neurons // 2)]
        found = gather(network, images, layer, channels, steps)
        sheet(network, images, layer, found).save(directory / f"contact-sheet-{layer}.png", optimize=True)
        told[layer] = {
            channel: {
                "value": picture.data["value"],
                "best picture": found["examples"][channel].data["maximum"] if channel in found["examples"] else None,
            }
            for channel, picture in sorted(found["picture"].items())
        }
    (directory / "contact-sheet.json").write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    return told


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.contact_sheet", description="Real neurons at a glance.")
    parser.add_argument("directory", type=Path)
    parser.add_argument("--steps", type=int, default=512)
    parser.add_argument("--neurons", type=int, default=32)
    options = parser.parse_args(arguments)
    make(options.directory, steps=options.steps, neurons=options.neurons)


if __name__ == "__main__":
    main()
