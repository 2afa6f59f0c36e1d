"""Sorting queries and people into groups: by height, by how much can be seen, by name."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.stats import binomtest

from personsearch.ranking.bootstrap import Interval
from personsearch.types import Array

HEIGHTS = (0.0, 50.0, 100.0, 200.0, 400.0, float("inf"))
"""Edges of the bands of heights, pixels: each twice as far away as the next."""
VISIBLE = (0.0, 0.4, 0.6, 0.8, float("inf"))
"""Edges of the bands of visible shares; the occlusion subset of the field is below 0.6."""
UNKNOWN = "not known"


@dataclass(frozen=True, eq=False, kw_only=True)
class Groups:
    """n things in named groups.

    Attributes:
        names: of the groups, in the order in which they are shown.
        code: (n,) int64 index into ``names``.
    """

    names: tuple[str, ...]
    code: Array

    def take(self, kept: Array) -> Groups:
        """The things that ``kept``, a mask, leaves."""
        return Groups(names=self.names, code=self.code[kept])

    def __iter__(self) -> Iterator[tuple[str, Array]]:
        """Name and rows of every group that holds something."""
        for code, name in enumerate(self.names):
            rows = np.flatnonzero(self.code == code)
            if len(rows):
                yield name, rows


def bands(values: Array, edges: Sequence[float], unit: str) -> Groups:
    """Groups by size: the lower edge is in the band, the upper is not; NaN is not known.

    Args:
        values: (n,).
        edges: rising, the first and the last open.
        unit: " px", or "%" for shares.

    >>> [name for name, _ in bands(np.array([49.0, 50.0, 500.0, np.nan]), HEIGHTS, " px")]
    ['under 50 px', '50 to 100 px', '400 px or more', 'not known']
    >>> [name for name, _ in bands(np.array([1.0, 0.59]), VISIBLE, "%")]
    ['40 to 60%', '80% or more']
    """
    scale = 100 if unit == "%" else 1
    shown = [f"{scale * edge:.0f}" for edge in edges[1:-1]]
    names = [
        f"under {shown[0]}{unit}",
        *(f"{low} to {high}{unit}" for low, high in pairwise(shown)),
        f"{shown[-1]}{unit} or more",
        UNKNOWN,
    ]
    known = ~np.isnan(values)
    # A share of 0.6 that was stored as float32 is a little more than 0.6: compared as float32 it is not.
    inner, given = np.asarray(edges[1:-1], np.float32), np.where(known, values, 0.0).astype(np.float32)
    code = np.where(known, np.searchsorted(inner, given, "right"), len(names) - 1)
    return Groups(names=tuple(names), code=code)


def named(values: Sequence[str]) -> Groups:
    """Groups by name, numbers by size; an empty name is not known.

    >>> [name for name, _ in named(["10", "2", "", "a"])]
    ['2', '10', 'a', 'not known']
    """
    names = sorted(
        {*values} - {""}, key=lambda name: (not name.isdecimal(), int(name) if name.isdecimal() else 0, name)
    )
    place = {name: code for code, name in enumerate([*names, ""])}
    return Groups(names=(*names, UNKNOWN), code=np.array([place[name] for name in values], np.int64))


def share_interval(count: int, n: int, *, level: float = 0.95) -> Interval:
    """``count`` of ``n`` as a share, with its Wilson score interval.

    Unlike the bootstrap of a share it holds for small ``n``, also where none or all count:
    nobody lost among three says little.

    Source: Wilson (1927).

    >>> share = share_interval(0, 3)
    >>> share.mean, share.low, round(share.high, 3)
    (0.0, 0.0, 0.561)
    """
    ends = binomtest(count, n).proportion_ci(level, method="wilson")
    return Interval(mean=count / n, low=max(0.0, float(ends.low)), high=float(ends.high), level=level)
