"""What a process of a cluster does: reads files, finds and describes people, writes them beside the table.

It decides nothing that concerns other files: whatever it writes counts only once the process that
holds the gallery has committed it (:mod:`personsearch.indexing.cluster`). Two questions go to a desk
that all processes share: which numbers people get, and who looks at a content that several files have.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from personsearch.errors import InputError
from personsearch.files import sha256_of
from personsearch.gallery import people as rows
from personsearch.gallery.fragments import write_people
from personsearch.gallery.ledger import FileState, Place
from personsearch.gallery.people import Circumstances
from personsearch.gallery.suppression import Suppression
from personsearch.gallery.video import Moment, StoredFrame
from personsearch.indexing.model_failures import ModelFailure
from personsearch.indexing.nearness import Look
from personsearch.indexing.options import IndexOptions
from personsearch.indexing.pipeline import Model
from personsearch.indexing.prepare import Prepared, decoded, file_state, is_same, system_said
from personsearch.indexing.videos import VideoTally, look_through
from personsearch.types import Array, Detections, Searcher, Similarity

DEATHS = 3
"""So often a process may die on a file before the file is taken for the reason."""

FLUSH = 20_000
"""People of one video in memory before they are written."""


class Desk:
    """What the processes have to agree on; lives in the process that holds the gallery, or beside it.

    >>> desk = Desk(picture=5, detection=100)
    >>> desk.numbers(3), desk.numbers(1)
    ((5, 100), (6, 103))
    >>> desk.claim(0, "ab"), desk.claim(1, "ab"), desk.claim(0, "ab")
    (True, False, True)
    >>> desk.begin(7), desk.begin(7), desk.end(7), desk.begin(7)
    (1, 2, None, 1)
    """

    def __init__(self, picture: int, detection: int) -> None:
        self._picture, self._detection = picture, detection
        self._claimed: dict[str, int] = {}
        self._begun: dict[int, int] = {}

    def numbers(self, people: int) -> tuple[int, int]:
        """A number for a picture, and the first of so many for its people; nobody else gets them."""
        mine = self._picture, self._detection
        self._picture += 1
        self._detection += people
        return mine

    def claim(self, index: int, sha256: str) -> bool:
        """Whether file ``index`` is the one that is looked at, of those with this content."""
        return self._claimed.setdefault(sha256, index) == index

    def begin(self, index: int) -> int:
        """How often file ``index`` was begun without being ended, with this time."""
        self._begun[index] = self._begun.get(index, 0) + 1
        return self._begun[index]

    def begin_ahead(self, index: int) -> bool:
        """The same, ahead of its turn, but only if nobody died on it; whether it is begun."""
        return index not in self._begun and self.begin(index) == 1

    def end(self, index: int) -> None:
        """File ``index`` did no harm."""
        self._begun.pop(index, None)

    def free(self) -> int:
        """From here on numbers of people are free."""
        return self._detection


class Asked(Protocol):
    """A desk, wherever it is."""

    def numbers(self, people: int) -> tuple[int, int]:
        """See :class:`Desk`."""
        ...

    def claim(self, index: int, sha256: str) -> bool:
        """See :class:`Desk`."""
        ...

    def begin(self, index: int) -> int:
        """See :class:`Desk`."""
        ...

    def begin_ahead(self, index: int) -> bool:
        """See :class:`Desk`."""
        ...

    def end(self, index: int) -> None:
        """See :class:`Desk`."""
        ...


@dataclass(frozen=True, eq=False, kw_only=True)
class Work:
    """What a process has to know.

    Attributes:
        opener: opens the model, on the machine where it is called.
        desk: gives the shared desk there.
        table: folder of the people table.
        fingerprint, dim, similarity: of the gallery's model.
        options: how files are indexed.
        kept_out: who was forgotten.
        known: (n,) sorted uint64, :func:`short` of the contents whose people are stored.
        once: of files with one content only the first is looked at.
    """

    opener: Callable[[], Searcher]
    desk: Callable[[], Asked]
    table: Path
    fingerprint: str
    dim: int
    similarity: Similarity
    options: IndexOptions
    kept_out: Suppression
    known: Array
    once: bool = True


def short(sha256: str) -> int:
    """The first eight bytes of a content's hash: enough to say that it is probably known."""
    return int(sha256[:16] or "0", 16)


class Extractor:
    """One process: the model, and what it does with file after file."""

    def __init__(self, work: Work) -> None:
        searcher = work.opener()
        if searcher.fingerprint != work.fingerprint:
            raise InputError(
                f"the model on this machine is {searcher.fingerprint[:12]}, not {work.fingerprint[:12]}",
                hint="give every machine of the cluster the same model under the same path",
            )
        self._work, self._desk = work, work.desk()
        self._model = Model(searcher.detect)
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="decode")
        self._written: list[str] = []
        self._waiting: list[pa.Table] = []

    def __call__(self, files: pa.Table) -> pa.Table:
        """One row for all ``files``: what became of each as JSON, their looks, and what was written."""
        self._written, self._waiting = [], []
        said, looks = [], []
        for index, found in self._read_ahead(files.to_pylist()):
            outcome = {"kind": found} if isinstance(found, str) else self._looked_at(found)
            self._desk.end(index)
            said.append({**outcome, "index": index})
            looks.append(None if isinstance(found, str) or found.seen is None else packed(found.seen))
        self._flush()
        row = {"said": [json.dumps(said)], "looks": [looks], "written": [self._written]}
        kinds = {"said": pa.string(), "looks": pa.list_(pa.binary()), "written": pa.list_(pa.string())}
        return pa.table(row, schema=pa.schema(kinds))

    def _read_ahead(self, files: list[dict[str, Any]]) -> Iterator[tuple[int, Prepared | str]]:
        """Each file read and decoded, one ahead of the model; alone, where a process died before."""
        following: Future[Prepared | str] | None = None
        for place, file in enumerate(files):
            begun = 1 if following is not None else self._desk.begin(file["index"])
            dead = begun > DEATHS
            found = following.result() if following is not None else "dead" if dead else self._read(file)
            following = None
            more = files[place + 1 : place + 2]
            if begun == 1 and more and self._desk.begin_ahead(more[0]["index"]):
                following = self._reader.submit(self._read, more[0])
            yield file["index"], found

    def _read(self, file: dict[str, Any]) -> Prepared | str:
        """A file, as far as it can be judged without the model."""
        path = Path(file["path"])
        now = FileState(place=Place(file["source"], file["below"]), size=-1, mtime_ns=-1)
        found = Prepared(file=path, outcome="read", now=now, old=None, video=file["video"])
        try:
            now = file_state(now.place, path)
            found = replace(found, now=replace(now, sha256=sha256_of(path)))
        except OSError as error:
            return replace(found, outcome="unreadable", error=system_said(error))
        key = np.uint64(short(found.now.sha256))
        at = int(np.searchsorted(self._work.known, key))
        known = at < len(self._work.known) and self._work.known[at] == key
        if known or (self._work.once and not self._desk.claim(file["index"], found.now.sha256)):
            return replace(found, outcome="settled")
        return found if found.video else decoded(found, self._work.options)

    def _looked_at(self, found: Prepared) -> dict[str, Any]:
        """What became of a file that was read."""
        state = {"size": found.now.size, "mtime_ns": found.now.mtime_ns, "sha256": found.now.sha256}
        if found.outcome == "unreadable":
            return {**state, "kind": "unreadable", "error": found.error}
        if found.outcome == "settled":
            return {**state, "kind": "copy"}
        if found.video:
            return {**state, **self._video(found)}
        if not is_same(found.file, found.now):
            return {**state, "kind": "changed"}
        if found.picture is None:
            return {**state, "kind": "damaged", "error": found.damage}
        try:
            seen = self._model(found.picture)
            rows.check(seen, self._work.dim)
        except Exception as error:  # whatever a model does to one picture must not cost the others
            return {**state, "kind": "failed", "error": f"{type(error).__name__}: {error}"}
        seen = seen.take(~self._keeps_out(found.now.sha256, seen, None, None))
        options = self._work.options
        picture, first = self._desk.numbers(len(seen))
        known = Circumstances(
            picture=picture,
            model=self._work.fingerprint,
            camera=options.camera or found.picture.camera,
            time=options.time_from.of(found.file, found.taken, mtime_ns=found.now.mtime_ns),
        )
        if len(seen):
            self._waiting.append(rows.to_rows(seen, first, known))
        more = {"taken": found.taken, "dhash": found.hashed}
        return {**state, **more, "kind": "seen", "picture": picture, "people": len(seen)}

    def _video(self, found: Prepared) -> dict[str, Any]:
        """What became of a video, and everybody in it."""
        tally, frames = VideoTally(), 0
        begun: list[_Collected] = []

        def begin(camera: str | None) -> _Collected:
            begun.append(_Collected(self, found.now.sha256, camera, self._desk.numbers(0)[0]))
            return begun[-1]

        try:  # a video is alone in its portion: what is here is its own
            for _ in look_through(found, begin, self._model, self._work.options, tally, self._work.dim):
                frames += 1
        except ModelFailure as error:
            self._written, self._waiting = [], []
            cause = error.__cause__ or error
            return {"kind": "failed", "error": f"{type(cause).__name__}: {cause}"}
        except InputError as error:
            self._written, self._waiting = [], []
            kind = "damaged" if is_same(found.file, found.now) else "changed"
            return {"kind": kind, "error": str(error)}
        if tally.changed:
            self._written, self._waiting = [], []
            return {"kind": "changed"}
        told: dict[str, Any] = {"frames": frames, "tracklets": tally.tracklets}
        told |= {"damage": tally.damage, "stage": tally.stage}
        return {**told, "kind": "seen", "picture": begun[0].picture, "people": tally.people}

    def _keeps_out(self, sha256: str, seen: Detections, frame: int | None, position: float | None) -> Array:
        """(n,) bool: who was forgotten."""
        work = self._work
        return work.kept_out.keeps_out(sha256, seen, frame, work.fingerprint, work.similarity, position)

    def take(self, people: pa.Table) -> None:
        """Rows on their way into the table."""
        self._waiting.append(people)
        if sum(len(several) for several in self._waiting) >= FLUSH:
            self._flush()

    def _flush(self) -> None:
        if self._waiting:
            self._written += write_people(self._work.table, pa.concat_tables(self._waiting))
            self._waiting = []


class _Collected:
    """The people of one video, whole or not at all: a process that dies begins it again."""

    reached: float | None = None
    error: str | None = None

    def __init__(self, extractor: Extractor, sha256: str, camera: str | None, picture: int) -> None:
        self._extractor, self._sha256, self._camera = extractor, sha256, camera
        self.picture = picture

    def stored(self, since: float) -> Iterator[StoredFrame]:
        """None: what was not finished is not kept."""
        return iter(())

    def tracklets(self) -> int:
        """None."""
        return 0

    def keeps_out(self, pts: int, position: float, seen: Detections) -> Array:
        """Who was forgotten."""
        return self._extractor._keeps_out(self._sha256, seen, pts, position)

    def add(self, moment: Moment, seen: Detections, tracklets: Array) -> None:
        """Take a frame."""
        if not len(seen):
            return
        known = Circumstances(
            picture=self.picture,
            model=self._extractor._work.fingerprint,
            camera=self._camera,
            time=moment.time,
            frame=moment.pts,
            time_base=str(moment.time_base),
            position=moment.position,
        )
        first = self._extractor._desk.numbers(len(seen))[1]
        self._extractor.take(rows.to_rows(seen, first, known, tracklets))

    def failed(self, moment: Moment, said: str) -> None:
        """Nothing to keep: the tally counts it."""

    def finish(self, damage: str | None = None, stage: str = "decode") -> None:
        """All of it was taken."""


def packed(seen: Look) -> bytes:
    """The look of a picture, to be compared elsewhere."""
    height, width = seen.blocks.shape[:2]
    head = np.array([*seen.size, width, height], "<i4")
    return head.tobytes() + np.ascontiguousarray(seen.blocks, np.uint8).tobytes()


def unpacked(data: bytes) -> Look:
    """What :func:`packed` made.

    >>> one = Look((24, 16), np.arange(18, dtype=np.uint8).reshape(2, 3, 3))
    >>> two = unpacked(packed(one))
    >>> two.size, bool((two.blocks == one.blocks).all())
    ((24, 16), True)
    """
    whole_width, whole_height, width, height = np.frombuffer(data, "<i4", 4).tolist()
    blocks = np.frombuffer(data, np.uint8, offset=16).reshape(height, width, 3)
    return Look((whole_width, whole_height), blocks)
