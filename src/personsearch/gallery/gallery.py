"""A gallery: everybody who was seen, kept on disk, and finding one of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import pyarrow as pa

from personsearch.files import disk_errors, sha256_of, sync_folder
from personsearch.gallery import ledger as records
from personsearch.gallery import people as rows
from personsearch.gallery.batch import Batch
from personsearch.gallery.description import (
    new_description,
    read_calibration,
    read_description,
    write_calibration,
)
from personsearch.gallery.folder import LOCK, check_free, remove_unfinished
from personsearch.gallery.ledger import Entry, FileState, Ledger, Place
from personsearch.gallery.lock import WriterLock
from personsearch.gallery.people import Circumstances, Per
from personsearch.gallery.snapshot import Snapshot, State, read_ledger
from personsearch.gallery.tables import Table
from personsearch.ranking.calibration import Calibration
from personsearch.types import Array, Detections, Hit, Query, SearchResult, Similarity


class Gallery:
    """People already seen: a folder on disk that one process writes and many read.

    ``Gallery.create(...)`` and ``Gallery.open(path, writable=True)`` write, and hold the
    folder's lock until they are closed; ``Gallery.open(path)`` reads. What was added is on disk
    after :meth:`flush`, which also happens by itself every batch, in :meth:`search` and in
    :meth:`close`; a process that dies before loses the last batch and nothing else. Use it as a
    context manager. A gallery opened for reading may be searched from several threads; one opened
    for writing belongs to one thread.
    """

    def __init__(self, path: Path, lock: WriterLock | None) -> None:
        """Not for callers: see :meth:`create` and :meth:`open`."""
        self.path = path
        self._lock = lock
        self._about = read_description(path)
        self.calibration = read_calibration(path)
        self._people_table = Table(path, "people", rows.schema(self._about.dim))
        self._ledger_table = Table(path, "ledger", records.SCHEMA)
        self._ledger = read_ledger(self._ledger_table)
        self._batch = Batch(self._people_table, self._ledger_table)
        self._next_detection = 1 if lock is None else self._sweep() + 1
        self._snapshot = Snapshot(path, self._people_table, self._ledger_table, self._about.dim)

    @classmethod
    def create(
        cls,
        path: Path | str,
        fingerprint: str,
        dim: int,
        similarity: Similarity,
        calibration: Calibration | None = None,
    ) -> Self:
        """A new, empty gallery in the folder ``path``, open for writing.

        Args:
            path: a folder that does not exist or is empty.
            fingerprint, dim, similarity: of the model whose embeddings will be added.
            calibration: turns similarities of that model into probabilities.

        Raises:
            InputError: there is something in ``path`` already.
            LockedError: another process is making a gallery there.
        """
        path = Path(path)
        about = new_description(fingerprint, dim, similarity)
        check_free(path)
        with disk_errors(path):
            path.mkdir(parents=True, exist_ok=True)
        lock = WriterLock(path / LOCK)
        try:
            check_free(path)
            remove_unfinished(path)
            Table(path, "people", rows.schema(dim), create=True)
            Table(path, "ledger", records.SCHEMA, create=True)
            if calibration is not None:
                write_calibration(path, calibration)
            about.write(path)  # last: with it, and not before, this is a gallery
            sync_folder(path.parent)
            return cls(path, lock)
        except BaseException:
            lock.release()
            raise

    @classmethod
    def open(cls, path: Path | str, writable: bool = False) -> Self:
        """The gallery in the folder ``path``.

        Raises:
            InputError: there is none, or it is damaged.
            PersonSearchError: a newer version made it.
            LockedError: ``writable``, and another process is writing, and who.
        """
        path = Path(path)
        read_description(path)
        if not writable:
            return cls(path, None)
        lock = WriterLock(path / LOCK)
        try:
            return cls(path, lock)
        except BaseException:
            lock.release()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Commit what was added and let others write. Calling it again does nothing."""
        if self._lock is None:
            return
        try:
            self._batch.commit()
        finally:
            self._lock.release()
            self._lock = None

    @property
    def fingerprint(self) -> str:
        """The model that described everybody in here."""
        return self._about.fingerprint

    @property
    def dim(self) -> int:
        """Length of an embedding."""
        return self._about.dim

    @property
    def similarity(self) -> Similarity:
        """How embeddings are compared."""
        return self._about.similarity

    @property
    def created(self) -> str:
        """When, ISO 8601, UTC."""
        return self._about.created

    @property
    def pictures(self) -> int:
        """How many different pictures are searched (copies of one count once)."""
        return len(self._ledger.live())

    @property
    def people(self) -> int:
        """How many people are searched."""
        return sum(self._ledger.live().values())

    def check_model(self, fingerprint: str) -> None:
        """Raise ModelMismatch unless ``fingerprint`` is that of this gallery's model."""
        self._about.check_model(fingerprint, self.path)

    def entries(self) -> Iterator[Entry]:
        """What is known of every file, in the order in which they were first seen."""
        return iter(self._ledger)

    def entry(self, place: Place) -> Entry | None:
        """What is known of the file at ``place``."""
        return self._ledger.get(place)

    def file(self, place: Place) -> Path:
        """Where the file at ``place`` is now."""
        return self._about.file(place, self.path)

    def place(self, file: Path | str) -> Place | None:
        """What the ledger calls ``file``; None outside of every folder that was indexed."""
        return self._about.place(Path(file), self.path)

    def add_source(self, folder: Path | str) -> None:
        """Let the files below ``folder`` have places in the ledger.

        Raises:
            InputError: its path cannot be written down in UTF-8.
        """
        self._check_writing()
        about = self._about.including(Path(folder), self.path)
        if about is not self._about:
            about.write(self.path)
            self._about = about

    def picture_of(self, sha256: str) -> int | None:
        """The number of the picture with this content, if its people are stored."""
        return self._ledger.picture_of(sha256)

    def is_live(self, picture: int) -> bool:
        """Whether a file with this picture's content is present."""
        return self._ledger.is_live(picture)

    def check(self, seen: Detections) -> None:
        """Raise ValueError for embeddings of another length, and for what is not finite."""
        if len(seen) and seen.embeddings.shape[1] != self.dim:
            raise ValueError(f"embeddings have {seen.embeddings.shape[1]} numbers, the gallery's {self.dim}")
        for name in ("boxes", "scores", "embeddings"):
            if not np.isfinite(getattr(seen, name)).all():
                raise ValueError(f"{name} of the detections are not finite")

    def add_picture(
        self,
        file: FileState,
        seen: Detections,
        *,
        camera: str | None = None,
        time: float | None = None,
        frame: int | None = None,
        dhash: int | None = None,
    ) -> int:
        """Record that ``seen`` (it may be nobody) were in ``file``; the number of the picture.

        What the same place held before is replaced. ValueError as :meth:`check`.
        """
        self._check_writing()
        self.check(seen)
        number = self._ledger.newest_picture + 1
        people = None
        if len(seen):
            known = Circumstances(
                picture=number, model=self.fingerprint, camera=camera, time=time, frame=frame
            )
            people = rows.to_rows(seen, self._next_detection, known)
            self._next_detection += len(seen)
        self._record(file, people, state="done", picture=number, people=len(seen), dhash=dhash)
        return number

    def add_place(self, file: FileState, picture: int) -> None:
        """Record that ``file`` holds a ``picture`` whose people are stored already."""
        self._check_writing()
        same = self._ledger.entry_of(picture)
        known = {name: getattr(same, name) for name in ("people", "dhash", "sampling", "stage", "error")}
        self._record(file, state="done", picture=picture, **known)

    def add_failure(self, file: FileState, stage: str, error: str) -> Entry:
        """Record that ``file`` could not be used, and why; what is then known of it."""
        self._check_writing()
        old = self._ledger.get(file.place)
        attempts = 1
        if old and (old.state, old.size, old.mtime_ns) == ("failed", file.size, file.mtime_ns):
            attempts = old.attempts + 1
        return self._record(file, state="failed", stage=stage, error=error, attempts=attempts)

    def mark_missing(self, place: Place) -> None:
        """Record that there is no file at ``place`` any more: its people are kept, but not searched."""
        self._check_writing()
        old = self._ledger.get(place)
        if old is None:
            raise ValueError(f"nothing is known of {place}")
        file = FileState(place=place, size=old.size, mtime_ns=old.mtime_ns, sha256=old.sha256)
        names = () if old.state == "partial" else ("picture", "people", "dhash", "sampling")
        self._record(file, state="missing", **{name: getattr(old, name) for name in names})

    def _record(self, file: FileState, rows: pa.Table | None = None, **known: Any) -> Entry:
        """Put an entry into the batch, and commit the batch when it is large or old enough."""
        place = file.place
        entry = Entry(
            source=place.source,
            path=place.path,
            size=file.size,
            mtime_ns=file.mtime_ns,
            sha256=file.sha256,
            **known,
        )
        replaces = self._ledger.get(place) is not None
        self._batch.put(entry, rows, replaces=replaces, orphan=self._ledger.put(entry))
        if self._batch.is_due():
            self._batch.commit()
        return entry

    def flush(self) -> None:
        """Commit what was added: whole, on disk, and seen by everybody who searches from now on.

        Raises:
            PersonSearchError: the disk is full, say. The gallery on disk is as after the last
                commit, and this object writes no more.
        """
        self._check_writing()
        self._batch.commit()

    def search(
        self,
        embedding: Array,
        k: int = 20,
        *,
        fingerprint: str,
        query: Query,
        per: Per = "picture",
        exclude_picture: Path | str | None = None,
        min_score: float = 0.5,
    ) -> SearchResult:
        """The ``k`` people most like ``embedding``, exactly, in the newest state of the gallery.

        Args:
            embedding: (d,) raw, of the person looked for.
            k: how many hits at most.
            fingerprint: the model that made ``embedding``.
            query: whom we look for, passed on to the result.
            per: ``"picture"`` gives the best person of each picture, for one person cannot be
                two of its people (of a video, of each tracklet); ``"person"`` gives everybody.
            exclude_picture: a file whose people (and those of its copies) are no answer, such
                as the query's own, wherever it lies. A content that the gallery does not know
                excludes nobody.
            min_score: people whom the detector was less sure of are no answer. They are
                stored all the same: 0 searches everything.

        Raises:
            ModelMismatch: ``embedding`` is of another model.
            PersonSearchError: people are missing that the ledger promises.
        """
        self.check_model(fingerprint)
        embedding = np.asarray(embedding, np.float32)
        if embedding.shape != (self.dim,) or not np.isfinite(embedding).all():
            raise ValueError(f"an embedding is ({self.dim},) finite numbers, got shape {embedding.shape}")
        if k < 1 or per not in ("picture", "person"):
            raise ValueError(f"k must be at least 1 and per 'picture' or 'person', got {k}, {per!r}")
        state = self._newest()
        without = None if exclude_picture is None else self._picture_in(Path(exclude_picture), state.ledger)
        chosen, alike = state.people.best(embedding, k, self.similarity, per, without, min_score)
        return SearchResult(
            query=query,
            hits=self._hits(state, chosen, alike),
            gallery=str(self.path),
            model=self.fingerprint,
            similarity=self.similarity,
            pictures=state.pictures,
            people=len(state.people),
        )

    def _picture_in(self, file: Path, ledger: Ledger) -> int | None:
        """The picture in ``file``: by its place, else by its content; None for one that is not known."""
        place = self.place(file)
        entry = None if place is None else ledger.get(place)
        if entry is not None:
            return entry.picture
        try:
            return ledger.picture_of(sha256_of(file))
        except OSError:
            return None

    def _hits(self, state: State, chosen: Array, alike: Array) -> tuple[Hit, ...]:
        """The people in the rows ``chosen``, with all that is known of them."""
        people = state.people
        chances = None if self.calibration is None else self.calibration.probability(alike)
        hits = []
        for rank, row in enumerate(chosen.tolist()):
            camera, taken, position, piece = people.circumstances(row)
            hit = Hit(
                rank=rank + 1,
                similarity=float(alike[rank]),
                picture=str(self.file(state.ledger.place_of(int(people.picture[row])))),
                box=people.box[row],
                score=float(people.score[row]),
                detection=int(people.detection[row]),
                probability=None if chances is None else float(chances[rank]),
                camera=camera,
                time=taken,
                position=position,
                span=piece,
            )
            hits.append(hit)
        return tuple(hits)

    def _newest(self) -> State:
        """The newest state, with what this object or other processes have written."""
        if self._lock is not None:
            self._batch.commit()
            return self._snapshot.newest(self._ledger)
        state = self._snapshot.newest()
        if state.ledger is not self._ledger:
            self._about = read_description(self.path)  # first: new entries may be of new sources
            self._ledger = state.ledger
        return state

    def _check_writing(self) -> None:
        if self._lock is None:
            raise ValueError("this gallery is not open for writing: use Gallery.open(path, writable=True)")

    def _sweep(self) -> int:
        """Delete people without an entry, left by a writer that died; the largest number given so far."""
        for table in (self._people_table, self._ledger_table):
            table.upgrade()
        batches = list(self._people_table.batches(["detection", "picture"]))
        pictures = {number for batch in batches for number in np.unique(batch.column("picture")).tolist()}
        orphans = sorted(pictures - set(self._ledger.known().tolist()))
        if orphans:
            self._people_table.delete("picture", orphans)
        return max((int(np.max(batch.column("detection"))) for batch in batches if len(batch)), default=0)
