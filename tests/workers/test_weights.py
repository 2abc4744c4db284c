import numpy as np
import pytest
import torch
from torch import nn

from taxonomy import recipes
from tests import tiny
from tests.shared import DATA, needs_data
from workers import linearize, zoo
from workers.evidence import Failure, Finding
from workers.evidence.weights import weights
from workers.network import Network


def random_network() -> Network:
    """Two branchy layers with random weights, a max pool between them, and one plain layer at the start."""
    torch.manual_seed(0)

    class Fork(nn.Module):
        def __init__(self, inputs: int) -> None:
            super().__init__()
            self.squeeze, self.relu = nn.Conv2d(inputs, 5, 1), nn.ReLU()
            self.one, self.three = nn.Conv2d(5, 4, 1), nn.Conv2d(5, 6, 3, padding=1)
            self.direct = nn.Conv2d(inputs, 3, 3, padding=1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            squeezed = self.relu(self.squeeze(x))
            return torch.cat([self.one(squeezed), self.three(squeezed), self.direct(x)], dim=1)

    stages = {
        "plain": nn.Conv2d(3, 7, 3, stride=2),
        "near": nn.Sequential(nn.ReLU(), Fork(7)),
        "far": nn.Sequential(nn.ReLU(), nn.MaxPool2d(3, 2, ceil_mode=True), Fork(13)),
    }
    return Network("random", stages, tiny.preprocessing(33))


def by_neuron(finding) -> dict[int, torch.Tensor]:
    assert isinstance(finding, Finding)
    return {item["neuron"]: torch.tensor(item["kernel"]) for item in finding.data["strongest"]}


def test_across_one_convolution_it_is_the_kernel_bit_for_bit():
    network = random_network()
    (finding,) = weights(network, [("near", 11)], layer="plain")
    expected = network.stages["near"][1].direct.weight[1]
    assert all(torch.equal(kernel, expected[index]) for index, kernel in by_neuron(finding).items())
    assert np.array_equal(finding.arrays["kernels"], expected)
    assert finding.arrays["kernels"].dtype == np.float32
    assert not finding.data["linearised"]


def test_across_a_pool_and_one_convolution_it_is_still_the_kernel():
    network = tiny.two_conv()
    (finding,) = weights(network, [("second", 1)], layer="first")
    first = {"neuron": 1, "value": 1.0, "linearised": False, "kernel": [[0.0] * 3, [0.0, 1.0, 0.0], [0.0] * 3]}
    then = {"neuron": 0, "value": -0.5, "linearised": False, "kernel": [[0.0] * 3, [0.0, -0.5, 0.0], [0.0] * 3]}
    assert finding.data == {
        "layer": "first",
        "direction": "in",
        "linearised": False,
        "scale": 1.0,
        "channels": 2,
        "strong": 2,
        "strongest": [first, then],
    }
    assert finding.arrays["kernels"].tolist() == [then["kernel"], first["kernel"]]


def test_expanded_weights_are_arithmetic_and_cut_to_each_branch():
    one, box, right = weights(tiny.branchy(), [("fire", 0), ("fire", 1), ("fire", 2)], layer="first")
    assert [item["kernel"] for item in one.data["strongest"]] == [[[2.0]]] * 2
    assert [item["kernel"] for item in box.data["strongest"]] == [[[1.0] * 3] * 3] * 2
    assert [item["kernel"] for item in right.data["strongest"]] == [[[0.0] * 3, [0.0, 0.0, 1.0], [0.0] * 3]] * 2
    assert all(item["linearised"] for finding in (one, box, right) for item in finding.data["strongest"])
    assert one.data["linearised"]


def test_smaller_kernels_stand_in_the_middle_of_larger_ones():
    (finding,) = weights(tiny.branchy(), [("first", 0)], layer="fire", direction="out")
    alone = [[0.0] * 3, [0.0, 2.0, 0.0], [0.0] * 3]
    assert finding.arrays["kernels"].tolist() == [alone, [[1.0] * 3] * 3, [[0.0] * 3, [0.0, 0.0, 1.0], [0.0] * 3]]
    assert by_neuron(finding)[0].tolist() == [[2.0]]


def test_what_is_strong_reaches_three_tenths_of_the_largest():
    network = tiny.one_conv()
    later = torch.zeros(1, 4, 1, 1)
    later[0, :, 0, 0] = torch.tensor([0.5, -1.0, 0.3, 0.29])
    network = Network(
        "two", {**network.stages, "later": nn.Sequential(nn.ReLU(), tiny.conv(later))}, tiny.preprocessing(9)
    )
    (finding,) = weights(network, [("later", 0)], layer="conv")
    assert finding.data["strong"] == 3
    assert [item["neuron"] for item in finding.data["strongest"]] == [1, 0, 2, 3]
    network.stages["later"][1].weight[:] = 0
    (nothing,) = weights(network, [("later", 0)], layer="conv")
    assert (nothing.data["scale"], nothing.data["strong"]) == (0, 0)
    network.stages["later"][1].weight[0, 2] = torch.nan
    (broken,) = weights(network, [("later", 0)], layer="conv")
    assert broken == Failure("later", 0, "Its weights are not finite numbers.")


def test_any_two_layers():
    network = random_network()
    (finding,) = weights(network, [("far", 12)], layer="plain")
    assert finding.data["linearised"]
    assert finding.arrays["kernels"].shape == (7, 9, 9)  # 3x3 on cells of 2, over a pool of 3, over 3x3 before it
    (kernel,) = linearize.kernels(network, "plain", "far", [12])
    assert np.array_equal(finding.arrays["kernels"], kernel.values)
    with pytest.raises(ValueError, match="before"):
        list(linearize.kernels(network, "far", "plain", [0]))


def test_fifty_are_listed_by_largest_magnitude_with_ties_in_order():
    (finding,) = weights(tiny.branchy(), [("fire", 0)], layer="first")
    assert [item["neuron"] for item in finding.data["strongest"]] == [0, 1]
    torch.manual_seed(0)
    stages = {"wide": nn.Conv2d(3, 60, 1), "next": nn.Sequential(nn.ReLU(), nn.Conv2d(60, 1, 3))}
    (finding,) = weights(Network("wide", stages, tiny.preprocessing(9)), [("next", 0)], layer="wide")
    found = [abs(item["value"]) for item in finding.data["strongest"]]
    expected = stages["next"][1].weight[0].abs().amax((1, 2)).sort(descending=True).values
    assert found == expected[:50].tolist()
    assert finding.data["channels"] == len(finding.arrays["kernels"]) == 60
    assert finding.data["scale"] == found[0]


def test_in_and_out_are_the_same_weights_seen_from_two_sides():
    network = random_network()
    targets = [("far", i) for i in range(13)]
    inwards = {i: by_neuron(found) for i, found in enumerate(weights(network, targets, layer="near"))}
    outwards = weights(network, [("near", j) for j in range(13)], layer="far", direction="out")
    for j, finding in enumerate(outwards):
        for i, kernel in by_neuron(finding).items():
            assert torch.allclose(kernel, inwards[i][j], atol=1e-6)
        assert sum(item["linearised"] for item in finding.data["strongest"]) == 10


@pytest.mark.parametrize(
    ("target", "layer", "direction"),
    [("first", "first", "in"), ("first", "fire", "in"), ("fire", "first", "out"), ("fire", "first", "sideways")],
)
def test_refusals(target, layer, direction):
    with pytest.raises(ValueError, match=r"layer|direction"):
        list(weights(tiny.branchy(), [(target, 0)], layer=layer, direction=direction))


@needs_data
def test_squeezenet_expanded_weights_are_the_product_of_its_kernels():
    network = zoo.load("squeezenet1_0", DATA / "squeezenet1_0" / "squeezenet1_0.safetensors")
    squeeze, *expands = (module.weight for module in network.stages["fire3"].modules() if isinstance(module, nn.Conv2d))
    one, three = weights(network, [("fire3", 3), ("fire3", 64 + 3)], layer="fire2")
    for finding, expand in zip((one, three), expands, strict=True):
        expected = torch.einsum("srq,sc->crq", expand[3], squeeze[:, :, 0, 0])
        assert finding.data["linearised"]
        assert torch.allclose(torch.from_numpy(finding.arrays["kernels"]), expected, rtol=1e-5, atol=1e-6)


def test_output_belongs_to_version_2():
    (finding,) = weights(tiny.branchy(), [("first", 0)], layer="fire", direction="out")
    shown = [(item["neuron"], item["value"], item["linearised"]) for item in finding.data["strongest"]]
    assert recipes.KINDS["weights"].version == 2
    assert shown == [(0, 2.0, True), (1, 1.0, True), (2, 1.0, True)]
    assert finding.arrays["kernels"].sum(axis=(1, 2)).tolist() == [2.0, 9.0, 1.0]
