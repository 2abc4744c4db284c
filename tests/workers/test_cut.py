import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from workers.cut import CutError, cut

X = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0)) - 0.3


def randomised(module: nn.Module) -> nn.Module:
    """In evaluation mode, with statistics and weights that no batch norm can pass over."""
    generator = torch.Generator().manual_seed(0)
    module.eval().requires_grad_(False)
    for part in module.modules():
        for values in [*part.parameters(recurse=False), getattr(part, "running_mean", None)]:
            if values is not None:
                values.uniform_(-0.7, 0.7, generator=generator)
        if getattr(part, "running_var", None) is not None:
            part.running_var.uniform_(0.3, 2, generator=generator)
    return module


def run(module: nn.Module, layers: dict[str, str] | None = None) -> dict[str, Tensor]:
    """The values of the layers and, as "", of the whole, which must be those of the module as it is."""
    before = {name: values.clone() for name, values in module.state_dict().items()}
    chain = cut(module, layers)
    found, kept, values = {}, {}, X
    for name, stage in [*chain.stages.items(), ("", chain.head or nn.Identity())]:
        found[name] = values = stage(values)
        kept[name] = values.clone()
    torch.testing.assert_close(found[""], module(X), rtol=1e-5, atol=1e-5)
    for name, values in found.items():
        torch.testing.assert_close(values, kept[name], rtol=0, atol=0)  # nothing was overwritten
    for name, values in module.state_dict().items():
        torch.testing.assert_close(values, before[name], rtol=0, atol=0)
    return found


class Block(nn.Module):
    """A residual block with a bottleneck, as modules."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1)
        self.bn2 = nn.BatchNorm2d(outputs, affine=False)
        self.relu = nn.ReLU(inplace=True)
        self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        out = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        out += self.shortcut(x)
        return self.relu(out)


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace=True))
        self.blocks = nn.Sequential(Block(4, 4), Block(4, 6, stride=2))
        self.dropout = nn.Dropout(0.5)
        self.fc = nn.Linear(6, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.blocks(F.max_pool2d(self.stem(x), 2))
        return self.fc(self.dropout(torch.flatten(F.adaptive_avg_pool2d(x, 1), 1)))


def test_layers_of_a_residual_network_are_found_before_their_relus():
    module = randomised(Residual())
    found = run(module)
    assert list(found) == ["stem", "blocks_0", "blocks_1", ""]
    torch.testing.assert_close(found["stem"].relu(), module.stem(X))
    assert (found["stem"] < 0).any()
    torch.testing.assert_close(found["blocks_1"].relu(), module.blocks(F.max_pool2d(module.stem(X), 2)))


def test_batch_norm_is_folded():
    chain = cut(randomised(Residual()))
    kinds = {type(part) for stage in chain.stages.values() for part in stage.modules()}
    assert nn.Conv2d in kinds
    assert nn.BatchNorm2d not in kinds


def test_layers_may_be_named():
    found = run(randomised(Residual()), {"late": "blocks.1", "early": "stem.0"})
    assert list(found) == ["early", "late", ""]
    whole = run(randomised(Residual()))
    torch.testing.assert_close(found["late"], whole["blocks_1"])
    torch.testing.assert_close(found["early"], whole["stem"])  # the batch norm behind it belongs to it
    assert list(run(randomised(Residual()), {"late": "blocks_1"})) == ["late", ""]  # as it would be called


@pytest.mark.parametrize(
    ("layers", "sentence"),
    [
        ({"a": "blocks.0.conv1"}, r"blocks\.0\.conv1 cannot be a layer: something in the network goes around it"),
        ({"a": "nowhere"}, "no submodule 'nowhere' that its forward calls. .* themselves: stem, blocks_0, blocks_1"),
        ({"a": "blocks.0.relu"}, "called, or gives a value, more than once"),
        ({"a": "stem", "b": "stem.1"}, "a, b are the same point of the network"),
    ],
)
def test_what_is_no_layer_is_refused(layers: dict[str, str], sentence: str):
    with pytest.raises(CutError, match=sentence):
        cut(randomised(Residual()), layers)


class Branchy(nn.Module):
    """All in functions; a pool of the layer before among the branches, and one concatenation within the other."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 4, 3)
        self.one, self.two, self.three = nn.Conv2d(4, 2, 1), nn.Conv2d(4, 3, 1), nn.Conv2d(3, 2, 3, padding=1)
        self.last = nn.Conv2d(11, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.first(x), inplace=True)
        inner = torch.cat([torch.relu(self.two(x)), self.three(self.two(x).relu()).relu_()], dim=-3)
        x = torch.concat((F.relu(self.one(x)), inner, F.max_pool2d(x, 3, stride=1, padding=1)), 1)
        return self.last(F.dropout(x, 0.5, self.training)).mean((2, 3))


def test_branches_are_joined_before_their_relus():
    module = randomised(Branchy())
    found = run(module)
    assert list(found) == ["first", "concat", "last", ""]
    joined, x = found["concat"], found["first"].relu()
    assert (joined < 0).any(dim=0).any(dim=-1).any(dim=-1).sum() >= 9
    torch.testing.assert_close(joined[:, :2], module.one(x))
    torch.testing.assert_close(joined[:, 7:], F.max_pool2d(found["first"], 3, stride=1, padding=1))
    assert cut(module).branches["concat"] == [("one", 2), ("two", 3), ("three", 2), ("pool", 4)]


class Dense(nn.Module):
    """Concatenates what it had with what is new, twice: the first sum of both is a layer too."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = nn.Conv2d(3, 2, 3), nn.Conv2d(2, 2, 3, padding=1), nn.Conv2d(4, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.a(x).relu()
        x = torch.cat([x, self.b(x).relu()], 1)
        return torch.cat([x, self.c(x).relu()], 1)


def test_concatenations_of_concatenations_stay_layers():
    found = run(randomised(Dense()))
    assert list(found) == ["a", "cat", "cat_1", ""]
    torch.testing.assert_close(found["cat_1"][:, :4], found["cat"])


def test_padding_by_name_is_written_in_cells():
    module = randomised(
        nn.Sequential(
            nn.Conv2d(3, 4, (3, 5), padding="same", dilation=2),
            nn.ReLU(),
            nn.Conv2d(4, 4, 3, padding="valid"),
            nn.Conv2d(4, 2, 2, padding="same"),  # one cell more on one side: stays as it is
        )
    )
    run(module)
    parts = [part for stage in cut(module).stages.values() for part in stage.modules() if isinstance(part, nn.Conv2d)]
    assert [part.padding for part in parts] == [(2, 4), (0, 0), "same"]
    assert module[0].padding == "same"


class Overwriting(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 1)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        return x + self.relu(x) * 0 + x.mean()


def test_what_overwrites_a_value_that_is_read_again_is_refused():
    with pytest.raises(CutError, match=r"relu overwrites its input, which add, mean reads afterwards.*inplace=True"):
        cut(Overwriting())


def test_norms_of_the_batch_are_refused():
    with pytest.raises(CutError, match=r"1 normalises by the statistics of the batch.*running statistics"):
        cut(nn.Sequential(nn.Conv2d(3, 2, 1), nn.BatchNorm2d(2, track_running_stats=False)))


class Two(nn.Module):
    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return x + y


class Several(nn.Module):
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x, x


def test_other_forms_of_forward_are_refused():
    with pytest.raises(CutError, match="must take the pictures alone"):
        cut(Two())
    with pytest.raises(CutError, match="must return one tensor"):
        cut(Several())
    with pytest.raises(CutError, match="Nothing in it is a convolution"):
        cut(nn.Flatten())
