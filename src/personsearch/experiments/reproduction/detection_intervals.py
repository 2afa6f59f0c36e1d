"""How sure the detectors' numbers are: everything of figure 5 again, with other pictures drawn.

Pictures are drawn again with replacement, whole ones, because people in one picture are found or missed
together. A picture that is drawn twice brings everybody twice, so counts take the place of copies.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from personsearch.evaluation.detection import JudgedDetections
from personsearch.experiments.reproduction.records import number
from personsearch.types import Array

DRAWS = 2000


@dataclass(frozen=True, eq=False)
class Columns:
    """Every picture's detections in one ranking.

    Attributes:
        score, right: (n,) by falling score.
        picture: (n,) whose each is.
        truths: (pictures,) how many people are to be found in each.
    """

    score: Array
    right: Array
    picture: Array
    truths: Array


def columns(judged: Sequence[JudgedDetections]) -> Columns:
    """The detections of pictures that were judged one by one."""
    scores = np.concatenate([np.zeros(0, np.float32), *(one.scores for one in judged)])
    right = np.concatenate([np.zeros(0, bool), *(one.right for one in judged)])
    picture = np.repeat(np.arange(len(judged)), [len(one.scores) for one in judged])
    order = np.argsort(-scores, kind="stable")
    return Columns(scores[order], right[order], picture[order], np.array([one.truths for one in judged]))


@dataclass(frozen=True, eq=False)
class Drawn:
    """The ranking of drawn pictures.

    Attributes:
        weight: (n,) how often each detection is there.
        kept, found: (n,) how many detections, and how many right ones, there are down to each.
        total: people to be found.
    """

    weight: Array
    kept: Array
    found: Array
    total: float

    def ap(self, right: Array) -> float:
        """Average precision times recall; 0 where there is nobody to find."""
        if not self.total:
            return 0.0
        precision = np.divide(self.found, self.kept, out=np.zeros_like(self.found), where=self.kept > 0)
        return float((precision * self.weight * right).sum() / self.total)

    def at(self, row: int) -> tuple[float, float]:
        """(recall, precision) of the detections down to ``row``, which may be -1: of none."""
        if row < 0 or not self.total:
            return (0.0 if self.total else float("nan")), float("nan")
        kept, found = float(self.kept[row]), float(self.found[row])
        return found / self.total, found / kept if kept else float("nan")

    def reaching(self, recall: float) -> float:
        """Precision where the ranking first reaches ``recall``; NaN where it never does."""
        if not self.total:
            return float("nan")
        row = int(np.searchsorted(self.found, recall * self.total - 1e-9))
        return self.at(row)[1] if row < len(self.found) else float("nan")


def drawn(of: Columns, rows: Array) -> Drawn:
    """The ranking of the pictures ``rows``, some of them several times."""
    times = np.bincount(rows, minlength=len(of.truths))
    weight = times[of.picture].astype(float)
    return Drawn(weight, np.cumsum(weight), np.cumsum(weight * of.right), float((times * of.truths).sum()))


def intervals(
    judged: Sequence[JudgedDetections], threshold: float, recalls: Sequence[float], seed: int
) -> dict[str, Any]:
    """95 % intervals, over pictures, of AP, of recall and precision from ``threshold``, and of the precision
    at each of ``recalls``; null where more than one drawing in forty has no such number.
    """
    of, rng = columns(judged), np.random.default_rng(seed)
    last = int((of.score >= np.float32(threshold)).sum()) - 1
    rows = []
    for _ in range(DRAWS):
        one = drawn(of, rng.integers(len(judged), size=len(judged)))
        rows.append([one.ap(of.right), *one.at(last), *(one.reaching(recall) for recall in recalls)])
    ends = [_ends(np.array(values)) for values in zip(*rows, strict=True)]
    return {
        "n": len(judged),
        "ap": ends[0],
        "recall": ends[1],
        "precision": ends[2],
        "marks": {f"{recall:g}": one for recall, one in zip(recalls, ends[3:], strict=True)},
    }


def recall_interval(found: Array, people: Array, seed: int) -> dict[str, float | None]:
    """Recall over all pictures with its interval over them, of how many were found in each of how many.

    >>> recall_interval(np.array([2, 2]), np.array([4, 4]), 0)
    {'mean': 0.5, 'low': 0.5, 'high': 0.5}
    """
    if not people.sum():
        return {"mean": None, "low": None, "high": None}
    rows = np.random.default_rng(seed).integers(len(people), size=(DRAWS, len(people)))
    below = people[rows].sum(axis=1)
    shares = found[rows].sum(axis=1)[below > 0] / below[below > 0]
    low, high = np.quantile(shares, [0.025, 0.975])
    mean = number(float(found.sum() / people.sum()))
    return {"mean": mean, "low": number(float(low)), "high": number(float(high))}


def _ends(values: Array) -> list[float | None] | None:
    if np.isnan(values).mean() > 1 / 40:
        return None
    low, high = np.nanquantile(values, [0.025, 0.975])
    return [number(float(low)), number(float(high))]
