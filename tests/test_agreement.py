"""Agreement: published examples, two libraries, and what must hold of every set of readings."""

import random

import krippendorff
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as some
from nltk.metrics.agreement import AnnotationTask

from taxonomy.consensus import (
    NONE_OF_THESE,
    Alpha,
    Figures,
    Said,
    Unit,
    agreement,
    agreement_in_families,
    alpha,
    inside,
    kappa,
    nominal,
    tree_distance,
)

# root -> curves(1) -> arches(2), smiles(3); root -> lines(4) -> hatches(5)
TREE: dict[int, int | None] = {1: None, 2: 1, 3: 1, 4: None, 5: 4}
FLAT: dict[int, int | None] = {1: None, 2: None, 3: None}

# Krippendorff, "Computing Krippendorff's Alpha-Reliability" (2011), examples A, B and C: a string an observer, a
# character a unit, a dot where a value is missing.
BINARY = ("0100000000", "1110010010")
NOMINAL = ("aabbdcccedda", "babbbccceddd")
MISSING = ("123321412...", "1233224125.3", ".3332342251.", "12332441251.")


def units_of(observers: tuple[str, ...]) -> list[list[str]]:
    return [[value for value in unit if value != "."] for unit in zip(*observers, strict=True)]


@pytest.mark.parametrize(("observers", "published"), [(BINARY, 0.095), (NOMINAL, 0.692), (MISSING, 0.743)])
def test_krippendorffs_examples(observers: tuple[str, ...], published: float) -> None:
    assert alpha(units_of(observers)) == pytest.approx(published, abs=0.0005)


def test_krippendorffs_example_with_a_distance() -> None:
    """Example C as interval data."""
    assert alpha(units_of(MISSING), lambda a, b: (int(a) - int(b)) ** 2) == pytest.approx(0.849, abs=0.0005)


def table(rows: list[list[int]]) -> list[tuple[int, int]]:
    return [(one, other) for one, row in enumerate(rows) for other, times in enumerate(row) for _ in range(times)]


def test_cohens_example() -> None:
    """Cohen 1960, table 2, as frequencies: two judges, three categories, 200 patients; kappa = .492."""
    pairs = table([[88, 10, 2], [14, 40, 6], [18, 10, 12]])
    assert kappa(pairs) == pytest.approx(0.492, abs=0.0005)


def test_where_chance_leaves_no_room_there_is_no_figure() -> None:
    assert kappa([(1, 1)] * 40) is None
    assert alpha([[1, 1], [1, 1, 1]]) is None
    assert alpha([[1], [2]]) is None
    assert alpha([]) is None


values = some.lists(some.lists(some.sampled_from([0, 1, 2, 3, 4, 5]), max_size=5), min_size=2, max_size=12)


@given(values)
def test_alpha_is_that_of_the_library(units: list[list[int]]) -> None:
    ours = alpha(units)
    assume(ours is not None)
    domain = sorted({value for unit in units for value in unit})
    counts = np.array([[unit.count(value) for value in domain] for unit in units])
    theirs = krippendorff.alpha(value_counts=counts, value_domain=domain, level_of_measurement="nominal")
    assert ours == pytest.approx(theirs)


@given(values)
def test_alpha_by_tree_distance_is_that_of_both_libraries(units: list[list[int]]) -> None:
    distance = tree_distance(TREE)
    ours = alpha(units, distance)
    assume(ours is not None)
    domain = sorted({value for unit in units for value in unit})

    def metric(v1, v2, **_):
        return np.vectorize(distance)(v1, v2)

    counts = np.array([[unit.count(value) for value in domain] for unit in units])
    theirs = krippendorff.alpha(value_counts=counts, value_domain=domain, level_of_measurement=metric)
    assert ours == pytest.approx(theirs)
    said = [(str(coder), str(number), value) for number, unit in enumerate(units) for coder, value in enumerate(unit)]
    paired = [row for row in said if len(units[int(row[1])]) > 1]
    assert ours == pytest.approx(AnnotationTask(paired, distance=distance).alpha())


@given(some.lists(some.tuples(some.sampled_from([0, 1, 2]), some.sampled_from([0, 1, 2])), min_size=2, max_size=40))
def test_kappa_is_that_of_the_library(pairs: list[tuple[int, int]]) -> None:
    ours = kappa(pairs)
    assume(ours is not None)
    said = [
        (coder, str(number), pair[place]) for number, pair in enumerate(pairs) for place, coder in enumerate(("a", "b"))
    ]
    assert ours == pytest.approx(AnnotationTask(said).kappa())


def test_distances_are_edges_of_the_tree_over_the_longest_way() -> None:
    distance = tree_distance(TREE)  # from arches to hatches: four edges
    assert distance(2, 5) == 1
    assert distance(1, 2) == 0.25
    assert distance(2, 3) == distance(1, 4) == 0.5
    assert distance(1, NONE_OF_THESE) == 0.5  # a family of its own at the root
    assert distance(2, NONE_OF_THESE) == 0.75
    assert distance(NONE_OF_THESE, NONE_OF_THESE) == 0


@given(values)
def test_without_finer_families_both_distances_say_the_same(units: list[list[int]]) -> None:
    flat = dict.fromkeys(range(1, 6))
    ours = alpha(units, tree_distance(flat))
    assert ours == (None if ours is None else pytest.approx(alpha(units)))


def test_chance_is_reckoned_within_each_layer() -> None:
    """In each layer people agree no better than chance; that they name no family of another layer is no agreement."""
    units = [[1, 2], [2, 1], [1, 1], [2, 2]] * 3 + [[3, 4], [4, 3], [3, 3], [4, 4]] * 3
    groups = ["a"] * 12 + ["b"] * 12
    drawn = dict.fromkeys(range(24), 1)
    one_layer = alpha(units[:12])
    assert Alpha(units, nominal, groups=groups).of(drawn) == [pytest.approx(one_layer)]
    [pooled] = Alpha(units, nominal).of(drawn)
    assert pooled > 0.3 > abs(one_layer)


def unit(neuron: int, *said: int | str, members: tuple[int, ...] = (), layer: int = 1) -> Unit:
    """One reading a person, from person 1 on: a family, or "1!" for "no finer than 1"."""
    return Unit(
        neuron,
        layer,
        tuple(
            Said(person, int(str(word).rstrip("!")), no_finer=str(word).endswith("!"))
            for person, word in enumerate(said, start=1)
        ),
        frozenset(members),
    )


def test_in_a_family_out_of_it_or_left_open() -> None:
    assert inside(Said(1, 2), 1, TREE) is True
    assert inside(Said(1, 4), 1, TREE) is False
    assert inside(Said(1, NONE_OF_THESE), 1, TREE) is False
    assert inside(Said(1, 1), 2, TREE) is None
    assert inside(Said(1, 1, no_finer=True), 2, TREE) is False
    assert inside(Said(1, 4, further=frozenset([2])), 1, TREE) is True


def test_too_few_neurons_have_no_figures_but_are_counted() -> None:
    few = [unit(number, 1, 1) for number in range(29)] + [unit(29, 1)]
    assert agreement(few, FLAT) == Figures(29, 2, 58, 30)
    enough = [*few, unit(30, 1, 2)]
    assert agreement(enough, FLAT).nominal is not None
    nine = [unit(number, 1, 1) for number in range(9)] + [unit(number, 2, 2) for number in range(9, 40)]
    found = agreement_in_families(nine, FLAT, FLAT)
    assert found[1] == Figures(9, 2, 18, 10)
    assert found[2].nominal is not None
    assert found[3] == Figures(0, 0, 0, 10)


def test_a_membership_puts_a_neuron_into_the_figures_of_its_family() -> None:
    units = [unit(number, 1, 1) for number in range(9)] + [unit(number, 2, 2) for number in range(9, 40)]
    units[-1] = unit(39, 2, 2, members=(1,))
    assert agreement_in_families(units, FLAT, FLAT)[1].neurons == 10


def test_the_family_that_people_mix_is_flagged_and_the_clear_one_is_not() -> None:
    dice = random.Random(3)
    units = [unit(number, 3, 3, 3) for number in range(40)]
    units += [unit(40 + number, *(dice.choice([1, 2]) for _ in range(3))) for number in range(40)]
    units[0] = unit(0, 3, 3, 1)  # one slip
    found = agreement_in_families(units, FLAT, FLAT)
    assert found[1].flagged
    assert found[2].flagged
    assert not found[3].flagged
    assert found[3].nominal.value > 0.95
    assert found[3].nominal.low <= found[3].nominal.value <= found[3].nominal.high
    confusion = found[1].confusions[0]
    assert (confusion.one, confusion.other) == (1, 2)
    assert found[3].splits == (0,)
    assert found[1].same < found[3].same


def test_a_coarser_reading_is_no_confusion() -> None:
    units = [unit(number, 1, 2) for number in range(20)] + [unit(number, 2, 4) for number in range(20, 40)]
    [confusion] = agreement(units, TREE).confusions
    assert (confusion.one, confusion.other, confusion.neurons, confusion.pairs) == (2, 4, 20, 20)
    assert agreement_in_families(units, TREE, TREE)[1].confusions == (confusion,)
    assert agreement_in_families(units, TREE, TREE)[3].confusions == ()


def test_kappa_is_of_pairs_that_share_thirty_neurons() -> None:
    units = [unit(number, number % 3 + 1, number % 3 + 1) for number in range(29)]
    assert agreement([*units, unit(29, 1)], FLAT).kappas == ()
    [pair] = agreement([*units, unit(29, 1, 2)], FLAT).kappas
    assert (pair.people, pair.neurons) == ((1, 2), 30)
    assert pair.same == pytest.approx(29 / 30)


read = some.lists(
    some.lists(some.sampled_from([0, 1, 2, 3, 4, 5, "1!", "4!"]), min_size=2, max_size=4), min_size=30, max_size=34
)


@settings(max_examples=20)
@given(read, some.randoms())
def test_the_order_of_neurons_and_of_people_does_not_matter(said: list[list[int | str]], dice: random.Random) -> None:
    units = [unit(number, *words) for number, words in enumerate(said)]
    mixed = [Unit(one.neuron, 1, tuple(dice.sample(one.said, len(one.said)))) for one in units]
    dice.shuffle(mixed)
    assert agreement(mixed, TREE) == agreement(units, TREE)
    assert agreement_in_families(mixed, TREE, TREE) == agreement_in_families(units, TREE, TREE)


@given(values)
def test_alpha_is_one_where_nobody_differs_and_never_above(units: list[list[int]]) -> None:
    ours = alpha(units)
    if ours is not None:
        assert ours <= 1
        assert (ours == 1) == all(len(set(unit)) < 2 for unit in units)


def test_the_fast_way_over_families_is_alpha_itself() -> None:
    dice = random.Random(5)
    words = [0, 1, 2, 3, 4, 5, "1!", "4!"]
    units = [unit(number, *(dice.choice(words) for _ in range(dice.randint(2, 5)))) for number in range(60)]
    found = agreement_in_families(units, TREE, TREE)
    for family, figures in found.items():
        plain = [[v for said in one.said if (v := inside(said, family, TREE)) is not None] for one in units]
        assert figures.nominal.value == pytest.approx(alpha(plain))
