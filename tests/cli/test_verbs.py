"""detect, index and search from end to end, on people who are rectangles."""

from __future__ import annotations

import csv
import io
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

Q = ("--gallery", "--model", "m")


def answers(ended: Any) -> list[dict[str, Any]]:
    return [json.loads(line) for line in ended.out.splitlines()]


def test_detect_writes_an_object_a_picture(command, searcher, photos: Path) -> None:
    ended = command("detect", photos, "--model", "m")
    assert ended.code == 0
    seen = answers(ended)
    assert [Path(one["picture"]).name for one in seen] == ["a.png", "b.png", "c.png"]
    assert all(one["schema"] == "personsearch.detect/1" for one in seen)
    assert seen[0]["people"] == [{"box_xyxy": [10, 10, 30, 70], "score": 0.9}]
    assert (seen[0]["width"], seen[0]["height"]) == (200, 100)


def test_detect_csv_paths_embeddings_and_threshold(command, searcher, photos: Path) -> None:
    rows = list(csv.DictReader(io.StringIO(command("detect", photos, "--model", "m", "--format", "csv").out)))
    assert [row["box x,y,w,h"] for row in rows] == [
        "10,10,20,60",
        "30,20,20,60",
        "100,20,20,60",
        "50,30,20,60",
    ]
    strict = command("detect", photos / "b.png", "--model", "m", "--conf", "0.7", "--embed", "--json")
    (one,) = answers(strict)
    assert [len(person["embedding"]) for person in one["people"]] == [3]
    paths = command("detect", photos, "--model", "m", "--conf", "0.95", "--format", "paths")
    assert (paths.code, paths.out) == (0, "")
    table = command("detect", photos / "a.png", "--model", "m", "--format", "table")
    assert table.out.splitlines()[0].split() == ["picture", "person", "score", "box", "x,y,w,h"]


def test_index_says_what_it_did_and_does_nothing_twice(command, searcher, photos: Path) -> None:
    path = photos.parent / "g"
    (first,) = answers(command("index", photos, "-g", path, "-m", "m"))
    assert first["schema"] == "personsearch.index/1"
    assert (first["added"], first["people"], first["failed"], first["failures"]) == (3, 4, 0, [])
    (second,) = answers(command("index", photos, "-g", path, "-m", "m"))
    assert (second["added"], second["unchanged"]) == (0, 3)
    shutil.copy(photos / "a.png", photos / "d.png")
    (third,) = answers(command("index", photos, "-g", path, "-m", "m"))
    assert (third["added"], third["unchanged"], third["duplicates"]) == (0, 3, 1)
    flat = command(
        "index", photos, "-g", photos.parent / "flat", "-m", "m", "--no-recursive", "--format", "table"
    )
    assert flat.code == 0
    assert "next: personsearch search" in flat.out


def test_index_ends_with_3_and_names_what_failed(command, searcher, photos: Path) -> None:
    (photos / "broken.jpg").write_bytes(b"no picture at all")
    path = photos.parent / "g"
    ended = command("index", photos, "-g", path, "-m", "m", "--progress", "none")
    assert ended.code == 3
    (report,) = answers(ended)
    assert (report["added"], report["failed"]) == (3, 1)
    assert report["failures"][0]["path"].endswith("broken.jpg")
    (line,) = (line for line in ended.errors if "broken.jpg" in line)
    assert line.count("broken.jpg") == 1
    assert command("search", "-q", photos / "a.png", "-g", path, "-m", "m").code == 0
    again = command("index", photos, "-g", path, "-m", "m", "--retry-failed", "--progress", "none")
    assert again.code == 3  # never silently skipped


def test_search_finds_the_person_elsewhere(command, gallery: Path, photos: Path) -> None:
    ended = command("search", "-q", photos / "a.png", "-g", gallery, "-m", "m")
    assert ended.code == 0, ended.err
    (found,) = answers(ended)
    assert found["schema"] == "personsearch.search/1"
    assert found["query"]["box_xyxy"] == [10, 10, 30, 70]
    assert (found["pictures"], found["people"]) == (3, 4)
    best = found["hits"][0]
    assert (best["rank"], Path(best["picture"]).name, best["box_xyxy"]) == (1, "b.png", [100, 20, 120, 80])
    assert all(Path(hit["picture"]).name != "a.png" for hit in found["hits"])  # the query's own picture
    assert [hit["rank"] for hit in found["hits"]] == [1, 2]
    assert "query: the person at 10,10,20,60" in ended.err


def test_search_by_box_with_own_picture_and_everybody(command, gallery: Path, photos: Path) -> None:
    ended = command(
        "search",
        "-q",
        photos / "b.png",
        "--box",
        "100,20,20,60",
        "-g",
        gallery,
        "-m",
        "m",
        "--own",
        "--per",
        "person",
    )
    (found,) = answers(ended)
    assert [Path(hit["picture"]).name for hit in found["hits"][:2]] in (
        ["a.png", "b.png"],
        ["b.png", "a.png"],
    )
    assert len(found["hits"]) == 4
    first = command("search", "-q", photos / "b.png", "--pick", "1", "-g", gallery, "-m", "m", "-k", "1")
    assert len(answers(first)[0]["hits"]) == 1


def test_search_with_several_or_no_people_ends_with_4(
    command, gallery: Path, photos: Path, tmp_path: Path
) -> None:
    ended = command("search", "-q", photos / "b.png", "-g", gallery, "-m", "m")
    assert (ended.code, ended.out) == (4, "")
    assert ended.errors == [f"error: 2 people were found in {photos / 'b.png'}; which one is meant?"]
    assert "30,20,20,60" in ended.err
    nobody = command("search", "-q", photos / "b.png", "--conf", "0.99", "-g", gallery, "-m", "m")
    assert (nobody.code, len(nobody.errors)) == (4, 1)


def test_search_forms_and_page(command, gallery: Path, photos: Path, tmp_path: Path) -> None:
    base = ("search", "-q", photos / "a.png", "-g", gallery, "-m", "m")
    page = tmp_path / "out" / "hits.html"
    table = command(*base, "--format", "table", "--html", page)
    assert "rank" in table.out
    assert f"page     {page}" in table.out
    text = page.read_text()
    assert text.lstrip().lower().startswith("<!doctype html")
    assert "http://" not in text.replace("http://www.w3.org", "")
    paths = command(*base, "--format", "paths", "-0").out
    assert [Path(path).name for path in paths.split("\0") if path] == ["b.png", "c.png"]
    rows = list(csv.DictReader(io.StringIO(command(*base, "--format", "csv").out)))
    assert [row["rank"] for row in rows] == ["1", "2"]


def test_no_hits_are_an_answer(command, searcher, photos: Path, tmp_path: Path) -> None:
    alone = tmp_path / "alone"
    alone.mkdir()
    shutil.copy(photos / "a.png", alone / "a.png")
    path = tmp_path / "g"
    assert command("index", alone, "-g", path, "-m", "m").code == 0
    base = ("search", "-q", alone / "a.png", "-g", path, "-m", "m")
    ended = command(*base)
    assert (ended.code, answers(ended)[0]["hits"]) == (0, [])
    assert "no hits" in command(*base, "--format", "table").out
    assert command(*base, "--exit-code").code == 1


def test_a_gallery_of_another_model_is_refused_with_5(command, gallery: Path, photos: Path, searcher) -> None:
    searcher.fingerprint = "rectangles-2"
    for ended in (
        command("search", "-q", photos / "a.png", "-g", gallery, "-m", "m"),
        command("index", photos, "-g", gallery, "-m", "m"),
    ):
        assert (ended.code, ended.out, len(ended.errors)) == (5, "", 1)
    searcher.fingerprint = "rectangles-1"
    assert command("search", "-q", photos / "a.png", "-g", gallery, "-m", "m").code == 0  # nothing was lost


def test_a_gallery_that_is_being_written_is_locked_with_6(command, gallery: Path, photos: Path) -> None:
    from personsearch.gallery.gallery import Gallery

    with Gallery.open(gallery, writable=True):
        ended = command("index", photos, "-g", gallery, "-m", "m")
        reading = command("search", "-q", photos / "a.png", "-g", gallery, "-m", "m")
    assert (ended.code, len(ended.errors)) == (6, 1)
    assert reading.code == 0


@pytest.mark.parametrize("words", [("search", "-q", "{photos}/a.png", "-g", "{photos}/none", "-m", "m")])
def test_what_is_not_there_ends_with_4(command, searcher, photos: Path, words) -> None:
    ended = command(*(word.format(photos=photos) for word in words))
    assert (ended.code, ended.out, len(ended.errors)) == (4, "", 1)


def test_without_a_model_every_verb_says_so(command, gallery: Path, photos: Path, monkeypatch) -> None:
    monkeypatch.undo()
    for words in (
        ("detect", photos / "a.png"),
        ("index", photos, "-g", gallery),
        ("search", "-q", photos / "a.png", "-g", gallery),
    ):
        ended = command(*words, "--model", photos / "no-model")
        assert (ended.code, ended.out) == (4, "")
        assert ended.errors == [f"error: there is no model folder at {photos / 'no-model'}"]


def test_detect_on_a_terminal_draws_no_bar_into_its_table(
    command, searcher, photos: Path, monkeypatch
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    ended = command("detect", photos, "--model", "m")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith("picture")
    assert "detecting" in command("detect", photos, "--model", "m", "--progress", "plain").err


def test_a_copy_of_an_indexed_picture_does_not_find_itself(
    command, gallery: Path, photos: Path, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "desktop.png"
    shutil.copy(photos / "a.png", elsewhere)
    (found,) = answers(command("search", "-q", elsewhere, "-g", gallery, "-m", "m"))
    assert [Path(hit["picture"]).name for hit in found["hits"]] == ["b.png", "c.png"]
    (own,) = answers(command("search", "-q", elsewhere, "-g", gallery, "-m", "m", "--own"))
    assert "a.png" in [Path(hit["picture"]).name for hit in own["hits"]]


def test_a_page_cannot_take_a_folders_place(command, gallery: Path, photos: Path) -> None:
    ended = command("search", "-q", photos / "a.png", "-g", gallery, "-m", "m", "--html", photos)
    assert (ended.code, ended.out) == (2, "")
    assert len(ended.errors) == 1
    assert "--html" in ended.errors[0]
    assert str(photos) in ended.errors[0]
