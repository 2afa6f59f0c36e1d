"""How alike is everybody, not only the best? And who came since? A gallery as plain numbers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from personsearch.gallery.reading import ReadableGallery
from personsearch.gallery.searching import Asked, Searched, checked
from personsearch.ranking.similarity import similarities
from personsearch.types import Array

AT_A_TIME = 1 << 14


def similarities_to_everybody(
    gallery: ReadableGallery,
    embedding: Array,
    asked: Asked,
    *,
    fingerprint: str,
    exclude_pictures: Sequence[Path | str] = (),
    exclude_detections: Sequence[int] = (),
) -> Array:
    """(n,) float32: how alike everybody is whom a search for ``embedding`` would rank, in no useful order.

    Of everybody, not one a picture: a search with the same arguments and ``per="person"`` has the
    largest of these as its hits.

    Args:
        embedding: (d,) raw.
        asked: who is searched; how many hits does not matter.
        fingerprint: the model that made ``embedding``.
        exclude_pictures: files whose people do not count, such as the query's own.
        exclude_detections: numbers of people who do not count, with everybody in their picture; in a
            video, with the rest of their tracklet.

    Raises:
        ModelMismatch: ``embedding`` is of another model.
    """
    gallery.check_model(fingerprint)
    query = checked(np.asarray(embedding, np.float32)[None], gallery.dim)
    state = gallery._newest()
    searched = Searched(path=gallery.path, about=gallery._about, calibration=None, state=state)
    people = state.people
    wanted = searched.wanted(asked)
    own = [gallery._picture_in(Path(file), state.ledger) for file in exclude_pictures]
    wanted &= ~np.isin(people.picture, [picture for picture in own if picture is not None])
    shots = people.shot[np.isin(people.detection, list(exclude_detections))]
    wanted &= ~np.isin(people.shot, shots)
    rows = np.flatnonzero(wanted)
    alike = np.empty(len(rows), np.float32)
    for start in range(0, len(rows), AT_A_TIME):  # copies that stay small
        some = rows[start : start + AT_A_TIME]
        lengths = people.lengths[some]
        values = similarities(query, people.vectors[some], gallery.similarity, people_norms=lengths)
        alike[start : start + len(some)] = values[0]
    return alike


@dataclass(frozen=True, eq=False, kw_only=True)
class Arrived:
    """The people of one picture, or of one frame of a video, who came into a gallery.

    Attributes:
        picture: path.
        number: the picture's, in the gallery.
        detections: (n,) int64 their numbers.
        boxes, scores, embeddings: (n, 4), (n,), (n, d) float32.
        tracklets: (n,) int64 in a video, None in a picture.
        camera, time, position: where and when, as far as known.
        clock: the position in a video; the time of a picture, else that of its file's last change.
    """

    picture: str
    number: int
    detections: Array
    boxes: Array
    scores: Array
    embeddings: Array
    tracklets: Array | None
    camera: str | None
    time: float | None
    position: float | None
    clock: float


@dataclass(frozen=True, eq=False, kw_only=True)
class Newcomers:
    """Who came, frame by frame, and the numbers of all pictures that are there now, as ranges."""

    crowds: tuple[Arrived, ...]
    pictures: list[tuple[int, int]]

    @property
    def people(self) -> int:
        """How many."""
        return sum(len(crowd.detections) for crowd in self.crowds)


def newcomers(
    gallery: ReadableGallery, known: Sequence[tuple[int, int]], min_score: float = 0.5
) -> Newcomers:
    """Everybody who is searched and is in none of the ``known`` pictures, in the order of storing.

    Pictures, not people, are what is known: a video is searched once it was looked at to its end, and
    has by then older numbers than what came meanwhile.

    Args:
        gallery: open.
        known: ranges of numbers of pictures, first and last, rising.
        min_score: people whom the detector was less sure of are left out.
    """
    state = gallery._newest()
    people = state.people
    new = ~within(people.picture, known) & (people.score >= np.float32(min_score))
    rows = np.flatnonzero(new)
    picture, frame = people.picture[rows], people.frame[rows]
    groups = np.flatnonzero((np.diff(picture) != 0) | (np.diff(frame) != 0)) + 1
    crowds = []
    for some in np.split(rows, groups) if len(rows) else []:
        first = int(some[0])
        camera, taken, position, _ = people.circumstances(first)
        entry = state.ledger.entries_of(int(people.picture[first]))[0]
        tracklets = people.tracklet[some]
        crowds.append(
            Arrived(
                picture=str(gallery.file(entry.place)),
                number=int(people.picture[first]),
                detections=people.detection[some],
                boxes=people.box[some],
                scores=people.score[some],
                embeddings=people.vectors[some],
                tracklets=tracklets if (tracklets >= 0).all() else None,
                camera=camera,
                time=taken,
                position=position,
                clock=next(c for c in (position, taken, entry.mtime_ns / 1e9) if c is not None),
            )
        )
    return Newcomers(crowds=tuple(crowds), pictures=ranges_of(state.ledger.live()))


def ranges_of(numbers: Iterable[int]) -> list[tuple[int, int]]:
    """Whole numbers as ranges, both ends included.

    >>> ranges_of([5, 1, 2, 3])
    [(1, 3), (5, 5)]
    """
    rising = np.array(sorted(numbers), np.int64)
    if not len(rising):
        return []
    breaks = np.flatnonzero(np.diff(rising) > 1)
    firsts = rising[np.concatenate([[0], breaks + 1])]
    lasts = rising[np.concatenate([breaks, [len(rising) - 1]])]
    return list(zip(firsts.tolist(), lasts.tolist(), strict=True))


def within(numbers: Array, ranges: Sequence[tuple[int, int]]) -> Array:
    """(n,) bool: which numbers lie in one of the ``ranges``, which rise.

    >>> within(np.array([1, 4, 5]), [(1, 3), (5, 5)]).tolist()
    [True, False, True]
    """
    if not ranges:
        return np.zeros(len(numbers), bool)
    firsts, lasts = np.array(ranges, np.int64).T
    place = np.searchsorted(firsts, numbers, side="right") - 1
    inside: Array = (place >= 0) & (numbers <= lasts[np.maximum(place, 0)])
    return inside
