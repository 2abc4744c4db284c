"""How far people agree, on pages: figures, what is too few, the flag, and who is told which neurons split people."""

import pytest
from django.test import Client

from taxonomy.actions import agreement
from taxonomy.models import Neuron, Role, Standing, User
from tests.factory import make_family, make_label, make_network, make_user

pytestmark = pytest.mark.django_db
PAGE = "/networks/measured/agreement/"


@pytest.fixture
def people() -> list[User]:
    return [make_user(name) for name in ("ada", "bela")]


@pytest.fixture
def layer(people):
    """Of 40 neurons 20 are clear; Curves and Lines are mixed in the others."""
    layer = make_network("measured", layers={"mixed3b": 60, "mixed4a": 4}).layers.get(name="mixed3b")
    spots, curves, lines = (make_family(layer, name) for name in ("Spots", "Curves", "Lines"))
    mixed = [(curves, lines), (lines, curves), (curves, curves), (lines, lines)]
    for neuron, said in zip(layer.neurons.order_by("index"), [(spots, spots)] * 20 + mixed * 5, strict=False):
        for person, family in zip(people, said, strict=True):
            make_label(neuron, person, family)
    return layer


def page_of(client: Client, address: str) -> str:
    response = client.get(address)
    assert response.status_code == 200
    return response.content.decode()


def test_before_anything_was_measured(client, layer) -> None:
    html = page_of(client, PAGE)
    assert "Nothing has been measured yet." in html
    assert "Nobody’s blind readings" in page_of(client, layer.get_absolute_url())


def test_the_flagged_family_says_what_to_do(client, layer) -> None:
    agreement.measure(layer.network)
    curves, spots = layer.families.get(name="Curves"), layer.families.get(name="Spots")
    html = page_of(client, curves.get_absolute_url())
    assert "The definition of Curves is not clear enough" in html
    assert 'mix it most with <a href="/networks/measured/mixed3b/families/' in html
    assert "/networks/measured/mixed3b/propose/" in html
    assert "95 % interval" in html
    assert "From 30 blind readings of 15 neurons by 2 people" in html
    clear = page_of(client, spots.get_absolute_url())
    assert "not clear enough" not in clear
    assert "<b>1.00</b>" in clear
    html = page_of(client, layer.get_absolute_url())
    assert html.count("definition unclear") == 2
    assert "How far people agree" in page_of(client, "/networks/measured/")


def test_all_figures_on_one_page(client, layer) -> None:
    agreement.measure(layer.network)
    html = page_of(client, PAGE)
    assert html.count("definition unclear") == 2
    assert html.index(">Curves</a>") < html.index(">Spots</a>")  # what is flagged comes first
    assert "Nobody has read" in html
    assert "mixed4a" in html


def test_too_few_is_said(client, layer) -> None:
    few = make_family(layer, "Few")
    make_label(layer.neurons.get(index=50), make_user(), few)
    agreement.measure(layer.network)
    html = page_of(client, few.get_absolute_url())
    assert "0 of its neurons were read blind by two people or more." in html
    assert "shown from 10 on" in html
    assert "too few: shown from 10 neurons on" in page_of(client, PAGE)


def test_neurons_that_split_people_are_told_to_those_who_may_know(client, layer, people) -> None:
    agreement.measure(layer.network)
    address = layer.families.get(name="Curves").get_absolute_url()

    def split(user: User | None) -> list[str]:
        client.logout()
        if user:
            client.force_login(user)
        html = page_of(client, address)
        part = html.split("Neurons that split people")[1].split("</section>")[0]
        return [f"mixed3b:{index}" for index in range(60) if f"/networks/measured/mixed3b/{index}/" in part]

    assert split(None) == []
    assert split(make_user()) == []
    assert split(make_user(role=Role.REVIEWER)) == []  # who has not looked at them
    Neuron.objects.filter(layer=layer, index=20).update(standing=Standing.CONTESTED)
    assert split(None) == ["mixed3b:20"]
    assert "And 9 more, shown once settled" in page_of(client, address)


def test_pairs_of_people_are_for_reviewers_and_for_the_two(client, layer, people) -> None:
    agreement.measure(layer.network)
    assert "1 pair of people, none of them with you." in page_of(client, PAGE)
    for user, told in ((make_user(), False), (people[0], True), (make_user(role=Role.REVIEWER), True)):
        client.force_login(user)
        html = page_of(client, PAGE).split("Between two people")[1]
        assert ("/people/bela/" in html) is told


def test_few_queries(client, layer, people, django_assert_max_num_queries) -> None:
    agreement.measure(layer.network)
    client.force_login(people[0])
    client.get("/")
    family = layer.families.get(name="Curves").get_absolute_url()
    for address in (PAGE, family, layer.get_absolute_url(), "/networks/measured/"):
        with django_assert_max_num_queries(15, info=address):
            client.get(address)
