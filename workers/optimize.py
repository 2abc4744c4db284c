"""Make pictures that maximise something."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from workers import parameterization, transforms

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


def maximise(
    objective: Callable[[Tensor], Tensor],
    generators: Sequence[torch.Generator],
    size: int,
    *,
    steps: int,
    grey: bool = False,
    contrast: float = 1.0,
    device: torch.device | str = "cpu",
    tick: Callable[[], None] = lambda: None,
) -> Tensor:
    """Pictures (N, 3, size, size), RGB in [0, 1], one per generator, that make `objective` large.

    `objective` takes such pictures to one number each. In every step it sees each picture through a random transform
    of its own (see `workers.transforms`). A picture depends on its own generator (its first waves, then all its
    transforms) and on nothing else in the batch, as long as the objective keeps pictures apart. The first waves are
    multiplied by `contrast`. `tick` is called before every step. ValueError for fewer than one step.
    """
    if steps < 1:
        raise ValueError("It takes at least one step to make a picture.")
    waves = parameterization.initial_waves(generators, size, grey=grey).mul(contrast).to(device).requires_grad_()
    draws = torch.stack([transforms.draw(generator, steps) for generator in generators]).to(device)
    scale = parameterization.wave_scale(size).to(device)
    # The rate is half of LEARNING_RATE on average, and decay is in proportion to it.
    decay = DECAY / (LEARNING_RATE / 2 * max(steps, FEW))
    optimizer = torch.optim.AdamW([waves], lr=LEARNING_RATE, weight_decay=decay)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for step in range(steps):
        tick()
        pictures = transforms.apply(parameterization.to_pictures(waves, scale), draws[:, step], 1 - step / steps)
        # The sum keeps the pictures' gradients apart; Adam works on each number by itself.
        (waves.grad,) = torch.autograd.grad(-objective(pictures).sum(), waves)
        optimizer.step()
        schedule.step()
        with torch.no_grad():
            loudest = waves.abs().flatten(1).amax(1)
            stuck = (waves.grad.abs().flatten(1).amax(1) == 0) & (loudest < LOUDEST / 2)
            waves[stuck] *= 2
    with torch.no_grad():
        return parameterization.to_pictures(waves, scale)


def quantised(pictures: Tensor) -> Tensor:
    """The pictures as they will be shown, with 8 bits a colour, still between 0 and 1."""
    return (pictures * 255).round() / 255
