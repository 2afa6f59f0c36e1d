"""Is a gallery whole? Every row is read, and held against what the ledger promises."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa

from personsearch.errors import PersonSearchError
from personsearch.gallery import ledger as records
from personsearch.gallery import people as rows
from personsearch.gallery import removal, side
from personsearch.gallery.audit import AuditLog
from personsearch.gallery.description import Description, read_calibration, read_description
from personsearch.gallery.ledger import Ledger
from personsearch.gallery.named import NamedPeople
from personsearch.gallery.snapshot import read_ledger
from personsearch.gallery.suppression import Suppression, overlapping, read_suppression
from personsearch.gallery.tables import Table
from personsearch.types import Array

EXAMPLES = 5


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One kind of thing that is not as it should be.

    Attributes:
        severity: ``"error"`` makes answers wrong or loses people; ``"note"`` is debris, which the
            next writer removes by itself.
        rule: names the check.
        message: what it means.
        count: how many.
        examples: the first of them.
        mendable: whether :func:`personsearch.gallery.repair.repair` mends it.
    """

    severity: Literal["error", "note"]
    rule: str
    message: str
    count: int = 1
    examples: tuple[str, ...] = ()
    mendable: bool = True


@dataclass(frozen=True, kw_only=True)
class VerifyReport:
    """What a check found.

    Attributes:
        gallery: the folder.
        files, pictures, people: in the ledger, searched, searched.
        findings: what is wrong.
    """

    gallery: str
    files: int = 0
    pictures: int = 0
    people: int = 0
    findings: tuple[Finding, ...] = ()

    @property
    def right(self) -> bool:
        """Whether nothing is wrong (debris is not)."""
        return all(finding.severity != "error" for finding in self.findings)


@dataclass
class _Found:
    """Findings as they come."""

    findings: list[Finding] = field(default_factory=list)

    def add(
        self,
        severity: Literal["error", "note"],
        rule: str,
        message: str,
        which: str | Sequence[object],
        mendable: bool = True,
    ) -> None:
        """One kind, if there are any; ``which`` is what was found, or one text."""
        several = [which] if isinstance(which, str) else [str(item) for item in which]
        if several:
            finding = Finding(
                severity=severity,
                rule=rule,
                message=message,
                count=len(several),
                examples=tuple(several[:EXAMPLES]),
                mendable=mendable,
            )
            self.findings.append(finding)

    def attempt(self, rule: str, work: Callable[[], object], mendable: bool = True) -> bool:
        """Whether ``work`` can be done; if not, why."""
        try:
            work()
        except PersonSearchError as error:
            self.add("error", rule, str(error), str(error), mendable)
            return False
        return True


def verify(path: Path | str) -> VerifyReport:
    """Read everything that is in a gallery and say what is not as it should be.

    It takes no lock and changes nothing; a writer at work meanwhile makes it look again.

    The catch: a number in a vector that was changed on the disk to another finite one is not seen,
    for the format keeps no checksums of rows; pictures are not opened.

    Raises:
        InputError: there is no gallery.
        PersonSearchError: a newer version made it.
    """
    path = Path(path)
    about = read_description(path)
    for _ in range(5):
        report, versions = _look(path, about)
        if report.right or versions is None or versions == _look_at_versions(path, about):
            break
    return report


def _look_at_versions(path: Path, about: Description) -> tuple[int, int] | None:
    try:
        people, ledger = open_tables(path, about)
        return ledger.newest(), people.newest()
    except PersonSearchError:
        return None


def open_tables(path: Path, about: Description) -> tuple[Table, Table]:
    """People and ledger of the gallery's present generation."""
    people = Table(path, about.people_table, rows.schema(about.dim))
    return people, Table(path, about.ledger_table, records.SCHEMA)


def _look(path: Path, about: Description) -> tuple[VerifyReport, tuple[int, int] | None]:
    """One pass; with the versions of the tables it was made of, when both can be read."""
    found = _Found()
    kept_out, versions = Suppression(), None
    _check_beside(path, about, found)
    try:
        kept_out = read_suppression(path)
    except PersonSearchError as error:
        found.add("error", "suppressed", str(error), str(error), mendable=False)
    ledger, people = Ledger(), _Columns.none()
    try:
        table, ledger_table = open_tables(path, about)
        versions = ledger_table.newest(), table.newest()
        ledger = read_ledger(ledger_table)
        files = [(row[0], row[1]) for row in _pairs(ledger_table)]
        people = _Columns.read(table, about)
    except PersonSearchError as error:
        found.add("error", "unreadable", str(error), str(error))
    else:
        doubled = [f"{place[1]}" for place, times in Counter(files).items() if times > 1]
        found.add("error", "doubled files", "files are in the ledger twice", doubled)
        _check_people(people, ledger, about, found)
        if not (path / removal.JOB).exists():  # otherwise they are on their way out
            _check_kept_out(people, ledger, kept_out, found)
    live = ledger.live()
    report = VerifyReport(
        gallery=str(path),
        files=sum(1 for _ in ledger),
        pictures=len(live),
        people=sum(live.values()),
        findings=tuple(found.findings),
    )
    return report, versions


def _pairs(table: Table) -> list[tuple[int, str]]:
    return [
        pair
        for batch in table.batches(["source", "path"])
        for pair in zip(batch.column("source").to_pylist(), batch.column("path").to_pylist(), strict=True)
    ]


def _check_beside(path: Path, about: Description, found: _Found) -> None:
    """The small files beside the tables."""
    found.attempt("calibration", lambda: read_calibration(path, about.generation), mendable=False)
    for name in NamedPeople(path).names():
        found.attempt("named people", partial(NamedPeople(path).load, name), mendable=False)
    if found.attempt("migration", lambda: side.read_side(path), mendable=False) and side.read_side(path):
        found.add("note", "migration", "a migration to another model is not finished", side.FILE)
    report = AuditLog(path).check()
    found.add("error", "audit log", "the audit log is not as it was written", report.problems, mendable=False)
    if (path / removal.JOB).exists():
        message = "people are being removed; the next writer finishes it"
        found.add("note", "removal", message, removal.JOB)
    left = [item.name for item in path.iterdir() if item.name.endswith(".tmp")]
    found.add("note", "temporary", "temporary files of a writer that died", left)


@dataclass(frozen=True, eq=False, kw_only=True)
class _Columns:
    """What is checked of every row of the people table."""

    detection: Array
    picture: Array
    box: Array
    frame: Array
    position: Array
    faulty: dict[str, list[int]]

    @staticmethod
    def none() -> _Columns:
        empty = np.empty(0, np.int64)
        return _Columns(
            detection=empty, picture=empty, box=np.empty((0, 4)), frame=empty, position=empty, faulty={}
        )

    @staticmethod
    def read(table: Table, about: Description) -> _Columns:
        """All rows; whose numbers are impossible is remembered by detection number."""
        faulty: dict[str, list[int]] = {}
        parts: list[tuple[Array, ...]] = []
        for batch in table.batches(table.schema.names):
            box = rows.unfixed(batch.column("box_xyxy"), 4)
            numbers = batch.column("detection").to_numpy()
            for why, wrong in _impossible(batch, box, about).items():
                if wrong.any():
                    faulty.setdefault(why, []).extend(numbers[wrong].tolist())
            frame = batch.column("frame").fill_null(-1).to_numpy()
            at = batch.column("position").cast(pa.float64()).fill_null(np.nan).to_numpy()
            parts.append((numbers, batch.column("picture").to_numpy(), box.copy(), frame, at))
        if not parts:
            return _Columns.none()
        detection, picture, boxes, frames, at = (
            np.concatenate(column) for column in zip(*parts, strict=True)
        )
        return _Columns(
            detection=detection, picture=picture, box=boxes, frame=frames, position=at, faulty=faulty
        )


def _impossible(batch: pa.RecordBatch, box: Array, about: Description) -> dict[str, Array]:
    """Which rows cannot have been written by us, by why."""
    score = batch.column("score").to_numpy()
    vectors = rows.unfixed(batch.column("vector"), about.dim)
    model = np.array(batch.column("model").to_pylist(), object)
    return {
        "vectors are not finite": ~np.isfinite(vectors).all(axis=1),
        "boxes or scores are not finite": ~(np.isfinite(box).all(axis=1) & np.isfinite(score)),
        "people were described by another model": model != about.fingerprint,
    }


def _check_people(people: _Columns, ledger: Ledger, about: Description, found: _Found) -> None:
    """Everybody whom the ledger promises is there, once, and possible."""
    promised = {entry.picture: entry.people for entry in ledger if entry.picture is not None}
    pictures, counts = np.unique(people.picture, return_counts=True)
    there = dict(zip(pictures.tolist(), counts.tolist(), strict=True))
    growing = {entry.picture for entry in ledger if str(entry.state) == "partial"}  # a video half looked at
    wrong = [
        picture
        for picture, number in promised.items()
        if there.get(picture, 0) != number and not (picture in growing and there.get(picture, 0) > number)
    ]
    where = [ledger.place_of(picture).path for picture in wrong]
    found.add("error", "people missing", "pictures have more or fewer people than the ledger says", where)
    differing = [
        entry.path
        for entry in ledger
        if entry.picture is not None and entry.people != promised[entry.picture]
    ]
    found.add("error", "copies differ", "copies of one picture have different numbers of people", differing)
    known = np.isin(people.picture, ledger.known())
    numbers, times = np.unique(people.detection[known], return_counts=True)
    found.add("error", "doubled people", "people are there twice", numbers[times > 1].tolist())
    debris = np.unique(people.picture[~known]).tolist()
    message = "pictures that the ledger does not name have people: debris of a writer that died"
    found.add("note", "debris", message, debris)
    for why, several in people.faulty.items():
        found.add("error", "impossible", why, several)


def _check_kept_out(people: _Columns, ledger: Ledger, kept_out: Suppression, found: _Found) -> None:
    """Nobody who was forgotten is there, and nobody of a part of a video that was pruned."""
    back: list[int] = []
    for item in kept_out.boxes:
        picture = ledger.picture_of(item.sha256)
        if picture is None:
            continue
        mine = np.flatnonzero(people.picture == picture)
        if item.frame is not None:
            mine = mine[people.frame[mine] == item.frame]
        same = overlapping(people.box[mine], np.array([item.box], np.float32)) if len(mine) else mine > 0
        back += people.detection[mine[same]].tolist()
    for cut in kept_out.cuts:
        picture = ledger.picture_of(cut.sha256)
        if picture is None:
            continue
        mine = people.picture == picture
        if cut.until is not None:
            mine &= people.position < cut.until
        back += people.detection[mine].tolist()
    found.add("error", "forgotten", "people are there who were forgotten", sorted(set(back)))
