from pathlib import Path

import numpy as np
import pytest
import torch

from taxonomy import recipes
from tests import tiny
from tests.shared import DATA, needs_data
from tests.workers.test_scan import noise, pictures
from workers import zoo
from workers.evidence import Failure, Finding, Target
from workers.evidence.dataset_examples import dataset_examples
from workers.network import Network
from workers.scan import Pictures, read, survey, to_input


def brute_force(network: Network, targets: list[Target], images: Pictures, batch: int = 16, top: int = 9) -> dict:
    """(image, row, column, value) of each target's best images, by keeping every value and sorting in the end."""
    pixels = [read(images, index, network.preprocessing) for index in range(len(images))]
    maps: dict[Target, list[np.ndarray]] = {target: [] for target in targets}
    for first in range(0, len(pixels), batch):
        part = pixels[first : first + batch]
        padded = part + part[-1:] * (batch - len(part))
        found = network.activations(to_input(padded), [layer for layer, _ in targets])
        for layer, channel in targets:
            maps[layer, channel].extend(found[layer][: len(part), channel].numpy())
    best = {}
    for target, planes in maps.items():
        peaks = [np.unravel_index(plane.argmax(), plane.shape) for plane in planes]
        order = sorted((-plane[peak], index) for index, (plane, peak) in enumerate(zip(planes, peaks, strict=True)))
        best[target] = [(images.names[i], *map(int, peaks[i]), float(-value)) for value, i in order[:top]]
    return best


def shown(finding) -> list[tuple]:
    assert isinstance(finding, Finding)
    return [(item["name"], item["row"], item["column"], item["value"]) for item in finding.data["top"]]


def test_equals_brute_force_over_layers_of_a_tiny_network():
    network, images = tiny.branchy(), pictures(noise(23))
    targets = [("fire", 2), ("first", 1), ("fire", 0)]
    findings = list(dataset_examples(network, targets, images=images, batch=4))
    assert [(found.layer, found.channel) for found in findings] == targets
    assert {(found.layer, found.channel): shown(found) for found in findings} == brute_force(
        network, targets, images, 4
    )


def test_the_box_is_what_the_unit_sees_cut_at_the_border():
    dark = np.zeros((17, 17, 3), dtype=np.uint8)
    bright = dark.copy()
    bright[:, 16] = 255  # a vertical edge in the last column
    images = pictures([dark, bright])
    (finding,) = dataset_examples(tiny.two_conv(), [("first", 0)], images=images, top=2)
    first, second = finding.data["top"]
    assert (first["image"], first["name"], first["row"], first["column"]) == (1, "picture 1", 1, 15)
    assert first["value"] == pytest.approx(3.0)
    assert (first["box"], first["clipped"]) == ([14, 0, 17, 3], False)
    assert (second["value"], second["row"], second["column"]) == (0.0, 0, 0)
    assert (second["box"], second["clipped"]) == ([0, 0, 2, 2], True)  # one row and column of padding are cut
    assert finding.images == {0, 1}
    lowest = finding.data["lowest"]
    assert (lowest["image"], lowest["row"], lowest["column"], lowest["value"]) == (0, 0, 0, 0.0)


def test_maps_go_from_zero_to_the_maximum_side_by_side():
    network, images = tiny.one_conv(), pictures(noise(6, 9))
    (finding,) = dataset_examples(network, [("conv", 2)], images=images, top=3, batch=2)
    values = network.activations(to_input([read(images, i, network.preprocessing) for i in range(6)]), ["conv"])["conv"]
    best = [item["image"] for item in finding.data["top"]]
    expected = (values[best, 2] / values[:, 2].max()).clamp(0, 1).mul(255).round().byte()
    assert finding.data["map"] == {"rows": 7, "columns": 7}
    strip = finding.pictures["maps"]
    assert strip.shape == (7, 21, 3)
    assert np.array_equal(strip[:, :, 1], torch.cat(list(expected), 1).numpy())
    assert strip.max() == 255


def test_the_quilt_covers_the_whole_range_with_drawn_places():
    network, images = tiny.branchy(), pictures(noise(60))
    (finding,) = dataset_examples(network, [("first", 1)], images=images)
    data = finding.data
    values = network.activations(to_input([read(images, i, network.preprocessing) for i in range(60)]), ["first"])
    values = values["first"][:, 1]
    bins = data["bins"]
    assert len(bins) == 18
    assert (bins[0]["to"], bins[-1]["from"]) == (data["maximum"], data["minimum"])
    assert [each["from"] for each in bins[:-1]] == [each["to"] for each in bins[1:]]
    assert sum(each["count"] for each in bins) == data["images"] == 60
    assert any(each["count"] > 6 for each in bins)
    for each in bins:
        assert len(each["examples"]) == min(each["count"], 6)
        for item in each["examples"]:
            assert each["from"] <= item["value"] <= each["to"]
            assert item["value"] == pytest.approx(float(values[item["image"], item["row"], item["column"]]), abs=1e-5)
    named = [item["image"] for each in bins for item in each["examples"]]
    assert len(named) == len(set(named))  # one place in each picture
    assert finding.images == {*named, data["lowest"]["image"], *(item["image"] for item in data["top"])}


def test_fewer_images_than_asked_for():
    (finding,) = dataset_examples(tiny.one_conv(), [("conv", 0)], images=pictures(noise(3, 9)), batch=2)
    assert len(finding.data["top"]) == 3
    assert finding.pictures["maps"].shape == (7, 21, 3)
    with pytest.raises(ValueError, match="no images"):
        list(dataset_examples(tiny.one_conv(), [("conv", 0)], images=pictures([])))
    with pytest.raises(ValueError, match="from 1 to 9"):
        list(dataset_examples(tiny.one_conv(), [("conv", 0)], images=pictures(noise(3, 9)), top=10))


def test_dead_and_broken_neurons_fail():
    network = tiny.one_conv()
    (dead,) = dataset_examples(network, [("conv", 3)], images=pictures(noise(3, 9)))
    assert isinstance(dead, Failure)
    assert "dead" in dead.reason
    network.stages["conv"].bias[0] = torch.nan
    (broken,) = dataset_examples(network, [("conv", 0)], images=pictures(noise(3, 9)))
    assert isinstance(broken, Failure)
    assert "finite" in broken.reason


def test_a_survey_at_hand_is_used_and_gives_the_same():
    network, inner = tiny.branchy(), pictures(noise(30))
    opened = []
    images = Pictures(inner.names, lambda index: opened.append(index) or inner._opener(index))
    targets = [("fire", c) for c in range(3)] + [("first", 0)]
    alone = list(dataset_examples(network, targets, images=images))
    assert max(map(opened.count, range(30))) == 2  # once in the pass, once for the maps
    opened.clear()
    surveys = survey(network, ["fire", "first"], inner)
    given = list(dataset_examples(network, targets, images=images, surveys=surveys))
    assert set(opened) == {item["image"] for found in given for item in found.data["top"]}
    assert len(opened) == len(set(opened))
    for one, other in zip(alone, given, strict=True):
        assert one.data == other.data
        assert np.array_equal(one.pictures["maps"], other.pictures["maps"])


def test_the_result_does_not_depend_on_the_other_targets():
    network, images = tiny.branchy(), pictures(noise(10))
    (alone,) = dataset_examples(network, [("fire", 1)], images=images)
    together = list(dataset_examples(network, [("first", 0), ("fire", 0), ("fire", 1)], images=images))
    assert alone.data == together[-1].data


def samples(count: int) -> Pictures:
    files = sorted((DATA / "imagenet-samples").glob("*.jpg"))[:count]
    return Pictures([file.name for file in files], lambda index: files[index])


def check_squeezenet(count: int) -> None:
    weights: Path = DATA / "squeezenet1_0" / "squeezenet1_0.safetensors"
    network, images = zoo.load("squeezenet1_0", weights), samples(count)
    generator = np.random.default_rng(0)
    targets = []
    for index in generator.choice(sum(layer.channels for layer in network.layers), 20, replace=False):
        for layer in network.layers:
            if index < layer.channels:
                targets.append((layer.name, int(index)))
                break
            index -= layer.channels
    findings = list(dataset_examples(network, targets, images=images))
    assert {(found.layer, found.channel): shown(found) for found in findings} == brute_force(network, targets, images)


@needs_data
def test_squeezenet_equals_brute_force_on_some_images():
    check_squeezenet(20)


@needs_data
@pytest.mark.slow
def test_squeezenet_equals_brute_force_on_all_images():
    check_squeezenet(1000)


def test_output_belongs_to_version_2():
    (finding,) = dataset_examples(tiny.two_conv(), [("first", 0)], images=pictures(noise(5)), top=2)
    assert recipes.KINDS["dataset_examples"].version == 2
    assert [(item["name"], round(item["value"], 4), item["box"]) for item in finding.data["top"]] == [
        ("picture 2", 2.1595, [0, 11, 2, 14]),
        ("picture 1", 1.9451, [0, 12, 2, 15]),
    ]
    assert [each["count"] for each in finding.data["bins"]] == [0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 2, 1, 0, 0, 0, 0, 0, 0]
    assert int(finding.pictures["maps"].sum()) == 45396
