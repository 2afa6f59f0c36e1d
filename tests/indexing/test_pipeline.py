"""Ahead of its turn, and yet as if one thing were done after the other."""

from __future__ import annotations

import random
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from personsearch.gallery.gallery import Gallery
from personsearch.indexing import pipeline, run
from personsearch.indexing.local import index_sources
from personsearch.indexing.options import IndexOptions
from personsearch.indexing.pipeline import Ahead, Model, in_thread
from personsearch.types import Detections, Picture

COLUMNS = ("detection", "picture", "box_xyxy", "score", "vector", "frame", "position", "tracklet")


def everything(gallery: Path) -> tuple[list[Any], list[Any]]:
    """All rows and entries, but for when they were recorded."""
    with Gallery.open(gallery) as opened:
        rows = [row for batch in opened._people_table.batches(COLUMNS) for row in batch.to_pylist()]
        entries = [
            {name: getattr(entry, name) for name in entry.__slots__ if name != "recorded"}
            for entry in opened.entries()
        ]
    return sorted(rows, key=lambda row: row["detection"]), sorted(entries, key=lambda entry: entry["path"])


@pytest.fixture
def mixed(tmp_path: Path, draw: Callable, film: Callable) -> Path:
    """Pictures, copies, near copies, what is broken, and films, in a muddled order."""
    folder = tmp_path / "mixed"
    rng = np.random.default_rng(3)
    for number in range(12):
        colours = [tuple(int(v) for v in rng.integers(40, 250, 3)) for _ in range(1 + number % 3)]
        draw(folder / f"{number:02}.jpg", *colours)
    shutil.copy(folder / "03.jpg", folder / "11 copy.jpg")
    shutil.copy(folder / "03.jpg", folder / "02 copy.jpg")
    Image.open(folder / "07.jpg").save(folder / "09 again.png")
    (folder / "05 broken.jpg").write_bytes((folder / "05.jpg").read_bytes()[:-40])
    (folder / "06 words.png").write_text("no picture")
    film(folder / "04 film.mkv", 8, codec="mjpeg")
    film(folder / "10 film.mp4", 5, codec="mpeg4")
    return folder


@pytest.mark.parametrize("jobs", [1, 4])
def test_the_same_as_one_after_the_other(
    mixed: Path, tmp_path: Path, new_searcher: Callable, jobs: int
) -> None:
    chance = random.Random(jobs)

    def go(name: str, jobs: int, slow: bool) -> Any:
        searcher = new_searcher()
        real = searcher.detect

        def detect(picture: Picture) -> Detections:
            if slow:
                time.sleep(chance.uniform(0, 0.01))
            if picture.name == "08.jpg":
                raise RuntimeError("not this one")
            return real(picture)

        searcher.detect = detect
        report = index_sources([mixed], tmp_path / name, searcher, IndexOptions(jobs=jobs))
        return report, everything(tmp_path / name)

    first, slow = go("sequential", 0, False)
    second, fast = go(f"ahead {jobs}", jobs, True)
    assert fast == slow
    for name in ("added", "duplicates", "near", "people", "frames", "tracklets", "failures"):
        assert getattr(first, name) == getattr(second, name), name
    assert (first.duplicates, first.near, len(first.failures)) == (3, 1, 3)


def test_decoding_the_model_and_writing_overlap(
    tmp_path: Path, draw: Callable, new_searcher, monkeypatch
) -> None:
    """Each of the three takes 20 ms a picture; one after the other that would be 60."""
    for number in range(20):
        draw(tmp_path / "many" / f"{number:02}.jpg", (number * 10 + 20, 80, 90))
    real_prepare, real_store = run.prepare, run.Run._store

    def prepare(*words: Any) -> Any:
        time.sleep(0.02)
        return real_prepare(*words)

    def store(*words: Any) -> None:
        time.sleep(0.02)
        real_store(*words)

    monkeypatch.setattr(run, "prepare", prepare)
    monkeypatch.setattr(run.Run, "_store", store)

    def seconds(jobs: int) -> float:
        started = time.monotonic()
        index_sources(
            [tmp_path / "many"],
            tmp_path / f"g{jobs}",
            new_searcher(wait=0.02),
            IndexOptions(jobs=jobs, near_duplicates=True),
        )
        return time.monotonic() - started

    assert seconds(2) < 0.8 * seconds(0)


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "BYTES", 10)
    alive, most = set(), 0
    lock = threading.Lock()

    def prepare(thing: object) -> int:
        nonlocal most
        with lock:
            alive.add(thing)
            most = max(most, len(alive))
        return int(str(thing))

    model = Model(lambda picture: Detections.none(1))
    ahead: Ahead[int] = Ahead(prepare, lambda thing: None, model, 3, lambda thing: 4)
    seen = []
    for thing, _ in ahead(range(200)):
        seen.append(thing)
        time.sleep(0.001)
        with lock:
            alive.discard(thing)
    ahead.close()
    model.close()
    assert seen == list(range(200))
    assert most <= 2 + 3 + 1 + 1  # what fits, a picture a thread, the one at hand


def test_the_model_is_always_in_one_thread(mixed: Path, tmp_path: Path, new_searcher: Callable) -> None:
    searcher, threads = new_searcher(), set()
    real, before = searcher.detect, set(threading.enumerate())

    def detect(picture: Picture) -> Detections:
        threads.add(threading.get_ident())
        return real(picture)

    searcher.detect = detect
    index_sources([mixed], tmp_path / "gallery", searcher, IndexOptions(jobs=3))
    assert len(threads) == 1
    # A worker of a cluster keeps its model as long as it lives, and another test may have made one.
    after = set(threading.enumerate()) - before
    assert not [t for t in after if t.name.startswith(("decode", "model", "frames"))]


def test_items_made_in_a_thread_come_in_order_and_errors_come_through() -> None:
    assert list(in_thread(iter(range(50)), 3)) == list(range(50))

    def failing() -> Any:
        yield 1
        raise OSError("gone")

    items = in_thread(failing(), 3)
    assert next(items) == 1
    with pytest.raises(OSError, match="gone"):
        next(items)


def test_who_stops_asking_stops_the_thread() -> None:
    made: list[int] = []

    def endless() -> Any:
        number = 0
        while True:
            made.append(number)
            yield number
            number += 1

    items = in_thread(endless(), 2)
    assert [next(items), next(items)] == [0, 1]
    items.close()  # type: ignore[attr-defined]
    assert len(made) <= 2 + 2 + 2
    assert not [t for t in threading.enumerate() if t.name == "frames"]


def test_who_stops_asking_cuts_short_what_is_being_made() -> None:
    """As the decoding of a long video, in which no frame that is asked for comes for minutes."""
    stop = threading.Event()

    def long() -> Any:
        yield 0
        assert stop.wait(30), "nobody said stop"
        raise InterruptedError

    items = in_thread(long(), 1, stop.set)
    assert next(items) == 0
    items.close()
    assert stop.is_set()
    assert not [t for t in threading.enumerate() if t.name == "frames"]
