"""The review queue: neurons on which people agree, and proposals that await a decision."""

from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_safe

from taxonomy.actions import labels, reviews
from taxonomy.models import Family, Label, Membership, Neuron, Standing
from taxonomy.pages import panels
from taxonomy.pages.exhibits import done
from taxonomy.pages.networks import open_proposals
from taxonomy.pages.neurons import neuron_of
from taxonomy.pages.people import asking
from taxonomy.pages.stand import FACES
from taxonomy.permissions import can_decide_proposal, can_review
from taxonomy.rendering.markdown import References

PAGE = 12


@require_safe
def review(request: HttpRequest) -> HttpResponse:
    """Reviewers alone see what neurons are agreed on; others see what a reviewer does, and the open proposals."""
    may = can_review(request.user)
    neurons = Neuron.objects.filter(standing=Standing.AGREED).select_related("layer__network", "layer__sprite")
    page = Paginator(neurons.order_by("layer_id", "index"), PAGE).get_page(request.GET.get("page")) if may else None
    proposals = list(open_proposals())
    context = {
        "may": may,
        "page": page,
        "entries": entries(request, list(page)) if page else [],
        "proposals": [(proposal, can_decide_proposal(request.user, proposal)) for proposal in proposals],
        "references": References(),
    }
    return render(request, "reviews/review.html", context)


def entries(request: HttpRequest, neurons: list[Neuron]) -> list[dict[str, Any]]:
    """For each neuron its pictures, readings, the family they agree on, and whether this reviewer may accept it."""
    labels.reveal(asking(request), *neurons)
    found: dict[int, list[Label]] = {neuron.pk: [] for neuron in neurons}
    for label in Label.objects.current().filter(neuron__in=neurons).select_related("author", "family").order_by("pk"):
        found[label.neuron_id].append(label)
    layers = {neuron.layer_id: neuron.layer for neuron in neurons}
    families = {family.pk: family for family in Family.objects.filter(layer__in=layers)}
    for known in families.values():
        known.layer = layers[known.layer_id]
    tree = {family.pk: family.parent_id for family in families.values()}
    agreed = {pk: families.get(labels.result_of(rows, tree).family or 0) for pk, rows in found.items()}
    kin: dict[int, list[int]] = {}
    wanted = {family.pk for family in agreed.values() if family}
    for member in Membership.objects.current().filter(family__in=wanted).select_related("neuron").order_by("pk"):
        kin.setdefault(member.family_id, []).append(member.neuron.index)
    shown = done(neurons, kinds=KINDS)
    panels.fill(exhibit for own in shown.values() for exhibit in own.values())
    answers = reviews.can_accept_each(request.user, neurons)
    rows = []
    for neuron in neurons:
        family = agreed[neuron.pk]
        own = shown[neuron.pk]
        examples = own.get("dataset-examples")
        rows.append(
            {
                "neuron": neuron,
                "family": family,
                "kin": kin.get(family.pk, [])[:6] if family else [],
                "labels": found[neuron.pk],
                "answer": answers[neuron.pk],
                "face": next((own[slug].face() for slug in FACES if slug in own), ""),
                "examples": examples.panel["top"][:6] if examples and examples.panel else [],
            }
        )
    return rows


KINDS = ("feature_visualization", "imported_picture", "kernels", "dataset_examples")


class CommentForm(forms.Form):
    comment = forms.CharField(required=False, max_length=5_000)


def accept(request: HttpRequest, name: str, layer_name: str, index: int) -> HttpResponse:
    """Accept an agreed neuron into its family."""
    neuron, _ = neuron_of(name, layer_name, index)
    if request.method != "POST":
        return redirect(neuron)
    form = CommentForm(request.POST)
    back = "review" if request.POST.get("back") == "review" else neuron
    if not form.is_valid():
        messages.error(request, " ".join(map(str, form.errors["comment"])))
        return redirect(back)
    try:
        accepted = reviews.accept(asking(request), neuron, comment=form.cleaned_data["comment"])
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
        return redirect(back)
    assert accepted.family is not None
    messages.success(request, f"{neuron.address} is accepted into {accepted.family.name}.")
    return redirect(back)
