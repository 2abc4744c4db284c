"""Neurons by their addresses."""

import pytest

from taxonomy.models import Neuron
from tests.factory import make_network

pytestmark = pytest.mark.django_db


def test_many_addresses_in_their_order_and_in_two_queries(django_assert_num_queries) -> None:
    make_network()
    make_network("other")
    written = ["3b:5", "conv1:1", " mixed3b:0 ", "mixed3b:5", *(f"3b:{index}" for index in range(8))]
    with django_assert_num_queries(2):
        found = Neuron.objects.each_at("tinynet", written)
        assert {str(neuron.layer) for neuron in found} == {"tinynet/mixed3b", "tinynet/conv1"}
    told = ["mixed3b:5", "conv1:1", "mixed3b:0", "mixed3b:5", *(f"mixed3b:{index}" for index in range(8))]
    assert [neuron.address for neuron in found] == told
    assert found == [Neuron.objects.at("tinynet", address) for address in written]


def test_no_addresses_ask_nothing(django_assert_num_queries) -> None:
    with django_assert_num_queries(0):
        assert Neuron.objects.each_at("tinynet", []) == []


@pytest.mark.parametrize(
    ("network", "address", "sentence"),
    [
        ("tinynet", "mixed3b", "'mixed3b' is not a neuron's address. Write layer:index, such as mixed3b:379."),
        ("nonet", "3b:1", "There is no network 'nonet' here."),
        ("tinynet", "9z:1", "tinynet has no layer '9z'. Its layers are conv1, mixed3b."),
        ("tinynet", "3b:8", "tinynet/mixed3b has 8 neurons, numbered 0 to 7: there is no 8."),
        ("tinynet", "3b:7", "There is no neuron 3b:7 here."),
    ],
)
def test_one_that_is_not_there_is_told(network: str, address: str, sentence: str) -> None:
    make_network()
    Neuron.objects.at("tinynet", "3b:7").delete()
    for look in (
        lambda: Neuron.objects.at(network, address),
        lambda: Neuron.objects.each_at(network, ["3b:1", address]),
    ):
        with pytest.raises(Neuron.DoesNotExist) as told:
            look()
        assert str(told.value) == sentence
