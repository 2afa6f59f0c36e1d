"""What was read from large annotation files, kept in a compact form so that it is read once.

The key is the content: SHA-256 over the source files, 0.1 to 0.3 s for the 60 MB of the largest
official file. Size and time of change would be quicker, but a copy tool that keeps times, or a
clock that stands still, would then give one data set the searches of another, silently. So a
changed file has another key, a damaged entry is noticed (every array has a checksum) and made
again, and an entry of another version is never looked at.

The entries lie in the user's cache folder, not beside the data, which is often shared and
read-only. ``PERSONSEARCH_CACHE`` names another folder, or ``off``. Where nothing can be written,
nothing is kept, and the log says so.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, Self, TypeVar

import numpy as np

from personsearch.errors import PersonSearchError
from personsearch.files import write_atomically
from personsearch.types import Array

VARIABLE = "PERSONSEARCH_CACHE"
SMALLEST = 1 << 18
"""Bytes of source below which reading again is as quick."""

_MOST = 1 << 30  # bytes in the folder; the entries not used for the longest time go first
_log = logging.getLogger(__name__)


class Kept(Protocol):
    """Something that can be kept as named arrays."""

    def to_arrays(self) -> dict[str, Array]:
        """Everything, as arrays without objects."""
        ...

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array]) -> Self:
        """The same again; a ValueError or KeyError if the arrays do not fit together."""
        ...


T = TypeVar("T", bound=Kept)


def cached(sources: Sequence[Path], kind: str, form: type[T], make: Callable[[], T]) -> T:
    """What ``make()`` reads from ``sources``, from the cache if it was read before.

    Args:
        sources: every file that the result depends on (their names count too, not their folder).
        kind: what it is and the version of its form, e.g. ``"cuhk-searches-TestG50-1"``.
        form: class of the result.
        make: reads it; its errors are the caller's.
    """
    folder = cache_folder()
    try:
        before = _states(sources)
        if folder is None or sum(size for size, _ in before) < SMALLEST:
            return make()
        path = folder / f"{kind}-{fingerprint_of(sources)}.npz"
    except OSError:  # a missing or unreadable file: its reader knows best what to say
        return make()
    found = _load(path, form)
    if found is not None:
        return found
    made = make()
    if _states(sources) == before:  # else the key is not that of what was read
        _save(path, made.to_arrays())
    return made


def cache_folder() -> Path | None:
    """Where entries lie; None if ``PERSONSEARCH_CACHE`` is ``off`` or the user has no home."""
    chosen = os.environ.get(VARIABLE, "")
    if chosen == "off":
        return None
    if chosen:
        return Path(chosen)
    if sys.platform == "win32":
        base, below = os.environ.get("LOCALAPPDATA", ""), "AppData/Local"
    elif sys.platform == "darwin":
        base, below = "", "Library/Caches"
    else:
        base, below = os.environ.get("XDG_CACHE_HOME", ""), ".cache"
    try:
        parent = Path(base) if base and Path(base).is_absolute() else Path.home() / below
    except RuntimeError:
        return None
    return parent / "personsearch" / "annotation"


def fingerprint_of(sources: Sequence[Path]) -> str:
    """Hex digest over names and contents, in order."""
    digest = hashlib.sha256()
    for path in sources:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            digest.update(json.dumps([path.name, size]).encode())
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def texts_to_array(texts: Sequence[str]) -> Array:
    """Texts of any length and content, as bytes.

    >>> array_to_texts(texts_to_array(["s1.jpg", ""]))
    ('s1.jpg', '')
    """
    return np.frombuffer(json.dumps(list(texts)).encode(), np.uint8)


def array_to_texts(array: Array) -> tuple[str, ...]:
    """The texts again; a ValueError if the bytes are something else."""
    texts = json.loads(array.tobytes())
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise ValueError("no list of texts")
    return tuple(texts)


def _states(sources: Sequence[Path]) -> list[tuple[int, int]]:
    return [(state.st_size, state.st_mtime_ns) for state in (path.stat() for path in sources)]


def _load(path: Path, form: type[T]) -> T | None:
    if not path.is_file():
        return None
    try:
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            found = form.from_arrays({name: file[name] for name in file.files})
    except Exception as error:  # zip, header, shape and key errors of a damaged file are many; all mean this
        _log.warning("%s is damaged (%s); it is made again", path, type(error).__name__)
        return None
    try:
        os.utime(path)
    except OSError:
        _log.debug("%s cannot be marked as used", path)
    return found


def _save(path: Path, arrays: Mapping[str, Any]) -> None:
    try:
        write_atomically(path, lambda file: np.savez(file, **arrays))
        _prune(path)
    except (OSError, PersonSearchError) as error:
        _log.warning("nothing is kept in %s (%s); the annotation is read anew each time", path.parent, error)


def _prune(newest: Path) -> None:
    """Remove the entries that were not used for the longest time, so that the folder stays small."""
    entries = [(path.stat(), path) for path in newest.parent.glob("*.npz")]
    room = _MOST
    for state, path in sorted(entries, key=lambda entry: -entry[0].st_mtime_ns):
        room -= state.st_size
        if room < 0 and path != newest:
            path.unlink(missing_ok=True)
