import re

from taxonomy.models import Evidence
from tests.factory import make_evidence, make_network, neuron_at


def page(client, neuron) -> str:
    return client.get(neuron.get_absolute_url()).content.decode()


def test_evidence_stands_in_the_order_of_the_article(client, world):
    html = page(client, world.read)
    order = ["Feature visualization", "Dataset examples", "Tuning to curves", "Weights in, from conv1"]
    places = [html.index(f"{title}</h2>") for title in order]
    assert places == sorted(places)


def test_weights_are_signed_chips_by_the_thirty_percent_rule(client, world):
    html = page(client, world.read)
    assert "2 of 4 neurons have at least 30 %" in html
    assert "+0.9" in html
    assert "−0.5" in html
    assert "linearised" in html
    strong = html.split('<ul class="weights">')[1].split("</ul>")[0]
    assert re.findall(r"conv1:(\d)</span>", strong) == ["0", "1"]
    assert "conv1:2" in html
    assert "conv1:3" not in html  # a weight of zero is no connection


def test_a_tuning_curve_has_title_description_and_numbers(client, world):
    html = page(client, world.read)
    assert "Response of mixed3b:3 to curves by orientation" in html
    assert "peak at 90°" in html
    assert '<th scope="row">90°</th><td>20</td>' in html


def test_two_tuning_curves_of_a_neuron_have_one_scale(client, world):
    assert "The plot reaches to its strongest response." in page(client, world.read)
    line = {"stimulus": "line", "angles": [0, 45, 90, 135], "responses": [0.0, 0.5, 0.1, 0.0], "unit": "activation"}
    line |= {"peak": 45, "width": 34.25, "echo": None}
    make_evidence(world.read, "tuning_curves", data=line, parameters={"stimulus": "line"})
    html = page(client, world.read)
    assert html.count("Both plots reach to 20, its strongest response to either.") == 2
    assert html.count("the outer one for a response of 20.") == 2
    assert "<dd>34.3°</dd>" in html


def test_a_failure_is_shown_as_one(client, world):
    html = page(client, world.unread)
    assert "Could not be made" in html
    assert "It may be dead." in html


def test_what_is_under_way_is_asked_for_again(client, world):
    make_evidence(neuron_at("3b:5"), status="running")
    html = page(client, neuron_at("3b:5"))
    assert "Being made now." in html
    assert 'hx-select="#feature-visualization"' in html
    assert "Not made yet." in html


def test_a_newer_failure_does_not_hide_what_is_there(client, world):
    make_evidence(world.read, parameters={"steps": 8}, status="failed", reason="Out of memory.")
    html = page(client, world.read)
    assert "Drives it to" in html
    assert "Out of memory." in html


def test_lost_files_are_said_to_be_lost(client, world, settings, tmp_path):
    settings.ARTIFACTS = tmp_path / "empty"
    html = page(client, world.read)
    assert "gone from the store" in html


def test_neighbours_are_one_step_away(client, world):
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
