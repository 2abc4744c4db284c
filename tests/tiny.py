"""Networks so small, with weights set by hand, that what must come out is arithmetic."""

import torch
from torch import Tensor, nn

from workers.network import Network, Preprocessing


def preprocessing(size: int) -> Preprocessing:
    """Pictures of size x size pixels go in as they are."""
    return Preprocessing(resize=size, size=size, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))


def conv(weight: Tensor | list, bias: list[float] | None = None, stride: int = 1, padding: int = 0) -> nn.Conv2d:
    """A convolution with these weights (out, in, k, k) and biases (0 when not given)."""
    weight = torch.as_tensor(weight, dtype=torch.float32)
    outputs, inputs, kernel, _ = weight.shape
    module = nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=padding)
    with torch.no_grad():
        module.weight.copy_(weight)
        assert module.bias is not None
        module.bias.copy_(torch.zeros(outputs) if bias is None else torch.tensor(bias))
    return module


def grey(kernel: list[list[float]]) -> list[list[list[float]]]:
    """A k x k kernel over grey: a third of it on each of the three colours, so that it sees (R + G + B) / 3."""
    return [[[value / 3 for value in row] for row in kernel]] * 3


VERTICAL_EDGE = [[-1.0, 0.0, 1.0]] * 3  # brighter at the right
HORIZONTAL_EDGE = [[-1.0] * 3, [0.0] * 3, [1.0] * 3]  # brighter below


def one_conv() -> Network:
    """One layer `conv`, 3x3 without padding: 0 a vertical edge, 1 a horizontal edge, 2 red minus blue in the middle,
    3 dead (always -1). Pictures of 9 x 9 pixels.
    """
    weight = torch.zeros(4, 3, 3, 3)
    weight[0], weight[1] = torch.tensor(grey(VERTICAL_EDGE)), torch.tensor(grey(HORIZONTAL_EDGE))
    weight[2, 0, 1, 1], weight[2, 2, 1, 1] = 1.0, -1.0
    return Network("one_conv", {"conv": conv(weight, [0.0, 0.0, 0.0, -1.0])}, preprocessing(9))


def two_conv() -> Network:
    """Two layers, ReLU and a max pool 2/2 between. Pictures of 17 x 17 pixels.

    `first` (3x3, padding 1) holds 0 a vertical and 1 a horizontal edge; `second` (3x3, padding 1) holds 0 the sum of
    channel 0 along a column, 1 channel 1 in the middle minus half of channel 0 there, 2 dead (always -1).
    """
    first = torch.stack([torch.tensor(grey(VERTICAL_EDGE)), torch.tensor(grey(HORIZONTAL_EDGE))])
    second = torch.zeros(3, 2, 3, 3)
    second[0, 0, :, 1] = 1.0
    second[1, 1, 1, 1], second[1, 0, 1, 1] = 1.0, -0.5
    stages = {
        "first": conv(first, padding=1),
        "second": nn.Sequential(nn.ReLU(), nn.MaxPool2d(2), conv(second, [0.0, 0.0, -1.0], padding=1)),
    }
    head = nn.Sequential(nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    return Network("two_conv", stages, preprocessing(17), head=head, class_names=("column", "row", "never"))


class Branches(nn.Module):
    """Squeeze by a 1x1 convolution, then a 1x1 and a 3x3 convolution side by side, as in a fire module."""

    def __init__(self) -> None:
        super().__init__()
        self.squeeze = conv([[[[1.0]], [[1.0]]]])
        self.relu = nn.ReLU()
        self.one = conv([[[[2.0]]]])
        self.three = conv([[[[1.0] * 3] * 3], [[[0.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, 0.0, 0.0]]]], padding=1)

    def forward(self, x: Tensor) -> Tensor:
        squeezed = self.relu(self.squeeze(x))
        return torch.cat([self.one(squeezed), self.three(squeezed)], dim=1)


def branchy() -> Network:
    """`first` as in `two_conv` but stride 2 without padding, then `fire`: channel 0 of branch `one` is twice the sum
    of first's two rectified channels, 1 and 2 of branch `three` its 3x3 box sum and its right neighbour. Pictures of
    17 x 17 pixels.
    """
    first = torch.stack([torch.tensor(grey(VERTICAL_EDGE)), torch.tensor(grey(HORIZONTAL_EDGE))])
    stages = {"first": conv(first, stride=2), "fire": nn.Sequential(nn.ReLU(), Branches())}
    return Network("branchy", stages, preprocessing(17), branches={"fire": [("one", 1), ("three", 2)]})


class Either(nn.Module):
    """Channel 0 the larger, channel 1 the sum of the first two channels, neither of which is negative; channel 2 the
    third, less 1."""

    def __init__(self) -> None:
        super().__init__()
        # max(a, b) is (a - b) rectified, plus b.
        self.apart = conv(torch.tensor([[1.0, -1, 0], [0, 1, 0], [1, 0, 0], [0, 0, 1]]).reshape(4, 3, 1, 1))
        self.relu = nn.ReLU()
        self.joined = conv(
            torch.tensor([[1.0, 1, 0, 0], [0, 1, 1, 0], [0, 0, 0, 1]]).reshape(3, 4, 1, 1), [0.0, 0.0, -1.0]
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.joined(self.relu(self.apart(x)))


def two_faced() -> Network:
    """`parts` (3x3) holds 0 a vertical and 1 a horizontal edge, 2 half the brightness in the middle; `whole` 0 the
    larger of the two edges, 1 their sum, 2 never above zero. Pictures of 9 x 9 pixels.
    """
    middle = [[0.0, 0.0, 0.0], [0.0, 0.5, 0.0], [0.0, 0.0, 0.0]]
    parts = torch.stack([torch.tensor(grey(kernel)) for kernel in (VERTICAL_EDGE, HORIZONTAL_EDGE, middle)])
    return Network("two_faced", {"parts": conv(parts), "whole": nn.Sequential(nn.ReLU(), Either())}, preprocessing(9))
