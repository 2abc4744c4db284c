"""Side by side: what is compared, of what, and what is not told of neurons that somebody is to read first."""

import math
import re
from urllib.parse import urlencode

import pytest
from django.test import Client
from django.utils.html import escape

from taxonomy.actions.sprites import build_sprite
from taxonomy.models import Family, Likeness, Membership, Network, Reveal
from tests.factory import make_evidence, make_family, make_image_set, make_network, make_user, neuron_at
from tests.pages.material import (
    every_kind,
    every_kind_of_two,
    family_weights,
    make_family_evidence,
    photographs,
    place,
    tuning,
    weights_from_edges,
)

pytestmark = pytest.mark.django_db
ANGLES = [float(angle) for angle in range(0, 360, 5)]


def bump(peak: float, width: float = 40.0) -> dict[str, object]:
    """Tuning to curves with this peak and about this width at half the maximum."""
    apart = [abs((angle - peak + 180) % 360 - 180) for angle in ANGLES]
    data = tuning("curve", ANGLES, "degrees", 360, peak)
    return data | {
        "responses": [8 * math.exp(-((angle / width) ** 2) * 4 * math.log(2)) for angle in apart],
        "others": [],
        "width": width,
        "echo": 0.01,
    }


def curves_of(network: Network, *, turn: float = 0.0, width: float = 40.0) -> Family:
    """Four curves, every quarter of a turn, with their tuning and with vectors that say the same."""
    layer = network.layers.get(name="mixed3b")
    family = make_family(layer, "Curves", units=[0, 1, 2, 3], symmetry="rotation")
    for index in range(4):
        neuron, peak = neuron_at(f"3b:{index}", network), (90.0 * index + turn) % 360
        make_evidence(neuron, data={"value": 3.0, "steps": 8, "canvas": 8}, pictures=["image"])
        make_evidence(neuron, "tuning_curves", data=bump(peak, width), parameters={"stimulus": "curve"})
        made = make_evidence(neuron, "neighbours", data={"by": "rotation"}, parameters={"by": "rotation"})
        place(neuron, made, Likeness.ROTATION, {0: 1.0, 1: 0.5})
    build_sprite(layer)
    return family


@pytest.fixture
def natural() -> Network:
    network = make_network("natural")
    curves_of(network)
    return network


@pytest.fixture
def artificial() -> Network:
    network = make_network("artificial", weights_digest="v" * 64)
    curves_of(network, turn=10.0, width=44.0)
    return network


def compared(client: Client, *subjects: str, status: int = 200) -> str:
    answer = client.get(f"/compare/?{urlencode([('with', one) for one in subjects])}")
    assert answer.status_code == status
    return answer.content.decode()


def likenesses(text: str) -> list[tuple[float, float]]:
    """How alike the second one's curves are to the first one's: as they are, and turned to their peaks."""
    return [(float(a), float(b)) for a, b in re.findall(r"<td>([\d.]+), turned ([\d.]+)</td>", text)]


def test_an_empty_page_says_what_to_name(client: Client):
    assert "Name two neurons or two families above" in compared(client)


def test_two_neurons_of_different_networks(client: Client, natural: Network, artificial: Network):
    images = make_image_set()
    photographs(images)
    for network in (natural, artificial):
        every_kind(neuron_at("3b:5", network), images)
    text = compared(client, "natural/mixed3b:5", "artificial/3b:5")
    for words in (
        "natural/mixed3b:5",
        "artificial/mixed3b:5",
        "Responses to curves by angle, each over its own maximum",
        "Responses to spots on a surround by radius",
        "What excites them most",
        "blue inhibits",
    ):
        assert words in text
    assert likenesses(text) == [(1.0, 1.0)] * 5  # the curve that has no period cannot be turned


def test_how_alike_two_tuning_curves_are_is_told(client: Client, natural: Network, artificial: Network):
    text = compared(client, "natural/mixed3b:0", "artificial/mixed3b:0")
    [(as_it_is, turned)] = likenesses(text)
    assert as_it_is < 0.97 < 0.99 < turned <= 1
    assert "Measured of one alone" not in text


def test_what_one_of_them_lacks_is_said(client: Client, natural: Network, artificial: Network):
    text = compared(client, "natural/mixed3b:0", "artificial/mixed3b:6")
    assert "Measured of one alone, or without a response: curves of" in text
    assert "There is no picture of it yet." in text
    assert "Its weights were not read yet." in text


def test_two_families_are_aligned_by_angle(client: Client, natural: Network, artificial: Network):
    curves = natural.layers.get(name="mixed3b").families.get()
    edges = make_family(natural.layers.get(name="conv1"), "Edges", units=[0])
    matrix = family_weights("mixed3b", [0, 1], "conv1", [0])
    make_family_evidence(curves, "family_weights", matrix, {}, other=edges, pictures=["matrix"])
    text = compared(client, "natural/mixed3b/Curves", "artificial/mixed3b/curves")
    rows = text.split('class="scroll aligned"')[1].split("</table>")[0].split("<tr>")[2:]
    assert [(f"mixed3b:{i}<" in row, f"{90 * i}°" in row, f"{90 * i + 10}°" in row) for i, row in enumerate(rows)] == [
        (True, True, True)
    ] * 4
    assert "From Edges" in text
    assert "These weights were not laid out yet." in text
    assert "4 of 4" in text
    assert "40" in text
    assert "44" in text


@pytest.mark.parametrize(
    ("subjects", "words"),
    [
        (["nowhere/mixed3b:0"], "There is no network “nowhere” here."),
        (["natural/mixed9:0"], "natural has no layer “mixed9”. Its layers are conv1, mixed3b."),
        (["natural/mixed3b:8"], "natural/mixed3b has 8 neurons, numbered 0 to 7."),
        (["natural/mixed3b/Dogs"], "natural/mixed3b has no family “Dogs”."),
        (["3b"], "“3b” is no address. Write network/layer:index"),
        (["<b>\0"], "is no address"),
        (["natural/mixed3b:0", "natural/mixed3b/Curves"], "Compare neurons with neurons, or families with families"),
    ],
)
def test_what_cannot_be_compared_is_said(client: Client, natural: Network, subjects: list[str], words: str):
    text = compared(client, *subjects, status=422)
    assert escape(words) in text or words in text
    assert "<b>" not in text.split("<main")[1]


def test_who_is_to_read_a_member_first_is_not_shown_it(client: Client, natural: Network, artificial: Network):
    gold, person = neuron_at("3b:1", natural), make_user()
    gold.golds.create(marked_by=make_user(role="editor"), reason="Plain.")
    weights_from_edges(natural)
    asked = ("artificial/mixed3b/Curves", "natural/mixed3b/Curves")
    assert "/networks/natural/mixed3b/1/" in compared(client, *asked)
    assert "From Edges" in compared(client, *asked)
    client.force_login(person)
    text = compared(client, *asked)
    assert "/networks/natural/mixed3b/1/" not in text
    assert "3 of 3" in text
    assert "From Edges" not in text
    assert not Reveal.objects.filter(neuron=gold, person=person).exists()
    assert Reveal.objects.filter(person=person).count() == 7


def test_comparing_neurons_tells_no_family(client: Client, natural: Network, artificial: Network):
    person = make_user()
    client.force_login(person)
    assert "Curves</a>" not in compared(client, "natural/mixed3b:0", "artificial/mixed3b:0")
    assert not Reveal.objects.exists()


def test_queries_do_not_grow(client: Client, natural: Network, artificial: Network, django_assert_max_num_queries):
    every_kind_of_two(natural, artificial)
    client.force_login(make_user())
    with django_assert_max_num_queries(15):
        compared(client, *(f"{one}/mixed3b:{index}" for one in ("natural", "artificial") for index in (4, 5)))
    with django_assert_max_num_queries(15):
        compared(client, "natural/mixed3b/Curves", "artificial/mixed3b/Curves")
    assert Membership.objects.count() == 8
