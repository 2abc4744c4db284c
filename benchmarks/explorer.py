"""How fast the weights explorer is in a browser at 480 x 256: `./run bench explorer`.

Weights of an InceptionV1 with random numbers, `mixed3a` to `mixed3b`, are read out as a worker does it, and the site is
served as `./run web` does. Prints how long it takes to the first matrix and to all its kernels in a browser that has
nothing of it yet, how long a hop of the walk takes, and how long frames take while the matrix is moved. See README.md.
"""

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.common import aligned, database
from benchmarks.queue_pages import noise

SOURCE, TARGET = "mixed3a", "mixed3b"
FAMILIES = {SOURCE: 20, TARGET: 30}
FULL = 16.7  # milliseconds of a frame at 60 a second


@dataclass(frozen=True)
class Found:
    """Milliseconds, but for ``worker``."""

    rows: int
    columns: int
    kernel: int
    worker: float  # seconds to read the weights out, without loading the network
    megabytes: float  # of both arrays
    error: float  # of a weight, as a share of the strongest
    first: list[float]
    kernels: list[float]
    hops: list[float]
    frames: list[float]
    load: tuple[float, float, float]


def read_out() -> tuple[Any, float, list[tuple[str, int]]]:
    """The finding, the seconds it took, and the network's layers with how many neurons they have."""
    import torch

    from workers import zoo
    from workers.evidence import Finding
    from workers.evidence.layer_weights import layer_weights

    torch.manual_seed(0)
    architecture = zoo.ARCHITECTURES["inceptionv1"]
    network = architecture.network("inceptionv1", architecture.factory())
    began = time.monotonic()
    (finding,) = layer_weights(network, [(TARGET, ())], layer=SOURCE)
    assert isinstance(finding, Finding)
    return finding, time.monotonic() - began, [(layer.name, layer.channels) for layer in network.layers]


def fill(finding: Any, layers: Sequence[tuple[str, int]]) -> None:
    """The network with these weights, families of three quarters of both layers, and a face for every neuron."""
    from taxonomy.actions.sprites import build_sprite
    from tests.factory import make_evidence, make_family, make_network
    from tests.pages.loom import make_layer_weights

    chance = random.Random(5)
    network = make_network("bench", layers=dict(layers))
    source, target = (network.layers.get(name=name) for name in (SOURCE, TARGET))
    faces = [noise(chance) for _ in range(16)]
    for layer in (source, target):
        members = chance.sample(range(layer.channels), layer.channels * 3 // 4)
        count = FAMILIES[layer.name]
        for number in range(count):
            make_family(layer, f"Family {number:02}", units=members[number::count], order=number)
        for neuron in layer.neurons.all():
            neuron.layer = layer
            make_evidence(neuron, pictures={"image": chance.choice(faces)})
        build_sprite(layer)
    arrays = finding.arrays
    make_layer_weights(source, target, found=(finding.data, arrays["strengths"], arrays["kernels"]))


FRAMES = """() => {
    window.frameTimes = [];
    let last = null;
    const frame = (now) => {
        if (last !== null) window.frameTimes.push(now - last);
        last = now;
        window.frameTimer = requestAnimationFrame(frame);
    };
    requestAnimationFrame(frame);
}"""


def look(browser: Any, address: str, hops: int) -> tuple[float, float, list[float], list[float]]:
    """First matrix, all kernels, hops and frames of one visitor who was never here."""
    context = browser.new_context(base_url=address, viewport={"width": 1280, "height": 1000})
    page = context.new_page()
    page.goto(f"/networks/bench/weights/?from={SOURCE}&to={TARGET}")
    page.wait_for_selector("[data-ready]")
    first = page.evaluate("performance.getEntriesByName('first matrix')[0].duration")
    kernels = page.evaluate("performance.getEntriesByName('kernels there')[0].startTime")
    box = page.locator("[data-canvas]").bounding_box()
    x, y = box["x"] + 400, box["y"] + 350
    for _ in range(4):
        page.get_by_role("button", name="Closer").click()
    page.evaluate(FRAMES)
    page.mouse.move(x, y)
    page.mouse.down()
    for step in range(90):
        page.mouse.move(x + 120 * (step % 30) / 30, y + 100 * (step % 45) / 45)
    page.mouse.up()
    frames = page.evaluate("(cancelAnimationFrame(window.frameTimer), window.frameTimes)")
    page.locator(".connections a").first.click()
    for hop in range(hops):
        while page.evaluate("performance.getEntriesByName('hop').length") <= hop:
            page.wait_for_timeout(5)
        if hop + 1 < hops:
            # To and fro between the two layers, each time by another of the strongest.
            page.locator("#walk .weights a").nth(hop % 5).click()
    took = page.evaluate("performance.getEntriesByName('hop').map((one) => one.duration)")
    context.close()
    return first, kernels, took, frames


def measure(visits: int, hops: int) -> Found:
    from django.conf import settings
    from playwright.sync_api import sync_playwright

    from tests.served import Site

    finding, seconds, layers = read_out()
    fill(finding, layers)
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    load = os.getloadavg()
    found: list[Any] = []
    with tempfile.TemporaryDirectory() as folder:
        more = {
            "ARTIFACTS": str(settings.ARTIFACTS),
            "STATIC_ROOT": f"{folder}/static",
            "SECRET_KEY": settings.SECRET_KEY,
        }
        collect = [sys.executable, "manage.py", "collectstatic", "--noinput", "--verbosity", "0"]
        site = Site(Path(folder) / "web.log", **more)
        subprocess.run(collect, env=site.environment, check=True)
        with site, sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-quic"])
            address = f"http://127.0.0.1:{site.port}"
            look(browser, address, 2)  # what the site looks up once a process
            found = [look(browser, address, hops) for _ in range(visits)]
            browser.close()
    return Found(
        rows=finding.data["rows"],
        columns=finding.data["columns"],
        kernel=finding.data["k"],
        worker=seconds,
        megabytes=sum(array.nbytes for array in finding.arrays.values()) / 1e6,
        error=finding.data["error"] / finding.data["scale"],
        first=sorted(one[0] for one in found),
        kernels=sorted(one[1] for one in found),
        hops=sorted(hop for one in found for hop in one[2]),
        frames=sorted(frame for one in found for frame in one[3]),
        load=load,
    )


def share(values: Sequence[float], part: float) -> float:
    return values[min(len(values) - 1, int(part * len(values)))]


def table(found: Found) -> str:
    rows = [("what", "p50 (ms)", "p95 (ms)", "longest (ms)", "times")]
    for what, values in (
        ("address to first matrix, nothing kept", found.first),
        ("address to every kernel", found.kernels),
        ("hop: click to both sides of the next neuron", found.hops),
        ("frame while kernels are dragged", found.frames),
    ):
        rows.append((what, *(f"{share(values, part):.0f}" for part in (0.5, 0.95, 1)), str(len(values))))
    late = sum(frame > 2 * FULL for frame in found.frames) / len(found.frames)
    return (
        f"{aligned(rows)}\n\n{late:.0%} of the frames took longer than two of 60 a second.\n"
        f"Read out in {found.worker:.1f} s into {found.megabytes:.1f} MB; no weight is off by more than "
        f"{found.error:.2%} of the strongest."
    )


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="./run bench explorer", description=__doc__.split("\n")[0])
    parser.add_argument("--visits", type=int, default=10, help="by browsers that have nothing of the site yet")
    parser.add_argument("--hops", type=int, default=10, help="of each of them")
    parser.add_argument("--json", type=Path, help="write what was measured to this file")
    options = parser.parse_args(arguments)
    with (
        tempfile.TemporaryDirectory() as artifacts,
        database(ARTIFACTS=artifacts, DJANGO_ALLOW_ASYNC_UNSAFE="1"),
    ):
        found = measure(options.visits, options.hops)
    print(
        f"\n{found.rows} x {found.columns} kernels of {found.kernel} x {found.kernel}, {options.visits} visits; "
        f"{os.cpu_count()} cores, load {found.load[0]:.1f} before\n"
    )
    print(table(found))
    if options.json:
        options.json.write_text(json.dumps(asdict(found), indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
