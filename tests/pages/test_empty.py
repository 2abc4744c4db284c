"""A site on which nothing has happened yet says so, and what comes first."""

import pytest

from tests.factory import make_family, make_network, make_user, neuron_at


@pytest.mark.parametrize(
    ("address", "status", "sentence"),
    [
        ("/", 200, "No network is registered yet."),
        ("/jobs/", 200, "No job yet."),
        ("/activity/", 200, "Nothing yet."),
        ("/people/", 200, "Nobody has signed up yet."),
        ("/proposals/", 200, "Nobody has proposed a family yet."),
        ("/review/", 200, "No proposal is open."),
        ("/go/?q=3b:12", 404, "No network is registered here yet"),
        ("/networks/curve_network/", 404, "There is no network “curve_network” here."),
    ],
)
def test_a_fresh_site(client, db, address, status, sentence):
    response = client.get(address)
    assert response.status_code == status
    assert sentence in response.content.decode()


def test_a_network_without_pictures_and_families(client, db):
    network = make_network()
    layer = network.layers.get(name="mixed3b")
    for address, sentences in {
        "/": ["No pictures of its neurons yet.", "No neuron with pictures is waiting"],
        network.get_absolute_url(): ["No pictures yet.", "No families yet."],
        layer.get_absolute_url(): ["No families in this layer yet.", "8 not sorted yet"],
        neuron_at("3b:0").get_absolute_url(): ["Not made yet", "This layer has no families yet"],
    }.items():
        if address.endswith("/0/"):
            client.force_login(make_user())
        html = client.get(address).content.decode()
        for sentence in sentences:
            assert sentence in html, address
    assert "No neuron here has a picture to read yet." in client.get("/label/").content.decode()


def test_a_family_without_members(client, db):
    family = make_family(make_network().layers.get(name="mixed3b"), "Curves")
    html = client.get(family.get_absolute_url()).content.decode()
    assert "No neuron has been accepted into it yet." in html
    assert "0 (0 %)" in html
    assert "No member yet." in client.get(family.layer.get_absolute_url()).content.decode()
