"""The weights explorer as the site sends it: ends, orders, what is told of whom, a walk, and asking."""

import html
import json
import re
from typing import Any

import numpy as np
import pytest
from django.test import Client

from taxonomy import storage
from taxonomy.actions import gold
from taxonomy.models import Artifact, Evidence, Job, Membership, Reveal, User
from tests.factory import add_version, make_evidence, make_family, make_network, make_user, neuron_at
from tests.pages import material
from tests.pages.loom import layer_weights, make_layer_weights

ADDRESS = "/networks/tinynet/weights/"


@pytest.fixture
def woven(world) -> Evidence:
    return make_layer_weights(*world.network.layers.all())


def page(client: Client, query: str = "", status: int = 200) -> str:
    response = client.get(f"{ADDRESS}{query}")
    assert response.status_code == status, response.content.decode()
    return response.content.decode()


def matrix(client: Client, query: str = "") -> dict[str, Any]:
    found = re.search(r'data-explorer="([^"]+)"', page(client, query))
    assert found
    told: dict[str, Any] = json.loads(html.unescape(found[1]))
    return told


def test_the_canvas_is_told_where_the_arrays_are_and_in_which_order_neurons_stand(client, world, woven) -> None:
    told = matrix(client)
    files = {file.name: f"/artifacts/{file.sha256}{file.suffix}" for file in woven.current.artifacts.all()}
    assert (told["strengths"], told["kernels"]) == (files["strengths"], files["kernels"])
    assert told["shape"] == [8, 4]
    assert told["rows"]["layer"] == "mixed3b"
    # Curves (0 and 1), by the angle that falls with the number; then the others, likewise.
    assert told["rows"]["order"] == [1, 0, 7, 6, 5, 4, 3, 2]
    assert told["rows"]["bands"] == [
        {"name": "Curves", "start": 0, "count": 2},
        {"name": "in no family", "start": 2, "count": 6},
    ]
    assert told["columns"]["order"] == [0, 1, 2, 3]
    assert told["step"].endswith("?from=conv1&to=mixed3b&order=family&neuron=")


def test_other_orders_have_no_families(client, woven) -> None:
    by_angle, by_number = (matrix(client, f"?order={order}")["rows"] for order in ("angle", "number"))
    assert by_angle["order"] == [7, 6, 5, 4, 3, 2, 1, 0]
    assert by_number["order"] == list(range(8))
    assert by_angle["bands"] == by_number["bands"] == []


def test_a_familys_own_parameter_goes_before_the_angle(client, world, woven) -> None:
    source = "a table of angles"
    for index, parameter in ((4, 30.0), (5, 10.0), (6, 20.0)):
        Membership.objects.create(
            family=world.lines, neuron=neuron_at(f"3b:{index}"), parameter=parameter, source=source, made_by=world.admin
        )
    assert matrix(client)["rows"]["order"] == [1, 0, 5, 6, 4, 7, 3, 2]


def test_a_catch_all_family_stands_behind_natural_ones(client, world, woven) -> None:
    make_family(world.layer, "Other Units", kind="catch-all", order=0, units=[3])
    assert [band["name"] for band in matrix(client)["rows"]["bands"]] == ["Curves", "Other Units", "in no family"]


def test_families_are_ends(client, world, woven) -> None:
    told = matrix(client, f"?from=conv1&to=mixed3b/{world.curves.pk}&order=number")
    assert told["rows"]["order"] == [0, 1]
    assert told["rows"]["bands"] == [{"name": "Curves", "start": 0, "count": 2}]
    text = page(client, f"?from=conv1&to=mixed3b/{world.curves.pk}")
    assert "Weights from conv1 to Curves (mixed3b)" in text
    # Small enough to be drawn without a script, with a way on from each neuron.
    assert '<svg class="loom kernel"' in text
    assert 'aria-label="mixed3b:1"' in text
    # To the scale of the strongest that is shown: of mixed3b:0, 1 that is 0.3, while the layer has 0.7.
    assert '<path class="i" fill-opacity="1.00"' in text.split('class="loom kernel"')[1]


def test_neurons_that_are_hidden_show_in_no_band_no_order_and_no_list(client, world, woven) -> None:
    gold.mark(world.editor, neuron_at("3b:0"), "As clear as it gets.")
    client.force_login(world.contributor)
    told = matrix(client)["rows"]
    assert told["bands"][0] == {"name": "Curves", "start": 0, "count": 1}
    # By its angle alone it stands among those of no family: last, as its number is the least.
    assert told["order"] == [1, 7, 6, 5, 4, 3, 2, 0]
    assert matrix(client, f"?to=mixed3b/{world.curves.pk}")["rows"]["order"] == [1]
    Membership.objects.filter(neuron=neuron_at("3b:1")).update(ended_at=world.editor.date_joined)
    assert page(client, f"?to=mixed3b/{world.curves.pk}", 404)
    assert "Curves" not in page(client)


def test_families_that_are_shown_are_looks_that_are_kept(client, world, woven) -> None:
    client.force_login(world.contributor)
    for query in ("?order=angle", "?order=number", "walk/?neuron=3b:0"):
        client.get(f"{ADDRESS}{query}", headers={"X-Background": "1"})
    assert not Reveal.objects.filter(person=world.contributor).exists()
    page(client)
    shown = Reveal.objects.filter(person=world.contributor).values_list("neuron__layer__name", "neuron__index")
    assert set(shown) == {("mixed3b", 0), ("mixed3b", 1), ("conv1", 0)}


def test_the_strongest_are_listed_with_a_way_on(client, woven) -> None:
    text = page(client)
    first = text.split('class="connections"')[1].split("</li>")[0]
    assert re.findall(r"<span>([\w:]+)</span>", first) == ["conv1:0", "mixed3b:7"]
    assert "+0.7" in first
    assert "neuron=mixed3b:7#walk" in first


def test_a_walk_shows_both_sides_by_the_rule_of_thirty_per_cent(client, world, woven) -> None:
    text = page(client, "?neuron=3b:4")
    walk = text.split('id="walk"')[1]
    inputs = walk.split("Strongest inputs, from conv1")[1].split("</section>")[0]
    assert re.findall(r'class="addr">([\w:]+)<', inputs) == ["conv1:0", "conv1:1", "conv1:2", "conv1:3"]
    assert "3 of 4 neurons have at least 30 %" in inputs
    assert "the 1 next, weaker ones" in inputs
    assert "Strongest outputs" not in walk  # no layer comes after
    text = page(client, "?neuron=conv1:3")
    outputs = text.split("Strongest outputs, to mixed3b")[1].split("</section>")[0]
    assert re.findall(r'class="addr">([\w:]+)<', outputs)[:2] == ["mixed3b:7", "mixed3b:0"]
    assert "+0.4" in outputs
    assert "−0.3" in outputs


def test_kernels_are_given_back_in_the_networks_own_unit(client, world, woven) -> None:
    from taxonomy.pages.wiring import Weights

    source, target = world.network.layers.all()
    weights = Weights(woven.current, source, target)
    assert np.allclose(weights.kernels([(5, 1), (0, 3)]), [
        [[0, 0, 0], [0.4 * 64 / 127, 0.4, 0], [0, 0, 0]],
        [[0, 0, 0], [-0.3 * 64 / 127, -0.3, 0], [0, 0, 0]],
    ])  # fmt: skip


def test_where_a_layer_was_not_read_out_a_neurons_own_weights_serve(client, world) -> None:
    text = page(client, "?neuron=3b:3")  # every kind of evidence is made of it
    walk = text.split('id="walk"')[1]
    assert "Strongest inputs, from conv1" in walk
    assert re.findall(r'class="addr">([\w:]+)<', walk)[:2] == ["conv1:0", "conv1:1"]
    assert "have not been read out yet" in text.split('id="walk"')[0]


def test_the_walk_alone_is_fetched_in_the_background(client, world, woven) -> None:
    part = client.get(f"{ADDRESS}walk/?neuron=3b:4", headers={"X-Background": "1"})
    assert part.content.decode().lstrip().startswith('<section class="walk"')
    assert "<html" not in part.content.decode()
    whole = client.get(f"{ADDRESS}walk/?from=conv1&to=mixed3b&neuron=3b:4")
    assert whole.status_code == 302
    assert whole["Location"] == f"{ADDRESS}?from=conv1&to=mixed3b&order=family&neuron=mixed3b:4"
    assert client.get(f"{ADDRESS}walk/", headers={"X-Background": "1"}).status_code == 404


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("?from=nowhere", "tinynet has no layer “nowhere”. Its layers are conv1, mixed3b."),
        ("?to=mixed3b/999999", "has no such family with members"),
        ("?to=mixed3b/x", "has no such family with members"),
        ("?neuron=mixed3b:900", "has 8 neurons, numbered 0 to 7"),
        ("?neuron=<script>", "is not a neuron&#x27;s address"),
        ("?neuron=3c:1", "has no layer"),
    ],
)
def test_what_is_not_there_is_said(client, woven, query: str, words: str) -> None:
    assert words in page(client, query, 404)


def test_two_ends_in_one_layer_are_none_and_turned_ones_are_turned_round(client, world, woven) -> None:
    assert "Both ends lie in conv1: choose two layers" in page(client, "?from=conv1&to=conv1", 422)
    assert "Weights from conv1 to mixed3b" in page(client, "?from=mixed3b&to=conv1")
    make_network("flat", layers={"only": 3})
    response = client.get("/networks/flat/weights/")
    assert response.status_code == 422
    assert "flat has a single layer" in response.content.decode()
    assert client.get("/networks/nowhere/weights/").status_code == 404


def test_one_end_that_is_named_finds_the_other_beside_it(client, db) -> None:
    make_network("deep", layers={"a": 2, "b": 2, "c": 2, "d": 2})
    for query, words in (
        ("", "from c to d"),
        ("?to=b", "from a to b"),
        ("?from=b", "from b to c"),
        ("?from=a&to=c", "from a to c"),
        ("?neuron=c:1", "from b to c"),
        ("?neuron=a:1", "from a to b"),
    ):
        assert f"<h1>Weights {words}</h1>" in client.get(f"/networks/deep/weights/{query}").content.decode()


def test_what_is_missing_is_asked_for(client, world) -> None:
    assert "Sign in to request evidence." in page(client)
    client.force_login(world.contributor)
    assert "have not been read out yet" in page(client)
    ends = {"from": "conv1", "to": f"mixed3b/{world.curves.pk}", "order": "angle", "neuron": "mixed3b:1"}
    response = client.post(f"{ADDRESS}request/", ends)
    assert response["Location"] == f"{ADDRESS}?from=conv1&to=mixed3b/{world.curves.pk}&order=angle&neuron=mixed3b:1"
    row = Evidence.objects.get(kind="layer_weights")
    assert (row.layer, row.parameters, row.status) == (world.layer, {"layer": "conv1"}, "queued")
    assert row.shard.job.requested_by == world.contributor
    text = page(client)
    assert "Waiting for a worker" in text
    assert "Asked for: weights from conv1 to mixed3b." in text
    assert "Read out these weights" not in text.split('id="strongest-h"')[0].split('id="walk"')[0]
    client.post(f"{ADDRESS}request/", ends)
    assert Job.objects.filter(title__startswith="weights from").count() == 1
    Evidence.objects.filter(pk=row.pk).update(status="failed", reason="All of them are 0.")
    text = page(client)
    assert "Could not be made" in text
    assert "All of them are 0." in text
    assert "Try again" in text


def test_asking_is_refused_in_a_sentence(client, world) -> None:
    assert client.post(f"{ADDRESS}request/", {"from": "conv1", "to": "mixed3b"}).status_code in (302, 403)
    assert not Evidence.objects.filter(kind="layer_weights").exists()
    client.force_login(world.contributor)
    response = client.post(f"{ADDRESS}request/", {"from": "mixed3b", "to": "conv1"}, follow=True)
    assert "mixed3b does not lie before conv1: choose an earlier layer." in response.content.decode()
    assert client.post(f"{ADDRESS}request/", {"from": "conv1", "to": "nowhere"}).status_code == 404
    assert client.get(f"{ADDRESS}request/").status_code == 405
    make_network("catalogue", layers={"a": 2, "b": 2}, weights_digest="")
    response = client.get("/networks/catalogue/weights/")
    assert "catalogue is a catalogue without weights" in response.content.decode()
    assert client.post("/networks/catalogue/weights/request/", {"from": "a", "to": "b"}).status_code == 403


def test_files_that_are_spoilt_or_gone_are_said_and_older_ones_are_shown_instead(client, world, woven) -> None:
    for name, data in (("strengths", b"spoilt"), ("kernels", b""), ("data", b"{}")):
        file = woven.current.artifacts.get(name=name)
        path = storage.path(file.sha256)
        whole = path.read_bytes()
        path.write_bytes(data)
        assert "gone from the store, or spoilt there" in page(client), name
        path.write_bytes(whole)
    path = storage.path(Artifact.objects.get(name="strengths").sha256)
    path.unlink()
    assert "gone from the store, or spoilt there" in page(client)
    assert "gone from the store, or spoilt there" not in page(client, "?from=conv1&to=conv1", 422)


def test_a_layer_that_has_other_neurons_than_the_file_is_not_drawn(client, world) -> None:
    make_layer_weights(*world.network.layers.all(), found=layer_weights(8, 5))
    assert "data-explorer=" not in page(client)


def test_weights_that_were_cut_or_linearised_say_so(client, world) -> None:
    data, *arrays = layer_weights(8, 4)
    data |= {"size": 9, "kept": 0.875, "linearised": [True] * 3 + [False] * 5}
    make_layer_weights(*world.network.layers.all(), found=(data, *arrays))
    text = page(client)
    assert "Kernels of 9 by 9 are cut to their middle 3 by 3, which holds 87.5 % of their squared weights" in text
    assert "3 of 8 rows are linearised" in text


def test_a_large_matrix_is_not_drawn_by_the_page_which_says_so(client, world) -> None:
    make_layer_weights(*world.network.layers.all(), found=layer_weights(8, 4, k=25))
    text = page(client)
    assert "which this browser does not run" in text
    assert "svg" not in text.split("data-drawn")[1].split("</section>")[0]


def test_names_of_families_are_no_markup(client, world, woven) -> None:
    world.lines.__class__.objects.filter(pk=world.curves.pk).update(name='"><script>alert(1)</script>')
    text = page(client)
    assert "<script>alert" not in text
    assert matrix(client)["rows"]["bands"][0]["name"] == '"><script>alert(1)</script>'


def test_the_permalink_says_how_exact_it_is(client, world, woven) -> None:
    text = client.get(woven.current.get_absolute_url()).content.decode()
    assert "<h1>Weights in, from conv1 of mixed3b</h1>" in text
    assert "8 by 4 kernels of 3 by 3" in text
    assert "no weight is off by more than 0.001" in text
    assert f"{ADDRESS}?from=conv1&amp;to=mixed3b" in text
    assert "--layer mixed3b --kind layer_weights --set layer_weights.layer=conv1" in html.unescape(text)
    newer = add_version(woven, [("data", b"{}", ".json")])
    assert "spoilt there" in client.get(newer.get_absolute_url()).content.decode()


def test_queries_do_not_grow(client, world, woven, django_assert_max_num_queries) -> None:
    for number in range(12):
        make_family(world.layer, f"Family {number}")
    for index in range(8):
        make_evidence(neuron_at("3b:3"), "weights", data=material.weights("conv1", "in"), parameters={"n": index})
    people: list[User | None] = [None, world.contributor, world.reviewer]
    for person in people:
        if person:
            client.force_login(person)
        for query in ("", "?neuron=3b:3", f"?to=mixed3b/{world.curves.pk}", "?order=number&neuron=conv1:0"):
            with django_assert_max_num_queries(15):
                page(client, query)


def test_pages_lead_to_it(client, world, woven) -> None:
    for subject, lead in (
        (world.network, f'"{ADDRESS}"'),
        (world.curves, f'"{ADDRESS}?to=mixed3b/{world.curves.pk}"'),
        (world.read, f'"{ADDRESS}?neuron=mixed3b:3#walk"'),
    ):
        assert lead in client.get(subject.get_absolute_url()).content.decode()


def test_it_can_be_asked_for_by_whoever_is_signed_in(client, world) -> None:
    client.force_login(make_user())
    assert client.post(f"{ADDRESS}request/", {"from": "conv1", "to": "mixed3b"}, follow=True).status_code == 200


def test_the_api_tells_of_it_as_of_other_evidence(client, world, woven) -> None:
    for query in ("network=tinynet", "network=tinynet&layer=mixed3b"):
        (row,) = client.get(f"/api/v1/evidence/?{query}&kind=layer_weights").json()["results"]
        assert row["subject"] == "tinynet/mixed3b"
        assert row["recipe"]["parameters"] == {"layer": "conv1"}
        assert {file["name"] for file in row["artifacts"]} == {"data", "strengths", "kernels"}
    assert client.get("/api/v1/evidence/?network=tinynet&layer=conv1&kind=layer_weights").json()["count"] == 0
    assert client.get("/api/v1/evidence/?network=tinynet&index=3&kind=layer_weights").json()["count"] == 0


def test_a_card_for_other_sites_leads_to_the_explorer(client, world, woven) -> None:
    card = client.get(f"/evidence/{woven.current.public_id}/embed").content.decode()
    assert f"{ADDRESS}?from=conv1&amp;to=mixed3b" in card
