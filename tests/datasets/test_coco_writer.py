"""What is written is read back: to the bit, for scenes of any kind."""

from __future__ import annotations

import json
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from personsearch.datasets.coco import CocoPersons
from personsearch.datasets.coco_writer import write_coco
from personsearch.errors import DatasetError
from personsearch.types import UNLABELLED, Scene


def same(a: tuple[Scene, ...], b: tuple[Scene, ...]) -> None:
    assert [(s.name, s.size, s.camera, s.time) for s in a] == [(s.name, s.size, s.camera, s.time) for s in b]
    for one, other in zip(a, b, strict=True):
        for column in ("boxes", "people", "visible", "ignore"):
            np.testing.assert_array_equal(getattr(one, column), getattr(other, column), column)


def half(rng: np.random.Generator, prefix: str, count: int, people: int) -> tuple[Scene, ...]:
    """Scenes in which each of ``people`` occurs."""
    scenes = []
    for k in range(count):
        who = [p for p in range(people) if p % count == k or rng.random() < 0.4]
        who += [UNLABELLED] * int(rng.integers(0, 3)) + who[: int(rng.random() < 0.2)]
        rng.shuffle(who)
        corner = rng.normal(200, 300, (len(who), 2)).round(int(rng.integers(0, 8)))
        side = rng.gamma(1, 60, (len(who), 2)) + 0.01
        scenes.append(
            Scene(
                f"{prefix}/{k} ä.jpg" if k % 2 else f"{prefix}{k}.jpg",
                size=(int(rng.integers(1, 4000)), 480) if rng.random() < 0.7 else None,
                boxes=np.concatenate([corner, corner + side], axis=1).astype(np.float32),
                people=np.array(who, np.int64),
                visible=np.where(rng.random(len(who)) < 0.3, np.nan, rng.random(len(who))),
                ignore=rng.random(len(who)) < 0.2,
                camera=f"c{rng.integers(3)}" if rng.random() < 0.5 else None,
                time=float(rng.normal(1e9, 1e6)) if rng.random() < 0.5 else None,
            )
        )
    return tuple(scenes)


@given(st.integers(0, 10**6), st.integers(0, 4), st.integers(1, 5), st.integers(0, 30))
@settings(max_examples=20, deadline=None)
def test_written_then_read_then_written_is_the_same(seed: int, train: int, test: int, people: int) -> None:
    rng = np.random.default_rng(seed)
    scenes = {"train": half(rng, "tr", train, people if train else 0), "test": half(rng, "te", test, people)}
    frames = {s.name: int(rng.integers(1000)) for s in scenes["test"] if rng.random() < 0.5}
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        path = write_coco(root / "a", **scenes, frames=frames)
        read = CocoPersons(root / "a")
        for split in ("train", "test"):
            same(read.scenes(split), scenes[split])
        assert read.frames("test") == frames
        assert not set(read.raw_ids("train")) & set(read.raw_ids("test"))
        again = write_coco(
            root / "b",
            train=read.scenes("train"),
            test=read.scenes("test"),
            person_names={split: read.raw_ids(split).tolist() for split in ("train", "test")},
            frames=read.frames("test"),
        )
        for split in ("train", "test"):
            same(CocoPersons(root / "b").scenes(split), scenes[split])
            assert CocoPersons(root / "b").raw_ids(split).tolist() == read.raw_ids(split).tolist()
        write_coco(root / "c", **scenes, frames=frames)
        assert (root / "c" / path.name).read_bytes() == path.read_bytes()
        assert len(again.read_bytes()) >= len(path.read_bytes())


def test_names_of_people_and_plain_numbers_are_kept(tmp_path: Path) -> None:
    scene = Scene("a.jpg", boxes=[[586.8, 278.11, 629.11, 395.01]], people=[0], visible=[0.7])
    other = Scene("b.jpg", boxes=[[0, 0, 1, 2], [1, 1, 3, 4]], people=[1, 0], ignore=[True, False])
    names = {"train": ["q"], "test": ["p9", "p10"]}
    path = write_coco(tmp_path, train=[scene], test=[other], person_names=names)
    written = json.loads(path.read_text())["annotations"]
    assert written[0]["bbox"] == [586.8, 278.11, 42.31, 116.9]
    assert written[0]["visible"] == 0.7
    assert [one["person_id"] for one in written] == ["q", "p10", "p9"]
    assert [one["iscrowd"] for one in written] == [0, 1, 0]
    assert written[1]["area"] == 2
    plain = json.loads(write_coco(tmp_path, train=[scene], test=[other]).read_text())["annotations"]
    assert [one["person_id"] for one in plain] == [2, 1, 0], "test people first"


@pytest.mark.parametrize(
    ("scene", "said"),
    [
        (Scene("../a.jpg"), "not a name inside"),
        (Scene("b.jpg"), "two scenes are called b.jpg"),
        (Scene("a.jpg", boxes=[[0, 0, 0, 5]], people=[-1]), r"a\.jpg: box .* has no inside"),
        (Scene("a.jpg", boxes=[[0, 0, np.nan, 5]], people=[-1]), r"a\.jpg: box .* has no inside"),
        (Scene("a.jpg", boxes=[[0, 0, 5, 5]], people=[-7]), "person -7 has no name"),
    ],
)
def test_what_the_form_cannot_hold_is_refused(tmp_path: Path, scene: Scene, said: str) -> None:
    with pytest.raises(DatasetError, match=said):
        write_coco(tmp_path, train=[scene], test=[Scene("b.jpg")])
    assert not list(tmp_path.iterdir())


def test_another_coco_reader_reads_it(tmp_path: Path) -> None:
    faster = pytest.importorskip("faster_coco_eval")
    scenes = half(np.random.default_rng(1), "te", 3, 4)
    path = write_coco(tmp_path, test=tuple(replace(scene, size=(640, 480)) for scene in scenes))
    coco = faster.COCO(str(path))
    assert len(coco.getImgIds()) == 3
    assert len(coco.getAnnIds()) == sum(map(len, scenes))
