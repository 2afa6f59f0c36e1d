"""Whoever was forgotten in a video stays out of it, in whatever way it is looked at again."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from personsearch.gallery.gallery import Gallery
from personsearch.gallery.verify import verify
from personsearch.indexing.local import index_sources
from personsearch.indexing.options import IndexOptions
from personsearch.media.sampling import ALL, Sampling, every

RED, GREEN = (220, 20, 20), (20, 200, 40)


def room(*people: tuple[int, tuple[int, int, int]]) -> np.ndarray:
    """A black room with people, 16 pixels wide, whose left sides are here."""
    pixels = np.zeros((48, 128, 3), np.uint8)
    for left, colour in people:
        pixels[16:32, left : left + 16] = colour
    return pixels


@pytest.fixture
def clip(tmp_path: Path, film: Callable) -> Path:
    """Red walks a block every 4 frames of 100 ms; green stands at the end."""
    frames = [room((16 * (n // 4), RED), (112, GREEN)) for n in range(24)]
    return film(tmp_path / "clips" / "walk.mkv", frames, codec="mjpeg")


@pytest.fixture
def index(tmp_path: Path, clip: Path, new_searcher: Callable) -> Callable:
    def run(sampling: Sampling) -> None:
        report = index_sources(
            [clip.parent], tmp_path / "gallery", new_searcher(), IndexOptions(sampling=sampling)
        )
        assert report.failures == ()

    return run


def colours(gallery: Path) -> dict[str, list[float]]:
    """Where in the video the red and the green one are stored."""
    found: dict[str, list[float]] = {"red": [], "green": []}
    with Gallery.open(gallery) as opened:
        for batch in opened._people_table.batches(["vector", "position"]):
            for row in batch.to_pylist():
                found["red" if row["vector"][0] > 100 else "green"].append(row["position"])
    return {name: sorted(positions) for name, positions in found.items()}


def forget_one(gallery: Path, red: bool) -> int:
    """Forget one appearance of somebody; how many people went."""
    with Gallery.open(gallery, writable=True) as opened:
        rows = [
            row
            for batch in opened._people_table.batches(["detection", "vector"])
            for row in batch.to_pylist()
            if (row["vector"][0] > 100) == red
        ]
        return len(opened.forget([rows[len(rows) // 2]["detection"]]).detections)


@pytest.mark.parametrize("red", [True, False])
def test_all_of_a_way_goes_and_stays_out_at_any_sampling(
    index: Callable, clip: Path, tmp_path: Path, red: bool
) -> None:
    gallery, out = tmp_path / "gallery", "red" if red else "green"
    index(every("400ms"))
    whole = colours(gallery)
    assert [len(positions) for positions in whole.values()] == [6, 6]
    assert forget_one(gallery, red) == 6
    assert verify(gallery).findings == ()
    assert colours(gallery) == {**whole, out: []}
    for sampling in (every("500ms"), ALL, every("400ms")):
        index(sampling)
        after = colours(gallery)
        assert after.pop(out) == [], sampling
        assert len(next(iter(after.values()))) in (5, 6, 24)
        assert verify(gallery).findings == ()


def test_interrupted_it_goes_on_without_them(
    index: Callable, clip: Path, tmp_path: Path, new_searcher: Callable
) -> None:
    """Tracklets count alike, whether a run was stopped or not."""
    gallery = tmp_path / "gallery"
    index(every("400ms"))
    forget_one(gallery, red=False)
    shutil.copytree(gallery, tmp_path / "stopped")
    index(ALL)
    searcher = new_searcher()
    real = searcher.detect

    def detect(picture: object) -> object:
        if len(searcher.looked_at) == 11:
            raise KeyboardInterrupt
        return real(picture)

    searcher.detect = detect
    with pytest.raises(KeyboardInterrupt):
        index_sources([clip.parent], tmp_path / "stopped", searcher, IndexOptions(sampling=ALL))
    assert verify(tmp_path / "stopped").right  # a video half looked at is no damage
    index_sources([clip.parent], tmp_path / "stopped", new_searcher(), IndexOptions(sampling=ALL))
    columns = ["box_xyxy", "vector", "frame", "position", "tracklet"]
    rows = []
    for folder in (gallery, tmp_path / "stopped"):
        with Gallery.open(folder) as opened:
            rows.append([row for b in opened._people_table.batches(columns) for row in b.to_pylist()])
    assert sorted(rows[0], key=lambda row: row["frame"]) == sorted(rows[1], key=lambda row: row["frame"])
    assert len(rows[0]) == 24
