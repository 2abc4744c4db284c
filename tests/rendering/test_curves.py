import re

import pytest

from taxonomy.rendering import chips, curves

ANGLES = [angle / 2 for angle in range(720)]


def curve(angles, responses, peak, **more) -> curves.Curve:
    return curves.Curve("curve", "angle", "degrees", 360.0, angles, responses, peak, **more)


def line(angles, responses, peak) -> curves.Curve:
    return curves.Curve("line", "angle", "degrees", 180.0, angles, responses, peak)


def linear(places, responses, peak, **more) -> curves.Curve:
    return curves.Curve("centre_surround", "radius", "pixels", None, places, responses, peak, **more)


def face(svg: str) -> tuple[float, float]:
    """Where the neuron's picture lies, by its middle."""
    x, y, width = re.search(r'<svg x="([^"]+)" y="([^"]+)" width="([^"]+)"', svg).groups()
    return float(x) + float(width) / 2, float(y) + float(width) / 2


@pytest.mark.parametrize(("peak", "x", "y"), [(0, 1, 0), (90, 0, 1), (180, -1, 0), (270, 0, -1)])
def test_curves_point_where_they_bulge(peak, x, y):
    """0 is ")", bulging to the right; 90 is "U", bulging down: clockwise, as y points down."""
    responses = [max(0.0, 30 - abs((angle - peak + 180) % 360 - 180)) for angle in ANGLES]
    svg = curves.radial(curve(ANGLES, responses, peak), "3b:1", face="/face.webp")
    assert face(svg) == pytest.approx((135 * x, 135 * y), abs=1)


@pytest.mark.parametrize(("peak", "x", "y"), [(0, 0, -1), (90, 1, 0)])
def test_lines_run_clockwise_from_the_vertical(peak, x, y):
    angles = ANGLES[:360]
    responses = [max(0.0, 30 - abs((angle - peak + 90) % 180 - 90)) for angle in angles]
    svg = curves.radial(line(angles, responses, peak), "3b:1", face="/face.webp")
    assert face(svg) == pytest.approx((135 * x, 135 * y), abs=1)
    outline = re.search(r'class="outline" d="M([^"]+)Z"', svg)[1].split("L")
    furthest = max((tuple(map(float, point.split())) for point in outline), key=lambda p: p[0] ** 2 + p[1] ** 2)
    assert abs(furthest[0 if x else 1]) == pytest.approx(112, abs=0.5)


def test_the_inner_circle_is_no_response():
    svg = curves.radial(curve([0.0, 90.0, 180.0, 270.0], [1.0, -2.0, -1.0, 0.0], 0.0), "3b:1")
    outline = re.search(r'class="outline" d="M([^"]+)Z"', svg)[1].split("L")
    radii = [sum(float(part) ** 2 for part in point.split()) ** 0.5 for point in outline]
    assert min(radii) == pytest.approx(0.3 * 112, abs=0.1)
    assert max(radii) == pytest.approx(112, abs=0.1)


def test_a_silent_neuron_draws_nothing():
    svg = curves.radial(curve(ANGLES, [-1.0] * 720, None), "3b:1")
    assert "does not respond to any" in svg
    assert 'class="outline" d=""' in svg


def test_a_weak_response_looks_weak_beside_a_strong_one():
    responses = [max(0.0, 30 - abs(angle - 90)) for angle in ANGLES]
    weak = curves.radial(curve(ANGLES, responses, 90.0), "3b:6", full=120.0)
    reach = curves.INNER + 0.25 * (curves.OUTER - curves.INNER)  # 30 of 120
    assert f"L0.0 {reach:.1f}L" in weak
    assert f"L0.0 {curves.OUTER:.1f}L" not in weak
    assert "the outer one for a response of 120." in weak
    assert f"L0.0 {curves.OUTER:.1f}L" in curves.radial(curve(ANGLES, responses, 90.0), "3b:6")


def test_a_family_is_drawn_with_one_hue_an_orientation():
    members = [
        curves.Tuning(
            f"3b:{peak}", f"/{peak}/", ANGLES, [max(0.0, 30 - abs(angle - peak)) for angle in ANGLES], peak, chips.EMPTY
        )
        for peak in (90.0, 180.0)
    ]
    svg = curves.joint(members, stimulus="curve")
    assert 'fill="hsl(90 65% 52%)"' in svg
    assert 'fill="hsl(180 65% 52%)"' in svg
    assert "<title>3b:90.0, peak 90°</title>" in svg
    assert svg.count("<a href") == 2


def points(svg: str, name: str) -> list[tuple[float, float]]:
    path = re.search(rf'class="{name}" d="M([^"Z]+)', svg)[1]
    return [tuple(map(float, point.split())) for point in path.split("L")]


def test_other_curves_are_faint_and_to_the_same_scale():
    flat = [10.0] * 720
    svg = curves.radial(curve(ANGLES, [5.0] * 720, 0.0, others=[(ANGLES, flat)]), "3b:1")
    reach = [sum(part**2 for part in point) ** 0.5 for point in points(svg, "faint")]
    assert reach == pytest.approx([curves.OUTER] * 180, abs=0.2)
    reach = [sum(part**2 for part in point) ** 0.5 for point in points(svg, "outline")]
    assert reach == pytest.approx([(curves.OUTER + curves.INNER) / 2] * 720, abs=0.2)


def test_hues_are_shown_as_they_are():
    hues = curves.Curve("hue", "hue", "degrees", 360.0, [0.0, 90.0, 180.0, 270.0], [0.0, 1.0, 0.0, 0.0], 90.0)
    svg = curves.tuning(hues, "3b:1", face="/face.webp")
    assert 'class="hues"' in svg
    assert svg.count('stroke="hsl(') > 60
    assert face(svg) == pytest.approx((0, 135), abs=1)


def test_a_plot_along_an_axis_marks_zero_and_the_peak():
    svg = curves.tuning(linear([2.0, 4.0, 8.0], [0.0, 10.0, -2.0], 4.0), "3b:1", unit="sd")
    assert "Response of 3b:1 to spots on a surround by radius" in svg
    assert "radius from 2 to 8 pixels along the bottom: peak at 4 pixels" in svg
    assert "Its height stands for a response of 10 sd." in svg
    zero = curves.HIGH * 10 / 12
    drawn = [part for point in points(svg, "outline") for part in point]
    assert drawn == pytest.approx([0, zero, curves.WIDE / 3, 0, curves.WIDE, curves.HIGH], abs=0.1)
    assert f'class="zero" d="M0 {zero:.1f}H' in svg
    assert f'class="peak" d="M{curves.WIDE / 3:.1f} 0V{zero:.1f}"' in svg


def test_what_only_inhibits_squeezes_nothing():
    svg = curves.linear(linear([0.0, 1.0], [-100.0, 1.0], 1.0), "3b:1")
    assert points(svg, "outline")[0] == pytest.approx((0, curves.HIGH))
    assert f'class="zero" d="M0 {curves.HIGH / 1.35:.1f}H' in svg


def test_a_histogram_is_logarithmic_and_adds_up_to_the_expected_value():
    svg = curves.histogram("3b:1", [-1.0, 0.0, 1.0, 2.0], [10, 989, 1], 0.4)
    heights = [float(high) for high in re.findall(r"v-([\d.]+)h-", re.search(r'class="bars" d="([^"]+)"', svg)[1])]
    assert heights[2] == pytest.approx(4)  # a single sample of a thousand: the lowest decade
    assert heights[0] - heights[2] == pytest.approx((curves.UPPER - 8) / 3, abs=0.1)  # ten times as many
    lowers = float(re.search(r'class="inhibit" d="M[^v]+v([\d.-]+)', svg)[1])
    raises = [float(high) for high in re.findall(r"v(-[\d.]+)h", re.search(r'class="excite" d="([^"]+)"', svg)[1])]
    assert lowers > 0 > max(raises)
    assert raises[0] / raises[1] == pytest.approx(989 * 0.5 / (1 * 1.5), rel=0.05)
    assert -raises[0] + lowers == pytest.approx(curves.LOWER - 26, abs=0.1)  # each side fills its own part
    assert f'class="zero" d="M{curves.PLOT / 3:.1f} 0V' in svg


def test_a_histogram_of_one_value_is_drawn():
    assert "<svg" in curves.histogram("3b:1", [0.0, 0.0], [5], 0.0)
    assert "<svg" in curves.histogram("3b:1", [1.0, 2.0], [0], 1.5)


def test_turned_examples_lie_around_the_preferred_orientation():
    angles = [0, 90, 180, 270]
    svg = curves.turned(
        "Curves", angles, [(0.0, [1.0, 0.0, 0.0, 0.0]), (120.0, [1.0, 0.5, 0.0, 0.5])], [1.0, 0.25, 0, 0.25]
    )
    top = min(points(svg, "outline"), key=lambda point: point[1])
    assert top[0] == pytest.approx(curves.WIDE * 2 / 3, abs=0.1)  # from -180 to 90, 0 lies at two thirds
    assert 'stroke="hsl(120 65% 52%)"' in svg
