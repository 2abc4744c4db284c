"""For a neuron that is not settled, nobody learns from the API how others read it before having read it."""

import json

import pytest

from taxonomy.models import Family, Neuron, Reveal, Role, Standing
from tests.api.conftest import Client
from tests.factory import make_agreed, make_family, make_label, make_network, make_user, neuron_at

pytestmark = pytest.mark.django_db

SECRET = "Boomerangs"
EVERYTHING = [
    *("networks/", "layers/", "neurons/", "families/", "labels/", "reviews/", "proposals/", "jobs/", "evidence/"),
    *("networks/tinynet/", "layers/tinynet/mixed3b/", "neurons/tinynet/mixed3b:3/"),
]


@pytest.fixture
def neuron() -> Neuron:
    make_network()
    return neuron_at("mixed3b:3")


@pytest.fixture
def family(neuron: Neuron) -> Family:
    return make_family(neuron.layer, "Curves")


@pytest.fixture
def agreed(neuron: Neuron, family: Family) -> Neuron:
    """Three people agree, one of them with a telling note."""
    make_agreed(neuron, family, people=2)
    make_label(neuron, make_user("zora"), family, note=SECRET)
    return neuron


@pytest.mark.parametrize("reader", ["visitor", Role.CONTRIBUTOR, Role.ADMIN])
def test_nothing_of_an_unsettled_neuron_but_how_many_read_it(api: Client, agreed: Neuron, reader: str) -> None:
    client = api if reader == "visitor" else api.as_(make_user(role=reader))
    for path in EVERYTHING:
        text = json.dumps(client.read(path).json())
        assert SECRET not in text, path
        assert "zora" not in text, path
        assert "agreed" not in text, path
    answer = client.read("neurons/tinynet/mixed3b:3/").json()
    assert (answer["standing"], answer["readings"], answer["families"]) == (None, 3, [])
    assert client.read("labels/").json()["count"] == 0
    assert client.read(f"labels/{agreed.labels.last().public_id}/").status_code == 404
    assert client.read("labels/", author="zora").json()["count"] == 0
    assert not Reveal.objects.exists()


def test_standing_cannot_be_filtered_for(api: Client, agreed: Neuron) -> None:
    response = api.read("neurons/", standing="agreed")
    assert response.status_code == 400
    assert "no query parameter 'standing'" in response.json()["detail"]
    assert api.read("neurons/", settled="true").json()["count"] == 0
    assert api.read("neurons/", ordering="standing").status_code == 400


def test_after_ones_own_reading_the_others_are_shown_and_the_reveal_is_recorded(
    api: Client, agreed: Neuron, family: Family
) -> None:
    user = make_user()
    label = make_label(agreed, user, family)
    assert label.blind
    client = api.as_(user)
    where = {"network": "tinynet", "layer": "mixed3b", "index": 3}
    assert client.read("labels/", **where).json()["count"] == 1, "for a minute, while it can be taken back, one's own"
    assert client.read("neurons/tinynet/mixed3b:3/").json()["standing"] is None
    assert not Reveal.objects.exists()
    shown = client.send("labels/others/", network="tinynet", neuron="mixed3b:3").json()
    assert len(shown) == client.read("labels/", **where).json()["count"] == 4
    assert client.read("neurons/tinynet/mixed3b:3/").json()["standing"] == "agreed"
    assert client.read("labels/", index=4).json()["count"] == 0
    assert list(Reveal.objects.values_list("neuron", "person")) == [(agreed.pk, user.pk)]
    changed = make_label(agreed, user, make_family(agreed.layer, "Lines"))
    assert not changed.blind


@pytest.mark.parametrize("role", [Role.REVIEWER, Role.EDITOR])
def test_reviewers_see_and_their_later_reading_is_not_blind(
    api: Client, agreed: Neuron, family: Family, role: str
) -> None:
    user = make_user(role=role)
    assert api.as_(user).read("labels/").json()["count"] == 3
    assert not make_label(agreed, user, family).blind


def test_what_is_settled_is_everybodys(api: Client, agreed: Neuron) -> None:
    Neuron.objects.filter(pk=agreed.pk).update(standing=Standing.ACCEPTED)
    assert api.read("labels/").json()["count"] == 3
    assert api.read("neurons/tinynet/mixed3b:3/").json()["standing"] == "accepted"


def test_reading_a_settled_answer_is_recorded(api: Client, neuron: Neuron) -> None:
    family = make_family(neuron.layer, units=[3, 4])
    user = make_user()
    api.as_(user).read(f"families/{family.pk}/")
    assert Reveal.objects.filter(person=user).count() == 2
    other = make_user()
    api.as_(other).read("neurons/", layer="mixed3b")
    assert Reveal.objects.filter(person=other).count() == 2
    api.read("neurons/")
    assert Reveal.objects.count() == 4


def test_ones_own_label_is_no_reveal(api: Client, neuron: Neuron, family: Family) -> None:
    user = make_user()
    make_label(neuron, user, family)
    assert api.as_(user).read("labels/").json()["count"] == 1
    assert not Reveal.objects.exists()
