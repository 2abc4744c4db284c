import re

import pytest

from taxonomy.models import Layer
from taxonomy.rendering import chips, plots
from taxonomy.templatetags.site import duration, number, share
from tests.factory import make_evidence, make_layer

ANGLES = [angle / 2 for angle in range(720)]


def test_a_kernel_is_red_where_it_excites_and_blue_where_it_inhibits():
    svg = plots.kernel_grid([[1.0, -0.5], [0.0, 0.25]], 1.0)
    assert '<path class="e" fill-opacity="1.00" d="M0 0h1v1h-1z"/>' in svg
    assert '<path class="i" fill-opacity="0.50" d="M1 0h1v1h-1z"/>' in svg
    assert svg.count("<path") == 3  # nothing is drawn for zero
    assert "strongest weight +1" in svg


def test_a_kernel_of_zeros_is_empty_ground():
    assert "<path" not in plots.kernel_grid([[0.0]], 0.0)


def face(svg: str) -> tuple[float, float]:
    """Where the neuron's picture lies, by its middle."""
    x, y, width = re.search(r'<svg x="([^"]+)" y="([^"]+)" width="([^"]+)"', svg).groups()
    return float(x) + float(width) / 2, float(y) + float(width) / 2


@pytest.mark.parametrize(("peak", "x", "y"), [(0, 1, 0), (90, 0, 1), (180, -1, 0), (270, 0, -1)])
def test_curves_point_where_they_bulge(peak, x, y):
    """0 is ")", bulging to the right; 90 is "U", bulging down: clockwise, as y points down."""
    responses = [max(0.0, 30 - abs((angle - peak + 180) % 360 - 180)) for angle in ANGLES]
    svg = plots.radial("3b:1", ANGLES, responses, stimulus="curve", peak=peak, face="/face.webp")
    assert face(svg) == pytest.approx((135 * x, 135 * y), abs=1)


@pytest.mark.parametrize(("peak", "x", "y"), [(0, 0, -1), (90, 1, 0)])
def test_lines_run_clockwise_from_the_vertical(peak, x, y):
    angles = ANGLES[:360]
    responses = [max(0.0, 30 - abs((angle - peak + 90) % 180 - 90)) for angle in angles]
    svg = plots.radial("3b:1", angles, responses, stimulus="line", peak=peak, face="/face.webp")
    assert face(svg) == pytest.approx((135 * x, 135 * y), abs=1)
    outline = re.search(r'class="outline" d="M([^"]+)Z"', svg)[1].split("L")
    furthest = max((tuple(map(float, point.split())) for point in outline), key=lambda p: p[0] ** 2 + p[1] ** 2)
    assert abs(furthest[0 if x else 1]) == pytest.approx(112, abs=0.5)


def test_the_inner_circle_is_no_response():
    svg = plots.radial("3b:1", [0.0, 90.0, 180.0, 270.0], [1.0, -2.0, -1.0, 0.0], stimulus="curve", peak=0.0)
    outline = re.search(r'class="outline" d="M([^"]+)Z"', svg)[1].split("L")
    radii = [sum(float(part) ** 2 for part in point.split()) ** 0.5 for point in outline]
    assert min(radii) == pytest.approx(0.3 * 112, abs=0.1)
    assert max(radii) == pytest.approx(112, abs=0.1)


def test_a_silent_neuron_draws_nothing():
    svg = plots.radial("3b:1", ANGLES, [-1.0] * 720, stimulus="curve", peak=None)
    assert "does not respond to any" in svg
    assert 'class="outline" d=""' in svg


def test_a_weak_response_looks_weak_beside_a_strong_one():
    responses = [max(0.0, 30 - abs(angle - 90)) for angle in ANGLES]
    weak = plots.radial("3b:6", ANGLES, responses, stimulus="curve", peak=90.0, full=120.0)
    reach = plots.INNER + 0.25 * (plots.OUTER - plots.INNER)  # 30 of 120
    assert f"L0.0 {reach:.1f}L" in weak
    assert f"L0.0 {plots.OUTER:.1f}L" not in weak
    assert "the outer one for a response of 120." in weak
    assert f"L0.0 {plots.OUTER:.1f}L" in plots.radial("3b:6", ANGLES, responses, stimulus="curve", peak=90.0)


def test_a_face_is_a_window_on_the_sprite(db):
    from taxonomy.actions.evidence import build_sprite

    layer = make_layer(channels=20)
    make_evidence(layer.neurons.get(index=17), pictures=["image"])
    build_sprite(layer)
    layer = Layer.objects.select_related("network", "sprite").get(pk=layer.pk)
    svg = chips.face(layer, 17)
    assert 'viewBox="72.4 72.4 71.2 71.2"' in svg  # second column, second row of cells of 72
    assert 'width="1152" height="144"' in svg
    assert chips.face(layer, 16) == chips.EMPTY
    assert "style=" not in chips.chip(layer, 17)


@pytest.mark.parametrize(
    ("part", "whole", "said"),
    [
        *((65, 256, "25 %"), (30, 256, "12 %"), (15, 256, "6 %"), (4, 256, "2 %"), (1, 200, "0.5 %")),
        *((1, 512, "0.1 %"), (3, 508, "0.5 %"), (0, 256, "0 %"), (256, 256, "100 %"), (1, 8, "13 %"), (0, 0, "0 %")),
    ],
)
def test_shares_are_rounded_half_up(part, whole, said):
    assert share(part, whole) == said


def test_numbers_and_times_in_words():
    assert number(-0.123456) == "−0.123"
    assert number(None) == ""
    assert [duration(seconds) for seconds in (0.2, 1, 89, 200, 7500)] == [
        *("under a second", "1 second", "89 seconds", "3 min 20 s", "2 h 5 min")
    ]


def test_a_family_is_drawn_with_one_hue_an_orientation():
    curves = [
        plots.Tuning(
            f"3b:{peak}", f"/{peak}/", ANGLES, [max(0.0, 30 - abs(angle - peak)) for angle in ANGLES], peak, chips.EMPTY
        )
        for peak in (90.0, 180.0)
    ]
    svg = plots.joint(curves, stimulus="curve")
    assert 'fill="hsl(90 65% 52%)"' in svg
    assert 'fill="hsl(180 65% 52%)"' in svg
    assert "<title>3b:90.0, peak 90°</title>" in svg
    assert svg.count("<a href") == 2
