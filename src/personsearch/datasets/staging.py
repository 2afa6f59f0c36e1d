"""A new data set's folder: made beside its place, moved there when it is whole.

What an interruption leaves is called ``.NAME.partial`` and is no data set; the same command goes
on with it.
"""

from __future__ import annotations

import errno
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from personsearch.errors import DatasetError, UsageError
from personsearch.files import disk_errors, sync_folder, write_json
from personsearch.progress import Progress
from personsearch.types import Scene

Transfer = Literal["copy", "link", "none"]
"""What becomes of the pictures: copied, given a second name (a hard link), or left away."""

RECORD = "conversion.json"
"""What the folder was made from; one that was begun is known by it, too."""


def check_free(out: Path, source: Path) -> None:
    """Nothing is written over, and nothing into the data set that is read.

    Raises:
        UsageError: ``out`` is a file, not empty, or lies in ``source``.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        what = "is not empty" if out.is_dir() else "is a file, not a folder"
        raise UsageError(f"{out} {what}", hint="give a new folder with --out")
    if source.resolve() in (out.resolve(), *out.resolve().parents):
        raise UsageError(f"{out} lies in the data set itself", hint="give a folder elsewhere with --out")


def build(out: Path, asked: Mapping[str, Any], make: Callable[[Path], Mapping[str, Any]]) -> None:
    """Have ``make`` fill a folder that becomes ``out`` when all of it is there.

    Args:
        out: the new folder; new or empty.
        asked: what it is made from and how, as JSON; an interrupted one goes on only for the same.
        make: fills the folder that it is given, whatever an earlier run left there; what it
            returns is recorded beside ``asked``.

    Raises:
        UsageError: an interrupted run of something else is in the way.
    """
    part = out.with_name(f".{out.name}.partial")
    _check_begun(part, asked)
    with disk_errors(out):
        part.mkdir(parents=True, exist_ok=True)
        write_json(part / RECORD, {**asked, "whole": False})
        more = make(part)
        write_json(part / RECORD, {**asked, "whole": True, **more})
        if out.is_dir():
            out.rmdir()
        part.rename(out)
        sync_folder(out.parent)


def transfer(
    root: Path,
    pictures: Sequence[tuple[Scene, Path]],
    how: Transfer,
    progress: Progress,
) -> None:
    """Copy or link the pictures of scenes to places below ``root``; finished ones stay.

    Raises:
        DatasetError: a scene has no picture file.
    """
    if how == "none":
        return
    for scene, _ in pictures:  # all of them before the first is copied
        if scene.path is None or not scene.path.is_file():
            raise DatasetError(
                f"{scene.name} has no picture file", hint="--no-pictures writes the annotation alone"
            )
    label = "copying pictures" if how == "copy" else "linking pictures"
    for scene, below in progress(pictures, label, total=len(pictures)):
        source, place = scene.path, root / below
        if source is not None and not _is_done(source, place, how):
            place.parent.mkdir(parents=True, exist_ok=True)
            temporary = place.with_name(f".{place.name}.tmp")
            temporary.unlink(missing_ok=True)
            if how == "link":
                _link(source, temporary)
            else:
                shutil.copyfile(source, temporary)
            temporary.replace(place)


def _is_done(source: Path, place: Path, how: Transfer) -> bool:
    """Whether an earlier run finished this picture: it is moved in place only when it is whole."""
    if not place.is_file():
        return False
    if how == "link":
        return place.samefile(source)
    return not place.samefile(source) and place.stat().st_size == source.stat().st_size


def _link(source: Path, place: Path) -> None:
    """A second name of the same file; symbolic links would lead out of the data set, which readers refuse."""
    try:
        place.hardlink_to(source.resolve())
    except OSError as error:
        if error.errno not in (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP):
            raise
        raise DatasetError(
            f"{source} cannot be linked to from {place.parent}: {error.strerror}",
            hint="links need the same disk; use --copy",
        ) from error


def _check_begun(part: Path, asked: Mapping[str, Any]) -> None:
    """An interrupted run goes on only as what it was begun as."""
    if not part.exists():
        return
    try:
        held = json.loads((part / RECORD).read_text())
    except FileNotFoundError:
        held = {}
    except (OSError, ValueError):
        held = None
    if held == {} and part.is_dir() and not any(part.iterdir()):
        return
    if not isinstance(held, dict) or {key: held.get(key) for key in asked} != dict(asked):
        raise UsageError(
            f"{part} holds an interrupted conversion of something else", hint=f"remove {part} and start again"
        )
