"""Evidence as exhibits on a neuron's page, a version's permalink, its files, and asking for more."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from django import forms
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import FileResponse, Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.functional import cached_property
from django.utils.safestring import SafeString
from django.views.decorators.http import require_POST, require_safe

from taxonomy import recipes, storage
from taxonomy.actions import evidence as actions
from taxonomy.models import Artifact, Evidence, EvidenceVersion, ImageSet, Layer, Neuron, Outcome, Sprite
from taxonomy.pages.networks import applicable, layer_of
from taxonomy.pages.people import asking
from taxonomy.rendering import plots

SHOWN_WEIGHTS = 50
STRONG = 0.3  # of the largest magnitude: the rule of the Circuits articles for what belongs in a diagram


@dataclass
class Weight:
    """One neighbour's kernel."""

    layer: Layer
    index: int
    kernel: Any
    strongest: float
    strong: bool
    linearised: bool


@dataclass
class Weights:
    rows: list[Weight]
    total: int
    scale: float
    linearised: bool

    @property
    def strong(self) -> list[Weight]:
        return [row for row in self.rows if row.strong]

    @property
    def rest(self) -> list[Weight]:
        return [row for row in self.rows if not row.strong]


@dataclass
class Example:
    """A dataset example: what the neuron saw of it, and the whole picture with that part marked."""

    rank: int
    image: str
    value: float
    row: int
    column: int
    clipped: bool
    crop: SafeString
    place: SafeString


@dataclass
class Exhibit:
    """A kind of evidence of one neuron as it is shown: a version, or why there is none."""

    neuron: Neuron
    kind: recipes.Kind
    variant: str
    layers: Mapping[str, Layer]
    version: EvidenceVersion | None = None
    waiting: Evidence | None = None  # queued, running, failed or cancelled; newer than the version, or instead of one
    full: float = 0.0  # of several tuning curves to one scale, the response that reaches the outer circle

    @property
    def slug(self) -> str:
        return "-".join(filter(None, [self.kind.name, self.variant])).replace("_", "-")

    @property
    def title(self) -> str:
        order = self.neuron.layer.order
        neighbours = {layer.order: layer.name for layer in self.layers.values()}
        if self.kind.name == "weights":
            name = neighbours.get(order - 1 if self.variant == "in" else order + 1, "")
            return f"Weights in, from {name}" if self.variant == "in" else f"Weights out, to {name}"
        if self.kind.name == "tuning_curves":
            return {"curve": "Tuning to curves", "line": "Tuning to lines"}.get(self.variant, self.kind.title)
        return self.kind.title

    @property
    def state(self) -> str:
        """absent, queued, running, failed, cancelled or done."""
        if self.version is not None:
            return str(Outcome.DONE)
        return self.waiting.status if self.waiting else "absent"

    @property
    def pending(self) -> bool:
        return self.waiting is not None and self.waiting.status in (Outcome.QUEUED, Outcome.RUNNING)

    @cached_property
    def files(self) -> dict[str, Artifact]:
        return {file.name: file for file in self.version.artifacts.all()} if self.version else {}

    @cached_property
    def pictures(self) -> dict[str, str]:
        return {name: href(file) for name, file in self.files.items() if name != "data"}

    @cached_property
    def data(self) -> Any:
        """The numbers; None when there are none, or their file is gone from the store."""
        file = self.files.get("data")
        try:
            return json.loads(storage.read(file.sha256)) if file else None
        except (OSError, ValueError):
            return None

    @property
    def data_href(self) -> str:
        return href(self.files["data"]) if "data" in self.files else ""

    @cached_property
    def examples(self) -> list[Example]:
        found = []
        size = int(self.neuron.layer.network.preprocessing["size"])
        for rank, row in enumerate(self.data or [], start=1):
            picture = self.pictures.get(f"top_{rank}")
            if picture:
                found.append(
                    Example(
                        *(rank, row["image"], row["value"], row["row"], row["column"], bool(row["clipped"])),
                        crop=plots.crop(picture, size, row["box"], f"What the neuron sees of {row['image']}"),
                        place=plots.place(picture, size, row["box"]),
                    )
                )
        return found

    def face(self) -> str:
        """The picture that stands for the neuron, where this kind has one."""
        return self.pictures.get("image") or self.pictures.get("kernel") or ""

    def radial(self, face: str) -> SafeString:
        data = self.data
        return plots.radial(
            self.neuron.address,
            data["angles"],
            data["responses"],
            stimulus=data["stimulus"],
            peak=data.get("peak"),
            face=face,
            full=self.full,
        )

    @property
    def strongest(self) -> float:
        """A tuning curve's largest response."""
        return float(max((self.data or {}).get("responses") or [0.0]))

    @cached_property
    def numbers(self) -> list[tuple[float, float]]:
        """The tuning curve every five degrees."""
        data = self.data or {"angles": [], "responses": []}
        pairs = zip(data["angles"], data["responses"], strict=True)
        return [(angle, value) for angle, value in pairs if angle % 5 == 0]

    @cached_property
    def weights(self) -> Weights:
        rows = []
        found = self.data or []
        scale = max((abs(plots.largest(row["kernel"])) for row in found[:SHOWN_WEIGHTS]), default=0.0)
        for row in found[:SHOWN_WEIGHTS]:
            name, _, index = row["neuron"].rpartition(":")
            strongest = plots.largest(row["kernel"])
            layer = self.layers.get(name)
            if layer is not None and strongest:
                rows.append(
                    Weight(
                        *(layer, int(index), row["kernel"], strongest),
                        strong=abs(strongest) >= STRONG * scale,
                        linearised=bool(row.get("linearised")),
                    )
                )
        return Weights(rows, len(found), scale, any(row.linearised for row in rows))


def href(file: Artifact) -> str:
    return reverse("artifact", args=[file.sha256, file.suffix])


def variant_of(kind: str, parameters: Mapping[str, Any]) -> str:
    """What tells apart several exhibits of one kind."""
    return str(parameters.get("stimulus") or parameters.get("direction") or "")


def exhibits(neuron: Neuron, layers: Iterable[Layer]) -> list[Exhibit]:
    """Every exhibit that applies to the neuron, made or not, and what came with an import. Two queries."""
    by_name = {layer.name: layer for layer in layers}
    found: dict[tuple[str, str], Exhibit] = {}
    for kind in applicable(neuron.layer, len(by_name)) if neuron.layer.network.runs else []:
        for parameters in kind.variants_for(neuron.layer.order, len(by_name)):
            variant = variant_of(kind.name, parameters)
            found[kind.name, variant] = Exhibit(neuron, kind, variant, by_name)
    rows = (
        Evidence.objects.filter(neuron=neuron)
        .select_related("current", "image_set", "shard__job")
        .prefetch_related("current__artifacts")
        .order_by("pk")
    )
    for row in rows:
        if row.kind not in recipes.KINDS:
            continue
        variant = variant_of(row.kind, row.parameters)
        place = found.setdefault((row.kind, variant), Exhibit(neuron, recipes.KINDS[row.kind], variant, by_name))
        row.neuron = neuron
        if row.status == Outcome.DONE and row.current is not None:
            row.current.evidence = row
            if place.version is None or row.current.made_at >= place.version.made_at:
                place.version, place.waiting = row.current, None
        elif row.status != Outcome.CANCELLED or place.version is None:
            place.waiting = row
    return list(found.values())


def done(neurons: Iterable[Neuron], *, kinds: Iterable[str]) -> dict[int, dict[str, Exhibit]]:
    """For each neuron (by id) its newest evidence of these kinds, where it is made, by slug. Two queries."""
    found: dict[int, dict[str, Exhibit]] = {neuron.pk: {} for neuron in neurons}
    by_pk = {neuron.pk: neuron for neuron in neurons}
    rows = Evidence.objects.filter(neuron__in=by_pk, kind__in=kinds, status=Outcome.DONE).order_by("pk")
    for row in rows.select_related("current").prefetch_related("current__artifacts"):
        exhibit = Exhibit(
            by_pk[row.neuron_id], recipes.KINDS[row.kind], variant_of(row.kind, row.parameters), {}, row.current
        )
        found[row.neuron_id][exhibit.slug] = exhibit
    return found


@require_safe
def version(request: HttpRequest, public_id: str) -> HttpResponse:
    shown = get_object_or_404(
        EvidenceVersion.objects.select_related(
            "evidence__neuron__layer__network", "evidence__image_set", "evidence__current"
        ).prefetch_related("artifacts"),
        public_id=public_id,
    )
    row = shown.evidence
    here, layers = layer_of(row.network.name, row.neuron.layer.name)
    row.neuron.layer = here
    exhibit = Exhibit(
        row.neuron,
        recipes.KINDS[row.kind],
        variant_of(row.kind, row.parameters),
        {layer.name: layer for layer in layers},
        shown,
    )
    context = {
        "network": here.network,
        "neuron": row.neuron,
        "exhibit": exhibit,
        "version": shown,
        "evidence": row,
        "versions": row.versions.order_by("-number"),
        "face": "",
        "permalink": True,
    }
    return render(request, "evidence/version.html", context)


@require_safe
def artifact(request: HttpRequest, sha256: str, suffix: str) -> HttpResponseBase:
    """A file of a version, or a sprite. Its name is its content, so it may be kept for ever."""
    known = Artifact.objects.filter(sha256=sha256, suffix=suffix).exists() or (
        suffix == ".webp" and Sprite.objects.filter(sha256=sha256).exists()
    )
    if not known:
        raise Http404("There is no such file.")
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


class RequestForm(forms.Form):
    """Which kinds to make, from which images."""

    def __init__(self, *args: Any, kinds: Iterable[recipes.Kind], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choices = [(kind.name, kind.title) for kind in kinds]
        self.fields["kinds"] = forms.MultipleChoiceField(
            choices=choices, error_messages={"required": "Choose at least one kind of evidence."}
        )
        self.fields["image_set"] = forms.ModelChoiceField(
            ImageSet.objects.all(),
            to_field_name="name",
            required=False,
            error_messages={"invalid_choice": "There is no such image set."},
        )


@require_POST
def request_evidence(request: HttpRequest, name: str, layer_name: str, index: int | None = None) -> HttpResponse:
    """Ask for evidence of a neuron, or of a whole layer."""
    here, layers = layer_of(name, layer_name)
    back = here.get_absolute_url() if index is None else f"{here.get_absolute_url()}{index}/"
    form = RequestForm(request.POST, kinds=applicable(here, len(layers)))
    if not form.is_valid():
        for errors in form.errors.values():
            messages.error(request, " ".join(str(error) for error in errors))
        return redirect(back)
    try:
        requested = actions.request(
            asking(request),
            here.network,
            layers=[here],
            neurons=None if index is None else [index],
            kinds=form.cleaned_data["kinds"],
            image_set=cast("ImageSet | None", form.cleaned_data["image_set"]),
        )
    except (recipes.RecipeError, ValidationError) as error:
        messages.error(request, str(error))
        return redirect(back)
    if requested.job is None:
        messages.info(request, "All of that is there already, or under way.")
        return redirect(back)
    messages.success(request, f"Asked for: {requested.job.title}.")
    return redirect(requested.job if index is None else back)
