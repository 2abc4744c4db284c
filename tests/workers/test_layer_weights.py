"""The weights between two layers, for the explorer."""

import numpy as np
import pytest
import torch
from torch import nn

from taxonomy import recipes
from tests import tiny
from workers import curve_network
from workers.evidence import Failure, Finding
from workers.evidence import layer_weights as module
from workers.evidence.layer_weights import layer_weights
from workers.linearize import kernels
from workers.network import Network


def found(network: Network, layer: str, target: str) -> Finding:
    (finding,) = layer_weights(network, [(target, ())], layer=layer)
    assert isinstance(finding, Finding)
    return finding


def restored(finding: Finding) -> np.ndarray:
    """The weights that the bytes stand for."""
    strengths, steps = finding.arrays["strengths"], finding.arrays["kernels"]
    return steps * np.abs(strengths)[:, :, None, None] / 127


def test_across_one_convolution_they_are_its_kernel_up_to_the_error_that_is_stated():
    network = curve_network.build()
    finding = found(network, "mixed3a", "mixed3b")
    weight = network.stages["mixed3b"][1].weight.numpy()
    assert finding.channel == ()
    assert finding.arrays["kernels"].dtype == np.int8
    assert finding.arrays["kernels"].shape == weight.shape
    assert finding.data["k"] == finding.data["size"] == weight.shape[-1]
    assert finding.data["kept"] == 1
    assert not any(finding.data["linearised"])
    difference = np.abs(restored(finding) - weight)
    assert finding.data["error"] == pytest.approx(difference.max(), rel=1e-3)
    assert (difference <= np.abs(weight).max(axis=(2, 3), keepdims=True) / 254 * 1.001 + 1e-9).all()
    largest = np.abs(weight).max(axis=(2, 3))
    assert np.array_equal(np.abs(finding.arrays["strengths"]), largest)
    assert finding.data["scale"] == float(largest.max())


def test_the_strongest_come_first_and_say_where_they_are():
    finding = found(curve_network.build(), "mixed3a", "mixed3b")
    strongest, strengths = finding.data["strongest"], finding.arrays["strengths"]
    assert len(strongest) == 200
    assert all(strengths[row, column] == value for row, column, value in strongest)
    assert [abs(value) for *_, value in strongest] == sorted(np.abs(strengths).ravel(), reverse=True)[:200]


def test_several_layers_are_expanded_and_marked():
    network = curve_network.build()
    first, last = network.layers[0].name, network.layers[-1].name
    finding = found(network, first, last)
    assert all(finding.data["linearised"])
    expected = next(iter(kernels(network, first, last, [3]))).values.numpy()
    assert finding.data["size"] == expected.shape[-1]
    assert restored(finding)[3] == pytest.approx(expected, abs=finding.data["error"] * 1.001 + 1e-9)


def test_each_row_says_whether_it_is_one_convolution():
    assert found(tiny.branchy(), "first", "fire").data["linearised"] == [True] * 3
    assert found(tiny.two_conv(), "first", "second").data["linearised"] == [False] * 3


def test_kernels_that_take_too_much_room_are_cut_to_their_middle_and_what_is_lost_is_said(monkeypatch):
    weight = torch.ones(2, 3, 5, 5)
    weight[:, :, 2, 2] = 3.0
    weight[0, 0, 0, 0] = -4.0  # the strongest of its kernel lies outside what is kept
    stages = {"first": tiny.conv(torch.ones(3, 3, 1, 1)), "second": nn.Sequential(nn.ReLU(), tiny.conv(weight))}
    network = Network("wide", stages, tiny.preprocessing(9))
    monkeypatch.setattr(module, "ROOM", 2 * 3 * 10)
    finding = found(network, "first", "second")
    assert finding.arrays["kernels"].shape == (2, 3, 3, 3)
    assert finding.data["k"] == 3
    assert finding.data["size"] == 5
    assert finding.data["kept"] == pytest.approx(6 * 17 / (6 * 33 + 15))
    assert restored(finding)[1, 2] == pytest.approx(weight[1, 2, 1:4, 1:4].numpy(), abs=0.02)
    assert finding.arrays["strengths"][0, 0] == -4
    assert restored(finding)[0, 0, 1, 1] == pytest.approx(3.0, abs=0.02)


def test_both_sides_say_which_way_they_face():
    data = found(curve_network.build(), "mixed3a", "mixed3b").data
    assert len(data["angles"]) == data["rows"]
    assert len(data["source_angles"]) == data["columns"]
    assert data["stimulus"] in ("curve", "line")
    apart = (np.array(data["angles"][:24]) - 15 * np.arange(24) + 180) % 360 - 180
    assert np.abs(apart).max() <= 5


def broken(value: float) -> Network:
    network = tiny.two_conv()
    with torch.no_grad():
        network.stages["second"][2].weight.fill_(value)
    return network


@pytest.mark.parametrize(
    ("value", "words"), [(float("nan"), "not finite"), (float("inf"), "not finite"), (0.0, "no weights from first")]
)
def test_weights_that_are_none_are_a_failure(value: float, words: str):
    (failure,) = layer_weights(broken(value), [("second", ())], layer="first")
    assert isinstance(failure, Failure)
    assert words in failure.reason


def test_a_layer_that_does_not_come_before_is_refused():
    with pytest.raises(ValueError, match="does not come before"):
        list(layer_weights(tiny.two_conv(), [("first", ())], layer="second"))


def test_output_belongs_to_version_1():
    finding = found(tiny.two_conv(), "first", "second")
    assert recipes.KINDS["layer_weights"].version == 1
    assert {name: finding.data[name] for name in finding.data if "angles" not in name and "stimulus" not in name} == {
        "layer": "first",
        "rows": 3,
        "columns": 2,
        "k": 3,
        "size": 3,
        "kept": 1.0,
        "scale": 1.0,
        "error": 0.0,
        "linearised": [False, False, False],
        "strongest": [[0, 0, 1.0], [1, 1, 1.0], [1, 0, -0.5]],
    }
    assert finding.arrays["strengths"].tolist() == [[1.0, 0.0], [-0.5, 1.0], [0.0, 0.0]]
    assert finding.arrays["kernels"][1].tolist() == [
        [[0, 0, 0], [0, -127, 0], [0, 0, 0]],
        [[0, 0, 0], [0, 127, 0], [0, 0, 0]],
    ]
