import pytest

from taxonomy.models import Evidence, Job, Membership, User
from tests.factory import make_evidence, make_family, neuron_at
from tests.pages import material


@pytest.fixture
def wired(world):
    """Curves of mixed3b with their joint tuning, and the weights from the Edges of conv1."""
    edges = world.network.layers.get(name="conv1").families.get(name="Edges")
    world.edges = edges
    return world


def page(client, family) -> str:
    return client.get(family.get_absolute_url()).content.decode()


def test_a_family_shows_what_its_members_are_tuned_to(client, world):
    family = world.curves
    family.symmetry = "rotation"
    family.save()
    for neuron in (world.agreed, world.read):
        Membership.objects.create(family=family, neuron=neuron, made_by=User.objects.system())
    html = page(client, family)
    assert "What its members are tuned to" in html
    assert "Each member’s response to curves by orientation" in html
    assert "mixed3b:3, peak 90°" in html


def test_members_that_answer_to_examples_that_are_turned(client, wired):
    html = page(client, wired.curves)
    assert "Responses of the members of Curves to examples that are turned" in html
    assert "the mean of 2 members" in html
    assert '<th scope="row">0°</th><td>1</td>' in html
    assert "recipe</summary>" in html


def test_weights_are_a_matrix_with_its_neurons_at_the_ends(client, wired):
    for family in (wired.curves, wired.edges):  # both ends show it
        html = page(client, family)
        shown = html.split('class="matrix"')[1].split("</figure>")[0]
        assert shown.count("<a href=") == 3
        assert "mixed3b:1, 15°" in shown
        assert "Edges (conv1) to Curves (mixed3b)" in html
        assert "Equivariance</dt><dd>0.9" in html
        assert "it tells nothing of turning here" in html  # of edges no angle is known
        assert "red excites" in html
        assert "<td>0.25</td>" in html


def test_what_fails_or_is_lost_is_said(client, wired):
    material.make_family_evidence(wired.lines, "joint_tuning", None, {"top": 4}, status="failed", reason="No members.")
    assert "No members." in page(client, wired.lines)
    for row in Evidence.objects.filter(family=wired.curves):
        material.add_version(row, [("data", b"{}", ".json")])
    assert page(client, wired.curves).count("gone from the store, or spoilt there") == 2


def test_visitors_are_told_why_they_make_nothing(client, world):
    html = page(client, world.curves).split('id="make-h"')[1]
    assert "Sign in to request evidence." in html
    assert "<form" not in html.split("</section>")[0]
    assert client.post(f"{world.curves.get_absolute_url()}request/", {"kinds": "joint_tuning"}).status_code == 403


def test_evidence_of_families_is_asked_for(client, world):
    edges = world.network.layers.get(name="conv1").families.get(name="Edges")
    client.force_login(world.contributor)
    for family, other in ((world.curves, edges), (edges, world.curves)):
        form = page(client, family).split('id="make-h"')[1]
        assert f'<option value="{other.pk}">' in form
        client.post(f"{family.get_absolute_url()}request/", {"kinds": "family_weights", "other": other.pk})
        row = Evidence.objects.get(kind="family_weights", status="queued")  # from either end, it is the same
        assert (row.family, row.other) == (world.curves, edges)
    html = page(client, edges)
    assert "Waiting for a worker." in html
    response = client.post(
        f"{world.curves.get_absolute_url()}request/", {"kinds": "joint_tuning", "image_set": "pictures"}, follow=True
    )
    assert "Asked for" in response.content.decode()
    assert Job.objects.filter(title__icontains="joint tuning").count() == 1
    for asked, sentence in (
        ({"kinds": "family_weights", "other": "x"}, "Choose a family of another layer."),
        ({"kinds": "family_weights", "other": world.lines.pk}, "Choose a family of another layer."),
        ({"kinds": "family_weights"}, "Choose a family of another layer."),
        ({"kinds": "weights"}, "Select a valid choice"),
        ({}, "Choose at least one kind"),
    ):
        response = client.post(f"{world.curves.get_absolute_url()}request/", asked, follow=True)
        assert sentence in response.content.decode(), asked
    assert client.post(f"{world.layer.get_absolute_url()}families/77777/request/", asked).status_code == 404


def test_a_family_without_members_asks_for_none(client, world):
    empty = make_family(world.layer, "Empty")
    make_evidence(neuron_at("3b:5"))
    assert 'id="make-h"' not in page(client, empty)


def test_each_has_a_permalink(client, wired):
    for row in Evidence.objects.filter(family=wired.curves).select_related("current"):
        html = client.get(row.current.get_absolute_url()).content.decode()
        assert "spoilt there" not in html
        assert wired.curves.get_absolute_url() in html
        assert client.get(f"{row.current.get_absolute_url()}embed").status_code == 200
