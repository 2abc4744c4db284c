"""Ask for evidence of a network's neurons, and wait for it if you like.

request_evidence curve_network --images curves --wait
request_evidence squeezenet1_0 --layer fire5 --neurons 0-31 --kind feature_visualization --steps 128
"""

import time
from argparse import ArgumentParser, ArgumentTypeError
from collections import Counter
from typing import Any

from django.core.management.base import CommandError

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
            help=f"only these kinds of evidence: {', '.join(recipes.COMPUTED)}",
        )
        parser.add_argument("--images", metavar="NAME", help="the image set that dataset examples come from")
        parser.add_argument("--steps", type=int, help="of feature visualization")
        parser.add_argument("--wait", action="store_true", help="show progress, and end when all of it is settled")

    def act(self, user: User, **options: Any) -> None:
        network = self.network(options["network"])
        kinds = [kind for given in options["kind"] for kind in ([given] if isinstance(given, str) else given)]
        steps = options["steps"]
        requested = evidence.request(
            user,
            network,
            layers=self.layers(network, options["layer"]),
            neurons=options["neurons"],
            kinds=kinds,
            image_set=self.image_set(options["images"]),
            parameters=None if steps is None else {"feature_visualization": {"steps": steps}},
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
                raise CommandError(
                    "Stopped waiting. The workers go on; see the jobs page to cancel.", returncode=130
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
            progress.show(settled, len(ids), pace(settled - first, now - began, len(ids) - settled))
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

    def nobody_works(self, ids: list[int]) -> bool:
        mine = Shard.objects.filter(evidence__in=ids)
        return not mine.filter(status=Outcome.RUNNING).exists() and mine.filter(status=Outcome.QUEUED).exists()

    def report(self, ids: list[int], counts: Counter[str]) -> None:
        failed, cancelled = counts[Outcome.FAILED], counts[Outcome.CANCELLED]
        if not failed and not cancelled:
            self.stdout.write(f"All {len(ids):,} are done.")
            return
        what = [f"{failed:,} failed"] * bool(failed) + [f"{cancelled:,} were cancelled"] * bool(cancelled)
        lines = [f"{counts[Outcome.DONE]:,} of {len(ids):,} are done, {' and '.join(what)}."]
        failures = Evidence.objects.filter(pk__in=ids, status=Outcome.FAILED).select_related("neuron__layer__network")
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
