import copy
from functools import partial

import pytest
import torch
from torch import nn

from tests import tiny
from workers import curve_network, zoo
from workers.network import Network
from workers.receptive_field import Field, canvas, propagate


def blank(architecture: str) -> Network:
    """The structure of a network, its weights not yet set."""
    known = zoo.ARCHITECTURES[architecture]
    with torch.device("meta"):
        network = known.network(architecture, known.factory())
    network.to_empty(device="cpu")
    network.mean, network.std = torch.zeros(1, 3, 1, 1), torch.ones(1, 3, 1, 1)
    return network


def linearised(network: Network) -> Network:
    """ReLU as identity, maximum as average, the weights all alike: every pixel that a unit can see has a gradient."""
    network = copy.deepcopy(network)
    for module in list(network.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, nn.ReLU):
                setattr(module, name, nn.Identity())
            elif isinstance(child, nn.MaxPool2d):
                average = nn.AvgPool2d(child.kernel_size, child.stride, child.padding, ceil_mode=child.ceil_mode)
                setattr(module, name, average)
    for parameter in network.parameters():
        parameter.fill_(1 / max(1, parameter[0].numel()) if parameter.dim() > 1 else 0)
    return network


NETWORKS = {
    "one_conv": tiny.one_conv,
    "two_conv": tiny.two_conv,
    "branchy": tiny.branchy,
    "curve_network": curve_network.build,
    **{
        name: partial(blank, name) for name in zoo.ARCHITECTURES if name != "vgg19"
    },  # its head alone is half a gigabyte
}


@pytest.mark.parametrize("name", NETWORKS)
def test_field_is_the_support_of_the_gradient(name: str):
    network = linearised(NETWORKS[name]())
    for layer in network.layers:
        if layer.fields[-1].size > 180:
            continue  # deeper layers follow by the same rules, and would take long
        first = 0
        for _, count, field in layer.runs:
            size, row = canvas(field)
            x = torch.rand(1, 3, size, size, requires_grad=True)
            network.activations(x, [layer.name])[layer.name][0, first, row, row].backward()
            assert x.grad is not None
            seen = x.grad[0].sum(0).abs() > 0
            columns, rows = seen.any(0).nonzero().flatten(), seen.any(1).nonzero().flatten()
            support = columns[0], rows[0], columns[-1] + 1, rows[-1] + 1
            assert support == field.box(row, row), layer.name
            first += count


@pytest.mark.parametrize("name", ["two_conv", "branchy", "curve_network"])
def test_no_padding_reaches_the_unit_of_a_canvas(name: str):
    network = NETWORKS[name]()
    picture = torch.rand(1, 3, 179, 179, generator=torch.Generator().manual_seed(0))
    for layer in network.layers:
        whole = network.activations(picture, [layer.name])[layer.name]
        first = 0
        for _, count, field in layer.runs:
            size, row = canvas(field)
            away = 2 * field.stride  # the canvas lies in the picture so that its units coincide with the picture's
            part = picture[:, :, away : away + size, away : away + size]
            alone = network.activations(part, [layer.name])[layer.name]
            channels = slice(first, first + count)
            torch.testing.assert_close(alone[:, channels, row, row], whole[:, channels, row + 2, row + 2])
            first += count


def test_canvas_is_the_smallest():
    assert canvas(Field(size=7, stride=2, start=0)) == (7, 0)
    assert canvas(Field(size=19, stride=4, start=-4)) == (19, 1)
    assert canvas(Field(size=59, stride=8, start=-20)) == (63, 3)  # 4 pixels at the left and top lie outside the field
    assert Field(size=59, stride=8, start=-20).box(3, 3) == (4, 4, 63, 63)


def test_what_is_not_known_is_refused():
    with pytest.raises(ValueError, match="Softmax"):
        propagate(nn.Softmax(dim=1), [Field(1, 1, 0)] * 3)
    with pytest.raises(ValueError, match="rows and columns, of different strides"):
        propagate(nn.Conv2d(3, 1, 3, stride=(1, 2)), [Field(1, 1, 0)] * 3)
    with pytest.raises(ValueError, match="strides"):
        propagate(nn.Conv2d(2, 1, 1), [Field(1, 1, 0), Field(1, 2, 0)])


def test_groups_and_dilation():
    left, right = Field(3, 1, -1), Field(1, 1, 0)
    grouped = nn.Conv2d(2, 2, 1, groups=2)
    assert propagate(grouped, [left, right]) == (left, right)
    assert propagate(nn.Conv2d(1, 1, 3, dilation=2), [right]) == (Field(5, 1, 0),)


def test_rows_and_columns_are_followed_apart_and_held_by_a_square():
    pixel = [Field(1, 1, 0)]
    wide, tall = nn.Conv2d(1, 1, (1, 7), padding=(0, 3)), nn.Conv2d(1, 1, (7, 1), padding=(3, 0))
    assert propagate(nn.Sequential(wide, tall), pixel) == (Field(7, 1, -3),)
    assert propagate(wide, pixel) == (Field(7, 1, -3),)  # sees one of these seven rows
    assert propagate(nn.Conv2d(1, 1, (1, 7)), pixel) == (Field(7, 1, 0),)
    striding = nn.Sequential(nn.MaxPool2d((1, 2), stride=(1, 2)), nn.AvgPool2d((2, 1), stride=(2, 1)))
    assert propagate(striding, pixel) == (Field(2, 2, 0),)
    assert propagate(nn.Conv2d(1, 1, 5, padding="same", dilation=2), pixel) == (Field(9, 1, -4),)
    assert propagate(nn.ZeroPad2d((1, 0, 2, 0)), pixel) == (Field(2, 1, -2),)
