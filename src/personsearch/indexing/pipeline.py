"""Reading, decoding, the model and writing at the same time, with the results of one after the other.

Threads read and decode files ahead; one thread runs the model, always the same one; the caller's
thread decides and writes, strictly in the order of the files. What is done ahead is only ever a
guess at what the caller will ask for: every decision is taken when it is the file's turn, from
the same state as without any threads, so the outcome is the same to the bit.

Memory is bounded by :data:`BYTES` of decoded pixels and a picture a thread, however many files
there are.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from dataclasses import dataclass
from queue import Empty, Full, Queue
from typing import Generic, TypeVar

from personsearch.types import Detections, Picture

BYTES = 512 << 20
"""Decoded pixels that may wait for the model or for their turn."""

T = TypeVar("T")


class Model:
    """The model in a thread of its own: one question after the other, in the order of asking."""

    def __init__(self, detect: Callable[[Picture], Detections]) -> None:
        self._detect = detect
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="model")

    def ask(self, picture: Picture) -> Future[Detections]:
        """Who is in ``picture``; the answer comes later."""
        return self._thread.submit(self._detect, picture)

    def then(self, work: Callable[[], Detections | None]) -> Future[Detections | None]:
        """Do ``work`` when all that was asked before is answered."""
        return self._thread.submit(work)

    def __call__(self, picture: Picture) -> Detections:
        """Who is in ``picture``, now."""
        return self.ask(picture).result()

    def look(self, picture: Picture) -> Detections:
        """The answer, when called from :meth:`then`'s work."""
        return self._detect(picture)

    def close(self) -> None:
        """Drop what was not begun, and wait for what was."""
        self._thread.shutdown(wait=True, cancel_futures=True)


@dataclass
class Item(Generic[T]):
    """One thing on its way: prepared, and perhaps already looked at by the model."""

    prepared: Future[T]
    guess: Future[Detections | None]

    def cancel(self) -> bool:
        """Whether neither part is begun nor done; they then never are."""
        stopped = self.guess.cancel()
        return self.prepared.cancel() or stopped


class Ahead(Generic[T]):
    """Prepares things ahead of their turn.

    Args:
        prepare: what a thread does with each thing.
        guess: the model's answer that will probably be asked for; None for none. Runs in the
            model's thread.
        model: where.
        jobs: threads; 0 prepares each thing when it is its turn.
        size: bytes that a prepared thing holds.
    """

    def __init__(
        self,
        prepare: Callable[[object], T],
        guess: Callable[[T], Detections | None],
        model: Model,
        jobs: int,
        size: Callable[[T], int],
    ) -> None:
        self._prepare, self._guess, self._model, self._size = prepare, guess, model, size
        self._jobs = jobs
        self._threads = ThreadPoolExecutor(max(jobs, 1), thread_name_prefix="decode")
        self._window: deque[Item[T]] = deque()
        self.current: Item[T] | None = None

    def __call__(self, things: Iterable[object]) -> Iterator[tuple[T, Future[Detections | None]]]:
        """Each thing prepared, in order, with the guess that was made for it."""
        source = iter(things)
        more = True
        while True:
            while more and self._has_room():
                thing = next(source, self)
                more = thing is not self
                if more:
                    self._window.append(self._start(thing))
            if not self._window:
                return
            self.current = self._window.popleft()
            yield self.current.prepared.result(), self.current.guess
            self.current = None

    def _has_room(self) -> bool:
        under_way = sum(not item.prepared.done() for item in self._window)
        if len(self._window) >= 1 + 2 * self._jobs or under_way >= max(self._jobs, 1):
            return False
        waiting = sum(self._size(i.prepared.result()) for i in self._window if _is_good(i.prepared))
        return waiting < BYTES or not self._window

    def _start(self, thing: object) -> Item[T]:
        prepared = self._threads.submit(self._prepare, thing)
        if not self._jobs:
            nothing: Future[Detections | None] = Future()
            nothing.set_result(None)
            return Item(prepared, nothing)

        def guess() -> Detections | None:
            try:
                return self._guess(prepared.result())
            except CancelledError:
                return None

        return Item(prepared, self._model.then(guess))

    def finished(self) -> Iterator[tuple[T, Future[Detections | None]]]:
        """After an interruption: the things, in order, that are done or being done; the rest is dropped."""
        items = ([] if self.current is None else [self.current]) + list(self._window)
        self._window.clear()
        for item in reversed(items):
            item.cancel()
        for item in items:
            if item.prepared.cancelled() or item.guess.cancelled():
                return
            yield item.prepared.result(), item.guess

    def close(self) -> None:
        """End the threads; what was not begun is dropped."""
        for item in self._window:
            item.cancel()
        self._threads.shutdown(wait=True, cancel_futures=True)


def _is_good(future: Future[T]) -> bool:
    return future.done() and not future.cancelled() and future.exception() is None


def in_thread(
    items: Iterator[T], room: int, stop: Callable[[], None] = lambda: None
) -> Generator[T, None, None]:
    """``items``, made in a thread of their own, at most ``room`` of them ahead; errors come through.

    When the caller stops asking, ``stop`` is called, which may cut short the making of the next item, and
    the thread has ended when this returns.
    """
    queue: Queue[tuple[T | None, BaseException | None]] = Queue(max(room, 1))
    stopped = threading.Event()

    def put(what: tuple[T | None, BaseException | None]) -> None:
        while not stopped.is_set():
            try:
                queue.put(what, timeout=0.1)
                return
            except Full:
                continue

    def work() -> None:
        try:
            for item in items:
                put((item, None))
                if stopped.is_set():
                    return
            put((None, StopIteration()))
        except BaseException as error:
            put((None, error))

    thread = threading.Thread(target=work, name="frames", daemon=True)
    thread.start()
    try:
        while True:
            try:
                item, error = queue.get(timeout=0.5)  # with a limit, so that Ctrl-C comes through
            except Empty:
                continue
            if isinstance(error, StopIteration):
                return
            if error is not None:
                raise error
            yield item  # type: ignore[misc]
    finally:
        stopped.set()
        stop()
        thread.join()
