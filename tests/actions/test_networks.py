"""Registering networks and image sets."""

from pathlib import Path

import pytest
from django.core.exceptions import ValidationError

from taxonomy.actions import images, networks
from taxonomy.interchange.pictures import Folder, Picture
from taxonomy.models import Event, Image, ImageSet, Network, Neuron, Role
from taxonomy.permissions import Refused
from tests.factory import make_user

pytestmark = pytest.mark.django_db

FIELD = {"size": 7, "stride": 2, "start": 0}
DESCRIPTION = {
    "architecture": "tiny",
    "weights_digest": "d" * 64,
    "preprocessing": {"size": 8},
    "class_names": ["cat"],
    "parameters": 12,
    "layers": [
        {"name": "conv1", "order": 0, "channels": 3, "branches": [["", 3]], "fields": [FIELD]},
        {"name": "fire2", "order": 1, "channels": 4, "branches": [["1x1", 1], ["3x3", 3]], "fields": [FIELD, FIELD]},
    ],
}


def test_a_network_with_its_layers_and_neurons() -> None:
    admin = make_user(role=Role.ADMIN)
    network = networks.register(admin, name="tiny", description=DESCRIPTION, title="Tiny", licence="MIT")
    assert network.runs
    assert list(network.layers.values_list("name", "channels")) == [("conv1", 3), ("fire2", 4)]
    assert network.layers.get(name="fire2").fields == [
        {"branch": "1x1", "channels": 1, **FIELD},
        {"branch": "3x3", "channels": 3, **FIELD},
    ]
    assert Neuron.objects.filter(layer__network=network).count() == 7
    assert Event.objects.get().verb == "network.registered"


@pytest.mark.parametrize("name", ["", "Tiny", "a b", "-tiny", "tiny/1", "x" * 61, "tiny\n"])
def test_names_that_are_none(name: str) -> None:
    with pytest.raises(ValidationError):
        networks.register(make_user(role=Role.ADMIN), name=name, description=DESCRIPTION)
    assert not Network.objects.exists()


def test_a_name_is_taken_once_and_by_an_admin() -> None:
    admin = make_user(role=Role.ADMIN)
    networks.register(admin, name="tiny", description=DESCRIPTION)
    with pytest.raises(ValidationError, match="There is a network 'tiny' already"):
        networks.register(admin, name="tiny", description=DESCRIPTION)
    with pytest.raises(Refused):
        networks.register(make_user(role=Role.EDITOR), name="tiny2", description=DESCRIPTION)


def test_an_image_set() -> None:
    admin = make_user(role=Role.ADMIN)
    found = Folder([Picture("a.png", "0" * 64, 4, 5, {"angle": 3})], [{"name": "b.png", "reason": "broken"}], "e" * 64)
    image_set = images.add(admin, name="some", folder=Path("/some"), found=found, licence="CC0")
    assert (image_set.count, len(image_set.left_out)) == (1, 1)
    assert Image.objects.get().parameters == {"angle": 3}
    with pytest.raises(ValidationError, match="already"):
        images.add(admin, name="some", folder=Path("/some"), found=found)
    with pytest.raises(ValidationError):
        images.add(admin, name="So me", folder=Path("/some"), found=found)
    with pytest.raises(Refused):
        images.add(make_user(), name="other", folder=Path("/some"), found=found)
    assert ImageSet.objects.count() == 1
