"""Plans of experiments: what may be tested, what is refused and how it is put in words."""

import contextlib
import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taxonomy import plans

LAYERS = {"conv": 4, "early": 6, "late": 5}
EARLY = {"layer": "early", "channels": [0, 1, 2], "named": "Early Curves"}
LATE = {"layer": "late", "channels": [0, 1], "named": "Curves"}
ALL_EARLY = {"layer": "early", "channels": [*range(6)]}
SWEEP = {"kind": "sweep", "stimulus": "curve", "step": 2.5, "radii": [32, 40], "strokes": [2, 3, 4]}
TOP1, WIDTH = {"what": "top1"}, {"what": "width", "of": LATE}
BARS = {"kind": "sweep", "stimulus": "line", "step": 2, "strokes": [3]}
PICTURES = {"kind": "images", "image_set": "pictures", "indices": [0, 3, 4]}
OTHERS = {"layer": "late", "channels": [3, 4]}


def plan(**parts: Any) -> dict[str, Any]:
    """One that can be carried out, with other parts where they are given."""
    return copy.deepcopy(
        {
            "do": [{"do": "keep_positive", "from": EARLY, "to": LATE}],
            "show": SWEEP,
            "measure": {"what": "echo", "of": LATE},
            "expect": {"change": "rises", "margin": 0.04, "relative": False},
            "controls": 20,
            "seed": 0,
        }
        | parts
    )


def check(tested: dict[str, Any], **network: Any) -> None:
    plans.check(tested, LAYERS, **({"images": 10, "labelled": True, "classes": 3} | network))


def drop(layer: str, *channels: int) -> dict[str, Any]:
    return {"do": "drop", "at": {"layer": layer, "channels": list(channels)}}


def weights(do: str, **parts: Any) -> dict[str, Any]:
    return {"do": do, "from": EARLY, "to": LATE, **parts}


def transplant(at: list[int], other: list[int], layer: str = "late", other_layer: str = "late") -> dict[str, Any]:
    return {
        "do": "transplant",
        "at": {"layer": layer, "channels": at},
        "with": {"layer": other_layer, "channels": other},
    }


@pytest.mark.parametrize(
    "parts",
    [
        {},
        {"do": [weights("zero")]},
        {"do": [weights("scale", factor=0.5)]},
        {"do": [weights("keep_negative"), drop("conv", 1)]},
        {"do": [drop("early", 0)]},
        {"do": [drop("early", 0, 1, 2, 3, 4)]},
        {"do": [weights("zero", **{"from": {"layer": "early", "channels": [*range(5)]}})]},
        {"do": [transplant([0, 1], [1, 0])]},
        {"do": [transplant([0], [3]), transplant([1], [3])]},
        {"do": [transplant([0], [1], "early", "early"), weights("zero")]},
        {
            "show": {"kind": "sweep", "stimulus": "line", "step": 2, "strokes": [3]},
            "measure": {"what": "width", "of": LATE},
            "expect": {"change": "rises", "margin": 4},
        },
        {"measure": {"what": "peak", "of": LATE}, "expect": {"change": "unchanged", "margin": 15}},
        {"measure": {"what": "response", "of": LATE}, "expect": {"change": "falls", "margin": 40}},
        {
            "measure": {"what": "response", "of": LATE},
            "expect": {"change": "rises", "margin": 2.5, "relative": True},
        },
        {
            "do": [drop("conv", 1)],
            "measure": {"what": "response", "of": {"layer": "late", "channels": [4]}},
        },
        {"show": PICTURES, "measure": {"what": "response", "of": LATE}},
        {"show": PICTURES, "measure": {"what": "top1"}, "expect": {"change": "falls", "margin": 0}},
        {"show": PICTURES, "measure": {"what": "prediction"}},
        {"show": PICTURES, "measure": {"what": "class_probability", "class": 2}},
        {"show": PICTURES, "measure": {"what": "class_probability", "class": "top"}},
        {"show": PICTURES, "measure": {"what": "class_probability", "class": "label"}},
    ],
)
def test_what_can_be_carried_out(parts: dict[str, Any]) -> None:
    tested = plan(**parts)
    check(tested)
    words = plans.in_words(tested, ["cat", "dog", "fox"])
    assert words.startswith("When ")
    assert words.endswith(".")
    assert "{" not in words


def shift(margin: float) -> dict[str, Any]:
    return {"measure": {"what": "peak", "of": LATE}, "expect": {"change": "unchanged", "margin": margin}}


def expected(change: str, margin: float, *, relative: bool = False) -> dict[str, Any]:
    return {"expect": {"change": change, "margin": margin, "relative": relative}}


def width(margin: float, *, relative: bool = False) -> dict[str, Any]:
    return {"measure": WIDTH, "expect": {"change": "rises", "margin": margin, "relative": relative}}


FIVE = [drop("conv", 0), drop("conv", 1), drop("conv", 2), drop("early", 0), drop("early", 1), drop("early", 2)]


@pytest.mark.parametrize(
    ("part", "sentence", "parts"),
    [
        ("do", "Say what is changed", {"do": []}),
        ("do", "A change is one of", {"do": ["drop"]}),
        ("do", "A change is one of", {"do": [{"do": "delete", "at": LATE}]}),
        ("do", "At most 5 changes", {"do": FIVE}),
        ("do", "Name neurons, or a family", {"do": [{"do": "drop"}]}),
        ("do", "There is no layer 'mixed9z'", {"do": [drop("mixed9z", 0)]}),
        ("do", "selects no neuron", {"do": [drop("early")]}),
        ("do", "early has 6 neurons, counted from 0: there is no 6", {"do": [drop("early", 6)]}),
        ("do", "there is no -1", {"do": [drop("early", -1)]}),
        ("do", "there is no True", {"do": [drop("early", True)]}),
        ("do", "named twice", {"do": [drop("early", 1, 1)]}),
        ("do", "drops all of early", {"do": [drop("early", *range(6))]}),
        ("do", "weights from all of early: nothing is left", {"do": [weights("zero", **{"from": ALL_EARLY})]}),
        ("do", "weights from all of early", {"do": [weights("keep_positive", **{"from": ALL_EARLY})]}),
        ("do", "between all of late", {"do": [transplant([0, 1, 2, 3, 4], [1, 0, 3, 4, 2])]}),
        ("do", "late does not follow conv", {"do": [weights("zero") | {"from": {"layer": "conv", "channels": [0]}}]}),
        ("do", "does not follow", {"do": [{"do": "zero", "from": LATE, "to": EARLY}]}),
        ("do", "by which factor", {"do": [weights("scale")]}),
        ("do", "by which factor", {"do": [weights("scale", factor=1)]}),
        ("do", "by which factor", {"do": [weights("scale", factor=1 + 1e-12)]}),
        ("do", "by which factor", {"do": [weights("scale", factor=1 - 9e-7)]}),
        ("do", "by which factor", {"do": [weights("scale", factor=float("nan"))]}),
        ("do", "as many neurons of one layer", {"do": [transplant([0], [1, 2])]}),
        ("do", "as many neurons of one layer", {"do": [transplant([0], [1], "late", "early")]}),
        ("do", "its own weights", {"do": [transplant([0, 1], [2, 1])]}),
        ("do", "contradict each other: both are about late:0", {"do": [weights("zero"), weights("keep_positive")]}),
        ("do", "contradict each other", {"do": [weights("zero"), drop("early", 2)]}),
        ("do", "contradict each other", {"do": [drop("early", 2), weights("zero")]}),
        ("do", "contradict each other", {"do": [drop("early", 2), drop("early", 2, 3)]}),
        ("do", "contradict each other", {"do": [weights("zero"), transplant([0], [3])]}),
        ("do", "both are about late:1", {"do": [transplant([0], [1]), transplant([1], [2])]}),
        ("do", "both are about late:1", {"do": [transplant([1], [2]), transplant([0], [1])]}),
        ("do", "both are about late:2", {"do": [transplant([0], [2]), drop("late", 2)]}),
        ("do", "both are about late:1", {"do": [weights("zero"), transplant([3], [1])]}),
        ("show", "Say what is shown", {"show": {}}),
        ("show", "A sweep is of one of", {"show": SWEEP | {"stimulus": "spiral"}}),
        ("show", "The step is", {"show": SWEEP | {"step": 7}}),
        ("show", "The step is", {"show": SWEEP | {"step": 0}}),
        ("show", "The step is", {"show": SWEEP | {"step": float("nan")}}),
        ("show", "at least one of the radii", {"show": SWEEP | {"radii": []}}),
        ("show", "at least one of the strokes", {"show": SWEEP | {"strokes": [3, 3]}}),
        ("show", "36 variants: 25 at most", {"show": SWEEP | {"radii": [*range(30, 36)], "strokes": [*range(1, 7)]}}),
        ("show", "selects no picture", {"show": PICTURES | {"indices": []}, "measure": {"what": "top1"}}),
        ("show", "The set has 10 pictures", {"show": PICTURES | {"indices": [10]}, "measure": {"what": "top1"}}),
        ("show", "The step is", {"show": SWEEP | {"step": 720}}),
        ("show", "cannot tell a change by 5: make", {"show": SWEEP | {"step": 7.5}} | shift(5)),
        ("show", "cannot tell a change by 5: make", {"show": SWEEP | {"step": 10}} | width(5)),
        (
            "show",
            "For the shift of the peak the step is 15 degrees or less",
            {"show": SWEEP | {"step": 72}} | shift(90),
        ),
        ("show", "For the tuning width the step is 15", {"show": SWEEP | {"step": 30}} | width(0)),
        (
            "show",
            "cannot tell a change by 1 %, which is 3.6 degrees at most: make it smaller",
            {"show": SWEEP | {"step": 15}} | width(0.01, relative=True),
        ),
        ("show", "For the tuning width the step is 15", {"show": SWEEP | {"step": 30}} | width(0.5, relative=True)),
        ("show", "For the echo the step is 15", {"show": SWEEP | {"step": 120}}),
        ("measure", "What is measured is one of", {"measure": {"what": "beauty"}}),
        ("measure", "measured on pictures", {"measure": {"what": "top1"}}),
        ("measure", "measured on a sweep", {"show": PICTURES}),
        ("measure", "so it has no echo", {"show": {"kind": "sweep", "stimulus": "line", "step": 2, "strokes": [3]}}),
        ("measure", "Name a class, 0 to 2", {"show": PICTURES, "measure": {"what": "class_probability", "class": 3}}),
        ("measure", "Nothing that is changed lies before early", {"measure": {"what": "echo", "of": EARLY}}),
        (
            "measure",
            "Nothing that is changed lies before late",
            {"do": [drop("late", 4)], "measure": {"what": "echo", "of": LATE}},
        ),
        (
            "measure",
            "changed for none of the neurons that are measured",
            {"measure": {"what": "response", "of": OTHERS}},
        ),
        (
            "measure",
            "changed for none of the neurons that are measured",
            {"do": [transplant([0], [3])], "measure": {"what": "response", "of": OTHERS}},
        ),
        (
            "measure",
            "changed for none of the neurons that are measured",
            {"do": [drop("conv", 0), weights("zero")], "measure": {"what": "response", "of": OTHERS}},
        ),
        (
            "measure",
            "A change lies in late, which is not before early",
            {"do": [drop("conv", 0), drop("late", 0)], "measure": {"what": "response", "of": EARLY}},
        ),
        (
            "measure",
            "A change lies in late, which is not before late",
            {"do": [weights("zero"), drop("late", 3)], "measure": {"what": "response", "of": LATE}},
        ),
        (
            "measure",
            "A neuron that is dropped is measured too",
            {"do": [drop("conv", 0), drop("late", 1)], "measure": {"what": "response", "of": LATE}},
        ),
        ("measure", "selects no neuron", {"measure": {"what": "echo", "of": {"layer": "late", "channels": []}}}),
        ("expect", "Say what you predict", {"expect": {}}),
        ("expect", "The margin is a number", {"expect": {"change": "rises", "margin": -1}}),
        ("expect", "The margin is a number", {"expect": {"change": "rises", "margin": float("nan")}}),
        ("expect", "within which margin", {"expect": {"change": "unchanged", "margin": 0}}),
        (
            "expect",
            "cannot fall",
            {"measure": {"what": "peak", "of": LATE}, "expect": {"change": "falls", "margin": 1}},
        ),
        (
            "expect",
            "state its margin as it is",
            {"measure": {"what": "peak", "of": LATE}, "expect": {"change": "rises", "margin": 1, "relative": True}},
        ),
        ("expect", "margin of the echo is a share, and below 1: 2 % is 0.02", expected("rises", 3)),
        ("expect", "margin of the echo is a share", expected("falls", 1)),
        ("expect", "margin of the echo is a share", expected("unchanged", 2)),
        ("expect", "margin of the top-1 accuracy", {"show": PICTURES, "measure": TOP1} | expected("falls", 2)),
        (
            "expect",
            "margin of the changed predictions",
            {"show": PICTURES, "measure": {"what": "prediction"}} | expected("rises", 1),
        ),
        (
            "expect",
            "margin of the class probability",
            {"show": PICTURES, "measure": {"what": "class_probability", "class": "top"}} | expected("unchanged", 1.5),
        ),
        (
            "expect",
            "Nothing falls by more than all of what it was",
            {"measure": {"what": "response", "of": LATE}} | expected("falls", 1.5, relative=True),
        ),
        ("expect", "Nothing falls by more", expected("falls", 1, relative=True)),
        ("expect", "On these curves the shift of the peak is 180 degrees at most", shift(180)),
        ("expect", "On these curves the shift of the peak is 172.8", {"show": SWEEP | {"step": 14.4}} | shift(175)),
        ("expect", "On these lines the shift of the peak is 90 degrees at most", {"show": BARS} | shift(90)),
        ("expect", "On these curves the tuning width is 360 degrees at most", width(360)),
        ("expect", "On these lines the tuning width is 180 degrees at most", {"show": BARS} | width(200)),
        ("expect", "either true or false", {"expect": {"change": "rises", "margin": 1, "relative": "yes"}}),
        ("do", "has a name in words", {"do": [drop("early", 0) | {"at": EARLY | {"named": 7}}]}),
        ("do", "A plan has no part “comment”: it has do, show", {"comment": "surely"}),
        ("do", "The change “zero” has no part “factor”: it has do, from and to", {"do": [weights("zero", factor=0.9)]}),
        ("do", "has no part “factor”", {"do": [weights("keep_positive", factor=3)]}),
        ("do", "has no part “at”", {"do": [weights("zero", at=EARLY)]}),
        ("do", "The change “drop” has no part “with”", {"do": [drop("early", 0) | {"with": EARLY}]}),
        ("do", "A set of neurons has no part “members”", {"do": [{"do": "drop", "at": EARLY | {"members": [5]}}]}),
        ("show", "A sweep of curves has no part “indices”", {"show": SWEEP | {"indices": [1]}}),
        ("show", "A sweep of lines has no part “radii”", {"show": SWEEP | {"stimulus": "line"}, "measure": WIDTH}),
        ("show", "What is shown of pictures has no part “step”", {"show": PICTURES | {"step": 5}, "measure": TOP1}),
        ("measure", "The measure “echo” has no part “class”", {"measure": {"what": "echo", "of": LATE, "class": 1}}),
        (
            "measure",
            "The measure “top-1 accuracy” has no part “class”",
            {"show": PICTURES, "measure": TOP1 | {"class": "top"}},
        ),
        ("measure", "accuracy” has no part “of”: it has what", {"show": PICTURES, "measure": TOP1 | {"of": LATE}}),
        ("expect", "A prediction has no part “sure”", {"expect": {"change": "rises", "margin": 1, "sure": True}}),
        ("controls", "20 controls", {"controls": 3}),
        ("seed", "whole number", {"seed": -1}),
    ],
)
def test_what_is_refused_says_which_part_and_what_to_do(part: str, sentence: str, parts: dict[str, Any]) -> None:
    with pytest.raises(plans.PlanError, match=sentence) as refused:
        check(plan(**parts))
    assert refused.value.part == part
    assert str(refused.value).endswith(".")


@pytest.mark.parametrize(
    ("sentence", "network", "measure"),
    [
        ("Name an image set that has pictures", {"images": 0}, {"what": "top1"}),
        ("each picture needs its class", {"labelled": False}, {"what": "top1"}),
        ("have no class", {"labelled": False}, {"what": "class_probability", "class": "label"}),
        ("tells no classes apart", {"classes": 0}, {"what": "prediction"}),
    ],
)
def test_what_a_network_and_its_pictures_lack(sentence: str, network: dict[str, Any], measure: dict[str, Any]) -> None:
    with pytest.raises(plans.PlanError, match=sentence):
        check(plan(show=PICTURES, measure=measure), **network)


def test_sets_are_those_that_a_change_uses_and_a_measure_of_neurons_has() -> None:
    stray = {"at": LATE, "with": LATE, "from": EARLY, "to": LATE}
    assert plans.sets({"do": "drop", **stray}) == [LATE]
    assert plans.sets({"do": "transplant", **stray}) == [LATE, LATE]
    assert plans.sets({"do": "zero", **stray}) == [EARLY, LATE]
    assert plans.every_set(plan()) == [EARLY, LATE, LATE]
    assert plans.every_set(plan(measure={"what": "top1", "of": EARLY})) == [EARLY, LATE]


@pytest.mark.parametrize("step", [0.5, 0.6, 0.9, 1.2, 2.4, 2.5, 7.2, 15])
def test_every_step_that_divides_a_turn_is_one(step: float) -> None:
    check(plan(show=SWEEP | {"step": step}))
    check(plan(show=SWEEP | {"step": step}) | shift(15))
    check(plan(show=SWEEP | {"step": step}) | width(0.05, relative=True))


def test_a_response_needs_no_curve() -> None:
    check(plan(show=SWEEP | {"step": 90}, measure={"what": "response", "of": LATE}))


def alone(*channels: int) -> dict[str, Any]:
    return {"measure": {"what": "response", "of": {"layer": "late", "channels": list(channels)}}}


@pytest.mark.parametrize(
    ("sentences", "parts"),
    [
        ([], {"do": [drop("early", 0)]} | alone(0, 1, 2, 3, 4)),
        (["With fewer than 5 pairs"], {"show": PICTURES, "measure": {"what": "prediction"}}),
        (["With 2 neurons it can only be inconclusive: measure 5 or more, or one alone."], {}),
        (["With 4 neurons"], {"do": [drop("early", 0)]} | alone(0, 1, 2, 3)),
        (["of this neuron alone"], alone(0)),
        (
            ["With fewer than 5 pairs", "of this neuron alone"],
            {"show": SWEEP | {"radii": [32], "strokes": [3]}} | alone(0),
        ),
        (["Nothing is changed for 3 of the 5 neurons that are measured"], alone(0, 1, 2, 3, 4)),
        ([], {"do": [weights("zero"), drop("conv", 1)]} | alone(0, 1, 2, 3, 4)),
        (["of this neuron alone"], {"show": PICTURES | {"indices": [*range(5)]}} | alone(0)),
        (["With 2 neurons"], {"show": PICTURES | {"indices": [*range(5)]}} | alone(0, 1)),
        (
            ["With 2 neurons", "A step of 2.5 degrees tells a change by 5 % only of curves that are 50 degrees wide"],
            width(0.05, relative=True),
        ),
        (["With 2 neurons"], width(5)),
    ],
)
def test_what_to_mind_is_said_before_anything_is_stated(sentences: list[str], parts: dict[str, Any]) -> None:
    tested = plan(**({"expect": {"change": "rises", "margin": 0.1}} | parts))
    check(tested)
    told = plans.cautions(tested, {name: channels + 60 for name, channels in LAYERS.items()})
    assert len(told) == len(sentences), told
    for sentence, words in zip(told, sentences, strict=True):
        assert words in sentence


@pytest.mark.parametrize(
    ("most", "parts"),
    [
        (5, {"do": [drop("early", 0)]}),
        (6, {"do": [drop("early", 0, 1, 2, 3)], "measure": TOP1, "show": PICTURES}),  # both others, and two of its own
        (15, {"do": [drop("early", 0), drop("conv", 1)]}),
        (1, {"do": [{"do": "transplant", "at": LATE, "with": {"layer": "late", "channels": [2, 3]}}]}),
        (18, {"do": [drop("early", 0, 1), drop("conv", 1)]}),
        (None, {"do": [drop("early", 0), drop("conv", 1), drop("late", 2)]}),
    ],
)
def test_too_few_others_to_compare_with_are_told(most: int | None, parts: dict[str, Any]) -> None:
    tested = plan(**({"expect": {"change": "rises", "margin": 0.1}} | parts))
    told = [caution for caution in plans.cautions(tested, LAYERS) if "too few other neurons" in caution]
    assert len(told) == (1 if most else 0)
    assert not most or f"no more than {most} control" in told[0]
    unchanged = tested | {"expect": {"change": "unchanged", "margin": 0.1}}
    assert not any("too few other neurons" in caution for caution in plans.cautions(unchanged, LAYERS))


def test_a_size_counts_the_neurons_that_are_measured() -> None:
    assert plans.size(plan()).measured == 2
    assert plans.size(plan(show=PICTURES, measure=TOP1)).measured == 0


words = st.sampled_from(
    [
        "do",
        "show",
        "measure",
        "expect",
        "at",
        "from",
        "to",
        "with",
        "layer",
        "channels",
        "kind",
        "stimulus",
        "step",
        "radii",
        "strokes",
        "indices",
        "what",
        "of",
        "class",
        "change",
        "margin",
        "zero",
        "drop",
        "scale",
        "early",
        "late",
        "sweep",
        "images",
        "curve",
        "echo",
        "top1",
        "rises",
        "transplant",
        "response",
    ]
)
leaves = st.none() | st.booleans() | st.integers(-2, 9) | st.floats() | words
anything = st.recursive(leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=4))


@given(anything, st.sampled_from(["do", "show", "measure", "expect", "controls", "seed", ""]))
def test_whatever_is_sent_is_a_plan_or_is_refused_in_words(value: Any, part: str) -> None:
    tested = plan(**{part: value}) if part else value
    with contextlib.suppress(plans.PlanError):
        check(tested)
        plans.in_words(tested)


def test_a_plan_in_words() -> None:
    assert plans.in_words(plan()) == (
        "When the negative weights from Early Curves (3 neurons of early) to Curves (2 neurons of late) are set to "
        "zero, and curves at every 2.5 degrees, with radii of 32 and 40 px and strokes of 2, 3 and 4 px are shown, the "
        "echo of Curves (2 neurons of late) (the response opposite to its peak, as a share of its largest) rises by "
        "more than 0.04."
    )
    lesion = plan(
        do=[drop("early", 4)],
        show=PICTURES | {"indices": [7]},
        measure={"what": "class_probability", "class": 1},
        expect={"change": "falls", "margin": 0.2, "relative": True},
    )
    assert plans.in_words(lesion, ["cat", "dog"]) == (
        "When early:4 is silenced, and 1 picture of pictures are shown, the probability of “dog” falls by more than "
        "20 % of what it was."
    )
