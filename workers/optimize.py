"""Make pictures that maximise something."""

import hashlib
import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from workers import parameterization, transforms
from workers.network import Network
from workers.receptive_field import Field, canvas
from workers.rewrite import rewritten

# "Feature Visualization" takes Adam at 0.05, at full strength to the end. Here the rate starts higher and falls to zero
# along half a cosine; waves decay, without which pictures of a strong neuron grow in contrast until they are black,
# white and pure colours; and the random transforms shrink to none, so that the last steps sharpen, for the picture as
# it is, what the first have found in a way that holds for its neighbours too. Together these reach the article's values
# with far fewer pixels at the ends of the scale.
LEARNING_RATE = 0.2
# What decay alone leaves of a wave in a whole run is exp(-DECAY), however many steps the run has; in one of fewer steps
# than FEW it is more, as the waves have no time to grow again.
DECAY = 4.0
FEW = 128

# A picture that is nearly grey may leave every ReLU on the way to the objective off, and then has no gradient to start
# from. In each such step its contrast is doubled, as far as waves of this amplitude.
LOUDEST = 10.0

# On a GPU: steps that are taken before one is recorded, in which libraries choose and set up what they use.
EAGER = 3

LOUD = 100.0  # the contrast of a second try's first picture, over that of the first's


def maximise(
    objective: Callable[[Tensor], Tensor],
    generators: Sequence[torch.Generator],
    size: int,
    *,
    steps: int,
    grey: bool = False,
    contrast: float = 1.0,
    snapshots: Collection[int] = (),
    device: torch.device | str = "cpu",
    tick: Callable[[], None] = lambda: None,
) -> dict[int, Tensor]:
    """Pictures (N, 3, size, size), RGB in [0, 1], one per generator, that make `objective` large.

    They are under `steps`; under each of `snapshots` that is smaller, as they stood before that step.
    `objective` takes such pictures to one number each. In every step it sees each picture through a random transform
    of its own (see `workers.transforms`). A picture depends on its own generator (its first waves, then all its
    transforms) and on nothing else in the batch, as long as the objective keeps pictures apart. The first waves are
    multiplied by `contrast`. `tick` is called before every step. ValueError for fewer than one step.

    On a CUDA device the step is recorded once as a graph and then replayed, which spares launching its many small
    kernels one by one; `objective` must then consist of work on tensors of that device. This path has not been run.
    """
    if steps < 1:
        raise ValueError("It takes at least one step to make a picture.")
    device = torch.device(device)
    waves = parameterization.initial_waves(generators, size, grey=grey).mul(contrast).to(device).requires_grad_()
    draws = torch.stack([transforms.draw(generator, steps) for generator in generators], dim=1).to(device)
    scale = parameterization.wave_scale(size).to(device)
    # The rate is half of LEARNING_RATE on average, and decay is in proportion to it.
    decay = DECAY / (LEARNING_RATE / 2 * max(steps, FEW))
    # What differs from step to step is held by tensors that stay where they are, as a recorded graph needs.
    rate, strength, draw = torch.tensor(0.0, device=device), torch.tensor(0.0, device=device), draws[0].clone()
    optimizer = torch.optim.AdamW([waves], lr=rate, weight_decay=decay, capturable=device.type == "cuda")

    def step() -> None:
        pictures = transforms.apply(parameterization.to_pictures(waves, scale), draw, strength)
        # The sum keeps the pictures' gradients apart; Adam works on each number by itself.
        (waves.grad,) = torch.autograd.grad(-objective(pictures).sum(), waves)
        optimizer.step()
        with torch.no_grad():
            loudest = waves.abs().flatten(1).amax(1)
            stuck = (waves.grad.abs().flatten(1).amax(1) == 0) & (loudest < LOUDEST / 2)
            waves.mul_(1 + stuck[:, None, None, None, None].float())

    take = step
    found: dict[int, Tensor] = {}
    for number in range(steps):
        tick()
        if number in snapshots:
            with torch.no_grad():
                found[number] = parameterization.to_pictures(waves, scale)
        rate.fill_(LEARNING_RATE * (1 + math.cos(math.pi * number / steps)) / 2)
        strength.fill_(1 - number / steps)
        draw.copy_(draws[number])
        if device.type == "cuda" and number == EAGER:
            take = _recorded(step, device)
        take()
    with torch.no_grad():
        return {**found, steps: parameterization.to_pictures(waves, scale)}


def _recorded(step: Callable[[], None], device: torch.device) -> Callable[[], None]:
    """The step as a CUDA graph. Recording does not take it."""
    graph = torch.cuda.CUDAGraph()
    torch.cuda.synchronize(device)
    with torch.cuda.graph(graph):
        step()
    return graph.replay


@dataclass(frozen=True)
class Climbed:
    """What `climb` came to, for N pictures. All pictures are (N, 3, size, size), RGB in [0, 1] in 8 bits a colour."""

    pictures: Tensor  # as they will be shown
    reached: Tensor  # (N,) the goal at these pictures
    plain: Tensor  # (N,) the goal at plain grey
    snapshots: dict[int, Tensor]  # by step: the pictures as they stood before it and any of its transforms


def climb(
    goal: Callable[[Tensor], Tensor],
    seeds: Sequence[int],
    size: int,
    *,
    steps: int,
    draft: Callable[[Tensor], Tensor] | None = None,
    grey: bool = False,
    snapshots: Collection[int] = (),
    device: torch.device | str = "cpu",
    tick: Callable[[], None] = lambda: None,
) -> Climbed:
    """One picture for each seed that makes `goal` large, and how large.

    `goal` takes pictures (N, 3, size, size), RGB in [0, 1], to (N,), keeping them apart. `draft`, where there is one,
    is a cheaper form of it, such as one in bfloat16: it is what is climbed, and `goal` alone is what is measured.
    Among many units that are off, the climb from near grey can end below grey: those pictures are tried once more,
    from the same seeds and a louder start. One that fails again is returned all the same: it is for the caller to ask
    whether `reached` is finite and above `plain`. `snapshots` names steps; those not below `steps` are left out.
    `tick` is called before every step. ValueError for fewer than one step.
    """
    with torch.no_grad():
        plain = goal(torch.full((len(seeds), 3, size, size), transforms.FILL, device=device))
    reached = torch.full_like(plain, torch.nan)
    best: dict[int, Tensor] = {}
    for contrast in (1.0, LOUD):
        generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        found = maximise(
            draft or goal,
            generators,
            size,
            steps=steps,
            grey=grey,
            contrast=contrast,
            snapshots=snapshots,
            device=device,
            tick=tick,
        )
        lost = ~(reached > plain)[:, None, None, None]
        best = {step: torch.where(lost, quantised(new), best.get(step, new)) for step, new in found.items()}
        with torch.no_grad():
            reached = goal(best[steps])
        if (reached > plain).all():
            break
    pictures = best.pop(steps)
    return Climbed(pictures, reached, plain, best)


def centred(network: Network, layer: str, field: Field, pictures: Tensor) -> Tensor:
    """Pre-ReLU values (N, channels) of the unit that sees exactly the pictures (N, 3, field.size, field.size).

    That is, for the channels of `layer` whose field this is. Those of branches with smaller fields see a part of the
    picture, which is its middle where the branches are centred on each other. The network runs as far as `layer`.
    """
    return network.between(framed(field, pictures), None, layer)[:, :, (row := canvas(field)[1]), row]


def framed(field: Field, pictures: Tensor) -> Tensor:
    """Pictures (N, 3, size, size) with grey at the left and top, up to the size that `canvas` says, channels last.

    The grey brings the picture to where the field of the unit in that row and column begins; it does not see it.
    """
    return _with_margin(pictures, canvas(field)[0] - field.size)


def _with_margin(pictures: Tensor, margin: int) -> Tensor:
    whole = F.pad(pictures, (margin, 0, margin, 0), value=transforms.FILL)
    return whole.contiguous(memory_format=torch.channels_last)


@dataclass(frozen=True)
class Sight:
    """Where a square of units sees a picture and, as far as can be, nothing else."""

    size: int  # side of the picture, in pixels
    margin: int  # pixels of grey at its left and top, which bring it to where the first unit's field begins
    row: int  # and column, of the first unit

    def frame(self, pictures: Tensor) -> Tensor:
        """Pictures (N, 3, size, size) as the network gets them, channels last."""
        return _with_margin(pictures, self.margin)


def sight(network: Network, field: Field, units: int = 1) -> Sight:
    """Of `units` x `units` units with this field.

    Pictures are as large as what these units see, and no padding reaches a unit: for one, that is `framed`. Where it
    is more than the network's own input, pictures are as large as the input, and the units are those in its middle.
    """
    whole, row = canvas(field)
    size = field.size + (units - 1) * field.stride
    if size <= network.preprocessing.size:
        return Sight(size, whole - field.size, row)
    left = (network.preprocessing.size - size) / 2  # where the first unit's field should begin: outside the picture
    return Sight(network.preprocessing.size, 0, max(round((left - field.start) / field.stride), 0))


def quick(
    network: Network, layer: str, dtype: torch.dtype = torch.float32, part: tuple[int, int] | None = None
) -> Callable[[Tensor], Tensor]:
    """A function that gives the pre-ReLU values of `layer` in less time, for gradients to the picture.

    From RGB in [0, 1] (N, 3, H, W) to float32 (N, channels, rows, columns), as `network.between(pictures, None, layer)`
    up to rounding. It runs copies of the stages (see `workers.rewrite`), channels last and in `dtype`. bfloat16 halves
    the time or better where a processor computes in it (CUDA, and CPUs with AMX or AVX512_BF16) and is slow where it
    must be emulated; pictures then differ from those of float32 as by another seed. `part` (the first, how many) is for
    the channels of one branch alone: others are neither given nor computed.
    """
    stages = [network.stages[each.name] for each in network.layers[: network.layer(layer).order + 1]]
    chain = rewritten(nn.Sequential(*stages), part).to(dtype).to(memory_format=torch.channels_last)

    def values(pictures: Tensor) -> Tensor:
        inputs = network.normalise(pictures).to(dtype=dtype, memory_format=torch.channels_last)
        return chain(inputs).float()

    return values


def own_seed(seed: int, subject: str) -> int:
    """A seed that belongs to this subject alone, such as "mixed3b:379", so that its company makes no difference."""
    digest = hashlib.sha256(f"{seed} {subject}".encode()).digest()
    return int.from_bytes(digest[:8], "big", signed=True)


def is_grey(network: Network) -> bool:
    """Whether the network gives equal weights to red, green and blue, and so cannot tell colours apart."""
    first = network.stages[network.layers[0].name]
    weights = [module.weight for module in first.modules() if isinstance(module, nn.Conv2d)]
    weight = weights[0] / network.std.reshape(1, 3, 1, 1) if weights else torch.eye(3)
    return all(torch.equal(weight[:, 0], weight[:, colour]) for colour in (1, 2))


def quantised(pictures: Tensor) -> Tensor:
    """The pictures as they will be shown, with 8 bits a colour, still between 0 and 1."""
    return (pictures * 255).round() / 255
