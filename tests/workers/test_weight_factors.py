import numpy as np
import pytest
import torch
from torch import nn

from taxonomy import recipes
from tests import tiny
from tests.shared import DATA, needs_data
from workers import zoo
from workers.evidence import Failure, Finding
from workers.evidence.weight_factors import weight_factors
from workers.network import Network

TOP = [[1.0, 1.0, 1.0], [0.0] * 3, [0.0] * 3]
MIDDLE = [[0.0] * 3, [0.0, 2.0, 0.0], [0.0] * 3]
LEFT = [[1.0, 0.0, 0.0]] * 3


def two_factors() -> Network:
    """`first` holds the mean red, green, blue and grey of 5 x 5 pixels; unit 0 of `second` is excited by red and green
    (3 : 4) along the top and by blue in the middle, and inhibited by grey at the left. Unit 1 is zero, and unit 2 wants
    the opposite of unit 0.
    """
    first = torch.cat([torch.eye(3), torch.full((1, 3), 1 / 3)])[:, :, None, None].expand(-1, -1, 5, 5) / 25
    second = torch.zeros(3, 4, 3, 3)
    second[0, 0], second[0, 1] = 3 * torch.tensor(TOP), 4 * torch.tensor(TOP)
    second[0, 2], second[0, 3] = torch.tensor(MIDDLE), -torch.tensor(LEFT)
    second[2] = -second[0]
    stages = {"first": tiny.conv(first), "second": nn.Sequential(nn.ReLU(), tiny.conv(second))}
    return Network("two_factors", stages, tiny.preprocessing(9))


def test_the_factors_that_it_is_made_of_are_found():
    (finding,) = weight_factors(two_factors(), [("second", 0)], layer="first", steps=8)
    assert isinstance(finding, Finding)
    top, middle = finding.data["excitatory"]
    (left,) = finding.data["inhibitory"]
    assert [index for index, _ in top["channels"]] == [1, 0]
    assert [weight for _, weight in top["channels"]] == pytest.approx([0.8, 0.6], abs=1e-5)
    assert np.array(top["spatial"]) == pytest.approx(5 * np.array(TOP), abs=1e-4)
    assert middle["channels"] == [[2, pytest.approx(1)]]
    assert np.array(middle["spatial"]) == pytest.approx(np.array(MIDDLE), abs=1e-4)
    assert left["channels"] == [[3, pytest.approx(1)]]
    assert np.array(left["spatial"]) == pytest.approx(np.array(LEFT), abs=1e-4)
    assert [factor["share"] for factor in (top, middle, left)] == pytest.approx([75 / 82, 4 / 82, 3 / 82], abs=1e-4)
    assert finding.data["explained"] == pytest.approx(1)
    assert finding.data["layer"] == "first"


def test_excitation_and_inhibition_trade_places_when_the_weights_turn():
    network = two_factors()
    one, other = weight_factors(network, [("second", 0), ("second", 2)], layer="first", steps=4)
    for sign, opposite in (("excitatory", "inhibitory"), ("inhibitory", "excitatory")):
        assert [factor["spatial"] for factor in one.data[sign]] == [f["spatial"] for f in other.data[opposite]]


def test_fewer_factors_explain_less():
    network = two_factors()
    (one,) = weight_factors(network, [("second", 0)], layer="first", factors=1, steps=4)
    assert one.data["explained"] == pytest.approx((75 + 3) / 82, abs=1e-5)
    assert len(one.data["excitatory"]) == len(one.data["inhibitory"]) == 1


def test_each_factor_is_pictured_and_all_of_them_mapped():
    (finding,) = weight_factors(two_factors(), [("second", 0)], layer="first", steps=256)
    assert finding.pictures.keys() == {"excitatory_1", "excitatory_2", "inhibitory_1", "map", "map_inhibitory"}
    red, green, blue = finding.pictures["excitatory_1"].mean(axis=(0, 1)) / 255
    assert min(red, green) > 0.65 > blue
    red, green, blue = finding.pictures["excitatory_2"].mean(axis=(0, 1)) / 255
    assert blue > 0.65 > max(red, green)
    assert finding.data["excitatory"][1]["value"] == pytest.approx(blue, abs=1e-5)
    lit = finding.pictures["map"]
    assert lit.shape == (120, 120, 3)
    assert lit[20, 60].tolist() == [255, 0, 0]  # the larger one, along the top
    assert lit[60, 60].tolist() == [0, round(255 * 2 / 5), 0]
    assert lit[100, 60].tolist() == [0, 0, 0]


def test_no_weights_and_broken_weights_fail_with_a_sentence():
    network = two_factors()
    network.stages["second"][1].weight[2, 0, 0, 0] = torch.nan
    outcomes = list(weight_factors(network, [("second", 1), ("second", 2)], layer="first", steps=4))
    assert outcomes == [
        Failure("second", 1, "It has no weights from first."),
        Failure("second", 2, "Its weights are not finite numbers."),
    ]


def test_a_factor_of_dead_neurons_has_no_picture_and_no_value():
    network = two_factors()
    network.stages["first"].weight[2] = 0
    (finding,) = weight_factors(network, [("second", 0)], layer="first", steps=8)
    assert finding.data["excitatory"][1]["value"] is None
    assert "excitatory_2" not in finding.pictures
    assert finding.data["excitatory"][0]["value"] > 0


@needs_data
def test_three_factors_explain_most_of_what_a_real_neuron_reads():
    network = zoo.load("squeezenet1_0", DATA / "squeezenet1_0" / "squeezenet1_0.safetensors")
    for finding in weight_factors(network, [("fire3", 64 + i) for i in range(3)], layer="fire2", steps=2):
        assert len(finding.data["excitatory"]) == len(finding.data["inhibitory"]) == 3
        assert 0.6 < finding.data["explained"] < 1
        shares = [factor["share"] for factor in finding.data["excitatory"]]
        assert shares == sorted(shares, reverse=True)
        assert all(weight > 0 for factor in finding.data["excitatory"] for _, weight in factor["channels"])


def test_output_belongs_to_version_1():
    (finding,) = weight_factors(tiny.two_conv(), [("second", 1)], layer="first", steps=8)
    assert recipes.KINDS["weight_factors"].version == 1
    (up,), (down,) = finding.data["excitatory"], finding.data["inhibitory"]
    assert (up["channels"], down["channels"]) == ([[1, 1.0]], [[0, 1.0]])
    assert (up["share"], down["share"]) == (pytest.approx(0.8), pytest.approx(0.2))
    assert (up["value"], down["value"]) == (pytest.approx(0.15294, abs=1e-3), pytest.approx(0.15686, abs=1e-3))
    assert finding.pictures["map"].shape == finding.pictures["map_inhibitory"].shape == (120, 120, 3)
    assert finding.pictures["map"].mean() == pytest.approx(255 / 27)
