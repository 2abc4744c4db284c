"""The whole circle in a browser: sign up, label as three people, review as a fourth, find it in the export."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from django.core.management import call_command
from playwright.sync_api import Page, expect

from taxonomy.actions import sprites
from taxonomy.models import Event, Neuron
from tests.factory import make_family, make_image_set, make_network, make_user, neuron_at
from tests.pages.conftest import every_kind

PASSWORD = "a-curve-is-not-a-line"

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def neuron(transactional_db) -> Neuron:
    network = make_network("curves", preprocessing={"size": 8})
    layer = network.layers.get(name="mixed3b")
    make_family(layer, "Curves", remark="They bend.")
    make_family(layer, "Lines")
    every_kind(neuron_at("mixed3b:5", network), make_image_set())
    sprites.build_sprite(layer)
    return neuron_at("mixed3b:5", network)


def sign_up(page: Page, name: str) -> None:
    page.goto("/")
    page.get_by_role("link", name="Sign up").click()
    page.get_by_label("Username").fill(name)
    page.get_by_label("Email").fill(f"{name}@example.org")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("checkbox").check()
    page.get_by_role("button", name="Sign up").click()
    expect(page.get_by_role("navigation", name="Site").get_by_role("link", name=name)).to_be_visible()


def label(page: Page, family: str) -> None:
    """From the home page's one button, through the queue, to a recorded reading."""
    page.goto("/")
    page.get_by_role("link", name="Label neurons").first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("mixed3b:5")
    page.locator(".family-keys").get_by_role("button", name=family).click()
    # Sent behind one's back; there is no other neuron to be handed out.
    expect(page.get_by_role("heading", level=1)).to_have_text("Nothing waits for you")


def test_from_sign_up_to_the_exported_taxonomy(visit: Callable[[], Page], neuron: Neuron, tmp_path: Path) -> None:
    people = {name: visit() for name in ("ada", "bela", "chidi", "rosa")}
    for name, page in people.items():
        sign_up(page, name)

    for number, name in enumerate(("ada", "bela", "chidi")):
        page = people[name]
        page.goto(neuron.get_absolute_url())
        standing = page.locator("body")
        expect(standing).to_contain_text(f"{number} of 3 readings")
        others = list(("ada", "bela", "chidi")[:number])
        expect(page.locator("main")).not_to_contain_text("reads it as Curves")
        label(page, "Curves")
        page.goto(neuron.get_absolute_url())
        expect(page.locator("#label")).to_contain_text("You read it as Curves")
        readings = page.locator("#readings")
        expect(readings).to_contain_text(f"{number + 1} of 3 readings")
        for other in others:  # not before one's own reading is given for good
            expect(readings).not_to_contain_text(other)
        page.get_by_role("button", name="Show others’ readings now").click()
        for other in others:  # and now they see what was said before them
            expect(readings).to_contain_text(other)

    rosa = people["rosa"]
    rosa.goto("/review/")
    expect(rosa.locator("main")).to_contain_text("Only reviewers and editors accept neurons into families.")
    editor = make_user("edda", role="editor")
    call_command("appoint", "rosa", "reviewer", "--reason", "knows her curves", "--as", editor.username)
    rosa.reload()
    rosa.get_by_text("Accept into Curves").click()
    step = rosa.locator("[data-step=accept]")
    step.get_by_role("textbox").fill("Clear from the tuning curve.")
    step.get_by_role("button", name="Accept").click()
    expect(rosa.locator("main")).to_contain_text("No neuron waits for a reviewer")

    visitor = visit()
    visitor.goto(neuron.get_absolute_url())
    expect(visitor.locator("main")).to_contain_text("Curves")
    visitor.goto("/activity/")
    expect(visitor.locator("main")).to_contain_text("rosa accepted")

    call_command("export_taxonomy", "curves", str(tmp_path), "--form", "distill")
    exported = json.loads((tmp_path / "mixed3b.json").read_text())
    units = {family["name"]: family["units"] for family in exported["families"]}
    assert units["Curves"] == [5]
    verbs = Event.objects.filter(neuron=neuron).order_by("pk").values_list("verb", "actor__username")
    assert list(verbs) == [
        ("label.added", "ada"),
        ("label.added", "bela"),
        ("label.added", "chidi"),
        ("neuron.agreed", "chidi"),
        ("review.accepted", "rosa"),
    ]
