import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.expanded_weights import PAIRS, linearised, loop
from tests import tiny
from tests.shared import DATA, needs_data
from workers import linearize, zoo
from workers.network import Network


class Everything(nn.Module):
    """A residual block with batch norms, a grouped and a dilated convolution, kernels of 1x5 and 3x1, pools as modules
    and as calls, and a join within a join: 6 channels in, 6 + 2 + 3 + 4 out."""

    def __init__(self) -> None:
        super().__init__()
        self.squeeze, self.norm = nn.Conv2d(6, 4, 1, bias=False), nn.BatchNorm2d(4)
        self.expand, self.last = nn.Conv2d(4, 6, 3, padding=1), nn.BatchNorm2d(6)
        self.relu = nn.ReLU()
        self.wide, self.tall = nn.Conv2d(6, 3, (1, 5), padding=(0, 2)), nn.Conv2d(3, 2, (3, 1), padding=(1, 0))
        self.groups = nn.Conv2d(6, 3, 3, groups=3, padding=1)
        self.far = nn.Conv2d(6, 4, 3, dilation=2, padding=2)
        self.pool = nn.AvgPool2d(3, 1, 1, count_include_pad=False)

    def forward(self, x: Tensor) -> Tensor:
        block = self.last(self.expand(F.relu(self.norm(self.squeeze(x))))) + x
        asymmetric = self.tall(torch.relu(self.wide(self.pool(x))))
        inner = torch.cat([asymmetric, self.groups(F.avg_pool2d(x, 3, stride=1, padding=1))], 1)
        return torch.cat([block, inner, self.far(self.relu(self.relu(x)))], dim=1)


@pytest.fixture
def stages() -> list[nn.Module]:
    torch.manual_seed(0)
    block = Everything()
    for norm in (block.norm, block.last):
        norm.running_var.uniform_(0.5, 2)
        norm.running_mean.normal_()
        norm.weight.data.normal_()
    first = nn.Sequential(nn.ReLU(), nn.ZeroPad2d((2, 3, 2, 3)), nn.Conv2d(5, 6, 4, stride=2))
    second = nn.Sequential(nn.ReLU(), nn.LocalResponseNorm(3), nn.MaxPool2d(3, 2, ceil_mode=True), block)
    return [stage.eval().requires_grad_(False) for stage in (first, second)]


def test_every_way_back_equals_a_gradient(stages):
    between = linearize.Between(stages, 5)
    values = torch.zeros(1, 5, 120, 120, requires_grad=True)
    result = linearised(stages)(values)
    row, column = 12, 14
    shapes = []
    for channel in range(15):
        branch, offset = between.branch(channel)
        assert between.kernel(branch) is None
        unit = F.one_hot(torch.tensor(channel - offset), between.channels[branch]).float()
        reach = between.pull(branch, linearize.Reach(unit.reshape(1, 1, 1, -1), row, column))
        (gradient,) = torch.autograd.grad(result[0, channel, row, column], values, retain_graph=True)
        found = torch.zeros(5, 120, 120)
        rows, columns = reach.weights.shape[1:3]
        found[:, reach.top : reach.top + rows, reach.left : reach.left + columns] = reach.weights[0].movedim(2, 0)
        assert torch.allclose(found, gradient[0], rtol=1e-5, atol=1e-6)
        shapes.append((rows, columns))
    # A cell of the block is 4 of the image, a window of k of them 4 (k - 1) + 8 with the pool and the first kernel.
    assert shapes[0] == (16, 16)
    assert shapes[6] == (24, 32)  # three rows, and five columns; the block's own pool adds two of each
    assert shapes[8] == (24, 24)  # the grouped kernel behind a pool of three
    assert shapes[11] == (24, 24)  # three cells, two apart


def test_the_image_itself_may_be_the_start():
    torch.manual_seed(0)
    stages = {"one": nn.Conv2d(3, 4, 5, stride=2), "two": nn.Sequential(nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 6, 3))}
    network = Network("two", stages, tiny.preprocessing(41))
    for kernel, gradient in zip(linearize.kernels(network, None, "two", range(6)), loop(network, None, "two", range(6)),
                                strict=True):  # fmt: skip
        assert kernel.linearised
        assert kernel.values.shape == (3, 15, 15)
        assert torch.allclose(kernel.values, gradient, rtol=1e-5, atol=1e-7)
    (first,) = linearize.kernels(network, None, "one", [2])
    assert torch.equal(first.values, stages["one"].weight[2])
    assert not first.linearised


def test_a_batch_norm_scales_the_kernel_before_it(stages):
    norm, convolution = stages[1][3].norm, stages[1][3].squeeze
    between = linearize.Between([nn.Sequential(nn.ReLU(), convolution, norm)], 6)
    kernel = between.kernel(between.branch(0)[0])
    values = torch.randn(1, 6, 1, 1)
    expected = norm(convolution(values)) - norm(convolution(torch.zeros_like(values)))
    assert torch.allclose(F.conv2d(values, kernel), expected, atol=1e-6)


def test_channels_in_any_order_and_batches_of_any_size():
    torch.manual_seed(0)

    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.near, self.squeeze, self.far = nn.Conv2d(4, 3, 3, padding=1), nn.Conv2d(4, 2, 1), nn.Conv2d(2, 5, 1)

        def forward(self, x: Tensor) -> Tensor:
            return torch.cat([self.near(x), self.far(self.squeeze(x))], 1)

    network = Network("two", {"one": nn.Conv2d(3, 4, 1), "two": Two()}, tiny.preprocessing(9))
    together = {kernel.channel: kernel for kernel in linearize.kernels(network, "one", "two", range(8))}
    mixed = list(linearize.kernels(network, "one", "two", [7, 0, 3, 4, 2, 2, 5], batch=2))
    assert [kernel.channel for kernel in mixed] == [7, 0, 3, 4, 2, 2, 5]
    for kernel in mixed:
        assert kernel.linearised == (kernel.channel >= 3)
        assert torch.allclose(kernel.values, together[kernel.channel].values, atol=1e-7)


def test_what_is_not_known_is_named():
    between = linearize.Between([nn.Sequential(nn.Softplus(), nn.Conv2d(2, 3, 1), nn.Softplus())], 2)
    with pytest.raises(ValueError, match="Softplus"):
        between.pull(between.output, linearize.Reach(torch.ones(1, 1, 1, 3)))


@needs_data
@pytest.mark.slow
@pytest.mark.parametrize(("start", "end"), PAIRS)
def test_squeezenet_equals_a_gradient_loop(start, end):
    network = zoo.load("squeezenet1_0", DATA / "squeezenet1_0" / "squeezenet1_0.safetensors")
    channels = range(0, network.layer(end).channels, 5)
    kernels = linearize.kernels(network, start, end, channels)
    for kernel, gradient in zip(kernels, loop(network, start, end, channels), strict=True):
        assert kernel.linearised
        assert kernel.values.shape == gradient.shape
        assert (kernel.values - gradient).abs().max() < 1e-5 * gradient.abs().max()
