"""Everybody described anew by another model, beside the old descriptions, until the new ones are whole."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from personsearch.errors import InputError, PersonSearchError
from personsearch.files import disk_errors, sha256_of, sync_folder
from personsearch.gallery import ledger as records
from personsearch.gallery import people as rows
from personsearch.gallery.batch import Batch
from personsearch.gallery.description import Description, read_description, write_calibration
from personsearch.gallery.folder import LOCK
from personsearch.gallery.gallery import Gallery
from personsearch.gallery.interrupt import uninterrupted
from personsearch.gallery.ledger import Entry, Ledger
from personsearch.gallery.lock import WriterLock
from personsearch.gallery.named import NamedPeople
from personsearch.gallery.side import FILE, Side, read_side, remove_leftovers, remove_tables
from personsearch.gallery.snapshot import read_ledger
from personsearch.gallery.suppression import read_suppression
from personsearch.gallery.tables import Table
from personsearch.progress import Progress, silent
from personsearch.ranking.calibration import Calibration
from personsearch.types import Array, Embedder, Failure, Picture

Loader = Callable[[Path, int | None, float | None], Picture]
"""Decodes a file; of a video the frame with this time stamp, so many seconds after the first."""

AT_A_TIME = 256
"""Pictures whose people are read at once."""

MODEL_FAILURES = 20
"""After so many pictures in a row that the model failed on, the model is at fault."""


@dataclass(frozen=True, kw_only=True)
class MigrationReport:
    """What a migration did.

    Attributes:
        gallery: the folder.
        before, after: fingerprints of the models.
        pictures, people: described anew by this run.
        kept: pictures that an earlier, interrupted run had finished.
        failures: pictures that could not be read or described.
        finished: whether the new model has taken over; if not, the old one still answers.
        kept_examples: descriptions kept of forgotten people that are another model's, and keep nobody out
            under the new one.
        saved_people: named people without an example of theirs by the new model.
        seconds: of this run.
    """

    gallery: str
    before: str
    after: str
    pictures: int
    people: int
    kept: int
    failures: tuple[Failure, ...]
    finished: bool
    kept_examples: int
    saved_people: int
    seconds: float


def migrate(
    path: Path | str,
    embedder: Embedder,
    load: Loader,
    *,
    calibration: Calibration | None = None,
    leave_out_failed: bool = False,
    progress: Progress = silent,
) -> MigrationReport:
    """Let another model describe everybody in a gallery, in the boxes that they have.

    Until the last picture is done, the old model's descriptions answer every search; then one file
    is written, and the new ones do. Killed at any moment, the same call goes on; meanwhile pictures
    may be added and people forgotten, and both are respected when it goes on.

    The catch: boxes and scores stay the old detector's. Pictures have to be there unchanged: people
    in pictures whose files are gone leave the gallery when the new model takes over.

    Args:
        path: the gallery.
        embedder: the new model.
        load: decodes a picture, or a frame of a video.
        calibration: of the new model.
        leave_out_failed: take over even though some pictures failed; they count as failed files
            then, and the next indexing tries them.
        progress: told of every picture.

    Raises:
        InputError: there is no gallery.
        LockedError: somebody else is writing.
        PersonSearchError: an unfinished migration to a third model is in the way; or the disk is full.
    """
    started = time.monotonic()
    with Gallery.open(path, writable=True) as gallery:
        about = read_description(gallery.path)
        if embedder.fingerprint == about.fingerprint:
            raise InputError(
                f"{path} holds the people as this very model describes them",
                hint="give another model with --model",
            )
        run = _Run.begin(gallery, about, embedder, load)
        run.describe(Table(gallery.path, about.people_table, rows.schema(about.dim)), progress)
        finished = leave_out_failed or not run.failures
        if finished:
            run.take_over(calibration)
    kept = read_suppression(gallery.path).examples
    people = NamedPeople(gallery.path)
    return MigrationReport(
        gallery=str(path),
        before=about.fingerprint,
        after=embedder.fingerprint,
        pictures=run.pictures,
        people=run.described,
        kept=run.kept,
        failures=tuple(run.failures),
        finished=finished,
        kept_examples=sum(example.fingerprint != embedder.fingerprint for example in kept),
        saved_people=sum(not len(people.load(n).vectors(embedder.fingerprint)) for n in people.names()),
        seconds=time.monotonic() - started,
    )


def abandon(path: Path | str) -> bool:
    """Give an unfinished migration up and remove what it wrote; whether there was one."""
    path = Path(path)
    about = read_description(path)
    lock = WriterLock(path / LOCK)  # not Gallery.open: it would refuse a damaged migration.json
    try:
        if not (path / FILE).exists():
            return False
        with suppress(InputError):
            remove_leftovers(path, about)  # of one that did finish
        if (path / FILE).exists():
            remove_tables(path, about.generation + 1)
            with disk_errors(path):
                (path / FILE).unlink()
                sync_folder(path)
    finally:
        lock.release()
    return True


@dataclass(eq=False, kw_only=True)
class _Run:
    """One run of a migration: the tables beside the old ones, and what was done."""

    gallery: Gallery
    about: Description
    side: Side
    embedder: Embedder
    load: Loader
    people: Table
    table: Table
    ledger: Ledger
    batch: Batch
    pictures: int = 0
    described: int = 0
    kept: int = 0
    failures: list[Failure] = field(default_factory=list)

    @staticmethod
    def begin(gallery: Gallery, about: Description, embedder: Embedder, load: Loader) -> _Run:
        """Open the tables beside the old ones, or make them."""
        path = gallery.path
        side = read_side(path)
        if side is not None and side.fingerprint != embedder.fingerprint:
            raise PersonSearchError(
                f"{path} is being migrated to model {side.fingerprint[:12]}, not {embedder.fingerprint[:12]}",
                hint="finish that one, or give it up with: personsearch gallery migrate --abandon",
            )
        if side is None:
            side = Side(
                fingerprint=embedder.fingerprint,
                dim=embedder.dim,
                similarity=embedder.similarity,
                generation=about.generation + 1,
            )
            side.write(path)
        people, table = side.tables(path)
        ledger, batch = read_ledger(table), Batch(people, table)
        run = _Run(
            gallery=gallery,
            about=about,
            side=side,
            embedder=embedder,
            load=load,
            people=people,
            table=table,
            ledger=ledger,
            batch=batch,
        )
        run._sweep()
        return run

    def _sweep(self) -> None:
        """Delete people whom a run that died had not recorded yet."""
        batches = list(self.people.batches(["picture"]))
        there = {n for batch in batches for n in np.unique(batch.column("picture").to_numpy()).tolist()}
        debris = sorted(there - set(self.ledger.known().tolist()))
        if debris:
            self.people.delete("picture", debris)

    def is_done(self, entry: Entry) -> bool:
        """Whether this picture was described, with just the people whom it has now."""
        if entry.picture is None or self.ledger.picture_of(entry.sha256) != entry.picture:
            return False
        return self.ledger.entry_of(entry.picture).people == entry.people

    def describe(self, old: Table, progress: Progress) -> None:
        """Describe every picture that is searched and not described yet."""
        wanted = {
            entry.picture: entry
            for entry in self.gallery.entries()
            if entry.state == "done" and entry.picture is not None
        }
        todo = [entry for entry in wanted.values() if not self.is_done(entry)]
        self.kept = len(wanted) - len(todo)
        in_a_row = 0
        work = self._with_people(todo, old)
        for entry, known in progress(work, "describing anew", total=len(wanted), done=self.kept):
            file = self.gallery.file(entry.place)
            try:
                self._describe(entry, known)
                in_a_row = 0
            except InputError as error:
                self._fail(file, "decode", str(error))
            except PersonSearchError:
                raise  # the disk is full, say
            except Exception as error:  # whatever a model does to one picture must not cost the others
                self._fail(file, "embed", f"{type(error).__name__}: {error}")
                in_a_row += 1
                if in_a_row >= MODEL_FAILURES:
                    raise PersonSearchError(
                        f"the model failed on {MODEL_FAILURES} pictures in a row: {error}",
                        hint="the old model still answers; when the new one is mended, run the same again",
                    ) from error
        self.batch.commit()

    def _with_people(self, todo: list[Entry], old: Table) -> Iterator[tuple[Entry, pa.Table]]:
        """Each entry with the old rows of its people, which are read for some pictures at a time."""
        for start in range(0, len(todo), AT_A_TIME):
            several = todo[start : start + AT_A_TIME]
            numbers = [entry.picture for entry in several if entry.picture is not None]
            batches = list(old.rows_of("picture", numbers, old.schema.names))
            table = pa.Table.from_batches(batches, batches[0].schema if batches else old.schema)
            pictures = table.column("picture").to_numpy()
            for entry in several:
                yield entry, table.filter(pa.array(pictures == entry.picture))

    def _describe(self, entry: Entry, known: pa.Table) -> None:
        """Take one picture over: the same people, described by the new model."""
        if entry.picture is None:
            raise ValueError("a picture that is described has a number")
        vectors = np.zeros((len(known), self.side.dim), np.float32)
        if len(known):
            file = self._file(entry)
            boxes = rows.unfixed(known.column("box_xyxy").combine_chunks(), 4)
            names = ("frame", "position")
            frames = list(zip(*(known.column(name).to_pylist() for name in names), strict=True))
            for frame, position in sorted(set(frames), key=lambda shown: (shown[1] or 0.0, shown[0] or 0)):
                mine = np.array([i for i, other in enumerate(frames) if other == (frame, position)])
                vectors[mine] = self._embedded(self.load(file, frame, position), boxes[mine])
        schema = rows.schema(self.side.dim)
        fresh = {
            "vector": rows.fixed(vectors),
            "model": pa.array([self.side.fingerprint] * len(known), pa.string()),
        }
        columns = [fresh.get(name, known.column(name)) for name in schema.names]
        new = pa.Table.from_arrays(columns, schema=schema) if len(known) else None
        entry = replace(entry, recorded=time.time())
        replaces = self.ledger.get(entry.place) is not None
        self.batch.put(entry, new, replaces=replaces, orphan=self.ledger.put(entry))
        self.pictures += 1
        self.described += len(known)
        if self.batch.is_due():
            self.batch.commit()

    def _file(self, entry: Entry) -> Path:
        """A file that still has the content of this picture."""
        for other in self.gallery.entries_of(entry):
            file = self.gallery.file(other.place)
            try:
                if sha256_of(file) == entry.sha256:
                    return file
            except OSError:
                continue
        raise InputError(f"{self.gallery.file(entry.place)} is gone or was changed since it was indexed")

    def _embedded(self, picture: Picture, boxes: Array) -> Array:
        """(n, d) what the new model says; ValueError for what no model may say."""
        vectors = np.asarray(self.embedder.embed(picture, boxes), np.float32)
        if vectors.shape != (len(boxes), self.side.dim) or not np.isfinite(vectors).all():
            raise ValueError(
                f"{len(boxes)} boxes were described by {vectors.shape} numbers, or not finite ones"
            )
        return vectors

    def _fail(self, file: Path, stage: str, error: str) -> None:
        path = str(file).encode("utf-8", "backslashreplace").decode()
        self.failures.append(Failure(path=path, stage=stage, error=" ".join(error.split())[:300]))

    def take_over(self, calibration: Calibration | None) -> None:
        """Make the new descriptions the gallery's: one file decides it, then the old ones go."""
        path, side = self.gallery.path, self.side
        entries = [self._final(entry) for entry in self.gallery.entries()]
        with uninterrupted():
            if entries:
                self.table.put(records.to_rows(entries), records.KEY)
            for entry in entries:
                self.ledger.put(entry)
            known = self.ledger.known()

            def named(batch: pa.RecordBatch) -> pa.RecordBatch:
                return batch.filter(pa.array(np.isin(batch.column("picture").to_numpy(), known)))

            self.people.rewrite(named)
            if calibration is not None:
                write_calibration(path, calibration, side.generation)
            now = replace(
                self.about,
                fingerprint=side.fingerprint,
                dim=side.dim,
                similarity=side.similarity,
                generation=side.generation,
                numbered=self.gallery._next_detection - 1,  # whoever is left out had a number, too
            )
            now.write(path)  # with it, and not before, the new model answers
            remove_leftovers(path, now)

    def _final(self, entry: Entry) -> Entry:
        """What the new ledger says of a file."""
        if entry.state == "done" and entry.picture is not None and not self.is_done(entry):
            return replace(
                entry,
                state="failed",
                picture=None,
                people=0,
                size=-1,
                mtime_ns=-1,
                stage="migrate",
                error="it could not be described by the new model; index it again",
            )
        return entry if entry.state == "done" else replace(entry, picture=None, people=0)
