"""A matrix as a sum of a few products of one column and one row.

Non-negative matrix factorization by hierarchical alternating least squares (Cichocki, Zdunek, Amari 2007): each column
and each row in turn takes the value that is best while the others stay.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

STARTS = 4  # of which the best is taken: each ends in a minimum of its own
ROUNDS = 300
ENOUGH = 1e-7  # of the matrix's norm: a round that changes the columns by less is the last
TINY = 1e-12  # of the matrix's largest magnitude, squared: a factor below it is none


@dataclass(frozen=True)
class Factors:
    """values ~ columns @ rows, the largest product first."""

    columns: NDArray[np.float64]  # (C, factors), never negative, each of unit length
    rows: NDArray[np.float64]  # (factors, P)
    explained: float  # 1 - squared error over squared values; 1 for a matrix of zeros, which needs no factors
    captured: float  # squared values less squared error

    @property
    def sizes(self) -> NDArray[np.float64]:
        """The sum of squares of each product."""
        return (self.rows**2).sum(1)


def one_sided(values: NDArray[np.floating], factors: int, *, seed: int = 0) -> Factors:
    """One-sided factorization: columns never negative, rows of either sign. `values` is (C, P).

    With signed rows alone, mixtures of columns would fit as well as the columns themselves. So both begin as those of
    a factorization in which neither side is negative, which tells parts apart, of the positive part of `values`; only
    then may rows take the other sign. At most min(C, P) factors, and of a matrix without negative values no more than
    its rank, which explain everything.
    """
    matrix = np.asarray(values, dtype=np.float64)
    scale = np.abs(matrix).max(initial=0.0)
    if scale == 0:
        return Factors(np.zeros((matrix.shape[0], 0)), np.zeros((0, matrix.shape[1])), 1.0, 0.0)
    matrix = matrix / scale
    factors = min(factors, np.linalg.matrix_rank(matrix) if (matrix >= 0).all() else min(matrix.shape))
    random = np.random.default_rng(seed)
    best: tuple[float, NDArray[np.float64], NDArray[np.float64]] | None = None
    for _ in range(STARTS):
        columns, rows = random.random((matrix.shape[0], factors)), random.random((factors, matrix.shape[1]))
        columns, rows = _alternate(np.maximum(matrix, 0), columns, rows, signed=False)
        columns, rows = _alternate(matrix, columns, rows, signed=True)
        error = float(((matrix - columns @ rows) ** 2).sum())
        if best is None or error < best[0] * (1 - 1e-9):
            best = error, columns, rows
    assert best is not None
    error, columns, rows = best
    lengths = np.linalg.norm(columns, axis=0)
    columns, rows = columns / np.where(lengths == 0, 1, lengths), rows * lengths[:, None]
    sizes = (rows**2).sum(1)
    order = [index for index in np.argsort(-sizes, kind="stable") if sizes[index] > TINY]
    whole = float((matrix**2).sum())
    return Factors(columns[:, order], rows[order] * scale, 1 - error / whole, (whole - error) * scale**2)


def _alternate(
    matrix: NDArray[np.float64], columns: NDArray[np.float64], rows: NDArray[np.float64], *, signed: bool
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Columns and rows that fit no worse; rows may take either sign where `signed`."""
    columns, rows = columns.copy(), rows.copy()
    enough = ENOUGH * np.linalg.norm(matrix)
    for _ in range(ROUNDS):
        before = columns @ rows
        _fit(matrix.T, rows.T, columns.T, signed=signed)
        _fit(matrix, columns, rows, signed=False)
        if np.linalg.norm(columns @ rows - before) <= enough:
            break
    return columns, rows


def _fit(matrix: NDArray[np.float64], own: NDArray[np.float64], other: NDArray[np.float64], *, signed: bool) -> None:
    """Improve `own` (C, factors), in place, one factor after the other, while `other` (factors, P) stays."""
    products, overlaps = matrix @ other.T, other @ other.T
    for index in range(own.shape[1]):
        if overlaps[index, index] > 0:
            own[:, index] += (products[:, index] - own @ overlaps[:, index]) / overlaps[index, index]
            if not signed:
                np.maximum(own[:, index], 0, out=own[:, index])
