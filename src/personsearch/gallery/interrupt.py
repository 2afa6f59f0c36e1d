"""Ctrl-C waits while something must not be torn in two."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Hold Ctrl-C back inside the block and deliver it at its end.

    LanceDB works in threads of its own: a KeyboardInterrupt in the middle of a commit would
    leave Python not knowing whether it happened. Commits take milliseconds, so waiting for
    one is not felt. Outside the main thread no Ctrl-C arrives, and nothing is done.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    arrived: list[tuple[int, FrameType | None]] = []
    before = signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGINT, lambda number, frame: arrived.append((number, frame)))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.SIG_DFL if before is None else before)
        if arrived and callable(before):
            before(*arrived[0])
