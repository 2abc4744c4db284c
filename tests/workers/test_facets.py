import numpy as np
import pytest
import torch

from taxonomy import recipes
from tests import tiny
from tests.workers.test_scan import pictures
from workers.evidence import Failure, Finding
from workers.evidence.facets import Reader, facets
from workers.scan import survey, to_input


def edges(vertical: int, horizontal: int, size: int = 9) -> list[np.ndarray]:
    """So many pictures with a vertical edge, then so many with a horizontal one: dark and bright of random grey."""
    generator = np.random.default_rng(0)
    found = []
    for index in range(vertical + horizontal):
        picture = generator.integers(0, 40, (size, size, 1)).repeat(3, axis=2)
        half = slice(int(generator.integers(3, 6)), None)
        bright = int(generator.integers(150, 215))
        picture[(slice(None), half) if index < vertical else half] += bright
        found.append(picture.astype(np.uint8))
    return found


@pytest.mark.parametrize("channel", [0, 1], ids=["the larger", "the sum"])
def test_two_detectors_in_one_neuron_are_told_apart(channel):
    network, images = tiny.two_faced(), pictures(edges(24, 16))
    (finding,) = facets(network, [("whole", channel)], images=images, layer="parts", facets=2, steps=64)
    assert isinstance(finding, Finding)
    vertical, horizontal = finding.data["facets"]
    assert finding.data["pictures"] == 40
    assert (vertical["share"], horizontal["share"]) == (0.6, 0.4)
    assert all(item["image"] < 24 for item in vertical["examples"])
    assert all(item["image"] >= 24 for item in horizontal["examples"])
    assert len(vertical["examples"]) == len(horizontal["examples"]) == 9
    for facet in (vertical, horizontal):
        values = [item["value"] for item in facet["examples"]]
        assert values == sorted(values, reverse=True)
    # What tells them apart is the edge; the brightness counts for both.
    assert dict(vertical["channels"])[0] > 5 * dict(vertical["channels"]).get(1, 0.0)
    assert dict(horizontal["channels"])[1] > 5 * dict(horizontal["channels"]).get(0, 0.0)
    for number, own in ((1, 0), (2, 1)):
        picture = finding.pictures[f"facet_{number}"]
        assert picture.shape == (3, 3, 3)
        parts = network.activations(to_input([picture]), ["parts"])["parts"][0, :, 0, 0]
        assert parts[own] > 0.25
        assert parts[own] > 3 * parts[1 - own].clamp_min(0)
        whole = network.activations(to_input([picture]), ["whole"])["whole"][0, channel, 0, 0]
        assert finding.data["facets"][number - 1]["value"] == pytest.approx(float(whole), abs=1e-5)
    shown = {item["image"] for facet in (vertical, horizontal) for item in facet["examples"]}
    assert finding.images == shown


def test_the_window_is_what_the_unit_reads():
    network = tiny.two_conv()  # second: 3 x 3, padding 1, on a max pool 2/2
    reader = Reader.of(network, "first", "second", 0)
    assert (reader.start, reader.stride, reader.size) == (-2, 2, 6)
    values = torch.arange(17.0 * 17).reshape(1, 1, 17, 17) - 100
    assert reader.window(values, 3, 2)[0, 0] == pytest.approx(values[0, 0, 4:10, 2:8].clamp_min(0).mean())
    assert reader.window(values, 0, 7)[0, 0] == pytest.approx(values[0, 0, :4, 12:17].clamp_min(0).mean())


def test_pictures_that_do_not_excite_it_are_left_out():
    dark = [np.full((9, 9, 3), 30, dtype=np.uint8)] * 5
    network, images = tiny.two_faced(), pictures([*dark, *edges(3, 2)])
    (finding,) = facets(network, [("whole", 0)], images=images, layer="parts", facets=2, steps=4)
    assert finding.data["pictures"] == 5
    assert {item["image"] for facet in finding.data["facets"] for item in facet["examples"]} == {5, 6, 7, 8, 9}


def test_there_are_no_more_facets_than_kinds_of_picture():
    network, images = tiny.two_faced(), pictures(edges(1, 0) * 4)
    (finding,) = facets(network, [("whole", 1)], images=images, layer="parts", facets=3, steps=4)
    assert [facet["share"] for facet in finding.data["facets"]] == [1.0]
    assert set(finding.pictures) == {"facet_1"}


def test_what_cannot_have_facets_fails():
    network, images = tiny.two_faced(), pictures(edges(3, 3))
    network.stages["whole"][1].joined.bias[1] = torch.nan
    never, broken = facets(network, [("whole", 2), ("whole", 1)], images=images, layer="parts", steps=2)
    assert isinstance(never, Failure)
    assert "never above zero" in never.reason
    assert isinstance(broken, Failure)
    assert "finite" in broken.reason
    with pytest.raises(ValueError, match="does not come before"):
        list(facets(network, [("whole", 0)], images=images, layer="whole", steps=2))
    with pytest.raises(KeyError, match="nowhere"):
        list(facets(network, [("whole", 0)], images=images, layer="nowhere", steps=2))


def test_a_survey_at_hand_is_used():
    network, images = tiny.two_faced(), pictures(edges(6, 6))
    surveys = survey(network, ["whole"], images)
    (alone,) = facets(network, [("whole", 0)], images=images, layer="parts", steps=2)
    (given,) = facets(network, [("whole", 0)], images=images, layer="parts", steps=2, surveys=surveys)
    assert alone.data == given.data


def test_output_belongs_to_version_1():
    network, images = tiny.two_faced(), pictures(edges(5, 3))
    (finding,) = facets(network, [("whole", 0)], images=images, layer="parts", facets=2, steps=8)
    assert recipes.KINDS["facets"].version == 1
    assert [
        (
            facet["share"],
            round(facet["value"], 3),
            [item["image"] for item in facet["examples"]],
            [[index, round(weight, 3)] for index, weight in facet["channels"]],
        )
        for facet in finding.data["facets"]
    ] == [
        (0.625, 0.145, [2, 1, 3, 0, 4], [[0, 0.994], [2, 0.106], [1, 0.0]]),
        (0.375, 0.173, [6, 7, 5], [[1, 1.0], [0, 0.022], [2, 0.02]]),
    ]
    for name, total in {"facet_1": 3435, "facet_2": 3375}.items():
        assert int(finding.pictures[name].sum()) == pytest.approx(total, abs=20)
