"""What is known of people by their numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from personsearch.gallery.ledger import Ledger, Place


@dataclass(frozen=True, kw_only=True)
class Stored:
    """One person in a gallery.

    Attributes:
        detection: the person's number.
        picture: path of the picture.
        present: whether a file is still there, so that the person is searched.
        box: x1 y1 x2 y2, upright picture pixels.
        score: the detector's.
        camera, time, frame: where and when, if known.
    """

    detection: int
    picture: str
    present: bool
    box: tuple[float, float, float, float]
    score: float
    camera: str | None
    time: float | None
    frame: int | None

    COLUMNS = ("detection", "picture", "box_xyxy", "score", "camera", "time", "frame")


def stored(batches: Iterable[pa.RecordBatch], ledger: Ledger, file: Callable[[Place], Path]) -> list[Stored]:
    """The people in rows of the table, in order of their numbers; of pictures that the ledger knows."""
    people = []
    for batch in batches:
        for row in batch.to_pylist():
            entries = ledger.entries_of(row["picture"])
            if not entries:
                continue
            x1, y1, x2, y2 = row["box_xyxy"]
            person = Stored(
                detection=row["detection"],
                picture=str(file(entries[0].place)),
                present=entries[0].state == "done",
                box=(x1, y1, x2, y2),
                score=row["score"],
                camera=row["camera"],
                time=row["time"],
                frame=row["frame"],
            )
            people.append(person)
    return sorted(people, key=lambda person: person.detection)
