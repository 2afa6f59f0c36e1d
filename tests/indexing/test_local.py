"""Indexing a folder again and again, while people change, copy, move, lose and break their files."""

import os
import shutil
import signal
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from personsearch.errors import InputError, LockedError, ModelMismatch, PersonSearchError
from personsearch.gallery.gallery import Gallery
from personsearch.indexing import prepare
from personsearch.indexing.local import index_folder, index_sources
from personsearch.indexing.options import IndexOptions
from personsearch.media.times import time_from
from personsearch.ranking.calibration import Calibration
from personsearch.types import IndexReport, Query


def counts(report: IndexReport) -> dict[str, int]:
    """What is not 0 in a report."""
    names = ("added", "unchanged", "updated", "removed", "duplicates", "moved", "near", "people")
    found = {name: getattr(report, name) for name in names} | {"failures": len(report.failures)}
    return {name: number for name, number in found.items() if number}


def search(gallery_path: Path, colour: tuple[int, int, int], k: int = 50) -> list[str]:
    """Names of the pictures with somebody in nearly that colour, most alike first."""
    with Gallery.open(gallery_path) as gallery:
        result = gallery.search(
            np.array(colour), k, fingerprint=gallery.fingerprint, query=Query("q", [0, 0, 1, 1])
        )
    return [Path(hit.picture).name for hit in result.hits if hit.similarity > -20]


@pytest.fixture
def index(
    tmp_path: Path, album: Path, new_searcher: Callable
) -> Callable[..., tuple[IndexReport, list[str]]]:
    """Indexes the album with a fresh searcher; the report, and what the searcher was given."""

    def run(folder: Path = album, **more: Any) -> tuple[IndexReport, list[str]]:
        searcher = new_searcher()
        report = index_folder(folder, tmp_path / "gallery", searcher, **more)
        return report, sorted(searcher.looked_at)

    return run


def test_first_and_second_time(index: Callable, tmp_path: Path) -> None:
    report, looked_at = index()
    assert counts(report) == {"added": 3, "people": 3}
    assert looked_at == ["a.jpg", "b.jpg", "nobody.jpg"]
    assert report.seconds > 0
    assert (report.gallery, report.model) == (str(tmp_path / "gallery"), "c" * 64)
    assert search(tmp_path / "gallery", (0, 0, 250)) == ["b.jpg"]
    again, looked_at = index()
    assert counts(again) == {"unchanged": 3}
    assert looked_at == []
    with Gallery.open(tmp_path / "gallery") as gallery:
        assert (gallery.pictures, gallery.people) == (3, 3)


def test_times_and_contents(index: Callable, album: Path, tmp_path: Path, draw: Callable) -> None:
    index()
    os.utime(album / "a.jpg", ns=(1, 1))
    touched, looked_at = index()
    assert (counts(touched), looked_at) == ({"unchanged": 3}, [])
    draw(album / "a.jpg", (250, 250, 0))
    changed, looked_at = index()
    assert counts(changed) == {"updated": 1, "unchanged": 2, "people": 1}
    assert looked_at == ["a.jpg"]
    assert search(tmp_path / "gallery", (250, 0, 0)) == []
    assert search(tmp_path / "gallery", (250, 250, 0)) == ["a.jpg"]
    assert counts(index()[0]) == {"unchanged": 3}


def test_copies_moves_and_losses(index: Callable, album: Path, tmp_path: Path, draw: Callable) -> None:
    index()
    gallery = tmp_path / "gallery"
    shutil.copy(album / "a.jpg", album / "copy.jpg")
    copied, looked_at = index()
    assert (counts(copied), looked_at) == ({"duplicates": 1, "unchanged": 3}, [])
    assert search(gallery, (250, 0, 0)) == ["a.jpg"]
    (album / "a.jpg").unlink()
    lost, looked_at = index()
    assert (counts(lost), looked_at) == ({"removed": 1, "unchanged": 3}, [])
    assert search(gallery, (250, 0, 0)) == ["copy.jpg"]
    (album / "copy.jpg").rename(album / "sub" / "moved.jpg")
    moved, looked_at = index()
    assert (counts(moved), looked_at) == ({"moved": 1, "unchanged": 2}, [])
    assert search(gallery, (250, 0, 0)) == ["moved.jpg"]
    (album / "sub" / "moved.jpg").unlink()
    assert counts(index()[0]) == {"removed": 1, "unchanged": 2}
    assert search(gallery, (250, 0, 0)) == []
    draw(album / "a.jpg", (250, 0, 0), (0, 250, 0))  # the same content again
    back, looked_at = index()
    assert (counts(back), looked_at) == ({"added": 1, "unchanged": 2}, [])
    assert search(gallery, (250, 0, 0)) == ["a.jpg"]


def test_copies_of_the_same_run(index: Callable, album: Path) -> None:
    shutil.copy(album / "a.jpg", album / "a copy.jpg")
    report, looked_at = index()
    assert counts(report) == {"added": 3, "duplicates": 1, "people": 3}
    assert looked_at == ["a copy.jpg", "b.jpg", "nobody.jpg"]


def test_a_file_moved_from_a_folder_that_is_not_asked_about(
    index: Callable, album: Path, tmp_path: Path, draw: Callable
) -> None:
    index()
    other = tmp_path / "other"
    draw(other / "x.jpg", (90, 9, 200))
    (album / "a.jpg").rename(other / "a.jpg")
    report, looked_at = index(folder=other)
    assert (counts(report), looked_at) == ({"added": 1, "moved": 1, "people": 1}, ["x.jpg"])
    assert search(tmp_path / "gallery", (250, 0, 0)) == ["a.jpg"]
    assert counts(index()[0]) == {"unchanged": 2}


def test_a_list_that_names_a_file_which_is_gone(album: Path, tmp_path: Path, new_searcher: Callable) -> None:
    listing = tmp_path / "list.txt"
    listing.write_text("album/a.jpg\nalbum/never.jpg\n")
    first = index_sources([listing], tmp_path / "gallery", new_searcher())
    assert counts(first) == {"added": 1, "people": 2, "failures": 1}
    (album / "a.jpg").unlink()
    second = index_sources([listing], tmp_path / "gallery", new_searcher())
    assert counts(second) == {"removed": 1, "failures": 1}
    assert search(tmp_path / "gallery", (250, 0, 0)) == []


def test_near_duplicates(index: Callable, album: Path, tmp_path: Path, new_searcher: Callable) -> None:
    gallery = tmp_path / "gallery"
    index()
    Image.open(album / "a.jpg").save(album / "a resaved.png")
    near, looked_at = index()
    assert (counts(near), looked_at) == ({"duplicates": 1, "near": 1, "unchanged": 3}, [])
    assert counts(index()[0]) == {"unchanged": 4}
    assert search(gallery, (250, 0, 0)) == ["a.jpg"]
    (album / "a.jpg").unlink()  # and nothing is lost
    lost, looked_at = index()
    assert (counts(lost), looked_at) == (
        {"removed": 1, "added": 1, "unchanged": 2, "people": 2},
        ["a resaved.png"],
    )
    assert search(gallery, (250, 0, 0)) == ["a resaved.png"]


def test_near_duplicates_of_a_picture_that_changes_in_the_same_run(
    index: Callable, album: Path, tmp_path: Path, draw: Callable
) -> None:
    Image.open(album / "sub" / "b.jpg").save(album / "b resaved.png")
    index()
    draw(album / "b resaved.png", (9, 200, 9))  # the first in order is the one that was stored
    report, _ = index()
    assert report.updated == report.added == 1
    assert search(tmp_path / "gallery", (0, 0, 250)) == ["b.jpg"]


def test_near_duplicates_may_be_stored_and_other_times_are_none(
    album: Path, tmp_path: Path, new_searcher: Callable
) -> None:
    Image.open(album / "a.jpg").save(album / "2024-01-01.png")
    Image.open(album / "a.jpg").save(album / "2024-01-02.png", compress_level=1)  # other bytes
    for name, options, near in (
        ("stored", IndexOptions(near_duplicates=True), 0),
        ("times", IndexOptions(time_from=time_from("filename:%Y-%m-%d")), 0),
        ("none", IndexOptions(), 2),
    ):
        (album / "a.jpg").rename(tmp_path / "away.jpg")
        first = index_sources([album], tmp_path / name, new_searcher(), options)
        (tmp_path / "away.jpg").rename(album / "a.jpg")
        second = index_sources([album], tmp_path / name, new_searcher(), options)
        assert first.near + second.near >= near, name
        if name == "times":  # a.jpg has no time, and is one of the two; they are two
            assert (first.near, second.near) == (0, 1)
        if name == "stored":
            assert first.near + second.near == 0
            again = index_sources([album], tmp_path / name, new_searcher())
            assert counts(again) == {"unchanged": 5}


def test_camera_and_time_as_they_are_told(album: Path, tmp_path: Path, new_searcher: Callable) -> None:
    os.utime(album / "a.jpg", ns=(5 * 10**9, 5 * 10**9))
    options = IndexOptions(camera="hall", time_from=time_from("mtime"))
    index_sources([album / "a.jpg"], tmp_path / "gallery", new_searcher(), options)
    with Gallery.open(tmp_path / "gallery") as gallery:
        result = gallery.search(np.array([250, 0, 0]), fingerprint="c" * 64, query=Query("q", [0, 0, 1, 1]))
    assert [(hit.camera, hit.time) for hit in result.hits] == [("hall", 5.0)]


def test_a_gallery_made_before_there_were_videos(album: Path, tmp_path: Path, new_searcher: Callable) -> None:
    """Its tables lack the newer columns: it is read as it is, and gets them when it is written to."""
    index_folder(album, tmp_path / "gallery", new_searcher())
    with Gallery.open(tmp_path / "gallery", writable=True) as gallery:
        gallery._people_table._table.drop_columns(["time_base", "position", "tracklet"])
        gallery._ledger_table._table.drop_columns(["dhash", "like", "sampling", "reached"])
    assert search(tmp_path / "gallery", (250, 0, 0)) == ["a.jpg"]
    shutil.copy(album / "a.jpg", album / "copy.jpg")
    assert counts(index_folder(album, tmp_path / "gallery", new_searcher())) == {
        "unchanged": 3,
        "duplicates": 1,
    }


def test_files_that_cannot_be_used(index: Callable, album: Path, tmp_path: Path, draw: Callable) -> None:
    whole = (album / "a.jpg").read_bytes()
    (album / "a.jpg").write_bytes(whole[:-100])
    (album / "empty.png").write_bytes(b"")
    (album / "words.jpg").write_text("hello")
    (album / "gone.jpg").symlink_to(tmp_path / "nowhere")
    os.mkfifo(album / "pipe.jpg")
    report, looked_at = index()
    assert counts(report) == {"added": 2, "people": 1, "failures": 5}
    assert looked_at == ["b.jpg", "nobody.jpg"]
    said = {Path(failure.path).name: (failure.stage, failure.error) for failure in report.failures}
    assert said["a.jpg"][0] == "decode"
    assert "damaged or incomplete" in said["a.jpg"][1]
    assert "is empty" in said["empty.png"][1]
    assert "is not a picture" in said["words.jpg"][1]
    assert said["gone.jpg"] == ("read", "it cannot be read: No such file or directory")
    assert said["pipe.jpg"] == ("read", "it cannot be read: not a regular file")
    assert not any("\n" in failure.error for failure in report.failures)
    again, looked_at = index()
    assert counts(again) == {"unchanged": 2, "failures": 5}
    assert {asdict(f)["error"] for f in again.failures} == {f.error for f in report.failures}
    assert looked_at == []
    retried, _ = index(retry_failed=True)
    assert counts(retried) == {"unchanged": 2, "failures": 5}
    with Gallery.open(tmp_path / "gallery") as gallery:
        attempts = {entry.path: entry.attempts for entry in gallery.entries() if entry.state == "failed"}
        assert attempts["a.jpg"] == attempts["words.jpg"] == 2
    (album / "a.jpg").write_bytes(whole)
    for name in ("empty.png", "words.jpg", "gone.jpg", "pipe.jpg"):
        (album / name).unlink()
    mended, looked_at = index()
    assert counts(mended) == {"added": 1, "unchanged": 2, "removed": 4, "people": 2}
    assert looked_at == ["a.jpg"]


def test_a_file_that_breaks_loses_its_people(index: Callable, album: Path, tmp_path: Path) -> None:
    index()
    (album / "a.jpg").write_text("broken")
    report, _ = index()
    assert counts(report) == {"unchanged": 2, "failures": 1}
    assert search(tmp_path / "gallery", (250, 0, 0)) == []


def test_a_file_that_cannot_be_read_for_a_while_keeps_them(
    index: Callable, album: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index()
    os.utime(album / "a.jpg", ns=(1, 1))

    def unreadable(*_: Path) -> str:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(prepare, "sha256_of", unreadable)
        report, _ = index()
    assert [(f.stage, f.error, f.retryable) for f in report.failures] == [
        ("read", "it cannot be read: Input/output error", True)
    ]
    assert search(tmp_path / "gallery", (250, 0, 0)) == ["a.jpg"]
    assert counts(index()[0]) == {"unchanged": 3}


def test_a_file_that_changes_while_it_is_read(
    index: Callable, album: Path, tmp_path: Path, draw: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = prepare.sha256_of

    def while_somebody_writes(path: Path) -> str:
        found = real(path)
        if path.name == "a.jpg":
            draw(path, (250, 250, 250), (0, 0, 0), (9, 90, 200))
        return found

    with monkeypatch.context() as patch:
        patch.setattr(prepare, "sha256_of", while_somebody_writes)
        report, _ = index()
    assert [(Path(f.path).name, f.error) for f in report.failures] == [
        ("a.jpg", "it changed while it was being read")
    ]
    assert counts(index()[0]) == {"added": 1, "unchanged": 2, "people": 2}
    assert search(tmp_path / "gallery", (250, 250, 250)) == ["a.jpg"]


def test_folders_that_are_not_looked_into_lose_nothing(
    index: Callable, album: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index()
    flat, _ = index(recursive=False)
    assert counts(flat) == {"unchanged": 2}
    part, _ = index(folder=album / "sub")
    assert counts(part) == {"unchanged": 1}
    real = os.scandir

    def scandir(path: object) -> object:
        if str(path).endswith("sub"):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    with monkeypatch.context() as patch:
        patch.setattr(os, "scandir", scandir)
        report, _ = index()
    assert counts(report) == {"unchanged": 2, "failures": 1}
    assert (report.failures[0].path, report.failures[0].stage) == (str(album / "sub"), "list")
    assert search(tmp_path / "gallery", (0, 0, 250)) == ["b.jpg"]
    (album / "sub" / "b.jpg").unlink()
    (album / "sub").rmdir()
    assert counts(index()[0]) == {"unchanged": 2, "removed": 1}


def test_names_that_are_not_utf8(index: Callable, album: Path) -> None:
    strange = os.fsencode(str(album)) + b"/caf\xe9.jpg"
    shutil.copy(os.fsencode(str(album / "a.jpg")), strange)
    report, _ = index()
    assert counts(report) == {"added": 3, "people": 3, "failures": 1}
    assert report.failures[0].path.endswith("caf\\udce9.jpg")
    report.failures[0].path.encode()


def test_another_model_is_refused_before_any_work(
    index: Callable, album: Path, tmp_path: Path, new_searcher: Callable, draw: Callable
) -> None:
    index()
    draw(album / "new.jpg", (1, 2, 3))
    other = new_searcher("d" * 64)
    with pytest.raises(ModelMismatch) as caught:
        index_folder(album, tmp_path / "gallery", other)
    assert caught.value.exit_code == 5
    assert other.looked_at == []
    with Gallery.open(tmp_path / "gallery") as gallery:
        assert gallery.pictures == 3


def test_bad_folders_leave_no_gallery(tmp_path: Path, new_searcher: Callable) -> None:
    (tmp_path / "empty").mkdir()
    for folder in (tmp_path / "empty", tmp_path / "nowhere"):
        with pytest.raises(InputError):
            index_folder(folder, tmp_path / "gallery", new_searcher())
    assert not (tmp_path / "gallery").exists()


def test_one_writer_at_a_time(index: Callable, tmp_path: Path) -> None:
    index()
    with Gallery.open(tmp_path / "gallery", writable=True), pytest.raises(LockedError):
        index()
    index()


def test_a_model_that_fails_on_one_picture(
    album: Path, tmp_path: Path, new_searcher: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    searcher = new_searcher()
    real = searcher.detect

    def detect(picture: Any) -> Any:
        if picture.name == "a.jpg":
            raise RuntimeError("out of memory\nin line 3")
        seen = real(picture)
        if picture.name == "b.jpg":
            seen.embeddings[:] = np.nan
        return seen

    monkeypatch.setattr(searcher, "detect", detect)
    report = index_folder(album, tmp_path / "gallery", searcher)
    assert counts(report) == {"added": 1, "failures": 2}
    assert {Path(f.path).name: (f.stage, f.error) for f in report.failures} == {
        "a.jpg": ("detect", "RuntimeError: out of memory in line 3"),
        "b.jpg": ("detect", "ValueError: embeddings of the detections are not finite"),
    }
    again = index_folder(album, tmp_path / "gallery", new_searcher(), retry_failed=True)
    assert counts(again) == {"added": 2, "unchanged": 1, "people": 3}


def test_a_model_that_fails_on_everything_stops_the_run(
    tmp_path: Path, new_searcher: Callable, draw: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(30):
        draw(tmp_path / "many" / f"{number}.jpg", (number, 99, 99))
    searcher, calls = new_searcher(), []

    def detect(picture: Any) -> Any:
        calls.append(picture.name)
        raise RuntimeError("no such kernel")

    monkeypatch.setattr(searcher, "detect", detect)
    with pytest.raises(
        PersonSearchError, match="failed on 20 pictures in a row: RuntimeError: no such kernel"
    ):
        index_folder(tmp_path / "many", tmp_path / "gallery", searcher)
    assert 20 <= len(calls) <= 20 + 9  # some more were asked ahead


def test_interrupting_keeps_what_is_finished(
    tmp_path: Path, album: Path, new_searcher: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    searcher = new_searcher()
    real = searcher.detect

    def detect(picture: Any) -> Any:
        if picture.name == "nobody.jpg":
            os.kill(os.getpid(), signal.SIGINT)
        return real(picture)

    monkeypatch.setattr(searcher, "detect", detect)
    with pytest.raises(KeyboardInterrupt):
        index_folder(album, tmp_path / "gallery", searcher)
    finished = sorted(searcher.looked_at)
    assert finished
    with Gallery.open(tmp_path / "gallery") as gallery:
        assert sorted(Path(entry.path).name for entry in gallery.entries()) == finished
    rest = new_searcher()
    report = index_folder(album, tmp_path / "gallery", rest)
    assert report.unchanged == len(finished)
    assert sorted(rest.looked_at + finished) == ["a.jpg", "b.jpg", "nobody.jpg"]


def test_a_new_gallery_keeps_the_models_calibration(
    tmp_path: Path, album: Path, new_searcher: Callable
) -> None:
    searcher = new_searcher()
    searcher.calibration = Calibration(method="platt", pairs=9, prior=0.5, slope=0.1, intercept=2.0)
    index_folder(album, tmp_path / "gallery", searcher)
    with Gallery.open(tmp_path / "gallery") as gallery:
        assert gallery.calibration == searcher.calibration
        result = gallery.search(np.array([250, 0, 0]), fingerprint="c" * 64, query=Query("q", [0, 0, 1, 1]))
        assert 0.8 < result.hits[0].probability < 0.9


def test_progress_counts_every_picture(index: Callable) -> None:
    told: list[tuple[str, int | None, int]] = []

    def progress(items: Any, label: str, *, total: int | None = None, done: int = 0) -> Any:
        items = list(items)
        told.append((label, total, len(items)))
        yield from items

    index(progress=progress)
    assert told == [("indexing", 3, 3)]
