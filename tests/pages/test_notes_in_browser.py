"""A note's pages in the browser, as authors, an editor and visitors see them: axe finds nothing, nothing is lost."""

from collections.abc import Callable
from types import SimpleNamespace

import pytest
from playwright.sync_api import Browser, Page, expect

from taxonomy.actions import discussions, notes
from taxonomy.models import Note
from tests.factory import make_user, submit_note
from tests.pages.test_accessibility import check, check_each, sign_in

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

BODY = """As [[3b:2]] shows[@olah], and [[family:3b/curves]].

## How

$$r = \\sum_i w_i x_i$$

### And how not

## What follows

> Something.
"""
BIBLIOGRAPHY = "@article{olah, title={Zoom In}, author={Olah, Chris}, year={2020}}"


def test_axe_finds_nothing(visit: Callable[[], Page], world: SimpleNamespace) -> None:
    ada, bob = make_user("ada", affiliation="Institute of Curves"), make_user("bob")
    subgraph = {
        "nodes": [
            {"id": "a", "neuron": "conv1:1", "family": ""},
            {"id": "b", "neuron": "mixed3b:2", "family": ""},
            {"id": "c", "neuron": "", "family": str(world.curves.public_id)},
        ],
        "edges": [
            {"source": "a", "target": to, "weight": weight, "evidence": ""} for to, weight in (("b", 1), ("c", -1))
        ],
        "threshold": 0.3,
    }
    content = {"title": "Curves from lines", "abstract": "In short.", "body": BODY, "bibliography": BIBLIOGRAPHY}
    said = content | {"subgraph": subgraph, "motifs": ["invariance"], "selection": "All of them."}
    note = notes.create(ada, world.network, contribution="Wrote.", **said)
    notes.ask(ada, note, bob)
    here, thread = f"/notes/{note.public_id}/", "/networks/tinynet/thread/"
    page, found = visit(), []
    page.goto("/")

    def look(*addresses: str) -> None:
        for address in addresses:
            page.goto(address)
            page.wait_for_timeout(400)  # what is being written is shown a moment later
            page.wait_for_function("!document.querySelector('.stale')")
            found.extend(check_each(page, address))

    sign_in(page, bob)
    look(here, f"{here}authors/")
    sign_in(page, ada)
    look(here, f"{here}edit/", f"{here}authors/", thread, "/networks/tinynet/notes/new/")
    notes.agree(bob, note)
    submit_note(ada, note)
    sign_in(page, world.editor)
    look(here, thread, "/review/?tab=notes")
    notes.decide(world.editor, note, version=1, decision="approve", comment="Good.")
    notes.save(bob, note, began_from=1, body=f"{BODY}\nMore.", summary="More.")
    submit_note(bob, note)
    notes.decide(world.editor, note, version=2, decision="approve")
    note = Note.objects.get(pk=note.pk)
    commentary = notes.create(bob, world.network, about=note, title="On it", abstract="Short.", body="Not quite.")
    submit_note(bob, commentary)
    notes.decide(world.editor, commentary, version=1, decision="approve")
    discussions.add(bob, note, "Is [[3b:2]] an echo?")
    page.context.clear_cookies()
    look(here, thread, f"{here}versions/", f"{here}versions/2/diff/", f"{here}versions/1/", f"{here}discussion/")
    notes.withdraw(ada, note, reason="Wrong.")
    look(here)
    assert found == []


def test_both_texts_are_there_where_two_saved(browser: Browser, live_server, world: SimpleNamespace) -> None:
    ada, bob = make_user("ada"), make_user("bob")
    note = notes.create(ada, world.network, title="Curves", abstract="In short.", body="What we know.")
    notes.ask(ada, note, bob)
    notes.agree(bob, note)
    context = browser.new_context(base_url=live_server.url)  # not ``visit``: the browser complains of the 409
    page = context.new_page()
    page.goto("/")
    sign_in(page, ada)
    page.goto(f"/notes/{note.public_id}/")
    page.get_by_role("link", name="Edit", exact=True).click()
    page.get_by_label("Body", exact=True).fill("What Ada knows.")
    notes.save(bob, note, began_from=1, body="What Bob knows.")
    page.get_by_role("button", name="Save version 2").click()
    expect(page.get_by_role("alert")).to_contain_text("bob saved version 2 while you were writing")
    expect(page.get_by_label("Body", exact=True)).to_have_value("What Ada knows.")
    expect(page.locator(".overtaken")).to_contain_text("Bob")
    page.get_by_role("button", name="Save version 3").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Curves")
    assert [version.body for version in note.versions.order_by("number")] == [
        *("What we know.", "What Bob knows.", "What Ada knows."),
    ]
    context.close()


def test_a_circuit_that_cannot_grow_yet_says_why(visit: Callable[[], Page], world: SimpleNamespace) -> None:
    page = visit()
    page.goto("/")
    sign_in(page, world.contributor)
    page.goto("/networks/tinynet/notes/new/?grow=3b:1")
    notice = page.locator("main .notice")
    expect(notice).to_contain_text("The weights into mixed3b:1 were not made yet: request them on its page")
    above = "(one, form) => one.compareDocumentPosition(form) & Node.DOCUMENT_POSITION_FOLLOWING"
    assert notice.evaluate(above, page.locator("form.writing").element_handle())
    assert check(page, "why no circuit grew") == []
    page.goto("/networks/tinynet/notes/new/")
    expect(notice).to_have_count(0)


LETTERS = "+".join("abcdefghijklmnopqrstuvwxyz" * 2)
WORD = "neuron" * 30
NESTED = "".join(f"{' ' * 2 * depth}- {depth}: what is in it\n" for depth in range(9))
QUOTED = "".join(f"{'> ' * depth}{depth}: who said it\n\n" for depth in range(1, 9))
LONG = f"""## Of ${LETTERS}$

From ${LETTERS}$ and {WORD}, though ${LETTERS[:29]}$ is short.

{NESTED}
Or:

{QUOTED}
1. One.
   100. ${LETTERS}$
"""


@pytest.mark.parametrize("grown", [True, False], ids=["with a circuit", "without a circuit"])
def test_nothing_is_wider_than_a_phone(visit: Callable[[], Page], world: SimpleNamespace, grown: bool) -> None:
    said = {"title": f"On {WORD}", "body": LONG} | dict.fromkeys(("abstract", "selection"), f"{WORD} ${LETTERS}$")
    nodes = [{"id": "a", "neuron": "conv1:1", "family": ""}, {"id": "b", "neuron": "mixed3b:2", "family": ""}]
    edges = [{"source": "a", "target": "b", "weight": 1, "evidence": ""}]
    circuit = {"subgraph": {"nodes": nodes, "edges": edges, "threshold": 0.3}} if grown else {}
    ada = make_user("ada")
    note = notes.create(ada, world.network, **said, **circuit)
    notes.save(ada, note, began_from=1, body=f"{LONG}\nMore.", summary=WORD)
    submit_note(ada, note)
    notes.decide(world.editor, note, version=2, decision="approve")
    here = f"/notes/{note.public_id}/"
    page = visit()
    page.set_viewport_size({"width": 360, "height": 800})
    page.goto("/")
    sign_in(page, ada)
    wide = {}
    pages = (
        here,
        f"{here}versions/",
        f"{here}versions/2/diff/",
        f"{here}edit/",
        f"{here}authors/",
        f"{here}discussion/",
    )
    for address in (*pages, "/networks/tinynet/thread/"):
        page.goto(address)
        if address.endswith("edit/"):
            expect(page.locator("[data-preview] math").first).to_be_attached()
        if (width := page.evaluate("document.documentElement.scrollWidth")) > 360:
            wide[address.removeprefix(here)] = width
    assert wide == {}


def test_a_long_formula_in_a_line_is_scrolled_by_keyboard(visit: Callable[[], Page], world: SimpleNamespace) -> None:
    note = notes.create(world.contributor, world.network, title="Long", body=f"Of $x_y$, and ${LETTERS}$.")
    page = visit()
    page.set_viewport_size({"width": 360, "height": 800})
    page.goto("/")
    sign_in(page, world.contributor)
    page.goto(f"/notes/{note.public_id}/")
    short, long = page.locator(".article .formula").all()
    assert (short.get_attribute("tabindex"), long.get_attribute("tabindex")) == (None, "0")
    assert short.evaluate("one => one.scrollWidth <= one.clientWidth && one.scrollHeight <= one.clientHeight")
    long.focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_function("one => one.scrollLeft > 0", arg=long.element_handle())
    assert check(page, "a long formula") == []
