import copy
import importlib.util
import json
import os
import pickle
import re
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
import torchvision

from tests.shared import DATA, needs_data
from workers import linearize, scan, zoo

SQUEEZENET = DATA / "squeezenet1_0" / "squeezenet1_0.safetensors"
IMAGES = DATA / "imagenet-samples"


@pytest.fixture(scope="module")
def model() -> torch.nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return torchvision.models.squeezenet1_0(weights=None).eval()


@pytest.fixture
def weights(model: torch.nn.Module, tmp_path: Path) -> Path:
    path = tmp_path / "weights.safetensors"
    safetensors.torch.save_file(model.state_dict(), path)
    return path


def test_squeezenet_computes_what_torchvision_does(model: torch.nn.Module, weights: Path):
    network = zoo.load("squeezenet1_0", weights)
    x = torch.rand(2, 3, 227, 227, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected = model(network.normalise(x))
        torch.testing.assert_close(network.logits(x), expected, rtol=0, atol=0)
        middle = network.activations(x, ["fire4", "conv1"])
        assert list(middle) == ["conv1", "fire4"]
        onwards = network.between(middle["fire4"], "fire4", "fire9")
        torch.testing.assert_close(network.head(onwards), expected, rtol=0, atol=0)
        features = model.features[:5](network.normalise(x))  # up to fire3, after its ReLU
        torch.testing.assert_close(network.between(x, None, "fire3").relu(), features, rtol=0, atol=0)


def test_networks_are_frozen_and_stay_in_evaluation_mode(weights: Path):
    network = zoo.load("squeezenet1_0", weights)
    network.train()
    assert not any(module.training for module in network.modules())
    assert not any(parameter.requires_grad for parameter in network.parameters())


def test_digest_is_of_the_content_and_not_of_the_file(model: torch.nn.Module, weights: Path, tmp_path: Path):
    torch.save(model.state_dict(), tmp_path / "weights.pth")
    digests = {zoo.describe("squeezenet1_0", path)["weights_digest"] for path in (weights, tmp_path / "weights.pth")}
    assert len(digests) == 1
    changed = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    changed["classifier.1.bias"][0] += 1
    assert zoo.digest(changed) not in digests


def without(state: dict[str, torch.Tensor], name: str) -> dict[str, torch.Tensor]:
    return {key: value for key, value in state.items() if key != name}


def with_value(state: dict[str, torch.Tensor], value: float) -> dict[str, torch.Tensor]:
    spoilt = state["features.0.bias"].clone()
    spoilt[3] = value
    return state | {"features.0.bias": spoilt}


SPOILT: dict[str, tuple[Callable[[dict[str, torch.Tensor]], Any], str]] = {
    "lacking": (lambda state: without(state, "features.3.squeeze.bias"), "lacks the tensor 'features.3.squeeze.bias'"),
    "unexpected": (lambda state: state | {"extra.weight": torch.zeros(1)}, "holds the tensor 'extra.weight'"),
    "mis-shaped": (lambda state: state | {"features.0.bias": torch.zeros(7)}, r"'features.0.bias' in the shape \[7\]"),
    "nan": (lambda state: with_value(state, float("nan")), "'features.0.bias' that are not finite"),
    "infinite": (lambda state: with_value(state, float("inf")), "'features.0.bias' that are not finite"),
    "integers": (lambda state: state | {"features.0.bias": torch.zeros(96, dtype=torch.int64)}, "not finite numbers"),
}


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
@pytest.mark.parametrize("case", SPOILT)
def test_weights_of_another_network_are_refused_by_the_first_tensor_amiss(
    case: str, suffix: str, model: torch.nn.Module, tmp_path: Path
):
    spoil, sentence = SPOILT[case]
    path = tmp_path / f"weights{suffix}"
    (safetensors.torch.save_file if suffix == ".safetensors" else torch.save)(spoil(dict(model.state_dict())), path)
    with pytest.raises(zoo.ZooError, match=sentence):
        zoo.load("squeezenet1_0", path)


def test_weights_of_inceptionv1_are_refused_for_squeezenet(weights: Path):
    with pytest.raises(zoo.ZooError, match=r"lacks the tensor 'conv2d0_pre_relu_conv.weight' of inceptionv1"):
        zoo.load("inceptionv1", weights)


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_damaged_files_are_refused(suffix: str, model: torch.nn.Module, tmp_path: Path):
    path = tmp_path / f"weights{suffix}"
    with pytest.raises(zoo.ZooError, match="There is no weights file"):
        zoo.load("squeezenet1_0", path)
    (safetensors.torch.save_file if suffix == ".safetensors" else torch.save)(model.state_dict(), path)
    whole = path.read_bytes()
    for part in (b"", whole[:1], whole[:100], whole[: len(whole) // 2], whole[:-1], b"GIF89a" + whole):
        path.write_bytes(part)
        with pytest.raises(zoo.ZooError, match="damaged, cut short or of another format"):
            zoo.load("squeezenet1_0", path)


class Trap:
    """Unpickled without care, it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str, str]]:
        return open, (str(self.path), "w")


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_a_pickle_that_wants_to_run_code_is_refused_and_does_not_run(tmp_path: Path):
    sprung = tmp_path / "sprung"
    torch.save({"features.0.weight": Trap(sprung)}, tmp_path / "weights.pth")
    (tmp_path / "plain.pth").write_bytes(pickle.dumps(Trap(sprung)))
    for name in ("weights.pth", "plain.pth"):
        with pytest.raises(zoo.ZooError, match="wants to run code"):
            zoo.load("squeezenet1_0", tmp_path / name)
    assert not sprung.exists()


def test_what_is_no_state_dict_is_refused(tmp_path: Path):
    torch.save({"model": {"features.0.weight": torch.zeros(1)}}, tmp_path / "weights.pth")
    with pytest.raises(zoo.ZooError, match="not a state dict"):
        zoo.load("squeezenet1_0", tmp_path / "weights.pth")


def test_refusals_of_architectures():
    with pytest.raises(zoo.ZooError, match=r"no architecture 'resnet'.*squeezenet1_0"):
        zoo.load("resnet")
    with pytest.raises(zoo.ZooError, match="catalogue only: give --weights"):
        zoo.load("inceptionv1")
    with pytest.raises(zoo.ZooError, match="takes no weights"):
        zoo.load("curve_network", Path("weights.pth"))


def test_layers_of_inceptionv1_are_those_of_the_circuits_thread():
    description = zoo.describe("inceptionv1")
    sizes = {layer["name"]: layer["channels"] for layer in description["layers"]}
    assert sizes == {
        "conv2d0": 64,
        "conv2d1": 64,
        "conv2d2": 192,
        "mixed3a": 256,
        "mixed3b": 480,
        "mixed4a": 508,
        "mixed4b": 512,
        "mixed4c": 512,
        "mixed4d": 528,
        "mixed4e": 832,
        "mixed5a": 832,
        "mixed5b": 1024,
    }
    mixed3a = description["layers"][3]
    assert mixed3a["branches"] == [["1x1", 64], ["3x3", 128], ["5x5", 32], ["pool", 32]]
    assert {field["stride"] for field in mixed3a["fields"]} == {8}
    assert description["layers"][5]["branches"] == [["1x1", 192], ["3x3", 204], ["5x5", 48], ["pool", 64]]
    assert description["weights_digest"] is None


@needs_data
def test_published_families_of_inceptionv1_fit_its_layers():
    sizes = {layer["name"]: layer["channels"] for layer in zoo.describe("inceptionv1")["layers"]}
    files = sorted((DATA / "early-vision").glob("*.json"))
    assert len(files) == 9
    for file in files:
        published = json.loads(file.read_text())
        assert sizes[published["layer"]] == published["layer_size"]


ROUNDING = 1e-4  # of the largest value: what folding batch norm may change


def randomised(module: torch.nn.Module) -> torch.nn.Module:
    """The module, made on the meta device, with seeded random weights and statistics that keep the size of values."""
    generator = torch.Generator().manual_seed(0)
    module = module.to_empty(device="cpu").eval().requires_grad_(False)
    for part in module.modules():
        if isinstance(part, torch.nn.Conv2d | torch.nn.Linear):
            scale = (3 / part.weight[0].numel()) ** 0.5
            part.weight.uniform_(-scale, scale, generator=generator)
        if isinstance(part, torch.nn.BatchNorm2d):
            for values in (part.weight, part.running_var):
                values.uniform_(0.5, 1.5, generator=generator)
            part.running_mean.uniform_(-0.1, 0.1, generator=generator)
        if getattr(part, "bias", None) is not None:
            part.bias.uniform_(-0.1, 0.1, generator=generator)
    return module


def made(name: str) -> torch.nn.Module:
    with torch.device("meta"):
        module = zoo.ARCHITECTURES[name].factory()
    return randomised(module)


def outputs(module: torch.nn.Module, x: torch.Tensor, paths: Iterable[str]) -> dict[str, torch.Tensor]:
    """What the submodules give on the way, and under "" what the whole gives."""
    found = {}
    hooks = [
        # A copy (+): what comes after may overwrite it.
        module.get_submodule(path).register_forward_hook(
            lambda _, __, out, path=path: found.update({path: out.clone()})
        )
        for path in paths
    ]
    with torch.inference_mode():
        found[""] = module(x)
    for hook in hooks:
        hook.remove()
    return found


def assert_close(found: torch.Tensor, expected: torch.Tensor) -> None:
    assert expected.abs().max() > 0
    torch.testing.assert_close(found, expected, rtol=0, atol=ROUNDING * float(expected.abs().max()))


SIDES = {"alexnet": 99, "vgg19": 64, "inception_v3": 107}  # of small pictures; odd, so that pools round


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name == "vgg19" else ()) for name in zoo.ARCHITECTURES]
)
def test_layers_and_logits_are_those_of_the_published_module(name: str):
    module, known = made(name), zoo.ARCHITECTURES[name]
    before = {key: value.clone() for key, value in module.state_dict().items() if "classifier" not in key}
    network = known.network(name, module)
    x = torch.rand(2, 3, *(SIDES.get(name, 75),) * 2, generator=torch.Generator().manual_seed(1))
    # Batch norm belongs to the convolution, and here no block holds both.
    paths = {layer: "bn1" if (name, path) == ("resnet50", "conv1") else path for layer, path in known.layers.items()}
    expected = outputs(module, network.normalise(x), paths.values())
    with torch.inference_mode():
        found = network.activations(x, paths)
        assert_close(network.logits(x), expected[""])
    for layer, path in paths.items():
        assert found[layer].shape[1] == network.layer(layer).channels
        rectified = bool((expected[path] >= 0).all())
        assert_close(found[layer].relu() if rectified else found[layer], expected[path])
        assert (found[layer] < 0).any(), f"{layer} is not read before its ReLU"
    for key, value in before.items():
        torch.testing.assert_close(module.state_dict()[key], value, rtol=0, atol=0)


def without_relus(stage: torch.nn.Module) -> torch.nn.Module:
    """A linear copy: maxima are means, and what is not linear does nothing."""
    stage = copy.deepcopy(stage)
    for part in list(stage.modules()):
        for name, child in list(part.named_children()):
            if isinstance(child, torch.nn.ReLU | torch.nn.LocalResponseNorm):
                setattr(part, name, torch.nn.Identity())
            elif isinstance(child, torch.nn.MaxPool2d):
                mean = torch.nn.AvgPool2d(child.kernel_size, child.stride, child.padding, ceil_mode=child.ceil_mode)
                setattr(part, name, mean)
    return stage


def cropped(values: torch.Tensor) -> torch.Tensor:
    """The smallest rectangle of (channels, rows, columns) that holds all that is not zero."""
    rows, columns = values.abs().amax((0, 2)).nonzero().flatten(), values.abs().amax((0, 1)).nonzero().flatten()
    return values[:, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


MIDDLES = [
    ("alexnet", "conv3", "conv4"),
    pytest.param("vgg19", "conv3_3", "conv4_2", marks=pytest.mark.slow),
    ("squeezenet1_0", "fire4", "fire5"),
    ("squeezenet1_1", "fire5", "fire7"),
    ("googlenet", "inception3b", "inception4a"),
    ("inception_v3", "Mixed_5d", "Mixed_6a"),  # average pools before it, a pool of its own
    ("inception_v3", "Mixed_6a", "Mixed_6b"),  # 1x7 and 7x1
    ("inception_v3", "Mixed_7a", "Mixed_7b"),  # ends with 1x3 and 3x1
    ("resnet50", "layer1_2", "layer2_1"),  # a shortcut by convolution, then one without
    ("inceptionv1", "mixed4b", "mixed4c"),
]


@pytest.mark.parametrize(("name", "start", "end"), MIDDLES)
def test_weights_between_layers_are_gradients_of_the_network_made_linear(name: str, start: str, end: str):
    network = zoo.ARCHITECTURES[name].network(name, made(name))
    first, last = network.layer(start), network.layer(end)
    stages = [without_relus(network.stages[layer.name]) for layer in network.layers[first.order + 1 : last.order + 1]]
    values = torch.zeros(1, first.channels, 40, 40, requires_grad=True)
    units = torch.nn.Sequential(*stages)(values)
    starts = np.cumsum([0, *(count for _, count, _ in last.runs[:-1])]).tolist()  # a channel of each branch
    for kernel in linearize.kernels(network, start, end, starts):
        unit = units[0, kernel.channel, units.shape[2] // 2, units.shape[3] // 2]
        (gradient,) = torch.autograd.grad(unit, values, retain_graph=True)
        if kernel.linearised:
            torch.testing.assert_close(cropped(kernel.values), cropped(gradient[0]), rtol=1e-4, atol=1e-6)
        else:  # of one convolution, behind a pool, which only spreads its weights
            torch.testing.assert_close(kernel.values.sum((1, 2)), gradient[0].sum((1, 2)), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", [name for name in zoo.ARCHITECTURES if name != "inceptionv1"])
def test_catalogues_have_what_torchvision_publishes(name: str):
    description = zoo.describe(name)
    published = torchvision.models.get_model_weights(name)["IMAGENET1K_V1"].meta
    heads = {"inception_v3": 3_326_696}  # the head that only training needs
    assert description["parameters"] == published["num_params"] - heads.get(name, 0)
    assert description["class_names"] == published["categories"]
    assert [layer["order"] for layer in description["layers"]] == list(range(len(zoo.ARCHITECTURES[name].layers)))
    assert all(re.fullmatch(r"[\w.-]+", layer["name"]) for layer in description["layers"])
    assert description["weights_digest"] is None


def test_layers_are_called_as_the_field_calls_them():
    layers = {name: {layer["name"]: layer for layer in zoo.describe(name)["layers"]} for name in zoo.ARCHITECTURES}
    assert list(layers["alexnet"]) == ["conv1", "conv2", "conv3", "conv4", "conv5"]
    assert list(layers["vgg19"])[:3] == ["conv1_1", "conv1_2", "conv2_1"]
    assert list(layers["vgg19"])[-1] == "conv5_4"
    assert list(layers["googlenet"])[2:5] == ["conv3", "inception3a", "inception3b"]
    assert layers["googlenet"]["inception4a"]["branches"] == [
        ["branch1", 192],
        ["branch2", 208],
        ["branch3", 48],
        ["branch4", 64],
    ]
    assert list(layers["resnet50"])[:2] + list(layers["resnet50"])[-1:] == ["conv1", "layer1_0", "layer4_2"]
    # Its pool has the channels of the layer before, which see squares of different sizes.
    mixed6a = layers["inception_v3"]["Mixed_6a"]["branches"]
    assert mixed6a[:2] == [["branch3x3", 384], ["branch3x3dbl_3", 96]]
    assert [branch for branch, _ in mixed6a[2:]] == ["pool"] * 3
    assert sum(channels for _, channels in mixed6a[2:]) == 288
    assert layers["squeezenet1_1"]["fire9"]["branches"] == [["expand1x1", 256], ["expand3x3", 256]]
    assert layers["inception_v3"]["Mixed_7c"]["channels"] == layers["resnet50"]["layer4_2"]["channels"] == 2048


@pytest.mark.parametrize("name", ["googlenet", "inception_v3"])
def test_pictures_reach_the_weights_as_torchvision_sends_them(name: str):
    """Its pretrained weights are used with `transform_input`; here the normalisation is theirs from the start."""
    whole = torchvision.models.get_model(name, weights=None, init_weights=False, transform_input=True, aux_logits=False)
    x = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    usual = torchvision.transforms.functional.normalize(x, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    known = zoo.ARCHITECTURES[name]
    with torch.device("meta"):
        network = known.network(name, known.factory())
    torch.testing.assert_close(network.normalise(x), whole._transform_input(usual), rtol=0, atol=1e-6)


def test_weights_files_may_hold_heads_for_training(tmp_path: Path):
    with torch.device("meta"):
        whole = torchvision.models.googlenet(weights=None, init_weights=False)
    state = randomised(whole).state_dict()
    assert any(name.startswith("aux1.") for name in state)
    lean = {name: value for name, value in state.items() if not name.startswith("aux") and "batches" not in name}
    x = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    logits = []
    for number, content in enumerate((state, lean)):
        safetensors.torch.save_file(content, path := tmp_path / f"{number}.safetensors")
        network = zoo.load("googlenet", path)
        logits.append(network.logits(x))
        assert_close(logits[-1], whole(network.normalise(x)))
    torch.testing.assert_close(logits[0], logits[1], rtol=0, atol=0)
    safetensors.torch.save_file(lean | {"bux1.conv": torch.ones(1)}, tmp_path / "other.safetensors")
    with pytest.raises(zoo.ZooError, match=r"holds the tensor 'bux1\.conv', which googlenet does not have"):
        zoo.load("googlenet", tmp_path / "other.safetensors")


@pytest.mark.skipif(
    importlib.util.find_spec("lucent") is None and not os.environ.get("CI"),
    reason="torch-lucent is not installed (pip install --no-deps -r requirements-peers.txt)",
)
def test_inceptionv1_is_that_of_torch_lucent(tmp_path: Path):
    from lucent.modelzoo.inceptionv1.InceptionV1 import InceptionV1

    with torch.device("meta"):
        peer = InceptionV1(redirected_ReLU=False)
    peer = randomised(peer)
    safetensors.torch.save_file(peer.state_dict(), tmp_path / "weights.safetensors")
    assert len(peer.state_dict()) == 2 * 58  # 3 + 9 x 6 convolutions and one matrix, each with biases
    network = zoo.load("inceptionv1", tmp_path / "weights.safetensors")
    names = [layer.name for layer in network.layers]
    x = torch.rand(1, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    expected = outputs(peer, network.normalise(x), names)
    with torch.inference_mode():
        found = network.activations(x, names)
        assert_close(network.logits(x).softmax(1), expected[""])
    for name in names:
        assert_close(found[name].relu(), expected[name])
    assert [found[name].shape[2] for name in ("conv2d0", "mixed3a", "mixed4a", "mixed5b")] == [112, 28, 14, 7]
    assert network.normalise(torch.ones(1, 3, 1, 1)).flatten().tolist() == pytest.approx([138.0] * 3)


def test_layers_by_name():
    network = zoo.load("curve_network")
    assert network.layer("mixed3b").order == 4
    with pytest.raises(KeyError, match="its layers are conv2d0, conv2d1"):
        network.layer("mixed9")
    with pytest.raises(ValueError, match="mixed3b comes after conv2d1"):
        network.between(torch.zeros(1, 42, 5, 5), "mixed3b", "conv2d1")


def test_command_line(capsys: pytest.CaptureFixture[str], weights: Path):
    assert zoo.main(["squeezenet1_0", "--weights", str(weights)]) == 0
    description = json.loads(capsys.readouterr().out)
    assert description == zoo.describe("squeezenet1_0", weights)
    assert description["parameters"] == 1_248_424
    assert zoo.main(["squeezenet1_0", "--weights", "nowhere.pth"]) == 2
    assert "no weights file" in json.loads(capsys.readouterr().out)["error"]


def test_command_line_of_its_own_process():
    done = subprocess.run(
        [sys.executable, "-m", "workers.zoo", "curve_network"], capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout) == zoo.describe("curve_network")


@needs_data
@pytest.mark.slow
def test_squeezenet_sees_what_its_published_weights_should():
    network = zoo.load("squeezenet1_0", SQUEEZENET)
    names = sorted(path.name for path in IMAGES.iterdir() if path.suffix.lower() in {".jpg", ".jpeg"})
    assert len(names) == 1000
    images = scan.Pictures(names, lambda i: IMAGES / names[i])
    right = 0
    with torch.inference_mode():
        for indices, pictures in scan.batches(images, network.preprocessing, 50):
            found = network.logits(scan.to_input(pictures)).argmax(1)
            right += int((found == torch.tensor(list(indices))).sum())
    # Picture i is of class i. Published: 62.0 %; decoders and crops of odd margins differ by a few pictures.
    assert abs(right - 620) <= 10


def test_weights_that_changed_in_the_store_are_refused(weights: Path):
    registered = zoo.describe("squeezenet1_0", weights)["weights_digest"]
    zoo.load("squeezenet1_0", weights, expected=registered)
    spoilt = bytearray(weights.read_bytes())
    spoilt[-1] ^= 1
    weights.write_bytes(spoilt)
    with pytest.raises(zoo.ZooError, match="are not those that were registered"):
        zoo.load("squeezenet1_0", weights, expected=registered)
