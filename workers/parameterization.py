"""How a picture is described by the numbers that are optimised.

The Fourier parameterization with decorrelated colours of "Feature Visualization" (Olah, Mordvintsev, Schubert 2017,
doi 10.23915/distill.00007): a picture is a sum of waves, so that one step of the optimiser changes it everywhere at
once and smoothly, instead of pixel by pixel. What is ours: the finest waves are damped.
"""

import functools
from collections.abc import Sequence

import torch
from torch import Tensor

# Standard deviation of the first numbers drawn: a nearly even grey.
INITIAL_SD = 0.01

# The waves are divided by this, as in the article's code, so that the first picture is close to grey.
GAIN = 0.25

# Square root of the covariance of the colours of ImageNet's pixels (rows: red, green, blue), as published with the
# article. Divided by its longest column, it turns three independent numbers into a colour of a natural photograph.
COLOUR_CORRELATION = torch.tensor(((0.26, 0.09, 0.02), (0.27, 0.00, -0.05), (0.27, -0.09, 0.03)))
COLOUR_BASIS = COLOUR_CORRELATION / COLOUR_CORRELATION.norm(dim=0).max()


# Periods per pixel at which waves begin to be damped. Undamped, the finest waves cover pictures with dots and
# checkerboards in the rhythm of the network's strides, which excite it more than they tell a reader.
CUTOFF = 0.25


def wave_scale(size: int) -> Tensor:
    """Amplitude of every wave of a square picture, (size, size // 2 + 1).

    One over its frequency, as in photographs, times a bell curve over frequency with standard deviation CUTOFF. The
    lowest frequency counts as one period per picture.
    """
    rows = torch.fft.fftfreq(size)[:, None]
    columns = torch.fft.rfftfreq(size)[None]
    frequency = (rows**2 + columns**2).sqrt().clamp_min(1 / size)
    return GAIN / frequency * torch.exp(-0.5 * (frequency / CUTOFF) ** 2)


def initial_waves(generators: Sequence[torch.Generator], size: int, *, grey: bool) -> Tensor:
    """First waves of one picture per generator: (N, 3 or 1, size, size // 2 + 1, 2), float32, on the CPU.

    Every picture is drawn from its own generator, so that it does not depend on its neighbours in the batch.
    The last axis holds the real and the imaginary part. A grey picture has luminance only.
    """
    shape = (1 if grey else 3, size, size // 2 + 1, 2)
    return torch.stack([INITIAL_SD * torch.randn(shape, generator=generator) for generator in generators])


def to_pictures(waves: Tensor, scale: Tensor) -> Tensor:
    """Waves to pictures: (N, 3, size, size), RGB between 0 and 1. `scale` is `wave_scale(size)` on the same device."""
    size = scale.shape[0]
    spectrum = torch.view_as_complex(waves.contiguous()) * scale
    values = torch.fft.irfft2(spectrum, s=(size, size), norm="ortho")
    basis = _colour_basis(values.device)
    if values.shape[1] == 1:
        # The first column of the basis is luminance up to a tint of 4 %: its mean, three times, is grey.
        values = values * basis[:, 0].mean()
        return torch.sigmoid(values).expand(-1, 3, -1, -1)
    return torch.sigmoid(torch.einsum("rc,nchw->nrhw", basis, values))


@functools.cache
def _colour_basis(device: torch.device) -> Tensor:
    """Copied to a device once: the recording of a CUDA graph forbids copies from the processor's memory."""
    return COLOUR_BASIS.to(device)
