import io
import struct
import threading
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import transforms

from tests import tiny
from workers.network import Preprocessing
from workers.scan import PictureError, Pictures, Top, activations, batches, preprocess, read, to_input


def pictures(arrays: list[np.ndarray]) -> Pictures:
    """A set of pictures held in memory, as PNG files."""

    def opener(index: int) -> io.BytesIO:
        file = io.BytesIO()
        Image.fromarray(arrays[index]).save(file, format="PNG")
        file.seek(0)
        return file

    return Pictures([f"picture {index}" for index in range(len(arrays))], opener)


def noise(count: int, size: int = 17, seed: int = 0) -> list[np.ndarray]:
    generator = np.random.default_rng(seed)
    return [generator.integers(0, 256, (size, size, 3), dtype=np.uint8) for _ in range(count)]


def claiming(width: int, height: int) -> bytes:
    """A PNG file of a few bytes that claims to be this large."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize(("width", "height"), [(60, 40), (41, 77), (30, 30)])
def test_preprocessing_is_that_of_torchvision(width, height):
    image = Image.fromarray(np.random.default_rng(1).integers(0, 256, (height, width, 3), dtype=np.uint8))
    reference = transforms.Compose([transforms.Resize(32), transforms.CenterCrop(27), transforms.ToTensor()])(image)
    preprocessing = Preprocessing(32, 27, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    assert torch.equal(to_input([preprocess(image, preprocessing)])[0], reference)


def test_pictures_are_upright_and_rgb():
    file = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6  # turn clockwise to show
    Image.new("L", (4, 2)).save(file, format="PNG", exif=exif)
    image = Pictures(["turned"], lambda _: io.BytesIO(file.getvalue())).open(0)
    assert (image.mode, image.size) == ("RGB", (2, 4))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (claiming(50_000, 50_000), "pixels"),
        (claiming(9_000, 9_000), "pixels"),
        (claiming(8, 8), "cannot be decoded"),
        (b"not a picture", "not a picture"),
        (b"", "not a picture"),
    ],
)
def test_unusable_pictures_are_refused_by_name(content, reason):
    images = Pictures(["bad.png"], lambda _: io.BytesIO(content))
    with pytest.raises(PictureError, match=f"bad.png.*{reason}") as caught:
        images.open(0)
    assert caught.value.name == "bad.png"
    assert caught.value.sentence.endswith(".")


def test_a_missing_and_an_immensely_long_picture_are_refused(tmp_path: Path):
    with pytest.raises(PictureError, match="missing"):
        Pictures(["gone"], lambda _: tmp_path / "gone.png").open(0)
    Image.new("RGB", (60_000, 1)).save(tmp_path / "thin.png")
    with pytest.raises(PictureError, match="thin"):
        read(Pictures(["thin"], lambda _: tmp_path / "thin.png"), 0, Preprocessing(256, 224, (0.0,) * 3, (1.0,) * 3))


def test_a_bad_picture_stops_the_pass_and_leaves_no_thread():
    arrays = noise(20)
    good = pictures(arrays)
    images = Pictures(good.names, lambda i: io.BytesIO(b"") if i == 7 else good._opener(i))
    before = threading.active_count()
    with pytest.raises(PictureError, match="picture 7"):
        list(batches(images, tiny.preprocessing(17), 4))
    assert threading.active_count() == before


def test_batches_come_in_order_and_the_last_is_shorter():
    arrays = noise(11)
    found = list(batches(pictures(arrays), tiny.preprocessing(17), 4))
    assert [(first, len(part)) for first, part in found] == [(0, 4), (4, 4), (8, 3)]
    assert np.array_equal(np.stack([picture for _, part in found for picture in part]), np.stack(arrays))


def test_a_pass_can_be_stopped_at_any_batch():
    calls = []

    def tick():
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(activations(tiny.two_conv(), ["second"], pictures(noise(20)), batch=4, tick=tick))
    assert len(calls) == 2


def test_top_keeps_the_best_with_ties_to_the_earlier_image_and_position():
    top = Top([1, 0], size=2)
    # images x channels x rows x columns
    top.add(0, torch.tensor([[[[1.0, 5.0]], [[2.0, 0.0]]], [[[5.0, 5.0]], [[2.0, 2.0]]]]))
    top.add(2, torch.tensor([[[[5.0, 0.0]], [[1.0, 3.0]]]]))
    assert top.values.tolist() == [[3.0, 2.0], [5.0, 5.0]]
    assert top.images.tolist() == [[2, 0], [0, 1]]
    assert top.positions.tolist() == [[1, 0], [1, 0]]


def test_top_tells_constant_and_broken_channels():
    top = Top([0, 1, 2], size=1)
    top.add(0, torch.tensor([[[[1.0]], [[1.0]], [[torch.nan]]]]))
    top.add(1, torch.tensor([[[[1.0]], [[0.5]], [[2.0]]]]))
    assert top.varied.tolist()[:2] == [False, True]
    assert top.sound.tolist() == [True, True, False]
