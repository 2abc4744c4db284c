"""A version's permalink, its files, the same run again, and asking for more."""

from collections.abc import Iterable
from typing import Any, cast
from urllib.parse import urlencode

from csp.decorators import csp_replace
from django import forms
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import FileResponse, Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.clickjacking import xframe_options_exempt
from django.views.decorators.http import require_POST, require_safe

from taxonomy import plans, recipes, storage
from taxonomy.actions import claims
from taxonomy.actions import evidence as actions
from taxonomy.models import (
    Artifact,
    Comparison,
    EvidenceVersion,
    Family,
    ImageSet,
    Layer,
    Neuron,
    Outcome,
    Photograph,
    Sprite,
    User,
)
from taxonomy.pages import near, panels
from taxonomy.pages.exhibits import Exhibit, Shelf, applicable
from taxonomy.pages.networks import WHOLE, layer_of, layers_of
from taxonomy.pages.numbers import whole
from taxonomy.pages.people import asking
from taxonomy.permissions import (
    can_request_evidence,
    can_run_claim,
    can_see_claim,
    can_see_members,
    hidden_from,
    require,
)
from taxonomy.rendering import sprites


def shown_alone(request: HttpRequest, public_id: str) -> tuple[Exhibit, EvidenceVersion, list[Layer]]:
    """The exhibit of one version, for a page of its own, and its network's layers.

    Raises:
        Refused: while it would tell whoever asks the family of a neuron that they are to read first.
    """
    version = get_object_or_404(
        EvidenceVersion.objects.select_related(
            "evidence__neuron__layer__network",
            *("evidence__network", "evidence__image_set", "evidence__current"),
            *("evidence__family__layer", "evidence__other__layer"),
            *("evidence__claim__note", "evidence__claim__neuron", "evidence__claim__family__layer__network"),
            "evidence__layer__network",
        ).prefetch_related("artifacts"),
        public_id=public_id,
    )
    row = version.evidence
    hidden = hidden_from(request.user)
    require(can_see_members(row.names(Neuron.objects.with_layers(hidden if row.family_id else ()))))
    if row.claim is not None:
        require(can_see_claim(request.user, row.claim, hidden))
        if isinstance(request.user, User):
            claims.look(request.user, [row.claim])
    layers = layers_of(row.network.name)
    own = {layer.pk: layer for layer in layers}
    for subject in (row.neuron, row.family, row.other):
        if subject is not None:
            subject.layer = own.get(subject.layer_id) or subject.layer
    row.network = layers[0].network
    exhibit = Exhibit(
        recipes.KINDS[row.kind],
        recipes.variant_of(row.kind, row.parameters),
        row.parameters,
        Shelf.of(row.network, layers, hidden),
        neuron=row.neuron,
        family=row.family,
        other=row.other,
        claim=row.claim,
        layer=own[row.layer_id] if recipes.KINDS[row.kind].subject == "layer" else None,
        version=version,
    )
    if row.kind == "neighbours":
        near.find([exhibit])
    panels.fill([exhibit])
    return exhibit, version, layers


@require_safe
def version(request: HttpRequest, public_id: str) -> HttpResponse:
    exhibit, shown, _ = shown_alone(request, public_id)
    row = shown.evidence
    context = {
        "network": row.network,
        "layer": row.layer if exhibit.neuron is None else exhibit.neuron.layer,
        "neuron": exhibit.neuron,
        "exhibit": exhibit,
        "version": shown,
        "evidence": row,
        "versions": row.versions.order_by("-number"),
        "newer": shown.newer(),
        "comparisons": shown.comparisons.select_related("requested_by")[:10],
        "may_request": can_run_claim(request.user, row.claim)
        if row.claim
        else can_request_evidence(request.user, row.network),
        "quilt": panels.quilt(exhibit) if row.kind == "dataset_examples" and exhibit.panel else [],
        "embed": request.build_absolute_uri(reverse("evidence_embed", args=[public_id])),
        "plan": plans.in_words(row.parameters["plan"], row.network.class_names) if row.claim else "",
        "permalink": True,
    }
    return render(request, "evidence/version.html", context)


@require_safe
def quilt(request: HttpRequest, public_id: str) -> HttpResponse:
    """The examples over the whole range, for the neuron's page to fetch when they come into sight."""
    if not request.headers.get("HX-Request"):
        return redirect(f"{reverse('evidence_version', args=[public_id])}#quilt")
    exhibit, _, _ = shown_alone(request, public_id)
    if exhibit.kind.name != "dataset_examples":
        raise Http404("This evidence has no examples over a range.")
    return render(request, "evidence/_quilt.html", {"exhibit": exhibit, "quilt": panels.quilt(exhibit)})


@require_safe
@xframe_options_exempt
@csp_replace({"frame-ancestors": ["*"]})  # type: ignore[arg-type]
def embed(request: HttpRequest, public_id: str) -> HttpResponse:
    """A card for other people's pages."""
    exhibit, shown, _ = shown_alone(request, public_id)
    context = {"exhibit": exhibit, "version": shown, "network": shown.evidence.network, "embedded": True}
    return render(request, "evidence/embed.html", context)


@require_POST
def reproduce(request: HttpRequest, public_id: str) -> HttpResponse:
    """Run the recipe again, to see whether it gives the same."""
    found = get_object_or_404(EvidenceVersion.objects.select_related("evidence__network"), public_id=public_id)
    try:
        compared = actions.reproduce(asking(request), found)
    except (recipes.RecipeError, ValidationError) as error:
        messages.error(request, str(error))
        return redirect(found)
    return redirect(compared)


@require_safe
def comparison(request: HttpRequest, public_id: str) -> HttpResponse:
    """A recipe run again: both pictures side by side, and in what they differ."""
    compared = get_object_or_404(
        Comparison.objects.select_related("version", "requested_by", "shard__job"), public_id=public_id
    )
    exhibit, shown, _ = shown_alone(request, str(compared.version.public_id))
    context = {
        "compared": compared,
        "exhibit": exhibit,
        "version": shown,
        "network": shown.evidence.network,
        "layer": exhibit.neuron.layer if exhibit.neuron else shown.evidence.layer,
        "waiting": compared.status in (Outcome.QUEUED, Outcome.RUNNING),
        "pictures": [
            {
                "name": name,
                "before": exhibit.pictures.get(name, ""),
                "after": reverse("comparison_file", args=[public_id, name]) if name in compared.files else "",
                "difference": compared.pixels.get(name),
            }
            for name in sorted({*exhibit.pictures, *compared.files})
        ],
        "metrics": sorted(compared.metrics.items()),
        "environment": sorted(set(compared.environment) | set(shown.environment)),
        "same_environment": compared.same_environment,
    }
    template = "evidence/_comparison.html" if request.headers.get("HX-Request") else "evidence/comparison.html"
    return render(request, template, context)


@require_safe
def comparison_file(request: HttpRequest, public_id: str, name: str) -> HttpResponseBase:
    """A picture of the second run."""
    compared = get_object_or_404(Comparison, public_id=public_id)
    file = compared.files.get(name)
    if file is None:
        raise Http404("There is no such file.")
    return served(request, file["sha256"], file["suffix"])


@require_safe
def artifact(request: HttpRequest, sha256: str, suffix: str) -> HttpResponseBase:
    """A file of a version, a photograph or a sprite. Its name is its content, so it may be kept for ever."""
    known = Artifact.objects.filter(sha256=sha256, suffix=suffix).exists() or (
        suffix == ".webp"
        and (Photograph.objects.filter(sha256=sha256).exists() or Sprite.objects.filter(sha256=sha256).exists())
    )
    if not known:
        raise Http404("There is no such file.")
    return served(request, sha256, suffix)


def served(request: HttpRequest, sha256: str, suffix: str) -> HttpResponseBase:
    if request.headers.get("If-None-Match") == f'"{sha256}"':
        response: HttpResponseBase = HttpResponse(status=304)
    else:
        try:
            response = FileResponse(storage.open(sha256), content_type=storage.MEDIA_TYPES.get(suffix, "text/plain"))
        except OSError as error:
            raise Http404("This file is recorded, but it is gone from the store.") from error
    response["Cache-Control"] = "public, max-age=31536000, immutable"
    response["ETag"] = f'"{sha256}"'
    return response


@require_safe
def face(request: HttpRequest, name: str, layer_name: str, index: int) -> HttpResponse:
    """A neuron's small picture as a file of its own, for mails and feeds."""
    sprite = Sprite.objects.filter(layer__network__name=name, layer__name=layer_name).first()
    if sprite is None or index not in sprite.shown:
        raise Http404("There is no picture of this neuron yet.")
    etag = f'"{sprite.sha256}-{index}"'
    if request.headers.get("If-None-Match") == etag:
        response = HttpResponse(status=304)
    else:
        try:
            picture = sprites.cut(sprite.sha256, sprite.cell, sprite.columns, index)
        except OSError as error:
            raise Http404("This picture is recorded, but it is gone from the store.") from error
        response = HttpResponse(picture, content_type="image/png")
    response["Cache-Control"] = "public, max-age=86400"
    response["ETag"] = etag
    return response


# Fields that change one kind's recipe, and of which kind.
CHANGES = {
    "weights": ("direction", "layer"),
    "facets": ("facets",),
    "attribution": ("image", "row", "column", "layer"),
}


class RequestForm(forms.Form):
    """Which kinds to make, from which images; of some kinds also how."""

    direction = forms.ChoiceField(choices=[("in", "in"), ("out", "out")], required=False)
    facets = forms.IntegerField(min_value=2, max_value=6, required=False)
    image = forms.IntegerField(min_value=0, required=False)
    row = forms.IntegerField(min_value=0, required=False)
    column = forms.IntegerField(min_value=0, required=False)

    def __init__(self, *args: Any, kinds: Iterable[recipes.Kind], layers: Iterable[Layer] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choices = [(kind.name, kind.title) for kind in kinds]
        self.fields["kinds"] = forms.MultipleChoiceField(
            choices=choices, error_messages={"required": "Choose at least one kind of evidence."}
        )
        self.fields["layer"] = forms.ChoiceField(choices=[(layer.name, layer.name) for layer in layers], required=False)
        self.fields["image_set"] = forms.ModelChoiceField(
            ImageSet.objects.all(),
            to_field_name="name",
            required=False,
            error_messages={"invalid_choice": "There is no such image set."},
        )

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        if self.data.get("all"):
            data["kinds"] = [name for name, _ in self.fields["kinds"].choices]  # type: ignore[attr-defined]
            self.errors.pop("kinds", None)
        return data

    @property
    def changes(self) -> dict[str, dict[str, Any]]:
        """For each kind what the request changes in its recipe."""
        found = {}
        for kind in self.cleaned_data["kinds"]:
            values = {name: self.cleaned_data[name] for name in CHANGES.get(kind, ())}
            values = {name: value for name, value in values.items() if value not in (None, "")}
            if values:
                found[kind] = values
        return found

    @property
    def place(self) -> str:
        """Where on the neuron's page the answer will stand."""
        data = self.cleaned_data
        if data["kinds"] == ["attribution"]:
            example = f"{data['image']}-{data['row']}-{data['column']}"
            return f"?{urlencode({'example': example})}#example"
        if data["kinds"] == ["weights"] and data["direction"] and data["layer"]:
            return f"?{urlencode({data['direction']: data['layer']})}#weights-{data['direction']}-{data['layer']}"
        if data["kinds"] == ["facets"] and data["facets"]:
            return f"?{urlencode({'facets': data['facets']})}#facets"
        return ""


def ask(request: HttpRequest, form: RequestForm, **what: Any) -> Any:
    """Ask for what a valid form says; what came of it is told. None where the request could not be taken."""
    try:
        requested = actions.request(
            asking(request),
            kinds=form.cleaned_data["kinds"],
            image_set=cast("ImageSet | None", form.cleaned_data["image_set"]),
            **what,
        )
    except (recipes.RecipeError, ValidationError) as error:
        messages.error(request, str(error))
        return None
    if requested.job is None:
        messages.info(request, "All of that is there already, or under way.")
    else:
        messages.success(request, f"Asked for: {requested.job.title}.")
    return requested


def refuse(request: HttpRequest, form: RequestForm) -> None:
    for errors in form.errors.values():
        messages.error(request, " ".join(str(error) for error in errors))


@require_POST
def request_evidence(request: HttpRequest, name: str, layer_name: str, index: int | None = None) -> HttpResponse:
    """Ask for evidence of a neuron, or of a whole layer."""
    here, layers = layer_of(name, layer_name)
    back = here.get_absolute_url() if index is None else f"{here.get_absolute_url()}{index}/"
    kinds = applicable(here, layers)
    if index is not None and here.order:
        kinds.append(recipes.KINDS["attribution"])
    form = RequestForm(request.POST, kinds=kinds, layers=layers)
    if not form.is_valid():
        refuse(request, form)
        return redirect(back)
    neurons = None if index is None else [index]
    requested = ask(request, form, network=here.network, layers=[here], neurons=neurons, parameters=form.changes)
    if requested is None:
        return redirect(back)
    if requested.job is not None and index is None:
        return redirect(requested.job)
    return redirect(back + form.place)


@require_POST
def request_of_network(request: HttpRequest, name: str) -> HttpResponse:
    """Ask for evidence of every neuron of a network."""
    layers = layers_of(name)
    here = layers[0].network
    form = RequestForm(request.POST, kinds=WHOLE)
    if not form.is_valid():
        refuse(request, form)
        return redirect(here)
    requested = ask(request, form, network=here)
    return redirect(requested.job if requested is not None and requested.job is not None else here)


@require_POST
def request_of_family(request: HttpRequest, name: str, layer_name: str, pk: int) -> HttpResponse:
    """Ask for evidence of a family, or of the weights between two."""
    here, _ = layer_of(name, layer_name)
    families = {
        family.pk: family
        for family in Family.objects.filter(layer__network=here.network, retired_at=None).select_related(
            "layer__network"
        )
    }
    found = families.get(pk)
    if found is None or found.layer_id != here.pk:
        raise Http404(f"{here} has no such family. The families of {here.name} are on its page.")
    form = RequestForm(request.POST, kinds=[recipes.KINDS[kind] for kind in FAMILY_KINDS])
    if not form.is_valid():
        refuse(request, form)
        return redirect(found)
    what: dict[str, Any] = {"network": here.network, "families": [found]}
    if form.cleaned_data["kinds"] == ["family_weights"]:
        chosen = whole(request.POST.get("other"))
        other = families.get(chosen) if chosen is not None else None
        if other is None or other.layer.order == here.order:
            messages.error(request, "Choose a family of another layer.")
            return redirect(found)
        earlier, later = sorted((other, found), key=lambda family: family.layer.order)
        what |= {"families": [later], "other": earlier}
    ask(request, form, **what)
    return redirect(f"{found.get_absolute_url()}#wiring-h" if "other" in what else found)


FAMILY_KINDS = tuple(kind.name for kind in recipes.KINDS.values() if kind.subject == "family")
