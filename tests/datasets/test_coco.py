"""COCO JSON with person ids: a case by hand, what each oddity says, and fuzz."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from personsearch.datasets.coco import CocoPersons, rising
from personsearch.datasets.dataset import Dataset
from personsearch.errors import DatasetError, UsageError
from personsearch.types import UNLABELLED

REAL = Path(__file__).resolve().parents[3] / "shared" / "realdata"
real = pytest.mark.skipif(not REAL.is_dir(), reason="no real pictures here")


def box(number: int, image: Any, bbox: list[float], **more: Any) -> dict[str, Any]:
    return {"id": number, "image_id": image, "category_id": 1, "bbox": bbox, **more}


def world() -> dict[str, Any]:
    """Two training and two test pictures; p9 and p10 in test, a in training."""
    return {
        "images": [
            {"id": 1, "file_name": "cam/a.jpg", "width": 640, "height": 480, "split": "train", "camera": "x"},
            {"id": 2, "file_name": "b.jpg", "split": "test", "camera_id": 7, "frame": 12, "time": 100.5},
            {"id": "3", "file_name": "c.jpg", "split": "test"},
            {"id": 4, "file_name": "empty.jpg", "split": "train"},
        ],
        "annotations": [
            box(1, 1, [10, 20, 30.5, 40], person_id="a", visible=0.5),
            box(2, 2, [1, 2, 3, 4], person_id=10, iscrowd=1),
            box(3, 3, [5, 6, 7, 8], person_id="10"),
            box(4, 3, [15, 6, 7, 8], person_id=9.0, attributes={"visible": 0.25, "person_id": 77}),
            box(5, 3, [25, 6, 7, 8], person_id=None, track_id=5),
            box(6, 3, [25, 6, 0, 8], person_id="nobody sees me"),
            box(7, 2, [25, 6, 2, 8], person_id=-1, ignore=1),
        ],
        "categories": [{"id": 1, "name": "Person"}],
    }


def put(root: Path, content: Any, name: str = "annotations.json") -> Path:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return root


def test_a_case_by_hand(tmp_path: Path) -> None:
    dataset = CocoPersons(put(tmp_path, world()))
    assert isinstance(dataset, Dataset)
    assert (dataset.name, dataset.root, dataset.identity_field) == ("coco", tmp_path, "person_id")
    a, empty = dataset.scenes("train")
    b, c = dataset.scenes("test")
    assert [s.name for s in (a, empty, b, c)] == ["cam/a.jpg", "empty.jpg", "b.jpg", "c.jpg"]
    assert (a.path, a.size, a.camera, a.time) == (tmp_path / "cam/a.jpg", (640, 480), "x", None)
    assert (b.path, b.size, b.camera, b.time) == (tmp_path / "b.jpg", None, "7", 100.5)
    assert a.boxes.tolist() == [[10, 20, 40.5, 60]]
    assert (a.people.tolist(), a.visible.tolist(), a.ignore.tolist()) == ([0], [0.5], [False])
    assert len(empty) == 0
    assert dataset.raw_ids("train").tolist() == ["a"]
    assert dataset.raw_ids("test").tolist() == ["9", "10"]
    assert b.people.tolist() == [1, UNLABELLED]
    assert b.ignore.tolist() == [True, True]
    assert c.people.tolist() == [1, 0, UNLABELLED], (
        "a track without a person is nobody; the empty box is gone"
    )
    assert c.visible[1] == 0.25
    assert np.isnan(c.visible[0])
    assert dataset.frames("test") == {"b.jpg": 12}


def test_who_is_who_comes_from_the_first_field_that_occurs(tmp_path: Path) -> None:
    content = world()
    for one in content["annotations"]:
        one.pop("person_id")
        one.pop("attributes", None)
    content["annotations"][0]["object_id"] = "o"
    assert CocoPersons(put(tmp_path, content)).identity_field == "track_id"
    wanted = CocoPersons(tmp_path, identity_field="object_id")
    assert wanted.raw_ids("train").tolist() == ["o"]
    assert wanted.fingerprint != CocoPersons(tmp_path).fingerprint
    content["annotations"][4]["track_id"] = None
    content["annotations"][3]["attributes"] = {"track_id": 3, "occluded": True, "person_id": ""}
    assert CocoPersons(put(tmp_path, content)).raw_ids("test").tolist() == ["3"]
    for one in content["annotations"]:
        for field in ("object_id", "track_id", "attributes"):
            one.pop(field, None)
    nobody = CocoPersons(put(tmp_path, content))
    assert nobody.identity_field is None
    assert all((s.people == UNLABELLED).all() for s in nobody.scenes("test"))
    with pytest.raises(UsageError, match="no field 'name'"):
        CocoPersons(tmp_path, identity_field="name")


def test_numbers_rise_before_text() -> None:
    assert rising({"b", "10", "9", "09", "a", "²"}) == ["09", "9", "10", "a", "b", "²"]


def test_splits(tmp_path: Path) -> None:
    content = world()
    for image in content["images"]:
        del image["split"]
    everything = CocoPersons(put(tmp_path / "none", content))
    assert (len(everything.scenes("train")), len(everything.scenes("test"))) == (0, 4)
    content["images"][0]["split"] = "train"
    with pytest.raises(DatasetError, match=r"images\[1\]: split is missing"):
        CocoPersons(put(tmp_path / "some", content)).scenes("test")
    for image in content["images"]:
        image["split"] = "val" if image["id"] != 1 else "train"
    validated = CocoPersons(put(tmp_path / "val", content))
    assert len(validated.scenes("test")) == len(validated.scenes("val")) == 3
    content["images"][1]["split"] = "test"
    three = CocoPersons(put(tmp_path / "three", content))
    assert [len(three.scenes(split)) for split in ("train", "val", "test")] == [1, 2, 1]
    with pytest.raises(UsageError, match="no split 'query'"):
        three.scenes("query")
    content["images"][1]["split"] = "query"
    with pytest.raises(DatasetError, match=r"images\[1\]: split must be train or val or test, not 'query'"):
        CocoPersons(put(tmp_path / "odd", content)).scenes("test")


def test_a_file_a_split(tmp_path: Path) -> None:
    content = world()
    halves = {"train": [1, 4], "test": [2, "3"]}
    for split, ids in halves.items():
        part = {
            "images": [{**i, "split": split} for i in content["images"] if i["id"] in ids],
            "annotations": [
                a for a in content["annotations"] if a["image_id"] in ids or a["image_id"] == 3 in ids
            ],
            "categories": content["categories"],
        }
        part["annotations"] = [
            a for a in content["annotations"] if str(a["image_id"]) in {str(one) for one in ids}
        ]
        put(tmp_path, part, f"annotations/{split}.json")
    dataset = CocoPersons(tmp_path)
    assert [path.name for path in dataset.files] == ["train.json", "test.json"]
    assert [len(s) for s in dataset.scenes("test")] == [2, 3]
    assert [len(s) for s in dataset.scenes("train")] == [1, 0]
    put(tmp_path, {"images": content["images"][:1]}, "annotations/test.json")
    with pytest.raises(DatasetError, match=r"test\.json: images\[0\]: split must be test"):
        CocoPersons(tmp_path).scenes("test")
    del content["images"][0]["split"]
    put(tmp_path, {"images": content["images"][:1]}, "annotations/test.json")
    with pytest.raises(DatasetError, match=r"test\.json: images\[0\]: file_name cam/a\.jpg is listed twice"):
        CocoPersons(tmp_path).scenes("test")


def test_where_the_annotation_may_lie(tmp_path: Path) -> None:
    put(tmp_path / "a", world(), "instances_default.json")
    put(tmp_path / "a", {"queries": []}, "protocol.json")
    assert len(CocoPersons(tmp_path / "a").scenes("test")) == 2
    assert len(CocoPersons(tmp_path / "a" / "instances_default.json").scenes("test")) == 2
    put(tmp_path / "a", world(), "other.json")
    with pytest.raises(DatasetError, match=r"several annotations: instances_default\.json, other\.json"):
        CocoPersons(tmp_path / "a")
    (tmp_path / "b").mkdir()
    with pytest.raises(DatasetError, match=r"holds no annotations\.json"):
        CocoPersons(tmp_path / "b")


def test_pictures_lie_in_images_or_beside(tmp_path: Path) -> None:
    put(tmp_path, world())
    (tmp_path / "images" / "cam").mkdir(parents=True)
    assert CocoPersons(tmp_path).scenes("test")[0].path == tmp_path / "images" / "b.jpg"
    (tmp_path / "cam").mkdir()
    (tmp_path / "cam" / "a.jpg").touch()
    assert CocoPersons(tmp_path).scenes("test")[0].path == tmp_path / "b.jpg"
    (tmp_path / "images" / "cam" / "a.jpg").touch()
    assert CocoPersons(tmp_path).scenes("test")[0].path == tmp_path / "images" / "b.jpg"
    (tmp_path / "images" / "b.jpg").symlink_to(tmp_path / "cam" / "a.jpg")
    with pytest.raises(DatasetError, match=r"images\[1\]: file_name: 'b\.jpg' leads out"):
        CocoPersons(tmp_path).scenes("test")


def test_which_category_counts(tmp_path: Path) -> None:
    content = world()
    content["categories"] = [{"id": 1, "name": "person"}, {"id": 2, "name": "dog"}]
    content["annotations"][2]["category_id"] = 2
    assert len(CocoPersons(put(tmp_path, content)).scenes("test")[1]) == 2
    content["categories"] = [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]
    with pytest.raises(DatasetError, match="categories are cat, dog, none is person"):
        CocoPersons(put(tmp_path, content)).scenes("test")
    content["categories"] = [{"id": 1, "name": "shopper"}]
    with pytest.raises(DatasetError, match=r"annotations\[2\]: category_id 2 is no category"):
        CocoPersons(put(tmp_path, content)).scenes("test")
    content["annotations"][2]["category_id"] = 1
    assert len(CocoPersons(put(tmp_path, content)).scenes("test")[1]) == 3
    del content["categories"]
    for one in content["annotations"]:
        del one["category_id"]
    assert len(CocoPersons(put(tmp_path, content)).scenes("test")[1]) == 3


def change(path: str, value: Any) -> dict[str, Any]:
    """The world with one value changed; ``path`` like ``images/1/id``."""
    content = world()
    at: Any = content
    *steps, last = [int(step) if step.isdigit() else step for step in path.split("/")]
    for step in steps:
        at = at[step]
    at[last] = value
    return content


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("images", None, r"images must be a list of pictures"),
        ("images", {"a": 1}, r"images must be a list of pictures"),
        ("images/0", 5, r"images\[0\] is not an object but 5"),
        ("images/1/id", 1, r"images\[1\]: id 1 is that of another picture"),
        ("images/1/id", None, r"images\[1\]: id must be"),
        ("images/1/id", [1], r"images\[1\]: id must be"),
        ("images/1/file_name", "cam/a.jpg", r"images\[1\]: file_name cam/a\.jpg is listed twice"),
        ("images/1/file_name", "../b.jpg", r"images\[1\]: file_name: '\.\./b\.jpg' is not a name inside"),
        ("images/1/file_name", "/b.jpg", r"images\[1\]: file_name: '/b\.jpg' is not a name inside"),
        ("images/1/file_name", 5, r"images\[1\]: file_name must be text"),
        ("images/1/file_name", "", r"images\[1\]: file_name must be text"),
        ("images/1/width", 5, r"images\[1\]: height must be"),
        ("images/0/width", -5, r"images\[0\]: width must be"),
        ("images/0/height", 2.5, r"images\[0\]: height must be a whole number, not 2\.5"),
        ("images/1/frame", "x", r"images\[1\]: frame must be"),
        ("images/1/frame", 1e30, r"images\[1\]: frame must be"),
        ("images/1/camera_id", {}, r"images\[1\]: camera_id must be"),
        ("annotations", 3, r"annotations must be a list"),
        ("annotations/2", None, r"annotations\[2\] is not an object"),
        ("annotations/2/image_id", 99, r"annotations\[2\]: image_id 99 is that of no picture"),
        ("annotations/2/category_id", 99, r"annotations\[2\]: category_id 99 is no category"),
        ("annotations/2/bbox", [1, 2, 3], r"annotations\[2\]: bbox must be four finite numbers"),
        ("annotations/2/bbox", None, r"annotations\[2\]: bbox must be four finite numbers"),
        ("annotations/2/bbox", [1, 2, -3, 4], r"annotations\[2\]: bbox has a negative side"),
        ("annotations/2/person_id", {"a": 1}, r"annotations\[2\]: person_id must be"),
        ("annotations/2/person_id", True, r"annotations\[2\]: person_id must be"),
        ("annotations/2/visible", 1.5, r"annotations\[2\]: visible must be a share from 0 to 1, not 1\.5"),
        ("annotations/3/attributes/visible", "all", r"annotations\[3\]: attributes: visible must be"),
        ("annotations/2/iscrowd", "no", r"annotations\[2\]: iscrowd must be 0 or 1"),
        ("categories/0/id", None, r"categories\[0\]: id must be"),
    ],
)
def test_what_is_odd_is_named_with_file_entry_and_field(
    tmp_path: Path, path: str, value: Any, said: str
) -> None:
    put(tmp_path, change(path, value))
    with pytest.raises(DatasetError, match=rf"annotations\.json: {said}") as caught:
        CocoPersons(tmp_path).scenes("test")
    assert caught.value.hint
    assert "\n" not in str(caught.value)


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 5)
    | st.integers()
    | st.floats()
    | st.text(max_size=4)
    | st.sampled_from(["../x", "train", "person", "1", "\ud800", 10**400, [1, 2, 3, 4]]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


def nodes(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(found for key, one in inner for found in nodes(one, (*path, key)))]


PLACES = nodes(world())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz")


@given(st.lists(st.tuples(st.sampled_from(PLACES), anything), min_size=1, max_size=3))
@settings(max_examples=150, deadline=None)
def test_whatever_stands_there_it_is_read_or_refused_in_one_line(folder: Path, changes) -> None:
    content = copy.deepcopy(world())
    for path, value in changes:
        at: Any = {"": content}
        steps = ("", *path)
        try:
            for step in steps[:-1]:
                at = at[step]
            at[steps[-1]] = value
        except (KeyError, IndexError, TypeError):
            continue
        content = at[""] if steps == ("",) else content
    read_or_refuse(put(folder, content))


def read_or_refuse(root: Path) -> None:
    dataset = CocoPersons(root)
    try:
        scenes = (*dataset.scenes("train"), *dataset.scenes("test"))
        for scene in scenes:
            assert np.isfinite(scene.boxes).all()
            assert (scene.boxes[:, 2:] > scene.boxes[:, :2]).all()
        dataset.trials()
    except DatasetError as error:
        assert_helpful(error)


def assert_helpful(error: DatasetError) -> None:
    assert "\n" not in str(error)
    assert error.hint


@given(st.integers(0, 2000), st.integers(0, 255))
@settings(max_examples=40, deadline=None)
def test_half_a_file_or_another_byte(folder: Path, at: int, byte: int) -> None:
    content = json.dumps(world()).encode()
    for broken in (content[:at], content[:at] + bytes([byte]) + content[at + 1 :]):
        (folder / "annotations.json").write_bytes(broken)
        read_or_refuse(folder)


def test_without_a_protocol_everybody_seen_twice_is_looked_for(tmp_path: Path) -> None:
    content = world()
    content["annotations"][1]["iscrowd"] = 0
    dataset = CocoPersons(put(tmp_path, content))
    assert dataset.gallery_sizes == ()
    trials = dataset.trials()
    assert trials.name == "coco gallery=full queries=drawn"
    assert trials.query_person.tolist() == [1]
    assert len(trials.entry_scene) == len(trials.truth_box) == 1
    with pytest.raises(UsageError, match="has no gallery of 100") as caught:
        dataset.trials(100)
    assert "it has: full" in caught.value.hint
    with pytest.raises(UsageError, match="no subset 'occlusion'"):
        dataset.subset_trials("occlusion")
    with pytest.raises(UsageError, match="does not say its camera"):
        dataset.trials(cameras="other")
    content["annotations"][1]["iscrowd"] = 1
    with pytest.raises(DatasetError, match="nobody is in two test pictures"):
        CocoPersons(put(tmp_path, content)).trials()


@real
def test_the_real_detection_set_opens() -> None:
    dataset = CocoPersons(REAL / "detection")
    train, test = dataset.scenes("train"), dataset.scenes("test")
    assert (len(train), len(test)) == (377, 126)
    assert sum(map(len, (*train, *test))) == 2544
    assert sum(int(s.ignore.sum()) for s in (*train, *test)) == 7
    assert dataset.identity_field == "person_id"
    assert (len(dataset.raw_ids("train")), len(dataset.raw_ids("test"))) == (24, 10)
    assert all(scene.path is not None and scene.path.is_file() for scene in (*train, *test))
