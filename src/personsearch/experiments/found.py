"""Who is found in each picture by itself: what an interval over pictures is drawn from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from personsearch.evaluation.detection import judge_detections
from personsearch.features import Features
from personsearch.types import Array, Scene


def found_by_picture(scenes: Sequence[Scene], seen: Features) -> tuple[Array, Array]:
    """(pictures,) int64 twice: how many people are found in each of ``scenes``, and how many are there.

    By the rules that :func:`personsearch.evaluation.detection.score_detection` has by itself: sum over sum
    is its recall.
    """
    judged = [judge_detections([scene], seen) for scene in scenes]
    found = np.array([int(one.right.sum()) for one in judged], np.int64)
    return found, np.array([one.truths for one in judged], np.int64)
