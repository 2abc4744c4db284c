"""What a picture is made to maximise: a number for each picture of a batch, from the values of one layer."""

from collections.abc import Callable

from torch import Tensor

# (values (N, channels), channels (N,)) -> (N,)
Objective = Callable[[Tensor, Tensor], Tensor]


def neuron(values: Tensor, channels: Tensor) -> Tensor:
    """The pre-ReLU value of each picture's own channel."""
    return values.gather(1, channels[:, None])[:, 0]


def negative(values: Tensor, channels: Tensor) -> Tensor:
    """The opposite of `neuron`: what inhibits it most."""
    return -neuron(values, channels)


OBJECTIVES: dict[str, Objective] = {"neuron": neuron, "negative": negative}
