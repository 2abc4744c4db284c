"""Hiding notes and claims over the API: for admins; what is hidden is not found, and in no list."""

import json

import pytest

from taxonomy.actions import discussions, moderation
from taxonomy.models import Role
from tests.api.conftest import Client
from tests.factory import make_claim, make_family, make_network, make_note, make_user

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("what", ["note", "claim"])
def test_hidden_for_all_but_its_author_and_admins(api: Client, what: str) -> None:
    network, author = make_network(), make_user("ada")
    if what == "note":
        one = make_note(network, author, published=True, title="Cheap pills")
    else:
        one = make_claim(make_family(network.layers.get(name="mixed3b"), units=[0]), author, "Cheap pills.")
    path = f"{what}s/{one.public_id}/"
    admin, own, editor = (
        api.as_(user) for user in (make_user("adam", role=Role.ADMIN), author, make_user(role=Role.EDITOR))
    )
    assert "pills" in json.dumps(api.read(f"{what}s/").json())
    for client in (api, own, editor):
        assert client.send(f"{path}hide/", reason="spam").status_code in (401, 403)
    assert admin.send(f"{path}hide/", reason=" ").status_code == 400
    assert admin.send(f"{path}hide/", reason="spam", more=1).status_code == 400
    hidden = admin.send(f"{path}hide/", reason="spam").json()
    assert (hidden["id"], hidden["hidden_by"], hidden["hidden_reason"]) == (str(one.public_id), "adam", "spam")
    assert admin.send(f"{path}hide/", reason="spam").json()["detail"] == f"This {what} is hidden already."
    for client in (api, editor):
        answer = client.read(path)
        assert answer.status_code == 404
        assert answer.json()["detail"].startswith(f"This {what} was hidden by a moderator on")
        assert answer.json()["detail"].endswith("“spam”")
    for client in (own, admin):
        assert "pills" in json.dumps(client.read(path).json())
        assert client.read(path).json()["hidden_reason"] == "spam"
    for client in (api, own, editor, admin):
        assert client.read(f"{what}s/").json()["count"] == 0
        assert client.send(f"{path}unhide/").status_code == (200 if client is admin else 401 if client is api else 403)
        if client is admin:
            break
    assert api.read(path).json()["hidden_at"] is None


def test_nothing_of_a_hidden_note_is_read(api: Client) -> None:
    note = make_note(make_network(), published=True, title="Cheap pills")
    api.as_(make_user(role=Role.ADMIN)).send(f"notes/{note.public_id}/hide/", reason="spam")
    for page in ("versions/", "versions/1/", "cite/"):
        assert api.read(f"notes/{note.public_id}/{page}").status_code == 404
    said = api.as_(make_user()).send("comments/", note=str(note.public_id), text="Hello")
    assert (said.status_code, "hidden by a moderator" in said.json()["detail"]) == (404, True)


@pytest.mark.parametrize("on", ["note", "claim"])
def test_who_commented_on_what_is_hidden_reads_that_and_nobody_elses(api: Client, on: str) -> None:
    network, author, ada, bela = make_network(), make_user(), make_user("ada"), make_user("bela")
    admin = make_user("adam", role=Role.ADMIN)
    subject = (
        make_note(network, author, published=True)
        if on == "note"
        else make_claim(make_family(network.layers.get(name="mixed3b"), units=[0]), author)
    )
    said = discussions.add(ada, subject, "Really?")
    answer = discussions.add(bela, subject, "Surely not.", parent=said)
    moderation.hide(admin, subject, "spam")
    path = f"comments/{said.public_id}/"
    found = api.as_(ada).read("comments/").json()["results"]
    assert [(one["text"], one[on]) for one in found] == [("Really?", str(subject.public_id))]
    assert api.as_(ada).read(path).json()["text"] == "Really?"
    assert [one["text"] for one in api.as_(ada).read(f"{path}wordings/").json()] == ["Really?"]
    assert api.as_(ada).read(f"comments/{answer.public_id}/").status_code == 404
    change = api.as_(ada).patch(f"/api/v1/{path}", {"text": "Yes."}, format="json")
    assert (change.status_code, "was hidden by a moderator" in change.json()["detail"]) == (404, True)
    assert api.as_(ada).send(f"{path}resolve/").status_code == 404
    for client in (api, api.as_(bela), api.as_(make_user(role=Role.EDITOR))):
        assert "Really" not in json.dumps(client.read("comments/").json())
        assert client.read(path).status_code == client.read(f"{path}wordings/").status_code == 404
    for client in (api.as_(author), api.as_(admin)):  # who reads what is hidden reads what is said of it there
        assert client.read("comments/").json()["count"] == 0
        assert client.read(path).json()["text"] == "Really?"
