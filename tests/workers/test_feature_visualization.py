import numpy as np
import pytest
import torch

from taxonomy import recipes
from tests import tiny
from tests.shared import DATA, needs_data
from workers import zoo
from workers.evidence import Failure, Finding
from workers.evidence.feature_visualization import feature_visualization
from workers.optimize import is_grey


def visualize(network, targets, **parameters) -> list[Finding]:
    findings = list(feature_visualization(network, targets, **{"steps": 16, "batch": 4} | parameters))
    assert all(isinstance(finding, Finding) for finding in findings)
    return findings


def test_a_vertical_edge_shows_a_vertical_edge():
    (finding,) = visualize(tiny.one_conv(), [("conv", 0)], steps=512)
    picture = finding.pictures["image"]
    assert picture.shape == (3, 3, 3)
    assert picture.dtype == np.uint8
    assert picture[:, 2].min() > 160
    assert picture[:, 0].max() < 95


def test_the_value_is_that_of_the_picture_as_shown():
    network = tiny.branchy()
    for finding in visualize(network, [("fire", 0), ("fire", 2), ("first", 1)]):
        field = network.layer(finding.layer).fields[finding.channel]
        assert finding.pictures["image"].shape == (field.size, field.size, 3)
        assert finding.data["canvas"] == field.size
        assert finding.data["steps"] == 16
        # In the middle of a large grey picture, at a unit whose field begins where the picture is put.
        row = 4
        left, top, right, bottom = field.box(row, row)
        x = torch.full((1, 3, 33, 33), 0.5)
        x[0, :, top:bottom, left:right] = torch.from_numpy(finding.pictures["image"]).movedim(2, 0) / 255
        value = network.activations(x, [finding.layer])[finding.layer][0, finding.channel, row, row]
        assert float(value) == pytest.approx(finding.data["value"], abs=1e-5)


def test_negative_is_what_inhibits():
    (finding,) = visualize(tiny.one_conv(), [("conv", 0)], objective="negative", steps=512)
    assert finding.data["value"] < -1
    assert finding.pictures["image"][:, 0].min() > 160
    with pytest.raises(ValueError, match="objective"):
        visualize(tiny.one_conv(), [("conv", 0)], objective="beauty")


def test_a_network_that_cannot_tell_colours_apart_is_shown_grey():
    network = tiny.two_conv()
    assert is_grey(network)
    assert not is_grey(tiny.one_conv())
    picture = visualize(network, [("second", 0)])[0].pictures["image"]
    assert np.array_equal(picture[..., 0], picture[..., 1])
    assert np.array_equal(picture[..., 0], picture[..., 2])
    colour = visualize(tiny.one_conv(), [("conv", 2)], steps=512)[0].pictures["image"][1, 1]
    assert colour[0] > 160 > 95 > colour[2]


def test_same_call_same_bytes_whatever_the_company():
    network = tiny.branchy()
    (alone,) = visualize(network, [("fire", 2)])
    (again,) = visualize(network, [("fire", 2)])
    company = visualize(network, [("first", 0), ("fire", 0), ("fire", 1), ("fire", 2)])[-1]
    assert np.array_equal(alone.pictures["image"], again.pictures["image"])
    assert np.array_equal(alone.pictures["image"], company.pictures["image"])
    assert alone.data == again.data == company.data
    (other,) = visualize(network, [("fire", 2)], seed=1)
    assert not np.array_equal(alone.pictures["image"], other.pictures["image"])


def test_a_neuron_that_nearly_grey_pictures_leave_without_a_gradient_is_still_shown():
    network = tiny.two_conv()
    network.stages["first"].bias[:] = -0.3  # what little contrast the first picture has leaves every ReLU off
    (finding,) = visualize(network, [("second", 0)], steps=64)
    assert finding.data["value"] > 0.5
    (dead,) = feature_visualization(network, [("second", 2)], steps=64)
    assert isinstance(dead, Failure)


def test_dead_and_broken_neurons_fail_with_a_sentence():
    network = tiny.one_conv()
    network.stages["conv"].bias[1] = torch.nan
    alive, broken, dead = feature_visualization(network, [("conv", 0), ("conv", 1), ("conv", 3)], steps=8)
    assert isinstance(alive, Finding)
    assert isinstance(broken, Failure)
    assert "finite" in broken.reason
    assert isinstance(dead, Failure)
    assert "dead" in dead.reason


def test_tick_may_stop_it():
    def tick():
        raise TimeoutError("enough")

    with pytest.raises(TimeoutError, match="enough"):
        visualize(tiny.two_conv(), [("second", 0)], tick=tick)


@needs_data
def test_squeezenet_pictures_excite_and_are_legible():
    network = zoo.load("squeezenet1_0", DATA / "squeezenet1_0" / "squeezenet1_0.safetensors")
    findings = visualize(network, [("fire3", channel) for channel in (64, 80, 96, 112)], steps=64)
    noise = torch.rand(16, 3, 227, 227, generator=torch.Generator().manual_seed(0))
    strongest = network.activations(noise, ["fire3"])["fire3"].amax((0, 2, 3))
    ends = []
    for finding in findings:
        assert finding.data["value"] > strongest[finding.channel]
        picture = finding.pictures["image"]
        ends.append(((picture <= 2) | (picture >= 253)).any(axis=2).mean())
    assert np.median(ends) < 0.15


def test_output_belongs_to_version_2():
    (finding,) = visualize(tiny.one_conv(), [("conv", 0)], steps=8, batch=1)
    assert recipes.KINDS["feature_visualization"].version == 2
    # Rounded, because processors differ in the last digits.
    assert finding.pictures["image"].mean(axis=(0, 2)) == pytest.approx([123.3, 127.3, 137.7], abs=0.5)
