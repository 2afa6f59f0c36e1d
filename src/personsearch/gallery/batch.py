"""What was added and is not committed yet, and how it is committed."""

from __future__ import annotations

import time
from collections.abc import Callable

import pyarrow as pa

from personsearch.errors import PersonSearchError
from personsearch.gallery import ledger as records
from personsearch.gallery.interrupt import uninterrupted
from personsearch.gallery.ledger import Entry, Place
from personsearch.gallery.tables import Table

PEOPLE, FILES, SECONDS = 1024, 256, 2.0
"""A batch is committed when it is this large or this old: many small commits make reading slow."""

TIDY_EVERY = 100
"""Commits between two foldings of small files."""


class Batch:
    """Entries and people on their way into the two tables of a gallery.

    Args:
        people, ledger: the tables.
        losing: called before people are deleted; their numbers are nowhere else.
    """

    def __init__(self, people: Table, ledger: Table, losing: Callable[[], None] | None = None) -> None:
        self._losing = losing
        self._people_table, self._ledger_table = people, ledger
        self._entries: dict[Place, Entry] = {}
        self._people: list[pa.Table] = []
        self._orphans: set[int] = set()
        self._replaces = False
        self._since = 0.0
        self._commits = 0
        self._broken = False

    def put(self, entry: Entry, people: pa.Table | None, *, replaces: bool, orphan: int | None) -> None:
        """Take an entry and the people it names.

        Args:
            entry: replaces one at the same place that is in the batch already.
            people: their rows.
            replaces: the ledger knows the place already.
            orphan: a picture that nothing names any more.
        """
        if not self._entries:
            self._since = time.monotonic()
        if people is not None:
            self._people.append(people)
        self._entries[entry.place] = entry
        self._replaces = self._replaces or replaces
        if orphan is not None:
            self._orphans.add(orphan)

    @property
    def broken(self) -> bool:
        """Whether a commit failed."""
        return self._broken

    def is_due(self) -> bool:
        """Whether it is large or old enough to be committed."""
        people = sum(len(rows) for rows in self._people)
        return bool(self._entries) and (
            people >= PEOPLE or len(self._entries) >= FILES or time.monotonic() - self._since >= SECONDS
        )

    def commit(self) -> None:
        """Commit everything: people, then the entries that make them count, then delete orphans.

        A death in between leaves people that no entry names, which the next writer sweeps.
        After an error (a full disk) the tables are as after the last commit, give or take such
        people, and this batch commits nothing ever again: what is asked of it then is an error, for
        silence would be taken for an acknowledgement.
        """
        if self._broken:
            raise PersonSearchError(
                f"writing to {self._people_table.files.parent} failed before; nothing more is written",
                hint="run the same command again",
            )
        if not self._entries:
            return
        with uninterrupted():
            self._broken = True
            if self._people:
                self._people_table.add(pa.concat_tables(self._people))
            entries = records.to_rows(self._entries.values())
            if self._replaces:
                self._ledger_table.put(entries, records.KEY)
            else:
                self._ledger_table.add(entries)
            if self._orphans:
                if self._losing is not None:
                    self._losing()
                self._people_table.delete("picture", sorted(self._orphans))
            self._entries, self._people, self._orphans, self._replaces = {}, [], set(), False
            self._commits += 1
            if self._commits % TIDY_EVERY == 0:
                self._people_table.tidy()
                self._ledger_table.tidy()
            self._broken = False
