"""The sorting sheet in the browser: by mouse, by keyboard, by thumb, without JavaScript, with axe."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from taxonomy.actions import sheets
from taxonomy.models import Label, Lease, Reveal, Sheet, User
from tests.factory import make_user
from tests.pages.test_accessibility import SETTINGS, sign_in
from tests.pages.test_queue import all_sent, at_rest, key_of, layer_of_pictures, without_script

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

LAYER = "/networks/tinynet/mixed3b/"


@pytest.fixture
def stock(db) -> SimpleNamespace:
    return layer_of_pictures()


@pytest.fixture
def ada(db) -> User:
    return make_user("ada")


@pytest.fixture
def opened(browser: Browser, live_server, ada: User, stock: SimpleNamespace) -> Iterator[Any]:
    """Ada's new sheet, in a browser of these settings."""
    contexts, complaints = [], []

    def new(**settings: Any) -> Page:
        context = browser.new_context(base_url=live_server.url, **settings)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(10_000)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.goto("/healthz")
        sign_in(page, ada)
        page.goto(LAYER)
        page.get_by_role("button", name="Sort 24 at once").click()
        expect(page.locator(".table.scripted")).to_be_visible()
        return page

    yield new
    for context in contexts:
        at_rest(context.pages[0])
        context.close()
    assert [words for words in complaints if "Failed to load resource" not in words] == []


def cards(page: Page) -> Any:
    return page.locator(".sort-card")


def addresses(page: Page, *places: int) -> list[str]:
    return [cards(page).nth(place).get_attribute("data-address") for place in places]


def given(ada: User) -> dict[str, str]:
    labels = Label.objects.current().filter(author=ada).select_related("family", "neuron__layer")
    return {label.neuron.address: label.said for label in labels}


def test_twenty_four_by_mouse(opened, ada: User) -> None:
    page = opened()
    expect(cards(page)).to_have_count(24)
    curves = addresses(page, 0, 2, 5)
    for place in (0, 2, 5):
        cards(page).nth(place).locator("label").click()
    expect(page.locator("[data-picked]")).to_have_text("3 picked")
    page.get_by_role("button", name="Curves").click()
    expect(cards(page)).to_have_count(21)
    expect(page.locator(".told")).to_contain_text("3 cards read as Curves")
    # A band over the first row and a half, from the ground between the cards.
    first, last = cards(page).nth(0).bounding_box(), cards(page).nth(6).bounding_box()
    page.mouse.move(first["x"] - 5, first["y"] - 5)
    page.mouse.down()
    page.mouse.move(last["x"] + 20, last["y"] + 20, steps=5)
    page.mouse.up()
    band = page.locator(".sort-card:has(:checked)")
    assert band.count() >= 4
    spots = [one.get_attribute("data-address") for one in band.all()]
    page.get_by_role("button", name="Spots").click()
    all_sent(page)
    assert given(ada) == dict.fromkeys(curves, "Curves") | dict.fromkeys(spots, "Spots")
    rest = cards(page).count()
    cards(page).first.locator("label").click()
    cards(page).last.locator("label").click(modifiers=["Shift"])
    expect(page.locator("[data-picked]")).to_have_text(f"{rest} picked")
    page.locator("summary", has_text="None of these").click()
    page.get_by_role("button", name="None of these").click()
    expect(page.get_by_text("The table is clear.")).to_be_visible()
    all_sent(page)
    labels = Label.objects.filter(author=ada)
    assert labels.count() == 24
    assert all(label.blind and label.seen.count() == 1 for label in labels)
    assert not Reveal.objects.exists()
    assert not Lease.objects.live().exists()
    page.get_by_role("button", name="Take a new sheet").click()
    expect(cards(page)).to_have_count(4)


def test_twenty_four_by_keyboard(opened, ada: User) -> None:
    page = opened()
    first = addresses(page, 0, 1, 2)
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("Shift+ArrowRight")
    expect(page.locator("[data-picked]")).to_have_text("3 picked")
    expect(page.locator(".closer-look h2")).to_contain_text(first[2])
    page.keyboard.press(key_of(page, "Curves"))
    expect(cards(page)).to_have_count(21)
    second = addresses(page, 0, 1)
    page.keyboard.press("Space")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Space")
    page.keyboard.press("/")
    page.keyboard.type("gri")
    page.keyboard.press("Enter")
    expect(cards(page)).to_have_count(19)
    all_sent(page)
    assert given(ada) == dict.fromkeys(first, "Curves") | dict.fromkeys(second, "Grids")
    # The second group comes back, picked, and goes elsewhere.
    page.keyboard.press("u")
    expect(page.locator("[data-picked]")).to_have_text("2 picked")
    expect(cards(page)).to_have_count(21)
    page.keyboard.press("Escape")
    expect(page.locator("[data-picked]")).not_to_contain_text("2 picked")
    page.keyboard.press("a")
    expect(page.locator("[data-picked]")).to_have_text("21 picked")
    page.keyboard.press("x")
    page.keyboard.press(page.locator("[value=dataset_examples]").get_attribute("data-key"))
    expect(page.get_by_text("The table is clear.")).to_be_visible()
    all_sent(page)
    found = given(ada)
    assert len(found) == 24
    assert sorted(found.values()) == ["Curves"] * 3 + ["cannot tell"] * 21


def test_twenty_four_by_thumb(opened, ada: User) -> None:
    page = opened(has_touch=True, is_mobile=True, viewport={"width": 390, "height": 844})
    expected = {}
    for family, count in (("Curves", 6), ("Edges", 8), ("Spots", 10)):
        expected |= dict.fromkeys(addresses(page, *range(count)), family)
        for place in range(count):
            cards(page).nth(place).locator("label").tap()
        left = cards(page).count() - count
        page.get_by_role("button", name=family).tap()
        expect(cards(page)).to_have_count(left)
    all_sent(page)
    assert given(ada) == expected


def test_a_closer_look_by_thumb(opened) -> None:
    page = opened(has_touch=True, is_mobile=True, viewport={"width": 390, "height": 844})
    (address,) = addresses(page, 3)
    cards(page).nth(3).get_by_role("link").tap()
    expect(page.get_by_role("dialog")).to_contain_text(address)


def test_what_is_refused_comes_back_to_the_table(opened, ada: User) -> None:
    page = opened()
    (address,) = addresses(page, 0)
    lease = Lease.objects.get(neuron__index=int(address.split(":")[1]), person=ada)
    Lease.objects.filter(pk=lease.pk).update(ended_at=lease.taken_at)
    for place in (0, 1):
        cards(page).nth(place).locator("label").click()
    page.get_by_role("button", name="Curves").click()
    expect(page.locator(".told")).to_contain_text(f"{address} is not on this sheet")
    expect(page.locator("[data-picked]")).to_have_text("2 picked")
    assert not Label.objects.exists()
    cards(page).nth(0).locator("label").click()
    page.get_by_role("button", name="Curves").click()
    all_sent(page)
    assert Label.objects.count() == 1


def test_without_a_connection_a_group_waits(opened, ada: User) -> None:
    page = opened()
    chosen = addresses(page, 0, 1)
    page.context.set_offline(True)
    for place in (0, 1):
        cards(page).nth(place).locator("label").click()
    page.get_by_role("button", name="Curves").click()
    expect(page.locator("[data-sending]")).to_contain_text("kept here")
    page.context.set_offline(False)
    all_sent(page)
    assert given(ada) == dict.fromkeys(chosen, "Curves")


def test_a_sheet_without_javascript(browser: Browser, live_server, stock: SimpleNamespace, ada: User) -> None:
    context = without_script(browser, live_server, ada)
    page = context.new_page()
    page.goto(LAYER)
    page.get_by_role("button", name="Sort 24 at once").click()
    chosen = addresses(page, 0, 3)
    page.get_by_role("button", name="Curves").click()
    expect(page.locator(".errors")).to_contain_text("Choose at least one neuron.")
    for place in (0, 3):
        cards(page).nth(place).locator("label").click()
    page.get_by_role("button", name="Curves").click()
    expect(page.locator(".told")).to_contain_text("2 cards read as Curves")
    assert given(ada) == dict.fromkeys(chosen, "Curves")
    page.get_by_role("button", name="Take them back").click()
    expect(cards(page)).to_have_count(24)
    assert given(ada) == {}
    page.get_by_role("button", name="Give the rest back").first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("mixed3b")
    assert not Lease.objects.live().exists()
    assert Sheet.objects.get().ended_at is not None
    context.close()


def test_nobody_sorts_anothers_sheet(client, stock: SimpleNamespace, ada: User) -> None:
    sheet = sheets.take(ada, stock.layer)
    client.force_login(make_user())
    for response in (
        client.get(sheet.get_absolute_url()),
        client.post(sheet.get_absolute_url(), {"reading": stock.families["Curves"].pk, "neuron": stock.neurons[0].pk}),
        client.post(f"{sheet.get_absolute_url()}give-back/"),
        client.get(f"{sheet.get_absolute_url()}look/{stock.neurons[0].pk}/"),
    ):
        assert response.status_code == 403
        assert "somebody else's hands" in response.content.decode().replace("&#x27;", "'")
    assert not Label.objects.exists()


def test_queries_of_a_sheet(client, stock: SimpleNamespace, ada: User, django_assert_max_num_queries) -> None:
    sheet = sheets.take(ada, stock.layer)
    client.force_login(ada)
    with django_assert_max_num_queries(15):
        client.get(sheet.get_absolute_url())


@pytest.mark.parametrize("setting", SETTINGS)
def test_axe_finds_nothing(opened, setting: str) -> None:
    chosen = SETTINGS[setting]
    page = opened(viewport={"width": chosen["width"], "height": 800}, color_scheme=chosen["color_scheme"])
    found = []

    def look(state: str) -> None:
        for violation in Axe().run(page).response["violations"]:
            found.append(f"{state}: {violation['id']}: {violation['nodes'][0]['html'][:160]}")
        if page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"):
            found.append(f"{state} scrolls sideways")

    look("at first")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Space")
    page.wait_for_timeout(500)
    look("with one picked")
    page.keyboard.press("1")
    expect(page.locator(".told form")).to_be_visible()
    look("with one sorted")
    page.keyboard.press("a")
    page.keyboard.press("1")
    expect(page.get_by_text("The table is clear.")).to_be_visible()
    look("when it is clear")
    assert found == []
