"""What a watch remembers over kills and restarts: which files it looked at, and what it told.

One file of JSON lines that only grows, each line on the disk before the next step. Of a line that
was cut off by a kill nothing counts. On opening it is written anew, without what no longer matters.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from personsearch.errors import InputError
from personsearch.files import WriterLock, disk_errors, write_text

FORMAT = 1
LONGEST = 1 << 31

Ranges = list[tuple[int, int]]
"""Whole numbers as rising ranges, both ends included."""


class WatchState:
    """The memory of one watch, open for writing; use it as a context manager.

    Args:
        path: the file; made if there is none.
        known: names that there are; what was told of others, who were forgotten, is forgotten, too.

    Attributes:
        pictures: numbers of the gallery's pictures that were looked at; None before the first time.
        people: numbers of the people who were; None before the first time, and if an older
            personsearch wrote the file.

    Raises:
        InputError: the file is something else.
        LockedError: another watch uses it.
    """

    def __init__(self, path: Path, known: Collection[str] | None = None) -> None:
        self.path = path
        self._looked: dict[str, tuple[int, int]] = {}
        self._told: set[tuple[str, str, int]] = set()
        self._seen: dict[tuple[str, str], float] = {}
        self.pictures: Ranges | None = None
        self.people: Ranges | None = None
        with disk_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = WriterLock(path.with_name(f"{path.name}.lock"))
        try:
            self._read()
            if known is not None:
                self._told = {item for item in self._told if item[0] in known}
                self._seen = {key: when for key, when in self._seen.items() if key[0] in known}
            write_text(path, "".join(self._lines()))
            with disk_errors(path):
                self._file = path.open("ab")
        except BaseException:
            self._lock.release()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        self._lock.release()

    def has_looked_at(self, file: str, size: int, mtime_ns: int) -> bool:
        """Whether the file, as it is now, was looked at to its end."""
        return self._looked.get(file) == (size, mtime_ns)

    def looked_at(self, file: str, size: int, mtime_ns: int) -> None:
        """Remember that."""
        self._looked[file] = size, mtime_ns
        self._append({"looked": file, "size": size, "mtime_ns": mtime_ns})

    def was_told(self, person: str, source: str, tracklet: int) -> bool:
        """Whether this way of the person through the source was told."""
        return (person, source, tracklet) in self._told

    def last_seen(self, person: str, source: str) -> float | None:
        """When the person was last seen in the source, in the source's own seconds, as far as known."""
        return self._seen.get((person, source))

    def told(self, person: str, source: str, tracklet: int | None, when: float) -> None:
        """Remember that an alert was written."""
        if tracklet is not None:
            self._told.add((person, source, tracklet))
        self._seen[person, source] = when
        self._append({"told": person, "source": source, "tracklet": tracklet, "when": when})

    def seen(self, person: str, source: str, when: float) -> None:
        """Remember that the person is still there."""
        self._seen[person, source] = when
        self._append({"seen": person, "source": source, "when": when})

    def looked_through(self, pictures: Ranges, people: Ranges) -> None:
        """Remember which pictures of the gallery, and whom in them, were looked at.

        A person keeps the number, while a picture that somebody else was taken out of gets a new one.
        """
        if (pictures, people) != (self.pictures, self.people):
            self.pictures, self.people = pictures, people
            self._append({"pictures": pictures, "people": people})

    def _append(self, record: dict[str, Any]) -> None:
        with disk_errors(self.path):
            self._file.write(_line(record).encode())
            self._file.flush()
            os.fsync(self._file.fileno())

    def _read(self) -> None:
        try:
            if self.path.stat().st_size > LONGEST:
                raise InputError(f"{self.path} is too long for the memory of a watch")
            content = self.path.read_bytes()
        except FileNotFoundError:
            return
        except OSError as error:
            raise InputError(f"{self.path} cannot be read: {error.strerror}") from error
        lines = content.split(b"\n")
        for number, line in enumerate(lines, 1):
            if number == len(lines):
                break  # what follows the last line end: nothing, or a line that was cut off
            try:
                self._take(json.loads(line), first=number == 1)
            except (ValueError, KeyError, TypeError, RecursionError) as error:
                raise InputError(
                    f"{self.path} is no memory of a watch (line {number})",
                    hint="name another file with --state, or remove this one to begin anew",
                ) from error
        if content and len(lines) == 1:
            raise InputError(f"{self.path} is no memory of a watch", hint="name another file with --state")

    def _take(self, record: dict[str, Any], first: bool) -> None:
        if first:
            if record["schema"] != "personsearch.watch/1" or record["format"] > FORMAT:
                raise ValueError("another format")
        elif "looked" in record:
            self._looked[str(record["looked"])] = int(record["size"]), int(record["mtime_ns"])
        elif "told" in record:
            person, source, tracklet = str(record["told"]), str(record["source"]), record["tracklet"]
            if tracklet is not None:
                self._told.add((person, source, int(tracklet)))
            self._seen[person, source] = float(record["when"])
        elif "seen" in record:
            self._seen[str(record["seen"]), str(record["source"])] = float(record["when"])
        else:
            self.pictures = _ranges(record["pictures"])
            self.people = _ranges(record["people"]) if "people" in record else None

    def _lines(self) -> list[str]:
        """Everything that counts, as few lines as possible."""
        lines = [_line({"schema": "personsearch.watch/1", "format": FORMAT})]
        for file, (size, mtime_ns) in self._looked.items():
            lines.append(_line({"looked": file, "size": size, "mtime_ns": mtime_ns}))
        for person, source, tracklet in sorted(self._told):
            when = self._seen.get((person, source), 0.0)
            lines.append(_line({"told": person, "source": source, "tracklet": tracklet, "when": when}))
        for (person, source), when in self._seen.items():
            lines.append(_line({"seen": person, "source": source, "when": when}))
        if self.pictures is not None:
            people = {} if self.people is None else {"people": self.people}
            lines.append(_line({"pictures": self.pictures, **people}))
        return lines


def _ranges(pairs: list[list[int]]) -> Ranges:
    return [(int(first), int(last)) for first, last in pairs]


def _line(record: dict[str, Any]) -> str:
    """ASCII, so that names that are no text come back as they were."""
    return json.dumps(record) + "\n"
