"""PRW's layout written by us: read -> write -> read is the identity, and others can read it too."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.io import loadmat

from personsearch.datasets.prw import Coordinates, Prw
from personsearch.datasets.prw_writer import prw_names, write_prw
from personsearch.errors import DatasetError
from personsearch.types import UNLABELLED, Query, Scene

HALVES = ("train", "test")


def make_world(rng: np.random.Generator) -> dict[str, Any]:
    """Arguments of the writer: fractional boxes, some off the edge, the same person twice, empty frames."""

    def half(prefix: str, people: int, least: int) -> list[Scene]:
        scenes = []
        for i in range(int(rng.integers(least, least + 3))):
            n = int(rng.integers(0, 5))
            corner = rng.uniform(-20, 1900, (n, 2))
            boxes = np.concatenate([corner, corner + rng.uniform(1, 400, (n, 2))], axis=1)
            who = rng.integers(UNLABELLED, people, n) if people else np.full(n, UNLABELLED)
            camera = str(rng.integers(1, 7))
            scenes.append(Scene(f"c{camera}{prefix}_{i:06d}.jpg", boxes=boxes, people=who, camera=camera))
        return scenes

    train, test = half("s1", int(rng.integers(0, 4)), 0), half("s2", int(rng.integers(0, 4)), 1)
    found = [
        Query(scene.name, box, int(person))
        for scene in test
        for box, person in zip(scene.boxes, scene.people, strict=True)
        if person != UNLABELLED
    ]
    chosen = rng.permutation(len(found))[: int(rng.integers(0, 5))].tolist()
    queries = [replace(found[i], box=found[i].box + np.float32(0.125)) for i in chosen]
    return {"train": train, "test": test, "queries": queries}


def world(data: Prw) -> dict[str, Any]:
    """What the writer needs to write ``data`` again."""
    ids = {f"{split}_ids": data.raw_ids(split).tolist() for split in HALVES}
    return {**{split: data.scenes(split) for split in HALVES}, "queries": data.queries(), **ids}


def files_of(root: Path) -> dict[Path, bytes]:
    return {p.relative_to(root): p.read_bytes() for p in root.rglob("*") if p.is_file()}


def same(a: dict[str, Any], b: dict[str, Any]) -> None:
    """Everything that the layout has room for is equal; people by their ids."""
    for split in HALVES:
        assert [s.name for s in a[split]] == [s.name for s in b[split]]
        assert [s.camera for s in a[split]] == [s.camera for s in b[split]]
        raw = [np.append(np.array(one[f"{split}_ids"], int), -2) for one in (a, b)]
        for one, other in zip(a[split], b[split], strict=True):
            np.testing.assert_array_equal(one.boxes, other.boxes)
            np.testing.assert_array_equal(raw[0][one.people], raw[1][other.people])
    assert [q.scene for q in a["queries"]] == [q.scene for q in b["queries"]]
    assert [a["test_ids"][q.person] for q in a["queries"]] == [b["test_ids"][q.person] for q in b["queries"]]
    for mine, yours in zip(a["queries"], b["queries"], strict=True):
        np.testing.assert_array_equal(mine.box, yours.box)


@given(st.integers(0, 100_000), st.sampled_from(["official", "exact"]))
@settings(max_examples=12, deadline=None)
def test_written_then_read_is_the_same(seed: int, coordinates: Coordinates) -> None:
    rng = np.random.default_rng(seed)
    made = make_world(rng)
    made |= {"train_ids": (rng.permutation(900)[:4]).tolist(), "test_ids": rng.permutation(900)[:4].tolist()}
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_prw(root / "a", **made)
        exact = Prw(root / "a", coordinates="exact")
        same(world(exact), made)
        read = Prw(root / "a", coordinates=coordinates)
        write_prw(root / "b", **world(read))
        again = Prw(root / "b", coordinates=coordinates)
        same(world(again), world(read))
        for split in HALVES:  # the numbers too, not only the ids behind them
            assert again.raw_ids(split).tolist() == read.raw_ids(split).tolist()
            for one, other in zip(again.scenes(split), read.scenes(split), strict=True):
                np.testing.assert_array_equal(one.people, other.people)
        write_prw(root / "c", **world(again))
        assert files_of(root / "b") == files_of(root / "c")


def test_numbers_without_ids_stay_where_queries_come_in_their_order(tmp_path: Path) -> None:
    boxes = [[0, 0, 5, 9], [9, 9, 20, 40], [30, 30, 50, 90]]
    test = [Scene("c1s1_1.jpg", boxes=boxes, people=[1, 0, 2], camera="1")]
    train = [Scene("c2s1_1.jpg", boxes=boxes, people=[2, -1, 0], camera="2")]
    queries = [Query("c1s1_1.jpg", boxes[1], 0), Query("c1s1_1.jpg", boxes[0], 1)]
    write_prw(tmp_path, train=train, test=test, queries=queries)
    data = Prw(tmp_path)
    assert (data.raw_ids("test").tolist(), data.raw_ids("train").tolist()) == ([1, 2, 3], [4, 5, 6])
    assert data.scenes("test")[0].people.tolist() == [1, 0, 2]
    assert data.scenes("train")[0].people.tolist() == [2, -1, 0]
    assert (data.listed_ids("test"), data.listed_ids("train")) == ((1, 2), (4, 5, 6))


def test_the_files_look_like_the_official_ones(tmp_path: Path) -> None:
    scene = Scene("c1s1_000151.jpg", boxes=[[0.5, 1, 10, 20], [3, 3, 9, 9]], people=[0, -1], camera="1")
    other = Scene("c2s1_000001.jpg", camera="2")
    write_prw(tmp_path, train=[other], test=[scene], queries=[Query(scene.name, scene.boxes[0], 0)])
    assert (tmp_path / "frames").is_dir()
    assert (tmp_path / "query_info.txt").read_bytes() == b"1 0.5 1 9.5 19 c1s1_000151\r\n"
    names = loadmat(tmp_path / "frame_test.mat")["img_index_test"]
    assert (names.shape, str(names[0][0][0])) == ((1, 1), "c1s1_000151")
    table = loadmat(tmp_path / "annotations" / "c1s1_000151.jpg.mat")["box_new"]
    assert (table.dtype, table.tolist()) == (np.float64, [[1, 0.5, 1, 9.5, 19], [-2, 3, 3, 6, 6]])
    assert loadmat(tmp_path / "annotations" / "c2s1_000001.jpg.mat")["box_new"].shape == (0, 5)
    assert loadmat(tmp_path / "ID_test.mat")["ID_test2"].tolist() == [[1]]
    assert loadmat(tmp_path / "ID_train.mat")["ID_train"].size == 0


def test_equal_data_are_equal_bytes_and_an_interrupted_set_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make_world(np.random.default_rng(7))
    write_prw(tmp_path / "a", **made)
    whole = files_of(tmp_path / "a")
    assert all(b"Created on" not in content[:116] for content in whole.values())

    def interrupt(path: Path, content: bytes) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("personsearch.datasets.prw_writer.write_bytes", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_prw(tmp_path / "a", **made)
    with pytest.raises(DatasetError, match=r"frame_test\.mat is missing"):
        Prw(tmp_path / "a").scenes("test")
    monkeypatch.undo()
    write_prw(tmp_path / "a", **made)
    assert files_of(tmp_path / "a") == whole


def test_names_beyond_ascii_survive(tmp_path: Path) -> None:
    scene = Scene("c1s1_Straße駅.jpg", boxes=[[0, 0, 5, 9]], people=[0], camera="1")
    write_prw(tmp_path, train=[], test=[scene], queries=[Query(scene.name, scene.boxes[0], 0)])
    data = Prw(tmp_path)
    assert [data.scenes("test")[0].name, data.queries()[0].scene] == [scene.name, scene.name]


BOX = [0, 0, 5, 9]
GOOD = Scene("c1s1_1.jpg", boxes=[BOX], people=[0], camera="1")
REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"test": [GOOD, GOOD]}, r"two scenes are called c1s1_1\.jpg"),
    ({"train": [GOOD]}, r"two scenes are called c1s1_1\.jpg"),
    ({"test": [replace(GOOD, name="c1s1_1.png")]}, "cannot be the name of a frame"),
    ({"test": [replace(GOOD, name="../c1s1_1.jpg")]}, "cannot be the name of a frame"),
    ({"test": [replace(GOOD, name="c1s1 1.jpg")]}, "cannot be the name of a frame"),
    ({"test": [replace(GOOD, camera="2")]}, r"c1s1_1\.jpg does not say camera 2"),
    ({"test": [replace(GOOD, camera=None)]}, r"c1s1_1\.jpg does not say camera None"),
    ({"test": [replace(GOOD, ignore=[True])]}, "ignored boxes"),
    ({"test": [replace(GOOD, boxes=[[0, 0, np.nan, 9]])]}, "not finite"),
    ({"test": [replace(GOOD, boxes=[[0, 0, 1e9, 9]])]}, "beyond any picture"),
    ({"test": [replace(GOOD, people=[-7])]}, "test identity -7 has no id"),
    ({"test_ids": []}, "test identity 0 has no id among the 0 given"),
    ({"test_ids": [4, 4]}, "not different whole numbers"),
    ({"train_ids": [-2]}, "not different whole numbers"),
    ({"queries": [Query("c1s1_2.jpg", BOX, 0)]}, r"person 0 in c1s1_2\.jpg"),
    ({"queries": [Query("c1s1_1.jpg", BOX, 1)]}, r"person 1 in c1s1_1\.jpg"),
    ({"queries": [Query("c1s1_1.jpg", BOX)]}, "test identity -1 has no id"),
    ({"queries": [Query("c1s1_1.jpg", [5, 0, 5, 9], 0)]}, "an empty box"),
]


@pytest.mark.parametrize(("change", "match"), REFUSED)
def test_what_the_layout_cannot_hold_is_refused(tmp_path: Path, change: dict[str, Any], match: str) -> None:
    with pytest.raises(DatasetError, match=match):
        write_prw(tmp_path / "new", **{"train": [], "test": [GOOD], "queries": [], **change})
    assert not (tmp_path / "new").exists()


def test_names_are_made_for_any_cameras() -> None:
    scenes = [Scene(f"p{i}.png", camera=camera) for i, camera in enumerate("313")]
    assert list(prw_names(scenes).values()) == ["c3s1_000001.jpg", "c1s1_000001.jpg", "c3s1_000002.jpg"]
    many = prw_names([Scene(f"p{i}", camera=f"street {i:02d}") for i in range(11)])
    assert (many["p0"], many["p10"]) == ("c1s1_000001.jpg", "c11s1_000001.jpg")
    with pytest.raises(DatasetError, match="p0 does not say its camera"):
        prw_names([Scene("p0")])
    with pytest.raises(DatasetError, match="two scenes are called p0"):
        prw_names([Scene("p0", camera="1"), Scene("p0", camera="2")])
