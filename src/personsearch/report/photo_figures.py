"""Figures made of pictures: the paper's 1b (searches) and 3 (queries of each kind)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from personsearch.report.crops import crop, fit, mount
from personsearch.report.drawing import RIGHT, Colour, Mark, draw, scaled, write
from personsearch.types import Array

INK: Colour = (38, 44, 51)
SOFT: Colour = (85, 96, 108)
_GAP, _LETTERS = 6, 15
SCENE, PERSON = (150, 112), (56, 112)
"""Width and height of a whole picture and of a person cut out, pixels: a row of both fills a phone."""


@dataclass(frozen=True, eq=False, kw_only=True)
class SearchRow:
    """One search of figure 1b.

    Attributes:
        query: (h, w, 3) uint8 of the whole picture, and the query's box (4,) in it.
        hits: pictures that show the person, with their true boxes.
        distractors: pictures that do not.
        text: below the row.
    """

    query: tuple[Array, Array]
    hits: Sequence[tuple[Array, Array]]
    distractors: Sequence[Array]
    text: str = ""


@dataclass(frozen=True, eq=False, kw_only=True)
class PeopleRow:
    """Queries of one kind of figure 3: whole pictures with their box, and what they are."""

    people: Sequence[tuple[Array, Array]]
    text: str


def search_sheet(rows: Sequence[SearchRow]) -> Array:
    """Figure 1b, (h, w, 3) uint8: each query, then pictures of the person (boxed), then distractors.

    Raises:
        ValueError: no rows.
    """
    if not rows:
        raise ValueError("a sheet of searches needs a search")
    wide = max(len(row.hits) + len(row.distractors) for row in rows)
    parts = []
    for row in rows:
        cells = [_person(*row.query)]
        cells += [_scene(pixels, box) for pixels, box in row.hits]
        cells += [_scene(pixels, None) for pixels in row.distractors]
        cells += [_blank(SCENE)] * (wide - len(row.hits) - len(row.distractors))
        parts += [_line(cells), _caption(row.text, _width(cells))]
    return _stack(parts)


def people_sheet(rows: Sequence[PeopleRow]) -> Array:
    """Figure 3, (h, w, 3) uint8: a row of people cut out for each kind, and what it is called.

    People are enlarged to one height, which is what low resolution looks like.

    Raises:
        ValueError: no rows, or nobody in them.
    """
    most = max((len(row.people) for row in rows), default=0)
    if not most:
        raise ValueError("a sheet of people needs somebody")
    parts = []
    for row in rows:
        cells = [_person(*one) for one in row.people]
        cells += [_blank(PERSON)] * (most - len(cells))
        parts += [_caption(row.text, _width(cells)), _line(cells)]
    return _stack(parts)


def _person(pixels: Array, box: Array) -> Array:
    return mount(crop(pixels, box, margin=0.04, aspect=PERSON[0] / PERSON[1]), PERSON)


def _scene(pixels: Array, box: Array | None) -> Array:
    """A whole picture made small, the person in it boxed."""
    small = fit(pixels, SCENE)
    if box is not None:
        mark = Mark(box=np.asarray(box, np.float32), style=RIGHT)
        small = draw(small, scaled([mark], small.shape[1] / pixels.shape[1]), line=2)
    return mount(small, SCENE, (255, 255, 255))


def _blank(size: tuple[int, int]) -> Array:
    return np.full((size[1], size[0], 3), 255, np.uint8)


def _width(cells: Sequence[Array]) -> int:
    return sum(int(cell.shape[1]) for cell in cells) + _GAP * (len(cells) - 1)


def _line(cells: Sequence[Array]) -> Array:
    gap = np.full((cells[0].shape[0], _GAP, 3), 255, np.uint8)
    parts = [cells[0]]
    for cell in cells[1:]:
        parts += [gap, cell]
    return np.concatenate(parts, axis=1)


def _caption(text: str, width: int) -> Array:
    strip = np.full((_LETTERS + 7, width, 3), 255, np.uint8)
    return write(strip, (0, strip.shape[0] // 2), text, _LETTERS, SOFT) if text else strip


def _stack(parts: Sequence[Array]) -> Array:
    width = max(part.shape[1] for part in parts)
    padded = [
        np.pad(part, ((0, 0), (0, width - part.shape[1]), (0, 0)), constant_values=255) for part in parts
    ]
    whole = np.concatenate(padded)
    framed: Array = np.pad(whole, ((_GAP, _GAP), (_GAP, _GAP), (0, 0)), constant_values=255)
    return framed
