import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taxonomy.rendering.bibliography import read

OLAH = r"""@article{olah2020zoom,
  author = {Olah, Chris and {The {\"U}ber Team} and Ludwig van Beethoven},
  title = {Zoom {I}n: <b>}, journal = {Distill}, volume = 5, number = 3, year = 2020,
  doi = {https://doi.org/10.23915/distill.00024.001}, url = {https://distill.pub/x}
}"""


def test_an_entry_is_told_in_words():
    found = read(OLAH)
    entry = found.get("OLAH2020zoom")
    assert found.problems == []
    assert entry.short == "Olah et al., 2020. Zoom In: <b>"
    assert entry.html() == (
        "Olah, C., The Über Team and van Beethoven, L. (2020). "
        '<a href="https://doi.org/10.23915/distill.00024.001" rel="nofollow noopener">'
        "<cite>Zoom In: &lt;b&gt;</cite></a>. Distill 5(3). doi:10.23915/distill.00024.001"
    )


def test_many_authors_are_not_all_named():
    by = " and ".join(f"Person{letter}, A." for letter in "abcdefgh")
    entry = read(f"@misc{{k, author={{{by}}}, title={{T}}}}").get("k")
    assert entry.html().startswith(
        "Persona, A., Personb, A., Personc, A., Persond, A., Persone, A., Personf, A. et al."
    )
    assert read("@misc{k, author={A B and others}, title={T}}").get("k").short == "B et al. T"


@pytest.mark.parametrize(
    ("bibtex", "line", "sentence"),
    [
        ("no entry at all", 1, "This is no BibTeX"),
        ("\n@article{a, title={Open\n", 2, "a brace or a quotation mark is missing"),
        ("@misc{a, title=foo}", 1, "“foo” is a word without braces"),
        ("@misc{a, title={x}}\n@misc{A, title={y}}", 2, "There are two entries “A”: the first is shown."),
        ("@misc{a, year=2020}", 1, "“a” has no title."),
        ("@misc{a[b, title={x}}", 1, "has a key that cannot be cited"),
        ("@misc{a, title {x}}", 1, "This cannot be read"),
        (f"@misc{{a, title={{{'x' * 7000}}}}}", 1, "at most 6,000 characters"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(bibtex, line, sentence):
    problems = read(bibtex).problems
    assert any(at == line and sentence in said for at, said in problems), problems


def test_an_entry_with_a_mistake_does_not_spoil_the_others():
    found = read("@misc{a, title={Open\n@misc{b, title={Good}}\n")
    assert found.get("b").title == "Good"
    assert len(found.problems) == 1


@pytest.mark.parametrize("url", ["javascript:alert(1)", "data:text/html,x", 'https://a"onmouseover=b', "//example.org"])
def test_addresses_lead_nowhere_but_to_the_web(url):
    assert "href" not in read(f"@misc{{a, title={{x}}, url={{{url}}}, doi={{{url}}}}}").get("a").html()


def test_macros_that_double_each_other_stay_small():
    text = '@string{a = "xxxxxxxxxxxxxxxx"}\n' + "@string{a = a # a}\n" * 2_000 + "@misc{k, title = a # a}"
    assert len(read(text).get("k").title) <= 400


@pytest.mark.parametrize(
    "text",
    [
        *("@" * 100_000, "@\n" * 50_000, "@a{" * 30_000, "{" * 100_000, '@a{x, t = "' + "{}" * 40_000),
        *(f"@a{{x, author={{{' and ' * 20_000}}}}}", f"@a{{x, title={{{'{' * 2_900}{'}' * 2_900}}}}}"),
        "".join(f"@a{{k{number}, author={{{'{a} ' * 1_400}}}}}\n" for number in range(17)),
        "".join(f"@a{{k{number}, title={{{chr(92) * 5_800}}}}}\n" for number in range(17)),
    ],
)
def test_a_hundred_thousand_characters_of_anything_are_read_at_once(text):
    found = read(text[:100_000])  # whatever took the square of its length would not come back for an hour
    assert len(found.problems) <= 60


@settings(max_examples=200)
@given(st.text(alphabet='@{}(),="#\\$~ \nabAB1%&<>', max_size=200) | st.text(max_size=100))
def test_whatever_is_written_is_read(text):
    for bibtex in (text, f"@misc{{k, title = {{{text}}}, author = {{{text}}}, url = {{{text}}}}}"):
        found = read(bibtex)
        for entry in found.entries.values():
            assert "<b>" not in entry.html()
            assert entry.short is not None
