"""Consecutive frames of a video to tracklets: who in this frame is who in the frames before?

Online: each frame is decided when it comes, by one assignment between the people in it and the
tracklets that are still open (Hungarian method, through SciPy), at a cost of how far their boxes
are apart and how different they look. The state of a tracklet is its last appearance and nothing
else, which is all that the gallery stores of it too; so a run that was interrupted goes on from
the stored rows exactly as if it had not been.

The scheme (cost from overlap and appearance, gates, a patience for the unseen) is that of Wojke
et al. 2017, "Simple Online and Realtime Tracking with a Deep Association Metric"; we leave its
Kalman filter away, because frames are a second apart here, not a 25th, and people do not walk
straight for a second in a crowd.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from personsearch.boxes import iou
from personsearch.types import Array, Detections

_NEVER = 1e6
"""Cost of a pair that a gate forbids: more than all pairs of a frame that are allowed."""


@dataclass(frozen=True, kw_only=True)
class TrackletSettings:
    """When two appearances may be one person.

    A pair is possible if its boxes overlap by ``min_iou`` and it looks alike by ``min_alike_near``,
    or if it looks alike by ``min_alike`` and its centres are at most ``reach`` body heights a
    second apart. Of the possible pairs those are chosen that together cost least, the most pairs
    first: the cost is ``weight`` times what the boxes miss to overlap (1 - IoU), and the rest
    of 1 times what the looks miss to be alike (1 - likeness).

    Attributes:
        max_gap: seconds that a person may be unseen before the tracklet is closed.
        min_iou, min_alike_near: of a pair that overlaps.
        min_alike, reach: of a pair that does not.
        weight: of the boxes in the cost, in [0, 1].
    """

    max_gap: float = 2.0
    min_iou: float = 0.3
    min_alike_near: float = 0.3
    min_alike: float = 0.7
    reach: float = 3.0
    weight: float = 0.5

    def __post_init__(self) -> None:
        if not (self.max_gap >= 0 and self.reach >= 0 and 0 <= self.weight <= 1):
            raise ValueError(f"no settings of tracklets: {self}")


class Tracker:
    """Gives everybody in frame after frame the number of a tracklet.

    Args:
        settings: when two appearances may be one person.
        first: the number of the first new tracklet.

    >>> tracker = Tracker()
    >>> here = Detections([[0, 0, 10, 20], [50, 0, 60, 20]], [0.9, 0.8], [[1, 0], [0, 1]])
    >>> there = Detections([[51, 0, 61, 20], [2, 0, 12, 20]], [0.9, 0.8], [[0, 1], [1, 0]])
    >>> tracker.update(0.0, here).tolist(), tracker.update(1.0, there).tolist()
    ([0, 1], [1, 0])
    """

    def __init__(self, settings: TrackletSettings | None = None, first: int = 0) -> None:
        self.settings = TrackletSettings() if settings is None else settings
        self._position = -np.inf
        self._next = first
        self._number = np.zeros(0, np.int64)
        self._seen = np.zeros(0, np.float64)
        self._box = np.zeros((0, 4), np.float32)
        self._look: Array | None = None

    @property
    def tracklets(self) -> int:
        """How many tracklets there are so far, with those before the first of this tracker."""
        return self._next

    def update(self, position: float, seen: Detections) -> Array:
        """(n,) int64 tracklet of everybody in the frame at ``position`` seconds; new ones count up.

        No two people of one frame get the same. Of people who open a new tracklet, the first in
        ``seen`` gets the lower number.

        Raises:
            ValueError: the frame is not later than the one before.
        """
        if not position > self._position:
            raise ValueError(f"the frame at {position} s is not later than {self._position} s")
        self._position = position
        self._close(position)
        given = np.full(len(seen), -1, np.int64)
        for row, column in self._pairs(position, seen):
            given[column] = self._number[row]
        new = np.flatnonzero(given < 0)
        given[new] = np.arange(self._next, self._next + len(new))
        self._next += len(new)
        self._remember(position, seen, given)
        return given

    def resume(self, position: float, seen: Detections, numbers: Array) -> None:
        """Take what was decided for a frame by an earlier run as it is; frames in their order."""
        self._position = position
        self._close(position)
        self._next = max(self._next, int(np.max(numbers, initial=-1)) + 1)
        self._remember(position, seen, np.asarray(numbers, np.int64))

    def _close(self, position: float) -> None:
        """Forget tracklets that were unseen for too long."""
        self._keep(position - self._seen <= self.settings.max_gap)

    def _keep(self, rows: Array) -> None:
        self._number, self._seen, self._box = self._number[rows], self._seen[rows], self._box[rows]
        if self._look is not None:
            self._look = self._look[rows]

    def _pairs(self, position: float, seen: Detections) -> list[tuple[int, int]]:
        """(open tracklet, person) of those who are one person."""
        if self._look is None or not len(self._number) or not len(seen):
            return []
        costs = pair_costs(
            self._box,
            self._look,
            seen.boxes,
            seen.embeddings,
            position - self._seen,
            self.settings,
        )
        rows, columns = linear_sum_assignment(np.where(np.isfinite(costs), costs, _NEVER))
        return [(int(r), int(c)) for r, c in zip(rows, columns, strict=True) if np.isfinite(costs[r, c])]

    def _remember(self, position: float, seen: Detections, given: Array) -> None:
        """The newest appearance of a tracklet takes the place of the one before."""
        if not len(seen):
            return
        self._keep(~np.isin(self._number, given))
        look = seen.embeddings if self._look is None else np.concatenate([self._look, seen.embeddings])
        number = np.concatenate([self._number, given])
        order = np.argsort(number, kind="stable")
        self._number, self._look = number[order], look[order]
        self._seen = np.concatenate([self._seen, np.full(len(seen), position)])[order]
        self._box = np.concatenate([self._box, seen.boxes])[order]


def pair_costs(
    old_boxes: Array,
    old_looks: Array,
    boxes: Array,
    looks: Array,
    gaps: Array,
    settings: TrackletSettings,
) -> Array:
    """(t, n) float64 cost in [0, 1] of taking each of n people for each of t tracklets; inf where impossible.

    Args:
        old_boxes: (t, 4) of their last appearances.
        old_looks: (t, d) raw embeddings of those.
        boxes: (n, 4) float32 x1 y1 x2 y2.
        looks: (n, d) raw embeddings.
        gaps: (t,) seconds since those appearances.
        settings: gates and weight, see :class:`TrackletSettings`.
    """
    overlap = iou(old_boxes, boxes).astype(np.float64)
    alike = likeness(old_looks, looks)
    centres, others = ((b[:, :2] + b[:, 2:]).astype(np.float64) / 2 for b in (old_boxes, boxes))
    far = np.linalg.norm(centres[:, None] - others[None], axis=2)
    heights = (old_boxes[:, 3] - old_boxes[:, 1]).astype(np.float64)
    within = far <= settings.reach * heights[:, None] * np.asarray(gaps, np.float64)[:, None]
    near = (overlap >= settings.min_iou) & (alike >= settings.min_alike_near)
    possible = near | ((alike >= settings.min_alike) & within)
    costs = settings.weight * (1 - overlap) + (1 - settings.weight) * (1 - alike)
    return np.where(possible, costs, np.inf)


def likeness(one: Array, other: Array) -> Array:
    """(t, n) float64 cosine of embeddings (t, d) and (n, d), at least 0; of no length, 0.

    >>> likeness(np.array([[3.0, 0.0], [0.0, 0.0]]), np.array([[1.0, 1.0], [-1.0, 0.0]])).round(3).tolist()
    [[0.707, 0.0], [0.0, 0.0]]
    """

    def unit(rows: Array) -> Array:
        rows = np.asarray(rows, np.float64)
        lengths = np.linalg.norm(rows, axis=1, keepdims=True)
        scaled: Array = np.divide(rows, lengths, out=np.zeros_like(rows), where=lengths > 0)
        return scaled

    products: Array = np.clip(unit(one) @ unit(other).T, 0.0, 1.0)
    return products
