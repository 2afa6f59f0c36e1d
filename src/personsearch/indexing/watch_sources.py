"""Where a watch looks: files that come and grow, a camera, and what others put into the gallery."""

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
from personsearch.gallery.everybody import Arrived, newcomers
from personsearch.gallery.gallery import Gallery
from personsearch.images import encode_jpeg, load
from personsearch.indexing.cameras import folder_name, unused_file
from personsearch.indexing.model_failures import CarefulSearcher
from personsearch.indexing.tracklets import Tracker, TrackletSettings
from personsearch.indexing.watching import Crowd, Lookout, Match
from personsearch.media.camera import Camera, CameraFrame
from personsearch.media.sampling import Sampling
from personsearch.media.sources import find_sources, is_video_file, shown
from personsearch.media.video import Video
from personsearch.progress import Progress, T
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
        source = _way(file, picture.camera)
        about = {"picture": shown(file), "camera": picture.camera, "time": picture.taken}
        self._tell_of(seen, about, source, when, None)

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
                    "camera": video.camera,
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
        self.lookout.news(crowd, lambda match: self.tell(_alert(match, seen, about)))

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
        for frame in self.camera.frames(self.every, seconds=self.seconds):
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
            self.tell(_alert(match, seen, {"picture": kept[0], "camera": name, "time": frame.time}))

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


@dataclass
class GalleryWatch:
    """Looks at whoever came into a gallery since the last time.

    Attributes:
        gallery: open for reading.
        lookout, tell, min_score: as in :class:`FileWatch`.
    """

    gallery: Gallery
    lookout: Lookout
    tell: Tell
    min_score: float = 0.5

    def start(self) -> None:
        """Whoever is in the gallery now is nobody new, unless an earlier watch left off before them."""
        if self.lookout.state.pictures is None:
            self.lookout.state.looked_through(newcomers(self.gallery, [], self.min_score).pictures)

    def look(self) -> int:
        """Look at who came; how many people that were."""
        new = newcomers(self.gallery, self.lookout.state.pictures or [], self.min_score)
        for crowd in new.crowds:
            self._look_at(crowd)
        self.lookout.state.looked_through(new.pictures)
        return new.people

    def _look_at(self, crowd: Arrived) -> None:
        """Tell of the named people in one frame or picture."""
        source = _way(Path(crowd.picture), crowd.camera)
        if crowd.tracklets is not None:
            source = f"{crowd.picture}#{crowd.number}"
        asked = Crowd(
            embeddings=crowd.embeddings, source=source, clock=crowd.clock, tracklets=crowd.tracklets
        )
        seen = Detections(crowd.boxes, crowd.scores, crowd.embeddings)

        def alert(match: Match) -> None:
            about = {
                "picture": shown(crowd.picture),
                "camera": crowd.camera,
                "time": crowd.time,
                "position": crowd.position,
                "detection": int(crowd.detections[match.row]),
            }
            self.tell(_alert(match, seen, about))

        self.lookout.news(asked, alert)

    def after_each(self, every: float, before: Callable[[], None] = lambda: None) -> Progress:
        """A progress that passes items through and looks at the gallery meanwhile, once in ``every`` s.

        Args:
            every: seconds.
            before: done before each look.
        """

        def passed(items: Iterable[T], label: str, *, total: int | None = None, done: int = 0) -> Iterator[T]:
            last = time.monotonic()
            for item in items:
                yield item
                if time.monotonic() - last >= every:
                    last = time.monotonic()
                    before()
                    self.look()

        return passed


def are_folders(sources: Iterable[str]) -> bool:
    """Whether all sources are folders that can be listed: what has no file yet may have one later."""
    return all(Path(source).is_dir() and os.access(source, os.R_OK | os.X_OK) for source in sources)


def _way(file: Path, camera: str | None) -> str:
    """What stands for one camera: EXIF names maker and model only, which all cameras of a site may share."""
    return f"{file.parent}\0{camera or ''}"


def _people(
    ask: CarefulSearcher, picture: Picture, min_score: float, complain: Callable[[str], None]
) -> Detections | None:
    """Who is in the picture; None, and a complaint, if the model failed on it."""
    seen = ask(picture)
    if isinstance(seen, str):
        complain(f"{picture.name}: the model failed: {seen}")
        return None
    return seen.take(seen.scores >= min_score)


def _alert(match: Match, seen: Detections, about: dict[str, Any]) -> Alert:
    return Alert(match=match, box=seen.boxes[match.row], score=float(seen.scores[match.row]), **about)
