"""Everybody as a plain file, readable by others; and what a gallery says of itself."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from personsearch.errors import UsageError
from personsearch.gallery.export import COLUMNS, export
from personsearch.gallery.gallery import Gallery
from personsearch.gallery.info import describe


@pytest.fixture
def path(new_gallery: Callable, state: Callable, seen: Callable) -> Path:
    """Two people in a picture with camera and time, one in another, one whose picture is gone."""
    with new_gallery() as gallery:
        gallery.add_picture(state(gallery, "a.jpg"), seen([1, 2, 3], [4, 5, 6]), camera="=north", time=12.5)
        gallery.add_picture(state(gallery, "b,ü.jpg"), seen([7, 8, 9]))
        gallery.add_picture(state(gallery, "gone.jpg"), seen([0, 0, 0]))
        gallery.mark_missing(state(gallery, "gone.jpg").place)
        gallery.add_failure(state(gallery, "c.jpg"), "decode", "broken")
    return gallery.path


def test_three_forms_say_the_same(path: Path, tmp_path: Path, pictures: Path) -> None:
    assert export(path, tmp_path / "out.csv") == 3
    assert export(path, tmp_path / "out.jsonl") == 3
    assert export(path, tmp_path / "out.parquet", vectors=True) == 3
    with (tmp_path / "out.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == COLUMNS
    assert [row["detection"] for row in rows] == ["1", "2", "3"]
    assert rows[0]["camera"] == "'=north"  # no formula
    assert (rows[1]["x1"], rows[1]["y2"], rows[2]["time"]) == ("1.0", "21.0", "")
    lines = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [line["picture"] for line in lines] == [str(pictures / n) for n in ("a.jpg", "a.jpg", "b,ü.jpg")]
    assert lines[1]["box_xyxy"] == [1, 1, 11, 21]
    assert (lines[0]["camera"], lines[0]["time"], lines[0]["sha256"]) == ("=north", 12.5, "sha of a.jpg")
    table = pq.read_table(tmp_path / "out.parquet")
    assert table.column("vector").to_pylist() == [[1, 2, 3], [4, 5, 6], [7, 8, 9]]
    assert table.schema.metadata[b"fingerprint"] == b"a" * 64
    assert export(path, tmp_path / "plain.parquet") == 3
    assert "vector" not in pq.read_table(tmp_path / "plain.parquet").column_names


def test_forms_that_are_none(path: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="ends with none of"):
        export(path, tmp_path / "out.xlsx")
    with pytest.raises(UsageError, match="no room for embeddings"):
        export(path, tmp_path / "out.csv", vectors=True)
    assert not list(tmp_path.glob("out*"))


def test_what_a_gallery_says_of_itself(path: Path, pictures: Path) -> None:
    said = describe(path)
    assert (said["people"], said["pictures"], said["dim"], said["similarity"]) == (3, 2, 3, "euclidean")
    assert said["files"] == {"done": 2, "failed": 1, "missing": 1}
    assert said["sources"] == [str(pictures)]
    assert said["cameras"] == {"=north": 2}
    assert said["earliest"] == said["latest"] == "1970-01-01T00:00:12+00:00"
    assert (said["kept_out"], said["audit_records"], said["removal_under_way"]) == (0, 0, False)
    with Gallery.open(path, writable=True) as gallery:
        gallery.forget([1], keep_examples=-0.5)  # and the other one, who stands in the same place
    said = describe(path)
    assert (said["people"], said["kept_out"], said["examples"], said["audit_records"]) == (1, 1, 1, 1)
    assert said["megabytes"] >= 0
