"""What accuracy costs, as a figure: methods by time and mAP, with names that cross nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from personsearch.report.figure_style import HEIGHT, SMALL, dress, line_of, pixels, sheet
from personsearch.report.plots import INK, SOFT
from personsearch.types import Array

NAME = SMALL - 0.5
"""Size of a method's name, points."""
Box = tuple[float, float, float, float]
Place = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Priced:
    """A method with what it costs.

    Attributes:
        name: beside its point.
        ms: milliseconds a picture.
        value, low, high: mAP and its interval, shares.
        ours: drawn as ours.
    """

    name: str
    ms: float
    value: float
    low: float
    high: float
    ours: bool = False


def cost_plot(methods: Sequence[Priced], *, title: str) -> Array:
    """mAP (y) against milliseconds a picture (x, logarithmic): up and to the left is better."""
    drawing, axes = _points(methods, title)
    places = name_places(drawing, axes, methods)
    for one, (x, y) in zip(methods, places, strict=True):
        point = _at(axes, one.ms, one.value)
        led = abs(y - point[1]) > 0.01 or x < point[0] or x > point[0] + 0.05
        axes.annotate(
            one.name, (one.ms, one.value), xytext=(x, y), textcoords="axes fraction", fontsize=NAME,
            color=INK, va="center",
            arrowprops={"arrowstyle": "-", "color": SOFT, "linewidth": 0.7, "shrinkB": 6} if led else None,
        )  # fmt: skip
    return pixels(drawing)


def _points(methods: Sequence[Priced], title: str) -> tuple[Drawing, Axes]:
    """The figure without names."""
    drawing, (axes,) = sheet(height=HEIGHT + 0.5)
    axes.set_xscale("log")
    times = [one.ms for one in methods]
    axes.set_xlim(0.7 * min(times), 2.6 * max(times))
    axes.set_ylim(0, 1.15 * max(one.high for one in methods) + 1e-6)
    for one in methods:
        ends = [[max(one.value - one.low, 0)], [max(one.high - one.value, 0)]]
        look = line_of(1 if one.ours else 0) | {"linestyle": "none"}
        axes.errorbar([one.ms], [one.value], yerr=ends, markersize=7, capsize=2.5, elinewidth=1.1, **look)
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g}"))
    dress(axes, title, "milliseconds a picture", "mAP, %", legend=False)
    return drawing, axes


def name_places(drawing: Drawing, axes: Axes, methods: Sequence[Priced]) -> list[Place]:
    """Where each name begins, at half its height, in shares of the panel: the nearest free place.

    A place is free where the name lies on no point, bar, name or line that leads from a name to its point,
    and its own such line on no other method's. Sizes are those of the letters as they will be drawn. Where
    nothing is free, a name takes the nearest place inside the panel.
    """
    drawing.draw_without_rendering()  # the panel's size is known only then
    panel = axes.get_window_extent()
    wide, high = (6 * drawing.dpi / 72 / side for side in (panel.width, panel.height))
    points = [_at(axes, one.ms, one.value) for one in methods]
    own = [
        [
            (x - wide, y - high, x + wide, y + high),
            (x - wide, _at(axes, one.ms, one.low)[1], x + wide, _at(axes, one.ms, one.high)[1]),
        ]
        for one, (x, y) in zip(methods, points, strict=True)
    ]
    names: list[Box] = []
    lines: list[tuple[Place, Place]] = []
    found = list(points)
    for i in sorted(range(len(methods)), key=lambda i: points[i][1]):
        size = _size(drawing, methods[i].name)
        size = (size[0] / panel.width, size[1] / panel.height)
        others = [*names, *(box for j, boxes in enumerate(own) if j != i for box in boxes)]

        def free(box: Box, i: int = i, others: list[Box] = others) -> bool:
            line = (_middle(box), points[i])
            on = any(_touch(box, one) for one in (*others, *own[i]))
            return not (on or any(_crosses(*line, one) for one in others)) and not any(
                _crosses(*one, box) for one in lines
            )

        boxes = _places(points[i], size, wide)
        inside = [box for box in boxes if min(box[:2]) >= 0 and max(box[2:]) <= 1]
        box = next(filter(free, inside), (inside or boxes)[0])
        names.append(box)
        lines.append((_middle(box), points[i]))
        found[i] = (box[0], _middle(box)[1])
    return found


def _at(axes: Axes, ms: float, value: float) -> Place:
    """A time and an mAP as shares of the panel."""
    x, y = axes.transAxes.inverted().transform(axes.transData.transform((ms, value)))
    return float(x), float(y)


def _middle(box: Box) -> Place:
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2


def _places(point: Place, size: Place, mark: float) -> list[Box]:
    """Boxes for a name of ``size`` around its point, from the nearest on: right of it rather than left."""
    (x, y), (wide, high) = point, size
    places = []
    for up in np.arange(-40, 41) / 100:
        for aside in np.arange(0, 5) / 25:
            for left, cost in ((x + 1.3 * mark + aside, 0.0), (x - 1.3 * mark - aside - wide, 0.02)):
                box = (float(left), float(y + up - high / 2), float(left + wide), float(y + up + high / 2))
                places.append((abs(float(up)) + float(aside) + cost, box))
    return [box for _, box in sorted(places)]


def _size(drawing: Drawing, text: str) -> Place:
    """(width, height) in pixels of a name as it is drawn, with a little air around."""
    letters = drawing.text(0, 0, text, fontsize=NAME)
    extent = letters.get_window_extent()
    letters.remove()
    return 1.03 * extent.width, 1.1 * extent.height


def _touch(a: Box, b: Box) -> bool:
    """Whether two boxes (left, low, right, high) share a point.

    >>> _touch((0, 0, 2, 2), (1, 1, 3, 3)), _touch((0, 0, 2, 2), (3, 0, 4, 2))
    (True, False)
    """
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _crosses(start: Place, end: Place, box: Box) -> bool:
    """Whether a straight line goes through a box.

    >>> _crosses((0, 0), (4, 4), (1, 1, 2, 2)), _crosses((0, 0), (4, 0), (1, 1, 2, 2))
    (True, False)
    """
    first, last = 0.0, 1.0
    for a, b, low, high in ((start[0], end[0], box[0], box[2]), (start[1], end[1], box[1], box[3])):
        if a == b:
            if not low <= a <= high:
                return False
            continue
        near, far = sorted(((low - a) / (b - a), (high - a) / (b - a)))
        first, last = max(first, near), min(last, far)
    return first <= last
