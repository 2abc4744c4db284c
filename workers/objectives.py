"""What a picture is made to maximise: a number for each picture of a batch, from the values of one layer."""

from collections.abc import Callable

from torch import Tensor

# (values (N, channels, rows, columns), channels (N,), row) -> (N,)
Objective = Callable[[Tensor, Tensor, int], Tensor]


def neuron(values: Tensor, channels: Tensor, row: int) -> Tensor:
    """The pre-ReLU value of each picture's own channel, in the unit of this row and column."""
    return values[range(len(channels)), channels, row, row]


def negative(values: Tensor, channels: Tensor, row: int) -> Tensor:
    """The opposite of `neuron`: what inhibits it most."""
    return -neuron(values, channels, row)


OBJECTIVES: dict[str, Objective] = {"neuron": neuron, "negative": negative}
