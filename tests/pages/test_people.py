import re

import pytest
from django.core.cache import cache, caches
from django.db import connection
from rest_framework.authtoken.models import Token

from taxonomy.actions import people
from taxonomy.models import Event, Neuron, Role, User
from tests.factory import make_user

GOOD = {"username": "grace", "email": "grace@example.org", "password1": "brass-lantern-42", "terms": "on"}


def test_signing_up_accepts_the_terms(client, db, settings):
    response = client.post("/accounts/signup/", GOOD)
    assert response.status_code == 302, response.content.decode()
    grace = User.objects.get(username="grace")
    assert grace.terms_version == settings.TERMS_VERSION
    assert grace.role == Role.CONTRIBUTOR
    assert Event.objects.filter(verb="person.joined", person=grace).exists()
    assert client.get("/me/").status_code == 200


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ({"terms": ""}, "Accept the terms"),
        ({"username": "gr\0ace"}, "Null characters are not allowed."),
        ({"username": "a b"}, "A user name has 2 to 40"),
        ({"username": "x" * 41}, "A user name has 2 to 40"),
        ({"username": "admin"}, "Username can not be used"),
        ({"username": "ADA"}, "already exists"),
        ({"email": "nowhere"}, "valid email"),
        ({"password1": "short"}, "at least 10 characters"),
    ],
)
def test_bad_sign_ups_are_told(client, db, said, sentence):
    make_user("ada")
    response = client.post("/accounts/signup/", GOOD | said)
    assert response.status_code == 200
    assert sentence in response.content.decode()
    assert User.objects.count() == 1


def test_signing_in_and_out(client, db):
    make_user("ada", password="brass-lantern-42")
    response = client.post("/accounts/login/", {"login": "ada", "password": "wrong"})
    assert "not correct" in response.content.decode()
    response = client.post(
        "/accounts/login/?next=/jobs/", {"login": "ada", "password": "brass-lantern-42", "next": "/jobs/"}
    )
    assert response.url == "/jobs/"
    assert client.post("/accounts/logout/").status_code == 302
    assert "Sign in" in client.get("/").content.decode()


def test_account_pages_wear_the_sites_clothes(client, world):
    world.contributor.set_password("brass-lantern-42")
    world.contributor.save()
    client.force_login(world.contributor)
    for address in ("/accounts/email/", "/accounts/password/change/", "/accounts/logout/", "/accounts/inactive/"):
        html = client.get(address).content.decode()
        assert 'class="wordmark"' in html, address
        assert html.count("<h1") == 1, address
    client.logout()
    assert 'class="wordmark"' in client.get("/accounts/password/reset/").content.decode()


def test_a_token_is_shown_once_and_can_be_revoked(client, world):
    client.force_login(world.contributor)
    html = client.post("/me/", {"token": "new"}).content.decode()
    key = Token.objects.get(user=world.contributor).key
    assert key in html
    assert key not in client.get("/me/").content.decode()
    client.post("/me/", {"token": "new"})
    assert not Token.objects.filter(key=key).exists()
    client.post("/me/", {"token": "revoke"})
    assert not Token.objects.exists()


def test_editors_appoint_reviewers_with_a_reason(client, world):
    address = f"/people/{world.contributor.username}/"
    client.force_login(world.editor)
    html = client.get(address).content.decode()
    assert '<option value="reviewer">' in html
    assert '<option value="editor">' not in html
    assert "Say why" in client.post(address, {"role": "reviewer"}).content.decode()
    assert client.post(address, {"role": "editor", "reason": "Good."}).status_code == 403
    assert client.post(address, {"role": "emperor", "reason": "Good."}).status_code == 422
    client.post(address, {"role": "reviewer", "reason": "Reads well."})
    assert User.objects.get(pk=world.contributor.pk).role == Role.REVIEWER


def test_contributors_appoint_nobody(client, world):
    address = f"/people/{world.readers[0].username}/"
    said = {"role": "reviewer", "reason": "A friend."}
    assert client.post(address, said).status_code == 403
    client.force_login(world.contributor)
    assert "Appoint" not in client.get(address).content.decode()
    response = client.post(address, said)
    assert response.status_code == 403
    assert "Admins appoint editors" in response.content.decode()


def test_the_admin_only_looks(client, world):
    staff = make_user("staff", role=Role.ADMIN, is_staff=True, is_superuser=True)
    client.force_login(staff)
    assert client.get("/admin/taxonomy/neuron/").status_code == 200
    assert client.get("/admin/taxonomy/neuron/add/").status_code == 403
    assert client.post(f"/admin/taxonomy/neuron/{world.read.pk}/delete/", {"post": "yes"}).status_code == 403


def test_people_are_found_by_name_affiliation_and_role(client, world):
    people.change_profile(world.contributor, affiliation="Institute of Arches")

    def names(query: str) -> list[str]:
        return [person.username for person in client.get(f"/people/{query}").context["page"]]

    assert names("?q=ARCHES") == names("?q=newcom") == ["newcomer"]
    assert names("?role=editor") == ["edith"]
    assert names("?q=%00&role=king") == names("")
    assert names("?q=nobody-at-all") == []
    assert "Show everybody" in client.get("/people/?q=nobody-at-all").content.decode()
    for number in range(60):
        make_user(f"many{number}")
    html = client.get("/people/?q=many&page=1").content.decode()
    assert re.search(r'href="\?q=many&amp;page=2"', html), "the next page keeps what was asked for"


def test_one_s_profile(client, world):
    client.force_login(world.contributor)
    said = {"affiliation": "Institute of Arches", "pseudonymous": "on"}
    assert client.post("/me/", said).status_code == 302
    html = client.get("/me/").content.decode()
    assert 'value="Institute of Arches"' in html
    assert 'data-shortcuts="off"' in html, "a box that is not ticked is off"
    assert "Institute of Arches" in client.get("/people/newcomer/").content.decode()
    response = client.post("/me/", {"affiliation": "a\u202eb"})
    assert response.status_code == 422
    assert "cannot be seen (U+202E)" in response.content.decode()
    assert client.get("/me/").context["user"].affiliation == "Institute of Arches"


def test_the_way_to_reviewer_is_told_on_one_s_own_page_alone(client, world):
    client.force_login(world.contributor)
    html = client.get("/me/").content.decode()
    assert "50 more gold neurons: the queue mixes them in." in html
    assert "20 more of your first readings" in html
    for other in (world.contributor, world.reviewer, world.editor, world.admin):
        client.force_login(other)
        assert "On the way" not in client.get("/people/newcomer/").content.decode()
    assert "On the way" not in client.get("/me/").content.decode(), "admins earn nothing"


def test_candidates_are_confirmed_with_one_click(client, world, monkeypatch):
    monkeypatch.setattr(people, "GOLD_NEURONS", 0)
    monkeypatch.setattr(people, "SETTLED_READINGS", 1)
    ada = world.readers[0]
    for user in (None, world.contributor, world.reviewer, world.admin, ada):
        client.logout()
        if user:
            client.force_login(user)
        assert client.get("/people/candidates/").status_code == 403
        assert client.post("/people/candidates/", {"person": ada.username}).status_code == 403
    client.force_login(world.editor)
    assert 'href="/people/candidates/"' in client.get("/people/").content.decode()
    response = client.post("/people/candidates/", {"person": ada.username})
    assert "has not earned it yet" in response.content.decode()
    Neuron.objects.filter(pk=world.agreed.pk).update(standing="accepted")
    assert f'value="{ada.username}"' in client.get("/people/candidates/").content.decode()
    assert client.post("/people/candidates/", {"person": ada.username}).status_code == 302
    assert User.objects.get(pk=ada.pk).role == Role.REVIEWER
    assert client.post("/people/candidates/", {"person": "nobody"}).status_code == 404
    assert "Earned reviewer, confirmed" in client.get(f"/people/{ada.username}/").content.decode()


def test_a_role_taken_away_between_page_and_post(client, world):
    address = f"/people/{world.contributor.username}/"
    client.force_login(world.editor)
    assert "Appoint" in client.get(address).content.decode()
    people.appoint(world.admin, world.editor, Role.REVIEWER, reason="Asked for it.")
    response = client.post(address, {"role": "reviewer", "reason": "Reads well."})
    assert response.status_code == 403
    assert "Admins appoint editors" in response.content.decode()
    client.force_login(world.reviewer)
    User.objects.filter(pk=world.reviewer.pk).update(role=Role.CONTRIBUTOR)
    response = client.post(f"{world.agreed.get_absolute_url()}accept/")
    assert "Only reviewers and editors" in response.content.decode()
    assert Neuron.objects.get(pk=world.agreed.pk).standing == "agreed"


def test_admins_block_with_a_reason_on_the_person_s_page(client, world):
    address = f"/people/{world.contributor.username}/"
    client.force_login(world.editor)
    assert client.post(address, {"act": "block", "reason": "Spam."}).status_code == 403
    assert "Account" not in client.get(address).context["choices"]
    client.force_login(world.admin)
    assert client.post(address, {"act": "block"}).status_code == 422
    assert client.post(address, {"act": "block", "reason": "Spam."}).status_code == 302
    assert "Blocked by adam" in client.get(address).content.decode()
    client.logout()
    html = client.get(address).content.decode()
    assert "blocked</span>" in html
    assert "Spam." not in html, "the reason is for admins"
    client.force_login(world.admin)
    assert client.post(address, {"act": "block", "reason": "Spam."}).status_code == 422
    assert client.post(address, {"act": "unblock", "reason": "A mistake."}).status_code == 302
    assert "blocked</span>" not in client.get(address).content.decode()
    assert client.post("/people/adam/", {"act": "block", "reason": "x"}).status_code == 403


def test_a_blocked_person_cannot_sign_in(client, world):
    world.contributor.set_password("brass-lantern-42")
    world.contributor.save()
    people.block(world.admin, world.contributor, reason="Spam.")
    client.post("/accounts/login/", {"login": "newcomer", "password": "brass-lantern-42"})
    assert client.get("/me/").status_code == 302
    body = {"username": "newcomer", "password": "brass-lantern-42"}
    assert client.post("/api/v1/token/", body, content_type="application/json").status_code == 401


def test_erasing_one_s_account(client, world):
    ada = world.readers[0]
    ada.set_password("brass-lantern-42")
    ada.save()
    client.force_login(ada)
    html = client.get("/me/erase/").content.decode()
    assert "cannot be undone" in html
    assert "Your password" in html
    response = client.post("/me/erase/", {"proof": "wrong"})
    assert response.status_code == 422
    assert "This is not your password. Nothing was erased." in response.content.decode()
    assert client.post("/me/erase/", {"proof": "brass-lantern-42"}).url == "/"
    assert client.get("/me/").status_code == 302
    assert client.get(f"/people/{ada.username}/").status_code == 404
    former = client.get(f"/people/former-contributor-{ada.pk}/").content.decode()
    assert "A former contributor" in former
    assert client.get("/activity/").status_code == 200
    for neuron in (world.agreed, world.read):
        assert ada.username not in client.get(neuron.get_absolute_url()).content.decode()


def test_an_admin_erases_after_typing_the_name(client, world):
    client.force_login(world.admin)
    address = "/people/newcomer/"
    response = client.post(address, {"act": "erase", "proof": "x"})
    assert response.status_code == 422
    assert "Type the user name, newcomer" in response.content.decode()
    response = client.post(address, {"act": "erase", "proof": "newcomer"})
    assert response.url == f"/people/former-contributor-{world.contributor.pk}/"
    assert "Account" not in client.get(response.url).content.decode().split("<main")[1]


def test_one_s_own_data_as_a_file(client, world):
    assert client.get("/me/data/").status_code == 302
    client.force_login(world.readers[0])
    response = client.get("/me/data/")
    assert response["Content-Disposition"].startswith("attachment")
    assert "no-store" in response["Cache-Control"]
    assert len(response.json()["labels"]) == 2
    assert world.readers[1].username not in response.content.decode()


def test_new_terms_are_asked_for_before_the_next_contribution(client, world, settings):
    settings.TERMS_VERSION = "2030-01"
    client.force_login(world.contributor)
    label = f"{world.read.get_absolute_url()}label/"
    html = client.get(world.read.get_absolute_url()).content.decode()
    assert "read and accept the terms</a>" in html, "reading stays free"
    response = client.post(label, {"reading": world.curves.pk})
    assert response.status_code == 403
    html = response.content.decode()
    assert "Before you label neurons, read and accept the terms of 2030-01" in html
    assert 'href="/terms/">Read the terms</a>' in html
    assert "they have changed since" in client.get("/terms/").content.decode()
    stale = client.post("/terms/", {"version": "2026-11"})
    assert stale.status_code == 422
    assert "those of 2030-01" in stale.content.decode()
    for onward, lands in (("/jobs/", "/jobs/"), ("https://evil.example.org/", "/"), ("//evil.example.org", "/")):
        assert client.post("/terms/", {"version": "2030-01", "next": onward}).url == lands
    assert client.post(label, {"reading": world.curves.pk, "confidence": "medium"}).status_code == 302
    assert "read and accept the terms</a>" not in client.get("/").content.decode()
    client.logout()
    assert client.post("/terms/", {"version": "2030-01"}).status_code == 403


def test_names_of_new_people_are_plain(client, db):
    make_user("ada")
    for name, sentence in {
        "\u0430da": "A user name has 2 to 40",
        "a-da": "looks like that of “ada”",
        "candidates": "can not be used",
    }.items():
        assert sentence in client.post("/accounts/signup/", GOOD | {"username": name}).content.decode()
    assert 'href="/terms/"' in client.get("/accounts/signup/").content.decode()
    assert User.objects.count() == 1


def test_tries_are_counted_for_all_processes_and_without_redis(client, db, settings):
    """In Postgres: another process, which has a cache object of its own, finds the same count. Redis is not asked."""
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    make_user("ada", password="brass-lantern-42")
    wrong = {"username": "ada", "password": "wrong"}
    for _ in range(5):
        assert client.post("/api/v1/token/", wrong, content_type="application/json").status_code in (401, 400)
    del caches["default"]  # as in a process that was just started
    statuses = [client.post("/api/v1/token/", wrong, content_type="application/json").status_code for _ in range(6)]
    assert statuses[-1] == 429
    assert cache.get("no-such-counter") is None
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM taxonomy_counters")
        assert cursor.fetchone()[0] > 0
