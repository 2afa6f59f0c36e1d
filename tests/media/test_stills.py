"""Frames found again by their time stamps: the right ones, in any order, and one decoding where it can be."""

from __future__ import annotations

from collections.abc import Callable
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
