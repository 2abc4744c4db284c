"""Writing a note by keyboard: the article beside the text, completion, problems that lead to their line, text kept."""

import re
from collections.abc import Callable
from types import SimpleNamespace

import pytest
from playwright.sync_api import Locator, Page, expect

from taxonomy.actions import notes
from taxonomy.models import Authorship, Note, NoteVersion
from tests.pages.test_accessibility import check, sign_in
from tests.pages.test_articles import BIBLIOGRAPHY

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]


@pytest.fixture
def note(world: SimpleNamespace) -> Note:
    author = world.contributor
    note = Note.objects.create(network=world.network, created_by=author)
    Authorship.objects.create(note=note, person=author, added_by=author, agreed_at=note.created_at)
    NoteVersion.objects.create(note=note, number=1, title="Curves", bibliography=BIBLIOGRAPHY, saved_by=author)
    return note


@pytest.fixture
def page(visit: Callable[[], Page], world: SimpleNamespace, note: Note) -> Page:
    page = visit()
    page.goto("/people/")
    sign_in(page, world.contributor)
    page.goto(f"{note.get_absolute_url()}edit/")
    return page


@pytest.fixture
def body(page: Page) -> Locator:
    body = page.get_by_role("textbox", name=re.compile("^Body|^Text"))
    body.focus()
    return body


def test_the_article_stands_beside_what_is_written(page: Page, body: Locator) -> None:
    page.keyboard.type("See [[3b:1")
    page.keyboard.press("Escape")
    page.keyboard.type("]] where $x^2$ is.")
    preview = page.locator("[data-preview]")
    expect(preview.locator(".chip")).to_have_text("mixed3b:1")
    assert preview.locator("msup").evaluate("one => one.namespaceURI") == "http://www.w3.org/1998/Math/MathML"
    assert preview.locator("math").bounding_box()["width"] > 5


def test_references_are_completed_by_keyboard(page: Page, body: Locator, world: SimpleNamespace) -> None:
    rows = page.locator("#completions [role=option]")
    page.keyboard.type("[[3")
    expect(rows.first).to_contain_text("mixed3b:0 to 7")
    page.keyboard.press("Enter")
    expect(body).to_have_value("[[3b:")
    expect(rows).to_have_count(8)
    expect(body).to_have_attribute("aria-activedescendant", "completion-1")
    page.keyboard.press("ArrowDown")
    expect(rows.nth(1)).to_have_attribute("aria-selected", "true")
    assert check(page, "the list") == []
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Tab")
    expect(body).to_have_value("[[3b:7]]")
    expect(body).to_be_focused()
    expect(page.locator("#completions")).to_be_hidden()
    page.keyboard.type(" and [[curv")
    expect(rows).to_have_count(1)
    page.keyboard.press("Enter")
    expect(body).to_have_value("[[3b:7]] and [[family:3b/Curves]]")
    page.keyboard.type(" [[nothing of that name")
    expect(page.locator("#completions")).to_be_hidden()
    page.keyboard.press("Enter")
    expect(body).to_have_value(re.compile("name\n$"))


def test_sources_are_completed_from_the_bibliography(page: Page, body: Locator) -> None:
    rows = page.locator("#completions [role=option]")
    page.keyboard.type("As [@")
    expect(rows).to_have_count(2)
    page.keyboard.type("zoom")  # of the title
    expect(rows).to_have_count(1)
    page.keyboard.press("Enter")
    expect(body).to_have_value("As [@olah2020zoom]")
    page.keyboard.press("ArrowLeft")
    page.keyboard.type("; @camm")
    expect(rows).to_have_text([re.compile("Curve Circuits")])
    page.keyboard.press("Enter")
    expect(body).to_have_value("As [@olah2020zoom; @cammarata2021curve]")
    expect(page.locator("[data-preview] .sources li")).to_have_count(2)


def test_the_pointer_takes_a_completion_too(page: Page, body: Locator) -> None:
    page.keyboard.type("[[conv1:")
    rows = page.locator("#completions [role=option]")
    expect(rows).to_have_count(4)
    box, field = rows.first.bounding_box(), body.bounding_box()
    assert field["y"] < box["y"] < field["y"] + 120, "the list is below the line in which one writes"
    rows.nth(2).click()
    expect(body).to_have_value("[[conv1:2]]")
    expect(body).to_be_focused()


def test_a_problem_leads_to_its_line(page: Page, body: Locator) -> None:
    page.keyboard.insert_text("One.\n\nTwo.\n\nThe echo is $\\frac{a$ here.\n")
    problem = page.locator("[data-preview] .problems button")
    expect(problem).to_contain_text("line 5")
    problem.focus()
    page.keyboard.press("Enter")
    expect(body).to_be_focused()
    assert body.evaluate("one => one.value.slice(one.selectionStart, one.selectionEnd)").startswith("The echo is")


def test_what_was_not_saved_is_offered_after_a_reload(page: Page, body: Locator, note: Note) -> None:
    page.keyboard.type("A long thought.")
    page.reload()
    expect(body).to_have_value("")
    page.get_by_role("button", name="Take it back").focus()
    page.keyboard.press("Enter")
    expect(body).to_have_value("A long thought.")
    page.get_by_role("button", name=re.compile("^Save version")).focus()
    page.keyboard.press("Enter")
    page.wait_for_url(lambda address: not address.endswith("/edit/"))
    page.goto(f"{note.get_absolute_url()}edit/")
    expect(body).to_have_value("A long thought.")
    expect(page.get_by_role("button", name="Take it back")).to_have_count(0)


def test_what_is_taken_back_does_not_overwrite_who_saved_meanwhile(
    page: Page, body: Locator, note: Note, world: SimpleNamespace
) -> None:
    page.keyboard.type("Mine.")
    other = world.readers[0]
    Authorship.objects.create(note=note, person=other, added_by=note.created_by, agreed_at=note.created_at)
    notes.save(other, note, began_from=1, body="Theirs.")
    page.reload()
    expect(body).to_have_value("Theirs.")
    for _ in range(2):  # what was taken back and not saved is still on top of what it began from
        page.get_by_role("button", name="Take it back").click()
        expect(body).to_have_value("Mine.")
        page.reload()
    page.get_by_role("button", name="Take it back").click()
    expect(page.locator("input[name=began_from]")).to_have_value("1")  # saved so, it is compared with theirs


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 1280), ("light", 360)])
def test_the_editor_is_for_everybody(page: Page, body: Locator, scheme: str, width: int) -> None:
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 800})
    page.keyboard.insert_text("# Curves\n\n[[3b:1]] $$\\sum_i x_i$$ [@olah2020zoom] and [[3b:99]].")
    expect(page.locator("[data-preview] .problems button")).to_have_count(1)
    assert check(page, "the editor") == []
