"""Files that are whole or not there: atomic writing, content hashes, one writer at a time."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import socket
import sys
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

from personsearch.errors import LockedError, PersonSearchError

_FAR = 1 << 20
"""Windows locks bytes, not files: one behind the text, so that others can still read who it is."""


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn a full or read-only disk into one clear line that names ``path``."""
    try:
        yield
    except OSError as error:
        said = {
            errno.ENOSPC: ("no space left on the disk of", "free some space and run the same command again"),
            errno.EDQUOT: ("disk quota exceeded at", "free some space and run the same command again"),
            errno.EROFS: ("read-only file system at", "choose a folder that can be written"),
            errno.EACCES: ("no permission to write", "choose a folder that can be written"),
        }.get(error.errno or 0)
        if said is None:
            raise
        raise PersonSearchError(f"{said[0]} {path}", hint=said[1]) from error


def write_atomically(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Call ``write`` with a file that becomes ``path`` only when all of it is on disk.

    A crash, a full disk or Ctrl-C at any moment leaves the old file or the new one, never
    half of either: temporary file beside it, fsync, rename, fsync of the folder.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with disk_errors(path):
        try:
            with temporary.open("wb") as file:
                write(file)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make renames in ``folder`` survive a power cut (where the system can)."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:  # Windows cannot open folders; its renames are journalled
        return
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_bytes(path: Path, content: bytes) -> None:
    """Write ``content`` to ``path``, all or nothing."""
    write_atomically(path, lambda file: file.write(content))


def write_text(path: Path, content: str) -> None:
    """Write ``content`` to ``path`` as UTF-8, all or nothing."""
    write_bytes(path, content.encode())


def write_json(path: Path, value: Any, *, sort: bool = True) -> None:
    """Write ``value`` to ``path`` as indented JSON, all or nothing; keys sorted, or in their own order."""
    write_text(path, json.dumps(value, indent=2, sort_keys=sort, ensure_ascii=False) + "\n")


def harmless(value: Any) -> Any:
    """A cell of CSV that no spreadsheet takes for a formula: ``=cmd()`` is preceded by ``'``.

    Line ends and the wide forms of the signs count, too: some spreadsheets trim or narrow them.

    >>> harmless("=1+1"), harmless(-0.5), harmless("a.jpg"), harmless(None), harmless("\uff1d1")[0]
    ("'=1+1", -0.5, 'a.jpg', '', "'")
    """
    if value is None:
        return ""
    acts = isinstance(value, str) and value[:1] in tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")
    return f"'{value}" if acts else value


def sha256_of(*paths: Path) -> str:
    """Hex digest over the contents of ``paths``, in order."""
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


class WriterLock:
    """Held by the only process that may write to the folder of ``path``.

    The lock is the kernel's, on an open file, and ends with the process, even by ``kill -9``:
    a dead writer never has to be cleaned up after. The file's text says who wrote last, for
    the message only. (Like every such lock it needs a file system that supports locks; local
    disks and NFS do.)
    """

    def __init__(self, path: Path) -> None:
        with disk_errors(path):
            handle = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o644)
        try:
            if not _try_lock(handle):
                raise LockedError(
                    f"{path.parent} is being written by {_holder(handle)}",
                    hint="wait for it to finish, or end it, and run the same command again",
                )
            with disk_errors(path):
                os.ftruncate(handle, 0)
                os.write(handle, json.dumps(_myself()).encode())
        except BaseException:
            os.close(handle)
            raise
        self._handle: int | None = handle
        if hasattr(os, "register_at_fork"):
            # A child shares the open file, and would hold the lock on when this process is killed.
            mine = weakref.WeakMethod(self.release)
            os.register_at_fork(after_in_child=lambda: _call(mine()))

    def release(self) -> None:
        """Let others write. Calling it again does nothing."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None


def _call(act: Callable[[], None] | None) -> None:
    if act is not None:
        act()


def _myself() -> dict[str, object]:
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return {"process": os.getpid(), "host": socket.gethostname(), "since": now}


def _holder(handle: int) -> str:
    """Who wrote the lock's text; it may be read while its holder is writing it."""
    try:
        said = json.loads(os.read(handle, 4096))
        return f"process {said['process']} on {said['host']} since {said['since']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"


def _try_lock(handle: int) -> bool:
    if sys.platform == "win32":
        import msvcrt

        os.lseek(handle, _FAR, os.SEEK_SET)
        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        finally:
            os.lseek(handle, 0, os.SEEK_SET)
        return True
    import fcntl

    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
