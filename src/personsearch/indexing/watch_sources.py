"""Where a watch looks: files that come and grow, or a camera; :mod:`.watch_gallery` looks into a gallery."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from personsearch.errors import InputError
from personsearch.files import disk_errors, write_bytes
from personsearch.images import encode_jpeg, load
from personsearch.indexing.cameras import folder_name, unused_file
from personsearch.indexing.model_failures import CarefulSearcher
from personsearch.indexing.tracklets import Tracker, TrackletSettings
from personsearch.indexing.watching import Crowd, Lookout, Match
from personsearch.media.camera import Camera, CameraFrame
from personsearch.media.sampling import Sampling
from personsearch.media.sources import find_sources, is_video_file, shown
from personsearch.media.video import Video
from personsearch.types import Array, Detections, Picture, Searcher

SETTLED = 2.0
"""Seconds that a file must not have changed for before it is looked at: it may still be copied."""

TOLD = "personsearch.alert/1"


@dataclass(frozen=True, eq=False, kw_only=True)
class Alert:
    """A named person was seen.

    Attributes:
        match: who, and how sure.
        box: (4,) x1 y1 x2 y2, upright picture pixels.
        score: the detector's.
        picture: file with the frame; None for a frame of a camera that is not kept.
        camera, time: where and when (seconds since 1970), if known.
        position: in a video, seconds since its first frame.
        detection: the person's number in the gallery, if it is there.
    """

    match: Match
    box: Array
    score: float
    picture: str | None = None
    camera: str | None = None
    time: float | None = None
    position: float | None = None
    detection: int | None = None

    def to_json(self) -> dict[str, Any]:
        """One line of a watch's output."""
        return {
            "schema": TOLD,
            "person": self.match.person,
            "similarity": self.match.similarity,
            "probability": self.match.probability,
            "picture": self.picture,
            "box_xyxy": [round(float(side), 2) for side in self.box],
            "score": round(self.score, 4),
            "camera": self.camera,
            "time": self.time,
            "position_s": self.position,
            "tracklet": self.match.tracklet,
            "detection": self.detection,
        }


Tell = Callable[[Alert], None]


@dataclass
class FileWatch:
    """Looks at files, each once as it is; what changes or grows is looked at again.

    Attributes:
        sources: folders, patterns, lists, files; see :mod:`personsearch.media.sources`.
        searcher: finds and describes people.
        lookout: knows whom to look for.
        tell: told of every alert.
        complain: told of every file that cannot be used, once.
        sampling: which frames of videos.
        min_score: detections below it are nobody.
        settled: seconds that a file must not have changed for.
        camera: the name of the camera, instead of what files say.
        failed: how many files could not be used.
    """

    sources: list[str]
    searcher: Searcher
    lookout: Lookout
    tell: Tell
    complain: Callable[[str], None]
    sampling: Sampling
    min_score: float = 0.5
    settled: float = SETTLED
    recursive: bool = True
    camera: str | None = None
    failed: int = 0
    _complained: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._ask = CarefulSearcher(self.searcher)

    def round(self) -> Iterator[Path]:
        """Look at everything that is new; each file that was looked at."""
        try:
            found = find_sources(self.sources, recursive=self.recursive)
        except InputError:
            if not are_folders(self.sources):
                raise
            return  # folders that are still empty
        for failure in found.failures:
            self._complain_once(f"{failure.path}: {failure.error}")
        for file in found.files:
            if self._look_at(file):
                yield file

    def _look_at(self, file: Path) -> bool:
        """Look at a file, unless that was done; whether it was looked at now."""
        try:
            about = file.stat()
        except OSError:  # gone since it was listed
            return False
        name, state = str(file), self.lookout.state
        if state.has_looked_at(name, about.st_size, about.st_mtime_ns):
            return False
        if self.settled and abs(time.time() - about.st_mtime) < self.settled:
            return False
        try:
            if is_video_file(file):
                self._look_at_video(file, f"{name}#{about.st_ino}")
            else:
                self._look_at_picture(file, about.st_mtime)
        except InputError as error:
            self.failed += 1
            self.complain(str(error))
        state.looked_at(name, about.st_size, about.st_mtime_ns)
        return True

    def _look_at_picture(self, file: Path, changed: float) -> None:
        picture = load(file, name=str(file))
        seen = _people(self._ask, picture, self.min_score, self._complain_once)
        if seen is None:
            return
        when = changed if picture.taken is None else picture.taken
        camera = self.camera or picture.camera
        about = {"picture": shown(file), "camera": camera, "time": picture.taken}
        self._tell_of(seen, about, way(file, camera, self.camera), when, None)

    def _look_at_video(self, file: Path, source: str) -> None:
        """A video from its beginning: its tracklets have the same numbers every time."""
        tracker = Tracker(TrackletSettings(max_gap=self.sampling.patience))
        with Video(file) as video:
            for frame in video.frames(self.sampling):
                picture = Picture(frame.pixels, f"{file.name}@{frame.position:.3f}")
                seen = _people(self._ask, picture, self.min_score, self._complain_once)
                if seen is None:
                    continue
                numbers = tracker.update(frame.position, seen)
                about = {
                    "picture": shown(file),
                    "camera": self.camera or video.camera,
                    "time": None if video.created is None else video.created + frame.position,
                    "position": frame.position,
                }
                self._tell_of(seen, about, source, frame.position, numbers)
            if video.damage is not None:
                self._complain_once(f"{shown(file)}: {video.damage}")

    def _tell_of(
        self, seen: Detections, about: dict[str, Any], source: str, clock: float, numbers: Array | None
    ) -> None:
        crowd = Crowd(embeddings=seen.embeddings, source=source, clock=clock, tracklets=numbers)
        self.lookout.news(crowd, lambda match: self.tell(alert_of(match, seen, about)))

    def _complain_once(self, line: str) -> None:
        if line not in self._complained:
            self._complained.add(line)
            self.failed += 1
            self.complain(line)


@dataclass
class CameraWatch:
    """Looks at a camera's newest frame, time after time.

    Attributes:
        camera: which.
        searcher, lookout, tell, min_score: as in :class:`FileWatch`.
        every: seconds between two frames.
        seconds: end after so long; None: never.
        frames: folder in which the pictures of alerts are kept; None keeps none.
        complain: told of every frame that the model failed on.
        idle: done between two frames, as :meth:`personsearch.media.camera.Camera.frames` says.
    """

    camera: Camera
    searcher: Searcher
    lookout: Lookout
    tell: Tell
    every: float = 1.0
    seconds: float | None = None
    frames: Path | None = None
    min_score: float = 0.5
    complain: Callable[[str], None] = warnings.warn
    idle: Callable[[], None] = lambda: None

    @property
    def failed(self) -> int:
        """How many frames the model failed on."""
        return self._ask.failures.bad

    def __post_init__(self) -> None:
        self._ask = CarefulSearcher(self.searcher)

    def steps(self) -> Iterator[float]:
        """Look until the end; the time of every frame that was looked at."""
        # Numbers of tracklets that no earlier run of this watch has used.
        settings = TrackletSettings(max_gap=max(2.0, 2.5 * self.every))
        tracker = Tracker(settings, first=int(time.time() * 1000))
        last = -np.inf
        for frame in self.camera.frames(self.every, seconds=self.seconds, idle=self.idle):
            if frame.time <= last:  # the clock of this machine was set back: the old tracklets cannot go on
                tracker = Tracker(settings, first=tracker.tracklets)
            last = frame.time
            self._look_at(frame, tracker)
            yield frame.time

    def _look_at(self, frame: CameraFrame, tracker: Tracker) -> None:
        """Tell of the named people in one frame; its picture is kept if there are any."""
        name, kept = self.camera.name, list[str | None]()
        seen = _people(self._ask, Picture(frame.pixels, name), self.min_score, self.complain)
        if seen is None:
            return
        numbers = tracker.update(frame.time, seen)

        def alert(match: Match) -> None:
            if not kept:
                kept.append(self._keep(frame.pixels, frame.time))
            self.tell(alert_of(match, seen, {"picture": kept[0], "camera": name, "time": frame.time}))

        crowd = Crowd(embeddings=seen.embeddings, source=name, clock=frame.time, tracklets=numbers)
        self.lookout.news(crowd, alert)

    def _keep(self, pixels: Array, when: float) -> str | None:
        if self.frames is None:
            return None
        folder = self.frames.resolve() / folder_name(self.camera.name)
        with disk_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
        file = unused_file(folder, when)
        write_bytes(file, encode_jpeg(pixels, 92))
        return shown(file)


def are_folders(sources: Iterable[str]) -> bool:
    """Whether all sources are folders that can be listed: what has no file yet may have one later."""
    return all(Path(source).is_dir() and os.access(source, os.R_OK | os.X_OK) for source in sources)


def way(file: Path, camera: str | None, named: str | None = None) -> str:
    """What stands for one camera: EXIF names maker and model only, which all cameras of a site may share.

    A camera that somebody ``named`` is one, however many folders its pictures are in.

    >>> way(Path("north/1.jpg"), "Axis") == way(Path("south/1.jpg"), "Axis")
    False
    >>> way(Path("north/1.jpg"), "yard", "yard") == way(Path("south/1.jpg"), "yard", "yard")
    True
    """
    return f"\0{camera}" if named and camera == named else f"{file.parent}\0{camera or ''}"


def _people(
    ask: CarefulSearcher, picture: Picture, min_score: float, complain: Callable[[str], None]
) -> Detections | None:
    """Who is in the picture; None, and a complaint, if the model failed on it."""
    seen = ask(picture)
    if isinstance(seen, str):
        complain(f"{picture.name}: the model failed: {seen}")
        return None
    return seen.take(seen.scores >= min_score)


def alert_of(match: Match, seen: Detections, about: dict[str, Any]) -> Alert:
    """The alert of one who was ``seen``; ``about`` says the rest."""
    return Alert(match=match, box=seen.boxes[match.row], score=float(seen.scores[match.row]), **about)
