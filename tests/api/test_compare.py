"""Neurons and families side by side, for a program: the numbers of the page, and the versions that they stand in."""

from urllib.parse import urlencode

import pytest

from taxonomy.models import Network, Reveal
from tests.api.conftest import Client
from tests.factory import make_family, make_image_set, make_user, neuron_at
from tests.pages.material import (
    every_kind,
    every_kind_of_two,
    family_weights,
    make_family_evidence,
    photographs,
    weights_from_edges,
)
from tests.pages.test_compare import artificial as artificial
from tests.pages.test_compare import compared, likenesses
from tests.pages.test_compare import natural as natural

pytestmark = pytest.mark.django_db


def asked(client: Client, *subjects: str):
    return client.get(f"/api/v1/compare/?{urlencode([('with', one) for one in subjects])}")


def sides_of(client: Client, *subjects: str) -> list[dict]:
    answer = asked(client, *subjects)
    assert answer.status_code == 200, answer.json()
    return answer.json()["sides"]


def test_two_neurons_have_the_numbers_of_the_page(api: Client, natural: Network, artificial: Network):
    subjects = "natural/3b:0", "artificial/mixed3b:0"
    first, second = sides_of(api, *subjects)
    assert (first["address"], second["address"]) == ("natural/mixed3b:0", "artificial/mixed3b:0")
    assert (first["network"], first["layer"], first["index"], first["family"]) == ("natural", "mixed3b", 0, None)
    assert first["picture"]["value"] == 3.0
    [own], [other] = first["tuning"], second["tuning"]
    assert (own["stimulus"], own["peak"], own["width"], own["echo"]) == ("curve", 0.0, 40.0, 0.01)
    assert (own["alike"], own["turned"], own["responding"]) == (None, None, None)
    assert (other["peak"], other["width"]) == (10.0, 44.0)
    [(alike, turned)] = likenesses(compared(api, *subjects))
    assert (round(other["alike"], 3), round(other["turned"], 3)) == (alike, turned)
    [version] = own["evidence"]
    assert (version["kind"], version["url"]) == ("tuning_curves", f"http://testserver/evidence/{version['id']}/")
    assert api.get(version["url"]).status_code == 200


def test_weights_and_examples_are_told_with_their_evidence(api: Client, natural: Network):
    images = make_image_set()
    photographs(images)
    every_kind(neuron_at("3b:5", natural), images)
    full, bare = sides_of(api, "natural/3b:5", "natural/3b:6")
    weights = full["weights"]
    assert (weights["direction"], weights["layer"], weights["scale"], weights["strong"]) == ("in", "conv1", 0.9, 2)
    assert weights["strongest"][:2] == [{"neuron": "conv1:0", "value": 0.9}, {"neuron": "conv1:1", "value": -0.5}]
    assert weights["evidence"]["kind"] == "weights"
    assert (full["examples"]["image_set"], full["examples"]["values"][0]) == ("pictures", 9.0)
    assert full["sd"] == 0.5
    assert {one["stimulus"]: one["strongest"] for one in full["tuning"]}["curve"] == 40.0, "in its sd"
    assert (bare["picture"], bare["tuning"], bare["weights"], bare["examples"]) == (None, [], None, None)


def test_two_families_with_their_members_aligned(api: Client, natural: Network, artificial: Network):
    curves = natural.layers.get(name="mixed3b").families.get()
    edges = make_family(natural.layers.get(name="conv1"), "Edges", units=[0])
    made = make_family_evidence(
        curves, "family_weights", family_weights("mixed3b", [0, 1], "conv1", [0]), {}, other=edges, pictures=["matrix"]
    )
    answer = asked(api, "natural/mixed3b/curves", "artificial/mixed3b/Curves").json()
    first, second = answer["sides"]
    assert (first["address"], first["family"], first["index"]) == ("natural/mixed3b/Curves", curves.pk, None)
    assert first["members"] == [{"neuron": f"mixed3b:{i}", "angle": 90.0 * i} for i in range(4)]
    assert answer["aligned"] == [
        [{"neuron": f"mixed3b:{i}", "angle": 90.0 * i + turn} for turn in (0, 10)] for i in range(4)
    ]
    [own], [other] = first["tuning"], second["tuning"]
    assert (own["width"], own["responding"], len(own["evidence"]), own["turned"]) == (40.0, 4, 4, None)
    assert (other["width"], other["alike"]) == (44.0, None)
    assert 0.99 < other["turned"] < 1
    [wired] = first["wired"]
    assert made.current is not None
    assert wired["evidence"]["id"] == str(made.current.public_id)
    assert (wired["source"], wired["scale"]) == ("natural/conv1/Edges", 0.5)
    assert wired["equivariance"] is None, "its members do not stand around a turn"
    assert second["wired"] == []


@pytest.mark.parametrize(
    ("subjects", "status", "words"),
    [
        ([], 400, "Name up to 4: ?with=...&with=... Write network/layer:index"),
        ([f"natural/3b:{i}" for i in range(5)], 400, "Name up to 4"),
        (["nowhere/mixed3b:0"], 404, "There is no network “nowhere” here."),
        (["natural/mixed9:0"], 404, "natural has no layer “mixed9”. Its layers are conv1, mixed3b."),
        (["natural/mixed3b:8", "natural/3b:0"], 404, "natural/mixed3b has 8 neurons, numbered 0 to 7."),
        (["natural/mixed3b/Dogs"], 404, "natural/mixed3b has no family “Dogs”."),
        (["3b", "nowhere/mixed3b:0"], 400, "“3b” is no address. Write network/layer:index"),
        (["natural/mixed3b:0", "natural/mixed3b/Curves"], 400, "Compare neurons with neurons, or families with"),
    ],
)
def test_what_cannot_be_compared_is_said(api: Client, natural: Network, subjects: list[str], status: int, words: str):
    answer = asked(api, *subjects)
    assert answer.status_code == status
    assert words in answer.json()["detail"]


def test_who_is_to_read_a_member_first_is_not_told_it(api: Client, natural: Network, artificial: Network):
    gold, person = neuron_at("3b:1", natural), make_user()
    gold.golds.create(marked_by=make_user(role="editor"), reason="Plain.")
    weights_from_edges(natural)
    subjects = "natural/mixed3b/Curves", "artificial/mixed3b/Curves"
    own, _ = sides_of(api, *subjects)
    assert (len(own["members"]), len(own["wired"]), len(own["tuning"][0]["evidence"])) == (4, 1, 4)
    own, _ = sides_of(api.as_(person), *subjects)
    assert "mixed3b:1" not in {member["neuron"] for member in own["members"]}
    assert (len(own["members"]), own["wired"], len(own["tuning"][0]["evidence"])) == (3, [], 3)
    assert Reveal.objects.filter(person=person).count() == 7
    assert not Reveal.objects.filter(neuron=gold, person=person).exists()


def test_comparing_neurons_tells_no_family(api: Client, natural: Network, artificial: Network):
    answer = asked(api.as_(make_user()), "natural/mixed3b:0", "artificial/mixed3b:0")
    assert "Curves" not in answer.text
    assert not Reveal.objects.exists()


def test_queries_do_not_grow(api: Client, natural: Network, artificial: Network, django_assert_max_num_queries):
    every_kind_of_two(natural, artificial)
    program = api.as_(make_user())
    with django_assert_max_num_queries(10):
        sides_of(program, *(f"{one}/mixed3b:{index}" for one in ("natural", "artificial") for index in (4, 5)))
    with django_assert_max_num_queries(12):
        sides_of(program, "natural/mixed3b/Curves", "artificial/mixed3b/Curves")
