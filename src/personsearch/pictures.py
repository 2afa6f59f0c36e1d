"""Pictures as people have them: files, pixels of either order, and boxes that must lie inside."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np

from personsearch.boxes import area, clip
from personsearch.errors import InputError, UsageError
from personsearch.images import load as load_picture
from personsearch.types import Array, Picture

Colour = Literal["rgb", "bgr"]
PictureLike = Picture | str | Path | Array


def as_picture(picture: PictureLike, *, color: Colour | None = None) -> Picture:
    """A picture from a file, from pixels, or as it is.

    Args:
        picture: a path, a :class:`Picture`, or (h, w, 3) uint8 pixels, upright.
        color: the order of the channels of pixels: OpenCV reads ``"bgr"``, everybody else
            ``"rgb"``. Pixels must say it: the wrong order gives wrong answers without an error.

    Raises:
        InputError: the file cannot be read, or the array is no picture.
        UsageError: pixels without ``color``, or ``color`` for something else.

    >>> as_picture(np.zeros((20, 30, 3), np.uint8), color="bgr").size
    (30, 20)
    """
    if isinstance(picture, np.ndarray):
        if color not in ("rgb", "bgr"):
            raise UsageError("pixels must say the order of their channels", hint='add color="rgb" or "bgr"')
        if picture.ndim != 3 or picture.shape[2] != 3 or picture.dtype != np.uint8 or not picture.size:
            raise InputError(f"pixels must be (h, w, 3) uint8, got {picture.shape} {picture.dtype}")
        return Picture(np.ascontiguousarray(picture if color == "rgb" else picture[..., ::-1]))
    if color is not None:
        raise UsageError("color is for pixels; files and pictures know their own")
    return picture if isinstance(picture, Picture) else load_picture(picture, name=str(picture))


def inside(box: Array, picture: Picture) -> Array:
    """``box`` (4,) cut to the picture, when it is one and at least half of it lies in there.

    Raises:
        InputError: it is no box, or lies outside.

    >>> inside(np.array([-5.0, 0.0, 15.0, 10.0]), Picture(np.zeros((20, 30, 3), np.uint8))).tolist()
    [0.0, 0.0, 15.0, 10.0]
    """
    if box.shape != (4,) or not np.isfinite(box).all() or not area(box) > 0:
        raise InputError(f"a box is x1 y1 x2 y2 with an area, got {box.tolist()}")
    cut = clip(box, picture.size)
    if float(area(cut)) < 0.5 * float(area(box)):
        width, height = picture.size
        raise InputError(
            f"box {box.tolist()} lies outside of {picture.name or 'the picture'} ({width}x{height})"
        )
    return cut
