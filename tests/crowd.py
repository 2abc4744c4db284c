"""The programs of simulated contributors, for tests/test_crowd.py: each in a process that may be killed at any moment.

A submission's key is in a file before it is sent for the first time. Whoever takes a killed process's place reads the
file and sends again what was not answered.
"""

import http.client
import json
import os
import random
import threading
import time
import uuid
import zlib
from collections import Counter
from pathlib import Path
from typing import Any

from tests.served import Caller

# Of every hundred submissions so many are sent twice at once, taken back, or preceded by giving a neuron back.
TWICE, UNDONE, SKIPPED = 10, 3, 3


class Person:
    """One contributor, who reads neurons until there is nothing left to read and ``stop`` is there."""

    def __init__(
        self, name: str, port: int, token: str, families: dict[str, list[int]], folder: Path, stop: Path
    ) -> None:
        self.chance, self.families, self.stop = random.Random(f"{name}{time.time_ns()}"), families, stop
        self.caller, self.other = Caller(port, token), Caller(port, token)
        self.file = folder / f"{name}.log"
        self.seen = Counter[str]()

    def note(self, *words: object) -> None:
        line = " ".join(str(word) for word in words) + "\n"
        with self.file.open("a") as file:
            file.write(line)
            file.flush()
            os.fsync(file.fileno())

    def send(self, caller: Caller, path: str, body: dict[str, Any]) -> tuple[int, Any]:
        """Until it is answered, whatever breaks in between."""
        while True:
            try:
                status, answer = caller.post(path, body)
            except (OSError, http.client.HTTPException):
                self.seen["retried"] += 1
                time.sleep(self.chance.uniform(0.02, 0.2))
                continue
            if status >= 500:
                self.note("broken", status, path)
            return status, answer

    def reading(self, neuron: str) -> dict[str, Any]:
        said = self.chance.random()
        if said < 0.05:
            return {"verdict": "cannot tell", "missing_evidence": "weights"}
        if said < 0.1:
            return {"verdict": "none of these"}
        families = self.families[neuron.split(":")[0]]
        true = families[zlib.crc32(neuron.encode()) % len(families)]
        return {"family": true if said < 0.8 else self.chance.choice(families)}

    def unanswered(self) -> list[dict[str, Any]]:
        """What an earlier process of this person sent, or was about to send, and never heard of."""
        sent: dict[str, dict[str, Any]] = {}
        for line in self.file.read_text().splitlines() if self.file.exists() else []:
            word, _, rest = line.partition(" ")
            if word == "sending":
                body = json.loads(rest)
                sent[body["submission"]] = body
            elif word in ("taken", "refused"):
                sent.pop(rest.split()[0], None)
        return list(sent.values())

    def submit(self, body: dict[str, Any]) -> dict[str, Any] | None:
        """The next lease, if there is one."""
        twice = self.chance.randrange(100) < TWICE
        double = threading.Thread(target=self.send, args=(self.other, "labels/", body))
        if twice:
            self.seen["sent twice"] += 1
            double.start()
        status, answer = self.send(self.caller, "labels/", body)
        if twice:
            double.join()
        if status != 201:
            self.note("refused", body["submission"], status, answer["detail"])
            return None
        self.note("taken", body["submission"], answer["id"])
        if self.chance.randrange(100) < UNDONE:
            status, _ = self.send(self.caller, f"labels/{answer['id']}/undo/", {})
            self.seen["taken back" if status == 200 else "not taken back"] += 1
        return answer["next"][0] if answer["next"] else None

    def run(self) -> None:
        for body in self.unanswered():
            self.seen["sent again by another process"] += 1
            self.submit(body)
        lease = None
        while True:
            if lease is None:
                _, taken = self.send(self.caller, "queue/", {})
                if not taken["leases"]:
                    if self.stop.exists():
                        break
                    time.sleep(0.2)
                    continue
                lease = taken["leases"][0]
            if self.chance.randrange(100) < SKIPPED:
                self.seen["given back"] += 1
                self.send(self.caller, f"queue/{lease['token']}/give-back/", {})
                lease = None
                continue
            body = {
                **self.reading(lease["neuron"]),
                "submission": str(uuid.uuid4()),
                "lease": lease["token"],
                "next": {},
            }
            self.note("sending", json.dumps(body))
            lease = self.submit(body)
        self.note("seen", json.dumps(self.seen))


def people(port: int, tokens: dict[str, str], families: dict[str, list[int]], folder: str, stop: str) -> None:
    """What one process runs: some contributors, each in a thread."""
    threads = [
        threading.Thread(target=Person(name, port, token, families, Path(folder), Path(stop)).run)
        for name, token in tokens.items()
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
