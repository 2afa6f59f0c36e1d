"""``personsearch watch`` before a camera: whoever is named is told, breaks are said as they happen."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from personsearch.cli.failures import say
from personsearch.cli.sources import incomplete

if TYPE_CHECKING:
    from personsearch.indexing.watch_gallery import GalleryWatch
    from personsearch.indexing.watch_sources import Tell
    from personsearch.indexing.watching import Lookout
    from personsearch.media.camera import Camera
    from personsearch.types import Failure, Searcher

RELOAD = 10.0
"""Seconds after which a camera's watch reads the named people anew."""

LOOK = 1.0
"""Seconds after which a camera's watch that indexes looks at who came into the gallery."""

AGAIN = 10.0
"""Seconds for which breaks for one and the same reason are said once."""


@dataclass
class CameraRun:
    """One watch of a camera, until its time is up.

    Attributes:
        camera: which.
        searcher: finds and describes people.
        every: seconds between two frames.
        seconds: end after so long; None: never.
        conf: whom the detector scores less is nobody.
        again: reads anew whom to look out for.
    """

    camera: Camera
    searcher: Searcher
    every: float
    seconds: float | None
    conf: float
    again: Callable[[], None]
    _seen: int = 0
    _reason: str = ""
    _when: float = 0.0

    def look(self, lookout: Lookout, tell: Tell, frames: Path | None) -> None:
        """Only look; pictures of alerts are kept in ``frames`` if it is a folder.

        Raises:
            PersonSearchError: the camera cannot be reached.
            PartialFailure: it broke off on the way, or the model failed on some frames.
        """
        from personsearch.indexing.watch_sources import CameraWatch
        from personsearch.media.pacing import now_and_then

        watch = CameraWatch(
            camera=self.camera,
            searcher=self.searcher,
            lookout=lookout,
            tell=tell,
            every=self.every,
            seconds=self.seconds,
            frames=frames,
            min_score=self.conf,
            complain=say,
            idle=self._between(now_and_then(self.again, RELOAD)),
        )
        for _ in watch.steps():
            pass
        self._say_break()
        if self.camera.health.failures or watch.failed:
            raise incomplete(self.camera)

    def index(self, watch: GalleryWatch, frames: Path) -> None:
        """Put everybody seen into the gallery that ``watch`` looks at; pictures are kept in ``frames``.

        Raises:
            PersonSearchError, PartialFailure: as for :meth:`look`.
        """
        from personsearch.indexing.cameras import Watch, index_camera
        from personsearch.media.pacing import now_and_then

        def complain(failure: Failure) -> None:
            say(f"{failure.path}: the model failed: {failure.error}")

        how = Watch(
            folder=frames, every=self.every, seconds=self.seconds, min_score=self.conf, complain=complain
        )
        idle = self._between(now_and_then(self.again, RELOAD), now_and_then(watch.look, LOOK))
        try:
            report = index_camera(self.camera, watch.gallery.path, self.searcher, how, idle=idle)
        finally:  # who was seen last is told, too, if the camera is lost or somebody ends the watch
            watch.look()
        self._say_break()
        if report.failures:
            raise incomplete(self.camera)

    def _between(self, *acts: Callable[[], None]) -> Callable[[], None]:
        """What is done between two frames: breaks are said, and then these."""

        def between() -> None:
            self._say_break()
            for act in acts:
                act()

        return between

    def _say_break(self) -> None:
        """Say that the camera broke off, unless it did so a moment ago for the same reason."""
        failures, reason, now = self.camera.health.failures, self.camera.health.last_error, time.monotonic()
        if failures > self._seen:
            self._seen = failures
            if reason != self._reason or now - self._when >= AGAIN:
                self._reason, self._when = reason, now
                say(f"{self.camera.name}: {reason}")
