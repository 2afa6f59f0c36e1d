"""Cameras that tests play: what happens decides what is seen and when it ends, and no clock does.

Shared by tests, through ``runpy``.
"""

from __future__ import annotations

import threading
import time
import types
from collections.abc import Callable, Iterable, Iterator

import numpy as np
import pytest

from personsearch.media.camera import Camera, CameraFrame, CameraSettings, Grab
from personsearch.types import Array


class Played(Camera):
    """Shows these pictures, each of them, one ``every`` seconds by its own clock, and ends.

    Args:
        name: what it is called.
        shots: the pictures; a number of them, however long looking at each takes.
        begin: when the first one is seen (since 1970).

    Attributes:
        asked: the limits it was watched with, ``(every, seconds)`` each time.
    """

    def __init__(self, name: str, shots: Iterable[Array], begin: float) -> None:
        super().__init__(name, lambda: iter(()))
        self._shots, self._begin = shots, begin
        self.asked: list[tuple[float, float | None]] = []

    def frames(
        self,
        every: float = 1.0,
        *,
        most: int | None = None,
        seconds: float | None = None,
        idle: Callable[[], None] = lambda: None,
    ) -> Iterator[CameraFrame]:
        self.asked.append((every, seconds))
        for number, pixels in enumerate(self._shots):
            idle()
            yield CameraFrame(np.array(pixels), self._begin + number * every)
        idle()


def breaking(monkeypatch: pytest.MonkeyPatch, pixels: Array, why: str) -> Callable[[], Camera]:
    """Makes cameras that show one picture and break off for good; their time is up only after that."""
    clock = types.SimpleNamespace(now=0.0)
    stopped = types.SimpleNamespace(monotonic=lambda: clock.now, time=time.time)
    monkeypatch.setattr("personsearch.media.camera.time", stopped)

    def made() -> Camera:
        looked, tries = threading.Event(), iter(range(10**9))

        def grab() -> Array:
            looked.set()
            return np.array(pixels)

        def opener() -> Iterator[Grab]:
            number = next(tries)
            if number == 0:
                yield grab
            elif number == 1:  # the break is in the books, and the picture has been seen
                assert looked.wait(60)
                clock.now += 10**6
            raise OSError(why)

        return Camera("yard", opener, CameraSettings(wait=0.001, attempts=10**9))

    return made
