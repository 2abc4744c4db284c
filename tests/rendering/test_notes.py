import re
from dataclasses import FrozenInstanceError, replace

import pytest
from django.utils.safestring import SafeString
from hypothesis import given, settings
from hypothesis import strategies as st

from taxonomy.rendering import bibliography, markdown, notes
from taxonomy.rendering.formulas import ATTRIBUTES, ELEMENTS
from taxonomy.rendering.markdown import References
from taxonomy.rendering.notes import Composer, Shown
from tests.factory import make_evidence, make_family, make_network, neuron_at
from tests.rendering.test_formulas import read

SOURCES = bibliography.read("@misc{one, title={First}, author={Ada A}}\n@misc{two, title={Second}}")
FIGURE = "0b4e9d6e-8c1b-4a51-9a5e-111111111111"
SHOWN = {FIGURE: Shown(SafeString("<i>picture</i>"), SafeString("<small>about</small>"))}


@pytest.fixture
def references(db) -> References:
    network = make_network()
    make_family(network.layers.get(name="mixed3b"), "Curves")
    return References(network)


def written(text: str, references: References) -> tuple[str, Composer]:
    composer = Composer(references, SOURCES, SHOWN)
    return composer.write(notes.parse(text), "body"), composer


def test_formulas_stand_in_the_text_and_by_themselves(references):
    html, composer = written("Let $x_i$ be.\n\n$$\nx\n= 3\n- 2\n$$\n\n`$code$` \\$5 and $6$7 or $ 8$", references)
    assert html.count("<math") == 2
    assert '<math display="block" alttext="x\n= 3\n- 2">' in html, "lines of a formula are no list and no heading"
    assert "<code>$code$</code> $5 and $6$7 or $ 8$" in html
    assert composer.problems == []


def test_citations_are_numbered_by_first_use_and_listed(references):
    html, composer = written("As [@two, p. 3; @one] and [@TWO] say. [@one](https://example.org) `[@one]`", references)
    assert [(source.number, source.key) for source in composer.sources] == [(1, "two"), (2, "one")]
    assert '<a href="#source-1" id="cite-1" title="Second">1</a>, p. 3; <a href="#source-2" id="cite-2"' in html
    assert html.count('id="cite-1"') == 1
    assert html.count('class="margin" aria-hidden="true"') == 2
    assert 'href="https://example.org"' in html


def test_a_figure_is_evidence_with_a_caption(references):
    html, _ = written(f"![What [[3b:1]] *sees* [@one]](https://here.example/evidence/{FIGURE}/)", references)
    assert html.startswith(
        '<figure class="shown" id="figure-1" aria-labelledby="figure-1-c"><i>picture</i><figcaption>'
    )
    assert "<b>Figure 1.</b> What <a" in html
    assert "<em>sees</em>" in html
    assert "<small>about</small></figcaption></figure>" in html


def test_figures_of_one_paragraph_stand_beside_each_other_and_in_a_line_are_links(references):
    html, composer = written(
        f"![a](/evidence/{FIGURE}/)\n![b](/evidence/{FIGURE})\n\nIn ![c](/evidence/{FIGURE}/).", references
    )
    assert html.startswith('<div class="figures"><figure')
    assert html.count("<figure") == 2
    assert f'In <a href="/evidence/{FIGURE}/">c</a>.' in html
    assert [(one.line, one.sentence) for one in composer.problems] == [
        (4, "A figure stands in a paragraph of its own: this one is a link.")
    ]


def test_headings_have_the_levels_of_an_article_without_gaps(references):
    text = "### Begin with $x$\n\n# One\n\n# One\n\n#### Deep [[3b:1]]\n"
    parsed = notes.parse(text)
    assert [(one.level, one.id, one.words) for one in parsed.contents] == [
        (2, "section-begin-with-x", "Begin with x"),
        (2, "section-one", "One"),
        (2, "section-one--2", "One"),
        (3, "section-deep-3b1", "Deep 3b:1"),
    ]
    html, _ = written(text, references)
    assert '<h3 id="section-deep-3b1" dir="auto">Deep <a class="chip"' in html


@pytest.mark.parametrize(
    ("text", "line", "sentence"),
    [
        ("a\n\nb\n$x^$", 4, "The formula $x^$ cannot be drawn: there is nothing behind ^ or _."),
        ("a\n\n$$ x", 3, "A formula begins here with $$ and does not end."),
        ("- a\n- [@none]", 2, "The bibliography has no entry for @none."),
        ("[[9z:1]]", 1, "There is no neuron, family or claim [[9z:1]] here."),
        ("| a |\n|---|\n| [[family:3b/none]] |", 3, "There is no neuron, family or claim [[family:3b/none]] here."),
        (f"![x](/evidence/{FIGURE[:-1]}9/)", 1, f"There is no evidence /evidence/{FIGURE[:-1]}9/."),
    ],
)
def test_what_its_authors_should_look_at_is_said_with_its_line(references, text, line, sentence):
    html, composer = written(text, references)
    assert [(one.field, one.line, one.sentence) for one in composer.problems] == [("body", line, sentence)]
    assert "nowhere" in html or "$$ x" in html


def test_what_texts_name_is_found(references):
    family = references.network.layers.get(name="mixed3b").families.get()
    shown = make_evidence(neuron_at("3b:4")).current
    found = notes.named(
        references.network,
        f"[[3b:1]] [[conv1:2]] [[3b:99]] [[9z:1]] `[[3b:5]]` ![x [[3b:3]]](/evidence/{shown.public_id}/)",
        "[[family:mixed3b/CURVES]] @nobody",
    )
    assert {neuron.address for neuron in found.neurons} == {"mixed3b:1", "conv1:2", "mixed3b:3", "mixed3b:4"}
    assert found.families == [family]


@pytest.mark.parametrize(
    "text",
    [
        *("$<script>alert(1)</script>$", r"$\text{<img src=x onerror=alert(1)>}$", r"$\href{javascript:alert(1)}{x}$"),
        f'![<img src=x onerror=alert(1)> "onload=](/evidence/{FIGURE}/)',
        *("[@<script>]", '[@one, "><script>alert(1)</script>]', "# <script>\n", "[x](javascript:alert(1))"),
        *("| <script> |\n|---|\n| $<b>$ |", "$$\n</math><script>alert(1)</script>\n$$", "![x](javascript:alert(1))"),
        "&#xe000;0&#xe001; $x$ \ue0009\ue001",
        "# &#xe000;7&#xe001;",
    ],
)
def test_nothing_dangerous_comes_through(references, text):
    html, _ = written(text, references)
    reader = read(html)
    assert not {"script", "img", "style", "iframe"} & set(reader.tags)
    assert not any(name.startswith("on") for name in reader.attributes)
    assert 'href="javascript' not in html


@pytest.mark.parametrize(
    "text",
    [
        f"![&#xe000;0&#xe001;](/evidence/{FIGURE}/)",
        f"![&#57344;0&#57345;](/evidence/{FIGURE}/)",
        "\n\n".join(f"![{f'&#xe000;{one - 1}&#xe001;' * 2 if one else 'x'}](/evidence/{FIGURE}/)" for one in range(24)),
        f'[[3b:1]] ![a](/evidence/{FIGURE}/) [x](https://a.example "&#xe000;0&#xe001;&#xe000;1&#xe001;")',
        f'[x][y] ![a](/evidence/{FIGURE}/)\n\n[y]: https://a.example "&#xe000;0&#xe001;"',
    ],
)
def test_what_is_written_as_the_marks_of_what_is_put_aside_means_nothing(references, text):
    html, _ = written(text, references)
    assert html.count("<figure") <= 24
    assert html.count("<i>picture</i>") == html.count("<figure"), "each is in its place, once"
    assert not re.search('="[^"]*<', html), "nothing is put into an attribute"
    for thing in notes.parse(text).things:
        assert "\ue000" not in getattr(thing, "caption", "")


def test_a_figure_holds_only_what_stands_before_it_and_each_thing_is_in_one_place(references):
    """Even if its caption held the marks of others, or its own."""
    parsed = notes.parse(f"![a](/evidence/{FIGURE}/)\n\n![b](/evidence/{FIGURE}/)\n\n[[3b:1]]")
    figure = notes._Figure(FIGURE, "\ue0000\ue001\ue0001\ue001\ue0002\ue001" * 2)
    parsed = replace(parsed, things=(figure, replace(figure), parsed.things[2]))
    html = Composer(references, SOURCES, SHOWN).write(parsed, "body")
    assert html.count("<figure") == 2
    assert html.count('class="chip"') == 1


MARKS = [
    "$",
    "$$",
    "[[",
    "]]",
    "[@",
    "]",
    "![",
    f"](/evidence/{FIGURE}/)",
    "\n",
    "\n\n",
    "#",
    "|",
    "|---|",
    "\\",
    "x",
    "-",
]
MARKS += ["@one", "; ", "3b:1", "claim:", "*", "`", ">", "<b>", r"\frac{", "}", "{", "&#xe000;1&#xe001;", "=", " "]
MARKS += ["&#xe000;0&#xe001;", "&#57344;2&#xE001;", '[x](/a "', '")', f"![&#xe000;0&#xe001;](/evidence/{FIGURE}/)"]


@settings(max_examples=300)
@given(text=st.lists(st.sampled_from(MARKS), max_size=50).map("".join) | st.text(max_size=80))
def test_whatever_is_written_only_known_elements_come_out(references, text):
    html, _ = written(text, references)
    reader = read(html)
    known = markdown.TAGS | ELEMENTS | {"h2", "figure", "figcaption", "div", "span", "b", "i", "small"}
    known |= {"svg", "circle"}  # of a neuron without a picture
    assert set(reader.tags) <= known
    allowed = {"id", "class", "href", "title", "dir", "rel", "start", "tabindex", "role", "aria-label"}
    allowed |= {"aria-hidden", "aria-labelledby", "display", "alttext", "focusable", "viewbox", "cx", "cy", "r"}
    assert set(reader.attributes) <= allowed | ATTRIBUTES.keys()
    assert not re.search("[\ue000\ue001]", html)
    assert html.count("<figure") <= text.count("/evidence/")


@pytest.mark.parametrize(
    "piece",
    [
        "$",
        "$$",
        "$$\n",
        "$x",
        "$a\n\n",
        "[@",
        "[@one]",
        "[@one;",
        "![",
        "![[[",
        "![x](/evidence/",
        "[[",
        "# x\n",
        "\\$",
        "$\\",
        "|$",
    ],
)
def test_a_hundred_thousand_characters_of_anything_are_written(references, piece):
    html, composer = written(piece * (100_000 // len(piece)), references)
    assert len(html) < 8_000_000
    assert len(composer.problems) <= notes.MOST_PROBLEMS


@pytest.mark.parametrize("piece", ["- - - - a\n", "> > > a\n\n", "a\n\n", "1. a\n\n   b\n\n", "# a\n", "```\na\n```\n"])
def test_of_a_text_of_thousands_of_blocks_the_rest_stays_as_it_was_written(references, piece):
    text = piece * (90_000 // len(piece)) + "the *end*"
    html, composer = written(text, references)
    assert (
        sum(html.count(tag) for tag in ("<p ", "<li", "<ul", "<ol", "<blockquote", "<h2", "<pre"))
        <= notes.MOST_BLOCKS + 1
    )
    assert "the *end*" in html
    (problem,) = composer.problems
    assert "is shown as it was written. Split it into two notes, or shorten it." in problem.sentence
    assert 1 < problem.line < text.count("\n")


def test_a_text_is_read_once_and_what_was_read_cannot_be_changed():
    parsed = notes.parse("As [[3b:1]] shows $$")
    assert notes.parse("As [[3b:1]] shows $$") is parsed
    with pytest.raises(FrozenInstanceError):
        parsed.html = ""
    assert all(isinstance(part, tuple) for part in (parsed.things, parsed.lines, parsed.contents, parsed.problems))
    assert 0 < notes.parse.cache_parameters()["maxsize"] <= 1_000, "a process keeps a bounded number of texts"


def test_only_so_many_problems_are_kept_as_are_told():
    assert len(notes.parse("$" * 100_000).problems) == notes.MOST_PROBLEMS
