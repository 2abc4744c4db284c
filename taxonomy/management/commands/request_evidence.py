"""Ask for evidence of a network's neurons, and wait for it if you like.

request_evidence curve_network --images curves --wait
request_evidence squeezenet1_0 --layer fire5 --neurons 0-31 --kind feature_visualization --steps 128
request_evidence squeezenet1_0 --layer fire5 --kind weights --set weights.direction=in --set weights.layer=fire3
request_evidence curve_network --family Curves --images curves
request_evidence squeezenet1_0 --layer fire5 --kind layer_weights --set layer_weights.layer=fire3
"""

import time
from argparse import ArgumentParser, ArgumentTypeError
from collections import Counter, defaultdict
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError
from django.urls import reverse

from taxonomy import dispatch, recipes
from taxonomy.actions import evidence
from taxonomy.management.command import ActingCommand, Progress
from taxonomy.models import Evidence, ImageSet, Layer, Network, Outcome, Shard, User

SETTLED = (Outcome.DONE, Outcome.FAILED, Outcome.CANCELLED)
POLL_SECONDS = 0.5
SILENCE_SECONDS = 30.0
REASONS_SHOWN = 5


def neurons(text: str) -> list[int]:
    """``0-31,40`` as indices."""
    found: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not (first.isdecimal() and (last.isdecimal() if dash else True)) or max(len(first), len(last)) > 6:
            raise ArgumentTypeError(f"'{part.strip()}' is no neuron and no range. Write such as 0-31,40.")
        found += range(int(first), int(last or first) + 1)
    return found


def change(text: str) -> tuple[str, str, int | str]:
    """``weights.direction=in`` as kind, parameter and value."""
    where, equals, value = text.partition("=")
    kind, dot, name = where.partition(".")
    if not (equals and dot and kind and name and value):
        raise ArgumentTypeError(f"'{text}' changes nothing. Write KIND.PARAMETER=VALUE, such as weights.direction=in.")
    return kind, name, int(value) if value.lstrip("-").isdecimal() and len(value) < 12 else value


class Command(ActingCommand):
    help = __doc__

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("network", metavar="NETWORK")
        parser.add_argument("--layer", action="append", default=[], help="only this layer (may be given again)")
        parser.add_argument("--neurons", type=neurons, metavar="0-31,40", help="only these, in each layer")
        parser.add_argument(
            "--kind",
            action="append",
            nargs="+",
            default=[],
            help=f"only these kinds of evidence: {', '.join(recipes.COMPUTED)}; or {recipes.EVERY}",
        )
        parser.add_argument("--family", action="append", default=[], metavar="NAME", help="of this family, not neurons")
        parser.add_argument("--other", metavar="NAME", help="of weights between two families, the earlier one")
        parser.add_argument(
            "--set",
            dest="changes",
            type=change,
            action="append",
            default=[],
            metavar="KIND.PARAMETER=VALUE",
            help="what differs from a kind's recipe (may be given again)",
        )
        parser.add_argument("--images", metavar="NAME", help="the image set that dataset examples and others come from")
        parser.add_argument("--steps", type=int, help="of feature visualization")
        parser.add_argument("--wait", action="store_true", help="show progress, and end when all of it is settled")

    def act(self, user: User, **options: Any) -> None:
        network = self.network(options["network"])
        kinds = [kind for given in options["kind"] for kind in ([given] if isinstance(given, str) else given)]
        layers = self.layers(network, options["layer"])
        parameters: dict[str, dict[str, Any]] = defaultdict(dict)
        for kind, name, value in options["changes"]:
            parameters[kind][name] = value
        if options["steps"] is not None:
            parameters["feature_visualization"]["steps"] = options["steps"]
        requested = evidence.request(
            user,
            network,
            layers=layers,
            neurons=options["neurons"],
            families=[evidence.family_called(network, name, layers) for name in options["family"]],
            other=evidence.family_called(network, options["other"]) if options["other"] else None,
            kinds=kinds,
            image_set=self.image_set(options["images"]),
            parameters=parameters,
        )
        total, there = len(requested.evidence), requested.done_before
        if requested.job is not None:
            self.stdout.write(
                f"Requested {requested.job.total:,} of {total:,} pieces of evidence ({there:,} were there already) "
                f"as job {requested.job.public_id}."
            )
        elif there == total:
            self.stdout.write(f"All {total:,} pieces of evidence are there already.")
        else:
            self.stdout.write(f"{there:,} of {total:,} pieces of evidence are there, the others are under way already.")
        if dispatch.waiting("evidence") is None:
            self.stderr.write(
                "Redis does not answer, so no worker hears of it now. The request is kept: the reaper rings again "
                "once Redis is up (./run services start)."
            )
        if options["wait"]:
            try:
                self.wait(requested.evidence)
            except KeyboardInterrupt:
                self.stdout.write("")
                job = requested.job
                page = settings.SITE_URL + (reverse("jobs") if job is None else job.get_absolute_url())
                raise CommandError(
                    f"Stopped waiting. The workers go on; to stop them, cancel the job at {page}.", returncode=130
                ) from None

    def layers(self, network: Network, names: list[str]) -> list[Layer]:
        there = {layer.name: layer for layer in network.layers.all()}
        for name in names:
            if name not in there:
                raise CommandError(f"{network.name} has no layer '{name}'. Its layers are {', '.join(there)}.")
        return [there[name] for name in names]

    def image_set(self, name: str | None) -> ImageSet | None:
        if name is None:
            return None
        try:
            return ImageSet.objects.get(name=name)
        except ImageSet.DoesNotExist as error:
            there = ", ".join(ImageSet.objects.values_list("name", flat=True)) or "none yet (add_image_set adds one)"
            raise CommandError(f"There is no image set '{name}' here. Image sets: {there}.") from error

    def wait(self, ids: list[int]) -> None:
        """Until each of these is settled, whichever job makes it. Fails when any of them did."""
        progress = Progress(self.stdout)
        began = moved = time.monotonic()
        first = last = -1
        warned = False
        while True:
            counts = Counter(Evidence.objects.filter(pk__in=ids).values_list("status", flat=True))
            settled = sum(counts[status] for status in SETTLED)
            now = time.monotonic()
            if first < 0:
                first = settled
            if settled != last:
                moved, last = now, settled
            said = self.passes(ids) or pace(settled - first, now - began, len(ids) - settled)
            progress.show(settled, len(ids), said)
            if settled == len(ids):
                break
            if not warned and now - moved > SILENCE_SECONDS and self.nobody_works(ids):
                progress.end()
                self.stderr.write(
                    f"Nothing has started for {SILENCE_SECONDS:.0f} seconds: no worker seems to be taking work. "
                    "Start one with ./run worker; this goes on waiting (Ctrl-C stops waiting, not the job)."
                )
                progress, warned = Progress(self.stdout), True
            time.sleep(POLL_SECONDS)
        progress.end()
        self.report(ids, counts)

    def passes(self, ids: list[int]) -> str:
        """How far the passes over the images are that some of these wait for."""
        waiting = Shard.objects.filter(evidence__in=ids, waiting=True, status=Outcome.QUEUED)
        own = Shard.objects.filter(kind="survey", job__in=waiting.values("job"))
        counts = Counter(own.values_list("status", flat=True))
        if not waiting.exists() or not counts:
            return ""
        return f", {counts[Outcome.DONE]:,} of {counts.total():,} passes over the images"

    def nobody_works(self, ids: list[int]) -> bool:
        mine = Shard.objects.filter(job__in=Shard.objects.filter(evidence__in=ids).values("job"))
        return not mine.filter(status=Outcome.RUNNING).exists() and mine.filter(status=Outcome.QUEUED).exists()

    def report(self, ids: list[int], counts: Counter[str]) -> None:
        failed, cancelled = counts[Outcome.FAILED], counts[Outcome.CANCELLED]
        if not failed and not cancelled:
            self.stdout.write(f"All {len(ids):,} are done.")
            return
        what = [f"{failed:,} failed"] * bool(failed) + [f"{cancelled:,} were cancelled"] * bool(cancelled)
        lines = [f"{counts[Outcome.DONE]:,} of {len(ids):,} are done, {' and '.join(what)}."]
        failures = Evidence.objects.filter(pk__in=ids, status=Outcome.FAILED).select_related(
            "neuron__layer__network", "family__layer__network", "other__layer__network"
        )
        lines += [f"  {found}: {found.reason}" for found in failures[:REASONS_SHOWN]]
        if failed > REASONS_SHOWN:
            lines.append(f"  ... and {failed - REASONS_SHOWN:,} more. The jobs page names each, and retries.")
        raise CommandError("\n".join(lines))


def pace(made: int, seconds: float, left: int) -> str:
    """Rate and time left, once there is something to measure."""
    if not made or seconds < 1:
        return ""
    rate = made / seconds
    minutes, rest = divmod(round(left / rate), 60)
    time_left = f"{minutes} min {rest:02} s" if minutes else f"{rest} s"
    return f", {rate:.1f} a second, {time_left} left" if left else f", {rate:.1f} a second"
