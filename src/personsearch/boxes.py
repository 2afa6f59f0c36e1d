"""Arithmetic of boxes: ``(n, 4)`` x1 y1 x2 y2, continuous sides (no "+1"), in pixels.

Another form of box lives inside one function whose name says so.
"""

from __future__ import annotations

import numpy as np

from personsearch.errors import InputError
from personsearch.types import Array, Picture


def from_xywh(boxes: Array) -> Array:
    """(..., 4) corners x1 y1 x2 y2 of boxes given as left, top, width, height.

    The result is float32; integers are widened first (width + left overflows a uint8).

    >>> from_xywh(np.array([[250, 10, 20, 30]], np.uint8)).tolist()
    [[250.0, 10.0, 270.0, 40.0]]
    """
    wide = np.asarray(boxes, dtype=np.float64)
    return np.concatenate([wide[..., :2], wide[..., :2] + wide[..., 2:]], axis=-1).astype(np.float32)


def to_xywh(boxes: Array) -> Array:
    """(..., 4) left, top, width, height of corner boxes, float32.

    >>> to_xywh(np.array([250.0, 10.0, 270.0, 40.0])).tolist()
    [250.0, 10.0, 20.0, 30.0]
    """
    wide = np.asarray(boxes, dtype=np.float64)
    return np.concatenate([wide[..., :2], wide[..., 2:] - wide[..., :2]], axis=-1).astype(np.float32)


def area(boxes: Array) -> Array:
    """(n,) areas in square pixels, in the precision of ``boxes``; an inverted box has area 0."""
    sides = np.maximum(np.asarray(boxes)[..., 2:] - np.asarray(boxes)[..., :2], 0)
    product: Array = sides[..., 0] * sides[..., 1]
    return product


def iou(a: Array, b: Array) -> Array:
    """(n, m) intersection over union of every box of ``a`` (n, 4) with every box of ``b`` (m, 4).

    Computed in the precision of the inputs (the field's evaluators use float32). Two
    boxes without area overlap by 0.

    >>> iou(np.array([[0, 0, 2, 2.0]]), np.array([[1, 0, 3, 2.0], [0, 0, 2, 2]])).round(3).tolist()
    [[0.333, 1.0]]
    """
    a, b = np.asarray(a), np.asarray(b)
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    sides = np.maximum(high - low, 0)
    shared = sides[..., 0] * sides[..., 1]
    union = area(a)[:, None] + area(b)[None, :] - shared
    result: Array = np.divide(
        shared, union, out=np.zeros_like(shared, dtype=np.result_type(shared, 0.0)), where=union > 0
    )
    return result


def clip(boxes: Array, size: tuple[int, int]) -> Array:
    """``boxes`` cut to a picture of ``size`` (width, height).

    >>> clip(np.array([[-5.0, 10, 700, 300]]), (640, 480)).tolist()
    [[0.0, 10.0, 640.0, 300.0]]
    """
    width, height = size
    limits = np.array([width, height, width, height], dtype=np.asarray(boxes).dtype)
    clipped: Array = np.clip(boxes, 0, limits)
    return clipped


def inside(boxes: Array, picture: Picture) -> Array:
    """(n, 4) float32 ``boxes`` cut to the picture, each with an area left.

    Raises:
        InputError: one has none there, or is not finite.

    >>> inside(np.array([[-2, 1, 3, 9]]), Picture(np.zeros((6, 4, 3), np.uint8))).tolist()
    [[0.0, 1.0, 3.0, 6.0]]
    """
    boxes = np.asarray(boxes, np.float32).reshape(-1, 4)
    cut = clip(boxes, picture.size)
    # "Not larger" rather than "smaller or equal": a NaN passes no comparison.
    if not np.isfinite(boxes).all() or not (cut[:, 2:] > cut[:, :2]).all():
        raise InputError(
            f"a box has no area inside {picture.name or 'the picture'}, "
            f"which is {picture.size[0]}x{picture.size[1]}",
            hint="give x,y,w,h in pixels of the upright picture, with w, h > 0",
        )
    return cut
