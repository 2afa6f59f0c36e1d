"""Which hits were right, and which appearances of the person nobody found."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from personsearch.boxes import iou
from personsearch.types import Array, Hit


@dataclass(frozen=True, eq=False, kw_only=True)
class Found:
    """Hits compared with the truth.

    Attributes:
        truth: (n, 4) boxes of the person by picture.
        right: per hit, whether its box is the person.
        missed: by picture, (m, 4) boxes of the person that no hit found; no empty ones.
        appearances: how often the person is in the gallery.
        first: rank of the first right hit, 0 for none.
    """

    truth: Mapping[str, Array]
    right: tuple[bool, ...]
    appearances: int
    first: int
    missed: Mapping[str, Array] = field(default_factory=dict)

    @property
    def seen(self) -> int:
        """How many of the appearances were found."""
        return self.appearances - sum(len(boxes) for boxes in self.missed.values())


def compare(hits: Sequence[Hit], truth: Mapping[str, Array], threshold: Callable[[Array], Array]) -> Found:
    """Hold every hit against where the person really is.

    A hit is right if it overlaps a true box of its picture by at least that box's
    threshold; the box that it overlaps most is found then. Two hits on one appearance are
    both right, and find it once.

    Args:
        threshold: smallest intersection over union for each of (n, 4) true boxes.

    >>> hit = Hit(rank=1, similarity=0.9, picture="a", box=np.array([0, 0, 10, 20.0]), score=1.0, detection=0)
    >>> boxes = {"a": np.array([[1, 0, 10, 20.0], [50, 0, 60, 20]]), "b": np.array([[0, 0, 9, 9.0]])}
    >>> found = compare([hit], boxes, lambda boxes: np.full(len(boxes), 0.5))
    >>> found.right, found.seen, found.appearances, {name: len(rest) for name, rest in found.missed.items()}
    ((True,), 1, 3, {'a': 1, 'b': 1})
    """
    boxes = {name: np.asarray(known, np.float32).reshape(-1, 4) for name, known in truth.items()}
    covered = {name: np.zeros(len(known), bool) for name, known in boxes.items()}
    right = []
    for hit in hits:
        known = boxes.get(hit.picture, np.zeros((0, 4), np.float32))
        overlap = iou(np.asarray(hit.box, np.float32)[None], known)[0]
        enough = overlap >= threshold(known)
        right.append(bool(enough.any()))
        if right[-1]:
            covered[hit.picture][np.argmax(np.where(enough, overlap, -1.0))] = True
    missed = {name: known[~covered[name]] for name, known in boxes.items() if not covered[name].all()}
    return Found(
        truth=boxes,
        right=tuple(right),
        missed=missed,
        appearances=sum(len(known) for known in boxes.values()),
        first=next((hit.rank for hit, good in zip(hits, right, strict=True) if good), 0),
    )
