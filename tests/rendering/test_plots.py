import pytest

from taxonomy.models import Layer
from taxonomy.rendering import chips, plots
from taxonomy.templatetags.site import duration, number, share
from tests.factory import make_evidence, make_layer


def test_a_kernel_is_red_where_it_excites_and_blue_where_it_inhibits():
    svg = plots.kernel_grid([[1.0, -0.5], [0.0, 0.25]], 1.0)
    assert '<path class="e" fill-opacity="1.00" d="M0 0h1v1h-1z"/>' in svg
    assert '<path class="i" fill-opacity="0.50" d="M1 0h1v1h-1z"/>' in svg
    assert svg.count("<path") == 3  # nothing is drawn for zero
    assert "strongest weight +1" in svg


def test_a_kernel_of_zeros_is_empty_ground():
    assert "<path" not in plots.kernel_grid([[0.0]], 0.0)


def test_a_face_is_a_window_on_the_sprite(db):
    from taxonomy.actions.sprites import build_sprite

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
