"""Whom a command means: a box that was given, or the one person that the detector finds."""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING

from personsearch.cli.output import box_text, print_table
from personsearch.errors import InputError, UsageError

if TYPE_CHECKING:
    from personsearch.types import Array, Picture, Searcher

SMALL = 50
"""People lower than this many pixels are hard to tell apart; a query of them gets a warning."""


def parse_box(text: str) -> Array:
    """(4,) corners x1 y1 x2 y2 of a box written ``x,y,w,h``: left, top, width, height in pixels.

    >>> parse_box("412,88,140,390").tolist()
    [412.0, 88.0, 552.0, 478.0]
    """
    import numpy as np

    from personsearch.boxes import from_xywh

    words = text.split(",")
    try:
        numbers = [float(word) for word in words]
    except ValueError:
        numbers = []
    if len(numbers) != 4 or not all(math.isfinite(number) for number in numbers):
        raise UsageError(f"--box {text!r} is not x,y,w,h", hint="four numbers in pixels, e.g. 412,88,140,390")
    if numbers[2] <= 0 or numbers[3] <= 0:
        raise UsageError(f"--box {text!r} has no area", hint="width and height must be above 0")
    return from_xywh(np.array(numbers))


def inside(box: Array, picture: Picture) -> Array:
    """``box`` cut to the picture, when at least half of it lies in there.

    Raises:
        InputError: where less than half remains: that box means something else.
    """
    from personsearch.boxes import area, clip

    cut = clip(box, picture.size)
    if float(area(cut)) < 0.5 * float(area(box)):
        width, height = picture.size
        raise InputError(
            f"box {box_text(box)} lies outside {picture.name}, which is {width}x{height}",
            hint="--box is x,y,w,h in pixels of the upright picture",
        )
    return cut


def choose_person(
    picture: Picture, searcher: Searcher, *, conf: float, pick: int | None, largest: bool
) -> Array:
    """(4,) box of the person who is meant when no box was given.

    Args:
        conf: detections below this score are nobody.
        pick: number of the person, 1 for the best detection.
        largest: take whoever is largest in the picture.

    Raises:
        InputError: nobody is there, or several are and none was picked; the candidates have
            then been listed on standard error.
    """
    import numpy as np

    from personsearch.boxes import area

    seen = searcher.detect(picture)
    boxes = seen.boxes[seen.scores >= conf]
    scores = seen.scores[seen.scores >= conf]
    if not len(boxes):
        raise InputError(
            f"nobody was found in {picture.name}",
            hint="say where the person is with --box x,y,w,h, or lower --conf",
        )
    if pick is not None:
        if not 1 <= pick <= len(boxes):
            raise InputError(f"there is no person {pick} in {picture.name}: {len(boxes)} were found")
        chosen = pick - 1
    elif largest:
        chosen = int(np.argmax(area(boxes)))
    elif len(boxes) == 1:
        chosen = 0
    else:
        rows = [
            {"number": i + 1, "box x,y,w,h": box_text(box), "score": float(score)}
            for i, (box, score) in enumerate(zip(boxes, scores, strict=True))
        ]
        print_table(rows, sys.stderr)
        raise InputError(
            f"{len(boxes)} people were found in {picture.name}; which one is meant?",
            hint="add --pick NUMBER, --largest or --box x,y,w,h",
        )
    print(f"query: the person at {box_text(boxes[chosen])} (score {scores[chosen]:.2f})", file=sys.stderr)
    box: Array = boxes[chosen]
    return box


def warn_if_small(box: Array) -> None:
    """Say on standard error when the person is too small to be recognised well."""
    height = float(box[3] - box[1])
    if height < SMALL:
        print(f"warning: the person is only {height:.0f} px high; expect poor hits", file=sys.stderr)
