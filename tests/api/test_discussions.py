"""Discussions over the API: what the pages do, by the same rules."""

import json
import uuid

import pytest

from taxonomy.actions import discussions, labels
from taxonomy.models import Comment, Family, Neuron, Reveal, Role, Standing
from tests.api.conftest import Client
from tests.factory import (
    make_claim,
    make_family,
    make_label,
    make_network,
    make_note,
    make_proposal,
    make_user,
    neuron_at,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def neuron() -> Neuron:
    make_network()
    return neuron_at("mixed3b:3")


@pytest.fixture
def family(neuron: Neuron) -> Family:
    return make_family(neuron.layer, "Curves")


@pytest.fixture
def comment(family: Family) -> Comment:
    return discussions.add(make_user("ada"), family, "It **bends**.")


def test_said_on_each_subject(api: Client, neuron: Neuron, family: Family) -> None:
    proposal = make_proposal(neuron.layer)
    Neuron.objects.update(standing=Standing.ACCEPTED)
    client = api.as_(make_user("bela"))
    for about in (
        {"network": "tinynet", "neuron": "3b:3"},
        {"family": family.pk},
        {"proposal": str(proposal.public_id)},
    ):
        answer = client.send("comments/", text="Bent", **about)
        assert answer.status_code == 201
        said = answer.json()
        assert (said["text"], said["author"], said["network"], said["layer"]) == ("Bent", "bela", "tinynet", "mixed3b")
    assert [one["neuron"] for one in api.read("discussions/").json()["results"]] == [None, None, "mixed3b:3"]
    assert api.read("discussions/", index=3, network="tinynet", layer="mixed3b").json()["count"] == 1
    assert api.read("discussions/", family=family.pk).json()["results"][0]["comments"] == 1
    assert api.read("comments/", proposal=str(proposal.public_id)).json()["count"] == 1
    assert api.read("comments/", author="bela").json()["count"] == 3
    assert api.read("comments/", author="ada").json()["count"] == 0


@pytest.mark.parametrize(
    ("body", "status", "sentence"),
    [
        ({"text": "Hm"}, 400, "Say what it is about"),
        ({"text": "Hm", "family": 1, "proposal": str(uuid.uuid4())}, 400, "one of them"),
        ({"text": "Hm", "neuron": "3b:3"}, 400, "of which network"),
        ({"text": "Hm", "network": "tinynet", "neuron": "3b:99"}, 404, "numbered 0 to 7"),
        ({"text": "Hm", "family": 77777}, 404, "no such family"),
        ({"text": "Hm", "family": 2**64}, 400, "less than or equal"),
        ({"text": "Hm", "proposal": str(uuid.uuid4())}, 404, "no such proposal"),
        ({"text": "x" * 20_001, "family": None}, 400, "null"),
        ({"family": 1}, 400, "required"),
        ({"text": "Hm", "family": 1, "html": ""}, 400, "no field 'html'"),
    ],
)
def test_what_cannot_be_taken_is_told(api: Client, neuron: Neuron, body: dict, status: int, sentence: str) -> None:
    answer = api.as_(make_user()).send("comments/", **body)
    assert answer.status_code == status
    assert sentence in answer.json()["detail"]
    assert not Comment.objects.exists()


@pytest.mark.parametrize(
    ("text", "sentence"), [(" ", "write something"), ("x" * 20_001, "at most 20,000"), ("a\0", "Null")]
)
def test_texts_that_are_none(api: Client, family: Family, text: str, sentence: str) -> None:
    answer = api.as_(make_user()).send("comments/", text=text, family=family.pk)
    assert answer.status_code == 400
    assert sentence in answer.json()["detail"] or "blank" in answer.json()["detail"]


@pytest.mark.parametrize("role", [None, *Role.values])
def test_who_says_something(api: Client, family: Family, role: str | None) -> None:
    client = api.as_(make_user(role=role)) if role else api
    answer = client.send("comments/", text="Bent", family=family.pk)
    if role in (None, Role.ADMIN):
        assert answer.status_code == (403 if role else 401)
        assert answer.json()["detail"].startswith("Admins keep house" if role else "Sign in to comment.")
    else:
        assert answer.status_code == 201


def test_replies_and_keys(api: Client, family: Family, comment: Comment) -> None:
    client, key = api.as_(make_user()), str(uuid.uuid4())
    body = {"text": "Does it?", "family": family.pk, "parent": str(comment.public_id), "submission": key}
    first, again = client.send("comments/", **body), client.send("comments/", **body)
    assert first.json() == again.json()
    assert first.json()["parent"] == str(comment.public_id)
    assert api.read("comments/", parent=str(comment.public_id)).json()["count"] == 1
    other = client.send("comments/", **body | {"parent": str(uuid.uuid4())})
    assert (other.status_code, Comment.objects.count()) == (400, 2)


def test_edit_and_wordings(api: Client, comment: Comment) -> None:
    path = f"/api/v1/comments/{comment.public_id}/"
    client = api.as_(comment.author)
    answer = client.patch(path, {"text": "It *curves*."}, format="json")
    assert (answer.status_code, answer.json()["text"]) == (200, "It *curves*.")
    assert [one["text"] for one in api.get(f"{path}wordings/").json()] == ["It **bends**.", "It *curves*."]
    assert client.patch(path, {"text": "x", "author": "eve"}, format="json").status_code == 400
    refused = api.as_(make_user(role=Role.EDITOR)).patch(path, {"text": "Mine"}, format="json")
    assert (refused.status_code, refused.json()["detail"]) == (403, "Only its author changes a comment.")
    assert api.patch(path, {"text": "Mine"}, format="json").status_code == 401


def test_resolve_and_reopen(api: Client, comment: Comment) -> None:
    client = api.as_(comment.author)
    path = f"comments/{comment.public_id}/"
    assert client.send(f"{path}resolve/").json()["resolved_by"] == "ada"
    assert client.send(f"{path}resolve/").json()["detail"] == "This is resolved already."
    assert api.read("comments/", resolved="true").json()["count"] == 1
    assert api.as_(make_user()).send(f"{path}reopen/").status_code == 403
    assert client.send(f"{path}reopen/").json()["resolved_at"] is None
    assert api.read("comments/", resolved="true").json()["count"] == 0


def test_hidden_for_all_but_admins(api: Client, comment: Comment) -> None:
    admin, path = api.as_(make_user("adam", role=Role.ADMIN)), f"comments/{comment.public_id}/"
    assert admin.send(f"{path}hide/", reason="").status_code == 400
    assert admin.send(f"{path}hide/", reason="spam").json()["text"] == comment.text
    for client in (api, api.as_(comment.author), api.as_(make_user(role=Role.EDITOR))):
        answer = client.read(path).json()
        assert (answer["text"], answer["hidden_by"], answer["hidden_reason"]) == (None, "adam", "spam")
        assert "bends" not in json.dumps(client.read("comments/").json())
        assert client.read(f"{path}wordings/").status_code == 404
        assert client.send(f"{path}unhide/").status_code in (401, 403)
    assert "bends" in json.dumps(admin.read(f"{path}wordings/").json())
    assert admin.send(f"{path}unhide/").json()["hidden_at"] is None
    assert api.read(path).json()["text"] == comment.text


def test_of_an_unsettled_neuron_to_those_who_read_it(api: Client, neuron: Neuron, family: Family) -> None:
    reader, other = make_user(), make_user()
    for person in (reader, other):
        make_label(neuron, person, family)
    labels.reveal(reader, neuron)
    said = discussions.add(reader, neuron, "It is a boomerang")
    path = f"comments/{said.public_id}/"
    admin = make_user(role=Role.ADMIN)
    for person in (None, make_user(), other, make_user(role=Role.EDITOR), admin):
        client = api.as_(person) if person else api
        for where in ("comments/", "discussions/", path, f"{path}wordings/"):
            assert "boomerang" not in json.dumps(client.read(where).json()), where
        assert client.read("discussions/").json()["count"] == 0
        assert client.read(path).status_code == 404
        answer = client.send("comments/", text="So", network="tinynet", neuron="3b:3")
        assert answer.status_code == (403 if person else 401)
    hidden = api.as_(admin).send(f"{path}hide/", reason="spam").json()
    assert (hidden["text"], hidden["hidden_reason"]) == (None, "spam")
    api.as_(admin).send(f"{path}unhide/")
    Reveal.objects.filter(person=other).delete()
    Neuron.objects.update(standing=Standing.ACCEPTED)
    assert "boomerang" in json.dumps(api.as_(other).read("comments/").json())
    assert Reveal.objects.filter(person=other, neuron=neuron).exists()


def test_a_claim_is_discussed_by_who_may_see_it(api: Client, family: Family) -> None:
    ada, draft = make_user("ada"), make_note(family.layer.network, make_user("cleo"))
    family = make_family(family.layer, "Bends", units=[0, 1])
    claim, secret = make_claim(family, ada), make_claim(draft, draft.people[0].person)
    client = api.as_(make_user("bela"))
    said = client.send("comments/", text="Which margin?", claim=str(claim.public_id)).json()
    assert (said["claim"], said["family"], said["layer"]) == (str(claim.public_id), None, "mixed3b")
    assert client.read("discussions/", claim=claim.public_id).json()["results"][0]["claim"] == str(claim.public_id)
    assert client.read("comments/", claim=claim.public_id).json()["count"] == 1
    assert client.send("comments/", text="And this?", claim=str(secret.public_id)).status_code == 403
    assert client.send("subscriptions/", claim=str(secret.public_id)).status_code == 403
    assert client.send("comments/", text="And this?", claim=str(uuid.uuid4())).status_code == 404
    about = api.as_(ada).read("notifications/").json()["results"][0]["about"]
    assert (about["claim"], about["family"]) == (str(claim.public_id), None)
