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

_STEP, _BOX = 0.52, 0.4
"""Inches from one box to the next, and of a box's height."""
_PARTS = {
    "input": "#eef1f4",
    "trunk": "#d6e8f4",
    "proposals": "#fbe3d0",
    "pooling": "#e2e6ea",
    "head": "#d5ece2",
    "loss": "#ffffff",
}


@dataclass(frozen=True, kw_only=True)
class NetworkBox:
    """One box of the figure.

    Attributes:
        part: ``input``, ``trunk``, ``proposals``, ``pooling``, ``head`` or ``loss`` (dashed).
        name: what it is.
        detail: layers, and the shape that comes out.
        parameters: weights in it; 0 is not written.
    """

    part: str
    name: str
    detail: str = ""
    parameters: int = 0


def amount(count: int) -> str:
    """A number of weights in few letters.

    >>> amount(950), amount(58_870), amount(4_049_000)
    ('950', '59 k', '4.0 M')
    """
    if count < 1000:
        return str(count)
    return f"{count / 1000:.0f} k" if count < 1_000_000 else f"{count / 1e6:.1f} M"


def network_figure(trunk: Sequence[NetworkBox], branches: Sequence[Sequence[NetworkBox]]) -> Array:
    """The trunk from above to below, then its branches side by side, (h, w, 3) uint8.

    Args:
        trunk: from the picture to the map that everything reads.
        branches: proposals, and re-id part; each from above to below.
    """
    rows = len(trunk) + max(len(branch) for branch in branches)
    width, height = 5.2, _STEP * (rows + 1.2)
    drawing = Drawing(figsize=(width, height), dpi=DPI, facecolor="white")
    axes = drawing.add_axes((0, 0, 1, 1))
    axes.set_xlim(0, width)
    axes.set_ylim(height, 0)
    axes.axis("off")
    y = 0.35
    for i, box in enumerate(trunk):
        _box(axes, box, width / 2, y, 3.9)
        if i:
            _arrow(axes, (width / 2, y - _STEP + _BOX / 2), (width / 2, y - _BOX / 2))
        y += _STEP
    fork = y - _STEP + _BOX / 2
    y += 0.25
    column = width / len(branches)
    for j, branch in enumerate(branches):
        x, at = column * (j + 0.5), y
        _arrow(axes, (width / 2, fork), (x, at - _BOX / 2))
        for i, box in enumerate(branch):
            _box(axes, box, x, at, column - 0.14)
            if i and box.part != "loss":
                _arrow(axes, (x, at - _STEP + _BOX / 2), (x, at - _BOX / 2))
            at += _STEP
    if len(branches) > 1:  # the proposals say where the second branch looks
        x, last = column * 0.5, [box.part for box in branches[0]]
        row = y + _STEP * (last.index("loss") - 1 if "loss" in last else len(last) - 1)
        _arrow(axes, (x + column / 2 - 0.07, row), (x + column / 2 + 0.07, y), colour=COLOURS[1])
    return pixels(drawing)


def _box(axes: Axes, box: NetworkBox, x: float, y: float, width: float) -> None:
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
