"""How good is one ranking? Average precision in both readings of the field, and the first right answer."""

from __future__ import annotations

from typing import Literal

import numpy as np

from personsearch.types import Array

ApReading = Literal["step", "trapezoid"]


def average_precision(similarity: Array, right: Array, reading: ApReading = "step") -> float:
    """Area under precision over recall of one ranking, counting only what is in it (0 if nothing is right).

    Equal similarities are one step: whoever orders them, the value is the same. What was
    never found is not in the ranking; a search multiplies by the share that was found.

    ``"step"`` sums precision at each right answer: what the field's evaluators give today.
    ``"trapezoid"`` joins the points of the curve by lines, as scikit-learn did before
    version 0.19 (August 2017): the numbers of 2016 and early 2017 are on that scale, and
    it is lower where right answers are few.

    Args:
        similarity: (n,) larger is better.
        right: (n,) bool.
        reading: which of the two.

    Source: step: scikit-learn's ``average_precision_score``; trapezoid: its versions up to 0.18.

    >>> ranking, right = np.array([0.9, 0.8, 0.7, 0.6]), np.array([True, False, True, False])
    >>> average_precision(ranking, right)  # (1/1 + 2/3) / 2
    0.8333333333333333
    >>> average_precision(ranking, right, "trapezoid")  # (1 + 1)/2 / 2 + (1/2 + 2/3)/2 / 2
    0.7916666666666666
    """
    similarity, right = np.asarray(similarity), np.asarray(right, dtype=bool)
    found, everybody = similarity[right], np.sort(similarity)
    here = len(everybody) - np.searchsorted(everybody, found, "left")
    before = len(everybody) - np.searchsorted(everybody, found, "right")
    return float(mean_precision(np.zeros(len(found), np.int64), found, here, before, 1, reading)[0])


def mean_precision(
    query: Array, similarity: Array, here: Array, before: Array, queries: int, reading: ApReading
) -> Array:
    """(queries,) mean of the precision at every right answer, 0 without any: average precision from counts.

    No ranking is needed: how many of the gallery are more similar than a right answer
    says where it stands.

    Args:
        query: (n,) int64, whose right answer it is, in any order.
        similarity: (n,) of the right answers, larger is better.
        here: (n,) how many of the query's gallery are as similar or more.
        before: (n,) how many are more similar.
        queries: how many there are.
        reading: as in :func:`average_precision`.
    """
    if reading not in ("step", "trapezoid"):
        raise ValueError(f"average precision is read as 'step' or 'trapezoid', got {reading!r}")
    order = np.lexsort((-similarity, query))
    query, similarity = query[order], similarity[order]
    rows = np.arange(len(query))
    new_query = np.append(True, query[1:] != query[:-1])[: len(query)]
    new_level = new_query | np.append(True, similarity[1:] != similarity[:-1])[: len(query)]
    start = np.maximum.accumulate(np.where(new_query, rows, 0))
    levels = np.flatnonzero(new_level)
    level = np.cumsum(new_level) - 1
    right_before = levels[level] - start
    right_here = np.append(levels[1:], len(query))[level] - start
    precision = right_here / here[order]
    if reading == "trapezoid":
        seen = before[order]  # the curve starts at precision 1
        precision = (precision + np.divide(right_before, seen, out=np.ones(len(query)), where=seen > 0)) / 2
    total = np.bincount(query, weights=precision, minlength=queries)
    mean: Array = total / np.maximum(np.bincount(query, minlength=queries), 1)
    return mean


def first_hit(similarity: Array, right: Array) -> int:
    """Rank (1 for the best) of the first right answer; 0 if there is none.

    Equal similarities stand in the order given: in a search, the earlier gallery entry
    first, and within a picture the earlier detection. A stated order, because an
    arbitrary one makes top-1 differ between two runs.

    >>> first_hit(np.array([0.9, 0.7, 0.7, 0.7]), np.array([False, False, True, True]))
    3
    """
    similarity, right = np.asarray(similarity), np.asarray(right, dtype=bool)
    rows = np.flatnonzero(right)
    if not len(rows):
        return 0
    row = rows[np.argmax(similarity[rows])]  # argmax takes the first of equals
    better = np.count_nonzero(similarity > similarity[row])
    return int(better + np.count_nonzero(similarity[:row] == similarity[row]) + 1)
