"""Labelling: a family, or none of these, or that it cannot be told."""

from collections.abc import Mapping, Sequence
from typing import Any

from django import forms
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from taxonomy import recipes
from taxonomy.models import Confidence, EvidenceVersion, Family, Label, Layer, Neuron, Verdict
from taxonomy.pages.home import help_wanted, with_something_to_see


class Numbers(forms.MultipleChoiceField):
    """Any numbers, not a choice among known ones."""

    def valid_value(self, value: str) -> bool:
        return value.isascii() and value.isdigit() and len(value) < 16


class LabelForm(forms.Form):
    """One reading. ``reading`` is a family's id, "cannot tell" or "none of these"."""

    no_finer = forms.BooleanField(required=False)
    polysemantic = forms.BooleanField(required=False)
    missing_evidence = forms.ChoiceField(
        required=False,
        choices=[("", "Choose one"), *((name, recipes.KINDS[name].title) for name in recipes.COMPUTED)],
    )
    suggested_name = forms.CharField(required=False, max_length=120)
    confidence = forms.ChoiceField(choices=Confidence.choices, initial=Confidence.MEDIUM)
    note = forms.CharField(required=False, max_length=5_000, widget=forms.Textarea)

    def __init__(
        self,
        *args: Any,
        neuron: Neuron,
        families: Sequence[Family],
        exemplars: Mapping[int, list[int]] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.neuron = neuron
        self.families = {str(family.pk): family for family in families}
        self.exemplars = exemplars or {}
        self.finer = {family.parent_id for family in families if family.parent_id}
        names = [(key, family.name) for key, family in self.families.items()]
        self.fields["reading"] = forms.ChoiceField(
            choices=[*names, *((word, word) for word in (Verdict.CANNOT_TELL, Verdict.NONE_OF_THESE))],
            error_messages={
                "required": "Choose a family, or say “cannot tell” or “none of these”.",
                "invalid_choice": f"That is no family of {neuron.layer.name}. Choose one from the list.",
            },
        )
        self.fields["further"] = forms.MultipleChoiceField(
            required=False,
            choices=names,
            error_messages={"invalid_choice": f"That is no family of {neuron.layer.name}. Choose one from the list."},
        )
        # The versions that were on the page; what is not this neuron's is left out by the action.
        self.fields["seen"] = Numbers(required=False)

    @property
    def chosen(self) -> str:
        value = self["reading"].value()
        return str(value or "")

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The families to choose from, each with neurons that are in it."""
        further = set(self["further"].value() or [])
        return [
            {
                "key": key,
                "family": family,
                "faces": self.exemplars.get(family.pk, [])[:3],
                "checked": key == self.chosen,
                "further": key in further,
            }
            for key, family in sorted(self.families.items(), key=lambda item: (item[1].kind != "natural", item[1].name))
        ]

    def reading(self) -> dict[str, Any]:
        """What the action takes."""
        said = dict(self.cleaned_data)
        choice = said.pop("reading")
        family = self.families.get(choice)
        verdict = Verdict.FAMILY if family else choice
        further = [self.families[key] for key in said.pop("further")]
        seen = EvidenceVersion.objects.filter(pk__in=said.pop("seen")).select_related("evidence")
        # What belongs to another choice is left behind, as the page without JavaScript shows all of it.
        return {
            "verdict": verdict,
            "family": family,
            "no_finer": said["no_finer"] and family is not None,
            "further": further if said["polysemantic"] and family else [],
            "polysemantic": said["polysemantic"] and verdict != Verdict.CANNOT_TELL,
            "missing_evidence": said["missing_evidence"] if verdict == Verdict.CANNOT_TELL else "",
            "suggested_name": said["suggested_name"] if verdict == Verdict.NONE_OF_THESE else "",
            "confidence": said["confidence"],
            "note": said["note"],
            "seen": seen,
        }


def initial_of(label: Label | None) -> dict[str, Any]:
    """The person's own current reading, to be changed."""
    if label is None:
        return {}
    return {
        "reading": str(label.family_id) if label.family_id else label.verdict,
        "no_finer": label.no_finer,
        "polysemantic": label.polysemantic,
        "further": [str(family.pk) for family in label.further.all()],
        "missing_evidence": label.missing_evidence,
        "suggested_name": label.suggested_name,
        "confidence": label.confidence,
        "note": label.note,
    }


@login_required
def label_next(request: HttpRequest) -> HttpResponse:
    """To the next neuron that awaits this person's reading."""
    wanted = help_wanted(request.user)
    network = request.GET.get("network", "").replace("\0", "")
    layer = request.GET.get("layer", "").replace("\0", "")
    if network:
        wanted = wanted.filter(layer__network__name=network)
    if layer:
        wanted = wanted.filter(layer__name=layer)
    after = request.GET.get("after", "")
    if after.isascii() and after.isdigit() and len(after) < 16:
        wanted = wanted.exclude(pk=int(after))
    neuron = wanted.first()
    if neuron is None:
        where = Layer.objects.filter(network__name=network, name=layer).select_related("network").first()
        every = Neuron.objects.filter(layer=where) if where else Neuron.objects.all()
        return render(request, "labels/none.html", {"layer": where, "pictured": with_something_to_see(every).exists()})
    return redirect(neuron)
