"""Claims: stating one in a form that reads like a sentence, reading what became of it, having it tested."""

import datetime
import math
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.postgres.expressions import ArraySubquery
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.db.models import Count, Exists, OuterRef, Prefetch, Q, QuerySet, Value, prefetch_related_objects
from django.db.models.functions import JSONObject
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from taxonomy import plans, recipes
from taxonomy.actions import claims
from taxonomy.models import (
    Claim,
    ClaimKind,
    Event,
    Family,
    ImageSet,
    Layer,
    Network,
    Neuron,
    Note,
    Outcome,
    Ruling,
    Run,
    User,
)
from taxonomy.pages import panels
from taxonomy.pages.events import told_to
from taxonomy.pages.exhibits import Exhibit, Shelf
from taxonomy.pages.networks import layers_of
from taxonomy.pages.numbers import whole
from taxonomy.pages.people import asking
from taxonomy.pages.talk import Talk
from taxonomy.permissions import (
    can_moderate,
    can_run_claim,
    can_see_claim,
    can_state_claim,
    can_withdraw_claim,
    claims_visible_to,
    hidden_from,
    require,
)
from taxonomy.rendering.markdown import References

PAGE = 30
SHOWN = 24  # so many neurons of a set stand with their pictures

Subject = Note | Family | Neuron

# What a change is called in the sentence of the form; its second half follows the sets that it names.
DO = {
    "keep_positive": "the negative weights",
    "keep_negative": "the positive weights",
    "zero": "all weights",
    "scale": "all weights, scaled,",
    "drop": "the neurons",
    "transplant": "the wiring of",
}
STIMULI = {"curve": "curves", "line": "lines", "images": "pictures"}
PICTURES = {
    "same": "the same as of the claim that this restates",
    "random": "drawn at random",
    "class": "of the class",
    "examples": "that excite most",
    "all": "all there are",
}
CLASS = {"top": "the class predicted before", "label": "each picture’s own class", "named": "the class"}
EXPECT = {"rises": "rises by more than", "falls": "falls by more than", "unchanged": "changes by no more than"}
RELATIVE = {"": "in its unit", "relative": "% of what it was"}
WHAT = {name: measure.title for name, measure in plans.MEASURES.items()} | {
    "response": "largest response",
    "class_probability": "probability",
    "prediction": "share of changed predictions",
}
LONGEST = 2_000


def _written(**options: Any) -> forms.CharField:
    return forms.CharField(required=False, max_length=LONGEST, **options)


def _chosen(choices: Mapping[str, str]) -> forms.ChoiceField:
    return forms.ChoiceField(choices=list(choices.items()), required=False)


class ChangeForm(forms.Form):
    """One of the changes. What a text names is found by the action, so that nothing typed is lost."""

    do = _chosen(DO)
    source, target, at, other, factor = (_written() for _ in range(5))

    def draft(self) -> dict[str, Any]:
        data = self.cleaned_data
        kind = data["do"] or "keep_positive"
        found: dict[str, Any] = {"do": kind}
        if kind in plans.WEIGHTS:
            found |= {"from": data["source"], "to": data["target"]}
        else:
            found["at"] = data["at"]
        if kind == "scale":
            found["factor"] = _number("do", data["factor"], "By which factor the weights are scaled")
        if kind == "transplant":
            found["with"] = data["other"]
        return found


WORDS = ("kind", "sentence", "rationale")
# Beside which part of the sentence it is told what is wrong with a field.
WRITTEN = {
    "show": ("stimulus", "step", "radii", "strokes", "image_set", "pictures", "most", "shown_class", "examples_of"),
    "measure": ("what", "of", "measured_class", "class_name"),
    "expect": ("change", "margin", "relative", "seed"),
}


class ClaimForm(forms.Form):
    """The claim in people's words, and the rest of its plan."""

    sentence = forms.CharField(max_length=400, widget=forms.TextInput(attrs={"autocomplete": "off"}))
    kind = forms.ChoiceField(choices=ClaimKind.choices)
    rationale = forms.CharField(required=False, max_length=5_000, widget=forms.Textarea(attrs={"rows": 3}))
    stimulus = _chosen(STIMULI)
    step, radii, strokes = (_written() for _ in range(3))
    image_set = _chosen({})
    pictures = _chosen(PICTURES)
    most, shown_class, examples_of = (_written() for _ in range(3))
    what = _chosen(WHAT)
    of, class_name = (_written() for _ in range(2))
    measured_class = _chosen(CLASS)
    change = _chosen(EXPECT)
    margin = _written()
    relative = _chosen(RELATIVE)
    seed = _written(widget=forms.HiddenInput)
    restates = forms.UUIDField(required=False, widget=forms.HiddenInput)
    changes = forms.IntegerField(min_value=1, max_value=plans.MOST_CHANGES, widget=forms.HiddenInput)

    def __init__(
        self, data: QueryDict | None, *, network: Network, initial: Mapping[str, Any], earlier: Claim | None = None
    ) -> None:
        super().__init__(data, initial=dict(initial))
        self.network, self.earlier = network, earlier
        if earlier is None or earlier.plan["show"]["kind"] != "images":
            which = self.fields["pictures"]
            assert isinstance(which, forms.ChoiceField)
            which.choices = [(name, words) for name, words in PICTURES.items() if name != "same"]
        self.image_sets = {one.name: one for one in ImageSet.objects.all()}
        sets = self.fields["image_set"]
        assert isinstance(sets, forms.ChoiceField)
        sets.choices = [(one.name, f"{one.name} ({one.count:,})") for one in self.image_sets.values()]
        count = counted((initial if data is None else data).get("changes"))
        self.each = [ChangeForm(data, prefix=f"change-{n}", initial=initial.get(f"change-{n}")) for n in range(count)]

    @property
    def more(self) -> bool:
        return len(self.each) < plans.MOST_CHANGES

    @property
    def chosen_set(self) -> ImageSet | None:
        return self.image_sets.get(self.cleaned_data.get("image_set", ""))

    def draft(self) -> dict[str, Any]:
        """The plan, its sets of neurons still in words.

        Raises:
            PlanError: where a number is none.
        """
        for change in self.each:
            for errors in change.errors.values():
                raise plans.PlanError("do", str(errors[0]))
        for part, names in WRITTEN.items():
            for name in names:
                if name in self.errors:
                    raise plans.PlanError(part, str(self.errors[name][0]))
        data = self.cleaned_data
        return {
            "do": [change.draft() for change in self.each],
            "show": self._shown(data),
            "measure": self._measured(data),
            "expect": {
                "change": data.get("change") or "rises",
                "margin": _number("expect", data.get("margin", ""), "The margin", percent=bool(data.get("relative"))),
                "relative": bool(data.get("relative")),
            },
            "seed": whole(data.get("seed") or "0"),
        }

    def _shown(self, data: Mapping[str, Any]) -> dict[str, Any]:
        stimulus = data.get("stimulus") or "curve"
        if stimulus != "images":
            step = _number("show", data.get("step", ""), "The step")
            strokes = _numbers(data.get("strokes", ""), "A stroke")
            radii = {"radii": _numbers(data.get("radii", ""), "A radius")} if stimulus == "curve" else {}
            return {"kind": "sweep", "stimulus": stimulus, "step": step, "strokes": strokes} | radii
        which = data.get("pictures") or "random"
        if which == "same":
            return {"kind": "images", "indices": self._same()}
        found: dict[str, Any] = {"kind": "images", "pictures": which}
        if which != "all":
            most = _number("show", data.get("most") or str(claims.PICTURES), "How many pictures at most")
            found["most"] = int(most) if most == int(most) else most
        if which == "class":
            found["class"] = self._class("show", data.get("shown_class", ""))
        if which == "examples":
            found["of"] = data.get("examples_of", "")
        return found

    def _same(self) -> list[int]:
        """The pictures of the earlier claim: drawn anew, others would be shown."""
        show = self.earlier.plan["show"] if self.earlier is not None else {}
        if show.get("image_set") != self.cleaned_data.get("image_set"):
            raise plans.PlanError("show", "The claim that this restates shows no pictures of this set: choose others.")
        return list(show["indices"])

    def _measured(self, data: Mapping[str, Any]) -> dict[str, Any]:
        known = plans.MEASURES[data.get("what") or "response"]
        found: dict[str, Any] = {"what": data.get("what") or "response"}
        if known.of_neurons:
            found["of"] = data.get("of", "")
        if known.of_class:
            which = data.get("measured_class") or "top"
            found["class"] = self._class("measure", data.get("class_name", "")) if which == "named" else which
        return found

    def _class(self, part: str, text: str) -> int:
        """The class of this number or name."""
        names = self.network.class_names
        words = text.strip().casefold()
        number = whole(words)
        if number is not None:
            return number
        found = [at for at, name in enumerate(names) if name.casefold() == words]
        found = found or [at for at, name in enumerate(names) if words and words in name.casefold()]
        if len(found) == 1:
            return found[0]
        if not words:
            raise plans.PlanError(part, "Name a class, or give its number.")
        if found:
            several = ", ".join(f"{names[at]} ({at})" for at in found[:5])
            raise plans.PlanError(part, f"Several classes are called so: {several}. Give the number of one.")
        raise plans.PlanError(part, f"This network has no class “{text.strip()[:60]}”. Give a number or a name of one.")


def counted(asked: Any) -> int:
    """How many changes a form has: one, where it does not say."""
    return next((number for number in range(1, plans.MOST_CHANGES + 1) if str(asked) == str(number)), 1)


def _number(part: str, text: str, what: str, *, percent: bool = False) -> float:
    try:
        found = float(text.strip().replace("−", "-").replace(",", "."))
    except ValueError as error:
        raise plans.PlanError(part, f"{what} is a number.") from error
    if not math.isfinite(found):
        raise plans.PlanError(part, f"{what} is a number.")
    return found / 100 if percent else found


def _numbers(text: str, what: str) -> list[float]:
    """``24, 40 60`` as numbers."""
    return [_number("show", one, what) for one in re.split(r"[,;\s]+", text.strip()) if one]


def initial_of(network: Network, subject: Subject) -> dict[str, Any]:
    """What the form says before anybody changes it."""
    named = ""
    if isinstance(subject, Family):
        named = f"{subject.layer.name}/{subject.name}"
    elif isinstance(subject, Neuron):
        named = subject.address
    size = int((network.preprocessing or {}).get("size") or 224)
    radii = sorted({max(2, round(size * share)) for share in (0.14, 0.22, 0.34)})
    return {
        "stimulus": "curve",
        "step": "5",
        "radii": ", ".join(map(str, radii)),
        "strokes": "2, 3",
        "most": str(claims.PICTURES),
        "what": "response",
        "of": named,
        "change": "falls",
        "margin": "10",
        "relative": "relative",
        "seed": "0",
        "changes": 1,
        "kind": ClaimKind.CAUSALITY,
        "change-0": {"do": "keep_positive", "target": named},
    }


def restated(claim: Claim) -> dict[str, Any]:
    """The form as it stood for this claim."""
    plan = claim.plan
    show, measure, expect = plan["show"], plan["measure"], plan["expect"]
    asked = measure.get("class", "top")
    found: dict[str, Any] = {
        "sentence": claim.sentence,
        "kind": claim.kind,
        "rationale": claim.rationale,
        "what": measure["what"],
        "of": _called(measure.get("of")),
        "measured_class": "named" if isinstance(asked, int) else asked,
        "class_name": str(asked) if isinstance(asked, int) else "",
        "change": expect["change"],
        "margin": f"{expect['margin'] * (100 if expect.get('relative') else 1):.15g}",
        "relative": "relative" if expect.get("relative") else "",
        "seed": str(plan["seed"]),
        "restates": claim.public_id,
        "changes": len(plan["do"]),
    }
    if show["kind"] == "sweep":
        numbers = {name: ", ".join(f"{one:.15g}" for one in show.get(name, ())) for name in ("radii", "strokes")}
        found |= numbers | {"stimulus": show["stimulus"], "step": f"{show['step']:.15g}"}
    else:
        most = str(len(show["indices"]))
        found |= {"stimulus": "images", "image_set": show["image_set"], "pictures": "same", "most": most}
    for number, change in enumerate(plan["do"]):
        places = {"source": "from", "target": "to", "at": "at", "other": "with"}
        found[f"change-{number}"] = {
            "do": change["do"],
            "factor": f"{change['factor']:.15g}" if change.get("factor") is not None else "",
            **{name: _called(change.get(part)) for name, part in places.items()},
        }
    return found


def _called(of: Mapping[str, Any] | None) -> str:
    """A set of neurons in words that ``claims.set_called`` finds again."""
    if not of:
        return ""
    if of.get("named"):
        return f"{of['layer']}/{of['named']}"
    return f"{of['layer']}:" + ", ".join(map(str, of["channels"]))


@dataclass
class Chosen:
    """A set of neurons of a plan, as its page shows it."""

    of: Mapping[str, Any]
    layer: Layer

    @property
    def words(self) -> str:
        return plans.named(self.of)

    @property
    def shown(self) -> list[int]:
        return list(self.of["channels"][:SHOWN])

    @property
    def rest(self) -> int:
        return max(0, len(self.of["channels"]) - SHOWN)


def chosen_sets(plan: Mapping[str, Any], layers: list[Layer]) -> list[Chosen]:
    """Each set once, in the order in which the plan names them."""
    own = {layer.name: layer for layer in layers}
    found: dict[tuple[str, tuple[int, ...]], Chosen] = {}
    for of in plans.every_set(plan):
        found.setdefault((of["layer"], tuple(of["channels"])), Chosen(of, own[of["layer"]]))
    return list(found.values())


def subject_of(query: QueryDict) -> Subject:
    """What a claim is to be about: ``?note=``, ``?family=`` (ids), or ``?neuron=network/layer:index``.

    Raises:
        Http404: when there is no such thing, with what to do.
    """
    said = {name: str(query.get(name, "")) for name in ("neuron", "family", "note")}
    if said["neuron"]:
        network, _, address = said["neuron"].partition("/")
        try:
            return Neuron.objects.at(network, address)
        except Neuron.DoesNotExist as error:
            raise Http404(str(error)) from error
    found: Note | Family | None = None
    try:
        if said["family"]:
            found = Family.objects.select_related("layer__network").filter(public_id=said["family"]).first()
        elif said["note"]:
            found = Note.objects.select_related("network").filter(public_id=said["note"]).first()
    except (ValueError, ValidationError):  # no UUID
        found = None
    if found is None:
        raise Http404("A claim is about a note, a family or a neuron: use the button on its page.")
    return found


def claim_new(request: HttpRequest) -> HttpResponse:
    """State a claim; whatever is pressed, the form comes back with what was typed."""
    subject = subject_of(request.GET)
    network = claims.network_of(subject)
    may = can_state_claim(request.user, subject)
    context: dict[str, Any] = {"subject": subject, "network": network, "may": may, "about": about(subject)}
    if not may:
        if request.method == "POST":
            require(may)
        return render(request, "claims/new.html", context)
    layers = layers_of(network.name)
    earlier = _restates(request, network)
    if request.method == "POST":
        form, done = _press(request, subject, network)
        if done is not None:
            messages.success(request, "Stated. Nobody can change it now; a reviewer has it tested.")
            return redirect(done)
    else:
        initial = restated(earlier) if earlier is not None else initial_of(network, subject)
        form = ClaimForm(None, network=network, initial=initial, earlier=earlier)
    plan = _previewed(request, subject, form) if form.is_bound else Planned()
    context |= {
        "form": form,
        "problems": plan.problems,
        "earlier": earlier,
        "called": names_of(network, layers),
        "plan": plan,
        "target": f"{reverse('claim_preview')}?{request.GET.urlencode()}",
    }
    return render(request, "claims/new.html", context, status=422 if plan.problems or form.errors else 200)


def _restates(request: HttpRequest, network: Network) -> Claim | None:
    asked = request.POST.get("restates") or request.GET.get("restates") or ""
    try:
        found = Claim.objects.filter(public_id=asked, network=network).first() if asked else None
    except (ValueError, ValidationError):  # no UUID
        return None
    return found if found is not None and can_see_claim(request.user, found) else None


def _press(request: HttpRequest, subject: Subject, network: Network) -> tuple[ClaimForm, Claim | None]:
    """What the button does: one change more or fewer, a preview, or the claim.

    What is wrong with the plan is said by the preview, which stands beside the form whatever is pressed.
    """
    data, pressed = request.POST.copy(), request.POST.get("do", "preview")
    earlier = _restates(request, network)
    if pressed == "add" or pressed.startswith("remove-"):
        _rearrange(data, pressed)
        return ClaimForm(None, network=network, initial=_kept(data), earlier=earlier), None
    form = ClaimForm(data, network=network, initial={}, earlier=earlier)
    if pressed != "state":
        for name in WORDS:  # they may be written last
            form.errors.pop(name, None)
        return form, None
    if not form.is_valid():
        return form, None
    said = {name: form.cleaned_data[name] for name in WORDS} | {"image_set": form.chosen_set, "restates": earlier}
    try:
        return form, claims.state(asking(request), subject, plan=form.draft(), **said)
    except plans.PlanError:
        return form, None
    except ValidationError as error:
        for name, found in error.message_dict.items():
            form.add_error(name if name in form.fields else None, ValidationError(found))
    return form, None


def _rearrange(data: QueryDict, pressed: str) -> None:
    """One change more, or one fewer: those behind it move up."""
    count = counted(data.get("changes"))
    if pressed == "add":
        data["changes"] = str(min(count + 1, plans.MOST_CHANGES))
        return
    gone = whole(pressed.removeprefix("remove-"))
    if gone is not None and gone < count > 1:
        for number in range(gone, count - 1):
            for name in ChangeForm.base_fields:
                data[f"change-{number}-{name}"] = data.get(f"change-{number + 1}-{name}", "")
        data["changes"] = str(count - 1)


def _kept(data: QueryDict) -> dict[str, Any]:
    """What was typed, as the beginning of a form that nobody has sent."""
    kept: dict[str, Any] = {name: data.get(name, "") for name in ClaimForm.base_fields}
    for number in range(plans.MOST_CHANGES):
        kept[f"change-{number}"] = {
            name: value for name in ChangeForm.base_fields if (value := data.get(f"change-{number}-{name}")) is not None
        }
    return kept


@dataclass
class Planned:
    """What an experiment would do; or the part at which it fails, with why."""

    preview: claims.Preview | None = None
    sets: list[Chosen] = field(default_factory=list)
    problems: dict[str, str] = field(default_factory=dict)

    @property
    def controls(self) -> str:
        return plans.controls_in_words(self.preview.plan) if self.preview else ""


def _previewed(request: HttpRequest, subject: Subject, form: ClaimForm) -> Planned:
    try:
        made = claims.preview(asking(request), subject, form.draft(), form.chosen_set)
    except plans.PlanError as error:
        return Planned(problems={error.part: str(error)})
    return Planned(made, chosen_sets(made.plan, layers_of(form.network.name)))


@require_POST
def claim_preview(request: HttpRequest) -> HttpResponse:
    """What the form asks for by now, for it to show while somebody writes."""
    subject = subject_of(request.GET)
    network = claims.network_of(subject)
    require(can_state_claim(request.user, subject))
    form = ClaimForm(request.POST, network=network, initial={}, earlier=_restates(request, network))
    plan = _previewed(request, subject, form)
    context = {"plan": plan, "problems": plan.problems, "network": network, "parts": ("do", *WRITTEN, "seed")}
    return render(request, "claims/_preview.html", context)


def names_of(network: Network, layers: list[Layer]) -> list[str]:
    """What people may write for a set of neurons: every family with its layer."""
    rows = Family.objects.filter(layer__in=layers, retired_at=None).order_by("layer__order", "name")
    return [f"{layer}/{name}" for layer, name in rows.values_list("layer__name", "name")]


def about(subject: Subject) -> str:
    """What a claim is about, in words."""
    if isinstance(subject, Neuron):
        return subject.address
    return f"{subject.name} of {subject.layer.name}" if isinstance(subject, Family) else str(subject)


CLAIMS = Claim.objects.select_related(
    *("author", "network", "note__network", "image_set"),
    *("family__layer__network", "neuron__layer__network", "neuron__layer__sprite"),
)


def claim_at(request: HttpRequest, public_id: str, hidden: Collection[int] | None = None) -> Claim:
    """The claim at this address.

    Args:
        hidden: ``hidden_from`` this person, if it is known.

    Raises:
        Http404: when there is none.
        Refused: when this person may not see it.
    """
    found = get_object_or_404(CLAIMS.with_rulings(), public_id=public_id)
    require(can_see_claim(request.user, found, hidden))
    return found


class WithdrawForm(forms.Form):
    reason = forms.CharField(
        max_length=500,
        label="Why",
        error_messages={"required": "Say why, so that readers know what became of it."},
    )


@require_safe
def claim(request: HttpRequest, public_id: str) -> HttpResponse:
    hidden = hidden_from(request.user)
    return _page(request, claim_at(request, public_id, hidden), hidden)


def _page(
    request: HttpRequest, shown: Claim, hidden: Collection[int], form: WithdrawForm | None = None
) -> HttpResponse:
    every = Layer.objects.select_related("sprite").order_by("order")
    prefetch_related_objects([shown.network], Prefetch("layers", queryset=every))
    layers = list(shown.network.layers.all())
    runs = list(
        shown.runs.select_related("evidence__current", "evidence__shard__job", "requested_by").order_by("-number")
    )
    if isinstance(request.user, User):
        claims.look(request.user, [shown])
    near = Claim.objects.filter(Q(restates=shown) | Q(pk=shown.restates_id))
    kin = list(claims_visible_to(request.user, near, hidden))
    exhibit = exhibit_of(shown, runs, layers)
    latest = runs[0] if runs else None
    done = [run for run in runs if run.ruling]
    talk = Talk(request.user, shown, shown=True)
    talk.layer = layers[-1]
    context = {
        "network": shown.network,
        "layer": shown.subject.layer if isinstance(shown.subject, (Family, Neuron)) else None,
        "claim": shown,
        "about": about(shown.subject),
        "words": plans.in_words(shown.plan, shown.network.class_names),
        "controls": plans.controls_in_words(shown.plan),
        "cautions": [] if done else plans.cautions(shown.plan, claims.channels_of(shown.network)),
        "sets": chosen_sets(shown.plan, layers),
        "runs": runs,
        "latest": latest,
        "ruled": done[0] if done else None,
        "changed": next((run for run in done[1:] if run.ruling != done[0].ruling), None) if done else None,
        "exhibit": exhibit,
        "live": latest is not None and latest.is_live,
        "stopped": latest is not None and latest.evidence.status in (Outcome.FAILED, Outcome.CANCELLED),
        "asks": claims.asks_for_another_run(shown, runs),
        "restated": [one for one in kin if one.restates_id == shown.pk],
        "earlier": next((one for one in kin if one.pk == shown.restates_id), None),
        "may_run": can_run_claim(request.user, shown),
        "may_withdraw": can_withdraw_claim(request.user, shown),
        "may_moderate": can_moderate(request.user),
        "may_state": can_state_claim(request.user, shown.note),  # who sees this one may see its neuron
        "anew": f"{address_new(shown.subject)}&restates={shown.public_id}",
        "own": shown.author_id == request.user.pk,
        "form": form or WithdrawForm(),
        "events": told_to(request.user, Event.objects.visible_to(request.user, hidden).filter(claim=shown), 20),
        "talk": talk,
        "references": References(shown.network, layers, texts=[*talk.texts, shown.rationale]),
    }
    return render(request, "claims/claim.html", context, status=422 if form is not None and form.errors else 200)


def exhibit_of(shown: Claim, runs: list[Run], layers: list[Layer]) -> Exhibit | None:
    """What the latest run that is done found."""
    done = next((run for run in runs if run.evidence.current is not None), None)
    if done is None or done.evidence.current is None:
        return None
    version = done.evidence.current
    version.evidence = done.evidence
    done.evidence.claim, done.evidence.image_set, done.evidence.network = shown, shown.image_set, shown.network
    kind, values = recipes.KINDS[done.evidence.kind], done.evidence.parameters
    exhibit = Exhibit(kind, "", values, Shelf.of(shown.network, layers), claim=shown, version=version)
    panels.fill([exhibit])
    return exhibit


def address_new(subject: Subject) -> str:
    """Where a claim about this is stated."""
    if isinstance(subject, Neuron):
        return f"{reverse('claim_new')}?neuron={subject.layer.network.name}/{subject.address}"
    return f"{reverse('claim_new')}?{type(subject).__name__.lower()}={subject.public_id}"


@require_POST
def claim_run(request: HttpRequest, public_id: str) -> HttpResponse:
    """Have a worker test it; again when the recipe or the network has changed, or the last try came to nothing."""
    shown = claim_at(request, public_id)
    known = set(shown.runs.values_list("pk", flat=True))
    run = claims.run(asking(request), shown)
    if run.pk not in known:
        messages.success(request, "A worker tests it: this page shows how far it is.")
    elif run.ruling:
        messages.info(request, "It was tested by this recipe and these weights already: the same would come out.")
    else:
        messages.success(request, "It is under way.")
    return redirect(shown)


@require_POST
def claim_withdraw(request: HttpRequest, public_id: str) -> HttpResponse:
    shown = claim_at(request, public_id)
    form = WithdrawForm(request.POST)
    if form.is_valid():
        try:
            claims.withdraw(asking(request), shown, reason=form.cleaned_data["reason"])
        except ValidationError as error:
            form.add_error("reason", ValidationError(error.messages))
        else:
            messages.success(request, "Withdrawn, with your reason. It stays readable.")
            return redirect(shown)
    return _page(request, shown, hidden_from(request.user), form)


UNTESTED = "untested"
FILTERS = (*Ruling.values, UNTESTED)


@require_safe
def claim_list(request: HttpRequest, name: str) -> HttpResponse:
    """A network's claims, with what became of each."""
    network = layers_of(name)[0].network
    every = claims_visible_to(request.user, CLAIMS.filter(network=network)).with_rulings()
    counts = {
        ruling or UNTESTED: count for ruling, count in every.order_by().values_list("ruling").annotate(Count("pk"))
    }
    chosen = request.GET.get("ruling", "")
    if chosen in FILTERS:
        every = every.filter(ruling="" if chosen == UNTESTED else chosen)
    page = Paginator(every, PAGE).get_page(request.GET.get("page"))
    if isinstance(request.user, User):
        claims.look(request.user, page.object_list)
    context = {
        "network": network,
        "page": page,
        "chosen": chosen if chosen in FILTERS else "",
        "filters": [(ruling, counts.get(ruling, 0)) for ruling in FILTERS],
        "total": sum(counts.values()),
    }
    return render(request, "claims/list.html", context)


PANEL = 20
# What a claim's line in a panel shows.
COLUMNS = ("id", "public_id", "sentence", "kind", "network_id", "withdrawn_at", "ruling", "status")


def panel(subject: Subject, hidden: Collection[int] = ()) -> dict[str, Any]:
    """The claims on what a page is about, for who may see how it is read.

    One query, and none where the subject was read with its ``column``. ``untold`` are those that wait for this person's
    own reading, by public id.
    """
    rows = getattr(subject, "claimed", None)
    if rows is None:
        rows = _lines({type(subject).__name__.lower(): subject}, hidden).values_list("told", flat=True)
    each = [(_claim(**row), untold) for row in rows for untold in [row.pop("untold")]]
    return {
        "claims": [claim for claim, untold in each if not untold],
        "untold": [str(claim.public_id) for claim, untold in each if untold],
        "claim_new": address_new(subject),
    }


def column(of: type[Subject], hidden: Collection[int]) -> ArraySubquery:
    """The claims on a note, a family or a neuron as a column ``claimed`` of it, for a page that reads it anyway."""
    return ArraySubquery(_lines({of.__name__.lower(): OuterRef("pk")}, hidden).values("told"))


def _lines(about: Mapping[str, Any], hidden: Collection[int]) -> QuerySet[Any]:
    naming = Exists(Claim.objects.naming(hidden).filter(pk=OuterRef("pk"))) if hidden else Value(False)
    columns = {name: name for name in COLUMNS} | {"by": "author__username", "at": "stated_at", "untold": naming}
    found = Claim.objects.filter(**about, hidden_at=None).with_rulings()
    return found.order_by("-pk").annotate(told=JSONObject(**columns))[:PANEL]


def _claim(ruling: str, status: str, by: str, at: str, **columns: Any) -> Claim:
    claim = Claim(author=User(username=by), stated_at=datetime.datetime.fromisoformat(at), **columns)
    claim.ruling, claim.status = ruling, status  # type: ignore[attr-defined]
    return claim
