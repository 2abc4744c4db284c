"""Markdown from people, with neurons in it: ``[[3b:379]]``, ``[[inceptionv1/3b:379]]``, ``[[family:3b/curves]]``,
claims with their rulings: ``[[claim:...]]``, and people: ``@ada``.

Raw HTML is not let through, and what comes out is sanitised once more before the chips are put in. Characters that turn
or hide what stands around them are left out, and each paragraph finds its own direction, so that no text disturbs the
page. Pictures from elsewhere are shown as links: a page fetches nothing that its reader did not ask for.
"""

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any

import nh3
from django.contrib.auth.models import AnonymousUser
from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import Exists, OuterRef, Q
from django.db.models.functions import JSONObject, Lower
from django.urls import reverse
from django.utils.html import escape, format_html
from django.utils.safestring import SafeString, mark_safe
from markdown_it import MarkdownIt
from markdown_it.rules_core import StateCore
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token

from taxonomy.models import Claim, Family, Layer, Network, User
from taxonomy.models.claims import moderated
from taxonomy.permissions import Person, claims_visible_to
from taxonomy.rendering.chips import chip

# References are carried through the sanitiser as a number between two characters that no text of people keeps.
OPEN, CLOSE = "\ue000", "\ue001"
REFERENCE = re.compile(r"\[\[([^\[\]\n]{1,160})\]\]")
NEURON = re.compile(r"(?:(?P<network>[\w.-]{1,60})/)?(?P<layer>[\w.-]{1,60}):(?P<index>\d{1,9})")
FAMILY = re.compile(r"family:(?:(?P<network>[\w.-]{1,60})/)?(?P<layer>[\w.-]{1,60})/(?P<name>.{1,120})")
CLAIM = re.compile(r"claim:([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})", re.IGNORECASE)
MENTION = re.compile(r"@([\w.@+-]{1,150})")
PICTURE = re.compile(r"!\[[^\[\]\n]{0,300}\]\(")
# What turns the direction of the text around it, or is there without being seen. (The joiners U+200C and U+200D are
# letters' business in Persian and Hindi, and stay.)
UNSEEN = re.compile(
    "[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e"
    "\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e0fff]"
)
# A letter carries a few marks; a tower of them reaches into the lines of others.
MARKS = "[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]"
TOWER = re.compile(f"({MARKS}{{4}}){MARKS}+")
MOST_REFERENCES = 200
MOST_CELLS = 5_000
# So many times a page asks for the names that a text mentions.
MOST_ASKED = 2
TAGS = {
    *("p", "br", "em", "strong", "a", "code", "pre", "ul", "ol", "li", "blockquote", "hr", "h3", "h4", "h5", "h6"),
    *("table", "thead", "tbody", "tr", "th", "td", "sub", "sup", "del", "s"),
}


# Blocks of text, each of which is read in the direction of its own first letter.
BLOCKS = ("p", "li", "blockquote", "h2", "h3", "h4", "h5", "h6", "td", "th", "pre")


def tidy(text: str) -> str:
    """Without characters that turn or hide others, and with no more marks on a letter than it can carry."""
    return text if text.isascii() and text.isprintable() else TOWER.sub(r"\1", UNSEEN.sub("", text))


def put_aside(state: StateInline, written: str, thing: Any) -> None:
    """Keep a thing for later. Pictures by the thousand say nothing, and would make the page heavy: they stay words."""
    aside = state.env.setdefault("aside", [])  # "references" is the parser's own
    if len(aside) >= state.env.get("most", MOST_REFERENCES):
        state.pending += written
        return
    token = state.push("text", "", 0)
    token.content = f"{OPEN}{len(aside)}{CLOSE}"
    aside.append(thing)
    if "lines" in state.env:
        state.env["lines"].append(state.env.get("line", 0) + state.src.count("\n", 0, state.pos))


def _reference(state: StateInline, silent: bool) -> bool:
    """``[[...]]``, but not in the words of a link: a link in a link leads nowhere."""
    found = REFERENCE.match(state.src, state.pos) if state.linkLevel == 0 else None
    if found is None:
        return False
    if not silent:
        put_aside(state, found[0], found[1].strip())
    state.pos = found.end()
    return True


def _mention(state: StateInline, silent: bool) -> bool:
    """``@name``, where it begins a word: in a mail address it does not."""
    before = state.src[state.pos - 1] if state.pos else " "
    found = MENTION.match(state.src, state.pos) if state.linkLevel == 0 else None
    if found is None or before.isalnum() or before in "_.+-/@":
        return False
    if not silent:
        put_aside(state, found[0], found[0])
    state.pos = found.end()
    return True


def _picture(state: StateInline, silent: bool) -> bool:
    """``![words](address)`` is read as the link ``[words](address)``."""
    if PICTURE.match(state.src, state.pos) is None:
        return False
    state.pos += 1
    return True


def _say_where_links_lead(state: StateCore) -> None:
    """A link without words shows its address: nobody could follow it otherwise."""
    for block in state.tokens:
        children = block.children or []
        opened, wordless = None, []
        for place, token in enumerate(children):
            if token.type == "link_open":
                opened = place
            elif token.type == "link_close" and opened is not None:
                wordless.append(opened)
            elif token.content.strip():
                opened = None
        for place in reversed(wordless):
            address = str(children[place].attrGet("href") or "nowhere")
            children.insert(place + 1, Token("text", "", 0, content=address[:200]))


def _unmarked(state: StateCore) -> None:
    """Without the marks of what was put aside where somebody wrote them as entities: ``&#xe000;9&#xe001;``."""
    for block in state.tokens:
        for token in (block, *(block.children or [])):
            if token.type == "text_special":
                token.content = re.sub(f"[{OPEN}{CLOSE}]", "", token.content)
            for name, value in token.attrs.items():
                token.attrs[name] = re.sub(f"[{OPEN}{CLOSE}]", "", value) if isinstance(value, str) else value


def make_parser(*rules: str) -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False}).enable(["strikethrough", *rules]).disable("image")
    parser.inline.ruler.before("link", "picture", _picture)
    parser.inline.ruler.before("link", "reference", _reference)
    parser.inline.ruler.before("link", "mention", _mention)
    parser.core.ruler.after("inline", "links", _say_where_links_lead)
    parser.core.ruler.after("inline", "unmarked", _unmarked)
    return parser


_parser, _without_tables = make_parser("table"), make_parser()


def prepared(text: str) -> tuple[str, bool]:
    """The text without what no text may hold, and whether its tables are too wide to be drawn.

    A header of a hundred columns makes as many cells of each line below it: such a table is shown as it was written.
    """
    text = tidy(text).replace(OPEN, "").replace(CLOSE, "")
    rows = text.count("\n") + 1
    return text, max(line.count("|") for line in text.split("\n")) * rows > MOST_CELLS


def _parsed(text: str) -> tuple[str, list[str]]:
    """HTML that is not clean yet, and what it refers to."""
    environment: dict[str, Any] = {}
    text, wide = prepared(text)
    return (_without_tables if wide else _parser).render(text, environment), environment.get("aside", [])


class References:
    """What ``[[...]]`` can mean on a page about ``network``: looked up once a page, when first needed.

    Args:
        here: the network's layers with their sprites, where the page has them already.
        kin: families, where the page has them already.
        texts: what the page is about to show, beside the remarks of ``kin``: whom it mentions is asked in one query.
        user: who looks, where the page records which claims they read: only then their sentences are told.
    """

    def __init__(
        self,
        network: Network | None = None,
        here: Iterable[Layer] = (),
        kin: Iterable[Family] = (),
        texts: Iterable[str] = (),
        user: Person | None = None,
    ) -> None:
        self.network = network
        self.user = user
        self.hidden: Collection[int] | None = None  # ``hidden_from(user)``, where the page knows it already
        self.here = _by_name(here)
        families = list(kin)
        self.kin = {(one.layer_id, one.name.casefold()): (one.pk, one.name) for one in families}
        self.texts = [*texts, *(one.remark for one in families)]
        # The name as it is written, by folded name; None where nobody has it.
        self.people: dict[str, str | None] = {}
        self.claims: dict[str, Claim | None] = {}
        self.gone: set[str] = set()  # the claims that a moderator hid
        self.told: set[str] = set()  # the claims of which more is told than where they are and what came of them
        self.asked = self.asked_for_claims = 0
        self.claiming = self.texts

    @cached_property
    def every(self) -> list[Layer]:
        """The layers of all networks, with their families. One query."""
        families = Family.objects.filter(layer=OuterRef("pk")).order_by("retired_at")
        named = families.values(told=JSONObject(pk="pk", name="name", gone=Q(retired_at__isnull=False)))
        return list(Layer.objects.select_related("network", "sprite").annotate(named=ArraySubquery(named)))

    @cached_property
    def layers(self) -> dict[tuple[str, str], Layer]:
        return _by_name(self.every)

    def layer(self, network: str, name: str) -> Layer | None:
        return self.here.get((network, name)) or self.layers.get((network, name))

    @cached_property
    def families(self) -> dict[tuple[int, str], tuple[int, str]]:
        """Id and name, by layer and folded name."""
        rows = ((layer.pk, row) for layer in self.every for row in layer.named if not row["gone"])  # type: ignore[attr-defined]
        return {(layer, row["name"].casefold()): (row["pk"], row["name"]) for layer, row in rows}

    @cached_property
    def retired(self) -> dict[tuple[int, str], Family]:
        """Families that are no more, by layer and folded name; of several of one name the one that was last."""
        rows = ((layer.pk, row) for layer in self.every for row in layer.named if row["gone"])  # type: ignore[attr-defined]
        found = (Family(pk=row["pk"], layer_id=layer, name=row["name"]) for layer, row in rows)
        return {(one.layer_id, one.name.casefold()): one for one in found}

    def look_up(self, marks: Iterable[str]) -> None:
        """Ask who is meant by these ``@name``, and what these ``claim:...`` say, as far as that is not known yet.

        A few are asked for at a time; a page that goes on asking is given everybody's name at once, and claims as links
        alone.
        """
        marks = list(marks)
        self._look_up_claims(marks)
        written = {one for mark in marks if mark.startswith("@") for one in _could_be(mark)}
        if self.asked > MOST_ASKED or all(one.casefold() in self.people for one in written):
            return
        if self.asked == MOST_ASKED:
            self.people |= _people()
        else:
            written |= {one for text in self.texts for mark in MENTION.findall(text) for one in _could_be(mark)}
            self.people |= dict.fromkeys(one.casefold() for one in written) | _people(written)
        self.asked, self.texts = self.asked + 1, []

    def _look_up_claims(self, marks: Iterable[str]) -> None:
        wanted = {found[1].lower() for mark in marks if (found := CLAIM.fullmatch(mark))} - self.claims.keys()
        if not wanted or self.asked_for_claims > MOST_ASKED:
            return
        self.asked_for_claims += 1
        wanted |= {one.lower() for text in self.claiming for one in CLAIM.findall(text)}
        self.claiming = []
        shown = claims_visible_to(
            self.user or AnonymousUser(),
            Claim.objects.filter(pk=OuterRef("pk")),
            self.hidden if self.user else None,
        )
        cited = Claim.objects.filter(public_id__in=list(wanted)[:MOST_REFERENCES]).with_rulings()
        self.claims |= dict.fromkeys(wanted)
        for claim in cited.annotate(shown=Exists(shown), gone=moderated()):
            if claim.shown:
                self.claims[str(claim.public_id)] = claim
            elif claim.gone:
                self.gone.add(str(claim.public_id))
        self.told |= self.claims.keys() if self.user is not None else set()

    def know(self, claims: Iterable[Claim]) -> None:
        """What the page shows of claims anyway need not be asked for again (``with_rulings``)."""
        self.claims |= {str(claim.public_id): claim for claim in claims}
        self.told |= self.claims.keys()

    def claim(self, public_id: str) -> SafeString:
        """The claim's sentence with what came of it; of one that is not to be told only where it is.

        That page says when it was hidden, and why.
        """
        claim = self.claims.get(public_id)
        href = reverse("claim", args=[public_id])
        if public_id in self.gone:
            return format_html('<a href="{}">a claim that a moderator hid</a>', href)
        if claim is None:  # who looks may see it after all, where the page does not know who that is
            unseen = "a claim that you cannot see yet" if self.user is not None else "a claim"
            return format_html('<a href="{}">{}</a>', href, unseen)
        ruling = "withdrawn" if claim.withdrawn_at is not None else claim.ruling or "not tested yet"  # type: ignore[attr-defined]
        return format_html(
            '<a class="claimed" href="{}">{}</a> <span class="badge ruling {}">{}</span>',
            *(href, claim.sentence if public_id in self.told else "a claim", ruling.split()[0], ruling),
        )

    def mention(self, text: str) -> SafeString:
        """The person's link; a name that nobody has is a word like others."""
        found = _named(text, self.people)
        if found is None:
            return SafeString(escape(text))
        name, rest = found
        return format_html('<a class="mention" href="{}">@{}</a>{}', reverse("person", args=[name]), name, rest)

    def html(self, text: str) -> SafeString:
        """The reference's chip or link; a reference to nothing stays as it was written, marked as such."""
        if text.startswith("@"):
            return self.mention(text)
        if claimed := CLAIM.fullmatch(text):
            return self.claim(claimed[1].lower())
        family = FAMILY.fullmatch(text)
        neuron = None if family else NEURON.fullmatch(text)
        found = family or neuron
        if found is not None:
            here = self.network.name if self.network else ""
            layer = self.layer(found["network"] or here, found["layer"])
            if layer is not None and family is not None:
                key = layer.pk, family["name"].strip().casefold()
                kin = self.kin.get(key) or self.families.get(key)
                if kin is not None:
                    href = reverse("family", args=[layer.network.name, layer.name, kin[0]])
                    return format_html('<a href="{}">{} <span class="where">({})</span></a>', href, kin[1], layer.name)
                if (gone := self.retired.get(key)) is not None:
                    href = reverse("family", args=[layer.network.name, layer.name, gone.pk])
                    words = gone.name, layer.name
                    return format_html('<a href="{}">{} <span class="where">({}, retired)</span></a>', href, *words)
            elif layer is not None and neuron is not None and int(neuron["index"]) < layer.channels:
                return chip(layer, int(neuron["index"]), network=bool(found["network"]) and found["network"] != here)
        return format_html('<span class="nowhere" title="There is no such thing here">[[{}]]</span>', text)


def _by_name(layers: Iterable[Layer]) -> dict[tuple[str, str], Layer]:
    """By network and layer name, and by the short form of the layer's name where that is free."""
    found: dict[tuple[str, str], Layer] = {}
    every = list(layers)
    for layer in every:
        found[layer.network.name, layer.name] = layer
    for layer in every:
        found.setdefault((layer.network.name, layer.short), layer)
    return found


def _could_be(mark: str) -> list[str]:
    """The names that ``@name`` could mean: all of it, or what stands before dots and dashes at its end.

    A name may have dots, and a sentence ends with one.
    """
    name = mark.removeprefix("@")
    found = [name]
    while found[-1][-1:] in (".", "@", "+", "-") and len(found[-1]) > 1:
        found.append(found[-1][:-1])
    return found


def _people(named: Collection[str] | None = None) -> dict[str, str]:
    """The names as their people write them, by folded name: those that are ``named`` and somebody's, or everybody's."""
    people = User.objects.filter(is_active=True, is_system=False)
    if named is not None:
        people = people.annotate(lower=Lower("username")).filter(lower__in={one.lower() for one in named})
    return {name.casefold(): name for name in people.values_list("username", flat=True)}


def _named(mark: str, people: Mapping[str, str | None]) -> tuple[str, str] | None:
    """Whom ``@name`` means, and what follows the name."""
    name = mark.removeprefix("@")
    for cut, written in enumerate(_could_be(mark)):
        if (person := people.get(written.casefold())) is not None:
            return person, name[len(name) - cut :]
    return None


def mentioned(text: str) -> set[str]:
    """The names of the people whom a text mentions. One query, if it mentions any."""
    _, written = _parsed(text)
    marks = [one for one in written if one.startswith("@")]
    people = _people({folded for mark in marks for folded in _could_be(mark)}) if marks else {}
    return {found[0] for mark in marks if (found := _named(mark, people))}


def render(text: str, references: References) -> SafeString:
    """Safe HTML of a text from people."""
    html, written = _parsed(text)
    references.look_up(written)
    # A page has one h1 and its own h2s: headings in a text start below them.
    return filled(cleaned(re.sub(r"<(/?)h([12])>", r"<\1h3>", html)), written, references.html)


def cleaned(html: str, tags: Collection[str] = frozenset(TAGS)) -> str:
    """Only what a text may hold, each block of it in its own direction."""
    return tidy(
        nh3.clean(
            html,
            tags=set(tags),
            attributes={"a": {"href", "title"}, "ol": {"start"}},
            set_tag_attribute_values={tag: {"dir": "auto"} for tag in BLOCKS if tag in tags},
            url_schemes={"http", "https", "mailto"},
            link_rel="nofollow noopener",
        )
    )  # once more tidy: entities may have brought unseen characters back


def filled(html: str, asides: Sequence[Any], shown: Callable[[Any], SafeString]) -> SafeString:
    """Cleaned HTML with what was put aside in its places, each as ``shown`` says."""

    def put(found: re.Match[str]) -> str:
        number = int(found[1])
        return shown(asides[number]) if number < len(asides) else ""

    return mark_safe(re.sub(f"{OPEN}([0-9]{{1,6}}){CLOSE}", put, html).replace(OPEN, "").replace(CLOSE, ""))


def plain(text: str, limit: int = 200) -> str:
    """The beginning of a text, without its marks, for a title or a list."""
    words = re.sub(r"!?\[([^\[\]\n]*)\]\([^()\s]*\)", r"\1", tidy(text[: 20 * limit]))
    words = re.sub(r"[*_`#>]|\[\[(family:)?|\]\]", "", words)
    return escape(words if len(words) <= limit else words[: limit - 1].rsplit(" ", 1)[0] + "…")
