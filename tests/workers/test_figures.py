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
