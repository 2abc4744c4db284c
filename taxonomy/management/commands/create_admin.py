"""Make an admin's account: the first one, or one for a host who is locked out.

create_admin alice --email alice@example.org          prints a password
create_admin alice --password-stdin < secret
"""

import secrets
import sys
from argparse import ArgumentParser
from typing import Any

from taxonomy.actions import people
from taxonomy.management.command import ActingCommand
from taxonomy.models import User


class Command(ActingCommand):
    help = __doc__

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("name", metavar="NAME")
        parser.add_argument("--email", default="")
        parser.add_argument("--password-stdin", action="store_true", help="read the password from standard input")

    def act(self, user: User, **options: Any) -> None:
        given = sys.stdin.readline().rstrip("\r\n") if options["password_stdin"] else None
        password = secrets.token_urlsafe(12) if given is None else given
        person = people.create_admin(user, username=options["name"], email=options["email"], password=password)
        self.stdout.write(f"Made the admin {person.username}.")
        if given is None:
            self.stdout.write(f"Password: {password}\nIt is shown this once; change it after signing in.")
