"""A circuit note's whole way in a browser: written by two, sent back, published, corrected, cited, read and printed."""

import json
from collections.abc import Callable
from types import SimpleNamespace

import pytest
from playwright.sync_api import Page, expect

from taxonomy.actions import sprites
from taxonomy.models import Event, Neuron, Note, NoteState, Role
from tests.factory import (
    make_claim,
    make_family,
    make_image_set,
    make_network,
    make_plan,
    make_run,
    make_user,
    neuron_at,
)
from tests.pages.conftest import BIBLIOGRAPHY
from tests.pages.material import every_kind, experiment
from tests.pages.test_accessibility import SETTINGS, check, sign_in

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow, pytest.mark.alone]

BODY = """## What it is made of

[[3b:5]] adds up what it gets, as curves do [@olah2020zoom]:

$$c(x) = b + \\sum_i w_i\\, e_i(x)^{+}$$

![Where [[3b:5]] gets it from.](/evidence/%s/)
"""


@pytest.fixture
def world(transactional_db) -> SimpleNamespace:
    network = make_network("curves", preprocessing={"size": 8, "resize": 8})
    layer = network.layers.get(name="mixed3b")
    family = make_family(layer, "Curves", units=[5])
    neuron = neuron_at("mixed3b:5", network)
    every_kind(neuron, make_image_set())
    sprites.build_sprite(layer)
    people = {name: make_user(name) for name in ("ada", "chidi", "fen")}
    people["edda"] = make_user("edda", role=Role.EDITOR)
    return SimpleNamespace(network=network, family=family, neuron=neuron, people=people)


@pytest.fixture
def as_(visit: Callable[[], Page], world: SimpleNamespace) -> Callable[[str], Page]:
    """A page of somebody who is signed in."""

    def as_(name: str) -> Page:
        page = visit()
        page.goto("/networks/curves/thread/")
        sign_in(page, world.people[name])
        page.reload()
        return page

    return as_


def test_from_a_draft_to_what_others_cite(
    visit: Callable[[], Page], as_: Callable[[str], Page], world: SimpleNamespace
) -> None:
    figure = world.neuron.evidence.get(kind="weights").current
    ada = as_("ada")
    write(ada, BODY % figure.public_id)
    note = Note.objects.get()
    draw(ada, world.neuron)
    ask(ada, as_("chidi"), note)
    ada.goto(note.get_absolute_url())
    ada.get_by_role("button", name="Submit for review").click()
    expect(ada.locator("main")).to_contain_text("is in review")

    edda = as_("edda")
    edda.goto("/review/?tab=notes")
    edda.get_by_role("link", name="How curves come about").first.click()
    edda.get_by_label("To its authors").fill("How were its neurons chosen?")
    edda.get_by_role("button", name="Ask for changes").click()
    expect(edda.locator("main")).to_contain_text("Its authors are told what to change.")
    edit(ada, note, {"How its neurons were chosen": "It is the only one that we looked at."})
    ada.goto(note.get_absolute_url())
    ada.get_by_role("button", name="Submit for review").click()
    edda.goto(note.get_absolute_url())
    edda.get_by_role("button", name="Approve and publish").click()
    expect(edda.locator("main")).to_contain_text("Circuit note 1 of the thread of curves")

    make_run(make_claim(note, world.people["ada"], "It falls."), "refuted", data=experiment(make_plan(), "refuted"))
    claim = note.claims.get()
    found = f"{note.latest.body}\n\nWe said [[claim:{claim.public_id}]] and were wrong."
    edit(ada, note, {"Body": found, "What you changed": "A claim was refuted."})
    ada.goto(note.get_absolute_url())
    ada.get_by_role("button", name="Submit the correction").click()
    edda.goto(note.get_absolute_url())
    edda.get_by_role("link", name="Read version").click()
    edda.get_by_role("button", name="Approve the correction").click()

    reads(visit(), note)
    told = list(Event.objects.filter(note=note, verb__startswith="note.").order_by("pk").values_list("verb", flat=True))
    published = ["note.submitted", "note.changes_requested", "note.saved", "note.submitted", "note.published"]
    corrected = ["note.saved", "note.submitted", "note.corrected"]
    assert told == [
        *("note.drafted", "note.saved", "note.author_asked", "note.author_agreed"),
        *published,
        *corrected,
    ]
    assert Note.objects.get().state == NoteState.CORRECTED


def write(page: Page, body: str) -> None:
    """From the thread's one button to a draft that is saved."""
    page.get_by_role("link", name="Write a note").click()
    page.get_by_label("Title").fill("How curves come about")
    page.get_by_label("Abstract").fill("From lines.")
    page.get_by_label("Body").fill(body)
    page.get_by_label("Bibliography").fill(BIBLIOGRAPHY)
    expect(page.locator("[data-preview] math").first).to_be_attached()  # while one writes
    page.get_by_role("button", name="Save the draft").click()
    expect(page.locator("main")).to_contain_text("Saved as a draft.")


def edit(page: Page, note: Note, said: dict[str, str]) -> None:
    page.goto(f"{note.get_absolute_url()}edit/")
    for name, text in said.items():
        page.get_by_label(name).fill(text)
    page.get_by_role("button", name="Save version").click()
    expect(page.locator("main")).to_contain_text("Saved as version")


def draw(page: Page, neuron: Neuron) -> None:
    """The circuit, grown from the neuron."""
    page.goto(f"{Note.objects.get().get_absolute_url()}circuit/")
    page.get_by_label("From the neuron").fill(str(neuron.address))
    page.get_by_label("Layers deep").select_option("1")
    page.get_by_role("button", name="Grow", exact=True).click()
    expect(page.locator("main")).to_contain_text("Grown from mixed3b:5")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator("main")).to_contain_text("Saved as version 2.")


def ask(page: Page, other: Page, note: Note) -> None:
    page.goto(f"{note.get_absolute_url()}authors/")
    page.get_by_label("Name", exact=True).fill("chidi")
    page.get_by_role("button", name="Ask", exact=True).click()
    expect(page.locator("main")).to_contain_text("Asked. chidi is named once they agree.")
    other.goto(f"{note.get_absolute_url()}authors/")
    other.get_by_role("button", name="Agree to be named").click()
    expect(other.locator("main")).to_contain_text("You are one of its authors.")


def reads(page: Page, note: Note) -> None:
    """What a visitor finds: in the thread, on any screen, on paper, and to cite."""
    page.goto("/networks/curves/thread/")
    expect(page.locator("ol.thread")).to_contain_text("1 claim: 1 refuted")
    page.get_by_role("link", name="How curves come about").first.click()
    article = page.locator("article.circuit-note")
    for said in (
        "corrected",
        "ada",
        "chidi",
        "Grown from mixed3b:5",
        "It is the only one",
        "Figure 1",
        "A claim was refuted",
    ):
        expect(article).to_contain_text(said)
    expect(article.locator(".note-body")).to_contain_text("refuted")
    expect(article.locator("math[display=block]")).to_have_count(1)
    expect(article.get_by_role("link", name="Zoom In")).to_have_attribute(
        "href", "https://doi.org/10.23915/distill.00024.001"
    )
    found = []
    for setting, wanted in SETTINGS.items():
        page.set_viewport_size({"width": wanted["width"], "height": 800})
        page.emulate_media(color_scheme=wanted["color_scheme"])
        page.reload()
        found += check(page, f"note, {setting}")
    assert found == []
    on_paper(page)
    for suffix, said in ((".bib", "@"), (".txt", "ada and chidi"), (".json", '"type"')):
        answer = page.request.get(f"{note.get_absolute_url()}cite{suffix}")
        assert answer.ok
        assert said in answer.text()
        assert "How curves come about" in answer.text()
        if suffix == ".json":
            assert [author["literal"] for author in json.loads(answer.text())["author"]] == ["ada", "chidi"]


def on_paper(page: Page) -> None:
    """What is only for a screen is left out; what is folded, and what the article says, is not."""
    page.emulate_media(media="print", color_scheme="light")
    for name in ("Site", "Contents"):
        expect(page.get_by_role("navigation", name=name)).to_be_hidden()
    for part in (".note-body", "figure svg", "math", "#cite-h"):
        expect(page.locator("article.circuit-note").locator(part).first).to_be_visible()
    assert page.pdf(format="A4").startswith(b"%PDF")
    page.emulate_media(media="screen")
