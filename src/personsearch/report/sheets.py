"""Many at a glance: sheets of annotated scenes, and of one person's views."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from personsearch.report.crops import BACKDROP, crop, fit, mount
from personsearch.report.drawing import (
    BYSTANDER,
    RIGHT,
    Colour,
    LineStyle,
    Mark,
    draw,
    scaled,
    shorten,
    text_size,
    write,
)
from personsearch.types import UNLABELLED, Array, Picture, Scene

PAPER: Colour = (255, 255, 255)
INK: Colour = (38, 44, 51)
LABELLED = LineStyle(colour=RIGHT.colour)


@dataclass(frozen=True, kw_only=True)
class SheetLayout:
    """Sizes of a sheet, in pixels.

    Attributes:
        cell: width and height of one picture.
        gap: between two, and around all.
        text: height of the letters.
    """

    cell: tuple[int, int] = (400, 300)
    gap: int = 12
    text: int = 15


@dataclass(frozen=True, eq=False, kw_only=True)
class IdentityRow:
    """One person's views.

    Attributes:
        name: what the row is called.
        views: pictures of the person, (h, w, 3) uint8 each.
    """

    name: str
    views: Sequence[Array]


def scene_sheet(
    scenes: Sequence[Scene],
    load: Callable[[Scene], Picture],
    columns: int = 5,
    layout: SheetLayout | None = None,
) -> Array:
    """Scenes in a grid, (h, w, 3) uint8, each with its boxes and its name.

    People with an identity have a green box with its number, bystanders a thin grey one,
    boxes that are to be ignored none.

    Args:
        load: gives a scene's picture.
        columns: pictures in a row.

    Raises:
        ValueError: no scenes, or no columns.
    """
    layout = layout or SheetLayout()
    if not scenes or columns < 1:
        raise ValueError(f"a sheet needs scenes and columns, got {len(scenes)} and {columns}")
    cells = [_scene_cell(scene, load(scene).pixels, layout) for scene in scenes]
    return grid(cells, min(columns, len(cells)), layout.gap)


def identity_sheet(rows: Sequence[IdentityRow], layout: SheetLayout | None = None) -> Array:
    """One person a row with all views side by side, (h, w, 3) uint8, names at the left.

    Raises:
        ValueError: no rows, or nobody has a view.
    """
    layout = layout or SheetLayout(cell=(112, 224))
    most = max((len(row.views) for row in rows), default=0)
    if most == 0:
        raise ValueError("a sheet needs at least one person with a view")
    side = max(text_size(row.name, layout.text)[0] for row in rows)
    side = min(side, 3 * layout.cell[0]) + layout.gap
    blank = np.full((layout.cell[1], layout.cell[0], 3), PAPER, np.uint8)
    lines = []
    for row in rows:
        views = [mount(view, layout.cell) for view in row.views]
        margin = np.full((layout.cell[1], side, 3), PAPER, np.uint8)
        name = shorten(row.name, side - layout.gap, layout.text)
        margin = write(margin, (0, layout.cell[1] // 2), name, layout.text, INK)
        cells = grid([*views, *[blank] * (most - len(views))], most, layout.gap, border=0)
        lines.append(np.concatenate([margin, cells], axis=1))
    return grid(lines, 1, layout.gap)


def identity_rows(
    scenes: Sequence[Scene],
    people: Sequence[int],
    load: Callable[[Scene], Picture],
    *,
    most: int = 12,
) -> list[IdentityRow]:
    """The crops of each of ``people`` from the scenes they are in, at most ``most`` each, in order."""
    views: dict[int, list[Array]] = {person: [] for person in people}
    for scene in scenes:
        here = [
            (person, box)
            for person, box in zip(scene.people.tolist(), scene.boxes, strict=True)
            if person in views and len(views[person]) < most
        ]
        if here:
            pixels = load(scene).pixels
            for person, box in here:
                views[person].append(crop(pixels, box, margin=0.06, aspect=0.5))
    return [IdentityRow(name=f"person {person}", views=found[:most]) for person, found in views.items()]


def _scene_cell(scene: Scene, pixels: Array, layout: SheetLayout) -> Array:
    """A scene at the cell's size with its boxes, its name below."""
    width = layout.cell[0]
    fitted = fit(pixels, layout.cell, enlarge=True)
    bystanders, labelled = [], []
    for box, person, ignored in zip(
        scene.boxes, scene.people.tolist(), np.asarray(scene.ignore), strict=True
    ):
        if ignored:
            continue
        if person == UNLABELLED:
            bystanders.append(Mark(box=box, style=BYSTANDER))
        else:
            labelled.append(Mark(box=box, style=LABELLED, label=str(person)))
    marks = scaled([*bystanders, *labelled], fitted.shape[1] / pixels.shape[1])
    picture = mount(draw(fitted, marks), layout.cell, BACKDROP)
    strip = np.full((layout.text + 10, width, 3), PAPER, np.uint8)
    name = shorten(scene.name, width, layout.text)
    return np.concatenate([picture, write(strip, (0, strip.shape[0] // 2 + 1), name, layout.text, INK)])


def grid(cells: Sequence[Array], columns: int, gap: int, border: int | None = None) -> Array:
    """Cells of one size in rows of ``columns`` on white paper."""
    border = gap if border is None else border
    height, width = cells[0].shape[:2]
    rows = -(-len(cells) // columns)
    sheet = np.full(
        (
            rows * (height + gap) - gap + 2 * border,
            columns * (width + gap) - gap + 2 * border,
            3,
        ),
        PAPER,
        np.uint8,
    )
    for i, cell in enumerate(cells):
        top = border + (i // columns) * (height + gap)
        left = border + (i % columns) * (width + gap)
        sheet[top : top + height, left : left + width] = cell
    return sheet
