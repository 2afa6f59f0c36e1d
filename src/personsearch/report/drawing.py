"""Boxes and short labels on pixels, told apart by line as well as by colour.

The colours are those of Okabe and Ito (2008), which people with any of the usual colour
blindnesses can tell apart; the line patterns tell them apart in grey.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from personsearch.types import Array

Colour = tuple[int, int, int]


@dataclass(frozen=True, kw_only=True)
class LineStyle:
    """How a kind of box is drawn.

    Attributes:
        colour: of the line and of the label's plate.
        pattern: solid, dashed (gaps show the picture) or dotted (gaps are black).
        weight: thickness, in units of the picture's line.
    """

    colour: Colour
    pattern: Literal["solid", "dashed", "dotted"] = "solid"
    weight: float = 1.0


QUERY = LineStyle(colour=(0, 114, 178), weight=1.5)
HIT = LineStyle(colour=(240, 228, 66))
RIGHT = LineStyle(colour=(0, 158, 115))
WRONG = LineStyle(colour=(230, 159, 0), pattern="dashed")
TRUTH = LineStyle(colour=(255, 255, 255), pattern="dotted")
BYSTANDER = LineStyle(colour=(205, 208, 212), weight=0.5)


@dataclass(frozen=True, eq=False, kw_only=True)
class Mark:
    """One box to draw.

    Attributes:
        box: (4,) x1 y1 x2 y2 in pixels of the picture that is drawn on.
        style: how.
        label: a few letters at its upper edge; none if empty.
    """

    box: Array
    style: LineStyle
    label: str = ""


def draw(pixels: Array, marks: Sequence[Mark], *, line: int | None = None) -> Array:
    """A copy of ``pixels`` with the boxes on it, in order, labels above all lines.

    Every line has a dark edge, so that it shows on any ground. Draw after resizing: lines
    and letters are then sharp, and as thick as the size at which they are looked at needs.

    Args:
        pixels: (h, w, 3) uint8 RGB.
        marks: a box that leaves the picture ends at its edge; one outside is not drawn.
        line: thickness in pixels; None takes about 1 in 200 of the shorter side, at least 2.
    """
    canvas = np.array(pixels, np.uint8)
    if line is None:
        line = max(2, round(min(canvas.shape[:2]) / 200))
    for mark in marks:
        _box(canvas, mark, max(1, round(line * mark.style.weight)))
    height, width = canvas.shape[:2]
    labelled = [mark for mark in marks if mark.label and _inside(mark.box, width, height)]
    if not labelled:
        return canvas
    picture = Image.fromarray(canvas)
    for mark in labelled:
        _label(ImageDraw.Draw(picture), picture.size, mark, line)
    return np.array(picture)


def scaled(marks: Sequence[Mark], factor: float) -> list[Mark]:
    """The same marks for a picture that was resized by ``factor``."""
    return [
        Mark(box=np.asarray(mark.box, np.float32) * factor, style=mark.style, label=mark.label)
        for mark in marks
    ]


def text_size(text: str, size: int) -> tuple[int, int]:
    """Width and height in pixels of ``text`` in letters of ``size``."""
    left, top, right, bottom = ImageFont.load_default(size).getbbox(text)
    return round(right - left), round(bottom - top)


def write(pixels: Array, at: tuple[int, int], text: str, size: int, colour: Colour) -> Array:
    """A copy of ``pixels`` with ``text``, its left end and middle line at ``at`` (x, y)."""
    picture = Image.fromarray(np.ascontiguousarray(pixels))
    ImageDraw.Draw(picture).text(at, text, fill=colour, font=ImageFont.load_default(size), anchor="lm")
    return np.array(picture)


def shorten(text: str, width: int, size: int) -> str:
    """``text``, cut in the middle with an ellipsis if it is wider than ``width`` pixels.

    >>> shorten("abc", 1000, 12)
    'abc'
    """
    if text_size(text, size)[0] <= width:
        return text
    for kept in range(len(text) - 1, 1, -1):
        cut = text[: (kept + 1) // 2] + "…" + text[len(text) - kept // 2 :]
        if text_size(cut, size)[0] <= width:
            return cut
    return "…"


def _inside(box: Array, width: int, height: int) -> bool:
    """Whether any of the box is in a picture of that size."""
    return bool(box[2] > 0 and box[3] > 0 and box[0] < width and box[1] < height)


def _box(canvas: Array, mark: Mark, line: int) -> None:
    """Draw one box's line, centred on its sides, with a dark edge of one pixel."""
    height, width = canvas.shape[:2]
    x1, y1, x2, y2 = (round(float(side)) for side in mark.box)
    if not _inside(mark.box, width, height):
        return
    out, into = (line + 1) // 2, line // 2
    # A box that ends at the picture's edge keeps its whole line inside.
    x1, y1 = max(x1, out + 1), max(y1, out + 1)
    x2, y2 = max(min(x2, width - out - 1), x1 + 1), max(min(y2, height - out - 1), y1 + 1)
    pattern = mark.style.pattern
    # The period is rounded so that a whole number of strokes fits each side and corners are drawn.
    dash, gap = {"solid": (1, 0), "dashed": (5 * line, 3 * line), "dotted": (line, line)}[pattern]
    across = list(_strokes(x1 - out, x2 + into, dash, gap))
    down = list(_strokes(y1 - out, y2 + into, dash, gap))
    pieces = [(a, b, y - out, y + into) for y in (y1, y2) for a, b in across]
    pieces += [(x - out, x + into, a, b) for x in (x1, x2) for a, b in down]
    if pattern == "dotted":
        whole = [(x1 - out, x2 + into, y - out, y + into) for y in (y1, y2)]
        whole += [(x - out, x + into, y1 - out, y2 + into) for x in (x1, x2)]
        _fill(canvas, whole, (0, 0, 0), edge=0)
        _fill(canvas, pieces, mark.style.colour, edge=0)
    else:
        _fill(canvas, pieces, (0, 0, 0), edge=1)
        _fill(canvas, pieces, mark.style.colour, edge=0)


def _strokes(start: int, stop: int, dash: int, gap: int) -> Iterator[tuple[int, int]]:
    """Stretches of about ``dash`` with ``gap`` between, the first and the last at the ends."""
    if gap == 0 or stop - start <= 2 * dash:
        yield start, stop
        return
    periods = max(1, round((stop - start - dash) / (dash + gap)))
    for place in np.linspace(start, stop - dash, periods + 1):
        yield round(place), round(place) + dash


def _fill(canvas: Array, pieces: list[tuple[int, int, int, int]], colour: Colour, edge: int) -> None:
    """Colour the rectangles (x from, x to, y from, y to), ``edge`` pixels larger all round."""
    for left, right, top, bottom in pieces:
        rows = slice(max(top - edge, 0), max(bottom + edge, 0))
        canvas[rows, max(left - edge, 0) : max(right + edge, 0)] = colour


def _label(pen: ImageDraw.ImageDraw, size: tuple[int, int], mark: Mark, line: int) -> None:
    """The mark's letters on a plate above its box, or inside it where there is no room above."""
    letters = max(11, round(min(size) / 34))
    wide, _ = text_size(mark.label, letters)
    pad = max(2, letters // 4)
    plate_width, plate_height = wide + 2 * pad, letters + 2 * pad - 1
    x1, y1 = float(mark.box[0]), float(mark.box[1])
    left = round(min(max(x1 - (line + 1) // 2, 0), max(size[0] - plate_width, 0)))
    top = round(y1) - plate_height - line // 2
    if top < 0:
        top = round(min(max(y1 + line, 0), max(size[1] - plate_height, 0)))
    plate = (left, top, left + plate_width - 1, top + plate_height - 1)
    pen.rectangle(plate, fill=mark.style.colour, outline=(0, 0, 0) if mark.style is TRUTH else None)
    red, green, blue = mark.style.colour
    bright = 0.299 * red + 0.587 * green + 0.114 * blue > 140
    pen.text(
        (left + pad, top + plate_height / 2),
        mark.label,
        fill=(0, 0, 0) if bright else (255, 255, 255),
        font=ImageFont.load_default(letters),
        anchor="lm",
    )
