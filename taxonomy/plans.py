"""Plans of experiments: what is changed in a network, shown, measured and predicted; checked, and in words.

Standard library only: the record keeps plans as JSON, and the laboratory carries them out (``workers.experiment``).

A plan is ``{"do": [change, ...], "show": stimuli, "measure": measure, "expect": prediction, "controls": 20,
"seed": 0}``. A set of neurons is ``{"layer": name, "channels": [index, ...], "named": words}``, the words being how
people call it.

No part holds anything but what is said here: it would be kept for ever, and mean nothing. (A set may also say of which
"family" it holds the members: a public id.)

- A change is one of ``CHANGES``. ``{"do": "drop", "at": set}``: the neurons' values are zero. ``{"do": "transplant",
  "at": set, "with": set}``: each neuron gets the incoming weights of the one in the same place of another set of its
  layer. ``{"do": "zero" | "keep_positive" | "keep_negative", "from": set, "to": set}`` and ``{"do": "scale", ...,
  "factor": number}``: the weights from one set to another, in the next layer; what is not kept is zero. Biases stay.
- Stimuli are ``{"kind": "sweep", "stimulus": "curve" | "line", "step": degrees, "radii": [px], "strokes":
  [px]}``, whose variants are every radius with every stroke (a line has no radius); or ``{"kind": "images",
  "image_set": name, "indices": [index, ...]}``.
- A measure is ``{"what": name}`` (``MEASURES``), with ``"of": set`` where it is of neurons, and ``"class": index`` or
  "label" (that of each picture) or "top" (the one predicted before) where it is of a class.
- A prediction is ``{"change": "rises" | "falls" | "unchanged", "margin": number, "relative": bool}``: by more than the
  margin, in the measure's unit or as a share of what it was before; unchanged within it. It must be one that can come
  true, and fail.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import comb, isclose, perm
from typing import Any, TypeGuard


class PlanError(ValueError):
    """Why a plan cannot be carried out, in a sentence that says what to do. ``part`` is the part of it at fault."""

    def __init__(self, part: str, message: str) -> None:
        super().__init__(message)
        self.part = part


@dataclass(frozen=True)
class Measure:
    """What is measured. ``unit`` is "" for a share; ``wraps`` after how many degrees a sweep's angle repeats."""

    title: str
    unit: str
    stimuli: tuple[str, ...]
    of_neurons: bool = False
    of_class: bool = False
    needs_labels: bool = False
    words: str = ""


MEASURES: dict[str, Measure] = {
    "response": Measure(
        "response",
        "activation",
        ("sweep", "images"),
        of_neurons=True,
        words="the largest response of {of}",
    ),
    "peak": Measure(
        "shift of the peak", "degrees", ("sweep",), of_neurons=True, words="how far the peak of {of} moves"
    ),
    "width": Measure(
        "tuning width", "degrees", ("sweep",), of_neurons=True, words="the width of the tuning curve of {of}"
    ),
    "echo": Measure(
        "echo",
        "",
        ("sweep",),
        of_neurons=True,
        words="the echo of {of} (the response opposite to its peak, as a share of its largest)",
    ),
    "class_probability": Measure(
        "class probability", "", ("images",), of_class=True, words="the probability of {class}"
    ),
    "prediction": Measure(
        "changed predictions", "", ("images",), words="the share of pictures whose most probable class changes"
    ),
    "top1": Measure("top-1 accuracy", "", ("images",), needs_labels=True, words="the top-1 accuracy"),
    "top5": Measure("top-5 accuracy", "", ("images",), needs_labels=True, words="the top-5 accuracy"),
}
WEIGHTS = ("zero", "scale", "keep_positive", "keep_negative")
CHANGES = (*WEIGHTS, "drop", "transplant")
EXPECTED = ("rises", "falls", "unchanged")
# The sets of neurons that each change names.
SETS = dict.fromkeys(WEIGHTS, ("from", "to")) | {"drop": ("at",), "transplant": ("at", "with")}
PARTS = ("do", "show", "measure", "expect", "controls", "seed")
STIMULI = {"curve": 360.0, "line": 180.0}
MOST_CHANGES, MOST_VARIANTS, CONTROLS = 5, 25, 20
MOST_SEED = 2**31 - 1
LEAST_STEP = 0.5
FINE_STEP = 15.0  # degrees: in larger ones a tuning curve has no shape
SHAPES = ("peak", "width", "echo")
FEWEST = 5  # pairs: of fewer nothing can be concluded
FEWEST_NEURONS = 5  # but for one alone: of two to four nothing can be concluded either
LEAST_CONTROLS = 19  # that differ: beyond fewer, chance alone has an effect more than once in 20 times
SAME = 1e-6  # a factor as near to 1 changes nothing


def check(
    plan: Mapping[str, Any], layers: Mapping[str, int], *, images: int = 0, labelled: bool = False, classes: int = 0
) -> None:
    """Whether the plan can be carried out on a network.

    Args:
        layers: their channels, in the network's order.
        images: how many pictures the image set has.
        labelled: whether each has its class.
        classes: how many the network tells apart; 0 without a head.

    Raises:
        PlanError: when not, for its first fault.
    """
    if not isinstance(plan, Mapping):
        raise PlanError("do", "A plan is an object with what is changed, shown, measured and expected.")
    _check_keys("do", "A plan", plan, PARTS)
    show, measure, expect = (_part(plan, name) for name in ("show", "measure", "expect"))
    changes = plan.get("do")
    if not isinstance(changes, list) or not changes:
        raise PlanError("do", "Say what is changed: an experiment without a change shows nothing.")
    check_number(changes)
    for change in changes:
        _check_change(change, layers)
    _check_together(changes)
    _check_stimuli(show, images)
    _check_measure(measure, show, changes, layers, labelled=labelled, classes=classes)
    _check_expected(expect, measure["what"])
    _check_margin(show, measure["what"], expect)
    _check_step(show, measure["what"], expect)
    if plan.get("controls") != CONTROLS:
        raise PlanError("controls", f"Every experiment has {CONTROLS} controls.")
    if not _whole(plan.get("seed")) or plan["seed"] > MOST_SEED:
        raise PlanError("seed", f"The seed is a whole number from 0 to {MOST_SEED:,}.")


def check_number(changes: Any) -> None:
    """Before anything is made of them: no more changes than an experiment takes.

    Raises:
        PlanError: when there are more.
    """
    if isinstance(changes, list) and len(changes) > MOST_CHANGES:
        raise PlanError(
            "do", f"At most {MOST_CHANGES} changes at once, so that an effect has a cause: make two claims."
        )


def _part(plan: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = plan.get(name) or {}
    if not isinstance(found, Mapping):
        raise PlanError(name, f"“{name}” of a plan is an object.")
    return found


def _check_keys(part: str, what: str, found: Mapping[str, Any], known: Sequence[str]) -> None:
    stray = sorted(set(map(str, found)) - set(known))
    if stray:
        raise PlanError(part, f"{what} has no part “{stray[0][:40]}”: it has {_and(known)}. Leave it out.")


def sets(change: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The sets of neurons that a change names."""
    return [change[name] for name in SETS[change["do"]]]


def every_set(plan: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The sets of neurons that a plan names, in what it changes and in what it measures."""
    measure = plan["measure"]
    measured = [measure["of"]] if MEASURES[measure["what"]].of_neurons else []
    return [*(of for change in plan["do"] for of in sets(change)), *measured]


def reads_classes(measure: Mapping[str, Any]) -> bool:
    """Whether each picture's own class is used."""
    return MEASURES[measure["what"]].needs_labels or measure.get("class") == "label"


def asks_for_signs(change: Mapping[str, Any]) -> bool:
    """Whether a change takes weights one by one, which those across several convolutions do not have."""
    return change["do"] in ("keep_positive", "keep_negative") or change.get("factor", 0) < 0


def edited(change: Mapping[str, Any]) -> str:
    """The first layer whose values are others after the change."""
    return str(change["to" if change["do"] in WEIGHTS else "at"]["layer"])


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _number(value: Any) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e9


def _check_set(part: str, of: Any, layers: Mapping[str, int]) -> None:
    if not isinstance(of, Mapping) or not isinstance(of.get("layer"), str):
        raise PlanError(part, "Name neurons, or a family.")
    _check_keys(part, "A set of neurons", of, ("layer", "channels", "named", "family"))
    if of["layer"] not in layers:
        raise PlanError(part, f"There is no layer '{str(of['layer'])[:60]}'. Its layers are {', '.join(layers)}.")
    channels, most = of.get("channels"), layers[of["layer"]]
    if not isinstance(channels, list) or not channels:
        raise PlanError(part, "This selects no neuron: name at least one, or a family that has members.")
    wrong = [channel for channel in channels if not _whole(channel) or channel >= most]
    if wrong:
        raise PlanError(part, f"{of['layer']} has {most} neurons, counted from 0: there is no {str(wrong[0])[:20]}.")
    if not isinstance(of.get("named", ""), str) or len(of.get("named", "")) > 200:
        raise PlanError(part, "A set of neurons has a name in words, 200 characters at most, or none.")
    if len(set(channels)) < len(channels):
        raise PlanError(part, "A neuron is named twice: name each once.")


def _check_change(change: Any, layers: Mapping[str, int]) -> None:
    kind = change.get("do") if isinstance(change, Mapping) else None
    if kind not in CHANGES:
        raise PlanError("do", f"A change is one of {', '.join(CHANGES)}.")
    _check_keys("do", f"The change “{kind}”", change, ("do", *SETS[kind], *(["factor"] if kind == "scale" else [])))
    for name in SETS[kind]:
        _check_set("do", change.get(name), layers)
    order = list(layers)
    if kind in WEIGHTS:
        source, target = change["from"], change["to"]
        if order.index(target["layer"]) != order.index(source["layer"]) + 1:
            raise PlanError(
                "do",
                f"Weights are changed from a layer to the next one: {target['layer']} does not follow "
                f"{source['layer']}. To cut a longer way, drop the neurons that it goes through.",
            )
        if len(source["channels"]) == layers[source["layer"]]:
            raise PlanError(
                "do",
                f"This changes weights from all of {source['layer']}: nothing is left to compare with. Name fewer.",
            )
        if kind == "scale" and (not _number(change.get("factor")) or abs(change["factor"] - 1) < SAME):
            raise PlanError("do", "Say by which factor the weights are scaled: a number other than 1.")
    elif kind == "drop" and len(change["at"]["channels"]) == layers[change["at"]["layer"]]:
        raise PlanError("do", f"This drops all of {change['at']['layer']}: nothing is left to compare with.")
    elif kind == "transplant":
        at, other = change["at"], change["with"]
        if at["layer"] != other["layer"] or len(at["channels"]) != len(other["channels"]):
            raise PlanError("do", "A transplant is between as many neurons of one layer.")
        if any(one == two for one, two in zip(at["channels"], other["channels"], strict=True)):
            raise PlanError(
                "do", "A neuron is given its own weights, which changes nothing: take it out on both sides."
            )
        if len(_places(at) | _places(other)) == layers[at["layer"]]:
            raise PlanError("do", f"This transplants between all of {at['layer']}: nothing is left to compare with.")


def _check_together(changes: Sequence[Mapping[str, Any]]) -> None:
    """No two changes of the same thing: which of them holds would depend on their order."""
    for number, change in enumerate(changes):
        into, out = _reached(change)
        for other in changes[:number]:
            their_into, their_out = _reached(other)
            both = into & their_into
            if change["do"] in WEIGHTS and other["do"] in WEIGHTS:
                both = both if out & their_out else set()
            if change["do"] == "transplant" or other["do"] == "drop":
                both = both | out & their_into
            if other["do"] == "transplant" or change["do"] == "drop":
                both = both | their_out & into
            if both:
                layer, channel = min(both)
                raise PlanError("do", f"Two changes contradict each other: both are about {layer}:{channel}. Keep one.")


def _reached(change: Mapping[str, Any]) -> tuple[set[tuple[str, int]], set[tuple[str, int]]]:
    """The neurons for which a change does something, and those that it needs for that."""
    if change["do"] == "drop":
        return _places(change["at"]), set()
    into, needed = ("at", "with") if change["do"] == "transplant" else ("to", "from")
    return _places(change[into]), _places(change[needed])


def _places(of: Mapping[str, Any]) -> set[tuple[str, int]]:
    return {(of["layer"], channel) for channel in of["channels"]}


def _check_stimuli(show: Mapping[str, Any], images: int) -> None:
    if show.get("kind") == "sweep":
        if str(show.get("stimulus")) not in STIMULI:
            raise PlanError("show", f"A sweep is of one of {', '.join(STIMULI)}.")
        step: Any = show.get("step")
        period = STIMULI[show["stimulus"]]
        if not _number(step) or step < LEAST_STEP or not isclose(round(period / step) * step, period):
            raise PlanError("show", f"The step is {LEAST_STEP} degrees or more, and divides {period:.0f}.")
        needed = ("radii", "strokes") if show["stimulus"] == "curve" else ("strokes",)
        _check_keys("show", f"A sweep of {show['stimulus']}s", show, ("kind", "stimulus", "step", *needed))
        variants = 1
        for name in needed:
            values: Any = show.get(name)
            fits = isinstance(values, list) and all(_number(value) and 0.5 <= value <= 500 for value in values)
            if not values or not fits or len(set(values)) < len(values):
                raise PlanError("show", f"Name at least one of the {name}, each once, in pixels from 0.5 to 500.")
            variants *= len(values)
        if variants > MOST_VARIANTS:
            raise PlanError("show", f"That makes {variants} variants: {MOST_VARIANTS} at most.")
    elif show.get("kind") == "images":
        if not images:
            raise PlanError("show", "Name an image set that has pictures.")
        _check_keys("show", "What is shown of pictures", show, ("kind", "image_set", "indices"))
        indices = show.get("indices")
        if not isinstance(indices, list) or not indices:
            raise PlanError("show", "This selects no picture of the set: choose another class, or all pictures.")
        if any(not _whole(index) or index >= images for index in indices) or len(set(indices)) < len(indices):
            raise PlanError("show", f"The set has {images:,} pictures, counted from 0; name each once.")
    else:
        raise PlanError("show", "Say what is shown: a sweep of drawn stimuli, or pictures of an image set.")


def _check_measure(
    measure: Mapping[str, Any],
    show: Mapping[str, Any],
    changes: Sequence[Mapping[str, Any]],
    layers: Mapping[str, int],
    *,
    labelled: bool,
    classes: int,
) -> None:
    known = MEASURES.get(measure["what"]) if isinstance(measure.get("what"), str) else None
    if known is None:
        raise PlanError("measure", f"What is measured is one of {', '.join(MEASURES)}.")
    takes = ("what", *(["of"] if known.of_neurons else []), *(["class"] if known.of_class else []))
    _check_keys("measure", f"The measure “{known.title}”", measure, takes)
    if show["kind"] not in known.stimuli:
        need = "a sweep of drawn stimuli" if known.stimuli == ("sweep",) else "pictures of an image set"
        raise PlanError("measure", f"The {known.title} is measured on {need}: show that, or measure something else.")
    if measure["what"] == "echo" and show["stimulus"] != "curve":
        raise PlanError(
            "measure",
            "A line turned by half a turn is the same line, so it has no echo: show curves, or measure others.",
        )
    if not known.of_neurons and not classes:
        raise PlanError("measure", f"This network tells no classes apart, so there is no {known.title} to measure.")
    if known.needs_labels and not labelled:
        raise PlanError(
            "measure",
            f"For the {known.title} each picture needs its class, and those of this set have none: "
            "add the set with --classes, or measure changed predictions.",
        )
    if known.of_class:
        wanted: Any = measure.get("class")
        if wanted == "label" and not labelled:
            raise PlanError("measure", "The pictures of this set have no class: name one, or take the one predicted.")
        if wanted not in ("label", "top") and (not _whole(wanted) or wanted >= classes):
            raise PlanError("measure", f"Name a class, 0 to {classes - 1}, or 'label', or 'top'.")
    if known.of_neurons:
        _check_set("measure", measure.get("of"), layers)
        _check_reached(changes, measure["of"], list(layers))


def _check_reached(changes: Sequence[Mapping[str, Any]], of: Mapping[str, Any], order: Sequence[str]) -> None:
    """Every change can show in the neurons that are measured: what cannot, makes "unchanged" true of itself."""
    if any(change["do"] == "drop" and _places(change["at"]) & _places(of) for change in changes):
        raise PlanError("measure", "A neuron that is dropped is measured too: measure others, or drop others.")
    idle = [change for change in changes if not _reaches(change, of, order)]
    if any(change["do"] != "drop" and edited(change) == of["layer"] for change in idle):
        raise PlanError(
            "measure",
            f"What is changed in {of['layer']} is changed for none of the neurons that are measured, so that they "
            "would respond as before: measure those, or neurons of a later layer.",
        )
    if len(idle) == len(changes):
        raise PlanError(
            "measure",
            f"Nothing that is changed lies before {of['layer']}: it would respond as before. Change an earlier layer, "
            "or measure a later one.",
        )
    if idle:
        raise PlanError(
            "measure",
            f"A change lies in {edited(idle[0])}, which is not before {of['layer']}, and does nothing to what is "
            "measured: leave it out, or measure a later layer.",
        )


def _reaches(change: Mapping[str, Any], of: Mapping[str, Any], order: Sequence[str]) -> bool:
    """Whether neurons may respond otherwise for a change: what is dropped shows in the layers behind it, other weights
    in the neurons that they lead to too."""
    begins, measured = order.index(edited(change)), order.index(of["layer"])
    return begins < measured or (
        begins == measured and change["do"] != "drop" and bool(_reached(change)[0] & _places(of))
    )


def _check_expected(expect: Mapping[str, Any], measure: str) -> None:
    if expect.get("change") not in EXPECTED:
        raise PlanError("expect", f"Say what you predict: it {', '.join(EXPECTED)}.")
    _check_keys("expect", "A prediction", expect, ("change", "margin", "relative"))
    margin: Any = expect.get("margin")
    if not _number(margin) or margin < 0:
        raise PlanError("expect", "The margin is a number, 0 or larger.")
    if not isinstance(expect.get("relative", False), bool):
        raise PlanError("expect", "Whether the margin is relative is either true or false.")
    if expect["change"] == "unchanged" and margin == 0:
        raise PlanError("expect", "Say within which margin it counts as unchanged: a number larger than 0.")
    if expect.get("relative") and measure in ("peak", "prediction"):
        raise PlanError("expect", f"The {MEASURES[measure].title} is 0 before the change: state its margin as it is.")
    if measure in ("peak", "prediction") and expect["change"] == "falls":
        raise PlanError("expect", f"The {MEASURES[measure].title} is 0 before the change, and cannot fall.")


def _check_margin(show: Mapping[str, Any], measure: str, expect: Mapping[str, Any]) -> None:
    """Whether the prediction may come true, and may fail: no measure changes by more than it goes."""
    margin, known = expect["margin"], MEASURES[measure]
    if expect.get("relative"):
        if expect["change"] == "falls" and margin >= 1:
            raise PlanError(
                "expect",
                "Nothing falls by more than all of what it was: predict less than 100 % (10 % is a share of 0.1).",
            )
    elif known.unit == "" and margin >= 1:
        raise PlanError("expect", f"The margin of the {known.title} is a share, and below 1: 2 % is 0.02.")
    elif known.unit == "degrees" and margin >= (most := _most_degrees(show, measure)):
        raise PlanError(
            "expect",
            f"On these {show['stimulus']}s the {known.title} is {most:g} degrees at most: name a smaller margin.",
        )


def _most_degrees(show: Mapping[str, Any], measure: str) -> float:
    """A curve is no wider than its period; its peak moves by half of that at most, from one angle shown to another."""
    period = STIMULI[show["stimulus"]]
    return float(show["step"] * (round(period / show["step"]) // 2) if measure == "peak" else period)


def _check_step(show: Mapping[str, Any], measure: str, expect: Mapping[str, Any]) -> None:
    """Whether the sweep shows a curve's shape: what moves by less than a step seems to stand still."""
    if measure not in SHAPES:
        return
    step, margin = show["step"], expect["margin"]
    if MEASURES[measure].unit == "degrees" and margin > 0:
        # How wide curves were is not known before, only that they are no wider than the period.
        most = margin * STIMULI[show["stimulus"]] if expect.get("relative") else margin
        if most < step:
            what = f"{100 * margin:g} %, which is {most:g} degrees at most" if expect.get("relative") else f"{margin:g}"
            small = "smaller" if expect.get("relative") else "as small as the margin"
            raise PlanError("show", f"A step of {step:g} degrees cannot tell a change by {what}: make it {small}.")
    if step > FINE_STEP:
        raise PlanError("show", f"For the {MEASURES[measure].title} the step is {FINE_STEP:g} degrees or less.")


@dataclass(frozen=True)
class Size:
    """How much a plan changes and asks for.

    ``kernels`` join pairs of neurons, ``neurons`` are silenced or get others' weights; so many neurons are ``measured``
    (0: it measures predictions); ``pairs`` are its n, before any is left out; ``passes`` is how often a picture goes
    through the network: before, after, and under each control.
    """

    kernels: int
    neurons: int
    measured: int
    pairs: int
    passes: int


def size(plan: Mapping[str, Any]) -> Size:
    """What a plan that was checked comes to."""
    weights = [change for change in plan["do"] if change["do"] in WEIGHTS]
    show, of = plan["show"], plan["measure"].get("of")
    if show["kind"] == "images":
        stimuli = pairs = len(show["indices"])
    else:
        variants = len(show["strokes"]) * (len(show["radii"]) if show["stimulus"] == "curve" else 1)
        stimuli = round(variants * STIMULI[show["stimulus"]] / show["step"])
        pairs = variants
    if of and show["kind"] == "sweep":
        pairs *= len(of["channels"])
    return Size(
        kernels=sum(len(change["from"]["channels"]) * len(change["to"]["channels"]) for change in weights),
        neurons=sum(len(change["at"]["channels"]) for change in plan["do"] if change["do"] not in WEIGHTS),
        measured=len(of["channels"]) if of else 0,
        pairs=pairs,
        passes=stimuli * (2 + CONTROLS),
    )


def most_controls(plan: Mapping[str, Any], layers: Mapping[str, int]) -> int:
    """How many controls could differ from each other, were there no silent neuron; ``layers`` as in ``check``.

    A control takes other neurons than any that the plan names, for a transplant than any that it changes. Where these
    are too few, it keeps some of the plan's, or takes the same twice.
    """
    changed = set[tuple[str, int]]().union(*(_places(of) for change in plan["do"] for of in sets(change)))
    named = changed.union(*map(_places, every_set(plan)))
    most = 1
    for change in plan["do"]:
        given = change["do"] == "transplant"
        drawn = change["from" if change["do"] in WEIGHTS else "at"]
        wanted = len(drawn["channels"])
        others = layers[drawn["layer"]] - sum(layer == drawn["layer"] for layer, _ in (changed if given else named))
        if others >= wanted:
            most *= perm(others, wanted) if given else comb(others, wanted)
        else:
            most *= max(others**wanted, 1) if given else comb(wanted, others)
    return most


def cautions(plan: Mapping[str, Any], layers: Mapping[str, int]) -> list[str]:
    """What to mind of a plan that was checked, in sentences that say what to do; most plans have none."""
    show, measure, expect = plan["show"], plan["measure"], plan["expect"]
    found, total = [], size(plan)
    if total.pairs < FEWEST:
        found.append(f"With fewer than {FEWEST} pairs it would be inconclusive: show more variants or pictures.")
    if 1 < total.measured < FEWEST_NEURONS:
        found.append(
            f"With {total.measured} neurons it can only be inconclusive: measure {FEWEST_NEURONS} or more, or one "
            "alone."
        )
    if total.measured == 1:
        found.append("The ruling will be of this neuron alone: to speak of neurons like it, measure more of them.")
    if total.measured and all(edited(change) == measure["of"]["layer"] for change in plan["do"]):
        changed = set[tuple[str, int]]().union(*(_reached(change)[0] for change in plan["do"]))
        rest = len(_places(measure["of"]) - changed)
        if rest:
            found.append(
                f"Nothing is changed for {rest:,} of the {total.measured:,} neurons that are measured, which respond "
                "as before: leave them out, or the effect is of few."
            )
    controls = most_controls(plan, layers)
    if controls < LEAST_CONTROLS and expect["change"] != "unchanged":
        found.append(
            f"There are too few other neurons to compare with: no more than {_count(controls, 'control')} can differ, "
            f"and with fewer than {LEAST_CONTROLS} it cannot be supported. Change fewer neurons, or measure fewer of "
            "the layer in which they are."
        )
    if measure["what"] == "width" and expect.get("relative") and expect["margin"]:
        wide = show["step"] / expect["margin"]
        found.append(
            f"A step of {show['step']:g} degrees tells a change by {100 * expect['margin']:g} % only of curves that "
            f"are {wide:.3g} degrees wide or wider: where yours are narrower, make it smaller."
        )
    return found


# In words: what people read before they state a claim, on its page, in feeds and exports.


def named(of: Mapping[str, Any]) -> str:
    """How people call a set of neurons: "Early Curves (24 neurons of mixed3a)" or "mixed3b:6"."""
    channels = of["channels"]
    if of.get("named"):
        return f"{of['named']} ({_count(len(channels), 'neuron')} of {of['layer']})"
    if len(channels) <= 4:
        return " and ".join(filter(None, [", ".join(_at(of, channels[:-1])), *_at(of, channels[-1:])]))
    return f"{len(channels)} neurons of {of['layer']}"


def _at(of: Mapping[str, Any], channels: Sequence[int]) -> list[str]:
    return [f"{of['layer']}:{channel}" for channel in channels]


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def change_in_words(change: Mapping[str, Any]) -> str:
    """ "the negative weights from … to … are set to zero"."""
    if change["do"] == "drop":
        return f"{named(change['at'])} {'is' if len(change['at']['channels']) == 1 else 'are'} silenced"
    if change["do"] == "transplant":
        return f"{named(change['at'])} gets the incoming weights of {named(change['with'])}"
    way = f"from {named(change['from'])} to {named(change['to'])}"
    return {
        "zero": f"the weights {way} are set to zero",
        "scale": f"the weights {way} are multiplied by {change.get('factor', 1):g}",
        "keep_positive": f"the negative weights {way} are set to zero",
        "keep_negative": f"the positive weights {way} are set to zero",
    }[change["do"]]


def stimuli_in_words(show: Mapping[str, Any]) -> str:
    if show["kind"] == "images":
        return f"{_count(len(show['indices']), 'picture')} of {show['image_set']}"
    sizes = f"strokes of {_list(show['strokes'])} px"
    if show["stimulus"] == "curve":
        sizes = f"radii of {_list(show['radii'])} px and {sizes}"
    return f"{show['stimulus']}s at every {show['step']:g} degrees, with {sizes}"


def _list(values: Sequence[float]) -> str:
    return _and([f"{value:g}" for value in values])


def _and(written: Sequence[str]) -> str:
    return written[0] if len(written) == 1 else f"{', '.join(written[:-1])} and {written[-1]}"


def measure_in_words(measure: Mapping[str, Any], classes: Sequence[str] = ()) -> str:
    known = MEASURES[measure["what"]]
    wanted = measure.get("class")
    if isinstance(wanted, int):
        called = f"“{classes[wanted]}”" if wanted < len(classes) else f"class {wanted}"
    else:
        called = "each picture's own class" if wanted == "label" else "the class predicted before"
    return known.words.replace("{of}", named(measure["of"]) if known.of_neurons else "").replace("{class}", called)


def margin_in_words(measure: Mapping[str, Any], expect: Mapping[str, Any]) -> str:
    if expect.get("relative"):
        return f"{100 * expect['margin']:g} % of what it was"
    unit = MEASURES[measure["what"]].unit
    return f"{expect['margin']:g}{f' {unit}' if unit else ''}"


def controls_in_words(plan: Mapping[str, Any]) -> str:
    """What stands against the changes: the same done to others, drawn by the plan's seed."""
    kinds = {change["do"] for change in plan["do"]}
    others = [
        ("the weights from as many other neurons of the layer that are about as strong", kinds & set(WEIGHTS)),
        ("as many other neurons of the layer that are about as strong", "drop" in kinds),
        ("the incoming weights of other neurons of the layer", "transplant" in kinds),
    ]
    return f"{CONTROLS} controls: the same with {'; '.join(words for words, used in others if used)}"


def in_words(plan: Mapping[str, Any], classes: Sequence[str] = ()) -> str:
    """The whole plan as a sentence: "When …, shown …, … rises by more than …."."""
    changes = "; and when ".join(change_in_words(change) for change in plan["do"])
    expect, margin = plan["expect"], margin_in_words(plan["measure"], plan["expect"])
    if expect["change"] == "unchanged":
        predicted = f"changes by no more than {margin}"
    else:
        predicted = expect["change"] + (f" by more than {margin}" if expect["margin"] else "")
    if plan["measure"]["what"] == "peak":
        predicted = {"rises": f"is more than {margin}", "unchanged": f"is no more than {margin}"}[expect["change"]]
    what = measure_in_words(plan["measure"], classes)
    return f"When {changes}, and {stimuli_in_words(plan['show'])} are shown, {what} {predicted}."
