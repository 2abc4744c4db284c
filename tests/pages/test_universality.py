"""Which families of two networks are alike, and linking them."""

import pytest
from django.test import Client

from taxonomy.actions import universality
from taxonomy.models import Event, Family, FamilyLink, ImageSet, Likeness, Network, Reveal, Role
from tests.factory import make_evidence, make_family, make_image_set, make_network, make_user, neuron_at
from tests.pages.material import place

pytestmark = pytest.mark.django_db
ADDRESS = "/universality/?first=natural&second=artificial"


def excited(network: Network, index: int, images: ImageSet, pictures: dict[int, float]) -> None:
    """A neuron's vector over an image set."""
    neuron = neuron_at(f"3b:{index}", network)
    made = make_evidence(neuron, "neighbours", data={}, parameters={"by": "activation"}, image_set=images)
    place(neuron, made, Likeness.ACTIVATION, pictures)


def measured(network: Network, index: int, tuning: dict[int, float], pictures: dict[int, float] | None = None) -> None:
    """A neuron's vectors, by rotation and over the images that there are."""
    neuron = neuron_at(f"3b:{index}", network)
    made = make_evidence(neuron, "neighbours", data={"by": "rotation"}, parameters={"by": "rotation"})
    place(neuron, made, Likeness.ROTATION, tuning)
    if pictures is not None:
        excited(network, index, ImageSet.objects.get(), pictures)


@pytest.fixture
def worlds() -> dict[str, Family]:
    """Two networks with curves (alike by tuning and by pictures), and lines (alike by tuning)."""
    make_image_set()
    found = {}
    for name, digest in (("natural", "w"), ("artificial", "v")):
        network = make_network(name, weights_digest=digest * 64)
        layer = network.layers.get(name="mixed3b")
        found[f"{name} curves"] = make_family(layer, "Curves", units=[0, 1], symmetry="rotation")
        found[f"{name} lines"] = make_family(layer, "Lines", units=[2], order=1)
        found[f"{name} rest"] = make_family(layer, "Other Units", units=[5], order=2)
        measured(network, 0, {0: 1.0}, {0: 1.0, 1: 0.2})
        measured(network, 1, {0: 1.0, 1: 0.2}, {0: 1.0})
        measured(network, 2, {5: 1.0, 0: 0.1})
    return found


def pairs(hidden: tuple[int, ...] = ()) -> dict[tuple[str, str], tuple[float | None, float | None]]:
    first, second = (Network.objects.get(name=name) for name in ("natural", "artificial"))
    names = dict(Family.objects.values_list("pk", "name"))
    return {
        (names[one.source], names[one.target]): (
            None if one.tuning is None else round(one.tuning, 3),
            None if one.pictures is None else round(one.pictures, 3),
        )
        for one in universality.alike(first, second, hidden)
    }


def test_families_are_matched_by_tuning_and_by_pictures(worlds: dict[str, Family]):
    found = pairs()
    assert list(found)[:2] == [("Curves", "Curves"), ("Lines", "Lines")]
    assert found["Curves", "Curves"] == (1.0, 1.0)
    assert found["Lines", "Lines"] == (1.0, None)
    assert found["Curves", "Lines"] == (0.099, None)
    assert ("Other Units", "Other Units") not in found


def test_over_other_pictures_nothing_is_compared(worlds: dict[str, Family]):
    images = make_image_set("others")
    network = make_network("third", weights_digest="u" * 64)
    make_family(network.layers.get(name="mixed3b"), "Curves", units=[0])
    excited(network, 0, images, {0: 1.0})
    assert universality.alike(Network.objects.get(name="natural"), network) == []


def test_over_more_pictures_families_do_not_become_more_alike(worlds: dict[str, Family]):
    natural, artificial = (Network.objects.get(name=name) for name in ("natural", "artificial"))
    images, _ = make_image_set("others", digest="o" * 64), make_image_set("more", digest="m" * 64)
    for index in (0, 1):
        excited(natural, index, images, {0: 1.0})
        excited(artificial, index, images, {3: 1.0})
    assert pairs()["Curves", "Curves"] == (1.0, 0.5)
    excited(natural, 0, ImageSet.objects.get(name="more"), {0: 1.0})  # of one of the two only
    assert pairs()["Curves", "Curves"] == (1.0, 0.5)


def test_a_later_vector_takes_the_place_of_an_earlier_one(worlds: dict[str, Family]):
    neuron = neuron_at("3b:2", "artificial")
    row = make_evidence(neuron, "neighbours", data={}, parameters={"by": "rotation", "again": 1})
    place(neuron, row, Likeness.ROTATION, {0: 1.0})
    assert pairs()["Lines", "Lines"][0] == 0.1


def test_members_that_one_is_to_read_first_are_left_out(worlds: dict[str, Family]):
    hidden = (neuron_at("3b:0", "natural").pk, neuron_at("3b:1", "natural").pk)
    assert not any(source == "Curves" for source, _ in pairs(hidden))
    assert pairs(hidden[:1])["Curves", "Curves"][0] == 0.995


def test_the_page_shows_them_beside_each_other(client: Client, worlds: dict[str, Family]):
    text = client.get(ADDRESS).content.decode()
    assert text.index("Curves of mixed3b side by side with Curves") < text.index("Lines of mixed3b side by side with L")
    assert "/compare/?with=natural%2Fmixed3b%2FCurves&amp;with=artificial%2Fmixed3b%2FCurves" in text
    assert "1.000" in text
    assert "the mean over the image sets that both were measured on" in text
    assert "Of which nothing was measured that could be compared" in text
    assert "Sign in to link families." in text


def test_linking_is_one_click(client: Client, worlds: dict[str, Family]):
    client.force_login(make_user(role=Role.REVIEWER))
    ends = {"source": worlds["natural curves"].public_id, "target": worlds["artificial curves"].public_id}
    sent = {**ends, "first": "natural", "second": "artificial"}
    answer = client.post("/universality/link/", sent, follow=True)
    assert answer.redirect_chain == [(ADDRESS, 302)]
    assert "Curves and Curves are linked as analogues." in answer.content.decode()
    assert ">analogues</span>" in answer.content.decode()
    assert FamilyLink.objects.filter(kind="analogue").count() == 2
    assert Event.objects.filter(verb="family.linked").count() == 1
    again = client.post("/universality/link/", sent, follow=True)
    assert "These families are linked so already." in again.content.decode()
    family = client.get(worlds["natural curves"].get_absolute_url()).content.decode()
    assert "analogue in artificial" in family


def test_who_may_not_link_is_told_so(client: Client, worlds: dict[str, Family]):
    ends = {"source": worlds["natural curves"].public_id, "target": worlds["artificial curves"].public_id}
    client.force_login(make_user())
    assert "Only reviewers and editors link families." in client.get(ADDRESS).content.decode()
    assert client.post("/universality/link/", ends).status_code == 403
    client.force_login(make_user(role=Role.REVIEWER))
    assert client.post("/universality/link/", ends | {"target": "nonsense"}).status_code == 404
    same = client.post("/universality/link/", ends | {"target": worlds["natural lines"].public_id}, follow=True)
    assert not FamilyLink.objects.exists()
    assert same.status_code == 200


def test_faces_beside_a_name_are_recorded_as_looks(client: Client, worlds: dict[str, Family]):
    person, gold = make_user(), neuron_at("3b:1", "natural")
    gold.golds.create(marked_by=make_user(role="editor"), reason="Plain.")
    client.force_login(person)
    client.get(ADDRESS)
    seen = set(Reveal.objects.filter(person=person).values_list("neuron", flat=True))
    assert neuron_at("3b:0", "natural").pk in seen
    assert gold.pk not in seen


def test_what_is_asked_for_wrongly_is_answered_in_words(client: Client, worlds: dict[str, Family]):
    assert client.get("/universality/?first=natural&second=natural").status_code == 422
    assert client.get("/universality/?first=nowhere").status_code == 404


def test_with_one_network_there_is_nothing_to_compare(client: Client):
    assert "It takes two networks" in client.get("/universality/").content.decode()
    make_network()
    assert "It takes two networks" in client.get("/universality/").content.decode()


def test_queries_do_not_grow(client: Client, worlds: dict[str, Family], django_assert_max_num_queries):
    client.force_login(make_user())
    with django_assert_max_num_queries(15):
        client.get(ADDRESS)
