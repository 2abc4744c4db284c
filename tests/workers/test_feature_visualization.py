import numpy as np
import pytest
import torch

from taxonomy import recipes
from tests import tiny
from tests.shared import DATA, needs_data
from workers import zoo
from workers.evidence import Failure, Finding
from workers.evidence.feature_visualization import feature_visualization
from workers.network import Network
from workers.objectives import alikeness
from workers.optimize import is_grey, sight


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
    assert finding.data["plain"] == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("wrong", [{"objective": "beauty"}, {"dtype": "float16"}, {"diversity": 0}, {"steps": 0}])
def test_what_there_is_not_is_refused(wrong):
    with pytest.raises(ValueError, match=r"\.$"):
        visualize(tiny.one_conv(), [("conv", 0)], **wrong)


def test_a_channel_is_shown_over_several_units():
    network = tiny.branchy()
    for channel in (0, 1):
        (finding,) = visualize(network, [("first", channel)], objective="channel", steps=64)
        # `first` has stride 2 and sees 3 pixels: 5 x 5 of its units, and nothing else, cover 11 x 11.
        assert finding.data["canvas"] == 11
        picture = torch.from_numpy(finding.pictures["image"]).movedim(2, 0)[None] / 255
        units = network.activations(picture, ["first"])["first"][0, channel]
        assert units.shape == (5, 5)
        assert float(units.mean()) == pytest.approx(finding.data["value"], abs=1e-5)
        assert finding.data["value"] > 0.2


def test_only_units_that_see_nothing_but_the_picture_count_for_a_channel():
    (finding,) = visualize(tiny.two_conv(), [("second", 1)], objective="channel", steps=16)
    field = tiny.two_conv().layer("second").fields[1]
    assert finding.data["canvas"] == field.size + 4 * field.stride
    # In the middle of a large grey picture the same units give the same values.
    row = 3
    left, top, _, _ = field.box(row, row)
    x = torch.full((1, 3, 33, 33), 0.5)
    side = finding.data["canvas"]
    x[0, :, top : top + side, left : left + side] = torch.from_numpy(finding.pictures["image"]).movedim(2, 0) / 255
    units = tiny.two_conv().activations(x, ["second"])["second"][0, 1, row : row + 5, row : row + 5]
    assert float(units.mean()) == pytest.approx(finding.data["value"], abs=1e-5)


@needs_data
def test_several_pictures_of_a_neuron_are_unlike_each_other_and_all_excite_it(monkeypatch):
    network = zoo.load("squeezenet1_0", DATA / "squeezenet1_0" / "squeezenet1_0.safetensors")
    names = ["image", "image_2", "image_3"]

    def made() -> tuple[float, float]:
        """How alike the pictures are, and their mean value."""
        findings = visualize(network, [("fire3", 64), ("fire3", 96)], diversity=3, steps=48, batch=6)
        values, alike = [], []
        for finding in findings:
            assert finding.pictures.keys() == {*names, "step_0", "step_4"}
            assert finding.data["diversity"] == 3
            assert finding.data["values"] == sorted(finding.data["values"], reverse=True)
            assert finding.data["value"] == finding.data["values"][0]
            values += finding.data["values"]
            seen = torch.stack([torch.from_numpy(finding.pictures[name]).movedim(2, 0) / 255 for name in names])
            field = network.layer("fire3").fields[finding.channel]
            alike += alikeness(network.between(sight(network, field).frame(seen), None, "fire3"), 3).tolist()
        return float(np.mean(alike)), float(np.mean(values))

    alike, value = made()
    monkeypatch.setattr("workers.evidence.feature_visualization.DIVERSITY", 0.0)
    alike_left_alone, value_left_alone = made()
    assert alike < alike_left_alone - 0.05
    assert value > 0.5 * value_left_alone


def test_pictures_are_never_larger_than_the_networks_own_input():
    whole = tiny.two_conv()
    field = whole.layer("second").fields[0]
    small = Network("small", dict(whole.stages), tiny.preprocessing(field.size - 1))
    (finding,) = visualize(small, [("second", 0)], steps=64)
    assert finding.data["canvas"] == field.size - 1
    picture = torch.from_numpy(finding.pictures["image"]).movedim(2, 0)[None] / 255
    values = small.activations(picture, ["second"])["second"][0, 0]
    middle = (len(values) - 1) // 2
    assert float(values[middle, middle]) == pytest.approx(finding.data["value"], abs=1e-5)
    assert finding.data["value"] > 0.5


def test_alikeness_is_the_cosine_of_textures():
    values = torch.zeros(4, 3, 2, 2)
    values[0, 0, 0, 0], values[1, 0, 1, 1] = 1.0, 5.0  # the same channel elsewhere: the same texture
    values[2, 0], values[3, 1] = 1.0, 2.0  # another channel: nothing in common
    values[3, 2] = -9.0  # what is off is no texture
    assert alikeness(values, 2).tolist() == pytest.approx([1.0, 1.0, 0.0, 0.0])
    assert alikeness(values, 4).tolist() == pytest.approx([2 / 3, 2 / 3, 2 / 3, 0.0])
    assert alikeness(torch.zeros(2, 3, 1, 1), 2).tolist() == [0.0, 0.0]


def test_the_steps_on_the_way_are_kept():
    (finding,) = visualize(tiny.one_conv(), [("conv", 0)], steps=40)
    assert finding.pictures.keys() == {"image", "step_0", "step_4"}
    spread = [int(np.ptp(finding.pictures[name])) for name in ("step_0", "step_4", "image")]
    assert spread[0] < spread[1] < spread[2]


def test_in_bfloat16_the_value_is_still_that_of_float32():
    network = tiny.branchy()
    (half,) = visualize(network, [("first", 1)], dtype="bfloat16", steps=64)
    (full,) = visualize(network, [("first", 1)], steps=64)
    assert half.data["dtype"] == "bfloat16"
    picture = torch.from_numpy(half.pictures["image"]).movedim(2, 0)[None] / 255
    value = network.activations(picture, ["first"])["first"][0, 1, 0, 0]
    assert float(value) == pytest.approx(half.data["value"], abs=1e-6)
    assert half.data["value"] == pytest.approx(full.data["value"], rel=0.1)


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


@pytest.mark.parametrize(
    ("asked", "last", "columns"),
    [
        ({}, "image", [123.3, 127.3, 137.7]),
        ({"objective": "negative"}, "image", [131.7, 127.9, 117.0]),
        ({"objective": "channel"}, "image", [110.1, 108.2, 123.0, 132.7, 139.4, 142.1, 135.1]),
        ({"diversity": 2}, "image_2", [123.6, 127.1, 137.2]),
        ({"dtype": "bfloat16"}, "image", [123.3, 127.3, 137.7]),
    ],
    ids=["neuron", "negative", "channel", "diversity", "bfloat16"],
)
def test_output_belongs_to_version_2(asked, last, columns):
    (finding,) = visualize(tiny.one_conv(), [("conv", 0)], steps=8, batch=1, **asked)
    assert recipes.KINDS["feature_visualization"].version == 2
    # Rounded, because processors differ in the last digits.
    assert finding.pictures[last].mean(axis=(0, 2)) == pytest.approx(columns, abs=0.5)
