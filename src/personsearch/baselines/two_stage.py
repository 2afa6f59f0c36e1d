"""A detector and an embedder are a searcher: the paper's baselines (5.1), and anybody's two models.

What is measured here and nowhere else: how long each of the two stages takes. One pass of the joint
network replaces both, and that is where its speed comes from (paper 5.3).
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from personsearch.errors import PersonSearchError
from personsearch.ranking.calibration import Calibration
from personsearch.types import Array, Detections, Embedder, Picture, Similarity


@runtime_checkable
class Detector(Protocol):
    """Finds people and need not describe them: embeddings may be of length 0."""

    @property
    def fingerprint(self) -> str:
        """Hex digest naming the detector."""
        ...

    def detect(self, picture: Picture) -> Detections:
        """Everybody in the picture, best score first; every box has an area inside it."""
        ...


@dataclass
class Cost:
    """Seconds that the two stages of a searcher took, added up over what it was asked.

    >>> cost = Cost(pictures=4, detect=1.0, describe=0.5)
    >>> cost.detect_ms, cost.describe_ms
    (250.0, 125.0)
    """

    pictures: int = 0
    detect: float = 0.0
    describe: float = 0.0

    @property
    def detect_ms(self) -> float:
        """Milliseconds a picture for finding people; NaN before the first picture."""
        return 1000 * self.detect / self.pictures if self.pictures else float("nan")

    @property
    def describe_ms(self) -> float:
        """Milliseconds a picture for describing those who were found; NaN before the first picture."""
        return 1000 * self.describe / self.pictures if self.pictures else float("nan")


class TwoStage:
    """Finds people with one model and describes them with another.

    Row i of boxes and scores is the detector's row i, and row i of the embeddings is of that box.
    The fingerprint follows from both models: another detector makes another searcher, whose
    features never meet this one's.

    Args:
        detector: only its boxes and scores are used; a joint network will do.
        embedder: its dimension and similarity are the searcher's; so is its calibration, if it
            has one.
        name: how people call it; by default both names with ``+`` between.
    """

    def __init__(self, detector: Detector, embedder: Embedder, *, name: str = "") -> None:
        self.detector = detector
        self.embedder = embedder
        self.name = name or f"{_name(detector)}+{_name(embedder)}"
        both = f"two stages\n{detector.fingerprint}\n{embedder.fingerprint}\n"
        self.fingerprint = hashlib.sha256(both.encode()).hexdigest()
        self.cost = Cost()

    @property
    def dim(self) -> int:
        """Length of an embedding."""
        return self.embedder.dim

    @property
    def similarity(self) -> Similarity:
        """How two embeddings are to be compared."""
        return self.embedder.similarity

    @property
    def calibration(self) -> Calibration | None:
        """From similarity to probability, where the embedder has one."""
        return getattr(self.embedder, "calibration", None)

    def detect(self, picture: Picture) -> Detections:
        """Everybody in the picture, in the detector's order; boxes in picture pixels.

        Raises:
            PersonSearchError: the embedder does not describe everybody, or by another length.
        """
        start = time.perf_counter()
        seen = self.detector.detect(picture)
        found = time.perf_counter()
        embeddings = self.embed(picture, seen.boxes)
        self.cost.pictures += 1
        self.cost.detect += found - start
        self.cost.describe += time.perf_counter() - found
        return Detections(seen.boxes, seen.scores, embeddings)

    def embed(self, picture: Picture, boxes: Array) -> Array:
        """(n, dim) float32 raw embeddings of the people in ``boxes`` (n, 4), picture pixels."""
        if not len(boxes):
            return np.zeros((0, self.dim), np.float32)
        embeddings = np.asarray(self.embedder.embed(picture, boxes), np.float32)
        if embeddings.shape != (len(boxes), self.dim):
            raise PersonSearchError(
                f"{_name(self.embedder)} describes {len(boxes)} people by {embeddings.shape}, "
                f"not by ({len(boxes)}, {self.dim})",
                hint="the embedder is not what it says it is",
            )
        return embeddings


def _name(part: object) -> str:
    return str(getattr(part, "name", "") or type(part).__name__)
