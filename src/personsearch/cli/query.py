"""Whom a command means: a box that was given, or the one person that the detector finds."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from personsearch.cli.output import box_text, print_table
from personsearch.errors import InputError, UsageError

if TYPE_CHECKING:
    from personsearch.types import Array, Detections, Picture

SMALL = 50
"""People lower than this many pixels are hard to tell apart; a query of them gets a warning."""


FAR = 1e9
"""No picture is this wide; numbers beyond it would overflow in 32 bits."""


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
    if numbers[2] < 1 or numbers[3] < 1:
        raise UsageError(f"--box {text!r} is less than a pixel", hint="width and height must be at least 1")
    if max(map(abs, numbers)) > FAR:
        raise UsageError(f"--box {text!r} lies outside of every picture", hint="numbers are pixels")
    return from_xywh(np.array(numbers))


def parse_place(text: str) -> tuple[Path, str | None]:
    """The file and, where it is there, the box of ``PICTURE`` or ``PICTURE:X,Y,W,H``.

    A file whose whole name is ``text`` is meant as it stands.

    >>> parse_place("a.jpg:1,2,3,4"), parse_place("a:b.jpg")
    ((PosixPath('a.jpg'), '1,2,3,4'), (PosixPath('a:b.jpg'), None))
    """
    file, colon, box = text.rpartition(":")
    if not colon or not file or box.count(",") != 3 or Path(text).exists():
        return Path(text), None
    return Path(file), box


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """How the person of a picture was named.

    Attributes:
        box: ``x,y,w,h`` as it was typed; None leaves it to the detector.
        pick: number of the person among those found, 1 for the best detection.
        largest: whoever is largest in the picture.
        conf: without a box, detections below this score are nobody.
    """

    box: str | None = None
    pick: int | None = None
    largest: bool = False
    conf: float = 0.5

    def __post_init__(self) -> None:
        if sum((self.box is not None, self.pick is not None, self.largest)) > 1:
            raise UsageError("--box, --pick and --largest contradict each other", hint="give one of them")

    def given(self, picture: Picture) -> Array | None:
        """(4,) the box that was typed, cut to the picture; None when none was.

        Raises:
            UsageError: it is not four numbers.
            InputError: less than half of it lies in the picture: that box means something else.
        """
        from personsearch.boxes import area, clip

        if self.box is None:
            return None
        box = parse_box(self.box)
        cut = clip(box, picture.size)
        if float(area(cut)) < 0.5 * float(area(box)):
            width, height = picture.size
            raise InputError(
                f"box {self.box} lies outside {picture.name}, which is {width}x{height}",
                hint="--box is x,y,w,h in pixels of the upright picture, and most of it must be inside",
            )
        return cut

    def found(self, picture: Picture, seen: Detections) -> Array:
        """(4,) box of the one among ``seen`` who is meant.

        Raises:
            InputError: nobody is there, or several are and none was picked; the candidates have
                then been listed on standard error.
        """
        import numpy as np

        from personsearch.boxes import area

        people = seen.take(seen.scores >= self.conf)
        if not len(people):
            raise InputError(
                f"nobody was found in {picture.name}",
                hint="say where the person is with --box x,y,w,h, or lower --conf",
            )
        if self.pick is not None and not 1 <= self.pick <= len(people):
            raise InputError(
                f"there is no person {self.pick} in {picture.name}",
                hint=f"the people found there have the numbers 1 to {len(people)}",
            )
        if self.pick is None and not self.largest and len(people) > 1:
            print_table(candidates(people), sys.stderr)
            raise InputError(
                f"{len(people)} people were found in {picture.name}; which one is meant?",
                hint="add --pick NUMBER, --largest or --box x,y,w,h",
            )
        chosen = int(np.argmax(area(people.boxes))) if self.largest else (self.pick or 1) - 1
        box: Array = people.boxes[chosen]
        print(f"query: the person at {box_text(box)} (score {people.scores[chosen]:.2f})", file=sys.stderr)
        return box


def candidates(people: Detections) -> list[dict[str, Any]]:
    """The people of a picture, numbered as ``--pick`` takes them."""
    return [
        {"number": i + 1, "box x,y,w,h": box_text(people.boxes[i]), "score": float(people.scores[i])}
        for i in range(len(people))
    ]


def warn_if_small(box: Array) -> None:
    """Say on standard error when the person is too small to be recognised well."""
    height = float(box[3] - box[1])
    if height < SMALL:
        print(f"warning: the person is only {height:.0f} px high; expect poor hits", file=sys.stderr)
