"""The JSON form: a protocol by hand, any searches there and back, oddities, the real ones."""

from __future__ import annotations

import copy
import json
import tempfile
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from personsearch.datasets.coco import CocoPersons
from personsearch.datasets.coco_writer import write_coco
from personsearch.datasets.protocol_file import read_protocol_file, write_protocol_file
from personsearch.datasets.protocol_trials import Pictures, protocol_trials
from personsearch.datasets.searches import list_searches
from personsearch.errors import DatasetError, UsageError
from personsearch.types import Query, Scene, Trials

DEVELOPMENT = Path(__file__).resolve().parents[3] / "shared" / "realdata" / "search_dev"
real = pytest.mark.skipif(not DEVELOPMENT.is_dir(), reason="no real pictures here")

BOX = [[10 * k, 0, 10 * k + 8, 20] for k in range(6)]
SCENES = (
    Scene("a", boxes=BOX[:2], people=[0, 1], camera="x"),
    Scene("b", boxes=BOX[:3], people=[1, 0, -1], visible=[0.2, 0.25, 0.1], camera="y"),
    Scene("c", boxes=BOX[:2], people=[0, 0], ignore=[False, True], camera="x"),
    Scene("d", camera="y"),
)
PICTURES = Pictures(scenes=SCENES, people={"p": 0, "7": 1}, frames={"a": 1, "b": 2, "c": 3, "d": 4})
PROTOCOL: dict[str, Any] = {
    "name": "by hand",
    "gallery": ["a", "b", "c", "d"],
    "queries": [
        {"image": "a", "bbox": [0, 0, 8, 20], "person_id": "p"},
        {"image": "a", "bbox": [10, 0, 8, 20], "person_id": 7, "exclude_frames": [3, 4], "positives": 9},
    ],
}


def entries(trials: Trials) -> list[dict[str, tuple[int, int]]]:
    """Per query the pictures with how many true and ignored boxes."""
    truth, junk = np.diff(trials.truth_ptr).tolist(), np.diff(trials.ignore_ptr).tolist()
    names = [trials.scenes[row] for row in trials.entry_scene.tolist()]
    bounds = zip(trials.entry_ptr[:-1].tolist(), trials.entry_ptr[1:].tolist(), strict=True)
    return [{names[e]: (truth[e], junk[e]) for e in range(*pair)} for pair in bounds]


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., Trials]:
    def go(content: Any = PROTOCOL, **options: Any) -> Trials:
        (tmp_path / "p.json").write_text(json.dumps(content))
        return protocol_trials(read_protocol_file(tmp_path / "p.json"), "t", PICTURES, **options)

    return go


def test_a_protocol_by_hand(read) -> None:
    trials = read()
    assert trials.scenes == ("a", "b", "c", "d")
    assert trials.query_person.tolist() == [0, 1]
    assert trials.query_box.tolist() == [BOX[0], BOX[1]]
    # The person in b is just visible enough, two others are not; in c one of the two boxes is ignored.
    assert entries(trials) == [{"b": (1, 2), "c": (1, 1), "d": (0, 0)}, {"b": (0, 2)}]
    assert trials.truth_box.tolist() == [BOX[1], BOX[0]]


def test_cameras_and_the_full_gallery(read) -> None:
    assert [list(one) for one in entries(read(cameras="same"))] == [["c"], []]
    assert [list(one) for one in entries(read(cameras="other"))] == [["b", "d"], ["b"]]
    few = {**PROTOCOL, "gallery": ["d", "b"]}
    assert [list(one) for one in entries(read(few))] == [["d", "b"], ["b"]], "in the order of the file"
    assert [list(one) for one in entries(read(few, gallery="full"))] == [["b", "c", "d"], ["b"]]


def test_what_is_listed_replaces_the_rule(read) -> None:
    content = copy.deepcopy(PROTOCOL)
    content["ignored"] = {"c": [[1, 2, 3, 4]]}
    content["queries"][0] |= {
        "gallery": [3, "a", 2, 2],
        "truths": [[2, 0, 0, 8, 20], [1, 0, 0, 8, 20], [2, 5, 5, 8, 20]],
    }
    content["queries"][1]["ignored"] = [[1, 0, 0, 5, 5], [3, 9, 9, 1, 1]]
    trials = read(content)
    names = [trials.scenes[row] for row in trials.entry_scene.tolist()]
    assert names == ["d", "a", "c", "c", "b"], "repeats and the own picture are kept, frame 3 is not"
    assert np.diff(trials.truth_ptr).tolist() == [0, 1, 2, 0, 0], (
        "nobody becomes visible by being left out of a list"
    )
    assert trials.truth_box[:3].tolist() == [BOX[0], BOX[0], [5, 5, 13, 25]]
    assert np.diff(trials.ignore_ptr).tolist() == [0, 0, 1, 1, 1]
    assert trials.ignore_box.tolist() == [[1, 2, 4, 6], [1, 2, 4, 6], [0, 0, 5, 5]]


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("queries", [], "has no queries"),
        ("queries", None, "has no queries"),
        ("queries", 5, "queries must be a list"),
        ("queries/0", "a", r"queries\[0\] is not an object"),
        ("queries/0/image", None, r"queries\[0\]: image must be there"),
        ("queries/0/image", "z", r"queries\[0\]: z is no test picture"),
        ("queries/1/person_id", None, r"queries\[1\]: person_id must be there"),
        ("queries/1/person_id", "q", r"queries\[1\]: person_id q is nobody"),
        ("queries/1/bbox", [1, 2, 3], r"queries\[1\]: bbox must be four"),
        ("queries/1/bbox", [1, 2, 0, 5], r"queries\[1\]: bbox must be a box with an inside"),
        ("queries/1/exclude_frames", [1], r"queries\[1\]: exclude_frames must be"),
        ("queries/1/exclude_frames", ["1", 2], r"queries\[1\]: exclude_frames must be"),
        ("queries/1/exclude_frames", [1, 2**70], r"queries\[1\]: exclude_frames must be"),
        ("queries/1/gallery", ["z"], r"gallery names z, which is no test picture"),
        ("queries/1/gallery", [4], r"queries\[1\]: gallery must be a list of names"),
        ("queries/1/gallery", [True], r"queries\[1\]: gallery must be a list of names"),
        ("queries/1/truths", [[4, 0, 0, 1, 1]], r"queries\[1\]: truths\[0\]: place must be a place in its"),
        ("queries/1/truths", [[1, 0, 0, 1]], r"queries\[1\]: truths must be"),
        ("queries/1/truths", [[1, 0, 0, 1, None]], r"queries\[1\]: truths\[0\]: box must be four"),
        ("queries/1/ignored", 3, r"queries\[1\]: ignored must be a list"),
        ("gallery", ["a", "z"], "gallery names z, which is no test picture"),
        ("gallery", [0], "gallery must be a list of names"),
        ("ignored", {"z": []}, "gallery names z"),
        ("ignored", {"a": [[1, 2]]}, "ignored of a, box 0: box must be four"),
        ("ignored", [], "ignored is not an object"),
        ("name", 5, "name must be text"),
    ],
)  # fmt: skip
def test_what_is_odd_is_named_with_query_and_field(read, path: str, value: Any, said: str) -> None:
    content = copy.deepcopy({**PROTOCOL, "ignored": {}})
    at: Any = content
    *steps, last = [int(step) if step.isdigit() else step for step in path.split("/")]
    for step in steps:
        at = at[step]
    at[last] = value
    with pytest.raises(DatasetError, match=rf"p\.json.*{said}") as caught:
        read(content)
    assert caught.value.hint


def test_frames_and_cameras_must_be_known_where_they_matter(tmp_path: Path) -> None:
    (tmp_path / "p.json").write_text(json.dumps(PROTOCOL))
    protocol = read_protocol_file(tmp_path / "p.json")
    pictures = replace(PICTURES, frames={"a": 1, "b": 2})
    with pytest.raises(DatasetError, match=r"queries\[1\]: exclude_frames, but c does not say its frame"):
        protocol_trials(protocol, "t", pictures)
    pictures = replace(PICTURES, scenes=[replace(s, camera=None) for s in SCENES])
    with pytest.raises(UsageError, match="does not say its camera"):
        protocol_trials(protocol, "t", pictures, cameras="same")


def drawn(rng: np.random.Generator) -> tuple[tuple[Scene, ...], Trials]:
    """Scenes, and searches with repeats, own pictures, boxes of no annotation and anything ignored."""
    scenes = tuple(Scene(f"s{k}.jpg", boxes=BOX[:2], people=[2 * k, 2 * k + 1]) for k in range(5))
    count = int(rng.integers(1, 5))
    queries = [Query(f"s{int(k)}.jpg", BOX[0], 2 * int(k)) for k in rng.integers(0, 5, count)]
    kind = int(rng.integers(4))
    galleries = [rng.integers(0, 5, int(rng.integers(0, 7))) for _ in queries]
    if kind == 1:  # everybody in everything but the own picture
        galleries = [np.array([k for k in range(5) if k != int(q.scene[1])]) for q in queries]
    trials = list_searches("drawn", scenes, queries, galleries)
    n = len(trials.entry_scene)

    def boxes(counts: Any, scene: Any = None) -> np.ndarray:
        total = int(counts.sum())
        corner = rng.random((total, 2)).astype(np.float32) * 100
        table = np.concatenate([corner, corner + 1 + rng.random((total, 2)).astype(np.float32) * 50], axis=1)
        return table.astype(np.float32)

    truth = rng.integers(0, 3, n)
    junk = rng.integers(0, 3, n) if kind < 2 else np.zeros(n, np.int64)
    junk_box = boxes(junk)
    if kind == 2:  # the same is ignored wherever a picture stands
        junk = trials.entry_scene.astype(np.int64) % 3
        junk_box = np.array([BOX[k] for c in junk.tolist() for k in range(c)], np.float32).reshape(-1, 4)
    return scenes, replace(
        trials,
        truth_ptr=np.concatenate([[0], np.cumsum(truth)]),
        truth_box=boxes(truth),
        ignore_ptr=np.concatenate([[0], np.cumsum(junk)]),
        ignore_box=junk_box,
    )


@given(st.integers(0, 10**6))
@settings(max_examples=40, deadline=None)
def test_any_searches_are_read_as_they_were_written(seed: int) -> None:
    scenes, trials = drawn(np.random.default_rng(seed))
    numbers = {str(k): k for k in range(10)}
    names = [f"person {k}" for k in range(10)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "p.json"
        for person_names, people in ((None, numbers), (names, {n: k for k, n in enumerate(names)})):
            write_protocol_file(path, trials, rule="drawn", person_names=person_names)
            protocol = read_protocol_file(path)
            assert (protocol.name, protocol.rule) == ("drawn", "drawn")
            again = protocol_trials(protocol, "drawn", Pictures(scenes=scenes, people=people, frames={}))
            for column in fields(Trials):
                np.testing.assert_array_equal(
                    getattr(again, column.name), getattr(trials, column.name), column.name
                )


def test_common_galleries_and_ignored_boxes_are_written_once(tmp_path: Path) -> None:
    scenes = [replace(scene, ignore=np.arange(len(scene)) == 1) for scene in SCENES]
    queries = [Query("a", BOX[0], 0), Query("c", BOX[0], 0)]
    trials = list_searches("t", scenes, queries, [np.array([1, 2, 3]), np.array([0, 1, 3])])
    write_protocol_file(tmp_path / "p.json", trials)
    content = json.loads((tmp_path / "p.json").read_text())
    assert content["gallery"] == ["a", "b", "c", "d"]
    assert set(content["ignored"]) == {"a", "b", "c"}
    assert [set(query) for query in content["queries"]] == [{"image", "bbox", "person_id", "truths"}] * 2


def test_searches_that_the_form_cannot_hold_are_refused(tmp_path: Path) -> None:
    trials = list_searches("t", SCENES, [Query("a", BOX[0], 0)], [np.array([1])])
    nobody = replace(trials, query_person=np.array([-1]))
    with pytest.raises(DatasetError, match="has no identity"):
        write_protocol_file(tmp_path / "p.json", nobody)
    with pytest.raises(DatasetError, match="no query"):
        write_protocol_file(tmp_path / "p.json", list_searches("t", SCENES, [], []))
    with pytest.raises(DatasetError, match="no inside"):
        write_protocol_file(tmp_path / "p.json", replace(trials, query_box=np.zeros((1, 4))))
    assert not list(tmp_path.iterdir())


def test_a_data_set_uses_the_protocols_beside_its_annotation(tmp_path: Path) -> None:
    test = [replace(scene, people=scene.people, visible=None) for scene in SCENES]
    write_coco(tmp_path, test=test)
    queries = [Query("a", BOX[0], 0), Query("a", BOX[1], 1)]
    small = list_searches("s", test, queries, [np.array([2, 3])] * 2)
    write_protocol_file(tmp_path / "protocols" / "gallery_2.json", small)
    dataset = CocoPersons(tmp_path)
    assert dataset.gallery_sizes == (2,)
    assert entries(dataset.trials(2)) == entries(small)
    assert entries(dataset.trials()) == entries(dataset.trials("full")), (
        "no protocol.json: those queries in all"
    )
    assert [list(one) for one in entries(dataset.trials())] == [["b", "c", "d"]] * 2
    write_protocol_file(tmp_path / "protocol.json", list_searches("d", test, queries[:1], [np.array([1])]))
    write_protocol_file(tmp_path / "protocols" / "occlusion.json", small)
    dataset = CocoPersons(tmp_path)
    assert dataset.trials().name == "coco d"
    assert entries(dataset.trials()) == [{"b": (1, 0)}]
    assert dataset.trials("full", cameras="other").name == "coco gallery=full cameras=other"
    assert [list(one) for one in entries(dataset.trials("full", cameras="other"))] == [["b", "d"]]
    assert entries(dataset.subset_trials("occlusion")) == entries(small)
    with pytest.raises(UsageError) as caught:
        dataset.subset_trials("low-resolution")
    assert "it has: full, 2, occlusion" in caught.value.hint


@real
@pytest.mark.parametrize(("name", "queries", "people"), [("pets_s2l1", 16, 7), ("pets_s2l2", 40, 21)])
def test_the_real_protocols_leave_out_frames_and_ignore_boxes(name: str, queries: int, people: int) -> None:
    root = DEVELOPMENT / name
    dataset = CocoPersons(root)
    trials = dataset.trials()
    assert (len(trials), len(np.unique(trials.query_person))) == (queries, people)
    assert trials.name == f"coco {name}_reentry"
    annotation = json.loads((root / "annotations.json").read_text())
    protocol = json.loads((root / "protocol.json").read_text())
    images = {image["id"]: image for image in annotation["images"]}
    in_picture: dict[str, list[dict]] = {image["file_name"]: [] for image in images.values()}
    for one in annotation["annotations"]:
        in_picture[images[one["image_id"]]["file_name"]].append(one)
    frame = {image["file_name"]: image["frame"] for image in images.values()}
    for query, found in zip(protocol["queries"], entries(trials), strict=True):
        first, last = query["exclude_frames"]
        assert set(found) == {n for n in protocol["gallery"] if not first <= frame[n] <= last}
        shown = 0
        for picture, (truth, junk) in found.items():
            hidden = [one["iscrowd"] == 1 or one["visible"] < 0.25 for one in in_picture[picture]]
            mine = [one.get("person_id") == query["person_id"] for one in in_picture[picture]]
            assert junk == sum(hidden)
            assert truth == sum(m and not h for m, h in zip(mine, hidden, strict=True))
            shown += sum(mine)
        assert shown == query["positives"]
