"""Frames found again by their time stamps: the right ones, in any order, and one decoding where it can be."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from personsearch import images
from personsearch.errors import InputError
from personsearch.media import stills as module
from personsearch.media.stills import Stills
from personsearch.media.video import Video


def test_every_frame_is_found_again(tmp_path: Path, film: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    clip = film(tmp_path / "uneven.mkv", 12, pts=[0, 40, 50, 90, 200, 210, 300, 700, 710, 720, 900, 1000])
    opened = []

    def open_counted(path: Path) -> Video:
        opened.append(path)
        return Video(path)

    monkeypatch.setattr(module, "Video", open_counted)
    with Video(clip) as video:
        frames = list(video.frames())
    with Stills() as load:
        for frame in frames:
            np.testing.assert_array_equal(load(clip, frame.pts, frame.position).pixels, frame.pixels)
        assert len(opened) == 1  # in order, it was decoded once
        for frame in reversed(frames):
            np.testing.assert_array_equal(load(clip, frame.pts).pixels, frame.pixels)
        assert len(opened) > 10
        with pytest.raises(InputError, match="has no frame any more with the time stamp 41"):
            load(clip, 41)
        with pytest.raises(InputError, match="has no frame"):
            load(clip, frames[3].pts, frames[3].position + 1)
        np.testing.assert_array_equal(load(clip, position=frames[3].position).pixels, frames[3].pixels)
        with pytest.raises(InputError, match=r"has no frame any more at 0\.01 s"):
            load(clip, position=0.01)


def test_pictures_are_pictures(tmp_path: Path) -> None:
    file = tmp_path / "a.jpg"
    file.write_bytes(images.encode_jpeg(np.full((20, 30, 3), 90, np.uint8)))
    with Stills() as load:
        assert load(file).size == (30, 20)
        with pytest.raises(InputError):
            load(tmp_path / "none.mkv", 3)


def test_a_position_that_was_rounded_is_the_same_frame(tmp_path: Path, film: Callable) -> None:
    third = Fraction(1, 3)
    clip = film(tmp_path / "thirds.mov", 9, pts=range(9), time_base=third)
    with Video(clip) as video:
        frames = list(video.frames())
    assert frames[4].position == 4 / 3
    with Stills() as load:
        for asked in (1.333333, 4 / 3, 1.333333, 1.6666666, 5 / 3):  # one after the other, and one twice
            there = frames[round(3 * asked)]
            np.testing.assert_array_equal(load(clip, position=asked).pixels, there.pixels)
            np.testing.assert_array_equal(load(clip, there.pts, asked).pixels, there.pixels)
        with pytest.raises(InputError, match="has no frame"):
            load(clip, position=1.33333)


def test_stamps_that_a_joined_recording_has_twice(
    tmp_path: Path, film: Callable, number_of: Callable, still: Callable
) -> None:
    base = Fraction(1, 25)
    parts = [
        film(
            tmp_path / f"{first}.ts",
            [still(first + n) for n in range(10)],
            pts=range(10),
            time_base=base,
            codec="mpeg2video",
        ).read_bytes()
        for first in (0, 20)
    ]
    both = tmp_path / "both.ts"
    both.write_bytes(parts[0] + parts[1])
    with Video(both) as video:
        frames = [(frame.pts, frame.position, number_of(frame.pixels)) for frame in video.frames()]
    twice = [pts for pts, _, _ in frames]
    assert len(set(twice)) < len(twice)
    with Stills() as load:
        for pts, position, number in frames:
            assert number_of(load(both, pts, round(position, 6)).pixels) == number
