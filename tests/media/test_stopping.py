"""A video that somebody stops or closes while it is being decoded."""

from __future__ import annotations

import threading
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from personsearch.media.container import Named
from personsearch.media.sampling import every
from personsearch.media.video import Clock, Stopped, Video

FRAMES = 400
RARELY = every("1h")


@pytest.fixture
def clip(tmp_path: Path, film: Callable[..., Path]) -> Path:
    """16 s of which one frame is taken."""
    return film(tmp_path / "a.mkv", FRAMES, pts=[40 * n for n in range(FRAMES)])


def at_frame(monkeypatch: pytest.MonkeyPatch, number: int, act: Callable[[], Any]) -> None:
    """Do something when the clock has seen so many frames."""
    real, count = Clock.position, [0]

    def position(self: Clock, frame: Any) -> Fraction:
        count[0] += 1
        if count[0] == number:
            act()
        return real(self, frame)

    monkeypatch.setattr(Clock, "position", position)


def test_stopped_between_two_frames_that_are_taken(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Video(clip) as video:
        at_frame(monkeypatch, 50, video.stop)
        frames = video.frames(RARELY)
        assert next(frames).position == 0
        with pytest.raises(Stopped, match=r"a\.mkv was stopped after"):
            next(frames)  # and not the end, which would make half a video a whole one
        assert 49 <= video.decoded < 60
        assert video.damage is None
        with pytest.raises(Stopped):
            next(video.frames())
        with pytest.raises(Stopped):
            video.find(None, 1.0)


def test_stopped_while_a_frame_is_looked_for(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Video(clip) as video:
        at_frame(monkeypatch, 50, video.stop)
        with pytest.raises(Stopped):
            video.find(None, 15.96)
        assert video.decoded < 60


def test_closed_by_one_thread_while_another_decodes(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    under_way, closing, errors = threading.Event(), threading.Event(), []
    video = Video(clip)

    def wait_for_the_other() -> None:
        under_way.set()
        assert closing.wait(10)

    def decode() -> None:
        try:
            list(video.frames(RARELY))
        except BaseException as error:
            errors.append(error)

    at_frame(monkeypatch, 50, wait_for_the_other)
    thread = threading.Thread(target=decode)
    thread.start()
    assert under_way.wait(10)
    real = video.stop
    monkeypatch.setattr(video, "stop", lambda: (real(), closing.set()))
    video.close()
    thread.join(10)
    assert not thread.is_alive()
    assert [type(error) for error in errors] == [Stopped]
    assert video.decoded < 60


def test_nothing_is_read_any_more_while_a_packet_is_looked_for(
    clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file without a further packet is read up to its end in one go: gigabytes, perhaps."""
    content = clip.read_bytes()
    half, empty = content[: len(content) // 2], 16 << 20
    clip.write_bytes(half + bytes(empty))
    real, given = Named.read, [0]

    def read(self: Named, size: int = -1) -> bytes:
        if self.tell() > len(half) + empty // 4:
            video.stop()
        found = real(self, size)
        given[0] += len(found)
        return found

    monkeypatch.setattr(Named, "read", read)
    with Video(clip) as video, pytest.raises(Stopped):
        list(video.frames(RARELY))
    assert empty // 4 < given[0] < len(half) + empty // 2
