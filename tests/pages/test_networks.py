import pytest

from taxonomy.models import Family, Membership, Neuron, Standing, User
from taxonomy.pages.networks import state
from tests.factory import make_layer, make_network


def test_families_are_cards_with_their_share(client, db):
    """The layer of the published overview: mixed3a has 256 units, its largest families 65, 30 and 15 of them."""
    layer = make_layer("mixed3a", 256)
    neurons = list(layer.neurons.order_by("index"))
    start = 0
    for name, count in (("High-Low Frequency", 15), ("Texture", 65), ("Color Center-Surround", 30)):
        family = Family.objects.create(layer=layer, name=name)
        members = neurons[start : start + count]
        start += count
        Membership.objects.bulk_create(
            Membership(family=family, neuron=neuron, made_by=User.objects.system()) for neuron in members
        )
    html = client.get(layer.get_absolute_url()).content.decode()
    for words in ("65 (25 %)", "30 (12 %)", "15 (6 %)", "Show all 65 neurons", "146 (57 %)"):
        assert words in html
    assert html.index("Texture") < html.index("Color Center-Surround") < html.index("High-Low Frequency")
    by_name = client.get(f"{layer.get_absolute_url()}?sort=name").content.decode()
    assert by_name.index("Color Center-Surround") < by_name.index("High-Low Frequency") < by_name.index("Texture")


def test_links_between_layers_are_said(client, world):
    html = " ".join(client.get(world.layer.get_absolute_url()).content.decode().split())
    assert "Compare to earlier" in html
    assert "(conv1)" in html


@pytest.mark.parametrize(
    ("standing", "readings", "told"),
    [
        (Standing.UNLABELLED, 0, "unread"),
        (Standing.OPEN, 2, "two"),
        (Standing.AGREED, 3, "three"),
        (Standing.DISPUTED, 5, "three"),
        (Standing.NEEDS_EVIDENCE, 2, "two"),
        (Standing.STALE, 3, "stale"),
        (Standing.ACCEPTED, 3, "accepted"),
        (Standing.CONTESTED, 6, "contested"),
    ],
)
def test_the_map_tells_how_often_and_what_is_settled(standing, readings, told):
    assert state(standing, readings) == told


def test_the_map_has_one_path_a_state(client, world):
    html = client.get("/networks/tinynet/").content.decode()
    assert 'data-layer="mixed3b"' in html
    assert "2 accepted into a family, 1 three readings or more, 1 two readings, 4 nobody has read it" in html


def test_a_network_without_anything_is_no_error(client, db):
    make_network("bare", weights_digest="")
    html = client.get("/networks/bare/").content.decode()
    assert "a catalogue to name neurons in" in html
    assert "No families in this layer yet" in client.get("/networks/bare/mixed3b/").content.decode()
    assert "is a catalogue without weights" in client.get("/networks/bare/mixed3b/0/").content.decode()


def test_home_says_where_help_counts(client, world):
    html = client.get("/").content.decode()
    assert "tinynet/mixed3b:3" in html
    assert "2 of 3 readings" in html
    assert Neuron.objects.count() == 12
