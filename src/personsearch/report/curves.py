"""Plots of a benchmark: who can be named at what price, what probabilities are worth, who is lost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure as Drawing
from matplotlib.ticker import FuncFormatter, NullFormatter

from personsearch.report.plots import COLOURS, GRID, INK, LINES, MARKERS, SOFT, Curve
from personsearch.types import Array

REASONS = (
    ("found", "found", "#ccd4db", ""),
    ("ranked_low", "ranked low", "#0072b2", ""),
    ("below_threshold", "below threshold", "#56b4e9", "////"),
    ("box_too_loose", "box too loose", "#e69f00", "...."),
    ("not_detected", "not detected", "#d55e00", "xxxx"),
)
"""Key in a row, name, colour and hatch of everything that can become of a query."""


def open_set_plot(
    curves: Sequence[Curve], *, smallest_far: float = 0.0, title: str = "Open-set search"
) -> Array:
    """Detection-and-identification rate against false-alarm rate (logarithmic), (h, w, 3) uint8.

    What lies below ``smallest_far``, which the searches cannot tell, is hatched and empty:
    a curve that is drawn there is cut off.

    Args:
        curves: x false-alarm rates in (0, 1], y rates in [0, 1].
        smallest_far: one in the number of searches for somebody absent.
    """
    left = min([0.001, *(float(np.min(one.x)) for one in curves if len(one.x))])
    drawing, axes = _sheet(5.4, 4.6)
    for i, one in enumerate(curves):
        told = np.asarray(one.x) >= smallest_far * (1 - 1e-9)
        x, y = np.asarray(one.x)[told], np.asarray(one.y)[told]
        colour = COLOURS[i % len(COLOURS)]
        axes.plot(
            x,
            y,
            color=colour,
            linestyle=LINES[i % len(LINES)],
            linewidth=1.8,
            label=one.name,
            drawstyle="steps-post",
        )
        if one.low is not None and one.high is not None:
            low, high = np.asarray(one.low)[told], np.asarray(one.high)[told]
            axes.fill_between(x, low, high, color=colour, alpha=0.16, linewidth=0, step="post")
    untold = min(smallest_far, 1.0)
    if untold > left:
        axes.axvspan(left, untold, facecolor="none", edgecolor=GRID, hatch="////", linewidth=0)
        axes.text(
            np.sqrt(left * untold),
            0.5,
            "too few searches to tell",
            rotation=90,
            ha="center",
            va="center",
            fontsize=8.5,
            color=SOFT,
            backgroundcolor="white",
        )
    axes.set_xscale("log")
    axes.set_xlim(left, 1)
    axes.set_ylim(0, 1)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g}%"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    return _drawn(drawing, axes, title, "false-alarm rate", "detection and identification rate")


def reliability_plot(
    curve: Curve, counts: Array, *, error: str = "", title: str = "Reliability of the probabilities"
) -> Array:
    """Share of right answers against their probability, with how many answers each point stands for.

    Args:
        curve: x mean probabilities, y shares, with their intervals; one point a bin.
        counts: (n,) answers of each point, drawn below on a logarithmic scale.
        error: said in the corner, e.g. ``"ECE 0.031 (0.024 to 0.040)"``.
    """
    if np.shape(counts) != np.shape(curve.x):
        raise ValueError(f"{np.shape(counts)} counts do not fit {np.shape(curve.x)} points")
    drawing = _drawing(5.4, 4.6)
    axes, below = drawing.subplots(2, 1, sharex=True, height_ratios=(4, 1))
    axes.plot([0, 1], [0, 1], color=SOFT, linestyle=":", linewidth=1.2, label="perfect")
    x, y = np.asarray(curve.x, np.float64), np.asarray(curve.y, np.float64)
    if curve.low is not None and curve.high is not None:
        ends = np.maximum([y - np.asarray(curve.low), np.asarray(curve.high) - y], 0)
        axes.errorbar(x, y, yerr=ends, fmt="none", ecolor=COLOURS[0], elinewidth=1.4, capsize=3)
    axes.plot(x, y, color=COLOURS[0], linewidth=1.4, marker=MARKERS[0], markersize=5, label=curve.name)
    axes.set_ylim(-0.02, 1.02)
    axes.set_xlim(-0.02, 1.02)
    if error:
        axes.text(0.98, 0.05, error, transform=axes.transAxes, ha="right", fontsize=8.5, color=INK)
    below.bar(x, np.maximum(counts, 0), width=0.03, color=COLOURS[0], alpha=0.75)
    below.set_yscale("log")
    below.set_ylim(0.7, max(10.0, 2.0 * float(np.max(counts, initial=1))))
    below.yaxis.set_minor_formatter(NullFormatter())
    _style(below, "", "probability said", "answers")
    return _drawn(drawing, axes, title, "", "share that is the person")


def failure_bars(rows: Sequence[Mapping[str, Any]], *, title: str = "What becomes of queries") -> Array:
    """A stacked bar for every group of queries: how many per cent of it are lost, and why.

    Args:
        rows: of one kind, as ``FailureSplit.rows`` gives them: ``by``, ``value``, ``n`` and the
            counts named in ``REASONS``.
    """
    kept = [row for row in rows if row["n"]]
    places, ticks, labels, heads = _rows_of_bars(kept)
    height = 1.3 + 0.27 * (len(ticks) + len(heads))
    drawing, axes = _sheet(7.2, max(2.2, height))
    left = np.zeros(len(kept))
    for key, name, colour, hatch in REASONS:
        share = np.array([100 * row[key] / row["n"] for row in kept])
        if share.any() or key == "found":
            axes.barh(
                places, share, left=left, height=0.72, color=colour, hatch=hatch, edgecolor="white",
                linewidth=0.6, label=name,
            )  # fmt: skip
        left += share
    for place, row in zip(places, kept, strict=True):
        axes.text(101, place, f"n = {row['n']:,}", va="center", fontsize=8, color=SOFT)
    for place, text in heads:
        axes.text(0, place, text, va="center", fontsize=8.5, color=INK, fontweight="bold")
    axes.set_yticks(ticks, labels)
    axes.set_ylim(max([*places, 0.0]) + 0.7, -1.0)
    axes.set_xlim(0, 100)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}%"))
    picture = _drawn(drawing, axes, title, "", "", legend=False, below=True)
    return picture


def _rows_of_bars(
    rows: Sequence[Mapping[str, Any]],
) -> tuple[list[float], list[float], list[str], list[tuple[float, str]]]:
    """Where each bar stands, its tick and label, and the headings between them."""
    places: list[float] = []
    labels: list[str] = []
    heads: list[tuple[float, str]] = []
    at, before = -1.0, ""
    for row in rows:
        if row["by"] != before and row["by"] != "all":
            at += 1.1
            heads.append((at, str(row["by"])))
            at -= 0.1
        before = row["by"]
        at += 1.0
        places.append(at)
        labels.append(str(row["value"]))
    return places, places, labels, heads


def _drawing(width: float, height: float) -> Drawing:
    return Drawing(figsize=(width, height), dpi=150, facecolor="white", layout="constrained")


def _sheet(width: float, height: float) -> tuple[Drawing, Axes]:
    drawing = _drawing(width, height)
    return drawing, drawing.subplots()


def _style(axes: Axes, title: str, x: str, y: str) -> None:
    """The house's style, as in :mod:`personsearch.report.plots`."""
    axes.set_title(title, loc="left", fontsize=11, fontweight="bold", color=INK)
    axes.set_xlabel(x, fontsize=9, color=SOFT)
    axes.set_ylabel(y, fontsize=9, color=SOFT)
    axes.grid(True, color=GRID, linewidth=0.7)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=8.5, colors=SOFT, length=0, which="both")
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(GRID)


def _drawn(
    drawing: Drawing, axes: Axes, title: str, x: str, y: str, *, legend: bool = True, below: bool = False
) -> Array:
    _style(axes, title, x, y)
    if legend and axes.get_legend_handles_labels()[0]:
        axes.legend(frameon=False, fontsize=8.5, labelcolor=INK, handlelength=2.6)
    if below:
        drawing.legend(
            loc="outside lower left", frameon=False, fontsize=8.5, labelcolor=INK, ncols=len(REASONS),
            handlelength=1.6, columnspacing=1.2,
        )  # fmt: skip
    canvas: Any = FigureCanvasAgg(drawing)  # its methods are not typed
    canvas.draw()
    return np.array(np.asarray(canvas.buffer_rgba())[..., :3])
