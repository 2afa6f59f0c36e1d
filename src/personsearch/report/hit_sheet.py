"""A search at a glance, as one picture: whom it looked for, and every hit with rank, likeness and time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import attrgetter

import numpy as np

from personsearch.errors import PersonSearchError
from personsearch.progress import timecode
from personsearch.report.cards import likeness, place, printable
from personsearch.report.crops import BACKDROP, crop, fit, mount
from personsearch.report.drawing import HIT, QUERY, LineStyle, Mark, draw, scaled, shorten, write
from personsearch.report.sheets import INK, PAPER, SheetLayout, grid
from personsearch.types import Array, Hit, Picture, SearchResult

SOFT = (96, 104, 112)
LONGEST = 60
"""Letters at either end of a name that can be shown."""

CROPS = SheetLayout(cell=(180, 360))
SCENES = SheetLayout(cell=(400, 300))


@dataclass(frozen=True, kw_only=True)
class HitSheetOptions:
    """How a sheet of hits looks.

    Attributes:
        columns: pictures in a row, the one looked for included.
        layout: sizes; :data:`CROPS` or :data:`SCENES`.
        scenes: whole pictures with the box in them instead of people cut out.
        named: what ``load`` is asked for to show a hit.
    """

    columns: int = 6
    layout: SheetLayout = CROPS
    scenes: bool = False
    named: Callable[[Hit], str] = attrgetter("picture")


def hit_sheet(
    result: SearchResult,
    query_picture: Callable[[], Picture],
    load: Callable[[str], Picture],
    options: HitSheetOptions | None = None,
) -> Array:
    """The hits of a search in a grid, best first, after the person looked for; (h, w, 3) uint8.

    A picture that cannot be read any more leaves a grey place with the reason.

    Args:
        result: what the gallery answered.
        query_picture: gives the picture that ``result.query.box`` is in.
        load: gives the picture of a hit, by ``options.named``.
        options: :class:`HitSheetOptions`.

    Raises:
        ValueError: no columns.
    """
    options = options or HitSheetOptions()
    if options.columns < 1:
        raise ValueError(f"a sheet needs columns, got {options.columns}")
    cells = [_query_cell(result, query_picture, options)]
    cells += [_hit_cell(hit, result, load, options) for hit in result.hits]
    return grid(cells, min(options.columns, len(cells)), options.layout.gap)


def _query_cell(
    result: SearchResult, query_picture: Callable[[], Picture], options: HitSheetOptions
) -> Array:
    pixels, gone = _shown(query_picture, result.query.box, QUERY, options)
    position = result.query.position
    when = "" if position is None else timecode(position)
    return _cell(pixels, ["looked for", place(result.query.scene).name, gone or when], options)


def _hit_cell(
    hit: Hit, result: SearchResult, load: Callable[[str], Picture], options: HitSheetOptions
) -> Array:
    pixels, gone = _shown(lambda: load(options.named(hit)), hit.box, HIT, options)
    value, note = likeness(hit, result.similarity)
    where = place(hit.picture, hit.time, hit.camera)
    when = where.when.removesuffix(" UTC") if hit.position is None else timecode(hit.position)
    head = f"{hit.rank}.  {value}" + (f"  ({note})" if hit.probability is not None else "")
    last = "  ".join(part for part in (when, where.camera) if part)
    return _cell(pixels, [head, where.name, gone or last], options)


def _shown(
    load: Callable[[], Picture], box: Array, style: LineStyle, options: HitSheetOptions
) -> tuple[Array | None, str]:
    """The picture of a cell, or None and why."""
    try:
        pixels = load().pixels
    except PersonSearchError as error:
        return None, printable(error)
    size = options.layout.cell
    if options.scenes:
        small = fit(pixels, size, enlarge=True)
        mark = Mark(box=np.asarray(box, np.float32), style=style)
        return draw(small, scaled([mark], small.shape[1] / pixels.shape[1])), ""
    return crop(pixels, box, margin=0.08, aspect=size[0] / size[1]), ""


def _cell(pixels: Array | None, lines: Sequence[str], options: HitSheetOptions) -> Array:
    """A picture with lines of text below; the first in ink, the others softer."""
    layout = options.layout
    width = layout.cell[0]
    if pixels is None:
        shown = np.full((layout.cell[1], width, 3), BACKDROP, np.uint8)
    else:
        shown = mount(pixels, layout.cell, BACKDROP)
    step = layout.text + 6
    strip = np.full((step * len(lines) + 6, width, 3), PAPER, np.uint8)
    for number, line in enumerate(lines):
        if line:
            at = 0, step * number + step // 2 + 3
            text = printable(line)
            if len(text) > 2 * LONGEST:  # fitting letter by letter takes the square of their number
                text = text[:LONGEST] + text[-LONGEST:]
            text = shorten(text, width, layout.text)
            strip = write(strip, at, text, layout.text, INK if number == 0 else SOFT)
    return np.concatenate([shown, strip])
