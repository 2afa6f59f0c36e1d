"""COCO's average precision of person detection, computed by a library."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from personsearch.boxes import area, to_xywh
from personsearch.evaluation.detection import detections_in
from personsearch.evaluation.search_tables import SearchFeatures
from personsearch.types import Scene

_PERSON = 1


@dataclass(frozen=True, kw_only=True)
class CocoScores:
    """COCO's numbers for the one class "person"; NaN where there is nobody (of that size) to find.

    Attributes:
        ap: average precision over the overlaps 0.50, 0.55, ..., 0.95.
        ap50, ap75: at one overlap.
        small, medium, large: ``ap`` of people under 32 x 32, under 96 x 96 and over, in square pixels.
        recall: average recall with 100 detections a picture.
    """

    ap: float
    ap50: float
    ap75: float
    small: float
    medium: float
    large: float
    recall: float


def score_coco(
    scenes: Sequence[Scene], features: SearchFeatures, *, det_threshold: float = float("-inf")
) -> CocoScores:
    """COCO's average precision over all ``scenes`` together: greedy matching, 101 recall levels.

    All detections are to enter, also those with low scores: a threshold can only lower
    the value. Only the order of the scores matters, so they may be logits. Boxes that
    ``Scene.ignore`` marks are COCO's crowds: whoever is detected in them counts neither way.
    Only the best 100 detections of a picture count.

    Raises:
        DatasetError: ``features`` lack one of the ``scenes``.

    Source: the evaluation of the COCO detection task, by ``faster-coco-eval``.
    """
    from faster_coco_eval import COCO, COCOeval_faster

    truth = COCO(_annotation(scenes), print_function=_silent)
    detections = _results(scenes, features, det_threshold)
    evaluation = COCOeval_faster(truth, truth.loadRes(detections), iouType="bbox", print_function=_silent)
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    found = np.asarray(evaluation.stats, np.float64)
    found = np.where(found < 0, np.nan, found)
    names = ("ap", "ap50", "ap75", "small", "medium", "large")
    return CocoScores(**dict(zip(names, found[:6].tolist(), strict=True)), recall=float(found[8]))


def _silent(*_: object) -> None:
    """Where the library's messages go."""


def _annotation(scenes: Sequence[Scene]) -> dict[str, Any]:
    """The ``scenes`` as COCO writes them: picture k has id k + 1."""
    people: list[dict[str, Any]] = []
    for number, scene in enumerate(scenes):
        for box, size, ignored in zip(
            to_xywh(scene.boxes).tolist(),
            area(scene.boxes).tolist(),
            np.asarray(scene.ignore).tolist(),
            strict=True,
        ):
            one = {"image_id": number + 1, "category_id": _PERSON, "bbox": box, "area": size}
            people.append({**one, "id": len(people) + 1, "iscrowd": int(ignored)})
    return {
        "images": [{"id": number + 1, "file_name": scene.name} for number, scene in enumerate(scenes)],
        "categories": [{"id": _PERSON, "name": "person"}],
        "annotations": people,
    }


def _results(scenes: Sequence[Scene], features: SearchFeatures, threshold: float) -> list[dict[str, Any]]:
    """Every detection as COCO's result files write it."""
    picture, boxes, scores = detections_in(scenes, features, threshold)
    return [
        {"image_id": number + 1, "category_id": _PERSON, "bbox": box, "score": score}
        for number, box, score in zip(picture.tolist(), to_xywh(boxes).tolist(), scores.tolist(), strict=True)
    ]
