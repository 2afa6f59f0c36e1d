"""PRW as distributed, with every trap in it: by hand, against a slow reader, and the golden sets."""

from __future__ import annotations

import tarfile
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.io import loadmat, savemat

from personsearch.datasets.dataset import Dataset
from personsearch.datasets.prw import Prw, camera_of
from personsearch.errors import DatasetError, UsageError
from personsearch.types import UNLABELLED

SHARED = Path(__file__).resolve().parents[2] / ".." / "shared" / "golden"
OWN = Path(__file__).resolve().parent / "golden"
ROWS = list[tuple[float, ...]]

TRAIN: dict[str, tuple[str, ROWS]] = {
    "c1s1_000151": ("box_new", [(932, 10.9, 20.9, 30.2, 60.2), (-2, 5, 5, 10, 20)]),
    "c6s1_000176": ("anno_file", [(480, 1, 2, 3, 4), (2, 50, 60, 20, 40)]),
    "c2s1_000201": ("anno_previous", []),
}
TEST: dict[str, tuple[str, ROWS]] = {
    "c1s3_016471": ("box_new", [(700, -3.5, 8, 40.25, 80), (-2, 100, 100, 10, 10), (500, 30, 5, 20, 50)]),
    "c2s3_000001": ("anno_previous", [(500, 12, 14, 20, 40), (500, 60, 14, 20, 40)]),
    "c2s3_000026": ("anno_file", [(932, 0, 0, 50, 100)]),
    "c1s3_000051": ("box_new", [(700, 7.5, 7.5, 30.5, 60.25), (605, 9, 9, 9, 9)]),
}
QUERIES = "\r\n".join(
    (
        "700 -3.5000 8.0000 40.2500 80.0000 c1s3_016471",
        "500 12.0000 14.0000 19.9999 40 c2s3_000001",
        "700 7.5 7.5 30.5 60.25 c1s3_000051",
    )
)


def cells(names: list[str]) -> np.ndarray:
    column = np.empty((len(names), 1), object)
    column[:, 0] = names
    return column


def save(
    root: Path,
    train: dict[str, tuple[str, ROWS]] | None = None,
    test: dict[str, tuple[str, ROWS]] | None = None,
    queries: str = QUERIES,
    ids: dict[str, Any] | None = None,
) -> Path:
    """The layout, written by SciPy and nothing of ours."""
    train, test = TRAIN if train is None else train, TEST if test is None else test
    (root / "annotations").mkdir(parents=True, exist_ok=True)
    (root / "frames").mkdir(exist_ok=True)
    for name, (variable, rows) in {**train, **test}.items():
        table = np.array(rows, float).reshape(-1, 5)
        savemat(root / "annotations" / f"{name}.jpg.mat", {variable: table}, do_compression=len(rows) > 1)
    savemat(root / "frame_train.mat", {"img_index_train": cells(list(train))})
    savemat(root / "frame_test.mat", {"img_index_test": cells(list(test))})
    for name, value in (
        {"ID_train": [[2, 480, 932]], "ID_test2": [[500, 700]]} if ids is None else ids
    ).items():
        savemat(
            root / f"{'ID_train' if name == 'ID_train' else 'ID_test'}.mat", {name: np.array(value, float)}
        )
    (root / "query_info.txt").write_bytes(queries.encode())
    return root


def test_training_half_by_hand(tmp_path: Path) -> None:
    scenes = Prw(save(tmp_path)).scenes("train")
    assert [s.name for s in scenes] == ["c1s1_000151.jpg", "c6s1_000176.jpg", "c2s1_000201.jpg"]
    assert [s.camera for s in scenes] == ["1", "6", "2"]
    assert scenes[0].path == tmp_path / "frames" / "c1s1_000151.jpg"
    # 10.9 + 30.2 = 41.1 and 20.9 + 60.2 = 81.1: added up first, then cut.
    assert scenes[0].boxes.tolist() == [[10, 20, 41, 81], [5, 5, 15, 25]]
    assert [s.people.tolist() for s in scenes] == [[2, UNLABELLED], [1, 0], []]
    assert scenes[0].size is None
    assert scenes[0].time is None
    assert Prw(tmp_path).raw_ids("train").tolist() == [2, 480, 932]


def test_test_half_by_hand(tmp_path: Path) -> None:
    data = Prw(save(tmp_path))
    scenes = data.scenes("test")
    # -3.5 becomes 0 before the width is added: the right edge moves from 36.75 to 40.25.
    assert scenes[0].boxes.tolist() == [[0, 8, 40, 88], [100, 100, 110, 110], [30, 5, 50, 55]]
    assert data.raw_ids("test").tolist() == [700, 500, 605, 932]  # as queried, then the others by id
    assert [s.people.tolist() for s in scenes] == [[0, -1, 1], [1, 1], [3], [0, 2]]
    exact = Prw(tmp_path, coordinates="exact")
    assert exact.scenes("test")[0].boxes[0].tolist() == [-3.5, 8, 36.75, 88]
    assert exact.queries()[0].box.tolist() == [-3.5, 8, 36.75, 88]


def test_queries_are_their_lines(tmp_path: Path) -> None:
    first, second, third = Prw(save(tmp_path)).queries()
    # A query is added up before it is cut and raised: 36.75, not 40.25. Its y is 8 + 80.
    assert (first.scene, first.box.tolist(), first.person) == ("c1s3_016471.jpg", [0, 8, 36, 88], 0)
    # Cut to one pixel less than the annotated box, still person 500.
    assert (second.box.tolist(), second.person) == ([12, 14, 31, 54], 1)
    assert (third.box.tolist(), third.person) == ([7, 7, 38, 67], 0)


@pytest.mark.parametrize("end", ["\r\n", "\n", "", "\r\n\r\n"])
def test_lines_end_as_they_like(tmp_path: Path, end: str) -> None:
    whole = Prw(save(tmp_path / "a")).queries()
    text = QUERIES if end.startswith("\r") else QUERIES.replace("\r\n", "\n")
    other = Prw(save(tmp_path / "b", queries=text + end)).queries()
    assert [(q.scene, q.person, q.box.tolist()) for q in other] == [
        (q.scene, q.person, q.box.tolist()) for q in whole
    ]


def test_searches_by_hand(tmp_path: Path) -> None:
    data = Prw(save(tmp_path))
    regular = data.trials()
    assert regular.name == data.trials("full", cameras="all").name == "prw gallery=full cameras=all"
    assert regular.scenes == tuple(f"{name}.jpg" for name in TEST)
    assert regular.entry_scene.tolist() == [1, 2, 3, 0, 2, 3, 0, 1, 2]
    assert regular.truth_ptr.tolist() == [0, 0, 0, 1, 2, 2, 2, 3, 3, 3]
    assert regular.truth_box.tolist() == [[7, 7, 38, 67], [30, 5, 50, 55], [0, 8, 40, 88]]
    same, other = data.trials(cameras="same"), data.trials(cameras="other")
    assert (same.entry_scene.tolist(), same.truth_ptr.tolist()) == ([3, 2, 0], [0, 1, 1, 2])
    assert other.entry_scene.tolist() == [1, 2, 0, 3, 1, 2]
    assert other.truth_box.tolist() == [[30, 5, 50, 55]]


def test_a_person_twice_in_one_frame_is_right_twice(tmp_path: Path) -> None:
    queries = "500 30 5 20 50 c1s3_016471\n"
    trials = Prw(save(tmp_path, queries=queries)).trials()
    assert trials.entry_scene.tolist() == [1, 2, 3]
    assert trials.truth_ptr.tolist() == [0, 2, 2, 2]
    assert trials.truth_box.tolist() == [[12, 14, 32, 54], [60, 14, 80, 54]]


def test_a_query_for_somebody_of_another_frame_is_refused(tmp_path: Path) -> None:
    data = Prw(save(tmp_path, queries="932 0 0 50 100 c1s3_000051\n"))
    with pytest.raises(DatasetError, match=r"line 1: person 932 is not annotated in c1s3_000051"):
        data.trials()
    assert len(data.scenes("test")) == 4  # the frames themselves can still be looked at


def test_another_query_list(tmp_path: Path) -> None:
    save(tmp_path)
    (tmp_path / "mini.txt").write_text("605 9 9 9 9 c1s3_000051\n")
    mini = Prw(tmp_path, queries="mini.txt")
    assert mini.raw_ids("test").tolist() == [605, 500, 700, 932]
    assert mini.trials().name == "prw gallery=full cameras=all queries=mini.txt"
    assert mini.trials().query_person.tolist() == [0]
    assert Prw(tmp_path, queries=tmp_path / "mini.txt").queries()[0].scene == "c1s3_000051.jpg"


def test_without_its_list_training_ids_are_ranked(tmp_path: Path) -> None:
    data = Prw(save(tmp_path, ids={}))
    assert data.listed_ids("train") is None
    assert data.raw_ids("train").tolist() == [2, 480, 932]
    listed = Prw(save(tmp_path / "b", ids={"ID_train": [[932], [5], [2], [480]]}))
    assert listed.raw_ids("train").tolist() == [
        932,
        5,
        2,
        480,
    ]  # the row counts, and who never appears has one
    assert [s.people.tolist() for s in listed.scenes("train")] == [[0, -1], [3, 2], []]


def test_protocols_need_no_pictures_but_scenes_do(tmp_path: Path) -> None:
    (save(tmp_path) / "frames").rmdir()
    data = Prw(tmp_path)
    assert len(data.trials()) == 3
    with pytest.raises(DatasetError, match="frames is missing"):
        data.scenes("test")


def test_what_prw_does_not_have(tmp_path: Path) -> None:
    data = Prw(save(tmp_path))
    assert isinstance(data, Dataset)
    assert data.gallery_sizes == ()
    assert data.name == "prw"
    with pytest.raises(UsageError, match="no galleries of 100"):
        data.trials(100)
    with pytest.raises(UsageError, match="no subset 'occlusion'"):
        data.subset_trials("occlusion")
    with pytest.raises(UsageError, match="no cameras 'some'"):
        data.trials(cameras="some")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="no coordinates 'round'"):
        Prw(tmp_path, coordinates="round")  # type: ignore[arg-type]
    with pytest.raises(DatasetError, match="holds no folder 'annotations'"):
        Prw(tmp_path / "frames")


def test_frames_without_a_camera_can_be_searched_all(tmp_path: Path) -> None:
    data = Prw(save(tmp_path, test={"street": ("box_new", [(1, 0, 0, 9, 9)])}, queries="1 0 0 9 9 street"))
    assert data.scenes("test")[0].camera is None
    assert len(data.trials()) == 1
    with pytest.raises(UsageError, match="does not say its camera"):
        data.trials(cameras="other")


def test_camera_is_the_leading_number() -> None:
    names = ["c1s1_000151.jpg", "c12_3.jpg", "s1.jpg", "camera.jpg", "ac1s1.jpg", "C1s1_000151.jpg"]
    assert [camera_of(name) for name in names] == ["1", "12", None, None, None, None]


def test_the_published_set_knows_its_sizes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("personsearch.datasets.prw._PUBLISHED", {"train": 3, "test": 6112})
    data = Prw(save(tmp_path))
    assert [s.size for s in data.scenes("train")] == [(1920, 1080), (720, 576), (1920, 1080)]
    assert {s.size for s in data.scenes("test")} == {None}


def slow_corners(box: list[float], query: bool) -> list[int]:
    """The field's whole pixels, number by number."""
    x, y, w, h = box
    if query:
        return [max(int(value), 0) for value in (x, y, x + w, y + h)]
    x, y, w, h = (value if value > 0 else 0 for value in (x, y, w, h))
    return [int(x), int(y), int(x + w), int(y + h)]


ROW = st.tuples(
    st.sampled_from([-2, 0, 3, 4, 932]),
    st.floats(-9, 2000, width=32),
    st.floats(-9, 1000, width=32),
    st.floats(0.5, 900, width=32),
    st.floats(0.5, 900, width=32),
)


@given(st.lists(st.lists(ROW, max_size=4), min_size=1, max_size=3), st.sampled_from(["box_new", "anno_file"]))
@settings(max_examples=12, deadline=None)
def test_equals_a_slow_reader(frames: list[ROWS], variable: str) -> None:
    test = {f"c{1 + i}s1_{i:06d}": (variable, rows) for i, rows in enumerate(frames)}
    named = [(name, row) for name, (_, rows) in test.items() for row in rows if row[0] >= 0]
    lines = "".join(f"{row[0]} {' '.join(map(repr, row[1:]))} {name}\r\n" for name, row in reversed(named))
    with tempfile.TemporaryDirectory() as folder:
        root = save(Path(folder), test=test, queries=lines)
        data = Prw(root)
        raw = data.raw_ids("test").tolist()
        assert raw[: len({row[0] for _, row in named})] == list(
            dict.fromkeys(r[0] for _, r in reversed(named))
        )
        for scene, query in zip(reversed(named), data.queries(), strict=True):
            assert query.scene == f"{scene[0]}.jpg"
            assert raw[query.person] == scene[1][0]
            assert query.box.tolist() == slow_corners(list(scene[1][1:]), query=True)
        for read, (name, (key, _)) in zip(data.scenes("test"), test.items(), strict=True):
            table = loadmat(root / "annotations" / f"{name}.jpg.mat")[key].tolist()
            assert read.boxes.tolist() == [slow_corners(row[1:], query=False) for row in table]
            assert [raw[p] if p >= 0 else -2 for p in read.people.tolist()] == [row[0] for row in table]


def against_golden(archive: Path, truth: Path, folder: Path) -> None:
    """What the reader makes of the disk form is the neutral form, element by element."""
    with tarfile.open(archive) as file:
        file.extractall(folder, filter="data")
    with np.load(truth, allow_pickle=False) as file:
        want = {key: file[key] for key in file.files}
    data = Prw(next(folder.iterdir()))
    scenes, raw = data.scenes("test"), np.append(data.raw_ids("test"), -1)
    assert [s.name for s in scenes] == want["img_name"].tolist()
    assert [int(s.camera or -1) for s in scenes] == want["img_cam"].tolist()
    np.testing.assert_array_equal(np.cumsum([0, *map(len, scenes)]), want["gt_ptr"])
    np.testing.assert_array_equal(np.concatenate([s.boxes for s in scenes]), want["gt_box"])
    np.testing.assert_array_equal(raw[np.concatenate([s.people for s in scenes])], want["gt_pid"])
    trials = data.trials()
    np.testing.assert_array_equal(trials.query_scene, want["q_img"])
    np.testing.assert_array_equal(trials.query_box, want["q_box"])
    np.testing.assert_array_equal(raw[trials.query_person], want["q_pid"])


def test_golden_set_of_our_own(tmp_path: Path) -> None:
    against_golden(OWN / "prw_b.disk.tar.gz", OWN / "prw_b.truth.npz", tmp_path)


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs ../shared")
@pytest.mark.parametrize("name", ["prw_a", "prw_b", "prw_quirks", "prw_ties"])
def test_golden_sets(tmp_path: Path, name: str) -> None:
    against_golden(SHARED / f"{name}.disk.tar.gz", SHARED / f"{name}.npz", tmp_path)
