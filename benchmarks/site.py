"""The site's pages with a full record behind them: `./run bench site`.

Makes a world of 10,000 neurons, 100,000 labels and 200 contributors in a database of its own, and asks for every kind
of page some dozen times, each about something else and as somebody else. Prints the server's time on the clock; the
processor's time in the site's own process and, where it runs on this machine, in Postgres, which say the same on a busy
machine; and the number of queries. See README.md.
"""

import argparse
import datetime
import json
import logging
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.common import database

LAYERS, FAMILIES = 20, 24
NOTES, CLAIMS = 100, 500  # half of the claims on notes, half on families
MOST = 150.0  # milliseconds, for 95 of 100
MOST_QUERIES = 15


@dataclass
class World:
    """What there is to look at."""

    network: str
    layers: list[str]
    size: int
    families: dict[str, list[int]]
    people: list[Any]
    reviewer: Any
    editor: Any
    notes: list[Any]
    claims: list[Any]


@dataclass
class Row:
    """Milliseconds of one kind of page."""

    page: str
    who: str
    p50: float
    p95: float
    processor: float  # the mean, in the site's own process
    database: float | None  # the mean, in the Postgres that serves it; None where that cannot be seen
    queries: int
    kilobytes: float


def fill(neurons: int, readings: int, people: int) -> World:
    """The record after a year: two thirds of the neurons settled, talked about, some of them gold."""
    from django.utils import timezone

    from taxonomy.models import (
        Comment,
        Discussion,
        Event,
        Gold,
        Label,
        Membership,
        Neuron,
        Notification,
        Review,
        Standing,
        Tally,
        User,
    )
    from tests.factory import make_family, make_network, make_pictured, make_proposal, make_user

    chance, size = random.Random(0), neurons // LAYERS
    network = make_network("bench", layers={f"mixed{number}": size for number in range(LAYERS)})
    reviewer, editor = make_user("reviewer", role="reviewer"), make_user("editor", role="editor")
    readers = User.objects.bulk_create(
        User(username=f"reader{n}", email=f"{n}@example.org", terms_version=editor.terms_version) for n in range(people)
    )
    layers = list(network.layers.all())
    families = {
        layer.pk: [make_family(layer, f"Family {number}", remark="See [[0:1]].") for number in range(FAMILIES)]
        for layer in layers
    }
    every = list(Neuron.objects.select_related("layer").order_by("pk"))
    make_pictured(every)
    labels, settled = [], []
    for neuron in every:
        right = families[neuron.layer_id][neuron.index % FAMILIES]
        by = chance.sample(readers, readings)
        neuron.readings = readings
        if neuron.index % 3:
            neuron.standing, neuron.asks = Standing.ACCEPTED, 0
            settled.append((neuron, right))
        else:
            neuron.standing = (Standing.AGREED, Standing.OPEN)[neuron.index % 2]
            neuron.asks = readings + neuron.index % 2
        labels += [
            Label(neuron=neuron, author=author, verdict="family", family=right, blind=True, note="Bent, as [[0:2]].")
            for author in by
        ]
    Neuron.objects.bulk_update(every, ["standing", "readings", "asks"], batch_size=2_000)
    labels = Label.objects.bulk_create(labels, batch_size=5_000)
    inputs: dict[int, list[int]] = {}
    for label in labels:
        inputs.setdefault(label.neuron_id, []).append(label.pk)
    tallies = Tally.objects.bulk_create(
        [
            Tally(neuron=neuron, standing=Standing.AGREED, family=family, rule_version=1, inputs=inputs[neuron.pk])
            for neuron, family in settled
        ],
        batch_size=5_000,
    )
    reviews = Review.objects.bulk_create(
        [
            Review(neuron=neuron, reviewer=reviewer, decision="accept", family=family, tally=tally)
            for (neuron, family), tally in zip(settled, tallies, strict=True)
        ],
        batch_size=5_000,
    )
    Membership.objects.bulk_create(
        [
            Membership(family=family, neuron=neuron, review=review, made_by=reviewer)
            for (neuron, family), review in zip(settled, reviews, strict=True)
        ],
        batch_size=5_000,
    )
    Gold.objects.bulk_create(Gold(neuron=neuron, marked_by=editor, reason="Clear.") for neuron, _ in settled[::40])
    by_pk = {layer.pk: layer for layer in layers}
    Event.objects.bulk_create(
        [
            Event(
                actor=label.author,
                verb="label.added",
                network=network,
                layer=by_pk[one.layer_id],
                neuron=one,
                label=label,
            )
            for label in labels
            for one in [label.neuron]
        ]
        + [
            Event(
                actor=reviewer,
                verb="review.accepted",
                network=network,
                layer=by_pk[one.neuron.layer_id],
                neuron=one.neuron,
                family=one.family,
                review=one,
            )
            for one in reviews
        ],
        batch_size=5_000,
    )
    talks = Discussion.objects.bulk_create(
        Discussion(neuron=one, layer=one.layer, network=network) for one, _ in settled[::5]
    )
    said = Comment.objects.bulk_create(
        Comment(discussion=talk, author=chance.choice(readers), text="As [[0:3]] shows.")
        for talk in talks
        for _ in "ab"
    )
    told = Event.objects.bulk_create(
        Event(
            actor=comment.author,
            verb="comment.added",
            network=network,
            layer=by_pk[comment.discussion.layer_id],
            neuron=comment.discussion.neuron,
            comment=comment,
        )
        for comment in said
    )
    Notification.objects.bulk_create(
        [
            Notification(person=one, event=event, why="subscribed")
            for event in told
            for one in chance.sample(readers, 10)
        ],
        batch_size=5_000,
    )
    for number in range(60):
        make_proposal(layers[number % LAYERS], readers[number % people], f"Proposal {number}")
    long_ago = timezone.now() - datetime.timedelta(days=1)
    Notification.objects.update(at=long_ago)
    names = [layer.name for layer in layers]
    keys = {layer.name: [family.pk for family in families[layer.pk]] for layer in layers}
    notes, claims = write(network, readers, reviewer)
    return World(network.name, names, size, keys, readers, reviewer, editor, notes, claims)


def write(network: Any, readers: list[Any], reviewer: Any) -> tuple[list[Any], list[Any]]:
    """Published notes of 30,000 characters that name neurons and families; claims, most of them tested."""
    from taxonomy.models import Family, Note
    from tests.factory import make_claim, make_note, make_plan, make_run

    chance = random.Random(2)
    layers = list(network.layers.all())
    families = list(
        Family.objects.filter(memberships__isnull=False, memberships__ended_at=None).distinct().select_related("layer")
    )
    prose = "A line of this orientation excites it, and the opposite one inhibits it, as its weights show. " * 12

    def plan(later: Any, channels: list[int]) -> dict[str, Any]:
        earlier = layers[max(later.order - 1, 0)]
        source = {"layer": earlier.name, "channels": chance.sample(range(earlier.channels), 8), "named": ""}
        target = {"layer": later.name, "channels": channels, "named": ""}
        changed = {"do": [{"do": "keep_positive", "from": source, "to": target}]}
        return make_plan(**changed, measure={"what": "response", "of": target})

    notes = []
    for number in range(NOTES):
        layer = layers[1 + number % (LAYERS - 1)]
        near = [family for family in families if family.layer_id == layer.pk]
        parts = [
            f"## Part {part}\n\n{prose}\n\n[[{layer.name}:{chance.randrange(layer.channels)}]] is of "
            f"[[family:{layer.name}/{chance.choice(near).name}]], and $w_{{{part}}} > 0$."
            for part in range(24)
        ]
        notes.append(make_note(network, readers[number], title=f"On {number}", published=True, body="\n\n".join(parts)))
    claims = []
    for number in range(CLAIMS):
        if number % 2:
            subject = notes[number % NOTES]
            later = layers[1 + number % (LAYERS - 1)]
            channels = chance.sample(range(later.channels), 12)
        else:
            subject = chance.choice([family for family in families if family.layer.order])
            later = subject.layer
            channels = list(subject.memberships.filter(ended_at=None).values_list("neuron__index", flat=True))
        claim = make_claim(subject, reviewer, f"It matters ({number}).", plan=plan(later, channels))
        if number % 4:
            make_run(claim, chance.choice(("supported", "refuted", "inconclusive")), by=reviewer)
        claims.append(claim)
    return list(Note.objects.filter(network=network)), claims


def pages(world: World, chance: random.Random) -> dict[str, tuple[str, Callable[[], str]]]:
    """For each kind of page who looks at it, and the address of one."""

    def layer() -> str:
        return f"/networks/{world.network}/{chance.choice(world.layers)}/"

    def neuron(*, settled: bool) -> str:
        index = chance.randrange(world.size // 3) * 3 + settled
        return f"{layer()}{index}/"

    def family() -> str:
        name = chance.choice(world.layers)
        return f"/networks/{world.network}/{name}/families/{chance.choice(world.families[name])}/"

    def subject() -> str:
        return f"{world.network}/{chance.choice(world.layers)}:{chance.randrange(world.size)}"

    network = f"/networks/{world.network}/"
    return {
        "home": ("reader", lambda: "/"),
        "network": ("reader", lambda: network),
        "layer": ("reader", layer),
        "layer, for a visitor": ("visitor", layer),
        "neuron, unsettled": ("reader", lambda: neuron(settled=False)),
        "neuron, settled": ("reader", lambda: neuron(settled=True)),
        "neuron, with its readings": ("reviewer", lambda: f"{neuron(settled=False)}?readings"),
        "family": ("reader", family),
        "activity": ("reader", lambda: "/activity/"),
        "activity, long ago": ("reader", lambda: f"/activity/?before={chance.randrange(1000, 90_000)}"),
        "review": ("reviewer", lambda: "/review/"),
        "proposals": ("reviewer", lambda: "/proposals/"),
        "label queue": ("reader", lambda: "/label/"),
        "label queue, of a layer": (
            "reader",
            lambda: f"/label/?network={world.network}&layer={chance.choice(world.layers)}",
        ),
        "notifications": ("reader", lambda: "/notifications/"),
        "discussions": ("reader", lambda: "/discussions/"),
        "people": ("reader", lambda: "/people/"),
        "person": ("reader", lambda: f"/people/{chance.choice(world.people).username}/"),
        "a reviewer's page": ("reader", lambda: "/people/reviewer/"),
        "gold": ("editor", lambda: "/gold/"),
        "thread": ("reader", lambda: f"{network}thread/"),
        "note": ("reader", lambda: chance.choice(world.notes).get_absolute_url()),
        "note, for a visitor": ("visitor", lambda: chance.choice(world.notes).get_absolute_url()),
        "claims": ("reader", lambda: f"{network}claims/"),
        "claim": ("reviewer", lambda: chance.choice(world.claims).get_absolute_url()),
        "weights": ("reader", lambda: f"{network}weights/"),
        "agreement": ("reader", lambda: f"{network}agreement/"),
        "feed of a network": ("visitor", lambda: f"{network}feed.atom"),
        "API neurons": ("reader", lambda: f"/api/v1/neurons/?layer={chance.choice(world.layers)}"),
        "API labels": ("reader", lambda: f"/api/v1/labels/?layer={chance.choice(world.layers)}"),
        "API notes": ("reader", lambda: f"/api/v1/notes/?network={world.network}"),
        "API claims": ("reader", lambda: f"/api/v1/claims/?network={world.network}"),
        "API families": ("reader", lambda: f"/api/v1/families/?layer={chance.choice(world.layers)}"),
        "API compare": ("reader", lambda: f"/api/v1/compare/?with={subject()}&with={subject()}"),
    }


def ticks(process: int) -> float | None:
    """Seconds of the processor that a process has used; None where that cannot be seen. Counted in hundredths."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(world: World, rounds: int, only: str) -> Iterator[Row]:
    from django.db import connection
    from django.test import Client
    from django.test.utils import CaptureQueriesContext

    chance = random.Random(1)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        server = cursor.fetchone()[0]

    def client_of(who: str) -> Client:
        client = Client()
        person = {"visitor": None, "reviewer": world.reviewer, "editor": world.editor}.get(
            who, chance.choice(world.people)
        )
        if person is not None:
            client.force_login(person, backend="allauth.account.auth_backends.AuthenticationBackend")
        return client

    for page, (who, address) in pages(world, chance).items():
        if only not in page:
            continue
        took, size = [], 0
        client_of(who).get(address())
        requests = [(client_of(who), address()) for _ in range(rounds)]
        cpu, backend = time.process_time(), ticks(server)
        for client, asked in requests:
            began = time.perf_counter()
            answer = client.get(asked)
            body = b"".join(answer.streaming_content) if answer.streaming else answer.content
            took.append((time.perf_counter() - began) * 1e3)
            size = max(size, len(body))
            if answer.status_code != 200:
                sys.exit(f"{asked} answered {answer.status_code}.")
        cpu = (time.process_time() - cpu) * 1e3 / rounds
        spent = None if backend is None else ((ticks(server) or backend) - backend) * 1e3 / rounds
        client = client_of(who)
        with CaptureQueriesContext(connection) as queries:
            client.get(address())
        yield Row(
            page,
            who,
            statistics.median(took),
            statistics.quantiles(took, n=20)[-1],
            cpu,
            spent,
            sum("SAVEPOINT" not in query["sql"] for query in queries),
            size / 1024,
        )


def main() -> None:
    parser = argparse.ArgumentParser(prog="./run bench site", description=__doc__)
    parser.add_argument("--neurons", type=int, default=10_000)
    parser.add_argument("--readings", type=int, default=10, help="of each neuron")
    parser.add_argument("--people", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=40, help="requests for each page")
    parser.add_argument("--page", default="", help="only pages of whose name this is a part")
    parser.add_argument("--json", type=Path, help="write the figures there too")
    options = parser.parse_args()
    os.environ.setdefault("SECRET_KEY", "only for this measurement, in a database of its own")
    with (
        tempfile.TemporaryDirectory() as artifacts,
        database(DEBUG="0", ALLOWED_HOSTS="testserver", ARTIFACTS=artifacts),
    ):
        from django.conf import settings
        from django.db import connection

        logging.disable(logging.WARNING)  # the neurons' evidence here has no files
        settings.SECURE_SSL_REDIRECT = False
        settings.STORAGES["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
        world = fill(options.neurons, options.readings, options.people)
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE")
        total = options.neurons * options.readings
        print(f"{options.neurons:,} neurons, {total:,} labels, {options.people} contributors; {os.cpu_count()} cores\n")
        print(f"{'page':28}{'p50 ms':>9}{'p95 ms':>9}{'CPU':>7}{'CPU of db':>11}{'queries':>9}{'kB':>8}")
        rows = []
        for row in measure(world, options.rounds, options.page):
            rows.append(row)
            there = "—" if row.database is None else f"{row.database:.0f}"
            mark = "  *" if row.p95 > MOST or row.queries > MOST_QUERIES else ""
            print(
                f"{row.page:28}{row.p50:9.0f}{row.p95:9.0f}{row.processor:7.0f}{there:>11}{row.queries:9}{row.kilobytes:8.0f}"
                f"{mark}",
                flush=True,
            )
        slow = [row.page for row in rows if row.p95 > MOST or row.queries > MOST_QUERIES]
        print(f"\n* over {MOST:.0f} ms or {MOST_QUERIES} queries: {', '.join(slow) or 'none'}.")
        if options.json:
            options.json.write_text(json.dumps([asdict(row) for row in rows], indent=1))


if __name__ == "__main__":
    main()
