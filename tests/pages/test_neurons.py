import json
import re
from html import unescape as html_unescape
from io import StringIO

import pytest
from django.core.management import call_command

from taxonomy import recipes, storage
from taxonomy.models import Artifact, Evidence, Membership
from tests.factory import add_version, make_evidence, make_family, make_network, neuron_at
from tests.pages import material


def page(client, neuron, **chosen) -> str:
    return client.get(neuron.get_absolute_url(), chosen).content.decode()


def section(html: str, slug: str) -> str:
    """The exhibit of this slug."""
    return html.split(f'id="{slug}"')[1].split("</section>")[0]


def words(html: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", html).split())


def test_evidence_stands_in_the_order_of_the_article(client, world):
    html = page(client, world.read)
    order = [
        "Feature visualization</h2>",
        "What it is against</h3>",
        "Dataset examples</h2>",
        "Over its whole range</h2>",
    ]
    order += ["What it is tuned to</h2>", "Weights in, from conv1</h2>", "What it looks for in conv1, by position</h2>"]
    order += ["Themes of its weights from conv1</h2>", "Facets</h2>", "Neurons like it</h2>"]
    places = [html.index(title) for title in order]
    assert places == sorted(places)


def test_every_panel_has_its_recipe_permalink_json_and_a_way_to_make_it_again(client, world):
    client.force_login(world.contributor)
    html = page(client, world.read)
    for row in Evidence.objects.filter(neuron=world.read).exclude(kind__in=("neighbours", "attribution")):
        part = html.split(row.current.get_absolute_url())
        assert len(part) > 1, row.kind
        assert f'action="{row.current.get_absolute_url()}reproduce/"' in html
        assert row.key in html
    shown = section(html, "activation-histogram")
    for said in ("activation_histogram, version 1", "w" * 64, "pictures " + "i" * 64, "device cpu"):
        assert said in shown
    assert "request_evidence tinynet --layer mixed3b --neurons 3 --kind activation_histogram --images pictures" in shown


def test_the_command_line_makes_the_same_recipe(client, world):
    html = html_unescape(section(page(client, world.read), "facets-3"))
    command = re.search(r"request_evidence ([^<]+)", html)[1]
    assert command == (
        "tinynet --layer mixed3b --neurons 3 --kind facets "
        "--set facets.facets=3 --set facets.layer=conv1 --images pictures"
    )
    row = Evidence.objects.get(neuron=world.read, kind="facets")
    Evidence.objects.filter(pk=row.pk).update(status="queued", current=None)
    call_command("request_evidence", *command.split(), stdout=StringIO())
    made = Evidence.objects.filter(neuron=world.read, kind="facets").order_by("-pk")[0]
    assert made.parameters.items() >= row.parameters.items()


def test_the_visualization_shows_how_it_came_to_be(client, world):
    shown = section(page(client, world.read), "feature-visualization")
    assert re.findall(r"<span>step (\d+)</span>", shown) == ["0", "4", "48", "128"]
    assert "Drives it to 3.2 ( 6.4&nbsp;sd )" in words(shown)


def test_examples_show_the_whole_picture_with_the_map_on_it(client, world):
    html = page(client, world.read)
    shown = section(html, "dataset-examples")
    assert shown.count('class="crop"') == 9
    assert shown.count('class="place double"') == 9
    # conv1's cells are 2 pixels wide, and the first stands for the middle of the 15 pixels that mixed3b sees.
    assert '<svg class="map-over" x="6.5" y="6.5" width="8" height="6" viewBox="4 0 4 3"' in shown
    assert "/artifacts/" in shown.split('class="crop"')[1]


def test_the_quilt_comes_when_it_is_looked_at_and_without_javascript_on_its_own_page(client, world):
    version = Evidence.objects.get(neuron=world.read, kind="dataset_examples").current
    html = page(client, world.read)
    assert f'hx-get="{version.get_absolute_url()}quilt/" hx-trigger="revealed"' in html
    assert 'class="bins"' not in html
    assert client.get(f"{version.get_absolute_url()}quilt/").url == f"{version.get_absolute_url()}#quilt"
    fragment = client.get(f"{version.get_absolute_url()}quilt/", headers={"HX-Request": "true"}).content.decode()
    alone = client.get(version.get_absolute_url()).content.decode()
    for quilt in (fragment, alone.split('id="quilt"')[1]):
        assert len(re.findall(r'class="bin[ "]', quilt)) == 19  # and the lowest of all
        assert words(quilt).index("8.3 to 9") < words(quilt).index("−3 to −2.3")
        assert quilt.count("bin zero") == 1
        assert "the lowest of all" in quilt
        assert "2 pictures" in quilt


def test_a_histogram_has_its_numbers(client, world):
    shown = section(page(client, world.read), "activation-histogram")
    assert "How often mixed3b:3 has which value" in shown
    assert words(shown).count("Standard deviation 0.5") == 1
    assert "Above zero 40 %" in words(shown)
    assert "50 % below 0.1" in words(shown)


def test_tuning_is_in_units_of_the_neurons_sd_and_to_one_scale(client, world):
    html = page(client, world.read)
    assert "stand for a response of 40&nbsp;sd" in html
    assert html.count("the outer one for a response of 40 sd.") == 4
    assert html.count("Its height stands for a response of 40 sd.") == 2
    shown = section(html, "tuning-curves-curve")
    assert "Response of mixed3b:3 to curves by orientation" in shown
    assert "peak at 90°" in shown
    assert '<th scope="row">90°</th><td>40</td>' in shown
    assert "Echo 0.02" in words(shown)
    assert "At radius 40. Faint: radius 24 px." in words(shown)
    assert "By phase 0.25" in words(section(html, "tuning-curves-grating"))
    assert "Peak 4 pixels" in words(section(html, "tuning-curves-centre-surround"))


def test_without_a_histogram_tuning_is_in_activations(client, world):
    neuron = neuron_at("3b:6")
    make_evidence(neuron, "tuning_curves", data=material.tunings()["line"], parameters={"stimulus": "line"})
    html = page(client, neuron)
    assert "To its strongest response." in html
    assert "<dd>34.3°</dd>" in html
    assert "the outer one for a response of 8 activation." in html


def test_weights_are_signed_chips_by_the_thirty_percent_rule(client, world):
    html = section(page(client, world.read), "weights-in-conv1")
    assert "2 of 4 neurons have at least 30 %" in html
    assert "+0.9" in html
    assert "−0.5" in html
    assert "linearised" in html
    strong = html.split('<ul class="weights">')[1].split("</ul>")[0]
    assert re.findall(r"conv1:(\d)</span>", strong) == ["0", "1"]
    assert "conv1:2" in html
    assert "conv1:3" not in html  # a weight of zero is no connection


def test_weights_to_another_layer_are_chosen_or_asked_for(client, db):
    network = make_network("deep", layers={"a": 2, "b": 2, "c": 2})
    neuron = neuron_at("c:0", network)
    make_evidence(neuron, "weights", data=material.weights("b", "in"), parameters={"direction": "in", "layer": "b"})
    html = page(client, neuron)
    assert "Weights in, from b" in html
    assert "another layer" not in html  # a visitor asks for nothing
    make_evidence(neuron, "weights", data=material.weights("a", "in"), parameters={"direction": "in", "layer": "a"})
    assert "Weights in, from b" in page(client, neuron)
    assert "?in=a#weights-in-a" in page(client, neuron)
    chosen = page(client, neuron, **{"in": "a"})
    assert "Weights in, from a" in chosen
    assert "Weights in, from b</h2>" not in chosen


def test_decomposed_weights_are_counted_by_family(client, world):
    make_family(world.network.layers.get(name="conv1"), "Gabors", units=[1])
    html = words(section(page(client, world.read), "decomposed-visualization-conv1"))
    assert html.index("Edges") < html.index("+50 %") < html.index("Gabors") < html.index("−25 %")
    assert html.index("Gabors") < html.index("Not sorted yet")
    assert "12 % lies in weaker neurons" in html
    Membership.objects.filter(family__name="Gabors").update(ended_at="2026-01-01T00:00:00Z")
    assert "Gabors" not in section(page(client, world.read), "decomposed-visualization-conv1")


def test_factors_are_told_with_what_they_are_made_of(client, world):
    html = section(page(client, world.read), "weight-factors-conv1")
    assert "Together they hold 80 % of the squared weight." in words(html)
    assert html.count("Picture of theme") == 3
    assert "What inhibits it" in html


def test_facets_are_rows_and_their_number_is_the_readers(client, world):
    html = section(page(client, world.read), "facets-3")
    assert html.count("50 % of the examples") == 3
    values = {"layer": "conv1", "facets": 4}
    make_evidence(world.read, "facets", data=material.facets("conv1"), parameters=values, image_set=world.images)
    assert 'id="facets-4"' in page(client, world.read)
    assert 'id="facets-3"' in page(client, world.read, facets="3")
    client.force_login(world.contributor)
    assert "<option selected>4</option>" in page(client, world.read)


def test_neighbours_are_found_here_and_elsewhere(client, world):
    far = make_network("far", layers={"mixed3b": 3})
    stranger = neuron_at("3b:1", far)
    row = make_evidence(stranger, "neighbours", data={"by": "weights"}, parameters={"by": "weights"})
    material.place(stranger, row, "weights", {0: 1.0})
    address = f"{world.read.get_absolute_url()}neighbours/"
    assert f'hx-get="{address}" hx-trigger="revealed"' in page(client, world.read)
    html = client.get(address).content.decode()
    weights = section(html, "neighbours-weights")
    here, elsewhere = weights.split("In other networks")
    assert "mixed3b:2" in words(here)
    assert "0.8" in words(here)  # both have 1 at 0 and 0.5 at a place of their own
    assert "far/mixed3b:1" in words(elsewhere)
    assert "0.89" in words(elsewhere)
    assert "mixed3b:3</span>" not in weights  # not itself
    assert "In other networks" not in section(html, "neighbours-rotation")
    fragment = client.get(address, headers={"HX-Request": "true"}).content.decode()
    assert fragment.startswith('<div class="likenesses"')
    assert "Nobody has asked yet" in client.get(f"{neuron_at('3b:7').get_absolute_url()}neighbours/").content.decode()


def test_an_example_is_traced_back_where_somebody_asked(client, world):
    html = page(client, world.read)
    assert "?example=0-1-2#example" in html
    assert "Where does it come from?" not in html
    kept = page(client, world.read, example="0-1-2")
    assert "Where does it come from?</h2>" in kept
    assert "The neurons of conv1 that carry it" in kept
    assert "+6" in section(kept, "attribution-0-1-2-conv1")
    assert "Exact: weight times activation" in kept
    assert "from conv1" not in kept.split('id="example"')[1].split("What it is tuned to")[0].split("chosen")[0]


def test_an_example_that_nobody_traced_is_asked_for(client, world):
    asked = page(client, world.read, example="1-1-2")
    assert "Nobody has traced this one back yet. Sign in to request evidence." in words(asked)
    client.force_login(world.contributor)
    html = page(client, world.read, example="1-1-2")
    form = html.split('id="example"')[1].split("</form>")[0]
    for field in (
        'name="image" value="1"',
        'name="row" value="1"',
        'name="column" value="2"',
        "<option>conv1</option>",
    ):
        assert field in form
    for nonsense in ("9-9-9", "x", "1-2", "-1-2-3", "9" * 30 + "-1-1"):
        assert "Where does it come from?" not in page(client, world.read, example=nonsense)


def test_what_was_not_made_is_one_list_with_a_button_each(client, world):
    html = page(client, neuron_at("3b:5"))
    missing = html.split('id="missing"')[1].split("</section>")[0]
    assert html.count("<h2") < 9  # no wall of empty boxes
    titles = re.findall(r"<b>([^<]+)</b>", missing)
    assert titles == [
        *("Feature visualization", "Dataset examples", "Activations", "Tuning curve", "Weights", "Neighbours"),
        *("Weight factors", "Decomposed over positions", "Facets"),
    ]
    assert "Make it" not in missing
    assert "Sign in to request evidence." in missing
    client.force_login(world.contributor)
    missing = page(client, neuron_at("3b:5")).split('id="missing"')[1].split("</section>")[0]
    assert missing.count("Make it</button>") == len(titles)
    assert '<option value="pictures">' in missing


def test_a_failure_is_shown_as_one_and_never_as_a_picture(client, world):
    html = page(client, world.unread)
    assert "Could not be made" in html
    assert "It may be dead." in html
    assert "<img" not in section(html, "feature-visualization")


@pytest.mark.parametrize("kind", [name for name, kind in recipes.KINDS.items() if kind.subject == "neuron"])
def test_a_failure_of_any_kind_is_told_with_its_reason(client, world, kind):
    neuron = neuron_at("3b:5")
    values = {"image": 0, "row": 1, "column": 2, "layer": "conv1"} if kind == "attribution" else None
    if kind == "attribution":
        make_evidence(neuron, "dataset_examples", data=material.dataset_examples(), image_set=world.images)
    make_evidence(neuron, kind, parameters=values, status="failed", reason="It has no variance.")
    address = neuron.get_absolute_url() + ("neighbours/" if kind == "neighbours" else "?example=0-1-2")
    html = client.get(address).content.decode()
    assert "It has no variance." in html
    assert "Could not be made" in html


def test_what_is_under_way_is_asked_for_again(client, world):
    make_evidence(neuron_at("3b:5"), status="running")
    html = page(client, neuron_at("3b:5"))
    assert "Being made now." in html
    assert 'hx-select="#feature-visualization"' in html
    assert "Not made yet" in html


def test_a_newer_failure_does_not_hide_what_is_there(client, world):
    make_evidence(world.read, parameters={"steps": 8}, status="failed", reason="Out of memory.")
    html = page(client, world.read)
    assert "Drives it to" in html
    assert "Out of memory." in html


def test_lost_files_are_said_to_be_lost(client, world, settings, tmp_path):
    settings.ARTIFACTS = tmp_path / "empty"
    html = page(client, world.read, example="0-1-2")
    assert html.count("gone from the store") >= 11
    assert "Its numbers are gone from the store." in html
    near = client.get(f"{world.read.get_absolute_url()}neighbours/").content.decode()
    assert "mixed3b:2" in near  # from the database alone


SPOILT = [b"{", b"null", b"[]", b"{}", b'"x"', b'{"top": 3, "bins": 1, "axis": [], "edges": [1], "strongest": [[]]}']


@pytest.mark.parametrize("data", SPOILT, ids=[text.decode()[:12] for text in SPOILT])
def test_spoilt_files_of_any_kind_break_no_page(client, world, data):
    for row in Evidence.objects.filter(neuron=world.read):
        add_version(row, [("data", data, ".json")])
    for address in ("", "?example=0-1-2", "neighbours/"):
        assert client.get(world.read.get_absolute_url() + address).status_code == 200
    html = page(client, world.read)
    assert html.count("gone from the store, or spoilt there") >= 12
    for row in Evidence.objects.filter(neuron=world.read).select_related("current"):
        assert client.get(row.current.get_absolute_url()).status_code == 200
        assert client.get(f"{row.current.get_absolute_url()}embed").status_code == 200


def test_an_entry_that_is_missing_leaves_the_panel_out_and_nothing_else(client, world):
    row = Evidence.objects.get(neuron=world.read, kind="weights")
    data = material.weights("conv1", "in")
    data["strongest"][0].pop("kernel")
    add_version(row, [("data", json.dumps(data).encode(), ".json")])
    html = page(client, world.read)
    assert "gone from the store, or spoilt there" in section(html, "weights-in-conv1")
    assert html.count("gone from the store") == 1


def test_what_an_earlier_recipe_made_is_said_to_be_so(client, world):
    row = Evidence.objects.get(neuron=world.read, kind="dataset_examples")
    add_version(row, [("data", b'[{"image": "a.png"}]', ".json")])
    Evidence.objects.filter(pk=row.pk).update(recipe_version=1)
    assert "Made by version 1 of its recipe" in section(page(client, world.read), "dataset-examples")


def test_a_photograph_that_was_not_kept_leaves_a_gap(client, world):
    data = material.dataset_examples()
    data["top"][0]["image"] = 1234
    row = Evidence.objects.get(neuron=world.read, kind="dataset_examples")
    add_version(row, [("data", json.dumps(data).encode(), ".json")])
    html = page(client, world.read)
    assert html.split('id="dataset-examples"')[1].count('class="crop"') >= 9


def test_the_page_reads_no_large_file(client, world):
    row = Evidence.objects.get(neuron=world.read, kind="weights")
    kernels = storage.put(b"not to be opened")
    Artifact.objects.create(version=row.current, name="kernels", sha256=kernels, suffix=".npy", size=16)
    storage.path(kernels).unlink()
    assert "gone from the store" not in page(client, world.read)


def test_neighbouring_neurons_are_one_step_away(client, world):
    html = page(client, world.read)
    assert '<link rel="prev" href="/networks/tinynet/mixed3b/2/">' in html
    assert '<link rel="next" href="/networks/tinynet/mixed3b/4/">' in html
    assert 'rel="next"' not in page(client, neuron_at("3b:7"))


def test_imported_pictures_say_so(client, world):
    bare = make_network("bare", weights_digest="")
    neuron = neuron_at("3b:0", bare)
    make_evidence(neuron, "imported_picture", pictures=["image"], parameters={"source": "an article"})
    html = page(client, neuron)
    assert "Not made here: from an article." in html
    assert Evidence.objects.filter(neuron=neuron).count() == 1
    assert "Not made yet" not in html


def test_of_a_kind_that_is_partly_made_the_rest_is_named(client, world):
    make_evidence(neuron_at("3b:6"), "tuning_curves", data=material.tunings()["line"], parameters={"stimulus": "line"})
    missing = words(page(client, neuron_at("3b:6")).split('id="missing"')[1].split("</section>")[0])
    assert "Tuning curve also: tuning to curves, tuning to gratings, tuning to high-low frequency," in missing
    assert "Weights what excites and inhibits it" in missing
