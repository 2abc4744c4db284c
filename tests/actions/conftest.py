"""What labels and reviews are tested on."""

import pytest

from taxonomy.models import Family, Neuron
from tests.factory import make_family, make_network, neuron_at


@pytest.fixture
def neuron(db) -> Neuron:
    make_network()
    return neuron_at("mixed3b:3")


@pytest.fixture
def curves(neuron: Neuron) -> Family:
    return make_family(neuron.layer, "Curves")
