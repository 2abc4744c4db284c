"""The standing rule: worked cases from the vocabulary, and what must hold of every set of labels."""

from hypothesis import given
from hypothesis import strategies as some

from taxonomy.consensus import Reading, Result, asked, lineage, qualifies, qualifying, standing

# root -> curves(1) -> arches(2), smiles(3); root -> lines(4) -> hatches(5) -> crosses(6)
TREE: dict[int, int | None] = {1: None, 2: 1, 3: 1, 4: None, 5: 4, 6: 5}


def read(*said: int | str) -> list[Reading]:
    """One reading a person: a family, "none", "?" (cannot tell), or "1!" for "no finer than 1"."""
    readings = []
    for person, word in enumerate(said):
        if word == "none":
            readings.append(Reading(person, person))
        elif word == "?":
            readings.append(Reading(person, person, cannot_tell=True))
        else:
            text = str(word)
            readings.append(Reading(person, person, int(text.rstrip("!")), no_finer=text.endswith("!")))
    return readings


def test_no_label_one_label_two_labels() -> None:
    assert standing([], TREE) == Result("unlabelled")
    assert standing(read(1), TREE) == Result("single")
    assert standing(read("?"), TREE) == Result("single")
    assert standing(read(1, 1), TREE) == Result("open")


def test_three_people_agree() -> None:
    assert standing(read(1, 1, 1), TREE) == Result("agreed", 1)


def test_two_thirds_are_not_more_than_two_thirds() -> None:
    assert standing(read(1, 1, 4), TREE) == Result("open")
    assert standing(read(1, 1, 1, 1, 4, 4), TREE) == Result("disputed")  # 4 of 6
    assert standing(read(1, 1, 1, 1, 1, 4, 4), TREE) == Result("agreed", 1)  # 5 of 7


def test_three_of_four_agree() -> None:
    assert standing(read(1, 1, 1, 4), TREE) == Result("agreed", 1)


def test_children_count_for_their_parent_and_the_deepest_wins() -> None:
    assert standing(read(2, 2, 3), TREE) == Result("agreed", 1)
    assert standing(read(2, 2, 2), TREE) == Result("agreed", 2)
    assert standing(read(6, 5, 4), TREE) == Result("agreed", 4)
    assert standing(read(6, 6, 6, 5, 4), TREE) == Result("agreed", 6)


def test_a_plain_label_on_the_parent_is_neither_for_nor_against() -> None:
    assert standing(read(2, 2, 2, 1, 1), TREE) == Result("agreed", 2)


def test_no_finer_than_the_parent_is_against_the_child() -> None:
    assert standing(read(2, 2, 2, "1!", "1!"), TREE) == Result("agreed", 1)
    assert standing(read(2, 2, 2, "1!"), TREE) == Result("agreed", 2)  # 3 of 4
    assert standing(read("1!", "1!", "1!"), TREE) == Result("agreed", 1)


def test_none_of_these_is_against_every_family() -> None:
    assert standing(read(1, 1, 1, "none"), TREE) == Result("agreed", 1)
    assert standing(read(1, 1, 1, "none", "none"), TREE) == Result("disputed")


def test_three_times_none_of_these_needs_a_family() -> None:
    assert standing(read("none", "none", "none"), TREE) == Result("needs family")
    assert standing(read("none", "none", 1), TREE) == Result("open")


def test_cannot_tell_counts_nowhere_but_twice_it_asks_for_evidence() -> None:
    assert standing(read(1, 1, 1, "?", "?"), TREE) == Result("agreed", 1)
    assert standing(read(1, "?", "?"), TREE) == Result("needs evidence")
    assert standing(read(1, 1, "?"), TREE) == Result("open")


def test_five_counted_labels_without_a_family_are_a_dispute() -> None:
    assert standing(read(1, 1, 4, 4, 1), TREE) == Result("disputed")
    assert standing(read(1, 1, 4, 4, "?"), TREE) == Result("open")


def test_one_person_is_one_person() -> None:
    same = [Reading(number, 7, 1) for number in range(3)]
    assert standing(same, TREE).standing != "agreed"


def test_a_circle_in_the_tree_ends() -> None:
    assert lineage(1, {1: 2, 2: 1}) == [1, 2]
    assert standing(read(1, 1, 1), {1: 2, 2: 1}).standing == "agreed"


words = some.lists(some.sampled_from([1, 2, 3, 4, 5, 6, "1!", "4!", "5!", "none", "?"]), max_size=9)


@given(words, some.randoms())
def test_order_does_not_matter(said: list[int | str], dice) -> None:
    readings = read(*said)
    mixed = list(readings)
    dice.shuffle(mixed)
    assert standing(mixed, TREE) == standing(readings, TREE)


@given(words)
def test_agreed_means_three_people_and_over_two_thirds_against_every_brother(said: list[int | str]) -> None:
    result = standing(read(*said), TREE)
    assert (result.standing == "agreed") == (result.family is not None)
    if result.family is not None:
        below = [r for r in read(*said) if r.family is not None and result.family in lineage(r.family, TREE)]
        assert len(below) >= 3
        rivals = [node for node in TREE if qualifies(node, read(*said), TREE)]
        # Whatever else qualifies lies above the winner.
        assert set(rivals) <= set(lineage(result.family, TREE))


@given(words)
def test_cannot_tell_changes_no_agreement(said: list[int | str]) -> None:
    assert qualifying(read(*said, "?", "?"), TREE) == qualifying(read(*said), TREE)


@given(words)
def test_one_more_on_the_winner_keeps_it_qualified(said: list[int | str]) -> None:
    node = qualifying(read(*said), TREE)
    if node is not None:
        assert qualifies(node, read(*said, node), TREE)


@given(words)
def test_agreement_among_ancestors_is_monotone(said: list[int | str]) -> None:
    """What qualifies brings its parent along: whoever puts it below puts it there too."""
    for node, parent in TREE.items():
        if parent is not None and qualifies(node, read(*said), TREE):
            assert qualifies(parent, read(*said), TREE)


@given(words, some.integers(min_value=0, max_value=8))
def test_withdrawing_a_label_restores_the_standing(said: list[int | str], which: int) -> None:
    """A standing knows nothing but the current labels: one given and withdrawn leaves it as it was."""
    readings = read(*said)
    more = [*readings[:which], Reading(99, 99, 4, no_finer=True), *readings[which:]]
    assert standing([one for one in more if one.author != 99], TREE) == standing(readings, TREE)


def level(standing: str) -> int:
    """How near to a decision: on the way, or agreed. Disputed and needs evidence or family lie apart."""
    return {"unlabelled": 0, "single": 1, "open": 2, "agreed": 3}.get(standing, -1)


@given(words)
def test_one_more_agreeing_label_never_lowers_a_standing(said: list[int | str]) -> None:
    """An agreed neuron stays agreed on the node that won, or one below it; others only come nearer to agreement."""
    before = standing(read(*said), TREE)
    if before.family is not None:
        after = standing(read(*said, before.family), TREE)
        assert after.standing == "agreed"
        assert before.family in lineage(after.family, TREE)
    for node in TREE:
        counted = [reading for reading in read(*said) if not reading.cannot_tell]
        if counted and all(reading.family == node for reading in counted):
            after = standing(read(*said, node), TREE)
            assert level(after.standing) >= level(before.standing) or before.standing == "needs evidence"


@given(words)
def test_two_nodes_never_qualify_side_by_side(said: list[int | str]) -> None:
    found = [node for node in TREE if qualifies(node, read(*said), TREE)]
    for one in found:
        for other in found:
            assert one in lineage(other, TREE) or other in lineage(one, TREE)


@given(words, some.integers(min_value=3, max_value=9))
def test_a_neuron_never_asks_for_less_than_is_given_until_it_is_settled(said: list[int | str], overlap: int) -> None:
    readings = read(*said)
    now = standing(readings, TREE).standing
    wanted = asked(readings, now, overlap)
    if now in ("unlabelled", "single", "open"):
        assert wanted >= min(overlap, 3)
        assert wanted >= len(readings) or len(readings) > max(overlap, 5)
    else:
        assert wanted == len(readings)
    assert asked(readings, "accepted", overlap) == 0
