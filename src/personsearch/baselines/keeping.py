"""What is kept of a foreign detector's boxes: inside the picture, sure enough, each person once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torchvision.ops import nms

from personsearch.boxes import clip
from personsearch.errors import PersonSearchError
from personsearch.types import Array, Detections


@dataclass(frozen=True, kw_only=True)
class KeepRules:
    """As ``DetectSettings`` of our own network has them.

    Attributes:
        min_score: weaker people are dropped.
        nms: overlap above which the weaker of two boxes goes; None where the detector saw to it.
        limit: people kept a picture.
    """

    min_score: float = 0.05
    nms: float | None = 0.5
    limit: int = 100


def keep_best(boxes: Array, scores: Array, size: tuple[int, int], rules: KeepRules) -> Detections:
    """People best first, cut to a picture of ``size`` (width, height); embeddings of length 0.

    Boxes of less than a pixel inside the picture are dropped. Of equal scores the earlier stays
    first. One index moves boxes and scores together.

    Args:
        boxes: (n, 4) x1 y1 x2 y2, picture pixels. scores: (n,).

    Raises:
        PersonSearchError: a number is not finite: the detector is broken.

    >>> boxes = np.array([[0, 0, 10, 20], [1, 0, 11, 20], [30, 0, 99, 20.0]])
    >>> kept = keep_best(boxes, np.array([0.6, 0.9, 0.7]), (50, 40), KeepRules())
    >>> kept.boxes.tolist(), [round(score, 1) for score in kept.scores.tolist()]
    ([[1.0, 0.0, 11.0, 20.0], [30.0, 0.0, 50.0, 20.0]], [0.9, 0.7])
    """
    boxes = np.asarray(boxes, np.float32).reshape(-1, 4)
    scores = np.asarray(scores, np.float32).reshape(-1)
    if not (np.isfinite(boxes).all() and np.isfinite(scores).all()):
        raise PersonSearchError("a detector answers with numbers that are not finite", hint="it is broken")
    boxes = clip(boxes, size)
    alive = np.flatnonzero((scores >= rules.min_score) & (boxes[:, 2:] - boxes[:, :2] >= 1).all(axis=1))
    alive = alive[np.argsort(-scores[alive], kind="stable")]
    if rules.nms is not None and len(alive):
        # torchvision's own sort need not keep the order of equals; distinct ranks decide it.
        ranks = torch.arange(len(alive), 0, -1, dtype=torch.float32)
        alive = alive[np.sort(nms(torch.from_numpy(boxes[alive]), ranks, rules.nms).numpy())]
    best = alive[: rules.limit]
    return Detections(boxes[best], scores[best], np.zeros((len(best), 0), np.float32))
