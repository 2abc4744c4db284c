"""The weights explorer in the browser: overview and kernels, by mouse and by keys, a walk and back, no scripts."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from tests.factory import make_family, make_network
from tests.pages.loom import layer_weights, make_layer_weights
from tests.pages.test_accessibility import SETTINGS, check

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

ROWS, COLUMNS = 24, 16
ADDRESS = "/networks/woven/weights/?from=near&to=far"


@pytest.fixture
def woven(db) -> SimpleNamespace:
    """Three layers, of which the weights between the last two are there; the later has a family, 3 to 5."""
    network = make_network("woven", layers={"first": 4, "near": COLUMNS, "far": ROWS})
    first, near, far = network.layers.all()
    make_family(far, "Threads", units=[3, 4, 5])
    evidence = make_layer_weights(near, far, found=layer_weights(ROWS, COLUMNS, 5))
    return SimpleNamespace(network=network, first=first, near=near, far=far, evidence=evidence)


@pytest.fixture
def opened(visit: Callable[[], Page], woven) -> Page:
    page = visit()
    page.set_viewport_size({"width": 1280, "height": 1100})
    page.goto(ADDRESS)
    expect(page.locator("[data-ready]")).to_be_visible()
    return page


def canvas(page: Page) -> Any:
    return page.locator("[data-canvas]")


def at(page: Page, row: int, column: int) -> tuple[float, float]:
    """Where the middle weight of the cell's kernel lies in the window, while the whole matrix is shown."""
    box = canvas(page).bounding_box()
    gutter = 104 if box["width"] >= 520 else 44
    cell = min((box["width"] - gutter) / COLUMNS, (box["height"] - gutter) / ROWS, 64)
    return box["x"] + gutter + (column + 2.5 / 6) * cell, box["y"] + gutter + (row + 2.5 / 6) * cell


def colour(page: Page, x: float, y: float) -> list[int]:
    """Red, green and blue of the canvas at a place in the window."""
    return page.evaluate(
        """([x, y]) => {
            const canvas = document.querySelector("[data-canvas]");
            const box = canvas.getBoundingClientRect();
            const scale = canvas.width / box.width;
            const place = [(x - box.left) * scale, (y - box.top) * scale];
            return [...canvas.getContext("2d").getImageData(...place, 1, 1).data].slice(0, 3);
        }""",
        [x, y],
    )


def reds(found: list[int]) -> bool:
    return found[0] > found[2] + 40


def blues(found: list[int]) -> bool:
    return found[2] > found[0] + 40


def test_cells_have_the_colours_of_their_weights_in_the_order_that_is_shown(opened: Page) -> None:
    page = opened
    # By the family first (5, 4, 3 by falling angle), then 23, 22, ... In the middle of each kernel is row - column.
    assert blues(colour(page, *at(page, 0, 15)))
    assert reds(colour(page, *at(page, 3, 0)))
    page.select_option("#order", "number")
    page.get_by_role("button", name="Show").click()
    expect(page.locator("[data-ready]")).to_be_visible()
    assert blues(colour(page, *at(page, 0, 15)))
    assert reds(colour(page, *at(page, 23, 0)))
    assert not reds(colour(page, *at(page, 0, 0)))


def test_hovering_names_both_neurons_and_a_click_shows_the_kernel(opened: Page) -> None:
    page = opened
    page.mouse.move(*at(page, 1, 2))
    readout = page.locator("[data-readout]")
    expect(readout).to_contain_text("near:2")
    expect(readout).to_contain_text("far:4")
    expect(readout).to_contain_text("Threads")
    expect(readout).to_contain_text("+0.200")
    page.mouse.click(*at(page, 1, 2))
    chosen = page.locator("[data-chosen]")
    expect(chosen.get_by_role("img")).to_have_attribute("aria-label", "Kernel of 5 by 5, strongest weight +0.200")
    expect(chosen.get_by_role("link")).to_have_text(["near:2", "far:4"])
    # The middle is in full red, and the left weight of the same row in half of it.
    shown = page.evaluate(
        "[...document.querySelector('[data-chosen] canvas').getContext('2d').getImageData(0, 2, 5, 1).data]"
    )
    assert reds(shown[8:11])
    assert shown[8:11] == [193, 39, 45]
    assert 30 < shown[1] - shown[9] < 150


def test_closer_every_cell_is_a_kernel_and_the_whole_comes_back(opened: Page) -> None:
    page = opened
    box = canvas(page).bounding_box()
    x, y = at(page, 12, 8)
    page.mouse.dblclick(x, y)
    page.get_by_role("button", name="Closer").click()
    page.mouse.move(x + 5, y)
    page.mouse.move(x, y)
    told = page.locator("[data-readout]").inner_text()
    page.mouse.down()
    page.mouse.move(x - 150, y - 150, steps=8)
    page.mouse.up()
    page.mouse.move(x + 1, y + 1)
    expect(page.locator("[data-readout]")).not_to_have_text(told)
    page.get_by_title("The whole matrix").click()
    page.mouse.move(*at(page, 23, 15))
    expect(page.locator("[data-readout]")).to_contain_text("near:15")
    expect(page.locator("[data-readout]")).to_contain_text("far:0")
    assert box["height"] > 300


def test_the_wheel_scrolls_the_page_until_the_matrix_was_clicked(opened: Page) -> None:
    page = opened
    page.mouse.move(*at(page, 5, 5))
    page.mouse.wheel(0, 200)
    page.wait_for_timeout(300)
    assert page.evaluate("window.scrollY") > 100
    page.evaluate("window.scrollTo(0, 0)")
    page.mouse.click(*at(page, 5, 5))
    before = page.screenshot(clip=canvas(page).bounding_box())
    page.mouse.wheel(0, -300)
    expect(page.locator("[data-readout]")).to_be_visible()
    page.wait_for_timeout(100)
    assert page.evaluate("window.scrollY") == 0
    assert page.screenshot(clip=canvas(page).bounding_box()) != before


def test_by_keys_alone(opened: Page) -> None:
    page = opened
    canvas(page).focus()
    page.keyboard.press("ArrowRight")
    for key in ("ArrowRight", "ArrowDown", "Shift+ArrowDown"):
        page.keyboard.press(key)
    said = page.locator("[data-said]")
    expect(said).to_contain_text("near:1")
    expect(said).to_contain_text("far:15")
    for key in ("+", "+", "-", "0", "Enter"):
        page.keyboard.press(key)
    links = page.locator("[data-chosen]").get_by_role("link")
    expect(links).to_have_text(["near:1", "far:15"])
    links.nth(1).focus()
    page.keyboard.press("Enter")
    expect(page.locator("#walk-h")).to_be_focused()
    expect(page.locator("#walk-h")).to_contain_text("far:15")


def test_a_walk_goes_on_and_back(opened: Page) -> None:
    page = opened
    page.locator(".connections a", has_text="far:23").first.click()
    expect(page.locator("#walk-h")).to_contain_text("far:23")
    expect(page.locator("#walk .weights").first.locator("a").first).to_contain_text("near:0")
    page.locator("#walk .weights a", has_text="near:3").click()
    expect(page.locator("#walk-h")).to_contain_text("near:3")
    assert page.url.endswith("neuron=near:3#walk")
    expect(page.get_by_role("heading", name="Strongest inputs, from first")).to_be_visible()
    expect(page.locator("[data-ready]")).to_be_visible()  # the matrix stays
    page.go_back()
    expect(page.locator("#walk-h")).to_contain_text("far:23")
    page.go_back()
    expect(page.locator("#walk-h")).to_have_text("Walk along the strongest weights")
    page.go_forward()
    expect(page.locator("#walk-h")).to_contain_text("far:23")
    page.reload()
    expect(page.locator("#walk-h")).to_contain_text("far:23")


def test_a_click_on_a_name_at_the_side_walks_to_that_neuron(opened: Page) -> None:
    page = opened
    x, _ = at(page, 0, 4)
    page.mouse.click(x, canvas(page).bounding_box()["y"] + 80)
    expect(page.locator("#walk-h")).to_contain_text("near:4")


def test_a_step_of_the_walk_that_fails_is_an_ordinary_page(opened: Page) -> None:
    page = opened
    page.route("**/weights/walk/**", lambda route: route.fulfill(status=302, headers={"Location": "/accounts/login/"}))
    page.locator(".connections a", has_text="far:23").first.click()
    expect(page.locator("#walk-h")).to_contain_text("far:23")
    expect(page.locator("[data-ready]")).to_be_visible()
    assert page.url.endswith("neuron=far:23#walk")


def test_full_colour_is_the_readers_to_choose(opened: Page) -> None:
    page = opened
    place = at(page, 3, 7)
    before = colour(page, *place)
    page.locator("[data-contrast]").fill("0")
    page.wait_for_timeout(100)
    assert colour(page, *place) != before
    expect(page.locator("output[data-full]")).not_to_have_text("2.30")


def test_it_comes_up_once_the_workers_have_made_it(visit: Callable[[], Page], woven: SimpleNamespace) -> None:
    waiting = make_layer_weights(woven.first, woven.near, status="queued")
    page = visit()
    page.goto("/networks/woven/weights/?from=first&to=near")
    expect(page.get_by_text("Waiting for a worker")).to_be_visible()
    waiting.delete()
    make_layer_weights(woven.first, woven.near)
    expect(page.locator("[data-ready]")).to_be_visible()
    assert page.locator("[data-canvas]").bounding_box()["height"] > 200


@pytest.mark.parametrize("setting", SETTINGS)
def test_axe_finds_nothing(visit: Callable[[], Page], woven: SimpleNamespace, setting: str) -> None:
    page = visit()
    page.set_viewport_size({"width": SETTINGS[setting]["width"], "height": 800})
    page.emulate_media(color_scheme=SETTINGS[setting]["color_scheme"])
    page.goto(f"{ADDRESS}&neuron=near:3")
    expect(page.locator("[data-ready]")).to_be_visible()
    page.mouse.click(*at(page, 2, 3))
    expect(page.locator("[data-chosen] canvas")).to_be_visible()
    assert check(page, "explorer") == []
    family = woven.far.families.get()
    for address in (
        "/networks/woven/weights/?from=first&to=near",
        f"/networks/woven/weights/?to=far/{family.pk}",
        woven.evidence.current.get_absolute_url(),
    ):
        page.goto(address)
        assert check(page, address) == []
    small = page.evaluate(
        """[...document.querySelectorAll(".explorer button, .explorer input, .explorer a, .ends select")]
            .filter((one) => one.checkVisibility())
            .filter((one) => Math.min(one.offsetWidth, one.offsetHeight) < 24).map((one) => one.outerHTML)"""
    )
    assert small == []


def test_without_scripts(browser: Browser, live_server, woven: SimpleNamespace) -> None:
    context = browser.new_context(base_url=live_server.url, java_script_enabled=False)
    page = context.new_page()
    page.goto(ADDRESS)
    expect(page.locator("[data-explorer]")).to_be_hidden()
    expect(page.locator("svg.loom")).to_be_visible()
    page.locator(".connections a", has_text="far:23").first.click()
    expect(page.locator("#walk-h")).to_contain_text("far:23")
    page.locator("#walk .weights a", has_text="near:0").click()
    expect(page.locator("#walk-h")).to_contain_text("near:0")
    page.select_option("#to", f"far/{woven.far.families.get().pk}")
    page.get_by_role("button", name="Show").click()
    expect(page.locator("svg.loom")).to_be_visible()
    page.locator("svg.loom a[aria-label='far:4']").click()
    expect(page.locator("#walk-h")).to_contain_text("far:4")
    context.close()


def test_the_drawing_is_accessible_without_scripts(browser: Browser, live_server, woven: SimpleNamespace) -> None:
    """Axe needs scripts itself: the explorer's own is held back instead."""
    context = browser.new_context(base_url=live_server.url)
    page = context.new_page()
    page.route("**/js/weights.js", lambda route: route.abort())
    page.goto(f"/networks/woven/weights/?to=far/{woven.far.families.get().pk}")
    expect(page.locator("svg.loom")).to_be_visible()
    assert [violation["id"] for violation in Axe().run(page).response["violations"]] == []
    context.close()
