"""One pass over a set of pictures: opening, preprocessing, and what every channel makes of them, with flat memory."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, fields
from itertools import islice
from pathlib import Path
from typing import IO, Any

import numpy as np
import safetensors.torch
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor, fx, nn
from torch.nn import functional as F
from torchvision.transforms import functional as TF

from workers.figures import Picture
from workers.network import Network, Preprocessing

MAX_PIXELS = 64_000_000  # a picture that claims more is not decoded: a few bytes can claim gigabytes
READERS = 2  # threads that decode pictures while the network works

SEED = 0  # of the positions and the pictures that are drawn: the same for every survey, so that surveys compare
TOP = 9  # pictures kept with their positions, for each channel
KEPT = 16_384  # pictures of which each channel's peak and drawn value are kept
POSITIONS = 64  # drawn in each picture
RELUS = (torch.relu, F.relu)

# The histogram's bins: a float32's sign, exponent and first bits of its mantissa, so that which bin a value is in is
# the same on every machine, and bins of parts add up. Smaller magnitudes than 2 ** LEAST count as zero's neighbours,
# larger ones than 2 ** (LEAST + OCTAVES) fall into the outermost bins.
MANTISSA = 5
LEAST, OCTAVES = -18, 36
_SHIFT = 23 - MANTISSA
_LOWEST = (LEAST + 127) << MANTISSA
MAGNITUDES = OCTAVES << MANTISSA
_UPWARD = (np.arange(_LOWEST, _LOWEST + MAGNITUDES, dtype=np.int32) << _SHIFT).view(np.float32).astype(np.float64)
_UPWARD = np.concatenate([[0.0], _UPWARD[1:], [np.inf]])
EDGES: NDArray[np.float64] = np.concatenate([-_UPWARD[:0:-1], _UPWARD])

CACHED = 2**20  # numbers that about fit into the caches of one core
ALONE = 2**15 - 1  # numbers that torch works on in one thread

# Sums are kept as whole numbers of these units, which add up to the same whatever is added first.
UNITS = tuple(2.0**exponent for exponent in (20, -20, -60, -100))


class PictureError(Exception):
    """A picture that cannot be used: its name, and a sentence that says why."""

    def __init__(self, name: str, sentence: str) -> None:
        super().__init__(f"{name}: {sentence}")
        self.name = name
        self.sentence = sentence


class Pictures:
    """Named pictures, opened when they are needed.

    `opener(i)` gives the path of picture i, or its open file; it is called from several threads at once. `labels` are
    the pictures' classes, as indices of a network's classes, None for one that has none; () where they do not matter.
    """

    def __init__(
        self, names: Sequence[str], opener: Callable[[int], Path | IO[bytes]], labels: Sequence[int | None] = ()
    ) -> None:
        self.names = tuple(names)
        self.labels = tuple(labels)
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


def batches(
    images: Pictures, preprocessing: Preprocessing, size: int, indices: Sequence[int] | None = None
) -> Iterator[tuple[Sequence[int], list[Picture]]]:
    """The preprocessed pictures of these indices (by default: of all) in their order, `size` at a time, each list with
    the indices of its pictures.

    The last list may be shorter. The next pictures are decoded while the caller works on these; at most two lists
    are held at any time.
    """
    chosen = range(len(images)) if indices is None else indices
    with ThreadPoolExecutor(READERS) as pool:
        coming: deque[Future[Picture]] = deque()
        following = iter(chosen)
        try:
            for first in range(0, len(chosen), size):
                for index in islice(following, 2 * size - len(coming)):
                    coming.append(pool.submit(read, images, index, preprocessing))
                part = chosen[first : first + size]
                yield part, [coming.popleft().result() for _ in part]
        finally:
            pool.shutdown(cancel_futures=True)


def activations(
    network: Network,
    layers: Sequence[str],
    images: Pictures,
    indices: Sequence[int] | None = None,
    *,
    batch: int = 16,
    device: torch.device | str = "cpu",
    tick: Callable[[], None] = lambda: None,
) -> Iterator[tuple[Sequence[int], dict[str, Tensor]]]:
    """Pre-ReLU values of the layers over these pictures (by default: all), in one pass: (indices, values by layer).

    Values are (n, channels, rows, columns), n at most `batch`. The last batch is padded by its last picture for the
    pass through the network and cut afterwards: results of the same picture differ in the last digits between
    batches of different sizes, so all have the same.
    """
    for part, inputs in _padded(network, images, indices, batch=batch, device=device, tick=tick):
        with torch.inference_mode():
            found = network.activations(inputs, layers)
        yield part, {layer: values[: len(part)] for layer, values in found.items()}


def _padded(
    network: Network,
    images: Pictures,
    indices: Sequence[int] | None,
    *,
    batch: int,
    device: torch.device | str,
    tick: Callable[[], None],
) -> Iterator[tuple[Sequence[int], Tensor]]:
    """Indices, and as many pictures as `batch` (batch, 3, size, size), RGB in [0, 1], the last repeated if need be."""
    for part, pictures in batches(images, network.preprocessing, batch, indices):
        tick()
        yield part, to_input(pictures + pictures[-1:] * (batch - len(pictures)), device)


@dataclass(frozen=True)
class Survey:
    """What one pass over pictures `first` ... `last` - 1 of a set tells about all C channels of a layer.

    Exact, over every position of every picture: `values`, `images` and `positions` (C, up to 9), the highest values
    with their pictures, best first, each picture once with its best position (ties: the earlier picture, and in it the
    first position in reading order); `minimum`, `minimum_image`, `minimum_position` (C,), and `sound` (C,), whether
    every value was a finite number. A position is row x `columns` + column.

    By picture, for at most 16,384 pictures drawn with a seed, `kept` (K,): `peaks` (K, C), the highest value in each,
    and `drawn` (K, C), the value at one position of it drawn with a seed, `places` (K,). It is the same relative place
    in all layers.

    From 64 positions of every picture drawn with a seed, and so estimates: `counts` (C, bins), a histogram over `EDGES`
    whose bins are 1/32 of their values wide; `sums` (2, 4, C), the sums of the values and of their squares (see
    `_exact`).

    All are tensors on the CPU. Nothing but `counts` grows with the layer's channels alone, and nothing with the number
    of pictures beyond 16,384. Surveys of parts that were cut between batches make, once merged, that of the whole, to
    the byte.
    """

    first: int
    last: int
    rows: int
    columns: int
    values: Tensor
    images: Tensor
    positions: Tensor
    minimum: Tensor
    minimum_image: Tensor
    minimum_position: Tensor
    sound: Tensor
    kept: Tensor
    places: Tensor
    peaks: Tensor
    drawn: Tensor
    counts: Tensor
    sums: Tensor

    @property
    def maximum(self) -> Tensor:
        """(C,): the highest value of each channel."""
        return self.values[:, 0]

    @property
    def samples(self) -> int:
        """How many values of each channel the histogram, the mean and the deviation are made of."""
        return POSITIONS * (self.last - self.first)

    @property
    def above(self) -> Tensor:
        """(C,): how many of the samples were above zero. Exact: zero is an edge, and counts with what is below."""
        return self.counts[:, MAGNITUDES:].sum(1)

    @property
    def mean(self) -> NDArray[np.float64]:
        """(C,): the mean over the drawn positions."""
        return _sum(self.sums[0]) / self.samples

    @property
    def sd(self) -> NDArray[np.float64]:
        """(C,): the standard deviation over the drawn positions."""
        return np.sqrt(np.maximum(_sum(self.sums[1]) / self.samples - self.mean**2, 0))

    def failure(self, channel: int) -> str:
        """Why nothing can be said about this channel, as a sentence; "" when something can."""
        if not self.sound[channel]:
            return "This neuron's value is not a finite number for some image."
        if self.minimum[channel] == self.maximum[channel]:
            return "This neuron is dead: its value is the same everywhere in every image."
        return ""

    def cumulative(self, channel: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """The distribution over the drawn positions: values that never fall, and how many samples lie below each.

        They are the bins' edges, none of them beyond the minimum and the maximum.
        """
        below = np.concatenate([[0], self.counts[channel].numpy().cumsum()])
        return self._edges(channel), below

    def _edges(self, channel: int) -> NDArray[np.float64]:
        return np.clip(EDGES, float(self.minimum[channel]), float(self.maximum[channel]))

    def quantiles(self, channel: int, shares: Sequence[float]) -> list[float]:
        """The values below which these shares of the channel's values lie, estimated from the drawn positions.

        Each is off by at most 1/32 of itself (or 4e-6, near zero) from the sample's own quantile, and lies between the
        minimum and the maximum.
        """
        counts = self.counts[channel].numpy()
        full = np.flatnonzero(counts)
        until = counts[full].cumsum()
        ranks = np.asarray(shares) * self.samples
        at = np.minimum(np.searchsorted(until, ranks), len(full) - 1)
        bins = full[at]
        edges = self._edges(channel)
        within = 1 - (until[at] - ranks) / counts[bins]
        return (edges[bins] + (edges[bins + 1] - edges[bins]) * within).tolist()

    @classmethod
    def merge(cls, parts: Iterable["Survey"]) -> "Survey":
        """One survey of the pictures of all parts, which follow each other.

        One part is held at a time beside the whole. ValueError for no parts, for parts with a gap between them, and for
        parts of different layers.
        """
        following = iter(parts)
        merged = next(following, None)
        if merged is None:
            raise ValueError("There are no surveys to merge.")
        for part in following:
            merged = merged._with(part)
        return merged

    def _with(self, later: "Survey") -> "Survey":
        if later.first != self.last:
            raise ValueError(f"A survey ends before picture {self.last}, and the next begins at {later.first}.")
        if (self.rows, self.columns, len(self.sound)) != (later.rows, later.columns, len(later.sound)):
            raise ValueError("These are surveys of different layers.")
        values, (images, positions) = _best(
            torch.cat([self.values, later.values], 1),
            torch.cat([self.images, later.images], 1),
            torch.cat([self.positions, later.positions], 1),
        )
        lower = later.minimum < self.minimum
        return Survey(
            first=self.first,
            last=later.last,
            rows=self.rows,
            columns=self.columns,
            values=values,
            images=images,
            positions=positions,
            minimum=torch.where(lower, later.minimum, self.minimum),
            minimum_image=torch.where(lower, later.minimum_image, self.minimum_image),
            minimum_position=torch.where(lower, later.minimum_position, self.minimum_position),
            sound=self.sound & later.sound,
            kept=torch.cat([self.kept, later.kept]),
            places=torch.cat([self.places, later.places]),
            peaks=torch.cat([self.peaks, later.peaks]),
            drawn=torch.cat([self.drawn, later.drawn]),
            counts=self.counts + later.counts,
            sums=self.sums + later.sums,
        )

    def to_bytes(self) -> bytes:
        """A safetensors file, the same for equal surveys. Of the histogram only the bins that are not empty."""
        tensors = {part.name: getattr(self, part.name) for part in fields(self)}
        numbers = [tensors.pop(name) for name in _NUMBERS]
        counts = tensors.pop("counts")
        full = counts.flatten().nonzero()[:, 0]
        tensors["bins"], tensors["counts"] = full.int(), counts.flatten()[full]
        tensors["numbers"] = torch.tensor(numbers)
        return safetensors.torch.save({name: tensor.contiguous() for name, tensor in tensors.items()})

    @classmethod
    def from_bytes(cls, data: bytes) -> "Survey":
        """What `to_bytes` gave. safetensors.SafetensorError for anything else."""
        tensors: dict[str, Any] = safetensors.torch.load(data)
        numbers = dict(zip(_NUMBERS, tensors.pop("numbers").tolist(), strict=True))
        counts = torch.zeros(len(tensors["sound"]) * 2 * MAGNITUDES, dtype=torch.int64)
        counts[tensors.pop("bins").long()] = tensors["counts"]
        tensors["counts"] = counts.reshape(-1, 2 * MAGNITUDES)
        return cls(**numbers, **tensors)


_NUMBERS = ("first", "last", "rows", "columns")


def survey(
    network: Network,
    layers: Sequence[str],
    images: Pictures,
    *,
    first: int = 0,
    last: int | None = None,
    batch: int = 16,
    device: torch.device | str = "cpu",
    tick: Callable[[], None] = lambda: None,
) -> dict[str, Survey]:
    """A survey of each of these layers, from one pass over pictures `first` ... `last` - 1 (by default: all).

    Which pictures and positions are drawn depends on the whole set's size and on each picture's index alone. `tick` is
    called before every batch. ValueError where there is no picture; KeyError for an unknown layer; PictureError for a
    picture that cannot be used.
    """
    chosen = range(len(images))[first:last]
    if not chosen:
        raise ValueError("There are no images to look at.")
    kept = _drawn_pictures(len(images))
    deepest = max(network.layer(layer).order for layer in layers)
    stages = {layer.name: _frugal(network.stages[layer.name]) for layer in network.layers[: deepest + 1]}
    gathered: dict[str, _Gathering] = {}
    for part, inputs in _padded(network, images, chosen, batch=batch, device=device, tick=tick):
        places = torch.from_numpy(np.stack([_drawn_places(index) for index in part])).to(device)
        keep = torch.from_numpy(np.isin(part, kept))
        with torch.inference_mode():
            values = network.normalise(inputs)
            for layer, stage in stages.items():
                values = stage(values)
                if layer in layers:
                    if layer not in gathered:
                        gathered[layer] = _Gathering(values)
                    gathered[layer].add(part, values[: len(part)], places, keep)
    return {layer: gathered[layer].survey(chosen) for layer in layers}


def _frugal(stage: nn.Module) -> nn.Module:
    """The same function on the same weights, which overwrites what it is given where nothing else reads it.

    A ReLU at its beginning works in place; one before a max pool comes after it, where there is less to do. Neither
    changes a value. It saves a pass over memory, and its allocation, for every layer.
    """
    traced = fx.symbolic_trace(nn.Sequential(stage))  # wrapped: a lone convolution would be taken apart
    modules, graph = dict(traced.named_modules()), traced.graph
    (given,) = graph.find_nodes(op="placeholder")
    first = next(iter(given.users))
    if len(given.users) > 1 or not (isinstance(modules.get(str(first.target)), nn.ReLU) or first.target in RELUS):
        return traced
    users = list(first.users)
    pooled = len(users) == 1 and isinstance(modules.get(str(users[0].target)), nn.MaxPool2d)
    spent = users[0] if pooled else given
    first.replace_all_uses_with(given)
    graph.erase_node(first)
    with graph.inserting_after(spent):
        rectified = graph.call_function(torch.relu_, (spent,))
    spent.replace_all_uses_with(rectified, delete_user_cb=lambda user: user is not rectified)
    traced.recompile()
    return traced


def _drawn_pictures(count: int) -> NDArray[np.int64]:
    """Indices of the pictures, of so many, of which single values are kept, in their order."""
    if count <= KEPT:
        return np.arange(count)
    return np.sort(np.random.default_rng(SEED).choice(count, KEPT, replace=False))


def _drawn_places(index: int) -> NDArray[np.float64]:
    """(POSITIONS, 2): places in picture `index`, row and column as shares of the height and the width."""
    return np.random.default_rng((SEED, index)).random((POSITIONS, 2))


class _Gathering:
    """What is known of a layer so far, on the device that the network works on."""

    def __init__(self, values: Tensor) -> None:
        """`values` (n, channels, rows, columns) say the layer's extent, and where it is."""
        _, channels, self.rows, self.columns = values.shape
        device = values.device
        self.values = torch.empty(channels, 0, device=device)
        self.images = self.positions = torch.empty(channels, 0, dtype=torch.long, device=device)
        self.minimum = torch.full((channels,), torch.inf, device=device)
        self.minimum_image = self.minimum_position = torch.full((channels,), -1, device=device)
        self.sound = torch.ones(channels, dtype=torch.bool, device=device)
        self.counts = torch.zeros(channels, 2 * MAGNITUDES, dtype=torch.int32, device=device)
        self.sums = torch.zeros(2, len(UNITS), channels, dtype=torch.long, device=device)
        self.kept: list[list[Tensor]] = []  # indices, positions, peaks and drawn values of each batch

    def add(self, part: Sequence[int], values: Tensor, places: Tensor, keep: Tensor) -> None:
        """Take in the values (n, channels, rows, columns) over pictures `part`, which come after all before them.

        `places` (n, POSITIONS, 2) are those drawn in each, `keep` (n,) whether single values of it are kept.
        """
        cells = values.permute(0, 2, 3, 1)  # channels last, as they lie in memory: several times as fast
        upper, lower = _extremes(cells)
        indices = torch.tensor(part, device=values.device)
        peaks, lowest = upper.amax(1), lower.amin(1)
        self._take_highest(indices, cells, upper, peaks)
        self._take_lowest(indices, cells, lower, lowest)
        self.sound &= peaks.isfinite().all(0) & lowest.isfinite().all(0)

        extent = torch.tensor([self.rows, self.columns], device=values.device)
        row, column = (places * extent).long().unbind(2)
        position = row * self.columns + column
        begins = torch.arange(len(part), device=values.device)[:, None] * (self.rows * self.columns)
        samples = cells.flatten(0, 2).index_select(0, (begins + position).flatten())
        if keep.any() or not self.kept:
            of_picture = (indices, position[:, 0], peaks, samples[::POSITIONS])
            self.kept.append([each.cpu()[keep] for each in of_picture])
        self._count(samples)

    def _take_highest(self, indices: Tensor, cells: Tensor, upper: Tensor, peaks: Tensor) -> None:
        arrived = indices.expand(cells.shape[3], -1)
        self.values, (self.images, self.positions) = _best(
            torch.cat([self.values, peaks.T], 1),
            torch.cat([self.images, arrived], 1),
            torch.cat([self.positions, torch.zeros_like(arrived)], 1),
        )
        # Where its peak is matters only for a picture that got in, and after the first batches few do: its first row
        # with the peak, and the first column of that row.
        channel, rank = (self.images >= indices[0]).nonzero(as_tuple=True)
        image = self.images[channel, rank] - indices[0]
        row = upper[image, :, channel].argmax(1)
        self.positions[channel, rank] = row * self.columns + cells[image, row, :, channel].argmax(1)

    def _take_lowest(self, indices: Tensor, cells: Tensor, lower: Tensor, lowest: Tensor) -> None:
        (channel,) = (lowest.amin(0) < self.minimum).nonzero(as_tuple=True)
        image = lowest[:, channel].argmin(0)
        row = lower[image, :, channel].argmin(1)
        self.minimum = self.minimum.index_copy(0, channel, lowest[image, channel])
        self.minimum_image = self.minimum_image.index_copy(0, channel, indices[image])
        position = row * self.columns + cells[image, row, :, channel].argmin(1)
        self.minimum_position = self.minimum_position.index_copy(0, channel, position)

    def _count(self, samples: Tensor) -> None:
        """Take in values (m, channels) at drawn positions."""
        # A few channels at a time: they and their histograms stay in the processor's cache, and they are too few to be
        # handed out to threads. Many short pieces of work in several threads, each waiting for the slowest, would make
        # the pass several times as long wherever something else runs too.
        several = max(1, ALONE // len(samples)) if samples.device.type == "cpu" else samples.shape[1]
        sums = [
            self._count_some(*part) for part in zip(samples.split(several, 1), self.counts.split(several), strict=True)
        ]
        # Sums of a batch are the same in every part that begins between batches, and whole numbers from then on.
        self.sums += _exact(torch.cat(sums, 1))

    @staticmethod
    def _count_some(samples: Tensor, counts: Tensor) -> Tensor:
        """Count the values (m, channels) into `counts` (channels, bins); their sums and those of their squares."""
        values = samples.T.contiguous().add_(0.0)  # adding makes of -0.0 zero, whose bits are 0
        bits = values.view(torch.int32)
        bins = (bits & 0x7FFFFFFF).bitwise_right_shift_(_SHIFT).clamp_(_LOWEST, _LOWEST + MAGNITUDES - 1).sub_(_LOWEST)
        # Zero and less are counted downwards from -1: that is the complement of their magnitude's bin.
        bins.bitwise_xor_((bits - 1).bitwise_right_shift_(31)).add_(MAGNITUDES)
        counts.scatter_add_(1, bins.long(), torch.ones_like(counts[:, :1]).expand(bins.shape))
        exact = values.double()
        return torch.stack([exact.sum(1), exact.square_().sum(1)])

    def survey(self, chosen: range) -> Survey:
        kept, places, peaks, drawn = (torch.cat(parts) for parts in zip(*self.kept, strict=True))
        return Survey(
            first=chosen.start,
            last=chosen.stop,
            rows=self.rows,
            columns=self.columns,
            values=self.values.cpu(),
            images=self.images.cpu(),
            positions=self.positions.cpu(),
            minimum=self.minimum.cpu(),
            minimum_image=self.minimum_image.cpu(),
            minimum_position=self.minimum_position.cpu(),
            sound=self.sound.cpu(),
            kept=kept,
            places=places,
            peaks=peaks,
            drawn=drawn,
            counts=self.counts.cpu().long(),
            sums=self.sums.cpu(),
        )


def _extremes(cells: Tensor) -> tuple[Tensor, Tensor]:
    """The highest and the lowest value of each row of (n, rows, columns, channels): both (n, rows, channels)."""
    if cells.device.type != "cpu" or not cells.is_contiguous():
        return cells.amax(2), cells.amin(2)
    # A few rows at a time: the second look at them then finds them in the processor's cache.
    n, rows, columns, channels = cells.shape
    upper, lower = cells.new_empty(n * rows, channels), cells.new_empty(n * rows, channels)
    several = max(1, CACHED * torch.get_num_threads() // (columns * channels))
    for part, high, low in zip(*(each.split(several) for each in (cells.flatten(0, 1), upper, lower)), strict=True):
        torch.amax(part, 1, out=high)
        torch.amin(part, 1, out=low)
    return upper.reshape(n, rows, channels), lower.reshape(n, rows, channels)


def _best(values: Tensor, *along: Tensor) -> tuple[Tensor, list[Tensor]]:
    """The TOP highest of the values (C, n), best first, and what goes along with them. Ties: the one further left."""
    order = values.argsort(dim=1, descending=True, stable=True)[:, :TOP]
    return values.gather(1, order), [each.gather(1, order) for each in along]


def _exact(sums: Tensor) -> Tensor:
    """float64 sums (..., C) as whole numbers (..., units, C) of each of UNITS: to 2 ** -100, and at most 2 ** 80."""
    rest = sums.nan_to_num(0.0, 0.0, 0.0).clamp(-(2.0**80), 2.0**80)
    parts = []
    for unit in UNITS:
        part = (rest / unit).floor()
        rest = rest - part * unit
        parts.append(part.long())
    return torch.stack(parts, -2)


def _sum(parts: Tensor) -> NDArray[np.float64]:
    """(C,): the sums that `_exact` took apart."""
    return (parts.double() * torch.tensor(UNITS, dtype=torch.float64)[:, None]).sum(0).numpy()


def example(
    network: Network, target: tuple[str, int], images: Pictures, index: int, row: int, column: int, value: float
) -> dict[str, Any]:
    """A place in picture `index` and the target's (layer's name, channel) value there, in plain numbers.

    {"image": the index, "name", "value", "row", "column", "box": [left, top, right, bottom], what the unit there sees
    in pixels of the preprocessed picture (right and bottom exclusive), cut at the picture's border, "clipped": whether
    it was}.
    """
    layer, channel = target
    whole = network.layer(layer).fields[channel].box(row, column)
    box = [min(max(edge, 0), network.preprocessing.size) for edge in whole]
    place = {"image": index, "name": images.names[index], "value": value, "row": row, "column": column}
    return place | {"box": box, "clipped": box != list(whole)}
