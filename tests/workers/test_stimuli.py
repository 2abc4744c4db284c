import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from workers import curve_network, stimuli
from workers.curve_network import CLASS_NAMES


def test_an_arc_bulges_to_its_angle():
    right, down, left, up = stimuli.arcs([0, 90, 180, 270], 101)
    assert right[50, 50] == 1  # the middle of the arc
    assert right[50 - 35, 50 - 20] > 0  # its ends, 60 degrees around a circle of radius 40, lie to the left: `)`
    assert right[50 + 35, 50 - 20] > 0
    assert not right[:, 53:].any()
    for turned, quarter_turns in ((down, 1), (left, 2), (up, 3)):
        np.testing.assert_allclose(turned, np.rot90(right, -quarter_turns), atol=1e-4)  # clockwise


def test_a_line_turns_clockwise_from_vertical():
    vertical, rising, horizontal = stimuli.lines([0, 45, 90], 41)
    assert (vertical[:, 19:22] == 1).all()
    assert not vertical[:, :19].any()
    np.testing.assert_allclose(horizontal, vertical.T, atol=1e-5)
    assert rising[0, 40] == rising[40, 0] == 1
    assert rising[0, 0] == 0


def test_strokes_cover_their_area_wherever_they_lie():
    caps = np.pi * 1.5**2  # the two round ends
    for middle in ((50.0, 50.0), (50.3, 49.6)):
        segment = stimuli.lines([17.0], 101, half_length=20, middle=middle)
        assert segment.sum() == pytest.approx(40 * 3 + caps, rel=0.01)
        arc = stimuli.arcs([33.0], 101, middle=middle)
        assert arc.sum() == pytest.approx(2 * np.pi / 3 * 40 * 3 + caps, rel=0.01)


def test_edges_are_antialiased():
    for drawn in (stimuli.arcs([10.0], 101), stimuli.lines([10.0], 101)):
        assert drawn.dtype == np.float32
        assert drawn.min() == 0
        assert drawn.max() == 1
        assert ((drawn > 0) & (drawn < 1)).sum() > 50
    # A line of one pixel's width, half a pixel aside, covers two columns by half.
    (line,) = stimuli.lines([0.0], 5, stroke=1, middle=(1.5, 2))
    assert line[2].tolist() == [0, 0.5, 0.5, 0, 0]


def test_gratings_run_along_their_angle_with_their_period_and_phase():
    vertical, horizontal, oblique = stimuli.gratings([0, 90, 30], 41, period=8)
    assert vertical.dtype == np.float32
    np.testing.assert_allclose(
        vertical, np.tile(0.5 + 0.5 * np.cos(2 * np.pi * np.arange(-20, 21) / 8), (41, 1)), atol=1e-6
    )
    np.testing.assert_allclose(horizontal, vertical.T, atol=1e-5)
    assert oblique[20, 20] == 1
    # The stripe through the middle runs as the line of that angle does.
    line = stimuli.lines([30], 41, stroke=1)[0]
    assert oblique[line == line.max()].min() > 0.9
    (moved,) = stimuli.gratings([0], 41, period=8, phase=90)
    np.testing.assert_allclose(moved[:, :-2], vertical[:, 2:], atol=1e-6)  # a quarter of 8 pixels
    (aside,) = stimuli.gratings([0], 41, period=8, middle=(22, 20))
    np.testing.assert_allclose(aside[:, 2:], vertical[:, :-2], atol=1e-6)


def test_a_fine_pattern_lies_at_its_angle_beside_a_coarse_one():
    right, below = stimuli.high_low([0, 90], 81, period=5, ratio=4)
    fine, coarse = right[:, 41:], right[:, :40]
    for half, period in ((fine, 5), (coarse, 20)):
        np.testing.assert_allclose(half[period:], half[:-period], atol=1e-5)  # along the edge
        np.testing.assert_allclose(half[:, period:], half[:, :-period], atol=1e-5)  # across it
        assert half[:40].mean() == pytest.approx(0.5, abs=0.01)
        assert half.max() == pytest.approx(1, abs=0.02)
    assert np.abs(fine[:, 10:] - fine[:, :-10]).max() < 1e-5 < np.abs(coarse[:, 10:] - coarse[:, :-10]).max()
    np.testing.assert_allclose(below, right.T, atol=1e-4)
    (moved,) = stimuli.high_low([0], 81, period=5, ratio=4, phase=180)
    np.testing.assert_allclose(moved, 1 - right, atol=1e-5)


def test_discs_cover_their_area():
    small, large = stimuli.discs([3, 12.5], 41)
    assert small.sum() == pytest.approx(np.pi * 9, rel=0.02)
    assert large.sum() == pytest.approx(np.pi * 12.5**2, rel=0.01)
    (aside,) = stimuli.discs([3], 41, middle=(10, 25))
    rows, columns = np.nonzero(aside == 1)
    assert (rows.mean(), columns.mean()) == (25, 10)


def test_hues_differ_in_colour_alone():
    colours = stimuli.hues(np.arange(0, 360, 5))
    np.testing.assert_allclose(colours.sum(1), 1.5, atol=1e-6)
    assert colours.min() >= 0
    assert colours.max() <= 1
    red, green, blue = stimuli.hues([0, 120, 240])
    assert (red.argmax(), green.argmax(), blue.argmax()) == (0, 1, 2)
    np.testing.assert_allclose(red, [1, 0.25, 0.25], atol=1e-6)


def test_colours_are_put_where_the_cover_is():
    cover = np.array([[[1.0, 0.5], [0.0, 0.0]]])
    painted = stimuli.coloured(cover, np.array([[1.0, 0, 0], [0, 1, 0]]), np.array([[0.0, 0, 1]]))
    assert painted.shape == (2, 3, 2, 2)
    assert painted.dtype == np.float32
    assert painted[0, :, 0, 0].tolist() == [1, 0, 0]
    assert painted[1, :, 0, 1].tolist() == [0, 0.5, 0.5]
    assert painted[0, :, 1, 1].tolist() == [0, 0, 1]


def test_the_set_says_what_it_shows(tmp_path: Path):
    stimuli.main([str(tmp_path), "--count", "21", "--seed", "5"])
    pictures = json.loads((tmp_path / "pictures.json").read_text())
    assert len(pictures) == 21
    assert [picture["label"] for picture in pictures[:7]] == [
        "curve",
        "line",
        "corner",
        "ring",
        "grating",
        "blob",
        "texture",
    ]
    assert {path.name for path in tmp_path.glob("*.png")} == {picture["name"] for picture in pictures}
    for picture in pictures:
        drawn = stimuli.draw(picture["label"], picture)
        with Image.open(tmp_path / picture["name"]) as stored:
            assert stored.size == (curve_network.SIZE,) * 2
            np.testing.assert_array_equal(np.asarray(stored), drawn)


def test_each_picture_has_the_class_that_the_read_out_should_give_it(tmp_path: Path):
    stimuli.write(tmp_path, 70)
    for picture in json.loads((tmp_path / "pictures.json").read_text()):
        if picture["label"] == "ring":
            assert "class" not in picture  # it faces all ways
        elif picture["label"] == "curve":
            assert abs((15 * picture["class"] - picture["angle"] + 180) % 360 - 180) <= 7.5
        else:
            assert CLASS_NAMES[picture["class"]] == "no curve"
    assert stimuli.class_of("curve", {"angle": 359}) == 0


def test_the_same_seed_gives_the_same_set_and_a_longer_set_begins_with_the_shorter(tmp_path: Path):
    for name, count, seed in (("short", 3, 0), ("long", 5, 0), ("other", 3, 1)):
        stimuli.write(tmp_path / name, count, seed)
    files = sorted(path.name for path in (tmp_path / "short").glob("*.png"))
    for file in files:
        assert (tmp_path / "short" / file).read_bytes() == (tmp_path / "long" / file).read_bytes()
        assert (tmp_path / "short" / file).read_bytes() != (tmp_path / "other" / file).read_bytes()


def test_pictures_vary_and_stay_visible():
    described = [stimuli.describe(index) for index in range(700)]
    assert len({json.dumps(parameters) for _, parameters in described}) == 700
    for label, parameters in described:
        assert abs(parameters["contrast"]) >= 0.24
        assert 0 <= parameters["background"] + parameters["contrast"] <= 1
        assert all(low <= parameters[name] <= high for name, (low, high) in stimuli.SHAPES[label].bounds.items())
    curves = [parameters for label, parameters in described if label == "curve"]
    angles = np.histogram([parameters["angle"] for parameters in curves], bins=8, range=(0, 360))[0]
    assert angles.min() >= 4  # of 100
    noises = [parameters["noise"] for _, parameters in described]
    assert 0.2 < np.mean([noise == 0 for noise in noises]) < 0.5


def test_a_shape_lies_where_it_says():
    parameters = {"background": 0.2, "contrast": 0.6, "noise": 0.0, "pixel_seed": 0, "x": 30.0, "y": 60.0}
    blob = stimuli.draw("blob", parameters | {"radius": 6.0, "softness": 1.0}, 101)
    rows, columns = np.nonzero(blob > 51)
    assert (rows.mean(), columns.mean()) == (60, 30)
    assert blob[60, 30] == round(255 * 0.8)
    ring = stimuli.draw("ring", parameters | {"radius": 10.0, "width": 2.0}, 101)
    rows, columns = np.nonzero(ring > 51)
    assert (rows.mean(), columns.mean()) == pytest.approx((60, 30), abs=0.05)
    assert ring[60, 30] == 51
    corner = stimuli.draw("corner", parameters | {"angle": 0.0, "opening": 90.0, "length": 20.0, "width": 2.0}, 101)
    assert corner[60, 30] > 51  # the tip points to the right
    assert corner[60 - 10, 20] > 51
    assert corner[60 + 10, 20] > 51
    assert not (corner[:, 33:] > 51).any()
