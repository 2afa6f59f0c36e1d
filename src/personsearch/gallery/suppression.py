"""Who was forgotten and must stay out: by picture and box, and by likeness only where that was asked for.

``suppressed.json`` holds the SHA-256 of each picture and the box in it, but nothing of what the
person looks like. So the same pictures can be indexed again, by any model, and the person is left
out. Another picture of the same person is recognised only with an example, which is a kept
description of the very person who is to be forgotten: it is kept on request, and never otherwise.
Of a video that was pruned it holds up to which moment everybody is left out.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from personsearch.boxes import iou
from personsearch.errors import InputError
from personsearch.files import write_json
from personsearch.gallery.description import read_object
from personsearch.ranking.similarity import similarities
from personsearch.types import Array, Detections, Similarity

FILE = "suppressed.json"
FORMAT = 2
"""Since format 2 there are cuts; a file of format 1 has none."""

OVERLAP = 0.5
"""From this IoU on, a box in a picture is that of the person who was forgotten there."""

REACH = 2.0
"""Seconds from a frame in which a person was forgotten to others that may show the person, too."""


@dataclass(frozen=True, kw_only=True)
class Box:
    """Somebody who is left out of one picture.

    Attributes:
        sha256: of the picture's (or video's) content.
        box: x1 y1 x2 y2 in pixels of the upright picture.
        receipt: of the request.
        frame: of a video, its time stamp.
        position: of that frame, seconds since the first one.
    """

    sha256: str
    box: tuple[float, float, float, float]
    receipt: str
    frame: int | None = None
    position: float | None = None


@dataclass(frozen=True, kw_only=True)
class Example:
    """What somebody looks like who is left out of every picture.

    Attributes:
        vector: the embedding.
        fingerprint: of the model that made it; others cannot use it.
        min_similarity: from here on a person is taken for this one.
        receipt: of the request.
    """

    vector: tuple[float, ...]
    fingerprint: str
    min_similarity: float
    receipt: str


@dataclass(frozen=True, kw_only=True)
class Cut:
    """The part of a video that everybody is left out of, for it was too old.

    Attributes:
        sha256: of the video's content.
        until: seconds since its first frame, from where on people stay; None: nobody does.
        receipt: of the request.

    >>> cut = Cut(sha256="ab", until=2.5, receipt="r")
    >>> cut.holds("ab", 2.4), cut.holds("ab", 2.5), cut.holds("cd", 2.4)
    (True, False, False)
    """

    sha256: str
    until: float | None
    receipt: str

    def holds(self, sha256: str, position: float | None) -> bool:
        """Whether the moment at ``position`` of the content is in it; None: a moment that is not known."""
        if sha256 != self.sha256:
            return False
        return self.until is None or (position is not None and position < self.until)


@dataclass(frozen=True, kw_only=True)
class Suppression:
    """Everybody who is kept out of a gallery.

    >>> out = Suppression(boxes=(Box(sha256="ab", box=(0, 0, 10, 20), receipt="r"),))
    >>> seen = Detections([[0, 0, 10, 19], [30, 0, 40, 20]], [0.9, 0.8], [[1.0], [2.0]])
    >>> out.keeps_out("ab", seen, None, "model", "cosine").tolist()
    [True, False]
    >>> out.keeps_out("cd", seen, None, "model", "cosine").tolist()
    [False, False]
    """

    boxes: tuple[Box, ...] = ()
    examples: tuple[Example, ...] = ()
    cuts: tuple[Cut, ...] = ()

    def keeps_out(
        self,
        sha256: str,
        seen: Detections,
        frame: int | None,
        fingerprint: str,
        kind: Similarity,
        position: float | None = None,
    ) -> Array:
        """(n,) bool: who among ``seen`` in the picture with this content is kept out.

        In a frame of a video at ``position`` it is also whoever is where a person must be who was
        forgotten shortly before and after: other frames may be looked at now than then. And it is
        everybody in the part of a video that was pruned.
        """
        if any(cut.holds(sha256, position) for cut in self.cuts):
            return np.ones(len(seen), bool)
        out: Array = np.zeros(len(seen), bool)
        here = [item for item in self.boxes if item.sha256 == sha256]
        mine: list[tuple[float, ...]] = [item.box for item in here if item.frame in (None, frame)]
        if position is not None:
            mine += _between([item for item in here if item.position is not None], position)
        if mine and len(seen):
            out |= overlapping(seen.boxes, np.array(mine, np.float32))
        alike = [item for item in self.examples if item.fingerprint == fingerprint]
        if alike and len(seen):
            vectors = np.array([item.vector for item in alike], np.float32)
            bars = np.array([item.min_similarity for item in alike], np.float32)
            near = similarities(vectors, seen.embeddings, kind) >= bars[:, None]
            out |= np.any(near, axis=0)
        return out

    def including(
        self, boxes: Iterable[Box], examples: Iterable[Example] = (), cuts: Iterable[Cut] = ()
    ) -> Suppression:
        """These as well; one that is there already is not there twice."""
        return replace(
            self,
            boxes=tuple(dict.fromkeys((*self.boxes, *boxes))),
            examples=tuple(dict.fromkeys((*self.examples, *examples))),
            cuts=tuple(dict.fromkeys((*self.cuts, *cuts))),
        )

    def carried(self, old: str, new: str, scale: tuple[float, float]) -> Suppression:
        """These, and whoever is left out of the content ``old`` also out of ``new``, its copy saved anew.

        Args:
            old, new: SHA-256 of both.
            scale: width and height of the new one, in those of the old one.

        >>> out = Suppression(boxes=(Box(sha256="ab", box=(0, 0, 10, 20), receipt="r"),))
        >>> out.carried("ab", "cd", (0.5, 0.5)).boxes[1].box
        (0.0, 0.0, 5.0, 10.0)
        """
        (x, y), boxes = scale, [item for item in self.boxes if item.sha256 == old]
        sides = [(item, item.box) for item in boxes]
        copies = [
            replace(item, sha256=new, box=(x1 * x, y1 * y, x2 * x, y2 * y))
            for item, (x1, y1, x2, y2) in sides
        ]
        cuts = [replace(cut, sha256=new) for cut in self.cuts if cut.sha256 == old]
        return self.including(copies, cuts=cuts)

    def under(self, receipt: str) -> Suppression:
        """The same, as the outcome of one request."""
        return Suppression(
            boxes=tuple(replace(item, receipt=receipt) for item in self.boxes),
            examples=tuple(replace(item, receipt=receipt) for item in self.examples),
            cuts=tuple(replace(item, receipt=receipt) for item in self.cuts),
        )

    def write(self, gallery: Path) -> None:
        """Write ``suppressed.json``, all or nothing."""
        value = {"schema": f"personsearch.suppressed/{FORMAT}", "format": FORMAT, **to_json(self)}
        write_json(gallery / FILE, value)


def _between(boxes: list[Box], position: float) -> list[tuple[float, ...]]:
    """Boxes at a moment of a video from those just before and after it, and evenly moved between them."""
    found: list[tuple[float, ...]] = []
    for receipt in sorted({item.receipt for item in boxes}):
        near = [(item.position or 0.0, item.box) for item in boxes if item.receipt == receipt]
        near = [(when, box) for when, box in near if abs(when - position) <= REACH]
        before = max((when for when, _ in near if when <= position), default=None)
        after = min((when for when, _ in near if when >= position), default=None)
        ends = [[box for when, box in near if when == end] for end in (before, after)]
        found += ends[0] + ends[1]
        if before is not None and after is not None and before < after:
            share = (position - before) / (after - before)
            found += [
                tuple(x + share * (y - x) for x, y in zip(a, b, strict=True))
                for a in ends[0]
                for b in ends[1]
            ]
    return found


def overlapping(boxes: Array, others: Array) -> Array:
    """(n,) bool: which of ``boxes`` (n, 4) are one person with one of ``others`` (m, 4)."""
    return np.asarray((iou(boxes, others) >= OVERLAP).any(axis=1))


def read_suppression(gallery: Path) -> Suppression:
    """Who is kept out of ``gallery``.

    Raises:
        InputError: the file is damaged. (Taking it for empty would let people back in.)
    """
    path = gallery / FILE
    if not path.exists():
        return Suppression()
    value = read_object(path)
    if value.get("format") not in (1, FORMAT):
        raise InputError(
            f"{path} has format version {value.get('format')!r}, this personsearch reads 1 to {FORMAT}",
            hint="update personsearch: pip install --upgrade personsearch",
        )
    return from_json(value, path)


def to_json(kept: Suppression) -> dict[str, Any]:
    """Boxes, examples and cuts as JSON; vectors as base64 of float32, little-endian."""
    return {
        "boxes": [
            {
                "sha256": b.sha256,
                "box_xyxy": list(b.box),
                "frame": b.frame,
                "position_s": b.position,
                "receipt": b.receipt,
            }
            for b in kept.boxes
        ],
        "examples": [
            {
                "vector": base64.b64encode(np.array(e.vector, "<f4").tobytes()).decode(),
                "fingerprint": e.fingerprint,
                "min_similarity": e.min_similarity,
                "receipt": e.receipt,
            }
            for e in kept.examples
        ],
        "cuts": [{"sha256": c.sha256, "until_s": c.until, "receipt": c.receipt} for c in kept.cuts],
    }


def from_json(value: dict[str, Any], path: Path) -> Suppression:
    """What :func:`to_json` made, now or before there were cuts; ``path`` is named if it is anything else."""
    try:
        boxes = []
        for item in value["boxes"]:
            x1, y1, x2, y2 = (float(side) for side in item["box_xyxy"])
            frame = None if item["frame"] is None else int(item["frame"])
            when = item.get("position_s")
            box = Box(
                sha256=item["sha256"],
                box=(x1, y1, x2, y2),
                receipt=item["receipt"],
                frame=frame,
                position=None if when is None else float(when),
            )
            boxes.append(box)
        examples = []
        for item in value["examples"]:
            vector = np.frombuffer(base64.b64decode(item["vector"], validate=True), "<f4")
            examples.append(
                Example(
                    vector=tuple(vector.tolist()),
                    fingerprint=item["fingerprint"],
                    min_similarity=float(item["min_similarity"]),
                    receipt=item["receipt"],
                )
            )
        cuts = []
        for item in value["cuts"] if value.get("format") == FORMAT else value.get("cuts", ()):
            until = None if item["until_s"] is None else float(item["until_s"])
            cuts.append(Cut(sha256=item["sha256"], until=until, receipt=item["receipt"]))
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{path} is damaged: {type(error).__name__} at {error}",
            hint="restore it from a copy; without it, people who were forgotten would come back",
        ) from error
    return Suppression(boxes=tuple(boxes), examples=tuple(examples), cuts=tuple(cuts))
