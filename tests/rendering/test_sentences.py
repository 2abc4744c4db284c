"""What happened, as mails and feeds tell it."""

import io

import pytest
from PIL import Image

from taxonomy import events
from taxonomy.actions.sprites import build_sprite
from taxonomy.events import told
from taxonomy.models import Event, Role
from taxonomy.rendering import sentences
from tests.factory import make_evidence, make_family, make_network, make_user, neuron_at, picture

pytestmark = pytest.mark.django_db


@pytest.fixture
def event(settings) -> Event:
    settings.SITE_URL = "https://neurons.example/"
    layer = make_network().layers.get(name="mixed3b")
    make_evidence(neuron_at("3b:1"), pictures={"image": picture(90, (10, 200, 30))})
    build_sprite(layer)
    family = make_family(layer, "Curves & <Lines>", units=[1])
    events.record(make_user("rita", role=Role.REVIEWER), "review.accepted", neuron=neuron_at("3b:1"), family=family)
    return told(Event.objects.all(), 1)[0]


def test_addresses_are_whole_and_pictures_are_files(event):
    html = sentences.sentence(event)
    assert '<a href="https://neurons.example/networks/tinynet/mixed3b/1/">' in html
    assert '<img src="https://neurons.example/networks/tinynet/mixed3b/1/face.png"' in html
    assert 'href="https://neurons.example/people/rita/"' in html
    assert "<svg" not in html
    assert "<time" not in html
    assert '"/' not in html


def test_a_neuron_without_a_picture_is_its_address(event):
    event.neuron = neuron_at("3b:2")
    event.neuron.layer = event.layer
    html = sentences.sentence(event)
    assert "<img" not in html
    assert "mixed3b:2" in html


def test_as_text_nothing_is_escaped(event):
    assert sentences.plain(sentences.sentence(event)) == "rita accepted mixed3b:1 into Curves & <Lines>"


def test_a_neurons_picture_is_a_file_of_its_own(event, client):
    response = client.get("/networks/tinynet/mixed3b/1/face.png")
    assert response["Content-Type"] == "image/png"
    with Image.open(io.BytesIO(response.content)) as face:
        assert face.size == (72, 72)
        red, green, _ = face.getpixel((36, 36))
    assert green > 150 > red
    assert (
        client.get("/networks/tinynet/mixed3b/1/face.png", headers={"If-None-Match": response["ETag"]}).status_code
        == 304
    )
    for address in ("mixed3b/2", "conv1/0", "nowhere/0"):
        assert client.get(f"/networks/tinynet/{address}/face.png").status_code == 404
