"""torch-lucent 0.1.8 (requirements-peers.txt), so that it can be measured beside ours with a torch of today."""

import sys
import types
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from workers.network import Network

MEAN_SHIFT = 5  # pixels: torch-lucent's jitters of 8 and of 4 draw 0 to 7 and 0 to 3


def lucent() -> Any:
    """The package, imported. ImportError, saying how to install it, where it is not.

    It imports IPython to show pictures in a notebook, which nothing here does: an empty module stands in for it, for
    the time of the import, where IPython is not installed. Nothing else about the package is touched.
    """
    import importlib.util

    stand_in = []
    if importlib.util.find_spec("IPython") is None:
        for name in ("IPython", "IPython.display"):
            stand_in.append(name)
            sys.modules[name] = types.ModuleType(name)
        vars(sys.modules["IPython"])["display"] = sys.modules["IPython.display"]
    try:
        import lucent.optvis.objectives
        import lucent.optvis.param
        import lucent.optvis.render
        import lucent.optvis.transform
    except ModuleNotFoundError as error:
        raise ImportError(
            f"{error}. The peers are installed by ./run bench, or by pip install --no-deps -r requirements-peers.txt."
        ) from error
    finally:
        for name in stand_in:
            del sys.modules[name]
    return lucent.optvis


def plain_model(network: Network, layer: str) -> nn.Module:
    """Our network as torch-lucent takes one, a chain of named modules from the normalised picture to `layer`.

    That is the best that its user could do: it ends at the layer, nothing in it is trained, and its modules give
    values before the ReLU, on which a unit that is off still has a gradient.
    """
    stages = [(each.name, network.stages[each.name]) for each in network.layers[: network.layer(layer).order + 1]]
    return nn.Sequential(OrderedDict(stages)).eval()


def cropped(size: int) -> list[Callable[[Tensor], Tensor]]:
    """torch-lucent's standard transforms, then `size` pixels of the middle of the picture itself.

    As shipped, the grey that they pad is squeezed into the input with the picture, and their two jitters move it to the
    right and down only, by MEAN_SHIFT on average: a unit learns from a picture that is smaller and elsewhere.
    """

    def crop(pictures: Tensor) -> Tensor:
        top, left = ((extent - size) // 2 + MEAN_SHIFT for extent in pictures.shape[-2:])
        return pictures[..., top : top + size, left : left + size]

    return [*lucent().transform.standard_transforms, crop]


def neurons(
    model: nn.Module,
    layer: str,
    channels: Sequence[int],
    size: int,
    row: int,
    *,
    steps: int = 512,
    transforms: Sequence[Callable[[Tensor], Tensor]] | None = None,
    seed: int = 0,
) -> Tensor:
    """torch-lucent's pictures (N, 3, size, size) of the unit in this row and column, one for each channel.

    All else is as shipped, and so is one draw of the transforms for the whole batch. It takes its random numbers from
    the process's own generators, which are set to `seed`.
    """
    import numpy as np

    package = lucent()
    torch.manual_seed(seed)
    np.random.seed(seed)
    objective = package.objectives.Objective.sum(
        [package.objectives.neuron(layer, channel, row, row, batch=entry) for entry, channel in enumerate(channels)]
    )
    (found,) = package.render.render_vis(
        model,
        objective,
        lambda: package.param.image(size, batch=len(channels)),
        transforms=None if transforms is None else list(transforms),
        thresholds=(steps,),
        fixed_image_size=size,
        show_image=False,
        progress=False,
    )
    return torch.from_numpy(found).movedim(3, 1).contiguous()
