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
    if reading not in ("step", "trapezoid"):
        raise ValueError(f"average precision is read as 'step' or 'trapezoid', got {reading!r}")
    similarity, right = np.asarray(similarity), np.asarray(right, dtype=bool)
    found = np.sort(similarity[right])
    if not len(found):
        return 0.0
    everybody = np.sort(similarity)
    levels, count = np.unique(found, return_counts=True)
    right_here = len(found) - np.searchsorted(found, levels, "left")  # at this similarity or above
    seen_here = len(everybody) - np.searchsorted(everybody, levels, "left")
    precision = right_here / seen_here
    if reading == "trapezoid":
        seen_before = len(everybody) - np.searchsorted(everybody, levels, "right")
        before = np.divide(
            right_here - count, seen_before, out=np.ones(len(levels)), where=seen_before > 0
        )  # the curve starts at precision 1
        precision = (precision + before) / 2
    return float(np.sum(count * precision) / len(found))


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
