"""From arrays of numbers to pictures, and from pictures to bytes."""

from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

Picture = NDArray[np.uint8]  # (height, width, 3), RGB

# What excites and what inhibits, as on the pages.
EXCITES, INHIBITS = np.array((193, 39, 45)) / 255, np.array((32, 101, 181)) / 255


def to_uint8(values: NDArray[np.floating] | Tensor) -> Picture:
    """A picture from RGB in [0, 1]: an array (H, W, 3) or (H, W), or a tensor (3, H, W). Values outside are clipped."""
    if isinstance(values, Tensor):
        values = values.detach().movedim(0, -1).cpu().numpy()
    if values.ndim == 2:
        values = np.repeat(values[:, :, None], 3, axis=2)
    rounded = np.rint(np.clip(values, 0, 1) * 255)
    return np.ascontiguousarray(rounded.astype(np.uint8))


def signed_to_uint8(values: NDArray[np.floating] | Tensor, scale: float) -> Picture:
    """A picture from signed values, shaped as for `to_uint8`: 0 is mid grey, -scale black and +scale full."""
    return to_uint8(0.5 + 0.5 * values / scale if scale else 0.5 + 0 * values)


def diverging(values: NDArray[np.floating], scale: float) -> Picture:
    """A picture from signed values (H, W): 0 is white, +scale red, -scale blue, and even steps between."""
    strength = np.clip(np.abs(values) / scale if scale else 0 * values, 0, 1)[..., None]
    colour = np.where(values[..., None] > 0, EXCITES, INHIBITS)
    return to_uint8(1 + (colour - 1) * strength)


def heat(photograph: Picture, values: NDArray[np.floating], *, start: float, stride: float) -> Picture:
    """A square photograph in pale grey, with signed values (rows, columns) over it: red above 0, blue below.

    The middle of cell (r, c) lies at pixel (start + stride * r, start + stride * c); between the middles values go over
    into each other, and beyond the outermost fade. The largest magnitude is nearly opaque.
    """
    side = len(photograph)
    cells = (np.arange(side)[:, None] - start) / stride
    down, across = (np.maximum(0, 1 - np.abs(cells - np.arange(count))) for count in values.shape)
    smooth = down @ values @ across.T
    largest = np.abs(values).max()
    opacity = 0.9 * (np.abs(smooth) / largest if largest else 0 * smooth)[..., None]
    colour = np.where(smooth[..., None] > 0, EXCITES, INHIBITS)
    grey = 0.35 + 0.6 * photograph.mean(axis=2, keepdims=True) / 255
    return to_uint8(grey + (colour - grey) * opacity)


def enlarge(picture: Picture, factor: int) -> Picture:
    """Every pixel as a square of factor x factor pixels: nearest neighbour, so that no value is invented."""
    return np.ascontiguousarray(picture.repeat(factor, axis=0).repeat(factor, axis=1))


def encode(picture: Picture, *, lossless: bool = True) -> bytes:
    """WebP. The same picture gives the same bytes, for one version of the library.

    Not lossless suits photographs: a fifth of the bytes and of the time, and no difference to the eye.
    """
    buffer = BytesIO()
    Image.fromarray(picture).save(buffer, format="WEBP", lossless=lossless, quality=80 if lossless else 90, method=4)
    return buffer.getvalue()


def decode(data: bytes) -> Picture:
    """The picture that `encode` was given, or nearly so where it was not to be lossless."""
    with Image.open(BytesIO(data)) as image:
        return np.asarray(image.convert("RGB"))
