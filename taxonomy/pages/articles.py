"""A version of a note as an article to read: its figures filled with evidence, and what came of what it names.

``{% include "notes/_article.html" with article=article %}`` shows one; ``css/note.css`` is how it looks.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

from django.db.models import Exists, OuterRef, Q
from django.template.loader import render_to_string
from django.utils.html import format_html
from django.utils.safestring import SafeString

from taxonomy import recipes
from taxonomy.actions import claims
from taxonomy.models import Claim, EvidenceVersion, Family, Layer, Membership, Network, Neuron, NoteVersion, User
from taxonomy.models.evidence import newer_than
from taxonomy.pages import panels
from taxonomy.pages.exhibits import Exhibit, Shelf, files
from taxonomy.pages.networks import layers_of
from taxonomy.permissions import Denied, Person, can_see_members, claims_visible_to, hidden_from, told_now
from taxonomy.rendering import bibliography, notes
from taxonomy.rendering.chips import chip
from taxonomy.rendering.markdown import FAMILY, NEURON, References
from taxonomy.rendering.notes import Composer, Heading, Parsed, Problem, Shown, Source

TEXTS = ("abstract", "body", "selection")
# What a list of those near a neuron shows is looked up anew each time: it is no figure that stays.
NO_FIGURES = ("neighbours",)


@dataclass
class Article:
    """``notices`` say what became of what it names since it was written, in sentences that are safe HTML."""

    abstract: SafeString
    body: SafeString
    selection: SafeString
    sources: list[Source] = field(default_factory=list)
    contents: Sequence[Heading] = ()
    problems: list[Problem] = field(default_factory=list)
    notices: list[SafeString] = field(default_factory=list)


def article(
    version: NoteVersion,
    user: Person,
    references: References,
    *,
    hidden: Collection[int] | None = None,
    beside: Q | None = None,
) -> Article:
    """The article of a version, which may be one that is not saved yet (for the preview).

    Whoever is signed in is recorded to have read the claims that it cites.

    Args:
        version: with its ``note``, and the note's network.
        references: of the note's network; the discussion's texts may share it.
        hidden: ``hidden_from(user)``, where the page knows it already.
        beside: neurons that the page tells of beside it; that is recorded with the claims.
    """
    hidden = hidden_from(user) if hidden is None else hidden
    references.user, references.hidden = user, hidden
    read = {name: notes.parse(getattr(version, name)) for name in TEXTS}
    sources = bibliography.read(version.bibliography)
    figures = _Figures(version.note.network, user, references, hidden)
    figures.find(public_id for one in read.values() for public_id in one.figures)
    composer = Composer(references, sources, figures.shown)
    abstract, body, selection = (composer.write(read[name], name) for name in TEXTS)
    told = [*figures.claims, *filter(None, references.claims.values())]
    if isinstance(user, User) and (told or beside):
        claims.look(user, told, beside)
    references.user = None  # of claims that are cited below the article, nobody records who reads them
    problems = [*composer.problems, *(Problem("bibliography", line, said) for line, said in sources.problems)]
    notices = [
        *figures.notices(composer.shown),
        *_retired(version, read.values(), references),
        *_moved(version, read.values(), references, user, hidden),
    ]
    return Article(abstract, body, selection, composer.sources, read["body"].contents, problems, notices)


class _Figures:
    """The evidence that a note shows, by public id, as far as whoever looks may see it."""

    def __init__(self, network: Network, user: Person, references: References, hidden: Collection[int]) -> None:
        self.network, self.user, self.references, self.hidden = network, user, references, hidden
        self.shown: dict[str, Shown] = {}
        self.newer: dict[str, EvidenceVersion] = {}
        self.shelves: dict[int, Shelf] = {}
        self.claims: list[Claim] = []  # whose runs are shown

    def find(self, public_ids: Iterable[str]) -> None:
        """Look up the evidence. Five queries at most for that of one network, and none without any."""
        wanted = list(dict.fromkeys(public_ids))[: notes.MOST_FIGURES]
        if not wanted:
            return
        stating = Claim.objects.filter(pk=OuterRef("evidence__claim"))
        found = list(
            EvidenceVersion.objects.filter(public_id__in=wanted)
            .annotate(files=files("pk"), told=Exists(claims_visible_to(self.user, stating, self.hidden)))
            .select_related(
                *("evidence__neuron", "evidence__network", "evidence__image_set", "evidence__current"),
                *("evidence__family", "evidence__other", "evidence__claim", "evidence__layer"),
            )
        )
        exhibits = {version.pk: self._exhibit(version) for version in found}
        refused = self._refused(found)
        panels.fill(exhibit for pk, exhibit in exhibits.items() if pk not in refused)
        superseded = newer_than(found)
        for version in found:
            context = {
                "exhibit": exhibits[version.pk],
                "version": version,
                "newer": superseded.get(version.pk),
                "refused": refused.get(version.pk, ""),
                "elsewhere": version.evidence.network_id != self.network.pk,
                "permalink": True,
            }
            public_id = str(version.public_id)
            body, about = (render_to_string(f"notes/_figure{part}.html", context).strip() for part in ("", "_about"))
            self.shown[public_id] = Shown(SafeString(body), SafeString(about))
            if version.pk in superseded:
                self.newer[public_id] = superseded[version.pk]

    def notices(self, shown: Sequence[str]) -> list[SafeString]:
        """Which of the figures have been made anew since."""
        return [
            format_html(
                '<a href="#figure-{0}">Figure {0}</a> shows evidence that was made anew since: '
                '<a href="{1}">the newer version</a>.',
                *(number, self.newer[public_id].get_absolute_url()),
            )
            for number, public_id in enumerate(shown, start=1)
            if public_id in self.newer
        ]

    def _shelf(self, network: Network) -> Shelf:
        if network.pk not in self.shelves:
            here = [layer for layer in set(self.references.here.values()) if layer.network_id == network.pk]
            layers = here or layers_of(network.name)
            self.shelves[network.pk] = Shelf.of(layers[0].network, layers, self.hidden)
        return self.shelves[network.pk]

    def _exhibit(self, version: EvidenceVersion) -> Exhibit:
        row = version.evidence
        shelf = self._shelf(row.network)
        row.network = shelf.network
        own = {layer.pk: layer for layer in shelf.layers.values()}
        for subject in (row.neuron, row.family, row.other):
            if subject is not None:
                subject.layer = own.get(subject.layer_id) or subject.layer
        return Exhibit(
            recipes.KINDS[row.kind],
            recipes.variant_of(row.kind, row.parameters),
            row.parameters,
            shelf,
            neuron=row.neuron,
            family=row.family,
            other=row.other,
            claim=row.claim,
            version=version,
        )

    def _refused(self, versions: Sequence[EvidenceVersion]) -> dict[int, str]:
        """Why some of these are not shown, by id."""
        found: dict[int, str] = {}
        neurons = Neuron.objects.with_layers(self.hidden if any(one.evidence.family_id for one in versions) else ())
        for version in versions:
            answer = can_see_members(version.evidence.names(neurons if version.evidence.family_id else ()))
            if isinstance(answer, Denied):
                found[version.pk] = answer.reason
            elif version.evidence.kind in NO_FIGURES:
                found[version.pk] = "Who is near a neuron changes with the others: follow the link to see it."
            stated = version.evidence.claim
            if stated is not None and version.told:  # type: ignore[attr-defined]
                self.claims.append(stated)
            elif stated is not None:
                found[version.pk] = (
                    "This is of a claim that a moderator hid."
                    if stated.hidden_at is not None
                    else "This is of a claim that is shown after you have given your own reading."
                )
        return found


def _retired(version: NoteVersion, read: Iterable[Parsed], references: References) -> list[SafeString]:
    """Which of the families that it names are no more."""
    found: dict[int, Family] = {}
    for layer, name in _families(version, read, references):
        key = layer.pk, name.casefold()
        if key not in references.kin and key not in references.families and key in references.retired:
            family = references.retired[key]
            family.layer = layer
            found[family.pk] = family
    return [
        format_html(
            'The family <a href="{}">{}</a> of {} was retired.',
            *(family.get_absolute_url(), family.name, family.layer.name),
        )
        for family in found.values()
    ]


def _families(version: NoteVersion, read: Iterable[Parsed], references: References) -> list[tuple[Layer, str]]:
    """The layer and the name of each family that its texts name, where there is such a layer."""
    here = version.note.network.name
    marks = [found for one in read for mark in one.references if (found := FAMILY.fullmatch(mark))]
    named = [(references.layer(mark["network"] or here, mark["layer"]), mark["name"].strip()) for mark in marks]
    return [(layer, name) for layer, name in named if layer is not None]


def _moved(
    version: NoteVersion, read: Iterable[Parsed], references: References, user: Person, hidden: Collection[int]
) -> list[SafeString]:
    """Which of the neurons that it names have another family since it was saved, as far as this person is told."""
    if version.saved_at is None:
        return []
    here = version.note.network.name
    marks = [found for one in read for mark in one.references if (found := NEURON.fullmatch(mark))]
    marks += [found for node in version.subgraph.get("nodes", []) if (found := NEURON.fullmatch(node["neuron"]))]
    places: dict[int, tuple[Layer, set[int]]] = {}
    for mark in marks:
        layer = references.layer(mark["network"] or here, mark["layer"])
        if layer is not None:
            places.setdefault(layer.pk, (layer, set()))[1].add(int(mark["index"]))
    if not places:
        return []
    named = Q(pk__in=())
    for pk, (_, indices) in places.items():
        named |= Q(layer=pk, index__in=indices)
    members = Membership.objects.filter(
        Q(ended_at=None) | Q(ended_at__gt=version.saved_at),
        neuron__in=told_now(user, Neuron.objects.filter(named), hidden),
        primary=True,
    ).select_related("family", "neuron")
    then: dict[int, Membership] = {}
    now: dict[int, Membership] = {}
    for member in members:
        member.family.layer = places[member.neuron.layer_id][0]
        if member.made_at <= version.saved_at:
            then[member.neuron_id] = member
        if member.ended_at is None:
            now[member.neuron_id] = member
    return [
        format_html(
            '{} was in <a href="{}">{}</a> when this was written, and is {} now.',
            *(chip(before.family.layer, before.neuron.index), before.family.get_absolute_url(), before.family.name),
            _place(now.get(pk)),
        )
        for pk, before in then.items()
        if pk not in now or now[pk].family_id != before.family_id
    ]


def _place(member: Membership | None) -> SafeString:
    if member is None:
        return SafeString("in no family")
    return format_html('in <a href="{}">{}</a>', member.family.get_absolute_url(), member.family.name)
