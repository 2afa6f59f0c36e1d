"""LanceDB behind a small face: whole batches, on disk when we say so, errors in one line.

The only module that imports LanceDB, and only when a table is opened. LanceDB commits a
batch by renaming one small file, so a killed process leaves a whole batch or none; but it
never asks the system to put anything on the disk (measured: no fsync), so a power cut could
take back what was acknowledged. Every change here ends with an fsync of the files it made.
"""

from __future__ import annotations

import os
import re
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from personsearch.errors import PersonSearchError
from personsearch.files import disk_errors, sync_folder
from personsearch.types import Array

_KEEP = timedelta(hours=1)
"""How long superseded versions stay for readers that are in the middle of one."""

_SETTLED = 3_000_000_000
"""Nanoseconds; some file systems keep times of change in steps of two seconds."""

_AT_A_TIME = 4096
"""Numbers that rows are looked up by; for more of them, all rows are read."""

_RUNS = 64
"""Runs of whole numbers in one condition that are named by their ends; longer ones first."""


class Table:
    """One table of a gallery.

    Args:
        folder: the gallery.
        name: the table's; its files are in ``folder/NAME.lance``.
        schema: of its rows.
        create: make it, empty; it must not exist yet.
    """

    def __init__(self, folder: Path, name: str, schema: pa.Schema, *, create: bool = False) -> None:
        self.files = folder / f"{name}.lance"
        self.schema = schema
        self._versions = str(self.files / "_versions")
        with self._one_line_errors():
            import lancedb

            database = lancedb.connect(str(folder))
            if create:
                self._table: Any = database.create_table(name, schema=schema)
            else:
                self._table = database.open_table(name)
        # A process that was killed may have left files that are in no disk's memory but the system's, and
        # that later versions build on. The system writes such within a minute; who is older, is there.
        long_ago = time.time_ns() - 3_600_000_000_000
        self._synced: set[tuple[str, int, int]] = {key for key in self._present() if key[2] < long_ago}
        if create:
            self._sync()

    def newest(self) -> int:
        """Go to the newest version, and say which it is."""
        with self._one_line_errors():
            self._table.checkout_latest()
            return int(self._table.version)

    def stamp(self) -> tuple[int, int] | None:
        """Equal to an earlier one only if nobody committed anything in between; None for "cannot be told".

        It costs one look at a folder, where asking LanceDB costs two rounds through its threads. A
        folder's time of change may be as coarse as some seconds: only one that is older than that tells
        changes apart, and one in the future (another machine's clock) tells nothing.
        """
        try:
            about = os.stat(self._versions)  # noqa: PTH116  # asked for by every search
        except OSError:
            return None
        age = time.time_ns() - about.st_mtime_ns
        return (about.st_ino, about.st_mtime_ns) if age > _SETTLED else None

    def __len__(self) -> int:
        with self._one_line_errors():
            return int(self._table.count_rows())

    def batches(self, columns: Sequence[str], where: str | None = None) -> Iterator[pa.RecordBatch]:
        """All rows of the version we are at, some thousand at a time.

        Args:
            columns: of the schema; one that the table on disk does not have yet is all null.
            where: a condition in SQL, from numbers of ours only, never from a user's text.
        """
        with self._one_line_errors():
            present = set(self._table.schema.names)
            query = self._table.search().select([name for name in columns if name in present])
            if where is not None:
                query = query.where(where)
            for batch in query.to_batches(8192):
                yield batch if set(columns) <= present else self._completed(batch, columns)

    def rows_of(
        self, column: str, numbers: Sequence[int], columns: Sequence[str]
    ) -> Iterator[pa.RecordBatch]:
        """The rows whose ``column`` is one of ``numbers``; for many numbers, all rows are read once."""
        wanted = _rising(numbers)
        if len(wanted) <= _AT_A_TIME:
            yield from self.batches(columns, _condition(column, wanted)) if len(wanted) else ()
            return
        for batch in self.batches(list(dict.fromkeys([*columns, column]))):
            found = np.isin(batch.column(column).to_numpy(), wanted)
            if found.any():
                yield batch.filter(pa.array(found)).select(list(columns))

    def _completed(self, batch: pa.RecordBatch, columns: Sequence[str]) -> pa.RecordBatch:
        """``batch`` with nulls for the columns that it lacks."""
        fields = [self.schema.field(name) for name in columns]
        arrays = [
            batch.column(field.name) if field.name in batch.schema.names else pa.nulls(len(batch), field.type)
            for field in fields
        ]
        return pa.RecordBatch.from_arrays(arrays, schema=pa.schema(fields))

    def upgrade(self) -> None:
        """Add the columns of the schema that the table on disk lacks; nobody has them yet."""
        with self._one_line_errors():
            present = set(self._table.schema.names)
            missing = [field for field in self.schema if field.name not in present]
            if not missing:
                return
            needed = [field.name for field in missing if not field.nullable]
            if needed:
                raise PersonSearchError(
                    f"{self.files} is damaged: it has no column {needed[0]}",
                    hint="restore the gallery from a copy, or index into a new one",
                )
            self._table.add_columns(missing)
        self._sync()

    def add(self, rows: pa.Table) -> None:
        """Append ``rows`` in one commit; they are on disk when this returns."""
        with self._one_line_errors():
            self._table.add(rows)
        self._sync()

    def append_written(self, fragments: Sequence[str]) -> None:
        """Append the rows of data files that other processes wrote beside the table, in one commit.

        Args:
            fragments: as :func:`personsearch.gallery.fragments.write_people` gives them.
        """
        import lance

        with self._one_line_errors():
            append = lance.LanceOperation.Append([lance.FragmentMetadata.from_json(f) for f in fragments])
            lance.LanceDataset.commit(str(self.files), append, read_version=self.newest())
            self.newest()
        self._sync()

    def put(self, rows: pa.Table, key: Sequence[str]) -> None:
        """Append ``rows``, replacing those with the same ``key``, in one commit."""
        with self._one_line_errors():
            merge = self._table.merge_insert(list(key))
            merge.when_matched_update_all().when_not_matched_insert_all().execute(rows)
        self._sync()

    def delete(self, column: str, numbers: Sequence[int]) -> None:
        """Delete the rows whose ``column`` is one of ``numbers``: in one look at them, and in one commit."""
        wanted = _rising(numbers)
        if len(wanted):
            with self._one_line_errors():
                self._table.delete(_condition(column, wanted))
        self._sync()

    def tidy(self) -> None:
        """Fold small files into large ones and drop versions that no reader can be in any more."""
        with self._one_line_errors():
            self._table.optimize(cleanup_older_than=_KEEP)
        self._sync()

    def clear(self) -> None:
        """Remove files that no version names: what a process wrote that died before they were committed.

        Only while nobody else writes files that are still to be committed.
        """
        with self._one_line_errors(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that others might be writing
            self._table.optimize(cleanup_older_than=_KEEP, delete_unverified=True)
        self._sync()

    def rewrite(self, keep: Callable[[pa.RecordBatch], pa.RecordBatch] | None = None) -> None:
        """Write all rows into new files in one commit, and remove every older file.

        Deleting marks rows, and the folding of small files leaves a large one with few marks as
        it is (measured): only this takes the bytes of a deleted row off the disk. A reader in
        the middle of an older version has to begin again. Killed on the way, the table is as before
        or as after, perhaps with old files lying about, which the next call removes.

        Args:
            keep: what is kept of each batch; None for all of it.
        """
        with self._one_line_errors():
            kind = self._table.schema

            def kept() -> Iterator[pa.RecordBatch]:
                for batch in self.batches(kind.names):
                    rest = batch if keep is None else keep(batch)
                    yield pa.RecordBatch.from_arrays(rest.columns, schema=kind)

            self._table.add(pa.RecordBatchReader.from_batches(kind, kept()), mode="overwrite")
        self._sync()  # the new is on disk before the old goes
        with self._one_line_errors(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about readers, who begin again
            self._table.optimize(cleanup_older_than=timedelta(0), delete_unverified=True)
        self._sync()

    def versions(self) -> list[int]:
        """The versions that are still there, oldest first."""
        with self._one_line_errors():
            return sorted(int(about["version"]) for about in self._table.list_versions())

    def go_to(self, version: int) -> None:
        """Read an older version; :meth:`newest` returns to the present."""
        with self._one_line_errors():
            self._table.checkout(version)

    def restore(self) -> None:
        """Make the version that :meth:`go_to` went to the newest."""
        with self._one_line_errors():
            self._table.restore()
        self._sync()

    def indexed(self) -> set[str]:
        """The columns that have an index."""
        with self._one_line_errors():
            return {name for index in self._table.list_indices() for name in index.columns}

    def sync(self) -> None:
        """Put on the disk what another library wrote into the table."""
        self._sync()

    def _present(self) -> dict[tuple[str, int, int], Path]:
        """Every file of the table, by what changes when it is written anew under the same name."""
        present = {}
        for where, _, names in os.walk(self.files):
            for name in names:
                path = Path(where, name)
                try:
                    about = path.stat()
                except FileNotFoundError:  # a temporary file, renamed since
                    continue
                present[str(path), about.st_ino, about.st_mtime_ns] = path
        return present

    def _sync(self) -> None:
        """Put everything on disk that was written since the last time."""
        present = self._present()
        fresh = [path for known, path in present.items() if known not in self._synced]
        with disk_errors(self.files):
            for path in fresh:
                try:
                    handle = os.open(path, os.O_RDONLY if os.name == "posix" else os.O_RDWR)
                except FileNotFoundError:
                    continue
                try:
                    os.fsync(handle)
                finally:
                    os.close(handle)
            for folder in {path.parent for path in fresh} | (
                {self.files, self.files.parent} if fresh else set()
            ):
                sync_folder(folder)
        self._synced = set(present)

    @contextmanager
    def _one_line_errors(self) -> Iterator[None]:
        """LanceDB's errors, which carry source lines and whole plans, in our form."""
        with disk_errors(self.files):
            try:
                yield
            except PersonSearchError:
                raise
            except BaseException as error:
                # A panic of LanceDB on a damaged file is a BaseException of its own.
                if not isinstance(error, RuntimeError | OSError | ValueError) and (
                    type(error).__name__ != "PanicException"
                ):
                    raise
                system = re.search(r"os error (\d+)", str(error))
                number = int(system[1]) if system else getattr(error, "errno", None)
                if number in (1, 13, 28, 30, 122):  # disk_errors says these better
                    raise OSError(13 if number == 1 else number, os.strerror(number)) from error
                said = " ".join(str(error).split())[:200]
                raise PersonSearchError(
                    f"{self.files} cannot be used: {said}",
                    hint="restore the gallery from a copy, or index into a new one",
                ) from error


def _rising(numbers: Sequence[int]) -> Array:
    """(n,) int64 each of ``numbers`` once; without those that no column can hold."""
    return np.array(sorted({n for n in numbers if -(2**63) <= n < 2**63}), np.int64)


def _condition(column: str, rising: Array) -> str:
    """``column`` is one of the ``rising`` numbers (n,), of which there is at least one.

    A number costs 30 us and 1.5 kB (measured with 200,000), a run of numbers the same: what is deleted in
    large quantities was mostly written in one go, and is a few runs.

    >>> _condition("picture", np.array([5])), _condition("picture", np.array([2, 3, 4, 9]))
    ('picture IN (5)', 'picture BETWEEN 2 AND 4 OR picture IN (9)')
    """
    breaks = np.flatnonzero(np.diff(rising) > 1) + 1
    firsts, ends = np.append(0, breaks), np.append(breaks, len(rising))
    longest = np.argsort(firsts - ends, kind="stable")[:_RUNS]
    runs = np.sort(longest[(ends - firsts)[longest] > 2])
    alone = np.ones(len(rising), bool)
    parts = []
    for first, end in zip(firsts[runs].tolist(), ends[runs].tolist(), strict=True):
        alone[first:end] = False
        parts.append(f"{column} BETWEEN {rising[first]} AND {rising[end - 1]}")
    if alone.any():
        parts.append(f"{column} IN ({', '.join(map(str, rising[alone].tolist()))})")
    return " OR ".join(parts)
