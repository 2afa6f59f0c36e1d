"""The newest state of a gallery in memory, read again only when somebody changed it."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa

from personsearch.errors import PersonSearchError
from personsearch.gallery.cells import Located, read_cells
from personsearch.gallery.filters import Filter
from personsearch.gallery.ledger import SCHEMA, Ledger
from personsearch.gallery.matrix import Chosen
from personsearch.gallery.people import People
from personsearch.gallery.tables import Table
from personsearch.types import Array


def read_ledger(table: Table) -> Ledger:
    """All entries of the version that ``table`` is at."""
    return Ledger.from_batches(table.batches(SCHEMA.names))


class LedgerReader:
    """Reads a ledger again and again; where rows were only appended, as by indexing, those alone.

    Rows to entries is the slow part: a second for 100,000 files. Reading the rows and comparing them with
    those of the last time, which are kept for that, is a tenth of it.
    """

    def __init__(self, table: Table) -> None:
        self.table = table
        self._version: int | None = None
        self._rows: pa.Table | None = None
        self._ledger = Ledger()

    def newest(self) -> Ledger:
        """The ledger of the newest version; another object after every change."""
        version = self.table.newest()
        if version == self._version:
            return self._ledger
        batches = list(self.table.batches(SCHEMA.names))
        rows = pa.Table.from_batches(batches, batches[0].schema if batches else SCHEMA)
        known = 0 if self._rows is None else len(self._rows)
        if known and known <= len(rows) and rows.slice(0, known).equals(self._rows):
            self._ledger = self._ledger.followed_by(rows.slice(known).to_batches())
        else:
            self._ledger = Ledger.from_batches(rows.to_batches())
        self._version, self._rows = version, rows
        return self._ledger

    def release(self) -> None:
        """Keep nothing: a writer has the newest ledger itself, and changes it."""
        self._version, self._rows, self._ledger = None, None, Ledger()


@dataclass(frozen=True, eq=False, kw_only=True)
class State:
    """What a gallery holds at one moment: its ledger, who is searched, in how many pictures.

    ``named`` keeps which people are in the pictures that some globs name: thousands of paths are
    not matched again for every query. ``chosen`` keeps who meets some conditions, of any score above one.
    ``cells`` keeps the people sorted into cells, once asked for. ``paths`` keeps, by the folder of
    a gallery's only source, the whole path of every picture that was a hit.
    """

    ledger: Ledger
    people: People
    pictures: int
    named: dict[tuple[str, ...], Array] = field(default_factory=dict)
    chosen: dict[tuple[Filter, float], Chosen] = field(default_factory=dict)
    cells: list[Located | None] = field(default_factory=list)
    paths: dict[str, dict[int, str]] = field(default_factory=dict)

    def located(self, path: Path, fingerprint: str) -> Located | None:
        """The people in the cells kept with the gallery at ``path``; None where there are none."""
        if not self.cells:
            kept = read_cells(path, fingerprint)
            self.cells.append(None if kept is None else kept.of(self.people))
        return self.cells[0]


class Snapshot:
    """Ledger and people that belong together, though two tables hold them and others write."""

    def __init__(self, path: Path, people: Table, ledger: LedgerReader, dim: int) -> None:
        self._path, self._people_table, self._ledger_reader, self._dim = path, people, ledger, dim
        self._ledger_table = ledger.table
        self._reading = threading.Lock()
        self._versions: tuple[int, int] | None = None
        self._stamps: tuple[object, object] = None, None
        self._state: State | None = None

    def newest(self, written: Ledger | None = None) -> State:
        """The newest state; safe to call from several threads.

        Args:
            written: the ledger of a writer, which is the newest by definition.

        Raises:
            PersonSearchError: people are missing that the ledger promises.
        """
        with self._reading:
            if written is not None:
                self._ledger_reader.release()
            stamps = self._ledger_table.stamp(), self._people_table.stamp()
            if self._state is not None and None not in stamps and stamps == self._stamps:
                return self._state
            # Taken before the versions: what comes between changes the next ones. Kept only once this
            # state was read, or a search after one that failed would be answered from the last one.
            for attempt in range(10):
                versions = self._ledger_table.newest(), self._people_table.newest()
                if self._state is not None and self._versions == versions:
                    self._stamps = stamps
                    return self._state
                try:
                    ledger = self._ledger_reader.newest() if written is None else written
                    live = ledger.live()
                    people = self._read_people(live)
                except PersonSearchError:
                    # Files of an older version go when somebody is forgotten: look again then.
                    if attempt == 9 or not self._has_moved(versions):
                        raise
                    continue
                wrong = _wrong(people.picture, live)
                if wrong:
                    del people  # before everybody is read again
                else:
                    self._versions, self._stamps = versions, stamps
                    self._state = State(ledger=ledger, people=people, pictures=len(live))
                    return self._state
                if not self._has_moved(versions):
                    break  # otherwise a writer came between the two tables: look again
        raise PersonSearchError(
            f"{self._path} is damaged: people of {wrong} pictures are not all there",
            hint=f"personsearch gallery verify --gallery {self._path} --repair, or restore a copy",
        )

    def _has_moved(self, versions: tuple[int, int]) -> bool:
        return (self._ledger_table.newest(), self._people_table.newest()) != versions

    def _read_people(self, live: dict[int, int]) -> People:
        """The people of the ``live`` pictures; of those that are in memory already, only the new ones.

        A row never changes and a new one has a larger number, except where people were forgotten
        or a picture came back: then the counts are wrong, and everything is read.
        """
        pictures = np.array(sorted(live), np.int64)
        if self._state is not None and len(self._state.people):
            old = self._state.people
            new = list(self._people_table.batches(People.COLUMNS, f"detection > {old.newest}"))
            each = [old.picture, *(batch.column("picture").to_numpy() for batch in new)]
            if not _wrong(np.concatenate(each), live):  # counted before the old ones are copied: memory
                kept = old.of_pictures(pictures)
                return kept.followed_by(new, pictures, sum(len(batch) for batch in new))
            # Everything is read anew: were the old ones kept meanwhile, memory would hold everybody twice.
            # Should reading fail, the next call begins with nothing.
            self._state = None
            del old, new, each
        batches = self._people_table.batches(People.COLUMNS)
        return People.load(batches, pictures, len(self._people_table), self._dim)


def _wrong(picture: Array, live: dict[int, int]) -> int:
    """Of how many pictures there are more or fewer people than the ledger says, by whose each is (n,)."""
    pictures = np.fromiter(live.keys(), np.int64, len(live))
    promised = np.fromiter(live.values(), np.int64, len(live))
    there, counts = np.unique(picture, return_counts=True)
    if not len(there):
        return int(np.count_nonzero(promised))
    at = np.minimum(np.searchsorted(there, pictures), len(there) - 1)
    found = np.where(there[at] == pictures, counts[at], 0)
    return int(np.count_nonzero(found != promised))
