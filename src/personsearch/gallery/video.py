"""One video on its way into a gallery: frame by frame, so that hours of it fit and survive a kill.

The people of each frame go to the table as any picture's do, and the ledger's entry says how far
the video was looked at (``partial``, ``reached``); only the last frame makes it ``done``, and
only then is it searched. A process that dies leaves at most some people after that point, which
the next one deletes before it goes on.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import groupby

import numpy as np
import pyarrow as pa

from personsearch.gallery import people as rows
from personsearch.gallery.gallery import Gallery
from personsearch.gallery.ledger import FileState
from personsearch.gallery.people import Circumstances
from personsearch.types import Array, Detections

_COLUMNS = ("detection", "box_xyxy", "score", "vector", "position", "tracklet")


@dataclass(frozen=True, eq=False, kw_only=True)
class Moment:
    """Which frame of a video: time stamp ``pts`` in units of ``time_base``, seconds since the first
    frame, and (if known) since 1970.
    """

    pts: int
    time_base: Fraction
    position: float
    time: float | None = None


@dataclass(frozen=True, eq=False, kw_only=True)
class StoredFrame:
    """People that an earlier run stored of one frame, and their tracklets."""

    position: float
    seen: Detections
    tracklets: Array


class VideoRows:
    """The people of one video file, going into ``gallery``.

    Args:
        gallery: open for writing.
        file: the video; what its place held before is replaced, unless it is the same content
            looked at in the same way, which then goes on where it was.
        sampling: which frames are looked at, in words.
        camera: by which it was taken, if known.

    Attributes:
        reached: position of the last frame that was looked at; None before the first that the model
            could look at.
        error: what the model failed on so far, in one line; None for nothing.
        people: how many there are so far.
    """

    def __init__(self, gallery: Gallery, file: FileState, *, sampling: str, camera: str | None) -> None:
        self._gallery, self._file, self._sampling, self._camera = gallery, file, sampling, camera
        self.reached: float | None = None
        self.people = 0
        self.error: str | None = None
        old = gallery.entry(file.place)
        if (
            old is not None
            and (old.state, old.sha256, old.sampling) == ("partial", file.sha256, sampling)
            and old.picture is not None
            and self._cut(old.picture, old.reached or 0.0, old.people)
        ):
            self._picture, self.people, self.reached = old.picture, old.people, old.reached
            self.error = old.error
        else:
            self._picture = gallery._ledger.newest_picture + 1

    def _cut(self, picture: int, reached: float, people: int) -> bool:
        """Delete what a killed run stored after ``reached``; whether the rest is all there."""
        self._gallery.flush()
        table, beyond, kept = self._gallery._people_table, [], 0
        for batch in table.batches(["detection", "position"], f"picture = {int(picture)}"):
            late = batch.column("position").to_numpy() > reached
            beyond += batch.column("detection").to_numpy()[late].tolist()
            kept += int((~late).sum())
        if beyond:
            self._gallery._note_numbers()
            table.delete("detection", beyond)
        return kept == people

    def stored(self, since: float) -> Iterator[StoredFrame]:
        """The frames with people in them that an earlier run stored, from position ``since`` on."""
        if self.reached is None:
            return
        table = self._gallery._people_table
        wanted = f"picture = {int(self._picture)} AND position >= {float(since):.9f}"
        found = pa.Table.from_batches(
            list(table.batches(_COLUMNS, wanted)),
            pa.schema([table.schema.field(name) for name in _COLUMNS]),
        ).sort_by("detection")
        position = found["position"].to_pylist()
        for where, several in groupby(range(len(position)), key=position.__getitem__):
            part = found.take(list(several))
            seen = Detections(
                np.array(part["box_xyxy"].to_pylist(), np.float32),
                part["score"].to_numpy(),
                np.array(part["vector"].to_pylist(), np.float32),
            )
            yield StoredFrame(position=where, seen=seen, tracklets=part["tracklet"].to_numpy())

    def tracklets(self) -> int:
        """How many tracklets an earlier run stored: one more than the largest number."""
        if self.reached is None:
            return 0
        batches = self._gallery._people_table.batches(["tracklet"], f"picture = {int(self._picture)}")
        return max((int(np.max(b.column("tracklet").to_numpy())) + 1 for b in batches if len(b)), default=0)

    def keeps_out(self, pts: int, position: float, seen: Detections) -> Array:
        """(n,) bool: who among ``seen`` in the frame with this time stamp and position was forgotten."""
        return self._gallery.keeps_out(self._file.sha256, seen, pts, position)

    def add(self, moment: Moment, seen: Detections, tracklets: Array) -> None:
        """Store who was ``seen`` in a frame, and the (n,) tracklets they belong to.

        Whoever was forgotten in this frame, or looks like an example that was kept, is left out.

        Raises:
            ValueError: as :meth:`Gallery.check`.
        """
        self._gallery.check(seen)
        out = self.keeps_out(moment.pts, moment.position, seen)
        if out.any():
            seen, tracklets = seen.take(~out), tracklets[~out]
        known = Circumstances(
            picture=self._picture,
            model=self._gallery.fingerprint,
            camera=self._camera,
            time=moment.time,
            frame=moment.pts,
            time_base=str(moment.time_base),
            position=moment.position,
        )
        people = None
        if len(seen):
            people = rows.to_rows(seen, self._gallery._next_detection, known, tracklets)
            self._gallery._next_detection += len(seen)
        self.reached = moment.position
        self.people += len(seen)
        self._go_on(people)

    def failed(self, moment: Moment, said: str) -> None:
        """The model failed on a frame; a run that goes on counts it, too.

        A video of which nothing could be looked at yet is begun again, with every frame of it.

        Args:
            moment: of the frame.
            said: what the model failed on so far, in one line.
        """
        self.error = said
        if self.reached is not None:
            self.reached = moment.position
            self._go_on(None)

    def finish(self, damage: str | None = None, stage: str = "decode") -> None:
        """The video was looked at to its end: from now on it is searched.

        Args:
            damage: what of it is missing.
            stage: ``"decode"`` if it could not be read, ``"detect"`` if the model failed on it.
        """
        self._record(None, "done", stage=None if damage is None else stage, error=damage)

    def _go_on(self, people: pa.Table | None) -> None:
        """Record how far the video was looked at, with these people of the last frame."""
        stage = None if self.error is None else "detect"
        self._record(people, "partial", reached=self.reached, stage=stage, error=self.error)

    def _record(self, people: pa.Table | None, state: str, **known: object) -> None:
        self._gallery._record(
            self._file,
            people,
            state=state,
            picture=self._picture,
            people=self.people,
            sampling=self._sampling,
            **known,
        )
