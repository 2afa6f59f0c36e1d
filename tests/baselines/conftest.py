"""Detectors and embedders that can be worked out by hand, and pictures for them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import numpy as np
import pytest

from personsearch.types import Array, Detections, Picture

WALL = 250


class Blocks:
    """Finds the same boxes in every picture."""

    def __init__(self, boxes: Array, scores: Array, name: str = "blocks") -> None:
        self.boxes, self.scores = np.asarray(boxes, np.float32).reshape(-1, 4), np.asarray(scores, np.float32)
        self.name = name
        self.fingerprint = hashlib.sha256(self.boxes.tobytes() + name.encode()).hexdigest()
        self.asked = 0

    def detect(self, picture: Picture) -> Detections:
        self.asked += 1
        return Detections(self.boxes, self.scores, np.zeros((len(self.boxes), 0), np.float32))


class MeanColour:
    """Describes people by their mean colour."""

    dim = 3
    similarity = "euclidean"

    def __init__(self, name: str = "mean") -> None:
        self.name = name
        self.fingerprint = hashlib.sha256(name.encode()).hexdigest()
        self.asked = 0

    def embed(self, picture: Picture, boxes: Array) -> Array:
        self.asked += len(boxes)
        rows = [
            picture.pixels[max(0, y1) : y2, max(0, x1) : x2].mean(axis=(0, 1)) / 255
            for x1, y1, x2, y2 in np.asarray(boxes, int)
        ]
        return np.array(rows, np.float32).reshape(-1, 3)


@pytest.fixture(scope="session")
def blocks() -> type[Blocks]:
    return Blocks


@pytest.fixture(scope="session")
def mean_colour() -> type[MeanColour]:
    return MeanColour


@pytest.fixture(scope="session")
def wall() -> Callable[..., Picture]:
    """A bright 200x100 wall with a rectangle (x1, y1, x2, y2) of a colour for everybody."""

    def make(*people: tuple[tuple[int, ...], tuple[int, ...]], name: str = "wall") -> Picture:
        pixels = np.full((100, 200, 3), WALL, np.uint8)
        for (x1, y1, x2, y2), colour in people:
            pixels[y1:y2, x1:x2] = colour
        return Picture(pixels, name)

    return make
