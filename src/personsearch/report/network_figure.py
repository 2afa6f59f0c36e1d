"""The paper's figure 4, drawn from what a walk of the network found: parts, shapes, parameters, losses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing
from matplotlib.patches import FancyBboxPatch

from personsearch.report.figure_style import DPI, pixels
from personsearch.report.plots import COLOURS, INK, SOFT
from personsearch.types import Array

_STEP, _BOX, _LANE = 0.52, 0.4, 0.055
"""Inches from one box to the next, of a box's height, and between lines that run side by side."""
_PARTS = {
    "input": "#eef1f4",
    "trunk": "#d6e8f4",
    "map": "#bcd9ec",
    "proposals": "#fbe3d0",
    "pooling": "#e2e6ea",
    "head": "#d5ece2",
    "loss": "#ffffff",
}


@dataclass(frozen=True, kw_only=True)
class NetworkBox:
    """One box of the figure.

    Attributes:
        part: ``input``, ``trunk``, ``map``, ``proposals``, ``pooling``, ``head`` or ``loss`` (dashed).
        key: of the box, for others to name.
        name: what it is.
        detail: layers, and the shape that comes out.
        parameters: weights in it; 0 is not written.
        parents: keys of the boxes that it reads.
    """

    part: str
    key: str
    name: str
    detail: str = ""
    parameters: int = 0
    parents: tuple[str, ...] = ()


def amount(count: int) -> str:
    """A number of weights in few letters.

    >>> amount(950), amount(58_870), amount(4_049_000)
    ('950', '59 k', '4.0 M')
    """
    if count < 1000:
        return str(count)
    return f"{count / 1000:.0f} k" if count < 1_000_000 else f"{count / 1e6:.1f} M"


@dataclass(frozen=True, kw_only=True)
class _Placed:
    """Where a box stands: its middle, its width, and which column it is in."""

    x: float
    y: float
    width: float
    column: int


def network_figure(trunk: Sequence[NetworkBox], branches: Sequence[Sequence[NetworkBox]]) -> Array:
    """The trunk from above to below, then its branches side by side, (h, w, 3) uint8.

    Arrows are the boxes' ``parents``: straight from the box above, else around the boxes between. The first
    branch is the proposals, which say where the second one looks (no gradient goes that way).
    """
    rows = len(trunk) + max(len(branch) for branch in branches)
    width, height = 5.2, _STEP * (rows + 0.9)
    drawing = Drawing(figsize=(width, height), dpi=DPI, facecolor="white")
    axes = drawing.add_axes((0, 0, 1, 1))
    axes.set_xlim(0, width)
    axes.set_ylim(height, 0)
    axes.axis("off")
    placed: dict[str, _Placed] = {}
    for i, box in enumerate(trunk):
        placed[box.key] = _Placed(x=width / 2, y=0.35 + _STEP * i, width=3.7, column=0)
    top = 0.35 + _STEP * len(trunk) + 0.25
    column = width / len(branches)
    for j, branch in enumerate(branches):
        for i, box in enumerate(branch):
            x = column * (j + 0.5) - 0.14  # room at the right for lines that run beside the boxes
            placed[box.key] = _Placed(x=x, y=top + _STEP * i, width=column - 0.48, column=j + 1)
    boxes = (*trunk, *(box for branch in branches for box in branch))
    for box in boxes:
        _box(axes, box, placed[box.key])
    edges = [(placed[p], placed[box.key]) for box in boxes for p in box.parents if p in placed]
    _edges(axes, edges, placed[trunk[-1].key])
    if len(branches) > 1 and branches[0] and branches[1]:
        last = [box for box in branches[0] if box.part != "loss"][-1]
        start, end = placed[last.key], placed[branches[1][0].key]
        bend = (start.x + start.width / 2 + end.x - end.width / 2) / 2 + 0.08
        axes.plot(
            [start.x + start.width / 2, bend, bend],
            [start.y, start.y, end.y],
            color=COLOURS[1],
            linewidth=1.2,
        )
        _arrow(axes, (bend, end.y), (end.x - end.width / 2, end.y), colour=COLOURS[1])
    return pixels(drawing)


def _edges(axes: Axes, edges: Sequence[tuple[_Placed, _Placed]], last: _Placed) -> None:
    """Arrows between boxes: straight where nothing is between, else on a lane of their own beside them."""
    long: list[tuple[_Placed, _Placed]] = []
    for start, end in edges:
        near = start.column == end.column and abs(end.y - start.y - _STEP) < 0.01
        if near or (start.column != end.column and start == last):
            _arrow(axes, (start.x, start.y + _BOX / 2), (end.x, end.y - _BOX / 2))
        else:
            long.append((start, end))
    taken: list[tuple[int, int, float, float]] = []
    for start, end in sorted(long, key=lambda edge: edge[1].y - edge[0].y):
        lane = 0
        while any(
            (column, used) == (start.column, lane) and top < end.y and start.y < bottom
            for column, used, top, bottom in taken
        ):
            lane += 1
        taken.append((start.column, lane, start.y, end.y))
        _around(axes, start, end, lane)


def _around(axes: Axes, start: _Placed, end: _Placed, lane: int) -> None:
    """Down beside the boxes between, into the side of its box, or from above into one of another column."""
    right = start.x + start.width / 2
    out = right + 0.1 + _LANE * lane
    if start.column == end.column:
        stop = (out, end.y - 0.06)
        tip = (right, end.y - 0.06)
    else:
        stop = (out, end.y - _BOX / 2 - 0.12)
        tip = (min(out, end.x + end.width / 2 - 0.1), end.y - _BOX / 2)
    axes.plot([right, out, stop[0]], [start.y + 0.06, start.y + 0.06, stop[1]], color=SOFT, linewidth=1.0)
    _arrow(axes, stop, tip)


def _box(axes: Axes, box: NetworkBox, at: _Placed) -> None:
    x, y, width = at.x, at.y, at.width
    loss = box.part == "loss"
    axes.add_patch(
        FancyBboxPatch(
            (x - width / 2, y - _BOX / 2), width, _BOX, boxstyle="round,pad=0,rounding_size=0.05",
            facecolor=_PARTS[box.part], edgecolor=COLOURS[1] if loss else SOFT,
            linestyle="--" if loss else "-", linewidth=1.3 if loss else 0.8,
        )
    )  # fmt: skip
    weights = f"  {amount(box.parameters)}" if box.parameters else ""
    head = f"{box.name}{weights}"
    above = y - 0.075 if box.detail else y
    axes.text(x, above, head, ha="center", va="center", fontsize=9, color=INK, fontweight="bold")
    if box.detail:
        axes.text(x, y + 0.095, box.detail, ha="center", va="center", fontsize=7.8, color=INK)


def _arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float], colour: str = SOFT) -> None:
    axes.annotate(
        "", end, start, arrowprops={"arrowstyle": "-|>", "color": colour, "linewidth": 1.1, "shrinkA": 0,
        "shrinkB": 0},
    )  # fmt: skip
