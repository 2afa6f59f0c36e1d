"""One writer at a time, by a lock that the system itself takes back when its holder dies."""

from __future__ import annotations

import json
import os
import socket
import sys
from datetime import UTC, datetime
from pathlib import Path

from personsearch.errors import LockedError
from personsearch.files import disk_errors

_FAR = 1 << 20
"""Windows locks bytes, not files: one behind the text, so that others can still read who it is."""


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

    def release(self) -> None:
        """Let others write. Calling it again does nothing."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None


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
