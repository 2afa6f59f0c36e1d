"""Several examples of one person, and of others who are not: the one vector to look for."""

from __future__ import annotations

import numpy as np

from personsearch.ranking.similarity import norms
from personsearch.types import Array, Similarity

AWAY = 0.25
"""Weight of those who are not the person, where the person's own examples have 1."""


def combined(
    positives: Array, negatives: Array | None = None, *, kind: Similarity = "cosine", away: float = AWAY
) -> Array:
    """(d,) float32: the middle of a person's examples, moved away from the middle of wrong ones.

    So several examples are one search like any other, at the price of one. Where lengths do not count
    (``"cosine"``), every example counts alike, whatever its length; the result is then of no
    particular length. Of Euclidean vectors, whose origin means nothing, it is the move that is
    weighted: ``p + away (p - n)``. One example alone is itself, to the last bit.

    The catch: the middle of very different looks (a coat, then none) is like neither; save such a
    person under two names.

    Args:
        positives: (p, d) raw embeddings of the person, p at least 1.
        negatives: (n, d) of people who were taken for the person and are not.
        kind: how embeddings are compared.
        away: weight of the wrong ones, from 0 (they are of no account).

    Raises:
        ValueError: no positives, shapes that do not fit, a negative weight.

    Source: Rocchio, Relevance Feedback in Information Retrieval (in Salton, The SMART Retrieval
    System, 1971), with weights 1 and ``away``.

    >>> combined(np.array([[2.0, 0.0], [0.0, 5.0]]), np.array([[0.0, -9.0]]), away=0.5).tolist()
    [0.5, 1.0]
    >>> combined(np.array([[2.0, 0.0]]), np.array([[0.0, 1.0]]), kind="euclidean", away=0.5).tolist()
    [3.0, -0.5]
    """
    right = _table(positives, "positives")
    if not len(right):
        raise ValueError("somebody is looked for by at least one example")
    wrong = np.zeros((0, right.shape[1])) if negatives is None else _table(negatives, "negatives")
    if wrong.shape[1] != right.shape[1]:
        raise ValueError(f"positives have {right.shape[1]} dimensions, negatives {wrong.shape[1]}")
    if not away >= 0:
        raise ValueError(f"a weight is not negative, got {away}")
    if len(right) == 1 and (not len(wrong) or away == 0):
        alone: Array = np.asarray(positives, np.float32)[0].copy()
        return alone
    if kind == "cosine":
        right, wrong = _unit(right), _unit(wrong)
    middle = right.mean(axis=0)
    if len(wrong):
        other = wrong.mean(axis=0)
        middle = middle + away * (middle - other) if kind == "euclidean" else middle - away * other
    return np.asarray(middle, np.float32)


def _table(values: Array, what: str) -> Array:
    table: Array = np.asarray(values, np.float64)
    if table.ndim != 2:
        raise ValueError(f"{what} must have shape (n, d), got {table.shape}")
    return table


def _unit(vectors: Array) -> Array:
    """Rows of length 1; a zero vector, which points nowhere, stays."""
    lengths = norms(vectors)[:, None]
    unit: Array = np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)
    return unit
