"""A note's circuit: built without JavaScript, seen as a file, asked and moved in the browser."""

import json
import re
from types import SimpleNamespace

import pytest
from django.urls import reverse

from taxonomy.actions import circuits, notes
from taxonomy.actions.sprites import build_sprite
from taxonomy.models import Note, Reveal
from tests.factory import make_evidence, make_family, make_network, make_user, neuron_at
from tests.pages.material import make_family_evidence
from tests.pages.test_accessibility import SETTINGS, check, sign_in


def weights(address: str, layer: str, values: dict[int, float]) -> None:
    rows = [{"neuron": i, "value": v, "linearised": False, "kernel": [[v, v / 2]]} for i, v in values.items()]
    rows.sort(key=lambda row: -abs(row["value"]))
    scale = max(map(abs, values.values()))
    data = {"layer": layer, "direction": "in", "linearised": False, "scale": scale, "channels": 8}
    strong = sum(abs(value) >= 0.3 * scale for value in values.values())
    data |= {"strong": strong, "strongest": rows}
    make_evidence(neuron_at(address), "weights", data=data, parameters={"direction": "in", "layer": layer})


MATRIX = {
    "layer": "mixed3b",
    "members": [0],
    "angles": [0.0],
    "stimulus": "curve",
    "source_layer": "mixed3a",
    "source": [0, 1],
    "source_angles": [0.0, 180.0],
    "source_stimulus": "curve",
    "k": 1,
    "scale": 1.0,
    "strengths": [[1.0, -0.5]],
    "equivariance": None,
    "linearised": False,
}


@pytest.fixture
def desk(db) -> SimpleNamespace:
    """A draft of ada's, and a neuron with weights two layers deep."""
    network = make_network(layers={"conv1": 8, "mixed3a": 8, "mixed3b": 8})
    weights("mixed3b:0", "mixed3a", {0: 1.0, 1: -0.5, 2: 0.1})
    weights("mixed3a:0", "conv1", {4: -2.0, 5: 0.7})
    weights("mixed3a:1", "conv1", {4: 1.0})
    make_evidence(neuron_at("mixed3a:0"), pictures=["image"])
    build_sprite(network.layers.get(name="mixed3a"))
    author = make_user("ada")
    note = notes.create(author, network, title="How curves are made", abstract="From curves.", body="So.")
    return SimpleNamespace(
        network=network, author=author, note=note, address=reverse("note_circuit", args=[note.public_id])
    )


@pytest.fixture
def at(desk, client):
    """Sends a step of the form, from the circuit that the last page had."""
    client.force_login(desk.author)
    page = client.get(desk.address)

    def send(do: str, **fields):
        nonlocal page
        sent = {"subgraph": page.context["text"], "began_from": page.context["table"].began_from, "do": do}
        page = client.post(desk.address, sent | fields)
        return page

    return send


def names(page) -> set[str]:
    return {knot.name for knot in page.context["circuit"].knots.values()}


def test_a_circuit_is_built_step_by_step_and_saved(desk, at):
    page = at("grow", start="3b:0", threshold="30", depth="2")
    assert page.status_code == 200
    assert names(page) == {"mixed3b:0", "mixed3a:0", "mixed3a:1", "conv1:4", "conv1:5"}
    assert desk.note.latest.number == 1  # nothing is saved yet
    assert "Not saved yet" in page.text
    assert names(at("remove", node="conv1:5")) == {"mixed3b:0", "mixed3a:0", "mixed3a:1", "conv1:4"}
    assert "mixed3a:2" in names(at("add", name="3a:2"))
    assert len(at("cut conv1:4 mixed3a:1").context["circuit"].wires) == 3
    assert len(at("tie", source="mixed3a:2", target="mixed3b:0", weight="-0,25").context["circuit"].wires) == 4
    page = at("save", motifs=["equivariance", "nonsense"], summary="A circuit")
    assert page.status_code == 302
    saved = desk.note.versions.get(number=2)
    assert circuits.selection(saved.subgraph).endswith(
        "Added by hand: mixed3a:2. Left out by hand: conv1:5. 1 connection drawn by hand, without evidence."
    )
    assert saved.motifs == ["equivariance"]
    assert saved.summary == "A circuit"


def test_a_note_begins_with_the_circuit_of_a_neuron(desk, client):
    client.force_login(desk.author)
    assert "?grow=mixed3b%3A0" in client.get(neuron_at("mixed3b:0").get_absolute_url()).text
    address = reverse("note_new", args=[desk.network.name])
    assert "the circuit of mixed3b:0: 5 neurons" in client.get(f"{address}?grow=3b:0").text
    client.post(f"{address}?grow=3b:0", {"title": "Grown"})
    assert len(Note.objects.latest("pk").latest.subgraph["nodes"]) == 5
    for nothing in ("3b:1", "3b:99", "%00", "nonsense"):
        assert "It begins with the circuit" not in client.get(f"{address}?grow={nothing}").text


def test_enter_in_a_field_does_what_the_field_is_for(at):
    assert "mixed3b:0" in names(at("", start="3b:0"))
    assert "mixed3a:2" in names(at("", name="3a:2", start="3b:0"))


@pytest.mark.parametrize(
    ("do", "fields", "said"),
    [
        ("grow", {"start": "3b:1"}, "request them on its page"),
        ("grow", {"start": "3b:99"}, "numbered 0 to 7"),
        ("grow", {"start": "3b:0", "threshold": "lots"}, "The threshold is a number"),
        ("grow", {"start": "3b:0", "threshold": "nan"}, "a share of the strongest weight"),
        ("grow", {"start": "3b:0", "threshold": "300"}, "a share of the strongest weight"),
        ("grow", {"start": "3b:0", "depth": "9"}, "1 to 4 layers deep"),
        ("grow", {"start": "3b:0", "depth": "inf"}, "1 to 4 layers deep"),
        ("add", {"name": "family:3b/Curves"}, "There is no family"),
        ("add", {"name": "family:3b/a\0"}, "There is no family"),
        ("add", {"name": "family:3\0b/a"}, "There is no family"),
        ("add", {"name": "3b:1\0"}, "is not a neuron"),
        ("grow", {"start": "3b:1\0"}, "is not a neuron"),
        ("grow", {"start": "3b:1", "began_from": "1" * 5_000}, "request them on its page"),
        ("tie", {"source": "a", "target": "b", "weight": "1"}, "which is no node of the circuit"),
        ("save", {"subgraph": "{"}, "does not read"),
        ("save", {"subgraph": "[" * 20_000}, "does not read"),
        ("save", {"subgraph": "[]"}, "is an object"),
        ("save", {"subgraph": json.dumps({"nodes": [{"id": str(i)} for i in range(5_000)]})}, "at most 200 nodes"),
    ],
)
def test_what_cannot_be_done_is_told_and_nothing_is_lost(desk, at, do, fields, said):
    page = at(do, **fields)
    assert page.status_code == 422
    assert said in page.text
    assert desk.note.latest.number == 1


def test_what_somebody_else_saved_meanwhile_is_shown_and_nothing_is_lost(desk, at):
    at("grow", start="3b:0")
    other = circuits.add(desk.network, circuits.empty(), "3b:7")
    notes.save(desk.author, desk.note, began_from=1, subgraph=other)
    page = at("save")
    assert page.status_code == 409
    assert "saved version 2 while you were writing" in page.text
    assert "mixed3b:0" in names(page)
    assert [knot.name for knot in page.context["theirs"].knots.values()] == ["mixed3b:7"]
    assert at("save").status_code == 302
    assert len(desk.note.versions.get(number=3).subgraph["nodes"]) == 5


def test_only_its_authors_change_it(desk, client):
    assert client.get(desk.address).status_code == 403
    client.force_login(make_user())
    assert client.get(desk.address).status_code == 403
    assert client.post(desk.address, {"do": "save", "subgraph": "{}"}).status_code == 403


def test_whoever_sees_a_circuit_has_looked_at_its_neurons(desk, at):
    at("add", name="3b:3")
    assert Reveal.objects.filter(person=desk.author, neuron=neuron_at("3b:3")).exists()


def test_the_page_asks_the_same_few_questions_whatever_the_size(desk, at, client, django_assert_max_num_queries):
    earlier = make_family(desk.network.layers.get(name="mixed3a"), "Early Curves", units=range(4))
    curves = make_family(desk.network.layers.get(name="mixed3b"), "Curves", units=range(4))
    for i in range(2, 8):
        weights(f"mixed3b:{i}", "mixed3a", dict.fromkeys(range(8), 1.0))
        weights(f"mixed3a:{i}", "conv1", dict.fromkeys(range(8), 1.0))
    make_family_evidence(curves, "family_weights", MATRIX, {}, other=earlier, pictures=["matrix"])
    at("grow", start="3b:2", depth="2")
    for name in ("family:3a/early curves", "family:3b/curves"):
        at("add", name=name)
    at("save")
    client.get(desk.address)
    with django_assert_max_num_queries(15):
        assert len(client.get(desk.address).context["circuit"].wires) > 40


def test_the_drawing_is_a_file(desk, at, client):
    address = reverse("note_circuit_svg", args=[desk.note.public_id])
    assert client.get(address).status_code == 404
    at("grow", start="3b:0")
    at("save")
    answer = client.get(address)
    assert answer["Content-Type"] == "image/svg+xml; charset=utf-8"
    assert answer.text.startswith("<svg xmlns=")
    assert client.get(f"{address}?version=1").status_code == 404
    assert client.get(f"{address}?version={'9' * 30}").status_code == 200
    assert client.get(f"{address}?version=٣").status_code == 200
    client.logout()
    assert client.get(address).status_code == 403  # a draft


def test_an_edge_leads_to_its_kernel(desk, at, client):
    page = at("grow", start="3b:0")
    kernels = [wire.kernel for wire in page.context["circuit"].listed]
    answer = client.get(kernels[0])
    assert "mixed3a:0 to mixed3b:0" in answer.text
    assert "strongest weight +1" in answer.text
    part = client.get(kernels[0], headers={"HX-Request": "true"})
    assert "<h1" not in part.text
    base = kernels[0].split("?")[0]
    for wrong in ("", "?of=mixed3a:7", "?weight=much"):
        assert client.get(base + wrong).status_code == 404
    picture = neuron_at("mixed3a:0").evidence.get(kind="feature_visualization").current
    assert client.get(reverse("evidence_kernel", args=[picture.public_id])).status_code == 404


def test_a_family_s_edge_leads_to_the_whole_matrix(desk, at, client):
    earlier = make_family(desk.network.layers.get(name="mixed3a"), "Early Curves", units=[0, 1])
    curves = make_family(desk.network.layers.get(name="mixed3b"), "Curves", units=[0])
    page = at("add", name="family:3a/early curves")
    page = at("add", name="family:3b/curves")
    (wire,) = page.context["circuit"].wires
    assert "mixed3a:0 to mixed3b:0" in client.get(wire.kernel).text  # of a member
    make_family_evidence(curves, "family_weights", MATRIX, {}, other=earlier, pictures=["matrix"])
    page = at("connect")
    (wire,) = page.context["circuit"].wires
    told = client.get(wire.kernel).text
    assert "The whole matrix" in told
    assert re.search("from <b[^>]*>−0.5</b> to <b[^>]*>\\+1</b>", told)
    assert "Excitation and inhibition by orientation" in page.text


def test_newest_weights_are_taken_in_words(at):
    at("grow", start="3b:0")
    assert "Every weight is what the newest evidence says." in at("refresh").text
    assert names(at("clear")) == set()


# In the browser


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("setting", SETTINGS)
def test_the_editor_is_accessible(visit, desk, setting):
    page = visit()
    page.set_viewport_size({"width": SETTINGS[setting]["width"], "height": 800})
    page.emulate_media(color_scheme=SETTINGS[setting]["color_scheme"])
    page.goto("/terms/")
    sign_in(page, desk.author)
    page.goto(desk.address)
    found = check(page, "empty")
    page.fill("#start", "3b:0")
    page.press("#start", "Enter")
    page.wait_for_selector(".circuit-legend")
    page.click("summary:has-text('More')")
    page.click("summary:has-text('as a table')")
    found += check(page, "grown")
    assert found == []


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_a_circuit_is_moved_asked_and_saved_in_the_browser(visit, desk):
    page = visit()
    page.goto("/terms/")
    sign_in(page, desk.author)
    page.goto(desk.address)
    page.fill("#start", "3b:0")
    page.click("#do-grow")
    page.wait_for_selector(".circuit-stage canvas")
    assert page.locator(".circuit-scroll").is_hidden()
    # A node is dragged, and keeps to its layer's column.
    at = "document.querySelector('[data-circuit]').circuit.getElementById('mixed3a:1')"
    box = page.locator(".circuit-stage").bounding_box()
    before = page.evaluate(f"{at}.renderedPosition()")
    start = box["x"] + before["x"], box["y"] + before["y"]
    page.mouse.move(*start)
    page.mouse.down()
    page.mouse.move(start[0] + 60, start[1] + 40, steps=4)
    page.mouse.up()
    after = page.evaluate(f"{at}.renderedPosition()")
    assert after["x"] == pytest.approx(before["x"], abs=1)
    assert after["y"] > before["y"] + 20
    # An edge shows its kernel, and can be removed.
    place = page.evaluate(
        "document.querySelector('[data-circuit]').circuit.edges('[source = \"mixed3a:1\"]').renderedMidpoint()"
    )
    page.mouse.click(box["x"] + place["x"], box["y"] + place["y"])
    page.wait_for_selector(".circuit-kernel .kernel")
    assert "mixed3a:1" in page.locator(".circuit-kernel").inner_text()
    page.click("text=Remove this connection")
    page.wait_for_selector("summary:has-text('4 connections')")
    page.click("#do-save")
    page.wait_for_url(f"**/notes/{desk.note.public_id}/")
    saved = desk.note.versions.get(number=2).subgraph
    assert len(saved["edges"]) == 4
    moved = {node["id"]: node["y"] for node in saved["nodes"]}
    assert moved["mixed3a:1"] > moved["mixed3a:0"] > 0
    # Readers have it too; on paper stands the drawing.
    page.wait_for_selector(".circuit-stage canvas")
    page.emulate_media(media="print")
    assert page.locator(".circuit-scroll svg").first.is_visible()
    assert page.locator(".circuit-stage").is_hidden()
