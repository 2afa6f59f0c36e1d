"""Cutting people out of pictures, and pictures to a size."""

from __future__ import annotations

import numpy as np
from PIL import Image

from personsearch.types import Array

BACKDROP = (228, 230, 233)
"""What shows where there is no picture: a light, neutral grey."""


def crop(pixels: Array, box: Array, *, margin: float = 0.1, aspect: float | None = None) -> Array:
    """The person in ``box`` with a little of what is around, (h, w, 3) uint8.

    The window is the box grown by ``margin`` of its longer side all round, then to the
    wanted shape. It is moved into the picture where it fits and cut where it does not; a
    box that lies outside altogether gives the nearest pixel.

    Args:
        pixels: (h, w, 3) uint8.
        box: (4,) x1 y1 x2 y2 in its pixels.
        margin: share of the box's longer side.
        aspect: width / height of the window; None keeps the box's own.

    >>> picture = np.zeros((100, 200, 3), np.uint8)
    >>> crop(picture, np.array([50, 10, 70, 50]), margin=0).shape
    (40, 20, 3)
    >>> crop(picture, np.array([0, 10, 20, 50]), margin=0, aspect=1.0).shape  # moved in from the left edge
    (40, 40, 3)
    """
    height, width = pixels.shape[:2]
    x1, y1, x2, y2 = (float(side) for side in box)
    spare = margin * max(x2 - x1, y2 - y1)
    wide, high = max(x2 - x1, 1.0) + 2 * spare, max(y2 - y1, 1.0) + 2 * spare
    if aspect is not None:
        wide, high = max(wide, high * aspect), max(high, wide / aspect)
    left, right = _window((x1 + x2) / 2, wide, width)
    top, bottom = _window((y1 + y2) / 2, high, height)
    return np.ascontiguousarray(pixels[top:bottom, left:right])


def _window(centre: float, length: float, limit: int) -> tuple[int, int]:
    """Whole pixels of a stretch of ``length`` around ``centre``, moved into [0, ``limit``]; at least one."""
    whole = min(max(round(length), 1), limit)
    start = min(max(round(centre - whole / 2), 0), limit - whole)
    return start, start + whole


def fit(pixels: Array, size: tuple[int, int], *, enlarge: bool = False) -> Array:
    """``pixels`` resampled so that they just fit into ``size`` (width, height), shape kept.

    A smaller picture stays as it is unless ``enlarge`` is set.

    >>> fit(np.zeros((100, 200, 3), np.uint8), (50, 50)).shape
    (25, 50, 3)
    """
    height, width = pixels.shape[:2]
    scale = min(size[0] / width, size[1] / height)
    if scale == 1 or (scale > 1 and not enlarge):
        return pixels
    target = (max(1, round(width * scale)), max(1, round(height * scale)))
    picture = Image.fromarray(np.ascontiguousarray(pixels))
    return np.asarray(picture.resize(target, Image.Resampling.LANCZOS, reducing_gap=3.0))


def mount(pixels: Array, size: tuple[int, int], colour: tuple[int, int, int] = BACKDROP) -> Array:
    """``pixels``, made to fit, in the middle of a sheet of ``size`` (width, height).

    >>> mount(np.zeros((10, 10, 3), np.uint8), (30, 10))[0, [0, 15, 29], 0].tolist()
    [228, 0, 228]
    """
    fitted = fit(pixels, size, enlarge=True)
    sheet = np.full((size[1], size[0], 3), colour, np.uint8)
    top, left = (size[1] - fitted.shape[0]) // 2, (size[0] - fitted.shape[1]) // 2
    sheet[top : top + fitted.shape[0], left : left + fitted.shape[1]] = fitted
    return sheet
