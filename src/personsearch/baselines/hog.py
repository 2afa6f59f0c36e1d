"""OpenCV's people detector: histograms of oriented gradients and a linear classifier, trained elsewhere.

A reference that learns nothing from anybody's data set. Its weights (INRIA's pedestrians, upright and
about 96 pixels high) are part of the library up to version 4; OpenCV 5 has dropped them.

Source: Dalal and Triggs, Histograms of Oriented Gradients for Human Detection (CVPR 2005).
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from typing import Any

import cv2
import numpy as np

from personsearch.baselines.keeping import KeepRules, keep_best
from personsearch.errors import UsageError
from personsearch.types import Array, Detections, Picture

WINDOW = (64, 128)
MARGIN = 16
ASPECT = 0.41
"""Width of an upright person by height, in the field's convention (Dollar et al., PAMI 2012)."""


@dataclass(frozen=True, kw_only=True)
class HogSettings:
    """How the picture is searched.

    Attributes:
        threshold: margin of the classifier from which a window is a candidate; the classifier itself
            says "person" from 0 on, which is a score of 0.5.
        stride: pixels between two windows, a multiple of 8.
        scale: between two sizes of the picture.
        keep: what is kept of the candidates.
    """

    threshold: float = -0.5
    stride: int = 8
    scale: float = 1.05
    keep: KeepRules = field(default_factory=lambda: KeepRules(nms=0.45))


class HogDetector:
    """Finds upright people of 100 pixels and more; smaller ones it cannot see.

    Raises:
        UsageError: the installed OpenCV has no such detector.
    """

    name = "hog"

    def __init__(self, settings: HogSettings = HogSettings()) -> None:
        library: Any = cv2
        if not hasattr(library, "HOGDescriptor"):
            raise UsageError(
                f"OpenCV {cv2.__version__} has no people detector any more",
                hint='pip install "opencv-python-headless<5", or choose another detector',
            )
        self.settings = settings
        self._hog = library.HOGDescriptor()
        weights = np.asarray(library.HOGDescriptor_getDefaultPeopleDetector(), np.float32)
        self._hog.setSVMDetector(weights)
        said = json.dumps(asdict(settings), sort_keys=True)
        self.fingerprint = hashlib.sha256(f"hog\n{said}\n".encode() + weights.tobytes()).hexdigest()

    def detect(self, picture: Picture) -> Detections:
        """Everybody in the picture, best score first; embeddings of length 0."""
        width, height = picture.size
        if width < WINDOW[0] or height < WINDOW[1]:  # not one window fits
            return Detections.none(0)
        # Without grouping, which would merge windows and lose their margins.
        windows, margins = self._hog.detectMultiScale(
            np.ascontiguousarray(picture.pixels[..., ::-1]),
            hitThreshold=self.settings.threshold,
            winStride=(self.settings.stride, self.settings.stride),
            scale=self.settings.scale,
            groupThreshold=0,
        )
        boxes = person_boxes(np.asarray(windows, np.float64).reshape(-1, 4))
        scores = score_of(np.asarray(margins, np.float64).reshape(-1))
        return keep_best(boxes, scores, picture.size, self.settings.keep)


def person_boxes(windows_xywh: Array) -> Array:
    """(n, 4) x1 y1 x2 y2 of the people in windows given as left, top, width, height.

    The classifier was trained on windows that leave 16 of 128 pixels above and below the
    person; the person's width follows from the height.

    >>> person_boxes(np.array([[100, 50, 64, 128.0]])).round(2).tolist()  # 96 high, 39.36 wide
    [[112.32, 66.0, 151.68, 162.0]]
    """
    left, top, width, height = windows_xywh.T
    tall = height * (1 - 2 * MARGIN / WINDOW[1])
    centre, half = left + width / 2, ASPECT * tall / 2
    upper = top + height * MARGIN / WINDOW[1]
    boxes: Array = np.stack([centre - half, upper, centre + half, upper + tall], axis=1)
    return boxes


def score_of(margins: Array) -> Array:
    """Margins of the classifier as scores in (0, 1): a logistic curve that is 0.5 at its own decision.

    It orders people as the margins do; as a probability it was never fitted.

    >>> score_of(np.array([-1.0, 0.0, 1.0])).round(2).tolist()
    [0.12, 0.5, 0.88]
    """
    scores: Array = 1 / (1 + np.exp(-2 * np.asarray(margins, np.float64)))
    return scores
