"""The texts of a circuit note: Markdown as everywhere (``rendering.markdown``), and what an article needs beside it.

``$...$`` and a paragraph of ``$$...$$`` are formulas, ``[@key]`` and ``[@one; @two, p. 3]`` cite what stands in the
note's BibTeX, and a paragraph of ``![what one sees](/evidence/<id>/)`` is a figure. A text is first parsed, which tells
what it needs, and then written, when that was looked up. What its authors should look at comes with its line.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import Any, NamedTuple

from django.db.models import Q
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe
from django.utils.text import slugify
from markdown_it import MarkdownIt
from markdown_it.rules_block import StateBlock
from markdown_it.rules_core import StateCore
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token

from taxonomy.models import EvidenceVersion, Family, Network, Neuron
from taxonomy.rendering import markdown
from taxonomy.rendering.bibliography import Bibliography
from taxonomy.rendering.formulas import FormulaError, mathml
from taxonomy.rendering.markdown import CLOSE, FAMILY, NEURON, OPEN, References, put_aside, tidy

MOST_THINGS = 600  # of neurons, formulas, citations and the like in a text: more stay as they were written
MOST_FORMULAS = 200
MOST_TEX = 20_000  # characters of all formulas together
MOST_FIGURES = 24
MOST_PROBLEMS = 50
MOST_BLOCKS = 5_000  # beginnings and ends of paragraphs, lists, their items and the like: the rest stays as written
KEPT = 128  # texts that a process has read already

CITATION = re.compile(r"\[(@[^\[\]\n]{1,300})\](?![(\[])")
CITED = re.compile(r"@([\w:./+-]{1,80})(?:,\s*(.{1,60}))?")
# Words without brackets, and neurons, families and sources among them.
CAPTION = r"(?:[^\[\]]|\[\[[^\[\]\n]{1,160}\]\]|\[@[^\[\]\n]{1,300}\]){0,1000}"
UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
FIGURE = re.compile(rf"!\[({CAPTION})\]\(\s*(?:https?://[^\s/()]{{1,200}})?/evidence/({UUID})/?\s*\)", re.IGNORECASE)
FORMULA = re.compile(r"\$((?:[^$\\]|\\.)+)\$(?!\d)", re.DOTALL)
DISPLAY = re.compile(r"\$\$((?:[^$\\]|\\.)+)\$\$", re.DOTALL)
ALONE = re.compile(f'<p dir="auto">((?:\\s*{OPEN}[0-9]{{1,6}}{CLOSE})+\\s*)</p>')


@dataclass(frozen=True)
class Problem:
    """What its authors should look at: in which field of the version, in which line of it (0: in none), and what."""

    field: str
    line: int
    sentence: str


@dataclass(frozen=True)
class Heading:
    id: str
    words: str
    level: int  # 2 for the widest that the text has; the page's own title is above


@dataclass(frozen=True)
class Source:
    """An entry of a note's list of references."""

    number: int
    key: str
    html: SafeString


class Shown(NamedTuple):
    """What a figure shows, and what stands below its caption: of what it is, and its permalink."""

    body: SafeString
    about: SafeString


@dataclass
class Named:
    """What texts name, of the note's network and of others."""

    neurons: list[Neuron] = field(default_factory=list)
    families: list[Family] = field(default_factory=list)


@dataclass(frozen=True)
class _Formula:
    tex: str
    block: bool


@dataclass(frozen=True)
class _Citation:
    written: str


@dataclass(frozen=True)
class _Figure:
    public_id: str
    caption: str  # HTML that is not clean yet


@dataclass(frozen=True)
class Parsed:
    """A text that was read, and what is to be looked up before it can be written. Shared by all who read the text."""

    html: str = ""  # not clean yet
    things: tuple[Any, ...] = ()
    lines: tuple[int, ...] = ()  # of each thing
    contents: tuple[Heading, ...] = ()
    problems: tuple[tuple[int, str], ...] = ()

    @property
    def references(self) -> list[str]:
        """What ``[[...]]`` and ``@name`` say."""
        return [thing for thing in self.things if isinstance(thing, str)]

    @property
    def figures(self) -> list[str]:
        """The public ids of the evidence that it shows, each once."""
        return list(dict.fromkeys(thing.public_id for thing in self.things if isinstance(thing, _Figure)))


@lru_cache(maxsize=KEPT)
def parse(text: str) -> Parsed:
    """Read a text: what everybody reads is read once in a process."""
    text, wide = markdown.prepared(text)
    environment: dict[str, Any] = {"most": MOST_THINGS, "aside": [], "lines": [], "problems": []}
    parser = _without_tables if wide else _parser
    tokens = parser.parse(text, environment)
    contents = _head(tokens, environment["aside"])
    html: str = parser.renderer.render(tokens, parser.options, environment)
    things, lines, problems = (tuple(environment[name]) for name in ("aside", "lines", "problems"))
    return Parsed(html, things, lines, tuple(contents), problems)


class Composer:
    """Writes the texts of one note: figures and sources are numbered through all of them.

    Args:
        figures: the evidence that there is, by public id.
    """

    def __init__(self, references: References, bibliography: Bibliography, figures: Mapping[str, Shown]) -> None:
        self.references = references
        self.bibliography = bibliography
        self.figures = figures
        self.problems: list[Problem] = []
        self.shown: list[str] = []  # the evidence of each figure, in their order
        self.alone: list[_Figure] = []  # those that stand in a paragraph of their own
        self.numbers: dict[str, int] = {}  # of sources, by folded key
        self.field = ""
        self.put: set[int] = set()  # the things of the text that is written, as far as they are in their places
        self.tex = self.formulas = 0

    def write(self, parsed: Parsed, field: str) -> SafeString:
        """Safe HTML of a text, which is in this field of the version."""
        self.references.look_up(parsed.references)
        self.field, self.put = field, set()
        for line, sentence in parsed.problems:
            self.problem(line, sentence)
        html = _cleaned(parsed.html)
        html = ALONE.sub(partial(self._unwrapped, things=parsed.things), html)
        ids = iter(parsed.contents)
        html = re.sub(r'<(h[2-6]) dir="auto">', lambda found: _headed(found[1], next(ids, None)), html)
        html = html.replace("<table>", '<div class="scroll tall" tabindex="0" role="region" aria-label="Table"><table>')
        html = html.replace("</table>", "</table></div>").replace("<pre ", '<pre tabindex="0" ')
        return self._filled(html, parsed)

    def _filled(self, html: str, parsed: Parsed, before: int | None = None) -> SafeString:
        """With the text's things in their places, each once; in a figure's caption, those ``before`` the figure."""
        return markdown.filled(html, range(len(parsed.things))[:before], lambda number: self._put(number, parsed))

    def _put(self, number: int, parsed: Parsed) -> SafeString:
        if number in self.put:
            return SafeString("")
        self.put.add(number)
        return self._thing(number, parsed)

    def _unwrapped(self, found: re.Match[str], things: Sequence[Any]) -> str:
        """A paragraph of figures alone is no paragraph; several of them stand beside each other."""
        numbers = [int(number) for number in re.findall("[0-9]+", found[1])]
        figures = [things[number] for number in numbers if number < len(things) and isinstance(things[number], _Figure)]
        if len(figures) < len(numbers):
            return found[0]
        self.alone += figures
        inside = "".join(f"{OPEN}{number}{CLOSE}" for number in numbers)
        return inside if len(numbers) == 1 else f'<div class="figures">{inside}</div>'

    @property
    def sources(self) -> list[Source]:
        """What was cited, in the order of first citation."""
        found = [(number, self.bibliography.entries[key]) for key, number in self.numbers.items()]
        return [Source(number, entry.key, entry.html()) for number, entry in found]

    def problem(self, line: int, sentence: str) -> None:
        if len(self.problems) < MOST_PROBLEMS:
            self.problems.append(Problem(self.field, line, sentence))

    def _thing(self, number: int, parsed: Parsed) -> SafeString:
        thing, line = parsed.things[number], parsed.lines[number]
        if isinstance(thing, _Formula):
            return self._formula(thing, line)
        if isinstance(thing, _Citation):
            return self._citation(thing, line)
        if isinstance(thing, _Figure):
            return self._figure(thing, line, self._filled(_inline(thing.caption), parsed, number))
        html = self.references.html(thing)
        if html.startswith('<span class="nowhere"'):
            self.problem(line, f"There is no neuron, family or claim [[{thing}]] here.")
        return html

    def _formula(self, formula: _Formula, line: int) -> SafeString:
        self.formulas, self.tex = self.formulas + 1, self.tex + len(formula.tex)
        mark = "$$" if formula.block else "$"
        try:
            if self.formulas > MOST_FORMULAS or self.tex > MOST_TEX:
                raise FormulaError(f"a note has at most {MOST_FORMULAS} of them, of {MOST_TEX:,} characters")
            drawn = mark_safe(tidy(mathml(formula.tex, block=formula.block)))  # its signs may be such as are not seen
        except FormulaError as error:
            self.problem(line, f"The formula {mark}{formula.tex[:60]}{mark} cannot be drawn: {error}.")
            return format_html(
                '<code class="nowhere" title="This formula cannot be drawn: {}">{}{}{}</code>',
                *(error, mark, formula.tex, mark),
            )
        return format_html(
            '<span class="formula{}"{}>{}</span>',
            *("" if formula.block else " within", mark_safe(' tabindex="0"' if _wide(formula) else ""), drawn),
        )

    def _citation(self, citation: _Citation, line: int) -> SafeString:
        links: list[SafeString] = []
        notes: list[tuple[int, str]] = []
        for written in citation.written.split(";"):
            found = CITED.fullmatch(written.strip())
            entry = self.bibliography.get(found[1]) if found else None
            if found is None or entry is None:
                self.problem(line, f"The bibliography has no entry for {written.strip()}.")
                links.append(
                    format_html('<span class="nowhere" title="Not in the bibliography">{}</span>', written.strip())
                )
                continue
            key, place = entry.key.casefold(), found[2] or ""
            first = key not in self.numbers
            number = self.numbers.setdefault(key, len(self.numbers) + 1)
            anchor = format_html(' id="cite-{}"', number) if first else ""
            links.append(
                format_html(
                    '<a href="#source-{0}"{1} title="{2}">{0}</a>{3}',
                    *(number, anchor, entry.short, f", {place}" if place else ""),
                )
            )
            if first:
                notes.append((number, entry.short))
        return format_html(
            '<span class="cite">[{}]</span>{}',
            format_html_join("; ", "{}", ((link,) for link in links)),
            # In the margin for who can see it; everybody has the list of references.
            format_html_join("", '<span class="margin" aria-hidden="true"><b>{}</b> {}</span>', notes),
        )

    def _figure(self, figure: _Figure, line: int, caption: SafeString) -> SafeString:
        inside = self.figures.get(figure.public_id)
        if inside is None:
            self.problem(line, f"There is no evidence /evidence/{figure.public_id}/.")
            return format_html(
                '<span class="nowhere" title="There is no such evidence">{}</span>', f"/evidence/{figure.public_id}/"
            )
        if len(self.shown) >= MOST_FIGURES or not any(one is figure for one in self.alone):
            most = f"A note shows at most {MOST_FIGURES} figures"
            why = most if len(self.shown) >= MOST_FIGURES else "A figure stands in a paragraph of its own"
            self.problem(line, f"{why}: this one is a link.")
            return format_html('<a href="/evidence/{}/">{}</a>', figure.public_id, caption or "Evidence")
        self.shown.append(figure.public_id)
        number = len(self.shown)
        return format_html(
            '<figure class="shown" id="figure-{0}" aria-labelledby="figure-{0}-c">{1}'
            '<figcaption><span id="figure-{0}-c"><b>Figure {0}.</b> {2}</span> {3}</figcaption></figure>',
            *(number, inside.body, caption, inside.about),
        )


def _wide(formula: _Formula) -> bool:
    """Whether it may have to be scrolled on a phone: then it can be reached by keyboard."""
    return len(formula.tex) > 30


def named(network: Network, *texts: str) -> Named:
    """The neurons and families that these texts name, or show a figure of. At most five queries."""
    read = [parse(text) for text in texts]
    references = References(network)
    marks = {mark for one in read for mark in one.references if not mark.startswith("@")}
    figures = [public_id for one in read for public_id in one.figures]
    neurons, families = Q(pk__in=()), Q(pk__in=())
    if figures:
        shown = EvidenceVersion.objects.filter(public_id__in=figures)
        rows = shown.values_list("evidence__neuron", "evidence__family", "evidence__other")
        for neuron, *kin in rows:
            neurons |= Q(pk=neuron)
            families |= Q(pk__in=[pk for pk in kin if pk is not None])
    for mark in marks:
        found = FAMILY.fullmatch(mark)
        if found and (layer := references.layer(found["network"] or network.name, found["layer"])):
            families |= Q(layer=layer, name__iexact=found["name"].strip(), retired_at=None)
        elif found is None and (found := NEURON.fullmatch(mark)):
            layer = references.layer(found["network"] or network.name, found["layer"])
            neurons |= Q(layer=layer, index=int(found["index"])) if layer else Q(pk__in=())
    return Named(
        list(Neuron.objects.filter(neurons).select_related("layer__network")),
        list(Family.objects.filter(families).select_related("layer__network")),
    )


# Reading


def _cleaned(html: str) -> str:
    return markdown.cleaned(html, markdown.TAGS | {"h2"})


def _inline(html: str) -> str:
    """Of a caption only what stands in a line."""
    return re.sub(r"</?p\b[^>]*>", "", _cleaned(html))


def _headed(tag: str, heading: Heading | None) -> str:
    return f'<{tag} dir="auto">' if heading is None else format_html('<{} id="{}" dir="auto">', tag, heading.id)


def _head(tokens: Sequence[Token], things: Sequence[Any]) -> list[Heading]:
    """Give headings the levels that they have in an article, without a gap, and tell which there are."""
    found: list[Heading] = []
    taken: Counter[str] = Counter()
    used = sorted({token.tag for token in tokens if token.type == "heading_open"})
    before = 1
    for place, token in enumerate(tokens):
        if token.type != "heading_open":
            continue
        level = min(used.index(token.tag) + 2, before + 1)
        token.tag = tokens[place + 2].tag = f"h{level}"
        before = level
        words = _words(tokens[place + 1].children or [], things)
        base = f"section-{slugify(words)[:60] or len(found) + 1}"
        taken[base] += 1
        name = base if taken[base] == 1 else f"{base}--{taken[base]}"  # no heading is called so by itself
        found.append(Heading(name, words, level))
    return found


def _words(tokens: Iterable[Token], things: Sequence[Any]) -> str:
    """What a heading says, for the contents."""

    def told(found: re.Match[str]) -> str:
        number = int(found[1])
        thing = things[number]
        if isinstance(thing, _Formula):
            return thing.tex
        return re.sub(r"^family:", "", thing) if isinstance(thing, str) else ""

    text = "".join(" " if one.type == "softbreak" else one.content for one in tokens)
    return re.sub(f"{OPEN}([0-9]{{1,6}}){CLOSE}", told, text).strip()


def _formula(state: StateInline, silent: bool) -> bool:
    """``$$...$$``, and ``$...$`` with no space inside its ends and no digit behind it: so prices stay prices."""
    if state.src[state.pos] != "$":
        return False
    block = state.src.startswith("$$", state.pos)
    found = (DISPLAY if block else FORMULA).match(state.src, state.pos)
    if found is None or (not block and (found[1][0].isspace() or found[1][-1].isspace())):
        # Nobody is shown more problems than these: of a text of nothing but $ there would be one for each.
        if block and not silent and len(state.env["problems"]) < MOST_PROBLEMS:
            state.env["problems"].append((_line(state), "A formula begins here with $$ and does not end."))
        return False
    if not silent:
        put_aside(state, found[0], _Formula(found[1].strip(), block))
    state.pos = found.end()
    return True


def _citation(state: StateInline, silent: bool) -> bool:
    found = CITATION.match(state.src, state.pos) if state.linkLevel == 0 else None
    if found is None:
        return False
    if not silent:
        put_aside(state, found[0], _Citation(found[1]))
    state.pos = found.end()
    return True


def _figure(state: StateInline, silent: bool) -> bool:
    found = FIGURE.match(state.src, state.pos) if state.src[state.pos] == "!" and state.linkLevel == 0 else None
    if found is None:
        return False
    if not silent:
        caption = state.md.renderInline(found[1], state.env)
        put_aside(state, found[0], _Figure(found[2].lower(), caption))
    state.pos = found.end()
    return True


def _line(state: StateInline) -> int:
    return int(state.env.get("line", 0)) + state.src.count("\n", 0, state.pos)


def _display(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    """A formula that begins a line by ``$$`` is one paragraph, whatever its lines look like."""

    def line_at(number: int) -> str:
        return state.src[state.bMarks[number] + state.tShift[number] : state.eMarks[number]]

    if state.is_code_block(start) or not line_at(start).startswith("$$"):
        return False
    last, rest = start, line_at(start)[2:]
    while "$$" not in rest:
        last += 1
        if last >= end or state.isEmpty(last) or state.sCount[last] < state.blkIndent:
            return False
        rest = line_at(last)
    if rest.partition("$$")[2].strip():
        return False
    if not silent:
        state.line = last + 1
        state.push("paragraph_open", "p", 1).map = [start, last + 1]
        inline = state.push("inline", "", 0)
        inline.content = state.getLines(start, last + 1, state.blkIndent, False).strip()
        inline.map, inline.children = [start, last + 1], []
        state.push("paragraph_close", "p", -1)
    return True


def _enough(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    """What begins after so many blocks is not read any more, but shown as it was written."""
    if silent or len(state.tokens) < MOST_BLOCKS:
        return False
    if not state.env.get("cut"):
        state.env["cut"] = True
        told = "The text has too many paragraphs, lists and the like: from here on it is shown as it was written."
        state.env["problems"].insert(0, (start + 1, f"{told} Split it into two notes, or shorten it."))
    rest = state.push("code_block", "code", 0)
    rest.content, rest.map = state.getLines(start, end, 0, True), [start, end]
    state.line = end
    return True


def _lines(state: StateCore) -> None:
    """As the parser's own rule, and tells in which line each piece of text begins."""
    for token in state.tokens:
        if token.type == "inline":
            if token.map and not state.inlineMode:  # a caption is within a line that is told already
                state.env["line"] = token.map[0] + 1
            token.children = token.children or []
            state.md.inline.parse(token.content, state.md, state.env, token.children)


def _make(*rules: str) -> MarkdownIt:
    parser = markdown.make_parser(*rules)
    parser.block.ruler.before(parser.block.ruler.get_all_rules()[0], "enough", _enough)
    parser.block.ruler.before("heading", "display", _display, {"alt": ["paragraph", "reference", "blockquote", "list"]})
    parser.inline.ruler.before("backticks", "formula", _formula)
    parser.inline.ruler.before("picture", "figure", _figure)
    parser.inline.ruler.before("link", "citation", _citation)
    parser.core.ruler.at("inline", _lines)
    return parser


_parser, _without_tables = _make("table"), _make()
