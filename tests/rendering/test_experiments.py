"""Experiments drawn: what lies where."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taxonomy.rendering import experiments
from taxonomy.rendering.experiments import Axis, Tuned

FIGURES = st.floats(-1e6, 1e6, allow_nan=False).map(lambda value: round(value, 6))


def places(svg: str, name: str) -> list[float]:
    return [float(x) for x in re.findall(rf'<circle (?:class="{name}" )?cx="([\d.-]+)"', svg)]


@given(st.lists(FIGURES, min_size=1, max_size=30))
def test_everything_lies_on_the_axis_with_a_few_round_ticks(values: list[float]) -> None:
    axis = Axis.over(values)
    assert all(0 <= axis.x(value) <= experiments.WIDE for value in values)
    assert 1 <= len(axis.ticks) <= 7
    assert all(axis.low <= tick <= axis.high + 1e-9 * abs(axis.high) for tick in axis.ticks)


@pytest.mark.parametrize(
    ("change", "margin", "start", "end"),
    [("rises", 0.1, 0.1, None), ("falls", 0.1, None, -0.1), ("unchanged", 0.1, -0.1, 0.1)],
)
def test_where_the_claim_holds_is_shaded(change, margin, start, end) -> None:
    svg = experiments.effect(0.3, 0.2, 0.4, [0.0, 0.05, -0.3], change=change, margin=margin)
    axis = Axis.over([0.0, 0.3, 0.2, 0.4, 0.0, 0.05, -0.3, *([margin] if change != "falls" else []), -0.3])
    x, width = (float(part) for part in re.search(r'class="holds" x="([\d.]+)" width="([\d.]+)"', svg).groups())
    assert x == pytest.approx(axis.x(axis.low if start is None else start), abs=0.1)
    assert x + width == pytest.approx(axis.x(axis.high if end is None else end), abs=0.2)
    assert "The claim holds from" in svg


def test_the_effect_and_each_control_have_their_place() -> None:
    svg = experiments.effect(0.3, 0.2, 0.4, [0.0, 0.0, 0.0], change="rises", margin=0.1, percent=True)
    *effect, first, second, third = places(svg, "mean")
    assert len(effect) == 1
    assert first == second == third  # the same figure thrice: above each other
    heights = re.findall(r'cx="[\d.]+" cy="([\d.]+)" r="3.6"', svg)
    assert len(set(heights)) == 3
    assert "from 20 % to 40 %" in svg
    assert "The effect is +30 %" in svg


def test_no_control_at_all_is_drawn_too() -> None:
    assert "controls lie" not in experiments.effect(0.0, 0.0, 0.0, [], change="unchanged", margin=0.0)


def test_a_tuning_curve_begins_a_quarter_before_its_peak() -> None:
    axis = [float(angle) for angle in range(0, 360, 10)]
    before = [1.0 if angle == 200 else 0.0 for angle in axis]
    svg = experiments.tuned(Tuned("3b:1", before, before[::-1], []), axis, 360, 2.0)
    path = re.search(r'class="before" d="M([^"]+)"', svg)[1]
    points = [tuple(map(float, point.split())) for point in path.split("L")]
    top = min(points, key=lambda point: point[1])
    assert top == (experiments.SMALL / 4, experiments.HIGH / 2)  # half of what reaches the top
    assert [x for x, _ in points] == sorted(x for x, _ in points)
    assert 'class="control" d=""' in svg


def test_thousands_of_pairs_are_thinned_and_counted_whole() -> None:
    svg = experiments.pairs([(0.0, 1.0)] * 1500 + [(1.0, 0.0)] * 700, "degrees")
    assert svg.count("h0") <= experiments.MOST_POINTS
    assert "1500 lie above the diagonal, 700 below it." in svg


@given(st.lists(st.tuples(FIGURES, FIGURES), min_size=1, max_size=20))
def test_any_figures_can_be_drawn(found) -> None:
    experiments.pairs(found, "")
    rows = [("before", value, min(found[0]), max(found[0])) for value in found[0]]
    assert experiments.ranges(rows, "Echo").count('class="mean"') == 2
