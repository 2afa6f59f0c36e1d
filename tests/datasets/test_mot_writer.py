"""Sequences that are written and read back."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from personsearch.datasets.mot import MotSequences
from personsearch.datasets.mot_writer import write_mot
from personsearch.errors import DatasetError
from personsearch.types import UNLABELLED, Scene


def same(a: tuple[Scene, ...], b: tuple[Scene, ...]) -> None:
    assert [(s.name, s.size, s.camera) for s in a] == [(s.name, s.size, s.camera) for s in b]
    for one, other in zip(a, b, strict=True):
        for column in ("boxes", "people", "visible", "ignore"):
            np.testing.assert_array_equal(getattr(one, column), getattr(other, column), column)


def half(rng: np.random.Generator, prefix: str, people: int, digits: int) -> tuple[Scene, ...]:
    """Sequences of frames with gaps, in which each of ``people`` occurs."""
    scenes = []
    sizes = {f"c{k}": None if rng.random() < 0.3 else (640, 480 + k) for k in range(int(rng.integers(1, 4)))}
    for camera, size in sizes.items():
        frames = sorted(rng.choice(900, int(rng.integers(1, 5)), replace=False).tolist())
        for frame in frames:
            first = not scenes
            who = [p for p in range(people) if first or rng.random() < 0.5]
            who += [UNLABELLED] * int(rng.integers(0, 3))
            corner = rng.normal(200, 300, (len(who), 2)).round(int(rng.integers(0, 8)))
            side = rng.gamma(1, 60, (len(who), 2)) + 0.01
            scenes.append(
                Scene(
                    f"{prefix}{camera}/img1/{frame:0{digits}d}.jpg",
                    size=size,
                    boxes=np.concatenate([corner, corner + side], axis=1).astype(np.float32),
                    people=np.array(who, np.int64),
                    visible=np.where(rng.random(len(who)) < 0.3, np.nan, rng.random(len(who))),
                    ignore=rng.random(len(who)) < 0.2,
                    camera=camera,
                )
            )
    return tuple(scenes)


@given(st.integers(0, 10**6), st.integers(0, 12), st.sampled_from([3, 6, 8]), st.booleans())
@settings(max_examples=12, deadline=None)
def test_written_then_read_then_written_is_the_same(seed: int, people: int, digits: int, flat: bool) -> None:
    rng = np.random.default_rng(seed)
    train = () if flat else half(rng, "train/", people, digits)
    test = half(rng, "" if flat else "test/", people, digits)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        places = write_mot(root / "a", train=train, test=test)
        assert {name: path.as_posix() for name, path in places.items()} == {
            s.name: s.name for s in (*train, *test)
        }
        read = MotSequences(root / "a")
        same(read.scenes("train"), train)
        same(read.scenes("test"), test)
        assert not set(read.raw_ids("train")) & set(read.raw_ids("test"))
        write_mot(root / "b", train=read.scenes("train"), test=read.scenes("test"))
        files = [
            {p.relative_to(root / name): p.read_bytes() for p in (root / name).rglob("*") if p.is_file()}
            for name in ("a", "b")
        ]
        assert files[0] == files[1]


def test_other_names_become_frames_of_their_camera(tmp_path: Path) -> None:
    box = {"boxes": [[0, 0, 5, 9]], "people": [0]}
    scenes = [Scene("x.PNG", camera="b", **box), Scene("a/y.jpg"), Scene("z.png", camera="b", **box)]
    places = write_mot(tmp_path, train=[Scene("t.jpg", camera="b", **box)], test=scenes)
    assert {name: path.as_posix() for name, path in places.items()} == {
        "t.jpg": "train/b/img1/000001.jpg",
        "x.PNG": "test/b/img1/000001.png",
        "a/y.jpg": "test/sequence/img1/000001.jpg",
        "z.png": "test/b/img1/000002.png",
    }
    assert (tmp_path / "test/b/gt/gt.txt").read_text() == "1,1,1,1,5,9,1,1,-1\n2,1,1,1,5,9,1,1,-1\n"
    assert (tmp_path / "train/b/gt/gt.txt").read_text() == "1,2,1,1,5,9,1,1,-1\n"
    read = MotSequences(tmp_path)
    assert [s.name for s in read.scenes("test")] == sorted(
        path.as_posix() for name, path in places.items() if name != "t.jpg"
    )


def test_boxes_of_many_decimals_come_back(tmp_path: Path) -> None:
    boxes = np.array([[1.2345678e-5, 0.1, 7.1234567, 9.87654321], [1 / 3, -2 / 3, 1e6 / 7, 0.1]], np.float32)
    scene = Scene("c/img1/000001.jpg", boxes=boxes, people=[0, 1], camera="c")
    write_mot(tmp_path, test=[scene])
    np.testing.assert_array_equal(MotSequences(tmp_path).scenes("test")[0].boxes, boxes)
    whole = replace(scene, boxes=[[586.8, 278.11, 629.11, 395.01], [0, 0, 1, 1]])
    write_mot(tmp_path, test=[whole])
    rows = (tmp_path / "c/gt/gt.txt").read_text().splitlines()
    assert rows == ["1,1,587.8,279.11,42.31,116.9,1,1,-1", "1,2,1,1,1,1,1,1,-1"]


def test_what_the_layout_cannot_hold_is_refused(tmp_path: Path) -> None:
    scene = Scene("a.jpg", boxes=[[0, 0, 5, 9], [1, 1, 4, 4]], people=[0, 0], camera="c")
    for bad, said in (
        ([scene], "holds a person twice"),
        ([replace(scene, people=[0, 1], camera="../c")], "camera"),
        ([replace(scene, people=[0, 1], camera="..")], "not a name inside"),
        ([replace(scene, people=[0, 1], boxes=[[0, 0, 0, 9], [1, 1, 4, 4]])], "no inside"),
        ([Scene("a.jpg", size=(4, 5)), Scene("b.jpg", size=(5, 5))], "several sizes"),
        ([Scene("a.jpg"), Scene("a.jpg")], "two scenes are called"),
    ):
        with pytest.raises(DatasetError, match=said):
            write_mot(tmp_path, test=bad)
    assert not list(tmp_path.iterdir())
