"""The people of the demo world, without the evidence that takes minutes to make."""

import io

import pytest
from django.core.management import call_command

from taxonomy.actions import agreement
from taxonomy.actions import families as family_actions
from taxonomy.interchange import distill
from taxonomy.management.commands.load_demo import (
    ARTIFICIAL,
    BY_CONSTRUCTION,
    NETWORK,
    PICTURES,
    SOURCE,
    Command,
    documents,
)
from taxonomy.models import Agreement, Decision, Evidence, Membership, Network, Neuron, Review, Standing, User
from tests.factory import make_evidence, make_image_set, make_network
from workers import curve_network

pytestmark = pytest.mark.django_db


@pytest.fixture
def network(settings, tmp_path) -> Network:
    settings.HOME = tmp_path
    known = curve_network.families()
    sizes = {name: sum(len(family["units"]) for family in found) for name, found in known.items()}
    network = make_network(NETWORK, layers=sizes)
    records = [
        distill.parse({"layer": layer, "source": SOURCE, "families": documents(known[layer])}, layer)
        for layer in BY_CONSTRUCTION
    ]
    family_actions.import_taxonomy(User.objects.system(), network, records)
    for unit in (11, 23):  # the two over which people fall out
        neuron = network.layers.get(name="mixed3a").neurons.select_related("layer__network").get(index=unit)
        make_evidence(neuron, "tuning_curves", data={}, parameters={"stimulus": "curve"})
    command = Command()
    command.story(network, {"families": known}, command.people())
    return network


def test_the_family_that_was_made_ambiguous_is_flagged_and_no_other(network: Network) -> None:
    agreement.measure(network)
    rows = Agreement.objects.newest().filter(network=network, family__isnull=False).select_related("family", "layer")
    flagged = {(row.layer.name, row.family.name) for row in rows if row.flagged}
    # In a layer of two families, who is out of the one is in the other.
    assert flagged == {("mixed3a", "Early Curves"), ("mixed3a", "Lines")}
    measured = {(row.layer.name, row.family.name): row.figures for row in rows}
    assert all(figures["neurons"] >= figures["needed"] for figures in measured.values())
    assert measured["mixed3b", "Curves"]["nominal"]["value"] > 0.8
    [confusion] = measured["mixed3a", "Early Curves"]["confusions"]
    assert confusion["neurons"] >= 10


def test_the_record_of_the_demo_world_verifies(network: Network) -> None:
    out = io.StringIO()
    call_command("verify_record", stdout=out)
    assert "all as the record says" in out.getvalue()


def test_most_early_curves_are_accepted_where_they_belong(network: Network) -> None:
    early = {unit for family in curve_network.families()["mixed3a"][:1] for unit in family["units"]}
    accepted = Membership.objects.current().filter(
        neuron__layer__name="mixed3a", neuron__standing=Standing.ACCEPTED, family__name="Early Curves"
    )
    indices = set(accepted.values_list("neuron__index", flat=True))
    assert indices <= early
    assert len(indices) >= 12


def test_reviewers_and_editors_did_everything_that_they_may(network: Network) -> None:
    there = Review.objects.filter(neuron__layer__network=network)
    decided = set(there.values_list("decision", flat=True))
    assert decided == {*map(str, (Decision.ACCEPT, Decision.OBJECT, Decision.NEED_EVIDENCE, Decision.UNDO))} | {
        *map(str, (Decision.SETTLE, Decision.CONTEST))
    }
    for decision in (Decision.SETTLE, Decision.CONTEST):
        review = there.get(decision=decision)
        assert review.cites.exists()
        assert review.comment
    standings = set(Neuron.objects.filter(layer__network=network).values_list("standing", flat=True))
    assert {Standing.AGREED, Standing.ACCEPTED, Standing.CONTESTED, Standing.NEEDS_EVIDENCE} <= standings


def test_the_explorer_and_universality_have_something_to_show() -> None:
    layers = {"conv2d2": 2, "mixed3a": 2, "mixed3b": 2}
    network, built = make_network(NETWORK, layers=layers), make_network(ARTIFICIAL, layers=layers)
    pictures, command = make_image_set(PICTURES), Command()
    rows = Evidence.objects.filter(pk__in=command.ask(network, [command.of_layers(network)]))
    assert {(row.kind, row.layer.name, row.parameters["layer"]) for row in rows.select_related("layer")} == {
        ("layer_weights", "mixed3a", "conv2d2"),
        ("layer_weights", "mixed3b", "mixed3a"),
    }
    rows = Evidence.objects.filter(pk__in=command.ask(built, command.of_an_artificial(built)), kind="neighbours")
    assert set(rows.values_list("layer__name", "parameters__by", "image_set")) == {
        ("mixed3a", "activation", pictures.pk),
        ("mixed3a", "rotation", None),
        ("mixed3b", "activation", pictures.pk),
        ("mixed3b", "rotation", None),
    }
