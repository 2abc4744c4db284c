"""One pass over a set of pictures: opening, preprocessing, and the best of every channel, with flat memory."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import IO

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor
from torchvision.transforms import functional as TF

from workers.figures import Picture
from workers.network import Network, Preprocessing

MAX_PIXELS = 64_000_000  # a picture that claims more is not decoded: a few bytes can claim gigabytes
READERS = 2  # threads that decode pictures while the network works


class PictureError(Exception):
    """A picture that cannot be used: its name, and a sentence that says why."""

    def __init__(self, name: str, sentence: str) -> None:
        super().__init__(f"{name}: {sentence}")
        self.name = name
        self.sentence = sentence


class Pictures:
    """Named pictures, opened when they are needed.

    `opener(i)` gives the path of picture i, or its open file; it is called from several threads at once.
    """

    def __init__(self, names: Sequence[str], opener: Callable[[int], Path | IO[bytes]]) -> None:
        self.names = tuple(names)
        self._opener = opener

    def __len__(self) -> int:
        return len(self.names)

    def open(self, index: int) -> Image.Image:
        """Picture `index`, decoded, upright, in RGB. PictureError where it is missing, damaged or far too large."""
        name = self.names[index]
        try:
            with Image.open(self._opener(index)) as image:
                if image.width * image.height > MAX_PIXELS:
                    raise PictureError(
                        name,
                        f"it claims {image.width} x {image.height} pixels, and at most {MAX_PIXELS:,} are decoded.",
                    )
                return ImageOps.exif_transpose(image).convert("RGB")
        except FileNotFoundError as error:
            raise PictureError(name, "its file is missing.") from error
        except UnidentifiedImageError as error:
            raise PictureError(name, "it is not a picture of a known format.") from error
        except Image.DecompressionBombError as error:
            raise PictureError(name, "it claims far more pixels than are decoded.") from error
        except (OSError, ValueError, SyntaxError, EOFError) as error:  # what Pillow's decoders raise
            raise PictureError(name, f"it cannot be decoded ({error}).") from error


def preprocess(image: Image.Image, preprocessing: Preprocessing) -> Picture:
    """The part of a picture that the network sees, (size, size, 3): short side resized (bilinear with antialias), then
    the centre. As torchvision's Resize and CenterCrop do.
    """
    resized = TF.resize(image, [preprocessing.resize], antialias=True)
    return np.asarray(TF.center_crop(resized, [preprocessing.size]))


def read(images: Pictures, index: int, preprocessing: Preprocessing) -> Picture:
    """Picture `index`, opened and preprocessed.

    PictureError also for one so long and thin that it would be immense once its short side is resized.
    """
    image = images.open(index)
    if preprocessing.resize**2 * max(image.size) / min(image.size) > MAX_PIXELS:
        raise PictureError(
            images.names[index], f"{image.width} x {image.height} pixels are too long and thin to resize."
        )
    return preprocess(image, preprocessing)


def to_input(pictures: Sequence[Picture], device: torch.device | str = "cpu") -> Tensor:
    """Preprocessed pictures as one batch (N, 3, size, size), RGB in [0, 1]."""
    batch = torch.from_numpy(np.stack(pictures)).to(device)
    # Already channels last in memory, the order in which convolutions are fastest.
    return batch.permute(0, 3, 1, 2).float().div(255)


def batches(images: Pictures, preprocessing: Preprocessing, size: int) -> Iterator[tuple[int, list[Picture]]]:
    """The preprocessed pictures in their order, `size` at a time, each list with the index of its first picture.

    The last list may be shorter. The next pictures are decoded while the caller works on these; at most two lists
    are held at any time.
    """

    with ThreadPoolExecutor(READERS) as pool:
        coming: deque[Future[Picture]] = deque()
        following = iter(range(len(images)))
        try:
            for first in range(0, len(images), size):
                for index in islice(following, 2 * size - len(coming)):
                    coming.append(pool.submit(read, images, index, preprocessing))
                yield first, [coming.popleft().result() for _ in range(min(size, len(images) - first))]
        finally:
            pool.shutdown(cancel_futures=True)


def activations(
    network: Network,
    layers: Sequence[str],
    images: Pictures,
    *,
    batch: int = 16,
    device: torch.device | str = "cpu",
    tick: Callable[[], None] = lambda: None,
) -> Iterator[tuple[int, dict[str, Tensor]]]:
    """Pre-ReLU values of the layers over all pictures, in one pass: (index of the first picture, values by layer).

    Values are (n, channels, rows, columns), n at most `batch`. The last batch is padded by its last picture for the
    pass through the network and cut afterwards: results of the same picture differ in the last digits between
    batches of different sizes, so all have the same.
    """
    for first, pictures in batches(images, network.preprocessing, batch):
        tick()
        padded = pictures + pictures[-1:] * (batch - len(pictures))
        with torch.inference_mode():
            found = network.activations(to_input(padded, device), layers)
        yield first, {layer: values[: len(pictures)] for layer, values in found.items()}


class Top:
    """For some channels of a layer, the best images so far, best first, each image at its best position.

    `values`, `images` and `positions` are (channels, k), where k grows to `size`; a position is (row * columns +
    column). `sound` and `varied` are (channels,): whether every value was a finite number, and whether there were two
    different ones.
    """

    def __init__(self, channels: Sequence[int], size: int, device: torch.device | str = "cpu") -> None:
        self.channels = torch.tensor(channels, dtype=torch.long, device=device)
        self.size = size
        self.columns = 0
        self.values = torch.empty(len(channels), 0, device=device)
        self.images = torch.empty(len(channels), 0, dtype=torch.long, device=device)
        self.positions = self.images
        self.sound = torch.ones(len(channels), dtype=torch.bool, device=device)
        self.varied = ~self.sound
        self._level = torch.full((len(channels),), torch.nan, device=device)  # the first value seen

    def add(self, first: int, values: Tensor) -> None:
        """Take in the layer's values (n, all its channels, rows, columns) over images first, first + 1, ...

        Ties go to the image that came first, and within an image to the first position in reading order.
        """
        if not self.columns:
            self._level = values[0, self.channels, 0, 0]
        self.columns = values.shape[3]
        rows = values.permute(0, 2, 3, 1).amax(2)  # channels last, as they lie in memory: several times as fast
        peaks = rows.amax(1)[:, self.channels].T
        self.sound &= peaks.isfinite().all(1)
        still = ~self.varied
        if still.any():  # hardly ever after the first batch
            lowest = values[:, self.channels[still]].amin((0, 2, 3))
            self.varied[still] = (lowest != self._level[still]) | (peaks[still].amax(1) != self._level[still])
        arrived = torch.arange(first, first + len(values), device=self.images.device).expand(len(peaks), -1)
        merged = torch.cat([self.values, peaks], 1)
        # A stable sort keeps the order of arrival among equals.
        order = merged.argsort(dim=1, descending=True, stable=True)[:, : self.size]
        self.values = merged.gather(1, order)
        self.images = torch.cat([self.images, arrived], 1).gather(1, order)
        self.positions = torch.cat([self.positions, torch.zeros_like(arrived)], 1).gather(1, order)
        # Where its peak is matters only for an image that got in, and after the first batches few do: its first row
        # with the peak, and the first column of that row.
        entry, rank = (self.images >= first).nonzero(as_tuple=True)
        image, channel = self.images[entry, rank] - first, self.channels[entry]
        row = rows[image, :, channel].argmax(1)
        self.positions[entry, rank] = row * self.columns + values[image, channel, row].argmax(1)
