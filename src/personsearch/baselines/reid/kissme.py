"""KISSME: which differences between two descriptions of people mean that they are two people?

Source: M. Koestinger, M. Hirzer, P. Wohlhart, P. M. Roth and H. Bischof, "Large Scale Metric Learning
from Equivalence Constraints", CVPR 2012, equations 7 to 16: the logarithm of the likelihood ratio of
two zero-mean Gaussians of differences is a Mahalanobis distance with M = inv(S) - inv(D).
"""

from __future__ import annotations

import numpy as np

from personsearch.errors import DatasetError
from personsearch.types import Array

_PAIRS_AT_ONCE = 1 << 15


def learn_metric(
    vectors: Array, people: Array, *, pairs: int = 200_000, shrinkage: float = 0.05, seed: int = 0
) -> Array:
    """(r, d) float64 L such that ``|L (x - y)|`` is large when x and y are two people.

    Compared by their Euclidean distance, ``L x`` and ``L y`` are as far apart as x and y are by the
    learned metric: ``L^T L`` is inv(S) - inv(D) with its negative eigenvalues set to zero, as in
    the source. S and D are the mean squares of differences between two appearances of one person,
    and of two people. Only directions with a positive eigenvalue are kept: r <= d of them.

    The catch: the first Gaussian is estimated from pairs of one person, of which there are few
    (their rank is at most appearances minus people). So both matrices are shrunk towards a
    multiple of the unit matrix that has the same trace; the source reduces dimensions instead.

    Args:
        vectors: (n, d) descriptions.
        people: (n,) who each of them shows.
        pairs: at most so many of either kind, drawn by ``seed``; as many of two people as of one.
        shrinkage: share of the multiple of the unit matrix, in [0, 1).

    Raises:
        DatasetError: nobody was seen twice, there is only one person, or the pairs leave nothing to learn.

    >>> x = np.array([[0.0, 0], [0, 2], [3, 0], [3, 2]])  # two people, seen twice; the second number is noise
    >>> L = learn_metric(x, np.array([0, 0, 1, 1]), shrinkage=0.01)
    >>> np.abs(L).round(1).tolist()  # the first number tells them apart, the second hardly
    [[7.1, 0.0], [0.0, 0.1]]
    """
    vectors, people = np.asarray(vectors, np.float64), np.asarray(people, np.int64)
    if vectors.ndim != 2 or people.shape != (len(vectors),):
        raise ValueError(f"vectors (n, d) and people (n,), got {vectors.shape} and {people.shape}")
    if not 0 <= shrinkage < 1 or pairs < 1:
        raise ValueError(f"shrinkage is in [0, 1) and pairs positive, got {shrinkage} and {pairs}")
    rng = np.random.default_rng(seed)
    same = same_pairs(people, pairs, rng)
    different = different_pairs(people, len(same), rng)
    precision = [_precision(vectors, chosen, shrinkage) for chosen in (same, different)]
    values, directions = np.linalg.eigh(precision[0] - precision[1])
    kept = values > 1e-12 * np.abs(values).max()
    if not kept.any():
        raise DatasetError(
            "the learned metric is zero: two appearances of one person differ as much as two people",
            hint="train on more people who appear more than once",
        )
    metric: Array = (np.sqrt(values[kept])[:, None] * directions[:, kept].T)[::-1]
    return metric


def same_pairs(people: Array, most: int, rng: np.random.Generator) -> Array:
    """(p, 2) rows of two appearances of one person, each pair once; at most ``most``, drawn evenly.

    >>> same_pairs(np.array([5, 7, 5, 5]), 10, np.random.default_rng(0)).tolist()
    [[0, 2], [0, 3], [2, 3]]
    """
    order = np.argsort(people, kind="stable")
    _, first, counts = np.unique(people[order], return_index=True, return_counts=True)
    ends = np.cumsum(counts * (counts - 1) // 2)
    if not len(ends) or ends[-1] == 0:
        raise DatasetError(
            "nobody in the training scenes was seen twice, so there is no pair of one person to learn from",
            hint="train on annotation that names people across pictures",
        )
    total = int(ends[-1])
    rank = np.arange(total) if total <= most else np.sort(rng.choice(total, most, replace=False))
    who = np.searchsorted(ends, rank, side="right")
    rank = rank - np.concatenate([[0], ends])[who]
    # The pair's number within a person: (1, 0) (2, 0) (2, 1) (3, 0) ... A whole root comes out whole, and
    # for people seen fewer than 10 million times no other is near enough to one to be rounded to it.
    later = ((1 + np.sqrt(1 + 8 * rank.astype(np.float64))) / 2).astype(np.int64)
    earlier = rank - later * (later - 1) // 2
    result: Array = np.stack([order[first[who] + earlier], order[first[who] + later]], axis=1)
    return result


def different_pairs(people: Array, count: int, rng: np.random.Generator) -> Array:
    """(count, 2) rows of two people, drawn evenly (a pair may be drawn twice).

    >>> rows = different_pairs(np.array([5, 7, 5, 5]), 100, np.random.default_rng(0))
    >>> bool((rows == 1).sum(axis=1).min() == 1)  # row 1 is in every pair: the others are one person
    True
    """
    if len(np.unique(people)) < 2:
        raise DatasetError(
            "there is only one person in the training scenes, so there is nobody to tell them from",
            hint="train on annotation of several people",
        )
    found = np.zeros((0, 2), np.int64)
    while len(found) < count:
        drawn = rng.integers(len(people), size=(max(count, 64), 2))
        found = np.concatenate([found, drawn[people[drawn[:, 0]] != people[drawn[:, 1]]]])
    return found[:count]


def _precision(vectors: Array, pairs: Array, shrinkage: float) -> Array:
    """(d, d) inverse of the mean square of differences over ``pairs``, shrunk."""
    dim = vectors.shape[1]
    square = np.zeros((dim, dim))
    for start in range(0, len(pairs), _PAIRS_AT_ONCE):
        rows = pairs[start : start + _PAIRS_AT_ONCE]
        difference = vectors[rows[:, 0]] - vectors[rows[:, 1]]
        square += difference.T @ difference
    square /= len(pairs)
    spread = np.trace(square) / dim
    square = (1 - shrinkage) * square + shrinkage * spread * np.eye(dim)
    lowest = np.linalg.eigvalsh(square)[0]
    if not lowest > 1e-12 * spread:
        raise DatasetError(
            "the metric cannot be learned: differences between appearances do not span all directions",
            hint="train on more people, or shrink more (shrinkage above 0)",
        )
    inverse: Array = np.linalg.inv(square)
    return inverse
