"""What an unfinished migration has written beside the gallery: other tables, under the next generation."""

from __future__ import annotations

import shutil
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import numpy as np
import pyarrow as pa

from personsearch.errors import InputError
from personsearch.files import disk_errors, sync_folder, write_json
from personsearch.gallery import ledger as records
from personsearch.gallery import people as rows
from personsearch.gallery.audit import AuditLog
from personsearch.gallery.description import (
    Description,
    calibration_file,
    own_calibration_file,
    read_object,
    table_name,
)
from personsearch.gallery.tables import Table
from personsearch.types import Similarity

FILE = "migration.json"


@dataclass(frozen=True, kw_only=True)
class Side:
    """A migration on its way.

    Attributes:
        fingerprint, dim, similarity: of the new model.
        generation: of the tables that are being filled.
    """

    fingerprint: str
    dim: int
    similarity: Similarity
    generation: int

    def write(self, gallery: Path) -> None:
        """Write ``migration.json``, all or nothing: it comes before the tables."""
        value = {"schema": "personsearch.migration/1", **self.__dict__}
        write_json(gallery / FILE, value)

    def tables(self, gallery: Path) -> tuple[Table, Table]:
        """People and ledger of the new generation, made where there are none yet."""
        made = []
        for name, schema in (("people", rows.schema(self.dim)), ("ledger", records.SCHEMA)):
            name = table_name(name, self.generation)
            there = (gallery / f"{name}.lance" / "_versions").is_dir()
            if not there:
                shutil.rmtree(gallery / f"{name}.lance", ignore_errors=True)
            made.append(Table(gallery, name, schema, create=not there))
        return made[0], made[1]


def read_side(gallery: Path) -> Side | None:
    """The migration on its way in ``gallery``, if there is one."""
    path = gallery / FILE
    if not path.exists():
        return None
    value = read_object(path)
    try:
        side = Side(
            fingerprint=str(value["fingerprint"]),
            dim=int(value["dim"]),
            similarity=value["similarity"],
            generation=int(value["generation"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{path} is damaged: {type(error).__name__} at {error}",
            hint="give the migration up with: personsearch gallery migrate --abandon",
        ) from error
    if side.similarity not in get_args(Similarity) or side.dim < 1 or side.generation < 1:
        raise InputError(
            f"{path} is damaged: dim, similarity or generation is not a possible one",
            hint="give the migration up with: personsearch gallery migrate --abandon",
        )
    return side


def remove_leftovers(gallery: Path, about: Description) -> None:
    """Note a migration that took over, and remove the old tables; safe to repeat after a death."""
    side = read_side(gallery)
    if side is None or side.generation > about.generation:
        return
    log = AuditLog(gallery)
    told = {r.get("generation") for r in log.records() if r.get("action") == "migrate"}
    if side.generation not in told:
        log.append("migrate", {"after": side.fingerprint, "generation": side.generation})
    remove_tables(gallery, side.generation - 1)
    with disk_errors(gallery):
        (gallery / FILE).unlink()
        sync_folder(gallery)


def take_out_of_side(gallery: Path, detections: Collection[int]) -> int:
    """Take people out of an unfinished migration, with every byte; how many were in there.

    Their pictures are described anew when the migration goes on, without them.
    """
    side = read_side(gallery)
    if side is None:
        return 0
    people, ledger = side.tables(gallery)
    wanted = np.array(sorted(detections), np.int64)
    found = [
        batch.column("picture").to_numpy()
        for batch in people.rows_of("detection", wanted.tolist(), ["picture"])
    ]
    pictures = np.unique(np.concatenate([np.empty(0, np.int64), *found]))
    if len(pictures):
        ledger.delete("picture", pictures.tolist())

    def others(batch: pa.RecordBatch) -> pa.RecordBatch:
        return batch.filter(pa.array(~np.isin(batch.column("picture").to_numpy(), pictures)))

    people.rewrite(others)
    return sum(len(column) for column in found)


def remove_tables(gallery: Path, generation: int) -> None:
    """Remove tables and calibration of one generation."""
    with disk_errors(gallery):
        for name in ("people", "ledger"):
            folder = gallery / f"{table_name(name, generation)}.lance"
            if folder.exists():
                shutil.rmtree(folder)
        calibration_file(gallery, generation).unlink(missing_ok=True)
        own_calibration_file(gallery, generation).unlink(missing_ok=True)
        sync_folder(gallery)
