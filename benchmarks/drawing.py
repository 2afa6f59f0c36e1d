"""Intervals for small sets whose pictures or queries stick together: whole groups are drawn again.

Forty queries of twenty people are not forty independent ones, nor are the pictures of one sequence. Used by
``acf.py``, ``reid.py`` and ``real.py``; where every value stands for itself,
:func:`personsearch.ranking.bootstrap.mean_interval` is the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from personsearch.ranking.bootstrap import Interval
from personsearch.types import Array

LEVEL, RESAMPLES = 0.95, 2000


def group_interval(
    values: Array, groups: Array, rng: np.random.Generator, *, resamples: int = RESAMPLES
) -> Interval:
    """The mean of ``values`` (n,), and its percentile interval when whole ``groups`` (n,) are drawn again.

    The catch: with a handful of groups it is too narrow, and with one it has no width.

    >>> group_interval(np.array([0.0, 1.0, 0.0, 1.0]), np.array([7, 7, 9, 9]), np.random.default_rng(0)).low
    0.5
    """
    values = np.asarray(values, np.float64)
    _, group = np.unique(groups, return_inverse=True)
    sums, counts = np.bincount(group, values), np.bincount(group)
    drawn = rng.integers(len(sums), size=(resamples, len(sums)))
    low, high = np.quantile(sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1), _ends())
    return Interval(mean=float(values.mean()), low=float(low), high=float(high), level=LEVEL)


def drawn_intervals(
    measure: Callable[[Array], Mapping[str, float]],
    groups: Array,
    rng: np.random.Generator,
    *,
    resamples: int = RESAMPLES,
) -> dict[str, Interval]:
    """What ``measure`` says of rows 0 ... n-1, with its intervals when whole ``groups`` (n,) are drawn again.

    For numbers that are no mean of one value a row, such as average precision over all pictures. Drawings in
    which a number is not defined (NaN) are left out of its interval.

    >>> measure, rng = (lambda rows: {"most": float(rows.max())}), np.random.default_rng(0)
    >>> found = drawn_intervals(measure, np.arange(2), rng)
    >>> found["most"].mean, found["most"].low, found["most"].high
    (1.0, 0.0, 1.0)
    """
    _, group = np.unique(groups, return_inverse=True)
    members = [np.flatnonzero(group == one) for one in range(int(group.max()) + 1)]
    whole = measure(np.arange(len(group)))
    draws: dict[str, list[float]] = {name: [] for name in whole}
    for _ in range(resamples):
        chosen = rng.integers(len(members), size=len(members))
        for name, value in measure(np.concatenate([members[one] for one in chosen])).items():
            draws[name].append(value)
    result = {}
    for name, value in whole.items():
        low, high = np.nanquantile(draws[name], _ends())
        result[name] = Interval(mean=value, low=float(low), high=float(high), level=LEVEL)
    return result


def ends(interval: Interval) -> list[float]:
    """The interval as the result files have it."""
    return [round(interval.low, 4), round(interval.high, 4)]


def _ends() -> tuple[float, float]:
    return (1 - LEVEL) / 2, (1 + LEVEL) / 2
