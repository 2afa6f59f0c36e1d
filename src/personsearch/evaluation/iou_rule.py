"""When does a detected box count as the annotated person?"""

from __future__ import annotations

from typing import Literal

import numpy as np

from personsearch import boxes as geometry
from personsearch.types import Array

MatchIou = Literal["size-adaptive", "fixed"]
BoxSides = Literal["continuous", "inclusive"]

FIXED_IOU = 0.5
IGNORED_OVERLAP = 0.5
"""Overlap, or share of the detection, from which an ignored box swallows a detection."""


def match_threshold(boxes: Array) -> Array:
    """Smallest overlap at which a detection counts as finding the person in each of ``boxes``.

    The overlap that the box has with itself grown by 5 px on every side, at most 0.5: a
    detector that is 5 px loose all round still finds a person who is 10 px wide. A slip
    of precedence, ``w * h / (w + 10) * (h + 10)``, is in print; the first example tells.

    Args:
        boxes: (n, 4) annotated x1 y1 x2 y2, pixels of the original picture.

    Returns:
        (n,) float64 in [0, 0.5].

    Source: search protocol of CUHK-SYSU (Xiao et al., CVPR 2017); the same for PRW.

    >>> match_threshold(np.array([[0, 0, 10, 20.0]])).tolist()  # far away: 200 / (20 * 30)
    [0.3333333333333333]
    >>> match_threshold(np.array([[0, 0, 60, 160.0]])).tolist()  # near: 0.81, capped
    [0.5]
    """
    wide = np.asarray(boxes, dtype=np.float64)
    width, height = wide[:, 2] - wide[:, 0], wide[:, 3] - wide[:, 1]
    threshold: Array = np.minimum(0.5, width * height / ((width + 10) * (height + 10)))
    return threshold


def match_thresholds(boxes: Array, rule: MatchIou) -> Array:
    """:func:`match_threshold` of each of ``boxes`` (n, 4), or 0.5 for all where the ``rule`` is fixed."""
    return match_threshold(boxes) if rule == "size-adaptive" else np.full(len(boxes), FIXED_IOU)


def with_sides(boxes: Array, sides: BoxSides) -> Array:
    """``boxes`` (n, 4) with continuous sides, from boxes whose sides are ``sides``.

    >>> with_sides(np.array([[0, 0, 9, 19.0]]), "inclusive").tolist()  # 10 by 20 pixels
    [[0.0, 0.0, 10.0, 20.0]]
    """
    if sides == "continuous":
        return np.asarray(boxes)
    grown: Array = np.asarray(boxes) + np.array([0, 0, 1, 1], np.asarray(boxes).dtype)
    return grown


def paired_iou(a: Array, b: Array) -> Array:
    """(n,) intersection over union of ``a[i]`` with ``b[i]``, as ``boxes.iou`` does for all pairs.

    >>> paired_iou(np.array([[0, 0, 2, 2.0]]), np.array([[1, 0, 3, 2.0]])).round(3).tolist()
    [0.333]
    """
    shared = _paired_intersection(a, b)
    union = geometry.area(a) + geometry.area(b) - shared
    overlap: Array = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    return overlap


def paired_ignored(detected: Array, ignored: Array) -> Array:
    """(n,) bool: ``ignored[i]`` swallows ``detected[i]``, by overlap or because most of it lies inside.

    A group of people is often one large ignored box, with which no single person
    overlaps by half, though the person lies wholly inside.

    >>> group, inside = np.array([[0, 0, 90, 90.0]]), np.array([[10, 10, 30, 60.0]])
    >>> paired_ignored(inside, group).tolist(), paired_ignored(inside + 75, group).tolist()
    ([True], [False])
    """
    size = geometry.area(detected)
    swallowed = (size > 0) & (_paired_intersection(detected, ignored) >= IGNORED_OVERLAP * size)
    result: Array = swallowed | (paired_iou(detected, ignored) >= IGNORED_OVERLAP)
    return result


def _paired_intersection(a: Array, b: Array) -> Array:
    sides = np.maximum(np.minimum(a[:, 2:], b[:, 2:]) - np.maximum(a[:, :2], b[:, :2]), 0)
    shared: Array = sides[:, 0] * sides[:, 1]
    return shared
