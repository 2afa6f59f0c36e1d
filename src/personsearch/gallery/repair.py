"""Mending a gallery: back to the newest tables that can be read, and no promise that is not kept."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from personsearch.errors import PersonSearchError
from personsearch.gallery import ledger as records
from personsearch.gallery import people as rows
from personsearch.gallery.description import read_description
from personsearch.gallery.folder import LOCK
from personsearch.gallery.gallery import Gallery
from personsearch.gallery.ledger import Ledger
from personsearch.gallery.lock import WriterLock
from personsearch.gallery.snapshot import read_ledger
from personsearch.gallery.tables import Table
from personsearch.gallery.verify import open_tables, verify

STAGE = "verify"


def repair(path: Path | str) -> list[str]:
    """Mend what :func:`~personsearch.gallery.verify.verify` finds; what was done, one line each.

    A table that cannot be read goes back to its newest version that can; people that nobody
    promises, that are there twice or cannot be right are removed; a picture whose people are not
    all there is marked as failed, and the next indexing looks at its file again. Nothing of
    what is right is touched. Audit log and the list of forgotten people are never mended: what is
    wrong with them has to be seen by a person.

    Raises:
        LockedError: somebody is writing.
        PersonSearchError: no version of a table can be read; restore a copy.
    """
    path = Path(path)
    about = read_description(path)
    lock = WriterLock(path / LOCK)
    try:
        done = []
        for name, schema in (
            (about.people_table, rows.schema(about.dim)),
            (about.ledger_table, records.SCHEMA),
        ):
            done += _readable(path, name, schema)
        people, table = open_tables(path, about)
        done += _single_files(table)
        ledger = read_ledger(table)
        done += _possible_people(people, ledger, path)
        done += _kept_promises(people, table, ledger)
        for left in path.glob(".*.tmp"):
            left.unlink()
            done.append(f"removed the temporary file {left.name}")
    finally:
        lock.release()
    with Gallery.open(path, writable=True):  # sweeps debris, and finishes a removal
        pass
    return done


def _readable(path: Path, name: str, schema: pa.Schema) -> list[str]:
    """Go back to the newest version of a table that can be opened and read through."""
    versions = path / f"{name}.lance" / "_versions"
    table, aside = None, []
    while table is None:
        try:
            table = Table(path, name, schema)
        except PersonSearchError:
            manifests = sorted(
                (item for item in versions.glob("*.manifest")), key=lambda item: item.stat().st_mtime_ns
            )
            if len(manifests) < 2:
                raise
            manifests[-1].rename(manifests[-1].with_suffix(".damaged"))
            (versions / "latest_version_hint.json").unlink(missing_ok=True)
            aside.append(f"{name}: put the damaged manifest {manifests[-1].name} aside")
    newest = table.newest()
    for version in reversed(table.versions()):
        table.go_to(version)
        try:
            for _ in table.batches(table.schema.names):
                pass
        except PersonSearchError:
            continue
        if version == newest:
            return aside
        table.restore()
        return [*aside, f"{name}: went back from version {newest} to {version}, the newest that can be read"]
    raise PersonSearchError(
        f"no version of {table.files} can be read", hint="restore the gallery from a copy, or index anew"
    )


def _single_files(table: Table) -> list[str]:
    """Of several rows for one file, the last counts; write the ledger anew with that alone."""
    ledger = read_ledger(table)
    entries = list(ledger)
    more = len(table) - len(entries)
    if not more:
        return []
    seen: set[tuple[int, str]] = set()

    def once(batch: pa.RecordBatch) -> pa.RecordBatch:
        keep = []
        for source, path in zip(
            batch.column("source").to_pylist(), batch.column("path").to_pylist(), strict=True
        ):
            keep.append((source, path) not in seen)
            seen.add((source, path))
        return batch.filter(pa.array(keep))

    table.rewrite(once)
    table.put(records.to_rows(entries), records.KEY)
    return [f"ledger: removed {more} rows of files that were there twice"]


def _possible_people(people: Table, ledger: Ledger, path: Path) -> list[str]:
    """Remove people whose numbers cannot be right, and all but one of each number."""
    rules = {finding.rule for finding in verify(path).findings}
    if not rules & {"impossible", "doubled people"}:
        return []
    about, known = read_description(path), ledger.known()
    numbers = [
        int(np.max(batch.column("detection"))) for batch in people.batches(["detection"]) if len(batch)
    ]
    if max(numbers, default=0) > about.numbered:
        replace(about, numbered=max(numbers)).write(path)  # a number is never given to somebody else
    seen: set[int] = set()
    before = len(people)

    def once(batch: pa.RecordBatch) -> pa.RecordBatch:
        numbers = batch.column("detection").to_numpy()
        box, score = rows.unfixed(batch.column("box_xyxy"), 4), batch.column("score").to_numpy()
        vectors = rows.unfixed(batch.column("vector"), about.dim)
        keep = np.isfinite(vectors).all(axis=1) & np.isfinite(box).all(axis=1) & np.isfinite(score)
        keep &= np.isin(batch.column("picture").to_numpy(), known)  # a number may be debris's as well
        keep &= np.array(batch.column("model").to_pylist(), object) == about.fingerprint
        for row, number in enumerate(numbers.tolist()):
            keep[row] &= number not in seen
            seen.add(number)
        return batch.filter(pa.array(keep))

    people.rewrite(once)
    people.newest()
    return [f"people: removed {before - len(people)} rows that were there twice or cannot be right"]


def _kept_promises(people: Table, table: Table, ledger: Ledger) -> list[str]:
    """Mark the pictures as failed whose people are not all there: their files are read again."""
    pictures = [batch.column("picture").to_numpy() for batch in people.batches(["picture"])]
    numbers, counts = np.unique(np.concatenate([np.empty(0, np.int64), *pictures]), return_counts=True)
    there = dict(zip(numbers.tolist(), counts.tolist(), strict=True))
    broken = [
        replace(
            entry,
            state="failed",
            picture=None,
            people=0,
            size=-1,
            mtime_ns=-1,
            stage=STAGE,
            error="its people were lost from the gallery; index it again",
        )
        for entry in ledger
        if entry.picture is not None
        and there.get(entry.picture, 0) != entry.people
        and not (str(entry.state) == "partial" and there.get(entry.picture, 0) > entry.people)
    ]
    if not broken:
        return []
    table.put(records.to_rows(broken), records.KEY)
    return [f"ledger: {len(broken)} files have lost people and are looked at again by the next indexing"]
