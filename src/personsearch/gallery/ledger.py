"""What became of every file: the record that decides what a gallery holds.

An entry belongs to a place (a source folder and a path below it); a *picture* is a content,
known by its SHA-256 and numbered once. Two places with the same content share one picture,
so copies are recorded but never stored twice, and a file that moved keeps what is known of
it. People rows count only while an entry names their picture: writing the entry is the
commit, and people rows that no entry names are debris of a crash.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import PurePosixPath
from typing import Literal, NamedTuple

import numpy as np
import pyarrow as pa

from personsearch.types import Array

State = Literal["done", "failed", "missing", "near", "partial"]


class Place(NamedTuple):
    """Where a file is: a source's number, and the path below its folder, with forward slashes."""

    source: int
    path: str


@dataclass(frozen=True, kw_only=True)
class FileState:
    """A file as it was when it was read: what decides whether it has changed since.

    Attributes:
        place: where it is.
        size: in bytes.
        mtime_ns: time of its last change, nanoseconds since 1970.
        sha256: of its content; empty when it could not be read.
    """

    place: Place
    size: int
    mtime_ns: int
    sha256: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What is known of one file.

    Attributes:
        source, path: its place.
        size, mtime_ns: of the file when it was last looked at; equal ones are taken for no change.
        sha256: of its content; empty when it could not be read.
        state: ``"done"`` (searched), ``"failed"`` (could not be used), ``"missing"`` (the
            file is gone; its people are kept but not searched, until the file is back, here
            or elsewhere), ``"near"`` (another picture saved anew; not stored again) or
            ``"partial"`` (a video that was not looked at to its end yet; not searched).
        picture: number of its content; None unless its people are stored.
        people: how many of them.
        stage, error: of a failure, where and why; of a video that is done, what could not be read.
        attempts: how often it was tried since its content last changed.
        recorded: when, in seconds since 1970.
        dhash: 64 bits of what the picture looks like, as a signed number.
        like: of a near duplicate, the picture that it is.
        sampling: of a video, which frames are looked at.
        reached: of a partial video, the position of the last frame looked at, in seconds.
    """

    source: int
    path: str
    size: int
    mtime_ns: int
    sha256: str
    state: State
    picture: int | None = None
    people: int = 0
    stage: str | None = None
    error: str | None = None
    attempts: int = 1
    recorded: float = field(default_factory=time.time)
    dhash: int | None = None
    like: int | None = None
    sampling: str | None = None
    reached: float | None = None

    @property
    def place(self) -> Place:
        """Where the file is."""
        return Place(self.source, self.path)


SCHEMA = pa.schema(
    [
        pa.field("source", pa.int32(), nullable=False),
        pa.field("path", pa.string(), nullable=False),
        pa.field("size", pa.int64(), nullable=False),
        pa.field("mtime_ns", pa.int64(), nullable=False),
        pa.field("sha256", pa.string(), nullable=False),
        pa.field("state", pa.string(), nullable=False),
        pa.field("picture", pa.int64()),
        pa.field("people", pa.int32(), nullable=False),
        pa.field("stage", pa.string()),
        pa.field("error", pa.string()),
        pa.field("attempts", pa.int32(), nullable=False),
        pa.field("recorded", pa.float64(), nullable=False),
        # Columns from here on came later: tables made before lack them until they are written to.
        pa.field("dhash", pa.int64()),
        pa.field("like", pa.int64()),
        pa.field("sampling", pa.string()),
        pa.field("reached", pa.float64()),
    ]
)

KEY = ("source", "path")


def to_rows(entries: Iterable[Entry]) -> pa.Table:
    """The entries as rows of the ledger's table."""
    return pa.Table.from_pylist([asdict(entry) for entry in entries], schema=SCHEMA)


class Ledger:
    """All entries, in memory.

    >>> ledger = Ledger()
    >>> done = dict(size=9, mtime_ns=0, sha256="ab", state="done", picture=1, people=2)
    >>> ledger.put(Entry(source=0, path="a.jpg", **done))
    >>> ledger.put(Entry(source=0, path="copy/a.jpg", **done))
    >>> ledger.live(), ledger.picture_of("ab"), ledger.place_of(1)
    ({1: 2}, 1, Place(source=0, path='a.jpg'))
    """

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        self._entries: dict[Place, Entry] = {}
        self._places: dict[int, set[Place]] = {}
        self._alone: dict[int, Entry] = {}  # of pictures that are in one place only
        self._by_content: dict[str, int] = {}
        self._near: dict[str, dict[Place, int]] = {}  # contents that are another picture saved anew
        self._newest_picture = 0
        for entry in entries:
            self.put(entry)

    @staticmethod
    def from_batches(batches: Iterable[pa.RecordBatch]) -> Ledger:
        """The ledger that rows of the table make."""
        return Ledger().followed_by(batches)

    def followed_by(self, batches: Iterable[pa.RecordBatch]) -> Ledger:
        """A ledger of these entries and then those that rows of the table make; this one stays as it is."""
        other = Ledger()
        other._entries = dict(self._entries)
        other._places = {picture: set(places) for picture, places in self._places.items()}
        other._alone = dict(self._alone)
        other._by_content, other._newest_picture = dict(self._by_content), self._newest_picture
        other._near = {sha256: dict(places) for sha256, places in self._near.items()}
        for batch in batches:
            for row in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                other.put(Entry(**dict(zip(batch.schema.names, row, strict=True))))
        return other

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries.values())

    def get(self, place: Place) -> Entry | None:
        """What is known of the file at ``place``."""
        return self._entries.get(place)

    def put(self, entry: Entry) -> int | None:
        """Record ``entry`` in the place of what was known; the picture that nobody names any more."""
        old = self._entries.get(entry.place)
        self._entries[entry.place] = entry
        self._note_near(old, entry)
        if entry.picture is not None:
            places = self._places.setdefault(entry.picture, set())
            places.add(entry.place)
            self._note_alone(entry.picture, places)
            if entry.state != "partial":  # a copy of what is half done is not done
                self._by_content[entry.sha256] = entry.picture
            self._newest_picture = max(self._newest_picture, entry.picture)
        if old is None or old.picture is None or old.picture == entry.picture:
            return None
        self._places[old.picture].discard(entry.place)
        self._note_alone(old.picture, self._places[old.picture])
        if self._places[old.picture]:
            return None
        del self._places[old.picture]
        if self._by_content.get(old.sha256) == old.picture:
            del self._by_content[old.sha256]
        return old.picture

    def _note_alone(self, picture: int, places: set[Place]) -> None:
        if len(places) == 1:
            self._alone[picture] = self._entries[next(iter(places))]
        else:
            self._alone.pop(picture, None)

    def _note_near(self, old: Entry | None, new: Entry) -> None:
        if old is not None and old.like is not None:
            places = self._near[old.sha256]
            del places[old.place]
            if not places:
                del self._near[old.sha256]
        if new.like is not None:
            self._near.setdefault(new.sha256, {})[new.place] = new.like
            self._newest_picture = max(self._newest_picture, new.like)  # or a stranger's would be that one

    def picture_of(self, sha256: str) -> int | None:
        """The picture with this content, if its people are stored."""
        return self._by_content.get(sha256)

    def shown_by(self, sha256: str) -> int | None:
        """The stored picture that a file with this content shows: its own, or the one it nearly is."""
        own = self._by_content.get(sha256)
        return next(iter(self._near.get(sha256, {}).values()), None) if own is None else own

    def entry_of(self, picture: int) -> Entry:
        """What is known of one of the files with this content, a present one if there is any."""
        entries = self.entries_of(picture)
        if not entries:
            raise KeyError(picture)
        return entries[0]

    def first_of(self, picture: int) -> Entry:
        """As :meth:`entry_of`; quick for the many pictures that are in one place."""
        alone = self._alone.get(picture)
        return self.entry_of(picture) if alone is None else alone

    def place_of(self, picture: int) -> Place:
        """Where this content is: the first of its places, in order of their paths."""
        return self.entry_of(picture).place

    def entries_of(self, picture: int) -> list[Entry]:
        """What is known of all files with this content, present ones first, in order of their paths."""
        entries = [self._entries[place] for place in self._places_of(picture)]
        return (
            entries
            if len(entries) < 2
            else sorted(entries, key=lambda entry: (entry.state != "done", _order(entry.place)))
        )

    def is_live(self, picture: int) -> bool:
        """Whether a file with this content is present."""
        return any(self._entries[place].state == "done" for place in self._places_of(picture))

    def _places_of(self, picture: int) -> tuple[Place, ...]:
        """A copy: threads that read ahead ask while the writer's puts."""
        return tuple(self._places.get(picture, ()))

    def live(self) -> dict[int, int]:
        """The pictures that are searched, with how many people each has."""
        return {e.picture: e.people for e in self if e.state == "done" and e.picture is not None}

    def known(self) -> Array:
        """(n,) int64 sorted pictures whose people are stored, present or missing."""
        return np.array(sorted(self._places), np.int64)

    @property
    def newest_picture(self) -> int:
        """The largest number ever given to a picture that an entry still names; 0 for none."""
        return self._newest_picture


def _order(place: Place) -> tuple[int, tuple[str, ...]]:
    return place.source, PurePosixPath(place.path).parts
