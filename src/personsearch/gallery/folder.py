"""The folder of a gallery before it is one."""

from __future__ import annotations

import shutil
from pathlib import Path

from personsearch.errors import InputError
from personsearch.files import disk_errors
from personsearch.gallery.description import CALIBRATION, DESCRIPTION

LOCK = "writer.lock"


ONE_WRITER = (DESCRIPTION, "suppressed.json", "removal.json", "migration.json", "cells.npz")
"""Files that only whoever holds the lock writes; readers write the head of the audit log as well."""


def remove_temporary(path: Path) -> None:
    """Remove what a writer that died left of a file it was about to write; the caller holds the lock."""
    for name in ONE_WRITER:
        for left in path.glob(f".{name}.*.tmp"):
            with disk_errors(path):
                left.unlink(missing_ok=True)


def is_gallery(path: Path) -> bool:
    """Whether a gallery was made in ``path`` (its making was finished)."""
    return (path / DESCRIPTION).exists()


def check_free(path: Path) -> None:
    """Nothing but the debris of a gallery whose making was killed may be in ``path``."""
    if path.exists() and not path.is_dir():
        raise InputError(f"{path} is a file", hint="give a folder for the gallery")
    if is_gallery(path):
        raise InputError(f"{path} is a gallery already", hint="open it, or choose another folder")
    ours = {LOCK, CALIBRATION, "people.lance", "ledger.lance"}
    others = [item.name for item in path.iterdir() if item.name not in ours] if path.is_dir() else []
    others = [name for name in others if not name.startswith((f".{DESCRIPTION}.", f".{CALIBRATION}."))]
    if others:
        raise InputError(f"{path} is neither empty nor a gallery", hint="choose a new folder for the gallery")


def remove_unfinished(path: Path) -> None:
    """Remove the debris that :func:`check_free` allows, but for the lock."""
    for item in path.iterdir():
        if item.is_dir():
            shutil.rmtree(item)
        elif item.name != LOCK:
            item.unlink()
