"""How well are people found, whoever they are? The field's detection recall and AP."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from personsearch.errors import DatasetError
from personsearch.evaluation.curves import PrecisionRecall, precision_recall
from personsearch.evaluation.iou_rule import paired_ignored, paired_iou
from personsearch.evaluation.metrics import ApReading, average_precision
from personsearch.evaluation.search_tables import SearchFeatures, ranges
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
        min_height: people less high than this, in pixels, count neither way: they are not
            to be found, and whoever is detected on them, or is less high himself and not
            right, leaves the ranking. The paper (3.1) says 50; the field's evaluators 0.
        ap: how average precision is read.
    """

    det_threshold: float = 0.5
    iou: float = 0.5
    labelled_only: bool = False
    min_height: float = 0.0
    ap: ApReading = "step"


@dataclass(frozen=True, eq=False, kw_only=True)
class JudgedDetections:
    """Every detection that counts, over all pictures, and whether it is right.

    Attributes:
        scores: (n,) float32.
        right: (n,) bool.
        truths: how many people are to be found.
    """

    scores: Array
    right: Array
    truths: int

    @property
    def curve(self) -> PrecisionRecall:
        """Precision and recall at every threshold over the one that was asked for."""
        return precision_recall(self.scores, self.right, self.truths)


def score_detection(
    scenes: Sequence[Scene], features: SearchFeatures, rules: DetectionRules = DetectionRules()
) -> DetectionScores:
    """Share of people found (recall) and average precision times recall, over all ``scenes`` together.

    What is right is said at :func:`judge_detections`. Only detections above the threshold
    enter, so this average precision is neither COCO's nor VOC's
    (:func:`personsearch.evaluation.coco.score_coco`). With nobody to find both numbers are NaN.

    Raises:
        DatasetError: ``features`` lack one of the ``scenes``.

    Source: detection metric of the person search evaluators (OIM, NAE, SeqNet).
    """
    judged = judge_detections(scenes, features, rules)
    recall = float(judged.right.sum() / judged.truths) if judged.truths else float("nan")
    return DetectionScores(
        recall=recall,
        ap=average_precision(judged.scores, judged.right, rules.ap) * recall,
        truths=judged.truths,
        detections=len(judged.scores),
        rules=asdict(rules),
    )


def judge_detections(
    scenes: Sequence[Scene], features: SearchFeatures, rules: DetectionRules = DetectionRules()
) -> JudgedDetections:
    """Which detections are right: its box and a person's overlap each other best, by ``rules.iou`` or more.

    Best by overlap, the earlier of equals: not the greedy matching of COCO or VOC.
    Detections in a box that ``Scene.ignore`` marks, or on somebody who is too small to
    count, leave the ranking unless right.

    Raises:
        DatasetError: ``features`` lack one of the ``scenes``.
    """
    picture, box, score = detections_in(scenes, features, rules.det_threshold)
    owner = np.repeat(np.arange(len(scenes)), [len(scene) for scene in scenes])
    people = np.concatenate([np.zeros((0, 4), np.float32), *(scene.boxes for scene in scenes)])
    ignored = np.concatenate([np.zeros(0, bool), *(scene.ignore for scene in scenes)])
    low = ~ignored & (people[:, 3] - people[:, 1] < rules.min_height)
    wanted = ~ignored & ~low
    if rules.labelled_only:
        wanted &= np.concatenate([np.zeros(0, np.int64), *(scene.people for scene in scenes)]) != UNLABELLED
        tested = np.zeros(len(scenes), bool)
        tested[owner[wanted]] = True
        kept = tested[picture]
        picture, box, score = picture[kept], box[kept], score[kept]
    right = _mutual_best(box, picture, people[wanted], owner[wanted], rules.iou)
    beside = np.zeros(len(box), bool)
    detected, person = _pairs(picture, owner[ignored])
    beside[detected[paired_ignored(box[detected], people[ignored][person])]] = True
    detected, person = _pairs(picture, owner[low])
    beside[detected[paired_iou(box[detected], people[low][person]) >= rules.iou]] = True
    beside |= box[:, 3] - box[:, 1] < rules.min_height
    counts = right | ~beside
    return JudgedDetections(scores=score[counts], right=right[counts], truths=int(wanted.sum()))


def mutual_best(detected: Array, truth: Array, least: float) -> Array:
    """(n,) bool: each detected box and some true box overlap each other best, and by ``least`` or more.

    Args:
        detected: (n, 4) float32 boxes of one picture.
        truth: (m, 4) float32 boxes of the same picture.
        least: smallest overlap.

    >>> truth = np.array([[0, 0, 10, 10.0]])
    >>> mutual_best(np.array([[0, 0, 10, 8.0], [0, 0, 10, 10], [50, 0, 60, 10]]), truth, 0.5).tolist()
    [False, True, False]
    """
    one, other = np.zeros(len(detected), np.int64), np.zeros(len(truth), np.int64)
    return _mutual_best(np.asarray(detected), one, np.asarray(truth), other, least)


def detections_in(
    scenes: Sequence[Scene], features: SearchFeatures, threshold: float
) -> tuple[Array, Array, Array]:
    """(number in ``scenes``, box, score) of every detection over the threshold, in the order of ``scenes``.

    Raises:
        DatasetError: ``features`` lack one of the ``scenes``.
    """
    row_of = {name: row for row, name in enumerate(features.scenes)}
    missing = next((scene.name for scene in scenes if scene.name not in row_of), None)
    if missing is not None:
        raise DatasetError(
            f"the features hold nothing of {missing}",
            hint="they were made for other pictures; make them again for this data set",
        )
    row = np.array([row_of[scene.name] for scene in scenes], np.int64)
    start, stop = np.asarray(features.det_ptr)[row], np.asarray(features.det_ptr)[row + 1]
    rows, picture = ranges(start, stop), np.repeat(np.arange(len(scenes)), stop - start)
    score = np.asarray(features.det_score)[rows]
    kept = score >= np.float32(threshold)
    return picture[kept], np.asarray(features.det_box)[rows[kept]], score[kept]


def _pairs(picture: Array, owner: Array) -> tuple[Array, Array]:
    """Every (detection, person) in one picture, by detection; ``picture``, ``owner``: theirs, ascending."""
    start, stop = np.searchsorted(owner, picture), np.searchsorted(owner, picture, "right")
    return np.repeat(np.arange(len(picture)), stop - start), ranges(start, stop)


def _mutual_best(detected: Array, picture: Array, truth: Array, owner: Array, least: float) -> Array:
    """:func:`mutual_best` in many pictures at once; ``picture`` and ``owner`` say in which, ascending."""
    detection, person = _pairs(picture, owner)
    overlap = paired_iou(detected[detection], truth[person])
    best = _first_best(detection, overlap) & _first_best(person, overlap) & (overlap >= least)
    right = np.zeros(len(detected), bool)
    right[detection[best]] = True
    return right


def _first_best(of: Array, value: Array) -> Array:
    """(n,) bool: ``value`` is the largest among those with the same ``of``, and the first such."""
    order = np.lexsort((-value, of))  # stable: the earlier of equals stays first
    best = np.zeros(len(of), bool)
    best[order[np.append(True, of[order][1:] != of[order][:-1])[: len(of)]]] = True
    return best
