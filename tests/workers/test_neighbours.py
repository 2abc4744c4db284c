from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import nn

from taxonomy import recipes
from tests import tiny
from workers import curve_network, scan
from workers.evidence import Failure, Finding, Target
from workers.evidence.neighbours import neighbours
from workers.network import Network


def vectors(outcomes: list[Finding | Failure]) -> dict[Target, NDArray[np.float64]]:
    """Of unit length, so that products are cosines."""
    found = {
        (each.layer, each.channel): np.array(each.data["vector"]) for each in outcomes if isinstance(each, Finding)
    }
    for vector in found.values():
        assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)
        assert len(vector) <= 1024
    return found


def pictures(folder: Path, count: int, size: int = 9) -> scan.Pictures:
    random = np.random.default_rng(0)
    for index in range(count):
        Image.fromarray(random.integers(0, 256, (size, size, 3), dtype=np.uint8)).save(folder / f"{index}.png")
    return scan.Pictures([f"{index}.png" for index in range(count)], lambda index: folder / f"{index}.png")


def scaled_and_opposed() -> Network:
    """0 is the brightness of a pixel, 1 three times as much and a bit more; 2 is 0 upside down; 3 is constant."""
    weight = torch.zeros(4, 3, 3, 3)
    weight[:, :, 1, 1] = torch.tensor([1.0, 3.0, -1.0, 0.0])[:, None]
    return Network("scaled_and_opposed", {"conv": tiny.conv(weight, [0.0, 0.5, 0.0, 2.0])}, tiny.preprocessing(9))


def test_by_activation_the_cosine_is_the_correlation_of_peaks(tmp_path: Path):
    network, images = tiny.one_conv(), pictures(tmp_path, 30)
    targets = [("conv", channel) for channel in range(4)]
    *found, dead = neighbours(network, targets, images=images)
    assert dead == Failure("conv", 3, "This neuron is dead: its value is the same everywhere in every image.")
    found = vectors(found)
    peaks = np.concatenate(
        [values["conv"].amax((2, 3)).numpy() for _, values in scan.activations(network, ["conv"], images)]
    )[:, :3]
    stacked = np.stack([found["conv", channel] for channel in range(3)])
    assert stacked.shape == (3, 30)
    np.testing.assert_allclose(stacked @ stacked.T, np.corrcoef(peaks.T), atol=1e-5)
    # Another network, on the same pictures: a neuron that is the same but for its scale is the same.
    other = scaled_and_opposed()
    grey, scaled = (vectors(list(neighbours(other, [("conv", c)], images=images)))["conv", c] for c in (0, 1))
    assert grey @ scaled == pytest.approx(1, abs=1e-5)
    assert len(grey) == 30
    # What a pass gathered before is used, and nothing is read again.
    surveys = scan.survey(network, ["conv"], images)
    again = vectors(list(neighbours(network, targets, surveys=surveys)))
    assert all(np.array_equal(again[target], vector) for target, vector in found.items())


def test_many_pictures_are_projected_and_cosines_stay(tmp_path: Path):
    network, images = tiny.one_conv(), pictures(tmp_path, 3)
    surveys = {"conv": scan.Survey.from_bytes(scan.survey(network, ["conv"], images)["conv"].to_bytes())}  # writable
    random = np.random.default_rng(1)
    shared = random.standard_normal(5000)
    peaks = np.stack([shared, shared + 0.5 * random.standard_normal(5000), random.standard_normal(5000), -shared], 1)
    surveys["conv"].peaks.set_(torch.from_numpy(peaks.astype(np.float32)))
    surveys["conv"].maximum[3] += 1  # the dead one is now alive
    found = vectors(list(neighbours(network, [("conv", c) for c in range(4)], surveys=surveys)))
    stacked = np.stack([found["conv", channel] for channel in range(4)])
    assert stacked.shape == (4, 1024)
    cosines, correlations = stacked @ stacked.T, np.corrcoef(peaks.T)
    assert correlations[0, 1] == pytest.approx(0.894, abs=0.01)
    assert np.abs(cosines - correlations).max() < 3.5 / 32
    assert np.abs(cosines - correlations)[0, 1] < 3.5 * (1 - 0.8) / 32
    assert cosines[0, 3] == pytest.approx(-1, abs=1e-5)


def test_by_weights_likeness_is_that_of_kernels_whatever_their_scale():
    network = tiny.one_conv()
    found = vectors(list(neighbours(network, [("conv", c) for c in range(3)], by="weights")))
    vertical, horizontal, red = (found["conv", c] for c in range(3))
    assert len(vertical) == 3 * 18 * 18
    # Each of the 3 x 3 pixels becomes 6 x 6 cells, all of the same weight.
    expected = np.tile(np.repeat([-1.0, 0, 1], 6), (3, 18, 1))
    np.testing.assert_allclose(vertical.reshape(3, 18, 18), expected / np.linalg.norm(expected), atol=1e-6)
    assert vertical @ horizontal == pytest.approx(0, abs=1e-6)  # of nine products, a corner each of 1, -1, -1 and 1
    assert red.reshape(3, 18, 18)[[0, 2], 9, 9] == pytest.approx([1 / np.sqrt(72), -1 / np.sqrt(72)], abs=1e-6)
    scaled = vectors(list(neighbours(scaled_and_opposed(), [("conv", c) for c in range(3)], by="weights")))
    assert scaled["conv", 0] @ scaled["conv", 1] == pytest.approx(1, abs=1e-5)
    assert scaled["conv", 0] @ scaled["conv", 2] == pytest.approx(-1, abs=1e-5)


def test_weights_are_those_to_the_picture_and_not_to_what_is_made_of_it():
    network = tiny.one_conv()
    network.std.copy_(torch.tensor([0.5, 1.0, 2.0]).reshape(1, 3, 1, 1))
    (red,) = vectors(list(neighbours(network, [("conv", 2)], by="weights"))).values()
    red_part, _, blue_part = red.reshape(3, 18, 18)[:, 9, 9]
    assert red_part / blue_part == pytest.approx(-4)  # of the same weight, on colours that are stretched otherwise


def test_weights_that_cancel_are_none():
    """The sum of an edge and of its opposite, both rectified: alive, but nothing when linear."""
    edge = torch.tensor(tiny.grey(tiny.VERTICAL_EDGE)) * 0.1
    second = torch.tensor([[[[1.0]], [[1.0]]], [[[1.0]], [[0.9]]]])
    stages = {"first": tiny.conv(torch.stack([edge, -edge])), "both": nn.Sequential(nn.ReLU(), tiny.conv(second))}
    network = Network("both", stages, tiny.preprocessing(9))
    cancels, stays = neighbours(network, [("both", 0), ("both", 1)], by="weights")
    reason = "Its weights to the image cancel once ReLUs and max pools are made linear."
    assert cancels == Failure("both", 0, reason)
    assert isinstance(stays, Finding)
    curves = curve_network.build()
    assert all(
        isinstance(each, Finding) for each in neighbours(curves, [("conv2d0", c) for c in range(4)], by="weights")
    )
    assert list(neighbours(curves, [("conv2d1", 5)], by="weights")) == [Failure("conv2d1", 5, reason)]


def test_by_rotation_a_neuron_is_like_the_same_one_turned():
    turned = [np.rot90(tiny.VERTICAL_EDGE, times).tolist() for times in range(4)]
    blob = [[0.0, 1, 0], [1, 4, 1], [0, 1, 0]]
    weights = torch.tensor([tiny.grey(kernel) for kernel in (*turned, blob, [[0.0] * 3] * 3)])
    network = Network("turned", {"conv": tiny.conv(weights, [0.0] * 5 + [-1.0])}, tiny.preprocessing(9))
    *found, dead = neighbours(network, [("conv", c) for c in range(6)], by="rotation")
    assert dead == Failure("conv", 5, "It answers to none of the drawn stimuli that are turned.")
    found = vectors(found)
    edge = found["conv", 0]
    for times in range(1, 4):
        assert edge @ found["conv", times] > 0.9999
    assert edge @ found["conv", 4] < 0.9
    scaled = Network("scaled", {"conv": tiny.conv(3 * weights)}, tiny.preprocessing(9))
    (three_times,) = vectors(list(neighbours(scaled, [("conv", 0)], by="rotation"))).values()
    assert three_times @ edge == pytest.approx(1, abs=1e-5)
    # All stimuli are grey, and what rounding leaves of them is no answer.
    (red,) = neighbours(tiny.one_conv(), [("conv", 2)], by="rotation")
    assert isinstance(red, Failure)


@cache
def turned_neighbours() -> tuple[list[Target], NDArray[np.float64]]:
    """All neurons of the curve network, and their cosines by rotation."""
    network = curve_network.build()
    targets = [(layer.name, channel) for layer in network.layers for channel in range(layer.channels)]
    found = vectors(list(neighbours(network, targets, by="rotation")))
    assert list(found) == targets
    stacked = np.stack(list(found.values()))
    return targets, stacked @ stacked.T


@pytest.mark.parametrize(
    ("layer", "channels"),
    [
        ("mixed3b", range(24)),
        ("mixed3b", range(24, 42)),
        ("mixed3a", range(24)),
        ("mixed3a", range(24, 42)),
        ("conv2d2", range(36)),
        ("conv2d1", range(36)),
        ("conv2d0", range(0, 144, 4)),  # bright in the middle
        ("conv2d0", range(2, 144, 4)),  # dark in the middle
        ("conv2d0", range(1, 144, 2)),  # bright at one side: the same at the other, turned
    ],
)
def test_by_rotation_the_nearest_of_all_neurons_are_the_rest_of_the_family(layer: str, channels: range):
    targets, cosines = turned_neighbours()
    assert len(targets) == 300
    family = [targets.index((layer, channel)) for channel in channels]
    for unit in family:
        nearest = np.argsort(-cosines[unit])
        others = nearest[nearest != unit][: len(family) - 1]
        assert set(others) == set(family) - {unit}


def test_curves_are_far_from_everything_that_is_no_curve():
    targets, cosines = turned_neighbours()
    curves = [targets.index(("mixed3b", channel)) for channel in range(24)]
    rest = np.setdiff1d(np.arange(300), curves)
    assert cosines[np.ix_(curves, curves)].min() > 0.98
    assert cosines[np.ix_(curves, rest)].max() < 0.7


def test_refusals(tmp_path: Path):
    network = tiny.one_conv()
    with pytest.raises(ValueError, match="not by 'name'"):
        next(neighbours(network, [("conv", 0)], by="name"))
    with pytest.raises(ValueError, match="need images"):
        next(neighbours(network, [("conv", 0)]))
    for by in ("activation", "weights", "rotation"):
        with pytest.raises(KeyError, match="no layer 'nowhere'"):
            next(neighbours(network, [("nowhere", 0)], by=by, images=pictures(tmp_path, 1)))


def test_what_is_not_a_number_fails():
    network = tiny.one_conv()
    network.stages["conv"].weight[1] = float("nan")
    for by in ("weights", "rotation"):
        good, bad = neighbours(network, [("conv", 0), ("conv", 1)], by=by)
        assert isinstance(good, Finding)
        assert bad == Failure("conv", 1, "What it is compared by are not finite numbers.")


def test_output_belongs_to_version_1(tmp_path: Path):
    assert recipes.KINDS["neighbours"].version == 1
    network, images = tiny.two_conv(), pictures(tmp_path, 5, 17)
    golden = {
        "activation": [0.6421, 0.4405, -0.3759, -0.3898, -0.3169],
        "weights": [0.0, -0.0462, 0.0, 0.0092, 0.0, 0.0, 0.0923, 0.0, 0.0, 0.0, 0.0369, 0.0],
        "rotation": [0.2553, 0.0049, 0.0048, 0.0011, 0.0002, 0.006, 0.0043, 0.1381, 0.001, 0.0781, 0.0003, 0.0026],
    }
    for by, expected in golden.items():
        (finding,) = neighbours(network, [("second", 1)], by=by, images=images)
        assert finding.data["by"] == by
        assert finding.data["vector"][:: 1 + len(finding.data["vector"]) // 12] == pytest.approx(expected, abs=1e-3)
