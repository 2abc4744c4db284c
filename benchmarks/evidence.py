"""Speed and quality of evidence beside peers, measured in one run: `./run bench evidence`.

Prints a table and, with --json FILE, writes everything that was measured. See README.md for what each figure means.
"""

import argparse
import json
import platform
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from benchmarks import dataset_pass, expanded_weights, quality, speed
from benchmarks.common import aligned
from tests.shared import DATA
from workers import scan, zoo

PARTS = ("speed", "network", "linear", "pass", "weights", "quality")
# What was asked of the design: times torch-lucent as shipped, by input and dtype.
DEMANDED = {
    "144 float32": 6.0,
    "144 bfloat16": 12.0,
    "224 float32": 3.0,
    "64 float32": 28.0,
    "64 bfloat16": 40.0,
}
WHOLE_NETWORK = 15.0
ON_H100 = 100.0
GROWTH = 1.15  # of a time that grows in proportion, this much for the noise of a machine


@dataclass(frozen=True)
class Figure:
    """One line of the table. `value` is a ratio over the peer, or a share; `least` (or `most`) is demanded of it."""

    what: str
    value: float
    ours: str = ""
    peer: str = ""
    least: float | None = None
    most: float | None = None

    @property
    def verdict(self) -> str:
        demanded = self.least if self.least is not None else self.most
        if demanded is None:
            return ""
        if self.value >= demanded if self.least is not None else self.value <= demanded:
            return "reached"
        return f"missed by {abs(1 - self.value / demanded):.0%}"

    @property
    def demanded(self) -> str:
        if self.least is not None:
            return f">= {self.least:g}"
        return "" if self.most is None else f"<= {self.most:g}"


def picture_speed(setting: speed.Setting) -> tuple[list[Figure], dict[str, Any]]:
    found = speed.measure(setting)
    seconds, ratios = found["seconds"], found["ratios"]
    shipped = seconds["torch-lucent"]
    demanded = DEMANDED if setting.device == "cpu" else dict.fromkeys(["144 bfloat16", "224 bfloat16"], ON_H100)
    figures = []
    for name, value in seconds.items():
        if name == "torch-lucent":
            continue
        view, _, rest = name.partition(" ")
        what = f"picture, input {found['views'][view]['size']} px, {found['views'][view]['layer']}, {rest}"
        figures.append(Figure(what, ratios[name], _each(value), _each(shipped), demanded.get(name)))
        if name in found["over_tuned"]:
            over = found["over_tuned"][name]
            figures.append(Figure("  over torch-lucent, tuned", over, _each(value), _each(over * value)))
    return figures, found


def network_speed(settings: Sequence[speed.Setting]) -> tuple[list[Figure], dict[str, Any]]:
    figures, everything = [], {}
    for setting in settings:
        for dtype in ("float32", "bfloat16"):
            found = speed.whole_network(setting, dtype)
            what = f"all {found['neurons']} neurons of {setting.network.architecture}, {dtype} (estimated)"
            hours = f"{found['ours'] / 3600:.1f} h", f"{found['torch-lucent'] / 3600:.1f} h"
            figures.append(Figure(what, found["ratio"], *hours, WHOLE_NETWORK))
            everything[f"{setting.network.architecture} {dtype}"] = found
    return figures, everything


def growth(setting: speed.Setting) -> tuple[list[Figure], dict[str, Any]]:
    found = speed.linearity(setting)
    counts = sorted(found["seconds"])
    what = f"time for {counts[-1]} neurons over {counts[-1] // counts[0]} times that for {counts[0]}"
    return [Figure(what, found["growth"], most=GROWTH)], found


def pictures_quality(every: int, steps: int) -> tuple[list[Figure], dict[str, Any]]:
    network = zoo.load("squeezenet1_0", DATA / "squeezenet1_0" / "squeezenet1_0.safetensors")
    files = sorted((DATA / "imagenet-samples").glob("*.jpg"))
    images = scan.Pictures([file.name for file in files], lambda index: files[index])
    found = quality.measure(
        network, ["fire5", "fire8"], images, steps=steps, peer_steps=steps, every=every, say=lambda text: None
    )
    figures = []
    for layer, values in found.items():
        neurons = f"{layer}, {values['neurons']} neurons"
        figures += [
            Figure(f"{neurons}: picture beats the best image", values["beats"], least=0.95),
            Figure(f"{neurons}: among the 3 most excited", values["among_first_3"], least=0.9),
            Figure(f"{neurons}: pixels at the extremes (median)", values["extremes"], most=0.15),
        ]
        own = f"{values['objective']:.0f}"
        for peer, name in (("peer", "as shipped"), ("peer_cropped", "cropped and centred")):
            over = values["objective"] / values[peer]
            figures.append(
                Figure(f"{neurons}: objective, torch-lucent {name}", over, own, f"{values[peer]:.0f}", least=1.0)
            )
    return figures, found


def images_pass(device: str) -> tuple[list[Figure], dict[str, Any]]:
    found = dataset_pass.measure(device)
    figures = []
    for name, part in (("", found), (", decoded before", found["forward"])):
        rates = f"{part['ours_rate']:.1f} /s", f"{part['plain_rate']:.1f} /s"
        figures.append(Figure(f"dataset pass over plain forward{name}", part["ratio"], *rates, least=part["target"]))
        figures.append(Figure("  by processor time", part["cpu_ratio"]))
    least, most = (found["memory"][count] for count in (min(found["memory"]), max(found["memory"])))
    figures.append(
        Figure(
            f"memory for {max(found['memory'])} pictures over {min(found['memory'])}",
            most / least,
            str(most),
            str(least),
        )
    )
    return figures, found


def all_weights(device: str) -> tuple[list[Figure], dict[str, Any]]:
    found = expanded_weights.measure(device)
    seconds = f"{found['ours_seconds']:.2f} s", f"{found['loop_seconds']:.2f} s"
    smallest = seconds[0], f"{found['smallest_loop_seconds']:.2f} s"
    return [
        Figure("expanded weights, all channels", found["ratio"], *seconds, least=found["target"]),
        Figure("  over the loop on the smallest input", found["ratio_smallest"], *smallest),
    ], found


def processor(device: str) -> str:
    """What it runs on, by name."""
    if device != "cpu":
        return torch.cuda.get_device_name(device)
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    flags = next((line for line in lines if line.startswith("flags")), "")
    extensions = [name for name in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if f" {name}" in flags]
    return f"{names[0] if names else platform.processor()} ({', '.join(extensions)})"


def table(figures: Sequence[Figure]) -> str:
    rows = [("what", "ours", "peer", "ratio", "demanded", "")]
    rows += [(each.what, each.ours, each.peer, f"{each.value:.3g}", each.demanded, each.verdict) for each in figures]
    return aligned(rows)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="./run bench evidence", description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything that was measured there")
    parser.add_argument("--device", default="cpu", help="cpu (default) or cuda")
    parser.add_argument("--threads", type=int, default=1, help="of the processor, for ours and the peers (1)")
    parser.add_argument("--steps", type=int, default=6, help="of one measurement of speed (6)")
    parser.add_argument("--repeats", type=int, default=5, help="of every measurement of speed (5)")
    parser.add_argument("--every", type=int, default=16, help="one live neuron of so many, for quality (16)")
    parser.add_argument("--climb", type=int, default=speed.STEPS, help="steps of a picture, for quality (512)")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, help="parts to measure (all)")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    warnings.simplefilter("ignore")
    thorough = {"steps": options.steps, "repeats": options.repeats, "device": options.device}
    # Dozens of measurements are added up, and what disturbs one of them matters less.
    brief = thorough | {"steps": min(options.steps, 2), "repeats": min(options.repeats, 2)}
    parts: dict[str, Callable[[], tuple[list[Figure], dict[str, Any]]]] = {
        "speed": lambda: picture_speed(speed.googlenet(**thorough)),
        "network": lambda: network_speed([speed.squeezenet(**brief), speed.googlenet(**brief)]),
        "linear": lambda: growth(speed.squeezenet(**thorough)),
        "pass": lambda: images_pass(options.device),
        "weights": lambda: all_weights(options.device),
        "quality": lambda: pictures_quality(options.every, options.climb),
    }
    about = {
        "processor": processor(options.device),
        "threads": options.threads,
        "torch": torch.__version__,
        "began": time.strftime("%Y-%m-%d %H:%M"),
        "options": {name: str(value) for name, value in vars(options).items()},
    }
    print(f"{about['processor']}, {options.threads} thread(s), torch {torch.__version__}", flush=True)
    figures: list[Figure] = []
    measured: dict[str, Any] = {}
    for part in options.only:
        print(f"measuring: {part} ...", file=sys.stderr, flush=True)
        found, measured[part] = parts[part]()
        figures += found
    print(table(figures))
    if options.json:
        lines = [asdict(figure) | {"demanded": figure.demanded, "verdict": figure.verdict} for figure in figures]
        options.json.write_text(json.dumps({**about, "figures": lines, "measured": measured}, indent=1) + "\n")
    return 0


def _each(seconds: float) -> str:
    return f"{seconds * speed.STEPS:.2f} s"


if __name__ == "__main__":
    sys.exit(main())
