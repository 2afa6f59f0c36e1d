"""search by several examples, refine, person and calibrate, from a shell's point of view."""

from __future__ import annotations

import csv
import io
import json
import unicodedata
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from personsearch.cli.refine import parse_ranks
from personsearch.errors import UsageError
from personsearch.gallery.gallery import Gallery
from personsearch.gallery.ledger import FileState
from personsearch.gallery.named import NamedPeople
from personsearch.ranking.calibration import Calibration
from personsearch.ranking.presence import hit_probabilities, judge
from personsearch.types import Detections


def record(ended) -> dict:
    assert ended.code == 0, ended.err
    return json.loads(ended.out.splitlines()[-1])


def names(answer: dict) -> list[str]:
    return [Path(hit["picture"]).name for hit in answer["hits"]]


def numbers(answer: dict) -> dict[str, int]:
    """The number of each hit by its picture."""
    return {Path(hit["picture"]).name: hit["detection"] for hit in answer["hits"]}


def test_hits_and_saved_people_need_no_model(command, gallery: Path, photos: Path) -> None:
    first = record(command("search", "-q", photos / "a.png", "-g", gallery, "-m", "m", "--save-as", "Ana"))
    for words in (("--person", "Ana"), ("--detection", 1)):
        again = record(command("search", *words, "-g", gallery))
        assert names(again) == names(first) == ["b.png", "c.png"]
    assert names(record(command("search", "--person", "Ana", "-g", gallery, "--own"))) == [
        "a.png",
        "b.png",
        "c.png",
    ]
    ended = command("search", "-q", photos / "a.png", "-g", gallery)
    assert (ended.code, len(ended.errors)) == (2, 1)
    assert "--model" in ended.errors[0]


def test_what_cannot_be_meant(command, gallery: Path, photos: Path) -> None:
    a, b = photos / "a.png", photos / "b.png"
    for words in (
        (),
        ("--not", a, "-m", "m"),
        ("-q", a, "-q", b, "--box", "1,1,9,9", "-m", "m"),
        ("-q", f"{a}:1,1,20,20", "--box", "1,1,9,9", "-m", "m"),
        ("-q", a, "-q", b, "--pick", "1", "-m", "m"),
        ("-q", a, "--box", "10,10,20,60", "--largest", "-m", "m"),
        ("-q", a, "-m", "m", "--rerank", "best"),
        ("-q", a, "-m", "m", "--rerank", "k-reciprocal", "--context"),
        ("-q", a, "-m", "m", "--context"),  # nobody else is in that picture
        ("-q", a, "-m", "m", "--save-as", "../x"),
        ("--person", "a/b"),
    ):
        ended = command("search", *words, "-g", gallery)
        assert (ended.code, ended.out, len(ended.errors)) == (2, "", 1), words
    for words in (("--person", "Nobody"), ("--detection", 99), ("-q", f"{a}:300,1,20,20", "-m", "m")):
        ended = command("search", *words, "-g", gallery)
        assert (ended.code, ended.out, len(ended.errors)) == (4, "", 1), words
    assert NamedPeople(gallery).names() == []


def test_others_lead_away_and_are_left_out(command, gallery: Path, photos: Path) -> None:
    b = photos / "b.png"
    plain = record(command("search", "-q", f"{b}:100,20,20,60", "-g", gallery, "-m", "m", "--own"))
    away = record(
        command(
            "search",
            "-q",
            f"{b}:100,20,20,60",
            "--not",
            f"{b}:30,20,20,60",
            "-g",
            gallery,
            "-m",
            "m",
            "--own",
        )
    )
    green = next(e for e in away["examples"] if not e["right"])
    assert green["box_xyxy"] == [30, 20, 50, 80]
    assert len(away["hits"]) == len(plain["hits"])
    assert all(hit["box_xyxy"] != green["box_xyxy"] for hit in away["hits"])
    assert away["hits"][-1]["similarity"] < plain["hits"][-1]["similarity"]


def test_a_crop_is_the_whole_picture(command, gallery: Path, photos: Path) -> None:
    said = record(command("search", "--crop", photos / "b.png", "-g", gallery, "-m", "m"))
    assert said["query"]["box_xyxy"] == [0, 0, 200, 100]


def test_yes_and_no_in_several_steps(command, gallery: Path, photos: Path, tmp_path: Path) -> None:
    session = tmp_path / "s.json"
    first = record(command("search", "-q", photos / "a.png", "-g", gallery, "-m", "m", "--session", session))
    red = numbers(first)["b.png"]
    again = record(command("refine", "-g", gallery, "--session", session, "--yes", "1", "--save-as", "Ana"))
    assert names(again) == ["c.png"]  # the picture of the right hit is not shown again
    assert [(e["right"], e["detection"]) for e in again["examples"]] == [(True, None), (True, red)]
    last = record(command("refine", "-g", gallery, "--session", session, "--no", "1"))
    assert names(last) == []
    shown = record(command("person", "show", "Ana", "-g", gallery))["examples"]
    assert [(e["right"], e["detection"]) for e in shown] == [
        (True, None),
        (True, red),
        (False, numbers(first)["c.png"]),
    ]
    log = record(command("gallery", "audit", "-g", gallery))
    assert [line["action"] for line in log["log"]] == ["search", "refine", "refine"]
    assert log["whole"]


def test_ranks_of_a_saved_person_are_those_shown_last(command, gallery: Path, photos: Path) -> None:
    command("search", "-q", photos / "a.png", "-g", gallery, "-m", "m", "--save-as", "Ana")
    shown = record(command("search", "--person", "Ana", "-g", gallery, "--path", "c.png"))
    record(command("refine", "-g", gallery, "--person", "Ana", "--no", "1"))
    kept = NamedPeople(gallery).load("Ana").examples
    assert [(e.right, e.detection) for e in kept] == [(True, None), (False, numbers(shown)["c.png"])]


def test_refining_goes_on_from_the_terms_of_before(
    command, gallery: Path, photos: Path, tmp_path: Path
) -> None:
    session = tmp_path / "s.json"
    words = ("-g", gallery, "--path", "[bc].png", "-k", "1", "--per", "person", "--own")
    first = record(
        command(
            *("search", "-q", photos / "a.png", "-m", "m", *words, "--rerank", "k-reciprocal"),
            *("--session", session, "--save-as", "Ana"),
        )
    )
    assert len(first["hits"]) == 1
    for search in (("--session", session), ("--person", "Ana")):
        again = record(command("refine", "-g", gallery, *search, "--yes", "1"))
        assert (again["filter"], again["order"]) == ({"paths": ["[bc].png"]}, "k-reciprocal")
        assert len(again["hits"]) == 1
    more = record(command("refine", "-g", gallery, "--session", session, "--yes", "1", "--top-k", "9"))
    assert (len(more["hits"]), more["filter"], more["order"]) == (3, again["filter"], "k-reciprocal")
    assert "a.png" not in names(more)
    record(command("search", "--person", "Ana", "-g", gallery, "--path", "a.png", "--own"))
    last = record(command("refine", "-g", gallery, "--person", "Ana", "--yes", "1"))  # that search's terms
    assert (last["filter"], last["order"]) == ({"paths": ["a.png"]}, "similarity")


def test_an_order_that_cannot_be_kept_is_said_to_be_lost(
    command, gallery: Path, photos: Path, tmp_path: Path
) -> None:
    session = tmp_path / "s.json"
    query = ("search", "-q", f"{photos / 'b.png'}:100,20,20,60", "-g", gallery, "-m", "m", "--context")
    ended = command(*query, "--session", session)
    assert record(ended)["order"] == "context"
    assert "refine orders by similarity" in ended.err
    assert "refine" not in command(*query).err  # nothing is kept, so nothing is lost
    assert (
        record(command("refine", "-g", gallery, "--session", session, "--no", "1"))["order"] == "similarity"
    )
    beside, alone = 3, 1  # of b.png, where somebody else is, and of a.png
    hit = ("search", "--detection", beside, "-g", gallery, "--context", "--session", session)
    ended = command(*hit)
    assert (record(ended)["order"], "warning" in ended.err) == ("context", False)
    ended = command("refine", "-g", gallery, "--session", session, "--no-detection", alone)
    assert (record(ended)["order"], "warning" in ended.err) == ("context", False)
    record(command("forget", "-g", gallery, "--detection", 2, "--yes"))
    ended = command("refine", "-g", gallery, "--session", session, "--no-detection", 4)
    assert record(ended)["order"] == "similarity"
    assert "warning: ordered by similarity: nobody else is known" in ended.err


def test_a_terminal_is_asked(command, gallery: Path, photos: Path, monkeypatch) -> None:
    command("search", "-q", photos / "a.png", "-g", gallery, "-m", "m", "--save-as", "Ana")
    terminal = io.StringIO("y\nn\n")
    terminal.isatty = lambda: True  # type: ignore[method-assign]
    monkeypatch.setattr("sys.stdin", terminal)
    ended = command("refine", "-g", gallery, "--person", "Ana")
    said = record(ended)
    assert "b.png  box 100,20,20,60" in ended.err
    assert [e["right"] for e in said["examples"]] == [True, True, False]
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    ended = command("refine", "-g", gallery, "--person", "Ana")
    assert (ended.code, ended.errors) == (2, ["error: no hit was judged"])


def test_refine_refuses(command, gallery: Path, photos: Path, tmp_path: Path) -> None:
    command("search", "-q", photos / "a.png", "-g", gallery, "-m", "m", "--save-as", "Ana")
    for code, words in (
        (2, ("--yes", "1")),
        (2, ("--person", "Ana", "--session", tmp_path / "s", "--yes", "1")),
        (2, ("--person", "Ana", "--yes", "0")),
        (2, ("--person", "Ana", "--yes", "3-1")),
        (2, ("--person", "Ana", "--yes", "x")),
        (2, ("--person", "Ana", "--yes", "1", "--no", "1")),
        (4, ("--person", "Ana", "--yes", "3")),
        (4, ("--person", "Ana", "--yes-detection", "99")),
        (4, ("--session", tmp_path / "none", "--yes", "1")),
    ):
        ended = command("refine", "-g", gallery, *words)
        assert (ended.code, ended.out, len(ended.errors)) == (code, "", 1), words
    assert len(NamedPeople(gallery).load("Ana").examples) == 1
    with pytest.raises(UsageError):
        parse_ranks("1,,2", "--yes")


def test_people_are_listed_shown_added_to_and_removed(command, gallery: Path, photos: Path) -> None:
    assert record(command("person", "list", "-g", gallery))["people"] == []
    record(command("person", "add", "Ana", "-g", gallery, "-q", photos / "a.png", "-m", "m"))
    record(command("person", "add", "Ana", "-g", gallery, "--detection", "3"))
    said = record(command("person", "add", "Ana", "-g", gallery, "--not-detection", "2"))
    assert [(e["number"], e["right"], e["detection"]) for e in said["examples"]] == [
        (1, True, None),
        (2, True, 3),
        (3, False, 2),
    ]
    assert all("vector" not in e for e in said["examples"])
    (one,) = record(command("person", "list", "-g", gallery))["people"]
    assert (one["name"], one["examples"], one["not"]) == ("Ana", 2, 1)
    paths = command("person", "show", "Ana", "-g", gallery, "--format", "paths").out.splitlines()
    assert str(photos / "a.png") in paths
    assert record(command("person", "remove", "Ana", "-g", gallery, "--example", "2"))["left"] == 2
    assert command("person", "remove", "Ana", "-g", gallery, "--example", "1").code == 2  # none would be left
    assert command("person", "remove", "Ana", "-g", gallery, "--example", "9").code == 2
    assert record(command("person", "remove", "Ana", "-g", gallery))["examples"] == 2
    assert command("person", "show", "Ana", "-g", gallery).code == 4
    assert command("person", "add", "Ben", "-g", gallery, "--not-detection", "2").code == 2
    actions = [line["action"] for line in record(command("gallery", "audit", "-g", gallery))["log"]]
    assert actions == ["person"] * 5


def test_forgetting_a_hit_takes_it_out_of_a_saved_person(command, gallery: Path, photos: Path) -> None:
    record(command("person", "add", "Ana", "-g", gallery, "--detection", "1", "--detection", "3"))
    receipt = record(command("forget", "-g", gallery, "--detection", "3", "--yes"))
    assert receipt["deleted"]["saved"] == 1
    assert [e.detection for e in NamedPeople(gallery).load("Ana").examples] == [1]


def test_forgetting_a_saved_person(command, gallery: Path, photos: Path, tmp_path: Path) -> None:
    add = ("person", "add", "-g", gallery)
    record(command(*add, "Ana", "--detection", "1", "--not-detection", "4"))
    record(command(*add, "Ben", "--crop", photos / "a.png", "-m", "m"))
    shown = record(command("forget", "-g", gallery, "--person", "Ana"))
    assert ([one["detection"] for one in shown["people"]], shown["saved"]) == ([1], 2)
    assert NamedPeople(gallery).names() == ["Ana", "Ben"]
    done = record(command("forget", "-g", gallery, "--person", "Ana", "--yes"))
    assert (done["deleted"]["people"], NamedPeople(gallery).names()) == (1, ["Ben"])
    # by what she looks like: the hit that is so much like her, and whoever is saved from elsewhere
    pixels = np.array(Image.open(photos / "a.png"))
    Image.fromarray(np.roll(pixels, 50, axis=1)).save(tmp_path / "elsewhere.png")
    red = ("--query", f"{tmp_path / 'elsewhere.png'}:60,10,20,60", "-m", "m")
    record(command(*add, "Cleo", *red))
    record(command(*add, "Dora", *red, "--not-detection", "4"))
    words = ("forget", "-g", gallery, "--person", "Cleo", "--min-similarity", "-0.01")
    assert record(command(*words))["saved"] == 2
    done = record(command(*words, "--yes"))
    assert done["deleted"]["people"] == 1
    assert (
        done["deleted"]["saved"] + done["saved_besides"] == 3 - 1
    )  # Dora's other example goes with the name
    assert NamedPeople(gallery).names() == ["Ben"]
    assert command("forget", "-g", gallery, "--person", "Cleo").code == 4
    (gallery / "named" / "Ben.json").write_text("{")
    ended = command("gallery", "verify", "-g", gallery)
    assert (ended.code, "Ben.json" in ended.out) == (4, True)


def elsewhere(photos: Path, folder: Path) -> Path:
    """A picture of the person in ``a.png`` that the gallery does not know."""
    pixels = np.array(Image.open(photos / "a.png"))
    Image.fromarray(np.roll(pixels, 50, axis=1)).save(folder / "elsewhere.png")
    return folder / "elsewhere.png"


def test_a_name_is_forgotten_however_it_is_typed(command, gallery: Path, photos: Path) -> None:
    record(command("person", "add", "Zoë", "-g", gallery, "-q", photos / "a.png", "-m", "m"))
    typed = unicodedata.normalize("NFD", "Zoë")
    assert typed != "Zoë"
    shown = record(command("forget", "-g", gallery, "--person", typed))
    # the person in the query's own photograph, which was saved without a number
    assert [Path(one["picture"]).name for one in shown["people"]] == ["a.png"]
    done = record(command("forget", "-g", gallery, "--person", typed, "--yes"))
    assert (done["deleted"]["people"], NamedPeople(gallery).names()) == (1, [])


def test_ranks_stay_when_a_hit_is_forgotten(command, gallery: Path, photos: Path, tmp_path: Path) -> None:
    session = tmp_path / "s.json"
    words = ("-q", photos / "a.png", "-g", gallery, "-m", "m", "--save-as", "Ana", "--per", "person")
    hits = record(command("search", *words, "--session", session))["hits"]
    record(command("forget", "-g", gallery, "--detection", hits[0]["detection"], "--yes"))
    for search in (("--session", session), ("--person", "Ana")):
        ended = command("refine", "-g", gallery, *search, "--yes", "1")
        assert (ended.code, len(ended.errors)) == (4, 1)
        assert "hit 1 is not in the gallery any more" in ended.errors[0]
    ended = command("refine", "-g", gallery, "--session", session, "--no", "2")
    assert record(ended)["examples"][-1]["detection"] == hits[1]["detection"]
    assert f"no  rank 2 = {hits[1]['picture']}" in ended.err


def test_a_session_brings_nobody_back(command, gallery: Path, photos: Path, tmp_path: Path) -> None:
    session = tmp_path / "s.json"
    words = ("-q", f"{elsewhere(photos, tmp_path)}:60,10,20,60", "-g", gallery, "-m", "m")
    for remove in (("person", "remove", "Ana"), ("forget", "--person", "Ana", "--yes")):
        record(command("search", *words, "--save-as", "Ana", "--session", session))
        record(command(*remove, "-g", gallery))
        ended = command("refine", "-g", gallery, "--session", session, "--yes", "1")
        assert len(record(ended)["examples"]) == 2
        assert "nobody is called Ana any more" in ended.err
        assert NamedPeople(gallery).names() == []
        assert json.loads(session.read_text())["saved"] is None
    record(command("refine", "-g", gallery, "--session", session, "--no", "1", "--save-as", "Ana"))
    assert NamedPeople(gallery).names() == ["Ana"]


def test_no_example_is_kept_where_nobody_is_found(
    command, gallery: Path, photos: Path, tmp_path: Path
) -> None:
    seen = f"{elsewhere(photos, tmp_path)}:60,10,20,60"
    record(command("person", "add", "Ana", "-g", gallery, "-q", seen, "-m", "m"))
    ended = command("forget", "-g", gallery, "--person", "Ana", "--keep-example", "-0.01", "--yes")
    assert (ended.code, ended.out, len(ended.errors)) == (2, "", 1)
    assert NamedPeople(gallery).names() == ["Ana"]


def test_the_preview_of_forgetting_names_everybody(command, gallery: Path, photos: Path) -> None:
    with Gallery.open(gallery, writable=True) as opened:
        place = opened.place(photos / "twice.png")
        assert place is not None
        boxes = [[0, 0, 20, 60], [1, 1, 21, 61]]
        twice = Detections(boxes, [0.9, 0.2], np.ones((2, opened.dim), np.float32))
        opened.add_picture(FileState(place=place, size=1, mtime_ns=1, sha256="twice"), twice)
        opened.flush()
        first = next(iter(opened.alike(np.ones(opened.dim), -1e-6, fingerprint=opened.fingerprint)))[0]
    shown = record(command("forget", "-g", gallery, "--detection", first))
    done = record(command("forget", "-g", gallery, "--detection", first, "--yes"))
    assert [one["detection"] for one in shown["people"]] == done["detections"]
    assert len(done["detections"]) == 2


def test_a_page_that_fails_costs_no_hits(command, gallery: Path, photos: Path, tmp_path: Path) -> None:
    seen = elsewhere(photos, tmp_path)
    record(command("person", "add", "Ana", "-g", gallery, "-q", f"{seen}:60,10,20,60", "-m", "m"))
    seen.unlink()
    for words in (("search",), ("refine", "--yes-detection", "1")):
        ended = command(*words, "--person", "Ana", "-g", gallery, "--html", tmp_path / "x.html")
        assert ended.code != 0
        assert names(json.loads(ended.out))
        assert not (tmp_path / "x.html").exists()


def test_a_hit_in_a_table_has_its_number(command, gallery: Path, photos: Path) -> None:
    words = ("search", "-q", photos / "a.png", "-g", gallery, "-m", "m")
    rows = csv.DictReader(io.StringIO(command(*words, "--format", "csv").out))
    expected = [str(hit["detection"]) for hit in record(command(*words))["hits"]]
    assert [row["detection"] for row in rows] == expected


def test_what_is_said_now_counts_and_not_its_opposite(command, gallery: Path) -> None:
    ended = command("search", "--detection", "1", "--not-detection", "1", "-g", gallery)
    assert (ended.code, ended.out, len(ended.errors)) == (2, "", 1)
    assert "number 1 is named as the person and as somebody else" in ended.errors[0]
    record(command("person", "add", "Ana", "-g", gallery, "--detection", "1", "--not-detection", "3"))
    said = record(command("search", "--person", "Ana", "--detection", "3", "-g", gallery, "--save-as", "Ana"))
    assert sorted((e["detection"], e["right"]) for e in said["examples"]) == [(1, True), (3, True)]
    assert all(e.right for e in NamedPeople(gallery).load("Ana").examples)
    assert command("search", "--person", "Ana", "--not-detection", "1", "-g", gallery).code == 0


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    path = tmp_path / "pairs.csv"
    path.write_text("similarity,same\n" + "".join(f"{-0.05 * i},{int(i < 5)}\n" for i in range(20)) + "0,0\n")
    return path


def test_calibrate_gives_probabilities_and_a_verdict(
    command, gallery: Path, photos: Path, pairs: Path
) -> None:
    words = ("search", "-q", photos / "a.png", "-g", gallery, "-m", "m")
    before = record(command(*words))
    assert (before["verdict"], before["hits"][0]["probability"]) == (None, None)
    done = record(command("calibrate", "-g", gallery, "--pairs", pairs))
    assert (done["right"], done["wrong"], done["error_before"], done["says_absent"]) == (5, 16, None, False)
    after = record(command(*words))
    chances = [hit["probability"] for hit in after["hits"]]
    assert 1 >= chances[0] > chances[1] > 0
    curve = Calibration.from_json(json.loads((gallery / "own-calibration.json").read_text()))
    alike = np.array([hit["similarity"] for hit in after["hits"]])
    others = 3  # of the four, one is in the query's picture
    assert chances == pytest.approx(hit_probabilities(curve, alike, others).tolist(), rel=1e-5)
    assert after["verdict"] == judge(curve, alike, others).verdict == "likely"
    table = command(*words, "--format", "table").out
    assert f"verdict  {after['verdict']}; 3 of 4 people compared" in table
    narrow = record(command(*words, "--path", "c.png"))
    assert narrow["hits"][0]["probability"] == chances[1]  # nobody is more probable for being alone
    ended = command(*words, "--camera", "nroth", "--format", "table")
    assert "verdict  unsure; 0 of 4 people compared" in ended.out
    assert "warning: nobody in" in ended.err
    assert "nroth" in ended.err
    assert record(command("calibrate", "-g", gallery, "--reset"))["reset"]
    assert record(command(*words))["verdict"] is None


def test_calibrate_on_judged_hits(command, gallery: Path, photos: Path, pairs: Path) -> None:
    record(command("calibrate", "-g", gallery, "--pairs", pairs))
    ended = command("calibrate", "-g", gallery, "--reviewed")
    assert (ended.code, ended.out) == (4, "")
    command("search", "-q", photos / "a.png", "-g", gallery, "-m", "m", "--save-as", "Ana")
    record(command("refine", "-g", gallery, "--person", "Ana", "--yes", "1", "--no", "2"))
    done = record(command("calibrate", "-g", gallery, "--reviewed"))
    assert (done["source"], done["right"], done["wrong"]) == ("reviewed", 1, 1)


def test_calibrate_refuses(command, gallery: Path, pairs: Path, tmp_path: Path) -> None:
    for code, words in (
        (2, ()),
        (2, ("--pairs", pairs, "--reset")),
        (4, ("--pairs", tmp_path / "none.csv")),
        (4, ("--pairs", pairs, "--write-model", tmp_path)),
    ):
        ended = command("calibrate", "-g", gallery, *words)
        assert (ended.code, ended.out, len(ended.errors)) == (code, "", 1), words
    assert not (gallery / "own-calibration.json").exists()


def test_the_models_folder_gets_it_too(
    command, gallery: Path, pairs: Path, tmp_path: Path, monkeypatch
) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    for name in ("config.json", "model.safetensors"):
        (folder / name).write_text("x")
    ended = command("calibrate", "-g", gallery, "--pairs", pairs, "--write-model", folder)
    assert (ended.code, len(ended.errors)) == (5, 1)  # the gallery is another model's
    monkeypatch.setattr("personsearch.model.checkpoint.fingerprint_of", lambda folder: "rectangles-1")
    record(command("calibrate", "-g", gallery, "--pairs", pairs, "--write-model", folder))
    written = [
        json.loads(path.read_text())
        for path in (folder / "calibration.json", gallery / "own-calibration.json")
    ]
    assert written[0] == written[1]
    assert Calibration.from_json(written[0]).method == "platt"


def test_a_readonly_gallery_is_asked_all_the_same(
    command: Callable, gallery: Path, photos: Path, monkeypatch
) -> None:
    import errno
    import os

    command("search", "-q", photos / "a.png", "-g", gallery, "-m", "m", "--save-as", "Ana")

    def refuse(path: Path) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr("personsearch.gallery.named.WriterLock", refuse)
    ended = command("search", "--person", "Ana", "-g", gallery)
    assert names(record(ended)) == ["b.png", "c.png"]
    assert "cannot be judged by rank later" in ended.err
    ended = command("search", "--person", "Ana", "-g", gallery, "--save-as", "Ben")
    assert (ended.code, ended.out, len(ended.errors)) == (1, "", 1)
