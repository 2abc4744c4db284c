import re
import unicodedata
from html.parser import HTMLParser

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import given, settings
from hypothesis import strategies as st

from taxonomy.rendering import markdown
from taxonomy.rendering.markdown import References, mentioned, plain, render, tidy
from tests.factory import make_family, make_network, make_user


@pytest.fixture
def references(db) -> References:
    network = make_network()
    make_network("other")
    make_family(network.layers.get(name="mixed3b"), "Curves & Co")
    make_user("ada")
    make_user("bela.k")
    return References(network)


def test_neurons_and_families_become_chips_and_links(references):
    html = render("See [[3b:1]], [[other/mixed3b:2]] and [[family:3b/curves & co]].", references)
    assert 'href="/networks/tinynet/mixed3b/1/"' in html
    assert "mixed3b:1</span>" in html
    assert "other/mixed3b:2</span>" in html
    assert "Curves &amp; Co" in html


@pytest.mark.parametrize("text", ["[[3b:8]]", "[[9z:1]]", "[[nowhere/3b:1]]", "[[family:3b/none]]", "[[what]]"])
def test_references_to_nothing_stay_as_written(references, text):
    html = render(text, references)
    assert 'class="nowhere"' in html
    assert text in html


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "[x](javascript:alert(1))",
        "[x](data:text/html,<script>alert(1)</script>)",
        '<p style="color:red">',
        "[[<script>alert(1)</script>:1]]",
        "![x](https://example.org/track.png)",
        "![x](javascript:alert(1))",
        "[x](vbscript:alert(1))",
        "[x](JaVaScRiPt:alert(1))",
        "[x](java&#x202e;script:alert(1))",
        "[x](java\u200bscript:alert(1))",
        "[x](&#106;avascript:alert(1))",
        "<javascript:alert(1)>",
        "[x]: javascript:alert(1)\n\n[x]",
        "[x](https://example.org 'onmouseover=alert(1)')",
        "<svg/onload=alert(1)>",
        "`<script>`",
        "[[<img src=x onerror=alert(1)>]]",
        "@<script>alert(1)</script>",
        "\ue0000\ue001<script>",
    ],
)
def test_nothing_dangerous_comes_through(references, text):
    html = render(text, references)
    for word in ("<script", "<img", 'href="javascript', 'href="data:', "<p style"):
        assert word not in html


def test_code_keeps_brackets_and_private_characters_are_dropped(references):
    assert "[[3b:1]]" in render("`[[3b:1]]`", references)
    assert "\ue000" not in render("\ue0000\ue001 [[3b:1]]", references)


def test_headings_start_below_the_pages_own(references):
    assert render("# One\n\n## Two\n\n### Three", references).count("<h3 dir") == 3


def test_a_page_looks_names_up_once(references, django_assert_num_queries):
    with django_assert_num_queries(1):
        for _ in range(5):
            render("[[3b:1]] [[3b:2]] [[family:3b/curves & co]]", references)


def test_plain_words():
    assert plain("**Bold** [[3b:1]] & more") == "Bold 3b:1 &amp; more"
    assert plain("word " * 100, 20).endswith("…")


@pytest.mark.parametrize("text", ["&#xe000;5&#xe001;", "[[3b:1]] &#xe000;7&#xe001;", f"&#xe000;{'9' * 5000}&#xe001;"])
def test_the_marks_of_references_written_by_hand_break_no_page(references, text):
    assert render(text, references).startswith("<p dir")


def test_people_become_links(references):
    html = render("Dear @ada, @Ada's and @bela.k. and @nobody", references)
    assert html.count('<a class="mention" href="/people/ada/">@ada</a>') == 2
    assert '<a class="mention" href="/people/bela.k/">@bela.k</a>. and @nobody' in html


@pytest.mark.parametrize(
    "text",
    [
        *(
            "`@ada`",
            "    @ada",
            "```\n@ada\n```",
            "mail x@ada",
            "x.@ada",
            "https://example.org/@ada",
            "@@ada",
            "@ad\u0430",
        ),
        *("[@ada](https://example.org)", "<https://example.org/@ada>", "\\@ada", "@adam", "&#64;ada", "@\u0430da"),
    ],
)
def test_what_is_no_mention(references, text):
    assert "mention" not in render(text, references)
    assert mentioned(text) == set()


def test_who_is_mentioned(references):
    assert mentioned("@ada and (@bela.k), _@ada_, @nobody, `@nobody`") == {"ada", "bela.k"}


def test_names_are_looked_up_once_a_page(references, django_assert_num_queries):
    with django_assert_num_queries(1):
        for _ in range(5):
            render("@ada @bela.k @nobody", references)
    with django_assert_num_queries(0):
        assert mentioned("nobody at all") == set()


def test_only_the_names_that_are_mentioned_are_asked_for(references):
    render("@ada, @bela.k. and @nobody", references)
    assert {name for name in references.people.values() if name} == {"ada", "bela.k"}
    assert "bela.k." in references.people  # "bela.k" was found at its end
    with CaptureQueriesContext(connection) as queries:
        assert mentioned("@Ada-.") == {"ada"}
    assert "'ada-.'" in queries[0]["sql"]


def test_a_name_from_before_names_were_plain_is_found(references):
    make_user("Straße")
    assert mentioned("@straße, @Straße.") == {"Straße"}


def test_whoever_the_texts_of_a_page_mention_is_asked_for_at_once(references, django_assert_num_queries):
    texts = [f"Dear @{make_user().username}, and @ada." for _ in range(5)]
    with django_assert_num_queries(1):
        here = References(references.network, texts=texts)
        assert all(render(text, here).count('class="mention"') == 2 for text in texts)


def test_a_page_that_goes_on_asking_is_given_everybody(references, django_assert_num_queries):
    texts = [f"Dear @{make_user().username} and @nobody{place}" for place in range(9)]
    with django_assert_num_queries(3):
        assert all(render(text, references).count('class="mention"') == 1 for text in texts)


def test_references_beside_definitions(references):
    html = render("[[3b:1]] is [x], as [[3b:2]].\n\n[x]: https://example.org", references)
    assert html.count('class="chip"') == 2
    assert 'href="https://example.org"' in html
    assert "[x]" in render("[[3b:1]] [x]", references)


def test_references_in_a_link_do_not_break_it(references):
    html = render("[see [[3b:1]] there](https://example.org)", references)
    assert html.count("<a ") == 1


def test_pictures_are_links(references):
    html = render("![a curve](https://example.org/curve.png)", references)
    assert html == '<p dir="auto"><a href="https://example.org/curve.png" rel="nofollow noopener">a curve</a></p>\n'


@pytest.mark.parametrize("text", ["[](https://example.org)", "![](https://example.org)", "[ ](<>)"])
def test_a_link_without_words_shows_where_it_leads(references, text):
    found = re.search(r"<a [^>]*>(.*?)</a>", render(text, references))
    assert found is None or found[1].strip()


def test_what_turns_or_hides_text_is_left_out(references):
    html = render("Safe \u202etxt.exe\u202c \u2066x\u2069 ze\u200bro a\u00adb &#x202e;turned &rlm; \ufeff", references)
    assert html == '<p dir="auto">Safe txt.exe x zero ab turned </p>\n'
    assert tidy("می\u200cخواهم 👩\u200d🔬") == "می\u200cخواهم 👩\u200d🔬"


def test_no_towers_of_marks(references):
    assert tidy("Z" + "\u0301" * 50 + "a\u0301") == "Z" + "\u0301" * 4 + "a\u0301"
    assert plain("Z" + "\u0301" * 50) == "Z" + "\u0301" * 4


def test_thousands_of_references_are_words(references):
    html = render("[[3b:1]]" * 2_000, references)
    assert html.count("<svg") == markdown.MOST_REFERENCES
    assert html.count("[[3b:1]]") == 1_800
    assert render("@ada " * 2_000, references).count("mention") == markdown.MOST_REFERENCES


def test_a_table_without_end_is_shown_as_it_was_written(references):
    small = "|a|b|\n|-|-|\n|1|2|"
    assert "<table>" in render(small, references)
    huge = "|" + "a|" * 100 + "\n|" + "-|" * 100 + "\n" + "|\n" * 9_000
    assert "<table>" not in render(huge[:20_000], references)


# What anybody may write


class Watched(HTMLParser):
    """Reads HTML as a browser does, and notes what no text may bring onto a page."""

    VOID = {"br", "hr", "circle", "image"}
    # Of our own: chips, mentions, what is not there.
    OURS = {"svg", "circle", "image", "span"}
    ATTRIBUTES = {
        *("href", "title", "rel", "dir", "class", "start"),
        *("viewbox", "aria-hidden", "focusable", "cx", "cy", "r", "width", "height"),
    }

    def __init__(self) -> None:
        super().__init__()
        self.wrong: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in markdown.TAGS | self.OURS:
            self.wrong.append(f"<{tag}>")
        for name, value in attrs:
            if name not in self.ATTRIBUTES:
                self.wrong.append(f"{tag} {name}")
            if name == "href" and re.match(r"\s*(?!https?:|mailto:)[a-z+.-]+:", value or "", re.I):
                self.wrong.append(f"href {value}")
        if tag == "a" and "a" in self.open:
            self.wrong.append("a link in a link")
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in self.VOID:
            return
        if not self.open or self.open.pop() != tag:
            self.wrong.append(f"</{tag}>")


def wrongs(html: str) -> list[str]:
    watched = Watched()
    watched.feed(html)
    watched.close()
    bidi = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
    turning = [repr(sign) for sign in html if unicodedata.bidirectional(sign) in bidi or sign in "\u200b\u2060\ufeff\0"]
    return [*watched.wrong, *turning, *watched.open]


PIECES = st.sampled_from(
    [
        *(
            "[[3b:1]]",
            "[[family:3b/curves & co]]",
            "[[x]]",
            "[[",
            "]]",
            "[",
            "](",
            ")",
            "![",
            "@ada",
            "@",
            "**",
            "*",
            "_",
            "`",
        ),
        *(
            "```",
            "~~",
            "> ",
            "- ",
            "1. ",
            "# ",
            "|a|b|\n|-|-|\n",
            "|",
            "\n",
            "\n\n",
            "    ",
            "<",
            ">",
            "</p>",
            "<script>",
        ),
        *(
            "<img src=x onerror=alert(1)>",
            "javascript:",
            "data:text/html,",
            "https://example.org",
            "&#x202e;",
            "&lt;",
            "&",
        ),
        *(
            "\u202e",
            "\u2066",
            "\u200b",
            "\ue000",
            "0",
            "\ue001",
            "&#xe000;0&#xe001;",
            "\0",
            "e\u0301\u0301",
            "ש",
            "\\",
            '"',
        ),
        *("[x]: javascript:a\n", "[x]", "<http://a.b>", "<a@b.c>", "style=", "onload=", "---", "===", "\t", "\r", " "),
    ]
)


@pytest.mark.slow
@settings(max_examples=3_000)
@given(text=st.one_of(st.lists(PIECES, max_size=40).map("".join), st.text(max_size=300)))
def test_no_text_brings_anything_onto_a_page(references, text):
    assert wrongs(render(text, references)) == []
    mentioned(text)
    assert "<" not in plain(text)


def test_the_watch_sees_what_is_wrong():
    for bad in (
        "<script>",
        "<p onclick='x'></p>",
        "<a href='javascript:x'></a>",
        "<p>\u202e</p>",
        "<p>",
        "<style></style>",
    ):
        assert wrongs(bad), bad


NESTED = {
    "quotes": ">" * 20_000,
    "lists": "".join(f"{' ' * 2 * depth}- a\n" for depth in range(140)),
    "lists in a line": "- " * 10_000,
    "brackets": "[" * 20_000,
    "pictures": "![" * 10_000,
    "links": "[a](" * 5_000,
    "emphasis": "*a **b " * 2_857,
    "ticks": " ".join("`" * count for count in range(1, 199)),
    "definitions": "[a\n" * 6_666,
    "people": "@ada " * 4_000,
    "entities": "&#x41;" * 3_333,
}


@pytest.mark.parametrize("name", NESTED)
def test_texts_that_are_hard_to_read_are_read(references, name):
    assert wrongs(render(NESTED[name], references)) == []
