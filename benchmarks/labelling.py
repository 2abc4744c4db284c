"""Labelling over HTTP, many people at once: `./run bench labelling`.

Makes a world of its own in a database of its own, serves it as `./run web` does, and lets people submit labels and take
the next neuron in one request each. Prints how many a second, how long each took, and what bounds it. See README.md.
"""

import argparse
import json
import multiprocessing
import os
import platform
import random
import statistics
import sys
import tempfile
import threading
import time
import uuid
import zlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.common import aligned, database

NEURONS, LAYERS, FAMILIES = 10_000, 20, 24
# What was asked of the design, on two cores that the people's programs share.
LEAST, MOST = 90.0, 150.0
# Label Studio as pip gives it, measured on such a machine at another time; it is not measured here.
STATED = {"submit": (9.2, 1462.0), "next": (19.8, None)}


def fill(neurons: int, people: int) -> tuple[list[str], dict[str, list[int]]]:
    """A world to label: tokens of the people, and the families of each layer."""
    from django.db import connection
    from rest_framework.authtoken.models import Token

    from taxonomy.models import Neuron
    from tests.factory import make_family, make_network, make_pictured, make_user

    each = neurons // LAYERS
    network = make_network("bench", layers={f"mixed{number}": each for number in range(LAYERS)})
    families = {}
    for layer in network.layers.all():
        above = [make_family(layer, f"Family {number}") for number in range(FAMILIES // 3)]
        below = [make_family(layer, f"Kind {number}", parent=above[number // 2]) for number in range(2 * len(above))]
        families[layer.name] = [family.pk for family in above + below]
    make_pictured(Neuron.objects.select_related("layer"))
    tokens = [Token.objects.create(user=make_user(f"person{number}")).key for number in range(people)]
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    return tokens, families


def reading(chance: random.Random, neuron: str, families: list[int]) -> dict[str, Any]:
    """What a person says: mostly what the neuron is, so that neurons settle."""
    said = chance.random()
    if said < 0.04:
        return {"verdict": "none of these", "suggested_name": "Something else"}
    if said < 0.07:
        return {"verdict": "cannot tell", "missing_evidence": "weights"}
    true = families[zlib.crc32(neuron.encode()) % len(families)] if said < 0.85 else chance.choice(families)
    return {"family": true, "confidence": chance.choice(["high", "medium", "low"])}


def person(
    number: int, port: int, token: str, families: dict[str, list[int]], seconds: float, start: Any, found: Any
) -> None:
    """One person's program: submits, takes the next, and keeps how long each answer took (seconds)."""
    from tests.served import Caller

    chance, caller, times, wrong = random.Random(number), Caller(port, token), [], 0
    _, taken = caller.post("queue/")
    lease = taken["leases"][0]
    start.wait()
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        body = {
            **reading(chance, lease["neuron"], families[lease["neuron"].split(":")[0]]),
            "submission": str(uuid.UUID(int=chance.getrandbits(128))),
            "lease": lease["token"],
            "next": {},
        }
        before = time.perf_counter()
        status, answer = caller.post("labels/", body)
        times.append(time.perf_counter() - before)
        if status != 201 or not answer["next"]:
            wrong += 1
            _, taken = caller.post("queue/")
            lease = taken["leases"][0]
        else:
            lease = answer["next"][0]
    # The queue alone: what is taken is given back, and only the taking is timed.
    caller.post(f"queue/{lease['token']}/give-back/")
    start.wait()
    took, until = [], time.monotonic() + seconds / 4
    while time.monotonic() < until:
        before = time.perf_counter()
        _, taken = caller.post("queue/")
        took.append(time.perf_counter() - before)
        caller.post(f"queue/{taken['leases'][0]['token']}/give-back/")
    found.put((times, took, wrong, time.process_time()))


def busy(pids: list[int]) -> float:
    """Processor seconds that these processes have used."""
    ticks = os.sysconf("SC_CLK_TCK")
    total = 0.0
    for pid in pids:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        total += (int(fields[11]) + int(fields[12])) / ticks
    return total


class Watch:
    """Processor time of the server, of its Postgres backends and of the whole machine, between two moments."""

    def __init__(self, workers: list[int]) -> None:
        self.workers = workers
        self.before = self._now()

    def _now(self) -> dict[str, float]:
        from django.db import connection

        with connection.cursor() as cursor:
            cursor.execute("SELECT pid FROM pg_stat_activity WHERE datname = current_database()")
            backends = [pid for (pid,) in cursor.fetchall()]
        machine = [int(word) for word in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
        return {
            "server": busy(self.workers),
            "postgres": busy(backends),
            "machine": (sum(machine) - machine[3] - machine[4]) / os.sysconf("SC_CLK_TCK"),
        }

    def spent(self) -> dict[str, float]:
        now = self._now()
        return {name: now[name] - value for name, value in self.before.items()}


def queries(token: str, families: dict[str, list[int]]) -> list[str]:
    """The statements of one request, as this process sees them."""
    from django.db import connection
    from django.test import Client
    from django.test.utils import CaptureQueriesContext

    client = Client(headers={"Authorization": f"Token {token}", "Host": "127.0.0.1"})

    def post(path: str, body: dict[str, Any]) -> Any:
        answer = client.post(f"/api/v1/{path}", json.dumps(body), content_type="application/json")
        return answer.json() if answer.content else None

    (lease,) = post("queue/", {})["leases"]
    for _ in range(3):  # the first ones find caches empty
        body = {
            "family": families[lease["neuron"].split(":")[0]][0],
            "submission": str(uuid.uuid4()),
            "lease": lease["token"],
            "next": {},
        }
        with CaptureQueriesContext(connection) as captured:
            (lease,) = post("labels/", body)["next"]
        statements = [row["sql"] for row in captured]
    post(f"queue/{lease['token']}/give-back/", {})
    return statements


@dataclass(frozen=True)
class Found:
    """What one run gave; times in milliseconds, processor time in milliseconds a request."""

    rate: float
    p50: float
    p95: float
    wrong: int
    next_rate: float
    next_p95: float
    queries: int
    cpu: dict[str, float]
    load: tuple[float, float, float]


def measure(people: int, seconds: float, neurons: int) -> Found:
    from tests.served import Site

    tokens, families = fill(neurons, people)
    statements = queries(tokens[0], families)
    with tempfile.TemporaryDirectory() as folder, Site(Path(folder) / "web.log") as site:
        context = multiprocessing.get_context("spawn")
        start, results = context.Barrier(people + 1), context.Queue()
        programs = [
            context.Process(target=person, args=(number, site.port, token, families, seconds, start, results))
            for number, token in enumerate(tokens)
        ]
        for program in programs:
            program.start()
        start.wait()
        load, watch, began = os.getloadavg(), Watch(site.workers), time.monotonic()
        ended = threading.Timer(seconds, lambda: None)
        ended.start()
        ended.join()
        spent, lasted = watch.spent(), time.monotonic() - began
        start.wait()
        given = [results.get(timeout=120) for _ in programs]
        for program in programs:
            program.join()
    times = sorted(1000 * one for row in given for one in row[0])
    took = sorted(1000 * one for row in given for one in row[1])
    count = len(times)
    # The clients ran through both parts; all of their time is counted, which is more than it was.
    spent["clients"] = sum(row[3] for row in given)
    return Found(
        rate=count / lasted,
        p50=statistics.median(times),
        p95=times[int(0.95 * count)],
        wrong=sum(row[2] for row in given),
        next_rate=people * len(took) / (sum(took) / 1000),
        next_p95=took[int(0.95 * len(took))],
        queries=len(statements),
        cpu={name: 1000 * value / count for name, value in spent.items()},
        load=load,
    )


def table(found: Found, people: int) -> str:
    def verdict(reached: bool) -> str:
        return "reached" if reached else "missed"

    (their_rate, their_p95), (their_next, _) = STATED["submit"], STATED["next"]
    rows = [
        ("what", "ours", "Label Studio (stated)", "demanded", ""),
        (
            "labels submitted and next taken, a second",
            f"{found.rate:.1f}",
            f"{their_rate}",
            f">= {LEAST:g}",
            verdict(found.rate >= LEAST),
        ),
        ("  p50 (ms)", f"{found.p50:.0f}", "", "", ""),
        ("  p95 (ms)", f"{found.p95:.0f}", f"{their_p95:,.0f}", f"<= {MOST:g}", verdict(found.p95 <= MOST)),
        ("next neuron alone, a second", f"{found.next_rate:.1f}", f"{their_next}", "", ""),
        ("  p95 (ms)", f"{found.next_p95:.0f}", "", "", ""),
        ("answers that were no label", str(found.wrong), "", "0", verdict(not found.wrong)),
        ("queries a request", str(found.queries), "", "", ""),
        *(
            (f"processor time a request, {name} (ms)", f"{value:.1f}", "", "", "")
            for name, value in sorted(found.cpu.items())
        ),
    ]
    return aligned(rows)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="./run bench labelling", description=__doc__.split("\n")[0])
    parser.add_argument("--people", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--neurons", type=int, default=NEURONS)
    parser.add_argument("--statements", action="store_true", help="print the statements of one request")
    parser.add_argument("--json", type=Path, help="write what was measured to this file")
    options = parser.parse_args(arguments)
    with database():
        if options.statements:
            tokens, families = fill(options.neurons, 2)
            print("\n\n".join(queries(tokens[0], families)))
            return 0
        found = measure(options.people, options.seconds, options.neurons)
    print(
        f"\n{options.people} people at once, {options.neurons:,} neurons, {options.seconds:g} s; {os.cpu_count()} cores"
    )
    print(
        f"{platform.processor() or platform.machine()}, load before: {', '.join(f'{one:.1f}' for one in found.load)}\n"
    )
    print(table(found, options.people))
    print("\nLabel Studio's figures are stated, from another run on such a machine; it was not measured here.")
    if options.json:
        options.json.write_text(json.dumps({**asdict(found), "stated": STATED}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
