"""The run folder: whose it is, who may write it, and what it was made from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from personsearch.errors import InputError, UsageError
from personsearch.files import WriterLock, disk_errors, write_json
from personsearch.model.checkpoint import CONFIG, WEIGHTS
from personsearch.training.settings import TrainingSettings, settings_from_json, shaping
from personsearch.types import Scene

SETTINGS, LOCK, BEST = "settings.json", "lock", "best"


def claim(
    out: Path, settings: TrainingSettings, scenes: Sequence[Scene], source: Mapping[str, str] | None
) -> WriterLock | None:
    """Make ``out`` this run's folder and hold its lock; None if the run in it is already finished.

    Raises:
        UsageError: it holds another run, or a model.
        LockedError: another process trains there.
    """
    wanted = {"settings": settings.to_json(), "data": data_summary(scenes), "source": dict(source or {})}
    wanted = json.loads(json.dumps(wanted))
    path = out / SETTINGS
    if path.exists() and (out / CONFIG).exists():
        _check_same(out, wanted)
        return None
    with disk_errors(out):
        out.mkdir(parents=True, exist_ok=True)
    if not path.exists() and ((out / WEIGHTS).exists() or (out / CONFIG).exists()):
        raise UsageError(f"{out} holds a model, not a run", hint="choose another --out")
    if path.exists():
        _check_same(out, wanted)
    lock = WriterLock(out / LOCK)
    try:
        if path.exists():  # again: it may have been somebody else's until a moment ago
            _check_same(out, wanted)
        else:
            write_json(path, wanted)
        if (out / CONFIG).exists():
            lock.release()
            return None
    except BaseException:
        lock.release()
        raise
    return lock


def _check_same(out: Path, wanted: Mapping[str, Any]) -> None:
    """Refuse a folder of other settings or data; those that change no result may differ."""
    try:
        found = json.loads((out / SETTINGS).read_text(encoding="utf-8"))
        # What an older version did not write is what it did.
        theirs = json.loads(json.dumps(settings_from_json(found["settings"]).to_json()))
        same = found["data"] == wanted["data"] and shaping(theirs) == shaping(wanted["settings"])
    except (ValueError, KeyError, TypeError, AttributeError, UsageError):  # not a run's settings
        same = False
    if not same:
        raise UsageError(
            f"{out} holds a run of other settings or data", hint="choose another --out or delete that folder"
        )


def data_summary(scenes: Sequence[Scene]) -> dict[str, Any]:
    """What the run is trained on, enough to notice that it has changed."""
    people = np.concatenate([s.people for s in scenes]) if scenes else np.zeros(0, np.int64)
    boxes = np.concatenate([s.boxes for s in scenes]) if scenes else np.zeros((0, 4))
    names = "\n".join(s.name for s in scenes).encode()
    # Only where somebody is ignored, so that runs from before there was anybody keep their checksum.
    ignored = b"".join(np.asarray(s.ignore).tobytes() for s in scenes if np.any(s.ignore))
    return {
        "scenes": len(scenes),
        "people": len(people),
        "labelled": int((people >= 0).sum()),
        "identities": len(np.unique(people[people >= 0])),
        "checksum": hashlib.sha256(names + boxes.tobytes() + people.tobytes() + ignored).hexdigest(),
    }


def label_checksum(known: Sequence[Scene]) -> str:
    """What the identities 0..C-1 of a run mean: who stands where under which number."""
    digest = hashlib.sha256()
    for scene in known:
        rows = np.flatnonzero(scene.people >= 0)
        digest.update(f"{scene.name}\n".encode() + scene.boxes[rows].tobytes() + scene.people[rows].tobytes())
    return digest.hexdigest()


def read_run(run: Path) -> tuple[TrainingSettings, dict[str, str]]:
    """Settings and source of a run folder, to go on with it.

    Raises:
        InputError: there is no run, or its settings cannot be read.
    """
    path = run / SETTINGS
    if not path.exists():
        raise InputError(f"there is no run in {run}", hint="give the folder that train --out was told")
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return settings_from_json(found["settings"]), dict(found.get("source", {}))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path} cannot be read", hint="was it changed by hand?") from error
