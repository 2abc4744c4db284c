"""What holds for every page, whoever looks."""

import re

import pytest
from django.test import Client

from taxonomy.models import Family, Neuron, Standing
from tests.factory import (
    make_label,
    neuron_at,
)

ROLES = (None, "contributor", "reviewer", "admin")


@pytest.fixture
def sign_in(world, client: Client):
    def sign_in(role: str | None) -> Client:
        if role:
            client.force_login(getattr(world, role))
        return client

    return sign_in


@pytest.mark.parametrize("role", ROLES)
def test_pages_answer_and_keep_to_the_policy(sign_in, addresses, role):
    client = sign_in(role)
    for name, address in addresses.items():
        response = client.get(address)
        if role and address.startswith("/accounts/"):
            continue
        assert response.status_code == 200, name
        html = response.content.decode()
        assert re.search(r"<title>.*Neurotaxa.*</title>", html), name
        assert html.count("<h1") == 1, name
        assert not re.search(r"<[^>]+\sstyle\s*=", html), f"{name} has inline style"
        assert not re.search(r"<[^>]+\son\w+\s*=", html), f"{name} has an inline handler"
        policy = response["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        nonce = re.search(r"'nonce-([^']+)'", policy)
        scripts = re.findall(r"<script[^>]*>", html)
        assert scripts
        # Data for a script is none.
        assert all(" src=" in script or 'type="application/json"' in script for script in scripts), name
        assert nonce is None or nonce[1] in html


def test_what_is_unsettled_does_not_reach_those_who_have_not_read_it(client, addresses, world):
    """Nobody is told what others read in a neuron, nor that they agree, before giving a reading of their own."""
    Family.objects.filter(pk=world.lines.pk).update(name="Zebra")
    for user in (None, world.contributor, world.admin):
        if user:
            client.force_login(user)
        for name, address in addresses.items():
            html = client.get(address).content.decode()
            assert "Straight, like" not in html, f"{name} shows a note"
            assert "to agreement" not in html, f"{name} tells of agreement"
            if name in ("neuron", "agreed neuron"):
                standing = html.split('id="readings"')[1].split("</section>")[0]
                assert "of 3 readings" in standing
                assert not re.search("Zebra|Curves|agreed", standing, re.IGNORECASE)


def test_bad_addresses_are_sentences(client, world):
    for address, sentence in {
        "/networks/nowhere/": "There is no network “nowhere” here.",
        "/networks/tinynet/mixed9/": "Its layers are conv1, mixed3b.",
        "/networks/tinynet/mixed3b/8/": "numbered 0 to 7",
        "/networks/tinynet/mixed3b/999999999/": "numbered 0 to 7",
        "/networks/tinynet/mixed3b/99999999999999999999/": "There is no page at this address.",
        "/networks/tinynet/mixed3b/families/77777/": "has no such family",
        "/networks/tiny%00net/": "There is no page at this address.",
        "/people/nobody/": "There is no page at this address.",
        "/evidence/00000000-0000-0000-0000-000000000000/": "There is no page at this address.",
        f"/artifacts/{'0' * 64}.webp": "There is no such file.",
        "/artifacts/../../etc/passwd": "There is no page at this address.",
    }.items():
        response = client.get(address)
        assert response.status_code == 404, address
        assert sentence in response.content.decode(), address


def test_bad_queries_are_harmless(client, world):
    for address in (
        "/activity/?before=x",
        "/activity/?before=-3&network=%00",
        "/activity/?before=99999999999999999999",
        "/networks/tinynet/mixed3b/?sort=%00",
        "/jobs/?page=9",
    ):
        assert client.get(address).status_code == 200, address


def test_too_much_text_is_refused_before_it_is_read(client, world):
    client.force_login(world.contributor)
    response = client.post("/networks/tinynet/mixed3b/3/label/", {"reading": world.curves.pk, "note": "x" * 1_000_000})
    assert response.status_code == 413
    assert "at most 512 kB" in response.content.decode()
    assert Neuron.objects.get(pk=world.read.pk).readings == 2


def test_the_health_of_the_site(client, db):
    response = client.get("/healthz")
    assert response.status_code == 200
    assert response.json()["database"] == "ok"


def test_a_form_without_its_token_is_refused_in_words(world):
    client = Client(enforce_csrf_checks=True)
    response = client.post("/networks/tinynet/mixed3b/3/label/", {"reading": world.curves.pk})
    assert response.status_code == 403
    assert "Reload the page" in response.content.decode()


def test_a_settled_neuron_shows_its_readings_to_all(client, world):
    family = world.curves
    neuron = neuron_at("3b:7")
    for person in world.readers:
        make_label(neuron, person, family)
    Neuron.objects.filter(pk=neuron.pk).update(standing=Standing.ACCEPTED)
    html = client.get(neuron.get_absolute_url()).content.decode()
    assert world.readers[0].username in html.split('id="readings"')[1].split("</section>")[0]
