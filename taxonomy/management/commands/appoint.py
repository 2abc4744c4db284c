"""Give a person another role.

appoint edda editor --reason "knows the field" --as alice
"""

from argparse import ArgumentParser
from typing import Any

from taxonomy.actions import people
from taxonomy.management.command import ActingCommand
from taxonomy.models import Role, User


class Command(ActingCommand):
    help = __doc__

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("name", metavar="NAME")
        parser.add_argument("role", choices=Role.values)
        parser.add_argument("--reason", required=True)

    def act(self, user: User, **options: Any) -> None:
        person = people.appoint(user, self.person(options["name"]), options["role"], reason=options["reason"])
        self.stdout.write(f"{person.username} is {person.get_role_display().lower()} now.")
