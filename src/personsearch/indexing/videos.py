"""Index one video: frames ahead, the model, tracklets, rows; goes on where a killed run was."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Protocol

from personsearch.gallery.gallery import Gallery
from personsearch.gallery.video import Moment, StoredFrame, VideoRows
from personsearch.indexing.model_failures import FrameFailures, ModelFailure
from personsearch.indexing.options import IndexOptions
from personsearch.indexing.pipeline import Model, in_thread
from personsearch.indexing.prepare import Prepared, is_same
from personsearch.indexing.tracklets import Tracker, TrackletSettings
from personsearch.media.video import Frame, Video
from personsearch.types import Array, Detections, Picture


@dataclass
class VideoTally:
    """What came of a video.

    Attributes:
        people: how many were stored by this run, frame by frame.
        tracklets: how many ways through the video they make, with those of earlier runs.
        damage: what of it could not be read, or what the model failed on.
        stage: ``"decode"`` if it could not be read, ``"detect"`` if only the model failed.
        changed: whether the file changed meanwhile; nothing of it then counts.
    """

    people: int = 0
    tracklets: int = 0
    damage: str | None = None
    stage: str = "decode"
    changed: bool = False


class Rows(Protocol):
    """Where the people of one video go; :class:`personsearch.gallery.video.VideoRows` says what each does."""

    reached: float | None
    error: str | None

    def stored(self, since: float) -> Iterator[StoredFrame]:
        """Frames of an earlier run."""
        ...

    def tracklets(self) -> int:
        """Tracklets of an earlier run."""
        ...

    def keeps_out(self, pts: int, position: float, seen: Detections) -> Array:
        """Who was forgotten."""
        ...

    def add(self, moment: Moment, seen: Detections, tracklets: Array) -> None:
        """Take a frame."""
        ...

    def failed(self, moment: Moment, said: str) -> None:
        """The model failed on a frame."""
        ...

    def finish(self, damage: str | None = None, stage: str = "decode") -> None:
        """The video is at its end."""
        ...


def index_video(
    found: Prepared, gallery: Gallery, model: Model, options: IndexOptions, tally: VideoTally
) -> Iterator[float]:
    """Put everybody in a video into the gallery; after each frame, its position in seconds.

    A frame that the model fails on is left out, and the video counts as damaged.

    Args:
        found: the video's file.
        gallery: open for writing.
        model: finds and describes the people.
        options: which frames, which camera, what time.
        tally: filled in.

    Raises:
        InputError: no frame of it can be decoded.
        ModelFailure: the model failed on every frame, or on many in a row.
    """

    def begin(camera: str | None) -> Rows:
        return VideoRows(gallery, found.now, sampling=str(options.sampling), camera=camera)

    return look_through(found, begin, model, options, tally, gallery.dim)


def look_through(
    found: Prepared,
    begin: Callable[[str | None], Rows],
    model: Model,
    options: IndexOptions,
    tally: VideoTally,
    dim: int,
) -> Iterator[float]:
    """As :func:`index_video`, into what ``begin`` gives for the name of the camera; embeddings of ``dim``."""
    with Video(found.file) as video, ExitStack() as closing:
        rows = begin(options.camera or video.camera)
        start = options.time_from.of(
            found.file, video.created, mtime_ns=found.now.mtime_ns, length=video.duration or 0.0
        )
        tracker = _tracker(rows, options)
        after = -1.0 if rows.reached is None else rows.reached
        wanted = (frame for frame in video.frames(options.sampling) if frame.position > after)
        # The thread that decodes must have ended before the video is closed, whatever happens.
        frames = closing.enter_context(contextlib.closing(in_thread(wanted, 2, video.stop)))
        asked, earlier = FrameFailures(dim), rows.error
        for frame, answer in _looked_at(frames, model, options.jobs > 0):
            moment = Moment(
                pts=frame.pts,
                time_base=frame.time_base,
                position=frame.position,
                time=None if start is None else start + frame.position,
            )
            seen = asked.answer(answer.result)
            if seen is None:
                rows.failed(moment, _joined(earlier, _failed_on(asked)) or "")
                yield frame.position
                continue
            # Before they are tracked: a later run, which finds only who was stored, then goes on alike.
            seen = seen.take(~rows.keeps_out(frame.pts, frame.position, seen))
            numbers = tracker.update(frame.position, seen)
            rows.add(moment, seen, numbers)
            tally.people += len(seen)
            yield frame.position
        tally.tracklets = tracker.tracklets
        tally.damage = _joined(video.damage, earlier, _failed_on(asked))
        tally.stage = "detect" if video.damage is None else "decode"
        if not is_same(found.file, found.now):
            tally.changed = True
            return
        if asked.bad and not asked.good and rows.reached is None:
            raise ModelFailure("on every frame") from asked.last
        rows.finish(tally.damage, tally.stage)


def _failed_on(asked: FrameFailures) -> str | None:
    """What the model failed on; None for nothing."""
    frames = f"{asked.bad} frame{'s' * (asked.bad > 1)}"
    return f"the model failed on {frames}: {asked.said}" if asked.bad else None


def _joined(*said: str | None) -> str | None:
    """What is missing of a video, from what was said of it; None for nothing."""
    return "; ".join(one for one in said if one is not None) or None


def _tracker(rows: Rows, options: IndexOptions) -> Tracker:
    """A tracker in the state in which an earlier run stopped; a new one if there was none."""
    patience = options.sampling.patience
    tracker = Tracker(replace(TrackletSettings(), max_gap=patience), first=rows.tracklets())
    for frame in rows.stored(since=(rows.reached or 0.0) - patience):
        tracker.resume(frame.position, frame.seen, frame.tracklets)
    return tracker


def _looked_at(
    frames: Iterator[Frame], model: Model, ahead: bool
) -> Iterator[tuple[Frame, Future[Detections]]]:
    """The frames with the model's answers; with ``ahead``, the next question is asked meanwhile."""
    waiting: deque[tuple[Frame, Future[Detections]]] = deque()
    for frame in frames:
        waiting.append((frame, model.ask(Picture(frame.pixels, f"{frame.position:.3f} s"))))
        if len(waiting) > ahead:
            yield waiting.popleft()
    yield from waiting
