"""Taking people out for good: off the disk, in steps that a death at any moment leaves whole.

What is to be done is first written down (``removal.json``); from then on it happens, if need be by
the next process that opens the gallery for writing. The pictures concerned get new numbers and
keep the people who stay: new rows first, then the ledger that makes them count, in one commit.
Then the people table is written anew without anybody whom the ledger does not name, and every
older file is removed, so that not a byte of the vectors stays in the folder.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from personsearch.errors import InputError
from personsearch.files import disk_errors, sync_folder, write_json
from personsearch.gallery import ledger as records
from personsearch.gallery import suppression
from personsearch.gallery.audit import AuditLog
from personsearch.gallery.cells import forget_cells
from personsearch.gallery.description import Description, read_object
from personsearch.gallery.interrupt import uninterrupted
from personsearch.gallery.ledger import Ledger
from personsearch.gallery.named_forgetting import count_named, forget_named
from personsearch.gallery.side import take_out_of_side
from personsearch.gallery.suppression import Suppression
from personsearch.gallery.tables import Table
from personsearch.types import Array

JOB = "removal.json"


@dataclass(eq=False, kw_only=True)
class Store:
    """The parts of a gallery that is open for writing.

    Attributes:
        path: its folder.
        about: its description; removing people changes it.
        people, table: the two tables.
        ledger: what ``table`` holds.
    """

    path: Path
    about: Description
    people: Table
    table: Table
    ledger: Ledger


@dataclass(frozen=True, kw_only=True)
class Receipt:
    """What was deleted, by kind.

    Attributes:
        receipt: names the request, here, in the audit log and in the list of who is kept out.
        action: ``"forget"`` or ``"prune"``.
        time: when it was asked for, ISO 8601, UTC.
        gallery: the folder.
        reason: as it was given.
        detections: numbers of the people who were deleted.
        pictures: how many pictures they were in.
        deleted: how many of each kind: people, vectors, thumbnails, crops, and examples of named people.
        kept_out: boxes of pictures that are left out from now on.
        examples: descriptions that were kept, on request, to recognise the person elsewhere.
    """

    receipt: str
    action: str
    time: str
    gallery: str
    reason: str
    detections: tuple[int, ...]
    pictures: int
    deleted: dict[str, int]
    kept_out: int
    examples: int

    def to_json(self) -> dict[str, Any]:
        """As a JSON object with its ``schema``."""
        return {"schema": "personsearch.receipt/1", **self.__dict__, "detections": list(self.detections)}


def new_receipt(
    store: Store, action: str, detections: Collection[int], pictures: int, reason: str, out: Suppression
) -> Receipt:
    """The receipt of a removal that is about to begin.

    Thumbnails and cropped pictures are not kept in galleries of this format, so none are deleted;
    the counts say so.
    """
    numbers = tuple(sorted(int(number) for number in detections))
    saved = count_named(store.path, numbers, out, store.about.similarity)
    kinds = {"people": len(numbers), "vectors": len(numbers), "thumbnails": 0, "crops": 0, "saved": saved}
    return Receipt(
        receipt=uuid.uuid4().hex,
        action=action,
        time=datetime.now(UTC).isoformat(timespec="seconds"),
        gallery=str(store.path),
        reason=reason,
        detections=numbers,
        pictures=pictures,
        deleted=kinds,
        kept_out=len(out.boxes),
        examples=len(out.examples),
    )


def remove(store: Store, receipt: Receipt, out: Suppression) -> None:
    """Do what ``receipt`` says; ``out`` is who is kept out from now on.

    Once the first file is written, it is done by this process or by the next writer.
    """
    value = {**receipt.to_json(), "suppress": suppression.to_json(out)}
    write_json(store.path / JOB, value)
    finish(store)


def finish(store: Store) -> None:
    """Do the removal that was written down, if there is one; safe to repeat after a death anywhere."""
    path = store.path / JOB
    if not path.exists():
        return
    job = read_object(path)
    try:
        detections = [int(number) for number in job["detections"]]
        out = suppression.from_json(job["suppress"], path)
        receipt = {name: value for name, value in job.items() if name not in ("schema", "suppress")}
        action, named = str(receipt.pop("action")), str(receipt["receipt"])
        receipt["requested"] = receipt.pop("time")
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{path} is damaged: {type(error).__name__} at {error}",
            hint="remove that file, and ask for the same people to be forgotten again",
        ) from error
    with uninterrupted():
        if out != Suppression():
            known = suppression.read_suppression(store.path)
            known.including(out.boxes, out.examples, out.cuts).write(store.path)
        forget_cells(store.path)  # the centre of a small cell may be one person's vector
        take_out_of_side(store.path, detections)
        take_out(store, detections)
        forget_named(store.path, detections, out, store.about.similarity)  # last: nobody finds them any more
        log = AuditLog(store.path)
        if not log.holds(named):
            log.append(action, receipt)
        with disk_errors(path):
            path.unlink()
            sync_folder(store.path)


def take_out(store: Store, detections: Collection[int]) -> None:
    """Delete the people with these numbers, off the disk; numbers of nobody are no error."""
    gone = np.array(sorted(detections), np.int64)
    if len(gone) and gone[-1] > store.about.numbered:
        store.about = replace(store.about, numbered=int(gone[-1]))
        store.about.write(store.path)  # a number is never given to somebody else
    found = [
        batch.column("picture").to_numpy()
        for batch in store.people.rows_of("detection", gone.tolist(), ["picture"])
    ]
    pictures = np.intersect1d(np.concatenate([np.empty(0, np.int64), *found]), store.ledger.known())
    if len(pictures):
        _renumber(store, pictures, gone)
    known = store.ledger.known()

    def named(batch: pa.RecordBatch) -> pa.RecordBatch:
        return batch.filter(pa.array(np.isin(batch.column("picture").to_numpy(), known)))

    store.people.rewrite(named)


def _renumber(store: Store, pictures: Array, gone: Array) -> None:
    """Give ``pictures`` new numbers, with everybody in them but those who are ``gone``."""
    first = store.ledger.newest_picture + 1
    counts = dict.fromkeys(pictures.tolist(), 0)
    kept: list[pa.RecordBatch] = []
    for batch in store.people.rows_of("picture", pictures.tolist(), store.people.schema.names):
        batch = batch.filter(pa.array(~np.isin(batch.column("detection").to_numpy(), gone)))
        old = batch.column("picture").to_numpy()
        for picture, people in zip(*np.unique(old, return_counts=True), strict=True):
            counts[int(picture)] += int(people)
        column = pa.array(first + np.searchsorted(pictures, old), pa.int64())
        kept.append(batch.set_column(batch.schema.get_field_index("picture"), "picture", column))
    if any(len(batch) for batch in kept):
        store.people.add(pa.Table.from_batches([_as(batch, store.people.schema) for batch in kept]))
    entries = [
        replace(entry, picture=first + i, people=counts[picture])
        for i, picture in enumerate(pictures.tolist())
        for entry in store.ledger.entries_of(picture)
    ]
    for entry in store.ledger:  # files that are one of these pictures saved anew
        like: Any = getattr(entry, "like", None)
        if like in counts:
            other: dict[str, Any] = {"like": first + int(np.searchsorted(pictures, like))}
            entries.append(replace(entry, **other))
    store.table.put(records.to_rows(entries), records.KEY)
    for entry in entries:
        store.ledger.put(entry)


def _as(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays(batch.columns, schema=schema)
