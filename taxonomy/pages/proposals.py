"""Proposing a family, and deciding what others proposed."""

from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_safe

from taxonomy.actions import labels, proposals
from taxonomy.models import Confidence, Event, Family, FamilyKind, Layer, Neuron, Proposal, Symmetry
from taxonomy.pages.events import told_to
from taxonomy.pages.networks import layer_of
from taxonomy.pages.people import asking
from taxonomy.pages.talk import Talk
from taxonomy.permissions import can_decide_proposal, can_propose, can_withdraw_proposal, hidden_from, require
from taxonomy.rendering.markdown import References


class FamilyField(forms.ModelChoiceField):
    def label_from_instance(self, obj: Family) -> str:
        return obj.name


class ProposalForm(forms.Form):
    name = forms.CharField(max_length=120, help_text="As the layer's page will show it, such as “High-Low Frequency”.")
    remark = forms.CharField(
        max_length=20_000,
        widget=forms.Textarea(attrs={"rows": 7}),
        help_text="What its neurons have in common, and on what evidence. Markdown; [[3b:12]] shows that neuron.",
    )
    parent = FamilyField(
        Family.objects.none(),
        required=False,
        empty_label="None: directly in the layer",
        label="Part of",
        error_messages={"invalid_choice": "That is no family of this layer. Choose one from the list."},
    )
    kind = forms.ChoiceField(choices=FamilyKind.choices, initial=FamilyKind.NATURAL)
    confidence = forms.ChoiceField(
        choices=Confidence.choices, initial=Confidence.MEDIUM, help_text="In the definition, not in any one neuron."
    )
    symmetry = forms.ChoiceField(
        choices=Symmetry.choices, initial=Symmetry.NONE, help_text="What turns one member into the next."
    )
    neurons = forms.ModelMultipleChoiceField(
        Neuron.objects.none(),
        required=False,
        to_field_name="index",
        widget=forms.MultipleHiddenInput,
        error_messages={
            "invalid_choice": "That is no neuron of this layer.",
            "invalid_pk_value": "That is no neuron of this layer.",
        },
    )

    def __init__(self, *args: Any, layer: Layer, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["parent"]
        assert isinstance(field, forms.ModelChoiceField)
        field.queryset = layer.families.filter(retired_at=None).order_by("name")
        needing = self.fields["neurons"]
        assert isinstance(needing, forms.ModelMultipleChoiceField)
        needing.queryset = layer.neurons.all()


def propose(request: HttpRequest, name: str, layer_name: str) -> HttpResponse:
    here, _ = layer_of(name, layer_name)
    may = can_propose(request.user)
    if request.method == "POST":
        require(may)
        form = ProposalForm(request.POST, layer=here)
        if form.is_valid():
            try:
                made = proposals.create(asking(request), here, **form.cleaned_data)
            except ValidationError as error:
                add_errors(form, error)
            else:
                messages.success(request, "Proposed. A reviewer who is not you decides it.")
                return redirect(made)
    else:
        needing = [
            one for one in request.GET.getlist("neuron")[:100] if one.isascii() and one.isdigit() and len(one) < 10
        ]
        form = ProposalForm(layer=here, initial={"name": request.GET.get("name", "")[:120], "neurons": needing})
    context = {"network": here.network, "layer": here, "form": form, "may": may}
    indices = [int(one) for one in form["neurons"].value() or [] if str(one).isascii() and str(one).isdigit()]
    if indices and may:
        context["needing"] = [one for one in indices if one < here.channels]
        context["asking"] = found = proposals.asking(asking(request), here.neurons.filter(index__in=indices))
        labels.reveal(asking(request), *{label.neuron for label in found})
    return render(request, "proposals/propose.html", context, status=422 if form.errors else 200)


def add_errors(form: forms.Form, error: ValidationError) -> None:
    """An action's objections, each beside the field it is about."""
    for field, found in (error.message_dict if hasattr(error, "error_dict") else {"": error.messages}).items():
        form.add_error(field if field in form.fields else None, ValidationError(found))


@require_safe
def proposal_list(request: HttpRequest) -> HttpResponse:
    every = Proposal.objects.select_related("layer__network", "author", "family", "decided_by")
    page = Paginator(every, 40).get_page(request.GET.get("page"))
    return render(request, "proposals/list.html", {"page": page})


class DecisionForm(forms.Form):
    comment = forms.CharField(required=False, max_length=5_000, widget=forms.Textarea(attrs={"rows": 3}))


def proposal(request: HttpRequest, public_id: str) -> HttpResponse:
    """Read it; accept, reject or withdraw it."""
    shown = get_object_or_404(
        Proposal.objects.select_related("layer__network", "layer__sprite", "author", "parent", "decided_by", "family"),
        public_id=public_id,
    )
    form = DecisionForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            return _decide(request, shown, form.cleaned_data["comment"])
        except ValidationError as error:
            add_errors(form, error)
    siblings = list(shown.layer.families.filter(retired_at=None).order_by("name"))
    for family in siblings:
        family.layer = shown.layer
    if shown.family is not None:
        shown.family.layer = shown.layer
    if shown.parent is not None:
        shown.parent.layer = shown.layer
    context = {
        "network": shown.layer.network,
        "proposal": shown,
        "form": form,
        "may_decide": can_decide_proposal(request.user, shown),
        "may_withdraw": can_withdraw_proposal(request.user, shown),
        "own": shown.author_id == request.user.pk,
        "siblings": siblings,
        "events": told_to(
            request.user, Event.objects.visible_to(request.user, hidden_from(request.user)).filter(proposal=shown), 20
        ),
        "talk": Talk(request.user, shown),
        "references": References(shown.layer.network),
    }
    return render(request, "proposals/proposal.html", context, status=422 if form.errors else 200)


def _decide(request: HttpRequest, shown: Proposal, comment: str) -> HttpResponse:
    """Do what the button that was pressed says."""
    match request.POST.get("decision"):
        case "accept":
            family = proposals.accept(asking(request), shown, comment=comment)
            messages.success(request, f"Accepted: {family.name} is a family of {shown.layer.name} now.")
            return redirect(family)
        case "reject":
            proposals.reject(asking(request), shown, comment=comment)
            messages.success(request, "Rejected, with your reason.")
        case "withdraw":
            proposals.withdraw(asking(request), shown)
            messages.success(request, "Withdrawn.")
        case _:
            raise ValidationError("Press accept, reject or withdraw.")
    return redirect(shown)
