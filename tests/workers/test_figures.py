import numpy as np
import torch

from workers import figures


def test_brightness_from_0_to_1_becomes_0_to_255():
    values = np.array([[0.0, 0.5, 1.0], [-3.0, 1 / 255, 7.0]])
    picture = figures.to_uint8(values)
    assert picture.shape == (2, 3, 3)
    assert picture[:, :, 0].tolist() == [[0, 128, 255], [0, 1, 255]]
    assert np.array_equal(picture[:, :, 0], picture[:, :, 2])
    colours = torch.zeros(3, 2, 5)
    colours[0], colours[2, 1, 4] = 1.0, 0.2
    picture = figures.to_uint8(colours)
    assert picture.shape == (2, 5, 3)
    assert picture[1, 4].tolist() == [255, 0, 51]
    assert picture.flags["C_CONTIGUOUS"]


def test_signed_values_are_grey_at_zero():
    picture = figures.signed_to_uint8(np.array([[-2.0, 0.0, 2.0]]), scale=2.0)
    assert picture[0, :, 0].tolist() == [0, 128, 255]
    assert (figures.signed_to_uint8(np.zeros((2, 2)), scale=0.0) == 128).all()


def test_enlarging_invents_no_value():
    picture = figures.to_uint8(np.array([[0.0, 1.0]]))
    assert figures.enlarge(picture, 3)[:, :, 1].tolist() == [[0, 0, 0, 255, 255, 255]] * 3


def test_encoding_is_lossless_and_always_the_same():
    picture = np.random.default_rng(0).integers(0, 256, (17, 31, 3), dtype=np.uint8)
    data = figures.encode(picture)
    assert data[:4] == b"RIFF"
    assert data[8:12] == b"WEBP"
    assert figures.encode(picture.copy()) == data
    assert np.array_equal(figures.decode(data), picture)


def test_diverging_is_white_at_nothing_and_even_on_both_sides():
    (row,) = figures.diverging(np.array([[0.0, 2.0, 1.0, -2.0, -9.0]]), 2.0).tolist()
    red, blue = (figures.EXCITES * 255).round().tolist(), (figures.INHIBITS * 255).round().tolist()
    assert row[0] == [255] * 3
    assert (row[1], row[3], row[4]) == (red, blue, blue)
    assert row[2] == [round((255 + value) / 2) for value in red]
    assert (figures.diverging(np.zeros((2, 3)), 0.0) == 255).all()


def test_heat_lies_over_its_cells_and_fades_between():
    photograph = np.zeros((9, 9, 3), dtype=np.uint8)
    picture = figures.heat(photograph, np.array([[1.0, 0.0], [0.0, -0.5]]), start=2, stride=4).astype(int)
    redder = picture[..., 0] - picture[..., 2]
    assert redder[2, 2] == redder.max() > 100  # the middle of the first cell
    assert redder[6, 6] == redder.min() < 0
    assert 0 < redder[2, 4] < redder[2, 2]
    assert redder[2, 6] == redder[6, 2] == 0
    assert picture[2, 6].tolist() == [round(0.35 * 255)] * 3
    blank = figures.heat(photograph, np.zeros((2, 2)), start=2, stride=4)
    assert len(np.unique(blank)) == 1
