"""Curves of the reproduction: figures 5, 6, 7a and 7b, the sweep of K."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from personsearch.report.cost_figure import Priced
from personsearch.report.figure_style import SMALL, TEXT, dress, line_of, pixels, sheet
from personsearch.report.plots import COLOURS, GRID, INK, MARKERS, SOFT, Curve
from personsearch.types import Array


@dataclass(frozen=True, kw_only=True)
class Mark:
    """One point of a curve that is pointed out.

    Attributes:
        curve: which one, by its number in the panel.
        x, y: where.
        text: beside it.
    """

    curve: int
    x: float
    y: float
    text: str


def _legend_below(drawing: Drawing, columns: int = 2) -> None:
    """The legend under the panel, where it hides nothing."""
    drawing.legend(
        loc="outside lower center", frameon=False, fontsize=SMALL, labelcolor=INK, ncols=columns,
        columnspacing=1.2, handlelength=2.4,
    )  # fmt: skip


def _per_cent(axes: Axes, *which: str) -> None:
    for side in which:
        axis = axes.xaxis if side == "x" else axes.yaxis
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g}"))


def detector_curves(curves: Sequence[Curve], marks: Sequence[Mark], *, title: str) -> Array:
    """Figure 5: precision (y) against recall (x), shares, with points pointed out; (h, w, 3) uint8."""
    drawing, (axes,) = sheet(height=4.2)
    for i, curve in enumerate(curves):
        look = line_of(i) | {"marker": None}
        axes.plot(curve.x, curve.y, linewidth=1.9, label=curve.name, **look)
    for mark in marks:
        colour = COLOURS[mark.curve % len(COLOURS)]
        marker = MARKERS[mark.curve % len(MARKERS)]
        axes.plot([mark.x], [mark.y], color=colour, marker=marker, markersize=6, clip_on=False)
        above = _side(mark, marks)
        if above is None:
            continue
        axes.annotate(
            mark.text,
            (mark.x, mark.y),
            xytext=(3, 4) if above else (-3, -5),
            textcoords="offset points",
            ha="left" if above else "right",
            va="bottom" if above else "top",
            rotation=35,
            rotation_mode="anchor",
            fontsize=8,
            color=colour,
        )
    axes.set_xlim(0, 1.02)
    axes.set_ylim(0, 1.2)
    axes.yaxis.set_major_locator(FixedLocator([0, 0.2, 0.4, 0.6, 0.8, 1.0]))
    _per_cent(axes, "x", "y")
    dress(axes, title, "recall, %", "precision, %")
    return pixels(drawing)


def _side(mark: Mark, marks: Sequence[Mark]) -> bool | None:
    """Whether a mark's text stands above it or below; None: nowhere.

    The uppermost of the marks at one x has its text above, the lowest below, so that no text lies on
    another curve; those between have none.

    >>> at = [Mark(curve=i, x=0.5, y=y, text="") for i, y in enumerate((0.9, 0.4, 0.7))]
    >>> [_side(mark, at) for mark in at]
    [True, False, None]
    """
    others = [one.y for one in marks if one.curve != mark.curve and abs(one.x - mark.x) < 0.03]
    if all(mark.y >= y for y in others):
        return True
    return False if all(mark.y <= y for y in others) else None


def _errors(axes: Axes, curve: Curve, number: int, x: Array) -> None:
    """A line whose points carry their intervals."""
    ends = None
    if curve.low is not None and curve.high is not None:
        y = np.asarray(curve.y, float)
        ends = np.maximum([y - np.asarray(curve.low), np.asarray(curve.high) - y], 0)
    axes.errorbar(
        x, curve.y, yerr=ends, linewidth=1.9, markersize=6, capsize=2.5, elinewidth=1.1, label=curve.name,
        **line_of(number),
    )  # fmt: skip


def recall_curves(curves: Sequence[Curve], *, best: float, title: str) -> Array:
    """Figure 7a: top-1 (y) against the recall that the detector's threshold was set to reach (x).

    Args:
        curves: x wanted recalls, y top-1 with its interval; NaN where a recall is not reached.
        best: where the paper finds every baseline's best, a line across.
    """
    drawing, (axes,) = sheet(height=4.0)
    axes.axvline(best, color=SOFT, linewidth=1.0, linestyle=":")
    axes.annotate(
        "the paper's best", (best, 0.94), xycoords=("data", "axes fraction"), xytext=(3, 2),
        textcoords="offset points", fontsize=8.5, color=SOFT,
    )  # fmt: skip
    wide = [float(x) for curve in curves for x in np.atleast_1d(curve.x)]
    axes.set_xlim(min([*wide, best]) - 0.04, max([*wide, best]) + 0.04)
    for i, curve in enumerate(curves):
        if np.isnan(np.asarray(curve.y, float)).all():
            continue  # a recall that a detector never reaches has no point, and no line in the legend
        # A little apart, so that intervals do not hide each other.
        _errors(axes, curve, i, np.asarray(curve.x, float) + 0.006 * (i - (len(curves) - 1) / 2))
    _per_cent(axes, "x", "y")
    axes.margins(y=0.12)
    dress(axes, title, "detection recall, %", "top-1, %", legend=False)
    _legend_below(drawing)
    return pixels(drawing)


def gallery_curves(curves: Sequence[Curve], *, title: str) -> Array:
    """Figure 7b: top-1 (y) against pictures in a gallery (x, logarithmic), with intervals."""
    drawing, (axes,) = sheet()
    axes.set_xscale("log")
    for i, curve in enumerate(curves):
        _errors(axes, curve, i, np.asarray(curve.x, float) * (1 + 0.012 * i))
    sizes = sorted({float(x) for curve in curves for x in np.atleast_1d(curve.x)})
    axes.xaxis.set_major_locator(FixedLocator(sizes))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.set_ylim(bottom=0)
    _per_cent(axes, "y")
    dress(axes, title, "pictures in a gallery", "top-1, %")
    return pixels(drawing)


def training_and_search(
    losses: Sequence[Curve],
    scores: Sequence[Curve],
    paper: Sequence[tuple[str, float]] = (),
    raw: Sequence[Curve] = (),
) -> Array:
    """Figure 6: the identity loss above, test mAP below, both against the step of stage 2.

    Args:
        losses, scores: with a band where there are several seeds.
        paper: name and value of where the paper's curves converge, as lines across the lower panel.
        raw: the losses before they were smoothed, in the same order, thin behind them.
    """
    drawing, (above, below) = sheet(2)
    for i, curve in enumerate(raw):
        above.plot(curve.x, curve.y, linewidth=0.8, alpha=0.6, color=COLOURS[i % len(COLOURS)])
    for axes, curves in ((above, losses), (below, scores)):
        for i, curve in enumerate(curves):
            few = len(np.atleast_1d(curve.x)) <= 25
            look = line_of(i) | ({} if few else {"marker": None})
            axes.plot(curve.x, curve.y, linewidth=1.9, markersize=6, label=curve.name, **look)
            if curve.low is not None and curve.high is not None:
                colour = COLOURS[i % len(COLOURS)]
                axes.fill_between(curve.x, curve.low, curve.high, color=colour, alpha=0.16, linewidth=0)
    for name, value in paper:
        below.axhline(value, color=SOFT, linewidth=1.0, linestyle=":")
        below.annotate(
            name, (1.0, value), xycoords=("axes fraction", "data"), xytext=(-2, 2), ha="right",
            textcoords="offset points", fontsize=8.5, color=SOFT,
        )  # fmt: skip
    for axes, curves in ((above, (*losses, *raw)), (below, scores)):
        tops = [np.max(curve.y if curve.high is None else curve.high) for curve in curves]
        axes.set_ylim(0, 1.12 * max([*map(float, tops), *(v for _, v in paper if axes is below), 1e-6]))
    below.set_xlim(0, 1.04 * max(float(np.max(curve.x)) for curve in (*losses, *scores)))
    above.set_xlim(below.get_xlim())
    _per_cent(below, "y")
    dress(above, "Identity loss in training", "", "loss")
    dress(below, "Search in the test half", "step of stage 2", "mAP, %", legend=False)
    return pixels(drawing)


def sweep_curve(curve: Curve, ticks: Sequence[tuple[float, str]], *, title: str) -> Array:
    """mAP (y) against K of RSS (x, logarithmic); ``ticks`` name the values of K."""
    drawing, (axes,) = sheet(height=3.0)
    axes.set_xscale("log")
    _errors(axes, curve, 0, np.asarray(curve.x, float))
    axes.xaxis.set_major_locator(FixedLocator([place for place, _ in ticks]))
    axes.xaxis.set_minor_locator(NullLocator())
    names = dict(ticks)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: names.get(value, "")))
    _per_cent(axes, "y")
    dress(axes, title, "K, classes in a softmax", "mAP, %", legend=False)
    return pixels(drawing)


def height_distributions(panels: Sequence[tuple[str, Mapping[str, Array]]], edges: Array) -> Array:
    """Figure 2: people by height, one panel below the other; the last step is "or more".

    Args:
        panels: title, and the counts of each distribution by its name, (n,) each.
        edges: (n + 1,) of the steps, pixels.
    """
    drawing, all_axes = sheet(len(panels), height=2.8)
    for axes, (title, distributions) in zip(all_axes, panels, strict=True):
        for i, (name, counts) in enumerate(distributions.items()):
            look = line_of(i)
            axes.stairs(counts, edges, fill=True, color=look["color"], alpha=0.18, linewidth=0)
            axes.stairs(
                counts, edges, color=look["color"], linestyle=look["linestyle"], linewidth=1.6, label=name
            )
        axes.set_xlim(0, float(edges[-1]))
        last = axes is all_axes[-1]
        step = f"height in pixels (steps of {edges[1] - edges[0]:g}; the last: or more)"
        dress(axes, title, step if last else "", "people")
    return pixels(drawing)


def search_bars(
    rows: Sequence[str], columns: Sequence[str], values: Sequence[Sequence[Priced | None]], *, title: str
) -> Array:
    """Table 2 as bars: a group a row, a bar with its interval a column, mAP.

    Args:
        rows: of groups, below.
        columns: in the legend.
        values: by row, then column; None leaves a gap (their ``ms`` is not looked at).
    """
    drawing, (axes,) = sheet(height=3.6)
    width = 0.8 / max(1, len(columns))
    for j, name in enumerate(columns):
        places, heights, lows, highs = [], [], [], []
        for i, row in enumerate(values):
            one = row[j]
            if one is not None:
                places.append(i + (j - (len(columns) - 1) / 2) * width)
                heights.append(one.value)
                lows.append(max(one.value - one.low, 0))
                highs.append(max(one.high - one.value, 0))
        if places:
            axes.bar(
                places, heights, 0.92 * width, yerr=[lows, highs], label=name,
                color=COLOURS[j % len(COLOURS)],
                hatch=("", "///", "...", "xx", "\\\\")[j % 5], edgecolor="white", linewidth=0.5, capsize=2,
                error_kw={"ecolor": INK, "elinewidth": 1.0},
            )  # fmt: skip
    axes.set_xticks(range(len(rows)), rows)
    axes.set_ylim(bottom=0)
    _per_cent(axes, "y")
    dress(axes, title, "", "mAP, %", legend=False)
    axes.grid(False, axis="x")
    axes.tick_params(axis="x", labelsize=TEXT)
    _legend_below(drawing, columns=3)
    axes.spines["left"].set_color(GRID)
    return pixels(drawing)
