"""Gold neurons on their pages: marked by editors, met in the queue, and told to their reader alone."""

import pytest

from taxonomy.actions import gold, labels, leases
from taxonomy.models import Gold, Label, Lease, Neuron
from tests.factory import make_user, neuron_at


@pytest.fixture
def golden(world) -> Neuron:
    neuron = neuron_at("3b:0")
    gold.mark(world.editor, neuron, "As clear as it gets.")
    return neuron


def meet(person, neuron: Neuron, family) -> Label:
    lease = leases.lend(person, neuron, gold=True)
    return labels.add(person, neuron, verdict="family", family=family, lease=lease.token)


def test_editors_mark_and_unmark(client, world):
    neuron = neuron_at("3b:0")
    page, where = neuron.get_absolute_url(), f"{neuron.get_absolute_url()}gold/"
    for person in (None, world.contributor, world.reviewer, world.admin):
        if person:
            client.force_login(person)
        assert client.post(where, {"reason": "Clear."}).status_code == 403
        assert "Mark as gold" not in client.get(page).content.decode()
    client.force_login(world.editor)
    assert "Mark as gold" in client.get(page).content.decode()
    assert client.post(where, {"reason": ""}, follow=True).status_code == 200
    assert not Gold.objects.exists()
    html = client.post(where, {"reason": "Clear."}, follow=True).content.decode()
    assert "is gold: contributors meet it in the queue" in html
    assert "Unmark it" in html
    client.post(where, {"unmark": "1"})
    assert not Gold.objects.current().exists()
    assert client.post(where, {"unmark": "1"}).status_code == 403


def test_only_accepted_neurons_are_marked(client, world):
    client.force_login(world.editor)
    assert "Mark as gold" not in client.get(world.read.get_absolute_url()).content.decode()
    response = client.post(f"{world.read.get_absolute_url()}gold/", {"reason": "Clear."})
    assert response.status_code == 403
    assert "nly accepted neurons are marked" in response.content.decode()


def test_everybody_sees_their_own_record_and_editors_everybodys(client, world, golden):
    assert client.get("/gold/").url == "/accounts/login/?next=/gold/"
    other = make_user("other")
    meet(world.contributor, golden, world.curves)
    meet(other, golden, world.lines)
    client.force_login(world.contributor)
    html = client.get("/gold/").content.decode()
    assert "1 of 1" in html
    assert "other" not in html.split("<main")[1].split("</main>")[0]
    assert "As clear as it gets." not in html
    client.force_login(world.editor)
    html = client.get("/gold/").content.decode()
    assert "You have met no gold neuron yet." in html
    assert "As clear as it gets." in html
    assert "1 of 2" in html
    assert "0 of 1" in html


def test_queries_of_the_list_do_not_grow(client, world, golden, django_assert_max_num_queries):
    gold.mark(world.editor, neuron_at("3b:1"), "Clear too.")
    for _ in range(5):
        meet(make_user(), golden, world.curves)
    client.force_login(world.editor)
    with django_assert_max_num_queries(15):
        client.get("/gold/")


def test_a_gold_neuron_looks_like_any_other_in_the_queue(client, world, golden):
    """Neither its standing nor its family, nor its face among that family's, is on the page before it is read."""
    leases.lend(world.contributor, golden, gold=True)
    client.force_login(world.contributor)
    response = client.get("/label/")
    assert response.context["neuron"] == golden
    html = response.content.decode().split("<main")[1]
    assert "accepted" not in html.lower()
    assert "gold" not in html.lower()
    form = response.context["form"]
    assert golden.index not in form.exemplars.get(world.curves.pk, [])
    assert Lease.objects.live().get().gold


@pytest.mark.parametrize(
    ("family", "words"), [("curves", "right, it is accepted as"), ("lines", "you said Secret Lines")]
)
def test_the_answer_comes_at_once(client, world, golden, family, words):
    label = meet(world.contributor, golden, getattr(world, family))
    client.force_login(world.contributor)
    html = client.get(f"/label/?told={label.public_id}").content.decode()
    assert words in html
    assert "Only you are told." in html
    assert "Take it back" not in html.split("told gold")[1].split("</div>")[0]
