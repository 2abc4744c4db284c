import pytest
import torch
from torch import nn

from taxonomy import recipes
from tests import tiny
from tests.shared import DATA, needs_data
from workers import linearize, zoo
from workers.evidence import Finding
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


def by_neuron(finding) -> dict[str, torch.Tensor]:
    assert isinstance(finding, Finding)
    return {item["neuron"]: torch.tensor(item["kernel"]) for item in finding.data}


def test_across_one_convolution_it_is_the_kernel_bit_for_bit():
    network = random_network()
    (finding,) = weights(network, [("near", 11)])
    expected = network.stages["near"][1].direct.weight[1]
    assert all(torch.equal(kernel, expected[int(name.split(":")[1])]) for name, kernel in by_neuron(finding).items())
    assert not any(item["linearised"] for item in finding.data)


def test_across_a_pool_and_one_convolution_it_is_still_the_kernel():
    network = tiny.two_conv()
    (finding,) = weights(network, [("second", 1)])
    assert finding.data == [
        {"neuron": "first:1", "kernel": [[0.0] * 3, [0.0, 1.0, 0.0], [0.0] * 3], "linearised": False},
        {"neuron": "first:0", "kernel": [[0.0] * 3, [0.0, -0.5, 0.0], [0.0] * 3], "linearised": False},
    ]


def test_expanded_weights_are_arithmetic_and_cut_to_each_branch():
    one, box, right = weights(tiny.branchy(), [("fire", 0), ("fire", 1), ("fire", 2)])
    assert [item["kernel"] for item in one.data] == [[[2.0]]] * 2
    assert [item["kernel"] for item in box.data] == [[[1.0] * 3] * 3] * 2
    assert [item["kernel"] for item in right.data] == [[[0.0] * 3, [0.0, 0.0, 1.0], [0.0] * 3]] * 2
    assert all(item["linearised"] for finding in (one, box, right) for item in finding.data)


def test_expanded_weights_equal_a_gradient_loop():
    network = random_network()
    fork = network.stages["far"][2]

    def linear(x: torch.Tensor) -> torch.Tensor:  # `far` written out, without its ReLUs and with an average pool
        x = nn.functional.avg_pool2d(x, 3, 2)
        squeezed = fork.squeeze(x)
        return torch.cat([fork.one(squeezed), fork.three(squeezed), fork.direct(x)], dim=1)

    found = {kernel.channel: kernel for kernel in linearize.kernels(network, "near", "far", range(13), batch=4)}
    for channel in range(10):  # the others have one convolution between, and so their own kernel
        values = torch.zeros(1, 13, 23, 23, requires_grad=True)
        linear(values)[0, channel, 5, 5].backward()
        gradient = values.grad[0]
        reach = gradient.abs().sum(0).nonzero()
        (top, left), (bottom, right) = reach.amin(0).tolist(), reach.amax(0).tolist()
        expected = gradient[:, top : bottom + 1, left : right + 1]
        assert found[channel].values.shape == expected.shape == ((13, 3, 3) if channel < 4 else (13, 7, 7))
        assert (found[channel].values - expected).abs().max() < 1e-5
        assert found[channel].linearised


def test_several_layers_at_once_are_expanded():
    network = random_network()
    (kernel,) = linearize.kernels(network, "plain", "far", [12])
    assert kernel.linearised
    assert kernel.values.shape == (7, 9, 9)  # 3x3 on cells of 2, over a pool of 3, over 3x3 before it
    with pytest.raises(ValueError, match="before"):
        list(linearize.kernels(network, "far", "plain", [0]))


def test_a_max_pool_becomes_an_average_and_a_relu_nothing():
    stage = nn.Sequential(nn.ReLU(), nn.MaxPool2d(2))
    assert linearize.linearised(stage)(torch.tensor([[[[-1.0, 1.0], [2.0, 6.0]]]])).item() == 2.0
    assert stage(torch.tensor([[[[-1.0, 1.0], [2.0, 6.0]]]])).item() == 6.0  # the network itself is as it was


def test_all_neurons_are_listed_by_largest_magnitude_with_ties_in_order():
    (finding,) = weights(tiny.branchy(), [("fire", 0)])
    assert [item["neuron"] for item in finding.data] == ["first:0", "first:1"]
    (finding,) = weights(random_network(), [("far", 2)])
    magnitudes = [float(torch.tensor(item["kernel"]).abs().max()) for item in finding.data]
    assert len(magnitudes) == 13
    assert magnitudes == sorted(magnitudes, reverse=True)


def test_in_and_out_are_the_same_weights_seen_from_two_sides():
    network = random_network()
    inwards = {i: by_neuron(found) for i, found in enumerate(weights(network, [("far", i) for i in range(13)]))}
    for j, finding in enumerate(weights(network, [("near", j) for j in range(13)], direction="out")):
        for name, kernel in by_neuron(finding).items():
            assert torch.allclose(kernel, inwards[int(name.split(":")[1])][f"near:{j}"], atol=1e-6)
        assert sum(item["linearised"] for item in finding.data) == 10


@pytest.mark.parametrize(("target", "direction"), [("first", "in"), ("fire", "out"), ("fire", "sideways")])
def test_refusals(target, direction):
    with pytest.raises(ValueError, match=r"layer|direction"):
        list(weights(tiny.branchy(), [(target, 0)], direction=direction))


@needs_data
def test_squeezenet_expanded_weights_are_the_product_of_its_kernels():
    network = zoo.load("squeezenet1_0", DATA / "squeezenet1_0" / "squeezenet1_0.safetensors")
    fire = network.stages["fire3"][1]
    squeeze = fire.squeeze.weight[:, :, 0, 0]
    one, three = weights(network, [("fire3", 3), ("fire3", 64 + 3)])
    for finding, expand in ((one, fire.expand1x1), (three, fire.expand3x3)):
        expected = torch.einsum("srq,sc->crq", expand.weight[3], squeeze)
        found = by_neuron(finding)
        assert all(item["linearised"] for item in finding.data)
        for channel in range(128):
            assert torch.allclose(found[f"fire2:{channel}"], expected[channel], rtol=1e-5, atol=1e-6)


def test_output_belongs_to_version_1():
    (finding,) = weights(tiny.branchy(), [("first", 0)], direction="out")
    shown = [(item["neuron"], sum(map(sum, item["kernel"])), item["linearised"]) for item in finding.data]
    assert recipes.KINDS["weights"].version == 1
    assert shown == [("fire:0", 2.0, True), ("fire:1", 9.0, True), ("fire:2", 1.0, True)]
