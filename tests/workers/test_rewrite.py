import pytest
import torch
from torch import nn

from tests import tiny
from workers.rewrite import Pointwise, Unshuffled, rewritten


def alike(module: nn.Module, rows: int, columns: int, channels: int = 3) -> nn.Module:
    """The rewritten module, having shown that it gives the same values and gradients."""
    module = module.requires_grad_(False).eval()
    x = torch.randn(2, channels, rows, columns, generator=torch.Generator().manual_seed(0), requires_grad=True)
    again = rewritten(module)
    expected, found = module(x), again(x)
    assert found.shape == expected.shape
    assert torch.allclose(found, expected, atol=1e-5)
    towards = torch.randn(expected.shape, generator=torch.Generator().manual_seed(1))
    (one,) = torch.autograd.grad((expected * towards).sum(), x)
    (other,) = torch.autograd.grad((found * towards).sum(), x)
    assert torch.allclose(one, other, atol=1e-5)
    return again


@pytest.mark.parametrize("stride", [2, 4])
@pytest.mark.parametrize(("kernel", "padding"), [(7, 3), (7, 0), (11, 2), (3, 1), (4, 0)])
@pytest.mark.parametrize("extents", [(23, 23), (24, 31), (25, 26)])
def test_a_convolution_with_stride_on_the_input(stride, kernel, padding, extents):
    torch.manual_seed(0)
    conv = nn.Conv2d(3, 4, kernel, stride=stride, padding=padding)
    again = alike(conv, *extents)
    assert any(isinstance(module, Unshuffled) for module in again.modules())


def test_others_stay_as_they_are():
    torch.manual_seed(0)
    more = [nn.Conv2d(4, 4, 3, stride=2), nn.Conv2d(4, 4, 3, groups=2), nn.Conv2d(4, 4, 1, stride=2)]
    again = alike(nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), *more), 15, 17)
    assert sum(type(module) is nn.Conv2d for module in again.modules()) == 4


def test_a_1x1_convolution_is_a_product_of_matrices():
    again = alike(tiny.Branches(), 5, 6, channels=2)
    assert sum(isinstance(module, Pointwise) for module in again.modules()) == 2
    without = nn.Sequential(nn.Conv2d(2, 3, 1, bias=False))
    assert any(isinstance(module, Pointwise) for module in alike(without, 4, 4, channels=2).modules())


class Used(nn.Module):
    """A ReLU that a pool and something else read."""

    def __init__(self) -> None:
        super().__init__()
        self.relu, self.pool = nn.ReLU(), nn.MaxPool2d(3, stride=1, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        active = self.relu(x)
        return torch.cat([active, self.pool(active)], dim=1)


def test_a_relu_comes_after_the_pool_that_alone_reads_it():
    def sequence(module: nn.Module) -> list[type]:
        traced = alike(module, 9, 9)
        modules = dict(traced.named_modules())
        return [type(modules[node.target]) for node in traced.graph.nodes if node.op == "call_module"]

    assert sequence(nn.Sequential(nn.ReLU(), nn.MaxPool2d(2), nn.ReLU())) == [nn.MaxPool2d, nn.ReLU, nn.ReLU]
    assert sequence(nn.Sequential(nn.ReLU(), nn.AvgPool2d(2))) == [nn.ReLU, nn.AvgPool2d]
    assert sequence(Used()) == [nn.ReLU, nn.MaxPool2d]


@pytest.mark.parametrize("part", [(0, 1), (1, 2), (1, 1), (0, 3)])
def test_some_channels_alone(part):
    module = tiny.Branches()
    x = torch.randn(2, 2, 6, 6, generator=torch.Generator().manual_seed(0))
    again = rewritten(module, part)
    assert torch.allclose(again(x), module(x).narrow(1, *part), atol=1e-5)
    run = {node.target for node in again.graph.nodes if node.op == "call_module"}
    # A whole branch is all that runs; of half a branch, or of two, nothing is left out.
    assert len(run) == (3 if part in ((0, 1), (1, 2)) else 4)


def test_some_channels_of_a_layer_without_branches():
    conv = nn.Conv2d(3, 4, 3)
    x = torch.randn(1, 3, 5, 5)
    assert torch.allclose(rewritten(conv, (1, 2))(x), conv(x)[:, 1:3], atol=1e-5)


def test_what_is_rewritten_is_a_copy():
    conv = nn.Conv2d(3, 2, 1)
    before = conv.weight.clone()
    again = rewritten(conv)
    for parameter in again.parameters():
        parameter.data.zero_()
    assert torch.equal(conv.weight, before)
    assert all(not parameter.requires_grad for parameter in again.parameters())
    assert conv.weight.requires_grad
