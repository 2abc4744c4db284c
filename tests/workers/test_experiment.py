"""The experiment engine: what is changed, what controls change, what is measured, and what is made of it."""

import copy
import io
from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from tests import planted, tiny
from tests.shared import DATA, needs_data
from workers import curve_network, scan, zoo
from workers.experiment import CannotTest, carry_out, screen, seen
from workers.interventions import Condition, Design, Planner, nearest
from workers.network import Network
from workers.responses import views
from workers.ruling import between, intervals, of_difference, of_share, verdict

pytestmark = pytest.mark.together


def neurons(layer: str, *channels: int) -> dict[str, Any]:
    return {"layer": layer, "channels": list(channels), "named": ""}


def plan(*changes: dict[str, Any], **parts: Any) -> dict[str, Any]:
    return {
        "do": list(changes),
        "show": {"kind": "sweep", "stimulus": "curve", "step": 30, "radii": [3, 5, 8], "strokes": [1, 2]},
        "measure": {"what": "response", "of": neurons("whole", *range(planted.WHOLES))},
        "expect": {"change": "falls", "margin": 0, "relative": False},
        "controls": 20,
        "seed": 0,
    } | parts


def drop(layer: str, *channels: int) -> dict[str, Any]:
    return {"do": "drop", "at": neurons(layer, *channels)}


def weights(do: str, sources: dict[str, Any], targets: dict[str, Any], **more: float) -> dict[str, Any]:
    return {"do": do, "from": sources, "to": targets, **more}


def after(network: Network, planned: dict[str, Any], values: torch.Tensor, end: str) -> torch.Tensor:
    """Values of the layer under the plan, from pictures."""
    planner = Planner(network, planned)
    start = network.between(values, None, planner.start)
    everyone = {layer: np.ones(network.layer(layer).channels) for layer in planner.matched}
    return planner.design(everyone).conditions[1].through(network, start, planner.start, end)


# What is changed.


def random_pictures(count: int, size: int) -> torch.Tensor:
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("change", "edit"),
    [
        ("zero", lambda part: torch.zeros_like(part)),
        ("keep_positive", lambda part: part.clamp(min=0)),
        ("keep_negative", lambda part: part.clamp(max=0)),
        ("scale", lambda part: -1.5 * part),
    ],
)
def test_weights_across_one_convolution_are_edited_exactly(change: str, edit: Any):
    network = planted.network(0)
    sources, targets = [3, 5, 8], [1, 4]
    edited = copy.deepcopy(network)
    weight = edited.stages["whole"].get_parameter("1.weight")
    for target in targets:
        weight[target, sources] = edit(weight[target, sources])
    more = {"factor": -1.5} if change == "scale" else {}
    asked = plan(weights(change, neurons("parts", *sources), neurons("whole", *targets), **more))
    pictures = random_pictures(4, 9)
    before = copy.deepcopy(network.state_dict())
    found = after(network, asked, pictures, "whole")
    assert torch.equal(found, edited.between(pictures, None, "whole"))
    assert not torch.equal(found, network.between(pictures, None, "whole"))
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())


def test_weights_across_a_fire_module_are_those_that_the_neurons_give_there():
    network = tiny.branchy()
    pictures = random_pictures(3, 17)
    (zeroed, halved) = (
        after(
            network,
            plan(weights(do, neurons("first", 1), neurons("fire", 0, 2), **more), measure={"what": "x"}),
            pictures,
            "fire",
        )
        for do, more in (("zero", {}), ("scale", {"factor": 0.5}))
    )
    first = network.between(pictures, None, "first").relu()
    upright, lying = first[:, 0], first[:, 1]
    assert torch.allclose(zeroed[:, 0], 2 * upright)
    assert torch.allclose(halved[:, 0], 2 * upright + lying)
    whole = network.between(pictures, None, "fire")
    assert torch.equal(zeroed[:, 1], whole[:, 1])  # it is not among the targets
    assert not torch.equal(zeroed[:, 2], whole[:, 2])


class Inception(nn.Module):
    """Channels 0 and 1 across one convolution, 2 and 3 across two."""

    def __init__(self) -> None:
        super().__init__()
        random = torch.Generator().manual_seed(3)
        self.relu, self.between = nn.ReLU(), nn.ReLU()
        self.short, self.narrow = (tiny.conv(torch.randn(n, 6, 1, 1, generator=random)) for n in (2, 3))
        self.long = tiny.conv(torch.randn(2, 3, 3, 3, generator=random), padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.relu(x)
        return torch.cat([self.short(x), self.long(self.between(self.narrow(x)))], 1)


def test_changes_on_both_branches_of_a_stage_hold_together():
    first = tiny.conv(torch.randn(6, 3, 3, 3, generator=torch.Generator().manual_seed(2)))
    stages = {"first": first, "both": Inception()}
    network = Network("inception", stages, tiny.preprocessing(9), branches={"both": [("short", 2), ("long", 2)]})
    pictures = random_pictures(2, 9)
    short = weights("zero", neurons("first", 0, 1), neurons("both", 0))
    across = weights("zero", neurons("first", 2), neurons("both", 0, 2))
    whole = weights("zero", neurons("first", 0, 1, 2), neurons("both", 0))
    nobody = {"measure": {"what": "prediction"}}
    for changes in ((short, across), (across, short)):
        found = after(network, plan(*changes, **nobody), pictures, "both")
        assert torch.allclose(found[:, 0], after(network, plan(whole, **nobody), pictures, "both")[:, 0], atol=1e-5)
        assert torch.equal(found[:, 2], after(network, plan(across, **nobody), pictures, "both")[:, 2])


def test_dropped_neurons_are_zero_for_what_comes_behind_and_in_their_own_layer():
    network = planted.network(1)
    pictures = random_pictures(3, 9)
    parts = network.between(pictures, None, "parts")
    parts[:, [2, 7]] = 0
    assert torch.equal(
        after(network, plan(drop("parts", 2, 7)), pictures, "whole"), network.between(parts, "parts", "whole")
    )
    assert not after(network, plan(drop("parts", 2, 7)), pictures, "parts")[:, [2, 7]].any()


def test_transplanted_neurons_keep_their_bias_and_change_places_at_once():
    network = planted.network(2)
    edited = copy.deepcopy(network)
    weight = edited.stages["parts"].weight
    weight[[4, 9]] = weight[[9, 4]].clone()
    asked = plan({"do": "transplant", "at": neurons("parts", 4, 9), "with": neurons("parts", 9, 4)})
    pictures = random_pictures(3, 9)
    found = after(network, asked, pictures, "whole")
    assert torch.allclose(found, edited.between(pictures, None, "whole"), atol=1e-5)


def test_several_changes_at_once():
    network = planted.network(3)
    edited = copy.deepcopy(network)
    weight = edited.stages["whole"].get_parameter("1.weight")
    weight[0, [1, 2]] = 0
    weight[:, [5]] = 0  # as good as dropped
    weight[3, [8]] *= 2
    asked = plan(
        weights("zero", neurons("parts", 1, 2), neurons("whole", 0)),
        weights("scale", neurons("parts", 8), neurons("whole", 3), factor=2),
        drop("parts", 5),
    )
    pictures = random_pictures(3, 9)
    found = after(network, asked, pictures, "whole")
    assert torch.allclose(found, edited.between(pictures, None, "whole"), atol=1e-5)


@pytest.mark.parametrize(
    ("network", "change", "sentence"),
    [
        (tiny.branchy, weights("keep_positive", neurons("first", 0), neurons("fire", 0)), "no weight there has a sign"),
        (tiny.branchy, weights("scale", neurons("first", 0), neurons("fire", 0), factor=-1), "not be turned round"),
        (tiny.two_conv, weights("zero", neurons("first", 1), neurons("second", 0)), "There is no weight from these"),
        (tiny.two_conv, weights("keep_positive", neurons("first", 0), neurons("second", 0)), "no negative weight from"),
        (
            tiny.two_conv,
            weights("zero", neurons("first", 0), neurons("second", 0)),
            "There is no other neuron of first",
        ),
        (
            tiny.branchy,
            {"do": "transplant", "at": neurons("first", 0), "with": neurons("first", 1)},
            "There is no other neuron of first",
        ),
    ],
)
def test_changes_that_cannot_be_made_are_refused_in_words(network: Any, change: dict[str, Any], sentence: str):
    built = network()
    last = built.layers[-1].name
    with pytest.raises(CannotTest, match=sentence) as refused:
        carry_out(built, plan(change, measure={"what": "response", "of": neurons(last, 0)}))
    assert str(refused.value).endswith(".")


def test_a_factor_is_only_for_scaling():
    network = planted.network(4, effect=0.5)
    change = weights("zero", neurons("parts", planted.PLANTED), neurons("whole", 0, 1, 2))
    pictures = random_pictures(2, 9)
    zeroed = after(network, plan(change), pictures, "whole")
    assert torch.equal(after(network, plan(change | {"factor": 0.9}), pictures, "whole"), zeroed)


def test_an_unknown_layer_is_an_error():
    with pytest.raises(KeyError, match="mixed9z"):
        carry_out(tiny.two_conv(), plan(drop("mixed9z", 0)))


# What controls change.


def designed(network: Network, planned: dict[str, Any], magnitudes: dict[str, Any] | None = None) -> Design:
    return Planner(network, planned).design(magnitudes or {"parts": np.arange(1.0, planted.PARTS + 1)})


def silenced(condition: Condition) -> list[int]:
    return sorted(int(channel) for part in condition.silent["parts"] for channel in part)


def test_controls_are_as_many_others_of_about_the_same_response():
    design = designed(planted.network(0), plan(drop("parts", 30, 31)))
    before, changed, *controls = design.conditions
    assert before == Condition()
    assert silenced(changed) == [30, 31]
    assert len(controls) == 20
    found = [silenced(control) for control in controls]
    assert len({tuple(each) for each in found}) == 20  # no two alike
    for each in found:
        assert len(set(each)) == 2
        assert not {30, 31} & set(each)
        assert all(abs(channel - 30.5) <= 13 for channel in each)  # among the nearest: magnitudes rise with the index
    assert design.control["words"] == (
        "In each control 2 other neurons of parts, that respond about as much on average, are silenced."
    )
    (change,) = design.control["changes"]
    assert (change["kind"], change["size"], change["changed"], change["plan"]) == ("neurons", 2, 2, 31.5)
    assert change["controls"] == pytest.approx(31.5, abs=4)
    assert design.control["strength"] == pytest.approx(np.mean(design.strengths))
    assert 0.7 < min(design.strengths) <= max(design.strengths) == 1
    assert design.changed == {"weights": 0, "neurons": 2}


def test_one_neuron_of_many_is_compared_with_the_twenty_nearest():
    found = [silenced(control) for control in designed(planted.network(0), plan(drop("parts", 59))).conditions[2:]]
    assert len({each[0] for each in found}) == 20
    assert {each[0] for each in found} < set(range(38, 59))


def test_controls_of_the_strongest_are_weaker_and_say_so():
    magnitudes = np.ones(planted.PARTS)
    magnitudes[7] = 4
    design = designed(planted.network(0), plan(drop("parts", 7)), {"parts": magnitudes})
    assert design.strengths == [0.25] * 20
    assert design.control["strength"] == 0.25
    assert design.control["words"] == (
        "In each control 1 other neuron of parts, the nearest that there are, is silenced. On average what they change "
        "is 25% as large as what the plan changes."
    )
    weak = designed(planted.network(0), plan(drop("parts", 7)), {"parts": 1 / magnitudes})
    assert weak.strengths == [1.0] * 20
    assert "the nearest that there are" in weak.control["words"]


def test_of_several_changes_each_is_told_with_its_controls_and_the_weakest_counts():
    network = planted.network(0)
    magnitudes = np.ones(planted.PARTS)
    magnitudes[7] = 2
    zeroed = weights("zero", neurons("parts", 1, 2), neurons("whole", 0))
    given = {"do": "transplant", "at": neurons("parts", 20), "with": neurons("parts", 21)}
    design = designed(network, plan(drop("parts", 7), zeroed, given), {"parts": magnitudes})
    told = [(each["kind"], each["changed"], each["size"]) for each in design.control["changes"]]
    assert told == [("neurons", 1, 1), ("weights", 18, 18), ("transplants", 1, 1)]
    assert [each["plan"] for each in design.control["changes"]] == [2, pytest.approx(1, abs=1), None]
    assert max(design.strengths) <= 0.5


def test_controls_are_drawn_by_the_seed():
    network = planted.network(0)
    one, again, other = (
        [silenced(control) for control in designed(network, plan(drop("parts", 3), seed=seed)).conditions[2:]]
        for seed in (0, 0, 1)
    )
    assert one == again
    assert one != other


def test_neurons_that_are_measured_or_silent_are_no_controls():
    network = planted.network(0)
    magnitudes = np.ones(planted.PARTS)
    magnitudes[40:] = 0
    measured = neurons("parts", *range(20, 30))
    asked = plan(drop("parts", 0, 1), measure={"what": "response", "of": measured})
    for control in designed(network, asked, {"parts": magnitudes}).conditions[2:]:
        assert set(silenced(control)) <= {*range(2, 20), *range(30, 40)}


def test_where_others_are_too_few_the_rest_are_the_plans_own():
    network = planted.network(0)
    magnitudes = np.zeros(planted.PARTS)
    magnitudes[:5] = 1
    design = designed(network, plan(drop("parts", 0, 1, 2)), {"parts": magnitudes})
    for control in design.conditions[2:]:
        found = silenced(control)
        assert len(found) == 3
        assert {3, 4} < set(found)
    words = design.control["words"]
    assert "2 other neurons of parts (there are no more) and 1 of those that the plan names are silenced." in words
    assert "Only 3 of the controls differ from each other." in words


def test_controls_of_weights_are_the_same_weights_of_other_neurons():
    network = planted.network(0)
    weight = network.stages["whole"].get_parameter("1.weight")
    asked = plan(weights("keep_positive", neurons("parts", 10, 11, 12), neurons("whole", 2, 3)))
    design = designed(network, asked)
    sizes = (-weight[[2, 3]].clamp(max=0)).sum(dim=(0, 2, 3))
    for control in design.conditions[2:]:
        edited = control.weights["whole"]["1.weight"]
        rows, columns = (edited != weight).any(dim=3).any(dim=2).nonzero().unbind(1)
        assert set(rows.tolist()) == {2, 3}
        others = set(columns.tolist())
        assert len(others) == 3
        assert not others & {10, 11, 12}
        for row in (2, 3):
            assert torch.equal(edited[row, sorted(others)], weight[row, sorted(others)].clamp(min=0))
        chosen = sorted(others)
        assert float(sizes[chosen].sum()) == pytest.approx(float(sizes[[10, 11, 12]].sum()), rel=0.6)
    assert design.changed == {"weights": int((weight[[2, 3]][:, [10, 11, 12]] < 0).sum()), "neurons": 2}
    assert design.control["changes"][0]["changed"] == design.changed["weights"]
    assert design.control["changes"][0]["plan"] == pytest.approx(float(sizes[[10, 11, 12]].mean()))


def test_changes_of_the_same_layer_have_no_control_in_common():
    network = planted.network(0)
    asked = plan(
        weights("zero", neurons("parts", 1, 2, 3), neurons("whole", 0)),
        weights("scale", neurons("parts", 4, 5, 6), neurons("whole", 0), factor=3),
    )
    weight = network.stages["whole"].get_parameter("1.weight")
    for control in designed(network, asked).conditions[2:]:
        edited = control.weights["whole"]["1.weight"][0]
        gone = set((edited == 0).all(dim=(1, 2)).nonzero()[:, 0].tolist()) - {planted.PLANTED}
        larger = {i for i in range(1, planted.PARTS) if i not in gone and not torch.equal(edited[i], weight[0, i])}
        assert len(gone) == len(larger) == 3
        assert not (gone | larger) & {1, 2, 3, 4, 5, 6}


def test_no_control_silences_what_another_change_names():
    network = planted.network(0)
    zeroed = weights("zero", neurons("parts", 0, 1, 2, 3), neurons("whole", *range(planted.WHOLES)))
    given = {"do": "transplant", "at": neurons("parts", 4, 5), "with": neurons("parts", 6, 7)}
    ones = {"parts": np.ones(planted.PARTS)}
    for change in (zeroed, given):
        design = designed(network, plan(change, drop("parts", 10, 11, 12, 13)), ones)
        for control in design.conditions[2:]:
            assert not set(silenced(control)) & ({0, 1, 2, 3} if change is zeroed else {4, 5, 6, 7})
            for _, donors, _ in control.given.get("parts", ()):
                assert not set(donors.tolist()) & {4, 5, 6, 7, 10, 11, 12, 13}


def test_what_a_control_silences_is_not_what_it_takes_weights_from():
    network = planted.network(0)
    weight = network.stages["whole"].get_parameter("1.weight")
    asked = plan(weights("zero", neurons("parts", 1, 2, 3), neurons("whole", 0)), drop("parts", 10, 11, 12))
    for control in designed(network, asked, {"parts": np.ones(planted.PARTS)}).conditions[2:]:
        edited = control.weights["whole"]["1.weight"]
        assert not set((edited != weight)[0].any(dim=2).any(dim=1).nonzero()[:, 0].tolist()) & set(silenced(control))


def test_the_nearest_are_each_taken_once():
    random = np.random.default_rng(0)
    for _ in range(300):
        sizes = random.lognormal(size=int(random.integers(1, 80)))
        like = random.lognormal(size=int(random.integers(1, 80)))
        found = nearest(like, sizes, random)
        assert len(set(found.tolist())) == len(found) == min(len(like), len(sizes))
    # Where there are plenty, those that come near: none is further than the window.
    sizes = np.arange(1000.0)
    assert np.abs(sizes[nearest(np.full(1, 500.0), sizes, random)] - 500).max() <= 10
    assert np.abs(np.sort(sizes[nearest(np.full(40, 500.0), sizes, random)]).mean() - 500) <= 12


# What is measured.


def test_the_whole_experiment_is_the_same_as_one_by_hand():
    network = planted.network(5, effect=0.2)
    found = carry_out(network, plan(drop("parts", planted.PLANTED)))
    weight = network.stages["whole"].get_parameter("1.weight")[:, planted.PLANTED, 1, 1]
    assert found["ruling"]["effect"] == pytest.approx(-float(weight.mean()), rel=1e-4)
    assert found["ruling"]["n"] == 6 * planted.WHOLES
    assert [pair[2:] for pair in found["pairs"][:8]] == [[0, variant] for variant in range(6)] + [[1, 0], [1, 1]]
    for before, changed, neuron, _ in found["pairs"]:
        assert before - changed == pytest.approx(float(weight[neuron]), rel=1e-3)
    assert found["before"]["mean"] + found["ruling"]["effect"] == pytest.approx(found["after"]["mean"])
    assert found["ruling"]["low"] < found["ruling"]["effect"] < found["ruling"]["high"]
    assert found["unit"] == "activation"
    assert found["variants"][3] == {"radius": 5, "stroke": 2}
    sweep = found["sweep"]
    assert sweep["axis"] == [30.0 * i for i in range(12)]
    assert sweep["variant"] == {"radius": 5, "stroke": 1}
    assert np.subtract(sweep["before"], sweep["after"]) == pytest.approx(
        np.repeat(weight.numpy()[:, None], 12, axis=1), rel=1e-3
    )
    assert np.shape(sweep["control"]) == (planted.WHOLES, 12)


@pytest.mark.parametrize("start", ["first", "fire"])
def test_only_what_is_seen_is_computed(start: str):
    network = tiny.branchy()
    for view in views(network, [("fire", 0), ("fire", 1), ("fire", 2)]):
        pictures = random_pictures(2, view.size + 8)[..., : view.size, : view.size]
        values = network.between(pictures, None, start)
        cells, row = seen(network, view, start)
        part = network.between(values[..., cells, cells], start, "fire")
        whole = network.between(values, start, "fire")
        assert part.shape[2] <= whole.shape[2]
        assert torch.allclose(part[:, view.channels, row, row], whole[:, view.channels, view.row, view.row])


def test_only_what_is_seen_is_computed_where_strides_lie_between():
    network = curve_network.build()
    (view,) = views(network, [("mixed3b", 3)])
    pictures = random_pictures(1, view.size)
    for start in ("conv2d1", "conv2d2", "mixed3a"):
        values = network.between(pictures, None, start)
        cells, row = seen(network, view, start)
        part = network.between(values[..., cells, cells], start, "mixed3b")
        whole = network.between(values, start, "mixed3b")
        assert part[0, 3, row, row] == pytest.approx(float(whole[0, 3, view.row, view.row]), abs=1e-6)
        assert part.shape[2] < whole.shape[2] or start != "mixed3a"


def shown(network: Network, *values: float) -> scan.Pictures:
    """Pictures of one grey each, of the network's size, the n-th of class n modulo 3."""
    size = network.preprocessing.size

    def opened(index: int) -> io.BytesIO:
        file = io.BytesIO()
        Image.new("RGB", (size, size), (round(255 * values[index]),) * 3).save(file, "PNG")
        file.seek(0)
        return file

    return scan.Pictures([f"{i}.png" for i in range(len(values))], opened, [i % 3 for i in range(len(values))])


def grey_network() -> Network:
    """Three classes: 0 when it is bright, 1 when it is dark, 2 when it is neither; with four more neurons to spare."""
    weight = torch.zeros(7, 3, 1, 1)
    weight[0], weight[1] = 1 / 3, -1 / 3
    weight[3:] = 0.1
    linear = nn.Linear(7, 3)
    with torch.no_grad():
        linear.weight.copy_(torch.cat([10 * torch.eye(3), torch.zeros(3, 4)], dim=1))
        assert linear.bias is not None
        linear.bias.copy_(torch.tensor([0.0, 0.0, 1.0]))
    head = nn.Sequential(nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), linear)
    stages = {"grey": tiny.conv(weight, [-0.5, 0.5, 0.3, 0, 0, 0, 0])}
    return Network("grey", stages, tiny.preprocessing(5), head=head, class_names=("bright", "dark", "neither"))


def of_pictures(what: str, *indices: int, **more: Any) -> dict[str, Any]:
    return plan(
        drop("grey", 0),
        show={"kind": "images", "image_set": "greys", "indices": list(indices)},
        measure={"what": what} | more,
        expect={"change": "rises" if what == "prediction" else "falls", "margin": 0.1, "relative": False},
    )


def test_predictions_of_pictures():
    network = grey_network()
    greys = shown(network, 1.0, 0.0, 0.5, 0.95, 0.05, 0.5, 1.0)
    found = carry_out(network, of_pictures("prediction", *range(7)), images=greys, batch=3)
    assert [pair[:3] for pair in found["pairs"]] == [[0, float(index in (0, 3, 6)), index] for index in range(7)]
    assert found["ruling"]["effect"] == pytest.approx(3 / 7)
    assert set(np.round(found["controls"], 6)) == {0, round(2 / 7, 6)}  # without what sees the dark, two change
    images = found["images"]
    assert (images["count"], images["flipped"]) == (7, 3)
    assert [flip["image"] for flip in images["flips"]] == [0, 6, 3]  # those first that lost most
    assert images["flips"][0]["label"] == 0
    assert images["flips"][0]["before"]["class"] == 0
    assert images["flips"][0]["after"]["class"] == 2
    assert images["flips"][0]["before"]["probability"] == pytest.approx(
        float(torch.tensor([5.0, 0.0, 4.0]).softmax(0)[0]), rel=1e-2
    )
    assert images["top1"]["before"]["share"] == 1
    assert images["top1"]["after"]["share"] == pytest.approx(4 / 7)
    assert images["top1"]["after"]["low"] < 4 / 7 < images["top1"]["after"]["high"]
    assert images["top5"]["after"]["share"] == 1


def test_accuracy_and_probability_of_pictures():
    network = grey_network()
    greys = shown(network, 1.0, 0.0, 0.5, 0.95, 0.05, 0.5, 1.0)
    assert carry_out(network, of_pictures("top1", *range(7)), images=greys)["ruling"]["effect"] == pytest.approx(-3 / 7)
    assert carry_out(network, of_pictures("top5", *range(7)), images=greys)["ruling"]["effect"] == 0
    by_label = carry_out(network, of_pictures("class_probability", *range(7), **{"class": "label"}), images=greys)
    by_top = carry_out(network, of_pictures("class_probability", *range(7), **{"class": "top"}), images=greys)
    assert by_label["pairs"] == by_top["pairs"]  # all were right
    of_dark = carry_out(network, of_pictures("class_probability", *range(7), **{"class": 1}), images=greys)
    assert of_dark["pairs"][0][0] == pytest.approx(float(torch.tensor([5.0, 0.0, 4.0]).softmax(0)[1]), rel=1e-2)


def test_what_is_measured_is_what_the_measure_is_called():
    network, greys = grey_network(), shown(grey_network(), 1.0, 0.0, 0.5, 0.95, 0.05, 0.5, 1.0)
    for what in ("top1", "prediction"):
        plain = carry_out(network, of_pictures(what, *range(7)), images=greys)
        strange = of_pictures(what, *range(7), **{"class": "top", "of": neurons("grey", 1)})
        assert carry_out(network, strange, images=greys) == plain


def test_responses_to_pictures_are_the_largest_over_all_places():
    network = tiny.two_conv()
    random = np.random.default_rng(0)
    drawn = [random.integers(0, 256, (17, 17, 3), dtype=np.uint8) for _ in range(6)]

    def opened(index: int) -> io.BytesIO:
        file = io.BytesIO()
        Image.fromarray(drawn[index]).save(file, "PNG")
        file.seek(0)
        return file

    asked = plan(
        drop("first", 0),
        show={"kind": "images", "image_set": "noise", "indices": [1, 2, 3, 4, 5]},
        measure={"what": "response", "of": neurons("second", 0, 1)},
    )
    pictures = scan.Pictures([str(i) for i in range(6)], opened)
    found = carry_out(network, asked, images=pictures, batch=2)
    values = network.between(scan.to_input(drawn[1:]), None, "second")[:, :2].amax(dim=(2, 3)).clamp(min=0).mean(1)
    assert [pair[0] for pair in found["pairs"]] == pytest.approx(values.tolist(), rel=1e-5)
    assert [pair[2] for pair in found["pairs"]] == [1, 2, 3, 4, 5]
    assert found["images"]["top1"] is None  # nobody said what they show


def test_pictures_without_a_class_and_networks_without_a_head_say_so():
    network = grey_network()
    greys = shown(network, *[0.5] * 6)
    unlabelled = scan.Pictures(greys.names, lambda index: greys._opener(index))
    with pytest.raises(CannotTest, match="have no class"):
        carry_out(network, of_pictures("top1", *range(6)), images=unlabelled)
    headless = planted.network(0)
    asked = of_pictures("prediction", *range(6)) | {"do": [drop("parts", 0)]}
    with pytest.raises(CannotTest, match="tells no classes apart"):
        carry_out(headless, asked, images=shown(headless, *[0.5] * 6))


def test_pairs_without_a_measure_are_left_out_and_counted_and_most_of_them_are_a_failure():
    network = planted.network(6)
    of = neurons("whole", *range(planted.WHOLES))
    with torch.no_grad():
        network.stages["whole"].get_parameter("1.bias")[:2] = -100  # two never respond: they have no peak
    asked = plan(drop("parts", 3), measure={"what": "peak", "of": of}, expect={"change": "rises", "margin": 45})
    found = carry_out(network, asked)
    assert found["left_out"]["count"] == 12
    assert "does not respond" in found["left_out"]["reason"]
    assert found["ruling"]["n"] == 24
    assert {pair[2] for pair in found["pairs"]} == {2, 3, 4, 5}
    assert all(pair[0] == 0 for pair in found["pairs"])
    assert max(pair[1] for pair in found["pairs"]) <= 180
    with torch.no_grad():
        network.stages["whole"].get_parameter("1.bias")[:4] = -100
    with pytest.raises(CannotTest, match="For 24 of 36 pairs"):
        carry_out(network, asked)


def test_few_pairs_say_nothing():
    asked = plan(drop("parts", planted.PLANTED), measure={"what": "response", "of": neurons("whole", 0)})
    asked["show"] = asked["show"] | {"radii": [3, 5]}
    found = carry_out(planted.network(0, effect=0.5), asked)
    assert (found["ruling"]["n"], found["ruling"]["verdict"]) == (4, "inconclusive")
    assert "fewer than 5" in found["reason"]


@pytest.mark.parametrize(("measured", "verdict"), [(2, "inconclusive"), (4, "inconclusive"), (5, "supported")])
def test_few_neurons_say_nothing_of_others(measured: int, verdict: str):
    of = {"what": "response", "of": neurons("whole", *range(measured))}
    found = carry_out(planted.network(0, effect=0.5), plan(drop("parts", planted.PLANTED), measure=of))
    assert found["ruling"]["verdict"] == verdict
    assert ("fewer than 5 neurons say nothing of neurons like them" in found["reason"]) == (verdict == "inconclusive")


def test_one_neuron_speaks_for_itself_and_says_so():
    of = {"what": "response", "of": neurons("whole", 0)}
    found = carry_out(planted.network(0, effect=0.5), plan(drop("parts", planted.PLANTED), measure=of))
    assert found["ruling"]["verdict"] == "supported"
    assert "on average over 6 variants of this neuron alone (95 % interval" in found["reason"]


def test_of_several_neurons_those_are_counted_that_have_a_measure():
    network = planted.network(6)
    with torch.no_grad():
        network.stages["whole"].get_parameter("1.bias")[:2] = -100
    of = neurons("whole", *range(planted.WHOLES))
    asked = plan(drop("parts", 3), measure={"what": "peak", "of": of}, expect={"change": "rises", "margin": 45})
    found = carry_out(network, asked)
    assert (found["ruling"]["n"], found["ruling"]["verdict"]) == (24, "inconclusive")
    assert "fewer than 5 neurons" in found["reason"]


def test_pictures_that_do_not_change_leave_room_for_others_that_would():
    greys = shown(grey_network(), *[0.5] * 7)
    for what in ("prediction", "top1"):
        asked = of_pictures(what, *range(7)) | {"expect": {"change": "unchanged", "margin": 0.1}}
        found = carry_out(grey_network(), asked, images=greys)
        assert (found["ruling"]["effect"], found["ruling"]["verdict"]) == (0, "inconclusive")
        assert found["ruling"]["high"] > 0.3
    assert found["ruling"]["low"] == pytest.approx(-found["ruling"]["high"])
    assert found["before"]["low"] < found["before"]["mean"] < found["before"]["high"]


def test_of_a_share_of_accuracy_the_interval_is_no_narrower():
    greys = shown(grey_network(), 1.0, 0.0, 0.5, 0.95, 0.05, 0.5, 1.0)
    falls = {"change": "falls", "margin": 0.1}
    plain = carry_out(grey_network(), of_pictures("top1", *range(7)) | {"expect": falls}, images=greys)
    share = {"expect": falls | {"relative": True}}
    relative = carry_out(grey_network(), of_pictures("top1", *range(7)) | share, images=greys)
    assert relative["ruling"] == pytest.approx(plain["ruling"])  # all were right before


def test_a_share_of_nothing_and_values_that_are_no_numbers_are_failures():
    network = planted.network(0)
    relative = plan(drop("parts", 1), expect={"change": "falls", "margin": 0.1, "relative": True})
    by_share = carry_out(network, relative)
    plain = carry_out(network, plan(drop("parts", 1)))
    assert by_share["ruling"]["effect"] == pytest.approx(plain["ruling"]["effect"] / plain["before"]["mean"])
    assert by_share["controls"] == pytest.approx([value / plain["before"]["mean"] for value in plain["controls"]])
    with torch.no_grad():
        network.stages["whole"].get_parameter("1.bias")[:] = -100
    with pytest.raises(CannotTest, match="is 0 before the change"):
        carry_out(network, relative)
    with torch.no_grad():
        network.stages["whole"].get_parameter("1.bias")[0] = float("nan")
    with pytest.raises(CannotTest, match="not finite"):
        carry_out(network, plan(drop("parts", 1)))


# What it says.

ALL = [0.01] * 20


@pytest.mark.parametrize(
    ("change", "margin", "effect", "controls", "expected"),
    [
        ("rises", 0.1, (0.2, 0.11, 0.3), ALL, "supported"),
        ("rises", 0.1, (0.2, 0.1, 0.3), ALL, "inconclusive"),
        ("rises", 0.1, (0.2, 0.11, 0.3), [*ALL[1:], 0.2], "inconclusive"),
        ("rises", 0.1, (0.2, 0.11, 0.3), [*ALL[1:], -0.9], "supported"),
        ("rises", 0.1, (0.2, 0.11, 0.3), [*ALL[1:], None], "inconclusive"),
        ("rises", 0.1, (0.05, 0.01, 0.1), ALL, "refuted"),
        ("rises", 0.1, (-0.5, -0.6, -0.4), ALL, "refuted"),
        ("rises", 0.0, (0.0, 0.0, 0.0), [0.0] * 20, "refuted"),
        ("falls", 0.1, (-0.2, -0.3, -0.11), [-0.1] * 20, "supported"),
        ("falls", 0.1, (-0.2, -0.3, -0.11), [*ALL[1:], -0.2], "inconclusive"),
        ("falls", 0.1, (-0.2, -0.3, -0.05), ALL, "inconclusive"),
        ("falls", 0.1, (0.2, 0.1, 0.3), ALL, "refuted"),
        ("falls", 0.1, (-0.05, -0.1, -0.01), ALL, "refuted"),
        ("unchanged", 0.1, (0.0, -0.1, 0.1), [None] * 20, "supported"),
        ("unchanged", 0.1, (0.1, 0.05, 0.2), ALL, "inconclusive"),
        ("unchanged", 0.1, (0.2, 0.11, 0.3), ALL, "refuted"),
        ("unchanged", 0.1, (-0.2, -0.3, -0.11), ALL, "refuted"),
        ("unchanged", 0.1, (0.2, 0.1, 0.3), ALL, "inconclusive"),
    ],
)
def test_verdicts(change: str, margin: float, effect: Any, controls: list[float | None], expected: str):
    assert verdict({"change": change, "margin": margin}, *effect, controls)[0] == expected


@pytest.mark.parametrize(
    ("effect", "strength", "expected", "because"),
    [
        (0.2, 1.0, "supported", "more than any"),
        (0.2, 0.5, "inconclusive", "the controls are weaker, and 20 of the 20 did as much for what they change"),
        (0.23, 0.5, "supported", "more than any"),
        (0.05, 0.5, "inconclusive", "20 of the 20 controls did as much"),
        (9.0, 0.3, "inconclusive", "too weak: what they change is on average 30% as large"),
    ],
)
def test_controls_count_for_how_strong_they_are(effect: float, strength: float, expected: str, because: str):
    for change, sign in (("rises", 1), ("falls", -1)):
        far = sorted((sign * 0.9 * effect, sign * 1.1 * effect))
        controls = [sign * 0.11] * 20
        ruled, why = verdict({"change": change, "margin": 0}, sign * effect, *far, controls, [strength] * 20)
        assert ruled == expected
        assert because in why
    assert verdict({"change": "unchanged", "margin": 20}, effect, 0.0, effect, [0.0] * 20, [0.1] * 20)[0] == "supported"


def test_intervals_draw_neurons_first():
    random = np.random.default_rng(0)
    of_neuron = random.normal(size=10)
    values = (of_neuron[:, None] + 0.01 * random.normal(size=(10, 30))).ravel()[None]
    together, alone = np.repeat(np.arange(10), 30), np.zeros(300, dtype=np.int64)
    (mean,), drawn = intervals(values, together, 0)
    low, high = between(drawn[:, 0])
    assert mean == pytest.approx(values.mean())
    # As wide as 10 independent neurons make it, not 300 independent pairs.
    assert (high - low) / 2 == pytest.approx(1.96 * of_neuron.std() / np.sqrt(10), rel=0.15)
    low, high = between(intervals(values, alone, 0)[1][:, 0])
    assert (high - low) / 2 == pytest.approx(1.96 * values.std() / np.sqrt(300), rel=0.1)
    assert np.array_equal(intervals(values, together, 3)[1], intervals(values, together, 3)[1])
    assert not np.array_equal(intervals(values, together, 3)[1], intervals(values, together, 4)[1])


def test_intervals_of_neurons_with_unequal_numbers_of_pairs():
    values = np.array([[1.0, 1, 1, 5, 9]])
    (mean,), drawn = intervals(values, np.array([0, 0, 0, 1, 2]), 0)
    assert mean == pytest.approx(3.4)
    assert set(np.unique(drawn.round(6))) > {1.0, 5.0, 9.0}
    assert drawn.min() >= 1
    assert drawn.max() <= 9


def test_a_constant_has_no_width():
    _, drawn = intervals(np.ones((2, 7)), np.zeros(7, dtype=np.int64), 0)
    assert between(drawn[:, 0]) == (1, 1)


@pytest.mark.parametrize(
    ("share", "n", "expected"),
    [(0.0, 5, (0, 0.434)), (1.0, 5, (0.566, 1)), (0.5, 20, (0.299, 0.701)), (0.1, 50, (0.043, 0.214))],
)
def test_wilsons_intervals(share: float, n: int, expected: tuple[float, float]):
    assert of_share(share, n) == pytest.approx(expected, abs=1e-3)


def test_intervals_of_a_difference_of_shares():
    before, after = np.array([1.0] * 15 + [0] * 5), np.array([1.0] * 10 + [0] * 10)
    # 5 of 20 fell: 6 / 22 fell and 1 / 22 rose.
    assert of_difference(before, after) == pytest.approx((-5 / 22 - 0.2158, -5 / 22 + 0.2158), abs=1e-3)


def test_intervals_of_shares_hold_what_they_estimate():
    random = np.random.default_rng(0)
    covered = []
    for n in (5, 10, 20, 50):
        for share in (0.05, 0.1, 0.2, 0.35, 0.5):
            edges = [of_share(flips / n, n) for flips in range(n + 1)]
            drawn = random.binomial(n, share, 2000)
            covered.append(np.mean([edges[flips][0] <= share <= edges[flips][1] for flips in drawn]))
    assert min(covered) > 0.88
    assert np.mean(covered) > 0.945


@pytest.mark.slow
def test_intervals_of_differences_of_shares_hold_what_they_estimate():
    random = np.random.default_rng(0)
    covered = []
    for n in (5, 10, 20, 50):
        for fall, rise in ((0.05, 0), (0.05, 0.05), (0.1, 0.02), (0.2, 0.05), (0.4, 0.1)):
            held = 0
            for _ in range(2000):
                kinds = random.choice(3, n, p=(fall, rise, 1 - fall - rise))
                low, high = of_difference(1.0 * (kinds != 1), 1.0 * (kinds != 0))
                held += low <= rise - fall <= high
            covered.append(held / 2000)
    assert min(covered) > 0.9
    assert np.mean(covered) > 0.945


# That chance is held.


@pytest.mark.slow
def test_claims_of_nothing_are_rarely_supported():
    found: dict[str, Counter[str]] = {}
    for kind, network, asked in planted.claims_of_nothing(1000):
        found.setdefault(kind, Counter())[carry_out(network, asked)["ruling"]["verdict"]] += 1
    assert sum(counts["supported"] for counts in found.values()) <= 50
    assert set(found["irrelevant"]) == {"refuted"}
    assert found["strongest"]["supported"] <= 0.05 * sum(found["strongest"].values())


@pytest.mark.slow
def test_planted_effects_are_found():
    found = Counter(
        carry_out(network, asked)["ruling"]["verdict"] for network, asked in planted.claims_of_an_effect(200, 0.3)
    )
    assert found["supported"] >= 190
    assert not found["refuted"]


@pytest.mark.slow
@needs_data
def test_neurons_that_predictions_of_photographs_rest_on_are_found_and_the_claim_is_supported():
    network = zoo.load("squeezenet1_0", DATA / "squeezenet1_0" / "squeezenet1_0.safetensors")
    files = sorted((DATA / "imagenet-samples").glob("*.jpg"))
    pictures = scan.Pictures([file.name for file in files], lambda index: files[index], list(range(len(files))))
    best = screen(network, "fire8", pictures, range(0, 1000, 10))[0]
    assert len(best.changed) >= 3
    # The pictures are those of which gradients say so, before anything was dropped.
    asked = of_pictures("prediction", *best.expected) | {
        "do": [drop("fire8", best.channel)],
        "expect": {"change": "rises", "margin": 0.2, "relative": False},
    }
    found = carry_out(network, asked, images=pictures)
    assert found["ruling"]["verdict"] == "supported"
    assert found["images"]["flipped"] == len(found["images"]["flips"]) > 2
    assert found["ruling"]["low"] > max(found["controls"])


def test_screening_names_what_a_prediction_rests_on():
    network = grey_network()
    greys = shown(network, 1.0, 0.9, 0.95, 0.0, 0.5)
    first, second, *_ = screen(network, "grey", greys, most=3, batch=2)
    assert (first.channel, first.changed) == (0, (0, 1, 2))
    assert first.expected == (0, 1, 2)
    assert (second.channel, second.changed) == (1, (3,))
    with pytest.raises(ValueError, match="no head"):
        screen(planted.network(0), "parts", greys)
