import pytest
from rest_framework.authtoken.models import Token

from taxonomy.models import Event, Role, User
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
