"""Features files of anybody: what is inside, as a data set has it; and all that can be wrong with one."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tracemalloc
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from personsearch.errors import DatasetError, InputError, UsageError
from personsearch.features import Features, detected_queries, read_truth
from personsearch.protocols import Cameras, camera_trials, full_gallery, take_queries
from personsearch.types import Query, Scene, Trials

PICTURES, QUERIES, DIM = 6, 3, 4


def layout(kind: str = "cuhk") -> dict[str, Any]:
    """A small file of layout version 1: six pictures of two people each, three queries, galleries of two."""
    rng = np.random.default_rng(5)
    box = np.array([[0, 0, 10, 30], [20, 0, 30, 30]] * PICTURES, np.int32)
    arrays: dict[str, Any] = {
        "img_name": np.array([f"p{k}.jpg" for k in range(PICTURES)]),
        "img_cam": np.array([1, 1, 2, 2, 3, 3], np.int32)
        if kind == "prw"
        else np.full(PICTURES, -1, np.int32),
        "img_wh": np.full((PICTURES, 2), 40, np.int32),
        "gt_ptr": np.arange(PICTURES + 1) * 2,
        "gt_box": box,
        "gt_pid": np.array([1, -1, 2, 1, 3, 3, 1, 2, -1, 3, 2, -1], np.int32),
        "det_ptr": np.arange(PICTURES + 1) * 2,
        "det_box": box.astype(np.float32) + 1,
        "det_score": np.tile(np.array([0.9, 0.6], np.float32), PICTURES),
        "det_feat": unit(rng.normal(size=(2 * PICTURES, DIM))),
        "q_img": np.arange(QUERIES, dtype=np.int32),
        "q_box": box[[0, 2, 4]],
        "q_pid": np.array([1, 2, 3], np.int32),
        "q_feat": unit(rng.normal(size=(QUERIES, DIM))),
        "meta": np.array(json.dumps({"name": "small", "kind": kind, "dim": DIM, "layout_version": 1})),
    }
    arrays |= {
        "qdet_ptr": np.arange(QUERIES + 1) * 2,
        "qdet_box": box[:6].astype(np.float32),
        "qdet_score": np.array([1, 0.5] * QUERIES, np.float32),
        "qdet_feat": unit(rng.normal(size=(2 * QUERIES, DIM))),
    }
    if kind == "cuhk":
        arrays |= {
            "gal2_img": np.array([[1, 3], [3, 5], [2, 4]], np.int16),
            "gal2_ngt": np.array([2, 1, 0], np.int32),
            "gal2_gtbox": box[[3, 6, 7]],
        }
    return arrays


def unit(vectors: np.ndarray) -> np.ndarray:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def write(path: Path, arrays: dict[str, Any], *, without: tuple[str, ...] = (), **changed: Any) -> Path:
    kept = {name: value for name, value in {**arrays, **changed}.items() if name not in without}
    np.savez(path, **kept)
    return path


def said(**changed: Any) -> np.ndarray:
    return np.array(json.dumps({"name": "small", "kind": "cuhk", "dim": DIM, **changed}))


def listed(trials: Trials) -> list[list[tuple[int, list[Any]]]]:
    """Per query the entries (picture, true boxes)."""
    return [
        [
            (
                int(trials.entry_scene[e]),
                trials.truth_box[trials.truth_ptr[e] : trials.truth_ptr[e + 1]].tolist(),
            )
            for e in range(*trials.entry_ptr[i : i + 2])
        ]
        for i in range(len(trials))
    ]


def test_a_foreign_file_is_what_it_says(tmp_path: Path) -> None:
    arrays = layout()
    path = write(tmp_path / "f.npz", arrays)
    features, truth = Features.load(path), read_truth(path)
    assert truth is not None
    assert (features.fingerprint, features.similarity, features.dim) == ("unknown", "product", DIM)
    np.testing.assert_array_equal(features.det_feat, arrays["det_feat"])
    np.testing.assert_array_equal(features.context(1).boxes, arrays["qdet_box"][2:4])
    assert (truth.name, truth.kind, truth.gallery_sizes) == ("small", "cuhk", (2,))
    scene = truth.scenes()[2]
    assert (scene.name, scene.size, scene.camera, scene.people.tolist()) == ("p2.jpg", (40, 40), None, [3, 3])
    found = truth.trials(2)
    assert listed(found) == [
        [(1, [[20, 0, 30, 30]]), (3, [[0, 0, 10, 30]])],
        [(3, [[20, 0, 30, 30]]), (5, [])],
        [(2, []), (4, [])],
    ]
    assert found.name == "small gallery=2"
    np.testing.assert_array_equal(features.query_embeddings(found), arrays["q_feat"])
    full = truth.trials("full")
    assert listed(full)[0] == [*listed(found)[0], (2, []), (4, []), (5, [])]
    assert vars(full).keys() == vars(full_gallery(found, "")).keys()


def test_every_picture_by_camera_where_no_gallery_is_listed(tmp_path: Path) -> None:
    truth = read_truth(write(tmp_path / "f.npz", layout("prw")))
    assert truth is not None
    assert [scene.camera for scene in truth.scenes()] == ["1", "1", "2", "2", "3", "3"]
    for cameras in ("all", "same", "other"):
        found = truth.trials(cameras=cameras)
        queries = [Query(f"p{k}.jpg", found.query_box[k], k + 1) for k in range(QUERIES)]
        assert listed(found) == listed(camera_trials("", truth.scenes(), queries, cameras))
    assert listed(truth.trials(cameras="other"))[0] == [(2, []), (3, [[0, 0, 10, 30]]), (4, []), (5, [])]


def test_protocols_that_are_not_there_are_refused_with_those_that_are(tmp_path: Path) -> None:
    cuhk = read_truth(write(tmp_path / "c.npz", layout()))
    prw = read_truth(write(tmp_path / "p.npz", layout("prw")))
    assert cuhk is not None
    assert prw is not None
    for ask in (
        lambda: cuhk.trials(),  # 100, as the field
        lambda: cuhk.trials(2, cameras="other"),
        lambda: cuhk.trials("full", cameras="same"),
        lambda: prw.trials(50),
        lambda: prw.subset_trials("occlusion"),
        lambda: prw.scenes("train"),  # type: ignore[arg-type]
    ):
        with pytest.raises(UsageError) as caught:
            ask()
        assert caught.value.hint
    with pytest.raises(UsageError, match="lists no gallery of 100") as caught:
        cuhk.trials()
    assert caught.value.hint == "--gallery-size: 2, full"


def test_half_precision_and_other_types_are_widened(tmp_path: Path) -> None:
    arrays = layout()
    half = {name: arrays[name].astype(np.float16) for name in ("det_feat", "q_feat", "qdet_feat")}
    wide = {"det_box": arrays["det_box"].astype(np.float64), "q_pid": arrays["q_pid"].astype(np.uint8)}
    features = Features.load(
        write(tmp_path / "f.npz", arrays, **half, **wide, det_ptr=arrays["det_ptr"].astype("u2"))
    )
    assert features.det_feat.dtype == features.q_feat.dtype == np.float32
    np.testing.assert_array_equal(features.det_feat, half["det_feat"].astype(np.float32))
    assert features.det_ptr.dtype == features.q_pid.dtype == np.int64
    big = Features.load(write(tmp_path / "b.npz", arrays, det_feat=arrays["det_feat"].astype(">f4")))
    np.testing.assert_array_equal(big.det_feat, arrays["det_feat"])
    columns = Features.load(write(tmp_path / "o.npz", arrays, det_feat=np.asfortranarray(arrays["det_feat"])))
    np.testing.assert_array_equal(columns.det_feat, arrays["det_feat"])


def test_what_is_optional_may_be_missing(tmp_path: Path) -> None:
    around = ("qdet_ptr", "qdet_box", "qdet_score", "qdet_feat")
    path = write(tmp_path / "f.npz", layout("prw"), without=(*around, "meta", "img_cam", "img_wh"))
    features, truth = Features.load(path), read_truth(path)
    assert truth is not None
    assert (truth.name, truth.kind) == ("f", "prw")  # no galleries are listed
    assert (truth.scenes()[0].camera, truth.scenes()[0].size) == (None, None)
    with pytest.raises(UsageError, match="who is around query 0"):
        features.context(0)
    with pytest.raises(UsageError, match="does not say its camera"):
        truth.trials(cameras="other")
    assert len(truth.trials().entry_scene) == QUERIES * (PICTURES - 1)
    bare = write(tmp_path / "g.npz", layout(), without=("gt_ptr", "gt_box", "gt_pid"))
    assert read_truth(bare) is None
    guessed = read_truth(write(tmp_path / "h.npz", layout(), without=("meta",)))
    assert guessed is not None
    assert guessed.kind == "cuhk"


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"det_ptr": np.array([0, 2, 4, 3, 8, 10, 12])}, "det_ptr must rise"),
        ({"det_ptr": np.array([0, 2, 4, 6, 8, 10, 11])}, "det_ptr must rise"),
        ({"det_ptr": np.arange(3)}, "det_ptr must have shape"),
        ({"det_ptr": np.arange(7.0)}, "det_ptr must hold whole numbers"),
        ({"det_box": np.zeros((12, 5))}, "det_box must have shape"),
        ({"det_score": np.full(12, np.nan)}, "det_score holds a number that is not finite"),
        ({"det_feat": np.full((12, 4), np.inf)}, "det_feat holds a number that is not finite"),
        ({"det_feat": np.full((12, 4), 1e300)}, "det_feat holds a number that is too large"),
        ({"det_feat": np.zeros((12, 3))}, "q_feat must have shape"),
        ({"q_img": np.array([0, 1, 6])}, "q_img points outside"),
        ({"q_img": np.array([0, -1, 2])}, "q_img points outside"),
        ({"img_name": np.array(["a"] * PICTURES)}, "two pictures have one name"),
        ({"img_name": np.array([b"a"] * PICTURES)}, "img_name must hold text"),
        ({"img_name": np.array(["a"] * PICTURES, object)}, "img_name cannot be read: objects are refused"),
        ({"gt_ptr": np.array([0, 2, 4, 3, 8, 10, 12])}, "gt_ptr must rise"),
        ({"gt_pid": np.zeros(3, int)}, "gt_ptr must rise from 0 to 3"),
        ({"gt_box": np.full((12, 4), np.nan)}, "gt_box holds a number that is not finite"),
        ({"gal2_img": np.full((3, 2), 6)}, "gal2_img points outside"),
        ({"gal2_img": np.zeros((3, 3), int)}, "gal2_img must have shape"),
        ({"gal2_ngt": np.array([3, 0, 0])}, "gal2_ngt must be between"),
        ({"gal2_ngt": np.array([1, 1, 0])}, "gal2_gtbox must have shape"),
        ({"meta": said(version=2)}, "of version 2"),
        ({"meta": said(dim=3)}, "meta says dim 3"),
        ({"meta": said(kind="other")}, "meta says kind 'other'"),
        ({"meta": said(similarity="manhattan")}, "meta says similarity 'manhattan'"),
        ({"meta": np.array("{")}, "meta is no JSON"),
        ({"meta": np.array("[1]")}, "meta must be a JSON object"),
        ({"meta": np.array(7)}, "meta must hold text"),
    ],
)
def test_what_is_wrong_is_named_in_one_line(tmp_path: Path, changed: dict[str, Any], named: str) -> None:
    path = write(tmp_path / "f.npz", layout(), **changed)
    with pytest.raises(InputError) as caught:
        read_all(path)
    assert named in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.hint


def read_all(path: Path) -> None:
    Features.load(path)
    truth = read_truth(path)
    if truth is not None:
        truth.scenes()
        for size in truth.gallery_sizes:
            truth.trials(size)


def complaint_about(path: Path) -> InputError | None:
    """What reading the file says; anything but an InputError fails the test."""
    try:
        read_all(path)
    except InputError as error:
        return error
    return None


@pytest.mark.parametrize("name", sorted(layout().keys() - {"meta", "img_cam", "img_wh", "gal2_img"}))
def test_an_array_that_is_missing_is_named(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / "f.npz", layout(), without=(name,))
    with pytest.raises(InputError, match=f"{name} is missing"):
        read_all(path)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_no_damage_is_anything_but_one_line(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Cut, or with bytes changed anywhere: it reads the same, or says what is wrong."""
    folder = tmp_path_factory.getbasetemp()
    arrays = layout()
    stream = io.BytesIO()
    (np.savez if data.draw(st.booleans()) else np.savez_compressed)(stream, **arrays)
    content = bytearray(stream.getvalue())
    if data.draw(st.booleans()):
        content = content[: data.draw(st.integers(0, len(content) - 1))]
    for _ in range(data.draw(st.integers(0, 4))):
        if content:
            content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = folder / "damaged.npz"
    path.write_bytes(content)
    complaint = complaint_about(path)
    assert complaint is None or ("damaged.npz" in str(complaint) and complaint.hint)
    assert "\n" not in str(complaint)


@settings(max_examples=80, deadline=None)
@given(st.sampled_from(sorted(layout())), st.data())
def test_no_odd_array_is_anything_but_one_line(
    tmp_path_factory: pytest.TempPathFactory, name: str, data: st.DataObject
) -> None:
    shape = tuple(data.draw(st.lists(st.integers(0, 13), max_size=3)))
    dtype = data.draw(st.sampled_from(["f4", "f2", "i8", "u1", "U3", "S3", "?", "c8", "M8[s]", "O"]))
    fill = data.draw(st.sampled_from([0, 1, 2, 7]))
    odd = np.full(shape, fill).astype(dtype)
    path = write(tmp_path_factory.getbasetemp() / "odd.npz", layout(), **{name: odd})
    complaint = complaint_about(path)
    assert complaint is None or ("odd.npz" in str(complaint) and complaint.hint)


def test_a_header_that_lies_asks_for_no_memory(tmp_path: Path) -> None:
    path, header = tmp_path / "f.npz", io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "<f4", "fortran_order": False, "shape": (10**12, 4)}
    )
    write(path, layout(), without=("det_feat",))
    with zipfile.ZipFile(path, "a") as file:
        file.writestr("det_feat.npy", header.getvalue() + b"\0" * 64)
    with pytest.raises(InputError, match=r"det_feat cannot be read: .* does not fill"):
        Features.load(path)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_a_single_wrong_byte_is_seen(tmp_path: Path, save: Any) -> None:
    path = tmp_path / "f.npz"
    save(path, **layout())
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as file:
        info = file.getinfo("q_feat.npy")
    content[info.header_offset + 30 + len(info.filename) + 20 + info.compress_size - 3] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match="q_feat cannot be read"):
        Features.load(path)


@dataclass(frozen=True)
class World:
    """A data set as :class:`Features.save` takes one."""

    name: str
    pictures: tuple[Scene, ...]
    galleries: dict[int, Trials]
    whole: Trials | None = None

    @property
    def gallery_sizes(self) -> tuple[int, ...]:
        return tuple(self.galleries)

    def scenes(self, split: str) -> tuple[Scene, ...]:
        return self.pictures

    def trials(self, gallery_size: Any = None, *, cameras: Cameras = "all") -> Trials:
        if self.whole is not None:
            return self.whole
        return self.galleries[gallery_size]


def same_trials(a: Trials, b: Trials) -> None:
    for key in vars(a).keys() - {"name"}:
        np.testing.assert_array_equal(getattr(a, key), getattr(b, key))


def same_scenes(a: tuple[Scene, ...], b: tuple[Scene, ...]) -> None:
    for one, other in zip(a, b, strict=True):
        assert (one.name, one.size, one.camera) == (other.name, other.size, other.camera)
        for key in ("boxes", "people", "visible", "ignore"):
            np.testing.assert_array_equal(getattr(one, key), getattr(other, key))


def world_of(path: Path, **changed: Any) -> tuple[Features, World]:
    truth = read_truth(path)
    assert truth is not None
    galleries = {size: truth.trials(size) for size in truth.gallery_sizes}
    whole = None if galleries else truth.trials()
    return Features.load(path), replace(World("ours", truth.scenes(), galleries, whole), **changed)


@pytest.mark.parametrize("kind", ["cuhk", "prw"])
def test_features_and_annotation_in_one_file_come_back(tmp_path: Path, kind: str) -> None:
    features, world = world_of(write(tmp_path / "f.npz", layout(kind)))
    features.save(tmp_path / "g.npz", truth=world)
    truth = read_truth(tmp_path / "g.npz")
    assert truth is not None
    assert (truth.name, truth.kind) == ("ours", kind)
    same_scenes(truth.scenes(), world.pictures)
    same_trials(truth.trials(2 if kind == "cuhk" else None), world.trials(2))
    with np.load(tmp_path / "g.npz") as ours, np.load(tmp_path / "f.npz") as theirs:
        for name in set(theirs.files) - {"meta"}:
            np.testing.assert_array_equal(ours[name], theirs[name])
        assert set(ours.files) == set(theirs.files)  # layout 1, nothing beside it
    first = (tmp_path / "g.npz").read_bytes()
    Features.load(tmp_path / "g.npz").save(tmp_path / "g.npz", truth=truth)  # a truth is a data set, too
    same_scenes(read_truth(tmp_path / "g.npz").scenes(), world.pictures)  # type: ignore[union-attr]
    assert len((tmp_path / "g.npz").read_bytes()) == len(first)


def test_what_layout_one_cannot_say_comes_back_too(tmp_path: Path) -> None:
    """Cameras with names, ignored boxes, visible shares, fractions; galleries of any form."""
    features, world = world_of(write(tmp_path / "f.npz", layout()))
    pictures = tuple(
        replace(
            one, camera=["gate", None, "hall"][k % 3], visible=[0.5, np.nan], ignore=[False, k == 1],
            boxes=one.boxes + np.float32(0.25), size=None,
        )
        for k, one in enumerate(world.pictures)
    )  # fmt: skip
    odd = replace(
        world.galleries[2], entry_ptr=[0, 3, 3, 4], entry_scene=[4, 1, 1, 5], truth_ptr=[0, 0, 2, 2, 3],
        truth_box=[[0, 0, 1, 1.5], [0, 0, 2, 2], [0, 0, 3, 3]], ignore_ptr=[0, 1, 1, 1, 1],
        ignore_box=[[0, 0, 4, 4]],
    )  # fmt: skip
    features.save(tmp_path / "g.npz", truth=replace(world, pictures=pictures, galleries={2: odd}))
    truth = read_truth(tmp_path / "g.npz")
    assert truth is not None
    same_scenes(truth.scenes(), pictures)
    same_trials(truth.trials(2), odd)
    late = replace(world.galleries[2], truth_ptr=[0, 0, 1, 2, 2, 2, 3])  # a distractor before the person
    junk = replace(world.galleries[2], ignore_ptr=[0, 0, 0, 1, 1, 1, 1], ignore_box=[[0, 0, 4, 4]])
    for gallery in (late, junk):
        features.save(tmp_path / "i.npz", truth=replace(world, galleries={2: gallery}))
        same_trials(read_truth(tmp_path / "i.npz").trials(2), gallery)  # type: ignore[union-attr]
    whole = replace(world, galleries={}, whole=replace(odd, name="whole"))
    features.save(tmp_path / "h.npz", truth=whole)
    truth = read_truth(tmp_path / "h.npz")
    assert truth is not None
    same_trials(truth.trials(), odd)
    with pytest.raises(UsageError, match="listed, not made by camera"):
        truth.trials(cameras="other")


def test_annotation_of_anything_else_is_refused(tmp_path: Path) -> None:
    features, world = world_of(write(tmp_path / "f.npz", layout()))
    with pytest.raises(DatasetError, match=r"p5\.jpg is a picture of only one"):
        features.save(tmp_path / "g.npz", truth=replace(world, pictures=world.pictures[:5]))
    turned = replace(world.galleries[2], query_scene=world.galleries[2].query_scene[::-1])
    with pytest.raises(DatasetError, match=r"do not describe the query|other queries"):
        features.save(tmp_path / "g.npz", truth=replace(world, galleries={2: turned}))
    assert not (tmp_path / "g.npz").exists()


def test_queries_are_found_where_another_program_rounded_their_boxes(tmp_path: Path) -> None:
    features, world = world_of(write(tmp_path / "f.npz", layout()))
    trials = world.galleries[2]
    near = replace(trials, query_box=trials.query_box + np.float32([0.4, 0, -0.3, 0.2]))
    assert features.query_rows(near).tolist() == [0, 1, 2]
    far = replace(trials, query_box=trials.query_box + 5)
    with pytest.raises(DatasetError, match=r"of p0\.jpg \(3 of 3 queries missing\)"):
        features.query_rows(far)


def test_two_queries_in_one_box_are_told_apart_by_identity(tmp_path: Path) -> None:
    arrays = layout()
    arrays["q_img"][1], arrays["q_box"][1] = 0, arrays["q_box"][0]
    features, world = world_of(write(tmp_path / "f.npz", arrays))
    assert features.query_rows(world.galleries[2]).tolist() == [0, 1, 2]
    numbered_otherwise = replace(world.galleries[2], query_person=np.array([7, 8, 9]))
    assert features.query_rows(numbered_otherwise).tolist() == [0, 1, 2]


def test_queries_that_are_alike_take_their_rows_in_order(tmp_path: Path) -> None:
    """One person in one box, described twice (as by two methods): row i is scored by row i."""
    arrays = layout()
    for name in ("q_img", "q_box", "q_pid"):
        arrays[name][1] = arrays[name][0]
    features, world = world_of(write(tmp_path / "f.npz", arrays))
    trials = world.galleries[2]
    assert features.query_rows(trials).tolist() == [0, 1, 2]
    np.testing.assert_array_equal(features.query_embeddings(trials), arrays["q_feat"])
    assert features.query_rows(take_queries(trials, [0, 2])).tolist() == [0, 2]
    assert features.query_rows(take_queries(trials, [0, 1, 2, 0])).tolist() == [0, 1, 2, 1]
    features.save(tmp_path / "g.npz", truth=world)  # the order of the file is that of its searches


BOXES = ("det_box", "q_box", "qdet_box", "gt_box", "gal2_gtbox", "gal3_truth_box", "gal3_ignore_box")


@pytest.mark.parametrize("name", BOXES)
@pytest.mark.parametrize("side", [0, 1])
def test_boxes_that_end_before_they_begin_are_named(tmp_path: Path, name: str, side: int) -> None:
    """Whoever writes x, y, width, height hears of it; a box without a side is one all the same."""
    arrays = layout()
    boxes = np.float32([[0, 0, 4, 4]] * 2)
    arrays |= {
        "gal3_img": np.int16([[1, 3]] * 3).reshape(-1),
        "gal3_ptr": np.arange(4) * 2,
        "gal3_truth_ptr": np.int64([0, 2, 2, 2, 2, 2, 2]),
        "gal3_truth_box": boxes,
        "gal3_ignore_ptr": np.int64([0, 2, 2, 2, 2, 2, 2]),
        "gal3_ignore_box": boxes.copy(),
    }

    def read(path: Path) -> None:
        Features.load(path)
        truth = read_truth(path)
        assert truth is not None
        truth.trials(2)
        truth.trials(3)

    arrays[name][1, [side, side + 2]] = 7
    read(write(tmp_path / "flat.npz", arrays))
    arrays[name][1, side] = 9
    with pytest.raises(InputError, match=rf"{name} row 1 is no box x1 y1 x2 y2") as caught:
        read(write(tmp_path / "f.npz", arrays))
    assert "width" in caught.value.hint


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"img_wh": np.zeros((20_000_000, 2), np.int8)}, r"img_wh must have shape \(6, 2\)"),
        ({"gt_pid": np.zeros(40_000_000, np.float16)}, "gt_pid must hold whole numbers"),
    ],
)
def test_what_does_not_belong_is_refused_before_it_is_unpacked(
    tmp_path: Path, changed: dict[str, Any], why: str
) -> None:
    np.savez_compressed(tmp_path / "bomb.npz", **layout() | changed)
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match=why):
            read_truth(tmp_path / "bomb.npz")
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()


def test_a_file_that_was_cut_short_says_so(tmp_path: Path) -> None:
    file = write(tmp_path / "f.npz", layout())
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(InputError, match="is cut short or no features file"):
        Features.load(file)


def test_a_query_as_it_was_detected_by_hand(tmp_path: Path) -> None:
    """Query 0 has its detection; 1's has a low score, and the other person overlaps nothing; 2 has two."""
    arrays = layout()
    arrays["det_score"][2] = 0.4
    arrays["det_box"][5] = [0, 0, 10, 28]  # overlaps query 2 better than row 4, which is off by one
    features, missing = detected_queries(Features.load(write(tmp_path / "f.npz", arrays)), 0.5)
    assert missing.tolist() == [False, True, False]
    np.testing.assert_array_equal(features.q_feat[0], arrays["det_feat"][0])
    np.testing.assert_array_equal(features.q_feat[1], np.zeros(DIM))
    np.testing.assert_array_equal(features.q_feat[2], arrays["det_feat"][5])
    np.testing.assert_array_equal(features.context(2).embeddings[0], arrays["det_feat"][5])
    np.testing.assert_array_equal(features.context(2).embeddings[1], arrays["qdet_feat"][5])
    np.testing.assert_array_equal(features.q_box, arrays["q_box"])


def test_reading_imports_nothing_heavy() -> None:
    heavy = ("torch", "lancedb", "pyarrow", "matplotlib", "cv2", "scipy.io")
    code = (
        "import sys, personsearch.cli.evaluate_run, personsearch.features\n"
        f"print(*[name for name in {heavy!r} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True
    )
    assert done.stdout.split() == []
