"""A data set in another layout: what fits comes back as it was, what does not is said."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from personsearch.datasets.checks import check_dataset
from personsearch.datasets.coco_writer import write_coco
from personsearch.datasets.convert import ConversionSettings, NotHeldError, convert, queries_of
from personsearch.datasets.convert_fit import between_pixels, fit, on_pixels, renamed
from personsearch.datasets.convert_material import TARGETS, Material, read_material
from personsearch.datasets.convert_searches import draw_gallery
from personsearch.datasets.cuhk_sysu_writer import write_annotations
from personsearch.datasets.open import open_dataset
from personsearch.datasets.staging import RECORD
from personsearch.errors import DatasetError, UsageError
from personsearch.images import encode_jpeg
from personsearch.protocols import camera_trials
from personsearch.types import UNLABELLED, Query, Scene, Trials


def half(folder: Path | None, prefix: str, **columns: Any) -> tuple[Scene, ...]:
    """Four pictures; person 0 in three of them, person 1 in two, a bystander everywhere."""
    scenes = []
    for i, people in enumerate(([0, 1], [0], [1, 0], [])):
        path = None
        if folder is not None:
            path = folder / f"{prefix}{i}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(encode_jpeg(np.full((90, 120, 3), 10 * i + ord(prefix[0]), np.uint8)))
        who = [*people, UNLABELLED]
        boxes = [[5 + 20 * k, 10 + i, 20 + 20 * k, 60 + i] for k in range(len(who))]
        scenes.append(
            Scene(f"{prefix}{i}.jpg", path=path, size=(120, 90), boxes=boxes, people=who, **columns)
        )
    return tuple(scenes)


def searches(test: tuple[Scene, ...]) -> Trials:
    queries = [Query(test[0].name, test[0].boxes[0], 0), Query(test[0].name, test[0].boxes[1], 1)]
    return camera_trials("whole", test, queries)


@pytest.fixture
def coco(tmp_path: Path) -> Path:
    """A data set of one's own: COCO, two cameras, whole pixels, pictures in a folder."""
    root = tmp_path / "mine"
    train, test = (half(root / "images", f"{name}/", camera="7") for name in ("a", "b"))
    write_coco(root, train=train, test=test)
    return root


def material(test: tuple[Scene, ...], **parts: Any) -> Material:
    return Material(train=half(None, "a"), test=test, **{"whole": searches(test), **parts})


def lost(source: Material, target: Any) -> dict[str, int]:
    return {loss.what.split(":")[0]: loss.count for loss in fit(source, target)[1]}


def test_whole_pixels_keep_equal_boxes_equal_and_everybody_visible() -> None:
    rng = np.random.default_rng(0)
    boxes = rng.uniform(0, 50, (200, 4)).astype(np.float32)
    boxes[:, 2:] = boxes[:, :2] + rng.uniform(0, 3, (200, 2))
    whole = on_pixels(boxes)
    assert not between_pixels(whole).any()
    assert (whole[:, 2:] - whole[:, :2] >= 1).all()
    assert np.array_equal(on_pixels(whole), whole)
    assert (np.abs(whole - boxes)[:, :2] <= 0.5).all()
    assert between_pixels(np.array([[0, 0, 1, 1], [0, 0, 1, 1.5]])).tolist() == [False, True]


def test_each_layout_says_what_it_cannot_hold() -> None:
    test = half(None, "b")
    assert lost(material(test), "cuhk-sysu") == {}
    assert lost(material(test), "coco") == {}
    assert lost(material(test), "prw") == {"pictures without a camera": 8}
    assert lost(material(test), "mot") == {"pictures without a camera": 8}
    seen = tuple(
        replace(
            scene,
            camera="hall",
            time=1.0,
            visible=np.full(len(scene), 0.5),
            boxes=scene.boxes + np.float32(0.25),
            ignore=[False] * (len(scene) - 1) + [True],
        )
        for scene in test
    )
    rich = material(seen, subsets={"occlusion": searches(seen)})
    assert lost(rich, "coco") == {}
    assert lost(rich, "cuhk-sysu") == {
        "boxes that count neither way": 4,
        "pictures with a camera": 4,
        "pictures with a time": 4,
        "boxes between pixels": 5,
    }
    assert lost(rich, "prw") == {
        "boxes that count neither way": 4,
        "boxes with a visible share": 5,
        "pictures without a camera": 4,
        "boxes between pixels": 5,
        "subsets of hard queries": 1,
        "cameras whose name is no digit": 1,
        "pictures with a time": 4,
    }
    twice = (replace(test[0], people=[0, 0, UNLABELLED]), *test[1:])
    found = camera_trials("w", twice, [Query(test[2].name, test[2].boxes[1], 0)])
    assert lost(material(twice, whole=found), "cuhk-sysu") == {
        "gallery pictures with two boxes of one person": 1,
        "boxes of test people in no gallery": 2,  # the second box, and person 1 whom nobody looks for
    }
    assert lost(material(twice), "mot")["second boxes of a person in one picture"] == 1
    flat = (replace(test[0], boxes=[[5, 10, 5, 60], *test[0].boxes[1:].tolist()]), *test[1:])
    assert lost(material(flat, whole=None), "coco") == {"boxes without width or height": 1}
    with pytest.raises(UsageError, match="nothing is written"):
        fit(rich, "voc")  # type: ignore[arg-type]
    with pytest.raises(DatasetError, match="no queries"):
        fit(material(test, whole=None), "prw")
    with pytest.raises(DatasetError, match="no queries"):
        fit(material(test, whole=None), "cuhk-sysu")


def test_second_queries_come_after_everybodys_first() -> None:
    test = half(None, "b")
    queries = [
        Query(test[0].name, test[0].boxes[1], 1),
        Query(test[2].name, test[2].boxes[0], 1),
        Query(test[0].name, test[0].boxes[0], 0),
    ]
    fitting, _ = fit(material(test, whole=camera_trials("w", test, queries)), "cuhk-sysu")
    (trials,) = fitting.galleries.values()
    assert trials.query_person.tolist() == [0, 1, 0]  # numbered by their first query: 1 is 0 now
    assert [query.scene for query in queries_of(trials)] == [test[0].name, test[0].name, test[2].name]
    assert [scene.people.tolist() for scene in fitting.test] == [[1, 0, -1], [1, -1], [0, 1, -1], [-1]]
    assert fitting.names == {}


def test_a_query_written_with_few_digits_stays_the_annotated_box() -> None:
    test = tuple(replace(scene, boxes=scene.boxes + np.float32(0.5)) for scene in half(None, "b"))
    whole = searches(test)
    rough = replace(
        whole, query_box=whole.query_box - np.float32(0.01), truth_box=whole.truth_box + np.float32(0.01)
    )
    (trials,) = fit(material(test, whole=rough), "cuhk-sysu")[0].galleries.values()
    (exact,) = fit(material(test), "cuhk-sysu")[0].galleries.values()
    assert np.array_equal(trials.query_box, exact.query_box)
    assert np.array_equal(trials.truth_box, exact.truth_box)


def test_names_that_would_meet_are_refused() -> None:
    test = half(None, "b")
    with pytest.raises(DatasetError, match="two pictures would be called x"):
        renamed(material(test), {scene.name: "x" for scene in material(test).scenes})


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), size=st.integers(1, 7))
def test_drawn_galleries_are_nested_parts_with_positives_first(seed: int, size: int) -> None:
    rng = np.random.default_rng(seed)
    test = tuple(
        Scene(f"{i}", boxes=[[0, 0, 9, 9 + p] for p in range(2)], people=rng.integers(-1, 2, 2))
        for i in range(8)
    )
    test = (Scene("q", boxes=[[0, 0, 9, 9]], people=[0]), *test)
    whole = camera_trials("w", test, [Query("q", [0, 0, 9, 9], 0)])
    small, large = (draw_gallery(whole, n, seed) for n in (size, size + 1))
    entries = small.entry_scene.tolist()
    assert len(entries) == size == len(set(entries))
    assert large.entry_scene.tolist()[:size] == entries
    assert 0 not in entries
    shows = [bool((test[row].people == 0).any()) for row in entries]
    assert shows == sorted(shows, reverse=True)
    assert shows == (np.diff(small.truth_ptr) > 0).tolist()
    everywhere = sum(bool((scene.people == 0).any()) for scene in test[1:])
    assert sum(shows) == min(size, everywhere)
    boxes = [b.tolist() for row in entries for b in test[row].boxes[test[row].people == 0]]
    assert small.truth_box.tolist() == boxes


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 10_000))
def test_mat_to_coco_to_mat_is_the_same(
    seed: int, world_of: Any, assert_same_trials: Any, assert_same_scenes: Any, tmp_path_factory: Any
) -> None:
    root = tmp_path_factory.mktemp("world")
    write_annotations(root / "mat", **world_of(np.random.default_rng(seed)))
    there = ConversionSettings(target="coco", pictures="none")
    convert(open_dataset("cuhk-sysu", root / "mat"), root / "coco", there)
    back = ConversionSettings(target="cuhk-sysu", pictures="none")
    made = convert(open_dataset("coco", root / "coco"), root / "again", back)
    assert made.losses == ()
    first, second = (open_dataset("cuhk-sysu", root / name) for name in ("mat", "again"))
    for split in ("train", "test"):
        assert_same_scenes(first.scenes(split), second.scenes(split))
    assert first.gallery_sizes == second.gallery_sizes
    for size in first.gallery_sizes:
        assert_same_trials(first.trials(size), second.trials(size))


@pytest.mark.parametrize("target", TARGETS)
def test_every_layout_takes_the_pictures_and_checks_as_right(coco: Path, tmp_path: Path, target: Any) -> None:
    out = tmp_path / "out"
    source = open_dataset("coco", coco)
    made = convert(source, out, ConversionSettings(target=target, allow="lossy"))
    assert (made.counts["train_boxes"], made.counts["test_labelled"]) == (9, 5)
    data = open_dataset(target, out)
    report = check_dataset(data, looks="whole")
    assert report.right, report.findings
    assert {finding.rule for finding in report.findings} <= {"not-official"}
    for split in ("train", "test"):
        old, new = source.scenes(split), data.scenes(split)
        for one, other in zip(old, new, strict=True):
            assert other.path.read_bytes() == one.path.read_bytes()
            np.testing.assert_array_equal(one.boxes, other.boxes)
    trials, before = data.trials(min(data.gallery_sizes, default=None)), source.trials()
    assert len(trials) == len(before) == 2
    assert np.diff(trials.truth_ptr).sum() == np.diff(before.truth_ptr).sum()
    record = json.loads((out / RECORD).read_text())
    assert record["whole"] is True
    assert not list(tmp_path.glob(".*"))


def test_what_would_be_lost_is_refused_and_nothing_is_written(coco: Path, tmp_path: Path) -> None:
    data, out = open_dataset("coco", coco), tmp_path / "out"
    with pytest.raises(NotHeldError, match="8 pictures with a camera: it is forgotten") as caught:
        convert(data, out, ConversionSettings(target="cuhk-sysu", allow="round"))
    assert caught.value.exit_code == 4
    assert "--lossy" in caught.value.hint
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_rounding_is_enough_for_fractions(tmp_path: Path) -> None:
    moved = tuple(replace(s, boxes=s.boxes + np.float32(0.3)) for s in half(tmp_path / "mine/images", "b"))
    write_coco(tmp_path / "mine", test=moved)
    data = open_dataset("coco", tmp_path / "mine")
    with pytest.raises(NotHeldError) as caught:
        convert(data, tmp_path / "out", ConversionSettings(target="cuhk-sysu"))
    assert "--round" in caught.value.hint
    made = convert(data, tmp_path / "out", ConversionSettings(target="cuhk-sysu", allow="round"))
    assert [loss.count for loss in made.losses] == [9]
    assert open_dataset("cuhk-sysu", made.root).scenes("test")[0].boxes[0].tolist() == [5, 10, 20, 60]


class Interrupted(Exception):
    """Somebody pressed Ctrl-C."""


def stop_after(count: int) -> Any:
    """Progress that ends in the middle of copying."""

    def progress(
        items: Iterable[Any], label: str, *, total: int | None = None, done: int = 0
    ) -> Iterator[Any]:
        for number, item in enumerate(items):
            if label.startswith("copying") and number == count:
                raise Interrupted
            yield item

    return progress


def test_an_interrupted_conversion_is_no_data_set_and_goes_on(coco: Path, tmp_path: Path) -> None:
    data, out = open_dataset("coco", coco), tmp_path / "out"
    settings_ = ConversionSettings(target="prw", allow="lossy")
    with pytest.raises(Interrupted):
        convert(data, out, settings_, progress=stop_after(5))
    assert not out.exists()
    (part,) = tmp_path.glob(".*")
    assert json.loads((part / RECORD).read_text())["whole"] is False
    done = {path: path.stat().st_mtime_ns for path in part.rglob("frames/*.jpg")}
    assert len(done) == 5
    with pytest.raises(UsageError, match="interrupted conversion of something else"):
        convert(data, out, replace(settings_, target="mot"))
    half_done = next(iter(done))
    half_done.write_bytes(b"half")
    convert(data, out, settings_)
    assert not part.exists()
    assert check_dataset(open_dataset("prw", out), looks="whole").right
    kept = {out / path.relative_to(part): time for path, time in done.items() if path != half_done}
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert half_done.name in {path.name for path in (out / "frames").iterdir()}


def test_links_point_to_the_pictures_and_a_missing_one_is_named(coco: Path, tmp_path: Path) -> None:
    data = open_dataset("coco", coco)
    out = convert(data, tmp_path / "out", ConversionSettings(target="coco", pictures="link")).root
    scene = open_dataset("coco", out).scenes("test")[1]
    assert scene.path.samefile(data.scenes("test")[1].path)
    data.scenes("test")[1].path.unlink()
    with pytest.raises(DatasetError, match=r"b/1\.jpg has no picture file"):
        convert(data, tmp_path / "other", ConversionSettings(target="coco"))
    assert not (tmp_path / "other").exists()


def test_nothing_is_written_over(coco: Path, tmp_path: Path) -> None:
    data, asked = open_dataset("coco", coco), ConversionSettings(target="coco")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")
    for out, said in (
        (tmp_path / "full", "not empty"),
        (tmp_path / "file", "is a file"),
        (coco / "new", "itself"),
    ):
        with pytest.raises(UsageError, match=said):
            convert(data, out, asked)
    (tmp_path / "empty").mkdir()
    assert convert(data, tmp_path / "empty", asked).counts["test_pictures"] == 4
    assert read_material(open_dataset("coco", tmp_path / "empty")).names["test"] == ["0", "1"]
