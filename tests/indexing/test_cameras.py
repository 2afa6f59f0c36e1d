"""A camera into a gallery: pictures kept before they are named, only those with people."""

from __future__ import annotations

import threading
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from personsearch.errors import PersonSearchError
from personsearch.gallery.gallery import Gallery
from personsearch.indexing.cameras import Watch, folder_name, index_camera
from personsearch.indexing.local import index_sources
from personsearch.media.camera import Camera, CameraSettings, Grab
from personsearch.types import Array, Query

QUICK = CameraSettings(wait=0.001, longest_wait=0.002, attempts=3)


def yard(person: bool, number: int = 0) -> Array:
    pixels = np.zeros((16, 32, 3), np.uint8)
    if person:
        pixels[:, 16:] = (200, 20 + 3 * number, 20)
    return pixels


class Slow:
    """Frames of which each waits until the one before was taken, so that none is dropped; then nothing."""

    def __init__(self, frames: list[Array]) -> None:
        self.frames = frames

    def __call__(self) -> Iterator[Grab]:
        given, self.frames = self.frames, []
        if not given:
            raise OSError("switched off")
        for pixels in given:
            taken = threading.Event()

            def grab(pixels: Array = pixels, taken: threading.Event = taken) -> Array:
                taken.set()
                return pixels

            yield grab
            taken.wait(20)


def watch(folder: Path, **more: object) -> Watch:
    return Watch(folder=folder, every=0.0, seconds=20, **more)  # type: ignore[arg-type]


def test_who_is_seen_is_kept_with_the_picture(tmp_path: Path, new_searcher: Callable) -> None:
    frames = [yard(False), yard(True, 1), yard(False), yard(True, 9)]
    source = Camera("yard", Slow(frames), QUICK)
    report = index_camera(source, tmp_path / "g", new_searcher(), watch(tmp_path / "seen", most=4))
    assert (report.frames, report.added, report.people) == (4, 2, 2)
    kept = sorted((tmp_path / "seen" / "yard").iterdir())
    assert len(kept) == 2
    with Gallery.open(tmp_path / "g") as gallery:
        result = gallery.search(np.array([200, 23, 20]), fingerprint="c" * 64, query=Query("q", [0, 0, 1, 1]))
    assert result.hits[0].camera == "yard"
    assert Path(result.hits[0].picture) in kept
    assert result.hits[0].time == pytest.approx(kept[0].stat().st_mtime, abs=30)
    again = index_sources([tmp_path / "seen"], tmp_path / "g", new_searcher())
    assert (again.unchanged, again.added) == (2, 0)


def test_breaks_are_told_and_what_was_seen_stays(tmp_path: Path, new_searcher: Callable) -> None:
    source = Camera("yard", Slow([yard(True)]), QUICK)
    with pytest.raises(PersonSearchError, match="cannot be reached: switched off"):
        index_camera(source, tmp_path / "g", new_searcher(), watch(tmp_path / "seen"))
    with Gallery.open(tmp_path / "g") as gallery:
        assert (gallery.pictures, gallery.people) == (1, 1)


def test_a_model_that_fails_on_one_frame(tmp_path: Path, new_searcher: Callable) -> None:
    searcher = new_searcher()
    real, calls = searcher.detect, []

    def detect(picture: object) -> object:
        calls.append(1)
        if len(calls) == 2:
            raise RuntimeError("hiccup")
        return real(picture)

    searcher.detect = detect
    source = Camera("yard", Slow([yard(True, n) for n in range(3)]), QUICK)
    heard: list[tuple[int, str]] = []
    how = watch(tmp_path / "seen", most=3, complain=lambda failure: heard.append((len(calls), failure.error)))
    report = index_camera(source, tmp_path / "g", searcher, how)
    assert report.added == 2
    assert heard == [(2, "RuntimeError: hiccup")]  # before the third frame was looked at
    assert [f.error for f in report.failures if f.stage == "detect"] == ["RuntimeError: hiccup"]


@pytest.mark.parametrize(
    "name",
    [
        "../../etc",
        "/",
        "a/b",
        "..",
        "",
        "CON\0",
        "rtsp://h/../../x",
        "ü" * 300,
        "入" * 99,
        "\udcff",
        "\u202e",
    ],
)
def test_no_name_of_a_camera_leads_elsewhere(name: str, tmp_path: Path) -> None:
    folder = folder_name(name)
    assert folder not in ("", ".", "..")
    assert (tmp_path / folder).resolve().parent == tmp_path.resolve()
    assert 0 < len(folder.encode()) <= 200
    (tmp_path / folder).mkdir()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("入口", "出口"),
        ("कि", "की"),  # vowel signs alone differ
        ("ทางเข้า", "ทางเขา"),  # a tone mark
        ("gate 🚪", "gate 🌳"),
        ("👍🏽", "👍🏿"),
        ("入" * 99, "入" * 98 + "出"),  # longer than a folder's name may be
        ("", ".."),
        ("\udcff", "\udcfe"),  # bytes of a command line that are no text
        ("gate\x07", "gate"),
        ("\u202egate", "gate"),  # written from the right
        ("👩\u200d👧", "👩👧"),
        ("\u200c", ""),
        ("gate\u200c", "gate"),
    ],
)
def test_cameras_named_in_any_script_have_folders_of_their_own(one: str, other: str) -> None:
    assert folder_name(one) != folder_name(other)


def test_what_can_be_read_in_a_camera_name_can_be_read_in_its_folder() -> None:
    names = {
        "कि": "कि",
        "ทางเข้า 2": "ทางเข้า_2",
        "gate 🚪": "gate_🚪",
        "👍🏽": "👍🏽",
        "می\u200cخواهم": "می\u200cخواهم",
        "Hof – Süd": "Hof_Süd",
        "玄関・北": "玄関_北",
        "`a^b+c`": "a_b_c",
    }
    assert {name: folder_name(name) for name in names} == names
    assert folder_name("Su\u0308d") == folder_name("Süd") == "Süd"  # as some systems write it
    assert folder_name("入" * 99).startswith("入" * 60)


@settings(deadline=None)
@given(st.text(), st.text())
def test_names_share_a_folder_only_if_signs_and_spaces_are_all_that_differs(one: str, other: str) -> None:
    def said(name: str) -> list[str]:
        composed = unicodedata.normalize("NFC", name)
        return [sign for sign in composed if unicodedata.category(sign)[0] not in "PSZ"]

    if said(one) != said(other):
        assert folder_name(one) != folder_name(other)


def test_who_was_seen_last_is_stored_though_no_frame_comes(
    tmp_path: Path, new_searcher: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("personsearch.gallery.batch.SECONDS", 0.3)
    stored = threading.Event()

    def opener() -> Iterator[Grab]:
        yield lambda: yard(True, 1)
        assert stored.wait(20), "a camera that stands still keeps its people back"
        yield lambda: yard(True, 9)

    def look() -> None:
        with Gallery.open(tmp_path / "g") as gallery:
            if gallery.people:
                stored.set()

    camera = Camera("yard", opener, QUICK)
    report = index_camera(camera, tmp_path / "g", new_searcher(), watch(tmp_path / "seen", most=2), idle=look)
    assert report.added == 2
    assert {failure.error for failure in report.failures} <= {"the stream ended"}


def test_what_was_seen_is_stored_once_a_slow_model_is_done_though_it_finds_nobody(
    tmp_path: Path, new_searcher: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    searcher, calls = new_searcher(), []
    real = searcher.detect

    def detect(picture: object) -> object:
        calls.append(1)
        # The first person is not due for storing until the model is at the second frame.
        monkeypatch.setattr("personsearch.gallery.batch.SECONDS", 10.0**6 if len(calls) == 1 else 0.0)
        return real(picture)

    searcher.detect = detect
    people: list[int] = []

    def progress(items: Iterator, label: str, **more: object) -> Iterator:
        for item in items:
            yield item
            with Gallery.open(tmp_path / "g") as gallery:
                people.append(gallery.people)

    source = Camera("yard", Slow([yard(True, 1), yard(False)]), QUICK)
    index_camera(source, tmp_path / "g", searcher, watch(tmp_path / "seen", most=2), progress=progress)
    assert people == [0, 1]


def test_who_is_seen_is_stored_in_the_pause_before_the_next_frame(
    tmp_path: Path, new_searcher: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[str] = []

    def look() -> None:
        with Gallery.open(tmp_path / "g") as gallery:
            events.append(f"{gallery.people} stored")

    def progress(items: Iterator, label: str, **more: object) -> Iterator:
        for item in items:
            events.append("frame")
            monkeypatch.setattr("personsearch.gallery.batch.SECONDS", 10.0**6)
            yield item
            monkeypatch.setattr("personsearch.gallery.batch.SECONDS", 0.0)  # it is due in the pause

    monkeypatch.setattr("personsearch.media.camera.BREATH", 0.02)
    camera = Camera("yard", Slow([yard(True, 1), yard(True, 9)]), QUICK)
    how = Watch(folder=tmp_path / "seen", every=0.5, most=2, seconds=20)
    index_camera(camera, tmp_path / "g", new_searcher(), how, progress=progress, idle=look)
    first = events.index("frame")
    assert "1 stored" in events[first : events.index("frame", first + 1)]
