"""Who is first? The exact best k, in an order that is the same every time."""

from __future__ import annotations

import numpy as np

from personsearch.types import Array


def top_k(similarities: Array, k: int) -> tuple[Array, Array]:
    """The ``k`` largest values of a row and where they stand, best first, ties by smaller index.

    Exactly what a stable sort of the whole row would give, also for values that tie at
    the k-th place; only faster, because all but the best are never sorted. Selection
    libraries leave ties to chance, and so a rank that is reported today may be another
    tomorrow.

    Args:
        similarities: (n,) or (q, n), larger is better, infinities allowed.
        k: how many; more than ``n`` gives all ``n``.

    Returns:
        Indices int64 and values (of the type given), both (k',) or (q, k'), ``k' = min(k, n)``.

    Raises:
        ValueError: a NaN, which has no place in any order; a negative ``k``.

    >>> indices, values = top_k(np.array([0.2, 0.9, 0.5, 0.9, 0.5]), 3)
    >>> indices.tolist(), values.tolist()
    ([1, 3, 2], [0.9, 0.9, 0.5])
    """
    table = np.asarray(similarities)
    if not np.issubdtype(table.dtype, np.floating):
        table = table.astype(np.float64)
    if table.ndim not in (1, 2):
        raise ValueError(f"similarities must have shape (n,) or (q, n), got {table.shape}")
    if k < 0:
        raise ValueError(f"k must not be negative, got {k}")
    if table.ndim == 1:
        best = _best_of_row(table, k)
        return best, table[best]
    indices = np.empty((len(table), min(k, table.shape[1])), np.int64)
    for row, values in enumerate(table):
        indices[row] = _best_of_row(values, k)
    return indices, np.take_along_axis(table, indices, axis=1)


def _best_of_row(values: Array, k: int) -> Array:
    """Indices of the best ``k`` of a (n,) row, ties by smaller index."""
    if np.isnan(values).any():
        raise ValueError("similarities contain NaN")
    n = len(values)
    if k == 0:
        return np.zeros(0, np.int64)
    if k >= n:
        chosen = np.arange(n)
    else:
        last = np.partition(values, n - k)[n - k]  # the value at the k-th place
        above = np.flatnonzero(values > last)
        level = np.flatnonzero(values == last)[: k - len(above)]
        chosen = np.sort(np.concatenate([above, level]))
    order: Array = chosen[np.argsort(-values[chosen], kind="stable")]
    return order
