"""Fifty contributors label five hundred neurons at once over HTTP, while servers and programs are killed."""

import json
import multiprocessing
import os
import random
import signal
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.db.models import F
from rest_framework.authtoken.models import Token

from taxonomy import consensus
from taxonomy.actions import gold, labels
from taxonomy.models import SETTLED, Label, Lease, Neuron, Role
from tests import crowd
from tests.factory import make_family, make_network, make_pictured, make_user
from tests.served import Site

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow, pytest.mark.alone]

PEOPLE, PROCESSES, NEURONS, GOLDEN = 50, 8, 500, 10
# Kills come by what was done between them, as a busy machine needs longer until a killed server is up again.
SERVER_EVERY, PROGRAM_EVERY = 150, 200  # submissions
LONGEST = 900  # seconds, after which something hangs
# What a neuron asks for sinks when its readings agree, or miss evidence, while somebody holds it: never below three.
MORE_THAN_ASKED = """
    SELECT neuron.id FROM taxonomy_neuron neuron
    WHERE neuron.standing NOT IN ('accepted', 'contested', 'stale')
    AND neuron.readings + (
        SELECT count(*) FROM taxonomy_lease lease
        WHERE lease.neuron_id = neuron.id AND lease.ended_at IS NULL AND lease.expires_at > clock_timestamp()
    ) > greatest(neuron.asks, 3)
"""


def ask(statement: str) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return list(cursor.fetchall())


def world() -> tuple[dict[str, str], dict[str, list[int]]]:
    """Tokens of the people by name, and the families of each layer."""
    each = (NEURONS + GOLDEN) // 2
    network = make_network("crowd", layers={"mixed3a": each, "mixed3b": each})
    make_pictured(Neuron.objects.select_related("layer"))
    editor, families = make_user(role=Role.EDITOR), {}
    for layer in network.layers.all():
        known = make_family(layer, "Known", units=range(GOLDEN // 2))
        layer.neurons.filter(index__lt=GOLDEN // 2).update(asks=0)
        for member in known.memberships.select_related("neuron__layer__network"):
            gold.mark(editor, member.neuron, "Beyond doubt.")
        above = make_family(layer, "Curves")
        below = [make_family(layer, name, parent=above) for name in ("Arches", "Smiles")]
        families[layer.name] = [family.pk for family in (above, *below, make_family(layer, "Lines"))]
    tokens = {}
    for number in range(PEOPLE):
        user = make_user(f"person{number}")
        tokens[user.username] = Token.objects.create(user=user).key
    return tokens, families


@dataclass
class Programs:
    """The people's processes; a killed one is started again, as a person would open their page again."""

    port: int
    tokens: dict[str, str]
    families: dict[str, list[int]]
    folder: Path
    killed: int = 0
    running: dict[int, BaseProcess] = field(default_factory=dict)

    @property
    def stop(self) -> Path:
        return self.folder / "stop"

    def start(self, number: int) -> None:
        names = sorted(self.tokens)[number::PROCESSES]
        own = {name: self.tokens[name] for name in names}
        arguments = (self.port, own, self.families, str(self.folder), str(self.stop))
        self.running[number] = multiprocessing.get_context("spawn").Process(target=crowd.people, args=arguments)
        self.running[number].start()

    def kill_one(self) -> None:
        number = random.choice(list(self.running))
        self.running[number].kill()
        self.running[number].join()
        self.killed += 1
        self.start(number)

    @contextmanager
    def all(self) -> Iterator[None]:
        for number in range(PROCESSES):
            self.start(number)
        try:
            yield
        finally:
            self.stop.touch()
            for process in self.running.values():
                process.join(30)
                process.kill()


@dataclass
class Told:
    """What the people's files say."""

    sent: set[str] = field(default_factory=set)
    taken: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))  # label ids by key
    refused: dict[str, str] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)
    seen: Counter[str] = field(default_factory=Counter)

    @classmethod
    def read(cls, folder: Path) -> "Told":
        found = cls()
        for line in [line for file in folder.glob("person*.log") for line in file.read_text().splitlines()]:
            word, _, rest = line.partition(" ")
            if word == "sending":
                found.sent.add(json.loads(rest)["submission"])
            elif word == "taken":
                key, label = rest.split()
                found.taken[key].add(label)
            elif word == "refused":
                found.refused[rest.split()[0]] = rest
            elif word == "broken":
                found.broken.append(rest)
            elif word == "seen":
                found.seen.update(json.loads(rest))
        return found


def test_every_submission_once_and_never_more_than_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tokens, families = world()
    # Redis is out of reach: what would ring for evidence must not lose a label.
    with Site(tmp_path / "web.log", REDIS_URL="redis://127.0.0.1:1/0") as site:
        deadlocks = ask("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
        programs, servers, polls = Programs(site.port, tokens, families, tmp_path), 0, 0
        began = time.monotonic()
        with programs.all():
            next_server, next_program = SERVER_EVERY, PROGRAM_EVERY
            while Neuron.objects.exclude(standing__in=SETTLED).filter(asks__gt=F("readings")).exists():
                assert time.monotonic() < began + LONGEST
                assert ask(MORE_THAN_ASKED) == []
                polls += 1
                done = Label.objects.count()
                if done > next_server:
                    with suppress(ProcessLookupError):
                        os.kill(random.choice(site.workers), signal.SIGKILL)
                        servers += 1
                    next_server = done + SERVER_EVERY
                if done > next_program:
                    programs.kill_one()
                    next_program = done + PROGRAM_EVERY
                time.sleep(0.1)
            lasted = time.monotonic() - began
        time.sleep(1)  # Postgres tells its figures a little later
        assert ask("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()") == deadlocks
    assert all(process.exitcode == 0 for process in programs.running.values())
    assert ask(MORE_THAN_ASKED) == []
    assert servers
    assert programs.killed

    told = Told.read(tmp_path)
    assert told.broken == []
    kept = {str(key): str(label) for key, label in Label.objects.values_list("submission", "public_id") if key}
    every = Label.objects.filter(follows=None)
    assert len(kept) == every.count() == every.filter(submission__isnull=False).count()
    assert told.refused == {}
    assert set(kept) == told.sent == set(told.taken)
    assert {key: {label} for key, label in kept.items()} == dict(told.taken)

    handed_out = everything_by_its_times()
    check_neurons()
    with capsys.disabled():
        figures = {
            "submissions": len(kept),
            "a second": round(len(kept) / lasted, 1),
            "seconds": round(lasted, 1),
            "servers killed": servers,
            "programs killed": programs.killed,
            "polls": polls,
            "leases": handed_out,
            "of gold": Lease.objects.filter(gold=True).count(),
            **told.seen,
        }
        print("\ncrowd: " + ", ".join(f"{name} {value}" for name, value in figures.items()))


def everything_by_its_times() -> int:
    """At each moment at which the queue handed out a neuron it had asked for that. How many were looked at."""
    tree = {neuron.layer_id: labels.Tree.of(neuron.layer).parents for neuron in Neuron.objects.select_related("layer")}
    rows: dict[int, list[Label]] = defaultdict(list)
    for label in Label.objects.filter(gold=False).prefetch_related("further").order_by("pk"):
        rows[label.neuron_id].append(label)
    leases: dict[int, list[Lease]] = defaultdict(list)
    for lease in Lease.objects.filter(gold=False).select_related("label", "neuron").order_by("taken_at"):
        leases[lease.neuron_id].append(lease)
    looked = 0
    for neuron, handed in leases.items():
        for lease in handed:
            at = lease.taken_at
            current = [one for one in rows[neuron] if one.created_at <= at and not over(one.superseded_at, at)]
            held = [one for one in handed if one.taken_at <= at and not over(end_of(one), at)]
            found = labels.readings_of(current, ())
            standing = consensus.standing(found, tree[lease.neuron.layer_id]).standing
            assert len(current) + len(held) <= consensus.asked(found, standing), (neuron, at)
            looked += 1
    return looked


def end_of(lease: Lease) -> datetime | None:
    """A lease that gave a label turned into it."""
    return lease.label.created_at if lease.label else lease.ended_at


def over(ended: datetime | None, at: datetime) -> bool:
    return ended is not None and ended <= at


def check_neurons() -> None:
    """What stands with each neuron is what its labels say, and nothing more is asked."""
    for neuron in Neuron.objects.select_related("layer__network").exclude(standing__in=SETTLED):
        found = labels.readings_by_neuron([neuron], labels.needs_of([neuron]))[neuron.pk]
        result = consensus.standing(found, labels.Tree.of(neuron.layer).parents)
        assert neuron.readings == len(found)
        assert neuron.standing == result.standing
        assert neuron.asks == consensus.asked(found, result.standing) == len(found)
        assert len({reading.author for reading in found}) == len(found)
        assert neuron.tallies.order_by("-pk").first().standing == neuron.standing
