"""Derive standings, readings, asks, memberships, what notes are and what runs found again from the record, and compare.

verify_record
verify_record --network curve_network

Says each difference in words and exits with 1; changes nothing.
"""

import time
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError
from django.db import connection, transaction

from taxonomy import history
from taxonomy.management.command import ActingCommand
from taxonomy.models import Network

MOST_SHOWN = 200


def told(differences: int) -> str:
    return f"{differences:,} difference{'s' if differences != 1 else ''}"


class Command(ActingCommand):
    help = __doc__

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--network", metavar="NETWORK", help="only this one")

    def handle(self, *args: Any, **options: Any) -> None:
        networks = [self.network(options["network"])] if options["network"] else list(Network.objects.all())
        differences = 0
        for network in networks:
            differences += self.verify(network)
        if differences:
            raise CommandError(
                f"{told(differences)}: something was changed past the rules, or a rule was changed without "
                "deriving again. Restore a backup, or find who wrote to the database."
            )

    def verify(self, network: Network) -> int:
        began = time.monotonic()
        with transaction.atomic():
            if not connection.savepoint_ids:  # one moment for all that is read, while people go on labelling
                connection.cursor().execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            found = history.verify(network)
        for difference in found.differences[:MOST_SHOWN]:
            self.stdout.write(f"{difference.what}: {difference}")
        if len(found.differences) > MOST_SHOWN:
            self.stdout.write(f"And {len(found.differences) - MOST_SHOWN:,} more.")
        counts = ", ".join(f"{count:,} {what}" for what, count in found.counts.items())
        says = told(len(found.differences)) if found.differences else "all as the record says"
        self.stdout.write(f"{network.name}: {counts}: {says} ({time.monotonic() - began:.1f} s).")
        return len(found.differences)
