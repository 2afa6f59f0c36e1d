"""``personsearch gallery`` and ``personsearch forget``, from a shell's point of view."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from personsearch.cli.filters import moment_before, parse_age, parse_time
from personsearch.errors import UsageError
from personsearch.gallery.gallery import Gallery


def record(ended) -> dict:
    (line,) = ended.out.splitlines()
    return json.loads(line)


def found(command: Callable, gallery: Path, query: Path, *more: object) -> list[str]:
    ended = command("search", "-q", query, "-g", gallery, "-m", "m", "--largest", *more)
    assert ended.code == 0, ended.err
    return [Path(hit["picture"]).name for hit in record(ended)["hits"]]


def test_info(command, gallery: Path, photos: Path) -> None:
    said = record(command("gallery", "info", "--gallery", gallery))
    assert (said["schema"], said["people"], said["pictures"]) == ("personsearch.gallery-info/1", 4, 3)
    assert said["sources"] == [str(photos)]
    assert "people" in command("gallery", "info", "-g", gallery, "--format", "table").out
    ended = command("gallery", "info", "-g", photos)
    assert (ended.code, len(ended.errors)) == (4, 1)


def test_search_with_conditions(command, gallery: Path, photos: Path) -> None:
    query = photos / "a.png"
    assert found(command, gallery, query) == ["b.png", "c.png"]
    assert found(command, gallery, query, "--path", "trip/*") == ["c.png"]
    assert found(command, gallery, query, "--path", "b.*", "--path", "*/c.png") == ["b.png", "c.png"]
    assert found(command, gallery, query, "--min-height", "61") == []
    assert found(command, gallery, query, "--since", "2026-01-01") == []  # nothing says when they were taken
    assert found(command, gallery, query, "--camera", "north") == []
    said = record(command("search", "-q", query, "-g", gallery, "-m", "m", "--path", "trip/*"))
    assert said["filter"] == {"paths": ["trip/*"]}
    for wrong in (
        ("--since", "yesterday"),
        ("--since", "2026-02-01", "--until", "2026-01-01"),
        ("--min-height", "9", "--max-height", "3"),
        ("--min-height", "nan"),
    ):
        ended = command("search", "-q", query, "-g", gallery, "-m", "m", *wrong)
        assert (ended.code, ended.out, len(ended.errors)) == (2, "", 1), wrong


def test_searches_are_in_the_audit_log(command, gallery: Path, photos: Path, monkeypatch) -> None:
    found(command, gallery, photos / "a.png", "--purpose", "lost child")
    found(command, gallery, photos / "b.png", "--path", "*.png")
    said = record(command("gallery", "audit", "-g", gallery))
    assert (said["records"], said["whole"], said["problems"]) == (2, True, [])
    first, second = said["log"]
    assert (first["action"], first["purpose"], second["filter"]) == (
        "search",
        "lost child",
        {"paths": ["*.png"]},
    )
    assert first["query"]["picture"] == str(photos / "a.png")
    assert len(first["query"]["sha256"]) == 64
    assert said["head"] == second["hash"]
    rows = list(
        csv.DictReader(io.StringIO(command("gallery", "audit", "-g", gallery, "--format", "csv").out))
    )
    assert [row["number"] for row in rows] == ["1", "2"]
    assert len(record(command("gallery", "audit", "-g", gallery, "--last", "1"))["log"]) == 1
    log = gallery / "audit.jsonl"
    log.write_text(log.read_text().replace("lost child", "lost dog"))
    ended = command("gallery", "audit", "-g", gallery, "--format", "table")
    assert (ended.code, len(ended.errors)) == (4, 1)
    assert "line 1 was changed" in ended.errors[0]
    assert "WRONG" in ended.out


def test_a_gallery_that_cannot_be_written_is_searched_and_says_so(
    command, gallery: Path, photos: Path, monkeypatch
) -> None:
    import errno

    from personsearch.gallery import audit

    def refuse(path: Path) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(audit, "WriterLock", refuse)
    ended = command("search", "-q", photos / "a.png", "-g", gallery, "-m", "m")
    assert ended.code == 0
    assert "warning: this search is not in the audit log: read-only file system" in ended.err


def test_forget_by_number(command, gallery: Path, photos: Path) -> None:
    hit = record(command("search", "-q", photos / "a.png", "-g", gallery, "-m", "m"))["hits"][0]
    number = hit["detection"]
    shown = record(command("forget", "-g", gallery, "--detection", number))
    assert (shown["schema"], shown["deleted"]) == ("personsearch.forget/1", False)
    assert [person["picture"] for person in shown["people"]] == [hit["picture"]]
    assert found(command, gallery, photos / "a.png") == ["b.png", "c.png"]  # nothing happened
    receipt = record(command("forget", "-g", gallery, "--detection", number, "--yes", "--reason", "r 1"))
    assert receipt["schema"] == "personsearch.receipt/1"
    assert receipt["deleted"] == {"people": 1, "vectors": 1, "thumbnails": 0, "crops": 0, "saved": 0}
    left = record(command("search", "-q", photos / "a.png", "-g", gallery, "-m", "m"))["hits"]
    assert number not in [hit["detection"] for hit in left]
    with Gallery.open(gallery) as opened:
        assert opened.people == 3
    again = record(command("index", photos, "-g", gallery, "-m", "m", "--progress", "none"))
    assert (again["unchanged"], again["people"]) == (3, 0)
    os.utime(photos / "b.png")  # the same content, looked at again
    command("index", photos, "-g", gallery, "-m", "m", "--progress", "none")
    assert record(command("gallery", "info", "-g", gallery))["people"] == 3
    actions = [line["action"] for line in record(command("gallery", "audit", "-g", gallery))["log"]]
    assert actions == ["search", "search", "forget", "search"]
    ended = command("forget", "-g", gallery, "--detection", number, "--yes")
    assert (ended.code, ended.out, len(ended.errors)) == (2, "", 1)


def test_forget_by_picture(command, gallery: Path, photos: Path) -> None:
    base = ("forget", "-g", gallery, "-q", photos / "a.png", "-m", "m", "--min-similarity=-0.01")
    shown = record(command(*base))
    assert sorted(Path(person["picture"]).name for person in shown["people"]) == ["a.png", "b.png"]
    receipt = record(command(*base, "--yes", "--keep-example=-0.01"))
    assert (receipt["deleted"]["people"], receipt["kept_out"], receipt["examples"]) == (2, 2, 2)
    assert found(command, gallery, photos / "a.png", "--own") == ["b.png", "c.png"]
    pixels = np.array(Image.open(photos / "a.png"))
    Image.fromarray(np.roll(pixels, 50, axis=1)).save(photos / "again.png")  # elsewhere, in other pixels
    report = record(command("index", photos, "-g", gallery, "-m", "m", "--progress", "none"))
    assert report["added"] == 1
    assert record(command("gallery", "info", "-g", gallery))["people"] == 2


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("--query", "{photos}/a.png"),
        ("--query", "{photos}/a.png", "--model", "m"),
        ("--min-similarity", "0.5", "--detection", "1"),
        ("--query", "{photos}/a.png", "--model", "m", "--min-similarity", "nan"),
        ("--detection", "99"),
    ],
)
def test_forgetting_nobody_in_particular(command, gallery: Path, photos: Path, words) -> None:
    ended = command("forget", "-g", gallery, *(word.format(photos=photos) for word in words))
    assert (ended.code, ended.out, len(ended.errors)) == (2, "", 1)


def test_verify_and_repair(command, gallery: Path) -> None:
    said = record(command("gallery", "verify", "-g", gallery))
    assert (said["right"], said["people"], said["findings"]) == (True, 4, [])
    with Gallery.open(gallery, writable=True) as opened:
        opened._people_table.delete("detection", [1])
    ended = command("gallery", "verify", "-g", gallery)
    assert (ended.code, record(ended)["right"], len(ended.errors)) == (4, False, 1)
    assert "--repair" in ended.err
    mended = record(command("gallery", "verify", "-g", gallery, "--repair"))
    assert mended["right"]
    assert mended["repaired"]
    assert "whole" in command("gallery", "verify", "-g", gallery, "--format", "table").out


def test_a_repaired_picture_is_indexed_again(command, gallery: Path, photos: Path) -> None:
    with Gallery.open(gallery, writable=True) as opened:
        opened._people_table.delete("detection", [1])
    assert command("gallery", "verify", "-g", gallery, "--repair").code == 0
    report = record(command("index", photos, "-g", gallery, "-m", "m", "--progress", "none"))
    assert (report["added"], report["unchanged"], report["failed"]) == (1, 2, 0)
    assert record(command("gallery", "info", "-g", gallery))["people"] == 4


def test_prune(command, gallery: Path) -> None:
    shown = record(command("gallery", "prune", "-g", gallery, "--older-than", "30d"))
    assert (shown["done"], shown["deleted"]["people"]) == (False, 0)
    shown = record(command("gallery", "prune", "-g", gallery, "--older-than", "0s"))
    assert (shown["done"], shown["deleted"]["people"], shown["pictures"]) == (False, 4, 3)
    done = record(command("gallery", "prune", "-g", gallery, "--older-than", "0s", "--yes"))
    assert (done["done"], done["deleted"]["people"]) == (True, 4)
    assert record(command("gallery", "info", "-g", gallery))["people"] == 0
    assert command("gallery", "prune", "-g", gallery, "--older-than", "a month").code == 2
    assert command("gallery", "maintain", "-g", gallery).code == 0


def test_migrate(command, gallery: Path, photos: Path, searcher) -> None:
    ended = command("gallery", "migrate", "-g", gallery, "-m", "m", "--progress", "none")
    assert (ended.code, ended.out, len(ended.errors)) == (4, "", 1)  # the very same model
    searcher.fingerprint = "rectangles-2"
    (photos / "trip" / "c.png").unlink()
    ended = command("gallery", "migrate", "-g", gallery, "-m", "m", "--progress", "none")
    assert (ended.code, record(ended)["finished"]) == (3, False)
    assert command("search", "-q", photos / "a.png", "-g", gallery, "-m", "m").code == 5
    assert "migrating_to" in command("gallery", "info", "-g", gallery).out
    assert record(command("gallery", "migrate", "-g", gallery, "--abandon"))["abandoned"]
    assert command("gallery", "migrate", "-g", gallery, "-m", "m", "--progress", "none").code == 3
    record(command("person", "add", "Ana", "-g", gallery, "--detection", "1"))
    keep = ("--keep-example", "-0.01", "--yes")
    record(command("forget", "-g", gallery, "--detection", "2", *keep))
    words = ("-g", gallery, "-m", "m", "--leave-out-failed", "--progress", "none")
    ended = command("gallery", "migrate", *words)
    assert (ended.code, record(ended)["finished"]) == (3, True)
    assert (record(ended)["kept_examples"], record(ended)["saved_people"]) == (1, 1)
    searcher.fingerprint = "rectangles-3"
    table = command("gallery", "migrate", *words, "--format", "table").out
    assert "1 examples kept of forgotten people keep nobody out any more" in table
    assert "1 saved people need examples by the new model" in table
    assert found(command, gallery, photos / "a.png") == ["b.png"]
    assert command("gallery", "migrate", "-g", gallery, "--abandon").code == 4
    assert command("gallery", "migrate", "-g", gallery).code == 2
    assert command("gallery", "migrate", "-g", gallery, "-m", "m", "--abandon").code == 2


def test_export(command, gallery: Path, tmp_path: Path) -> None:
    out = tmp_path / "people.csv"
    assert record(command("gallery", "export", "-g", gallery, "--out", out))["people"] == 4
    assert len(out.read_text().splitlines()) == 5
    record(command("gallery", "export", "-g", gallery, "--out", tmp_path / "v.parquet", "--vectors"))
    log = record(command("gallery", "audit", "-g", gallery))["log"]
    assert [(line["action"], line["vectors"]) for line in log] == [("export", False), ("export", True)]
    assert command("gallery", "export", "-g", gallery, "--out", tmp_path / "x.txt").code == 2


def test_times_as_people_write_them() -> None:
    assert parse_time("2026-06-01T14:30+02:00", "--since") == parse_time("2026-06-01T12:30", "--since")
    assert parse_age("2w", "--older-than") == 14 * 86400
    assert moment_before("1970-01-02") == 86400
    now = moment_before("0s")
    assert moment_before("1d") == pytest.approx(now - 86400, abs=60)
    for wrong in ("30", "d", "-3d", "1 month", ""):
        with pytest.raises(UsageError):
            moment_before(wrong)
    assert np.isfinite(now)
