import re
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taxonomy.rendering.formulas import ATTRIBUTES, ELEMENTS, FormulaError, mathml


class Reader(HTMLParser):
    """What a browser would make of it."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [name for name, _ in attrs]


def read(markup: str) -> Reader:
    reader = Reader()
    reader.feed(markup)
    reader.close()
    return reader


def test_a_formula_is_drawn_and_says_its_tex():
    drawn = mathml(r"\frac{a_i}{b} \ge \sum_j w_{ij}", block=True)
    assert drawn.startswith(r'<math display="block" alttext="\frac{a_i}{b} \ge \sum_j w_{ij}">')
    assert "<mfrac><mrow><msub><mi>a</mi><mi>i</mi></msub></mrow><mrow><mi>b</mi></mrow></mfrac><mo>≥</mo>" in drawn


@pytest.mark.parametrize(
    ("tex", "why"),
    [
        ("", "it is empty"),
        ("x^", "nothing behind ^ or _"),
        ("x_a_b", "two subscripts"),
        (r"\frac{a", "an opening brace has no closing one"),
        ("a}", "a closing brace has no opening one"),
        (r"\left( x", r"each \left needs its \right"),
        (r"\begin{matrix} a & b", r"each \begin needs its \end"),
        (r"\echo{x}", r"\echo is no command that is known here"),
        (r"\def\a{\a\a}\a", "commands cannot be defined here"),
        (r"\newcommand{\b}{x}\b", "commands cannot be defined here"),
        ("x" * 2001, "at most 2,000 can be drawn"),
        ("{" * 41 + "}" * 41, "nested too deeply"),
        (r"\left(" * 190 + r"\right)" * 120, "needs its"),
        (r"\genfrac", "it cannot be read"),
    ],
)
def test_what_is_no_formula_is_said_in_words(tex, why):
    with pytest.raises(FormulaError, match=re.escape(why)):
        mathml(tex)


@pytest.mark.parametrize(
    "tex",
    [
        r"\text{<script>alert(1)</script>}",
        r"\text{&lt;img src=x onerror=alert(1)&gt;}",
        r"\mbox{</mtext></math><img src=x>}",
        r"\href{javascript:alert(1)}{x}",
        r"\style{position:fixed}{x}",
        r"\class{top}{x}",
        r"\color{red;background:url(//example.org)}{x}",
        r"\verb|<b>|",
        r"\unicode{x3c}script\unicode{x3e}",
        "<mglyph><style><img>",
        r"\rule{99em}{99em}",
        r"\hspace{-99em}",
        r"\kern-9999em",
    ],
)
def test_nothing_but_mathml_comes_out(tex):
    reader = read(mathml(tex))
    assert set(reader.tags) <= ELEMENTS
    assert set(reader.attributes) <= ATTRIBUTES.keys() | {"display", "alttext"}
    assert not re.search(r'(width|space|size)="-|\d\d(\.\d+)?em', mathml(tex).partition(">")[2])


PIECES = [
    *("{", "}", "^", "_", "&", r"\\", "x", "1", " ", "$", "<", ">", '"', "'", "%", "#", "[", "]", "(", "|", "\x00"),
    *(r"\frac", r"\left", r"\right", r"\begin{matrix}", r"\end{matrix}", r"\begin{array}{c|c}", r"\end{array}"),
    *(r"\text{", r"\sqrt", r"\sum", r"\limits", r"\hline", r"\overbrace", r"\href{a}", r"\unicode{", r"\genfrac"),
    *(r"\substack{", r"\binom", r"\middle", r"\prime", r"\operatorname{f}", r"\tag{1}", r"\not", r"\bigl", r"\above"),
]


@settings(max_examples=400)
@given(st.lists(st.sampled_from(PIECES), max_size=40).map("".join) | st.text(max_size=60))
def test_whatever_is_written_it_is_drawn_or_refused(tex):
    try:
        drawn = mathml(tex)
    except FormulaError:
        return
    reader = read(drawn)
    assert set(reader.tags) <= ELEMENTS
    assert set(reader.attributes) <= ATTRIBUTES.keys() | {"display", "alttext"}
