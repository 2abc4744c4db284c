import numpy as np
import pytest
import torch
from torch import nn

from taxonomy import recipes
from tests import tiny
from workers import curve_network
from workers.evidence import Failure, Finding
from workers.evidence.family_weights import family_weights
from workers.network import Network

CURVES, LINES = tuple(range(24)), tuple(range(24, 42))


def family(
    network: Network, layer: str, members: tuple[int, ...], source_layer: str, source: tuple[int, ...]
) -> Finding:
    (finding,) = family_weights(network, [(layer, members)], source_layer=source_layer, source=source)
    assert isinstance(finding, Finding)
    return finding


def four_ways() -> Network:
    """`edges` (3x3, over grey): brighter to the right, below, left, above, in the order 2, 0, 3, 1. `again` (1x1): each
    excited by its own and inhibited by half by the opposite one, in the order of the angle; unit 4 is dead."""
    right, below = torch.tensor(tiny.VERTICAL_EDGE), torch.tensor(tiny.HORIZONTAL_EDGE)
    order = [2, 0, 3, 1]
    edges, again = torch.zeros(4, 3, 3, 3), torch.zeros(5, 4, 1, 1)
    for place, kernel in zip(order, (right, below, -right, -below), strict=True):
        edges[place] = kernel / 3
    for turn in range(4):
        again[turn, order[turn], 0, 0], again[turn, order[(turn + 2) % 4], 0, 0] = 1.0, -0.5
    stages = {"edges": tiny.conv(edges), "again": nn.Sequential(nn.ReLU(), tiny.conv(again))}
    return Network("four_ways", stages, tiny.preprocessing(9))


def test_both_sides_are_ordered_by_angle_whatever_the_order_asked_for():
    curves = family(curve_network.build(), "mixed3b", CURVES[::-1], "mixed3a", (*CURVES[7:], *CURVES[:7]))
    assert curves.channel == CURVES[::-1]
    assert curves.data["members"] == curves.data["source"] == list(CURVES)
    for angles in (curves.data["angles"], curves.data["source_angles"]):
        apart = (np.array(angles) - 15 * np.arange(24) + 180) % 360 - 180
        assert np.abs(apart).max() <= 5
    assert curves.data["stimulus"] == curves.data["source_stimulus"] == "curve"


def test_the_kernels_are_those_of_the_network_in_that_order():
    network = curve_network.build()
    finding = family(network, "mixed3b", (9, 3), "mixed3a", (6, 0, 30))
    weight = network.stages["mixed3b"][1].weight
    assert finding.data["members"] == [3, 9]
    expected = weight[finding.data["members"]][:, finding.data["source"]]
    assert np.array_equal(finding.arrays["kernels"], expected)
    assert finding.data["k"] == 5
    assert not finding.data["linearised"]
    assert finding.data["scale"] == float(expected.abs().max())
    for row, kernels in zip(finding.data["strengths"], expected, strict=True):
        for strength, kernel in zip(row, kernels, strict=True):
            assert abs(strength) == float(kernel.abs().max())
            assert strength in kernel


def test_the_curve_network_shows_the_band_of_equivariance():
    """By the angle between the two: 1, .75, .40, .13, about 0, then down to -1 where they face away from each other."""
    data = family(curve_network.build(), "mixed3b", CURVES, "mixed3a", CURVES).data
    assert data["equivariance"] > 0.95
    strengths = np.array(data["strengths"])
    apart = (np.arange(24)[:, None] - np.arange(24)) % 24
    of_angle = np.array([strengths[apart == steps].mean() for steps in range(24)]) / strengths.max()
    assert strengths[apart == 0].min() > 0.6 * strengths.max()  # the band excites,
    assert strengths[apart == 12].max() < -0.6 * strengths.max()  # and the opposite inhibits
    assert of_angle[[0, 1, 23]].min() > 0.6
    assert np.abs(of_angle[[6, 7, 17, 18]]).max() < 0.1  # at right angles there is little
    assert of_angle[[11, 12, 13]].max() < -0.6
    assert of_angle[1:12] == pytest.approx(of_angle[:12:-1], abs=0.02)  # and no handedness
    by_chance = np.random.default_rng(0).permutation(24)
    shuffled = strengths[by_chance]
    assert np.corrcoef(shuffled.ravel(), np.roll(shuffled, (1, 1), (0, 1)).ravel())[0, 1] < 0.5


def test_families_of_other_steps_are_turned_together_by_the_least_angle_that_fits_both():
    network = curve_network.build()
    lines = family(network, "mixed3b", CURVES, "mixed3a", LINES).data
    assert lines["source_stimulus"] == "line"
    strengths = np.array(lines["strengths"])
    turned = np.roll(strengths, (2, 3), (0, 1))  # 30 degrees: two steps of 15, three of 10
    assert lines["equivariance"] == pytest.approx(np.corrcoef(strengths.ravel(), turned.ravel())[0, 1])
    assert lines["equivariance"] > 0.6
    assert family(network, "mixed3b", CURVES[:7], "mixed3a", CURVES).data["equivariance"] is None


def test_far_families_are_linearised():
    finding = family(curve_network.build(), "mixed3b", (0, 6), "conv2d2", (0, 9, 18))
    assert finding.data["linearised"]
    assert finding.data["k"] == 15  # 5 cells of two, over a pool of 3 and 3x3: 2 * 4 + 2 * 2 + 3
    assert finding.arrays["kernels"].shape == (2, 3, 15, 15)


def test_the_picture_shows_red_and_blue_kernels_between_thin_lines():
    finding = family(four_ways(), "again", (0, 1, 2, 3), "edges", (0, 1, 2, 3))
    assert [finding.data["source"].index(index) for index in (2, 0, 3, 1)] == [
        finding.data["members"].index(index) for index in range(4)
    ]
    picture = finding.pictures["matrix"]
    assert picture.shape == (4 * 41 + 1, 4 * 41 + 1, 3)
    middles = picture[21::41, 21::41].astype(int)
    redder = middles[..., 0] - middles[..., 2]
    strengths = np.array(finding.data["strengths"])
    assert np.array_equal(redder > 0, strengths == 1)
    assert np.array_equal(redder < 0, strengths == -0.5)
    assert (middles[strengths == 0] == 255).all()
    assert len(np.unique(picture[0].reshape(-1, 3), axis=0)) == 1


def test_those_without_an_angle_come_last_and_leave_no_rotation():
    finding = family(four_ways(), "again", (4, 2, 0), "edges", (2, 3))
    assert finding.data["members"][-1] == 4
    assert finding.data["angles"][-1] is None
    assert None not in finding.data["angles"][:2]
    assert finding.data["equivariance"] is None


def test_nothing_and_no_numbers_fail_with_a_sentence():
    network = curve_network.build()
    families = [("mixed3b", LINES), ("mixed3b", CURVES[:2])]
    lines, curves = family_weights(network, families, source_layer="mixed3a", source=CURVES[:3])
    assert lines == Failure("mixed3b", LINES, "There are no weights from these neurons of mixed3a to it.")
    assert isinstance(curves, Finding)
    network.stages["mixed3b"][1].weight[0, 1] = torch.nan
    (broken,) = family_weights(network, families[1:], source_layer="mixed3a", source=CURVES[:3])
    assert broken == Failure("mixed3b", CURVES[:2], "Some of its weights are not finite numbers.")
    with pytest.raises(ValueError, match="at least one"):
        list(family_weights(network, families, source_layer="mixed3a", source=()))
    with pytest.raises(ValueError, match="before"):
        list(family_weights(network, [("mixed3a", (0,))], source_layer="mixed3b", source=(0,)))


def test_output_belongs_to_version_1():
    finding = family(four_ways(), "again", (0, 1, 2, 3), "edges", (3, 2, 1, 0))
    assert recipes.KINDS["family_weights"].version == 1
    assert (finding.data["k"], finding.data["scale"], finding.data["linearised"]) == (1, 1.0, False)
    assert finding.data["equivariance"] == pytest.approx(1)
    assert np.array(finding.data["strengths"]).tolist() == [
        [1.0, 0.0, -0.5, 0.0],
        [0.0, 1.0, 0.0, -0.5],
        [-0.5, 0.0, 1.0, 0.0],
        [0.0, -0.5, 0.0, 1.0],
    ]
