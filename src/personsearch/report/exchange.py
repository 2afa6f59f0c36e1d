"""Hits and detections for other people's tools: COCO's JSON and ``supervision.Detections``."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from personsearch.errors import InputError
from personsearch.report.records import Sight
from personsearch.types import Array, Detections, Hit

PERSON = 1
"""COCO's number of the category "person"."""


def coco(sights: Sequence[Sight], sizes: Sequence[tuple[int, int]]) -> dict[str, Any]:
    """Pictures and who is marked in them as a COCO data set: boxes ``x, y, w, h``, with scores.

    Frames of a video are images of their own, named ``FILE@SECONDS``. What else is known of a person
    (rank, similarity, probability, detection) is in ``attributes``, which readers of COCO pass over.

    Args:
        sights: in order.
        sizes: (width, height) of each.

    >>> from personsearch.report.records import Person
    >>> ana = Person(box=np.array([10, 20, 40, 100]), label="", score=0.5)
    >>> coco([Sight(file="a.jpg", people=(ana,))], [(640, 480)])["annotations"][0]["bbox"]
    [10.0, 20.0, 30.0, 80.0]
    """
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, (sight, (width, height)) in enumerate(zip(sights, sizes, strict=True), 1):
        name = sight.file if sight.position is None else f"{sight.file}@{sight.position:.3f}"
        images.append({"id": number, "file_name": name, "width": width, "height": height})
        for person in sight.people:
            x1, y1, x2, y2 = (round(float(side), 2) for side in person.box)
            wide, high = round(x2 - x1, 2), round(y2 - y1, 2)
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "category_id": PERSON,
                    "bbox": [x1, y1, wide, high],
                    "area": round(wide * high, 2),
                    "iscrowd": 0,
                    "score": person.score,
                    "attributes": dict(person.known),
                }
            )
    return {
        "info": {"description": "personsearch", "version": "1.0"},
        "images": images,
        "annotations": annotations,
        "categories": [{"id": PERSON, "name": "person", "supercategory": "person"}],
    }


def supervision_of(people: Detections | Sequence[Hit]) -> Any:
    """The people of a picture, or hits, as ``supervision.Detections`` in the same order.

    ``class_id`` is 0 for everybody. Embeddings, or what is known of hits (rank, similarity,
    detection, picture), are in ``data``. The catch: supervision thinks of one picture, and hits are
    usually in many; take those of one ``data["picture"]`` to draw them.

    Raises:
        InputError: supervision is not installed.
    """
    made = _supervision().Detections
    if isinstance(people, Detections):
        return made(
            xyxy=_corners(people.boxes),
            confidence=np.asarray(people.scores, np.float32),
            class_id=np.zeros(len(people), int),
            data={"embedding": np.asarray(people.embeddings)},
        )
    return made(
        xyxy=_corners(np.array([hit.box for hit in people], np.float32)),
        confidence=np.array([hit.score for hit in people], np.float32),
        class_id=np.zeros(len(people), int),
        data={
            "rank": np.array([hit.rank for hit in people], int),
            "similarity": np.array([hit.similarity for hit in people], float),
            "detection": np.array([hit.detection for hit in people], int),
            "picture": np.array([hit.picture for hit in people], dtype=object),
        },
    )


def _corners(boxes: Array) -> Array:
    """(n, 4), also for nobody."""
    return np.asarray(boxes, np.float32).reshape(-1, 4)


def _supervision() -> Any:
    try:
        return importlib.import_module("supervision")
    except ImportError as error:
        raise InputError("supervision is not installed", hint="pip install supervision") from error
