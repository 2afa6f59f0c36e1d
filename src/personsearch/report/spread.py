"""How alike is everybody? The similarities of a whole gallery as a small chart, with the hits marked."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from personsearch.types import Array, Hit, Similarity

BINS = 48
HEIGHT, BARS, RUG = 190, 136, 152
"""Pixels: of the chart, of the bars' ground line from the top, of the middle of the line of marks."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Spread:
    """How many people are how alike.

    Attributes:
        edges: (b + 1,) float64, rising: the ends of the intervals of similarity.
        counts: (b,) int64 people in each; the last interval holds its upper end, too.
    """

    edges: Array
    counts: Array

    @property
    def people(self) -> int:
        """How many there are."""
        return int(self.counts.sum())


def spread_of(similarities: Array, bins: int = BINS) -> Spread | None:
    """Counts of ``similarities`` (n,) in ``bins`` equal intervals from least to most; None for nobody.

    >>> spread_of(np.array([0.0, 0.1, 0.9, 1.0]), bins=2).counts.tolist()
    [2, 2]
    """
    values = np.asarray(similarities, np.float64)
    if not len(values):
        return None
    low, high = float(values.min()), float(values.max())
    if not high > low:  # everybody alike: an interval with room around it
        low, high = low - 0.5, high + 0.5
    counts, edges = np.histogram(values, bins=bins, range=(low, high))
    return Spread(edges=edges, counts=counts)


@dataclass(frozen=True, kw_only=True)
class Bar:
    """One interval: left end and width in per cent of the chart, height in pixels, and how many."""

    x: float
    width: float
    height: float
    count: int


@dataclass(frozen=True, kw_only=True)
class Tick:
    """A number on an axis: where, in per cent (across) or pixels (up), and its text."""

    at: float
    text: str
    anchor: str = "middle"


@dataclass(frozen=True, kw_only=True)
class Mark:
    """A hit below the bars: where in per cent, its rank, and whether it is one of the hits."""

    x: float
    rank: int
    chosen: bool


@dataclass(frozen=True, kw_only=True)
class Chart:
    """The chart as the page draws it.

    Attributes:
        bars, marks, across, up: what is in it.
        cut: where the last hit is, in per cent; None without hits.
        text: what it shows, in words.
    """

    bars: tuple[Bar, ...]
    marks: tuple[Mark, ...]
    across: tuple[Tick, ...]
    up: tuple[Tick, ...]
    cut: float | None
    text: str
    height: int = HEIGHT
    ground: int = BARS
    rug: int = RUG


def chart(spread: Spread, hits: Sequence[Hit], rejected: Sequence[Hit], kind: Similarity) -> Chart:
    """The chart of a search: counts on a logarithmic scale, for the hits are a few among many.

    A bar of c people is as high as log(1 + c): one person can be seen beside a hundred thousand.
    Minus the Euclidean distance is written as a distance.
    """
    left, right = float(spread.edges[0]), float(spread.edges[-1])
    most = max(int(spread.counts.max()), 1)

    def across(value: float) -> float:
        return round(100 * min(max((value - left) / (right - left), 0.0), 1.0), 2)

    def up(count: float) -> float:
        return round((BARS - 12) * math.log1p(count) / math.log1p(most), 1)

    bars = tuple(
        Bar(x=across(low), width=round(across(high) - across(low), 2), height=up(count), count=int(count))
        for low, high, count in zip(spread.edges, spread.edges[1:], spread.counts, strict=False)
        if count
    )
    marks = [(hit, True) for hit in hits] + [(hit, False) for hit in rejected]
    return Chart(
        bars=bars,
        marks=tuple(Mark(x=across(hit.similarity), rank=hit.rank, chosen=chosen) for hit, chosen in marks),
        across=_across(left, right, kind),
        up=tuple(Tick(at=BARS - up(n), text=f"{n:,}") for n in _tens(most)),
        cut=across(hits[-1].similarity) if hits else None,
        text=_words(spread, hits, rejected, kind),
    )


def _across(left: float, right: float, kind: Similarity) -> tuple[Tick, ...]:
    """Five numbers below the chart."""
    ticks = []
    for i, anchor in enumerate(("start", "middle", "middle", "middle", "end")):
        value = left + (right - left) * i / 4
        ticks.append(Tick(at=25.0 * i, text=written(value, kind), anchor=anchor))
    return tuple(ticks)


def _tens(most: int) -> list[int]:
    """Powers of ten up to ``most``.

    >>> _tens(250)
    [1, 10, 100]
    """
    return [10**n for n in range(len(str(most)))]


def written(value: float, kind: Similarity) -> str:
    """A similarity as the page writes it.

    >>> written(0.8612, "cosine"), written(-3.5, "euclidean")
    ('0.861', '3.50')
    """
    return f"{abs(value):.2f}" if kind == "euclidean" else f"{value:.3f}"


def _words(spread: Spread, hits: Sequence[Hit], rejected: Sequence[Hit], kind: Similarity) -> str:
    """The chart in a sentence or two, for those who cannot see it."""
    name = "distance" if kind == "euclidean" else "similarity"
    said = f"How alike the {spread.people:,} people who were compared are."
    if hits:
        best, last = written(hits[0].similarity, kind), written(hits[-1].similarity, kind)
        said += f" The hits have a {name} from {best} to {last}"
        below = int(spread.counts[spread.edges[1:] <= hits[-1].similarity].sum())
        share = 100 * below // max(spread.people, 1)
        said += f"; at least {share}% of all people are less alike." if share else "."
    if rejected:
        said += f" The best one left out has a {name} of {written(rejected[0].similarity, kind)}."
    return said
