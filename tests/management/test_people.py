"""create_admin and appoint."""

import io
import sys

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from taxonomy.models import Role, User
from tests.factory import make_user

pytestmark = pytest.mark.django_db


def run(*words: str) -> str:
    out = io.StringIO()
    call_command(*words, stdout=out)
    return out.getvalue()


def test_a_password_is_made_and_shown_once() -> None:
    said = run("create_admin", "alice", "--email", "alice@example.org")
    password = said.split("Password: ")[1].splitlines()[0]
    alice = User.objects.get(username="alice")
    assert alice.role == Role.ADMIN
    assert alice.check_password(password)
    with pytest.raises(CommandError, match="already"):
        run("create_admin", "alice")


def test_a_password_from_standard_input_is_not_shown(monkeypatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("correct horse\n"))
    assert "correct" not in run("create_admin", "alice", "--password-stdin")
    assert User.objects.get(username="alice").check_password("correct horse")
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    with pytest.raises(CommandError, match="too short"):
        run("create_admin", "bob", "--password-stdin")


def test_an_address_is_needed_where_mail_is_sent(settings) -> None:
    settings.ACCOUNT_EMAIL_VERIFICATION = "mandatory"
    with pytest.raises(CommandError, match="lets nobody in without an address"):
        run("create_admin", "alice")


def test_appoint() -> None:
    make_user("edda")
    make_user("rosa", role=Role.REVIEWER)
    assert run("appoint", "edda", "editor", "--reason", "knows curves") == "edda is editor now.\n"
    with pytest.raises(CommandError, match="Admins appoint editors"):
        run("appoint", "rosa", "editor", "--reason", "x", "--as", "edda")
    with pytest.raises(CommandError, match="Say why"):
        run("appoint", "rosa", "editor", "--reason", " ")
    with pytest.raises(CommandError, match="nobody called"):
        run("appoint", "x", "editor", "--reason", "y")
