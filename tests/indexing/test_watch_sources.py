"""What a watch of files and cameras does when the model, the clock or the camera's name is not as hoped."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from personsearch.errors import PersonSearchError
from personsearch.indexing.cameras import unused_file
from personsearch.indexing.model_failures import MODEL_FAILURES, CarefulSearcher
from personsearch.indexing.watch_sources import CameraWatch, _way
from personsearch.types import Detections, Picture

FRAME = np.full((16, 16, 3), 200, np.uint8)


def test_a_frame_that_the_model_fails_on_costs_itself_only(new_searcher: Callable) -> None:
    searcher = new_searcher()
    ask, real = CarefulSearcher(searcher), searcher.detect

    def broken(picture: Picture) -> Detections:
        raise RuntimeError("hiccup")

    def senseless(picture: Picture) -> Detections:
        return Detections(np.zeros((1, 4)), np.ones(1), np.full((1, 3), np.nan))

    for _ in range(MODEL_FAILURES - 1):
        searcher.detect = broken
        assert ask(Picture(FRAME)) == "RuntimeError: hiccup"
    searcher.detect = real
    assert len(ask(Picture(FRAME))) == 1
    searcher.detect = senseless
    for _ in range(MODEL_FAILURES - 1):
        assert "not finite" in str(ask(Picture(FRAME)))
    with pytest.raises(PersonSearchError, match="in a row"):
        ask(Picture(FRAME))


def test_cameras_of_one_model_are_two_if_their_folders_are() -> None:
    assert _way(Path("a/1.jpg"), "Axis") != _way(Path("b/1.jpg"), "Axis")
    assert _way(Path("a/1.jpg"), "Axis") == _way(Path("a/2.jpg"), "Axis")
    assert _way(Path("a/1.jpg"), "Axis") != _way(Path("a/1.jpg"), None)


def test_a_clock_set_back_does_not_blind_a_camera_watch(new_searcher: Callable) -> None:
    frames = [SimpleNamespace(pixels=FRAME, time=t) for t in (100.0, 101.0, 50.0, 51.0)]
    camera = SimpleNamespace(name="yard", frames=lambda every, seconds: iter(frames))
    crowds: list = []
    lookout = SimpleNamespace(news=lambda crowd, alert: crowds.append(crowd))
    watch = CameraWatch(camera=camera, searcher=new_searcher(), lookout=lookout, tell=print)
    assert list(watch.steps()) == [100.0, 101.0, 50.0, 51.0]
    numbers = [int(c.tracklets[0]) for c in crowds]
    assert numbers[0] == numbers[1] < numbers[2] == numbers[3]


def test_frames_of_one_millisecond_are_both_kept(tmp_path: Path) -> None:
    names = []
    for _ in range(3):
        file = unused_file(tmp_path, 1.25)
        file.write_bytes(b"x")
        names.append(file.name.removeprefix("1970-01-01T00-00-01.250Z"))
    assert names == [".jpg", "-2.jpg", "-3.jpg"]
