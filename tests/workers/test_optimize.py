import copy

import pytest
import torch
from torch import nn

from tests import tiny
from workers import optimize, parameterization, transforms

STILL = torch.full((1, transforms.DRAWS), 0.5)  # the middle of every range


def generators(*seeds: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def left_half(pictures: torch.Tensor) -> torch.Tensor:
    half = pictures.shape[-1] // 2
    return pictures[..., :half].mean((1, 2, 3)) - pictures[..., half:].mean((1, 2, 3))


@pytest.mark.parametrize("size", [7, 8, 33])
def test_the_first_picture_is_nearly_grey(size):
    waves = parameterization.initial_waves(generators(0, 1), size, grey=False)
    pictures = parameterization.to_pictures(waves, parameterization.wave_scale(size))
    assert pictures.shape == (2, 3, size, size)
    assert (pictures - 0.5).abs().max() < 0.1
    assert not torch.equal(pictures[0], pictures[1])


def test_a_grey_picture_has_three_equal_channels():
    waves = 20 * parameterization.initial_waves(generators(0), 9, grey=True)
    picture = parameterization.to_pictures(waves, parameterization.wave_scale(9))[0]
    assert torch.equal(picture[0], picture[1])
    assert torch.equal(picture[0], picture[2])
    assert picture.std() > 0.01


def test_low_frequencies_are_strong_and_the_finest_are_damped():
    scale = parameterization.wave_scale(64)
    assert scale[0, 0] == scale[0, 1] == scale[1, 0] == scale.max()
    assert scale[0, 32] < scale[0, 1] / 32 / 5


def test_the_middle_of_every_range_changes_nothing():
    picture = torch.rand(1, 3, 11, 11, generator=generators(0)[0])
    assert torch.allclose(transforms.apply(picture, STILL), picture, atol=1e-5)
    other = transforms.draw(generators(1)[0], 1)
    assert not torch.allclose(transforms.apply(picture, other), picture, atol=0.01)
    assert torch.allclose(transforms.apply(picture, other, strength=0.0), picture, atol=1e-5)


def test_a_shift_moves_by_pixels_and_brings_in_grey():
    size = transforms.FULL_SIZE
    picture = torch.zeros(1, 3, size, size)
    picture[..., 10] = 1.0
    draws = STILL.clone()
    draws[0, 0] = 1.0  # half of the first jitter, to the right in the picture, so the line moves left
    moved = transforms.apply(picture, draws)
    assert torch.allclose(moved[0, 0, 5, 4:9], torch.tensor([0.0, 0.0, 1.0, 0.0, 0.0]), atol=1e-4)
    assert torch.allclose(moved[..., -4:], torch.tensor(0.5), atol=1e-4)


def test_small_pictures_move_less():
    draws = torch.ones(1, transforms.DRAWS)
    draws[0, 4:] = 0.5
    pixels = [float(transforms.affine(draws, size)[0, 0, 2]) * size / 2 for size in (16, 128, 256)]
    assert pixels == pytest.approx([6 / 8, 6, 6])


def test_maximise_finds_the_obvious_picture():
    (picture,) = optimize.maximise(left_half, generators(0), 12, steps=200)[200]
    assert picture[..., :5].mean() > 0.7
    assert picture[..., 7:].mean() < 0.3


def test_a_picture_without_a_gradient_gets_louder_until_it_has_one():
    def threshold(pictures: torch.Tensor) -> torch.Tensor:  # nothing for the first, nearly grey pictures
        return torch.relu((pictures - 0.5).abs().mean((1, 2, 3)) - 0.1)

    pictures = optimize.maximise(threshold, generators(0, 1), 8, steps=100)[100]
    assert threshold(pictures).min() > 0.05
    never = optimize.maximise(lambda pictures: 0 * pictures.sum((1, 2, 3)), generators(0), 8, steps=20)[20]
    assert never.isfinite().all()


def test_a_picture_depends_on_its_own_seed_alone():
    first = optimize.maximise(left_half, generators(1, 2, 3), 8, steps=10)[10]
    again = optimize.maximise(left_half, generators(1, 2, 3), 8, steps=10)[10]
    other = optimize.maximise(left_half, generators(3, 5, 1), 8, steps=10)[10]
    assert torch.equal(first, again)
    assert torch.allclose(first[0], other[2], atol=1e-5)
    assert torch.allclose(first[2], other[0], atol=1e-5)
    assert not torch.allclose(first[1], other[1], atol=1e-3)


def test_the_global_random_state_is_left_alone():
    before = torch.random.get_rng_state()
    optimize.maximise(left_half, generators(0), 8, steps=3)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_tick_is_called_in_every_step_and_can_stop_it():
    calls = []

    def tick():
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        optimize.maximise(left_half, generators(0), 8, steps=10, tick=tick)
    assert len(calls) == 3


def test_snapshots_show_the_way():
    whole = optimize.maximise(left_half, generators(0, 1), 8, steps=6, snapshots=(0, 4, 6, 48))
    assert list(whole) == [0, 4, 6]
    waves = parameterization.initial_waves(generators(0, 1), 8, grey=False)
    assert torch.equal(whole[0], parameterization.to_pictures(waves, parameterization.wave_scale(8)))
    heights = [float(left_half(pictures).min()) for pictures in whole.values()]
    assert heights[0] < heights[1] < heights[2]


def test_a_climb_measures_the_goal_at_the_pictures_as_shown():
    climbed = optimize.climb(left_half, [3, 4], 8, steps=20, snapshots=(4,))
    assert torch.equal(climbed.pictures, optimize.quantised(climbed.pictures))
    assert torch.equal(climbed.reached, left_half(climbed.pictures))
    assert torch.equal(climbed.plain, torch.zeros(2))
    assert climbed.snapshots.keys() == {4}
    assert torch.equal(climbed.snapshots[4], optimize.quantised(climbed.snapshots[4]))


def test_what_is_climbed_may_differ_from_what_is_measured():
    climbed = optimize.climb(left_half, [3], 8, steps=50, draft=lambda pictures: -left_half(pictures))
    assert climbed.reached[0] < -0.2  # the draft was climbed, the goal was measured


def test_a_climb_that_ends_below_grey_is_tried_again_louder():
    def far(pictures: torch.Tensor) -> torch.Tensor:  # falls in the neighbourhood of grey, and rises beyond it
        contrast = (pictures - 0.5).abs().mean((1, 2, 3))
        return contrast * (contrast - 0.05)

    quiet = optimize.maximise(far, generators(5), 8, steps=100)[100]
    assert far(quiet) <= 0
    assert optimize.climb(far, [5], 8, steps=100).reached > 0.05


def test_nothing_found_is_told_by_what_is_reached():
    (never,) = optimize.climb(lambda pictures: 0 * pictures.sum((1, 2, 3)), [0], 4, steps=3).reached
    assert never == 0
    broken = optimize.climb(lambda pictures: torch.nan * pictures.sum((1, 2, 3)), [0], 4, steps=3)
    assert broken.reached.isnan().all()
    assert broken.pictures.shape == (1, 3, 4, 4)


def test_the_centred_unit_sees_the_picture():
    network = tiny.branchy()
    field = network.layer("fire").fields[2]
    pictures = torch.rand(2, 3, field.size, field.size, generator=generators(0)[0])
    large = torch.full((2, 3, 33, 33), 0.5)
    left, top, right, bottom = field.box(4, 4)
    large[:, :, top:bottom, left:right] = pictures
    expected = network.activations(large, ["fire"])["fire"][:, :, 4, 4]
    assert torch.allclose(optimize.centred(network, "fire", field, pictures), expected, atol=1e-5)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 0.05)])
def test_quick_values_are_those_of_the_network(dtype, tolerance):
    network = tiny.branchy()
    before = copy.deepcopy(network.state_dict())
    pictures = torch.rand(2, 3, 17, 17, generator=generators(1)[0], requires_grad=True)
    values = optimize.quick(network, "fire", dtype)(pictures)
    exact = network.between(pictures, None, "fire")
    assert values.dtype == torch.float32
    assert torch.allclose(values, exact, rtol=tolerance, atol=tolerance)
    (mine,) = torch.autograd.grad(values.sum(), pictures)
    (theirs,) = torch.autograd.grad(exact.sum(), pictures)
    assert torch.allclose(mine, theirs, rtol=tolerance, atol=tolerance)
    after = network.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_quick_values_of_an_early_layer_do_not_need_the_rest():
    network = tiny.two_conv()
    network.stages["second"] = nn.Linear(1, 1)  # would fail
    pictures = torch.rand(1, 3, 17, 17, generator=generators(1)[0])
    values = optimize.quick(network, "first")(pictures)
    assert torch.allclose(values, network.between(pictures, None, "first"), atol=1e-5)
