import numpy as np
import pytest
import torch
from torch import nn

from tests import tiny
from workers import directions
from workers.network import Network
from workers.receptive_field import Field


def test_one_square_holds_what_every_branch_sees():
    network = tiny.branchy()
    one, three, _ = network.layer("fire").fields
    assert (one.size, three.size) == (3, 7)
    assert directions.field(network, "fire") == Field(size=7, stride=2, start=three.start)
    assert directions.place(network, "fire").size == 7


def test_a_picture_is_never_larger_than_the_networks_own():
    stages = {
        "conv": tiny.conv(torch.ones(1, 3, 5, 5), padding=2),
        "next": tiny.conv(torch.ones(1, 1, 9, 9), padding=4),
    }
    network = Network("wide", stages, tiny.preprocessing(9))
    assert directions.field(network, "next").size == 13
    (seen,) = directions.visualize(network, "next", torch.ones(1, 1), ["all of it"], steps=64)
    assert seen.picture.shape == (3, 9, 9)
    assert seen.found


def test_it_is_what_the_next_layer_reads_that_is_climbed_and_told():
    network = tiny.two_conv()
    # Twice the vertical edge, less the horizontal one.
    (seen,) = directions.visualize(network, "first", torch.tensor([[2.0, -1.0]]), ["edge"], steps=128)
    picture = seen.picture
    across = picture[0, :, 2].sum() - picture[0, :, 0].sum()
    down = picture[0, 2].sum() - picture[0, 0].sum()
    assert across > 0.4
    assert seen.value == pytest.approx((2 * float(across) - max(float(down), 0)) / 5**0.5, abs=1e-5)
    assert seen.plain == pytest.approx(0, abs=1e-6)


def test_neither_length_nor_company_makes_a_difference():
    network = tiny.two_conv()
    both = torch.tensor([[3.0, 4.0], [1.0, -1.0]])
    one, other = directions.visualize(network, "first", both, ["a", "b"], steps=32, batch=2)
    (alone,) = directions.visualize(network, "first", both[1:] * 7, ["b"], steps=32, batch=2)
    assert np.abs((alone.picture - other.picture).numpy()).max() <= 1.5 / 255
    assert alone.value == pytest.approx(other.value, abs=1e-2)
    assert not torch.equal(one.picture, other.picture)


def test_dead_units_are_not_found():
    stages = {
        "conv": tiny.conv(torch.zeros(2, 3, 3, 3), [-1.0, -1.0]),
        "next": nn.Sequential(nn.ReLU(), nn.Conv2d(2, 1, 1)),
    }
    network = Network("dead", stages, tiny.preprocessing(9))
    (seen,) = directions.visualize(network, "conv", torch.ones(1, 2), ["dead"], steps=4)
    assert not seen.found
