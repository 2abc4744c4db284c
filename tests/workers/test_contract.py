"""What every kind of evidence keeps, whatever it shows."""

import copy
import inspect
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from taxonomy import recipes
from tests import tiny
from workers import scan, zoo
from workers.evidence import Failure, Finding, Members, Target
from workers.evidence.activation_histogram import activation_histogram
from workers.evidence.attribution import attribution
from workers.evidence.dataset_examples import dataset_examples
from workers.evidence.decomposed_visualization import decomposed_visualization
from workers.evidence.edit import edit
from workers.evidence.facets import facets
from workers.evidence.family_weights import family_weights
from workers.evidence.feature_visualization import feature_visualization
from workers.evidence.joint_tuning import joint_tuning
from workers.evidence.kernels import kernels
from workers.evidence.layer_weights import layer_weights
from workers.evidence.neighbours import neighbours
from workers.evidence.tuning_curves import tuning_curves
from workers.evidence.weight_factors import weight_factors
from workers.evidence.weights import weights
from workers.network import Network

Outcomes = list[Finding | Failure]


@dataclass(frozen=True)
class Kind:
    """A kind of evidence, what to call it with, and of which neurons."""

    function: Callable[..., Iterator[Finding | Failure]]
    parameters: dict[str, Any] = field(default_factory=dict)
    network: Callable[[], Network] = tiny.branchy
    targets: tuple[Target | Members, ...] = (
        ("first", 0),
        ("fire", 2),
        ("first", 1),
        ("fire", 0),
    )  # two layers, three fields


EXPERIMENT = {
    "do": [{"do": "drop", "at": {"layer": "first", "channels": [0], "named": ""}}],
    "expect": {"change": "unchanged", "margin": 0.5, "relative": False},
    "controls": 20,
    "seed": 0,
}
SWEEP = {"kind": "sweep", "stimulus": "curve", "step": 30, "radii": [4, 8], "strokes": [1, 2]}
SOME_IMAGES = {"kind": "images", "image_set": "noise", "indices": [0, 2, 3, 5, 7, 8, 10]}
RESPONSE = {"what": "response", "of": {"layer": "fire", "channels": [0, 2], "named": ""}}

# A new kind is added here, and nowhere else in this file.
KINDS = {
    "kernels": Kind(kernels, network=tiny.one_conv, targets=(("conv", 0), ("conv", 2), ("conv", 3))),
    "feature_visualization": Kind(feature_visualization, {"steps": 6, "batch": 3}),
    "feature_visualization, negative": Kind(feature_visualization, {"objective": "negative", "steps": 5, "batch": 2}),
    "feature_visualization, channel": Kind(feature_visualization, {"objective": "channel", "steps": 6, "batch": 3}),
    "feature_visualization, diversity": Kind(feature_visualization, {"diversity": 3, "steps": 6, "batch": 7}),
    "feature_visualization, bfloat16": Kind(feature_visualization, {"dtype": "bfloat16", "steps": 6, "batch": 3}),
    "dataset_examples": Kind(dataset_examples, {"batch": 4}),
    "activation_histogram": Kind(activation_histogram, {"batch": 4}),
    "facets": Kind(facets, {"layer": "first", "facets": 2, "steps": 6, "batch": 4}, targets=(("fire", 0), ("fire", 2))),
    "tuning_curves, curve": Kind(tuning_curves, {"step": 7.5}),
    "tuning_curves, line": Kind(tuning_curves, {"stimulus": "line", "step": 7.5}),
    "tuning_curves, grating": Kind(tuning_curves, {"stimulus": "grating", "step": 30}),
    "tuning_curves, high_low": Kind(tuning_curves, {"stimulus": "high_low", "step": 30}),
    "tuning_curves, centre_surround": Kind(tuning_curves, {"stimulus": "centre_surround"}),
    "tuning_curves, hue": Kind(
        tuning_curves, {"stimulus": "hue", "step": 30}, network=tiny.one_conv, targets=(("conv", 0), ("conv", 2))
    ),
    "weights, in": Kind(weights, {"layer": "first"}, targets=(("fire", 0), ("fire", 2))),
    "weights, out": Kind(weights, {"direction": "out", "layer": "fire"}, targets=(("first", 0), ("first", 1))),
    "neighbours, activation": Kind(neighbours, {"batch": 4}),
    "neighbours, weights": Kind(neighbours, {"by": "weights"}),
    "neighbours, rotation": Kind(neighbours, {"by": "rotation"}),
    "attribution": Kind(
        attribution, {"image": 3, "row": 2, "column": 1, "layer": "first"}, targets=(("fire", 0), ("fire", 1))
    ),
    "weight_factors": Kind(
        weight_factors, {"layer": "first", "steps": 6, "batch": 3}, targets=(("fire", 0), ("fire", 1), ("fire", 2))
    ),
    "decomposed_visualization": Kind(
        decomposed_visualization, {"layer": "first", "steps": 6, "batch": 4}, targets=(("fire", 0), ("fire", 1))
    ),
    "joint_tuning": Kind(joint_tuning, {"batch": 4, "top": 2, "step": 90}, targets=(("fire", (0, 2)), ("first", (1,)))),
    "family_weights": Kind(
        family_weights, {"source_layer": "first", "source": (0, 1)}, targets=(("fire", (0, 2)), ("fire", (1,)))
    ),
    "edit, sweep": Kind(edit, {"plan": EXPERIMENT | {"show": SWEEP, "measure": RESPONSE}}, targets=(("fire", ()),)),
    "edit, images": Kind(
        edit,
        {"plan": EXPERIMENT | {"show": SOME_IMAGES, "measure": {"what": "prediction"}}, "batch": 4},
        network=tiny.two_conv,
        targets=(("second", ()),),
    ),
    "layer_weights": Kind(layer_weights, {"layer": "first"}, targets=(("fire", ()),)),
}


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> scan.Pictures:
    folder: Path = tmp_path_factory.mktemp("images")
    random = np.random.default_rng(0)
    names = [f"{index}.png" for index in range(11)]
    for name in names:
        Image.fromarray(random.integers(0, 256, (23, 20, 3), dtype=np.uint8)).save(folder / name)
    return scan.Pictures(names, lambda index: folder / names[index])


@pytest.fixture(params=KINDS)
def make(request: pytest.FixtureRequest, images: scan.Pictures) -> "Maker":
    return Maker(KINDS[request.param], images)


@dataclass(frozen=True)
class Maker:
    """Makes evidence of one kind: all of it as a list, on a network of its own unless one is given."""

    kind: Kind
    images: scan.Pictures

    def __call__(
        self, network: Network | None = None, targets: tuple[Target | Members, ...] = (), **more: Any
    ) -> Outcomes:
        parameters = self.kind.parameters | more
        if "images" in inspect.signature(self.kind.function).parameters:
            parameters["images"] = self.images
        return list(self.kind.function(network or self.kind.network(), targets or self.kind.targets, **parameters))


def plain(outcome: Finding | Failure) -> Any:
    """Everything in it, in a form that can be compared."""
    if isinstance(outcome, Failure):
        return outcome
    drawn = {name: (array.shape, array.tobytes()) for name, array in (outcome.pictures | outcome.arrays).items()}
    return outcome.layer, outcome.channel, outcome.data, drawn, outcome.images


def state(network: Network) -> dict[str, Any]:
    """What evidence must leave as it was: of the network, and of the process."""
    hooks = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    return {
        "hooks": sum(len(getattr(module, name)) for module in network.modules() for name in hooks),
        "training": any(module.training for module in network.modules()),
        "wants gradients": any(parameter.requires_grad for parameter in network.parameters()),
        "holds gradients": any(parameter.grad is not None for parameter in network.parameters()),
        "weights": zoo.digest(network.state_dict()),
        "modules": [type(module) for module in network.modules()],
        "gradients on": torch.is_grad_enabled(),
        "inference mode": torch.is_inference_mode_enabled(),
        "threads": torch.get_num_threads(),
        "torch's numbers": torch.get_rng_state().tolist(),
        "numpy's numbers": str(np.random.get_state()),
    }


def test_every_computed_kind_is_here():
    assert {name.partition(",")[0] for name in KINDS} == set(recipes.COMPUTED)


def test_one_outcome_for_each_target_in_plain_numbers_and_pictures(make: Maker):
    outcomes = make()
    assert sorted((outcome.layer, outcome.channel) for outcome in outcomes) == sorted(make.kind.targets)
    assert any(isinstance(outcome, Finding) for outcome in outcomes)
    for outcome in outcomes:
        if isinstance(outcome, Failure):
            assert outcome.reason.endswith(".")
            continue
        assert json.loads(json.dumps(outcome.data, allow_nan=False)) == outcome.data
        assert all(array.dtype in (np.float32, np.int8) for array in outcome.arrays.values())
        assert all(np.isfinite(array).all() for array in outcome.arrays.values())
        for picture in outcome.pictures.values():
            assert picture.dtype == np.uint8
            assert picture.ndim == 3
            assert picture.shape[2] == 3
            assert min(picture.shape) > 0


def test_the_same_call_gives_the_same_bytes(make: Maker):
    first = make()
    torch.rand(1)  # whatever else in the process draws random numbers
    assert [plain(outcome) for outcome in make()] == [plain(outcome) for outcome in first]


def test_a_neuron_does_not_depend_on_its_company(make: Maker):
    together = {(outcome.layer, outcome.channel): outcome for outcome in make()}
    for target in make.kind.targets:
        (alone,) = make(targets=(target,))
        assert type(alone) is type(together[target])
        if isinstance(alone, Finding):
            assert_alike(alone.data, together[target].data)
            assert alone.images == together[target].images
            assert alone.pictures.keys() == together[target].pictures.keys()
            for name, picture in alone.pictures.items():
                difference = np.abs(picture.astype(int) - together[target].pictures[name])
                assert difference.max() <= 1  # a value on the edge between two of 256 steps
            assert alone.arrays.keys() == together[target].arrays.keys()
            for name, array in alone.arrays.items():
                assert array == pytest.approx(together[target].arrays[name], rel=1e-5, abs=1e-5)


def assert_alike(a: Any, b: Any) -> None:
    """Equal, and numbers to 1e-5."""
    if isinstance(a, dict):
        assert a.keys() == b.keys()
        for key in a:
            assert_alike(a[key], b[key])
    elif isinstance(a, list):
        assert len(a) == len(b)
        for one, other in zip(a, b, strict=True):
            assert_alike(one, other)
    elif isinstance(a, float):
        assert a == pytest.approx(b, rel=1e-5, abs=1e-5)
    else:
        assert a == b


def test_nothing_is_left_behind(make: Maker):
    network = make.kind.network()
    before = copy.deepcopy(state(network))
    make(network)
    assert state(network) == before


class Stop(BaseException):
    """Raised by a tick: not an Exception, as a keyboard interrupt is not."""


@pytest.mark.parametrize("after", [1, 3])
def test_a_tick_that_raises_passes_through_and_leaves_nothing_behind(make: Maker, after: int):
    network = make.kind.network()
    before = copy.deepcopy(state(network))
    called = 0

    def tick() -> None:
        nonlocal called
        called += 1
        if called >= after:
            raise Stop

    try:
        make(network, tick=tick)
    except Stop:
        assert called == after
    else:
        assert 0 < called < after  # done before it came to that
    assert state(network) == before
    make(network)  # and it works as ever


def test_unknown_layers_are_refused(make: Maker):
    with pytest.raises((KeyError, ValueError)):
        make(targets=(("nowhere", (0,) if isinstance(make.kind.targets[0][1], tuple) else 0),))
