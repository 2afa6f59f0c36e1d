"""What a gallery is and holds, in numbers."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from personsearch.gallery import removal
from personsearch.gallery.audit import AuditLog
from personsearch.gallery.description import FORMAT, read_description
from personsearch.gallery.gallery import Gallery
from personsearch.gallery.people import schema
from personsearch.gallery.side import read_side
from personsearch.gallery.suppression import read_suppression
from personsearch.gallery.tables import Table


def describe(path: Path | str) -> dict[str, Any]:
    """Model, counts, cameras, times, size on the disk, and what is under way.

    Raises:
        InputError: there is no gallery, or it is damaged.
    """
    with Gallery.open(path) as gallery:
        about = read_description(gallery.path)
        table = Table(gallery.path, about.people_table, schema(about.dim))
        states = Counter(entry.state for entry in gallery.entries())
        cameras: Counter[str] = Counter()
        times: list[float] = []
        for batch in table.batches(["camera", "time"]):
            cameras.update(name for name in batch.column("camera").to_pylist() if name is not None)
            known = batch.column("time").drop_null().to_numpy()
            times += [float(known.min()), float(known.max())] if len(known) else []
        kept_out, side = read_suppression(gallery.path), read_side(gallery.path)
        return {
            "gallery": str(gallery.path),
            "format": FORMAT,
            "created": about.created,
            "model": about.fingerprint,
            "dim": about.dim,
            "similarity": about.similarity,
            "calibrated": gallery.calibration is not None,
            "people": gallery.people,
            "pictures": gallery.pictures,
            "files": {"done": 0, "failed": 0, "missing": 0, **states},
            "sources": [str(source.folder(gallery.path)) for source in about.sources],
            "cameras": dict(sorted(cameras.items())),
            "earliest": _when(min(times)) if times else None,
            "latest": _when(max(times)) if times else None,
            "kept_out": len(kept_out.boxes),
            "examples": len(kept_out.examples),
            "audit_records": sum(1 for _ in AuditLog(gallery.path).records()),
            "migrating_to": None if side is None else side.fingerprint,
            "removal_under_way": (gallery.path / removal.JOB).exists(),
            "megabytes": round(_bytes(gallery.path) / 1e6, 1),
        }


def _when(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def _bytes(folder: Path) -> int:
    sizes = []
    for path in folder.rglob("*"):
        try:
            sizes.append(path.stat().st_size if path.is_file() else 0)
        except FileNotFoundError:  # a writer removed it meanwhile
            continue
    return int(np.sum(sizes, dtype=np.int64)) if sizes else 0
