import numpy as np
import pytest
import torch

from taxonomy import recipes
from tests import tiny
from workers.evidence import Failure, Finding
from workers.evidence.tuning_curves import measures, tuning_curves
from workers.network import Network


def column_and_row() -> Network:
    """Unit 0 sums a column of 3 pixels of grey, unit 1 a row, unit 2 is always -1."""
    column, row = [[0.0, 1.0, 0.0]] * 3, [[0.0] * 3, [1.0] * 3, [0.0] * 3]
    weights = torch.tensor([tiny.grey(column), tiny.grey(row), tiny.grey([[0.0] * 3] * 3)])
    return Network("column_and_row", {"conv": tiny.conv(weights, [0.0, 0.0, -1.0])}, tiny.preprocessing(9))


def test_responses_are_arithmetic():
    column, row, dead = tuning_curves(
        column_and_row(), [("conv", 0), ("conv", 1), ("conv", 2)], stimulus="line", stroke=1, step=45
    )
    assert isinstance(column, Finding)
    assert column.data["angles"] == [0, 45, 90, 135]
    # A vertical line of one pixel covers the column of three; a horizontal one its middle; an oblique one the middle
    # and, 1 / sqrt(2) away from the line, 1 - 1 / sqrt(2) of each end.
    oblique = 1 + 2 * (1 - np.sqrt(0.5))
    assert column.data["responses"] == pytest.approx([3, oblique, 1, oblique], abs=1e-5)
    assert row.data["responses"] == pytest.approx([1, oblique, 3, oblique], abs=1e-5)
    assert (column.data["peak"], row.data["peak"]) == (0, 90)
    assert column.data["echo"] is None
    assert column.data["unit"] == "activation"
    assert column.pictures["peak"].tolist() == [[[0] * 3, [255] * 3, [0] * 3]] * 3
    assert row.pictures["peak"].tolist() == [[[0] * 3] * 3, [[255] * 3] * 3, [[0] * 3] * 3]
    # It never responds: the values are kept, there is no peak.
    assert dead.data["responses"] == [-1, -1, -1, -1]
    assert dead.data["peak"] is dead.data["width"] is None
    assert dead.pictures == {}


def test_curves_turn_all_the_way():
    (finding,) = tuning_curves(column_and_row(), [("conv", 0)], radius=100, step=0.5)
    assert len(finding.data["responses"]) == 720
    assert finding.data["angles"][-1] == 359.5
    assert finding.data["peak"] in (0, 180)  # three pixels cannot tell `)` from `(`
    assert finding.data["echo"] == pytest.approx(1, abs=0.02)


def test_each_branch_is_stimulated_at_its_own_centre():
    network = tiny.branchy()
    one, three = tuning_curves(network, [("fire", 0), ("fire", 1)], stimulus="line", step=90)
    assert one.pictures["peak"].shape == (3, 3, 3)
    assert three.pictures["peak"].shape == (7, 7, 3)
    peak = three.pictures["peak"]
    assert np.array_equal(peak, peak[::-1, ::-1])  # centred on the field


def test_a_neuron_does_not_depend_on_its_company():
    network = tiny.branchy()
    targets = [("fire", 2), ("first", 1), ("fire", 0), ("first", 0)]
    together = {(f.layer, f.channel): f for f in tuning_curves(network, targets, step=7.5)}
    assert together.keys() == set(targets)
    for target in targets:
        (alone,) = tuning_curves(network, [target], step=7.5)
        assert together[target].data == alone.data


def test_what_is_not_a_number_fails():
    network = column_and_row()
    network.stages["conv"].bias[1] = float("nan")
    column, row = tuning_curves(network, [("conv", 0), ("conv", 1)], step=90)
    assert isinstance(column, Finding)
    assert row == Failure("conv", 1, "Its responses are not finite numbers.")


def test_peak_width_and_echo():
    angles = np.arange(0, 360, 10.0)
    bump = np.maximum(0, 1 - np.abs((angles - 350 + 180) % 360 - 180) / 40)  # a triangle, 40 degrees to either side
    assert measures(angles, 5 * bump, 360) == {"peak": 350, "width": pytest.approx(40), "echo": 0}
    echoing = bump + 0.25 * np.roll(bump, 18)
    assert measures(angles, echoing - 0.125, 360)["echo"] == pytest.approx(0.125 / 0.875)
    assert measures(angles, np.ones(36), 360) == {"peak": 0, "width": 360, "echo": 1}
    assert measures(angles, np.zeros(36), 360) == {"peak": None, "width": None, "echo": None}
    assert measures(angles[:18], bump[:18] + 0.1, 180)["echo"] is None  # lines have no opposite


def test_refusals():
    network = column_and_row()
    with pytest.raises(ValueError, match="no stimulus 'spiral'"):
        next(tuning_curves(network, [("conv", 0)], stimulus="spiral"))
    for step in (0.7, 0, -1, 720):
        with pytest.raises(ValueError, match="does not divide"):
            next(tuning_curves(network, [("conv", 0)], step=step))
    with pytest.raises(KeyError, match="no layer 'nowhere'"):
        next(tuning_curves(network, [("nowhere", 0)]))


def test_output_belongs_to_version_1():
    (finding,) = tuning_curves(tiny.two_conv(), [("second", 0)], step=60, radius=4)
    assert recipes.KINDS["tuning_curves"].version == 1
    assert finding.data["responses"] == pytest.approx([1.7599, 3.5019, 2.2047, 7.148, 2.2047, 3.5019], abs=1e-3)
