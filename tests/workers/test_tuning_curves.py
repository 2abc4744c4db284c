import numpy as np
import pytest
import torch

from taxonomy import recipes
from tests import tiny
from tests.shared import DATA, needs_data
from workers import zoo
from workers.evidence import Failure, Finding
from workers.evidence.tuning_curves import tuning_curves
from workers.network import Network
from workers.responses import measures


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
    assert column.data["axis"] == {"name": "angle", "unit": "degrees", "period": 180, "values": [0, 45, 90, 135]}
    # A vertical line of one pixel covers the column of three; a horizontal one its middle; an oblique one the middle
    # and, 1 / sqrt(2) away from the line, 1 - 1 / sqrt(2) of each end.
    oblique = 1 + 2 * (1 - np.sqrt(0.5))
    assert column.data["responses"] == pytest.approx([3, oblique, 1, oblique], abs=1e-5)
    assert row.data["responses"] == pytest.approx([1, oblique, 3, oblique], abs=1e-5)
    assert (column.data["peak"], row.data["peak"]) == (0, 90)
    assert column.data["echo"] is None
    assert column.data["unit"] == "activation"
    assert column.data["at"] == {"stroke": 1}
    assert column.data["others"] == []
    assert column.pictures["peak"].tolist() == [[[0] * 3, [255] * 3, [0] * 3]] * 3
    assert row.pictures["peak"].tolist() == [[[0] * 3] * 3, [[255] * 3] * 3, [[0] * 3] * 3]
    # It never responds: the values are kept, there is no peak.
    assert dead.data["responses"] == [-1, -1, -1, -1]
    assert dead.data["peak"] is dead.data["width"] is None
    assert dead.pictures == {}


def test_curves_turn_all_the_way():
    (finding,) = tuning_curves(column_and_row(), [("conv", 0)], radius=100, stroke=1, step=0.5)
    assert len(finding.data["responses"]) == 720
    assert finding.data["axis"]["values"][-1] == 359.5
    assert finding.data["peak"] in (0, 180)  # three pixels cannot tell `)` from `(`
    assert finding.data["echo"] == pytest.approx(1, abs=0.02)
    # Other radii, five times as far apart.
    assert finding.data["at"] == {"stroke": 1, "radius": 100}
    assert [(other["name"], other["unit"]) for other in finding.data["others"]] == [("radius", "px")] * 4
    assert [other["value"] for other in finding.data["others"]] == pytest.approx([60, 80, 150, 200])
    for other in finding.data["others"]:
        assert other["values"] == finding.data["axis"]["values"][::5]
        assert len(other["responses"]) == 144
    assert finding.data["others"][-1]["responses"] == pytest.approx(finding.data["responses"][::5], abs=0.05)


def test_other_radii_are_drawn_with_their_radius():
    network = curve_reader()
    (finding,) = tuning_curves(network, [("conv", 0)], radius=8, stroke=1, step=45)
    (twice,) = tuning_curves(network, [("conv", 0)], radius=16, stroke=1, step=45)
    assert finding.data["others"][-1]["value"] == twice.data["at"]["radius"] == 16
    assert finding.data["others"][-1]["values"] == [0, 180]  # of eight angles, every fourth
    assert finding.data["others"][-1]["responses"] == twice.data["responses"][::4]
    assert abs(finding.data["responses"][0] - twice.data["responses"][0]) > 0.05


def curve_reader() -> Network:
    """One unit of 9 x 9 pixels, which sums the 5 middle rows of a column 1 pixel left of its middle and of that middle
    one."""
    weights = torch.zeros(1, 3, 9, 9)
    weights[0, :, 2:7, 3:5] = 1 / 3
    return Network("curve_reader", {"conv": tiny.conv(weights)}, tiny.preprocessing(9))


def test_gratings_drive_an_edge_by_the_sine_of_its_width():
    vertical, horizontal, _, dead = tuning_curves(
        tiny.one_conv(), [("conv", c) for c in range(4)], stimulus="grating", step=15
    )
    # v(x) = 1/2 + cos(kx + phase) / 2, and 3 v(1) - 3 v(-1) = -3 sin(k) sin(phase): only at 270 degrees is it positive,
    # and of the periods 3.54 has the largest sine.
    assert vertical.data["at"] == {"period": 3.54}
    assert (vertical.data["peak"], horizontal.data["peak"]) == (0, 90)
    by_period = {other["value"]: other["responses"][0] for other in vertical.data["others"]}
    assert by_period == pytest.approx({p: 3 * np.sin(2 * np.pi / p) / 4 for p in by_period}, abs=1e-5)
    assert list(by_period) == [2.5, 3.54, 5, 7.07, 10, 14.14, 20, 28.28]
    assert max(vertical.data["responses"]) == pytest.approx(by_period[3.54])
    assert vertical.data["phase_modulation"] == pytest.approx(1)
    column = vertical.pictures["peak"][1, :, 0] / 255
    k = 2 * np.pi / 3.54
    assert column == pytest.approx([0.5 + np.cos(k * x + 3 * np.pi / 2) / 2 for x in (-1, 0, 1)], abs=0.003)
    assert dead.data["peak"] is dead.data["phase_modulation"] is None
    assert dead.data["responses"] == [0] * 12  # rectified, as they are averaged
    assert dead.pictures == {}


def test_a_unit_that_wants_the_fine_pattern_on_one_side():
    names = {"right": 0, "below": 90, "left": 180}
    findings = tuning_curves(fine_and_coarse(), [("beside", c) for c in range(3)], stimulus="high_low", step=45)
    for finding, angle in zip(findings, names.values(), strict=True):
        assert finding.data["peak"] == angle
        assert finding.data["echo"] == 0
        assert finding.data["axis"]["period"] == 360
        assert finding.data["at"]["period"] == 5
        assert [other["value"] for other in finding.data["others"]] == [1.5, 2, 3, 5]
        strongest = [max(other["responses"]) for other in finding.data["others"]]
        assert finding.data["at"]["ratio"] == [1.5, 2, 3, 5][int(np.argmax(strongest))]
        assert max(finding.data["responses"]) == max(strongest)
        assert strongest[0] < strongest[2]  # the more they differ


def fine_and_coarse() -> Network:
    """`fine` is how much a pixel differs from its eight neighbours, up and down apart; `beside` is that at the right
    less that at the left, below less above, left less right, over 9 x 9 pixels."""
    around = torch.full((3, 3), -1 / 24)
    around[1, 1] = 1 / 3
    fine = torch.stack([around, -around])[:, None].expand(-1, 3, -1, -1)
    side = torch.tensor([-1.0] * 4 + [0.0] + [1.0] * 4).expand(9, 9)
    beside = torch.stack([side, side.T, -side])[:, None].expand(-1, 2, -1, -1)
    stages = {"fine": tiny.conv(fine), "beside": torch.nn.Sequential(torch.nn.ReLU(), tiny.conv(beside))}
    return Network("fine_and_coarse", stages, tiny.preprocessing(15))


def test_a_disc_against_a_centre_and_its_surround():
    kernel = [[-1.0] * 3, [-1.0, 8.0, -1.0], [-1.0] * 3]
    weights = torch.tensor([tiny.grey(kernel), tiny.grey((-np.array(kernel)).tolist())])
    network = Network("centre", {"conv": tiny.conv(weights)}, tiny.preprocessing(9))
    on, off = tuning_curves(network, [("conv", 0), ("conv", 1)], stimulus="centre_surround")
    # A disc of radius r covers 1/2 + r - d of a pixel at distance d, up to all of it: here the middle, 4 sides at 1
    # and 4 corners at sqrt(2).
    corner = np.sqrt(2)
    expected = [8 - 4 * 0.5 - 4 * (1.5 - corner), 8 - 4 - 4 * (2 - corner), *[0] * 10]
    assert on.data["axis"]["values"] == [1, 1.5, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48]
    assert on.data["axis"]["period"] is None
    assert on.data["responses"] == pytest.approx(expected, abs=1e-5)
    assert (on.data["at"], off.data["at"]) == ({"pair": "white on black"}, {"pair": "black on white"})
    assert (on.data["peak"], on.data["width"], on.data["echo"]) == (1, None, None)
    assert off.data["responses"] == pytest.approx(expected, abs=1e-5)
    pairs = {other["value"]: other["responses"] for other in on.data["others"]}
    assert pairs["black on white"] == pytest.approx([-value for value in expected], abs=1e-5)
    assert len(pairs) == 6
    for name, responses in pairs.items():
        if "white" not in name:  # of the same R + G + B
            assert responses == pytest.approx([0] * 12, abs=1e-5)


def test_a_unit_that_weighs_red_against_blue_has_a_hue():
    vertical, red, blue = tuning_curves(colours(), [("conv", c) for c in range(3)], stimulus="hue", step=5)
    # Colours are 1/2 + cos(hue - 0, 120, 240) / 2, so red less blue is cos(hue - 30) sqrt(3) / 2.
    angles = np.deg2rad(np.arange(0, 360, 5))
    assert red.data["responses"] == pytest.approx(np.cos(angles - np.pi / 6) * np.sqrt(3) / 2, abs=1e-5)
    assert (red.data["peak"], blue.data["peak"]) == (30, 210)
    assert red.data["width"] == pytest.approx(120, abs=0.2)
    assert red.data["echo"] == 0
    # One pixel in the middle: a disc and a line cover it, a disc of grey on the colour hides it.
    others = [(other["name"], other["value"], other["responses"]) for other in red.data["others"]]
    assert [other[:2] for other in others] == [("disc", 4), ("disc", 12), ("surround", 4), ("line", 0), ("line", 90)]
    for name, _, responses in others:
        expected = [0] * 18 if name == "surround" else red.data["responses"][::4]
        assert responses == pytest.approx(expected, abs=1e-5)
    assert red.pictures["peak"][1, 1].tolist() == [round(255 * (0.5 + np.sqrt(3) / 4)), 128, 17]
    # It ignores colour: not zero, but the same for every hue.
    assert vertical.data["responses"] == pytest.approx([1.5] * 72, abs=1e-5)
    assert vertical.data["peak"] is vertical.data["width"] is vertical.data["echo"] is None
    assert vertical.pictures == {}


def colours() -> Network:
    """Unit 0 adds up a pixel's colours; 1 is its red less its blue, 2 its blue less its red."""
    weight = torch.zeros(3, 3, 3, 3)
    weight[:, :, 1, 1] = torch.tensor([[1.0, 1, 1], [1, 0, -1], [-1, 0, 1]])
    return Network("colours", {"conv": tiny.conv(weight)}, tiny.preprocessing(9))


def test_each_branch_is_stimulated_at_its_own_centre():
    network = tiny.branchy()
    one, three = tuning_curves(network, [("fire", 0), ("fire", 1)], radius=3, step=15)
    assert one.pictures["peak"].shape == (3, 3, 3)
    assert three.pictures["peak"].shape == (7, 7, 3)
    (three,) = tuning_curves(network, [("fire", 1)], stimulus="line", step=15)
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
    high = measures(angles, np.ones(36) + 0.1 * (angles == 20), 360)
    assert high == {"peak": 20, "width": 360, "echo": pytest.approx(1 / 1.1)}
    assert measures(angles, np.ones(36) + 1e-6 * bump, 360) == {"peak": None, "width": None, "echo": None}
    assert measures(angles, np.zeros(36), 360) == {"peak": None, "width": None, "echo": None}
    assert measures(angles[:18], bump[:18] + 0.1, 180)["echo"] is None  # lines have no opposite
    assert measures(angles, bump, None) == {"peak": 350, "width": None, "echo": None}  # nor do radii wrap


@needs_data
def test_hues_of_a_learned_first_layer_are_those_of_its_kernels():
    network = zoo.load("squeezenet1_0", DATA / "squeezenet1_0" / "squeezenet1_0.safetensors")
    weights = next(module for module in network.stages["conv1"].modules() if isinstance(module, torch.nn.Conv2d)).weight
    # One colour all over is weighed by the sum of each colour's weights, and hues are a circle in RGB: the best one is
    # the direction of these sums.
    red, green, blue = (weights.sum((2, 3)) / network.std.flatten()).numpy().T
    direction = np.rad2deg(np.arctan2((green - blue) * np.sqrt(3), 2 * red - green - blue)) % 360
    findings = list(tuning_curves(network, [("conv1", c) for c in range(96)], stimulus="hue"))
    peaks = np.array([finding.data["peak"] for finding in findings], dtype=float)
    assert np.isfinite(peaks).sum() > 48  # the others are below zero whatever the hue
    assert np.nanmax(np.abs((peaks - direction + 180) % 360 - 180)) <= 2.6  # half a step


def test_refusals():
    network = column_and_row()
    with pytest.raises(ValueError, match="no stimulus 'spiral'"):
        next(tuning_curves(network, [("conv", 0)], stimulus="spiral"))
    for step in (0.7, 0, -1, 720):
        with pytest.raises(ValueError, match="does not divide"):
            next(tuning_curves(network, [("conv", 0)], step=step))
    with pytest.raises(KeyError, match="no layer 'nowhere'"):
        next(tuning_curves(network, [("nowhere", 0)]))


@pytest.mark.parametrize(
    ("stimulus", "peak", "golden"),
    [
        ("curve", 179, [1.7599, 3.5019, 2.2047, 7.148, 2.2047, 3.5019]),
        ("line", 8.5, [4.5, 4.2811, 2.3529, 0.0, 2.3529, 4.2811]),
        ("grating", 15, [4.8083, 4.7909, 1.7571, 0.0, 1.7571, 4.7909]),
        ("high_low", 55, [1.9375, 2.5201, 2.5201, 1.9375, 2.5201, 2.5201]),
        ("centre_surround", 1.5, [3.1716, 1.9451, 0.5447, 0.0, 0.0, 0.0]),
        ("hue", None, [0, 0, 0, 0, 0, 0]),
    ],
)
def test_output_belongs_to_version_2(stimulus: str, peak: float | None, golden: list[float]):
    assert recipes.KINDS["tuning_curves"].version == 2
    (finding,) = tuning_curves(tiny.two_conv(), [("second", 0)], stimulus=stimulus, radius=4)
    assert finding.data["peak"] == peak
    assert finding.data["responses"][:: max(1, len(finding.data["responses"]) // 6)] == pytest.approx(golden, abs=1e-3)
