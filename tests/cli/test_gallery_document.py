"""Every command of docs/gallery.md is run, in order, on a few generated pictures."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from personsearch.gallery.audit import AuditLog
from personsearch.gallery.gallery import Gallery
from personsearch.gallery.info import describe
from personsearch.gallery.ledger import FileState, Place
from personsearch.types import Detections

DOCUMENT = Path(__file__).parents[2] / "docs" / "gallery.md"
RED, RUST, GREEN, BLUE, GREY = (220, 30, 30), (200, 50, 40), (30, 220, 30), (30, 30, 220), (90, 90, 90)


def draw(path: Path, *colours: tuple[int, int, int], taken: str) -> None:
    """People of 20x60 side by side, and when the picture was taken (UTC)."""
    picture = Image.new("RGB", (200, 100), (250, 250, 250))
    for number, colour in enumerate(colours):
        picture.paste(colour, (10 + 50 * number, 10 + 2 * number, 30 + 50 * number, 70 + 2 * number))
    path.parent.mkdir(parents=True, exist_ok=True)
    exif = Image.Exif()
    exif.get_ifd(0x8769).update({0x9003: taken, 0x9011: "+00:00"})
    picture.save(path, exif=exif, quality=100)


@pytest.fixture
def place(tmp_path: Path, searcher, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the commands name: photos, a query, and three models."""
    draw(tmp_path / "photos" / "a.jpg", GREY, GREEN, RED, taken="2026:07:01 10:00:00")  # detections 1 to 3
    draw(tmp_path / "photos" / "b.jpg", BLUE, RUST, taken="2026:07:01 11:00:00")
    draw(tmp_path / "photos" / "old.jpg", BLUE, taken="2026:05:01 10:00:00")
    searcher.similarity = "cosine"
    picture = Image.new("RGB", (640, 480), (250, 250, 250))
    picture.paste(RED, (412, 88, 552, 478))
    picture.save(tmp_path / "photo.jpg", quality=100)
    monkeypatch.chdir(tmp_path)
    models = {"model": searcher, **{name: type(searcher)(name) for name in ("better-model", "best-model")}}
    monkeypatch.setattr(
        "personsearch.model.checkpoint.load_searcher", lambda path, device="auto": models[str(path)]
    )
    return tmp_path


def lines() -> list[str]:
    blocks = re.findall(r"^```sh\n(.*?)^```", DOCUMENT.read_text(), re.M | re.S)
    return [line for block in blocks for line in block.splitlines() if line.startswith("personsearch ")]


def test_the_commands_run_as_they_stand_and_do_what_they_say(command, place: Path) -> None:
    assert len(lines()) > 18
    said, there = {}, {}
    for line in lines():
        ended = command(*shlex.split(line)[1:])
        assert ended.code == 0, (line, ended.err)
        said[line] = [json.loads(row) for row in ended.out.splitlines()]
        there[line] = describe(Path("gallery"))["people"]
    (search,) = (said[line][0] for line in said if line.startswith("personsearch search"))
    assert [hit["detection"] for hit in search["hits"]] == [3, 5]  # one a picture, and not of May
    assert all(said[line][0]["right"] for line in said if " verify " in line)
    for line in said:  # nobody goes without --yes
        if re.search(" forget | prune ", line):
            answer = said[line][0]
            assert answer.get("done", answer["schema"] == "personsearch.receipt/1") == ("--yes" in line), line
    forgotten = [said[line][0]["detections"] for line in said if " forget " in line and "--yes" in line]
    assert forgotten == [[2, 3], [5]]
    (pruned,) = (line for line in said if " prune " in line and "--yes" in line)
    assert said[pruned][0]["deleted"]["people"] == 1
    assert there[pruned] == 2
    migrated = [said[line][0] for line in said if " migrate " in line]
    assert [(one["after"], one["people"]) for one in migrated] == [("better-model", 2), ("best-model", 2)]
    assert len((place / "people.csv").read_text().splitlines()) == 1 + 2
    assert pq.read_table(place / "people.parquet").num_rows == 2
    actions = [record["action"] for record in AuditLog(place / "gallery").records()]
    assert actions == ["search", "forget", "forget", "prune", "migrate", "migrate", "export", "export"]
    assert AuditLog(place / "gallery").check().problems == ()
    audits = [said[line][0]["log"] for line in said if " audit " in line]
    assert [len(log) for log in audits] == [8, 5]
    # Who was forgotten stays out of the same pictures under another name, by hand or by example.
    (place / "photos" / "a.jpg").rename(place / "photos" / "renamed.jpg")
    ended = command("index", "photos", "--model", "best-model", "-g", "gallery", "--progress", "none")
    assert ended.code == 0, ended.err
    assert describe(Path("gallery"))["people"] == 2


def test_cells_are_made_and_used_when_asked_for(command, place: Path) -> None:
    """Of a thousand people; fewer are refused with a line."""
    assert command("index", "photos", "-m", "model", "-g", "gallery", "--progress", "none").code == 0
    few = command("gallery", "maintain", "-g", "gallery", "--cells")
    assert (few.code, few.errors) == (4, ["error: 6 people are too few to be sorted into cells"])
    rng = np.random.default_rng(0)
    with Gallery.open("gallery", writable=True) as gallery:
        for number in range(10):
            seen = Detections(np.tile([0, 0, 9, 9], (100, 1)), np.full(100, 0.9), rng.random((100, 3)))
            state = FileState(place=Place(0, f"{number}.jpg"), size=1, mtime_ns=1, sha256=f"{number:064d}")
            gallery.add_picture(state, seen)
    told = json.loads(command("gallery", "maintain", "-g", "gallery", "--cells").out)
    assert told["cells"] > 1
    words = ("search", "-q", "photo.jpg", "--largest", "-m", "model", "-g", "gallery", "-k", "1", "--json")
    exact, near = (json.loads(command(*words, *more).out) for more in ((), ("--approximate",)))
    assert near["hits"][0]["detection"] == exact["hits"][0]["detection"]


def test_every_flag_of_the_verbs_is_in_the_document(command) -> None:
    text = DOCUMENT.read_text()
    common = {"--help", "--format", "--json", "--parts", "--device", "--progress", "--gallery", "--model",
              "--query", "--out", "--approximate"}  # fmt: skip
    verbs = ("info", "verify", "maintain", "prune", "migrate", "export", "audit")
    for verb in (("forget",), *(("gallery", verb) for verb in verbs)):
        flags = set(re.findall(r"^ +(?:-\w, )?(--[a-z-]+)", command(*verb, "--help").out, re.M)) - common
        missing = [flag for flag in flags if not re.search(rf"{flag}[ `\n]", text)]
        assert not missing, (verb, missing)
