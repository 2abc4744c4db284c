"""A family from proposal to membership, over the API alone."""

import pytest

from taxonomy.models import Family, Role
from tests.api.conftest import Client
from tests.factory import make_family, make_network, make_user

pytestmark = pytest.mark.django_db


def test_the_whole_circle(api: Client) -> None:
    make_network()
    people = [api.as_(make_user()) for _ in range(3)]
    reviewer = api.as_(make_user("rosa", role=Role.REVIEWER))
    body = {"network": "tinynet", "layer": "mixed3b", "name": "Curves", "remark": "Bent.", "symmetry": "rotation"}
    proposal = people[0].send("proposals/", **body).json()
    assert (proposal["state"], proposal["family"]) == ("open", None)
    assert "is proposed" in people[1].send("proposals/", **body).json()["fields"]["name"][0]
    accepted = reviewer.send(f"proposals/{proposal['id']}/accept/", comment="Clear.").json()
    assert (accepted["state"], accepted["decided_by"]) == ("accepted", "rosa")
    for person in people:
        assert person.send("labels/", network="tinynet", neuron="3b:5", family=accepted["family"]).status_code == 201
    review = reviewer.send("reviews/", network="tinynet", neuron="3b:5", comment="All three.")
    assert (review.status_code, review.json()["family_name"]) == (201, "Curves")
    neuron = api.read("neurons/tinynet/mixed3b:5/").json()
    assert (neuron["standing"], [family["name"] for family in neuron["families"]]) == ("accepted", ["Curves"])
    family = api.read(f"families/{accepted['family']}/").json()
    assert [member["neuron"] for member in family["members"]] == ["mixed3b:5"]
    assert (family["neurons"], family["share"], family["symmetry"]) == (1, 0.125, "rotation")
    assert api.read("reviews/", layer="mixed3b").json()["results"][0]["reviewer"] == "rosa"
    assert api.read("proposals/", state="accepted", network="tinynet").json()["count"] == 1


def test_refusals_and_bad_bodies(api: Client) -> None:
    layer = make_network().layers.get(name="mixed3b")
    make_family(layer, "Lines")
    author = api.as_(make_user(role=Role.EDITOR))
    good = {"network": "tinynet", "layer": "mixed3b", "name": "Curves", "remark": "Bent."}
    for change, sentence in (
        ({"name": "LINES"}, "has a family “LINES” already"),
        ({"name": ""}, "may not be blank"),
        ({"remark": "x" * 20_001}, "no more than 20000"),
        ({"symmetry": "odd"}, "Choose one of: none, rotation, scale, hue, reflection"),
        ({"layer": "x"}, "Its layers are"),
        ({"parent": "Bats"}, "Its families are: Lines"),
        ({"state": "accepted"}, "There is no field 'state'"),
    ):
        assert sentence in author.send("proposals/", **good | change).json()["detail"], change
    proposal = author.send("proposals/", **good, parent="Lines").json()
    own = author.send(f"proposals/{proposal['id']}/accept/")
    assert (own.status_code, "of their own" in own.json()["detail"]) == (403, True)
    reviewer = api.as_(make_user(role=Role.REVIEWER))
    unsaid = reviewer.send(f"proposals/{proposal['id']}/reject/", comment=" ")
    assert unsaid.json()["fields"] == {"comment": ["Say why, so that its author can do better."]}
    assert author.send(f"proposals/{proposal['id']}/withdraw/").json()["state"] == "withdrawn"
    assert Family.objects.count() == 1


def test_an_accept_that_is_not_agreed(api: Client) -> None:
    make_network()
    reviewer = api.as_(make_user(role=Role.REVIEWER))
    refused = reviewer.send("reviews/", network="tinynet", neuron="3b:5")
    assert (refused.status_code, "Only an agreed neuron" in refused.json()["detail"]) == (403, True)
