import pytest

from taxonomy.rendering.markdown import References, plain, render
from tests.factory import make_family, make_network


@pytest.fixture
def references(db) -> References:
    network = make_network()
    make_network("other")
    make_family(network.layers.get(name="mixed3b"), "Curves & Co")
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
    with django_assert_num_queries(2):
        for _ in range(5):
            render("[[3b:1]] [[3b:2]] [[family:3b/curves & co]]", references)


def test_plain_words():
    assert plain("**Bold** [[3b:1]] & more") == "Bold 3b:1 &amp; more"
    assert plain("word " * 100, 20).endswith("…")


@pytest.mark.parametrize("text", ["&#xe000;5&#xe001;", "[[3b:1]] &#xe000;7&#xe001;", f"&#xe000;{'9' * 5000}&#xe001;"])
def test_the_marks_of_references_written_by_hand_break_no_page(references, text):
    assert render(text, references).startswith("<p dir")
