"""State a claim from a JSON file, have a worker test it, and wait for the ruling if you like.

state_claim claim.json --as ada
state_claim - --as rosa --run --wait < claim.json
state_claim --claim 6f1f0f8e-... --as rosa --run --wait

The file holds what the API takes: "network", one of "note", "family" and "neuron", "kind", "sentence", "rationale",
"plan" and "restates". Sets of neurons may be given in words, such as "mixed3a/Early Curves" or "3b:6, 9, 12-15".
"""

import json
import sys
import time
import uuid
from argparse import ArgumentParser
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError

from taxonomy import plans
from taxonomy.actions import claims, evidence
from taxonomy.management.command import ActingCommand
from taxonomy.models import Claim, Family, ImageSet, Network, Neuron, Note, Outcome, Run, User

FIELDS = ("network", "note", "family", "neuron", "kind", "sentence", "rationale", "plan", "restates")
SETTLED = (Outcome.DONE, Outcome.FAILED, Outcome.CANCELLED)
POLL_SECONDS = 0.5


class Command(ActingCommand):
    help = __doc__
    as_required = True

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("file", nargs="?", metavar="FILE", help="JSON; - reads what is piped in")
        parser.add_argument("--claim", type=uuid.UUID, metavar="ID", help="one that was stated already")
        parser.add_argument("--run", action="store_true", help="have a worker test it")
        parser.add_argument("--wait", action="store_true", help="until there is a ruling")

    def act(self, user: User, **options: Any) -> None:
        if (options["file"] is None) == (options["claim"] is None):
            raise CommandError("Give a JSON file that states a claim, or --claim with the id of one.")
        if options["wait"] and not options["run"]:
            raise CommandError("There is nothing to wait for without --run.")
        found = self.claim(options["claim"]) if options["claim"] else self.state(user, options["file"])
        self.stdout.write(f"{found.sentence}\n{settings.SITE_URL.rstrip('/')}{found.get_absolute_url()}")
        for caution in plans.cautions(found.plan, claims.channels_of(found.network)):
            self.stdout.write(caution)
        if options["run"]:
            run = claims.run(user, found)
            self.stdout.write(f"Run {run.number} is {'done' if run.ruling else 'under way'}.")
            if options["wait"]:
                self.wait(run)

    def claim(self, public_id: uuid.UUID) -> Claim:
        found = Claim.objects.filter(public_id=public_id).first()
        if found is None:
            raise CommandError(f"There is no claim {public_id} here.")
        return found

    def state(self, user: User, file: str) -> Claim:
        said = self.read(file)
        network = self.network(str(said.get("network", "")))
        plan = said.get("plan", {})
        named = claims.image_set_named(plan)
        return claims.state(
            user,
            self.subject(network, said),
            kind=str(said.get("kind", "")),
            sentence=str(said.get("sentence", "")),
            rationale=str(said.get("rationale", "")),
            plan=plan,
            image_set=self.image_set(named) if named else None,
            restates=self.claim(self.id_of("restates", said)) if said.get("restates") else None,
        )

    def read(self, file: str) -> dict[str, Any]:
        try:
            said = json.loads(sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise CommandError(f"{file} cannot be read: {error}") from error
        except ValueError as error:
            raise CommandError(f"{file} is not JSON: {error}") from error
        if not isinstance(said, dict):
            raise CommandError(f"A claim is a JSON object with {', '.join(FIELDS)}.")
        stray = sorted(set(said) - set(FIELDS))
        if stray:
            raise CommandError(f"A claim has no “{stray[0][:60]}”: it has {', '.join(FIELDS)}.")
        return said

    def id_of(self, name: str, said: Mapping[str, Any]) -> uuid.UUID:
        try:
            return uuid.UUID(str(said[name]))
        except ValueError as error:
            raise CommandError(f"“{name}” is an id such as 6f1f0f8e-2c1a-4c55-9c5e-0a51ad3ba2cd.") from error

    def subject(self, network: Network, said: Mapping[str, Any]) -> Note | Family | Neuron:
        named = [name for name in ("note", "family", "neuron") if said.get(name)]
        if len(named) != 1:
            raise CommandError("Say what the claim is about: one of note, family and neuron.")
        if named == ["family"]:
            reference = said["family"]
            return evidence.family_called(network, reference if isinstance(reference, int) else str(reference))
        if named == ["neuron"]:
            try:
                return Neuron.objects.at(network.name, str(said["neuron"]))
            except Neuron.DoesNotExist as error:
                raise CommandError(str(error)) from error
        note = Note.objects.filter(public_id=self.id_of("note", said), network=network).first()
        if note is None:
            raise CommandError(f"There is no such note on {network.name}.")
        return note

    def image_set(self, name: str) -> ImageSet:
        found = ImageSet.objects.filter(name=name).first()
        if found is None:
            there = ", ".join(ImageSet.objects.values_list("name", flat=True)) or "none yet (add_image_set adds one)"
            raise CommandError(f"There is no image set '{name}' here. Image sets: {there}.")
        return found

    def wait(self, run: Run) -> None:
        while run.evidence.status not in SETTLED:
            time.sleep(POLL_SECONDS)
            run = Run.objects.select_related("evidence").get(pk=run.pk)
        if run.evidence.status != Outcome.DONE:
            why = run.evidence.reason or "it was cancelled."
            raise CommandError(f"Run {run.number} came to nothing: {why}")
        run.refresh_from_db()
        figures = "" if run.effect is None else f": {run.effect:+.3g}, from {run.low:.3g} to {run.high:.3g}, n {run.n}"
        self.stdout.write(f"{run.get_ruling_display()}{figures}.")
