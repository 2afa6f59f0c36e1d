"""What a watch of files and cameras does when the model, the clock or the camera's name is not as hoped."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from personsearch.errors import PersonSearchError
from personsearch.gallery.everybody import ranges_of
from personsearch.gallery.gallery import Gallery
from personsearch.indexing.cameras import unused_file
from personsearch.indexing.local import index_sources
from personsearch.indexing.model_failures import MODEL_FAILURES, CarefulSearcher
from personsearch.indexing.watch_gallery import GalleryWatch, _joined
from personsearch.indexing.watch_sources import CameraWatch, FileWatch, way
from personsearch.indexing.watch_state import WatchState
from personsearch.media.sampling import every
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
    assert way(Path("a/1.jpg"), "Axis") != way(Path("b/1.jpg"), "Axis")
    assert way(Path("a/1.jpg"), "Axis") == way(Path("a/2.jpg"), "Axis")
    assert way(Path("a/1.jpg"), "Axis") != way(Path("a/1.jpg"), None)
    named = way(Path("a/1.jpg"), "yard", "yard")
    assert named == way(Path("b/1.jpg"), "yard", "yard")
    assert named != way(Path("a/1.jpg"), "Axis", "yard")


def test_a_clock_set_back_does_not_blind_a_camera_watch(new_searcher: Callable) -> None:
    frames = [SimpleNamespace(pixels=FRAME, time=t) for t in (100.0, 101.0, 50.0, 51.0)]
    camera = SimpleNamespace(name="yard", frames=lambda every, seconds, idle: iter(frames))
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


RED, GREEN, BLUE = (250, 0, 0), (0, 250, 0), (0, 0, 250)


@pytest.fixture
def news(tmp_path: Path, album: Path, new_searcher: Callable) -> Callable[..., list[tuple[str, int]]]:
    """Indexes the album anew, and says who came into the gallery: in which picture, by which number."""
    index_sources([album], tmp_path / "g", new_searcher())

    def look(index: bool = True, start: bool = True, **more: object) -> list[tuple[str, int]]:
        came: list[tuple[str, int]] = []
        if index:
            index_sources([album], tmp_path / "g", new_searcher())
        with Gallery.open(tmp_path / "g") as gallery, WatchState(tmp_path / "w.jsonl") as state:
            lookout = SimpleNamespace(state=state, news=lambda crowd, alert: None)
            watch = GalleryWatch(gallery=gallery, lookout=lookout, tell=print, **more)
            watch._look_at = lambda crowd: came.extend(
                (Path(crowd.picture).name, int(number)) for number in crowd.detections
            )
            watch.start()
            assert watch.look() == len(came)
        return came

    return look


def test_who_stays_when_somebody_is_forgotten_is_not_new(
    news: Callable, tmp_path: Path, album: Path, draw: Callable
) -> None:
    assert news() == []
    with Gallery.open(tmp_path / "g", writable=True) as gallery:
        (red,) = [n for n, similar in gallery.alike(np.array(RED), -20.0, fingerprint="c" * 64)]
        gallery.forget([red])
    draw(album / "new.jpg", GREEN, BLUE)
    assert [name for name, _ in news()] == ["new.jpg", "new.jpg"]
    assert news() == []


def test_who_came_and_was_not_told_is_new_though_the_picture_changed_its_number(
    news: Callable, tmp_path: Path, album: Path, draw: Callable, new_searcher: Callable
) -> None:
    assert news() == []
    draw(album / "new.jpg", BLUE, GREEN)
    index_sources([album], tmp_path / "g", new_searcher())
    with Gallery.open(tmp_path / "g", writable=True) as gallery:
        gallery.forget([number for number, _ in gallery.alike(np.array(BLUE), -20.0, fingerprint="c" * 64)])
    assert [name for name, _ in news(index=False)] == ["new.jpg"]


def test_the_memory_of_an_older_watch_knows_pictures_only(
    news: Callable, tmp_path: Path, album: Path, draw: Callable
) -> None:
    assert news() == []
    memory = tmp_path / "w.jsonl"
    head, _ = memory.read_text().splitlines()
    with Gallery.open(tmp_path / "g") as gallery:
        known = ranges_of(entry.picture for entry in gallery.entries() if entry.path != "sub/b.jpg")
    memory.write_text("\n".join([head, json.dumps({"pictures": known}), ""]))
    assert [name for name, _ in news()] == ["b.jpg"]
    assert news() == []


@given(st.lists(st.sets(st.integers(0, 30), max_size=9), max_size=6))
def test_ranges_are_joined_as_sets_are(several: list[set[int]]) -> None:
    known: list[tuple[int, int]] = []
    for numbers in several:
        known = _joined(known, [np.array(sorted(numbers), np.int64)])
    assert known == ranges_of(set().union(*several))


def test_a_camera_that_was_given_a_name_is_one_source(tmp_path: Path, new_searcher: Callable, draw) -> None:
    for folder in ("north", "south"):
        draw(tmp_path / folder / "1.jpg", RED)
    for name, many in (("yard", 1), (None, 2)):
        crowds: list = []
        with WatchState(tmp_path / f"{name}.jsonl") as state:
            lookout = SimpleNamespace(state=state, news=lambda crowd, alert: crowds.append(crowd))  # noqa: B023
            watch = FileWatch(
                sources=[str(tmp_path / "north"), str(tmp_path / "south")],
                searcher=new_searcher(),
                lookout=lookout,
                tell=print,
                complain=print,
                sampling=every("1s"),
                settled=0.0,
                camera=name,
            )
            assert len(list(watch.round())) == 2
        assert len({crowd.source for crowd in crowds}) == many
