"""Questions to the record of evidence: what took a version's place, and which neurons are like one."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from django.db import connection

from taxonomy import recipes
from taxonomy.models import Evidence, ImageSet, Layer, Neuron, Vector
from tests.factory import add_version, make_evidence, make_image_set, make_network, neuron_at

pytestmark = pytest.mark.django_db

FIRST = {"objective": "neuron", "steps": 64}


def made(version: int, number: str = "3b:1", **parameters: Any) -> Evidence:
    row = make_evidence(neuron_at(number), data=version, parameters=FIRST | parameters)
    Evidence.objects.filter(pk=row.pk).update(recipe_version=version)
    row.recipe_version = version
    return row


def test_a_later_run_takes_a_version_s_place() -> None:
    make_network()
    row = made(1)
    first = row.current
    assert first.newer() is None
    second = add_version(row, [])
    first.evidence.refresh_from_db()
    assert (first.newer(), second.newer()) == (second, None)


def test_a_later_recipe_takes_an_older_one_s_place(monkeypatch: pytest.MonkeyPatch) -> None:
    latest = replace(recipes.KINDS["feature_visualization"], version=3)
    monkeypatch.setitem(recipes.KINDS, "feature_visualization", latest)
    make_network()
    old = made(1)
    add_version(old, [])
    made(2, "3b:2", dtype="float32")
    made(2, objective="negative")
    assert old.current.newer() is None, "of another neuron, and another variant"
    second, third = made(2, dtype="float32"), made(3, dtype="float32", diversity=1)
    assert [version.newer() for version in old.versions.all()] == [third.current] * 2
    assert second.current.newer() == third.current
    assert third.current.newer() is None


def test_a_family_that_has_grown_takes_no_version_s_place() -> None:
    make_network()
    old = made(1, members=[1, 2])
    made(2, members=[1, 2, 3])
    assert old.current.newer() is None
    same = made(2, members=[1, 2], top=4)
    assert old.current.newer() == same.current


def vectors_of(layer: Layer, images: ImageSet | None, values: np.ndarray, likeness: str = "activation") -> None:
    neurons = list(layer.neurons.order_by("index"))
    rows = Evidence.objects.bulk_create(
        Evidence(
            key=f"{likeness}{images}{neuron.pk}",
            kind="neighbours",
            recipe_version=1,
            network=layer.network,
            layer=layer,
            neuron=neuron,
            image_set=images,
        )
        for neuron in neurons
    )
    Vector.objects.bulk_create(
        Vector(evidence=row, neuron=neuron, likeness=likeness, image_set=images, values=value.tolist())
        for row, neuron, value in zip(rows, neurons, values, strict=True)
    )


def near_each_other(count: int, seed: int, clusters: int = 40, spread: float = 0.6) -> np.ndarray:
    """Unit vectors about the same few centres, whatever the seed."""
    centres = np.random.default_rng(0).normal(size=(clusters, Vector.DIMENSIONS))
    chance = np.random.default_rng(seed)
    found = centres[chance.integers(0, clusters, count)] + spread * chance.normal(size=(count, Vector.DIMENSIONS))
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def test_only_what_can_be_compared_is_near() -> None:
    layer, one, other = make_network(layers={"a": 3}).layers.get(), make_image_set("one"), make_image_set("other")
    for likeness, images in (("activation", one), ("activation", other), ("rotation", None)):
        vectors_of(layer, images, near_each_other(3, 1), likeness)
    for vector in Vector.objects.all():
        found = Vector.objects.near(vector)
        assert {(near.likeness, near.image_set) for near in found} == {(vector.likeness, vector.image_set)}
        assert vector.neuron not in {near.neuron for near in found}
        assert [near.distance for near in found] == sorted(near.distance for near in found)


@pytest.mark.slow
def test_the_search_finds_the_nearest() -> None:
    """At least 95 % of the exact ten nearest of 3,000, by the index, here, in another network, and in any."""
    own, other = (make_network(name, layers={"a": 1500}) for name in ("own", "other"))
    images = make_image_set()
    for seed, network in enumerate((own, other)):
        vectors_of(network.layers.get(), images, near_each_other(1500, seed))
    vectors = list(Vector.objects.order_by("pk")[::60])
    for where in ({}, {"neuron__layer__network": own}, {"neuron__layer__network": other}):
        hits = 0
        for vector in vectors:
            near = Vector.objects.near(vector).filter(**where).values_list("pk", flat=True)[:10]
            answers = []
            for by_index in (True, False):
                with connection.cursor() as cursor:
                    cursor.execute(f"SET LOCAL enable_indexscan = {by_index}; SET LOCAL enable_sort = {not by_index}")
                assert ("vector_near_activation" in near.explain()) == by_index
                answers.append(set(near))
            hits += len(answers[0] & answers[1])
        assert hits >= 0.95 * 10 * len(vectors), where
    assert Neuron.objects.count() == 3000
