"""``personsearch sheet``: the hits of a search at a glance, as one picture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from personsearch.cli.answers import STANDARD_INPUT, AnswersArgument, read_searches, shot_name, shots_of
from personsearch.cli.options import FormatOption, JsonOption
from personsearch.cli.output import Answer, Printer, chosen

if TYPE_CHECKING:
    from personsearch.types import Array, Picture, Query, SearchResult

OutOption = Annotated[
    Path,
    typer.Option("--out", "-o", help="The sheet: a .png, .jpg or .jpeg file.", show_default=False),
]
ColumnsOption = Annotated[
    int, typer.Option("--columns", min=1, max=100, help="Pictures in a row, the one looked for included.")
]
MostOption = Annotated[
    int | None, typer.Option("--most", min=1, help="Of each search, the best hits only.", show_default=False)
]
ScenesOption = Annotated[
    bool, typer.Option("--scenes", help="Whole pictures with the box, instead of people cut out.")
]
LARGEST = 65_000
"""Pixels a side: JPEG holds 65,500."""
_MOST_PIXELS = 400_000_000


def sheet(
    out: OutOption,
    answers: AnswersArgument = STANDARD_INPUT,
    columns: ColumnsOption = 6,
    most: MostOption = None,
    scenes: ScenesOption = False,
    form: FormatOption = None,
    as_json: JsonOption = False,
) -> None:
    """Put the hits of a search on one contact sheet: rank, likeness, file and time below each.

    It goes on from what 'personsearch search' wrote as JSON lines; several searches stand one below
    the other. The person looked for comes first. Pictures that are gone leave their place and the
    reason.

    \b
    Examples:
      personsearch search -q photo.jpg --largest -m model -g gallery --json | personsearch sheet -o hits.jpg
      personsearch sheet hits.jsonl --out hits.png --scenes --columns 4
    """
    from personsearch.errors import UsageError
    from personsearch.files import write_bytes
    from personsearch.images import encode_jpeg, encode_png

    printer = Printer(chosen(form, as_json, listing=True))
    if out.suffix.lower() not in (".png", ".jpg", ".jpeg"):
        raise UsageError(f"{out} is no name of a picture", hint="end it with .png or .jpg")
    results = read_searches(answers)
    pixels = _sheets(results, columns, most, scenes)
    encode = encode_png if out.suffix.lower() == ".png" else encode_jpeg
    write_bytes(out, encode(pixels))
    hits = sum(len(result.hits[:most]) for result in results)
    row = {"sheet": str(out), "searches": len(results), "hits": hits}
    size = {"width": pixels.shape[1], "height": pixels.shape[0]}
    printer(Answer(record={"schema": "personsearch.sheet/1", **row, **size}, rows=[row], paths=[str(out)]))


def _sheets(results: list[SearchResult], columns: int, most: int | None, scenes: bool) -> Array:
    """The sheet of each search, one below the other, all as wide as the widest."""
    from dataclasses import replace

    import numpy as np

    from personsearch.errors import InputError
    from personsearch.media.stills import Stills
    from personsearch.report.hit_sheet import CROPS, SCENES, HitSheetOptions, hit_sheet
    from personsearch.report.sheets import PAPER

    layout = SCENES if scenes else CROPS
    options = HitSheetOptions(columns=columns, layout=layout, scenes=scenes, named=shot_name)
    cells = sum(1 + len(result.hits[:most]) for result in results)
    rows = sum(-(-(1 + len(result.hits[:most])) // columns) for result in results)
    wide, high = layout.cell[0] + layout.gap, layout.cell[1] + layout.gap + 3 * (layout.text + 6) + 6
    across = min(columns, cells)
    if max(across * wide, rows * high) > LARGEST or across * wide * rows * high > _MOST_PIXELS:
        raise InputError(
            f"a sheet of {cells} pictures would be {across * wide}x{rows * high} pixels",
            hint="fewer hits (--most), or another number of --columns",
        )
    sheets = []
    for result in results:
        best = replace(result, hits=result.hits[:most])

        def looked_for(query: Query = result.query) -> Picture:
            with Stills() as stills:
                return stills(Path(query.scene), position=query.position)

        sheets.append(hit_sheet(best, looked_for, shots_of(best.hits), options))
    width = max(part.shape[1] for part in sheets)
    white = [((0, 0), (0, width - part.shape[1]), (0, 0)) for part in sheets]
    return np.concatenate(
        [np.pad(part, room, constant_values=PAPER[0]) for part, room in zip(sheets, white, strict=True)]
    )
