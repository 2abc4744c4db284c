"""How fast a person can label, as far as the pages decide it: `./run bench pages`.

The same scripted answers are given in the queue by keyboard, and on sorting sheets by mouse and key, in a real browser
against the site as `./run web` serves it. Prints labels per minute of both, and how long it takes from the key to the
next neuron on the screen. A look of the same length at each neuron stands for the person. See README.md.
"""

import argparse
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.common import aligned, database

FAMILIES, ALIKE = 12, 6  # neurons that lie side by side are alike, so many at a time
SIDE = 256
DEMANDED = 100.0  # milliseconds from the key to the next neuron, at the 95th percentile


@dataclass(frozen=True)
class Found:
    """Labels per minute, and milliseconds."""

    neurons: int
    look: float
    queue: float
    sheet: float
    queue_alone: float  # without any look
    sheet_alone: float
    p50: float
    p95: float
    longest: float
    load: tuple[float, float, float]


def fill(neurons: int) -> dict[str, Any]:
    """A layer for each way of labelling, alike, with more neurons than are read, and a person."""
    from taxonomy.actions.sprites import build_sprite
    from tests.factory import make_evidence, make_family, make_image_set, make_network, make_user
    from tests.pages import material

    chance = random.Random(4)
    names = [f"{way}{speed}" for way in ("queue", "sheet") for speed in ("", "-alone")]
    network = make_network(
        "bench", layers={"conv1": 4} | dict.fromkeys(names, neurons + 24), preprocessing={"size": SIDE, "resize": SIDE}
    )
    images = make_image_set(count=12)
    for image in images.images.all():
        photograph(image, chance)
    families: dict[str, list[str]] = {}
    for layer in network.layers.exclude(name="conv1"):
        families[layer.name] = [make_family(layer, f"Family {number:02}").name for number in range(FAMILIES)]
        for neuron in layer.neurons.order_by("index"):
            neuron.layer = layer
            numbers = {"value": 3.0, "steps": 128, "canvas": 64}
            make_evidence(neuron, data=numbers, pictures={"image": noise(chance)})
            rows = [material.example(chance.randrange(12), 9.0 - rank) for rank in range(9)]
            rows = [row | {"box": [40, 40, 140, 140]} for row in rows]
            data = material.dataset_examples() | {"top": rows, "lowest": None, "map": None}
            make_evidence(neuron, "dataset_examples", data=data, image_set=images)
            for stimulus, tuning in list(material.tunings().items())[:3]:
                make_evidence(neuron, "tuning_curves", data=tuning, parameters={"stimulus": stimulus})
        build_sprite(layer)
    return {"person": make_user("reader"), "families": families}


def noise(chance: random.Random) -> bytes:
    """A picture that is as much work to decode as a real one."""
    import io

    from PIL import Image as Picture

    small = Picture.frombytes("RGB", (48, 48), chance.randbytes(48 * 48 * 3))
    buffer = io.BytesIO()
    small.resize((SIDE, SIDE), Picture.Resampling.BICUBIC).save(buffer, "WEBP", quality=90)
    return buffer.getvalue()


def photograph(image: Any, chance: random.Random) -> None:
    from taxonomy import storage
    from taxonomy.models import Photograph

    Photograph.objects.create(image=image, resize=SIDE, size=SIDE, sha256=storage.put(noise(chance)))


def truth(address: str) -> str:
    """What the person says of a neuron."""
    return f"family {int(address.split(':')[1]) // ALIKE % FAMILIES:02}"


def sent(page: Any) -> None:
    """Wait until the site has taken everything."""
    while not page.evaluate("Object.keys(localStorage).every((key) => localStorage[key] === '[]')"):
        page.wait_for_timeout(20)


def by_queue(page: Any, layer: str, neurons: int, look: float) -> tuple[float, list[float]]:
    """Seconds for so many neurons one by one, and from key to next neuron (milliseconds) of each."""
    page.goto(f"/label/?network=bench&layer={layer}")
    page.wait_for_load_state("networkidle")
    began = time.monotonic()
    for _ in range(neurons):
        page.wait_for_selector(".look h1")
        time.sleep(look)
        name = truth(page.inner_text(".look h1"))
        page.keyboard.press(page.get_attribute(f'[data-name="{name}"] button', "data-key"))
    sent(page)
    lasted = time.monotonic() - began
    return lasted, page.evaluate("performance.getEntriesByName('next neuron').map((one) => one.duration)")


def by_sheet(page: Any, layer: str, neurons: int, look: float) -> float:
    """Seconds for so many neurons on sheets: each looked at as long as in the queue, then picked with its like."""
    page.goto(f"/networks/bench/{layer}/")
    lasted, done = 0.0, 0
    while done < neurons:
        # From the layer's page the first sheet, then each from the cleared table.
        button = page.get_by_role("button", name="Take a new sheet")
        (button if button.is_visible() else page.get_by_role("button", name="Sort 24 at once")).click()
        page.wait_for_selector(".table.scripted .sort-card")
        page.wait_for_load_state("networkidle")
        began = time.monotonic()
        shown = page.locator(".sort-card").evaluate_all("(cards) => cards.map((card) => card.dataset.address)")
        time.sleep(look * len(shown))
        for name in dict.fromkeys(truth(address) for address in shown):
            for address in shown:
                if truth(address) == name:
                    page.click(f'.sort-card[data-address="{address}"] label')
            page.keyboard.press(page.get_attribute(f'[data-name="{name}"] button', "data-key"))
        page.get_by_role("button", name="Take a new sheet").wait_for()
        sent(page)
        lasted += time.monotonic() - began
        done += len(shown)
    return lasted


def measure(neurons: int, look: float) -> Found:
    from django.conf import settings
    from django.test import Client
    from playwright.sync_api import sync_playwright

    from tests.served import Site

    world = fill(neurons)
    client = Client()
    client.force_login(world["person"])
    cookie = client.cookies[settings.SESSION_COOKIE_NAME].value
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    load = os.getloadavg()
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
            context = browser.new_context(base_url=f"http://127.0.0.1:{site.port}")
            address = f"http://127.0.0.1:{site.port}"
            context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": cookie, "url": address}])
            page = context.new_page()
            queue, times = by_queue(page, "queue", neurons, look)
            alone, _ = by_queue(page, "queue-alone", neurons, 0)
            sheet = by_sheet(page, "sheet", neurons, look)
            sheet_alone = by_sheet(page, "sheet-alone", neurons, 0)
            browser.close()
    times.sort()

    def rate(seconds: float) -> float:
        return 60 * neurons / seconds

    return Found(
        neurons=neurons,
        look=look,
        queue=rate(queue),
        sheet=rate(sheet),
        queue_alone=rate(alone),
        sheet_alone=rate(sheet_alone),
        p50=statistics.median(times),
        p95=times[int(0.95 * len(times))],
        longest=times[-1],
        load=load,
    )


def table(found: Found) -> str:
    verdict = "reached" if found.p95 < DEMANDED else "missed"
    rows = [
        ("what", "queue, by keys", "sheet of 24", "demanded", ""),
        (f"labels a minute, {found.look:g} s of looking each", f"{found.queue:.0f}", f"{found.sheet:.0f}", "", ""),
        ("labels a minute, no looking", f"{found.queue_alone:.0f}", f"{found.sheet_alone:.0f}", "", ""),
        ("key to next neuron, p50 (ms)", f"{found.p50:.0f}", "", "", ""),
        ("key to next neuron, p95 (ms)", f"{found.p95:.0f}", "", f"< {DEMANDED:g}", verdict),
        ("key to next neuron, longest (ms)", f"{found.longest:.0f}", "", "", ""),
    ]
    return aligned(rows)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="./run bench pages", description=__doc__.split("\n")[0])
    parser.add_argument("--neurons", type=int, default=96)
    parser.add_argument("--look", type=float, default=0.5, help="seconds of looking at each neuron")
    parser.add_argument("--json", type=Path, help="write what was measured to this file")
    options = parser.parse_args(arguments)
    with (
        tempfile.TemporaryDirectory() as artifacts,
        database(ARTIFACTS=artifacts, DJANGO_ALLOW_ASYNC_UNSAFE="1"),
    ):
        found = measure(options.neurons, options.look)
    print(f"\n{found.neurons} neurons each way, one browser; {os.cpu_count()} cores, load {found.load[0]:.1f} before\n")
    print(table(found))
    if options.json:
        options.json.write_text(json.dumps(asdict(found), indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
