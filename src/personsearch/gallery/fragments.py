"""People whom many processes write at once: first the files, which count for nothing, then one commit.

In two phases, so that whoever dies leaves nothing half there. A worker writes data files of the
people table (:func:`write_people`) that no version of the table names. The gallery's only writer
makes a version that does (:meth:`Fragments.commit`), and after it the entries of the ledger that make
these people count, as always. A worker that dies leaves files that nobody names; a writer that dies
between the two leaves people whom no entry names, which the next one sweeps.

Needs pylance, which the extra ``ray`` brings.
"""

from __future__ import annotations

import importlib
import json
import os
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from personsearch.errors import InputError
from personsearch.files import disk_errors, sync_folder
from personsearch.gallery.gallery import Gallery
from personsearch.gallery.ledger import Entry, FileState
from personsearch.gallery.suppression import Suppression

INDEX_FROM = 250_000
"""People from whom on an index is made: below it, reading everything is as fast."""


def pylance() -> Any:
    """The library that writes parts of a Lance dataset; LanceDB alone cannot.

    Raises:
        InputError: it is not installed.
    """
    try:
        return importlib.import_module("lance")
    except ImportError as error:
        raise InputError(
            "what writes a gallery from many processes is not installed",
            hint="pip install 'personsearch[ray]'",
        ) from error


def write_people(table: Path, people: pa.Table) -> list[str]:
    """Write ``people`` into files of the table in the folder ``table``; what :meth:`Fragments.commit` takes.

    The files are on the disk when this returns, and in no version of the table.
    """
    lance = pylance()
    with disk_errors(table):
        dataset = lance.dataset(str(table))
        written = lance.fragment.write_fragments(people.select(dataset.schema.names), dataset, mode="append")
        for fragment in written:
            for file in fragment.files:
                path = table / "data" / file.path
                handle = os.open(path, os.O_RDONLY if os.name == "posix" else os.O_RDWR)
                try:
                    os.fsync(handle)
                finally:
                    os.close(handle)
        sync_folder(table / "data")
    return [json.dumps(fragment.to_json()) for fragment in written]


class Fragments:
    """What other processes wrote, going into ``gallery``, which is open for writing in this one."""

    def __init__(self, gallery: Gallery) -> None:
        gallery._check_writing()
        gallery.flush()
        self._gallery = gallery

    @property
    def table(self) -> Path:
        """The folder of the people table."""
        return self._gallery._people_table.files.resolve()

    @property
    def next_picture(self) -> int:
        """From here on numbers of pictures are free."""
        return self._gallery._ledger.newest_picture + 1

    @property
    def next_detection(self) -> int:
        """From here on numbers of people are free."""
        return self._gallery._next_detection

    @next_detection.setter
    def next_detection(self, number: int) -> None:
        self._gallery._next_detection = max(number, self._gallery._next_detection)

    @property
    def kept_out(self) -> Suppression:
        """Who must not be added."""
        return self._gallery._kept_out

    def commit(self, written: Sequence[str]) -> None:
        """Make these files of :func:`write_people` a part of the table, in one commit."""
        self._gallery._check_writing()
        if written:
            self._gallery._people_table.append_written(written)

    def add(self, file: FileState, picture: int, people: int, **known: Any) -> Entry:
        """Record that ``people`` of ``file`` were committed under the number ``picture``."""
        return self._gallery._record(file, state="done", picture=picture, people=people, **known)

    def drop(self, pictures: Collection[int]) -> None:
        """Delete people who were committed and are not wanted after all: no entry names their picture."""
        if pictures:
            self._gallery._people_table.delete("picture", sorted(pictures))

    def clear(self) -> None:
        """Remove files of workers that died; only when no worker is at work any more."""
        self._gallery._people_table.clear()


def index_people(gallery: Gallery, workers: int) -> list[str]:
    """Index the table with lance-ray, on the cluster this process is connected to; which columns.

    Once: an index that is there takes in what is new whenever the gallery is maintained.

    ``detection`` and ``picture`` (B-trees) make looking up, forgetting and verifying single pictures
    quick; ``vector`` (IVF, scalar quantisation) is for whoever searches the table with LanceDB itself,
    without our matrix in memory: nobody has to keep the vectors in memory for that.

    Args:
        gallery: open for writing; committed.
        workers: of the cluster that take part.
    """
    lance_ray: Any = importlib.import_module("lance_ray")
    if gallery._people_table.indexed():
        return []
    table = str(gallery._people_table.files.resolve())
    for column in ("detection", "picture"):
        lance_ray.create_scalar_index(table, column=column, index_type="BTREE", num_workers=workers)
    rows = len(gallery._people_table)
    cells = max(1, rows // 1000)
    metric = {"cosine": "cosine", "euclidean": "l2", "product": "dot"}[gallery.similarity]
    lance_ray.create_index(
        table,
        column="vector",
        index_type="IVF_SQ",
        metric=metric,
        num_partitions=cells,
        sample_rate=max(2, min(256, rows // cells)),
        num_workers=workers,
    )
    gallery._people_table.newest()
    gallery._people_table.sync()
    return ["detection", "picture", "vector"]
