"""Evidence as a page shows it: which there is of a subject, how far it is, and what its files say."""

import json
import logging
import shlex
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import OuterRef, Q, QuerySet
from django.db.models.functions import JSONObject
from django.urls import reverse
from django.utils.functional import cached_property

from taxonomy import recipes, storage
from taxonomy.actions.evidence import newest
from taxonomy.models import (
    Artifact,
    Claim,
    Evidence,
    EvidenceVersion,
    Family,
    Layer,
    Membership,
    Network,
    Neuron,
    Outcome,
    Photograph,
)

logger = logging.getLogger(__name__)

# What a kind is for, in a line: told where it was not made yet.
ABOUT = {
    "kernels": "the raw weights, as pictures",
    "feature_visualization": "the picture that drives it most, and the one that drives it least",
    "dataset_examples": "the pictures of a set that excite it most, and examples over its whole range",
    "activation_histogram": "how often it has which value",
    "tuning_curves": "its responses to curves, lines, gratings, edges, spots and hues",
    "weights": "what excites and inhibits it, and what it excites and inhibits",
    "neighbours": "the neurons that are most like it, here and in other networks",
    "weight_factors": "the few themes that its weights are made of, each with a picture",
    "decomposed_visualization": "what it looks for at each position",
    "facets": "its examples, sorted into the different things that it may mean",
    "attribution": "where in a picture its value comes from",
    "joint_tuning": "dataset examples of every member turned round, and how each member responds",
    "family_weights": "the weights between two families as a matrix of kernels",
    "layer_weights": "the weights between two whole layers, to walk along",
}
STIMULUS_TITLES = {
    "curve": "Curves",
    "line": "Lines",
    "grating": "Gratings",
    "high_low": "High-low frequency",
    "centre_surround": "Centre and surround",
    "hue": "Hue",
}


class Photographs:
    """Where the pictures of image sets are found as a network sees them. What is wanted is looked up in one query."""

    def __init__(self, network: Network) -> None:
        seen = network.preprocessing or {}
        self.size = int(seen.get("size") or 0)
        self.resize = int(seen.get("resize") or self.size)
        self._wanted: set[tuple[int, int]] = set()
        self._found: dict[tuple[int, int], tuple[str, str]] = {}

    def want(self, image_set: int | None, indices: Iterable[int]) -> None:
        if image_set is not None:
            self._wanted |= {(image_set, int(index)) for index in indices}

    def find(self, image_set: int | None, index: int) -> tuple[str, str]:
        """The picture's address and name, both empty where it was not kept."""
        if image_set is None:
            return "", ""
        self.want(image_set, [index])
        missing = self._wanted - self._found.keys()
        if missing:
            places = Q()
            for one in {pk for pk, _ in missing}:
                places |= Q(image__image_set=one, image__index__in=[index for pk, index in missing if pk == one])
            kept = Photograph.objects.filter(places, size=self.size, resize=self.resize)
            self._found |= dict.fromkeys(missing, ("", ""))
            for pk, found, name, sha256 in kept.values_list(
                "image__image_set", "image__index", "image__name", "sha256"
            ):
                self._found[pk, found] = reverse("artifact", args=[sha256, ".webp"]), name
        return self._found[image_set, index]


class Kin:
    """Which families neurons are in now. What is wanted of several layers is looked up in one query."""

    def __init__(self, hidden: Collection[int] = ()) -> None:
        self.hidden = hidden  # neurons whose family is not told to whoever looks
        self._wanted: dict[int, tuple[Layer, set[int]]] = {}
        self._found: dict[tuple[int, int], Family] | None = None

    def want(self, layer: Layer, indices: Iterable[int]) -> None:
        self._wanted.setdefault(layer.pk, (layer, set()))[1].update(int(index) for index in indices)

    def family(self, layer: Layer, index: int) -> Family | None:
        if self._found is None:
            places = Q(pk=None)
            for pk, (_, indices) in self._wanted.items():
                places |= Q(neuron__layer=pk, neuron__index__in=indices)
            members = Membership.objects.shown(self.hidden).filter(places, primary=True)
            members = members.select_related("family", "neuron")
            self._found = {}
            for member in members if self._wanted else []:
                member.family.layer = self._wanted[member.neuron.layer_id][0]
                self._found[member.neuron.layer_id, member.neuron.index] = member.family
        return self._found.get((layer.pk, index))


@dataclass
class Shelf:
    """What the exhibits of one page share."""

    network: Network
    layers: Mapping[str, Layer]
    photographs: Photographs
    kin: Kin = field(default_factory=Kin)
    face: str = ""  # the address of the picture that stands for the neuron
    full: float = 0.0  # of several tuning curves to one scale, the response that reaches the outer circle
    sd: float | None = None  # of the neuron's values over an image set: what responses are measured in
    near: dict[str, tuple[list[Any], list[Any]]] = field(default_factory=dict)  # neighbours here and elsewhere

    @classmethod
    def of(cls, network: Network, layers: Iterable[Layer], hidden: Collection[int] = ()) -> "Shelf":
        return cls(network, {layer.name: layer for layer in layers}, Photographs(network), Kin(hidden))


@dataclass
class Exhibit:
    """A kind of evidence of one subject as it is shown: a version, or why there is none."""

    kind: recipes.Kind
    variant: str
    values: Mapping[str, Any]  # the parameters
    shelf: Shelf
    neuron: Neuron | None = None
    family: Family | None = None
    other: Family | None = None
    claim: Claim | None = None
    layer: Layer | None = None  # where it is of a whole layer
    version: EvidenceVersion | None = None
    waiting: Evidence | None = None  # queued, running, failed or cancelled; newer than the version, or instead of one
    panel: dict[str, Any] | None = None  # what its template shows (``panels.fill``); None where its files are spoilt

    @classmethod
    def of(cls, version: EvidenceVersion, shelf: Shelf) -> "Exhibit":
        """A version of a neuron, a family, or two of them."""
        row = version.evidence
        kind, variant = recipes.KINDS[row.kind], recipes.variant_of(row.kind, row.parameters)
        return cls(kind, variant, row.parameters, shelf, row.neuron, row.family, row.other, version=version)

    @property
    def slug(self) -> str:
        return "-".join(filter(None, [self.kind.name, self.variant])).replace("_", "-").replace(".", "-")

    @property
    def title(self) -> str:
        values, name = self.values, self.kind.name
        if name == "weights":
            return f"Weights {'in, from' if values.get('direction') == 'in' else 'out, to'} {values.get('layer', '')}"
        if name == "tuning_curves":
            return f"Tuning to {STIMULUS_TITLES.get(self.variant, self.variant).lower()}"
        if name == "layer_weights":
            return f"Weights in, from {values['layer']}"
        if name == "feature_visualization" and self.variant:
            return {"negative": "What it is against", "channel": "Over the whole canvas"}[self.variant]
        if name == "neighbours":
            return {
                "activation": "By what excites them",
                "weights": "By their weights",
                "rotation": "Turned round",
            }[self.variant]
        if name == "decomposed_visualization":
            return f"What it looks for in {values.get('layer', '')}, by position"
        if name == "weight_factors":
            return f"Themes of its weights from {values.get('layer', '')}"
        if name == "family_weights" and self.other is not None and self.family is not None:
            return f"{self.other.name} ({self.other.layer.name}) to {self.family.name} ({self.family.layer.name})"
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

    @property
    def absent(self) -> bool:
        """There is nothing to show of it: neither a version, nor that it is under way or failed."""
        return self.state in ("absent", Outcome.CANCELLED)

    @property
    def template(self) -> str:
        return f"evidence/_{self.kind.name}.html"

    @property
    def subject(self) -> str:
        if self.claim is not None:
            return f"“{self.claim}”"
        if self.layer is not None:
            return self.layer.name
        return self.neuron.address if self.neuron is not None else str(self.family.name if self.family else "")

    @property
    def home(self) -> str:
        """The page of its subject."""
        if self.layer is not None:
            ends = urlencode({"from": self.values["layer"], "to": self.layer.name})
            return f"{reverse('weights_explorer', args=[self.shelf.network.name])}?{ends}"
        subject = self.neuron or self.family or self.claim
        return subject.get_absolute_url() if subject is not None else ""

    @cached_property
    def files(self) -> dict[str, Artifact]:
        return {file.name: file for file in files_of(self.version)} if self.version else {}

    @cached_property
    def pictures(self) -> dict[str, str]:
        return {name: href(file) for name, file in self.files.items() if file.suffix in PICTURES}

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

    @property
    def image_set(self) -> int | None:
        return self.version.evidence.image_set_id if self.version else None

    @property
    def outdated(self) -> bool:
        """Made by an earlier version of its recipe."""
        return self.version is not None and self.version.evidence.recipe_version < self.kind.version

    def face(self) -> str:
        """The picture that stands for the neuron, where this kind has one."""
        return self.pictures.get("image") or self.pictures.get("kernel") or ""

    @property
    def command(self) -> str:
        """The command line that makes it."""
        if self.claim is not None:
            return f"./run manage state_claim --claim {self.claim.public_id} --run"
        words = ["./run manage request_evidence", self.shelf.network.name]
        if self.neuron is not None:
            words += ["--layer", self.neuron.layer.name, "--neurons", str(self.neuron.index)]
        elif self.family is not None:
            words += ["--layer", self.family.layer.name, "--family", shlex.quote(self.family.name)]
            words += ["--other", shlex.quote(self.other.name)] if self.other is not None else []
        elif self.layer is not None:
            words += ["--layer", self.layer.name]
        words += ["--kind", self.kind.name]
        free = {*self.kind.limits, *self.kind.choices, *self.kind.picks, *(["layer"] if self.kind.layer else [])}
        for name, value in sorted(self.values.items()):
            words += ["--set", f"{self.kind.name}.{name}={value}"] if name in free else []
        if self.version is not None and self.version.evidence.image_set is not None:
            words += ["--images", self.version.evidence.image_set.name]
        return " ".join(words)

    @cached_property
    def recipe(self) -> str:
        """Everything that decides what it shows, and where it was made, as text to copy."""
        if self.version is None:
            return ""
        row = self.version.evidence
        lines = [f"kind         {row.kind}, version {row.recipe_version}", f"subject      {row.subject}"]
        lines += [f"             {key} = {_told(value)}" for key, value in sorted(row.parameters.items())]
        lines.append(f"weights      {self.shelf.network.weights_digest or 'none'}")
        lines.append(f"images       {f'{row.image_set.name} {row.image_set.digest}' if row.image_set else 'none'}")
        lines.append(f"environment  {_told(self.version.environment) or 'not recorded'}")
        lines.append(f"key          {row.key}")
        lines.append(f"made         {self.version.made_at:%Y-%m-%d %H:%M} UTC, version {self.version.number}")
        return "\n".join(lines)


def files(version: str) -> ArraySubquery:
    """The files of the version at this path, as a column ``files`` of a row that is read anyway."""
    found = Artifact.objects.filter(version=OuterRef(version))
    return ArraySubquery(found.values(told=JSONObject(name="name", sha256="sha256", suffix="suffix")))


def files_of(version: EvidenceVersion) -> list[Artifact]:
    """Its files: no query where it was read with the column ``files``."""
    rows = getattr(version, "files", None)
    return list(version.artifacts.all()) if rows is None else [Artifact(version=version, **row) for row in rows]


PICTURES = (".webp", ".png", ".jpg")


def _told(value: Any) -> str:
    if isinstance(value, dict):
        return "; ".join(f"{key} {_told(inner)}" for key, inner in sorted(value.items()))
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def href(file: Artifact) -> str:
    return reverse("artifact", args=[file.sha256, file.suffix])


def applicable(layer: Layer, layers: Sequence[Layer]) -> list[recipes.Kind]:
    """The kinds of evidence that can be computed for a layer's neurons."""
    names = [one.name for one in layers]
    return [
        kind
        for kind in (recipes.KINDS[name] for name in recipes.COMPUTED)
        if kind.subject == "neuron" and not kind.required and kind.variants_for(layer.order, names)
    ]


def exhibits(
    neuron: Neuron, layers: Sequence[Layer], kinds: Iterable[str] = (), *, hidden: Collection[int] = ()
) -> list[Exhibit]:
    """Every exhibit that applies to the neuron, made or not, and what came with an import; or of these kinds alone.

    One query. Of neurons that are ``hidden`` from whoever looks no family is told.
    """
    wanted = set(kinds) or set(recipes.KINDS)
    shelf = Shelf.of(neuron.layer.network, layers, hidden)
    names = [layer.name for layer in layers]
    found: dict[tuple[str, str], Exhibit] = {}
    for kind in applicable(neuron.layer, layers) if neuron.layer.network.runs else []:
        for values in kind.variants_for(neuron.layer.order, names) if kind.name in wanted else []:
            variant = recipes.variant_of(kind.name, values)
            found[kind.name, variant] = Exhibit(kind, variant, values, shelf, neuron)
    for row in rows_of(Evidence.objects.filter(neuron=neuron, kind__in=wanted)):
        row.neuron = neuron
        variant = recipes.variant_of(row.kind, row.parameters)
        blank = Exhibit(recipes.KINDS[row.kind], variant, row.parameters, shelf, neuron)
        put(found.setdefault((row.kind, variant), blank), row)
    return list(found.values())


def rows_of(evidence: QuerySet[Evidence]) -> list[Evidence]:
    """The rows with their current versions and files. One query."""
    rows = evidence.filter(kind__in=recipes.KINDS).select_related("current", "image_set", "shard__job")
    return with_files(rows.order_by("pk"))


def with_files(rows: QuerySet[Evidence]) -> list[Evidence]:
    """These, the files of their current versions read with them."""
    found: list[Evidence] = list(rows.annotate(files=files("current")))
    for row in found:
        if row.current is not None:
            row.current.files = row.files  # type: ignore[attr-defined]
    return found


def put(place: Exhibit, row: Evidence) -> None:
    """Show the row there, if what is there is not newer."""
    if row.status == Outcome.DONE and row.current is not None:
        row.current.evidence = row
        if place.version is None or row.current.made_at >= place.version.made_at:
            place.version, place.waiting, place.values = row.current, None, row.parameters
    elif row.status != Outcome.CANCELLED or place.version is None:
        place.waiting = row


def done(neurons: Iterable[Neuron], *, kinds: Iterable[str]) -> dict[int, dict[str, Exhibit]]:
    """For each neuron (by id) its newest evidence of these kinds, where it is made, by slug. Two queries."""
    by_pk = {neuron.pk: neuron for neuron in neurons}
    shelves: dict[int, Shelf] = {}
    found: dict[int, dict[str, Exhibit]] = {}
    for pk, versions in newest(by_pk.values(), kinds).items():
        network = by_pk[pk].layer.network
        shelf = shelves.setdefault(network.pk, Shelf.of(network, []))
        found[pk] = {one.slug: one for one in (Exhibit.of(version, shelf) for version in versions.values())}
    return found
