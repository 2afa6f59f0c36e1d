"""How far a long job is: one small protocol, a silent form, and the console's.

Rooms that work long take a ``progress: Progress = silent`` and call it as
``for item in progress(items, "training", total=n):``. The console form writes to standard
error, so that results on standard output stay clean.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator, Sized
from typing import Protocol, TextIO, TypeVar

T = TypeVar("T")


class Progress(Protocol):
    """Passes items through and tells somebody how far it is."""

    def __call__(
        self, items: Iterable[T], label: str, *, total: int | None = None, done: int = 0
    ) -> Iterator[T]:
        """The items, unchanged; ``done`` of ``total`` were finished by an earlier run."""
        ...


def silent(items: Iterable[T], label: str, *, total: int | None = None, done: int = 0) -> Iterator[T]:
    """Tell nobody."""
    yield from items


def clock(seconds: float) -> str:
    """A duration as people read it.

    >>> clock(7), clock(75), clock(3700)
    ('0:07', '1:15', '1:01:40')
    """
    whole = round(seconds)
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def timecode(seconds: float) -> str:
    """A position in a video as players show it.

    >>> timecode(3723.5)
    '01:02:03.500'
    """
    thousandths = round(seconds * 1000)
    minutes, rest = divmod(thousandths, 60_000)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{rest // 1000:02d}.{rest % 1000:03d}"


class PlainProgress:
    """A line every few seconds: for logs, pipes and CI.

    Args:
        stream: where to write; standard error by default.
        every: seconds between two lines.
    """

    def __init__(self, stream: TextIO | None = None, every: float = 5.0) -> None:
        self.stream = stream if stream is not None else sys.stderr
        self.every = every

    def __call__(
        self, items: Iterable[T], label: str, *, total: int | None = None, done: int = 0
    ) -> Iterator[T]:
        """The items; a line with count, rate and time left at most every ``self.every`` seconds."""
        if total is None and isinstance(items, Sized):
            total = len(items) + done
        start = last = time.monotonic()
        count = done
        for item in items:
            yield item
            count += 1
            now = time.monotonic()
            if now - last >= self.every:
                last = now
                print(self._line(label, count, done, total, now - start), file=self.stream, flush=True)
        elapsed = time.monotonic() - start
        print(f"{label}: {count} done in {clock(elapsed)}", file=self.stream, flush=True)

    @staticmethod
    def _line(label: str, count: int, done: int, total: int | None, elapsed: float) -> str:
        rate = (count - done) / max(elapsed, 1e-9)
        line = f"{label}: {count}" + (f"/{total}" if total else "") + f", {rate:.1f}/s"
        return line + (f", {clock((total - count) / max(rate, 1e-9))} left" if total else "")


class BarProgress:
    """A bar on a terminal, with rate and time left."""

    def __call__(
        self, items: Iterable[T], label: str, *, total: int | None = None, done: int = 0
    ) -> Iterator[T]:
        """The items; a live bar on standard error."""
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )
        from rich.progress import Progress as RichProgress

        if total is None and isinstance(items, Sized):
            total = len(items) + done
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
        )
        with RichProgress(*columns, console=Console(stderr=True)) as bar:
            task = bar.add_task(label, total=total, completed=done)
            for item in items:
                yield item
                bar.advance(task)


def console(kind: str = "auto") -> Progress:
    """The console's progress: ``auto`` (a bar on a terminal, else lines), ``bar``, ``plain`` or ``none``."""
    if kind == "none":
        return silent
    if kind == "bar" or (kind == "auto" and sys.stderr.isatty()):
        return BarProgress()
    return PlainProgress()
