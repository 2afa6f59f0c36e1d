"""Who has to go: the people named, whoever is the same person in the same place, or all who are too old."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from personsearch.errors import InputError
from personsearch.gallery import named
from personsearch.gallery.ledger import Entry
from personsearch.gallery.people import unfixed
from personsearch.gallery.removal import Store
from personsearch.gallery.suppression import Box, Cut, Example, Suppression, overlapping
from personsearch.images import read_size
from personsearch.types import Similarity


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A removal that can be carried out.

    Attributes:
        detections: numbers of the people.
        pictures: how many pictures they are in.
        out: who is kept out from then on.
    """

    detections: frozenset[int]
    pictures: int
    out: Suppression = field(default_factory=Suppression)


def whom_to_forget(
    store: Store, detections: Collection[int], keep_examples: float | None, kind: Similarity
) -> Plan:
    """The people with these numbers, the rest of their tracklets, and everybody whose box is theirs.

    Args:
        store: where they are.
        detections: their numbers.
        keep_examples: from which similarity on others are taken for them; None keeps nothing.
        kind: of the model, to say which similarities are possible.

    Raises:
        InputError: a number of nobody, or no number at all.
    """
    wanted = sorted({int(number) for number in detections})
    named = _named(store, wanted)
    strangers = sorted(set(wanted) - {row["detection"] for row in named})
    if strangers or not wanted:
        raise InputError(
            f"nobody in {store.path} has the number {strangers[0]}" if strangers else "nobody was named",
            hint="people are named by the numbers that personsearch search gives as `detection`",
        )
    if keep_examples is not None and not (
        np.isfinite(keep_examples) and (kind != "cosine" or keep_examples <= 1)
    ):
        raise InputError(f"{keep_examples} is not a possible {kind} similarity")
    named += _same_way(store, named)
    shots: dict[tuple[int, int | None], list[list[float]]] = {}
    for row in named:
        shots.setdefault((row["picture"], row["frame"]), []).append(row["box_xyxy"])
    contents = _contents(store, {picture for picture, _ in shots})
    boxes = [
        Box(
            sha256=sha256,
            box=(x1 * scale[0], y1 * scale[1], x2 * scale[0], y2 * scale[1]),
            receipt="",
            frame=row["frame"],
            position=row["position"],
        )
        for row in named
        for x1, y1, x2, y2 in [row["box_xyxy"]]
        for sha256, scale in contents[row["picture"]]
    ]
    examples = [
        Example(
            vector=tuple(row["vector"]),
            fingerprint=store.about.fingerprint,
            min_similarity=keep_examples,
            receipt="",
        )
        for row in named
        if keep_examples is not None
    ]
    pictures = {picture for picture, _ in shots}
    return Plan(
        detections=frozenset(row["detection"] for row in named) | _same(store, shots),
        pictures=len(pictures),
        out=Suppression(boxes=tuple(boxes), examples=tuple(examples)),
    )


def _named(store: Store, wanted: Sequence[int], column: str = "detection") -> list[dict[str, Any]]:
    """The rows of the people whose ``column`` is one of these numbers, in pictures that the ledger knows."""
    known = set(store.ledger.known().tolist())
    columns = ["detection", "picture", "box_xyxy", "vector", "frame", "position", "tracklet"]
    return [
        row
        for batch in store.people.rows_of(column, wanted, columns)
        for row in batch.to_pylist()
        if row["picture"] in known
    ]


def _same_way(store: Store, named: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rest of the ways that these people go through their videos: a tracklet is one person."""
    ways = {(row["picture"], row["tracklet"]) for row in named if row.get("tracklet") is not None}
    if not ways:
        return []
    there = {row["detection"] for row in named}
    rows = _named(store, sorted({picture for picture, _ in ways}), "picture")
    return [r for r in rows if (r["picture"], r["tracklet"]) in ways and r["detection"] not in there]


def _contents(store: Store, pictures: Collection[int]) -> dict[int, list[tuple[str, tuple[float, float]]]]:
    """SHA-256 and scale of each picture, and of the files that are known to be that picture saved anew."""
    own = {picture: store.ledger.entry_of(picture) for picture in pictures}
    contents = {picture: [(entry.sha256, (1.0, 1.0))] for picture, entry in own.items()}
    for entry in store.ledger:
        if entry.like is not None and entry.like in contents and entry.sha256:
            scale = _scale(store, own[entry.like], entry)
            contents[entry.like].append((entry.sha256, scale))
    return contents


def _scale(store: Store, picture: Entry, copy: Entry) -> tuple[float, float]:
    """How large ``copy`` is beside ``picture``; as large where their files cannot tell."""
    try:
        (width, height), (w, h) = (
            read_size(store.about.file(entry.place, store.path)) for entry in (picture, copy)
        )
    except InputError:
        return 1.0, 1.0
    return w / width, h / height


def _same(store: Store, shots: dict[tuple[int, int | None], list[list[float]]]) -> set[int]:
    """Numbers of all whose box overlaps one of these in the same picture or frame."""
    found: set[int] = set()
    pictures = sorted({picture for picture, _ in shots})
    for batch in store.people.rows_of("picture", pictures, ["detection", "picture", "box_xyxy", "frame"]):
        boxes = unfixed(batch.column("box_xyxy"), 4)
        places = list(
            zip(batch.column("picture").to_pylist(), batch.column("frame").to_pylist(), strict=True)
        )
        numbers = batch.column("detection").to_numpy()
        for place in set(places) & shots.keys():
            rows = np.array([i for i, other in enumerate(places) if other == place])
            same = overlapping(boxes[rows], np.array(shots[place], np.float32))
            found.update(numbers[rows[same]].tolist())
    return found


def shown_by(store: Store, examples: Iterable[named.Example]) -> set[int]:
    """Numbers of the people in the places that these examples show, in pictures whose people are stored.

    A picture is known by its content, and by that of a copy saved anew, perhaps in another size.
    """
    places: dict[str, list[named.Example]] = {}
    for example in examples:
        if example.sha256:
            places.setdefault(example.sha256, []).append(example)
    known = set(store.ledger.known().tolist())
    shots: dict[tuple[int, int | None], list[list[float]]] = {}
    for entry in store.ledger:
        picture = entry.like if entry.picture is None else entry.picture
        if entry.sha256 not in places or picture is None or picture not in known:
            continue
        copied = entry.picture is None
        x, y = _scale(store, store.ledger.entry_of(picture), entry) if copied else (1.0, 1.0)
        for example in places[entry.sha256]:
            x1, y1, x2, y2 = example.box.tolist()
            shots.setdefault((picture, example.frame), []).append([x1 / x, y1 / y, x2 / x, y2 / y])
    return _same(store, shots)


def who_is_older(store: Store, before: float, cameras: Sequence[str] = ()) -> Plan:
    """Everybody seen before a time; without one, whose picture was recorded before it.

    Of a video in which there are such people, nobody seen up to that time comes back, for it may be
    looked at again in other frames.
    """
    if not np.isfinite(before):
        raise InputError(f"{before} is not a time in seconds since 1970")
    recorded = {
        picture: max(entry.recorded for entry in store.ledger.entries_of(picture))
        for picture in store.ledger.known().tolist()
    }
    detections: set[int] = set()
    pictures: set[int] = set()
    videos: dict[int, _Older] = defaultdict(_Older)
    names = ("detection", "picture", "time", "camera", "position")
    for batch in store.people.batches(names):
        columns = [batch.column(name).to_pylist() for name in names]
        for detection, picture, time, camera, position in zip(*columns, strict=True):
            if picture not in recorded or (cameras and camera not in cameras):
                continue
            older = (recorded[picture] if time is None else time) < before
            if older:
                detections.add(detection)
                pictures.add(picture)
            if position is not None:
                videos[picture].note(position, older, None if time is None else before - (time - position))
    cuts = [
        Cut(sha256=store.ledger.entry_of(picture).sha256, until=videos[picture].until, receipt="")
        for picture in sorted(pictures & videos.keys())
    ]
    return Plan(detections=frozenset(detections), pictures=len(pictures), out=Suppression(cuts=tuple(cuts)))


@dataclass
class _Older:
    """What of a video is older than a time: up to which position, as its people say.

    Sums of times and positions are not exact, so the position of the time is none that puts somebody
    who goes behind it, or who stays before it.

    >>> video = _Older()
    >>> for position in (0.0, 1.0, 2.0):
    ...     video.note(position, older=position < 1.5, at=1.5)
    >>> video.until
    1.5
    """

    _at: float | None = -np.inf
    _last_older: float = -np.inf
    _first_newer: float = np.inf

    def note(self, position: float, older: bool, at: float | None) -> None:
        """Somebody is at ``position``; ``at`` is that of the time, None if the video's time is not known."""
        if not older:
            self._first_newer = min(self._first_newer, position)
            return
        self._last_older = max(self._last_older, position)
        self._at = None if at is None or self._at is None else max(self._at, at)

    @property
    def until(self) -> float | None:
        """From this position on people stay; None: nobody does."""
        if self._at is None:
            return None
        behind = float(np.nextafter(self._last_older, np.inf))
        return max(behind, min(self._at, self._first_newer))
