"""The newest state of a gallery in memory, read again only when somebody changed it."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from personsearch.errors import PersonSearchError
from personsearch.gallery.ledger import SCHEMA, Ledger
from personsearch.gallery.people import People
from personsearch.gallery.tables import Table


def read_ledger(table: Table) -> Ledger:
    """All entries of the version that ``table`` is at."""
    return Ledger.from_batches(table.batches(SCHEMA.names))


@dataclass(frozen=True, eq=False, kw_only=True)
class State:
    """What a gallery holds at one moment: its ledger, who is searched, in how many pictures."""

    ledger: Ledger
    people: People
    pictures: int


class Snapshot:
    """Ledger and people that belong together, though two tables hold them and others write."""

    def __init__(self, path: Path, people: Table, ledger: Table, dim: int) -> None:
        self._path, self._people_table, self._ledger_table, self._dim = path, people, ledger, dim
        self._reading = threading.Lock()
        self._versions: tuple[int, int] | None = None
        self._state: State | None = None

    def newest(self, written: Ledger | None = None) -> State:
        """The newest state; safe to call from several threads.

        Args:
            written: the ledger of a writer, which is the newest by definition.

        Raises:
            PersonSearchError: people are missing that the ledger promises.
        """
        with self._reading:
            for _ in range(10):
                versions = self._ledger_table.newest(), self._people_table.newest()
                if self._state is not None and self._versions == versions:
                    return self._state
                ledger = read_ledger(self._ledger_table) if written is None else written
                live = ledger.live()
                people = self._read_people(live)
                found = people.counts()
                wrong = sum(found.get(picture, 0) != number for picture, number in live.items())
                if not wrong:
                    self._versions = versions
                    self._state = State(ledger=ledger, people=people, pictures=len(live))
                    return self._state
                if self._ledger_table.newest() == versions[0]:
                    break  # otherwise a writer came between the two tables: look again
        raise PersonSearchError(
            f"{self._path} is damaged: people of {wrong} pictures are not all there",
            hint="restore it from a copy, or index the pictures into a new gallery",
        )

    def _read_people(self, live: dict[int, int]) -> People:
        pictures = np.array(sorted(live), np.int64)
        batches = self._people_table.batches(People.COLUMNS)
        return People.load(batches, pictures, len(self._people_table), self._dim)
