"""A searcher that needs no network: people are coloured blocks, described by their colour.

Shared by tests and by the processes that they kill, through ``runpy``.
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np

from personsearch import images
from personsearch.types import Array, Detections, Picture, Similarity

BLOCK = 16


class ColourSearcher:
    """Sees a person in every 16x16 block that is not black."""

    dim = 3
    similarity: Similarity = "euclidean"
    calibration = None

    def __init__(self, fingerprint: str = "c" * 64, wait: float = 0.0) -> None:
        self.fingerprint = fingerprint
        self.wait = wait
        self.looked_at: list[str] = []

    def embed(self, picture: Picture, boxes: Array) -> Array:
        found = [picture.pixels[int(b[1]) : int(b[3]), int(b[0]) : int(b[2])].mean((0, 1)) for b in boxes]
        return np.array(found, np.float32).reshape(-1, 3)

    def detect(self, picture: Picture) -> Detections:
        time.sleep(self.wait)
        self.looked_at.append(picture.name)
        width, height = picture.size
        boxes = np.array(
            [[x, y, x + BLOCK, y + BLOCK] for y in range(0, height, BLOCK) for x in range(0, width, BLOCK)],
            np.float32,
        )
        embeddings = self.embed(picture, boxes)
        people = embeddings.sum(1) > 30
        return Detections(boxes[people], np.full(people.sum(), 0.9), embeddings[people])


def draw(path: Path, *colours: tuple[int, int, int]) -> Path:
    """A PNG or JPEG with one block for each colour, side by side."""
    pixels = np.zeros((BLOCK, BLOCK * max(len(colours), 1), 3), np.uint8)
    for number, colour in enumerate(colours):
        pixels[:, number * BLOCK : (number + 1) * BLOCK] = colour
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(images.encode_jpeg(pixels, quality=95))
    return path
