"""One style for the figures of the reproduction: to be read in print and on a phone, in colour or without.

Colours, lines and markers are those of :mod:`personsearch.report.plots`; the type is larger and the sheets
are narrower, so that a figure that fills a phone's width can still be read.
"""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure as Drawing
from PIL import Image

from personsearch.report.plots import COLOURS, GRID, INK, LINES, MARKERS, SOFT
from personsearch.types import Array

WIDTH, HEIGHT, DPI = 4.6, 3.5, 150
"""Inches of one panel, pixels an inch: a sheet of one panel is 690 pixels wide."""
TITLE, TEXT, SMALL = 12.0, 10.5, 9.5
"""Sizes of type, points."""


def sheet(rows: int = 1, *, width: float = WIDTH, height: float = HEIGHT) -> tuple[Drawing, list[Axes]]:
    """A drawing with ``rows`` panels one below the other, each of ``width`` by ``height`` inches."""
    drawing = Drawing(figsize=(width, height * rows), dpi=DPI, facecolor="white", layout="constrained")
    panels: Any = drawing.subplots(rows, 1, squeeze=False)
    return drawing, list(panels[:, 0])


def dress(axes: Axes, title: str, x: str = "", y: str = "", *, legend: bool = True) -> None:
    """Title, names of the axes, grid and legend as everywhere."""
    axes.set_title(title, loc="left", fontsize=TITLE, fontweight="bold", color=INK)
    axes.set_xlabel(x, fontsize=TEXT, color=SOFT)
    axes.set_ylabel(y, fontsize=TEXT, color=SOFT)
    axes.grid(True, color=GRID, linewidth=0.7)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=SMALL, colors=SOFT, length=0, which="both")
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(GRID)
    if legend and axes.get_legend_handles_labels()[0]:
        axes.legend(frameon=False, fontsize=SMALL, labelcolor=INK, handlelength=2.4)


def line_of(number: int) -> dict[str, Any]:
    """Colour, line and marker of the ``number``-th curve, which are told apart without colour, too."""
    return {
        "color": COLOURS[number % len(COLOURS)],
        "linestyle": LINES[number % len(LINES)],
        "marker": MARKERS[number % len(MARKERS)],
    }


def small_png(drawn: Array) -> bytes:
    """(h, w, 3) uint8 pixels of a drawing as a PNG of at most 128 colours: a third of its size in full.

    Lines and letters look the same; pictures with many colours do not, and are better off as JPEG.
    """
    buffer = io.BytesIO()
    few = Image.fromarray(drawn).quantize(128, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    few.save(buffer, "PNG")
    return buffer.getvalue()


def pixels(drawing: Drawing) -> Array:
    """The drawing as (h, w, 3) uint8."""
    canvas: Any = FigureCanvasAgg(drawing)  # its methods are not typed
    canvas.draw()
    return np.array(np.asarray(canvas.buffer_rgba())[..., :3])
