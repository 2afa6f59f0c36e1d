"""Videos into a gallery: rows with times and tracklets, resumed to the bit, damage told."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from personsearch.gallery.gallery import Gallery
from personsearch.indexing import prepare
from personsearch.indexing.local import index_sources
from personsearch.indexing.options import IndexOptions
from personsearch.media.sampling import ALL, every
from personsearch.media.times import TimeFrom
from personsearch.types import Array, IndexReport, Query, Span

RED, GREEN = (220, 20, 20), (20, 200, 40)
COLUMNS = (
    "detection",
    "picture",
    "box_xyxy",
    "vector",
    "camera",
    "time",
    "frame",
    "time_base",
    "position",
    "tracklet",
)


def room(*people: tuple[int, tuple[int, int, int]]) -> Array:
    """A black room of 8x3 blocks of 16 pixels with people at these blocks of the middle row."""
    pixels = np.zeros((48, 128, 3), np.uint8)
    for block, colour in people:
        pixels[16:32, 16 * block : 16 * block + 16] = colour
    return pixels


WALK = [room((n // 4, RED), (7, GREEN)) if n < 20 else room((n // 4, RED)) for n in range(28)]
"""Red walks a block every 4 frames; green stands at the end and leaves after 20."""


@pytest.fixture
def clip(tmp_path: Path, film: Callable) -> Path:
    """The walk, a frame every 100 ms."""
    return film(tmp_path / "clips" / "walk.mkv", WALK, codec="mjpeg")


@pytest.fixture
def index(tmp_path: Path, new_searcher: Callable) -> Callable[..., IndexReport]:
    def run(*sources: Path, gallery: str = "gallery", searcher: Any = None, **options: Any) -> IndexReport:
        return index_sources(
            list(sources), tmp_path / gallery, searcher or new_searcher(), IndexOptions(**options)
        )

    return run


def rows(gallery: Path) -> list[dict[str, Any]]:
    with Gallery.open(gallery) as opened:
        found = [row for batch in opened._people_table.batches(COLUMNS) for row in batch.to_pylist()]
    return sorted(found, key=lambda row: row["detection"])


def entries(gallery: Path) -> dict[str, Any]:
    with Gallery.open(gallery) as opened:
        return {entry.path: entry for entry in opened.entries()}


def test_a_video_frame_by_frame(index: Callable, clip: Path, tmp_path: Path) -> None:
    report = index(clip, sampling=every("400ms"), camera="hall", time_from=TimeFrom("mtime"))
    assert (report.added, report.frames, report.people, report.tracklets) == (1, 7, 12, 2)
    assert report.failures == ()
    stored = rows(tmp_path / "gallery")
    assert [row["position"] for row in stored if row["tracklet"] == 0] == [0, 0.4, 0.8, 1.2, 1.6, 2, 2.4]
    assert [row["position"] for row in stored if row["tracklet"] == 1] == [0, 0.4, 0.8, 1.2, 1.6]
    assert {row["camera"] for row in stored} == {"hall"}
    for row in stored:
        number, of = row["time_base"].split("/")
        assert row["frame"] * int(number) / int(of) == pytest.approx(row["position"])
        assert row["time"] == pytest.approx(clip.stat().st_mtime - 2.8 + row["position"], abs=0.11)
    assert {row["tracklet"]: row["vector"][0] > 150 for row in stored} == {0: True, 1: False}
    assert entries(tmp_path / "gallery")["walk.mkv"].sampling == "every 2/5 s"
    again = index(clip, sampling=every("400ms"), camera="hall")
    assert (again.unchanged, again.frames) == (1, 0)
    with Gallery.open(tmp_path / "gallery") as gallery:
        result = gallery.search(np.array(RED), fingerprint="c" * 64, query=Query("q", [0, 0, 1, 1]))
    assert [Path(hit.picture).name for hit in result.hits] == ["walk.mkv", "walk.mkv"]  # one a person
    assert [hit.span for hit in result.hits] == [Span(0.0, 2.4, 7), Span(0.0, 1.6, 5)]
    assert result.hits[0].position in {0.4 * n for n in range(7)} | {1.2, 2.4}


def test_looked_at_otherwise_it_is_another_result(index: Callable, clip: Path, tmp_path: Path) -> None:
    index(clip, sampling=every("1s"))
    finer = index(clip, sampling=every("400ms"))
    assert (finer.updated, finer.frames) == (1, 7)
    assert len(rows(tmp_path / "gallery")) == 12
    shutil.copy(clip, clip.with_name("copy.mkv"))
    copied = index(clip.parent, sampling=every("400ms"))
    assert (copied.unchanged, copied.duplicates, copied.frames) == (1, 1, 0)
    clip.unlink()
    clip.with_name("copy.mkv").rename(clip.with_name("moved.mkv"))
    moved = index(clip.parent, sampling=every("400ms"))
    assert (moved.moved, moved.removed, moved.added, moved.frames) == (1, 1, 0, 0)


def test_stopped_and_gone_on_it_is_the_same_to_the_bit(
    index: Callable, clip: Path, tmp_path: Path, new_searcher: Callable
) -> None:
    whole = index(clip, gallery="whole", sampling=ALL)
    for stop in (1, 9, 27):
        searcher = new_searcher()
        real = searcher.detect

        def detect(picture: Any, searcher: Any = searcher, real: Any = real, stop: int = stop) -> Any:
            if len(searcher.looked_at) == stop:
                raise KeyboardInterrupt
            return real(picture)

        searcher.detect = detect
        name = f"stopped at {stop}"
        with pytest.raises(KeyboardInterrupt):
            index(clip, gallery=name, searcher=searcher, sampling=ALL)
        entry = entries(tmp_path / name)["walk.mkv"]
        assert entry.state == "partial"
        with Gallery.open(tmp_path / name) as gallery:
            assert (gallery.pictures, gallery.people) == (0, 0)  # not searched before it is whole
        rest = new_searcher()
        report = index(clip, gallery=name, searcher=rest, sampling=ALL)
        assert (report.added, report.frames, report.tracklets) == (1, 28 - stop, whole.tracklets)
        assert len(rest.looked_at) == 28 - stop
        assert rows(tmp_path / name) == rows(tmp_path / "whole")
        assert entries(tmp_path / name)["walk.mkv"].people == len(rows(tmp_path / "whole"))


PROGRAM = """
import runpy, sys
from personsearch.gallery import batch
from personsearch.indexing import prepare
from personsearch.indexing.local import index_sources
from personsearch.indexing.options import IndexOptions
from personsearch.media.sampling import ALL
batch.FILES = batch.PEOPLE = 1  # a commit after every frame
real = batch.Batch.commit
def commit(self):
    real(self)
    print("committed", flush=True)
batch.Batch.commit = commit
searcher = runpy.run_path(sys.argv[1])["ColourSearcher"](wait=0.02)
index_sources([sys.argv[2]], sys.argv[3], searcher, IndexOptions(sampling=ALL))
"""


def test_killed_in_the_middle(index: Callable, clip: Path, tmp_path: Path) -> None:
    index(clip, gallery="whole", sampling=ALL)
    searcher = str(Path(__file__).with_name("colour_searcher.py"))
    words = [sys.executable, "-c", PROGRAM, searcher, str(clip), str(tmp_path / "killed")]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for _ in range(6):
            assert process.stdout.readline() == "committed\n"
        process.kill()
    reached = entries(tmp_path / "killed")["walk.mkv"]
    assert (reached.state, reached.reached is not None and reached.reached >= 0.4) == ("partial", True)
    report = index(clip, gallery="killed", sampling=ALL)
    assert report.frames < 28 - 4
    assert rows(tmp_path / "killed") == rows(tmp_path / "whole")


def test_people_beyond_the_last_commit_are_cut_off(
    index: Callable, clip: Path, tmp_path: Path, new_searcher
) -> None:
    """A death between the two tables leaves rows that the ledger does not count."""
    index(clip, gallery="whole", sampling=ALL)
    shutil.copytree(tmp_path / "whole", tmp_path / "torn")
    with Gallery.open(tmp_path / "torn", writable=True) as gallery:
        (entry,) = gallery.entries()
        from personsearch.gallery.ledger import FileState

        state = FileState(place=entry.place, size=entry.size, mtime_ns=entry.mtime_ns, sha256=entry.sha256)
        gallery._record(
            state, state="partial", picture=entry.picture, people=10, reached=0.4, sampling=entry.sampling
        )
    report = index(clip, gallery="torn", sampling=ALL)
    assert report.frames == 23
    torn, whole = rows(tmp_path / "torn"), rows(tmp_path / "whole")
    assert [{**row, "detection": 0} for row in torn] == [{**row, "detection": 0} for row in whole]


def test_a_partial_video_that_goes_is_nothing(
    index: Callable, clip: Path, tmp_path: Path, new_searcher: Callable, draw: Callable
) -> None:
    draw(clip.parent / "a.jpg", (9, 9, 250))
    index(clip.parent, sampling=ALL)
    with Gallery.open(tmp_path / "gallery", writable=True) as gallery:
        entry = next(entry for entry in gallery.entries() if entry.path == "walk.mkv")
        from personsearch.gallery.ledger import FileState

        state = FileState(place=entry.place, size=entry.size, mtime_ns=entry.mtime_ns, sha256=entry.sha256)
        gallery._record(state, state="partial", picture=entry.picture, people=10, reached=0.4, sampling="all")
    content = clip.read_bytes()
    clip.unlink()
    assert index(clip.parent, sampling=ALL).removed == 1
    assert len(rows(tmp_path / "gallery")) == 1
    clip.write_bytes(content)
    back = index(clip.parent, sampling=ALL)
    assert (back.added, back.frames) == (1, 28)


def test_a_damaged_video_keeps_what_can_be_read_and_is_told_every_time(
    index: Callable, tmp_path: Path, film: Callable
) -> None:
    whole = film(
        tmp_path / "w.avi",
        WALK * 4,
        codec="mjpeg",
        pts=range(112),
        time_base=__import__("fractions").Fraction(1, 25),
    )
    content = whole.read_bytes()
    cut = tmp_path / "clips" / "cut.avi"
    cut.parent.mkdir()
    cut.write_bytes(content[: len(content) // 2])
    (cut.parent / "half.mp4").write_bytes(b"\0\0\0\x20ftypisom" + bytes(100))
    first = index(cut.parent, sampling=every("200ms"))
    assert (first.added, len(first.failures)) == (1, 2)
    said = {Path(f.path).name: f.error for f in first.failures}
    assert {f.stage for f in first.failures} == {"decode"}
    assert "frames" in said["cut.avi"]
    assert "is not a video that can be read" in said["half.mp4"]
    assert len(rows(tmp_path / "gallery")) == first.people > 5
    again = index(cut.parent, sampling=every("200ms"))
    assert (again.unchanged, [f.error for f in again.failures]) == (1, [f.error for f in first.failures])
    retried = index(cut.parent, sampling=every("200ms"), retry_failed=True)
    assert (retried.updated, retried.frames > 0, len(retried.failures)) == (1, True, 2)
    assert len(rows(tmp_path / "gallery")) == first.people


def failing(searcher: Any, on: Callable[[int], bool]) -> Any:
    """The searcher, failing on the frames whose number, from 0 on, is ``on``."""
    real, calls = searcher.detect, iter(range(10**6))

    def detect(picture: Any) -> Any:
        if on(next(calls)):
            raise RuntimeError("no kernel")
        return real(picture)

    searcher.detect = detect
    return searcher


def test_a_frame_that_the_model_fails_on_costs_itself_only(
    index: Callable, clip: Path, tmp_path: Path, new_searcher: Callable
) -> None:
    index(clip, gallery="whole", sampling=ALL)
    bad = {5, 6, 20}
    report = index(clip, searcher=failing(new_searcher(), bad.__contains__), sampling=ALL)
    assert [f.error for f in report.failures] == ["the model failed on 3 frames: RuntimeError: no kernel"]
    assert (report.added, report.frames) == (1, 28)
    assert {f.stage for f in report.failures} == {"detect", entries(tmp_path / "gallery")["walk.mkv"].stage}
    kept = [row for row in rows(tmp_path / "whole") if round(10 * row["position"]) not in bad]
    assert [{**row, "detection": 0} for row in rows(tmp_path / "gallery")] == [
        {**row, "detection": 0} for row in kept
    ]
    again = index(clip, sampling=ALL)  # told every time, until it is tried again
    assert [f.error for f in again.failures] == [f.error for f in report.failures]
    assert again.frames == 0
    retried = index(clip, sampling=ALL, retry_failed=True)
    assert (retried.updated, retried.failures) == (1, ())
    assert len(rows(tmp_path / "gallery")) == len(rows(tmp_path / "whole"))


def stopping(searcher: Any, at: int, bad: Callable[[int], bool]) -> Any:
    """The searcher, failing on the ``bad`` frames, and interrupted at a frame."""
    real, calls = failing(searcher, bad).detect, iter(range(10**6))

    def detect(picture: Any) -> Any:
        if next(calls) == at:
            raise KeyboardInterrupt
        return real(picture)

    searcher.detect = detect
    return searcher


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ({5, 6}, "the model failed on 2 frames: RuntimeError: no kernel"),
        ({8}, "the model failed on 1 frame: RuntimeError: no kernel"),  # the last one before the stop
        ({0, 1}, "the model failed on 2 frames: RuntimeError: no kernel"),  # before any that is good
    ],
)
def test_what_an_earlier_run_could_not_look_at_is_told_at_the_end(
    bad: set[int], said: str, index: Callable, clip: Path, tmp_path: Path, new_searcher: Callable
) -> None:
    index(clip, gallery="whole", sampling=ALL)
    with pytest.raises(KeyboardInterrupt):
        index(clip, searcher=stopping(new_searcher(), 9, bad.__contains__), sampling=ALL)
    entry = entries(tmp_path / "gallery")["walk.mkv"]
    assert (entry.state, entry.stage, entry.error) == ("partial", "detect", said)
    assert entry.reached == pytest.approx(0.8)
    with pytest.raises(KeyboardInterrupt):  # once more, and nothing else fails
        index(clip, searcher=stopping(new_searcher(), 4, set().__contains__), sampling=ALL)
    rest = failing(new_searcher(), {5}.__contains__)
    report = index(clip, searcher=rest, sampling=ALL)
    again = f"{said}; the model failed on 1 frame: RuntimeError: no kernel"
    assert [(f.stage, f.error) for f in report.failures] == [("detect", again)]
    assert (report.added, report.frames) == (1, 28 - 9 - 4)
    kept = [row for row in rows(tmp_path / "whole") if round(10 * row["position"]) not in {*bad, 18}]
    assert [{**row, "detection": 0} for row in rows(tmp_path / "gallery")] == [
        {**row, "detection": 0} for row in kept
    ]
    entry = entries(tmp_path / "gallery")["walk.mkv"]
    assert (entry.state, entry.stage, entry.error) == ("done", "detect", again)
    retried = index(clip, sampling=ALL, retry_failed=True)
    assert (retried.updated, retried.failures) == (1, ())
    assert rows(tmp_path / "gallery")[-1]["position"] == rows(tmp_path / "whole")[-1]["position"]


def test_a_video_of_which_nothing_was_looked_at_yet_is_begun_again(
    index: Callable, clip: Path, tmp_path: Path, new_searcher: Callable
) -> None:
    with pytest.raises(KeyboardInterrupt):
        index(clip, searcher=stopping(new_searcher(), 3, {0, 1, 2}.__contains__), sampling=ALL)
    report = index(clip, sampling=ALL)
    assert (report.added, report.frames, report.failures) == (1, 28, ())


@pytest.mark.parametrize(
    ("sampling", "on"), [(every("500ms"), lambda n: True), (ALL, lambda n: n > 4)], ids=["all", "in a row"]
)
def test_a_model_that_fails_on_everything_costs_the_video(
    index: Callable, clip: Path, tmp_path: Path, new_searcher: Callable, sampling: Any, on: Callable
) -> None:
    report = index(clip, searcher=failing(new_searcher(), on), sampling=sampling)
    assert [(f.stage, f.error) for f in report.failures] == [("detect", "RuntimeError: no kernel")]
    assert report.added == 0
    assert rows(tmp_path / "gallery") == []
    assert index(clip, sampling=sampling, retry_failed=True).added == 1


def test_a_video_that_cannot_be_read_for_a_while_keeps_its_people(
    index: Callable, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index(clip)
    stored = rows(tmp_path / "gallery")
    os.utime(clip, ns=(1, 1))

    def unreadable(*_: Path) -> str:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(prepare, "sha256_of", unreadable)
        report = index(clip)
    assert [(f.stage, f.retryable) for f in report.failures] == [("read", True)]
    assert stored
    assert rows(tmp_path / "gallery") == stored
    assert index(clip).failures == ()
    assert rows(tmp_path / "gallery") == stored
