"""Signing in with ORCID and GitHub, through a real server that answers as theirs do."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.error import HTTPError
from urllib.parse import parse_qs, urlencode, urlsplit
from urllib.request import HTTPRedirectHandler, build_opener

import pytest
from allauth.account.models import EmailAddress
from allauth.socialaccount.models import SocialAccount, SocialToken
from allauth.socialaccount.providers.github.views import GitHubOAuth2Adapter
from allauth.socialaccount.providers.orcid.views import OrcidOAuth2Adapter
from django.test import Client

from taxonomy.actions import people
from taxonomy.models import Event, Role, User
from tests.factory import make_user

ORCID = "0000-0002-1825-0097"


class Elsewhere(ThreadingHTTPServer):
    """Plays both places: says yes to everybody, and hands out what ``github`` and ``orcid`` hold."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.login = {"id": 77, "login": "gracehopper", "name": "Grace", "html_url": "https://github.com/gracehopper"}
        self.mails = [{"email": "grace@example.org", "primary": True, "verified": True}]
        self.refuses, self.broken = False, False
        self.asked: list[dict[str, list[str]]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Answer(BaseHTTPRequestHandler):
    server: Elsewhere

    def do_GET(self) -> None:
        where = urlsplit(self.path)
        if where.path == "/authorize":
            asked = parse_qs(where.query)
            self.server.asked.append(asked)
            said = {"error": "access_denied"} if self.server.refuses else {"code": "good-code"}
            self.send_response(302)
            self.send_header(
                "Location", f"{asked['redirect_uri'][0]}?{urlencode({**said, 'state': asked['state'][0]})}"
            )
            self.end_headers()
        elif where.path == "/user":
            self.tell(self.server.login if self.headers["Authorization"] == "token good-token" else None)
        elif where.path == "/user/emails":
            self.tell(self.server.mails)
        else:
            name = {"given-names": {"value": "Josiah"}, "family-name": {"value": "Carberry"}}
            self.tell(
                {"orcid-identifier": {"path": ORCID, "uri": f"https://orcid.org/{ORCID}"}, "person": {"name": name}}
            )

    def do_POST(self) -> None:
        sent = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        good = sent["code"] == ["good-code"] and sent["client_secret"] == ["hush"] and not self.server.broken
        self.tell({"access_token": "good-token", "token_type": "bearer", "orcid": ORCID} if good else None)

    def tell(self, found: Any) -> None:
        body = json.dumps(found if found is not None else {"error": "no"}).encode()
        self.send_response(200 if found is not None else 401)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def elsewhere(monkeypatch, settings) -> Iterator[Elsewhere]:
    server = Elsewhere()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    app = {"client_id": "neurotaxa", "secret": "hush"}
    settings.SOCIALACCOUNT_PROVIDERS = {
        "orcid": {"APPS": [{"name": "ORCID", **app}]},
        "github": {"APPS": [{"name": "GitHub", **app}]},
    }
    for adapter in (OrcidOAuth2Adapter, GitHubOAuth2Adapter):
        monkeypatch.setattr(adapter, "authorize_url", f"{server.url}/authorize")
        monkeypatch.setattr(adapter, "access_token_url", f"{server.url}/token")
    directives = settings.CONTENT_SECURITY_POLICY["DIRECTIVES"]
    settings.CONTENT_SECURITY_POLICY = {
        "DIRECTIVES": directives | {"form-action": [*directives["form-action"], server.url]}
    }
    monkeypatch.setattr(OrcidOAuth2Adapter, "profile_url", f"{server.url}/v3.0/%s/record")
    monkeypatch.setattr(GitHubOAuth2Adapter, "profile_url", f"{server.url}/user")
    monkeypatch.setattr(GitHubOAuth2Adapter, "emails_url", f"{server.url}/user/emails")
    yield server
    server.shutdown()
    server.server_close()


class Stay(HTTPRedirectHandler):
    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        return None


def there_and_back(client: Client, provider: str, **query: str) -> Any:
    """Press the button, be sent there, be sent back; the answer to that."""
    out = client.post(f"/accounts/{provider}/login/?{urlencode(query)}")
    assert out.status_code == 302, out.content.decode()
    with pytest.raises(HTTPError) as sent_back:
        build_opener(Stay).open(out.url)
    return client.get(sent_back.value.headers["Location"])


pytestmark = pytest.mark.django_db
SIGN_UP = "/accounts/3rdparty/signup/"
GOOD = {"username": "grace", "email": "grace@example.org", "terms": "on"}


def test_what_is_not_set_up_is_not_offered(client) -> None:
    assert "Sign in with" not in client.get("/accounts/login/").content.decode()
    response = client.post("/accounts/orcid/login/")
    assert response.status_code == 404
    assert "does not offer that way" in response.content.decode()


def test_signing_up_with_orcid_accepts_the_terms_and_shows_the_id(client, elsewhere, settings) -> None:
    for address in ("/accounts/login/", "/accounts/signup/"):
        html = client.get(address).content.decode()
        assert "with ORCID</button>" in html
        assert "with GitHub</button>" in html
    response = there_and_back(client, "orcid", process="login")
    assert response.url == SIGN_UP
    assert elsewhere.asked[0]["redirect_uri"] == ["http://testserver/accounts/orcid/login/callback/"]
    html = client.get(SIGN_UP).content.decode()
    assert "ORCID says who you are" in html
    assert "Accept the terms" in client.post(SIGN_UP, GOOD | {"terms": ""}).content.decode()
    assert client.post(SIGN_UP, GOOD).status_code == 302
    grace = User.objects.get(username="grace")
    assert (grace.terms_version, grace.role) == (settings.TERMS_VERSION, Role.CONTRIBUTOR)
    assert not grace.has_usable_password()
    assert Event.objects.filter(verb="person.joined", person=grace).exists()
    assert client.get("/me/").status_code == 200
    assert f"https://orcid.org/{ORCID}" in client.get("/people/grace/").content.decode()
    client.post("/accounts/logout/")
    there_and_back(client, "orcid", process="login")
    assert client.get("/me/").status_code == 200, "the second time one is simply signed in"
    assert User.objects.filter(is_system=False).count() == 1


def test_little_is_kept_of_what_they_tell(client, elsewhere) -> None:
    there_and_back(client, "github", process="login")
    client.post(SIGN_UP, GOOD)
    there_and_back(client, "github", process="login")
    assert SocialAccount.objects.get().extra_data == {
        "login": "gracehopper",
        "html_url": "https://github.com/gracehopper",
    }
    assert not SocialToken.objects.exists()
    assert (User.objects.get(username="grace").first_name, EmailAddress.objects.get().verified) == ("", True)


def test_names_keep_to_our_rule_there_too(client, elsewhere) -> None:
    make_user("grace")
    there_and_back(client, "github", process="login")
    assert 'value="gracehopper"' in client.get(SIGN_UP).content.decode()
    for name, sentence in {"gr4ce hopper": "A user name has", "gr.ace": "looks like that of “grace”"}.items():
        assert sentence in client.post(SIGN_UP, GOOD | {"username": name}).content.decode()


@pytest.mark.parametrize("verified", [True, False])
def test_an_address_that_they_vouch_for_opens_nobody_s_account(client, elsewhere, verified) -> None:
    ada = make_user("ada", email="ada@example.org", password="brass-lantern-42")
    EmailAddress.objects.create(user=ada, email=ada.email, verified=verified, primary=True)
    elsewhere.mails = [{"email": "ada@example.org", "primary": True, "verified": True}]
    response = there_and_back(client, "github", process="login")
    assert "_auth_user_id" not in client.session
    assert response.url == SIGN_UP
    client.post(SIGN_UP, {"username": "mallory", "email": "ada@example.org", "terms": "on"})
    assert not SocialAccount.objects.filter(user=ada).exists()
    assert client.session.get("_auth_user_id") != str(ada.pk)
    ada.refresh_from_db()
    assert ada.check_password("brass-lantern-42")


def test_an_address_that_nobody_verified_waits_for_its_mail(client, elsewhere, settings) -> None:
    settings.ACCOUNT_EMAIL_VERIFICATION = "mandatory"
    elsewhere.mails = [{"email": "grace@example.org", "primary": True, "verified": False}]
    there_and_back(client, "github", process="login")
    response = client.post(SIGN_UP, GOOD)
    assert response.url == "/accounts/confirm-email/"
    assert "_auth_user_id" not in client.session
    assert not EmailAddress.objects.get().verified


def test_linking_and_unlinking_on_one_s_own_page(client, elsewhere) -> None:
    ada = make_user("ada", password="brass-lantern-42")
    client.force_login(ada, "allauth.account.auth_backends.AuthenticationBackend")
    assert "Link ORCID</button>" in client.get("/me/").content.decode()
    assert there_and_back(client, "orcid", process="connect").url == "/me/"
    html = client.get("/me/").content.decode()
    assert f"ORCID {ORCID}" in html
    account = SocialAccount.objects.get(user=ada)
    client.post("/accounts/3rdparty/", {"account": account.pk})
    assert not SocialAccount.objects.exists()


def test_the_last_way_in_is_not_taken_away(client, elsewhere) -> None:
    there_and_back(client, "orcid", process="login")
    client.post(SIGN_UP, GOOD)
    response = client.post("/accounts/3rdparty/", {"account": SocialAccount.objects.get().pk})
    assert "Your account has no password set up." in response.content.decode()
    assert SocialAccount.objects.exists()
    assert "Set a password" in client.get("/me/").content.decode()


def test_another_s_link_is_not_taken_over(client, elsewhere) -> None:
    there_and_back(client, "orcid", process="login")
    client.post(SIGN_UP, GOOD)
    client.logout()
    client.force_login(make_user("ada"), "allauth.account.auth_backends.AuthenticationBackend")
    there_and_back(client, "orcid", process="connect")
    assert SocialAccount.objects.get().user.username == "grace"


def test_a_blocked_person_does_not_come_in_that_way(client, elsewhere) -> None:
    there_and_back(client, "orcid", process="login")
    client.post(SIGN_UP, GOOD)
    people.block(make_user(role=Role.ADMIN), User.objects.get(username="grace"), reason="Spam.")
    assert client.get("/me/").status_code == 302, "the session ended at once"
    there_and_back(client, "orcid", process="login")
    assert "_auth_user_id" not in client.session


def test_whom_they_send_back_without_an_answer(client, elsewhere) -> None:
    elsewhere.refuses = True
    assert "went back without" in client.get(there_and_back(client, "orcid").url).content.decode()
    elsewhere.refuses, elsewhere.broken = False, True
    assert "did not confirm who you are" in there_and_back(client, "orcid").content.decode()
    forged = client.get("/accounts/orcid/login/callback/?code=good-code&state=forged")
    assert "did not confirm who you are" in forged.content.decode()
    assert "_auth_user_id" not in client.session


def test_a_link_alone_signs_nobody_in(client, elsewhere) -> None:
    """Only a form of our own starts it, so that no page elsewhere signs its readers in as somebody."""
    html = client.get("/accounts/orcid/login/").content.decode()
    assert "Go on to ORCID" in html
    assert elsewhere.asked == []
    strict = Client(enforce_csrf_checks=True)
    assert strict.post("/accounts/orcid/login/").status_code == 403


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_the_browser_lets_the_form_lead_there(visit, elsewhere) -> None:
    """form-action holds for a form's redirects: without the other site in it, Chromium stops the sign-in."""
    page = visit()
    page.goto("/accounts/login/?next=/people/")
    page.get_by_role("button", name="Sign in with ORCID").click()
    page.get_by_label("Username").fill("grace")
    page.get_by_label("Email").fill("grace@example.org")
    page.get_by_label("What I contribute").check()
    page.get_by_role("button", name="Sign up").click()
    page.wait_for_url("**/people/")
    assert page.get_by_role("link", name="grace").first.is_visible()
