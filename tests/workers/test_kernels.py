import numpy as np
import pytest
import torch

from taxonomy import recipes
from tests import tiny
from workers.evidence import Failure, Finding
from workers.evidence.kernels import kernels


def test_kernel_is_the_weight_and_its_picture_has_one_scale_for_the_layer():
    network = tiny.one_conv()
    vertical, colour = kernels(network, [("conv", 0), ("conv", 2)])
    assert isinstance(vertical, Finding)
    assert isinstance(colour, Finding)
    assert torch.equal(torch.tensor(vertical.data["kernel"]), network.stages["conv"].weight[0])
    assert vertical.data["scale"] == colour.data["scale"] == 1.0
    factor = round(56 / 3)
    picture = vertical.pictures["kernel"]
    assert picture.shape == (3 * factor, 3 * factor, 3)
    # -1/3, 0 and 1/3 of the layer's scale, from left to right: a third of the way from grey to black and to white.
    assert picture[0, ::factor].tolist() == [[85] * 3, [128] * 3, [170] * 3]
    assert colour.pictures["kernel"][factor, factor].tolist() == [255, 128, 0]


def test_grey_weights_give_grey_pictures():
    (finding,) = kernels(tiny.one_conv(), [("conv", 1)])
    picture = finding.pictures["kernel"]
    assert np.array_equal(picture, picture[:, :, :1].repeat(3, axis=2))


def test_a_neuron_without_weights_fails():
    (failure,) = kernels(tiny.one_conv(), [("conv", 3)])
    assert isinstance(failure, Failure)
    assert "dead" in failure.reason


def test_only_the_first_layer_has_kernels():
    with pytest.raises(ValueError, match="first"):
        list(kernels(tiny.two_conv(), [("second", 0)]))


def test_output_belongs_to_version_1():
    (finding,) = kernels(tiny.one_conv(), [("conv", 0)])
    picture = finding.pictures["kernel"]
    assert (recipes.KINDS["kernels"].version, picture.shape, int(picture.sum())) == (1, (57, 57, 3), 1244367)
