"""What an experiment says: the effect with its interval, and whether that supports or refutes what was predicted."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Indices = NDArray[np.int64]

RESAMPLES = 2000  # of the bootstrap
Z = 1.959964  # standard deviations to either side that hold 95 % of a normal distribution
SURE = 95.0  # per cent: how often its intervals hold what they estimate
WEAKEST = 1 / 3  # of what a plan changes: from controls of less nothing is reckoned
LEAST_CONTROLS = 19  # beyond fewer, chance alone has an effect more than once in 20 times
DRAWS = 2**22  # numbers that it draws at a time


def intervals(values: Array, clusters: Indices, seed: int) -> tuple[Array, Array]:
    """Means of the rows of `values` (rows, pairs), and as many of them as the bootstrap draws: (draws, rows).

    Each draw is of as many clusters as there are, and in each of as many pairs as it has.
    """
    random = np.random.default_rng([seed, 2])
    names, counts = np.unique(clusters, return_counts=True)
    by_cluster = np.argsort(clusters, kind="stable")
    firsts = np.cumsum(counts) - counts
    widest = int(counts.max())
    several = max(1, DRAWS // (len(names) * widest))
    found = []
    for begin in range(0, RESAMPLES, several):
        draws = min(several, RESAMPLES - begin)
        which = random.integers(len(names), size=(draws, len(names)))
        places = (random.random((draws, len(names), widest)) * counts[which][..., None]).astype(np.int64)
        inside = np.arange(widest) < counts[which][..., None]
        pairs = by_cluster[firsts[which][..., None] + np.where(inside, places, 0)]
        total = inside.sum(axis=(1, 2))
        found.append(np.stack([(row[pairs] * inside).sum(axis=(1, 2)) / total for row in values], axis=1))
    return values.mean(axis=1), np.concatenate(found)


def between(drawn: Array) -> tuple[float, float]:
    low, high = np.percentile(drawn, [(100 - SURE) / 2, (100 + SURE) / 2])
    return float(low), float(high)


def of_share(share: float, n: int) -> tuple[float, float]:
    """The interval of a share of n (Wilson 1927): it has a width also where all agree."""
    middle = (share + Z**2 / (2 * n)) / (1 + Z**2 / n)
    half = Z / (1 + Z**2 / n) * float(np.sqrt(share * (1 - share) / n + Z**2 / (4 * n**2)))
    return max(middle - half, 0.0), min(middle + half, 1.0)


def of_difference(before: Array, after: Array) -> tuple[float, float]:
    """The interval of the difference of two shares of the same pairs, each 0 or 1 (Bonett and Price 2012)."""
    n = len(before) + 2
    up, down = (((after > before).sum() + 1) / n, ((after < before).sum() + 1) / n)
    half = Z * float(np.sqrt((up + down - (up - down) ** 2) / n))
    return float(up - down) - half, float(up - down) + half


def verdict(
    expect: Mapping[str, Any],
    effect: float,
    low: float,
    high: float,
    controls: Sequence[float | None],
    strengths: Sequence[float] = (),
) -> tuple[str, str]:
    """What the effect, its interval and those of the controls say of the prediction; and why, in a few words.

    No two of the controls are alike: an effect that is one of chance is larger than those of k controls once in k + 1
    times. A control that leaves too little to measure (None) is as large as any. Of one that changes less than the plan
    does (its strength is below 1) the effect counts as if it grew with what is changed: by itself it would prove too
    little.
    """
    margin = float(expect["margin"])
    if expect["change"] == "unchanged":
        if -margin <= low and high <= margin:
            return "supported", "all of it within the margin"
        if low > margin or high < -margin:
            return "refuted", "all of it beyond the margin"
        return "inconclusive", "part of it within the margin and part of it beyond"
    sign = 1 if expect["change"] == "rises" else -1
    near, far = (low, high) if sign == 1 else (-high, -low)
    if far <= margin:
        opposite = far < 0
        return "refuted", "of the opposite sign" if opposite else "none of it beyond the margin"
    if near <= margin:
        return "inconclusive", "part of it beyond the margin and part of it not"
    lost = sum(control is None for control in controls)
    if lost:
        return (
            "inconclusive",
            f"all of it beyond the margin, but under {lost} of the controls too little could be measured",
        )
    found = [control for control in controls if control is not None]
    strengths = strengths or [1.0] * len(found)
    plain = sum(sign * control >= sign * effect for control in found)
    reckoned = sum(
        sign * control >= sign * effect * strength for control, strength in zip(found, strengths, strict=True)
    )
    strength = sum(strengths) / len(strengths)
    if plain:
        return "inconclusive", f"all of it beyond the margin, but {plain} of the {len(controls)} controls did as much"
    if len(controls) < LEAST_CONTROLS:
        return (
            "inconclusive",
            f"all of it beyond the margin, but there are only {len(controls)} controls that differ from each other, "
            f"and chance alone is beyond them all once in {len(controls) + 1} times",
        )
    if strength < WEAKEST:
        return (
            "inconclusive",
            "all of it beyond the margin, but the controls are too weak: what they change is on average "
            f"{strength:.0%} as large",
        )
    if reckoned:
        return (
            "inconclusive",
            f"all of it beyond the margin, but the controls are weaker, and {reckoned} of the {len(controls)} did as "
            "much for what they change",
        )
    return "supported", f"all of it beyond the margin, and more than any of the {len(controls)} controls did"
