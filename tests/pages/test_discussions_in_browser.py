"""A discussion by keyboard alone: write, preview, reload, send, reply, edit, resolve, and find the place again."""

from collections.abc import Callable
from types import SimpleNamespace

import pytest
from playwright.sync_api import Page, expect

from taxonomy.models import Comment
from tests.pages.test_accessibility import check_each, sign_in

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]


@pytest.fixture
def page(visit: Callable[[], Page], world: SimpleNamespace) -> Page:
    page = visit()
    page.goto("/people/")
    sign_in(page, world.reviewer)
    page.goto(world.curves.get_absolute_url())
    return page


def press(page: Page, name: str, role: str = "button") -> None:
    page.get_by_role(role, name=name).first.focus()
    page.keyboard.press("Enter")


def test_a_discussion_by_keyboard(page: Page, world: SimpleNamespace) -> None:
    text = page.get_by_role("textbox", name="Your comment")
    text.focus()
    page.keyboard.type("Is [[3b:1]] **bent**, @newcomer?")
    press(page, "Preview")
    preview = page.locator(".preview")
    expect(preview.locator(".chip")).to_have_text("mixed3b:1")
    expect(preview.locator("strong")).to_have_text("bent")
    assert not Comment.objects.exists()

    page.reload()
    expect(text).to_have_value("Is [[3b:1]] **bent**, @newcomer?")
    text.focus()
    page.keyboard.press("Control+Enter")
    first = page.locator("article.comment").first
    expect(first.locator(".words")).to_contain_text("bent, @newcomer?")
    assert page.url.endswith(f"#comment-{Comment.objects.get().public_id}")
    expect(text).to_have_value("")  # what arrived is not kept as a draft

    page.locator(".reply > summary").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_label("Your reply")).to_be_focused()
    page.keyboard.type("Very much.")
    page.keyboard.press("Control+Enter")
    expect(page.locator(".replies .words")).to_have_text("Very much.")

    press(page, "Edit your comment", "link")
    edited = page.locator("article.comment").first.get_by_role("textbox")
    expect(edited).to_be_focused()
    edited.fill("Is [[3b:1]] **bent**?")
    page.keyboard.press("Control+Enter")
    expect(first.locator(".words")).to_have_text("Is mixed3b:1 bent?")
    press(page, "changed", "link")
    expect(page.locator(".changes del").first).to_contain_text("@newcomer?")
    page.go_back()

    press(page, "Resolve")
    fold = page.locator("details.exchange")
    expect(fold).not_to_have_attribute("open", "")
    reply = Comment.objects.latest("pk")
    page.goto(f"/comments/{reply.public_id}/")
    expect(page.locator(".replies .words")).to_be_visible()
    press(page, "Open it again")
    expect(page.locator("div.exchange")).to_have_count(1)


def test_states_are_accessible(visit: Callable[[], Page], world: SimpleNamespace, addresses: dict[str, str]) -> None:
    page = visit()
    page.goto("/people/")
    family, found = addresses["discussion of a family"], []
    opened = Comment.objects.get(parent=None, resolved_at=None, discussion__family__isnull=False)
    for person, places in (
        (world.readers[1], (family, addresses["wordings"], f"/comments/{opened.public_id}/edit/", "/discussions/")),
        (world.reviewer, (addresses["discussion of a neuron to be read"],)),
        (world.admin, ("/moderation/", *(f"/moderation/{of}?show=all" for of in ("", "notes/", "claims/")), family)),
    ):
        sign_in(page, person)
        for place in places:
            page.goto(place)
            found += check_each(page, f"{place} for {person}")
    assert found == []
