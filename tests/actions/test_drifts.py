"""Evidence that has changed since people saw it: within its tolerance nothing happens, beyond it neurons are stale."""

import json
from typing import Any

import pytest

from taxonomy import recipes
from taxonomy.actions import drifts, reviews
from taxonomy.interchange import drift
from taxonomy.models import Decision, Drift, Evidence, Family, ImageSet, Neuron, Review, Role, Standing
from taxonomy.recipes import Tolerance
from tests.factory import make_evidence, make_image_set, make_label, make_user, picture

pytestmark = pytest.mark.django_db


def newer(evidence: Evidence, data: Any) -> Evidence:
    """The same of the neuron, by the recipe's next version, which has a parameter more."""
    made = make_evidence(evidence.neuron, evidence.kind, data=data, parameters=evidence.parameters | {"later": 1})
    Evidence.objects.filter(pk=made.pk).update(recipe_version=evidence.recipe_version + 1)
    return made


@pytest.fixture
def tuned(neuron: Neuron) -> Evidence:
    return make_evidence(neuron, "tuning_curves", data={"responses": [0.0, 5.0, 10.0], "peak": 90.0})


@pytest.fixture
def accepted(neuron: Neuron, curves: Family, tuned: Evidence) -> Neuron:
    for _ in range(3):
        make_label(neuron, family=curves, seen=[tuned.current])
    reviews.accept(make_user(role=Role.REVIEWER), neuron)
    return neuron


def two_image_sets() -> tuple[ImageSet, ImageSet]:
    return make_image_set("first"), make_image_set("second", digest="j" * 64)


def standing_of(neuron: Neuron) -> str:
    return Neuron.objects.get(pk=neuron.pk).standing


def test_within_the_tolerance_nothing_happens(accepted: Neuron, tuned: Evidence) -> None:
    newer(tuned, {"responses": [0.0, 5.1, 10.1], "peak": 90.5, "width": 30.0})
    assert drifts.tend() == 0
    assert standing_of(accepted) == Standing.ACCEPTED
    assert Drift.objects.get().beyond is False


def test_beyond_it_is_stale_once_with_kind_and_versions(accepted: Neuron, tuned: Evidence) -> None:
    made = newer(tuned, {"responses": [10.0, 5.0, 0.0], "peak": 0.0})
    assert drifts.tend() == 1
    assert drifts.tend() == 0
    assert standing_of(accepted) == Standing.STALE
    review = Review.objects.get(decision=Decision.STALE)
    assert (review.kind, review.reviewer.is_system) == ("tuning_curves", True)
    assert set(review.cites.all()) == {tuned.current, made.current}
    version = tuned.recipe_version
    assert f"recipe {version + 1} after recipe {version}" in review.comment
    assert "tolerated" in review.comment
    # A reviewer reconfirms it; the same newer version does not make it stale again.
    reviews.reconfirm(make_user(role=Role.REVIEWER), accepted)
    assert drifts.tend() == 0
    assert standing_of(accepted) == Standing.ACCEPTED


def test_declined_it_is_open_to_its_labels(accepted: Neuron, tuned: Evidence) -> None:
    newer(tuned, {"responses": [10.0, 5.0, 0.0], "peak": 0.0})
    drifts.tend()
    reviews.decline(make_user(role=Role.REVIEWER), accepted, comment="It peaks elsewhere.")
    assert standing_of(accepted) == Standing.AGREED


def test_another_image_set_that_was_added_later(neuron: Neuron, curves: Family) -> None:
    first, second = two_image_sets()
    shown = make_evidence(neuron, "activation_histogram", data={"mean": 1.0, "sd": 1.0}, image_set=first)
    for _ in range(3):
        make_label(neuron, family=curves, seen=[shown.current])
    reviews.accept(make_user(role=Role.REVIEWER), neuron)
    make_evidence(neuron, "activation_histogram", data={"mean": 9.0, "sd": 1.0}, image_set=second)
    assert drifts.tend() == 1
    assert "over second after first" in Review.objects.get(decision=Decision.STALE).comment


def test_an_image_set_that_was_there_before(neuron: Neuron, curves: Family) -> None:
    first, second = two_image_sets()
    shown = make_evidence(neuron, "activation_histogram", data={"mean": 1.0}, image_set=second)
    for _ in range(3):
        make_label(neuron, family=curves, seen=[shown.current])
    reviews.accept(make_user(role=Role.REVIEWER), neuron)
    make_evidence(neuron, "activation_histogram", data={"mean": 9.0}, image_set=first)
    assert drifts.tend() == 0


def test_what_the_accepting_labels_did_not_see(neuron: Neuron, curves: Family, tuned: Evidence) -> None:
    for _ in range(3):
        make_label(neuron, family=curves)
    reviews.accept(make_user(role=Role.REVIEWER), neuron)
    make_label(neuron, family=curves, seen=[tuned.current])  # a reading after the decision
    newer(tuned, {"responses": [10.0, 5.0, 0.0], "peak": 0.0})
    assert drifts.tend() == 0
    assert standing_of(neuron) == Standing.ACCEPTED


def test_other_variants_and_unaccepted_neurons(neuron: Neuron, curves: Family, tuned: Evidence) -> None:
    for _ in range(3):
        make_label(neuron, family=curves, seen=[tuned.current])
    newer(tuned, {"responses": [10.0, 5.0, 0.0], "peak": 0.0})
    assert drifts.tend() == 0  # agreed, not accepted
    reviews.accept(make_user(role=Role.REVIEWER), neuron)
    make_evidence(neuron, "tuning_curves", data={"responses": [1.0]}, parameters={"stimulus": "line"})
    assert drifts.tend() == 1  # what was there when it was accepted counts, the other stimulus does not
    assert Drift.objects.count() == 1


def test_a_file_that_is_out_of_reach_is_tried_again(accepted: Neuron, tuned: Evidence, settings, tmp_path) -> None:
    newer(tuned, {"responses": [10.0, 5.0, 0.0], "peak": 0.0})
    there, settings.ARTIFACTS = settings.ARTIFACTS, tmp_path / "elsewhere"
    assert drifts.tend() == 0
    assert not Drift.objects.exists()
    settings.ARTIFACTS = there
    assert drifts.tend() == 1


class TestMeasure:
    def of(self, tolerance: Tolerance, seen: Any, newer: Any) -> bool:
        files = [{"data": (json.dumps(data).encode(), ".json")} for data in (seen, newer)]
        return drift.measure(tolerance, *files)[0]

    @pytest.mark.parametrize(
        ("seen", "newer", "beyond"),
        [
            ({"a": [1.0, 2.0]}, {"a": [1.0, 2.0]}, False),
            ({"a": [0.0, 100.0]}, {"a": [4.0, 100.0]}, False),  # 2 % of the largest in the mean
            ({"a": [0.0, 100.0]}, {"a": [14.0, 100.0]}, True),
            ({"a": 1e-9}, {"a": 3e-9}, False),  # noise around zero
            ({"a": 1.0}, {"a": 1.0, "b": 5.0}, False),  # it tells more than before
            ({"a": 1.0, "b": 5.0}, {"a": 1.0}, True),
            ({"a": [1.0, 2.0]}, {"a": [1.0]}, True),
            ({"a": None}, {"a": 1.0}, True),
            ({"a": "x"}, {"a": "y"}, True),
            ({"top": [{"image": 7}]}, {"top": [{"image": 8}]}, True),  # a name, not a number
            ({"a": True}, {"a": False}, True),
        ],
    )
    def test_numbers_and_names(self, seen: Any, newer: Any, beyond: bool) -> None:
        assert self.of(Tolerance(numbers=0.05), seen, newer) is beyond

    def test_some_of_the_best_examples_may_be_others(self) -> None:
        tolerance = recipes.KINDS["dataset_examples"].tolerance
        seen = {"top": [{"image": index, "value": 9.0} for index in range(9)]}
        for others, beyond in ((3, False), (4, True)):
            top = [{"image": index + 100 * (index < others), "value": 9.0} for index in range(9)]
            assert self.of(tolerance, seen, {"top": top}) is beyond

    def test_pictures(self) -> None:
        grey, lighter, other = (picture(colour=(shade, shade, shade), form="PNG") for shade in (100, 102, 140))
        for newer_, beyond in ((grey, False), (lighter, False), (other, True), (picture(16, form="PNG"), True)):
            found = drift.measure(Tolerance(pixels=4.0), {"image": (grey, ".png")}, {"image": (newer_, ".png")})
            assert found[0] is beyond, found
        assert drift.measure(Tolerance(), {"image": (grey, ".png")}, {})[0]
        assert drift.measure(Tolerance(), {"image": (grey, ".png")}, {"image": (b"x", ".png")})[0]

    def test_every_kind_states_a_tolerance_of_its_own_or_the_common_one(self) -> None:
        for kind in recipes.KINDS.values():
            assert 0 < kind.tolerance.numbers <= 0.2
            assert 0 < kind.tolerance.pixels <= 32
