"""What a request makes of recipes, layers, families and images; and a recipe run again."""

from typing import Any

import pytest
from django.db import DataError, transaction

from taxonomy import recipes, storage
from taxonomy.actions import evidence, jobs
from taxonomy.models import (
    Comparison,
    Evidence,
    EvidenceVersion,
    FamilyLink,
    Membership,
    Network,
    Outcome,
    User,
    Vector,
)
from taxonomy.permissions import Refused
from tests.factory import make_evidence, make_family, make_image_set, make_network, make_user, neuron_at

pytestmark = pytest.mark.django_db


@pytest.fixture
def network() -> Network:
    return make_network(layers={"conv1": 4, "conv2": 4, "conv3": 4})


@pytest.fixture
def user() -> User:
    return make_user()


def ask(user: User, network: Network, kind: str, *, layer: str = "", **more: Any) -> list[dict[str, Any]]:
    """The parameters of what is asked for, of neuron 0 of the layer."""
    changes = more.pop("changes", {})
    if layer:
        more |= {"layers": [network.layers.get(name=layer)], "neurons": [0]}
    requested = evidence.request(user, network, kinds=[kind], parameters={kind: changes}, **more)
    rows = Evidence.objects.filter(pk__in=requested.evidence).order_by("pk")
    assert [row.parameters for row in rows] == [row.shard.parameters | _members(row) for row in rows]
    return [row.parameters for row in rows]


def _members(row: Evidence) -> dict[str, Any]:
    return {"members": row.parameters["members"]} if row.family else {}


def test_a_layer_that_is_not_named_is_the_next(user, network) -> None:
    assert ask(user, network, "weights", layer="conv2") == [
        {"direction": "in", "layer": "conv1"},
        {"direction": "out", "layer": "conv3"},
    ]
    assert [values["layer"] for values in ask(user, network, "weight_factors", layer="conv3")] == ["conv2"]


def test_weights_between_whole_layers_are_asked_for_like_others(user, network) -> None:
    requested = evidence.request(user, network, kinds=["layer_weights"])
    rows = Evidence.objects.filter(pk__in=requested.evidence).order_by("layer__order")
    assert [(row.layer.name, row.parameters, row.neuron) for row in rows] == [
        ("conv2", {"layer": "conv1"}, None),
        ("conv3", {"layer": "conv2"}, None),
    ]
    layers = [network.layers.get(name="conv3")]
    expanded = {"layer_weights": {"layer": "conv1"}}
    far = evidence.request(user, network, layers=layers, kinds=["layer_weights"], parameters=expanded)
    assert Evidence.objects.get(pk__in=far.evidence).parameters == {"layer": "conv1"}
    # The page's way of asking is the same recipe.
    assert evidence.request_of_layer(user, layers[0], network.layers.get(name="conv1")).pk in far.evidence
    for more, words in (
        ({"kinds": ["layer_weights", "weights"]}, "layer_weights is made of whole layers, not of neurons"),
        ({"kinds": ["layer_weights"], "neurons": [0]}, "name layers, and no neurons"),
        (
            {"kinds": ["layer_weights"], "layers": layers[:1], "parameters": {"layer_weights": {"layer": "conv3"}}},
            "conv3 does not lie before conv3. Layers that do: conv1, conv2.",
        ),
    ):
        with pytest.raises(recipes.RecipeError, match=words):
            evidence.request(user, network, **more)


def test_a_layer_that_is_named_picks_the_direction(user, network) -> None:
    assert ask(user, network, "weights", layer="conv3", changes={"layer": "conv1"}) == [
        {"direction": "in", "layer": "conv1"}
    ]
    assert ask(user, network, "weights", layer="conv1", changes={"layer": "conv3"}) == [
        {"direction": "out", "layer": "conv3"}
    ]


@pytest.mark.parametrize(
    ("kind", "layer", "changes", "sentence"),
    [
        ("weights", "conv2", {"layer": "conv9"}, "has no layer 'conv9'. Its layers are conv1, conv2, conv3"),
        ("weights", "conv2", {"layer": ["conv1"]}, "has no layer"),
        ("weights", "conv2", {"layer": "conv2"}, "before or after conv2. Layers that do: conv1, conv3"),
        ("weights", "conv2", {"layer": "conv3", "direction": "in"}, "not lie before conv2. Layers that do: conv1"),
        ("weights", "conv2", {"layer": "conv1", "direction": "out"}, "not lie after conv2. Layers that do: conv3"),
        ("weight_factors", "conv2", {"layer": "conv3"}, "conv3 does not lie before conv2. Layers that do: conv1"),
        ("weights", "conv2", {"direction": "up"}, "'direction' of weights is one of in, out"),
        ("neighbours", "conv2", {"by": "activation"}, "neighbours needs an image set"),
        ("facets", "conv2", {}, "facets needs an image set. Name one: pictures"),
        ("attribution", "conv2", {"image": 0, "row": 0}, "attribution needs 'column'"),
        ("feature_visualization", "conv2", {"dtype": "float16"}, "one of float32, bfloat16"),
        ("feature_visualization", "conv2", {"layer": "conv1"}, "no parameter 'layer'"),
        ("tuning_curves", "conv2", {"stimulus": "face"}, "one of curve, line"),
        ("joint_tuning", "conv2", {}, "joint_tuning is made of families, not of neurons"),
    ],
)
def test_what_no_recipe_answers_is_refused_with_what_there_is(user, network, kind, layer, changes, sentence) -> None:
    make_image_set()
    with pytest.raises(recipes.RecipeError, match=sentence):
        ask(user, network, kind, layer=layer, changes=changes)
    assert not Evidence.objects.exists()


def test_an_image_that_there_is_not(user, network) -> None:
    changes = {"image": 2, "row": 0, "column": 0}
    with pytest.raises(recipes.RecipeError, match="pictures has 2 images, counted from 0"):
        ask(user, network, "attribution", layer="conv2", changes=changes, image_set=make_image_set())


def test_a_change_picks_variants_or_makes_them_one(user, network) -> None:
    images = make_image_set()
    assert ask(user, network, "neighbours", layer="conv1", changes={"by": "rotation"}) == [{"by": "rotation"}]
    curves = ask(user, network, "tuning_curves", layer="conv1", changes={"stimulus": "hue"})
    assert curves == [{"stimulus": "hue", "step": 5}]
    both = ask(user, network, "feature_visualization", layer="conv1", changes={"steps": 9})
    assert [values["objective"] for values in both] == ["neuron", "negative"]
    one = ask(user, network, "feature_visualization", layer="conv1", changes={"objective": "channel"})
    assert [values["objective"] for values in one] == ["channel"]
    again = evidence.request(user, network, kinds=["neighbours"], image_set=images)
    assert set(Evidence.objects.filter(pk__in=again.evidence).values_list("parameters__by", "image_set")) == {
        *(("activation", images.pk), ("weights", None), ("rotation", None))
    }


def test_all_kinds_are_those_that_need_not_be_told_more(user, network) -> None:
    for images in (None, make_image_set()):
        evidence.request(user, network, kinds=[recipes.EVERY], image_set=images)
        made = set(Evidence.objects.values_list("kind", flat=True))
        pictures = {"dataset_examples", "activation_histogram", "facets"}
        assert made == {*recipes.OF_NEURONS} - {"attribution"} - (set() if images else pictures)


def test_weights_from_a_family_to_another(user, network) -> None:
    first, second, third = network.layers.all()
    near = make_family(second, "Near", units=[2, 0])
    linked, far = make_family(first, "Linked", units=[1]), make_family(first, "Far", units=[3])
    make_family(second, "Empty")
    own = make_family(third, units=[3, 1])
    FamilyLink.objects.create(source=own, target=linked, kind="earlier", created_by=user)
    source = {"source_layer": "conv2", "source": [0, 2], "members": [1, 3]}
    assert ask(user, network, "family_weights", families=[own]) == [
        {"source_layer": "conv1", "source": [1], "members": [1, 3]},
        source,
    ]
    assert ask(user, network, "family_weights", families=[own], other=near) == [source]
    assert ask(user, network, "family_weights", families=[own], other=far)[0]["source"] == [3]
    assert set(Evidence.objects.values_list("family", "other")) == {(own.pk, pk) for pk in (near.pk, linked.pk, far.pk)}
    assert set(Evidence.objects.values_list("layer", "neuron")) == {(third.pk, None)}


def test_a_family_is_as_it_was_when_it_was_asked_for(user, network) -> None:
    family, images = make_family(network.layers.get(name="conv2"), units=[1, 2]), make_image_set()
    row = {"top": 4, "step": 15, "members": [1, 2]}
    assert ask(user, network, "joint_tuning", families=[family], image_set=images) == [row]
    family.name = "Renamed"
    family.save()
    assert evidence.request(user, network, kinds=["joint_tuning"], families=[family], image_set=images).job is None
    Membership.objects.filter(neuron__index=2).update(ended_at="2026-01-01T00:00Z")
    assert ask(user, network, "joint_tuning", families=[family], image_set=images) == [row | {"members": [1]}]


def test_families_that_nothing_can_be_made_of(user, network) -> None:
    first, second, third = network.layers.all()
    empty, own = make_family(second, "Empty"), make_family(second, units=[0])
    later, elsewhere = make_family(third, "Later", units=[0]), make_family(make_network("x").layers.first(), units=[0])
    lone = make_family(first, "Lone", units=[0])
    for families, other, sentence in (
        ([empty], None, r"Empty \(tinynet/conv2\) has no members yet"),
        ([later], empty, r"Empty \(tinynet/conv2\) has no members yet"),
        ([own], later, "Later .* does not lie in a layer before that of Curves"),
        ([own], elsewhere, "does not lie in a layer before"),
        ([elsewhere], None, "is a family of another network"),
        ([lone], None, "Nothing to make"),
    ):
        with pytest.raises(recipes.RecipeError, match=sentence):
            evidence.request(user, network, kinds=["family_weights"], families=families, other=other)
    with pytest.raises(recipes.RecipeError, match="weights is made of neurons, not of families"):
        evidence.request(user, network, kinds=["weights"], families=[own])
    assert not Evidence.objects.exists()


def test_a_vector_stands_and_falls_with_its_version(user, network) -> None:
    ask(user, network, "neighbours", layer="conv2", changes={"by": "weights"})
    claim = jobs.claim("one")
    row = claim.targets[0]

    def complete(vector: list[float]) -> None:
        evidence.complete(row.pk, claim.token, [], environment={}, wall_seconds=0, vector=vector)

    with pytest.raises(DataError, match="expected 1024 dimensions"), transaction.atomic():
        complete([1.0] * 2000)
    assert not EvidenceVersion.objects.exists()
    complete([0.6, 0.8])
    vector = Vector.objects.get()
    assert (vector.neuron, vector.likeness, vector.image_set) == (row.neuron, "weights", None)
    assert list(vector.values) == pytest.approx([0.6, 0.8] + [0.0] * 1022)


def made(**more: Any) -> EvidenceVersion:
    version = make_evidence(neuron_at("conv2:1"), data={"value": 1.0}, **more).current
    assert version is not None
    return version


def compare(claim: jobs.Claim, **more: Any) -> None:
    assert claim.comparison is not None
    second = evidence.Made("image", storage.put(b"2"), ".webp", 1)
    found = {"identical": False, "pixels": {"image": 3}, "metrics": {"value": 0.5}, "made": [second]}
    evidence.compare(claim.comparison.pk, claim.token, environment={"device": "cpu"}, **{**found, **more})


def test_a_recipe_run_again_is_a_comparison_and_no_version(user, network) -> None:
    evidence.request(user, network, kinds=["tuning_curves"])
    version = made()
    comparison = evidence.reproduce(user, version)
    assert evidence.reproduce(user, version) == comparison, "a second click asks for nothing more"
    claim = jobs.claim("one")
    assert claim.comparison == comparison, "it is urgent"
    assert (claim.targets, claim.shard.kind) == ([version.evidence], "feature_visualization")
    assert claim.shard.parameters == version.evidence.parameters
    compare(claim)
    jobs.finish(claim.shard.pk, claim.token)
    comparison.refresh_from_db()
    assert (comparison.status, comparison.identical) == (Outcome.DONE, False)
    assert (comparison.pixels, comparison.metrics) == ({"image": 3}, {"value": 0.5})
    assert comparison.files["image"]["suffix"] == ".webp"
    assert comparison.same_environment
    comparison.environment = {"device": "cpu", "made_together": 1}
    assert comparison.same_environment
    comparison.environment = {"device": "cuda"}
    assert not comparison.same_environment
    job = claim.shard.job
    job.refresh_from_db()
    assert (job.status, job.done, job.total) == (Outcome.DONE, 1, 1)
    version.evidence.refresh_from_db()
    assert (version.evidence.current, version.evidence.versions.count()) == (version, 1)


def test_a_comparison_that_fails_or_is_cancelled_says_so(user, network) -> None:
    version = made()
    comparison = evidence.reproduce(user, version)
    claim = jobs.claim("one")
    jobs.give_up(claim.shard.pk, claim.token, "The disk is full.")
    comparison.refresh_from_db()
    assert (comparison.status, comparison.reason) == (Outcome.FAILED, "The disk is full.")
    job = claim.shard.job
    job.refresh_from_db()
    assert (job.status, job.failed) == (Outcome.FAILED, 1)
    with pytest.raises(Refused, match="from the page of its version"):
        jobs.retry(user, job)
    other = evidence.reproduce(user, version)
    claim = jobs.claim("one")
    jobs.cancel(user, claim.shard.job)
    with pytest.raises(evidence.LeaseLost):
        compare(claim)
    other.refresh_from_db()
    assert other.status == Outcome.CANCELLED
    version.evidence.refresh_from_db()
    assert version.evidence.status == Outcome.DONE


def test_what_cannot_be_run_again(user, network) -> None:
    old, imported = made(), make_evidence(neuron_at("conv2:2"), "imported_picture", pictures=["image"])
    Evidence.objects.filter(pk=old.evidence_id).update(recipe_version=1)
    old.evidence.refresh_from_db()
    with pytest.raises(recipes.RecipeError, match="has changed since: this was made by version 1"):
        evidence.reproduce(user, old)
    with pytest.raises(recipes.RecipeError, match="came with an import"):
        evidence.reproduce(user, imported.current)
    blocked = make_user(is_active=False)
    with pytest.raises(Refused, match="blocked"):
        evidence.reproduce(blocked, old)
    assert not Comparison.objects.exists()
