import numpy as np
import pytest
import torch

from taxonomy import recipes
from tests import tiny
from tests.workers.test_scan import noise, pictures, values_of
from workers.evidence import Failure, Finding
from workers.evidence.activation_histogram import activation_histogram
from workers.scan import POSITIONS, survey


def plain(red: int, blue: int) -> np.ndarray:
    """A picture of one colour, on which channel 2 of `tiny.one_conv` is (red - blue) / 255 everywhere."""
    return np.broadcast_to(np.array([red, 0, blue], dtype=np.uint8), (9, 9, 3)).copy()


def test_of_plain_colours_all_is_arithmetic():
    images = pictures([plain(255, 0), plain(51, 0), plain(51, 0), plain(0, 102)])  # 1, 0.2, 0.2, -0.4
    (finding,) = activation_histogram(tiny.one_conv(), [("conv", 2)], images=images, batch=2)
    assert isinstance(finding, Finding)
    data = finding.data
    assert (data["minimum"], data["maximum"]) == (pytest.approx(-0.4), pytest.approx(1.0))
    assert (data["images"], data["samples"]) == (4, 4 * POSITIONS)
    assert data["mean"] == pytest.approx(0.25)
    assert data["sd"] == pytest.approx(np.std([1, 0.2, 0.2, -0.4]))
    assert data["share_above_zero"] == 0.75
    assert data["quantiles"]["0.001"] == pytest.approx(-0.4, rel=1 / 32)
    assert data["quantiles"]["0.5"] == pytest.approx(0.2, rel=1 / 32)
    assert data["quantiles"]["0.999"] == pytest.approx(1.0, rel=1 / 32)
    edges, counts = np.array(data["edges"]), np.array(data["counts"])
    assert 80 <= len(counts) <= 82
    assert len(edges) == len(counts) + 1
    assert np.diff(edges) == pytest.approx(1.4 / 80)
    assert 0.0 in edges
    assert counts.sum() == data["samples"]
    for value, count in ((-0.4, 1), (0.2, 2), (1.0, 1)):
        near = (edges[1:] > value - 0.02) & (edges[:-1] < value + 0.02)
        assert counts[near].sum() == count * POSITIONS


def test_it_estimates_the_distribution_of_all_positions():
    network, images = tiny.branchy(), pictures(noise(200))
    for channel, finding in enumerate(activation_histogram(network, [("first", 0), ("first", 1)], images=images)):
        values = values_of(network, "first", images, 16)[:, channel]
        data = finding.data
        assert (data["minimum"], data["maximum"]) == (values.min(), values.max())
        assert data["mean"] == pytest.approx(values.mean(), abs=0.02)
        assert data["sd"] == pytest.approx(values.std(), rel=0.03)
        assert data["share_above_zero"] == pytest.approx((values > 0).mean(), abs=0.02)
        exact, _ = np.histogram(values, data["edges"])
        # Largest distance between two distributions, of 12,800 values each.
        apart = np.abs(np.cumsum(data["counts"]) / data["samples"] - exact.cumsum() / values.size)
        assert apart.max() < 0.02


def test_a_range_away_from_zero_is_covered():
    network = tiny.one_conv()
    network.stages["conv"].bias[2] = 100.0
    (finding,) = activation_histogram(network, [("conv", 2)], images=pictures([plain(255, 0), plain(0, 255)]))
    edges, counts = finding.data["edges"], finding.data["counts"]
    assert edges[0] <= 99.0
    assert edges[-1] >= 101.0
    assert 80 <= len(counts) <= 82
    assert sum(counts) == finding.data["samples"]
    # A bin of the survey is 2 wide here: all that is known is that each value is within the range.
    assert finding.data["quantiles"]["0.5"] == pytest.approx(100, rel=1 / 32)


def test_dead_and_broken_neurons_fail():
    network = tiny.one_conv()
    network.stages["conv"].bias[0] = torch.nan
    found = activation_histogram(network, [("conv", 3), ("conv", 0)], images=pictures(noise(3, 9)))
    for outcome, word in zip(found, ("dead", "finite"), strict=True):
        assert isinstance(outcome, Failure)
        assert word in outcome.reason


def test_a_survey_at_hand_is_used():
    network, images = tiny.branchy(), pictures(noise(12))
    surveys = survey(network, ["fire"], images)
    (alone,) = activation_histogram(network, [("fire", 1)], images=images)
    (given,) = activation_histogram(network, [("fire", 1)], images=images, surveys=surveys, tick=lambda: None)
    assert alone.data == given.data


def test_output_belongs_to_version_1():
    (finding,) = activation_histogram(tiny.two_conv(), [("first", 0)], images=pictures(noise(5)))
    data = finding.data
    assert recipes.KINDS["activation_histogram"].version == 1
    assert [round(data[name], 4) for name in ("mean", "sd", "share_above_zero", "minimum", "maximum")] == [
        0.0337,
        0.7076,
        0.4875,
        -2.1399,
        2.1595,
    ]
    assert {name: round(value, 3) for name, value in data["quantiles"].items()} == {
        "0.001": -2.137,
        "0.01": -1.841,
        "0.05": -1.016,
        "0.25": -0.391,
        "0.5": -0.013,
        "0.75": 0.391,
        "0.95": 1.5,
        "0.99": 1.915,
        "0.999": 1.959,
    }
    assert data["counts"] == [
        2,
        0,
        0,
        0,
        1,
        1,
        2,
        2,
        0,
        0,
        1,
        0,
        1,
        1,
        1,
        1,
        0,
        1,
        0,
        1,
        1,
        2,
        1,
        0,
        3,
        4,
        4,
        3,
        8,
        8,
        9,
        12,
        14,
        13,
        6,
        11,
        9,
        16,
        6,
        19,
        13,
        6,
        7,
        12,
        9,
        15,
        9,
        12,
        8,
        5,
        6,
        5,
        11,
        4,
        2,
        6,
        0,
        0,
        1,
        2,
        1,
        0,
        0,
        2,
        1,
        1,
        0,
        2,
        0,
        3,
        2,
        2,
        1,
        0,
        4,
        3,
        1,
        0,
        0,
        0,
        0,
    ]
