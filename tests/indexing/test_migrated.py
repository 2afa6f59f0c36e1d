"""Another model takes a gallery with pictures and videos over: the same people in the same frames."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from personsearch.gallery.export import export
from personsearch.gallery.gallery import Gallery
from personsearch.gallery.migrate import migrate
from personsearch.gallery.verify import verify
from personsearch.indexing.local import index_sources
from personsearch.indexing.options import IndexOptions
from personsearch.media.sampling import every
from personsearch.media.stills import Stills
from personsearch.types import Array, Picture

RED, GREEN = (220, 20, 20), (20, 200, 40)


def room(*people: tuple[int, tuple[int, int, int]]) -> Array:
    pixels = np.zeros((48, 128, 3), np.uint8)
    for block, colour in people:
        pixels[16:32, 16 * block : 16 * block + 16] = colour
    return pixels


def rows(gallery: Path) -> list[dict[str, Any]]:
    with Gallery.open(gallery) as opened:
        table = opened._people_table
        found = [row for batch in table.batches(table.schema.names) for row in batch.to_pylist()]
    return sorted(found, key=lambda row: row["detection"])


def test_videos_are_described_anew(
    tmp_path: Path, film: Callable, draw: Callable, new_searcher: Callable
) -> None:
    album, gallery = tmp_path / "album", tmp_path / "gallery"
    film(album / "walk.mkv", [room((n // 4, RED), (7, GREEN)) for n in range(24)], codec="mjpeg")
    draw(album / "a.jpg", (250, 0, 0), (0, 0, 250))
    draw(album / "other.jpg", (9, 240, 7))
    index_sources([album], gallery, new_searcher(), IndexOptions(sampling=every("400ms")))
    before = rows(gallery)

    class Twice:
        """Describes people by their colour, and where they are."""

        fingerprint, dim, similarity = "d" * 64, 4, "cosine"

        def embed(self, picture: Picture, boxes: Array) -> Array:
            return np.concatenate([2 * new_searcher().embed(picture, boxes), boxes[:, :1]], axis=1)

    with Stills() as load:
        report = migrate(gallery, Twice(), load)
    assert (report.finished, report.pictures, report.failures) == (True, 3, ())
    after = rows(gallery)
    assert len(after) == len(before) == 15
    assert verify(gallery).findings == ()
    for old, new in zip(before, after, strict=True):
        assert new.pop("model") != old.pop("model")
        vector = [2 * x for x in old.pop("vector")] + [old["box_xyxy"][0]]
        np.testing.assert_allclose(new.pop("vector"), vector, atol=1e-3)
        assert new == old
    assert export(gallery, tmp_path / "out.jsonl") == 15
    lines = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [(line["position_s"], line["tracklet"]) for line in lines] == [
        (row["position"], row["tracklet"]) for row in after
    ]
