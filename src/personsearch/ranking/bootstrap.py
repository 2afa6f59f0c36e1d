"""How sure is a mean over queries? Intervals by drawing the queries again."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from personsearch.types import Array

_DRAWS_AT_ONCE = 1 << 21
"""Queries drawn at a time (16 MiB of indices)."""


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A mean and how far it might have come out otherwise.

    Attributes:
        mean: over the queries as they are.
        low, high: ends of the percentile interval.
        level: share of drawings that end inside, e.g. 0.95.
    """

    mean: float
    low: float
    high: float
    level: float


def mean_interval(
    values: Array, rng: np.random.Generator, *, level: float = 0.95, resamples: int = 2000
) -> Interval:
    """The mean of one value a query, with the bootstrap percentile interval.

    Says how much another choice of queries from the same world would change the mean;
    it knows nothing of other scenes, trainings or seeds. For a few dozen queries it is a
    little too narrow.

    Args:
        values: (Q,) e.g. average precisions, or whether the first hit was right.
        rng: where the drawings come from; the same generator state gives the same interval.
        level: in (0, 1).
        resamples: how often Q queries are drawn with replacement.

    Raises:
        ValueError: no values, a value that is not finite, a level outside (0, 1).

    Source: Efron and Tibshirani, An Introduction to the Bootstrap (1993), section 13.3.

    >>> mean_interval(np.array([1.0, 1.0, 1.0]), np.random.default_rng(0))
    Interval(mean=1.0, low=1.0, high=1.0, level=0.95)
    """
    means = _drawn_means(values, rng, level, resamples)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return Interval(mean=float(np.mean(values)), low=float(low), high=float(high), level=level)


def paired_interval(
    values: Array, other: Array, rng: np.random.Generator, *, level: float = 0.95, resamples: int = 2000
) -> Interval:
    """How much better ``values`` are than ``other`` of the same queries, with its interval.

    Both are drawn together, query by query: what is hard for both cancels, and so small
    differences show that two separate intervals would hide. An interval without 0 in it
    is a difference that other queries would most likely show too.

    Raises:
        ValueError: as :func:`mean_interval`, or lengths that differ.

    >>> paired_interval(np.array([0.5, 0.9]), np.array([0.25, 0.65]), np.random.default_rng(0)).low
    0.25
    """
    if np.shape(values) != np.shape(other):
        raise ValueError(f"paired values have shapes {np.shape(values)} and {np.shape(other)}")
    difference = np.asarray(values, np.float64) - np.asarray(other, np.float64)
    return mean_interval(difference, rng, level=level, resamples=resamples)


def _drawn_means(values: Array, rng: np.random.Generator, level: float, resamples: int) -> Array:
    """(resamples,) means of as many queries drawn with replacement."""
    values = np.asarray(values, np.float64)
    if values.ndim != 1 or not len(values) or not np.isfinite(values).all():
        raise ValueError(f"values must be finite and of shape (Q,) with Q > 0, got {values.shape}")
    if not 0 < level < 1 or resamples < 1:
        raise ValueError(f"level must be in (0, 1) and resamples positive, got {level} and {resamples}")
    step = max(1, _DRAWS_AT_ONCE // len(values))
    means = np.empty(resamples, np.float64)
    for start in range(0, resamples, step):
        rows = min(step, resamples - start)
        means[start : start + rows] = values[rng.integers(len(values), size=(rows, len(values)))].mean(axis=1)
    return means
