"""Stating a claim, having workers test it, withdrawing it. A claim is frozen from the moment it is stated."""

import json
import random
import re
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Max, Q, QuerySet, prefetch_related_objects
from django.utils import timezone

from taxonomy import events, plans
from taxonomy.actions import circuits, evidence, labels, notifications
from taxonomy.models import (
    Claim,
    Evidence,
    Family,
    ImageSet,
    Layer,
    Membership,
    Network,
    Neuron,
    Note,
    Outcome,
    Run,
    User,
    Why,
)
from taxonomy.models.claims import named_by, named_in
from taxonomy.permissions import (
    can_run_claim,
    can_see_claim,
    can_see_members,
    can_state_claim,
    can_withdraw_claim,
    hidden_from,
    require,
)

# So many pictures are shown unless a plan asks for more or fewer.
PICTURES = 200


def family_set(family: Family) -> dict[str, Any]:
    """The members that a family has now, as a plan names them."""
    current = Membership.objects.current().filter(family=family).order_by("neuron__index")
    channels = list(current.values_list("neuron__index", flat=True))
    return {
        "layer": family.layer.name,
        "channels": channels,
        "named": family.name,
        "family": str(family.public_id),
    }


def network_of(subject: Note | Family | Neuron) -> Network:
    return subject.network if isinstance(subject, Note) else subject.layer.network


def layers_of(network: Network) -> list[Layer]:
    """Its layers in order, read once for all that a plan names."""
    prefetch_related_objects([network], "layers")
    return list(network.layers.all())


def channels_of(network: Network) -> dict[str, int]:
    """How many neurons each of its layers has, in order."""
    return {layer.name: layer.channels for layer in layers_of(network)}


def check(network: Network, plan: Mapping[str, Any], image_set: ImageSet | None) -> None:
    """Whether the plan can be carried out on this network, as far as the record knows it. A worker may know better.

    Raises:
        PlanError: when not, with what to do.
    """
    layers = channels_of(network)
    classes, labelled, strange = len(network.class_names), False, None
    if image_set is not None:
        show = plan.get("show")
        indices = show.get("indices") if isinstance(show, Mapping) else None
        there = [index for index in indices if _index(index)] if isinstance(indices, list) else []
        chosen = image_set.images.filter(index__in=there)
        labelled = bool(there) and not chosen.exclude(parameters__has_key="class").exists()
        told_apart = Q(parameters__class__gte=0, parameters__class__lt=classes)
        strange = chosen.filter(parameters__has_key="class").exclude(told_apart).order_by("index").first()
    images = image_set.count if image_set is not None else 0
    plans.check(plan, layers, images=images, labelled=labelled, classes=classes)
    if strange is not None and plans.reads_classes(plan["measure"]):
        raise plans.PlanError(
            "measure",
            f"Picture {strange.index} is of class {str(strange.parameters['class'])[:20]}, and {network.name} tells "
            f"apart those from 0 to {classes - 1}: choose other pictures, or measure changed predictions.",
        )
    _check_signs(network, plan)


def _check_signs(network: Network, plan: Mapping[str, Any]) -> None:
    """No change asks for the sign of weights where several convolutions lie between, as far as that was measured.

    Whole layers' weights (``layer_weights``) tell for which neurons that is so.
    """
    for change in plan["do"]:
        if not plans.asks_for_signs(change):
            continue
        source, target = change["from"]["layer"], change["to"]["layer"]
        made = Evidence.objects.filter(
            network=network, kind="layer_weights", layer__name=target, parameters__layer=source, current__isnull=False
        )
        known = made.select_related("current").order_by("-pk").first()
        data = circuits.read_data(known.current) if known is not None and known.current is not None else None
        linearised = dict(enumerate((data or {}).get("linearised", ())))
        through = [channel for channel in change["to"]["channels"] if linearised.get(channel)]
        if through:
            raise plans.PlanError(
                "do",
                f"More than one convolution lies between {source} and {target}:{through[0]}, so that no weight there "
                "has a sign. Set the weights to zero, scale them by 0 or more, or drop neurons.",
            )


def _index(value: Any) -> bool:
    """Whether it may be the index of a neuron or a picture: a whole number that the database can hold."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**31


SPAN = re.compile(r"(?:(?P<layer>[\w.-]{1,60}):)?(?P<first>\d{1,6})(?:\s*[-–]\s*(?P<last>\d{1,6}))?")


def set_called(network: Network, text: str, part: str) -> dict[str, Any]:
    """The neurons that people call so: "Early Curves", "mixed3a/Early Curves", "3b:6, 9, 12-15", or a layer's name.

    Raises:
        PlanError: of this part, when there are none, or several families of the name, with what to write instead.
    """
    words = " ".join(text.split())
    layers = layers_of(network)
    named = {layer.short: layer for layer in reversed(layers)} | {layer.name: layer for layer in layers}
    if words in named:
        layer = named[words]
        return {"layer": layer.name, "channels": list(range(layer.channels)), "named": ""}
    spans = [SPAN.fullmatch(span.strip()) for span in words.split(",")]
    if words and all(spans) and ":" in words:
        return _spans(network, [span for span in spans if span], named, part)
    return family_set(_family_called(network, words, named, part))


def _spans(network: Network, spans: Sequence[re.Match[str]], named: Mapping[str, Layer], part: str) -> dict[str, Any]:
    """The neurons of one layer at these places; a place without a layer lies in that of the one before it."""
    name = spans[0]["layer"] or ""
    channels: dict[int, None] = {}  # in the order in which they are written: transplants are made by it
    for span in spans:
        called, name = name, span["layer"] or name
        if named.get(called, called) != named.get(name, name):
            raise plans.PlanError(part, "These neurons are of several layers: name those of one layer together.")
        if name not in named:
            there = ", ".join(_names(named))
            raise plans.PlanError(part, f"{network.name} has no layer '{name}'. Its layers are {there}.")
        first, last = int(span["first"]), int(span["last"] or span["first"])
        if max(first, last) >= named[name].channels:  # before anything is made of them
            raise plans.PlanError(
                part,
                f"{named[name].name} has {named[name].channels} neurons, counted from 0: there is no "
                f"{max(first, last)}.",
            )
        channels |= dict.fromkeys(range(first, last + 1))
    return {"layer": named[name].name, "channels": list(channels), "named": ""}


def _names(named: Mapping[str, Layer]) -> list[str]:
    return [layer.name for layer in sorted(set(named.values()), key=lambda layer: layer.order)]


def _family_called(network: Network, words: str, named: Mapping[str, Layer], part: str) -> Family:
    if not words:
        raise plans.PlanError(part, "Name neurons, or a family.")
    there = Family.objects.filter(layer__network=network, retired_at=None).select_related("layer")
    before, _, rest = words.partition("/")
    layer = named.get(before.strip())
    places = there.filter(layer=layer, name__iexact=rest.strip()) if layer else there.filter(name__iexact=words)
    found = list(places[:2])
    if len(found) == 1:
        return found[0]
    if found:
        where = " or ".join(f"“{family.layer.name}/{family.name}”" for family in found)
        raise plans.PlanError(part, f"There are several families “{words[:120]}”: write {where}.")
    raise plans.PlanError(
        part,
        f"“{words[:120]}” is neither a family of {network.name} nor neurons. Write such as mixed3b/Curves, or "
        f"3b:6, 9, 12-15; its layers are {', '.join(_names(named))}.",
    )


def completed(network: Network, plan: Any, image_set: ImageSet | None) -> dict[str, Any]:
    """A plan with everything that a worker needs, from one as people write it.

    Sets of neurons may be given in words (``set_called``), or as ``{"layer", "channels"}``; a family with the members
    that it has now, whatever is said of them. Of pictures "pictures" may say which: "all", "random", those of a
    "class", or the "examples" "of" neurons; "most" how many at most, but of all.

    Raises:
        PlanError: when a part of it names nothing that is there, or is not known here.
    """
    if not isinstance(plan, Mapping):
        raise plans.PlanError("do", "A plan is an object with what is changed, shown, measured and expected.")
    for part in plan:
        if "\\u0000" in json.dumps(plan[part]):
            raise plans.PlanError(str(part), "There is a character in this that no text has (NUL): leave it out.")
    plans.check_number(plan.get("do"))
    whole: dict[str, Any] = {"controls": plans.CONTROLS, "seed": 0} | dict(plan)
    known: dict[str, dict[str, Any]] = {}
    if isinstance(plan.get("do"), list):
        whole["do"] = [_with_sets(network, "do", change, known) for change in plan["do"]]
    whole["measure"] = _with_sets(network, "measure", plan.get("measure"), known)
    expect = plan.get("expect")
    whole["expect"] = {"relative": False} | _known("expect", expect) if isinstance(expect, Mapping) else expect
    show = plan.get("show")
    if isinstance(show, Mapping) and show.get("kind") == "images":
        _check_pictures(show)
        if image_set is not None:
            indices = _indices(network, show, image_set, whole["seed"])
            whole["show"] = {"kind": "images", "image_set": image_set.name, "indices": indices}
    elif isinstance(show, Mapping):
        whole["show"] = _known("show", show)
    return whole


def image_set_named(plan: Any) -> str:
    """The name of the image set that a plan as people write it shows pictures of, "" where it says none."""
    show = plan.get("show") if isinstance(plan, Mapping) else None
    named = show.get("image_set") if isinstance(show, Mapping) else None
    return named if isinstance(named, str) else ""


# What each part of a plan may hold. What is not known is an error, not passed over: it would be kept for ever.
FIELDS = {
    "do": ("do", "from", "to", "at", "with", "factor"),
    "show": ("kind", "stimulus", "step", "radii", "strokes"),
    "measure": ("what", "of", "class"),
    "expect": ("change", "margin", "relative"),
}
# Which pictures, and what says more of that.
PICTURES_BY = {"all": (), "random": ("most",), "class": ("class", "most"), "examples": ("of", "most")}


def _known(part: str, found: Mapping[str, Any], fields: Sequence[str] = ()) -> dict[str, Any]:
    there = fields or FIELDS[part]
    stray = sorted(set(map(str, found)) - set(there))
    if stray:
        raise plans.PlanError(part, f"There is no “{stray[0][:40]}” here. There are: {', '.join(there)}.")
    return dict(found)


def _check_pictures(show: Mapping[str, Any]) -> None:
    """What is said of pictures goes together: what is passed over, somebody meant.

    Raises:
        PlanError: when not, with what to leave out.
    """
    _known("show", show, ("kind", "image_set", "indices", "pictures", "class", "of", "most"))
    which = show.get("pictures", "random")
    if "indices" not in show and (not isinstance(which, str) or which not in PICTURES_BY):
        raise plans.PlanError("show", "The pictures are “all”, “random”, of a “class”, or “examples” of a neuron.")
    allowed = () if "indices" in show else ("pictures", *PICTURES_BY[which])
    stray = [name for name in ("pictures", "class", "of", "most") if name in show and name not in allowed]
    if stray and "indices" in show:
        raise plans.PlanError("show", f"“indices” say which pictures are shown, and “{stray[0]}” too: leave one out.")
    if stray:
        takes = " and ".join(f"“{name}”" for name in PICTURES_BY[which]) or "no more"
        raise plans.PlanError(
            "show", f"“{stray[0]}” says nothing of pictures that are “{which}”: that takes {takes}. Leave it out."
        )


def _with_sets(network: Network, part: str, found: Any, known: dict[str, dict[str, Any]]) -> Any:
    """A part of a plan whose sets of neurons are whole; those that are ``known`` by their words are read once."""
    if not isinstance(found, Mapping):
        return found
    return {
        name: _set(network, part, value, known) if name in ("at", "with", "from", "to", "of") else value
        for name, value in _known(part, found).items()
    }


def _set(network: Network, part: str, value: Any, known: dict[str, dict[str, Any]]) -> Any:
    if isinstance(value, str):
        if value not in known:
            known[value] = set_called(network, value, part)
        return known[value]
    if not isinstance(value, Mapping):
        return value
    if value.get("family"):
        try:
            public_id = uuid.UUID(str(value["family"]))
        except ValueError:
            public_id = uuid.UUID(int=0)  # nobody's
        family = Family.objects.filter(layer__network=network, retired_at=None, public_id=public_id)
        found = family.select_related("layer").first()
        if found is None:
            raise plans.PlanError(part, f"There is no family {str(value['family'])[:60]} in {network.name}.")
        return family_set(found)
    return {"layer": value.get("layer"), "channels": value.get("channels"), "named": ""}


def _indices(network: Network, show: Mapping[str, Any], image_set: ImageSet, seed: Any) -> Any:
    """Which pictures are shown: those that are named, or a draw by the plan's seed."""
    if "indices" in show:
        return show["indices"]
    which, most = show.get("pictures", "random"), show.get("most", PICTURES)
    there = image_set.images.order_by("index")
    if which == "all":
        return list(there.values_list("index", flat=True))
    if not isinstance(most, int) or isinstance(most, bool) or most < 1:
        raise plans.PlanError("show", "Say how many pictures at most are shown: a whole number, 1 or larger.")
    if which == "examples":
        return _examples(network, show.get("of"), image_set)[:most]
    if which == "class":
        if not _index(show.get("class")):
            raise plans.PlanError("show", "Say of which “class” the pictures are: its number, counted from 0.")
        there = there.filter(parameters__class=show["class"])
    indices = list(there.values_list("index", flat=True))
    if len(indices) <= most:
        return indices
    drawn = random.Random(seed if isinstance(seed, int) else 0)
    return sorted(drawn.sample(indices, most))


def _examples(network: Network, of: Any, image_set: ImageSet) -> list[int]:
    """The pictures in which neurons' dataset examples lie, the strongest first."""
    chosen = _set(network, "show", of, {})
    channels = chosen.get("channels") if isinstance(chosen, Mapping) else None
    if not isinstance(channels, list) or not all(map(_index, channels)) or not isinstance(chosen["layer"], str):
        raise plans.PlanError("show", "Say whose dataset examples are shown: neurons, or a family.")
    rows = Evidence.objects.filter(
        network=network,
        kind="dataset_examples",
        layer__name=chosen["layer"],
        neuron__index__in=channels,
        image_set=image_set,
        status=Outcome.DONE,
    ).prefetch_related("current__artifacts")
    read = [circuits.read_data(row.current) for row in rows if row.current is not None]
    found = [example for data in read if data is not None for example in data["top"]]
    if not found:
        raise plans.PlanError(
            "show", f"{plans.named(chosen)} has no dataset examples of {image_set.name} yet: request them first."
        )
    found.sort(key=lambda example: -example["value"])
    return list(dict.fromkeys(int(example["image"]) for example in found))


@dataclass(frozen=True)
class Preview:
    """What an experiment would do, before anybody states its claim.

    ``cautions`` are sentences that say what to mind; ``seconds`` is None where none was run here yet.
    """

    plan: dict[str, Any]
    words: str
    size: plans.Size
    cautions: list[str]
    seconds: float | None


def preview(user: User, subject: Note | Family | Neuron, plan: Any, image_set: ImageSet | None) -> Preview:
    """Check a plan without stating anything.

    Raises:
        Refused: as ``state``.
        PlanError: when it cannot be carried out, with what to do.
    """
    require(can_state_claim(user, subject))
    network, whole = network_of(subject), _planned(user, subject, plan, image_set)
    size = plans.size(whole)
    words = plans.in_words(whole, network.class_names)
    return Preview(whole, words, size, plans.cautions(whole, channels_of(network)), _seconds(network, size))


def _planned(user: User, subject: Note | Family | Neuron, plan: Any, image_set: ImageSet | None) -> dict[str, Any]:
    """The whole plan, of which this person may state that it says something of the subject.

    Raises:
        Refused: when it names a neuron of which they may not see yet how it is read.
        PlanError: when it cannot be carried out, or says nothing of the subject.
    """
    network = network_of(subject)
    whole = completed(network, plan, image_set)
    check(network, whole, image_set)
    _require_told(user, network, whole)
    _require_named(subject, whole)
    return whole


def _require_told(user: User, network: Network, plan: Mapping[str, Any]) -> None:
    """A family's members tell the answer of a neuron that this person is to read first."""
    hidden = hidden_from(user)
    require(can_see_members(bool(hidden) and _named(network, plan).filter(pk__in=hidden).exists()))


def _named(network: Network, plan: Mapping[str, Any]) -> QuerySet[Neuron]:
    """The neurons that a plan names."""
    places: dict[str, list[int]] = {}
    for layer, index in named_in(plan, channels_of(network)):
        places.setdefault(layer, []).append(index)
    named = Q(pk__in=())
    for layer, indices in places.items():
        named |= Q(layer__name=layer, index__in=indices)
    return Neuron.objects.filter(named, layer__network=network)


def _require_named(subject: Note | Family | Neuron, plan: Mapping[str, Any]) -> None:
    """A claim on a family or a neuron is about it: its plan changes or measures the neuron, or members.

    Raises:
        PlanError: when not, with which set to name.
    """
    if isinstance(subject, Note):
        return
    layer, sets = subject.layer.name, plans.every_set(plan)
    if isinstance(subject, Family) and any(of.get("family") == str(subject.public_id) for of in sets):
        return
    named = {channel for of in sets if of["layer"] == layer for channel in of["channels"]}
    own = {subject.index} if isinstance(subject, Neuron) else set(family_set(subject)["channels"])
    if not own & named:
        called = subject.address if isinstance(subject, Neuron) else f"{layer}/{subject.name}"
        raise plans.PlanError(
            "do",
            f"The claim would stand on {called}, and nothing of it is changed or measured: write {called} for one of "
            "the sets of neurons, or state the claim on what this is about.",
        )


def _seconds(network: Network, size: plans.Size) -> float | None:
    """How long it should take, from how long the latest experiment on this network took."""
    made = Evidence.objects.filter(network=network, kind="edit", status=Outcome.DONE, current__isnull=False)
    last = made.select_related("current").order_by("-current__made_at").first()
    if last is None or last.current is None:
        return None
    return last.current.wall_seconds * size.passes / max(plans.size(last.parameters["plan"]).passes, 1)


@transaction.atomic
def state(
    user: User,
    subject: Note | Family | Neuron,
    *,
    kind: str,
    sentence: str,
    plan: Mapping[str, Any],
    image_set: ImageSet | None = None,
    rationale: str = "",
    restates: Claim | None = None,
) -> Claim:
    """State a claim with its prediction. Nobody can change it afterwards: who was wrong states another.

    Args:
        restates: the claim that this one puts better.

    Raises:
        Refused: when the user may not, or may not see the earlier claim, or how a neuron is read that it names.
        PlanError: when the plan cannot be carried out, with what to do.
        ValidationError: when a text is empty or too long, the kind unknown, or the same was stated just so already.
    """
    require(can_state_claim(user, subject))
    if restates is not None:
        require(can_see_claim(user, restates))
    User.objects.select_for_update(no_key=True).get(pk=user.pk)  # who presses twice states once
    network, whole = network_of(subject), _planned(user, subject, plan, image_set)
    if whole["show"]["kind"] != "images":
        image_set = None
    claim = Claim(
        network=network,
        note=subject if isinstance(subject, Note) else None,
        family=subject if isinstance(subject, Family) else None,
        neuron=subject if isinstance(subject, Neuron) else None,
        kind=kind,
        sentence=" ".join(sentence.split()),
        rationale=rationale.strip(),
        plan=whole,
        image_set=image_set,
        restates=restates,
        author=user,
    )
    if restates is not None and restates.network_id != network.pk:
        raise ValidationError({"restates": "A claim restates one about the same network."})
    claim.full_clean()
    same = {"author": user, "note": claim.note, "family": claim.family, "neuron": claim.neuron, "plan": whole}
    known = Claim.objects.filter(sentence=claim.sentence, withdrawn_at=None, **same).first()
    if known is not None:
        where = "its page is among the claims" if known.hidden_at is None else "it is hidden, and an admin can show it"
        raise ValidationError({"sentence": f"You have stated just this already: {where}."})
    claim.save()
    claim.refresh_from_db(fields=["plan"])  # numbers as the database keeps them
    own = Q(pk=claim.neuron_id) | Q(pk__in=_named(network, claim.plan))
    claim.neurons.set(Neuron.objects.filter(own))
    event = events.record(user, "claim.stated", claim=claim, data={"digest": claim.digest})
    notifications.tell(event, notifications.authors(claim.note_id))
    return claim


@transaction.atomic
def run(user: User, claim: Claim) -> Run:
    """Have a worker test the claim. By the same recipe and weights it is tested once, and that run is given.

    A run that failed or was cancelled is started again, as the same run.

    Raises:
        Refused: when the user may not, or may not see the claim; it is withdrawn, or the network has no weights.
    """
    require(can_see_claim(user, claim))
    require(can_run_claim(user, claim))
    claim = (
        Claim.objects.select_for_update(of=["self"], no_key=True)
        .select_related("network", "image_set")
        .get(pk=claim.pk)
    )
    require(can_run_claim(user, claim))
    made = evidence.request_of_claim(user, claim)
    known = Run.objects.filter(evidence=made).first()
    if known is not None:
        return known
    last = claim.runs.aggregate(last=Max("number"))["last"] or 0
    found = Run.objects.create(claim=claim, number=last + 1, evidence=made, requested_by=user)
    event = events.record(user, "claim.run", claim=claim, data={"run": found.number})
    notifications.tell(event, notifications.followers(claim) | {claim.author_id: Why.STATED})
    return found


def asks_for_another_run(claim: Claim, runs: Sequence[Run] | None = None) -> bool:
    """Whether the recipe or the network's weights have changed since its latest run, or it has none.

    Args:
        runs: all of them with their evidence, if they are known.
    """
    every = claim.runs.select_related("evidence") if runs is None else runs
    latest = max(every, key=lambda run: run.number, default=None)
    return latest is None or latest.evidence.key != evidence.key_of_claim(claim)


@transaction.atomic
def withdraw(user: User, claim: Claim, *, reason: str) -> Claim:
    """Take a claim back. It stays readable, with what its runs found.

    Raises:
        Refused: to anyone but its author, and once it is withdrawn.
        ValidationError: without a reason, or with too long a one.
    """
    claim = Claim.objects.select_for_update(of=["self"], no_key=True).get(pk=claim.pk)
    require(can_withdraw_claim(user, claim))
    if not reason.strip():
        raise ValidationError({"reason": "Say why, so that readers know what became of it."})
    claim.withdrawn_at, claim.withdrawn_reason = timezone.now(), " ".join(reason.split())
    claim.full_clean()
    claim.save(update_fields=["withdrawn_at", "withdrawn_reason"])
    event = events.record(user, "claim.withdrawn", claim=claim)
    notifications.tell(event, notifications.followers(claim) | notifications.authors(claim.note_id))
    return claim


def look(user: User, claims: Iterable[Claim], also: Q | None = None) -> None:
    """Record that this person reads what these claims say of neurons. One query.

    A whole layer names no neuron in particular.

    Args:
        also: other neurons that they are shown at the same time.
    """
    wanted = named_by(claims)
    if also is not None:
        wanted |= also
    labels.reveal_those(user, Neuron.objects.filter(wanted))
