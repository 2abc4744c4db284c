"""The review queue: what waits for somebody who decides, the longest first; many at once, and as a sheet."""

import datetime
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db.models import Count, Exists, F, OuterRef, QuerySet, Subquery, Value
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from taxonomy import recipes
from taxonomy.actions import labels, reviews
from taxonomy.models import (
    Decision,
    Evidence,
    EvidenceVersion,
    Family,
    Label,
    Layer,
    Membership,
    Neuron,
    Note,
    Outcome,
    Proposal,
    ProposalState,
    Reveal,
    Review,
    Role,
    Standing,
    Tally,
    User,
)
from taxonomy.pages import neurons as neuron_pages
from taxonomy.pages import notes, panels
from taxonomy.pages.decisions import DecisionForm, box_of, look_up_cites
from taxonomy.pages.exhibits import Exhibit, done
from taxonomy.pages.networks import open_proposals
from taxonomy.pages.neurons import neuron_of
from taxonomy.pages.numbers import whole
from taxonomy.pages.people import asking
from taxonomy.pages.proposals import add_errors
from taxonomy.pages.stand import FACES
from taxonomy.permissions import can_decide_proposal, can_review, hidden_from, require, sees_all_readings
from taxonomy.rendering.markdown import References

PAGE = 12
SHEET = 24
MEMBERS = 24
# So long after a reviewer first looked at a neuron it counts as being reviewed.
LOOKING = datetime.timedelta(minutes=15)
TABS = {
    "agreed": (Standing.AGREED, "Agreed"),
    "disputed": (Standing.DISPUTED, "Disputed"),
    "stale": (Standing.STALE, "Stale"),
    "evidence": (Standing.NEEDS_EVIDENCE, "Waiting for evidence"),
    "family": (Standing.NEEDS_FAMILY, "Need a family"),
    "proposals": ("", "Proposals"),
    "notes": ("notes", "Circuit notes"),
}
NOTHING = {
    "agreed": "No neuron waits for a reviewer. They come here when three readings agree.",
    "disputed": "No neuron is disputed.",
    "stale": "No accepted neuron has lost the evidence that it rests on.",
    "evidence": "No neuron waits for evidence.",
    "family": "No neuron needs a family that there is not.",
}
# The parameters by which several pieces of evidence of one kind are told apart.
VARIANT = ("objective", "stimulus", "direction", "by", "layer")
KINDS = ("feature_visualization", "imported_picture", "kernels", "dataset_examples")


@require_safe
def review(request: HttpRequest) -> HttpResponse:
    """Reviewers alone see what neurons are agreed on; others see what a reviewer does, and the open proposals."""
    may = can_review(request.user)
    tab = request.GET.get("tab", "")
    tab = tab if tab in TABS and may else ("agreed" if may else "proposals")
    context: dict[str, Any] = {"may": may, "tab": tab}
    if may:
        context |= _queue(request, asking(request), tab)
    if tab == "proposals":
        proposals = list(open_proposals().order_by("created_at"))
        context["proposals"] = [(proposal, can_decide_proposal(request.user, proposal)) for proposal in proposals]
    elif tab == "notes":
        context["waiting"], context["waiting_notes"] = notes.in_review(request)
    return render(request, "reviews/review.html", context)


def _queue(request: HttpRequest, user: User, tab: str) -> dict[str, Any]:
    counts = _counts()
    layers = list(Layer.objects.select_related("network", "sprite").order_by("network_id", "order"))
    chosen = {name: request.GET.get(name, "").replace("\0", "") for name in ("network", "layer", "family")}
    here = [one for one in layers if chosen["network"] in ("", one.network.name) and chosen["layer"] in ("", one.name)]
    families = list(Family.objects.filter(layer__in=here).order_by("layer__order", "name"))
    context: dict[str, Any] = {
        "tabs": [(slug, title, counts.get(standing, 0)) for slug, (standing, title) in TABS.items()],
        "nothing": NOTHING.get(tab, ""),
        "networks": list(dict.fromkeys(one.network.name for one in layers)),
        "layers": list(dict.fromkeys(one.name for one in layers if chosen["network"] in ("", one.network.name))),
        "family_names": list(dict.fromkeys(one.name for one in families if one.retired_at is None)),
        "chosen": chosen,
    }
    if tab in ("proposals", "notes"):
        return context
    named = [one.pk for one in families if one.name == chosen["family"]] if tab == "agreed" else []
    found = waiting(user, TABS[tab][0], here, named if chosen["family"] and tab == "agreed" else None)
    page = request.GET.get("page", "1")
    number = max(1, int(page)) if page.isascii() and page.isdigit() and len(page) < 6 else 1
    rows = list(found[(number - 1) * PAGE : number * PAGE + 1])
    return context | {
        "entries": entries(user, rows[:PAGE], layers, families),
        "page": number,
        "more": len(rows) > PAGE,
        "back": request.get_full_path(),
    }


def _counts() -> dict[str, int]:
    """How many neurons have which standing; under "" how many proposals are open, under "notes" how many are in review.

    One query.
    """
    neurons = Neuron.objects.order_by().values_list("standing").annotate(count=Count("pk"))
    proposals = Proposal.objects.order_by().filter(state=ProposalState.OPEN).annotate(standing=Value(""))
    submitted = Note.objects.in_review().order_by().annotate(standing=Value("notes"))
    rows = (found.values_list("standing").annotate(count=Count("pk")) for found in (proposals, submitted))
    return dict(neurons.union(*rows))


def waiting(
    user: User, standing: str, layers: Iterable[Layer], families: Iterable[int] | None = None
) -> QuerySet[Neuron]:
    """Neurons of this standing, those first that wait longest, and last what somebody else is looking at.

    With ``since`` when they wait, and ``looker``, who else looks.

    Args:
        families: only those that are agreed on one of these.
    """
    tallies = Tally.objects.filter(neuron=OuterRef("pk")).order_by("-pk")
    outdated = Review.objects.filter(neuron=OuterRef("pk"), decision=Decision.STALE).order_by("-pk")
    since = outdated.values("at") if standing == Standing.STALE else tallies.values("at")
    lookers = Reveal.objects.filter(
        neuron=OuterRef("pk"),
        at__gte=timezone.now() - LOOKING,
        person__role__in=(Role.REVIEWER, Role.EDITOR),
        person__is_active=True,
    ).exclude(person=user)
    # Who labelled it looks at it as one of those who did, not to review it.
    lookers = lookers.exclude(Exists(Label.objects.filter(neuron=OuterRef("neuron"), author=OuterRef("person"))))
    found = Neuron.objects.filter(standing=standing, layer__in=layers)
    if standing == Standing.STALE:
        found = found.exclude(pk__in=hidden_from(user))
    if families is not None:
        found = found.annotate(on=Subquery(tallies.values("family")[:1])).filter(on__in=list(families))
    return found.annotate(
        since=Subquery(since[:1]),
        looker=Subquery(lookers.order_by("-at").values("person__username")[:1]),
    ).order_by(F("looker").asc(nulls_first=True), F("since").asc(nulls_last=True), "pk")


def entries(
    user: User, neurons: Sequence[Neuron], layers: Sequence[Layer], families: Sequence[Family]
) -> list[dict[str, Any]]:
    """For each neuron its pictures, readings, where they lead, and what this reviewer may decide; the look is kept."""
    labels.reveal(user, *neurons)
    by_layer = {layer.pk: layer for layer in layers}
    for neuron in neurons:
        neuron.layer = by_layer[neuron.layer_id]
    own = {neuron.layer_id for neuron in neurons}
    for family in families:
        family.layer = by_layer[family.layer_id]
    tree = {family.pk: family.parent_id for family in families}
    there = [family for family in families if family.retired_at is None]
    found = reviews.cases(user, neurons, tree)
    look_up_cites(found.values())
    names = {pk: [one.name for one in layers if one.network_id == by_layer[pk].network_id] for pk in own}
    cited = citable(neurons) if any(one.standing == Standing.DISPUTED for one in neurons) else {}
    boxes = {
        neuron.pk: box_of(
            user,
            found[neuron.pk],
            [family for family in there if family.layer_id == neuron.layer_id],
            names[neuron.layer_id],
            cited.get(neuron.pk, ()),
        )
        for neuron in neurons
    }
    leading = {pk: box.leading for pk, box in boxes.items()}
    references = {
        network.pk: References(network, [one for one in layers if one.network_id == network.pk])
        for network in {by_layer[pk].network for pk in own}
    }
    kin = members_of([family for family in leading.values() if family], 6)
    shown = done(list(neurons), kinds=KINDS)
    panels.fill(exhibit for own_ in shown.values() for exhibit in own_.values())
    return [
        {
            "neuron": neuron,
            "box": boxes[neuron.pk],
            "family": leading[neuron.pk],
            "kin": kin.get(leading[neuron.pk].pk, []) if leading[neuron.pk] else [],  # type: ignore[union-attr]
            "labels": found[neuron.pk].current,
            "references": references[neuron.layer.network_id],
            "accept": next((step for step in boxes[neuron.pk].steps if step.decision == Decision.ACCEPT), None),
            **faces(shown[neuron.pk]),
        }
        for neuron in neurons
    ]


def faces(own: Mapping[str, Exhibit]) -> dict[str, Any]:
    """The picture that stands for a neuron, and some of its dataset examples."""
    examples = own.get("dataset-examples")
    return {
        "face": next((own[slug].face() for slug in FACES if slug in own), ""),
        "examples": examples.panel["top"][:6] if examples and examples.panel else [],
    }


def citable(neurons: Iterable[Neuron]) -> dict[int, list[tuple[str, EvidenceVersion]]]:
    """For each neuron its evidence as it is now, with titles. One query."""
    found: dict[int, list[tuple[str, EvidenceVersion]]] = {}
    made = Evidence.objects.filter(neuron__in=neurons, status=Outcome.DONE).select_related("current").order_by("pk")
    for evidence in made:
        if evidence.current is not None and evidence.neuron_id is not None:
            variant = ", ".join(str(evidence.parameters[name]) for name in VARIANT if name in evidence.parameters)
            title = recipes.KINDS[evidence.kind].title + (f": {variant.replace('_', ' ')}" if variant else "")
            found.setdefault(evidence.neuron_id, []).append((title, evidence.current))
    return found


def members_of(families: Iterable[Family], most: int) -> dict[int, list[int]]:
    """The indices of some members of each of these families."""
    found: dict[int, list[int]] = {}
    for member in Membership.objects.current().filter(family__in=families).select_related("neuron").order_by("pk"):
        if len(found.setdefault(member.family_id, [])) < most:
            found[member.family_id].append(member.neuron.index)
    return found


def decide(request: HttpRequest, name: str, layer_name: str, index: int, decision: str = "") -> HttpResponse:
    """Take one decision on a neuron; what cannot be taken comes back with the neuron's page."""
    neuron, layers = neuron_of(name, layer_name, index)
    if request.method != "POST":
        return redirect(neuron)
    user = asking(request)
    data = request.POST.copy()
    if decision:
        data["decision"] = decision
    if sees_all_readings(user):  # deciding is looking, whatever comes of it
        labels.reveal(user, neuron)
    form = DecisionForm(data, neuron=neuron)
    chosen = data.get("decision", "")
    if form.is_valid():
        try:
            review = reviews.decide(user, neuron, **form.cleaned_data)
        except ValidationError as error:
            add_errors(form, error)
        else:
            messages.success(request, _told(review))
            return redirect(_back(request) or neuron)
    if chosen not in reviews.RULES:
        messages.error(request, " ".join(map(str, form.errors["decision"])))
        return redirect(neuron)
    require(reviews.can(user, neuron, chosen))  # who may not decide is told that, and not what was wrong
    return neuron_pages.page(request, neuron, layers, decision=form, status=422)


def _back(request: HttpRequest) -> str:
    """The queue as it was, if the decision was taken there."""
    back = request.POST.get("back", "")
    if back == "review":
        return reverse("review")
    return back if back.startswith(f"{reverse('review')}?") or back == reverse("review") else ""


def _told(review: Review) -> str:
    """What has become of the neuron."""
    neuron = Neuron.objects.select_related("layer").get(pk=review.neuron_id)
    match review.decision:
        case Decision.ACCEPT | Decision.SETTLE if review.family is not None:
            return f"{neuron.address} is accepted into {review.family.name}."
        case Decision.OBJECT:
            return f"Your objection to {neuron.address} stands. Withdraw it at any time on the neuron's page."
        case Decision.NEED_EVIDENCE:
            return f"The workers are asked; {neuron.address} waits for it."
    return f"{neuron.address} is {neuron.standing} now."


class ManyForm(forms.Form):
    """Many neurons to accept: each by its key, with the state in which the page showed it."""

    comment = forms.CharField(required=False, max_length=5_000)

    def chosen(self) -> dict[int, str]:
        found: dict[int, str] = {}
        for value in self.data.getlist("neurons")[:200]:  # type: ignore[attr-defined]
            pk, _, state = value.partition("|")
            if (number := whole(pk)) is not None:
                found[number] = state[:80]
        return found


@require_POST
def accept_many(request: HttpRequest) -> HttpResponse:
    """Accept the chosen neurons, and say of each what came of it."""
    user = asking(request)
    require(can_review(user))
    form = ManyForm(request.POST)
    states = form.chosen()
    neurons = list(Neuron.objects.filter(pk__in=states).select_related("layer__network", "layer__sprite"))
    if not form.is_valid() or not neurons:
        sentence = " ".join(map(str, form.errors.get("comment", []))) or "Nothing was chosen: select neurons first."
        messages.error(request, sentence)
        return redirect(_back(request) or "review")
    labels.reveal(user, *neurons)
    answered = reviews.accept_many(user, neurons, comment=form.cleaned_data["comment"], states=states)
    layers = {neuron.layer_id: neuron.layer for neuron in neurons}
    for one in answered:
        if one.review is not None and one.review.family is not None:
            one.review.family.layer = layers[one.neuron.layer_id]
    context = {
        "answered": answered,
        "accepted": sum(one.review is not None for one in answered),
        "back": _back(request) or reverse("review"),
    }
    return render(request, "reviews/answered.html", context)


@require_safe
def sheet(request: HttpRequest) -> HttpResponse:
    """Neurons that are agreed on one family, side by side with its members: put the odd ones aside, accept the rest."""
    may = can_review(request.user)
    if not may:
        return render(request, "reviews/sheet.html", {"may": may})
    pk = whole(request.GET.get("family"))
    families = Family.objects.filter(retired_at=None).select_related("layer__network", "layer__sprite")
    family = families.filter(pk=pk).first() if pk is not None else None
    if family is None:
        raise Http404("There is no such family. Choose one in the review queue.")
    user = asking(request)
    found = waiting(user, Standing.AGREED, [family.layer], [family.pk])
    neurons = list(found[: SHEET + 1])
    rows = entries(user, neurons[:SHEET], [family.layer], list(family.layer.families.all()))
    context = {
        "may": may,
        "family": family,
        "layer": family.layer,
        "network": family.layer.network,
        "entries": rows,
        "free": sum(bool(row["accept"] and row["accept"].answer) for row in rows),
        "more": len(neurons) > SHEET,
        "members": members_of([family], MEMBERS).get(family.pk, []),
    }
    return render(request, "reviews/sheet.html", context)
