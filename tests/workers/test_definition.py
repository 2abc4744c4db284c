"""Networks of an operator's own: what goes in, and in what words the rest is refused."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from tests.own_network import FILE
from workers import zoo
from workers.definition import Definition, DefinitionError
from workers.network import Preprocessing

SIZE = 33


def definition(tmp_path: Path, source: str = FILE, **changes: Any) -> Definition:
    file = tmp_path / "mine.py"
    file.write_text(source)
    data = {
        "factory": "make",
        "layers": [],
        "preprocessing": {"resize": SIZE, "size": SIZE, "mean": [0, 0, 0], "std": [1, 1, 1]},
        **changes,
    }
    return Definition.read(data, file)


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    module = definition(tmp_path).module()
    generator = torch.Generator().manual_seed(0)
    for name, values in module.state_dict().items():
        if values.is_floating_point():
            values.uniform_(0.5 if name.endswith("_var") else -0.5, 1.0, generator=generator)
    safetensors.torch.save_file(module.state_dict(), tmp_path / "mine.safetensors")
    return tmp_path / "mine.safetensors"


def test_an_own_network_is_described_and_computes_what_its_module_does(tmp_path: Path, weights: Path):
    own = definition(tmp_path, class_names=["cat", "dog"])
    described = zoo.describe("mine.py", weights, own)
    assert [layer["name"] for layer in described["layers"]] == ["conv1", "conv2", "stage_0", "stage_1"]
    assert [layer["channels"] for layer in described["layers"]] == [4, 6, 6, 8]
    assert described["layers"][2]["fields"] == [{"size": 17, "stride": 2, "start": -4}]
    assert (described["class_names"], described["parameters"]) == (["cat", "dog"], 2358)
    network = zoo.load("mine.py", weights, definition=own, expected=described["weights_digest"])
    module = own.module()
    module.load_state_dict(safetensors.torch.load_file(weights))
    x = torch.rand(2, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(network.logits(x), module(x), rtol=1e-4, atol=1e-4)


def test_the_example_in_the_documents_works(tmp_path: Path):
    """As docs/add-network.md has it: the file, its layers, how many neurons."""
    text = (Path(__file__).resolve().parents[2] / "docs" / "add-network.md").read_text()
    example = text.split("```python\n", 2)[1].split("```")[0]
    own = definition(tmp_path, example, class_names=["a", "b", "c"])
    safetensors.torch.save_file(own.module().state_dict(), tmp_path / "edges.safetensors")
    layers = zoo.describe("edges.py", tmp_path / "edges.safetensors", own)["layers"]
    found = {layer["name"]: layer["channels"] for layer in layers}
    assert found == {"stem": 8, "blocks_0": 8, "blocks_1": 8}
    assert f"Registered edges: {len(found)} layers, {sum(found.values())} neurons" in text
    named = definition(tmp_path, example, layers=["stem", "late=blocks.1"])
    layers = zoo.describe("edges.py", tmp_path / "edges.safetensors", named)["layers"]
    assert [layer["name"] for layer in layers] == ["stem", "late"]


def test_the_table_in_the_documents_names_every_architecture():
    text = (Path(__file__).resolve().parents[2] / "docs" / "add-network.md").read_text()
    table = text.split("## What is known")[1].split("## A module")[0]
    assert {name for name in zoo.NAMES if f"`{name}`" not in table} == set()


def test_layers_of_ones_choice(tmp_path: Path, weights: Path):
    own = definition(tmp_path, layers=["stage.1", "block=stage.0", "conv1"])
    described = zoo.describe("mine.py", weights, own)
    assert [layer["name"] for layer in described["layers"]] == ["conv1", "block", "stage_1"]


def test_the_digest_is_of_all_that_the_values_depend_on(tmp_path: Path, weights: Path):
    own = definition(tmp_path)
    found = zoo.describe("mine.py", weights, own)["weights_digest"]
    (tmp_path / "elsewhere").write_text(FILE)
    assert (
        zoo.describe("other", weights, dataclasses.replace(own, file=tmp_path / "elsewhere"))["weights_digest"] == found
    )
    half = Preprocessing(SIZE, SIZE, (0.5, 0.5, 0.5), (1.0, 1.0, 1.0))
    others = [
        dataclasses.replace(own, preprocessing=half),
        definition(tmp_path, layers=["conv1"]),
        definition(tmp_path, FILE + "\n\nfactory = make", factory="factory"),
        definition(tmp_path, FILE + "\n# changed"),
    ]
    digests = []
    for other in others:  # each as its file is now
        other.file.write_text(FILE + {2: "\n\nfactory = make", 3: "\n# changed"}.get(len(digests), ""))
        digests.append(zoo.describe("mine.py", weights, other)["weights_digest"])
    assert len({found, *digests}) == 5
    with pytest.raises(zoo.ZooError, match="are not those that were registered"):
        zoo.load("mine.py", weights, definition=others[3], expected=found)


def edited(old: str, new: str) -> str:
    assert old in FILE
    return FILE.replace(old, new)


REFUSED: dict[str, tuple[str, dict[str, Any], str]] = {
    "not Python": ("def make(:", {}, r"mine\.py does not run.*SyntaxError"),
    "needs more": ("import helper_of_mine", {}, r"nothing beside it.*No module named 'helper_of_mine'"),
    "no factory": (FILE, {"factory": "build"}, "no function 'build'. Name it as FILE.py:FUNCTION"),
    "ends": ("raise SystemExit(3)", {}, r"mine\.py does not run.*SystemExit: 3"),
    "factory fails": (edited("return Small()", "raise OSError('no disk')"), {}, r"make\(\) fails.*OSError: no disk"),
    "wants arguments": (edited("def make():", "def make(size):"), {}, r"make\(\) fails.*without arguments.*'size'"),
    "no module": (edited("return Small()", "return 3"), {}, r"make\(\) returns a int. It must return an nn.Module"),
    "control flow": (
        edited("x = self.relu(self.bn1", "x = x if x.mean() > 0 else -x\n        x = self.relu(self.bn1"),
        {},
        r"cannot be followed.*no `if`, `for` or `assert`.*TraceError",
    ),
    "no cut point": (FILE, {"layers": ["stage.0.conv1"]}, r"stage\.0\.conv1 cannot be a layer: something.*goes around"),
    "in place": (
        edited("out += self.shortcut(x)", "skip = self.shortcut(x)\n        out = self.relu(skip) + out + skip"),
        {},
        "relu.* overwrites its input, which add.* reads afterwards",
    ),
    "unseen in place": (
        edited("out += self.shortcut(x)", "y = out\n        out += self.shortcut(x)\n        out = out + y"),
        {},
        "does not give what it gives as a whole: something in its forward is not seen",
    ),
    "unknown field": (
        edited("x = self.relu(self.bn1", "x = torch.tanh(x)\n        x = self.relu(self.bn1"),
        {},
        "Layer conv1: The receptive field through .*tanh.* is not known.* name those that do",
    ),
    "wrong size": (
        FILE,
        {"preprocessing": {"resize": 5, "size": 5, "mean": [0, 0, 0], "std": [1, 1, 1]}},
        r"does not take pictures of 3 x 5 x 5.*--input-size",
    ),
    "other weights": (edited("nn.Linear(8, 2)", "nn.Linear(8, 3)"), {}, r"'fc.weight' in the shape \[2, 8\]"),
    "class names": (FILE, {"class_names": ["one"]}, r"There are 1 class names, and it gives \[2\] numbers"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refusals(case: str, tmp_path: Path, weights: Path):
    source, changes, sentence = REFUSED[case]
    with pytest.raises(zoo.ZooError, match=sentence):
        zoo.describe("mine.py", weights, definition(tmp_path, source, **changes))


def test_a_file_that_is_not_there(tmp_path: Path, weights: Path):
    own = definition(tmp_path)
    own.file.unlink()
    with pytest.raises(zoo.ZooError, match=r"There is no file .*mine\.py"):
        zoo.describe("mine.py", weights, own)


def test_a_state_dict_is_needed(tmp_path: Path):
    with pytest.raises(zoo.ZooError, match="needs its state dict: give --weights"):
        zoo.describe("mine.py", None, definition(tmp_path))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"layers": ["a b=stem"]}, "cannot be called 'a b'"),
        ({"layers": ["keys=stem"]}, "cannot be called 'keys'"),
        ({"layers": ["x=stem", "x=fc"]}, "Two layers have the same name"),
        ({"preprocessing": {"resize": 9, "size": 9, "mean": [0, 0, 0], "std": [1, 0, 1]}}, "--std above 0"),
        ({"preprocessing": {"resize": 8, "size": 9, "mean": [0, 0, 0], "std": [1, 1, 1]}}, "resize no smaller"),
    ],
)
def test_definitions_that_cannot_be_meant(changes: dict[str, Any], sentence: str, tmp_path: Path):
    with pytest.raises(DefinitionError, match=sentence):
        definition(tmp_path, **changes)


def test_a_factory_that_draws_random_numbers_gives_the_same_and_leaves_no_trace(tmp_path: Path):
    before = torch.random.get_rng_state()
    first, second = (definition(tmp_path).module().state_dict() for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert torch.equal(torch.random.get_rng_state(), before)
