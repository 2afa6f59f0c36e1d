"""Curves as pictures, in one style that is told apart by line and marker as well as by colour."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure as Drawing

from personsearch.types import Array

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")
LINES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 2)))
MARKERS = ("o", "s", "^", "D", "v", "P")
INK, SOFT, GRID = "#262c33", "#55606c", "#dfe3e8"


@dataclass(frozen=True, eq=False, kw_only=True)
class Curve:
    """One line of a plot.

    Attributes:
        name: in the legend.
        x, y: (n,) each, in the order in which they are joined; NaN leaves a gap.
        low, high: (n,) ends of a band around it, both or neither.
    """

    name: str
    x: Array
    y: Array
    low: Array | None = None
    high: Array | None = None

    def __post_init__(self) -> None:
        for part in (self.y, self.low, self.high):
            if part is not None and np.shape(part) != np.shape(self.x):
                raise ValueError(f"curve {self.name!r}: {np.shape(self.x)} and {np.shape(part)} do not fit")
        if (self.low is None) != (self.high is None):
            raise ValueError(f"curve {self.name!r}: a band needs both of its ends")


@dataclass(frozen=True, eq=False, kw_only=True)
class Panel:
    """One set of axes.

    Attributes:
        title: above it.
        curves: what is drawn.
        x, y: names of the axes, with units.
        x_range, y_range: ends of the axes; None takes what the curves need.
        logarithmic: a logarithmic x axis.
    """

    title: str
    curves: Sequence[Curve]
    x: str
    y: str
    x_range: tuple[float, float] | None = None
    y_range: tuple[float, float] | None = None
    logarithmic: bool = False


def plot(panels: Sequence[Panel], *, width: float = 6.4, height: float = 3.6, dpi: int = 150) -> Array:
    """Panels side by side as (h, w, 3) uint8 pixels.

    Args:
        panels: at least one.
        width, height: of one panel, inches.
        dpi: pixels an inch.
    """
    if not panels:
        raise ValueError("a plot needs a panel")
    drawing = Drawing(figsize=(width * len(panels), height), dpi=dpi, facecolor="white", layout="constrained")
    canvas: Any = FigureCanvasAgg(drawing)  # its methods are not typed
    for axes, panel in zip(drawing.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        _panel(axes, panel)
    canvas.draw()
    return np.array(np.asarray(canvas.buffer_rgba())[..., :3])


def training_curves(losses: Sequence[Curve], scores: Sequence[Curve] = ()) -> Array:
    """How a training went: losses against the step and, where there are any, scores (mAP) beside them."""
    panels = [Panel(title="Loss", curves=losses, x="step", y="loss", y_range=_from_zero(losses))]
    if scores:
        panels.append(Panel(title="Validation", curves=scores, x="step", y="share", y_range=(0, 1)))
    return plot(panels)


def _panel(axes: Axes, panel: Panel) -> None:
    """Draw one set of axes in the house's style."""
    for i, curve in enumerate(panel.curves):
        _curve(axes, curve, i)
    axes.set_title(panel.title, loc="left", fontsize=11, fontweight="bold", color=INK)
    axes.set_xlabel(panel.x, fontsize=9, color=SOFT)
    axes.set_ylabel(panel.y, fontsize=9, color=SOFT)
    if panel.logarithmic:
        axes.set_xscale("log")
    if panel.x_range is not None:
        axes.set_xlim(*panel.x_range)
    if panel.y_range is not None:
        axes.set_ylim(*panel.y_range)
    axes.grid(True, color=GRID, linewidth=0.7)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=8.5, colors=SOFT, length=0)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(GRID)
    if panel.curves:
        axes.legend(frameon=False, fontsize=8.5, labelcolor=INK, handlelength=2.6)


def _curve(axes: Axes, curve: Curve, number: int) -> None:
    """One line; markers only where there are few enough points to see them."""
    colour = COLOURS[number % len(COLOURS)]
    few = len(np.atleast_1d(curve.x)) <= 25
    axes.plot(
        curve.x,
        curve.y,
        color=colour,
        linestyle=LINES[number % len(LINES)],
        linewidth=1.8,
        marker=MARKERS[number % len(MARKERS)] if few else None,
        markersize=4.5,
        label=curve.name,
        clip_on=not few,
    )
    if curve.low is not None and curve.high is not None:
        axes.fill_between(curve.x, curve.low, curve.high, color=colour, alpha=0.16, linewidth=0)


def _from_zero(curves: Sequence[Curve]) -> tuple[float, float] | None:
    """An axis from zero to what the curves need, without the spike of the first steps."""
    values = np.concatenate([np.asarray(curve.y, np.float64) for curve in curves]) if curves else np.zeros(0)
    values = values[np.isfinite(values)]
    if not len(values):
        return None
    top = float(np.quantile(values, 0.99))
    return (min(0.0, float(values.min())), 1.1 * top) if top > 0 else None
