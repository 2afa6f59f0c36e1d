"""How many people are missed at a bearable number of false alarms? The measure of pedestrian detection."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from personsearch.boxes import area, iou
from personsearch.evaluation.detection import detections_in
from personsearch.evaluation.search_tables import SearchFeatures
from personsearch.types import Array, Scene

REFERENCES = np.logspace(-2, 0, 9)
"""False alarms a picture at which the miss rate is read."""
_LEAST = 1e-10
"""Stands for a miss rate of 0, whose logarithm there is not."""


@dataclass(frozen=True, kw_only=True)
class MissRateRules:
    """Who counts, and what is right.

    People who do not count are ignored: nobody has to find them, and whoever does is neither right nor wrong.

    Attributes:
        iou: overlap from which a detection may be right; for an ignored person, the share of the
            *detection* that lies in the box.
        min_height: people less high than this, in pixels, do not count.
        least_visible: nor do people of whom less can be seen; who has no known share can be seen.
        height_margin: detections less high than ``min_height`` by more than this factor do not exist.
    """

    iou: float = 0.5
    min_height: float = 0.0
    least_visible: float = 0.0
    height_margin: float = 1.25


REASONABLE = MissRateRules(min_height=50, least_visible=0.65)
"""The usual part of people: 50 pixels or more, and not much hidden."""


@dataclass(frozen=True, eq=False, kw_only=True)
class MissRate:
    """The curve, one point for each distinct score, the highest first.

    Attributes:
        threshold: (m,) the score: everything with this score or more is kept.
        alarms: (m,) float64 false alarms a picture; rises.
        missed: (m,) float64 share of people not found; falls.
        truths, pictures: how many people are to be found, and in how many pictures.
    """

    threshold: Array
    alarms: Array
    missed: Array
    truths: int
    pictures: int

    def at(self, alarms: float) -> float:
        """The miss rate at the lowest threshold with at most so many false alarms a picture; else 1."""
        enough = np.flatnonzero(self.alarms <= alarms)
        if not self.truths:
            return float("nan")
        return float(self.missed[enough[-1]]) if len(enough) else 1.0

    @property
    def log_average(self) -> float:
        """The geometric mean of the miss rates at nine numbers of false alarms from 0.01 to 1 a picture.

        Below 1e-10 a miss rate counts as 1e-10. NaN with nobody to find.
        """
        read = np.array([self.at(float(reference)) for reference in REFERENCES])
        return float(np.exp(np.log(np.maximum(read, _LEAST)).mean()))


def score_miss_rate(
    scenes: Sequence[Scene], features: SearchFeatures, rules: MissRateRules = MissRateRules()
) -> MissRate:
    """Miss rate against false alarms over all ``scenes`` together.

    Detections are matched picture by picture, best score first: each to the person nobody better
    found whom it overlaps most; otherwise, where most of it lies in an ignored box, it leaves the
    curve; otherwise it is a false alarm. All detections are to enter, also those with low scores: the
    curve is cut where they end.

    Raises:
        DatasetError: ``features`` lack one of the ``scenes``.

    Source: Dollár, Wojek, Schiele and Perona, Pedestrian Detection: An Evaluation of the State of the
    Art (TPAMI 2012), section 3.
    """
    picture, boxes, scores = detections_in(scenes, features, float("-inf"))
    high = boxes[:, 3] - boxes[:, 1] >= rules.min_height / rules.height_margin
    picture, boxes, scores = picture[high], boxes[high], scores[high]
    verdict = np.zeros(len(boxes), np.int64)
    truths = 0
    for number, scene in enumerate(scenes):
        start, stop = np.searchsorted(picture, [number, number + 1])
        counts = _counting(scene, rules)
        truths += int(counts.sum())
        verdict[start:stop] = judge_greedily(
            boxes[start:stop], scores[start:stop], scene.boxes[counts], scene.boxes[~counts], rules.iou
        )
    return _curve(scores[verdict >= 0], verdict[verdict >= 0] == 1, truths, len(scenes))


def judge_greedily(boxes: Array, scores: Array, people: Array, ignored: Array, least: float) -> Array:
    """(n,) 1 for a detection that is right, 0 for a false alarm, -1 for one that counts neither way.

    Args:
        boxes, scores: (n, 4) and (n,) detections of one picture; of equal scores the earlier is the better.
        people, ignored: (m, 4) and (k, 4) boxes that are to be found, or count neither way.
        least: overlap, or share in an ignored box, that is enough.

    >>> people, ignored = np.array([[0, 0, 10, 10.0]]), np.array([[50, 0, 90, 90.0]])
    >>> boxes = np.array([[0, 0, 10, 9.0], [0, 0, 10, 10], [60, 0, 70, 10]])
    >>> judge_greedily(boxes, np.array([0.9, 0.8, 0.7]), people, ignored, 0.5).tolist()
    [1, 0, -1]
    """
    boxes = np.asarray(boxes, np.float64)
    overlap = iou(boxes, np.asarray(people, np.float64))
    low = np.maximum(boxes[:, None, :2], ignored[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], ignored[None, :, 2:])
    inside = np.maximum(high - low, 0).prod(axis=2).max(axis=1, initial=0.0)
    swallowed = (inside >= least * area(boxes)) & (inside > 0)
    verdict = np.where(swallowed, -1, 0)
    free = np.ones(len(people), bool)
    for row in np.argsort(-np.asarray(scores), kind="stable").tolist():
        left = np.where(free, overlap[row], -1.0)
        best = int(left.argmax()) if len(left) else -1
        if best >= 0 and left[best] >= least:
            verdict[row] = 1
            free[best] = False
    return verdict


def _counting(scene: Scene, rules: MissRateRules) -> Array:
    """(n,) bool: who is to be found."""
    high = scene.boxes[:, 3] - scene.boxes[:, 1] >= rules.min_height
    counting: Array = ~np.asarray(scene.ignore) & high & ~(np.asarray(scene.visible) < rules.least_visible)
    return counting


def _curve(scores: Array, right: Array, truths: int, pictures: int) -> MissRate:
    order = np.argsort(-scores, kind="stable")
    scores, right = scores[order], right[order]
    last = np.append(scores[1:] != scores[:-1], True)[: len(scores)]  # of equal ones
    found, wrong = np.cumsum(right)[last], np.cumsum(~right)[last]
    missed = 1 - found / truths if truths else np.full(len(found), np.nan)
    alarms = wrong / max(pictures, 1)
    return MissRate(threshold=scores[last], alarms=alarms, missed=missed, truths=truths, pictures=pictures)
