import gc
import io
import itertools
import struct
import threading
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import transforms

from tests import tiny
from tests.shared import DATA, needs_data
from workers import zoo
from workers.network import Network, Preprocessing
from workers.scan import (
    EDGES,
    POSITIONS,
    PictureError,
    Pictures,
    Survey,
    activations,
    batches,
    preprocess,
    read,
    survey,
    to_input,
)


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
    assert [list(part) for part, _ in found] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10]]
    assert np.array_equal(np.stack([picture for _, read_ in found for picture in read_]), np.stack(arrays))
    some = list(batches(pictures(arrays), tiny.preprocessing(17), 2, [9, 1, 4]))
    assert [list(part) for part, _ in some] == [[9, 1], [4]]
    assert np.array_equal(some[1][1][0], arrays[4])


def test_a_pass_can_be_stopped_at_any_batch():
    calls = []

    def tick():
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        survey(tiny.two_conv(), ["second"], pictures(noise(20)), batch=4, tick=tick)
    assert len(calls) == 2


def values_of(network: Network, layer: str, images: Pictures, batch: int) -> np.ndarray:
    """All values (n, channels, rows, columns), by the same padded batches."""
    found = activations(network, [layer], images, batch=batch)
    return torch.cat([values[layer] for _, values in found]).numpy()


@pytest.mark.parametrize("layer", ["first", "fire"])
def test_extremes_and_best_pictures_are_those_of_all_values(layer):
    network, images = tiny.branchy(), pictures(noise(23))
    found = survey(network, [layer], images, batch=4)[layer]
    values = values_of(network, layer, images, 4)
    n, channels, rows, columns = values.shape
    assert (found.first, found.last, found.rows, found.columns) == (0, n, rows, columns)
    flat = values.reshape(n, channels, -1)
    for channel in range(channels):
        peaks, places = flat[:, channel].max(1), flat[:, channel].argmax(1)
        best = sorted(range(n), key=lambda index: (-peaks[index], index))[:9]
        assert found.images[channel].tolist() == best
        assert found.values[channel].tolist() == peaks[best].tolist()
        assert found.positions[channel].tolist() == places[best].tolist()
        assert found.peaks[:, channel].tolist() == peaks.tolist()
        lowest = int(flat[:, channel].argmin())
        assert float(found.minimum[channel]) == flat[:, channel].min()
        image, position = divmod(lowest, rows * columns)
        assert (int(found.minimum_image[channel]), int(found.minimum_position[channel])) == (image, position)
        assert float(found.maximum[channel]) == flat[:, channel].max()


def test_ties_go_to_the_earlier_picture_and_position():
    images = pictures([np.full((17, 17, 3), 90, dtype=np.uint8)] * 11)
    found = survey(tiny.two_conv(), ["first"], images, batch=4)["first"]
    # Grey everywhere: the columns at the border, whose padding is black, are the only ones that differ.
    assert found.images[0].tolist() == list(range(9))
    assert found.positions[0].tolist() == [17] * 9  # an edge over three rows, from the second row on
    assert (int(found.minimum_image[0]), int(found.minimum_position[0])) == (0, 17 + 16)


def test_drawn_values_are_at_the_same_relative_place_in_all_layers():
    network, images = tiny.two_conv(), pictures(noise(30))
    found = survey(network, ["first", "second"], images, batch=4)
    for layer, each in found.items():
        values = values_of(network, layer, images, 4).reshape(30, -1, each.rows * each.columns)
        assert each.kept.tolist() == list(range(30))
        expected = values[np.arange(30), :, each.places]
        assert np.array_equal(each.drawn, expected)
    first, second = found["first"], found["second"]  # 17 x 17 and 8 x 8
    assert len(set(first.places.tolist())) > 15
    apart = first.places // 17 / 17 - second.places // 8 / 8
    assert -1 / 8 < float(apart.min()) <= float(apart.max()) < 1 / 8


def test_sums_and_histogram_are_those_of_the_drawn_positions(monkeypatch):
    """With every position drawn, they are those of all values."""
    network, images = tiny.branchy(), pictures(noise(12))
    every = np.stack(np.meshgrid((np.arange(8) + 0.5) / 8, (np.arange(8) + 0.5) / 8, indexing="ij"), -1).reshape(64, 2)
    monkeypatch.setattr("workers.scan._drawn_places", lambda index: every)
    found = survey(network, ["first", "fire"], images, batch=5)
    for layer, each in found.items():
        values = values_of(network, layer, images, 5).astype(np.float64).swapaxes(0, 1).reshape(len(each.sound), -1)
        assert each.samples == values.shape[1] == 12 * POSITIONS
        assert each.mean == pytest.approx(values.mean(1), rel=1e-12)
        assert each.sd == pytest.approx(values.std(1), rel=1e-9)
        assert each.above.tolist() == (values > 0).sum(1).tolist()
        for channel, of_channel in enumerate(values):
            inner = EDGES[1:-1]
            below = [int((of_channel < edge if edge else of_channel <= 0).sum()) for edge in inner[inner >= 0]]
            counts = each.counts[channel].cumsum(0).tolist()
            assert counts[-len(below) - 1 : -1] == below
            assert counts[-1] == each.samples
            for share in (0.001, 0.01, 0.3, 0.5, 0.95, 0.999):
                (found_quantile,) = each.quantiles(channel, [share])
                exact = np.quantile(of_channel, share, method="inverted_cdf")
                assert found_quantile == pytest.approx(exact, rel=1 / 32, abs=4e-6)


@pytest.mark.parametrize("cuts", [(8,), (4, 8, 20), (20,)])
def test_parts_equal_one_pass_to_the_byte(cuts):
    network, images = tiny.branchy(), pictures(noise(23))
    whole = survey(network, ["first", "fire"], images, batch=4)
    limits = [0, *cuts, 23]
    parts = [
        survey(network, ["first", "fire"], images, first=first, last=last, batch=4)
        for first, last in itertools.pairwise(limits)
    ]
    for layer, expected in whole.items():
        stored = [part[layer].to_bytes() for part in parts]
        assert Survey.merge(map(Survey.from_bytes, stored)).to_bytes() == expected.to_bytes()
        # In whatever groups they are merged.
        ahead = Survey.merge([part[layer] for part in parts[:-1]])
        assert Survey.merge([ahead, parts[-1][layer]]).to_bytes() == expected.to_bytes()


def test_parts_that_do_not_follow_each_other_are_refused():
    network, images = tiny.branchy(), pictures(noise(8))
    first, last = (survey(network, ["first", "fire"], images, first=a, last=a + 2, batch=2) for a in (0, 4))
    with pytest.raises(ValueError, match="ends before picture 2"):
        Survey.merge([first["fire"], last["fire"]])
    with pytest.raises(ValueError, match="different layers"):
        Survey.merge([first["fire"], survey(network, ["first"], images, first=2, last=4, batch=2)["first"]])
    with pytest.raises(ValueError, match="no surveys"):
        Survey.merge([])
    with pytest.raises(ValueError, match="no images"):
        survey(network, ["first"], pictures([]))


def test_constant_and_broken_channels_are_told():
    network = tiny.one_conv()
    network.stages["conv"].bias[0] = torch.nan
    network.stages["conv"].bias[1] = torch.inf
    found = survey(network, ["conv"], pictures(noise(5, 9)), batch=2)["conv"]
    assert "finite" in found.failure(0)
    assert "finite" in found.failure(1)
    assert found.failure(2) == ""
    assert "dead" in found.failure(3)


def test_what_is_kept_of_single_pictures_is_bounded(monkeypatch):
    monkeypatch.setattr("workers.scan.KEPT", 10)
    network, images = tiny.branchy(), pictures(noise(40))
    whole = survey(network, ["fire"], images, batch=4)["fire"]
    assert len(whole.kept) == len(whole.peaks) == len(whole.drawn) == len(whole.places) == 10
    assert whole.kept.tolist() == sorted(set(whole.kept.tolist()))
    assert whole.kept.max() > 10
    limits = list(range(0, 44, 4))
    parts = [survey(network, ["fire"], images, first=a, last=b, batch=4)["fire"] for a, b in itertools.pairwise(limits)]
    assert any(len(part.kept) == 0 for part in parts)
    assert Survey.merge(parts).to_bytes() == whole.to_bytes()
    assert whole.samples == 40 * POSITIONS


def test_memory_does_not_grow_with_the_number_of_pictures(monkeypatch):
    monkeypatch.setattr("workers.scan.KEPT", 32)
    array = noise(1)[0]
    network = tiny.branchy()

    def held(count: int) -> tuple[list[int], list[int], int]:
        """Bytes of the tensors that are alive at every 40th batch, of all that Python and numpy hold there, and of the
        surveys in the end."""
        tensors, python, calls = [], [], itertools.count()

        def tick() -> None:
            if next(calls) % 40 == 39:
                gc.collect()
                python.append(tracemalloc.get_traced_memory()[0])
                storages = [each.untyped_storage() for each in gc.get_objects() if type(each) is torch.Tensor]
                tensors.append(sum({storage.data_ptr(): storage.nbytes() for storage in storages}.values()))

        one = pictures([array])
        images = Pictures([str(index) for index in range(count)], lambda _: one._opener(0))
        tracemalloc.start()
        found = survey(network, ["first", "fire"], images, batch=4, tick=tick)
        tracemalloc.stop()
        of_surveys = sum(
            value.nbytes for each in found.values() for value in vars(each).values() if torch.is_tensor(value)
        )
        return tensors, python, of_surveys

    held(160)  # whatever is loaded and traced for the first time
    few, many = held(160), held(2000)
    assert few[2] == many[2]
    assert max(many[0]) <= 1.05 * max(few[0])
    # 1,760 pictures passed meanwhile, of 867 bytes and 275 values each; a few single values are kept of 32 of them.
    assert many[1][-1] - many[1][0] < 300_000


@pytest.mark.slow
@pytest.mark.parametrize("name", zoo.ARCHITECTURES)
def test_what_is_overwritten_on_the_way_changes_no_value(name):
    torch.manual_seed(0)
    architecture = zoo.ARCHITECTURES[name]
    network, images = architecture.network(name, architecture.factory()), pictures(noise(2, 256))
    layers = [layer.name for layer in network.layers]
    found = survey(network, layers, images, batch=2)
    ((_, values),) = activations(network, layers, images, batch=2)
    for layer in layers:
        assert torch.equal(found[layer].peaks, values[layer].amax((2, 3)))
        assert torch.equal(found[layer].minimum, values[layer].amin((0, 2, 3)))


@needs_data
@pytest.mark.slow
def test_one_picture_at_a_time_gives_the_same_survey():
    """Of every channel of SqueezeNet on real pictures: the same best pictures and positions except ties, and values."""
    network = zoo.load("squeezenet1_0", DATA / "squeezenet1_0" / "squeezenet1_0.safetensors")
    files = sorted((DATA / "imagenet-samples").glob("*.jpg"))
    images = Pictures([file.name for file in files], lambda index: files[index])
    layers = [layer.name for layer in network.layers]
    found = survey(network, layers, images)
    alone = {layer: torch.empty(len(images), len(found[layer].sound)) for layer in layers}
    lowest = {layer: torch.full((len(found[layer].sound),), torch.inf) for layer in layers}
    for (index,), values in activations(network, layers, images, batch=1):
        for layer, of_layer in values.items():
            flat, each = of_layer[0].flatten(1), found[layer]
            alone[layer][index] = flat.amax(1)
            lowest[layer] = torch.minimum(lowest[layer], flat.amin(1))
            channel, rank = (each.images == index).nonzero(as_tuple=True)
            here = flat[channel, each.positions[channel, rank]]
            torch.testing.assert_close(here, each.values[channel, rank], rtol=1e-4, atol=0.0)
            torch.testing.assert_close(here, flat[channel].amax(1), rtol=1e-4, atol=0.0)
    for layer, each in found.items():
        torch.testing.assert_close(each.minimum, lowest[layer], rtol=1e-4, atol=0.0)
        # Rank by rank, whichever picture has it: pictures in another order are ties.
        best = alone[layer].sort(0, descending=True).values[:9].T
        torch.testing.assert_close(each.values, best, rtol=1e-4, atol=0.0)
        torch.testing.assert_close(each.peaks, alone[layer], rtol=1e-4, atol=0.1)
