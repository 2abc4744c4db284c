"""Families that are alike, and links, through the API."""

import pytest
from django.test import Client

from taxonomy.models import Family, FamilyLink, Network, Role
from tests.factory import make_user, neuron_at
from tests.pages.test_universality import worlds as worlds

pytestmark = pytest.mark.django_db
ADDRESS = "/api/v1/universality/"


def test_pairs_come_the_most_alike_first(client: Client, worlds: dict[str, Family]):
    answer = client.get(f"{ADDRESS}?first=natural&second=artificial&page_size=1").json()
    assert answer["count"] == 4
    [found] = answer["results"]
    assert found["first"] == {
        "id": worlds["natural curves"].pk,
        "network": "natural",
        "layer": "mixed3b",
        "name": "Curves",
    }
    assert found["second"]["network"] == "artificial"
    assert (round(found["tuning"], 3), round(found["pictures"], 3)) == (1.0, 1.0)


@pytest.mark.parametrize(
    ("query", "status"),
    [("", 400), ("?first=natural", 400), ("?first=natural&second=natural", 400), ("?first=natural&second=no", 404)],
)
def test_what_is_asked_for_wrongly_is_answered_in_words(
    client: Client, worlds: dict[str, Family], query: str, status: int
):
    assert client.get(ADDRESS + query).status_code == status


def test_members_that_one_is_to_read_first_do_not_count(client: Client, worlds: dict[str, Family]):
    editor = make_user(role=Role.EDITOR)
    for index in (0, 1):
        neuron_at(f"3b:{index}", Network.objects.get(name="natural")).golds.create(marked_by=editor, reason="Plain.")
    client.force_login(make_user())
    found = client.get(f"{ADDRESS}?first=natural&second=artificial").json()["results"]
    assert {pair["first"]["name"] for pair in found} == {"Lines"}


def test_who_reviews_links_families(client: Client, worlds: dict[str, Family]):
    address = f"/api/v1/families/{worlds['natural curves'].pk}/links/"
    body = {"kind": "analogue", "target": worlds["artificial curves"].pk}

    def post(**changes: object) -> int:
        return client.post(address, body | changes, content_type="application/json").status_code

    assert post() in (401, 403)
    client.force_login(make_user())
    assert post() == 403
    client.force_login(make_user(role=Role.REVIEWER))
    assert post(kind="sister") == 400
    assert post(target=worlds["natural lines"].pk) == 400
    assert post(target=10**9) == 404
    assert not FamilyLink.objects.exists()
    assert post() == 201
    assert FamilyLink.objects.count() == 2
    assert post() == 400
