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

from taxonomy import plans
from tests import planted, tiny
from workers import curve_network, experiment, interventions, responses, ruling, scan, stimuli
from workers.experiment import CannotTest, Measured, _Predictions, _ruled, carry_out, seen
from workers.interventions import Condition, Design, Planner, nearest
from workers.network import Network
from workers.responses import views
from workers.ruling import between, intervals, of_difference, of_share, verdict


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


def test_transplanted_neurons_keep_what_a_batch_norm_adds():
    random = torch.Generator().manual_seed(4)
    stages = {}
    for name, module in (("parts", nn.Conv2d(3, 6, 3)), ("whole", nn.Conv2d(6, 6, 3, bias=False))):
        norm = nn.BatchNorm2d(6)
        with torch.no_grad():
            for values in (norm.weight, norm.bias, norm.running_mean, norm.running_var):
                assert values is not None
                values.copy_(torch.rand(6, generator=random) + 0.5)
        stages[name] = nn.Sequential(*([nn.ReLU()] if name == "whole" else []), module, norm)
    network = Network("normed", stages, tiny.preprocessing(9))
    pictures = random_pictures(3, 9)
    for layer in ("parts", "whole"):
        given = {"do": "transplant", "at": neurons(layer, 0), "with": neurons(layer, 1)}
        found = after(network, plan(given, measure={"what": "prediction"}), pictures, layer)
        whole = network.between(pictures, None, layer)
        convolution, norm = network.stages[layer][-2:]
        bias = torch.zeros(6) if convolution.bias is None else convolution.bias
        scale = norm.weight / (norm.running_var + norm.eps).sqrt()
        own = norm.bias - norm.running_mean * scale + bias * scale
        assert torch.allclose(found[:, 0], whole[:, 1] - own[1] + own[0], atol=1e-5)
        assert torch.equal(found[:, 1:], whole[:, 1:])


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


def designed(network: Network, planned: dict[str, Any], responses: dict[str, Any] | None = None) -> Design:
    return Planner(network, planned).design(responses or {"parts": np.arange(1.0, planted.PARTS + 1)})


def even() -> Network:
    """Every part gives every whole as much: what is changed with it is as large as it responds."""
    network = planted.network(0)
    with torch.no_grad():
        network.stages["whole"].get_parameter("1.weight")[:] = 1 / (9 * planted.WHOLES)
    return network


def silenced(condition: Condition) -> list[int]:
    return sorted(int(channel) for part in condition.silent["parts"] for channel in part)


def test_controls_are_as_many_others_about_as_strong():
    design = designed(even(), plan(drop("parts", 30, 31)))
    before, changed, *controls = design.conditions
    assert before == Condition()
    assert silenced(changed) == [30, 31]
    assert len(controls) == 20
    found = [silenced(control) for control in controls]
    assert len({tuple(each) for each in found}) == 20  # no two alike
    for each in found:
        assert len(set(each)) == 2
        assert not {30, 31} & set(each)
        assert all(abs(channel - 30.5) <= 13 for channel in each)  # among the nearest: responses rise with the index
    assert design.control["words"] == ("In each control 2 other neurons of parts, about as strong, are silenced.")
    (change,) = design.control["changes"]
    assert (change["kind"], change["size"], change["changed"]) == ("neurons", 2, 2)
    assert change["plan"] == pytest.approx(31.5)
    assert change["controls"] == pytest.approx(31.5, abs=4)
    assert design.control["strength"] == pytest.approx(np.mean(design.strengths))
    assert 0.7 < min(design.strengths) <= max(design.strengths) == 1
    assert design.changed == {"weights": 0, "neurons": 2}


def test_one_neuron_of_many_is_compared_with_the_twenty_nearest():
    found = [silenced(control) for control in designed(even(), plan(drop("parts", 59))).conditions[2:]]
    assert len({each[0] for each in found}) == 20
    assert {each[0] for each in found} < set(range(38, 59))


def test_controls_of_the_strongest_are_weaker_and_say_so():
    responses = np.ones(planted.PARTS)
    responses[7] = 4
    design = designed(even(), plan(drop("parts", 7)), {"parts": responses})
    assert design.strengths == pytest.approx([0.25] * 20)
    assert design.control["strength"] == pytest.approx(0.25)
    assert design.control["words"] == (
        "In each control 1 other neuron of parts, the nearest that there are, is silenced. On average what they change "
        "is 25% as large as what the plan changes."
    )
    weak = designed(even(), plan(drop("parts", 7)), {"parts": 1 / responses})
    assert weak.strengths == pytest.approx([1.0] * 20)
    assert "the nearest that there are" in weak.control["words"]


def test_of_several_changes_each_is_told_with_its_controls_and_the_weakest_counts():
    network = even()
    responses = np.ones(planted.PARTS)
    responses[7] = 2
    zeroed = weights("zero", neurons("parts", 1, 2), neurons("whole", 0))
    given = {"do": "transplant", "at": neurons("parts", 20), "with": neurons("parts", 21)}
    design = designed(network, plan(drop("parts", 7), zeroed, given), {"parts": responses})
    told = [(each["kind"], each["changed"], each["size"]) for each in design.control["changes"]]
    assert told == [("neurons", 1, 1), ("weights", 18, 18), ("transplants", 1, 1)]
    found = [each["plan"] for each in design.control["changes"]]
    assert found == [pytest.approx(2), pytest.approx(1 / planted.WHOLES), None]  # zeroed for one of the wholes
    assert max(design.strengths) == pytest.approx(0.5)


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
    responses = np.ones(planted.PARTS)
    responses[40:] = 0
    measured = neurons("parts", *range(20, 30))
    asked = plan(drop("parts", 0, 1), measure={"what": "response", "of": measured})
    for control in designed(network, asked, {"parts": responses}).conditions[2:]:
        assert set(silenced(control)) <= {*range(2, 20), *range(30, 40)}


def test_where_others_are_too_few_the_rest_are_the_plans_own():
    responses = np.zeros(planted.PARTS)
    responses[:5] = 1
    design = designed(even(), plan(drop("parts", 0, 1, 2)), {"parts": responses})
    for control in design.conditions[2:]:
        found = silenced(control)
        assert len(found) == 3
        assert {3, 4} < set(found)
    words = design.control["words"]
    assert len(design.conditions) == len(design.strengths) + 2 == 5
    assert "2 other neurons of parts (there are no more) and 1 of those that the plan names are silenced." in words
    assert "There are no more than 3 such controls." in words


@pytest.mark.parametrize("others", [0, 1, 2, 5, 18, 19])
@pytest.mark.parametrize("wanted", [1, 2, 3])
def test_a_plan_foretells_how_many_controls_there_can_be(others: int, wanted: int):
    layers = {"parts": planted.PARTS, "whole": planted.WHOLES}
    measured = neurons("parts", *range(wanted, planted.PARTS - others))
    for change in (
        drop("parts", *range(wanted)),
        weights("zero", neurons("parts", *range(wanted)), neurons("whole", 0)),
        {
            "do": "transplant",
            "at": neurons("parts", *range(wanted)),
            "with": neurons("parts", *range(wanted, 2 * wanted)),
        },
    ):
        asked = plan(change, measure={"what": "response", "of": measured})
        most = plans.most_controls(asked, layers)
        try:
            found = len(designed(even(), asked).strengths)
        except CannotTest:
            assert others == 0
            continue
        assert found <= most
        assert found == min(most, plans.CONTROLS) or wanted > 1


def test_controls_of_weights_are_the_same_weights_of_other_neurons():
    network = planted.network(0)
    weight = network.stages["whole"].get_parameter("1.weight")
    asked = plan(weights("keep_positive", neurons("parts", 10, 11, 12), neurons("whole", 2, 3)))
    design = designed(network, asked, {"parts": np.ones(planted.PARTS)})
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


@pytest.mark.parametrize("change", ["drop", "zero", "keep_positive"])
def test_neither_a_strong_response_nor_large_weights_alone_are_what_controls_are_matched_by(change: str):
    network = planted.network(0)
    weight = network.stages["whole"].get_parameter("1.weight")
    sources, targets = neurons("parts", 7), neurons("whole", *range(planted.WHOLES))
    asked = plan(drop("parts", 7) if change == "drop" else weights(change, sources, targets))
    read = (-weight.clamp(max=0) if change == "keep_positive" else weight.abs()).sum(dim=(0, 2, 3)).numpy()
    responses = np.linspace(1.0, 2.0, planted.PARTS)
    strong = responses.copy()
    strong[7] *= 4
    for answers, factor in ((strong, 1), (responses, 4)):
        made = copy.deepcopy(network)
        with torch.no_grad():
            made.stages["whole"].get_parameter("1.weight")[:, 7] *= factor
        design = designed(made, asked, {"parts": answers})
        # What it passes on is four times as much in both: no other does as much.
        assert design.control["changes"][0]["plan"] == pytest.approx(4 * responses[7] * read[7], rel=1e-5)
        assert max(design.strengths) < 0.6
        assert "the nearest that there are" in design.control["words"]


def test_weights_of_silent_neurons_are_no_controls():
    network = planted.network(0)
    weight = network.stages["whole"].get_parameter("1.weight")
    responses = np.ones(planted.PARTS)
    responses[30:] = 0
    asked = plan(weights("zero", neurons("parts", 1), neurons("whole", *range(planted.WHOLES))))
    for control in designed(network, asked, {"parts": responses}).conditions[2:]:
        changed = (control.weights["whole"]["1.weight"] != weight).any(dim=3).any(dim=2).any(dim=0)
        assert set(changed.nonzero()[:, 0].tolist()) <= set(range(2, 30))


def test_what_is_padded_with_weak_or_silent_neurons_is_no_weaker():
    responses = np.ones(planted.PARTS)
    responses[7], responses[40:] = 4, 0
    alone = designed(even(), plan(drop("parts", 7)), {"parts": responses})
    silent = designed(even(), plan(drop("parts", 7, *range(40, 55))), {"parts": responses})
    assert silent.strengths == alone.strengths == pytest.approx([0.25] * 20)
    assert all(len(silenced(control)) == 1 for control in silent.conditions[2:])
    assert silenced(silent.conditions[1]) == [7, *range(40, 55)]  # the plan is carried out as it is
    assert "15 neurons that the plan names, with which nothing changes, count for nothing." in silent.control["words"]
    responses[40:] = 0.1
    weak = designed(even(), plan(drop("parts", 7, *range(40, 55))), {"parts": responses})
    by_sum = weak.control["changes"][0]
    assert by_sum["controls"] > 0.4 * by_sum["plan"]
    assert max(weak.strengths) < by_sum["controls"] / by_sum["plan"]


def test_what_leads_on_from_dropped_neurons_is_what_the_next_layer_reads():
    # Of branches, the convolutions that read the layer; at the end, the head; without one, nothing is known.
    dropped = {"measure": {"what": "prediction"}}
    (of_fire,) = Planner(tiny.branchy(), plan(drop("first", 0), **dropped)).edits
    assert of_fire.leads is not None
    assert of_fire.leads.tolist() == [1, 1]  # the squeeze's
    (of_head,) = Planner(planted.grey_network(), plan(drop("grey", 0), **dropped)).edits
    assert of_head.leads is not None
    assert of_head.leads.tolist() == [10, 10, 10, 0, 0, 0, 0]
    (of_none,) = Planner(planted.network(0), plan(drop("whole", 0), **dropped)).edits
    assert of_none.leads is not None
    assert of_none.leads.tolist() == [1] * planted.WHOLES
    network = planted.network(0)
    read = network.stages["whole"].get_parameter("1.weight").abs().sum(dim=(2, 3)).double()
    for measured in ([0], [2, 3]):  # of those that are measured, where they come next
        asked = plan(drop("parts", 0), measure={"what": "response", "of": neurons("whole", *measured)})
        (of_some,) = Planner(network, asked).edits
        assert of_some.leads == pytest.approx(read[measured].sum(0).numpy())


def test_what_nothing_is_changed_with_is_refused():
    network = planted.network(0)
    with torch.no_grad():
        network.stages["parts"].get_parameter("bias")[[3, 4]] = -50
        network.stages["whole"].get_parameter("1.weight")[:, 5] = 0
    targets = neurons("whole", *range(planted.WHOLES))
    for change in (drop("parts", 3, 4), weights("zero", neurons("parts", 3), targets), drop("parts", 5)):
        with pytest.raises(CannotTest, match="do not respond to what is shown, or nothing reads them"):
            carry_out(network, plan(change, expect={"change": "unchanged", "margin": 0.1}))


def test_in_words_is_the_worst_of_the_controls():
    responses = np.ones(planted.PARTS)
    responses[12:] = 0
    # The change that is drawn second finds as many as the first has left it.
    asked = plan(
        weights("zero", neurons("parts", 1, 2, 3), neurons("whole", 0)),
        weights("zero", neurons("parts", 4, 5, 6, 7), neurons("whole", 1)),
    )
    design = designed(even(), asked, {"parts": responses})
    found = []
    for control in design.conditions[2:]:
        edited = control.weights["whole"]["1.weight"][1]
        found.append(len(set((edited == 0).all(dim=(1, 2)).nonzero()[:, 0].tolist()) & {4, 5, 6, 7}))
    assert f"and {max(found)} of those that the plan names" in design.control["words"]


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
        cells, row = seen(network, view, start, network.layer(view.layer).fields)
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
        cells, row = seen(network, view, start, network.layer(view.layer).fields)
        part = network.between(values[..., cells, cells], start, "mixed3b")
        whole = network.between(values, start, "mixed3b")
        assert part[0, 3, row, row] == pytest.approx(float(whole[0, 3, view.row, view.row]), abs=1e-6)
        assert part.shape[2] < whole.shape[2] or start != "mixed3a"


class Sized(nn.Module):
    """Four channels of a 1x1 and four of a 5x5 convolution, which do not all see around the same point."""

    def __init__(self) -> None:
        super().__init__()
        self.relu = nn.ReLU()
        random = torch.Generator().manual_seed(0)
        self.small, self.large = (tiny.conv(torch.randn(4, 30, k, k, generator=random)) for k in (1, 5))
        self.pad = nn.ConstantPad2d((1, 3, 1, 3), 0.0)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.relu(x)
        return torch.cat([self.small(x), self.large(self.pad(x))], 1)


def test_who_gets_weights_sees_what_those_see_that_give_them():
    random = torch.Generator().manual_seed(1)
    parts = tiny.conv(torch.rand(30, 3, 3, 3, generator=random) - 0.2)
    stages = {"parts": parts, "sized": Sized()}
    network = Network("sized", stages, tiny.preprocessing(15), branches={"sized": [("small", 4), ("large", 4)]})
    given = {"do": "transplant", "at": neurons("sized", 0), "with": neurons("sized", 4)}
    zeroed = weights(
        "zero", neurons("parts", 1), neurons("sized", 1)
    )  # so that the canvas is cut after the first layer
    asked = plan(given, zeroed, measure={"what": "response", "of": neurons("sized", 0)})
    found = carry_out(network, asked)
    planner = Planner(network, asked)
    everyone = {"parts": np.ones(30)}
    changed = planner.design(everyone).conditions[1]
    for number, variant in enumerate(found["variants"]):
        for size in (13, 15):  # room enough for all of it
            pictures = stimuli.arcs(np.arange(12) * 30.0, size, middle=(6.0, 6.0), **variant)
            first = network.between(torch.from_numpy(pictures)[:, None].expand(-1, 3, -1, -1), None, "parts")
            for values, pair in ((Condition(), 0), (changed, 1)):
                curve = values.through(network, first, "parts", "sized")[:, 0, 5, 5]
                assert found["pairs"][number][pair] == pytest.approx(float(curve.clamp(min=0).max()), rel=1e-5)


def of_pictures(what: str, *indices: int, **more: Any) -> dict[str, Any]:
    return plan(
        drop("grey", 0),
        show={"kind": "images", "image_set": "greys", "indices": list(indices)},
        measure={"what": what} | more,
        expect={"change": "rises" if what == "prediction" else "falls", "margin": 0.1, "relative": False},
    )


def test_predictions_of_pictures():
    network = planted.grey_network()
    greys = planted.shown(network, 1.0, 0.0, 0.5, 0.95, 0.05, 0.5, 1.0)
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
    network = planted.grey_network()
    greys = planted.shown(network, 1.0, 0.0, 0.5, 0.95, 0.05, 0.5, 1.0)
    assert carry_out(network, of_pictures("top1", *range(7)), images=greys)["ruling"]["effect"] == pytest.approx(-3 / 7)
    assert carry_out(network, of_pictures("top5", *range(7)), images=greys)["ruling"]["effect"] == 0
    by_label = carry_out(network, of_pictures("class_probability", *range(7), **{"class": "label"}), images=greys)
    by_top = carry_out(network, of_pictures("class_probability", *range(7), **{"class": "top"}), images=greys)
    assert by_label["pairs"] == by_top["pairs"]  # all were right
    of_dark = carry_out(network, of_pictures("class_probability", *range(7), **{"class": 1}), images=greys)
    assert of_dark["pairs"][0][0] == pytest.approx(float(torch.tensor([5.0, 0.0, 4.0]).softmax(0)[1]), rel=1e-2)


def test_what_is_measured_is_what_the_measure_is_called():
    network, greys = planted.grey_network(), planted.shown(planted.grey_network(), 1.0, 0.0, 0.5, 0.95, 0.05, 0.5, 1.0)
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
    network = planted.grey_network()
    greys = planted.shown(network, *[0.5] * 6)
    unlabelled = scan.Pictures(greys.names, lambda index: greys._opener(index))
    with pytest.raises(CannotTest, match="have no class"):
        carry_out(network, of_pictures("top1", *range(6)), images=unlabelled)
    headless = planted.network(0)
    asked = of_pictures("prediction", *range(6)) | {"do": [drop("parts", 0)]}
    with pytest.raises(CannotTest, match="tells no classes apart"):
        carry_out(headless, asked, images=planted.shown(headless, *[0.5] * 6))


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


def test_responses_that_are_silent_on_both_sides_are_left_out_and_all_of_them_a_failure():
    network = planted.network(6)
    bias = network.stages["whole"].get_parameter("1.bias")
    with torch.no_grad():
        bias[:4] = -100
    found = carry_out(network, plan(drop("parts", 3)))
    assert (found["ruling"]["n"], found["left_out"]["count"]) == (12, 24)
    assert found["left_out"]["reason"] == "no neuron that is measured responds, before the change or after it"
    assert {pair[2] for pair in found["pairs"]} == {4, 5}
    assert found["ruling"]["verdict"] == "inconclusive"  # two neurons
    with torch.no_grad():
        bias[:] = -100
    for change in ("unchanged", "rises"):
        with pytest.raises(CannotTest, match="For 36 of 36 pairs no neuron that is measured responds"):
            carry_out(network, plan(drop("parts", 3), expect={"change": change, "margin": 0.1}))


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
    greys = planted.shown(planted.grey_network(), *[0.5] * 7)
    for what in ("prediction", "top1"):
        asked = of_pictures(what, *range(7)) | {"expect": {"change": "unchanged", "margin": 0.1}}
        found = carry_out(planted.grey_network(), asked, images=greys)
        assert (found["ruling"]["effect"], found["ruling"]["verdict"]) == (0, "inconclusive")
        assert found["ruling"]["high"] > 0.3
    assert found["ruling"]["low"] == pytest.approx(-found["ruling"]["high"])
    assert found["before"]["low"] < found["before"]["mean"] < found["before"]["high"]


def test_of_a_share_of_accuracy_the_interval_is_no_narrower():
    greys = planted.shown(planted.grey_network(), 1.0, 0.0, 0.5, 0.95, 0.05, 0.5, 1.0)
    falls = {"change": "falls", "margin": 0.1}
    plain = carry_out(planted.grey_network(), of_pictures("top1", *range(7)) | {"expect": falls}, images=greys)
    share = {"expect": falls | {"relative": True}}
    relative = carry_out(planted.grey_network(), of_pictures("top1", *range(7)) | share, images=greys)
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
    with pytest.raises(CannotTest, match="For 36 of 36 pairs no neuron that is measured responds"):
        carry_out(network, relative)
    with torch.no_grad():
        network.stages["whole"].get_parameter("1.bias")[0] = float("nan")
    with pytest.raises(CannotTest, match="not finite"):
        carry_out(network, plan(drop("parts", 1)))


# What it says.


def ruled(
    values: Any, what: str, expect: dict[str, Any], controls: Any = None, neurons_measured: int | None = None
) -> dict[str, Any]:
    """What is made of the values before and after: of as many neurons, or of pictures of so many neurons."""
    values = np.array(values, dtype=float)
    pairs = values.shape[1]
    others = np.tile(values[0], (20, 1)) if controls is None else np.array(controls, dtype=float)
    shown = {"kind": "images", "indices": list(range(pairs))} if neurons_measured else {"kind": "sweep"}
    of = neurons("whole", *range(neurons_measured or pairs))
    told = {"images": {}} if neurons_measured else {"variants": [], "sweep": {}, "curves": np.zeros((22, 1, 3))}
    clusters = np.zeros(pairs, dtype=np.int64) if neurons_measured else np.arange(pairs)
    measured = Measured(np.vstack([values, others]), clusters, [(index, 0) for index in range(pairs)], told)
    asked = plan(show=shown, measure={"what": what, "of": of}, expect=expect)
    return _ruled(asked, Design("parts", [], {}, [1.0] * 20, {}), measured)


RISES = {"change": "rises", "margin": 0.1}


def test_a_control_that_loses_pairs_counts_as_the_plan_there_and_as_any_beyond_a_tenth():
    before = np.full(20, 0.2)
    for lost, effect, expected in ((0, 0.0, "supported"), (2, 0.03, "supported"), (3, None, "inconclusive")):
        control = before.copy()
        control[:lost] = np.nan
        found = ruled([before, before + 0.3], "echo", RISES, [control] * 20)
        assert found["controls"] == [effect if effect is None else pytest.approx(effect)] * 20
        assert found["ruling"]["verdict"] == expected


def test_a_change_that_loses_more_than_a_tenth_of_the_pairs_says_nothing():
    before = np.full(20, 0.2)
    for lost, expected in ((2, "supported"), (3, "inconclusive")):
        after = before + 0.3
        after[:lost] = np.nan
        found = ruled([before, after], "echo", RISES)
        assert (found["left_out"]["count"], found["ruling"]["verdict"]) == (lost, expected)
    assert "the change leaves 3 of 20 without a measure" in found["reason"]
    after[:10] = np.nan
    assert ruled([before, after], "echo", RISES)["ruling"]["verdict"] == "inconclusive"
    after[:11] = np.nan
    with pytest.raises(CannotTest, match="For 11 of 20 pairs"):
        ruled([before, after], "echo", RISES)
    # Those that had none before are no loss of the change's.
    before[:3] = np.nan
    assert ruled([before, np.full(20, 0.5)], "echo", RISES)["ruling"]["verdict"] == "supported"


def test_what_controls_awaken_counts_for_them():
    before, after, control = (np.zeros(20) for _ in range(3))
    before[:10] = after[:10] = control[:10] = 1
    after[10:15] += 0.5
    control[15:] += 0.5
    found = ruled([before, after], "response", {"change": "rises", "margin": 0}, [control] * 20)
    assert found["ruling"]["n"] == 15
    assert found["ruling"]["effect"] == pytest.approx(2.5 / 15)
    assert found["controls"] == [pytest.approx(2.5 / 15)] * 20
    assert found["ruling"]["verdict"] == "inconclusive"


def test_a_share_of_what_might_be_nothing_is_refused():
    before = np.zeros(60)
    before[:3] = 1
    after = before.copy()
    after[3:] = 0.02
    with pytest.raises(CannotTest, match="state the margin as it is"):
        ruled([before, after], "echo", {"change": "rises", "margin": 5, "relative": True})


def test_few_that_stand_still_leave_room_for_others_that_move():
    for what in ("peak", "echo", "width"):
        for count, expected in ((29, "inconclusive"), (30, "supported")):
            still = np.zeros((2, count))
            found = ruled(still, what, {"change": "unchanged", "margin": 5})
            assert found["ruling"]["verdict"] == expected
            assert ("all stand still, and fewer than 30 neurons leave room" in found["reason"]) == (count == 29)
    # A response is no step of a sweep: one that does not change by anything does not.
    assert ruled(np.ones((2, 8)), "response", {"change": "unchanged", "margin": 5})["ruling"]["verdict"] == "supported"


@pytest.mark.parametrize(
    ("count", "expected", "words"),
    [
        (1, "supported", "30 pictures for this neuron alone"),
        (2, "inconclusive", "fewer than 5 neurons say nothing of neurons like them"),
        (4, "inconclusive", "fewer than 5 neurons say nothing of neurons like them"),
        (5, "supported", "30 pictures for these 5 neurons alone"),
    ],
)
def test_of_neurons_on_pictures_the_interval_is_over_pictures(count: int, expected: str, words: str):
    before = np.random.default_rng(0).random(30)
    found = ruled([before, before + 0.5], "response", RISES, neurons_measured=count)
    assert found["ruling"]["verdict"] == expected
    assert words in found["reason"]


def test_of_pictures_no_more_is_kept_than_is_told():
    kept = _Predictions([0] * 8)
    logits = torch.randn(8, 1000, generator=torch.Generator().manual_seed(0))
    before = torch.arange(8)
    kept.add(logits, before)
    assert all(isinstance(value, float) for value in [*kept.probabilities, *kept.kept])
    assert len(kept.probabilities) == len(kept.kept) == 8
    probable = logits.softmax(1)
    assert kept.probabilities == pytest.approx(probable.max(1).values.tolist())
    assert kept.kept == pytest.approx(probable[torch.arange(8), before].tolist())


def test_fewer_than_19_controls_that_differ_support_nothing():
    for distinct, expected in ((18, "inconclusive"), (19, "supported"), (20, "supported")):
        ruling, why = verdict(RISES, 0.5, 0.4, 0.6, [0.01] * distinct)
        assert ruling == expected
        assert ("only 18 controls that differ" in why and "once in 19 times" in why) == (expected == "inconclusive")
        assert f"any of the {distinct} controls" in why or distinct == 18


def test_a_layer_of_few_supports_nothing():
    """Of k neurons there are k - 1 controls: chance has the largest effect once in k times."""
    network = planted.network(0, effect=0.5)
    with torch.no_grad():
        network.stages["parts"].get_parameter("bias")[18:] = -50
    found = carry_out(network, plan(drop("parts", planted.PLANTED)))
    assert len(found["controls"]) == 17
    assert found["ruling"]["verdict"] == "inconclusive"
    assert (
        "only 17 controls that differ from each other, and chance alone is beyond them all once in 18"
        in (found["reason"])
    )


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


def test_what_plans_say_is_what_experiments_do():
    """Workers import nothing of the record: what both know is written twice, and is the same."""
    assert interventions.WEIGHTS == plans.WEIGHTS
    assert interventions.SETS == plans.SETS
    assert set(interventions.OF_NEURONS) == {name for name, measure in plans.MEASURES.items() if measure.of_neurons}
    assert experiment.LEAST_PAIRS == plans.FEWEST
    assert experiment.SHAPES == plans.SHAPES
    assert set(experiment.CALLED) == set(plans.MEASURES)
    assert {name: experiment.UNITS.get(name, "") for name in plans.MEASURES} == {
        name: measure.unit for name, measure in plans.MEASURES.items()
    }
    assert {name: period for name, (_, period) in responses.ORIENTED.items()} == plans.STIMULI
    for change in ("falls", "rises"):  # what is 0 before the change cannot fall, and has no share
        for name in experiment.FROM_ZERO:
            with pytest.raises(plans.PlanError, match="is 0 before the change"):
                plans._check_expected({"change": change, "margin": 1, "relative": change == "rises"}, name)
    assert ruling.LEAST_CONTROLS == plans.LEAST_CONTROLS < plans.CONTROLS


@pytest.mark.slow
def test_claims_of_nothing_are_rarely_supported():
    found: dict[str, Counter[str]] = {}
    for kind, network, asked in planted.claims_of_nothing(1000):
        found.setdefault(kind, Counter())[planted.ruling(network, asked)] += 1
    assert set(found) == set(planted.NOTHING)
    assert sum(counts["supported"] for counts in found.values()) <= 50
    for kind, counts in found.items():
        assert counts["supported"] <= planted.most_by_chance(counts.total()), kind


def test_what_chance_supports_at_most():
    assert planted.most_by_chance(100) == 11
    assert planted.most_by_chance(100, sure=0.5) == 5


@pytest.mark.slow
def test_planted_effects_are_found():
    found = Counter(
        carry_out(network, asked)["ruling"]["verdict"] for network, asked in planted.claims_of_an_effect(200, 0.3)
    )
    assert found["supported"] >= 190
    assert not found["refuted"]
