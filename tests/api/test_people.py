"""People over the API: the same actions, the same sentences."""

import pytest
from django.conf import settings

from taxonomy.actions import people
from taxonomy.models import Event, Role, User
from tests.factory import make_claim, make_family, make_network, make_note, make_user, neuron_at

pytestmark = pytest.mark.django_db


def test_people_are_listed_and_found(api) -> None:
    make_user("ada", affiliation="Institute of Curves")
    make_user("bela", role=Role.REVIEWER)
    make_user("gone", is_active=False)
    assert [one["username"] for one in api.read("people/").data["results"]] == ["ada", "bela"]
    assert [one["username"] for one in api.read("people/", role="reviewer").data["results"]] == ["bela"]
    assert [one["username"] for one in api.read("people/", q="curves").data["results"]] == ["ada"]
    assert api.read("people/", role="king").status_code == 400
    one = api.read("people/ada/").data
    assert (one["affiliation"], one["orcid"], one["credits"]) == ("Institute of Curves", "", [])
    assert "email" not in one
    missing = api.read("people/nobody/")
    assert (missing.status_code, missing.data["detail"]) == (404, "There is nobody called that here.")


def test_credits_are_counts_by_network(api) -> None:
    make_network()
    ada = make_user("ada")
    family = make_family(neuron_at("3b:1").layer)
    for index in range(3):
        body = {"network": "tinynet", "neuron": f"3b:{index}", "family": family.pk}
        assert api.as_(ada).send("labels/", **body).status_code == 201
    assert [dict(one) for one in api.read("people/ada/").data["credits"]] == [
        {"network": "tinynet", "labels": 3, "blind": 3}
        | {"reviews": 0, "proposals": 0, "comments": 0, "notes": 0, "claims": 0}
    ]


def test_what_lies_on_a_draft_counts_once_it_is_everybodys(api) -> None:
    ada = make_user("ada")
    note = make_note(make_network(), ada)
    make_claim(note, ada)
    assert api.read("people/ada/").data["credits"] == []
    make_claim(make_note(note.network, ada, published=True), ada)
    [credit] = api.read("people/ada/").data["credits"]
    assert (credit["notes"], credit["claims"]) == (1, 1)


def test_one_s_own_profile(api) -> None:
    ada = make_user("ada")
    visitor = api.read("me/")
    assert (visitor.status_code, visitor.data["detail"]) == (401, "Sign in to see and change your own page.")
    mine = api.as_(ada)
    assert mine.read("me/").data["email"] == ada.email
    changed = mine.patch("/api/v1/me/", {"affiliation": " Lab ", "shortcuts": False}, format="json")
    assert (changed.data["affiliation"], changed.data["shortcuts"], changed.data["pseudonymous"]) == (
        "Lab",
        False,
        False,
    )
    bad = mine.patch("/api/v1/me/", {"affiliation": "La\u202eb"}, format="json")
    assert bad.status_code == 400
    assert "U+202E" in bad.data["detail"]
    assert mine.patch("/api/v1/me/", {"role": "admin"}, format="json").status_code == 400
    assert User.objects.get(pk=ada.pk).role == Role.CONTRIBUTOR
    assert mine.read("me/progress/").data["is_enough"] is False
    assert len(mine.read("me/progress/").data["missing"]) == 2
    assert mine.read("me/data/").data["account"]["user name"] == "ada"
    assert Event.objects.filter(verb="affiliation.changed").get().data == {}


def test_appointing_and_confirming(api) -> None:
    ada, edda = make_user("ada"), make_user("edda", role=Role.EDITOR)
    body = {"role": "reviewer", "reason": "Reads well."}
    visitor = api.send("people/ada/appoint/", **body)
    assert (visitor.status_code, visitor.data["detail"]) == (401, "Sign in to appoint.")
    assert api.as_(ada).send("people/edda/appoint/", **body).status_code == 403
    early = api.as_(edda).send("people/ada/confirm/")
    assert early.status_code == 403
    assert early.data["detail"].startswith("ada has not earned it yet. Missing: 50 more gold neurons")
    assert api.as_(edda).send("people/ada/appoint/", role="king", reason="x").status_code == 400
    assert api.as_(edda).send("people/ada/appoint/", **body).data["role"] == "reviewer"
    assert list(api.as_(edda).read("people/candidates/").data) == []
    assert api.as_(ada).read("people/candidates/").status_code == 403


def test_a_blocked_person_s_token_opens_nothing(api) -> None:
    ada, adam = make_user("ada"), make_user("adam", role=Role.ADMIN)
    hers = api.as_(ada)
    assert hers.read("me/").status_code == 200
    assert api.as_(make_user(role=Role.EDITOR)).send("people/ada/block/", reason="Spam.").status_code == 403
    assert api.as_(adam).send("people/adam/block/", reason="Spam.").data["detail"] == "Nobody blocks themselves."
    assert api.as_(adam).send("people/ada/block/", reason="Spam.").data["is_active"] is False
    assert hers.read("me/").status_code == 401
    assert hers.read("networks/").status_code == 401
    assert api.as_(adam).send("people/ada/unblock/", reason="A mistake.").data["is_active"] is True
    assert hers.read("me/").status_code == 401, "the old token stays dead"


def test_erasing_oneself(api) -> None:
    ada = make_user("ada", password="brass-lantern-42")
    hers = api.as_(ada)
    assert hers.send("people/ada/erase/", proof="wrong").status_code == 400
    assert hers.send(f"people/{make_user('bela').username}/erase/", proof="bela").status_code == 403
    assert hers.send("people/ada/erase/", proof="brass-lantern-42").data["username"] == f"former-contributor-{ada.pk}"
    assert api.read("people/ada/").status_code == 404
    assert hers.read("me/").status_code == 401


def test_new_terms_are_asked_for_once(api) -> None:
    make_network()
    ada = make_user("ada", terms_version="2001-01")
    family = make_family(neuron_at("3b:1").layer)
    body = {"network": "tinynet", "neuron": "3b:1", "family": family.pk}
    hers = api.as_(ada)
    refused = hers.send("labels/", **body)
    sentence = f"Before you label neurons, read and accept the terms of {settings.TERMS_VERSION}: they are at /terms/."
    assert (refused.status_code, refused.data["detail"]) == (403, sentence)
    assert hers.read("neurons/tinynet/3b:1/").status_code == 200, "reading stays free"
    assert api.read("terms/").data["accepted"] is False
    assert hers.read("terms/").data["accepted"] is False
    assert hers.send("terms/", version="2001-01").status_code == 400
    assert hers.send("terms/", version=settings.TERMS_VERSION).data["accepted"] is True
    assert hers.send("terms/", version=settings.TERMS_VERSION).status_code == 200
    assert hers.send("labels/", **body).status_code == 201
    assert Event.objects.filter(verb="terms.accepted", actor=ada).count() == 1


def test_a_role_taken_away_works_at_once(api) -> None:
    """Between one request and the next, also where the session or token is older than the decision."""
    rosa, adam = make_user("rosa", role=Role.EDITOR), make_user("adam", role=Role.ADMIN)
    make_user("ada")
    hers = api.as_(rosa)
    assert hers.send("people/ada/appoint/", role="reviewer", reason="Reads well.").status_code == 200
    people.appoint(adam, rosa, Role.CONTRIBUTOR, reason="Asked for it.")
    refused = hers.send("people/ada/appoint/", role="contributor", reason="On second thoughts.")
    assert refused.status_code == 403
    assert User.objects.get(username="ada").role == Role.REVIEWER
