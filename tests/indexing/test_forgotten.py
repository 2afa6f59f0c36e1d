"""Whoever was forgotten in a video stays out of it, in whatever way it is looked at again."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from personsearch.gallery.gallery import Gallery
from personsearch.gallery.verify import verify
from personsearch.indexing.local import index_sources
from personsearch.indexing.options import IndexOptions
from personsearch.media.sampling import ALL, Sampling, every
from personsearch.media.times import TimeFrom
from personsearch.types import Array, Detections, Picture, Query

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


@pytest.mark.parametrize("dated", [True, False])
def test_what_was_pruned_stays_out_at_any_sampling(
    dated: bool, tmp_path: Path, film: Callable, new_searcher: Callable
) -> None:
    """Up to the moment, everybody; from it on nobody. Of a video without a time, everybody."""
    frames = [room((16 * (n % 4), RED), (112, GREEN)) for n in range(40)]
    clip = film(tmp_path / "clips" / "1700000000.mkv", frames, codec="mjpeg")
    gallery, nobody = tmp_path / "gallery", {"red": [], "green": []}
    when = TimeFrom("filename", "%s") if dated else TimeFrom()

    def index(sampling: Sampling) -> dict[str, list[float]]:
        options = IndexOptions(sampling=sampling, time_from=when)
        assert index_sources([clip.parent], gallery, new_searcher(), options).failures == ()
        assert verify(gallery).findings == ()
        return {name: np.round(at, 3).tolist() for name, at in colours(gallery).items()}

    assert index(every("1s")) == {"red": [0, 1, 2, 3], "green": [0, 1, 2, 3]}
    with Gallery.open(gallery, writable=True) as opened:
        now = max(entry.recorded for entry in opened.entries())
        pruned = opened.prune(1_700_000_001.75 if dated else now + 1)
        assert len(pruned.detections) == (4 if dated else 8)
    assert index(every("1s")) == ({"red": [2, 3], "green": [2, 3]} if dated else nobody)
    after = [2, 2.5, 3, 3.5]
    assert index(every("500ms")) == ({"red": after, "green": after} if dated else nobody)
    after = [n / 10 for n in range(18, 40)]
    assert index(ALL) == ({"red": after, "green": after} if dated else nobody)


class Regions:
    """Sees the red and the green part of a picture, of any size."""

    dim, similarity, calibration, fingerprint = 3, "euclidean", None, "r" * 64

    def embed(self, picture: Picture, boxes: Array) -> Array:
        return np.zeros((len(boxes), 3), np.float32)

    def detect(self, picture: Picture) -> Detections:
        boxes, looks = [], []
        for channel in (0, 1):
            rows, columns = np.nonzero((picture.pixels[..., channel] > 150) & (picture.pixels[..., 2] < 100))
            if len(rows):
                boxes.append([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
                looks.append(np.eye(3)[channel])
        if not boxes:
            return Detections.none(3)
        return Detections(boxes, np.full(len(boxes), 0.9), np.array(looks))


@pytest.mark.parametrize("seen_first", [True, False])
def test_a_smaller_copy_saved_anew_does_not_bring_the_forgotten_back(
    seen_first: bool, tmp_path: Path
) -> None:
    """When the picture is gone the copy takes its place, if it came before the forgetting or after."""
    folder, gallery = tmp_path / "album", tmp_path / "gallery"
    folder.mkdir()
    pixels = np.full((128, 256, 3), 60, np.uint8)
    pixels[32:96, 32:96, 0], pixels[32:96, 144:208, 1] = 230, 230
    Image.fromarray(pixels).save(folder / "a.png")
    small = Image.fromarray(pixels).resize((128, 64), Image.Resampling.BOX)
    if seen_first:
        small.save(folder / "b.png")
    index_sources([folder], gallery, Regions())
    with Gallery.open(gallery, writable=True) as opened:
        assert opened.people == 2
        (red,) = [n for n, _ in opened.alike(np.eye(3)[0], -0.1, fingerprint="r" * 64)]
        opened.forget([red])
    if not seen_first:
        small.save(folder / "b.png")
        assert index_sources([folder], gallery, Regions()).near == 1
    (folder / "a.png").unlink()
    report = index_sources([folder], gallery, Regions())
    assert (report.removed, report.added, report.people) == (1, 1, 1)
    with Gallery.open(gallery) as opened:
        found = opened.search(np.eye(3)[0], fingerprint="r" * 64, query=Query("q", [0, 0, 1, 1]))
        assert [hit.box.tolist() for hit in found.hits] == [[72, 16, 104, 48]]
    assert verify(gallery).findings == ()
