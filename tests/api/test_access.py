"""Who may do what over the API: one table of writes, and what is said to whoever may not."""

import pytest
from rest_framework.authtoken.models import Token

from taxonomy.actions import discussions
from taxonomy.models import Role
from tests.api.conftest import Client
from tests.factory import (
    make_agreed,
    make_evidence,
    make_family,
    make_job,
    make_network,
    make_proposal,
    make_user,
    neuron_at,
)

pytestmark = pytest.mark.django_db

SCIENCE = {Role.CONTRIBUTOR, Role.REVIEWER, Role.EDITOR}
REVIEWS = {Role.REVIEWER, Role.EDITOR}
# path, body, who may, what a visitor is told
WRITES = [
    ("labels/", {"network": "tinynet", "neuron": "3b:1", "family": "Curves"}, SCIENCE, "Sign in to label neurons."),
    ("reviews/", {"network": "tinynet", "neuron": "3b:0"}, REVIEWS, "Sign in to review."),
    (
        "proposals/",
        {"network": "tinynet", "layer": "mixed3b", "name": "Arcs", "remark": "Bent."},
        SCIENCE,
        "Sign in to propose families.",
    ),
    ("proposals/{proposal}/accept/", {}, REVIEWS, "Sign in to propose families."),
    ("proposals/{proposal}/reject/", {"comment": "no"}, REVIEWS, "Sign in to propose families."),
    ("proposals/{proposal}/withdraw/", {}, set(), "Sign in to propose families."),
    ("comments/{comment}/resolve/", {}, REVIEWS, "Sign in to comment."),
    ("comments/{comment}/hide/", {"reason": "spam"}, {Role.ADMIN}, "Sign in to hide what people wrote."),
    ("jobs/", {"network": "tinynet", "kinds": ["weights"]}, SCIENCE | {Role.ADMIN}, "Sign in to request evidence."),
    ("evidence/versions/{version}/reproduce/", {}, SCIENCE | {Role.ADMIN}, "Sign in to request evidence."),
    ("jobs/{job}/cancel/", {}, {Role.EDITOR, Role.ADMIN}, "Sign in to request evidence."),
]


@pytest.fixture
def world(db) -> dict[str, str]:
    layer = make_network().layers.get(name="mixed3b")
    make_agreed(neuron_at("mixed3b:0"), make_family(layer))
    version = make_evidence(neuron_at("mixed3b:0")).current
    assert version is not None
    return {
        "proposal": make_proposal(layer).public_id,
        "job": make_job(layer.network).public_id,
        "version": version.public_id,
        "comment": discussions.add(make_user(), layer.families.get(), "Bent?").public_id,
    }


@pytest.mark.parametrize(("path", "body", "allowed", "told"), WRITES, ids=[row[0] for row in WRITES])
@pytest.mark.parametrize("role", Role.values)
def test_who_may_write(api: Client, world: dict, path: str, body: dict, allowed: set, told: str, role: str) -> None:
    response = api.as_(make_user(role=role)).send(path.format(**world), **body)
    assert (response.status_code < 300) == (role in allowed), response.json()
    if role not in allowed:
        assert response.status_code == 403
        assert response.json()["detail"].endswith(".")


@pytest.mark.parametrize(("path", "body", "allowed", "told"), WRITES, ids=[row[0] for row in WRITES])
def test_visitors_and_blocked_people(api: Client, world: dict, path: str, body: dict, allowed: set, told: str) -> None:
    response = api.send(path.format(**world), **body)
    assert (response.status_code, response.json()) == (401, {"detail": told})
    assert response["WWW-Authenticate"] == "Token"
    blocked = api.as_(make_user(role=Role.EDITOR, is_active=False)).send(path.format(**world), **body)
    assert (blocked.status_code, blocked.json()) == (401, {"detail": "This account is blocked."})


READS = [
    "",
    "networks/",
    "layers/",
    "neurons/",
    "families/",
    "evidence/",
    "image-sets/",
    "labels/",
    "reviews/",
    "proposals/",
    "discussions/",
    "comments/",
    "comments/{comment}/",
    "comments/{comment}/wordings/",
]
READS += ["jobs/", "networks/tinynet/", "layers/tinynet/mixed3b/", "neurons/tinynet/mixed3b:0/", "schema/", "docs/"]


@pytest.mark.parametrize("path", READS)
def test_everybody_reads(api: Client, world: dict, path: str) -> None:
    path = path.format(**world)
    assert api.read(path).status_code == 200
    assert api.as_(make_user()).read(path).status_code == 200
    assert api.delete(f"/api/v1/{path}").status_code in (401, 405)


def test_a_session_needs_a_csrf_token(world: dict) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(make_user(), backend="allauth.account.auth_backends.AuthenticationBackend")
    body = {"network": "tinynet", "neuron": "3b:1", "family": "Curves"}
    response = client.send("labels/", **body)
    assert response.status_code == 403
    assert "CSRF" in response.json()["detail"]


@pytest.mark.parametrize("key", ["", "x", "0" * 40, "a b", "\0", "é" * 40])
def test_tokens_that_are_none(api: Client, key: str) -> None:
    response = api.get("/api/v1/networks/", HTTP_AUTHORIZATION=f"Token {key}")
    assert response.status_code == 401
    assert response.json()["detail"].endswith(".")


def sign_in(api: Client, username: str = "ada", password: str = "correct horse", **more):
    return api.send("token/", username=username, password=password, **more)


@pytest.mark.django_db
class TestToken:
    def test_a_token_opens_the_door(self, api: Client) -> None:
        make_user("ada", password="correct horse")
        answer = sign_in(api).json()
        assert (answer["username"], answer["role"]) == ("ada", "contributor")
        assert Token.objects.get().key == answer["token"] == sign_in(api).json()["token"]
        assert api.get("/api/v1/labels/", HTTP_AUTHORIZATION=f"Token {answer['token']}").status_code == 200

    def test_wrong_ones(self, api: Client) -> None:
        make_user("ada", password="correct horse")
        make_user("bob", password="correct horse", is_active=False)
        wrong = {"detail": "There is no account with this username and password."}
        for response in (sign_in(api, password="x"), sign_in(api, "nobody"), sign_in(api, "bob", "x")):
            assert (response.status_code, response.json()) == (401, wrong)
        assert sign_in(api, "bob").json() == {"detail": "This account is blocked."}
        assert not Token.objects.exists()

    def test_an_old_token_does_not_stop_its_owner(self, api: Client) -> None:
        make_user("ada", password="correct horse")
        api.credentials(HTTP_AUTHORIZATION="Token " + "0" * 40)
        assert sign_in(api).status_code == 200

    def test_bad_bodies(self, api: Client) -> None:
        assert api.send("token/").json()["fields"] == {
            "username": ["This field is required."],
            "password": ["This field is required."],
        }
        assert sign_in(api, username="a\0").status_code == 400
        assert "no field 'otp'" in sign_in(api, otp="1").json()["detail"]

    def test_an_address_must_be_verified_where_mail_is_sent(self, api: Client, settings) -> None:
        settings.ACCOUNT_EMAIL_VERIFICATION = "mandatory"
        make_user("ada", password="correct horse")
        assert "Verify your address" in sign_in(api).json()["detail"]

    def test_tries_are_counted_and_no_header_resets_the_count(self, api: Client) -> None:
        make_user("ada", password="correct horse")
        answers = [
            api.post(
                "/api/v1/token/",
                {"username": f"u{number}", "password": "x"},
                format="json",
                HTTP_X_FORWARDED_FOR=f"10.0.0.{number}",
            ).status_code
            for number in range(12)
        ]
        assert answers[:5] == [401] * 5
        assert answers[-1] == 429
