import numpy as np
import pytest
import torch
from torch import nn

from taxonomy import recipes
from tests import tiny
from workers import curve_network, directions
from workers.evidence import Failure, Finding
from workers.evidence.decomposed_visualization import decomposed_visualization
from workers.network import Network


def left_and_right() -> Network:
    """`edges` as in `tiny.two_conv`, of 5 x 5 pixels. `pair` of unit 0 (1 row of 3): at the left a vertical edge, times
    4, at the right its opposite, times 2, and 1 of the horizontal one; nothing between. Unit 1 is zero."""
    ramp = torch.tensor([[-1.0, -1.0, 0.0, 1.0, 1.0]]).expand(5, 5)
    edges = torch.stack([ramp, ramp.T])[:, None].expand(-1, 3, -1, -1) / 3
    pair = torch.zeros(2, 2, 3, 3)
    pair[0, 0, 1, 0], pair[0, 0, 1, 2], pair[0, 1, 1, 2] = 4.0, -2.0, 1.0
    stages = {"edges": tiny.conv(edges), "pair": nn.Sequential(nn.ReLU(), tiny.conv(pair))}
    return Network("left_and_right", stages, tiny.preprocessing(17))


def decompose(network: Network, target: tuple[str, int], layer: str, **parameters) -> Finding:
    (finding,) = decomposed_visualization(network, [target], layer=layer, **parameters)
    assert isinstance(finding, Finding)
    return finding


def test_numbers_are_arithmetic():
    data = decompose(left_and_right(), ("pair", 0), "edges", steps=4).data
    assert (data["layer"], data["rows"], data["columns"], data["cell"]) == ("edges", 3, 3, 5)
    assert np.array(data["magnitudes"]) == pytest.approx(np.array([[0, 0, 0], [4, 0, 5**0.5], [0, 0, 0]]))
    assert data["strongest"] == [1, 0]
    assert data["contributions"] == [[0, 1.0]]
    assert data["cells"][1] == [[[0, 1.0]], [], [[0, pytest.approx(-2 / 3)], [1, pytest.approx(1 / 3)]]]
    assert data["cells"][0] == data["cells"][2] == [[], [], []]


def test_each_cell_shows_what_is_looked_for_there_and_fades_where_that_is_little():
    grid = decompose(left_and_right(), ("pair", 0), "edges", steps=256).pictures["grid"].astype(float)
    assert grid.shape == (15, 15, 3)
    left, middle, right = grid[5:10, :5], grid[5:10, 5:10], grid[5:10, 10:]
    assert left[:, 3:].mean() - left[:, :2].mean() > 100  # brighter to the right
    assert right[3:].mean() - right[:2].mean() > 60  # brighter below, and paler
    assert right[:, 3:].mean() < right[:, :2].mean()  # and by no means brighter to the right
    assert np.ptp(right) < np.ptp(left)
    assert (middle == 128).all()
    assert (grid[:5] == 128).all()


def test_batches_make_no_difference_to_what_is_seen():
    network = left_and_right()
    one = decompose(network, ("pair", 0), "edges", steps=32, batch=1)
    two = decompose(network, ("pair", 0), "edges", steps=32, batch=64)
    assert np.abs(one.pictures["grid"].astype(int) - two.pictures["grid"]).max() <= 1
    other = decompose(network, ("pair", 0), "edges", steps=32, seed=1)
    assert not np.array_equal(other.pictures["grid"], two.pictures["grid"])


def test_nothing_and_no_numbers_fail_with_a_sentence():
    network = left_and_right()
    (nothing,) = decomposed_visualization(network, [("pair", 1)], layer="edges", steps=4)
    assert nothing == Failure("pair", 1, "It has no weights from edges.")
    network.stages["edges"].weight[:] = 0
    (dead,) = decomposed_visualization(network, [("pair", 0)], layer="edges", steps=4)
    assert isinstance(dead, Failure)
    assert "dead" in dead.reason
    network.stages["pair"][1].weight[0, 0, 0, 0] = torch.nan
    (broken,) = decomposed_visualization(network, [("pair", 0)], layer="edges", steps=4)
    assert broken == Failure("pair", 0, "Its weights are not finite numbers.")


def test_a_curve_is_made_of_curves_and_lines_along_its_arc():
    """Curve 0 bulges to the right, a `)`: its arc runs down the middle column and bends to the left at both ends."""
    data = decompose(curve_network.build(), ("mixed3b", 0), "mixed3a", steps=1).data
    magnitudes = np.array(data["magnitudes"])
    assert magnitudes.shape == (5, 5)
    arc = {(0, 2), (1, 2), (2, 2), (3, 2), (4, 2)}  # radius 40: at 16 pixels up or down it is 3.3 pixels to the left
    strongest = {divmod(int(place), 5) for place in np.argsort(-magnitudes.ravel())[:5]}
    assert strongest == arc
    assert tuple(data["strongest"]) == (2, 2)
    assert magnitudes[[0, 4], 1].min() > 1.5 * magnitudes[[1, 3], 1].max()  # the bend at the ends
    assert magnitudes[:, [0, 4]].max() < 0.1 * magnitudes.max()

    early, lines = (family["parameters"] for family in curve_network.families()["mixed3a"])
    weights = curve_network.build().stages["mixed3b"][1].weight[0]
    for row in range(5):
        tangent = np.rad2deg(np.arctan2((row - 2) * 8.0, 40.0))  # of an arc around (-40, 0) pixels, at this row
        named = [index for index, _ in data["cells"][row][2]]
        # The strongest excitation is the early curve, and among lines the line, that is turned by the local tangent.
        exciting = max((c for c in data["cells"][row][2]), key=lambda contribution: contribution[1])[0]
        assert abs(apart(early[str(exciting)], tangent, 360)) <= 15
        line = max(map(int, lines), key=lambda index: float(weights[index, row, 2]))
        assert abs(apart(lines[str(line)], tangent, 180)) <= 5
        # What faces the other way inhibits most.
        opposed = min((c for c in data["cells"][row][2]), key=lambda contribution: contribution[1])
        assert opposed[1] < 0
        assert abs(apart(early[str(opposed[0])], tangent + 180, 360)) <= 15
        assert len(named) == 5
    top, bottom = (max(data["cells"][row][2], key=lambda contribution: contribution[1])[0] for row in (0, 4))
    assert early[str(top)] in (330, 345)
    assert early[str(bottom)] in (15, 30)
    share = dict(data["contributions"])
    assert share[0] == max(share.values())  # in the middle, itself
    assert sum(abs(value) for value in share.values()) == pytest.approx(1)  # 42 neurons, fewer than 50
    assert share[12] < -0.1


@pytest.mark.slow
def test_the_grid_of_a_curve_draws_its_arc():
    network = curve_network.build()
    finding = decompose(network, ("mixed3b", 0), "mixed3a", steps=64)
    cell = finding.data["cell"]
    cells = finding.pictures["grid"].astype(float).mean(axis=2).reshape(5, cell, 5, cell).transpose(0, 2, 1, 3)
    contrast = cells.std(axis=(2, 3))
    assert set(contrast.argmax(axis=1)) == {2}  # in every row it is the middle column that shows most
    # And there the picture is itself a curve that faces to the right: among mixed3a's it drives that one most.
    middle = torch.from_numpy(cells[2, 2]).float()[None, None].expand(1, 3, -1, -1) / 255
    at = directions.place(network, "mixed3a")
    values = network.between(at.frame(middle), None, "mixed3a")[0, :, at.row, at.row]
    assert values[:24].argmax() == 0
    assert values[12] < 0.25 * values[0]


def apart(a: float, b: float, period: float) -> float:
    return (a - b + period / 2) % period - period / 2


def test_output_belongs_to_version_1():
    finding = decompose(tiny.two_conv(), ("second", 1), "first", steps=8)
    assert recipes.KINDS["decomposed_visualization"].version == 1
    assert finding.data["contributions"] == [[1, pytest.approx(2 / 3)], [0, pytest.approx(-1 / 3)]]
    assert finding.data["strongest"] == [1, 1]
    grid = finding.pictures["grid"]
    assert grid.shape == (9, 9, 3)
    # Rounded, because processors differ in the last digits.
    assert grid[3:6, 3:6].mean(axis=(1, 2)) == pytest.approx([119.3, 123.0, 132.7], abs=0.5)
