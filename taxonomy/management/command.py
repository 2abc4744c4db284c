"""What the commands share: they act as somebody, and every refusal is one sentence, not a traceback."""

import sys
from argparse import ArgumentParser
from typing import Any, TextIO

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.db import IntegrityError, InterfaceError, OperationalError, ProgrammingError

from taxonomy.interchange.distill import FormError
from taxonomy.interchange.pictures import FolderError
from taxonomy.models import Network, User
from taxonomy.permissions import Refused
from taxonomy.plans import PlanError
from taxonomy.recipes import RecipeError


class ActingCommand(BaseCommand):
    """A command that calls an action: ``act`` gets the user that ``--as`` names (by default the system user)."""

    as_required = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--as", dest="as_user", metavar="USER", required=self.as_required, help="act as this person"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            self.act(self.person(options["as_user"]), **options)
        except (Refused, RecipeError, PlanError, FormError, FolderError) as error:
            raise CommandError(str(error)) from error
        except ValidationError as error:
            raise CommandError("\n".join(error.messages)) from error
        except (OperationalError, InterfaceError) as error:
            raise CommandError(
                f"The database does not answer: {str(error).strip()}\nNothing was changed. "
                "Start it with ./run services start, or see DATABASE_URL."
            ) from error
        except IntegrityError as error:
            raise CommandError(
                f"Somebody wrote the same at this moment: {str(error).strip()}\nNothing was changed. Try again."
            ) from error
        except ProgrammingError as error:
            raise CommandError(
                f"{str(error).strip()}\nIf tables are missing, run ./run manage migrate first."
            ) from error

    def act(self, user: User, **options: Any) -> None:
        raise NotImplementedError

    def person(self, username: str | None) -> User:
        if username is None:
            return User.objects.system()
        try:
            return User.objects.get(username=username)
        except User.DoesNotExist as error:
            raise CommandError(f"There is nobody called '{username}' here.") from error

    def network(self, name: str) -> Network:
        try:
            return Network.objects.get(name=name)
        except Network.DoesNotExist as error:
            there = ", ".join(Network.objects.values_list("name", flat=True)) or "none yet (register_network adds one)"
            raise CommandError(f"There is no network '{name}' here. Networks: {there}.") from error


class Progress:
    """A line that is rewritten on a terminal; elsewhere (a log) a new line now and then."""

    WIDTH = 28

    def __init__(self, out: Any, every: float = 0.1) -> None:
        self.out = out
        self.live = stream_is_live(out)
        self.every = every
        self.shown = -1.0

    def show(self, done: int, total: int, more: str = "") -> None:
        share = done / total if total else 1.0
        if self.live:
            bar = "█" * int(share * self.WIDTH)
            self.out.write(f"\r{bar:░<{self.WIDTH}} {done:,} of {total:,}{more}\033[K", ending="")
            self.out.flush()
        elif share >= self.shown + self.every or (done == total and self.shown < 1):
            self.shown = share
            self.out.write(f"{done:,} of {total:,}{more}")
            self.out.flush()

    def end(self) -> None:
        if self.live:
            self.out.write("")
        self.live = False


def stream_is_live(out: Any) -> bool:
    stream: TextIO = getattr(out, "_out", sys.stdout)
    return stream.isatty()
