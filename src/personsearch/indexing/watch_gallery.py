"""Where a watch looks that indexes, too: at whoever came into the gallery, by this process or another."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from personsearch.gallery.everybody import Arrived, newcomers, ranges_of, within
from personsearch.gallery.gallery import Gallery
from personsearch.indexing.watch_sources import Tell, alert_of, way
from personsearch.indexing.watch_state import Ranges
from personsearch.indexing.watching import Crowd, Lookout, Match
from personsearch.media.sources import shown
from personsearch.types import Array, Detections

_ANYBODY = -np.inf
"""A score that everybody has."""


@dataclass
class GalleryWatch:
    """Looks at whoever came into a gallery since the last time.

    Attributes:
        gallery: open for reading.
        lookout, tell, min_score: as in :class:`personsearch.indexing.watch_sources.FileWatch`.
        camera: name of the camera that is watched, if it was given one.
    """

    gallery: Gallery
    lookout: Lookout
    tell: Tell
    min_score: float = 0.5
    camera: str | None = None

    def start(self) -> None:
        """Whoever is in the gallery now is nobody new, unless an earlier watch left off before them."""
        state = self.lookout.state
        if state.pictures is not None and state.people is not None:
            return
        now = newcomers(self.gallery, [], _ANYBODY)
        pictures = now.pictures if state.pictures is None else state.pictures
        known = within(np.array([crowd.number for crowd in now.crowds]), pictures)
        several = [crowd.detections for crowd, old in zip(now.crowds, known, strict=True) if old]
        state.looked_through(pictures, _joined([], several))

    def look(self) -> int:
        """Look at who came; how many people that were."""
        state = self.lookout.state
        known, people = state.people or [], 0
        # A picture that somebody was taken out of has a new number; who stays in it is not new.
        new = newcomers(self.gallery, state.pictures or [], _ANYBODY)
        for crowd in new.crowds:
            wanted = (crowd.scores >= np.float32(self.min_score)) & ~within(crowd.detections, known)
            if wanted.any():
                self._look_at(_of(crowd, wanted))
                people += int(wanted.sum())
        state.looked_through(new.pictures, _joined(known, [crowd.detections for crowd in new.crowds]))
        return people

    def _look_at(self, crowd: Arrived) -> None:
        """Tell of the named people in one frame or picture."""
        source = way(Path(crowd.picture), crowd.camera, self.camera)
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
            self.tell(alert_of(match, seen, about))

        self.lookout.news(asked, alert)


def _of(crowd: Arrived, some: Array) -> Arrived:
    """A crowd of some of its people; ``some`` is (n,) bool."""
    return replace(
        crowd,
        detections=crowd.detections[some],
        boxes=crowd.boxes[some],
        scores=crowd.scores[some],
        embeddings=crowd.embeddings[some],
        tracklets=None if crowd.tracklets is None else crowd.tracklets[some],
    )


def _joined(known: Ranges, several: Iterable[Array]) -> Ranges:
    """Ranges of the numbers that are in ``known``, which rise, or in one of ``several``.

    >>> _joined([(1, 3), (9, 9)], [np.array([4, 7]), np.array([2, 5])])
    [(1, 5), (7, 7), (9, 9)]
    """
    new = ranges_of({int(number) for numbers in several for number in numbers})
    joined: Ranges = []
    for first, last in sorted([*known, *new]):
        if joined and first <= joined[-1][1] + 1:
            joined[-1] = joined[-1][0], max(joined[-1][1], last)
        else:
            joined.append((first, last))
    return joined
