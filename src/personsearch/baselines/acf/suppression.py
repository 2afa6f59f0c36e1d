"""One detection a person: what overlaps a better one too much is dropped."""

from __future__ import annotations

import numpy as np

from personsearch.boxes import area
from personsearch.types import Array


def suppress(boxes: Array, scores: Array, overlap: float) -> Array:
    """The rows that stay, best score first (the earlier of equals).

    The catch: overlap is the share of the *smaller* box, not of the union, so that a small box within
    a larger one goes with it however large that is; and somebody right behind somebody else,
    too.

    Args:
        boxes: (n, 4) x1 y1 x2 y2.
        scores: (n,).
        overlap: largest share of the smaller box that may be covered by a better box.

    Returns:
        (k,) int64.

    Source: Dollár et al., Integral Channel Features (BMVC 2009), addendum on suppression; greedy, so
    that what was dropped drops nobody.

    >>> boxes = np.array([[0, 0, 10, 20], [2, 5, 8, 15], [8, 0, 18, 20.0]])
    >>> suppress(boxes, np.array([0.5, 0.9, 0.8]), 0.65).tolist()  # the first covers all of the second
    [1, 2]
    """
    boxes = np.asarray(boxes, np.float64)
    order = np.argsort(-np.asarray(scores), kind="stable")
    sizes = area(boxes)
    kept: list[int] = []
    while len(order):
        best, order = order[0], order[1:]
        kept.append(int(best))
        low = np.maximum(boxes[order, :2], boxes[best, :2])
        high = np.minimum(boxes[order, 2:], boxes[best, 2:])
        shared = np.maximum(high - low, 0).prod(axis=1)
        order = order[shared <= overlap * np.minimum(sizes[order], sizes[best])]
    return np.array(kept, np.int64)
