from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from taxonomy import recipes
from tests import tiny
from workers import curve_network, scan, stimuli
from workers.evidence import Failure, Finding
from workers.evidence.joint_tuning import _aligned as aligned
from workers.evidence.joint_tuning import joint_tuning, turned
from workers.network import Network


def column_and_row() -> Network:
    """Unit 0 sums three columns of 25 pixels of grey, unit 1 three rows, unit 2 is always -1. Pictures of 31 x 31."""
    kernels = torch.zeros(3, 3, 25, 25)
    kernels[0, :, :, 11:14] = kernels[1, :, 11:14, :] = 1 / 3
    return Network("column_and_row", {"conv": tiny.conv(kernels, [0.0, 0.0, -1.0])}, tiny.preprocessing(31))


def pictures(folder: Path, **drawn: np.ndarray) -> scan.Pictures:
    for name, values in drawn.items():
        Image.fromarray(np.rint(values * 255).astype(np.uint8)).save(folder / f"{name}.png")
    names = [f"{name}.png" for name in drawn]
    return scan.Pictures(names, lambda index: folder / names[index])


@pytest.fixture
def lines(tmp_path: Path) -> scan.Pictures:
    """Nothing, a vertical line of one pixel, and a horizontal one of which every second pixel is dark."""
    vertical, horizontal = np.zeros((31, 31)), np.zeros((31, 31))
    vertical[:, 15] = horizontal[15, 1::2] = 1
    return pictures(tmp_path, nothing=np.zeros((31, 31)), vertical=vertical, horizontal=horizontal)


def test_responses_are_arithmetic(lines: scan.Pictures):
    (finding,) = joint_tuning(column_and_row(), [("conv", (1, 2, 0))], images=lines, top=1, step=90)
    assert isinstance(finding, Finding)
    assert (finding.layer, finding.channel) == ("conv", (1, 2, 0))
    assert finding.data["stimulus"] == "line"
    assert finding.data["members"] == [1, 0]
    assert finding.data["left_out"] == [2]
    assert finding.data["peaks"] == [90, 0]
    assert finding.data["angles"] == [-180, -90, 0, 90]
    assert finding.data["examples"] == 1
    # Of the vertical line 25 pixels are bright along it and 3 across, of the other 13 along it and the one in its
    # middle across: each member sees both, one of them turned.
    for curve in (*finding.data["responses"], finding.data["mean"]):
        assert curve == pytest.approx([1, 2 / 19, 1, 2 / 19], abs=1e-4)
    # By itself each sees its own.
    column, row = joint_tuning(column_and_row(), [("conv", (0,)), ("conv", (1,))], images=lines, top=1, step=90)
    assert column.data["mean"] == pytest.approx([1, 3 / 25, 1, 3 / 25], abs=1e-4)
    assert row.data["mean"] == pytest.approx([1, 1 / 13, 1, 1 / 13], abs=1e-4)


def test_what_a_survey_found_is_used(lines: scan.Pictures):
    network = column_and_row()
    surveys = scan.survey(network, ["conv"], lines)
    (own,) = joint_tuning(network, [("conv", (0, 1))], images=lines, top=2, step=45)
    (given,) = joint_tuning(network, [("conv", (0, 1))], images=lines, top=2, step=45, surveys=surveys)
    assert given.data == own.data
    (more,) = joint_tuning(network, [("conv", (0, 1))], images=lines, top=16, step=45, surveys=surveys)
    assert more.data["examples"] == 3  # there are no more


def test_a_family_that_faces_nowhere_fails(lines: scan.Pictures):
    network = column_and_row()
    (dead,) = joint_tuning(network, [("conv", (2,))], images=lines)
    reason = "None of its members answers to a drawn curve or line, so none has a front."
    assert dead == Failure("conv", (2,), reason)


def test_pictures_turn_clockwise_about_a_point():
    random = torch.Generator().manual_seed(0)
    picture = torch.rand(1, 3, 9, 12, generator=random)
    (same,) = turned([0], 5, middle=(2, 2), picture=picture, about=(6, 4))
    np.testing.assert_allclose(same, picture[0, :, 2:7, 4:9], atol=1e-5)
    for angle, times in ((90, 1), (180, 2), (270, 3)):
        (quarter,) = turned([angle], 5, middle=(2, 2), picture=picture, about=(6, 4))
        np.testing.assert_allclose(quarter, np.rot90(same, -times, axes=(1, 2)), atol=1e-5)
    (aside,) = turned([0], 5, middle=(1, 2), picture=picture, about=(6, 4))
    np.testing.assert_allclose(aside, picture[0, :, 2:7, 5:10], atol=1e-5)
    # A curve that is turned by 30 degrees bulges 30 degrees further.
    arc = torch.from_numpy(stimuli.arcs([20], 101))[None].expand(-1, 3, -1, -1)
    (further,) = turned([30], 101, middle=(50, 50), picture=arc, about=(50, 50))
    assert np.corrcoef(further[0].ravel(), stimuli.arcs([50], 101)[0].ravel())[0, 1] > 0.98


def test_beyond_the_border_is_the_mirror_image():
    picture = torch.arange(12.0).reshape(1, 1, 1, 12).expand(1, 3, 9, 12) / 12
    (found,) = turned([0], 7, middle=(3, 3), picture=picture, about=(0, 4))
    assert found[0, 3] * 12 == pytest.approx([3, 2, 1, 0, 1, 2, 3], abs=1e-4)
    everywhere = turned(np.arange(0, 360, 30), 21, middle=(10, 10), picture=torch.full((1, 3, 9, 9), 0.7), about=(0, 8))
    assert everywhere == pytest.approx(0.7, abs=1e-5)  # no border turns up


def test_answers_are_aligned_between_turns():
    # A triangle around 0, 90 degrees to either side, seen by members that face to 0 and 40, in pictures of both.
    peaks = np.array([0.0, 40.0])
    shifts = np.subtract.outer(peaks, peaks)
    turns = np.arange(0, 360, 10)

    def triangle(angle: np.ndarray) -> np.ndarray:
        return np.maximum(0, 1 - np.abs((angle + 180) % 360 - 180) / 90)

    answers = triangle(turns[:, None, None] + shifts)
    expected = triangle(np.arange(-180, 180, 10))
    for place in range(2):
        for member in range(2):
            np.testing.assert_allclose(aligned(answers, shifts, 10)[:, place, member], expected, atol=1e-9)
    between = aligned(answers, shifts + 5, 10)[:, 0, 0]  # half way between two turns: their mean
    np.testing.assert_allclose(between, (triangle(np.arange(-180, 180, 10) - 10) + expected) / 2, atol=1e-9)


def test_curves_of_the_curve_network_are_tuned_to_pictures_as_to_drawings(tmp_path: Path):
    """Rings, curves and corners at any place of pictures with noise: what the network itself finds in them."""
    stimuli.write(tmp_path, 105)
    names = sorted(path.name for path in tmp_path.glob("*.png"))
    images = scan.Pictures(names, lambda index: tmp_path / names[index])
    network = curve_network.build()
    surveys = scan.survey(network, ["mixed3b"], images)
    curves, lines = joint_tuning(
        network,
        [("mixed3b", tuple(range(24))), ("mixed3b", tuple(range(24, 42)))],
        images=images,
        surveys=surveys,
        top=2,
    )
    assert curves.data["stimulus"] == "curve"
    apart = (np.array(curves.data["peaks"]) - curve_network.CURVES + 180) % 360 - 180
    assert np.abs(apart).max() <= 5
    angles, mean = np.array(curves.data["angles"]), np.array(curves.data["mean"])
    assert angles[mean.argmax()] == 0
    assert mean[np.abs(angles) >= 70].max() <= 0.5 * mean.max()
    assert mean[np.abs(angles) >= 70].max() <= 0.05 * mean.max()  # and nothing is left on the other side
    for responses in curves.data["responses"]:
        assert max(responses) == 1
        assert abs(angles[int(np.argmax(responses))]) <= 15
    # A line is the same after half a turn.
    assert lines.data["stimulus"] == "line"
    mean = dict(zip(lines.data["angles"], lines.data["mean"], strict=True))
    assert mean[-180] == pytest.approx(mean[0], abs=0.02)
    assert mean[0] > 0.9
    assert max(mean[-90], mean[90]) < 0.1


def test_refusals(lines: scan.Pictures):
    network = column_and_row()
    for parameters, message in (
        ({"step": 7}, "does not divide"),
        ({"step": 0}, "does not divide"),
        ({"top": 0}, "one"),
    ):
        with pytest.raises(ValueError, match=message):
            next(joint_tuning(network, [("conv", (0,))], images=lines, **parameters))
    with pytest.raises(ValueError, match="at least one member"):
        next(joint_tuning(network, [("conv", ())], images=lines))
    with pytest.raises(KeyError, match="no layer 'nowhere'"):
        next(joint_tuning(network, [("nowhere", (0,))], images=lines))


def test_output_belongs_to_version_1(lines: scan.Pictures):
    assert recipes.KINDS["joint_tuning"].version == 1
    (finding,) = joint_tuning(column_and_row(), [("conv", (0, 1))], images=lines, top=2, step=45)
    assert finding.data["mean"] == pytest.approx([1.0, 0.2867, 0.093, 0.2867, 1.0, 0.2867, 0.093, 0.2867], abs=1e-3)
