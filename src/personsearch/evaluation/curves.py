"""Precision against recall: what a threshold on the score would have given."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from personsearch.types import Array


@dataclass(frozen=True, eq=False, kw_only=True)
class PrecisionRecall:
    """One point for each distinct score, the highest first.

    Attributes:
        threshold: (m,) the score: everything with this score or more is kept.
        precision: (m,) float64, share of what is kept that is right.
        recall: (m,) float64, share of what is to be found that is kept; rises.
    """

    threshold: Array
    precision: Array
    recall: Array

    def recall_at_precision(self, precision: float) -> float:
        """The largest recall that still has ``precision`` or more; 0 where none has.

        >>> curve = precision_recall(np.array([0.9, 0.8, 0.7]), np.array([True, False, True]), 2)
        >>> curve.recall_at_precision(0.9), curve.recall_at_precision(0.6)
        (0.5, 1.0)
        """
        enough = self.recall[self.precision >= precision]
        return float(enough.max()) if len(enough) else 0.0

    def threshold_at_precision(self, precision: float) -> float:
        """The lowest threshold that still has ``precision`` or more; NaN where none has."""
        enough = self.threshold[self.precision >= precision]
        return float(enough.min()) if len(enough) else float("nan")


def precision_recall(scores: Array, right: Array, truths: int) -> PrecisionRecall:
    """Precision and recall of every threshold on ``scores``; equal scores are kept or dropped together.

    Args:
        scores: (n,) of the answers.
        right: (n,) bool.
        truths: how many are to be found; with none, recall is NaN.

    >>> curve = precision_recall(np.array([0.9, 0.8, 0.8, 0.1]), np.array([True, False, True, True]), 4)
    >>> curve.recall.tolist(), curve.precision.round(2).tolist(), curve.threshold.tolist()
    ([0.25, 0.5, 0.75], [1.0, 0.67, 0.75], [0.9, 0.8, 0.1])
    """
    scores, right = np.asarray(scores), np.asarray(right, bool)
    order = np.argsort(-scores, kind="stable")
    scores, kept = scores[order], np.arange(1, len(scores) + 1)
    last = np.append(scores[1:] != scores[:-1], True)[: len(scores)]  # of the equal ones
    found = np.cumsum(right[order])[last]
    recall = found / truths if truths else np.full(len(found), np.nan)
    return PrecisionRecall(threshold=scores[last], precision=found / kept[last], recall=recall)
