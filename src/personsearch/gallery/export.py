"""Everybody in a gallery as one plain file: Parquet, CSV or JSON lines."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from personsearch.errors import UsageError
from personsearch.files import harmless, write_atomically
from personsearch.gallery.description import read_description
from personsearch.gallery.gallery import Gallery
from personsearch.gallery.ledger import Entry
from personsearch.gallery.people import schema
from personsearch.gallery.tables import Table

FORMS = (".parquet", ".csv", ".jsonl")
COLUMNS = (
    "detection",
    "picture",
    "x1",
    "y1",
    "x2",
    "y2",
    "score",
    "camera",
    "time",
    "frame",
    "position_s",
    "tracklet",
    "sha256",
)
"""Columns of CSV and JSON lines (and, but for ``box_xyxy`` and ``vector``, of Parquet)."""


def export(path: Path | str, out: Path, *, vectors: bool = False) -> int:
    """Write everybody who is searched to the file ``out``, whole or not at all; how many there are.

    The form is that of the file's name. Embeddings are in Parquet only, and only when asked for.
    The catch: what is exported is out of the gallery's hands; forgetting does not reach it.

    Args:
        path: the gallery.
        out: ends with ``.parquet``, ``.csv`` or ``.jsonl``.
        vectors: the raw embeddings, too.

    Raises:
        UsageError: another ending, or vectors in a form that has no room for them.
    """
    form = out.suffix.lower()
    if form not in FORMS:
        raise UsageError(f"{out} ends with none of {', '.join(FORMS)}", hint="the ending says which form")
    if vectors and form != ".parquet":
        raise UsageError(f"{form} has no room for embeddings", hint="export to a .parquet file")
    with Gallery.open(path) as gallery:
        about = read_description(gallery.path)
        table = Table(gallery.path, about.people_table, schema(about.dim))
        rows = _rows(gallery, table, about.dim if vectors else 0)
        count = 0

        def counted() -> Iterator[pa.RecordBatch]:
            nonlocal count
            for batch in rows:
                count += len(batch)
                yield batch

        metadata = {"fingerprint": about.fingerprint, "similarity": about.similarity}
        kind = _schema(about.dim if vectors else 0).with_metadata(metadata)
        write: Callable[[BinaryIO], None] = {
            ".parquet": lambda file: _parquet(file, counted(), kind),
            ".csv": lambda file: _csv(file, counted()),
            ".jsonl": lambda file: _jsonl(file, counted()),
        }[form]
        write_atomically(out, write)
    return count


def _schema(dim: int) -> pa.Schema:
    fields = [
        pa.field("detection", pa.int64()),
        pa.field("picture", pa.string()),
        pa.field("box_xyxy", pa.list_(pa.float32(), 4)),
        pa.field("score", pa.float32()),
        pa.field("camera", pa.string()),
        pa.field("time", pa.float64()),
        pa.field("frame", pa.int64()),
        pa.field("position_s", pa.float64()),
        pa.field("tracklet", pa.int64()),
        pa.field("sha256", pa.string()),
    ]
    return pa.schema([*fields, *([pa.field("vector", pa.list_(pa.float32(), dim))] if dim else [])])


def _rows(gallery: Gallery, table: Table, dim: int) -> Iterator[pa.RecordBatch]:
    """Batches of everybody who is searched, with paths and contents instead of numbers of pictures."""
    entries: dict[int, Entry] = {}
    for entry in gallery.entries():
        if entry.state == "done" and entry.picture is not None:
            entries.setdefault(entry.picture, gallery.entries_of(entry)[0])
    names = [
        "detection",
        "picture",
        "box_xyxy",
        "score",
        "camera",
        "time",
        "frame",
        "position",
        "tracklet",
        *(["vector"] if dim else []),
    ]
    known = np.array(sorted(entries), np.int64)
    for batch in table.batches(names):
        batch = batch.filter(pa.array(np.isin(batch.column("picture").to_numpy(), known)))
        of = [entries[picture] for picture in batch.column("picture").to_pylist()]
        columns = {name: batch.column(name) for name in names}
        columns["position_s"] = columns.pop("position")
        columns["picture"] = pa.array([str(gallery.file(entry.place)) for entry in of], pa.string())
        columns["sha256"] = pa.array([entry.sha256 for entry in of], pa.string())
        kind = _schema(dim)
        yield pa.RecordBatch.from_arrays([columns[name] for name in kind.names], schema=kind)


def _parquet(file: BinaryIO, batches: Iterator[pa.RecordBatch], kind: pa.Schema) -> None:
    with pq.ParquetWriter(file, kind, compression="zstd") as writer:
        for batch in batches:
            writer.write_batch(batch.replace_schema_metadata(kind.metadata))


def _records(batches: Iterator[pa.RecordBatch]) -> Iterator[dict[str, object]]:
    for batch in batches:
        for row in batch.to_pylist():
            x1, y1, x2, y2 = row["box_xyxy"]
            sides = {"x1": x1, "y1": y1, "x2": x2, "y2": y2}
            yield {name: sides.get(name, row.get(name)) for name in COLUMNS}


def _csv(file: BinaryIO, batches: Iterator[pa.RecordBatch]) -> None:
    text = io.TextIOWrapper(file, encoding="utf-8", newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for record in _records(batches):
        writer.writerow([harmless(record[name]) for name in COLUMNS])
    text.detach()  # flushes, and leaves the file open


def _jsonl(file: BinaryIO, batches: Iterator[pa.RecordBatch]) -> None:
    for record in _records(batches):
        box = [record[name] for name in ("x1", "y1", "x2", "y2")]
        rest = {name: record[name] for name in COLUMNS if name not in ("x1", "y1", "x2", "y2")}
        line = {"schema": "personsearch.person/1", **rest, "box_xyxy": box}
        file.write((json.dumps(line, allow_nan=False) + "\n").encode())
