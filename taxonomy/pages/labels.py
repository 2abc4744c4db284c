"""Labelling: the queue, which hands out one neuron after the other, and what every form for a reading shares."""

import datetime
import uuid
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import ValidationError
from django.db.models import Count, Exists, Max, OuterRef, Q, Subquery
from django.db.models.functions import Coalesce
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode
from django.views.decorators.http import require_POST, require_safe

from taxonomy import recipes
from taxonomy.actions import gold, labels, leases, overlaps
from taxonomy.models import (
    SETTLED,
    Confidence,
    EvidenceVersion,
    Family,
    Label,
    Layer,
    Lease,
    Membership,
    Network,
    Neuron,
    Reveal,
    User,
    Verdict,
)
from taxonomy.pages.exhibits import exhibits
from taxonomy.pages.home import with_something_to_see
from taxonomy.pages.networks import layer_of, layers_of
from taxonomy.pages.numbers import whole
from taxonomy.pages.people import asking
from taxonomy.pages.stand import Stand
from taxonomy.permissions import Denied, Refused, can_label, can_undo_label, hidden_from

# What a quick reading looks at; the rest is on the neuron's own page.
QUICK = (
    *("feature_visualization", "kernels", "imported_picture", "dataset_examples", "activation_histogram"),
    *("tuning_curves", "weights", "facets"),
)
# The keys of families: the digits, then the letters that are not commands of the queue or of the sheet.
COMMANDS = "acxnpuso"
KEYS = "123456789" + "".join(letter for letter in "abcdefghijklmnopqrstuvwxyz" if letter not in COMMANDS)
# So many members stand for a family, where it is chosen.
EXEMPLARS = 8
# So many neurons that a person skipped are passed over in a sitting; then the oldest come again.
PASSED = 500
# A pause of this length begins a new count of what one has read in a sitting.
SITTING = datetime.timedelta(hours=12)


class Numbers(forms.MultipleChoiceField):
    """Any numbers, not a choice among known ones."""

    def valid_value(self, value: str) -> bool:
        return whole(value) is not None


class LabelForm(forms.Form):
    """One reading. ``reading`` is a family's id, "cannot tell" or "none of these"."""

    no_finer = forms.BooleanField(required=False)
    polysemantic = forms.BooleanField(required=False)
    missing_evidence = forms.ChoiceField(
        required=False,
        choices=[("", "Choose one"), *((name, recipes.KINDS[name].title) for name in recipes.OF_NEURONS)],
    )
    suggested_name = forms.CharField(required=False, max_length=120)
    confidence = forms.ChoiceField(choices=Confidence.choices, initial=Confidence.MEDIUM)
    note = forms.CharField(required=False, max_length=5_000, widget=forms.Textarea)
    submission = forms.UUIDField(required=False)

    def __init__(
        self,
        *args: Any,
        layer: Layer,
        families: Sequence[Family],
        exemplars: Mapping[int, list[int]] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.families = {str(family.pk): family for family in families}
        self.exemplars = exemplars or {}
        self.finer = {family.parent_id for family in families if family.parent_id}
        # Each form that is shown may be sent once.
        self.key = str(uuid.uuid4())
        names = [(key, family.name) for key, family in self.families.items()]
        self.fields["reading"] = forms.ChoiceField(
            choices=[*names, *((word, word) for word in (Verdict.CANNOT_TELL, Verdict.NONE_OF_THESE))],
            error_messages={
                "required": "Choose a family, or say “cannot tell” or “none of these”.",
                "invalid_choice": f"That is no family of {layer.name}. Choose one from the list.",
            },
        )
        self.fields["further"] = forms.MultipleChoiceField(
            required=False,
            choices=names,
            error_messages={"invalid_choice": f"That is no family of {layer.name}. Choose one from the list."},
        )
        # The versions that were on the page; what is not this neuron's is left out by the action.
        self.fields["seen"] = Numbers(required=False)

    @property
    def chosen(self) -> str:
        value = self["reading"].value()
        return str(value or "")

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The families to choose from, each below its parent, with neurons that are in it and the key that says it."""
        further = set(self["further"].value() or [])
        found = sorted(self.families.values(), key=self._path)
        keys = [*KEYS, *[""] * len(found)]
        return [
            {
                "key": str(family.pk),
                "family": family,
                "shortcut": keys[place],
                "depth": min(len(self._line(family)) - 1, 3),
                "finer": family.pk in self.finer,
                "faces": self.exemplars.get(family.pk, [])[:3],
                "more": self.exemplars.get(family.pk, [])[:EXEMPLARS],
                "checked": str(family.pk) == self.chosen,
                "further": str(family.pk) in further,
            }
            for place, family in enumerate(found)
        ]

    def _line(self, family: Family) -> list[Family]:
        """The family and those above it, the topmost first."""
        line = [family]
        while line[0].parent_id and (above := self.families.get(str(line[0].parent_id))) and above not in line:
            line.insert(0, above)
        return line

    def _path(self, family: Family) -> list[tuple[bool, str, int]]:
        return [(one.kind != "natural", one.name.casefold(), one.pk) for one in self._line(family)]

    @property
    def missing(self) -> list[tuple[str, str, str]]:
        """The kinds of evidence that may be missing, each with the key that names it."""
        kinds = [(name, recipes.KINDS[name].title) for name in recipes.OF_NEURONS]
        return [(key, name, title) for key, (name, title) in zip(KEYS, kinds, strict=False)]

    @property
    def sentences(self) -> list[str]:
        return [str(error) for errors in self.errors.values() for error in errors]

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
        "further": [str(family.pk) for family in (label.further.all() if label.polysemantic else ())],
        "missing_evidence": label.missing_evidence,
        "suggested_name": label.suggested_name,
        "confidence": label.confidence,
        "note": label.note,
    }


def spoken(data: QueryDict) -> QueryDict:
    """What was sent, where a button for missing evidence, or a name typed for "none of these", is the whole answer."""
    said = data.copy()
    said.setdefault("confidence", Confidence.MEDIUM)
    if not said.get("reading"):
        if said.get("missing_evidence"):
            said["reading"] = Verdict.CANNOT_TELL
        elif said.get("suggested_name", "").strip():
            said["reading"] = Verdict.NONE_OF_THESE
    return said


def choices_of(user: User, layer: Layer) -> tuple[list[Family], dict[int, list[int]]]:
    """The layer's families, and some neurons that are in each, but none whose answer is hidden from this person.

    Recorded: who has seen a neuron under its family does not meet it as a gold one.
    """
    families = list(layer.families.filter(retired_at=None).select_related("parent"))
    exemplars: dict[int, list[int]] = {}
    new = []
    for family in families:
        family.layer = layer
    members = Membership.objects.current().filter(family__in=families).exclude(neuron__in=hidden_from(user))
    known = Exists(Reveal.objects.filter(neuron=OuterRef("neuron"), person=user))
    for member in members.select_related("neuron").annotate(known=known).order_by("pk"):
        faces = exemplars.setdefault(member.family_id, [])
        if len(faces) < EXEMPLARS:
            faces.append(member.neuron.index)
            new += [] if member.known else [member.neuron]
    if new:
        labels.reveal(user, *new)
    return families, exemplars


def labelling(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """For people who may label: visitors sign in first and come back, others are told why not and what to do."""

    @wraps(view)
    def checked(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        answer = can_label(request.user)
        if isinstance(answer, Denied):
            return render(request, "labels/denied.html", {"reason": answer.reason}, status=403)
        return view(request, *args, **kwargs)

    return login_required(checked)


class Where:
    """The part of the catalogue that a person asked to label: all of it, a network, or a layer. At most one query.

    Raises:
        Http404: with a sentence, when there is no such network or layer.
    """

    def __init__(self, data: QueryDict) -> None:
        self.network: Network | None = None
        self.layer: Layer | None = None
        self.layers: list[Layer] = []
        self.names: dict[str, str] = {}
        if network := data.get("network", "").replace("\0", ""):
            self.names["network"] = network
            self.layers = layers_of(network)
            self.network = self.layers[0].network
            if name := data.get("layer", "").replace("\0", ""):
                self.names["layer"] = name
                self.layer = next((layer for layer in self.layers if layer.name == name), None)
                if self.layer is None:
                    raise Http404(f"{network} has no layer “{name}” to label.")

    @property
    def query(self) -> str:
        return f"?{urlencode(self.names)}" if self.names else ""

    @property
    def title(self) -> str:
        return self.layer.name if self.layer else self.network.title if self.network else ""

    def href(self, **more: str) -> str:
        query = urlencode({**self.names, **more})
        return reverse("label_next") + (f"?{query}" if query else "")


def numbers(text: str) -> frozenset[int]:
    """Ids with dots between them, as an address carries them."""
    return frozenset(one for one in map(whole, text.split(".")) if one is not None)


def passed(request: HttpRequest) -> frozenset[int]:
    """What this person skipped in this sitting."""
    return frozenset(request.session.get("passed", ()))


def pass_over(request: HttpRequest, neurons: frozenset[int]) -> None:
    known = [pk for pk in request.session.get("passed", ()) if pk not in neurons]
    request.session["passed"] = [*known, *sorted(neurons)][-PASSED:]


def seat(
    request: HttpRequest, where: Where, neuron: Neuron, lease: Lease | None = None, form: LabelForm | None = None
) -> dict[str, Any]:
    """What the queue shows of one neuron, and the form for its reading. Nothing that others read is in it."""
    user = asking(request)
    layers = where.layers or layers_of(neuron.layer.network.name)
    neuron.layer = next(layer for layer in layers if layer.pk == neuron.layer_id)
    if form is None:
        families, exemplars = choices_of(user, neuron.layer)
        form = LabelForm(layer=neuron.layer, families=families, exemplars=exemplars)
    stand = Stand(neuron, exhibits(neuron, layers, kinds=QUICK), {})
    return {
        "where": where,
        "neuron": neuron,
        "layer": neuron.layer,
        "network": neuron.layer.network,
        "lease": lease,
        "lease_seconds": round((lease.expires_at - timezone.now()).total_seconds()) if lease else 0,
        "form": form,
        "stand": stand,
        "seen": [exhibit.version.pk for exhibit in stand.shown if exhibit.version],
        "so_far": so_far(user, neuron.layer, since(request)),
    }


def since(request: HttpRequest) -> datetime.datetime:
    """When this person sat down to label."""
    now = timezone.now()
    known = request.session.get("sitting_since")
    if known and datetime.datetime.fromisoformat(known) > now - SITTING:
        return datetime.datetime.fromisoformat(known)
    request.session["sitting_since"] = now.isoformat()
    return now


def so_far(user: User, layer: Layer, since: datetime.datetime) -> dict[str, int]:
    """How far this sitting is, and how far the layer. One query."""
    mine = Label.objects.current().filter(neuron=OuterRef("pk"), author=user)
    read = Label.objects.filter(author=user, created_at__gte=since, undone_at=None).order_by().values("author")
    sitting = Subquery(read.annotate(count=Count("neuron", distinct=True)).values("count"))
    return layer.neurons.aggregate(
        total=Count("pk"),
        settled=Count("pk", filter=Q(standing__in=SETTLED)),
        mine=Count("pk", filter=Exists(mine)),
        sitting=Max(Coalesce(sitting, 0)),
    )


def told(user: User, label: Label) -> dict[str, Any]:
    """What a person is told of a reading that they just gave: it alone, and of a gold neuron how it was right."""
    accepted = None
    if label.gold:
        accepted = Membership.objects.current().filter(neuron=label.neuron_id, primary=True).select_related("family")
    return {
        "label": label,
        "may_undo": can_undo_label(user, label),
        "outcome": gold.outcome(label),
        "accepted": next((member.family for member in accepted or ()), None),
    }


def own_label(user: User, public_id: str) -> Label | None:
    """The person's own label of this public id."""
    try:
        key = uuid.UUID(public_id)
    except ValueError:
        return None
    return Label.objects.filter(author=user, public_id=key).select_related("neuron__layer__network", "family").first()


def background(request: HttpRequest) -> bool:
    """Whether a script of the page asks, which is answered with a sentence or a piece of a page."""
    return request.headers.get("X-Background") == "1"


def sentence(text: str, status: int) -> HttpResponse:
    return HttpResponse(text, status=status, content_type="text/plain; charset=utf-8")


@labelling
def label_next(request: HttpRequest) -> HttpResponse:
    """The next neuron that asks for this person's reading, under a lease; or take the reading of one."""
    if request.method == "POST":
        return take_reading(request)
    user, where = asking(request), Where(request.GET)
    again = own_label(user, request.GET.get("again", ""))
    if again is not None and again.undone_at is not None and not again.neuron.is_settled:
        return queue(request, seat(request, where, again.neuron))
    skipping = passed(request) | numbers(request.GET.get("after", ""))
    found = leases.take(user, network=where.network, layer=where.layer, skipping=skipping)
    if not found:
        return nothing(request, where)
    return queue(request, seat(request, where, found[0].neuron, found[0]))


def queue(request: HttpRequest, seated: dict[str, Any], status: int = 200) -> HttpResponse:
    """The whole page about one neuron."""
    user = asking(request)
    given = own_label(user, request.GET.get("told", ""))
    return render(request, "labels/queue.html", seated | (told(user, given) if given else {}), status=status)


def nothing(request: HttpRequest, where: Where) -> HttpResponse:
    """Why there is no neuron to read, and what else there is to do."""
    user = asking(request)
    given = own_label(user, request.GET.get("told", ""))
    every = Neuron.objects.all()
    if where.layer is not None:
        every = every.filter(layer=where.layer)
    elif where.network is not None:
        every = every.filter(layer__network=where.network)
    context = {
        "where": where,
        "pictured": with_something_to_see(every).exists(),
        "passed": every.filter(pk__in=passed(request)).exclude(standing__in=SETTLED).count(),
    } | (told(user, given) if given else {})
    return render(request, "labels/none.html", context)


def take_reading(request: HttpRequest) -> HttpResponse:
    """Take what was said of a neuron, once for each key of submission, and go on to the next."""
    user, where, said = asking(request), Where(request.POST), spoken(request.POST)
    pk = said.get("neuron", "")
    found = Neuron.objects.filter(pk__in=numbers(pk)).select_related("layer__network", "layer__sprite")
    neuron = get_object_or_404(found)
    families, exemplars = choices_of(user, neuron.layer)
    form = LabelForm(said, layer=neuron.layer, families=families, exemplars=exemplars)
    lease = token_of(said.get("token", ""))
    if form.is_valid():
        try:
            label = labels.add(user, neuron, submission=form.cleaned_data["submission"], lease=lease, **form.reading())
        except ValidationError as error:
            form.add_error(None, ValidationError(error.messages))
        except Refused as error:
            if background(request):
                return sentence(str(error), 403)
            form.add_error(None, str(error))
            return queue(request, seat(request, where, neuron, form=form), status=403)
        else:
            if background(request):
                return render(request, "labels/_told.html", {"where": where} | told(user, label))
            return redirect(where.href(told=str(label.public_id)))
    if background(request):
        return sentence(" ".join(form.sentences), 422)
    held = Lease.objects.live().filter(person=user, token=lease).first() if lease else None
    return queue(request, seat(request, where, neuron, held, form), status=422)


def token_of(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text) if text else None
    except ValueError as error:
        raise Http404("There is no such lease. Take the next neuron from the queue.") from error


@require_safe
@labelling
def label_card(request: HttpRequest) -> HttpResponse:
    """One more neuron while another is being read, as a piece of the page; nothing when none asks for a reading."""
    user, where = asking(request), Where(request.GET)
    skipping = passed(request) | numbers(request.GET.get("holding", ""))
    found = leases.take(user, network=where.network, layer=where.layer, skipping=skipping)
    if not found:
        return HttpResponse(status=204)
    return render(request, "labels/_sitting.html", seat(request, where, found[0].neuron, found[0]))


@require_POST
@labelling
def label_skip(request: HttpRequest) -> HttpResponse:
    """Give a neuron back to the queue: it does not come to this person again in this sitting."""
    user, where = asking(request), Where(request.POST)
    if token := token_of(request.POST.get("token", "")):
        leases.give_back(user, token)
    if skipped := numbers(request.POST.get("neuron", "")):
        pass_over(request, skipped)
    if "forget" in request.POST:
        request.session.pop("passed", None)
    return HttpResponse(status=204) if background(request) else redirect(where.href())


@require_POST
@labelling
def label_undo(request: HttpRequest) -> HttpResponse:
    """Take a reading back within its minute; the neuron comes back to be read again."""
    user, where = asking(request), Where(request.POST)
    label = own_label(user, request.POST.get("label", ""))
    if label is None:
        raise Http404("You gave no such reading.")
    try:
        labels.undo(user, label)
    except Refused as error:
        if background(request):
            return sentence(str(error), 403)
        messages.error(request, str(error))
    else:
        if background(request):
            return HttpResponse(status=204)
        messages.success(request, f"Your reading of {label.neuron.address} is taken back.")
    if request.POST.get("from") == "neuron":
        return redirect(f"{label.neuron.get_absolute_url()}#label")
    return redirect(where.href(again=str(label.public_id)))


@require_POST
@labelling
def label_show(request: HttpRequest) -> HttpResponse:
    """Show the others' readings before the minute is over; from then on the person's own cannot be taken back."""
    user = asking(request)
    label = own_label(user, request.POST.get("label", ""))
    if label is None:
        raise Http404("You gave no such reading.")
    labels.show_others(user, label.neuron)
    return redirect(f"{label.neuron.get_absolute_url()}#readings")


@require_POST
def layer_overlap(request: HttpRequest, name: str, layer_name: str) -> HttpResponse:
    """Set how many readings each neuron of the layer asks for."""
    layer, _ = layer_of(name, layer_name)
    wanted = request.POST.get("overlap", "")
    try:
        layer = overlaps.change(asking(request), layer, int(wanted) if wanted.isascii() and wanted.isdigit() else 0)
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
    else:
        messages.success(request, f"Each neuron of {layer.name} asks for {layer.overlap} readings now.")
    return redirect(layer)
