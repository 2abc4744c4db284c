from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from taxonomy import recipes
from tests import tiny
from tests.shared import DATA, needs_data
from workers import scan, zoo
from workers.evidence import Failure, Finding
from workers.evidence.attribution import attribution
from workers.network import Network


@pytest.fixture
def images(tmp_path: Path) -> scan.Pictures:
    """0: noise of 9 x 9 pixels; 1: black, but for a white pixel in row 3, column 5."""
    noise = np.random.default_rng(0).integers(0, 256, (9, 9, 3), dtype=np.uint8)
    spot = np.zeros((9, 9, 3), dtype=np.uint8)
    spot[3, 5] = 255
    for name, picture in (("noise.png", noise), ("spot.png", spot)):
        Image.fromarray(picture).save(tmp_path / name)
    names = ["noise.png", "spot.png"]
    return scan.Pictures(names, lambda index: tmp_path / names[index])


def pixels_and_sums() -> Network:
    """`first` (1x1): grey, and 0.5 - grey. `second` (3x3, padding 1) of unit 0: 2 x the grey above and -1 x what is
    dark in the middle, and 0.25. Unit 1 is always -1. `third` (1x1): 3 x the first unit of `second`, less 1."""
    first = torch.tensor([1.0, -1.0])[:, None, None, None].expand(-1, 3, 1, 1) / 3
    second = torch.zeros(2, 2, 3, 3)
    second[0, 0, 0, 1], second[0, 1, 1, 1] = 2.0, -1.0
    third = torch.tensor([[[[3.0]], [[0.0]]]])
    stages = {
        "first": tiny.conv(first, [0.0, 0.5]),
        "second": nn.Sequential(nn.ReLU(), tiny.conv(second, [0.25, -1.0], padding=1)),
        "third": nn.Sequential(nn.ReLU(), tiny.conv(third, [-1.0])),
    }
    return Network("pixels_and_sums", stages, tiny.preprocessing(9))


def test_across_one_convolution_it_is_arithmetic(images):
    (finding,) = attribution(pixels_and_sums(), [("second", 0)], images=images, image=1, row=4, column=5, layer="first")
    assert isinstance(finding, Finding)
    data = finding.data
    assert data["method"] == "exact"
    assert data["value"] == pytest.approx(2 - 0.5 + 0.25)
    assert (data["sum"], data["bias"]) == (pytest.approx(1.5), 0.25)
    assert data["neurons"] == [[0, pytest.approx(2)], [1, pytest.approx(-0.5)]]
    expected = np.zeros((9, 9))
    expected[3, 5], expected[4, 5] = 2, -0.5  # the white pixel above; its own pixel is black
    assert np.array(data["map"]) == pytest.approx(expected, abs=1e-6)
    assert data["origin"] == {"start": 0, "stride": 1, "size": 1}
    assert (data["image"], data["row"], data["column"], data["layer"]) == (1, 4, 5, "first")
    assert finding.images == {1}


def test_further_back_it_is_gradient_times_activation(images):
    network = pixels_and_sums()
    (far,) = attribution(network, [("third", 0)], images=images, image=1, row=4, column=5, layer="first")
    assert far.data["method"] == "gradient x activation"
    assert far.data["value"] == pytest.approx(3 * 1.75 - 1)
    assert far.data["neurons"] == [[0, pytest.approx(6)], [1, pytest.approx(-1.5)]]
    assert far.data["bias"] == pytest.approx(3 * 0.25 - 1)  # what both biases give
    assert far.data["sum"] + far.data["bias"] == pytest.approx(far.data["value"])


def test_a_pool_passes_on_what_its_largest_unit_gave(images):
    network = tiny.two_conv()
    source = network.between(scan.to_input([np.zeros((17, 17, 3), np.uint8)]), None, "first")
    assert source.shape[2:] == (17, 17)
    (finding,) = attribution(network, [("second", 0)], images=images, image=0, row=3, column=2, layer="first")
    cells = np.array(finding.data["map"])
    assert cells.shape == (17, 17)
    rows, columns = cells.nonzero()
    assert len(rows) == 3  # one cell of each of three pools
    assert sorted(rows // 2) == [2, 3, 4]
    assert set(columns // 2) == {2}
    assert finding.data["method"] == "exact"
    assert finding.data["origin"] == {"start": -1, "stride": 1, "size": 3}
    assert cells.sum() == pytest.approx(finding.data["value"], rel=1e-5)


def test_the_border_takes_part_as_it_is(images):
    (corner,) = attribution(pixels_and_sums(), [("second", 0)], images=images, image=1, row=0, column=0, layer="first")
    assert corner.data["sum"] + corner.data["bias"] == pytest.approx(corner.data["value"], abs=1e-6)
    assert np.count_nonzero(corner.data["map"]) == 1  # above it is nothing


def test_the_map_lies_where_the_picture_did_it(images):
    (finding,) = attribution(pixels_and_sums(), [("second", 0)], images=images, image=1, row=4, column=5, layer="first")
    picture = finding.pictures["map"].astype(int)
    assert picture.shape == (9, 9, 3)
    redder = picture[..., 0] - picture[..., 2]
    assert np.unravel_index(redder.argmax(), redder.shape) == (3, 5)
    assert np.unravel_index(redder.argmin(), redder.shape) == (4, 5)
    assert (np.abs(redder) > 0).sum() == 2


def test_what_cannot_be_said_fails_with_a_sentence(images):
    network = pixels_and_sums()
    targets = [("second", 0), ("second", 1)]
    good, dead = attribution(network, targets, images=images, image=0, row=4, column=4, layer="first")
    assert isinstance(good, Finding)
    assert dead == Failure("second", 1, "Nothing that first holds of this picture reaches this unit.")
    (gone,) = attribution(network, targets[:1], images=images, image=0, row=9, column=4, layer="first")
    assert gone == Failure("second", 0, "There is no unit in row 9, column 4: second has 9 rows and 9 columns.")
    network.stages["second"][1].bias[0] = torch.nan
    (broken,) = attribution(network, targets[:1], images=images, image=0, row=4, column=4, layer="first")
    assert broken == Failure("second", 0, "This neuron's value is not a finite number.")


def test_refusals(images):
    where = {"images": images, "row": 0, "column": 0}
    with pytest.raises(ValueError, match="does not come before"):
        list(attribution(pixels_and_sums(), [("first", 0)], image=0, layer="second", **where))
    with pytest.raises(ValueError, match="no picture 2"):
        list(attribution(pixels_and_sums(), [("second", 0)], image=2, layer="first", **where))


@needs_data
def test_real_values_add_up():
    network = zoo.load("squeezenet1_0", DATA / "squeezenet1_0" / "squeezenet1_0.safetensors")
    files = sorted((DATA / "imagenet-samples").glob("*.jpg"))[:3]
    images = scan.Pictures([file.name for file in files], lambda index: files[index])
    where = {"images": images, "image": 2, "row": 11, "column": 14}
    # A second network, cut at a fire module's squeeze too, has one convolution between two of its layers.
    squeeze, _, expand = (module for module in network.stages["fire2"].modules() if isinstance(module, nn.Conv2d))
    stages = {
        "conv1": network.stages["conv1"],
        "squeeze": nn.Sequential(nn.ReLU(), nn.MaxPool2d(3, 2, ceil_mode=True), squeeze),
        "expand": nn.Sequential(nn.ReLU(), expand),
    }
    apart = Network("apart", stages, network.preprocessing)
    for name, channel, layer, convolution in (("squeeze", 5, "conv1", squeeze), ("expand", 7, "squeeze", expand)):
        (finding,) = attribution(apart, [(name, channel)], layer=layer, **where)
        assert finding.data["method"] == "exact"
        assert finding.data["sum"] + finding.data["bias"] == pytest.approx(finding.data["value"], rel=1e-4)
        assert finding.data["bias"] == pytest.approx(float(convolution.bias[channel]), rel=1e-5)
    (far,) = attribution(network, [("fire4", 100)], layer="conv1", **where)
    assert far.data["method"] == "gradient x activation"
    assert len(far.data["neurons"]) == 30


def test_output_belongs_to_version_1(images):
    (finding,) = attribution(tiny.branchy(), [("fire", 1)], images=images, image=0, row=2, column=3, layer="first")
    assert recipes.KINDS["attribution"].version == 1
    assert finding.data["value"] == pytest.approx(finding.data["sum"], abs=1e-5)
    assert finding.data["neurons"] == [[1, pytest.approx(2.27059, abs=1e-4)], [0, pytest.approx(1.63399, abs=1e-4)]]
    assert finding.pictures["map"].shape == (17, 17, 3)
