"""How well are people found, whoever they are? The field's detection recall and AP."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from personsearch.boxes import iou
from personsearch.errors import DatasetError
from personsearch.evaluation.iou_rule import paired_ignored
from personsearch.evaluation.metrics import ApReading, average_precision
from personsearch.evaluation.search import SearchFeatures
from personsearch.types import UNLABELLED, Array, DetectionScores, Scene


@dataclass(frozen=True, kw_only=True)
class DetectionRules:
    """What shapes the detection numbers.

    Attributes:
        det_threshold: detections with a lower score do not exist.
        iou: overlap from which a detection may be right.
        labelled_only: only people with an identity are truth; pictures without any leave the
            test. A detection of anybody else then counts as wrong, so only the recall means
            something.
        ap: how average precision is read.
    """

    det_threshold: float = 0.5
    iou: float = 0.5
    labelled_only: bool = False
    ap: ApReading = "step"


def score_detection(
    scenes: Sequence[Scene], features: SearchFeatures, rules: DetectionRules = DetectionRules()
) -> DetectionScores:
    """Share of people found (recall) and average precision times recall, over all ``scenes`` together.

    A detection is right if it is the best for its person *and* that person is the best for
    it (both by overlap, the earlier of equals) and they overlap by ``rules.iou`` or more: not the greedy
    matching of COCO or VOC, and only detections above the threshold enter, so the AP is not
    theirs either. Detections in a box that ``Scene.ignore`` marks leave the ranking unless right.
    With nobody to find both numbers are NaN.

    Raises:
        DatasetError: ``features`` lack one of the ``scenes``.

    Source: detection metric of the person search evaluators (OIM, NAE, SeqNet).
    """
    row_of = {name: row for row, name in enumerate(features.scenes)}
    all_scores, all_right, truths = [], [], 0
    for scene in scenes:
        if scene.name not in row_of:
            raise DatasetError(
                f"the features hold nothing of {scene.name}",
                hint="they were made for other pictures; make them again for this data set",
            )
        truth = scene.boxes[_wanted(scene, rules)]
        if rules.labelled_only and not len(truth):
            continue
        rows = slice(*features.det_ptr[row_of[scene.name] :][:2])
        kept = np.asarray(features.det_score[rows]) >= np.float32(rules.det_threshold)
        boxes, scores = features.det_box[rows][kept], features.det_score[rows][kept]
        right = mutual_best(boxes, truth, rules.iou)
        counts = right | ~_in_ignored(boxes, scene.boxes[np.asarray(scene.ignore)])
        all_scores.append(scores[counts])
        all_right.append(right[counts])
        truths += len(truth)
    scores = np.concatenate([np.zeros(0, np.float32), *all_scores])
    right = np.concatenate([np.zeros(0, bool), *all_right])
    recall = float(right.sum() / truths) if truths else float("nan")
    return DetectionScores(
        recall=recall,
        ap=average_precision(scores, right, rules.ap) * recall,
        truths=truths,
        detections=len(scores),
        rules=asdict(rules),
    )


def mutual_best(detected: Array, truth: Array, least: float) -> Array:
    """(n,) bool: each detected box and some true box overlap each other best, and by ``least`` or more.

    Args:
        detected: (n, 4) float32 boxes.
        truth: (m, 4) float32 boxes.
        least: smallest overlap.

    >>> truth = np.array([[0, 0, 10, 10.0]])
    >>> mutual_best(np.array([[0, 0, 10, 8.0], [0, 0, 10, 10], [50, 0, 60, 10]]), truth, 0.5).tolist()
    [False, True, False]
    """
    right = np.zeros(len(detected), bool)
    if len(detected) and len(truth):
        overlap = iou(detected, truth)
        best_truth = overlap.argmax(axis=1)
        best_detection = overlap.argmax(axis=0)
        n = np.arange(len(detected))
        right = (best_detection[best_truth] == n) & (overlap[n, best_truth] >= least)
    return right


def _wanted(scene: Scene, rules: DetectionRules) -> Array:
    labelled = scene.people != UNLABELLED if rules.labelled_only else True
    return np.asarray(~np.asarray(scene.ignore) & labelled)


def _in_ignored(boxes: Array, ignored: Array) -> Array:
    """(n,) bool: some box of ``ignored`` swallows each of ``boxes``."""
    inside = np.zeros(len(boxes), bool)
    for box in ignored:
        inside |= paired_ignored(boxes, np.broadcast_to(box, boxes.shape))
    return inside
