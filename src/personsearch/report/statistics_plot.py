"""How tall people are, as a picture: the paper's Fig. 2 for any data set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from personsearch.report.plots import Curve, Panel, plot
from personsearch.types import Array


@dataclass(frozen=True, eq=False, kw_only=True)
class HeightPanel:
    """One distribution or several, on one set of axes.

    Attributes:
        title: above it.
        names: of each distribution, in the legend.
        counts: (n,) each, people in every step.
    """

    title: str
    names: Sequence[str]
    counts: Sequence[Array]

    def __post_init__(self) -> None:
        if len(self.names) != len(self.counts):
            raise ValueError(f"{self.title!r}: {len(self.names)} names for {len(self.counts)} distributions")


def height_plot(panels: Sequence[HeightPanel], edges: Array) -> Array:
    """Distributions of heights side by side as (h, w, 3) uint8 pixels; the last step is "or more".

    Args:
        panels: at least one.
        edges: (n + 1,) of the steps, pixels.
    """
    return plot([_panel(panel, np.asarray(edges, np.float64)) for panel in panels])


def _panel(panel: HeightPanel, edges: Array) -> Panel:
    curves = [_steps(name, counts, edges) for name, counts in zip(panel.names, panel.counts, strict=True)]
    top = max((float(np.max(counts, initial=0)) for counts in panel.counts), default=0.0)
    return Panel(
        title=panel.title,
        curves=curves,
        x=f"height in pixels (steps of {edges[1] - edges[0]:g}; the last: or more)",
        y="people",
        x_range=(0.0, float(edges[-1])),
        y_range=(0.0, max(1.08 * top, 4.0)),
    )


def _steps(name: str, counts: Array, edges: Array) -> Curve:
    """A histogram's outline over a filled ground."""
    x = np.repeat(edges, 2)
    y = np.concatenate([[0.0], np.repeat(np.asarray(counts, np.float64), 2), [0.0]])
    return Curve(name=name, x=x, y=y, low=np.zeros_like(y), high=y)
