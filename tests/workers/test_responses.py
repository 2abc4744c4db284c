import numpy as np
import pytest
import torch
from torch import nn

from tests import tiny
from workers import curve_network, stimuli
from workers.network import Network
from workers.responses import measures, preferred, respond, views


def positions(values: np.ndarray, size: int, *, middle: tuple[float, float]) -> np.ndarray:
    """Grey pictures of one bright pixel, `values` to the right of the middle."""
    drawn = np.zeros((len(values), size, size), dtype=np.float32)
    drawn[np.arange(len(values)), round(middle[1]), round(middle[0]) + np.asarray(values)] = 1
    return drawn


def coloured(values: np.ndarray, size: int, *, middle: tuple[float, float]) -> np.ndarray:
    return np.broadcast_to(stimuli.hues(values)[:, :, None, None], (len(values), 3, size, size)).astype(np.float32)


def test_units_answer_to_what_is_drawn_around_their_middle():
    network = tiny.one_conv()
    (view,) = views(network, [("conv", 3), ("conv", 0)])
    assert (view.layer, view.channels, view.size, view.row, view.middle) == ("conv", (3, 0), 3, 0, 1)
    # Grey, a vertical edge: less at the left, more at the right; and a channel that is always -1.
    assert respond(network, view, positions, [-1, 0, 1]).tolist() == [[-1, -1], [-1, 0], [-1, pytest.approx(1)]]
    (view,) = views(network, [("conv", 2)])
    assert respond(network, view, coloured, [0, 240])[:, 0] == pytest.approx([0.75, -0.75])  # red less blue


def test_many_values_in_batches_are_the_same_as_few():
    network = curve_network.build()
    (view,) = views(network, [("mixed3a", channel) for channel in range(42)])
    ticks = []
    angles = np.arange(0, 360, 1.5)
    many = respond(network, view, stimuli.arcs, angles, tick=lambda: ticks.append(1))
    assert many.shape == (240, 42)
    assert len(ticks) == 4
    np.testing.assert_array_equal(respond(network, view, stimuli.arcs, angles[70:80])[3], many[73])


def test_branches_of_one_middle_share_a_view_whoever_is_asked_for():
    network = tiny.branchy()
    (view,) = views(network, [("fire", 0)])
    (both,) = views(network, [("fire", 2), ("fire", 0)])
    assert (view.size, view.row, view.middle) == (both.size, both.row, both.middle) == (7, 1, 3)
    assert view.box(network, 0) == (2, 2, 5, 5)
    assert view.box(network, 1) == (0, 0, 7, 7)
    assert [view.layer for view in views(network, [("fire", 0), ("first", 1), ("fire", 1)])] == ["first", "fire"]


def test_a_field_larger_than_the_pictures_is_seen_on_a_picture():
    stages = {"first": tiny.conv(torch.ones(1, 3, 3, 3), stride=2, padding=1)}
    stages |= {name: nn.Sequential(nn.ReLU(), tiny.conv(torch.ones(1, 1, 5, 5), padding=2)) for name in "abc"}
    network = Network("wide", stages, tiny.preprocessing(17))
    (inside,) = views(network, [("a", 0)])
    assert (inside.size, inside.box(network, 0)) == (12, (1, 1, 12, 12))  # the 11 pixels it sees
    (outside,) = views(network, [("c", 0)])
    assert network.layer("c").fields[0].size == 27
    assert (outside.size, outside.row, outside.middle) == (17, 4, 8)
    assert outside.box(network, 0) == (0, 0, 17, 17)
    grey = np.ones((1, 17, 17), dtype=np.float32)
    expected = network.activations(torch.ones(1, 3, 17, 17), ["c"])["c"][0, 0, 4, 4]
    assert respond(network, outside, lambda values, size, middle: grey[[0] * len(values)], [0])[0, 0] == expected


def test_a_family_faces_where_it_responds_most():
    network = curve_network.build()
    curves = preferred(network, "mixed3b", [6, 1, 13])
    assert (curves.stimulus, curves.period) == ("curve", 360)
    assert curves.angles == (pytest.approx(90, abs=5), pytest.approx(15, abs=5), pytest.approx(195, abs=5))
    lines = preferred(network, "conv2d2", [35, 9], step=5)
    assert (lines.stimulus, lines.period) == ("line", 180)
    assert lines.angles == (pytest.approx(175, abs=5), pytest.approx(45, abs=5))
    dead = tiny.one_conv()
    dead.stages["conv"].bias[1] = torch.nan
    assert preferred(dead, "conv", [3, 1], step=30).angles == (None, None)


def test_a_curve_too_coarse_to_see_what_is_opposite_has_no_echo():
    for step, echo in ((72, None), (120, None), (60, 0.5), (90, 0.5)):
        angles = np.arange(0, 360, step)
        curve = np.where(angles == 0, 1.0, np.where(angles == 180, 0.5, 0.0))
        found = measures(angles, curve, 360)
        assert (found["peak"], found["echo"]) == (0, echo)
