"""``personsearch dataset check | stats | convert | view | protocol`` as a user and a pipe meet them."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from personsearch.datasets.coco_writer import write_coco
from personsearch.datasets.findings import RULES
from personsearch.images import encode_jpeg
from personsearch.types import UNLABELLED, Scene

VERBS = ("check", "stats", "convert", "view", "protocol")
DOCUMENT = Path(__file__).parents[2] / "docs" / "datasets.md"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Six test pictures with three people, two train pictures with one, in COCO form."""
    folder = tmp_path / "mine"
    rng = np.random.default_rng(0)

    def scene(name: str, people: list[int]) -> Scene:
        path = folder / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode_jpeg(rng.integers(0, 255, (90, 120, 3), np.uint8)))
        boxes = [[5 + 30 * k, 10, 25 + 30 * k, 50 + 10 * k] for k in range(len(people))]
        return Scene(name, path=path, size=(120, 90), boxes=boxes, people=people, camera="1")

    train = [scene(f"a{i}.jpg", [0, UNLABELLED]) for i in range(2)]
    test = [scene(f"b{i}.jpg", [i % 3, UNLABELLED]) for i in range(6)]
    write_coco(folder, train=train, test=test)
    return folder


def one(ended: Any, code: int = 0) -> dict[str, Any]:
    assert ended.code == code, ended.err
    (line,) = ended.out.splitlines()
    record: dict[str, Any] = json.loads(line)
    return record


def refused(ended: Any, code: int, said: str) -> None:
    """One line of error and one of hint, nothing on standard output."""
    lines = [line for line in ended.err.splitlines() if line.startswith(("error: ", "hint: "))]
    assert (ended.code, ended.out) == (code, "")
    assert [line.split(":")[0] for line in lines] == ["error", "hint"]
    assert said in lines[0]


@pytest.mark.parametrize("verb", VERBS)
def test_help_has_examples_with_options_that_exist(command, verb: str) -> None:
    ended = command("dataset", verb, "--help")
    examples = re.findall(rf"^ +(personsearch dataset {verb}.*)$", ended.out, re.M)
    assert len(examples) >= 3
    for example in examples:
        for word in shlex.split(example):
            if word.startswith("-"):
                assert re.search(rf"(^|[ ,/]){word}\b", ended.out, re.M), f"{example}: {word}"


def test_check_of_a_right_copy(command, root: Path) -> None:
    record = one(command("dataset", "check", "--dataset", "coco", "--root", root, "--pictures"))
    assert record["schema"] == "personsearch.dataset-check/1"
    assert (record["right"], record["errors"], record["findings"]) == (True, 0, [])
    assert (record["counts"]["test_pictures"], record["pictures"], record["published"]) == (6, "whole", False)
    ended = command("dataset", "check", "--dataset", "coco", "--root", root, "--format", "table")
    assert ended.out.splitlines()[-1] == "right: 0 kinds of errors, 0 of warnings, 0 of notes"
    assert "headers only; --pictures decodes" in ended.out
    assert "reading headers: 8 done" in ended.err
    assert command("dataset", "check", "--dataset", "coco", "--root", root, "--progress", "none").err == ""


def test_check_of_a_wrong_copy_ends_with_4_after_its_report(command, root: Path) -> None:
    (root / "images" / "b3.jpg").unlink()
    (root / "images" / "b4.jpg").write_bytes(b"nothing")
    ended = command("dataset", "check", "--dataset", "coco", "--root", root)
    record = one(ended, 4)
    assert not record["right"]
    assert [finding["rule"] for finding in record["findings"]] == ["missing-picture", "unreadable-picture"]
    assert record["findings"][0]["count"] == 1
    assert "b3.jpg" in record["findings"][0]["examples"][0]
    assert ended.errors == [
        f"error: {root} is not right: pictures that are missing (1), and 1 more kind of errors"
    ]
    table = command("dataset", "check", "--dataset", "coco", "--root", root, "--format", "table")
    assert table.code == 4
    assert table.out.splitlines()[3].split() == ["weight", "number", "what", "where"]
    assert command("dataset", "check", "--dataset", "coco", "--root", root, "--no-pictures").code == 0
    refused(command("dataset", "check", "--dataset", "coco", "--root", root, "--official"), 2, "published")


def test_stats_as_json_table_and_figure(command, root: Path, tmp_path: Path) -> None:
    png = tmp_path / "figures" / "heights.png"
    words = ("dataset", "stats", "--dataset", "coco", "--root", root)
    record = one(command(*words, "--png", png))
    assert record["schema"] == "personsearch.dataset-stats/1"
    assert [group["split"] for group in record["groups"]] == ["both", "train", "test"]
    both = record["groups"][0]
    assert (both["pictures"], both["identities"], both["boxes"], both["background_a_picture"]) == (
        8,
        4,
        16,
        1,
    )
    assert both["heights"]["identity"]["q50"] == 40
    assert sum(both["heights"]["background"]["counts"]) == both["background"] == 8
    with Image.open(png) as picture:
        assert picture.size == (1920, 540)
    table = command(*words, "--format", "table").out.splitlines()
    assert table[1].split()[:5] == ["half", "pictures", "identities", "boxes", "with"]
    assert table[2].split()[:4] == ["both", "8", "4", "16"]
    sources = tmp_path / "sources.txt"
    sources.write_text("b0.jpg street\nb1.jpg movie\n\n")
    record = one(command(*words, "--sources", sources, "--min-height", "45"))
    assert {(g["split"], g["source"]): g["pictures"] for g in record["groups"]}[("test", "unknown")] == 4
    assert record["groups"][0]["labelled"] == 0


@pytest.mark.parametrize("text", ["b0.jpg\n", "b0.jpg street\nb0.jpg movie\n", "b9.jpg street\n", "\0\xff"])
def test_odd_sources_are_named(command, root: Path, tmp_path: Path, text: str) -> None:
    path = tmp_path / "sources.txt"
    path.write_bytes(text.encode("latin-1"))
    ended = command("dataset", "stats", "--dataset", "coco", "--root", root, "--sources", path)
    assert (ended.code, len(ended.errors), ended.out) == (4, 1, "")


def test_convert_says_what_it_would_lose_and_goes_on_when_allowed(
    command, root: Path, tmp_path: Path
) -> None:
    words = ("dataset", "convert", "--dataset", "coco", "--root", root, "--to", "cuhk-sysu")
    out = tmp_path / "out"
    ended = command(*words, "--out", out)
    refused(ended, 4, "cuhk-sysu cannot hold one kind of thing")
    assert "cuhk-sysu cannot hold 8 pictures with a camera: it is forgotten" in ended.err.splitlines()
    assert not out.exists()
    record = one(command(*words, "--out", out, "--lossy", "--link"))
    assert record["schema"] == "personsearch.dataset-convert/1"
    assert record["lost"] == [{"count": 8, "what": "pictures with a camera: it is forgotten"}]
    assert record["counts"]["test_identities"] == 3
    assert one(command("dataset", "check", "--dataset", "cuhk-sysu", "--root", out))["right"]
    refused(command(*words, "--out", out, "--lossy"), 2, "is not empty")
    ended = command(*words, "--out", tmp_path / "bare", "--lossy", "--no-pictures", "--format", "table")
    assert ended.out.splitlines()[-1].startswith("next: personsearch dataset check --dataset cuhk-sysu")
    refused(command(*words, "--out", tmp_path / "x", "--link", "--no-pictures"), 2, "contradict")


def test_view_of_scenes_and_people(command, root: Path, tmp_path: Path) -> None:
    words = ("dataset", "view", "--dataset", "coco", "--root", root)
    record = one(command(*words, "--out", tmp_path / "sheet.png", "-n", "3"))
    assert record["schema"] == "personsearch.dataset-view/1"
    assert record["scenes"] == ["b0.jpg", "b2.jpg", "b5.jpg"]  # evenly, from the first to the last
    with Image.open(tmp_path / "sheet.png") as picture:
        assert picture.size == (record["width"], record["height"])
    record = one(command(*words, "--out", tmp_path / "p.png", "--people", "2,0", "--people", "0"))
    assert (record["people"], record["scenes"]) == ([2, 0], ["b0.jpg", "b2.jpg", "b3.jpg", "b5.jpg"])
    scenes = ("--split", "train", "--scene", "a1.jpg", "--scene", "a0.jpg")
    assert one(command(*words, "--out", tmp_path / "s.png", *scenes))["scenes"] == ["a1.jpg", "a0.jpg"]


def test_protocol_writes_a_benchmark_that_checks_as_right(command, root: Path, tmp_path: Path) -> None:
    words = ("dataset", "protocol", "--dataset", "coco", "--root", root, "--seed", "3", "--gallery-size", "4")
    record = one(command(*words, "--out", tmp_path / "bench"))
    assert record["schema"] == "personsearch.dataset-protocol/1"
    assert (record["seed"], record["gallery_sizes"], record["queries"]) == (3, [4], 3)
    assert (record["train_pictures"], record["test_pictures"]) == (2, 6)
    assert one(command("dataset", "check", "--dataset", "coco", "--root", tmp_path / "bench"))["right"]
    again = command(*words, "--out", tmp_path / "again", "--no-pictures")
    assert one(again)["queries"] == 3
    for file in ("annotations.json", "protocols/gallery_4.json"):
        assert (tmp_path / "bench" / file).read_bytes() == (tmp_path / "again" / file).read_bytes()
    drawn = one(command(*words, "--out", tmp_path / "drawn", "--resplit", "--to", "cuhk-sysu", "--link"))
    assert drawn["train_identities"] + drawn["test_identities"] == 4
    assert one(command("dataset", "check", "--dataset", "cuhk-sysu", "--root", tmp_path / "drawn"))["right"]
    table = command(*words, "--out", tmp_path / "shown", "--format", "table").out
    assert "next: personsearch dataset check --dataset coco" in table


MINE = ("--dataset", "coco", "--root", "{root}")
SHEET = (*MINE, "--out", "{tmp}/x.png")
NEW = (*MINE, "--out", "{tmp}/x")
HOSTILE: list[tuple[tuple[str, ...], int, str]] = [
    (("check", "--dataset", "cuhk", "--root", "{root}"), 2, "cuhk"),
    (("check", "--dataset", "coco", "--root", "{tmp}/none"), 4, "none"),
    (("check", "--dataset", "prw", "--root", "{root}"), 4, "annotations"),
    (("check", "--dataset", "mot", "--root", "{tmp}/empty"), 4, "empty"),
    (("check", "--dataset", "coco"), 2, "--root"),
    (("stats", "--dataset", "coco", "--root", "{tmp}/empty"), 4, "empty"),
    (("stats", *MINE, "--png", "{tmp}/x.jpg"), 2, ".png"),
    (("stats", *MINE, "--png", "{tmp}/folder.png"), 2, "is a folder"),
    (("convert", *NEW, "--to", "voc"), 2, "voc"),
    (("convert", *MINE, "--to", "coco", "--out", "{root}/x"), 2, "itself"),
    (("view", *SHEET, "--scene", "zz"), 2, "zz"),
    (("view", *SHEET, "--people", "x"), 2, "numbers"),
    (("view", *SHEET, "--people", "77"), 2, "77"),
    (("view", *SHEET, "--people", "0", "--scene", "b0.jpg"), 2, "two sheets"),
    (("view", "--dataset", "coco", "--root", "{broken}", "--out", "{tmp}/x.png"), 4, "b0.jpg"),
    (("view", *MINE, "--out", "{tmp}/folder.png"), 2, "is a folder"),
    (("protocol", *MINE, "--out", "{root}"), 2, "not empty"),
    (("protocol", *NEW, "--test-share", "0"), 2, "share"),
    (("protocol", *NEW, "--test-share", "1"), 2, "has its own"),
]


@pytest.mark.parametrize(("words", "code", "said"), HOSTILE, ids=lambda value: str(value)[:60])
def test_hostile_input_is_one_clear_line(
    command, root: Path, tmp_path: Path, words: tuple[str, ...], code: int, said: str
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "folder.png").mkdir()
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "annotations.json").write_bytes((root / "annotations.json").read_bytes())
    places = {"root": root, "tmp": tmp_path, "broken": broken}
    refused(command("dataset", *(word.format(**places) for word in words)), code, said)
    assert not (tmp_path / "x").exists()
    assert not (tmp_path / "x.png").exists()


def test_help_of_the_group_imports_nothing_slow() -> None:
    lines = [["dataset", "--help"], *(["dataset", verb, "--help"] for verb in VERBS)]
    code = f"""
import sys
from personsearch.cli.main import run
for line in {lines!r}:
    assert run(line) == 0, line
slow = [m for m in ("torch", "lancedb", "cv2", "numpy", "scipy", "PIL", "matplotlib") if m in sys.modules]
assert not slow, slow
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_document_names_every_rule() -> None:
    text = DOCUMENT.read_text()
    assert [rule for rule in RULES if f"`{rule}`" not in text] == []


def test_the_example_files_of_the_document_are_read(command, tmp_path: Path) -> None:
    annotation, protocol = re.findall(r"```json\n(.*?)```", DOCUMENT.read_text(), re.S)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "annotations.json").write_text(annotation)
    words = ("dataset", "check", "--dataset", "coco", "--root", tmp_path / "mine", "--no-pictures")
    record = one(command(*words))
    assert (record["counts"]["queries"], record["counts"]["test_boxes"], record["findings"]) == (1, 3, [])
    images = [{"id": i, "file_name": f"{name}.jpg", "frame": 200 + i} for i, name in enumerate("abc")]
    where = [{"id": i, "image_id": i, "bbox": [100, 50, 60, 180], "person_id": "anna"} for i in range(3)]
    text = json.dumps({"images": images, "annotations": where, "categories": []})
    (tmp_path / "mine" / "annotations.json").write_text(text)
    (tmp_path / "mine" / "protocol.json").write_text(protocol)
    assert one(command(*words))["counts"]["queries"] == 1


def test_the_newcomers_three_commands_of_the_document(command, searcher, tmp_path: Path) -> None:
    pixels = np.full((100, 200, 3), 250, np.uint8)
    pixels[10:70, 10:30] = (220, 30, 30)
    (tmp_path / "mine" / "images").mkdir(parents=True)
    for i in range(3):
        (tmp_path / "mine" / "images" / f"{i}.jpg").write_bytes(encode_jpeg(pixels + np.uint8(i)))
    images = [{"id": i, "file_name": f"{i}.jpg", "width": 200, "height": 100} for i in range(3)]
    where = [
        {"id": i, "image_id": i, "category_id": 1, "bbox": [10, 10, 20, 60], "person_id": "anna"}
        for i in range(3)
    ]
    people = [{"id": 1, "name": "person"}]
    text = json.dumps({"images": images, "annotations": where, "categories": people})
    (tmp_path / "mine" / "annotations.json").write_text(text)
    block = DOCUMENT.read_text().split("## Your own pictures")[1].split("## Video")[0]
    (lines,) = [part for part in re.findall(r"```sh\n(.*?)```", block, re.S) if "dataset protocol" in part]
    places = {"mine", "mine-benchmark", "model"}
    records = []
    for line in lines.splitlines():
        words = [str(tmp_path / word) if word in places else word for word in shlex.split(line)[1:]]
        if "evaluate" in words:
            words += ["--out", str(tmp_path / "scores")]
        ended = command(*words, "--json")
        assert ended.code == 0, ended.err
        records.append(json.loads(ended.out))
    assert (records[1]["train_pictures"], records[1]["test_pictures"], records[1]["queries"]) == (0, 3, 1)
    assert "every picture is a test picture" in records[1]["notes"][0]


def test_stats_and_check_count_a_validation_part(command, tmp_path: Path) -> None:
    images = [{"id": i, "file_name": f"{i}.jpg", "split": s} for i, s in enumerate(("train", "val", "test"))]
    where = [{"id": i, "image_id": i, "bbox": [1, 1, 5, 9], "person_id": i} for i in range(3)]
    text = json.dumps({"images": images, "annotations": where, "categories": []})
    (tmp_path / "annotations.json").write_text(text)
    words = ("--dataset", "coco", "--root", tmp_path)
    groups = one(command("dataset", "stats", *words))["groups"]
    assert [(g["split"], g["pictures"]) for g in groups] == [
        ("both", 2),
        ("train", 1),
        ("test", 1),
        ("val", 1),
    ]
    checked = command("dataset", "check", *words, "--no-pictures", "--format", "table")
    assert "val: 1 pictures, 1 boxes (1 of 1 known people)" in checked.out
