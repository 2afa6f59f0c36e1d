"""A gallery: everybody who was seen, kept on disk, and finding one of them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import pyarrow as pa

from personsearch.errors import InputError
from personsearch.files import disk_errors, sync_folder
from personsearch.gallery import ledger as records
from personsearch.gallery import people as rows
from personsearch.gallery import removal
from personsearch.gallery.batch import Batch
from personsearch.gallery.cells import GROWTH, Cells, forget_cells, make_cells, read_cells
from personsearch.gallery.description import new_description, read_description, write_calibration
from personsearch.gallery.folder import LOCK, check_free, remove_temporary, remove_unfinished
from personsearch.gallery.forgetting import who_is_older, whom_to_forget
from personsearch.gallery.interrupt import uninterrupted
from personsearch.gallery.ledger import Entry, FileState, Place
from personsearch.gallery.lock import WriterLock
from personsearch.gallery.people import Circumstances
from personsearch.gallery.reading import ReadableGallery
from personsearch.gallery.removal import Receipt, Store
from personsearch.gallery.side import remove_leftovers
from personsearch.gallery.snapshot import State
from personsearch.gallery.suppression import Suppression, read_suppression
from personsearch.gallery.tables import Table
from personsearch.ranking.calibration import Calibration
from personsearch.types import Array, Detections, Similarity


class Gallery(ReadableGallery):
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
        super().__init__(path)
        self._lock = lock
        self._batch = Batch(self._people_table, self._ledger_table, self._note_numbers)
        self._kept_out = read_suppression(path)
        self._next_detection = 1
        if lock is not None:
            remove_temporary(path)
            self._people_table.upgrade()
            self._ledger_table.upgrade()
            remove_leftovers(path, self._about)
            self._sweep()  # before the same numbers of pictures are given again
            removal.finish(self._store())  # that another process died in
            self._about, self._kept_out = read_description(path), read_suppression(path)
            self._next_detection = max(self._next_detection, self._about.numbered + 1)

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
            if not self._batch.broken:  # that was an error already
                self._batch.commit()
        finally:
            self._lock.release()
            self._lock = None

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

    def check(self, seen: Detections) -> None:
        """Raise ValueError for embeddings of another length, and for what is not finite."""
        rows.check(seen, self.dim)

    def keeps_out(
        self, sha256: str, seen: Detections, frame: int | None = None, position: float | None = None
    ) -> Array:
        """(n,) bool: who among ``seen`` in a picture of this content was forgotten and must not be added."""
        return self._kept_out.keeps_out(sha256, seen, frame, self.fingerprint, self.similarity, position)

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

        What the same place held before is replaced. People who were forgotten in a picture of this
        content are left out, and so is whoever looks like an example that was kept of them.

        Raises:
            ValueError: as :meth:`check`.
        """
        self._check_writing()
        self.check(seen)
        out = self.keeps_out(file.sha256, seen, frame)
        if out.any():
            seen = seen.take(~out)
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

    def keep_up(self) -> None:
        """Commit what was added if it waits for long enough already; costs nothing otherwise.

        Whoever adds now and then calls it in between, for a batch ages only while it is looked at.
        """
        self._check_writing()
        if self._batch.is_due():
            self._batch.commit()

    def flush(self) -> None:
        """Commit what was added: whole, on disk, and seen by everybody who searches from now on.

        Raises:
            PersonSearchError: the disk is full, say. The gallery on disk is as after the last
                commit, and this object writes no more.
        """
        self._check_writing()
        self._batch.commit()

    def forget(
        self,
        detections: Collection[int],
        *,
        reason: str = "",
        keep_examples: float | None = None,
        only_count: bool = False,
    ) -> Receipt:
        """Delete people for good, and keep them out when the same pictures are indexed again.

        Everything that overlaps them in their pictures (IoU of at least a half) goes with them. Their
        vectors leave the disk at once: the table is written anew, which at 500,000 people takes
        some seconds. The catch: copies of the folder, pages that were written before, and the
        photographs themselves are not touched; and another picture of the same person, indexed
        later, is not recognised, for nothing is kept to recognise it by.

        Args:
            detections: their numbers, as hits name them.
            reason: for the receipt and the audit log.
            keep_examples: also keep their descriptions, and leave whoever is at least so similar
                out of every picture added from now on. This is the one way in which something of
                the person stays.
            only_count: as for :meth:`prune`; the receipt names everybody who would go.

        Returns:
            What was deleted; it is also in the audit log.

        Raises:
            InputError: one of the numbers is nobody's; nothing was deleted.
        """
        store = self._store_to_remove_from(only_count)
        plan = whom_to_forget(store, detections, keep_examples, self.similarity)
        receipt = removal.new_receipt(store, "forget", plan.detections, plan.pictures, reason, plan.out)
        return receipt if only_count else self._remove(store, receipt, plan.out)

    def prune(
        self, before: float, *, cameras: Sequence[str] = (), reason: str = "", only_count: bool = False
    ) -> Receipt:
        """Delete everybody whose picture is older than ``before`` (seconds since 1970), for good.

        A picture without a time is as old as its entry in the ledger. The files stay known, so
        that indexing them again does not bring the people back; of a video, everything up to
        ``before`` stays out, whichever frames are looked at later.

        Args:
            before: seconds since 1970.
            cameras: only people seen by these.
            reason: for the receipt and the audit log.
            only_count: delete nobody, and give the receipt that it would have been; a gallery that
                is open for reading can do that, too.
        """
        store = self._store_to_remove_from(only_count)
        plan = who_is_older(store, before, cameras)
        receipt = removal.new_receipt(store, "prune", plan.detections, plan.pictures, reason, plan.out)
        return receipt if only_count or not plan.detections else self._remove(store, receipt, plan.out)

    def maintain(self, *, cells: bool | None = None) -> Cells | None:
        """Fold small files into large ones, and drop versions that no reader can be in any more.

        Args:
            cells: sort people into cells anew, for searches that need not be exact; by default
                only where there are cells already, and twice as many people since.

        Returns:
            The cells, where there are any.
        """
        self._check_writing()
        self._batch.commit()
        with uninterrupted():
            self._people_table.tidy()
            self._ledger_table.tidy()
        return self._sorted_into_cells(cells)

    def _sorted_into_cells(self, wanted: bool | None) -> Cells | None:
        if wanted is False:
            forget_cells(self.path)
            return None
        try:
            known = read_cells(self.path, self.fingerprint)
        except InputError:  # damaged: it is made anew
            known, wanted = None, True
        grown = known is not None and self.people >= GROWTH * len(known.detection)
        if not wanted and not grown:
            return known
        made = make_cells(self._newest().people, self.similarity, self.fingerprint)
        made.write(self.path)
        return made

    def _store_to_remove_from(self, only_count: bool) -> Store:
        if not only_count:
            self._check_writing()
        if self._lock is not None:
            self._batch.commit()
        return self._store()

    def _store(self) -> Store:
        return Store(
            path=self.path,
            about=self._about,
            people=self._people_table,
            table=self._ledger_table,
            ledger=self._ledger,
        )

    def _remove(self, store: Store, receipt: Receipt, out: Suppression) -> Receipt:
        removal.remove(store, receipt, out.under(receipt.receipt))
        self._about = store.about
        self._kept_out = read_suppression(self.path)
        return receipt

    def _newest(self) -> State:
        """The newest state, with what this object has written."""
        if self._lock is None:
            return super()._newest()
        self._batch.commit()
        return self._snapshot.newest(self._ledger)

    def _check_writing(self) -> None:
        if self._lock is None:
            raise ValueError("this gallery is not open for writing: use Gallery.open(path, writable=True)")

    def _note_numbers(self) -> None:
        """Note the numbers given so far, before people who have some of them are deleted."""
        given = self._next_detection - 1
        if given > self._about.numbered:
            self._about = replace(self._about, numbered=given)
            self._about.write(self.path)

    def _sweep(self) -> None:
        """Delete people without an entry, left by a writer that died; from which number on all are free."""
        batches = list(self._people_table.batches(["detection", "picture"]))
        pictures = {number for batch in batches for number in np.unique(batch.column("picture")).tolist()}
        orphans = sorted(pictures - set(self._ledger.known().tolist()))
        most = max((int(np.max(batch.column("detection"))) for batch in batches if len(batch)), default=0)
        self._next_detection = max(most, self._about.numbered) + 1
        if orphans:
            self._note_numbers()
            self._people_table.delete("picture", orphans)
