"""Who searched for whom, and who was forgotten: a log that can only grow, each line sealing those before.

Every record carries the hash of the one before it and its own: changing, removing or inserting
one breaks the chain from there on. ``audit.head`` repeats number and hash of the last one, so
that cutting off the end is seen, too. The catch: somebody who may write all files of the gallery
can forge a whole new chain. Note the head (``personsearch gallery audit`` prints it) elsewhere, and
a forged chain does not have it.
"""

from __future__ import annotations

import getpass
import hashlib
import json
import os
import socket
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from personsearch.errors import InputError, LockedError
from personsearch.files import WriterLock, disk_errors, sync_folder, write_json

LOG, HEAD, LOCK = "audit.jsonl", "audit.head", "audit.lock"
SCHEMA = "personsearch.audit/1"
NOTHING = "0" * 64
"""What the first record says of the one before it."""

PATIENCE = 30.0
"""Seconds to wait for others who are writing a record, which takes milliseconds."""


@dataclass(frozen=True, kw_only=True)
class AuditReport:
    """Whether a log is whole.

    Attributes:
        records: how many.
        head: hash of the last one; note it elsewhere to detect a chain that was forged whole.
        problems: what is wrong, one line each; empty for a whole log.
    """

    records: int
    head: str
    problems: tuple[str, ...] = ()


def seal(record: Mapping[str, Any]) -> str:
    """SHA-256 over a record without its own hash, as JSON with sorted keys and no blanks."""
    body = {name: value for name, value in record.items() if name != "hash"}
    text = json.dumps(body, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


class AuditLog:
    """The log of one gallery; any number of processes add to it.

    Args:
        folder: of the gallery.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def append(self, action: str, details: Mapping[str, Any]) -> dict[str, Any]:
        """Add a record; it is on disk when this returns.

        Args:
            action: ``"search"``, ``"forget"`` and the like.
            details: JSON values.

        Returns:
            The record: number, time, who, and the details.

        Raises:
            PersonSearchError: the disk is full, or the folder cannot be written.
            LockedError: others were writing for half a minute.
        """
        with disk_errors(self.folder / LOG):
            lock = self._lock()
            try:
                last = self._last()
                record = _record(last, action, details, self._gap(last))
                self._write(record)
                head = {"number": record["number"], "hash": record["hash"]}
                write_json(self.folder / HEAD, head)
            finally:
                lock.release()
        return record

    def records(self) -> Iterator[dict[str, Any]]:
        """All records, oldest first, unverified; what is not a record is left out."""
        for _, record in self._lines():
            if record is not None:
                yield record

    def holds(self, receipt: str) -> bool:
        """Whether a record has this receipt."""
        return any(record.get("receipt") == receipt for record in self.records())

    def check(self) -> AuditReport:
        """Whether every record is as it was written, and none is missing."""
        problems: list[str] = []
        before, number, known = NOTHING, 0, {}
        for line, record in self._lines():
            if record is None:
                problems.append(f"line {line} is not a record")
                continue
            if record.get("hash") != seal(record):
                problems.append(f"line {line} was changed: its hash is not that of its content")
            if record.get("previous") != before or record.get("number") != number + 1:
                problems.append(f"line {line} does not follow the line before it")
            if "gap" in record:
                problems.append(f"records before line {line} were cut off before it was written")
            before, number = str(record.get("hash")), _number(record)
            known[number] = before
        head = self._head()
        if head is not None and known.get(head[0]) != head[1]:
            what = "records at the end are missing" if head[0] > number else "the last record is another one"
            problems.append(f"{what}: {HEAD} names number {head[0]}")
        return AuditReport(records=len(known), head=before, problems=tuple(problems))

    def _lock(self) -> WriterLock:
        until = time.monotonic() + PATIENCE
        while True:
            try:
                return WriterLock(self.folder / LOCK)
            except LockedError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.01)

    def _lines(self) -> Iterator[tuple[int, dict[str, Any] | None]]:
        """(number, record) of every finished line; a line without its end was never acknowledged."""
        path = self.folder / LOG
        if not path.exists():
            return
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if line.endswith(b"\n"):
                    yield number, _parsed(line)

    def _last(self) -> dict[str, Any] | None:
        """The last record; half a line behind it, of a writer that died, is removed."""
        path = self.folder / LOG
        if not path.exists():
            return None
        with path.open("r+b") as file:
            end = file.seek(0, os.SEEK_END)
            tail, start = b"", end
            while start > 0 and tail.count(b"\n") < 2:
                step = min(start, 1 << 16)
                start -= step
                file.seek(start)
                tail = file.read(step) + tail
            whole = tail.rfind(b"\n") + 1
            if whole < len(tail):
                file.truncate(start + whole)
            lines = tail[:whole].splitlines()
        if not lines:
            return None
        record = _parsed(lines[-1])
        if record is None or not isinstance(record.get("number"), int) or "hash" not in record:
            raise InputError(
                f"the last line of {path} is not a record",
                hint="personsearch gallery audit says what is wrong with the log; keep it, and move it aside",
            )
        return record

    def _head(self) -> tuple[int, str] | None:
        path = self.folder / HEAD
        if not path.exists():
            return None
        said = _parsed(path.read_bytes()) or {}
        return _number(said), str(said.get("hash"))

    def _gap(self, last: Mapping[str, Any] | None) -> dict[str, Any]:
        """What the head says when the end of the log was cut off: the next record tells of it."""
        head = self._head()
        if head is None or head[0] <= (0 if last is None else int(last["number"])):
            return {}
        return {"gap": {"number": head[0], "hash": head[1]}}

    def _write(self, record: Mapping[str, Any]) -> None:
        path = self.folder / LOG
        fresh = not path.exists()
        with path.open("ab") as file:
            file.write((json.dumps(record, sort_keys=True, allow_nan=False) + "\n").encode())
            file.flush()
            os.fsync(file.fileno())
        if fresh:
            sync_folder(self.folder)


def _record(
    last: Mapping[str, Any] | None, action: str, details: Mapping[str, Any], gap: Mapping[str, Any]
) -> dict[str, Any]:
    record = {
        **details,
        **gap,
        "schema": SCHEMA,
        "number": 1 if last is None else int(last["number"]) + 1,
        "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "action": action,
        "who": {"user": _user(), "host": socket.gethostname()},
        "previous": NOTHING if last is None else last["hash"],
    }
    return {**record, "hash": seal(record)}


def _parsed(line: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _number(record: Mapping[str, Any]) -> int:
    number = record.get("number")
    return number if isinstance(number, int) else 0


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # a container's user may have no name
        return str(getattr(os, "getuid", lambda: "unknown")())
