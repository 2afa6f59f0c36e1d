"""Who would also choose the query? Re-ranking by shared neighbours, among the best candidates only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from personsearch.ranking.similarity import similarities as compare
from personsearch.ranking.topk import top_k
from personsearch.types import Array, Similarity

_ROWS = 256
"""Rows of a table of candidates that are worked on at a time."""


@dataclass(frozen=True, kw_only=True)
class KReciprocalRules:
    """How far neighbourhoods reach.

    Attributes:
        top: candidates that are re-ranked; memory and time grow with its square, whatever
            the size of the gallery.
        k1: neighbours that count as near.
        k2: neighbours whose neighbourhoods are averaged (1: none).
        weight: share of the original distance in the new one, in [0, 1].

    The values of ``k1``, ``k2`` and ``weight`` are the paper's for Market-1501.
    """

    top: int = 200
    k1: int = 20
    k2: int = 6
    weight: float = 0.3

    def __post_init__(self) -> None:
        if self.top < 1 or self.k1 < 1 or self.k2 < 1 or not 0 <= self.weight <= 1:
            raise ValueError(f"top, k1 and k2 must be positive and weight in [0, 1], got {self}")


def rerank(
    query: Array,
    people: Array,
    similarities: Array,
    kind: Similarity,
    rules: KReciprocalRules | None = None,
    *,
    rows: Array | None = None,
) -> tuple[Array, Array]:
    """The best candidates of one query in a better order: two people are alike if their neighbours are.

    The first ``rules.top`` people by ``similarities`` are put in order anew; everybody
    else stays behind them, as before, and is not returned.

    Args:
        query: (d,) embedding.
        people: (n, d) embeddings of the gallery, or a table that ``rows`` points into.
        similarities: (n,) of the query to them.
        kind: how embeddings are compared; neighbours by product are neighbours by cosine.
        rules: :class:`KReciprocalRules`.
        rows: (n,) where in ``people`` each stands, so that a large table need not be copied.

    Returns:
        (m,) int64 places in ``similarities``, best first, and (m,) float64 minus their new
        distances, in [-1, 0]; ``m = min(n, rules.top)``. Ties keep the order they had.

    Source: Zhong et al., Re-ranking Person Re-identification with k-reciprocal Encoding
    (CVPR 2017), equations 1-12, with the query and its candidates as the whole world.

    >>> people = np.array([[1.0, 0.1], [1.0, 0.0], [0.0, 1.0]])
    >>> rerank(np.array([1.0, 0.0]), people, np.array([0.995, 1.0, 0.0]), "cosine")[0].tolist()
    [1, 0, 2]
    """
    rules = rules or KReciprocalRules()
    best, _ = top_k(similarities, rules.top)
    if not len(best):
        return best, np.zeros(0)
    candidates = np.asarray(people)[best if rows is None else np.asarray(rows)[best]]
    world = np.concatenate([np.asarray(query)[None], candidates])
    new = -_distances_to_first(_squared(world, kind), rules)
    order, values = top_k(new, len(best))
    return best[order], values


def _squared(world: Array, kind: Similarity) -> Array:
    """(m, m) squared distances, each row divided by its largest; of unit vectors unless Euclidean."""
    squared = compare(world, world, "euclidean" if kind == "euclidean" else "cosine").astype(np.float64)
    if kind == "euclidean":
        np.square(squared, out=squared)
    else:
        squared *= -2.0
        squared += 2.0
    largest = squared.max(axis=1, keepdims=True)
    squared /= np.where(largest > 0, largest, 1.0)
    return squared


def _distances_to_first(squared: Array, rules: KReciprocalRules) -> Array:
    """(m - 1,) re-ranked distances from row 0 to the others (equation 12).

    Rows are worked on some at a time, so that memory holds few tables of (m, m).
    """
    m, close = len(squared), round(rules.k1 / 2) + 1
    blocks = [slice(start, start + _ROWS) for start in range(0, m, _ROWS)]
    first = max(rules.k1 + 1, close, rules.k2)
    ranking = np.concatenate(
        [np.argsort(squared[rows], axis=1, kind="stable")[:, :first].copy() for rows in blocks]
    )
    near = _mutual(ranking, m, rules.k1 + 1)
    # Equation 5: a neighbour's own close circle joins where two thirds of it are already in.
    # (Counts are exact in float32, whose product is a hundred times faster than that of integers.)
    closer = _mutual(ranking, m, close).astype(np.float32)
    size = 2 * closer.sum(axis=1)[None]
    weights = np.empty((m, m))
    for rows in blocks:
        shared = near[rows].astype(np.float32) @ closer.T
        joins = near[rows] & (3 * shared > size)
        circle = near[rows] | ((joins.astype(np.float32) @ closer) > 0)
        # Equation 7; an empty circle (only possible among exact copies) stays empty.
        some = np.where(circle, np.exp(-squared[rows]), 0.0)
        total = some.sum(axis=1, keepdims=True)
        weights[rows] = some / np.where(total > 0, total, 1.0)
    # Equation 11; alone, everybody is their own neighbour, also where a copy of them comes first.
    neighbours = ranking[:, : rules.k2] if rules.k2 > 1 else np.arange(m)[:, None]
    own = _mean_of_neighbours(weights, neighbours[:1])
    overlap = np.concatenate(
        [np.minimum(own, _mean_of_neighbours(weights, neighbours[rows])).sum(axis=1) for rows in blocks]
    )[1:]
    overlap = np.minimum(overlap, 1.0)  # not a last digit more
    jaccard = 1.0 - overlap / (2.0 - overlap)  # equation 10, for rows that sum to one
    result: Array = (1.0 - rules.weight) * jaccard + rules.weight * squared[0, 1:]
    return result


def _mean_of_neighbours(weights: Array, neighbours: Array) -> Array:
    """(n, m) for each row of ``neighbours`` (n, k) the mean of the rows of ``weights`` (m, m) that it names,
    one at a time: all at once would hold k tables."""
    total = weights[neighbours[:, 0]]
    for column in neighbours.T[1:]:
        total += weights[column]
    total /= neighbours.shape[1]
    return total


def _mutual(ranking: Array, m: int, k: int) -> Array:
    """(m, m) bool: each is among the other's first ``k`` (equations 1 and 2)."""
    first = np.zeros((m, m), bool)
    np.put_along_axis(first, ranking[:, :k], True, axis=1)
    both: Array = first & first.T
    return both
